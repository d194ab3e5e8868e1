"""Long runs: truncated BPTT by a recipe, with checkpoints from which a run goes on exactly where it was.

A run's folder holds `checkpoint-…`, everything the next update depends on; `best-…`, the model that did best on the
validation text; and in the end `result.json`, its scores with the recipe that made them. Under `torchrun` the processes
share the rows of each batch, and the first one writes.
"""

import contextlib
import json
import math
import os
import platform
import re
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from unrolled.data import Corpus, Vocabulary
from unrolled.device import keep_freed_memory, training_device
from unrolled.models import CharacterModel, DamagedFile
from unrolled.models.checkpoints import read_newest, write_numbered
from unrolled.models.pairs import read_pair, write_file, write_pair
from unrolled.training._lock import alone_in
from unrolled.training._ranks import Ranks
from unrolled.training._state import Run
from unrolled.training.loops import evaluate
from unrolled.training.recipes import Recipe, fingerprint, open_corpus

WINDOW = 256  # characters that a score in fresh windows may look back on


def in_units(nats: float) -> dict[str, float | None]:
    r"""A mean loss in nats a character, the same in bits, and the perplexity $e^{\text{mean}}$.

    From 700 nats on, where a model has diverged, the perplexity is None: floats end there, and JSON has no infinity.

    Taught in chapter 09.
    """
    return {
        "nats": nats,
        "bits": nats / math.log(2),
        "perplexity": math.exp(nats) if nats < 700 else None,
    }


def losses_on(
    model: CharacterModel, text: str, *, rows: int = 1, window: int | None = WINDOW
) -> dict[str, Any]:
    """The loss on a text in two ways, which differ and are both told: state carried, and in fresh windows.

    Args:
        model: a character model.
        text: the text, of at least two characters.
        rows: rows read side by side with the state carried; 1 reads the text as it is, more is faster and a little
            pessimistic.
        window: length of the fresh windows; None leaves them out. See `unrolled.training.evaluate`.

    Returns:
        `carried` and `windows`, each in nats, bits and perplexity (see `in_units`), and how many `characters` were
        predicted.
    """
    ids = model.vocabulary.encode(text).to(model.readout.W_hy.device)
    found: dict[str, Any] = {"characters": ids.shape[0] - 1, "rows": rows}
    found["carried"] = in_units(evaluate(model, ids, batch_size=rows))
    if window is not None:
        nats = evaluate(model, ids, batch_size=64, window=window)
        found["windows"] = {"window": window, **in_units(nats)}
    return found


def stored_recipe(folder: str | Path) -> Recipe | None:
    """The recipe that the run in a folder began with; None where there is no run."""
    _, pair, refused = read_newest(folder, "checkpoint")
    if pair is None and refused:
        raise DamagedFile("; ".join(refused))
    return None if pair is None else Recipe.from_dict(pair.about["recipe"])


def run(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    device: torch.device | str = "auto",
    progress: bool | None = None,
) -> dict[str, Any]:
    """Train by a recipe, from the start or from the newest whole checkpoint, to the end.

    A run that was killed at any moment and goes on with `resume=True` ends, on a CPU with the same number of threads,
    in one process or two, in the weights of one that was not, to the bit. More processes may add their gradients in
    another order after a stop: they agree to rounding.

    Args:
        recipe: how to train, and on what.
        folder: where to write; made where there is none.
        resume: go on from the newest whole checkpoint in the folder; from the start where there is none.
        device: see `unrolled.device.training_device`.
        progress: show a progress bar; None shows one unless `UNROLLED_PROGRESS=0`.

    Returns:
        What stands in `result.json`; under `torchrun`, nothing but in the first process.

    Raises:
        FileExistsError: the folder holds a run and `resume` is False, or what is left of one; or another process trains
            in it.
        OSError: the folder can't be written; the message says why.
        NotADirectoryError: the folder, or one it would stand in, is a file.
        ValueError: the run in the folder began with another recipe or text.
        DamagedFile: every checkpoint is damaged; one that is whole is used in place of newer ones, with a warning.
        FloatingPointError: a loss or the gradient is not a number; the message says what to try.

    Source: Williams and Peng (1990), Zaremba et al. (2014). Used in chapter 09; tested by killing it.
    """
    keep_freed_memory()
    folder = Path(folder)
    for place in (folder, *folder.parents):
        if place.is_file():
            raise NotADirectoryError(f"folder: expected a folder, got {folder}, where {place} is a file")
    if isinstance(device, str):
        device = training_device(device)
    corpus = open_corpus(recipe.corpus)
    if progress is None:
        progress = os.environ.get("UNROLLED_PROGRESS") != "0"
    with Ranks(device) as ranks, torch.random.fork_rng([ranks.device] if ranks.device.type == "cuda" else []):
        going = Run(recipe, corpus, ranks)
        with alone_in(folder) if ranks.first else contextlib.nullcontext():
            _take_up(going, folder, resume)
            _go_on(going, folder, progress and ranks.first)
            return _finish(going, folder) if ranks.first else {}


