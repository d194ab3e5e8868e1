"""From a notebook to points and words: what is read, what is asked, what is said."""

from dataclasses import replace

import numpy as np
import pytest
from classroom import (
    BLANK,
    DEMO,
    IMPORTS,
    LINEAR,
    LOSS,
    NUMPY,
    SEQUENCE,
    SOLUTION,
    STEP,
    inside,
    points,
    words,
)

from homework.grader import (
    Attr,
    BadHomework,
    Call,
    Check,
    Generator,
    Grads,
    Homework,
    Item,
    Let,
    Name,
    Question,
    Tensor,
    Try,
    grade_cells,
    load,
    tensors,
)
from homework.grader.compare import compare
from homework.grader.grade import draw, judge, seed_of
from homework.grader.inside.plain import Named

needs_sandbox = pytest.mark.usefixtures("works")


# ---- running the cells -----------------------------------------------------------------------------------


@needs_sandbox
def test_a_cell_that_fails_keeps_what_it_can():
    """Before the error everything, after it imports, functions and classes; the next cells run."""
    cells = ["a = 1\nraise ValueError('no')\nb = 2\nimport math\ndef f():\n    return math.pi", "c = f() > 3"]
    assert inside([*cells, "names = [n for n in 'abcf' if n in globals()]"], Name("names")) == ["a", "c", "f"]


@needs_sandbox
def test_line_magics_are_dropped_and_nothing_else():
    """Magics and shell lines do nothing, and Python that looks like one is left alone."""
    magics = "%matplotlib inline\nx = 1\nif x:\n    !ls\n    y = 2\nfiles = !ls\na, b = %time 3"
    cells = [magics, 'z = (7\n% 4)\nt = """\n!\n"""']
    assert inside(cells, (Name("x"), Name("y"), Name("z"), Name("t"))) == (1, 2, 3, "\n!\n")


@needs_sandbox
def test_a_cell_that_does_not_parse_stops_only_itself():
    """The cells after it run, and the feedback names it."""
    outcome = grade_cells(NUMPY, [IMPORTS, "def broken(:\n    pass", *SOLUTION[1:]])
    assert outcome.total == 8
    assert "Code cell 2 (def broken(:) raised SyntaxError" in words(outcome)


@needs_sandbox
def test_a_cell_that_trains_is_skipped_but_for_its_definitions():
    """Nothing of it runs; its functions are there."""
    cells = [
        "# trains\nran = True\nimport math\ndef f(): return math.pi",
        "seen = ['ran' in globals(), f() > 3]",
    ]
    assert inside(cells, Name("seen")) == [False, True]


@needs_sandbox
def test_names_are_looked_up_when_all_cells_have_run():
    """A duplicated cell's last definition counts; a variable is inspected as it is at the end."""
    assert inside(["def f(): return 1\nx = 1", "def f(): return 2\nx = 2"], (Call("f"), Name("x"))) == (2, 2)


@needs_sandbox
def test_a_notebook_s_own_classes_work():
    """Dataclasses, NamedTuples and future annotations need a real `__main__`."""
    cells = [
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import NamedTuple",
        "class State(NamedTuple):\n    h: Unknown\n    c: float\nVector = float",
        "import typing\nclass Own:\n    h: Vector\nhints = typing.get_type_hints(Own) == {'h': float}",
        "@dataclass\nclass Config:\n    size: int = 3",
        "name = __name__",
    ]
    got = inside(cells, (Call("State", 1.0, c=2.0), Call("Config"), Name("name"), Name("hints")))
    assert got == (Named(("h", "c"), (1.0, 2.0)), Named(("size",), (3,)), "__main__", True)


# ---- what is asked ---------------------------------------------------------------------------------------


