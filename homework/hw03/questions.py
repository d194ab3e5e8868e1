"""Homework 3: what is asked, what is expected, and what the likely mistakes give. See homework/README.md."""

from functools import partial

import numpy as np
import torch

from homework.grader import (
    Attr,
    Call,
    Check,
    Homework,
    Item,
    Let,
    Name,
    Question,
    Tensor,
    Try,
    Written,
    seed_fault,
    tensors,
)
from homework.grader.compare import as_array, compare

from . import reference

TOL = 1e-5  # float32 will do
LIBRARY = Name("unrolled")
MODEL = Name("model")


def sent(model):
    """Bindings that make a model in the sandbox, with the weights of one drawn here."""
    sizes = model.describe()
    vocabulary = Call(Attr(Attr(LIBRARY, "data"), "Vocabulary"), sizes.pop("characters"))
    made = Call(Attr(Attr(LIBRARY, "models"), "CharacterModel"), vocabulary, **sizes)
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    return {
        "model": Call(Attr(Call(Attr(made, "double")), "eval")),
        "_loaded": Call(Attr(MODEL, "load_state_dict"), tensors(weights)),
    }


def each_fault(faults):
    """The message and the mistake, one after the other; some messages are those of several mistakes."""
    for message, mistakes in faults.items():
        for fault in (mistakes,) if type(mistakes) is str else mistakes:
            yield message, fault


def named(got, right, gives, faults):
    """None where an answer is right, else the mistake that gives it, else where it differs.

    Mistakes are worked out only for an answer that is wrong: a model takes its time.
    """
    difference = compare(right, got, TOL)
    if difference is None:
        return None
    for message, fault in each_fault(faults):
        mistaken = gives(fault)
        is_it = compare(mistaken, got, TOL) is None
        if is_it and compare(right, mistaken, TOL) is not None:
            return message
    return difference


def check(part, ask, gives, faults, says=""):
    """A check of what `gives()` gives, where `gives(fault)` is what a mistake gives."""
    right = gives("")
    return Check(part, ask, judge=lambda got: named(got, right, gives, faults), says=says)


SURPRISE_FAULTS = {
    "this is in nats: one bit is ln 2 nats": "nats",
    "off by one in time: logits[:, t] predict ids[:, t + 1], not ids[:, t]": "not ahead",
    "off by one in time: the logits given before a character predict it, yours came after": "late",
    "the softmax runs over the wrong axis (time)": ("over time", "over all times"),
    "the softmax runs over the wrong axis (rows)": "over rows",
    "this is p, not its surprise": "probabilities",
    "the sign is turned: surprise is never negative": "sign",
}


def ask_surprise(rng):
    """Surprise of what was read."""
    logits, ids = 2 * rng.normal(size=(3, 6, 5)), rng.integers(5, size=(3, 6))
    gives = partial(reference.character_bits, logits, ids)
    yield check(
        "bits", Call("character_bits", Tensor(logits), Tensor(ids)), gives, SURPRISE_FAULTS
    )


CHOICE_FAULTS = {
    "the temperature multiplies the logits: divide by it": "multiplied",
    "the temperature does not reach the probabilities": "not tempered",
    "the softmax runs over the wrong axis (rows)": "over rows",
    "nothing is cut": "not cut",
    "top-p drops the character that reaches it: that one stays": "crosses",
    "top-p keeps one character too many": "one more",
    "the least likely characters are kept": "least",
    "what is left must sum to 1 again": "lacks",
    "tempered first, then cut: what is kept must not depend on the temperature": "tempered first",
}


def draw_choice(rng, temperature, top_p):
    """Logits of which no two mistakes that show here make the same probabilities, nor the right ones."""
    while True:
        logits = rng.normal(size=(4, 9))
        p = torch.softmax(torch.tensor(logits), -1).sort(-1, descending=True).values
        edge = (p.cumsum(-1) - top_p).abs().min()
        if top_p < 1 and (p.max() >= top_p or edge < 1e-3):
            continue
        if top_p == 1:
            return logits
        silent = (
            ("multiplied", "not tempered", "tempered first") if temperature == 1 else ()
        )
        faults = [fault for fault in CHOICE_FAULTS.values() if fault not in silent]
        gives = partial(reference.choice, logits, temperature, top_p)
        if len({np.round(gives(fault), 4).tobytes() for fault in ("", *faults)}) > len(
            faults
        ):
            return logits


