"""Checks of notebook 04: the way back through layers of several nodes."""

from itertools import pairwise

import numpy as np

from helpers.exercises.nb02 import CHAIN_SLIPS, backward, measured, sigmoid_prime
from helpers.exercises.verdict import check, slips
from helpers.gradcheck import numerical_gradient

PATH_SLIPS = {  # sentence -> what stands in place of the sum over the paths
    "only one path is followed: sum over all nodes of the next layer.": lambda W, d: W[0] * d[0],
    "only the last path is left: add to the sum, do not overwrite it.": lambda W, d: W[-1] * d[-1],
    "are the paths averaged instead of added?": lambda W, d: W.T @ d / len(d),
    "a transpose is missing: the weights that leave node k stand in column k.": lambda W, d: W @ d,
    "the weights are missing: each error must cross its wire.": lambda W, d: sum(d) + 0 * W[0],
}


def _back(paths):
    return {"back": lambda k, W, delta: paths(W[k + 1], delta[k + 1])}


LOOP_SLIPS = CHAIN_SLIPS | {  # ingredients of nb02's EQUATIONS
    **{sentence: _back(paths) for sentence, paths in PATH_SLIPS.items()},
    "the errors are divided by the number of outputs; the cost of a sample is a sum over them.": {
        "output": lambda error: error / len(error)
    },
}


@check(slips(backward, LOOP_SLIPS), returns="dW, db")
def check_backprop_loops():
    """Check ``backprop(x, y, W, b) -> (dW, db)`` for sigmoid networks of one to three layers."""
    rng = np.random.default_rng(4)
    for sizes in ([3, 3, 3, 3], [1, 4, 2], [3, 1]):  # the first is square: a missing transpose fits
        W = [None, *(rng.normal(size=(n, m)) for m, n in pairwise(sizes))]
        b = [None, *(rng.normal(size=n) for n in sizes[1:])]
        case = rng.normal(size=sizes[0]), rng.uniform(size=sizes[-1]), W, b
        yield case, measured(*case), f"with sizes {sizes},"
    yield "Correct: every slope of three networks agrees with a complex step."


def _tanh_prime(z):
    return 1 / np.cosh(z) ** 2


TANH_SLIPS = {  # sentence -> what stands in place of tanh'(z)
    "the factor tanh′(z) is missing.": lambda z: 1,
    "that is the derivative of the sigmoid; these are tanh nodes.": sigmoid_prime,
    "the square is missing: tanh′(z) = 1 − tanh(z)².": lambda z: 1 - np.tanh(z),
    "1 − z² needs the activation: tanh′(z) = 1 − tanh(z)².": lambda z: 1 - z**2,
    "tanh′ is taken at a, not at z.": lambda z: _tanh_prime(np.tanh(z)),
    "you multiply by tanh(z), not by its derivative.": np.tanh,
}


@check(
    slips(lambda slope, W, delta, z: W.T @ delta * slope(z), TANH_SLIPS)
    | slips(lambda paths, W, delta, z: paths(W, delta) * _tanh_prime(z), PATH_SLIPS)
)
def check_tanh_error():
    """Check ``error_before(W_next, delta_next, z)``, BP2 for a layer of tanh nodes."""
    rng = np.random.default_rng(23)
    for n_next, n in ((3, 3), (2, 4), (1, 3)):  # the first is square: a missing transpose fits
        W, delta, z = rng.normal(size=(n_next, n)), rng.normal(size=n_next), rng.normal(size=n)

        def cost(p, W=W, delta=delta):
            return delta @ W @ np.tanh(p["z"])  # its slope against the next z is delta everywhere

        truth = numerical_gradient(cost, {"z": z}, method="complex")["z"]
        yield (W, delta, z), truth, f"with W_next of shape {W.shape},"
    yield "Correct: three layers, a square one among them, agree with nudges."


MEAN_SLIPS = {
    "too large by the factor N, the number of samples (a mean, not a sum).": lambda D, A: D.T @ A,
    "too small by the factor N, the number of samples.": lambda D, A: D.T @ A / len(A) ** 2,
    "divide by N, the number of rows, not of nodes.": lambda D, A: D.T @ A / len(D.T),
    "this is the outer product of two means; average the outer products.": (
        lambda D, A: np.outer(D.mean(axis=0), A.mean(axis=0))
    ),
    "this is the first sample only.": lambda D, A: np.outer(D[0], A[0]),
    "is only the last sample in the sum?": lambda D, A: np.outer(D[-1], A[-1]) / len(A),
    "these are all gradients; take their mean.": lambda D, A: D[:, :, None] * A[:, None],
}


@check(MEAN_SLIPS)
def check_mean_weight_gradient():
    """Check ``mean_weight_gradient(Delta, A)``, BP4 averaged over the rows of a batch."""
    rng = np.random.default_rng(5)
    for N, n, m in ((5, 3, 3), (4, 1, 3), (1, 2, 3)):
        Delta, A = rng.normal(size=(N, n)), rng.normal(size=(N, m))

        def cost(p, Delta=Delta, A=A):
            return np.sum(Delta * (A @ p["W"].T)) / len(A)  # a mean whose errors are Delta

        truth = numerical_gradient(cost, {"W": np.zeros((n, m))}, method="complex")["W"]
        yield (Delta, A), truth, f"with Delta {Delta.shape} and A {A.shape},"
    yield "Correct: batches of 5, 4 and 1 samples agree with nudges of W."
