"""A training step of the vanilla RNN: hand-derived against torch.nn.RNN, and against the matrix products alone.

Each round runs the three one after another, so that whatever slows the machine slows all of them; the table gives
medians of the rounds' ratios. Before anything is timed, outputs and gradients are shown to be equal.

    python -m benchmarks.speed.bptt            about three minutes; stores its table as JSON
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import record
from unrolled.bptt import rnn_through_time
from unrolled.cells import RNNCell, RNNState
from unrolled.networks import unroll

SIZES = (
    (25, 1, 65, 100),
    (64, 32, 65, 128),
    (100, 50, 65, 128),
    (128, 64, 128, 256),
    (64, 64, 256, 512),
    (256, 32, 64, 256),
)  # T, B, P, m
THREADS = (1, 2)


class Case:
    """One size: the same weights, inputs and loss for everybody."""

    def __init__(self, T: int, B: int, P: int, m: int) -> None:
        torch.manual_seed(0)
        self.size = (T, B, P, m)
        self.theirs = torch.nn.RNN(P, m)
        self.x, self.h_0, self.d_h = torch.randn(T, B, P), torch.zeros(B, m), torch.randn(T, B, m)
        self.cell = RNNCell(P, m)
        with torch.no_grad():
            W_ih, W_hh, b_ih, b_hh = self.theirs.all_weights[0]
            self.cell.W_xh.copy_(W_ih)
            self.cell.W_hh.copy_(W_hh)
            self.cell.b_h.copy_(b_ih + b_hh)
        self.weights = (self.cell.W_xh, self.cell.W_hh, self.cell.b_h)

    def torch_step(self) -> None:
        """Forward and backward through torch.nn.RNN."""
        self.theirs.zero_grad(set_to_none=True)
        self.theirs(self.x, self.h_0.unsqueeze(0))[0].backward(self.d_h)

    def hand_step(self) -> None:
        """Forward and backward through the hand-derived pass."""
        self.cell.zero_grad(set_to_none=True)
        rnn_through_time(self.x, self.h_0, *self.weights)[0].backward(self.d_h)

    def recomputed_step(self) -> None:
        """The same, keeping only every sqrt(T)-th state."""
        self.cell.zero_grad(set_to_none=True)
        rnn_through_time(self.x, self.h_0, *self.weights, recompute=self.stretch)[0].backward(self.d_h)

    @property
    def stretch(self) -> int:
        """The length between two kept states."""
        return math.isqrt(self.size[0])

    @torch.no_grad()
    def products(self) -> None:
        """Only the matrix products that every implementation must do: the limit none passes."""
        T, B, P, m = self.size
        x, W_xh, W_hh = self.x.view(T * B, P), self.cell.W_xh, self.cell.W_hh
        h, out = self.h_0, torch.empty(B, m)
        x @ W_xh.mT
        for _ in range(T):
            torch.mm(h, W_hh.mT, out=out)
        for _ in range(T - 1):
            torch.mm(h, W_hh, out=out)
        delta = self.d_h.view(T * B, m)
        delta.mT @ delta
        delta.mT @ x

    def check(self) -> None:
        """Equal outputs and gradients, or nothing is timed."""
        self.torch_step()
        self.hand_step()
        ours = rnn_through_time(self.x, self.h_0, *self.weights)[0]
        torch.testing.assert_close(ours, self.theirs(self.x, self.h_0.unsqueeze(0))[0], rtol=1e-4, atol=1e-5)
        for mine, yours in zip(self.weights, self.theirs.all_weights[0][:3], strict=True):
            error = (mine.grad - yours.grad).norm() / yours.grad.norm()
            assert error < 1e-4, f"{self.size}: gradients differ by {error:.1e}"

    def kept(self) -> dict[str, int]:
        """Bytes kept for the backward pass, each storage once."""
        x = self.x.transpose(0, 1)
        return {
            "loop": stored(lambda: unroll(self.cell, x, RNNState(self.h_0))),
            "hand": stored(lambda: rnn_through_time(self.x, self.h_0, *self.weights)),
            "recomputed": stored(
                lambda: rnn_through_time(self.x, self.h_0, *self.weights, recompute=self.stretch)
            ),
        }


def stored(forward: Callable[[], Any]) -> int:
    """Bytes of all distinct storages that a forward pass keeps for its backward pass."""
    storages: dict[int, int] = {}
    alive = []

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(storages.values())


def seconds(step: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def rounds(steps: dict[str, Callable[[], Any]], budget: float) -> dict[str, list[float]]:
    """Seconds of every step in each of many rounds, one after another: for `budget` seconds and at least 15 rounds."""
    for step in steps.values():
        step()  # warm
    times: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(next(iter(times.values()))) < 15:
        for name, step in steps.items():
            times[name].append(seconds(step))
    return times


def ratio(times: dict[str, list[float]], a: str, b: str) -> float:
    """The median over the rounds of a's time to b's."""
    return statistics.median(p / q for p, q in zip(times[a], times[b], strict=True))


def measure(case: Case, budget: float) -> dict[str, Any]:
    """Rounds of all four, one after another."""
    times = rounds(
        {
            "torch": case.torch_step,
            "hand": case.hand_step,
            "recomputed": case.recomputed_step,
            "products": case.products,
        },
        budget,
    )
    return {
        "rounds": len(times["torch"]),
        "torch_ms": 1e3 * statistics.median(times["torch"]),
        "hand_to_torch": ratio(times, "hand", "torch"),
        "recomputed_to_hand": ratio(times, "recomputed", "hand"),
        "products_to_torch": ratio(times, "products", "torch"),
        "hand_to_products": ratio(times, "hand", "products"),
    }


def main(budget: float = 10.0) -> dict[str, Any]:
    """Measure every size on one and two threads, print the table, store it."""
    rows = []
    with tqdm(total=len(SIZES) * len(THREADS), unit="size") as bar:
        for threads in THREADS:
            torch.set_num_threads(threads)
            for size in SIZES:
                case = Case(*size)
                case.check()
                kept = case.kept()
                rows.append(
                    {
                        "threads": threads,
                        "size": size,
                        **measure(case, budget),
                        "hand_to_loop_bytes": kept["hand"] / kept["loop"],
                        "recomputed_to_hand_bytes": kept["recomputed"] / kept["hand"],
                    }
                )
                bar.update()
    means = {
        str(threads): statistics.geometric_mean(r["hand_to_torch"] for r in rows if r["threads"] == threads)
        for threads in THREADS
    }
    result = {
        **record.circumstances("python -m benchmarks.speed.bptt"),
        "geometric_means": means,
        "rows": rows,
    }
    print(table(result))
    return result


def table(result: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    lines = [
        "| threads | T, B, P, m | torch.nn.RNN, ms | hand / torch | products / torch | hand / products "
        "| bytes kept, hand / loop | recomputing: time, bytes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in result["rows"]:
        lines.append(
            f"| {r['threads']} | {', '.join(map(str, r['size']))} | {r['torch_ms']:.2f} | **{r['hand_to_torch']:.2f}** "
            f"| {r['products_to_torch']:.2f} | {r['hand_to_products']:.2f} | {r['hand_to_loop_bytes']:.2f} "
            f"| {r['recomputed_to_hand']:.2f}, {r['recomputed_to_hand_bytes']:.2f} |"
        )
    for threads, mean in result["geometric_means"].items():
        lines.append(
            f"\nGeometric mean of hand / torch on {threads} thread{'s' * (threads != '1')}: {mean:.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"Stored in {record.save('bptt', main())}")
