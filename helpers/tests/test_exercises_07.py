"""The checks behind the exercises of notebook 07: right answers pass, wrong ones are named."""

import numpy as np
import pytest

from helpers import exercises


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def of_class_one(z, y):
    """Return the cost of each sample, its logits kept small enough for the plain formula."""
    p = sigmoid(z)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def clipped(z, y):
    p = np.clip(1 / (1 + np.exp(-np.clip(z, -700, 700))), 1e-15, 1 - 1e-15)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def unsolved(*args):
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer",
    [
        lambda z, y: np.mean(np.logaddexp(0, z) - y * z),
        lambda z, y: np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))),
        lambda z, y: np.logaddexp(0, np.where(y == 1, -z, z)).mean(),
        lambda z, y: (
            sum(float(np.logaddexp(0, (1 - 2 * b) * a)) for a, b in zip(z, y, strict=True)) / len(z)
        ),
    ],
)
def test_binary_cross_entropy_accepts_every_stable_form(answer):
    verdict = exercises.check_binary_cross_entropy(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (of_class_one, "this is one cost per sample"),
        (lambda z, y: of_class_one(z, y).sum(), "too large by the factor N"),
        (lambda z, y: -of_class_one(z, y).mean(), "the sign is wrong"),
        (lambda z, y: of_class_one(z, 1 - y).mean(), "the labels are exchanged"),
        (lambda z, y: -np.mean(y * np.log(sigmoid(z))), "only the samples of class 1"),
        (lambda z, y: np.exp(-of_class_one(z, y).sum()), "this is the likelihood"),
        (lambda z, y: np.mean((sigmoid(z) - y) ** 2), "mean squared error"),
        (lambda z, y: np.mean(np.log(len(z) + np.exp(z).sum()) - y * z), "over the whole batch"),
        (lambda z, y: np.mean(np.logaddexp(0, z) + y * z), "subtracted, not added"),
        (lambda z, y: of_class_one(z, y).mean() / np.log(2), "use the natural log"),
        (lambda z, y: of_class_one(z, y).mean(), "e¹⁰⁰⁰ must never be formed"),
        (lambda z, y: np.mean(np.log(1 + np.exp(z)) - y * z), "e¹⁰⁰⁰ must never be formed"),
        (clipped, "Is a probability clipped"),
        (lambda z, y: None, "the function returns nothing"),
        (lambda z, y: z @ np.ones(3), "your function raises ValueError"),
    ],
)
def test_binary_cross_entropy_names_the_mistake(answer, message):
    verdict = exercises.check_binary_cross_entropy(answer)
    assert verdict.passed is False
    assert message in verdict.message


@pytest.mark.parametrize(
    "answer",
    [
        lambda P, V: P * (V - (P * V).sum(axis=1, keepdims=True)),
        lambda P, V: P * V - P * np.einsum("nj,nj->n", P, V)[:, None],
        lambda P, V: np.stack(
            [(np.diag(p) - np.outer(p, p)) @ v for p, v in zip(P, V, strict=True)]
        ),
    ],
)
def test_softmax_back_accepts_every_right_form(answer):
    verdict = exercises.check_softmax_back(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda P, V: P * (1 - P) * V, "the one-path rule"),
        (lambda P, V: P * V, "J is not diag"),
        (lambda P, V: -P * (P * V).sum(axis=1, keepdims=True), "diag(ŷ) is missing"),
        (lambda P, V: P * (V - V.sum(axis=1, keepdims=True)), "the sum lacks ŷ"),
        (lambda P, V: P * V - (P * V).sum(axis=1, keepdims=True), "must be multiplied by ŷₖ"),
        (lambda P, V: P * (V - (P * V).mean(axis=1, keepdims=True)), "not their mean"),
        (lambda P, V: P * (V - (P * V).sum(axis=0)), "runs over the samples"),
        (lambda P, V: P * (V - (P * V).sum()), "runs over the whole batch"),
        (lambda P, V: P * (V - (P * V).sum(axis=1)), "keepdims=True"),
        (lambda P, V: P * (V - P @ V.T), "pairs every sample with every other"),
        (lambda P, V: P * ((P * V).sum(axis=1, keepdims=True) - V), "the sign is wrong"),
        (
            lambda P, V: P * (V - (P * V).sum(axis=1, keepdims=True)) / len(P),
            "too small by the factor N",
        ),
        (lambda P, V: np.einsum("nj,nk->njk", P, V), "the answer has shape (3, 3, 3)"),
    ],
)
def test_softmax_back_names_the_mistake(answer, message):
    verdict = exercises.check_softmax_back(answer)
    assert verdict.passed is False
    assert message in verdict.message


@pytest.mark.parametrize(
    "check", [exercises.check_binary_cross_entropy, exercises.check_softmax_back]
)
def test_an_unsolved_exercise_says_so(check):
    verdict = check(unsolved)
    assert verdict.passed is None
    assert "Not solved yet" in verdict.message
