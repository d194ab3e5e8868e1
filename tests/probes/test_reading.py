"""What a model makes of a text: every number is the one that a definition, written out slowly, gives."""

import re

import numpy as np
import pytest
import torch

from unrolled.data import Vocabulary
from unrolled.models import CharacterModel
from unrolled.probes import reading
from unrolled.training import evaluate

F64 = torch.float64
TEXT = "hello hell hole lo"


def _model(cell="lstm", num_layers=2, embedding_size=3):
    model = CharacterModel(
        Vocabulary(TEXT), 4, cell=cell, num_layers=num_layers, embedding_size=embedding_size
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2)  # far from uniform, so that no character is as likely as another
    return model.to(F64).eval()


def _slow(model, text):
    """Nats of each character after the first: every one from the whole text before it, read anew."""
    ids = model.vocabulary.encode(text)
    with torch.no_grad():
        logits = [model(ids[None, :t])[0][0, -1] for t in range(1, len(ids))]
    return torch.stack([-torch.log_softmax(each, -1)[i] for each, i in zip(logits, ids[1:], strict=True)])


@pytest.mark.parametrize("chunk", [3, 256])
def test_surprise_is_one_probability_after_another(chunk, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK", chunk)
    model = _model()
    found = reading.surprise(model, TEXT)
    torch.testing.assert_close(found, _slow(model, TEXT), rtol=1e-12, atol=1e-12)
    assert abs(float(found.mean()) - evaluate(model, model.vocabulary.encode(TEXT))) < 1e-12


def test_rows_are_read_from_zeros_and_stand_in_the_order_of_the_text():
    model = _model()
    found = reading.surprise(model, TEXT, rows=2)
    half = (len(TEXT) - 1) // 2
    assert found.shape == (2 * half,)
    for row in range(2):
        part = TEXT[row * half : (row + 1) * half + 1]
        torch.testing.assert_close(
            found[row * half : (row + 1) * half], _slow(model, part), rtol=1e-12, atol=1e-12
        )


def test_by_context_reads_no_more_than_it_says():
    model, window = _model(), 5
    fresh, whole = reading.by_context(model, TEXT, window)
    assert fresh.shape == whole.shape == (3, window)
    torch.testing.assert_close(whole.flatten(), _slow(model, TEXT)[:15], rtol=1e-12, atol=1e-12)
    for k in range(3):
        part = TEXT[k * window : (k + 1) * window + 1]
        torch.testing.assert_close(fresh[k], _slow(model, part), rtol=1e-12, atol=1e-12)
    assert (fresh[0] - whole[0]).abs().max() < 1e-12 < (fresh[1] - whole[1]).abs().max()


def test_connectivity_is_what_finite_differences_say():
    model = _model()
    found = reading.connectivity(model, TEXT)
    ids = model.vocabulary.encode(TEXT)
    with torch.no_grad():
        x = model.embed(ids[None, :-1])
        for s in (0, 8, len(TEXT) - 2):
            slope = torch.zeros(3, dtype=F64)
            for j in range(3):
                ends = []
                for step in (1e-6, -1e-6):
                    moved = x.clone()
                    moved[0, s, j] += step
                    logits = model.readout(model.rnn(moved)[0][:, -1])
                    ends.append(torch.log_softmax(logits, -1)[0, ids[-1]])
                slope[j] = (ends[0] - ends[1]) / 2e-6
            assert abs(found[s] - slope.norm()) < 1e-8
    assert found.shape == (len(TEXT) - 1,)


def test_connectivity_of_one_hot_inputs_has_a_column_of_the_matrix_in_it():
    """With one character read, the gradient by x is that by h times W_xh."""
    model = _model("rnn", 1, None)
    found = reading.connectivity(model, "he")
    cell, ids = model.rnn.cells[0], model.vocabulary.encode("he")
    h = torch.tanh(cell.W_xh[:, ids[0]] + cell.b_h)
    p = torch.softmax(model.readout(h), -1)
    by_h = model.readout.W_hy[ids[1]] - p @ model.readout.W_hy
    torch.testing.assert_close(found[0], ((by_h * (1 - h**2)) @ cell.W_xh).norm(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell, name", [("lstm", "C"), ("rnn", "h"), ("gru", "h")])
@pytest.mark.parametrize("chunk", [4, 256])
def test_unit_values_are_those_of_the_trace_layer_by_layer(cell, name, chunk, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK", chunk)
    model = _model(cell)
    found = reading.unit_values(model, TEXT)
    ids = model.vocabulary.encode(TEXT)[None, :-1]
    _, _, traces = model.rnn.trace(model.embed(ids))
    assert found.shape == (len(TEXT) - 1, 8)
    for layer in range(2):
        torch.testing.assert_close(
            found[:, 4 * layer : 4 * layer + 4], traces[layer][name][0], rtol=1e-12, atol=1e-12
        )
    assert reading.unit_values(model, TEXT, rows=3).shape == (15, 8)


def test_correlations_are_numpys():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(50, 3, generator=generator, dtype=F64)
    feature = torch.randint(3, (50,), generator=generator)
    found = reading.correlations(values, feature)
    for unit in range(3):
        assert abs(found[unit] - np.corrcoef(values[:, unit], feature)[0, 1]) < 1e-12
    assert reading.correlations(torch.ones(50, 1), feature) == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: reading.surprise(m, "h"), "ids: expected at least batch_size + 1 = 2 characters, got 1"),
        (lambda m: reading.surprise(m, "hex"), "got 'x' at position 2"),
        (
            lambda m: reading.by_context(m, "hello", 5),
            "text: expected more than window = 5 characters, got 5",
        ),
        (lambda m: reading.connectivity(m, "h"), "text: expected at least two characters, got 'h'"),
        (
            lambda m: reading.correlations(torch.ones(3, 2), torch.ones(2)),
            "feature: expected shape (3,), got (2,)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(_model())
