"""What a homework's questions.py defines: a homework of questions, each of which draws checks."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

HOMEWORK = Path(__file__).resolve().parents[1]


class BadHomework(Exception):
    """A questions.py that cannot be used, with the reason."""


UNSET: Any = object()


@dataclass(frozen=True)
class Check:
    """One thing asked of the sandbox, and what must come back. See homework/README.md."""

    part: str
    ask: Any
    expected: Any = UNSET
    tol: float = 1e-6
    wrong: Mapping[str, Any] = field(default_factory=dict)
    judge: Callable[[Any], str | None] | None = None
    says: str = ""

    def __post_init__(self) -> None:
        if (self.expected is UNSET) == (self.judge is None):
            raise BadHomework(f"part {self.part!r}: expected either `expected` or `judge`, got both or none")
        if not 0 <= self.tol < 1:
            raise BadHomework(f"part {self.part!r}: tol: expected a number in [0, 1), got {self.tol}")


@dataclass(frozen=True)
class Question:
    """A question that is graded by calling functions and inspecting values."""

    name: str
    title: str
    parts: Mapping[str, float]
    draw: Callable[[np.random.Generator], Iterable[Check]]

    @property
    def points(self) -> float:
        """What it is worth."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Written:
    """A question a person reads."""

    name: str
    title: str
    points: float


@dataclass(frozen=True)
class Limits:
    """What one submission may use; seconds are wall time."""

    cell: float = 4.0
    cells: float = 8.0  # all cells; the rest then keep their definitions alone
    question: float = 2.0
    total: float = 13.0  # from the first cell on; with a start of 2 s at most, a submission takes 15 s
    start: float = (
        60.0  # until numpy and torch are imported, which is no notebook's doing: a busy machine may need it
    )
    memory_mb: int = 2000  # of one process
    processes: int = 48
    disk_mb: int = 64  # each of /tmp, /home and /dev/shm, and the largest file
    files: int = 20_000  # in these three together: a file without content still takes the kernel's memory

    @property
    def sum_mb(self) -> int:
        """Memory of all together: above one process's, so that one alone meets its own limit first."""
        return self.memory_mb * 5 // 4


@dataclass(frozen=True)
class Homework:
    """One homework: what is asked, and under which limits."""

    name: str
    title: str
    questions: Sequence[Question | Written]
    library: bool = False  # whether the sandbox shows the library
    limits: Limits = Limits()
    folder: Path | None = None  # where it was loaded from
    digest: str = ""  # of that folder's Python files

    def __post_init__(self) -> None:
        names = [question.name for question in self.questions]
        if len(set(names)) != len(names) or not names:
            raise BadHomework(f"questions: expected names that differ, got {', '.join(names) or 'none'}")
        for question in self.asked:
            if not question.parts or not all(points > 0 for points in question.parts.values()):
                raise BadHomework(
                    f"{question.name}: parts: expected points above 0, got {dict(question.parts)}"
                )

    @property
    def asked(self) -> list[Question]:
        """The questions the sandbox answers."""
        return [question for question in self.questions if isinstance(question, Question)]

    @property
    def written(self) -> list[Written]:
        """The questions a person reads."""
        return [question for question in self.questions if isinstance(question, Written)]


def seed_fault(seed: Any) -> str | None:
    """What is wrong with a student's own seed, SEED in a notebook, or None."""
    sound = type(seed) is int and 0 <= seed < 2**63
    return None if sound else "SEED: expected your number, a whole one of at least 0"


def load(where: str | Path) -> Homework:
    """Load a homework by name ("hw01") or by the path of its folder; runs its questions.py, which is trusted."""
    folder = Path(where)
    if not folder.is_dir() and folder.name == str(where):
        folder = HOMEWORK / where
    file = folder / "questions.py"
    if not file.is_file():
        known = sorted(path.parent.name for path in HOMEWORK.glob("*/questions.py"))
        raise BadHomework(f"HW: expected one of {known} or a folder with a questions.py, got {str(where)!r}")
    name = f"homework_questions_{hashlib.sha256(bytes(file.resolve())).hexdigest()[:12]}"
    # As a package, so that a private copy of the folder finds its own reference beside it.
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(folder.resolve())]
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    homework = getattr(module, "HOMEWORK", None)
    if not isinstance(homework, Homework):
        raise BadHomework(f"{file}: expected HOMEWORK = Homework(…), got {type(homework).__name__}")
    code = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
    return replace(homework, folder=folder.resolve(), digest=hashlib.sha256(code).hexdigest())
