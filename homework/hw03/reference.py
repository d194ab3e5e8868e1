"""Homework 3's reference, on the library's model in float64; held against the library by tests/homework/test_hw03.py.

A `fault` is one mistake, put in on purpose: what it gives is how an answer that makes it is recognised.
"""

import copy

import numpy as np
import torch
from torch.nn import functional as F

from unrolled.cells import detach
from unrolled.data import Vocabulary
from unrolled.models import CharacterModel

SEEDS = 3  # runs of a setting, at least


def draw_model(rng, characters="\nabcde", m=5):
    """A character model whose weights are large enough for its state to matter, in float64."""
    model = CharacterModel(
        Vocabulary(characters), m, embedding_size=3, cell="lstm"
    ).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.tensor(rng.normal(size=weight.shape) * 1.5))
    return model


@torch.no_grad()
def draw_chain(rng, characters="\nabcdefg"):
    """A model without a memory, and the text it goes through from its first letter to a newline."""
    V = len(characters)
    model = CharacterModel(Vocabulary(characters), V, cell="lstm").double()
    order = [*rng.permutation(np.arange(1, V)), 0]
    for weight in model.parameters():
        weight.zero_()
    cell, blocks = model.rnn.cells[0], torch.tensor([[9.0], [-1e4], [0], [9]]).double()
    cell.b.view(4, V).copy_(
        blocks.expand(4, V)
    )  # writes and shows everything, keeps nothing
    cell.W_x.view(4, V, V)[2] = 9 * torch.eye(V)
    model.readout.W_hy[order, [0, *order[:-1]]] = 9.0  # what follows each character
    return model, model.vocabulary.decode([int(i) for i in order])


@torch.no_grad()
def logits_of(model, ids):
    """What a model says at each place of ids (B, T), from a state of zeros: (B, T, V)."""
    return model(torch.as_tensor(ids))[0].numpy()


def character_bits(logits, ids, fault=""):
    """Bits of each character after the first: (B, T - 1)."""
    logits = torch.as_tensor(logits)
    cut = slice(1, None) if fault == "late" else slice(None, -1)
    axis = {"over time": 1, "over all times": 1, "over rows": 0}.get(fault, -1)
    if fault == "over all times":
        log_p = torch.log_softmax(logits, axis)[:, cut]
    else:
        log_p = torch.log_softmax(logits[:, cut], axis)
    asked = (
        torch.as_tensor(ids)[:, :-1]
        if fault == "not ahead"
        else torch.as_tensor(ids)[:, 1:]
    )
    bits = -log_p.gather(-1, asked[..., None])[..., 0] / (
        1 if fault == "nats" else np.log(2)
    )
    if fault == "probabilities":
        return torch.exp2(-bits).numpy()
    return (-bits if fault == "sign" else bits).numpy()


def choice(logits, temperature, top_p, fault=""):
    """Probabilities, cut at temperature 1 and tempered then: (B, V)."""
    logits, axis = torch.as_tensor(logits), 0 if fault == "over rows" else -1
    z = logits * temperature if fault == "multiplied" else logits / temperature
    z = logits if fault == "not tempered" else z
    p = torch.softmax(z if fault == "tempered first" else logits, axis)
    ordered, order = p.sort(-1, descending=fault != "least")
    before = ordered.cumsum(-1) - (0 if fault == "crosses" else ordered)
    out = before >= (2 if fault == "not cut" or top_p == 1 else top_p)
    if fault == "one more":
        out = torch.cat([torch.zeros_like(out[:, :1]), out[:, :-1]], 1)
    out = out.gather(-1, order.argsort(-1))
    if fault == "lacks":
        return torch.softmax(z, axis).masked_fill(out, 0.0).numpy()
    p = torch.softmax(z.masked_fill(out, -torch.inf), axis)  # NaN where a mistake cuts all
    return p.numpy()


