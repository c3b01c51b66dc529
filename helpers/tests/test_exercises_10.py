"""Checks of notebook 10: right answers pass, each usual mistake is named."""

import numpy as np
import pytest

from helpers import exercises


def l2(grads, params, strength):
    return {n: g + (strength * params[n] if n.startswith("W") else 0) for n, g in grads.items()}


def drop(A, keep, rng):
    mask = (rng.random(A.shape) < keep) / keep
    return A * mask, mask


def in_place(grads, params, strength):
    for name in ("W1", "W2"):
        grads[name] += strength * params[name]
    return grads


def test_l2_gradients_accepts_the_right_answer():
    assert exercises.check_l2_gradients(l2).passed


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda g, p, s: g, "penalty is missing"),
        (lambda g, p, s: {n: g[n] + s * p[n] for n in g}, "biases are not penalised"),
        (lambda g, p, s: l2(g, p, 2 * s), "2λw"),
        (lambda g, p, s: l2(g, p, s / 2), "without a ½"),
        (lambda g, p, s: l2(g, p, -s), "sign"),
        (in_place, "changed the grads"),
        (lambda g, p, s: None, "return a dict"),
        (lambda g, p, s: {"W1": g["W1"]}, "return a dict"),
    ],
)
def test_l2_gradients_names_the_mistake(wrong, word):
    verdict = exercises.check_l2_gradients(wrong)
    assert verdict.passed is False
    assert word in verdict.message


def test_dropout_accepts_the_right_answer():
    assert exercises.check_dropout(drop).passed


def fixed_mask(A, keep, rng):
    return drop(A, keep, np.random.default_rng(1))


def changes_its_input(A, keep, rng):
    mask = (rng.random(A.shape) < keep) / keep
    A *= mask
    return A, mask


def per_unit(A, keep, rng):
    mask = (rng.random(A.shape[1]) < keep) / keep
    return A * mask, mask


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda A, keep, rng: drop(A, 1 - keep or 1.0, rng), "probability to stay"),
        (lambda A, keep, rng: (drop(A, keep, rng)[0], drop(A, keep, rng)[1]), "times the mask"),
        (lambda A, keep, rng: (A * (m := rng.random(A.shape) < keep), m), "1/keep"),
        (lambda A, keep, rng: drop(A, keep, rng)[0], "return the pair"),
        (fixed_mask, "same mask"),
        (changes_its_input, "changed A"),
        (per_unit, "a draw for each activation"),
    ],
)
def test_dropout_names_the_mistake(wrong, word):
    verdict = exercises.check_dropout(wrong)
    assert verdict.passed is False
    assert word in verdict.message


@pytest.mark.parametrize("name", ["check_l2_gradients", "check_dropout"])
def test_an_unsolved_exercise_is_neither_passed_nor_failed(name):
    def stub(*_):
        raise NotImplementedError

    assert getattr(exercises, name)(stub).passed is None
