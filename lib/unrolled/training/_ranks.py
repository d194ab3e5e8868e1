"""The processes that `torchrun` started for one run, or the one there is without it."""

import os
from types import TracebackType

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def _counted(name: str, default: str) -> int:
    """A whole number that torchrun leaves in the environment."""
    value = os.environ.get(name, default)
    if not value.isdecimal():
        raise ValueError(f"{name}: expected a whole number, as torchrun sets it, got {value!r}")
    return int(value)


class Ranks:
    """Who takes part in a run; as a context it joins the others and takes leave of them.

    Each process reads its own rows of every batch and holds a copy of the model, and DistributedDataParallel averages
    their gradients: equal shares of rows make that the gradient of the whole batch.

    Args:
        device: where to compute; a bare `cuda` becomes this process's own GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.size, self.rank = _counted("WORLD_SIZE", "1"), _counted("RANK", "0")
        if self.size > 1 and "RANK" not in os.environ:
            raise ValueError(
                f"RANK: expected the number of this process, as WORLD_SIZE is {self.size}, got none"
            )
        if device.type == "cuda" and device.index is None and self.size > 1:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if device.type not in ("cpu", "cuda") and self.size > 1:
            raise ValueError(f"device: expected cpu or cuda for {self.size} processes, got {device.type}")
        self.device = device

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def __enter__(self) -> "Ranks":
        if self.size > 1:
            if self.device.type == "cuda":
                torch.cuda.set_device(self.device)
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size > 1:
            dist.destroy_process_group()

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over all processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(
            model, device_ids=[self.device] if self.device.type == "cuda" else None
        )

    def rows(self, batch_size: int) -> slice:
        """This process's rows of a batch."""
        share = batch_size // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.size == 1:
            return value
        value = value.clone()
        dist.all_reduce(value)
        return value / self.size

    def gather(self, part: Tensor) -> Tensor:
        """The parts of all processes, one after another along the first axis, on the CPU."""
        if self.size == 1:
            return part.cpu()
        here = part.to(self.device).contiguous()
        parts = [torch.empty_like(here) for _ in range(self.size)]
        dist.all_gather(parts, here)
        return torch.cat(parts).cpu()

    def from_first(self, number: float) -> float:
        """The number that the first process has."""
        if self.size == 1:
            return number
        shared = torch.tensor([number], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return float(shared)


def device_random(device: torch.device) -> Tensor:
    """The state of a GPU's own source of randomness."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.mps.get_rng_state()


def set_device_random(device: torch.device, state: Tensor) -> None:
    """Go on from a state that `device_random` gave."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.mps.set_rng_state(state)
