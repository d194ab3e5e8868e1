"""A training step of the LSTM: hand-derived against torch.nn.LSTM, and each thing that was tried beside it.

All are run one after another in the same rounds; the table gives medians of the rounds' ratios. Before anything is
timed, outputs and gradients are shown to be equal. Memory that a step frees is kept for the next, as in every notebook
and every training run of this book: it saves torch.nn.LSTM time too.

    python -m benchmarks.speed.lstm            about ten minutes; stores its table as JSON
"""

import contextlib
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import record
from benchmarks.speed.bptt import SIZES, THREADS, ratio, rounds, stored
from benchmarks.tries import lstm as lstm_tries
from unrolled.bptt import lstm_through_time
from unrolled.cells import LSTMCell, LSTMState
from unrolled.device import keep_freed_memory
from unrolled.networks import unroll

COMMAND = "python -m benchmarks.speed.lstm"
CHANGES = lstm_tries.changes()


class Case:
    """One size: the same weights, inputs and loss for everybody."""

    def __init__(self, T: int, B: int, P: int, m: int) -> None:
        torch.manual_seed(0)
        self.size = (T, B, P, m)
        self.theirs = torch.nn.LSTM(P, m)
        self.x, self.d_h = torch.randn(T, B, P), torch.randn(T, B, m)
        self.h_0, self.C_0 = torch.zeros(B, m), torch.zeros(B, m)
        self.cell = LSTMCell(P, m)
        with torch.no_grad():
            self.cell.load_torch_weights(*self.theirs.all_weights[0])
        self.weights = (self.cell.W_x, self.cell.W_h, self.cell.b)

    def torch_step(self) -> None:
        """Forward and backward through torch.nn.LSTM."""
        self.theirs.zero_grad(set_to_none=True)
        self.theirs(self.x, (self.h_0.unsqueeze(0), self.C_0.unsqueeze(0)))[0].backward(self.d_h)

    def hand(self) -> Tensor:
        """Forward through the hand-derived pass."""
        return lstm_through_time(*self.arguments)[0]

    def hand_step(self) -> None:
        """Forward and backward through the hand-derived pass."""
        self.cell.zero_grad(set_to_none=True)
        self.hand().backward(self.d_h)

    def with_change(self, change: Callable[[], AbstractContextManager[None]]) -> Callable[[], None]:
        """The same with something changed in the library for as long as it runs."""

        def step() -> None:
            with change():
                self.hand_step()

        return step

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """What the hand-derived pass is given."""
        return self.x, self.h_0, self.C_0, *self.weights

    def loop(self) -> Tensor:
        """Forward through the definition."""
        return unroll(self.cell, self.x.transpose(0, 1), LSTMState(self.h_0, self.C_0))[0]

    def loop_step(self) -> None:
        """Forward and backward through the definition, under autograd."""
        self.cell.zero_grad(set_to_none=True)
        self.loop().backward(self.d_h.transpose(0, 1))

    @torch.no_grad()
    def products(self) -> None:
        """Only the matrix products that every implementation must do: the limit none passes."""
        T, B, P, m = self.size
        x, W_x, W_h = self.x.view(T * B, P), self.cell.W_x, self.cell.W_h
        a, d_h, delta = self.gates[:B], torch.empty(B, m), self.gates
        x @ W_x.mT
        for _ in range(T):
            torch.mm(self.h_0, W_h.mT, out=a)
        for _ in range(T - 1):
            torch.mm(delta[:B], W_h, out=d_h)
        self.d_h.view(T * B, m).mT @ delta
        x.mT @ delta

    @torch.no_grad()
    def activations(self, function: Any) -> None:
        """One activation over all gates and over the cell state, at every time."""
        T, B, _, _ = self.size
        a, C = self.gates[:B], self.C_0
        out, out_C = torch.empty_like(a), torch.empty_like(C)
        for _ in range(T):
            function(a, out=out)
            function(C, out=out_C)

    @property
    def gates(self) -> Tensor:
        """Numbers of the gates' shape, (T B, 4m)."""
        if not hasattr(self, "_gates"):
            T, B, _, m = self.size
            self._gates = torch.randn(T * B, 4 * m)
        return self._gates

    def check(self) -> None:
        """Equal outputs and gradients, or nothing is timed."""
        self.torch_step()
        h = self.theirs(self.x, (self.h_0.unsqueeze(0), self.C_0.unsqueeze(0)))[0]
        torch.testing.assert_close(self.hand(), h, rtol=1e-4, atol=1e-5)
        for change in (contextlib.nullcontext, *CHANGES.values()):
            self.with_change(change)()
            self._same_gradients([weight.grad for weight in self.weights])
        if self.size[1] > 1:
            self._same_gradients(lstm_tries.Halves()(*self.arguments, d_h=self.d_h))

    def _same_gradients(self, gradients: list[Any]) -> None:
        for mine, yours in zip(gradients, self.theirs.all_weights[0][:3], strict=True):
            error = (mine - yours.grad).norm() / yours.grad.norm()
            assert error < 1e-4, f"{self.size}: gradients differ by {error:.1e}"

    def kept(self) -> dict[str, int]:
        """Bytes kept for the backward pass, each storage once; without the weights, which are there anyway."""
        return {name: stored(getattr(self, name)) - self.cell.W_h.nbytes for name in ("loop", "hand")}


