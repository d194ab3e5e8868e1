"""Damaged files, forged answers, odd values: each has a row and a reason, and none of them breaks the grader."""

import csv
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken import BROKEN
from classroom import DEMO, NUMPY
from hypothesis import given
from hypothesis import strategies as st

from homework.grader import Check, Let, Name, grade_cells, load, report
from homework.grader.batch import grade_folder
from homework.grader.frames import Reader, Run
from homework.grader.grade import Outcome, draw, judge
from homework.grader.inside import plain
from homework.grader.report import Row, feedback
from homework.grader.submissions import Submission
from tools import homework as build

NAMES = sorted(path.parent.name for path in (build.ROOT / "homework").glob("hw*/questions.py"))


@pytest.fixture(scope="module")
def graded(works, tmp_path_factory) -> dict[str, dict[str, str]]:
    """The rows of the whole table, with each student's feedback beside them."""
    folder: Path = tmp_path_factory.mktemp("class") / "in"
    folder.mkdir()
    for one in BROKEN:
        one.write(folder)
    out = folder.with_name("out")
    grade_folder(NUMPY, folder, out, seed=2)
    with open(out / "grades.csv", newline="", encoding="utf-8") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    for name, row in rows.items():
        row["feedback"] = (out / "feedback" / f"{report.file_name(name)}.md").read_text(encoding="utf-8")
    return rows


@pytest.mark.parametrize("one", BROKEN, ids=lambda one: one.name)
def test_what_comes_in_has_a_row_and_a_reason(one, graded):
    """Read where it can be, refused with the reason where it can't, and never a zero for what was not graded."""
    row = graded[one.name]
    assert (row["status"], row["total"]) == (one.status, report.number(one.total))
    assert one.says in row["reason"] + row["feedback"]
    twin = {"the same file, first time": "second", "the same file, second time": "first"}.get(one.name)
    assert (f"the same file, {twin} time" if twin else "") in row["same_as"]


def test_nobody_is_left_out(graded):
    """As many rows as files."""
    assert set(graded) == {one.name for one in BROKEN}


# ---- what a hostile notebook can send in place of an answer -----------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ARRAYS = st.tuples(
    st.sampled_from([*plain.DTYPES, "object", "str", "complex128"]),
    st.lists(st.integers(-1, 3), max_size=3),
    st.sampled_from(["", "AAAA", "AAAAAAAAAAA=", "!"]),
).map(lambda parts: {"array": list(parts)})
VALUES = st.recursive(
    JSON | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: {"list": items}),
        st.lists(inner, max_size=3).map(lambda items: {"tuple": items}),
        st.lists(st.tuples(st.text(max_size=3), inner), max_size=3).map(lambda pairs: {"dict": [*map(list, pairs)]}),
        st.lists(inner, max_size=3).map(lambda items: {"named": [[f"f{i}" for i in range(len(items))], items]}),
    ),
    max_leaves=6,
)  # fmt: skip
EXPECTED = [
    np.zeros((2, 3)), np.zeros(()), np.arange(3), 1.5, 2, True, None, "text", [1, np.zeros(2)], {"a": 1.0, "b": [2]}
]  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["value", "problem", "text", "names"]), VALUES | st.just("missing"), max_size=4
    )
)
def test_a_forged_answer_is_wrong_and_nothing_worse(answer):
    """Whatever JSON stands in its place, it crosses as a frame, and a fault or None comes of it, never an exception."""
    crossed = plain.load(json.dumps(answer).encode("ascii"))
    for expected in EXPECTED:
        fault = judge(Check("p", Name("x"), expected), crossed, "q1")
        assert fault is None or (type(fault) is str and fault.encode() and fault.isprintable())


def test_numbers_of_any_length_are_refused():
    """More than 64 bits make no array."""
    for number in (2**64, -(2**63) - 1, 10**4000):
        said = judge(Check("p", Name("x"), np.zeros(())), {"value": number}, "q1")
        assert said == "gives what is not an answer"


