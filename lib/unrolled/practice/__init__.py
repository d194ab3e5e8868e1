"""Write it yourself: checkers of the functions that each chapter leaves to its reader.

A checker says that nothing is written yet, that it is right, or what is wrong: the slip by its name where it knows it.
"""

from unrolled.practice._verdict import Verdict
from unrolled.practice.losses import check_sequence_loss, check_truncated_step
from unrolled.practice.passes import check_jacobian_product, check_recurrence, check_rnn_backward
from unrolled.practice.steps import check_gru_step, check_lstm_step, check_rnn_step

__all__ = [
    "Verdict",
    "check_gru_step",
    "check_jacobian_product",
    "check_lstm_step",
    "check_recurrence",
    "check_rnn_backward",
    "check_rnn_step",
    "check_sequence_loss",
    "check_truncated_step",
]
