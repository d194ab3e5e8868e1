"""The three small models that come with the library: how they were made.

    python -m benchmarks.sweeps.pretrained                     all three; about half an hour on one core, and resumable
    python -m benchmarks.sweeps.pretrained names python        these
    python -m benchmarks.sweeps.pretrained shakespeare --text tinyshakespeare.txt
    python -m benchmarks.sweeps.pretrained --toy               a few updates on names, into another folder: seconds

A run that was interrupted goes on where it stopped. Weights are stored in half precision, and what is scored is
the stored model, as a reader loads it. Beside the weights stand the recipe, the curve, the seed and the scores.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks import record
from unrolled.data import corpora
from unrolled.models import load, save
from unrolled.training import Recipe, losses_on, open_corpus, run

COMMAND = "python -m benchmarks.sweeps.pretrained"
FOLDER = Path(__file__).parents[2] / "lib/unrolled/assets/pretrained"
WORK = Path(__file__).parents[2] / "_build/pretrained"  # where a run that is under way keeps its checkpoints
MODELS = {
    "names": Recipe(
        corpus="names", hidden_size=192, embedding_size=32, dropout=0.2, updates=6000, batch_size=64, num_steps=64,
        shifted=False, learning_rate=0.004, floor=0.01, precision="bfloat16", evaluate_every=500,
    ),
    "python": Recipe(
        corpus="python", hidden_size=448, embedding_size=64, dropout=0.3, updates=2400, batch_size=64, num_steps=128,
        restarts=0.05, learning_rate=0.004, floor=0.01, precision="bfloat16", evaluate_every=400,
    ),
    "shakespeare": Recipe(
        corpus="shakespeare", hidden_size=384, embedding_size=64, dropout=0.3, updates=2400, batch_size=64,
        num_steps=128, restarts=0.05, learning_rate=0.004, floor=0.01, precision="bfloat16", evaluate_every=400,
    ),
}  # fmt: skip
TOY = {
    "names": Recipe(corpus="names", hidden_size=8, updates=6, batch_size=8, num_steps=16, evaluate_every=3),
}
PLAYS = {"source": corpora.SHAKESPEARE_URL, "licence": "public domain"}  # of a local copy too
EXCERPT = 200_000  # characters of a text that are scored, at most


def make(name: str, recipe: Recipe, source: str | None, folder: Path, work: Path) -> dict[str, Any]:
    """Train one model, or go on training it; store it in half precision and score what was stored."""
    own = dataclasses.replace(recipe, corpus=source or recipe.corpus)
    result = run(own, work / name, resume=True, device="cpu")
    corpus = open_corpus(own.corpus)
    about = {
        "recipe": recipe.to_dict(),
        "corpus": {**result["corpus"], "name": recipe.corpus, **(PLAYS if source else {})},
        "parameters": result["parameters"],
        "best_update": result["best_update"],
        "curve": result["evaluations"],
        "seconds": result["seconds"],
        **record.circumstances(COMMAND),
    }
    model = load(work / name).half()
    save(model, folder / name, **about)
    stored = load(folder / name)  # in single precision again: what is scored is what was stored
    found = {split: losses_on(stored, getattr(corpus, split)[:EXCERPT]) for split in ("validation", "test")}
    save(model, folder / name, **about, scores=found)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Make the models that were asked for, one after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MODELS)}; all of them if none is given")
    parser.add_argument("--text", help="tiny Shakespeare as a local file; downloaded if not given")
    parser.add_argument("--toy", action="store_true", help="a toy size, into another folder")
    parser.add_argument("--to", type=Path, help="another folder for the models and for what is under way")
    given = parser.parse_args(arguments)
    models = TOY if given.toy else MODELS
    if unknown := [name for name in given.names if name not in models]:
        raise SystemExit(f"names: expected some of {', '.join(models)}, got {', '.join(unknown)}")
    torch.set_num_threads(1)
    place = given.to or (WORK / "toy" if given.toy else None)
    folder, work = (FOLDER, WORK) if place is None else (place, place / "work")
    for name in given.names or models:
        record.say(
            f"{name}: {json.dumps({key: getattr(models[name], key) for key in ('hidden_size', 'updates')})}"
        )
        is_play = name == "shakespeare"
        if is_play and given.text:
            corpora.shakespeare(given.text, corpora.SHAKESPEARE_SHA256)  # refuses another text
        found = make(name, models[name], given.text if is_play else None, folder, work)
        record.say(f"{name}: {found['test']['carried']['nats']:.3f} nats a character on its test text")


if __name__ == "__main__":
    main()
