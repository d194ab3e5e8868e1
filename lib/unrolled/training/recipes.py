"""Everything that decides a long run, in one frozen config, and what follows from it: text, model, step sizes."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unrolled._check import check_bool, check_choice, check_count, check_number
from unrolled.data import Corpus, Vocabulary, corpora
from unrolled.models import CELLS, CharacterModel
from unrolled.networks import BACKENDS

CORPORA = ("names", "python", "shakespeare", "hello")
SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """One run of truncated BPTT on one corpus, whole: the same recipe gives the same weights, to the bit on a CPU.

    Attributes:
        corpus: one of `CORPORA`, or the path of a text file.
        cell: `"rnn"`, `"lstm"` or `"gru"`.
        hidden_size: m.
        embedding_size: E; None reads one-hot vectors.
        num_layers: layers of the network.
        dropout: the share of numbers set to zero while training; see `unrolled.models.CharacterModel`.
        tied: one matrix to read and to write characters with; takes E = m.
        updates: how many times the weights are changed.
        batch_size: B, rows read side by side, over all processes together.
        num_steps: T, characters in a chunk, and so how far back a gradient reaches.
        shifted: begin each reading of the text but the first at another place, so that rows and chunks never fall the
            same way twice; without it a model comes to know the states that lead up to each chunk.
        restarts: the share of rows, others in each chunk, that go on from zeros and not from the carried state, so that
            the model also knows what to make of a state that is young.
        learning_rate: the largest step size, reached after the warm-up.
        warmup: updates in which it rises from zero in a straight line.
        schedule: how it goes on: `"constant"`, `"linear"` or `"cosine"`, down to its floor at the last update.
        floor: the last step size, as a share of the largest.
        weight_decay: AdamW's, of matrices; biases are left alone.
        beta_2: AdamW's memory for squared gradients.
        clip_norm: the largest norm a gradient may have before it is scaled down; None leaves it alone.
        average: the memory of a moving average of the weights, for example 0.999, that is evaluated and kept in their
            place; 0 keeps the weights themselves.
        precision: `"float32"`; `"bfloat16"`, products in half the bits; `"auto"`, that on a GPU that has it.
        backend: which code runs the network; see `unrolled.networks.Recurrent`.
        seed: of initial weights and dropout.
        evaluate_every: updates between two looks at the validation text; the best model so far is kept.
        patience: stop after so many looks without a better one; None never does.
        checkpoint_every: updates between two checkpoints.
        keep: how many checkpoints stay on disk.

    Raises:
        TypeError, ValueError: a field of the wrong type or range, by name.

    AdamW: Loshchilov and Hutter (2019), who also use the cosine (2017). Used in chapter 09.
    """

    corpus: str = "names"
    cell: str = "lstm"
    hidden_size: int = 256
    embedding_size: int | None = 64
    num_layers: int = 1
    dropout: float = 0.0
    tied: bool = False
    updates: int = 2000
    batch_size: int = 32
    num_steps: int = 64
    shifted: bool = True
    restarts: float = 0.0
    learning_rate: float = 0.003
    warmup: int = 100
    schedule: str = "cosine"
    floor: float = 0.1
    weight_decay: float = 0.01
    beta_2: float = 0.99
    clip_norm: float | None = 1.0
    average: float = 0.0
    precision: str = "auto"
    backend: str = "auto"
    seed: int = 0
    evaluate_every: int = 200
    patience: int | None = None
    checkpoint_every: int = 100
    keep: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.corpus, str):
            raise TypeError(
                f"corpus: expected a name or a path, got {type(self.corpus).__name__} {self.corpus!r:.60}"
            )
        for name, choices in (
            ("cell", CELLS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("backend", BACKENDS),
        ):
            check_choice(name, getattr(self, name), choices)
        for name in (
            "hidden_size", "num_layers", "updates", "batch_size", "num_steps", "evaluate_every", "checkpoint_every",
            "keep",
        ):  # fmt: skip
            self._count(name)
        for name in ("embedding_size", "patience"):
            if getattr(self, name) is not None:
                self._count(name)
        for name in ("warmup", "seed"):
            self._count(name, least=0)
        if self.seed >= 2**63:  # with what each process adds to it, torch takes no more
            raise ValueError(f"seed: expected a whole number below 2**63, got {self.seed}")
        for name in ("tied", "shifted"):
            check_bool(name, getattr(self, name))
        check_number("learning_rate", self.learning_rate, above=0)
        if self.clip_norm is not None:
            check_number("clip_norm", self.clip_norm, above=0)
        check_number("weight_decay", self.weight_decay, least=0)
        for name in ("dropout", "restarts", "beta_2", "average"):
            check_number(name, getattr(self, name), least=0, below=1)
        check_number("floor", self.floor, least=0, most=1)
        if self.tied and self.embedding_size != self.hidden_size:
            raise ValueError(
                f"tied: expected embedding_size = hidden_size, for one matrix to serve as both; "
                f"got {self.embedding_size} and {self.hidden_size}"
            )

    def _count(self, name: str, least: int = 1) -> None:
        """Check a whole number; numpy's become Python's, which JSON can hold."""
        object.__setattr__(self, name, check_count(name, getattr(self, name), least))

    def rate(self, update: int) -> float:
        r"""The step size of an update, the first being 1: a straight line up, then down to the floor.

        $$\eta_u = \eta \, \frac{u}{w} \text{ for } u \le w, \qquad
        \eta_u = \eta \, (f + (1 - f) \, s(p)), \quad p = \frac{u - w}{U - w},$$

        with $w$ the warm-up, $U$ the last update, $f$ the floor, and $s(p) = 1$, $1 - p$ or
        $\tfrac{1}{2} (1 + \cos \pi p)$ by the schedule.
        """
        update = min(check_count("update", update), self.updates)
        if update <= self.warmup:
            return self.learning_rate * update / self.warmup
        p = (update - self.warmup) / max(1, self.updates - self.warmup)
        shapes = {"constant": 1.0, "linear": 1 - p, "cosine": (1 + math.cos(math.pi * p)) / 2}
        return self.learning_rate * (self.floor + (1 - self.floor) * shapes[self.schedule])

    def build(self, characters: str) -> CharacterModel:
        """A fresh model for these characters, drawn from torch's global generator."""
        names = ("cell", "embedding_size", "num_layers", "dropout", "tied", "backend")
        sizes = {name: getattr(self, name) for name in names}
        return CharacterModel(Vocabulary(characters), self.hidden_size, **sizes)

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """A recipe from its fields by name; those not named take their defaults.

        Raises:
            ValueError: a name that is no field.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"recipe: expected fields among {', '.join(known)}, got {name!r}")
        return cls(**values)


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The fields that a JSON file names, for `Recipe.from_dict`; of a run's `result.json`, those of its recipe.

    Raises:
        ValueError: no such file, or not a JSON object.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"recipe: expected a JSON file, got {path}: {error}") from error
    if isinstance(found, dict):
        found = found.get("recipe", found)
    if not isinstance(found, dict):
        raise ValueError(f"recipe: expected a JSON object, got {type(found).__name__} in {path}")
    return found


def open_corpus(name: str) -> Corpus:
    """A corpus by name, or a text file by path.

    Args:
        name: one of `CORPORA`; anything else is the path of a text file. `"hello"` is the lecture's word, 200 times.

    Raises:
        ValueError: neither.
    """
    if name == "hello":
        text = corpora.hello() * 200
        return Corpus("hello", "".join(sorted(set(text))), text, text, text, "the lecture", "a word")
    if name in CORPORA:
        return getattr(corpora, name)()
    if not Path(name).expanduser().is_file():
        raise ValueError(f"corpus: expected {', '.join(CORPORA)} or the path of a text file, got {name!r}")
    return corpora.text_file(name)


def fingerprint(corpus: Corpus) -> str:
    """A checksum of the texts: a run goes on only with the text it began with."""
    return hashlib.sha256(
        "\0".join((corpus.train, corpus.validation, corpus.characters)).encode()
    ).hexdigest()


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights for AdamW: matrices, which decay, and the others, which do not."""
    weights: list[torch.Tensor] = list(model.parameters())
    return [
        {"params": [weight for weight in weights if weight.dim() >= 2], "weight_decay": weight_decay},
        {"params": [weight for weight in weights if weight.dim() < 2], "weight_decay": 0.0},
    ]
