"""Long sweeps whose results chapters draw: each command runs at toy size, resumes, and stored what a reader needs."""

import json
import re

import pytest

from benchmarks import recall_by_window, record

SWEEPS = {recall_by_window.NAME: recall_by_window}


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


def _expected(setting):
    return {
        (start, lag, window)
        for start in recall_by_window.STARTS
        for lag in setting["lags"]
        for window in [*(k for k in setting["windows"] if k <= lag), lag + 1]
    }


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_a_toy_run_stores_every_training_once_and_a_second_runs_none(sweep, folder, monkeypatch):
    result, trained = _run(sweep, folder, monkeypatch)
    keys = [(r["start"], r["lag"], r["window"]) for r in result["runs"]]
    assert len(keys) == len(set(keys)) == len(trained) and set(keys) == _expected(result["setting"])
    assert [path.name for path in folder.iterdir()] == [f"{sweep.NAME}_toy.json"]  # nothing half-written

    again, trained = _run(sweep, folder, monkeypatch)
    assert again == result and trained == []


def test_a_stopped_run_goes_on_where_it_stopped(folder, monkeypatch):
    whole, _ = _run(recall_by_window, folder, monkeypatch)
    stopped = whole | {"runs": whole["runs"][:4]}
    record.save(f"{recall_by_window.NAME}_toy", stopped)
    again, trained = _run(recall_by_window, folder, monkeypatch)
    assert len(trained) == len(whole["runs"]) - 4
    assert again["runs"] == whole["runs"]  # the same seeds give the same numbers


@pytest.mark.parametrize("changed", ["setting", "processor", "versions"])
def test_a_result_from_elsewhere_is_not_mixed_with_a_new_one(changed, folder, monkeypatch):
    whole, _ = _run(recall_by_window, folder, monkeypatch)
    other = {"setting": whole["setting"] | {"updates": 99}, "processor": "another", "versions": {}}
    record.save(f"{recall_by_window.NAME}_toy", whole | {changed: other[changed]})
    again, trained = _run(recall_by_window, folder, monkeypatch)
    assert len(trained) == len(whole["runs"]) and again[changed] == whole[changed]


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_the_stored_result_says_how_it_came_about_and_is_complete(sweep):
    result = record.load(sweep.NAME)
    assert result is not None, f"no stored result: make results runs {sweep.COMMAND}"
    assert result["command"] == sweep.COMMAND and result["setting"] == sweep.FULL
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", result["date"]) and result["processor"].strip()
    assert result["versions"].keys() >= {"python", "torch", "numpy"} and result["cores"] >= 1
    seeds = result["setting"]["seeds"]
    assert len(set(seeds)) == len(seeds) >= 5
    keys = [(r["start"], r["lag"], r["window"]) for r in result["runs"]]
    assert len(keys) == len(set(keys)) and set(keys) == _expected(result["setting"])
    assert all(len(r["accuracy"]) == len(seeds) for r in result["runs"])
    assert all(0 <= accuracy <= 1 for r in result["runs"] for accuracy in r["accuracy"])
    assert (record.FOLDER / f"{sweep.NAME}.json").stat().st_size < 50_000


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
