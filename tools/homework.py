"""Build the homework: from each master the student's notebook, the solution and a zip for Gradescope.

python -m tools.homework                       all of them, into dist/; student notebooks also beside their masters
python -m tools.homework --to DEST FOLDER...   homework of your own, from folders anywhere; nothing else is written
python -m tools.homework copies DEST           solutions and student notebooks for nbval

The same bytes every time. A master is Markdown for jupytext, and its blocks are those of Otter Assign.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from homework.grader.questions import Homework, load
from tools import notebooks
from tools.gradescope import KEEP_SUPPORT, RESULTS, RUN, SECONDS, TEST

ROOT = notebooks.ROOT
PASSES = "these checks pass"  # what a check cell prints where nothing is wrong

SETUP = '''\
# Set-up, the same in every homework. Where the book's library is missing, as on Colab, it is installed.
import importlib.util

if importlib.util.find_spec("unrolled") is None:
    %pip install --quiet "unrolled @ git+{url}"

import matplotlib.pyplot as plt
import numpy as np

import unrolled

unrolled.setup()  # the book's figure style, one thread


class check:
    """`with check("Question 1"):` prints what the assertions inside it find. It never raises."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        said = "{passes}" if kind is None else str(error)
        said = said if kind in (None, AssertionError) else f"{{kind.__name__}}: {{said}}"
        print(f"{{self.name}}: {{said}}")
        return kind is None or issubclass(kind, Exception)


def shape(what, got, expected):
    """Assert that there is an answer, and that its shape is as expected."""
    assert got is not None and got is not ..., f"{{what}}: not answered yet"
    found = tuple(np.shape(got))
    assert found == expected, f"{{what}}: expected shape {{expected}}, got {{found}}"


