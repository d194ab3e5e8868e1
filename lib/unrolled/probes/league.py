r"""A league of cells: equal parameters, equal updates, tasks whose memory is known.

All models of one cell are trained side by side in one batched product, each from its own seed and with its own learning
rate, and read the same examples. One that has solved its task stops there; nothing of one model reaches another.
"""

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unrolled._check import check_choice, check_count, check_number
from unrolled.data import one_hot, tasks
from unrolled.device import stack_seeds
from unrolled.models import Readout
from unrolled.networks import GRU, LSTM, RNN, Recurrent
from unrolled.training import clip_gradient, cross_entropy


class Task(NamedTuple):
    """A task with the lag as its dial, and what it is to have solved it."""

    make: Callable[..., tasks.Examples]  # called as make(num_examples, lag, generator)
    input_size: int
    output_size: int
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], Tensor]  # an accuracy, or the mean squared error of a number
    trivial: float  # the score of one that has read nothing: chance, or the error of always saying the mean
    success: float  # the score that is success on held-out examples
    enough: float  # the score on validation examples at which training stops

    def reaches(self, score: Any, limit: float) -> Any:
        """Whether scores are as good as a limit: an accuracy as high, an error as low."""
        return score >= limit if self.success > self.trivial else score <= limit


def _squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs.squeeze(-1) - y).square().mean(dim=-1)


def _accuracy(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs.argmax(dim=-1) == y).double().mean(dim=-1)


_to_recognise: dict[str, Any] = {"loss": cross_entropy, "score": _accuracy, "success": 0.95, "enough": 0.99}
TASKS = {
    "delayed recall": Task(
        tasks.delayed_recall, tasks.RECALL_INPUTS, tasks.RECALL_SYMBOLS, trivial=1 / 4, **_to_recognise
    ),
    "adding": Task(tasks.adding, 2, 1, _squared_error, _squared_error, 1 / 6, success=1 / 60, enough=1 / 120),
    "temporal order": Task(
        tasks.temporal_order, tasks.ORDER_INPUTS, tasks.ORDER_CLASSES, trivial=1 / 4, **_to_recognise
    ),
}


class Entrant(NamedTuple):
    """A cell and how it starts.

    `start` is `"uniform"`, the library's own; `"orthogonal"`, W_hh orthogonal and the bias zero; or `"open"`, by which
    an untrained cell remembers for about lag steps: the bias of the gate that keeps gets +ln(lag), so that it starts
    around lag / (lag + 1), and that of the gate that writes -ln(lag), so that it starts around 1 / (lag + 1). A GRU
    keeps by z and writes by 1 - z. After Tallec and Ollivier (2018).
    """

    network: type[Recurrent]
    start: str
    without: str | None = None


CONTENDERS = {
    "RNN": Entrant(RNN, "uniform"),
    "RNN, orthogonal": Entrant(RNN, "orthogonal"),
    "GRU": Entrant(GRU, "open"),
    "LSTM": Entrant(LSTM, "open"),
    "LSTM, forget bias 1": Entrant(LSTM, "uniform"),
    "LSTM without i": Entrant(LSTM, "open", "i"),
    "LSTM without f": Entrant(LSTM, "open", "f"),
    "LSTM without o": Entrant(LSTM, "open", "o"),
}


class LastOutput(nn.Module):
    """Any recurrent network, read out once, from its last state: (B, T, P) in, (B, G) out."""

    def __init__(self, network: Recurrent, output_size: int) -> None:
        super().__init__()
        self.network = network
        self.readout = Readout(network.output_size, output_size)

    def forward(self, x: Float[Tensor, "... B T P"]) -> Float[Tensor, "... B G"]:
        """Sequences in, one output each out."""
        h, _ = self.network(x)
        return self.readout(h[..., -1, :])


def build(task: str, cell: str, hidden_size: int, lag: int = 1) -> LastOutput:
    """One network for a task, started as its entry in `CONTENDERS` says.

    Args:
        task: a key of `TASKS`.
        cell: a key of `CONTENDERS`.
        hidden_size: m.
        lag: what a gate that starts open is opened for.

    Raises:
        ValueError: an unknown task or cell; a size or lag below 1.
    """
    sizes = TASKS[check_choice("task", task, TASKS)]
    network, start, without = CONTENDERS[check_choice("cell", cell, CONTENDERS)]
    opened = math.log(check_count("lag", lag))
    options: dict[str, Any] = {"without": without} if without else {}
    if network is LSTM and start == "open":
        options["forget_bias"] = 0.0  # opened below
    model = LastOutput(network(sizes.input_size, hidden_size, **options), sizes.output_size)
    first: Any = model.network.cells[0]
    with torch.no_grad():
        if start == "open":
            rows = ("r", "z", "n") if network is GRU else first.rows
            for gate, bias in zip(rows, first.b.chunk(len(rows)), strict=True):
                bias.add_({"f": opened, "z": opened, "i": -opened}.get(gate, 0.0))
        if start == "orthogonal":
            nn.init.orthogonal_(first.W_hh)
            nn.init.zeros_(first.b_h)
    return model


