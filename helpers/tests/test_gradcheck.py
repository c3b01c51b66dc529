"""What `helpers.gradcheck` promises: right slopes, right verdicts, clear refusals."""

import itertools
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.gradcheck import (
    check_gradients,
    numerical_gradient,
    ravel,
    relative_error,
    unravel,
)

METHODS = ["forward", "central", "complex"]


# ---------------------------------------------------------------- known derivatives


def quadratic_form(p):
    return 0.5 * p["x"] @ p["Q"] @ p["x"] + p["c"] * p["x"].sum()


def quadratic_form_gradient(p):
    return {
        "x": 0.5 * (p["Q"] + p["Q"].T) @ p["x"] + p["c"],
        "Q": 0.5 * np.outer(p["x"], p["x"]),
        "c": np.asarray(p["x"].sum()),
    }


def softmax_loss(p, X, labels):
    Z = X @ p["W"].T + p["b"]  # (N, C)
    log_sum = np.log(np.exp(Z).sum(axis=1))
    return (log_sum - Z[np.arange(len(X)), labels]).mean()


def softmax_gradient(p, X, labels):
    Z = X @ p["W"].T + p["b"]
    delta = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    delta[np.arange(len(X)), labels] -= 1
    return {"W": delta.T @ X / len(X), "b": delta.mean(axis=0)}


def known_cases():
    rng = np.random.default_rng(3)
    X, labels = rng.normal(size=(20, 3)), rng.integers(0, 4, size=20)
    x = rng.uniform(0.5, 1.5, size=(2, 3))
    Q = rng.normal(size=(4, 4))
    quadratic = {"x": rng.normal(size=4), "Q": Q, "c": np.asarray(0.7)}
    softmax = {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=4)}
    return {
        "polynomial": (
            lambda p: (2 * p["x"] ** 3 - p["x"]).sum(),
            {"x": x},
            {"x": 6 * x**2 - 1},
        ),
        "exp": (lambda p: np.exp(p["x"]).sum(), {"x": x}, {"x": np.exp(x)}),
        "sin": (lambda p: np.sin(p["x"]).sum(), {"x": x}, {"x": np.cos(x)}),
        "quadratic form": (quadratic_form, quadratic, quadratic_form_gradient(quadratic)),
        "softmax": (
            lambda p: softmax_loss(p, X, labels),
            softmax,
            softmax_gradient(softmax, X, labels),
        ),
    }


CASES = known_cases()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("method", "bound"), [("forward", 5e-7), ("central", 1e-9), ("complex", 1e-14)]
)
def test_numerical_gradient_matches_the_known_derivative(case, method, bound):
    loss, params, exact = CASES[case]
    measured = numerical_gradient(loss, params, method=method)
    assert list(measured) == list(params)
    for name, value in params.items():
        assert isinstance(measured[name], np.ndarray)
        assert measured[name].shape == value.shape
        assert measured[name].dtype == np.float64
        assert relative_error(measured[name], exact[name]) < bound


@pytest.mark.parametrize(("method", "order"), [("forward", 1), ("central", 2), ("complex", 2)])
def test_truncation_error_shrinks_with_the_order_of_the_method(method, order):
    params, steps = {"x": np.array([0.7])}, np.logspace(-3, -1, 5)
    gradients = [
        numerical_gradient(lambda p: np.exp(p["x"]).sum(), params, method=method, eps=h)["x"][0]
        for h in steps
    ]
    errors = np.abs(np.array(gradients) - np.exp(0.7))
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.05)


def test_only_the_complex_step_survives_a_tiny_step():
    params, exact = {"x": np.array([0.7])}, np.exp(0.7)
    errors = {
        method: abs(
            numerical_gradient(lambda p: np.exp(p["x"]).sum(), params, method=method, eps=1e-16)[
                "x"
            ][0]
            / exact
            - 1
        )
        for method in METHODS
    }
    assert errors["complex"] < 1e-15
    assert errors["central"] > 1e-2
    assert errors["forward"] > 1e-2


