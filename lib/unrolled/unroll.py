"""Any cell over a whole sequence: one step a time, several layers, both directions, with traces.

The loop below is the book's definition of a recurrent network; every faster way is tested against it.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unrolled._check import check_choice, check_count, check_tensor
from unrolled.bptt import rnn_through_time
from unrolled.cells import NONLINEARITIES, RNNCell, RNNState

__all__ = ["BACKENDS", "RNN", "unroll"]

BACKENDS = ("auto", "loop", "hand", "torch")
Trace = dict[str, Tensor]


def unroll(
    cell: Any, x: Float[Tensor, "... B T P"], state: Any = None, *, reverse: bool = False
) -> tuple[Float[Tensor, "... B T m"], Any, Trace]:
    r"""Apply one cell to every time of a sequence, each step taking up the state the last one left.

    Args:
        cell: a cell of `unrolled.cells`; its weights are used T times.
        x: inputs, (B, T, P); with stacked seeds also (S, B, T, P).
        state: the state before the first step; None starts from the cell's own (zeros).
        reverse: read from the last time to the first; outputs still stand at the time they belong to.

    Returns:
        The outputs h_1 … h_T (B, T, m); the state after the last step; and the trace, everything each step
        computed by name, each (B, T, m) (for the vanilla cell the pre-activations `a` and states `h`).

    Raises:
        TypeError, ValueError: an input or state of the wrong type, rank or size; T = 0.

    Taught in chapter 02; tested against `torch.nn.RNN`.
    """
    check_tensor("x", x, "... B T P", P=cell.input_size)
    B = x.shape[-3]
    state = cell.initial_state(B) if state is None else cell.check_state(state, B)
    steps = list(x.unbind(-2))  # T of (B, P)
    outputs, records = [], []
    for x_t in reversed(steps) if reverse else steps:
        h_t, state, record = cell.traced(x_t, state)
        outputs.append(h_t)
        records.append(record)
    if reverse:
        outputs.reverse()
        records.reverse()
    trace = {name: torch.stack([record[name] for record in records], dim=-2) for name in records[0]}
    return torch.stack(outputs, dim=-2), state, trace


def _unroll_by_hand(
    cell: RNNCell, x: Tensor, state: RNNState, *, reverse: bool = False
) -> tuple[Tensor, RNNState, Trace]:
    """As `unroll`, through the hand-derived pass, which keeps no trace."""
    x = x.transpose(0, 1)  # (T, B, P)
    h, h_T = rnn_through_time(
        x.flip(0) if reverse else x, state.h, cell.W_xh, cell.W_hh, cell.b_h, cell.nonlinearity
    )
    return (h.flip(0) if reverse else h).transpose(0, 1), RNNState(h_T), {}


class RNN(nn.Module):
    r"""A vanilla RNN over whole sequences: one or more layers, one or both directions.

    Layer l reads the states of layer l-1; with both directions it reads the two side by side, (B, T, 2m).

    Args:
        input_size: P, numbers in one input.
        hidden_size: m, numbers in the hidden state of each layer and direction.
        num_layers: how many layers.
        bidirectional: also read from the end. Such a layer needs the whole sequence, so it takes no state.
        nonlinearity: `"tanh"`, `"relu"` or `"linear"`.
        backend: `"loop"` is the definition, one Python step a time under autograd; `"hand"` is the hand-derived
            forward and backward pass of `unrolled.bptt`, the fastest on a CPU; `"torch"` runs the same weights
            through torch's own kernels, cuDNN on a GPU. `"auto"` takes `"torch"` on a GPU and `"hand"` elsewhere,
            and the loop for stacked seeds, which only it knows.

    Raises:
        TypeError, ValueError: an argument, input or state of the wrong type, rank or size, by name.

    Source: Elman (1990); both directions: Schuster and Paliwal (1997). Taught in chapters 01 and 02; tested
    against `torch.nn.RNN`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        nonlinearity: str = "tanh",
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)
        self.num_layers = check_count("num_layers", num_layers)
        self.bidirectional = bidirectional
        self.nonlinearity = check_choice("nonlinearity", nonlinearity, NONLINEARITIES)
        self.backend = check_choice("backend", backend, BACKENDS)
        if backend == "torch" and nonlinearity == "linear":
            raise ValueError(
                "backend: torch has no linear recurrence, expected 'auto' or 'loop', got 'torch'"
            )
        D = self.num_directions = 2 if bidirectional else 1
        self.cells = nn.ModuleList(
            RNNCell(
                input_size if layer == 0 else D * hidden_size,
                hidden_size,
                nonlinearity=nonlinearity,
                device=device,
                dtype=dtype,
            )
            for layer in range(num_layers)
            for _ in range(D)
        )

    def _each(self) -> list[RNNCell]:
        return cast(list[RNNCell], list(self.cells))

    @property
    def output_size(self) -> int:
        """Numbers in the output of one time: m, or 2m with both directions."""
        return self.num_directions * self.hidden_size

    def initial_state(self, batch_size: int) -> tuple[RNNState, ...]:
        """The state before the first input: zeros, one `RNNState` for each layer and direction."""
        return tuple(cell.initial_state(batch_size) for cell in self._each())

    def forward(
        self, x: Float[Tensor, "... B T P"], state: tuple[RNNState, ...] | None = None
    ) -> tuple[Float[Tensor, "... B T Dm"], tuple[RNNState, ...]]:
        """Run the whole sequence.

        Args:
            x: inputs, (B, T, P).
            state: what an earlier call returned, to go on where it stopped; None starts from zeros.

        Returns:
            The last layer's states (B, T, D m), and the final state: a tuple with one `RNNState` for each layer and
            direction, in torch's order (layer by layer, forward before backward).
        """
        state = self._checked(x, state)
        backend = self._backend(x)
        if backend == "torch":
            return self._forward_torch(x, state)
        h, final, _ = self._forward_layers(_unroll_by_hand if backend == "hand" else unroll, x, state)
        return h, final

    def trace(
        self, x: Float[Tensor, "... B T P"], state: tuple[RNNState, ...] | None = None
    ) -> tuple[Float[Tensor, "... B T Dm"], tuple[RNNState, ...], list[Trace]]:
        """As `forward`, and what every step computed: one dictionary for each layer and direction (see `unroll`)."""
        return self._forward_layers(unroll, x, self._checked(x, state))

    def _checked(self, x: Tensor, state: Any) -> tuple[RNNState, ...]:
        check_tensor("x", x, "... B T P", P=self.input_size)
        if state is None:
            return self.initial_state(x.shape[-3])
        if self.bidirectional:
            raise ValueError(
                "state: a bidirectional RNN reads the whole sequence at once and can't go on from a state; "
                "expected None"
            )
        if not isinstance(state, tuple) or isinstance(state, RNNState) or len(state) != len(self.cells):
            raise TypeError(
                f"state: expected a tuple of {len(self.cells)} RNNState, got {type(state).__name__} {state!r:.60}"
            )
        return tuple(
            cell.check_state(part, x.shape[-3]) for cell, part in zip(self._each(), state, strict=True)
        )

    def _forward_layers(
        self, run: Callable[..., Any], h: Tensor, state: tuple[RNNState, ...]
    ) -> tuple[Tensor, tuple[RNNState, ...], list[Trace]]:
        D = self.num_directions
        final: list[RNNState] = []
        traces: list[Trace] = []
        for layer in range(self.num_layers):
            directions = []
            for direction in range(D):
                i = layer * D + direction
                h_i, final_i, trace_i = run(self._each()[i], h, state[i], reverse=direction == 1)
                directions.append(h_i)
                final.append(final_i)
                traces.append(trace_i)
            h = torch.cat(directions, dim=-1) if D > 1 else directions[0]  # (B, T, D m)
        return h, tuple(final), traces

    def _backend(self, x: Tensor) -> str:
        """What runs this call: the backend asked for, or for `"auto"` the fastest that can."""
        if self._each()[0].W_hh.dim() > 2:
            if self.backend in ("hand", "torch"):
                raise ValueError(
                    f"backend: {self.backend} runs one model at a time; stacked seeds need 'auto' or 'loop', "
                    f"got {self.backend!r}"
                )
            return "loop"
        if self.backend == "auto":
            return "torch" if x.is_cuda and self.nonlinearity != "linear" else "hand"
        return self.backend

    def _forward_torch(self, x: Tensor, state: tuple[RNNState, ...]) -> tuple[Tensor, tuple[RNNState, ...]]:
        kernel = torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu
        # torch adds two biases; ours is the first and the second is zero.
        weights = [w for c in self._each() for w in (c.W_xh, c.W_hh, c.b_h, torch.zeros_like(c.b_h))]
        h_0 = torch.stack([part.h for part in state])  # (L D, B, m)
        h, h_T = kernel(x, h_0, weights, True, self.num_layers, 0.0, self.training, self.bidirectional, True)
        return h, tuple(RNNState(part) for part in h_T.unbind(0))

    @classmethod
    def from_torch(cls, theirs: nn.RNN, *, backend: str = "auto") -> "RNN":
        """An RNN with a copy of the weights of a `torch.nn.RNN`; its two biases become their sum.

        Raises:
            ValueError: a module with dropout, which this one does not have.
        """
        if theirs.dropout:
            raise ValueError(f"theirs: expected a torch.nn.RNN with dropout 0, got dropout {theirs.dropout}")
        ours = cls(
            theirs.input_size,
            theirs.hidden_size,
            theirs.num_layers,
            bidirectional=theirs.bidirectional,
            nonlinearity=theirs.nonlinearity,
            backend=backend,
            device=theirs.all_weights[0][1].device,
            dtype=theirs.all_weights[0][1].dtype,
        )
        with torch.no_grad():
            for cell, (W_ih, W_hh, *biases) in zip(ours._each(), theirs.all_weights, strict=True):
                cell.W_xh.copy_(W_ih)
                cell.W_hh.copy_(W_hh)
                cell.b_h.copy_(sum(biases, torch.zeros_like(cell.b_h)))
        return ours

    def to_torch(self) -> nn.RNN:
        """A `torch.nn.RNN` (batch first) with a copy of these weights; its second bias is zero.

        Raises:
            ValueError: a linear recurrence or stacked seeds, which torch does not have.
        """
        if self.nonlinearity == "linear" or self._each()[0].W_hh.dim() > 2:
            what = "a linear recurrence" if self.nonlinearity == "linear" else "stacked seeds"
            raise ValueError(f"self: torch.nn.RNN holds one model with tanh or ReLU, got {what}")
        theirs = nn.RNN(
            self.input_size,
            self.hidden_size,
            self.num_layers,
            nonlinearity=self.nonlinearity,
            batch_first=True,
            bidirectional=self.bidirectional,
            device=self._each()[0].W_hh.device,
            dtype=self._each()[0].W_hh.dtype,
        )
        with torch.no_grad():
            for cell, weights in zip(self._each(), theirs.all_weights, strict=True):
                for to, value in zip(
                    weights, (cell.W_xh, cell.W_hh, cell.b_h, torch.zeros_like(cell.b_h)), strict=True
                ):
                    to.copy_(value)
        return theirs
