"""Screenshots of the built site, for looking at: each page on a desktop and a phone, light and dark.

python tools/shots.py --out shots             every page
python tools/shots.py --only library          pages whose name holds "library"
python tools/shots.py --readme                only web/screenshot.png, the picture in the README
"""

import argparse
import contextlib
import functools
import http.server
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}
MODES = ("light", "dark")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that leaves a page drops its connections: that is no error."""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine only, on a free port, and give its address."""
    server = _Server(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def find_browser() -> str | None:
    """Chromium or Chrome, wherever this machine has it."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """Start the browser; the sandbox is off because containers run as root."""
    path = find_browser()
    if path is None:
        raise SystemExit("no Chromium or Chrome found; on Debian: apt-get install chromium")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])


def open_page(browser: Browser, screen: str, mode: str) -> Page:
    """A page of the size of `screen` whose reader has chosen `mode`."""
    width, height = SCREENS[screen]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=mode)
    context.add_init_script(
        f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')"
    )
    return context.new_page()


def settle(page: Page) -> None:
    """Wait until fonts are loaded and formulas are set, and nothing longer."""
    page.evaluate(
        """async () => {
            await document.fonts.ready;
            if (document.querySelector('.math') && window.MathJax) await MathJax.startup.promise;
        }"""
    )


def html_pages(html: Path) -> list[str]:
    """Every page of the built site but the redirect at its root, as paths below it."""
    pages = (p.relative_to(html).as_posix() for p in html.rglob("*.html") if "_static" not in p.parts)
    return sorted(page for page in pages if page != "index.html")


def save_small(png: bytes, target: Path) -> None:
    """Write a picture without transparency, packed as tightly as PNG can."""
    from PIL import Image

    Image.open(io.BytesIO(png)).convert("RGB").save(target, optimize=True)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "shots", help="folder for the pictures")
    parser.add_argument("--html", type=Path, default=HTML, help="the built site")
    parser.add_argument("--only", default="", help="take only pages whose path holds this")
    parser.add_argument("--screen", action="store_true", help="the first screen instead of the whole page")
    parser.add_argument("--readme", action="store_true", help="take only web/screenshot.png")
    options = parser.parse_args()
    if not (options.html / "index.html").exists():
        raise SystemExit(f"{options.html} holds no site; run `make book` first")
    with serve(options.html) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        if options.readme:
            page = open_page(browser, "desktop", "light")
            page.goto(f"{address}/chapters/index.html")
            settle(page)
            save_small(page.screenshot(), ROOT / "web" / "screenshot.png")
            print("wrote web/screenshot.png")
            return
        options.out.mkdir(parents=True, exist_ok=True)
        for screen in SCREENS:
            for mode in MODES:
                page = open_page(browser, screen, mode)
                for name in html_pages(options.html):
                    if options.only in name:
                        page.goto(f"{address}/{name}")
                        settle(page)
                        target = options.out / f"{Path(name).stem}-{screen}-{mode}.png"
                        page.screenshot(path=target, full_page=not options.screen)
                        print(f"wrote {target}")


if __name__ == "__main__":
    main()
