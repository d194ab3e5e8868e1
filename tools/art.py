"""Draw the book's mark and its chapter map: a cell with a loop, and the same cell unrolled.

`python tools/art.py` writes the mark into web/ (logo for light and dark paper, favicon). The chapter map is
drawn while the site is built, from _toc.yml, and takes its colours from the page's CSS variables.
"""

from html import escape
from pathlib import Path
from typing import NamedTuple

from unrolled.figures import COLOURS

WEB = Path(__file__).resolve().parents[1] / "web"


class Stop(NamedTuple):
    """One cell of the chapter map."""

    number: str  # "01"
    title: tuple[str, ...]  # the lines under the cell
    gives: tuple[str, ...]  # the lines above it: what a reader leaves with
    href: str | None = None  # None: not written yet


def _colours(mode: str | None) -> dict[str, str]:
    """The mark's colours: fixed for one paper, or the page's CSS variables when `mode` is None."""
    names = ("input", "hidden", "output")
    if mode is None:
        return {name: f"var(--unrolled-{name})" for name in names}
    return {name: getattr(COLOURS[name], mode) for name in names}


def logo(mode: str | None = None) -> str:
    """The mark: one cell with its loop, then the same cell again and again, each time fainter."""
    c = _colours(mode)
    steps = "".join(
        f'<g opacity="{opacity}"><path d="M{x - 13} 30h8" stroke="{c["hidden"]}"/>'
        f'<path d="M{x + 10} 49v5" stroke="{c["input"]}"/><path d="M{x + 10} 11v-5" stroke="{c["output"]}"/>'
        f'<rect x="{x}" y="20" width="20" height="20" rx="6" stroke="{c["hidden"]}"/></g>'
        for x, opacity in ((60, 1), (98, 0.75), (136, 0.5))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 60" width="160" height="60" '
        'aria-hidden="true" fill="none" stroke-width="3.6" stroke-linecap="round" stroke-linejoin="round">'
        f'<path d="M20 49v5" stroke="{c["input"]}"/>'
        f'<rect x="10" y="20" width="20" height="20" rx="6" fill="{c["hidden"]}" stroke="{c["hidden"]}"/>'
        f'<path d="M34 33c6 0 7-5 7-11v-4c0-7-4-12-11-12h-20c-5 0-8 3-8 8v8c0 5 1 8 4 10" stroke="{c["hidden"]}"/>'
        f"{steps}</svg>\n"
    )


def favicon() -> str:
    """The cell and its loop alone, legible at 16 pixels; follows the browser's colour scheme."""
    light, dark = COLOURS["hidden"]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f"<style>.s{{stroke:{light}}}.f{{fill:{light}}}"
        f"@media (prefers-color-scheme:dark){{.s{{stroke:{dark}}}.f{{fill:{dark}}}}}</style>"
        '<rect class="f" x="9" y="13" width="14" height="14" rx="4"/>'
        '<path class="s" d="M26 21a4 4 0 0 0 3-4v-7a6 6 0 0 0-6-6h-14a6 6 0 0 0-6 6v7a4 4 0 0 0 3 4" '
        'fill="none" stroke-width="3.2" stroke-linecap="round"/></svg>\n'
    )


FILES = {
    "logo-light.svg": lambda: logo("light"),
    "logo-dark.svg": lambda: logo("dark"),
    "favicon.svg": favicon,
}


# ---- the chapter map -------------------------------------------------------------------------------------

ARROW = "M-5-3.6L1 0L-5 3.6"  # a head that points right and ends at the origin


def _text(
    lines: tuple[str, ...], x: float, y: float, css: str, anchor: str = "middle", step: float = 17
) -> str:
    """Lines of text, the first one's baseline at y."""
    spans = "".join(
        f'<tspan x="{x:g}" y="{y + step * i:g}">{escape(line)}</tspan>' for i, line in enumerate(lines)
    )
    return f'<text class="{css}" text-anchor="{anchor}">{spans}</text>'


def _arrow(x0: float, y0: float, x1: float, y1: float, css: str) -> str:
    """A straight arrow, horizontal or vertical."""
    turn = 0 if x1 > x0 else 180 if x1 < x0 else 90 if y1 > y0 else -90
    return (
        f'<g class="{css}"><path d="M{x0:g} {y0:g}L{x1:g} {y1:g}"/>'
        f'<path class="map-head" d="{ARROW}" transform="translate({x1:g} {y1:g}) rotate({turn})"/></g>'
    )


def _symbol(letter: str, index: str, x: float, y: float, css: str) -> str:
    """A symbol with an index, such as h and 1, centred on x."""
    return (
        f'<text class="map-symbol {css}" x="{x:g}" y="{y:g}" text-anchor="middle">{letter}'
        f'<tspan class="map-index" dy="4">{index}</tspan></text>'
    )


def _box(stop: Stop, x: float, y: float, size: float) -> str:
    """One cell with its number, and "to come" where there is nothing to read yet."""
    number_y = y + size / 2 + (6.5 if stop.href else 1)
    parts = [
        f'<rect class="map-cell" x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" rx="13"/>',
        f'<text class="map-number" x="{x + size / 2:g}" y="{number_y:g}" text-anchor="middle">{stop.number}</text>',
    ]
    if not stop.href:
        parts.append(_text(("to come",), x + size / 2, y + size / 2 + 17, "map-note"))
    return "".join(parts)


