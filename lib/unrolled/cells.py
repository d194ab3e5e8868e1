r"""One step of a recurrent network: a state and an input come in, an output and the next state go out.

Every cell is called as `h_t, state = cell(x_t, state)`. Symbols are the lecture's; weights are stored
(out, in) as in torch, and a step is written `x @ W.mT`, which is $W x$ for each row of a batch. A
leading axis of seeds on every weight trains that many models at once, each on its own.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unrolled._check import check_choice, check_count, check_tensor

__all__ = ["DERIVATIVES", "NONLINEARITIES", "Cell", "RNNCell", "RNNState", "detach", "rnn_step"]

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "linear": lambda a_t: a_t,
}

# The derivative of each, written with the state it produced: tanh'(a) = 1 - h^2.
DERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda h_t: torch.addcmul(h_t.new_ones(()), h_t, h_t, value=-1),  # in one pass
    "relu": lambda h_t: (h_t > 0).to(h_t.dtype),
    "linear": torch.ones_like,
}


class RNNState(NamedTuple):
    """What a vanilla RNN carries from step t-1 to step t: the hidden state, of shape (B, m)."""

    h: Tensor


def rnn_step(
    x_t: Float[Tensor, "... B P"],
    state: RNNState,
    W_xh: Float[Tensor, "... m P"],
    W_hh: Float[Tensor, "... m m"],
    b_h: Float[Tensor, "... m"],
    nonlinearity: Callable[[Tensor], Tensor] = torch.tanh,
) -> tuple[Float[Tensor, "... B m"], RNNState]:
    r"""One step of a vanilla (Elman) RNN: $h_t = \tanh(W_{hh} h_{t-1} + W_{xh} x_t + b_h)$.

    Args:
        x_t: inputs of one time, (B, P).
        state: the hidden state before the step, (B, m).
        W_xh: input weights, (m, P).
        W_hh: recurrent weights, (m, m).
        b_h: bias, (m,); with a leading axis of seeds S on every weight, (S, 1, m).
        nonlinearity: the function applied to each number of the pre-activation.

    Returns:
        The new hidden state (B, m), as output and as state.

    Source: Elman (1990). Taught in chapter 02; tested against `torch.nn.RNN`.
    """
    a_t = x_t @ W_xh.mT + state.h @ W_hh.mT + b_h  # (B, m)
    h_t = nonlinearity(a_t)
    return h_t, RNNState(h_t)


def detach(state: Any) -> Any:
    """The same numbers without their history: gradients stop here, the forward pass does not notice.

    Args:
        state: what any module of the library returned as its state; nested tuples keep their form.

    Taught in chapter 05, where this line is what makes backpropagation truncated.
    """
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple):
        parts = (detach(part) for part in state)
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    raise TypeError(f"state: expected a tensor or a tuple of them, got {type(state).__name__} {state!r:.60}")


class Cell(nn.Module):
    """What every cell has in common: sizes, a first state, checks, one step.

    A cell says what its state is (`State`, a NamedTuple whose first part is `h`), makes its weights, gives `traced`,
    and exchanges its weights with torch's.

    Args:
        input_size: P, numbers in one input.
        hidden_size: m, numbers in each part of the state.
    """

    State: ClassVar[Any]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw every weight anew from torch's global generator."""
        bound = self.hidden_size**-0.5
        for weight in self.parameters():
            weight.uniform_(-bound, bound)

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first input: zeros, (B, m) each, or (S, B, m) with a leading axis of seeds."""
        check_count("batch_size", batch_size)
        W = next(self.parameters())
        zeros = W.new_zeros(*W.shape[:-2], batch_size, self.hidden_size)
        return self.State(*[zeros] * len(self.State._fields))

    def check_state(self, state: Any, batch_size: int) -> Any:
        """Return `state` if it is one of this cell's that fits the batch, else raise by name."""
        if not isinstance(state, self.State):
            expected = f"{self.State.__name__}({', '.join(self.State._fields)})"
            raise TypeError(f"state: expected {expected}, got {type(state).__name__} {state!r:.60}")
        for name, part in zip(state._fields, state, strict=True):
            check_tensor(f"state.{name}", part, "... B m", B=batch_size, m=self.hidden_size)
        return state

    def traced(self, x_t: Tensor, state: Any) -> tuple[Tensor, Any, dict[str, Tensor]]:
        """One step that also tells everything that was computed inside, by name, each (B, m)."""
        raise NotImplementedError

    def forward(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """One step: x_t of shape (B, P) and a state in, h_t of shape (B, m) and the next state out."""
        check_tensor("x_t", x_t, "... B P", P=self.input_size)
        B = x_t.shape[-2]
        state = self.initial_state(B) if state is None else self.check_state(state, B)
        h_t, state, _ = self.traced(x_t, state)
        return h_t, state

    def extra_repr(self) -> str:
        """The sizes, for `print(cell)`."""
        return f"input_size={self.input_size}, hidden_size={self.hidden_size}"


class RNNCell(Cell):
    r"""A vanilla RNN cell: $h_t = \xi(W_{hh} h_{t-1} + W_{xh} x_t + b_h)$ with $\xi$ = tanh, ReLU or nothing.

    Weights start uniform on $\pm 1/\sqrt{m}$, torch's default. One bias serves, where `torch.nn.RNN` has two
    that are only ever added.

    Args:
        input_size: P, numbers in one input.
        hidden_size: m, numbers in the hidden state.
        nonlinearity: `"tanh"`, `"relu"` or `"linear"`.

    Raises:
        TypeError, ValueError: an argument or input of the wrong type, rank or size, by name.

    Source: Elman (1990). Taught in chapter 02; tested against `torch.nn.RNN`.
    """

    State = RNNState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        P, m = self.input_size, self.hidden_size
        self.nonlinearity = check_choice("nonlinearity", nonlinearity, NONLINEARITIES)
        self.W_xh = nn.Parameter(torch.empty(m, P, device=device, dtype=dtype))
        self.W_hh = nn.Parameter(torch.empty(m, m, device=device, dtype=dtype))
        self.b_h = nn.Parameter(torch.empty(m, device=device, dtype=dtype))
        self.reset_parameters()

    def traced(self, x_t: Tensor, state: RNNState) -> tuple[Tensor, RNNState, dict[str, Tensor]]:
        """One step that also tells what happened inside: the pre-activation `a` and the state `h`, each (B, m)."""
        a_t, _ = rnn_step(x_t, state, self.W_xh, self.W_hh, self.b_h, NONLINEARITIES["linear"])
        h_t = NONLINEARITIES[self.nonlinearity](a_t)
        return h_t, RNNState(h_t), {"a": a_t, "h": h_t}

    def to_torch_weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights as `torch.nn.RNN` has them: it adds two biases; ours is the first and the second is zero."""
        return self.W_xh, self.W_hh, self.b_h, torch.zeros_like(self.b_h)

    @torch.no_grad()
    def load_torch_weights(self, W_ih: Tensor, W_hh: Tensor, *biases: Tensor) -> None:
        """Copy weights of a `torch.nn.RNN`; its two biases, if it has any, become their sum."""
        self.W_xh.copy_(W_ih)
        self.W_hh.copy_(W_hh)
        self.b_h.copy_(sum(biases, torch.zeros_like(self.b_h)))

    def extra_repr(self) -> str:
        """The sizes, for `print(cell)`."""
        return f"{super().extra_repr()}, nonlinearity={self.nonlinearity!r}"
