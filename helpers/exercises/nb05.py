"""Check of notebook 05: reproduce the bug of a mystery gradient."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from helpers.exercises.verdict import Verdict, as_numbers, check, difference
from helpers.gradcheck import numerical_gradient, relative_error


def check_mystery_bug(
    suspect: Callable, mystery: Callable, cost: Callable, params: Mapping, X, Y
) -> Verdict:
    """Check that ``suspect()`` returns a gradient with the same bug as ``mystery``.

    Both gradients are functions ``(params, X, Y) -> dict name -> array``; ``cost(params, X, Y)`` is
    what they ought to differentiate, and a measured gradient tells which arrays each of them
    spoils. They are compared at two points, lest they agree by accident.
    """

    @check()
    def returns_a_gradient():
        yield (), partial(_no_gradient, mystery=mystery), ""
        yield "This is a gradient."

    @check()
    def makes_the_same_bug():
        rng = np.random.default_rng(5)
        moved = {name: p + 0.3 * rng.normal(size=p.shape) for name, p in params.items()}
        for point, where in ((dict(params), "at the point given,"), (moved, "at another point,")):
            truth = numerical_gradient(lambda p: cost(p, X, Y), point, method="central")
            want = mystery(dict(point), X, Y)
            yield (point, X, Y), partial(_other_bug, want=want, truth=truth, N=len(X)), where
        yield "Correct: at two points your bug makes the same wrong gradient."

    verdict = returns_a_gradient(suspect)
    return makes_the_same_bug(suspect()) if verdict.passed else verdict


def _no_gradient(found, mystery: Callable) -> str | None:
    if not callable(found):
        needed = "return a function of (p, X, Y), such as plant(backward, (old, new))"
        return f"suspect returns an object of type {type(found).__name__}; {needed}."
    if found is mystery:
        return "this is the mystery itself; plant the bug that you suspect in the correct one."
    return None


def _other_bug(got, want: Mapping, truth: Mapping, N: int) -> str | None:
    """Return how one wrong gradient differs from another, given the right one."""
    if not isinstance(got, Mapping) or got.keys() != want.keys():
        return f"your function must return a dict with the names {', '.join(want)}."
    for name, array in want.items():
        numbers = as_numbers(got[name])
        if numbers is None or numbers.shape != array.shape or not np.isfinite(numbers).all():
            return difference(got[name], array, {}, name)
    yours, theirs = (
        [name for name in truth if relative_error(grads[name], truth[name]) > 1e-5]
        for grads in (got, want)
    )
    if not yours:
        return "your gradient is correct: no bug is planted in it."
    if yours != theirs:
        return f"your bug spoils {', '.join(yours)}; the mystery spoils {', '.join(theirs)}."
    for name in theirs:
        scaled = {
            "yours is N times as large, a sum where the mystery has a mean.": N * want[name],
            "yours is an Nth of it, a mean where the mystery has a sum.": want[name] / N,
        }
        if sentence := difference(got[name], want[name], scaled, name):
            return f"the right arrays are spoilt, but in another way. {sentence}"
    return None
