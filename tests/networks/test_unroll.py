"""Laws of whole sequences: equal to torch, to chunks and to single steps, and to each seed alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cells import GATES, GRUCell, RNNCell, RNNState
from unrolled.device import stack_seeds
from unrolled.networks import GRU, LSTM, RNN, unroll

F64 = torch.float64
sizes = st.integers(1, 5)


# Every network, what it takes besides its sizes, and the backends it has.
NETWORKS = {
    "RNN tanh": (RNN, {"nonlinearity": "tanh"}, ("loop", "hand", "torch")),
    "RNN relu": (RNN, {"nonlinearity": "relu"}, ("loop", "hand", "torch")),
    "LSTM": (LSTM, {}, ("loop", "hand", "torch")),
    "GRU": (GRU, {}, ("loop", "torch")),
}
EACH = [(name, backend) for name, (_, _, backends) in NETWORKS.items() for backend in backends]
each_network_and_backend = pytest.mark.parametrize(("name", "backend"), EACH)
each_network = pytest.mark.parametrize("name", NETWORKS)


def _build(name, P, m, layers=1, backend="auto", **options):
    network, own, _ = NETWORKS[name]
    return network(P, m, layers, backend=backend, dtype=F64, **own, **options)


def _their_gradients(ours):
    """Our gradients as torch's weights have them: two biases that are added each get the whole gradient."""
    for cell in ours.cells:
        if isinstance(cell, RNNCell):
            yield from (cell.W_xh.grad, cell.W_hh.grad, cell.b_h.grad, cell.b_h.grad)
            continue
        recurrent = cell.b.grad.clone()
        if isinstance(cell, GRUCell):
            recurrent[2 * cell.hidden_size :] = cell.b_n.grad
        yield from (cell.W_x.grad, cell.W_h.grad, cell.b.grad, recurrent)


@each_network_and_backend
@pytest.mark.parametrize("bidirectional", [False, True])
@given(B=sizes, T=sizes, P=sizes, m=sizes, layers=st.integers(1, 3))
def test_equals_torch_in_values_and_all_gradients(name, backend, bidirectional, B, T, P, m, layers):
    network, own, _ = NETWORKS[name]
    theirs = network.torch_type(P, m, layers, batch_first=True, bidirectional=bidirectional, dtype=F64, **own)
    ours = network.from_torch(theirs, backend=backend)
    parts = len(network.cell_type.State._fields)
    x = torch.randn(B, T, P, dtype=F64)
    x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    D = 2 if bidirectional else 1
    first = [torch.zeros(layers * D, B, m, dtype=F64) for _ in range(parts)]
    state = None
    if not bidirectional:
        first = [torch.randn(layers, B, m, dtype=F64) for _ in range(parts)]
        leaves = [[part.clone().requires_grad_() for part in each] for each in zip(*first, strict=True)]
        state = tuple(network.cell_type.State(*each) for each in leaves)
    first = [part.requires_grad_() for part in first]
    y_ours, final = ours(x_ours, state)
    y_theirs, last = theirs(x_theirs, tuple(first) if parts > 1 else first[0])
    last = last if parts > 1 else (last,)
    ends = [torch.stack(part) for part in zip(*final, strict=True)]
    torch.testing.assert_close(y_ours, y_theirs, rtol=1e-12, atol=1e-12)
    for mine, yours in zip(ends, last, strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-12, atol=1e-12)
    on_y, on_ends = torch.randn_like(y_ours), [torch.randn_like(part) for part in ends]

    def loss(y, ends):
        return (y * on_y).sum() + sum((end * on).sum() for end, on in zip(ends, on_ends, strict=True))

    loss(y_ours, ends).backward()
    loss(y_theirs, last).backward()
    torch.testing.assert_close(x_ours.grad, x_theirs.grad, rtol=1e-10, atol=1e-12)
    flat = [weight for weights in theirs.all_weights for weight in weights]
    for mine, yours in zip(_their_gradients(ours), flat, strict=True):
        torch.testing.assert_close(mine, yours.grad, rtol=1e-10, atol=1e-12)
    if state is not None:
        for i, part in enumerate(first):
            got = torch.stack([each[i].grad for each in leaves])
            torch.testing.assert_close(got, part.grad, rtol=1e-10, atol=1e-12)


@each_network_and_backend
@given(T=st.integers(2, 9), cut=st.integers(1, 8), layers=st.integers(1, 3))
def test_whole_sequence_equals_chunks_equals_steps(name, backend, T, cut, layers):
    rnn = _build(name, 3, 4, layers, backend)
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
            for mine, yours in zip(a, b, strict=True):
                torch.testing.assert_close(mine, yours, rtol=0, atol=1e-12)


