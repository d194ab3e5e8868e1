"""One run as it stands between two updates: everything the next update depends on. Its public face is `runs`."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F

from unrolled.cells import detach
from unrolled.data import Corpus, Vocabulary
from unrolled.models.pairs import Pair
from unrolled.training._ranks import Ranks, device_random, set_device_random
from unrolled.training.recipes import Recipe, fingerprint, parameter_groups


class Run:
    """Model, optimiser, carried state, place in the text and sources of randomness, for one update after another.

    Args:
        recipe: how to train.
        corpus: on what.
        ranks: with whom; a process keeps its own rows of the batch and their state.

    Raises:
        ValueError: too little text for the batch, or a batch that the processes can't share equally.
    """

    def __init__(self, recipe: Recipe, corpus: Corpus, ranks: Ranks) -> None:
        self.recipe, self.corpus, self.ranks = recipe, corpus, ranks
        B, device = recipe.batch_size, ranks.device
        if B % ranks.size:
            raise ValueError(f"batch_size: expected a multiple of the {ranks.size} processes, got {B}")
        ids: Int[Tensor, " N"] = Vocabulary(corpus.characters).encode(corpus.train)
        self.length = (ids.shape[0] - 1) // B  # of one row
        if self.length < 1:
            raise ValueError(f"batch_size: expected at most {ids.shape[0] - 1}, a character a row, got {B}")
        self.ids, self.own = ids, ranks.rows(B)
        self.reading = 0  # of the text, the first being 0
        self._lay_out()

        torch.manual_seed(recipe.seed)
        self.model = recipe.build(corpus.characters).to(device)
        self.average = copy.deepcopy(self.model) if recipe.average else self.model
        self.network: nn.Module = ranks.wrap(self.model)
        if ranks.size > 1:
            # Dropout of its own for each process.
            torch.manual_seed(recipe.seed + 1_000_003 * (1 + ranks.rank))
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, recipe.weight_decay),
            lr=recipe.learning_rate,
            betas=(0.9, recipe.beta_2),
            fused=device.type in ("cpu", "cuda"),
        )
        pays = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.bfloat16 = recipe.precision == "bfloat16" or (recipe.precision == "auto" and pays)

        self.done = 0  # updates
        self.start = 0  # of the next chunk, in each row
        self.state: Any = None
        self.loss: list[float] = []
        self.gradient_norm: list[float] = []
        self.evaluations: list[tuple[int, float]] = []  # update and validation loss
        self.best: tuple[int, float] | None = None
        self.seconds = 0.0

    def _lay_out(self) -> None:
        """Cut the text into rows for one reading: from its beginning, and later from another place, going round."""
        B, ids = self.recipe.batch_size, self.ids
        if self.recipe.shifted and self.reading:
            ids = ids.roll(-int(self._draws(self.reading, 0).integers(len(ids))))
        n = B * self.length
        self.x, self.y = (
            part.view(B, self.length)[self.own].to(self.ranks.device) for part in (ids[:n], ids[1 : n + 1])
        )

    def _draws(self, number: int, kind: int) -> np.random.Generator:
        """Randomness that depends on the seed and the place in the run alone: the same after a stop, and for all."""
        return np.random.default_rng((self.recipe.seed, number, kind))

    def _go_on(self) -> Any:
        """The state the next chunk is read from: what was carried, without its history, in most rows."""
        if self.state is None:
            return None
        state = detach(self.state)  # the truncation: same numbers, no history
        if not self.recipe.restarts:
            return state
        keep = self._draws(self.done, 1).random(self.recipe.batch_size) >= self.recipe.restarts
        kept = torch.from_numpy(keep)[self.own, None].to(self.ranks.device)  # (B, 1)
        return tuple(type(part)(*(each * kept for each in part)) for part in state)

    @property
    def stopped_early(self) -> bool:
        """Whether the last `patience` evaluations found nothing better."""
        if self.recipe.patience is None or self.best is None:
            return False
        return sum(update > self.best[0] for update, _ in self.evaluations) >= self.recipe.patience

    @property
    def characters(self) -> int:
        """How many characters were read so far, in all rows; the last chunk of a row may be short."""
        return self.recipe.batch_size * (self.reading * self.length + min(self.start, self.length))

    @property
    def finished(self) -> bool:
        """Whether no update is left to do."""
        return self.done >= self.recipe.updates or self.stopped_early

    def update(self) -> None:
        """Read one chunk and change the weights once.

        Raises:
            FloatingPointError: the loss or the gradient is not a number; the weights are those before the update.
        """
        recipe, device = self.recipe, self.ranks.device
        if self.start >= self.length:  # the text is read through
            self.start, self.state = 0, None
            self.reading += 1
            self._lay_out()
        chunk = slice(self.start, self.start + recipe.num_steps)
        x, y = self.x[:, chunk], self.y[:, chunk]  # (B, T)
        state = self._go_on()
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16):
            logits, state = self.network(x, state)  # (B, T, V)
        loss = F.cross_entropy(logits.float().flatten(0, 1), y.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        bound = math.inf if recipe.clip_norm is None else recipe.clip_norm
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), bound)
        # The one time in an update that the device is waited for.
        loss_, norm_ = torch.stack([self.ranks.mean(loss.detach()), norm.to(loss.dtype)]).tolist()
        if not (math.isfinite(loss_) and math.isfinite(norm_)):
            raise FloatingPointError(
                f"update {self.done + 1}: the loss is {loss_} and the gradient's norm {norm_}; {self._advice()}"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(self.done + 1)
        self.optimizer.step()
        self.done += 1
        self._take_average()
        self.state, self.start = state, chunk.stop
        self.loss.append(loss_)
        self.gradient_norm.append(norm_)

    def _advice(self) -> str:
        recipe = self.recipe
        return (
            f"try a smaller learning_rate than {recipe.learning_rate}, a longer warmup than {recipe.warmup}, "
            f"or clip_norm=1.0 (it is {recipe.clip_norm})"
        )

    @torch.no_grad()
    def _take_average(self) -> None:
        if self.average is not self.model:
            # At first a short memory: the initial weights are forgotten soon.
            memory = min(self.recipe.average, (1 + self.done) / (10 + self.done))
            for mean, weight in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(weight, 1 - memory)

    def evaluated(self, nats: float) -> bool:
        """Write an evaluation down; whether it is the best so far.

        Raises:
            FloatingPointError: it is not a number.
        """
        if not math.isfinite(nats):
            raise FloatingPointError(f"update {self.done}: the validation loss is {nats}; {self._advice()}")
        self.evaluations.append((self.done, nats))
        if self.best is not None and not nats < self.best[1]:
            return False
        self.best = (self.done, nats)
        return True

    def pack(self) -> Pair:
        """Everything, gathered from all processes, each of which must call this."""
        ranks, named = self.ranks, dict(self.model.named_parameters())
        tensors: dict[str, Tensor] = {f"model/{name}": weight for name, weight in named.items()}
        if self.average is not self.model:
            tensors |= {f"average/{name}": weight for name, weight in self.average.named_parameters()}
        for name, weight in named.items():
            for key, value in self.optimizer.state[weight].items():
                tensors[f"optimizer/{name}/{key}"] = value
        for layer, part in enumerate(self.state or ()):
            for field, value in zip(part._fields, part, strict=True):
                tensors[f"state/{layer}/{field}"] = ranks.gather(value.detach())  # (B, m)
        tensors["random/cpu"] = ranks.gather(torch.get_rng_state().unsqueeze(0))  # one row a process
        if ranks.device.type != "cpu":
            tensors["random/device"] = ranks.gather(device_random(ranks.device).unsqueeze(0))
        for name in ("loss", "gradient_norm"):
            tensors[f"history/{name}"] = torch.tensor(getattr(self, name), dtype=torch.float64)
        about = {
            "model": self.model.describe(),
            "recipe": self.recipe.to_dict(),
            "corpus": {"name": self.corpus.name, "sha256": fingerprint(self.corpus)},
            "done": self.done,
            "start": self.start,
            "reading": self.reading,
            "evaluations": [list(each) for each in self.evaluations],
            "best": None if self.best is None else list(self.best),
            "bfloat16": self.bfloat16,
            "processes": ranks.size,
            "seconds": self.seconds,
        }
        return Pair(tensors, about)

    def unpack(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        """Take up where `pack` was called.

        Raises:
            ValueError: another recipe, or another text.
        """
        for name, value in self.recipe.to_dict().items():
            began = about["recipe"][name]
            if value != began:
                raise ValueError(f"{name}: expected {began!r}, with which this run began, got {value!r}")
        if about["corpus"]["sha256"] != fingerprint(self.corpus):
            raise ValueError(
                f"corpus: expected the text this run began with, got another: {self.corpus.name} has changed"
            )
        self.model.load_state_dict(_under("model/", tensors))
        if self.average is not self.model:
            self.average.load_state_dict(_under("average/", tensors))
        self._unpack_optimizer(_under("optimizer/", tensors))
        self._unpack_state(_under("state/", tensors))
        if len(tensors["random/cpu"]) == self.ranks.size:
            own = self.ranks.rank
            # A copy: torch crashes on a view that does not start where its storage does.
            torch.set_rng_state(tensors["random/cpu"][own].clone())
            if "random/device" in tensors and self.ranks.device.type != "cpu":
                set_device_random(self.ranks.device, tensors["random/device"][own].clone())
        else:  # other processes than before: the masks of dropout can't go on as they were
            torch.manual_seed(hash((self.recipe.seed, about["done"], self.ranks.rank)) % 2**63)
        self.loss = tensors["history/loss"].tolist()
        self.gradient_norm = tensors["history/gradient_norm"].tolist()
        self.done, self.start, self.bfloat16 = about["done"], about["start"], about["bfloat16"]
        self.reading = about["reading"]
        self._lay_out()
        self.evaluations = [(update, nats) for update, nats in about["evaluations"]]
        self.best = None if about["best"] is None else tuple(about["best"])
        self.seconds = about["seconds"]

    def _unpack_optimizer(self, kept: Mapping[str, Tensor]) -> None:
        names = {id(weight): name for name, weight in self.model.named_parameters()}
        state, number = {}, 0
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                if own := _under(f"{names[id(weight)]}/", kept):
                    state[number] = own
                number += 1
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    def _unpack_state(self, kept: Mapping[str, Tensor]) -> None:
        self.state = None
        if kept:
            own, kind = self.ranks.rows(self.recipe.batch_size), self.model.rnn.cell_type.State
            layers = [_under(f"{layer}/", kept) for layer in range(self.recipe.num_layers)]
            self.state = tuple(
                kind(**{field: value[own].clone().to(self.ranks.device) for field, value in layer.items()})
                for layer in layers
            )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
