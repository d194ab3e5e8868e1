"""Which PyTorch `make book` installs: the CPU's where no GPU is, unless told otherwise or out of reach."""

import http.server
import threading

import pytest

from tools import torch_build


@pytest.mark.parametrize(
    ("asked", "system", "nvidia", "there", "reached", "build", "says"),
    [
        ("cpu", "Linux", True, True, None, "cpu", "as TORCH=cpu asks"),
        ("cuda", "Linux", False, False, None, "ordinary", "as TORCH=cuda asks"),
        ("", "Linux", False, False, True, "cpu", "No NVIDIA GPU here: installing PyTorch's CPU build"),
        (
            "",
            "Linux",
            False,
            False,
            False,
            "ordinary",
            "can't be reached: going on with the ordinary PyTorch",
        ),
        ("", "Linux", True, False, None, "ordinary", ""),
        ("", "Linux", False, True, None, "ordinary", ""),
        ("", "Darwin", False, False, None, "ordinary", ""),
        ("", "Windows", False, False, None, "ordinary", ""),
    ],
)
def test_the_build_is_chosen_by_what_the_machine_has(asked, system, nvidia, there, reached, build, says):
    chosen, line = torch_build.choose(asked, system, nvidia, there, reached)
    assert chosen == build
    assert says in line and bool(says) == bool(line)


@pytest.mark.parametrize(
    ("reached", "options"), [(True, "--index-url https://download.pytorch.org/whl/cpu\n"), (False, "")]
)
def test_pip_is_told_and_the_reader_too(reached, options, monkeypatch, capsys):
    monkeypatch.setattr(torch_build.platform, "system", lambda: "Linux")
    monkeypatch.setattr(torch_build, "has_nvidia", lambda: False)
    monkeypatch.setattr(torch_build, "find_spec", lambda name: None)
    monkeypatch.setattr(torch_build, "reaches", lambda url: reached)
    torch_build.main("")
    out, err = capsys.readouterr()
    assert out == options and err.startswith("No NVIDIA GPU here") and err.count("\n") == 1


def test_an_index_answers_or_does_not():
    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/good/torch/" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert torch_build.reaches(f"{url}/good") and not torch_build.reaches(f"{url}/bad")
        server.shutdown()
    assert not torch_build.reaches(url, seconds=2)
