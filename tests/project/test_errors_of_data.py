"""Bad data, numbers, settings and pictures get an error that names the argument, what came and what was expected."""

import math
import re

import numpy as np
import pytest
import torch

import unrolled
from unrolled.cells import RNNCell
from unrolled.data import Vocabulary, corpora, tasks
from unrolled.device import seed_everything, stack_seeds, training_device
from unrolled.figures import cell_schematics, schematics, style
from unrolled.models import (
    CharacterModel,
    ManyToOne,
    generate,
    probabilities,
)
from unrolled.models.checkpoints import write_numbered
from unrolled.networks import RNN
from unrolled.probes import Rules, compete, largest_singular_value, results, saturated_share, spectral_radius
from unrolled.training import Config, Recipe, clip_gradient, cross_entropy, evaluate, fit, open_corpus

pytestmark = pytest.mark.usefixtures("plain_errors")

x = torch.randn(2, 5, 3)
cell, rnn, both = RNNCell(3, 4), RNN(3, 4, 2), RNN(3, 4, bidirectional=True)
vocabulary = Vocabulary("hello")
model = CharacterModel(vocabulary, 4)
ids = torch.zeros(2, 5, dtype=torch.long)

CASES = {
    # data
    "too short a stream": (
        lambda: next(corpora.stream_chunks(ids[0], 5, 2)),
        ValueError,
        "ids: expected at least batch_size + 1 = 6 characters, got 5",
    ),
    "too many names": (
        lambda: corpora.names(100_000),
        ValueError,
        "how_many: expected at most 88799, got 100000",
    ),
    "too few names": (
        lambda: corpora.names(3),
        ValueError,
        "how_many: expected a whole number of at least 10, got 3",
    ),
    "one frame": (
        lambda: tasks.moving_dot(3, 1),
        ValueError,
        "num_frames: expected a whole number of at least 2",
    ),
    # training
    "learning rate": (
        lambda: Config(learning_rate=0),
        ValueError,
        "learning_rate: expected a number above 0, got 0",
    ),
    "clip norm": (
        lambda: Config(clip_norm=math.inf),
        ValueError,
        "clip_norm: expected a number above 0, got inf",
    ),
    "optimizer": (
        lambda: Config(optimizer="lion"),
        ValueError,
        "optimizer: expected one of 'adam', 'sgd', got 'lion'",
    ),
    "a window": (
        lambda: evaluate(model, ids[0], window=0),
        ValueError,
        "window: expected a whole number of at least 1, got 0",
    ),
    "a recipe's share": (
        lambda: Recipe(dropout=1),
        ValueError,
        "dropout: expected a number of at least 0 and below 1, got 1",
    ),
    "a recipe's step size": (
        lambda: Recipe(learning_rate=math.nan),
        ValueError,
        "learning_rate: expected a number above 0, got nan",
    ),
    "a recipe's schedule": (
        lambda: Recipe(schedule="step"),
        ValueError,
        "schedule: expected one of 'constant', 'linear', 'cosine', got 'step'",
    ),
    "a recipe's field": (
        lambda: Recipe.from_dict({"layers": 2}),
        ValueError,
        "recipe: expected fields among corpus, cell,",
    ),
    "a corpus": (
        lambda: open_corpus("nowhere.txt"),
        ValueError,
        "corpus: expected names, python, shakespeare, hello or the path of a text file, got 'nowhere.txt'",
    ),
    "checkpoints to keep": (
        lambda: write_numbered("nowhere", "best", 1, {}, {}, keep=0),
        ValueError,
        "keep: expected a whole number of at least 1, got 0",
    ),
    "a run's device": (
        lambda: training_device("teapot"),
        ValueError,
        "device: expected auto, cpu, cuda or mps, got 'teapot'",
    ),
    "no batches": (
        lambda: fit(ManyToOne(3, 4, 2), [], lambda *_: x),
        ValueError,
        "batches: expected at least one batch, got none",
    ),
    "no gradients": (
        lambda: clip_gradient(ManyToOne(3, 4, 2), 1.0),
        ValueError,
        "model: expected gradients, got none",
    ),
    "stored result": (
        lambda: results.stored_result("recall"),
        ValueError,
        "name: expected one of 'bptt', ",
    ),
    # drawing
    "wiring": (lambda: schematics.wiring("none to one"), ValueError, "name: expected one of 'one to one'"),
    "outputs": (
        lambda: schematics.unrolled(["h"], []),
        ValueError,
        "outputs: expected 1 entries, one for each of the inputs, got 0",
    ),
    "hidden": (
        lambda: schematics.unrolled(["h", "e"], ["e", "l"], hidden=["a"]),
        ValueError,
        "hidden: expected 2 entries, one for each of the inputs, got 1",
    ),
    "steps": (
        lambda: schematics.unrolled([], []),
        ValueError,
        "inputs: expected at least one step, got none",
    ),
    "feedback": (
        lambda: schematics.unrolled(["h"], ["e"], reverse=True, feedback=True),
        ValueError,
        "feedback: expected False with reverse, got True",
    ),
    "heads": (
        lambda: schematics.feedforward(heads=()),
        ValueError,
        "heads: expected at least one name, got none",
    ),
    "gate of a picture": (
        lambda: cell_schematics.lstm_cell("fx"),
        ValueError,
        "show: expected one of 'f', 'i', 'g', 'o', got 'x'",
    ),
    # numbers that are no probabilities, losses or bounds
    "a target of no class": (
        lambda: cross_entropy(torch.randn(1, 5), torch.tensor([-100])),
        ValueError,
        "targets: expected numbers from 0 to 4, got -100 to -100",
    ),
    "a target too high": (
        lambda: cross_entropy(torch.randn(1, 5), torch.tensor([5])),
        ValueError,
        "targets: expected numbers from 0 to 4, got 5 to 5",
    ),
    "targets of another shape": (
        lambda: cross_entropy(torch.randn(3, 4, 5), torch.zeros(3, dtype=torch.long)),
        ValueError,
        "targets: expected shape (3, 4), got (3,)",
    ),
    "real targets": (
        lambda: cross_entropy(torch.randn(1, 5), torch.zeros(1)),
        TypeError,
        "targets: expected integers, got torch.float32",
    ),
    "a logit of nothing": (
        lambda: probabilities(torch.tensor([[1.0, 2.0], [float("nan"), 1.0]])),
        ValueError,
        "logits, the largest of a row: expected finite numbers, got nan at (1, 0)",
    ),
    "logits of minus infinity": (
        lambda: probabilities(torch.full((2,), -math.inf)),
        ValueError,
        "logits, the largest of a row: expected finite numbers, got -inf at (0,)",
    ),
    "a negative norm": (
        lambda: clip_gradient(model, -1.0),
        ValueError,
        "max_norm: expected a number above 0, got -1.0",
    ),
    "no norm": (
        lambda: clip_gradient(model, math.nan),
        ValueError,
        "max_norm: expected a number above 0, got nan",
    ),
    "exploded weights": (
        lambda: spectral_radius(torch.full((2, 2), math.nan)),
        ValueError,
        "W: expected finite numbers, got nan at (0, 0)",
    ),
    "exploded weights' stretch": (
        lambda: largest_singular_value(torch.tensor([[1.0, math.inf], [0.0, 1.0]])),
        ValueError,
        "W: expected finite numbers, got inf at (0, 1)",
    ),
    "nothing saturates": (
        lambda: saturated_share(torch.zeros(0)),
        ValueError,
        "a: expected at least one number",
    ),
    "a nan saturates": (
        lambda: saturated_share(torch.tensor([math.nan, 5.0])),
        ValueError,
        "a: expected finite numbers, got nan at (0,)",
    ),
    "pairs to score": (
        lambda: evaluate(model, torch.zeros(25, 2, dtype=torch.long), window=4),
        ValueError,
        "ids: expected shape (N), got shape (25, 2)",
    ),
    "a seed for a generator": (
        lambda: tasks.adding(2, 3, 0),
        TypeError,
        "generator: expected a torch.Generator or None, got int 0",
    ),
    "a seed for a text": (
        lambda: generate(model, "h", 1, generator=5),
        TypeError,
        "generator: expected a torch.Generator or None, got int 5",
    ),
    "stacked seeds write": (
        lambda: generate(stack_seeds(lambda: CharacterModel(vocabulary, 4), [5]), "h", 1),
        ValueError,
        "model: expected one model, got stacked seeds",
    ),
    "the same model again": (
        lambda: stack_seeds(lambda: model, [0, 1]),
        ValueError,
        "build: expected a new model at each call, got the same one again",
    ),
    "half a seed": (
        lambda: stack_seeds(lambda: RNN(3, 4), [1.5]),
        TypeError,
        "seeds: expected a whole number",
    ),
    "a negative seed": (
        lambda: seed_everything(-1),
        ValueError,
        "seed: expected a whole number of at least 0, got -1",
    ),
    "a seed too large": (
        lambda: seed_everything(2**32),
        ValueError,
        "seed: expected a whole number below 2**32",
    ),
    "rules without updates": (
        lambda: Rules(updates=0),
        ValueError,
        "updates: expected a whole number of at least 1",
    ),
    "a rate that climbs": (
        lambda: compete("adding", "RNN", 2, 3, [0], -0.01),
        ValueError,
        "rates: expected a number above 0, got -0.01",
    ),
    "no path": (
        lambda: corpora.text_file(None),
        TypeError,
        "path: expected a file's path, got NoneType None",
    ),
    "no encoding": (
        lambda: corpora.text_file(__file__, encoding=None),
        TypeError,
        "encoding: expected its name, got NoneType None",
    ),
    "a huge rate": (
        lambda: Config(learning_rate=10**400),
        ValueError,
        "learning_rate: expected a number above 0, got 1000",
    ),
    "a true rate": (
        lambda: Config(learning_rate=True),
        TypeError,
        "learning_rate: expected a number above 0, got bool",
    ),
    "colour": (lambda: style.colour("beige"), KeyError, "name: expected one of input, hidden, output"),
}


@pytest.mark.parametrize("case", CASES)
def test_error_names_argument_what_came_and_what_was_expected(case):
    call, kind, message = CASES[case]
    with pytest.raises(kind, match=re.escape(message)):
        call()


def test_a_float_of_numpys_is_a_number():
    assert Config(learning_rate=np.float32(0.1)).learning_rate == np.float32(0.1)


@pytest.mark.parametrize("threads", ["abc", "0", "-1", "99999999"])
def test_threads_that_are_no_number_of_threads_are_refused_by_their_variable(threads, monkeypatch):
    monkeypatch.setenv("UNROLLED_THREADS", threads)
    with pytest.raises(
        ValueError, match=f"UNROLLED_THREADS: expected a whole number from 1 to 4096, got '{threads}'"
    ):
        unrolled.setup()
