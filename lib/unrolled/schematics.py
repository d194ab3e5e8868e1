"""Pictures of networks, drawn by code: feedforward, unrolled in time, and the five wirings of the lecture.

A box is a vector, an arrow a weight matrix. Inputs stand below, hidden states in the middle, outputs above. Everything,
letters too, is drawn in the picture's own units, so that a small picture is a large one made smaller.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from unrolled._check import check_choice
from unrolled.style import colour

__all__ = ["WIRINGS", "feedforward", "unrolled", "wiring", "wirings"]

WIRINGS = ("one to one", "one to many", "many to one", "many to many", "encoder-decoder", "both directions")

_SIZE = 0.62  # of a box
_ALONG, _UP = 1.3, 1.25  # from box to box, along time and from row to row
_GAP = 0.07  # between a box and an arrow
_EDGE = _SIZE / 2 + 0.12  # from the centre of an outermost box to the picture's border
_ASIDE = 0.3  # of the two states of one time, where there are two

Point = tuple[float, float]


def _canvas(
    ax: Axes | None, width: float, height: float, title: str, *, left: float = 0.0, right: float = 0.0
) -> Axes:
    """Axes without a frame, with equal units, for boxes centred from (-left, 0) to (width + right, height)."""
    wide, high = left + width + right + 2 * _EDGE, height + 2 * _EDGE
    if ax is None:
        inches = min(7.2 / wide, 0.75)  # to one unit
        ax = plt.subplots(figsize=(max(3.2, wide * inches), high * inches + (0.4 if title else 0.05)))[1]
    ax.set(xlim=(-left - _EDGE, width + right + _EDGE), ylim=(-_EDGE, height + _EDGE), aspect="equal")
    ax.axis("off")
    ax.set_title(title)
    return ax


def _write(ax: Axes, x: float, y: float, text: str, shade: str, size: float, align: str = "center") -> None:
    """Text in the picture's units, `size` high; `align` says what of it stands at x."""
    path = TextPath((0, 0), text, size=1.0)
    box = path.get_extents()
    low, high = (box.y0, box.y1) if text.startswith("$") else (0.0, 0.56)  # letters share a line
    if align == "center":
        x -= size * (box.x0 + box.x1) / 2
    to = Affine2D().scale(size).translate(x, y - size * (low + high) / 2)
    # Unsnapped: rounded to whole pixels, a thin letter would be one pixel wide here and two there.
    ax.add_patch(PathPatch(path.transformed(to), facecolor=shade, lw=0, zorder=4, snap=False))


def _box(ax: Axes, x: float, y: float, text: str, role: str, *, ghost: bool = False) -> None:
    """A vector: a rounded box in the colour of its role, centred at (x, y); a ghost is only outlined."""
    shade, paper = colour(role), colour("paper")
    ax.add_patch(
        FancyBboxPatch(
            (x - _SIZE / 2, y - _SIZE / 2), _SIZE, _SIZE, boxstyle="round,pad=0,rounding_size=0.13",
            facecolor=paper if ghost else shade, edgecolor=shade, lw=1.2, ls=(0, (3, 2)) if ghost else "-", zorder=3,
        )
    )  # fmt: skip
    room = 0.8 * _SIZE / max(0.3, 0.3 * 0.62 * (1 if "$" in text else len(text)))
    _write(ax, x, y, text, shade if ghost else paper, 0.3 * min(1.0, room))


