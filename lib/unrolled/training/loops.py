"""Training: one configuration, one update, and the two loops of the book.

`fit` takes batches that have nothing to do with each other. `train` reads one long sequence by truncated
backpropagation through time: the state is carried from chunk to chunk and its history is cut.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from unrolled._check import check_choice, check_count, check_ids, check_number, check_tensor, is_finite
from unrolled.cells import detach
from unrolled.data import stream_chunks
from unrolled.data.vocabulary import check_range
from unrolled.models.language import evaluating

OPTIMIZERS: dict[str, Any] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class Config:
    """How to train.

    Attributes:
        updates: how many times the weights are changed.
        learning_rate: the optimiser's step size.
        optimizer: `"adam"` or `"sgd"`.
        clip_norm: the largest norm a gradient may have before it is scaled down; None leaves it alone.
        batch_size: B, rows read side by side (`train`).
        num_steps: T, length of a chunk, and so how far back a gradient reaches (`train`).

    Raises:
        TypeError, ValueError: a field of the wrong type or range, by name.
    """

    updates: int = 300
    learning_rate: float = 0.01
    optimizer: str = "adam"
    clip_norm: float | None = 1.0
    batch_size: int = 32
    num_steps: int = 25

    def __post_init__(self) -> None:
        check_count("updates", self.updates)
        check_count("batch_size", self.batch_size)
        check_count("num_steps", self.num_steps)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_number("learning_rate", self.learning_rate, above=0)
        if self.clip_norm is not None:
            check_number("clip_norm", self.clip_norm, above=0)


class History(NamedTuple):
    """What a run wrote down at each update; with stacked seeds each entry is a list of S numbers."""

    loss: list[Any]
    gradient_norm: list[Any]  # before clipping


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over batch and time; with stacked seeds one mean for each seed, (S,).

    Args:
        logits: (…, B, V) or (…, B, T, V).
        targets: (B,) or (B, T), numbers from 0 to V - 1.

    Raises:
        TypeError, ValueError: targets that are no whole numbers, of another shape, or out of range.

    The mean, not the sum, so that a loss does not grow with T; chapter 02 shows what that changes.
    """
    check_tensor("logits", logits, "... B V")
    shape = tuple(logits.shape[:-1])
    check_ids("targets", targets, "...")
    if tuple(targets.shape) not in (shape, shape[1:]) or not targets.dim():
        raise ValueError(f"targets: expected shape {shape}, got {tuple(targets.shape)}")
    check_range(targets, logits.shape[-1], "targets")
    expanded = targets.long().expand(shape)
    each = F.cross_entropy(logits.flatten(0, -2), expanded.flatten(), reduction="none").view(shape)
    return each.mean() if each.dim() == targets.dim() else each.flatten(1).mean(dim=1)


def clip_gradient(model: nn.Module, max_norm: float | None) -> Tensor:
    """Scale the gradient down to `max_norm` where its norm is larger; with stacked seeds, each model's own.

    Args:
        model: a model after `backward`.
        max_norm: the largest norm to leave alone; None scales nothing.

    Returns:
        The norm before scaling: one number, or (S,).

    Raises:
        ValueError: `max_norm` is not above 0, or there are no gradients.
        FloatingPointError: the norm is not a finite number, so that no scale would bring it to `max_norm`.

    Source: Pascanu et al. (2013). Taught in chapter 04.
    """
    if max_norm is not None:
        check_number("max_norm", max_norm, above=0)
    lead = 1 if hasattr(model, "num_seeds") else 0
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    if not gradients:
        raise ValueError("model: expected gradients, got none: call backward first")
    norm = torch.stack([g.flatten(lead).square().sum(dim=-1) for g in gradients]).sum(dim=0).sqrt()
    if max_norm is not None:
        if not is_finite(norm):
            raise FloatingPointError(f"model: expected a gradient of finite norm, got {_numbers(norm)}")
        scale = (max_norm / norm).clamp(max=1.0)
        for g in gradients:
            g.mul_(scale.view(-1, *[1] * (g.dim() - 1)) if lead else scale)
    return norm


def _update(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, config: Config, step: int
) -> Tensor:
    """One change of the weights. Seeds never mix: the gradient of a sum of losses is each one's own."""
    optimizer.zero_grad()
    loss.sum().backward()
    norm = clip_gradient(model, None)
    if not (is_finite(loss) and is_finite(norm)):
        raise FloatingPointError(
            f"update {step}: the loss is {_numbers(loss)} and the gradient's norm {_numbers(norm)}; "
            f"try a smaller learning_rate than {config.learning_rate}, or clip_norm=1.0 (it is {config.clip_norm})"
        )
    clip_gradient(model, config.clip_norm)
    optimizer.step()
    return norm


def _numbers(value: Tensor) -> Any:
    return value.detach().tolist()


