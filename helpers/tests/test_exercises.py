"""The checks accept every right answer and name the typical wrong ones."""

import math

import numpy as np
import pytest

from helpers import exercises
from helpers.exercises import diagnose

TRUTH = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_diagnose_accepts_the_truth_to_rounding():
    assert diagnose(TRUTH * (1 + 1e-12), TRUTH) is None
    assert diagnose([[1, 2, 3], [4, 5, 6]], TRUTH) is None


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (None, "returns nothing"),
        ("three", "expected numbers"),
        ("3.0", "the answer is a str, expected numbers"),
        (TRUTH + 0j, "expected numbers"),
        (TRUTH.T, "looks transposed"),
        (TRUTH[0], r"has shape (3,), expected (2, 3)"),
        (TRUTH * np.nan, "not finite"),
        (-TRUTH, "sign is wrong"),
        (TRUTH * 8, "too large by the factor N"),
        (TRUTH / 8, "too small by the factor N"),
        (TRUTH * 3, "right one times 3"),
        (TRUTH + np.eye(2, 3, k=2), "entry [0, 2] is 4, expected 3"),
        (TRUTH**2, "squared instead"),
    ],
)
def test_diagnose_names_what_is_wrong(got, words):
    sentence = diagnose(got, TRUTH, factors={"N": 8}, mistakes={"squared instead": TRUTH**2})
    assert words in sentence


def test_diagnose_sees_a_transpose_in_a_square_matrix():
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert "transposed" in diagnose(square.T, square)


def test_diagnose_compares_with_an_all_zero_truth():
    assert "expected 0" in diagnose([1.0, 0.0], [0.0, 0.0])


def test_verdicts_show_as_their_sentence():
    assert repr(exercises.Verdict(True, "Correct: fine.")) == "Correct: fine."


def unsolved(*_):
    raise NotImplementedError


def broken(*_):
    return 1 / 0


@pytest.mark.parametrize(
    "check", [exercises.check_forward_any_depth, exercises.check_two_sided_slope]
)
def test_checks_tell_unsolved_from_broken(check):
    verdict = check(unsolved)
    assert verdict.passed is None
    assert "Not solved yet" in verdict.message
    verdict = check(broken)
    assert verdict.passed is False
    assert "raises ZeroDivisionError" in verdict.message


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def forward_solution(x, weights, biases):
    a = x
    for w, b in zip(weights, biases, strict=True):
        a = sigmoid(w * a + b)
    return a


def forward_recursive(x, weights, biases):
    if not weights:
        return x
    return sigmoid(weights[-1] * forward_recursive(x, weights[:-1], biases[:-1]) + biases[-1])


def forward_affine(x, weights, biases):
    for w, b in zip(weights, biases, strict=True):
        x = w * x + b
    return x


def forward_all(x, weights, biases):
    return [forward_solution(x, weights[:n], biases[:n]) for n in range(len(weights) + 1)]


def forward_last_open(x, weights, biases):
    a = forward_solution(x, weights[:-1], biases[:-1])
    return weights[-1] * a + biases[-1]


def forward_node(x, weights, biases):
    """Return (z, a) of the last node, as notebook 01's `node` does."""
    z = forward_last_open(x, weights, biases)
    return z, sigmoid(z)


@pytest.mark.parametrize("answer", [forward_solution, forward_recursive])
def test_forward_any_depth_accepts_right_answers(answer):
    verdict = exercises.check_forward_any_depth(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (forward_affine, "sigmoid is missing"),
        (forward_last_open, "last node has no sigmoid"),
        (lambda x, w, b: x, "came back unchanged"),
        (lambda x, w, b: None, "returns nothing"),
        (lambda x, w, b: [forward_solution(x, w, b)], "has shape (1,), expected ()"),
        (lambda x, w, b: -forward_solution(x, w, b), "sign is wrong"),
        (lambda x, w, b: forward_solution(x, w[:1], b[:1]), "only the first layer is run"),
        (lambda x, w, b: forward_solution(x, w[:-1], b[:-1]), "the last layer is not run"),
        (forward_node, "z and a of the last node"),
        (lambda x, w, b: forward_solution(x, w[-1:], b[-1:]), "starts from x again"),
        (lambda x, w, b: forward_solution(x, w[::-1], b[::-1]), "reverse order"),
        (lambda x, w, b: forward_solution(x, w, [0] * len(b)), "biases are missing"),
        (lambda x, w, b: forward_solution(sigmoid(x), w, b), "input has gone through a sigmoid"),
        (forward_all, "the input and all activations"),
        (lambda *args: forward_all(*args)[1:], "activations of all layers"),
        (lambda x, w, b: forward_solution(x, w[:4], b[:4]), "with 5 layer(s)"),
    ],
)
def test_forward_any_depth_names_the_mistake(answer, words):
    verdict = exercises.check_forward_any_depth(answer)
    assert verdict.passed is False
    assert words in verdict.message


