"""Drawings of networks and of the hidden space show the numbers they are given."""

import base64
import io
import json
import re
from functools import partial
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle
from PIL import Image

from helpers import animate, diagrams, style
from helpers.style import CLASS_COLORS, COLORS, MUTED, SIGNED

RED, GREEN, BLUE, PURPLE = (COLORS[kind] for kind in ("cost", "a", "weights", "biases"))
W = [np.array([[1.0, -2.0], [0.5, 0.25], [3.0, 0.0]]), np.array([[1.5, -1.0, 0.75]])]
B = [np.array([0.1, 0.2, 0.3]), np.array([-0.4])]
A = [np.array([1.0, 2.0]), np.array([0.1, 0.5, 0.9]), np.array([0.7])]
DELTA = [None, np.array([-0.0021, 0.004, -0.0083]), np.array([0.12])]
DEEP = [W[0], np.eye(3), W[1]], [*A[:2], *A[1:]], [*DELTA[:2], *DELTA[1:]]
CHAIN = {"x": 2.0, "z1": 0.0123, "C": -12.0, "w1": 0.25, "b1": 0.5}
EDGES = [("x", "z1"), ("w1", "z1"), ("b1", "z1"), ("z1", "C")]
SLOPES = {"slopes": dict.fromkeys(EDGES, -0.75), "gradients": {"C": 1.0, "z1": 0.031, "w1": 9.0}}
LEFT, RIGHT, BIAS = np.arange(1.0, 7).reshape(2, 3), np.arange(7.0, 13).reshape(3, 2), [13.0, 14.0]
TERMS = [("A^1", LEFT, "sample", "in"), "@", (r"W^{2\top}", RIGHT, "in", "out"), "+"]
TERMS += [("b^2", np.array([BIAS]), "", "out"), "=", ("Z^2", LEFT @ RIGHT + BIAS, "sample", "out")]
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
    "four equations": partial(diagrams.four_equations, *DEEP),
    "augmented": partial(diagrams.augmented_network, W, B),
    "outline": partial(diagrams.outline, [784, 256, 3], ["in", "hidden", "out"]),
    "paths": partial(diagrams.draw_paths, [None, *W], layer=0, node=1),
    "paths back": partial(diagrams.draw_paths, [None, *W], layer=0, node=1, deltas=DELTA),
    "graph": partial(diagrams.computational_graph, CHAIN, EDGES, **SLOPES),
    "number lines": partial(diagrams.number_lines, [("w1", 1.0, 1.5), ("C", 2.0, 2.1)]),
    "matrix equation": partial(diagrams.matrix_equation, TERMS, highlight=(1, 0)),
    "stack": partial(diagrams.stack, {"M": M, "v": v, "M @ v": M @ v}, ["ijk", "kl", "ijl"],
                     operators=["@", "="], summed="k"),
    "batch step": partial(diagrams.batch_step, [None, *W], [None, *B], *BATCH, [None, *W],
                          [None, *B]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def the_style_of_the_series():
    with mpl.rc_context():
        style.use()
        yield
        plt.close("all")


def texts(ax):
    return {text.get_text() for text in ax.texts}


def patches(ax, kind):
    return [patch for patch in ax.patches if isinstance(patch, kind)]


def wires(ax, *colors):
    """Return the lines in these colours, but for the key, which lies left of the inputs."""
    wanted = {color.lower() for color in colors}
    lines = [line for line in ax.lines if max(line.get_xdata()) > 0]
    return [line for line in lines if to_hex(line.get_color()) in wanted]


def directions(lines):
    """Tell for each arrow whether it points to the right; its line begins at the head."""
    return {line.get_xdata()[0] > line.get_xdata()[-1] for line in lines}


@pytest.mark.parametrize("name", DRAWINGS)
def test_texts_are_large_enough_and_keep_apart_within_their_cells_and_the_page(name):
    ax = DRAWINGS[name]()
    ax.figure.canvas.draw()
    boxes = {t: t.get_window_extent().shrunk(0.96, 0.75) for t in ax.texts if t.get_text()}
    # At 800 px for the width of a page of eight inches a point is 1.39 px.
    assert min(text.get_fontsize() for text in boxes) * 100 / 72 >= 12
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), (one.get_text(), other.get_text())
    cells = [cell.get_window_extent().padded(0.5) for cell in patches(ax, Rectangle)]
    for text, box in boxes.items():
        around = [cell for cell in cells if cell.contains(*(box.min + box.max) / 2)]
        for frame in (*around[-1:], ax.figure.bbox.padded(1)):
            assert frame.x0 < box.x0 < box.x1 < frame.x1, text.get_text()


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_goes_on_the_given_axes_or_its_own_and_is_never_shown(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a helper called show"))
    _, ax = plt.subplots()
    assert DRAWINGS[name](ax=ax) is ax
    assert DRAWINGS[name](ax=None) is not ax


@pytest.mark.parametrize("draw", [diagrams.network, partial(diagrams.draw_paths, layer=0, node=0)])
def test_a_wire_is_as_wide_as_its_weight_and_of_another_colour_and_dashed_below_zero(draw):
    ax = draw([np.array([[1.0], [-4.0]])])
    (positive,), (negative,) = wires(ax, SIGNED[1]), wires(ax, SIGNED[0])
    assert negative.get_linewidth() > 2 * positive.get_linewidth()
    assert (positive.is_dashed(), negative.is_dashed()) == (False, True)


def test_a_node_is_as_green_as_it_is_active_and_its_numbers_stand_in_matrices():
    ax = DRAWINGS["network"]()
    nodes = patches(ax, Circle)
    assert (len(nodes), len(wires(ax, *SIGNED))) == (2 + 3 + 1, 6 + 3)
    redness = [node.get_facecolor()[0] for node in nodes[2:]]
    assert np.array_equal(np.argsort(redness)[::-1], np.argsort([0.1, 0.5, 0.9, 0.7]))
    numbers = {f"{value:.2f}".replace("-", "−") for m in (*W, *B) for value in m.ravel() if value}
    assert numbers <= texts(ax)
    assert "$w^1_{01}$ = −2.00" in texts(DRAWINGS["a wire of it"]())
    assert {"0.95", "$w^2$ = −2.00", "$b^1$ = 0.50"} <= texts(DRAWINGS["chain"]())


@pytest.mark.parametrize("errors", [None, DEEP[2]])
def test_the_tables_of_weights_keep_apart_from_those_between_them(errors):
    ax = diagrams.network(DEEP[0], [B[0], *B], DEEP[1], deltas=errors)
    cells = {MUTED: [], PURPLE if errors is None else RED: []}
    for cell in patches(ax, Rectangle):
        cells[to_hex(cell.get_edgecolor()).upper()].append(cell.get_bbox())
    weights, columns = cells.values()
    assert (len(weights), len(columns)) == (6 + 9 + 3, 3 + 3 + 1)
    assert not any(w.padded(0.05).overlaps(c) for w in weights for c in columns)


def test_the_same_sizes_have_the_same_places_whatever_the_numbers_and_the_state():
    several = [DRAWINGS[name]() for name in ("network", "backward", "on its way", "update")]
    centres = [[tuple(node.center) for node in patches(ax, Circle)] for ax in several]
    assert centres == centres[:1] * 4
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in several}) == 1


