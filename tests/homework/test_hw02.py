"""Homework 2: its reference is right, its solution earns everything, each mistake costs what it should and is named."""

import numpy as np
import pytest
import torch
from handed_in import assert_costs, grade, loaded, lost, run, seeds, solution, student

from homework.grader import grade_cells
from unrolled.cells import GATES, LSTMCell, LSTMState, RNNCell, lstm_step
from unrolled.data import stream_chunks
from unrolled.networks import unroll
from unrolled.probes import cosine_to_full, direct_path

HW, questions, reference = loaded("hw02")
SOLUTION = solution("hw02")


@pytest.fixture(autouse=True)
def _default_dtype():
    yield
    torch.set_default_dtype(torch.float32)  # the notebook sets float64


def test_the_cosines_agree_with_the_library():
    x, _, weights = reference.network(3, 4)
    cell = RNNCell(3, 8, dtype=torch.float64)
    with torch.no_grad():
        for name, weight in zip(("W_xh", "W_hh", "b_h"), weights, strict=True):
            cell.get_parameter(name).copy_(torch.tensor(weight))
    library = cosine_to_full(cell, torch.tensor(x), lambda h: h.sum(-1).square().mean(), reference.WINDOWS)
    assert np.abs(library.numpy() - reference.cosines(3, 4)).max() < 1e-10


def test_the_stream_agrees_with_the_library():
    ids = torch.arange(47)
    theirs = list(stream_chunks(ids, 3, 4))
    ours = reference.stream(ids.numpy(), 3, 4)
    assert len(theirs) == len(ours)
    for pair, other in zip(theirs, ours, strict=True):
        assert all(np.array_equal(a.numpy(), b) for a, b in zip(pair, other, strict=True))


def test_the_step_and_its_way_back_agree_with_the_library_and_autograd():
    assert tuple(reference.GATES) == GATES
    rng = np.random.default_rng(0)
    sizes = ((3, 2), (3, 4), (3, 4), (16, 2), (16, 4), 16)
    given = [rng.normal(size=size) for size in sizes]
    made = reference.lstm(*given)
    t = [torch.tensor(value, requires_grad=True) for value in given]
    h_t, state = lstm_step(t[0], LSTMState(t[1], t[2]), *t[3:])
    assert np.abs(made["h"] - h_t.detach().numpy()).max() < 1e-12
    assert np.abs(made["C"] - state.C.detach().numpy()).max() < 1e-12
    d_h, d_C = rng.normal(size=(2, 3, 4))
    ways = torch.autograd.grad((h_t * torch.tensor(d_h) + state.C * torch.tensor(d_C)).sum(), [t[5], t[2]])
    back = reference.lstm_back(d_h, d_C, *(made[gate] for gate in "ifgo"), given[2], made["C"])
    blocks = np.concatenate([back[gate].sum(0) for gate in "ifgo"])  # the bias gets every row's share
    assert np.abs(ways[0].numpy() - blocks).max() < 1e-12
    assert np.abs(ways[1].numpy() - back["C"]).max() < 1e-12


def test_the_direct_path_agrees_with_the_library():
    cell, x = LSTMCell(2, 3, dtype=torch.float64), torch.randn(1, 6, 2, dtype=torch.float64)
    f = unroll(cell, x)[2]["f"][0].detach().numpy()
    assert np.abs(direct_path(cell, x)[0].numpy() - reference.direct_path(f)).max() < 1e-12


def test_half_is_left_after_the_length():
    for length in (1, 7, 50):
        b = reference.start_bias(2, length).reshape(4, 2)
        assert np.abs(reference.sigmoid(b[1]) ** length - 0.5).max() < 1e-12
        assert not b[[0, 2, 3]].any()


def test_the_solution_earns_every_point_for_every_draw():
    for seed in seeds():
        graded = grade(HW, SOLUTION, seed)
        assert lost(HW, graded) == {}, graded.said
    assert sum(graded.points.values()) == 28 and [w.points for w in HW.written] == [2]


def test_the_blank_copy_earns_nothing():
    graded = grade(HW, student("hw02"))
    assert set(graded.points.values()) == {0}


