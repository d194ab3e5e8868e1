"""Live figures: each is put into its page behind the static figure it moves, as one plain script.

The modules under web/live are joined into a classic script for each figure, since a page opened from a disk may load
no ES module. Which static figure a live one stands behind is said in `PLACES`, by the beginning of its alt text.
"""

import json
import re
import shutil
import zlib
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from unrolled_site import live_data

LIVE = Path(__file__).resolve().parents[1] / "live"


class Place(NamedTuple):
    """Where a live figure stands."""

    figure: str  # the folder under web/live
    chapter: str  # a word of its chapter's file name, by which tests find it
    alt: str  # how the alt text of the static figure before it begins
    start: Mapping[str, Any] = MappingProxyType({})  # what it shows first there


PLACES = (
    Place("hello", "feedforward", "A recurrent network unrolled over four steps.", {"updates": 400, "t": 3}),
    Place(
        "hello", "vanilla-update", "Left, a heat map of the three state numbers after reading h, e, l and l"
    ),
    Place(
        "hello",
        "backpropagation-through-time",
        "A network unrolled over three steps with one output",
        {"backward": True, "t": 4},
    ),
)
FIGURES = tuple(dict.fromkeys(place.figure for place in PLACES))

IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";\n', re.MULTILINE)
# Strings and regular expressions are kept as they are; in our modules no regular expression holds a quote or a slash.
COMMENT = re.compile(r"""("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|[ ]?/\*.*?\*/[ ]?|[ ]*//[^\n]*""", re.DOTALL)
EXPORT = re.compile(r"^export (?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)


def without_comments(code: str) -> str:
    """The code alone: comments, types among them, and empty lines are for who reads the modules."""
    code = COMMENT.sub(lambda m: m.group(1) or "", code)
    return re.sub(r"\n\s*(?=\n)", "", code)


def join(entry: Path, mount: Path, finish: str) -> str:
    """One classic script of two modules and all they import; `finish` runs at its end and names them $entry and $mount.

    Each module becomes a function that returns what it exports. Only what our modules use is understood: imports by
    name from a relative path, exports where a thing is declared, one default.

    Raises:
        ValueError: another form of import or export, or modules that import each other in a circle.
    """
    order: list[Path] = []
    parts: dict[Path, str] = {}

    def add(path: Path, above: tuple[Path, ...]) -> None:
        if path in above:
            raise ValueError(f"{path.name}: imports itself by way of {', '.join(p.name for p in above)}")
        if path in parts:
            return
        code = without_comments(path.read_text(encoding="utf-8"))
        imports = [(m.group(1), (path.parent / m.group(2)).resolve()) for m in IMPORT.finditer(code)]
        for _, needed in imports:
            add(needed, (*above, path))
        code = IMPORT.sub("", code)
        names = EXPORT.findall(code)
        returned = ", ".join([*names, *(["default: $default"] if "\nexport default " in code else [])])
        code = code.replace("\nexport default ", "\nconst $default = ")
        code = re.sub(r"^export (?=(?:async )?(?:function|class|const|let) )", "", code, flags=re.MULTILINE)
        if wrong := re.search(r"^(?:import|export)\b.*", code, re.MULTILINE):
            raise ValueError(f"{path.name}: expected imports and exports by name, got {wrong.group()!r}")
        heads = ""
        for wanted, needed in imports:
            named = re.sub(r"(\w+) as (\w+)", r"\1: \2", wanted)
            heads += f"const {{{named}}} = $[{order.index(needed)}];\n"
        parts[path] = f"{heads}{code}\nreturn {{ {returned} }};"
        order.append(path)

    add(entry.resolve(), ())
    add(mount.resolve(), ())
    modules = "".join(f"$.push((() => {{\n{parts[path]}\n}})());\n" for path in order)
    for name, path in (("$entry", entry), ("$mount", mount)):
        finish = finish.replace(name, f"$[{order.index(path.resolve())}]")
    return f'(() => {{\n"use strict";\nconst $ = [];\n{modules}{finish}\n}})();\n'


@cache
def script(figure: str, folder: Path = LIVE) -> str:
    """The whole script of a figure, its numbers included."""
    data = json.dumps(live_data.DATA[figure](), separators=(",", ":"), ensure_ascii=False)
    base = 'new URL(".", document.currentScript.src).href'
    return join(
        folder / figure / "figure.js", folder / "core/mount.js", f"$mount.mount($entry, {data}, {base});"
    )


def write_figure(target: Path, figure: str, folder: Path = LIVE) -> None:
    """Write what a figure loads."""
    (target / f"{figure}.js").write_text(script(figure, folder), encoding="utf-8")


def element(place: Place, prefix: str) -> str:
    """The HTML of a place: an empty element until its script, which is asked for beside it, fills it."""
    tag = f"unrolled-live-{place.figure}"
    start = escape(json.dumps(dict(place.start))) if place.start else ""
    version = f"{zlib.crc32(script(place.figure).encode()):08x}"
    attribute = f' start="{start}"' if start else ""
    return (
        f'<{tag} class="live-figure"{attribute}></{tag}>'
        f'<script defer src="{prefix}_static/live/{place.figure}.js?v={version}"></script>'
    )


def put_in_place(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put each live figure behind the cell that draws its static one."""
    if app.builder.format != "html":
        return
    prefix = "../" * docname.count("/")
    for image in list(doctree.findall(nodes.image)):
        for place in PLACES:
            if image.get("alt", "").startswith(place.alt):
                cell: nodes.Node = image
                while cell.parent is not None and "cell" not in cell.get("classes", []):
                    cell = cell.parent
                if cell.parent is None:
                    raise ExtensionError(f"{docname}: the figure “{place.alt}…” stands in no cell")
                cell.parent.insert(
                    cell.parent.index(cell) + 1, nodes.raw("", element(place, prefix), format="html")
                )


def write_scripts(app: Sphinx) -> None:
    """Write each figure's script, and the style they share."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "live"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(LIVE / "live.css", target.parent / "live.css")
    for figure in FIGURES:
        write_figure(target, figure)


def setup(app: Sphinx) -> None:
    """Connect to the build."""
    app.connect("builder-inited", write_scripts)
    app.connect("doctree-resolved", put_in_place)
    app.add_css_file("live.css", priority=902)
