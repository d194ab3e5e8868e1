"""Errors that name the argument, what came and what was expected. Every public function uses these."""

import contextlib
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor


def _came(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return f"{type(value).__name__} {value!r:.60}"


def check_tensor(name: str, value: Any, dims: str, *, like: Tensor | None = None, **sizes: int) -> Tensor:
    """Return `value` if it is a floating-point tensor with these dimensions, else raise.

    Args:
        name: the argument's name as the caller wrote it.
        dims: names of the dimensions, for example `"B T P"`. A leading `...` admits any others, a leading `S?` one, an
            axis of seeds.
        like: a tensor, such as a weight, whose device and dtype it must share; under autocast the dtypes may differ.
        sizes: sizes that must hold, by dimension name; every named dimension must be at least 1.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a tensor of shape ({_shape(dims, sizes)}), got {_came(value)}")
    if not value.is_floating_point():
        raise TypeError(f"{name}: expected floating-point numbers, got {value.dtype} of {_came(value)}")
    _check_dims(name, value, dims, sizes)
    if like is not None:
        _check_kind(name, value, like)
    return value


def _check_kind(name: str, value: Tensor, like: Tensor) -> None:
    if value.device != like.device:
        raise ValueError(
            f"{name}: expected a tensor on {like.device}, as the weights are, got {value.device}"
        )
    kind = value.device.type
    if value.dtype != like.dtype and (kind == "meta" or not torch.is_autocast_enabled(kind)):
        raise TypeError(f"{name}: expected {like.dtype}, as the weights are, got {value.dtype}")


def check_finite(name: str, value: Tensor) -> Tensor:
    """Return `value` if none of its numbers is infinite or NaN, else raise and say which."""
    if not is_finite(value):
        where = tuple((~torch.isfinite(value)).nonzero()[0].tolist())
        raise ValueError(f"{name}: expected finite numbers, got {float(value[where])} at {where}")
    return value


def is_finite(value: Tensor) -> bool:
    """Whether no number is infinite or NaN; a tensor on `meta` has no numbers."""
    return value.device.type == "meta" or bool(torch.isfinite(value).all())


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
    if names[0] in ("...", "S?") and len(names) > 2:
        names = names[1:]  # the axis of seeds goes without saying
    return ", ".join(f"{d}={sizes[d]}" if d in sizes else d for d in names)


def _check_dims(name: str, value: Tensor, dims: str, sizes: dict[str, int]) -> None:
    names = dims.split()
    lead = names[0] if names[0] in ("...", "S?") else ""
    if lead:
        names = names[1:]
    more = value.dim() - len(names)  # axes in front
    given = value.shape[more:] if lead and more > 0 else value.shape
    expected = f"expected shape ({_shape(dims, sizes)})"
    if len(given) != len(names) or (lead == "S?" and more > 1):
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


def check_number(
    name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf,
    below: float = math.inf,
) -> float:  # fmt: skip
    """Return `value` as a float if it is a finite number in a range, else raise; a tensor of one number is a number."""
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("above", above), ("of at least", least), ("at most", most), ("below", below))
        if math.isfinite(bound)
    ]
    expected = f"{name}: expected " + " and ".join(
        [f"a number {bounds[0]}", *bounds[1:]] if bounds else ["a finite number"]
    )
    if isinstance(value, Tensor) and value.dim() == 0 and value.dtype != torch.bool:
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{expected}, got {_came(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (above < number < below and least <= number <= most and math.isfinite(number)):
        raise ValueError(f"{expected}, got {value!r:.60}")
    return number


def check_bool(name: str, value: Any) -> bool:
    """Return `value` if it is True or False, else raise: a word such as "no" would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, got {_came(value)}")
    return value


def check_generator(name: str, value: Any) -> torch.Generator | None:
    """Return `value` if it is a torch.Generator or None, else raise."""
    if value is not None and not isinstance(value, torch.Generator):
        raise TypeError(f"{name}: expected a torch.Generator or None, got {_came(value)}")
    return value


@contextlib.contextmanager
def system(name: str, doing: str) -> Iterator[None]:
    """What the system says becomes a sentence: the argument, what was being done, and why it could not be."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a sentence already
            raise
        raise type(error)(f"{name}: could not {doing}: {(error.strerror or str(error)).lower()}") from error


def check_choice(name: str, value: Any, choices: Sequence[str] | Iterable[str]) -> str:
    """Return `value` if it is one of `choices`, else raise."""
    known = list(choices)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    return value
