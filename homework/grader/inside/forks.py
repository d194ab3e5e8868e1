"""Inside the sandbox: copies of a process that can be thrown away, and how they are ended with all they started."""

import contextlib
import ctypes
import os
import select
import signal
import time
from typing import Any

import plain

MAX_LEFT = 16  # threads, and processes, that a cell may leave running
MAX_OPEN = 128  # files that it may leave open
_os_read, _os_write, _fork, _getpid, _exit, _kill = os.read, os.write, os.fork, os.getpid, os._exit, os.kill
_waitpid, _select, _now, _pipe, _close = os.waitpid, select.select, time.monotonic, os.pipe, os.close
_libc = ctypes.CDLL(None)
_SIGKILL, _WNOHANG = signal.SIGKILL, os.WNOHANG


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, or give up where nobody reads any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[_os_write(fd, view) :]
        except OSError:
            return


def descendants() -> list[int]:
    """Every process below this one."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(name))
    below, todo = [], [_getpid()]
    while todo:
        found = parents.get(todo.pop(), [])
        below += found
        todo += found
    return below


def end(pid: int) -> None:
    """Kill a fork with everything it started: orphans come back to this process, which is their subreaper."""
    _kill(pid, _SIGKILL)
    deadline = _now() + 2
    while _now() < deadline:
        for below in descendants():
            with contextlib.suppress(OSError):
                _kill(below, _SIGKILL)
        try:
            while _waitpid(-1, _WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def adopt_orphans() -> None:
    """Become the parent of whatever is orphaned below, so that `end` finds it (PR_SET_CHILD_SUBREAPER)."""
    _libc.prctl(36, 1, 0, 0, 0)


class Fork:
    """A copy of this process with a pipe back to it. `child` is True in the copy."""

    def __init__(self) -> None:
        self.read, self.write = _pipe()
        held, let_go = _pipe()
        self.pid = _fork()
        self.child = self.pid == 0
        if self.child:
            _close(self.read)
            _close(let_go)
            self.held = held
            self.me = _getpid()
            adopt_orphans()
        else:
            _close(self.write)
            _close(held)
            self.held = let_go

    def report(self, data: bytes) -> None:
        """In the copy: send bytes to the process that forked it. A copy of the copy ends here."""
        if _getpid() != self.me:
            _exit(0)
        write_all(self.write, data)

    def leaves_too_much(self) -> bool:
        """In the copy: whether so much was left running, or open, that the next fork might fail."""
        try:
            opened, threads = (len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task"))
        except OSError:  # too many open files
            return True
        return opened > MAX_OPEN or threads > MAX_LEFT or len(descendants()) > MAX_LEFT

    def take_over(self) -> None:
        """In the copy: wait until the process that forked it has let go."""
        _close(self.write)
        _os_read(self.held, 1)
        _close(self.held)

    def frames(self, deadline: float, count: int) -> Any:
        """In the first: yield up to `count` frames as they come; stops at the deadline or when the copy is gone."""
        buffer = b""
        while count:
            while len(buffer) >= 8 and len(buffer) >= 8 + int.from_bytes(buffer[:8], "big"):
                size = 8 + int.from_bytes(buffer[:8], "big")
                yield buffer[8:size]
                buffer, count = buffer[size:], count - 1
                if not count:
                    return
            left = deadline - _now()
            if left <= 0 or len(buffer) > 8 + plain.MAX_FRAME:
                self.late = left <= 0
                return
            if not _select([self.read], [], [], left)[0]:
                continue
            data = _os_read(self.read, 1 << 16)
            if not data:
                self.late = False
                return
            buffer += data

    late = False

    def close(self) -> None:
        """In the first: close the pipes, which lets the copy go on."""
        _close(self.read)
        _close(self.held)
