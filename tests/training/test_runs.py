"""Long runs: the update written out, what is evaluated and kept, processes side by side."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toy_run import ONE, TOY, stopped, tensors_of

from unrolled.data import Vocabulary, corpora, stream_chunks
from unrolled.device import training_device
from unrolled.models import load, read_model
from unrolled.models.checkpoints import listed, read_newest
from unrolled.training import (
    Recipe,
    Run,
    evaluate,
    in_units,
    losses_on,
    open_corpus,
    run,
)
from unrolled.training._ranks import Ranks
from unrolled.training.recipes import parameter_groups

pytestmark = pytest.mark.usefixtures("on_the_cpu")


# ---- one update


@pytest.mark.parametrize(("shifted", "restarts"), [(False, 0.0), (True, 0.0), (True, 0.4)])
def test_the_update_is_the_loop_written_out(shifted, restarts, tmp_path):
    """Against plain lines: truncated BPTT over a text that is read through twice, clipping, AdamW, rates, average."""
    recipe = dataclasses.replace(
        TOY, updates=14, clip_norm=0.3, average=0.9, weight_decay=0.2, schedule="linear", seed=5,
        shifted=shifted, restarts=restarts,
    )  # fmt: skip
    ours = Run(recipe, open_corpus("hello"), ONE)
    torch.manual_seed(recipe.seed)
    plain = recipe.build("ehlo")
    average = [weight.detach().clone() for weight in plain.parameters()]
    matrices = [weight for weight in plain.parameters() if weight.dim() == 2]
    vectors = [weight for weight in plain.parameters() if weight.dim() == 1]
    assert len(matrices) == 4 and len(vectors) == 2
    groups = [{"params": matrices, "weight_decay": 0.2}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, recipe.beta_2), foreach=False, fused=False)
    ids = Vocabulary("hello").encode(corpora.hello() * 200)
    losses, norms = [], []
    while len(losses) < 14:
        state = None
        if shifted and losses:
            ids = ids.roll(-int(np.random.default_rng((5, 1, 0)).integers(len(ids))))
        for x, y in stream_chunks(ids, 4, 40):
            if len(losses) == 14:
                break
            if state and restarts:
                kept = np.random.default_rng((5, len(losses), 1)).random(4) >= restarts
                state = tuple(
                    type(part)(*(each * torch.tensor(kept)[:, None] for each in part)) for part in state
                )
            logits, state = plain(x, state)
            state = tuple(type(part)(*(each.detach() for each in part)) for part in state)
            loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            norms.append(float(nn.utils.clip_grad_norm_(plain.parameters(), 0.3)))
            u = len(losses) + 1
            p = (u - 3) / 11
            for group in optimizer.param_groups:
                group["lr"] = 0.003 * (u / 3 if u <= 3 else 0.1 + 0.9 * (1 - p))
            optimizer.step()
            memory = min(0.9, (1 + u) / (10 + u))
            average = [
                memory * mean + (1 - memory) * w.detach()
                for mean, w in zip(average, plain.parameters(), strict=True)
            ]
            losses.append(loss.item())
    for _ in range(14):
        ours.update()
    assert ours.loss == pytest.approx(losses, rel=1e-5)
    assert ours.gradient_norm == pytest.approx(norms, rel=1e-4)
    assert ours.finished
    for a, b in zip(ours.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(ours.average.parameters(), average, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_characters_are_counted_as_they_are_read_also_where_a_chunk_is_short():
    """999 targets in 4 rows of 249: six chunks of 40 and one of 9."""
    going = Run(TOY, open_corpus("hello"), ONE)
    read = [going.characters]
    for _ in range(9):
        going.update()
        read.append(going.characters)
    assert read == [0, 160, 320, 480, 640, 800, 960, 996, 1156, 1316]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_rises_in_a_line_and_falls_to_its_floor(schedule):
    recipe = Recipe(learning_rate=2.0, warmup=4, updates=14, schedule=schedule, floor=0.25)
    assert [recipe.rate(u) for u in (1, 2, 3, 4)] == [0.5, 1.0, 1.5, 2.0]
    halfway = {"constant": 2.0, "linear": 1.25, "cosine": 1.25}[schedule]
    assert recipe.rate(9) == pytest.approx(halfway)
    assert recipe.rate(14) == pytest.approx(2.0 if schedule == "constant" else 0.5)
    if schedule == "cosine":
        assert recipe.rate(5) - recipe.rate(4) == pytest.approx(0.75 * (math.cos(math.pi / 10) - 1))
    assert Recipe(warmup=0, learning_rate=1.0, updates=1).rate(1) == pytest.approx(0.1)


def test_matrices_decay_and_vectors_do_not():
    decayed, kept = parameter_groups(TOY.build("abc"), 0.3)
    assert decayed["weight_decay"] == 0.3 and {weight.dim() for weight in decayed["params"]} == {2}
    assert kept["weight_decay"] == 0.0 and {weight.dim() for weight in kept["params"]} == {1}


def test_a_loss_that_is_not_a_number_stops_with_the_step_the_norm_and_advice(tmp_path):
    recipe = dataclasses.replace(TOY, learning_rate=1e30, clip_norm=None, checkpoint_every=1)
    message = (
        r"update (\d+): the loss is .* and the gradient's norm .*; try a smaller learning_rate than 1e\+30"
    )
    with pytest.raises(FloatingPointError, match=message) as raised:
        run(recipe, tmp_path, progress=False)
    stopped = int(str(raised.value).split()[1].rstrip(":"))
    assert listed(tmp_path, "checkpoint")[0].name == f"checkpoint-{stopped - 1:08d}"
    assert not (tmp_path / "result.json").exists()


def test_a_validation_loss_that_is_not_a_number_stops_the_run_too(tmp_path):
    """The last update, or one that is evaluated at once, has no next one to find out."""
    recipe = dataclasses.replace(
        TOY, cell="rnn", learning_rate=3e38, clip_norm=None, warmup=0, evaluate_every=1
    )
    with pytest.raises(
        FloatingPointError, match=r"update 1: the validation loss is (nan|inf); try a smaller learning_rate"
    ):
        run(recipe, tmp_path, progress=False)
    assert not listed(tmp_path, "best") and not (tmp_path / "result.json").exists()


def test_a_perplexity_that_no_number_can_hold_is_none_and_the_run_ends(tmp_path):
    assert in_units(800.0)["perplexity"] is None and in_units(699.0)["perplexity"] == math.exp(699)
    recipe = dataclasses.replace(TOY, learning_rate=1e4, clip_norm=None, warmup=0, updates=1)
    result = run(recipe, tmp_path, progress=False)
    carried = result["validation"]["carried"]
    assert carried["nats"] > 700 and carried["perplexity"] is None
    assert json.loads((tmp_path / "result.json").read_text()) == result


def test_training_learns_and_tells_its_scores(tmp_path):
    recipe = dataclasses.replace(TOY, hidden_size=16, updates=150, learning_rate=0.02, evaluate_every=50)
    result = run(recipe, tmp_path, progress=False)
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert Recipe(**result["recipe"]) == recipe
    model = load(tmp_path)
    text = corpora.hello() * 200
    nats = evaluate(model, model.vocabulary.encode(text))
    found = result["validation"]
    assert nats < 0.1 and found["carried"] == in_units(nats)
    assert found["carried"]["perplexity"] == pytest.approx(math.exp(nats))
    assert found["carried"]["bits"] == pytest.approx(nats / math.log(2))
    assert found["windows"]["nats"] > nats  # each window begins by not knowing where it is
    assert found["characters"] == 999 and result["parameters"] == sum(w.numel() for w in model.parameters())
    assert [update for update, _ in result["evaluations"]] == [50, 100, 150]
    assert read_model(tmp_path).about["validation"] == found


# ---- evaluation, stopping, device


def test_patience_stops_a_run_that_no_longer_gets_better(tmp_path):
    recipe = dataclasses.replace(
        TOY, updates=400, evaluate_every=1, patience=3, learning_rate=3.0, clip_norm=None
    )
    result = run(recipe, tmp_path, progress=False)
    assert result["stopped_early"] and result["updates"] == result["best_update"] + 3 < 400
    (best,) = listed(tmp_path, "best")
    assert best.name == f"best-{result['best_update']:08d}"
    losses = dict(map(tuple, result["evaluations"]))
    assert min(losses.values()) == losses[result["best_update"]]


def test_the_average_is_what_is_evaluated_and_kept(tmp_path):
    result = run(dataclasses.replace(TOY, average=0.9, evaluate_every=13), tmp_path, progress=False)
    model = load(tmp_path)
    ids = model.vocabulary.encode("hello" * 200)
    assert result["evaluations"] == [[13, pytest.approx(evaluate(model, ids, batch_size=9), rel=1e-6)]]
    checkpoint = tensors_of(tmp_path)
    for name, value in read_model(tmp_path).tensors.items():
        assert torch.equal(value, checkpoint[f"average/{name}"]) and not torch.equal(
            value, checkpoint[f"model/{name}"]
        )


def test_scores_count_every_character_but_the_first():
    model = TOY.build("ehlo")
    found = losses_on(model, "hello" * 7, window=8)
    ids = model.vocabulary.encode("hello" * 7)
    assert found["characters"] == 34 and found["windows"]["window"] == 8
    assert found["carried"]["nats"] == evaluate(model, ids)
    assert found["windows"]["nats"] == pytest.approx(evaluate(model, ids, window=8), rel=1e-6)
    assert "windows" not in losses_on(model, "hello", window=None)


def test_the_device_is_chosen_or_refused_by_name(monkeypatch):
    monkeypatch.delenv("UNROLLED_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert training_device().type == "mps" and training_device("cpu").type == "cpu"
    monkeypatch.setenv("UNROLLED_DEVICE", "cpu")
    assert training_device().type == "cpu"
    for name in ("teapot", "cuda", "meta"):
        with pytest.raises(ValueError, match=f"device: expected .*, got '{name}'"):
            training_device(name)
    for name in ("cuda", "meta"):
        monkeypatch.setenv("UNROLLED_DEVICE", name)
        with pytest.raises(ValueError, match=f"UNROLLED_DEVICE: expected a device of this .*, got '{name}'"):
            training_device()


def test_precision_is_where_it_pays_or_as_asked():
    hello = open_corpus("hello")
    assert not Run(TOY, hello, ONE).bfloat16
    half = Run(dataclasses.replace(TOY, precision="bfloat16"), hello, ONE)
    full = Run(TOY, hello, ONE)
    for _ in range(3):
        half.update()
        full.update()
    assert half.loss == pytest.approx(full.loss, rel=0.02) and half.loss != full.loss
    assert {weight.dtype for weight in half.model.parameters()} == {torch.float32}


def test_a_batch_is_shared_equally_or_refused():
    ranks = Ranks(torch.device("cpu"))
    ranks.size, ranks.rank = 2, 1
    assert ranks.rows(6) == slice(3, 6) and not ranks.first
    ranks.size = 3
    with pytest.raises(ValueError, match="batch_size: expected a multiple of the 3 processes, got 4"):
        Run(TOY, open_corpus("hello"), ranks)


def test_a_checkpoint_of_two_processes_goes_on_in_one():
    """The masks of dropout are drawn anew, the same at every attempt; everything else stands."""
    recipe = dataclasses.replace(TOY, dropout=0.5)
    going = Run(recipe, open_corpus("hello"), ONE)
    going.update()
    tensors, about = going.pack()
    tensors["random/cpu"] = torch.cat([tensors["random/cpu"]] * 2)
    losses = []
    for seed in range(2):
        again = Run(recipe, open_corpus("hello"), ONE)
        torch.manual_seed(seed)
        again.unpack(tensors, about)
        assert again.done == 1 and again.loss == going.loss
        again.update()
        losses.append(again.loss)
    assert losses[0] == losses[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_run_on_a_gpu_stops_and_goes_on(tmp_path, monkeypatch):
    recipe = dataclasses.replace(TOY, dropout=0.2, num_layers=2, updates=60, learning_rate=0.02)
    whole = run(recipe, tmp_path / "whole", device="cuda", progress=False)
    assert whole["validation"]["carried"]["nats"] < 1.0 and whole["device"].startswith("cuda")
    stopped(recipe, tmp_path / "stopped", 31, monkeypatch, device="cuda")
    again = run(recipe, tmp_path / "stopped", resume=True, device="cuda", progress=False)
    assert again["validation"]["carried"]["nats"] == pytest.approx(
        whole["validation"]["carried"]["nats"], abs=0.2
    )


# ---- processes side by side


@pytest.mark.skipif(sys.platform != "linux", reason="reads the processes from /proc")
def test_two_processes_equal_one_and_a_killed_worker_leaves_a_checkpoint(tmp_path):
    """torchrun, gloo: a worker is killed on the way, the run goes on, and the losses are those of one process."""
    recipe = dataclasses.replace(
        TOY, updates=400, num_steps=8, checkpoint_every=20, evaluate_every=100, average=0.9, restarts=0.2
    )
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    folder = tmp_path / "two"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "unrolled", "train", str(folder), "--recipe", str(tmp_path / "recipe.json"), "--resume", "--quiet",
        "--json", "--device", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as going:
        until = time.monotonic() + 120
        while not (folder / "checkpoint-00000040.json").exists():
            assert going.poll() is None and time.monotonic() < until, going.communicate()
            time.sleep(0.005)
        children = Path(f"/proc/{going.pid}/task/{going.pid}/children").read_text().split()
        workers = [
            int(child) for child in children if b"unrolled" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        assert len(workers) == 2
        os.kill(workers[1], signal.SIGKILL)
        going.communicate(timeout=120)
        assert going.returncode != 0
    path, _, refused = read_newest(folder, "checkpoint")
    assert 40 <= int(path.name[-8:]) < 400 and not refused
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    one = run(recipe, tmp_path / "one", progress=False)
    assert result["processes"] == 2 and one["processes"] == 1
    losses, alone = (tensors_of(each)["history/loss"] for each in (folder, tmp_path / "one"))
    torch.testing.assert_close(losses, alone, rtol=1e-4, atol=0)
    assert result["validation"]["carried"]["nats"] == pytest.approx(
        one["validation"]["carried"]["nats"], rel=1e-4
    )
