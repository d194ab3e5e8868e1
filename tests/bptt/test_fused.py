"""The compiled steps of the LSTM give what torch's operators give, and are asked for, or not there at all."""

import os
import shlex
import shutil
import stat
import sys

import pytest
import torch
from test_bptt import _LSTM, _assert_close, _gradients, _inputs, _kept, _losses

from unrolled.bptt import _fused, _lstm_steps, lstm_through_time
from unrolled.bptt import lstm as gated_bptt
from unrolled.networks import LSTM

F32 = torch.float32
needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None and os.environ.get("CI") != "true", reason="no C compiler on this machine"
)


@pytest.fixture
def compiled(monkeypatch):
    """Asked for; torch's own steps would be an error."""
    monkeypatch.setenv("UNROLLED_COMPILE", "1")
    monkeypatch.setattr(gated_bptt, "_ROWS", 6)  # several stretches at a test's size
    for name in ("forward", "backward"):
        monkeypatch.setattr(_lstm_steps, name, None)


def _both(inputs, loss):
    """Outputs and gradients."""
    return (*lstm_through_time(**inputs), *_gradients(lstm_through_time, inputs, loss))


def _by_the_loop(inputs, loss):
    """The same from the definition, computed in float64."""
    exact = {name: each.detach().double().requires_grad_() for name, each in inputs.items()}
    return (*_LSTM.loop(**exact), *_gradients(_LSTM.loop, exact, loss))


NAMES = ("h", "h_T", "C_T", *_LSTM.names)


def _assert_equal_up_to_rounding(ours, exact):
    for name, a, b in zip(NAMES, ours, exact, strict=True):
        assert a.dtype == F32
        assert (a - b).norm() <= 1e-6 * b.norm() + 1e-7, name


@needs_compiler
@pytest.mark.parametrize("which", ["every state", "last state", "both", "one state", "last part"])
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (4, 3, 2, 16), (9, 5, 3, 40), (7, 2, 5, 33)], ids=str)
def test_equals_autograd_through_the_loop(which, size, compiled):
    T, B, P, m = size
    inputs, loss = _inputs(_LSTM, T, B, P, m, F32, scale=0.5), _losses(T, B, m, F32)[which]
    _assert_equal_up_to_rounding(_both(inputs, loss), _by_the_loop(inputs, loss))


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_rows_are_shared_among_threads(threads, compiled, monkeypatch):
    monkeypatch.setattr(_fused, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    inputs, loss = _inputs(_LSTM, 7, 5, 3, 33, F32, scale=0.5), _losses(7, 5, 33, F32)["both"]
    _assert_equal_up_to_rounding(_both(inputs, loss), _by_the_loop(inputs, loss))


@needs_compiler
def test_states_and_gradients_need_not_be_contiguous(compiled):
    inputs, weighting = _inputs(_LSTM, 4, 3, 2, 5, F32), torch.randn(5, 3, 4)
    for name in _LSTM.state:
        inputs[name] = inputs[name].detach().mT.contiguous().mT.requires_grad_()

    def loss(h, h_T, C_T):  # gradients arrive permuted, expanded and transposed
        return (h.permute(2, 1, 0) * weighting).sum() + h_T.sum() + (C_T.mT * weighting[..., 0]).sum()

    _assert_equal_up_to_rounding(_both(inputs, loss), _by_the_loop(inputs, loss))


@needs_compiler
def test_a_gradient_that_comes_in_is_left_as_it_was(compiled):
    outputs = lstm_through_time(**_inputs(_LSTM, dtype=F32))
    asked = [torch.randn_like(output) for output in outputs]
    before = [each.clone() for each in asked]
    torch.autograd.backward(outputs, asked)
    assert all(torch.equal(a, b) for a, b in zip(asked, before, strict=True))


@needs_compiler
def test_what_is_far_out_saturates_and_what_is_no_number_stays_none(compiled):
    """One cell, weights zero: the bias alone sets the gates, up to 0 and 1 and beyond what exp can hold."""
    for far in (30.0, 200.0, 1e30, float("inf")):
        b = torch.tensor([far, -far, far, far])
        h, h_T, C_T = lstm_through_time(
            torch.zeros(3, 1, 1), None, None, torch.zeros(4, 1), torch.zeros(4, 1), b
        )
        _assert_close((C_T, h_T), (torch.ones(1, 1), torch.tanh(torch.ones(1, 1))), ("C_T", "h_T"), 1e-6, 0)
    x = torch.zeros(3, 2, 1)
    x[1, 0] = float("nan")
    h, _, C_T = lstm_through_time(x, None, None, torch.ones(4, 1), torch.ones(4, 1), torch.zeros(4))
    assert h[0].isfinite().all() and h[1:, 0].isnan().all() and C_T[0].isnan()
    assert h[:, 1].isfinite().all()  # the other row knows nothing of it


@needs_compiler
def test_its_sigmoid_is_as_exact_as_float32_allows(compiled):
    a = torch.linspace(-20, 20, 4001)
    gates, K = a.repeat(1, 4).unsqueeze(0).clone(), torch.zeros(2, 1, 4001)
    _fused.forward(gates, torch.empty(1, 1, 4001), K, None, lambda *_: None)
    exact = torch.sigmoid(a.double())
    assert ((gates[0, 0, :4001] - exact).abs() / exact).max() < 3e-7


@needs_compiler
def test_it_keeps_no_more_memory(compiled):
    x = torch.randn(50, 100, 65)
    hand, loop = (LSTM(65, 128, backend=backend) for backend in ("hand", "loop"))
    assert _kept(lambda: hand(x), *hand.parameters()) <= 0.9 * _kept(lambda: loop(x), *loop.parameters())


@needs_compiler
@pytest.mark.parametrize("asked", ["", "0", None])
def test_unasked_nothing_is_compiled(asked, monkeypatch):
    monkeypatch.delenv("UNROLLED_COMPILE", raising=False)
    if asked is not None:
        monkeypatch.setenv("UNROLLED_COMPILE", asked)
    monkeypatch.setattr(_fused, "_library", None)
    assert not _fused.serves(torch.zeros(1))


@needs_compiler
def test_what_is_no_float32_on_a_cpu_goes_without(monkeypatch):
    monkeypatch.setenv("UNROLLED_COMPILE", "1")
    assert _fused.serves(torch.zeros(1)) and _fused.serves(torch.nn.Parameter(torch.zeros(1)))
    for other in (
        torch.zeros(1, dtype=torch.float64),
        torch.zeros(1).bfloat16(),
        torch.zeros(1, device="meta"),
    ):
        assert not _fused.serves(other)


def test_an_unknown_wish_is_named(monkeypatch):
    monkeypatch.setenv("UNROLLED_COMPILE", "yes")
    with pytest.raises(ValueError, match="UNROLLED_COMPILE: expected 0 or 1, got 'yes'"):
        lstm_through_time(**_inputs(_LSTM))


@pytest.fixture
def fresh(monkeypatch):
    """As in a process that has compiled nothing yet."""
    monkeypatch.setattr(_fused, "_library", _fused._library.__wrapped__)


def test_without_a_compiler_the_error_says_what_to_do(fresh, monkeypatch):
    monkeypatch.setenv("UNROLLED_COMPILE", "1")
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    with pytest.raises(
        OSError, match="expected a C compiler, found no-such-compiler; name one in CC or unset it"
    ):
        _fused.serves(torch.zeros(1))
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match="expected a C compiler, found none"):
        _fused.serves(torch.zeros(1))


