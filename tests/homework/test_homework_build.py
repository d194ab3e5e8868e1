"""What `make homework` builds: what is committed is what the masters give, and the same twice."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import nbformat
import pytest

from tools import gradescope, homework, notebooks

ROOT = homework.ROOT
FOLDERS = homework.masters()


@pytest.fixture(scope="module")
def built(otter):
    return {folder.name: homework.build(folder) for folder in FOLDERS}


def _code(data):
    return ["".join(c["source"]) for c in json.loads(data)["cells"] if c["cell_type"] == "code"]


def test_there_are_masters():
    assert [folder.name for folder in FOLDERS] >= ["hw01", "hw02"]


def test_the_committed_notebook_is_what_its_master_builds(built):
    for folder in FOLDERS:
        found = homework.student_path(folder).read_bytes()
        assert found == built[folder.name][f"{folder.name}.ipynb"], f"{folder.name}: run make homework"


def test_a_second_build_gives_the_same_bytes(built):
    again = homework.build(FOLDERS[0])
    assert again == built[FOLDERS[0].name]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_the_student_s_notebook_is_clean(folder):
    """Valid, without outputs, with the set-up cell of homework and no trace of Otter, in plain Markdown."""
    nb = json.loads(homework.student_path(folder).read_text(encoding="utf-8"))
    nbformat.validate(nb)
    first = next(cell for cell in nb["cells"] if cell["cell_type"] == "code")
    assert notebooks.source(first) == homework.setup_source() and first["id"] == "set-up"
    for cell in nb["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
        else:
            assert notebooks.directives(notebooks.source(cell)) == []
    assert not re.search(r"otter|SOLUTION|HIDDEN|BEGIN TEST", json.dumps(nb))
    assert notebooks.MINUTES.search(json.dumps(nb))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_links_of_the_notebook_lead_somewhere(folder):
    text = homework.student_path(folder).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+?\.(?:ipynb|md))[^)]*\)", text)
    assert links
    for link in links:
        assert (folder / link).is_file(), link


def test_master_and_questions_name_the_same_questions(otter, tmp_path):
    folder = tmp_path / "hw01"
    shutil.copytree(FOLDERS[0], folder)
    master = folder / "master.md"
    master.write_text(master.read_text(encoding="utf-8").replace("name: q2", "name: q11"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"hw01: master.md has the questions .*q11"):
        homework.build(folder)


def test_nbval_gets_solutions_with_the_outputs_they_must_have(built):
    for name, files in built.items():
        nb = json.loads(homework.for_nbval(files[f"{name}-solution.ipynb"], solved=True))
        nbformat.validate(nb)
        checked = [c for c in nb["cells"] if c["cell_type"] == "code" and c["outputs"]]
        assert len(checked) >= 7
        assert all(c["outputs"][0]["text"].endswith(f": {homework.PASSES}\n") for c in checked)
        ignored = [c for c in nb["cells"] if c["cell_type"] == "code" and not c["outputs"]]
        assert all("nbval-ignore-output" in c["metadata"]["tags"] for c in ignored)


def test_the_gradescope_zip_asks_what_the_grader_asks(built, tmp_path):
    """Its hidden tests pass with the solution and name the fault of a wrong answer."""
    files = built["hw01"]
    with zipfile.ZipFile(BytesIO(files["hw01-gradescope.zip"])) as zipped:
        zipped.extractall(tmp_path)
        assert {entry.date_time[0] for entry in zipped.infolist()} == {1980}
    assert (tmp_path / "tests" / "q6.py").is_file() and (tmp_path / "setup.sh").is_file()
    solved = "\n".join(cell for cell in _code(files["hw01-solution.ipynb"]) if "def rnn_step(" in cell)
    program = f"""
import sys; sys.path.insert(0, {str(tmp_path / "files")!r})
import unrolled, hidden_checks
assert unrolled.__version__ == "0", unrolled.__file__
env = {{}}
exec("import numpy as np\\n" + {solved!r}, env)
hidden_checks.ask(env, "q1", "a batch")
env["rnn_step"] = lambda x, h, W_xh, W_hh, b_h: env["np"].tanh(x @ W_xh.T + h @ W_hh.T)
try:
    hidden_checks.ask(env, "q1", "a batch")
except AssertionError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.strip() == "a batch: your b_h does not reach h_t", done.stderr


@pytest.mark.parametrize(
    "found", [None, "", "{", "[]", '{"output": "NOT GRADED", "tests": []}', '{"tests": []}', '{"score": 3}']
)
def test_gradescope_always_gets_its_results(found, tmp_path):
    program, path = tmp_path / "always_results.py", tmp_path / "results.json"
    program.write_text(gradescope.RESULTS, encoding="utf-8")
    if found is not None:
        path.write_text(found, encoding="utf-8")
    subprocess.run([sys.executable, program, path, "137"], check=True)
    results = json.loads(path.read_text(encoding="utf-8"))
    if found in ('{"tests": []}', '{"score": 3}'):
        assert results == json.loads(found)
    else:
        assert results["output"].startswith(
            "NOT GRADED. The grading of this notebook took too long or too much"
        )


def test_a_folder_of_one_s_own_changes_nothing_here(otter, tmp_path):
    """Private masters lie anywhere; what they give goes where one says, and nowhere else."""
    shutil.copytree(FOLDERS[0], private := tmp_path / "private" / "hw01")
    homework.student_path(private).unlink()
    before = homework.student_path(FOLDERS[0]).stat().st_mtime_ns
    assert homework.main(["--to", str(tmp_path / "out"), str(private)]) == 0
    assert sorted(p.name for p in Path(tmp_path / "out").iterdir()) == [
        "hw01-gradescope.zip",
        "hw01-solution.ipynb",
        "hw01.ipynb",
    ]
    assert homework.student_path(FOLDERS[0]).stat().st_mtime_ns == before
    assert not homework.student_path(private).exists()
