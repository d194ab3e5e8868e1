"""Pictures of networks, drawn by code: feedforward, unrolled in time, and the five wirings of the lecture.

A box is a vector, an arrow a weight matrix. Inputs stand below, hidden states in the middle, outputs above. Everything,
letters too, is drawn in the picture's own units, so that a small picture is a large one made smaller.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from unrolled._check import check_choice
from unrolled.figures._pen import _EDGE, _GAP, _SIZE, _arrow, _box, _canvas

WIRINGS = ("one to one", "one to many", "many to one", "many to many", "encoder-decoder", "both directions")

_ALONG, _UP = 1.3, 1.25  # from box to box, along time and from row to row
_ASIDE = 0.3  # of the two states of one time, where there are two


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

    Taught in chapter 03.
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

    Taught in chapter 03.
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