def ask_choice(rng):
    """The temperature alone, the cut alone, then both."""
    for part, temperature, top_p in (
        ("temperature", 0.6, 1.0),
        ("temperature", 1.7, 1.0),
        ("cut", 1.0, 0.7),
        ("cut", 1.0, 0.05),
        ("order", 2.5, 0.7),
        ("order", 0.5, 0.8),
    ):
        few = top_p < 0.1  # less than any character has: the likeliest stays
        logits = rng.normal(size=(2, 9)) if few else draw_choice(rng, temperature, top_p)
        gives = partial(reference.choice, logits, temperature, top_p)
        judge = partial(_probabilities, gives=gives, part=part)
        ask = Call("choice", Tensor(logits), temperature, top_p)
        yield Check(
            part, ask, judge=judge, says=f"temperature {temperature}, top_p {top_p}"
        )


def _probabilities(got, gives, part):
    """What is wrong with them. Where the temperature is asked for, a cut that drops the last of all may pass."""
    right, found = gives(""), as_array(got)
    if part == "temperature" and found is not None and found.shape == right.shape:
        least = right.min(-1, keepdims=True)
        cut = np.where(right == least, 0, right) / (1 - least)
        dropped = np.abs(found - cut).max(-1, keepdims=True) <= TOL
        got = np.where(dropped, right, found)
    return named(got, right, gives, CHOICE_FAULTS)


WRITE_FAULTS = {
    "the state is not carried from one character to the next": "not carried",
    "the prompt's last character is fed twice": "twice",
    "only the last character of the prompt is read": "last alone",
    "the first choice comes from the logits of the prompt's first place": "first place",
    "the whole text is read again from the state that had read it": "read again",
    "what was chosen is not fed back: the prompt's last character is": "prompt alone",
}
STOP_FAULTS = {
    "the prompt is not part of what was added": "prompt too",
    "it goes on after the newline": "goes on",
    "the newline that ends the text is not part of it": "newline",
    "one character less than `longest`": "one less",
}


def draw_writing(rng, longest=8):
    """A model that never chooses a newline, a prompt and how to choose: no two mistakes give the same text."""
    how = str(rng.choice(["argmax", "argmin"]))
    while True:
        model = reference.draw_model(rng, "\nabcdefghijk", m=8)
        model.readout.b_y.data[0] = -1e3 if how == "argmax" else 1e3
        prompt = "".join(rng.choice(list("abcdefghijk"), 3))
        gives = partial(reference.write, model, prompt, getattr(torch, how), longest)
        texts = [gives("")]
        if len(set(texts[0])) > 3:
            texts += map(gives, WRITE_FAULTS.values())
            if len(set(texts)) == len(texts):
                return (
                    sent(model),
                    Call("write", MODEL, prompt, Attr(Name("torch"), how), longest),
                    gives,
                )


def ask_writing(rng):
    """What is written, and where it stops. The second model has no memory: there only stopping can go wrong."""
    bound, call, gives = draw_writing(rng)
    yield check("text", Let(bound, call), gives, WRITE_FAULTS | STOP_FAULTS)
    model, order = reference.draw_chain(rng)
    for longest in (20, 3):
        gives = partial(reference.write, model, order[0], torch.argmax, longest)
        call = Call("write", MODEL, order[0], Attr(Name("torch"), "argmax"), longest)
        yield check(
            "stops", Let(sent(model), call), gives, STOP_FAULTS, f"longest = {longest}"
        )


NAME_FAULTS = {
    "the newline that ends a name is a character too": "no end",
    "the first letter counts: the newline before it predicts it": "no start",
    "the bits of a name add up, yours are a mean": "mean",
    "a fresh state for each name: yours goes on from the name before": "carried",
}
MEAN_FAULTS = {
    "a mean over the names: over characters, long names weigh more": "names",
    "a mean over the names, and the newline that ends a name is a character too": "names, letters",
    "the newline that ends a name is a character too": "letters",
    "divided by the number of names: divide by their characters": "per name",
    "a sum where the mean was asked for": "sum",
}


