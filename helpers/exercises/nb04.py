"""Checks of notebook 04: the way back through layers of several nodes."""

from functools import partial
from itertools import pairwise

import numpy as np

from helpers.exercises.nb01 import sigmoid
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
    # the same two mistakes as in a chain, as arrays
    "BP3: the slope of a bias is the error, not 1.": {"bias": lambda delta, a: np.ones_like(delta)},
    "the weights' slopes lack the activation that comes in (BP4).": {
        "in": lambda k, w, z, a: np.ones_like(a[k - 1])
    },
}
DEPTHS = ([3, 3, 3, 3], [2, 3, 2, 3, 2], [1, 4, 2], [2, 1])  # square: a missing transpose fits


def _list_slips(slopes) -> dict:
    return {
        "the lists run from the output to the input; return the first layer first.": (
            lambda *case: tuple([None, *part[:0:-1]] for part in slopes(*case))
        ),
        "the two lists are swapped: return (dW, db).": lambda *case: slopes(*case)[::-1],
    }


@check(slips(backward, LOOP_SLIPS) | _list_slips(measured), returns="dW, db")
def check_backprop_loops():
    """Check ``backprop(x, y, W, b) -> (dW, db)`` for sigmoid networks of one to four layers."""
    rng = np.random.default_rng(4)
    for sizes in DEPTHS:
        W = [None, *(rng.normal(size=(n, m)) for m, n in pairwise(sizes))]
        b = [None, *(rng.normal(size=n) for n in sizes[1:])]
        case = rng.normal(size=sizes[0]), rng.uniform(size=sizes[-1]), W, b
        yield case, measured(*case), f"with sizes {sizes},"
    yield "Correct: networks of one, two, three and four layers agree with a complex step."


def _output(x, W: list, b: list) -> np.ndarray:
    """Return the output of sigmoid layers below a last layer that stays straight, a[L] = z[L]."""
    a = x
    for matrix, bias in zip(W[1:-1], b[1:-1], strict=True):
        a = sigmoid(matrix @ a + bias)
    return W[-1] @ a + b[-1]


def _measured(x, y, W: list, b: list) -> tuple[list, list]:
    layers = range(1, len(W))

    def lists(p):
        return tuple([None, *(p[f"{name}{k}"] for k in layers)] for name in "Wb")

    def cost(p):
        return 0.5 * np.sum((_output(x, *lists(p)) - y) ** 2)

    params = {f"W{k}": W[k] for k in layers} | {f"b{k}": b[k] for k in layers}
    return lists(numerical_gradient(cost, params, method="complex"))


def _straight(slip: dict, x, y, W: list, b: list) -> tuple[list, list]:
    """Return what `backward` does with a straight output, some of its ingredients replaced."""
    z = _output(x, W, b)
    # `backward` bends its output: with this target its a - y is our z - y.
    return backward({"output slope": lambda z: 1} | slip, x, sigmoid(z) - z + y, W, b)


def _bent(x, y, W: list, b: list) -> tuple[list, list]:
    """Return the slopes by a − y, but with a sigmoid at the output after all."""
    return backward({"output slope": lambda z: 1}, x, y, W, b)


STRAIGHT_SLIPS = slips(
    _straight, {s: slip for s, slip in LOOP_SLIPS.items() if "output slope" not in slip}
) | {
    "BP1: a straight output has the slope 1; no σ' belongs there.": partial(
        _straight, {"output slope": sigmoid_prime}
    ),
    "the output is bent: a[L] is z[L] here, not its sigmoid.": _bent,
    "this is the network with a sigmoid at the output; here a[L] = z[L].": partial(backward, {}),
    **_list_slips(_measured),
}


@check(STRAIGHT_SLIPS, returns="dW, db")
def check_backprop_linear_output():
    """Check ``backprop(x, y, W, b) -> (dW, db)`` for sigmoid layers below a straight output."""
    rng = np.random.default_rng(23)
    for sizes in DEPTHS:
        W = [None, *(rng.normal(size=(n, m)) for m, n in pairwise(sizes))]
        b = [None, *(rng.normal(size=n) for n in sizes[1:])]
        case = rng.normal(size=sizes[0]), 3 * rng.normal(size=sizes[-1]), W, b
        yield case, _measured(*case), f"with sizes {sizes},"
    yield "Correct: networks of one, two, three and four layers agree with a complex step."
