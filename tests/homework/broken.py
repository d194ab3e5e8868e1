"""Notebooks as they come in from a class: damaged, of another kind, rearranged. test_broken.py reads the table.

All are graded with the demonstration homework, which has 8 points for a machine to give.
"""

import json
from pathlib import Path
from typing import NamedTuple

from classroom import BLANK, IMPORTS, LINEAR, SOLUTION, STEP, notebook

WHOLE = notebook(*SOLUTION)


class Broken(NamedTuple):
    """One file that was handed in, and what must come of it."""

    name: str
    data: str | bytes
    says: str = ""  # in the reason, or in the feedback
    total: float | None = None
    size: int = 0  # of the file, where it is larger than its data

    @property
    def status(self) -> str:
        """Without a total it was not graded."""
        return "unreadable" if self.total is None else "graded"

    def write(self, folder: Path) -> None:
        """Put the file where submissions lie."""
        path = folder / f"{self.name}.ipynb"
        path.write_bytes(self.data if isinstance(self.data, bytes) else self.data.encode())
        if self.size:
            with open(path, "r+b") as file:
                file.truncate(self.size)


def _stripped() -> str:
    """Nothing but types and sources is left."""
    cells = [{"cell_type": "code", "source": source} for source in SOLUTION]
    return json.dumps({"cells": cells})


def _boastful() -> str:
    """Outputs and metadata that claim every point, over blank answers."""
    nb = json.loads(notebook(*BLANK))
    for cell in nb["cells"]:
        cell["metadata"] = {"nbgrader": {"grade": True, "points": 100, "score": 100}, "points": 100}
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "q1: these checks pass\n"}]
    return json.dumps({**nb, "metadata": {"otter": {"score": 100}, "total": 100}})


BROKEN = [
    Broken("truncated", WHOLE[: len(WHOLE) // 2], "cut off"),
    Broken("truncated by one character", WHOLE[:-1], "cut off"),
    Broken("empty", "", "the file is empty"),
    Broken("60 MB", WHOLE, "at most 20 MB, got 60 MB", size=60_000_000),
    Broken("not UTF-8", b"\x80\x81\x82" + WHOLE.encode(), "expected UTF-8"),
    Broken("a zip by another name", b"PK\x03\x04" + bytes(200), "cut off"),
    Broken("an error page of the LMS", "<!DOCTYPE html><html><body>Session expired</body></html>", "not a notebook"),
    Broken("nested too deep", "[" * 200_000, "nested too deep"),
    Broken("no cells", '{"nbformat": 4}', "expected a list of cells"),
    Broken("no code", notebook(), "no code"),
    Broken("a worksheet without cells", '{"worksheets": [{"cells": 5}]}', "no code"),
    Broken("a thousand cells more", notebook(*["x = 1"] * 1001), "at most 1000 code cells"),
    Broken("unknown kernel", notebook(*SOLUTION, metadata={"kernelspec": {"name": "matlab"}}), total=8),
    Broken("metadata stripped", _stripped(), total=8),
    Broken("claims in outputs and metadata", _boastful(), total=0),
    Broken("a missing cell", notebook(*SOLUTION[:-1]), "nothing is named linear", 5),
    Broken("a renamed function", notebook(*SOLUTION[:-1], LINEAR.replace("linear", "liner")), "there is a liner", 5),
    Broken("a renamed cell", notebook(*SOLUTION).replace('"c1"', '"another"'), total=8),
    Broken("duplicated cells", notebook(*SOLUTION, *SOLUTION), total=8),
    Broken("a blank duplicate at the end", notebook(*SOLUTION, BLANK[1]), "None (nothing is returned)", 3),
    Broken("cells in another order", notebook(*reversed(SOLUTION)), total=8),
    Broken("a cell that does not parse", notebook(IMPORTS, "def broken(:", *SOLUTION[1:]), "SyntaxError", 8),
    Broken("version 3 of the format", json.dumps({"worksheets": [{"cells": [
        {"cell_type": "code", "input": source} for source in SOLUTION]}]}), total=8),
    Broken("UTF-16, from Notepad", WHOLE.encode("utf-16"), total=8),
    Broken("magics", notebook(f"%matplotlib inline\n!pip install x\n{IMPORTS}", *SOLUTION[1:]), total=8),
    Broken("the same file, first time", notebook(*SOLUTION, "# mine"), total=8),
    Broken("the same file, second time", notebook(*SOLUTION, "# mine"), total=8),
    Broken("no tanh", notebook(*SOLUTION, STEP.replace("np.tanh", "")), "numbers differ", 3),
]  # fmt: skip