def test_in_the_sandbox_too(works):
    full, none = (grade_cells(HW, cells, seed=1) for cells in (SOLUTION, student("hw02")))
    assert (full.status, full.total, full.cells) == ("graded", 28, []), full.messages
    assert (none.status, none.total, none.cells) == ("graded", 0, [])


def test_the_checks_in_the_notebook_pass_with_the_solution_and_report_without():
    _, said = run(SOLUTION)
    told = [line for line in said.splitlines() if line.startswith("Question")]
    assert len(told) == 9 and all(line.endswith(": these checks pass") for line in told), told
    _, said = run(student("hw02"), train=True)
    told = [line for line in said.splitlines() if line.startswith(("Question", "Your measurement"))]
    assert len(told) == 10 and all(line.endswith("not answered yet") for line in told), told


WRONG = {
    "nothing cut": (
        [("            h = h.detach()\n", "            pass\n")],
        {"q1": 3, "q3": 3},
        "nothing is cut: the gradient goes all the way",
    ),
    "every step cut": (
        [("if t > 0 and t % k == 0", "if t > 0")],
        {"q1": 3, "q3": 3},
        "every step is cut: the gradient must cross the steps of its own window",
    ),
    "one late": (
        [("if t > 0 and t % k == 0", "if t > 0 and t % k == 1")],
        {"q1": 3, "q3": 3},
        "the windows are cut one step too late",
    ),
    "answer detached": (
        [
            (
                "        states.append(h)\n    return torch.stack(states, dim=1)",
                "        states.append(h.detach())\n    return torch.stack(states, dim=1)",
            )
        ],
        {"q1": 3, "q3": 3},
        "the answer itself is detached: no gradient gets in",
    ),
    "reset": (
        [("h = h.detach()", "h = torch.zeros_like(h)")],
        {"q1": 3, "q3": 3},
        "the state starts from zero in each window: carry it",
    ),
    "h_0 cut": (
        [("if t > 0 and t % k == 0", "if t % k == 0")],
        {"q1": 1},
        "h_0 is cut off: cut between windows, not before the first",
    ),
    "interleaved": (
        [
            (
                "x = ids[: B * length].view(B, length)\n    y = ids[1 : B * length + 1].view(B, length)",
                "x = ids[: B * length].view(length, B).T\n    y = ids[1 : B * length + 1].view(length, B).T",
            )
        ],
        {"q2": 3},
        "rows are interleaved: a row is one stretch of the text",
    ),
    "targets not ahead": (
        [("y = ids[1 : B * length + 1]", "y = ids[: B * length]")],
        {"q2": 1},
        "targets must be one step ahead of inputs",
    ),
    "rest missing": (
        [("for s in range(0, length, k)]", "for s in range(0, length - length % k, k)]")],
        {"q2": 3},
        "the last, shorter chunk is missing",
    ),
    "not divided": (
        [("return torch.cosine_similarity(*found, dim=0).item()", "return (found[0] @ found[1]).item()")],
        {"q3": 3},
        "not divided by the lengths of the two gradients",
    ),
    "W_hh alone": (
        [
            (
                "grads = torch.autograd.grad(loss, weights)\n",
                "grads = torch.autograd.grad(loss, weights)[1:2]\n",
            )
        ],
        {"q3": 3},
        "all three weights together, yours is W_hh alone",
    ),
    "gates swapped i f": (
        [("a_i, a_f, a_g, a_o = (x_t", "a_f, a_i, a_g, a_o = (x_t")],
        {"q4": 4},
        "gates swapped: the rows stand in the order i f g o, you read them as f i g o",
    ),
    "i f o g": (
        [("a_i, a_f, a_g, a_o = (x_t", "a_i, a_f, a_o, a_g = (x_t")],
        {"q4": 4},
        "gates swapped: the rows stand in the order i f g o, you read them as i f o g",
    ),
    "no b": (
        [("h @ W_h.mT + b).chunk", "h @ W_h.mT).chunk")],
        {"q4": 4},
        "b does not reach the gates",
    ),
    "candidate sigmoid": (
        [("a_g.tanh(), a_o.sigmoid()\n    C_t", "a_g.sigmoid(), a_o.sigmoid()\n    C_t")],
        {"q4": 4},
        "the candidate g goes through tanh, yours through the sigmoid",
    ),
    "h without tanh": (
        [("return o * C_t.tanh(), C_t", "return o * C_t, C_t")],
        {"q4": 2},
        "h_t = o tanh(C_t), yours lacks the tanh",
    ),
    "h, C swapped": (
        [("return o * C_t.tanh(), C_t", "return C_t, o * C_t.tanh()")],
        {"q4": 4},
        "12 of 12 numbers differ",
    ),
    "bias lost": (
        [("    b[1] = np.log", "    _ = np.log")],
        {"q5": 2},
        "the forget bias is lost: all zeros",
    ),
    "bias in i": (
        [("    b[1] = np.log", "    b[0] = np.log")],
        {"q5": 2},
        "this opens the input gate: the forget gate is the second block",
    ),
    "ln length": (
        [("b[1] = np.log(keep / (1 - keep))", "b[1] = np.log(length)")],
        {"q5": 2},
        "ln(length) leaves about a third, not a half",
    ),
    "d_C lacks h": (
        [("d_C = d_C + d_h * o * (1 - C_t.tanh() ** 2)", "d_C = d_C")],
        {"q6": 4},
        "dL/dC_t lacks what comes through h_t",
    ),
    "d_C from h alone": (
        [("d_C = d_C + d_h * o *", "d_C = d_h * o *")],
        {"q6": 4},
        "dL/dC_t lacks what came from the next step",
    ),
    "f met C_t": (
        [("d_C * C_before * f * (1 - f)", "d_C * C_t * f * (1 - f)")],
        {"q6": 1},
        "off by one in time: f met C_(t-1), yours is C_t",
    ),
    "no sigmoid slope of o": (
        [("d_h * C_t.tanh() * o * (1 - o)", "d_h * C_t.tanh()")],
        {"q6": 1},
        "the slope of the sigmoid is missing",
    ),
    "C not times f": (
        [('"C": d_C * f', '"C": d_C')],
        {"q6": 1},
        "C_(t-1) was multiplied by f",
    ),
    "path off by one": (
        [
            (
                "torch.cat([torch.ones_like(f[:1]), f.flip(0).cumprod(0)])",
                "torch.cat([torch.ones_like(f[:1]), torch.ones_like(f[:1]), f.flip(0).cumprod(0)[:-1]])",
            )
        ],
        {"q7": 3},
        "off by one in time: lag 1 must hold f_T already",
    ),
    "path from the front": (
        [("f.flip(0).cumprod(0)", "f.cumprod(0)")],
        {"q7": 3},
        "the lags start from the first gate: lag 1 is the last gate, f_T",
    ),
    "path sums": (
        [("f.flip(0).cumprod(0)", "f.flip(0).cumsum(0)")],
        {"q7": 3},
        "a sum where the product belongs",
    ),
    "counter forgets": (
        [("torch.tensor([-20.0, 20.0, 0.0, -20.0])", "torch.tensor([-20.0, 2.0, 0.0, -20.0])")],
        {"q8": 3},
        "expected 1",
    ),
    "counter i o swapped": (
        [
            ("[0, 0, 40, 40, 0],  # i", "[0, 0, 0, 0, 40],  # i"),
            ("[0, 0, 0, 0, 40],  # o", "[0, 0, 40, 40, 0],  # o"),
        ],
        {"q8": 4},
        "gates swapped: your rows stand in the order o f g i, expected i f g o",
    ),
    "counter always shows": (
        [("0.0, -20.0])", "0.0, 20.0])")],
        {"q8": 1},
        "h_t must be 0 where nothing is asked, got 1.00",
    ),
    "counter never shows": (
        [("[0, 0, 0, 0, 40],  # o", "[0, 0, 0, 0, 0],  # o")],
        {"q8": 1},
        "h_t must be tanh(C_t) at a ?",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_costs_what_it_should_and_is_named(name):
    assert_costs(HW, SOLUTION, *WRONG[name])
