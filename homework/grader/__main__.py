"""python -m homework.grader hw01 submissions/ : grade a folder in the sandbox. `make grade` calls this."""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path

from homework.grader import batch, report
from homework.grader.bwrap import Unusable
from homework.grader.questions import BadHomework, load


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
    except (BadHomework, Unusable) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"Interrupted: what was graded is in {out / 'grades.csv'}; the same command goes on.",
            file=sys.stderr,
        )
        return 130
    count = Counter(row.outcome.status for row in rows)
    told = ", ".join(f"{n} {status}" for status, n in sorted(count.items())) or "no submissions"
    print(f"{told} in {time.monotonic() - start:.0f} s. {out / 'grades.csv'}")
    for row in rows:
        if row.needs_a_look:
            print(
                f"  look at {report.file_name(row.submission.name)}: {row.outcome.status}, {row.outcome.reason}"
            )
    for row in rows:
        if row.same_as:
            name, *others = map(report.file_name, [row.submission.name, *row.same_as])
            print(f"  same file: {name} and {', '.join(others)}")
    return 0


class _logging:
    """Append to `log.txt` in the folder of results for as long as the run lasts."""

    def __init__(self, out: Path, *about: object) -> None:
        self.handler = logging.FileHandler(out / "log.txt", encoding="utf-8")
        self.handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.about = about

    def __enter__(self) -> None:
        batch.log.setLevel(logging.INFO)
        batch.log.addHandler(self.handler)
        batch.log.propagate = False
        batch.log.info("grading %s: %s", *self.about)

    def __exit__(self, *_: object) -> None:
        batch.log.removeHandler(self.handler)
        self.handler.close()


if __name__ == "__main__":
    sys.exit(main())
