"""Checks of notebook 02: an error one node back, and the whole way back through a chain."""

import numpy as np

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.verdict import check, slips
from helpers.gradcheck import numerical_gradient


def sigmoid_prime(z):
    """Return the slope of the sigmoid by a second formula."""
    return 0.25 / np.cosh(z / 2) ** 2


SIGMOID_SLIPS = {  # sentence -> what stands in place of σ'(z), here and in 04 and 06
    "σ'(z) is missing: this is ∂C/∂a, one step short of ∂C/∂z.": lambda z: 1,
    "this has σ(z) where σ'(z) belongs.": sigmoid,
    "σ' was taken at a = σ(z); it belongs at z.": lambda z: sigmoid_prime(sigmoid(z)),
    "z(1 − z) is not a slope: σ' is a(1 − a) with a = σ(z).": lambda z: z * (1 - z),
    "this has z itself where σ'(z) belongs.": lambda z: z,
    "1 − σ(z) is only one factor of σ'(z) = σ(z)(1 − σ(z)).": lambda z: 1 - sigmoid(z),
    "that is the derivative of tanh; this node has a sigmoid.": lambda z: 1 - np.tanh(z) ** 2,
    "σ'(z) is applied twice.": lambda z: sigmoid_prime(z) ** 2,
}
ONE_BACK_SLIPS = slips(lambda slope, w, delta, z: w * delta * slope(z), SIGMOID_SLIPS) | {
    "σ' was taken at w z; it belongs at z.": lambda w, delta, z: w * delta * sigmoid_prime(w * z),
    "the weight is missing: δ must cross the wire.": lambda w, delta, z: delta * sigmoid_prime(z),
    "the error of the next node is missing.": lambda w, delta, z: w * sigmoid_prime(z),
    "the factors multiply; none is added.": lambda w, delta, z: w * delta + sigmoid_prime(z),
}


@check(ONE_BACK_SLIPS)
def check_error_one_layer_back():
    """Check ``error_back(w_next, delta_next, z) -> delta``, the scalar BP2."""
    rng = np.random.default_rng(2)
    for w, delta, z in rng.normal(size=(4, 3)).tolist():
        slope = np.imag(sigmoid(z + 1e-20j)) / 1e-20
        where = f"with w_next = {w:.3g}, delta_next = {delta:.3g} and z = {z:.3g},"
        yield (w, delta, z), w * delta * slope, where
    yield "Correct: the error agrees with a second formula at four random places."


def _forward(x, w: list, b: list, last) -> tuple[list, list]:
    """Return z and a of all layers, z[0] = a[0] = x; w and b are numbers or arrays."""
    z, a = [x], [x]
    for w_k, b_k in zip(w[1:], b[1:], strict=True):
        z.append(np.dot(w_k, a[-1]) + b_k)
        a.append(sigmoid(z[-1]))
    return z, [*a[:-1], last(z[-1])]


def measured(x, y, w: list, b: list, last=sigmoid) -> tuple[list, list]:
    """Return the slopes dw, db of half the squared error by complex steps, None in front."""
    layers = range(1, len(w))

    def lists(p):
        return tuple([None, *(p[f"{name}{k}"] for k in layers)] for name in "wb")

    def cost(p):
        return 0.5 * np.sum((_forward(x, *lists(p), last)[1][-1] - y) ** 2)

    params = {f"w{k}": w[k] for k in layers} | {f"b{k}": b[k] for k in layers}
    return lists(numerical_gradient(cost, params, method="complex"))


EQUATIONS = {  # what the four equations are made of, for layer k
    "last": sigmoid,  # the activation of the output
    "output": lambda error: error,  # BP1: a - y times the slope
    "output slope": sigmoid_prime,
    "back": lambda k, w, delta: np.dot(delta[k + 1], w[k + 1]),  # BP2: Wᵀδ times the slope
    "slope": lambda k, z: sigmoid_prime(z[k]),
    "bias": lambda delta, a_in: delta,  # BP3
    "in": lambda k, w, z, a: a[k - 1],  # BP4: the outer product of δ and what comes in
}


def backward(slip: dict, x, y, w: list, b: list) -> tuple[list, list]:
    """Return dw, db, None in front, with some ingredients of the four equations replaced."""
    rule = EQUATIONS | slip
    z, a = _forward(x, w, b, rule["last"])
    delta = [None] * len(w)
    delta[-1] = rule["output"](a[-1] - y) * rule["output slope"](z[-1])
    for k in range(len(w) - 2, 0, -1):
        delta[k] = rule["back"](k, w, delta) * rule["slope"](k, z)
    layers = range(1, len(w))
    dw = [np.multiply.outer(delta[k], rule["in"](k, w, z, a)) for k in layers]
    return [None, *dw], [None, *(rule["bias"](delta[k], a[k - 1]) for k in layers)]


