"""The checks of notebooks 02 and 03 accept what is right and name what is wrong."""

import numpy as np
import pytest

from helpers import exercises


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def unsolved(*args):
    raise NotImplementedError


def nothing(*args):
    return None


# --- one layer back ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda w, d, z: w * d * sigmoid_prime(z),
        lambda w, d, z: d * w * np.exp(-z) / (1 + np.exp(-z)) ** 2,
        lambda w, d, z: np.array(w * d / (2 + 2 * np.cosh(z))),
    ],
)
def test_error_one_layer_back_accepts_every_correct_form(answer):
    verdict = exercises.check_error_one_layer_back(answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda w, d, z: w * d, "one step short"),
        (lambda w, d, z: d * sigmoid_prime(z), "weight is missing"),
        (lambda w, d, z: w * d * sigmoid(z), "where σ'"),
        (lambda w, d, z: w * d * sigmoid_prime(sigmoid(z)), "taken at a"),
        (lambda w, d, z: w * d * z * (1 - z), "not a slope"),
        (lambda w, d, z: w * d * (1 - np.tanh(z) ** 2), "derivative of tanh"),
        (lambda w, d, z: w * d / sigmoid_prime(z), "divided"),
        (lambda w, d, z: w * d + sigmoid_prime(z), "none is added"),
        (lambda w, d, z: -w * d * sigmoid_prime(z), "sign"),
        (nothing, "return"),
        (lambda w, d: w * d, "TypeError"),
    ],
)
def test_error_one_layer_back_names_the_mistake(answer, words):
    verdict = exercises.check_error_one_layer_back(answer)
    assert verdict.passed is False
    assert words in verdict.message


# --- backprop_1d ------------------------------------------------------------------------------


def backprop_1d(
    x,
    y,
    weights,
    biases,
    *,
    prime=lambda z, a: sigmoid_prime(z),
    output_slope=True,
    hidden_slope=True,
    weight_shift=1,
    slope_shift=0,
    activation_shift=0,
):
    """Return (dw, db), with one switch for each mistake under test."""
    a, z = [x], []
    for w, b in zip(weights, biases, strict=True):
        z.append(w * a[-1] + b)
        a.append(sigmoid(z[-1]))
    last = len(weights) - 1
    delta = [0.0] * (last + 1)
    delta[last] = (a[-1] - y) * (prime(z[-1], a[-1]) if output_slope else 1)
    for i in range(last - 1, -1, -1):
        delta[i] = weights[i + weight_shift] * delta[i + 1]
        at = i + slope_shift
        delta[i] *= prime(z[at], a[at + 1]) if hidden_slope else 1
    return [d * a[i + activation_shift] for i, d in enumerate(delta)], delta


def by_differences(x, y, weights, biases):
    """Measure the same slopes: a correct answer that shares no line with the other."""

    def cost(p):
        a = x
        for w, b in p.reshape(2, -1).T:
            a = sigmoid(w * a + b)
        return 0.5 * (a - y) ** 2

    p = np.array([*weights, *biases])
    h = 1e-6 * np.eye(len(p))
    return np.array([(cost(p + s) - cost(p - s)) / 2e-6 for s in h]).reshape(2, -1)


@pytest.mark.parametrize("answer", [backprop_1d, by_differences])
def test_backprop_1d_accepts_every_correct_form(answer):
    verdict = exercises.check_backprop_1d(answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *p: backprop_1d(*p, output_slope=False), "BP1"),
        (lambda *p: backprop_1d(*p, hidden_slope=False), "BP2 lacks"),
        (lambda *p: backprop_1d(*p, weight_shift=0), "weight of its own layer"),
        (lambda *p: backprop_1d(*p, slope_shift=1), "the layer the error comes from"),
        (lambda *p: backprop_1d(*p, prime=lambda z, a: sigmoid_prime(a)), "taken at a"),
        (lambda *p: backprop_1d(*p, activation_shift=1), "BP4 multiplies"),
        (lambda *p: (backprop_1d(*p)[1],) * 2, "lack the activation"),
        (lambda *p: (backprop_1d(*p)[0],) * 2, "BP3"),
        (lambda *p: tuple(g[::-1] for g in backprop_1d(*p)), "first layer first"),
        (lambda *p: backprop_1d(*p)[::-1], "swapped"),
        (lambda *p: -np.array(backprop_1d(*p)), "sign"),
        (lambda *p: 2 * np.array(backprop_1d(*p)), "half"),
        (lambda *p: backprop_1d(*p)[0], "shape"),
        (lambda *p: {"dw": 1}, "dict"),
        (lambda *p: ([1.0, 2.0], [1.0]), "tuple"),
        (nothing, "return"),
    ],
)
def test_backprop_1d_names_the_mistake(answer, words):
    verdict = exercises.check_backprop_1d(answer)
    assert verdict.passed is False
    assert words in verdict.message


