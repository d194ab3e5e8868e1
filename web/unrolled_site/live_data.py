"""The numbers that live figures compute from, made by the library while the site is built."""

import base64
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from unrolled.data import Vocabulary
from unrolled.models import CharacterModel
from unrolled.training import Config, fit

UPDATES = (0, 1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400)
# Chapter 02's own numbers, before training.
HAND = {
    "W_xh": [[0.5, -0.8, 0.3, 0.2], [-0.4, 0.6, 0.9, -0.1], [0.7, 0.1, -0.5, 0.4]],
    "W_hh": [[0.2, -0.5, 0.4], [0.6, 0.3, -0.2], [-0.3, 0.5, 0.1]],
    "b_h": [0.1, -0.2, 0.0],
    "W_hy": [[0.6, -0.3, 0.2], [-0.5, 0.4, 0.1], [0.3, 0.8, -0.6], [-0.2, -0.7, 0.5]],
    "b_y": [0.0, 0.1, -0.1, 0.0],
}


def float32(tensors: list[torch.Tensor]) -> str:
    """Numbers one after another, in single precision, as text."""
    return base64.b64encode(torch.cat([t.flatten() for t in tensors]).float().numpy().tobytes()).decode()


def hello_model() -> CharacterModel:
    """Chapter 02's network with its first numbers."""
    model = CharacterModel(Vocabulary("helo"), 3).double()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.tensor(HAND[name.split(".")[-1]]))
    return model


def hello() -> dict[str, Any]:
    """The weights of chapter 02's training on “hello”, after some of its 400 updates."""
    model = hello_model()
    ids, next_ids = (model.vocabulary.encode(text)[None] for text in ("hell", "ello"))
    weights = {name.split(".")[-1]: weight for name, weight in model.named_parameters()}
    kept: list[torch.Tensor] = []
    at = iter(range(UPDATES[-1]))

    def keep(update: int) -> None:
        if update in UPDATES:
            kept.extend(weights[name].detach().clone() for name in HAND)

    def loss(model: CharacterModel, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        keep(next(at))
        return F.cross_entropy(model(x)[0].flatten(0, 1), y.flatten())

    fit(model, [(ids, next_ids)], loss, Config(updates=UPDATES[-1], learning_rate=0.05), progress=False)
    keep(UPDATES[-1])
    return {
        "letters": model.vocabulary.characters,
        "text": "hell",
        "next": "ello",
        "hidden": 3,
        "updates": list(UPDATES),
        "weights": float32(kept),
    }


DATA: dict[str, Callable[[], dict[str, Any]]] = {"hello": hello}
