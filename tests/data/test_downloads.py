"""Texts from the network and from the reader's files: whole and checked, or not at all. Served from localhost."""

import hashlib
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from unrolled.data import _files, shakespeare, text_file

TEXT = "".join(f"{n} bottles of beer on the wall\n" for n in range(400, 0, -1))
DATA = TEXT.encode()
SHA256 = hashlib.sha256(DATA).hexdigest()


@contextmanager
def serving(data: bytes = DATA, promised: int | None = len(DATA), status: int = 200):
    """A server on localhost that promises a length, sends `data` and hangs up; yields its URL and its requests."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(status)
            if promised is not None:
                self.send_header("Content-Length", str(promised))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/text.txt", requests
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, a progress bar, and no proxy between the test and localhost."""
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UNROLLED_PROGRESS", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


def kept(cache):
    return [path for path in cache.rglob("*") if path.is_file()]


def test_the_first_time_downloads_with_a_bar_and_the_second_reads_the_cache(cache, capfd):
    with serving() as (url, requests):
        first = shakespeare(url, SHA256)
        assert "100%" in capfd.readouterr().err
        assert shakespeare(url, SHA256.upper()) == first
        assert capfd.readouterr().err == ""
        assert len(requests) == 1
    assert first.train + first.validation + first.test == TEXT
    assert [path.read_bytes() for path in kept(cache)] == [DATA]
    assert shakespeare(url, SHA256) == first  # the server is gone


def test_the_bar_can_be_hidden(monkeypatch, capfd):
    monkeypatch.setenv("UNROLLED_PROGRESS", "0")
    with serving() as (url, _):
        shakespeare(url, SHA256)
    assert capfd.readouterr().err == ""


def test_a_damaged_file_in_the_cache_is_downloaded_anew(cache):
    with serving() as (url, requests):
        shakespeare(url, SHA256)
        kept(cache)[0].write_bytes(DATA[:100])
        assert len(shakespeare(url, SHA256).train) == len(TEXT) * 9 // 10
        assert len(requests) == 2


@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_a_wrong_hash_is_refused_and_nothing_kept(cache, sha256):
    with (
        serving() as (url, _),
        pytest.raises(ValueError, match="expected a file of sha256 .* nothing was kept"),
    ):
        shakespeare(url, sha256)
    assert kept(cache) == []


@pytest.mark.parametrize(
    ("promised", "error"), [(len(DATA), ConnectionError), (None, ValueError)], ids=["length", "no length"]
)
def test_a_cut_connection_leaves_nothing(cache, promised, error):
    with (
        serving(DATA[:1000], promised) as (url, _),
        pytest.raises(error, match=r"broke|could not be downloaded"),
    ):
        shakespeare(url, SHA256)
    assert kept(cache) == []


def test_no_network_says_what_to_do(cache):
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/text.txt"
        with pytest.raises(ConnectionError, match="give its path, or use .* names, python or hello"):
            shakespeare(url, SHA256)
    assert kept(cache) == []


def test_a_missing_page_is_an_error_and_not_a_text(cache):
    with serving(status=404) as (url, _), pytest.raises(ConnectionError, match="404"):
        shakespeare(url, SHA256)
    assert kept(cache) == []


def test_the_default_is_the_users_cache_folder(monkeypatch):
    monkeypatch.delenv("UNROLLED_CACHE")
    assert _files.cache_folder().is_absolute() and "unrolled" in _files.cache_folder().parts


def test_a_cache_that_cannot_be_written_names_the_variable(cache):
    cache.write_text("a file where the folder should be")
    with serving() as (url, _), pytest.raises(OSError, match="UNROLLED_CACHE"):
        shakespeare(url, SHA256)


def test_a_local_path_needs_no_network(tmp_path):
    path = tmp_path / "plays.txt"
    path.write_bytes(DATA)
    corpus = shakespeare(path)
    assert corpus == shakespeare(str(path), SHA256) and corpus.source == str(path)
    with pytest.raises(ValueError, match="expected sha256 000"):
        shakespeare(path, "0" * 64)


def test_own_text_is_split_into_three_stretches_that_make_it_up(tmp_path):
    path = tmp_path / "mine.txt"
    text = "".join(chr(0x4E00 + n) for n in range(1003))  # each character once: an overlap would show
    path.write_text(text, encoding="utf-8")
    corpus = text_file(path)
    assert corpus == text_file(str(path))
    assert corpus.train + corpus.validation + corpus.test == text == corpus.characters
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (902, 50, 51)
    assert corpus.name == "mine" and corpus.source == str(path) and corpus.licence


def test_line_ends_and_byte_order_marks_are_no_characters(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbf" + b"abc\r\n" * 20 + b"d\re" * 10)
    assert text_file(path).characters == "\nabcde"
    path.write_bytes(("abcé\n" * 20).encode("utf-16"))
    assert text_file(path, "utf-16").characters == "\nabcé"


@pytest.mark.parametrize(
    ("data", "encoding", "place"),
    [
        (b"one\ntwo\nthr\xe9e\n" * 9, "utf-8", "got byte 0xe9 at offset 11, line 3 "),
        (b"one\r\ntwo\r\n\xff" * 9, "utf-8", "got byte 0xff at offset 10, line 3 "),
        (b"\x80" * 50, "ascii", "got byte 0x80 at offset 0, line 1 "),
        ("a\nb\n".encode("utf-16-le") + b"\x00\xdcx\x00" * 30, "utf-16-le", "offset 8, line 3 "),
    ],
)
def test_an_encoding_error_names_the_byte_and_the_line(tmp_path, data, encoding, place):
    path = tmp_path / "strange.txt"
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=f"path: expected text in {encoding} in .*strange.txt, .*{place}.*cp1252"
    ):
        text_file(path, encoding)


def test_files_that_are_no_text_are_refused_by_name(tmp_path):
    path = tmp_path / "short.txt"
    with pytest.raises(FileNotFoundError, match="short.txt, which does not exist"):
        text_file(path)
    with pytest.raises(IsADirectoryError, match="expected a text file, got the folder"):
        text_file(tmp_path)
    for text in ("", "x" * 39):
        path.write_text(text)
        with pytest.raises(
            ValueError, match=f"text: expected at least 40 characters.*short.txt, got {len(text)}"
        ):
            text_file(path)
    path.write_text("x" * 40)
    assert len(text_file(path).test) == 2
    with pytest.raises(ValueError, match="encoding: expected .* got 'utf-9'"):
        text_file(path, "utf-9")
