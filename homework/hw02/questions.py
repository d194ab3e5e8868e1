"""Homework 2: what is asked, what is expected, and what the likely mistakes give. See homework/README.md."""

import itertools

import numpy as np
import torch

from homework.grader import (
    Call,
    Check,
    Grads,
    Homework,
    Item,
    Let,
    Name,
    Question,
    Tensor,
    Written,
    seed_fault,
    tensors,
)
from homework.grader.compare import as_array, compare

from . import reference

TOL = 1e-8
WINDOW_FAULTS = {
    "nothing is cut: the gradient goes all the way": "whole",
    "every step is cut: the gradient must cross the steps of its own window": "each",
    "the windows are cut one step too late": "late",
    "the windows are cut one step too early": "early",
    "h_0 is cut off: cut between windows, not before the first": "h_0 cut",
    "the answer itself is detached: no gradient gets in": "answers",
    "the state starts from zero in each window: carry it": "reset",
}


def draw_rnn(rng, B=2, T=7, P=3, m=4):
    """Inputs, a start and weights: x, h_0, W_xh, W_hh, b_h."""
    shapes = {"x": (B, T, P), "h_0": (B, m), "W_xh": (m, P), "W_hh": (m, m), "b_h": (m,)}
    return {name: rng.normal(size=size) / 1.5 for name, size in shapes.items()}


def _windows(given, k, weight, fault=""):
    """Values and gradients, by name."""
    given = {name: torch.tensor(value, requires_grad=True) for name, value in given.items()}
    h = reference.windows(
        given["x"], given["h_0"], k, given["W_xh"], given["W_hh"], given["b_h"], fault
    )
    if not h.requires_grad:
        return h.numpy(), dict.fromkeys(given)
    grads = torch.autograd.grad(
        (h * torch.tensor(weight)).sum(), list(given.values()), allow_unused=True
    )
    found = [None if grad is None else grad.numpy() for grad in grads]
    return h.detach().numpy(), dict(zip(given, found, strict=True))


def ask_windows(rng):
    """The states, and how far their gradients reach."""
    given, k, weight = draw_rnn(rng), 3, rng.normal(size=(2, 7, 4))
    right, grads = _windows(given, k, weight)
    variants = {
        message: _windows(given, k, weight, fault)
        for message, fault in WINDOW_FAULTS.items()
    }
    leaves = {name: Tensor(value, grad=True) for name, value in given.items()}
    x, h_0, *weights = map(Name, given)
    call = Call("read_in_windows", x, h_0, k, *weights)
    wrong = {message: values for message, (values, _) in variants.items()}
    yield Check("states", Let(leaves, call), right, TOL, wrong)
    for part, names in (
        ("inputs", ["x"]),
        ("weights", ["W_xh", "W_hh", "b_h"]),
        ("h_0", ["h_0"]),
    ):
        ask = Let(leaves, Grads(call, {name: Name(name) for name in names}, weight))
        wrong = {m: {name: g[name] for name in names} for m, (_, g) in variants.items()}
        yield Check(part, ask, {name: grads[name] for name in names}, TOL, wrong)


STREAM_FAULTS = {
    "rows are interleaved: a row is one stretch of the text": "columns",
    "row b does not go on where it stopped": "windows",
    "the last, shorter chunk is missing": "no rest",
    "targets must be one step ahead of inputs": "not shifted",
}


def ask_stream(rng):
    """Inputs and targets of every chunk."""
    ids, B, k = rng.integers(30, size=47), 3, 4
    right = reference.stream(ids, B, k)

    def judge_of(which):
        def judge(got):
            if type(got) not in (list, tuple) or not all(
                type(c) in (list, tuple) and len(c) == 2 for c in got
            ):
                return "expected a list of pairs (x, y)"
            told = [chunk[which] for chunk in got]
            difference = compare([chunk[which] for chunk in right], told, TOL)
            if difference is not None:
                for message, fault in STREAM_FAULTS.items():
                    if (
                        compare(
                            [c[which] for c in reference.stream(ids, B, k, fault)],
                            told,
                            TOL,
                        )
                        is None
                    ):
                        return message
            return difference

        return judge

    for which, part in enumerate(("inputs", "targets")):
        yield Check(part, Call("stream", Tensor(ids), B, k), judge=judge_of(which))


COSINE_FAULTS = {
    "not divided by the lengths of the two gradients": "dot",
    "divided by the whole gradient's length twice": "share",
    "all three weights together, yours is W_hh alone": "W_hh",
    "every state has a loss, yours reads the last one only": "last",
}


