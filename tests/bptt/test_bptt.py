"""The hand-derived backward passes equal autograd through the loop, finite differences and torch, whatever the case."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from unrolled.bptt import _products, lstm_through_time, rnn_through_time
from unrolled.bptt import lstm as gated_bptt
from unrolled.cells import NONLINEARITIES, LSTMCell, LSTMState, RNNCell, RNNState
from unrolled.networks import LSTM, RNN, unroll

F64 = torch.float64
sizes = st.integers(1, 5)


class _Vanilla:
    """The vanilla RNN: its hand-derived pass, the loop that defines it, and torch's."""

    names = ("x", "h_0", "W_xh", "W_hh", "b_h")
    hand, network, theirs, state, rows = rnn_through_time, RNN, torch.nn.RNN, ("h_0",), 1

    @staticmethod
    def loop(x, h_0, W_xh, W_hh, b_h, nonlinearity="tanh"):
        """The definition, under autograd."""
        cell = RNNCell(W_xh.shape[1], W_xh.shape[0], nonlinearity=nonlinearity)
        _give(cell, W_xh=W_xh, W_hh=W_hh, b_h=b_h)
        h, state, _ = unroll(cell, x.transpose(0, 1), RNNState(h_0))
        return h.transpose(0, 1), state.h


class _LSTM:
    """The LSTM: its hand-derived pass, the loop that defines it, and torch's."""

    names = ("x", "h_0", "C_0", "W_x", "W_h", "b")
    hand, network, theirs, state, rows = lstm_through_time, LSTM, torch.nn.LSTM, ("h_0", "C_0"), 4

    @staticmethod
    def loop(x, h_0, C_0, W_x, W_h, b):
        """The definition, under autograd."""
        cell = LSTMCell(W_x.shape[1], W_h.shape[1])
        _give(cell, W_x=W_x, W_h=W_h, b=b)
        h, state, _ = unroll(cell, x.transpose(0, 1), LSTMState(h_0, C_0))
        return h.transpose(0, 1), state.h, state.C


def _give(cell, **weights):
    """Take these tensors for a cell's weights, so that gradients reach them."""
    for name, weight in weights.items():
        delattr(cell, name)
        setattr(cell, name, weight)


BOTH = pytest.mark.parametrize("kind", [_Vanilla, _LSTM], ids=["rnn", "lstm"])


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    """The LSTM works in stretches of a few times: at a test's size it would meet one only."""
    monkeypatch.setattr(gated_bptt, "_ROWS", 6)


def _inputs(kind, T=4, B=3, P=2, m=5, dtype=F64, scale=0.7):
    """Weights and first states that hide no bug: nothing is zero, nothing is symmetric."""
    weights = ((kind.rows * m, P), (kind.rows * m, m), (kind.rows * m,))
    shapes = ((T, B, P), *[(B, m)] * len(kind.state), *weights)
    return {
        name: (scale * torch.randn(shape, dtype=dtype)).requires_grad_()
        for name, shape in zip(kind.names, shapes, strict=True)
    }


def _gradients(function, inputs, loss, **options):
    outputs = function(**inputs, **options)
    wanted = [each for each in inputs.values() if each is not None and each.requires_grad]
    return torch.autograd.grad(loss(*outputs), wanted)


