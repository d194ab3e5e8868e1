"""What went wrong at the edges: a disk that fills, too many at a time, interrupts, and long lists on a terminal."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from classroom import SOLUTION, notebook

from homework.grader import report
from homework.grader.__main__ import _cut, main

DEMO = str(Path(__file__).parent / "demo")


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    """The file that was there stays, no part is left, and the message names the file and the reason."""
    path = tmp_path / "grades.csv"
    report.write(path, "old")

    def full(self, text, **_):
        with open(self, "w") as file:
            file.write(text[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(report.CannotWrite, match=r"grades.csv: cannot be written: No space left"):
        report.write(path, "new and longer")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["grades.csv"]


@pytest.mark.usefixtures("works")
def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, capsys):
    """The command ends with a code and a sentence, no traceback."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ada.ipynb").write_text(notebook(*SOLUTION))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert main([DEMO, str(tmp_path / "in")]) == 2
    said = capsys.readouterr().err
    assert "No space left on device. Make room and type the same command again" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("jobs", ["-1", "101", "100000"])
def test_too_many_at_a_time_are_refused_by_name(jobs, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert main([DEMO, str(tmp_path / "in"), "--jobs", jobs]) == 2
    assert f"--jobs: expected a number of 1 to 100, got {jobs}" in capsys.readouterr().err


@pytest.mark.usefixtures("works")
def test_four_quick_interrupts_do_not_cost_the_table(tmp_path):
    """What the last line says is so: the table it names is there."""
    (tmp_path / "in").mkdir()
    for number in range(30):
        (tmp_path / "in" / f"s{number}.ipynb").write_text(notebook(*SOLUTION, f"# {number}"))
    command = [sys.executable, "-m", "homework.grader", DEMO, str(tmp_path / "in"), "--jobs", "1"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as run:
        log = tmp_path / "in-graded" / "log.txt"
        for _ in range(600):
            if log.is_file() and "graded" in log.read_text():
                break
            time.sleep(0.1)
        for _ in range(4):
            run.send_signal(signal.SIGINT)
            time.sleep(0.2)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 130, said
    assert "Interrupted: what was graded is in" in said and "Traceback" not in said
    assert (tmp_path / "in-graded" / "grades.csv").is_file()


def test_a_long_name_is_cut():
    assert _cut("a" * 80) == "a" * 37 + "..."
    assert _cut("ada") == "ada"
