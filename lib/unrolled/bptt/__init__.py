"""Forward and backward through time by hand: every gradient is derived on paper and tested against autograd.

Each pass is one autograd function over a whole sequence, time first; `unrolled.networks` uses them as its fast way.
"""

from unrolled.bptt.lstm import is_compiled, lstm_through_time
from unrolled.bptt.rnn import rnn_through_time

__all__ = ["is_compiled", "lstm_through_time", "rnn_through_time"]
