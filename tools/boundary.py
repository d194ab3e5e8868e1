"""Draw what crosses the wall of the grader's sandbox. The teaching page shows it; its colours are the page's."""

from html import escape
from typing import NamedTuple

from art import _arrow, _text


class Side(NamedTuple):
    """What lies on one side of the wall."""

    title: str
    holds: tuple[str, ...]


OUTSIDE = Side(
    "Outside: the grader",
    (
        "questions, expected answers",
        "fresh inputs, from a logged seed",
        "comparison, points, feedback",
        "all submissions, all results",
    ),
)
INSIDE = Side(
    "Inside: one submission",
    (
        "its cells, run",
        "its functions, called",
        "Python and packages, read-only",
        "no network, no home, no rights",
    ),
)
IN = ("cells as text,", "inputs: numbers,", "text and arrays")
OUT = ("answers: numbers,", "text and arrays,", "each one checked")
NEVER = "never a pickle, never a file"
DESCRIPTION = (
    f"{OUTSIDE.title}, with {'; '.join(OUTSIDE.holds)}. {INSIDE.title}, with {'; '.join(INSIDE.holds)}. "
    f"In go {' '.join(IN)}. Out come {' '.join(OUT)}; {NEVER}."
)


def _box(side: Side, x: float, y: float, css: str) -> str:
    """A side of the wall, 250 by 148."""
    lines = _text(side.holds, x + 16, y + 58, "boundary-line", "start", 22)
    return (
        f'<rect class="map-cell {css}" x="{x:g}" y="{y:g}" width="250" height="148" rx="13"/>'
        f"{_text((side.title,), x + 16, y + 30, 'map-title', 'start')}{lines}"
    )


def _svg(name: str, width: int, height: int, body: str) -> str:
    return (
        f'<svg class="chapter-map boundary chapter-map--{name}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="boundary-{name}"><title id="boundary-{name}">{escape(DESCRIPTION)}</title>{body}</svg>'
    )


def wide() -> str:
    """The wall stands between two boxes: for a desktop."""
    body = [
        _box(OUTSIDE, 2, 24, "boundary-outside"),
        _box(INSIDE, 508, 24, ""),
        '<path class="boundary-wall" d="M380 4V192"/>',
        _arrow(262, 98, 498, 98, "map-input"),
        _text(IN, 368, 48, "map-input", "end"),
        _arrow(498, 110, 262, 110, "map-output"),
        _text(OUT, 392, 134, "map-output", "start"),
        _text((NEVER,), 380, 210, "map-note"),
    ]
    return _svg("wide", 760, 218, "".join(body))


def tall() -> str:
    """The wall lies between two boxes: for a phone."""
    body = [
        _box(OUTSIDE, 45, 4, "boundary-outside"),
        _box(INSIDE, 45, 300, ""),
        '<path class="boundary-wall" d="M4 226H336"/>',
        _arrow(164, 160, 164, 290, "map-input"),
        _text(IN, 152, 178, "map-input", "end"),
        _arrow(176, 290, 176, 160, "map-output"),
        _text(OUT, 188, 246, "map-output", "start"),
        _text((NEVER,), 170, 470, "map-note"),
    ]
    return _svg("tall", 340, 478, "".join(body))
