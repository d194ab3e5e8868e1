"""What every test stands on: annotations checked as the code runs, one thread, and a guard against mixed devices."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("UNROLLED_PROGRESS", "0")

import matplotlib

matplotlib.use("agg")  # here and not in the environment, which the notebooks' kernels would inherit

from jaxtyping import config, install_import_hook

install_import_hook("unrolled", "typechecker.check")

import hypothesis
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Deterministic: the same examples on every machine and every run, so that a failure is never luck.
hypothesis.settings.register_profile("book", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.load_profile("book")
torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def plain_errors() -> Iterator[None]:
    """Annotations unchecked, as for a reader: the library's own errors must do the work."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


class OneDevice(TorchDispatchMode):
    """Fails where one operation sees tensors of two devices: `meta` alone lets many such mixes pass."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, torch.Tensor)]
        devices = {str(tensor.device) for tensor in tensors}
        if len(devices) > 1:
            raise AssertionError(f"{func}: tensors on {', '.join(sorted(devices))} in one operation")
        out = func(*args, **(kwargs or {}))
        made = {str(leaf.device) for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)}
        if devices and made - devices:
            raise AssertionError(f"{func}: read {', '.join(devices)}, made {', '.join(made)}")
        return out


@pytest.fixture(scope="session")
def works() -> None:
    """The grader's sandbox: where it can't work its tests are skipped with the reason, except with CI=true."""
    from homework.grader import Unusable, sandbox

    try:
        sandbox.check()
    except Unusable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{error} (CI=true)")
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def otter() -> None:
    """What builds homework: where it is missing its tests are skipped with the reason, except with CI=true."""
    if not all(importlib.util.find_spec(name) for name in ("otter", "jupytext")):
        if os.environ.get("CI") == "true":
            pytest.fail("otter-grader is not installed: make homework installs it (CI=true)")
        pytest.skip("otter-grader is not installed: make homework installs it")


# For tests/live. Not in a conftest.py there: the tests import ROOT from `conftest`, a name for one file alone.
@pytest.fixture(scope="module")
def browser():
    """Chromium, where it is."""
    from harness import missing
    from site_checker import shots

    if shots.find_browser() is None:
        missing("no Chromium or Chrome on this machine")
    with shots.sync_playwright() as playwright:
        browser = shots.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js, which runs the modules without a browser."""
    from harness import missing

    path = shutil.which("node")
    if path is None:
        missing("no node on this machine; on Debian: apt-get install nodejs")
    return str(path)


@pytest.fixture
def on_the_cpu(monkeypatch):
    """Where the same recipe gives the same bits."""
    monkeypatch.setenv("UNROLLED_DEVICE", "cpu")
