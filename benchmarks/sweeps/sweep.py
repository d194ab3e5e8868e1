"""What the long sweeps share: their command line, a result that goes on where it stopped, the choice of a rate."""

import argparse
import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
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
) -> tuple[str, dict[str, Any], Executor | None]:
    """Read the command line, and what is stored.

    Args:
        doc: the module's own docstring, for `--help`.
        arguments: the command line; None takes the process's.
        command: what runs the sweep.
        name: the result's.
        settings: the full one, and the toy's.
        about: what else decides what the runs give, and is stored beside them.

    Returns:
        The result's name; the result, with the runs so far, which another setting or machine begins anew; and what runs
        trainings side by side, None where they run here one after another.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="a toy size, stored under another name")
    parser.add_argument("--scheduler", help="Dask's, such as tcp://host:8786: its workers train side by side")
    given = parser.parse_args(arguments)
    toy = given.toy
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
    return name, result, None if given.scheduler is None else _cluster(given.scheduler)


def _cluster(scheduler: str) -> Executor:
    """The workers of a cluster, as an executor."""
    try:
        from distributed import Client
    except ImportError as error:
        raise SystemExit(
            "--scheduler: expected Dask to be installed: pip install 'unrolled[cluster]'"
        ) from error
    try:
        client = Client(scheduler, timeout=30)
    except (OSError, ValueError) as error:
        raise SystemExit(
            f"--scheduler: expected the address of a Dask scheduler, got {scheduler} ({error})"
        ) from error
    return client.get_executor(pure=False)


def each(
    executor: Executor | None, function: Callable[..., Any], todo: list[tuple[Any, ...]]
) -> Iterator[Any]:
    """What each call gives, in the order of the calls.

    Args:
        executor: what runs them; None calls them here, each when the one before has been taken.
        function: called with the arguments of each; a worker finds it by its module and name.
        todo: the arguments.
    """
    if executor is None:
        return (function(*arguments) for arguments in todo)
    return iter(executor.map(_alone, [function] * len(todo), todo))


def _alone(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """On a worker: with one thread, as here, so that the numbers are the same."""
    torch.set_num_threads(1)
    return function(*arguments)


def end(name: str, executor: Executor | None) -> None:
    """Say where the result is, and let the cluster go."""
    if executor is not None:
        executor.shutdown()
    record.say(f"stored in {record.FOLDER / f'{name}.json'}")


def chosen(player: str, runs: list[Run], *, label: str, score: str) -> float:
    """The learning rate at which a player has the least loss on the validation text, by the seed of the trials."""
    trials = [one for one in runs if one[label] == player and one["split"] == "validation"]
    return min(trials, key=lambda one: one[score])["rate"]


def over_rates(
    name: str,
    result: dict[str, Any],
    players: Iterable[str],
    run: Callable[[str, float, int, dict[str, Any]], Run],
    executor: Executor | None,
    *,
    label: str,
    score: str,
) -> None:
    """Run each player at every rate with the trial seed, then at its best one with the seeds that count.

    Each finished training is stored at once; what is stored already is not run again.
    """
    players, setting, runs = list(players), result["setting"], result["runs"]
    trial, best = setting["trial_seed"], functools.partial(chosen, runs=runs, label=label, score=score)

    def place(one: Run) -> tuple[int, int]:
        seed = one["seed"]
        number = setting["rates"].index(one["rate"]) if seed == trial else setting["seeds"].index(seed)
        return players.index(one[label]), number + (seed != trial) * len(setting["rates"])

    with tqdm(total=len(players) * len(setting["rates"] + setting["seeds"]), unit="training") as bar:
        for finals in (False, True):
            wanted = [
                (player, rate, seed)
                for player in players
                for rate, seed in (
                    [(best(player), seed) for seed in setting["seeds"]]
                    if finals
                    else [(rate, trial) for rate in setting["rates"]]
                )
            ]
            done = {(one[label], one["rate"], one["seed"]) for one in runs}
            todo = [(*one, setting) for one in wanted if one not in done]
            bar.update(len(wanted) - len(todo))
            for made in each(executor, run, todo):
                runs.append(made)
                runs.sort(key=place)
                record.save(name, result)
                bar.update()


@functools.cache
def python_source(characters: int | None) -> tuple[Vocabulary, dict[str, Tensor]]:
    """The vocabulary of the Python corpus, and the numbers of (the first) characters of each split."""
    corpus = python()
    vocabulary = Vocabulary(corpus.characters)
    splits = ("train", "validation", "test")
    return vocabulary, {split: vocabulary.encode(getattr(corpus, split)[:characters]) for split in splits}
