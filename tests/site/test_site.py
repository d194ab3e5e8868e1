"""The built site in a browser: every page, at two widths, light and dark, and the links between them."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
import yaml
from site_checker import HTML, ROOT, Links, Watched, shots

from unrolled.figures import COLOURS

pytestmark = pytest.mark.site

BUILT = (HTML / "index.html").exists()
PAGES = [name for name in shots.html_pages(HTML) if name != "index.html"] if BUILT else ["no-site"]
CREDIT = "Recurrence and Sequence Modeling, QTM 447, Lecture 16, by Kevin McAlister (March 6, 2025)"


def missing(what: str) -> None:
    """Skip with the reason, except in CI, where what is missing is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} (CI=true)")
    pytest.skip(what)


@pytest.fixture(scope="module")
def site() -> Path:
    """The folder of the built site."""
    if not BUILT:
        missing(f"no built site in {HTML}: run `make book`")
    return HTML


@pytest.fixture(scope="module")
def browser() -> Iterator[shots.Browser]:
    """One browser for all pages of this file."""
    if shots.find_browser() is None:
        missing("no Chromium or Chrome on this machine")
    with shots.sync_playwright() as playwright:
        browser = shots.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def watched(site: Path, browser: shots.Browser) -> Iterator[dict[str, Watched]]:
    """One watched page for each mode, reused from page to page so that scripts stay cached."""
    with shots.serve(site) as address:
        yield {mode: Watched(shots.open_page(browser, "desktop", mode), address) for mode in shots.MODES}


@pytest.fixture(scope="module")
def links(site: Path) -> dict[Path, Links]:
    """Each page's ids and links."""
    return {(site / name).resolve(): Links(site / name) for name in [*PAGES, "index.html"]}


@pytest.mark.parametrize("page", PAGES)
def test_page_is_sound_at_each_size_in_each_mode(page: str, watched: dict[str, Watched]) -> None:
    problems = watched["light"].check(page, "light", {"desktop": None, "phone": None})
    # only colours change with the mode: of axe's rules just the one about contrast can answer differently
    problems += watched["dark"].check(page, "dark", {"desktop": ["color-contrast"], "phone": []})
    assert not problems, "\n".join(problems)


SPOILS = {
    "external script": ('<script src="https://example.org/x.js"></script>', "external request"),
    "external font": ('<style>@import url("https://example.org/x.css");</style>', "external request"),
    "image without alt": ('<img src="../_static/favicon.svg">', "alt text"),
    "image with empty alt": ('<img alt="" src="../_static/favicon.svg">', "alt text"),
    "image whose alt is its file": ('<img alt="../_images/a.png" src="../_static/favicon.svg">', "alt text"),
    "missing image": ('<img alt="a picture" src="nothing.png">', "status 404"),
    "wide block": ('<div style="width: 2000px">wide</div>', "too wide"),
    "raw formula": (r"<p>where $h_t$ is the state</p>", "formula: raw"),
    "raw formula in brackets": (r'<p class="mathjax_ignore">where \(h_t\) is the state</p>', "formula: raw"),
    "raw directive": ("<p>:::{note}</p>", "formula: raw"),
    "unknown command": (r'<div class="math">\[ \nosuch{x} \]</div>', "formula: MathJax"),
    "missing argument": (r'<div class="math">\[ \frac{1} \]</div>', "formula: MathJax"),
    "unbalanced braces": (r'<div class="math">\[ \frac{1 \]</div>', "formula: not set"),
    "console error": ("<script>console.error('no')</script>", "console error"),
    "console warning": ("<script>console.warn('no')</script>", "console warning"),
    "thrown error": ("<script>throw new Error('no')</script>", "script error"),
    "pale text": ('<p style="color: #ccc; background: #fff">pale</p>', "axe color-contrast"),
    "nameless button": ("<button></button>", "axe button-name"),
}


