"""Heat maps: states over time, small matrices, next-character distributions, text. Their public face is `plots`."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from unrolled.figures.style import colour

Numbers = Any  # anything numpy turns into an array of numbers


def as_numbers(name: str, value: Numbers) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An array of a tensor, in any dtype, on any device and with or without a history, or of what numpy takes."""
    if isinstance(value, Tensor):
        return value.detach().double().cpu().numpy()
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: expected numbers, got {value!r:.60} ({error})") from error


_NEGATIVE = "#3d465c"
_FEW_UNITS, _FEW_TIMES = 10, 12  # up to so many, a heat map has room for its numbers


def new_axes(ax: Axes | None, width: float = 7.2, height: float = 3.4) -> Axes:
    """The axes given, or those of a new figure of this size in inches."""
    return ax if ax is not None else plt.subplots(figsize=(width, height))[1]


def _diverging(name: str) -> LinearSegmentedColormap:
    """From slate at -1 through paper at 0 to the colour of `name` at +1: a sign is no thing, so it has no hue."""
    return LinearSegmentedColormap.from_list(f"unrolled-{name}", [_NEGATIVE, colour("paper"), colour(name)])


def _sequential(name: str) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list(f"unrolled-{name}-only", [colour("paper"), colour(name)])


def _cells(ax: Axes, columns: int, rows: int) -> None:
    """Paper between the cells of a heat map, and no frame."""
    ax.grid(False)
    ax.set_xticks(np.arange(0.5, columns - 1), minor=True)
    ax.set_yticks(np.arange(0.5, rows - 1), minor=True)
    ax.grid(which="minor", color=colour("paper"), lw=2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)


def _number(ax: Axes, column: int, row: int, text: str, *, on_dark: bool = False) -> None:
    """A cell's number, with a true minus sign."""
    shade = colour("paper" if on_dark else "ink")
    text = text.replace("-", "\N{MINUS SIGN}")
    ax.text(column, row, text, ha="center", va="center", fontsize=9, color=shade)


