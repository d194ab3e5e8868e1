"""What a homework's Gradescope zip carries beside Otter's own files.

On Gradescope a notebook and its tests share one process, whatever the tests do: a hostile notebook can read them,
change them and write its own results. The container is all that protects. `make grade` is the way that is safe.
"""

# One part of one question, as a test of Otter's exception-based format.
TEST = '''\
""" # BEGIN TEST CONFIG
hidden: true
points: {points}
""" # END TEST CONFIG
def test_{question}_{number}(env):
    import hidden_checks

    hidden_checks.ask(env, {question!r}, {part!r})
'''

# hidden_checks.py: draws fresh inputs, asks as the grader does, compares as the grader does.
KEEP_SUPPORT = '''\
"""Asks what the grader asks, in this process."""

import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "homework" / "grader" / "inside")]

from answers import answer
from homework.grader.expressions import wire
from homework.grader.grade import draw, judge
from homework.grader.questions import load

HOMEWORK = load(HERE / "homework" / "{name}")
SEED = secrets.randbits(48)
CHECKS = dict(zip((question.name for question in HOMEWORK.asked), draw(HOMEWORK, SEED), strict=True))


def ask(env, question, part):
    """Raise where a check of this part finds a fault, and say which."""
    for check in CHECKS[question]:
        if check.part == part:
            fault = judge(check, answer(wire(check.ask), env), question)
            assert fault is None, f"{{part}}: {{fault}}"
'''

# run_autograder: what Gradescope waits for is written first, then comes Otter's command with a limit on its time.
RUN = """\
#!/bin/bash
export PATH=/root/miniforge3/bin:$PATH
mkdir -p /autograder/results
rm -f /autograder/results/results.json
python3 /autograder/source/always_results.py /autograder/results/results.json begun
eval "$(mamba shell hook --shell bash)"
mamba activate otter-env
timeout --kill-after=10 {seconds} python /autograder/source/run_otter.py
python3 /autograder/source/always_results.py /autograder/results/results.json $?
"""
SECONDS = 540  # Gradescope itself ends a run after ten minutes, unless it is told otherwise

# always_results.py: a notebook that could not be graded is said to be so, and not just given no points.
RESULTS = '''\
"""Leave a results.json that Gradescope can read, whatever becomes of the grading."""

import json
import os
import sys

path, status = sys.argv[1:]
why = {"begun": "did not come to its end", "124": "took too long"}
why["137"] = "took too long or too much memory"
said = (
    f"NOT GRADED. The grading of this notebook {why.get(status, f'ended with status {status}')}. Restart the kernel, "
    "run all cells from top to bottom, and hand it in again; if it happens again, tell your instructor. "
    "The 0 is no grade."
)
try:
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    whole = isinstance(found, dict) and ("score" in found or "tests" in found)
    whole = whole and not str(found.get("output", "")).startswith("NOT GRADED")
except (OSError, ValueError, RecursionError):
    whole = False
if not whole:
    test = {"name": "Not graded", "score": 0, "max_score": 0, "status": "failed", "output": said}
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({"score": 0, "output": said, "tests": [test]}, file)
    os.replace(f"{path}.new", path)
'''