def _own_bits(own, names):
    """The bits of names by a student's own character_bits, where a known mistake may stand in them."""
    each = [as_array(one) for one in own] if type(own) is list else []
    if [np.shape(one) for one in each] != [(1, len(name) + 1) for name in names]:
        return None
    return np.array([one.sum() for one in each])


def _with_own(part, model, function, names, earlier, asked, judge):
    """A check of what a function gives for names, beside what an earlier one of the notebook gives by itself.

    What is asked must not fail with the earlier one, which only says whether a fault follows from there.
    """
    own = Try([Call(earlier, *arguments) for arguments in asked])
    return Check(part, Let(sent(model), [Call(function, MODEL, names), own]), judge=judge)


def ask_names(rng):
    """Bits of whole names.

    What follows from a known mistake in the student's own character_bits counts as right, and so does the mean of
    the student's own name_bits. But not from zeros: there no mistake of this question would show.
    """
    model = reference.draw_model(rng)
    names = ["".join(rng.choice(list("abcde"), n)) for n in (2, 7, 4, 5)]
    gives = partial(reference.name_bits, model, names)
    bits = gives("")

    def judge_names(got):
        said, own = got[0], _own_bits(got[1], names)
        fault = named(said, bits, gives, NAME_FAULTS | SURPRISE_FAULTS)
        if fault is None or own is None or compare(own, said, TOL) is not None:
            return fault
        mistaken = [gives(one) for _, one in each_fault(SURPRISE_FAULTS)]
        known = any(
            np.ptp(one) > TOL and compare(one, own, TOL) is None for one in mistaken
        )
        return None if known else fault

    read = []
    for name in names:
        ids = model.vocabulary.encode(f"\n{name}\n")[None].numpy()
        read.append((Tensor(reference.logits_of(model, ids)), Tensor(ids)))
    yield _with_own("names", model, "name_bits", names, "character_bits", read, judge_names)

    def judge_mean(got):
        said, own = got[0], as_array(got[1][0]) if type(got[1]) is list and got[1] else None
        means = partial(reference.bits_per_character, bits, names)
        fault = named(said, means(""), means, MEAN_FAULTS)
        if fault is None or own is None or own.shape != bits.shape:
            return fault
        means = partial(reference.bits_per_character, own, names)
        mistaken = [means(one) for _, one in each_fault(MEAN_FAULTS)]
        if any(compare(means(""), one, TOL) is None for one in mistaken):
            return fault
        return named(said, means(""), means, MEAN_FAULTS)

    read = [(MODEL, names)]
    yield _with_own(
        "mean", model, "bits_per_character", names, "name_bits", read, judge_mean
    )


UPDATE_FAULTS = {
    "a sum where the mean was asked for": "sum",
    "the gradient is that of the loss in bits: go down the mean in nats": "bits",
    "nothing is clipped before the step": "not clipped",
    "a gradient below max_norm must pass as it is": "clipped always",
    "each gradient is clipped by itself: all together have one norm": "clipped each",
    "each number is clipped by itself": "clipped entries",
    "the state is detached at every step: the gradient must cross the steps of its chunk": "each step",
}
SECOND_FAULTS = {
    "the second chunk starts from a state of zeros: go on from the first one's": "reset",
    "old gradients are not cleared: they add up": "added up",
}


