"""The command that grades a folder: what it prints, what it refuses, and how it leaves."""

import platform
import shutil
from pathlib import Path

import pytest
from classroom import BLANK, SOLUTION, notebook, submissions, table

from homework.grader import Unusable, bwrap, sandbox
from homework.grader.__main__ import main

needs_sandbox = pytest.mark.usefixtures("works")
HONEST, LOST = notebook(*SOLUTION), notebook(*BLANK)


@pytest.fixture
def folder(tmp_path):
    """A class's submissions."""
    return submissions(tmp_path / "in")


DEMO_FOLDER = str(Path(__file__).with_name("demo"))


@needs_sandbox
def test_the_command(folder, capsys):
    """It grades, writes beside the submissions, logs with seeds, and says what needs a look and what is the same."""
    for path in list(folder.iterdir()):
        if path.name not in ("copy.ipynb", "cut.ipynb", "lovelaceada_4711_99_hw01.ipynb"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert main([DEMO_FOLDER, str(folder), "--seed", "6"]) == 0
    said = capsys.readouterr().out
    assert "2 graded, 1 unreadable in" in said
    assert "look at cut: unreadable, not a notebook, or cut off" in said
    assert "same file: copy and lovelaceada_4711_99_hw01" in said
    rows = table(folder.parent / "in-graded" / "grades.csv")
    assert rows["copy"]["total"] == "10"
    log = (folder.parent / "in-graded" / "log.txt").read_text()
    assert f"copy: graded, 10 points, seed {rows['copy']['seed']}" in log


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hw99", "{folder}"], "HW: expected one of"),
        ([DEMO_FOLDER, "{folder}/none"], "SUBMISSIONS: expected a folder"),
        ([DEMO_FOLDER, "{folder}", "--seed", "-1"], "--seed: expected a whole number"),
        (
            [DEMO_FOLDER, "{folder}", "--out", "{folder}/out"],
            "--out: expected a folder outside the submissions",
        ),
    ],
)
def test_a_wrong_argument_is_named(arguments, says, folder, capsys):
    """Nothing is graded, and the message names the argument, what came and what was expected."""
    assert main([argument.format(folder=folder) for argument in arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (folder.parent / "in-graded" / "grades.csv").exists() and not (folder / "out").exists()


def test_results_that_cannot_be_written_are_named(folder, capsys):
    """A class on a disk that is read-only, for one: the message says where results would go and what else to type."""
    (folder.parent / "in-graded").write_text("a file where the folder should be")
    assert main([DEMO_FOLDER, str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("--out: nothing can be written to")
    assert "in-graded" in said


@needs_sandbox
@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"seed": "7"}', '{"seed": -1}'])
def test_a_damaged_seed_is_not_replaced(damaged, folder, capsys):
    """Fresh inputs for half a class would not be fair: it says what is damaged, and nothing is graded or written."""
    kept = folder.parent / "in-graded" / "state" / "seed.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(damaged)
    assert main([DEMO_FOLDER, str(folder)]) == 2
    assert "seed.json: expected" in capsys.readouterr().err
    assert kept.read_text() == damaged
    assert not (folder.parent / "in-graded" / "grades.csv").exists()


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Pretend: another system, no bubblewrap, or one that says something and fails."""
    bwrap.find_once.cache_clear()

    def pretend(system="Linux", says=None, settings=None, machine=None, knows="--size"):
        monkeypatch.setattr(platform, "system", lambda: system)
        monkeypatch.setattr(bwrap.os, "geteuid", lambda: 1000)
        if machine:
            monkeypatch.setattr(platform, "machine", lambda: machine)
        if says is None:
            monkeypatch.setattr(shutil, "which", lambda name: None)
        else:
            fake = tmp_path / "bwrap"
            fake.write_text(
                "#!/bin/sh\n"
                f'case "$1" in --help) echo "{knows}" ;; --version) echo "bubblewrap 0.6.1" ;;\n'
                f'*) echo "{says}" >&2; exit 1 ;; esac\n'
            )
            fake.chmod(0o755)
            monkeypatch.setattr(shutil, "which", lambda name: str(fake))
        monkeypatch.setattr(bwrap, "_setting", lambda name: (settings or {}).get(name, ""))

    yield pretend
    bwrap.find_once.cache_clear()


DENIED = "bwrap: setting up uid map: Permission denied"


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"system": "Darwin"}, ["needs Linux; this is Darwin", "virtual machine", "WSL 2", "Nothing is graded"]),
        ({"system": "Windows"}, ["needs Linux; this is Windows", "WSL 2"]),
        ({}, ["bubblewrap is missing", "sudo apt install bubblewrap", "a container"]),
        ({"says": "", "machine": "riscv64"}, ["this is riscv64"]),
        ({"says": "", "knows": "--bind"}, ["bubblewrap 0.6.1 is too old", "0.8 or later"]),
        (
            {"says": DENIED, "settings": {"kernel/apparmor_restrict_unprivileged_userns": "1"}},
            ["installed but unusable", DENIED, "AppArmor", "profile bwrap /usr/bin/bwrap", "systemctl reload apparmor"],
        ),
        (
            {"says": "bwrap: No permissions", "settings": {"kernel/unprivileged_userns_clone": "0"}},
            ["installed but unusable", "sysctl -w kernel.unprivileged_userns_clone=1"],
        ),
        (
            {"says": "bwrap: No permissions", "settings": {"user/max_user_namespaces": "0"}},
            ["installed but unusable", "sysctl -w user.max_user_namespaces=10000"],
        ),
        ({"says": "bwrap: something new"}, ["installed but unusable: bwrap: something new", "Nothing is graded"]),
    ],
)  # fmt: skip
def test_without_a_sandbox_it_refuses_and_names_the_ways(where, says, elsewhere, folder, capsys):
    """It says which of them it is, and nothing is graded: no row, no zero."""
    elsewhere(**where)
    with pytest.raises(Unusable):
        sandbox.check()
    assert main([DEMO_FOLDER, str(folder)]) == 2
    told = capsys.readouterr().err
    assert all(text in told for text in says), told
    assert not (folder.parent / "in-graded" / "grades.csv").exists()
