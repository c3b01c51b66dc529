"""The check behind the mystery bugs of notebook 05: right answers pass, wrong ones are named."""

import numpy as np
import pytest

from helpers.exercises import check_mystery_bug

# A small model with its own gradient: y = v·tanh(U x + c), half the mean squared error.


def parts(p, X, Y):
    H = np.tanh(X @ p["U"].T + p["c"])  # (N, 2)
    return H, (H @ p["v"] - Y) / len(X)  # (N, 2), (N,)


def cost(p, X, Y):
    return 0.5 * (len(X) * parts(p, X, Y)[1] ** 2).sum()


def gradient(p, X, Y, *, slope=lambda H: 1 - H**2, scale=1.0):
    H, residual = parts(p, X, Y)
    delta = residual[:, None] * p["v"] * slope(H)  # (N, 2)
    return {"U": scale * delta.T @ X, "c": delta.sum(axis=0), "v": H.T @ residual}


def mystery(p, X, Y):
    return gradient(p, X, Y, slope=lambda H: 1 - H)


def rewritten(p, X, Y):
    H, residual = parts(p, X, Y)
    dU, dc = np.zeros_like(p["U"]), np.zeros_like(p["c"])
    for x, h, r in zip(X, H, residual, strict=True):
        delta = [r * p["v"][k] * (1 - h[k]) for k in range(2)]
        dU += np.outer(delta, x)
        dc += delta
    return {"v": residual @ H, "c": dc, "U": dU}


@pytest.fixture
def setting():
    rng = np.random.default_rng(2)
    params = {
        "U": rng.normal(size=(2, 2)),
        "c": rng.normal(size=2),
        "v": rng.normal(size=2),
    }
    return mystery, cost, params, rng.normal(size=(7, 2)), rng.normal(size=7)


def verdict(answer, setting):
    return check_mystery_bug(lambda: answer, *setting)


def swapped(change):
    """Return a gradient function whose result is changed after the fact."""
    return lambda p, X, Y: change(mystery(p, X, Y))


@pytest.mark.parametrize("answer", [lambda *point: mystery(*point), rewritten])
def test_the_same_bug_is_accepted_however_it_is_written(answer, setting):
    result = verdict(answer, setting)
    assert result.passed
    assert result.message.startswith("Correct:")


WRONG = {
    "correct gradient": (gradient, "no bug is planted"),
    "wrong arrays": (
        lambda p, X, Y: gradient(p, X, Y, scale=2.0),
        "your bug spoils U; the mystery spoils U, c",
    ),
    "another bug in the same arrays": (
        lambda p, X, Y: gradient(p, X, Y, slope=lambda H: np.ones_like(H)),
        "the right arrays are spoilt, but in another way. In U, 4 of 4 entries are wrong",
    ),
    "sum instead of mean": (
        swapped(lambda g: {name: 7 * g[name] if name != "v" else g[name] for name in g}),
        "too large by the factor N, the number of samples",
    ),
    "sign": (
        swapped(lambda g: {name: -g[name] if name != "v" else g[name] for name in g}),
        "the sign is wrong",
    ),
    "shape": (swapped(lambda g: g | {"c": g["c"][:, None]}), "c has shape (2, 1), expected (2,)"),
    "missing name": (
        swapped(lambda g: {name: g[name] for name in ("U", "c")}),
        "must return a dict with the names U, c, v",
    ),
    "list instead of dict": (swapped(lambda g: list(g.values())), "must return a dict"),
    "not finite": (swapped(lambda g: g | {"U": g["U"] / 0.0}), "U holds values that are not"),
    "text instead of function": (("old", "new"), "suspect returns a tuple"),
    "nothing": (None, "suspect returns a NoneType"),
    "the mystery itself": (mystery, "this is the mystery itself"),
    "text in an array": (swapped(lambda g: g | {"c": ["a", "b"]}), "c is a list, expected numbers"),
    "ragged": (swapped(lambda g: g | {"U": [[1], [1, 2]]}), "U is a list, expected numbers"),
    "wrong signature": (lambda p: p, "raises TypeError"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_named(name, setting):
    answer, sentence = WRONG[name]
    result = verdict(answer, setting)
    assert result.passed is False
    assert result.message.startswith("Not yet:")
    assert sentence in result.message


def test_an_unsolved_exercise_says_so(setting):
    def suspect():
        raise NotImplementedError

    assert check_mystery_bug(suspect, *setting).passed is None


def test_agreement_at_one_point_is_not_enough(setting):
    params = setting[2]
    frozen = mystery(params, *setting[3:])
    result = verdict(lambda p, X, Y: frozen, setting)
    assert result.passed is False


def test_the_given_parameters_and_data_stay_as_they_are(setting):
    def careless(p, X, Y):
        grads = mystery(p, X, Y)
        p["U"] += 1.0
        X += 1.0
        return grads

    before = {name: value.copy() for name, value in setting[2].items()}
    X = setting[3].copy()
    assert verdict(careless, setting).passed
    for name, value in before.items():
        np.testing.assert_array_equal(setting[2][name], value)
    np.testing.assert_array_equal(setting[3], X)
