"""Drawings of networks and of the hidden space show the numbers they are given."""

import base64
import io
import json
import re
from functools import partial
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle
from PIL import Image

from helpers import animate, diagrams
from helpers.style import CLASS_COLORS, COLORS, MUTED, SIGNED

W = [np.array([[1.0, -2.0], [0.5, 0.25], [3.0, 0.0]]), np.array([[1.5, -1.0, 0.75]])]
B = [np.array([0.1, 0.2, 0.3]), np.array([-0.4])]
A = [np.array([1.0, 2.0]), np.array([0.1, 0.5, 0.9]), np.array([0.7])]
DELTA = [None, np.array([-0.0021, 0.004, -0.0083]), np.array([0.12])]
CHAIN = {"x": 2.0, "z1": 0.0123, "C": -12.0, "w1": 0.25, "b1": 0.5}
EDGES = [("x", "z1"), ("w1", "z1"), ("b1", "z1"), ("z1", "C")]
TERMS = [(r"W^\top", W[0].T, "in", "out"), "@", ("a", np.ones((3, 1)), "", ""), "="]
TERMS += [("z", W[0].T @ np.ones((3, 1)), "in", "")]
M, v = np.arange(900.0).reshape(50, 9, 2), np.ones((2, 1))
Z_BATCH, A_BATCH = [None, np.ones((7, 3)), np.ones((7, 1))], [np.ones((7, n)) for n in (2, 3, 1)]
BATCH = Z_BATCH, A_BATCH, A_BATCH[-1], Z_BATCH  # the errors have the shapes of Z
DRAWINGS = {
    "network": partial(diagrams.network, W, B, A),
    "a wire of it": partial(diagrams.network, W, B, A, highlight=(1, 0, 1)),
    "on its way": partial(diagrams.network, W, B, A[:2], arriving=1),
    "backward": partial(diagrams.network, W, B, A, deltas=DELTA),
    "update": partial(diagrams.network, W, B, A, updates=W),
    "chain": partial(diagrams.network, [1.2, -2.0], [0.5, 1.0], [2.0, 0.95, 0.29]),
    "four equations": partial(diagrams.four_equations, [W[0], np.eye(3), W[1]], [*A[:2], *A[1:]],
                              [*DELTA[:2], *DELTA[1:]]),
    "two layers": partial(diagrams.four_equations, W, A, DELTA),
    "augmented": partial(diagrams.augmented_network, W, B),
    "outline": partial(diagrams.outline, [784, 256, 3], ["in", "hidden", "out"]),
    "paths": partial(diagrams.draw_paths, [None, *W], layer=0, node=1),
    "graph": partial(diagrams.computational_graph, CHAIN, EDGES, slopes={EDGES[3]: -0.75},
                     gradients={"C": 1.0, "z1": 0.031, "w1": 9.0, "b1": 0.031}),
    "number lines": partial(diagrams.number_lines, [("w1", 1.0, 1.5), ("C", 2.0, 2.1)]),
    "matrix equation": partial(diagrams.matrix_equation, TERMS),
    "stack": partial(diagrams.stack, {"M": M, "v": v, "M @ v": M @ v}, ["ijk", "kl", "ijl"],
                     operators=["@", "="], summed="k"),
    "batch step": partial(diagrams.batch_step, [None, *W], [None, *B], *BATCH, [None, *W],
                          [None, *B]),
}  # fmt: skip


def texts(ax):
    return [text.get_text() for text in ax.texts]


def patches(ax, kind):
    return [patch for patch in ax.patches if isinstance(patch, kind)]


def wires(ax, *colors):
    wanted = {color.lower() for color in colors}
    return [line for line in ax.lines if to_hex(line.get_color()) in wanted and net_line(line)]


def net_line(line):
    """Tell a wire from the samples of the key, which lie left of the inputs."""
    return max(line.get_xdata()) > 0


