"""The three networks: RNN, LSTM and GRU over whole sequences, one or more layers, one or both directions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.bptt import is_compiled, lstm_through_time, rnn_through_time
from unrolled.cells import GRUCell, LSTMCell, RNNCell
from unrolled.networks.recurrent import Recurrent

# From about here on the hand-derived LSTM is the faster one on a CPU: `make bench`.
_ROWS, _GATES, _GATES_COMPILED = 16, 65_536, 8_192  # B; and B 4m, the numbers in the gates of one step


class RNN(Recurrent):
    """A vanilla RNN over whole sequences; see `Recurrent` for its arguments.

    Besides those it takes `nonlinearity`: `"tanh"`, `"relu"` or `"linear"`.

    Source: Elman (1990). Taught in chapters 01 and 02; tested against `torch.nn.RNN`.
    """

    cell_type, torch_type = RNNCell, nn.RNN

    @property
    def nonlinearity(self) -> str:
        """`"tanh"`, `"relu"` or `"linear"`."""
        return self._each()[0].nonlinearity

    def _cannot(self, backend: str) -> str:
        if backend == "torch" and self.nonlinearity == "linear":
            return "torch has no linear recurrence, expected 'auto', 'hand' or 'loop'"
        return super()._cannot(backend)

    def _through_time(self, cell: RNNCell, x: Tensor, state: Any) -> tuple[Tensor, ...]:
        return rnn_through_time(x, state and state.h, cell.W_xh, cell.W_hh, cell.b_h, cell.nonlinearity)

    def _kernel(self) -> Callable[..., Any]:
        return torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu

    @staticmethod
    def _shared(network: Any) -> dict[str, Any]:
        return {"nonlinearity": network.nonlinearity}


def _half_precision_runs() -> bool:
    """Whether torch's LSTM runs under the present autocast: processors without wide vectors have no kernel for it."""
    if not torch.is_autocast_enabled("cpu") or not torch.backends.mkldnn.enabled:
        return True
    half = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(torch.get_autocast_dtype("cpu"))
    return half is None or getattr(torch.ops.mkldnn, f"_is_mkldnn_{half}_supported")()


class LSTM(Recurrent):
    """An LSTM over whole sequences; see `Recurrent` for its arguments.

    Besides those it takes `forget_bias`, what the forget gates' bias starts around (1), and `without`, a gate to leave
    out.

    Source: Hochreiter and Schmidhuber (1997). Taught in chapter 07; tested against `torch.nn.LSTM`.
    """

    cell_type, torch_type = LSTMCell, nn.LSTM

    def _cannot(self, backend: str) -> str:
        without = self._each()[0].without
        if without and backend in ("hand", "torch"):
            return f"an LSTM without {without} runs in the loop alone, expected 'auto' or 'loop'"
        if backend == "torch" and self._each()[0].input_weight.is_cpu and not _half_precision_runs():
            return "torch's LSTM has no kernel for this processor under autocast, expected 'auto', 'hand' or 'loop'"
        return super()._cannot(backend)

    def _by_hand_is_faster(self, x: Tensor) -> bool:
        if not super()._by_hand_is_faster(x) or torch.is_autocast_enabled("cpu"):
            return False  # in half precision torch's kernels keep a whole sequence in their own layout
        B, compiled = x.shape[-3], is_compiled(x)
        gates = 4 * B * self.hidden_size
        # torch's kernels share a step among threads better than its operators.
        alone = torch.get_num_threads() == 1
        return B >= _ROWS and (gates >= _GATES_COMPILED if compiled else alone and gates >= _GATES)

    def _through_time(self, cell: LSTMCell, x: Tensor, state: Any) -> tuple[Tensor, ...]:
        h_0, C_0 = state or (None, None)
        return lstm_through_time(x, h_0, C_0, cell.W_x, cell.W_h, cell.b)


class GRU(Recurrent):
    """A GRU over whole sequences, in torch's variant; see `Recurrent` for its arguments.

    Source: Cho et al. (2014). Taught in chapter 08; tested against `torch.nn.GRU`.
    """

    cell_type, torch_type = GRUCell, nn.GRU

    def _cannot(self, backend: str) -> str:
        return "a GRU has no hand-derived pass" if backend == "hand" else super()._cannot(backend)
