"""Drawings of networks and of the hidden space show the numbers they are given."""

import base64
import io
import json
import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from PIL import Image

from helpers import animate, diagrams
from helpers.style import CLASS_COLORS, COLORS, MUTED

W = [np.array([[1.0, -2.0], [0.5, 0.25], [3.0, 0.0]]), np.array([[1.5, -1.0, 0.75]])]
B = [np.array([0.1, 0.2, 0.3]), np.array([-0.4])]
A = [np.array([1.0, 2.0]), np.array([0.5, 0.6, 0.7]), np.array([0.9])]
CHAIN = {"x": 2.0, "z1": 0.0123, "C": -12.0, "w1": 0.25, "b1": 0.5}
EDGES = [("x", "z1"), ("w1", "z1"), ("b1", "z1"), ("z1", "C")]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def count(ax, kind):
    return sum(isinstance(patch, kind) for patch in ax.patches)


def wires(ax, color):
    return [line for line in ax.lines if to_hex(line.get_color()) == color.lower()]


def written(values):
    return sorted(f"{value:+.2f}".replace("-", "−").replace("+0.00", "0") for value in values)


def test_a_network_has_its_nodes_and_wires_with_their_numbers():
    ax = diagrams.network(W, B, A)
    assert count(ax, Circle) == 2 + 3 + 1
    assert len(ax.lines) == 6 + 3
    numbers = written([*W[0].ravel(), *W[1].ravel()])
    assert set(numbers) | {"$b$ = −0.40", "0.90"} <= set(texts(ax))


@pytest.mark.parametrize(
    "draw", [diagrams.network, lambda weights: diagrams.draw_paths(weights, layer=0, node=0)]
)
def test_a_wire_is_as_thick_as_its_weight_and_dashed_below_zero(draw):
    positive, negative = draw([np.array([[1.0], [-4.0]])]).lines
    assert negative.get_linewidth() > 2 * positive.get_linewidth()
    assert (positive.is_dashed(), negative.is_dashed()) == (False, True)


def test_numbers_on_wires_do_not_overlap_and_step_aside_where_there_are_too_many():
    rng = np.random.default_rng(0)
    ax = diagrams.network([rng.normal(size=shape) for shape in ((3, 2), (3, 3), (1, 3))])
    ax.figure.canvas.draw()
    numbers = [t for t in ax.texts if to_hex(t.get_color()) == COLORS["weights"].lower()]
    boxes = [number.get_window_extent() for number in numbers]
    assert len(boxes) == 6 + 9 + 3
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert "+1.00" not in texts(diagrams.network([np.ones((5, 4))]))


def test_an_augmented_network_has_a_constant_node_per_layer_and_a_wire_per_bias():
    ax = diagrams.augmented_network(W, B)
    assert (count(ax, Circle), count(ax, Rectangle), texts(ax).count("1")) == (6, 2, 2)
    assert len(wires(ax, COLORS["biases"])) == 3 + 1
    assert {"+0.10", "−0.40"} <= set(texts(ax))


def test_an_outline_shortens_wide_layers_and_writes_their_true_sizes():
    ax = diagrams.outline([784, 256, 3], ["in", "hidden", "out"])
    assert count(ax, Circle) == 6 + 6 + 3
    assert {"784", "256", "3", "hidden"} <= set(texts(ax))
    assert texts(ax).count("⋮") == 2


@pytest.mark.parametrize(
    ("through", "numbers"), [(None, [*W[0][:, 1], *W[1][0]]), (2, [W[0][2, 1], W[1][0, 2]])]
)
def test_the_paths_from_a_node_are_coloured_and_the_rest_is_faint(through, numbers):
    ax = diagrams.draw_paths([None, *W], layer=0, node=1, through=through)
    assert len(wires(ax, COLORS["weights"])) == len(numbers)
    assert len(wires(ax, MUTED)) == 9 - len(numbers)
    assert sorted(t for t in texts(ax) if "$" not in t) == written(numbers)
    assert count(diagrams.draw_paths([None, *W], layer=1, node=0), Circle) == 3 + 1 + 1  # the cost


def test_a_graph_runs_from_left_to_right_with_its_parameters_above():
    ax = diagrams.computational_graph(CHAIN, EDGES)
    at = dict(zip(CHAIN, (p.center for p in ax.patches if isinstance(p, Circle)), strict=True))
    assert at["x"][0] < at["z1"][0] < at["C"][0]
    assert at["w1"][1] > at["z1"][1]
    assert at["w1"][0] < at["b1"][0]
    assert count(ax, FancyArrowPatch) == len(EDGES)
    assert {"$z^{1}$", "2.00", "0.012", "−12.00", "0.25"} <= set(texts(ax))


