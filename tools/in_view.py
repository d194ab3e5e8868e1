"""What of a chapter its reader has in view: words, lines of code, and what is folded behind a caption.

A cell is folded by its first line, `# @title What the cell does`. `make execute` writes from that line what each place
needs to fold it: the site, JupyterLab and Colab. GitHub and print lose nothing: they show the code.
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

MAX_WORDS = 3_000
MAX_LINES = 150
MIN_CAPTION = 3  # words: fewer name a cell without saying what it does
QUESTIONS = range(3, 6)

FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.M | re.S)
DETAILS = re.compile(r"<details>.*?</details>", re.S)
CAPTION = re.compile(r"# ?@title[ \t]*(?P<caption>[^\n]*)")
UNREAD = re.compile(r"```.*?```|\$\$.*?\$\$", re.S)

# Chapters that are not yet as short as the rest, by the words that follow their numbers. Each goes when it is done.
NOT_YET = {
    "vanilla-update",
    "backpropagation-through-time",
    "spectrum-lab",
    "truncation",
    "lstm-gates",
    "what-gates-buy",
    "character-language-model",
}


def source(cell: dict[str, Any]) -> str:
    """A cell's text; on disk it may be a list of lines."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def caption(cell: dict[str, Any]) -> str | None:
    """What a folded cell says it does: the text of its first line `# @title …`; None for a cell in view."""
    match = CAPTION.match(source(cell)) if cell["cell_type"] == "code" else None
    return match["caption"].strip() if match else None


def fold(cell: dict[str, Any]) -> None:
    """Write into a cell's metadata whether it is folded, as its first line says, for the site, JupyterLab and Colab."""
    data, title = cell["metadata"], caption(cell)
    if title is None:
        return
    tags = data.get("tags", [])
    data["tags"] = [*tags, *({"hide-input"} - set(tags))]
    data["jupyter"] = {**data.get("jupyter", {}), "source_hidden": True}
    data["cellView"] = "form"
    data["mystnb"] = {**data.get("mystnb", {}), "code_prompt_show": f"Show the code: {title}"}


def folding_problems(cell: dict[str, Any]) -> Iterator[str]:
    """Where a code cell is folded in one place and not in another, or does not say what it does."""
    data, title = cell["metadata"], caption(cell)
    marks = {
        "a first line '# @title …'": title is not None,
        "the tag 'hide-input'": "hide-input" in data.get("tags", []),
        "jupyter.source_hidden true": data.get("jupyter", {}).get("source_hidden") is True,
        "cellView 'form'": data.get("cellView") == "form",
        "its caption in mystnb.code_prompt_show": title is not None
        and data.get("mystnb", {}).get("code_prompt_show") == f"Show the code: {title}",
    }
    missing = [mark for mark, there in marks.items() if not there]
    if 0 < len(missing) < len(marks):
        yield f"folded in part: no {', no '.join(missing)} (make execute writes all from the first line)"
    if title is not None and len(title.split()) < MIN_CAPTION:
        yield f"folded with caption {title!r}, expected at least {MIN_CAPTION} words that say what the cell does"


def words(cells: list[dict[str, Any]]) -> int:
    """Words of text in view: without formulas on lines of their own, fenced code, and what is folded in <details>."""
    texts = (DETAILS.sub("", source(c)) for c in cells if c["cell_type"] == "markdown")
    return sum(len(UNREAD.sub("", text).split()) for text in texts)


def lines(cells: list[dict[str, Any]]) -> int:
    """Lines of code in view, comments among them, blank lines not."""
    shown = (source(c) for c in cells if c["cell_type"] == "code" and caption(c) is None)
    return sum(1 for text in shown for line in text.splitlines() if line.strip())


def typed_numbers(cells: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """Where a program prints a number that its author typed: (cell, the text)."""
    for index, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        for node in ast.walk(ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source(cell), flags=re.M))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "print" or not node.args:
                continue
            said = [
                a.value if isinstance(a, ast.Constant) and isinstance(a.value, str) else "" for a in node.args
            ]
            if all(re.search(r"\d", text) for text in said):
                yield index, " ".join(said)


def sections(cells: list[dict[str, Any]], heading: str) -> list[str]:
    """The text of each section of the second level that has this heading."""
    text = "\n\n".join(source(c) for c in cells if c["cell_type"] == "markdown")
    parts = re.split(r"^## ", FENCE.sub(lambda f: f.group().replace("\n#", "\n #"), text), flags=re.M)[1:]
    return [body for found, _, body in (part.partition("\n") for part in parts) if found.strip() == heading]


def problems(cells: list[dict[str, Any]]) -> Iterator[str]:
    """What a finished chapter owes its reader: a length, no typed numbers, a function to write, questions to answer."""
    if (count := words(cells)) > MAX_WORDS:
        yield f"{count} words in view, expected at most {MAX_WORDS}"
    if (count := lines(cells)) > MAX_LINES:
        yield f"{count} lines of code in view, expected at most {MAX_LINES} (fold what draws or only asserts)"
    for index, text in typed_numbers(cells):
        yield f"cell {index}: prints a number typed by hand, expected one that was measured: {text!r}"
    for heading in ("Write it yourself", "Check yourself"):
        if (count := len(sections(cells, heading))) != 1:
            yield f"found {count} sections '## {heading}', expected one"
    for text in sections(cells, "Check yourself"):
        if (count := len(DETAILS.findall(text))) in QUESTIONS:
            continue
        yield f"check yourself: {count} answers in <details>, expected {QUESTIONS.start} to {QUESTIONS.stop - 1}"
