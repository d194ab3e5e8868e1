"""The side-by-side tables run, compare only what is equal, and store what a reader needs to judge them."""

import os

import pytest
import torch

from benchmarks import record
from benchmarks.speed import bptt, lstm
from benchmarks.tries import lstm as lstm_tries
from unrolled.bptt import _products
from unrolled.bptt import lstm as gated_bptt


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


TORCH_COMPILE = {"size": (16, 2, 3)} | {
    name: {"seconds_to_compile": 20.0, "to_hand": 0.5} for name in ("forward", "backward")
}


def test_the_lstms_table_runs_and_leaves_the_library_as_it_was(small, capsys, monkeypatch):
    monkeypatch.setattr(lstm, "by_torchs_compiler", lambda budget: TORCH_COMPILE)
    before = gated_bptt._ROWS, gated_bptt.adding_product, _products._packs, _products._WORTH_PACKING
    monkeypatch.setenv("UNROLLED_COMPILE", "0")
    result = lstm.main(budget=0.01)
    (row,) = result["rows"]
    assert row["rounds"] >= 15 and row["hand_to_torch"] > 0 and row["hand_to_loop_bytes"] <= 1
    assert all(f"{name}_to_torch" in row for name in lstm.CHANGES) and "halves_to_torch" not in row
    assert capsys.readouterr().out.count("| 1 | 6, 2, 3, 4 |") == 2  # what is, and what was tried
    after = gated_bptt._ROWS, gated_bptt.adding_product, _products._packs, _products._WORTH_PACKING
    assert after == before and os.environ["UNROLLED_COMPILE"] == "0"
    for name in lstm.CHANGES:  # a machine that can't run one
        del row[f"{name}_to_torch"]
    assert "**–**" in lstm.table(result)


@pytest.mark.parametrize("name", lstm.CHANGES)
def test_a_change_is_in_force_while_it_is_tried(name, monkeypatch):
    """And the gradients stay what they are: `Case.check` compares them."""
    seen = []
    case = lstm.Case(6, 2, 3, 4)
    monkeypatch.delenv("UNROLLED_COMPILE", raising=False)

    def state():
        packs = _products._packs() and _products._WORTH_PACKING == 0
        return os.environ.get("UNROLLED_COMPILE"), gated_bptt._ROWS, gated_bptt.adding_product, packs

    monkeypatch.setattr(case, "hand_step", lambda: seen.append(state()))
    case.with_change(lstm.CHANGES[name])()
    case.hand_step()
    changed = [a != b for a, b in zip(*seen, strict=True)]
    assert changed == [name == each for each in ("compiled", "one_stretch", "mkl_packed", "onednn_packed")]


def test_torchs_compiler_is_given_the_librarys_own_steps(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    for _, theirs, ours in lstm_tries.compiled_by_torch(5, 2, 3).values():
        for a, b in zip(theirs(), ours(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    figures = lstm.by_torchs_compiler(0.001, n=3, B=2, m=3)
    assert figures["size"] == (3, 2, 3) and all(
        figures[each]["to_hand"] > 0 for each in ("forward", "backward")
    )


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