def test_a_graph_writes_slopes_on_its_edges_and_gradients_in_the_colour_of_the_cost():
    ax = diagrams.computational_graph(CHAIN, EDGES, slopes={EDGES[3]: -0.75}, gradients={"w1": 9})
    assert "×−0.75" in texts(ax)
    assert [t.get_color() for t in ax.texts if t.get_text() == "9.00"] == [COLORS["cost"]]


def test_number_lines_share_one_scale_and_write_the_ratios():
    steps = [("w1", 1.0, 1.5), ("z1", 2.0, 3.0), ("a1", 1.0, 1.0), ("C", 1.0, 1.0)]
    ax = diagrams.number_lines(steps)
    assert {"×2.00", "×0", "Δ = +1.00", "no change arrives"} <= set(texts(ax))
    tips = [arrow.xy[0] for arrow in ax.texts if isinstance(arrow, plt.Annotation)]
    assert tips == pytest.approx([0.5, 1.0, 0, 0])


@pytest.mark.parametrize("bias", [[[13.0, 14.0]], [[13.0, 14.0], [15.0, 16.0]]])
def test_a_matrix_equation_fills_the_row_and_the_column_that_make_one_entry(bias):
    left, right = np.arange(1.0, 7).reshape(2, 3), np.arange(7.0, 13).reshape(3, 2)
    total = left @ right + bias
    terms = [("A^1", left, "sample", "in"), "@", (r"W^{2\top}", right, "in", "out"), "+"]
    terms += [("b^2", np.array(bias), "", "out"), "=", ("Z^2", total, "sample", "out")]
    ax = diagrams.matrix_equation(terms, highlight=(1, 0))
    bold = [t.get_text() for t in ax.texts if t.get_fontweight() == "bold"]
    made_of = [*left[1], *right[:, 0], bias[-1][0], total[1, 0]]
    assert bold == [f"{value:.2f}" for value in made_of]
    assert {"@", "+", "=", "sample", "out", "$A^1$", "$Z^2$"} <= set(texts(ax))


def test_a_stack_shows_its_front_and_the_letter_and_length_of_each_axis():
    M, v = np.arange(900.0).reshape(50, 9, 2), np.ones((2, 1))
    arrays, letters = {"M": M, "v": v, "M @ v": M @ v}, ["ijk", "kl", "ijl"]
    ax = diagrams.stack(arrays, letters, operators=["@", "="], summed="k")
    assert {"$i$ = 50", "$j$ = 9", "$l$ = 1", "(50, 9, 2)", "(2, 1)", "⋰", "⋮"} <= set(texts(ax))
    assert {"0", "1.00", "2.00"} <= set(texts(ax))
    assert "18.00" not in texts(ax)  # behind the front
    assert texts(ax).count(r"$\Sigma\,k$ = 2") == 2
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert sum(arrow.get_linestyle() == "-" for arrow in arrows) == 8 - 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: diagrams.network(W, ax=ax),
        lambda ax: diagrams.augmented_network(W, B, ax=ax),
        lambda ax: diagrams.outline([2, 3], ax=ax),
        lambda ax: diagrams.draw_paths(W, layer=0, node=0, ax=ax),
        lambda ax: diagrams.computational_graph(CHAIN, EDGES, ax=ax),
        lambda ax: diagrams.number_lines([("w1", 1.0, 1.5), ("C", 2.0, 3.0)], ax=ax),
        lambda ax: diagrams.matrix_equation([("x", np.eye(2), "", "")], ax=ax),
        lambda ax: diagrams.stack({"a": [1.0]}, ["i"], ax=ax),
    ],
)
def test_diagrams_draw_on_the_given_axes_or_their_own_and_never_show(draw, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a helper called show"))
    _, ax = plt.subplots()
    assert draw(ax) is ax
    assert draw(None) is not ax


# --------------------------------------------------------------- the hidden space through training

FRAMES, ROWS, COLUMNS, SAMPLES = 3, 5, 4, 6
CLASSES = np.array([0, 1, 0, 1, 0, 1])
CAPTIONS = ["epoch 0", "</script><b>", "epoch 2"]
rng = np.random.default_rng(0)
LEVELS = rng.uniform(size=(FRAMES, ROWS, COLUMNS))


def space(d, **changes):
    given = {
        "name": f"{d}-D",
        "grid": rng.uniform(size=(FRAMES, ROWS, COLUMNS, d)),
        "samples": rng.uniform(size=(FRAMES, SAMPLES, d)),
        "labels": "abc"[:d],
    }
    return animate.Space(**given | changes)


@pytest.fixture(scope="module")
def player():
    return animate.player([space(2), space(3)], LEVELS, CLASSES, CAPTIONS, title="a < b")


@pytest.mark.parametrize("view", [(0, 0), (25, -60), (60, 218)])
def test_a_view_is_a_rotation_in_which_distances_stay(view):
    points = rng.normal(size=(7, 3))
    seen = np.column_stack(space(3, view=view).project(points))
    before, after = (np.linalg.norm(p[:, None] - p, axis=-1) for p in (points, seen))
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_from_the_front_the_first_axis_nears_the_second_runs_right_and_the_third_up():
    corners = np.vstack([np.zeros(3), np.eye(3)])
    seen = np.column_stack(space(3, view=(0, 0)).project(corners))
    np.testing.assert_allclose(seen[1:] - seen[0], [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_the_boundary_runs_where_the_output_is_one_half_in_every_space():
    plane = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)), axis=-1)
    lift = np.array([[1.0, 0, 2], [0, 1, -1]])  # (2, 3)
    (line,) = animate.boundary(plane, 0.5 + plane[..., 0] - 0.3)
    np.testing.assert_allclose(line[:, 0], 0.3, atol=1e-12)
    assert (line[:, 1].min(), line[:, 1].max()) == (-1, 1)
    (lifted,) = animate.boundary(plane @ lift, 0.5 + plane[..., 0] - 0.3)
    np.testing.assert_allclose(lifted, line @ lift, atol=1e-12)
    assert animate.boundary(plane, np.full((9, 9), 0.2)) == []