def test_what_moves_has_its_colour_and_its_direction_and_is_negative_where_dashed():
    forward = DRAWINGS["on its way"]()
    assert (len(wires(forward, GREEN)), len(wires(forward, MUTED))) == (6, 3)
    assert directions(wires(forward, GREEN)) == {True}
    ax = DRAWINGS["backward"]()
    red = wires(ax, RED)
    assert len(red) == 3 + 1  # from the output to layer 1, and from the cost to the output
    assert directions(red) == {False}
    assert [line.is_dashed() for line in red[:3]] == [False, True, False]  # w δ
    assert len(wires(ax, MUTED)) == 6
    assert {r"$\delta^1_{2}$", r"$\delta^2$", "$x_{0}$"} <= texts(ax)
    blue = wires(DRAWINGS["update"](), BLUE)
    assert sum(line.is_dashed() for line in blue) == 2


def test_the_walk_back_has_a_picture_per_layer_and_the_errors_arrive_one_by_one():
    axes = diagrams.backward_pass(W, A, DELTA)
    assert [len(wires(ax, RED)) for ax in axes[:3]] == [0, 1, 4]


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
    assert {"0.10", "−0.20", "0.30"} <= texts(chain)


@pytest.mark.parametrize(("through", "number"), [(None, 6), (2, 2)])
@pytest.mark.parametrize(("deltas", "colors"), [(None, SIGNED), (DELTA, [RED])])
def test_the_paths_from_a_node_are_coloured_and_the_rest_is_faint(through, number, deltas, colors):
    ax = DRAWINGS["paths"](through=through, deltas=deltas)
    chosen, back = wires(ax, *colors), deltas is not None
    assert len(chosen) == number + back  # in red the way from the cost, too
    assert len(wires(ax, MUTED)) == 9 - number
    assert directions(chosen) == {not back} if back else True


def test_a_path_back_is_as_wide_as_what_flows_on_it_and_dashed_where_that_is_negative():
    red = wires(DRAWINGS["paths back"](), RED)[:3]  # node 1 of the input has three wires
    flow = W[0][:, 1] * DELTA[1]
    assert np.array_equal(np.argsort([line.get_linewidth() for line in red]), np.argsort(abs(flow)))
    assert [line.is_dashed() for line in red] == (flow < 0).tolist()