def test_backprop_1d_is_not_fooled_by_slopes_too_small_to_notice():
    """A first layer of zeros is wrong, though its slopes are small."""

    def lazy(*p):
        dw, db = backprop_1d(*p)
        return [0.0 if i == 0 and len(dw) == 5 else v for i, v in enumerate(dw)], db

    assert exercises.check_backprop_1d(lazy).passed is False


def test_backprop_1d_reports_the_slopes_as_they_are():
    def off(*p):
        dw, db = backprop_1d(*p)
        return [123.5, *dw[1:]], db

    assert "entry [0, 0] is 123.5, expected " in exercises.check_backprop_1d(off).message


# --- layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda X, W, b: X @ W.T + b,
        lambda X, W, b: np.einsum("nk,jk->nj", X, W) + b[None, :],
        lambda X, W, b: [[w @ x + c for w, c in zip(W, b, strict=True)] for x in X],
    ],
)
def test_layer_accepts_every_correct_form(answer):
    verdict = exercises.check_layer(answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda X, W, b: X @ W + b, "transpose is missing"),
        (lambda X, W, b: W @ X + b, "two factors are exchanged"),
        (lambda X, W, b: W @ X.T + b, "a column per sample"),
        (lambda X, W, b: X @ W.T, "bias is missing"),
        (lambda X, W, b: X @ W.T + b[:, None], "down the rows"),
        (lambda X, W, b: sigmoid(X @ W.T + b), "pre-activation"),
        (lambda X, W, b: (X @ W.T + b).T, "rows must be samples"),
        (lambda X, W, b: X * W.T + b, "entry by entry"),
        (lambda X, W, b: X @ W.T - b, "subtracted"),
        (lambda X, W, b: X @ (W.T if len(X) == 3 else W) + b, "ValueError"),
        (lambda X, W, b: (X @ W.T + b)[:2], "shape"),
        (nothing, "return"),
    ],
)
def test_layer_names_the_mistake(answer, words):
    verdict = exercises.check_layer(answer)
    assert verdict.passed is False
    assert words in verdict.message


# --- collapse ---------------------------------------------------------------------------------


def collapse(W, b):
    W_star, b_star = W[1], b[1]
    for matrix, vector in zip(W[2:], b[2:], strict=True):
        W_star, b_star = matrix @ W_star, matrix @ b_star + vector
    return W_star, b_star


def collapse_augmented(W, b):
    """Multiply augmented matrices: the bias rides along as one more column."""
    total = np.eye(W[1].shape[1] + 1)
    for matrix, vector in zip(W[1:], b[1:], strict=True):
        below = np.append(np.zeros(matrix.shape[1]), 1)
        total = np.vstack([np.column_stack([matrix, vector]), below]) @ total
    return [total[:-1, :-1], total[:-1, -1]]


def collapse_in_place(W, b):
    """Change what was handed over, as `+=` does."""
    W_star, b_star = W[-1], b[-1]
    for layer in range(len(W) - 2, 0, -1):
        b_star += W_star @ b[layer]
        W_star = W_star @ W[layer]
    return W_star, b_star


@pytest.mark.parametrize("answer", [collapse, collapse_augmented, collapse_in_place])
def test_collapse_accepts_every_correct_form(answer):
    verdict = exercises.check_collapse(answer)
    assert verdict.passed, verdict.message


def in_layer_order(W, b):
    product = W[1]
    for matrix in W[2:]:
        product = product @ matrix
    return product


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda W, b: (in_layer_order(W, b), collapse(W, b)[1]), "stands on the left"),
        (lambda W, b: (collapse(W, b)[0].T, collapse(W, b)[1]), "transposed"),
        (lambda W, b: (np.prod(W[1:], axis=0), collapse(W, b)[1]), "entry by entry"),
        (lambda W, b: (collapse(W, b)[0], b[-1]), "only the last bias"),
        (lambda W, b: (collapse(W, b)[0], sum(b[1:])), "added up"),
        (lambda W, b: (collapse(W, b)[0], W[3] @ W[2] @ b[1]), "only the first bias"),
        (
            lambda W, b: (
                collapse(W, b)[0],
                W[3] @ (W[2] @ (W[1] @ b[1] + b[2]) + b[3]),
            ),
            "its own layer's weights",
        ),
        (lambda W, b: collapse(W, b)[0], "pair"),
        (lambda W, b: (*collapse(W, b), 1), "pair"),
        (nothing, "pair"),
        (lambda W, b: collapse(W[1:], b[1:])[::-1], "shape"),
    ],
)
def test_collapse_names_the_mistake(answer, words):
    verdict = exercises.check_collapse(answer)
    assert verdict.passed is False
    assert words in verdict.message


@pytest.mark.parametrize(
    "check",
    [
        exercises.check_error_one_layer_back,
        exercises.check_backprop_1d,
        exercises.check_layer,
        exercises.check_collapse,
    ],
)
def test_an_unsolved_exercise_is_neither_right_nor_wrong(check):
    assert check(unsolved).passed is None
