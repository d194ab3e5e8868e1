"""python -m homework.grader hw01 submissions/ : grade a folder in the sandbox. `make grade` calls this."""

import argparse
import contextlib
import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path

from homework.grader import batch, report
from homework.grader.bwrap import Unusable
from homework.grader.questions import BadHomework, load

MOST_JOBS = 100  # at a time: each holds some eight files open, and many systems allow 1,024
MEMBERS = 5  # of a group of equal files that are named on the terminal


def main(argv: list[str] | None = None) -> int:
    """Grade, and say what needs a look. Returns 0, or 2 where nothing could be graded."""
    parser = argparse.ArgumentParser(prog="homework.grader", description=__doc__.partition("`")[0])
    parser.add_argument("homework", help="hw01, or the path of a homework's folder")
    parser.add_argument(
        "submissions", type=Path, help="folder of notebooks: a Canvas download, or one folder a student"
    )
    parser.add_argument(
        "--out", type=Path, help="where results go (default: beside the submissions, NAME-graded)"
    )
    parser.add_argument(
        "--seed", type=int, help="repeat a run's inputs (default: fresh ones, kept for a resumed run)"
    )
    parser.add_argument("--jobs", type=int, default=0, help="how many at a time (default: one a core)")
    given = parser.parse_args(argv)
    try:
        homework = load(os.path.expanduser(given.homework))
        given.submissions = given.submissions.expanduser()  # not every shell does it behind `SUBMISSIONS=`
        if not given.submissions.is_dir():
            raise BadHomework(f"SUBMISSIONS: expected a folder, got {str(given.submissions)!r}")
        if given.seed is not None and not 0 <= given.seed < 2**127:
            raise BadHomework(f"--seed: expected a whole number of at least 0, got {given.seed}")
        if not 0 <= given.jobs <= MOST_JOBS:
            raise BadHomework(f"--jobs: expected a number of 1 to {MOST_JOBS}, got {given.jobs}")
        folder = given.submissions.resolve()
        out = (given.out or folder.with_name(f"{folder.name}-graded")).expanduser().resolve()
        if out.is_relative_to(folder):
            raise BadHomework(f"--out: expected a folder outside the submissions {folder}, got {out}")
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / "log.txt").touch()
        except OSError as error:
            raise BadHomework(f"--out: nothing can be written to {out}: {error.strerror}") from None
        start = time.monotonic()
        with _logging(out, homework.name, folder):
            rows = batch.grade_folder(homework, folder, out, given.seed, given.jobs)
    except report.CannotWrite as error:
        print(f"{error}. Make room and type the same command again: it goes on.", file=sys.stderr)
        return 2
    except (BadHomework, Unusable) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        table = out / "grades.csv"
        told = f"what was graded is in {table}" if table.is_file() else "no table was written yet"
        print(f"Interrupted: {told}; the same command goes on.", file=sys.stderr)
        return 130
    count = Counter(row.outcome.status for row in rows)
    told = ", ".join(f"{n} {status}" for status, n in sorted(count.items())) or "no submissions"
    print(f"{told} in {time.monotonic() - start:.0f} s. {out / 'grades.csv'}")
    for row in rows:
        if row.needs_a_look:
            print(
                f"  look at {report.file_name(row.submission.name)}: {row.outcome.status}, {row.outcome.reason}"
            )
    groups = {row.digest: [row.submission.name, *row.same_as] for row in reversed(rows) if row.same_as}
    for names in sorted(groups.values()):
        name, *others = (_cut(report.file_name(name)) for name in names)
        more = f" and {len(others) - MEMBERS} more (grades.csv names them)" if len(others) > MEMBERS else ""
        print(f"  same file: {name} and {', '.join(others[:MEMBERS])}{more}")
    return 0


def _cut(name: str, longest: int = 40) -> str:
    """A name that a line of a terminal can hold."""
    return name if len(name) <= longest else f"{name[: longest - 3]}..."


class _Quiet(logging.FileHandler):
    """A log that a full disk does not make into a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        """The tables say it in a sentence."""


class _logging:
    """Append to `log.txt` in the folder of results for as long as the run lasts."""

    def __init__(self, out: Path, *about: object) -> None:
        self.handler = _Quiet(out / "log.txt", encoding="utf-8")
        self.handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.about = about

    def __enter__(self) -> None:
        batch.log.setLevel(logging.INFO)
        batch.log.addHandler(self.handler)
        batch.log.propagate = False
        batch.log.info("grading %s: %s", *self.about)

    def __exit__(self, *_: object) -> None:
        batch.log.removeHandler(self.handler)
        with contextlib.suppress(OSError):
            self.handler.close()


if __name__ == "__main__":
    sys.exit(main())
