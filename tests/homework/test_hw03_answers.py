"""Homework 3: other right answers are right, and no answer upsets a judge."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from handed_in import grade, judged, loaded, lost, run, solution

from tools import homework as build

HW, questions, reference = loaded("hw03")
SOLUTION = solution("hw03")
MASTER = (build.ROOT / "homework" / "hw03" / "master.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


ALTERNATIVES = {
    "the nucleus by the library, tempered as powers": """
from unrolled.models import probabilities

def choice(logits, temperature, top_p):
    p = probabilities(logits, top_p=top_p) ** (1 / temperature)
    return p / p.sum(-1, keepdim=True)
""",
    "surprise by cross_entropy": """
def character_bits(logits, ids):
    nats = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    return nats / torch.log(torch.tensor(2.0))
""",
    "the whole text read again from zeros": """
def write(model, prompt, choose, longest):
    text = ""
    for _ in range(longest):
        logits, _ = model(model.vocabulary.encode(prompt + text)[None])
        text += model.vocabulary.decode([int(choose(logits[0, -1]))])
    return text.split("\\n")[0]
""",
    "names side by side": """
def name_bits(model, names):
    width = max(map(len, names)) + 2
    rows = [f"\\n{name}\\n".ljust(width, "\\n") for name in names]
    ids = torch.stack([model.vocabulary.encode(row) for row in rows])
    bits = character_bits(model(ids)[0], ids)
    return [row[: len(name) + 1].sum().item() for row, name in zip(bits, names)]

def bits_per_character(model, names):
    return np.sum(name_bits(model, names)) / len("".join(names) + " " * len(names))
""",
    "names as a list of tensors with gradients": """
def name_bits(model, names):
    coded = [model.vocabulary.encode(f"\\n{name}\\n")[None] for name in names]
    return [character_bits(model(ids)[0], ids).sum() for ids in coded]

def bits_per_character(model, names):
    return sum(name_bits(model, names)) / len("".join(names) + " " * len(names))
""",
    "cut at the entrance, clipped by torch": """
def update(model, optimizer, x, y, state, max_norm):
    logits, state = model(x, None if state is None else detach(state))
    loss = -torch.log_softmax(logits, -1).gather(-1, y[..., None]).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item() / 0.6931471805599453, state
""",
    "correlation by numpy": """
def best_unit(h_choose, y_choose, h_report, y_report):
    r = np.corrcoef(h_choose.T, y_choose)[-1, :-1]
    unit = np.argmax(abs(r))
    return unit, np.corrcoef(h_report[:, unit], y_report)[0, 1]
""",
    "silenced by a mask": """
def silenced(model, unit):
    mute = copy.deepcopy(model)
    heard = torch.ones(model.readout.hidden_size)
    heard[unit] = 0
    for weight in (mute.rnn.cells[0].W_h, mute.readout.W_hy):
        weight.data *= heard
    return mute
""",
    "silenced step by step": """
def silenced(model, unit):
    def read(ids, state=None):
        logits = []
        for id_t in ids.split(1, dim=1):
            _, ((h, C),) = model(id_t, state)
            h = h.clone()
            h[:, unit] = 0
            state = (type(model.rnn.initial_state(1)[0])(h, C),)
            logits.append(model.readout(h))
        return torch.stack(logits, 1), state
    return read
""",
    "the standard library's statistics": """
import statistics

def summarise(runs):
    found = {}
    for run in runs:
        found.setdefault(run["setting"], []).append(run["bits"])
    return {name: [statistics.mean(bits), statistics.stdev(bits)] for name, bits in found.items()}
""",
    "a table with numpy's numbers, four seeds and three settings": """
runs = tuple(
    {"setting": name, "seed": np.int64(SEED + i), "updates": 200, "bits": np.float64(3 + i / 7), "note": ""}
    for i in range(-1, 3) for name in ("as it is", "a", "b")
)
""",
}


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_other_right_answers_are_right(name):
    graded = grade(HW, [*SOLUTION, ALTERNATIVES[name]])
    assert lost(HW, graded) == {}, graded.said


ODD = (0, None, "text", [], {}, [None], [{}], [[1, 2], [3]], {"setting": 1}, np.nan, np.zeros((2, 2)), True)


def test_no_answer_upsets_a_judge():
    """Whatever comes back is wrong, and said to be: an exception would count as an error of the homework."""
    namespace, _ = run(SOLUTION)
    asked = [
        "character_bits",
        "choice",
        "write",
        "name_bits",
        "bits_per_character",
        "update",
        "best_unit",
        "silenced",
    ]
    program = "\n".join(f"{name} = lambda *_, **__: value" for name in [*asked, "summarise"])
    for value in ODD:
        odd = namespace | {"runs": value, "SEED": value, "value": value}
        exec(program, odd)  # defined together, so that one of them finds another
        graded = judged(HW, odd)
        assert set(graded.points.values()) == {0}, (value, graded.said)
    runs = namespace["runs"]
    for name in ("setting", "seed", "updates", "bits"):
        for value in (*ODD, np.inf, -1, 1 << 62):
            spoilt = [{**run, name: value} for run in runs]
            said = judged(HW, namespace | {"runs": [*runs[:-1], spoilt[-1]]}).said["q9"]
            assert said, (name, value)
            judged(HW, namespace | {"runs": spoilt})


def test_its_gradescope_zip_brings_the_library(tmp_path):
    """Answers may use it and the questions make their models with it: nothing else need be installed there."""
    for name, data in build.support(build.ROOT / "homework" / "hw03", library=True).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    program = f"""
import sys; sys.path.insert(0, {str(tmp_path / "files")!r})
import numpy as np, unrolled, hidden_checks
assert unrolled.__file__.startswith({str(tmp_path)!r}), unrolled.__file__
env = {{"np": np, "unrolled": unrolled}}
exec({(SOLUTION[1] + SOLUTION[3])!r}, env)
assert env["load"]("names").readout.hidden_size == 192
hidden_checks.ask(env, "q1", "bits")
env["write"] = lambda model, prompt, choose, longest: prompt
try:
    hidden_checks.ask(env, "q3", "text")
except AssertionError as error:
    print(error)
"""
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.startswith("text: expected '") and done.returncode == 0, done.stderr
