"""Pairs of files: whole or refused by name, whatever happens in between."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.models import DamagedFile, pairs
from unrolled.models.checkpoints import listed, read_newest, write_numbered
from unrolled.models.pairs import read_pair, write_file, write_pair

ABOUT = {"loss": 0.1 + 0.2, "name": "é", "none": None, "list": [1, 2.5e-300], "deep": {"a": [True]}}


def _tensors():
    base = torch.arange(12.0).view(3, 4)
    return {
        "double": torch.rand(2, 3, dtype=torch.float64),
        "half": torch.rand(3).bfloat16(),
        "bytes": torch.randint(256, (5,), dtype=torch.uint8),
        "transposed": base.mT,
        "row": base[1],  # of the same memory
        "number": torch.tensor(3.0),
    }


def test_a_pair_comes_back_to_the_bit(tmp_path):
    tensors = _tensors()
    path = write_pair(tmp_path / "new" / "a.b", tensors, ABOUT)
    for name in (path, f"{path}.json", f"{path}.safetensors"):
        back = read_pair(name)
        assert back.about == ABOUT
        assert back.tensors.keys() == tensors.keys()
        for key, value in tensors.items():
            assert back.tensors[key].dtype == value.dtype and torch.equal(back.tensors[key], value)
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.b.json", "a.b.safetensors"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("pair") / "model", _tensors(), ABOUT)


@given(st.sampled_from([".json", ".safetensors"]), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_one_altered_byte_is_refused_by_name(pair, suffix, where, change):
    file = pair.with_name(pair.name + suffix)
    whole = file.read_bytes()
    at = int(where * len(whole))
    try:
        file.write_bytes(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :])
        try:
            back = read_pair(pair)
        except DamagedFile as error:
            assert str(file) in str(error)
        else:  # white space between two words of the description says the same
            assert suffix == ".json" and back.about == ABOUT
    finally:
        file.write_bytes(whole)


@given(st.sampled_from([".json", ".safetensors"]), st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_refused_by_name(pair, suffix, where):
    file = pair.with_name(pair.name + suffix)
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[: int(where * (len(whole) - 1))])
        with pytest.raises(DamagedFile, match=file.name):
            read_pair(pair)
    finally:
        file.write_bytes(whole)


def test_missing_files_and_unknown_formats_are_told_apart(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="none.json: expected the description"):
        read_pair(tmp_path / "none")
    path = write_pair(tmp_path / "a", {}, {})
    path.with_name("a.safetensors").unlink()
    with pytest.raises(
        DamagedFile, match="a.safetensors: expected the tensors that a.json describes, found none"
    ):
        read_pair(path)
    monkeypatch.setattr(pairs, "FORMAT", 2)
    write_pair(path, {}, {})
    monkeypatch.setattr(pairs, "FORMAT", 1)
    with pytest.raises(DamagedFile, match="a.json: expected format 1, got 2"):
        read_pair(path)


def test_the_newest_are_kept_and_nothing_else(tmp_path):
    for number in (1, 2, 30, 100):
        write_numbered(tmp_path, "checkpoint", number, {"n": torch.tensor(number)}, {}, keep=2)
    write_numbered(tmp_path, "best", 7, {}, {}, keep=1)
    (tmp_path / "checkpoint-notes.json").write_text("{}")
    assert [path.name for path in listed(tmp_path, "checkpoint")] == [
        "checkpoint-00000100",
        "checkpoint-00000030",
    ]
    files = sorted(file.name for file in tmp_path.glob("*-0*"))
    numbers = ("best-00000007", "checkpoint-00000030", "checkpoint-00000100")
    assert files == [f"{name}.{suffix}" for name in numbers for suffix in ("json", "safetensors")]


def test_files_with_a_name_of_their_own_are_never_deleted(tmp_path):
    mine = write_pair(tmp_path / "best-of-all", {"n": torch.tensor(1)}, {})
    write_numbered(tmp_path, "best", 7, {}, {}, keep=1)
    assert int(read_pair(mine).tensors["n"]) == 1
    (tmp_path / "best-00000003.safetensors").write_bytes(b"")  # without its description it is nobody's
    write_numbered(tmp_path, "best", 8, {}, {}, keep=1)
    assert sorted(file.stem for file in tmp_path.glob("*.safetensors")) == ["best-00000008", "best-of-all"]


def test_a_damaged_newest_is_refused_and_the_one_before_it_used(tmp_path):
    for number in (1, 2, 3):
        write_numbered(tmp_path, "checkpoint", number, {"n": torch.tensor(number)}, {}, keep=3)
    cut, altered = tmp_path / "checkpoint-00000003.safetensors", tmp_path / "checkpoint-00000002.json"
    cut.write_bytes(cut.read_bytes()[:-1])
    altered.write_text(altered.read_text().replace('"bytes": ', '"bytes": 1'))
    path, found, refused = read_newest(tmp_path, "checkpoint")
    assert path.name == "checkpoint-00000001" and int(found.tensors["n"]) == 1
    assert len(refused) == 2 and str(cut) in refused[0] and str(altered) in refused[1]
    assert read_newest(tmp_path / "nowhere", "checkpoint") == (None, None, [])


@pytest.mark.parametrize("gone", ["json", "safetensors"])
def test_a_pair_that_a_run_replaces_while_it_is_read_is_no_damage(gone, tmp_path, monkeypatch):
    """The run that writes there deletes the older one: after the list was read, or between its two files."""
    write_numbered(tmp_path, "best", 1, {"n": torch.tensor(1)}, {}, keep=1)
    real = Path.read_bytes

    def reading(file):
        if file.name == f"best-00000001.{gone}":
            write_numbered(tmp_path, "best", 2, {"n": torch.tensor(2)}, {}, keep=1)
        return real(file)

    monkeypatch.setattr(Path, "read_bytes", reading)
    path, found, refused = read_newest(tmp_path, "best")
    assert path.name == "best-00000002" and int(found.tensors["n"]) == 2 and not refused


class _Killed(BaseException):
    pass


def test_stopped_between_any_two_steps_the_last_whole_one_stands(tmp_path, monkeypatch):
    """Every call that changes the disk is the last one in turn."""
    changes = ((Path, "open"), (Path, "replace"), (Path, "unlink"), (pairs.os, "fsync"))
    write_numbered(tmp_path, "checkpoint", 1, {"n": torch.tensor(1)}, {}, keep=1)
    last, seen = 1, []
    for number in range(2, 100):
        left = [number - 2]  # how many changes are still allowed

        def stopping(real, left=left):
            def call(*args, **kwargs):
                if left[0] == 0:
                    raise _Killed
                left[0] -= 1
                return real(*args, **kwargs)

            return call

        with monkeypatch.context() as patched:
            for owner, name in changes:
                patched.setattr(owner, name, stopping(getattr(owner, name)))
            try:
                write_numbered(tmp_path, "checkpoint", number, {"n": torch.tensor(number)}, {}, keep=1)
                stopped = False
            except _Killed:
                stopped = True
        path, found, refused = read_newest(tmp_path, "checkpoint")
        assert not refused and int(found.tensors["n"]) == int(path.name[-8:]) in (last, number)
        last = int(found.tensors["n"])
        seen.append(last == number)
        if not stopped:
            break
    assert seen == sorted(seen)  # first the one before stands, then, from one moment on, the new one
    assert seen.count(False) > 5 and seen.count(True) > 2 and not stopped
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"checkpoint-{number:08d}.{suffix}" for suffix in ("json", "safetensors")
    ]


def test_a_file_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    file = tmp_path / "result.json"
    write_file(file, b"old")
    monkeypatch.setattr(pairs.os, "fsync", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_file(file, b"new and longer")
    assert file.read_bytes() == b"old"


def test_the_description_is_json_a_person_can_read(tmp_path):
    write_pair(tmp_path / "a", {}, ABOUT)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text)["about"] == ABOUT and "\n" in text
    with pytest.raises(ValueError, match="JSON"):
        write_pair(tmp_path / "b", {}, {"loss": float("nan")})
    assert not (tmp_path / "b.json").exists()
