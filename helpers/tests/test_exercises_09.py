"""The checks behind the exercises of notebook 09: right answers pass, wrong ones are named."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from helpers import exercises


def unsolved(*args):
    raise NotImplementedError


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def scores(X, means):
    return X @ means.T - (means**2).sum(axis=1) / 2


@pytest.mark.parametrize(
    "check",
    [exercises.check_leaky_errors, exercises.check_posterior, exercises.check_calibration_error],
)
def test_an_unsolved_exercise_neither_passes_nor_fails(check):
    verdict = check(unsolved)
    assert verdict.passed is None
    assert "NotImplementedError" in verdict.message


@pytest.mark.parametrize(
    "answer",
    [
        lambda D, U, Z, alpha: (D @ U) * np.where(Z > 0, 1.0, alpha),
        lambda D, U, Z, alpha: [
            (U.T @ d) @ np.diag(1 - (1 - alpha) * (z < 0)) for d, z in zip(D, Z, strict=True)
        ],
    ],
)
def test_leaky_errors_accepts_every_right_form(answer):
    verdict = exercises.check_leaky_errors(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda D, U, Z, alpha: (D @ U) * (Z > 0), "this is the plain ReLU"),
        (lambda D, U, Z, alpha: (D @ U) * np.where(Z > 0, alpha, 1), "the slopes are exchanged"),
        (lambda D, U, Z, alpha: D @ U, "the slope of the activation is missing"),
        (lambda D, U, Z, alpha: (D @ U) * np.where(Z > 0, Z, alpha * Z), "not by the activation"),
        (lambda D, U, Z, alpha: np.where(D @ U > 0, D @ U, alpha * (D @ U)), "not the error"),
        (lambda D, U, Z, alpha: (D @ U) * np.where(Z > 0, 1, -alpha), "the slope is +alpha"),
        (lambda D, U, Z, alpha: (D @ U) * np.where(Z > 0, 1, alpha * Z), "not alpha times z"),
        (lambda D, U, Z, alpha: ((D @ U) * np.where(Z > 0, 1, alpha)).T, "transposed"),
        (lambda D, U, Z, alpha: -(D @ U) * np.where(Z > 0, 1, alpha), "the sign is wrong"),
        (lambda D, U, Z, alpha: (D @ U) * np.where(Z > 0, 1, alpha) / len(D), "too small by the"),
        (lambda D, U, Z, alpha: (D @ U.T) * np.where(Z > 0, 1, alpha), "raises ValueError"),
    ],
)
def test_leaky_errors_names_the_mistake(answer, message):
    verdict = exercises.check_leaky_errors(answer)
    assert verdict.passed is False
    assert verdict.message.startswith("Not yet:")
    assert message in verdict.message


@pytest.mark.parametrize("compare", [np.greater, np.greater_equal])
def test_leaky_errors_leaves_the_slope_at_zero_open(compare):
    def answer(D, U, Z, alpha):
        return (D @ U) * np.where(compare(Z, 0), 1, alpha)

    assert exercises.check_leaky_errors(answer).passed


@pytest.mark.parametrize(
    ("slope", "shown"),
    [
        (lambda Z, alpha: np.where(Z > 0, Z, alpha * Z) / Z, "yours is nan"),
        (lambda Z, alpha: 1.0 * (Z > 0) + alpha * (Z < 0), "yours is 0."),
    ],
)
def test_leaky_errors_says_where_the_activation_has_no_derivative(slope, shown):
    verdict = exercises.check_leaky_errors(lambda D, U, Z, alpha: (D @ U) * slope(Z, alpha))
    assert verdict.passed is False
    assert "not differentiable at z = 0" in verdict.message
    assert shown in verdict.message


@pytest.mark.parametrize(
    ("odd", "words"), [("one", "the answer is 'one'"), (np.ones(2), "the answer is array")]
)
def test_leaky_errors_reports_another_form_at_zero(odd, words):
    def answer(D, U, Z, alpha):
        return (D @ U) * np.where(Z > 0, 1, alpha) if Z.any() else odd

    assert words in exercises.check_leaky_errors(answer).message


def test_leaky_errors_reports_an_exception_at_zero():
    def answer(D, U, Z, alpha):
        return [[(d @ U)[k] * (1 if z > 0 else alpha if z < 0 else 1 // 0)
                 for k, z in enumerate(row)] for d, row in zip(D, Z, strict=True)]  # fmt: skip

    assert "at z = 0 your function raises Zero" in exercises.check_leaky_errors(answer).message


def test_leaky_errors_finds_a_transposed_square_matrix():
    def answer(D, U, Z, alpha):
        return (D @ (U.T if len(U) == len(U.T) else U)) * np.where(Z > 0, 1, alpha)

    assert "U is transposed" in exercises.check_leaky_errors(answer).message


def posterior_by_densities(X, means, sd, prior):
    covariance = sd**2 * np.eye(X.shape[1])
    joint = [
        q * np.atleast_1d(multivariate_normal(m, covariance).pdf(X))
        for q, m in zip(prior, means, strict=True)
    ]
    return (joint / np.sum(joint, axis=0)).T


def normalised_over_isolates(X, means, sd, prior):
    squares = ((X[:, None] - means) ** 2).sum(axis=2)
    joint = prior * np.exp(-squares / (2 * sd**2))
    return joint / joint.sum(axis=0)


@pytest.mark.parametrize(
    "answer",
    [
        lambda X, means, sd, prior: softmax(scores(X, means) / sd**2 + np.log(prior)),
        posterior_by_densities,
    ],
)
def test_posterior_accepts_every_right_form(answer):
    verdict = exercises.check_posterior(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda X, m, sd, q: softmax(scores(X, m) / sd**2), "the prior is missing"),
        (lambda X, m, sd, q: softmax(scores(X, m) / sd**2 + q), "add the logarithm of the prior"),
        (lambda X, m, sd, q: softmax(scores(X, m) / sd + np.log(q)), "divide by the variance"),
        (lambda X, m, sd, q: softmax(X @ m.T / sd**2 + np.log(q)), "the term −‖µ‖²/2 is missing"),
        (
            lambda X, m, sd, q: softmax((X @ m.T - (m**2).sum(axis=1)) / sd**2 + np.log(q)),
            "the ½ of ‖µ‖² is missing",
        ),
        (lambda X, m, sd, q: softmax((scores(X, m) + np.log(q)) / sd**2), "must not be divided"),
        (
            lambda X, m, sd, q: np.log(softmax(scores(X, m) / sd**2 + np.log(q))),
            "the logarithms of the probabilities",
        ),
        (
            lambda X, m, sd, q: softmax(2 * scores(X, m) / sd**2 + np.log(q)),
            "the ½ of the exponent is missing",
        ),
        (lambda X, m, sd, q: scores(X, m) / sd**2 + np.log(q), "these are the logits"),
        (lambda X, m, sd, q: q * softmax(scores(X, m) / sd**2), "no longer add up to 1"),
        (normalised_over_isolates, "the sum runs over the isolates"),
        (lambda X, m, sd, q: posterior_by_densities(X, m, sd, q).T, "It looks transposed"),
        (
            lambda X, m, sd, q: (
                q * np.exp(-((X[:, None] - m) ** 2).sum(axis=2) / (2 * sd**2))
                / (2 * np.pi * sd**2) ** (X.shape[1] / 2)
            ),
            "divide by their sums",
        ),
    ],
)  # fmt: skip
def test_posterior_names_the_mistake(answer, message):
    verdict = exercises.check_posterior(answer)
    assert verdict.passed is False
    assert verdict.message.startswith("Not yet:")
    assert message in verdict.message


def bins_of(confidence, edges):
    """Return the members of every bin, the last one closed."""
    above = [confidence >= low for low in edges[:-1]]
    below = [confidence < high for high in edges[1:-1]] + [confidence <= edges[-1]]
    return [np.flatnonzero(a & b) for a, b in zip(above, below, strict=True)]


def gaps_of(confidence, correct, edges):
    """Return mean confidence minus share correct, and count, of every bin that is not empty."""
    members = [m for m in bins_of(confidence, edges) if len(m)]
    gaps = np.array([confidence[m].mean() - correct[m].mean() for m in members])
    return gaps, np.array([len(m) for m in members])


def error_by_bincount(confidence, correct, edges):
    which = np.clip(np.digitize(confidence, edges) - 1, 0, len(edges) - 2)
    return np.abs(np.bincount(which, weights=confidence - correct)).sum() / len(confidence)


def error_by_means(confidence, correct, edges):
    gaps, counts = gaps_of(confidence, correct, edges)
    return sum(n / len(confidence) * abs(g) for g, n in zip(gaps, counts, strict=True))


@pytest.mark.parametrize("answer", [error_by_bincount, error_by_means])
def test_calibration_error_accepts_every_right_form(answer):
    verdict = exercises.check_calibration_error(answer)
    assert verdict.passed, verdict


def signed(confidence, correct, edges):
    gaps, counts = gaps_of(confidence, correct, edges)
    return gaps @ counts / len(confidence)


def of_middles(confidence, correct, edges):
    members = bins_of(confidence, edges)
    middles = (edges[1:] + edges[:-1]) / 2
    return sum(
        len(m) / len(confidence) * abs(middle - correct[m].mean())
        for m, middle in zip(members, middles, strict=True)
        if len(m)
    )


def squared(confidence, correct, edges):
    gaps, counts = gaps_of(confidence, correct, edges)
    return gaps**2 @ counts / len(confidence)


def without_upper_edge(confidence, correct, edges):
    which = np.digitize(confidence, edges) - 1
    excess = np.bincount(which, weights=confidence - correct, minlength=len(edges))
    return np.abs(excess[: len(edges) - 1]).sum() / len(confidence)


def with_a_bin_for_the_edge(confidence, correct, edges):
    excess = np.bincount(np.digitize(confidence, edges) - 1, weights=confidence - correct)
    return np.abs(excess).sum() / len(confidence)


def with_empty_bins_averaged(confidence, correct, edges):
    with np.errstate(invalid="ignore"):
        return np.sum([
            abs(np.divide((confidence - correct)[m].sum(), len(m))) * len(m)
            for m in bins_of(confidence, edges)
        ])  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (signed, "the signs cancel"),
        (lambda *a: abs(signed(*a)), "bin by bin"),
        (lambda *a: np.abs(gaps_of(*a)[0]).mean(), "weight each bin by its count"),
        (lambda *a: np.abs(gaps_of(*a)[0]).max(), "this is the largest gap"),
        (of_middles, "not its middle"),
        (with_a_bin_for_the_edge, "not to one of its own"),
        (squared, "the gaps are squared"),
        (lambda c, ok, edges: np.abs(c - ok).mean(), "not single answers"),
        (without_upper_edge, "at the upper edge of the last bin is lost"),
        (with_empty_bins_averaged, "not finite"),
        (lambda *a: len(a[0]) * error_by_means(*a), "too large by the factor N"),
    ],
)
def test_calibration_error_names_the_mistake(answer, message):
    verdict = exercises.check_calibration_error(answer)
    assert verdict.passed is False
    assert verdict.message.startswith("Not yet:")
    assert message in verdict.message
