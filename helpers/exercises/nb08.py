"""Checks of notebook 08: two classes by one sigmoid, and a step ahead of momentum."""

import numpy as np

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.verdict import check, slips


def _columns(p):
    return np.column_stack([1 - p, p])


def _softmax(Z):
    return _columns(sigmoid(Z[:, 1] - Z[:, 0]))


SOFTMAX_SLIPS = {
    "this is the column of class 1 alone; return both.": lambda Z: _softmax(Z)[:, 1],
    "the two columns are exchanged: class 1 gains when z₁ − z₀ grows.": lambda Z: _softmax(-Z),
    "each logit has a sigmoid of its own; only their difference counts.": sigmoid,
    "the logit of class 0 is left out.": lambda Z: _columns(sigmoid(Z[:, 1])),
    "these are differences of samples, Z[1] − Z[0]; classes are columns, Z[:, 1] − Z[:, 0].": (
        lambda Z: _columns(sigmoid(Z[1] - Z[0]))
    ),
    "each column adds up to 1; the probabilities of a sample, a row, must: axis=1.": (
        lambda Z: np.exp(Z - np.logaddexp.reduce(Z, axis=0))
    ),
    "these are the logarithms of the probabilities.": lambda Z: np.log(_softmax(Z)),
    "these are the differences; a sigmoid is missing.": lambda Z: Z - Z[:, ::-1],
}


@check(SOFTMAX_SLIPS)
def check_two_class_probabilities():
    """Check ``probabilities(Z) -> (N, 2)``, the softmax of two logits by one sigmoid."""
    rng = np.random.default_rng(81)
    steep = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]])
    level = np.array([[1000.0, 999.0], [-1000.0, -999.0], [1000.0, 1000.0], [-1000.0, -1000.0]])
    with np.errstate(over="raise", invalid="raise"):
        for Z in (rng.normal(size=(2, 2)), 3 * rng.normal(size=(5, 2)), steep, level):
            truth = np.exp(Z - np.logaddexp(Z[:, 0], Z[:, 1])[:, None])
            yield (Z,), truth, f"with logits up to ±{abs(Z).max():.3g},"
    yield "Correct: the softmax of two classes, up to logits of ±1000."


def _by_velocity(velocity, theta, v, gradient, rate, mu):
    """Move by ``velocity(v, mu, slope)``, slope being a function of the distance from theta."""
    new = velocity(v, mu, lambda distance: rate * gradient(theta + distance))
    return theta + new, new


def _by_move(move, theta, v, gradient, rate, mu):
    """Return ``move(theta, v, mu, new)``, new being the right velocity."""
    return move(theta, v, mu, mu * v - rate * gradient(theta + mu * v))


def _shifted(theta, v, gradient, rate, mu):
    """Take theta for the point ahead, as well-known courses do."""
    new = mu * v - rate * gradient(theta)
    return theta - mu * v + (1 + mu) * new, new


def _shifted_sum(theta, v, gradient, rate, mu):
    """Take theta for the point ahead and v for a sum of slopes, as well-known frameworks do."""
    new = mu * v + gradient(theta)
    return theta - rate * (gradient(theta) + mu * new), new


VELOCITY_SLIPS = {
    "this is classical momentum: the slope is taken at theta, not ahead of it.": (
        lambda v, mu, slope: mu * v - slope(0 * v)
    ),
    "the look goes backward, to −momentum · v.": lambda v, mu, slope: mu * v - slope(-mu * v),
    "the look goes too far: only momentum · v stays.": lambda v, mu, slope: mu * v - slope(v),
    "the velocity does not decay: multiply by momentum.": lambda v, mu, slope: v - slope(mu * v),
    "the slope counts in full here, not with 1 − momentum as in a running mean.": (
        lambda v, mu, slope: mu * v - (1 - mu) * slope(mu * v)
    ),
    "the slope is added; descent subtracts it.": lambda v, mu, slope: mu * v + slope(mu * v),
}
MOVE_SLIPS = {
    "the move starts at the point ahead; it starts at theta.": (
        lambda theta, v, mu, new: (theta + mu * v + new, new)
    ),
    "the new velocity is subtracted; it is added.": lambda theta, v, mu, new: (theta - new, new),
    "the move uses the old velocity.": lambda theta, v, mu, new: (theta + v, new),
    "the answer is in the order v, theta; return theta first.": (
        lambda theta, v, mu, new: (new, theta + new)
    ),
}
STEP_SLIPS = {
    **slips(_by_velocity, VELOCITY_SLIPS),
    **slips(_by_move, MOVE_SLIPS),
    "this is the shifted form: its theta is the point ahead, ours is where we stand.": _shifted,
    "this is the shifted form of frameworks: theta is ahead, v a sum of slopes.": _shifted_sum,
    "the learning rate is missing.": lambda theta, v, gradient, rate, mu: _by_velocity(
        lambda v, mu, slope: mu * v - slope(mu * v), theta, v, gradient, 1.0, mu
    ),
}


@check(STEP_SLIPS, returns="theta, v")
def check_nesterov_step():
    """Check ``step(theta, v, gradient, rate, momentum) -> (theta, v)`` on quadratic costs."""
    rng = np.random.default_rng(82)
    for n, rate, mu in ((3, 0.1, 0.5), (1, 0.05, 0.9), (4, 0.2, 0.0)):
        root, (centre, theta, v) = rng.normal(size=(n, n)), rng.normal(size=(3, n))
        H = root @ root.T + np.eye(n)
        # For a quadratic cost the slope ahead is the slope here plus curvature times distance.
        new = mu * v - rate * (H @ (theta - centre) + mu * (H @ v))
        case = theta, v, lambda at, H=H, centre=centre: H @ (at - centre), rate, mu
        yield case, (theta + new, new), f"with momentum {mu},"
    yield "Correct: three quadratic costs agree with the formula in closed form."