def test_a_graph_runs_from_left_to_right_with_its_parameters_above():
    ax = diagrams.computational_graph(CHAIN, EDGES)
    at = {t.get_text(): t.get_position() for t in ax.texts}
    assert at["$x$"][0] < at["$z^{1}$"][0] < at["$C$"][0]
    assert at["$w^{1}$"][1] > at["$z^{1}$"][1]
    assert at["$w^{1}$"][0] < at["$b^{1}$"][0]
    assert len(patches(ax, FancyArrowPatch)) == len(EDGES)
    assert {"2.00", "0.012", "−12.00", "0.25"} <= set(at)


@pytest.mark.parametrize(("known", "number"), [(["C"], 0), (["C", "z1", "w1"], 1)])
def test_the_slopes_of_a_graph_come_back_in_red_as_far_as_they_are_given(known, number):
    gradients = {name: SLOPES["gradients"][name] for name in known}
    ax = diagrams.computational_graph(CHAIN, EDGES, **SLOPES | {"gradients": gradients})
    arrows = [p for p in patches(ax, FancyArrowPatch) if to_hex(p.get_edgecolor()) == RED.lower()]
    assert len(arrows) == number
    assert all(start > end for (start, _), (end, _) in (arrow._posA_posB for arrow in arrows))
    red = {t.get_text() for t in ax.texts if t.get_color() == RED}
    assert ({"0.031", "9.00", r"$\delta^{1}$", "×−0.75"} <= red) == (number > 0)


def test_number_lines_share_one_scale_and_write_values_and_factors():
    steps = [("w1", 1.0, 1.5), ("z1", 2.0, 3.0), ("a1", 1.0, 1.0), ("C", 1.0, 1.0)]
    ax = diagrams.number_lines(steps)
    assert {"×2.00", "×0", "Δ = +1.00", "no change arrives", "1 on every line"} <= texts(ax)
    shades = [polygon.get_xy() for polygon in patches(ax, Polygon)]
    assert [shade[1:3, 0].tolist() for shade in shades] == [[0.5, 1.0], [1.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("bias", [[BIAS], [BIAS, [15.0, 16.0]]])
def test_a_matrix_equation_marks_the_row_and_the_column_that_make_one_entry(bias):
    total = LEFT @ RIGHT + bias
    terms = [*TERMS[:4], ("b^2", np.array(bias), "", "out"), "=", ("Z^2", total, "sample", "out")]
    ax = diagrams.matrix_equation(terms, highlight=(1, 0))
    bold = [t.get_text() for t in ax.texts if t.get_fontweight() == "bold"]
    made_of = [*LEFT[1], *RIGHT[:, 0], bias[-1][0], total[1, 0]]
    assert bold == [f"{value:.2f}" for value in made_of]
    assert {"@", "+", "=", "sample", "out", "$A^1$", "$Z^2$"} <= texts(ax)


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
    grid = rng.uniform(size=(FRAMES, ROWS, COLUMNS, d))
    given = {"grid": grid, "samples": rng.uniform(size=(FRAMES, SAMPLES, d)), "labels": "abc"[:d]}
    return animate.Space(**{"name": f"{d}-D"} | given | changes)


@pytest.fixture(scope="module")
def player():
    return animate.player([space(2), space(3)], LEVELS, CLASSES, CAPTIONS, title="a < b")


def test_the_boundary_runs_where_the_output_is_one_half_in_every_space():
    plane = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)), axis=-1)
    lift = np.array([[1.0, 0, 2], [0, 1, -1]])  # (2, 3)
    (line,) = animate.boundary(plane, 0.5 + plane[..., 0] - 0.3)
    np.testing.assert_allclose(line[:, 0], 0.3, atol=1e-12)
    assert (line[:, 1].min(), line[:, 1].max()) == (-1, 1)
    (lifted,) = animate.boundary(plane @ lift, 0.5 + plane[..., 0] - 0.3)
    np.testing.assert_allclose(lifted, line @ lift, atol=1e-12)
    assert animate.boundary(plane, np.full((9, 9), 0.2)) == []


def test_a_player_shows_each_frame_by_itself(player):
    sizes = {Image.open(io.BytesIO(image)).size for image in player.images}
    assert (len(set(player.images)), len(sizes)) == (FRAMES, 1)
    zeros = np.zeros((FRAMES, ROWS, COLUMNS, 2))
    still = space(2, grid=zeros, samples=zeros[:, 0])
    same = animate.player([still], LEVELS[[0, 0, 0]], CLASSES[:4], CAPTIONS[:1] * 3, title="still")
    assert len(set(same.images)) == 1


def test_the_small_palette_of_a_frame_keeps_a_class_colour_of_few_pixels():
    figure = Figure(figsize=(4, 3), dpi=100, layout="none")
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
