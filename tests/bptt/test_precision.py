"""Equal up to rounding, relative to the size of the answer: inputs from 1e-12 to 1e3, every dtype and backend."""

import pytest
import torch

from unrolled.networks import GRU, LSTM, RNN

SIZES = (1e-12, 1e-9, 1e-6, 1e-4, 1e-2, 1.0, 1e3)
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
BACKENDS = {
    "RNN": ("loop", "hand", "torch"),
    "LSTM": ("loop", "hand", "compiled", "torch"),
    "GRU": ("loop", "torch"),
}
CASES = [(kind, backend, dtype) for kind, ways in BACKENDS.items() for backend in ways for dtype in DTYPES]
B, T, P, m = 4, 6, 3, 8


def answers(kind, backend, x, weights):
    """Outputs, and the gradients of x and of every weight, of a loss that is as large as the outputs are."""
    network = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}[kind](P, m, backend=backend).to(x.dtype)
    network.load_state_dict({name: weight.to(x.dtype) for name, weight in weights.items()})
    x = x.clone().requires_grad_()
    h, _ = network(x)
    asked = torch.linspace(-1, 1, h.numel()).reshape(h.shape).to(x.dtype)
    gradients = torch.autograd.grad((h * asked).sum(), [x, *network.parameters()])
    return {"h": h.detach(), "x": gradients[0]} | dict(zip(weights, gradients[1:], strict=True))


def relative(got, right):
    """The largest difference, as a share of the largest number of the right answer."""
    size = right.double().abs().max()
    return float((got.double() - right.double()).abs().max() / size) if size else float(got.abs().max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kind", "backend", "dtype"), CASES)
def test_rounding_is_all_that_differs(kind, backend, dtype, size, monkeypatch):
    monkeypatch.setenv("UNROLLED_COMPILE", "1" if backend == "compiled" else "0")
    torch.manual_seed(0)
    plain = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}[kind](P, m).state_dict()
    # Without biases the states are as small as the inputs are. Rounded once, so that all have the same numbers.
    weights = {k: (w if w.dim() > 1 else 0 * w).to(dtype).double() for k, w in plain.items()}
    x = (size * torch.randn(B, T, P)).to(dtype)
    if not x.any():
        pytest.skip("float16 has no number as small")
    right = answers(kind, "loop", x.double(), weights)
    got = answers(kind, "hand" if backend == "compiled" else backend, x, weights)
    # Far out on tanh and sigmoid, 1 - h * h has lost its digits before any backend sees it: there the loop's own loss
    # is the measure.
    loop = answers(kind, "loop", x, weights) if size > 1 else right
    eps = torch.finfo(dtype).eps
    smallest = torch.finfo(dtype).smallest_normal  # below it, numbers have fewer digits
    for name, value in got.items():
        small = smallest / max(float(right[name].abs().max()), 1e-300)
        bound = 60 * eps + 60 * small + 4 * (relative(loop[name], right[name]) if name != "h" else 0)
        assert relative(value, right[name]) < bound, (name, relative(value, right[name]))
