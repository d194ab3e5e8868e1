"""Each made-to-order task is what its description says."""

import pytest
import torch

from unrolled import tasks

# The usual display, from a at the top clockwise to f, g in the middle.
SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "task",
    [
        tasks.captions,
        tasks.moving_dot,
        tasks.neighbours,
        tasks.reversal,
        tasks.shapes_in_images,
        lambda how_many, generator: tasks.delayed_recall(how_many, 6, generator),
    ],
)
def test_same_seed_same_examples_and_another_seed_others(task):
    a, b, c = (
        task(20, generator=_generator()),
        task(20, generator=_generator()),
        task(20, generator=_generator(1)),
    )
    assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))
    assert not torch.equal(a.x, c.x)


def test_captions_spell_the_digit_that_is_lit():
    x, y = tasks.captions(500, _generator())
    lit = (x > 0.5).int()
    for row, letters in zip(lit, y, strict=True):
        word = "".join(chr(96 + int(c)) if c else " " for c in letters).strip()
        digit = tasks.DIGIT_WORDS.index(word)
        segments = {segment for segment, on in zip("abcdefg", row, strict=True) if on}
        assert segments == set(SEGMENTS[digit])


def test_moving_dot_walks_one_pixel_a_frame():
    x, y = tasks.moving_dot(100, num_frames=9, width=6, generator=_generator())
    where = x.argmax(dim=2)
    step = (where[:, 1:] - where[:, :-1]) % 6
    assert torch.equal(step, torch.where(y == 1, 1, 5).unsqueeze(1).expand(-1, 8))
    assert 30 < int(y.sum()) < 70


def test_neighbours_compares_before_and_after():
    x, y = tasks.neighbours(50, num_steps=7, generator=_generator())
    bits = x[:, :, 0].long().tolist()
    for row, labels in zip(bits, y.tolist(), strict=True):
        padded = [0, *row, 0]
        assert labels == [int(padded[t] == padded[t + 2]) for t in range(7)]


def test_reversal_reverses():
    x, y = tasks.reversal(50, length=6, alphabet=3, generator=_generator())
    assert x.tolist() == [row[::-1] for row in y.tolist()] and set(x.flatten().tolist()) == {0, 1, 2}


def test_shapes_stand_where_they_are_said_to_stand():
    x, kind, place = tasks.shapes_in_images(200, _generator())
    images = x.view(-1, 8, 8)
    for image, k, (row, column) in zip(images, kind.tolist(), place.long().tolist(), strict=True):
        assert (float(image[row, column]) < 0.5) == bool(k)  # a square is hollow, a plus is not
        assert float(image[row - 1, column]) > 0.5 and float(image[row, column + 1]) > 0.5
        assert (float(image[row - 1, column - 1]) > 0.5) == bool(k)


def test_delayed_recall_asks_for_the_symbol_a_lag_before():
    lag = 5
    x, y = tasks.delayed_recall(400, lag, _generator())
    assert x.shape == (400, lag + 1) and torch.equal(x[:, -1 - lag], y)
    # Symbols stand at the first time only, the question at the last only, and only distractors between.
    assert set(y.tolist()) == set(range(tasks.RECALL_SYMBOLS))
    assert set(x[:, 1:-1].flatten().tolist()) == set(range(tasks.RECALL_SYMBOLS, tasks.RECALL_INPUTS - 1))
    assert set(x[:, -1].tolist()) == {tasks.RECALL_INPUTS - 1}
    counts = torch.bincount(y, minlength=tasks.RECALL_SYMBOLS)
    assert counts.min() > 60  # of 100 expected: guessing stays at one in RECALL_SYMBOLS
    assert tasks.delayed_recall(3, 1, _generator()).x.shape == (3, 2)  # no distractor at all


@pytest.mark.parametrize("lag", [0, -1, 2.0])
def test_delayed_recall_names_a_bad_lag(lag):
    with pytest.raises((TypeError, ValueError), match=r"lag|Type-check"):
        tasks.delayed_recall(4, lag)
