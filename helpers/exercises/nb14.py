"""Check of notebook 14: linear interpolation."""

import numpy as np

from helpers.exercises.verdict import check, slips


def _looked_up(rule, ink, places):
    """Return the ink at the places; `rule` mixes two neighbours at the fraction u."""
    padded = np.concatenate([[0.0], ink, [0.0]])
    at = np.clip(places + 1, 0, len(padded) - 1)
    left = np.minimum(at.astype(int), len(padded) - 2)
    return rule(padded[left], padded[left + 1], at - left)


LOOKUP_SLIPS = {
    "the fractions are exchanged: at u = 0 it is the left pixel.": (
        lambda left, right, u: u * left + (1 - u) * right
    ),
    "this is the pixel to the left; mix it with the next one.": lambda left, right, u: left,
    "this is the nearest pixel; mix two neighbours.": (
        lambda left, right, u: np.where(u < 0.5, left, right)
    ),
    "this is the mean of two neighbours, whatever the fraction.": (
        lambda left, right, u: (left + right) / 2
    ),
}


@check(
    slips(_looked_up, LOOKUP_SLIPS)
    | {
        "beyond the row there is paper, not the last pixel repeated.": lambda ink, places: (
            np.interp(places, np.arange(len(ink)), ink)
        ),
        "between the last pixel and the paper there is a straight line, not a jump.": (
            lambda ink, places: np.interp(places, np.arange(len(ink)), ink, left=0, right=0)
        ),
        "all places are one too far to the right.": lambda ink, places: np.interp(
            places + 1, np.arange(-1, len(ink) + 1), [0.0, *ink, 0.0]
        ),
        "the rim moves all places by one: look up places + 1.": lambda ink, places: np.interp(
            places - 1, np.arange(-1, len(ink) + 1), [0.0, *ink, 0.0]
        ),
    }
)
def check_interpolate():
    """Check ``interpolate(ink, places)``: straight lines between pixels, paper beyond."""
    rng = np.random.default_rng(140)
    for n, shape in ((5, (7,)), (8, (3, 4)), (1, (6,))):
        ink = rng.random(n)
        inside = rng.uniform(0, n - 1, shape)
        for places, where in (
            (inside, "between the pixels,"),
            (np.linspace(-3.0, n + 2.0, inside.size).reshape(shape), "beyond the row, too,"),
        ):
            truth = np.interp(places, np.arange(-1, n + 1), [0.0, *ink, 0.0])
            yield (ink, places), truth, f"for {n} pixels, {where}"
    yield "Correct: three rows agree with straight lines, inside and beyond."
