"""The side-by-side tables run, compare only what is equal, and store what a reader needs to judge them."""

import pytest
import torch

from benchmarks import bptt, lstm, record


@pytest.fixture
def small(monkeypatch, tmp_path):
    for benchmark in (bptt, lstm):
        monkeypatch.setattr(benchmark, "SIZES", ((6, 2, 3, 4),))
        monkeypatch.setattr(benchmark, "THREADS", (1,))
    monkeypatch.setattr(record, "FOLDER", tmp_path)


def test_bptt_table_runs_and_is_stored(small, capsys):
    result = bptt.main(budget=0.01)
    (row,) = result["rows"]
    assert row["rounds"] >= 15 and row["hand_to_torch"] > 0 and row["hand_to_loop_bytes"] <= 1.05
    assert "| 1 | 6, 2, 3, 4 |" in capsys.readouterr().out
    record.save("bptt", result)
    stored = record.load("bptt")
    assert stored["rows"][0]["size"] == [6, 2, 3, 4]
    assert {"command", "date", "processor", "cores", "versions"} <= stored.keys()
    assert stored["versions"]["torch"] == torch.__version__


def test_the_lstms_table_runs_and_leaves_the_stretches_as_they_were(small, capsys):
    before = lstm.gated_bptt._ROWS
    (row,) = lstm.main(budget=0.01)["rows"]
    assert row["rounds"] >= 15 and row["hand_to_torch"] > 0 and row["hand_to_loop_bytes"] <= 1
    assert "| 1 | 6, 2, 3, 4 |" in capsys.readouterr().out
    assert lstm.gated_bptt._ROWS == before


@pytest.mark.parametrize("benchmark, weight", [(bptt, "W_hh"), (lstm, "W_h")])
def test_nothing_is_timed_that_is_not_equal(small, benchmark, weight):
    case = benchmark.Case(6, 2, 3, 4)
    case.check()
    with torch.no_grad():
        getattr(case.cell, weight).mul_(1.01)
    with pytest.raises(AssertionError):
        case.check()


def test_a_storage_counts_once():
    x = torch.randn(10, requires_grad=True)
    assert bptt.stored(lambda: x * x) == 40
    assert bptt.stored(lambda: x.view(2, 5)[0].exp() * x[5:]) == 40 + 20


def test_a_stop_while_storing_leaves_the_last_whole_result(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    record.save("a", {"value": 1})
    with pytest.raises(TypeError):
        record.save("a", {"value": object()})
    assert record.load("a") == {"value": 1} and record.load("b") is None
