"""The directive `{chapter-map}`: the book as one unrolled chain, drawn from _toc.yml while the site is built."""

import re
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import art

# The book's plan. A chapter becomes a link as soon as _toc.yml has a file with its number.
PLAN = (
    art.Stop("01", ("Feedforward", "and recurrent"), ("why a state", "at all")),
    art.Stop("02", ("The vanilla", "update"), ("every shape,", "by hand")),
    art.Stop("03", ("Five", "wirings"), ("one cell,", "many shapes")),
    art.Stop("04", ("Backpropagation", "through time"), ("gradients", "you derived")),
    art.Stop("05", ("The spectrum", "lab"), ("grow", "or vanish")),
    art.Stop("06", ("Truncated", "backpropagation"), ("long streams,", "cut to fit")),
    art.Stop("07", ("LSTM", "gates"), ("a memory", "that lasts")),
    art.Stop("08", ("What gates", "buy"), ("count, latch,", "compare")),
    art.Stop("09", ("A character", "language model"), ("text,", "sampled")),
)


def chapters(toc: Path) -> dict[str, str]:
    """Number to document name of each numbered chapter in _toc.yml."""
    entries = yaml.safe_load(toc.read_text(encoding="utf-8"))
    files = [c["file"] for part in entries.get("parts", [entries]) for c in part.get("chapters", [])]
    found = {re.match(r"(\d\d)-", Path(name).name): name for name in files}
    return {match.group(1): name for match, name in found.items() if match}


def stops(toc: Path) -> list[art.Stop]:
    """The plan with a link for each chapter that is written; a chapter outside the plan joins at its place."""
    written = chapters(toc)
    planned = {stop.number: stop for stop in PLAN}
    for number, name in written.items():
        words = Path(name).name[3:].removesuffix(".ipynb").replace("-", " ").capitalize()
        stop = planned.get(number, art.Stop(number, (words,), ()))
        planned[number] = stop._replace(href=name.removesuffix(".ipynb").removesuffix(".md") + ".html")
    return [planned[number] for number in sorted(planned)]


class ChapterMap(SphinxDirective):
    """Both drawings of the map; the stylesheet shows the one that fits the screen."""

    def run(self) -> list[nodes.Node]:
        """Return one raw HTML node."""
        toc = Path(self.env.app.confdir) / "_toc.yml"
        self.env.note_dependency(str(toc))
        here = Path(self.env.docname).parent
        chain = [
            stop._replace(href=Path(stop.href).relative_to(here).as_posix()) if stop.href else stop
            for stop in stops(toc)
        ]
        html = (
            '<nav class="chapter-map-frame" aria-label="Chapter map">'
            f"{art.wide_map(chain)}{art.tall_map(chain)}</nav>"
        )
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("chapter-map", ChapterMap)
