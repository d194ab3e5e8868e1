"""Checkers of one step: of the vanilla RNN, the LSTM and the GRU."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unrolled.cells import GRUState, LSTMState, RNNState
from unrolled.cells import gru_step as right_gru_step
from unrolled.cells import lstm_step as right_lstm_step
from unrolled.cells import rnn_step as right_rnn_step
from unrolled.practice._verdict import Case, Verdict, judge, random

_B, _P, _m = 3, 4, 5


def _case(gates: int, *parts: str, seed: int = 0) -> Case:
    draw = random(seed)
    weights = {"W_x": draw(gates * _m, _P), "W_h": draw(gates * _m, _m), "b": draw(gates * _m)}
    return {"x_t": draw(_B, _P), **{part: draw(_B, _m) for part in parts}, **weights}


def check_rnn_step(rnn_step: Callable[..., Tensor]) -> Verdict:
    r"""Judge a reader's $h_t = \tanh(W_{xh} x_t + W_{hh} h_{t-1} + b_h)$.

    Args:
        rnn_step: called as `rnn_step(x_t, h, W_xh, W_hh, b_h)` with x_t (B, P), h (B, m), W_xh (m, P), W_hh (m, m) and
            b_h (m,); gives h_t, (B, m).

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 02.
    """

    def right(x_t: Tensor, h: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> Tensor:
        return right_rnn_step(x_t, RNNState(h), W_xh, W_hh, b_h)[0]

    slips = {
        "W_hh is transposed: a step is h @ W_hh.mT": lambda x_t, h, W_xh, W_hh, b_h: torch.tanh(
            x_t @ W_xh.mT + h @ W_hh + b_h
        ),
        "the tanh is missing": lambda x_t, h, W_xh, W_hh, b_h: x_t @ W_xh.mT + h @ W_hh.mT + b_h,
        "the bias is missing": lambda x_t, h, W_xh, W_hh, b_h: torch.tanh(x_t @ W_xh.mT + h @ W_hh.mT),
        "the bias is added after the tanh": lambda x_t, h, W_xh, W_hh, b_h: (
            torch.tanh(x_t @ W_xh.mT + h @ W_hh.mT) + b_h
        ),
        "the state before is not used": lambda x_t, h, W_xh, W_hh, b_h: torch.tanh(x_t @ W_xh.mT + b_h),
        "the input is not used": lambda x_t, h, W_xh, W_hh, b_h: torch.tanh(h @ W_hh.mT + b_h),
        "a sigmoid stands where the tanh should": lambda x_t, h, W_xh, W_hh, b_h: torch.sigmoid(
            x_t @ W_xh.mT + h @ W_hh.mT + b_h
        ),
        "W_xh is (m, P): a row of the batch meets it as x_t @ W_xh.mT": lambda x_t, h, W_xh, W_hh, b_h: (
            torch.tanh(x_t @ W_xh + h @ W_hh.mT + b_h)
        ),
    }
    made = _case(1, "h")
    case = {"x_t": made["x_t"], "h": made["h"], "W_xh": made["W_x"], "W_hh": made["W_h"], "b_h": made["b"]}
    return judge(rnn_step, right, [case], slips)


def _lstm(
    x_t: Tensor, h: Tensor, C: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, *,
    order: str = "ifgo", candidate: Callable[[Tensor], Tensor] = torch.tanh,
    shown: Callable[[Tensor], Tensor] = torch.tanh, keeps: str = "f", writes: str = "i", before: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """An LSTM's step with one thing changed."""
    a = dict(zip(order, (x_t @ W_x.mT + h @ W_h.mT + b).chunk(4, dim=-1), strict=True))
    gate = {name: torch.sigmoid(a[name]) for name in "ifo"}
    C_t = gate[keeps] * C + gate[writes] * candidate(a["g"])
    return gate["o"] * shown(C if before else C_t), C_t