@pytest.mark.parametrize(
    "answer",
    [
        lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
        lambda f, x, h: ((f(x + h) - f(x)) / h + (f(x) - f(x - h)) / h) / 2,
    ],
)
def test_two_sided_slope_accepts_right_answers(answer):
    verdict = exercises.check_two_sided_slope(answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda f, x, h: (f(x + h) - f(x)) / h, "one-sided"),
        (lambda f, x, h: (f(x) - f(x - h)) / h, "one-sided quotient to the left"),
        (lambda f, x, h: (f(x + h) - f(x - h)) / h, "2h apart, and you divide by h"),
        (lambda f, x, h: f(x + h) - f(x - h), "not divided"),
        (lambda f, x, h: (f(x + h / 2) - f(x - h / 2)) / h, "not by h/2"),
        (lambda f, x, h: (f(x + h) - f(x - h)) / 2 * h, "divides by 2 and multiplies by h"),
        (lambda f, x, h: f(x + h) - f(x - h) / (2 * h), "difference in parentheses"),
        (lambda f, x, h: (f(x + h) + f(x - h)) / (2 * h), "values are added"),
        (lambda f, x, h: (f(x - h) - f(x + h)) / (2 * h), "sign is wrong"),
        (lambda f, x, h: abs(f(x + h) - f(x - h)) / (2 * h), "sign is wrong"),
        (lambda f, x, h: (f(x + h) - f(x - h)) / (4 * h), "too small by the factor 2"),
    ],
)
def test_two_sided_slope_names_the_mistake(answer, words):
    verdict = exercises.check_two_sided_slope(answer)
    assert verdict.passed is False
    assert words in verdict.message


CHECKS = sorted(
    name
    for name in dir(exercises)
    if name.startswith("check_") and name != "check_mystery_bug"  # which takes more than a function
)
ODD_ANSWERS = [
    None, "x", True, 1 + 2j, np.nan, np.array(None), np.array(["a"]), np.zeros((2, 2, 2)), object(),
    [], {}, (), [[1], [1, 2]], [None], (None, None), ([], []), ("a", "b"), ([None] * 4, [None] * 4),
    {"W1": 1, "b1": None, "W2": "x", "b2": []},
    {"forward": None, "back": 1, "bias": "", "weights": "->"},
]  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_checks_answer_whatever_a_function_returns(name):
    for odd in ODD_ANSWERS:
        verdict = getattr(exercises, name)(lambda *_, odd=odd: odd)
        assert verdict.passed is False, odd
        assert verdict.message.startswith("Not yet: ")


def pops(grads, params, strength):
    return {"W1": grads.pop("W1"), **grads}


def drops_a_row(A, keep, rng):
    mask = (rng.random(A.shape) < keep) / keep
    return (A * mask)[1:], mask


def fails_the_second_time(A, keep, rng, calls=[]):  # noqa: B006
    calls.append(1)
    return (
        1 / 0 if len(calls) % 3 == 2 else (A * (mask := (rng.random(A.shape) < keep) / keep), mask)
    )


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("check_l2_gradients", pops, "changed the grads"),
        ("check_dropout", drops_a_row, "the thinned activations have shape (399, 50)"),
        ("check_dropout", fails_the_second_time, "raises ZeroDivisionError"),
        ("check_subscripts", lambda: {1: "ni->i", "bias": "ni->i"}, "expected a dict with"),
    ],
)
def test_checks_answer_to_strange_functions_too(name, answer, words):
    verdict = getattr(exercises, name)(answer)
    assert verdict.passed is False
    assert words in verdict.message


@pytest.mark.parametrize("name", CHECKS)
def test_checks_report_a_wrong_signature_and_wait_for_an_unsolved_one(name):
    check = getattr(exercises, name)
    assert (
        "your function raises TypeError" in check(lambda one_argument_too_many, *, key: 0).message
    )
    assert check(unsolved).passed is None
