"""Texts measured: Python as its own tokenizer sees it, copies as looking each of them up would find them."""

import io
import re
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.probes import texts

STDLIB = Path(sysconfig.get_path("stdlib"))
SHORT = st.text(alphabet="ab\n", min_size=1, max_size=30)


def _spans(source):
    """Quoted, triple, comment and depth after each character, from the tokens of Python's own tokenizer."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def place(at):
        return starts[at[0] - 1] + at[1]

    quoted, triple, comment, steps = ([0] * len(source) for _ in range(4))
    begun = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind, a, b = tokenize.tok_name[token.type], place(token.start), place(token.end)
        if kind == "FSTRING_START":  # from Python 3.12 on, an f-string comes in parts
            begun.append((a, token.string))
        elif kind in ("STRING", "FSTRING_END") and not (kind == "STRING" and begun):
            if kind == "FSTRING_END":
                a, opening = begun.pop()
            else:
                opening = re.match(r"[a-zA-Z]*('''|\"\"\"|'|\")", token.string).group()
            if not begun:
                size = 3 if opening[-3:] in ("'''", '"""') else 1
                first = a + len(opening) - size
                for t in range(first, b - size):
                    quoted[t], triple[t] = 1, int(size == 3)
        elif kind == "COMMENT":
            comment[a:b] = [1] * (b - a)
        elif kind == "OP" and not begun and token.string in "()[]{}":
            steps[a] = 1 if token.string in "([{" else -1
    depth, deep = [], 0
    for step in steps:
        deep += step
        depth.append(deep)
    return quoted, triple, comment, depth


@pytest.mark.parametrize("module", ["shlex", "zipimport", "copyreg", "html/parser", "textwrap", "csv"])
def test_features_are_what_pythons_own_tokenizer_says(module):
    source = (STDLIB / f"{module}.py").read_text(encoding="utf-8")
    found = texts.python_features(source)
    for name, expected in zip(("quoted", "triple", "comment", "depth"), _spans(source), strict=True):
        assert getattr(found, name).tolist() == expected, name
    lines = source.split("\n")
    assert found.column.tolist() == [n for line in lines for n in (*range(1, len(line) + 1), 0)][:-1]
    spaces = [len(line) - len(line.lstrip(" ")) for line in lines]
    at = 0
    for line, n in zip(lines, spaces, strict=True):
        assert found.indent[at : at + len(line)].tolist() == [min(t + 1, n) for t in range(len(line))]
        at += len(line) + 1


@pytest.mark.parametrize(
    "text, name, expected",
    [
        ("a'b'c", "quoted", "01100"),
        ("'''b''' c", "quoted", "111100000"),
        ("'''b''' c", "triple", "111100000"),
        ('""""a"""b', "quoted", "111110000"),
        (r"'\'' ", "quoted", "11100"),
        ("'\nb", "quoted", "100"),  # a string that its line ends
        ('"\'" #"\n"', "quoted", "110000" + "01"),
        ("#'(\n(", "comment", "11100"),
        (")(()", "depth", "0121"),
        ("'('(", "depth", "0001"),
        ("  a b\n c", "indent", "12222011"),
        ("ab\nc", "column", "1201"),
    ],
)
def test_features_of_a_few_characters(text, name, expected):
    found = getattr(texts.python_features(text), name).tolist()
    assert "".join(map(str, found)) == expected


@given(st.text(alphabet="ab'\"#\\()[]{} \n", min_size=1, max_size=60), st.data())
def test_any_text_at_all_can_be_read_and_the_past_does_not_change(text, data):
    """Only a quote may look ahead, at the two that make it a triple one."""
    whole = texts.python_features(text)
    assert all(len(each) == len(text) and int(each.min()) >= 0 for each in whole)
    cut = data.draw(st.integers(1, len(text)))
    before = texts.python_features(text[:cut])
    for one, other in zip(before, whole, strict=True):
        assert one[: cut - 2].tolist() == other[: max(0, cut - 2)].tolist() or cut < 3


@pytest.mark.parametrize(
    "text, expected",
    [
        ("def f():\n    return 1\nx = 2", "def f():\n    return 1\n"),
        ("def f():\n    return 1\n", None),  # it may go on
        ("def f(\n):\n    return 1\n\n\n@g\n", "def f(\n):\n    return 1\n\n\n"),
        ('def f():\n    """\nA\n"""\nx', 'def f():\n    """\nA\n"""\n'),
        ("def f(a=[\n1]):\n    return\n# a\nx", "def f(a=[\n1]):\n    return\n# a\n"),
        ("def f():\n  return\n   ", None),
    ],
)
def test_a_definition_ends_where_the_next_statement_begins(text, expected):
    assert texts.first_definition(text) == expected


def test_a_method_ends_where_the_next_begins():
    method = "    def f(self):\n        return 1\n\n"
    for after in ("    def g(self):", "    x = 1", "class C:"):
        assert texts.first_definition(method + after, indent=4) == method
    for after in ("        x = 1", "    # a", "    ", ""):
        assert texts.first_definition(method + after, indent=4) is None


def test_compiling_is_not_running(tmp_path):
    left = tmp_path / "left"
    assert texts.compiles(f"open({str(left)!r}, 'w')") and not left.exists()
    assert texts.compiles("def f():\n    return 1 is 1\n")  # a warning is no error
    for broken in ("def f(:", "def f():\nreturn", "x = 'a", "\x00", "(" * 300, "return 1"):
        assert not texts.compiles(broken), broken


@given(SHORT, st.integers(1, 4))
def test_repetition_counts_what_stood_before(text, n):
    stretches = [text[i : i + n] for i in range(len(text) - n + 1)]
    if stretches:
        again = sum(part in stretches[:i] for i, part in enumerate(stretches))
        assert texts.repetition(text, n) == pytest.approx(again / len(stretches))


@given(SHORT, st.text(alphabet="ab\n", max_size=200), st.integers(1, 6))
def test_the_copied_share_is_what_looking_up_each_stretch_finds(sample, source, n):
    stretches = [sample[i : i + n] for i in range(len(sample) - n + 1)]
    if stretches:
        share = sum(part in source for part in stretches) / len(stretches)
        assert texts.copied_share(sample, source, n) == pytest.approx(share)


@given(SHORT, st.text(alphabet="ab\n", max_size=200))
def test_the_longest_copy_is_the_longest(sample, source):
    copies = {sample[i:j] for i in range(len(sample)) for j in range(i + 1, len(sample) + 1)}
    longest = max((len(copy) for copy in copies if copy in source), default=0)
    found = texts.longest_copy(sample, source)
    assert len(found) == longest and found in source and found in sample


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: texts.python_features(""), "text: expected at least one character, got an empty text"),
        (lambda: texts.repetition("abc", 4), "text: expected at least n = 4 characters, got 3"),
        (lambda: texts.repetition("abc", 0), "n: expected a whole number of at least 1, got 0"),
        (lambda: texts.copied_share("abc", "abcd", 4), "sample: expected at least n = 4 characters, got 3"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
