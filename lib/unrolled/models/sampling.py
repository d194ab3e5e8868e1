"""From logits to a choice: temperature, top-k, top-p, and the loop that feeds each choice back in."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unrolled._check import check_count, check_finite, check_generator, check_number, check_tensor
from unrolled.models.language import evaluating


def probabilities(
    logits: Float[Tensor, "... V"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "... V"]:
    r"""What to draw the next character from: a tempered softmax, cut to its likeliest characters.

    $$p_i \propto e^{l_i / \tau} \text{ for the kept } i, \text{ else } 0$$

    Args:
        logits: (…, V).
        temperature: tau; 1 is what the model says. Towards 0 the likeliest character takes all, and below
            1e-30 it has, as at 0.
        top_k: keep the k likeliest characters; None keeps all. Of equals at the edge, all stay.
        top_p: keep the likeliest characters until together they have at least this share of what `temperature` and
            `top_k` left; the one that passes it stays, so that one always does. None keeps all.

    Returns:
        Probabilities, (…, V), that sum to 1.

    Raises:
        ValueError: a temperature below 0, k below 1, or p not above 0 and at most 1; logits of NaN or +inf, or a row of
            nothing but -inf, of which no distribution can be made.

    Source: top-p: Holtzman et al. (2020). Taught in chapter 09; tested against a sort written out.
    """
    check_tensor("logits", logits, "... V")
    _check_options(temperature, top_k, top_p)
    highest = check_finite("logits, the largest of a row", logits.amax(dim=-1, keepdim=True))
    if temperature < 1e-30:  # divided by less, logits would leave single precision
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    logits = logits - highest  # the largest is 0, so that a division by little makes no infinity of it
    kind = logits.dtype
    scaled = logits.to(torch.promote_types(kind, torch.float32)) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        least = scaled.topk(top_k, dim=-1).values[..., -1:]  # (…, 1)
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    p = torch.softmax(scaled, dim=-1)
    if top_p is not None and top_p < 1:
        ordered, order = p.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered  # what the likelier ones have together
        p = p.masked_fill(((before >= top_p) & (before > 0)).gather(-1, order.argsort(dim=-1)), 0.0)
        p = p / p.sum(dim=-1, keepdim=True)
    return p.to(kind)


def _check_options(temperature: float, top_k: int | None, top_p: float | None) -> None:
    check_number("temperature", temperature, least=0)
    if top_k is not None:
        check_count("top_k", top_k)
    if top_p is not None:
        check_number("top_p", top_p, above=0, most=1)


@torch.no_grad()
def generate(
    model: Any,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> str:
    """Continue a text: read the prompt, then feed each chosen character back in as the next input.

    Args:
        model: a trained character model; its dropout is off meanwhile.
        prompt: the text to start from, at least one character.
        length: how many characters to add.
        temperature: divides the logits before the softmax. 1 samples from what the model says; towards 0 the
            choice becomes the likeliest character, and at 0 it is (greedy).
        top_k: choose among the k likeliest characters only; see `probabilities`.
        top_p: choose among the likeliest characters that together have this share; see `probabilities`.
        generator: the source of randomness; None takes torch's global one.

    Returns:
        The added characters, without the prompt.

    Raises:
        ValueError: an empty prompt, an unknown character, an option out of its range.

    Taught in chapters 02 and 09.
    """
    check_count("length", length, least=0)
    _check_options(temperature, top_k, top_p)
    check_generator("generator", generator)
    if hasattr(model, "num_seeds"):
        raise ValueError("model: expected one model, got stacked seeds")
    with evaluating(model):
        ids = model.vocabulary.encode(prompt).to(model.readout.W_hy.device)
        logits, state = model(ids.unsqueeze(0))
        chosen: list[int] = []
        for _ in range(length):
            last = logits[0, -1]  # (V,)
            if temperature == 0:
                id_t = last.argmax()
            else:
                p = probabilities(last, temperature=temperature, top_k=top_k, top_p=top_p)
                id_t = torch.multinomial(p, 1, generator=generator)[0]
            chosen.append(int(id_t))
            logits, state = model(id_t.view(1, 1), state)
    return model.vocabulary.decode(chosen)