@pytest.mark.parametrize("method", METHODS)
def test_plain_floats_serve_as_parameters(method):
    params = {"w": 0.3, "b": -0.2}
    exact = {"w": 2 * 1.5 * (0.3 * 1.5 - 0.2), "b": 2 * (0.3 * 1.5 - 0.2)}
    kinds = set()

    def loss(p):
        kinds.update(type(value) for value in p.values())
        return (p["w"] * 1.5 + p["b"]) ** 2

    measured = numerical_gradient(loss, params, method=method)
    assert kinds <= {np.float64, np.complex128}  # scalars stay scalars inside the loss
    for name, value in exact.items():
        assert measured[name].shape == ()
        assert measured[name] == pytest.approx(value, rel=1e-6)
    assert check_gradients(loss, params, exact, method=method).passed


def test_the_step_grows_with_large_parameters():
    params = {"x": np.array([1e12])}
    measured = numerical_gradient(lambda p: (p["x"] ** 2).sum(), params)
    assert measured["x"][0] == pytest.approx(2e12, rel=1e-8)


# ---------------------------------------------------------------- relative_error


def test_relative_error_follows_its_formula():
    a, b = np.array([3.0, 4.0]), np.array([0.0, 5.0])
    assert relative_error(a, b) == pytest.approx(np.sqrt(10) / 10, rel=1e-15)
    assert relative_error(np.zeros(3), np.zeros(3)) == 0
    assert relative_error(2.0, -2.0) == 1
    assert isinstance(relative_error(a, b), float)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_relative_error_neither_overflows_nor_underflows(scale):
    a, b = np.array([1.0, 2.0]), np.array([1.0, 2.5])
    assert relative_error(scale * a, scale * b) == pytest.approx(relative_error(a, b), rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), ValueError, "b has shape (3, 2), expected (2, 3)"),
        (np.ones(2), np.array([1, np.nan]), ValueError, "b[1] is nan, expected finite numbers"),
        (np.inf, 1.0, ValueError, "a is inf, expected finite numbers"),
        (np.ones(0), np.ones(0), ValueError, "a is empty: it has shape (0,)"),
        (np.ones(2), 1j * np.ones(2), TypeError, "b has dtype complex128, expected real numbers"),
    ],
)
def test_relative_error_refuses(a, b, error, message):
    with pytest.raises(error, match=re.escape(message)):
        relative_error(a, b)


# ---------------------------------------------------------------- ravel, unravel

shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)
arrays = shapes.flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.floats(-1e6, 1e6, width=64))
)


@given(st.dictionaries(st.text(min_size=1, max_size=3), arrays, min_size=1, max_size=5))
def test_unravel_undoes_ravel(params):
    vector = ravel(params)
    assert vector.shape == (sum(value.size for value in params.values()),)
    back = unravel(vector, params)
    assert list(back) == list(params)
    for name, value in params.items():
        assert back[name].shape == value.shape
        np.testing.assert_array_equal(back[name], value)
        assert not np.shares_memory(back[name], vector)


