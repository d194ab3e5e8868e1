"""Results of long sweeps that chapters draw, stored with the library by the commands that made them."""

import json
from importlib import resources
from typing import Any


def stored_result(name: str) -> dict[str, Any]:
    """A stored result, with the command, date, processor and versions that it comes from.

    Args:
        name: for example `"recall_by_window"`, which `python -m benchmarks.sweeps.recall_by_window` made.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    folder = resources.files("unrolled").joinpath("assets/results")
    known = sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )
    if name not in known:
        raise ValueError(f"name: expected one of {', '.join(map(repr, known))}, got {name!r}")
    return json.loads(folder.joinpath(f"{name}.json").read_text(encoding="utf-8"))
