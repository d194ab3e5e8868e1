"""Pictures of one step of a gated cell, drawn by code: the LSTM, built up gate by gate, and the GRU beside it.

The broad road along the top is what the cell remembers. A filled box is a vector, a filled pill with σ or tanh a layer
with weights of its own, an outlined circle or pill an operation without weights. No wires cross, but for one bridge in
the GRU. What a patch shows is its gid.
"""

from collections.abc import Collection

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Polygon

from unrolled._check import check_choice
from unrolled.figures._pen import _NODE, _PILL, _SIZE, _canvas, _Pen
from unrolled.figures.style import colour

CELL_GATES = ("f", "i", "g", "o")  # in the order in which the chapter adds them; g is the candidate

_BUS, _GATE, _MIDDLE, _TANH, _ROAD = 1.05, 2.0, 3.2, 4.15, 5.1  # heights
_IN, _FORGET, _INPUT, _CANDIDATE, _OUTPUT, _SHOW = 0.85, 1.45, 2.65, 3.85, 5.05, 6.25  # places along the step
_WIDE, _HEAD = 0.3, 0.36  # of the road, and the length of its head
_VECTOR = 0.84  # width of a vector that is carried from step to step


def _cell(
    ax: Axes | None, right: float, title: str, role: str, before: str, after: str
) -> tuple[_Pen, float]:
    """The canvas, the cell's body as far as `right`, and the road through it; where the vectors right of it stand."""
    to, aside = right + 0.6, (_VECTOR - _SIZE) / 2
    ax = _canvas(ax, to, _ROAD, title, left=aside, right=aside)
    pen = _Pen(ax)
    low, high = 0.5 * _BUS, _ROAD + _SIZE / 2
    ax.add_patch(
        FancyBboxPatch(
            (0.55, low), right - 0.55, high - low, boxstyle="round,pad=0,rounding_size=0.2",
            facecolor=colour("tint"), edgecolor=colour("rule"), lw=1.0, zorder=0.1, gid="body",
        )
    )  # fmt: skip
    y, a, b, half = _ROAD, _VECTOR / 2 + 0.05, to - _VECTOR / 2 - 0.05, _WIDE / 2
    road = [
        (a, y - half),
        (b - _HEAD, y - half),
        (b - _HEAD, y - 2 * half),
        (b, y),
        (b - _HEAD, y + 2 * half),
    ]
    ax.add_patch(
        Polygon(
            [*road, (b - _HEAD, y + half), (a, y + half)],
            facecolor=colour(role),
            lw=0,
            zorder=1.2,
            gid="road",
        )
    )
    pen.pill(0, y, before, role, before, width=_VECTOR)
    pen.pill(to, y, after, role, after, width=_VECTOR)
    return pen, to


def _feed(pen: _Pen, x: float, name: str, text: str, role: str) -> None:
    """A gate at x, fed from the wire below."""
    pen.wire((x, _BUS), (x, _GATE - _PILL[1] / 2 - 0.04))
    pen.dot(x, _BUS)
    pen.pill(x, _GATE, text, role, name, width=_PILL[0])


_TOP = _GATE + _PILL[1] / 2  # of a gate
_UNDER = _ROAD - _NODE - 0.04  # the tip of an arrow into an operation on the road