def test_ravel_keeps_the_order_of_dict_and_rows():
    params = {"W": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": 5.0, "a": np.array([6.0])}
    np.testing.assert_array_equal(ravel(params), [1, 2, 3, 4, 5, 6])
    assert isinstance(unravel(ravel(params), params)["b"], float)


def test_ravel_reads_transposed_views_by_row():
    W = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(ravel({"W": W.T}), W.T.ravel())


@pytest.mark.parametrize("shape", [(5,), (7,), (2, 3), ()])
def test_unravel_refuses_a_vector_of_the_wrong_shape(shape):
    message = f"vector has shape {shape}, expected (6,)"
    with pytest.raises(ValueError, match=re.escape(message)):
        unravel(np.zeros(shape), {"W": np.zeros((2, 3))})


# ---------------------------------------------------------------- refusals


def square(p):
    return sum((value**2).sum() for value in p.values())


def good():
    return {"W1": np.arange(1.0, 7).reshape(2, 3), "b1": np.array([0.5, -0.5])}


def doubled(p):
    return {name: 2 * value for name, value in p.items()}


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([1.0], TypeError, "params is a list, expected a dict name -> array"),
        ({}, ValueError, "params is empty, expected at least one array"),
        ({3: np.ones(2)}, TypeError, "params has the name 3, expected names of type str"),
        ({"W": [1.0]}, TypeError, "params['W'] is a list, expected a NumPy array or a float"),
        ({"W": np.ones((0, 3))}, ValueError, "params['W'] is empty: it has shape (0, 3)"),
        ({"W": np.ones(2, int)}, TypeError, "params['W'] has dtype int64, expected float64"),
        ({"W": np.ones(2, "f4")}, TypeError, "params['W'] has dtype float32, expected float64"),
        ({"w": 1}, TypeError, "params['w'] has dtype int64, expected float64"),
        ({"w": True}, TypeError, "params['w'] has dtype bool, expected real numbers"),
        ({"W": np.ones(2) * 1j}, TypeError, "params['W'] has dtype complex128, expected real"),
        (
            {"W": np.array([[1.0, 2.0], [np.nan, 3.0]])},
            ValueError,
            "params['W'][1, 0] is nan, expected finite numbers",
        ),
        ({"w": np.inf}, ValueError, "params['w'] is inf, expected finite numbers"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_unfit_params_are_refused_before_the_loss_runs(params, error, message, method):
    def loss(p):
        raise AssertionError("the loss must not run")

    with pytest.raises(error, match=re.escape(message)):
        numerical_gradient(loss, params, method=method)
    with pytest.raises(error, match=re.escape(message)):
        check_gradients(loss, params, params, method=method)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"W1": np.ones((3, 2))},
            ValueError,
            "grads['W1'] has shape (3, 2), expected (2, 3) like params['W1']",
        ),
        ({"b1": 1.0}, ValueError, "grads['b1'] has shape (), expected (2,) like params['b1']"),
        ({"b1": np.ones((2, 1))}, ValueError, "grads['b1'] has shape (2, 1), expected (2,)"),
        ({"b1": None}, TypeError, "grads['b1'] is a NoneType, expected a NumPy array or a float"),
        ({"b1": np.array([0, np.inf])}, ValueError, "grads['b1'][1] is inf, expected finite"),
        ({"b1": np.ones(2) * 1j}, TypeError, "grads['b1'] has dtype complex128, expected real"),
        (
            {"w1": np.ones(2)},
            ValueError,
            "grads has 'w1', which is not in params: expected the names ['W1', 'b1']",
        ),
    ],
)
def test_unfit_grads_are_refused(change, error, message):
    with pytest.raises(error, match=re.escape(message)):
        check_gradients(square, good(), doubled(good()) | change)


