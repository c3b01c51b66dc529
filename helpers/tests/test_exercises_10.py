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


def l2_by_steps(grads, params, strength):
    penalised = {name: np.array(g) for name, g in grads.items()}
    for layer in (1, 2):
        penalised[f"W{layer}"] = penalised[f"W{layer}"] + params[f"W{layer}"] * strength
    return dict(reversed(penalised.items()))


@pytest.mark.parametrize("answer", [l2, l2_by_steps])
def test_l2_gradients_accepts_every_right_form(answer):
    verdict = exercises.check_l2_gradients(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda g, p, s: g, "penalty is missing"),
        (lambda g, p, s: {n: g[n] + s * p[n] for n in g}, "biases are not penalised"),
        (lambda g, p, s: l2(g, p, 2 * s), "2λw"),
        (lambda g, p, s: l2(g, p, s / 2), "without a ½"),
        (lambda g, p, s: l2(g, p, -s), "sign"),
        (lambda g, p, s: {n: s * p[n] for n in g}, "the gradient of C is not"),
        (lambda g, p, s: {n: g[n] + s / 2 * p[n] ** 2 for n in g}, "this is the penalty itself"),
        (lambda g, p, s: {n: g[n] + s / 2 * (p[n] ** 2).sum() for n in g}, "itself, one number"),
        (lambda g, p, s: {n: g[n] + s * np.sign(p[n]) for n in g}, "derivative of λ|w|"),
        (
            lambda g, p, s: {n: a.T for n, a in l2(g, p, s).items()},
            "W1: the answer has shape (4, 3)",
        ),
        (in_place, "changed the grads"),
        (lambda g, p, s: None, "the answer has NoneType, expected a dict"),
        (lambda g, p, s: {"W1": g["W1"]}, "the answer has ['W1'], expected a dict"),
    ],
)
def test_l2_gradients_names_the_mistake(wrong, word):
    verdict = exercises.check_l2_gradients(wrong)
    assert verdict.passed is False
    assert word in verdict.message


def drop_by_counts(A, keep, rng):
    mask = rng.binomial(1, keep, size=A.shape) / keep
    return [np.where(mask > 0, A / keep, 0), mask]


@pytest.mark.parametrize("answer", [drop, drop_by_counts])
def test_dropout_accepts_every_right_form(answer):
    verdict = exercises.check_dropout(answer)
    assert verdict.passed, verdict


def fixed_mask(A, keep, rng):
    return drop(A, keep, np.random.default_rng(1))


def changes_its_input(A, keep, rng):
    mask = (rng.random(A.shape) < keep) / keep
    A *= mask
    return A, mask


def per_unit(A, keep, rng):
    mask = (rng.random(A.shape[1]) < keep) / keep
    return A * mask, mask


def per_image(A, keep, rng):
    mask = np.broadcast_to((rng.random((len(A), 1)) < keep) / keep, A.shape)
    return A * mask, mask


def per_unit_repeated(A, keep, rng):
    mask = np.broadcast_to((rng.random(A.shape[1]) < keep) / keep, A.shape)
    return A * mask, mask


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (per_unit_repeated, "every image has the same mask"),
        (per_image, "all activations of an image share one draw"),
        (lambda A, keep, rng: drop(A, keep, np.random.default_rng()), "the rng that is passed"),
        (lambda A, keep, rng: drop(A, keep, rng)[::-1], "exchanged"),
        (lambda A, keep, rng: drop(A, 1 - keep or 1.0, rng), "probability to stay"),
        (lambda A, keep, rng: (drop(A, keep, rng)[0], drop(A, keep, rng)[1]), "times the mask"),
        (lambda A, keep, rng: (A, np.zeros_like(A)), "a share of 0.000 is kept"),
        (lambda A, keep, rng: ("A", "mask"), "not a pair of numeric arrays"),
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
