"""The instructor's page: its picture, and the numbers that the grader itself holds or a stored run has measured."""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import boundary
from benchmarks.speed import grading
from homework.grader.questions import HOMEWORK, Limits, load

TIME = re.compile(r"^\*\*Time:\*\* (\d+ minutes)", re.M)  # as every master says it


class SandboxPicture(SphinxDirective):
    """The directive `{sandbox-picture}`: both drawings; the stylesheet shows the one that fits the screen."""

    def run(self) -> list[nodes.Node]:
        """Return one raw HTML node."""
        html = f'<div class="boundary-frame">{boundary.wide()}{boundary.tall()}</div>'
        return [nodes.raw("", html, format="html")]


def rows() -> str:
    """One line of the table for each homework: its title, its points, its time."""
    lines = []
    for folder in sorted(path.parent for path in HOMEWORK.glob("hw[0-9][0-9]/questions.py")):
        homework, name = load(folder), folder.name
        time = TIME.search((folder / "master.md").read_text(encoding="utf-8"))
        assert time, f"{name}/master.md says no time"
        asked, written = (sum(q.points for q in group) for group in (homework.asked, homework.written))
        points = f"{asked:g}" + (f", and {written:g} that you read" if written else "")
        link = f"[{name}](../homework/{name}/{name}.ipynb)"
        lines.append(f"| {link} | {homework.title} | {points} | {time[1]} |")
    return "\n".join(lines)


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write the grader's limits, the homework and the measured speed where the page names them."""
    if Path(docname).name != "teaching":
        return
    text = source[0].replace("{{ homework }}", rows())
    text = text.replace("{{ grading speed }}", grading.told())
    for name, value in vars(Limits()).items():
        text = text.replace(
            f"{{{{ limits.{name} }}}}", f"{value:,}" if isinstance(value, int) else f"{value:g}"
        )
    source[0] = text


def setup(app: Sphinx) -> None:
    """Connect to the build."""
    app.add_directive("sandbox-picture", SandboxPicture)
    app.connect("source-read", fill_in)
