"""The instructor's page: its commands are run, and what it names exists and says what the page says."""

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from homework.grader import Limits, bwrap, report
from homework.grader.batch import grade_folder
from homework.grader.grade import Outcome
from homework.grader.notebook import MAX_FILE
from homework.grader.questions import load
from homework.grader.submissions import collect
from tools import gradescope
from tools import homework as build

ROOT = build.ROOT
PAGE = (ROOT / "chapters" / "teaching.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
TOLD = {"make rehost", "make book", "make homework"}  # long, and run elsewhere: asked what they would do
SYSTEM = {"sudo apt install bubblewrap"}


def _column(heading: str, column: int) -> list[str]:
    """A column of the table whose first cell is `heading`."""
    table = re.search(rf"^\| {heading} \|.*\n\|[- |]+\|\n((?:\|.*\n)+)", PAGE, re.M)
    assert table, heading
    return [line.strip("|\n ").split(" | ")[column].strip() for line in table[1].splitlines()]


@pytest.fixture
def home(tmp_path, monkeypatch, works, otter):
    """An instructor's home with three submissions, as Canvas leaves them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (folder := tmp_path / "class" / "hw01").mkdir(parents=True)
    notebook = build.student_path(ROOT / "homework" / "hw01").read_text(encoding="utf-8")
    (folder / "lovelaceada_4711_99_hw01.ipynb").write_text(notebook, encoding="utf-8")
    (folder / "hoppergrace_4712_98_hw01.ipynb").write_text(notebook[:-100], encoding="utf-8")
    return tmp_path


def _plan(line: str) -> list[str]:
    """What make would run for this line, whether it is installed or not."""
    done = subprocess.run(
        f"make --no-print-directory -n -o .venv/.book -o .venv/.homework {line.removeprefix('make ')}",
        shell=True, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout.splitlines()


def test_every_command_of_the_page_works(home):
    """In the order of the page, in one home; those that are tested elsewhere are asked what they would do."""
    ran = []
    for line in COMMANDS:
        if line in SYSTEM:
            continue
        plan = _plan(line) if line.startswith("make ") else [line]
        assert plan, line
        if " ".join(line.split()[:2]) in TOLD:
            continue
        for command in "\n".join(plan).replace("\\\n", " ").splitlines():
            command = command.replace(".venv/bin/python", shlex.quote(sys.executable))
            done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            ran.append(line)
    assert len(ran) >= 6
    for folder in ("hw01-graded", "again"):
        out = home / "class" / folder
        with open(out / "grades.csv", newline="", encoding="utf-8") as file:
            assert [row["status"] for row in csv.DictReader(file)] == ["unreadable", "graded"]
    with open(home / "private" / "try-graded" / "grades.csv", newline="", encoding="utf-8") as file:
        total = {row["submission"]: float(row["total"]) for row in csv.DictReader(file)}
    assert total == {"hw01": 0, "hw01-solution": 30}
    made = sorted(path.name for path in (home / "private" / "dist").iterdir())
    assert made == ["hw01-gradescope.zip", "hw01-solution.ipynb", "hw01.ipynb"]


def test_the_results_are_those_that_the_page_names(home):
    """The files, and the columns of the table."""
    folder, out = home / "class" / "hw01", home / "class" / "out"
    grade_folder(load("hw01"), folder, out, seed=1)
    (out / "log.txt").touch()  # the command's own
    assert {name.strip("`/") for name in _column("file", 0)} == {path.name for path in out.iterdir()}
    header = (out / "grades.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert {"q1", "total", "status", "reason", "seed", "seconds", "same_as"} <= set(header)


def test_every_status_has_its_row():
    """The ones that the grader writes, in its own files."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "homework" / "grader").glob("*.py"))
    written = set(re.findall(r'(?:Outcome\(|outcome\.status, outcome\.reason = |else )"([a-z ]+)"', code))
    written |= set(re.findall(r'Outcome\("([a-z]+)" if', code))
    statuses = {name.strip("`") for name in _column("status", 0)}
    assert statuses == {"graded", "stopped", "unreadable", "error", "not graded"}
    assert (
        statuses >= {status for status in written if status in statuses} and {"stopped", "error"} <= written
    )
    unknown = Outcome("stopped", 1, points={"q1": None})
    assert report.number(unknown.total) == ""


def test_what_the_sandbox_says_is_what_the_page_quotes():
    """Each line of the table of refusals stands in a message of the grader's."""
    code = Path(bwrap.__file__).read_text(encoding="utf-8")
    said = [cell.strip("*") for cell in _column("it says", 0)]
    assert len(said) == 6
    assert not [text for text in said if text not in code]
    for word in (
        "apt install bubblewrap",
        "dnf install bubblewrap",
        "sysctl -w",
        "--privileged",
        "WSL 2",
        "Lima",
    ):
        assert word in PAGE and word in code


def test_the_forms_of_the_page_are_read(tmp_path):
    """Canvas' names, Gradescope's export, Moodle's folders, plain files."""
    (canvas,) = re.findall(r"`(\w+_\d+_\d+_hw01\.ipynb)`", PAGE)
    moodle = "Ada Lovelace_12_assignsubmission_file_"
    for name in (canvas, "submission_17/hw01.ipynb", f"{moodle}/hw01.ipynb", "grace.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    listed = "submission_17:\n  :submitters:\n  - :name: Alan Turing\n    :sid: '9'\n"
    (tmp_path / "submission_metadata.yml").write_text(listed)
    found = {(one.student, one.user, one.sid) for one in collect(tmp_path)}
    known = {("lovelaceada", "4711", ""), ("Alan Turing", "", "9")}
    assert found == known | {(moodle, "", ""), ("grace", "", "")}


def test_paths_and_numbers_of_the_page_are_the_project_s():
    """What it names exists; the limits are placeholders that the build fills; other numbers are the code's."""
    for name in re.findall(r"`((?:homework|tools|tests|chapters|dist)/[\w./-]*)`", PAGE):
        assert name.startswith("dist/") or (ROOT / name).exists(), name
    assert set(re.findall(r"\{\{ limits\.(\w+) \}\}", PAGE)) <= set(vars(Limits()))
    assert f"more than {MAX_FILE // 1_000_000} MB" in PAGE
    assert gradescope.SECONDS == 9 * 60 and "hangs for nine minutes" in PAGE
    assert len(bwrap.WRITABLE) == 3 and "each of three disks" in PAGE
