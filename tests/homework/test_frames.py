"""What crosses from the sandbox to the grader: frames, and nothing that garbles them."""

import json

import pytest
from classroom import inside

from homework.grader import Call, frames
from homework.grader.frames import Reader, Run
from homework.grader.inside import plain

pytestmark = pytest.mark.usefixtures("works")


@pytest.mark.parametrize(
    "garbage",
    [
        b'{"value": 1}',
        b"[" * 100_000,
        b"{}",
        b"\xff",
        b'{"array": ["float64", [3], "AAAA"]}',
        b'{"array": ["object", [1], "AAAA"]}',
        b'{"array": ["float64", [-1, -1], ""]}',
        b'{"array": [["float64"], [], ""]}',
        b'{"array": ["float64", [4000000, 4000000, 4000000], ""]}',
        b'{"array": ["float64", [0, 4000000, 4000000, 4000000], ""]}',
        b'{"array": ["float64", [4000000, 4000000, 4000000, 0], ""]}',
        b'{"array": ["float64", [1], "!!!!"]}',
        b'{"dict": [[[], 1]]}',
        b'{"dict": [[1]]}',
        b'{"named": [["a"], [1, 2]]}',
        b'{"list": 1}',
        b'{"call": []}',
        b"1" * 5000,
        b'{"list": [' * 40 + b"1" + b"]}" * 40,
        b'{"list": [' + b"0," * 60_000 + b"0]}",
        b'{"list": [18446744073709551616]}',
    ],
)  # fmt: skip
def test_garbage_is_refused(garbage):
    """Whatever is not as `encode` writes it raises NotPlain, and nothing else."""
    with pytest.raises(plain.NotPlain):
        plain.decode(plain.load(garbage))


SENT = [
    b"\xff" * 64,
    (1 << 40).to_bytes(8, "big"),
    plain.dump([1]),
    plain.dump({"cell": 1}),
    plain.dump({"question": "q", "check": 0, "bytes": 1}),
    plain.dump({"question": 0, "check": 0, "state": "right"}) + plain.dump([]),
    plain.dump({"question": 0, "check": 0, "bytes": 1}) + plain.dump([]),
    plain.dump({"question": 0, "check": 0, "bytes": 1}) + (1).to_bytes(8, "big") + b"{",
]


@pytest.mark.parametrize("sent", SENT)
def test_a_garbled_stream_ends_the_run(sent):
    """A stream that is no frames stops being read at once."""
    reader = Reader(Run())
    assert reader.feed(sent)
    assert reader.run.state == "garbled"


def test_many_frames_end_the_run_and_answers_are_kept_as_they_came():
    """A million tiny frames would keep the grader busy; an answer taken apart can be forty times its size."""
    reader = Reader(Run())
    assert reader.feed(plain.dump({}) * (frames.MAX_FRAMES + 1))
    assert reader.run.state == "flood"
    reader = Reader(Run())
    reader.feed(plain.dump({"question": 1, "check": 0, "bytes": 1}) + plain.dump({"value": [0] * 1000}))
    assert reader.run.answers == {(1, 0): json.dumps({"value": [0] * 1000}).encode()}


def test_arguments_arrive_as_they_were_sent():
    """Arrays, texts, containers and tensors keep type, shape and dtype on both ways."""
    import numpy as np

    sent = [
        np.arange(6, dtype="float32").reshape(2, 3)[:, ::-1],
        np.int64(3),
        True,
        None,
        "σ",
        2.5,
        (1, [2]),
        {"a": np.zeros((0, 4))},
    ]
    got = inside(["def same(*a):\n    return list(a)"], Call("same", *sent[:1], 3, *sent[2:]))
    assert got[0].dtype == np.float32
    assert got[0].tolist() == sent[0].tolist()
    assert got[1:7] == [3, True, None, "σ", 2.5, (1, [2])]
    assert got[7]["a"].shape == (0, 4)