def test_a_missing_gradient_is_named():
    with pytest.raises(ValueError, match=re.escape("grads lacks 'W1': expected the names")):
        check_gradients(square, good(), {"b1": np.ones(2)})
    with pytest.raises(TypeError, match="grads is a tuple, expected a dict"):
        check_gradients(square, good(), (1, 2))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"method": "centre"},
            ValueError,
            "method is 'centre', expected one of ['forward', 'central', 'complex']",
        ),
        ({"eps": 0}, ValueError, "eps is 0, expected a finite number above 0"),
        ({"eps": -1e-6}, ValueError, "eps is -1e-06, expected a finite number above 0"),
        ({"eps": np.nan}, ValueError, "eps is nan, expected a finite number above 0"),
        ({"eps": 2.0}, ValueError, "eps is 2.0, expected 0 < eps ≤ 1"),
        ({"eps": 1e-17}, ValueError, "eps gives a step of 1e-17, expected one that moves params"),
        ({"eps": "1e-6"}, TypeError, "eps is '1e-6', expected a number"),
        ({"tol": 0}, ValueError, "tol is 0, expected a finite number above 0"),
        ({"tol": np.inf}, ValueError, "tol is inf, expected a finite number above 0"),
        ({"tol": 1.0}, ValueError, "tol is 1.0, expected 0 < tol < 1"),
        ({"tol": True}, TypeError, "tol is True, expected a number"),
    ],
)
def test_unfit_options_are_refused(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        check_gradients(square, good(), doubled(good()), **options)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda p: p["W1"], ValueError, "loss returned an array of shape (2, 3), expected a"),
        (lambda p: np.array([1.0]), ValueError, "loss returned an array of shape (1,), expected a"),
        (lambda p: None, TypeError, "loss returned None, expected a float"),
        (lambda p: "low", TypeError, "loss returned 'low', expected a float"),
        (lambda p: True, TypeError, "loss returned True, expected a float"),
        (lambda p: 1j, TypeError, "loss returned 1j for real params, expected a float"),
        (lambda p: np.float32(2), TypeError, "loss returned float32, expected float64"),
        (lambda p: np.nan, ValueError, "loss is nan at params, expected a finite number"),
        (
            lambda p: 1.0 if p["W1"][1, 2] <= 6 else np.inf,
            ValueError,
            "loss is inf at params with params['W1'][1, 2] nudged by 3.6e-05",
        ),
    ],
)
def test_unfit_losses_are_refused(loss, error, message):
    with pytest.raises(error, match=re.escape(message)):
        numerical_gradient(loss, good())


def test_a_loss_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"loss is 0\.5, expected a function"):
        numerical_gradient(0.5, good())


def grow(p):
    p["W1"] *= 1.5
    return square(p)


def replace(p):
    p["b1"] = p["b1"] + 1
    return square(p)


def remember(p):
    p["cache"] = p["W1"]
    return square(good())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (grow, "loss changed params['W1']: it must be pure"),
        (replace, "loss changed params['b1']: it must be pure"),
        (remember, "loss changed the names in params to ['W1', 'b1', 'cache']"),
    ],
)
def test_a_loss_that_changes_its_parameters_is_refused(loss, message, method):
    params = good()
    with pytest.raises(ValueError, match=re.escape(message)):
        numerical_gradient(loss, params, method=method)
    assert_untouched(params)


def assert_untouched(params):
    assert list(params) == list(good())
    for name, value in good().items():
        np.testing.assert_array_equal(params[name], value)


@pytest.mark.parametrize("method", METHODS)
def test_params_and_grads_survive_a_check(method):
    params, grads = good(), doubled(good())
    assert check_gradients(square, params, grads, method=method).passed
    assert_untouched(params)
    np.testing.assert_array_equal(ravel(grads), 2 * ravel(good()))


def test_params_survive_a_loss_that_raises_midway():
    params, calls = good(), []

    def loss(p):
        calls.append(1)
        if len(calls) == 6:
            raise ZeroDivisionError("midway")
        return square(p)

    with pytest.raises(ZeroDivisionError, match="midway"):
        numerical_gradient(loss, params)
    assert_untouched(params)


def test_a_warning_of_the_loss_is_heard_once():
    def loss(p):
        return square(p) / (1 + np.exp(np.float64(1e4)))

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")
        numerical_gradient(loss, good())
    assert [str(warning.message) for warning in heard] == ["overflow encountered in exp"]


