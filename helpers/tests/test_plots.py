"""The plots: what a reader takes from a picture is what the data say, for every eye."""

import subprocess
import sys
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from helpers import plots, style

X = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.5], [0.5, 3.0]])
Y = np.array([0, 1, 1, 0])
A = np.random.default_rng(0).random((20, 3))
VIEW = {"view": (20, -60), "labels": ("$x$", "$y$", "$z$"), "title": "t"}

# Machado, Oliveira and Fernandes (2009), severity 1.0, applied to linear RGB.
PROTANOPIA = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
DEUTERANOPIA = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
TRITANOPIA = [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]
RGB_TO_XYZ = np.array(
    [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]
)


def linear(color):
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def cielab(rgb):
    f = np.cbrt(RGB_TO_XYZ @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.0888])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(*colors):
    """Return the ratio of two luminances as web accessibility defines it, from 1 to 21."""
    dark, light = sorted(RGB_TO_XYZ[1] @ linear(color) for color in colors)
    return (light + 0.05) / (dark + 0.05)


def seen(ax):
    """Return a function that gives the colour a reader sees at a place (x, y) of the plot."""
    ax.figure.canvas.draw()
    picture = np.asarray(ax.figure.canvas.buffer_rgba())[::-1, :, :3] / 255
    return lambda x, y: picture[tuple(ax.transData.transform((x, y)).astype(int)[::-1])]


@pytest.mark.parametrize("palette", [list(style.COLORS.values()), style.CLASS_COLORS])
def test_the_palette_survives_every_colour_vision_and_a_print_in_grey(palette):
    for vision in (np.eye(3), PROTANOPIA, DEUTERANOPIA, TRITANOPIA):
        seen = [cielab(np.array(vision) @ linear(color)) for color in palette]
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15
    assert min(np.diff(sorted(cielab(linear(color))[0] for color in palette))) > 7
    assert all(contrast(color, "white") > 2.5 for color in palette)


def test_figures_do_not_depend_on_the_settings_of_a_user(tmp_path):
    draw = (
        "from helpers import plots, style; style.use();"
        "plots.curves({'a': [1, 2], 'b': [2, 1]}, title='t').figure.savefig('figure.png')"
    )
    pictures = []
    for settings in ("", "axes.facecolor: black\nlines.marker: o\nfont.size: 20\nsavefig.dpi: 50"):
        (tmp_path / "matplotlibrc").write_text(settings)
        subprocess.run([sys.executable, "-c", draw], cwd=tmp_path, check=True)
        pictures.append((tmp_path / "figure.png").read_bytes())
    assert pictures[0] == pictures[1]


def test_curves_differ_in_line_and_colour_and_are_named():
    ax = plots.curves({"C": [3.0, 2.0], "A": [4.0, 3.0]}, colors={"C": style.COLORS["cost"]})
    first, second = ax.lines
    assert first.get_xydata().tolist() == [[1, 3], [2, 2]]
    assert first.get_color() == style.COLORS["cost"] != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["C", "A"]


def test_a_tangent_touches_its_curve_with_the_given_slope():
    x = np.linspace(-1, 1, 11)
    ax = plots.tangent(x, x**2, at=0.5, value=0.25, slope=1.0)
    (x0, x1), (y0, y1) = ax.lines[1].get_data()
    assert (y1 - y0) / (x1 - x0) == pytest.approx(1.0)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((0.5, 0.25))


def test_a_class_keeps_its_colour_and_marker_where_others_are_missing():
    def looks(*labels):
        ax = plots.scatter_classes(X[: len(labels)], np.array(labels), classes="abc")
        assert [cloud.get_label() for cloud in ax.collections] == ["abc"[k] for k in labels]
        return [(to_hex(c.get_facecolor()[0]), len(c.get_paths()[0])) for c in ax.collections]

    both = looks(0, 1, 2)
    assert len({color for color, _ in both}) == len({marker for _, marker in both}) == 3
    assert looks(1, 2) == both[1:]
    assert looks(2) == both[2:]


def test_a_region_is_where_the_model_says():
    def right_of_one(points):
        return np.where(points[:, 1] < 0.3, np.nan, np.where(points[:, 0] > 1, 2, 0))

    at = seen(plots.decision_regions(right_of_one, X, Y))
    for x, y, label in ((0.2, 0.7, 0), (0.9, 2.9, 0), (1.1, 0.7, 2), (1.9, 2.9, 2)):
        shade = 0.22 * np.array(to_rgb(style.CLASS_COLORS[label])) + 0.78
        np.testing.assert_allclose(at(x, y), shade, atol=0.01)
    np.testing.assert_array_equal(at(1.5, 0.2), 1)  # white where the model gives no class


