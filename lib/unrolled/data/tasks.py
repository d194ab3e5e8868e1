"""Small tasks made to order, one for each shape of input and output, each learned in seconds.

Every function takes a generator, so that the same seed gives the same examples.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from unrolled._check import check_count, check_generator

Generator = torch.Generator | None


class Examples(NamedTuple):
    """Inputs and what should come out."""

    x: Tensor
    y: Tensor


DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# Segments a (top) b c (right) d (bottom) e f (left) g (middle) of a seven-segment display.
_SEGMENTS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")


def captions(num_examples: int, generator: Generator = None) -> Examples:
    """Seven-segment pictures of a digit, with noise, and the digit's English name letter by letter: one to many.

    Returns:
        x: (B, 7), how bright each segment is. y: (B, 5), letters a to z as 1 to 26, then 0 to the end.
    """
    check_generator("generator", generator)
    B = check_count("num_examples", num_examples)
    lit = torch.tensor([[float(segment in on) for segment in "abcdefg"] for on in _SEGMENTS])
    spelled = torch.tensor([[ord(c) - 96 if c != " " else 0 for c in f"{word:5}"] for word in DIGIT_WORDS])
    digit = torch.randint(10, (B,), generator=generator)
    return Examples(lit[digit] + 0.1 * torch.randn(B, 7, generator=generator), spelled[digit])


def moving_dot(
    num_examples: int, num_frames: int = 12, width: int = 8, generator: Generator = None
) -> Examples:
    """Films of a dot that walks one pixel a frame on a ring, to the left or to the right: many to one.

    Shuffled frames hold the same pictures and nothing of the direction, so order is all there is to learn.

    Returns:
        x: (B, T, width), the frames. y: (B,), 0 for left and 1 for right.
    """
    check_generator("generator", generator)
    B, T = check_count("num_examples", num_examples), check_count("num_frames", num_frames, least=2)
    check_count("width", width, least=3)
    right = torch.randint(2, (B,), generator=generator)
    start = torch.randint(width, (B,), generator=generator)
    where = (start[:, None] + (2 * right[:, None] - 1) * torch.arange(T)) % width  # (B, T)
    frames = torch.zeros(B, T, width).scatter_(2, where.unsqueeze(2), 1.0)
    return Examples(frames + 0.1 * torch.randn(B, T, width, generator=generator), right)


def neighbours(num_examples: int, num_steps: int = 12, generator: Generator = None) -> Examples:
    """Random bits; at each time say whether the bit before equals the bit after: many to many, equal lengths.

    A 0 stands before the first bit and after the last. What came before is not enough: before the last step a model
    that reads forwards only can do no better than a coin. One that reads in both directions can be right every time
    with two layers; with one, an output is a sum of what each direction says, and agreement is not a sum.

    Returns:
        x: (B, T, 1), bits. y: (B, T), 1 where the two neighbours agree.
    """
    check_generator("generator", generator)
    B, T = check_count("num_examples", num_examples), check_count("num_steps", num_steps, least=3)
    bits = torch.randint(2, (B, T), generator=generator)
    padded = torch.nn.functional.pad(bits, (1, 1))
    return Examples(bits.unsqueeze(2).float(), (padded[:, :-2] == padded[:, 2:]).long())


def reversal(num_examples: int, length: int = 5, alphabet: int = 4, generator: Generator = None) -> Examples:
    """Random strings and the same strings read from the end: many to many, where the output waits for the input.

    Returns:
        x: (B, length), letters 0 … alphabet-1. y: (B, length), x reversed.
    """
    check_generator("generator", generator)
    check_count("alphabet", alphabet, least=2)
    shape = check_count("num_examples", num_examples), check_count("length", length)
    letters = torch.randint(alphabet, shape, generator=generator)
    return Examples(letters, letters.flip(1))


RECALL_SYMBOLS = 4  # what may have to be recalled: 0 to 3
_DISTRACTORS = 4  # what is read in between: 4 to 7
RECALL_INPUTS = RECALL_SYMBOLS + _DISTRACTORS + 1  # and the question at the end: 8


def delayed_recall(num_examples: int, lag: int, generator: Generator = None) -> Examples:
    """A symbol, then distractors, then a question: which symbol stood `lag` steps before? Many to one, known memory.

    The symbol, one of `RECALL_SYMBOLS`, is read at the first time only; every time between has a random distractor,
    which must not disturb what is kept; the last input asks. Guessing is right in one case of `RECALL_SYMBOLS`.

    Returns:
        x: (B, lag + 1), numbers of inputs, of `RECALL_INPUTS` kinds. y: (B,), x at the first time.

    Source: after Hochreiter and Schmidhuber (1997). Used in chapter 06.
    """
    check_generator("generator", generator)
    B, lag = check_count("num_examples", num_examples), check_count("lag", lag)
    x = torch.randint(RECALL_SYMBOLS, RECALL_INPUTS - 1, (B, lag + 1), generator=generator)
    x[:, 0] = torch.randint(RECALL_SYMBOLS, (B,), generator=generator)
    x[:, -1] = RECALL_INPUTS - 1
    return Examples(x, x[:, 0].clone())


def adding(num_examples: int, lag: int, generator: Generator = None) -> Examples:
    """Random numbers, two of them marked: what is their sum? Many to one, and the answer is a number.

    The first marked number is read at the first time, `lag` steps before the last; the second stands anywhere after
    it, at each place as often. Always to say 1, the mean, gives a mean squared error of 1/6.

    Returns:
        x: (B, lag + 1, 2), a number between 0 and 1 and its mark, 1 or 0. y: (B,), the sum of the two marked numbers.

    Source: after Hochreiter and Schmidhuber (1997), whose first mark stands in the first tenth. Used in chapter 08.
    """
    check_generator("generator", generator)
    B, lag = check_count("num_examples", num_examples), check_count("lag", lag)
    numbers = torch.rand(B, lag + 1, generator=generator)
    second = torch.randint(1, lag + 1, (B, 1), generator=generator)
    marks = torch.zeros(B, lag + 1).scatter_(1, second, 1.0)
    marks[:, 0] = 1.0
    return Examples(torch.stack([numbers, marks], dim=2), (numbers * marks).sum(dim=1))


ORDER_CLASSES = 4  # XX, XY, YX, YY
ORDER_INPUTS = 2 + _DISTRACTORS + 1  # X is 0 and Y is 1; what is read in between: 2 to 5; the question: 6


def temporal_order(num_examples: int, lag: int, generator: Generator = None) -> Examples:
    """Two symbols among distractors, each an X or a Y: which were they, in which order? Many to one, known memory.

    The first stands at the first time, `lag` steps before the question, which is the last input; the second anywhere
    between, at each place as often; all else is distractors. Guessing is right in one case of `ORDER_CLASSES`, and
    whoever knows how many X there were, and not in which order, in three of four.

    Returns:
        x: (B, lag + 1), numbers of inputs, of `ORDER_INPUTS` kinds. y: (B,), 0 for XX, 1 for XY, 2 for YX, 3 for YY.

    Source: after Hochreiter and Schmidhuber (1997). Used in chapter 08.
    """
    check_generator("generator", generator)
    B, lag = check_count("num_examples", num_examples), check_count("lag", lag, least=2)
    x = torch.randint(2, ORDER_INPUTS - 1, (B, lag + 1), generator=generator)
    symbols = torch.randint(2, (B, 2), generator=generator)
    x[:, 0] = symbols[:, 0]
    x.scatter_(1, torch.randint(1, lag, (B, 1), generator=generator), symbols[:, 1:])
    x[:, -1] = ORDER_INPUTS - 1
    return Examples(x, 2 * symbols[:, 0] + symbols[:, 1])


BRACKET_CHARACTERS = ' "()abcd'
_FILLERS = " abcd"


class Brackets(NamedTuple):
    """A text with brackets and quotes, and what its reader has to keep in mind."""

    text: str  # N characters, all of them from BRACKET_CHARACTERS
    depth: Tensor  # (N,): how many brackets are open after each character
    quoted: Tensor  # (N,): 1 from an opening quote to the character before the closing one


def brackets(num_characters: int, max_depth: int = 4, generator: Generator = None) -> Brackets:
    """A text in which brackets nest, up to `max_depth` deep, and quotes open and close, with letters between.

    What may come next hangs on something to count and something to latch: no bracket closes where none is open or
    opens at the greatest depth, and within quotes there are letters and spaces only. Both quotes are one character, and
    the letters are the same everywhere, so neither the depth nor the quote can be read off the last few characters.

    Args:
        num_characters: N.
        max_depth: how many brackets may be open at once.
        generator: where the choices come from.

    Returns:
        The text, and for each character the depth and whether it is quoted. The text may end within a bracket.

    Source: after the cells of Karpathy et al. (2016). Used in chapter 08.
    """
    check_generator("generator", generator)
    N, deepest = check_count("num_characters", num_characters), check_count("max_depth", max_depth)
    chance = torch.rand(N, generator=generator).tolist()
    filler = torch.randint(len(_FILLERS), (N,), generator=generator).tolist()
    text, depths, quotes = [], [], []
    depth, quoted = 0, False
    for p, letter in zip(chance, filler, strict=True):
        if p < 0.1:
            character, quoted = '"', not quoted
        elif p < 0.25 and not quoted and depth < deepest:
            character, depth = "(", depth + 1
        elif p > 0.85 and not quoted and depth:
            character, depth = ")", depth - 1
        else:
            character = _FILLERS[letter]
        text.append(character)
        depths.append(depth)
        quotes.append(int(quoted))
    return Brackets("".join(text), torch.tensor(depths), torch.tensor(quotes))
