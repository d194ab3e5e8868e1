"""Every tensor function stays on the device of its inputs; seeds and the device's choice do what they say."""

import pkgutil
import platform
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch

import unrolled
from conftest import OneDevice
from unrolled import bptt, cells, data, models, networks, probes, training
from unrolled.device import default_device, seed_everything, stack_seeds
from unrolled.probes import gradients, highway, reading

B, T, P, m, G, U = 2, 5, 3, 4, 6, 3


def _x(*shape):
    return torch.empty(*shape, device="meta")


def _ids(*shape):
    return torch.empty(*shape, device="meta", dtype=torch.long)


def _trained(model, *inputs):
    """One training step: forward, loss, backward, clipping, update."""
    optimizer = torch.optim.Adam(model.parameters())
    out = model(*inputs)
    logits = out[0] if isinstance(out, tuple) else out
    loss = training.cross_entropy(
        logits, _ids(*logits.shape[-logits.dim() + hasattr(model, "num_seeds") : -1])
    )
    loss.sum().backward()
    training.clip_gradient(model, 1.0)
    optimizer.step()


def _model(build):
    with torch.device("meta"):
        return build()


def _character_model(**options):
    return _model(lambda: models.CharacterModel(data.Vocabulary("hello"), m, **options))


def _step():
    state = cells.RNNState(_x(B, m))
    cells.detach(cells.rnn_step(_x(B, P), state, _x(m, P), _x(m, m), _x(m))[1])


def _unroll_both_ways():
    cell = _model(lambda: cells.RNNCell(P, m))
    networks.unroll(cell, _x(B, T, P))
    networks.unroll(cell, _x(B, T, P), cells.RNNState(_x(B, m)), reverse=True)


def _character_models():
    for options in ({}, {"embedding_size": 3}, {"num_layers": 2, "backend": "loop"}):
        _trained(_character_model(**options), _ids(B, T))
    for cell in models.CELLS:
        options = {"embedding_size": m, "tied": True, "dropout": 0.5, "num_layers": 2}
        _trained(_character_model(cell=cell, backend="loop", **options), _ids(B, T))
    _trained(stack_seeds(lambda: _character_model(backend="loop"), [0, 1]), _ids(B, T))


def _by_hand():
    inputs = [each.requires_grad_() for each in (_x(T, B, P), _x(B, m), _x(m, P), _x(m, m), _x(m))]
    h, last = bptt.rnn_through_time(*inputs)
    (h.sum() + last.sum()).backward()
    bptt.rnn_through_time(inputs[0], None, *inputs[2:])


def _lstm_by_hand():
    shapes = ((T, B, P), (B, m), (B, m), (4 * m, P), (4 * m, m), (4 * m,))
    inputs = [_x(*shape).requires_grad_() for shape in shapes]
    sum(output.sum() for output in bptt.lstm_through_time(*inputs)).backward()
    bptt.lstm_through_time(inputs[0], None, None, *inputs[3:])


def _gated():
    for cell_type in (cells.LSTMCell, cells.GRUCell):
        with torch.device("meta"):
            cell = cell_type(P, m)
        _trained(cell, _x(B, P))
    cells.lstm_step(_x(B, P), cells.LSTMState(_x(B, m), _x(B, m)), _x(4 * m, P), _x(4 * m, m), _x(4 * m))
    cells.gru_step(_x(B, P), cells.GRUState(_x(B, m)), _x(3 * m, P), _x(3 * m, m), _x(3 * m), _x(m))


def _probes():
    with torch.device("meta"):
        cell = cells.RNNCell(P, m)
    x = _x(B, T, P)
    for method in gradients.METHODS:
        probes.jacobian(cell, x, 1, 4, method=method)
    probes.influence(cell, x)
    probes.step_jacobians(cell, x)
    probes.gradient_by_time(cell, x, torch.sum)
    probes.weight_gradient_terms(cell, x, torch.sum)
    probes.cosine_to_full(cell, x, torch.sum, [1, 3])
    probes.saturated_share(x)
    probes.largest_singular_value(cell.W_hh)
    probes.spectral_radius(cell.W_hh)


def _highways():
    for cell_type in (cells.LSTMCell, cells.GRUCell):
        with torch.device("meta"):
            cell = cell_type(P, m)
        probes.total_derivative(cell, _x(B, T, P))
        for method in highway.METHODS:
            probes.direct_path(cell, _x(B, T, P), method=method)


