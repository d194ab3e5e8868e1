r"""The steps of an LSTM through one stretch of times, forwards and backwards, by torch's own operators.

With $s_t = \sigma(-2 a_C)$ for the candidate and $K_t = -2 C_t$,

$$K_t = f_t \odot K_{t-1} + i_t \odot (4 s_t - 2), \qquad h_t = o_t \odot (1 - 2\sigma(K_t)).$$

n times of one stretch, B rows, m numbers in each state; delta_t is the loss's derivative with respect to the
pre-activations at t, a quarter of it for the candidate: the weights that it meets are multiplied by 4.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor, Tensor], Tensor]  # see `_products.adding_product`

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # d * s * (1 - s), in one pass


def forward(gates: Tensor, h: Tensor, K: Tensor, h_before: Tensor | None, add_recurrent: Product) -> None:
    """The steps of one stretch: pre-activations without their recurrent part become gates, and both states are made.

    Args:
        gates: pre-activations, overwritten by i, f, s, o, (n, B, 4m).
        h: the hidden states, written here, (n, B, m).
        K: the first is the cell state before the stretch, the others are written here, (n + 1, B, m).
        h_before: the hidden state before the stretch, (B, m); None is zeros.
        add_recurrent: adds the product with $W_h$.
    """
    K_before, s_K = K[0], torch.empty_like(K[0])
    for gates_t, i_t, f_t, s_t, o_t, h_t, K_t in zip(
        gates.unbind(0), *(gate.unbind(0) for gate in gates.chunk(4, dim=-1)), h.unbind(0), K[1:].unbind(0),
        strict=True,
    ):  # fmt: skip
        a_t = gates_t if h_before is None else add_recurrent(h_before, gates_t, gates_t)
        torch.sigmoid(a_t, out=gates_t)  # (B, 4m)
        torch.mul(f_t, K_before, out=K_t).addcmul_(i_t, s_t, value=4).sub_(i_t, alpha=2)
        torch.sigmoid(K_t, out=s_K)
        torch.addcmul(o_t, o_t, s_K, value=-2, out=h_t)
        h_before, K_before = h_t, K_t


def backward(
    delta: Tensor, gates: Tensor, h: Tensor, K: Tensor, d_h: Tensor, d_K: Tensor, delta_after: Tensor | None,
    add_from_later: Product,
) -> None:  # fmt: skip
    r"""The steps of one stretch, backwards.

    Args:
        delta: written here, (n, B, 4m); a quarter of it in the candidate's columns.
        gates: i, f, s, o of the stretch, (n, B, 4m).
        h: its hidden states, (n, B, m).
        K: the cell state before it, and its own, (n + 1, B, m).
        d_h: what the loss itself asks of each hidden state, (n, B, m).
        d_K: $\partial L/\partial K$ of the last time as far as it comes from later, (B, m); changed into that of the
            time before the stretch.
        delta_after: of the time after the stretch, (B, 4m); None where there is none.
        add_from_later: adds the product with $W_h^\top$.
    """
    slope = _local(delta, gates, h, K)
    written, sum_ = delta.unflatten(-1, (4, -1))[:, :, :3], torch.empty_like(d_K)  # what C_t depends on
    shown, f = delta.chunk(4, dim=-1)[3], gates.chunk(4, dim=-1)[1]
    for d_h_t, delta_t, written_t, shown_t, slope_t, f_t in zip(
        *(reversed(each.unbind(0)) for each in (d_h, delta, written, shown, slope, f)), strict=True
    ):
        if delta_after is not None:  # dL/dh_t = what the loss asks of h_t + what step t+1 asks of it
            d_h_t = add_from_later(delta_after, d_h_t, sum_)
        d_K.addcmul_(d_h_t, slope_t, value=-2)  # dL/dK_t: by the highway from later, and through h_t
        written_t.mul_(d_K.unsqueeze(1))
        shown_t.mul_(d_h_t)
        d_K.mul_(f_t)  # what reaches K_{t-1} on the highway
        delta_after = delta_t


def _local(local: Tensor, gates: Tensor, h: Tensor, K: Tensor) -> Tensor:
    r"""The derivatives of one step that need no other, for all times of a stretch at once.

    Of $K_t$ by the pre-activations of i, f and the candidate (a quarter of that), and of $h_t$ by that of o, all
    written into `local`, (n, B, 4m). For o it is $\tanh(C_t)\, o (1 - o) = h - h o$.

    Returns:
        $\partial h_t/\partial K_t$, divided by -2, (n, B, m).
    """
    i, f, s, o = gates.chunk(4, dim=-1)
    by_i, by_f, by_s, by_o = local.chunk(4, dim=-1)
    torch.add(s.new_full((), -2), s, alpha=4, out=by_i)  # -2 times the candidate
    _sigmoid_backward(by_i, i, grad_input=by_i)
    _sigmoid_backward(K[:-1], f, grad_input=by_f)
    _sigmoid_backward(i, s, grad_input=by_s)
    torch.addcmul(h, h, o, value=-1, out=by_o)
    s_K = torch.sigmoid(K[1:])
    return _sigmoid_backward(o, s_K, grad_input=s_K)
