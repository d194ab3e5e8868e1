"""Read a student's notebook as text, without trusting it: no metadata, no outputs, no code is looked at here."""

import json
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any, NamedTuple

MAX_FILE = 20_000_000  # bytes
MAX_CELLS = 1_000
MAX_SOURCE = 2_000_000  # characters of code in all
TRAINS = re.compile(r"#\s*trains\b", re.IGNORECASE)
_one_at_a_time = threading.Lock()  # a hostile file takes half a gigabyte while it is read


class Unreadable(Exception):
    """A file that is no notebook, with the reason in words."""


class Cell(NamedTuple):
    """The code of one cell."""

    source: str
    trains: bool = False  # its first line is "# trains": only its definitions are kept

    def wire(self) -> dict[str, Any]:
        """The cell as JSON data."""
        return {"source": self.source, "trains": self.trains}


def read_bytes(path: Path) -> bytes:
    """A submission's bytes. Links, pipes, devices and files of more than MAX_FILE bytes are not opened or not read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        link = " (a link is not followed)" if path.is_symlink() else ""
        raise Unreadable(f"cannot be opened: {error.strerror}{link}") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise Unreadable("expected a file, got something else")
    with open(fd, "rb") as file:
        if found.st_size > MAX_FILE:
            raise Unreadable(
                f"expected a notebook of at most {MAX_FILE // 1_000_000} MB, got {found.st_size / 1e6:.0f} MB: "
                "clear the outputs and hand it in again"
            )
        return file.read(MAX_FILE + 1)


def cells_of(data: bytes) -> list[Cell]:
    """The code cells of a notebook file, with magics dropped."""
    if not data.strip():
        raise Unreadable("the file is empty")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"expected UTF-8, got bytes that are none at {error.start}") from None
    try:
        with _one_at_a_time:
            notebook = json.loads(text)
    except RecursionError:
        raise Unreadable("not a notebook: JSON nested too deep") from None
    except ValueError as error:
        raise Unreadable(f"not a notebook, or cut off: {str(error)[:120]}") from None
    found = notebook.get("cells") if isinstance(notebook, dict) else None
    if found is None and isinstance(notebook, dict) and isinstance(notebook.get("worksheets"), list):
        # version 3 of the format
        sheets = [sheet.get("cells") for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        found = [cell for cells in sheets if isinstance(cells, list) for cell in cells]
    if not isinstance(found, list):
        raise Unreadable("not a notebook: expected a list of cells, got none")
    sources = [_source(cell) for cell in found if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    if len(sources) > MAX_CELLS or sum(map(len, sources)) > MAX_SOURCE:
        raise Unreadable(
            f"expected at most {MAX_CELLS} code cells and {MAX_SOURCE:,} characters of code, got more"
        )
    cells = [cell_of(source) for source in sources if source.strip()]
    if not cells:
        raise Unreadable("the notebook has no code")
    return cells


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def cell_of(source: str) -> Cell:
    """One cell: whether it trains, and its code without its cell magic. Line magics are `cellrun`'s to drop."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    said = [line.strip() for line in lines if line.strip() and line.strip()[0] not in "%!"]
    magic = next((line.strip() for line in lines if line.strip()), "")
    if magic.startswith("%%"):
        runs = magic.split()[0] in ("%%time", "%%timeit", "%%capture", "%%prun")
        lines = [line if runs and line.strip() != magic else "" for line in lines]
    text = "\n".join(lines).encode("utf-8", "replace").decode("utf-8")  # JSON can hold half a surrogate pair
    return Cell(text, bool(said and TRAINS.match(said[0])))
