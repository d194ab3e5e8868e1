"""Grade one notebook: draw inputs, run it in the sandbox, compare what comes back, say it in words."""

import difflib
import hashlib
import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from homework.grader import sandbox
from homework.grader.compare import compare
from homework.grader.expressions import Expr, Generator, Grads, Let, Tensor, wire
from homework.grader.inside import plain
from homework.grader.notebook import Cell, cell_of
from homework.grader.questions import UNSET, BadHomework, Check, Homework, Question

STATES = {
    "late": "ran longer than the {total:g} s a submission has",
    "memory": "took more than {sum_mb} MB of memory",
    "processes": "started too many processes",
    "files": "made more than {files:,} files",
    "flood": "sent too much output",
    "garbled": "sent what is not an answer",
    "ended": "ended the program that asks the questions",
}
ENDS = {"late": "did not end within {question:g} s", "died": "ended or crashed Python, or ran out of memory"}
WHY = {
    "late": "did not end in time ({cell:g} s for a cell, {cells:g} s for all)",
    "died": "ended or crashed Python, or left much running or open",
    "spent": "was not run, since the cells before it took all of {cells:g} s",
}
_draws = threading.Lock()  # references may use global state, such as torch's default generator


@dataclass
class Outcome:
    """What one submission earned, and why."""

    status: str  # graded; stopped, unreadable or error: needs a look
    seed: int
    points: dict[str, float | None] = field(default_factory=dict)  # None: nobody knows (yet)
    total: float | None = None  # None: at least one question was not asked
    reason: str = ""
    messages: dict[str, list[str]] = field(default_factory=dict)
    cells: list[str] = field(default_factory=list)  # what went wrong while the cells ran
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return asdict(self)


def tidy(text: str, longest: int = 400) -> str:
    """A student's text in one line, without control characters."""
    shown = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text[: 2 * longest])
    shown = " ".join(shown.split())
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def seed_of(content: bytes, root: int) -> int:
    """One submission's seed: the same file under the same root seed gets the same inputs."""
    return int.from_bytes(hashlib.sha256(content + root.to_bytes(16, "big")).digest()[:6], "big")


def draw(homework: Homework, seed: int) -> list[list[Check]]:
    """The checks of every question, their inputs drawn afresh and their answers worked out."""
    drawn = []
    for number, question in enumerate(homework.asked):
        try:
            with _draws:
                checks = list(question.draw(np.random.default_rng([seed, number])))
        except Exception as error:
            raise BadHomework(f"{question.name}: draw: {type(error).__name__}: {error}") from error
        parts = {check.part for check in checks}
        if parts != set(question.parts):
            raise BadHomework(
                f"{question.name}: expected checks of the parts {set(question.parts)}, got {parts}"
            )
        drawn.append(checks)
    return drawn


def warm(homework: Homework, cells: Sequence[Cell], drawn: list[list[Check]]) -> list[str]:
    """What to import before the clock of the first cell starts."""
    source = "\n".join(cell.source for cell in cells)
    library = homework.library and re.search(r"\bunrolled\b", source)
    asked = any(_needs_torch(check.ask) for checks in drawn for check in checks)
    torch = library or asked or re.search(r"\btorch\b", source)
    draws = library or re.search(r"\bmatplotlib\b", source)
    return ["numpy", *(["torch"] if torch else []), *(["matplotlib.pyplot"] if draws else [])]


def _needs_torch(tree: Any) -> bool:
    if isinstance(tree, (Tensor, Generator, Grads)):
        return True
    if isinstance(tree, Expr):
        return any(_needs_torch(value) for value in vars(tree).values())
    if isinstance(tree, dict):
        return any(map(_needs_torch, tree.values()))
    return isinstance(tree, (list, tuple)) and any(map(_needs_torch, tree))


def grade_cells(
    homework: Homework,
    cells: Sequence[str | Cell],
    seed: int = 0,
    hidden: Sequence[Path] = (),
    fonts: Path | None = None,
    core: int | None = None,
) -> Outcome:
    """Grade the code of some cells; raises BadHomework for a mistake in the homework, Unusable without a sandbox."""
    code = [cell if isinstance(cell, Cell) else cell_of(cell) for cell in cells]
    drawn = draw(homework, seed)
    job = {
        "cells": [cell.wire() for cell in code],
        "questions": [[wire(check.ask) for check in checks] for checks in drawn],
        "warm": warm(homework, code, drawn),
    }
    run = sandbox.run(job, homework.limits, homework.library, list(hidden), fonts, core)
    if not run.ready:
        raise RuntimeError(f"the sandbox did not start: {tidy(run.told) or run.state}")
    outcome = Outcome("graded" if run.state == "done" else "stopped", seed, seconds=run.seconds)
    limits = vars(homework.limits) | {"sum_mb": homework.limits.sum_mb}
    if run.state != "done":
        outcome.reason = "the notebook " + STATES[run.state].format(**limits)
    outcome.cells = list(_cell_troubles(code, run, limits))
    for number, (question, checks) in enumerate(zip(homework.asked, drawn, strict=True)):
        _question(outcome, question, number, checks, run, limits)
    if run.state == "done" and None in outcome.points.values():  # it said so itself, before it was asked
        outcome.status, outcome.reason = "stopped", "the notebook " + STATES["ended"]
    for written in homework.written:
        outcome.points[written.name] = None
        outcome.messages[written.name] = [
            f"{written.title}: read by your instructor ({written.points:g} points)."
        ]
    outcome.points = {question.name: outcome.points[question.name] for question in homework.questions}
    earned = [outcome.points[question.name] for question in homework.asked]
    outcome.total = None if None in earned else sum(points or 0.0 for points in earned)
    return outcome


