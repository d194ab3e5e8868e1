"""Figures draw the numbers they are given, in the book's colours, on the axes they are given."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from unrolled.figures import COLOURS, SERIES, colour, heatmaps, plots, schematics, series, use_style


@pytest.fixture(autouse=True)
def _clean():
    use_style()
    yield
    plt.close("all")


def _contrast(a: str, b: str) -> float:
    """WCAG 2's contrast ratio of two hexadecimal colours."""

    def luminance(shade: str) -> float:
        parts = [int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", [name for name in COLOURS if name not in ("paper", "tint", "rule")])
@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_can_be_read_on_its_paper(name, dark):
    for paper in ("paper", "tint"):
        assert _contrast(colour(name, dark), colour(paper, dark)) >= 4.5


@pytest.mark.parametrize("index", range(len(SERIES)))
def test_every_series_can_be_read_on_paper(index):
    assert _contrast(series(index), colour("paper")) >= 4.5


@pytest.mark.parametrize("index", [-1, len(SERIES)])
def test_no_more_series_than_the_eye_tells_apart(index):
    with pytest.raises(IndexError, match=f"index: expected 0 to {len(SERIES) - 1}, got {index}"):
        series(index)


DRAWINGS = {
    "losses": lambda ax: plots.losses([3, 2, 1], floor=0.5, floor_label="floor", label="RNN", ax=ax),
    "losses of seeds": lambda ax: plots.losses([[3, 4], [2, 3]], ax=ax),
    "lines": lambda ax: plots.lines([1, 2], {"a": [1, 2], "b": [[1, 2], [2, 3]]}, log=True, ax=ax),
    "states": lambda ax: heatmaps.states([[0, 1], [1, 0]], below=["h", "e"], above=["e", "l"], ax=ax),
    "scores": lambda ax: plots.scores({"a": [0.5, 0.6], "b": 1.0}, chance=0.5, ax=ax),
    "matrix": lambda ax: heatmaps.matrix([[1, -2]], rows=["r"], columns=["a", "b"], ax=ax),
    "distributions": lambda ax: heatmaps.distributions([[0.5, 0.5]], "ab", above=["h"], ax=ax),
    "tinted text": lambda ax: heatmaps.tinted_text("a\nb", [0, 1, 2], label="nats", ax=ax),
    "feedforward": lambda ax: schematics.feedforward(heads=("mean", "variance"), ax=ax),
    "unrolled": lambda ax: schematics.unrolled(["h", None], [None, "l"], ax=ax),
    "unrolled, fed back": lambda ax: schematics.unrolled(["x", None], ["a", "b"], feedback=True, ax=ax),
    **{name: lambda ax, name=name: schematics.wiring(name, ax=ax) for name in schematics.WIRINGS},
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_on_the_axes_given_or_on_new_ones(name):
    _, (given, other) = plt.subplots(1, 2)
    assert DRAWINGS[name](given) is given
    drawn = [*given.lines, *given.patches, *given.images, *given.texts]
    assert drawn and not (other.lines or other.images or other.texts)
    fresh = DRAWINGS[name](None)
    assert fresh is not given
    fresh.figure.canvas.draw()


def test_the_five_wirings_are_five_axes_of_one_new_figure():
    given = plt.figure()
    drawn = schematics.wirings(title="five shapes")
    (figure,) = {ax.figure for ax in drawn}
    assert figure is not given and figure.axes == drawn and figure.get_suptitle() == "five shapes"
    assert [ax.texts[0].get_text() for ax in drawn] == [
        "one to one",
        "one to many",
        "many to one",
        "many to many, equal",
        "many to many, unequal",
    ]
    assert all(ax.lines and ax.patches for ax in drawn)
    figure.canvas.draw()


def test_each_output_but_the_last_is_fed_to_the_next_state():
    def dashed(**options):
        ax = schematics.unrolled(["x", None, None, None], [None, "a", "b", "c"], **options)
        return [line for line in ax.lines if line.get_linestyle() == "--"]

    assert dashed() == []
    arrows = dashed(feedback=True)
    assert len(arrows) == 2  # from a and b: no step reads c
    for arrow in arrows:
        (x, fed_x), (y, fed_y) = arrow.get_data()
        assert fed_x > x and fed_y < y  # one step later, one row lower


def test_curves_are_the_numbers_given():
    ax = plots.lines([1, 2, 3], {"a": [1.0, 4.0, 9.0], "seeds": [[1, 2, 9], [3, 4, 5], [0, 0, 6]]})
    assert np.array_equal(ax.lines[0].get_ydata(), [1, 4, 9])
    assert np.array_equal(ax.lines[1].get_ydata(), [2, 4, 0])  # the median of the seeds
    assert {text.get_text() for text in ax.texts} == {"a", "seeds"}


def test_heat_map_has_a_column_for_each_time():
    h = np.linspace(-1, 1, 6).reshape(3, 2)
    assert np.array_equal(heatmaps.states(h).images[0].get_array(), h.T)


def test_end_labels_do_not_overlap():
    ax = plots.lines([0, 1], {name: [0, 1 + 1e-3 * i] for i, name in enumerate("abcd")})
    ax.figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert all(upper.y0 >= lower.y0 + 12 for lower, upper in itertools.pairwise(boxes))


def test_style_uses_the_books_colours():
    assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(SERIES)
    assert mpl.rcParams["savefig.facecolor"] == colour("paper")


def test_tinted_text_gives_each_character_its_own_tile_and_shade():
    text = "ab c\n$d$"
    ax = heatmaps.tinted_text(text, range(8), low=1, high=5, width=3, role="cell")
    (image,) = ax.images
    grid = np.ma.filled(image.get_array(), np.nan)
    expected = [[0, 1, 2], [3, 4, np.nan], [5, 6, 7]]  # lines break after three characters and at the newline
    np.testing.assert_array_equal(grid, expected)
    written = {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in ax.texts}
    newline = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"
    assert written == {
        (0, 0): "a", (1, 0): "b", (0, 1): "c", (1, 1): newline, (0, 2): "$", (1, 2): "d", (2, 2): "$"
    }  # fmt: skip
    shades = image.cmap(image.norm([0, 1, 5, 9]))
    assert (shades[0] == shades[1]).all() and (shades[2] == shades[3]).all()
    for shade in shades:  # the ink can be read on every tile
        assert _contrast(colour("ink"), mpl.colors.to_hex(shade)) >= 4.5


def test_a_tensor_with_a_history_and_in_half_precision_is_drawn():
    h = torch.rand(3, 2, dtype=torch.bfloat16, requires_grad=True)
    assert heatmaps.states(h).images[0].get_array().shape == (2, 3)


def test_what_is_no_number_is_refused_by_name():
    with pytest.raises((TypeError, ValueError), match="h: expected numbers, got"):
        heatmaps.states([["a", "b"]])
