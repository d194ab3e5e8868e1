"""Draw, never measure: the book's style, plots, heat maps and schematics.

Colours are safe for the colour-blind and read on light and dark ground; every function draws into axes and returns
them.
"""

from unrolled.figures.cell_schematics import CELL_GATES, gru_cell, lstm_cell
from unrolled.figures.heatmaps import distributions, matrix, states, tinted_text
from unrolled.figures.plots import lines, losses, scores
from unrolled.figures.schematics import WIRINGS, feedforward, unrolled, wiring, wirings
from unrolled.figures.style import COLOURS, SERIES, Colour, colour, series, use_style

__all__ = [
    "CELL_GATES",
    "COLOURS",
    "SERIES",
    "WIRINGS",
    "Colour",
    "colour",
    "distributions",
    "feedforward",
    "gru_cell",
    "lines",
    "losses",
    "lstm_cell",
    "matrix",
    "scores",
    "series",
    "states",
    "tinted_text",
    "unrolled",
    "use_style",
    "wiring",
    "wirings",
]
