"""A run of seconds, and what its checkpoints hold. Used by the tests of runs."""

import pytest
import torch

from unrolled.models.checkpoints import listed
from unrolled.models.pairs import read_pair
from unrolled.training import Recipe, Run, run
from unrolled.training._ranks import Ranks

TOY = Recipe(
    corpus="hello", cell="lstm", hidden_size=8, embedding_size=4, updates=13, batch_size=4, num_steps=40, warmup=3,
    evaluate_every=5, checkpoint_every=4,
)  # fmt: skip
ONE = Ranks(torch.device("cpu"))


def tensors_of(folder):
    """What a run's newest checkpoint holds."""
    return read_pair(listed(folder, "checkpoint")[0]).tensors


def assert_same_bits(a, b):
    """Raise unless two checkpoints hold the same, to the bit."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


class _Killed(BaseException):
    pass


def stopped(recipe, folder, after, monkeypatch, device="auto"):
    """A run that ends abruptly after so many updates."""
    with monkeypatch.context() as patched:
        real = Run.update

        def update(self):
            if self.done == after:
                raise _Killed
            real(self)

        patched.setattr(Run, "update", update)
        with pytest.raises(_Killed):
            run(recipe, folder, device=device, progress=False)
