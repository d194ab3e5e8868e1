r"""The league on language: RNN, GRU and LSTM at equal parameters and equal updates, on the characters of Python source.

    python -m benchmarks.sweeps.league_text          the sweep that chapter 08 draws; some minutes, and resumable
    python -m benchmarks.sweeps.league_text --toy    a few updates of tiny models: seconds, and no result

All read one-hot characters, carry their state from chunk to chunk, and are trained with Adam at one learning rate: the
best of the same few for everybody, by the loss on the validation text, for a seed that does not count. The other seeds
are scored on the test text, in bits a character, with the state carried through the whole of it.
"""

import functools
import math
from typing import Any

import torch

from benchmarks.sweeps import sweep
from benchmarks.sweeps.sweep import python_source
from unrolled.models import CharacterModel
from unrolled.training import Config, evaluate, train

NAME = "league_text"
COMMAND = "python -m benchmarks.sweeps.league_text"
FULL: dict[str, Any] = {
    "corpus": "python",
    "cells": ["rnn", "gru", "lstm"],
    "hidden_size": 96,
    "updates": 1000,
    "batch_size": 32,
    "num_steps": 50,
    "rates": [0.001, 0.003, 0.01, 0.03, 0.1],
    "trial_seed": 100,
    "seeds": [0, 1, 2, 3, 4],
    "rows": 16,
    "characters": None,
}
TOY = FULL | {
    "hidden_size": 4,
    "updates": 2,
    "batch_size": 4,
    "num_steps": 8,
    "rates": [0.003, 0.01],
    "seeds": [0, 1],
    "characters": 2000,
}
SPREAD = 0.02  # how far parameters may lie from the LSTM's


@functools.cache
def parameters(cell: str, hidden_size: int) -> int:
    """How many numbers a model learns."""
    vocabulary, _ = python_source(TOY["characters"])  # the same for a text of any length
    with torch.device("meta"):  # shapes only
        model = CharacterModel(vocabulary, hidden_size, cell=cell)
    return sum(weight.numel() for weight in model.parameters())


def size(cell: str, hidden_size: int) -> int:
    """m: that whose parameters come nearest to an LSTM's of `hidden_size`."""
    wanted = parameters("lstm", hidden_size)
    return min(range(1, 4 * hidden_size), key=lambda m: abs(parameters(cell, m) - wanted))


def run(cell: str, rate: float, seed: int, setting: dict[str, Any]) -> dict[str, Any]:
    """One training; the trial seed is scored on the validation text, the others on the test text."""
    vocabulary, ids = python_source(setting["characters"])
    m = size(cell, setting["hidden_size"])
    count = parameters(cell, m)
    if abs(count / parameters("lstm", setting["hidden_size"]) - 1) > SPREAD:
        raise ValueError(
            f"hidden_size: expected {cell} within {SPREAD:.0%} of the LSTM's parameters, got {count}"
        )
    torch.manual_seed(seed)
    model = CharacterModel(vocabulary, m, cell=cell)
    sizes = {name: setting[name] for name in ("updates", "batch_size", "num_steps")}
    train(model, ids["train"], Config(learning_rate=rate, **sizes))
    split = "validation" if seed == setting["trial_seed"] else "test"
    bits = evaluate(model, ids[split], batch_size=setting["rows"]) / math.log(2)
    return {
        "cell": cell,
        "hidden_size": m,
        "parameters": count,
        "rate": rate,
        "seed": seed,
        "split": split,
        "bits": round(bits, 4),
    }


chosen = functools.partial(sweep.chosen, label="cell", score="bits")


def main(arguments: list[str] | None = None) -> None:
    """Run what is not stored yet; each finished training is stored at once."""
    name, result, executor = sweep.begin(__doc__, arguments, COMMAND, NAME, (FULL, TOY))
    sweep.over_rates(name, result, FULL["cells"], run, executor, label="cell", score="bits")
    sweep.end(name, executor)


if __name__ == "__main__":
    main()