def ask_cosine(rng):
    """The cosine on fresh numbers, and the student's own measurement."""
    given = draw_rnn(rng, T=8)
    x, h_0, *weights = given.values()
    wrong = {
        message: reference.cosine(x, h_0, 2, weights, fault)
        for message, fault in COSINE_FAULTS.items()
    }
    leaves = [Tensor(w, grad=True) for w in weights]
    call = Call("cosine_to_full", Tensor(x), Tensor(h_0), 2, *leaves)
    yield Check("cosine", call, reference.cosine(x, h_0, 2, weights), TOL, wrong)

    def judge(got):
        seed, *answers = got
        if fault := seed_fault(seed):
            return fault
        for name, B, answer in zip(("few", "many"), (4, 400), answers, strict=True):
            found = as_array(answer)
            if found is None or found.shape != (5,) or found.dtype.kind != "f":
                return f"{name}: expected five numbers, one for each window"
            if not np.allclose(found, reference.cosines(seed, B), atol=1e-6):
                return f"{name}: not the cosines of your SEED's network"
        return None

    yield Check("measured", [Name("SEED"), Name("few"), Name("many")], judge=judge)


STEP_FAULTS = {
    "b does not reach the gates": "no b",
    "h_(t-1) does not reach the gates": "no h",
    "the candidate g goes through tanh, yours through the sigmoid": "g sigmoid",
    "what is written is i g, yours is (1 - f) g": "coupled",
    "h_t = o tanh(C_t), yours lacks the tanh": "no tanh",
    "h_t shows C_t, yours shows C_(t-1)": "old C",
}
ORDERS = {
    "f i g o": "figo",
    "i f o g": "ifog",
    "i g f o": "igfo",
    "f i o g": "fiog",
    "i o g f": "iogf",
    "o f g i": "ofgi",
}


def ask_step(rng):
    """One step of an LSTM."""
    given = [
        rng.normal(size=size) for size in ((3, 2), (3, 4), (3, 4), (16, 2), (16, 4), 16)
    ]
    right = reference.lstm(*given)
    variants = {
        message: reference.lstm(*given, fault=fault)
        for message, fault in STEP_FAULTS.items()
    }
    variants |= {
        f"gates swapped: the rows stand in the order i f g o, you read them as {told}": reference.lstm(
            *given, order
        )
        for told, order in ORDERS.items()
    }
    for place, part in enumerate("hC"):
        wrong = {message: variant[part] for message, variant in variants.items()}
        yield Check(
            part,
            Item(Call("lstm_step", *tensors(tuple(given))), place),
            right[part],
            TOL,
            wrong,
        )


def ask_bias(rng):
    """Where the forget gate starts, for a length to remember."""
    m, length = 3, int(rng.integers(5, 50))
    right, keep = reference.start_bias(m, length), 2 ** (-1 / length)
    wrong = {
        "the forget bias is lost: all zeros": 0 * right,
        "this is f itself; the bias is what the sigmoid makes f of": reference.start_bias(
            m, length, value=keep
        ),
        "the sign is turned: this forgets": -right,
        "ln(length) leaves about a third, not a half": reference.start_bias(
            m, length, value=np.log(length)
        ),
    }
    for block, name in (("i", "input gate"), ("g", "candidate"), ("o", "output gate")):
        wrong[f"this opens the {name}: the forget gate is the second block"] = (
            reference.start_bias(m, length, block)
        )
    wrong["all four blocks have it: only the forget gate starts open"] = np.full(
        4 * m, right.max()
    )
    yield Check("values", Call("start_bias", m, length), right, 1e-6, wrong)


BACK_FAULTS = {
    "dL/dC_t lacks what came from the next step": "h alone",
    "dL/dC_t lacks what comes through h_t": "C alone",
    "the slope of the tanh in h_t = o tanh(C_t) is missing": "no tanh slope",
    "the slope of the sigmoid is missing": "no slope",
    "off by one in time: f met C_(t-1), yours is C_t": "C_t",
    "the candidate's slope is tanh's, 1 - g^2": "g sigmoid",
    "o met tanh(C_t), yours is C_t": "no tanh",
    "C_(t-1) was multiplied by f": "no f",
}


def ask_back(rng):
    """One step back through the gates."""
    d_h, d_C, a_i, a_f, a_g, a_o, C_before = rng.normal(size=(7, 2, 4))
    i, f, g, o = (
        reference.sigmoid(a_i),
        reference.sigmoid(a_f),
        np.tanh(a_g),
        reference.sigmoid(a_o),
    )
    given = (d_h, d_C, i, f, g, o, C_before, f * C_before + i * g)
    right = reference.lstm_back(*given)
    variants = {
        message: reference.lstm_back(*given, fault=fault)
        for message, fault in BACK_FAULTS.items()
    }
    for name, values in right.items():
        wrong = {message: variant[name] for message, variant in variants.items()}
        yield Check(
            name,
            Item(Call("lstm_step_backward", *tensors(given)), name),
            values,
            TOL,
            wrong,
        )