def ask_update(rng):
    """The bits, the weights after one update, and after a second from the state of the first."""
    model, rate = reference.draw_model(rng), 0.5
    chunks = [tuple(rng.integers(6, size=(2, 3, 5))) for _ in range(2)]
    weights = [
        Attr(Item(Attr(Attr(MODEL, "rnn"), "cells"), 0), "W_h"),
        Attr(Attr(MODEL, "readout"), "W_hy"),
    ]
    descent = Call("Descent", Call(Attr(MODEL, "parameters")), rate)

    def asked(max_norm, times):
        bound, state = sent(model) | {"optimizer": descent}, None
        for number, (x, y) in enumerate(chunks[:times]):
            given = (MODEL, Name("optimizer"), Tensor(x), Tensor(y), state, max_norm)
            bound[f"answer_{number}"] = Call("update", *given)
            state = Item(Name(f"answer_{number}"), 1)
        return bound

    start = reference.weights_of(model)[1]
    free = (start - reference.updates(model, chunks[:1], rate, 100.0)[-1][2]) / rate
    short = round(
        float(np.abs(free).max()) / 2, 4
    )  # every way of clipping shortens something

    def bits(fault):
        return reference.updates(model, chunks[:1], rate, 100.0, fault)[-1][0]

    ask = Let(asked(100.0, 1), Item(Name("answer_0"), 0))
    yield check("bits", ask, bits, {"this is in nats: return bits": "nats"} | UPDATE_FAULTS)
    for part, max_norm, times in (
        ("weights", 100.0, 1),
        ("weights", short, 1),
        ("second chunk", 100.0, 2),
    ):

        def after(fault, max_norm=max_norm, times=times):
            return reference.updates(model, chunks[:times], rate, max_norm, fault)[-1][1:]

        faults = SECOND_FAULTS | UPDATE_FAULTS if times == 2 else UPDATE_FAULTS
        yield check(
            part,
            Let(asked(max_norm, times), weights),
            after,
            faults,
            f"max_norm {max_norm:g}",
        )


UNIT_FAULTS = {
    "the largest |r|, yours is the largest r: a unit may go the other way": "largest",
    "choose in the first text, report in the second": "other",
    "r compares with the means, yours leaves them in": "no means",
    "r is divided by both spreads, yours is not: a loud unit is not a close one": "covariance",
}
R_FAULTS = {
    "this is the r of the text in which the unit was chosen": "same text",
    "keep the sign of r": "size",
    "r compares with the means: take them away first": "no means",
    "this is not divided by the spreads of both": "covariance",
}


def draw_states(rng, m=12):
    """States of two texts for which every mistake chooses another unit or tells another r."""
    while True:
        sizes, told = (18, 25), []
        kind = rng.normal(size=m)
        for T in sizes:
            y = rng.integers(0, 6, size=T).astype(float)
            noise = rng.normal(size=(T, m)) * rng.uniform(0.5, 4, size=m)
            told += [
                (kind * y[:, None] + noise) * rng.uniform(0.1, 1, size=m)
                + rng.normal(size=m),
                y,
            ]
        unit, r = reference.best_unit(*told)
        units = [reference.best_unit(*told, fault)[0] for fault in UNIT_FAULTS.values()]
        sizes = np.sort(np.abs(reference.correlations(*told[:2])))
        differ = len({unit, *units}) > len(units)
        if differ and r < -0.2 and unit > 0 and sizes[-1] - sizes[-2] > 0.01:
            return told


def ask_unit(rng):
    """Which unit, and its r. An r that is right for the student's own unit counts as right."""
    told = draw_states(rng)
    gives = partial(reference.best_unit, *told)
    r = gives("")[1]
    call = Call("best_unit", *map(Tensor, told))
    faults = UNIT_FAULTS | {"units are counted from 0": "from 1"}
    yield check("unit", Item(call, 0), lambda fault: gives(fault)[0], faults)
    every = reference.correlations(*told[2:])

    def judge(got):
        own, said = as_array(got[0]), got[1]
        counted = own is not None and own.shape == () and own.dtype.kind in "iu"
        if counted and 0 <= own < len(every) and compare(every[own], said, TOL) is None:
            return None
        return named(said, r, lambda fault: gives(fault)[1], R_FAULTS)

    yield Check(
        "r",
        Let({"answer": call}, [Item(Name("answer"), 0), Item(Name("answer"), 1)]),
        judge=judge,
    )


SILENCE_FAULTS = {
    "the readout still hears the unit: its column of W_hy": "recurrent alone",
    "the three gates and the candidate still hear the unit: its column of W_h": "readout alone",
    "this is what the unit hears (rows of W_h); what it says are columns": "rows",
    "one row of W_h is what one gate hears; what the unit says is a column": "one row",
    "only the input gate is deaf to it: all 4m rows of the column": "one gate",
    "a row of W_hy is a character; the unit's is a column": "row of W_hy",
    "units are counted from 0": "from 1",
    "nothing is silenced": "none",
}