def states(
    h: Numbers,
    *,
    below: Sequence[str] | None = None,
    above: Sequence[str] | None = None,
    role: str = "hidden",
    limit: float = 1.0,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """A heat map of states: a column for each time, a row for each unit.

    Few enough cells carry their numbers; more have a colour bar.

    Args:
        h: (T, m), from -limit to limit.
        below: what was read at each time.
        above: what was said at each time.
        role: whose colour stands for +limit.
        limit: the largest value.
        title: the figure's message.
    """
    values = as_numbers("h", h)
    T, m = values.shape
    ax = new_axes(ax, min(7.2, 1.6 + 0.55 * T), min(5.0, 1.5 + 0.22 * m))
    image = ax.imshow(values.T, cmap=_diverging(role), vmin=-limit, vmax=limit, aspect="auto")
    ax.set(xlabel="time t" if below is None else "read at time t", ylabel="unit", title=title)
    ax.set_xticks(range(T), below if below is not None else [str(t) for t in range(1, T + 1)])
    rows = range(m) if m <= _FEW_UNITS else range(4, m, 5)
    ax.set_yticks(rows, [str(row + 1) for row in rows])  # units count from 1, as times do
    _cells(ax, T, m)
    if above is not None:
        top = ax.secondary_xaxis("top")
        top.set_xticks(range(T), above)
        top.tick_params(length=0, labelcolor=colour("output"))
        top.spines[:].set_visible(False)
    ax.tick_params(axis="x", labelcolor=colour("input") if below is not None else colour("ink"))
    if m <= _FEW_UNITS and T <= _FEW_TIMES:
        for (t, unit), value in np.ndenumerate(values):
            _number(ax, t, unit, f"{value:.2f}", on_dark=bool(abs(value) > 0.6 * limit))
    else:
        bar = ax.figure.colorbar(image, ax=ax, ticks=[-limit, 0, limit], shrink=0.9, pad=0.03)
        bar.outline.set_visible(False)
    return ax


def matrix(
    M: Numbers,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    fmt: str = "{:.2f}",
    role: str = "hidden",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """A small matrix as tinted cells, each with its number.

    Args:
        M: (rows, columns).
        rows: names of the rows.
        columns: names of the columns.
        fmt: how a number is written.
        role: whose colour tints positive numbers; negative ones are slate.
        title: the figure's message.
    """
    values = as_numbers("M", M)
    ax = new_axes(ax, 1.2 + 0.7 * values.shape[1], 0.9 + 0.45 * values.shape[0])
    limit = float(np.abs(values).max()) or 1.0
    ax.imshow(values, cmap=_diverging(role), vmin=-2 * limit, vmax=2 * limit, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        _number(ax, j, i, fmt.format(value))
    ax.set_xticks(range(values.shape[1]), columns if columns is not None else [""] * values.shape[1])
    ax.set_yticks(range(values.shape[0]), rows if rows is not None else [""] * values.shape[0])
    _cells(ax, values.shape[1], values.shape[0])
    ax.set_title(title)
    return ax


def distributions(
    p: Numbers,
    characters: Sequence[str],
    *,
    above: Sequence[str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """What a character model expects next: a column for each time, a row for each character.

    Args:
        p: (T, V), probabilities.
        characters: the V characters, in order.
        above: the text read so far, one entry a time.
        title: the figure's message.
    """
    values = as_numbers("p", p)
    T, V = values.shape
    ax = new_axes(ax, min(7.2, 1.6 + 0.7 * T), min(6.0, 1.2 + 0.4 * V))
    ax.imshow(values.T, cmap=_sequential("output"), vmin=0, vmax=1, aspect="auto")
    for (t, v), value in np.ndenumerate(values):
        if value >= 0.005:
            _number(ax, t, v, f"{value:.0%}", on_dark=bool(value > 0.6))
    ax.set_xticks(range(T), above if above is not None else [str(t) for t in range(1, T + 1)])
    ax.set_yticks(range(V), list(characters))
    ax.set(xlabel="read" if above is not None else "time t", ylabel="next character", title=title)
    _cells(ax, T, V)
    ax.tick_params(axis="x", labelcolor=colour("input"))
    ax.tick_params(axis="y", labelcolor=colour("output"))
    return ax


def tinted_text(
    text: str,
    values: Numbers,
    *,
    role: str = "cell",
    low: float | None = None,
    high: float | None = None,
    width: int = 76,
    label: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Each character of a text on a tile: paper for a low number, a role's colour, pale enough to read on, for a high.

    Lines break where the text does, and after `width` characters; a newline has a tile too.

    Args:
        text: N characters.
        values: (N,), one number a character; NaN leaves a tile white.
        role: whose colour stands for a high number.
        low: what is paper and below; None takes the least number.
        high: what has the full tint and above; None takes the largest.
        width: characters in a line.
        label: what the tint measures, with its unit, for a colour bar; none without it.
        title: the figure's message.
    """
    numbers = as_numbers("values", values)
    places, row, column = [], 0, 0
    for character in text:
        if column == width:
            row, column = row + 1, 0
        places.append((row, column))
        row, column = (row + 1, 0) if character == "\n" else (row, column + 1)
    grid = np.full((places[-1][0] + 1, width), np.nan)
    for place, value in zip(places, numbers, strict=True):
        grid[place] = value
    ax = new_axes(ax, 7.2, 0.5 + 0.19 * len(grid) + (0.55 if label else 0.0))
    ends = [np.nanmin(numbers) if low is None else low, np.nanmax(numbers) if high is None else high]
    pale = LinearSegmentedColormap.from_list("pale", _sequential(role)(np.linspace(0, 0.6, 64)))
    image = ax.imshow(grid, cmap=pale, vmin=ends[0], vmax=ends[1], aspect="auto")
    for (row, column), character in zip(places, text, strict=True):
        if character != " ":
            shown, shade = (
                ("\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "muted")
                if character == "\n"
                else (character, "ink")
            )
            ax.text(
                column, row, shown, ha="center", va="center", family="monospace", fontsize=9, color=colour(shade),
                parse_math=False,
            )  # fmt: skip
    ax.set(xticks=[], yticks=[], title=title)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if label:
        bar = ax.figure.colorbar(
            image, ax=ax, location="bottom", shrink=0.35, aspect=30, pad=0.03, anchor=(0, 1)
        )
        bar.set_label(label, fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
    return ax
