"""The one product that a recurrent network repeats at every step: with the same matrix, which may be packed for it."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_WORTH_PACKING = 4 * 256 * 256  # numbers in the matrix; smaller ones gain nothing: `make bench`


def adding_product(W_T: Tensor, rows: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A function (x, c, out) that gives $c + x W^T$, for the same W many times: in `out`, or in memory of its own.

    Where it pays, a large W is laid out once as oneDNN reads it fastest, by the operators that torch's own compiler
    calls for a linear layer. For everything else, and where torch does not have them, it is `addmm`.

    Args:
        W_T: the matrix transposed, (in, out).
        rows: how many x will have.
    """
    if W_T.device.type == "cpu" and W_T.dtype == torch.float32 and W_T.numel() >= _WORTH_PACKING and _packs():
        packed = torch.ops.mkldnn._reorder_linear_weight(W_T.mT.contiguous(), rows)
        fused = torch.ops.mkldnn._linear_pointwise.binary
        return lambda x, c, out: fused(x, c, packed, None, "add")
    W_T = W_T.contiguous()  # row by row, which these products are faster in
    return lambda x, c, out: torch.addmm(c, x, W_T, out=out)


@functools.cache
def _packs() -> bool:
    """Whether packing pays: on AMD's processors it does, on Intel's, where MKL is at home, it costs; and if it can."""
    describe: Callable[[], dict[str, Any]] = getattr(
        torch.cpu, "get_capabilities", dict
    )  # newer torches tell
    return "AMD" in describe().get("cpu_name", "") and _has_packing()


def _has_packing() -> bool:
    """Whether this build of torch has oneDNN, switched on, and the two operators."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return all(hasattr(torch.ops.mkldnn, name) for name in names)
