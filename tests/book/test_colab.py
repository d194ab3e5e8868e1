"""A chapter runs on Colab: there the set-up cell installs the library, beside a numpy and a torch that must not move.

Colab is imitated by an environment elsewhere that holds the library's dependencies (numpy 2.1 among them), a kernel,
a module named google.colab, and nothing of this project; git is told to find the repository on this disk.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from homework.grader import load
from tools import execute, homework, notebooks, worktree

ROOT = notebooks.ROOT
NUMPY = "2.1.3"  # what Colab had when this was written
PIP_SAYS = r"Note: you may need to restart the kernel|.*\[notice\]"  # %pip's own words, whatever it installed
COLAB = """\
import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
"""

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="Colab is Linux; the imitation needs its paths"),
    pytest.mark.skipif(sys.version_info >= (3, 14), reason=f"numpy {NUMPY} has no wheel for this Python"),
]


def _closure(*names):
    """The installed distributions that these need, these among them."""
    found, todo = {}, [Requirement(name) for name in names]
    while todo:
        wanted = todo.pop()
        key = canonicalize_name(wanted.name)
        if key in found:
            continue
        found[key] = metadata.distribution(wanted.name)
        for line in found[key].requires or ():
            needed = Requirement(line)
            extras = wanted.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(needed)
    return found


def _link(source, target):
    """A hard link, so that 700 MB of torch cost nothing and removing it here removes nothing there."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _copy_distribution(distribution, site):
    for file in distribution.files or ():
        source = Path(distribution.locate_file(file))
        if file.parts[0] != ".." and "__pycache__" not in file.parts and source.is_file():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _link(source, target)


def _run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode and "hatchling" in done.stderr and not os.environ.get("CI"):
        pytest.skip("no package index at hand, which a build needs for hatchling")
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The imitation: its Python, and the variables a process in it sees."""
    home = tmp_path_factory.mktemp("colab")
    venv.create(home / "environment", with_pip=True)
    python = home / "environment" / "bin" / "python"
    (site,) = (home / "environment" / "lib").glob("python*/site-packages")
    project = [
        str(Requirement(line)) for line in metadata.requires("unrolled") or () if "extra ==" not in line
    ]
    for name, distribution in _closure(*project, "ipykernel").items():
        if name != "numpy":
            _copy_distribution(distribution, site)
    _run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", f"numpy=={NUMPY}"])
    (site / "sitecustomize.py").write_text(COLAB, encoding="utf-8")

    repository = worktree.snapshot(home / "repository")
    dropped = ("PYTHON", "PYTEST", "MPLBACKEND", "VIRTUAL_ENV", "JUPYTER")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment |= {
        **execute.ENVIRONMENT,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        # What the set-up cell asks of GitHub, git finds here.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": notebooks.repository_url(),
        "GIT_TERMINAL_PROMPT": "0",
    }
    return python, environment


def test_the_environment_holds_nothing_of_the_project(colab):
    python, environment = colab
    program = (
        "import importlib.util as u, sys, numpy, torch\n"
        "print(numpy.__version__, numpy.__file__.startswith(sys.prefix), torch.__file__.startswith(sys.prefix))\n"
        "print([name for name in ('unrolled', 'pytest', 'jupyter_book', 'yaml') if u.find_spec(name)])"
    )
    assert _run([python, "-c", program], env=environment).splitlines() == [f"{NUMPY} True True", "[]"]


def test_the_install_plan_moves_neither_numpy_nor_torch(colab, tmp_path):
    python, environment = colab
    asked = re.search(r'"(unrolled @ git\+[^"]+)"', notebooks.setup_source())
    assert asked
    report = tmp_path / "report.json"
    _run(
        [python, "-m", "pip", "install", "--quiet", "--dry-run", "--report", report, asked[1]],
        env=environment,
        cwd=tmp_path,
    )
    plan = [entry["metadata"]["name"] for entry in json.loads(report.read_text(encoding="utf-8"))["install"]]
    assert plan == ["unrolled"]


def _as_on_colab(colab, nb, folder):
    """Run a notebook from an empty folder, its set-up cell to the letter; what that cell printed.

    The set-up must install the library beside numpy and torch as they were, and leave no file.
    """
    python, environment = colab
    _run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "unrolled"], env=environment)
    nb = nbformat.reads(json.dumps(nb), as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    versions = "import importlib.metadata as m; {} = m.version('numpy'), m.version('torch')"
    where = f"{versions.format('after')}\nimport sys\nprint(unrolled.__file__.startswith(sys.prefix), before == after)"
    setup = next(i for i, cell in enumerate(nb.cells) if cell.get("id") == "set-up")
    nb.cells.insert(setup + 1, nbformat.v4.new_code_cell(f"import unrolled\n{where}"))
    nb.cells.insert(setup, nbformat.v4.new_code_cell(versions.format("before")))
    folder.mkdir()

    class Colab(execute.ThisPython):
        def get_kernel_spec(self, kernel_name):
            spec = super().get_kernel_spec(kernel_name)
            spec.argv[0] = str(python)
            return spec

    manager = execute.AsyncKernelManager(kernel_name="python3", kernel_spec_manager=Colab())
    client = NotebookClient(
        nb,
        km=manager,
        timeout=240,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment)
    assert nb.cells[setup + 2].outputs[0]["text"] == "True True\n"
    printed = "".join(output.get("text", repr(output)) for output in nb.cells[setup + 1].outputs)
    assert not [line for line in printed.splitlines() if line.strip() and not re.match(PIP_SAYS, line)], (
        printed
    )
    assert [p.name for p in folder.iterdir()] == []
    return nb


def test_a_chapter_runs_from_an_empty_folder(colab, tmp_path):
    """With its set-up cell to the letter: the cell finds google.colab, and so installs the library."""
    (path,) = (ROOT / "chapters").glob("02-*.ipynb")
    nb = notebooks.with_solutions(json.loads(path.read_text(encoding="utf-8")))
    _as_on_colab(colab, nb, tmp_path / "empty")


@pytest.mark.parametrize("folder", homework.masters(), ids=lambda folder: folder.name)
def test_homework_runs_as_it_is_handed_out(colab, folder, tmp_path):
    """One file is all a student has: it runs to its end, and every check says that there is no answer yet."""
    nb = json.loads(homework.student_path(folder).read_text(encoding="utf-8"))
    ran = _as_on_colab(colab, nb, tmp_path / "empty")
    printed = "".join(
        out.get("text", "") for c in ran.cells for out in c.get("outputs", ()) if c.id != "set-up"
    )
    told = [line for line in printed.splitlines() if line.startswith("Question ")]
    assert len(told) >= len(load(folder.name).asked)
    assert not [line for line in told if not line.endswith("not answered yet")]


def test_nothing_is_installed_twice(colab, tmp_path):
    """Where the library is there the set-up cell asks pip for nothing, so it works without a network."""
    assert "find_spec" in homework.setup_source()
    cell = re.sub(r"%pip install .*", "raise AssertionError", homework.setup_source())
    code = f"{cell}\nprint(unrolled.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