def test_noise_in_the_stream_ends_in_a_state():
    """Bytes at random, and well-formed frames with bytes turned: the reader stops or goes on, and never raises."""
    rng = random.Random(0)
    whole = b"".join(
        plain.dump(part)
        for part in (
            {"ready": True},
            {"cell": 1, "state": "ran", "error": None, "why": ""},
            {"question": 0, "check": 0, "bytes": 9},
            {"value": 1},
            {"question": 1, "check": 0, "state": "late"},
            {"done": True},
        )
    )
    states = set()
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        reader = Reader(Run())
        reader.feed(bytes(data))
        states.add(reader.run.state)
    assert states == {"done", "ended", "garbled"}


# ---- what a student's value may be when a judge sees it ----------------------------------------------------

NAMED = plain.Named(("h", "c"), (1.0, None))
ODD: list[Any] = [
    None, True, 0, -1, 7, 2**63, 1e300, float("nan"), float("inf"), "", "A", "text\ud800", [], [1, "a"],
    [[1], [1, 2]], (), {}, {"a": 1}, {"value": [None]}, NAMED, np.zeros(()), np.zeros(0), np.zeros(3),
    np.array([1, 2]), np.zeros((2, 3)), np.full(30, np.nan), np.array([np.inf]), np.zeros(30, "float16"),
    np.array([True]), np.zeros((0, 4)), [np.zeros(2)] * 3, np.array(7), np.array(2**63, "uint64"), ["A"] * 3,
]  # fmt: skip


def _answers(ask: Any, one: Any) -> Iterator[Any]:
    """The odd value alone, and in each place of what was asked; a seed elsewhere is a seed."""
    yield one
    while isinstance(ask, Let):
        ask = ask.result
    if type(ask) in (list, tuple, dict):
        keys = list(ask) if isinstance(ask, dict) else list(range(len(ask)))
        likely = {key: 3 if ask[key] == Name("SEED") else 1.0 for key in keys}
        for spoilt in [*([key] for key in keys), keys]:
            values = [one if key in spoilt else likely[key] for key in keys]
            yield dict(zip(keys, values, strict=True)) if isinstance(ask, dict) else type(ask)(values)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["demo", *NAMES])
def test_no_judge_stumbles_over_an_odd_value(name):
    """A mistake in a judge leaves a student without points: whatever the value, a judge says None or what is wrong."""
    homework = DEMO if name == "demo" else load(name)
    for checks, question in zip(draw(homework, 5), homework.asked, strict=True):
        for check in checks:
            for value in (value for one in ODD for value in _answers(check.ask, one)):
                judge(check, {"value": plain.encode(value)}, question.name)  # raises BadHomework


# ---- what is written ---------------------------------------------------------------------------------------


def test_a_student_s_words_are_words_in_the_feedback():
    """No HTML, no link, no picture and no heading of theirs comes to life where the feedback is rendered."""
    outcome = Outcome("graded", 1, points={"q1": 0.0}, total=0.0)
    outcome.messages = {
        "q1": ["values (0 of 2): raised E: <img src=http://x.example/y> ![a](http://x.example) </b>."]
    }
    outcome.cells = ["Code cell 1 (# <script>alert(1)</script>) raised E: 1 < 2 <= 3."]
    row = Row(Submission("<b>eve", None, "<b>eve"), outcome)
    text = feedback(NUMPY, row)
    assert not any(tag in text for tag in ("<img", "<script", "</", "<b>", "]("))
    assert "1 < 2 <= 3" in text


def test_what_was_not_asked_has_no_total(works):
    """A notebook that ended the program: no points, no total, no zero, and the feedback says who will look at it."""
    outcome = grade_cells(NUMPY, ["import os\nos.kill(-1, 9)"], seed=1)
    assert (outcome.status, outcome.total) == ("stopped", None)
    text = feedback(NUMPY, Row(Submission("eve", None, "eve"), outcome))
    assert "no points yet; your instructor will look at it" in text


def test_a_stopped_process_is_no_answer(works):
    """SIGSTOP to the program that asks: the wall clock outside ends it."""
    limits = replace(NUMPY.limits, total=4)
    stops = "import os\nos.kill(os.getppid(), 19)\nwhile 1: pass"
    outcome = grade_cells(replace(NUMPY, limits=limits), [stops, "x = 1"], seed=1)
    assert (outcome.status, outcome.total) == ("stopped", None)
    assert "longer than the 4 s" in outcome.reason
    assert outcome.seconds < limits.start
    assert outcome.cells == [
        "Code cell 1 (import os) was running then.",
        "Code cell 2 (x = 1) was not reached.",
    ]
