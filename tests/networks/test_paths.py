"""Which of its three ways a network takes where it may choose."""

import pytest
import torch

from unrolled.bptt import _lstm_steps
from unrolled.bptt import lstm as gated_bptt
from unrolled.networks import LSTM, RNN, kinds

PATHS = {  # network, B, m, torch's threads, whether compiled: by hand?
    "rnn": (RNN, 2, 4, 1, False, True),
    "small lstm": (LSTM, 2, 4, 1, False, False),
    "long but small lstm": (LSTM, 2, 4, 1, False, False),
    "large lstm": (LSTM, 64, 256, 1, False, True),
    "large lstm on two threads": (LSTM, 64, 256, 2, False, False),
    "wide lstm of few rows": (LSTM, 8, 2048, 1, False, False),
    "medium lstm": (LSTM, 16, 128, 1, False, False),
    "medium lstm, compiled": (LSTM, 16, 128, 2, True, True),
    "small lstm, compiled": (LSTM, 15, 128, 1, True, False),
}


@pytest.mark.parametrize("case", PATHS)
def test_on_a_cpu_it_is_the_training_path_where_it_is_faster(case, monkeypatch):
    kind, B, m, threads, compiled, by_hand = PATHS[case]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(kinds, "is_compiled", lambda x: compiled)
    monkeypatch.setattr(gated_bptt, "_fused", _lstm_steps)  # what is asked here is only which path is taken
    monkeypatch.setattr(_lstm_steps, "serves", lambda x: False, raising=False)
    h, _ = kind(3, m)(torch.randn(B, 5000 if "long" in case else 2, 3))
    names, todo = set(), [h.grad_fn]
    while todo:
        node = todo.pop()
        names.add(type(node).__name__)
        todo += [following for following, _ in node.next_functions if following is not None]
    assert any("ThroughTimeBackward" in name for name in names) == by_hand
    assert not any("Addmm" in name for name in names)  # never the loop


@pytest.mark.parametrize("autocast", [False, True])
def test_in_half_precision_torch_runs_the_lstm(autocast, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    x, network = torch.randn(64, 2, 3), LSTM(3, 256)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert network._by_hand_is_faster(x) == (not autocast)
        assert network(x)[0].dtype == (torch.bfloat16 if autocast else torch.float32)


@pytest.mark.parametrize("runs", [False, True])
def test_where_torch_has_no_half_precision_lstm_ours_runs(runs, monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: runs)
    x, network = torch.randn(4, 2, 3), LSTM(3, 8)
    asked: list[torch.Tensor] = []
    monkeypatch.setattr(LSTM, "_forward_torch", lambda self, x, state: asked.append(x) or (x, state))
    with torch.autocast("cpu", torch.bfloat16):
        h, _ = network(x)
        assert len(asked) == runs
        if not runs:
            assert h.dtype == torch.bfloat16
            network.backend = "torch"
            with pytest.raises(ValueError, match="backend: torch's LSTM has no kernel for this processor"):
                network(x)
    network.backend = "torch"
    network(x)  # without autocast it runs everywhere
    assert len(asked) == runs + 1
