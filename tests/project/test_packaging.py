"""What is published is whole: the package, its dependencies, the commands, the workflows."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import preflight, worktree

ROOT = worktree.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(r) for group in (PROJECT["dependencies"], *EXTRAS.values()) for r in group]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The project in a repository of its own, nothing installed."""
    return worktree.snapshot(tmp_path_factory.mktemp("fresh") / "clone")


def _plan(clone, *arguments):
    """The commands that make would run."""
    done = subprocess.run(["make", "-n", *arguments], cwd=clone, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _constraints() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


def _makefile_targets() -> dict[str, str]:
    """Each target that has a line of help, with that line."""
    return dict(re.findall(r"^([a-z]+):.*## (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def test_installed_from_git_it_has_every_module_and_data_file(tmp_path):
    repository = worktree.snapshot(tmp_path / "repository")
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", f"git+{repository.as_uri()}"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode and "hatchling" in done.stderr and not os.environ.get("CI"):
        pytest.skip("no package index at hand, which a build needs for hatchling")
    assert done.returncode == 0, done.stderr

    # torch and the rest are borrowed from the environment that runs this, after the new one's own packages.
    borrowed = [p for p in sys.path if p.endswith("site-packages")]
    program = (
        "import sys, pathlib, pkgutil, importlib\n"
        f"sys.path += {borrowed!r}\n"
        "import unrolled\n"
        "folder = pathlib.Path(unrolled.__file__).parent\n"
        "for module in pkgutil.walk_packages(unrolled.__path__, 'unrolled.'):\n"
        "    if module.name != 'unrolled.__main__': importlib.import_module(module.name)\n"
        "print(folder)\n"
        "print(*sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file()), sep='\\n')\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [python, "-c", program], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    folder, *installed = ran.stdout.splitlines()
    assert Path(folder).is_relative_to(home.resolve())
    source = {
        p.relative_to("lib/unrolled").as_posix()
        for p in worktree.files(repository)
        if p.is_relative_to("lib/unrolled")
    }
    assert "cells/rnn.py" in source
    assert {name for name in installed if "__pycache__" not in name} == source


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_dependencies_have_a_floor_and_no_cap(requirement):
    operators = {s.operator for s in requirement.specifier}
    allowed = {">=", "<"} if requirement.name == "jupyter-book" else {">="}
    assert operators == allowed, f"{requirement}: expected a floor (>=) and nothing else"


def test_no_requirement_stands_twice():
    names = [canonicalize_name(r.name) for r in REQUIREMENTS]
    assert sorted(names) == sorted(set(names))


def test_constraints_pin_every_direct_dependency_above_its_floor():
    pins = _constraints()
    for requirement in REQUIREMENTS:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"constraints.txt: no pin for {requirement.name}"
        (version,) = (Version(s.version) for s in pin.specifier if s.operator == "==")
        assert version in requirement.specifier, f"constraints.txt: {pin} against {requirement}"


def test_the_issue_s_pins_stand():
    pins = {name: str(pin.specifier) for name, pin in _constraints().items()}
    assert pins["torch"] == "==2.13.0"
    assert pins["jupyter-book"] == "==1.0.4.post1"
    assert pins["nbval"] == "==0.11.0"
    assert "sphinx-book-theme" in pins


def test_conda_environment_names_no_package_that_pyproject_does_not():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (by_pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert plain == [f"python{PROJECT['requires-python']}", "pip"]
    (line,) = by_pip
    extras = re.fullmatch(r"--editable \.\[([a-z,]+)\]", line)
    assert extras, line
    assert set(extras[1].split(",")) <= set(EXTRAS)


def test_the_library_is_not_ignored_by_git():
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "lib", "lib/unrolled/cells/rnn.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""
    assert Path("lib/unrolled/cells/rnn.py") in worktree.files()


def test_help_lists_every_target_in_one_line():
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert phony is not None
    printed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = printed.stdout.splitlines()
    assert [line.split()[1] for line in lines] == phony[1].split()
    assert all(len(line.split(maxsplit=2)[2]) > 10 for line in lines)


@pytest.mark.parametrize("torch", ["", "cpu", "cuda"])
def test_a_fresh_machine_asks_which_torch_before_anything_else_is_installed(clone, torch):
    plan = _plan(clone, "book", *([f"TORCH={torch}"] if torch else []))
    first, *others = [line for line in plan if "pip install" in line]
    assert f"tools/torch_build.py '{torch}'" in first and first.endswith("torch; }")
    assert len(others) == 1 and "torch_build" not in others[0]
    assert all("--constraint constraints.txt" in line for line in (first, *others))


def test_a_second_run_installs_nothing_until_what_is_asked_for_changes(tmp_path):
    clone = worktree.snapshot(tmp_path / "clone")
    (clone / ".venv").mkdir()
    stamps = (2, ".venv/.book"), (1, ".venv/.homework"), (1, ".venv/.test")
    for age, name in ((3, "pyproject.toml"), (3, "constraints.txt"), *stamps):
        (clone / name).touch()
        os.utime(clone / name, (1e9 - age, 1e9 - age))
    assert not [line for line in _plan(clone, "test") if "pip install" in line]
    os.utime(clone / "constraints.txt", (1e9, 1e9))
    installs = [line for line in _plan(clone, "test") if "pip install" in line]
    assert len(installs) == len(stamps) + 1  # and PyTorch first


def test_an_unknown_torch_is_refused():
    done = subprocess.run(
        ["make", "-n", "book", "TORCH=gpu"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert 'TORCH: got "gpu", expected cpu, cuda or nothing' in done.stderr


def test_an_unsuitable_python_is_told_what_to_type():
    old = preflight.problem((3, 9), True, "/usr/bin/python3")
    assert old
    assert "/usr/bin/python3 is 3.9" in old
    assert "make book PYTHON=" in old
    bare = preflight.problem((3, 12), False, "/usr/bin/python3")
    assert bare
    assert "sudo apt install python3.12-venv" in bare
    assert preflight.problem((3, 11), True, "/usr/bin/python3") is None


def test_a_python_that_is_not_there_is_named(clone):
    command = ["make", "book", "PYTHON=python-of-nowhere"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "found no 'python-of-nowhere'" in done.stdout
    assert not (clone / ".venv").exists()


def test_there_are_workflows_that_test_and_deploy():
    assert {path.stem for path in WORKFLOWS} >= {"test", "deploy"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_pin_actions_and_call_only_make(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    targets = set(_makefile_targets())
    for line in re.findall(r"uses: (.+)$", text, re.M):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    for command in (part.strip() for run in runs for part in re.split(r"&&|\n", run) if part.strip()):
        if not command.startswith(("sudo apt-get ", "sudo sysctl ")):
            make, *called = command.split()
            assert make == "make", command
            assert called[0] in targets, command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_have_the_least_permissions(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for job in workflow["jobs"].values():
        granted = job.get("permissions", {})
        writes = {scope for scope, access in granted.items() if access == "write"}
        deploys = any("deploy-pages" in step.get("uses", "") for step in job["steps"])
        assert writes == ({"pages", "id-token"} if deploys else set())


def test_the_readme_names_what_there_is():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"## What is where\n+```\n(.*?)```", readme, re.S)
    assert tree is not None
    named = {name for line in tree[1].splitlines() for name in line.split("  ")[0].split()}
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing, f"README.md names {missing}, which are not there"
    tops = {p.parts[0] for p in worktree.files()} - {".gitignore", "README.md"}
    unnamed = {top for top in tops if not any(name.split("/")[0] == top for name in named)}
    assert not unnamed, f"README.md does not name {sorted(unnamed)}"
    for target in re.findall(r"`make ([a-z]+)", readme):
        assert target in _makefile_targets()
    picture = re.search(r"!\[[^\]]{20,}\]\((web/[\w.-]+)\)", readme)
    assert picture
    assert (ROOT / picture[1]).is_file()


def test_the_version_stands_the_same_everywhere():
    import unrolled

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == citation["version"] == unrolled.__version__
