r"""Who remembers how far? RNN, GRU, LSTM and the LSTM without each gate, at equal parameters and equal updates, by lag.

    python -m benchmarks.sweeps.league          the sweep that chapter 08 draws; about half an hour, and resumable
    python -m benchmarks.sweeps.league --toy    two lags for a few updates: seconds, and no result

Each entry of `runs` is one cell on one task at one lag. Its learning rate is one of the same few for everybody. They
run a race with the seeds of `trial_seeds`: the first whose seeds have all solved the task is taken, and if there is
none the one with most successes on validation examples. Then the `seeds` are trained with it, and they are reported.

Each entry of `pace` is the time of one update of all seeds together. Rounds run the cells one after another, so that
whatever slows the machine slows all of them; times are medians of the rounds, and so are the ratios to the LSTM's.
"""

import dataclasses
import statistics
from typing import Any

from tqdm import tqdm

from benchmarks import record
from benchmarks.sweeps import sweep
from unrolled.probes import CONTENDERS, TASKS, Outcome, Rules, compete, equal_sizes

NAME = "league"
COMMAND = "python -m benchmarks.sweeps.league"
RULES = Rules(updates=1000, batch_size=32, check_every=25, validation=200, held_out=2000, clip_norm=1.0)
FULL: dict[str, Any] = {
    "tasks": list(TASKS),
    "cells": list(CONTENDERS),
    "lags": [5, 10, 20, 40, 80],
    "seeds": list(range(6)),
    "trial_seeds": [100, 101, 102],
    "rates": [0.001, 0.003, 0.01, 0.03],
    "hidden_size": 24,
    "rules": dataclasses.asdict(RULES),
    "pace": {"rounds": 7, "updates": 10},
}
TOY = FULL | {
    "cells": ["RNN", "LSTM", "LSTM without f"],
    "lags": [2, 3],
    "seeds": [0, 1],
    "trial_seeds": [100],
    "rates": [0.01, 0.03],
    "rules": dataclasses.asdict(Rules(updates=4, batch_size=4, check_every=2, validation=20, held_out=40)),
    "pace": {"rounds": 2, "updates": 1},
}
SPREAD = 0.02  # how far parameters may lie from the LSTM's


def run(task: str, cell: str, lag: int, setting: dict[str, Any]) -> dict[str, Any]:
    """Choose the learning rate with the trial seeds, then train the seeds that count."""
    sizes = equal_sizes(task, setting["hidden_size"])
    m, parameters = sizes[cell]
    if abs(parameters / sizes["LSTM"][1] - 1) > SPREAD:
        raise ValueError(
            f"hidden_size: expected {cell} within {SPREAD:.0%} of the LSTM's parameters, got {sizes}"
        )
    rules, trial_seeds, rates = Rules(**setting["rules"]), setting["trial_seeds"], setting["rates"]
    S = len(trial_seeds)
    each = [rate for rate in rates for _ in trial_seeds]
    tried = compete(task, cell, lag, m, trial_seeds * len(rates), each, rules, race=True)
    trials = {
        rate: Outcome(tried.score[i : i + S], tried.updates[i : i + S], tried.seconds)
        for rate, i in zip(rates, range(0, len(each), S), strict=True)
    }
    rate = choose(task, trials)
    score, updates, _ = compete(task, cell, lag, m, setting["seeds"], rate, rules)
    return {
        "task": task,
        "cell": cell,
        "lag": lag,
        "hidden_size": m,
        "parameters": parameters,
        "rate": rate,
        "trials": {str(rate): successes(task, outcome.score) for rate, outcome in trials.items()},
        "score": score,
        "updates": updates,
    }


def successes(task: str, scores: list[float]) -> int:
    """How many scores are a success."""
    return sum(TASKS[task].reaches(score, TASKS[task].success) for score in scores)


def choose(task: str, trials: dict[float, Outcome]) -> float:
    """The rate with most successes; of equals the one with fewest updates; of those the one with the best scores."""
    sign = 1 if TASKS[task].reaches(1, 0) else -1  # whether more is better

    def merit(rate: float) -> tuple[float, ...]:
        outcome = trials[rate]
        return successes(task, outcome.score), -sum(outcome.updates), sign * sum(outcome.score)

    return max(trials, key=merit)


def pace(lag: int, setting: dict[str, Any]) -> list[dict[str, Any]]:
    """How long one update of all seeds takes each cell on delayed recall, in seconds and in the LSTM's updates."""
    task, updates = "delayed recall", setting["pace"]["updates"]
    rules = dataclasses.replace(
        Rules(**setting["rules"]), updates=updates, check_every=updates + 1, held_out=1
    )
    sizes = equal_sizes(task, setting["hidden_size"])
    rounds = [
        {
            cell: compete(task, cell, lag, sizes[cell][0], setting["seeds"], 0.001, rules).seconds
            for cell in setting["cells"]
        }
        for _ in range(setting["pace"]["rounds"])
    ]
    return [
        {
            "cell": cell,
            "lag": lag,
            "seconds": round(statistics.median(each[cell] for each in rounds), 6),
            "to_lstm": round(statistics.median(each[cell] / each["LSTM"] for each in rounds), 3),
        }
        for cell in setting["cells"]
    ]


def main(arguments: list[str] | None = None) -> None:
    """Run what is not stored yet; each finished point is stored at once."""
    limits = {
        task: {"trivial": goal.trivial, "success": goal.success, "enough": goal.enough}
        for task, goal in TASKS.items()
    }
    name, result, executor = sweep.begin(__doc__, arguments, COMMAND, NAME, (FULL, TOY), limits=limits)
    setting = result["setting"]
    result.setdefault("pace", [])
    done = {(r["task"], r["cell"], r["lag"]) for r in result["runs"]}
    todo = [
        (task, cell, lag)
        for lag in setting["lags"]
        for task in setting["tasks"]
        for cell in setting["cells"]
        if (task, cell, lag) not in done
    ]
    record.say(f"{name}: {len(done)} points stored, {len(todo)} to run")
    calls = [(*one, setting) for one in todo]
    for made in tqdm(sweep.each(executor, run, calls), total=len(calls), unit="point"):
        result["runs"].append(made)
        record.save(name, result)
    measured = {p["lag"] for p in result["pace"]}
    for lag in tqdm([lag for lag in setting["lags"] if lag not in measured], unit="lag"):
        result["pace"] += pace(lag, setting)
        record.save(name, result)
    sweep.end(name, executor)


if __name__ == "__main__":
    main()