def lstm_cell(
    show: Collection[str] = CELL_GATES, *, labels: bool = True, title: str = "", ax: Axes | None = None
) -> Axes:
    r"""One step of an LSTM, with the gates introduced so far; the others are faint ghosts in their places.

    $$C_t = f_t \odot C_{t-1} + i_t \odot \tilde C_t, \qquad h_t = o_t \odot \tanh(C_t).$$

    Args:
        show: gates of `CELL_GATES`, as `"fig"` or `("f", "i", "g")`; none draws the cell state's road alone.
        labels: write each gate's symbol at its wire, and what the gates read.
        title: the figure's message.

    Raises:
        ValueError: an unknown gate.

    Source: Hochreiter and Schmidhuber (1997); the forget gate: Gers et al. (2000). Taught in chapter 07.
    """
    for gate in show:
        check_choice("show", gate, CELL_GATES)
    solid, to = _cell(ax, _SHOW + 0.6, title, "cell", "$C_{t-1}$", "$C_t$")
    pen = {gate: _Pen(solid.ax, gate not in show) for gate in CELL_GATES}
    word = "$f_t$", "$i_t$", r"$\tilde{C}_t$", "$o_t$"
    f, i, g, o = word if labels else ("", "", "", "")
    at = dict(zip(CELL_GATES, (_FORGET, _INPUT, _CANDIDATE, _OUTPUT), strict=True))

    # What every gate reads; as far as the last gate that is shown.
    read = _Pen(solid.ax, not show)
    ends = [at[gate] for gate in CELL_GATES if gate in show]
    if not ends or max(ends) < _OUTPUT:
        _Pen(solid.ax, True).wire((_IN, _BUS), (_OUTPUT, _BUS), head=False)
    read.wire((_VECTOR / 2 + 0.05, _BUS), (max(ends, default=_OUTPUT), _BUS), head=False)
    read.wire((_IN, _SIZE / 2 + 0.05), (_IN, _BUS), head=False)
    read.dot(_IN, _BUS)
    read.pill(0, _BUS, "$h_{t-1}$", "hidden", "$h_{t-1}$", width=_VECTOR)
    read.pill(_IN, 0, "$x_t$", "input", "$x_t$", width=_SIZE)

    for gate, text, role in zip(
        CELL_GATES,
        ("σ", "σ", "tanh", "σ"),
        ("forget-gate", "input-gate", "candidate", "output-gate"),
        strict=True,
    ):
        _feed(pen[gate], at[gate], gate, text, role)

    pen["f"].wire((_FORGET, _TOP), (_FORGET, _UNDER), role="forget-gate")
    pen["f"].text(_FORGET + 0.16, _TOP + 0.34, f, "forget-gate", align="left")
    if "f" in show:  # no ghosts on the road: where nothing acts on it, it is unbroken
        solid.node(_FORGET, _ROAD, "⊙", "cell", "keep")

    into = _MIDDLE - _NODE - 0.04
    pen["i"].wire((_INPUT, _TOP), (_INPUT, _MIDDLE), (_CANDIDATE - _NODE - 0.04, _MIDDLE), role="input-gate")
    pen["i"].text(_INPUT + 0.16, _TOP + 0.34, i, "input-gate", align="left")
    pen["g"].wire(
        (_CANDIDATE, _TOP), (_CANDIDATE, into if "i" in show or "g" not in show else _UNDER), role="candidate"
    )
    pen["g"].text(_CANDIDATE + 0.16, _TOP + 0.34, g, "candidate", align="left")
    write = _Pen(solid.ax, "i" not in show and "g" not in show)
    pen["i"].node(_CANDIDATE, _MIDDLE, "⊙", "ink", "write")
    if "i" in show or "g" not in show:
        write.wire((_CANDIDATE, _MIDDLE + _NODE), (_CANDIDATE, _UNDER), role="ink")
    if not write.ghost:
        write.node(_CANDIDATE, _ROAD, "+", "cell", "add")

    out = pen["o"]
    out.wire((_OUTPUT, _TOP), (_OUTPUT, _MIDDLE), (_SHOW - _NODE - 0.04, _MIDDLE), role="output-gate")
    out.text(_OUTPUT + 0.16, _TOP + 0.34, o, "output-gate", align="left")
    out.wire((_SHOW, _ROAD), (_SHOW, _TANH + 0.29), role="cell")
    out.pill(_SHOW, _TANH, "tanh", "cell", "squash", width=_PILL[0], filled=False)
    out.wire((_SHOW, _TANH - 0.25), (_SHOW, _MIDDLE + _NODE + 0.04), role="cell")
    out.node(_SHOW, _MIDDLE, "⊙", "ink", "show")
    out.wire((_SHOW, _MIDDLE - _NODE), (_SHOW, _BUS), (to - _VECTOR / 2 - 0.05, _BUS), role="hidden")
    out.pill(to, _BUS, "$h_t$", "hidden", "$h_t$", width=_VECTOR)
    if labels:
        read.text(_IN + 0.14, _BUS - 0.27, "$[h_{t-1}, x_t]$", "muted", 0.27, "left")
    return solid.ax


