"""Homework 3: its reference is right, its solution earns everything, each mistake costs what it should and is named."""

import copy
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from handed_in import assert_costs, grade, judged, loaded, lost, run, seeds, solution, student, with_mistakes

from homework.grader import grade_cells
from tools import homework as build
from unrolled.data import names
from unrolled.models import generate, load, probabilities
from unrolled.training import Config, evaluate, train

HW, questions, reference = loaded("hw03")
SOLUTION = solution("hw03")
MASTER = (build.ROOT / "homework" / "hw03" / "master.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def model():
    return reference.draw_model(np.random.default_rng(0))


# the reference against the library


def test_the_bits_of_names_agree_with_the_library_s_evaluation(model):
    """A name between its newlines is what `evaluate` reads, in nats a character."""
    found = reference.name_bits(model, ["abe", "d"])
    for name, bits in zip(["abe", "d"], found, strict=True):
        ids = model.vocabulary.encode(f"\n{name}\n")
        assert abs(evaluate(model, ids) * (len(name) + 1) / np.log(2) - bits) < 1e-10


def test_a_cut_before_the_temperature_is_the_library_s_cut_and_a_power():
    logits = np.random.default_rng(0).normal(size=(3, 7))
    cut = probabilities(torch.tensor(logits), top_p=0.7)
    tempered = cut**0.5 / (cut**0.5).sum(-1, keepdim=True)
    assert np.abs(reference.choice(logits, 2.0, 0.7) - tempered.numpy()).max() < 1e-12
    plain = probabilities(torch.tensor(logits), temperature=2.0, top_p=0.7).numpy()
    assert np.abs(reference.choice(logits, 2.0, 0.7, "tempered first") - plain).max() < 1e-12


def test_writing_the_likeliest_agrees_with_the_library(model):
    theirs = generate(model, "abc", 12, temperature=0).split("\n")[0]
    assert reference.write(model, "abc", torch.argmax, 12) == theirs


def test_two_updates_agree_with_the_library_s_training(model):
    ids = torch.tensor(np.random.default_rng(1).integers(6, size=21))
    chunks = [(ids[:20].view(2, 10)[:, s : s + 5], ids[1:].view(2, 10)[:, s : s + 5]) for s in (0, 5)]
    theirs = copy.deepcopy(model)
    history = train(theirs, ids, Config(2, 0.5, "sgd", 0.3, batch_size=2, num_steps=5))
    told = reference.updates(model, chunks, 0.5, 0.3)
    assert np.abs(np.array(history.loss) / np.log(2) - [bits for bits, *_ in told]).max() < 1e-12
    for mine, weight in zip(told[-1][1:], (theirs.rnn.cells[0].W_h, theirs.readout.W_hy), strict=True):
        assert np.abs(mine - weight.detach().numpy()).max() < 1e-12


def test_a_silenced_unit_is_one_whose_state_is_set_to_zero(model):
    """Step by step: its h is zeroed before the readout and before the next step."""
    ids, unit = torch.tensor([[0, 3, 2, 5, 1]]), 2
    state, logits = None, []
    with torch.no_grad():
        for id_t in ids.split(1, dim=1):
            _, state = model(id_t, state)
            (part,) = state
            h = part.h.clone()
            h[:, unit] = 0
            state = (part._replace(h=h),)
            logits.append(model.readout(h))
    assert (
        np.abs(reference.logits_of(reference.silenced(model, unit), ids)[0] - torch.cat(logits).numpy()).max()
        < 1e-12
    )


def test_correlations_agree_with_numpy():
    h_1, y_1, h_2, y_2 = questions.draw_states(np.random.default_rng(2))
    unit, r = reference.best_unit(h_1, y_1, h_2, y_2)
    assert np.abs(reference.correlations(h_1, y_1) - np.corrcoef(h_1.T, y_1)[-1, :-1]).max() < 1e-12
    assert unit == np.abs(np.corrcoef(h_1.T, y_1)[-1, :-1]).argmax()
    assert abs(r - np.corrcoef(h_2[:, unit], y_2)[0, 1]) < 1e-12


def test_a_chain_goes_through_its_letters_and_ends():
    for seed in range(20):
        model, order = reference.draw_chain(np.random.default_rng(seed))
        assert order[-1] == "\n" and sorted(order) == list(model.vocabulary.characters)
        assert reference.write(model, order[0], torch.argmax, 20) == order[1:-1]
        assert reference.write(model, order[0], torch.argmax, 20, "not carried") == order[1:-1]


# the homework


def test_the_solution_earns_every_point_for_every_draw():
    namespace, _ = run(SOLUTION)
    for seed in seeds():
        graded = judged(HW, namespace, seed)
        assert lost(HW, graded) == {}, graded.said
    assert sum(graded.points.values()) == 25 and [w.points for w in HW.written] == [2, 3]


def test_what_is_no_model_leaves_no_original_alone():
    """Something to call that says anything has silenced nothing."""
    graded = grade(HW, [*SOLUTION, "def silenced(model, unit): return lambda ids: [torch.zeros(1)]"])
    assert graded.points["q7"] == 0


def test_the_blank_copy_earns_nothing():
    graded = grade(HW, student("hw03"))
    assert set(graded.points.values()) == {0}
    assert not [said for said in graded.said.values() if not said]


def test_in_the_sandbox_too(works):
    full, none = (grade_cells(HW, cells, seed=1) for cells in (SOLUTION, student("hw03")))
    assert (full.status, full.total, full.cells) == ("graded", 25, []), full.messages
    assert (none.status, none.total, none.cells) == ("graded", 0, [])


def test_the_checks_in_the_notebook_pass_with_the_solution():
    _, said = run(SOLUTION)
    told = [line for line in said.splitlines() if line.startswith("Question")]
    assert len(told) == 9 and all(line.endswith(": these checks pass") for line in told), told


def test_the_cells_that_are_not_graded_run_too():
    """All of them, for fewer updates, units and names."""
    shorter = [("train(reader, 1500,", "train(reader, 20,"), ("(1, 100, 1500)", "(1, 20)")]
    shorter += [("updates=300)", "updates=2)"), ("few = HELD_OUT[250:350]", "few = HELD_OUT[250:251]")]
    shorter += [("quantity, book = letters_so_far,", "quantity, book = doubled,")]  # a list of whole numbers
    _, said = run(with_mistakes(SOLUTION, *shorter), train=True)
    for name in ("Training", "Writing", "Your unit", "Your figure", "Your runs", "Your summary"):
        assert f"{name}: these checks pass" in said, said


def test_the_checks_in_the_notebook_report_without_an_answer():
    _, said = run(student("hw03"), train=True)
    told = [line for line in said.splitlines() if line.startswith("Question")]
    assert len(told) == 9 and all(line.endswith("not answered yet") for line in told), told
    for name, first in {"Training": "set SEED", "Writing": "train", "Your unit": "answer Question 4"}.items():
        assert f"{name}: {first} first" in said
    for seed, first in {"-1": "set SEED", "True": "set SEED", "0": "answer Question 4"}.items():
        _, said = run(with_mistakes(student("hw03"), ("SEED = ...", f"SEED = {seed}")), train=True)
        assert f"Training: {first} first" in said and f"Your runs: {first} first" in said


def test_a_cell_names_the_question_it_waits_for():
    namespace, _ = run(SOLUTION)
    functions = {"choice": 2, "write": 3, "name_bits": 4, "bits_per_character": 4, "update": 5}
    functions |= {"best_unit": 6, "silenced": 7, "summarise": 9}
    for name, number in functions.items():
        kept = namespace[name]
        namespace["need"](number)
        namespace[name] = lambda *_: None
        with pytest.raises(AssertionError, match=f"^answer Question {number} first$"):
            namespace["need"](number)
        namespace[name] = kept


def test_the_quantities_that_are_given():
    """One number for each character of a text, computed from what has been read so far."""
    namespace, _ = run(SOLUTION)
    for name, expected in {
        "letters_so_far": [0, 1, 2, 3, 4, 0, 1],
        "since_vowel": [0, 0, 1, 2, 0, 0, 1],
        "doubled": [0, 0, 0, 1, 0, 0, 0],
    }.items():
        assert [float(each) for each in namespace[name]("\nanna\nn")] == expected, name


# what the solution's sentences say, computed


def _sentences(question):
    part = MASTER[MASTER.index(f"name: {question}\n") :]
    return " ".join(part[: part.index("**Rubric.**")].split()).replace("−", "-")


def _side_by_side(model, rows):
    """Names between newlines, filled up to be equally long; and which predictions are a name's own."""
    width = max(map(len, rows)) + 2
    texts = [f"\n{name}\n".ljust(width, "a") for name in rows]
    ids = torch.stack([model.vocabulary.encode(text) for text in texts])
    return ids, np.arange(width - 1) < np.array([[len(name) + 1] for name in rows])


def test_the_numbers_of_the_sentences_on_a_unit_are_the_model_s():
    namespace, _ = run(SOLUTION)
    book, held_out = load("names"), names().validation.split()[:500]
    texts = ["\n" + "\n".join(part) for part in (held_out[:250], held_out[250:])]
    told = []
    for text in texts:
        told += [namespace["states_of"](book, text).numpy(), namespace["letters_so_far"](text).numpy()]
    unit, r = reference.best_unit(*told)
    sizes = np.abs(reference.correlations(*told[2:]))
    ids, there = _side_by_side(book, held_out[250:350])

    def bits(m):
        each = reference.character_bits(reference.logits_of(m, ids), ids)
        return float((each * there).sum() / there.sum())

    costs = np.array([bits(reference.silenced(book, each)) for each in range(192)]) - bits(book)
    worst = int(costs.argmax())
    said = _sentences("q8")
    for claim in (
        f"unit {unit} goes with it best",
        f"its $r$ is {r:.2f}",
        f"Silencing it costs {costs[unit]:.4f} bits per character",
        f"the {np.median(costs):.4f} of the median unit",
        f"the {costs[worst]:.4f} of the costliest, whose $|r|$ is only {sizes[worst]:.2f}",
        f"cost less than nothing, down to {costs.min():.4f}",
    ):
        assert claim in said, claim
    sentences = said[said.index("I tracked") :].strip().split(". ")
    assert 3 <= len(sentences) <= 5, sentences
    assert (sizes > 0.75).sum() == 5 and "five units have an $|r|$ above 0.75" in said
    assert np.median(costs) < costs[unit] and costs.min() < 0


def test_the_numbers_of_the_sentences_on_the_experiment_are_the_table_s():
    runs, said = run(SOLUTION)[0]["runs"], _sentences("q10")
    carried, emptied = (reference.summarise(runs)[setting] for setting in ("as it is", "emptied"))
    assert f"gave {carried[0]:.3f} bits with a standard deviation of {carried[1]:.3f}" in said
    assert f"emptied {emptied[0]:.3f} with {emptied[1]:.3f}" in said
    bits = {(run["setting"], run["seed"]): run["bits"] for run in runs}
    less = [bits["emptied", seed] - bits["as it is", seed] for seed in sorted({s for _, s in bits})]
    assert "the difference is {:.3f}, {:.3f} and {:.3f}".format(*less) in said
    assert f"by {-np.mean(less):.3f} in the mean" in said


def test_a_run_of_the_solution_s_table_comes_out_again():
    namespace, _ = run([cell.replace("# trains\ncorpus", "corpus") for cell in SOLUTION])
    row = namespace["runs"][0]
    again = namespace["experiment"](row["setting"], row["seed"])
    assert again.keys() == row.keys() and again["updates"] == row["updates"]
    assert abs(again["bits"] - row["bits"]) < 0.1


# mistakes

WRITES = """        logits, state = model(torch.tensor([[number]]), state)
"""
TEMPERED = "torch.softmax(logits, dim=-1).sort("
TABLE = """    {"setting": "emptied", "seed": 20261126, "updates": 300, "bits": 3.2824},
"""

WRONG = {
    "nats for bits": (
        [("[..., 0] / np.log(2)", "[..., 0]")],
        {"q1": 2},
        "this is in nats: one bit is ln 2 nats",
    ),
    "softmax over time": (
        [("torch.log_softmax(logits[:, :-1], dim=-1)", "torch.log_softmax(logits[:, :-1], dim=1)")],
        {"q1": 2},
        "the softmax runs over the wrong axis (time)",
    ),
    "surprise of what was read": (
        [("ids[:, 1:, None]", "ids[:, :-1, None]")],
        {"q1": 2},
        "off by one in time: logits[:, t] predict ids[:, t + 1], not ids[:, t]",
    ),
    "logits that came after": (
        [("torch.log_softmax(logits[:, :-1]", "torch.log_softmax(logits[:, 1:]")],
        {"q1": 2},
        "off by one in time: the logits given before a character predict it, yours came after",
    ),
    "temperature multiplies": (
        [("masked_fill(out, -torch.inf) / temperature", "masked_fill(out, -torch.inf) * temperature")],
        {"q2": 2},
        "the temperature multiplies the logits: divide by it",
    ),
    "softmax over rows": (
        [
            (TEMPERED, "torch.softmax(logits, dim=0).sort("),
            ("-torch.inf) / temperature, dim=-1)", "-torch.inf) / temperature, dim=0)"),
        ],
        {"q2": 3},
        "the softmax runs over the wrong axis (rows)",
    ),
    "drops what reaches top_p": (
        [("before = p.cumsum(dim=-1) - p", "before = p.cumsum(dim=-1)")],
        {"q2": 2},
        "top-p drops the character that reaches it: that one stays",
    ),
    "tempered first": (
        [(TEMPERED, "torch.softmax(logits / temperature, dim=-1).sort(")],
        {"q2": 1},
        "tempered first, then cut: what is kept must not depend on the temperature",
    ),
    "the library's own": (
        [
            (
                "    p, order = torch.softmax",
                "    from unrolled.models import probabilities\n\n"
                "    return probabilities(logits, temperature=temperature, top_p=top_p)\n"
                "    p, order = torch.softmax",
            )
        ],
        {"q2": 1},
        "tempered first, then cut",
    ),
    "not summing to 1": (
        [
            (
                "torch.softmax(logits.masked_fill(out, -torch.inf) / temperature, dim=-1)",
                "torch.softmax(logits / temperature, dim=-1).masked_fill(out, 0.0)",
            )
        ],
        {"q2": 2},
        "what is left must sum to 1 again",
    ),
    "state not carried": (
        [(WRITES, "        logits, state = model(torch.tensor([[number]]))\n")],
        {"q3": 2},
        "the state is not carried from one character to the next",
    ),
    "prompt's last fed twice": (
        [
            (
                '    text = ""\n    while',
                '    logits, state = model(model.vocabulary.encode(prompt[-1])[None], state)\n    text = ""\n    while',
            )
        ],
        {"q3": 2},
        "the prompt's last character is fed twice",
    ),
    "all of it read again": (
        [(WRITES, "        logits, state = model(model.vocabulary.encode(prompt + text)[None], state)\n")],
        {"q3": 2},
        "the whole text is read again from the state that had read it",
    ),
    "first place": (
        [("choose(logits[0, -1])", "choose(logits[0, 0])")],
        {"q3": 2},
        "the first choice comes from the logits of the prompt's first place",
    ),
    "prompt too": (
        [
            (
                "            break\n        text += letter\n" + WRITES + "    return text",
                "            break\n        text += letter\n" + WRITES + "    return prompt + text",
            )
        ],
        {"q3": 3},
        "the prompt is not part of what was added",
    ),
    "newline too": (
        [
            (
                '        if letter == "\\n":\n            break\n        text += letter\n',
                '        text += letter\n        if letter == "\\n":\n            break\n',
            )
        ],
        {"q3": 1},
        "the newline that ends the text is not part of it",
    ),
    "never stops": (
        [('        if letter == "\\n":\n            break\n', "")],
        {"q3": 1},
        "it goes on after the newline",
    ),
    "no closing newline": (
        [('encode(f"\\n{name}\\n")[None]\n            bits', 'encode(f"\\n{name}")[None]\n            bits')],
        {"q4": 2},
        "the newline that ends a name is a character too",
    ),
    "first letter not predicted": (
        [('encode(f"\\n{name}\\n")[None]\n            bits', 'encode(f"{name}\\n")[None]\n            bits')],
        {"q4": 2},
        "the first letter counts: the newline before it predicts it",
    ),
    "mean of a name": (
        [("character_bits(model(ids)[0], ids).sum()", "character_bits(model(ids)[0], ids).mean()")],
        {"q4": 2},
        "the bits of a name add up, yours are a mean",
    ),
    "state carried over names": (
        [
            (
                "    bits = []\n    with torch.no_grad():",
                "    bits, state = [], None\n    with torch.no_grad():",
            ),
            (
                "            bits.append(character_bits(model(ids)[0], ids).sum())",
                "            logits, state = model(ids, state)\n"
                "            bits.append(character_bits(logits, ids).sum())",
            ),
        ],
        {"q4": 2},
        "a fresh state for each name: yours goes on from the name before",
    ),
    "mean over names": (
        [
            (
                "    return name_bits(model, names).sum().item() / sum(len(name) + 1 for name in names)",
                "    lengths = torch.tensor([len(name) + 1 for name in names])\n"
                "    return (name_bits(model, names) / lengths).mean().item()",
            )
        ],
        {"q4": 1},
        "a mean over the names: over characters, long names weigh more",
    ),
    "newlines not counted": (
        [("sum(len(name) + 1 for name in names)", "sum(len(name) for name in names)")],
        {"q4": 1},
        "the newline that ends a name is a character too",
    ),
    "bits in nats": (
        [("return loss.item() / np.log(2), detach(state)", "return loss.item(), detach(state)")],
        {"q5": 1},
        "this is in nats: return bits",
    ),
    "history kept": (
        [("np.log(2), detach(state)", "np.log(2), state")],
        {"q5": 1},
        "Trying to backward through the graph a second time",
    ),
    "state reset": (
        [("np.log(2), detach(state)", "np.log(2), None")],
        {"q5": 1},
        "the second chunk starts from a state of zeros",
    ),
    "detached at every step": (
        [
            (
                "    logits, state = model(x, state)\n    loss",
                "    parts = []\n    for t in range(x.shape[1]):\n"
                "        part, state = model(x[:, t : t + 1], None if state is None else detach(state))\n"
                "        parts.append(part)\n    logits = torch.cat(parts, dim=1)\n    loss",
            )
        ],
        {"q5": 3},
        "the state is detached at every step: the gradient must cross the steps of its chunk",
    ),
    "logits detached": (
        [("F.cross_entropy(logits.flatten(0, 1)", "F.cross_entropy(logits.detach().flatten(0, 1)")],
        {"q5": 4},
        "does not require grad",
    ),
    "old gradients": (
        [("    optimizer.zero_grad()\n", "")],
        {"q5": 1},
        "old gradients are not cleared: they add up",
    ),
    "cleared after the backward pass": (
        [
            (
                "    optimizer.zero_grad()\n    loss.backward()\n",
                "    loss.backward()\n    optimizer.zero_grad(set_to_none=True)\n",
            ),
            (
                "clip_gradient(model, max_norm)\n",
                "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)\n",
            ),
        ],
        {"q5": 4},
        "no gradient to step along: clear, then backward, then step",
    ),
    "never clipped": (
        [("    clip_gradient(model, max_norm)\n", "")],
        {"q5": 2},
        "nothing is clipped before the step",
    ),
    "clipped after": (
        [
            (
                "    clip_gradient(model, max_norm)\n    optimizer.step()\n",
                "    optimizer.step()\n    clip_gradient(model, max_norm)\n",
            )
        ],
        {"q5": 2},
        "nothing is clipped before the step",
    ),
    "clipped each": (
        [
            (
                "    clip_gradient(model, max_norm)\n",
                "    for weight in model.parameters():\n"
                "        torch.nn.utils.clip_grad_norm_([weight], max_norm)\n",
            )
        ],
        {"q5": 2},
        "each gradient is clipped by itself: all together have one norm",
    ),
    "sum loss": (
        [
            (
                "F.cross_entropy(logits.flatten(0, 1), y.flatten())",
                'F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum")',
            )
        ],
        {"q5": 4},
        "a sum where the mean was asked for",
    ),
    "goes down the bits": (
        [
            ("y.flatten())\n    optimizer", "y.flatten()) / np.log(2)\n    optimizer"),
            ("return loss.item() / np.log(2), detach", "return loss.item(), detach"),
        ],
        {"q5": 3},
        "the gradient is that of the loss in bits: go down the mean in nats",
    ),
    "largest r": (
        [("correlations(h_choose, y_choose).abs().argmax()", "correlations(h_choose, y_choose).argmax()")],
        {"q6": 1},
        "the largest |r|, yours is the largest r",
    ),
    "r of the same text": (
        [("correlations(h_report, y_report)[unit]", "correlations(h_choose, y_choose)[unit]")],
        {"q6": 2},
        "this is the r of the text in which the unit was chosen",
    ),
    "chosen in the second text": (
        [("correlations(h_choose, y_choose).abs()", "correlations(h_report, y_report).abs()")],
        {"q6": 1},
        "choose in the first text, report in the second",
    ),
    "r without its sign": (
        [("y_report)[unit].item()", "y_report)[unit].abs().item()")],
        {"q6": 2},
        "keep the sign of r",
    ),
    "means left in": (
        [("        h, y = h - h.mean(dim=0), y - y.mean()\n", "")],
        {"q6": 3},
        "r compares with the means, yours leaves them in",
    ),
    "rows of W_h": (
        [("W_h[:, unit] = 0", "W_h.view(4, -1, changed.readout.hidden_size)[:, unit] = 0")],
        {"q7": 2},
        "this is what the unit hears (rows of W_h); what it says are columns",
    ),
    "readout alone": (
        [("        changed.rnn.cells[0].W_h[:, unit] = 0\n", "")],
        {"q7": 2},
        "the three gates and the candidate still hear the unit: its column of W_h",
    ),
    "gates alone": (
        [("        changed.readout.W_hy[:, unit] = 0\n", "")],
        {"q7": 2},
        "the readout still hears the unit: its column of W_hy",
    ),
    "original changed": (
        [
            (
                "changed = copy.deepcopy(model)\n    with torch.no_grad():\n        changed.rnn.cells[0].W_h",
                "changed = model\n    with torch.no_grad():\n        changed.rnn.cells[0].W_h",
            )
        ],
        {"q7": 1},
        "your function changes the model it is given: change a copy",
    ),
    "the model itself": (
        [
            (
                "    changed = copy.deepcopy(model)\n    with torch.no_grad():\n        changed.rnn",
                "    return model\n    with torch.no_grad():\n        changed.rnn",
            )
        ],
        {"q7": 3},
        "nothing is silenced, so there is no copy to compare",
    ),
    "a copy, and nothing silenced": (
        [
            ("        changed.rnn.cells[0].W_h[:, unit] = 0\n", ""),
            ("        changed.readout.W_hy[:, unit] = 0\n", "        pass\n"),
        ],
        {"q7": 3},
        "nothing is silenced, so there is no copy to compare",
    ),
    "divided by n": (
        [("np.std(bits, ddof=1)", "np.std(bits)")],
        {"q9": 1},
        "divided by n: n - 1 belongs in the denominator",
    ),
    "standard error": (
        [("np.std(bits, ddof=1)", "np.std(bits, ddof=1) / np.sqrt(len(bits))")],
        {"q9": 1},
        "this is the standard error: the standard deviation is asked for",
    ),
    "settings not kept apart": (
        [
            (
                'bits = [run["bits"] for run in runs if run["setting"] == setting]',
                'bits = [run["bits"] for run in runs]',
            )
        ],
        {"q9": 2},
        "this is the mean of all runs together",
    ),
    "two seeds": (
        [(TABLE, "")],
        {"q9": 2},
        "emptied: expected at least 3 seeds, got 2",
    ),
    "other seeds": (
        [('"emptied", "seed": 20261126', '"emptied", "seed": 7')],
        {"q9": 1},
        "the settings have different seeds: run each seed under every one",
    ),
    "somebody else's seeds": (
        [("SEED = 20261124  # SOLUTION", "SEED = 5")],
        {"q9": 1},
        "expected the seeds 5, 6, 7 among yours",
    ),
    "a run twice": (
        [(TABLE, TABLE + TABLE)],
        {"q9": 2},
        "emptied: a seed stands there twice",
    ),
    "nothing as it is": (
        [('    {"setting": "as it is"', '    {"setting": "plain"')] * 3,
        {"q9": 1},
        "one setting must be 'as it is', to compare the others with",
    ),
    "more updates for one": (
        [
            (
                '"seed": 20261126, "updates": 300, "bits": 3.2824',
                '"seed": 20261126, "updates": 600, "bits": 3.2824',
            )
        ],
        {"q9": 1},
        "the settings made different numbers of updates",
    ),
    "one number for every seed": (
        [(f'"bits": {bits}', '"bits": 3.2') for bits in (3.2835, 3.2796, 3.2824)],
        {"q9": 1},
        "emptied: every seed gave the same bits to the last digit: no seed reaches the model",
    ),
    "bits as text": (
        [('"bits": 3.3139', '"bits": "3.3139"')],
        {"q9": 2},
        "run 0: bits: expected float, got str",
    ),
    "table not pasted": (
        [("# BEGIN SOLUTION NO PROMPT\nruns = [\n", "runs = [...]\n_ = [\n")],
        {"q9": 2},
        "gives an ellipsis (...): not answered yet",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_costs_what_it_should_and_is_named(name):
    assert_costs(HW, SOLUTION, *WRONG[name])


# what follows from an earlier question, and what does not

ZEROS = """
def name_bits(model, names):
    return [0.0] * len(names)

def bits_per_character(model, names):
    return 0.0
"""
BY_HAND = """
def name_bits(model, names):
    bits = []
    for name in names:
        ids = model.vocabulary.encode(f"\\n{name}\\n")
        nats = F.cross_entropy(model(ids[None, :-1])[0][0], ids[1:], reduction="sum")
        bits.append(nats.item() / np.log(2))
    return bits

def bits_per_character(model, names):
    return sum(name_bits(model, names)) / len("".join(names) + " " * len(names))
"""
RAISES = """
def character_bits(logits, ids):
    raise ValueError("not today")
"""
IN_NATS = """
def character_bits(logits, ids):
    return -torch.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None])[..., 0]
"""
FOLLOWS = {
    "names without a Question 1 that works": (RAISES + BY_HAND, {"q1": 2}, "ValueError"),
    "names without a Question 1": (
        BY_HAND + "del character_bits",
        {"q1": 2},
        "nothing is named character_bits",
    ),
    "a mean without names that work": (
        """
def bits_per_character(model, names):
    text = model.vocabulary.encode("\\n" + "\\n".join(names) + "\\n")
    bits = 0
    for name in names:
        ids = model.vocabulary.encode(f"\\n{name}\\n")[None]
        bits += character_bits(model(ids)[0], ids).sum().item()
    return bits / (len(text) - 1)

def name_bits(model, names):
    raise ValueError("not today")
""",
        {"q4": 2},
        "ValueError",
    ),
    "names by a Question 1 in nats, under a decorator": (
        IN_NATS
        + """
@torch.no_grad()
def name_bits(model, names):
    coded = [model.vocabulary.encode(f"\\n{name}\\n")[None] for name in names]
    return torch.stack([character_bits(model(ids)[0], ids).sum() for ids in coded])
""",
        {"q1": 2},
        "this is in nats",
    ),
    "names in nats beside a right Question 1": (
        BY_HAND.replace(" / np.log(2)", ""),
        {"q4": 2},
        "this is in nats: one bit is ln 2 nats",
    ),
    "one zero": (
        "def character_bits(logits, ids):\n    return 0.0\n" + ZEROS,
        {"q1": 2, "q4": 3},
        "expected shape",
    ),
    "zeros of the right shape": (
        "def character_bits(logits, ids):\n    return torch.zeros(ids[:, 1:].shape)\n" + ZEROS,
        {"q1": 2, "q4": 3},
        "numbers differ",
    ),
    "softmax over the one row of a name, which makes zeros": (
        "def character_bits(logits, ids):\n    log_p = torch.log_softmax(logits[:, :-1], 0)\n"
        "    return -log_p.gather(-1, ids[:, 1:, None])[..., 0] / np.log(2)\n",
        {"q1": 2, "q4": 3},
        "the softmax runs over the wrong axis (rows)",
    ),
    "a sum already in Question 1": (
        IN_NATS.replace("[..., 0]", "[..., 0].sum()"),
        {"q1": 2, "q4": 2},
        "expected shape",
    ),
    "a mean already in Question 1": (
        IN_NATS.replace("[..., 0]", "[..., 0].mean() / np.log(2)"),
        {"q1": 2, "q4": 2},
        "expected shape",
    ),
}


@pytest.mark.parametrize("name", FOLLOWS)
def test_an_earlier_question_costs_a_later_one_only_what_cannot_be_told(name):
    cell, points, message = FOLLOWS[name]
    graded = grade(HW, [*SOLUTION, cell])
    assert lost(HW, graded) == points, graded.said
    assert message in graded.said[next(iter(points))]


# what the notebook's own checks say

SAID = {
    "probabilities made in 32 bits": (
        [
            (
                "    out = out.gather(-1, order.argsort(dim=-1))\n    return",
                "    out = torch.zeros(logits.shape).scatter_(-1, order, out.to(p.dtype)).bool()\n    return",
            )
        ],
        "Question 2: RuntimeError: scatter()",
    ),
    "a sum that never reaches 1": (
        [
            (
                "    before = p.cumsum(dim=-1) - p  #",
                "    last = (p.cumsum(dim=-1) >= top_p).int().argmax(dim=-1, keepdim=True)  #",
            ),
            ("out = (before >= top_p) & (top_p < 1)", "out = torch.arange(p.shape[-1]) > last"),
        ],
        "Question 2: top_p = 1, which cuts nothing: off by",
    ),
    "surprise as numpy's": (
        [("[..., 0] / np.log(2)", "[..., 0].detach().numpy() / np.log(2)")],
        "Question 1: these checks pass",
    ),
    "names as a list of tensors": (
        [
            (
                "with torch.no_grad():\n        for name in names",
                "if names:\n        for name in names",
            ),
            ("return torch.stack(bits)", "return bits"),
            ("return name_bits(model, names).sum().item()", "return sum(name_bits(model, names)).item()"),
        ],
        "Question 4: these checks pass",
    ),
    "names made in 32 bits": (
        [
            (
                "return torch.stack(bits)",
                "return torch.zeros(len(bits)).scatter_(0, torch.arange(len(bits)), torch.stack(bits))",
            )
        ],
        "Question 4: RuntimeError",
    ),
    "no closing newline": (
        [('encode(f"\\n{name}\\n")[None]\n            bits', 'encode(f"\\n{name}")[None]\n            bits')],
        "Question 4: expected 3 and 7 characters, got 2 and 6",
    ),
    "a mean that is a tensor": (
        [("name_bits(model, names).sum().item() /", "name_bits(model, names).sum() /")],
        "Question 4: bits per character: expected a float, got Tensor",
    ),
    "torch's own way to clear": (
        [("optimizer.zero_grad()", "optimizer.zero_grad(set_to_none=True)")],
        "Question 5: these checks pass",
    ),
    "never stops": (
        [('        if letter == "\\n":\n            break\n', "")],
        "Question 3: expected the text 'so', got 'so\\nxxxxxxx'",
    ),
    "chooses by itself": (
        [("number = int(choose(logits[0, -1]))", "number = int(logits[0, -1].argmax())")],
        "Question 3: choose was never called",
    ),
    "covariance": (
        [("return y @ h / (h.norm(dim=0) * y.norm())", "return y @ h / len(y)")],
        "Question 6: r lies within ±1: divide by both spreads",
    ),
    "a run twice": ([(TABLE, TABLE + TABLE)], "Question 9, your table: a setting has the same seed twice"),
    "nothing as it is": (
        [('    {"setting": "as it is"', '    {"setting": "plain"')] * 3,
        "Question 9, your table: one setting must be 'as it is'",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_the_notebook_s_check_says_it(name):
    edits, line = SAID[name]
    _, printed = run(with_mistakes(SOLUTION, *edits))
    assert line in printed, printed


# other right answers

ALTERNATIVES = {
    "the nucleus by the library, tempered as powers": """
from unrolled.models import probabilities

def choice(logits, temperature, top_p):
    p = probabilities(logits, top_p=top_p) ** (1 / temperature)
    return p / p.sum(-1, keepdim=True)
""",
    "surprise by cross_entropy": """
def character_bits(logits, ids):
    nats = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    return nats / torch.log(torch.tensor(2.0))
""",
    "the whole text read again from zeros": """
def write(model, prompt, choose, longest):
    text = ""
    for _ in range(longest):
        logits, _ = model(model.vocabulary.encode(prompt + text)[None])
        text += model.vocabulary.decode([int(choose(logits[0, -1]))])
    return text.split("\\n")[0]
""",
    "names side by side": """
def name_bits(model, names):
    width = max(map(len, names)) + 2
    rows = [f"\\n{name}\\n".ljust(width, "\\n") for name in names]
    ids = torch.stack([model.vocabulary.encode(row) for row in rows])
    bits = character_bits(model(ids)[0], ids)
    return [row[: len(name) + 1].sum().item() for row, name in zip(bits, names)]

def bits_per_character(model, names):
    return np.sum(name_bits(model, names)) / len("".join(names) + " " * len(names))
""",
    "names as a list of tensors with gradients": """
def name_bits(model, names):
    coded = [model.vocabulary.encode(f"\\n{name}\\n")[None] for name in names]
    return [character_bits(model(ids)[0], ids).sum() for ids in coded]

def bits_per_character(model, names):
    return sum(name_bits(model, names)) / len("".join(names) + " " * len(names))
""",
    "cut at the entrance, clipped by torch": """
def update(model, optimizer, x, y, state, max_norm):
    logits, state = model(x, None if state is None else detach(state))
    loss = -torch.log_softmax(logits, -1).gather(-1, y[..., None]).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item() / 0.6931471805599453, state
""",
    "correlation by numpy": """
def best_unit(h_choose, y_choose, h_report, y_report):
    r = np.corrcoef(h_choose.T, y_choose)[-1, :-1]
    unit = np.argmax(abs(r))
    return unit, np.corrcoef(h_report[:, unit], y_report)[0, 1]
""",
    "silenced by a mask": """
def silenced(model, unit):
    mute = copy.deepcopy(model)
    heard = torch.ones(model.readout.hidden_size)
    heard[unit] = 0
    for weight in (mute.rnn.cells[0].W_h, mute.readout.W_hy):
        weight.data *= heard
    return mute
""",
    "silenced step by step": """
def silenced(model, unit):
    def read(ids, state=None):
        logits = []
        for id_t in ids.split(1, dim=1):
            _, ((h, C),) = model(id_t, state)
            h = h.clone()
            h[:, unit] = 0
            state = (type(model.rnn.initial_state(1)[0])(h, C),)
            logits.append(model.readout(h))
        return torch.stack(logits, 1), state
    return read
""",
    "the standard library's statistics": """
import statistics

def summarise(runs):
    found = {}
    for run in runs:
        found.setdefault(run["setting"], []).append(run["bits"])
    return {name: [statistics.mean(bits), statistics.stdev(bits)] for name, bits in found.items()}
""",
    "a table with numpy's numbers, four seeds and three settings": """
runs = tuple(
    {"setting": name, "seed": np.int64(SEED + i), "updates": 200, "bits": np.float64(3 + i / 7), "note": ""}
    for i in range(-1, 3) for name in ("as it is", "a", "b")
)
""",
}


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_other_right_answers_are_right(name):
    graded = grade(HW, [*SOLUTION, ALTERNATIVES[name]])
    assert lost(HW, graded) == {}, graded.said


ODD = (0, None, "text", [], {}, [None], [{}], [[1, 2], [3]], {"setting": 1}, np.nan, np.zeros((2, 2)), True)


def test_no_answer_upsets_a_judge():
    """Whatever comes back is wrong, and said to be: an exception would count as an error of the homework."""
    namespace, _ = run(SOLUTION)
    asked = [
        "character_bits",
        "choice",
        "write",
        "name_bits",
        "bits_per_character",
        "update",
        "best_unit",
        "silenced",
    ]
    program = "\n".join(f"{name} = lambda *_, **__: value" for name in [*asked, "summarise"])
    for value in ODD:
        odd = namespace | {"runs": value, "SEED": value, "value": value}
        exec(program, odd)  # defined together, so that one of them finds another
        graded = judged(HW, odd)
        assert set(graded.points.values()) == {0}, (value, graded.said)
    runs = namespace["runs"]
    for name in ("setting", "seed", "updates", "bits"):
        for value in (*ODD, np.inf, -1, 1 << 62):
            spoilt = [{**run, name: value} for run in runs]
            said = judged(HW, namespace | {"runs": [*runs[:-1], spoilt[-1]]}).said["q9"]
            assert said, (name, value)
            judged(HW, namespace | {"runs": spoilt})


def test_its_gradescope_zip_brings_the_library(tmp_path):
    """Answers may use it and the questions make their models with it: nothing else need be installed there."""
    for name, data in build.support(build.ROOT / "homework" / "hw03", library=True).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    program = f"""
import sys; sys.path.insert(0, {str(tmp_path / "files")!r})
import numpy as np, unrolled, hidden_checks
assert unrolled.__file__.startswith({str(tmp_path)!r}), unrolled.__file__
env = {{"np": np, "unrolled": unrolled}}
exec({(SOLUTION[1] + SOLUTION[3])!r}, env)
assert env["load"]("names").readout.hidden_size == 192
hidden_checks.ask(env, "q1", "bits")
env["write"] = lambda model, prompt, choose, longest: prompt
try:
    hidden_checks.ask(env, "q3", "text")
except AssertionError as error:
    print(error)
"""
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.startswith("text: expected '") and done.returncode == 0, done.stderr
