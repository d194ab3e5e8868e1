"""The program inside the sandbox: runs the cells, answers the questions. It knows no expected answer.

Every cell and every question runs in a fork, so that one that hangs or dies is undone and the rest goes on. The
first process runs imports and definitions, and nothing else of a student's. A cell's fork, once done, takes the
place of the process that forked it; that one ends. Everything here can be spoilt by the student's code, to the
student's own loss: answers are compared outside.
"""

import contextlib
import ctypes
import os
import resource
import sys
import time
from typing import Any

import plain
from answers import answer
from cellrun import fresh_namespace, run_cell, runs_nothing
from forks import Fork, adopt_orphans, end, write_all

OUT = 3  # where frames go
_getpid, _exit, _now, _waitpid, _close = os.getpid, os._exit, time.monotonic, os.waitpid, os.close


def tell(**fields: Any) -> None:
    """Send one frame outside."""
    write_all(OUT, plain.dump(fields))


def lock_down(limits: dict[str, Any]) -> None:
    """Give up root where there is any, then set limits that nothing below can raise."""
    megabyte = 1 << 20
    if os.getuid() == 0 and limits["drop_to"]:
        os.setgroups([])
        os.setgid(limits["drop_to"])
        os.setuid(limits["drop_to"])
        header = (ctypes.c_uint32 * 2)(
            0x20080522, 0
        )  # capset: what programs started from here could inherit, too
        ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: no process's memory is another's to write
    caps = {
        resource.RLIMIT_AS: limits["address_mb"] * megabyte,
        resource.RLIMIT_DATA: limits["memory_mb"] * megabyte,
        resource.RLIMIT_FSIZE: limits["file_mb"] * megabyte,
        resource.RLIMIT_CPU: limits["cpu"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if limits["processes"]:
        caps[resource.RLIMIT_NPROC] = limits["processes"]
    for what, cap in caps.items():
        resource.setrlimit(what, (cap, cap))
    os.nice(5)


def run_cells(cells: list[dict[str, Any]], limits: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Run each cell in a fork; on return this process holds what the cells left."""
    spent = 0.0
    for number, cell in enumerate(cells, 1):
        why = "trains" if cell["trains"] else "spent" if spent >= limits["cells"] else ""
        while True:
            source, kept = cell["source"], {"state": "kept" if why else "ran", "why": why}
            if runs_nothing(source, bool(why)):  # only imports and definitions: no fork needed
                tell(cell=number, **kept, **run_cell(source, number, namespace, bool(why)))
                break
            start, fork = _now(), Fork()
            if fork.child:
                report = run_cell(source, number, namespace, bool(why))
                spent += _now() - start
                if fork.leaves_too_much():
                    _exit(1)
                fork.report(plain.dump(report))
                fork.take_over()
                tell(cell=number, **kept, **report)
                break
            if list(fork.frames(start + min(limits["cell"], limits["cells"] + 1 - spent), 1)):
                leave(fork)
            end(fork.pid)
            fork.close()
            spent += _now() - start
            late, again = fork.late, not why
            why = "late" if late else "died"
            if not again:
                tell(cell=number, state=why, error=None)
                break


def leave(fork: Fork) -> None:
    """Let the copy take this process's place. The first process of all stays, as the parent of whatever is orphaned."""
    fork.close()
    while _getpid() == FIRST:
        try:
            _waitpid(-1, 0)
        except ChildProcessError:
            _exit(0)
    _exit(0)


def ask(questions: list[list[Any]], limits: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Answer each question in a fork of its own, check by check."""
    for number, checks in enumerate(questions):
        fork = Fork()
        if fork.child:
            for check in checks:
                fork.report(plain.dump(answer(check, namespace)))
            _exit(0)
        deadline, count = _now() + limits["question"], 0
        for frame in fork.frames(deadline, len(checks)):
            header = plain.dump({"question": number, "check": count, "bytes": len(frame)})
            write_all(OUT, header + len(frame).to_bytes(8, "big") + frame)
            count += 1
        end(fork.pid)
        fork.close()
        if count < len(checks):
            tell(question=number, check=count, state="late" if fork.late else "died")


FIRST = _getpid()


def main() -> None:
    """Read the job, lock down, warm up, run the cells, ask the questions, say that it is done."""
    import json

    with open(0, "rb", closefd=False) as file:
        job = json.loads(file.read())
    os.dup2(1, OUT)
    os.closerange(OUT + 1, 256)
    lock_down(job["limits"])
    for name in job["warm"]:
        with contextlib.suppress(ImportError):
            __import__(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    _close(null)
    adopt_orphans()
    namespace = fresh_namespace()
    tell(ready=True)
    run_cells(job["cells"], job["limits"], namespace)
    ask(job["questions"], job["limits"], namespace)
    tell(done=True)
    while _getpid() == FIRST:  # reached only where no cell was run in a fork
        time.sleep(60)  # it is killed long before
        break
    _exit(0)


if __name__ == "__main__":
    main()