def ask_silence(rng):
    """What the silenced copy says, and what the original says after."""
    model = reference.draw_model(rng)
    unit, ids = int(rng.integers(1, 5)), rng.integers(6, size=(2, 6))

    def gives(fault):
        return reference.logits_of(reference.silenced(model, unit, fault), ids)

    silent = Item(Call(Call("silenced", MODEL, unit), Tensor(ids)), 0)
    yield check("silence", Let(sent(model), silent), gives, SILENCE_FAULTS)

    def judge(got):
        right, said = reference.logits_of(model, ids), as_array(got[0])
        if said is None or said.shape != right.shape:
            return "no model comes back"
        if compare(right, got[1], TOL) is not None:
            return "your function changes the model it is given: change a copy"
        silent = compare(right, got[0], TOL) is not None
        return None if silent else "nothing is silenced, so there is no copy to compare"

    after = Let({"_silent": silent}, [Name("_silent"), Item(Call(MODEL, Tensor(ids)), 0)])
    yield Check("original", Let(sent(model), after), judge=judge)


MEAN_OF_RUNS = {
    "the median, not the mean": "median",
    "a sum where the mean was asked for": "sum",
    "this is the mean of all runs together": "mean of all",
}
SPREAD_FAULTS = {
    "divided by n: n - 1 belongs in the denominator": "n",
    "this is the standard error: the standard deviation is asked for": "error",
    "this is the variance: its root is asked for": "variance",
    "this is the range: the standard deviation is asked for": "range",
    "this is half the range: the standard deviation is asked for": "half range",
    "this is the spread of all runs together": "all",
}


def ask_table(rng):
    """The summary of a fresh table, and the student's own table."""
    runs = [
        {"setting": name, "seed": seed, "updates": 100, "bits": float(3 + rng.random())}
        for name, count in (("wide", 3), ("narrow", 5))
        for seed in range(count)
    ]
    runs = [runs[i] for i in rng.permutation(len(runs))]
    for place, (part, faults) in enumerate(
        {"mean": MEAN_OF_RUNS, "spread": SPREAD_FAULTS}.items()
    ):

        def gives(fault, place=place):
            found = reference.summarise(runs, fault)
            return [found["wide"][place], found["narrow"][place]]

        asked = [Item(Item(Name("found"), name), place) for name in ("wide", "narrow")]
        yield check(part, Let({"found": Call("summarise", runs)}, asked), gives, faults)
    yield Check("table", Name("runs"), judge=lambda got: reference.table_fault(_plain(got)))
    yield Check("fair", [Name("SEED"), Name("runs")], judge=_fair)


def _plain(runs):
    """A table with numpy's numbers as Python's."""
    if type(runs) not in (list, tuple) or not all(type(run) is dict for run in runs):
        return runs

    def number(value):
        return value.item() if type(value) is np.ndarray and value.shape == () else value

    return [{name: number(value) for name, value in run.items()} for run in runs]


def _fair(got):
    seed, runs = got[0], _plain(got[1])
    form = seed_fault(seed) or reference.table_fault(runs)
    return form or reference.fairness_fault(runs, seed)


HOMEWORK = Homework(
    name="hw03",
    title="A character model: train it, sample it, look inside",
    library=True,
    questions=[
        Question("q1", "Surprise in bits", {"bits": 2}, ask_surprise),
        Question(
            "q2",
            "Cut, then temper",
            dict.fromkeys(["temperature", "cut", "order"], 1),
            ask_choice,
        ),
        Question("q3", "Write", {"text": 2, "stops": 1}, ask_writing),
        Question("q4", "Bits of whole names", {"names": 2, "mean": 1}, ask_names),
        Question(
            "q5", "One update", {"bits": 1, "weights": 2, "second chunk": 1}, ask_update
        ),
        Question("q6", "Find a unit", {"unit": 1, "r": 2}, ask_unit),
        Question("q7", "Silence it", {"silence": 2, "original": 1}, ask_silence),
        Written("q8", "Your unit, in words", 2),
        Question(
            "q9",
            "A table of runs",
            dict.fromkeys(["mean", "spread", "table", "fair"], 1),
            ask_table,
        ),
        Written("q10", "Your experiment, in words", 3),
    ],
)
