"""The checks behind the exercises of notebook 04: right answers pass, usual mistakes are named."""

import re

import numpy as np
import pytest

from helpers.exercises import check_backprop_loops, check_mean_weight_gradient, check_tanh_error


def assert_says(verdict, message):
    assert verdict.passed is False
    assert re.search(message, verdict.message), verdict.message


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def forward(x, W, b):
    z, a = [None], [x]
    for weights, bias in zip(W[1:], b[1:], strict=True):
        z.append(weights @ a[-1] + bias)
        a.append(sigmoid(z[-1]))
    return z, a


def backprop(x, y, W, b, *, output=None, back=None, outer=None, slope=None):
    """Return dW, db; each keyword replaces one step by a mistaken one."""
    z, a = forward(x, W, b)
    slope = slope or (lambda z, a: sigmoid_prime(z))
    back = back or (lambda W, delta: W.T @ delta)
    outer = outer or (lambda delta, z, a, layer: np.outer(delta, a[layer - 1]))
    output = output or (lambda a, y: a - y)
    dW, db = [None] * len(W), [None] * len(W)
    for layer in range(len(W) - 1, 0, -1):
        last = layer == len(W) - 1
        arriving = output(a[-1], y) if last else back(W[layer + 1], db[layer + 1])
        db[layer] = arriving * slope(z[layer], a[layer])
        dW[layer] = outer(db[layer], z, a, layer)
    return dW, db


def backprop_recursive(x, y, W, b):
    """Differ in everything: recursion, columns, tanh, lists without the leading None."""

    def send(a, layers):
        if not layers:
            return [], a - y[:, None]
        (w, c), *rest = layers
        out = 0.5 * (1 + np.tanh((w @ a + c[:, None]) / 2))
        later, arriving = send(out, rest)
        error = arriving * out * (1 - out)
        return [(error @ a.T, error[:, 0]), *later], w.T @ error

    pairs, _ = send(x[:, None], list(zip(W[1:], b[1:], strict=True)))
    return tuple(list(part) for part in zip(*pairs, strict=True))


@pytest.mark.parametrize("solution", [backprop, backprop_recursive])
def test_right_forms_of_the_whole_backward_pass_are_accepted(solution):
    verdict = check_backprop_loops(solution)
    assert verdict.passed
    assert verdict.message.startswith("Correct:")


def one_path(W, delta):
    return W[0] * delta[0]


def overwritten(W, delta):
    for row, error in zip(W, delta, strict=True):
        arriving = row * error  # = in the place of +=
    return arriving


def square_without_transpose(W, delta):
    return W @ delta if W.shape[0] == W.shape[1] else W.T @ delta


def transposed(delta, z, a, layer):
    return np.outer(a[layer - 1], delta)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"output": lambda a, y: y - a}, r"db\[3\]: the sign is wrong"),
        ({"output": lambda a, y: 2 * (a - y)}, r"db\[3\]: .* too large by the factor 2"),
        ({"slope": lambda z, a: 1.0}, r"db\[3\]: the factor σ′\(z\) is missing"),
        ({"slope": lambda z, a: sigmoid_prime(a)}, r"db\[3\]: σ′ is taken at a, not at z"),
        ({"slope": lambda z, a: sigmoid_prime(z) ** 2}, r"db\[3\]: σ′\(z\) is applied twice"),
        ({"back": one_path}, r"db\[2\]: only one path"),
        ({"back": overwritten}, r"db\[2\]: only the last path is left: add to the sum"),
        ({"back": square_without_transpose}, r"db\[1\]: a transpose is missing"),
        ({"outer": transposed}, r"dW\[3\]: .* shape \(3, 2\), expected \(2, 3\).* transposed"),
        (
            {"outer": lambda delta, z, a, layer: np.outer(delta, a[layer])},
            r"dW\[3\]: the activation is that of this layer",
        ),
        (
            {"outer": lambda d, z, a, layer: np.outer(d, a[0] if layer == 1 else z[layer - 1])},
            r"dW\[3\]: the weight is multiplied by z",
        ),
    ],
)
def test_mistakes_of_the_backward_pass_are_named(mistake, message):
    verdict = check_backprop_loops(lambda *args: backprop(*args, **mistake))
    assert verdict.message.startswith("Not yet: with sizes [2, 3, 3, 2]")
    assert_says(verdict, message)


def transposed_where_square(delta, z, a, layer):
    right = np.outer(delta, a[layer - 1])
    return right.T if right.shape[0] == right.shape[1] else right


def own_activation_where_square(delta, z, a, layer):
    fits = a[layer].shape == a[layer - 1].shape
    return np.outer(delta, a[layer] if fits else a[layer - 1])


