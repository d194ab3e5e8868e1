"""How a reader's function is judged: against the right one, in values and gradients, and against the likely slips."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Function = Callable[..., Any]
Case = Mapping[str, Any]  # arguments by name; tensors in double precision
_RTOL, _ATOL = 1e-9, 1e-11


class Verdict(NamedTuple):
    """What a checker says; a notebook shows the sentence."""

    right: bool
    sentence: str

    def __repr__(self) -> str:
        return self.sentence


def random(seed: int = 0) -> Callable[..., Tensor]:
    """A function that draws tensors of a shape in double precision, the same ones for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def judge(
    written: Function,
    right: Function,
    cases: Sequence[Case],
    slips: Mapping[str, Function],
    *,
    gradients: bool = True,
    against: str = "torch",
) -> Verdict:
    """Compare a reader's function with the right one on every case.

    Args:
        written: the reader's.
        right: gives a tensor or a tuple of tensors.
        cases: arguments, of sizes that differ from one another, so that no slip hides.
        slips: functions as they go wrong, by the sentence that says how; one that fits is named.
        gradients: also compare the gradients of every tensor that is given.
        against: what the right one is tested against, for the sentence.

    Returns:
        The verdict. Nothing that the reader's function does is raised.
    """
    name = getattr(written, "__name__", "it")
    if not callable(written):
        return Verdict(False, f"expected a function, got {type(written).__name__}")
    for case in cases:
        expected = _answers(right, case, gradients)
        try:
            got = _answers(written, case, gradients)
        except NotImplementedError:
            return Verdict(False, f"{name}: not written yet")
        except Exception as error:
            return Verdict(False, f"{name}: {_raised(error, case)}{_named(error, case, slips, gradients)}")
        if isinstance(got, str):
            return Verdict(False, f"{name}: {got}")
        fault = _difference(expected, got)
        if fault:
            slip = _slip(got, case, slips, gradients)
            return Verdict(False, f"{name}: {slip or fault}")
    also = " and gradients" if gradients else ""
    return Verdict(True, f"{name}: right, equal to {against} in values{also}")


class _Answers(NamedTuple):
    values: tuple[Tensor, ...]
    gradients: dict[str, Tensor]


def _answers(function: Function, case: Case, gradients: bool) -> Any:
    """What a function gives for a case, with gradients of a sum that weighs every number; or a sentence on why not."""
    mine = {
        name: value.clone().requires_grad_(gradients)
        if isinstance(value, Tensor) and value.is_floating_point()
        else value
        for name, value in case.items()
    }
    given = {name: value.detach().clone() for name, value in mine.items() if isinstance(value, Tensor)}
    # What is handed over is no leaf of autograd's, so that a change in place is told by us, not by torch.
    handed = {name: value * 1 if name in given and gradients else value for name, value in mine.items()}
    made = function(**handed)
    if made is None or made is Ellipsis:
        raise NotImplementedError
    values = tuple(made) if isinstance(made, tuple | list) else (made,)
    for value in values:
        if not isinstance(value, Tensor):
            return f"expected tensors, got {type(value).__name__}"
    for name, before in given.items():
        if not torch.equal(handed[name].detach(), before):
            return f"it changes its argument {name}; make a new tensor instead"
    found: dict[str, Tensor] = {}
    if gradients:
        weighed = [
            (value * torch.linspace(1, 2, max(1, value.numel()), dtype=value.dtype).view(value.shape)).sum()
            for value in values
        ]
        wanted = [name for name, value in mine.items() if isinstance(value, Tensor) and value.requires_grad]
        total = torch.stack(weighed).sum()
        if total.requires_grad:
            made_of: tuple[Tensor | None, ...] = torch.autograd.grad(
                total, [mine[name] for name in wanted], allow_unused=True
            )
        else:
            made_of = (None,) * len(wanted)
        found = {
            name: torch.zeros_like(mine[name]) if each is None else each
            for name, each in zip(wanted, made_of, strict=True)
        }
    return _Answers(tuple(value.detach() for value in values), found)


def _difference(expected: _Answers, got: _Answers) -> str:
    """Where two answers differ, in words; empty where they agree."""
    if len(got.values) != len(expected.values):
        return f"expected {len(expected.values)} results, got {len(got.values)}"
    for number, (right, value) in enumerate(zip(expected.values, got.values, strict=True), start=1):
        which = f"result {number}" if len(expected.values) > 1 else "the result"
        if value.shape != right.shape:
            return f"{which}: expected shape {tuple(right.shape)}, got {tuple(value.shape)}"
        if not torch.allclose(value.to(right.dtype), right, rtol=_RTOL, atol=_ATOL):
            return f"{which} is off by up to {float((value - right).abs().max()):.2g}"
    for name, right in expected.gradients.items():
        if not torch.allclose(got.gradients[name], right, rtol=_RTOL, atol=_ATOL):
            return f"the values are right, the gradient of {name} is not: is something detached on its way?"
    return ""


def _slip(got: _Answers, case: Case, slips: Mapping[str, Function], gradients: bool) -> str:
    """The slip that gives the same answer."""
    for sentence, slip in slips.items():
        try:
            theirs = _answers(slip, case, gradients)
        except Exception:
            continue
        if isinstance(theirs, _Answers) and not _difference(theirs, got):
            return sentence
    return ""


def _named(error: Exception, case: Case, slips: Mapping[str, Function], gradients: bool) -> str:
    """The slip that fails with the same words."""
    for sentence, slip in slips.items():
        try:
            _answers(slip, case, gradients)
        except Exception as theirs:
            if type(theirs) is type(error) and str(theirs) == str(error):
                return f". Likely: {sentence}"
    return ""


def _raised(error: Exception, case: Case) -> str:
    shapes = ", ".join(
        f"{name} {tuple(value.shape)}" for name, value in case.items() if isinstance(value, Tensor)
    )
    return f"raised {type(error).__name__}: {error} (given were {shapes})"
