"""Where to compute, how to make a run repeatable, and how to train many seeds side by side."""

import ctypes
import os
import platform
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from unrolled._check import check_count

__all__ = ["default_device", "keep_freed_memory", "seed_everything", "stack_seeds", "training_device"]

Model = TypeVar("Model", bound=nn.Module)


def default_device() -> torch.device:
    """The device to compute on: a CUDA GPU if there is one, else the CPU.

    The environment variable `UNROLLED_DEVICE` overrides the choice (`cpu`, `cuda`, `cuda:1`, `mps`). Apple's
    `mps` is never chosen unasked: it has no float64, which the book's exact comparisons need.

    Raises:
        ValueError: `UNROLLED_DEVICE` names a device that torch does not know.
    """
    wanted = os.environ.get("UNROLLED_DEVICE")
    if wanted:
        try:
            return torch.device(wanted)
        except RuntimeError as error:
            raise ValueError(
                f"UNROLLED_DEVICE: expected a torch device such as 'cpu' or 'cuda', got {wanted!r}"
            ) from error
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_device(name: str = "auto") -> torch.device:
    """The device of a run.

    Args:
        name: a device such as `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`; `"auto"` takes what `UNROLLED_DEVICE` names,
            else cuda, mps or cpu, the first there is.

    Raises:
        ValueError: no such device.
    """
    if name == "auto":
        device = default_device()
        asked = os.environ.get("UNROLLED_DEVICE")
        if asked and not _has(device.type):
            raise ValueError(f"UNROLLED_DEVICE: expected a device of this machine, got {asked!r}")
        return torch.device("mps") if not asked and device.type == "cpu" and _has("mps") else device
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device: expected auto, cpu, cuda or mps, got {name!r}") from error
    if not _has(device.type):
        raise ValueError(f"device: expected a device of this machine, got {name!r}")
    return device


def _has(kind: str) -> bool:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return there.get(kind, False)


def keep_freed_memory() -> bool:
    """Have this process keep the memory that one training step frees, for the next step to use.

    By default glibc hands large blocks back to the system, and the next step pays for every page of them again: up to
    half of the time where a batch is long and wide. What is kept is at most what a step needed.

    Returns:
        Whether the C library is glibc and took the two settings; elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_threshold, limit = -1, -3, 1 << 30  # as malloc.h numbers them; bytes
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(which, limit) == 1 for which in (mmap_threshold, trim_threshold))


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, so that one number repeats a run on the same machine and versions."""
    if check_count("seed", seed, least=0) >= 2**32:  # what numpy takes
        raise ValueError(f"seed: expected a whole number below 2**32, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def stack_seeds(build: Callable[[], Model], seeds: Sequence[int]) -> Model:
    """Many models in one, each started from its own seed: every weight gains a leading axis of seeds.

    A step is written `x @ W.mT + b`, so weights of shape (S, out, in) turn one batch into S batches, one a
    model, in a single batched product. No number of one model reaches another.

    Args:
        build: makes one model from torch's global generator, for example `lambda: RNN(3, 16)`.
        seeds: S whole numbers. Model s is exactly what `torch.manual_seed(seeds[s]); build()` gives.

    Returns:
        A model whose weights are (S, out, in) and whose biases are (S, 1, out), with `num_seeds` = S. It
        takes inputs (B, T, P), the same for all, or (S, B, T, P), and gives outputs (S, B, T, m).

    Raises:
        TypeError, ValueError: no seeds, or one that is no whole number; a `build` that gives the same model again.

    torch's global generator is left as it was.
    """
    if len(seeds) == 0:
        raise ValueError("seeds: expected at least one whole number, got none")
    models = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(check_count("seeds", seed, least=0))
            models.append(build())
    if len({id(model) for model in models}) < len(models):
        raise ValueError("build: expected a new model at each call, got the same one again")
    stacked = models[0]
    for path, weight in list(stacked.named_parameters()):
        parent, _, name = path.rpartition(".")
        columns = torch.stack([model.get_parameter(path).detach() for model in models])
        if weight.dim() == 1:
            columns = columns.unsqueeze(1)  # (S, 1, out): a bias is added to every row of a batch
        setattr(
            stacked.get_submodule(parent), name, nn.Parameter(columns, requires_grad=weight.requires_grad)
        )
    stacked.num_seeds = len(seeds)  # type: ignore[assignment]
    return stacked
