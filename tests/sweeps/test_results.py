"""Long sweeps whose results chapters draw: each command runs at toy size, resumes, and stored what a reader needs."""

import json
import re

import pytest

from benchmarks import record
from benchmarks.sweeps import league, recall_by_window
from unrolled.probes import CONTENDERS, TASKS, Outcome, Rules, compete

SWEEPS = {sweep.NAME: sweep for sweep in (recall_by_window, league)}
# What tells one training of a sweep from another, and where its scores stand.
KEYS = {recall_by_window: ("start", "lag", "window"), league: ("task", "cell", "lag")}
SCORES = {recall_by_window: "accuracy", league: "score"}
each_sweep = pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Results go here, so that a test never touches a stored one."""
    monkeypatch.setattr(record, "FOLDER", tmp_path / "results")
    return tmp_path / "results"


def _run(sweep, folder, monkeypatch):
    """One toy run: what it stored, and how many trainings it ran."""
    trained = []
    original = sweep.run

    def counting(*arguments):
        trained.append(arguments[:3])
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "run", counting)
        sweep.main(["--toy"])
    return json.loads((folder / f"{sweep.NAME}_toy.json").read_text(encoding="utf-8")), trained


def _keys(sweep, result):
    return [tuple(run[part] for part in KEYS[sweep]) for run in result["runs"]]


def _expected(sweep, setting):
    if sweep is league:
        return {
            (task, cell, lag)
            for task in setting["tasks"]
            for cell in setting["cells"]
            for lag in setting["lags"]
        }
    return {
        (start, lag, window)
        for start in recall_by_window.STARTS
        for lag in setting["lags"]
        for window in [*(k for k in setting["windows"] if k <= lag), lag + 1]
    }


@each_sweep
def test_a_toy_run_stores_every_training_once_and_a_second_runs_none(sweep, folder, monkeypatch):
    result, trained = _run(sweep, folder, monkeypatch)
    keys = _keys(sweep, result)
    assert len(keys) == len(set(keys)) == len(trained) and set(keys) == _expected(sweep, result["setting"])
    assert [path.name for path in folder.iterdir()] == [f"{sweep.NAME}_toy.json"]  # nothing half-written

    again, trained = _run(sweep, folder, monkeypatch)
    assert again == result and trained == []


@each_sweep
def test_a_stopped_run_goes_on_where_it_stopped(sweep, folder, monkeypatch):
    whole, _ = _run(sweep, folder, monkeypatch)
    stopped = whole | {"runs": whole["runs"][:4]}
    record.save(f"{sweep.NAME}_toy", stopped)
    again, trained = _run(sweep, folder, monkeypatch)
    assert len(trained) == len(whole["runs"]) - 4
    assert again["runs"] == whole["runs"]  # the same seeds give the same numbers


@each_sweep
def test_what_is_finished_is_stored_before_a_stop(sweep, folder, monkeypatch):
    original, trained = sweep.run, []

    def stopping(*arguments):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(sweep, "run", stopping)
    with pytest.raises(KeyboardInterrupt):
        sweep.main(["--toy"])
    assert len(record.load(f"{sweep.NAME}_toy")["runs"]) == 2


@pytest.mark.parametrize("changed", ["setting", "processor", "versions", "about"])
@each_sweep
def test_a_result_from_elsewhere_is_not_mixed_with_a_new_one(sweep, changed, folder, monkeypatch):
    whole, _ = _run(sweep, folder, monkeypatch)
    other = {"setting": whole["setting"] | {"updates": 99}, "processor": "another", "versions": {}}
    if changed == "about":  # what a sweep has beside its setting
        (changed,) = {"chance", "limits"} & whole.keys()
        other[changed] = None
    record.save(f"{sweep.NAME}_toy", whole | {changed: other[changed]})
    again, trained = _run(sweep, folder, monkeypatch)
    assert len(trained) == len(whole["runs"]) and again[changed] == whole[changed]


@each_sweep
def test_the_stored_result_says_how_it_came_about_and_is_complete(sweep):
    result = record.load(sweep.NAME)
    assert result is not None, f"no stored result: make results runs {sweep.COMMAND}"
    assert result["command"] == sweep.COMMAND and result["setting"] == sweep.FULL
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", result["date"]) and result["processor"].strip()
    assert result["versions"].keys() >= {"python", "torch", "numpy"} and result["cores"] >= 1
    seeds = result["setting"]["seeds"]
    assert len(set(seeds)) == len(seeds) >= 5
    keys = _keys(sweep, result)
    assert len(keys) == len(set(keys)) and set(keys) == _expected(sweep, result["setting"])
    scores = [run[SCORES[sweep]] for run in result["runs"]]
    assert all(len(each) == len(seeds) for each in scores)
    assert all(0 <= score <= 1 for each in scores for score in each)
    assert (record.FOLDER / f"{sweep.NAME}.json").stat().st_size < 100_000


def test_a_window_that_covers_the_sequence_has_the_whole_gradient():
    """So that one training stands for every window above the lag."""
    setting = recall_by_window.TOY
    one, more = (recall_by_window.run("orthogonal", 3, window, setting) for window in (4, 40))
    assert one == more


def test_symbols_before_the_window_are_never_learned_to_be_written():
    setting = recall_by_window.TOY | {"updates": 2}
    kept = {}
    original = recall_by_window.stack_seeds

    for window in (3, 4):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                recall_by_window,
                "stack_seeds",
                lambda *a, window=window: kept.setdefault(window, original(*a)),
            )
            recall_by_window.run("uniform", 3, window, setting)
    fresh = original(lambda: recall_by_window.build("uniform", setting["hidden_size"]), setting["seeds"])
    symbols = [
        model.rnn.cells[0].W_xh[..., : recall_by_window.RECALL_SYMBOLS] for model in (kept[3], kept[4], fresh)
    ]
    assert (symbols[0] == symbols[2]).all() and not (symbols[1] == symbols[2]).all()


def test_the_league_that_is_stored_was_fair():
    result = record.load("league")
    setting, runs = result["setting"], result["runs"]
    assert setting["tasks"] == list(TASKS) and setting["cells"] == list(CONTENDERS)
    assert not set(setting["seeds"]) & set(setting["trial_seeds"])
    parameters = {(run["task"], run["cell"]): run["parameters"] for run in runs}
    for (task, _), count in parameters.items():
        assert abs(count / parameters[task, "LSTM"] - 1) <= league.SPREAD
    for run in runs:
        assert run["rate"] in setting["rates"] and list(run["trials"]) == list(map(str, setting["rates"]))
        assert run["trials"][str(run["rate"])] == max(run["trials"].values())  # chosen by the trial seeds
        assert all(1 <= updates <= setting["rules"]["updates"] for updates in run["updates"])
    paced = {(each["cell"], each["lag"]) for each in result["pace"]}
    assert paced == {(cell, lag) for cell in setting["cells"] for lag in setting["lags"]}
    assert all(each["to_lstm"] == 1 for each in result["pace"] if each["cell"] == "LSTM")


def test_one_point_of_the_stored_league_comes_out_again():
    result = record.load("league")
    run = next(r for r in result["runs"] if (r["task"], r["cell"], r["lag"]) == ("temporal order", "GRU", 5))
    rules = Rules(**result["setting"]["rules"])
    outcome = compete(
        run["task"],
        run["cell"],
        run["lag"],
        run["hidden_size"],
        result["setting"]["seeds"],
        run["rate"],
        rules,
    )
    assert league.successes(run["task"], outcome.score) == league.successes(run["task"], run["score"])


def test_the_rate_is_chosen_by_successes_then_updates_then_scores():
    many, fast = Outcome([0.96, 0.97], [90, 90], 1.0), Outcome([0.99, 0.5], [10, 10], 1.0)
    assert league.choose("delayed recall", {0.1: fast, 0.2: many}) == 0.2
    assert league.choose("delayed recall", {0.1: many, 0.2: many._replace(updates=[50, 50])}) == 0.2
    low, high = Outcome([0.3, 0.3], [90, 90], 1.0), Outcome([0.4, 0.4], [90, 90], 1.0)
    assert league.choose("temporal order", {0.1: low, 0.2: high}) == 0.2
    assert league.choose("adding", {0.1: high, 0.2: low}) == 0.2  # an error: less is better


def test_a_cell_of_another_size_is_not_let_in():
    """Three units can't be matched within 2 % by every cell."""
    with pytest.raises(ValueError, match="hidden_size: expected GRU within 2% of the LSTM's parameters, got"):
        league.run("adding", "GRU", 2, league.TOY | {"hidden_size": 3})
