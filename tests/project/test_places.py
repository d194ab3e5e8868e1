"""What depends on where the project lies works wherever that is."""

import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tools import notebooks, rehost, worktree

FORK = "https://github.com/you/fork"
PLACES = {
    "a space and an umlaut": "a söng of nets",
    "an apostrophe": "it's here",
    "a percent sign": "100%25 done",
    "through a link": "linked",
}


@pytest.fixture(params=PLACES, ids=list(PLACES))
def place(request, tmp_path):
    """The project in such a folder, with this Python as its environment's and under a name with a space."""
    made = worktree.snapshot(
        tmp_path / ("real" if PLACES[request.param] == "linked" else PLACES[request.param])
    )
    (made / ".venv/bin").mkdir(parents=True)
    (made / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "my python").symlink_to(sys.executable)
    if PLACES[request.param] == "linked":
        (tmp_path / "linked").symlink_to(made)
        return tmp_path / "linked"
    return made


def make(place, *arguments):
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_lists_its_commands(place):
    assert "make book" in make(place)


def test_links_are_pointed_elsewhere_by_a_python_whose_path_has_a_space(place):
    make(place, "rehost", f"REPO={FORK}", f"PYTHON={place.parent / 'my python'}")
    assert rehost.configured(place).url == FORK


def test_the_address_at_the_end_of_a_build_can_be_opened(place):
    page = place / "_build/html/index.html"
    page.parent.mkdir(parents=True)
    page.write_text("the book", encoding="utf-8")
    (line,) = [line for line in make(place, "-n", "book").splitlines() if "as_uri" in line]
    told = subprocess.run(["sh", "-c", line], cwd=place, capture_output=True, text=True, check=True).stdout
    address = told.removeprefix("Open ").strip()
    assert address.startswith("file:///") and " " not in address and address.isascii()
    assert Path(urllib.request.url2pathname(urllib.parse.urlparse(address).path)).samefile(page)


def test_the_rules_of_the_chapters_hold(place):
    for chapter in notebooks.chapters(place):
        assert notebooks.problems(chapter, place) == []