def _output(rule):
    return {"output": rule}


def _hidden(slope):
    return {"slope": lambda k, z: slope(z[k])}


CHAIN_SLIPS = {
    "half the slope; does a ½ remain that the square's 2 should cancel?": _output(lambda e: e / 2),
    "twice the slope; the cost is *half* the squared error.": _output(lambda e: 2 * e),
    "BP1 has the cost where the slope of the cost, a − y, belongs.": _output(lambda e: e**2 / 2),
    "BP1 has lost the sign of a − y.": _output(np.abs),
    **{s: {"output slope": slope} | _hidden(slope) for s, slope in SIGMOID_SLIPS.items()},
    **{f"BP1: {s}": {"output slope": slope} for s, slope in SIGMOID_SLIPS.items()},
    **{f"BP2: {s}": _hidden(slope) for s, slope in SIGMOID_SLIPS.items()},
    "BP2 multiplies by the weight of its own layer; it is the next layer's.": {
        "back": lambda k, w, delta: np.dot(delta[k + 1], w[k])
    },
    "BP2 takes σ'(z) of the next layer.": {"slope": lambda k, z: sigmoid_prime(z[k + 1])},
    "BP2 is missing: every node has the error of the output.": (
        {"back": lambda k, w, delta: delta[k + 1]} | _hidden(lambda z: 1)
    ),
    "BP2 lacks the weight.": {"back": lambda k, w, delta: delta[k + 1]},
    "BP3: the slope of a bias is the error alone.": {"bias": lambda delta, a_in: delta * a_in},
    "BP3: the slope of a bias is the error, not 1.": {"bias": lambda delta, a: 1 + 0 * delta},
    "the weights' slopes lack the activation that comes in (BP4).": {
        "in": lambda k, w, z, a: 1 + 0 * a[k - 1]
    },
    "BP4 multiplies by the activation of its own layer; it is the one before.": {
        "in": lambda k, w, z, a: a[k]
    },
    "BP4 multiplies by z; it is the activation.": {"in": lambda k, w, z, a: z[k - 1]},
    "BP4 multiplies by z of its own layer.": {"in": lambda k, w, z, a: z[k]},
    "BP4 multiplies by the weight.": {"in": lambda k, w, z, a: w[k]},
}


def list_slips(slopes, pair: str) -> dict:
    """Return the wrong turns of two lists with None in front, `pair` being their names."""
    return {
        "the lists run from the output to the input; return the first layer first.": (
            lambda *case: tuple([None, *part[:0:-1]] for part in slopes(*case))
        ),
        f"the two lists are swapped: return {pair}.": lambda *case: slopes(*case)[::-1],
    }


LABEL_SLIPS = {
    "the label is missing: BP1 begins with a − y.": lambda x, y, *wb: measured(x, 0.0, *wb),
    "the label is added; BP1 begins with a − y.": lambda x, y, *wb: measured(x, -y, *wb),
}
BACKPROP_SLIPS = slips(backward, CHAIN_SLIPS) | list_slips(measured, "(dw, db)") | LABEL_SLIPS


def _chain(slopes, x, y, weights, biases) -> tuple[list, list]:
    """Return dw, db as exercise 2 wants them, the first layer in front."""
    return tuple(s[1:] for s in slopes(x, y, [None, *weights], [None, *biases]))


def _by_layer(got) -> str | None:
    if isinstance(got, list) and all(isinstance(g, tuple) and len(g) == 2 for g in got):
        return "these are pairs, one per layer; return two lists, dw and db."
    return None


@check(slips(_chain, BACKPROP_SLIPS), returns="dw, db")
def check_backprop_1d():
    """Check ``backprop(x, y, weights, biases) -> (dw, db)`` on chains of one to five nodes.

    The cost is half the squared error of one sample; the truth is measured by a complex step.
    """
    rng = np.random.default_rng(3)
    for nodes, depth in (("three nodes", 3), ("one node", 1), ("two nodes", 2), ("five nodes", 5)):
        # A label that is neither 0 nor 1: with y = 0, say, a alone would pass for a - y.
        x, y = rng.normal(size=2).tolist()
        case = x, y, *rng.normal(size=(2, depth)).tolist()
        yield case, _by_layer, f"with {nodes},"
        yield case, _chain(measured, *case), f"with {nodes},"
    yield "Correct: chains of one, two, three and five nodes agree with a nudge."
