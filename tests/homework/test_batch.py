"""A folder of submissions: a row each whatever happens, resumable, and a refusal wherever it cannot be done safely."""

import pytest
from classroom import BLANK, NUMPY, SOLUTION, notebook, submissions, table

from homework.grader import batch, sandbox
from homework.grader.batch import grade_folder
from homework.grader.grade import Outcome
from homework.grader.report import Row, lms, safe, write_all
from homework.grader.submissions import collect

needs_sandbox = pytest.mark.usefixtures("works")
HONEST, LOST = notebook(*SOLUTION), notebook(*BLANK)


@pytest.fixture
def folder(tmp_path):
    """A class's submissions."""
    return submissions(tmp_path / "in")


@needs_sandbox
def test_one_row_for_every_submission(folder):
    """Graded, unreadable, missing: every one has a row, and only what was graded has points."""
    out = folder.parent / "out"
    grade_folder(NUMPY, folder, out, seed=4)
    rows = table(out / "grades.csv")
    told = {name: (row["status"], row["total"]) for name, row in rows.items()}
    assert told == {
        "'=cmd()|1": ("graded", "8"),
        "copy": ("graded", "8"),
        "cut": ("unreadable", ""),
        "empty": ("unreadable", ""),
        "essay.pdf": ("unreadable", ""),
        "hoppergrace_LATE_4712_98_hw01-1": ("graded", "0"),
        "link": ("unreadable", ""),
        "lovelaceada_4711_99_hw01": ("graded", "8"),
        "submission_17": ("graded", "0"),
        "submission_18": ("unreadable", ""),
        "submission_19/a": ("graded", "8"),
        "submission_19/b": ("graded", "0"),
    }
    assert not [name for name, row in rows.items() if row["status"] != "graded" and not row["reason"]]
    assert all(row["seed"] != "0" for row in rows.values() if row["status"] == "graded")
    assert rows["copy"]["same_as"] == "'=cmd()|1; lovelaceada_4711_99_hw01; submission_19/a"
    assert rows["hoppergrace_LATE_4712_98_hw01-1"]["same_as"] == "submission_17; submission_19/b"
    assert rows["copy"]["q5"] == ""
    assert (rows["copy"]["q1"], rows["copy"]["out_of"]) == ("3", "8")
    assert rows["submission_19/a"]["note"] == "one of 2 notebooks in submission_19"
    assert not list(out.rglob("*.part"))
    assert len(list((out / "feedback").iterdir())) == len(rows)


@needs_sandbox
def test_the_lms_table_holds_only_what_is_sure(folder):
    """A student with two notebooks, and whoever was not graded, stays empty; Canvas' numbers are found."""
    out = folder.parent / "out"
    grade_folder(NUMPY, folder, out, seed=4)
    rows = table(out / "lms.csv")
    assert rows["    Points Possible"]["demo"] == "8"
    assert (rows["lovelaceada"]["ID"], rows["lovelaceada"]["demo"]) == ("4711", "8")
    assert (rows["hoppergrace"]["ID"], rows["hoppergrace"]["demo"]) == ("4712", "0")
    assert [rows[name]["demo"] for name in ("cut", "essay.pdf", "submission_18", "submission_19")] == [""] * 4


@needs_sandbox
def test_feedback_is_in_words(folder):
    """Points, what is right, what is wrong, what a person will read, the seed."""
    out = folder.parent / "out"
    grade_folder(NUMPY, folder, out, seed=4)
    text = (out / "feedback" / "submission_17.md").read_text()
    assert "# A demonstration: submission_17" in text
    assert "0 of 8 points." in text
    assert "- values (0 of 2): expected an array of shape (2, 4), got None (nothing is returned)." in text
    assert "read by your instructor (2 points)" in text
    assert "seed " in text
    assert "no points yet" in (out / "feedback" / "cut.md").read_text()


@needs_sandbox
def test_a_second_run_grades_only_what_has_changed(folder, monkeypatch):
    """The same bytes, homework, grader and seed are kept; a new file or another seed is graded."""
    out, ran = folder.parent / "out", []
    run = sandbox.run
    monkeypatch.setattr(sandbox, "run", lambda *a, **k: ran.append(1) or run(*a, **k))

    def graded(seed=None) -> int:
        ran.clear()
        batch.Batch(NUMPY, folder, out, seed).run()
        return len(ran)

    assert graded() == 7
    first = table(out / "grades.csv")
    assert graded() == 0
    assert table(out / "grades.csv") == first
    (folder / "copy.ipynb").write_text(LOST)
    (folder / "cut.ipynb").write_text(HONEST)
    assert graded() == 2
    assert (table(out / "grades.csv")["copy"]["total"], table(out / "grades.csv")["cut"]["total"]) == (
        "0",
        "8",
    )
    for damaged in (out / "state").glob("*.json"):
        if damaged.name != "seed.json":
            damaged.write_text("{")
            break
    assert graded() == 1
    assert graded(seed=5) == 8


@needs_sandbox
def test_an_interrupted_run_goes_on(folder, monkeypatch):
    """Rows that are not graded yet say so, those that are keep their points, and the next run does the rest."""
    out, line = folder.parent / "out", batch._line
    seen = []

    def interrupt(row):
        if row.outcome.status == "graded":
            seen.append(row)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return line(row)

    monkeypatch.setattr(batch, "_line", interrupt)
    with pytest.raises(KeyboardInterrupt):
        batch.Batch(NUMPY, folder, out, seed=4, jobs=1).run()
    states = [row["status"] for row in table(out / "grades.csv").values()]
    assert len(states) == 12
    assert "not graded" in states
    assert "graded" in states
    monkeypatch.setattr(batch, "_line", line)
    batch.Batch(NUMPY, folder, out).run()
    assert "not graded" not in [row["status"] for row in table(out / "grades.csv").values()]


