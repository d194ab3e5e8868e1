"""Unrolled: recurrent networks one can read, run and trust.

Rooms, each importing only from those before it:

- `device`: where to compute, seeds
- `cells`: one step of a cell and its state
- `bptt`: forward and backward through time, derived by hand
- `networks`: a cell over whole sequences
- `data`: texts, tasks and the stream that training reads
- `models`: networks with inputs and outputs: the wirings, the character model
- `training`: loops, recipes, runs that can be taken up again
- `probes`: measure, never draw
- `practice`: write it yourself, with checkers that name the slip
- `figures`: draw, never measure
- `cli`: the command `unrolled`
"""

import os

__version__ = "0.1.0"
__all__ = ["__version__", "setup"]


def setup(seed: int = 0) -> None:
    """Prepare a notebook: the book's figure style, one thread, a fixed seed.

    One thread because a second one slows small steps down on a busy machine, and because sums are then always
    taken in the same order.

    Args:
        seed: the number that makes every random draw repeatable.
    """
    import torch

    from unrolled.device import keep_freed_memory, seed_everything
    from unrolled.figures.style import use_style

    use_style()
    _twice_the_pixels()
    keep_freed_memory()
    threads = os.environ.get("UNROLLED_THREADS", "1")
    if not threads.isdecimal() or not 0 < int(threads) <= 4096:
        raise ValueError(f"UNROLLED_THREADS: expected a whole number from 1 to 4096, got {threads!r}")
    torch.set_num_threads(int(threads))
    seed_everything(seed)


def _twice_the_pixels() -> None:
    """Have a notebook's figures drawn at twice their size in pixels, so that they are sharp on a dense screen."""
    import sys

    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # another front end, which draws in its own way
        return
    set_matplotlib_formats("retina")
