"""No line of a solution or of a hidden test reaches the site, a student's notebook or the library.

Every such line is given a canary, everything is built from the marked files, and every byte is searched.
"""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest

from tools import homework, notebooks, worktree

ROOT = homework.ROOT
FOLDERS = homework.masters()
CANARY, OPEN = "canary7f3a", "openly7f3b"


def _mark(folder: Path, dest: Path) -> int:
    """A copy of a homework with a canary at the end of every line of its solutions and hidden tests."""
    shutil.copytree(folder, dest)
    for path in dest.glob("*.py"):
        marked = [line + f"  # {CANARY}" if line.strip() else line for line in path.read_text().splitlines()]
        path.write_text("\n".join(marked) + "\n")
    lines, told, fence = [], 0, ""
    answer = solution = False  # between Otter's marks, where prose is the answer's; between the marks in code
    for line in (dest / "master.md").read_text(encoding="utf-8").splitlines():
        bare = line.strip()
        fence = bare[3:] if bare.startswith("```") else fence
        if bare.startswith("# BEGIN SOLUTION"):
            answer, solution = answer or fence == "otter", fence == "python"
        elif bare == "# END SOLUTION":
            answer, solution = answer and fence == "python", False
        elif bare.endswith("# SOLUTION"):
            line, told = line.replace("# SOLUTION", f"# {CANARY} # SOLUTION"), told + 1
        elif solution and bare and not bare.startswith("#"):
            line, told = line + f"  # {CANARY}", told + 1
        elif answer and bare and not fence and not bare.startswith("```"):
            line, told = f"{line} {CANARY}", told + 1
        lines.append(line)
    (dest / "master.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return told


@pytest.fixture(scope="module")
def marked(otter, tmp_path_factory) -> dict[str, tuple[Path, dict[str, bytes]]]:
    """Each homework marked, and what is built from it."""
    top = tmp_path_factory.mktemp("marked")
    assert all(_mark(folder, top / folder.name) > 15 for folder in FOLDERS)
    return {folder.name: (top / folder.name, homework.build(top / folder.name)) for folder in FOLDERS}


@pytest.mark.parametrize("name", [folder.name for folder in FOLDERS])
def test_no_canary_reaches_the_student(marked, name):
    """The notebook is the one that is committed; the canaries are in the solution and in the zip alone."""
    folder, files = marked[name]
    assert CANARY.encode() not in files[f"{name}.ipynb"]
    assert files[f"{name}.ipynb"] == homework.student_path(ROOT / "homework" / name).read_bytes()
    assert files[f"{name}-solution.ipynb"].count(CANARY.encode()) > 15
    written = [q.name for q in homework.load(folder).written]
    prose = [
        c["source"]
        for c in json.loads(files[f"{name}-solution.ipynb"])["cells"]
        if c["cell_type"] == "markdown"
    ]
    assert sum(CANARY in "".join(source) for source in prose) >= len(written)
    with zipfile.ZipFile(BytesIO(files[f"{name}-gradescope.zip"])) as zipped:
        assert CANARY in zipped.read(f"files/homework/{name}/questions.py").decode()


@pytest.fixture(scope="module")
def copy(marked, tmp_path_factory) -> Path:
    """The project with every homework marked, with what is built from it in dist/, and a word that may be seen."""
    copy = worktree.snapshot(tmp_path_factory.mktemp("leaks") / "project")
    for name, (folder, files) in marked.items():
        shutil.rmtree(copy / "homework" / name)
        shutil.copytree(folder, copy / "homework" / name)
        for file, data in files.items():
            homework.write(copy / "dist" / file, data)
        homework.write(homework.student_path(copy / "homework" / name), files[f"{name}.ipynb"])
    with open(copy / "chapters" / "notation.md", "a", encoding="utf-8") as page:
        page.write(f"\n{OPEN}\n")
    return copy


def _holding(folder: Path, word: str) -> set[str]:
    """The files below a folder that hold a word, packed ones unpacked."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and "mathjax" not in path.parts:
            data = path.read_bytes()
            if path.suffix == ".inv":
                data = zlib.decompress(data.split(b"zlib.\n", 1)[1])
            elif zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as packed:
                    data = b"".join(packed.read(name) for name in packed.namelist())
            if word.encode() in data or word in str(path):
                found.add(path.relative_to(folder).as_posix())
    return found


def test_no_canary_reaches_the_site(copy):
    """Not its pages, their sources or the search index; a word of a chapter's is found in all three."""
    pytest.importorskip("sphinx", reason="needs the extra `book`")
    builder = Path(sys.executable).parent / "jupyter-book"
    command = [builder, "build", ".", "--all"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    site = copy / "_build" / "html"
    assert (site / "index.html").is_file(), done.stdout + done.stderr
    for name in [folder.name for folder in FOLDERS]:
        assert (site / "homework" / name / f"{name}.html").is_file()
    seen = _holding(site, OPEN)
    assert {"chapters/notation.html", "_sources/chapters/notation.md", "searchindex.js"} <= seen
    assert _holding(site, CANARY) == set()
    built = {f"{folder.name}-{what}" for folder in FOLDERS for what in ("solution.ipynb", "gradescope.zip")}
    assert _holding(copy / "dist", CANARY) == built


def test_no_canary_reaches_the_library(copy, tmp_path):
    """Not its files, and not the wheel that pip builds of them."""
    assert _holding(copy / "lib", CANARY) == set()
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(copy),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "hatchling" in done.stderr and not os.environ.get("CI"):
        pytest.skip("no package index at hand, which a build needs for hatchling")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("unrolled-*.whl")
    assert _holding(tmp_path, "def rnn_step") == {wheel.name}
    assert _holding(tmp_path, CANARY) == set()


def _read(path: Path) -> str:
    """A file as a reader sees it: a notebook's cells, a page without its tags."""
    text = path.read_text(encoding="utf-8", errors="ignore")
    if path.suffix == ".ipynb":
        return "\n".join(notebooks.source(cell) for cell in json.loads(text)["cells"])
    return html.unescape(re.sub(r"<[^>]+>", "", text)) if path.suffix == ".html" else text


def _secret_lines() -> set[str]:
    """Lines of solutions, questions and references that stand nowhere in what students are given to read."""
    given = [
        *(ROOT / "chapters").glob("*.ipynb"),
        *(ROOT / "chapters").glob("*.md"),
        *(ROOT / "lib").rglob("*.py"),
    ]
    known = "\n".join(map(_read, [*given, *map(homework.student_path, FOLDERS)]))
    files = [path for folder in FOLDERS for path in [*folder.glob("*.py"), folder / "master.md"]]
    lines = {line.strip() for path in files for line in path.read_text(encoding="utf-8").splitlines()}
    return {line for line in lines if len(line) > 30 and line not in known}


def test_no_line_of_a_solution_is_on_the_built_site():
    """The site that is published, as it lies there: a line without a canary is found too."""
    site = ROOT / "_build" / "html"
    if not (site / "index.html").is_file():
        pytest.skip("the site is not built: make book")
    secret = _secret_lines()
    assert len(secret) > 200
    kinds = {".html", ".js", ".txt", ".ipynb", ".md", ".json", ".inv"}
    for path in site.rglob("*"):
        if path.suffix in kinds and "mathjax" not in path.parts:
            text = _read(path)
            leaked = [line for line in secret if line in text]
            assert not leaked, f"{path.relative_to(site)}: {leaked[:3]}"
