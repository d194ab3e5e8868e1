"""Checkers of what a reader writes: not written yet, right, or what is wrong, each likely slip by its name."""

import pytest
import torch
from torch.nn import functional as F

from unrolled import practice
from unrolled.cells import GRUState, LSTMState, RNNCell, RNNState, detach, gru_step, lstm_step, rnn_step
from unrolled.networks import unroll
from unrolled.practice import losses, passes, steps

CHECKERS = {
    practice.check_recurrence: passes,
    practice.check_rnn_step: steps,
    practice.check_sequence_loss: losses,
    practice.check_rnn_backward: passes,
    practice.check_jacobian_product: passes,
    practice.check_truncated_step: losses,
    practice.check_lstm_step: steps,
    practice.check_gru_step: steps,
}


def asked(checker):
    """What a checker compares with: the right function, the cases, and the slips by their sentences."""
    kept = []

    def judge(written, *compared, **_):
        kept.extend(compared)
        return practice.Verdict(True, "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CHECKERS[checker], "judge", judge)
        checker(lambda: None)
    return kept


SLIPS = [
    (checker, sentence)
    for checker in CHECKERS
    if checker is not practice.check_truncated_step
    for sentence in asked(checker)[2]
]


@pytest.mark.parametrize(("checker", "sentence"), SLIPS, ids=[f"{c.__name__}: {s}" for c, s in SLIPS])
def test_each_slip_is_named(checker, sentence):
    verdict = checker(asked(checker)[2][sentence])
    assert not verdict.right and sentence in repr(verdict)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_what_is_not_written_yet_is_told_so(checker):
    def empty(*_, **__): ...

    def refuses(*_, **__):
        raise NotImplementedError

    for written in (empty, refuses, lambda *_, **__: ...):
        verdict = checker(written)
        assert not verdict.right and verdict.sentence.endswith(": not written yet")


# As a reader writes them, without the library.


def states(step, h_0, x):
    h, found = h_0, []
    for t in range(len(x)):
        h = step(h, x[t])
        found.append(h)
    return torch.stack(found)


def vanilla(x_t, h, W_xh, W_hh, b_h):
    return torch.tanh(torch.einsum("bp,mp->bm", x_t, W_xh) + F.linear(h, W_hh, b_h))


def sequence_loss(logits, targets):
    p = torch.softmax(logits, dim=-1)
    right = torch.stack([p[b, t, targets[b, t]] for b in range(p.shape[0]) for t in range(p.shape[1])])
    return -right.log().mean()


def rnn_backward(x, h, d_h, W_hh):
    d_W_xh, d_W_hh, d_b = torch.zeros(W_hh.shape[0], x.shape[-1]).double(), torch.zeros_like(W_hh), 0
    later = 0
    for t in range(len(x) - 1, -1, -1):
        delta = (d_h[t] + later) * (1 - h[t + 1] ** 2)
        d_W_xh, d_W_hh, d_b = d_W_xh + delta.T @ x[t], d_W_hh + delta.T @ h[t], d_b + delta.sum(0)
        later = delta @ W_hh
    return d_W_xh, d_W_hh, d_b


def jacobian_product(jacobians):
    return torch.linalg.multi_dot(list(jacobians.flip(0)))


def truncated_step(cell, x, y, state):
    if state is not None:
        state = RNNState(state.h.detach())
    h, state, _ = unroll(cell, x, state)
    return F.mse_loss(h, y), state


def lstm(x_t, h, C, W_x, W_h, b):
    i, f, g, o = torch.chunk(F.linear(x_t, W_x) + F.linear(h, W_h) + b, 4, dim=1)
    C = f.sigmoid() * C + i.sigmoid() * g.tanh()
    return o.sigmoid() * C.tanh(), C


def gru(x_t, h, W_x, W_h, b, b_n):
    zeros = torch.zeros(2 * len(b_n), dtype=b.dtype)
    return torch.gru_cell(x_t, h, W_x, W_h, b, torch.cat([zeros, b_n]))


RIGHT = {
    practice.check_recurrence: states,
    practice.check_rnn_step: vanilla,
    practice.check_sequence_loss: sequence_loss,
    practice.check_rnn_backward: rnn_backward,
    practice.check_jacobian_product: jacobian_product,
    practice.check_truncated_step: truncated_step,
    practice.check_lstm_step: lstm,
    practice.check_gru_step: gru,
}


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_a_right_answer_in_other_words_is_right(checker):
    verdict = checker(RIGHT[checker])
    assert verdict.right, verdict
    assert repr(verdict).startswith(f"{RIGHT[checker].__name__}: right, equal to")


def test_the_librarys_own_steps_are_right():
    assert practice.check_rnn_step(
        lambda x_t, h, *weights, **named: rnn_step(x_t, RNNState(h), *weights, **named)[0]
    ).right
    assert practice.check_lstm_step(
        lambda x_t, h, C, **weights: tuple(lstm_step(x_t, LSTMState(h, C), **weights)[1])
    ).right
    assert practice.check_gru_step(lambda x_t, h, **weights: gru_step(x_t, GRUState(h), **weights)[0]).right


def test_the_backward_pass_that_is_compared_with_is_autograds():
    right, (case,), _ = asked(practice.check_rnn_backward)
    cell = RNNCell(case["x"].shape[-1], case["W_hh"].shape[0], dtype=torch.float64)
    with torch.no_grad():
        cell.W_hh.copy_(case["W_hh"])
    x = case["x"]
    h, _, _ = unroll(cell, x.transpose(0, 1), RNNState(case["h"][0]))
    all_h = torch.cat([case["h"][:1], h.transpose(0, 1).detach()])
    expected = torch.autograd.grad((h.transpose(0, 1) * case["d_h"]).sum(), [cell.W_xh, cell.W_hh, cell.b_h])
    for ours, theirs in zip(right(x, all_h, case["d_h"], cell.W_hh.detach()), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def missing_detach(cell, x, y, state):
    h, state, _ = unroll(cell, x, state)
    return (h - y).square().mean(), state


def reset(cell, x, y, state):
    h, state, _ = unroll(cell, x)
    return (h - y).square().mean(), state


def summed(cell, x, y, state):
    h, state, _ = unroll(cell, x, detach(state) if state else None)
    return (h - y).square().sum(), state


def handed_back(cell, x, y, state):
    h, last, _ = unroll(cell, x, detach(state) if state else None)
    return (h - y).square().mean(), state or last


@pytest.mark.parametrize(
    ("slip", "sentence"),
    [
        (missing_detach, "the state's history is not cut"),
        (reset, "every chunk starts from zeros"),
        (summed, "a sum stands where the mean should"),
        (handed_back, "the state that came in is handed back"),
    ],
)
def test_each_slip_of_truncation_is_named(slip, sentence):
    verdict = practice.check_truncated_step(slip)
    assert not verdict.right and sentence in verdict.sentence


def in_place(x_t, h, W_xh, W_hh, b_h):
    h += 1
    return vanilla(x_t, h - 1, W_xh, W_hh, b_h)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (5, "expected a function, got int"),
        (lambda **_: 1.0, "expected tensors, got float"),
        (lambda x_t, h, **_: (h, h), "expected 1 results, got 2"),
        (lambda x_t, h, **_: h[:1], "the result: expected shape (3, 5), got (1, 5)"),
        (lambda x_t, h, **_: h, "the result is off by up to"),
        (lambda **given: vanilla(**given).detach(), "the gradient of x_t is not: is something detached"),
        (lambda x_t, h, W_xh, W_hh, b_h: x_t @ W_hh, "raised RuntimeError: "),
        (lambda x_t, h, W_xh, W_hh, b_h: x_t @ W_hh, "given were x_t (3, 4), h (3, 5), W_xh (5, 4)"),
        (lambda x_t: x_t, "raised TypeError: "),
    ],
)
def test_whatever_else_is_wrong_is_said(written, sentence, plain_errors):
    verdict = practice.check_rnn_step(written)
    assert not verdict.right and sentence in verdict.sentence


def test_an_argument_changed_in_place_is_told():
    verdict = practice.check_rnn_step(in_place)
    assert verdict.sentence == "in_place: it changes its argument h; make a new tensor instead"


def test_the_same_slip_gets_the_same_words_each_time():
    slip = next(iter(asked(practice.check_rnn_step)[2].values()))
    assert practice.check_rnn_step(slip) == practice.check_rnn_step(slip)
