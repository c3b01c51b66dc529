"""Plots show the data they are given, on the Axes given, and refuse what they cannot show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

from helpers import plots, style

X = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.5], [0.5, 2.0]])
Y = np.array([0, 1, 1, 0])


def test_curves_draw_each_series_against_its_step_number():
    ax = plots.curves({"train": [3.0, 2.0, 1.0], "test": [4.0, 3.0, 2.0]}, title="falls")
    assert [line.get_label() for line in ax.lines] == ["train", "test"]
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3]
    assert list(ax.lines[1].get_ydata()) == [4.0, 3.0, 2.0]
    assert ax.lines[0].get_linestyle() != ax.lines[1].get_linestyle()
    assert ax.get_title(loc="left") == "falls" or ax.get_title() == "falls"


def test_curves_take_colours_by_name_and_a_marker():
    ax = plots.curves({"a": [1, 2], "b": [2, 1]}, colors={"b": "#B3102B"}, marker="o")
    assert ax.lines[1].get_color() == "#B3102B"
    assert ax.lines[0].get_color() != "#B3102B"
    assert {line.get_marker() for line in ax.lines} == {"o"}


def test_curves_take_an_abscissa_and_a_log_scale():
    ax = plots.curves({"C": [1.0, 0.1]}, x=[0, 10], log=True)
    assert list(ax.lines[0].get_xdata()) == [0, 10]
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize(
    ("series", "x", "message"),
    [
        ({}, None, "series is empty"),
        ({"C": []}, None, r"series\['C'\] is empty"),
        ({"C": [1.0, np.nan]}, None, "not finite"),
        ({"C": [[1.0]]}, None, "expected 1 axes"),
        ({"C": [1.0, 2.0]}, [1.0], "has 2 values, expected 1"),
    ],
)
def test_curves_name_the_series_they_cannot_draw(series, x, message):
    with pytest.raises(ValueError, match=message):
        plots.curves(series, x=x)


def test_text_in_place_of_numbers_is_a_type_error():
    with pytest.raises(TypeError, match="expected numbers"):
        plots.curves({"C": ["high", "low"]})


def test_tangent_passes_through_the_point_with_the_given_slope():
    x = np.linspace(-1, 1, 11)
    ax = plots.tangent(x, x**2, at=0.5, value=0.25, slope=1.0)
    (x0, x1), (y0, y1) = ax.lines[1].get_data()
    assert (y1 - y0) / (x1 - x0) == pytest.approx(1.0)
    assert (y0 + y1) / 2 == pytest.approx(0.25)


def test_tangent_rejects_curves_of_two_lengths():
    with pytest.raises(ValueError, match=r"y has shape \(2,\), expected \(3,\)"):
        plots.tangent([1, 2, 3], [1, 2], 1, 1, 1)


def test_tangent_panels_color_by_quantity_and_label_with_symbols():
    x = np.linspace(-1, 1, 5)
    values, slopes = {"z3": 0.0, "C": 0.0}, {"z3": 1.0, "C": 0.0}
    axes = plots.tangent_panels(
        x, {"z3": x, "C": x**2}, at=0.0, values=values, slopes=slopes, xlabel="w3", title="t"
    )
    assert [ax.get_ylabel() for ax in axes] == ["$z^{3}$", "$C$"]
    assert axes[0].lines[0].get_color() == style.COLORS["z"]


@pytest.mark.parametrize("missing", ["values", "slopes"])
def test_tangent_panels_name_a_curve_without_value_or_slope(missing):
    given = {"values": {"C": 0.0}, "slopes": {"C": 0.0}} | {missing: {}}
    with pytest.raises(ValueError, match=f"{missing} has no entry 'C'"):
        plots.tangent_panels([0, 1], {"C": [0, 1]}, at=0, xlabel="w1", **given)
    with pytest.raises(ValueError, match="curves is empty"):
        plots.tangent_panels([0, 1], {}, at=0, xlabel="w1", values={}, slopes={})


def test_labelled_points_use_a_marker_and_a_color_per_label():
    ax = plots.labelled_points([-1.0, 1.0, 2.0], [-1, 1, 1])
    low, high = ax.lines
    assert len(low.get_xdata()) == 1
    assert len(high.get_xdata()) == 2
    assert low.get_marker() != high.get_marker()
    assert low.get_color() != high.get_color()
    assert [low.get_label(), high.get_label()] == ["$y$ = −1", "$y$ = 1"]
    with pytest.raises(ValueError, match="like x"):
        plots.labelled_points([1.0], [1, 1])
    with pytest.raises(ValueError, match="y has 4 classes, expected at most 3"):
        plots.labelled_points([1.0, 2, 3, 4], [0, 1, 2, 3])


def test_labelled_points_call_the_label_by_its_letter():
    ax = plots.labelled_points([-1.0, 1.0], [0, 1], letter="t")
    assert [line.get_label() for line in ax.lines] == ["$t$ = 0", "$t$ = 1"]
    assert ax.get_ylabel() == "label $t$"
    assert plots.labelled_points([-1.0, 1.0], [0, 1]).get_ylabel() == "label $y$"


def test_scatter_names_the_classes():
    ax = plots.scatter_classes(X, Y, classes=["left", "right"])
    assert [c.get_label() for c in ax.collections] == ["left", "right"]
    assert sum(len(c.get_offsets()) for c in ax.collections) == len(X)


def test_one_class_and_one_sample_can_be_drawn():
    assert len(plots.scatter_classes(X[:1], Y[:1]).collections) == 1
    ax = plots.decision_regions(lambda p: np.zeros(len(p), int), X[:1], Y[:1], resolution=5)
    assert ax.get_xlim() == (-1.0, 1.0)


def marks(ax):
    """Return colour and marker of each class drawn, by name."""
    return {
        c.get_label(): (to_hex(c.get_facecolor()[0]), c.get_paths()[0].vertices.shape)
        for c in ax.collections
        if not c.get_label().startswith("_")
    }


def test_a_class_has_a_colour_and_a_marker_of_its_own_also_where_others_are_missing():
    names = ["a", "b", "c"]
    both = marks(plots.scatter_classes(X, [0, 1, 2, 0], classes=names))
    assert len({color for color, _ in both.values()}) == 3
    assert len({marker for _, marker in both.values()}) == 3
    assert both["a"][0] == style.CLASS_COLORS[0].lower()
    assert marks(plots.scatter_classes(X, [1, 2, 2, 1], classes=names)) == {
        name: both[name] for name in "bc"
    }
    spread = marks(plots.scatter_classes(X, [-1, 1, 1, -1]))  # by rank, where labels do not count
    assert list(spread.values()) == [both["a"], both["b"]]


def test_a_region_has_the_colour_of_its_class():
    ax = plots.decision_regions(lambda p: np.full(len(p), 2), X, [1, 2, 2, 1], resolution=5)
    shade = ax.collections[-1]
    shade.update_scalarmappable()
    assert to_hex(shade.get_facecolor()[0]) == style.CLASS_COLORS[2].lower()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 3)), [0, 1, 0], r"X has shape \(3, 3\), expected \(N, 2\)"),
        (np.ones((3, 2)), [0, 1], r"y has shape \(2,\), expected \(3,\)"),
        (np.ones((4, 2)), [0, 1, 2, 3], "4 classes, expected at most 3"),
        (np.full((2, 2), np.inf), [0, 1], "X holds values that are not finite"),
        (np.empty((0, 2)), [], "X is empty"),
    ],
)
def test_scatter_names_what_it_cannot_draw(X, y, message):
    with pytest.raises(ValueError, match=message):
        plots.scatter_classes(X, y)


def test_decision_regions_ask_the_predictor_over_the_whole_plane():
    asked = []

    def predict(points):
        asked.append(points)
        return (points[:, 0] > 1).astype(int)

    ax = plots.decision_regions(predict, X, Y, resolution=20, title="split")
    assert asked[0].shape == (400, 2)
    assert (asked[0].min(axis=0) < X.min(axis=0)).all()
    assert (asked[0].max(axis=0) > X.max(axis=0)).all()
    assert ax.collections[-1].get_array().size == 400


def test_where_the_predictor_gives_no_class_the_plane_stays_blank():
    ax = plots.decision_regions(lambda p: np.where(p[:, 0] > 1, 1, np.nan), X, Y, resolution=20)
    shade = np.ma.filled(ax.collections[-1].get_array().astype(float), np.nan).ravel()
    assert 0 < np.isnan(shade).sum() < 400
    with pytest.raises(TypeError, match="predict returned dtype"):
        plots.decision_regions(lambda p: ["a"] * len(p), X, Y, resolution=20)


def test_decision_regions_check_what_the_predictor_returns():
    with pytest.raises(ValueError, match=r"predict returned shape \(400, 2\), expected \(400,\)"):
        plots.decision_regions(lambda points: points, X, Y, resolution=20)


def test_heatmap_writes_each_value_readably_on_its_color():
    ax = plots.heatmap([[0.0, 1.0], [0.5, 0.25]], rows=["a", "b"], columns=[1, 2], fmt=".1f")
    assert [t.get_text() for t in ax.texts] == ["0.0", "1.0", "0.5", "0.2"]
    assert to_rgba(ax.texts[0].get_color()) == to_rgba("white")  # the dark end
    assert to_rgba(ax.texts[1].get_color()) == to_rgba(style.INK)  # the light end
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_heatmap_with_a_center_has_a_two_sided_scale():
    image = plots.heatmap([[-1.0, 3.0]], center=0.0, fmt=None, colorbar=False).images[0]
    assert image.get_clim() == (-3.0, 3.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"matrix": [1.0, 2.0]}, "expected 2 axes"),
        ({"matrix": [[np.nan]]}, "not finite"),
        ({"matrix": [[1.0]], "rows": ["a", "b"]}, "rows has 2 labels, expected 1"),
        ({"matrix": [[1.0]], "columns": []}, "columns has 0 labels, expected 1"),
    ],
)
def test_heatmap_names_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.heatmap(**arguments)


def test_confusion_matrix_colors_mistakes_only():
    ax = plots.confusion_matrix([[90, 2], [5, 80]], ["no", "yes"])
    assert ax.images[0].get_array().tolist() == [[0, 2], [5, 0]]
    low, high = ax.images[0].get_clim()
    assert low <= 0
    assert 5 <= high < 10  # on the scale of the mistakes
    assert [t.get_text() for t in ax.texts] == ["90", "2", "5", "80"]


def test_confusion_matrix_without_mistakes_can_be_drawn():
    assert plots.confusion_matrix([[3, 0], [0, 4]], [0, 1]).images


def test_confusion_matrix_must_match_the_classes():
    with pytest.raises(ValueError, match=r"counts has shape \(2, 3\), expected \(2, 2\)"):
        plots.confusion_matrix(np.ones((2, 3)), [0, 1])


def test_image_grid_reshapes_flat_images_and_blanks_the_rest():
    axes = plots.image_grid(
        np.arange(3 * 16.0).reshape(3, 16), ["a", "b", "c"], columns=2, title="t"
    )
    assert axes.shape == (2, 2)
    assert axes[0, 0].images[0].get_array().shape == (4, 4)
    assert not axes[1, 1].images
    assert not axes[1, 1].axison


def test_signed_images_share_one_scale_around_zero():
    axes = plots.image_grid(np.array([[[1.0]], [[-5.0]]]), signed=True, columns=2)
    assert [ax.images[0].get_clim() for ax in axes.flat] == [(-5.0, 5.0)] * 2
    (ax,) = plots.image_grid(np.array([[[200]]], dtype=np.uint8), signed=True, columns=1).flat
    assert ax.images[0].get_clim() == (-200.0, 200.0)


@pytest.mark.parametrize(
    ("images", "titles", "message"),
    [
        (np.ones((2, 15)), None, "15 pixels a row, expected a square number"),
        (np.ones((2, 2, 2)), ["one"], "titles has 1 entries, expected 2"),
        (np.ones(4), None, "expected 3 axes"),
        (np.full((1, 2, 2), np.nan), None, "not finite"),
    ],
)
def test_image_grid_names_what_does_not_fit(images, titles, message):
    with pytest.raises(ValueError, match=message):
        plots.image_grid(images, titles)


def test_bars_write_their_values():
    ax = plots.bars({"a": 0.5, "b": 0.25})
    assert [t.get_text() for t in ax.texts] == ["0.50", "0.25"]
    with pytest.raises(ValueError, match="heights is empty"):
        plots.bars({})


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plots.curves({"C": [1, 2]}, ax=ax),
        lambda ax: plots.tangent([0, 1], [0, 1], 0, 0, 1, ax=ax),
        lambda ax: plots.labelled_points([0, 1], [0, 1], ax=ax),
        lambda ax: plots.scatter_classes(X, Y, ax=ax),
        lambda ax: plots.heatmap([[1.0]], ax=ax),
        lambda ax: plots.confusion_matrix([[1]], [0], ax=ax),
        lambda ax: plots.bars({"a": 1}, ax=ax),
    ],
)
def test_plots_draw_on_the_given_axes_and_never_show(draw, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a helper called show"))
    _, ax = plt.subplots()
    assert draw(ax) is ax
    assert len(plt.get_fignums()) == 1