def test_a_loss_that_draws_at_random_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="for the same params: it must be pure"):
        numerical_gradient(lambda p: square(p) + rng.normal(), good())


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda p: np.abs(p["W1"]).sum(), TypeError, "returned a real float64"),
        (lambda p: np.linalg.norm(p["W1"]), TypeError, "returned a real float64"),
        (lambda p: square(p).real, TypeError, "returned a real float64"),
        (lambda p: math.exp(p["b1"][0]), TypeError, "the loss fails, "),
        (lambda p: p["W1"].astype(float).sum(), TypeError, "the loss fails, Casting complex"),
        (lambda p: float(square(p)), TypeError, "the loss fails, "),
        (lambda p: square(p) + np.abs(p["b1"]).sum(), ValueError, "by a central difference"),
        (lambda p: (p["W1"] * p["W1"].conj()).sum(), ValueError, "slope of the loss is ≈ 0, but"),
    ],
)
def test_a_loss_that_drops_the_imaginary_part_is_refused(loss, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        numerical_gradient(loss, good(), method="complex")
    assert "complex step" in str(caught.value)
    assert "use method='central' otherwise" in str(caught.value)
    numerical_gradient(loss, good(), method="central")


# ---------------------------------------------------------------- the report


def failing_report(**options):
    grads = doubled(good())
    grads["W1"][1, 0] *= -1  # 8 becomes -8
    return check_gradients(square, good(), grads, **options)


@pytest.mark.parametrize("method", METHODS)
def test_a_correct_gradient_passes(method):
    report = check_gradients(square, good(), doubled(good()), method=method)
    assert report.passed
    assert report
    assert report.max_relative_error < 1e-6
    assert (report.table["verdict"] == "pass").all()
    assert (report.table["note"] == "").all()


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_entry_is_named_with_both_its_values(method):
    report = failing_report(method=method)
    assert not report.passed
    assert not report
    assert report.worst == ("W1", (1, 0))
    norm = np.linalg.norm(2 * good()["W1"])
    assert report.max_relative_error == pytest.approx(16 / (2 * norm), rel=1e-6)
    assert isinstance(report.table, pd.DataFrame)
    assert list(report.table["parameter"]) == ["W1", "b1"]
    assert list(report.table["verdict"]) == ["fail", "pass"]
    row = report.table.iloc[0]
    assert row["shape"] == (2, 3)
    assert row["worst_index"] == (1, 0)
    assert row["relative_error"] == report.max_relative_error
    assert row["analytic"] == -8
    assert row["numerical"] == pytest.approx(8, rel=1e-6)


def test_the_tolerance_decides():
    grads = {name: value * (1 + 2e-4) for name, value in doubled(good()).items()}
    assert check_gradients(square, good(), grads, tol=1.1e-4).passed
    assert not check_gradients(square, good(), grads, tol=0.9e-4).passed


def test_a_scalar_parameter_has_the_empty_index():
    report = check_gradients(lambda p: p["w"] ** 2, {"w": 3.0}, {"w": 5.0})
    assert report.worst == ("w", ())
    assert report.max_relative_error == pytest.approx(1 / 11, rel=1e-6)


def test_gradients_are_matched_by_name_not_by_order():
    grads = dict(reversed(doubled(good()).items()))
    assert check_gradients(square, good(), grads).passed


def test_the_display_of_a_pass_shows_the_bound_and_no_digits_that_vary():
    expected = (
        "Gradient check passed (method central, tol 1e-06)\n"
        "parameter  shape verdict relative error\n"
        "       W1 (2, 3)    pass        ≤ 1e-06\n"
        "       b1   (2,)    pass        ≤ 1e-06"
    )
    report = check_gradients(square, good(), doubled(good()))
    assert str(report) == repr(report) == expected
    shaken = check_gradients(square, good(), doubled(good()), eps=2.3e-6)
    assert str(shaken) == expected
    assert shaken._repr_html_() == report._repr_html_()


def test_the_display_of_a_failure_shows_the_entry():
    text, html = str(failing_report()), failing_report()._repr_html_()
    assert text.startswith("Gradient check 1 of 2 arrays fail (method central, tol 1e-06)\n")
    line = next(line for line in text.splitlines() if "W1" in line)
    assert line.split() == ["W1", "(2,", "3)", "FAIL", "0.419", "(1,", "0)", "-8", "8"]
    assert html.startswith("<p>Gradient check 1 of 2 arrays fail")
    assert "<table" in html
    assert "<td>0.419</td>" in html
    assert str(failing_report(eps=2.3e-6)) == text


def test_html_escapes_names_and_keeps_long_notes():
    name = "<b>W</b>"
    report = check_gradients(lambda p: np.maximum(p[name], 0), {name: 0.0}, {name: 0.0})
    assert "&lt;b&gt;W" in report._repr_html_()
    assert "kink: one-sided slopes differ (≈ 0, 1)" in report._repr_html_()
    assert "..." not in report._repr_html_()


# ---------------------------------------------------------------- sensitivity and its limits


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5])
def test_one_wrong_entry_cannot_hide_in_a_large_matrix(size):
    rng = np.random.default_rng(5)
    params, scale = {"W": np.ones((40, 40))}, rng.uniform(0.5, 1, (40, 40))
    scale[17, 23] = size
    loss = lambda p: (scale * p["W"] ** 2).sum() / 1600  # noqa: E731
    grads = {"W": 2 * scale / 1600}
    assert check_gradients(loss, params, grads).passed
    grads["W"][17, 23] = 0
    report = check_gradients(loss, params, grads)
    assert not report.passed
    assert report.worst == ("W", (17, 23))
    if size == 1e-5:  # here the norm alone would have let it through
        assert report.max_relative_error < 1e-6


