"""What was tried to make the LSTM's training step faster and is not in the library, each as a change to what is.

`benchmarks.speed.lstm` measures them beside the hand-derived pass; what each gives is in its table.
"""

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from unrolled.bptt import _lstm_steps, _products
from unrolled.bptt import lstm as gated_bptt
from unrolled.bptt.lstm import _LSTMThroughTime

__all__ = ["Halves", "changes", "compiled_by_torch"]


@contextlib.contextmanager
def _changed(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


@contextlib.contextmanager
def compiled() -> Iterator[None]:
    """Not a try but the library's own option, `UNROLLED_COMPILE=1`."""
    before = os.environ.get("UNROLLED_COMPILE", "")
    os.environ["UNROLLED_COMPILE"] = "1"
    try:
        yield
    finally:
        os.environ["UNROLLED_COMPILE"] = before


def one_stretch() -> contextlib.AbstractContextManager[None]:
    """All times in one stretch, whatever the cache holds."""
    return _changed(gated_bptt, "_ROWS", 10**9)


@contextlib.contextmanager
def onednn_packed() -> Iterator[None]:
    """The recurrent matrix laid out once for oneDNN, whatever the processor and the size."""
    with _changed(_products, "_packs", _products._has_packing), _changed(_products, "_WORTH_PACKING", 0):
        yield


def mkl_packed() -> contextlib.AbstractContextManager[None]:
    """The same for MKL, whose packed product can't add: that is one more pass."""

    def adding_product(W_T: Tensor, rows: int) -> _lstm_steps.Product:
        W = W_T.mT.contiguous()
        packed = torch.ops.mkl._mkl_reorder_linear_weight(W, rows)
        return lambda x, c, out: torch.add(torch.ops.mkl._mkl_linear(x, packed, W, None, rows), c, out=out)

    return _changed(gated_bptt, "adding_product", adding_product)


def changes() -> dict[str, Callable[[], contextlib.AbstractContextManager[None]]]:
    """Those that this machine and this build of torch can run, by name."""
    there = {
        "compiled": (compiled, shutil.which("cc") is not None),
        "one_stretch": (one_stretch, True),
        "onednn_packed": (onednn_packed, _products._has_packing()),
        "mkl_packed": (mkl_packed, hasattr(torch.ops.mkl, "_mkl_linear")),
    }
    return {name: change for name, (change, can) in there.items() if can}


class _Context:
    """What `autograd.Function` hands to a forward pass, without autograd."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        self.saved_tensors = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Nothing to do: the backward pass below is given what it asks for."""


class Halves:
    """Each half of the batch through the whole pass in a Python thread of its own, one torch thread each."""

    def __init__(self) -> None:
        threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(2, initializer=lambda: torch.set_num_threads(1))
        list(self.pool.map(time.sleep, (0.1, 0.1)))  # both have started
        torch.set_num_threads(threads)

    @torch.no_grad()
    def __call__(self, x: Tensor, h_0: Tensor, C_0: Tensor, *weights: Tensor, d_h: Tensor) -> list[Tensor]:
        """The gradients of the weights."""

        @torch.no_grad()
        def half(rows: slice) -> tuple[Tensor, ...]:
            ctx = _Context((False, False, False, True, True, True))
            _LSTMThroughTime.forward(ctx, x[:, rows].contiguous(), h_0[rows], C_0[rows], *weights)
            return _LSTMThroughTime.backward(ctx, d_h[:, rows].contiguous(), None, None)[3:]

        middle = x.shape[1] // 2
        first, second = self.pool.map(half, (slice(middle), slice(middle, None)))
        return [a + b for a, b in zip(first, second, strict=True)]


def compiled_by_torch(
    n: int, B: int, m: int
) -> dict[str, tuple[float, Callable[[], Any], Callable[[], Any]]]:
    """`torch.compile` on the steps of one stretch of n times, forwards and backwards.

    Returns:
        For each: seconds it took to compile, a call of it, and one of the library's own; both give what they made.
    """
    gates, h, C = torch.randn(n, B, 4 * m), torch.randn(n, B, m), torch.randn(n + 1, B, m)
    d_h, delta, d_C, delta_after = (
        torch.randn(n, B, m),
        torch.empty(n, B, 4 * m),
        torch.randn(B, m),
        torch.randn(B, 4 * m),
    )
    W_T, W = torch.randn(m, 4 * m) / m, torch.randn(4 * m, m) / m

    def forward(a: Tensor, C: Tensor, h: Tensor, W_T: Tensor) -> list[Tensor]:
        made = []
        for a_t in a.unbind(0):
            *sigmoids, a_g = torch.addmm(a_t, h, W_T).chunk(4, dim=-1)
            (o, i, f), g = (torch.sigmoid(each) for each in sigmoids), torch.tanh(a_g)
            C = f * C + i * g
            h = o * torch.tanh(C)
            made.append((torch.cat([o, i, f, g], dim=-1), C, h))
        return [torch.stack(each) for each in zip(*made, strict=True)]

    def backward(
        gates: Tensor, C: Tensor, d_h: Tensor, d_C: Tensor, after: Tensor, W: Tensor
    ) -> list[Tensor]:
        deltas = []
        for t in reversed(range(len(d_h))):
            (o, i, f, g), tanh_C = gates[t].chunk(4, dim=-1), torch.tanh(C[t + 1])
            d = torch.addmm(d_h[t], after, W)
            d_C = d_C + d * o * (1 - tanh_C**2)
            by_C = [d_C * g * i * (1 - i), d_C * C[t] * f * (1 - f), d_C * i * (1 - g**2)]
            after = torch.cat([d * tanh_C * o * (1 - o), *by_C], dim=-1)
            d_C = d_C * f
            deltas.append(after)
        return [torch.stack(deltas[::-1]), d_C]

    def ours_forward() -> list[Tensor]:
        gates.copy_(a)
        _lstm_steps.forward(gates, h, C, h_0, _products.adding_product(W_T, B))
        return [gates, C[1:], h]

    def ours_backward() -> list[Tensor]:
        along = d_C.clone()
        _lstm_steps.backward(delta, gates, C, d_h, along, delta_after, _products.adding_product(W, B))
        return [delta, along]

    a, h_0 = gates.clone(), h[0].clone()
    calls = {
        "forward": (torch.compile(forward), (a, C[0].clone(), h_0, W_T), ours_forward),
        "backward": (torch.compile(backward), (gates, C, d_h, d_C, delta_after, W), ours_backward),
    }
    result = {}
    for name, (function, arguments, ours) in calls.items():
        start = time.perf_counter()
        with torch.no_grad():
            function(*arguments)
        seconds = time.perf_counter() - start
        theirs = functools.partial(function, *arguments)
        result[name] = seconds, torch.no_grad()(theirs), torch.no_grad()(ours)
    return result