@needs_sandbox
def test_expressions():
    """Calls within calls, attributes, items, bindings and several things at once."""
    cells = [
        "class M:\n    size = 3\n    def add(self, x, by=1):\n        return {'sum': [x + by]}",
        "def make(): return M()",
    ]
    added = Call(Attr(Name("m"), "add"), 4, by=Attr(Name("m"), "size"))
    assert inside(cells, Let({"m": Call("make")}, Item(Item(added, "sum"), 0))) == 7
    assert inside(cells, {"a": [Attr(Call("M"), "size"), (1, None)]}) == {"a": [3, (1, None)]}


@needs_sandbox
def test_what_is_tried_never_fails_what_is_asked_beside_it():
    """A missing name, an error, an exit and a value that may not cross are None; a good value is itself."""
    cells = [
        "def good(): return 3",
        "def bad(): raise ValueError('no')",
        "def odd(): return [good]",
        "def leave(): raise SystemExit",
    ]
    for one, gives in (("good", 3), ("bad", None), ("odd", None), ("leave", None), ("nowhere", None)):
        assert inside(cells, [Call("good"), Try([Call(one)])]) == [3, gives and [gives]], one


@needs_sandbox
def test_torch_expressions():
    """Tensors keep their dtype, a seeded generator repeats, and None says where no gradient comes."""
    import torch

    cells = [
        "import torch\ndef f(x, y):\n    return (x ** 2).sum() + y.detach().sum()",
        "def draw(g):\n    return torch.rand(2, generator=g)",
    ]
    x, y = np.arange(3.0), np.ones(2, dtype="float32")
    bound = {"x": Tensor(x, grad=True), "y": Tensor(y, grad=True)}
    asked = (
        Let(bound, Grads(Call("f", Name("x"), Name("y")), {"x": Name("x"), "y": Name("y")})),
        Let(bound, Grads(Name("x"), {"x": Name("x")}, weight=np.array([1.0, 2.0, 3.0]))),
        Call("draw", Generator(3)),
        Call("list", tensors([x, y])),
        Grads(Tensor(x), {"x": Tensor(x)}),
    )
    cells.append("from builtins import list")
    grads, weighted, drawn, dtypes, none = inside(cells, asked)
    assert grads["x"].tolist() == [0.0, 2.0, 4.0]
    assert grads["y"] is None
    assert weighted["x"].tolist() == [1.0, 2.0, 3.0]
    assert drawn.tolist() == torch.rand(2, generator=torch.Generator().manual_seed(3)).tolist()
    assert [array.dtype.name for array in dtypes] == ["float64", "float32"]
    assert none == {"x": None}


def question(*checks: Check, **parts: float) -> Homework:
    """A homework of one question."""
    return Homework("one", "", [Question("q1", "", parts or {"p": 1}, lambda rng: checks)])


@needs_sandbox
def test_a_part_is_earned_when_all_its_checks_pass():
    """Two parts, one of which fails once: half the points, and the message says which check failed."""
    checks = [Check("p", Call("f", n), n, says=f"n = {n}") for n in range(3)] + [Check("r", Call("f", 9), 9)]
    outcome = grade_cells(question(*checks, p=2, r=3), ["def f(n):\n    return n if n != 1 else 5"])
    assert outcome.points == {"q1": 3}
    assert outcome.messages["q1"] == [
        "p (0 of 2): n = 1: got 5, expected 1 (allowed difference 1e-06).",
        "r (3 of 3): right.",
    ]


@needs_sandbox
def test_a_judge_decides_outside():
    """What it returns is the message; a mistake of its own is the homework's, never a wrong answer."""
    low = Check("p", Name("x"), judge=lambda x: None if x > 3 else f"{x} is too low")
    assert grade_cells(question(low), ["x = 4"]).total == 1
    assert "2 is too low" in words(grade_cells(question(low), ["x = 2"]))
    with pytest.raises(BadHomework, match="q1: judge: TypeError"):
        grade_cells(question(low), ["x = 'four'"])


