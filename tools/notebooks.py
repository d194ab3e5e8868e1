"""The rules every chapter obeys, and the copies of the chapters that the tests run.

python -m tools.notebooks check          what breaks a rule: notebook, cell, what was found, what is expected
python -m tools.notebooks copies DEST    each chapter with its folded solutions appended as cells, for nbval
python -m tools.notebooks setup          the set-up cell, to paste into a new chapter
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tools import in_view
from tools.in_view import DETAILS, FENCE, source

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 500_000
MAX_CODE_LINES = 20  # in view
MAX_FOLDED_LINES = 50
MIN_ALT = 20  # characters: fewer names a figure without saying what it shows
EXERCISES = 3
HEADER_CELLS = 3  # the running time stands within the first so many cells

SETUP = """\
# @title Set-up, the same in every chapter; on Colab it installs the library
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "unrolled @ git+{url}"

import matplotlib.pyplot as plt
import numpy as np
import torch

import unrolled

unrolled.setup()  # the book's figure style, one thread, seed 0, progress bars only where someone watches"""

MINUTES = re.compile(r"\d+ (seconds?|minutes?) on two cores")
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.S)
ROLE_BEFORE_SPAN = re.compile(r"\{[A-Za-z][\w:.+-]*\}$")
DIRECTIVE = re.compile(r"^\s*(:{3,}\s*\{[^}\n]+\}|:{3,}\s*\w[\w-]*|\([\w:.-]+\)=\s*$)", re.M)
SUBSTITUTION = re.compile(r"\{\{\s*\w+\s*\}\}")


def repository_url(root: Path = ROOT) -> str:
    """The repository's address, from its one place, _config.yml."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def setup_source(root: Path = ROOT) -> str:
    """THE set-up cell, for the repository that _config.yml names."""
    return SETUP.format(url=repository_url(root))


def chapters(root: Path = ROOT) -> list[Path]:
    """The notebooks of the book, in order."""
    return sorted((root / "chapters").glob("*.ipynb"))


def solutions(markdown: str) -> list[str]:
    """The Python blocks that stand folded inside <details>."""
    folded = (fence for part in DETAILS.findall(markdown) for fence in FENCE.finditer(part))
    return [fence["body"].rstrip("\n") for fence in folded if fence["info"].strip() == "python"]


def directives(markdown: str) -> list[str]:
    """What only Sphinx understands, and what Colab and GitHub would show raw."""
    found = [f["fence"] + f["info"] for f in FENCE.finditer(markdown) if f["info"].lstrip().startswith("{")]
    text = FENCE.sub("", markdown)
    for span in CODE_SPAN.finditer(text):
        if role := ROLE_BEFORE_SPAN.search(text[: span.start()]):
            found.append(role.group() + span.group())
    text = CODE_SPAN.sub("", text)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.S)
    return found + [m.group().strip() for m in (*DIRECTIVE.finditer(text), *SUBSTITUTION.finditer(text))]


def code_lines(text: str) -> int:
    """Lines of code: neither blank nor a comment."""
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))


def _notebook_problems(nb: dict[str, Any]) -> Iterator[str]:
    kernel = nb["metadata"].get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"kernelspec: found {kernel!r}, expected 'python3'"
    cells = nb["cells"]
    head = "\n".join(source(c) for c in cells[:HEADER_CELLS] if c["cell_type"] == "markdown")
    if not head.startswith("# "):
        yield "cell 0: expected a Markdown cell that opens with the title, '# …'"
    if not MINUTES.search(head):
        yield f"cells 0 to {HEADER_CELLS - 1}: no running time, expected for example '2 minutes on two cores'"
    yield from _exercise_problems(cells)


def _exercise_problems(cells: list[dict[str, Any]]) -> Iterator[str]:
    found = in_view.sections(cells, "Exercises")
    if len(found) != 1:
        yield f"found {len(found)} sections '## Exercises', expected one"
        return
    exercises = found[0]
    numbers = re.findall(r"^(?:###\s+|\*\*)Exercise (\d+)", exercises, flags=re.M)
    if numbers != [str(n + 1) for n in range(EXERCISES)]:
        yield f"exercises: found numbers {numbers}, expected '### Exercise 1' to '### Exercise {EXERCISES}'"
    folded = DETAILS.findall(exercises)
    if len(folded) != EXERCISES:
        yield f"exercises: found {len(folded)} <details> solutions, expected {EXERCISES}"
    for number, part in enumerate(folded, 1):
        if not solutions(part):
            yield f"exercises: solution {number} has no ```python block inside its <details>"


def _setup_problems(cells: list[dict[str, Any]], root: Path) -> Iterator[str]:
    index, cell = next(((i, c) for i, c in enumerate(cells) if c["cell_type"] == "code"), (0, None))
    expected = setup_source(root)
    if cell is None:
        yield "found no code cell, expected the set-up cell"
        return
    if source(cell) != expected:
        lines = zip_longest(source(cell).splitlines(), expected.splitlines(), fillvalue="")
        found, line = next(((a, b) for a, b in lines if a != b), ("a last newline", "none"))
        yield (
            f"cell {index}: not the set-up cell: found {found!r}, expected {line!r} "
            "(python -m tools.notebooks setup prints it)"
        )
    if cell.get("id") != "set-up":
        yield f"cell {index}: the set-up cell has id {cell.get('id')!r}, expected 'set-up'"


def _cell_problems(cells: list[dict[str, Any]]) -> Iterator[str]:
    count = run = 0
    for index, cell in enumerate(cells):
        at = f"cell {index}"
        if cell["cell_type"] != "code":
            run = 0
            for found in directives(source(cell)) if cell["cell_type"] == "markdown" else ():
                yield f"{at}: found {found!r}, expected plain Markdown (Sphinx syntax shows raw on Colab)"
            continue
        folded = in_view.caption(cell) is not None
        count += 1
        run += not folded
        most = MAX_FOLDED_LINES if folded else MAX_CODE_LINES
        if run == 3 and not folded:
            yield f"{at}: third code cell in view in a row, expected at most two between Markdown cells"
        if cell.get("execution_count") != count:
            yield f"{at}: execution count {cell.get('execution_count')}, expected {count} (make execute)"
        if (lines := code_lines(source(cell))) > most:
            yield f"{at}: {lines} lines of code, expected at most {most}"
        yield from (f"{at}: {problem}" for problem in in_view.folding_problems(cell))
        yield from (f"{at}: {problem}" for problem in _output_problems(cell))


def _output_problems(cell: dict[str, Any]) -> Iterator[str]:
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            yield f"stored error {output['ename']}: {output['evalue']}, expected none"
        if output.get("name") == "stderr":
            text = "".join(output["text"]).strip().splitlines()
            yield f"output on stderr, expected none: {text[0] if text else ''!r}"
    if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
        alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
        if len(alt.strip()) < MIN_ALT:
            yield (
                f"figure with alt text {alt!r}, expected at least {MIN_ALT} characters in the cell's "
                'metadata: {"mystnb": {"image": {"alt": "…"}}}'
            )


def problems(path: Path, root: Path = ROOT) -> list[str]:
    """Every rule of design that one notebook breaks, one line each."""
    found: list[str] = []
    if (size := path.stat().st_size) > MAX_BYTES:
        found.append(f"{size / 1000:.0f} kB, expected at most {MAX_BYTES // 1000} kB")
    try:
        nb = json.loads(path.read_text(encoding="utf-8"))
        nbformat.validate(nb)
    except (KeyError, ValueError, nbformat.ValidationError) as error:
        return [f"{path.name}: not a valid notebook: {str(error).splitlines()[0]}"]
    found += _notebook_problems(nb)
    found += _setup_problems(nb["cells"], root)
    found += _cell_problems(nb["cells"])
    owed = list(in_view.problems(nb["cells"]))
    if path.stem.partition("-")[2] not in in_view.NOT_YET:
        found += owed
    elif not owed:
        found.append("obeys every rule: take its name out of NOT_YET in tools/in_view.py")
    return [f"{path.name}: {line}" for line in found]


def toc_problems(root: Path = ROOT) -> list[str]:
    """Where _toc.yml disagrees with chapters/ and homework/: only files in the table of contents are built."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    groups = [toc, *toc.get("parts", [])]
    listed = [toc["root"]] + [c["file"] for group in groups for c in group.get("chapters", [])]
    pages = [p for p in (root / "chapters").iterdir() if p.suffix in {".ipynb", ".md"}]
    pages += (root / "homework").glob("hw*/hw*.ipynb")
    there = {str(p.relative_to(root).with_suffix("").as_posix()) for p in pages}
    return (
        [f"_toc.yml: {name} is listed twice" for name in sorted(set(listed)) if listed.count(name) > 1]
        + [f"_toc.yml: {name} is listed, and there is no such file" for name in sorted(set(listed) - there)]
        + [f"{name} is not listed in _toc.yml" for name in sorted(there - set(listed))]
    )


