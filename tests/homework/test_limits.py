"""A limit on everything that student code can use up: depth, memory, files, time."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from classroom import QUICK, inside

from homework.grader import Name, bwrap, watch

pytestmark = pytest.mark.usefixtures("works")


def test_recursion_without_end_meets_its_own_limit():
    """However high a notebook sets it: neither memory nor the clock decides, so the same bytes get the same status."""
    code = """
import sys
sys.setrecursionlimit(10**9)
def down(n=0): return down(n + 1)
try: down()
except RecursionError: met = True
"""
    assert inside([code], Name("met")) is True


def test_memory_that_nobody_counts_cannot_be_had():
    """Shared mappings without a file keep their pages when a process lets go of them; the private ones work."""
    code = """
import mmap, os
def can(make):
    try:
        return bool(make())
    except OSError as error:
        return error.strerror
shared = can(lambda: mmap.mmap(-1, 4096))
zero = can(lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 4096))
private = can(lambda: mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
"""
    told = inside([code], (Name("shared"), Name("zero"), Name("private")))
    assert told == ("Operation not permitted", "Permission denied", True)


def test_swapped_and_shared_memory_count(tmp_path):
    """What the kernel's files say is added up: private, shared, swapped out, page tables; nonsense is passed over."""
    told = tmp_path / "status"
    sizes = {"VmPTE": 8, "RssAnon": 100, "RssFile": 9, "RssShmem": 20, "VmSwap": 3}
    told.write_text(
        "Name:\tx kB\nThreads:\t1\n" + "".join(f"{name}:\t {kb} kB\n" for name, kb in sizes.items())
    )
    assert watch._kilobytes(str(told)) == sizes
    hoard = bytearray(b"x") * (64 << 20)
    assert watch.megabytes([os.getpid()], 10**6) >= 64
    assert 64 << 10 <= watch._share(os.getpid()) <= watch._own(os.getpid()) + 1024
    assert hoard


def test_files_are_counted():
    """In the file systems that can be written; where it can't be known there are none."""
    before = watch.files(os.getpid(), ["/dev/shm"])
    place = Path("/dev/shm") / f"unrolled-{os.getpid()}"
    place.mkdir()
    try:
        for number in range(10):
            (place / str(number)).touch()
        assert watch.files(os.getpid(), ["/dev/shm"]) >= before + 10
    finally:
        for file in place.iterdir():
            file.unlink()
        place.rmdir()
    assert watch.files(os.getpid(), ["/no/such/place"]) == 0


def test_limits_cannot_be_raised():
    """The limits inside are the homework's, and hard."""
    code = """
import resource as r
names = ("DATA", "FSIZE", "NPROC", "CORE", "NOFILE")
limits = {name: list(r.getrlimit(getattr(r, "RLIMIT_" + name))) for name in names}
raised = []
for name in names:
    try:
        r.setrlimit(getattr(r, "RLIMIT_" + name), (r.RLIM_INFINITY, r.RLIM_INFINITY))
        raised.append(name)
    except (ValueError, OSError): pass
"""
    limits, raised = inside([code], (Name("limits"), Name("raised")))
    assert limits["DATA"] == [QUICK.memory_mb << 20] * 2
    assert limits["FSIZE"] == [QUICK.disk_mb << 20] * 2
    assert limits["NPROC"] == [QUICK.processes] * 2
    assert limits["CORE"] == [0, 0]
    assert raised == []


def test_a_slow_start_is_not_the_notebook_s_time(monkeypatch):
    """On a busy machine importing torch takes long: the clock of a notebook begins at its first cell."""
    command = bwrap.python()
    monkeypatch.setattr(
        bwrap, "python", lambda: [*command[:-1], f"import time; time.sleep(3.2); {command[-1]}"]
    )
    limits = replace(QUICK, total=3)
    assert inside(["x = 1"], Name("x"), limits=limits) == 1
    with pytest.raises(RuntimeError, match="the sandbox did not start: late"):
        inside(["x = 1"], Name("x"), limits=replace(limits, start=1))
