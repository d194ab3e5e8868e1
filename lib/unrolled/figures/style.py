"""One colour for each thing, through every figure and every page of the book.

The site's stylesheet is generated from `COLOURS` when the book is built, and every figure takes its
colours from here: a hidden state is the same green in a plot, in a schematic and in the text.

All colours have a contrast of at least 4.5 to 1 against the paper they stand on, so they serve for
text too; figures never tell two things apart by colour alone.
"""

from typing import NamedTuple

import matplotlib as mpl
from cycler import cycler


class Colour(NamedTuple):
    """One thing's colour on light and on dark paper, as hexadecimal strings."""

    light: str
    dark: str


COLOURS: dict[str, Colour] = {
    # what flows through a recurrent network
    "input": Colour("#0b69b0", "#6db3f2"),  # x_t
    "hidden": Colour("#00765a", "#4cc9a0"),  # h_t
    "output": Colour("#bf3d0b", "#ff9a6b"),  # y_t
    "cell": Colour("#86368c", "#d79be0"),  # C_t
    # the gates of an LSTM, in torch's order i, f, g, o
    "input-gate": Colour("#0e7490", "#67d3e8"),  # i_t
    "forget-gate": Colour("#96600a", "#e9b949"),  # f_t
    "candidate": Colour("#6350c4", "#aea2f5"),  # C_tilde_t
    "output-gate": Colour("#b3215c", "#f58fb4"),  # o_t
    # what flows backwards, and the page itself
    "gradient": Colour("#b01e3a", "#ff8a96"),
    "ink": Colour("#1d2433", "#e8eaf0"),
    "muted": Colour("#5b6478", "#a3acbf"),
    "rule": Colour("#d9dde6", "#353c4d"),
    "tint": Colour("#f3f5f9", "#20252f"),
    "paper": Colour("#ffffff", "#14171d"),
}


def colour(name: str, dark: bool = False) -> str:
    """The colour of one thing, for example `colour("hidden")`.

    Args:
        name: a key of `COLOURS`.
        dark: the shade for dark paper; figures are drawn on light paper.

    Raises:
        KeyError: an unknown name; the message lists the known ones.
    """
    if name not in COLOURS:
        raise KeyError(f"name: expected one of {', '.join(COLOURS)}, got {name!r}")
    return COLOURS[name].dark if dark else COLOURS[name].light


# For runs and models, no thing of the network's own: the hues of Okabe and Ito (2008), darkened for text on paper.
SERIES = ("#24446b", "#a8560c", "#2f7d6d", "#94457f", "#6b6b1f", "#4c4f57")


def series(index: int) -> str:
    """The colour of one of several runs or models, counted from 0: the second palette, beside that of `colour`.

    Raises:
        IndexError: more are asked for than the eye tells apart.
    """
    if not 0 <= index < len(SERIES):
        raise IndexError(f"index: expected 0 to {len(SERIES) - 1}, got {index!r}")
    return SERIES[index]


def use_style() -> None:
    """Set matplotlib's defaults to the book's: quiet axes, the book's colours, crisp text."""
    ink, muted, rule = colour("ink"), colour("muted"), colour("rule")
    mpl.rcParams.update(
        {
            "figure.figsize": (7.2, 3.4),
            "figure.dpi": 110,
            "figure.facecolor": colour("paper"),
            "figure.constrained_layout.use": True,
            "savefig.facecolor": colour("paper"),
            "font.family": ["DejaVu Sans"],
            "font.size": 10,
            "mathtext.fontset": "dejavusans",
            "text.color": ink,
            "axes.facecolor": colour("paper"),
            "axes.edgecolor": muted,
            "axes.labelcolor": ink,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlepad": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.prop_cycle": cycler(color=SERIES),
            "grid.color": rule,
            "grid.linewidth": 0.7,
            "xtick.color": muted,
            "ytick.color": muted,
            "xtick.labelcolor": ink,
            "ytick.labelcolor": ink,
            "lines.linewidth": 2.0,
            "legend.frameon": False,
            "image.cmap": "RdBu_r",
        }
    )
