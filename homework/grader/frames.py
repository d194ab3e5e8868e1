"""Read what the sandbox says: frames, taken apart and filed without believing any of it."""

from dataclasses import dataclass, field
from typing import Any

from homework.grader.inside import plain

MAX_OUTPUT = 64_000_000  # bytes one submission may send
MAX_FRAMES = 20_000
CELL_STATES = frozenset({"ran", "kept", "late", "died"})


@dataclass
class Run:
    """What came out of the sandbox. Everything in it was chosen by the student's code."""

    state: str = "ended"  # done, or why not: late, memory, processes, flood, garbled, ended
    ready: bool = False  # whether the sandbox came as far as the first cell
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    answers: dict[tuple[int, int], bytes] = field(
        default_factory=dict
    )  # as they came: as objects they can take forty times the room
    stuck: dict[int, tuple[int, str]] = field(
        default_factory=dict
    )  # question: the check that did not end, how
    seconds: float = 0.0
    told: str = ""  # stderr, before any of the student's code


class Reader:
    """Takes the stream apart into frames and files them; whatever is not as `child` writes it ends the run."""

    def __init__(self, run: Run) -> None:
        self.run, self.buffer, self.total, self.frames = run, bytearray(), 0, 0
        self.expects: tuple[int, int] | None = None

    def feed(self, data: bytes) -> bool:
        """Take bytes; True once nothing more is to be read."""
        self.total += len(data)
        self.buffer += data
        if self.total > MAX_OUTPUT:
            self.run.state = "flood"
            return True
        while len(self.buffer) >= 8:
            size = int.from_bytes(self.buffer[:8], "big")
            if size > plain.MAX_FRAME:
                self.run.state = "garbled"
                return True
            if len(self.buffer) < 8 + size:
                return False
            frame = bytes(self.buffer[8 : 8 + size])
            del self.buffer[: 8 + size]
            self.frames += 1
            if self.frames > MAX_FRAMES:
                self.run.state = "flood"
                return True
            try:
                if self.file(plain.load(frame), frame):
                    return True
            except (plain.NotPlain, KeyError, TypeError, ValueError):
                self.run.state = "garbled"
                return True
        return False

    def file(self, frame: Any, text: bytes) -> bool:
        """Put one frame where it belongs; True for the last. Types and sizes are checked; the rest may be a lie."""
        if type(frame) is not dict:
            raise plain.NotPlain("a frame that is no object")
        if self.expects:
            key, self.expects = self.expects, None
            self.run.answers.setdefault(key, text)
        elif frame.get("done") is True:
            self.run.state = "done"
            return True
        elif frame.get("ready") is True:
            self.run.ready = True
        elif "cell" in frame:
            error = frame.get("error")
            why = frame.get("why")
            report = {"state": frame["state"], "error": error if type(error) is str else None}
            report["why"] = why if type(why) is str else None
            if type(frame["cell"]) is int and frame["state"] in CELL_STATES and len(self.run.cells) < 10_000:
                self.run.cells[frame["cell"]] = report
        elif "question" in frame:
            key = (frame["question"], frame["check"])
            if not all(type(part) is int and 0 <= part < 1000 for part in key):
                raise plain.NotPlain("a question of no such number")
            if "bytes" in frame:
                self.expects = key
            elif frame["state"] in ("late", "died"):
                self.run.stuck[key[0]] = (key[1], frame["state"])
        return False
