"""Runs that are stopped at any moment and go on to the same bits; folders that hold something else."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_run import TOY, assert_same_bits, stopped, tensors_of

from conftest import ROOT
from unrolled.models import DamagedFile, read_model
from unrolled.training import (
    Recipe,
    open_corpus,
    run,
    runs,
    stored_recipe,
)
from unrolled.training._lock import alone_in

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "rnn", "embedding_size": None, "warmup": 0},
        {"cell": "lstm", "num_layers": 2, "dropout": 0.3, "average": 0.9, "restarts": 0.3},
        {"cell": "gru", "embedding_size": 8, "tied": True, "dropout": 0.5, "schedule": "linear"},
        {"precision": "bfloat16", "clip_norm": None, "patience": 5},
    ],
    ids=lambda change: change.get("cell", change.get("precision")),
)
@pytest.mark.parametrize("after", [2, 6, 11])
def test_a_run_that_goes_on_ends_in_the_same_bits(change, after, tmp_path, monkeypatch):
    recipe = dataclasses.replace(TOY, **change)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    whole = run(recipe, tmp_path / "whole", progress=False)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's generator is left as it was
    stopped(recipe, tmp_path / "stopped", after, monkeypatch)
    torch.manual_seed(99)
    again = run(recipe, tmp_path / "stopped", resume=True, progress=False)
    assert_same_bits(tensors_of(tmp_path / "whole"), tensors_of(tmp_path / "stopped"))
    assert again["validation"] == whole["validation"] and again["evaluations"] == whole["evaluations"]
    assert_same_bits(read_model(tmp_path / "whole").tensors, read_model(tmp_path / "stopped").tensors)


def test_a_finished_run_goes_on_to_the_same_end(tmp_path):
    first = run(TOY, tmp_path, progress=False)
    tensors = tensors_of(tmp_path)
    again = run(TOY, tmp_path, resume=True, progress=False)
    assert again == first
    assert_same_bits(tensors, tensors_of(tmp_path))


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_used(suffix, tmp_path, monkeypatch):
    run(TOY, tmp_path / "whole", progress=False)
    stopped(TOY, tmp_path / "stopped", 10, monkeypatch)
    damaged = tmp_path / "stopped" / f"checkpoint-00000008.{suffix}"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.warns(
        UserWarning, match=rf"{damaged.name}: expected .*; .*checkpoint-00000004 is used instead"
    ):
        run(TOY, tmp_path / "stopped", resume=True, progress=False)
    assert_same_bits(tensors_of(tmp_path / "whole"), tensors_of(tmp_path / "stopped"))


def test_damaged_checkpoints_only_are_an_error_and_never_a_fresh_start(tmp_path, monkeypatch):
    stopped(TOY, tmp_path, 6, monkeypatch)
    for file in tmp_path.glob("checkpoint-*.safetensors"):
        file.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="expected .* bytes, got 0"),
        pytest.raises(DamagedFile, match="damaged ones only"),
    ):
        run(TOY, tmp_path, resume=True, progress=False)
    with pytest.raises(DamagedFile, match=r"checkpoint-00000004\.safetensors"):
        stored_recipe(tmp_path)


def test_a_folder_with_a_run_is_not_written_over_unasked(tmp_path):
    run(TOY, tmp_path, progress=False)
    with pytest.raises(
        FileExistsError, match=r"folder: expected one without a run, or resume; .* checkpoint-00000013"
    ):
        run(TOY, tmp_path, progress=False)


def test_another_recipe_or_text_is_refused_by_name(tmp_path, monkeypatch):
    stopped(TOY, tmp_path, 6, monkeypatch)
    assert stored_recipe(tmp_path) == TOY and stored_recipe(tmp_path / "none") is None
    with pytest.raises(
        ValueError, match=r"learning_rate: expected 0\.003, with which this run began, got 0\.1"
    ):
        run(dataclasses.replace(TOY, learning_rate=0.1), tmp_path, resume=True, progress=False)
    changed = dataclasses.replace(open_corpus("hello"), train="hello" * 199 + "hella"[:4] + "e")
    monkeypatch.setattr(runs, "open_corpus", lambda name: changed)
    with pytest.raises(
        ValueError, match="corpus: expected the text this run began with, got another: hello has changed"
    ):
        run(TOY, tmp_path, resume=True, progress=False)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork are POSIX")
def test_killed_at_twenty_random_moments_it_ends_in_the_same_bits(tmp_path):
    recipe = dataclasses.replace(
        TOY, hidden_size=12, num_layers=2, dropout=0.2, average=0.9, updates=500, num_steps=8, evaluate_every=25,
        checkpoint_every=10, warmup=100,
    )  # fmt: skip
    run(recipe, tmp_path / "whole", progress=False)
    options = []
    for name, value in recipe.to_dict().items():
        if value != getattr(Recipe(), name):
            options += ["--" + name.replace("_", "-"), str(value)]
    command = [
        sys.executable,
        str(ROOT / "tests/training/killed_run.py"),
        str(tmp_path),
        "20",
        "0.1",
        *options,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["began"]) == 20 and len(set(told["began"])) > 3, told
    assert set(told["codes"]) == {0}, done.stderr
    for folder in told["runs"]:
        assert_same_bits(tensors_of(tmp_path / "whole"), tensors_of(folder))
        assert_same_bits(read_model(tmp_path / "whole").tensors, read_model(folder).tensors)
        assert not list(Path(folder).glob(".*"))  # nothing half-written is left


@pytest.mark.parametrize("resume", [False, True])
def test_what_is_left_of_another_run_is_never_taken_for_this_one(resume, tmp_path, plain_errors):
    run(TOY, tmp_path / "run", progress=False)
    for file in (tmp_path / "run").glob("checkpoint-*"):
        file.unlink()
    with pytest.raises(
        FileExistsError, match=r"folder: expected one without files of another run, .* holds best-\d+"
    ):
        run(TOY, tmp_path / "run", resume=resume, progress=False)


def test_a_readers_own_files_in_a_runs_folder_stay(tmp_path):
    own = ["checkpoint-500.safetensors", "best-7.safetensors", ".best-notes.partial", "notes.txt"]
    for name in own:
        (tmp_path / name).write_text("mine", encoding="utf-8")
    run(TOY, tmp_path, progress=False)
    assert all((tmp_path / name).read_text(encoding="utf-8") == "mine" for name in own)


def test_two_runs_never_write_in_one_folder(tmp_path, plain_errors):
    with (
        alone_in(tmp_path),
        pytest.raises(FileExistsError, match="folder: expected one that nobody trains in"),
    ):
        run(TOY, tmp_path, progress=False)
