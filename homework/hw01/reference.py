"""Homework 1's reference: numpy in float64, held against the library and autograd by tests/homework/test_hw01.py.

A `fault` is one mistake, put in on purpose: what it gives is how an answer that makes it is recognised.
"""

import numpy as np


def step(x_t, h, W_xh, W_hh, b_h, fault=""):
    """One step for a batch: (B, P), (B, m) to (B, m)."""
    W_hh = W_hh.T if fault == "step transposed" else W_hh
    a_t = x_t @ W_xh.T + (fault != "no h") * h @ W_hh.T + (fault != "no b_h") * b_h
    return a_t if fault == "no tanh" else np.tanh(a_t)


def sequence(x, h_0, *weights, fault=""):
    """The states h_1 … h_T: (B, T, m)."""
    h = [h_0]
    for t in range(x.shape[1]):
        h.append(step(x[:, t], h_0 if fault == "not carried" else h[-1], *weights, fault))
    return np.stack(h[:-1] if fault == "shifted" else h[1:], axis=1)


def exists(targets, lengths):
    """1 where a character is, 0 where padding is: (B, T)."""
    return (np.arange(targets.shape[1]) < lengths[:, None]).astype(float)


def log_softmax(logits, axis=-1):
    """The logarithm of the softmax, safe for large logits."""
    logits = logits - logits.max(axis, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis, keepdims=True))


def cross_entropy(logits, targets, lengths, fault=""):
    """Mean over the characters that are there, in nats."""
    axis = {"over time": 1, "over rows": 0}.get(fault, -1)
    each = -np.take_along_axis(log_softmax(logits, axis), targets[..., None], -1)[
        ..., 0
    ]  # (B, T)
    there = np.ones_like(each) if fault == "padding" else exists(targets, lengths)
    if fault == "rows":
        return float(((each * there).sum(1) / there.sum(1)).mean())
    count = {"sum": 1, "all": each.size, "batch": len(each)}.get(fault, there.sum())
    return float((each * there).sum() / count / (np.log(2) if fault == "bits" else 1))


def cross_entropy_backward(logits, targets, lengths, fault=""):
    """dL/dlogits, (B, T, V)."""
    asked = np.eye(logits.shape[-1])[targets] * (fault != "probabilities")
    count = {
        "sum": 1,
        "all": targets.size,
        "batch": len(targets),
        "padding and all": targets.size,
    }
    count = count.get(fault, lengths.sum())
    there = (
        np.ones(targets.shape) if fault.startswith("padding") else exists(targets, lengths)
    )
    sign = -1 if fault == "sign" else 1
    return sign * (np.exp(log_softmax(logits)) - asked) * there[..., None] / count


def step_backward(d_h, x_t, h_before, h_t, W_xh, W_hh, fault=""):
    """One step back, weights' gradients summed over the rows."""
    slope = {"no slope": 1.0, "tanh twice": 1 - np.tanh(h_t) ** 2}.get(fault, 1 - h_t**2)
    delta = d_h * slope  # (B, m)
    rows = len(d_h) if fault == "mean" else 1
    shares = {
        "W_xh": delta.T @ x_t / rows,
        "W_hh": delta.T @ (h_t if fault == "h_t" else h_before) / rows,
        "b_h": delta.sum(0) / rows,
    }
    if fault == "share transposed":
        shares["W_hh"] = shares["W_hh"].T
    return {"h": delta @ (W_hh.T if fault == "transposed" else W_hh), **shares}


def bptt(x, targets, lengths, params, fault=""):
    """Loss and gradients of a character model that starts from a learned h_0."""
    w, (B, T, _) = params, x.shape
    h_0 = np.tile(w["h_0"], (B, 1))
    h = sequence(x, h_0, w["W_xh"], w["W_hh"], w["b_h"], fault=fault)
    before = np.concatenate([h_0[:, None], h[:, :-1]], axis=1)
    logits = h @ w["W_hy"].T + w["b_y"]
    wide = "sum" if fault == "sum" else ""
    d_y = cross_entropy_backward(logits, targets, lengths, wide)
    own = d_y @ w["W_hy"]  # what each state's own answer asks for, (B, T, m)
    if fault == "last loss":
        own[:, :-1] = 0
    if fault == "h_0 zero":
        before[:, 0] = 0
    shares, d_next = [], np.zeros_like(h_0)
    for t in reversed(range(T)):
        d_h = own[:, t] + (0 if fault == "stays" else d_next)
        back = step_backward(
            d_h, x[:, t], before[:, t], h[:, t], w["W_xh"], w["W_hh"], fault
        )
        d_last, d_next = d_next, back.pop("h")
        shares.append(back)
    shares = {"overwritten": shares[-1:], "first left out": shares[:-1]}.get(fault, shares)
    grads = {name: sum(share[name] for share in shares) for name in ("W_xh", "W_hh", "b_h")}
    grads |= {"W_hy": np.einsum("btv,btm->vm", d_y, h), "b_y": d_y.sum((0, 1))}
    d_next = d_last if fault == "first left out" else d_next
    grads["h_0"] = d_next.mean(0) if fault == "h_0 mean" else d_next.sum(0)
    return cross_entropy(logits, targets, lengths, wide), grads


def clipped(params, grads, rate, max_norm, fault=""):
    """The parameters after one clipped step, and the norm of all gradients together before."""
    norm = float(np.sqrt(sum((g**2).sum() for g in grads.values())))
    size = {
        "squared": norm**2,
        "largest": max(np.abs(g).max() for g in grads.values()),
    }.get(fault, norm)
    shrink = {"never": 1.0, "always": max_norm / norm}.get(fault, min(1.0, max_norm / size))
    new = {}
    for name, w in params.items():
        one = (
            min(1.0, max_norm / np.linalg.norm(grads[name])) if fault == "each" else shrink
        )
        g = (
            np.clip(grads[name], -max_norm, max_norm)
            if fault == "entries"
            else grads[name] * one
        )
        new[name] = w + (rate if fault == "uphill" else -rate) * g
    return new, norm


def network(seed):
    """As in the notebook: a network and a sequence that belong to a seed."""
    rng = np.random.default_rng(seed)
    T, P, m = 30, 4, 16
    gain, drive = [(0.8, 0.1), (1.3, 5.0), (1.3, 1e-6)][rng.integers(3)]
    W_hh = gain * np.linalg.qr(rng.normal(size=(m, m)))[0]
    return (
        drive * rng.normal(size=(1, T, P)),
        rng.normal(size=(m, P)) / 2,
        W_hh,
        0.01 * drive * rng.normal(size=m),
    )


def delta_norms(seed, fault=""):
    """The norm of delta_t for t = 1 … T, the loss being the sum of h_T's numbers; and the story."""
    x, W_xh, W_hh, b_h = network(seed)
    h = sequence(x, np.zeros((1, len(b_h))), W_xh, W_hh, b_h)[0]
    d_h, norms, slopes = np.ones(len(b_h)), [], 1 - h**2
    for h_t in h[::-1]:
        delta = d_h * (1 - h_t**2)
        norms.append(np.linalg.norm(d_h if fault == "d_h" else delta))
        d_h = (W_hh if fault == "transposed" else W_hh.T) @ delta
    largest = np.linalg.norm(W_hh, 2)
    story = "A" if largest < 1 else "B" if slopes.mean() < 0.7 else "C"
    return np.array(norms if fault == "backwards" else norms[::-1]), story
