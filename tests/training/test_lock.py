"""One process at a time in a run's folder; what a kill leaves behind does not keep the next one out."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from unrolled.training import _lock
from unrolled.training._lock import alone_in

pytestmark = pytest.mark.usefixtures("plain_errors")

HOLD = """
import sys, time
from pathlib import Path
from unrolled.training._lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path / "run"."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_and_told_whose_folder_it_is(holder, tmp_path):
    expected = f"nobody trains in, got .*run, where process {holder.pid} on .* does; if it has ended, delete"
    with pytest.raises(FileExistsError, match=expected), alone_in(tmp_path / "run"):
        pass


def test_a_lock_of_a_killed_process_is_taken_over(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with alone_in(tmp_path / "run"):
        assert json.loads((tmp_path / "run/.lock").read_text(encoding="utf-8"))["process"] == os.getpid()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_copied_folder_is_free(holder, tmp_path):
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    with alone_in(tmp_path / "copy"):
        pass


def test_a_number_that_another_process_has_by_now_holds_nothing(tmp_path):
    with alone_in(tmp_path):
        pass
    mine = {**_lock._here(), "process": os.getpid(), "began": "long ago"}
    (tmp_path / ".lock").write_text(json.dumps(mine), encoding="utf-8")
    with alone_in(tmp_path):
        pass


@pytest.mark.parametrize(("age", "free"), [(10, False), (2 * _lock._STALE, True)])
def test_from_another_host_only_signs_of_life_count(age, free, tmp_path):
    lock = tmp_path / ".lock"
    lock.write_text(
        json.dumps({**_lock._here(), "host": "elsewhere", "process": 1, "began": "1"}), encoding="utf-8"
    )
    os.utime(lock, (time.time() - age, time.time() - age))
    if free:
        with alone_in(tmp_path):
            pass
    else:
        with pytest.raises(FileExistsError, match="process 1 on elsewhere"), alone_in(tmp_path):
            pass


def test_the_owner_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(_lock, "_EVERY", 0.01)
    with alone_in(tmp_path):
        lock = tmp_path / ".lock"
        os.utime(lock, (1, 1))
        deadline = time.monotonic() + 30
        while lock.stat().st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock.stat().st_mtime > 1


@pytest.mark.parametrize(("age", "free"), [(0, False), (2 * _lock._STALE, True)])
def test_a_lock_that_says_nothing_is_given_time_to(age, free, tmp_path):
    lock = tmp_path / ".lock"
    lock.write_text("", encoding="utf-8")
    os.utime(lock, (time.time() - age, time.time() - age))
    with (
        contextlib.nullcontext() if free else pytest.raises(FileExistsError, match="process unknown"),
        alone_in(tmp_path),
    ):
        pass


def test_on_a_drive_without_second_names_it_locks_too(tmp_path, monkeypatch):
    def refuses(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(_lock.os, "link", refuses)
    with (
        alone_in(tmp_path),
        pytest.raises(FileExistsError, match=f"process {os.getpid()}"),
        alone_in(tmp_path),
    ):
        pass
    with alone_in(tmp_path):
        pass


def test_the_lock_of_who_took_over_stays(tmp_path):
    with alone_in(tmp_path):
        (tmp_path / ".lock").write_text(json.dumps({"process": 1, "host": "elsewhere"}), encoding="utf-8")
    assert json.loads((tmp_path / ".lock").read_text(encoding="utf-8"))["host"] == "elsewhere"


def test_of_many_who_find_a_stale_lock_one_takes_it(tmp_path):
    dead = {**_lock._here(), "process": 2**22 + 1, "began": "1", "folder": str(tmp_path)}
    (tmp_path / ".lock").write_text(json.dumps(dead), encoding="utf-8")
    code = HOLD.replace("time.sleep(60)", "time.sleep(8)")
    command = [sys.executable, "-c", code, str(tmp_path)]
    all_ = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(6)
    ]
    assert sum(each.communicate()[0] == "held\n" for each in all_) == 1


def test_a_folder_that_cannot_be_made_is_told():
    from pathlib import Path

    with pytest.raises(OSError, match="folder: could not make /proc/x"), alone_in(Path("/proc/x")):
        pass