def equal_sizes(task: str, hidden_size: int) -> dict[str, tuple[int, int]]:
    """For each cell, the hidden size whose parameters come nearest to an LSTM's of `hidden_size`, and their number.

    Args:
        task: a key of `TASKS`; its inputs and outputs have weights too.
        hidden_size: m of the LSTM.
    """
    wanted = _parameters(task, "LSTM", check_count("hidden_size", hidden_size))
    nearest = {}
    for cell in CONTENDERS:
        m = min(range(1, 3 * hidden_size + 1), key=lambda m: abs(_parameters(task, cell, m) - wanted))
        nearest[cell] = m, _parameters(task, cell, m)
    return nearest


@functools.cache
def _parameters(task: str, cell: str, hidden_size: int) -> int:
    with torch.device("meta"):  # shapes only
        return sum(weight.numel() for weight in build(task, cell, hidden_size).parameters())


@dataclass(frozen=True)
class Rules:
    """What holds for everybody.

    Attributes:
        updates: the most that a model gets.
        batch_size: B, fresh examples an update.
        check_every: after so many updates the validation examples are scored, and who reaches `Task.enough` stops.
        validation: how many examples decide on that.
        held_out: how many others give the score that is reported.
        clip_norm: the largest norm of a gradient.
    """

    updates: int = 1000
    batch_size: int = 32
    check_every: int = 25
    validation: int = 200
    held_out: int = 2000
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        for name in ("updates", "batch_size", "check_every", "validation", "held_out"):
            check_count(name, getattr(self, name))
        check_number("clip_norm", self.clip_norm, above=0)


class Outcome(NamedTuple):
    """How each model did, in the order of the seeds."""

    score: list[float]  # on held-out examples
    updates: list[int]  # after which it stopped
    seconds: float  # of one update of all models together, the median


def compete(
    task: str,
    cell: str,
    lag: int,
    hidden_size: int,
    seeds: Sequence[int],
    rates: float | Sequence[float],
    rules: Rules | None = None,
    *,
    race: bool = False,
) -> Outcome:
    """Train one cell on one task at one lag, all seeds side by side, with Adam, and score it on held-out examples.

    Args:
        task: a key of `TASKS`.
        cell: a key of `CONTENDERS`.
        lag: steps between the oldest input that is needed and the last one.
        hidden_size: m, for example from `equal_sizes`.
        seeds: S whole numbers; each gives the initial weights of one model.
        rates: the learning rate, one for all or one for each seed.
        rules: what holds for everybody; None takes the defaults of `Rules`.
        race: end for all as soon as every seed of one learning rate has solved it, and score on validation examples.

    Raises:
        ValueError: an unknown task or cell, no seeds, or rates that are not as many as the seeds.
        FloatingPointError: a loss that is not a number.

    Used in chapter 08; tested against each seed on its own and against training with `torch.optim.Adam`.
    """
    rules = rules or Rules()
    goal = TASKS[check_choice("task", task, TASKS)]
    each = list(rates) if isinstance(rates, Sequence) else [rates] * len(seeds)
    each = [check_number("rates", one, above=0) for one in each]
    if len(each) != len(seeds):
        raise ValueError(f"rates: expected one number or {len(seeds)}, one for each seed, got {len(each)}")

    def examples(how_many: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, y = goal.make(how_many, lag, generator)
        return x if x.is_floating_point() else one_hot(x, goal.input_size), y

    model = stack_seeds(lambda: build(task, cell, hidden_size, lag), seeds)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
    rate = torch.tensor(each)  # (S,)
    fields = [rate == one for one in set(each)] if race else [...]  # who must be through for all to stop
    drawn = torch.Generator().manual_seed(1000 + lag)
    x_check, y_check = examples(rules.validation, torch.Generator().manual_seed(2))
    stopped, seconds = torch.zeros(len(seeds), dtype=torch.long), []
    for update in range(1, rules.updates + 1):
        x, y = examples(rules.batch_size, drawn)
        begun = time.perf_counter()
        optimizer.zero_grad()
        loss = goal.loss(model(x), y)  # (S,)
        loss.sum().backward()
        if not loss.isfinite().all():
            raise FloatingPointError(f"update {update}: expected finite losses, got {loss.tolist()}")
        clip_gradient(model, rules.clip_norm)
        _step(optimizer, model, rate)
        seconds.append(time.perf_counter() - begun)
        if update % rules.check_every == 0:
            with torch.no_grad():
                solved = goal.reaches(goal.score(model(x_check), y_check), goal.enough)
            stopped[solved & (stopped == 0)] = update
            rate[solved] = 0.0  # from here on it stands still
            if any(bool(stopped[those].all()) for those in fields):
                break
    stopped[stopped == 0] = update
    if not race:  # what decides on a learning rate is not what is reported
        x_check, y_check = examples(rules.held_out, torch.Generator().manual_seed(1))
    with torch.no_grad():
        score = goal.score(model(x_check), y_check)
    scores = [round(number, 4) for number in score.tolist()]
    return Outcome(scores, stopped.tolist(), statistics.median(seconds))


@torch.no_grad()
def _step(optimizer: torch.optim.Optimizer, model: nn.Module, rate: Tensor) -> None:
    """Adam's step of 1, of which each model goes the share that is its learning rate."""
    before = [weight.clone() for weight in model.parameters()]
    optimizer.step()
    for weight, old in zip(model.parameters(), before, strict=True):
        weight.copy_(old.lerp(weight, rate.view(-1, 1, 1)))  # weights are (S, out, in)
