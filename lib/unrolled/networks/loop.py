"""The loop over time: one cell over one sequence. It is the book's definition of a recurrent network; every faster way
is tested against it.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unrolled._check import check_tensor
from unrolled.cells.cell import batched

Trace = dict[str, Tensor]


def unroll(
    cell: Any, x: Float[Tensor, "... B T P"], state: Any = None, *, reverse: bool = False
) -> tuple[Float[Tensor, "... B T m"], Any, Trace]:
    r"""Apply one cell to every time of a sequence, each step taking up the state the last one left.

    Args:
        cell: a cell of `unrolled.cells`; its weights are used T times.
        x: inputs, (B, T, P); with stacked seeds also (S, B, T, P).
        state: the state before the first step; None starts from the cell's own (zeros).
        reverse: read from the last time to the first; outputs still stand at the time they belong to.

    Returns:
        The outputs h_1 … h_T (B, T, m); the state after the last step; and the trace, everything each step
        computed by name, each (B, T, m): for the vanilla cell the pre-activations `a` and states `h`, for gated
        cells every gate and state.

    Raises:
        TypeError, ValueError: an input or state of the wrong type, rank or size; T = 0.

    Taught in chapter 02; tested against `torch.nn.RNN`.
    """
    W = cell.input_weight
    check_tensor("x", x, batched("B T P", W), like=W, P=cell.input_size)
    B = x.shape[-3]
    state = cell.initial_state(B) if state is None else cell.check_state(state, B)
    steps = list(x.unbind(-2))  # T of (B, P)
    outputs, records = [], []
    for x_t in reversed(steps) if reverse else steps:
        h_t, state, record = cell.traced(x_t, state)
        outputs.append(h_t)
        records.append(record)
    if reverse:
        outputs.reverse()
        records.reverse()
    trace = {name: torch.stack([record[name] for record in records], dim=-2) for name in records[0]}
    return torch.stack(outputs, dim=-2), state, trace
