"""A training step of the LSTM: hand-derived against torch.nn.LSTM, and each thing that was tried beside it.

All are run one after another in the same rounds; the table gives medians of the rounds' ratios. Before anything is
timed, outputs and gradients are shown to be equal.

    python -m benchmarks.lstm            some minutes; stores its table as JSON
"""

import statistics
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import record
from benchmarks.bptt import SIZES, THREADS, ratio, rounds, stored
from unrolled import gated_bptt
from unrolled.gated import LSTMCell, LSTMState
from unrolled.gated_bptt import lstm_through_time
from unrolled.unroll import unroll

COMMAND = "python -m benchmarks.lstm"


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
        return lstm_through_time(self.x, self.h_0, self.C_0, *self.weights)[0]

    def hand_step(self) -> None:
        """Forward and backward through the hand-derived pass."""
        self.cell.zero_grad(set_to_none=True)
        self.hand().backward(self.d_h)

    def one_stretch_step(self) -> None:
        """The same with all times in one stretch, whatever the cache holds."""
        rows, gated_bptt._ROWS = gated_bptt._ROWS, 10**9
        try:
            self.hand_step()
        finally:
            gated_bptt._ROWS = rows

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
        self.hand_step()
        h = self.theirs(self.x, (self.h_0.unsqueeze(0), self.C_0.unsqueeze(0)))[0]
        torch.testing.assert_close(self.hand(), h, rtol=1e-4, atol=1e-5)
        for mine, yours in zip(self.weights, self.theirs.all_weights[0][:3], strict=True):
            error = (mine.grad - yours.grad).norm() / yours.grad.norm()
            assert error < 1e-4, f"{self.size}: gradients differ by {error:.1e}"

    def kept(self) -> dict[str, int]:
        """Bytes kept for the backward pass, each storage once; without the weights, which are there anyway."""
        return {name: stored(getattr(self, name)) - self.cell.W_h.nbytes for name in ("loop", "hand")}


def measure(case: Case, budget: float) -> dict[str, Any]:
    """Rounds of everything, one after another."""
    times = rounds(
        {
            "torch": case.torch_step,
            "hand": case.hand_step,
            "one_stretch": case.one_stretch_step,
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


def main(budget: float = 20.0) -> dict[str, Any]:
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
                    }
                )
                bar.update()
    means = {
        str(threads): statistics.geometric_mean(r["hand_to_torch"] for r in rows if r["threads"] == threads)
        for threads in THREADS
    }
    result = {**record.circumstances(COMMAND), "geometric_means": means, "rows": rows}
    print(table(result))
    return result


def table(result: dict[str, Any]) -> str:
    """The measurements as Markdown: everything but bytes as a share of torch's time."""
    lines = [
        "| threads | T, B, P, m | torch.nn.LSTM, ms | hand | in one stretch | loop | products alone "
        "| activations: sigmoid, tanh | bytes kept, hand / loop |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in result["rows"]:
        lines.append(
            f"| {r['threads']} | {', '.join(map(str, r['size']))} | {r['torch_ms']:.2f} | **{r['hand_to_torch']:.2f}** "
            f"| {r['one_stretch_to_torch']:.2f} | {r['loop_to_torch']:.2f} | {r['products_to_torch']:.2f} "
            f"| {r['sigmoid_to_torch']:.2f}, {r['tanh_to_torch']:.2f} | {r['hand_to_loop_bytes']:.2f} |"
        )
    for threads, mean in result["geometric_means"].items():
        lines.append(
            f"\nGeometric mean of hand / torch on {threads} thread{'s' * (threads != '1')}: {mean:.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"Stored in {record.save('lstm', main())}")