def with_solutions(nb: dict[str, Any]) -> dict[str, Any]:
    """The notebook with each folded solution as a cell at its end, so that code that is shown is run."""
    shown = [code for c in nb["cells"] if c["cell_type"] == "markdown" for code in solutions(source(c))]
    appended = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"solution-{n}",
            "metadata": {"tags": ["nbval-ignore-output"]},
            "outputs": [],
            "source": code,
        }
        for n, code in enumerate(shown, 1)
    ]
    return {**nb, "cells": [*nb["cells"], *appended]}


def write_copies(dest: Path, root: Path = ROOT) -> list[Path]:
    """Fill `dest` with the copies that nbval runs; what was there before goes."""
    shutil.rmtree(dest, ignore_errors=True)
    dest.mkdir(parents=True)
    for path in chapters(root):
        nb = with_solutions(json.loads(path.read_text(encoding="utf-8")))
        (dest / path.name).write_text(json.dumps(nb, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return sorted(dest.iterdir())


def main(arguments: list[str]) -> int:
    """Run one of the commands above."""
    match arguments:
        case ["check"]:
            found = toc_problems() + [line for path in chapters() for line in problems(path)]
            print(*found, sep="\n", end="\n" if found else "")
            print(f"notebook rules: {len(chapters())} notebooks, {len(found)} problems")
            return 1 if found else 0
        case ["copies", dest]:
            # Builds matplotlib's font cache here: in a fresh kernel its warning would be an output.
            import matplotlib.font_manager  # noqa: F401

            print(f"{len(write_copies(Path(dest)))} notebooks copied to {dest} with their solutions as cells")
            return 0
        case ["setup"]:
            print(setup_source())
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
