"""The one product that a recurrent network repeats at every step: with the same matrix, which may be packed for it."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["adding_product"]

_WORTH_PACKING = 4 * 256 * 256  # numbers in the matrix; smaller ones gain nothing: `make bench`


def adding_product(W: Tensor, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A function (x, c) that gives $c + x W^T$, for the same W many times; it may use c's memory for the result.

    On a CPU a large W is laid out once as oneDNN reads it fastest, by the operators that torch's own compiler calls for
    a linear layer. Where torch does not have them, and for everything else, it is `addmm_`.

    Args:
        W: (out, in).
        rows: how many x will have.
    """
    if W.device.type == "cpu" and W.dtype == torch.float32 and W.numel() >= _WORTH_PACKING and _has_packing():
        packed = torch.ops.mkldnn._reorder_linear_weight(W.contiguous(), rows)
        fused = torch.ops.mkldnn._linear_pointwise.binary
        return lambda x, c: fused(x, c, packed, None, "add")
    W_T = W.mT
    return lambda x, c: c.addmm_(x, W_T)


def _has_packing() -> bool:
    """Whether this build of torch has oneDNN, switched on, and the two operators."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return all(hasattr(torch.ops.mkldnn, name) for name in names)