@pytest.mark.parametrize("name", DRAWINGS)
def test_texts_are_large_enough_and_none_covers_another_or_runs_out_of_its_cell(name):
    plt.close("all")
    ax = DRAWINGS[name]()
    figure = ax.figure
    figure.canvas.draw()
    boxes = {t: t.get_window_extent().shrunk(0.96, 0.75) for t in ax.texts}  # ink without leading
    # At 800 px for the width of a page of eight inches a point is 1.39 px.
    assert min(text.get_fontsize() for text in boxes) * 100 / 72 >= 12
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), (one.get_text(), other.get_text())
    page = figure.bbox.padded(1)
    assert all(page.x0 < b.x0 and b.x1 < page.x1 for b in boxes.values())


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_goes_on_the_given_axes_or_its_own_and_is_never_shown(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a helper called show"))
    _, ax = plt.subplots()
    assert DRAWINGS[name](ax=ax) is ax
    assert DRAWINGS[name](ax=None) is not ax


@pytest.mark.parametrize(
    "draw", [diagrams.network, lambda weights: diagrams.draw_paths(weights, layer=0, node=0)]
)
def test_a_wire_is_as_wide_as_its_weight_and_of_another_colour_and_dashed_below_zero(draw):
    ax = draw([np.array([[1.0], [-4.0]])])
    (positive,), (negative,) = wires(ax, SIGNED[1]), wires(ax, SIGNED[0])
    assert negative.get_linewidth() > 2 * positive.get_linewidth()
    assert (positive.is_dashed(), negative.is_dashed()) == (False, True)


def test_a_node_is_as_green_as_it_is_active_and_its_numbers_stand_in_matrices():
    ax = diagrams.network(W, B, A)
    nodes = patches(ax, Circle)
    assert (len(nodes), len(wires(ax, *SIGNED))) == (2 + 3 + 1, 6 + 3)
    redness = [node.get_facecolor()[0] for node in nodes[2:]]
    assert np.array_equal(np.argsort(redness)[::-1], np.argsort([0.1, 0.5, 0.9, 0.7]))
    numbers = {f"{value:.2f}".replace("-", "−") for m in (*W, *B) for value in m.ravel() if value}
    assert numbers <= set(texts(ax))
    assert "$w^{1}_{01}$ = −2.00" in texts(diagrams.network(W, B, A, highlight=(1, 0, 1)))
    assert {"0.95", "$w^{2}$ = −2.00", "$b^{1}$ = 0.50"} <= set(texts(DRAWINGS["chain"]()))


def test_the_same_sizes_have_the_same_places_whatever_the_numbers_and_the_state():
    several = [DRAWINGS[name]() for name in ("network", "backward", "on its way", "update")]
    centres = [[tuple(node.center) for node in patches(ax, Circle)] for ax in several]
    assert centres == centres[:1] * 4
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in several}) == 1


def test_what_moves_has_its_colour_and_its_direction_and_is_negative_where_dashed():
    def ends(ax, color):  # of each arrow: where it points to, where it comes from
        return [(line.get_xdata()[0], line.get_xdata()[-1]) for line in wires(ax, color)]

    forward = diagrams.network(W, None, A[:2], arriving=1)
    assert len(ends(forward, COLORS["a"])) == 6
    assert all(to > source for to, source in ends(forward, COLORS["a"]))
    assert len(wires(forward, MUTED)) == 3

    ax = diagrams.network(W, None, A, deltas=DELTA)
    red = wires(ax, COLORS["cost"])
    assert len(red) == 3 + 1  # from the output to layer 1, and from the cost to the output
    assert all(to < source for to, source in ends(ax, COLORS["cost"]))
    assert [line.is_dashed() for line in red[:3]] == [False, True, False]  # w δ
    assert len(wires(ax, MUTED)) == 6
    assert {r"$\delta^1_{2}$", r"$\delta^2$", "$x_{0}$"} <= set(texts(ax))
    arrived = diagrams.network(W, None, A, deltas=[None, None, DELTA[2]])
    assert {r"$\delta^2$", "$a^1_{0}$"} <= set(texts(arrived))
    assert len(wires(arrived, COLORS["cost"])) == 1

    blue = wires(diagrams.network(W, None, A, updates=W), COLORS["weights"])
    assert sum(line.is_dashed() for line in blue) == 2


