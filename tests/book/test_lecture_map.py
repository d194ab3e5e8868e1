"""The lecture map is whole: every row, every link, every name and every test it points at exists."""

import importlib
import json
import re

import pytest

from conftest import ROOT
from tools import rehost

PAGE = ROOT / "chapters/lecture-map.md"
ROW = re.compile(r"^\| *(\d+) *\|(.*)\|$", re.M)
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
TO_COME = re.compile(r"to come, chapter 0[1-9]")


def rows(text: str) -> dict[int, list[str]]:
    """The numbered rows: lecture, made precise, where taught, library, tests (each test's name as a phrase)."""
    return {int(number): [cell.strip() for cell in rest.split(" | ")] for number, rest in ROW.findall(text)}


def slugs(chapter: str) -> set[str]:
    """The anchors of a chapter's headings, as the site makes them."""
    cells = json.loads((ROOT / "chapters" / chapter).read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    headings = re.findall(r"^#{1,3} (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def problems(cells: list[str]) -> list[str]:
    """What is wrong with one row."""
    if len(cells) != 5:
        return [f"expected 5 cells after the number, got {len(cells)}"]
    taught, library, tests = cells[2:]
    if TO_COME.fullmatch(taught):
        return [] if (library, tests) == ("", "") else ["a row to come has neither library nor tests"]
    found = []
    for what, cell in (("chapter", taught), ("library", library), ("test", tests)):
        if not LINK.search(cell):
            found.append(f"no {what} link")
    for _, target in LINK.findall(taught):
        chapter, _, anchor = target.partition("#")
        if not (ROOT / "chapters" / chapter).is_file():
            found.append(f"no chapter {chapter}")
        elif anchor not in slugs(chapter):
            found.append(f"no heading {anchor} in {chapter}")
    for label, target in LINK.findall(library):
        name = target.removeprefix("library.md#unrolled.")
        module, _, thing = name.partition(".")
        if target == name or label.strip("`") != thing:
            found.append(f"expected [`name`](library.md#unrolled.module.name), got [{label}]({target})")
        elif not hasattr(importlib.import_module(f"unrolled.{module}"), thing):
            found.append(f"no {name} in the library")
    blob = f"{rehost.configured(ROOT).url}/blob/main/"
    for label, target in LINK.findall(tests):
        path = ROOT / target.removeprefix(blob)
        if not target.startswith(blob) or not path.is_file():
            found.append(f"no test file at {target}")
        elif f"def test_{label.replace(' ', '_')}(" not in path.read_text(encoding="utf-8"):
            found.append(f"no test {label!r} in {path.name}")
    return found


def test_every_row_of_the_lecture_stands():
    assert sorted(rows(PAGE.read_text(encoding="utf-8"))) == list(range(1, 28))


@pytest.mark.parametrize("number", range(1, 28))
def test_every_link_name_and_test_of_a_row_exists(number):
    assert problems(rows(PAGE.read_text(encoding="utf-8"))[number]) == []


def test_a_row_to_come_names_a_chapter_that_is_not_there_yet():
    there = {path.name[:2] for path in (ROOT / "chapters").glob("*.ipynb")}
    for number, cells in rows(PAGE.read_text(encoding="utf-8")).items():
        if TO_COME.fullmatch(cells[2]):
            assert cells[2][-2:] not in there, f"row {number}: chapter {cells[2][-2:]} stands, so link it"


GOOD = [
    "the lecture",
    "precise",
    "[x](02-vanilla-update.ipynb#summary)",
    "[`rnn_step`](library.md#unrolled.cells.rnn_step)",
    "",
]


@pytest.mark.parametrize(
    "cell, spoiled, message",
    [
        (2, "[x](09-nothing.ipynb#summary)", "no chapter 09-nothing.ipynb"),
        (2, "[x](02-vanilla-update.ipynb#nothing)", "no heading nothing"),
        (2, "", "no chapter link"),
        (3, "[`rnn_leap`](library.md#unrolled.cells.rnn_leap)", "no cells.rnn_leap in the library"),
        (3, "[`other`](library.md#unrolled.cells.rnn_step)", "expected"),
        (4, "[x]({blob}tests/test_nothing.py)", "no test file"),
        (
            4,
            "[there is no such law]({blob}tests/cells/test_cells.py)",
            "no test 'there is no such law' in test_cells.py",
        ),
    ],
)
def test_a_broken_row_is_found(cell, spoiled, message):
    blob = f"{rehost.configured(ROOT).url}/blob/main/"
    cells = [*GOOD[:4], f"[step needs no module]({blob}tests/cells/test_cells.py)"]
    assert problems(cells) == []
    cells[cell] = spoiled.format(blob=blob)
    assert any(message in problem for problem in problems(cells))
