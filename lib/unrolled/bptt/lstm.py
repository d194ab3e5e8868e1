r"""Backpropagation through an LSTM, derived by hand. Chapter 07 writes the derivation down; this is it as code.

Sequences are worked through in stretches small enough for a processor's cache: of each stretch the inputs are
projected, and the local derivatives formed, for all its times at once. The steps of a stretch stand in `_lstm_steps`
and, compiled where a reader sets `UNROLLED_COMPILE=1`, in `_fused`.

Dimensions, time first throughout this module:
    T times, B rows of a batch, P numbers in an input, m numbers in each state.
    x (T, B, P)   h_0, C_0 (B, m)   h (T, B, m)   W_x (4m, P)   W_h (4m, m)   b (4m,)   gates (T, B, 4m)
    d_... is the loss's derivative with respect to ...; delta_t is that of the pre-activations at t, (B, 4m).

Inside, the gates stand in the order o, i, f, g (see `_lstm_steps`); weights come and go in that of `cells.GATES`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unrolled._check import check_tensor
from unrolled.bptt import _fused, _lstm_steps
from unrolled.bptt._products import adding_product
from unrolled.bptt.rnn import in_stretches, refuse_second_derivatives


def is_compiled(x: Tensor) -> bool:
    """Whether a sequence like x, (T, B, P), goes through the compiled steps: in float32, on a CPU, if asked for.

    Raises:
        ValueError: `UNROLLED_COMPILE` is neither 0 nor 1.
        OSError: it is 1 and there is no C compiler, or one that can't compile this.

    Taught in chapter 07.
    """
    return _fused.serves(x)


_ROWS = 512  # B rows a time, of one stretch: its gates, 512 · 4m numbers, stay in the cache


def _stretches(T: int, B: int) -> list[tuple[int, int]]:
    """Pairs (first, end) that cover the times 0 … T-1."""
    length = max(1, _ROWS // B)
    return [(first, min(first + length, T)) for first in range(0, T, length)]


def _inside(weight: Tensor, dim: int = 0) -> Tensor:
    """A copy of a weight with the gates i, f, g, o in the order o, i, f, g."""
    i, f, g, o = weight.chunk(4, dim)
    return torch.cat([o, i, f, g], dim)


def _outside(weight: Tensor, dim: int = 0) -> Tensor:
    """A copy with the gates o, i, f, g in the order i, f, g, o again."""
    o, i, f, g = weight.chunk(4, dim)
    return torch.cat([i, f, g, o], dim)


def _with_ones(x: Tensor) -> Tensor:
    """The inputs of a stretch as rows, each with a 1 at its end, which the bias is multiplied by, (T B, P+1)."""
    T, B, P = x.shape
    rows = x.new_empty(T, B, P + 1)
    rows[..., :P] = x
    rows[..., P] = 1
    return rows.view(T * B, P + 1)


class _LSTMThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, h_0, C_0, W_x, W_h, b):  # type: ignore[no-untyped-def]
        (T, B, _), m = x.shape, W_h.shape[-1]
        # W_x only serves dL/dx, and x only dL/dW_x and dL/db: what no gradient needs is not kept. The weights are kept
        # as they are, which costs no memory.
        for_x, _, _, for_W_x, _, for_b = ctx.needs_input_grad
        kept = (x if for_W_x or for_b else None, h_0, W_x if for_x else None, W_h)
        W_1 = _inside(torch.cat([W_x.mT, b.unsqueeze(0)]), dim=-1)  # (P+1, 4m)
        add_recurrent = adding_product(_inside(W_h.mT, dim=-1), B)
        gates, h, C = x.new_empty(T, B, 4 * m), x.new_empty(T, B, m), x.new_empty(T + 1, B, m)
        C[0] = 0 if C_0 is None else C_0
        h_before = h_0  # None, the usual start, is zeros: its product is nothing, forwards and backwards
        steps = _fused if _fused.serves(x) else _lstm_steps
        for first, end in _stretches(T, B):
            now = slice(first, end)
            torch.mm(_with_ones(x[now]), W_1, out=gates[now].view(-1, 4 * m))  # for all times at once
            steps.forward(gates[now], h[now], C[first : end + 1], h_before, add_recurrent)
            h_before = h[end - 1]
        ctx.save_for_backward(*kept, gates, h, C)
        ctx.set_materialize_grads(False)  # an output that no loss reads costs nothing
        return h, h[-1].clone(), C[-1].clone()

    @staticmethod
    def backward(ctx, d_h, d_h_T, d_C_T):  # type: ignore[no-untyped-def]
        refuse_second_derivatives()
        x, h_0, W_x, W_h, gates, h, C = ctx.saved_tensors
        if d_h is None and d_h_T is None and d_C_T is None:
            return (None,) * 6
        T, B, m = h.shape
        for_x, for_h_0, for_C_0, for_W_x, for_W_h, for_b = ctx.needs_input_grad
        W_h = _inside(W_h)
        add_from_later = adding_product(W_h, B)
        d_x = None
        if for_x:
            W_x = _inside(W_x)
            d_x = h.new_empty(T, B, W_x.shape[1])
        # Summed over stretches as they are passed; transposed, which the products are faster in. The last row is b's.
        d_W_1 = h.new_zeros(x.shape[-1] + 1, 4 * m) if for_W_x or for_b else None
        d_W_h = h.new_zeros(m, 4 * m) if for_W_h else None

        d_C = h.new_zeros(B, m) if d_C_T is None else _copy(d_C_T)
        stretches = _stretches(T, B)
        space = h.new_empty(stretches[0][1], B, 4 * m)  # for the deltas of one stretch
        delta_after: Any = None
        steps = _fused if _fused.serves(h) else _lstm_steps
        for first, end in reversed(stretches):
            now, delta = slice(first, end), space[: end - first]
            own = _asked(d_h, d_h_T if end == T else None, h, first, end)
            steps.backward(delta, gates[now], C[first : end + 1], own, d_C, delta_after, add_from_later)
            delta_after = delta[0].clone()

            # Every use of a weight adds its share.
            rows = delta.view(-1, 4 * m)
            if d_x is not None:
                torch.mm(rows, W_x, out=d_x[now].view(len(rows), -1))
            if d_W_1 is not None:
                d_W_1.addmm_(_with_ones(x[now]).mT, rows)
            if d_W_h is not None:  # delta_t meets h_{t-1}; that of the first step is h_0
                late = rows if first else rows[B:]
                d_W_h.addmm_(h[max(first - 1, 0) : end - 1].view(-1, m).mT, late)
        if d_W_h is not None and h_0 is not None:
            d_W_h.addmm_(h_0.mT, delta_after)
        d_h_0 = delta_after @ W_h if for_h_0 else None
        d_W_x = d_b = None
        if d_W_1 is not None:
            d_W_x = _outside(d_W_1[:-1].mT) if for_W_x else None
            d_b = _outside(d_W_1[-1]) if for_b else None
        if d_W_h is not None:
            d_W_h = _outside(d_W_h.mT)
        return d_x, d_h_0, d_C if for_C_0 else None, d_W_x, d_W_h, d_b


def _copy(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _asked(d_h: Tensor | None, d_h_T: Tensor | None, h: Tensor, first: int, end: int) -> Tensor:
    """What the loss itself asks of the states of a stretch; a gradient that came in is left as it is."""
    asked = torch.zeros_like(h[first:end]) if d_h is None else d_h[first:end]
    if d_h_T is not None:
        asked = asked.clone()
        asked[-1] += d_h_T
    return asked


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
        W_x: input weights of the four gates, (4m, P), in the order of `unrolled.cells.GATES`.
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
    form of Graves and Schmidhuber (2005). Derived in chapter 07; tested against autograd through the loop, finite
    differences and `torch.nn.LSTM`.
    """
    m, P = W_h.shape[-1], W_x.shape[-1]
    check_tensor("W_h", W_h, "gates m", gates=4 * m)
    check_tensor("W_x", W_x, "gates P", gates=4 * m)
    check_tensor("b", b, "gates", gates=4 * m)
    check_tensor("x", x, "T B P", P=P)
    B = x.shape[1]
    for name, part in (("h_0", h_0), ("C_0", C_0)):
        if part is not None:
            check_tensor(name, part, "B m", B=B, m=m)
    return in_stretches(_LSTMThroughTime.apply, x, (h_0, C_0), (W_x, W_h, b), recompute)
