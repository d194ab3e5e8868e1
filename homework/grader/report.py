"""What a run leaves: a table with a row for every submission, one for the LMS, and feedback in words."""

import contextlib
import csv
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from homework.grader.grade import Outcome
from homework.grader.questions import Homework
from homework.grader.submissions import Submission


@dataclass
class Row:
    """One submission with what came of it."""

    submission: Submission
    outcome: Outcome
    digest: str = ""  # of the file
    same_as: list[str] = field(default_factory=list)  # other submissions with the same bytes

    @property
    def needs_a_look(self) -> bool:
        """Whether its points are not simply the sum of what was asked."""
        return self.outcome.status != "graded"


class CannotWrite(Exception):
    """A file of results that could not be written, and why; nothing of it is left."""


def write(path: Path, text: str) -> None:
    """Write a file beside and rename it: nobody ever sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8", newline="")
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise CannotWrite(f"{path}: cannot be written: {error.strerror}") from error


def number(points: float | None) -> str:
    """Points as one writes them: 2, 2.5, and nothing where nobody knows."""
    return "" if points is None else f"{points:g}"


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, not even one that splits cells at semicolons or trims them."""
    return re.sub(r"(^|;)(?=\s*[=+@\t\r\uff1d\uff0b\uff0d\uff20-])", r"\1'", text)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[safe(cell) for cell in row] for row in rows])
    return out.getvalue()


def grades(homework: Homework, rows: Sequence[Row]) -> str:
    """The table: points by question, total, status, reason, seed, and what to know about the file."""
    names = [question.name for question in homework.questions]
    head = [
        "submission",
        "student",
        *names,
        "total",
        "out_of",
        "status",
        "reason",
        "seed",
        "seconds",
        "same_as",
    ]
    table = [[*head, "note", "sha256"]]
    out_of = number(sum(question.points for question in homework.asked))
    for row in rows:
        one = row.outcome
        points = [number(one.points.get(name)) for name in names]
        file = [row.submission.name, row.submission.student]
        seed, seconds, same = str(one.seed), f"{one.seconds:.2f}", "; ".join(row.same_as)
        about = [number(one.total), out_of, one.status, one.reason, seed, seconds, same]
        table.append([*file, *points, *about, row.submission.note, row.digest])
    return _csv(table)


def lms(homework: Homework, rows: Sequence[Row]) -> str:
    """Canvas' gradebook format. A student whose row needs a look, or who has two, or another's number, stays empty."""
    count = Counter(row.submission.student for row in rows)
    owners = Counter(user for _, user in {(row.submission.student, row.submission.user) for row in rows})
    possible = number(sum(question.points for question in homework.asked))
    table = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", homework.name],
        ["    Points Possible", "", "", "", "", possible],
    ]
    for student in sorted(count):
        row = next(row for row in rows if row.submission.student == student)
        file = row.submission
        sure = count[student] == 1 and not row.needs_a_look and not (file.user and owners[file.user] > 1)
        table.append([student, file.user, file.sid, "", "", number(row.outcome.total) if sure else ""])
    return _csv(table)


def neutral(text: str) -> str:
    """A student's words in a Markdown file: no HTML, no link and no picture comes of them."""
    return re.sub(r"<(?=[!/?A-Za-z])", "&lt;", text.replace("](", "] ("))


def feedback(homework: Homework, row: Row) -> str:
    """What the student reads."""
    one, out_of = row.outcome, sum(question.points for question in homework.asked)
    lines = [f"# {homework.title}: {neutral(row.submission.student)}", ""]
    if one.total is None:
        lines += [
            "This submission has no points yet; your instructor will look at it.",
            "",
            f"Reason: {neutral(one.reason)}.",
            "",
        ]
    else:
        lines += [f"{number(one.total)} of {number(out_of)} points.", ""]
        if one.reason:
            lines += [f"Your instructor will look at it: {neutral(one.reason)}.", ""]
    if one.cells:
        lines += ["While your notebook ran:", "", *(f"- {neutral(trouble)}" for trouble in one.cells), ""]
    for question in homework.questions:
        messages = one.messages.get(question.name)
        if messages:
            earned = one.points.get(question.name)
            score = (
                "no points yet" if earned is None else f"{number(earned)} of {number(question.points)} points"
            )
            lines += [
                f"## {question.name} {question.title}: {score}",
                "",
                *(f"- {neutral(text)}" for text in messages),
                "",
            ]
    lines += [f"Inputs were drawn from seed {one.seed}."]
    return "\n".join(lines) + "\n"


def file_name(name: str) -> str:
    """A submission's name as a file name that no other submission gets."""
    plain = re.sub(r"[^\w.-]+", "_", name).encode()[:80].decode("utf-8", "ignore").lstrip(".") or "submission"
    if plain == name and not re.search(r"-[0-9a-f]{8}$", name):  # which may be what another's becomes
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def write_all(out: Path, homework: Homework, rows: Sequence[Row]) -> None:
    """Write the tables and everybody's feedback."""
    write(out / "grades.csv", grades(homework, rows))
    write(out / "lms.csv", lms(homework, rows))
    for row in rows:
        write(out / "feedback" / f"{file_name(row.submission.name)}.md", feedback(homework, row))
