"""Unrolled: recurrent networks one can read, run and trust.

Modules, each importing only from those before it: `style`, `device`, `cells`, `tasks`, `corpora` and `plots`;
`unroll`; `language` and `wirings`; `training`.
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
    keep_freed_memory()
    torch.set_num_threads(int(os.environ.get("UNROLLED_THREADS", "1")))
    seed_everything(seed)
