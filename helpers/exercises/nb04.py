"""Checks of notebook 04: the way back through layers of several nodes."""

from functools import partial

import numpy as np

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.nb02 import CHAIN_SLIPS, backward, list_slips, measured, sigmoid_prime
from helpers.exercises.nb03 import network
from helpers.exercises.verdict import check, slips

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
    "the errors of the outputs are added into one; each output has its own a − y.": {
        "output": lambda error: error.sum() + 0 * error
    },
    "the errors are divided by the number of outputs; the cost of a sample is a sum over them.": {
        "output": lambda error: error / len(error)
    },
}


def _networks(rng, target, slopes):
    """Yield cases of one to four layers, and the praise; the square one lets a transpose pass."""
    for sizes in ([3, 3, 3, 3], [2, 3, 2, 3, 2], [1, 4, 2], [2, 1]):
        W, b = network(rng, sizes)
        case = rng.normal(size=sizes[0]), target(size=sizes[-1]), W, b
        yield case, slopes(*case), f"with sizes {sizes},"
    yield "Correct: networks of one, two, three and four layers agree with a complex step."


@check(slips(backward, LOOP_SLIPS) | list_slips(measured, "(dW, db)"), returns="dW, db")
def check_backprop_loops():
    """Check ``backprop(x, y, W, b) -> (dW, db)`` for sigmoid networks of one to four layers."""
    rng = np.random.default_rng(4)
    yield from _networks(rng, rng.uniform, measured)


_measured = partial(measured, last=lambda z: z)
STRAIGHT = {"last": lambda z: z, "output slope": lambda z: 1}
STRAIGHT_SLIPS = {
    s: STRAIGHT | slip for s, slip in LOOP_SLIPS.items() if "output slope" not in slip
}
STRAIGHT_SLIPS |= {
    "BP1: a straight output has the slope 1; no σ' belongs there.": (
        STRAIGHT | {"output slope": sigmoid_prime}
    ),
    "the output is bent: a[L] is z[L] here, not its sigmoid.": STRAIGHT | {"last": sigmoid},
    "this is the network with a sigmoid at the output; here a[L] = z[L].": {},
}


@check(slips(backward, STRAIGHT_SLIPS) | list_slips(_measured, "(dW, db)"), returns="dW, db")
def check_backprop_linear_output():
    """Check ``backprop(x, y, W, b) -> (dW, db)`` for sigmoid layers below a straight output."""
    rng = np.random.default_rng(23)
    yield from _networks(rng, partial(rng.normal, scale=3), _measured)