def test_a_homework_s_own_mistakes_are_named():
    """Missing parts, unknown parts, a draw that fails, both or none of expected and judge, one name twice."""
    with pytest.raises(BadHomework, match="expected checks of the parts"):
        draw(question(Check("other", 1, 1)), 0)
    with pytest.raises(BadHomework, match="q1: draw: ZeroDivisionError"):
        draw(Homework("x", "", [Question("q1", "", {"p": 1}, lambda rng: [1 / 0])]), 0)
    with pytest.raises(BadHomework, match="either"):
        Check("p", 1)
    with pytest.raises(BadHomework, match="either"):
        Check("p", 1, 1, judge=lambda got: None)
    with pytest.raises(BadHomework, match="tol"):
        Check("p", 1, 1, tol=-1)
    with pytest.raises(BadHomework, match="names that differ"):
        Homework("x", "", [*DEMO.questions, *DEMO.questions])
    with pytest.raises(BadHomework, match="points above 0"):
        Homework("x", "", [Question("q1", "", {"p": 0}, lambda rng: [])])
    with pytest.raises(BadHomework, match="HW: expected one of"):
        load("hw99")


def test_inputs_are_fresh_and_repeatable():
    """One seed draws the same inputs twice; another seed, or another notebook, draws others."""

    def inputs(seed: int) -> list[float]:
        return [check.expected.sum() for check in draw(NUMPY, seed)[0]]

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)
    assert seed_of(b"one", 1) == seed_of(b"one", 1)
    assert len({seed_of(b"one", 1), seed_of(b"two", 1), seed_of(b"one", 2)}) == 3


# ---- what is said ----------------------------------------------------------------------------------------

X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("expected", "got", "says"),
    [
        (X, X + 1e-9, None),
        (X, X.tolist(), None),
        (X, X.astype("float32"), None),
        (np.array([1e9]), np.array([1e9 + 100.0]), None),  # relative above 1
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf]), None),
        (2.0, np.array(2.0), None),
        (3, 3.0, None),
        (True, True, None),
        ((1, X), Named(("a", "b"), (1, X)), None),
        ({"b": X}, Named(("a", "b"), (1, X)), None),
        ({"a": None}, {"a": None, "more": 1}, None),
        ([1, 2], (1, 2), None),
        ("text", "text", None),
        (X, X + 1e-3, "6 of 6 numbers differ"),
        (X, X * np.nan, "got nan"),
        (X, (X + 1) * np.inf, "differ"),
        (np.array([np.inf]), np.array([-np.inf]), "got -inf, expected inf"),
        (X, X.T, r"expected shape \(2, 3\), got \(3, 2\) \(transposed\)"),
        (X, X[0], r"got \(3,\)"),
        (X, None, "got None"),
        (X, "text", "got a text"),
        (X, [[1, 2, 3], [4]], "got a list of 2"),
        (X, [], r"got \(0,\)"),
        (2.0, {"a": 1}, "expected a number, got a dict"),
        (5, 6, "got 6, expected 5"),
        (True, False, "got False, expected True"),
        ((1, 2), (1,), "expected 2 values, got 1"),
        ((1, 2), 1, "expected 2 values, got a int"),
        ({"a": 1}, {"b": 1}, "lacks 'a'"),
        ({"a": X}, {"a": X + 1}, r"answer\['a'\]: "),
        (([X],), ([X + 1],), r"answer\[0\]\[0\]: "),
        (None, 0, "expected None, got 0"),
        ("text", 1, "expected 'text', got 1"),
        (np.array([1, 2]), np.array([1, 3]), r"at \[1\] got 3, expected 2"),
        (np.array([2**53]), np.array([2**53 + 1]), "got 9007199254740993"),
    ],
)  # fmt: skip
def test_compare(expected, got, says):
    """Right within the tolerance, else where and how the answer differs."""
    difference = compare(expected, got, 1e-6)
    if says is None:
        assert difference is None
    else:
        import re

        assert re.search(says, difference or "nothing")


