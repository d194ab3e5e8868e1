"""The library is a house with rooms: imports run one way between them and inside them, and a name has one face."""

import ast
import importlib
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from conftest import ROOT

LIB = ROOT / "lib/unrolled"
# From the ground up: a room imports from those before it only; figures stand apart and know what checks, no more.
ROOMS = (
    "_check",
    "device",
    "cells",
    "bptt",
    "networks",
    "data",
    "models",
    "training",
    "probes",
    "practice",
    "cli",
    "__main__",
)
ASIDE = {"figures": {"_check", "device"}}
FACES = sorted(path.parent.name for path in LIB.glob("*/__init__.py"))
MODULES = sorted(path for path in LIB.rglob("*.py") if path != LIB / "__init__.py")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("chapters/*.md"), *ROOT.glob("homework/*.md")])


def address(path):
    """The dotted name of a module below `unrolled`, "" for its own face."""
    parts = path.relative_to(LIB).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source):
    """The library's own modules that a text imports, with the names it takes from each, wherever it does."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "unrolled":
            found.append((node.module.partition(".")[2], [alias.name for alias in node.names]))
        elif isinstance(node, ast.Import):
            found += [
                (a.name.partition(".")[2], []) for a in node.names if a.name.split(".")[0] == "unrolled"
            ]
    return found


def modules_used(path):
    """Addresses of the modules and faces that a module imports."""
    known = {address(each) for each in MODULES}
    for module, names in imported(path.read_text(encoding="utf-8")):
        inside = [f"{module}.{name}".lstrip(".") for name in names]
        yield from [each for each in inside if each in known] or [module]


def wrong(room, other):
    """Whether a room may not import from another."""
    if room in ASIDE:
        return other not in ASIDE[room]
    return other in ASIDE or ROOMS.index(other) >= ROOMS.index(room)


@pytest.mark.parametrize("path", MODULES, ids=address)
def test_a_room_imports_from_lower_rooms_and_never_their_private_modules(path):
    room = address(path).split(".")[0]
    assert room in ROOMS or room in ASIDE, f"{room}: give it a place in ROOMS"
    for used in modules_used(path):
        other, *rest = used.split(".")
        if other != room:
            assert not wrong(room, other), f"{address(path)} imports {used}"
            assert not any(part.startswith("_") for part in rest), (
                f"{address(path)} imports the private {used}"
            )


@pytest.mark.parametrize("room", FACES)
def test_imports_inside_a_room_run_one_way(room):
    graph = {}
    for path in (LIB / room).glob("*.py"):
        if path.stem != "__init__":
            used = set(modules_used(path))
            assert room not in used, f"{address(path)} imports its own room's face"
            graph[address(path)] = {each for each in used if each.startswith(f"{room}.")}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError on a circle


def test_the_readers_of_imports_see_every_form():
    text = (
        "from unrolled.cells import x\nimport unrolled.networks.loop\ndef f():\n    from unrolled import data"
    )
    assert sorted(imported(text)) == [("", ["data"]), ("cells", ["x"]), ("networks.loop", [])]
    assert wrong("cells", "networks") and wrong("figures", "probes") and wrong("probes", "figures")
    assert not wrong("networks", "cells") and not wrong("figures", "_check")


@pytest.mark.parametrize("path", MODULES, ids=address)
def test_a_module_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 280


def faces():
    """Every public name with the faces that show it."""
    found = {}
    for room in [*FACES, "device"]:
        for name in getattr(importlib.import_module(f"unrolled.{room}"), "__all__", []):
            found.setdefault(name, []).append(room)
    return found


def test_a_name_has_one_face_and_a_module_none_of_its_own():
    assert {name: rooms for name, rooms in faces().items() if len(rooms) > 1} == {}
    with_all = {address(p) for p in MODULES if re.search(r"^__all__", p.read_text(encoding="utf-8"), re.M)}
    assert with_all == {*FACES, "device"}  # a room of one module is its own face


# Told once where they are defined: a word or a call's result, not something with shapes.
@pytest.mark.parametrize("name", sorted(faces()))
def test_a_public_function_says_what_it_takes_and_where_it_is_taught(name):
    (room,) = faces()[name]
    thing = getattr(importlib.import_module(f"unrolled.{room}"), name)
    if callable(thing) and hasattr(thing, "__module__") and room != "cli":
        text = thing.__doc__ or ""
        assert len(text) > 30, f"{room}.{name}: expected a docstring"
        if isinstance(thing, type(faces)) and thing.__code__.co_argcount:
            args = thing.__code__.co_varnames[: thing.__code__.co_argcount]
            told = "Args:" in text or any(
                f"`{arg}`" in text or re.search(rf"\b{arg}\b", text) for arg in args
            )
            assert told, f"{room}.{name}: expected its arguments"


DOTTED = re.compile(r"(?<![\w/.@])unrolled((?:\.\w+)+)(?![\w/]*\.(?:css|js|toml|git))")


def unresolved(text):
    """The dotted names `unrolled.…` of a text that lead nowhere."""
    lost = []
    for match in DOTTED.finditer(text):
        parts = match.group(1).strip(".").split(".")
        thing = importlib.import_module("unrolled")
        for i, part in enumerate(parts):
            try:
                thing = getattr(thing, part)
            except AttributeError:
                try:
                    thing = importlib.import_module("unrolled." + ".".join(parts[: i + 1]))
                except ModuleNotFoundError:
                    lost.append(match.group())
                    break
    return lost


@pytest.mark.parametrize("path", [*MODULES, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_dotted_name_leads_somewhere(path):
    assert unresolved(path.read_text(encoding="utf-8")) == [] or path.name == "CHANGELOG.md"


def test_a_lost_name_is_seen():
    assert unresolved("see `unrolled.cells.rnn_step`, `unrolled.gated` and unrolled.cells.lost") == [
        "unrolled.gated",
        "unrolled.cells.lost",
    ]


@pytest.mark.parametrize("room", FACES)
def test_a_room_loads_nothing_heavy_that_it_does_not_use(room):
    heavy = {"requests", "pooch", "pandas", "IPython", *(["matplotlib"] if room != "figures" else [])}
    code = f"import sys, unrolled.{room}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
