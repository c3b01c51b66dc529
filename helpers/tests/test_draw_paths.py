"""The drawing of the paths from one node to the cost."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

from helpers.diagrams import draw_paths
from helpers.style import COLORS, MUTED


@pytest.fixture
def W():
    rng = np.random.default_rng(3)
    return [None, *(rng.uniform(-2, -0.2, size=shape) for shape in ((3, 2), (4, 3), (2, 4)))]


def wires(ax, color):
    return [line for line in ax.lines if to_hex(line.get_color()) == color.lower()]


def weights_written(ax):
    """Return the numbers on the wires; the labels inside nodes are symbols between $."""
    return sorted(t.get_text() for t in ax.texts if "$" not in t.get_text())


def as_written(values):
    return sorted(f"{v:+.2f}".replace("-", "−") for v in np.ravel(values))


def test_all_paths_from_one_node_are_coloured_and_the_rest_is_faint(W):
    ax = draw_paths(W, layer=1, node=2)
    assert len(wires(ax, COLORS["weights"])) == 4 + 8  # its own wires, then all of layer 3
    assert len(wires(ax, MUTED)) == 8  # the wires of its two neighbours
    assert weights_written(ax) == as_written([*W[2][:, 2], *W[3].ravel()])


def test_through_keeps_the_paths_through_one_node_of_the_next_layer(W):
    ax = draw_paths(W, layer=1, node=2, through=3)
    assert weights_written(ax) == as_written([W[2][3, 2], *W[3][:, 3]])


def test_the_drawing_begins_at_the_given_layer(W):
    for layer, nodes in ((0, 2 + 3 + 4 + 2), (1, 3 + 4 + 2), (2, 4 + 2), (3, 2)):
        ax = draw_paths(W, layer=layer, node=0)
        assert sum(isinstance(p, Circle) for p in ax.patches) == nodes + 1  # and the cost


def test_a_thicker_wire_is_a_larger_weight_and_a_dashed_one_is_negative():
    ax = draw_paths([None, np.array([[1.0], [-3.0]]), np.array([[0.0, 2.0]])], layer=0, node=0)
    by_width = sorted(ax.lines, key=lambda line: line.get_linewidth())
    assert [line.is_dashed() for line in by_width] == [False, False, False, True]
    widths = [line.get_linewidth() for line in by_width]
    assert np.diff(widths) == pytest.approx([widths[3] / 3 - widths[0] / 3] * 3)


def test_a_list_without_the_leading_none_draws_the_same(W):
    with_none, without = draw_paths(W, layer=1, node=0), draw_paths(W[1:], layer=1, node=0)
    assert weights_written(with_none) == weights_written(without)


def test_it_draws_into_the_given_axes_and_leaves_the_weights_alone(W):
    _, ax = plt.subplots()
    before = [w.copy() for w in W[1:]]
    assert draw_paths(W, layer=0, node=1, ax=ax) is ax
    assert all(np.array_equal(x, y) for x, y in zip(before, W[1:], strict=True))


def test_a_network_of_zeros_is_drawn():
    assert len(draw_paths([np.zeros((2, 1))], layer=0, node=0).lines) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": 4, "node": 0}, r"layer is 4, expected 0 to 3"),
        ({"layer": -1, "node": 0}, r"layer is -1, expected 0 to 3"),
        ({"layer": 1, "node": 3}, r"node is 3, expected 0 to 2: layer 1 has 3 node"),
        ({"layer": 1, "node": 0, "through": 4}, r"through is 4, expected 0 to 3: layer 2 has 4"),
        ({"layer": 3, "node": 0, "through": 0}, r"through is 0, expected None: layer 3 is"),
    ],
)
def test_a_missing_layer_or_node_is_named(W, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_paths(W, **arguments)


@pytest.mark.parametrize("arguments", [{"layer": 1.0, "node": 0}, {"layer": 1, "node": "0"}])
def test_a_layer_or_node_that_is_no_integer_is_named(W, arguments):
    with pytest.raises(TypeError, match=r"is (1\.0|'0'), expected an integer"):
        draw_paths(W, **arguments)


@pytest.mark.parametrize(
    ("W", "message"),
    [
        ([], "W holds no matrix"),
        ([None], "W holds no matrix"),
        (np.ones((2, 2)), r"W is one array of shape \(2, 2\), expected a list"),
        ([None, np.ones(3)], r"W\[1\] has shape \(3,\), expected \(n_out, n_in\)"),
        ([None, np.ones((0, 3))], r"W\[1\] has shape \(0, 3\)"),
        ([None, np.array([[np.nan]])], r"W\[1\] holds values that are not finite"),
        (
            [None, np.ones((3, 2)), np.ones((3, 1))],
            r"W\[2\] has shape \(3, 1\), expected \(n_out, 3\) to follow W\[1\] .is it transposed",
        ),
        ([np.ones((3, 2)), np.ones((1, 4))], r"W\[1\] has shape \(1, 4\), expected \(n_out, 3\)"),
    ],
)
def test_matrices_that_do_not_chain_are_named_with_the_expected_shape(W, message):
    with pytest.raises(ValueError, match=message):
        draw_paths(W, layer=0, node=0)
