"""How good per minute: the commands run at toy size and store what a reader needs; the models they made are as told."""

import json
import math

import pytest
import torch

from benchmarks import record
from benchmarks.sweeps import pretrained, quality, transformer
from benchmarks.tries import recipes as tries
from unrolled.data import corpora
from unrolled.models import load
from unrolled.models import pretrained as shipped
from unrolled.models.pairs import read_pair
from unrolled.probes import stored_result
from unrolled.training import evaluate, losses_on

SETTING = transformer.Setting(layers=2, heads=2, width=16, block=8, batch=4, updates=30, warmup=5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Results go here, so that a test never touches a stored one."""
    monkeypatch.setattr(record, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(tries, "LOG", tmp_path / "tries.json")
    return tmp_path / "results"


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# ---- the transformer


def test_the_transformer_is_nanogpts_and_sees_no_later_character():
    model = transformer.Transformer(65, transformer.Setting())
    # Per layer 12 width² and two norms; one matrix to read and to write with; places; the last norm.
    assert sum(w.numel() for w in model.parameters()) == 4 * (12 * 128**2 + 2 * 128) + (65 + 64) * 128 + 128
    small = transformer.Transformer(5, SETTING).eval()
    ids = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2]])
    changed = ids.clone()
    changed[0, 5:] = 4
    one, other = small(ids)[0], small(changed)[0]
    torch.testing.assert_close(one[:, :5], other[:, :5])
    assert not torch.allclose(one[:, 5:], other[:, 5:])


def test_its_rate_rises_in_a_line_and_falls_to_its_floor():
    rate = SETTING.rate
    assert [rate(u) for u in (1, 5)] == [SETTING.learning_rate / 5, SETTING.learning_rate]
    assert math.isclose(rate(SETTING.updates), SETTING.learning_rate * SETTING.floor)
    assert all(rate(u) > rate(u + 1) for u in range(5, 30))


def test_it_learns():
    ids = torch.arange(200) % 5
    setting = transformer.Setting(
        layers=1, heads=2, width=16, block=8, batch=8, updates=80, warmup=5, learning_rate=0.01
    )
    model, seconds = transformer.train(ids, 5, setting)
    assert evaluate(model, ids, window=8) < 0.5 < math.log(5) and seconds > 0


# ---- the table of models


def _quality(folder, *options):
    quality.main(["--toy", *options])
    return json.loads((folder / "quality_toy.json").read_text(encoding="utf-8"))


def test_a_toy_table_stores_every_entry_once_and_goes_on_where_it_stopped(folder, one_thread):
    result = _quality(folder)
    told = [(run["entry"], run["seed"]) for run in result["runs"]]
    assert told == [("LSTM", 0), ("LSTM", 1), ("GPT", 0), ("GPT of a short block", 0)]
    lstm, _, gpt, short = result["runs"]
    assert 0 < lstm["carried"] < lstm["windows"] + 0.1 and lstm["seconds"] <= lstm["wall"]
    assert lstm["windows"] != lstm["short_windows"] > 0
    assert "carried" not in gpt and gpt["windows"] == gpt["own_windows"]
    assert short["windows"] is None and short["own_windows"] > 0  # 256 characters are more than it can read
    assert _quality(folder) == result
    result["runs"][0]["config"]["updates"] += 1  # a stored run of another config is run again
    result["runs"][0]["carried"] = 0.0
    record.save("quality_toy", result)
    again = _quality(folder)
    assert len(again["runs"]) == 4 and all(run.get("carried", 1) > 0 for run in again["runs"])


def test_an_unknown_entry_is_refused(folder, one_thread):
    with pytest.raises(SystemExit, match="--only: expected one of LSTM, GPT, .* got 'RNN'"):
        _quality(folder, "--only", "RNN")


def test_a_try_is_logged_with_what_it_changed(folder, one_thread, tmp_path, capsys, monkeypatch):
    text = "".join(corpora.names(400).train)[:2500]
    path = tmp_path / "text.txt"
    path.write_text(text)
    monkeypatch.setattr(corpora, "SHAKESPEARE_SHA256", None)
    sizes = ["updates=2", "batch_size=4", "num_steps=8", "hidden_size=8", "evaluate_every=2", "cell=gru"]
    tries.main(["--text", str(path), "--threads", "1", *sizes, "seed=3"])
    tries.main(
        [
            "--text",
            str(path),
            "--threads",
            "1",
            "--gpt",
            "updates=2",
            "block=8",
            "heads=2",
            "width=8",
            "warmup=1",
        ]
    )
    recurrent, gpt = tries.log()
    assert (
        recurrent["changed"]["hidden_size"] == 8
        and recurrent["seed"] == 3
        and "seed" not in recurrent["changed"]
    )
    assert recurrent["model"] == "GRU" and gpt["model"] == "GPT" and gpt["own_windows"] > 0
    capsys.readouterr()
    tries.main(["--table"])
    assert len(capsys.readouterr().out.splitlines()) == 4
    with pytest.raises(SystemExit, match="a name among .*hidden_size.*, got 'hidden=8'"):
        tries.main(["--text", str(path), "hidden=8"])


def test_every_stored_run_is_the_one_its_command_would_make():
    result = stored_result("quality")
    told = {(run["entry"], run["seed"]) for run in result["runs"]}
    assert told == {(entry, seed) for entry, (_, seeds) in quality.ENTRIES.items() for seed in seeds}
    for run in result["runs"]:
        config, _ = quality.ENTRIES[run["entry"]]
        assert run["config"] == {**json.loads(json.dumps(vars(config))), "seed": run["seed"]}
    assert result["threads"] == 2 and result["processor"] and result["versions"]["torch"]


def test_the_promises_hold_in_the_stored_table():
    runs = stored_result("quality")["runs"]

    def of(entry, key):
        return [run[key] for run in runs if run["entry"] == entry]

    gpt, lstm = "GPT, nanoGPT's CPU recipe", "LSTM, short"
    assert max(of(lstm, "carried")) <= 1.55 and max(of(lstm, "wall")) <= min(of(gpt, "wall"))
    assert max(of(lstm, "short_windows")) < min(of("GPT, tuned", "own_windows"))
    assert max(of("LSTM, short", "carried")) < min(of("RNN, short", "carried"))
    assert max(of("LSTM, long", "carried")) <= 1.45 and max(of("LSTM, long", "wall")) <= 1800


# ---- the models that come with the library


def test_a_toy_model_is_made_stored_in_half_precision_and_scored_as_stored(tmp_path, one_thread):
    pretrained.main(["--toy", "--to", str(tmp_path)])
    first = (tmp_path / "names.safetensors").read_bytes()
    tensors, about = read_pair(tmp_path / "names")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    text = corpora.names().test[: pretrained.EXCERPT]
    assert about["scores"]["test"] == losses_on(load(tmp_path / "names"), text)
    assert about["recipe"] == pretrained.TOY["names"].to_dict()
    assert [update for update, _ in about["curve"]] == [3, 6]
    pretrained.main(["--toy", "--to", str(tmp_path)])  # finished: nothing is trained, the same is stored
    assert (tmp_path / "names.safetensors").read_bytes() == first
    with pytest.raises(SystemExit, match="names: expected some of names, got hello"):
        pretrained.main(["--toy", "--to", str(tmp_path), "hello"])


def test_the_models_that_ship_are_those_of_their_command_and_small():
    assert shipped() == sorted(pretrained.MODELS)
    files = list(pretrained.FOLDER.iterdir())
    assert sum(path.stat().st_size for path in files) < 4_000_000
    for name, recipe in pretrained.MODELS.items():
        about = load(name).about
        assert about["recipe"] == recipe.to_dict() and about["curve"][-1][0] == recipe.updates
        assert about["corpus"]["name"] == name and about["command"] == pretrained.COMMAND
        assert about["scores"]["validation"]["carried"]["nats"] == pytest.approx(
            min(n for _, n in about["curve"]), abs=0.05
        )
        assert {"source", "licence"} <= about["corpus"].keys()


def test_the_names_model_scores_what_stands_beside_it():
    model = load("names")
    text = corpora.names().test[: pretrained.EXCERPT]
    found = evaluate(model, model.vocabulary.encode(text))
    assert found == pytest.approx(model.about["scores"]["test"]["carried"]["nats"], abs=1e-4)


def test_the_python_model_reads_the_python_of_every_interpreter():
    model = load("python")
    text = corpora.python().test[:20_000]
    assert (
        evaluate(model, model.vocabulary.encode(text)) < 2.0
    )  # far below ln 97 = 4.6; the text moves with Python
