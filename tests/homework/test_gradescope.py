"""The Gradescope zip, run as Gradescope runs it: its own command, in a file system that has /autograder.

Only Gradescope's container is imitated, by bubblewrap: no network, nothing of this machine can be written, and a
`mamba` that activates nothing, since this environment holds what the zip's own would.
"""

import functools
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from classroom import notebook
from handed_in import solution, with_mistakes

from homework.grader import bwrap, load
from homework.grader.notebook import cell_of
from tools import homework as build

pytestmark = pytest.mark.usefixtures("works")
NAMES = [folder.name for folder in build.masters()]
LIMIT = 6  # seconds, for a notebook that hangs
SOLUTION = solution("hw01")


@pytest.fixture(scope="module")
def zipped(otter) -> Callable[[str], bytes]:
    """The zip of a homework, built once."""
    return functools.cache(lambda name: build.build(build.ROOT / "homework" / name)[f"{name}-gradescope.zip"])


@pytest.fixture
def gradescope(zipped, tmp_path):
    """Upload a notebook, wait, read results.json."""

    def grade(text: str, seconds: int | None = None, name: str = "hw01") -> dict:
        top, tools = tmp_path / "autograder", tmp_path / "bin"
        for folder in (top / "source", top / "submission", top / "results", tools):
            folder.mkdir(parents=True)
        with zipfile.ZipFile(io.BytesIO(zipped(name))) as archive:
            archive.extractall(top / "source")
        (top / "submission_metadata.json").write_text("{}")
        (top / "submission" / f"{name}.ipynb").write_text(text)
        (tools / "mamba").write_text("#!/bin/sh\necho 'mamba() { :; }'\n")
        (tools / "mamba").chmod(0o755)
        command = top / "source" / "run_autograder"
        if seconds:
            shortened = re.sub(r"kill-after=10 \d+", f"kill-after=2 {seconds}", command.read_text())
            command.write_text(shortened)
        command.chmod(0o755)
        args = [bwrap.find_once(), "--unshare-pid", "--unshare-net", "--die-with-parent"]
        for path in sorted(Path("/").iterdir()):
            if path.is_symlink():
                args += ["--symlink", os.readlink(path), str(path)]
            elif path.name not in ("proc", "dev", "tmp", "autograder"):
                args += ["--ro-bind", str(path), str(path)]
        args += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        for path in dict.fromkeys(
            [sys.prefix, *bwrap.read_only()]
        ):  # Python may live in /tmp, and so may a clone
            args += ["--ro-bind", path, path]
        args += [
            "--bind",
            str(top),
            "/autograder",
            "--ro-bind",
            str(tools),
            "/tools",
            "--chdir",
            "/autograder",
        ]
        path = f"/tools:{Path(sys.executable).parent}:/usr/bin:/bin"
        kept = {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [*args, "--", "/autograder/source/run_autograder"], env=kept, capture_output=True, timeout=120
        )
        return json.loads((top / "results" / "results.json").read_text(encoding="utf-8"))

    return grade


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_earns_everything(gradescope, name):
    """Otter's own command, from the notebook to the file that Gradescope reads; trained is here only hw01."""
    cells = [cell for cell in solution(name) if name == "hw01" or not cell_of(cell).trains]
    results = gradescope(notebook(*cells), name=name)
    earned = {test["name"]: test["score"] for test in results["tests"] if test.get("max_score")}
    assert earned == {question.name: question.points for question in load(name).asked}


def test_a_mistake_costs_what_it_costs_elsewhere_and_is_named(gradescope):
    """The same questions, the same messages."""
    spoilt = with_mistakes(SOLUTION, ('"W_hh": delta.T @ h_before', '"W_hh": delta.T @ h_t'))
    results = gradescope(notebook(*spoilt))
    tests = {test["name"]: test for test in results["tests"] if "score" in test}
    assert (tests["q5"]["score"], tests["q6"]["score"], tests["q1"]["score"]) == (3, 5, 3)
    assert "off by one in time: W_hh met h_(t-1), yours is h_t" in tests["q5"]["output"]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("import os\nos._exit(0)", "ended with status 1"),
        ("while True: pass", "took too long"),
        ("import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: pass", "took too long"),
        ("import os\nos.kill(-1, 9)", "did not come to its end"),
        (None, "ended with status 1"),
    ],
    ids=["dies", "hangs", "ignores signals", "kills everything", "is no notebook"],
)
def test_whatever_becomes_of_a_notebook_there_are_results(gradescope, cell, says):
    """A results.json that says so, and never a plain 0."""
    text = "{" if cell is None else notebook(SOLUTION[0], cell, *SOLUTION[1:])
    results = gradescope(text, seconds=LIMIT if cell and "while" in cell else None)
    assert results["output"].startswith(f"NOT GRADED. The grading of this notebook {says}")
    assert results["tests"][0]["name"] == "Not graded"
    assert "The 0 is no grade." in results["output"]
