"""Which build of PyTorch to install: on Linux without an NVIDIA GPU the CPU's, which is a tenth of the download.

Prints pip's options for it, nothing where the ordinary index will do; what it decided and why goes to standard error.
"""

import platform
import shutil
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def has_nvidia() -> bool:
    """Whether this machine has an NVIDIA GPU with a driver."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def reaches(url: str, seconds: float = 10.0) -> bool:
    """Whether an index answers."""
    try:
        with urllib.request.urlopen(f"{url}/torch/", timeout=seconds) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def choose(asked: str, system: str, nvidia: bool, there: bool, reached: bool | None) -> tuple[str, str]:
    """What to install, `"cpu"` or `"ordinary"`, and a line that says so.

    Args:
        asked: what the reader chose: `"cpu"`, `"cuda"`, or nothing.
        system: as `platform.system` says it.
        nvidia: whether there is an NVIDIA GPU.
        there: whether some PyTorch is installed already.
        reached: whether the index of CPU builds answers; None where nobody asked.
    """
    if asked == "cpu":
        return "cpu", "Installing PyTorch's CPU build (about 200 MB), as TORCH=cpu asks"
    if asked == "cuda":
        return "ordinary", "Installing PyTorch with CUDA, as TORCH=cuda asks"
    if there or system != "Linux" or nvidia:
        return "ordinary", ""
    if reached:
        return (
            "cpu",
            "No NVIDIA GPU here: installing PyTorch's CPU build (about 200 MB); TORCH=cuda takes the other",
        )
    return (
        "ordinary",
        f"No NVIDIA GPU here, but {CPU_INDEX} can't be reached: going on with the ordinary PyTorch",
    )


def main(asked: str) -> None:
    """Print what pip is to be told."""
    system, nvidia, there = platform.system(), has_nvidia(), find_spec("torch") is not None
    open_question = not asked and not there and system == "Linux" and not nvidia
    build, line = choose(asked, system, nvidia, there, reaches(CPU_INDEX) if open_question else None)
    if line:
        print(line, file=sys.stderr)
    if build == "cpu":
        print(f"--index-url {CPU_INDEX}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
