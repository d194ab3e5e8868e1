"""Homework 1: what is asked, what is expected, and what the likely mistakes give. See homework/README.md."""

import numpy as np

from homework.grader import Call, Check, Homework, Item, Let, Name, Question, seed_fault
from homework.grader.compare import as_array, compare

from . import reference

step, sequence, bptt = reference.step, reference.sequence, reference.bptt

TOL = 1e-8


def draw_weights(rng, P=3, m=4):
    """W_xh, W_hh and b_h, none of them small, symmetric or zero."""
    return rng.normal(size=(m, P)), rng.normal(size=(m, m)) / m**0.5, rng.normal(size=m)


def draw_batch(rng, B=3, T=5, V=6, m=4):
    """A batch of texts of different lengths, and a model's parameters."""
    lengths = np.array([T, *rng.integers(2, T, B - 1)])
    x, targets = np.eye(V)[rng.integers(V, size=(B, T))], rng.integers(V, size=(B, T))
    W_xh, W_hh, b_h = draw_weights(rng, V, m)
    params = {"W_xh": W_xh, "W_hh": W_hh, "b_h": b_h, "h_0": rng.normal(size=m)}
    return (
        x,
        targets,
        lengths,
        params | {"W_hy": rng.normal(size=(V, m)), "b_y": rng.normal(size=V)},
    )


FORWARD_FAULTS = {
    "your b_h does not reach h_t": "no b_h",
    "your W_hh is transposed": "step transposed",
    "h_(t-1) does not reach h_t": "no h",
    "tanh is missing": "no tanh",
}
SEQUENCE_FAULTS = {
    "off by one in time: place t must hold h_t, yours holds h_(t-1)": "shifted",
    "the state is not carried: every step starts from h_0": "not carried",
}


def ask_step(rng):
    """One step, for several rows and for one."""
    w = draw_weights(rng)
    for part, B in (("a batch", 3), ("one row", 1)):
        x, h = rng.normal(size=(B, 3)), rng.normal(size=(B, 4))
        wrong = {
            message: step(x, h, *w, fault) for message, fault in FORWARD_FAULTS.items()
        }
        wrong["x_t does not reach h_t"] = step(0 * x, h, *w)
        yield Check(part, Call("rnn_step", x, h, *w), step(x, h, *w), TOL, wrong)


def ask_sequence(rng):
    """All the states; a sequence that is right for the student's own step counts as right.

    But not where that step forgets h, save by the known mistake: there no mistake of this question would show.
    """
    x, h_0, w = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 4)), draw_weights(rng)
    right = sequence(x, h_0, *w)
    wrong = {
        message: sequence(x, h_0, *w, fault=fault)
        for message, fault in SEQUENCE_FAULTS.items()
    }
    wrong |= {
        "h_0 does not reach the first step": sequence(x, 0 * h_0, *w),
        "time runs backwards": sequence(x[:, ::-1], h_0, *w)[:, ::-1],
        "time comes first; expected (B, T, m)": right.swapaxes(0, 1),
        "the last state alone; expected all T of them": right[:, -1],
    }

    forgets = step(x[:, 0], h_0, *w, "no h")

    def judge(got):
        said, *steps, alone = got
        difference = compare(right, said, TOL)
        own = as_array(steps)  # what the student's own step gives, step by step
        if difference is None or (
            own is not None
            and own.ndim > 1
            and (
                compare(own[1], alone, TOL) is not None
                or compare(forgets, own[0], TOL) is None
            )
            and compare(own.swapaxes(0, 1), said, TOL) is None
        ):
            return None
        known = (
            message
            for message, variant in wrong.items()
            if compare(variant, said, TOL) is None
        )
        return next(known, difference)

    h, asked = h_0, {}
    for t in range(3):
        asked[f"h_{t + 1}"] = Call("rnn_step", x[:, t], h, *w)
        h = Name(f"h_{t + 1}")
    asked["alone"] = Call("rnn_step", x[:, 1], h_0, *w)
    yield Check(
        "states",
        Let(asked, [Call("rnn_sequence", x, h_0, *w), *map(Name, asked)]),
        judge=judge,
    )


LOSSES = {
    "a sum where the mean was asked for": "sum",
    "divided by B T, padding included: divide by the characters that are there": "all",
    "divided by the rows: divide by the characters that are there": "batch",
}


def ask_loss(rng):
    """The loss, and the loss of large logits."""
    x, targets, lengths, _ = draw_batch(rng)
    logits = rng.normal(size=x.shape)
    faults = LOSSES | {
        "padding counts in your mean": "padding",
        "a mean for each row first: long rows must weigh more": "rows",
        "the softmax runs over the wrong axis (time)": "over time",
        "the softmax runs over the wrong axis (rows)": "over rows",
        "this is in bits: take the natural logarithm": "bits",
    }
    for part, z in (
        ("mean", logits),
        ("large logits", logits + 1000 * rng.normal(size=(3, 5, 1))),
    ):
        wrong = {
            message: reference.cross_entropy(z, targets, lengths, fault)
            for message, fault in faults.items()
        }
        if part != "mean":
            wrong = {"exp overflows: take the largest logit away first": np.nan} | wrong
            wrong["exp overflows: take the largest logit away first "] = np.inf
        yield Check(
            part,
            Call("cross_entropy", z, targets, lengths),
            reference.cross_entropy(z, targets, lengths),
            TOL,
            wrong,
        )


