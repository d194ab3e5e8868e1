"""Tensors on disk with their description: whole or refused by name, never half-written, never unpickled.

A pair of files is one thing: `NAME.safetensors` holds the tensors, `NAME.json` what they are and the checksums of
both. Each is written beside, flushed to the disk and renamed, the description last: without it there is no pair. So a
process killed at any moment leaves the pairs that were whole before.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from unrolled._check import check_count

FORMAT = 1  # of the description; a reader refuses what it does not know


class DamagedFile(RuntimeError):
    """A file that is not what was written: cut short, altered, or of a format this version does not know."""


class Pair(NamedTuple):
    """What stands in two files of one name."""

    tensors: dict[str, Tensor]
    about: dict[str, Any]


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file beside, flush it to the disk and rename it: at any moment the old file is whole, or the new one.

    Args:
        path: where to.
        data: what to write.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.partial")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    if os.name == "posix":  # the rename too must reach the disk
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_pair(path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Path:
    """Write `path.safetensors`, then `path.json`.

    Args:
        path: the two files' name without an ending; the folder is made where there is none.
        tensors: what to keep, by name, on any device.
        about: their description, of what JSON can hold.

    Returns:
        The path.
    """
    path = stem(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = safetensors.torch.save(
        {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    )
    content = {
        "format": FORMAT,
        "tensors": {"bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()},
        "about": dict(about),
    }
    content["sha256"] = _checksum(content)
    write_file(ending(path, ".safetensors"), packed)
    write_file(ending(path, ".json"), json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
    return path


def read_pair(path: str | Path) -> Pair:
    """Read what `write_pair` wrote, every byte of it checked.

    Args:
        path: the two files' name, with or without one of their endings.

    Raises:
        FileNotFoundError: there is no such pair.
        DamagedFile: one of the files was cut short or altered, or is of an unknown format; the message names it.
    """
    path = stem(path)
    about = read_description(path)
    file = ending(path, ".safetensors")
    try:
        packed = file.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFile(
            f"{file}: expected the tensors that {path.name}.json describes, found none"
        ) from error
    said = about["tensors"]
    if len(packed) != said["bytes"]:
        raise DamagedFile(f"{file}: expected {said['bytes']} bytes, got {len(packed)}")
    if hashlib.sha256(packed).hexdigest() != said["sha256"]:
        raise DamagedFile(
            f"{file}: expected the checksum in {path.name}.json, got another: the file was altered"
        )
    return Pair(safetensors.torch.load(packed), about["about"])


def read_description(path: str | Path) -> dict[str, Any]:
    """The description alone, checked against its own checksum."""
    file = ending(stem(path), ".json")
    try:
        content = json.loads(file.read_bytes())
        said, format_ = content.pop("sha256"), content["format"]
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{file}: expected the description of a model or checkpoint, found no file"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{file}: expected a whole JSON description, got {error!r:.80}") from error
    if said != _checksum(content):
        raise DamagedFile(f"{file}: expected the checksum it names, got another: the file was altered")
    if format_ != FORMAT:
        raise DamagedFile(
            f"{file}: expected format {FORMAT}, got {format_}: another version of the library wrote it"
        )
    return content


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
    path = write_pair(Path(folder) / f"{kind}-{number:08d}", tensors, about)
    for old in [each for each in listed(folder, kind) if each.name < path.name][keep - 1 :]:
        ending(old, ".json").unlink(missing_ok=True)  # first: a pair without its description is none
    whole = {each.name for each in listed(folder, kind)}
    for file in Path(folder).glob(f"{kind}-*.safetensors"):
        if re.fullmatch(rf"{kind}-\d+", file.stem) and file.stem not in whole:
            file.unlink(missing_ok=True)
    for file in Path(folder).glob(f".{kind}-*.partial"):  # of a process that was killed while it wrote
        file.unlink(missing_ok=True)
    return path


def listed(folder: str | Path, kind: str) -> list[Path]:
    """The pairs of a kind in a folder, newest first, unread."""
    names = [file.stem for file in Path(folder).glob(f"{kind}-*.json")]
    return [Path(folder) / name for name in sorted(names, reverse=True) if re.fullmatch(rf"{kind}-\d+", name)]


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


def stem(path: str | Path) -> Path:
    """A pair's name without the ending of one of its files."""
    path = Path(path)
    return path.with_suffix("") if path.suffix in (".json", ".safetensors") else path


def ending(path: Path, suffix: str) -> Path:
    """The file of a pair; a name may hold dots of its own."""
    return path.with_name(path.name + suffix)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
