"""Notebooks as students hand them in: the solution with mistakes put in, run and judged in this process.

The sandbox is tested elsewhere. Here the questions are: what is asked, what a mistake costs, and what is said of it.
"""

import contextlib
import importlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from homework.grader import Homework, load
from homework.grader.expressions import wire
from homework.grader.grade import draw, judge
from homework.grader.notebook import cell_of
from tools import homework as build

sys.path.append(str(Path(build.ROOT) / "homework" / "grader" / "inside"))
from answers import answer  # inside the sandbox these are found by their names
from cellrun import run_cell

FENCE = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
_drawn: dict[tuple[str, int], Any] = {}  # checks by homework and seed: every mistake meets the same


class Graded(NamedTuple):
    """What an answer earned, what the grader says of each question, and what the notebook's own checks printed."""

    points: dict[str, float]
    said: dict[str, str]
    printed: str


def loaded(name: str) -> tuple[Homework, Any, Any]:
    """A homework, the module of its questions, and its reference."""
    homework = load(name)
    module = next(
        m for m in [*sys.modules.values()] if getattr(m, "HOMEWORK", None) and m.HOMEWORK.name == name
    )
    return homework, module, importlib.import_module(f"{module.__name__}.reference")


def solution(name: str) -> list[str]:
    """The code cells of a master, answers and all."""
    text = (build.ROOT / "homework" / name / "master.md").read_text(encoding="utf-8")
    return [build.setup_source() if cell == "# SETUP\n" else cell for cell in FENCE.findall(text)]


def student(name: str) -> list[str]:
    """The code cells of the notebook that is handed out."""
    nb = json.loads(build.student_path(build.ROOT / "homework" / name).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in nb["cells"] if cell["cell_type"] == "code"]


def with_mistakes(cells: list[str], *edits: tuple[str, str]) -> list[str]:
    """The cells with each text replaced at its first place; a text that is not there is an error."""
    whole = "\0".join(cells)
    for old, new in edits:
        assert old in whole, f"the solution has no {old!r} to spoil"
        whole = whole.replace(old, new, 1)
    return whole.split("\0")


def run(cells: list[str], train: bool = False) -> tuple[dict[str, Any], str]:
    """Run cells as a notebook would, of those that train maybe only the definitions; what they define and print."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    for number, source in enumerate(cells):
        plain = re.sub(r"^( *)%.*$", r"\1pass", source, flags=re.M)
        with contextlib.redirect_stdout(printed), contextlib.suppress(Exception):
            if cell_of(source).trains and not train:
                run_cell(plain, number, namespace, defs_only=True)
            else:
                exec(compile(plain, f"<cell {number}>", "exec"), namespace)
    return namespace, printed.getvalue()


def grade(homework: Homework, cells: list[str], seed: int = 1) -> Graded:
    """Ask and judge as the grader does, without its sandbox."""
    with np.errstate(all="ignore"):
        namespace, printed = run(cells)
    return judged(homework, namespace, seed, printed)


def judged(homework: Homework, namespace: dict[str, Any], seed: int = 1, printed: str = "") -> Graded:
    """What a notebook earns that has left these names."""
    points, said = {}, {}
    if (homework.name, seed) not in _drawn:
        _drawn[homework.name, seed] = draw(homework, seed)
    for question, checks in zip(homework.asked, _drawn[homework.name, seed], strict=True):
        faults: dict[str, str] = {}
        for check in checks:
            with np.errstate(all="ignore"):
                fault = judge(check, answer(wire(check.ask), namespace), question.name)
            if fault is not None:
                faults.setdefault(check.part, fault)
        points[question.name] = sum(worth for part, worth in question.parts.items() if part not in faults)
        said[question.name] = "; ".join(f"{part}: {fault}" for part, fault in faults.items())
    return Graded(points, said, printed)


def lost(homework: Homework, graded: Graded) -> dict[str, float]:
    """Points that were not earned, by question."""
    missing = {question.name: question.points - graded.points[question.name] for question in homework.asked}
    return {name: float(points) for name, points in missing.items() if points}


def assert_costs(
    homework: Homework, cells: list[str], edits: list[tuple[str, str]], points: dict[str, float], message: str
) -> None:
    """A mistake costs these points and no others, and what is said of the first question names it."""
    graded = grade(homework, with_mistakes(cells, *edits))
    assert lost(homework, graded) == points, graded.said
    assert message in graded.said[next(iter(points))]


def seeds() -> list[int]:
    """Several draws of the inputs: no answer may depend on them."""
    return [int(seed) for seed in np.random.default_rng(0).integers(1 << 48, size=10)]