def test_chunking_both_directions_raises(plain_errors):
    rnn = RNN(3, 4, bidirectional=True)
    _, state = rnn(torch.randn(2, 5, 3))
    with pytest.raises(ValueError, match="state: a bidirectional RNN reads the whole sequence"):
        rnn(torch.randn(2, 5, 3), state)


@each_network_and_backend
def test_batch_of_one_and_one_step(name, backend):
    rnn = _build(name, 3, 4, 2, backend)
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


@each_network
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_weights_round_trip_through_torch(name, bidirectional, layers):
    ours = _build(name, 3, 4, layers, bidirectional=bidirectional)
    theirs = ours.to_torch()
    x = torch.randn(2, 5, 3, dtype=F64)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=0, atol=1e-12)
    back = type(ours).from_torch(theirs)
    for a, b in zip(ours.parameters(), back.parameters(), strict=True):
        assert torch.equal(a, b)
    no_bias = ours.torch_type(3, 4, bias=False, batch_first=True, dtype=F64)
    torch.testing.assert_close(type(ours).from_torch(no_bias)(x)[0], no_bias(x)[0], rtol=0, atol=1e-12)


@each_network
def test_dropout_falls_between_layers_only_and_while_training(name):
    rnn, x = _build(name, 3, 4, 2, "loop", dropout=0.5), torch.randn(2, 5, 3, dtype=F64)
    first, second = rnn.cells
    torch.manual_seed(1)
    dropped, _ = rnn(x)
    torch.manual_seed(1)
    by_hand, _, _ = unroll(second, torch.nn.functional.dropout(unroll(first, x)[0], 0.5))
    torch.testing.assert_close(dropped, by_hand, rtol=0, atol=1e-12)
    assert not torch.allclose(dropped, unroll(second, unroll(first, x)[0])[0])
    rnn.eval()
    torch.testing.assert_close(rnn(x)[0], unroll(second, unroll(first, x)[0])[0], rtol=0, atol=1e-12)
    by_torch = _build(name, 3, 4, 2, "torch", dropout=0.5)
    assert not torch.allclose(by_torch(x)[0], by_torch(x)[0])  # each call drops others
    by_torch.eval()
    assert torch.equal(by_torch(x)[0], by_torch(x)[0])
    assert rnn.to_torch().dropout == type(rnn).from_torch(rnn.to_torch()).dropout == 0.5


def test_state_round_trips_through_its_tensors():
    rnn = RNN(3, 4, 2)
    x = torch.randn(2, 5, 3)
    _, state = rnn(x)
    rebuilt = tuple(RNNState(h) for h in torch.stack([part.h for part in state]).unbind(0))
    assert torch.equal(rnn(x, rebuilt)[0], rnn(x, state)[0])


@each_network
@given(S=st.integers(1, 4), layers=st.integers(1, 2), bidirectional=st.booleans())
def test_a_leading_axis_of_seeds_gives_what_each_seed_gives_alone(name, S, layers, bidirectional):
    def build():
        return _build(name, 3, 4, layers, bidirectional=bidirectional)

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


def test_an_lstms_trace_is_its_equations():
    lstm, x = LSTM(3, 4, dtype=F64), torch.randn(2, 6, 3, dtype=F64)
    h, (end,), (trace,) = lstm.trace(x)
    assert list(trace) == [*GATES, "C", "h"]
    before = torch.cat([torch.zeros(2, 1, 4, dtype=F64), trace["C"][:, :-1]], dim=1)
    torch.testing.assert_close(trace["C"], trace["f"] * before + trace["i"] * trace["g"], rtol=0, atol=1e-12)
    torch.testing.assert_close(h, trace["o"] * torch.tanh(trace["C"]), rtol=0, atol=1e-12)
    assert all(((trace[gate] > 0) & (trace[gate] < 1)).all() for gate in "ifo")
    assert torch.equal(end.h, h[:, -1]) and torch.equal(end.C, trace["C"][:, -1])


def test_a_grus_trace_is_its_equations():
    gru, x = GRU(3, 4, dtype=F64), torch.randn(2, 6, 3, dtype=F64)
    h, _, (trace,) = gru.trace(x)
    before = torch.cat([torch.zeros(2, 1, 4, dtype=F64), h[:, :-1]], dim=1)
    torch.testing.assert_close(h, (1 - trace["z"]) * trace["n"] + trace["z"] * before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("forget_bias", [0.0, 1.0, 3.0])
def test_the_forget_gates_bias_starts_around_the_number_asked_for(forget_bias):
    torch.manual_seed(0)
    plain = LSTM(3, 50, forget_bias=0.0).cells[0].b.detach().view(4, 50)
    torch.manual_seed(0)
    raised = LSTM(3, 50, forget_bias=forget_bias).cells[0].b.detach().view(4, 50)
    expected = plain.clone()
    expected[GATES.index("f")] += forget_bias
    torch.testing.assert_close(raised, expected)
    assert LSTM(3, 4).cells[0].forget_bias == 1.0
