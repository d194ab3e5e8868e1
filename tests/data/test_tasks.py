"""Each made-to-order task is what its description says."""

import pytest
import torch

from unrolled.data import tasks

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
        lambda how_many, generator: tasks.delayed_recall(how_many, 6, generator),
        lambda how_many, generator: tasks.adding(how_many, 6, generator),
        lambda how_many, generator: tasks.temporal_order(how_many, 6, generator),
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


def test_adding_marks_the_first_number_and_one_after_it_and_asks_for_their_sum():
    lag = 5
    x, y = tasks.adding(2000, lag, _generator())
    numbers, marks = x.unbind(-1)
    assert x.shape == (2000, lag + 1, 2) and set(marks.flatten().tolist()) == {0.0, 1.0}
    assert (numbers >= 0).all() and (numbers < 1).all()
    assert (marks[:, 0] == 1).all() and (
        marks.sum(dim=1) == 2
    ).all()  # the oldest is lag steps before the last
    for row, marked, total in zip(numbers.tolist(), marks.tolist(), y.tolist(), strict=True):
        assert total == pytest.approx(sum(n for n, m in zip(row, marked, strict=True) if m))
    second = torch.bincount(marks[:, 1:].argmax(dim=1), minlength=lag)
    assert second.min() > 320 and second.max() < 480  # of 400 expected at each place
    assert float((y - 1).square().mean()) == pytest.approx(1 / 6, abs=0.01)  # the trivial error
    assert tasks.adding(3, 1, _generator()).x.shape == (3, 2, 2)  # both numbers marked


def test_temporal_order_asks_for_two_symbols_and_their_order():
    lag = 6
    x, y = tasks.temporal_order(2000, lag, _generator())
    assert x.shape == (2000, lag + 1) and (x[:, -1] == tasks.ORDER_INPUTS - 1).all()
    assert (x[:, 0] < 2).all()  # the first symbol, lag steps before the question
    symbols = x < 2
    assert (symbols.sum(dim=1) == 2).all() and not symbols[:, -1].any()
    assert set(x[:, 1:-1][~symbols[:, 1:-1]].tolist()) == set(range(2, tasks.ORDER_INPUTS - 1))
    for row, label in zip(x.tolist(), y.tolist(), strict=True):
        word = "".join("XY"[number] for number in row if number < 2)
        assert ("XX", "XY", "YX", "YY")[label] == word
    assert (
        torch.bincount(y, minlength=tasks.ORDER_CLASSES).min() > 420
    )  # of 500: guessing stays at one in four
    second = torch.bincount(symbols[:, 1:-1].long().argmax(dim=1), minlength=lag - 1)
    assert second.min() > 320 and second.max() < 480  # of 400 expected at each place
    assert tasks.temporal_order(3, 2, _generator()).x.shape == (3, 3)  # no distractor at all


def test_depth_and_quotes_are_those_that_a_reader_counts():
    text, depth, quoted = tasks.brackets(3000, max_depth=3, generator=_generator())
    assert len(text) == len(depth) == len(quoted) == 3000
    assert set(text) == set(tasks.BRACKET_CHARACTERS)
    for t, character in enumerate(text):
        before = text[: t + 1]
        assert int(depth[t]) == before.count("(") - before.count(")")
        assert int(quoted[t]) == before.count('"') % 2
        if quoted[t]:
            assert character not in "()"
    assert set(depth.tolist()) == {0, 1, 2, 3} and set(quoted.tolist()) == {0, 1}
    assert torch.bincount(depth).min() > 200 and 500 < int(quoted.sum()) < 2500  # nothing is rare
    same, other = (tasks.brackets(50, generator=_generator(seed)).text for seed in (3, 4))
    assert same == tasks.brackets(50, generator=_generator(3)).text != other


@pytest.mark.parametrize("task", [tasks.delayed_recall, tasks.adding])
@pytest.mark.parametrize("lag", [0, -1, 2.0])
def test_a_task_names_a_bad_lag(task, lag):
    with pytest.raises((TypeError, ValueError), match=r"lag|Type-check"):
        task(4, lag)


def test_temporal_order_needs_room_for_two_symbols_and_a_question():
    with pytest.raises(ValueError, match="lag: expected a whole number of at least 2, got 1"):
        tasks.temporal_order(4, 1)