def ask_loss_backward(rng):
    """The gradient at the logits."""
    x, targets, lengths, _ = draw_batch(rng)
    logits = rng.normal(size=x.shape)
    faults = LOSSES | {
        "padding gets a gradient": "padding",
        "padding gets a gradient, and counts in the mean": "padding and all",
        "the sign is turned": "sign",
        "the target is missing: only the softmax is left": "probabilities",
    }
    wrong = {
        message: reference.cross_entropy_backward(logits, targets, lengths, fault)
        for message, fault in faults.items()
    }
    right = reference.cross_entropy_backward(logits, targets, lengths)
    yield Check(
        "values",
        Call("cross_entropy_backward", logits, targets, lengths),
        right,
        TOL,
        wrong,
    )


STEP_FAULTS = {
    "the slope of tanh is missing": "no slope",
    "the slope is 1 - h_t^2; yours takes tanh of h_t once more": "tanh twice",
    "W_hh goes back transposed": "transposed",
    "a mean over the rows: the shares of the rows add up": "mean",
    "off by one in time: W_hh met h_(t-1), yours is h_t": "h_t",
    "your gradient of W_hh is transposed": "share transposed",
}


def ask_step_backward(rng):
    """One step back."""
    W_xh, W_hh, b_h = draw_weights(rng)
    x, h = rng.normal(size=(3, 3)), rng.normal(size=(3, 4))
    given = (rng.normal(size=(3, 4)), x, h, step(x, h, W_xh, W_hh, b_h), W_xh, W_hh)
    right = reference.step_backward(*given)
    variants = {
        message: reference.step_backward(*given, fault=fault)
        for message, fault in STEP_FAULTS.items()
    }
    for name in right:
        wrong = {message: variant[name] for message, variant in variants.items()}
        yield Check(
            name, Item(Call("rnn_step_backward", *given), name), right[name], TOL, wrong
        )


BPTT_FAULTS = STEP_FAULTS | {
    "the gradient does not travel: W_hh^T delta_(t+1) is missing": "stays",
    "only the last answer sends a gradient back": "last loss",
    "the shares of all times add up, yours overwrite one another": "overwritten",
    "the share of the first step is missing": "first left out",
    "the first step started from h_0, not from zero": "h_0 zero",
    "every row starts from the same h_0, so the rows' shares add up": "h_0 mean",
    "a sum where the mean was asked for": "sum",
}


def ask_bptt(rng):
    """Loss and gradients of the whole model."""
    given = draw_batch(rng)
    loss, grads = bptt(*given)
    variants = {
        message: bptt(*given, fault=fault) for message, fault in BPTT_FAULTS.items()
    }
    for number, faults in ((1, FORWARD_FAULTS), (2, SEQUENCE_FAULTS)):
        for message, fault in faults.items():
            follows = f"follows from Question {number}: {message}"
            variants[follows] = bptt(*given, fault=fault)
    asked = Call("bptt", *given)
    yield Check(
        "loss",
        Item(asked, 0),
        loss,
        TOL,
        {message: variant[0] for message, variant in variants.items()},
    )
    for part, names in (
        ("readout", ("W_hy", "b_y")),
        *((name, (name,)) for name in ("W_hh", "W_xh", "b_h", "h_0")),
    ):
        wrong = {
            message: [variant[1][name] for name in names]
            for message, variant in variants.items()
        }
        ask = Let({"grads": Item(asked, 1)}, [Item(Name("grads"), name) for name in names])
        yield Check(part, ask, [grads[name] for name in names], TOL, wrong)


def ask_slope(rng):
    """The slope along a direction, of a loss that is the sum of cubes: it knows which difference was taken."""
    params = {"U": rng.normal(size=(3, 2)), "c": rng.normal(size=4)}
    v, eps = {name: rng.normal(size=value.shape) for name, value in params.items()}, 0.1

    def at(scale):
        return sum(((params[name] + scale * v[name]) ** 3).sum() for name in params)

    right = (at(eps) - at(-eps)) / (2 * eps)
    wrong = {
        "this goes forwards only: take the loss on both sides": (at(eps) - at(0)) / eps,
        "this goes backwards only: take the loss on both sides": (at(0) - at(-eps)) / eps,
        "the two points lie 2 eps apart": (at(eps) - at(-eps)) / eps,
        "not divided by the distance of the two points": at(eps) - at(-eps),
    }
    call = Call("slope_along", Name("sum_of_cubes"), Name("params"), v, eps)
    yield Check("slope", Let({"params": params}, call), right, TOL, wrong)
    back = {name: -2 * value for name, value in v.items()}
    other = Call("slope_along", Name("sum_of_cubes"), Name("params"), back, eps)
    yield Check(
        "leaves params alone",
        Let({"params": params, "_": call}, [Name("_"), Name("params"), other]),
        judge=_unchanged(params),
    )


