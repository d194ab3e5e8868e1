"""Laws of whole sequences: equal to torch, to chunks and to single steps, and to each seed alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cells import RNNCell, RNNState
from unrolled.device import stack_seeds
from unrolled.unroll import RNN, unroll

F64 = torch.float64
sizes = st.integers(1, 5)


def _torch_and_ours(P, m, layers, bidirectional, nonlinearity, backend):
    theirs = torch.nn.RNN(
        P, m, layers, nonlinearity=nonlinearity, batch_first=True, bidirectional=bidirectional, dtype=F64
    )
    return theirs, RNN.from_torch(theirs, backend=backend)


def _pairs(theirs, ours):
    """Our gradients beside torch's; torch's two biases each get the whole gradient of their sum."""
    for cell, (W_ih, W_hh, b_ih, b_hh) in zip(ours.cells, theirs.all_weights, strict=True):
        yield from ((cell.W_xh, W_ih), (cell.W_hh, W_hh), (cell.b_h, b_ih), (cell.b_h, b_hh))


@pytest.mark.parametrize("backend", ["loop", "hand", "torch"])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("bidirectional", [False, True])
@given(B=sizes, T=sizes, P=sizes, m=sizes, layers=st.integers(1, 3))
def test_equals_torch_in_values_and_all_gradients(backend, nonlinearity, bidirectional, B, T, P, m, layers):
    theirs, ours = _torch_and_ours(P, m, layers, bidirectional, nonlinearity, backend)
    x = torch.randn(B, T, P, dtype=F64)
    x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    D = 2 if bidirectional else 1
    h_0 = torch.zeros(layers * D, B, m, dtype=F64)
    state = None
    if not bidirectional:
        h_0 = torch.randn(layers, B, m, dtype=F64)
        state = tuple(RNNState(part.clone().requires_grad_()) for part in h_0)
    h_0.requires_grad_()
    y_ours, final = ours(x_ours, state)
    y_theirs, h_n = theirs(x_theirs, h_0)
    torch.testing.assert_close(y_ours, y_theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.stack([part.h for part in final]), h_n, rtol=1e-12, atol=1e-12)
    on_y, on_h = torch.randn_like(y_ours), torch.randn_like(h_n)
    ((y_ours * on_y).sum() + (torch.stack([part.h for part in final]) * on_h).sum()).backward()
    ((y_theirs * on_y).sum() + (h_n * on_h).sum()).backward()
    torch.testing.assert_close(x_ours.grad, x_theirs.grad, rtol=1e-10, atol=1e-12)
    for mine, yours in _pairs(theirs, ours):
        torch.testing.assert_close(mine.grad, yours.grad, rtol=1e-10, atol=1e-12)
    if state is not None:
        got = torch.stack([part.h.grad for part in state])
        torch.testing.assert_close(got, h_0.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", ["loop", "hand", "torch"])
@given(T=st.integers(2, 9), cut=st.integers(1, 8), layers=st.integers(1, 3))
def test_whole_sequence_equals_chunks_equals_steps(backend, T, cut, layers):
    rnn = RNN(3, 4, layers, backend=backend, dtype=F64)
    x = torch.randn(2, T, 3, dtype=F64)
    whole, final = rnn(x)
    chunks, state = [], None
    for part in x.split(min(cut, T), dim=1):
        h, state = rnn(part, state)
        chunks.append(h)
    steps, by_step = [], rnn.initial_state(2)
    for t in range(T):
        h_t = x[:, t]
        after = []
        for cell, part in zip(rnn.cells, by_step, strict=True):
            h_t, new = cell(h_t, part)
            after.append(new)
        by_step = tuple(after)
        steps.append(h_t)
    for other, end in ((torch.cat(chunks, dim=1), state), (torch.stack(steps, dim=1), by_step)):
        torch.testing.assert_close(other, whole, rtol=0, atol=1e-12)
        for a, b in zip(end, final, strict=True):
            torch.testing.assert_close(a.h, b.h, rtol=0, atol=1e-12)


def test_chunking_both_directions_raises(plain_errors):
    rnn = RNN(3, 4, bidirectional=True)
    _, state = rnn(torch.randn(2, 5, 3))
    with pytest.raises(ValueError, match="state: a bidirectional RNN reads the whole sequence"):
        rnn(torch.randn(2, 5, 3), state)


@pytest.mark.parametrize("backend", ["loop", "hand", "torch"])
def test_batch_of_one_and_one_step(backend):
    rnn = RNN(3, 4, 2, backend=backend, dtype=F64)
    x = torch.randn(5, 6, 3, dtype=F64)
    whole, _ = rnn(x)
    for b in range(5):
        torch.testing.assert_close(rnn(x[b : b + 1])[0][0], whole[b], rtol=0, atol=1e-12)
    h, state = rnn(x[:, :1])
    assert h.shape == (5, 1, 4) and torch.equal(h[:, 0], state[-1].h)


def test_backward_direction_is_the_forward_one_on_reversed_time():
    cell = RNNCell(3, 4, dtype=F64)
    x = torch.randn(2, 5, 3, dtype=F64)
    backwards, end, trace = unroll(cell, x, reverse=True)
    forwards, end_f, trace_f = unroll(cell, x.flip(1))
    assert torch.equal(backwards, forwards.flip(1)) and torch.equal(end.h, end_f.h)
    assert torch.equal(trace["a"], trace_f["a"].flip(1))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_traces_are_what_the_layers_computed(bidirectional):
    rnn = RNN(3, 4, 2, bidirectional=bidirectional, dtype=F64)
    x = torch.randn(2, 5, 3, dtype=F64)
    h, state, traces = rnn.trace(x)
    same, _ = rnn(x)
    torch.testing.assert_close(h, same, rtol=0, atol=1e-12)
    D = rnn.num_directions
    assert len(traces) == 2 * D == len(state)
    assert torch.equal(torch.cat([trace["h"] for trace in traces[-D:]], dim=-1), h)
    for trace in traces:
        assert trace["a"].shape == trace["h"].shape == (2, 5, 4)
        assert torch.equal(torch.tanh(trace["a"]), trace["h"])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_weights_round_trip_through_torch(bidirectional, layers):
    ours = RNN(3, 4, layers, bidirectional=bidirectional, dtype=F64)
    theirs = ours.to_torch()
    x = torch.randn(2, 5, 3, dtype=F64)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=0, atol=1e-12)
    back = RNN.from_torch(theirs)
    for a, b in zip(ours.parameters(), back.parameters(), strict=True):
        assert torch.equal(a, b)
    no_bias = torch.nn.RNN(3, 4, bias=False, batch_first=True, dtype=F64)
    torch.testing.assert_close(RNN.from_torch(no_bias)(x)[0], no_bias(x)[0], rtol=0, atol=1e-12)


def test_state_round_trips_through_its_tensors():
    rnn = RNN(3, 4, 2)
    x = torch.randn(2, 5, 3)
    _, state = rnn(x)
    rebuilt = tuple(RNNState(h) for h in torch.stack([part.h for part in state]).unbind(0))
    assert torch.equal(rnn(x, rebuilt)[0], rnn(x, state)[0])


@given(S=st.integers(1, 4), layers=st.integers(1, 2), bidirectional=st.booleans())
def test_a_leading_axis_of_seeds_gives_what_each_seed_gives_alone(S, layers, bidirectional):
    def build():
        return RNN(3, 4, layers, bidirectional=bidirectional, dtype=F64)

    seeds = [7 * s + 1 for s in range(S)]
    before = torch.random.get_rng_state()
    together = stack_seeds(build, seeds)
    assert torch.equal(before, torch.random.get_rng_state())
    shared = torch.randn(2, 5, 3, dtype=F64)
    own = torch.randn(S, 2, 5, 3, dtype=F64)
    weighting = torch.randn(S, 2, 5, together.output_size, dtype=F64)
    for x in (shared, own):
        together.zero_grad()
        h, state = together(x)
        (h * weighting).sum().backward()
        for s, seed in enumerate(seeds):
            torch.manual_seed(seed)
            alone = build()
            h_s, state_s = alone(x if x.dim() == 3 else x[s])
            torch.testing.assert_close(h[s], h_s, rtol=0, atol=1e-12)
            torch.testing.assert_close(state[-1].h[s], state_s[-1].h, rtol=0, atol=1e-12)
            (h_s * weighting[s]).sum().backward()
            for one, many in zip(alone.parameters(), together.parameters(), strict=True):
                torch.testing.assert_close(many.grad[s].reshape(one.shape), one.grad, rtol=1e-12, atol=1e-12)


def test_linear_recurrence_runs_the_loop():
    rnn = RNN(3, 4, nonlinearity="linear", dtype=F64)
    x = torch.randn(2, 2, 3, dtype=F64)
    cell = rnn.cells[0]
    h_1 = x[:, 0] @ cell.W_xh.mT + cell.b_h
    h_2 = h_1 @ cell.W_hh.mT + x[:, 1] @ cell.W_xh.mT + cell.b_h
    torch.testing.assert_close(rnn(x)[0][:, 1], h_2, rtol=0, atol=1e-12)
