r"""Measures what gradients do inside a recurrent network. Returns numbers, never draws.

Everything works for any cell of `unrolled.cells` unless its description says otherwise, on the device of its inputs,
and for stacked seeds where a leading `...` stands. Derivatives with respect to a state mean its part `h`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from unrolled._check import check_choice, check_count, check_finite, check_number, check_tensor
from unrolled.cells import DERIVATIVES, RNNCell, detach
from unrolled.networks import unroll

METHODS = ("product", "autograd")
Loss = Callable[[Tensor], Tensor]


def largest_singular_value(W: Float[Tensor, "... m m"]) -> Float[Tensor, "..."]:
    r"""$\sigma_{\max}(W)$: the most that one product with W can stretch a vector (chapter 05)."""
    W = _finite_matrix(W)
    return torch.linalg.matrix_norm(W.to(_solved_in(W)), ord=2).to(W.dtype)


def _finite_matrix(W: Tensor) -> Tensor:
    """LAPACK ends the process, or answers wrongly, where a number is not finite."""
    return check_finite("W", check_tensor("W", W, "... m m"))


def _solved_in(W: Tensor) -> torch.dtype:
    """LAPACK knows no half precision."""
    return torch.promote_types(W.dtype, torch.float32)


def spectral_radius(W: Float[Tensor, "... m m"]) -> Float[Tensor, "..."]:
    r"""$\rho(W)$, the largest modulus of an eigenvalue: it decides whether $W^t$ grows or dies (chapter 05).

    Raises:
        ValueError: W is not square, or holds a number that is not finite.
    """
    W = _finite_matrix(W)
    check_tensor("W", W, "... m m", m=W.shape[-1])
    return torch.linalg.eigvals(W.to(_solved_in(W))).abs().amax(dim=-1).to(W.dtype)


def saturated_share(a: Float[Tensor, "..."], limit: float = 3.0) -> Float[Tensor, ""]:
    r"""The share of pre-activations beyond ±limit, where tanh has nearly stopped moving: $\tanh'(3) = 0.0099$.

    Args:
        a: pre-activations of any shape, as a trace holds them.
        limit: the size that counts as saturated.

    Taught in chapter 04.
    """
    check_finite("a", check_tensor("a", a, "..."))
    if not a.numel():
        raise ValueError("a: expected at least one number, got none")
    check_number("limit", limit, above=0)
    return (a.abs() > limit).to(a.dtype).mean()


def step_jacobians(
    cell: RNNCell, x: Float[Tensor, "... B T P"], state: Any = None
) -> Float[Tensor, "... B T m m"]:
    r"""$\partial h_t / \partial h_{t-1} = \mathrm{diag}(\xi'(a_t))\, W_{hh}$ of a vanilla cell, for every t.

    Args:
        cell: an `RNNCell`; the formula is its own.
        x: inputs, (B, T, P).
        state: the state before the first step; None is zeros.

    Returns:
        (B, T, m, m), where entry [t, i, j] says how unit i at t+1 moves with unit j at t (counting t from 0).

    Taught in chapter 04; tested against autograd.
    """
    if not isinstance(cell, RNNCell):
        raise TypeError(f"cell: expected an RNNCell, got {type(cell).__name__}; `jacobian` takes any cell")
    with torch.no_grad():
        h, _, _ = unroll(cell, x, state)  # (B, T, m)
        W_hh = cell.W_hh.unsqueeze(-3).unsqueeze(-3)  # (1, 1, m, m)
        return DERIVATIVES[cell.nonlinearity](h).unsqueeze(-1) * W_hh


@torch.enable_grad()
def jacobian(
    cell: Any, x: Float[Tensor, "B T P"], s: int, t: int, state: Any = None, *, method: str = "autograd"
) -> Float[Tensor, "B m m"]:
    r"""$\partial h_t / \partial h_s$: how much, and in which direction, the state at s still moves the state at t.

    Args:
        cell: any cell for `"autograd"`; an `RNNCell` for `"product"`.
        x: inputs, (B, T, P).
        s: the earlier time, 0 for the state before the first input.
        t: the later time, at most T.
        state: the state before the first step; None is zeros.
        method: `"product"` multiplies the t - s one-step Jacobians of the formula; `"autograd"` differentiates the
            whole stretch, one unit of h_t at a time.

    Returns:
        (B, m, m), row i for unit i of h_t.

    Raises:
        ValueError: not 0 <= s <= t <= T.

    Taught in chapter 04.
    """
    check_tensor("x", x, "B T P", P=cell.input_size)
    check_choice("method", method, METHODS)
    check_count("s", s, least=0)
    T = x.shape[1]
    if not s <= check_count("t", t, least=0) <= T:
        raise ValueError(f"s, t: expected s <= t <= T = {T}, got s = {s} and t = {t}")
    if method == "product":
        J = step_jacobians(cell, x, state)  # (B, T, m, m)
        product = torch.eye(J.shape[-1], dtype=J.dtype, device=J.device).expand(J.shape[0], -1, -1)
        for step in range(s, t):
            product = J[:, step] @ product
        return product
    with torch.no_grad():
        before = cell.initial_state(x.shape[0]) if state is None else state
        if s:
            _, before, _ = unroll(cell, x[:, :s], before)
    h_s = before.h.detach().requires_grad_()
    h_t = h_s * 1 if s == t else unroll(cell, x[:, s:t], before._replace(h=h_s))[1].h
    rows = [torch.autograd.grad(unit.sum(), h_s, retain_graph=True)[0] for unit in h_t.unbind(-1)]
    return torch.stack(rows, dim=-2)


def influence(cell: RNNCell, x: Float[Tensor, "... B T P"], state: Any = None) -> Float[Tensor, "... B lags"]:
    r"""$\lVert \partial h_T / \partial h_{T-k} \rVert_2$ against the lag k = 0 … T, by the product formula.

    Args:
        cell: an `RNNCell`.
        x: inputs, (B, T, P).
        state: the state before the first step; None is zeros.

    Returns:
        (B, T+1): entry k is the spectral norm at lag k; entry 0 is 1.

    Taught in chapter 05.
    """
    J = step_jacobians(cell, x, state)
    m = J.shape[-1]
    product = torch.eye(m, dtype=J.dtype, device=J.device).expand(*J.shape[:-3], m, m)
    norms = [torch.linalg.matrix_norm(product, ord=2)]
    for J_t in reversed(J.unbind(-3)):
        product = product @ J_t
        norms.append(torch.linalg.matrix_norm(product, ord=2))
    return torch.stack(norms, dim=-1)


@torch.enable_grad()
def gradient_by_time(
    cell: Any, x: Float[Tensor, "... B T P"], loss: Loss, state: Any = None
) -> Float[Tensor, "... B T m"]:
    r"""$\partial L / \partial h_t$ in full, through every later step, for every t.

    Args:
        cell: any cell.
        x: inputs, (B, T, P).
        loss: a function of the states (B, T, m) that gives one number.
        state: the state before the first step; None is zeros.

    Returns:
        (B, T, m). Its norm over the last axis, read from the last time down, is gradient norm against lag.

    Taught in chapter 04.
    """
    check_tensor("x", x, "... B T P", P=cell.input_size)
    state = cell.initial_state(x.shape[-3]) if state is None else state
    states, steps = [], []
    for x_t in x.unbind(-2):
        h_t, state = cell(x_t, state)
        if not h_t.requires_grad:  # frozen weights: the history has to start somewhere
            h_t = h_t.detach().requires_grad_()
            state = state._replace(h=h_t)
        steps.append(h_t)
        states.append(state)
    return torch.stack(torch.autograd.grad(loss(torch.stack(steps, dim=-2)).sum(), steps), dim=-2)


@torch.enable_grad()
def weight_gradient_terms(
    cell: Any, x: Float[Tensor, "B T P"], loss: Loss, state: Any = None, *, weight: str = "W_hh"
) -> Float[Tensor, "T out in"]:
    r"""The T terms whose sum is $\partial L / \partial W$: one for each time at which the weight is used.

    Each step gets a copy of the weight of its own, and autograd differentiates by each copy.

    Args:
        cell: any cell.
        x: inputs, (B, T, P).
        loss: a function of the states (B, T, m) that gives one number.
        state: the state before the first step; None is zeros.
        weight: the name of the cell's weight.

    Returns:
        (T, *weight.shape); for a vanilla cell and `W_hh`, term t is $\delta_t h_{t-1}^\top$ summed over the batch.

    Taught in chapter 04.
    """
    check_tensor("x", x, "B T P", P=cell.input_size)
    check_choice("weight", weight, [name for name, _ in cell.named_parameters()])
    state = cell.initial_state(x.shape[0]) if state is None else state
    copies, steps = [], []
    for x_t in x.unbind(1):
        copies.append(cell.get_parameter(weight).detach().clone().requires_grad_())
        h_t, state = functional_call(cell, {weight: copies[-1]}, (x_t, state))
        steps.append(h_t)
    gradients = torch.autograd.grad(loss(torch.stack(steps, dim=1)), copies, allow_unused=True)
    return torch.stack(
        [torch.zeros_like(c) if g is None else g for c, g in zip(copies, gradients, strict=True)]
    )


@torch.enable_grad()
def cosine_to_full(
    cell: Any, x: Float[Tensor, "B T P"], loss: Loss, windows: Sequence[int], state: Any = None
) -> Float[Tensor, " windows"]:
    """How well the gradient of truncated backpropagation points where the full one does.

    The state is carried through the whole sequence and its history cut before every k-th step; the two gradients are
    those of all the cell's weights together.

    Args:
        cell: any cell.
        x: inputs, (B, T, P).
        loss: a function of the states (B, T, m) that gives one number.
        windows: the lengths k to try; k = T is the full gradient.
        state: the state before the first step; None is zeros.

    Returns:
        The cosine of the angle between truncated and full gradient for each window: 1 is the same direction.

    Taught in chapter 06.
    """
    check_tensor("x", x, "B T P", P=cell.input_size)
    T = x.shape[1]

    def gradient(k: int) -> Tensor:
        carried = cell.initial_state(x.shape[0]) if state is None else state
        parts = []
        for chunk in x.split(k, dim=1):
            h, carried, _ = unroll(cell, chunk, detach(carried))
            parts.append(h)
        weights = list(cell.parameters())
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss(torch.cat(parts, dim=1)), weights)])

    full = gradient(T)
    cosines = [torch.cosine_similarity(gradient(check_count("windows", k)), full, dim=0) for k in windows]
    if not cosines:
        raise ValueError("windows: expected at least one length, got none")
    return torch.stack(cosines)
