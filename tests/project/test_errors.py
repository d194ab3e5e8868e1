"""Bad input gets an error that names the argument, what came and what was expected."""

import math
import re

import numpy as np
import pytest
import torch

from unrolled.bptt import lstm_through_time
from unrolled.cells import LSTMCell, LSTMState, RNNCell, RNNState, detach
from unrolled.data import Vocabulary, one_hot
from unrolled.device import stack_seeds
from unrolled.models import (
    CharacterModel,
    EncoderDecoder,
    OneToMany,
    OneToOne,
    Readout,
    generate,
)
from unrolled.networks import GRU, LSTM, RNN, unroll

pytestmark = pytest.mark.usefixtures("plain_errors")

x = torch.randn(2, 5, 3)
cell, rnn, both = RNNCell(3, 4), RNN(3, 4, 2), RNN(3, 4, bidirectional=True)
vocabulary = Vocabulary("hello")
model = CharacterModel(vocabulary, 4)
ids = torch.zeros(2, 5, dtype=torch.long)

CASES = {
    # wrong rank, wrong size, T = 0, non-tensor, wrong numbers
    "rank": (lambda: rnn(x[0, 0]), ValueError, "x: expected shape (B, T, P=3), got shape (3,)"),
    "rank of a step": (lambda: cell(x[0, 0]), ValueError, "x_t: expected shape (B, P=3), got shape (3,)"),
    "size": (lambda: rnn(x[..., :2]), ValueError, "x: expected shape (B, T, P=3), got shape (2, 5, 2)"),
    "no time": (
        lambda: rnn(x[:, :0]),
        ValueError,
        "expected shape (B, T, P=3) with T at least 1, got shape (2, 0, 3)",
    ),
    "no batch": (lambda: unroll(cell, x[:0]), ValueError, "with B at least 1, got shape (0, 5, 3)"),
    "a list": (
        lambda: rnn([[1.0]]),
        TypeError,
        "x: expected a tensor of shape (B, T, P=3), got list [[1.0]]",
    ),
    "whole numbers": (
        lambda: rnn(x.long()),
        TypeError,
        "x: expected floating-point numbers, got torch.int64",
    ),
    "real ids": (lambda: model(x[..., 0]), TypeError, "ids: expected integers, got torch.float32"),
    "ids no tensor": (
        lambda: model([0]),
        TypeError,
        "ids: expected an integer tensor of shape (B, T), got list [0]",
    ),
    "ids rank": (lambda: model(ids[0]), ValueError, "ids: expected shape (B, T), got shape (5,)"),
    "feedforward rank": (
        lambda: OneToOne(3, 4, 2)(x),
        ValueError,
        "x: expected shape (B, P=3), got shape (2, 5, 3)",
    ),
    "readout size": (
        lambda: Readout(4, 2)(x),
        ValueError,
        "h: expected shape (..., m=4), got shape (2, 5, 3)",
    ),
    # states
    "state type": (lambda: cell(x[:, 0], x), TypeError, "state: expected RNNState(h), got Tensor"),
    "state size": (
        lambda: cell(x[:, 0], RNNState(torch.zeros(2, 5))),
        ValueError,
        "state.h: expected shape (B=2, m=4), got shape (2, 5)",
    ),
    "state batch": (
        lambda: unroll(cell, x, RNNState(torch.zeros(3, 4))),
        ValueError,
        "state.h: expected shape (B=2, m=4), got shape (3, 4)",
    ),
    "state layers": (
        lambda: rnn(x, (RNNState(torch.zeros(2, 4)),)),
        TypeError,
        "state: expected a tuple of 2 RNNState, got tuple",
    ),
    "state bare": (
        lambda: rnn(x, RNNState(torch.zeros(2, 4))),
        TypeError,
        "state: expected a tuple of 2 RNNState, got RNNState",
    ),
    "state of both directions": (
        lambda: both(x, both(x)[1]),
        ValueError,
        "state: a bidirectional RNN reads the whole sequence at once",
    ),
    "detach": (lambda: detach(3), TypeError, "state: expected a tensor or a tuple of them, got int 3"),
    # sizes and choices
    "no units": (lambda: RNN(3, 0), ValueError, "hidden_size: expected a whole number of at least 1, got 0"),
    "half a layer": (
        lambda: RNN(3, 4, 1.5),
        TypeError,
        "num_layers: expected a whole number of at least 1, got float 1.5",
    ),
    "a truth": (
        lambda: RNNCell(True, 4),
        TypeError,
        "input_size: expected a whole number of at least 1, got bool True",
    ),
    "a tensor for a count": (
        lambda: RNN(3, torch.tensor(1.5)),
        TypeError,
        "hidden_size: expected a whole number of at least 1, got",
    ),
    "nonlinearity": (
        lambda: RNNCell(3, 4, nonlinearity="sigmoid"),
        ValueError,
        "nonlinearity: expected one of 'tanh', 'relu', 'linear', got 'sigmoid'",
    ),
    "backend": (
        lambda: RNN(3, 4, backend="jax"),
        ValueError,
        "backend: expected one of 'auto', 'loop', 'hand', 'torch'",
    ),
    "linear on torch": (
        lambda: RNN(3, 4, nonlinearity="linear", backend="torch"),
        ValueError,
        "backend: torch has no linear recurrence",
    ),
    "linear to torch": (
        lambda: RNN(3, 4, nonlinearity="linear").to_torch(),
        ValueError,
        "self: torch has no linear recurrence",
    ),
    "seeds to torch": (
        lambda: stack_seeds(lambda: RNN(3, 4), [0, 1]).to_torch(),
        ValueError,
        "self: torch runs one model at a time",
    ),
    "seeds on torch": (
        lambda: stack_seeds(lambda: RNN(3, 4, backend="torch"), [0, 1])(x),
        ValueError,
        "backend: torch runs one model at a time",
    ),
    "another network of torch's": (
        lambda: RNN.from_torch(torch.nn.GRU(3, 4)),
        TypeError,
        "theirs: expected a torch.nn.RNN without projection, got GRU(3, 4)",
    ),
    "torch's projection": (
        lambda: LSTM.from_torch(torch.nn.LSTM(3, 4, proj_size=2)),
        TypeError,
        "theirs: expected a torch.nn.LSTM without projection",
    ),
    "dropout": (
        lambda: RNN(3, 4, dropout=1.0),
        ValueError,
        "dropout: expected a number of at least 0 and below 1, got 1.0",
    ),
    "an LSTM without a gate by hand": (
        lambda: LSTM(3, 4, backend="hand", without="f"),
        ValueError,
        "backend: an LSTM without f runs in the loop alone, expected 'auto' or 'loop', got 'hand'",
    ),
    "an LSTM without a gate by torch": (
        lambda: LSTM(3, 4, without="i").to_torch(),
        ValueError,
        "self: an LSTM without i runs in the loop alone",
    ),
    "gates of another width": (
        lambda: lstm_through_time(x, None, None, W_x=x[0, :4], W_h=torch.randn(16, 4), b=torch.randn(16)),
        ValueError,
        "W_x: expected shape (gates=16, P), got shape (4, 3)",
    ),
    "recurrent gates of another width": (
        lambda: lstm_through_time(x, None, None, torch.randn(16, 3), torch.randn(12, 4), torch.randn(16)),
        ValueError,
        "W_h: expected shape (gates=16, m), got shape (12, 4)",
    ),
    "a cell state of another size": (
        lambda: lstm_through_time(
            x, None, torch.zeros(5, 3), torch.randn(16, 3), torch.randn(16, 4), torch.randn(16)
        ),
        ValueError,
        "C_0: expected shape (B=5, m=4), got shape (5, 3)",
    ),
    "a GRU by hand": (
        lambda: GRU(3, 4, backend="hand"),
        ValueError,
        "backend: a GRU has no hand-derived pass",
    ),
    "an LSTM's state": (
        lambda: LSTMCell(3, 4)(x[:, 0], RNNState(torch.zeros(2, 4))),
        TypeError,
        "state: expected LSTMState(h, C), got RNNState",
    ),
    "an LSTM's cell state": (
        lambda: LSTMCell(3, 4)(x[:, 0], LSTMState(torch.zeros(2, 4), torch.zeros(2, 5))),
        ValueError,
        "state.C: expected shape (B=2, m=4), got shape (2, 5)",
    ),
    "no seeds": (
        lambda: stack_seeds(lambda: RNN(3, 4), []),
        ValueError,
        "seeds: expected at least one whole number",
    ),
    # text
    "empty vocabulary": (lambda: Vocabulary(""), ValueError, "characters: expected at least one character"),
    "vocabulary of a list": (
        lambda: Vocabulary(["a"]),
        TypeError,
        "characters: expected a string, got list ['a']",
    ),
    "unknown character": (
        lambda: vocabulary.encode("help"),
        ValueError,
        "text: expected only the 4 characters of the vocabulary, got 'p' at position 3",
    ),
    "empty text": (lambda: vocabulary.encode(""), ValueError, "text: expected at least one character"),
    "text of numbers": (lambda: vocabulary.encode(3), TypeError, "text: expected a string, got int 3"),
    "unknown number": (
        lambda: vocabulary.decode([0, 9]),
        ValueError,
        "ids: expected numbers from 0 to 3, got 9",
    ),
    "one-hot range": (
        lambda: one_hot(ids - 1, 4),
        ValueError,
        "ids: expected numbers from 0 to 3, got -1 to -1",
    ),
    "model of a string": (
        lambda: CharacterModel("hello", 4),
        TypeError,
        "vocabulary: expected a Vocabulary, got str",
    ),
    "empty prompt": (lambda: generate(model, "", 3), ValueError, "text: expected at least one character"),
    "temperature": (
        lambda: generate(model, "h", 3, temperature=-1.0),
        ValueError,
        "temperature: expected a number of at least 0, got -1.0",
    ),
    "temperature nan": (lambda: generate(model, "h", 3, temperature=math.nan), ValueError, "got nan"),
    "length": (
        lambda: generate(model, "h", -1),
        ValueError,
        "length: expected a whole number of at least 0, got -1",
    ),
    "top-k": (
        lambda: generate(model, "h", 3, top_k=0),
        ValueError,
        "top_k: expected a whole number of at least 1, got 0",
    ),
    "top-p": (
        lambda: generate(model, "h", 3, top_p=1.5),
        ValueError,
        "top_p: expected a number above 0 and at most 1, got 1.5",
    ),
    "cell of a model": (
        lambda: CharacterModel(vocabulary, 4, cell="qrnn"),
        ValueError,
        "cell: expected one of 'rnn', 'lstm', 'gru', got 'qrnn'",
    ),
    "tied sizes": (
        lambda: CharacterModel(vocabulary, 4, embedding_size=3, tied=True),
        ValueError,
        "tied: expected embedding_size = hidden_size, for one matrix to serve as both; got 3 and 4",
    ),
    "dropout of a model": (
        lambda: CharacterModel(vocabulary, 4, dropout=1.0),
        ValueError,
        "dropout: expected a number of at least 0 and below 1, got 1.0",
    ),
    "look-up range": (
        lambda: CharacterModel(vocabulary, 4, embedding_size=3)(ids + 4),
        ValueError,
        "ids: expected numbers from 0 to 3, got 4 to 4",
    ),
    # wirings
    "feed": (
        lambda: OneToMany(3, 4, 2, feed="noise"),
        ValueError,
        "feed: expected one of 'nothing', 'input', 'output'",
    ),
    "targets": (
        lambda: EncoderDecoder(3, 4, 6)(x, 3, ids),
        ValueError,
        "targets: expected shape (B=2, U=3), got shape (2, 5)",
    ),
    "no steps": (
        lambda: OneToMany(3, 4, 2)(x[:, 0], 0),
        ValueError,
        "num_steps: expected a whole number of at least 1",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_error_names_argument_what_came_and_what_was_expected(case):
    call, kind, message = CASES[case]
    with pytest.raises(kind, match=re.escape(message)):
        call()


def test_numpys_whole_numbers_are_welcome():
    assert RNN(np.int64(3), np.int32(4)).hidden_size == 4
