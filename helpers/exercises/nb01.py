"""Checks of notebook 01: a chain of sigmoid nodes run forward, and a slope from two sides."""

import numpy as np

from helpers.exercises.verdict import check, slips


def sigmoid(z):
    """Return the sigmoid by a second formula, which complex numbers pass; the notebooks use exp."""
    return (1 + np.tanh(z / 2)) / 2


def _node(w, b, a):
    return sigmoid(w * a + b)


def _outputs(node, x, weights, biases) -> list:
    """Return x and what comes out of each node of a chain."""
    a = [x]
    for w, b in zip(weights, biases, strict=True):
        a.append(node(w, b, a[-1]))
    return a


def _last(x, weights, biases, node=_node):
    return _outputs(node, x, weights, biases)[-1]


def _last_z(x, w, b):
    return w[-1] * _last(x, w[:-1], b[:-1]) + b[-1]


NODE_SLIPS = {
    "the sigmoid is missing: the answer is a straight line in x.": lambda w, b, a: w * a + b,
    "the exponent lacks its minus: σ(z) = 1/(1 + e⁻ᶻ).": lambda w, b, a: sigmoid(-w * a - b),
    "z is w · a + b, not w · (a + b).": lambda w, b, a: sigmoid(w * (a + b)),
    "w and b are swapped: z is w · a + b.": lambda w, b, a: sigmoid(b * a + w),
    "the biases are missing.": lambda w, b, a: sigmoid(w * a),
}
CHAIN_SLIPS = slips(lambda node, *chain: _last(*chain, node), NODE_SLIPS) | {
    "the sigmoid is applied only once, at the end; every node has its own.": (
        lambda *chain: sigmoid(_last(*chain, lambda w, b, a: w * a + b))
    ),
    "the last node has no sigmoid: the answer is z, not a.": _last_z,
    "these are z and a of the last node; return a alone.": lambda *c: [_last_z(*c), _last(*c)],
    "these are the input and all activations; return the last one.": (
        lambda *chain: _outputs(_node, *chain)
    ),
    "these are the activations of all layers; return the last one.": (
        lambda *chain: _outputs(_node, *chain)[1:]
    ),
    "the layers are run in reverse order.": lambda x, w, b: _last(x, w[::-1], b[::-1]),
    "only one layer is run: is the return inside the loop?": lambda x, w, b: _last(x, w[:1], b[:1]),
    "the last layer is not run: is the loop too short?": lambda x, w, b: _last(x, w[:-1], b[:-1]),
    "the first layer is not run.": lambda x, w, b: _last(x, w[1:], b[1:]),
    "every layer starts from x again, not from a.": lambda x, w, b: _last(x, w[-1:], b[-1:]),
    "the input came back unchanged.": lambda x, w, b: x,
    "x has gone through a sigmoid; it enters as it is.": lambda x, w, b: _last(sigmoid(x), w, b),
}


@check(CHAIN_SLIPS)
def check_forward_any_depth():
    """Check ``forward(x, weights, biases) -> a`` for scalar chains of one to five layers."""
    rng = np.random.default_rng(5)  # inputs of either sign
    depths = {"three layers": 3, "one layer": 1, "two layers": 2, "five layers": 5}
    for layers, depth in depths.items():
        chain = rng.normal(), *rng.normal(size=(2, depth)).tolist()
        yield chain, _last(*chain), f"with {layers},"
    yield "Correct: one, two, three and five layers agree with a second formula."


def _quotient(rule, f, x, eps):
    """Return ``rule(p, q, r, eps)``, p, q and r being the values of f from left to right."""
    return rule(f(x - eps), f(x), f(x + eps), eps)


QUOTIENT_SLIPS = {  # p, q and r are f at x − e, at x and at x + e
    "this is the one-sided quotient; step to both sides of x.": lambda p, q, r, e: (r - q) / e,
    "this is the one-sided quotient to the left; step to both sides.": lambda p, q, r, e: (
        (q - p) / e
    ),
    "this is the one-sided quotient, divided by 2 eps; step to both sides of x.": (
        lambda p, q, r, e: (r - q) / (2 * e)
    ),
    "the two points lie 2 eps apart, and you divide by eps.": lambda p, q, r, e: (r - p) / e,
    "the change of f is not divided by 2 eps.": lambda p, q, r, e: r - p,
    "the change of f is divided by 2, not by 2 eps.": lambda p, q, r, e: (r - p) / 2,
    "/ 2 * eps multiplies by eps; write / (2 * eps).": lambda p, q, r, e: (r - p) / 2 * e,
    "put the difference in parentheses.": lambda p, q, r, e: r - p / (2 * e),
    "the two values are added; subtract.": lambda p, q, r, e: (r + p) / (2 * e),
}
SLOPE_SLIPS = slips(_quotient, QUOTIENT_SLIPS) | {
    "step by eps to either side, not by eps/2.": lambda f, x, e: (f(x + e / 2) - f(x - e / 2)) / e
}


@check(SLOPE_SLIPS)
def check_two_sided_slope():
    """Check ``slope(f, x, eps)``, the two-sided difference quotient of f at x."""
    for f, x, eps in ((np.sin, 0.3, 0.01), (np.cos, -1.0, 0.01), (np.exp, 2.0, 0.1)):
        truth = _quotient(lambda p, q, r, eps: (r - p) / eps / 2, f, x, eps)
        yield (f, x, eps), truth, f"with f = {f.__name__}, x = {x} and eps = {eps},"
    yield "Correct: three functions agree with their two-sided quotient."