def test_a_compiler_that_fails_is_quoted(fresh, monkeypatch):
    monkeypatch.setenv("UNROLLED_COMPILE", "1")
    monkeypatch.setenv("CC", f"{shlex.quote(sys.executable)} -c 'raise SystemExit(\"out of registers\")'")
    with pytest.raises(OSError, match=r"UNROLLED_COMPILE: .*_fused\.c'? .* failed: out of registers"):
        _fused.serves(torch.zeros(1))


@needs_compiler
@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for the compiler")
@pytest.mark.parametrize("unknown", ["-mprefer-vector-width=512", "-march=native", "-fopenmp"])
def test_a_flag_that_a_compiler_does_not_know_is_left_out(unknown, fresh, tmp_path, monkeypatch):
    picky = tmp_path / "picky"
    picky.write_text(f'#!/bin/sh\ncase "$*" in *{unknown}*) exit 1;; esac\nexec cc "$@"\n', encoding="utf-8")
    picky.chmod(picky.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(picky))
    library = _fused._library()
    monkeypatch.setattr(_fused, "_library", lambda: library)
    monkeypatch.setenv("UNROLLED_COMPILE", "1")
    inputs, loss = _inputs(_LSTM, 5, 3, 3, 17, F32, scale=0.5), _losses(5, 3, 17, F32)["both"]
    _assert_equal_up_to_rounding(_both(inputs, loss), _by_the_loop(inputs, loss))


@pytest.mark.parametrize(
    ("named", "expected"),
    [("{path}", ["{path}"]), ("cc -O1", ["cc", "-O1"]), ("'{path}' -O1", ["{path}", "-O1"])],
)
def test_a_compiler_is_a_path_or_a_command(named, expected, tmp_path, monkeypatch):
    path = tmp_path / "a compiler"
    path.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("CC", named.format(path=path))
    assert _fused._compiler() == [each.format(path=path) for each in expected]


def test_a_compiler_named_with_an_open_quote_is_refused(monkeypatch, plain_errors):
    monkeypatch.setenv("CC", "'")
    with pytest.raises(ValueError, match="CC: expected a compiler's path or command, got"):
        _fused._compiler()
