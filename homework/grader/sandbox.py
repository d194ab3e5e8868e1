"""Run one job in the sandbox: start it, read what it says, hold the limits from outside, leave nothing behind."""

import contextlib
import json
import os
import select
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homework.grader import bwrap, seccomp, watch
from homework.grader.frames import Reader, Run
from homework.grader.questions import Limits

POLL = 0.05  # seconds between two looks at memory, processes and files


class Slots:
    """A number for each sandbox that runs at the same time: as root, each gives up its rights for another user id."""

    def __init__(self) -> None:
        self.lock, self.used = threading.Lock(), set[int]()

    @contextlib.contextmanager
    def take(self) -> Iterator[int]:
        """The lowest free number."""
        with self.lock:
            slot = next(n for n in range(len(self.used) + 1) if n not in self.used)
            self.used.add(slot)
        try:
            yield slot
        finally:
            with self.lock:
                self.used.discard(slot)


_slots = Slots()


def run(
    job: dict[str, Any],
    limits: Limits,
    library: bool,
    hidden: list[Path],
    fonts: Path | None = None,
    core: int | None = None,
) -> Run:
    """Run a job `{"cells": …, "questions": …, "warm": …}` to its end or to a limit. Kills all of it either way.

    Args:
        library: whether the sandbox shows the library or its stand-in.
        hidden: folders that must not be seen.
        fonts: matplotlib's list of fonts.
        core: the one core to run on, so that a fork bomb cannot take its neighbours' time; None: any.
    """
    result, start = Run(), time.monotonic()
    with _slots.take() as slot, contextlib.ExitStack() as stack:
        job = {**job, "limits": _inside(limits, slot)}

        def memory_file(data: bytes) -> int:
            fd = os.memfd_create("unrolled")
            stack.callback(os.close, fd)
            with open(fd, "wb", closefd=False) as file:
                file.write(data)
            os.lseek(fd, 0, os.SEEK_SET)
            return fd

        args = bwrap.arguments(library, limits.disk_mb, hidden, fonts)
        rules, given = memory_file(seccomp.program()), memory_file(json.dumps(job).encode("ascii"))
        first, told = os.pipe()
        stack.callback(os.close, first)
        args += ["--seccomp", str(rules), "--info-fd", str(told)]
        listed = memory_file(b"".join(os.fsencode(arg) + b"\0" for arg in args))
        if (
            core is not None
        ):  # of this thread, and so of what it starts; inside, the filter refuses to change it
            stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
            os.sched_setaffinity(0, {core})
        try:
            process = subprocess.Popen(
                [bwrap.find_once(), "--args", str(listed), "--", *bwrap.python()],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[rules, listed, told],
                env={},
                cwd="/",
                process_group=0,  # the interrupt of a terminal is the grader's to answer
            )
        finally:
            os.close(told)
        try:
            _listen(process, result, limits)
        finally:
            _finish(process, first, result)
    result.seconds = time.monotonic() - start
    return result


def _inside(limits: Limits, slot: int) -> dict[str, Any]:
    """The limits as `child` wants them."""
    counted = tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 14)  # per namespace only since then
    return {
        "cell": limits.cell,
        "cells": limits.cells,
        "question": limits.question,
        "cpu": int(limits.start + limits.total) + 1,
        "memory_mb": limits.memory_mb,
        "address_mb": limits.memory_mb + 6000,  # a CUDA build of torch maps gigabytes that it never touches
        "file_mb": limits.disk_mb,
        "processes": limits.processes if counted or os.geteuid() == 0 else 0,
        "drop_to": bwrap.NOBODY + (os.getpid() & 0xFFFFF) * 256 + slot if os.geteuid() == 0 else 0,
    }


def _listen(process: subprocess.Popen[bytes], result: Run, limits: Limits) -> None:
    """Read until the last frame, the end, or a limit. The notebook's time begins when all is imported."""
    assert process.stdout and process.stderr
    reader, look, started = Reader(result), 0.0, False
    deadline = time.monotonic() + limits.start
    for pipe in (process.stdout, process.stderr):
        os.set_blocking(pipe.fileno(), False)  # inside, it can be read empty between our look and our reading
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if result.ready and not started:
                started, deadline = True, now + limits.total
            if now >= deadline:
                result.state = "late"
                return
            if now >= look:
                look = now + POLL
                pids = watch.below(process.pid)
                if len(pids) > 2 * limits.processes:
                    result.state = "processes"
                    return
                if watch.megabytes(pids, limits.sum_mb) > limits.sum_mb:
                    result.state = "memory"
                    return
                if result.ready and pids[1:] and watch.files(pids[1], bwrap.WRITABLE) > limits.files:
                    result.state = "files"
                    return
            for key, _ in selector.select(min(POLL, deadline - now)):
                try:
                    data = os.read(key.fd, 1 << 18)
                except BlockingIOError:
                    continue
                if key.fileobj is process.stderr:
                    result.told = (result.told + data.decode("utf-8", "replace"))[:2000]
                    if not data:
                        selector.unregister(process.stderr)
                elif not data or reader.feed(data):
                    return


def _finish(process: subprocess.Popen[bytes], first: int, result: Run) -> None:
    """Kill it whole. Its process 1 ends last, after the kernel has ended every other: wait for that one.

    Args:
        first: a pipe in which bubblewrap says which process that is.
    """
    assert process.stdout and process.stderr
    with process.stdout, process.stderr:
        process.kill()
        said = os.read(first, 4096)
        process.wait()
        with contextlib.suppress(BlockingIOError):
            result.told += os.read(process.stderr.fileno(), 2000).decode("utf-8", "replace")
        if not said:  # it never came to be
            return
        try:
            last = os.pidfd_open(json.loads(said)["child-pid"])
        except ProcessLookupError:
            return
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(last, signal.SIGKILL)
            ended = select.poll()  # select() knows no file number above 1,023
            ended.register(last, select.POLLIN)
            if not ended.poll(10_000):
                raise RuntimeError("the sandbox is still there 10 s after it was killed")
        finally:
            os.close(last)


def check() -> None:
    """Raise Unusable, with the reason and the ways out, unless an empty job runs in the sandbox here."""
    bwrap.find_once()
    empty = run({"cells": [], "questions": [], "warm": []}, Limits(), False, [])
    if empty.state != "done":
        raise bwrap.why_not(empty.told or empty.state)