@torch.no_grad()
def write(model, prompt, choose, longest, fault=""):
    """The text after a prompt, up to a newline or to `longest` characters."""
    ids = model.vocabulary.encode(prompt)[None]
    logits, state = model(ids[:, -1:] if fault == "last alone" else ids)
    if fault == "twice":
        logits, state = model(ids[:, -1:], state)
    place, text = 0 if fault == "first place" else -1, ""
    while len(text) < longest - (fault == "one less"):
        i = torch.as_tensor(choose(logits[0, place])).view(1, 1)
        letter = model.vocabulary.decode(i[0])
        if letter == "\n" and fault != "goes on":
            text += letter if fault == "newline" else ""
            break
        text, place = text + letter, -1
        fed = model.vocabulary.encode(prompt + text)[None] if fault == "read again" else i
        fed = ids[:, -1:] if fault == "prompt alone" else fed
        logits, state = model(fed, None if fault == "not carried" else state)
    return prompt + text if fault == "prompt too" else text


def name_bits(model, names, fault=""):
    """Bits of each whole name, from the newline before it to the one that ends it: (N,)."""
    bits, state = [], None
    for name in names:
        text = (
            f"\n{name}"
            if fault == "no end"
            else f"{name}\n"
            if fault == "no start"
            else f"\n{name}\n"
        )
        ids = model.vocabulary.encode(text)[None]
        with torch.no_grad():
            logits, after = model(ids, state)
        state = after if fault == "carried" else None
        each = character_bits(logits, ids, fault)
        bits.append(each.mean() if fault == "mean" else each.sum())
    return np.array(bits)


def bits_per_character(bits, names, fault=""):
    """The mean over all characters of names whose bits are known, newlines included."""
    characters = np.array(
        [len(name) + (fault not in ("letters", "names, letters")) for name in names]
    )
    if fault in ("names", "names, letters"):
        return float((np.asarray(bits) / characters).mean())
    return float(
        np.sum(bits) / {"per name": len(names), "sum": 1}.get(fault, characters.sum())
    )


def updates(model, chunks, rate, max_norm, fault=""):
    """Bits, W_h and W_hy after each update of truncated BPTT by plain gradient descent."""
    model, state, told = copy.deepcopy(model), None, []
    weights = list(model.parameters())

    def step():
        with torch.no_grad():
            for weight in weights:
                weight -= rate * weight.grad

    for x, y in chunks:
        logits, state = _read(model, torch.as_tensor(x), state, fault)
        y, how = torch.as_tensor(y), "sum" if fault == "sum" else "mean"
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction=how)
        if fault != "added up":
            model.zero_grad()
        (loss / np.log(2) if fault == "bits" else loss).backward()
        clip(weights, max_norm, fault)
        step()
        state = None if fault == "reset" else detach(state)
        bits = loss.item() / (1 if fault == "nats" else np.log(2))
        told.append((bits, *weights_of(model)))
    return told


def weights_of(model):
    """W_h and W_hy as they are."""
    shown = (model.rnn.cells[0].W_h, model.readout.W_hy)
    return tuple(weight.detach().clone().numpy() for weight in shown)


def _read(model, x, state, fault):
    """Logits and state of a chunk; the mistake "each step" cuts the gradient inside it."""
    if fault != "each step":
        return model(x, state)
    logits = []
    for x_t in x.split(1, dim=1):
        each, state = model(x_t, None if state is None else detach(state))
        logits.append(each)
    return torch.cat(logits, 1), state


def clip(weights, max_norm, fault=""):
    """Shorten the gradients of all weights together to `max_norm`."""
    norm = torch.stack([weight.grad.square().sum() for weight in weights]).sum().sqrt()
    for weight in weights:
        g = weight.grad
        if fault == "clipped each":
            g.mul_((max_norm / g.norm()).clamp(max=1))
        elif fault == "clipped entries":
            g.clamp_(-max_norm, max_norm)
        elif fault != "not clipped":
            g.mul_(
                max_norm / norm
                if fault == "clipped always"
                else (max_norm / norm).clamp(max=1)
            )


def correlations(h, y, fault=""):
    """Pearson's r of every unit's states h (T, m) with a quantity y (T,): (m,)."""
    if fault != "no means":
        h, y = h - h.mean(0), y - y.mean()
    r = (h * y[:, None]).sum(0)
    return (
        r / len(y) if fault == "covariance" else r / np.sqrt((h**2).sum(0) * (y**2).sum())
    )


