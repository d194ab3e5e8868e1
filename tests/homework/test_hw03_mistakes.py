"""Homework 3: each mistake costs what it should and is named."""

import matplotlib.pyplot as plt
import pytest
from handed_in import assert_costs, loaded, solution

from tools import homework as build

HW, questions, reference = loaded("hw03")
SOLUTION = solution("hw03")
MASTER = (build.ROOT / "homework" / "hw03" / "master.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


WRITES = """        logits, state = model(torch.tensor([[number]]), state)
"""
TEMPERED = "torch.softmax(logits, dim=-1).sort("
TABLE = """    {"setting": "emptied", "seed": 20261126, "updates": 300, "bits": 3.2824},
"""

WRONG = {
    "nats for bits": (
        [("[..., 0] / np.log(2)", "[..., 0]")],
        {"q1": 2},
        "this is in nats: one bit is ln 2 nats",
    ),
    "softmax over time": (
        [("torch.log_softmax(logits[:, :-1], dim=-1)", "torch.log_softmax(logits[:, :-1], dim=1)")],
        {"q1": 2},
        "the softmax runs over the wrong axis (time)",
    ),
    "surprise of what was read": (
        [("ids[:, 1:, None]", "ids[:, :-1, None]")],
        {"q1": 2},
        "off by one in time: logits[:, t] predict ids[:, t + 1], not ids[:, t]",
    ),
    "logits that came after": (
        [("torch.log_softmax(logits[:, :-1]", "torch.log_softmax(logits[:, 1:]")],
        {"q1": 2},
        "off by one in time: the logits given before a character predict it, yours came after",
    ),
    "temperature multiplies": (
        [("masked_fill(out, -torch.inf) / temperature", "masked_fill(out, -torch.inf) * temperature")],
        {"q2": 2},
        "the temperature multiplies the logits: divide by it",
    ),
    "softmax over rows": (
        [
            (TEMPERED, "torch.softmax(logits, dim=0).sort("),
            ("-torch.inf) / temperature, dim=-1)", "-torch.inf) / temperature, dim=0)"),
        ],
        {"q2": 3},
        "the softmax runs over the wrong axis (rows)",
    ),
    "drops what reaches top_p": (
        [("before = p.cumsum(dim=-1) - p", "before = p.cumsum(dim=-1)")],
        {"q2": 2},
        "top-p drops the character that reaches it: that one stays",
    ),
    "tempered first": (
        [(TEMPERED, "torch.softmax(logits / temperature, dim=-1).sort(")],
        {"q2": 1},
        "tempered first, then cut: what is kept must not depend on the temperature",
    ),
    "the library's own": (
        [
            (
                "    p, order = torch.softmax",
                "    from unrolled.models import probabilities\n\n"
                "    return probabilities(logits, temperature=temperature, top_p=top_p)\n"
                "    p, order = torch.softmax",
            )
        ],
        {"q2": 1},
        "tempered first, then cut",
    ),
    "not summing to 1": (
        [
            (
                "torch.softmax(logits.masked_fill(out, -torch.inf) / temperature, dim=-1)",
                "torch.softmax(logits / temperature, dim=-1).masked_fill(out, 0.0)",
            )
        ],
        {"q2": 2},
        "what is left must sum to 1 again",
    ),
    "state not carried": (
        [(WRITES, "        logits, state = model(torch.tensor([[number]]))\n")],
        {"q3": 2},
        "the state is not carried from one character to the next",
    ),
    "prompt's last fed twice": (
        [
            (
                '    text = ""\n    while',
                '    logits, state = model(model.vocabulary.encode(prompt[-1])[None], state)\n    text = ""\n    while',
            )
        ],
        {"q3": 2},
        "the prompt's last character is fed twice",
    ),
    "all of it read again": (
        [(WRITES, "        logits, state = model(model.vocabulary.encode(prompt + text)[None], state)\n")],
        {"q3": 2},
        "the whole text is read again from the state that had read it",
    ),
    "first place": (
        [("choose(logits[0, -1])", "choose(logits[0, 0])")],
        {"q3": 2},
        "the first choice comes from the logits of the prompt's first place",
    ),
    "prompt too": (
        [
            (
                "            break\n        text += letter\n" + WRITES + "    return text",
                "            break\n        text += letter\n" + WRITES + "    return prompt + text",
            )
        ],
        {"q3": 3},
        "the prompt is not part of what was added",
    ),
    "newline too": (
        [
            (
                '        if letter == "\\n":\n            break\n        text += letter\n',
                '        text += letter\n        if letter == "\\n":\n            break\n',
            )
        ],
        {"q3": 1},
        "the newline that ends the text is not part of it",
    ),
    "never stops": (
        [('        if letter == "\\n":\n            break\n', "")],
        {"q3": 1},
        "it goes on after the newline",
    ),
    "no closing newline": (
        [('encode(f"\\n{name}\\n")[None]\n            bits', 'encode(f"\\n{name}")[None]\n            bits')],
        {"q4": 2},
        "the newline that ends a name is a character too",
    ),
    "first letter not predicted": (
        [('encode(f"\\n{name}\\n")[None]\n            bits', 'encode(f"{name}\\n")[None]\n            bits')],
        {"q4": 2},
        "the first letter counts: the newline before it predicts it",
    ),
    "mean of a name": (
        [("character_bits(model(ids)[0], ids).sum()", "character_bits(model(ids)[0], ids).mean()")],
        {"q4": 2},
        "the bits of a name add up, yours are a mean",
    ),
    "state carried over names": (
        [
            (
                "    bits = []\n    with torch.no_grad():",
                "    bits, state = [], None\n    with torch.no_grad():",
            ),
            (
                "            bits.append(character_bits(model(ids)[0], ids).sum())",
                "            logits, state = model(ids, state)\n"
                "            bits.append(character_bits(logits, ids).sum())",
            ),
        ],
        {"q4": 2},
        "a fresh state for each name: yours goes on from the name before",
    ),
    "mean over names": (
        [
            (
                "    return name_bits(model, names).sum().item() / sum(len(name) + 1 for name in names)",
                "    lengths = torch.tensor([len(name) + 1 for name in names])\n"
                "    return (name_bits(model, names) / lengths).mean().item()",
            )
        ],
        {"q4": 1},
        "a mean over the names: over characters, long names weigh more",
    ),
    "newlines not counted": (
        [("sum(len(name) + 1 for name in names)", "sum(len(name) for name in names)")],
        {"q4": 1},
        "the newline that ends a name is a character too",
    ),
    "bits in nats": (
        [("return loss.item() / np.log(2), detach(state)", "return loss.item(), detach(state)")],
        {"q5": 1},
        "this is in nats: return bits",
    ),
    "history kept": (
        [("np.log(2), detach(state)", "np.log(2), state")],
        {"q5": 1},
        "Trying to backward through the graph a second time",
    ),
    "state reset": (
        [("np.log(2), detach(state)", "np.log(2), None")],
        {"q5": 1},
        "the second chunk starts from a state of zeros",
    ),
    "detached at every step": (
        [
            (
                "    logits, state = model(x, state)\n    loss",
                "    parts = []\n    for t in range(x.shape[1]):\n"
                "        part, state = model(x[:, t : t + 1], None if state is None else detach(state))\n"
                "        parts.append(part)\n    logits = torch.cat(parts, dim=1)\n    loss",
            )
        ],
        {"q5": 3},
        "the state is detached at every step: the gradient must cross the steps of its chunk",
    ),
    "logits detached": (
        [("F.cross_entropy(logits.flatten(0, 1)", "F.cross_entropy(logits.detach().flatten(0, 1)")],
        {"q5": 4},
        "does not require grad",
    ),
    "old gradients": (
        [("    optimizer.zero_grad()\n", "")],
        {"q5": 1},
        "old gradients are not cleared: they add up",
    ),
    "cleared after the backward pass": (
        [
            (
                "    optimizer.zero_grad()\n    loss.backward()\n",
                "    loss.backward()\n    optimizer.zero_grad(set_to_none=True)\n",
            ),
            (
                "clip_gradient(model, max_norm)\n",
                "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)\n",
            ),
        ],
        {"q5": 4},
        "no gradient to step along: clear, then backward, then step",
    ),
    "never clipped": (
        [("    clip_gradient(model, max_norm)\n", "")],
        {"q5": 2},
        "nothing is clipped before the step",
    ),
    "clipped after": (
        [
            (
                "    clip_gradient(model, max_norm)\n    optimizer.step()\n",
                "    optimizer.step()\n    clip_gradient(model, max_norm)\n",
            )
        ],
        {"q5": 2},
        "nothing is clipped before the step",
    ),
    "clipped each": (
        [
            (
                "    clip_gradient(model, max_norm)\n",
                "    for weight in model.parameters():\n"
                "        torch.nn.utils.clip_grad_norm_([weight], max_norm)\n",
            )
        ],
        {"q5": 2},
        "each gradient is clipped by itself: all together have one norm",
    ),
    "sum loss": (
        [
            (
                "F.cross_entropy(logits.flatten(0, 1), y.flatten())",
                'F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum")',
            )
        ],
        {"q5": 4},
        "a sum where the mean was asked for",
    ),
    "goes down the bits": (
        [
            ("y.flatten())\n    optimizer", "y.flatten()) / np.log(2)\n    optimizer"),
            ("return loss.item() / np.log(2), detach", "return loss.item(), detach"),
        ],
        {"q5": 3},
        "the gradient is that of the loss in bits: go down the mean in nats",
    ),
    "largest r": (
        [("correlations(h_choose, y_choose).abs().argmax()", "correlations(h_choose, y_choose).argmax()")],
        {"q6": 1},
        "the largest |r|, yours is the largest r",
    ),
    "r of the same text": (
        [("correlations(h_report, y_report)[unit]", "correlations(h_choose, y_choose)[unit]")],
        {"q6": 2},
        "this is the r of the text in which the unit was chosen",
    ),
    "chosen in the second text": (
        [("correlations(h_choose, y_choose).abs()", "correlations(h_report, y_report).abs()")],
        {"q6": 1},
        "choose in the first text, report in the second",
    ),
    "r without its sign": (
        [("y_report)[unit].item()", "y_report)[unit].abs().item()")],
        {"q6": 2},
        "keep the sign of r",
    ),
    "means left in": (
        [("        h, y = h - h.mean(dim=0), y - y.mean()\n", "")],
        {"q6": 3},
        "r compares with the means, yours leaves them in",
    ),
    "rows of W_h": (
        [("W_h[:, unit] = 0", "W_h.view(4, -1, changed.readout.hidden_size)[:, unit] = 0")],
        {"q7": 2},
        "this is what the unit hears (rows of W_h); what it says are columns",
    ),
    "readout alone": (
        [("        changed.rnn.cells[0].W_h[:, unit] = 0\n", "")],
        {"q7": 2},
        "the three gates and the candidate still hear the unit: its column of W_h",
    ),
    "gates alone": (
        [("        changed.readout.W_hy[:, unit] = 0\n", "")],
        {"q7": 2},
        "the readout still hears the unit: its column of W_hy",
    ),
    "original changed": (
        [
            (
                "changed = copy.deepcopy(model)\n    with torch.no_grad():\n        changed.rnn.cells[0].W_h",
                "changed = model\n    with torch.no_grad():\n        changed.rnn.cells[0].W_h",
            )
        ],
        {"q7": 1},
        "your function changes the model it is given: change a copy",
    ),
    "the model itself": (
        [
            (
                "    changed = copy.deepcopy(model)\n    with torch.no_grad():\n        changed.rnn",
                "    return model\n    with torch.no_grad():\n        changed.rnn",
            )
        ],
        {"q7": 3},
        "nothing is silenced, so there is no copy to compare",
    ),
    "a copy, and nothing silenced": (
        [
            ("        changed.rnn.cells[0].W_h[:, unit] = 0\n", ""),
            ("        changed.readout.W_hy[:, unit] = 0\n", "        pass\n"),
        ],
        {"q7": 3},
        "nothing is silenced, so there is no copy to compare",
    ),
    "divided by n": (
        [("np.std(bits, ddof=1)", "np.std(bits)")],
        {"q9": 1},
        "divided by n: n - 1 belongs in the denominator",
    ),
    "standard error": (
        [("np.std(bits, ddof=1)", "np.std(bits, ddof=1) / np.sqrt(len(bits))")],
        {"q9": 1},
        "this is the standard error: the standard deviation is asked for",
    ),
    "settings not kept apart": (
        [
            (
                'bits = [run["bits"] for run in runs if run["setting"] == setting]',
                'bits = [run["bits"] for run in runs]',
            )
        ],
        {"q9": 2},
        "this is the mean of all runs together",
    ),
    "two seeds": (
        [(TABLE, "")],
        {"q9": 2},
        "emptied: expected at least 3 seeds, got 2",
    ),
    "other seeds": (
        [('"emptied", "seed": 20261126', '"emptied", "seed": 7')],
        {"q9": 1},
        "the settings have different seeds: run each seed under every one",
    ),
    "somebody else's seeds": (
        [("SEED = 20261124  # SOLUTION", "SEED = 5")],
        {"q9": 1},
        "expected the seeds 5, 6, 7 among yours",
    ),
    "a run twice": (
        [(TABLE, TABLE + TABLE)],
        {"q9": 2},
        "emptied: a seed stands there twice",
    ),
    "nothing as it is": (
        [('    {"setting": "as it is"', '    {"setting": "plain"')] * 3,
        {"q9": 1},
        "one setting must be 'as it is', to compare the others with",
    ),
    "more updates for one": (
        [
            (
                '"seed": 20261126, "updates": 300, "bits": 3.2824',
                '"seed": 20261126, "updates": 600, "bits": 3.2824',
            )
        ],
        {"q9": 1},
        "the settings made different numbers of updates",
    ),
    "one number for every seed": (
        [(f'"bits": {bits}', '"bits": 3.2') for bits in (3.2835, 3.2796, 3.2824)],
        {"q9": 1},
        "emptied: every seed gave the same bits to the last digit: no seed reaches the model",
    ),
    "bits as text": (
        [('"bits": 3.3139', '"bits": "3.3139"')],
        {"q9": 2},
        "run 0: bits: expected float, got str",
    ),
    "table not pasted": (
        [("# BEGIN SOLUTION NO PROMPT\nruns = [\n", "runs = [...]\n_ = [\n")],
        {"q9": 2},
        "gives an ellipsis (...): not answered yet",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_costs_what_it_should_and_is_named(name):
    assert_costs(HW, SOLUTION, *WRONG[name])
