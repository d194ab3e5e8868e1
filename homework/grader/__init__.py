"""The grader: student code in a sandbox, everything it says compared outside. See homework/README.md.

`questions` and `expressions` are what a homework is written with; `grade` grades one notebook, `batch` a folder of
them; `bwrap`, `seccomp` and `sandbox` hold the code that is graded, and `inside` runs there.
"""

from homework.grader.bwrap import Unusable
from homework.grader.expressions import (
    Attr,
    Call,
    Expr,
    Generator,
    Grads,
    Item,
    Let,
    Name,
    Tensor,
    Try,
    tensors,
)
from homework.grader.grade import Outcome, grade_cells
from homework.grader.questions import (
    BadHomework,
    Check,
    Homework,
    Limits,
    Question,
    Written,
    load,
    seed_fault,
)

__all__ = [
    "Attr",
    "BadHomework",
    "Call",
    "Check",
    "Expr",
    "Generator",
    "Grads",
    "Homework",
    "Item",
    "Let",
    "Limits",
    "Name",
    "Outcome",
    "Question",
    "Tensor",
    "Try",
    "Unusable",
    "Written",
    "grade_cells",
    "load",
    "seed_fault",
    "tensors",
]
