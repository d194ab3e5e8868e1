"""The sweep that chapter 09 draws: one change at a time, and equal sizes; it resumes, and stored what it took."""

import itertools
import json
import re

import pytest
import torch

from benchmarks import record
from benchmarks.sweeps import ladder
from unrolled.data import Vocabulary
from unrolled.training import Recipe


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Results go here, so that a test never touches a stored one."""
    monkeypatch.setattr(record, "FOLDER", tmp_path / "results")
    return tmp_path / "results"


def _keys(result):
    return [(run["entry"], run["rate"], run["seed"]) for run in result["runs"]]


def _toy(folder):
    ladder.main(["--toy"])
    return json.loads((folder / "ladder_toy.json").read_text(encoding="utf-8"))


def test_a_toy_run_stores_every_training_once_and_a_stopped_one_goes_on(folder, monkeypatch):
    whole = _toy(folder)
    keys, setting = _keys(whole), whole["setting"]
    each = len(setting["rates"]) + len(setting["seeds"])
    assert len(keys) == len(set(keys)) == each * len(ladder.ENTRIES)
    record.save("ladder_toy", whole | {"runs": whole["runs"][:5]})
    trained = []
    original = ladder.train
    monkeypatch.setattr(ladder, "train", lambda *given: trained.append(given) or original(*given))
    assert _toy(folder)["runs"] == whole["runs"] and len(trained) == len(keys) - 5
    assert [path.name for path in folder.iterdir()] == ["ladder_toy.json"]  # nothing half-written


def test_a_result_from_elsewhere_is_not_mixed_with_a_new_one(folder):
    whole = _toy(folder)
    record.save("ladder_toy", whole | {"processor": "another", "runs": whole["runs"][:5]})
    assert len(_toy(folder)["runs"]) == len(whole["runs"])


def test_each_rung_changes_one_thing():
    options = list(ladder.RUNGS.values())
    for before, after in itertools.pairwise(options):
        assert sum(before[name] != after[name] for name in before) == 1


def test_networks_of_equal_size_are_equal_within_one_per_cent():
    setting = ladder.FULL
    last = ladder._parameters("state carried", setting["hidden_size"], setting)
    for entry in ladder.DEPTHS:
        count = ladder._parameters(entry, ladder.size(entry, setting), setting)
        assert abs(count / last - 1) < 0.01, entry
    assert {options["carried"] for options in ladder.DEPTHS.values()} == {True}


def test_sizes_are_found_without_touching_the_text():
    ladder.python_source.cache_clear()
    ladder.size("LSTM, 1", ladder.TOY)
    assert all(ids.device.type == "cpu" for ids in ladder.python_source(ladder.TOY["characters"])[1].values())


@pytest.mark.parametrize("entry", ["embedding", "state carried"])
def test_the_state_is_carried_where_it_says_so(entry, monkeypatch):
    """In order and from the state before, or anywhere and from zeros."""
    given = []
    forward = ladder.CharacterModel.forward

    def seen(self, ids, state=None):
        given.append((ids, state))
        return forward(self, ids, state)

    monkeypatch.setattr(ladder.CharacterModel, "forward", seen)
    ladder.train(entry, 0.005, 0, ladder.TOY)
    states = [state for _, state in given]
    assert states[0] is None and all(
        (state is not None) == (entry == "state carried") for state in states[1:]
    )
    ids = ladder.python_source(ladder.TOY["characters"])[1]["train"]
    first = ids.unfold(0, 10, 1)
    starts = [int((first == x[0]).all(dim=1).nonzero()[0]) for x, _ in given]
    assert (starts == [0, 10, 20]) == (entry == "state carried")
    if entry == "state carried":
        assert not any(part.requires_grad for state in states[1:] for layer in state for part in layer)


def test_the_rate_is_chosen_by_the_trial_seed_on_the_validation_text():
    runs = [
        {"entry": "a", "rate": 0.1, "split": "validation", "carried": 2.0},
        {"entry": "a", "rate": 0.2, "split": "validation", "carried": 1.0},
        {"entry": "a", "rate": 0.1, "split": "test", "carried": 0.1},
        {"entry": "b", "rate": 0.3, "split": "validation", "carried": 0.5},
    ]
    assert ladder.chosen("a", runs) == 0.2


def test_the_stored_result_says_how_it_came_about_and_is_complete():
    result = record.load("ladder")
    assert result is not None, f"no stored result: make results runs {ladder.COMMAND}"
    assert result["command"] == ladder.COMMAND and result["setting"] == ladder.FULL
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", result["date"]) and result["processor"].strip()
    assert result["versions"].keys() >= {"python", "torch", "numpy"} and result["cores"] >= 1
    setting, keys = result["setting"], _keys(result)
    assert len(keys) == len(set(keys))
    for entry in ladder.ENTRIES:
        rate = ladder.chosen(entry, result["runs"])
        assert {key for key in keys if key[0] == entry} == {
            *((entry, each, setting["trial_seed"]) for each in setting["rates"]),
            *((entry, rate, seed) for seed in setting["seeds"]),
        }
    splits = {(run["seed"] == setting["trial_seed"], run["split"]) for run in result["runs"]}
    assert splits == {(True, "validation"), (False, "test")}
    assert all(1 < run["carried"] < run["windows"] < 3 for run in result["runs"])
    assert (record.FOLDER / "ladder.json").stat().st_size < 100_000


def test_the_step_size_is_the_recipes_and_the_gradient_is_clipped(monkeypatch):
    rates, norms = [], []
    setting = ladder.TOY | {"clip_norm": 0.01}

    class Watched(torch.optim.Adam):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            gradients = [weight.grad for group in self.param_groups for weight in group["params"]]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))
            return super().step(closure)

    monkeypatch.setattr(ladder.torch.optim, "Adam", Watched)
    model = ladder.train("LSTM", 0.01, 0, setting)
    assert isinstance(model.vocabulary, Vocabulary)
    recipe = Recipe(
        updates=setting["updates"], learning_rate=0.01, warmup=setting["warmup"], floor=setting["floor"]
    )
    assert rates == [recipe.rate(update) for update in range(1, setting["updates"] + 1)]
    assert norms == pytest.approx([0.01] * setting["updates"], rel=1e-3)
