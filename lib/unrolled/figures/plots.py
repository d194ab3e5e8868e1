"""Draws numbers, never measures them. Every function draws on one Axes (a new one if `ax` is None) and returns it.

Colours come from `unrolled.figures` by what a thing is; lines carry their names at their ends.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from unrolled.figures.heatmaps import Numbers, as_numbers, new_axes
from unrolled.figures.style import COLOURS, colour

_ORDER = ("hidden", "input", "output", "cell", "forget-gate", "output-gate")


def _resolve(name: str) -> str:
    return colour(name) if name in COLOURS else name


def losses(
    loss: Numbers,
    *,
    floor: float | None = None,
    floor_label: str = "",
    label: str = "",
    role: str = "hidden",
    title: str = "",
    ylabel: str = "loss (nats per character)",
    ax: Axes | None = None,
) -> Axes:
    """The loss of a training run at each update.

    Args:
        loss: (updates,), or (updates, S) for S seeds, drawn as their median in a band from least to most.
        floor: a loss to mark with a line, named by `floor_label`.
        label: the name written at the line's end.
        role: whose colour to take.
        title: the figure's message.
        ylabel: what is measured, with its unit.
    """
    ax = new_axes(ax)
    values = as_numbers("loss", loss)
    middle = values if values.ndim == 1 else np.median(values, axis=1)
    updates = np.arange(1, len(middle) + 1)
    if values.ndim > 1:
        ax.fill_between(updates, values.min(axis=1), values.max(axis=1), color=colour(role), alpha=0.18, lw=0)
    ax.plot(updates, middle, color=colour(role))
    if label:
        _end_label(ax, updates[-1], middle[-1], label, colour(role))
    if floor is not None:
        ax.axhline(floor, color=colour("muted"), lw=1.2, ls=(0, (4, 3)))
        ax.annotate(
            floor_label,
            (updates[-1], floor),
            xytext=(0, 4),
            textcoords="offset points",
            ha="right",
            color=colour("muted"),
        )
    ax.set(xlabel="update", ylabel=ylabel, title=title, xlim=(0, len(middle)))
    ax.set_ylim(bottom=0)
    return ax


def lines(
    x: Numbers,
    curves: Mapping[str, Numbers],
    *,
    roles: Sequence[str] | None = None,
    dashes: Sequence[Any] | None = None,
    log: bool = False,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Several curves over one axis, each named at its end.

    Args:
        x: (N,).
        curves: name to values, (N,), or (N, S) for S seeds, drawn as median and band.
        roles: whose colour each curve takes, or colours themselves.
        dashes: matplotlib's line styles, one a curve.
        log: a logarithmic axis upwards.
        xlabel: what runs along the bottom, with its unit.
        ylabel: what runs upwards, with its unit.
        title: the figure's message.
    """
    ax = new_axes(ax)
    x = as_numbers("x", x)
    ends = []
    for i, (name, values) in enumerate(curves.items()):
        shade = _resolve((roles or _ORDER)[i % len(roles or _ORDER)])
        numbers = as_numbers("values", values)
        middle = numbers if numbers.ndim == 1 else np.median(numbers, axis=1)
        if numbers.ndim > 1:
            ax.fill_between(x, numbers.min(axis=1), numbers.max(axis=1), color=shade, alpha=0.18, lw=0)
        ax.plot(x, middle, color=shade, ls=dashes[i] if dashes else "-")
        finite = np.flatnonzero(np.isfinite(middle))
        if finite.size:
            ends.append((x[finite[-1]], middle[finite[-1]], name, shade))
    if log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    for end in _spread(ax, ends):
        _end_label(ax, *end)
    return ax


def _end_label(ax: Axes, x: Any, y: Any, text: str, shade: str, shift: float = 0.0) -> None:
    ax.annotate(
        text,
        (x, y),
        xytext=(6, shift),
        textcoords="offset points",
        color=shade,
        va="center",
        annotation_clip=False,
    )


def _spread(ax: Axes, ends: list[tuple[Any, Any, str, str]]) -> list[tuple[Any, Any, str, str, float]]:
    """Move the labels of nearby line ends apart, both ways alike, until 12 points lie from one to the next."""
    ax.figure.canvas.draw()
    points = 72 / ax.figure.dpi
    ordered = sorted(ends, key=lambda end: ax.transData.transform((end[0], end[1]))[1])
    places = [ax.transData.transform((x, y)) * points for x, y, *_ in ordered]
    heights = np.array([height for _, height in places])
    moved, foot = heights.copy(), ax.transAxes.transform((0, 0))[1] * points + 6
    for _ in range(50 * len(ordered)):
        moved[:1] = np.maximum(moved[:1], foot)  # no label across the lower axis
        for i, (one, other) in enumerate(pairwise(places)):
            lack = 12 + 1e-6 - (moved[i + 1] - moved[i])
            if lack > 0 and abs(one[0] - other[0]) < 40:  # labels that end elsewhere do not meet
                moved[i], moved[i + 1] = moved[i] - lack / 2, moved[i + 1] + lack / 2
    return [(*end, shift) for end, shift in zip(ordered, moved - heights, strict=True)]


def scores(
    values: Mapping[str, Numbers],
    *,
    chance: float | None = None,
    chance_label: str = "chance",
    roles: Sequence[str] | None = None,
    xlabel: str = "held-out accuracy",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """One row for each model: a dot for each seed, a bar at their mean.

    Args:
        values: name to scores between 0 and 1, one a seed.
        chance: what guessing scores, drawn as a dashed line.
        chance_label: its name.
        roles: whose colour each row takes.
        xlabel: what is scored.
        title: the figure's message.
    """
    ax = new_axes(ax, height=1.3 + 0.42 * len(values))
    for row, (_name, score) in enumerate(values.items()):
        each = np.atleast_1d(as_numbers("score", score))
        shade = _resolve((roles or ("hidden",))[row % len(roles or ("hidden",))])
        ax.plot([each.mean()] * 2, [row - 0.28, row + 0.28], color=shade, lw=2.5, solid_capstyle="round")
        ax.scatter(each, np.full(each.shape, row), s=38, color=shade, alpha=0.55, lw=0, zorder=3)
        ax.annotate(
            f"{each.mean():.0%}",
            (1.03, row),
            xycoords=("axes fraction", "data"),
            va="center",
            color=shade,
            weight="bold",
        )
    if chance is not None:
        ax.axvline(chance, color=colour("muted"), lw=1.2, ls=(0, (4, 3)))
        ax.annotate(
            chance_label, (chance, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
            textcoords="offset points", va="top", color=colour("muted"), fontsize=9,
        )  # fmt: skip
    ax.set_yticks(range(len(values)), list(values))
    ax.set(xlabel=xlabel, title=title, xlim=(-0.02, 1.02), ylim=(len(values) - 0.4, -0.8))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.grid(axis="y", visible=False)
    return ax
