"""The parts the site is made of, without building it: pictures, chapter map, docstrings, fonts, references."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tools"), str(ROOT / "web")]

pytest.importorskip("sphinx", reason="needs the extra `book`")

import art  # noqa: E402
from unrolled.figures import COLOURS  # noqa: E402
from unrolled_site import assets, chapter_map, library  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", art.FILES)
def test_drawing_again_gives_the_same_bytes(name: str) -> None:
    assert (ROOT / "web" / name).read_text(encoding="utf-8") == art.FILES[name]()
    ElementTree.fromstring(art.FILES[name]())


def test_stylesheet_uses_only_the_book_s_colours() -> None:
    css = re.sub(r"/\*.*?\*/", "", assets.stylesheet(), flags=re.DOTALL)
    assert set(re.findall(r"var\(--unrolled-([\w-]+)", css)) <= set(COLOURS)
    # figures are drawn on white, so their card is white in both modes
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(", css)) <= {"#fff"}


def test_stylesheet_has_every_part_once() -> None:
    parts = sorted(path.stem for path in (ROOT / "web/styles").glob("*.css"))
    assert parts == sorted(assets.STYLES)
    joined = assets.stylesheet()
    for name in parts:
        assert joined.count((ROOT / f"web/styles/{name}.css").read_text(encoding="utf-8")) == 1, name


def toc(folder: Path, *names: str) -> Path:
    """A _toc.yml with these chapters."""
    lines = ["format: jb-book", "root: chapters/index", "parts:", "  - caption: A", "    chapters:"]
    path = folder / "_toc.yml"
    path.write_text(
        "\n".join([*lines, *(f"      - file: chapters/{name}" for name in names)]), encoding="utf-8"
    )
    return path


def test_map_links_what_is_written_and_says_what_is_to_come(tmp_path: Path) -> None:
    stops = chapter_map.stops(toc(tmp_path, "01-feedforward-and-recurrent", "03-backpropagation", "notation"))
    assert [s.number for s in stops] == [stop.number for stop in chapter_map.PLAN] and len(stops) == 9
    assert [s.href for s in stops if s.href] == [
        "chapters/01-feedforward-and-recurrent.html",
        "chapters/03-backpropagation.html",
    ]
    for svg in (art.wide_map(stops), art.tall_map(stops)):
        tree = ElementTree.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{svg}</svg>')
        assert [a.get("href") for a in tree.iter(f"{SVG}a")] == [s.href for s in stops if s.href]
        assert svg.count(">to come</tspan>") == len(stops) - 2
        assert "02 The vanilla update" in (tree.find(f".//{SVG}desc").text or "").partition("To come")[2]


def test_map_takes_a_chapter_outside_the_plan(tmp_path: Path) -> None:
    last = chapter_map.stops(toc(tmp_path, "10-attention-and-after"))[-1]
    assert (last.number, last.title, last.href) == (
        "10",
        ("Attention and after",),
        "chapters/10-attention-and-after.html",
    )


@pytest.mark.parametrize(
    ("docstring", "rst"),
    [
        ("the state $h_t$ and `x_t`", "the state :math:`h_t` and ``x_t``"),
        ("a ``literal`` stays, :math:`x` too", "a ``literal`` stays, :math:`x` too"),
        ("`cost $5 and $6`", "``cost $5 and $6``"),
        ("costs $5", "costs $5"),
        ("a formula $a +\n    b$ on two lines", "a formula :math:`a + b` on two lines"),
        ("Example::\n\n    x = `$1$`\n\nthen $x$", "Example::\n\n    x = `$1$`\n\nthen :math:`x`"),
        (">>> `$x$`", ">>> `$x$`"),
        ("*args and h_ alone", r"\*args and h\_ alone"),
        ("Args:\n    input_size: P.\n    m: a size.", "Args:\n    input_size: \\P.\n    m: a size."),
    ],
)
def test_docstrings_become_what_sphinx_reads(docstring: str, rst: str) -> None:
    assert library.to_rst(docstring.split("\n")) == rst.split("\n")


def test_display_formula_stands_alone() -> None:
    assert library.to_rst(["text", "", "$$x = 1$$", "", "more"]) == [
        "text",
        "",
        "",
        ".. math:: x = 1",
        "",
        "",
        "more",
    ]


def test_library_page_lists_every_room() -> None:
    rooms = {p.parent.name for p in (ROOT / "lib/unrolled").glob("*/__init__.py")} | {"device"}
    assert set(library.rooms()) == rooms


def test_fonts_are_small_and_carry_their_licence() -> None:
    fonts = list((ROOT / "web/fonts").glob("*.woff2"))
    assert fonts and sum(p.stat().st_size for p in fonts) < 350_000
    assert "SIL OPEN FONT LICENSE" in (ROOT / "web/fonts/OFL.txt").read_text(encoding="utf-8")
    assert {p.name for p in fonts} == set(re.findall(r'url\("fonts/([^"]+)"\)', assets.stylesheet()))


def test_every_reference_has_its_place_on_the_page() -> None:
    keys = re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    page = (ROOT / "chapters/references.md").read_text(encoding="utf-8")
    assert len(keys) == len(set(keys))
    assert sorted(keys) == sorted(re.findall(r"^\((\w+)\)=$", page, re.MULTILINE))
    assert sorted(keys) == sorted(re.findall(r'^:filter: key == "(\w+)"$', page, re.MULTILINE))
    for entry in re.split(r"\n@", (ROOT / "references.bib").read_text(encoding="utf-8")):
        assert re.search(r"\b(doi|url) = ", entry), entry[:60]
