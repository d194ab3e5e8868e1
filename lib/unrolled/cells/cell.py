r"""What every cell has in common: a step `h_t, state = cell(x_t, state)`, sizes, a first state, checks.

Symbols are the lecture's; weights are stored (out, in) as in torch, and a step is written `x @ W.mT`, which is $W x$
for each row of a batch. A leading axis of seeds on every weight trains that many models at once, each on its own.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from unrolled._check import check_count, check_tensor


def detach(state: Any) -> Any:
    """The same numbers without their history: gradients stop here, the forward pass does not notice.

    Args:
        state: what any module of the library returned as its state; nested tuples keep their form.

    Taught in chapter 06, where this line is what makes backpropagation truncated.
    """
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple):
        parts = (detach(part) for part in state)
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    raise TypeError(f"state: expected a tensor or a tuple of them, got {type(state).__name__} {state!r:.60}")


def batched(dims: str, W: Tensor) -> str:
    """The dimensions of what goes into a cell, as `check_tensor` takes them: stacked weights admit an axis of seeds."""
    return f"S? {dims}" if W.dim() > 2 else dims


def check_biases(biases: tuple[Tensor, ...]) -> None:
    """Raise unless there are two biases, as torch has them, or none."""
    if len(biases) not in (0, 2):
        raise ValueError(f"biases: expected torch's two, or none, got {len(biases)}")


def check_step(x_t: Any, state: Any, kind: Any, rows: int, weights: tuple[str, ...], *given: Any) -> None:
    """Raise by name unless the arguments of a step fit: the weights give the sizes, and nothing is broadcast.

    Args:
        x_t: inputs of one time.
        state: the state before the step.
        kind: the class of a state of this cell.
        rows: how many times m rows its weights have.
        weights: the names of the input weights, of the recurrent ones and of the biases that have as many rows.
        given: what was given under these names.
    """
    (W_x, W_h, b), (for_x, for_h, for_b) = given, weights
    check_tensor(for_h, W_h, "... rows m")
    m, all_rows = W_h.shape[-1], "m" if rows == 1 else f"{rows}m"
    size = {all_rows: rows * m}
    check_tensor(for_h, W_h, f"... {all_rows} m", **size)
    check_tensor(for_x, W_x, f"... {all_rows} P", like=W_h, **size)
    check_tensor(for_b, b, f"... {all_rows}", like=W_h, **size)
    check_tensor("x_t", x_t, "... P", P=W_x.shape[-1], like=W_h)
    if not isinstance(state, kind):
        expected = f"{kind.__name__}({', '.join(kind._fields)})"
        raise TypeError(f"state: expected {expected}, got {type(state).__name__} {state!r:.60}")
    for name, part in zip(state._fields, state, strict=True):
        check_tensor(f"state.{name}", part, "... m", m=m, like=W_h)
        if part.shape[:-1][1 - x_t.dim() :] != x_t.shape[:-1] and x_t.dim() > 1:
            shape = (*x_t.shape[:-1], m)
            raise ValueError(f"state.{name}: expected shape {shape}, got {tuple(part.shape)}")


class Cell(nn.Module):
    """What every cell has in common: sizes, a first state, checks, one step.

    A cell says what its state is (`State`, a NamedTuple whose first part is `h`), makes its weights, gives `traced`,
    and exchanges its weights with torch's.

    Args:
        input_size: P, numbers in one input.
        hidden_size: m, numbers in each part of the state.
    """

    State: ClassVar[Any]
    W_x: Tensor  # (rows, P)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)

    @property
    def input_weight(self) -> Tensor:
        """What multiplies the input, (…, P): dtype, device and an axis of seeds are every weight's."""
        return self.W_x

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw every weight anew from torch's global generator."""
        bound = self.hidden_size**-0.5
        for weight in self.parameters():
            weight.uniform_(-bound, bound)

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first input: zeros, (B, m) each, or (S, B, m) with a leading axis of seeds."""
        check_count("batch_size", batch_size)
        W = self.input_weight
        shape = (*W.shape[:-2], batch_size, self.hidden_size)
        return self.State(*(W.new_zeros(shape) for _ in self.State._fields))

    def check_state(self, state: Any, batch_size: int) -> Any:
        """Return `state` if it is one of this cell's that fits the batch, else raise by name."""
        if not isinstance(state, self.State):
            expected = f"{self.State.__name__}({', '.join(self.State._fields)})"
            raise TypeError(f"state: expected {expected}, got {type(state).__name__} {state!r:.60}")
        W = self.input_weight
        for name, part in zip(state._fields, state, strict=True):
            sizes = {"B": batch_size, "m": self.hidden_size}
            check_tensor(f"state.{name}", part, batched("B m", W), like=W, **sizes)
        if any(part.is_inference() for part in state) and not torch.is_inference_mode_enabled():
            return self.State(*(part.clone() for part in state))  # autograd may not keep the others
        return state

    def traced(self, x_t: Tensor, state: Any) -> tuple[Tensor, Any, dict[str, Tensor]]:
        """One step that also tells everything that was computed inside, by name, each (B, m)."""
        raise NotImplementedError

    def forward(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """One step: x_t of shape (B, P) and a state in, h_t of shape (B, m) and the next state out."""
        W = self.input_weight
        check_tensor("x_t", x_t, batched("B P", W), like=W, P=self.input_size)
        B = x_t.shape[-2]
        state = self.initial_state(B) if state is None else self.check_state(state, B)
        h_t, state, _ = self.traced(x_t, state)
        return h_t, state

    def _load(self, name: str, own: Tensor, *given: Tensor) -> None:
        """Copy the sum of tensors into a weight whose size each of them must have."""
        for each in given:
            if not isinstance(each, Tensor) or each.shape != own.shape:
                came = tuple(each.shape) if isinstance(each, Tensor) else repr(each)
                raise ValueError(f"{name}: expected a tensor of shape {tuple(own.shape)}, got {came}")
        own.copy_(sum(given[1:], given[0]) if given else torch.zeros_like(own))

    def extra_repr(self) -> str:
        """The sizes, for `print(cell)`."""
        return f"input_size={self.input_size}, hidden_size={self.hidden_size}"
