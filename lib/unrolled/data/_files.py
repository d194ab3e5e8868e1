"""Text from a file or from the network: read with errors that say where, downloaded whole or not at all."""

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

from unrolled._check import system

_TIMEOUT = 30.0  # seconds without a byte
_INSTEAD = (
    "Download the file by other means and give its path, or use a corpus that comes with the library and needs "
    "no network: names, python or hello"
)


def is_url(source: str | os.PathLike[str]) -> bool:
    """Whether a source names something on the web rather than a file."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def _pooch() -> Any:
    """Imported where it is needed: in a notebook without ipywidgets its progress bar warns as it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pooch  # type: ignore[import-untyped]
    return pooch


def cache_folder() -> Path:
    """The folder of downloads: `UNROLLED_CACHE`, or `unrolled` in the user's cache folder."""
    return Path(os.environ.get("UNROLLED_CACHE") or _pooch().os_cache("unrolled")).expanduser()


def download(url: str, sha256: str, stem: str) -> Path:
    """The path of a file with this sha256 in the cache, downloaded if it is not there yet.

    Pooch writes beside and renames after the hash agrees, so nothing half-written is ever kept.

    Raises:
        ConnectionError: no network, no such page, or a connection that broke off.
        ValueError: the file that came has another sha256.
    """
    import requests  # 0.2 s that only a download needs

    pooch, folder = _pooch(), cache_folder()
    path = folder / f"{stem}-{sha256[:16]}.txt"
    shows = os.environ.get("UNROLLED_PROGRESS", "1") != "0"
    pooch.get_logger().setLevel("WARNING")  # the bar says enough
    fetch = pooch.HTTPDownloader(progressbar=shows, timeout=_TIMEOUT)
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=path.name, path=folder, downloader=fetch)
    except requests.RequestException as error:
        raise ConnectionError(f"{url}: could not be downloaded ({error}). {_INSTEAD}.") from error
    except ValueError as error:
        raise ValueError(
            f"{url}: expected a file of sha256 {sha256}, got another; nothing was kept. "
            f"Either the connection broke off or the file has changed. {_INSTEAD}."
        ) from error
    except OSError as error:
        raise OSError(
            f"{folder}: could not keep the download ({error}). "
            "Set UNROLLED_CACHE to a folder that can be written."
        ) from error
    return path


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", sha256: str | None = None) -> str:
    r"""The text of a file, each line ending in "\n" and without a byte order mark.

    Raises:
        FileNotFoundError, IsADirectoryError: no such file, or a folder.
        ValueError: bytes that are no text in this encoding, an unknown encoding, or another sha256.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path: expected a file's path, got {type(path).__name__} {path!r:.60}")
    if not isinstance(encoding, str):
        raise TypeError(f"encoding: expected its name, got {type(encoding).__name__} {encoding!r:.60}")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"path: expected a text file, got the folder {path}")
    if not path.exists():
        raise FileNotFoundError(f"path: expected a text file, got {path}, which does not exist")
    with system("path", f"read {path}"):
        data = path.read_bytes()
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256.lower():
        raise ValueError(f"path: expected sha256 {sha256} of {path}, got {hashlib.sha256(data).hexdigest()}")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="ignore")
        line = len(before.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        raise ValueError(
            f"path: expected text in {encoding} in {path}, got byte 0x{data[error.start]:02x} at offset {error.start}, "
            f"line {line} ({error.reason}). Give the file's encoding, often 'cp1252', 'latin-1' or 'utf-16', "
            "or save the file as UTF-8."
        ) from error
    except (LookupError, ValueError) as error:
        raise ValueError(f"encoding: expected the name of a text encoding, got {encoding!r}") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def split_text(text: str, name: str) -> dict[str, str]:
    """Three stretches one after another: 90 % to train, 5 % to validate, 5 % to test; no character is in two.

    Raises:
        ValueError: fewer than 40 characters, which leaves fewer than two to validate or test.
    """
    if len(text) < 40:
        raise ValueError(f"text: expected at least 40 characters to split in {name}, got {len(text)}")
    a = len(text) * 9 // 10
    b = a + (len(text) - a) // 2
    return {"train": text[:a], "validation": text[a:b], "test": text[b:]}