def _wrap(stop: Stop, body: str) -> str:
    """The cell as a link, or as a named group that says it is to come."""
    title = escape(f"{stop.number} {' '.join(stop.title)}")
    if stop.href:
        return f'<a class="map-stop" href="{escape(stop.href)}" aria-label="{title}">{body}</a>'
    return f'<g class="map-stop map-stop--to-come" role="img" aria-label="{title}, to come">{body}</g>'


def _svg(width: int, height: int, name: str, describe: str, body: str) -> str:
    """The frame of one map; links inside stay reachable, so the role is group and not img."""
    return (
        f'<svg class="chapter-map chapter-map--{name}" viewBox="0 0 {width} {height}" role="group" '
        f'aria-labelledby="map-{name}-title" aria-describedby="map-{name}-desc">'
        f'<title id="map-{name}-title">Chapter map</title><desc id="map-{name}-desc">{escape(describe)}</desc>'
        f"{body}</svg>"
    )


def describe(stops: list[Stop]) -> str:
    """The map in words."""
    written = ", ".join(f"{s.number} {' '.join(s.title)}" for s in stops if s.href) or "none"
    coming = ", ".join(f"{s.number} {' '.join(s.title)}" for s in stops if not s.href) or "none"
    return f"A recurrent cell unrolled into a chain with one cell a chapter. Written: {written}. To come: {coming}."


SIZE, PITCH, FIRST, TOP, ROW, PER_ROW = 58, 120, 178, 78, 196, 7  # the desktop map's measures


def _rolled() -> str:
    """The rolled cell, whose state goes out on the right and comes in again, and the sign that the chain equals it."""
    left, middle = 14, TOP + SIZE / 2
    right, centre = left + SIZE, left + SIZE / 2
    return (
        f'<g aria-hidden="true"><path class="map-state" d="M{right + 5} {middle + 13:g}h11a13 13 0 0 0 0-26h-9"/>'
        f'<path class="map-head map-state" d="{ARROW}" '
        f'transform="translate({right + 6} {middle - 13:g}) rotate(180)"/>'
        f'<rect class="map-rolled" x="{left}" y="{TOP}" width="{SIZE}" height="{SIZE}" rx="13"/>'
        f'<text class="map-symbol map-on-cell" x="{centre - 1:g}" y="{middle + 6:g}" text-anchor="middle">f'
        '<tspan class="map-index" dy="4">W</tspan></text>'
        f"{_arrow(centre, TOP + SIZE + 26, centre, TOP + SIZE + 6, 'map-input')}"
        f"{_arrow(centre, TOP - 6, centre, TOP - 24, 'map-output')}"
        f"{_symbol('x', 't', centre, TOP + SIZE + 45, 'map-input')}"
        f"{_symbol('y', 't', centre, TOP - 35, 'map-output')}"
        f"{_symbol('h', 't', right + 30, middle - 20, 'map-state')}"
        f'<text class="map-equals" x="130" y="{middle + 9:g}" text-anchor="middle">=</text></g>'
    )


def wide_map(stops: list[Stop]) -> str:
    """The map for a desktop: the rolled cell, and to its right one cell a chapter, seven to a row."""
    body = [_rolled()]
    for i, stop in enumerate(stops):
        row, column = divmod(i, PER_ROW)
        x, top = FIRST + PITCH * column, TOP + ROW * row
        centre, middle = x + SIZE / 2, top + SIZE / 2
        faint = "" if stop.href else " map-faint"
        start = x - (PITCH - SIZE) + 6 if column else x - 28
        state = _arrow(start, middle, x - 6, middle, "map-state" + faint)
        if i:
            state += _symbol("h", str(i), (start + x - 8) / 2, middle - 9, "map-state" + faint)
        inner = (
            _arrow(centre, top + SIZE + 26, centre, top + SIZE + 6, "map-input" + faint)
            + _arrow(centre, top - 6, centre, top - 24, "map-output" + faint)
            + _text(stop.gives, centre, top - 35 - 17 * (len(stop.gives) - 1), "map-gives")
            + _box(stop, x, top, SIZE)
            + _text(stop.title, centre, top + SIZE + 45, "map-title")
        )
        body.append(f'<g aria-hidden="true">{state}</g>{_wrap(stop, inner)}')
    width = FIRST + PITCH * (min(len(stops), PER_ROW) - 1) + SIZE + 34
    height = 208 + ROW * ((len(stops) - 1) // PER_ROW)
    return _svg(width, height, "wide", describe(stops), "".join(body))


def tall_map(stops: list[Stop]) -> str:
    """The map for a phone: the same chain, downwards, with the titles to its right."""
    size, pitch, left = 54, 82, 12
    body = []
    for i, stop in enumerate(stops):
        y = 6 + pitch * i
        faint = "" if stop.href else " map-faint"
        if i:
            arrow = _arrow(
                left + size / 2, y - (pitch - size) + 5, left + size / 2, y - 5, "map-state" + faint
            )
            body.append(f'<g aria-hidden="true">{arrow}</g>')
        inner = (
            _box(stop, left, y, size)
            + _text((" ".join(stop.title),), left + size + 18, y + 24, "map-title", "start")
            + _text((" ".join(stop.gives),), left + size + 18, y + 44, "map-gives", "start")
        )
        body.append(_wrap(stop, inner))
    return _svg(340, 6 + pitch * (len(stops) - 1) + size + 6, "tall", describe(stops), "".join(body))


def main() -> None:
    """Write the mark's files."""
    for name, draw in FILES.items():
        (WEB / name).write_text(draw(), encoding="utf-8")
        print(f"wrote {(WEB / name).relative_to(WEB.parent)}")


if __name__ == "__main__":
    main()