def _cell_troubles(code: Sequence[Cell], run: sandbox.Run, limits: dict[str, Any]) -> Any:
    last = next((number for number in range(1, len(code) + 1) if number not in run.cells), 0)
    for number, cell in enumerate(code, 1):
        report = run.cells.get(number)
        shown = tidy(next((line for line in cell.source.split("\n") if line.strip()), ""), 50)
        where = f"Code cell {number} ({shown})"
        if report is None:
            yield f"{where} {'was running then' if number == last else 'was not reached'}."
        elif report["state"] in ("late", "died"):
            yield f"{where} could not be run."
        elif report["error"]:
            yield f"{where} raised {tidy(report['error'])}."
        elif report["why"] in WHY:
            yield f"{where} {WHY[report['why']].format(**limits)}: only its imports, functions and classes were kept."


def _question(
    outcome: Outcome,
    question: Question,
    number: int,
    checks: list[Check],
    run: sandbox.Run,
    limits: dict[str, Any],
) -> None:
    """Judge one question's answers; a part is earned when each of its checks passes."""
    faults: dict[str, str] = {}
    unknown = False
    for place, check in enumerate(checks):
        answer = run.answers.get((number, place))
        if answer is not None:
            fault = judge(check, plain.load(answer), question.name)
        elif number in run.stuck:
            at, how = run.stuck[number]
            fault = ENDS[how].format(**limits) if at == place else "not asked: the question ended before"
        else:
            fault, unknown = "not asked", True
        if fault is not None:
            faults.setdefault(check.part, f"{check.says}: {fault}" if check.says else fault)
    earned = sum(points for part, points in question.parts.items() if part not in faults)
    outcome.points[question.name] = None if unknown else earned
    outcome.messages[question.name] = [
        f"{part} ({0 if part in faults else points:g} of {points:g}): {faults.get(part, 'right')}."
        for part, points in question.parts.items()
    ]


def _fits(ask: Any, got: Any) -> bool:
    """Whether an answer has the outer form of what was asked. One that was forged may not, and judges rely on it."""
    while isinstance(ask, Let):
        ask = ask.result
    if type(ask) not in (list, tuple, dict):
        return True
    if type(got) is not type(ask) or len(got) != len(ask):
        return False
    if isinstance(ask, dict):
        return set(ask) == set(got) and all(_fits(ask[key], got[key]) for key in ask)
    return all(_fits(*pair) for pair in zip(ask, got, strict=True))


def judge(check: Check, answer: dict[str, Any], name: str) -> str | None:
    """None where the answer is right, else what is wrong with it."""
    problem, text = answer.get("problem"), answer.get("text")
    text = text if type(text) is str else "an error"
    if problem == "missing":
        missing, names = tidy(text, 80), answer.get("names")
        known = [n[:80] for n in names[:200] if type(n) is str] if type(names) is list else []
        near = difflib.get_close_matches(missing, known, 1, 0.7)
        return f"nothing is named {missing}" + (f" (there is a {tidy(near[0], 80)})" if near else "")
    if problem == "raised":
        return f"raised {tidy(text)}"
    if problem is not None:
        return f"gives {tidy(text)}"
    try:
        got = plain.decode(answer["value"])
    except (plain.NotPlain, KeyError):
        return "gives what is not an answer"
    if check.judge is not None:
        if not _fits(check.ask, got):
            return "gives what is not an answer"
        try:
            with _draws:
                said = check.judge(got)
        except Exception as error:
            raise BadHomework(f"{name}: judge: {type(error).__name__}: {error}") from error
        return None if said is None else tidy(said)
    assert check.expected is not UNSET
    difference = compare(check.expected, got, check.tol)
    if difference is None:
        return None
    for message, variant in check.wrong.items():
        if (
            compare(variant, got, check.tol) is None
            and compare(check.expected, variant, check.tol) is not None
        ):
            return message
    return tidy(difference)
