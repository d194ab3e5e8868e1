"""Homework 1: its reference is right, its solution earns everything, each mistake costs what it should and is named."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from handed_in import assert_costs, grade, loaded, lost, run, seeds, solution, student

from homework.grader import grade_cells
from unrolled.cells import RNNState, rnn_step

HW, questions, reference = loaded("hw01")
SOLUTION = solution("hw01")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_the_reference_agrees_with_the_library_and_autograd():
    """Loss and gradients once more: the library's step, torch's loss, autograd."""
    given = questions.draw_batch(np.random.default_rng(0))
    loss, grads = reference.bptt(*given)
    x, targets, lengths = map(torch.tensor, given[:3])
    p = {name: torch.tensor(value, requires_grad=True) for name, value in given[3].items()}
    state, h = RNNState(p["h_0"].expand(len(x), -1)), []
    for x_t in x.unbind(1):
        h_t, state = rnn_step(x_t, state, p["W_xh"], p["W_hh"], p["b_h"])
        h.append(h_t)
    logits = torch.stack(h, 1) @ p["W_hy"].mT + p["b_y"]
    there = torch.arange(targets.shape[1]) < lengths[:, None]
    expected = torch.nn.functional.cross_entropy(logits[there], targets[there])
    assert abs(expected.item() - loss) < 1e-12
    for name, found in zip(p, torch.autograd.grad(expected, list(p.values())), strict=True):
        assert np.abs(found.numpy() - grads[name]).max() < 1e-12, name


def test_the_solution_earns_every_point_for_every_draw():
    for seed in seeds():
        graded = grade(HW, SOLUTION, seed)
        assert lost(HW, graded) == {}, graded.said
    assert sum(graded.points.values()) == 30


def test_the_blank_copy_earns_nothing():
    graded = grade(HW, student("hw01"))
    assert set(graded.points.values()) == {0}


@pytest.mark.parametrize("gives", ["x", "h", "np.zeros_like(h)"])
def test_a_step_that_is_none_does_not_earn_the_sequence(gives):
    """What carries nothing leaves no mistake of a sequence to show: the same from both functions is no answer."""
    nothing = f"""
