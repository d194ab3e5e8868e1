"""What wrong answers and hostile notebooks earn, as tables: every row is run and judged while they are printed.

.venv/bin/python -m tests.homework.tables                   all of them, some minutes
.venv/bin/python -m tests.homework.tables hw01              a homework's wrong answers
.venv/bin/python -m tests.homework.tables attacks broken    the hostile and the damaged, in the sandbox
"""

import argparse
import importlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from attacks import ATTACKS, HONEST_POINTS
from broken import BROKEN
from classroom import NUMPY, points
from handed_in import grade, lost, with_mistakes

from homework.grader import grade_cells
from homework.grader.batch import grade_folder
from homework.grader.report import number
from tools import homework as build

Rows = Iterator[tuple[str, ...]]
HONEST = sum(HONEST_POINTS.values())


def wrong_answers(name: str) -> Rows:
    """Each wrong answer of a homework: what it loses of all points, and what the student is told first."""
    table = importlib.import_module(f"test_{name}")
    full = sum(question.points for question in table.HW.asked)
    yield "wrong answer", "loses", "earns", "is told"
    for mistake, (edits, _, _) in table.WRONG.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graded = grade(table.HW, with_mistakes(table.SOLUTION, *edits))
        missing = lost(table.HW, graded)
        loses = ", ".join(f"{question} {number(gone)}" for question, gone in missing.items())
        earns = f"{number(full - sum(missing.values()))} of {number(full)}"
        yield mistake, loses or "nothing", earns, graded.said[next(iter(missing))] if missing else ""


def attacks() -> Rows:
    """Each hostile notebook: what becomes of it, and what it earns of what the honest one under it earns."""
    yield "attack", "status", "earns", "seconds"
    for attack in ATTACKS:
        outcome = grade_cells(NUMPY, attack.cells, seed=3)
        earned = [each for each in points(outcome).values() if each is not None]
        earns = f"{number(sum(earned))} of {HONEST}" if earned else "nothing was asked"
        yield attack.name, outcome.status, earns, f"{outcome.seconds:.1f}"


def broken() -> Rows:
    """Each damaged or rearranged notebook: read where it can be."""
    yield "file", "status", "points", "reason"
    with tempfile.TemporaryDirectory() as folder:
        (top := Path(folder) / "in").mkdir()
        for one in BROKEN:
            one.write(top)
        rows = {
            row.submission.name: row.outcome for row in grade_folder(NUMPY, top, Path(folder) / "out", seed=2)
        }
    for one in BROKEN:
        outcome = rows[one.name]
        yield one.name, outcome.status, number(outcome.total), outcome.reason


def tables() -> dict[str, Callable[[], Rows]]:
    """Every table, by the name one asks for it."""
    found = {folder.name: (lambda name=folder.name: wrong_answers(name)) for folder in build.masters()}
    return {**found, "attacks": attacks, "broken": broken}


def main(arguments: list[str] | None = None) -> None:
    """Print the tables that are named, or all, as Markdown; a row as soon as it is known."""
    known = tables()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(known)}; all if none is given"
    )
    for name in parser.parse_args(arguments).names or known:
        if name not in known:
            raise SystemExit(f"expected one of {', '.join(known)}, got {name!r}")
        print(f"\n## {name}\n")
        for line, row in enumerate(known[name]()):
            print("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |", flush=True)
            if line == 0:
                print("|" + " --- |" * len(row))


if __name__ == "__main__":
    main()
