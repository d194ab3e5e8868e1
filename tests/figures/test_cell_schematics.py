"""Pictures of gated cells show the gates introduced so far, and no letter stands on another or on a wire."""

import itertools

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.transforms import Bbox

from unrolled.figures import CELL_GATES, colour, gru_cell, lstm_cell, use_style

ROLES = {"f": "forget-gate", "i": "input-gate", "g": "candidate", "o": "output-gate"}
SYMBOLS = {"f": "$f_t$", "i": "$i_t$", "g": r"$\tilde{C}_t$", "o": "$o_t$"}
SUBSETS = ["".join(some) for size in range(5) for some in itertools.combinations(CELL_GATES, size)]
STAGES = ("", "f", "fg", "fgi", "figo", "i", "o")  # the chapter's, and two that leave gaps
PICTURES = {**{show: lambda show=show: lstm_cell(show) for show in STAGES}, "GRU": gru_cell}


@pytest.fixture(autouse=True)
def _clean():
    use_style()
    yield
    plt.close("all")


def _named(ax):
    return {patch.get_gid(): patch for patch in ax.patches if patch.get_gid()}


def _extent(patch) -> Bbox:
    """What a patch covers, in the picture's units, without its line's width."""
    return patch.get_path().get_extents(patch.get_patch_transform())


def _letters(ax) -> dict[str, Bbox]:
    return {
        f"{patch.get_gid()} {k}": _extent(patch)
        for k, patch in enumerate(ax.patches)
        if (patch.get_gid() or "").startswith("text ")
    }


@pytest.mark.parametrize("show", SUBSETS)
def test_a_stage_shows_the_gates_introduced_and_ghosts_of_the_others(show):
    drawn = _named(lstm_cell(show))
    for gate in CELL_GATES:
        assert (gate in drawn) == (gate in show) != (f"ghost {gate}" in drawn)
        assert (f"text {SYMBOLS[gate]}" in drawn) == (gate in show)
        if gate in show:
            assert to_hex(drawn[gate].get_facecolor()) == colour(ROLES[gate])
    assert {"road", "text $C_{t-1}$", "text $C_t$"} <= drawn.keys()  # at every stage
    assert not {"ghost keep", "ghost add"} & drawn.keys()  # where nothing acts on it, the road is unbroken
    for name, there in {
        "keep": "f" in show,
        "write": "i" in show,
        "add": "i" in show or "g" in show,
        "squash": "o" in show,
        "show": "o" in show,
        "text $h_t$": "o" in show,
        "text $x_t$": bool(show),
        "text $h_{t-1}$": bool(show),
    }.items():
        assert (name in drawn) == there, name


def test_every_stage_has_one_layout():
    def layout(show):
        ax = lstm_cell(show)
        gates = {
            p.get_gid().removeprefix("ghost "): tuple(_extent(p).extents)
            for p in filter(_is_gate, ax.patches)
        }
        plt.close(ax.figure)
        return gates, ax.get_xlim(), ax.get_ylim()

    assert len(layout("")[0]) == 4
    assert all(layout(show) == layout("") for show in STAGES)


def _is_gate(patch) -> bool:
    return (patch.get_gid() or "").removeprefix("ghost ") in CELL_GATES


def test_a_gru_has_one_state_two_gates_and_a_candidate():
    drawn = _named(gru_cell())
    assert {"z", "r", "n", "keep", "one minus", "reset", "write", "add"} <= drawn.keys()
    words = {name.removeprefix("text ") for name in drawn if name.startswith("text ")}
    assert words == {"$h_{t-1}$", "$h_t$", "$x_t$", "$z_t$", "$r_t$", "$n_t$", "σ", "tanh", "1−"}


@pytest.mark.parametrize("name", PICTURES)
def test_no_letters_overlap(name):
    letters = _letters(PICTURES[name]())
    for (a, box), (b, other) in itertools.combinations(letters.items(), 2):
        assert not box.overlaps(other), (a, b)


@pytest.mark.parametrize("name", PICTURES)
def test_letters_stand_alone_in_a_shape_or_clear_of_all_wires_shapes_and_arrowheads(name):
    ax = PICTURES[name]()
    wires = [patch for patch in ax.patches if (patch.get_gid() or "").endswith("wire")]
    shapes = [
        p for p in ax.patches if isinstance(p, (FancyBboxPatch, Circle, Polygon)) and p.get_gid() != "body"
    ]
    assert wires and shapes
    held = []
    for text, box in _letters(ax).items():
        assert not any(wire.get_path().intersects_bbox(box, filled=False) for wire in wires), text
        for shape in (shape for shape in shapes if box.overlaps(_extent(shape))):
            around = _extent(shape)
            assert around.x0 + 0.03 < box.x0 and box.x1 < around.x1 - 0.03, text
            assert around.y0 + 0.03 < box.y0 and box.y1 < around.y1 - 0.03, text
            held.append(shape)
    assert len(held) == len(set(held))


@pytest.mark.parametrize("name", PICTURES)
def test_everything_lies_within_the_picture(name):
    ax = PICTURES[name]()
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    for patch in ax.patches:
        box = _extent(patch)
        assert x0 <= box.x0 and box.x1 <= x1 and y0 <= box.y0 and box.y1 <= y1, patch.get_gid()
    assert ax.figure.get_size_inches()[0] <= 7.2


def _crossings(ax) -> int:
    """Pairs of wires that cut through or run along one another; where a wire only ends on another is a fork."""
    level, upright = [], []  # each (along which it lies, from, to, its wire)
    for wire, patch in enumerate(ax.patches):
        if patch.get_gid() == "wire" and patch.get_linewidth() < 2:
            for a, b in itertools.pairwise(patch.get_path().vertices):
                across = int(abs(a[0] - b[0]) < 1e-9)  # 1 for upright
                assert abs(a[1 - across] - b[1 - across]) < 1e-9
                (level, upright)[across].append((a[1 - across], *sorted((a[across], b[across])), wire))
    cut = sum(
        low + 1e-6 < x < high - 1e-6 and start + 1e-6 < y < end - 1e-6 and a != b
        for (y, low, high, a), (x, start, end, b) in itertools.product(level, upright)
    )
    along = sum(
        a != b and abs(y - other) < 1e-6 and min(end, last) - max(start, first) > 0.01
        for pieces in (level, upright)
        for (y, start, end, a), (other, first, last, b) in itertools.combinations(pieces, 2)
    )
    return cut + along


def test_no_wires_cross_but_for_the_one_bridge_of_the_gru():
    assert _crossings(lstm_cell()) == 0
    assert _crossings(gru_cell()) == 1


def test_labels_can_be_left_out():
    for ax in (lstm_cell(labels=False), gru_cell(labels=False)):
        drawn = _named(ax)
        assert not {f"text {s}" for s in (*SYMBOLS.values(), "$z_t$", "$r_t$", "$n_t$")} & drawn.keys()
        assert "text σ" in drawn


@pytest.mark.parametrize("draw", [lstm_cell, gru_cell])
def test_draws_on_the_axes_given_or_on_new_ones(draw):
    _, (given, other) = plt.subplots(1, 2)
    assert draw(ax=given, title="one step") is given and given.get_title(loc="left") == "one step"
    assert given.patches and not other.patches
    assert draw() is not given
