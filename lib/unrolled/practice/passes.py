"""Checkers of what runs over time: the recurrence, the backward pass, the product of Jacobians."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unrolled.practice._verdict import Verdict, judge, random

_T, _B, _P, _m = 4, 3, 2, 5


def _states(step: Callable[..., Tensor], h_0: Tensor, x: Tensor) -> Tensor:
    h, states = h_0, []
    for x_t in x.unbind(0):
        h = step(h, x_t)
        states.append(h)
    return torch.stack(states)


def check_recurrence(states: Callable[..., Tensor]) -> Verdict:
    """Judge a reader's loop over time, each step taking up the state that the one before left.

    Args:
        states: called as `states(step, h_0, x)` with a function `step(h, x_t)`, h_0 (m,) and x (T, m); gives h_1 … h_T,
            stacked to (T, m).

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 01.
    """

    def step(h: Tensor, x_t: Tensor) -> Tensor:
        return torch.tanh(0.5 * h + x_t)

    slips: dict[str, Callable[..., Tensor]] = {
        "every step starts from h_0 again: hand on the state that the last step left": lambda step, h_0, x: (
            torch.stack([step(h_0, x_t) for x_t in x])
        ),
        "h_0 stands among the results: they are h_1 to h_T": lambda step, h_0, x: torch.cat(
            [h_0[None], _states(step, h_0, x)]
        ),
        "the last step is missing: the results are h_0 to h_(T-1)": lambda step, h_0, x: torch.cat(
            [h_0[None], _states(step, h_0, x)[:-1]]
        ),
        "only the last state is given: all T are asked for": lambda step, h_0, x: _states(step, h_0, x)[-1],
        "the sequence is read from its end": lambda step, h_0, x: _states(step, h_0, x.flip(0)),
        "the arguments of step are swapped: the state comes first": lambda step, h_0, x: _states(
            lambda h, x_t: step(x_t, h), h_0, x
        ),
        "h_0 is not used: the state starts from zeros": lambda step, h_0, x: _states(step, 0 * h_0, x),
    }
    draw = random()
    return judge(
        states, _states, [{"step": step, "h_0": draw(_m), "x": draw(_T, _m)}], slips, against="the loop"
    )


def _backward(
    x: Tensor, h: Tensor, d_h: Tensor, W_hh: Tensor, *, slope: bool = True, transposed: bool = True,
    from_later: bool = True, own: bool = True, shifted: bool = False, summed: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The backward pass of a tanh RNN, with one thing changed."""
    delta: list[Tensor] = []
    for t in reversed(range(x.shape[0])):
        asked = d_h[t] if own or t == x.shape[0] - 1 else torch.zeros_like(d_h[t])
        if delta and from_later:
            asked = asked + delta[0] @ (W_hh if transposed else W_hh.mT)
        delta.insert(0, asked * (1 - h[t + 1] ** 2) if slope else asked)
    each = [
        (d.mT @ x_t, d.mT @ before, d.sum(dim=0))
        for d, x_t, before in zip(delta, x, h[1:] if shifted else h[:-1], strict=True)
    ]
    first, second, third = (torch.stack(list(terms)) for terms in zip(*each, strict=True))
    return (first.sum(0), second.sum(0), third.sum(0)) if summed else (first[-1], second[-1], third[-1])


def check_rnn_backward(rnn_backward: Callable[..., tuple[Tensor, Tensor, Tensor]]) -> Verdict:
    r"""Judge a reader's backpropagation through time of a tanh RNN.

    Args:
        rnn_backward: called as `rnn_backward(x, h, d_h, W_hh)` with x (T, B, P), the states h_0 … h_T (T+1, B, m), what
            the loss itself asks of h_1 … h_T, (T, B, m), and W_hh (m, m); gives the gradients of W_xh (m, P),
            W_hh (m, m) and b_h (m,).

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 04; the right one is compared with autograd through `unrolled.networks.unroll` in the tests.
    """

    def changed(**how: Any) -> Callable[..., Any]:
        return lambda **given: _backward(**given, **how)

    slips = {
        "the slope 1 - h_t^2 is missing": changed(slope=False),
        "W_hh goes backwards as its transpose: for rows that is delta @ W_hh": changed(transposed=False),
        "nothing comes back from later times": changed(from_later=False),
        "only the last time's loss is used: every d_h[t] is added on the way": changed(own=False),
        "off by one in time: the gradient of W_hh meets h_(t-1)": changed(shifted=True),
        "only the last time's terms are kept: the gradient is the sum over all times": changed(summed=False),
    }
    draw = random()
    h = torch.tanh(draw(_T + 1, _B, _m))
    case = {"x": draw(_T, _B, _P), "h": h, "d_h": draw(_T, _B, _m), "W_hh": draw(_m, _m)}
    return judge(rnn_backward, _backward, [case], slips, gradients=False, against="autograd")


def _product(jacobians: Tensor) -> Tensor:
    product = torch.eye(jacobians.shape[-1], dtype=jacobians.dtype)
    for J in jacobians:
        product = J @ product
    return product


def check_jacobian_product(jacobian_product: Callable[..., Tensor]) -> Verdict:
    r"""Judge a reader's $\partial h_n / \partial h_0 = J_n \cdots J_2 J_1$.

    Args:
        jacobian_product: called as `jacobian_product(jacobians)` with the one-step Jacobians J_1 … J_n in the order of
            time, (n, m, m); gives their product, (m, m).

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 05.
    """
    slips: dict[str, Callable[..., Tensor]] = {
        "the order is turned round: the latest Jacobian stands on the left": lambda jacobians: _product(
            jacobians.flip(0)
        ),
        "the numbers are multiplied one by one: a product of matrices is @": lambda jacobians: jacobians.prod(
            dim=0
        ),
        "the Jacobians are added up": lambda jacobians: jacobians.sum(dim=0),
        "the product is transposed": lambda jacobians: _product(jacobians).mT,
        "the first Jacobian is left out": lambda jacobians: _product(jacobians[1:]),
        "the last Jacobian is left out": lambda jacobians: _product(jacobians[:-1]),
    }
    case = {"jacobians": random()(_T, _m, _m)}
    return judge(jacobian_product, _product, [case], slips, against="the product, one step at a time,")