def _losses(T, B, m, dtype=F64):
    """Losses that read every state, the last one only, both, or one of the last state's parts."""
    on_h, on_last, on_C = (torch.randn(*shape, dtype=dtype) for shape in ((T, B, m), (B, m), (B, m)))

    def last_state(_, *last):
        return sum((part * weight).sum() for part, weight in zip(last, (on_last, on_C), strict=False))

    return {
        "every state": lambda h, *_: (h * on_h).sum(),
        "last state": last_state,
        "both": lambda h, *last: (h * on_h).sum() + last_state(h, *last),
        "one state": lambda h, *_: (h[T // 2] * on_last).sum(),
        "last part": lambda _, *last: (last[-1] * on_C).sum(),
    }


def _assert_close(ours, expected, names, rtol=1e-10, atol=1e-12):
    for name, a, b in zip(names, ours, expected, strict=True):
        torch.testing.assert_close(
            a, b, rtol=rtol, atol=atol, msg=lambda text, name=name: f"d_{name}: {text}"
        )


def _equals_the_loop(kind, which, T, B, P, m, **options):
    inputs = _inputs(kind, T, B, P, m)
    loss = _losses(T, B, m)[which]
    outputs = kind.hand(**inputs, **options)
    _assert_close(outputs, kind.loop(**inputs, **options), ("h", *kind.state))
    ours, loops = (_gradients(f, inputs, loss, **options) for f in (kind.hand, kind.loop))
    _assert_close(ours, loops, kind.names)


WHICH = pytest.mark.parametrize("which", ["every state", "last state", "both", "one state", "last part"])


@WHICH
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@given(T=sizes, B=sizes, P=sizes, m=sizes)
def test_equals_autograd_through_the_loop(which, nonlinearity, T, B, P, m):
    _equals_the_loop(_Vanilla, which, T, B, P, m, nonlinearity=nonlinearity)


@WHICH
@given(T=st.integers(1, 9), B=sizes, P=sizes, m=sizes)
def test_the_lstm_equals_autograd_through_the_loop(which, T, B, P, m):
    _equals_the_loop(_LSTM, which, T, B, P, m)


@pytest.mark.parametrize(
    "kind, options",
    [(_Vanilla, {"nonlinearity": "tanh"}), (_Vanilla, {"nonlinearity": "relu"}), (_LSTM, {})],
    ids=["rnn tanh", "rnn relu", "lstm"],
)
def test_equals_torch_nn(kind, options):
    inputs = _inputs(kind, T=30, B=4, P=3, m=6)
    theirs = kind.theirs(3, 6, **options, dtype=F64)
    W_ih, W_hh, b_ih, b_hh = theirs.all_weights[0]
    with torch.no_grad():
        for weight, name in zip((W_ih, W_hh, b_ih), kind.names[-3:], strict=True):
            weight.copy_(inputs[name])
        b_hh.zero_()
    loss = _losses(30, 4, 6)["both"]
    x, *state = (inputs[name].detach().clone().requires_grad_() for name in ("x", *kind.state))
    first = [part.unsqueeze(0) for part in state]
    h, last = theirs(x, tuple(first) if len(first) > 1 else first[0])
    parts = [part[0] for part in last] if isinstance(last, tuple) else [last[0]]
    _assert_close(kind.hand(**inputs, **options), (h, *parts), ("h", *kind.state))
    expected = torch.autograd.grad(loss(h, *parts), (x, *state, W_ih, W_hh, b_ih))
    _assert_close(_gradients(kind.hand, inputs, loss, **options), expected, kind.names)


@BOTH
def test_equals_finite_differences(kind):
    inputs = _inputs(kind)
    assert gradcheck(lambda *args: kind.hand(*args), tuple(inputs.values()))
    if kind is _Vanilla:
        assert gradcheck(lambda *args: kind.hand(*args, nonlinearity="linear"), tuple(inputs.values()))


@BOTH
def test_second_derivatives_come_from_the_loop_and_the_hand_derived_path_says_so(kind):
    inputs = _inputs(kind, T=3, B=2, P=2, m=3)
    assert gradgradcheck(lambda *args: kind.loop(*args), tuple(inputs.values()))
    with pytest.raises(RuntimeError, match='for second derivatives use backend="loop"'):
        torch.autograd.grad(kind.hand(**inputs)[0].sum(), inputs[kind.names[-2]], create_graph=True)


@pytest.mark.parametrize(
    "kind, subset",
    [(kind, subset) for kind in (_Vanilla, _LSTM) for subset in range(1, 2 ** len(kind.names))],
    ids=lambda value: value if isinstance(value, int) else value.__name__,
)
def test_any_subset_of_gradients(kind, subset):
    everything = _inputs(kind)
    loss = _losses(4, 3, 5)["both"]
    full = dict(zip(kind.names, _gradients(kind.hand, everything, loss), strict=True))
    wanted = [name for i, name in enumerate(kind.names) if subset >> i & 1]
    some = {name: each.detach().requires_grad_(name in wanted) for name, each in everything.items()}
    for name, gradient in zip(wanted, _gradients(kind.hand, some, loss), strict=True):
        assert torch.equal(gradient, full[name])


@BOTH
def test_a_first_state_of_none_is_zeros(kind):
    inputs = _inputs(kind)
    zeros = inputs | {name: torch.zeros(3, 5, dtype=F64) for name in kind.state}
    without = inputs | dict.fromkeys(kind.state)
    loss = _losses(4, 3, 5)["both"]
    for a, b in zip(_gradients(kind.hand, zeros, loss), _gradients(kind.hand, without, loss), strict=True):
        assert torch.equal(a, b)


@BOTH
def test_a_zero_first_state_changes_nothing_but_the_work(kind):
    """From zeros the first products are left out; the gradients are those of the loop, h_0's own included."""
    inputs = _inputs(kind)
    with torch.no_grad():
        inputs["h_0"].zero_()
    loss = _losses(4, 3, 5)["both"]
    _assert_close(_gradients(kind.hand, inputs, loss), _gradients(kind.loop, inputs, loss), kind.names)


@BOTH
def test_inputs_and_gradients_need_not_be_contiguous(kind):
    inputs = _inputs(kind, T=4, B=3, P=2, m=5)

    def strided(name, each):
        if name == "x":
            return each.permute(2, 0, 1).contiguous().permute(1, 2, 0)
        return torch.stack([each] * 2, dim=1)[:, 0] if each.dim() == 1 else each.mT.contiguous().mT

    other = {name: strided(name, each.detach()).requires_grad_() for name, each in inputs.items()}
    assert not any(each.is_contiguous() for each in other.values())
    weighting = torch.randn(5, 3, 4, dtype=F64)

    def loss(h, *last):  # its gradient arrives permuted, and for the last state expanded
        return (h.permute(2, 1, 0) * weighting).sum() + sum(part.sum() for part in last)

    _assert_close(_gradients(kind.hand, other, loss), _gradients(kind.loop, inputs, loss), kind.names)


@BOTH
def test_a_gradient_that_comes_in_is_left_as_it_was(kind):
    outputs = kind.hand(**_inputs(kind))
    asked = [torch.randn_like(output) for output in outputs]
    before = [each.clone() for each in asked]
    torch.autograd.backward(outputs, asked)
    assert all(torch.equal(a, b) for a, b in zip(asked, before, strict=True))


@BOTH
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_lower_precision_stays_in_its_type_and_near(kind, dtype, tolerance):
    inputs = _inputs(kind, T=6, B=3, P=4, m=8, scale=0.4)
    low = {name: each.detach().to(dtype).requires_grad_() for name, each in inputs.items()}
    loss = _losses(6, 3, 8)["both"]
    assert all(output.dtype == dtype for output in kind.hand(**low))
    exact = _gradients(
        kind.hand, {name: each.detach().double().requires_grad_() for name, each in low.items()}, loss
    )
    for a, b in zip(_gradients(kind.hand, low, loss), exact, strict=True):
        assert a.dtype == dtype
        assert (a.double() - b).norm() < tolerance * b.norm()


@BOTH
def test_autocast_computes_in_its_type_and_returns_gradients_in_the_weights(kind):
    inputs = _inputs(kind, T=6, B=3, P=4, m=8, dtype=torch.float32, scale=0.4)
    loss = _losses(6, 3, 8, torch.float32)["both"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(output.dtype == torch.bfloat16 for output in kind.hand(**inputs))
        ours = _gradients(kind.hand, inputs, loss)
    for a, b in zip(ours, _gradients(kind.hand, inputs, loss), strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.1 * b.norm()


@BOTH
def test_an_output_changed_in_place_is_noticed(kind):
    h, *_ = kind.hand(**_inputs(kind))
    with torch.no_grad():
        h.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


def _kept(make, *but):
    """Bytes kept for the backward pass, each storage counted once; without those of the tensors `but`."""
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        make()
    for tensor in but:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(storages.values())


@pytest.mark.parametrize("size", [(25, 1, 65, 100), (64, 32, 65, 128), (100, 50, 65, 128)])
@pytest.mark.parametrize("kind, most", [(_Vanilla, 1.05), (_LSTM, 0.9)], ids=["rnn", "lstm"])
def test_keeps_no_more_memory_than_the_loop(kind, most, size):
    T, B, P, m = size
    x = torch.randn(B, T, P)
    hand, loop = (kind.network(P, m, backend=backend) for backend in ("hand", "loop"))
    # Weights are there anyway: a pass that keeps a copy of one would be seen here.
    assert _kept(lambda: hand(x), *hand.parameters()) <= most * _kept(lambda: loop(x), *loop.parameters())


@BOTH
@pytest.mark.parametrize("recompute", [1, 3, 4, 10])
def test_recomputing_gives_the_same_gradients_and_keeps_less(kind, recompute):
    inputs = _inputs(kind, T=10, B=3, P=2, m=5)
    loss = _losses(10, 3, 5)["last state"]
    plain = _gradients(kind.hand, inputs, loss)
    _assert_close(_gradients(kind.hand, inputs, loss, recompute=recompute), plain, kind.names)


@BOTH
def test_recomputing_keeps_what_stands_between_the_stretches_and_no_more(kind):
    inputs = _inputs(kind, T=36, B=3, P=2, m=5)
    whole = _kept(lambda: kind.hand(**inputs)[1])
    kept = {k: _kept(lambda k=k: kind.hand(**inputs, recompute=k)[1]) for k in (1, 4, 12, 36)}
    state = len(kind.state) * 3 * 5 * 8  # bytes of one
    assert kept[36] < whole - 35 * state
    for k in (1, 4, 12):
        assert kept[k] == kept[36] + (36 // k - 1) * state


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_the_length_of_a_stretch_changes_nothing(rows, monkeypatch):
    """The LSTM's stretches are for the processor's cache; one over all times is the plain derivation."""
    inputs = _inputs(_LSTM, T=9)
    loss = _losses(9, 3, 5)["both"]
    monkeypatch.setattr(gated_bptt, "_ROWS", 10**6)
    whole = (*lstm_through_time(**inputs), *_gradients(lstm_through_time, inputs, loss))
    monkeypatch.setattr(gated_bptt, "_ROWS", rows)
    parts = (*lstm_through_time(**inputs), *_gradients(lstm_through_time, inputs, loss))
    _assert_close(parts, whole, ("h", "h_T", "C_T", *_LSTM.names), rtol=1e-12, atol=1e-12)


@pytest.fixture
def packed(request, monkeypatch):
    """Large matrices are packed, or are not, whatever the processor."""
    monkeypatch.setattr(_products, "_packs", lambda: request.param and _products._has_packing())


PACKED = pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"], indirect=True)


@PACKED
@pytest.mark.parametrize("into", ["c", "elsewhere"])
def test_a_packed_product_gives_what_a_plain_one_does(packed, into):
    """The same up to rounding, into c's own memory or another's, and no other input is changed."""
    W, x, c = torch.randn(1024, 256), torch.randn(7, 256), torch.randn(7, 1024)
    expected = (c.double() + x.double() @ W.double().mT).float()
    kept, out = (x.clone(), W.clone(), c.clone()), c if into == "c" else torch.empty(7, 1024)
    torch.testing.assert_close(_products.adding_product(W.mT, 7)(x, c, out), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(x, kept[0]) and torch.equal(W, kept[1]) and (into == "c" or torch.equal(c, kept[2]))


@pytest.mark.parametrize("name, packs", [("AMD EPYC", True), ("Intel Xeon", False), (None, False)])
def test_packing_is_for_the_processors_where_it_pays(name, packs, monkeypatch):
    if not _products._has_packing():
        pytest.skip("this build of torch can't pack")
    told = {} if name is None else {"cpu_name": name}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert _products._packs.__wrapped__() == packs


@PACKED
def test_at_a_size_that_is_packed_the_lstm_still_equals_the_loop(packed):
    inputs = _inputs(_LSTM, T=5, B=3, P=4, m=256, dtype=torch.float32, scale=0.06)
    loss = _losses(5, 3, 256, torch.float32)["both"]
    for name, a, b in zip(
        _LSTM.names,
        _gradients(lstm_through_time, inputs, loss),
        _gradients(_LSTM.loop, inputs, loss),
        strict=True,
    ):
        assert (a - b).norm() < 1e-4 * b.norm(), name
