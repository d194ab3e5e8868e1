"""Imports run downwards only, and modules stay short."""

import ast

import pytest

from conftest import ROOT

LAYERS = (
    ("_check", "style"),
    (
        "_drawing",
        "_files",
        "_fused",
        "_heatmaps",
        "_lstm_steps",
        "_products",
        "_vocabulary",
        "checkpoints",
        "sampling",
        "texts",
    ),
    ("device", "results", "cells", "tasks", "corpora", "plots", "schematics", "cell_schematics"),
    ("bptt", "gated"),
    ("gated_bptt",),
    ("_recurrent",),
    ("unroll",),
    ("language", "_ranks"),
    ("wirings", "probe", "highway", "reading"),
    ("training", "recipes"),
    ("_run", "_console", "league"),
    ("runs",),
    ("cli",),
    ("__main__",),
)
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}
MODULES = sorted(path for path in (ROOT / "lib/unrolled").glob("*.py") if path.stem != "__init__")


def imported(source: str) -> set[str]:
    """The library's own modules that a module's text imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "unrolled":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("unrolled.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_lower_layers_only(path):
    assert path.stem in LEVEL, f"{path.stem}: give it a layer"
    for other in imported(path.read_text(encoding="utf-8")):
        assert LEVEL[other] < LEVEL[path.stem], f"{path.stem} imports {other}, which is not in a lower layer"


def test_the_reader_of_imports_sees_every_form():
    text = "from unrolled.cells import x\nimport unrolled.unroll\nfrom unrolled import plots\nimport torch"
    assert imported(text) == {"cells", "unroll", "plots"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 275
