"""Text to model, all of it at hand without a network, and the stream that truncated BPTT reads.

Every corpus has a fixed split into training, validation and test text that never overlap: names are split
by whole names, Python source by whole modules.
"""

import lzma
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from random import Random

from jaxtyping import Int
from torch import Tensor

from unrolled._check import check_count, check_ids

__all__ = ["Corpus", "hello", "names", "python", "stream_chunks", "surnames"]


@dataclass(frozen=True)
class Corpus:
    """A text with a fixed split, and where it comes from.

    Attributes:
        name: the corpus's name.
        characters: every character it can hold, the vocabulary of a model for it.
        train: the text to learn from.
        validation: the text to choose by.
        test: the text to report on, once.
        source: where it comes from.
        licence: on what terms.
    """

    name: str
    characters: str
    train: str
    validation: str
    test: str
    source: str
    licence: str


def hello() -> str:
    """The lecture's text of five characters: read "hell", say "ello"."""
    return "hello"


def surnames() -> list[tuple[str, float]]:
    """Surnames of the US Census of 1990, commonest first, each with its share of the people in per cent.

    Shares are given to 0.001 per cent; 0.0 stands for less than that. 88,799 names, lower case, a to z.

    Source: US Census Bureau, 1990 (facts in the public domain), as PyPI's package `names` carries it.
    """
    packed = resources.files("unrolled").joinpath("data/surnames.tsv.xz").read_bytes()
    rows = (line.split("\t") for line in lzma.decompress(packed).decode("ascii").splitlines())
    return [(name, int(thousandths) / 1000) for name, thousandths in rows]


def names(how_many: int | None = None) -> Corpus:
    """Surnames, one a line, in a fixed random order: 80 % to train, 10 % to validate, 10 % to test.

    Args:
        how_many: only the commonest names; None takes all 88,799.

    Raises:
        ValueError: fewer than 10 names, or more than there are.
    """
    rows = [name for name, _ in surnames()]
    if how_many is not None:
        check_count("how_many", how_many, least=10)
        if how_many > len(rows):
            raise ValueError(f"how_many: expected at most {len(rows)}, got {how_many}")
        rows = rows[:how_many]
    Random(0).shuffle(rows)
    a, b = len(rows) * 8 // 10, len(rows) * 9 // 10
    train, validation, test = (
        "".join(f"{name}\n" for name in part) for part in (rows[:a], rows[a:b], rows[b:])
    )
    return Corpus(
        name="names",
        characters="\n" + "abcdefghijklmnopqrstuvwxyz",
        train=train,
        validation=validation,
        test=test,
        source="US Census Bureau, surnames of 1990",
        licence="public domain",
    )


# Modules that stand, in plain ASCII, in every Python from 3.11 on; the split is by whole modules.
_PYTHON_MODULES = {
    "train": (
        "ast base64 calendar codecs collections/__init__ configparser contextlib copy csv dataclasses "
        "difflib dis enum fnmatch fractions functools getopt glob gzip heapq ipaddress "
        "json/decoder json/encoder linecache locale logging/__init__ mimetypes ntpath optparse os pickle "
        "pickletools plistlib posixpath pprint profile pstats queue random sched selectors shelve shutil "
        "smtplib socket socketserver string tempfile textwrap threading timeit trace traceback "
        "types uuid warnings weakref zipapp"
    ),
    "validation": "cmd statistics bisect keyword http/client filecmp",
    "test": "zipimport copyreg html/parser http/cookiejar shlex rlcompleter",
}


def python() -> Corpus:
    """The source of a fixed list of the running interpreter's own library modules: about 2 MB of Python to imitate.

    Printable ASCII, newline and tab only, 97 characters, so that a model trained under one Python reads the text of
    another; any other character is left out. The text itself moves a little with the version of Python.

    Raises:
        FileNotFoundError: this Python comes without the source of its library.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    characters = "\n\t" + "".join(map(chr, range(32, 127)))
    keep = set(characters)

    def read(modules: str) -> str:
        texts = []
        for module in modules.split():
            path = folder / f"{module}.py"
            if not path.is_file():
                raise FileNotFoundError(
                    f"python: expected the library module {module}.py in {folder}, found none"
                )
            text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
            texts.append("".join(character for character in text if character in keep))
        return "\n\n".join(texts)

    return Corpus(
        name="python",
        characters=characters,
        source="the running interpreter's standard library",
        licence="Python Software Foundation License",
        **{split: read(modules) for split, modules in _PYTHON_MODULES.items()},
    )


def stream_chunks(
    ids: Int[Tensor, " N"], batch_size: int, num_steps: int
) -> Iterator[tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]]:
    """Cut one long sequence for truncated BPTT: row b of each chunk goes on where row b of the chunk before stopped.

    The sequence is cut into B equal stretches, one a row, read side by side T characters at a time. Targets are the
    inputs one character later. Up to B - 1 characters at the end stay unread, and the last chunk may be shorter.

    Args:
        ids: the numbers of the characters, (N,).
        batch_size: B.
        num_steps: T, the length of a chunk: how far back a gradient will reach.

    Yields:
        Inputs and targets, (B, T) each.

    Raises:
        ValueError: fewer than B + 1 characters.

    Taught in chapter 05; used from chapter 02 on.
    """
    check_ids("ids", ids, "N")
    B, T = check_count("batch_size", batch_size), check_count("num_steps", num_steps)
    length = (ids.shape[0] - 1) // B  # of one row
    if length < 1:
        raise ValueError(f"ids: expected at least batch_size + 1 = {B + 1} characters, got {ids.shape[0]}")
    x = ids[: B * length].view(B, length)
    y = ids[1 : B * length + 1].view(B, length)
    for start in range(0, length, T):
        yield x[:, start : start + T], y[:, start : start + T]
