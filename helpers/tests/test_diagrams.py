"""Diagrams show the live values they are given, and refuse shapes that do not fit."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Circle, FancyArrowPatch

from helpers import diagrams, style


def texts(ax):
    return [t.get_text() for t in ax.texts]


def circles(ax):
    return [p for p in ax.patches if isinstance(p, Circle)]


W = [np.array([[1.0, -2.0], [0.5, 0.25], [3.0, 0.0]]), np.array([[1.5, -1.0, 0.75]])]
B = [np.array([0.1, 0.2, 0.3]), np.array([-0.4])]
A = [np.array([1.0, 2.0]), np.array([0.5, 0.6, 0.7]), np.array([0.9])]
CHAIN = {"x": 2.0, "z1": 1.0, "C": 0.5, "w1": 0.25, "b1": 0.5}
EDGES = [("x", "z1"), ("w1", "z1"), ("b1", "z1"), ("z1", "C")]


def test_network_draws_one_circle_per_node_and_one_wire_per_weight():
    ax = diagrams.network(W)
    assert len(circles(ax)) == 2 + 3 + 1
    assert len(ax.lines) == 6 + 3


def test_network_writes_weights_biases_and_activations():
    shown = texts(diagrams.network(W, B, A))
    assert {"−2.00", "+3.00", "+0.75"} <= set(shown)
    assert "$b$ = −0.40" in shown
    assert "0.90" in shown


def test_wire_width_grows_with_the_weight_and_negative_is_dashed():
    ax = diagrams.network([np.array([[1.0], [-4.0]])])
    positive, negative = ax.lines
    assert negative.get_linewidth() > positive.get_linewidth()
    assert positive.get_linestyle() == "-"
    assert negative.get_linestyle() == "--"


def test_network_takes_plain_numbers_for_a_scalar_chain():
    ax = diagrams.network([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 0.1, 0.2, 0.3])
    assert len(circles(ax)) == 4


def test_labels_are_left_out_of_a_crowded_network():
    crowded = np.ones((5, 4))
    assert "+1.00" not in texts(diagrams.network([crowded]))
    assert "+1.00" in texts(diagrams.network([crowded], label_weights=True))


def test_weight_labels_do_not_overlap_each_other():
    rng = np.random.default_rng(0)
    square = [rng.normal(size=(3, 2)), rng.normal(size=(3, 3)), rng.normal(size=(1, 3))]
    ax = diagrams.network(square)
    ax.figure.canvas.draw()
    boxes = [
        t.get_window_extent()
        for t in ax.texts
        if to_rgba(t.get_color()) == to_rgba(style.COLORS["weights"])
    ]
    assert len(boxes) == 6 + 9 + 3
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_all_zero_weights_can_be_drawn():
    assert len(diagrams.network([np.zeros((2, 2))]).lines) == 4


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "non-empty list"),
        (np.eye(2), "one matrix"),
        ([np.ones((3, 2)), np.ones((3, 1))], r"weights\[1\] has shape \(3, 1\), .*transposed"),
        ([np.ones((3, 2)), np.ones((1, 4))], r"expected \(any, 3\)"),
        ([np.full((1, 1), np.nan)], r"weights\[0\] holds values that are not finite"),
        ([np.ones((2, 2, 2))], r"weights\[0\] has shape \(2, 2, 2\), expected two axes"),
    ],
)
def test_network_names_the_weight_matrix_that_does_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        diagrams.network(weights)


@pytest.mark.parametrize(
    ("biases", "activations", "message"),
    [
        (B[:1], None, "biases has 1 layers, expected 2"),
        ([B[0][:2], B[1]], None, r"biases\[0\] has shape \(2,\), expected \(3,\)"),
        (None, A[1:], "activations has 2 layers, expected 3"),
        (None, [A[0], A[1], A[1]], r"activations\[2\] has shape \(3,\), expected \(1,\)"),
    ],
)
def test_network_names_biases_and_activations_that_do_not_fit(biases, activations, message):
    with pytest.raises(ValueError, match=message):
        diagrams.network(W, biases, activations)


def test_outline_shortens_wide_layers_and_writes_their_true_sizes():
    ax = diagrams.outline([784, 256, 3], ["in", "hidden", "out"])
    assert len(circles(ax)) == 6 + 6 + 3
    assert {"784", "256", "3", "hidden"} <= set(texts(ax))
    assert texts(ax).count("⋮") == 2


@pytest.mark.parametrize(
    ("sizes", "labels", "message"),
    [
        ([3], None, "two or more"),
        ([3, 0], None, "positive"),
        ([3, 2.5], None, "positive integers"),
        ([3, 2], ["one"], "labels has 1 entries, expected 2"),
    ],
)
def test_outline_rejects_what_is_no_network(sizes, labels, message):
    with pytest.raises(ValueError, match=message):
        diagrams.outline(sizes, labels)


def test_graph_shows_values_and_an_arrow_per_edge():
    ax = diagrams.computational_graph(CHAIN, EDGES)
    assert len(circles(ax)) == len(CHAIN)
    assert sum(isinstance(p, FancyArrowPatch) for p in ax.patches) == len(EDGES)
    assert {"$z^{1}$", "2.00", "0.25"} <= set(texts(ax))


def test_graph_places_the_chain_left_to_right_and_parameters_above():
    ax = diagrams.computational_graph(CHAIN, EDGES)
    at = dict(zip(CHAIN, (c.center for c in circles(ax)), strict=True))
    assert at["x"][0] < at["z1"][0] < at["C"][0]
    assert at["w1"][1] > at["z1"][1]
    assert at["w1"][0] < at["b1"][0]


def test_graph_writes_slopes_on_edges_and_gradients_at_nodes_in_red():
    ax = diagrams.computational_graph(
        CHAIN, EDGES, slopes={("z1", "C"): -0.75}, gradients={"w1": 0.125}
    )
    assert "×−0.75" in texts(ax)
    gradient = next(t for t in ax.texts if t.get_text() in ("0.12", "0.13"))
    assert gradient.get_color() == style.COLORS["cost"]


@pytest.mark.parametrize(
    ("edges", "extra", "message"),
    [
        ([("x", "q")], {}, "edges names 'q'"),
        (EDGES, {"slopes": {("x", "C"): 1.0}}, "slopes names the edge"),
        (EDGES, {"gradients": {"q": 1.0}}, "gradients names 'q'"),
        (EDGES[:3], {}, "'C', which no edge touches"),
        ([*EDGES, ("C", "z1")], {}, "cycle"),
        ([*EDGES, ("C", "x")], {}, "cycle"),
        ([*EDGES, ("z1", "z1")], {}, "cycle"),
    ],
)
def test_graph_names_what_it_cannot_place(edges, extra, message):
    with pytest.raises(ValueError, match=message):
        diagrams.computational_graph(CHAIN, edges, **extra)


def test_number_lines_share_one_scale_and_write_the_ratios():
    ax = diagrams.number_lines([("w1", 1.0, 1.5), ("z1", 2.0, 3.0), ("C", 0.5, 0.25)])
    assert {"×2.00", "×−0.25", "Δ = +1.00", "Δ = −0.25"} <= set(texts(ax))
    tips = [a.xy[0] for a in ax.texts if isinstance(a, plt.Annotation)]
    assert tips == pytest.approx([0.5, 1.0, -0.25])


def test_number_lines_say_when_a_nudge_is_lost():
    ax = diagrams.number_lines([("w1", 1.0, 1.5), ("z1", 2.0, 2.0), ("C", 0.5, 0.5)])
    assert "no change arrives" in texts(ax)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([("w1", 0.0, 1.0)], "1 entries, expected two"),
        ([("w1", 1.0, 1.0), ("C", 0.0, 1.0)], "nudge of zero"),
        ([("w1", 0.0, np.inf), ("C", 0.0, 1.0)], "not finite"),
    ],
)
def test_number_lines_reject_what_cannot_be_followed(steps, message):
    with pytest.raises(ValueError, match=message):
        diagrams.number_lines(steps)


def test_diagrams_draw_on_the_axes_they_are_given():
    _, ax = plt.subplots()
    assert diagrams.network(W, ax=ax) is ax
    assert diagrams.computational_graph(CHAIN, EDGES, ax=ax) is ax
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-1.5, "−1.50"),
        (0.0123, "0.012"),
        (-0.0404, "−0.040"),  # a last zero is a digit too
        (0.0995, "0.10"),
        (12.0, "12.00"),
    ],
)
def test_numbers_are_short_and_carry_a_true_minus(value, shown):
    assert diagrams._number(value) == shown
