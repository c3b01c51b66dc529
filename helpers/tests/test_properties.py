"""Whatever the helpers are given, they take it or name the argument they cannot take.

Each entry of `CALLS` is a call that works. Its arguments are then replaced, one at a time, by
anything at all, and by themselves with one value that is not finite.
"""

import inspect
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.patches import Circle

from helpers import diagrams, gradcheck, plots

# A busy machine is no failure.
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

X = np.array([[0.0, 0.5], [1.0, 0.25], [0.5, 1.0]])
LABELS = np.array([0, 1, 1])
PARAMS = {"W": np.array([[1.0, -2.0]]), "b": np.array([0.5])}


def squares(p):
    return sum((np.asarray(value) ** 2).sum() for value in p.values())


def first_class(points):
    return np.zeros(len(points), dtype=int)


def sums(points):
    return points.sum(axis=1)


TANGENT = {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 4.0], "at": 1.0, "value": 1.0, "slope": 2.0}
POINTS = {"X": X, "y": LABELS, "classes": ["no", "yes"]}
NETWORK = {
    "weights": [np.array([[1.0, -2.0], [0.5, 0.25]]), np.array([[1.5, -1.0]])],
    "biases": [np.array([0.1, 0.2]), np.array([0.3])],
    "activations": [np.array([1.0, 2.0]), np.array([0.5, 0.6]), np.array([0.9])],
}
GRAPH = {
    "values": {"x": 2.0, "w1": 0.5, "z1": 1.0, "C": 0.5},
    "edges": [("x", "z1"), ("w1", "z1"), ("z1", "C")],
    "slopes": {("z1", "C"): 1.0},
    "gradients": {"w1": 2.0},
}
CALLS = {  # function: arguments that it takes
    plots.curves: {"series": {"C": [3.0, 2.0], "A": [1.0, 2.0]}, "x": [0, 10]},
    plots.tangent: TANGENT,
    plots.tangent_panels: {
        "x": [0.0, 1.0], "curves": {"C": [0.0, 1.0]}, "at": 0.5, "values": {"C": 0.5},
        "slopes": {"C": 1.0}, "xlabel": "w1",
    },
    plots.labelled_points: {"x": [-1.0, 0.5, 2.0], "y": [-1, 1, 1]},
    plots.scatter_classes: POINTS,
    plots.decision_regions: {"predict": first_class, **POINTS, "resolution": 3},
    plots.heatmap: {"matrix": X, "rows": ["a", "b", "c"], "columns": ["1", "2"], "center": 0.5},
    plots.confusion_matrix: {"counts": [[3, 1], [0, 4]], "classes": ["no", "yes"]},
    plots.image_grid: {"images": np.ones((3, 4)), "titles": ["a", "b", "c"], "columns": 2},
    plots.bars: {"heights": {"a": 0.5, "b": 0.25}},
    plots.scatter_3d: {
        "A": np.c_[X, X[:, :1]], "y": LABELS, "plane": ([1.0, 1.0, -1.0], -0.5),
        "classes": ["no", "yes"], "labels": ["a", "b", "c"], "view": (20.0, 30.0),
    },
    plots.surface: {
        "f": sums, "limits": (-1.0, 1.0), "level": 0.5, "labels": ["a", "b", "c"],
        "view": (20.0, 30.0), "resolution": 3,
    },
    diagrams.network: NETWORK,
    diagrams.outline: {"sizes": [3, 9, 1], "labels": ["in", "hidden", "out"]},
    diagrams.computational_graph: GRAPH,
    diagrams.number_lines: {"steps": [("w", 0.5, 0.6), ("z", 1.0, 1.2)]},
    diagrams.draw_paths: {
        "W": [None, np.ones((2, 3)), np.ones((1, 2))], "layer": 0, "node": 1, "through": 0,
    },
    diagrams.augmented_network: {k: NETWORK[k] for k in ("weights", "biases")},
    diagrams.matrix_equation: {
        "terms": [("Z", np.ones((2, 3)), "n", "j"), "=", ("X", np.ones((2, 3)), "n", "k")],
        "highlight": (1, 2),
    },
    diagrams.stack: {
        "arrays": {"A": np.ones((2, 3)), "B": np.ones((3, 2, 2))}, "axes": ["nk", "kij"],
        "operators": ["@"], "summed": "k",
    },
    gradcheck.ravel: {"params": PARAMS},
    gradcheck.unravel: {"vector": np.ones(3), "like": PARAMS},
    gradcheck.relative_error: {"a": np.ones(3), "b": np.arange(3.0)},
    gradcheck.numerical_gradient: {
        "loss": squares, "params": PARAMS, "method": "central", "eps": 1e-5,
    },
    gradcheck.check_gradients: {
        "loss": squares, "params": PARAMS, "grads": {k: 2 * v for k, v in PARAMS.items()},
        "method": "central", "eps": 1e-5, "tol": 1e-6,
    },
}  # fmt: skip


