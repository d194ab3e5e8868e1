r"""The LSTM: two states and three gates. A gate is a vector of numbers between 0 and 1 that another is multiplied by.

The gates stand one after another in the rows of each weight matrix, in the order of torch.nn: i, f, g, o, where g is
the candidate $\tilde C_t$.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unrolled._check import check_choice, check_number
from unrolled.cells.cell import Cell, check_biases, check_step

# The rows of an LSTM's weights, m for each: input gate, forget gate, candidate (C_tilde), output gate.
GATES = ("i", "f", "g", "o")


class LSTMState(NamedTuple):
    """What an LSTM carries from step t-1 to step t: the hidden state and the cell state, (B, m) each."""

    h: Tensor
    C: Tensor


def lstm_step(
    x_t: Float[Tensor, "... B P"],
    state: LSTMState,
    W_x: Float[Tensor, "... gates P"],
    W_h: Float[Tensor, "... gates m"],
    b: Float[Tensor, "... gates"],
) -> tuple[Float[Tensor, "... B m"], LSTMState]:
    r"""One step of an LSTM: forget, write, then show.

    $$i_t, f_t, o_t = \sigma(W x_t + W' h_{t-1} + b) \text{ each with weights of its own},
    \qquad \tilde C_t = \tanh(W_C x_t + W'_C h_{t-1} + b_C),$$
    $$C_t = f_t \odot C_{t-1} + i_t \odot \tilde C_t, \qquad h_t = o_t \odot \tanh(C_t).$$

    Args:
        x_t: inputs of one time, (B, P).
        state: hidden state and cell state before the step, (B, m) each.
        W_x: input weights of the four gates, (4m, P), in the order of `GATES`.
        W_h: recurrent weights, (4m, m).
        b: biases, (4m,); with a leading axis of seeds S on every weight, (S, 1, 4m).

    Returns:
        The new hidden state (B, m), and the new state.

    Raises:
        TypeError, ValueError: an argument of the wrong type, size, dtype or device, by name.

    Source: Hochreiter and Schmidhuber (1997); the forget gate: Gers et al. (2000). Taught in chapter 07; tested
    against `torch.nn.LSTM`.
    """
    check_step(x_t, state, LSTMState, 4, ("W_x", "W_h", "b"), W_x, W_h, b)
    inside = _lstm(x_t, state, W_x, W_h, b)
    return inside["h"], LSTMState(inside["h"], inside["C"])


def _lstm(
    x_t: Tensor, state: LSTMState, W_x: Tensor, W_h: Tensor, b: Tensor, rows: tuple[str, ...] = GATES
) -> dict[str, Tensor]:
    a_t = (x_t @ W_x.mT + state.h @ W_h.mT + b).chunk(len(rows), dim=-1)  # (B, m) each
    a = dict(zip(rows, a_t, strict=True))
    g_t = torch.tanh(a["g"])  # the candidate, C_tilde
    # How much of the candidate is written, of the cell state kept, and of it shown; all of it where there is no gate.
    i_t, f_t, o_t = (torch.sigmoid(a[gate]) if gate in a else torch.ones_like(g_t) for gate in "ifo")
    C_t = f_t * state.C + i_t * g_t
    h_t = o_t * torch.tanh(C_t)
    return {"i": i_t, "f": f_t, "g": g_t, "o": o_t, "C": C_t, "h": h_t}


class LSTMCell(Cell):
    r"""An LSTM cell: two states, three gates and a candidate. See `lstm_step`.

    Weights start uniform on $\pm 1/\sqrt{m}$, torch's default, and the forget gate's bias gets `forget_bias` on top, so
    that an untrained cell keeps most of what it holds: $\sigma(1) = 0.73$ a step, where $\sigma(0)$ would halve it.

    Args:
        input_size: P.
        hidden_size: m, numbers in each of the two states.
        forget_bias: what the forget gate's bias starts around; 0 is torch's own start.
        without: a gate to leave out, `"i"`, `"f"` or `"o"`: it is 1 at every step, has no rows in the weights, and the
            other gates keep their order. Without f nothing is ever forgotten, as in 1997, and `forget_bias` does
            nothing.

    Raises:
        TypeError, ValueError: an argument or input of the wrong type, rank or size, by name.

    Source: Hochreiter and Schmidhuber (1997), Gers et al. (2000); a gate left out: Greff et al. (2017). Taught in
    chapter 07; tested against `torch.nn.LSTM`.
    """

    State = LSTMState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = 1.0,
        without: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        P, m = self.input_size, self.hidden_size
        self.forget_bias = check_number("forget_bias", forget_bias)
        self.without = without if without is None else check_choice("without", without, ("i", "f", "o"))
        self.rows = tuple(gate for gate in GATES if gate != without)  # m rows of the weights for each
        self.W_x = nn.Parameter(torch.empty(len(self.rows) * m, P, device=device, dtype=dtype))
        self.W_h = nn.Parameter(torch.empty(len(self.rows) * m, m, device=device, dtype=dtype))
        self.b = nn.Parameter(torch.empty(len(self.rows) * m, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every weight anew, then open the forget gate by `forget_bias`."""
        super().reset_parameters()
        if "f" in self.rows:
            with torch.no_grad():
                self.b.chunk(len(self.rows), dim=-1)[self.rows.index("f")].add_(self.forget_bias)

    def traced(self, x_t: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState, dict[str, Tensor]]:
        """One step, and every gate and state it made: i, f, g (the candidate), o, C and h, each (B, m).

        A gate that was left out stands there as ones.
        """
        inside = _lstm(x_t, state, self.W_x, self.W_h, self.b, self.rows)
        return inside["h"], LSTMState(inside["h"], inside["C"]), inside

    def _all_gates(self) -> None:
        if self.without is not None:
            raise ValueError(
                f"without: torch has no LSTM with a gate left out, expected None, got {self.without!r}"
            )

    def to_torch_weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights as `torch.nn.LSTM` has them: our bias is the first of its two, the second is zero."""
        self._all_gates()
        return self.W_x, self.W_h, self.b, torch.zeros_like(self.b)

    @torch.no_grad()
    def load_torch_weights(self, W_ih: Tensor, W_hh: Tensor, *biases: Tensor) -> None:
        """Copy weights of a `torch.nn.LSTM`; its two biases, if it has any, become their sum."""
        self._all_gates()
        check_biases(biases)
        self._load("W_ih", self.W_x, W_ih)
        self._load("W_hh", self.W_h, W_hh)
        self._load("biases", self.b, *biases)

    def extra_repr(self) -> str:
        """The sizes, and the gate that was left out, for `print(cell)`."""
        return super().extra_repr() + (f", without={self.without!r}" if self.without else "")
