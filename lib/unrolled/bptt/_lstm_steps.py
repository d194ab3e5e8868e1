r"""The steps of an LSTM through one stretch of times, forwards and backwards, by torch's own operators.

$$C_t = f_t \odot C_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh(C_t).$$

n times of one stretch, B rows, m numbers in each state. The gates stand in the order o, i, f, g: the three that are
sigmoids side by side, and the three that the cell state is made of; delta_t is the loss's derivative with respect to
the pre-activations at t.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor, Tensor], Tensor]  # see `_products.adding_product`

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # d * s * (1 - s), in one pass
_tanh_backward = torch.ops.aten.tanh_backward.grad_input  # d * (1 - t * t)


def forward(gates: Tensor, h: Tensor, C: Tensor, h_before: Tensor | None, add_recurrent: Product) -> None:
    """The steps of one stretch: pre-activations without their recurrent part become gates, and both states are made.

    Args:
        gates: pre-activations, overwritten by o, i, f, g, (n, B, 4m).
        h: the hidden states, written here, (n, B, m).
        C: the first is the cell state before the stretch, the others are written here, (n + 1, B, m).
        h_before: the hidden state before the stretch, (B, m); None is zeros.
        add_recurrent: adds the product with $W_h$.
    """
    m, C_before = h.shape[-1], C[0]
    for gates_t, sigmoids_t, o_t, i_t, f_t, g_t, h_t, C_t in zip(
        gates.unbind(0), gates[..., : 3 * m].unbind(0), *(gate.unbind(0) for gate in gates.chunk(4, dim=-1)),
        h.unbind(0), C[1:].unbind(0), strict=True,
    ):  # fmt: skip
        if h_before is not None:
            a_t = add_recurrent(h_before, gates_t, gates_t)
            if a_t is not gates_t:
                gates_t.copy_(a_t)
        sigmoids_t.sigmoid_()  # (B, 3m)
        g_t.tanh_()
        torch.mul(f_t, C_before, out=C_t).addcmul_(i_t, g_t)
        torch.tanh(C_t, out=h_t).mul_(o_t)
        h_before, C_before = h_t, C_t


def backward(
    delta: Tensor, gates: Tensor, C: Tensor, d_h: Tensor, d_C: Tensor, delta_after: Tensor | None,
    add_from_later: Product,
) -> None:  # fmt: skip
    r"""The steps of one stretch, backwards.

    Args:
        delta: written here, (n, B, 4m).
        gates: o, i, f, g of the stretch, (n, B, 4m).
        C: the cell state before it, and its own, (n + 1, B, m).
        d_h: what the loss itself asks of each hidden state, (n, B, m).
        d_C: $\partial L/\partial C$ of the last time as far as it comes from later, (B, m); changed into that of the
            time before the stretch.
        delta_after: of the time after the stretch, (B, 4m); None where there is none.
        add_from_later: adds the product with $W_h^\top$.
    """
    slope = _local(delta, gates, C)
    written, sum_ = delta.unflatten(-1, (4, -1))[:, :, 1:], torch.empty_like(d_C)  # what C_t depends on
    shown, f = delta.chunk(4, dim=-1)[0], gates.chunk(4, dim=-1)[2]
    for d_h_t, delta_t, written_t, shown_t, slope_t, f_t in zip(
        *(reversed(each.unbind(0)) for each in (d_h, delta, written, shown, slope, f)), strict=True
    ):
        if delta_after is not None:  # dL/dh_t = what the loss asks of h_t + what step t+1 asks of it
            d_h_t = add_from_later(delta_after, d_h_t, sum_)
        d_C.addcmul_(d_h_t, slope_t)  # dL/dC_t: by the highway from later, and through h_t
        written_t.mul_(d_C.unsqueeze(1))
        shown_t.mul_(d_h_t)
        d_C.mul_(f_t)  # what reaches C_{t-1} on the highway
        delta_after = delta_t


def _local(local: Tensor, gates: Tensor, C: Tensor) -> Tensor:
    r"""The derivatives of one step that need no other, for all times of a stretch at once.

    Of $C_t$ by the pre-activations of i, f and g, and of $h_t$ by that of o, all written into `local`, (n, B, 4m).

    Returns:
        $\partial h_t/\partial C_t$, (n, B, m).
    """
    o, i, f, g = gates.chunk(4, dim=-1)
    by_o, by_i, by_f, by_g = local.chunk(4, dim=-1)
    tanh_C = torch.tanh(C[1:])
    _sigmoid_backward(tanh_C, o, grad_input=by_o)
    _sigmoid_backward(g, i, grad_input=by_i)
    _sigmoid_backward(C[:-1], f, grad_input=by_f)
    _tanh_backward(i, g, grad_input=by_g)
    return _tanh_backward(o, tanh_C, grad_input=tanh_C)