def readable_cells(ax):
    """Return what is written at each place, once it stands out from the colour of its cell."""
    at, cells = seen(ax), {}
    for text in ax.texts:
        x, y = text.get_position()
        assert contrast(text.get_color(), at(x - 0.45, y - 0.45)) > 3.9
        cells[x - 0.5, y - 0.5] = text.get_text()
    return cells


@pytest.mark.parametrize("center", [None, 0.0])
def test_a_heat_map_shows_each_value_in_its_place_readably(center):
    matrix = np.linspace(-2, 2, 40).reshape(5, 8)
    ax = plots.heatmap(matrix, rows="abcde", columns=range(8), fmt=".1f", center=center)
    assert readable_cells(ax) == {
        (k, i): f"{value:.1f}".replace("-", "−") for (i, k), value in np.ndenumerate(matrix)
    }
    assert ax.get_ylim() == (5, 0)  # the first row on top
    assert "".join(label.get_text() for label in ax.get_yticklabels()) == "abcde"
    assert "".join(label.get_text() for label in ax.get_xticklabels()) == "01234567"


@pytest.mark.parametrize("matrix", [[[-1.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]]])
def test_a_signed_map_is_blue_below_white_at_and_red_above_its_centre(matrix):
    at = seen(plots.heatmap(np.array(matrix), fmt=None, center=0, colorbar=False))
    for k, value in enumerate(matrix[0]):
        red, green, blue = at(k + 0.5, 0.5)
        assert np.sign(np.round(red - blue, 1)) == np.sign(value)
        assert (green > 0.98) == (value == 0)


def test_a_confusion_matrix_makes_a_single_mistake_visible_beside_many():
    counts = np.array([[980, 1, 30], [0, 900, 4], [12, 0, 950]])
    ax = plots.confusion_matrix(counts, ["no", "perhaps", "yes"])
    assert readable_cells(ax) == {(k, i): str(n) for (i, k), n in np.ndenumerate(counts)}
    none, one, right = (seen(ax)(k + 0.1, i + 0.1) for i, k in ((1, 0), (0, 1), (0, 0)))
    assert contrast(none, one) > 1.15
    assert np.ptp(right) == 0  # grey: what is right is no mistake


@pytest.mark.parametrize(
    ("w", "b", "corners"),
    [([1, 1, 1], -0.5, 3), ([0, 0, 2], -1.0, 4), ([1, 1, 1], -1.5, 6), ([1, 1, 1], 5.0, 0)],
)
def test_a_plane_is_cut_at_the_faces_of_the_cube(w, b, corners):
    ax = plots.scatter_3d(A, np.arange(20) % 2, plane=(np.array(w), b), **VIEW)
    ax.figure.canvas.draw()
    faces = [c.get_paths()[0].vertices[:-1] for c in ax.collections[2:]]  # behind the two classes
    assert [len(face) for face in faces] == ([corners] if corners else [])
    for face in faces:  # its corners go round without crossing
        edges = np.diff(face, axis=0, append=face[:1])
        (x, y), (u, v) = edges.T, np.roll(edges, -1, axis=0).T
        assert len(set(np.sign(x * v - y * u))) == 1


CALLS = {
    "curves": ({"C": [1, 2]},),
    "tangent": ([0, 1], [0, 1], 0, 0, 1),
    "bars": ({"a": 1},),
    "labelled_points": (X[:, 0], Y),
    "scatter_classes": (X, Y),
    "decision_regions": (lambda points: np.zeros(len(points)), X, Y),
    "heatmap": (np.eye(2),),
    "confusion_matrix": (np.eye(2, dtype=int), "ab"),
    "scatter_3d": (A, np.zeros(20)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_plot_draws_on_the_given_axes_or_its_own_and_never_shows(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a helper called show"))
    in_space = {"projection": "3d"} if name == "scatter_3d" else {}
    options = {"plane": (np.ones(3), -1), **VIEW} if in_space else {}
    ax = plt.figure().add_subplot(**in_space)
    draw = getattr(plots, name)
    assert draw(*CALLS[name], ax=ax, **options) is ax
    assert len(plt.get_fignums()) == 1
    assert draw(*CALLS[name], **options).figure is not ax.figure
