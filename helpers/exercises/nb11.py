"""Checks of notebook 11: two pullbacks, the walk back through a graph, and training on the tape."""

import numpy as np
from scipy.special import softmax

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.verdict import check, slips
from helpers.gradcheck import numerical_gradient


def _pulled_back(f, u: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return the slope of sum(g·f(u)) along u, by a complex step."""
    return numerical_gradient(lambda p: np.sum(g * f(p["u"])), {"u": u}, method="complex")["u"]


TANH_SLIPS = {  # sentence -> the bar of u from u, t = tanh(u) and the bar g
    "this is the derivative alone; times the bar g of the result.": lambda u, t, g: 1 - t**2,
    "the slope 1 − tanh² is missing: g is passed on unchanged.": lambda u, t, g: g,
    "this is g·tanh(u); the derivative is asked for.": lambda u, t, g: g * t,
    "tanh must be squared: 1 − tanh².": lambda u, t, g: g * (1 - t),
    "this takes u for tanh(u): 1 − u².": lambda u, t, g: g * (1 - u**2),
    "the slope is taken at g; it belongs to u.": lambda u, t, g: g * (1 - np.tanh(g) ** 2),
    "this is the slope of the sigmoid's form, t(1 − t); for tanh it is 1 − t².": (
        lambda u, t, g: g * t * (1 - t)
    ),
}


@check(slips(lambda pull, u, g: pull(u, np.tanh(u), g), TANH_SLIPS))
def check_tanh_pullback():
    """Check ``tanh_pullback(u, g)``: the bar of u from the bar g of tanh(u)."""
    rng = np.random.default_rng(110)
    for shape in ((), (4,), (3, 2)):
        u, g = rng.normal(size=(2, *shape))
        yield (u, g), _pulled_back(np.tanh, u, g), f"for u of shape {shape},"
    yield "Correct: three shapes agree with a complex step."


def _stable(P: np.ndarray) -> np.ndarray:
    """Return exp(Z − largest of each row) from the softmax P of Z."""
    return P / P.max(axis=1, keepdims=True)


LSE_SLIPS = {  # sentence -> the bar of Z from E = exp(Z), its softmax P and the bar g
    "this is the softmax alone; times the bar g of the result.": lambda E, P, g: P,
    "g stretched to all columns is the pullback of a sum; each entry counts by its softmax.": (
        lambda E, P, g: g + 0 * P
    ),
    "the exponentials are not divided by their sum.": lambda E, P, g: g * E,
    "this is the diagonal of the softmax's Jacobian; lse itself has the slope softmax.": (
        lambda E, P, g: g * P * (1 - P)
    ),
    "the sum must run over each row, not over all entries.": lambda E, P, g: g * E / E.sum(),
    "the sum must run over each row, not over each column.": lambda E, P, g: g * E / E.sum(axis=0),
    "each row needs a sum of its own, not one over all entries.": (
        lambda E, P, g: g * _stable(P) / _stable(P).sum()
    ),
    "each row needs a sum of its own, not one over each column.": (
        lambda E, P, g: g * _stable(P) / _stable(P).sum(axis=0)
    ),
    "the exponentials, the largest taken out, are not divided by their sum.": (
        lambda E, P, g: g * _stable(P)
    ),
    "this is the pullback of softmax, zero here; lse itself has the slope softmax.": (
        lambda E, P, g: 0 * P
    ),
    "this sends g to the largest entry only: the pullback of the maximum.": (
        lambda E, P, g: g * (P.max(axis=1, keepdims=True) == P)
    ),
}


@check(slips(lambda pull, Z, g: pull(np.exp(Z), softmax(Z, axis=1), g), LSE_SLIPS))
def check_log_sum_exp_pullback():
    """Check ``log_sum_exp_pullback(Z, g)``: (N, m) and (N, 1) to the bar of Z, (N, m)."""
    rng = np.random.default_rng(111)
    for Z in (rng.normal(size=(4, 3)), rng.normal(size=(2, 5)), 1000 + rng.normal(size=(3, 3))):
        g, top = rng.normal(size=(len(Z), 1)), Z.max(axis=1, keepdims=True)

        def lse(U, top=top):
            return top + np.log(np.exp(U - top).sum(axis=1, keepdims=True))

        yield (Z, g), _pulled_back(lse, Z, g), f"for logits around {Z.mean():.0f}, shape {Z.shape},"
    yield "Correct: three batches agree with a complex step, one with logits of 1000."


def _walk(rule, order, parents, factors):
    bars = {order[-1]: 1.0}
    for name in reversed(order):
        for parent, factor in zip(parents[name], factors[name], strict=True):
            bars[parent] = rule(bars.get(parent, 0.0), bars[name], factor)
    return bars


def _from_the_start(order, parents, factors):
    bars = dict.fromkeys(order, 0.0) | {order[-1]: 1.0}
    for name in order:
        for parent, factor in zip(parents[name], factors[name], strict=True):
            bars[parent] += bars[name] * factor
    return bars


def _recurse(order, parents, factors):
    bars = dict.fromkeys(order, 0.0) | {order[-1]: 1.0}

    def walk(name):
        for parent, factor in zip(parents[name], factors[name], strict=True):
            bars[parent] += bars[name] * factor
            walk(parent)

    walk(order[-1])
    return bars


WALK_SLIPS = {  # sentence -> what is kept of (so far, bar of the result, factor)
    "where two arrows leave a circle only one is kept: paths add.": lambda old, g, f: g * f,
    "only the first path to each name counts: paths add.": lambda old, g, f: old or g * f,
    "the factors on the arrows are not used.": lambda old, g, f: old + g,
    "the bar of the result is missing: only the factor of the last arrow is added.": (
        lambda old, g, f: old + f
    ),
    "the factors along a path are multiplied, not added.": lambda old, g, f: old + g + f,
}
GRAPH_SLIPS = slips(_walk, WALK_SLIPS) | {
    "the walk begins at the inputs: take reversed(order).": _from_the_start,
    "a bar is passed on before it is complete: wait for all that was made from the name.": _recurse,
}


@check(GRAPH_SLIPS)
def check_slopes_of_graph():
    """Check ``slopes_of_graph(order, parents, factors)`` on graphs where paths meet."""
    rng = np.random.default_rng(113)
    for parents in (
        {"a": [], "b": ["a"], "c": ["b"]},
        {"a": [], "b": ["a", "a"], "c": ["b", "b"]},
        {"x": [], "u": ["x"], "v": ["x", "u"], "C": ["u", "v", "x"]},
        {"w": [], "x": [], "z": ["w", "x"], "s": ["z"], "t": ["z", "w"], "C": ["s", "t", "s"]},
    ):
        order = list(parents)
        factors = {name: rng.normal(size=len(p)).tolist() for name, p in parents.items()}
        truth = {name: _forward(name, order, parents, factors) for name in order}
        shown = ", ".join(f"{n} = f({', '.join(p)})" for n, p in parents.items() if p)
        yield (order, parents, factors), truth, f"for {shown},"
    yield "Correct: four graphs agree with slopes carried forward."


def _forward(source, order, parents, factors) -> float:
    """Return the slope of the end along `source`, carried forward from it."""
    dots = {}
    for name in order:
        arriving = zip(parents[name], factors[name], strict=True)
        dots[name] = float(name == source) + sum(dots[parent] * f for parent, f in arriving)
    return dots[order[-1]]


def _trained(rule, p, X, Y, rate, epochs):
    """Return the parameters after `epochs` steps; `rule` makes a step of all gradients so far."""

    def cost(p):
        A1 = sigmoid(X @ p["W1"].T + p["b1"])
        return 0.5 * np.sum((sigmoid(A1 @ p["W2"].T + p["b2"]) - Y) ** 2) / len(X)

    gradients = []
    for _ in range(epochs):
        gradients.append(numerical_gradient(cost, p, method="complex"))
        p = {name: p[name] - rate * rule([g[name] for g in gradients], len(X)) for name in p}
    return p


TRAINING_SLIPS = {  # sentence -> the step from all gradients so far and the number of samples
    "the sign: a step goes down the slope, against the gradient.": lambda g, N: -g[-1],
    "gradients pile up from step to step: set grad to zero before the next walk.": (
        lambda g, N: sum(g)
    ),
    "the parameters have not moved: store the step in w.value, and zero grad after it.": (
        lambda g, N: 0 * g[-1]
    ),
    "all steps use the first gradient: make a new tape for every step.": lambda g, N: g[0],
    "the gradient is a mean already; do not divide by the number of samples.": (
        lambda g, N: g[-1] / N
    ),
    "the gradient is a mean; do not multiply by the number of samples.": lambda g, N: g[-1] * N,
}


@check(slips(_trained, TRAINING_SLIPS))
def check_trained_on_tape():
    """Check ``train(p, X, Y, rate, epochs)``: full-batch descent on a 2-3-1 sigmoid network."""
    rng = np.random.default_rng(114)
    shapes = {"W1": (3, 2), "b1": (3,), "W2": (1, 3), "b2": (1,)}
    for epochs in (3, 5):
        p = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        X, Y, rate = rng.normal(size=(6, 2)), rng.random((6, 1)), 0.5
        truth = _trained(lambda g, N: g[-1], p, X, Y, rate, epochs)
        yield (p, X, Y, rate, epochs), truth, f"with {epochs} step{'s' * (epochs > 1)},"
    yield "Correct: three steps and five agree with descent along measured gradients."
