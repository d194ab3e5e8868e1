"""The command line: what it prints, what it refuses, how it leaves."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import entry_points

import pytest
import torch

from unrolled.cli import commands as cli
from unrolled.cli import main
from unrolled.data import Vocabulary, corpora
from unrolled.models import CharacterModel, load, save
from unrolled.models.checkpoints import listed
from unrolled.models.pairs import read_pair
from unrolled.training import Recipe, Run, evaluate, in_units, runs

TOY = [
    "--corpus", "hello", "--hidden-size", "16", "--embedding-size", "4", "--updates", "30", "--batch-size", "4",
    "--num-steps", "40", "--warmup", "3", "--learning-rate", "0.02", "--evaluate-every", "10", "--checkpoint-every",
    "10", "--device", "cpu", "--quiet",
]  # fmt: skip


def call(*arguments, capsys, code=0):
    """Run a command; what it printed to both streams."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert left.value.code == code, (out, err)
    return out, err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("runs") / "hello"
    with pytest.raises(SystemExit) as left:
        main(["train", str(folder), *TOY])
    assert left.value.code == 0
    return folder


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch):
    for name, value in (("COLUMNS", "200"), ("TERMINAL_WIDTH", "200"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UNROLLED_DEVICE", "cpu")  # where the same recipe gives the same bits


def test_the_command_is_installed():
    (script,) = entry_points(group="console_scripts", name="unrolled")
    assert script.load() is main


def test_training_prints_its_scores_and_stores_them_with_its_recipe(tmp_path, capsys):
    out, err = call("train", tmp_path / "a", *TOY, capsys=capsys)
    assert "update 30 of 30 is best" in out and "nats" in out and "perplexity" in out and err == ""
    out, err = call("train", tmp_path / "b", *TOY, "--json", capsys=capsys)
    told = json.loads(out)
    stored = json.loads((tmp_path / "b" / "result.json").read_text())
    assert told == {"folder": str(tmp_path / "b"), **stored} and err == ""
    assert stored["recipe"]["hidden_size"] == 16 and stored["recipe"]["clip_norm"] == 1.0


def test_the_progress_bar_tells_loss_speed_and_time_left(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("UNROLLED_PROGRESS")
    _, err = call("train", tmp_path / "a", *TOY[:-1], "--updates", 400, capsys=capsys)
    last = err.replace("\r", "\n").strip().splitlines()[-1]
    assert "400/400" in last and "loss 0." in last and "characters/s" in last and "<00:00" in last


def test_sampling_repeats_with_its_seed_and_goes_on_from_a_prompt(trained, capsys):
    out, _ = call("sample", trained, "--prompt", "he", "--length", 30, "--temperature", 0, capsys=capsys)
    assert out.strip() == ("hello" * 7)[:32]
    options = ("--length", 20, "--count", 3, "--seed", 5, "--top-k", 3, "--top-p", 0.95, "--json")
    first, again = (json.loads(call("sample", trained, *options, capsys=capsys)[0]) for _ in range(2))
    assert first == again and len(first["samples"]) == 3
    wild = ("--length", 40, "--temperature", 5, "--json")
    texts = [
        json.loads(call("sample", trained, *wild, "--seed", s, capsys=capsys)[0])["samples"] for s in (5, 6)
    ]
    assert texts[0] != texts[1]
    assert {len(text) for text in first["samples"]} == {20} and first["prompt"] == "e"


def test_evaluation_gives_both_ways_of_reading(trained, capsys):
    out, _ = call("evaluate", trained, "--json", "--window", 16, capsys=capsys)
    told = json.loads(out)
    model = load(trained)
    ids = model.vocabulary.encode("hello" * 200)
    assert told["carried"] == pytest.approx(in_units(evaluate(model, ids)))
    assert told["windows"]["nats"] == pytest.approx(evaluate(model, ids, window=16))
    assert (told["corpus"], told["split"], told["characters"]) == ("hello", "validation", 999)
    out, _ = call("evaluate", trained, "--split", "test", "--window", 0, "--rows", 4, capsys=capsys)
    assert "999 characters of hello, test" in out and "state carried" in out and "windows" not in out


def test_a_text_file_of_the_readers_own_is_a_corpus_too(tmp_path, capsys):
    file = tmp_path / "rhyme.txt"
    file.write_text("the rain in spain stays mainly in the plain\n" * 50, encoding="utf-8")
    options = (*TOY, "--corpus", file, "--json")
    told = json.loads(call("train", tmp_path / "a", *options, capsys=capsys)[0])
    lengths = told["corpus"]["characters"]
    assert sum(lengths.values()) == 44 * 50 and told["corpus"]["name"] == "rhyme"
    found = json.loads(call("evaluate", tmp_path / "a", "--split", "held-out", "--json", capsys=capsys)[0])
    assert found["characters"] == lengths["validation"] + lengths["test"] - 1
    lines = call("sample", tmp_path / "a", "--length", 20, capsys=capsys)[0]
    assert set(lines) <= set("the rain in spain stays mainly in the plain\n")


def test_a_corpus_that_can_not_be_had_leaves_with_1(tmp_path, capsys, monkeypatch):
    def offline():
        raise ConnectionError("shakespeare: expected a network, got none")

    monkeypatch.setattr(corpora, "shakespeare", offline)
    _, err = call("train", tmp_path / "a", "--corpus", "shakespeare", capsys=capsys, code=1)
    assert err == "unrolled: shakespeare: expected a network, got none\n"


def test_info_tells_sizes_parameters_corpus_recipe_and_scores(trained, tmp_path, capsys):
    out, _ = call("info", trained, capsys=capsys)
    told = json.loads(call("info", trained, "--json", capsys=capsys)[0])
    number = sum(weight.numel() for weight in load(trained).parameters())
    assert told["parameters"] == number and f"{number:,} parameters" in out
    for part in ("hidden_size       16", "corpus", "hello", "learning_rate     0.02", "carried", "nats"):
        assert part in out, part
    for source in (listed(trained, "checkpoint")[0], f"{listed(trained, 'best')[0]}.safetensors"):
        assert json.loads(call("info", source, "--json", capsys=capsys)[0])["parameters"] == number
    bare = save(CharacterModel(Vocabulary("abc"), 3), tmp_path / "bare")
    assert "parameters" in call("info", bare, capsys=capsys)[0]


def test_a_run_goes_on_from_its_own_recipe(tmp_path, capsys, monkeypatch):
    real = Run.update

    def update(self):
        if self.done == 17:
            raise KeyboardInterrupt
        real(self)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "update", update)
        _, err = call("train", tmp_path / "a", *TOY, capsys=capsys, code=130)
    assert "--resume goes on" in err
    call("train", tmp_path / "a", "--resume", "--quiet", capsys=capsys)
    call("train", tmp_path / "b", *TOY, capsys=capsys)
    a, b = (read_pair(listed(tmp_path / name, "checkpoint")[0]).tensors for name in "ab")
    assert all(torch.equal(a[name], b[name]) for name in b) and a.keys() == b.keys()
    _, err = call("train", tmp_path / "a", "--resume", "--seed", 3, capsys=capsys, code=2)
    assert "seed: expected 0, with which this run began, got 3" in err


def test_a_recipe_comes_from_a_file_and_options_go_before_it(tmp_path, capsys):
    file = tmp_path / "recipe.json"
    file.write_text(
        json.dumps({"corpus": "hello", "updates": 3, "batch_size": 4, "hidden_size": 5, "embedding_size": 3})
    )
    options = (
        "--recipe",
        file,
        "--hidden-size",
        7,
        "--embedding-size",
        0,
        "--clip-norm",
        0,
        "--quiet",
        "--json",
    )
    recipe = json.loads(call("train", tmp_path / "a", *options, capsys=capsys)[0])["recipe"]
    assert (recipe["updates"], recipe["hidden_size"]) == (3, 7)
    assert recipe["embedding_size"] is None and recipe["clip_norm"] is None


USAGE = {
    "an unknown option": (["train", "x", "--hiden-size", "3"], "--hiden-size"),
    "an unknown command": (["trian"], "trian"),
    "no folder": (["train"], "folder"),
    "not a number": (["train", "x", "--updates", "many"], "--updates"),
    "a size": (
        ["train", "x", "--hidden-size", "0"],
        "hidden_size: expected a whole number of at least 1, got 0",
    ),
    "a cell": (["train", "x", "--cell", "qrnn"], "cell: expected one of 'rnn', 'lstm', 'gru', got 'qrnn'"),
    "a corpus": (
        ["train", "x", "--corpus", "bible"],
        "corpus: expected names, python, shakespeare, hello or",
    ),
    "a device": (
        ["train", "x", "--device", "teapot"],
        "device: expected auto, cpu, cuda or mps, got 'teapot'",
    ),
    "tied sizes": (["train", "x", "--tied"], "tied: expected embedding_size = hidden_size"),
    "a batch": (
        ["train", "x", "--corpus", "hello", "--batch-size", "5000"],
        "batch_size: expected at most 999, a character a row, got 5000",
    ),
    "no model": (["sample", "nowhere"], "source: expected a file of a model, a run's folder or the name"),
    "a split": (
        ["evaluate", "MODEL", "--split", "dev"],
        "split: expected train, validation, test, held-out, got 'dev'",
    ),
    "a temperature": (
        ["sample", "MODEL", "--temperature", "-1"],
        "temperature: expected a number of at least 0",
    ),
    "top-p": (["sample", "MODEL", "--top-p", "0"], "top_p: expected a number above 0 and at most 1, got 0.0"),
    "a prompt": (["sample", "MODEL", "--prompt", "hex"], "got 'x' at position 2"),
    "a folder that is a file": (
        ["train", "MODEL/result.json", "--corpus", "hello"],
        "folder: expected a folder, got MODEL/result.json, where MODEL/result.json is a file",
    ),
    "a folder under a file": (
        ["train", "MODEL/result.json/x", "--corpus", "hello"],
        "folder: expected a folder, got MODEL/result.json/x, where MODEL/result.json is a file",
    ),
    "a seed": (
        ["sample", "MODEL", "--seed", str(2**64)],
        "seed: expected a whole number from -2**63 to 2**64 - 1, got 18446744073709551616",
    ),
    "a used folder": (
        ["train", "MODEL", "--corpus", "hello"],
        "folder: expected one without a run, or resume",
    ),
}


@pytest.mark.parametrize("case", USAGE)
def test_bad_usage_leaves_with_2_and_says_what_was_expected(case, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = USAGE[case]
    given = [each.replace("MODEL", str(trained)) for each in arguments]
    message = message.replace("MODEL", str(trained))
    out, err = call(*given, capsys=capsys, code=2)
    assert message in " ".join(err.split()) and "Traceback" not in err and out == ""
    assert os.listdir(tmp_path) == []


def test_a_failed_run_leaves_with_1_and_json_says_so(tmp_path, capsys):
    options = (*TOY, "--learning-rate", "1e30", "--clip-norm", 0, "--json")
    out, err = call("train", tmp_path / "a", *options, capsys=capsys, code=1)
    assert "the gradient's norm" in err and "try a smaller learning_rate" in err
    assert json.loads(out) == {"error": err.strip().removeprefix("unrolled: ")}


def test_a_perplexity_that_no_number_can_hold_is_told_in_words_and_in_json(tmp_path, capsys):
    options = (*TOY, "--learning-rate", 1e4, "--clip-norm", 0, "--warmup", 0, "--updates", 1)
    assert "perplexity too large" in call("train", tmp_path / "a", *options, capsys=capsys)[0]
    for command in ("info", "evaluate"):
        assert "perplexity too large" in call(command, tmp_path / "a", capsys=capsys)[0]
        out, _ = call(command, tmp_path / "a", "--json", capsys=capsys)
        assert "Infinity" not in out and '"perplexity": null' in out


@pytest.mark.parametrize(
    "arguments", [["train", "x", "--updates", "many"], ["info", "--hiden"], ["evaluate", "x", "--rows", "0"]]
)
def test_bad_usage_is_told_in_json_too(arguments, capsys):
    out, err = call(*arguments, "--json", capsys=capsys, code=2)
    assert json.loads(out) == {"error": err.strip().removeprefix("unrolled: ")}
    assert any(word in out for word in ("--updates", "--hiden", "--rows"))


def test_json_help_and_interruption_leave_as_without_it(tmp_path, capsys, monkeypatch):
    assert "Usage" in call("info", "--json", "--help", capsys=capsys)[0]

    def stopped(*_, **__):
        raise KeyboardInterrupt

    for name in ("run", "read_model"):
        monkeypatch.setattr(cli, name, stopped)
    call("train", tmp_path / "a", *TOY, "--json", capsys=capsys, code=130)
    call("info", "x", "--json", capsys=capsys, code=130)


def test_a_damaged_model_leaves_with_1_and_is_named(trained, tmp_path, capsys):
    path = save(load(trained), tmp_path / "a")
    file = tmp_path / "a.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    _, err = call("info", path, capsys=capsys, code=1)
    assert str(file) in err and "Traceback" not in err


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(tmp_path, capsys):
    call("train", tmp_path / "a", *TOY, capsys=capsys)
    newest = tmp_path / "a" / "checkpoint-00000030.safetensors"
    newest.write_bytes(b"")
    _, err = call("train", tmp_path / "a", "--resume", "--quiet", capsys=capsys)
    assert f"warning: {newest}: expected" in err and "checkpoint-00000020 is used" in err


def test_a_mistake_of_the_library_is_not_called_bad_usage(trained, monkeypatch):
    def broken(*_, **__):
        raise ValueError("nobody expected this")

    monkeypatch.setattr(cli, "read_model", broken)
    with pytest.raises(ValueError, match="nobody"):
        main(["info", str(trained)])


def test_help_tells_every_option_with_its_default(capsys):
    out, _ = call("train", "--help", capsys=capsys)
    words = " ".join(out.split())
    for each in fields(Recipe):
        assert "--" + each.name.replace("_", "-") in words, each.name
    for default in ("names", "lstm", "256", "0.003", "cosine", "none"):
        assert f"[default: ({default})]" in words
    for panel in ("Text", "Model", "Training", "Saving", "Machine"):
        assert f" {panel} " in words
    out, _ = call("--help", capsys=capsys)
    for command in ("train", "sample", "evaluate", "info"):
        assert f" {command} " in out
        assert "--json" in call(command, "--help", capsys=capsys)[0]
    assert "Exit codes" in out
    assert call("--version", capsys=capsys)[0].startswith("unrolled 0.")


def test_threads_are_set_where_asked(trained, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    call("evaluate", trained, "--threads", 3, "--rows", 4, capsys=capsys)
    call("evaluate", trained, "--rows", 4, capsys=capsys)
    assert asked == [3]


def test_other_processes_print_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "run", lambda *_, **__: {})  # what a run returns in all but the first process
    assert call("train", tmp_path / "a", *TOY, capsys=capsys) == ("", "")
    assert runs.run is not cli.run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc", "text: expected at least 40 characters to split in"),
        (b"", "text: expected at least 40 characters to split in"),
        (b"\xff" * 100, "path: expected text in utf-8 in"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_text_that_will_not_do_is_a_line_whatever_its_path(content, message, as_json, tmp_path, capsys):
    folder = tmp_path / "a folder-with ~ signs"
    folder.mkdir()
    (folder / "x.txt").write_bytes(content)
    options = ["--json"] if as_json else []
    out, err = call("train", tmp_path / "run", "--corpus", folder / "x.txt", *options, capsys=capsys, code=2)
    assert err.startswith(f"unrolled: {message}") and err.count("\n") == 1
    assert message in json.loads(out)["error"] if as_json else out == ""


def test_a_folder_the_system_refuses_is_told_in_a_sentence(capsys):
    _, err = call("train", "/proc/x", *TOY, capsys=capsys, code=2)
    assert err.startswith("unrolled: folder: could not make /proc/x: ") and "[Errno" not in err


def test_a_run_of_the_readers_own_goes_before_a_model_of_the_librarys(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, tmp_path / "names")
    out, _ = call("info", "names", "--json", capsys=capsys)
    assert json.loads(out)["recipe"]["corpus"] == "hello"


def test_a_pipe_that_lacks_a_character_gets_it_escaped(tmp_path):
    save(CharacterModel(Vocabulary("\N{GRINNING FACE}\u0416"), 4), tmp_path / "faces")
    command = [sys.executable, "-m", "unrolled", "sample", str(tmp_path / "faces"), "--length", "8"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.decode("ascii").replace("\\U0001f600", "").replace("\\u0416", "")) <= {"\n", "\r"}


def test_more_threads_than_a_machine_has_are_refused_before_they_are_started(capsys):
    _, err = call("train", "x", *TOY, "--threads", "100000", capsys=capsys, code=2)
    assert "expected at most 1024, got 100000" in err


def test_a_text_that_has_changed_is_not_scored_as_the_one_it_was(tmp_path, capsys):
    text = tmp_path / "mine.txt"
    text.write_text("hello " * 100, encoding="utf-8")
    call("train", tmp_path / "run", *TOY, "--corpus", text, capsys=capsys)
    call("evaluate", tmp_path / "run", capsys=capsys)
    text.write_text("hello " * 90, encoding="utf-8")
    _, err = call("evaluate", tmp_path / "run", capsys=capsys, code=2)
    assert "corpus: expected the text this model was trained on, got another" in err
