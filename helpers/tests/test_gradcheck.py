"""The gradient check accuses the array that is wrong, raises no false alarm, and says why not."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.gradcheck import check_gradients, numerical_gradient, ravel, relative_error, unravel

METHODS = ["forward", "central", "complex"]


def square(p):
    return sum((value**2).sum() for value in p.values())


def good():
    return {"W1": np.arange(1.0, 7).reshape(2, 3), "b1": np.array([0.5, -0.5])}


def doubled(p):
    return {name: 2 * value for name, value in p.items()}


# ---------------------------------------------------------------- the measurement


@pytest.mark.parametrize(
    ("method", "bound"), [("forward", 5e-7), ("central", 1e-9), ("complex", 1e-14)]
)
def test_the_measured_gradient_is_the_known_derivative(method, bound):
    rng = np.random.default_rng(3)
    p = {"x": rng.normal(size=4), "Q": rng.normal(size=(4, 4)), "c": 0.7}
    loss = lambda p: 0.5 * p["x"] @ p["Q"] @ p["x"] + p["c"] * np.sin(p["x"]).sum()  # noqa: E731
    exact = {
        "x": 0.5 * (p["Q"] + p["Q"].T) @ p["x"] + p["c"] * np.cos(p["x"]),
        "Q": 0.5 * np.outer(p["x"], p["x"]),
        "c": np.sin(p["x"]).sum(),
    }
    measured = numerical_gradient(loss, p, method=method)
    assert list(measured) == list(p)
    for name, value in measured.items():
        assert isinstance(value, np.ndarray)
        assert (value.shape, value.dtype) == (np.shape(p[name]), np.float64)
        assert relative_error(value, exact[name]) < bound


def test_relative_error_follows_its_formula_at_every_scale():
    a, b = np.array([3.0, 4.0]), np.array([0.0, 5.0])
    for scale in (1e-300, 1e-200, 1, 1e200, 1e300):
        assert relative_error(scale * a, scale * b) == pytest.approx(np.sqrt(10) / 10, rel=1e-12)
    assert relative_error(np.zeros(3), np.zeros(3)) == 0
    assert relative_error(2.0, -2.0) == 1
    with pytest.raises(ValueError, match=re.escape("b has shape (2, 1), expected (2,) like a")):
        relative_error(a, b[:, np.newaxis])


def test_unravel_undoes_ravel():
    params = {"W1": np.arange(6.0).reshape(2, 3), "b1": np.array([6.0, 7.0]), "c": 8.0}
    vector = ravel(params)
    back = unravel(vector, params)
    assert vector.tolist() == list(range(9))
    assert list(back) == list(params)
    for name, value in params.items():
        np.testing.assert_array_equal(back[name], value)
        assert not np.shares_memory(back[name], vector)
    with pytest.raises(ValueError, match="cannot reshape"):
        unravel(np.append(vector, 1.0), params)


# ---------------------------------------------------------------- right and wrong gradients


shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
arrays = hnp.arrays(np.float64, shapes, elements=st.floats(0.5, 2))


@settings(max_examples=30, deadline=None)
@given(
    params=st.dictionaries(st.sampled_from(["W1", "b1", "s"]), arrays, min_size=1),
    method=st.sampled_from(METHODS),
    data=st.data(),
)
def test_one_wrong_entry_is_found_in_arrays_of_any_shape(params, method, data):
    right = doubled(params)
    assert check_gradients(square, params, right, method=method)
    name = data.draw(st.sampled_from(sorted(params)))
    index = data.draw(st.sampled_from(list(np.ndindex(params[name].shape))))
    wrong = {key: np.array(value) for key, value in right.items()}
    wrong[name][index] *= -1
    report = check_gradients(square, params, wrong, method=method)
    assert not report
    assert report.worst == (name, index)
    assert list(report.table.query("verdict == 'fail'")["parameter"]) == [name]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.3, 1, 2, 6])  # from 6 on most nodes are saturated
@pytest.mark.parametrize("kinds", [*itertools.product(ACTIVATIONS, repeat=2)])
def test_correct_networks_raise_no_false_alarm(kinds, scale, method):
    """That bugs accuse exactly the arrays they spoil is asserted by the gallery of notebook 05."""
    (act1, slope1), (act2, slope2) = (ACTIVATIONS[kind] for kind in kinds)
    rng = np.random.default_rng(5)
    shapes = {"W1": (4, 3), "b1": 4, "W2": (2, 4), "b2": 2}
    p = {name: scale * rng.normal(size=shape) for name, shape in shapes.items()}
    X, Y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))

    def forward(p):
        Z1 = X @ p["W1"].T + p["b1"]
        return Z1, act1(Z1) @ p["W2"].T + p["b2"]

    Z1, Z2 = forward(p)
    assert min(abs(Z1).min(), abs(Z2).min()) > 1e-4  # away from kinks
    Delta2 = (act2(Z2) - Y) / len(X) * slope2(Z2)
    Delta1 = Delta2 @ p["W2"] * slope1(Z1)
    grads = {"W1": Delta1.T @ X, "b1": Delta1.sum(axis=0)}
    grads |= {"W2": Delta2.T @ act1(Z1), "b2": Delta2.sum(axis=0)}
    loss = lambda p: 0.5 * ((act2(forward(p)[1]) - Y) ** 2).sum(axis=1).mean()  # noqa: E731
    report = check_gradients(loss, p, grads, method=method)
    assert report.passed, f"{report}\n{report.table}"


# ---------------------------------------------------------------- at the limits of what it can see


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5])  # at the last the norm alone lets it through
def test_one_wrong_entry_cannot_hide_in_a_large_matrix(size):
    scale = np.random.default_rng(5).uniform(0.5, 1, (40, 40))
    scale[17, 23] = size
    loss = lambda p: (scale * p["W"] ** 2).sum() / 1600  # noqa: E731
    params, grads = {"W": np.ones((40, 40))}, {"W": 2 * scale / 1600}
    assert check_gradients(loss, params, grads)
    grads["W"][17, 23] = 0
    report = check_gradients(loss, params, grads)
    assert not report
    assert report.worst == ("W", (17, 23))


def test_many_tiny_errors_add_up_and_the_worst_entry_is_one_that_fails():
    slopes = np.eye(1, 1600)[0]
    loss, params = (lambda p: slopes @ p["w"]), {"w": np.ones(1600)}
    assert check_gradients(loss, params, {"w": slopes})  # exact zeros are no alarm
    assert not check_gradients(loss, params, {"w": np.fmax(slopes, 9e-8)})
    one_wrong = 1.0000015 * slopes + 5e-7 * np.eye(1, 1600, 7)[0]
    assert check_gradients(loss, params, {"w": one_wrong}).worst == ("w", (7,))


def test_what_rounding_hides_is_noted_and_not_accused():
    params = {"w": np.array([0.3, 0.4]), "tiny": np.array([0.5])}
    loss = lambda p: (p["w"] ** 2).sum() + 1e-9 * np.sin(p["tiny"]).sum() + 7  # noqa: E731
    grads = {"w": 2 * params["w"], "tiny": 1e-9 * np.cos(params["tiny"])}
    report = check_gradients(loss, params, grads)
    assert report.passed
    assert report.max_relative_error > 1e-6  # the raw number is not embellished
    assert "unresolved" in str(report)
    assert "too small to judge: the difference is within rounding" in report._repr_html_()
    grads["tiny"] *= 2  # what a difference cannot see, the complex step can
    assert check_gradients(loss, params, grads)
    assert check_gradients(loss, params, grads, method="complex").worst[0] == "tiny"
    grads["w"] *= 1.1  # a smaller relative error, but one that counts
    assert check_gradients(loss, params, grads).worst[0] == "w"


def test_a_check_in_which_no_slope_could_be_measured_has_not_passed():
    saturated = lambda p: 0.5 / (1 + np.exp(-30 - p["w"].sum())) ** 2  # noqa: E731
    report = check_gradients(saturated, {"w": np.array([0.3, -0.2])}, {"w": np.full(2, -7e-14)})
    assert not report.passed
    assert "undecided" in str(report)


@pytest.mark.parametrize(
    ("loss", "params", "grads", "method"),
    [
        (square, {"x": np.array([1e12])}, {"x": np.array([2e12])}, "central"),
        (  # truncation in a small entry counts on the scale of its array
            lambda p: 1000 * p["x"][0] ** 3 + p["x"][1],
            {"x": np.array([1e-5, 1.0])},
            {"x": np.array([3e-7, 1.0])},
            "central",
        ),
        (
            lambda p: (p["large"] - 1e12).sum() + (p["small"] ** 3).sum(),
            {"large": np.array([1e12]), "small": np.array([0.001, 2.0])},
            {"large": np.ones(1), "small": np.array([3e-6, 12.0])},
            "complex",
        ),
    ],
)
def test_parameters_and_slopes_may_differ_much_in_size(loss, params, grads, method):
    assert check_gradients(loss, params, grads, method=method)


def relu_and_square(p):
    return np.maximum(p["z"], 0).sum() + 0.5 * (p["z"] ** 2).sum()


def large_and_smooth(p):
    return 500 + 0.15 * (p["z"] ** 2).sum()


KINK = "kink: one-sided slopes differ "


@pytest.mark.parametrize(
    ("loss", "at", "slope", "note"),
    [
        (relu_and_square, 0.0, 0.0, KINK + "(≈ 0, 1)"),
        (relu_and_square, 2e-6, 1 + 2e-6, KINK + "(0.3303, 1)"),  # within reach of the step
        (relu_and_square, 0.0, -0.5, ""),  # outside both slopes: a bug at a kink
        (relu_and_square, 0.5, 0.1, ""),  # a bug where the loss is smooth
        (square, 0.0, 3e-6, ""),  # at a minimum the slopes differ too, by a step
        *((large_and_smooth, z, 0.3 * z + 6e-7, "") for z in np.linspace(-1e-3, 1e-3, 40)),
    ],
)
def test_a_kink_is_told_from_a_bug(loss, at, slope, note):
    report = check_gradients(loss, {"z": np.array([at])}, {"z": np.array([slope])})
    assert not report
    assert report.table["note"][0] == note


# ---------------------------------------------------------------- the report


def test_the_report_names_a_wrong_entry_with_both_values_and_shows_no_digit_that_varies():
    grads = doubled(good())
    grads["W1"][1, 0] *= -1  # 8 becomes -8
    report, again = (check_gradients(square, good(), grads, eps=eps) for eps in (None, 2e-6))
    assert str(report) == str(again)
    assert str(report).splitlines() == [
        "Gradient check 1 of 2 arrays fail (method central, tol 1e-06)",
        "parameter  shape verdict relative error worst entry analytic numerical",
        "       W1 (2, 3)    FAIL          0.419      (1, 0)       -8         8",
        "       b1   (2,)    pass        ≤ 1e-06                               ",
    ]
    assert "<td>0.419</td>" in report._repr_html_()
    assert report.max_relative_error == pytest.approx(16 / (4 * np.sqrt(91)), rel=1e-6)


def test_a_report_shows_every_failure_with_as_many_digits_as_it_takes():
    report = check_gradients(square, {"w": np.ones(1)}, {"w": np.array([2.00001])})
    assert str(report).split()[-2:] == ["2.00001", "2"]
    slope = 0.6 * 3.7e-10  # within rounding, entry by entry
    loss = lambda p: 1 + slope * p["w"].sum()  # noqa: E731
    report = check_gradients(loss, {"w": np.ones(1000)}, {"w": np.full(1000, -slope)})
    assert "FAIL" in str(report)


# ---------------------------------------------------------------- refusals


def grow(p):
    p["W1"] *= 1.5
    return square(p)


def drawn(p, rng=np.random.default_rng(0)):  # noqa: B008
    return square(p) + rng.normal()


def real_only(p):
    return square(p) + np.abs(p["b1"]).sum()


REFUSED = [
    ({"params": {"W": np.ones(2, "f4")}}, "params['W'] has dtype float32, expected float64"),
    ({"params": {"w": 1}}, "params['w'] has dtype int64, expected float64"),
    ({"params": {"w": np.nan}, "grads": {"w": 1.0}}, "params['w'] holds nan or inf"),
    ({"grads": {"W1": np.ones((2, 3))}}, "grads has the names ['W1'], expected ['W1', 'b1']"),
    (
        {"grads": good() | {"W1": np.ones((3, 2))}},
        "grads['W1'] has shape (3, 2), expected (2, 3) like params['W1']",
    ),
    ({"grads": good() | {"b1": np.array([0, np.inf])}}, "grads['b1'] holds nan or inf"),
    ({"loss": grow}, "for the same params: it must be pure"),
    ({"loss": drawn}, "for the same params: it must be pure"),
    ({"loss": lambda p: p["b1"]}, "loss returned array([ 0.5, -0.5]), expected one finite"),
    ({"loss": lambda p: np.float32(2)}, "loss returned np.float32(2.0), expected one finite"),
    ({"loss": lambda p: 1.0 if p["b1"][1] <= -0.5 else np.inf}, "loss returned inf, expected"),
    ({"loss": real_only, "method": "complex"}, "complex step: along one direction the slope"),
    ({"loss": lambda p: np.linalg.norm(p["W1"]), "method": "complex"}, "complex step: along one"),
    ({"method": "centre"}, "method is 'centre', expected one of ['forward', 'central', 'com"),
    ({"eps": 1e-17}, "eps is 1e-17, expected a step above 0 that moves every parameter"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_would_mislead_is_refused_in_one_sentence(change, message):
    arguments = {"loss": square, "params": good()} | change
    arguments = {"grads": doubled(arguments["params"])} | arguments
    before = {name: ravel(arguments[name]) for name in ("params", "grads")}
    with pytest.raises((TypeError, ValueError), match="^.*" + re.escape(message)) as refused:
        check_gradients(**arguments)
    assert "\n" not in str(refused.value)
    for name, vector in before.items():  # a loss that changes what it is given gets a copy
        np.testing.assert_array_equal(ravel(arguments[name]), vector)
