r"""Backpropagation through time, derived by hand: the backward pass that chapter 04 writes down, as code.

It is also the library's fast path on a CPU. Three things make it faster than a loop under autograd: the
inputs of all times are projected in one product, a step is one product and one nonlinearity in place, and
the gradient of each weight matrix is one product over all times at the end.

Dimensions, time first throughout this module:
    T times, B rows of a batch, P numbers in an input, m numbers in a state.
    x (T, B, P)   h_0 (B, m)   h (T, B, m)   W_xh (m, P)   W_hh (m, m)   b_h (m,)
    d_... is the loss's derivative with respect to ...; delta_t is d_a_t, with a_t the pre-activation at t.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from unrolled._check import check_choice, check_count, check_tensor
from unrolled.cells import DERIVATIVES, NONLINEARITIES

# Each nonlinearity in place: the pre-activation is not needed again.
_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh_,
    "relu": torch.relu_,
    "linear": lambda a: a,
}


class _RNNThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, h_0, W_xh, W_hh, b_h, nonlinearity):  # type: ignore[no-untyped-def]
        T, B, P = x.shape
        # a_t without its recurrent part, for all times in one product; each step then turns it into h_t in place.
        h = x.new_empty(T, B, W_hh.shape[0])
        torch.addmm(b_h, x.reshape(T * B, P), W_xh.mT, out=h.view(T * B, -1))
        xi, h_before, W_hh_T = _IN_PLACE[nonlinearity], h_0, W_hh.mT
        for h_t in h.unbind(0):
            if h_before is not None:  # None, the usual start, is zeros: nothing, forwards and backwards
                h_t.addmm_(h_before, W_hh_T)
            h_before = xi(h_t)  # (B, m)
        # W_xh only serves dL/dx, and x only dL/dW_xh: what no gradient needs is not kept.
        for_x, _, for_W_xh, *_ = ctx.needs_input_grad
        ctx.save_for_backward(x if for_W_xh else None, h_0, W_xh if for_x else None, W_hh, h)
        ctx.nonlinearity = nonlinearity
        ctx.set_materialize_grads(False)  # an output that no loss reads costs nothing
        return h, h[-1].clone()

    @staticmethod
    def backward(ctx, d_h, d_h_T):  # type: ignore[no-untyped-def]
        refuse_second_derivatives()
        x, h_0, W_xh, W_hh, h = ctx.saved_tensors
        T, B, m = h.shape
        if d_h is None and d_h_T is None:
            return (None,) * 6

        # Backwards through time. `delta` starts as xi'(a_t) for all t and becomes dL/da_t from the last time down.
        delta = DERIVATIVES[ctx.nonlinearity](h)  # (T, B, m)
        from_outputs = (
            [None] * T if d_h is None else list(d_h.unbind(0))
        )  # what the loss asks of each h_t itself
        from_outputs[-1] = _sum(from_outputs[-1], d_h_T)
        d_h_t = torch.empty_like(delta[0])  # (B, m)
        W_hh = W_hh.mT.contiguous().mT  # column by column in memory, which the products below read faster
        delta_after = None
        for delta_t, own in zip(reversed(delta.unbind(0)), reversed(from_outputs), strict=True):
            if delta_after is None:  # the last time: nothing comes back from later
                delta_t.mul_(own) if own is not None else delta_t.zero_()
            else:  # dL/dh_t = what the loss asks of h_t + what step t+1 asks of it
                if own is None:
                    torch.mm(delta_after, W_hh, out=d_h_t)
                else:
                    torch.addmm(own, delta_after, W_hh, out=d_h_t)
                delta_t.mul_(d_h_t)  # dL/da_t = dL/dh_t * xi'(a_t)
            delta_after = delta_t

        # Every use of a weight adds its share: one product over all times and rows for each.
        for_x, for_h_0, for_W_xh, for_W_hh, for_b_h, _ = ctx.needs_input_grad
        rows = delta.view(T * B, m)
        d_x = (rows @ W_xh).view(T, B, -1) if for_x else None
        d_h_0 = delta[0] @ W_hh if for_h_0 else None
        d_W_xh = rows.mT @ x.reshape(T * B, -1) if for_W_xh else None
        d_b_h = rows.sum(dim=0) if for_b_h else None
        d_W_hh = None
        if for_W_hh:  # the sum over t of delta_t h_{t-1}^T; the first term reads h_0
            d_W_hh = rows[B:].mT @ h.view(T * B, m)[: (T - 1) * B]
            if h_0 is not None:
                d_W_hh.addmm_(delta[0].mT, h_0)
        return d_x, d_h_0, d_W_xh, d_W_hh, d_b_h, None


def refuse_second_derivatives() -> None:
    """Raise inside a backward pass that is itself to be differentiated."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "create_graph: the hand-derived backward pass has no derivative of its own, expected False, got True; "
            'for second derivatives use backend="loop"'
        )


