"""Every chapter obeys the rules, and every rule can tell a chapter that does not."""

import base64
import copy
import itertools
import json
import re

import pytest

from tools import in_view, notebooks

CHAPTERS = notebooks.chapters()

SOLUTION = """\
### Exercise {n}

Do it.

<details>
<summary>Solution</summary>

```python
assert {n} > 0
```

</details>"""
PNG = {
    "output_type": "display_data",
    "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"},
    "metadata": {},
}
ALT = {"mystnb": {"image": {"alt": "A line that rises from zero to three in four steps."}}}


def _markdown(text):
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": text}


def _code(text, outputs=(), metadata=None):
    outputs = [dict(output) for output in outputs]
    return {"cell_type": "code", "id": "", "metadata": metadata or {}, "source": text, "outputs": outputs}


def _folded(text, outputs=(), metadata=None):
    cell = _code(text, outputs, metadata)
    in_view.fold(cell)
    return cell


def _stream(name, text):
    return {"output_type": "stream", "name": name, "text": text}


@pytest.fixture
def chapter():
    """A notebook that breaks no rule."""
    cells = [
        _markdown("# Why order counts\n\nWhat can one step remember? It takes 2 minutes on two cores."),
        _folded(notebooks.setup_source()),
        _markdown(
            "## A claim\n\nWith $h_t = W_{hh} h_{t-1}$, `{name}`, `f(x)`, [a link](b.ipynb).\n\n$$y \\tag{1}$$"
        ),
        _code("print('sum', 6)", [_stream("stdout", "sum 6\n")]),
        _folded("# @title Draw the line that rises\nfig, ax = plt.subplots()", [PNG], copy.deepcopy(ALT)),
        _markdown("It shows:\n\n```python\nx = {'a': 1}\n```"),
        _markdown("## Write it yourself\n\nWrite `rise`."),
        _markdown("## Summary\n\nIt remembers."),
        _markdown("## Exercises\n\n" + "\n\n".join(SOLUTION.format(n=n) for n in (1, 2, 3))),
        _markdown("## Check yourself\n\n" + "<details>\n<summary>Why?</summary>\n\nSo.\n</details>\n\n" * 3),
        _markdown("## What comes next\n\nTime."),
    ]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    _count({"cells": cells})
    cells[1]["id"] = "set-up"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _problems(chapter, folder):
    path = folder / "01-chapter.ipynb"
    path.write_text(json.dumps(chapter), encoding="utf-8")
    return notebooks.problems(path)


def test_there_are_chapters():
    assert CHAPTERS


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapter_obeys_the_rules(path):
    assert notebooks.problems(path) == []


def test_chapters_and_table_of_contents_agree():
    assert notebooks.toc_problems() == []


def test_a_good_notebook_has_no_problem(chapter, tmp_path):
    assert _problems(chapter, tmp_path) == []


def _set(index, key, value):
    def spoil(chapter):
        chapter["cells"][index][key] = value

    return spoil


def _edit(index, old, new):
    def spoil(chapter):
        text = chapter["cells"][index]["source"]
        assert old in text
        chapter["cells"][index]["source"] = text.replace(old, new)

    return spoil


def _metadata(index, key):
    return lambda chapter: chapter["cells"][index]["metadata"].pop(key)


def _many_lines(chapter):
    """Short cells between texts, which obey every other rule."""
    for n in range(8):
        more = [_markdown("So."), _code("# why\n\n" + "x = 1\n" * 18)]
        chapter["cells"] += [{**cell, "id": f"more-{n}-{i}"} for i, cell in enumerate(more)]
    _count(chapter)


def _insert_code(chapter):
    cells = [{**_code("y = 1"), "id": f"more-{n}"} for n in range(2)]
    chapter["cells"][4:4] = cells  # after one in view
    _count(chapter)


