"""Homework 3: what follows from an earlier question and what does not, and what the notebook's own checks say."""

import matplotlib.pyplot as plt
import pytest
from handed_in import grade, loaded, lost, run, solution, with_mistakes

from tools import homework as build

HW, questions, reference = loaded("hw03")
SOLUTION = solution("hw03")
MASTER = (build.ROOT / "homework" / "hw03" / "master.md").read_text(encoding="utf-8")


WRITES = """        logits, state = model(torch.tensor([[number]]), state)
"""
TEMPERED = "torch.softmax(logits, dim=-1).sort("
TABLE = """    {"setting": "emptied", "seed": 20261126, "updates": 300, "bits": 3.2824},
"""


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


# what follows from an earlier question, and what does not

ZEROS = """
def name_bits(model, names):
    return [0.0] * len(names)

def bits_per_character(model, names):
    return 0.0
"""
BY_HAND = """
def name_bits(model, names):
    bits = []
    for name in names:
        ids = model.vocabulary.encode(f"\\n{name}\\n")
        nats = F.cross_entropy(model(ids[None, :-1])[0][0], ids[1:], reduction="sum")
        bits.append(nats.item() / np.log(2))
    return bits

def bits_per_character(model, names):
    return sum(name_bits(model, names)) / len("".join(names) + " " * len(names))
"""
RAISES = """
def character_bits(logits, ids):
    raise ValueError("not today")
"""
IN_NATS = """
def character_bits(logits, ids):
    return -torch.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None])[..., 0]
"""
FOLLOWS = {
    "names without a Question 1 that works": (RAISES + BY_HAND, {"q1": 2}, "ValueError"),
    "names without a Question 1": (
        BY_HAND + "del character_bits",
        {"q1": 2},
        "nothing is named character_bits",
    ),
    "a mean without names that work": (
        """
def bits_per_character(model, names):
    text = model.vocabulary.encode("\\n" + "\\n".join(names) + "\\n")
    bits = 0
    for name in names:
        ids = model.vocabulary.encode(f"\\n{name}\\n")[None]
        bits += character_bits(model(ids)[0], ids).sum().item()
    return bits / (len(text) - 1)

def name_bits(model, names):
    raise ValueError("not today")
""",
        {"q4": 2},
        "ValueError",
    ),
    "names by a Question 1 in nats, under a decorator": (
        IN_NATS
        + """
@torch.no_grad()
def name_bits(model, names):
    coded = [model.vocabulary.encode(f"\\n{name}\\n")[None] for name in names]
    return torch.stack([character_bits(model(ids)[0], ids).sum() for ids in coded])
""",
        {"q1": 2},
        "this is in nats",
    ),
    "names in nats beside a right Question 1": (
        BY_HAND.replace(" / np.log(2)", ""),
        {"q4": 2},
        "this is in nats: one bit is ln 2 nats",
    ),
    "one zero": (
        "def character_bits(logits, ids):\n    return 0.0\n" + ZEROS,
        {"q1": 2, "q4": 3},
        "expected shape",
    ),
    "zeros of the right shape": (
        "def character_bits(logits, ids):\n    return torch.zeros(ids[:, 1:].shape)\n" + ZEROS,
        {"q1": 2, "q4": 3},
        "numbers differ",
    ),
    "softmax over the one row of a name, which makes zeros": (
        "def character_bits(logits, ids):\n    log_p = torch.log_softmax(logits[:, :-1], 0)\n"
        "    return -log_p.gather(-1, ids[:, 1:, None])[..., 0] / np.log(2)\n",
        {"q1": 2, "q4": 3},
        "the softmax runs over the wrong axis (rows)",
    ),
    "a sum already in Question 1": (
        IN_NATS.replace("[..., 0]", "[..., 0].sum()"),
        {"q1": 2, "q4": 2},
        "expected shape",
    ),
    "a mean already in Question 1": (
        IN_NATS.replace("[..., 0]", "[..., 0].mean() / np.log(2)"),
        {"q1": 2, "q4": 2},
        "expected shape",
    ),
}


@pytest.mark.parametrize("name", FOLLOWS)
def test_an_earlier_question_costs_a_later_one_only_what_cannot_be_told(name):
    cell, points, message = FOLLOWS[name]
    graded = grade(HW, [*SOLUTION, cell])
    assert lost(HW, graded) == points, graded.said
    assert message in graded.said[next(iter(points))]


# what the notebook's own checks say

SAID = {
    "probabilities made in 32 bits": (
        [
            (
                "    out = out.gather(-1, order.argsort(dim=-1))\n    return",
                "    out = torch.zeros(logits.shape).scatter_(-1, order, out.to(p.dtype)).bool()\n    return",
            )
        ],
        "Question 2: RuntimeError: scatter()",
    ),
    "a sum that never reaches 1": (
        [
            (
                "    before = p.cumsum(dim=-1) - p  #",
                "    last = (p.cumsum(dim=-1) >= top_p).int().argmax(dim=-1, keepdim=True)  #",
            ),
            ("out = (before >= top_p) & (top_p < 1)", "out = torch.arange(p.shape[-1]) > last"),
        ],
        "Question 2: top_p = 1, which cuts nothing: off by",
    ),
    "surprise as numpy's": (
        [("[..., 0] / np.log(2)", "[..., 0].detach().numpy() / np.log(2)")],
        "Question 1: these checks pass",
    ),
    "names as a list of tensors": (
        [
            (
                "with torch.no_grad():\n        for name in names",
                "if names:\n        for name in names",
            ),
            ("return torch.stack(bits)", "return bits"),
            ("return name_bits(model, names).sum().item()", "return sum(name_bits(model, names)).item()"),
        ],
        "Question 4: these checks pass",
    ),
    "names made in 32 bits": (
        [
            (
                "return torch.stack(bits)",
                "return torch.zeros(len(bits)).scatter_(0, torch.arange(len(bits)), torch.stack(bits))",
            )
        ],
        "Question 4: RuntimeError",
    ),
    "no closing newline": (
        [('encode(f"\\n{name}\\n")[None]\n            bits', 'encode(f"\\n{name}")[None]\n            bits')],
        "Question 4: expected 3 and 7 characters, got 2 and 6",
    ),
    "a mean that is a tensor": (
        [("name_bits(model, names).sum().item() /", "name_bits(model, names).sum() /")],
        "Question 4: bits per character: expected a float, got Tensor",
    ),
    "torch's own way to clear": (
        [("optimizer.zero_grad()", "optimizer.zero_grad(set_to_none=True)")],
        "Question 5: these checks pass",
    ),
    "never stops": (
        [('        if letter == "\\n":\n            break\n', "")],
        "Question 3: expected the text 'so', got 'so\\nxxxxxxx'",
    ),
    "chooses by itself": (
        [("number = int(choose(logits[0, -1]))", "number = int(logits[0, -1].argmax())")],
        "Question 3: choose was never called",
    ),
    "covariance": (
        [("return y @ h / (h.norm(dim=0) * y.norm())", "return y @ h / len(y)")],
        "Question 6: r lies within ±1: divide by both spreads",
    ),
    "a run twice": ([(TABLE, TABLE + TABLE)], "Question 9, your table: a setting has the same seed twice"),
    "nothing as it is": (
        [('    {"setting": "as it is"', '    {"setting": "plain"')] * 3,
        "Question 9, your table: one setting must be 'as it is'",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_the_notebook_s_check_says_it(name):
    edits, line = SAID[name]
    _, printed = run(with_mistakes(SOLUTION, *edits))
    assert line in printed, printed
