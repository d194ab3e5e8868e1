"""Looks at one page of the built site in a real browser and names what is wrong with it."""

import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

import shots  # noqa: E402  (found through the line above)

# Another build can be looked at, for example one that was unpacked from a zip.
HTML = Path(os.environ.get("UNROLLED_SITE", ROOT / "_build" / "html"))
AXE = Axe()
# Rules of axe that a page may break, each with its reason. Nothing is allowed so far.
ALLOWED: dict[str, str] = {}

LOOK = r"""() => {
  const problems = [];
  const root = document.documentElement;
  for (const img of document.images) {
    const alt = (img.getAttribute("alt") ?? "").trim();
    if (!alt || /_images\/|\.(png|svg|jpe?g|gif)$/i.test(alt))
      problems.push(`alt text: ${img.getAttribute("src")} has ${JSON.stringify(img.getAttribute("alt"))}`);
    if (img.complete && !img.naturalWidth) problems.push(`broken image: ${img.getAttribute("src")}`);
  }
  for (const node of document.querySelectorAll("mjx-merror, [data-mjx-error]"))
    problems.push(`formula: MathJax says ${node.getAttribute("data-mjx-error") ?? node.textContent}`);
  for (const node of document.querySelectorAll(".math"))
    if (!node.querySelector("mjx-container")) problems.push(`formula: not set: ${node.textContent.slice(0, 80)}`);
  const raw = /\\\(|\\\[|\\begin\{|\$\$|\$[^$\n]*[\\_^{][^$\n]*\$|\$[A-Za-z]\$|^:::|^```/m;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (text.parentElement.closest("code, pre, script, style, noscript, mjx-container, .math, .sig")) continue;
    if (raw.test(text.data)) problems.push(`formula: raw text: ${text.data.trim().slice(0, 80)}`);
  }
  const width = root.clientWidth;
  if (Math.max(root.scrollWidth, document.body.scrollWidth) > width + 1)
    problems.push(`too wide: the page is ${root.scrollWidth} px on a screen of ${width}`);
  const scrolls = (el) => {
    for (let up = el.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  for (const el of document.querySelectorAll("article *")) {
    const box = el.getBoundingClientRect();
    if (box.width > 2 && box.right > width + 1 && !el.closest("mjx-assistive-mml, svg") && !scrolls(el))
      problems.push(`too wide: <${el.tagName.toLowerCase()} class="${el.getAttribute("class") ?? ""}"> ends at ` +
        `${Math.round(box.right)} px on a screen of ${width}`);
  }
  return problems;
}"""

# What axe need not see a thousand times: its answer on a token of code depends on the token's class alone, and on
# a formula on nothing but its size. The first of each kind stays whole; this takes a chapter from 15 s to 2 s.
THIN = """() => {
  const seen = new Set();
  for (const token of document.querySelectorAll(".highlight pre span, dt.sig span, dt.sig em, article code")) {
    const places = ["a", "details", "h1, h2, h3, h4", "td, th", ".cell_output", ".field-list"];
    const kind = [token.tagName, token.className, ...places.map((place) => !!token.closest(place))].join();
    if (!seen.has(kind)) seen.add(kind);
    else if (!token.id && !token.querySelector("a, [id]")) token.replaceWith(token.textContent);
  }
  for (const formula of [...document.querySelectorAll("mjx-container")].slice(3)) {
    const { width, height } = formula.getBoundingClientRect();
    formula.replaceChildren();
    formula.style.cssText = `display: inline-block; width: ${width}px; height: ${height}px`;
  }
}"""


class Watched:
    """A browser page that remembers what went wrong while it loaded."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address, self.problems = page, address, []
        page.context.route(lambda url: not self._ours(url), lambda route: route.abort())
        page.on("request", self._request)
        page.on("requestfailed", lambda r: self.problems.append(f"request failed: {r.url}"))
        page.on(
            "response",
            lambda r: self.problems.append(f"status {r.status}: {r.url}") if r.status >= 400 else None,
        )
        page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        page.on("console", self._console)

    def _ours(self, url: str) -> bool:
        return url.startswith((self.address, "data:", "blob:"))

    def _request(self, request: object) -> None:
        if not self._ours(request.url):
            self.problems.append(f"external request: {request.url}")

    def _console(self, message: object) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _resize(self, screen: str) -> None:
        """Give the page a screen's size and wait until it is drawn."""
        width, height = shots.SCREENS[screen]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def check(self, path: str, mode: str, axe_rules: dict[str, list[str] | None]) -> list[str]:
        """Open a page, look at it on each screen, and return what is wrong.

        Args:
            path: the page, below the site's address.
            mode: "light" or "dark".
            axe_rules: the rules of axe to apply on each screen, None for all of them.
        """
        self.problems = []
        self.page.goto(f"{self.address}/{path}")
        shots.settle(self.page)
        self.page.add_style_tag(
            content="* { transition: none !important }"
        )  # else sizes change while axe looks
        found = []
        theme = self.page.evaluate("document.documentElement.dataset.theme")
        if theme != mode:
            found.append(f"theme: asked for {mode}, got {theme}")
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        for screen in axe_rules:
            self._resize(screen)
            found += [f"[{screen}, {mode}] {problem}" for problem in self.page.evaluate(LOOK)]
        self.page.evaluate(THIN)
        for screen, rules in reversed(axe_rules.items()):
            if rules != []:
                self._resize(screen)
                found += [f"[{screen}, {mode}] {problem}" for problem in axe(self.page, rules)]
        return self.problems + found


def axe(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds, one line a place; a rule in ALLOWED is passed over."""
    options: dict[str, object] = {"resultTypes": ["violations"], "preload": False}
    if rules is not None:
        options["runOnly"] = {"type": "rule", "values": rules}
    violations = AXE.run(page, options=options).response["violations"]
    return [
        f"axe {violation['id']}: {node['html'][:160]}"
        for violation in violations
        if violation["id"] not in ALLOWED
        for node in violation["nodes"]
    ]


class Links(HTMLParser):
    """The ids of a page, and everything it points at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.loaded: list[str] = []  # fetched by the page itself, not only linked
        self.text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep ids, links and sources."""
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.ids.append(values["id"])
        for name in ("href", "src", "xlink:href"):
            if name in values:
                self.targets.append(values[name])
        if "src" in values or (tag == "link" and re.search("stylesheet|preload|icon", values.get("rel", ""))):
            self.loaded.append(values.get("src") or values.get("href", ""))

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text.append(data)
