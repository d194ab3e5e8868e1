"""A cell over whole sequences: RNN, LSTM and GRU in layers and directions, and the loop that defines them.

`unroll` is the definition; the hand-derived passes and torch's kernels are faster ways to the same numbers.
"""

from unrolled.networks.kinds import GRU, LSTM, RNN
from unrolled.networks.loop import unroll
from unrolled.networks.recurrent import BACKENDS, Recurrent

__all__ = ["BACKENDS", "GRU", "LSTM", "RNN", "Recurrent", "unroll"]