def _count(chapter):
    code = [cell for cell in chapter["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        cell["execution_count"] = number


SPOILED = {
    "counts out of order": (_set(3, "execution_count", 7), "cell 3: execution count 7, expected 2"),
    "not run": (_set(4, "execution_count", None), "cell 4: execution count None, expected 3"),
    "no alt text": (_set(4, "metadata", {}), "cell 4: figure with alt text ''"),
    "short alt text": (
        _set(4, "metadata", {"mystnb": {"image": {"alt": "A plot."}}}),
        "cell 4: figure with alt text 'A plot.', expected at least 20",
    ),
    "directive": (
        _edit(2, "## A claim", "```{note}\nx\n```"),
        "cell 2: found '```{note}', expected plain Markdown",
    ),
    "colon directive": (_edit(2, "## A claim", ":::{note}\nx\n:::"), "cell 2: found ':::{note}'"),
    "role": (_edit(2, "`f(x)`", "{ref}`f(x)`"), "cell 2: found '{ref}`f(x)`'"),
    "label": (_edit(2, "## A claim", "(claim)=\n## A claim"), "cell 2: found '(claim)='"),
    "substitution": (_edit(2, "## A claim", "{{ name }}"), "cell 2: found '{{ name }}'"),
    "directive in a solution": (_edit(8, "Do it.", ":::{tip}\nx\n:::"), "cell 8: found ':::{tip}'"),
    "set-up changed": (
        _edit(1, "import numpy as np", "import numpy"),
        "cell 1: not the set-up cell: found 'import numpy'",
    ),
    "set-up longer": (
        _edit(1, "someone watches", "someone watches\nx = 1"),
        "cell 1: not the set-up cell: found 'x = 1'",
    ),
    "set-up id": (_set(1, "id", "other"), "cell 1: the set-up cell has id 'other', expected 'set-up'"),
    "set-up shown": (_set(1, "metadata", {}), "cell 1: folded in part: no the tag 'hide-input', no jupyter"),
    "folded on the site alone": (
        _set(3, "metadata", {"tags": ["hide-input"]}),
        "cell 3: folded in part: no a first line '# @title …', no jupyter.source_hidden true, no cellView 'form'",
    ),
    "folded, but in JupyterLab": (
        _metadata(4, "jupyter"),
        "cell 4: folded in part: no jupyter.source_hidden",
    ),
    "folded, but on Colab": (_metadata(4, "cellView"), "cell 4: folded in part: no cellView 'form'"),
    "folded, but on the site": (_metadata(4, "tags"), "cell 4: folded in part: no the tag 'hide-input'"),
    "another caption on the site": (
        _edit(4, "that rises", "that falls"),
        "cell 4: folded in part: no its caption in mystnb.code_prompt_show",
    ),
    "a caption that says nothing": (
        _edit(4, "Draw the line that rises", "Draw it"),
        "cell 4: folded with caption 'Draw it', expected at least 3 words",
    ),
    "words": (_edit(6, "`rise`", "so " * 3000), "words in view, expected at most 3000"),
    "lines": (_many_lines, "153 lines of code in view, expected at most 150"),
    "a typed number": (
        _edit(3, "print('sum', 6)", "print('over 97 % right')"),
        "cell 3: prints a number typed by hand, expected one that was measured: 'over 97 % right'",
    ),
    "nothing to write": (_edit(6, "it yourself", "me"), "found 0 sections '## Write it yourself'"),
    "nothing to check": (_edit(9, "Check", "Ask"), "found 0 sections '## Check yourself'"),
    "exercises twice": (
        _edit(10, "## What", "## Exercises\n\n## What"),
        "found 2 sections '## Exercises', expected one",
    ),
    "questions twice": (
        _edit(10, "## What", "## Check yourself\n\n## What"),
        "found 2 sections '## Check yourself'",
    ),
    "two questions": (
        _edit(9, "<details>\n<summary>Why?</summary>\n\nSo.\n</details>\n\n" * 3, "<details>x</details>" * 2),
        "check yourself: 2 answers in <details>, expected 3 to 5",
    ),
    "a long folded cell": (
        _edit(4, "fig, ax", "x = 1\n" * 50 + "fig, ax"),
        "cell 4: 51 lines of code, expected at most 50",
    ),
    "no minutes": (_edit(0, "on two cores", "perhaps"), "no running time"),
    "no title": (_edit(0, "# Why", "Why"), "cell 0: expected a Markdown cell that opens with the title"),
    "two exercises": (_edit(8, "### Exercise 3", "### Further"), "found numbers ['1', '2']"),
    "a solution too few": (
        _edit(8, "<details>\n<summary>Solution</summary>\n\n```python\nassert 3", "```python\nassert 3"),
        "found 2 <details> solutions, expected 3",
    ),
    "solution without code": (
        _edit(8, "```python\nassert 2", "```\nassert 2"),
        "solution 2 has no ```python block",
    ),
    "no exercises": (
        _edit(8, "## Exercises", "## Questions"),
        "found 0 sections '## Exercises', expected one",
    ),
    "stored error": (
        _set(
            3, "outputs", [{"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}]
        ),
        "cell 3: stored error ValueError: no, expected none",
    ),
    "stderr": (
        _set(3, "outputs", [_stream("stderr", "UserWarning\n")]),
        "cell 3: output on stderr, expected none: 'UserWarning'",
    ),
    "long cell": (
        _set(3, "source", "# a comment\n\n" + "x = 1\n" * 21),
        "cell 3: 21 lines of code, expected at most 20",
    ),
    "three code cells in a row": (_insert_code, "cell 5: third code cell in view in a row"),
    "kernel": (
        lambda c: c["metadata"]["kernelspec"].update(name="conda-env"),
        "kernelspec: found 'conda-env', expected 'python3'",
    ),
    "size": (_set(3, "outputs", [_stream("stdout", "x" * 500_000)]), "kB, expected at most 500 kB"),
    "not a notebook": (lambda c: c.pop("cells"), "not a valid notebook"),
    "no code": (
        lambda c: c.update(cells=[c["cells"][0], *c["cells"][8:]]),
        "found no code cell, expected the set-up cell",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_notebook_is_flagged_by_name(chapter, tmp_path, name):
    spoil, message = SPOILED[name]
    spoil(chapter)
    found = _problems(chapter, tmp_path)
    assert any(message in line for line in found), found
    assert all(line.startswith("01-chapter.ipynb: ") for line in found)


def test_comments_and_blank_lines_are_no_code(chapter, tmp_path):
    chapter["cells"][3]["source"] = "# why\n\n" * 30 + "x = 1\n" * 20
    assert _problems(chapter, tmp_path) == []


def test_a_folded_cell_may_stand_third_in_a_row(chapter, tmp_path):
    more = [
        {**_code("y = 1"), "id": "more"},
        {**_folded("# @title Assert what was drawn\ny = 2"), "id": "assert"},
    ]
    chapter["cells"][5:5] = more
    _count(chapter)
    assert _problems(chapter, tmp_path) == []


def test_a_chapter_that_is_done_leaves_the_list_of_those_that_are_not(chapter, tmp_path, monkeypatch):
    monkeypatch.setattr(in_view, "NOT_YET", {"chapter"})
    assert any("take its name out of NOT_YET" in line for line in _problems(chapter, tmp_path))
    _edit(9, "Check", "Ask")(chapter)
    assert _problems(chapter, tmp_path) == []


def test_what_is_folded_is_not_in_view(chapter):
    assert in_view.lines(chapter["cells"]) == 1
    text = "# A b\n\n$x$ c\n\n$$\ny z\n$$\n\n```python\nq\n```\n\n<details>d e f</details>"
    assert in_view.words([_markdown(text)]) == 5


def test_execute_folds_what_a_first_line_says(chapter):
    cell = _code(
        "# @title Draw two lines apart\nx = 1",
        metadata={"tags": ["nbval-ignore-output"], **copy.deepcopy(ALT)},
    )
    in_view.fold(cell)
    once = copy.deepcopy(cell)
    in_view.fold(cell)
    assert cell == once
    assert cell["metadata"] == {
        "tags": ["nbval-ignore-output", "hide-input"],
        "jupyter": {"source_hidden": True},
        "cellView": "form",
        "mystnb": {**ALT["mystnb"], "code_prompt_show": "Show the code: Draw two lines apart"},
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["index.md", "01-a.ipynb", "02-b.ipynb"], None),
        (["index.md", "01-a.ipynb"], "_toc.yml: chapters/02-b is listed, and there is no such file"),
        (["index.md", "01-a.ipynb", "02-b.ipynb", "c.md"], "chapters/c is not listed in _toc.yml"),
    ],
)
def test_a_forgotten_page_is_flagged(tmp_path, files, message):
    toc = "root: chapters/index\nparts:\n- chapters:\n  - file: chapters/01-a\n  - file: chapters/02-b\n"
    (tmp_path / "_toc.yml").write_text(toc, encoding="utf-8")
    (tmp_path / "chapters").mkdir()
    for name in files:
        (tmp_path / "chapters" / name).touch()
    assert notebooks.toc_problems(tmp_path) == ([message] if message else [])


def test_the_copies_hold_every_solution_as_a_cell(chapter, tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "01-a.ipynb").write_text(json.dumps(chapter), encoding="utf-8")
    (stale := tmp_path / "copies").mkdir()
    (stale / "99-gone.ipynb").touch()
    (written,) = notebooks.write_copies(tmp_path / "copies", tmp_path)
    cells = json.loads(written.read_text(encoding="utf-8"))["cells"]
    assert cells[: len(chapter["cells"])] == chapter["cells"]
    appended = cells[len(chapter["cells"]) :]
    assert [cell["source"] for cell in appended] == ["assert 1 > 0", "assert 2 > 0", "assert 3 > 0"]
    assert all(cell["metadata"]["tags"] == ["nbval-ignore-output"] for cell in appended)


def test_the_book_s_own_set_up_cell_is_short():
    assert notebooks.code_lines(notebooks.setup_source()) <= notebooks.MAX_CODE_LINES
    assert f'"unrolled @ git+{notebooks.repository_url()}"' in notebooks.setup_source()


DONE = [path for path in CHAPTERS if path.stem[3:] not in in_view.NOT_YET]


@pytest.mark.parametrize("path", DONE, ids=lambda path: path.name)
def test_figures_of_a_chapter_that_is_done_are_sharp_and_numbered(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    numbers = []
    for cell, after in itertools.pairwise(cells):
        for output in cell.get("outputs", ()):
            if "image/png" not in output.get("data", {}):
                continue
            width = int.from_bytes(
                base64.b64decode(output["data"]["image/png"])[16:20]
            )  # of the PNG's header
            assert width == pytest.approx(2 * output["metadata"]["image/png"]["width"], abs=2)
            caption = re.match(r"\*\*Figure (\d+\.\d+)\.\*\* ", in_view.source(after))
            assert caption, f"{in_view.source(cell)[:60]!r}: no caption after its figure"
            numbers.append(caption[1])
    assert numbers == [f"{int(path.name[:2])}.{k}" for k in range(1, len(numbers) + 1)] != []
    text = "\n".join(in_view.source(cell) for cell in cells if cell["cell_type"] == "markdown")
    for number in numbers:
        assert re.search(rf"(?<!\*\*)Figure {re.escape(number)}(?!\d)", text), (
            f"Figure {number} is not referred to"
        )


@pytest.mark.parametrize("path", DONE, ids=lambda path: path.name)
def test_what_a_reader_is_to_write_is_not_written_yet(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    checked = [
        c for c in cells if c["cell_type"] == "code" and "from unrolled.practice import" in in_view.source(c)
    ]
    said = ["".join(output["data"]["text/plain"]) for cell in checked for output in cell["outputs"]]
    assert len(said) == 1
    assert "not written yet" in said[0]
