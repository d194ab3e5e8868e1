"""Hostile notebooks, with hard limits: none earns more than the honest one under it, leaves or changes anything."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from attacks import ATTACKS, HOARDERS, HONEST, HONEST_POINTS, first, last
from classroom import BLANK, DEMO, NUMPY, QUICK, SOLUTION, inside, notebook, points, words
from test_sandbox import alive, born

from homework.grader import Name, grade_cells, sandbox, watch
from homework.grader.batch import grade_folder

pytestmark = pytest.mark.usefixtures("works")


@pytest.fixture
def unharmed(tmp_path, monkeypatch) -> Iterator[None]:
    """Whatever runs in between: no process of it is left, no file has changed, no mount is left, the time is kept."""
    kept = tmp_path / "kept.txt"
    kept.write_text("somebody else's")
    kept.chmod(0o666)
    watched = [kept, *Path(__file__).parent.glob("*.py"), *Path(sandbox.__file__).parent.rglob("*.py")]

    def files() -> dict[Path, str]:
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in watched}

    below, seen = watch.below, set[tuple[int, str]]()

    def look(pid: int) -> list[int]:
        found = below(pid)
        seen.update((one, born(one)) for one in found)
        return found

    monkeypatch.setattr(watch, "below", look)
    before, mounts, listed = files(), Path("/proc/self/mounts").read_text(), set(os.listdir("/tmp"))
    start = time.monotonic()
    yield
    assert time.monotonic() - start < QUICK.start + QUICK.total
    assert seen
    assert not [one for one in seen if alive(one)]
    assert files() == before
    assert Path("/proc/self/mounts").read_text() == mounts
    assert not {
        name for name in set(os.listdir("/tmp")) - listed if name.startswith(("fill", "large", "unpickled"))
    }


def test_the_honest_notebook_under_them():
    """What the attacks are measured against."""
    outcome = grade_cells(NUMPY, HONEST, seed=3)
    assert (outcome.status, points(outcome)) == ("graded", HONEST_POINTS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(attack, unharmed):
    """It earns what its honest parts earn and no more, the feedback says what happened, and nothing is left of it."""
    outcome = grade_cells(NUMPY, attack.cells, seed=3)
    assert (outcome.status, points(outcome)) == (attack.status, attack.points)
    assert attack.says in words(outcome)
    assert (outcome.total or 0) <= sum(HONEST_POINTS.values())


def test_memory_of_many_processes_is_added_up(unharmed):
    """25 processes of 400 MB, each within its own limit, are stopped together."""
    small = replace(NUMPY, limits=replace(QUICK, cell=12, cells=12, memory_mb=500))
    outcome = grade_cells(small, first(HOARDERS), seed=3)
    assert outcome.status == "stopped"
    assert "more than 625 MB" in outcome.reason


def test_says_it_is_done_before_it_is_asked(unharmed):
    """A forged last frame costs the questions that were not asked; the row says that it needs a look."""
    outcome = grade_cells(NUMPY, first("import plain\nos.write(3, plain.dump({'done': True}))"), seed=3)
    assert outcome.status == "stopped"
    assert set(points(outcome).values()) == {None}


def test_patched_torch_does_not_change_a_gradient(unharmed):
    """torch's own autograd, patched before the question that uses it: no point more than the honest one."""
    patch = "import torch\ntorch.autograd.grad = lambda *a, **k: (torch.zeros(6),)\ntorch.allclose = lambda *a: True"
    outcome = grade_cells(DEMO, [*BLANK, patch], seed=3)
    assert points(outcome) == {"q1": 0, "q2": 0, "q3": 0, "q4": 0}


CANARY = "canary-7f3a91"
SEARCH = """
import glob, os, gc
found, read = [], 0
for top, folders, files in os.walk("/"):
    if top.startswith(("/usr/", "/proc", "/dev")) or "site-packages/" in top or "/lib/python3" in top:
        folders.clear()
        continue
    if top.count("/") > 6: folders.clear()
    for name in files + folders:
        if CANARY.decode() in name: found.append(top + "/" + name)
    for name in files:
        path = top + "/" + name
        try:
            with open(path, "rb") as file: data = file.read(100_000)
        except OSError: continue
        read += 1
        if CANARY in data: found.append(path)
for path in [p for name in ("environ", "cmdline", "mountinfo", "maps") for p in glob.glob("/proc/*/" + name)]:
    try:
        with open(path, "rb") as file:
            if CANARY in file.read(): found.append(path)
    except OSError: pass
questions = [o for o in gc.get_objects() if type(o).__name__ in ("Check", "Question", "Homework", "Outcome")]
"""


def test_reads_tests_references_other_submissions_environment_and_proc(tmp_path, monkeypatch, unharmed):
    """A canary in the environment, in another's submission, in the homework and in its file names is found nowhere."""
    monkeypatch.setenv("UNROLLED_SECRET", CANARY)
    (tmp_path / CANARY).mkdir()
    (tmp_path / CANARY / f"{CANARY}.ipynb").write_text(notebook(f"answer = {CANARY!r}"))
    (tmp_path / CANARY / "questions.py").write_text(f"# {CANARY}")
    search = SEARCH.replace("CANARY", "(b'canary-' + b'7f3a91')")
    limits = replace(QUICK, cell=10, cells=10)
    found, read, questions = inside(
        [search], (Name("found"), Name("read"), Name("questions")), hidden=[tmp_path], limits=limits
    )
    assert read > 20  # the search did look
    assert found == []
    assert questions == []


def test_no_batch_is_spoilt(tmp_path, unharmed):
    """Hostile notebooks beside honest ones: everyone has a row of their own, and nobody's row is another's doing."""
    (tmp_path / "in").mkdir()
    rows = """
import csv, glob, os
for path in glob.glob("/**/grades.csv", recursive=True) + ["../in-graded/grades.csv", "grades.csv"]:
    with open(path, "a") as file: file.write("bob,bob,3,2,3,,8,8,graded\\n")
"""
    names = {
        "alice": notebook(*SOLUTION),
        "mallory": notebook(*first(rows)),
        "oscar": notebook(*last("os.kill(-1, 9)")),
        "bob": notebook(*BLANK),
        "eve": notebook(*first("while True: pass")),
    }
    for name, text in names.items():
        (tmp_path / "in" / f"{name}.ipynb").write_text(text)
    graded = grade_folder(NUMPY, tmp_path / "in", tmp_path / "in-graded", seed=1)
    told = {row.submission.name: (row.outcome.status, row.outcome.total) for row in graded}
    assert told == {
        "alice": ("graded", 8),
        "bob": ("graded", 0),
        "eve": ("graded", 5),
        "mallory": ("graded", 5),
        "oscar": ("stopped", None),
    }
    lines = (tmp_path / "in-graded" / "grades.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["submission", *sorted(names)]
    assert json.loads((tmp_path / "in-graded" / "state" / "seed.json").read_text()) == {"seed": 1}
