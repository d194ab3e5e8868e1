"""Look at the processes of a sandbox from outside: which there are, and how much memory they take together."""

import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def below(pid: int) -> list[int]:
    """A process and everything below it."""
    found, todo, children = [], [pid], _children
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):  # a kernel without CONFIG_PROC_CHILDREN
        parents = {int(name): _parent(name) for name in os.listdir("/proc") if name.isdigit()}
        children = lambda one: [child for child, parent in parents.items() if parent == one]  # noqa: E731
    while todo:
        found.append(todo.pop())
        todo += children(found[-1])
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        told = [Path(f"/proc/{pid}/task/{task}/children").read_text() for task in tasks]
    except OSError:
        return []
    return [int(child) for text in told for child in text.split()]


def _parent(name: str) -> int:
    try:
        return int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def megabytes(pids: list[int], limit: int) -> int:
    """The processes' own memory. Where that seems too much it is looked at closely: forks share most of theirs."""
    whole = sum(_statm(pid) for pid in pids) >> 20
    return whole if whole <= limit else sum(_share(pid) for pid in pids) >> 20


def _statm(pid: int) -> int:
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * PAGE


def _share(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # gone, or not ours to read
        return _statm(pid)
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in told.splitlines()[1:]}
    return 1024 * (kilobytes.get("Pss_Anon:", kilobytes["Pss:"]) + kilobytes.get("Pss_Shmem:", 0))
