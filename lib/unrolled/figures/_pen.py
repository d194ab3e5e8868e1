"""What the pictures of networks are drawn with: a frameless canvas, letters, boxes, arrows, wires."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from unrolled.figures.style import colour

_SIZE = 0.62  # of a box
_GAP = 0.07  # between a box and an arrow
_EDGE = _SIZE / 2 + 0.12  # from the centre of an outermost box to the picture's border
_PILL = (0.9, 0.62)  # a gate's width and height
_NODE = 0.25  # radius of an operation
_CORNER, _LETTER = 0.16, 0.36  # radius of a wire's corner; height of a symbol at a wire

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


def _write(
    ax: Axes, x: float, y: float, text: str, shade: str, size: float, align: str = "center"
) -> PathPatch:
    """Text in the picture's units, `size` high; `align` says what of it stands at x."""
    path = TextPath((0, 0), text, size=1.0)
    box = path.get_extents()
    low, high = (box.y0, box.y1) if text.startswith("$") else (0.0, 0.56)  # letters share a line
    if align == "center":
        x -= size * (box.x0 + box.x1) / 2
    to = Affine2D().scale(size).translate(x, y - size * (low + high) / 2)
    # Unsnapped: rounded to whole pixels, a thin letter would be one pixel wide here and two there.
    patch = PathPatch(path.transformed(to), facecolor=shade, lw=0, zorder=4, snap=False)
    ax.add_patch(patch)
    return patch


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


class _Pen(NamedTuple):
    """Draws on one Axes, either as things are or, for what is not yet introduced, as a faint ghost without letters."""

    ax: Axes
    ghost: bool = False

    def shade(self, role: str) -> str:
        return colour("rule" if self.ghost else role)

    def text(
        self, x: float, y: float, text: str, role: str, size: float = _LETTER, align: str = "center"
    ) -> None:
        if not self.ghost and text:
            _write(self.ax, x, y, text, colour(role), size, align).set_gid(f"text {text}")

    def pill(
        self, x: float, y: float, text: str, role: str, name: str, *, width: float, filled: bool = True
    ) -> None:
        """A rounded box: a vector or a layer if filled, an operation if not."""
        tall = _PILL[1] if filled else 0.5
        face = colour("tint") if self.ghost else self.shade(role) if filled else colour("paper")
        self.ax.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - tall / 2), width, tall, boxstyle="round,pad=0,rounding_size=0.13",
                facecolor=face, edgecolor=self.shade(role), lw=1.5, zorder=3, gid=self.name(name),
            )
        )  # fmt: skip
        self.text(x, y, text, "paper" if filled else role, 0.3 if len(text) > 1 and "$" not in text else 0.34)

    def node(self, x: float, y: float, sign: str, role: str, name: str) -> None:
        """An operation number by number: a circle that holds a dot (times), a plus, or 1− (one minus)."""
        shade, order = self.shade(role), 1.4 if self.ghost else 3
        self.ax.add_patch(
            Circle(
                (x, y),
                _NODE,
                facecolor=colour("tint" if self.ghost else "paper"),
                edgecolor=shade,
                lw=1.5,
                zorder=order,
                gid=self.name(name),
            )
        )
        if sign == "⊙":
            self.ax.add_patch(Circle((x, y), 0.075, facecolor=shade, lw=0, zorder=order))
        elif sign == "+":
            for dx, dy in ((0.13, 0), (0, 0.13)):
                self.ax.plot([x - dx, x + dx], [y - dy, y + dy], color=shade, lw=1.5, zorder=order)
        else:
            self.text(x, y, sign, role, 0.28)

    def dot(self, x: float, y: float, role: str = "muted") -> None:
        """Where a wire forks or two join."""
        self.ax.add_patch(
            Circle((x, y), 0.065, facecolor=self.shade(role), lw=0, zorder=0.8 if self.ghost else 2.5)
        )

    def wire(self, *points: Point, role: str = "muted", head: bool = True, bridge: bool = False) -> None:
        """A line through the points with rounded corners; a bridge leaves a gap in what it crosses."""
        at = [np.array(point, dtype=float) for point in points]
        step = (at[-1] - at[-2]) / np.linalg.norm(at[-1] - at[-2])
        tip, across = at[-1], np.array([-step[1], step[0]])
        if head:
            at[-1] = tip - 0.17 * step
        path: list[np.ndarray] = [at[0]]
        codes = [Path.MOVETO]
        for before, corner, after in zip(at, at[1:], at[2:], strict=False):
            back, on = (
                (before - corner) / np.linalg.norm(before - corner),
                (after - corner) / np.linalg.norm(after - corner),
            )
            path += [corner + _CORNER * back, corner, corner + _CORNER * on]
            codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
        path, codes = [*path, at[-1]], [*codes, Path.LINETO]
        order = 0.8 if self.ghost else 1.5
        for width, shade in ((8.0, colour("tint")), (1.5, self.shade(role)))[0 if bridge else 1 :]:
            self.ax.add_patch(
                PathPatch(
                    Path(np.array(path), codes), facecolor="none", edgecolor=shade, lw=width,
                    capstyle="butt", zorder=order + 0.1 * bridge, gid=self.name("wire"),
                )
            )  # fmt: skip
        if head:
            ends = [tip, tip - 0.18 * step + 0.095 * across, tip - 0.18 * step - 0.095 * across]
            self.ax.add_patch(Polygon(ends, facecolor=self.shade(role), lw=0, zorder=2))

    def name(self, name: str) -> str:
        return f"ghost {name}" if self.ghost else name
