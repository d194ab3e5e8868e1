"""How good per minute? Character models on tiny Shakespeare beside a small GPT, on two cores.

    python -m benchmarks.sweeps.quality            every entry and seed that is not stored yet; an hour and a half
    python -m benchmarks.sweeps.quality --only "LSTM, short" --text tinyshakespeare.txt
    python -m benchmarks.sweeps.quality --toy      a few updates on names: seconds, and no result

Models learn from the first 90 % of the text; the last 10 % is the validation text, whole, as nanoGPT splits it. Two
losses are always told: with the state carried through the whole text, which a transformer can't, and in fresh windows
of 256 characters. A transformer is also measured in windows of its own length, the longest it can read, and a
recurrent network in windows as short as those. Seconds are those of the updates alone and of the whole run, on a
machine that does nothing else.
"""

import argparse
import dataclasses
import tempfile
import time
from typing import Any

import torch

from benchmarks import record
from benchmarks.sweeps import transformer
from unrolled.data import Corpus, Vocabulary, corpora
from unrolled.device import keep_freed_memory
from unrolled.models import load
from unrolled.training import WINDOW, Recipe, evaluate, losses_on, run

NAME = "quality"
COMMAND = "python -m benchmarks.sweeps.quality"
THREADS = 2
# Settings that decide nothing: no checkpoint on the way, and a last evaluation only, unless an entry says otherwise.
SHORT: dict[str, Any] = {
    "corpus": "shakespeare",
    "precision": "bfloat16",
    "checkpoint_every": 10**9,
    "evaluate_every": 10**9,
    "keep": 1,
}
# Each takes at most the time of nanoGPT's CPU recipe, but the long one, which may take half an hour.
ENTRIES: dict[str, tuple[Recipe | transformer.Setting, list[int]]] = {
    "GPT, nanoGPT's CPU recipe": (transformer.Setting(), [1337, 1, 2]),
    "GPT, tuned": (transformer.Setting(layers=2, learning_rate=0.003, updates=3400), [0, 1, 2]),
    "RNN, short": (
        Recipe(
            **SHORT, cell="rnn", hidden_size=512, updates=3000, learning_rate=0.002, floor=0.02, beta_2=0.98,
            backend="hand",
        ),
        [0, 1, 2],
    ),
    "LSTM, short": (
        Recipe(
            **SHORT, hidden_size=320, updates=3000, learning_rate=0.006, floor=0.02, beta_2=0.98, backend="torch"
        ),
        [0, 1, 2],
    ),
    "LSTM, long": (
        Recipe(
            **{**SHORT, "evaluate_every": 500}, hidden_size=512, num_layers=2, embedding_size=128, dropout=0.5,
            updates=5000, batch_size=64, num_steps=128, restarts=0.1, learning_rate=0.003, warmup=200, floor=0.01,
            weight_decay=0.1, backend="torch",
        ),
        [0],
    ),
}  # fmt: skip


def of_recurrent(recipe: Recipe, text: str, source: str | None) -> dict[str, Any]:
    """Train by a recipe in a folder that is thrown away; its scores on the whole validation text."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = run(dataclasses.replace(recipe, corpus=source or recipe.corpus), folder, device="cpu")
        wall = time.perf_counter() - began
        model = load(folder)
    found = losses_on(model, text)
    ids = model.vocabulary.encode(text)
    return {
        "parameters": result["parameters"],
        "seconds": result["seconds"],
        "wall": round(wall, 1),
        "carried": found["carried"]["nats"],
        "windows": found["windows"]["nats"],
        "short_windows": evaluate(model, ids, batch_size=64, window=transformer.Setting().block),
    }


def of_transformer(setting: transformer.Setting, corpus: Corpus, text: str) -> dict[str, Any]:
    vocabulary = Vocabulary(corpus.characters)
    began = time.perf_counter()
    model, seconds = transformer.train(vocabulary.encode(corpus.train), len(vocabulary), setting)
    wall, ids = time.perf_counter() - began, vocabulary.encode(text)

    def in_windows(length: int) -> float:
        return float(evaluate(model, ids, batch_size=64, window=length))

    return {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "seconds": round(seconds, 1),
        "wall": round(wall, 1),
        "windows": in_windows(WINDOW) if setting.block >= WINDOW else None,
        "own_windows": in_windows(setting.block),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run what is not stored yet; each finished run is stored at once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toy", action="store_true", help="a toy size, stored under another name")
    parser.add_argument("--text", help="tiny Shakespeare as a local file; downloaded if not given")
    parser.add_argument("--only", help="one entry, by name")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1 if given.toy else THREADS)
    keep_freed_memory()  # of the transformer too
    entries = _toy() if given.toy else ENTRIES
    if given.only is not None and given.only not in entries:
        raise SystemExit(f"--only: expected one of {', '.join(entries)}, got {given.only!r}")
    corpus = corpora.names() if given.toy else corpora.shakespeare(given.text, corpora.SHAKESPEARE_SHA256)
    text = corpus.validation + corpus.test
    name = f"{NAME}_toy" if given.toy else NAME
    fresh = {**record.circumstances(COMMAND), "threads": THREADS, "runs": []}
    result = record.load(name) or fresh
    if any(result.get(key) != fresh[key] for key in ("processor", "versions", "threads")):
        result = fresh  # what another machine gave is another result
    for entry, (config, seeds) in entries.items():
        for seed in seeds:
            own = dataclasses.replace(config, seed=seed)
            about = {"entry": entry, "seed": seed, "config": dataclasses.asdict(own)}
            stored = any(all(each[key] == about[key] for key in about) for each in result["runs"])
            if stored or given.only not in (None, entry):
                continue
            record.say(f"{entry}, seed {seed}")
            is_recipe = isinstance(own, Recipe)
            found = of_recurrent(own, text, given.text) if is_recipe else of_transformer(own, corpus, text)
            # An entry whose config has changed takes the place of what it was.
            kept = [r for r in result["runs"] if (r["entry"], r["seed"]) != (entry, seed)]
            result["runs"] = [*kept, {**about, **found}]
            record.save(name, result)
    record.say(f"stored in {record.FOLDER / f'{name}.json'}")


def _toy() -> dict[str, tuple[Any, list[int]]]:
    small = Recipe(corpus="names", hidden_size=8, updates=3, batch_size=4, num_steps=8, evaluate_every=3)
    gpt = transformer.Setting(layers=1, heads=2, width=8, block=WINDOW, batch=2, updates=3, warmup=1)
    return {
        "LSTM": (small, [0, 1]),
        "GPT": (gpt, [0]),
        "GPT of a short block": (dataclasses.replace(gpt, block=8), [0]),
    }


if __name__ == "__main__":
    main()