def same(what, got, expected, tol=1e-6):
    """Assert that an answer has the shape and the numbers that are expected."""
    shape(what, got, tuple(np.shape(expected)))
    plain = [v.detach() if hasattr(v, "detach") else v for v in (got, expected)]
    off = np.abs(np.asarray(plain[0]) - np.asarray(plain[1])).max()
    assert off <= tol, f"{{what}}: off by {{off:.1g}}, allowed are {{tol:g}}"'''


def setup_source(root: Path = ROOT) -> str:
    """THE set-up cell of homework, for the repository that _config.yml names."""
    return SETUP.format(url=notebooks.repository_url(root), passes=PASSES)


def masters(root: Path = ROOT) -> list[Path]:
    """The folders of the homework, in order."""
    return sorted(path.parent for path in (root / "homework").glob("hw[0-9][0-9]/master.md"))


def student_path(folder: Path) -> Path:
    """Where the student's notebook of a homework is committed."""
    return folder / f"{folder.name}.ipynb"


def _hidden_tests(homework: Homework, question: str) -> list[str]:
    """One hidden test for each part, in Otter's exception-based format; what it asks stands in questions.py."""
    parts = next((q.parts for q in homework.asked if q.name == question), {})
    return [
        TEST.format(points=points, number=number, question=question, part=part)
        for number, (part, points) in enumerate(parts.items(), 1)
    ]


def master_notebook(folder: Path, homework: Homework) -> dict[str, Any]:
    """The master as a notebook, with the set-up cell and the hidden tests in their places."""
    import jupytext

    text = (folder / "master.md").read_text(encoding="utf-8")
    tests, question = [], ""
    lines: list[str] = []
    for line in text.splitlines():
        if match := re.fullmatch(r"name: (q\d+)", line):
            question = match[1]
            tests.append(question)
        if line == "# END QUESTION":
            hidden = _hidden_tests(homework, question)
            cells = [line for test in hidden for line in ["```python", *test.splitlines(), "```", ""]]
            if cells:
                lines[-1:] = [
                    "```otter",
                    "# BEGIN TESTS",
                    "```",
                    "",
                    *cells,
                    "```otter",
                    "# END TESTS",
                    "```",
                    "",
                ]
                lines.append("```otter")
        lines.append(line)
    if tests != [q.name for q in homework.questions]:
        raise ValueError(
            f"{folder.name}: master.md has the questions {tests}, questions.py {[q.name for q in homework.questions]}"
        )
    made = jupytext.reads("\n".join(lines), fmt="md")
    code = next(cell for cell in made.cells if cell.source.strip() == "# SETUP")
    code.source = setup_source()
    return made


def assign(folder: Path, homework: Homework, work: Path) -> None:
    """Run Otter Assign on a homework's master; `work` receives autograder/ and student/."""
    import nbformat

    master = work / f"{folder.name}.ipynb"
    nbformat.write(master_notebook(folder, homework), master)
    environment = {**os.environ, "MPLBACKEND": "agg", "OTTER_ASSIGN": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "otter", "assign", "--no-run-tests", master.name, "made"],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"otter assign {folder.name}: {done.stderr.strip()[-2000:]}")


def tidy(nb: dict[str, Any]) -> dict[str, Any]:
    """A notebook without outputs, metadata and random ids: cells are numbered, and the set-up cell named."""
    cells = []
    for number, cell in enumerate(cell for cell in nb["cells"] if notebooks.source(cell).strip()):
        kind, text = cell["cell_type"], notebooks.source(cell).strip("\n")
        made = {"cell_type": kind, "id": f"cell-{number:02d}", "metadata": {}, "source": text}
        if kind == "code":
            made |= {"execution_count": None, "outputs": []}
        if text == setup_source():
            made |= {"id": "set-up", "metadata": {"tags": ["hide-input"]}}
        cells.append(dict(sorted(made.items())))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def dump(nb: dict[str, Any]) -> bytes:
    """A notebook as the bytes of its file."""
    lines = {**nb, "cells": [{**c, "source": c["source"].splitlines(keepends=True)} for c in nb["cells"]]}
    return (json.dumps(lines, ensure_ascii=False, indent=1) + "\n").encode()


def support(folder: Path, library: bool) -> dict[str, bytes]:
    """The files by which a hidden test on Gradescope asks what the grader asks; the library, or its stand-in."""
    here = ROOT / "homework"
    files = {f"homework/{path.relative_to(here).as_posix()}": path for path in here.rglob("*.py")}
    files = {name: path for name, path in files.items() if not name.startswith("homework/hw")}
    files = {name.replace("homework/grader/stand_in/", ""): path for name, path in files.items()}
    files |= {f"homework/{folder.name}/{path.name}": path for path in folder.glob("*.py")}
    if library:
        package = ROOT / "lib" / "unrolled"
        parts = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        files |= {f"unrolled/{path.relative_to(package).as_posix()}": path for path in parts}
    kept = {name: path.read_bytes() for name, path in files.items() if not name.startswith("otter/")}
    return {f"files/{name}": data for name, data in sorted(kept.items())} | {
        "files/hidden_checks.py": KEEP_SUPPORT.format(name=folder.name).encode()
    }


def gradescope_zip(made: Path, folder: Path, library: bool) -> bytes:
    """Otter's zip with our support files, and a command that writes results.json whatever happens."""
    with zipfile.ZipFile(made) as zipped:
        files = {name: zipped.read(name) for name in zipped.namelist()}
    files |= support(folder, library)
    run = RUN.format(seconds=SECONDS)
    files |= {"run_autograder": run.encode(), "always_results.py": RESULTS.encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = (0o755 if name in ("run_autograder", "setup.sh") else 0o644) << 16
            zipped.writestr(entry, files[name])
    return out.getvalue()


def build(folder: Path) -> dict[str, bytes]:
    """Student's notebook, solution and Gradescope zip of one homework, by file name."""
    name, homework = folder.name, load(folder)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        assign(folder, homework, work)
        (zipped,) = (work / "made" / "autograder").glob("*.zip")
        read = {
            part: tidy(json.loads((work / "made" / part / f"{name}.ipynb").read_text(encoding="utf-8")))
            for part in ("student", "autograder")
        }
        return {
            f"{name}.ipynb": dump(read["student"]),
            f"{name}-solution.ipynb": dump(read["autograder"]),
            f"{name}-gradescope.zip": gradescope_zip(zipped, folder, homework.library),
        }


def write(path: Path, data: bytes) -> None:
    """Write a file beside and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.replace(path)


def for_nbval(data: bytes, solved: bool) -> bytes:
    """A notebook with the outputs its check cells must have where it is solved; the other cells need only run."""
    nb = json.loads(data)
    for number, cell in enumerate((c for c in nb["cells"] if c["cell_type"] == "code"), 1):
        cell["execution_count"] = number
        told = re.findall(r'^with check\("(Question [^"]*)"\)', notebooks.source(cell), flags=re.M)
        says_more = re.search(r"^    .*\b(plt\.|print\()", notebooks.source(cell), flags=re.M)
        if solved and told and not says_more:
            text = "".join(f"{name}: {PASSES}\n" for name in told)
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
        else:
            cell["metadata"] = {"tags": ["nbval-ignore-output"]}
    return (json.dumps(nb, ensure_ascii=False, indent=1) + "\n").encode()


def write_copies(dest: Path, root: Path = ROOT) -> list[Path]:
    """Write what nbval runs of each homework: the solution, and the student's notebook as it is handed out."""
    written = []
    for folder in masters(root):
        built = build(folder)
        for stem, solved in ((f"{folder.name}-solution", True), (folder.name, False)):
            written.append(dest / f"{stem}.ipynb")
            write(written[-1], for_nbval(built[f"{stem}.ipynb"], solved))
    return written


def main(arguments: list[str]) -> int:
    """Run one of the commands above."""
    if arguments[:1] == ["copies"]:
        print(*write_copies(Path(arguments[1])), sep="\n")
        return 0
    parser = argparse.ArgumentParser(prog="tools.homework", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, help="folders with a master.md and a questions.py")
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="where the files go")
    given = parser.parse_args(arguments)
    for folder in given.folders or masters():
        folder = folder.resolve()
        for name, data in build(folder).items():
            write(given.to / name, data)
            print(f"  {given.to / name}: {len(data) / 1000:.0f} kB")
            if not given.folders and name == f"{folder.name}.ipynb":
                write(student_path(folder), data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
