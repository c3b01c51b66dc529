"""Check of notebook 14: linear interpolation."""

import numpy as np

from helpers.exercises.verdict import check, slips


def _looked_up(rule, ink, places):
    """Return ``rule(p, q, u)``, the ink at the fraction u between the neighbours p and q."""
    padded = np.concatenate([[0.0], ink, [0.0]])
    at = np.clip(places + 1, 0, len(padded) - 1)
    left = np.minimum(at.astype(int), len(padded) - 2)
    return rule(padded[left], padded[left + 1], at - left)


def _straight(ink, places):
    return np.interp(places, np.arange(-1, len(ink) + 1), [0.0, *ink, 0.0])


def _clipped_index(ink, places):
    padded = np.array([0.0, *ink, 0.0])
    at = np.asarray(places) + 1
    left = np.clip(at.astype(int), 0, len(padded) - 2)
    return (1 - (at - left)) * padded[left] + (at - left) * padded[left + 1]


MIXING_SLIPS = {
    "the fractions are exchanged: at u = 0 it is the left pixel.": (
        lambda p, q, u: u * p + (1 - u) * q
    ),
    "this is the pixel to the left; mix it with the next one.": lambda p, q, u: p,
    "this is the nearest pixel; mix two neighbours.": lambda p, q, u: np.where(u < 0.5, p, q),
}
PAPER_SLIPS = {
    "beyond the row there is paper, not the last pixel repeated.": (
        lambda ink, places: np.interp(places, np.arange(len(ink)), ink)
    ),
    "between the last pixel and the paper there is a straight line, not a jump.": (
        lambda ink, places: np.interp(places, np.arange(len(ink)), ink, left=0, right=0)
    ),
    "keep the places within the rim, not only the indices: u leaves 0 to 1.": _clipped_index,
    "the rim moves all places by one: look up places + 1.": (
        lambda ink, places: _straight(ink, places - 1)
    ),
}


@check(slips(_looked_up, MIXING_SLIPS) | PAPER_SLIPS)
def check_interpolate():
    """Check ``interpolate(ink, places)``: straight lines between pixels, paper beyond."""
    rng = np.random.default_rng(140)
    for n, shape in ((5, (7,)), (8, (3, 4)), (1, (6,))):
        ink, inside = rng.random(n), rng.uniform(0, n - 1, shape)
        beyond = np.linspace(-3.0, n + 2.0, inside.size).reshape(shape)
        for places, where in ((inside, "between the pixels,"), (beyond, "beyond the row, too,")):
            yield (ink, places), _straight(ink, places), f"for {n} pixels, {where}"
    yield "Correct: three rows agree with straight lines, inside and beyond."
