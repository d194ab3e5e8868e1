"""A class graded as a whole, and the tables that are printed of it: what is told is what happened, nothing is left."""

import csv
import itertools
import json
import subprocess
import sys

import pytest
import tables
from broken import BROKEN

from benchmarks import record
from benchmarks.speed import grading
from tools import homework as build

needs_sandbox = pytest.mark.usefixtures("works")


@needs_sandbox
def test_a_small_class_is_graded_and_leaves_nothing_behind():
    """Honest, wrong, hostile and broken: each earns what it must, and no process, file or mount is left.

    In a process of its own, which holds nothing of other tests.
    """
    code = "import json; from benchmarks.speed import grading; print(json.dumps(grading.main(['--toy'])))"
    done = subprocess.run([sys.executable, "-c", code], cwd=build.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (one,) = result["classes"].values()
    assert result["submissions"] == one["submissions"] == sum(one["counts"].values()) == 8
    assert set(one["counts"]) == {"honest", "wrong", "hostile", "broken"}
    core, own = one["alone"]["of one core"], one["own"]
    assert core > 0 and own > 0 and one["beyond"] == pytest.approx(core - own, abs=0.011)  # each is rounded


def test_a_class_has_files_of_every_kind():
    """No two are the same but the damaged, and the points they must earn are those of the tables."""
    files = grading.class_of("hw01", 34)
    kinds = [one.kind for one in files.values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "honest": 14,
        "blank": 2,
        "wrong": 10,
        "hostile": 6,
        "broken": 2,
    }
    whole = [one.data for one in files.values() if one.kind != "broken"]
    assert len(set(whole)) == len(whole)
    assert {one.points for one in files.values() if one.kind == "honest"} == {30}
    assert all(one.points < 30 for one in files.values() if one.kind in ("wrong", "blank"))


@needs_sandbox
def test_what_must_not_happen_stops_the_measurement(monkeypatch, tmp_path):
    """A file that earns what it must not, and something left behind, are errors and not results."""
    files = {"honest-00": grading.class_of("hw01", 34)["honest-00"]._replace(points=29)}
    monkeypatch.setattr(grading, "class_of", lambda name, size: files)
    with pytest.raises(AssertionError, match=r"honest-00: earned 30.*, must earn 29"):
        grading.grade_class("hw01", 1)

    def leaves_a_file_open(name, size):
        opened.append((tmp_path / "open").open("w"))
        return {"seconds": 1.0}, ""

    opened = []
    monkeypatch.setattr(grading, "grade_class", leaves_a_file_open)
    with pytest.raises(AssertionError, match=r"left behind: {'open files': \[.*\d+: .*/open'"):
        grading.main(["--toy"])
    opened[0].close()


def test_what_is_left_behind_is_what_was_not_there(monkeypatch, tmp_path):
    """A process, an open file, a file in a shared folder; not what was open before and is closed by now."""
    monkeypatch.setenv("HOME", str(tmp_path))
    closed = (tmp_path / "closed").open("w")
    before = grading.here()
    closed.close()
    (tmp_path / "fill").touch()
    with subprocess.Popen(["sleep", "60"]) as child, (tmp_path / "open").open("w") as file:
        left, told = grading.left_behind(before), f"{file.fileno()}: {file.name}"
        child.kill()
    assert left["processes"] == [str(child.pid)] and left["files"] == [f"{tmp_path}/fill"]
    assert [each for each in left["open files"] if str(tmp_path) in each] == [told]


def test_the_stored_class_is_whole_and_fast_enough():
    """A hundred submissions, a row each, what they took, and the grader's share of it within its promise."""
    result = record.load(grading.NAME, grading.FOLDER)
    assert result and result["submissions"] == grading.SIZE
    assert {"command", "date", "processor", "cores", "versions", "bubblewrap", "jobs"} <= result.keys()
    assert set(result["classes"]) == {folder.name for folder in build.masters()}
    for name, one in result["classes"].items():
        assert one["beyond"] <= (1 if name == "hw01" else 3), name
        with open(grading.FOLDER / f"{grading.NAME}-{name}.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == one["submissions"]
        for row in rows:
            kind = row["submission"].partition("-")[0]
            assert (row["status"] == "unreadable") == (kind == "broken")
            assert (row["total"] == "") == (row["status"] != "graded"), row
    assert f"{result['submissions']} submissions" in grading.told()


@needs_sandbox
def test_the_tables_print_what_is_judged(capsys):
    """A row for each, with what it earned."""
    tables.main(["broken"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "## broken" and len(lines) == 2 + 2 + len(BROKEN)
    assert "| a missing cell | graded | 5 |  |" in lines
    head, first, *_ = itertools.islice(tables.wrong_answers("hw01"), 3)
    assert head == ("wrong answer", "loses", "earns", "is told")
    mistake, loses, earns, told = first
    assert (mistake, loses, earns) == ("W_hh transposed in the step", "q1 3, q6 6, q9 3", "18 of 30")
    assert told.endswith("your W_hh is transposed")
    name, status, earns, _ = next(itertools.islice(tables.attacks(), 1, None))
    assert (name, status, earns) == ("endless loop in a cell", "graded", "5 of 5")
    with pytest.raises(SystemExit, match="expected one of hw01, hw02"):
        tables.main(["hw99"])