def linear(slopes):
    return (lambda p: slopes @ p["w"]), {"w": np.ones(len(slopes))}


def test_many_tiny_errors_add_up_to_a_failure():
    slopes = np.zeros(1600)
    slopes[0] = 1
    loss, params = linear(slopes)
    report = check_gradients(loss, params, {"w": np.fmax(slopes, 9e-8)})
    assert report.max_relative_error == pytest.approx(9e-8 * 40 / 2, rel=0.01)
    assert not report.passed


def test_the_worst_entry_is_one_that_fails():
    loss, params = linear(np.array([1.0, 0.0]))
    report = check_gradients(loss, params, {"w": np.array([1 + 1.5e-6, 5e-7])})
    assert not report.passed
    assert report.worst == ("w", (1,))  # the first differs more, and is right to six digits


def test_truncation_in_a_small_entry_is_judged_on_the_scale_of_its_array():
    params = {"x": np.array([1e-5, 1.0])}
    loss = lambda p: 1000 * p["x"][0] ** 3 + p["x"][1]  # noqa: E731
    report = check_gradients(loss, params, {"x": np.array([3000 * 1e-10, 1.0])})
    assert abs(report.table["numerical"][0] / 3e-7 - 1) > 0.01
    assert report.passed


def test_rounding_of_the_loss_is_not_mistaken_for_a_wrong_gradient():
    params = {"w": np.array([0.3, 0.4]), "tiny": np.array([0.5])}
    loss = lambda p: (p["w"] ** 2).sum() + 1e-9 * np.sin(p["tiny"]).sum() + 7  # noqa: E731
    grads = {"w": 2 * params["w"], "tiny": 1e-9 * np.cos(params["tiny"])}
    report = check_gradients(loss, params, grads)
    assert report.passed
    assert report.max_relative_error > 1e-6  # the raw number is not embellished
    assert "tiny" in str(report)
    assert "unresolved" in str(report)
    note = "too small to judge: the difference is within rounding"
    assert report.table["note"][1] == note
    assert note in report._repr_html_()
    grads["tiny"] = 2 * grads["tiny"]  # what a difference cannot see, the complex step can
    assert check_gradients(loss, params, grads).table["note"][1] != ""
    assert check_gradients(loss, params, grads, method="complex").worst[0] == "tiny"
    assert not check_gradients(loss, params, grads, method="complex").passed
    grads["w"] = 1.1 * grads["w"]  # a smaller relative error, but one that counts
    assert check_gradients(loss, params, grads).worst[0] == "w"


