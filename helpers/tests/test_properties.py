"""Drawings of every size that makes sense show what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.patches import Circle

from helpers import diagrams, plots

# A busy machine is no failure.
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def call(function, arguments):
    """Call the function on Axes of one figure, which are cheaper than a figure each time."""
    figure = plt.figure("reused")
    figure.clear()
    return function(**arguments, ax=figure.add_subplot())


some = st.integers(-800, 800).map(lambda n: n / 8)  # sums and differences of these are exact


def matrices(rows, columns, elements=some):
    return hnp.arrays(np.float64, st.tuples(rows, columns), elements=elements)


@QUICK
@given(points=matrices(st.integers(1, 6), st.just(2)), n_classes=st.integers(1, 3))
@example(points=np.zeros((1, 2)), n_classes=1)
@example(points=np.ones((5, 2)), n_classes=1)
def test_points_are_drawn_however_few_and_of_however_few_classes(points, n_classes):
    labels = np.arange(len(points)) % n_classes
    arguments = {"predict": lambda p: np.zeros(len(p)), "X": points, "y": labels, "resolution": 4}
    ax = call(plots.decision_regions, arguments)
    *clouds, region = ax.collections
    assert len(clouds) == min(n_classes, len(points))
    for label, cloud in enumerate(clouds):
        np.testing.assert_array_equal(cloud.get_offsets(), points[labels == label])
    assert np.shape(region.get_array()) == (4, 4)
    (low_x, high_x), (low_y, high_y) = ax.get_xlim(), ax.get_ylim()
    assert low_x < points[:, 0].min() <= points[:, 0].max() < high_x
    assert low_y < points[:, 1].min() <= points[:, 1].max() < high_y


@QUICK
@given(matrix=matrices(st.integers(1, 4), st.integers(1, 4)), center=st.none() | some)
@example(matrix=np.zeros((1, 1)), center=0.0)
def test_heatmap_shows_every_value_in_its_place(matrix, center):
    ax = call(plots.heatmap, {"matrix": matrix, "center": center, "fmt": ".3f"})
    shown = {text.get_position(): text.get_text() for text in ax.texts}
    assert shown == {(j, i): f"{value:.3f}" for (i, j), value in np.ndenumerate(matrix)}
    if center is not None:
        low, high = ax.images[0].get_clim()
        assert (low + high) / 2 == pytest.approx(center, abs=1e-9)
        assert low <= matrix.min() <= matrix.max() <= high


@QUICK
@given(
    values=st.lists(some, min_size=1, max_size=5),
    images=st.integers(1, 5),
    columns=st.integers(1, 4),
)
def test_curves_bars_and_images_show_what_they_are_given(values, images, columns):
    ax = call(plots.curves, {"series": {"C": values}})
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), values)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(1, len(values) + 1))
    ax = call(plots.bars, {"heights": {str(i): v for i, v in enumerate(values)}})
    assert [bar.get_height() for bar in ax.patches] == values
    axes = plots.image_grid(np.arange(4.0 * images).reshape(images, 4), columns=columns)
    assert axes.shape == (-(-images // columns), columns)
    for index, ax in enumerate(axes.flat):
        drawn = [image.get_array().ravel().tolist() for image in ax.images]
        assert drawn == ([[4 * index + k for k in range(4)]] if index < images else [])
    plt.close(axes[0, 0].figure)


@QUICK
@given(sizes=st.lists(st.integers(1, 3), min_size=2, max_size=3), seed=st.integers(0, 9))
@example(sizes=[1, 1], seed=0)
def test_a_network_of_any_size_has_its_nodes_and_wires(sizes, seed):
    rng = np.random.default_rng(seed)
    pairs = list(zip(sizes[1:], sizes, strict=False))
    weights, biases = [rng.normal(size=p) for p in pairs], [rng.normal(size=n) for n in sizes[1:]]
    wires = sum(n * m for n, m in pairs)
    ax = call(diagrams.network, {"weights": weights, "biases": biases})
    assert len(ax.lines) == wires
    assert sum(isinstance(patch, Circle) for patch in ax.patches) == sum(sizes)
    ax = call(diagrams.augmented_network, {"weights": weights, "biases": biases})
    assert len(ax.lines) == wires + sum(sizes[1:])
    ax = call(diagrams.draw_paths, {"W": weights, "layer": 0, "node": sizes[0] - 1})
    assert len(ax.lines) == wires
    ax = call(diagrams.outline, {"sizes": sizes})
    assert [text.get_text() for text in ax.texts] == [str(n) for n in sizes]