def measure(case: Case, budget: float) -> dict[str, Any]:
    """Rounds of everything, one after another."""
    halves = lstm_tries.Halves()
    times = rounds(
        {
            "torch": case.torch_step,
            "hand": case.hand_step,
            **{name: case.with_change(change) for name, change in CHANGES.items()},
            **(
                {"halves": lambda: halves(*case.arguments, d_h=case.d_h)}
                if torch.get_num_threads() > 1 and case.size[1] > 1
                else {}
            ),
            "loop": case.loop_step,
            "products": case.products,
            "sigmoid": lambda: case.activations(torch.sigmoid),
            "tanh": lambda: case.activations(torch.tanh),
        },
        budget,
    )
    return {
        "rounds": len(times["torch"]),
        "torch_ms": 1e3 * statistics.median(times["torch"]),
        **{f"{name}_to_torch": ratio(times, name, "torch") for name in times if name != "torch"},
    }


def by_torchs_compiler(budget: float, n: int = 16, B: int = 32, m: int = 128) -> dict[str, Any]:
    """`torch.compile` on one stretch: seconds it takes to compile, and the time of the result as a share of ours."""
    torch.set_num_threads(1)
    result: dict[str, Any] = {"size": (n, B, m)}
    for name, (seconds, theirs, ours) in lstm_tries.compiled_by_torch(n, B, m).items():
        times = rounds({"theirs": theirs, "ours": ours}, budget)
        result[name] = {"seconds_to_compile": seconds, "to_hand": ratio(times, "theirs", "ours")}
    return result


def main(budget: float = 20.0) -> dict[str, Any]:
    """Measure every size on one and two threads, print the table, store it."""
    keep_freed_memory()
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
                    }
                )
                bar.update()
    means = {
        name: {
            str(threads): statistics.geometric_mean(
                r[f"{name}_to_torch"] for r in rows if r["threads"] == threads
            )
            for threads in THREADS
        }
        for name in ("hand", "compiled")
        if f"{name}_to_torch" in rows[0]
    }
    result = {
        **record.circumstances(COMMAND),
        "geometric_means": means,
        "rows": rows,
        "torch_compile": by_torchs_compiler(min(budget, 2.0)),
    }
    print(table(result))
    return result


def _share(row: dict[str, Any], name: str) -> str:
    return f"{row[f'{name}_to_torch']:.2f}" if f"{name}_to_torch" in row else "–"


# What the tables show of each row: the heading, and how it is written.
MEASURED = {
    "torch.nn.LSTM, ms": lambda r: f"{r['torch_ms']:.2f}",
    "hand": lambda r: f"**{r['hand_to_torch']:.2f}**",
    "hand, compiled": lambda r: f"**{_share(r, 'compiled')}**",
    "loop": lambda r: f"{r['loop_to_torch']:.2f}",
    "products alone": lambda r: f"{r['products_to_torch']:.2f}",
    "activations: sigmoid, tanh": lambda r: f"{r['sigmoid_to_torch']:.2f}, {r['tanh_to_torch']:.2f}",
    "bytes kept, hand / loop": lambda r: f"{r['hand_to_loop_bytes']:.2f}",
}
TRIED = {
    "hand": lambda r: f"{r['hand_to_torch']:.2f}",
    "in one stretch": lambda r: _share(r, "one_stretch"),
    "packed for oneDNN": lambda r: _share(r, "onednn_packed"),
    "packed for MKL": lambda r: _share(r, "mkl_packed"),
    "halves of the batch in two Python threads": lambda r: _share(r, "halves"),
}


def _rows(result: dict[str, Any], columns: dict[str, Callable[[dict[str, Any]], str]]) -> list[str]:
    lines = [f"| threads | T, B, P, m | {' | '.join(columns)} |", "| --- " * (len(columns) + 2) + "|"]
    for r in result["rows"]:
        cells = (str(r["threads"]), ", ".join(map(str, r["size"])), *(write(r) for write in columns.values()))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def table(result: dict[str, Any]) -> str:
    """The measurements as Markdown: everything but bytes as a share of torch's time."""
    lines = _rows(result, MEASURED)
    for name, means in result["geometric_means"].items():
        each = ", ".join(f"{mean:.2f} on {n} thread{'s' * (n != '1')}" for n, mean in means.items())
        lines.append(f"\nGeometric mean of {'hand' if name == 'hand' else 'hand, compiled'} / torch: {each}")
    lines += ["\nWhat was tried, in the same rounds:\n", *_rows(result, TRIED)]
    if tried := result.get("torch_compile"):
        n, B, m = tried["size"]
        passes = "; ".join(
            f"{name} {each['to_hand']:.2f} of the time, after {each['seconds_to_compile']:.0f} s to compile"
            for name, each in ((name, tried[name]) for name in ("forward", "backward"))
        )
        lines.append(f"\n`torch.compile` on a stretch of {n} steps, B = {B}, m = {m}, against ours: {passes}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"Stored in {record.save('lstm', main())}")