def test_the_walk_back_has_a_picture_per_layer_and_the_errors_arrive_one_by_one():
    axes = diagrams.backward_pass(W, A, DELTA)
    seen = [sum(text.startswith(r"$\delta") for text in texts(ax)) for ax in axes[:3]]
    assert seen == [0, 1, 2]
    assert [len(wires(ax, COLORS["cost"])) for ax in axes[:3]] == [0, 1, 4]


def test_each_of_the_four_equations_points_at_the_place_where_it_lives():
    ax = DRAWINGS["four equations"]()
    assert [f"BP{n}" in " ".join(texts(ax)) for n in (1, 2, 3, 4)] == [True] * 4
    output, low_node = (patches(ax, Circle)[n].center for n in (-1, -2))
    tips = [arrow.get_path().vertices for arrow in patches(ax, FancyArrowPatch)]
    assert len(tips) == 4
    for arrow, node in ((tips[0], output), (tips[2], low_node)):
        assert np.abs(arrow - node).sum(axis=1).min() < 0.6
    chain = diagrams.four_equations([1.0, 2.0, 3.0], [1.0, 0.5, 0.5, 0.5], [0.1, -0.2, 0.3])
    assert not [text for text in texts(chain) if "_" in text or "sum" in text]
    assert {"0.10", "−0.20", "0.30"} <= set(texts(chain))


def test_an_augmented_network_has_a_constant_node_per_layer_and_a_wire_per_bias():
    ax = diagrams.augmented_network(W, B)
    assert (len(patches(ax, Circle)), texts(ax).count("1")) == (6, 2)
    assert [line.is_dashed() for line in wires(ax, COLORS["biases"])] == [False] * 3 + [True]
    assert {"0.10", "−0.40"} <= set(texts(ax))


def test_an_outline_shortens_wide_layers_and_draws_its_weights_as_areas():
    ax = DRAWINGS["outline"]()
    assert len(patches(ax, Circle)) == 6 + 6 + 3
    assert {"784", "256", "3", "hidden", "200,704 weights"} <= set(texts(ax))
    assert texts(ax).count("⋮") == 2
    large, small = (p.get_width() * p.get_height() for p in patches(ax, Rectangle))
    assert large / small == pytest.approx(784 / 3)


@pytest.mark.parametrize(("through", "number"), [(None, 6), (2, 2)])
@pytest.mark.parametrize(("back", "colors"), [(False, SIGNED), (True, [COLORS["cost"]])])
def test_the_paths_from_a_node_are_coloured_and_the_rest_is_faint(through, number, back, colors):
    ax = diagrams.draw_paths([None, *W], layer=0, node=1, through=through, back=back)
    chosen = wires(ax, *colors)
    assert len(chosen) == number + back  # in red the way from the cost, too
    assert len(wires(ax, MUTED)) == 9 - number
    assert {line.get_xdata()[0] < line.get_xdata()[-1] for line in chosen} == {back}
    assert {"$z^2$", "$C$"} <= set(texts(diagrams.draw_paths(W, layer=0, node=1, last="z")))


def test_a_graph_runs_from_left_to_right_with_its_parameters_above():
    ax = diagrams.computational_graph(CHAIN, EDGES)
    at = {t.get_text(): t.get_position() for t in ax.texts}
    assert at["$x$"][0] < at["$z^{1}$"][0] < at["$C$"][0]
    assert at["$w^{1}$"][1] > at["$z^{1}$"][1]
    assert at["$w^{1}$"][0] < at["$b^{1}$"][0]
    assert len(patches(ax, FancyArrowPatch)) == len(EDGES)
    assert {"2.00", "0.012", "−12.00", "0.25"} <= set(at)