ROLLED = SEQUENCE.replace("np.stack(states, 1)", "np.stack([0 * h, *states[:-1]], 1)")
WRONG = [
    ("no bias", STEP.replace(" + b_h", ""), {"q1": 0, "q2": 0}, "your b_h does not reach h_t"),
    ("transposed", STEP.replace("W_hh.T", "W_hh"), {"q1": 0, "q2": 0}, "W_hh is used transposed"),
    ("one row for all", STEP.replace("x @", "x[:1] @"), {"q1": 1, "q2": 0}, "numbers differ"),
    ("off by one", SEQUENCE.replace("xs[:, t]", "xs[:, t - 1]"), {"q2": 0}, "differ"),
    ("rolled", ROLLED, {"q2": 0}, "off by one in time"),
    ("time first", SEQUENCE.replace("states, 1", "states, 0"), {"q2": 0}, "expected shape (2, 5, 4), got (5, 2, 4)"),
    ("sum", LOSS.replace("mean", "sum"), {"q3": 0}, "a sum where the mean was asked for"),
    ("detached", LOSS.replace("x - y", "x.detach() - y"), {"q3": 1}, "no gradient reaches x: it is detached"),
    ("no bias in the layer", LINEAR.replace(" + b", ""), {"q4": 0}, "the bias is missing"),
    ("renamed", LINEAR.replace("linear", "liner"), {"q4": 0}, "nothing is named linear (there is a liner)"),
    ("raises", LINEAR.replace("x @", "y @"), {"q4": 0}, "raised NameError: name 'y' is not defined"),
    ("prints", LINEAR.replace("return x @ W.T + b", "print(x @ W.T + b)"), {"q4": 0}, "None (nothing is returned)"),
]  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize(("name", "cell", "lost", "says"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_answer_loses_its_points_and_is_told_why(name, cell, lost, says):
    """Exactly the points of what is wrong, and a message that names the fault."""
    homework = DEMO if "q3" in lost else NUMPY
    outcome = grade_cells(homework, [*SOLUTION, cell], seed=5)
    if name == "renamed":
        outcome = grade_cells(homework, [*SOLUTION[:-1], cell], seed=5)
    full = {question.name: question.points for question in homework.asked}
    assert points(outcome) == {**full, **lost}
    assert says in words(outcome)


def test_a_known_mistake_that_is_no_mistake_here_is_not_named():
    """Where a draw makes a wrong variant right, an answer just outside the tolerance is not told of that mistake."""
    check = Check("p", Name("x"), 0.0, tol=1e-3, wrong={"the sign is turned": -0.0, "one too many": 1.0})
    assert "expected 0" in (judge(check, {"value": 0.0015}, "q") or "")
    assert "expected 0" in (
        judge(replace(check, wrong={"the sign is turned": 0.0009}), {"value": 0.0015}, "q") or ""
    )
    assert judge(check, {"value": 1.0}, "q") == "one too many"


@needs_sandbox
def test_the_solution_earns_everything_and_a_blank_copy_nothing():
    """Both ends of the scale; a blank answer is told so."""
    assert points(grade_cells(DEMO, SOLUTION, seed=2)) == {"q1": 3, "q2": 2, "q3": 2, "q4": 3}
    blank = grade_cells(DEMO, BLANK, seed=2)
    assert set(points(blank).values()) == {0}
    ellipsis = grade_cells(NUMPY, ["rnn_step = rnn_sequence = linear = lambda *a: ..."], seed=2)
    assert words(ellipsis).count("an ellipsis (...): not answered yet") == 4


@needs_sandbox
def test_seconds_and_seed_are_kept():
    """The outcome says what it took and what it was drawn from."""
    outcome = grade_cells(NUMPY, SOLUTION, seed=77)
    assert outcome.seed == 77
    assert outcome.seconds > 0
    assert replace(outcome).as_json()["points"]["q5"] is None
