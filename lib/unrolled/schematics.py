"""Pictures of networks, drawn by code: feedforward, unrolled in time, and the five wirings of the lecture.

A box is a vector, an arrow a weight matrix. Inputs stand below, hidden states in the middle row, outputs above.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from unrolled._check import check_choice
from unrolled.style import colour

__all__ = ["WIRINGS", "feedforward", "unrolled", "wiring"]

WIRINGS = ("one to one", "one to many", "many to one", "many to many", "both directions", "encoder-decoder")

_SIZE = 0.62  # of a box; boxes stand 1.3 apart along time and 1.25 apart from row to row
_ALONG, _UP = 1.3, 1.25


def _canvas(ax: Axes | None, width: float, height: float, title: str) -> Axes:
    """Axes without frame whose units are equal; `width` and `height` in the drawing's own units."""
    if ax is None:
        ax = plt.subplots(
            figsize=(min(7.2, 0.75 * width), 0.75 * height * min(1.0, 7.2 / (0.75 * width)) + 0.4)
        )[1]
    ax.set(xlim=(-0.75, width - 0.75), ylim=(-0.6, height - 0.6), aspect="equal")
    ax.axis("off")
    if title:
        ax.set_title(title)
    return ax


def _box(ax: Axes, x: float, y: float, text: str, role: str, *, ghost: bool = False) -> None:
    """A vector: a rounded box in the colour of its role, centred at (x, y); a ghost is only outlined."""
    shade = colour(role)
    ax.add_patch(
        FancyBboxPatch(
            (x - _SIZE / 2, y - _SIZE / 2), _SIZE, _SIZE, boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=colour("paper") if ghost else shade, edgecolor=shade, lw=1.4, ls="--" if ghost else "-", zorder=2,
        )
    )  # fmt: skip
    ax.text(
        x, y, text, ha="center", va="center", color=shade if ghost else colour("paper"), fontsize=11, zorder=3
    )


def _arrow(
    ax: Axes,
    a: tuple[float, float],
    b: tuple[float, float],
    label: str = "",
    *,
    role: str = "muted",
    bend: float = 0.0,
) -> None:
    """A weight matrix: an arrow from the box at `a` to the box at `b`, with its name beside it."""
    ax.add_patch(
        FancyArrowPatch(
            a, b, arrowstyle="-|>", mutation_scale=11, shrinkA=15, shrinkB=15, lw=1.4, color=colour(role),
            connectionstyle=f"arc3,rad={bend}", zorder=1,
        )
    )  # fmt: skip
    if label:
        upright = abs(b[0] - a[0]) < 1e-9
        x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        ax.text(
            x + (0.1 if upright else 0), y + (0 if upright else 0.12), label,
            ha="left" if upright else "center", va="center" if upright else "bottom", color=colour("muted"), fontsize=9,
        )  # fmt: skip


def feedforward(*, heads: Sequence[str] = ("$y$",), title: str = "", ax: Axes | None = None) -> Axes:
    """One input, one hidden layer, one or more independent outputs.

    Args:
        heads: the names of the outputs.
        title: the figure's message.
    """
    width = max(1, len(heads))
    ax = _canvas(ax, 1.5 + _ALONG * (width - 1), 3 * _UP, title)
    middle = _ALONG * (width - 1) / 2
    _box(ax, middle, 0, "$x$", "input")
    _box(ax, middle, _UP, "$h$", "hidden")
    _arrow(ax, (middle, 0), (middle, _UP))
    for i, head in enumerate(heads):
        _box(ax, i * _ALONG, 2 * _UP, head, "output")
        _arrow(ax, (middle, _UP), (i * _ALONG, 2 * _UP))
    return ax


def unrolled(
    inputs: Sequence[str | None],
    outputs: Sequence[str | None],
    *,
    hidden: Sequence[str] | None = None,
    start: str | None = "$h_0$",
    weights: bool = True,
    reverse: bool = False,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """A recurrent network unrolled in time: the same three matrices at every step.

    Args:
        inputs: what each step reads; None where it reads nothing.
        outputs: what each step says; None where it is silent.
        hidden: names of the states; h_1 … h_T if None.
        start: the name of the state before the first step; None draws none.
        weights: write W_xh, W_hh and W_hy at their arrows.
        reverse: add a second row of states that reads from the end.
        title: the figure's message.

    Raises:
        ValueError: inputs and outputs of different lengths.
    """
    T = len(inputs)
    if len(outputs) != T:
        raise ValueError(f"outputs: expected {T} entries, one for each of the inputs, got {len(outputs)}")
    rows = 4 if reverse else 3
    first = 1 if start is not None else 0
    ax = _canvas(ax, 1.5 + _ALONG * (T + first - 1), rows * _UP, title)
    names = hidden if hidden is not None else [f"$h_{{{t}}}$" for t in range(1, T + 1)]
    top = (rows - 1) * _UP
    if start is not None:
        _box(ax, 0, _UP, start, "hidden", ghost=True)
        _arrow(ax, (0, _UP), (_ALONG, _UP), "$W_{hh}$" if weights else "")
    for t in range(T):
        x = (t + first) * _ALONG
        _box(ax, x, _UP, names[t], "hidden")
        if t:
            _arrow(ax, (x - _ALONG, _UP), (x, _UP), "$W_{hh}$" if weights else "")
        if inputs[t] is not None:
            _box(ax, x, 0, str(inputs[t]), "input")
            _arrow(ax, (x, 0), (x, _UP), "$W_{xh}$" if weights else "")
            if reverse:
                _arrow(ax, (x, 0), (x, 2 * _UP), bend=0.42)
        if reverse:
            _box(ax, x, 2 * _UP, f"$h'_{{{t + 1}}}$", "hidden")
            if t:
                _arrow(ax, (x, 2 * _UP), (x - _ALONG, 2 * _UP))
        if outputs[t] is not None:
            _box(ax, x, top, str(outputs[t]), "output")
            _arrow(ax, (x, top - _UP), (x, top), "$W_{hy}$" if weights else "")
            if reverse:
                _arrow(ax, (x, _UP), (x, top), bend=-0.42)
    return ax


def wiring(name: str, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """One of the shapes of input and output a recurrent network can take.

    Args:
        name: one of `WIRINGS`.
        title: the figure's message; the name if None.

    Raises:
        ValueError: an unknown name.

    Taught in chapter 01.
    """
    check_choice("name", name, WIRINGS)
    title = name if title is None else title

    def times(symbol: str, steps: Sequence[int], T: int) -> list[str | None]:
        return [f"${symbol}_{{{t}}}$" if t in steps else None for t in range(1, T + 1)]

    every = (1, 2, 3)
    if name == "one to one":
        return feedforward(title=title, ax=ax)
    if name == "encoder-decoder":
        return unrolled(
            [*times("x", every, 3), *[None] * 3], [*[None] * 3, *times("y", every, 3)],
            hidden=["$h_1$", "$h_2$", "$h_3$", "$s_1$", "$s_2$", "$s_3$"],
            start=None, weights=False, title=title, ax=ax,
        )  # fmt: skip
    inputs = times("x", (1,) if name == "one to many" else every, 3)
    outputs = times("y", (3,) if name == "many to one" else every, 3)
    return unrolled(
        inputs, outputs, start=None, weights=False, reverse=name == "both directions", title=title, ax=ax
    )
