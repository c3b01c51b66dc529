"""The checks behind the exercises of notebook 06: right answers pass, wrong ones are named."""

import numpy as np
import pytest

from helpers import exercises


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def slope(z):
    return sigmoid(z) * (1 - sigmoid(z))


def unsolved(*args):
    raise NotImplementedError


SUBSCRIPTS = {"forward": "ij,nj->ni", "back": "ij,ni->nj", "bias": "ni->i", "weights": "ni,nj->ij"}


@pytest.mark.parametrize(
    "answer",
    [
        SUBSCRIPTS,
        {"forward": "oi,si->so", "back": "oi,so->si", "bias": "ab->b",
         "weights": "ba,bc->ac"},
        {"forward": " i j , n j -> n i", "back": "jk,nj->nk", "bias": "ni -> i",
         "weights": "ni,nj"},
    ],
)  # fmt: skip
def test_subscripts_may_use_any_letters(answer):
    verdict = exercises.check_subscripts(lambda: answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("job", "spec", "message"),
    [
        ("forward", "ij,ni->nj", "the sum runs over the current node"),
        ("forward", "ij,nj->in", "the result is transposed"),
        ("forward", "ij,jn->ni", "the letters of A are exchanged"),
        ("forward", "ij,jn->in", "samples as columns"),
        ("back", "ij,in->nj", "the letters of Delta are exchanged"),
        ("back", "ij,in->jn", "samples as columns"),
        ("weights", "in,nj->ij", "the letters of Delta are exchanged"),
        ("back", "ij,nj->ni", "this goes forward through W"),
        ("back", "ij,ni->jn", "the result is transposed"),
        ("bias", "ni->n", "the nodes are summed and the samples kept"),
        ("bias", "ni->ni", "nothing is summed"),
        ("bias", "ni->", "the answer has shape (), expected (3,)"),
        ("weights", "ni,nj->nij", "the samples are still apart"),
        ("weights", "ni,nj->ji", "the result is transposed"),
        ("weights", "ni->i", "names 1 operands, expected 2: Delta, A"),
        ("forward", "ijk,nj->ni", "einsum refuses 'ijk,nj->ni'"),
        ("forward", ("ij", "nj"), "is no string of letters"),
    ],
)
def test_a_wrong_subscript_is_named_with_its_job(job, spec, message):
    verdict = exercises.check_subscripts(lambda: SUBSCRIPTS | {job: spec})
    assert verdict.passed is False
    assert verdict.message.startswith(f"Not yet: {job}")
    assert message in verdict.message


@pytest.mark.parametrize("answer", [["ij,nj->ni"], {"forward": "ij,nj->ni"}, None])
def test_subscripts_must_be_a_dict_with_the_four_jobs(answer):
    verdict = exercises.check_subscripts(lambda: answer)
    assert verdict.passed is False
    assert "expected a dict with" in verdict.message


@pytest.mark.parametrize(
    "answer",
    [
        lambda W, D, Z: (D @ W) * slope(Z),
        lambda W, D, Z: (W.T @ D.T).T * slope(Z),
        lambda W, D, Z: np.einsum("jk,nj->nk", W, D) * slope(Z),
        lambda W, D, Z: [[sum(W[:, k] * d) * slope(z[k]) for k in range(len(z))]
                         for d, z in zip(D, Z, strict=True)],
    ],
)  # fmt: skip
def test_errors_back_accepts_every_right_form(answer):
    verdict = exercises.check_errors_back(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda W, D, Z: D @ W, "the slope of the sigmoid is missing"),
        (lambda W, D, Z: (D @ W) * slope(Z) ** 2, "applied twice"),
        (lambda W, D, Z: (D @ W) * sigmoid(Z), "not by the sigmoid"),
        (lambda W, D, Z: (D @ W) * slope(sigmoid(Z)), "taken at a; it belongs at z"),
        (lambda W, D, Z: (D @ W) * Z * (1 - Z), "as if z were the activation"),
        (lambda W, D, Z: ((D @ W) * slope(Z)).T, "the result is transposed"),
        (lambda W, D, Z: (D @ W.T) * slope(Z), "W is transposed"),
        (lambda W, D, Z: slope(Z) * D @ W, "* and @ have the same rank"),
        (lambda W, D, Z: (D @ W) * slope(Z) / len(Z), "too small by the factor N"),
        (lambda W, D, Z: -(D @ W) * slope(Z), "the sign is wrong"),
        (lambda W, D, Z: W @ D, "your function raises ValueError"),
        (lambda W, D, Z: None, "the function returns nothing"),
    ],
)
def test_errors_back_names_the_mistake(answer, message):
    verdict = exercises.check_errors_back(answer)
    assert verdict.passed is False
    assert message in verdict.message


@pytest.mark.parametrize(
    "answer",
    [
        lambda D, A: np.linalg.norm(D, axis=1) * np.linalg.norm(A, axis=1),
        lambda D, A: np.sqrt((D**2).sum(axis=1) * (A**2).sum(axis=1)),
        lambda D, A: np.sqrt(np.einsum("ni,ni,nj,nj->n", D, D, A, A)),
    ],
)
def test_gradient_norms_accepts_every_right_form(answer):
    verdict = exercises.check_gradient_norms(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda D, A: (D**2).sum(axis=1) * (A**2).sum(axis=1), "a square root is missing"),
        (lambda D, A: np.linalg.norm(D) * np.linalg.norm(A), "shape (), expected (3,)"),
        (lambda D, A: np.linalg.norm(D[:, :, None] * A[:, None]), "one norm for the whole batch"),
        (lambda D, A: np.linalg.norm(D.T @ A), "the norm of the sum over the batch"),
        (lambda D, A: np.linalg.norm(D, axis=1) + np.linalg.norm(A, axis=1), "must be multiplied"),
        (lambda D, A: np.einsum("ni,nj->n", D, A), "signs and all"),
        (lambda D, A: np.einsum("ni,nj->n", abs(D), abs(A)), "this adds up sizes"),
        (
            lambda D, A: np.linalg.norm(D, axis=0) * np.linalg.norm(A, axis=0),
            "axis 0 is the sample",
        ),
    ],
)
def test_gradient_norms_names_the_mistake(answer, message):
    verdict = exercises.check_gradient_norms(answer)
    assert verdict.passed is False
    assert message in verdict.message


@pytest.mark.parametrize(
    "check",
    [exercises.check_subscripts, exercises.check_errors_back, exercises.check_gradient_norms],
)
def test_an_unsolved_exercise_says_so(check):
    verdict = check(unsolved)
    assert verdict.passed is None
    assert "Not solved yet" in verdict.message
