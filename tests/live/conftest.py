"""One browser for the tests of a file."""

import shutil
from collections.abc import Iterator

import pytest
from harness import missing
from site_checker import shots


@pytest.fixture(scope="module")
def browser() -> Iterator[shots.Browser]:
    """Chromium, where it is."""
    if shots.find_browser() is None:
        missing("no Chromium or Chrome on this machine")
    with shots.sync_playwright() as playwright:
        browser = shots.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js, which runs the modules without a browser."""
    path = shutil.which("node")
    if path is None:
        missing("no node on this machine; on Debian: apt-get install nodejs")
    return str(path)
