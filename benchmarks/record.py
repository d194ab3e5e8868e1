"""Stored results: what was measured, by which command, when, on what, with which versions."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Inside the library, so that a chapter finds what it draws wherever the library is installed, on Colab too.
FOLDER = Path(__file__).parents[1] / "lib/unrolled/assets/results"


def processor() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def circumstances(command: str) -> dict[str, Any]:
    """What stands beside every result, so that a reader can judge and repeat it."""
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }


def load(name: str, folder: Path | None = None) -> dict[str, Any] | None:
    """A stored result, or None where there is none yet."""
    path = (folder or FOLDER) / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def save(name: str, result: dict[str, Any], folder: Path | None = None) -> Path:
    """Store a result: written beside and renamed, so that a stop at any moment leaves the last whole one."""
    path = (folder or FOLDER) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".json.part")
    beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    return path


def say(text: str) -> None:
    """One line to the person who waits, beside any progress bar."""
    print(text, file=sys.stderr, flush=True)
