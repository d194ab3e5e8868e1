"""Stands in for the library in the sandbox, where answers must not be imported: it has `setup` alone."""

import sys

__version__ = "0"


def setup(seed: int = 0) -> None:
    """Seed what is loaded; draw nothing."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