def best_unit(h_choose, y_choose, h_report, y_report, fault=""):
    """The unit that goes with y most closely in one text, and its r in another."""
    r = correlations(h_choose, y_choose, fault)
    other = correlations(h_report, y_report, fault)
    chosen_by = {"largest": r, "other": np.abs(other)}.get(fault, np.abs(r))
    unit = int(np.argmax(chosen_by))
    found = float((r if fault == "same text" else other)[unit])
    return unit + (fault == "from 1"), abs(found) if fault == "size" else found


def silenced(model, unit, fault=""):
    """A copy of a model in which nobody hears one unit."""
    changed = copy.deepcopy(model)
    if fault == "none":
        return changed
    W_h, W_hy, m = (
        changed.rnn.cells[0].W_h,
        changed.readout.W_hy,
        changed.readout.hidden_size,
    )
    unit += {"from 1": -1}.get(fault, 0)
    with torch.no_grad():
        if fault == "rows":
            W_h.view(4, m, m)[:, unit] = 0
        elif fault == "one row":
            W_h[unit] = 0
        elif fault == "one gate":
            W_h[:m, unit] = 0
        elif fault != "readout alone":
            W_h[:, unit] = 0
        if fault == "row of W_hy":
            W_hy[unit % len(W_hy)] = 0
        elif fault != "recurrent alone":
            W_hy[:, unit] = 0
    return changed


def summarise(runs, fault=""):
    """Mean and spread of the bits of each setting."""
    by_setting = {}
    for run in runs:
        by_setting.setdefault(run["setting"], []).append(run["bits"])
    every = [run["bits"] for run in runs]
    found = {}
    for setting, bits in by_setting.items():
        spread = np.std(every if fault == "all" else bits, ddof=0 if fault == "n" else 1)
        spread = {
            "error": spread / np.sqrt(len(bits)),
            "variance": spread**2,
            "range": max(bits) - min(bits),
            "half range": (max(bits) - min(bits)) / 2,
        }.get(fault, spread)
        mean = {
            "median": np.median(bits),
            "sum": sum(bits),
            "mean of all": np.mean(every),
        }.get(fault)
        found[setting] = (float(np.mean(bits) if mean is None else mean), float(spread))
    return found


def table_fault(runs):
    """What is wrong with the form of a table of runs, or None."""
    kinds = {"setting": (str,), "seed": (int,), "updates": (int,), "bits": (float, int)}
    if type(runs) not in (list, tuple) or not runs:
        return "expected a list of runs, one dict each"
    for number, run in enumerate(runs):
        if type(run) is not dict or not set(kinds) <= set(run):
            return f"run {number}: expected a dict with {', '.join(kinds)}"
        for name, kind in kinds.items():
            if type(run[name]) not in kind:
                return f"run {number}: {name}: expected {kind[0].__name__}, got {type(run[name]).__name__}"
        if not 0 < run["bits"] < 20 or run["updates"] < 1:
            return (
                f"run {number}: expected bits per character above 0 and at least one update"
            )
    settings = {run["setting"] for run in runs}
    if len(settings) < 2:
        return f"expected at least two settings, got {len(settings)}"
    for setting in sorted(settings):
        seeds = [run["seed"] for run in runs if run["setting"] == setting]
        if len(set(seeds)) < SEEDS:
            return f"{setting}: expected at least {SEEDS} seeds, got {len(set(seeds))}"
        if len(set(seeds)) < len(seeds):
            return f"{setting}: a seed stands there twice"
    return None


def fairness_fault(runs, seed):
    """What makes the settings of a well-formed table incomparable, or None."""
    by_setting = {}
    for run in runs:
        by_setting.setdefault(run["setting"], {})[run["seed"]] = run["bits"]
    if len({run["updates"] for run in runs}) > 1:
        return "the settings made different numbers of updates"
    if len({frozenset(bits) for bits in by_setting.values()}) > 1:
        return "the settings have different seeds: run each seed under every one"
    if "as it is" not in by_setting:
        return "one setting must be 'as it is', to compare the others with"
    wanted = {seed + i for i in range(SEEDS)}
    if not wanted <= set(next(iter(by_setting.values()))):
        return f"expected the seeds {', '.join(map(str, sorted(wanted)))} among yours: SEED and the next ones"
    for setting, bits in sorted(by_setting.items()):
        if len(set(bits.values())) == 1:
            return f"{setting}: every seed gave the same bits to the last digit: no seed reaches the model"
    return None
