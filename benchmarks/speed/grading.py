"""A class of 100 graded: honest, wrong, hostile and broken notebooks of every homework, and what the grader costs.

    python -m benchmarks.speed.grading            some minutes; wants a machine that does nothing else
    python -m benchmarks.speed.grading --toy      a class of eight and one homework: seconds, and nothing is stored

The notebooks are made of the homework's solutions, of the known wrong answers and the attacks in tests/homework, and
of damaged files; every one's points are compared with what it must earn. The tables go to benchmarks/results/.
"""

import argparse
import contextlib
import gc
import hashlib
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import record

NAME, COMMAND = "grading", "python -m benchmarks.speed.grading"
FOLDER = Path(__file__).parents[1] / "results"
HERE = Path(__file__).parents[2] / "tests" / "homework"
SIZE = 100
SHARES = {"honest": 0.4, "blank": 0.05, "wrong": 0.3, "hostile": 0.17}  # the rest is broken
ALONE = 5  # times the solution is graded by itself


class Handed(NamedTuple):
    """One file that is handed in, and what it must earn: None where it can't be graded."""

    kind: str
    data: bytes
    points: float | None


def _tests(module: str) -> Any:
    """A module of tests/homework: its tables are what a class hands in."""
    if str(HERE) not in sys.path:
        sys.path.append(str(HERE))
    return importlib.import_module(module)


