"""Checks of notebook 11: right answers pass, each usual mistake is named."""

from itertools import pairwise

import numpy as np
import pytest

from helpers import exercises


def layers(sizes, N):
    return [2 * N * n * m for n, m in pairwise(sizes)]


def flops(sizes, N):
    return 3 * sum(layers(sizes, N)) - layers(sizes, N)[0]


def accumulate(gradient, X, Y, size):
    starts = range(0, len(X), size)
    pieces = [(X[s : s + size], Y[s : s + size]) for s in starts]
    return sum(len(x) * gradient(x, y) for x, y in pieces) / len(X)


def unweighted(gradient, X, Y, size):
    return np.mean([gradient(X[s : s + size], Y[s : s + size]) for s in range(0, len(X), size)], 0)


def added_only(gradient, X, Y, size):
    return sum(gradient(X[s : s + size], Y[s : s + size]) for s in range(0, len(X), size))


def without_the_rest(gradient, X, Y, size):
    n = len(X) // size * size
    return accumulate(gradient, X[:n], Y[:n], size) if n else np.zeros(X.shape[1])


def without_the_rest_over_all(gradient, X, Y, size):
    return without_the_rest(gradient, X, Y, size) * (len(X) // size * size) / len(X)


def last_only(gradient, X, Y, size):
    last = (len(X) - 1) // size * size
    return gradient(X[last:], Y[last:])


def overwritten(gradient, X, Y, size):
    rest = len(X) - (len(X) - 1) // size * size
    return last_only(gradient, X, Y, size) * rest / len(X)


def rest_counted_as_whole(gradient, X, Y, size):
    return size * added_only(gradient, X, Y, size) / len(X)


def summed(gradient, X, Y, size):
    return accumulate(gradient, X, Y, size) * len(X)


def all_at_once(gradient, X, Y, size):
    return gradient(X, Y)


def product_by_product(sizes, N):
    total = 0.0
    for layer in range(1, len(sizes)):
        back = layer > 1
        total += (2 + back) * 2.0 * N * sizes[layer] * sizes[layer - 1]
    return total


@pytest.mark.parametrize("right", [flops, product_by_product])
def test_step_flops_accepts_the_right_answer_however_written(right):
    assert exercises.check_step_flops(right).passed


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda sizes, N: 3 * sum(layers(sizes, N)), "error of the inputs"),
        (lambda sizes, N: flops(sizes, N) // 2, "factor 2"),
        (lambda sizes, N: sum(layers(sizes, N)), "forward alone"),
        (lambda sizes, N: 2 * sum(layers(sizes, N)), "goes back through a product"),
        (lambda sizes, N: flops(sizes, N) // N, "one sample"),
        (lambda sizes, N: 3 * sum(layers(sizes, N)) - layers(sizes, N)[-1], "not the last one"),
        (lambda sizes, N: sum(layers(sizes, N)) + sum(layers(sizes, N)[1:]), "gradients are miss"),
    ],
)
def test_step_flops_names_the_mistake(wrong, word):
    verdict = exercises.check_step_flops(wrong)
    assert verdict.passed is False
    assert word in verdict.message


def sample_by_sample(gradient, X, Y, size):
    return np.mean([gradient(X[n : n + 1], Y[n : n + 1]) for n in range(len(X))], axis=0)


def running_mean(gradient, X, Y, size):
    mean, seen = 0.0, 0
    while seen < len(X):
        x, y = X[seen : seen + size], Y[seen : seen + size]
        seen += len(x)
        mean = mean + (gradient(x, y) - mean) * len(x) / seen
    return mean


@pytest.mark.parametrize("right", [accumulate, running_mean, sample_by_sample])
def test_accumulated_accepts_the_right_answer_however_written(right):
    assert exercises.check_accumulated(right).passed


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (unweighted, "count alike"),
        (added_only, "only added"),
        (without_the_rest, "last, smaller piece is left out"),
        (without_the_rest_over_all, "left out of the sum"),
        (last_only, "only the last piece is left"),
        (overwritten, "only the last piece is in the sum"),
        (rest_counted_as_whole, "counts as if it had as many"),
        (summed, "N, the number of rows"),
        (all_at_once, "at most 4 are allowed"),
        (lambda g, X, Y, size: accumulate(g, X, Y, size)[:2], "shape"),
        (lambda g, X, Y, size: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_accumulated_names_the_mistake(wrong, word):
    verdict = exercises.check_accumulated(wrong)
    assert verdict.passed is False
    assert word in verdict.message


@pytest.mark.parametrize("name", ["check_step_flops", "check_accumulated"])
def test_an_unsolved_exercise_is_neither_passed_nor_failed(name):
    def stub(*_):
        raise NotImplementedError

    assert getattr(exercises, name)(stub).passed is None