def _readings():
    model = _character_model(embedding_size=3, cell="lstm", num_layers=2, backend="loop").eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            reading, "_encode", lambda model, text: _ids(len(text))
        )  # else text becomes numbers on the CPU
        probes.surprise(model, "hellohello", 2)
        probes.by_context(model, "hellohello", 3)
        probes.connectivity(model, "hello")
        probes.correlations(probes.unit_values(model, "hello"), _ids(4))


def _both_directions():
    for both in (False, True):
        for network, backend in (
            ("RNN", "loop"), ("RNN", "hand"), ("LSTM", "loop"), ("LSTM", "hand"), ("GRU", "loop"),
        ):  # fmt: skip
            with torch.device("meta"):
                model = getattr(networks, network)(P, m, 2, bidirectional=both, dropout=0.5, backend=backend)
            _trained(model, _x(B, T, P))


def _every_feed():
    for feed in models.FEEDS:
        for targets in ((), (_ids(B, U),)):
            with torch.device("meta"):
                model = models.OneToMany(P, m, G, feed=feed)
            _trained(model, _x(B, P), U, *targets)


GRADIENTS = (
    "jacobian", "influence", "step_jacobians", "gradient_by_time", "weight_gradient_terms", "cosine_to_full",
    "saturated_share", "largest_singular_value", "spectral_radius",
)  # fmt: skip
READINGS = ("surprise", "by_context", "connectivity", "unit_values", "correlations")
TEXTS = (
    "PythonFeatures", "compiles", "copied_share", "first_definition", "longest_copy", "python_features",
    "repetition",
)  # fmt: skip
LEAGUE = (
    "CONTENDERS", "TASKS", "LastOutput", "Outcome", "Rules", "Task", "build", "compete", "equal_sizes",
)  # fmt: skip
CALLS = {
    "cells.rnn_step": _step,
    "cells.detach": _step,
    "cells.RNNCell": lambda: _trained(_model(lambda: cells.RNNCell(P, m)), _x(B, P)),
    "bptt.rnn_through_time": _by_hand,
    "bptt.lstm_through_time": _lstm_by_hand,
    **{f"probes.{name}": _probes for name in GRADIENTS},
    "networks.unroll": _unroll_both_ways,
    "networks.RNN": _both_directions,
    "networks.LSTM": _both_directions,
    "networks.GRU": _both_directions,
    "networks.Recurrent": _both_directions,
    "probes.direct_path": _highways,
    "probes.total_derivative": _highways,
    **{f"probes.{name}": _readings for name in READINGS},
    "cells.lstm_step": _gated,
    "cells.gru_step": _gated,
    "cells.LSTMCell": _gated,
    "cells.GRUCell": _gated,
    "cells.Cell": _gated,
    "data.one_hot": lambda: data.one_hot(_ids(B, T), G),
    "models.Readout": lambda: _trained(_model(lambda: models.Readout(m, G)), _x(B, T, m)),
    "models.CharacterModel": _character_models,
    "models.probabilities": lambda: [
        models.probabilities(_x(B, G), temperature=t, top_k=2, top_p=0.5) for t in (0.0, 0.7)
    ],
    "models.OneToOne": lambda: _trained(_model(lambda: models.OneToOne(P, m, G)), _x(B, P)),
    "models.ManyToOne": lambda: _trained(_model(lambda: models.ManyToOne(P, m, G)), _x(B, T, P)),
    "models.ManyToMany": lambda: _trained(
        _model(lambda: models.ManyToMany(P, m, G, bidirectional=True)), _x(B, T, P)
    ),
    "models.OneToMany": _every_feed,
    "models.EncoderDecoder": lambda: [
        _trained(_model(lambda: models.EncoderDecoder(P, m, G)), _x(B, T, P), U, *targets)
        for targets in ((), (_ids(B, U),))
    ],
    "training.cross_entropy": lambda: training.cross_entropy(_x(B, T, G), _ids(B, T)),
    "training.clip_gradient": lambda: _trained(_model(lambda: models.ManyToOne(P, m, G)), _x(B, T, P)),
    "device.stack_seeds": _character_models,
}

