"""The command `unrolled`: train, sample, evaluate and look into character models from a terminal.

Each command is a thin layer over `unrolled.training` and `unrolled.models`.
"""

from unrolled.cli.commands import app, main

__all__ = ["app", "main"]