@pytest.fixture(scope="module")
def spoilable(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of one page, with the rest of the site behind it as links."""
    copy = tmp_path_factory.mktemp("spoiled")
    for entry in site.iterdir():
        if entry.name != "chapters":
            (copy / entry.name).symlink_to(entry.resolve())
    shutil.copytree(site / "chapters", copy / "chapters")
    return copy


@pytest.fixture(scope="module")
def watched_copy(spoilable: Path, browser: shots.Browser) -> Iterator[Watched]:
    """A watched page on the copy."""
    with shots.serve(spoilable) as address:
        yield Watched(shots.open_page(browser, "phone", "light"), address)


def spoil(copy: Path, site: Path, html: str) -> str:
    """Write the notation page with `html` at the end of its article; return its path."""
    page = (site / "chapters/notation.html").read_text(encoding="utf-8")
    assert page.count("</article>") == 1
    (copy / "chapters/spoiled.html").write_text(
        page.replace("</article>", f"{html}</article>"), encoding="utf-8"
    )
    return "chapters/spoiled.html"


def test_checker_passes_an_unspoiled_copy(spoilable: Path, site: Path, watched_copy: Watched) -> None:
    path = spoil(spoilable, site, "<p>Nothing is wrong here.</p>")
    assert watched_copy.check(path, "light", {"phone": None}) == []


@pytest.mark.parametrize("name", SPOILS)
def test_checker_flags_a_spoiled_copy(name: str, spoilable: Path, site: Path, watched_copy: Watched) -> None:
    html, expected = SPOILS[name]
    rules = [expected.removeprefix("axe ")] if expected.startswith("axe ") else []
    path = spoil(spoilable, site, html)
    problems = watched_copy.check(path, "light", {"phone": rules})
    assert any(expected in problem for problem in problems), problems


def test_front_door_leads_to_the_landing_page(watched: dict[str, Watched]) -> None:
    page = watched["light"].page
    page.goto(f"{watched['light'].address}/index.html")
    page.wait_for_url("**/chapters/index.html")
    assert page.title().startswith("Unrolled")


def test_landing_page_shows_its_map_and_doors_in_one_screen(watched: dict[str, Watched]) -> None:
    page = watched["light"].page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{watched['light'].address}/chapters/index.html")
    shots.settle(page)
    for selector in ("article h1", "svg.chapter-map--wide", ".doors"):
        box = page.locator(selector).bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 800, (selector, box)


def test_search_finds_a_page_without_another_host(watched: dict[str, Watched]) -> None:
    light = watched["light"]
    light.problems = []
    light.page.goto(f"{light.address}/search.html?q=notation")
    light.page.wait_for_selector("#search-results li a", timeout=10_000)
    assert light.problems == []


def test_links_and_fragments_between_pages_resolve(site: Path, links: dict[Path, Links]) -> None:
    broken = []
    for path, page in links.items():
        for target in page.targets:
            if urlsplit(target).scheme or target.startswith("//") or target in ("", "#"):
                continue
            address, fragment = urldefrag(target)
            address = unquote(address.partition("?")[0])
            file = (path.parent / address).resolve() if address else path
            if not file.is_file():
                broken.append(f"{path.name}: {target}: no such file")
            elif fragment and file.suffix == ".html" and unquote(fragment) not in links[file].ids:
                broken.append(f"{path.name}: {target}: no such place")
    assert not broken, "\n".join(broken)


def test_ids_are_unique_on_each_page(links: dict[Path, Links]) -> None:
    twice = [f"{path}: {i}" for path, page in links.items() for i in set(page.ids) if page.ids.count(i) > 1]
    assert not twice, "\n".join(twice)


def test_nothing_is_loaded_from_another_host(site: Path, links: dict[Path, Links]) -> None:
    found = [f"{path.name}: {url}" for path, page in links.items() for url in page.loaded if "//" in url]
    for css in site.rglob("*.css"):
        found += [
            f"{css.name}: {url}"
            for url in re.findall(r"(?:url\(|@import)\s*[\"']?(https?:[^\"')]+)", css.read_text())
        ]
    assert not found, "\n".join(found)


def test_built_pages_are_those_of_the_toc(site: Path) -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert sorted(f"{Path(name).with_suffix('')}.html" for name in files) == sorted(
        p for p in PAGES if p != "search.html"
    )


def test_title_and_credit_are_present(site: Path, links: dict[Path, Links]) -> None:
    title = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    for name in PAGES:
        assert title in (site / name).read_text(encoding="utf-8").partition("</title>")[0], name
    landing = links[(site / "chapters/index.html").resolve()]
    assert CREDIT in " ".join("".join(landing.text).split())


def test_chapters_carry_the_buttons_of_the_one_repository(site: Path, links: dict[Path, Links]) -> None:
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    owner_and_name = repository["url"].removeprefix("https://github.com/")
    chapters = [name for name in PAGES if re.match(r"chapters/\d\d-", name)]
    assert chapters
    for name in chapters:
        targets = links[(site / name).resolve()].targets
        notebook = f"{name.removesuffix('.html')}.ipynb"
        assert repository["url"] in targets
        assert any(target.startswith(f"{repository['url']}/issues/new") for target in targets)
        colab = f"https://colab.research.google.com/github/{owner_and_name}/blob/{repository['branch']}/{notebook}"
        assert colab in targets


def test_colours_of_the_site_are_the_library_s(site: Path) -> None:
    css = (site / "_static/unrolled-colours.css").read_text(encoding="utf-8")
    for mode in ("light", "dark"):
        block = re.search(rf"html\[data-theme={mode}\] {{(.*?)}}", css, re.DOTALL)
        assert block is not None
        found = dict(re.findall(r"--unrolled-([\w-]+): (#[0-9a-f]{6});", block.group(1)))
        assert found == {name: getattr(colour, mode) for name, colour in COLOURS.items()}


def test_mathjax_is_served_whole_and_no_more(site: Path) -> None:
    files = [p for p in (site / "_static/mathjax").rglob("*") if p.is_file()]
    assert {"tex-chtml.js", "MathJax_Main-Regular.woff", "boldsymbol.js"} <= {p.name for p in files}
    assert sum(p.stat().st_size for p in files) < 2.5e6
