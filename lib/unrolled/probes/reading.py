r"""Measures what a character model makes of a text: what surprises it, what it remembers. Returns numbers, never draws.

Every score is in nats for each character that was predicted. Where `rows` is asked for, a text is cut into so many
equal stretches that are read side by side, each from a state of zeros; more is faster and a little pessimistic, and up
to rows - 1 characters at the end stay unread.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from unrolled._check import check_count, check_finite, check_tensor
from unrolled.data import stream_chunks
from unrolled.models import CharacterModel
from unrolled.models.language import evaluating

_CHUNK = 256  # characters of each row read at a time; changes the memory, not the answer


def _encode(model: CharacterModel, text: str) -> Tensor:
    W_hy: Tensor = model.readout.W_hy
    return model.vocabulary.encode(text).to(W_hy.device)


def _nats(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none").view(y.shape)


@torch.no_grad()
def surprise(model: CharacterModel, text: str, rows: int = 1) -> Float[Tensor, " N"]:
    r"""What each character cost, $-\ln p(x_t \mid x_1 \dots x_{t-1})$, with the state carried.

    Args:
        model: a trained character model; its dropout is off meanwhile.
        text: at least two characters.
        rows: stretches read side by side.

    Returns:
        (N,), entry t for the character at place t + 1; its mean is what `unrolled.training.evaluate` says.

    Raises:
        ValueError: fewer characters than rows + 1, or one that the model does not know.

    Taught in chapter 09; tested against a product of probabilities, one character at a time.
    """
    each, state = [], None
    with evaluating(model):
        for x, y in stream_chunks(_encode(model, text), rows, _CHUNK):
            logits, state = model(x, state)  # (rows, T, V)
            each.append(_nats(logits, y))
    return torch.cat(each, dim=1).flatten()


class ByContext(NamedTuple):
    """Nats for the same characters twice, (windows, T): entry [k, t] is of the character t + 1 places into window k."""

    fresh: Tensor  # known: the t + 1 characters since the window began
    whole: Tensor  # known: everything before


def by_context(model: CharacterModel, text: str, window: int, rows: int = 1) -> ByContext:
    """What a character costs when only the last few before it were read, beside its cost after the whole past.

    Args:
        model: a trained character model; its dropout is off meanwhile.
        text: more than `window` characters; what fills no window is left out.
        window: T, the longest context to measure.
        rows: stretches in which the whole past is read.

    Raises:
        ValueError: a text that is too short, or a character that the model does not know.

    Source: after Khandelwal et al. (2018). Taught in chapter 09.
    """
    check_count("window", window)
    whole = surprise(model, text, rows)
    many = whole.shape[0] // window
    if not many:
        raise ValueError(f"text: expected more than window = {window} characters, got {len(text)}")
    ids = _encode(model, text)
    x, y = ids[: many * window].view(many, window), ids[1 : many * window + 1].view(many, window)
    with torch.no_grad():
        fresh = [_nats(model(a)[0], b) for a, b in zip(x.split(64), y.split(64), strict=True)]
    return ByContext(torch.cat(fresh), whole[: many * window].view(many, window))


@torch.enable_grad()
def connectivity(model: CharacterModel, text: str) -> Float[Tensor, " T"]:
    r"""How much each earlier character moves the prediction of the last: $\lVert \partial \ln p / \partial x_s \rVert$.

    Args:
        model: a trained character model; its dropout is off meanwhile.
        text: T + 1 characters; the first T are read, the last is the one predicted.

    Returns:
        (T,), the norm of the gradient of the last character's log-probability by what was read at each place.

    Source: Madsen (2019). Taught in chapter 09; tested against finite differences.
    """
    ids = _encode(model, text)
    if ids.shape[0] < 2:
        raise ValueError(f"text: expected at least two characters, got {text!r}")
    with evaluating(model):
        x = model.embed(ids[None, :-1]).detach().requires_grad_()  # (1, T, E)
        h, _ = model.rnn(x)
    log_p = torch.log_softmax(model.readout(h[:, -1]), dim=-1)[0].gather(0, ids[-1:])
    return torch.autograd.grad(log_p.sum(), x)[0][0].norm(dim=-1)


@torch.no_grad()
def unit_values(model: CharacterModel, text: str, rows: int = 1) -> Float[Tensor, "N m"]:
    """What every unit held after each character it read: cell states C of an LSTM, hidden states h of other cells.

    Args:
        model: a trained character model; its dropout is off meanwhile.
        text: at least two characters.
        rows: stretches read side by side.

    Returns:
        (N, m L), the units of layer 1, then those of layer 2, …; entry t stands after the character at place t.

    Taught in chapter 09.
    """
    kept, state = [], None
    with evaluating(model):
        for x, _ in stream_chunks(_encode(model, text), rows, _CHUNK):
            _, state, traces = model.rnn.trace(model.embed(x), state)
            kept.append(torch.cat([trace.get("C", trace["h"]) for trace in traces], dim=-1))
    return torch.cat(kept, dim=1).flatten(0, 1)


def correlations(values: Float[Tensor, "N m"], feature: Tensor) -> Float[Tensor, " m"]:
    """Pearson's r of each unit with a feature, (N,); 0 where either does not vary."""
    check_finite("values", check_tensor("values", values, "N m"))
    if feature.shape != values.shape[:1]:
        raise ValueError(f"feature: expected shape ({values.shape[0]},), got {tuple(feature.shape)}")
    a = values.double() - values.double().mean(dim=0)
    b = feature.double() - feature.double().mean()
    # Each in its own unit first: the product of two tiny norms would be 0.
    a, b = (each / each.abs().amax(dim=0).clamp_min(torch.finfo(each.dtype).tiny) for each in (a, b))
    r = b @ a / (a.norm(dim=0) * b.norm())
    return torch.where(torch.isnan(r), 0.0, r).to(values.dtype)
