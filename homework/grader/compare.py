"""Compare an answer with what was expected, outside the sandbox, and say in words where they differ."""

from typing import Any

import numpy as np

from homework.grader.inside.plain import Named


def compare(expected: Any, got: Any, tol: float, at: str = "") -> str | None:
    """None where the answer agrees: |got - expected| <= tol * max(1, |expected|) for each number.

    Args:
        expected: numbers, arrays, strings, None, and lists, tuples and dicts of them.
        got: an answer as it crossed: every part of it is plain.
        at: where in the answer this is, for the message.
    """
    if isinstance(expected, dict):
        got = dict(zip(got.names, got.items, strict=True)) if isinstance(got, Named) else got
        if type(got) is not dict:
            return f"{_at(at)}expected a dict with {', '.join(map(repr, expected))}, got {_kind(got)}"
        lacking = [repr(key) for key in expected if key not in got]
        if lacking:
            return f"{_at(at)}lacks {', '.join(lacking)}"
        return _first(compare(value, got[key], tol, f"{at}[{key!r}]") for key, value in expected.items())
    if isinstance(expected, (list, tuple)):
        items = list(got.items) if isinstance(got, Named) else got
        if type(items) not in (list, tuple):
            return f"{_at(at)}expected {len(expected)} values, got {_kind(got)}"
        if len(items) != len(expected):
            return f"{_at(at)}expected {len(expected)} values, got {len(items)}"
        pairs = enumerate(zip(expected, items, strict=True))
        return _first(compare(one, other, tol, f"{at}[{i}]") for i, (one, other) in pairs)
    if expected is None or isinstance(expected, str):
        if type(got) is type(expected) and got == expected:
            return None
        return f"{_at(at)}expected {_short(expected)}, got {_short(got)}"
    return _numbers(np.asarray(expected), got, tol, at)


def _first(messages: Any) -> str | None:
    return next((message for message in messages if message is not None), None)


def _numbers(expected: np.ndarray, got: Any, tol: float, at: str) -> str | None:
    array = as_array(got)
    if array is None:
        what = "a number" if expected.ndim == 0 else f"an array of shape {expected.shape}"
        return f"{_at(at)}expected {what}, got {_kind(got)}"
    if array.shape != expected.shape:
        turned = " (transposed)" if array.ndim > 1 and array.shape == expected.shape[::-1] else ""
        return f"{_at(at)}expected shape {expected.shape}, got {array.shape}{turned}"
    if expected.dtype.kind in "iub" and array.dtype.kind in "iub":
        wrong = array != expected
        gap = np.where(wrong, 1.0, 0.0)
    else:
        one, other = expected.astype(np.float64), array.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            same = (one == other) | (np.isnan(one) & np.isnan(other))
            gap = np.where(same, 0.0, np.abs(one - other))
            near = (gap <= tol * np.maximum(1.0, np.abs(one))) & np.isfinite(one)
            wrong = ~(same | near)
    if not wrong.any():
        return None
    bad = np.isnan(array.astype(np.float64)) & wrong
    place = np.unravel_index(np.argmax(np.where(bad, np.inf, np.where(wrong, gap, -1.0))), array.shape)
    spot = f"[{', '.join(map(str, place))}]" if array.ndim else ""
    count = f"{int(wrong.sum())} of {array.size} numbers differ; " if array.size > 1 else ""
    values = f"got {_short(array[place].item())}, expected {_short(expected[place].item())}"
    return f"{_at(at)}{count}{'at ' + spot + ' ' if spot else ''}{values} (allowed difference {tol:g})"


def as_array(got: Any) -> np.ndarray | None:
    """An array, a number, or nested lists of numbers, as an array; None where it is something else or ragged."""
    if type(got) is np.ndarray:
        return got
    if type(got) in (bool, int, float):
        return np.asarray(got)
    if type(got) in (list, tuple):
        parts = [part for part in map(as_array, got) if part is not None]
        if len(parts) == len(got) and len({part.shape for part in parts}) <= 1:
            return np.stack(parts) if parts else np.zeros(0)
    return None


def _at(at: str) -> str:
    return f"answer{at}: " if at else ""


def _kind(got: Any) -> str:
    if got is None:
        return "None (nothing is returned)"
    if type(got) is np.ndarray:
        return f"an array of shape {got.shape}"
    if type(got) in (list, tuple):
        return f"a {type(got).__name__} of {len(got)}"
    return {Named: "a NamedTuple", dict: "a dict", str: "a text"}.get(type(got), f"a {type(got).__name__}")


def _short(value: Any) -> str:
    if isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return _kind(value) if value is not None else "None"