@needs_sandbox
def test_the_grader_s_own_mistakes_are_rows_too(folder, monkeypatch):
    """An error in the grader or in a question gives neither points nor a zero: it gives a reason."""
    out = folder.parent / "out"

    def broken(homework, cells, *a, **k) -> Outcome:
        raise RuntimeError("out of paper")

    monkeypatch.setattr(batch, "grade_cells", broken)
    batch.Batch(NUMPY, folder, out, seed=4).run()
    row = table(out / "grades.csv")["copy"]
    assert (row["status"], row["total"], row["q1"]) == ("error", "", "")
    assert row["reason"] == "the grader: RuntimeError: out of paper"
    assert table(out / "lms.csv")["copy"]["demo"] == ""


def test_names_are_told_apart(tmp_path):
    """anna.ipynb beside anna/ are two submissions with two names and two files of feedback."""
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "hw01.ipynb").write_text(HONEST)
    (tmp_path / "anna.ipynb").write_text(HONEST)
    assert [one.name for one in collect(tmp_path)] == ["anna/hw01.ipynb", "anna.ipynb"]


@pytest.mark.parametrize(
    "names",
    [
        ("a\nb.ipynb", "a\tb.ipynb", "a?b.ipynb (2).ipynb"),
        ("x/hw01.ipynb", "x.ipynb", "x.ipynb.ipynb"),
        ("a b.ipynb", "a_b-c8687a08.ipynb"),
        ("c" * 240 + ".ipynb", "\u4e2d" * 82 + ".ipynb", "\N{MATHEMATICAL BOLD CAPITAL A}" * 62 + ".ipynb"),
    ],
    ids=["shown as one", "renamed to another's", "another's feedback", "long"],
)
def test_names_that_a_student_chose_take_nobody_s_place(names, tmp_path):
    """Names that look the same, or are too long for a file of feedback: each has a row and a file of its own."""
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(HONEST)
    found = collect(tmp_path / "in")
    assert len({one.name for one in found}) == len(found) == len(names)
    write_all(tmp_path, NUMPY, [Row(one, Outcome("graded", 1)) for one in found])
    assert len(list((tmp_path / "feedback").iterdir())) == len(names)


EXPORT = """\
submission_17:
  :submitters:
  - :name: Ada Lovelace
    :sid: '4711'
    :email: ada@example.edu
  :created_at: 2026-03-06 14:13:15.303512000 Z
  :score: 0.0
submission_18:
  :submitters: []
"""


@pytest.mark.parametrize("text", [EXPORT, "{", "- 1", "", "submission_17: 3", "a: !ruby/object:X {}"])
def test_gradescope_tells_who_it_was(text, tmp_path):
    """Names and numbers come from the export's own list; where that is damaged the folders' names stand."""
    for name in ("submission_17", "submission_18"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hw01.ipynb").write_text(HONEST)
    (tmp_path / "submission_metadata.yml").write_text(text)
    found = [(one.name, one.student, one.sid) for one in collect(tmp_path)]
    first = ("Ada Lovelace", "4711") if text == EXPORT else ("submission_17", "")
    assert found == [("submission_17", *first), ("submission_18", "submission_18", "")]
    rows = [Row(one, Outcome("graded", 1, total=8.0)) for one in collect(tmp_path)]
    assert f"{first[0]},,{first[1]},,,8" in lms(NUMPY, rows).splitlines()


def test_nobody_names_another_s_row(tmp_path):
    """Where students choose whole names: a list like Gradescope's, and Canvas' number of somebody else."""
    bomb = "x: &a [y, y]\n" + "submission_17: {':submitters': [{':name': *a}]}\n"
    told = f"{bomb}bob: {{':submitters': [{{':name': Mallory}}]}}\n"
    (tmp_path / "submission_metadata.yml").write_text(told)
    (tmp_path / "submission_17").mkdir()
    for name in ("bob", "ada_4711_99_hw01", "mallory_4711_98_hw01"):
        (tmp_path / f"{name}.ipynb").write_text(HONEST)
    rows = [Row(one, Outcome("graded", 1, total=8.0)) for one in collect(tmp_path)]
    assert lms(NUMPY, rows).splitlines()[2:] == [
        "ada,4711,,,,",
        "bob,,,,,8",
        "mallory,4711,,,,",
        "submission_17,,,,,8",
    ]


def test_any_file_name_can_be_written(tmp_path):
    """Bytes that are no UTF-8, and control characters, in a name that a student chose."""
    (tmp_path / "a\nb\udcff.ipynb").write_text(HONEST)
    assert [one.name for one in collect(tmp_path)] == ["a?b?"]


def test_no_cell_is_a_formula():
    """What a spreadsheet would run is quoted; numbers and names are not touched."""
    hidden = ("a;=cmd", "a; b;+1", " =1", "\uff1d1")  # the first cell ends at a semicolon in much of Europe
    assert [safe(text) for text in hidden] == ["a;'=cmd", "a; b;'+1", "' =1", "'\uff1d1"]
    assert [safe(text) for text in ("=1+1", "+1", "-1", "@x", "\tx", "8", "ada", "")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "8",
        "ada",
        "",
    ]