def in_stretches(
    apply: Callable[..., Any],
    x: Tensor,
    state: Sequence[Tensor | None],
    weights: Sequence[Any],
    recompute: int | None,
) -> Any:
    """Call `apply(x, *state, *weights)`, in autocast's type under autocast.

    With `recompute`, stretch by stretch of that many times; only the state before each is kept for the backward pass.

    Returns:
        The states of all times, then each part of the last one.
    """
    kind = x.device.type
    # torch can't ask `meta` about autocast, and there is nothing to cast there.
    if kind != "meta" and x.dtype != torch.float64 and torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        x, *rest = (each.to(dtype) if isinstance(each, Tensor) else each for each in (x, *state, *weights))
        state, weights = rest[: len(state)], rest[len(state) :]
    if recompute is None:
        return apply(x, *state, *weights)
    parts = []
    for stretch in x.split(check_count("recompute", recompute)):
        h, *state = checkpoint(apply, stretch, *state, *weights, use_reentrant=False)
        parts.append(h)
    return torch.cat(parts), *state


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def rnn_through_time(
    x: Float[Tensor, "T B P"],
    h_0: Float[Tensor, "B m"] | None,
    W_xh: Float[Tensor, "m P"],
    W_hh: Float[Tensor, "m m"],
    b_h: Float[Tensor, " m"],
    nonlinearity: str = "tanh",
    *,
    recompute: int | None = None,
) -> tuple[Float[Tensor, "T B m"], Float[Tensor, "B m"]]:
    r"""A vanilla RNN over a whole sequence, with the hand-derived backward pass.

    With $\delta_t = \partial L / \partial a_t$ and everything transposed as a column of numbers,

    $$\frac{\partial L}{\partial h_t} = \Big(\frac{\partial L}{\partial h_t}\Big)_{\text{output}}
    + W_{hh}^\top \delta_{t+1}, \qquad \delta_t = \frac{\partial L}{\partial h_t} \odot \xi'(a_t),
    \qquad \frac{\partial L}{\partial W_{hh}} = \sum_t \delta_t h_{t-1}^\top .$$

    Args:
        x: inputs, time first, (T, B, P).
        h_0: the state before the first input, (B, m); None is zeros.
        W_xh: input weights, (m, P).
        W_hh: recurrent weights, (m, m).
        b_h: bias, (m,).
        nonlinearity: `"tanh"`, `"relu"` or `"linear"`.
        recompute: keep only every k-th state for the backward pass and compute the others again there: less memory
            for one more forward pass. It pays where the states themselves are not kept, as with a loss on h_T alone.

    Returns:
        The states h_1 … h_T (T, B, m), and h_T once more (B, m), to carry on from.

    Raises:
        TypeError, ValueError: an argument of the wrong type, rank or size, by name.
        RuntimeError: a second derivative is asked for; the loop gives it.

    Under autocast everything is computed in autocast's type. Source: Werbos (1990). Derived in chapter 04;
    tested against autograd through the loop, finite differences and `torch.nn.RNN`.
    """
    check_choice("nonlinearity", nonlinearity, NONLINEARITIES)
    check_tensor("W_hh", W_hh, "m m", m=W_hh.shape[-1])
    m, P = W_hh.shape[-1], W_xh.shape[-1]
    check_tensor("W_xh", W_xh, "m P", m=m)
    check_tensor("b_h", b_h, "m", m=m)
    check_tensor("x", x, "T B P", P=P)
    B = x.shape[1]
    if h_0 is not None:
        check_tensor("h_0", h_0, "B m", B=B, m=m)
    return in_stretches(_RNNThroughTime.apply, x, (h_0,), (W_xh, W_hh, b_h, nonlinearity), recompute)