def rnn_step(x, h, *w): return {gives}
def rnn_sequence(x, h_0, *w): return np.stack([rnn_step(x_t, h_0) for x_t in x.swapaxes(0, 1)], 1)
"""
    assert grade(HW, [*SOLUTION, nothing]).points["q2"] == 0


def test_a_constant_leaves_nothing_alone():
    """A function that moves nothing has not shown that it puts anything back."""
    graded = grade(HW, [*SOLUTION, "def slope_along(loss, params, v, eps): return 1.0"])
    assert graded.points["q7"] == 0


def test_in_the_sandbox_too(works):
    full, none = (grade_cells(HW, cells, seed=1) for cells in (SOLUTION, student("hw01")))
    assert (full.status, full.total, full.cells) == ("graded", 30, []), full.messages
    assert (none.status, none.total, none.cells) == ("graded", 0, [])


def test_the_checks_in_the_notebook_pass_with_the_solution_and_report_without(recwarn):
    _, said = run(SOLUTION, train=True)
    told = [
        line
        for line in said.splitlines()
        if line.startswith(("Question", "Your gradient", "Training", "Writing"))
    ]
    assert len(told) == 12 and all(line.endswith(": these checks pass") for line in told), told
    _, said = run(student("hw01"), train=True)
    told = [line for line in said.splitlines() if line.startswith("Question")]
    assert len(told) == 9 and all(line.endswith("not answered yet") for line in told), told


def test_every_seed_has_a_network_with_one_story():
    """The three stories are far apart: no seed lies between two of them."""
    seen = set()
    for seed in range(60):
        x, W_xh, W_hh, b_h = reference.network(seed)
        h = reference.sequence(x, np.zeros((1, 16)), W_xh, W_hh, b_h)
        largest, slope = np.linalg.norm(W_hh, 2), (1 - h**2).mean()
        norms, story = reference.delta_norms(seed)
        factor = (norms[0] / norms[-1]) ** (1 / 29)
        seen.add(story)
        if story == "A":
            assert largest < 0.9 and slope > 0.9 and factor < 0.9
        elif story == "B":
            assert largest > 1.2 and slope < 0.4 and factor < 0.9
        else:
            assert largest > 1.2 and slope > 0.9 and factor > 1.2
    assert seen == {"A", "B", "C"}


WRONG = {
    "W_hh transposed in the step": (
        [("h @ W_hh.T + b_h", "h @ W_hh + b_h")],
        {"q1": 3, "q6": 6, "q9": 3},
        "your W_hh is transposed",
    ),
    "no b_h": (
        [("h @ W_hh.T + b_h", "h @ W_hh.T")],
        {"q1": 3, "q6": 6, "q9": 2},
        "your b_h does not reach h_t",
    ),
    "no tanh": (
        [("return np.tanh(x_t @ W_xh.T + h @ W_hh.T + b_h)", "return x_t @ W_xh.T + h @ W_hh.T + b_h")],
        {"q1": 3, "q6": 6, "q9": 3},
        "tanh is missing",
    ),
    "off by one in time": (
        [
            (
                "        h = rnn_step(x[:, t], h, W_xh, W_hh, b_h)\n        states.append(h)",
                "        states.append(h)\n        h = rnn_step(x[:, t], h, W_xh, W_hh, b_h)",
            )
        ],
        {"q2": 2, "q6": 6, "q9": 3},
        "off by one in time: place t must hold h_t, yours holds h_(t-1)",
    ),
    "not carried": (
        [("        h = rnn_step(x[:, t], h, W_xh", "        h = rnn_step(x[:, t], h_0, W_xh")],
        {"q2": 2, "q6": 6, "q9": 3},
        "the state is not carried: every step starts from h_0",
    ),
    "sum loss": (
        [("(each * there).sum() / lengths.sum()", "(each * there).sum()")],
        {"q3": 3, "q6": 1},
        "a sum where the mean was asked for",
    ),
    "padding in the mean": (
        [("return (each * there).sum() / lengths.sum()", "return each.mean()")],
        {"q3": 3, "q6": 1},
        "padding counts in your mean",
    ),
    "softmax over the wrong axis": (
        [
            ("logits.max(axis=-1, keepdims=True)", "logits.max(axis=1, keepdims=True)"),
            (
                "np.log(np.exp(shifted).sum(axis=-1, keepdims=True))",
                "np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            ),
        ],
        {"q3": 3, "q6": 1},
        "the softmax runs over the wrong axis (time)",
    ),
    "overflow": (
        [("shifted = logits - logits.max(axis=-1, keepdims=True)", "shifted = logits")],
        {"q3": 1},
        "exp overflows: take the largest logit away first",
    ),
    "gradient of the padding": (
        [
            (
                "(p - np.eye(logits.shape[-1])[targets]) * there[..., None] / lengths.sum()",
                "(p - np.eye(logits.shape[-1])[targets]) / lengths.sum()",
            )
        ],
        {"q4": 2, "q6": 5},
        "padding gets a gradient",
    ),
    "gradient sum": (
        [("* there[..., None] / lengths.sum()", "* there[..., None]")],
        {"q4": 2, "q6": 5},
        "a sum where the mean was asked for",
    ),
    "no slope": (
        [("delta = d_h * (1 - h_t**2)", "delta = d_h")],
        {"q5": 4, "q6": 4, "q9": 3},
        "the slope of tanh is missing",
    ),
    "slope twice": (
        [("delta = d_h * (1 - h_t**2)", "delta = d_h * (1 - np.tanh(h_t)**2)")],
        {"q5": 4, "q6": 4, "q9": 3},
        "the slope is 1 - h_t^2",
    ),
    "W_hh transposed back": (
        [('"h": delta @ W_hh,', '"h": delta @ W_hh.T,')],
        {"q5": 1, "q6": 4, "q9": 3},
        "W_hh goes back transposed",
    ),
    "mean over rows": (
        [('"b_h": delta.sum(axis=0)', '"b_h": delta.mean(axis=0)')],
        {"q5": 1, "q6": 1},
        "a mean over the rows: the shares of the rows add up",
    ),
    "h_t in W_hh share": (
        [("delta.T @ h_before", "delta.T @ h_t")],
        {"q5": 1, "q6": 1},
        "off by one in time: W_hh met h_(t-1), yours is h_t",
    ),
    "W_hh share transposed": (
        [("delta.T @ h_before", "h_before.T @ delta")],
        {"q5": 1, "q6": 1},
        "your gradient of W_hh is transposed",
    ),
    "gradient stays": (
        [("d_h = d_logits[:, t] @ W_hy + d_next", "d_h = d_logits[:, t] @ W_hy")],
        {"q6": 4},
        "the gradient does not travel: W_hh^T delta_(t+1) is missing",
    ),
    "overwritten": (
        [("grads[name] += share", "grads[name] = share")],
        {"q6": 3},
        "the shares of all times add up, yours overwrite one another",
    ),
    "first left out": (
        [("for t in reversed(range(T)):\n        before", "for t in reversed(range(1, T)):\n        before")],
        {"q6": 4},
        "the share of the first step is missing",
    ),
    "h_0 mean": (
        [("d_next.sum(axis=0)", "d_next.mean(axis=0)")],
        {"q6": 1},
        "every row starts from the same h_0, so the rows' shares add up",
    ),
    "h_0 zero in share": (
        [
            (
                "before = h[:, t - 1] if t else h_0\n        d_h",
                "before = h[:, t - 1] if t else 0 * h_0\n        d_h",
            )
        ],
        {"q6": 1},
        "the share of the first step is missing",
    ),
    "forward difference": (
        [("(loss(above) - loss(below)) / (2 * eps)", "(loss(above) - loss(params)) / eps")],
        {"q7": 2},
        "this goes forwards only: take the loss on both sides",
    ),
    "changes params": (
        [
            (
                "    above = {name",
                "    for name in params:\n        params[name] += 0.0 + 1e-3\n    above = {name",
            )
        ],
        {"q7": 3},
        "got 8.2039, expected 8.1985 (allowed difference 1e-08)",
    ),
    "clipped each": (
        [
            (
                "shrink * grads[name] for name in params}",
                "min(1.0, max_norm / np.linalg.norm(grads[name])) * grads[name] for name in params}",
            )
        ],
        {"q8": 1},
        "each gradient is clipped by itself: their directions change",
    ),
    "always to max_norm": (
        [("min(1.0, max_norm / norm)", "max_norm / norm")],
        {"q8": 1},
        "a gradient below max_norm must pass as it is",
    ),
    "uphill": (
        [("params[name] - rate", "params[name] + rate")],
        {"q8": 2},
        "the step goes uphill",
    ),
    "norms backwards": (
        [("np.array(found[::-1])", "np.array(found)")],
        {"q9": 3},
        "the order is turned: norms[0] belongs to t = 1",
    ),
    "30 steps": (
        [("(1 / (len(norms) - 1))", "(1 / len(norms))")],
        {"q9": 1},
        "there are 29 steps between 30 times",
    ),
    "another story": (
        [
            (
                'story = "A" if largest < 1 else "B" if slope < 0.7 else "C"',
                'story = "A" if largest > 1 else "B"',
            )
        ],
        {"q9": 1},
        "not what happens in your network",
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_costs_what_it_should_and_is_named(name):
    assert_costs(HW, SOLUTION, *WRONG[name])
