"""Look at the processes of a sandbox from outside: which there are, and how much memory they take together."""

import os
from pathlib import Path


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
    whole = sum(_own(pid) for pid in pids) >> 10
    return whole if whole <= limit else sum(_share(pid) for pid in pids) >> 10


def _own(pid: int, *, tables: bool = False) -> int:
    """Kilobytes: anonymous and shared memory, what is swapped out, page tables; the last alone with `tables`."""
    told = _kilobytes(f"/proc/{pid}/status")
    names = ("VmPTE",) if tables else ("RssAnon", "RssShmem", "VmSwap", "VmPTE")
    return sum(told.get(name, 0) for name in names)


def _share(pid: int) -> int:
    """Kilobytes, each divided by the number of processes that share it."""
    told = _kilobytes(f"/proc/{pid}/smaps_rollup")
    if not told:  # gone, or not ours to read
        return _own(pid)
    own = told.get("Pss_Anon", told.get("Pss", 0))  # a kernel before 5.0 has the sum alone
    return own + told.get("Pss_Shmem", 0) + told.get("SwapPss", 0) + _own(pid, tables=True)


def _kilobytes(path: str) -> dict[str, int]:
    """The lines "name: number kB" of one of the kernel's files; empty where it cannot be read."""
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if len(pair) == 3 and pair[1].isdigit()}


def files(pid: int, places: list[str]) -> int:
    """How many files there are in file systems that this process sees; 0 where that can't be known."""
    try:
        found = [os.statvfs(f"/proc/{pid}/root{place}") for place in places]
    except OSError:
        return 0
    return sum(one.f_files - one.f_ffree for one in found)
