"""Laws of a single step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cells import GATES, NONLINEARITIES, LSTMCell, LSTMState, RNNCell, RNNState, detach, rnn_step
from unrolled.device import stack_seeds
from unrolled.networks import LSTM, unroll

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


@pytest.mark.parametrize("gate", ["i", "f", "o"])
def test_a_gate_left_out_is_one_that_stands_open_for_ever(gate):
    """The whole LSTM with that gate's weights zero and its bias infinite: the same values and gradients."""
    P, m = 3, 4
    cell = LSTMCell(P, m, without=gate, dtype=torch.float64)
    whole = LSTMCell(P, m, dtype=torch.float64)
    rows = torch.tensor([name != gate for name in GATES]).repeat_interleave(m)
    pairs = [(cell.W_x, whole.W_x), (cell.W_h, whole.W_h), (cell.b, whole.b)]
    with torch.no_grad():
        for small, large in pairs:
            assert len(small) == 3 * m  # no rows for the gate
            large.zero_()
            large[rows] = small
        whole.b[~rows] = torch.inf
    x = torch.randn(2, 6, P, dtype=torch.float64)
    h, end, trace = unroll(cell, x)
    h_whole, _, trace_whole = unroll(whole, x)
    assert list(trace) == list(trace_whole) == [*GATES, "C", "h"]
    assert (trace[gate] == 1).all()
    for name in trace:
        torch.testing.assert_close(trace[name], trace_whole[name], rtol=0, atol=1e-12)
    assert torch.equal(end.C, trace["C"][:, -1]) and isinstance(end, LSTMState)
    weighting = torch.randn_like(h)
    (h * weighting).sum().backward()
    (h_whole * weighting).sum().backward()
    for small, large in pairs:
        torch.testing.assert_close(small.grad, large.grad[rows], rtol=1e-12, atol=1e-12)
        assert small.grad.any()


def test_without_its_forget_gate_an_lstm_only_ever_adds():
    cell, x = LSTMCell(3, 4, without="f", dtype=torch.float64), torch.randn(2, 6, 3, dtype=torch.float64)
    _, _, trace = unroll(cell, x)
    torch.testing.assert_close(trace["C"], (trace["i"] * trace["g"]).cumsum(dim=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gate", ["i", "o", "f"])
def test_the_forget_bias_finds_its_gate_whatever_is_left_out(gate):
    biases = []
    for forget_bias in (0.0, 5.0):
        torch.manual_seed(0)
        biases.append(LSTMCell(3, 40, without=gate, forget_bias=forget_bias).b.detach().view(3, 40))
    raised = (biases[1] - biases[0]).mean(dim=1)
    expected = [5.0 if name == "f" else 0.0 for name in GATES if name != gate]
    torch.testing.assert_close(raised, torch.tensor(expected))


def test_seeds_of_an_lstm_without_a_gate_train_side_by_side():
    x = torch.randn(2, 5, 3)
    together = stack_seeds(lambda: LSTM(3, 4, without="o"), [3, 8])
    h, _ = together(x)
    for s, seed in enumerate([3, 8]):
        torch.manual_seed(seed)
        torch.testing.assert_close(h[s], LSTM(3, 4, without="o", backend="loop")(x)[0])


def test_torch_has_no_lstm_without_a_gate_and_says_so():
    cell = LSTMCell(3, 4, without="f")
    for exchange in (cell.to_torch_weights, lambda: cell.load_torch_weights(cell.W_x, cell.W_h, cell.b)):
        with pytest.raises(ValueError, match="without: torch has no LSTM with a gate left out.*got 'f'"):
            exchange()
    with pytest.raises(ValueError, match="without: expected one of 'i', 'f', 'o', got 'g'"):
        LSTMCell(3, 4, without="g")
    assert "without='f'" in repr(cell) and "without" not in repr(LSTMCell(3, 4))


@pytest.mark.parametrize("backend", ["hand", "torch"])
def test_only_the_loop_leaves_a_gate_out(backend):
    with pytest.raises(
        ValueError, match=f"backend: an LSTM without i runs in the loop alone.*got '{backend}'"
    ):
        LSTM(3, 4, without="i", backend=backend)
    x = torch.randn(2, 5, 3)
    lstm = LSTM(3, 4, without="i")
    assert torch.equal(lstm(x)[0], unroll(lstm.cells[0], x)[0])  # what "auto" takes