def test_every_public_function_is_among_the_calls():
    public = {
        function
        for module in (plots, diagrams, gradcheck)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert set(CALLS) == public


CASES = [(function, name) for function, given in CALLS.items() for name in given]


def case_id(value):
    return value if isinstance(value, str) else value.__name__


# ------------------------------------------------------------------------- anything at all

floats = st.sampled_from([0.0, 1.0, -2.5, 1e6, 1e-300, np.nan, np.inf, -np.inf])
numbers = floats | st.sampled_from([0, 1, 2, 3, -1, 2**70, True, 1j, np.float32(2), np.int8(1)])
sides = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
kinds = [np.float64, np.float32, np.int64, np.uint8, bool, complex, object]
arrays = hnp.arrays(np.float64, sides, elements=floats) | hnp.arrays(
    st.sampled_from(kinds), sides, elements=st.sampled_from([0, 1])
)
odd = st.sampled_from([None, "", "text", b"bytes", object(), len, range(3)])
odd_lists = st.sampled_from([{}, (), [], [None], ["a", "b"], [[1.0], [1.0, 2.0]], [[1.0], 2.0]])
names = st.sampled_from(["C", "W", "b", "w1", "", 3])
single = numbers | odd | odd_lists | arrays
pairs = st.lists(single, max_size=3) | st.tuples(single, single)
anything = single | pairs | st.dictionaries(names, single | pairs, max_size=3)


def call(function, arguments):
    """Call the function on Axes of one figure, which are cheaper than a figure each time."""
    if "ax" in inspect.signature(function).parameters:
        figure = plt.figure("reused")
        figure.clear()
        solid = function in (plots.scatter_3d, plots.surface)
        arguments = arguments | {"ax": figure.add_subplot(projection="3d" if solid else None)}
    return function(**arguments)


def assert_names_an_argument(function, error):
    parameters = "|".join(inspect.signature(function).parameters)
    assert re.match(rf"({parameters})\b", str(error)), f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(("function", "name"), CASES, ids=case_id)
@QUICK
@given(value=anything)
def test_anything_at_all_is_taken_or_refused_by_name(function, name, value):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # one would come from what should have been refused
            call(function, CALLS[function] | {name: value})
    except (TypeError, ValueError) as error:
        assert_names_an_argument(function, error)
    finally:
        plt.close("all")


# ------------------------------------------------------------------------- what is not finite


def spoil(value, bad):
    """Yield copies of nested numbers, in each of which another one is `bad`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield bad
    elif isinstance(value, np.ndarray):
        for index in np.ndindex(value.shape):
            copy = value.astype(float)
            copy[index] = bad
            yield copy
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from (value | {key: other} for other in spoil(part, bad))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            for other in spoil(part, bad):
                yield type(value)((*value[:index], other, *value[index + 1 :]))


TAKES_ALL = [diagrams.computational_graph, gradcheck.ravel, gradcheck.unravel]  # shown as they are
FINITE = [
    (function, name)
    for function, name in CASES
    if function not in TAKES_ALL and list(spoil(CALLS[function][name], np.nan))
]


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize(("function", "name"), FINITE, ids=case_id)
def test_one_value_that_is_not_finite_is_refused_wherever_it_is(function, name, bad):
    for value in spoil(CALLS[function][name], bad):
        with pytest.raises((TypeError, ValueError), match=rf"^{name}\b"):
            call(function, CALLS[function] | {name: value})


def test_every_call_works_with_the_arguments_that_are_replaced_above():
    for function, arguments in CALLS.items():
        assert call(function, arguments) is not None
        assert set(arguments) <= set(inspect.signature(function).parameters)


# ------------------------------------------------------------------- every size that makes sense

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


params = st.dictionaries(
    st.sampled_from(["W1", "b1", "W2", "s"]),
    hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=0, max_dims=3, max_side=3),
        elements=st.floats(0.5, 2) | st.floats(-2, -0.5),
    ),
    min_size=1,
)  # fmt: skip


@QUICK
@given(params=params, method=st.sampled_from(["forward", "central", "complex"]), data=st.data())
@example(params={"s": np.array(1.0)}, method="complex", data=None)
def test_gradients_of_any_shape_are_measured_and_one_wrong_entry_is_found(params, method, data):
    measured = gradcheck.numerical_gradient(squares, params, method=method)
    right = {name: 2 * value for name, value in params.items()}
    for name, value in right.items():
        assert measured[name].shape == value.shape
        np.testing.assert_allclose(measured[name], value, rtol=1e-6)
    assert gradcheck.check_gradients(squares, params, right, method=method).passed
    if data is None:
        return
    name = data.draw(st.sampled_from(sorted(params)))
    index = data.draw(st.sampled_from(list(np.ndindex(params[name].shape))))
    wrong = {key: np.array(value) for key, value in right.items()}
    wrong[name][index] *= -1
    report = gradcheck.check_gradients(squares, params, wrong, method=method)
    assert not report.passed
    assert report.worst == (name, index)
