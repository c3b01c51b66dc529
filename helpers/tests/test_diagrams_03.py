"""The drawings of notebook 03: augmented networks and equations between matrices."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Rectangle

from helpers import diagrams
from helpers.style import COLORS

W = [np.array([[1.0], [-2.0], [0.5]]), np.arange(6.0).reshape(2, 3) - 2.5]
b = [np.array([0.1, -0.2, 0.3]), np.array([-0.4, 0.7])]


def texts(ax):
    return [t.get_text() for t in ax.texts]


def patches(ax, kind):
    return [p for p in ax.patches if isinstance(p, kind)]


def test_augmented_network_has_a_constant_node_per_layer_and_a_wire_per_bias():
    ax = diagrams.augmented_network(W, b)
    assert len(patches(ax, Circle)) == 1 + 3 + 2
    assert len(patches(ax, Rectangle)) == 2
    assert texts(ax).count("1") == 2
    purple = [line for line in ax.lines if to_hex(line.get_color()).upper() == COLORS["biases"]]
    assert len(ax.lines) == 3 + 6 + 5
    assert len(purple) == 5
    assert {"+0.10", "−0.20", "+0.30", "−0.40", "+0.70"} <= set(texts(ax))


def test_augmented_network_draws_into_the_axes_it_is_given():
    _, ax = plt.subplots()
    assert diagrams.augmented_network(W, b, ax=ax) is ax


@pytest.mark.parametrize(
    ("weights", "biases", "words"),
    [
        ([W[0], W[1].T], b, r"weights\[1\] has shape \(3, 2\).*transposed"),
        (W, [b[0], np.ones(3)], r"biases\[1\] has shape \(3,\), expected \(2,\)"),
        (W, b[:1], "biases has 1 layers, expected 2"),
        ([], [], "non-empty"),
    ],
)
def test_augmented_network_refuses_shapes_that_do_not_chain(weights, biases, words):
    with pytest.raises(ValueError, match=words):
        diagrams.augmented_network(weights, biases)


A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # (2, 3)
V = np.array([[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]])  # (3, 2)
ROW = np.array([[13.0, 14.0]])


def equation(bias=ROW, **options):
    terms = [("A^1", A, "sample", "in"), "@", ("W^{2\\top}", V, "in", "out"), "+"]
    terms += [("b^2", bias, "", "out"), "=", ("Z^2", A @ V + bias, "sample", "out")]
    return diagrams.matrix_equation(terms, **options)


def bold(ax):
    return [t.get_text() for t in ax.texts if t.get_fontweight() == "bold"]


def test_matrix_equation_draws_a_cell_for_every_entry_and_names_the_axes():
    ax = equation()
    assert len(patches(ax, Rectangle)) == 6 + 6 + 2 + 4
    assert {"@", "+", "=", "sample", "out", "$A^1$", "$Z^2$", "71.00"} <= set(texts(ax))
    assert bold(ax) == []


def test_matrix_equation_fills_the_row_and_the_column_that_make_one_entry():
    value = A[1] @ V[:, 0] + ROW[0, 0]
    want = [*A[1], *V[:, 0], ROW[0, 0], value]
    assert bold(equation(highlight=(1, 0))) == [f"{v:.2f}" for v in want]
    assert bold(equation(highlight=np.array([1, 0]))) == [f"{v:.2f}" for v in want]


def test_matrix_equation_fills_one_entry_of_a_bias_that_is_a_column():
    bias = np.array([[13.0, 14.0], [15.0, 16.0]])
    assert "16.00" in bold(equation(bias, highlight=(1, 1)))
    assert "14.00" not in bold(equation(bias, highlight=(1, 1)))


@pytest.mark.parametrize(
    ("terms", "highlight", "words"),
    [
        (["=", "+"], None, "no matrix"),
        ([("x", np.ones(3), "", "")], None, r"terms\[0\] has shape \(3,\), expected two axes"),
        ([("x", np.ones((2, 0)), "", "")], None, "two axes"),
        (["=", ("x", [[np.nan]], "", "")], None, r"terms\[1\] holds values that are not finite"),
        ([("x", A)], None, r"terms\[0\] has 2 parts, expected 4"),
        ([("x", A, "", "")], (2, 0), r"highlight is \(2, 0\), .* shape \(2, 3\)"),
        ([("x", A, "", "")], (0, -1), "highlight"),
    ],
)
def test_matrix_equation_refuses_what_it_cannot_draw(terms, highlight, words):
    with pytest.raises(ValueError, match=words):
        diagrams.matrix_equation(terms, highlight=highlight)