def test_the_slopes_of_a_graph_come_back_in_red_as_far_as_they_are_given():
    def red_arrows(gradients):
        ax = diagrams.computational_graph(CHAIN, EDGES, slopes=dict.fromkeys(EDGES, -0.75),
                                          gradients=gradients)  # fmt: skip
        arrows = patches(ax, FancyArrowPatch)[len(EDGES) :]
        assert {to_hex(arrow.get_edgecolor()) for arrow in arrows} <= {COLORS["cost"].lower()}
        for arrow in arrows:
            (start, *_), (end, *_) = arrow._posA_posB
            assert start > end
        return len(arrows), [t.get_text() for t in ax.texts if t.get_color() == COLORS["cost"]]

    assert red_arrows({"C": 1.0})[0] == 0
    number, red = red_arrows({"C": 1.0, "z1": -0.75, "w1": 9.0})
    assert number == 1
    assert {"−0.75", "9.00", r"$\delta^{1}$", "×−0.75"} <= set(red)


def test_number_lines_share_one_scale_and_write_values_and_factors():
    steps = [("w1", 1.0, 1.5), ("z1", 2.0, 3.0), ("a1", 1.0, 1.0), ("C", 1.0, 1.0)]
    ax = diagrams.number_lines(steps)
    assert {"×2.00", "×0", "Δ = +1.00", "no change arrives", "1 on every line"} <= set(texts(ax))
    assert "3.00" not in texts(ax)  # only values that the quantity has
    shades = [polygon.get_xy() for polygon in patches(ax, Polygon)]
    assert [shade[1:3, 0].tolist() for shade in shades] == [[0.5, 1.0], [1.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("bias", [[[13.0, 14.0]], [[13.0, 14.0], [15.0, 16.0]]])
def test_a_matrix_equation_marks_the_row_and_the_column_that_make_one_entry(bias):
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
    ax = DRAWINGS["stack"]()
    assert {"$i$: 50", "$j$: 9", "$l$: 1", "shape (50, 9, 2)", "⋰", "⋮"} <= set(texts(ax))
    assert {"0", "1.00", "2.00"} <= set(texts(ax))
    assert "18.00" not in texts(ax)  # behind the front
    assert texts(ax).count("$k$: 2") == 2
    arrows = patches(ax, FancyArrowPatch)
    assert sum(arrow.get_linestyle() == "-" for arrow in arrows) == 8 - 2


def test_a_step_shows_every_number_of_a_batch_and_no_sample_in_its_gradients():
    ax = DRAWINGS["batch step"]()
    cells = patches(ax, Rectangle)
    batch = 7 * (2 + 3 + 1 + 3 + 1 + 3 + 1 + 1)  # A, Z, Δ and Y
    assert len(cells) == batch + 2 * (6 + 3 + 3 + 1)  # W, b and their gradients
    assert {"$(N, 3)$", "(3, 2)", "(1,)", r"$\Delta^2W^2\odot\sigma^{\prime}$"} <= set(texts(ax))
    back = [a for a in patches(ax, FancyArrowPatch) if a.get_linewidth() > 2]
    steps = [np.diff(a.get_path().vertices[:, 0])[0] for a in back]
    assert all(step < 0 for step in steps)
    assert len(steps) == 2


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


def test_a_film_has_a_frame_per_caption_in_the_same_player():
    drawings = {"first": DRAWINGS["network"], "then": DRAWINGS["backward"]}
    film = animate.film(drawings, title="a step")
    assert (len(set(film.images)), film.captions, film.title) == (2, ("first", "then"), "a step")
    assert {Image.open(io.BytesIO(image)).size for image in film.images} == {(800, 500)}