# Public names with no tensor work of their own on the caller's device, and why.
EXEMPT = {
    "cells": {
        "RNNState": "a tuple",
        "LSTMState": "a tuple",
        "GRUState": "a tuple",
        "GATES": "a table",
        "NONLINEARITIES": "a table",
        "DERIVATIVES": "a table",
    },
    "bptt": {"is_compiled": "an answer, not a tensor"},
    "networks": {"BACKENDS": "a table"},
    "data": "text, files, and tasks made on the CPU from a CPU generator",
    "models": {
        "CELLS": "a table",
        "DamagedFile": "an error",
        "FEEDS": "a table",
        "generate": "text",
        "load": "files",
        "pretrained": "files",
        "read_model": "files",
        "save": "files",
    },
    "training": {
        "Config": "numbers",
        "History": "numbers",
        **dict.fromkeys(("CORPORA", "PRECISIONS", "SCHEDULES", "WINDOW"), "a table"),
        **dict.fromkeys(
            ("Recipe", "in_units", "open_corpus", "read_recipe", "stored_recipe"),
            "numbers and text",
        ),
        **dict.fromkeys(
            ("Run", "losses_on", "run"),
            "waits for numbers at every update; its pass and loss are exercised through every model",
        ),
        "evaluate": "returns Python numbers",
        "fit": "writes down Python numbers; its step is exercised through every model",
        "train": "writes down Python numbers; its step is exercised through every model",
    },
    "probes": {
        "ByContext": "a tuple",
        "GateStatistics": "numbers",
        "gate_statistics": "returns Python numbers",
        **dict.fromkeys(LEAGUE, "the league trains on the CPU and returns Python numbers"),
        **dict.fromkeys(TEXTS, "text, and numbers made of it on the CPU"),
        "stored_result": "stored numbers",
    },
    "figures": "figures",
    "practice": "judges on the CPU what a reader writes",
    "cli": "text",
    "device": {
        "default_device": "a choice",
        "keep_freed_memory": "a side effect",
        "seed_everything": "a side effect",
        "training_device": "a choice",
    },
}


@pytest.mark.parametrize("name", CALLS)
def test_stays_on_the_device_of_its_inputs(name):
    with OneDevice():
        CALLS[name]()


def test_every_public_name_is_exercised_or_exempt_by_name():
    for info in pkgutil.iter_modules(unrolled.__path__):
        if info.name.startswith("_") or isinstance(EXEMPT.get(info.name), str):
            continue
        for public in import_module(f"unrolled.{info.name}").__all__:
            exempt = EXEMPT.get(info.name, {})
            assert f"{info.name}.{public}" in CALLS or public in exempt, f"{info.name}.{public}"


def test_the_guard_sees_what_meta_alone_lets_pass():
    on_meta, on_cpu = torch.empty((), device="meta"), torch.ones(2)
    on_meta * on_cpu.sum()  # torch lets this mix pass
    with pytest.raises(AssertionError, match="tensors on cpu, meta in one operation"), OneDevice():
        on_meta * on_cpu.sum()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_trains_on_a_gpu():
    model = models.ManyToOne(P, m, G).cuda()
    x, y = torch.randn(B, T, P).cuda(), torch.zeros(B, dtype=torch.long).cuda()
    history = training.fit(
        model, [(x, y)], lambda net, *batch: training.cross_entropy(net(batch[0]), batch[1])
    )
    assert history.loss[-1] < history.loss[0]


def test_default_device_obeys_the_environment(monkeypatch):
    monkeypatch.delenv("UNROLLED_DEVICE", raising=False)
    assert default_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("UNROLLED_DEVICE", "meta")
    assert default_device() == torch.device("meta")
    monkeypatch.setenv("UNROLLED_DEVICE", "teapot")
    with pytest.raises(ValueError, match=r"UNROLLED_DEVICE: expected a torch device .* got 'teapot'"):
        default_device()


def test_one_seed_repeats_every_source_of_randomness():
    import random

    def draws():
        seed_everything(3)
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draws() == draws()


def test_setup_is_silent_and_repeatable(capsys):
    unrolled.setup()
    first = float(torch.rand(()))
    unrolled.setup()
    assert float(torch.rand(())) == first
    assert torch.get_num_threads() == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library has other settings")
def test_memory_that_was_freed_is_used_again():
    code = """
import resource, sys, numpy
from unrolled.device import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
numpy.ones(8 << 20)
before = faults()
for _ in range(5):
    numpy.ones(8 << 20)  # 64 MB
print(faults() - before)
"""

    def faults(how):
        done = subprocess.run(
            [sys.executable, "-c", code, how], capture_output=True, text=True, check=True, timeout=120
        )
        return int(done.stdout)

    assert faults("keep") < 100 < 1000 < faults("give back")
