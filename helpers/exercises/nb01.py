"""Checks of notebook 01: a chain of sigmoid nodes run forward, and a slope from two sides."""

import numpy as np

from helpers.exercises.verdict import check


def sigmoid(z):
    """Return the sigmoid by a second formula, which complex numbers pass; the notebooks use exp."""
    return (1 + np.tanh(z / 2)) / 2


def _outputs(x, weights, biases) -> list:
    """Return x and the activations of a chain of sigmoid nodes."""
    a = [x]
    for w, b in zip(weights, biases, strict=True):
        a.append(sigmoid(w * a[-1] + b))
    return a


def _last(x, weights, biases):
    return _outputs(x, weights, biases)[-1]


def _last_z(x, weights, biases):
    return weights[-1] * _last(x, weights[:-1], biases[:-1]) + biases[-1]


def _by(step):
    """Return a chain that takes another step from node to node."""

    def chain(a, weights, biases):
        for w, b in zip(weights, biases, strict=True):
            a = step(w, b, a)
        return a

    return chain


CHAIN_SLIPS = {
    "the sigmoid is missing: the answer is a straight line in x.": _by(lambda w, b, a: w * a + b),
    "the exponent lacks its minus: σ(z) = 1/(1 + e⁻ᶻ).": _by(lambda w, b, a: sigmoid(-w * a - b)),
    "z is w · a + b, not w · (a + b).": _by(lambda w, b, a: sigmoid(w * (a + b))),
    "the sigmoid is applied only once, at the end; every node has its own.": (
        lambda *c: sigmoid(_by(lambda w, b, a: w * a + b)(*c))
    ),
    "w and b are swapped: z is w · a + b.": lambda x, w, b: _last(x, b, w),
    "the last node has no sigmoid: the answer is z, not a.": _last_z,
    "these are z and a of the last node; return a alone.": lambda *c: [_last_z(*c), _last(*c)],
    "these are the input and all activations; return the last one.": _outputs,
    "these are the activations of all layers; return the last one.": lambda *c: _outputs(*c)[1:],
    "the input came back unchanged.": lambda x, w, b: x,
    "the biases are missing.": lambda x, w, b: _last(x, w, [0] * len(b)),
    "the layers are run in reverse order.": lambda x, w, b: _last(x, w[::-1], b[::-1]),
    "only one layer is run: is the return inside the loop?": lambda x, w, b: _last(x, w[:1], b[:1]),
    "the last layer is not run: is the loop too short?": lambda x, w, b: _last(x, w[:-1], b[:-1]),
    "the first layer is not run.": lambda x, w, b: _last(x, w[1:], b[1:]),
    "every layer starts from x again, not from a.": lambda x, w, b: _last(x, w[-1:], b[-1:]),
    "x has gone through a sigmoid; it enters as it is.": lambda x, w, b: _last(sigmoid(x), w, b),
}


@check(CHAIN_SLIPS)
def check_forward_any_depth():
    """Check ``forward(x, weights, biases) -> a`` for scalar chains of one to five layers."""
    rng = np.random.default_rng(5)  # inputs of either sign
    for layers, depth in (
        ("three layers", 3),
        ("one layer", 1),
        ("two layers", 2),
        ("five layers", 5),
    ):
        chain = rng.normal(), rng.normal(size=depth).tolist(), rng.normal(size=depth).tolist()
        yield chain, _last(*chain), f"with {layers},"
    yield "Correct: one, two, three and five layers agree with a second formula."


def _up(f, x, eps):
    return (f(x + eps) - f(x)) / eps


def _down(f, x, eps):
    return (f(x) - f(x - eps)) / eps


SLOPE_SLIPS = {
    "step by eps to either side, not by eps/2.": lambda f, x, e: _up(f, x - e / 2, e),
    "this is the one-sided quotient; step to both sides of x.": _up,
    "this is the one-sided quotient to the left; step to both sides.": _down,
    "this is the one-sided quotient, divided by 2 eps; step to both sides of x.": (
        lambda *c: _up(*c) / 2
    ),
    "this is the one-sided quotient to the left, divided by 2 eps; step to both sides.": (
        lambda *c: _down(*c) / 2
    ),
    "the two points lie 2 eps apart, and you divide by eps.": lambda *c: _up(*c) + _down(*c),
    "the two points lie 2 eps apart, and you divide by 4 eps.": (
        lambda *c: (_up(*c) + _down(*c)) / 4
    ),
    "the change of f is not divided by 2 eps.": lambda f, x, e: f(x + e) - f(x - e),
    "the change of f is divided by 2, not by 2 eps.": lambda f, x, e: (f(x + e) - f(x - e)) / 2,
    "/ 2 * eps multiplies by eps; write / (2 * eps).": (
        lambda f, x, e: (f(x + e) - f(x - e)) / 2 * e
    ),
    "put the difference in parentheses.": lambda f, x, e: f(x + e) - f(x - e) / (2 * e),
    "the two values are added; subtract.": lambda f, x, e: (f(x + e) + f(x - e)) / (2 * e),
}


@check(SLOPE_SLIPS)
def check_two_sided_slope():
    """Check ``slope(f, x, eps)``, the two-sided difference quotient of f at x."""
    for name, f, x, eps in (
        ("sin", np.sin, 0.3, 0.01),
        ("cos", np.cos, -1.0, 0.01),
        ("exp", np.exp, 2.0, 0.1),
    ):
        truth = (_up(f, x, eps) + _down(f, x, eps)) / 2
        yield (f, x, eps), truth, f"with f = {name}, x = {x} and eps = {eps},"
    yield "Correct: three functions agree with their two-sided quotient."
