"""Checks of notebook 03: a layer for a batch, and the one map of a network without bends."""

from itertools import pairwise

import numpy as np

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.verdict import check, slips

LAYER_SLIPS = {  # sentence -> the layer with its bias b, and as a column c; most fit square batches
    "the bias is missing.": lambda A, W, b, c: W @ A,
    "the bias is subtracted; it is added.": lambda A, W, b, c: W @ A - c,
    "this is the activation; return the pre-activation.": lambda A, W, b, c: sigmoid(W @ A + c),
    "b alone runs along the samples; make it a column, b[:, None].": lambda A, W, b, c: W @ A + b,
    "this is the row form; with samples as columns it is W @ A.": lambda A, W, b, c: A @ W.T + b,
    "this is the row form, its bias turned; with samples as columns it is W @ A.": (
        lambda A, W, b, c: A @ W.T + c
    ),
    "the result is transposed: columns must be samples.": lambda A, W, b, c: A.T @ W.T + b,
    "A is transposed; with samples as columns it is W @ A.": lambda A, W, b, c: W @ A.T + c,
    "W.T feeds a node with the weights that leave one; here it is W @ A.": (
        lambda A, W, b, c: W.T @ A + c
    ),
    "the two factors are exchanged: it is W @ A.": lambda A, W, b, c: A @ W + c,
    "* multiplies entry by entry; the matrix product is @.": lambda A, W, b, c: W * A + c,
}


@check(slips(lambda layer, A, W, b: layer(A, W, b, b[:, None]), LAYER_SLIPS))
def check_layer():
    """Check ``pre_activations(A, W, b) -> Z (n_out, N)``, columns are samples, W is (out, in).

    The square case comes first: there a bias along the wrong axis and a transpose too many both
    have fitting shapes.
    """
    rng = np.random.default_rng(4)
    for N, n_in, n_out in ((3, 3, 3), (5, 2, 4), (1, 4, 1)):
        A, W, b = (rng.normal(size=s) for s in ((n_in, N), (n_out, n_in), n_out))
        truth = [[sum(w * a) + bias for a in A.T] for w, bias in zip(W, b, strict=True)]
        yield (A, W, b), np.array(truth), f"with A {A.shape} and W {W.shape},"
    yield "Correct: three layers agree with a sum node by node."


def _layer_by_layer(step, W: list, b: list) -> tuple:
    """Return W*, b* when ``step(W_l, b_l, W*, b*)`` adds one layer after another."""
    W_star, b_star = W[1], b[1]
    for W_l, b_l in zip(W[2:], b[2:], strict=True):
        W_star, b_star = step(W_l, b_l, W_star, b_star)
    return W_star, b_star


def _collapsed(W: list, b: list) -> tuple:
    return _layer_by_layer(lambda W, b, P, q: (W @ P, W @ q + b), W, b)


def _from_the_end(W: list, b: list) -> tuple:
    """Walk back in two lines, of which the second needs what the first has overwritten."""
    W_star, b_star = W[-1], b[-1]
    for W_l, b_l in zip(W[-2:0:-1], b[-2:0:-1], strict=True):
        W_star = W_star @ W_l
        b_star = W_star @ b_l + b_star
    return W_star, b_star


STEP_SLIPS = {  # sentence -> what one more layer, W and b, makes of the map P, q
    "the factors stand in the order of the layers; the last layer acts last, so it stands on the "
    "left.": lambda W, b, P, q: (P @ W, W @ q + b),
    "the factors stand in the order of the layers, in b_star too; W[l] stands on the left.": (
        lambda W, b, P, q: (P @ W, q @ W + b)
    ),
    "* multiplies entry by entry; the matrix product is @.": lambda W, b, P, q: (W * P, W @ q + b),
    "only the last bias is there; the earlier ones arrive too.": lambda W, b, P, q: (W @ P, b),
    "the biases are added up as they are; each must pass the layers after it.": (
        lambda W, b, P, q: (W @ P, q + b)
    ),
    "only the first bias is carried through.": lambda W, b, P, q: (W @ P, W @ q),
    "b[l] is added before its own layer; add it after W[l] has acted.": (
        lambda W, b, P, q: (W @ P, W @ (q + b))
    ),
    "b_star is multiplied by the old W_star; W[l] alone is right.": (
        lambda W, b, P, q: (W @ P, P @ q + b)
    ),
    "b_star is multiplied by the new W_star; W[l] alone is right.": (
        lambda W, b, P, q: (W @ P, W @ P @ q + b)
    ),
}
COLLAPSE_SLIPS = slips(_layer_by_layer, STEP_SLIPS) | {
    "the last layer is missing: is the loop too short?": lambda W, b: _collapsed(W[:-1], b[:-1]),
    "the first layer is missing.": lambda W, b: _collapsed([None, *W[2:]], [None, *b[2:]]),
    "the two are swapped: return W_star, b_star.": lambda W, b: _collapsed(W, b)[::-1],
    "W_star has changed before b_star needs it: assign both in one line.": _from_the_end,
}


def network(rng, sizes: list) -> tuple[list, list]:
    """Return the weights and biases of a network, None in front."""
    weights = [rng.normal(size=(n, m)) for m, n in pairwise(sizes)]
    return [None, *weights], [None, *(rng.normal(size=n) for n in sizes[1:])]


@check(COLLAPSE_SLIPS, returns="W_star, b_star")
def check_collapse():
    """Check ``collapse(W, b) -> (W_star, b_star)`` for networks without bends; ``W[0]`` is None."""
    rng = np.random.default_rng(5)
    for sizes in ([3, 3, 3, 3], [1, 3, 2, 1], [4, 2]):
        W, b = network(rng, sizes)
        # Probe the network: 0 gives b*, and each unit vector a column of W* on top of it.
        probes = np.vstack([np.zeros(sizes[0]), np.eye(sizes[0])])
        for W_l, b_l in zip(W[1:], b[1:], strict=True):
            probes = np.array([W_l.dot(p) + b_l for p in probes])
        truth = (probes[1:] - probes[0]).T, probes[0]
        yield (W, b), truth, f"with sizes {sizes} and W[0] = None,"
    yield "Correct: three networks do what their one affine map does."