def test_small_multiples_show_the_samples_of_their_frame_and_far_cells_first():
    plane, cube = space(2), space(3)
    axes = animate.small_multiples([plane, cube], LEVELS, CLASSES, CAPTIONS, [0, 2], title="t")
    assert [ax.get_title(loc="center") for ax in axes[0]] == ["epoch 0", "epoch 2"]
    dots = [line.get_xydata() for line in axes[0, 1].lines if line.get_marker() in ("o", "^")]
    for label in (0, 1):
        np.testing.assert_array_equal(dots[label], plane.samples[2][label == CLASSES])
    corners, near = cube.project(cube.grid[0])
    farthest = (near[:-1, :-1] + near[1:, 1:]).argmin()
    (sheet,) = axes[1, 0].collections
    first_drawn = sheet.get_paths()[0].vertices[0]
    np.testing.assert_array_equal(first_drawn, corners[:-1, :-1].reshape(-1, 2)[farthest])


def test_a_player_shows_each_frame_by_itself(player):
    sizes = {Image.open(io.BytesIO(image)).size for image in player.images}
    assert (len(set(player.images)), len(sizes)) == (FRAMES, 1)
    zeros = np.zeros((FRAMES, ROWS, COLUMNS, 2))
    still = space(2, grid=zeros, samples=zeros[:, 0])
    same = animate.player([still], LEVELS[[0, 0, 0]], CLASSES[:4], CAPTIONS[:1] * 3, title="still")
    assert len(set(same.images)) == 1


def test_the_small_palette_of_a_frame_keeps_a_class_colour_of_few_pixels():
    figure = Figure(figsize=(4, 3), dpi=100)
    figure.add_axes((0, 0, 1, 1)).imshow(rng.uniform(size=(60, 80)), cmap="Blues", aspect="auto")
    figure.add_artist(Rectangle((0.1, 0.1), 0.05, 0.05, color=CLASS_COLORS[1], lw=0))
    image = Image.open(io.BytesIO(animate._png(FigureCanvasAgg(figure)))).convert("RGB")
    inside = np.asarray(image)[270 - 8, 40 + 10] / 255
    np.testing.assert_allclose(inside, to_rgb(CLASS_COLORS[1]), atol=0.015)


def test_the_player_works_offline_with_constant_ids_and_named_controls(player):
    html = player._repr_html_()
    again = animate.Player(player.images, player.captions, player.title, player.milliseconds)
    assert again._repr_html_() == html
    pictures = json.loads(re.search(r"const pictures = (\[.*?\]);", html)[1])
    assert tuple(map(base64.b64decode, pictures)) == player.images
    assert json.loads(re.search(r"const captions = (\[.*?\]);", html)[1]) == CAPTIONS
    assert html.count("</script>") == 1  # whatever a caption says
    assert f'<img alt="a &lt; b" src="data:image/png;base64,{pictures[-1]}"' in html  # no script
    assert 'aria-label="Play"' in html
    assert f'max="{FRAMES - 1}" value="0" step="1" aria-label="Frame"' in html
    code = re.sub(r"[A-Za-z0-9+/=]{60,}", "", html)  # the pictures may spell anything
    assert not re.search(r"https?:|//[a-z]|<link|<script [^>]*src|@import|fetch\(", code)
