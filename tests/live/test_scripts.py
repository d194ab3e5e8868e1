"""How live figures reach their pages: modules joined into one small script, each behind the static figure it moves."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import harness
import pytest
from harness import ROOT, live

from unrolled.figures import COLOURS

LIMIT = 60_000  # bytes of script of one figure, its own numbers included; weights that are asked for come beside it


@pytest.mark.parametrize("figure", live.FIGURES)
def test_a_figure_s_script_is_small(figure: str) -> None:
    size = len(live.script(figure).encode())
    assert size <= LIMIT, f"{figure}: {size} bytes"


def joined(folder: Path, **modules: str) -> str:
    """Modules written side by side, joined from `entry`."""
    for name, code in modules.items():
        (folder / f"{name}.js").write_text(code, encoding="utf-8")
    return live.join(folder / "entry.js", folder / "mount.js", "out.push($mount.go($entry));")


def test_joined_modules_do_what_the_modules_do(tmp_path: Path, node: str) -> None:
    code = joined(
        tmp_path,
        deep="// counts\nlet many = 0;\nexport function more() {\n  return ++many;\n}\n",
        left='import { more } from "./deep.js";\nexport const left = () => more() * 10;\n',
        entry='import {\n  more,\n} from "./deep.js";\nimport { left as first } from "./left.js";\n'
        "/** A class. @type {x} */\nexport class Box {}\n"
        'export const text = `// kept ${"/* kept */"}`; // left out\n'
        "export default { value: [more(), first(), more(), new Box() instanceof Box, text] };\n",
        mount="export const go = (figure) => [figure.default.value, Object.keys(figure)];\n",
    )
    assert "left out" not in code and "A class" not in code and "counts" not in code
    script = tmp_path / "run.cjs"
    script.write_text(
        f"const out = [];\n{code}\nprocess.stdout.write(JSON.stringify(out));\n", encoding="utf-8"
    )
    done = subprocess.run([node, script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[[1, 20, 3, True, "// kept /* kept */"], ["Box", "text", "default"]]]


@pytest.mark.parametrize(
    "line",
    [
        'import x from "./mount.js";',
        'import * as x from "./mount.js";',
        "export { x };",
        'export * from "./mount.js";',
    ],
)
def test_another_form_of_import_or_export_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"entry\.js: expected imports and exports by name, got '(im|ex)port"
    ):
        joined(tmp_path, entry=f"const x = 1;\n{line}\n", mount="export const go = 1;\n")


def test_a_circle_of_imports_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"entry\.js: imports itself by way of entry\.js, mount\.js"):
        joined(tmp_path, entry='import { a } from "./mount.js";\n', mount='import { b } from "./entry.js";\n')


def test_comments_can_be_told_from_regular_expressions() -> None:
    for path in live.LIVE.rglob("*.js"):
        code = live.without_comments(path.read_text(encoding="utf-8"))
        for found in re.findall(
            r"(?:match|replace|replaceAll|split|test)\(/((?:[^/\\\n]|\\.)+)/|= /((?:[^/\\\n]|\\.)+)/", code
        ):
            assert not re.search(r"[\"`]|\\/", "".join(found)), f"{path.name}: {found}"


def test_the_style_uses_only_the_book_s_colours() -> None:
    css = re.sub(r"/\*.*?\*/", "", (live.LIVE / "live.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert set(re.findall(r"var\(--unrolled-([\w-]+)", css)) <= set(COLOURS)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(", css)
    for path in live.LIVE.rglob("*.js"):
        assert not re.search(
            r"#[0-9a-fA-F]{6}\b|\brgba?\(|https?://(?!www\.w3\.org/)", path.read_text(encoding="utf-8")
        )


class Figures(HTMLParser):
    """The alt texts of a page's pictures and the live figures behind them, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep pictures and live figures."""
        if tag == "img":
            self.found.append(dict(attrs).get("alt") or "")
        if tag.startswith("unrolled-live-"):
            self.found.append(tag)


def names(place: live.Place) -> str:
    return f"{place.figure}-{place.chapter}"


def alt_texts(path: Path) -> list[str]:
    """The alt texts of a notebook's figures."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "") for cell in cells]


@pytest.mark.parametrize("place", live.PLACES, ids=names)
def test_each_static_figure_is_in_its_chapter(place: live.Place) -> None:
    if not list((ROOT / "chapters").glob(f"*{place.chapter}*.ipynb")):
        pytest.skip(f"the chapter {place.chapter} is not there yet")
    chapters = (ROOT / "chapters").glob("[0-9][0-9]-*.ipynb")
    where = [path.name for path in chapters for alt in alt_texts(path) if alt.startswith(place.alt)]
    assert len(where) == 1 and place.chapter in where[0], f"“{place.alt}…” is in {where}"


@pytest.mark.site
@pytest.mark.parametrize("place", live.PLACES, ids=names)
def test_each_live_figure_stands_behind_its_static_one_in_the_built_page(place: live.Place) -> None:
    from site_checker import HTML

    pages = sorted((HTML / "chapters").glob(f"*{place.chapter}*.html"))
    if not pages:
        if list((ROOT / "chapters").glob(f"*{place.chapter}*.ipynb")):
            harness.missing(f"no built page of the chapter {place.chapter} in {HTML}: run `make book`")
        pytest.skip(f"the chapter {place.chapter} is not there yet")
    found = Figures(pages[0]).found
    at = [k for k, alt in enumerate(found) if alt.startswith(place.alt)]
    assert len(at) == 1 and found[at[0] + 1] == f"unrolled-live-{place.figure}", found
    script = HTML / "_static/live" / f"{place.figure}.js"
    assert script.read_text(encoding="utf-8") == live.script(place.figure)
