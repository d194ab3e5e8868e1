"""One step of a recurrent network: a state and an input come in, an output and the next state go out.

Every cell is called as `h_t, state = cell(x_t, state)`; what runs it over a whole sequence is in `unrolled.networks`.
"""

from unrolled.cells.cell import Cell, detach
from unrolled.cells.gru import GRUCell, GRUState, gru_step
from unrolled.cells.lstm import GATES, LSTMCell, LSTMState, lstm_step
from unrolled.cells.rnn import DERIVATIVES, NONLINEARITIES, RNNCell, RNNState, rnn_step

__all__ = [
    "DERIVATIVES",
    "GATES",
    "NONLINEARITIES",
    "Cell",
    "GRUCell",
    "GRUState",
    "LSTMCell",
    "LSTMState",
    "RNNCell",
    "RNNState",
    "detach",
    "gru_step",
    "lstm_step",
    "rnn_step",
]
