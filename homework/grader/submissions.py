"""Find what was handed in: a download of Canvas or Gradescope, a folder for each student, or a plain folder."""

import itertools
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Canvas names a download name_[LATE_]user_submission_file.ipynb
CANVAS = re.compile(r"(?P<student>[^_]+)_(?:LATE_)?(?P<user>\d+)_(?P<submission>\d+)_(?P<file>.+)")
EXPORTED = re.compile(r"submission_\d+")
GRADESCOPE = "submission_metadata.yml"  # which lies in an export beside folders named submission_123456
NOT_HANDED_IN = {GRADESCOPE, "Thumbs.db", "__MACOSX"}  # left by Gradescope, Windows, macOS


@dataclass(frozen=True)
class Submission:
    """One file that was handed in, or the lack of one."""

    name: str  # what its row is called: the file's or folder's name
    path: Path | None
    student: str  # as Canvas or Gradescope name the student, else `name`
    user: str = ""  # Canvas' number of the student
    sid: str = ""  # the university's, which Gradescope knows
    reason: str = ""  # why there is no path
    note: str = ""


def collect(folder: Path) -> list[Submission]:
    """Every submission in a folder, sorted by name. Links are listed and never followed."""
    found: list[Submission] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in NOT_HANDED_IN:
            continue
        if entry.is_dir() and not entry.is_symlink():
            found += _of_folder(entry)
        else:
            found.append(_of_file(entry, shown(entry.stem if entry.suffix == ".ipynb" else entry.name)))
    if (folder / GRADESCOPE).is_file():
        known = _gradescope(folder / GRADESCOPE)
        found = [replace(one, **known.get(one.name.partition("/")[0], {})) for one in found]
    count = Counter(one.name for one in found)
    return _numbered([_rename(one, folder) if count[one.name] > 1 else one for one in found])


def _gradescope(path: Path) -> dict[str, dict[str, str]]:
    """Who handed in each folder of an export, as Gradescope tells it; what it does not tell is left out."""
    try:
        import yaml
    except ImportError:
        return {}
    try:
        told = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        return {}

    def of(entry: Any, key: str) -> str:
        people = entry.get(":submitters") if isinstance(entry, dict) else None
        people = [one for one in people if isinstance(one, dict)] if isinstance(people, list) else []
        told = [one[key] for one in people if one.get(key) and isinstance(one.get(key), (str, int))]
        return " and ".join(shown(str(one)) for one in told)

    # No folder of another name is an export's.
    found = (
        [pair for pair in told.items() if EXPORTED.fullmatch(str(pair[0]))] if isinstance(told, dict) else []
    )
    known = {str(name): {"student": of(entry, ":name"), "sid": of(entry, ":sid")} for name, entry in found}
    return {name: who for name, who in known.items() if who["student"]}


def shown(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8, and control characters, become question marks."""
    text = name.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "?" for c in text)


def _rename(one: Submission, folder: Path) -> Submission:
    """A submission whose name another has too (anna.ipynb beside anna/), under its path."""
    return one if one.path is None else replace(one, name=shown(str(one.path.relative_to(folder))))


def _numbered(found: list[Submission]) -> list[Submission]:
    """Names that are the same even so get a number: two names that a student chose can be shown as one."""
    taken: dict[str, Submission] = {}
    for one in found:
        tries = itertools.chain([one.name], (f"{one.name} ({n})" for n in itertools.count(2)))
        name = next(name for name in tries if name not in taken)
        taken[name] = replace(one, name=name)
    return list(taken.values())


def _of_file(path: Path, name: str, note: str = "") -> Submission:
    canvas = CANVAS.fullmatch(shown(path.name))
    student = canvas["student"] if canvas else name
    user = canvas["user"] if canvas else ""
    if path.suffix.lower() != ".ipynb":
        reason = f"expected a notebook (.ipynb), got {shown(path.name)}"
        return Submission(name, None, student, user, reason=reason, note=note)
    return Submission(name, path, student, user, note=note)


def _of_folder(folder: Path) -> list[Submission]:
    notebooks = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() == ".ipynb"
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]
    student = shown(folder.name)
    if not notebooks:
        return [Submission(student, None, student, reason="the folder holds no notebook (.ipynb)")]
    if len(notebooks) == 1:
        return [Submission(student, notebooks[0], student)]
    note = f"one of {len(notebooks)} notebooks in {student}"
    names = [f"{student}/{shown(str(path.relative_to(folder).with_suffix('')))}" for path in notebooks]
    return [Submission(name, path, student, note=note) for name, path in zip(names, notebooks, strict=True)]
