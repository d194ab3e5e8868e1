"""Right, or refused by name: never a raw error from below, never a silent change of shape."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call, grad, jacfwd, jacrev, vmap

from unrolled.cells import (
    GRUCell,
    GRUState,
    LSTMCell,
    LSTMState,
    RNNCell,
    RNNState,
    gru_step,
    lstm_step,
    rnn_step,
)
from unrolled.data import Vocabulary
from unrolled.device import stack_seeds
from unrolled.models import CharacterModel
from unrolled.networks import GRU, LSTM, RNN

pytestmark = pytest.mark.usefixtures("plain_errors")

NETWORKS = {"RNN": (RNN, RNNState), "LSTM": (LSTM, LSTMState), "GRU": (GRU, GRUState)}
WAYS = [
    (kind, backend)
    for kind in NETWORKS
    for backend in ("auto", "loop", "hand", "torch")
    if (kind, backend) != ("GRU", "hand")
]
P, m = 3, 4


def fixed(kind, backend, **options):
    torch.manual_seed(0)
    return NETWORKS[kind][0](P, m, backend=backend, **options)


def a_state(kind, shape, dtype=torch.float32):
    State = NETWORKS[kind][1]
    return (State(*(torch.zeros(shape, dtype=dtype) for _ in State._fields)),)


@pytest.mark.parametrize(("kind", "backend"), WAYS)
def test_four_axes_are_refused_without_stacked_seeds(kind, backend):
    with pytest.raises(ValueError, match=r"x: expected shape \(B, T, P=3\), got shape \(2, 2, 5, 3\)"):
        fixed(kind, backend)(torch.zeros(2, 2, 5, P))


@pytest.mark.parametrize(("kind", "backend"), WAYS)
def test_a_state_with_an_axis_too_many_is_refused(kind, backend):
    with pytest.raises(ValueError, match=r"state.h: expected shape \(B=1, m=4\), got shape \(7, 1, 4\)"):
        fixed(kind, backend)(torch.zeros(1, 2, P), a_state(kind, (7, 1, m)))


@pytest.mark.parametrize(("kind", "backend"), WAYS)
def test_another_dtype_is_refused_by_name(kind, backend):
    with pytest.raises(TypeError, match="x: expected torch.float32, as the weights are, got torch.float64"):
        fixed(kind, backend)(torch.zeros(1, 2, P).double())
    with pytest.raises(
        TypeError, match="state.h: expected torch.float32, as the weights are, got torch.bfloat16"
    ):
        fixed(kind, backend)(torch.zeros(1, 2, P), a_state(kind, (1, m), dtype=torch.bfloat16))


@pytest.mark.parametrize(("kind", "backend"), WAYS)
def test_another_device_is_refused_by_name(kind, backend):
    with pytest.raises(ValueError, match="x: expected a tensor on cpu, as the weights are, got meta"):
        fixed(kind, backend)(torch.zeros(1, 2, P, device="meta"))


def test_character_numbers_with_an_axis_too_many_are_refused():
    model = CharacterModel(Vocabulary("abc"), 4, cell="lstm")
    with pytest.raises(ValueError, match=r"got shape \(5, 1, 4"):
        model(torch.zeros(5, 1, 4, dtype=torch.long))


def test_stacked_seeds_take_an_axis_in_front_and_one_only():
    network = stack_seeds(lambda: RNN(P, m), [0, 1])
    assert network(torch.zeros(5, 2, P))[0].shape == network(torch.zeros(2, 5, 2, P))[0].shape == (2, 5, 2, m)
    with pytest.raises(ValueError, match=r"x: expected shape \(B, T, P=3\), got shape \(1, 2, 5, 2, 3\)"):
        network(torch.zeros(1, 2, 5, 2, P))


@pytest.mark.parametrize(
    "cell", [RNNCell(P, m), LSTMCell(P, m), GRUCell(P, m)], ids=lambda c: type(c).__name__
)
def test_the_parts_of_a_first_state_are_tensors_of_their_own(cell):
    state = cell.initial_state(1)
    state.h.fill_(5.0)
    assert not any(part.any() for part in state[1:])


@pytest.mark.parametrize(
    "cell", [RNNCell(2, 3), LSTMCell(2, 3), GRUCell(2, 3)], ids=lambda c: type(c).__name__
)
def test_torchs_weights_of_another_size_are_refused(cell):
    W_ih, W_hh, b, _ = cell.to_torch_weights()
    with pytest.raises(ValueError, match="W_ih: expected a tensor of shape"):
        cell.load_torch_weights(torch.ones(1, 2), W_hh, b, b)
    with pytest.raises(ValueError, match="biases: expected a tensor of shape"):
        cell.load_torch_weights(W_ih, W_hh, torch.ones(1), torch.ones(1))
    with pytest.raises(ValueError, match="biases: expected torch's two, or none, got 3"):
        cell.load_torch_weights(W_ih, W_hh, b, b, b)


@pytest.mark.parametrize("kind", NETWORKS)
def test_options_are_known_by_name(kind):
    with pytest.raises(TypeError, match=f"batch_first: {kind} has no such option, expected one of .*dtype"):
        NETWORKS[kind][0](P, m, batch_first=True)
    with pytest.raises(TypeError, match="bidirectional: expected True or False, got str 'no'"):
        NETWORKS[kind][0](P, m, bidirectional="no")
    with pytest.raises(
        TypeError, match="dropout: expected a number of at least 0 and below 1, got str '0.5'"
    ):
        NETWORKS[kind][0](P, m, 2, dropout="0.5")


def test_dropout_that_does_nothing_says_so():
    with pytest.warns(UserWarning, match="dropout: it acts between layers, and there is one"):
        LSTM(P, m, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSTM(P, m, 2, dropout=0.5)
        CharacterModel(Vocabulary("abc"), 4, dropout=0.5)  # which drops embeddings and states too


@pytest.mark.parametrize("kind", NETWORKS)
def test_torchs_mode_and_frozen_weights_come_along(kind):
    theirs = NETWORKS[kind][0].torch_type(P, m, 2, dropout=0.1).eval().requires_grad_(False)
    ours = NETWORKS[kind][0].from_torch(theirs)
    back = ours.to_torch()
    assert not ours.training and not back.training
    assert not any(w.requires_grad for each in (ours, back) for w in each.parameters())


@pytest.mark.parametrize(("kind", "backend"), WAYS)
def test_a_state_from_inference_mode_can_be_trained_on(kind, backend):
    network, x = fixed(kind, backend), torch.randn(2, 5, P)
    with torch.inference_mode():
        _, state = network(x)
    h, _ = network(x, state)
    h.sum().backward()
    plain = tuple(type(part)(*(each.clone() for each in part)) for part in state)
    assert torch.equal(h, network(x, plain)[0])


@pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated"
)  # torch's own, the first time it maps forward
@pytest.mark.parametrize("kind", NETWORKS)
def test_under_a_transform_of_torch_func_auto_takes_the_loop(kind):
    network, loop = fixed(kind, "auto").double(), fixed(kind, "loop").double()
    weights, x = dict(network.named_parameters()), torch.randn(4, 5, P, dtype=torch.float64)

    def loss(network, weights, x):
        return functional_call(network, weights, (x[None],))[0].square().sum()

    own = {name: weight.detach() for name, weight in weights.items()}
    each = vmap(grad(lambda w, x: loss(network, w, x)), (None, 0))(own, x)
    for b in range(4):
        right = torch.autograd.grad(loss(loop, dict(loop.named_parameters()), x[b]), list(loop.parameters()))
        for name, expected in zip(own, right, strict=True):
            torch.testing.assert_close(each[name][b], expected, rtol=1e-9, atol=1e-12)
    by_reverse = jacrev(lambda x: network(x[None])[0])(x[0])
    by_forward = jacfwd(lambda x: network(x[None])[0])(x[0])
    torch.testing.assert_close(by_reverse, by_forward, rtol=1e-9, atol=1e-12)
    chosen = fixed(kind, "torch" if kind == "GRU" else "hand").double()
    given = "torch" if kind == "GRU" else "hand"
    with pytest.raises(
        RuntimeError, match=f'backend: under a transform of torch.func expected .*got "{given}"'
    ):
        vmap(lambda x: chosen(x[None])[0])(x)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_it_can_be_exported(kind):
    network, x = fixed(kind, "auto"), torch.randn(2, 5, P)
    program = torch.export.export(network, (x,))
    torch.testing.assert_close(program.module()(x)[0], network(x)[0])


STEPS = {
    "rnn_step": (
        lambda **o: rnn_step(o["x_t"], o["state"], o["W_x"], o["W_h"], o["b"]),
        RNNState,
        1,
        ("W_xh", "W_hh", "b_h"),
    ),
    "lstm_step": (lambda **o: lstm_step(**o), LSTMState, 4, ("W_x", "W_h", "b")),
    "gru_step": (lambda **o: gru_step(**o, b_n=torch.zeros(m)), GRUState, 3, ("W_x", "W_h", "b")),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_refuses_what_would_be_broadcast(name):
    step, State, rows, (W_x, W_h, b) = STEPS[name]
    good = {
        "x_t": torch.zeros(4, P),
        "state": State(*(torch.zeros(4, m) for _ in State._fields)),
        "W_x": torch.zeros(rows * m, P),
        "W_h": torch.zeros(rows * m, m),
        "b": torch.zeros(rows * m),
    }
    assert step(**good)[0].shape == (4, m)
    last = State._fields[-1]
    for changed, message in (
        (
            {"state": good["state"]._replace(**{last: torch.zeros(1, m)})},
            rf"state.{last}: expected shape \(4, 4\)",
        ),
        ({"state": good["state"].h}, f"state: expected {State.__name__}"),
        ({"x_t": torch.zeros(4, P + 1)}, "x_t: expected shape"),
        ({"x_t": torch.zeros(4, P).double()}, "x_t: expected torch.float32, as the weights are"),
        ({"W_x": torch.zeros(rows * m + 1, P)}, f"{W_x}: expected shape"),
        ({"W_h": None}, f"{W_h}: expected a tensor"),
        ({"b": torch.zeros(1)}, f"{b}: expected shape"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            step(**{**good, **changed})


AXIS = st.integers(0, 3)
SHAPES = st.lists(AXIS, min_size=0, max_size=4).map(tuple)
KINDS = st.sampled_from(
    [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]
)


@settings(max_examples=150, deadline=None)
@given(
    way=st.sampled_from(WAYS),
    shape=SHAPES,
    dtype=KINDS,
    state_shape=SHAPES,
    strided=st.booleans(),
    some=st.booleans(),
)
def test_whatever_comes_in_is_right_or_refused_by_name(way, shape, dtype, state_shape, strided, some):
    kind, backend = way
    network = fixed(kind, backend)
    x = torch.ones(shape, dtype=dtype)
    if strided and x.dim() > 1:
        x = x.transpose(0, 1).contiguous().transpose(0, 1)
    state = a_state(kind, state_shape) if some else None
    try:
        h, last = network(x, state)
    except (TypeError, ValueError) as error:
        assert str(error).startswith(("x: expected", "state.h: expected", "state.C: expected")), error
    else:
        assert h.shape == (*shape[:2], m) and len(shape) == 3 and all(shape)
        assert all(part.shape == (shape[0], m) for part in last[0])
        torch.testing.assert_close(h, fixed(kind, "loop")(x, state)[0])
