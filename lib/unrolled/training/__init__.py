"""How a model is trained: the loop a chapter shows, and long runs that can be stopped and taken up again.

`fit` and `train` are short; `run` adds recipes, precisions, several processes and checkpoints.
"""

from unrolled.training._state import Run
from unrolled.training.loops import Config, History, clip_gradient, cross_entropy, evaluate, fit, train
from unrolled.training.recipes import CORPORA, PRECISIONS, SCHEDULES, Recipe, open_corpus, read_recipe
from unrolled.training.runs import WINDOW, in_units, losses_on, run, stored_recipe

__all__ = [
    "CORPORA",
    "PRECISIONS",
    "SCHEDULES",
    "WINDOW",
    "Config",
    "History",
    "Recipe",
    "Run",
    "clip_gradient",
    "cross_entropy",
    "evaluate",
    "fit",
    "in_units",
    "losses_on",
    "open_corpus",
    "read_recipe",
    "run",
    "stored_recipe",
    "train",
]
