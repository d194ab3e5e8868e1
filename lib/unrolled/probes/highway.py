r"""Measures how far back the memory of a gated cell reaches. Returns numbers, never draws.

What a gated cell keeps is multiplied by a gate at every step: $C_t = f_t \odot C_{t-1} + \ldots$ in an LSTM,
$h_t = z_t \odot h_{t-1} + \ldots$ in a GRU. The derivative of the last memory with respect to an earlier one has a
part along that line alone, all gates held, and parts that run through the gates of later steps; both stand here, by
lag. Everything runs on the device of its inputs, and for stacked seeds where a leading `...` stands.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from unrolled._check import check_choice, check_tensor
from unrolled.cells import GATES, GRUCell, LSTMCell
from unrolled.networks import unroll

METHODS = ("product", "autograd")


class GateStatistics(NamedTuple):
    """What one gate did over all rows, times and units that were measured."""

    mean: float
    closed: float  # share below the lower limit
    open: float  # share above the upper limit


def _memory(cell: Any) -> tuple[str, str]:
    """The names, in a trace, of what a cell keeps and of the gate it keeps it by."""
    if isinstance(cell, LSTMCell):
        return "C", "f"
    if isinstance(cell, GRUCell):
        return "h", "z"
    raise TypeError(f"cell: expected an LSTMCell or a GRUCell, got {type(cell).__name__}")


@torch.enable_grad()
def direct_path(
    cell: Any, x: Float[Tensor, "... B T P"], state: Any = None, *, method: str = "product"
) -> Float[Tensor, "... B lags m"]:
    r"""$\partial C_T / \partial C_{T-k}$ along the cell state alone, with every gate held, by lag k = 0 … T.

    Each unit keeps its own memory, so the derivative is diagonal, and its diagonal is a product of forget gates:

    $$\frac{\partial C_T}{\partial C_{T-k}}\bigg|_{\text{gates held}} = \prod_{s = T-k+1}^{T} f_s .$$

    Args:
        cell: an `LSTMCell`; or a `GRUCell`, whose memory is h and whose gate is z.
        x: inputs, (B, T, P).
        state: the state before the first step; None is zeros.
        method: `"product"` multiplies the gates; `"autograd"` runs the memory again with the gates as constants and
            differentiates that.

    Returns:
        (B, T+1, m): entry [k, j] for unit j at lag k; entry 0 is 1.

    Raises:
        TypeError, ValueError: an argument of the wrong type, rank or size, by name.

    Source: Hochreiter and Schmidhuber (1997), whose cell had no forget gate and so a product of ones. Taught in
    chapter 07; the two methods are tested against each other and against finite differences.
    """
    check_choice("method", method, METHODS)
    kept, gate = _memory(cell)
    with torch.no_grad():
        _, _, trace = unroll(cell, x, state)
    keep = trace[gate]  # (B, T, m)
    if method == "product":
        ones = torch.ones_like(keep[..., :1, :])
        return torch.cat([ones, keep.flip(-2)], dim=-2).cumprod(dim=-2)
    first = _first(cell, x, state, kept)
    memory = torch.cat([first.unsqueeze(-2), trace[kept]], dim=-2)  # (B, T+1, m)
    written = memory[..., 1:, :] - keep * memory[..., :-1, :]  # what each step added, held as it was
    line = [first.requires_grad_()]
    for keep_t, written_t in zip(keep.unbind(-2), written.unbind(-2), strict=True):
        line.append(keep_t * line[-1] + written_t)
    # Units do not mix on this line, so one backward pass of their sum gives every unit its own derivative.
    return torch.stack(torch.autograd.grad(line[-1].sum(), line), dim=-2).flip(-2)


@torch.enable_grad()
def total_derivative(
    cell: Any, x: Float[Tensor, "... B T P"], state: Any = None
) -> Float[Tensor, "... B lags m m"]:
    r"""$\partial C_T / \partial C_{T-k}$ in full, through every later gate too, by lag k = 0 … T.

    $C_t$ acts in two ways: it is kept, which is the direct path, and it moves $h_t = o_t \odot \tanh(C_t)$, which every
    gate of step t+1 reads. $o_t$ is held, since it is made before $C_t$.

    Args:
        cell: an `LSTMCell`; or a `GRUCell`, whose memory is h.
        x: inputs, (B, T, P).
        state: the state before the first step, whose parts are moved each on its own; None is zeros.

    Returns:
        (B, T+1, m, m): at lag k, row i for unit i of $C_T$; lag 0 is the identity. At lag T it is $C_0$ that moves,
        and $h_0$, which is given and not made from it, stays.

    Raises:
        TypeError, ValueError: an argument of the wrong type, rank or size, by name.

    Taught in chapter 07; tested against finite differences and against the matrices of the formula.
    """
    kept, _ = _memory(cell)
    check_tensor("x", x, "... B T P", P=cell.input_size)
    first = _first(cell, x, state, kept).requires_grad_()
    state = cell.initial_state(x.shape[-3]) if state is None else state
    state = state._replace(**{kept: first})
    line = [first]
    for x_t in x.detach().unbind(-2):
        _, state = cell(x_t, state)
        line.append(getattr(state, kept))
    m = cell.hidden_size
    # One backward pass for each unit of C_T, all of them side by side.
    each = torch.eye(m, dtype=first.dtype, device=first.device)
    asked = each.view(m, *[1] * (first.dim() - 1), m).expand(m, *first.shape)
    rows = torch.autograd.grad(line[-1], line, asked, is_grads_batched=True)  # (m, B, m) for each time
    return torch.stack([row.movedim(0, -2) for row in reversed(rows)], dim=-3)


def _first(cell: Any, x: Tensor, state: Any, kept: str) -> Tensor:
    """A copy of the memory before the first step, as a leaf."""
    state = cell.initial_state(x.shape[-3]) if state is None else cell.check_state(state, x.shape[-3])
    return getattr(state, kept).detach().clone()


def gate_statistics(
    trace: dict[str, Tensor], *, closed: float = 0.1, open: float = 0.9
) -> dict[str, GateStatistics]:
    """How far open each gate stood: its mean, and the shares of it that were nearly closed and nearly open.

    Args:
        trace: what `unroll` returned for a gated cell, each (…, B, T, m).
        closed: below this a gate counts as closed.
        open: above this a gate counts as open.

    Returns:
        One `GateStatistics` for each gate in the trace: i, f, o of an LSTM, r, z of a GRU.

    Raises:
        ValueError: not 0 < closed < open < 1; a trace without gates.

    Source: after Karpathy et al. (2016). Taught in chapter 07.
    """
    if not 0 < closed < open < 1:
        raise ValueError(f"closed, open: expected 0 < closed < open < 1, got {closed!r} and {open!r}")
    names = [name for name in (*GATES, "r", "z") if name in trace and name != "g"]
    if not names:
        raise ValueError(
            f"trace: expected the gates of an LSTM or a GRU, got {', '.join(trace) or 'nothing'}"
        )

    def share(where: Tensor) -> float:
        return float(where.detach().double().mean())

    return {
        name: GateStatistics(share(trace[name]), share(trace[name] < closed), share(trace[name] > open))
        for name in names
    }
