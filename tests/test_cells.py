"""Laws of a single step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cells import NONLINEARITIES, RNNCell, RNNState, detach, rnn_step

sizes = st.integers(1, 6)


@given(B=sizes, P=sizes, m=sizes, nonlinearity=st.sampled_from(["tanh", "relu"]))
def test_step_equals_torch_in_values_and_gradients(B, P, m, nonlinearity):
    theirs = torch.nn.RNNCell(P, m, nonlinearity=nonlinearity, dtype=torch.float64)
    ours = RNNCell(P, m, nonlinearity=nonlinearity, dtype=torch.float64)
    with torch.no_grad():
        ours.W_xh.copy_(theirs.weight_ih)
        ours.W_hh.copy_(theirs.weight_hh)
        ours.b_h.copy_(theirs.bias_ih + theirs.bias_hh)
    x_t, h = torch.randn(B, P, dtype=torch.float64), torch.randn(B, m, dtype=torch.float64)
    weighting = torch.randn(B, m, dtype=torch.float64)
    h_ours, state = ours(x_t, RNNState(h))
    h_theirs = theirs(x_t, h)
    torch.testing.assert_close(h_ours, h_theirs, rtol=1e-12, atol=1e-12)
    assert state.h is h_ours
    (h_ours * weighting).sum().backward()
    (h_theirs * weighting).sum().backward()
    for mine, yours in [
        (ours.W_xh, theirs.weight_ih),
        (ours.W_hh, theirs.weight_hh),
        (ours.b_h, theirs.bias_ih),
        (ours.b_h, theirs.bias_hh),
    ]:
        torch.testing.assert_close(mine.grad, yours.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_step_is_the_formula_number_by_number(nonlinearity):
    """The equation written out in plain Python sums, with nothing in common with the implementation."""
    cell = RNNCell(2, 3, nonlinearity=nonlinearity, dtype=torch.float64)
    x_t, h = torch.randn(1, 2, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
    cell.requires_grad_(False)
    h_t, _ = cell(x_t, RNNState(h))
    xi = {
        "tanh": lambda a: float(torch.tanh(torch.tensor(a, dtype=torch.float64))),
        "relu": lambda a: max(a, 0.0),
    }
    for j in range(3):
        a = float(cell.b_h[j])
        a += sum(float(cell.W_hh[j, k]) * float(h[0, k]) for k in range(3))
        a += sum(float(cell.W_xh[j, p]) * float(x_t[0, p]) for p in range(2))
        assert abs(float(h_t[0, j]) - xi.get(nonlinearity, lambda a: a)(a)) < 1e-12


def test_trace_tells_pre_activation_and_state():
    cell = RNNCell(2, 3)
    x_t = torch.randn(4, 2)
    h_t, state, record = cell.traced(x_t, cell.initial_state(4))
    assert torch.equal(record["h"], h_t) and torch.equal(state.h, h_t)
    assert torch.equal(torch.tanh(record["a"]), h_t)
    assert torch.equal(cell(x_t)[0], h_t)


def test_initial_state_is_zero_and_default():
    cell = RNNCell(2, 3)
    x_t = torch.randn(4, 2)
    assert not cell.initial_state(4).h.any()
    assert torch.equal(cell(x_t)[0], cell(x_t, RNNState(torch.zeros(4, 3)))[0])


def test_detach_keeps_numbers_and_form_and_cuts_history():
    h = torch.randn(2, 3, requires_grad=True) * 1.0
    nested = (RNNState(h), (RNNState(h), h))
    cut = detach(nested)
    assert isinstance(cut[0], RNNState) and isinstance(cut[1][0], RNNState)
    for part in (cut[0].h, cut[1][0].h, cut[1][1]):
        assert torch.equal(part, h) and not part.requires_grad and part.grad_fn is None


def test_initial_weights_fill_torchs_range():
    cell = RNNCell(40, 64)
    for weight in cell.parameters():
        assert weight.abs().max() <= 64**-0.5
        assert weight.abs().max() > 0.9 * 64**-0.5 and weight.min() < 0 < weight.max()


def test_step_needs_no_module():
    h_t, _ = rnn_step(
        torch.ones(1, 2), RNNState(torch.ones(1, 1)), torch.ones(1, 2), torch.ones(1, 1), torch.ones(1)
    )
    assert float(h_t) == pytest.approx(float(torch.tanh(torch.tensor(4.0))))
