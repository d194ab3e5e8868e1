"""A sweep on the workers of a cluster stores what one process stores."""

import json
import os

import pytest

from benchmarks import record
from benchmarks.sweeps import league, league_text, recall_by_window, sweep
from conftest import ROOT


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of two workers, each a process of its own that finds the project as this one does."""
    distributed = pytest.importorskip("distributed")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster:
            yield cluster.scheduler_address
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def stored(command, folder, monkeypatch, *options):
    monkeypatch.setattr(record, "FOLDER", folder)
    command.main(["--toy", *options])
    result = json.loads((folder / f"{command.NAME}_toy.json").read_text(encoding="utf-8"))
    return {name: value for name, value in result.items() if name not in ("date", "pace")}  # pace is seconds


@pytest.mark.parametrize("command", [recall_by_window, league, league_text], ids=lambda command: command.NAME)
def test_a_cluster_stores_what_one_process_stores(command, scheduler, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = stored(command, tmp_path / "here", monkeypatch)
    there = stored(command, tmp_path / "there", monkeypatch, "--scheduler", scheduler)
    assert here == there and here["runs"]


def test_a_scheduler_that_is_none_is_told():
    with pytest.raises(
        SystemExit, match="--scheduler: expected the address of a Dask scheduler, got nowhere"
    ):
        sweep._cluster("nowhere")


def test_what_one_player_did_stands_together_trials_first(tmp_path, monkeypatch):
    runs = stored(league_text, tmp_path, monkeypatch)["runs"]
    order = [(league_text.FULL["cells"].index(one["cell"]), one["split"] == "test") for one in runs]
    assert order == sorted(order)