def ask_path(rng):
    """The direct path by lag."""
    f = rng.uniform(0.2, 1, size=(6, 3))
    right = reference.direct_path(f)
    wrong = {
        "the lags start from the first gate: lag 1 is the last gate, f_T": reference.direct_path(
            f[::-1]
        ),
        "lag 0 is missing: no step, and a derivative of 1": right[1:],
        "off by one in time: lag 1 must hold f_T already": np.concatenate(
            [right[:1], right[:-1]]
        ),
        "a sum where the product belongs": np.concatenate(
            [right[:1], np.cumsum(f[::-1], axis=0)]
        ),
        "the lags run backwards": right[::-1],
        "the gates themselves: multiply them up": np.concatenate([right[:1], f[::-1]]),
    }
    yield Check("product", Call("direct_path", Tensor(f)), right, TOL, wrong)


def draw_text(rng, length=60):
    """Letters, questions and brackets, never more closed than open; and the depth after each."""
    text, depth = "", []
    for _ in range(length):
        letter = rng.choice(list("ab()?"), p=[0.2, 0.1, 0.3, 0.3, 0.1])
        letter = "a" if letter == ")" and not (depth and depth[-1]) else letter
        text += letter
        depth.append((depth[-1] if depth else 0) + {"(": 1, ")": -1}.get(letter, 0))
    return text, np.array(depth)


def ask_counter(rng):
    """The student's weights, run along fresh texts."""
    cases = [draw_text(rng) for _ in range(3)]

    def faults_of(weights, order="ifgo"):
        found = {}
        for text, depth in cases:
            C, h = reference.run_counter(text, *weights, order)
            asked = np.array(list(text)) == "?"
            off = np.abs(C - depth)
            first = int(np.argmax(off > 0.1))
            tells = (
                f"after {text[: first + 1]!r} C is {C[first]:.2f}, expected {depth[first]}"
            )
            found |= {"counts": tells} if off.max() > 0.1 else {}
            found |= (
                {"shows": "h_t must be tanh(C_t) at a ?"}
                if np.abs(h - np.tanh(depth))[asked].max(initial=0) > 0.1
                else {}
            )
            found |= (
                {
                    "hides": f"h_t must be 0 where nothing is asked, got {np.abs(h)[~asked].max():.2f}"
                }
                if np.abs(h)[~asked].max() > 0.1
                else {}
            )
        return found

    def judge_of(part):
        def judge(got):
            weights = [as_array(value) for value in got]
            for name, value, size in zip(
                ("W_x", "W_h", "b"), weights, ((4, 5), (4, 1), (4,)), strict=True
            ):
                if (
                    value is None
                    or value.shape != size
                    or not np.isfinite(value.astype(float)).all()
                ):
                    return f"{name}: expected numbers of shape {size}"
            weights = [np.clip(value.astype(float), -300, 300) for value in weights]
            found = faults_of(weights)
            if found:
                for order in itertools.permutations("ifgo"):
                    if not faults_of(weights, order):
                        return f"gates swapped: your rows stand in the order {' '.join(order)}, expected i f g o"
            return found.get(part)

        return judge

    for part in ("counts", "shows", "hides"):
        yield Check(part, [Name("W_x"), Name("W_h"), Name("b")], judge=judge_of(part))


HOMEWORK = Homework(
    name="hw02",
    title="Truncation, and the gates of an LSTM",
    questions=[
        Question(
            "q1",
            "Read in windows",
            dict.fromkeys(["states", "inputs", "weights", "h_0"], 1),
            ask_windows,
        ),
        Question("q2", "A stream for training", {"inputs": 2, "targets": 1}, ask_stream),
        Question("q3", "Measure the bias", {"cosine": 2, "measured": 1}, ask_cosine),
        Question("q4", "One step of an LSTM", {"C": 2, "h": 2}, ask_step),
        Question("q5", "Choose how long it remembers", {"values": 2}, ask_bias),
        Question(
            "q6", "One step back", dict.fromkeys(["i", "f", "g", "o", "C"], 1), ask_back
        ),
        Question("q7", "The direct path", {"product": 3}, ask_path),
        Question(
            "q8",
            "Set the weights of a counter",
            {"counts": 2, "shows": 1, "hides": 1},
            ask_counter,
        ),
        Written("q9", "A measurement of your own", 2),
    ],
)
