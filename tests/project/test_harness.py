"""The notebook harness can fail: what is spoiled is seen, and only that."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tools import execute, notebooks

ROOT = notebooks.ROOT
CHAPTER = ROOT / "chapters" / "02-vanilla-update.ipynb"
STEP = "state.h @ W_hh.mT"


def _nbval(notebook, library, *options):
    """Run nbval as `make test` does, with a copy of the library first on the path; returns the cells that failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= execute.ENVIRONMENT
    environment |= {"PYTHONPATH": str(library), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    sanitize = ROOT / "tests" / "nbval_sanitize.cfg"
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "no:cacheprovider", "--color=no"]
    command += [
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=120",
        f"--nbval-sanitize-with={sanitize}",
    ]
    done = subprocess.run(
        [*command, "-rA", *options, str(notebook)],
        env=environment,
        cwd=notebook.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    passed = len(re.findall(r"^PASSED .*::Cell \d+", done.stdout, re.M))
    failed = {int(n) for n in re.findall(r"^FAILED .*::Cell (\d+)", done.stdout, re.M)}
    assert passed + len(failed) > 0, done.stdout + done.stderr
    return failed, done


@pytest.fixture
def library(tmp_path):
    """A copy of the library that a test may spoil."""
    shutil.copytree(
        ROOT / "lib" / "unrolled", tmp_path / "lib" / "unrolled", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path / "lib"


def _write(path, cells):
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nb = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(nb), encoding="utf-8")
    return path


def _code(source, number, **metadata):
    return {
        "cell_type": "code",
        "id": f"code-{number}",
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def test_an_unspoiled_chapter_fails_nowhere_and_spoiled_cells_fail_alone(tmp_path, library):
    """One stored output and one assert are spoiled: exactly these two cells fail, every other passes."""
    chapter = notebooks.with_solutions(json.loads(CHAPTER.read_text(encoding="utf-8")))
    code = [cell for cell in chapter["cells"] if cell["cell_type"] == "code"]
    printed = max(
        i
        for i, cell in enumerate(code)
        if any(o.get("name") == "stdout" for o in cell["outputs"])
        and "nbval-ignore-output" not in cell["metadata"].get("tags", [])
    )
    asserted = max(
        i
        for i, cell in enumerate(code)
        if i != printed and re.search(r"^assert ", notebooks.source(cell), re.M)
    )
    output = next(o for o in code[printed]["outputs"] if o.get("name") == "stdout")
    output["text"] = "".join(output["text"]) + "a line that no code prints\n"
    # Appended, so that the cell's own work is done and no later cell misses a name.
    code[asserted]["source"] = notebooks.source(code[asserted]) + "\nassert 1 + 1 == 3"
    (spoiled := tmp_path / "spoiled.ipynb").write_text(json.dumps(chapter), encoding="utf-8")
    failed, done = _nbval(spoiled, library)
    assert failed == {printed, asserted}, done.stdout
    assert "a line that no code prints" in done.stdout
    assert "AssertionError" in done.stdout


def test_a_transposed_weight_in_the_library_is_seen(tmp_path, library):
    cells = library / "unrolled" / "cells" / "rnn.py"
    text = cells.read_text(encoding="utf-8")
    assert text.count(STEP) == 1, f"cells/rnn.py: expected one {STEP!r}"
    cells.write_text(text.replace(STEP, STEP.removesuffix(".mT")), encoding="utf-8")
    copied = shutil.copy(CHAPTER, tmp_path / "chapter.ipynb")
    failed, done = _nbval(copied, library)
    assert failed
    assert "AssertionError" in done.stdout


# What a maintainer might break: the chapter that must see it, the module, the line, and what it would become.
BPTT, GATES = ("04", "bptt/rnn.py"), ("07", "cells/lstm.py")
STEPS = ("07", "bptt/_lstm_steps.py")
SPOILS = {
    "a sign": (*BPTT, "delta_t.mul_(d_h_t)", "delta_t.mul_(-d_h_t)"),
    "a missing term": (*BPTT, "d_W_hh.addmm_(delta[0].mT, h_0)", "pass"),
    "a transposed W_hh": (*BPTT, "addmm(own, delta_after, W_hh,", "addmm(own, delta_after, W_hh.mT,"),
    "no input gate": (*GATES, "+ i_t * g_t", "+ g_t"),
    "no forget gate": (*GATES, "C_t = f_t * state.C", "C_t = state.C"),
    "no candidate": (*GATES, 'torch.tanh(a["g"])', 'a["g"]'),
    "no output gate": (*GATES, "h_t = o_t * torch.tanh(C_t)", "h_t = torch.tanh(C_t)"),
    "no forget bias": (*GATES, "add_(self.forget_bias)", "add_(0.0)"),
    "a broken highway": (*STEPS, "d_C.mul_(f_t)", "d_C.mul_(1)"),
    "nothing through the hidden state": (*STEPS, "d_C.addcmul_(d_h_t, slope_t)", "pass"),
    "no way back through the gates": (*STEPS, "d_h_t = add_from_later(delta_after, d_h_t, sum_)", "pass"),
    "a forgotten memory": (*STEPS, "_sigmoid_backward(C[:-1], f,", "_sigmoid_backward(C[1:], f,"),
    "an input gate's slope": (
        *STEPS,
        "_sigmoid_backward(g, i, grad_input=by_i)",
        "torch.mul(g, i, out=by_i)",
    ),
    "a candidate without its gate": (*STEPS, "_tanh_backward(i, g,", "_tanh_backward(g, g,"),
    "an output gate's slope": (
        *STEPS,
        "_sigmoid_backward(tanh_C, o, grad_input=by_o)",
        "torch.mul(tanh_C, o, out=by_o)",
    ),
    "a bias without its ones": ("07", "bptt/lstm.py", "rows[..., P] = 1", "rows[..., P] = 0"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_library_is_seen(spoil, tmp_path, library):
    number, module, line, broken = SPOILS[spoil]
    path = library / "unrolled" / module
    text = path.read_text(encoding="utf-8")
    assert text.count(line) == 1, f"{module}: expected one {line!r}"
    path.write_text(text.replace(line, broken), encoding="utf-8")
    (chapter,) = (ROOT / "chapters").glob(f"{number}-*.ipynb")
    failed, done = _nbval(shutil.copy(chapter, tmp_path / "chapter.ipynb"), library, "-x")
    assert failed
    # By an assert, or by a printed number that is not the stored one.
    assert "AssertionError" in done.stdout or "Cell outputs differ" in done.stdout, done.stdout


def test_a_wrong_solution_inside_details_is_seen(tmp_path, library):
    folded = "<details>\n\n```python\nassert 2 + 2 == {}\n```\n\n</details>"
    cells = [
        {"cell_type": "markdown", "id": f"m{n}", "metadata": {}, "source": folded.format(n)} for n in (4, 5)
    ]
    (tmp_path / "chapters").mkdir()
    _write(tmp_path / "chapters" / "01-a.ipynb", cells)
    (copied,) = notebooks.write_copies(tmp_path / "copies", tmp_path)
    failed, _ = _nbval(copied, library)
    assert failed == {1}


def test_a_warning_on_stderr_is_seen_and_seconds_are_not(tmp_path, library):
    seconds = _code("print('done in 0.25 s')", 1)
    warns = _code("import warnings; warnings.warn('beware')", 2)
    seconds["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "done in 3.5 s\n"}]
    seconds["execution_count"], warns["execution_count"] = 1, 2
    failed, done = _nbval(_write(tmp_path / "a.ipynb", [seconds, warns]), library)
    assert failed == {1}
    assert "stderr" in done.stdout


def _chapters(tmp_path, **sources):
    (tmp_path / "chapters").mkdir()
    for name, cells in sources.items():
        _write(
            tmp_path / "chapters" / f"{name.replace('_', '-')}.ipynb",
            [_code(s, n) for n, s in enumerate(cells)],
        )
    return tmp_path


def test_execute_stores_what_a_fresh_kernel_puts_out(tmp_path, capsys):
    root = _chapters(tmp_path, n01_a=["import os; x = os.environ['OMP_NUM_THREADS']", "print(x)", "2 + 2"])
    assert execute.main([], root) == 0
    assert re.search(r"n01-a\.ipynb: stored after \d+\.\d s", capsys.readouterr().out)
    nb = json.loads((root / "chapters" / "n01-a.ipynb").read_text(encoding="utf-8"))
    assert [cell["execution_count"] for cell in nb["cells"]] == [1, 2, 3]
    assert nb["cells"][1]["outputs"] == [{"name": "stdout", "output_type": "stream", "text": ["1\n"]}]
    assert nb["cells"][2]["outputs"][0]["data"] == {"text/plain": ["4"]}
    assert all("execution" not in cell["metadata"] for cell in nb["cells"])
    assert nb["metadata"]["language_info"] == {"name": "python"}
    assert [path.name for path in (root / "chapters").iterdir()] == ["n01-a.ipynb"]


def test_execute_twice_writes_the_same_bytes(tmp_path):
    root = _chapters(
        tmp_path, n01_a=["print({'b', 'a', 'c'})", "import sys\nfor n in range(50): print(n, flush=True)"]
    )
    path = root / "chapters" / "n01-a.ipynb"
    assert execute.main([], root) == 0
    once = path.read_bytes()
    assert execute.main([], root) == 0
    assert path.read_bytes() == once


def test_execute_names_the_failing_cell_and_leaves_its_file_alone(tmp_path, capsys):
    root = _chapters(tmp_path, n01_a=["x = 1", "assert x == 2, 'x is one'", "x"], n02_b=["print('fine')"])
    before = (root / "chapters" / "n01-a.ipynb").read_bytes()
    assert execute.main([], root) == 1
    printed = capsys.readouterr().out
    assert "FAILED n01-a.ipynb: cell 1: AssertionError: x is one (the file is unchanged)" in printed
    assert "n02-b.ipynb: stored after" in printed
    assert (root / "chapters" / "n01-a.ipynb").read_bytes() == before


def test_execute_names_a_kernel_that_died(tmp_path, capsys):
    root = _chapters(tmp_path, n01_a=["x = 1", "import os; os._exit(3)"])
    assert execute.main([], root) == 1
    assert "FAILED n01-a.ipynb: cell 1: the kernel died" in capsys.readouterr().out


def test_execute_chooses_by_number(tmp_path, capsys):
    root = _chapters(tmp_path, **{"01_a": [], "02_b": []})
    assert [path.name for path in execute.select(["2"], root)] == ["02-b.ipynb"]
    assert [path.name for path in execute.select([], root)] == ["01-a.ipynb", "02-b.ipynb"]
    assert execute.main(["07"], root) == 1
    assert "CHAPTER: got 07, expected one of 01, 02" in capsys.readouterr().err
