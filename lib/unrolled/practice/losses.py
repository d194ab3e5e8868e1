"""Checkers of losses over sequences, and of the step that makes backpropagation truncated."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled.cells import RNNCell, detach
from unrolled.networks import unroll
from unrolled.practice._verdict import Verdict, judge, random

_B, _T, _G, _P, _m = 3, 4, 5, 2, 6


def check_sequence_loss(sequence_loss: Callable[..., Tensor]) -> Verdict:
    """Judge a reader's cross-entropy of many to many: the mean over the batch and over time.

    Args:
        sequence_loss: called as `sequence_loss(logits, targets)` with logits (B, T, G) and targets (B, T), the numbers
            of the right classes; gives one number.

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 01.
    """

    def right(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def each(logits: Tensor, targets: Tensor, dim: int = -1) -> Tensor:
        return -torch.log_softmax(logits, dim=dim).gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # (B, T)

    slips: dict[str, Callable[..., Tensor]] = {
        "a sum stands where the mean should": lambda logits, targets: each(logits, targets).sum(),
        "summed over time, and only the batch is averaged": lambda logits, targets: (
            each(logits, targets).sum(1).mean()
        ),
        "summed over the batch, and only time is averaged": lambda logits, targets: (
            each(logits, targets).sum(0).mean()
        ),
        "only the last time is scored": lambda logits, targets: each(logits, targets)[:, -1].mean(),
        "off by one: the logits of a time belong to the target of the same time": lambda logits, targets: (
            each(logits[:, :-1], targets[:, 1:]).mean()
        ),
        "the sign is turned round: the loss is minus the log-probability": lambda logits, targets: (
            -each(logits, targets).mean()
        ),
        "the softmax runs over time, not over the classes": lambda logits, targets: each(
            logits, targets, 1
        ).mean(),
        "the log is missing": lambda logits, targets: -torch.exp(-each(logits, targets)).mean(),
        "the softmax is missing": lambda logits, targets: -logits.gather(-1, targets.unsqueeze(-1)).mean(),
        "the softmax is taken twice: F.cross_entropy takes logits": lambda logits, targets: right(
            torch.softmax(logits, dim=-1), targets
        ),
    }
    targets = torch.randint(_G, (_B, _T), generator=torch.Generator().manual_seed(0))
    return judge(sequence_loss, right, [{"logits": random()(_B, _T, _G), "targets": targets}], slips)


def check_truncated_step(truncated_step: Callable[..., tuple[Tensor, Any]]) -> Verdict:
    """Judge a reader's chunk of truncated backpropagation: the state goes on, its history does not.

    Args:
        truncated_step: called as `truncated_step(cell, x, y, state)` with a cell of `unrolled.cells`, one chunk x
            (B, T, P), targets y (B, T, m) of its states, and the state that the last chunk left, or None; gives the
            mean squared error of the chunk's states and the state after it. `unrolled.networks.unroll` runs a chunk.

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 06.
    """

    def right(cell: Any, x: Tensor, y: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, state, _ = unroll(cell, x, None if state is None else detach(state))
        return (h - y).square().mean(), state

    def sums(cell: Any, x: Tensor, y: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, state, _ = unroll(cell, x, None if state is None else detach(state))
        return (h - y).square().sum(), state

    def never_detached(cell: Any, x: Tensor, y: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, state, _ = unroll(cell, x, state)
        return (h - y).square().mean(), state

    def reset(cell: Any, x: Tensor, y: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, state, _ = unroll(cell, x)
        return (h - y).square().mean(), state

    def handed_back(cell: Any, x: Tensor, y: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, last, _ = unroll(cell, x, None if state is None else detach(state))
        return (h - y).square().mean(), last if state is None else state

    def outputs_detached(cell: Any, x: Tensor, y: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, state, _ = unroll(cell, x, None if state is None else detach(state))
        return (h.detach() - y).square().mean() + 0 * h.sum(), state

    def over_chunks(step: Callable[..., Any]) -> Callable[..., Any]:
        """Three chunks one after another: their losses, and the last one's gradients of the weights."""

        def run(x: Tensor, y: Tensor, W_xh: Tensor, W_hh: Tensor) -> Any:
            cell = RNNCell(_P, _m, dtype=torch.float64)
            with torch.no_grad():
                cell.W_xh.copy_(W_xh)
                cell.W_hh.copy_(W_hh)
                cell.b_h.zero_()
            state, found = None, []
            for x_chunk, y_chunk in zip(x.split(_T, dim=1), y.split(_T, dim=1), strict=True):
                made = step(cell, x_chunk, y_chunk, state)
                if made is None or made is Ellipsis:
                    return None
                loss, state = made
                gradients = torch.autograd.grad(loss, list(cell.parameters()), retain_graph=True)
                found += [loss, *gradients]
            return tuple(found)

        run.__name__ = getattr(step, "__name__", "it")
        return run

    slips = {
        "the state's history is not cut: detach it before the chunk reads it": never_detached,
        "every chunk starts from zeros: go on from the state that is given": reset,
        "the state that came in is handed back: give the one after the chunk": handed_back,
        "a sum stands where the mean should": sums,
        "the outputs are detached: only the state that comes in is cut": outputs_detached,
    }
    draw = random()
    case = {
        "x": draw(_B, 3 * _T, _P),
        "y": draw(_B, 3 * _T, _m),
        "W_xh": draw(_m, _P),
        "W_hh": draw(_m, _m) / 2,
    }
    return judge(
        over_chunks(truncated_step), over_chunks(right), [case],
        {sentence: over_chunks(slip) for sentence, slip in slips.items()}, gradients=False, against="the loop",
    )  # fmt: skip
