"""The LSTM's elementwise work compiled into one pass a step, where a reader asks for it with `UNROLLED_COMPILE=1`.

It takes a C compiler, half a second in each process, and nothing else changes: gates, states and gradients are equal to
those of torch's operators up to rounding. For float32 on a CPU; everything else runs as it does without.
"""

import ctypes
import functools
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

_SOURCE = Path(__file__).with_suffix(".c")
# The first set that the compiler takes: all of an x86 processor's width and threads, then less.
_FLAGS = (
    ("-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    ("-march=native", "-fopenmp"),
    ("-fopenmp",),
    (),
)
_WORTH_A_THREAD = 8192  # numbers in the gates of one step


def serves(x: Tensor) -> bool:
    """Whether a sequence like x goes through the compiled steps: see `unrolled.bptt.is_compiled`."""
    wanted = os.environ.get("UNROLLED_COMPILE", "") or "0"
    if wanted not in ("0", "1"):
        raise ValueError(f"UNROLLED_COMPILE: expected 0 or 1, got {wanted!r}")
    plain = type(x) in (Tensor, torch.nn.Parameter) and x.device.type == "cpu" and x.dtype == torch.float32
    return wanted == "1" and plain and _library() is not None


def _compiler() -> list[str]:
    """What `CC` names, a path (which may hold spaces) or a command with options; else the system's own."""
    named = os.environ.get("CC", "")
    if shutil.which(named):
        return [named]
    try:
        return shlex.split(named) or [shutil.which("cc") or shutil.which("gcc") or ""]
    except ValueError as error:
        raise ValueError(f"CC: expected a compiler's path or command, got {named!r} ({error})") from error


@functools.cache
def _library() -> ctypes.CDLL:
    """The two functions, compiled anew in each process, so that they fit the processor it runs on."""
    compiler = _compiler()
    if not shutil.which(compiler[0]):
        raise OSError(
            f"UNROLLED_COMPILE: expected a C compiler, found {compiler[0] or 'none'}; name one in CC or unset it"
        )
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "steps.so"
        for flags in _FLAGS:
            always = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
            command = [*compiler, *always, *flags, str(_SOURCE), "-o", str(made), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
        else:
            raise OSError(f"UNROLLED_COMPILE: {shlex.join(command)} failed: {done.stderr.strip()[-500:]}")
        try:
            library = ctypes.CDLL(str(made))  # stays loaded when the file is gone
        except OSError as error:
            raise OSError(f"UNROLLED_COMPILE: {compiler[0]} made no library ({error})") from error
    pointer, sizes = ctypes.c_void_p, [ctypes.c_long, ctypes.c_long, ctypes.c_int]
    library.forward.argtypes, library.forward.restype = [*[pointer] * 5, *sizes], None
    library.backward.argtypes, library.backward.restype = [*[pointer] * 6, *sizes], None
    return library


def _threads(B: int, m: int) -> int:
    return torch.get_num_threads() if 4 * B * m >= _WORTH_A_THREAD else 1


def forward(
    gates: Tensor, h: Tensor, C: Tensor, h_before: Tensor | None, add_recurrent: Callable[..., Tensor]
) -> None:
    """The steps of one stretch, as `_lstm_steps.forward`."""
    (B, m), step = h.shape[1:], _library().forward
    threads, state = _threads(B, m), 4 * B * m  # bytes of one state
    at_gates, at_C, at_h = gates.data_ptr(), C.data_ptr(), h.data_ptr()
    for gates_t, h_t in zip(gates.unbind(0), h.unbind(0), strict=True):
        a_t = gates_t if h_before is None else add_recurrent(h_before, gates_t, gates_t)
        step(a_t.data_ptr(), at_gates, at_C, at_C + state, at_h, B, m, threads)
        at_gates, at_C, at_h, h_before = at_gates + 4 * state, at_C + state, at_h + state, h_t


def backward(
    delta: Tensor, gates: Tensor, C: Tensor, d_h: Tensor, d_C: Tensor, delta_after: Tensor | None,
    add_from_later: Callable[..., Tensor],
) -> None:  # fmt: skip
    """The steps of one stretch, backwards, as `_lstm_steps.backward`."""
    (n, B, m), step = d_h.shape, _library().backward
    threads, state = _threads(B, m), 4 * B * m  # bytes of one state
    d_h, sum_ = d_h.contiguous(), torch.empty_like(d_C)
    at_delta, at_gates, at_C, at_d_C = (each.data_ptr() for each in (delta, gates, C, d_C))
    times = range(n - 1, -1, -1)
    for t, d_h_t, delta_t in zip(times, reversed(d_h.unbind(0)), reversed(delta.unbind(0)), strict=True):
        if delta_after is not None:
            d_h_t = add_from_later(delta_after, d_h_t, sum_)
        at_C_t = at_C + (t + 1) * state
        step(
            at_delta + 4 * t * state, at_gates + 4 * t * state, at_C_t - state, at_C_t, d_h_t.data_ptr(), at_d_C,
            B, m, threads,
        )  # fmt: skip
        delta_after = delta_t
