"""The API reference: one section for each room of the library, and docstrings as Sphinx reads them."""

import pkgutil
import re
from typing import Any

from sphinx.application import Sphinx

import unrolled
from benchmarks.speed import bptt, lstm
from unrolled.probes import stored_result

PLACEHOLDER = "{{ modules }}"
SPEED = {"{{ speed }}": bptt, "{{ speed of the LSTM }}": lstm}
# The rooms in the book's order; one that is not named here follows at the end.
ORDER = (
    "cells",
    "networks",
    "bptt",
    "data",
    "models",
    "training",
    "probes",
    "practice",
    "figures",
    "cli",
    "device",
)


def rooms() -> list[str]:
    """The library's rooms, in the book's order."""
    names = [m.name for m in pkgutil.iter_modules(unrolled.__path__) if not m.name.startswith("_")]
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def list_modules(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write the sections in place of the placeholder."""
    if PLACEHOLDER in source[0]:
        sections = (
            f"## {name}\n\n```{{eval-rst}}\n.. automodule:: unrolled.{name}\n```\n" for name in rooms()
        )
        source[0] = source[0].replace(PLACEHOLDER, "\n".join(sections))


def show_speed(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write the stored tables of `make bench`, and what they were measured on, in place of the placeholders."""
    for placeholder, benchmark in SPEED.items():
        if placeholder in source[0]:
            result = stored_result(benchmark.__name__.rpartition(".")[2])
            machine = f"{result['processor']} with {result['cores']} cores"
            where = f"Measured on {machine}, torch {result['versions']['torch']}, {result['date']}."
            source[0] = source[0].replace(placeholder, f"{benchmark.table(result)}\n\n{where}")


def to_rst(lines: list[str]) -> list[str]:
    """A docstring's `$formula$` as a math role and its single backticks as literals; code blocks stay as they are."""
    done: list[str] = []
    block: int | None = None  # indentation of the line that opened a literal block
    text: list[str] = []

    def flush() -> None:
        if text:
            done.extend(_inline("\n".join(text)).split("\n"))
            text.clear()

    for line in lines:
        indent = len(line) - len(line.lstrip())
        if block is not None and line.strip() and indent <= block:
            block = None
        if block is not None or line.lstrip().startswith((">>>", "... ")):
            flush()
            done.append(line)
            continue
        text.append(line)
        if line.rstrip().endswith("::"):
            block = indent
    flush()
    return done


def _inline(text: str) -> str:
    """Formulas first, set aside, so that nothing inside them is read as a backtick or an escape."""
    kept: list[str] = []

    def keep(rst: str) -> str:
        kept.append(rst)
        return f"\0{len(kept) - 1}\0"

    def display(match: re.Match[str]) -> str:
        pad = match.group(1)
        return keep(f"\n{pad}.. math:: {' '.join(match.group(2).split())}\n")

    def formula(match: re.Match[str]) -> str:
        return keep(f":math:`{' '.join(match.group(1).split())}`")

    text = re.sub(r"``[^`]+``|:[\w:]+:`[^`]+`", lambda m: keep(m.group()), text)
    text = re.sub(r"(?m)^([ ]*)\$\$(.+?)\$\$[ ]*$", display, text, flags=re.DOTALL)
    text = re.sub(
        r"`([^`\n]*(?:\n[^`\n]+)?)`(?!_)", lambda m: keep(f"``{' '.join(m.group(1).split())}``"), text
    )
    text = re.sub(r"(?<![\\$\w])\$([^$\n][^$]*?)\$(?!\w)", formula, text)
    # a name such as h_ or C_tilde_ would be read as a link, a lone star as emphasis
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    text = re.sub(r"(?<!\*)\*(?!\*)", r"\\*", text)
    # a size alone, such as P, would be read as the first item of a list
    text = re.sub(r"(?m)^( +\w+: )([A-Za-z]\.(?=\s|$))", r"\1\\\2", text)
    while "\0" in text:
        text = re.sub(r"\0(\d+)\0", lambda m: kept[int(m.group(1))], text)
    return text


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring before napoleon reads its sections."""
    lines[:] = to_rst(lines)


def setup(app: Sphinx) -> None:
    """Connect to the build."""
    app.connect("source-read", list_modules)
    app.connect("source-read", show_speed)
    app.connect("autodoc-process-docstring", process, priority=100)