@pytest.mark.parametrize(
    ("outer", "message"),
    [
        (transposed_where_square, r"dW\[2\]: the answer is transposed"),
        (own_activation_where_square, r"dW\[2\]: the activation is that of this layer"),
    ],
)
def test_mistakes_that_fit_a_square_layer_are_named(outer, message):
    assert_says(check_backprop_loops(lambda *args: backprop(*args, outer=outer)), message)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda *args: None, r"return the two lists dW, db"),
        (lambda *args: ([], []), r"dW is 0 entries, expected a list"),
        (lambda *args: (backprop(*args)[0], np.zeros(3)), r"db is ndarray, expected a list"),
        (lambda *args: ([None] * 4, [None] * 4), r"db\[3\] is None, expected .* shape \(2,\)"),
        (lambda x: x, r"your function raises TypeError"),
    ],
)
def test_answers_of_another_form_are_told_what_is_expected(answer, message):
    assert_says(check_backprop_loops(answer), message)


def tanh_error(W, delta, z):
    return (W.T @ delta) * (1 - np.tanh(z) ** 2)


def tanh_error_by_loops(W, delta, z):
    paths = [sum(w * d for w, d in zip(column, delta, strict=True)) for column in W.T]
    return [p / np.cosh(value) ** 2 for p, value in zip(paths, z, strict=True)]


@pytest.mark.parametrize("solution", [tanh_error, tanh_error_by_loops])
def test_right_errors_of_a_tanh_layer_are_accepted(solution):
    assert check_tanh_error(solution).passed


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda W, d, z: -tanh_error(W, d, z), r"the sign is wrong"),
        (lambda W, d, z: 2 * tanh_error(W, d, z), r"too large by the factor 2"),
        (lambda W, d, z: W.T @ d, r"the factor tanh′\(z\) is missing"),
        (lambda W, d, z: (W.T @ d) * sigmoid_prime(z), r"derivative of the sigmoid"),
        (lambda W, d, z: (W.T @ d) * (1 - z**2), r"1 − z² needs the activation"),
        (lambda W, d, z: (W.T @ d) * (1 - np.tanh(np.tanh(z)) ** 2), r"taken at a, not at z"),
        (lambda W, d, z: (W.T @ d) * np.tanh(z), r"not by its derivative"),
        (lambda W, d, z: (W.T @ d) * (1 - np.tanh(z)), r"the square is missing"),
        (lambda W, d, z: one_path(W, d) * (1 - np.tanh(z) ** 2), r"only one path"),
        (lambda W, d, z: overwritten(W, d) * (1 - np.tanh(z) ** 2), r"only the last path is left"),
        (lambda W, d, z: square_without_transpose(W, d) * (1 - np.tanh(z) ** 2), r"transpose"),
        (lambda W, d, z: tanh_error(W, d, z)[:, None], r"shape \(4, 1\), expected \(4,\)"),
        (lambda W, d, z: W @ d, r"your function raises ValueError"),
    ],
)
def test_mistakes_of_a_tanh_layer_are_named(answer, message):
    assert_says(check_tanh_error(answer), message)


def mean_weight_gradient(Delta, A):
    return sum(np.outer(d, a) for d, a in zip(Delta, A, strict=True)) / len(A)


@pytest.mark.parametrize("solution", [mean_weight_gradient, lambda D, A: D.T @ A / len(D)])
def test_right_mean_gradients_are_accepted(solution):
    assert check_mean_weight_gradient(solution).passed


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda D, A: D.T @ A, r"too large by the factor N, the number of samples"),
        (lambda D, A: D.T @ A / len(D) ** 2, r"too small by the factor N"),
        (lambda D, A: D.T @ A / D.shape[1], r"divide by N, the number of rows"),
        (lambda D, A: D[:, :, None] * A[:, None], r"gradients of all samples; take their mean"),
        (lambda D, A: -D.T @ A / len(D), r"the sign is wrong"),
        (lambda D, A: A.T @ D / len(D), r"transposed"),
        (lambda D, A: np.outer(D.mean(axis=0), A.mean(axis=0)), r"outer product of two means"),
        (lambda D, A: np.outer(D[0], A[0]), r"the first sample only"),
        (lambda D, A: np.outer(D[-1], A[-1]) / len(D), r"the last sample only"),
        (lambda D, A: (D.T @ A / len(D)).ravel(), r"shape \(9,\), expected \(3, 3\)"),
        (lambda D, A: None, r"returns nothing"),
    ],
)
def test_mistakes_of_the_mean_gradient_are_named(answer, message):
    assert_says(check_mean_weight_gradient(answer), message)


@pytest.mark.parametrize(
    "check", [check_backprop_loops, check_tanh_error, check_mean_weight_gradient]
)
def test_an_unsolved_exercise_is_neither_right_nor_wrong(check):
    def stub(*args):
        raise NotImplementedError

    assert check(stub).passed is None
