"""Checks of notebook 03: a layer for a batch, and the one map of an identity network."""

from itertools import pairwise

import numpy as np

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.verdict import check, slips

LAYER_SLIPS = {  # from the fourth on they fit a square layer only
    "the bias is missing.": lambda X, W, b: X @ W.T,
    "the bias is subtracted; it is added.": lambda X, W, b: X @ W.T - b,
    "this is the activation; return the pre-activation.": lambda X, W, b: sigmoid(X @ W.T + b),
    "the transpose is missing: X @ W fits here only because W is square.": (
        lambda X, W, b: X @ W + b
    ),
    "the two factors are exchanged: it is X @ W.T.": (lambda X, W, b: W @ X + b),
    "W.T @ X sums over the samples; it is X @ W.T.": lambda X, W, b: W.T @ X + b,
    "W @ X.T has a column per sample; here rows are samples.": lambda X, W, b: W @ X.T + b,
    "the bias runs down the rows, one per sample.": lambda X, W, b: X @ W.T + b[:, None],
    "the result is transposed: rows must be samples.": lambda X, W, b: (X @ W.T + b).T,
    "* multiplies entry by entry; the matrix product is @.": lambda X, W, b: X * W.T + b,
    "* multiplies entry by entry; write @, and transpose W.": lambda X, W, b: X * W + b,
}


@check(LAYER_SLIPS)
def check_layer():
    """Check ``pre_activations(X, W, b) -> Z (N, n_out)``, rows are samples, W is (out, in).

    The square case comes first: there a missing transpose and a bias that runs down the rows
    both have fitting shapes.
    """
    rng = np.random.default_rng(4)
    for N, n_in, n_out in ((3, 3, 3), (5, 2, 4), (1, 4, 1)):
        X, W, b = (rng.normal(size=s) for s in ((N, n_in), (n_out, n_in), n_out))
        truth = [[sum(w * x) + bias for w, bias in zip(W, b, strict=True)] for x in X]
        yield (X, W, b), np.array(truth), f"with X {X.shape} and W {W.shape},"
    yield "Correct: three layers agree with a sum node by node."


def _layer_by_layer(step, W: list, b: list) -> tuple:
    """Return W*, b* when ``step(W_k, b_k, W*, b*)`` adds one layer after another."""
    W_star, b_star = W[1], b[1]
    for W_k, b_k in zip(W[2:], b[2:], strict=True):
        W_star, b_star = step(W_k, b_k, W_star, b_star)
    return W_star, b_star


def _collapsed(W: list, b: list) -> tuple:
    return _layer_by_layer(lambda W, b, P, q: (W @ P, W @ q + b), W, b)


def _from_the_end(W: list, b: list) -> tuple:
    """Walk back in two lines, of which the second needs what the first has overwritten."""
    W_star, b_star = W[-1], b[-1]
    for W_k, b_k in zip(W[-2:0:-1], b[-2:0:-1], strict=True):
        W_star = W_star @ W_k
        b_star = W_star @ b_k + b_star
    return W_star, b_star


def _bias_first(W: list, b: list) -> tuple:
    """Add each bias before its layer's weights."""
    first = [None, W[1] @ b[1], *b[2:]]
    return _layer_by_layer(lambda W, b, P, q: (W @ P, W @ (q + b)), W, first)


STEP_SLIPS = {  # sentence -> what one more layer, W and b, makes of the map P, q
    "the factors stand in the order of the layers; the last layer acts last, so it stands on the "
    "left.": lambda W, b, P, q: (P @ W, W @ q + b),
    "* multiplies entry by entry; the matrix product is @.": lambda W, b, P, q: (W * P, W @ q + b),
    "only the last bias is there; the earlier ones arrive too.": lambda W, b, P, q: (W @ P, b),
    "the biases are added up as they are; each must pass the layers after it.": (
        lambda W, b, P, q: (W @ P, q + b)
    ),
    "only the first bias is carried through.": lambda W, b, P, q: (W @ P, W @ q),
    "it passes the new W_star, not W[k] alone.": lambda W, b, P, q: (W @ P, W @ P @ q + b),
}
COLLAPSE_SLIPS = slips(_layer_by_layer, STEP_SLIPS) | {
    "the last layer is missing: is the loop too short?": lambda W, b: _collapsed(W[:-1], b[:-1]),
    "the first layer is missing.": lambda W, b: _collapsed([None, *W[2:]], [None, *b[2:]]),
    "the two are swapped: return W_star, b_star.": lambda W, b: _collapsed(W, b)[::-1],
    "W_star has changed before b_star needs it: assign both in one line.": _from_the_end,
    "each bias is also multiplied by its own layer's weights.": _bias_first,
}


@check(COLLAPSE_SLIPS, returns="W_star, b_star")
def check_collapse():
    """Check ``collapse(W, b) -> (W_star, b_star)`` for identity networks; ``W[0]`` is None."""
    rng = np.random.default_rng(5)
    for sizes in ([3, 3, 3, 3], [1, 3, 2, 1], [4, 2]):
        W = [None, *(rng.normal(size=(n, m)) for m, n in pairwise(sizes))]
        b = [None, *(rng.normal(size=n) for n in sizes[1:])]
        # Probe the network: 0 gives b*, and each unit vector a column of W* on top of it.
        probes = np.vstack([np.zeros(sizes[0]), np.eye(sizes[0])])
        for W_k, b_k in zip(W[1:], b[1:], strict=True):
            probes = np.array([W_k.dot(p) + b_k for p in probes])
        yield (W, b), ((probes[1:] - probes[0]).T, probes[0]), f"with sizes {sizes},"
    yield "Correct: three networks do what their one affine map does."