def _run(model: nn.Module, losses: Iterator[Tensor], config: Config, progress: bool | None) -> History:
    history = History([], [])
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.learning_rate)
    if progress is None:
        progress = os.environ.get("UNROLLED_PROGRESS") != "0"
    with tqdm(total=config.updates, disable=not progress, leave=False, unit="update") as bar:
        for step in range(1, config.updates + 1):
            loss = next(losses)
            norm = _update(model, optimizer, loss, config, step)
            history.loss.append(_numbers(loss))
            history.gradient_norm.append(_numbers(norm))
            bar.update()
            bar.set_postfix(loss=f"{float(loss.detach().mean()):.3f}", refresh=False)
    return history


def fit(
    model: nn.Module,
    batches: Iterable[Any] | Callable[[], Any],
    loss: Callable[..., Tensor],
    config: Config | None = None,
    *,
    progress: bool | None = None,
) -> History:
    """Train on batches that stand alone.

    Args:
        model: the model to change.
        batches: a function that makes a fresh batch at each call, or batches to go round and round.
        loss: called as `loss(model, *batch)`; gives one number, or one for each stacked seed.
        config: how to train; None takes the defaults of `Config`.
        progress: show a progress bar; None shows one unless `UNROLLED_PROGRESS=0`.

    Returns:
        The loss and the gradient's norm at each update.

    Raises:
        ValueError: no batches.
        FloatingPointError: the loss or the gradient is not a number; the message says what to try.

    Taught in chapter 01.
    """
    config = config or Config()
    if callable(batches):
        make = batches
        stream: Iterator[Any] = iter(lambda: make(), object())
    else:
        kept = list(batches)
        if not kept:
            raise ValueError("batches: expected at least one batch, got none")
        stream = (kept[i % len(kept)] for i in range(config.updates))
    model.train()
    return _run(model, (loss(model, *batch) for batch in stream), config, progress)


def train(
    model: nn.Module, ids: Int[Tensor, " N"], config: Config | None = None, *, progress: bool | None = None
) -> History:
    """Train a character model on one long sequence by truncated BPTT, from the start again when it is read through.

    Args:
        model: called as `logits, state = model(x, state)`.
        ids: the numbers of the characters, (N,).
        config: how to train; None takes the defaults of `Config`.
        progress: show a progress bar; None shows one unless `UNROLLED_PROGRESS=0`.

    Returns:
        The loss (nats per character) and the gradient's norm at each update.

    Source: Williams and Peng (1990). Taught in chapters 02 and 06.
    """
    config = config or Config()

    def losses() -> Iterator[Tensor]:
        while True:
            state = None
            for x, y in stream_chunks(ids, config.batch_size, config.num_steps):
                state = None if state is None else detach(state)  # the truncation: same numbers, no history
                logits, state = model(x, state)  # (B, T, V)
                yield cross_entropy(logits, y)

    model.train()
    return _run(model, losses(), config, progress)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    ids: Int[Tensor, " N"],
    *,
    batch_size: int = 1,
    num_steps: int = 256,
    window: int | None = None,
) -> Any:
    """Mean loss over a whole sequence, in nats per character.

    Args:
        model: called as `logits, state = model(x, state)`.
        ids: the numbers of the characters, (N,).
        batch_size: rows read side by side, each from a state of zeros; more is faster and a little pessimistic.
        num_steps: characters read at a time; changes the memory, not the answer.
        window: None carries the state from chunk to chunk, through the whole sequence. A number w cuts the sequence
            into windows that stand alone, as a model without a state must read: the k-th starts from zeros at
            character k w, reads w characters and predicts each one's next, so that a prediction rests on at least 1
            and at most w characters. Each of the N - 1 characters after the first is predicted once, as with the state
            carried. Here `batch_size` windows are read side by side, which does not change the answer.

    Returns:
        One number, or a list of S with stacked seeds.

    Raises:
        ValueError: fewer than batch_size + 1 characters, or in windows fewer than 2.
    """
    check_ids("ids", ids, "N")
    total, count, state = torch.zeros(()), 0, None
    carried = window is None
    chunks = (
        stream_chunks(ids, batch_size, num_steps) if window is None else _windows(ids, window, batch_size)
    )
    with evaluating(model):
        for x, y in chunks:
            logits, state = model(x, state if carried else None)
            total = total + cross_entropy(logits, y).double() * y.numel()
            count += y.numel()
    return _numbers(total / count)


def _windows(ids: Tensor, window: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets of windows that do not overlap, B at a time; the last window may be shorter."""
    check_count("batch_size", batch_size)
    whole = (ids.shape[0] - 1) // check_count("window", window) * window
    if ids.shape[0] < 2:
        raise ValueError(f"ids: expected at least 2 characters, got {ids.shape[0]}")
    if whole:
        x, y = ids[:whole].view(-1, window), ids[1 : whole + 1].view(-1, window)
        yield from zip(x.split(batch_size), y.split(batch_size), strict=True)
    if ids.shape[0] - 1 > whole:
        yield ids[None, whole:-1], ids[None, whole + 1 :]