def check_lstm_step(lstm_step: Callable[..., tuple[Tensor, Tensor]]) -> Verdict:
    r"""Judge a reader's step of an LSTM: $C_t = f_t \odot C_{t-1} + i_t \odot \tilde C_t$, $h_t = o_t \odot \tanh C_t$.

    Args:
        lstm_step: called as `lstm_step(x_t, h, C, W_x, W_h, b)` with x_t (B, P), h and C (B, m), W_x (4m, P),
            W_h (4m, m) and b (4m,), rows in the order i, f, g, o; gives h_t and C_t, (B, m) each.

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 07.
    """

    def right(
        x_t: Tensor, h: Tensor, C: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor]:
        state = right_lstm_step(x_t, LSTMState(h, C), W_x, W_h, b)[1]
        return state.h, state.C

    def changed(**how: Any) -> Callable[..., tuple[Tensor, Tensor]]:
        return lambda **given: _lstm(**given, **how)

    slips = {
        "input and forget gate are swapped: the rows stand in the order i, f, g, o": changed(order="figo"),
        "candidate and output gate are swapped: the rows stand in the order i, f, g, o": changed(
            order="ifog"
        ),
        "the candidate is a tanh, not a sigmoid": changed(candidate=torch.sigmoid),
        "the candidate has no tanh": changed(candidate=lambda a: a),
        "the tanh of C_t is missing in h_t": changed(shown=lambda C: C),
        "h_t shows the new cell state, not the one before": changed(before=True),
        "what is kept is f_t, not 1 - i_t or i_t, times the cell state before": changed(keeps="i"),
        "what is written is i_t times the candidate, not f_t times": changed(writes="f"),
        "the two results are swapped: h_t first, then C_t": lambda **given: _lstm(**given)[::-1],
    }
    return judge(lstm_step, right, [_case(4, "h", "C")], slips)


def _gru(
    x_t: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_n: Tensor, *,
    order: str = "rzn", keeps_new: bool = False, reset_first: bool = False, b_n_inside: bool = True,
) -> Tensor:  # fmt: skip
    """A GRU's step with one thing changed."""
    x = dict(zip(order, (x_t @ W_x.mT + b).chunk(3, dim=-1), strict=True))
    of_h = dict(zip(order, (h @ W_h.mT).chunk(3, dim=-1), strict=True))
    r, z = (torch.sigmoid(x[gate] + of_h[gate]) for gate in "rz")
    if reset_first:
        W_n = W_h.chunk(3, dim=0)[order.index("n")]
        n = torch.tanh(x["n"] + (r * h) @ W_n.mT + b_n)
    elif b_n_inside:
        n = torch.tanh(x["n"] + r * (of_h["n"] + b_n))
    else:
        n = torch.tanh(x["n"] + r * of_h["n"] + b_n)
    return z * n + (1 - z) * h if keeps_new else (1 - z) * n + z * h


def check_gru_step(gru_step: Callable[..., Tensor]) -> Verdict:
    r"""Judge a reader's step of a GRU, in torch's variant: $h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}$.

    Args:
        gru_step: called as `gru_step(x_t, h, W_x, W_h, b, b_n)` with x_t (B, P), h (B, m), W_x (3m, P), W_h (3m, m),
            b (3m,) and b_n (m,), rows in the order r, z, n; gives h_t, (B, m).

    Returns:
        The verdict, with the name of the slip where it is known.

    For chapter 08.
    """

    def right(x_t: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_n: Tensor) -> Tensor:
        return right_gru_step(x_t, GRUState(h), W_x, W_h, b, b_n)[0]

    slips = {
        "z_t and 1 - z_t are swapped: z_t is the share of the old state": lambda **given: _gru(
            **given, keeps_new=True
        ),
        "reset and update gate are swapped: the rows stand in the order r, z, n": lambda **given: _gru(
            **given, order="zrn"
        ),
        "the reset gate comes after the product here: r_t * (W'_n h + b_n)": lambda **given: _gru(
            **given, reset_first=True
        ),
        "b_n stands inside the bracket that r_t multiplies": lambda **given: _gru(**given, b_n_inside=False),
    }
    return judge(gru_step, right, [{**_case(3, "h"), "b_n": random(1)(_m)}], slips)
