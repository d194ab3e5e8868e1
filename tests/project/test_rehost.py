"""`make rehost` moves the whole book to another repository, and nothing still names the old one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import notebooks, rehost, worktree

FORK = rehost.Repository("Some-One", "sequence.book")


@pytest.fixture
def copy(tmp_path):
    """The project in a repository of its own."""
    return worktree.snapshot(tmp_path / "clone")


def _texts(root):
    for name in worktree.files(root):
        raw = (root / name).read_bytes()
        if b"\0" not in raw:
            yield name, raw.decode("utf-8", "ignore").lower()


def test_afterwards_nothing_names_the_old_repository(copy):
    old = rehost.configured(copy)
    holding = [name for name, text in _texts(copy) if old.slug.lower() in text or old.pages.lower() in text]
    assert {"_config.yml", "README.md", "pyproject.toml"} <= {str(name) for name in holding}
    changed = rehost.rehost(copy, FORK)
    assert set(changed) == set(holding)
    for name, text in _texts(copy):
        assert old.slug.lower() not in text, name
        assert old.pages.lower() not in text, name
    assert rehost.configured(copy) == FORK


def test_afterwards_the_notebooks_are_valid_and_obey_the_rules(copy):
    before = {path.name: notebooks.problems(path, copy) for path in notebooks.chapters(copy)}
    rehost.rehost(copy, FORK)
    assert before
    assert {path.name: notebooks.problems(path, copy) for path in notebooks.chapters(copy)} == before
    assert FORK.url in notebooks.setup_source(copy)


def test_twice_is_harmless(copy):
    assert rehost.rehost(copy, FORK)
    once = {name: (copy / name).read_bytes() for name in worktree.files(copy)}
    assert rehost.rehost(copy, FORK) == []
    assert {name: (copy / name).read_bytes() for name in worktree.files(copy)} == once


def test_there_and_back_changes_nothing(copy):
    old = rehost.configured(copy)
    (copy / Path(__file__).relative_to(notebooks.ROOT)).unlink()  # it names the repositories in between
    before = {name: (copy / name).read_bytes() for name in worktree.files(copy)}
    for new in (FORK, rehost.Repository("you", "you.github.io"), old):
        rehost.rehost(copy, new)
    assert {name: (copy / name).read_bytes() for name in worktree.files(copy)} == before


def test_modes_stay(copy):
    mode = (copy / ".ci" / "run").stat().st_mode
    (copy / ".ci" / "run").write_text(f"# {rehost.configured(copy).url}\n", encoding="utf-8")
    rehost.rehost(copy, FORK)
    assert FORK.url in (copy / ".ci" / "run").read_text(encoding="utf-8")
    assert (copy / ".ci" / "run").stat().st_mode == mode


@pytest.mark.parametrize(
    "origin",
    [
        "https://github.com/Some-One/sequence.book",
        "https://github.com/Some-One/sequence.book.git",
        "https://github.com/Some-One/sequence.book/",
        "https://user:word@github.com/Some-One/sequence.book.git",
        "git@github.com:Some-One/sequence.book.git",
        "ssh://git@github.com/Some-One/sequence.book.git",
    ],
)
def test_without_repo_it_takes_the_clone_s_origin(copy, origin, capsys):
    worktree.git("remote", "add", "origin", origin, cwd=copy)
    assert rehost.main([], copy) == 0
    assert rehost.configured(copy) == FORK
    assert "README.md" in capsys.readouterr().out


def test_without_repo_and_origin_it_says_what_to_type(copy, capsys):
    assert rehost.main([], copy) == 1
    assert "make rehost REPO=https://github.com/you/fork" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "",
        "you/fork",
        "https://gitlab.com/you/fork",
        "http://github.com/you/fork",
        "https://github.com/you",
        "https://github.com/you/fork/tree/main",
        "https://github.com/-you/fork",
        "https://github.com/you/..",
        "https://github.com/you/fo rk",
        "https://github.com/you/fork'; touch x; '",
    ],
)
def test_a_bad_address_is_refused_and_nothing_changes(copy, url, capsys):
    before = {name: (copy / name).read_bytes() for name in worktree.files(copy)}
    assert rehost.main([url], copy) == 1
    error = capsys.readouterr().err
    assert repr(url) in error
    assert "expected https://github.com/<account>/<repository>" in error
    assert {name: (copy / name).read_bytes() for name in worktree.files(copy)} == before


def test_an_error_shows_no_password():
    with pytest.raises(ValueError, match="expected") as caught:
        rehost.parse("https://me:hunter2@example.org/you/fork")
    assert "hunter2" not in str(caught.value)


def test_names_that_only_begin_alike_are_left_alone():
    old, new = rehost.Repository("you", "fork"), rehost.Repository("me", "book")
    text = "you/fork-2 you/fork.js thank-you/fork you.github.io/fork-2 You/Fork.git https://you.github.io/fork/a.html"
    moved = "you/fork-2 you/fork.js thank-you/fork you.github.io/fork-2 me/book.git https://me.github.io/book/a.html"
    assert rehost.replace(text, old, new) == moved


def test_make_passes_the_address_on(copy):
    command = ["make", "rehost", f"REPO={FORK.url}", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the book now belongs to https://github.com/Some-One/sequence.book" in done.stdout
    plan = subprocess.run(["make", "-n", "book"], cwd=copy, capture_output=True, text=True, check=True).stdout
    placeholder = "grep -q 'github.com/your-account/' _config.yml"
    assert placeholder in plan
    assert "github.com/your-account/" not in (copy / "_config.yml").read_text(encoding="utf-8")