def _take_up(going: Run, folder: Path, resume: bool) -> None:
    """Restore the newest whole checkpoint, the same in every process, or write the first one."""
    number, found = -1, "some"
    if going.ranks.first:
        path, _, refused = read_newest(folder, "checkpoint")
        if path is not None:
            number = int(path.name.rpartition("-")[2])
        elif refused:
            number = -2
        elif left := _left(folder):
            number, found = -3, left
        for reason in refused:
            warnings.warn(f"{reason}; {path or 'nothing'} is used instead", stacklevel=3)
    number = int(going.ranks.from_first(number))
    if number == -3:
        raise FileExistsError(f"folder: expected one without files of another run, {folder} holds {found}")
    if number == -2:
        raise DamagedFile(f"{folder}: expected a whole checkpoint, found damaged ones only")
    if number == -1:
        _write(going, folder)
        return
    path = folder / f"checkpoint-{number:08d}"
    if not resume:
        raise FileExistsError(f"folder: expected one without a run, or resume; {folder} holds {path.name}")
    going.unpack(*read_pair(path))


def _left(folder: Path) -> str:
    """A file that a run wrote, and this one would take for its own or overwrite; empty where there is none."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    ours = re.compile(r"best-\d{8,}\.json|result\.json")
    return next((name for name in names if ours.fullmatch(name)), "")


def _write(going: Run, folder: Path) -> None:
    tensors, about = going.pack()  # in every process
    if going.ranks.first:
        write_numbered(folder, "checkpoint", going.done, tensors, about, going.recipe.keep)


def _go_on(going: Run, folder: Path, progress: bool) -> None:
    recipe, ranks = going.recipe, going.ranks
    validation = Vocabulary(going.corpus.characters).encode(going.corpus.validation).to(ranks.device)
    rows = max(1, min(32, (validation.shape[0] - 1) // 100))
    with tqdm(total=recipe.updates, initial=going.done, disable=not progress, unit="update") as bar:
        while not going.finished:
            began = time.perf_counter()
            going.update()
            going.seconds += time.perf_counter() - began
            if going.done % recipe.evaluate_every == 0 or going.done == recipe.updates:
                nats = evaluate(going.average, validation, batch_size=rows) if ranks.first else 0.0
                if going.evaluated(ranks.from_first(nats)) and ranks.first:
                    _write_best(going, folder)
            if going.done % recipe.checkpoint_every == 0 or going.finished:
                _write(going, folder)
            if progress:
                _show(bar, going)


def _show(bar: Any, going: Run) -> None:
    rate = bar.format_dict["rate"]  # updates a second, smoothed; the bar adds the time left
    speed = f", {rate * going.characters / going.done:,.0f} characters/s" if rate else ""
    best = f", best {going.best[1]:.3f} on validation text" if going.best else ""
    bar.set_postfix_str(f"loss {going.loss[-1]:.3f} nats{best}{speed}", refresh=False)
    bar.update()


def _write_best(going: Run, folder: Path) -> None:
    assert going.best is not None
    update, nats = going.best
    about = {
        "model": going.model.describe(),
        "recipe": going.recipe.to_dict(),
        "corpus": _described(going.corpus),
        "update": update,
        "validation_nats": nats,
    }
    write_numbered(folder, "best", update, dict(going.average.named_parameters()), about, keep=1)


def _finish(going: Run, folder: Path) -> dict[str, Any]:
    """Score the best model, and store the scores with it and with the recipe."""
    assert going.best is not None
    path = folder / f"best-{going.best[0]:08d}"  # not one of a run that was here before
    pair = read_pair(path)
    going.average.load_state_dict(pair.tensors)
    found = losses_on(going.average, going.corpus.validation)
    result = {
        "recipe": going.recipe.to_dict(),
        "corpus": pair.about["corpus"],
        "parameters": sum(weight.numel() for weight in going.model.parameters()),
        "updates": going.done,
        "stopped_early": going.stopped_early,
        "best_update": pair.about["update"],
        "validation": found,
        "evaluations": [list(each) for each in going.evaluations],
        "last_training_nats": sum(going.loss[-100:]) / len(going.loss[-100:]),
        "seconds": round(going.seconds, 3),
        "characters_per_second": round(going.characters / going.seconds, 1) if going.seconds else None,
        "device": str(going.ranks.device),
        "bfloat16": going.bfloat16,
        "processes": going.ranks.size,
        "threads": torch.get_num_threads(),
        "versions": {
            "unrolled": version("unrolled"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "date": datetime.now(UTC).date().isoformat(),
    }
    write_pair(path, pair.tensors, {**pair.about, "validation": found})
    write_file(folder / "result.json", json.dumps(result, indent=1).encode() + b"\n")
    return result


def _described(corpus: Corpus) -> dict[str, Any]:
    lengths = {split: len(getattr(corpus, split)) for split in ("train", "validation", "test")}
    told = {"name": corpus.name, "source": corpus.source, "licence": corpus.licence}
    return {**told, "characters": lengths, "sha256": fingerprint(corpus)}
