"""Tensors on disk with their description: whole or refused by name, never half-written, never unpickled.

A pair of files is one thing: `NAME.safetensors` holds the tensors, `NAME.json` what they are and the checksums of
both. Each is written beside, flushed to the disk and renamed, the description last: without it there is no pair. Where
a pair is overwritten, the tensors that the old description names stay beside under `.NAME.safetensors.before` until the
new description stands. So a process killed at any moment leaves the pairs that were whole before, and who reads
meanwhile finds the old pair or the new one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from unrolled._check import system

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

    Raises:
        OSError: it could not be written; the message says why.
    """
    path = Path(path)
    with system("path", f"write {path}"):
        _write_beside(path, data)


def _write_beside(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")  # two processes never share one
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

    Raises:
        TypeError, ValueError: something in `about` that JSON can't hold, by its name.
        OSError: the files could not be written; the message says why.
    """
    path = stem(path)
    with system("path", f"make the folder {path.parent}"):
        path.parent.mkdir(parents=True, exist_ok=True)
    about = {str(name): _as_json(str(name), value) for name, value in about.items()}
    packed = safetensors.torch.save(
        {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    )
    content: dict[str, Any] = {
        "format": FORMAT,
        "tensors": {"bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()},
        "about": about,
    }
    content["sha256"] = _checksum(content)
    tensors_file, before = ending(path, ".safetensors"), _before(path)
    if not _holds(tensors_file, content["tensors"]):
        _keep_old(path)
        write_file(tensors_file, packed)
    write_file(ending(path, ".json"), json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
    before.unlink(missing_ok=True)
    return path


def _as_json(name: str, value: Any) -> Any:
    """A value as it will be read again: keys become text here, so that the checksum is of what is stored."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise type(error)(f"{name}: expected what JSON can hold, got {value!r:.60} ({error})") from error


def _before(path: Path) -> Path:
    return path.with_name(f".{path.name}.safetensors.before")


def _holds(file: Path, said: Mapping[str, Any]) -> bool:
    """Whether a file is there and is the one that a description names."""
    try:
        data = file.read_bytes() if file.stat().st_size == said["bytes"] else None
    except FileNotFoundError:
        return False
    return data is not None and hashlib.sha256(data).hexdigest() == said["sha256"]


def _keep_old(path: Path) -> None:
    """Give the tensors of the pair that stands a second name, which outlives the writing of new ones."""
    try:
        said = read_description(path)["tensors"]
    except (DamagedFile, FileNotFoundError):
        return  # there is nothing whole to keep
    tensors_file, before = ending(path, ".safetensors"), _before(path)
    if _holds(before, said) or not _holds(tensors_file, said):
        return
    before.unlink(missing_ok=True)
    try:
        os.link(tensors_file, before)
    except OSError:  # a file system without second names
        shutil.copy2(tensors_file, before)


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
    while True:
        packed, reason = _tensors(path, about["tensors"])
        if packed is not None:
            break
        again = read_description(path)
        if again == about:
            raise DamagedFile(reason)
        about = again  # the pair was overwritten meanwhile
    try:
        return Pair(safetensors.torch.load(packed), about["about"])
    except safetensors.SafetensorError as error:
        raise DamagedFile(f"{ending(path, '.safetensors')}: expected tensors, got {error}") from error


def _tensors(path: Path, said: Mapping[str, Any]) -> tuple[bytes | None, str]:
    """The bytes that a description names, from either place they may stand in; else why there are none."""
    file, reason = ending(path, ".safetensors"), ""
    for place in (file, _before(path)):
        try:
            packed = place.read_bytes()
        except FileNotFoundError:
            reason = reason or f"{file}: expected the tensors that {path.name}.json describes, found none"
            continue
        if len(packed) == said["bytes"] and hashlib.sha256(packed).hexdigest() == said["sha256"]:
            return packed, ""
        if place == file:
            reason = (
                f"{file}: expected {said['bytes']} bytes, got {len(packed)}" if len(packed) != said["bytes"]
                else f"{file}: expected the checksum in {path.name}.json, got another: the file was altered"
            )  # fmt: skip
    return None, reason


def read_description(path: str | Path) -> dict[str, Any]:
    """The description alone, checked against its own checksum."""
    file = ending(stem(path), ".json")
    try:
        content = json.loads(file.read_bytes())
        said, format_ = content.pop("sha256"), content["format"]
        content["tensors"]["bytes"], content["tensors"]["sha256"], content["about"]
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{file}: expected the description of a model or checkpoint, found no file"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFile(f"{file}: expected a whole JSON description, got {error!r:.80}") from error
    if said != _checksum(content):
        raise DamagedFile(f"{file}: expected the checksum it names, got another: the file was altered")
    if format_ != FORMAT:
        raise DamagedFile(
            f"{file}: expected format {FORMAT}, got {format_!r}: another version of the library wrote it"
        )
    return content


def stem(path: str | Path) -> Path:
    """A pair's name without the ending of one of its files."""
    path = Path(path)
    return path.with_suffix("") if path.suffix in (".json", ".safetensors") else path


def ending(path: Path, suffix: str) -> Path:
    """The file of a pair; a name may hold dots of its own."""
    return path.with_name(path.name + suffix)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
