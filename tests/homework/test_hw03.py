"""Homework 3: its reference is right, its solution earns everything, its sentences hold."""

import copy

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from handed_in import grade, judged, loaded, lost, run, seeds, solution, student, with_mistakes

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
