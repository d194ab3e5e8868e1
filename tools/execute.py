"""Re-run chapters in fresh kernels, two at a time, and store what they put out.

    python -m tools.execute        all of them
    python -m tools.execute 03     chapters/03-*.ipynb

A notebook is replaced only when all of its cells have run; one that fails stays as it was.
"""

import base64
import io
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import ipykernel.kernelspec
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

from tools import in_view, notebooks

WORKERS = 2
CELL_SECONDS = 600
# What a kernel sees; Makefile gives the tests the same.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "UNROLLED_PROGRESS": "0",
    "PYTHONHASHSEED": "0",
}


class ExecutionFailed(Exception):
    """A cell that did not run: the message names notebook, cell and error."""


class ThisPython(KernelSpecManager):
    """Start kernels with the interpreter that runs this, whatever kernels the reader has installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernel of this environment, for every name."""
        return KernelSpec(
            resource_dir=ipykernel.kernelspec.RESOURCES, **ipykernel.kernelspec.get_kernel_dict()
        )


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook, giving ids to cells that have none (a new chapter's)."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    for index, cell in enumerate(raw["cells"]):
        cell.setdefault("id", f"cell-{index:03d}")
    raw["nbformat"], raw["nbformat_minor"] = 4, 5
    return nbformat.reads(json.dumps(raw), as_version=4)


def smaller(png: str) -> str:
    """A base64 PNG with a palette of 256 colours: a third of the bytes, and no difference that an eye can see."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        palette = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    palette.save(packed, "png", optimize=True)
    return base64.b64encode(packed.getvalue()).decode("ascii")


def clean(nb: nbformat.NotebookNode) -> None:
    """Drop what differs between runs and machines without being an output; fold cells; make figures small."""
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
        in_view.fold(cell)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )


def _failed_cell(nb: nbformat.NotebookNode) -> int:
    """The index of the cell that stopped the run: the one with an error, else the last that began."""
    code = [(i, c) for i, c in enumerate(nb.cells) if c.cell_type == "code"]
    for index, cell in code:
        if any(output.output_type == "error" for output in cell.outputs):
            return index
    begun = [i for i, c in code if "execution" in c.metadata]  # nbclient's own mark
    return begun[-1] if begun else code[0][0]


def execute(path: Path) -> float:
    """Run one notebook and store its outputs; returns the seconds it took.

    Raises:
        ExecutionFailed: a cell raised, took longer than `CELL_SECONDS`, or killed its kernel.
    """
    nb = read(path)
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisPython())
    client = NotebookClient(
        nb,
        km=manager,
        timeout=CELL_SECONDS,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # a kernel's warnings about its own transport help no reader
        resources={"metadata": {"path": str(path.parent)}},
    )
    begin = time.perf_counter()
    try:
        client.execute(env={**os.environ, **ENVIRONMENT})
    except CellExecutionError as error:
        reason = f"{error.ename}: {error.evalue}"
        raise ExecutionFailed(f"{path.name}: cell {_failed_cell(nb)}: {reason}") from error
    except CellTimeoutError as error:
        reason = f"took longer than {CELL_SECONDS} s"
        raise ExecutionFailed(f"{path.name}: cell {_failed_cell(nb)}: {reason}") from error
    except DeadKernelError as error:
        raise ExecutionFailed(f"{path.name}: cell {_failed_cell(nb)}: the kernel died") from error
    seconds = time.perf_counter() - begin
    clean(nb)
    beside = path.with_name(f".{path.name}.new")
    nbformat.write(nb, beside)
    beside.replace(path)
    return seconds


def select(arguments: list[str], root: Path = notebooks.ROOT) -> list[Path]:
    """The notebooks that the arguments (chapter numbers) name; all without any.

    Raises:
        ValueError: a chapter that is not there.
    """
    there = notebooks.chapters(root)
    if not arguments:
        return there
    numbers = {argument.zfill(2) for argument in arguments}
    known = {path.name.split("-")[0] for path in there}
    if unknown := numbers - known:
        raise ValueError(
            f"CHAPTER: got {', '.join(sorted(unknown))}, expected one of {', '.join(sorted(known)) or 'none yet'}"
        )
    return [path for path in there if path.name.split("-")[0] in numbers]


def main(arguments: list[str], root: Path = notebooks.ROOT) -> int:
    """Run what the arguments name, one line of progress for each notebook."""
    import matplotlib.font_manager  # noqa: F401  (builds its font cache: in a kernel its warning would be an output)

    try:
        paths = select(arguments, root)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Running {len(paths)} notebooks, {WORKERS} at a time", flush=True)
    failures = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        running = {pool.submit(execute, path): path for path in paths}
        for done in as_completed(running):
            name = running[done].name
            try:
                print(f"  {name}: stored after {done.result():.1f} s", flush=True)
            except ExecutionFailed as error:
                failures += 1
                print(f"  FAILED {error} (the file is unchanged)", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
