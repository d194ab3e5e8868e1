"""What the long sweeps share: their command line, a result that goes on where it stopped, the choice of a rate."""

import argparse
import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import record
from unrolled.data import Vocabulary, python

Run = dict[str, Any]


def begin(
    doc: str | None,
    arguments: list[str] | None,
    command: str,
    name: str,
    settings: tuple[dict[str, Any], dict[str, Any]],
    **about: Any,
) -> tuple[str, dict[str, Any]]:
    """Read the command line, and what is stored.

    Args:
        doc: the module's own docstring, for `--help`.
        arguments: the command line; None takes the process's.
        command: what runs the sweep.
        name: the result's.
        settings: the full one, and the toy's.
        about: what else decides what the runs give, and is stored beside them.

    Returns:
        The result's name, and the result: with the runs so far, which another setting or machine begins anew.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="a toy size, stored under another name")
    toy = parser.parse_args(arguments).toy
    torch.set_num_threads(1)
    name += "_toy" * toy
    fresh = {
        **record.circumstances(command + " --toy" * toy),
        **about,
        "setting": settings[toy],
        "runs": [],
    }
    result = record.load(name) or fresh
    if any(result.get(key) != fresh[key] for key in ("setting", "processor", "versions", *about)):
        result = fresh
    return name, result


def end(name: str) -> None:
    """Say where the result is."""
    record.say(f"stored in {record.FOLDER / f'{name}.json'}")


def chosen(player: str, runs: list[Run], *, label: str, score: str) -> float:
    """The learning rate at which a player has the least loss on the validation text, by the seed of the trials."""
    trials = [each for each in runs if each[label] == player and each["split"] == "validation"]
    return min(trials, key=lambda each: each[score])["rate"]


def over_rates(
    name: str,
    result: dict[str, Any],
    players: Iterable[str],
    run: Callable[[str, float, int, dict[str, Any]], Run],
    *,
    label: str,
    score: str,
) -> None:
    """Run each player at every rate with the trial seed, then at its best one with the seeds that count.

    Each finished training is stored at once; what is stored already is not run again.
    """
    players, setting, runs = list(players), result["setting"], result["runs"]
    done = {(each[label], each["rate"], each["seed"]) for each in runs}
    with tqdm(total=len(players) * len(setting["rates"] + setting["seeds"]), unit="training") as bar:
        for player in players:
            trials = [(rate, setting["trial_seed"]) for rate in setting["rates"]]
            for rate, seed in [*trials, *((None, seed) for seed in setting["seeds"])]:
                rate = chosen(player, runs, label=label, score=score) if rate is None else rate
                if (player, rate, seed) not in done:
                    runs.append(run(player, rate, seed, setting))
                    record.save(name, result)
                bar.update()


@functools.cache
def python_source(characters: int | None) -> tuple[Vocabulary, dict[str, Tensor]]:
    """The vocabulary of the Python corpus, and the numbers of (the first) characters of each split."""
    corpus = python()
    vocabulary = Vocabulary(corpus.characters)
    splits = ("train", "validation", "test")
    return vocabulary, {split: vocabulary.encode(getattr(corpus, split)[:characters]) for split in splits}
