"""What does each change to a character model buy? One at a time on Python source, then depth at equal parameters.

    python -m benchmarks.sweeps.ladder          the sweep that chapter 09 draws; about an hour, and resumable
    python -m benchmarks.sweeps.ladder --toy    a few updates of tiny models: seconds, and no result

Every entry gets the same updates of the same number of characters, with Adam and a step size that falls as a cosine.
Its learning rate is the best of two on the validation text, for a seed that does not count; what is reported are the
losses of the other seeds on the test text, with the state carried and in fresh windows of the length that was trained.
The rungs differ in one thing from the one before and have the same hidden size. Those in `DEPTHS` carry the state and
have as many parameters as the last rung.
"""

import functools
from typing import Any

import torch

from benchmarks.sweeps import sweep
from benchmarks.sweeps.sweep import python_source
from unrolled.cells import detach
from unrolled.data import stream_chunks
from unrolled.models import CharacterModel
from unrolled.training import Recipe, clip_gradient, cross_entropy, evaluate

NAME = "ladder"
COMMAND = "python -m benchmarks.sweeps.ladder"
FULL: dict[str, Any] = {
    "corpus": "python",
    "hidden_size": 128,
    "embedding_size": 32,
    "updates": 1800,
    "batch_size": 32,
    "num_steps": 50,
    "rates": [0.003, 0.008],
    "trial_seed": 100,
    "seeds": [0, 1, 2],
    "warmup": 100,
    "floor": 0.05,
    "clip_norm": 1.0,
    "rows": 16,
    "characters": None,
}
TOY = FULL | {
    "hidden_size": 6,
    "embedding_size": 3,
    "updates": 3,
    "num_steps": 10,
    "warmup": 1,
    "rates": [0.005, 0.01],
    "seeds": [0, 1],
    "characters": 2000,
}
RUNGS: dict[str, dict[str, Any]] = {
    "one-hot RNN": {"cell": "rnn", "embedded": False, "num_layers": 1, "carried": False},
    "embedding": {"cell": "rnn", "embedded": True, "num_layers": 1, "carried": False},
    "LSTM": {"cell": "lstm", "embedded": True, "num_layers": 1, "carried": False},
    "two layers": {"cell": "lstm", "embedded": True, "num_layers": 2, "carried": False},
    "state carried": {"cell": "lstm", "embedded": True, "num_layers": 2, "carried": True},
}
DEPTHS: dict[str, dict[str, Any]] = {
    f"{cell.upper()}, {layers}": {"cell": cell, "embedded": True, "num_layers": layers, "carried": True}
    for cell, layers in (("rnn", 1), ("lstm", 1), ("lstm", 3))
}
ENTRIES = RUNGS | DEPTHS


def build(entry: str, hidden_size: int, setting: dict[str, Any]) -> CharacterModel:
    """A fresh model of one entry."""
    options = ENTRIES[entry]
    return CharacterModel(
        python_source(setting["characters"])[0],
        hidden_size,
        embedding_size=setting["embedding_size"] if options["embedded"] else None,
        num_layers=options["num_layers"],
        cell=options["cell"],
    )


def _parameters(entry: str, hidden_size: int, setting: dict[str, Any]) -> int:
    python_source(
        setting["characters"]
    )  # its numbers are kept, so they are not made where there are only shapes
    with torch.device("meta"):
        return sum(weight.numel() for weight in build(entry, hidden_size, setting).parameters())


def size(entry: str, setting: dict[str, Any]) -> int:
    """m: the setting's for a rung; of `DEPTHS`, that whose parameters come nearest to the last rung's."""
    m = setting["hidden_size"]
    if entry in RUNGS:
        return m
    wanted = _parameters("state carried", m, setting)
    return min(range(1, 6 * m), key=lambda m: abs(_parameters(entry, m, setting) - wanted))


def train(entry: str, rate: float, seed: int, setting: dict[str, Any]) -> CharacterModel:
    """One model, as the chapter's own loop trains it."""
    torch.manual_seed(seed)
    model = build(entry, size(entry, setting), setting)
    recipe = Recipe(
        updates=setting["updates"], learning_rate=rate, warmup=setting["warmup"], floor=setting["floor"]
    )
    optimizer = torch.optim.Adam(model.parameters())
    ids = python_source(setting["characters"])[1]["train"]
    # The last chunk may be shorter, so it is left out.
    chunks = list(stream_chunks(ids, setting["batch_size"], setting["num_steps"]))[:-1]
    generator = torch.Generator().manual_seed(seed)
    state = None
    for update in range(setting["updates"]):
        if ENTRIES[entry]["carried"]:
            place = update % len(chunks)
            state = detach(state) if place and state is not None else None  # from zeros where the text begins
        else:
            place = int(torch.randint(len(chunks), (1,), generator=generator))
            state = None
        x, y = chunks[place]
        logits, state = model(x, state)
        optimizer.zero_grad()
        cross_entropy(logits, y).backward()
        clip_gradient(model, setting["clip_norm"])
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(update + 1)
        optimizer.step()
    return model


def losses(model: CharacterModel, split: str, setting: dict[str, Any]) -> tuple[float, float]:
    """Nats a character on a whole split: with the state carried, and in fresh windows."""
    ids = python_source(setting["characters"])[1][split]
    rows = setting["rows"]
    both = (
        evaluate(model, ids, batch_size=rows),
        evaluate(model, ids, batch_size=64, window=setting["num_steps"]),
    )
    return round(both[0], 4), round(both[1], 4)


def run(entry: str, rate: float, seed: int, setting: dict[str, Any]) -> dict[str, Any]:
    """One training; the trial seed is scored on the validation text, the others on the test text."""
    model = train(entry, rate, seed, setting)
    split = "validation" if seed == setting["trial_seed"] else "test"
    carried, windows = losses(model, split, setting)
    m = size(entry, setting)
    return {
        "entry": entry,
        "hidden_size": m,
        "parameters": _parameters(entry, m, setting),
        "rate": rate,
        "seed": seed,
        "split": split,
        "carried": carried,
        "windows": windows,
    }


chosen = functools.partial(sweep.chosen, label="entry", score="carried")


def main(arguments: list[str] | None = None) -> None:
    """Run what is not stored yet; each finished training is stored at once."""
    name, result, executor = sweep.begin(__doc__, arguments, COMMAND, NAME, (FULL, TOY))
    sweep.over_rates(name, result, ENTRIES, run, executor, label="entry", score="carried")
    sweep.end(name, executor)


if __name__ == "__main__":
    main()
