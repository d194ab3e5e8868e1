"""What live figures show, computed by torch and the library: the tests compare the two."""

import base64

import torch
from harness import live  # noqa: F401  (it makes the site's package importable)
from torch import Tensor
from torch.nn import functional as F

from unrolled_site import live_data


def hello(update: int) -> dict[str, Tensor]:
    """Everything that the figure shows of one update, by the library and autograd, from the same rounded weights."""
    data = live_data.hello()
    model = live_data.hello_model()
    numbers = torch.frombuffer(bytearray(base64.b64decode(data["weights"])), dtype=torch.float32).double()
    at = data["updates"].index(update) * 40
    weights = {name.split(".")[-1]: weight for name, weight in model.named_parameters()}
    with torch.no_grad():
        for name in live_data.HAND:
            weights[name].copy_(numbers[at : at + weights[name].numel()].view_as(weights[name]))
            at += weights[name].numel()
    ids, targets = (model.vocabulary.encode(data[name]) for name in ("text", "next"))
    copies = [weights["W_hh"].detach().clone().requires_grad_() for _ in ids]
    h, states, a = torch.zeros(3, dtype=torch.float64, requires_grad=True), [], []
    h_0 = h
    for id_t, W_hh in zip(ids, copies, strict=True):
        a.append(W_hh @ h + weights["W_xh"][:, id_t] + weights["b_h"])
        a[-1].retain_grad()
        h = torch.tanh(a[-1])
        states.append(h)
    y = torch.stack(states) @ weights["W_hy"].mT + weights["b_y"]
    logits, _ = model(ids[None])
    torch.testing.assert_close(y, logits[0])
    loss = F.cross_entropy(y, targets)
    loss.backward()
    whole = torch.autograd.grad(F.cross_entropy(model(ids[None])[0][0], targets), weights["W_hh"])[0]
    return {
        "a": torch.stack(a), "h": torch.stack(states), "y": y, "p": y.softmax(-1), "loss": loss,
        "delta": torch.stack([each.grad for each in a]), "shares": torch.stack([W.grad for W in copies]),
        "d_W_hh": whole, "d_h_0": h_0.grad,
    }  # fmt: skip
