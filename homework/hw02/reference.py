"""Homework 2's reference in float64, held against the library by tests/homework/test_hw02.py.

A `fault` is one mistake, put in on purpose: what it gives is how an answer that makes it is recognised.
"""

import numpy as np
import torch

GATES = "ifgo"
WINDOWS = (1, 2, 5, 10, 20)
LETTERS = "ab()?"


def windows(x, h_0, k, W_xh, W_hh, b_h, fault=""):
    """The states of a vanilla network (B, T, m), their history cut before every k-th step."""
    h, states = h_0.detach() if fault == "h_0 cut" else h_0, []
    for t in range(x.shape[1]):
        first = t > 0 and t % k == {"late": 1 % k, "early": k - 1}.get(fault, 0)
        if (fault == "each" and t > 0) or (first and fault != "whole"):
            h = torch.zeros_like(h) if fault == "reset" else h.detach()
        h = torch.tanh(x[:, t] @ W_xh.mT + h @ W_hh.mT + b_h)
        states.append(h)
    return torch.stack(states, 1).detach() if fault == "answers" else torch.stack(states, 1)


def gradient(x, h_0, k, weights, fault=""):
    """The gradient of the loss mean((sum of h_t)^2) for all the weights, as one vector."""
    weights = [torch.as_tensor(w).clone().requires_grad_() for w in weights]
    h = windows(torch.as_tensor(x), torch.as_tensor(h_0), k, *weights)
    loss = (h[:, -1:] if fault == "last" else h).sum(-1).square().mean()
    grads = torch.autograd.grad(loss, weights[1:2] if fault == "W_hh" else weights)
    return torch.cat([g.flatten() for g in grads]).numpy()


def cosine(x, h_0, k, weights, fault=""):
    """Of the angle between the gradient in windows of k and the whole one."""
    cut, whole = (gradient(x, h_0, window, weights, fault) for window in (k, x.shape[1]))
    one, two = np.linalg.norm(cut), np.linalg.norm(whole)
    return float(cut @ whole / {"dot": 1.0, "share": two**2}.get(fault, one * two))


def network(seed, B):
    """As in the notebook: inputs, a start and weights that belong to a seed."""
    rng = np.random.default_rng(seed)
    W_xh, W_hh = 0.1 * rng.normal(size=(8, 3)), np.linalg.qr(rng.normal(size=(8, 8)))[0]
    return (
        rng.normal(size=(B, 20, 3)),
        np.zeros((B, 8)),
        (W_xh, W_hh, 0.1 * rng.normal(size=8)),
    )


def cosines(seed, B, fault=""):
    """For each of the windows."""
    return np.array(
        [cosine(*network(seed, B)[:2], k, network(seed, B)[2], fault) for k in WINDOWS]
    )


def stream(ids, B, k, fault=""):
    """Chunks (x, y) of (B, k) each, row b going on where it stopped; the last may be shorter."""
    length = (len(ids) - 1) // B
    rows = [ids[b * length : (b + 1) * length + 1] for b in range(B)]
    if fault == "columns":
        rows = [ids[b : b + length * B + 1 : B] for b in range(B)]
    rows = np.stack([np.append(row, ids[-1])[: length + 1] for row in rows])
    chunks = [(rows[:, s : s + k], rows[:, s + 1 : s + k + 1]) for s in range(0, length, k)]
    chunks = [(x[:, : y.shape[1]], y) for x, y in chunks]
    if fault == "windows":  # one window after the other, B at a time: row b does not go on
        starts = range(0, length * B - k + 1, k)
        cut = [(ids[s : s + k], ids[s + 1 : s + k + 1]) for s in starts]
        cut = [cut[s : s + B] for s in range(0, len(cut) - B + 1, B)]
        chunks = [(np.stack([x for x, _ in c]), np.stack([y for _, y in c])) for c in cut]
    if fault == "not shifted":
        chunks = [(x, x) for x, _ in chunks]
    if fault == "no rest" and chunks[-1][0].shape[1] < k:
        chunks = chunks[:-1]
    return chunks


def sigmoid(a):
    """1 / (1 + e^-a)."""
    return 1 / (1 + np.exp(-a))


def lstm(x_t, h, C, W_x, W_h, b, order=GATES, fault=""):
    """One step of an LSTM whose blocks stand in an order: its gates, C_t and h_t by name."""
    a = x_t @ W_x.T + (fault != "no h") * h @ W_h.T + (fault != "no b") * b
    blocks = np.split(a, 4, axis=-1)
    made = {
        gate: (np.tanh if gate == "g" else sigmoid)(block)
        for gate, block in zip(order, blocks, strict=True)
    }
    if fault == "g sigmoid":
        made["g"] = sigmoid(blocks[order.index("g")])
    if fault == "coupled":
        made["i"] = 1 - made["f"]
    made["C"] = made["f"] * C + made["i"] * made["g"]
    shown = {"no tanh": made["C"], "old C": np.tanh(C)}.get(fault, np.tanh(made["C"]))
    return made | {"h": made["o"] * shown}


def lstm_back(d_h, d_C, i, f, g, o, C_before, C_t, fault=""):
    """Gradients at the four pre-activations and at C_(t-1), gates held there."""
    through = o * (1 if fault == "no tanh slope" else 1 - np.tanh(C_t) ** 2)
    d_C = d_C * (fault != "h alone") + d_h * through * (fault != "C alone")
    slope = (lambda s: 1.0) if fault == "no slope" else (lambda s: s * (1 - s))
    return {
        "i": d_C * g * slope(i),
        "f": d_C * (C_t if fault == "C_t" else C_before) * slope(f),
        "g": d_C * i * (g * (1 - g) if fault == "g sigmoid" else 1 - g**2),
        "o": d_h * (C_t if fault == "no tanh" else np.tanh(C_t)) * slope(o),
        "C": d_C * (1 if fault == "no f" else f),
    }


def start_bias(m, length, block="f", value=None):
    """Zeros, but for the forget gate: half of C is left after `length` steps."""
    b = np.zeros((4, m))
    b[GATES.index(block)] = -np.log(2 ** (1 / length) - 1) if value is None else value
    return b.ravel()


def direct_path(f):
    """The product of the last k forget gates for k = 0 … T: (T + 1, m)."""
    return np.concatenate([np.ones_like(f[:1]), np.cumprod(f[::-1], axis=0)])


def run_counter(text, W_x, W_h, b, order=GATES):
    """C_t and h_t of one LSTM cell along a text."""
    h = C = np.zeros((1, 1))
    track = []
    for letter in text:
        made = lstm(np.eye(len(LETTERS))[[LETTERS.index(letter)]], h, C, W_x, W_h, b, order)
        h, C = made["h"], made["C"]
        track.append((C.item(), h.item()))
    return np.array(track).T