def _arrow(ax: Axes, start: Point, end: Point, label: str = "", *, dashed: bool = False) -> None:
    """A weight matrix: a straight arrow between two points, with its name beside it; dashed for what is fed back."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.linalg.norm(b - a)
    across = np.array([-along[1], along[0]])
    neck = b - 0.17 * along
    shade = colour("muted")
    # First a paler, wider line: a margin where two arrows cross.
    for width, paint, order in ((5.0, colour("paper"), 1.0), (1.3, shade, 1.5)):
        style = (0, (3, 2)) if dashed and paint == shade else "-"
        ax.plot(
            *zip(a, neck, strict=True), color=paint, lw=width, ls=style, solid_capstyle="butt", zorder=order
        )
    ax.add_patch(Polygon([b, neck + 0.085 * across, neck - 0.085 * across], color=shade, lw=0, zorder=2))
    if label:
        x, y = (a + b) / 2
        upright = abs(along[0]) < 1e-9
        _write(
            ax, x + (0.1 if upright else -0.05), y + (0.0 if upright else 0.22), label, shade, 0.2,
            "left" if upright else "center",
        )  # fmt: skip


def _up(ax: Axes, x: float, y: float, to: float, label: str = "") -> None:
    """An arrow upwards at x, from the box at height y to the box at height `to`."""
    _arrow(ax, (x, y + _SIZE / 2 + _GAP), (x, to - _SIZE / 2 - _GAP), label)


def _over(ax: Axes, x: float, to: float, y: float, label: str = "") -> None:
    """An arrow along time at height y, from the box at x to the box at `to`, which may stand to its left."""
    edge = (_SIZE / 2 + _GAP) * (1 if to > x else -1)
    _arrow(ax, (x + edge, y), (to - edge, y), label)


def feedforward(*, heads: Sequence[str] = ("$y$",), title: str = "", ax: Axes | None = None) -> Axes:
    """One input, one hidden layer, one or more outputs that do not see one another.

    Args:
        heads: the names of the outputs.
        title: the figure's message.

    Raises:
        ValueError: no heads.
    """
    if not heads:
        raise ValueError("heads: expected at least one name, got none")
    width = _ALONG * (len(heads) - 1)
    ax = _canvas(ax, width, 2 * _UP, title)
    _box(ax, width / 2, 0, "$x$", "input")
    _box(ax, width / 2, _UP, "$h$", "hidden")
    _up(ax, width / 2, 0, _UP)
    for i, head in enumerate(heads):
        x = i * _ALONG
        _box(ax, x, 2 * _UP, head, "output")
        edge = _SIZE / 2 + _GAP
        _arrow(ax, (width / 2 + 0.3 * (x - width / 2), _UP + edge), (x, 2 * _UP - edge))
    return ax


def unrolled(
    inputs: Sequence[str | None],
    outputs: Sequence[str | None],
    *,
    hidden: Sequence[str] | None = None,
    start: str | None = "$h_0$",
    weights: bool = True,
    reverse: bool = False,
    feedback: bool = False,
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
        feedback: add a dashed arrow from each output to the next state, which reads it.
        title: the figure's message.

    Raises:
        ValueError: inputs, outputs or hidden of different lengths; no steps; feedback and reverse at once.
    """
    T = len(inputs)
    if T == 0:
        raise ValueError("inputs: expected at least one step, got none")
    if feedback and reverse:
        raise ValueError("feedback: expected False with reverse, got True")
    names = [f"$h_{{{t}}}$" for t in range(1, T + 1)] if hidden is None else hidden
    for name, given in (("outputs", outputs), ("hidden", names)):
        if len(given) != T:
            raise ValueError(f"{name}: expected {T} entries, one for each of the inputs, got {len(given)}")
    along = _ALONG + (0.25 if reverse else 0.0)
    aside = _ASIDE if reverse else 0.0  # two states of one time stand apart, so that arrows are straight
    first, top = along * (start is not None), (3 if reverse else 2) * _UP
    ax = _canvas(ax, first + along * (T - 1), top, title, left=aside, right=max(aside, 0.22 * weights))
    W_xh, W_hh, W_hy = ("$W_{xh}$", "$W_{hh}$", "$W_{hy}$") if weights else ("", "", "")
    if start is not None:
        _box(ax, -aside, _UP, start, "hidden", ghost=True)
        _over(ax, -aside, first - aside, _UP, W_hh)
    for t in range(T):
        x = first + along * t
        if t:
            _over(ax, x - along - aside, x - aside, _UP, W_hh)
            if reverse:
                _over(ax, x + aside, x - along + aside, 2 * _UP)
        if inputs[t] is not None:
            _box(ax, x, 0, str(inputs[t]), "input")
            _up(ax, x - 0.8 * aside, 0, _UP, W_xh)
            if reverse:
                _up(ax, x + 0.8 * aside, 0, 2 * _UP)
        if outputs[t] is not None:
            _box(ax, x, top, str(outputs[t]), "output")
            _up(ax, x - 0.8 * aside, _UP, top, W_hy)
            if reverse:
                _up(ax, x + 0.8 * aside, 2 * _UP, top)
            if feedback and t + 1 < T:
                edge = _SIZE / 2 + _GAP
                _arrow(ax, (x + edge, top - 0.1), (x + along - 0.2, _UP + edge), dashed=True)
        _box(ax, x - aside, _UP, names[t], "hidden")
        if reverse:
            _box(ax, x + aside, 2 * _UP, f"$h'_{{{t + 1}}}$", "hidden")
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

    def times(symbol: str, steps: Sequence[int]) -> list[str | None]:
        return [f"${symbol}_{{{t}}}$" if t in steps else None for t in (1, 2, 3)]

    every, silent = (1, 2, 3), [None, None, None]
    if name == "one to one":
        return feedforward(title=title, ax=ax)
    if name == "encoder-decoder":
        return unrolled(
            [*times("x", every), *silent], [*silent, *times("y", every)], start=None, weights=False, title=title, ax=ax,
            hidden=["$h_1$", "$h_2$", "$h_3$", "$s_1$", "$s_2$", "$s_3$"],
        )  # fmt: skip
    inputs = times("x", (1,) if name == "one to many" else every)
    outputs = times("y", (3,) if name == "many to one" else every)
    both = name == "both directions"
    return unrolled(inputs, outputs, start=None, weights=False, reverse=both, title=title, ax=ax)


def wirings(*, title: str = "") -> list[Axes]:
    """The five wirings of the lecture in two rows and at one scale: five Axes of one new figure.

    Args:
        title: the figure's message.

    Taught in chapter 01.
    """
    first = (("one to one", 1), ("one to many", 3), ("many to one", 3))
    rows = (first, (("many to many", 3), ("encoder-decoder", 6)))
    shapes = {"many to many": "many to many, equal", "encoder-decoder": "many to many, unequal"}
    gap, head, tall = 0.95, 0.62, 2 * _UP + 2 * _EDGE  # in the pictures' own units
    wide = [[_ALONG * (steps - 1) + 2 * _EDGE for _, steps in row] for row in rows]
    across = max(sum(row) + gap * (len(row) - 1) for row in wide)
    down = 2 * (head + tall) + 0.3 + (0.45 if title else 0.0)
    figure = plt.figure(figsize=(7.2, 7.2 * down / across), layout="none")
    drawn: list[Axes] = []
    for i, (row, widths) in enumerate(zip(rows, wide, strict=True)):
        bottom = (1 - i) * (head + tall + 0.3)
        left, between = 0.0, (across - sum(widths)) / (len(row) - 1)
        for (name, _), width in zip(row, widths, strict=True):
            place = (left / across, bottom / down, width / across, tall / down)
            ax = wiring(name, title="", ax=figure.add_axes(place))
            ax.text(-_SIZE / 2, 2 * _UP + _EDGE + 0.12, shapes.get(name, name), weight="bold", va="bottom")
            drawn.append(ax)
            left += width + between
    if title:
        figure.suptitle(title, x=0.12 / across, ha="left", weight="bold", size=11)
    return drawn
