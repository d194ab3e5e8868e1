r"""Backpropagation through an LSTM, derived by hand. Chapter 06 writes the derivation down; this is it as code.

Two changes of variable leave one activation in the whole network, the sigmoid, which is several times cheaper on a CPU
than tanh: with $\tanh a = 1 - 2\sigma(-2a)$, the candidate's rows of the weights are multiplied by -2 beforehand, and
what is carried is $K_t = -2 C_t$. Then one call makes all four gates of a step, with $s_t = \sigma(-2 a_C)$ in place of
the candidate, and

$$K_t = f_t \odot K_{t-1} + i_t \odot (4 s_t - 2), \qquad h_t = o_t \odot (1 - 2\sigma(K_t)).$$

Sequences are worked through in stretches small enough for a processor's cache: of each stretch the inputs are
projected, and the local derivatives formed, for all its times at once.

Dimensions, time first throughout this module:
    T times, B rows of a batch, P numbers in an input, m numbers in each state.
    x (T, B, P)   h_0, C_0 (B, m)   h (T, B, m)   W_x (4m, P)   W_h (4m, m)   b (4m,)   gates (T, B, 4m): i, f, s, o
    d_... is the loss's derivative with respect to ...; delta_t is that of the pre-activations at t, (B, 4m).
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unrolled._check import check_tensor
from unrolled._products import adding_product
from unrolled.bptt import in_stretches, is_zero, refuse_second_derivatives

__all__ = ["lstm_through_time"]

_ROWS = 512  # B rows a time, of one stretch: its gates, 512 · 4m numbers, stay in the cache

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # d * s * (1 - s), in one pass


def _stretches(T: int, B: int) -> Iterator[tuple[int, int]]:
    """Pairs (first, end) that cover the times 0 … T-1."""
    length = max(1, _ROWS // B)
    return ((first, min(first + length, T)) for first in range(0, T, length))


def _for_sigmoid(weight: Tensor) -> Tensor:
    """A copy of a weight (4m, …) whose rows of the candidate are multiplied by -2."""
    weight = weight.clone(memory_format=torch.contiguous_format)
    weight.chunk(4)[2].mul_(-2)
    return weight


class _LSTMThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, h_0, C_0, W_x, W_h, b):  # type: ignore[no-untyped-def]
        (T, B, P), m = x.shape, h_0.shape[-1]
        # W_x only serves dL/dx, and x only dL/dW_x: what no gradient needs is not kept. The weights are kept as they
        # are, which costs no memory.
        for_x, _, _, for_W_x, *_ = ctx.needs_input_grad
        kept = (x if for_W_x else None, h_0, W_x if for_x else None, W_h)
        W_x, W_h, b = (_for_sigmoid(each) for each in (W_x, W_h, b))
        gates, h, K = x.new_empty(T, B, 4 * m), x.new_empty(T, B, m), x.new_empty(T + 1, B, m)
        torch.mul(C_0, -2, out=K[0])
        add_recurrent, s_K = adding_product(W_h, B), x.new_empty(B, m)
        ctx.from_zero = is_zero(h_0)  # the usual start: its product is nothing, forwards and backwards
        h_before, K_before = None if ctx.from_zero else h_0, K[0]
        for first, end in _stretches(T, B):
            a = torch.addmm(b, x[first:end].reshape(-1, P), W_x.mT).view(-1, B, 4 * m)
            here = gates[first:end]
            for a_t, gates_t, i_t, f_t, s_t, o_t, h_t, K_t in zip(
                a.unbind(0), here.unbind(0), *(gate.unbind(0) for gate in here.chunk(4, dim=-1)),
                h[first:end].unbind(0), K[first + 1 : end + 1].unbind(0), strict=True,
            ):  # fmt: skip
                if h_before is not None:
                    a_t = add_recurrent(h_before, a_t)
                torch.sigmoid(a_t, out=gates_t)  # (B, 4m)
                torch.mul(f_t, K_before, out=K_t).addcmul_(i_t, s_t, value=4).sub_(i_t, alpha=2)
                torch.sigmoid(K_t, out=s_K)
                torch.addcmul(o_t, o_t, s_K, value=-2, out=h_t)
                h_before, K_before = h_t, K_t

        ctx.save_for_backward(*kept, gates, h, K)
        ctx.set_materialize_grads(False)  # an output that no loss reads costs nothing
        return h, h[-1].clone(), K[-1] * -0.5

    @staticmethod
    def backward(ctx, d_h, d_h_T, d_C_T):  # type: ignore[no-untyped-def]
        refuse_second_derivatives()
        x, h_0, W_x, W_h, gates, h, K = ctx.saved_tensors
        if d_h is None and d_h_T is None and d_C_T is None:
            return (None,) * 6
        T, B, m = h.shape
        for_x, for_h_0, for_C_0, for_W_x, for_W_h, for_b = ctx.needs_input_grad
        W_h = _for_sigmoid(W_h)
        add_from_later = adding_product(W_h.mT, B)
        if for_x:
            W_x = _for_sigmoid(W_x)
        d_x = h.new_empty(T, B, W_x.shape[1]) if for_x else None
        # Summed over stretches as they are passed; transposed, which the products are faster in.
        d_W_x = h.new_zeros(x.shape[-1], 4 * m) if for_W_x else None
        d_W_h = h.new_zeros(m, 4 * m) if for_W_h else None
        d_b = h.new_zeros(4 * m) if for_b else None

        d_K = h.new_zeros(B, m) if d_C_T is None else d_C_T * -0.5
        delta_after: Any = None
        for first, end in reversed(list(_stretches(T, B))):
            now, d_h_now = slice(first, end), _asked(d_h, d_h_T if end == T else None, h, first, end)
            delta, slope = _local(gates[now], K[first : end + 1])  # (…, B, 4m), (…, B, m)
            written = delta.unflatten(-1, (4, m))  # what C_t depends on: i, f and the candidate
            for d_h_t, delta_t, written_t, shown_t, slope_t, f_t in zip(
                *(
                    reversed(each.unbind(0))
                    for each in (
                        d_h_now, delta, written[:, :, :3], written[:, :, 3], slope,
                        gates[now].unflatten(-1, (4, m))[:, :, 1],
                    )
                ),
                strict=True,
            ):  # fmt: skip
                if delta_after is not None:  # dL/dh_t = what the loss asks of h_t + what step t+1 asks of it
                    d_h_t = add_from_later(delta_after, d_h_t)
                d_K.addcmul_(d_h_t, slope_t)  # dL/dK_t: by the highway from later, and through h_t
                written_t.mul_(d_K.unsqueeze(1))
                shown_t.mul_(d_h_t)
                d_K.mul_(f_t)  # what reaches K_{t-1} on the highway
                delta_after = delta_t

            # Every use of a weight adds its share.
            rows = delta.view(-1, 4 * m)
            if d_x is not None:
                torch.mm(rows, W_x, out=d_x[now].view(len(rows), -1))
            if d_W_x is not None:
                d_W_x.addmm_(x[now].reshape(len(rows), -1).mT, rows)
            if d_W_h is not None:  # delta_t meets h_{t-1}; that of the first step is h_0
                late = rows if first else rows[B:]
                d_W_h.addmm_(h[max(first - 1, 0) : end - 1].view(-1, m).mT, late)
            if d_b is not None:
                d_b += rows.sum(dim=0)
        if d_W_h is not None and not ctx.from_zero:
            d_W_h.addmm_(h_0.mT, delta_after)
        d_h_0 = delta_after @ W_h if for_h_0 else None
        d_C_0 = d_K * -2 if for_C_0 else None
        # Back to weights without the factor, whose derivative it is too.
        d_W_x, d_W_h = (each if each is None else _for_sigmoid(each.mT) for each in (d_W_x, d_W_h))
        d_b = None if d_b is None else _for_sigmoid(d_b)
        return d_x, d_h_0, d_C_0, d_W_x, d_W_h, d_b


def _asked(d_h: Tensor | None, d_h_T: Tensor | None, h: Tensor, first: int, end: int) -> Tensor:
    """What the loss itself asks of the states of a stretch, in memory of its own."""
    asked = (
        torch.zeros_like(h[first:end])
        if d_h is None
        else d_h[first:end].clone(memory_format=torch.contiguous_format)
    )
    if d_h_T is not None:
        asked[-1] += d_h_T
    return asked


def _local(gates: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    r"""The derivatives of one step that need no other: of $K_t$ by each pre-activation, with $h_t$ for o, and by $h_t$.

    Args:
        gates: i, f, s, o of some times, (…, B, 4m).
        K: from the time before the first of them to the last, one more, (…, B, m).

    Returns:
        $\partial K_t/\partial a$ for i, f and the candidate, $\partial h_t/\partial a$ for o, (…, B, 4m); and
        $\partial h_t/\partial K_t$, (…, B, m).
    """
    i, _, s, o = gates.chunk(4, dim=-1)
    s_K = torch.sigmoid(K[1:])
    local = torch.empty_like(gates)
    by_i, by_f, by_s, by_o = local.chunk(4, dim=-1)
    one = s.new_ones(())
    torch.add(-2 * one, s, alpha=4, out=by_i)  # -2 times the candidate
    by_f.copy_(K[:-1])
    torch.mul(i, 4, out=by_s)
    torch.add(one, s_K, alpha=-2, out=by_o)  # tanh(C_t)
    _sigmoid_backward(local, gates, grad_input=local)
    slope = o * -2
    return local, _sigmoid_backward(slope, s_K, grad_input=slope)


def lstm_through_time(
    x: Float[Tensor, "T B P"],
    h_0: Float[Tensor, "B m"] | None,
    C_0: Float[Tensor, "B m"] | None,
    W_x: Float[Tensor, "gates P"],
    W_h: Float[Tensor, "gates m"],
    b: Float[Tensor, " gates"],
    *,
    recompute: int | None = None,
) -> tuple[Float[Tensor, "T B m"], Float[Tensor, "B m"], Float[Tensor, "B m"]]:
    r"""An LSTM over a whole sequence, with the hand-derived backward pass.

    With $\delta_{k,t} = \partial L / \partial a_{k,t}$ for each gate k of $i, f, \tilde C, o$,

    $$\frac{\partial L}{\partial h_t} = \Big(\frac{\partial L}{\partial h_t}\Big)_{\text{output}}
    + \sum_k W_{h,k}^\top \delta_{k,t+1}, \qquad
    \frac{\partial L}{\partial C_t} = \frac{\partial L}{\partial C_{t+1}} \odot f_{t+1}
    + \frac{\partial L}{\partial h_t} \odot o_t \odot (1 - \tanh^2 C_t),$$

    $$\delta_{i} = \frac{\partial L}{\partial C_t} \odot \tilde C_t \odot i_t (1 - i_t), \quad
    \delta_{f} = \frac{\partial L}{\partial C_t} \odot C_{t-1} \odot f_t (1 - f_t), \quad
    \delta_{\tilde C} = \frac{\partial L}{\partial C_t} \odot i_t \odot (1 - \tilde C_t^2), \quad
    \delta_{o} = \frac{\partial L}{\partial h_t} \odot \tanh(C_t) \odot o_t (1 - o_t).$$

    Args:
        x: inputs, time first, (T, B, P).
        h_0: the hidden state before the first input, (B, m); None is zeros.
        C_0: the cell state before the first input, (B, m); None is zeros.
        W_x: input weights of the four gates, (4m, P), in the order of `unrolled.gated.GATES`.
        W_h: recurrent weights, (4m, m).
        b: biases, (4m,).
        recompute: keep only every k-th state for the backward pass and compute the others again there: less memory
            for one more forward pass. It pays where the states themselves are not kept, as with a loss on h_T alone.

    Returns:
        The hidden states h_1 … h_T (T, B, m), then h_T and C_T (B, m), to carry on from.

    Raises:
        TypeError, ValueError: an argument of the wrong type, rank or size, by name.
        RuntimeError: a second derivative is asked for; the loop gives it.

    Under autocast everything is computed in autocast's type. Source: Hochreiter and Schmidhuber (1997), in the full
    form of Graves and Schmidhuber (2005). Derived in chapter 06; tested against autograd through the loop, finite
    differences and `torch.nn.LSTM`.
    """
    m, P = W_h.shape[-1], W_x.shape[-1]
    check_tensor("W_h", W_h, "gates m", gates=4 * m)
    check_tensor("W_x", W_x, "gates P", gates=4 * m)
    check_tensor("b", b, "gates", gates=4 * m)
    check_tensor("x", x, "T B P", P=P)
    B = x.shape[1]
    h_0, C_0 = (x.new_zeros(B, m) if each is None else each for each in (h_0, C_0))
    check_tensor("h_0", h_0, "B m", B=B, m=m)
    check_tensor("C_0", C_0, "B m", B=B, m=m)
    return in_stretches(_LSTMThroughTime.apply, x, (h_0, C_0), (W_x, W_h, b), recompute)
