"""The live figures' mathematics, without a browser: laws under node, and every number against torch and the library."""

import base64
import json
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
import reference
import safetensors.torch
import torch
from harness import ROOT, live
from torch import Tensor

from unrolled_site import live_data

pytestmark = pytest.mark.usefixtures("node")


def plain(value: Any) -> Any:
    """A matrix as the modules have it, a vector as a list."""
    if isinstance(value, Tensor) and value.dim() == 2:
        return {"rows": value.shape[0], "cols": value.shape[1], "data": value.flatten().tolist()}
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def ask(*calls: tuple[Any, ...], root: str = live.LIVE.as_uri()) -> list[Any]:
    """What functions of the modules return: each call is (module, name, arguments …)."""
    asked = [
        {"module": module, "name": name, "args": plain(list(args)), "make": None}
        | ({"name": name[2], "make": name[:2]} if isinstance(name, tuple) else {})
        for module, name, *args in calls
    ]
    request = json.dumps({"root": root, "calls": asked})
    done = subprocess.run(
        [shutil.which("node"), ROOT / "tests/live/compute.mjs"],
        input=request,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tensor(answer: Any) -> Tensor:
    """A matrix or a vector of an answer."""
    if isinstance(answer, dict) and "rows" in answer:
        return torch.tensor(answer["data"], dtype=torch.float64).view(answer["rows"], answer["cols"])
    return torch.tensor(answer, dtype=torch.float64)


def close(answer: Any, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(tensor(answer), expected.detach().double(), atol=tolerance, rtol=tolerance)


def test_laws_under_node() -> None:
    done = subprocess.run(
        [shutil.which("node") or "node", "--test", "tests/live"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "# pass" in done.stdout and "# pass 0\n" not in done.stdout


@pytest.mark.parametrize("seed", [0, 7, 2**32 + 5])
def test_generator_draws_what_torch_draws(seed: int) -> None:
    many = (1, 5, 15, 16, 19, 1000)
    answers = ask(
        *[("core/random.js", ("Generator", [seed], "normal"), size) for size in many],
        ("core/random.js", ("Generator", [seed], "uniform")),
    )
    for size, answer in zip(many, answers, strict=False):
        expected = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        close(answer, expected, 1e-14)
    assert (
        answers[-1]
        == torch.rand(1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).item()
    )


@pytest.mark.parametrize("size", [1, 2, 5, 16, 32, 64])
def test_matrices_equal_torch(size: int) -> None:
    A, B = torch.randn(2, size, size, dtype=torch.float64)
    x = torch.randn(size, dtype=torch.float64)
    eigen, values, Q, product, y, back = ask(
        ("core/linalg.js", "eigenvalues", A),
        ("core/linalg.js", "singularValues", A),
        ("core/linalg.js", "orthogonal", A),
        ("core/linalg.js", "multiply", A, B),
        ("core/linalg.js", "apply", A, x),
        ("core/linalg.js", "applyTransposed", A, x),
    )
    ours = sorted(
        (complex(each["re"], each["im"]) for each in eigen), key=lambda z: (round(z.real, 6), z.imag)
    )
    theirs = sorted(torch.linalg.eigvals(A).tolist(), key=lambda z: (round(z.real, 6), z.imag))
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-9
    close(values, torch.linalg.svdvals(A), 1e-11)
    expected, R = torch.linalg.qr(A)
    close(Q, expected * R.diagonal().sign(), 1e-9)
    close(product, A @ B)
    close(y, A @ x)
    close(back, A.mT @ x)


def test_small_singular_values_are_as_exact_as_large_ones() -> None:
    Q, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))
    values = torch.logspace(0, -14, 8, dtype=torch.float64)
    (answer,) = ask(("core/linalg.js", "singularValues", Q * values))
    torch.testing.assert_close(tensor(answer), values, rtol=1e-9, atol=0)


def test_rnn_equals_torch_forwards_and_backwards() -> None:
    T, P, m = 6, 3, 5
    layer = torch.nn.RNN(P, m).double()
    W_xh, W_hh, b, b_2 = layer.parameters()
    x, asked = torch.randn(T, P, dtype=torch.float64), torch.randn(T, m, dtype=torch.float64)
    h_0 = torch.randn(1, m, dtype=torch.float64, requires_grad=True)
    h, _ = layer(x, h_0)
    (h * asked).sum().backward()
    weights = {"W_xh": W_xh.detach(), "W_hh": W_hh.detach(), "b_h": (b + b_2).detach()}
    (forward,) = ask(("core/cells.js", "rnnForward", list(x), h_0[0].detach(), weights))
    close(forward["h"][1:], h)
    states = [torch.tensor(each, dtype=torch.float64) for each in forward["h"]]
    (back,) = ask(("core/cells.js", "rnnBackward", states, weights, [torch.zeros(m), *asked]))
    close(sum(tensor(share) for share in back["shares"][1:]).tolist(), W_hh.grad)
    close(back["d_h"][0], h_0.grad[0])


def test_gated_cells_equal_torch() -> None:
    P, m = 3, 5
    x, h, C = torch.randn(P).double(), torch.randn(m).double(), torch.randn(m).double()
    lstm, gru = torch.nn.LSTMCell(P, m).double(), torch.nn.GRUCell(P, m).double()
    W_x, W_h, b, b_2 = (weight.detach() for weight in lstm.parameters())
    V_x, V_h, c, c_2 = (weight.detach() for weight in gru.parameters())
    recurrent = torch.cat([c_2[: 2 * m], torch.zeros(m).double()])
    answers = ask(
        ("core/cells.js", "lstmStep", x, {"h": h, "C": C}, {"W_x": W_x, "W_h": W_h, "b": b + b_2}),
        ("core/cells.js", "gruStep", x, h, {"W_x": V_x, "W_h": V_h, "b": c + recurrent, "b_n": c_2[2 * m :]}),
    )
    h_lstm, C_lstm = lstm(x[None], (h[None], C[None]))
    close(answers[0]["h"], h_lstm[0])
    close(answers[0]["C"], C_lstm[0])
    close(answers[1]["h"], gru(x[None], h[None])[0])


def test_safetensors_are_read_as_python_reads_them(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.randn(7).half()}
    data = base64.b64encode(safetensors.torch.save(tensors)).decode()
    read, crc = ask(("read.mjs", "read", data), ("read.mjs", "crc", data), root=write_reader(tmp_path))
    assert crc == zlib.crc32(base64.b64decode(data))
    for name, each in tensors.items():
        assert (
            read[name]["shape"] == list(each.shape) and read[name]["data"] == each.float().flatten().tolist()
        )


def write_reader(folder: Path) -> str:
    """A module that reads from base64, as a page does."""
    (folder / "read.mjs").write_text(
        f'import {{ crc32, fromBase64, readSafetensors }} from "{live.LIVE.as_uri()}/core/weights.js";\n'
        "export const read = (text) => readSafetensors(fromBase64(text));\n"
        "export const crc = (text) => crc32(fromBase64(text));\n",
        encoding="utf-8",
    )
    return folder.as_uri()


@pytest.mark.parametrize("update", [0, 20, 400])
def test_hello_equals_autograd(update: int) -> None:
    data, expected = live_data.hello(), reference.hello(update)
    (weights,) = ask(("hello/model.js", "snapshots", data))
    (read,) = ask(("hello/model.js", "readThrough", data, weights[data["updates"].index(update)]))
    for name in ("a", "h", "y", "p", "delta"):
        close(read[name][1:], expected[name], 1e-9)
    close([share["data"] for share in read["shares"][1:]], expected["shares"].flatten(1), 1e-9)
    close(read["d_W_hh"], expected["d_W_hh"], 1e-9)
    close(read["d_h"][0], expected["d_h_0"], 1e-9)
    close(read["loss"], expected["loss"], 1e-9)


def test_what_the_hello_figure_says_one_will_have_noticed() -> None:
    before, after = reference.hello(0), reference.hello(400)
    assert before["p"][2].argmax() == before["p"][3].argmax()  # both l's answered alike
    assert after["p"].argmax(-1).tolist() == [0, 2, 2, 3]  # e, l, l, o
    assert (after["h"][3] - after["h"][2]).norm() > 2 * (before["h"][3] - before["h"][2]).norm()
    for read in (before, after):
        assert read["shares"][0].abs().max() == 0 and read["shares"][1:].abs().amax((1, 2)).min() > 0