def gru_cell(*, labels: bool = True, title: str = "", ax: Axes | None = None) -> Axes:
    r"""One step of a GRU in the language of `lstm_cell`: one state, and one gate z that forgets and writes.

    $$n_t = \tanh(W x_t + r_t \odot (W' h_{t-1} + b_n)), \qquad h_t = z_t \odot h_{t-1} + (1 - z_t) \odot n_t.$$

    z has the colour of the forget gate, whose work it does; r has the output gate's, since it says what of the state is
    shown, here to the candidate. Weights are not drawn: the picture is the same whether r acts on $W' h_{t-1} + b_n$,
    as in torch, or on $h_{t-1}$ itself, as in the paper.

    Args:
        labels: write each gate's symbol at its wire.
        title: the figure's message.

    Source: Cho et al. (2014). Taught in chapter 08.
    """
    reset, high = 3.05, 4.1  # heights of the candidate's row and of what is written
    pen, _ = _cell(ax, _CANDIDATE + 0.75, title, "hidden", "$h_{t-1}$", "$h_t$")
    z, r, n = ("$z_t$", "$r_t$", "$n_t$") if labels else ("", "", "")
    pen.wire((_IN, _ROAD), (_IN, _BUS + 0.06), role="hidden", head=False)
    pen.wire((_IN, _SIZE / 2 + 0.05), (_IN, _BUS), role="input", head=False)
    pen.wire((_IN, _BUS), (_INPUT, _BUS), head=False)
    pen.dot(_IN, _BUS)
    pen.pill(_IN, 0, "$x_t$", "input", "$x_t$", width=_SIZE)
    _feed(pen, _FORGET, "z", "σ", "forget-gate")
    _feed(pen, _INPUT, "r", "σ", "output-gate")

    pen.wire((_FORGET, _TOP), (_FORGET, _UNDER), role="forget-gate")
    pen.text(_FORGET + 0.16, _TOP + 0.24, z, "forget-gate", align="left")
    pen.node(_FORGET, _ROAD, "⊙", "hidden", "keep")
    pen.wire((_FORGET, high), (_INPUT - _NODE - 0.04, high), role="forget-gate")
    pen.dot(_FORGET, high, "forget-gate")
    pen.node(_INPUT, high, "1−", "forget-gate", "one minus")
    pen.wire((_INPUT + _NODE, high), (_CANDIDATE - _NODE - 0.04, high), role="forget-gate")

    pen.wire((_IN, reset), (_INPUT - _NODE - 0.04, reset), role="hidden", bridge=True)
    pen.dot(_IN, reset, "hidden")
    pen.wire((_INPUT, _TOP), (_INPUT, reset - _NODE - 0.04), role="output-gate")
    pen.text(_INPUT + 0.16, _TOP + 0.24, r, "output-gate", align="left")
    pen.node(_INPUT, reset, "⊙", "ink", "reset")
    pen.wire((_INPUT + _NODE, reset), (_CANDIDATE - _PILL[0] / 2 - 0.04, reset), role="ink")
    pen.wire((_IN, 0.68), (_CANDIDATE, 0.68), (_CANDIDATE, reset - _PILL[1] / 2 - 0.04), role="input")
    pen.dot(_IN, 0.68, "input")
    pen.pill(_CANDIDATE, reset, "tanh", "candidate", "n", width=_PILL[0])
    pen.wire((_CANDIDATE, reset + _PILL[1] / 2), (_CANDIDATE, high - _NODE - 0.04), role="candidate")
    pen.text(_CANDIDATE + 0.16, reset + _PILL[1] / 2 + 0.22, n, "candidate", align="left")
    pen.node(_CANDIDATE, high, "⊙", "ink", "write")
    pen.wire((_CANDIDATE, high + _NODE), (_CANDIDATE, _UNDER), role="ink")
    pen.node(_CANDIDATE, _ROAD, "+", "hidden", "add")
    return pen.ax
