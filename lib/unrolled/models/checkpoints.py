"""Numbered pairs in a run's folder: written one after another, the older ones deleted, the newest whole one read."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unrolled._check import check_count
from unrolled.models.pairs import DamagedFile, Pair, ending, read_pair, write_pair


def write_numbered(
    folder: str | Path,
    kind: str,
    number: int,
    tensors: Mapping[str, Tensor],
    about: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write the pair `kind-00000NUMBER` in a folder, then delete all of its kind but the newest.

    Args:
        folder: where to.
        kind: `"checkpoint"` or `"best"`.
        number: the update it belongs to.
        tensors: see `write_pair`.
        about: see `write_pair`.
        keep: how many to keep, this one included.
    """
    check_count("keep", keep)
    check_count("number", number, least=0)
    path = write_pair(Path(folder) / f"{kind}-{number:08d}", tensors, about)
    for old in [each for each in listed(folder, kind) if _number(each) < number][keep - 1 :]:
        ending(old, ".json").unlink(missing_ok=True)  # first: a pair without its description is none
    whole = {each.name for each in listed(folder, kind)}
    for file in Path(folder).glob(f"{kind}-*.safetensors"):
        if re.fullmatch(rf"{kind}-\d{{8,}}", file.stem) and file.stem not in whole:
            file.unlink(missing_ok=True)
    for file in Path(folder).glob(f".{kind}-*.partial"):  # of a process that was killed while it wrote
        if re.fullmatch(rf"\.{kind}-\d{{8,}}\.(json|safetensors)\.\d+\.partial", file.name):
            file.unlink(missing_ok=True)
    return path


def listed(folder: str | Path, kind: str) -> list[Path]:
    """The pairs of a kind in a folder, newest first, unread."""
    names = [file.stem for file in Path(folder).glob(f"{kind}-*.json")]
    pairs = [Path(folder) / name for name in names if re.fullmatch(rf"{kind}-\d{{8,}}", name)]
    return sorted(pairs, key=_number, reverse=True)


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def read_newest(folder: str | Path, kind: str) -> tuple[Path | None, Pair | None, list[str]]:
    """The newest whole pair of a kind, also while a run goes on and replaces them.

    Returns:
        Its path and what it holds, both None where there is none; and for each newer one that was refused, why.
    """
    refused: list[str] = []
    for path in listed(folder, kind):
        try:
            return path, read_pair(path), refused
        except (DamagedFile, FileNotFoundError) as error:
            if path not in listed(folder, kind):  # deleted meanwhile, for a newer one
                return read_newest(folder, kind)
            refused.append(str(error))
    return None, None, refused
