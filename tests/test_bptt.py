"""The hand-derived backward pass equals autograd through the loop, finite differences and torch, whatever the case."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from unrolled.bptt import rnn_through_time
from unrolled.cells import NONLINEARITIES, RNNCell, RNNState
from unrolled.unroll import RNN, unroll

F64 = torch.float64
NAMES = ("x", "h_0", "W_xh", "W_hh", "b_h")
sizes = st.integers(1, 5)


def _inputs(T=4, B=3, P=2, m=5, dtype=F64, scale=0.7):
    """Weights and a first state that hide no bug: nothing is zero, nothing is symmetric."""
    shapes = {"x": (T, B, P), "h_0": (B, m), "W_xh": (m, P), "W_hh": (m, m), "b_h": (m,)}
    return {
        name: (scale * torch.randn(shape, dtype=dtype)).requires_grad_() for name, shape in shapes.items()
    }


def _loop(x, h_0, W_xh, W_hh, b_h, nonlinearity="tanh"):
    """The definition, under autograd."""
    cell = RNNCell(W_xh.shape[1], W_xh.shape[0], nonlinearity=nonlinearity)
    for name, weight in (("W_xh", W_xh), ("W_hh", W_hh), ("b_h", b_h)):
        delattr(cell, name)
        setattr(cell, name, weight)
    h, state, _ = unroll(cell, x.transpose(0, 1), RNNState(h_0))
    return h.transpose(0, 1), state.h


def _gradients(function, inputs, loss, **options):
    outputs = function(**inputs, **options)
    wanted = [each for each in inputs.values() if each is not None and each.requires_grad]
    return torch.autograd.grad(loss(*outputs), wanted)


def _losses(T, B, m, dtype=F64):
    """Losses that read every state, the last one only, or both."""
    on_h, on_last = torch.randn(T, B, m, dtype=dtype), torch.randn(B, m, dtype=dtype)
    return {
        "every state": lambda h, _: (h * on_h).sum(),
        "last state": lambda _, last: (last * on_last).sum(),
        "both": lambda h, last: (h * on_h).sum() + (last * on_last).sum(),
        "one state": lambda h, _: (h[T // 2] * on_last).sum(),
    }


@pytest.mark.parametrize("which", ["every state", "last state", "both", "one state"])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@given(T=sizes, B=sizes, P=sizes, m=sizes)
def test_equals_autograd_through_the_loop(which, nonlinearity, T, B, P, m):
    inputs = _inputs(T, B, P, m)
    loss = _losses(T, B, m)[which]
    for ours, loops in zip(
        rnn_through_time(**inputs, nonlinearity=nonlinearity),
        _loop(**inputs, nonlinearity=nonlinearity),
        strict=True,
    ):
        torch.testing.assert_close(ours, loops, rtol=1e-10, atol=1e-12)
    ours = _gradients(rnn_through_time, inputs, loss, nonlinearity=nonlinearity)
    loops = _gradients(_loop, inputs, loss, nonlinearity=nonlinearity)
    for name, a, b in zip(NAMES, ours, loops, strict=True):
        torch.testing.assert_close(
            a, b, rtol=1e-10, atol=1e-12, msg=lambda text, name=name: f"d_{name}: {text}"
        )


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_equals_torch_nn_rnn(nonlinearity):
    inputs = _inputs(T=30, B=4, P=3, m=6)
    theirs = torch.nn.RNN(3, 6, nonlinearity=nonlinearity, dtype=F64)
    with torch.no_grad():
        for weight, name in (
            (theirs.weight_ih_l0, "W_xh"),
            (theirs.weight_hh_l0, "W_hh"),
            (theirs.bias_ih_l0, "b_h"),
        ):
            weight.copy_(inputs[name])
        theirs.bias_hh_l0.zero_()
    loss = _losses(30, 4, 6)["both"]
    x, h_0 = (inputs[name].detach().clone().requires_grad_() for name in ("x", "h_0"))
    h, h_n = theirs(x, h_0.unsqueeze(0))
    torch.testing.assert_close(
        rnn_through_time(**inputs, nonlinearity=nonlinearity)[0], h, rtol=1e-10, atol=1e-12
    )
    wanted = (x, h_0, theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0)
    for a, b in zip(
        _gradients(rnn_through_time, inputs, loss, nonlinearity=nonlinearity),
        torch.autograd.grad(loss(h, h_n[0]), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_equals_finite_differences():
    inputs = _inputs()
    assert gradcheck(lambda *args: rnn_through_time(*args), tuple(inputs.values()))
    assert gradcheck(lambda *args: rnn_through_time(*args, nonlinearity="linear"), tuple(inputs.values()))


def test_second_derivatives_come_from_the_loop_and_the_hand_derived_path_says_so():
    inputs = _inputs(T=3, B=2, P=2, m=3)
    assert gradgradcheck(lambda *args: _loop(*args), tuple(inputs.values()))
    with pytest.raises(RuntimeError, match='for second derivatives use backend="loop"'):
        torch.autograd.grad(rnn_through_time(**inputs)[0].sum(), inputs["W_hh"], create_graph=True)


@pytest.mark.parametrize("subset", range(1, 32))
def test_any_subset_of_gradients(subset):
    everything = _inputs()
    loss = _losses(4, 3, 5)["both"]
    full = dict(zip(NAMES, _gradients(rnn_through_time, everything, loss), strict=True))
    wanted = [name for i, name in enumerate(NAMES) if subset >> i & 1]
    some = {name: each.detach().requires_grad_(name in wanted) for name, each in everything.items()}
    for name, gradient in zip(wanted, _gradients(rnn_through_time, some, loss), strict=True):
        assert torch.equal(gradient, full[name])


def test_h_0_of_none_is_zeros():
    inputs = _inputs()
    zeros = {**inputs, "h_0": torch.zeros(3, 5, dtype=F64)}
    without = {**inputs, "h_0": None}
    loss = _losses(4, 3, 5)["both"]
    for a, b in zip(
        _gradients(rnn_through_time, zeros, loss), _gradients(rnn_through_time, without, loss), strict=True
    ):
        assert torch.equal(a, b)


def test_a_zero_first_state_changes_nothing_but_the_work():
    """From zeros the first products are left out; the gradients are those of the loop, h_0's own included."""
    inputs = _inputs()
    with torch.no_grad():
        inputs["h_0"].zero_()
    loss = _losses(4, 3, 5)["both"]
    for a, b in zip(_gradients(rnn_through_time, inputs, loss), _gradients(_loop, inputs, loss), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_inputs_and_gradients_need_not_be_contiguous():
    inputs = _inputs(T=4, B=3, P=2, m=5)
    strided = {
        "x": inputs["x"].detach().permute(2, 0, 1).contiguous().permute(1, 2, 0).requires_grad_(),
        "h_0": inputs["h_0"].detach().mT.contiguous().mT.requires_grad_(),
        "W_xh": inputs["W_xh"].detach().mT.contiguous().mT.requires_grad_(),
        "W_hh": inputs["W_hh"].detach().mT.contiguous().mT.requires_grad_(),
        "b_h": torch.stack([inputs["b_h"].detach()] * 2, dim=1)[:, 0].requires_grad_(),
    }
    assert not any(each.is_contiguous() for each in strided.values())
    weighting = torch.randn(5, 3, 4, dtype=F64)

    def loss(h, last):  # its gradient arrives permuted, and for the last state expanded
        return (h.permute(2, 1, 0) * weighting).sum() + last.sum()

    for a, b in zip(
        _gradients(rnn_through_time, strided, loss), _gradients(_loop, inputs, loss), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_lower_precision_stays_in_its_type_and_near(dtype, tolerance):
    inputs = _inputs(T=6, B=3, P=4, m=8, scale=0.4)
    low = {name: each.detach().to(dtype).requires_grad_() for name, each in inputs.items()}
    loss = _losses(6, 3, 8)["both"]
    h, last = rnn_through_time(**low)
    assert h.dtype == last.dtype == dtype
    exact = _gradients(
        rnn_through_time, {name: each.detach().double().requires_grad_() for name, each in low.items()}, loss
    )
    for a, b in zip(_gradients(rnn_through_time, low, loss), exact, strict=True):
        assert a.dtype == dtype
        assert (a.double() - b).norm() < tolerance * b.norm()


def test_autocast_computes_in_its_type_and_returns_gradients_in_the_weights():
    inputs = _inputs(T=6, B=3, P=4, m=8, dtype=torch.float32, scale=0.4)
    loss = _losses(6, 3, 8, torch.float32)["both"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h, last = rnn_through_time(**inputs)
        assert h.dtype == last.dtype == torch.bfloat16
        ours = _gradients(rnn_through_time, inputs, loss)
    for a, b in zip(ours, _gradients(rnn_through_time, inputs, loss), strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.1 * b.norm()


def test_an_output_changed_in_place_is_noticed():
    inputs = _inputs()
    h, _ = rnn_through_time(**inputs)
    with torch.no_grad():
        h.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


def _kept(make):
    """Bytes kept for the backward pass, each storage counted once."""
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        make()
    return sum(storages.values())


@pytest.mark.parametrize("size", [(25, 1, 65, 100), (64, 32, 65, 128), (100, 50, 65, 128)])
def test_keeps_no_more_memory_than_the_loop(size):
    T, B, P, m = size
    x = torch.randn(B, T, P)
    hand = RNN(P, m, backend="hand")
    loop = RNN(P, m, backend="loop")
    assert _kept(lambda: hand(x)) <= 1.05 * _kept(lambda: loop(x))


@pytest.mark.parametrize("recompute", [1, 3, 4, 10])
def test_recomputing_gives_the_same_gradients_and_keeps_less(recompute):
    inputs = _inputs(T=10, B=3, P=2, m=5)
    loss = _losses(10, 3, 5)["last state"]
    plain = _gradients(rnn_through_time, inputs, loss)
    again = _gradients(rnn_through_time, inputs, loss, recompute=recompute)
    for a, b in zip(again, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_recomputing_keeps_what_stands_between_the_stretches_and_no_more():
    inputs = _inputs(T=36, B=3, P=2, m=5)
    whole = _kept(lambda: rnn_through_time(**inputs)[1])
    kept = {k: _kept(lambda k=k: rnn_through_time(**inputs, recompute=k)[1]) for k in (1, 4, 12, 36)}
    state = 3 * 5 * 8  # bytes of one
    assert kept[36] < whole - 35 * state
    for k in (1, 4, 12):
        assert kept[k] == kept[36] + (36 // k - 1) * state


def test_it_is_the_training_path_on_a_cpu():
    h, _ = RNN(3, 4)(torch.randn(2, 5, 3))
    names, todo = set(), [h.grad_fn]
    while todo:
        node = todo.pop()
        names.add(type(node).__name__)
        todo += [following for following, _ in node.next_functions if following is not None]
    assert "_RNNThroughTimeBackward" in names and not any("Addmm" in name for name in names)