def _some(every: list[Any], count: int) -> list[Any]:
    """That many of a list, from its beginning to its end."""
    return [every[place * len(every) // count] for place in range(count)]


def class_of(name: str, size: int) -> dict[str, Handed]:
    """A class's files by name, each of its own."""
    table, classroom, attacks, broken = map(_tests, (f"test_{name}", "classroom", "attacks", "broken"))
    handed_in, full = _tests("handed_in"), sum(question.points for question in table.HW.asked)
    hostile = [a.cells[1] for a in attacks.ATTACKS if a.cells[:1] + a.cells[2:] == attacks.HONEST]
    damaged = [one.data for one in broken.BROKEN if one.status == "unreadable" and not one.size]
    files: dict[str, Handed] = {}

    def add(kind: str, cells: list[str], points: float) -> None:
        text = classroom.notebook(*cells, f"# {kind} {len(files)}")
        files[f"{kind}-{len(files):02d}"] = Handed(kind, text.encode(), points)

    for _ in range(round(SHARES["honest"] * size)):
        add("honest", table.SOLUTION, full)
    for _ in range(round(SHARES["blank"] * size)):
        add("blank", handed_in.student(name), 0)
    for edits, lost, _ in _some(list(table.WRONG.values()), round(SHARES["wrong"] * size)):
        add("wrong", handed_in.with_mistakes(table.SOLUTION, *edits), full - sum(lost.values()))
    for code in _some(hostile, round(SHARES["hostile"] * size)):
        first, *rest = table.SOLUTION
        add("hostile", [first, f"{classroom.IMPORTS}\n{code}", *rest], full)
    for number in range(size - len(files)):
        data = damaged[number % len(damaged)]
        data = data if isinstance(data, bytes) else data.encode()
        files[f"broken-{len(files):02d}"] = Handed("broken", data, None)
    return files


def _ticks(pid: int) -> int:
    """Of a core's time: what a process took, and its children that have ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return sum(map(int, told.rpartition(")")[2].split()[11:15]))


@contextlib.contextmanager
def core_seconds(taken: list[float]) -> Iterator[None]:
    """Note of each sandbox that ends here what it took of one core, all its processes together."""
    from homework.grader import sandbox, watch

    finish = sandbox._finish

    def count(process: Any, *rest: Any) -> None:
        ticks = sum(_ticks(pid) for pid in watch.below(process.pid))
        taken.append(ticks / os.sysconf("SC_CLK_TCK"))
        finish(process, *rest)

    sandbox._finish = count
    try:
        yield
    finally:
        sandbox._finish = finish


def own_seconds(name: str) -> float:
    """What a solution's cells and answers take of one core by themselves, everything imported: the student's time."""
    handed_in, table = _tests("handed_in"), _tests(f"test_{name}")
    taken = []
    for seed in range(ALONE):
        checks = [check for drawn in handed_in.draw(table.HW, seed) for check in drawn]
        asked = [handed_in.wire(check.ask) for check in checks]
        began = time.process_time()
        namespace, _ = handed_in.run(table.SOLUTION)
        for ask in asked:
            handed_in.answer(ask, namespace)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def grade_class(name: str, size: int) -> tuple[dict[str, Any], str]:
    """Grade a class of one homework; what it took, and its table. Raises where a file did not earn what it must."""
    from homework.grader import batch, bwrap, grade_cells, load

    files = class_of(name, size)
    homework = load(name)
    with tempfile.TemporaryDirectory() as temporary:
        (folder := Path(temporary) / "in").mkdir()
        for stem, one in files.items():
            (folder / f"{stem}.ipynb").write_bytes(one.data)
        began = time.perf_counter()
        rows = batch.grade_folder(homework, folder, Path(temporary) / "out", seed=1)
        seconds = time.perf_counter() - began
        for stem, one in files.items():
            data = (folder / f"{stem}.ipynb").read_bytes()
            assert hashlib.sha256(data).digest() == hashlib.sha256(one.data).digest(), f"{stem} was changed"
        table = (Path(temporary) / "out" / "grades.csv").read_text(encoding="utf-8")
        fonts = bwrap.font_list(Path(temporary) / "fonts")
        solution = _tests(f"test_{name}").SOLUTION
        core: list[float] = []
        with core_seconds(core):
            alone = [grade_cells(homework, solution, seed, fonts=fonts).seconds for seed in range(ALONE)]
    assert len(rows) == len(files)
    kinds = defaultdict(list)
    for row in rows:
        must, earned = files[row.submission.name], row.outcome.total
        fits = (earned or 0) <= (must.points or 0) if must.kind == "hostile" else earned == must.points
        assert fits, f"{name}, {row.submission.name}: earned {earned}, must earn {must.points}: {row.outcome}"
        kinds[must.kind].append(row.outcome.seconds)
    own = own_seconds(name)
    told = {
        "submissions": len(rows),
        "seconds": round(seconds, 1),
        "median seconds": {kind: round(statistics.median(taken), 2) for kind, taken in kinds.items()},
        "counts": {kind: len(taken) for kind, taken in kinds.items()},
        "alone": {
            "seconds": round(statistics.median(alone), 2),
            "of one core": round(statistics.median(core), 2),
        },
        "own": round(own, 2),
        "beyond": round(statistics.median(core) - own, 2),
    }
    return told, table


def here() -> dict[str, set[str]]:
    """What a batch must not add to: this process's children and open files, the mounts, the shared folders."""
    from homework.grader import watch

    gc.collect()  # a kernel's client is closed when it is collected
    return {
        "processes": {str(pid) for pid in watch.below(os.getpid())},
        "open files": {f"{fd}: {told}" for fd in os.listdir("/proc/self/fd") if (told := _target(fd))},
        "mounts": set(Path("/proc/self/mounts").read_text().splitlines()),
        "files": {
            f"{place}/{name}"
            for place in ("/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~"))
            for name in os.listdir(place)
            if name.startswith(("fill", "large", "unpickled"))
        },
    }


def _target(fd: str) -> str:
    """What a descriptor of this process is open on; empty where it is closed by now."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def left_behind(before: dict[str, set[str]]) -> dict[str, list[str]]:
    """What is there and was not; what others closed in the meantime is nobody's fault."""
    return {kind: sorted(new) for kind, there in here().items() if (new := there - before[kind])}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Grade the classes, check that nothing is left behind, store the result and its tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toy", action="store_true", help="eight submissions to hw01, and nothing is stored")
    toy = parser.parse_args(arguments).toy
    from homework.grader import bwrap, sandbox
    from tools import homework as build

    sandbox.check()
    names = ["hw01"] if toy else [folder.name for folder in build.masters()]
    total = 8 if toy else SIZE
    before, classes, tables = here(), {}, {}
    for place, name in enumerate(names):
        size = total // len(names) + (place < total % len(names))
        record.say(f"{name}: {size} submissions")
        classes[name], tables[name] = grade_class(name, size)
    left = left_behind(before)
    assert not left, f"left behind: {left}"
    seconds = sum(one["seconds"] for one in classes.values())
    version = subprocess.run(
        [bwrap.find_once(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    result = {
        **record.circumstances(COMMAND),
        "bubblewrap": version.split()[-1],
        "jobs": len(os.sched_getaffinity(0)),
        "submissions": total,
        "seconds": round(seconds, 1),
        "classes": classes,
        "left behind": "nothing",
    }
    if not toy:
        record.save(NAME, result, FOLDER)
        for name, table in tables.items():
            (FOLDER / f"{NAME}-{name}.csv").write_text(table, encoding="utf-8", newline="")
        print(told())
    return result


def told() -> str:
    """The stored result in words, for the instructor's page."""
    result = record.load(NAME, FOLDER)
    assert result, f"no stored result: {COMMAND}"
    each = result["seconds"] / result["submissions"]
    numpy = result["classes"]["hw01"]["beyond"]
    torch = max(one["beyond"] for name, one in result["classes"].items() if name != "hw01")
    return (
        f"How long it takes: {result['submissions']} submissions, honest, wrong, hostile and broken, took "
        f"{result['seconds']:.0f} s on {result['processor']} with {result['jobs']} cores, so 1,000 take about "
        f"{1000 * each / 60:.0f} minutes. Beyond what a notebook's own code takes, one that uses numpy costs "
        f"{numpy:.1f} s of one core and one that uses torch at most {torch:.1f} s ({result['date']})."
    )


if __name__ == "__main__":
    main()
