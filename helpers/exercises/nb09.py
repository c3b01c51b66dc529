"""Checks of notebook 09: leaky errors, exact posteriors, and the calibration error."""

from itertools import pairwise

import numpy as np

from helpers.exercises.verdict import check, slips


def _errors(slope, Delta2, W2, Z1, alpha):
    return Delta2 @ W2 * slope(Z1, alpha)


def _leaky(Z, alpha):
    return np.where(Z > 0, 1, alpha)


SLOPE_SLIPS = {  # sentence -> what stands in place of the slope of the leaky ReLU
    "this is the plain ReLU: below zero the slope is alpha, not 0.": lambda Z, alpha: Z > 0,
    "the slopes are exchanged: 1 above zero, alpha below.": lambda Z, alpha: _leaky(-Z, alpha),
    "the slope of the activation is missing.": lambda Z, alpha: 1,
    "multiply by the slope, not by the activation.": lambda Z, alpha: Z * _leaky(Z, alpha),
    "below zero the slope is alpha, not alpha times z.": lambda Z, alpha: _leaky(Z, alpha * Z),
    "too small by the factor N.": lambda Z, alpha: _leaky(Z, alpha) / len(Z),
}
LEAKY_SLIPS = slips(_errors, SLOPE_SLIPS) | {
    "the mask reads the pre-activation Z1, not the error.": (
        lambda D, W, Z, alpha: _errors(_leaky, D, W, D @ W, alpha)
    ),
    "W2 is transposed; it fits because it is square.": lambda D, W, *c: _errors(_leaky, D, W.T, *c),
    "W2.T @ Delta2 is for a column; rows are multiplied by W2 from the right.": (
        lambda D, W, *c: (W.T @ D) * _leaky(*c)
    ),
    "the way back through W2 is missing.": lambda D, W, *c: D * _leaky(*c),
}


@check(LEAKY_SLIPS)
def check_leaky_errors():
    """Check ``leaky_errors(Delta2, W2, Z1, alpha) -> Delta1``, an error through leaky ReLU."""
    rng, alpha = np.random.default_rng(91), 0.2
    for N, n2, n1 in ((3, 3, 3), (4, 3, 5), (1, 2, 4)):
        Delta2, W2, Z1 = (rng.normal(size=s) for s in ((N, n2), (n2, n1), (N, n1)))
        Z1[0, 0] = -abs(Z1[0, 0])  # at least one node is off
        sums = [[sum(w * delta) for w in W2.T] for delta in Delta2]
        truth = sums * ((1 + alpha) + (1 - alpha) * np.sign(Z1)) / 2
        yield (Delta2, W2, Z1, alpha), truth, f"with W2 {W2.shape} and Z1 {Z1.shape},"
    yield "Correct: three layers agree with sums written out node by node."


def _logits(formula, X, means, sd, prior):
    """Return ``formula(d, h, s, q)``: dots, half squares of the means, sd and log prior."""
    return formula(X @ means.T, (means**2).sum(axis=1) / 2, sd, np.log(prior))


def _posterior(formula, *case):
    joint = np.exp(_logits(formula, *case))
    return joint / joint.sum(axis=1, keepdims=True)


def _equal(d, h, s, q):
    return (d - h) / s**2


def _exact(d, h, s, q):
    return (d - h) / s**2 + q


def _joint(X, means, sd, prior):
    """Return prior times density."""
    squares = ((X[:, None] - means) ** 2).sum(axis=2)
    return prior * np.exp(-squares / (2 * sd**2)) / (2 * np.pi * sd**2) ** (X.shape[1] / 2)


LOGIT_SLIPS = {  # sentence -> what stands in place of the logits
    "the prior is missing: so it is right for equal frequencies.": _equal,
    "add the logarithm of the prior, not the prior.": lambda d, h, s, q: (d - h) / s**2 + np.exp(q),
    "divide by the variance sd², not by sd.": lambda d, h, s, q: (d - h) / s + q,
    "the division by sd² is missing.": lambda d, h, s, q: d - h + q,
    "the term −‖µ‖²/(2 sd²) is missing.": lambda d, h, s, q: d / s**2 + q,
    "the sign of ‖µ‖²/(2 sd²) is minus.": lambda d, h, s, q: (d + h) / s**2 + q,
    "‖µ‖²/2 must be divided by sd² as well.": lambda d, h, s, q: d / s**2 - h + q,
    "the prior must not be divided by sd².": lambda d, h, s, q: (d - h + q) / s**2,
    "the ½ of ‖µ‖² is missing.": lambda d, h, s, q: (d - 2 * h) / s**2 + q,
}
POSTERIOR_SLIPS = slips(_posterior, LOGIT_SLIPS) | {
    "times the prior, the rows no longer add up to 1: divide by their sums.": (
        lambda *c: c[-1] * _posterior(_equal, *c)
    ),
    "the sum runs over the isolates, not classes.": lambda *c: _joint(*c) / _joint(*c).sum(axis=0),
    "the rows do not add up to 1: divide by their sums.": _joint,
    "these are the logits; a softmax is missing.": lambda *c: _logits(_exact, *c),
    "these are logarithms of the probabilities.": lambda *c: np.log(_posterior(_exact, *c)),
}


