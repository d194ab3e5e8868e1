"""A pair of files is whole whoever stops, reads or writes meanwhile, and is what was saved."""

import multiprocessing
import os
import signal
import time

import pytest
import torch

from unrolled.data import Vocabulary
from unrolled.device import stack_seeds
from unrolled.models import CharacterModel, DamagedFile, load, pairs, save
from unrolled.models.pairs import read_pair, write_pair

pytestmark = pytest.mark.usefixtures("plain_errors")


def model(size=4):
    return CharacterModel(Vocabulary("abc"), size)


def test_keys_that_are_no_text_are_stored_as_text_and_read_again(tmp_path):
    save(model(), tmp_path / "k", scores={9: 0.1, 10: 0.2})
    assert load(tmp_path / "k").about["scores"] == {"9": 0.1, "10": 0.2}


@pytest.mark.parametrize("value", [float("nan"), torch.ones(2), {1, 2}])
def test_what_json_cannot_hold_is_refused_by_its_name(value, tmp_path):
    with pytest.raises((TypeError, ValueError), match="loss: expected what JSON can hold, got"):
        save(model(), tmp_path / "k", loss=value)
    assert list(tmp_path.iterdir()) == []


def test_stacked_seeds_and_a_path_without_a_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="model: expected one model, got stacked seeds"):
        save(stack_seeds(model, [0, 1]), tmp_path / "k")
    with pytest.raises(ValueError, match="path: expected a file's name without an ending, got '.'"):
        save(model(), ".")


@pytest.mark.parametrize("stop_at", [1, 2])
def test_a_stop_while_a_pair_is_overwritten_leaves_the_old_one(stop_at, tmp_path, monkeypatch):
    write_pair(tmp_path / "over", {"w": torch.zeros(3)}, {"which": "old"})
    written = []

    def full(path, data, write=pairs.write_file):
        written.append(path)
        if len(written) == stop_at:
            raise OSError(28, "No space left on device")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(pairs, "write_file", full)
        with pytest.raises(OSError):
            write_pair(tmp_path / "over", {"w": torch.ones(3)}, {"which": "new"})
    assert read_pair(tmp_path / "over").about == {"which": "old"}
    assert not read_pair(tmp_path / "over").tensors["w"].any()
    # And from there a second one can be written, or stop as well.
    write_pair(tmp_path / "over", {"w": torch.full((3,), 2.0)}, {"which": "third"})
    assert read_pair(tmp_path / "over").tensors["w"].sum() == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["over.json", "over.safetensors"]


def test_a_full_disk_is_told_with_the_path_and_what_was_done(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pairs, "_write_beside", full)
    with pytest.raises(OSError, match="path: could not write .*k.safetensors: no space left on device"):
        save(model(), tmp_path / "k")


def _write_on(path, ended):
    for number in range(10**6):
        if ended.is_set():
            return
        write_pair(path, {"w": torch.full((1000,), float(number))}, {"number": number})


def test_who_reads_while_another_writes_finds_one_pair_or_the_other(tmp_path):
    path = tmp_path / "shared"
    write_pair(path, {"w": torch.zeros(1000)}, {"number": 0})
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    writer = context.Process(target=_write_on, args=(path, ended))
    writer.start()
    seen = set()
    try:
        deadline = time.monotonic() + 60
        while len(seen) < 40 and time.monotonic() < deadline:
            pair = read_pair(path)
            assert set(pair.tensors["w"].tolist()) == {pair.about["number"]}
            seen.add(pair.about["number"])
    finally:
        ended.set()
        writer.join()
    assert len(seen) == 40


def test_a_writer_killed_at_any_moment_leaves_a_pair(tmp_path):
    path = tmp_path / "killed"
    write_pair(path, {"w": torch.zeros(1000)}, {"number": 0})
    context = multiprocessing.get_context("fork")
    for life in range(10):
        writer = context.Process(target=_write_on, args=(path, context.Event()))
        writer.start()
        time.sleep(0.02 + 0.007 * life)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        pair = read_pair(path)
        assert set(pair.tensors["w"].tolist()) == {pair.about["number"]}


def test_a_readers_own_model_goes_before_one_of_the_librarys_with_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(load("names").vocabulary) == 27
    save(model(), "names")
    assert len(load("names").vocabulary) == 3


def test_a_model_goes_before_the_folder_that_bears_its_name(tmp_path):
    (tmp_path / "x").mkdir()
    save(model(7), tmp_path / "x")
    assert load(tmp_path / "x").rnn.hidden_size == 7


@pytest.mark.parametrize("source", [None, 5])
def test_a_source_that_is_no_name_is_refused(source):
    with pytest.raises(TypeError, match=f"source: expected a name or a path, got .* {source}"):
        load(source)


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'{"format": 1}', b'{"sha256": "", "format": 1, "tensors": 5}']
)
def test_foreign_descriptions_are_refused_as_damaged(content, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DamagedFile, match="expected a whole JSON description"):
        read_pair(tmp_path / "x")
