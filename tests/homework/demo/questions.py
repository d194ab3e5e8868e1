"""A small homework for the grader's own tests: three questions in numpy, one in torch, one written."""

import numpy as np
import torch

from homework.grader import Call, Check, Grads, Homework, Let, Name, Question, Tensor, Written, tensors


def step(x, h, W_xh, W_hh, b_h):
    """One step of a vanilla RNN."""
    return np.tanh(x @ W_xh.T + h @ W_hh.T + b_h)


def draw_weights(rng, inputs=3, hidden=4):
    """W_xh, W_hh and b_h."""
    return rng.normal(size=(hidden, inputs)), rng.normal(size=(hidden, hidden)), rng.normal(size=hidden)


def ask_step(rng):
    """One step, for a batch of two and of one."""
    W_xh, W_hh, b_h = draw_weights(rng)
    for part, B in (("values", 2), ("a batch of one", 1)):
        x, h = rng.normal(size=(B, 3)), rng.normal(size=(B, 4))
        yield Check(
            part=part,
            ask=Call("rnn_step", x, h, W_xh, W_hh, b_h),
            expected=step(x, h, W_xh, W_hh, b_h),
            wrong={
                "your b_h does not reach h_t": step(x, h, W_xh, W_hh, 0 * b_h),
                "W_hh is used transposed": step(x, h, W_xh, W_hh.T, b_h),
            },
        )


def ask_sequence(rng):
    """All the states of a sequence."""
    weights = draw_weights(rng)
    xs, h = rng.normal(size=(2, 5, 3)), np.zeros((2, 4))
    states = []
    for t in range(5):
        h = step(xs[:, t], h, *weights)
        states.append(h)
    right = np.stack(states, 1)
    yield Check(
        "states",
        Call("rnn_sequence", xs, *weights),
        right,
        wrong={"off by one in time": np.concatenate([0 * right[:, :1], right[:, :-1]], 1)},
    )


def ask_loss(rng):
    """A mean squared error and the gradient that flows back from it."""
    x, y = rng.normal(size=(6,)), rng.normal(size=(6,))
    mean = float(np.mean((x - y) ** 2))
    yield Check(
        "value",
        Call("loss", *tensors((x, y))),
        mean,
        wrong={"a sum where the mean was asked for": 6 * mean},
    )
    yield Check(
        "gradient",
        Let({"x": Tensor(x, grad=True)}, Grads(Call("loss", Name("x"), Tensor(y)), {"x": Name("x")})),
        {"x": 2 * (x - y) / 6},
        wrong={"no gradient reaches x: it is detached": {"x": None}},
    )


def ask_layer(rng):
    """A linear layer, whose reference is torch's own: it stays outside."""
    torch.manual_seed(int(rng.integers(1 << 30)))
    layer = torch.nn.Linear(3, 2, dtype=torch.float64)
    x = rng.normal(size=(4, 3))
    W, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    right = layer(torch.from_numpy(x)).detach().numpy()
    yield Check("values", Call("linear", x, W, b), right, wrong={"the bias is missing": x @ W.T})


HOMEWORK = Homework(
    name="demo",
    title="A demonstration",
    questions=[
        Question("q1", "One step", {"values": 2, "a batch of one": 1}, ask_step),
        Question("q2", "The sequence", {"states": 2}, ask_sequence),
        Question("q3", "The loss", {"value": 1, "gradient": 1}, ask_loss),
        Question("q4", "The layer", {"values": 3}, ask_layer),
        Written("q5", "What it means", 2),
    ],
)