@check(POSTERIOR_SLIPS)
def check_posterior():
    """Check ``posterior(X, means, sd, prior) -> (N, n_2)``, the probabilities of the classes."""
    from scipy.stats import norm  # takes its time, and only this check needs it

    rng = np.random.default_rng(92)
    for N, n2, n0, sd in ((6, 3, 5, 0.9), (4, 2, 1, 2.0)):
        X, means = rng.normal(size=(N, n0)), rng.normal(size=(n2, n0))
        prior = np.arange(1, n2 + 1) / (n2 * (n2 + 1) / 2)
        weighted = prior * np.array([norm.pdf(X, mean, sd).prod(axis=1) for mean in means]).T
        truth = weighted / weighted.sum(axis=1, keepdims=True)
        yield (X, means, sd, prior), truth, f"with X {X.shape} and means {means.shape},"
    yield "Correct: the probabilities agree with Bayes' rule on SciPy's densities."


def _binned(error, confidence, correct, edges):
    """Return ``error(g, n, m, k)`` of the bins that are not empty, k being the number of all.

    g is mean confidence minus share correct, n the bin's share of all answers, m the middle of the
    bin minus share correct.
    """
    k, middles = len(edges) - 1, (edges[1:] + edges[:-1]) / 2
    which = np.clip(np.digitize(confidence, edges) - 1, 0, k - 1)
    bins, counts = np.unique(which, return_counts=True)
    said, right = (np.bincount(which, values)[bins] / counts for values in (confidence, correct))
    return error(said - right, counts / len(which), middles[bins] - right, k)


def _in_bins(within, confidence, correct, edges):
    """Return the ECE of bins whose ends are compared by `within`, below and above."""
    gaps, (above, below) = confidence - correct, within
    bins = (above(low, confidence) & below(confidence, high) for low, high in pairwise(edges))
    return sum(abs(gaps[some].sum()) for some in bins) / len(gaps)


BIN_SLIPS = {  # sentence -> what stands in place of the mean of the gaps
    "the signs cancel: take the absolute value bin by bin.": lambda g, n, m, k: g @ n,
    "take the absolute value bin by bin, before the sum.": lambda g, n, m, k: abs(g @ n),
    "weight each bin by its count.": lambda g, n, m, k: abs(g).mean(),
    "weight each bin by its count; empty ones have none.": lambda g, n, m, k: abs(g).sum() / k,
    "this is the largest gap, not the mean.": lambda g, n, m, k: abs(g).max(),
    "use the mean confidence of a bin, not its middle.": lambda g, n, m, k: abs(m) @ n,
    "the gaps are squared; take their absolute values.": lambda g, n, m, k: g**2 @ n,
}
EDGE_SLIPS = {  # sentence -> how the two ends of a bin are compared
    "a confidence at an edge belongs to the bin above it.": (np.less, np.less_equal),
    "a confidence at an edge is counted in both bins.": (np.less_equal, np.less_equal),
    "a confidence at the upper edge of the last bin is lost.": (np.less_equal, np.less),
}
CALIBRATION_SLIPS = {
    **slips(_binned, BIN_SLIPS),
    **slips(_in_bins, EDGE_SLIPS),
    "too large by the factor N.": (
        lambda c, ok, edges: len(c) * _binned(lambda g, n, m, k: abs(g) @ n, c, ok, edges)
    ),
    "compare means of bins, not single answers.": lambda c, ok, edges: abs(c - ok).mean(),
    "a confidence at the upper edge belongs to the last bin, not to one of its own.": (
        lambda c, ok, edges: _in_bins((np.less_equal, np.less), c, ok, np.append(edges, 2.0))
    ),
}


@check(CALIBRATION_SLIPS)
def check_calibration_error():
    """Check ``calibration_error(confidence, correct, edges) -> float``, the ECE."""
    rng = np.random.default_rng(93)
    for top, edges in ((0.95, np.linspace(0, 1, 6)), (1.0, np.array([0.0, 0.3, 0.5, 0.8, 1.0]))):
        confidence = np.append(rng.uniform(0.41, 0.95, size=38), [edges[2], top])  # bin 0 is empty
        correct = rng.uniform(size=40) < 1.3 - confidence  # gaps of either sign
        correct[confidence >= edges[-2]] = True  # the last bin is too modest, its sure answer not
        correct[-1] = False
        ends = np.append(edges[:-1], 2.0)  # the last bin has both of its ends
        truth = _in_bins((np.less_equal, np.less), confidence, correct, ends)
        yield (confidence, correct, edges), truth, f"with {len(edges) - 1} bins,"
    yield "Correct: two sets of bins agree, with an empty bin and a sure answer."
