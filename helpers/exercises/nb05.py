"""Check of notebook 05: reproduce the bug of a mystery gradient."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np

from helpers.exercises.verdict import Verdict, as_numbers, check, difference
from helpers.gradcheck import numerical_gradient, relative_error

_PLANT = "plant the bug that you suspect in the correct one."


def check_mystery_bug(
    suspect: Callable, mystery: Callable, cost: Callable, params: Mapping, X, Y
) -> Verdict:
    """Check that ``suspect()`` returns a gradient with the same bug as ``mystery``.

    Both gradients are functions ``(params, X, Y) -> dict name -> array``; ``cost(params, X, Y)`` is
    what they ought to differentiate, and a measured gradient tells which arrays each of them
    spoils. They are compared at two points, lest they agree by accident. A gradient must come from
    the correct one, by a change of its text (by ``plant``) or of its result, not from the mystery.
    """
    returned = []  # by one call of suspect, for both checks

    @check()
    def returns_a_gradient():
        yield (), lambda found: returned.append(found) or _no_gradient(found, mystery), ""
        yield "This is a gradient."

    @check()
    def makes_the_same_bug():
        rng = np.random.default_rng(5)
        moved = {name: p + 0.3 * rng.normal(size=p.shape) for name, p in params.items()}
        for point, where in ((dict(params), "at the point given,"), (moved, "at another point,")):
            truth = numerical_gradient(lambda p: cost(p, X, Y), point, method="central")
            want = mystery(dict(point), X, Y)
            differs = partial(_other_bug, want=want, truth=truth, N=len(X))
            # the mystery's code runs honestly in a function planted alike
            with _calls_of(None if hasattr(returned[0], "change") else mystery) as calls:
                yield (point, X, Y), partial(_not_yours, calls=calls, differs=differs), where
        yield "Correct: at two points your bug makes the same wrong gradient."

    verdict = returns_a_gradient(suspect)
    return makes_the_same_bug(returned[0]) if verdict.passed else verdict


def _no_gradient(found, mystery: Callable) -> str | None:
    if not callable(found):
        needed = "return a function of (p, X, Y), such as plant(backward, (old, new))"
        return f"suspect returns an object of type {type(found).__name__}; {needed}."
    if found is mystery:
        return f"this is the mystery itself; {_PLANT}"
    change = getattr(found, "change", None)
    if change is None:
        return None
    if not isinstance(change, tuple) or len(set(change)) != 2:
        return f"a change is a tuple (old, new) of two different texts; {_PLANT}"
    correct = mystery.source.replace(*mystery.change[::-1])
    if found.source != correct.replace(*change):
        return f"this is not the correct gradient with one change; {_PLANT}"
    return None


@contextmanager
def _calls_of(mystery: Callable | None) -> Iterator[list]:
    """Offer a list that grows with every run of the mystery, or of a copy of it."""
    calls, before = [], sys.getprofile()
    code = getattr(mystery, "__code__", None)

    def note(frame, event, _):
        if event == "call" and frame.f_code == code:
            calls.append(frame.f_code)

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


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


def _not_yours(got, calls: list, differs: Callable) -> str | None:
    return f"your function runs the mystery, or a copy of it; {_PLANT}" if calls else differs(got)
