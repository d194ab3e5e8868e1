"""The league on language is fair, resumes where it stopped, and stored what a reader needs."""

import json

import pytest

from benchmarks import record
from benchmarks.sweeps import league_text
from benchmarks.sweeps.league_text import FULL, TOY, chosen, parameters, run, size
from unrolled.models import CELLS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Results go here, so that a test never touches a stored one."""
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    return tmp_path


def _toy(folder):
    league_text.main(["--toy"])
    return json.loads((folder / "league_text_toy.json").read_text(encoding="utf-8"))


def _keys(runs):
    return [(each["cell"], each["rate"], each["seed"]) for each in runs]


def test_a_stopped_run_goes_on_where_it_stopped(folder, monkeypatch):
    whole, trained = _toy(folder), []
    record.save("league_text_toy", whole | {"runs": whole["runs"][:5]})
    monkeypatch.setattr(league_text, "run", lambda *arguments: trained.append(arguments) or run(*arguments))
    assert _toy(folder) == whole  # the same seeds give the same numbers
    assert len(trained) == len(whole["runs"]) - 5
    assert len(set(_keys(whole["runs"]))) == len(whole["runs"]) == 3 * (2 + 2)
    record.save("league_text_toy", whole | {"processor": "another"})  # is begun anew
    assert _toy(folder) == whole and len(trained) == 2 * len(whole["runs"]) - 5


def test_what_is_finished_is_stored_before_a_stop(folder, monkeypatch):
    finished = []

    def stopping(*arguments):
        if len(finished) == 2:
            raise KeyboardInterrupt
        finished.append(run(*arguments))
        return finished[-1]

    monkeypatch.setattr(league_text, "run", stopping)
    with pytest.raises(KeyboardInterrupt):
        league_text.main(["--toy"])
    assert record.load("league_text_toy")["runs"] == finished


def test_the_rate_is_chosen_on_the_validation_text_alone():
    runs = [
        {"cell": cell, "rate": rate, "split": split, "bits": bits}
        for cell, rate, split, bits in (
            ("gru", 0.1, "validation", 3.0), ("gru", 0.2, "validation", 2.0), ("gru", 0.1, "test", 1.0),
            ("rnn", 0.1, "validation", 1.5),
        )
    ]  # fmt: skip
    assert chosen("gru", runs) == 0.2


def test_the_trial_seed_never_reads_the_test_text(monkeypatch):
    read = []
    monkeypatch.setattr(league_text, "evaluate", lambda model, ids, **_: read.append(ids) or 1.0)
    ids = league_text.python_source(TOY["characters"])[1]
    for seed, split in ((TOY["trial_seed"], "validation"), (0, "test")):
        assert run("gru", 0.01, seed, TOY)["split"] == split
        assert read[-1] is ids[split]


def test_parameters_agree_within_two_per_cent_and_no_other_size_is_nearer():
    wanted = parameters("lstm", FULL["hidden_size"])
    for cell in CELLS:
        m = size(cell, FULL["hidden_size"])
        gaps = [abs(parameters(cell, other) - wanted) for other in (m - 1, m, m + 1)]
        assert min(gaps) == gaps[1] <= league_text.SPREAD * wanted
    with pytest.raises(ValueError, match="hidden_size: expected rnn within 2% of the LSTM's parameters, got"):
        run("rnn", 0.01, 0, TOY | {"hidden_size": 3})


def test_the_stored_result_says_how_it_came_about_and_is_complete_and_fair():
    result = record.load("league_text")
    assert result is not None, f"no stored result: make results runs {league_text.COMMAND}"
    assert result["command"] == league_text.COMMAND and result["setting"] == FULL
    assert {"date", "processor", "cores", "versions"} <= result.keys()
    assert len(set(FULL["seeds"])) >= 5 and FULL["trial_seed"] not in FULL["seeds"]
    runs = result["runs"]
    for cell in FULL["cells"]:
        own = [each for each in runs if each["cell"] == cell]
        trials = [each for each in own if each["split"] == "validation"]
        assert sorted(each["rate"] for each in trials) == FULL["rates"]
        counted = [each for each in own if each["split"] == "test"]
        assert [each["seed"] for each in counted] == FULL["seeds"]
        assert {each["rate"] for each in counted} == {chosen(cell, runs)}
        assert {each["parameters"] for each in own} == {parameters(cell, size(cell, FULL["hidden_size"]))}
        assert all(0 < each["bits"] < 6.6 for each in counted)  # log2 of 97 is what guessing needs
