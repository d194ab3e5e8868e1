"""Text to model, and the stream that truncated BPTT reads. All but `shakespeare` is at hand without a network.

Every corpus has a fixed split into training, validation and test text that never overlap: names are split by
whole names, Python source by whole modules, running text into three stretches. A window is cut from one split
alone, so none reads over a border.
"""

import lzma
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from random import Random

from jaxtyping import Int
from torch import Tensor

from unrolled._check import check_count, check_ids
from unrolled.data._files import download, is_url, read_text, split_text

SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


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
    """The lecture's text of five characters: read "hell", say "ello". Too short to split.

    Source: the lecture. Licence: none is needed for one word.
    """
    return "hello"


def surnames() -> list[tuple[str, float]]:
    """Surnames of the US Census of 1990, commonest first, each with its share of the people in per cent.

    Shares are given to 0.001 per cent; 0.0 stands for less than that. 88,799 names, lower case, a to z.

    Source: US Census Bureau, 1990 (facts in the public domain), as PyPI's package `names` carries it.
    """
    packed = resources.files("unrolled").joinpath("assets/surnames.tsv.xz").read_bytes()
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


def text_file(path: str | os.PathLike[str], encoding: str = "utf-8") -> Corpus:
    """A text file of the reader's own: the first 90 % to train, then 5 % to validate, the last 5 % to test.

    Its vocabulary is every character in the file, sorted. Line ends are read as one newline.

    Args:
        path: a local file; `~` is the home folder.
        encoding: how its bytes stand for characters.

    Raises:
        FileNotFoundError, IsADirectoryError: no such file, or a folder.
        ValueError: a byte that the encoding does not know, with its place and line; an unknown encoding; or
            fewer than 40 characters.
    """
    text = read_text(path if not isinstance(path, str | os.PathLike) else Path(path).expanduser(), encoding)
    path = Path(path).expanduser()
    return Corpus(
        name=path.stem,
        characters="".join(sorted(set(text))),
        source=str(path),
        licence="the reader's own to know",
        **split_text(text, str(path)),
    )


def shakespeare(source: str | os.PathLike[str] | None = None, sha256: str | None = None) -> Corpus:
    """Tiny Shakespeare, 1,115,394 characters of 65 kinds from the plays; downloaded once, checked and kept.

    The first 90 % train, as in nanoGPT. nanoGPT validates on all the rest and has no test text; here the rest
    is halved, 5 % to validate and 5 % to test, so a validation score is not on quite the same text.

    The file is kept in `UNROLLED_CACHE` or the user's cache folder. `UNROLLED_PROGRESS=0` hides the bar.

    Args:
        source: another URL of the file, or a local path; None downloads it from karpathy/char-rnn.
        sha256: what the file must hash to. None: from the network the hash of tiny Shakespeare, so that another
            text is refused; a local file is then taken as it is.

    Raises:
        ConnectionError: no network, or a connection that broke off; the message says what to do instead.
        FileNotFoundError, IsADirectoryError: no such local file, or a folder.
        ValueError: another sha256 (nothing is kept), or a file that `text_file` would refuse.

    Source: Karpathy, char-rnn, 2015. Licence: the plays are in the public domain.
    """
    url = SHAKESPEARE_URL if source is None else source
    if is_url(url):
        path = download(str(url), (sha256 or SHAKESPEARE_SHA256).lower(), "shakespeare")
    else:
        path = Path(url).expanduser()
    text = read_text(path, sha256=sha256)
    return Corpus(
        name="shakespeare",
        characters="".join(sorted(set(text))),
        source=str(url),
        licence="public domain",
        **split_text(text, str(url)),
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

    Taught in chapter 06; used from chapter 02 on.
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
