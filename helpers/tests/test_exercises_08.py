"""The checks of notebook 08 accept what is right and name what is wrong."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from helpers import exercises


def unsolved(*args):
    raise NotImplementedError


# --- two classes, one sigmoid -----------------------------------------------------------------


def both(p):
    """Return the columns of class 0 and class 1 from the probability of class 1."""
    return np.column_stack([1 - p, p])


def solution(Z):
    difference = Z[:, 1] - Z[:, 0]
    return np.column_stack([expit(-difference), expit(difference)])


def by_tanh(Z):
    return 0.5 + np.tanh((Z - Z[:, ::-1]) / 2) / 2


@pytest.mark.parametrize("answer", [solution, by_tanh, lambda Z: softmax(Z, axis=1)])
def test_two_class_probabilities_accepts_every_correct_form(answer):
    verdict = exercises.check_two_class_probabilities(answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda Z: expit(Z[:, 1] - Z[:, 0]), "return both"),
        (lambda Z: solution(Z)[:, ::-1], "exchanged"),
        (expit, "sigmoid of its own"),
        (lambda Z: both(expit(Z[:, 1])), "class 0 is left out"),
        (lambda Z: solution(Z).T, "transposed"),
        (lambda Z: Z - Z[:, ::-1], "sigmoid is missing"),
        (lambda Z: np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True), "overflow"),
        (lambda Z: both(1 / (1 + np.exp(Z[:, 0] - Z[:, 1]))), "overflow"),
        (lambda Z: log_softmax(Z, axis=1), "logarithms of the probabilities"),
        (lambda Z: None, "return"),
        (lambda Z: Z[:, 2], "IndexError"),
    ],
)
def test_two_class_probabilities_names_the_mistake(answer, words):
    verdict = exercises.check_two_class_probabilities(answer)
    assert verdict.passed is False
    assert words in verdict.message


# --- Nesterov's step --------------------------------------------------------------------------


def nesterov(theta, v, gradient, rate, momentum, *, ahead=1.0, decay=True, sign=1):
    """Take the step, with one switch for each mistake under test."""
    slope = gradient(theta + ahead * momentum * v)
    v = (momentum if decay else 1) * v - sign * rate * slope
    return theta + v, v


def shifted(theta, v, gradient, rate, momentum):
    """Do the same in other words: move to the point ahead first, then descend from there."""
    ahead = theta + momentum * v
    new = ahead - rate * gradient(ahead)
    return new, new - theta


def in_place(theta, v, gradient, rate, momentum):
    v *= momentum
    v -= rate * gradient(theta + v)
    theta += v
    return theta, v


def ahead_by_all_of_v(theta, v, gradient, rate, momentum):
    v = momentum * v - rate * gradient(theta + v)
    return theta + v, v


def from_ahead(theta, v, gradient, rate, momentum):
    new = nesterov(theta, v, gradient, rate, momentum)[1]
    return theta + momentum * v + new, new


@pytest.mark.parametrize("answer", [nesterov, shifted, lambda *a: np.array(nesterov(*a))])
def test_nesterov_step_accepts_every_correct_form(answer):
    verdict = exercises.check_nesterov_step(answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *a: nesterov(*a, ahead=0), "classical momentum"),
        (lambda *a: nesterov(*a, ahead=-1), "backward"),
        (ahead_by_all_of_v, "too far"),
        (lambda *a: nesterov(*a, decay=False), "does not decay"),
        (lambda *a: nesterov(*a, sign=-1), "descent subtracts"),
        (from_ahead, "starts at theta"),
        (lambda t, v, *a: (t + v, nesterov(t, v, *a)[1]), "old velocity"),
        (lambda *a: nesterov(*a)[::-1], "theta first"),
        (lambda *a: nesterov(*a)[0], "return the pair"),
        (in_place, "changes the arrays"),
        (lambda *a: None, "return the pair"),
        (lambda *a: np.array(1.0), "return the pair"),
        (lambda theta, v: (theta, v), "TypeError"),
    ],
)
def test_nesterov_step_names_the_mistake(answer, words):
    verdict = exercises.check_nesterov_step(answer)
    assert verdict.passed is False
    assert words in verdict.message


@pytest.mark.parametrize(
    "check", [exercises.check_two_class_probabilities, exercises.check_nesterov_step]
)
def test_an_unsolved_exercise_is_no_mistake(check):
    assert check(unsolved).passed is None
