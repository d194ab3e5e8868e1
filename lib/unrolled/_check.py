"""Errors that name the argument, what came and what was expected. Every public function uses these."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor


def _came(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return f"{type(value).__name__} {value!r:.60}"


def check_tensor(name: str, value: Any, dims: str, **sizes: int) -> Tensor:
    """Return `value` if it is a floating-point tensor with these dimensions, else raise.

    Args:
        name: the argument's name as the caller wrote it.
        dims: names of the dimensions, for example `"... B T P"`; a leading `...` admits any others,
            such as an axis of seeds.
        sizes: sizes that must hold, by dimension name; every named dimension must be at least 1.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a tensor of shape ({_shape(dims, sizes)}), got {_came(value)}")
    if not value.is_floating_point():
        raise TypeError(f"{name}: expected floating-point numbers, got {value.dtype} of {_came(value)}")
    _check_dims(name, value, dims, sizes)
    return value


def check_ids(name: str, value: Any, dims: str, **sizes: int) -> Tensor:
    """Return `value` if it is an integer tensor with these dimensions (class or character numbers), else raise."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name}: expected an integer tensor of shape ({_shape(dims, sizes)}), got {_came(value)}"
        )
    if value.is_floating_point() or value.is_complex():
        raise TypeError(f"{name}: expected integers, got {value.dtype} of {_came(value)}")
    _check_dims(name, value, dims, sizes)
    return value


def _shape(dims: str, sizes: dict[str, int]) -> str:
    names = dims.split()
    if names[0] == "..." and len(names) > 2:
        names = names[1:]  # the axis of seeds goes without saying
    return ", ".join(f"{d}={sizes[d]}" if d in sizes else d for d in names)


def _check_dims(name: str, value: Tensor, dims: str, sizes: dict[str, int]) -> None:
    names = dims.split()
    open_ended = names[:1] == ["..."]
    if open_ended:
        names = names[1:]
    given = value.shape[len(value.shape) - len(names) :] if open_ended else value.shape
    expected = f"expected shape ({_shape(dims, sizes)})"
    if len(given) != len(names) or value.dim() < len(names):
        raise ValueError(f"{name}: {expected}, got {_came(value)}")
    for dim, size in zip(names, given, strict=True):
        if dim in sizes and size != sizes[dim]:
            raise ValueError(f"{name}: {expected}, got {_came(value)}")
        if size == 0:
            raise ValueError(f"{name}: {expected} with {dim} at least 1, got {_came(value)}")


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`, else raise."""
    try:
        number = operator.index(value)  # numpy's integers are whole numbers too
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name}: expected a whole number of at least {least}, got {_came(value)}")
    if number < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {number}")
    return number


def check_choice(name: str, value: Any, choices: Sequence[str] | Iterable[str]) -> str:
    """Return `value` if it is one of `choices`, else raise."""
    known = list(choices)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    return value
