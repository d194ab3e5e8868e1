"""Measures texts, whoever wrote them: what Python source asks to be kept in mind, whether it compiles, what is copied.

Returns numbers and text, never draws.
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unrolled._check import check_count


class PythonFeatures(NamedTuple):
    """What a reader of Python has to keep in mind after each of N characters, (N,) whole numbers each."""

    quoted: Tensor  # 1 within a string, from its opening quote to the last character before its closing one
    triple: Tensor  # 1 within a string in triple quotes
    comment: Tensor  # 1 from a # to the end of its line
    depth: Tensor  # brackets open, outside strings and comments
    indent: Tensor  # spaces that the line began with, so far
    column: Tensor  # characters in the line so far


def python_features(text: str) -> PythonFeatures:
    """Read Python source as its own tokenizer does, but any text at all, and one character at a time.

    A closing bracket without an opening one is passed over, and a string in single quotes ends with its line.

    Raises:
        ValueError: an empty text.

    Used in chapter 09; tested against `tokenize` on modules of the standard library.
    """
    if not text:
        raise ValueError("text: expected at least one character, got an empty text")
    rows = []
    quote, skip, comment, depth, indent, column, leading = "", 0, False, 0, 0, 0, True
    for place, character in enumerate(text):
        if skip:  # escaped, or the rest of a triple quote
            skip -= 1
        elif quote:
            if character == "\\":
                skip = 1
            elif text.startswith(quote, place):
                skip, quote = len(quote) - 1, ""
            elif character == "\n" and len(quote) == 1:
                quote = ""
        elif comment:
            comment = character != "\n"
        elif character in "'\"":
            quote = 3 * character if text.startswith(3 * character, place) else character
            skip = len(quote) - 1
        elif character == "#":
            comment = True
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth = max(0, depth - 1)
        if character == "\n":
            indent, column, leading = 0, -1, True
        elif leading:
            leading = character == " "
            indent += leading
        column += 1
        rows.append((bool(quote), len(quote) == 3, comment, depth, indent, column))
    return PythonFeatures(*torch.tensor(rows, dtype=torch.long).unbind(1))


def first_definition(text: str, indent: int = 0) -> str | None:
    """The text up to where a new statement begins outside strings and brackets; None if none does.

    Args:
        text: Python source, or something like it, that begins with a definition.
        indent: how many spaces the new statement's line may begin with; 4 ends a method where the next begins.

    Used in chapter 09.
    """
    check_count("indent", indent, least=0)
    seen = python_features(text)
    within = (seen.quoted + seen.depth).tolist()
    for place in range(1, len(text)):
        if text[place - 1] == "\n" and not within[place - 1]:
            begun = text[place:].lstrip(" ")
            if len(text) - place - len(begun) <= indent and begun and begun[0] not in "\n\t)]}#":
                return text[:place]
    return None


def compiles(source: str) -> bool:
    """Whether this Python takes a text for Python. It is compiled and never run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "is" with a literal, and the like
        try:
            compile(source, "<generated>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
    return True


def repetition(text: str, n: int = 8) -> float:
    """The share of a text's stretches of n characters that stood in it before.

    Source: after Welleck et al. (2020). Taught in chapter 09.
    """
    check_count("n", n)
    stretches = [text[start : start + n] for start in range(len(text) - n + 1)]
    if not stretches:
        raise ValueError(f"text: expected at least n = {n} characters, got {len(text)}")
    return 1 - len(set(stretches)) / len(stretches)


def _fingerprints(text: str, n: int) -> np.ndarray:
    """One number for each stretch of n characters: equal for equal stretches, and as good as never for others.

    The numbers are digits in a base, modulo 2^64; a stretch of 2n is made of two of n.
    """
    if len(text) < n:
        return np.zeros(0, dtype=np.uint64)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    power = (codes + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # scattered over all 64 bits
    power ^= power >> np.uint64(29)
    base, whole = np.uint64(0x5851F42D4C957F2D), np.zeros(len(text) + 1, dtype=np.uint64)
    have, size = 0, 1  # whole holds stretches of `have` characters, power those of `size`
    while have < n:
        if n & size:  # n in binary: the stretches of these lengths, one after the other
            many = len(text) - have - size + 1
            whole = whole[:many] * base + power[have : have + many]
            have += size
        with np.errstate(over="ignore"):
            power = power[:-size] * base + power[size:]
            base *= base
        size *= 2
    return whole


def _copied(sample: str, source: str, n: int) -> np.ndarray:
    """For each stretch of n characters of a sample, whether it stands in the source."""
    wanted, place = np.unique(_fingerprints(sample, n), return_inverse=True)
    there = np.zeros(len(wanted), dtype=bool)
    if len(wanted):
        numbers = _fingerprints(source, n)
        at = np.searchsorted(wanted, numbers).clip(max=len(wanted) - 1)
        there[at[wanted[at] == numbers]] = True
    return there[place]


def copied_share(sample: str, source: str, n: int) -> float:
    """The share of a sample's stretches of n characters that stand in the source, letter for letter.

    Raises:
        ValueError: a sample of fewer than n characters.

    Source: after McCoy et al. (2023). Taught in chapter 09; tested against looking up each stretch.
    """
    if len(sample) < check_count("n", n):
        raise ValueError(f"sample: expected at least n = {n} characters, got {len(sample)}")
    return float(_copied(sample, source, n).mean())


def longest_copy(sample: str, source: str) -> str:
    """The longest passage of a sample that stands in the source, the first of them; by halving the length in question.

    Used in chapter 09.
    """
    low, high, found = 0, min(len(sample), len(source)), ""
    while low < high:
        n = min((low + high + 1) // 2, 2 * low + 1)  # most copies are short
        there = _copied(sample, source, n)
        if there.any():
            start = int(there.argmax())
            low, found = n, sample[start : start + n]
        else:
            high = n - 1
    return found
