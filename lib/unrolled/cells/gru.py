r"""The GRU, in torch's variant: one state, two gates; the rows of its weights in the order r, z, n (the candidate)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unrolled._check import check_tensor
from unrolled.cells.cell import Cell, check_biases, check_step


class GRUState(NamedTuple):
    """What a GRU carries from step t-1 to step t: the hidden state, (B, m)."""

    h: Tensor


def gru_step(
    x_t: Float[Tensor, "... B P"],
    state: GRUState,
    W_x: Float[Tensor, "... gates P"],
    W_h: Float[Tensor, "... gates m"],
    b: Float[Tensor, "... gates"],
    b_n: Float[Tensor, "... m"],
) -> tuple[Float[Tensor, "... B m"], GRUState]:
    r"""One step of a GRU, in torch's variant: the candidate's recurrent part has a bias of its own.

    $$r_t, z_t = \sigma(\ldots), \qquad n_t = \tanh(W_n x_t + b + r_t \odot (W'_n h_{t-1} + b_n)),
    \qquad h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}.$$

    Args:
        x_t: inputs of one time, (B, P).
        state: the hidden state before the step, (B, m).
        W_x: input weights of reset gate, update gate and candidate, (3m, P).
        W_h: recurrent weights, (3m, m).
        b: biases, (3m,); with a leading axis of seeds S on every weight, (S, 1, 3m).
        b_n: the bias of the candidate's recurrent part, (m,).

    Returns:
        The new hidden state (B, m), and the new state.

    Raises:
        TypeError, ValueError: an argument of the wrong type, size, dtype or device, by name.

    Source: Cho et al. (2014), as torch.nn.GRU has it. Taught in chapter 08; tested against `torch.nn.GRU`.
    """
    check_step(x_t, state, GRUState, 3, ("W_x", "W_h", "b"), W_x, W_h, b)
    check_tensor("b_n", b_n, "... m", m=W_h.shape[-1], like=W_h)
    inside = _gru(x_t, state, W_x, W_h, b, b_n)
    return inside["h"], GRUState(inside["h"])


def _gru(x_t: Tensor, state: GRUState, W_x: Tensor, W_h: Tensor, b: Tensor, b_n: Tensor) -> dict[str, Tensor]:
    x_r, x_z, x_n = (x_t @ W_x.mT + b).chunk(3, dim=-1)  # (B, m) each
    h_r, h_z, h_n = (state.h @ W_h.mT).chunk(3, dim=-1)
    r_t = torch.sigmoid(x_r + h_r)  # how much of the old state the candidate sees
    z_t = torch.sigmoid(x_z + h_z)  # how much of the old state stays
    n_t = torch.tanh(x_n + r_t * (h_n + b_n))  # the candidate
    return {"r": r_t, "z": z_t, "n": n_t, "h": (1 - z_t) * n_t + z_t * state.h}


class GRUCell(Cell):
    r"""A GRU cell: one state, two gates and a candidate. See `gru_step`.

    Weights start uniform on $\pm 1/\sqrt{m}$, torch's default.

    Args:
        input_size: P.
        hidden_size: m.

    Raises:
        TypeError, ValueError: an argument or input of the wrong type, rank or size, by name.

    Source: Cho et al. (2014). Taught in chapter 08; tested against `torch.nn.GRU`.
    """

    State = GRUState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        P, m = self.input_size, self.hidden_size
        self.W_x = nn.Parameter(torch.empty(3 * m, P, device=device, dtype=dtype))
        self.W_h = nn.Parameter(torch.empty(3 * m, m, device=device, dtype=dtype))
        self.b = nn.Parameter(torch.empty(3 * m, device=device, dtype=dtype))
        self.b_n = nn.Parameter(torch.empty(m, device=device, dtype=dtype))
        self.reset_parameters()

    def traced(self, x_t: Tensor, state: GRUState) -> tuple[Tensor, GRUState, dict[str, Tensor]]:
        """One step, and every gate and state it made: r, z, n (the candidate) and h, each (B, m)."""
        inside = _gru(x_t, state, self.W_x, self.W_h, self.b, self.b_n)
        return inside["h"], GRUState(inside["h"]), inside

    def to_torch_weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights as `torch.nn.GRU` has them: its second bias is zero but for the candidate's part."""
        return (
            self.W_x,
            self.W_h,
            self.b,
            torch.cat([torch.zeros_like(self.b[: 2 * self.hidden_size]), self.b_n]),
        )

    @torch.no_grad()
    def load_torch_weights(self, W_ih: Tensor, W_hh: Tensor, *biases: Tensor) -> None:
        """Copy weights of a `torch.nn.GRU`; the gates' two biases, if there are any, become their sum."""
        check_biases(biases)
        self._load("W_ih", self.W_x, W_ih)
        self._load("W_hh", self.W_h, W_hh)
        self._load("biases", self.b, *biases)  # the sum is right for both gates
        m = self.hidden_size
        b_ih, b_hh = biases or (torch.zeros_like(self.b),) * 2
        self.b[2 * m :] = b_ih[2 * m :]
        self.b_n.copy_(b_hh[2 * m :])
