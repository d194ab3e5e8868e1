r"""The vanilla cell: its step, its state, and the function that bends its pre-activation."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unrolled._check import check_choice
from unrolled.cells.cell import Cell, check_biases, check_step

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

    Raises:
        TypeError, ValueError: an argument of the wrong type, size, dtype or device, by name.

    Source: Elman (1990). Taught in chapter 02; tested against `torch.nn.RNN`.
    """
    check_step(x_t, state, RNNState, 1, ("W_xh", "W_hh", "b_h"), W_xh, W_hh, b_h)
    h_t = nonlinearity(_pre_activation(x_t, state, W_xh, W_hh, b_h))
    return h_t, RNNState(h_t)


def _pre_activation(x_t: Tensor, state: RNNState, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> Tensor:
    return x_t @ W_xh.mT + state.h @ W_hh.mT + b_h  # (B, m)


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

    @property
    def input_weight(self) -> Tensor:
        """What multiplies the input, (…, P)."""
        return self.W_xh

    def traced(self, x_t: Tensor, state: RNNState) -> tuple[Tensor, RNNState, dict[str, Tensor]]:
        """One step that also tells what happened inside: the pre-activation `a` and the state `h`, each (B, m)."""
        a_t = _pre_activation(x_t, state, self.W_xh, self.W_hh, self.b_h)
        h_t = NONLINEARITIES[self.nonlinearity](a_t)
        return h_t, RNNState(h_t), {"a": a_t, "h": h_t}

    def to_torch_weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights as `torch.nn.RNN` has them: it adds two biases; ours is the first and the second is zero."""
        return self.W_xh, self.W_hh, self.b_h, torch.zeros_like(self.b_h)

    @torch.no_grad()
    def load_torch_weights(self, W_ih: Tensor, W_hh: Tensor, *biases: Tensor) -> None:
        """Copy weights of a `torch.nn.RNN`; its two biases, if it has any, become their sum."""
        check_biases(biases)
        self._load("W_ih", self.W_xh, W_ih)
        self._load("W_hh", self.W_hh, W_hh)
        self._load("biases", self.b_h, *biases)

    def extra_repr(self) -> str:
        """The sizes, for `print(cell)`."""
        return f"{super().extra_repr()}, nonlinearity={self.nonlinearity!r}"
