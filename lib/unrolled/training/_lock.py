"""One process at a time in a run's folder: a lock that a kill leaves behind is seen to be stale and taken over.

The lock is a file that only one process can make. It says who: the host, the process and when that began. On the same
host the system tells whether the process still lives. From another host nobody can ask, so the owner touches the file
every half minute, and one that was not touched for ten times as long, by the clock of the disk it lies on, is stale. A
copied folder has a copied lock, which is not the file that its owner made: it is stale too.
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unrolled._check import system

NAME = ".lock"
_EVERY = 30.0  # seconds between two signs of life
_STALE = 10 * _EVERY


def _here() -> dict[str, Any]:
    """The machine as its processes are numbered: a restart, or a container, numbers anew."""
    boot, numbers = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return {
        "host": socket.gethostname(),
        "boot": boot.read_text(encoding="ascii").strip() if boot.is_file() else "",
        "numbers": os.readlink(numbers) if numbers.is_symlink() else "",
    }


def _began(process: int) -> str | None:
    """When a process of this machine began, in the system's own count; None where there is none, or one that ended."""
    try:
        fields = (
            Path(f"/proc/{process}/stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()
        )
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:  # a system without /proc
            os.kill(process, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return ""
    return None if fields[0] in "ZX" else fields[19]


def _stale(lock: Path, owner: dict[str, Any] | None) -> bool:
    """Whether nobody holds a lock any more."""
    if owner is not None:
        inode, place = lock.stat().st_ino, str(lock.parent.resolve())
        if owner.get("inode", inode) != inode and owner.get("folder", place) != place:
            return True  # a copy
        here = _here()
        if {name: owner.get(name) for name in here} == here:
            return _began(owner["process"]) != owner.get("began")
    probe = lock.with_name(f"{NAME}.{os.getpid()}.probe")
    probe.touch()
    try:
        return probe.stat().st_mtime - lock.stat().st_mtime > _STALE
    finally:
        probe.unlink(missing_ok=True)


def _read(lock: Path) -> dict[str, Any] | None:
    """Who holds a lock; None where it was let go meanwhile, or its owner has not said yet."""
    try:
        owner = json.loads(lock.read_text(encoding="utf-8"))
        return owner if isinstance(owner.get("process"), int) else None
    except (OSError, ValueError, AttributeError):
        return None


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made where there is none.

    Raises:
        FileExistsError: another process trains there; the message names it and its host.
        OSError: the folder can't be written.
    """
    lock = folder / NAME
    with system("folder", f"make {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    with system("folder", f"write in {folder}"), _one_at_a_time(folder):
        mine = _take(lock)
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(_EVERY):
            with contextlib.suppress(OSError):
                os.utime(lock)

    threading.Thread(target=live, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if _read(lock) == mine:  # not that of another, who took it for stale
            lock.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Of several who find a stale lock only one looks at it at a time, where the system can arrange that."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a drive that knows no such locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _take(lock: Path) -> dict[str, Any]:
    """Make the lock, and tell what it says."""
    beside, owner = lock.with_name(f"{NAME}.{os.getpid()}"), None
    beside.touch()
    try:
        who = {"process": os.getpid(), "began": _began(os.getpid()), "folder": str(lock.parent.resolve())}
        for _ in range(3):
            mine = {**_here(), **who, "inode": beside.stat().st_ino}
            beside.write_text(json.dumps(mine), encoding="utf-8")  # whole before it has its name
            try:
                return _make(lock, beside, mine)
            except FileExistsError:
                owner = _read(lock)
                try:
                    if not _stale(lock, owner):
                        break
                except FileNotFoundError:  # let go meanwhile
                    continue
                lock.unlink(missing_ok=True)
        owner = owner or {"process": "unknown", "host": "an unknown host"}
        raise FileExistsError(
            f"folder: expected one that nobody trains in, got {lock.parent}, where process {owner['process']} on "
            f"{owner['host']} does; if it has ended, delete {lock}"
        )
    finally:
        beside.unlink(missing_ok=True)


def _make(lock: Path, beside: Path, mine: dict[str, Any]) -> dict[str, Any]:
    """Give the file its second name, which fails where there is one, also on network drives."""
    try:
        os.link(beside, lock)
        return mine
    except FileExistsError:
        raise
    except OSError:  # a drive without second names, such as a mounted cloud folder
        with lock.open("x", encoding="utf-8") as file:
            mine = {**mine, "inode": lock.stat().st_ino}
            file.write(json.dumps(mine))
        return mine
