r"""How far back can a network recall when its gradient reaches only k steps? Delayed recall, by lag and window.

    python -m benchmarks.sweeps.recall_by_window          the sweep that chapter 06 draws; a few minutes, and resumable
    python -m benchmarks.sweeps.recall_by_window --toy    two lags for a few updates: seconds, and no result

Each entry of `runs` is one training: an initial W_hh, a lag, a window k, and the held-out accuracy of every seed. A
window of at least lag + 1 is the whole sequence, so that the first such window stands for all larger ones. Seeds differ
in their initial weights and read the same examples.
"""

from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from benchmarks import record
from benchmarks.sweeps import sweep
from unrolled.data import RECALL_INPUTS, RECALL_SYMBOLS, delayed_recall, one_hot
from unrolled.device import stack_seeds
from unrolled.models import ManyToOne
from unrolled.training import clip_gradient, cross_entropy

NAME = "recall_by_window"
COMMAND = "python -m benchmarks.sweeps.recall_by_window"
STARTS = ("uniform", "orthogonal")
FULL: dict[str, Any] = {
    "lags": [2, 5, 10, 15, 20, 30],
    "windows": [1, 2, 5, 10, 15, 20, 30],
    "seeds": list(range(6)),
    "hidden_size": 32,
    "batch_size": 32,
    "updates": 600,
    "learning_rate": 0.005,
    "clip_norm": 1.0,
    "held_out": 2000,
}
TOY = FULL | {
    "lags": [2, 3],
    "windows": [1, 2],
    "seeds": [0, 1],
    "hidden_size": 6,
    "updates": 3,
    "held_out": 50,
}


def build(start: str, hidden_size: int) -> ManyToOne:
    """One network; its W_hh uniform on ±1/√m as everywhere in the library, or orthogonal with a bias of zero."""
    model = ManyToOne(RECALL_INPUTS, hidden_size, RECALL_SYMBOLS)
    if start == "orthogonal":
        cell = model.rnn.cells[0]
        nn.init.orthogonal_(cell.W_hh)
        nn.init.zeros_(cell.b_h)
    return model


def run(start: str, lag: int, window: int, setting: dict[str, Any]) -> list[float]:
    """Train all seeds side by side with the gradient cut `window` steps before the recall; held-out accuracies."""
    model = stack_seeds(lambda: build(start, setting["hidden_size"]), setting["seeds"])
    optimizer = torch.optim.Adam(model.parameters(), lr=setting["learning_rate"])
    generator = torch.Generator().manual_seed(1000 + lag)
    before = max(0, lag + 1 - window)  # steps that are carried without a gradient
    for _ in range(setting["updates"]):
        x, y = delayed_recall(setting["batch_size"], lag, generator)
        x = one_hot(x, RECALL_INPUTS)
        state = None
        if before:
            with torch.no_grad():
                _, state = model.rnn(x[:, :before])
        h, _ = model.rnn(x[:, before:], state)
        optimizer.zero_grad()
        cross_entropy(model.readout(h[..., -1, :]), y).sum().backward()
        clip_gradient(model, setting["clip_norm"])
        optimizer.step()
    x, y = delayed_recall(setting["held_out"], lag, torch.Generator().manual_seed(1))
    with torch.no_grad():
        right = model(one_hot(x, RECALL_INPUTS)).argmax(dim=-1) == y  # (S, B)
    return [round(accuracy, 4) for accuracy in right.double().mean(dim=1).tolist()]


def main(arguments: list[str] | None = None) -> None:
    """Run what is not stored yet; each finished training is stored at once."""
    name, result, executor = sweep.begin(
        __doc__, arguments, COMMAND, NAME, (FULL, TOY), chance=1 / RECALL_SYMBOLS
    )
    setting = result["setting"]
    done = {(r["start"], r["lag"], r["window"]) for r in result["runs"]}
    todo = [
        (start, lag, window)
        for start in STARTS
        for lag in setting["lags"]
        for window in [*(k for k in setting["windows"] if k <= lag), lag + 1]
        if (start, lag, window) not in done
    ]
    record.say(f"{name}: {len(done)} trainings stored, {len(todo)} to run")
    made = sweep.each(executor, run, [(*one, setting) for one in todo])
    for (start, lag, window), accuracy in zip(
        todo, tqdm(made, total=len(todo), unit="training"), strict=True
    ):
        result["runs"].append({"start": start, "lag": lag, "window": window, "accuracy": accuracy})
        record.save(name, result)
    sweep.end(name, executor)


if __name__ == "__main__":
    main()