def test_a_kink_is_told_from_a_bug():
    def loss(p):
        return np.maximum(p["z"], 0).sum() + 0.5 * (p["z"] ** 2).sum()

    params = {"z": np.array([-1.0, 0.0, 2.0])}
    relu = {"z": (params["z"] > 0) + params["z"]}
    report = check_gradients(loss, params, relu)
    assert not report.passed
    assert report.worst == ("z", (1,))
    assert report.table["note"][0] == "kink: one-sided slopes differ (≈ 0, 1)"
    near = {"z": np.array([-1.0, 2e-6, 2.0])}  # the kink lies within reach of the step
    near_report = check_gradients(loss, near, {"z": (near["z"] > 0) + near["z"]})
    assert near_report.table["note"][0].startswith("kink")
    wrong = {"z": relu["z"] + np.array([0, -0.5, 0])}  # outside both slopes: a bug at a kink
    assert check_gradients(loss, params, wrong).table["note"][0] == ""


@pytest.mark.parametrize("at", [0.0, 1e-3, 0.8])
@pytest.mark.parametrize("method", ["forward", "central"])
def test_a_bug_where_the_loss_is_smooth_is_not_called_a_kink(at, method):
    params = {"x": np.array([at])}
    loss = lambda p: (p["x"] ** 2).sum() + np.exp(p["x"]).sum()  # noqa: E731
    report = check_gradients(loss, params, {"x": np.array([0.1])}, method=method)
    assert not report.passed
    assert report.table["note"][0] == ""


def test_a_small_error_at_a_smooth_minimum_is_not_called_a_kink():
    report = check_gradients(
        lambda p: (p["x"] ** 2).sum(), {"x": np.zeros(1)}, {"x": np.array([3e-6])}
    )  # the one-sided slopes are ∓6e-6, as for a tiny kink
    assert not report.passed
    assert report.table["note"][0] == ""


# ---------------------------------------------------------------- networks, right and wrong


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "identity": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
}


def random_network(rng, sizes=None, kinds=None, cost=None, n=None, scale=1.0):
    """Return (params, X, Y, kinds, cost) with no ReLU within reach of its kink."""
    sizes = sizes or rng.integers(1, 6, size=rng.integers(2, 5)).tolist()
    kinds = kinds or rng.choice(list(ACTIVATIONS), size=len(sizes) - 1).tolist()
    cost = cost or str(rng.choice(["squared", "softmax"]))
    n = n or int(rng.integers(1, 12))
    while True:
        X, params = rng.normal(size=(n, sizes[0])), {}
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), 1):
            params[f"W{layer}"] = scale * rng.normal(size=(fan_out, fan_in))
            params[f"b{layer}"] = scale * rng.normal(size=fan_out)
        Z, _ = forward(params, X, kinds)
        reach = [abs(z).min() for z, kind in zip(Z, kinds, strict=True) if kind == "relu"]
        if min(reach, default=1) > 1e-3:
            break
    labels = rng.integers(0, sizes[-1], size=n)
    Y = np.eye(sizes[-1])[labels] if cost == "softmax" else rng.normal(size=(n, sizes[-1]))
    return params, X, Y, kinds, cost


def forward(params, X, kinds):
    Z, A = [], [X]
    for layer, kind in enumerate(kinds, 1):
        Z.append(A[-1] @ params[f"W{layer}"].T + params[f"b{layer}"])  # (N, n_l)
        A.append(ACTIVATIONS[kind][0](Z[-1]))
    return Z, A


def network_loss(params, X, Y, kinds, cost):
    out = forward(params, X, kinds)[1][-1]
    if cost == "squared":
        return 0.5 * ((out - Y) ** 2).sum(axis=1).mean()
    shifted = out - out.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(Y * log_p).sum(axis=1).mean()


