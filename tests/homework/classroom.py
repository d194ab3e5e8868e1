"""What the homework tests share: the demonstration homework, small limits, notebooks as files, and a look inside."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from homework.grader import Check, Homework, Limits, Question, grade_cells, load
from homework.grader.grade import Outcome

DEMO = load(Path(__file__).parent / "demo")
# The hostile are stopped soon, and are given less memory to fill; q3, which needs torch, is left out.
QUICK = Limits(cell=1.5, cells=4, question=1.5, memory_mb=600)
NUMPY = replace(DEMO, questions=[q for q in DEMO.questions if q.name != "q3"], limits=QUICK)

IMPORTS = "import numpy as np\nimport os, sys, time"
STEP = "def rnn_step(x, h, W_xh, W_hh, b_h):\n    return np.tanh(x @ W_xh.T + h @ W_hh.T + b_h)"
SEQUENCE = """def rnn_sequence(xs, *weights):
    h, states = np.zeros((len(xs), 4)), []
    for t in range(xs.shape[1]):
        h = rnn_step(xs[:, t], h, *weights)
        states.append(h)
    return np.stack(states, 1)"""
LOSS = "def loss(x, y):\n    return ((x - y) ** 2).mean()"
LINEAR = "def linear(x, W, b):\n    return x @ W.T + b"
SOLUTION = [IMPORTS, STEP, SEQUENCE, LOSS, LINEAR]
BLANK = [IMPORTS, *(cell.partition("\n")[0] + "\n    ..." for cell in SOLUTION[1:])]


def points(outcome: Outcome) -> dict[str, float | None]:
    """Points of the questions that a machine grades."""
    return {name: earned for name, earned in outcome.points.items() if name != "q5"}


def words(outcome: Outcome) -> str:
    """All the words of an outcome."""
    said = [text for messages in outcome.messages.values() for text in messages]
    return " ".join([outcome.reason, *outcome.cells, *said])


def inside(cells: list[str], ask: Any, **options: Any) -> Any:
    """What an expression gives inside the sandbox once these cells have run."""
    seen: list[Any] = []
    question = Question("q", "", {"p": 1}, lambda rng: [Check("p", ask, judge=lambda got: seen.append(got))])
    given = {name: options.pop(name) for name in ("hidden", "core", "fonts") if name in options}
    outcome = grade_cells(Homework("look", "", [question], **{"limits": QUICK, **options}), cells, **given)
    assert seen, words(outcome)
    return seen[0]


def notebook(*cells: str, **top: Any) -> str:
    """A notebook of these code cells as text."""
    made = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        for i, source in enumerate(cells)
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **top})


def submissions(top: Path) -> Path:
    """A class's submissions, as a Canvas download, folders and plain files leave them."""
    honest, lost = notebook(*SOLUTION), notebook(*BLANK)
    top.mkdir()
    files = {
        "lovelaceada_4711_99_hw01.ipynb": honest,
        "hoppergrace_LATE_4712_98_hw01-1.ipynb": lost,
        "copy.ipynb": honest,
        "cut.ipynb": honest[:300],
        "empty.ipynb": "",
        "essay.pdf": "%PDF",
        "=cmd()|1.ipynb": notebook(IMPORTS, *SOLUTION[1:]),
        "submission_17/hw01.ipynb": lost,
        "submission_18/notes.txt": "",
        "submission_19/a.ipynb": honest,
        "submission_19/b.IPYNB": lost,
        "submission_19/.ipynb_checkpoints/a.ipynb": honest,
        "submission_metadata.yml": "",
        ".DS_Store": "",
        "__MACOSX/._copy.ipynb": "",
    }
    for name, text in files.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    (top / "link.ipynb").symlink_to(top / "copy.ipynb")
    return top


def table(path) -> dict[str, dict[str, str]]:
    """A CSV file's rows by their first cell."""
    with open(path, newline="", encoding="utf-8") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}
