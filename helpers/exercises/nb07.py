"""Checks of notebook 07: the cross-entropy of two classes, and the way back through a softmax."""

from functools import partial

import numpy as np

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.verdict import as_numbers, check, difference, memory_below, slips
from helpers.gradcheck import numerical_gradient

COST_SLIPS = {  # sentence -> the cost from logits, labels and the costs c of the samples
    "this is one cost per sample; take the mean.": lambda z, y, c: c,
    "too large by the factor N, the number of samples.": lambda z, y, c: c.sum(),
    "y z is missing: the cost is lse([0, z]) − y z.": lambda z, y, c: np.mean(c + y * z),
    "y z is missing, and so is the mean.": lambda z, y, c: c + y * z,
    "every sample is taken for one of class 1; where is y?": lambda z, y, c: np.mean(c + y * z - z),
    "you add y z; it must be subtracted.": lambda z, y, c: np.mean(c + 2 * y * z),
    "the labels are exchanged: ŷ belongs to class 1.": lambda z, y, c: np.mean(c + (2 * y - 1) * z),
    "only the samples of class 1 cost anything; where is (1 − y)?": lambda z, y, c: np.mean(y * c),
    "only the samples of class 0 cost anything; where is y?": lambda z, y, c: np.mean(c - y * c),
    "the log-sum-exp ran over the whole batch; each sample has its own, of 0 and its logit.": (
        lambda z, y, c: np.logaddexp.reduce(np.append(z, 0 * z)) - np.mean(y * z)
    ),
    "this is a mean squared error; take logarithms.": (
        lambda z, y, c: np.mean((sigmoid(z) - y) ** 2)
    ),
    "z is taken for a probability; that is ŷ = σ(z).": (
        lambda z, y, c: -np.mean(y * np.log(z) + (1 - y) * np.log(1 - z))
    ),
}


@check(slips(lambda cost, z, y: cost(z, y, np.logaddexp(0, z) - y * z), COST_SLIPS))
def check_binary_cross_entropy():
    """Check ``binary_cross_entropy(z, y)``, the mean cost of logits z and labels y (N,), 0 or 1."""
    z = np.random.default_rng(71).uniform(0.05, 0.95, size=7)  # they could pass for probabilities
    y = np.array([1, 0, 0, 1, 1, 0, 1])
    truth = -np.where(y == 1, np.log(sigmoid(z)), np.log(sigmoid(-z))).mean()
    yield (z, y), truth, f"with {len(z)} samples,"
    with np.errstate(all="ignore"):  # the verdict says it in place of NumPy
        for large, cost in ((1000.0, 0), (-1000.0, 1000)):
            case = np.array([large, -large]), np.array([1, 0])
            yield case, partial(_at_extremes, cost=cost), f"at logits {case[0]}"
    yield "Correct: the costs agree, at logits of ±1000 too."


def _at_extremes(got, cost: float) -> str | None:
    numbers = as_numbers(got)
    if numbers is not None and not np.isfinite(numbers).all():
        return f"the answer is {numbers}; e¹⁰⁰⁰ must never be formed."
    sentence = difference(got, cost, {})
    return sentence and f"{sentence} Is a probability clipped or rounded?"


def _rows(P):
    """Return the sum of each row, as a column."""
    return P.sum(axis=1, keepdims=True)


BACK_SLIPS = {  # sentence -> the errors from P, V, their product and its row sums S
    "only the diagonal of J is there: the one-path rule.": lambda P, V, PV, S: PV * (1 - P),
    "ŷŷᵀ is missing: J is not diag(ŷ) alone.": lambda P, V, PV, S: PV,
    "diag(ŷ) is missing.": lambda P, V, PV, S: -P * S,
    "ŷₖ in front is missing.": lambda P, V, PV, S: V - S,
    "the sum is added to V; subtract it.": lambda P, V, PV, S: P * (V + S),
    "the sum lacks ŷ: it runs over ŷⱼvⱼ.": lambda P, V, PV, S: P * (V - _rows(V)),
    "the sum must be multiplied by ŷₖ.": lambda P, V, PV, S: PV - S,
    "take the sum over the classes, no mean.": lambda P, V, PV, S: P * (V - S / len(P.T)),
    "the sum runs over the samples, not classes.": lambda P, V, PV, S: P * (V - PV.sum(axis=0)),
    "the sum runs over the batch; each row has its own.": lambda P, V, PV, S: P * (V - PV.sum()),
    "the sums belong to rows, and they are laid along columns: keepdims=True.": (
        lambda P, V, PV, S: P * (V - S.ravel())
    ),
    "P @ V.T pairs every sample with every other; sum P * V.": (
        lambda P, V, PV, S: P * (V - P @ V.T)
    ),
    "too small by the factor N.": lambda P, V, PV, S: P * (V - S) / len(P),
}


def _softmax(Z):
    return np.exp(Z) / _rows(np.exp(Z))


@check(slips(lambda back, P, V: back(P, V, P * V, _rows(P * V)), BACK_SLIPS))
def check_softmax_back():
    """Check ``softmax_back(P, V) -> Delta (N, n)``, each row of V times its softmax Jacobian."""
    rng = np.random.default_rng(72)
    for N, n in ((3, 3), (5, 4), (1, 2)):
        Z, V = rng.normal(size=(2, N, n))
        truth = numerical_gradient(
            lambda p, V=V: np.sum(V * _softmax(p["Z"])), {"Z": Z}, method="complex"
        )
        yield (_softmax(Z), V), truth["Z"], f"with P of shape {Z.shape},"
    P, V = np.full((2, 2, 400), 1 / 400)  # J of one sample takes 200 times as much memory as P
    with memory_below(100 * P.nbytes, "the errors are right, but you build a matrix J.") as truth:
        yield (P, V), truth, f"with {P.shape[1]} classes,"
    praise = "Correct: three batches agree with nudges of the logits."
    yield f"{praise} Whether a loop is left, this check cannot see."