def backward(params, X, Y, kinds, cost, bug=None, at=1):
    """Gradients of `network_loss`, with a bug planted in layer `at` if one is named."""
    Z, A = forward(params, X, kinds)
    error = A[-1] - Y
    if cost == "softmax":
        P = np.exp(A[-1] - A[-1].max(axis=1, keepdims=True))
        P /= P.sum(axis=1, keepdims=True)
        error = P * (1 - P) * (P - Y) if bug == "diagonal Jacobian" else P - Y
    grads, n = {}, len(X)
    for layer in range(len(kinds), 0, -1):
        here = bug if layer == at else None
        read = A[layer] if here == "slope read from the activation" else Z[layer - 1]
        slope = ACTIVATIONS[kinds[layer - 1]][1](read)
        slope = {"missing slope": 1, "slope twice": slope**2}.get(here, slope)
        delta = error * slope
        incoming = A[layer - 1] if here != "off by one layer" else A[layer]
        grads[f"W{layer}"] = delta.T @ incoming / (1 if here == "weights summed" else n)
        grads[f"b{layer}"] = delta.sum(axis=0) / (1 if here == "bias summed" else n)
        W = params[f"W{layer}"]
        error = delta @ (W.T if here == "transpose dropped" else W)
    if bug == "bias of the first sample":
        grads[f"b{at}"] = delta_of_first(params, X, Y, kinds, cost, at)
    return grads


def delta_of_first(params, X, Y, kinds, cost, at):
    return backward(params, X[:1], Y[:1], kinds, cost)[f"b{at}"]


def network_report(network, grads, **options):
    params, *rest = network
    return check_gradients(lambda p: network_loss(p, *rest), params, grads, **options)


@pytest.mark.parametrize("block", range(10))
def test_200_random_correct_networks_raise_no_false_alarm(block):
    for seed in range(20 * block, 20 * block + 20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, scale=rng.uniform(0.3, 2))
        report = network_report(network, backward(*network))
        assert report.passed, f"seed {seed}, {network[3:]}:\n{report}\n{report.table}"


def test_saturated_correct_networks_raise_no_false_alarm():
    for seed in range(20):
        network = random_network(
            np.random.default_rng(seed), [3, 4, 4, 2], ["sigmoid", "tanh", "sigmoid"], scale=6
        )
        report = network_report(network, backward(*network))
        assert report.passed, f"seed {seed}:\n{report.table}"


BUGS = [
    # bug, layer, cost, activation, the arrays it spoils
    ("transpose dropped", 3, "squared", "tanh", "W1 b1 W2 b2"),
    ("transpose dropped", 2, "softmax", "relu", "W1 b1"),
    ("missing slope", 3, "squared", "sigmoid", "W1 b1 W2 b2 W3 b3"),
    ("missing slope", 2, "softmax", "tanh", "W1 b1 W2 b2"),
    ("slope twice", 1, "squared", "sigmoid", "W1 b1"),
    ("slope read from the activation", 2, "softmax", "sigmoid", "W1 b1 W2 b2"),
    ("bias summed", 2, "squared", "tanh", "b2"),
    ("weights summed", 3, "softmax", "relu", "W3"),
    ("off by one layer", 2, "squared", "tanh", "W2"),
    ("bias of the first sample", 1, "softmax", "sigmoid", "b1"),
    ("diagonal Jacobian", 3, "softmax", "tanh", "W1 b1 W2 b2 W3 b3"),
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("bug", "at", "cost", "kind", "spoiled"), BUGS)
def test_a_planted_bug_accuses_exactly_the_arrays_it_spoils(bug, at, cost, kind, spoiled, seed):
    kinds = [kind, kind, "identity" if cost == "softmax" else kind]
    rng = np.random.default_rng(100 + seed)
    network = random_network(rng, [3, 3, 3, 3], kinds, cost, n=8)
    report = network_report(network, backward(*network, bug=bug, at=at))
    assert not report.passed
    accused = report.table.loc[report.table["verdict"] == "fail", "parameter"]
    assert set(accused) == set(spoiled.split())
    assert report.worst[0] in spoiled.split()


@pytest.mark.parametrize("method", ["forward", "complex"])
def test_the_other_methods_agree_on_right_and_wrong_networks(method):
    network = random_network(np.random.default_rng(1), [3, 3, 3], ["tanh", "sigmoid"], "squared")
    assert network_report(network, backward(*network), method=method).passed
    wrong = backward(*network, bug="transpose dropped", at=2)
    assert not network_report(network, wrong, method=method).passed
