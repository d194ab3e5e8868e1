"""Expressions: written outside by a homework's questions, evaluated inside the sandbox (`inside.answers`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from homework.grader.inside import plain


class Expr:
    """Something the sandbox evaluates."""

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        raise NotImplementedError


@dataclass(frozen=True)
class Name(Expr):
    """The student's variable, function or class of this name."""

    name: str

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"name": self.name}


class Call(Expr):
    """A call of a function, given by its name or by an expression."""

    def __init__(self, function: str | Expr, *args: Any, **kwargs: Any) -> None:
        self.function = Name(function) if isinstance(function, str) else function
        self.args, self.kwargs = args, kwargs

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"call": [inner(self.function), inner(tuple(self.args)), inner(self.kwargs)]}


@dataclass(frozen=True)
class Attr(Expr):
    """An attribute of what an expression gives."""

    of: Any
    name: str

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"attr": [inner(self.of), self.name]}


@dataclass(frozen=True)
class Item(Expr):
    """An item of what an expression gives."""

    of: Any
    key: Any

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"item": [inner(self.of), inner(self.key)]}


@dataclass(frozen=True)
class Let(Expr):
    """Bindings, evaluated in order, then a result that may use them as `Name`."""

    bindings: Mapping[str, Any]
    result: Any

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"let": [[[name, inner(value)] for name, value in self.bindings.items()], inner(self.result)]}


@dataclass(frozen=True)
class Try(Expr):
    """What an expression gives, and None where it names nothing, raises, or gives what may not cross."""

    of: Any

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"try": inner(self.of)}


class Tensor(Expr):
    """An array that arrives as a torch.Tensor; with `grad`, gradients reach it."""

    def __init__(self, array: Any, grad: bool = False) -> None:
        self.array, self.grad = np.asarray(array), grad

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"tensor": [inner(self.array), self.grad]}


@dataclass(frozen=True)
class Generator(Expr):
    """A seeded torch.Generator."""

    seed: int

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"generator": self.seed}


class Grads(Expr):
    """The gradient of sum(loss * weight) with respect to each named tensor; None where none reaches it."""

    def __init__(self, loss: Any, wrt: Mapping[str, Any], weight: Any = None) -> None:
        self.loss, self.wrt = loss, dict(wrt)
        self.weight = weight if weight is None or isinstance(weight, Expr) else Tensor(weight)

    def wire(self, inner: Callable[[Any], Any]) -> dict[str, Any]:
        """The expression as JSON data."""
        return {"grads": [inner(self.loss), inner(self.wrt), inner(self.weight)]}


def tensors(tree: Any, grad: bool = False) -> Any:
    """Wrap every array of a tree of lists, tuples and dicts as a Tensor."""
    if isinstance(tree, np.ndarray):
        return Tensor(tree, grad)
    if isinstance(tree, dict):
        return {key: tensors(value, grad) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(tensors(value, grad) for value in tree)
    return tree


def wire(tree: Any) -> Any:
    """A tree with expressions in it as JSON data."""
    return plain.encode(tree, lambda value, inner: value.wire(inner) if isinstance(value, Expr) else None)
