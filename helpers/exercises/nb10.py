"""Checks of notebook 10: gradients with a penalty on the weights, and dropout."""

from functools import partial

import numpy as np

from helpers.exercises.verdict import as_numbers, check, slips
from helpers.gradcheck import numerical_gradient


def _l2(rule, grads, params, strength):
    """Return gradients with ``rule(g, w, strength)`` for the weights, unchanged for the biases."""
    return {
        name: rule(g, params[name], strength) if name.startswith("W") else g
        for name, g in grads.items()
    }


WEIGHT_SLIPS = {  # sentence -> what stands in place of g + λw
    "the penalty is missing.": lambda g, w, s: g,
    "the answer has 2λw; the ½ in front of the penalty cancels the 2.": lambda g, w, s: (
        g + 2 * s * w
    ),
    "the derivative of ½λw² is λw, without a ½.": lambda g, w, s: g + s / 2 * w,
    "the sign of the penalty is wrong: it adds to the gradient.": lambda g, w, s: g - s * w,
    "the penalty is there, the gradient of C is not.": lambda g, w, s: s * w,
    "this is the penalty itself; its derivative is asked for.": lambda g, w, s: g + s / 2 * w**2,
    "λ·sign(w) belongs to λ|w|; the penalty is a square.": lambda g, w, s: g + s * np.sign(w),
}
PENALTY_SLIPS = slips(_l2, WEIGHT_SLIPS) | {
    "biases are not penalised.": lambda grads, p, s: {n: g + s * p[n] for n, g in grads.items()}
}


@check(PENALTY_SLIPS)
def check_l2_gradients():
    """Check ``l2_gradients(grads, params, strength)``: penalised weights, untouched biases."""
    rng = np.random.default_rng(8)
    shapes = {"W1": (3, 4), "b1": 3, "W2": (2, 3), "b2": 2}
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    grads = {name: rng.normal(size=shape) for name, shape in shapes.items()}

    for strength in (0.3, 0.05):

        def penalised(p, strength=strength):
            # The gradient of sum(g·p) is g: a stand-in for C, whatever C was.
            linear = sum(np.sum(grads[name] * p[name]) for name in p)
            return linear + strength / 2 * sum(np.sum(p[name] ** 2) for name in ("W1", "W2"))

        truth = numerical_gradient(penalised, params, method="complex")
        yield (grads, params, strength), truth, f"with strength {strength},"
    yield "Correct: the four arrays agree with a complex step, biases included."


@check()
def check_dropout():
    """Check ``dropout(A, keep, rng) -> (A * mask, mask)`` with masks scaled by 1/keep."""
    A = 1 + np.random.default_rng(2).random((400, 50))  # nowhere zero
    for keep in (0.8, 0.5, 1.0):
        masks = []  # of the calls so far: the second has the rng of the first, the third another
        for seed in (3, 3, 4):
            case = A, keep, np.random.default_rng(seed)
            yield case, partial(_dropout_fault, A=A, keep=keep, masks=masks), f"with keep = {keep},"
    yield "Correct: kept share, scale and expectation are right for three values."


def _dropout_fault(got, A: np.ndarray, keep: float, masks: list) -> str | None:
    """Return what is wrong with one answer, or None."""
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        return "return the pair: thinned activations and mask."
    thinned, mask = map(as_numbers, got)
    for part, name in ((mask, "the mask"), (thinned, "the thinned activations")):
        if part is None or part.shape != A.shape:
            return f"{name} must be an array of shape {A.shape}: a draw for each activation."
    masks.append(mask)

    def scaled(values):
        return np.isin(np.round(values * keep, 6), (0.0, 1.0)).all()

    share, same = float(np.mean(mask != 0)), np.array_equal(masks[0], mask)
    spread = 5 * np.sqrt(keep * (1 - keep) / A.size) + 1e-12  # five standard deviations
    hint = " keep is the probability to stay." if abs(share - (1 - keep)) <= spread else ""
    shown = ", ".join(f"{value:.4g}" for value in np.unique(mask)[:4])
    faults = {
        "activations and mask are exchanged; the thinned activations come first.": (
            keep < 1 and scaled(thinned) and not scaled(mask)
        ),
        "every image has the same mask; draw a number for each activation.": (
            0 < share < 1 and (mask == mask[:1]).all()
        ),
        "all activations of an image share one draw; draw a number for each of them.": (
            0 < share < 1 and (mask == mask[:, :1]).all()
        ),
        f"a share of {share:.3f} is kept, expected about {keep}.{hint}": abs(share - keep) > spread,
        f"the mask holds {shown}, expected 0 and 1/keep = {1 / keep:.4g} only.": not scaled(mask),
        "the thinned activations are not A times the mask.": (
            not np.allclose(thinned, A * mask, rtol=1e-6)
        ),
        "the same rng gives another mask; draw from the rng that is passed.": (
            len(masks) == 2 and not same
        ),
        "two calls give the same mask; draw from the rng that is passed.": (
            len(masks) == 3 and same and keep < 1
        ),
    }
    return next((sentence for sentence, is_so in faults.items() if is_so), None)
