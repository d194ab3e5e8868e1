"""What is read of a notebook that was handed in, and what is refused."""

import pytest
from classroom import (
    notebook,
)

from homework.grader.notebook import Unreadable, cell_of, cells_of, read_bytes

GOOD = notebook("x = 1", "y = 2")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (GOOD[: len(GOOD) // 2].encode(), "cut off"),
        (b"\x80\x81\x82" + GOOD.encode(), "UTF-8"),
        (b"\x00" * 100, "cut off"),
        (b"PK\x03\x04" + bytes(100), "cut off"),
        (b"[" * 200_000, "too deep"),
        (b"[1, 2]", "list of cells"),
        (b'"text"', "list of cells"),
        (b'{"cells": 5}', "list of cells"),
        (b'{"cells": [1, null, {"cell_type": "code", "source": 7}]}', "no code"),
        (notebook().encode(), "no code"),
        (notebook(*["x = 1"] * 1001).encode(), "at most 1000"),
        (b'{"cells": ' + b"1" * 10_000 + b"}", "not a notebook"),
    ],
)
def test_what_is_no_notebook_is_named(data, says):
    """A damaged file is unreadable, with a reason; it is never a notebook without answers."""
    with pytest.raises(Unreadable, match=says):
        cells_of(data)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        notebook(
            "x = 1", "y = 2", metadata={"kernelspec": {"name": "matlab"}, "language_info": {"name": "cobol"}}
        ),
        GOOD.replace('"metadata": {}, ', "")
        .replace('"outputs": [], ', "")
        .replace('"execution_count": null, ', ""),
        '{"cells": [{"cell_type": "markdown", "source": "x"}, {"cell_type": "code", "source": ["x = 1"]}, '
        '{"cell_type": "code", "source": "y = 2"}]}',
        '{"worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}, '
        '{"cell_type": "code", "input": ["y = ", "2"]}]}]}',
        "\ufeff" + GOOD,
    ],
)
def test_only_sources_count(text):
    """Unknown kernels, stripped metadata, missing fields, version 3 of the format: the code is read all the same."""
    assert [cell.source for cell in cells_of(text.encode())] == ["x = 1", "y = 2"]


def test_utf_16_is_read():
    """Windows' Notepad saves it."""
    assert [cell.source for cell in cells_of(GOOD.encode("utf-16"))] == ["x = 1", "y = 2"]


def test_only_files_are_read(tmp_path):
    """Links (to another's notebook, say), pipes, folders and 60 MB are refused, the last without being read."""
    (tmp_path / "other.ipynb").write_text(GOOD)
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "other.ipynb")
    import os

    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    with open(tmp_path / "large.ipynb", "wb") as file:
        file.truncate(60_000_000)
    for name, says in (
        ("link", "link is not followed"),
        ("pipe", "expected a file"),
        ("folder", "expected a file"),
    ):
        with pytest.raises(Unreadable, match=says):
            read_bytes(tmp_path / f"{name}.ipynb")
    with pytest.raises(Unreadable, match="at most 20 MB, got 60 MB"):
        read_bytes(tmp_path / "large.ipynb")


def test_cell_magics_are_dropped_and_lines_keep_their_numbers():
    """`%%bash` does nothing; `%%time` runs its cell; `# trains` is seen behind a magic."""
    assert cell_of("%%time\nx = 1").source == "\nx = 1"
    assert cell_of("%%bash\nrm -rf /").source == "\n"
    assert cell_of("%%time\n# trains\nx = 1").trains
    assert cell_of("\n#trains for 20 epochs\nx").trains
    assert cell_of("%matplotlib inline\n# trains\nx = 1").trains
    assert not cell_of("x = 1\n# trains").trains
    assert not cell_of("# training is over").trains