def _unchanged(params):
    def judge(got):
        if as_array(got[0]) is None:
            return "no slope comes back"
        if compare(as_array(got[0]), got[2], 0.0) is None:
            return "the same comes back along two directions: no slope"
        return (
            "your function changes params: work on copies"
            if compare(params, got[1], 0.0)
            else None
        )

    return judge


CLIP_FAULTS = {
    "each gradient is clipped by itself: their directions change": "each",
    "each number is clipped by itself: the direction changes": "entries",
    "nothing is clipped": "never",
    "a gradient below max_norm must pass as it is": "always",
    "the norm lacks its square root": "squared",
    "the norm is the root of the sum of squares, yours is the largest number": "largest",
    "the step goes uphill": "uphill",
}


def ask_step_down(rng):
    """A clipped step of gradient descent: too long a gradient, a short one, and the norm."""
    params = {"W_hh": rng.normal(size=(3, 3)), "b_h": rng.normal(size=3)}
    for part, scale in (("clipped", 3.0), ("passed", 0.05)):
        grads = {
            name: scale * rng.normal(size=value.shape) for name, value in params.items()
        }
        given = (params, grads, 0.3, 1.5)
        wrong = {
            message: reference.clipped(*given, fault=fault)[0]
            for message, fault in CLIP_FAULTS.items()
        }
        right, norm = reference.clipped(*given)
        yield Check(part, Item(Call("clipped_step", *given), 0), right, TOL, wrong)
    wrong = {
        "the norm lacks its square root": norm**2,
        "this is the norm after clipping": min(norm, 1.5),
    }
    yield Check("norm", Item(Call("clipped_step", *given), 1), norm, TOL, wrong)


def ask_reading(rng):
    """The curve of the student's own network; which network, SEED decides."""
    parts = {"norms": _norms, "factor": _factor, "story": _story}
    for part, read in parts.items():
        yield Check(part, [Name("SEED"), Name(part)], judge=_of_seed(read))


def _of_seed(read):
    def judge(got):
        seed, answer = got
        return seed_fault(seed) or read(seed, answer)

    return judge


def _norms(seed, answer):
    found = as_array(answer)
    if found is None or found.shape != (30,) or found.dtype.kind != "f":
        return "expected 30 numbers, one for each time"
    mistakes = {
        "": None,
        "backwards": "the order is turned: norms[0] belongs to t = 1",
        "d_h": "this is the norm of dL/dh_t; delta_t is after the slope",
        "transposed": "W_hh goes back transposed",
    }
    for fault, message in mistakes.items():
        if np.allclose(found, reference.delta_norms(seed, fault)[0], rtol=1e-6, atol=0):
            return message
    return "not the norms of your SEED's network"


def _factor(seed, answer):
    found = as_array(answer)
    if found is None or found.shape != () or found.dtype.kind != "f":
        return "expected a number"
    norms, _ = reference.delta_norms(seed)
    whole = norms[0] / norms[-1]  # what 29 steps back multiply by
    mistakes = {
        None: whole ** (1 / 29),
        "there are 29 steps between 30 times": whole ** (1 / 30),
        "upside down: going back multiplies by it": whole ** (-1 / 29),
        "this is the factor of all steps together": whole,
    }
    near = (
        message
        for message, value in mistakes.items()
        if np.isclose(found, value, rtol=1e-4, atol=0)
    )
    return next(near, "not the mean factor of your SEED's network")


def _story(seed, answer):
    return (
        None
        if type(answer) is str and answer == reference.delta_norms(seed)[1]
        else "not what happens in your network"
    )


HOMEWORK = Homework(
    name="hw01",
    title="The vanilla RNN and its gradient, by hand",
    questions=[
        Question("q1", "One step", {"a batch": 2, "one row": 1}, ask_step),
        Question("q2", "A sequence", {"states": 2}, ask_sequence),
        Question("q3", "The loss", {"mean": 2, "large logits": 1}, ask_loss),
        Question("q4", "The gradient at the logits", {"values": 2}, ask_loss_backward),
        Question(
            "q5",
            "One step back",
            dict.fromkeys(["h", "W_xh", "W_hh", "b_h"], 1),
            ask_step_backward,
        ),
        Question(
            "q6",
            "Backpropagation through time",
            dict.fromkeys(["loss", "readout", "W_hh", "W_xh", "b_h", "h_0"], 1),
            ask_bptt,
        ),
        Question(
            "q7", "Ask the loss itself", {"slope": 2, "leaves params alone": 1}, ask_slope
        ),
        Question(
            "q8",
            "A clipped step",
            dict.fromkeys(["clipped", "passed", "norm"], 1),
            ask_step_down,
        ),
        Question("q9", "Read a curve", {"norms": 2, "factor": 1, "story": 1}, ask_reading),
    ],
)
