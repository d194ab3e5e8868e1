"""Grade a folder: every submission gets a row, what is done is kept, several are graded at a time."""

import contextlib
import hashlib
import json
import logging
import os
import queue
import re
import secrets
import signal
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from homework.grader import bwrap, report, sandbox
from homework.grader.grade import Outcome, grade_cells, seed_of, tidy
from homework.grader.notebook import Unreadable, cells_of, read_bytes
from homework.grader.questions import BadHomework, Homework
from homework.grader.report import Row
from homework.grader.submissions import Submission, collect

log = logging.getLogger("homework.grader")


def grader_digest() -> str:
    """Of the grader's own files and of the packages that decide what code does."""
    import numpy
    import torch

    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
    versions = f"{sys.version} {numpy.__version__} {torch.__version__}".encode()
    return hashlib.sha256(code + versions).hexdigest()


def root_seed(out: Path, seed: int | None) -> int:
    """The seed given, else the one an earlier run kept in `out`, else a fresh one. It is kept."""
    kept = out / "state" / "seed.json"
    if seed is None and kept.is_file():
        try:
            seed = json.loads(kept.read_text())["seed"]
        except (ValueError, KeyError, TypeError):
            seed = -1
        if type(seed) is not int or not 0 <= seed < 2**127:
            raise BadHomework(
                f'{kept}: expected {{"seed": number}}, as a run leaves it. It is damaged: give its number by --seed '
                "(log.txt tells no more than those of single notebooks), or delete it for fresh inputs"
            )
    seed = secrets.randbits(48) if seed is None else seed
    report.write(kept, json.dumps({"seed": seed}) + "\n")
    return seed


class Batch:
    """One run over a folder of submissions."""

    def __init__(
        self, homework: Homework, folder: Path, out: Path, seed: int | None = None, jobs: int = 0
    ) -> None:
        self.homework, self.folder, self.out = homework, folder, out
        self.seed = root_seed(out, seed)
        self.cores: queue.SimpleQueue[int] = queue.SimpleQueue()
        here = sorted(os.sched_getaffinity(0))
        self.jobs = jobs or len(here)
        for number in range(self.jobs):
            self.cores.put(here[number % len(here)])
        self.digest = hashlib.sha256(f"{homework.digest} {grader_digest()} {self.seed}".encode()).hexdigest()
        self.hidden = [folder, out, *([homework.folder] if homework.folder else [])]

    def run(self) -> list[Row]:
        """Grade what is not graded yet, write everything. After an interrupt the rest has rows that say so."""
        last = contextlib.ExitStack()
        with last:
            return self._run(collect(self.folder), last)

    def _run(self, found: list[Submission], last: contextlib.ExitStack) -> list[Row]:
        rows: dict[Submission, Row] = {}
        pool = ThreadPoolExecutor(self.jobs)
        waiting = {pool.submit(self.one, submission): submission for submission in found}
        bar = tqdm(total=len(found), unit="notebook", disable=os.environ.get("UNROLLED_PROGRESS") == "0")
        try:
            for done in as_completed(waiting):
                row = done.result()
                rows[row.submission] = row
                note = f": {row.outcome.reason}" if row.outcome.reason else ""
                log.info("%s", _line(row) + note)
                bar.update()
        finally:
            if threading.current_thread() is threading.main_thread():
                # a second interrupt must not cost the tables
                before = signal.signal(signal.SIGINT, signal.SIG_IGN)
                last.callback(signal.signal, signal.SIGINT, before)
            pool.shutdown(wait=True, cancel_futures=True)
            bar.close()
            for submission in found:
                waits = Outcome("not graded", 0, reason="the run was interrupted: run it again")
                rows.setdefault(submission, Row(submission, waits))
            ordered = [rows[submission] for submission in found]
            self.mark_copies(ordered)
            report.write_all(self.out, self.homework, ordered)
        return ordered

    def one(self, submission: Submission) -> Row:
        """Grade one submission, or take an earlier run's outcome. Faults are in the row; raises CannotWrite alone."""
        row = Row(submission, Outcome("unreadable", 0, reason=submission.reason))
        if submission.path is None:
            return row
        try:
            data = read_bytes(submission.path)
            row.digest = hashlib.sha256(data).hexdigest()
            seed = seed_of(data, self.seed)
            state = (
                self.out / "state" / f"{hashlib.sha256(os.fsencode(submission.path)).hexdigest()[:32]}.json"
            )
            key = f"{self.digest} {row.digest}"
            kept = _kept(state, key)
            if kept:
                row.outcome = kept
                return row
            cells = cells_of(data)
            drawn = any(re.search(r"\bmatplotlib\b", cell.source) for cell in cells)
            fonts = bwrap.font_list(self.out / "state" / "fonts") if drawn else None
            core = self.cores.get()
            try:
                row.outcome = grade_cells(self.homework, cells, seed, self.hidden, fonts, core)
            finally:
                self.cores.put(core)
            report.write(state, json.dumps({"key": key, "outcome": row.outcome.as_json()}) + "\n")
        except report.CannotWrite:
            raise  # it would be so for every other: the run ends
        except Unreadable as error:
            row.outcome.reason = tidy(str(error))
        except BadHomework as error:
            row.outcome = Outcome("error", 0, reason=f"a mistake in the questions: {tidy(str(error))}")
        except Exception as error:
            log.exception("%s", tidy(submission.name))
            row.outcome = Outcome(
                "error", 0, reason=f"the grader: {type(error).__name__}: {tidy(str(error))}"
            )
        return row

    def mark_copies(self, rows: list[Row]) -> None:
        """Note in each row which others handed in the same bytes."""
        same = defaultdict(list)
        for row in rows:
            if row.digest:
                same[row.digest].append(row.submission.name)
        for row in rows:
            row.same_as = [name for name in same.get(row.digest, []) if name != row.submission.name]


def _line(row: Row) -> str:
    """A row for the log."""
    points = report.number(row.outcome.total) or "no"
    return f"{tidy(row.submission.name)}: {row.outcome.status}, {points} points, seed {row.outcome.seed}"


def _kept(state: Path, key: str) -> Outcome | None:
    """An earlier run's outcome, if it was for the same bytes, homework, grader and seed."""
    try:
        kept = json.loads(state.read_text(encoding="utf-8"))
        same = kept["key"] == key and kept["outcome"]["status"] == "graded"  # what was stopped is tried again
        if same and set(kept["outcome"]) == {field.name for field in fields(Outcome)}:
            return Outcome(**kept["outcome"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def grade_folder(
    homework: Homework, folder: Path, out: Path, seed: int | None = None, jobs: int = 0
) -> list[Row]:
    """Check the sandbox, then grade a folder into `out`; raises Unusable where nothing can be graded safely."""
    sandbox.check()
    return Batch(homework, folder, out, seed, jobs).run()
