"""Checks of notebook 06: einsum subscripts, errors of a batch, and norms without a stack."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from helpers.exercises.nb01 import sigmoid
from helpers.exercises.nb02 import SIGMOID_SLIPS, sigmoid_prime
from helpers.exercises.verdict import Verdict, check, difference, memory_below, slips

RIGHT = {"forward": "ij,nj->ni", "back": "ij,ni->nj", "bias": "ni->i", "weights": "ni,nj->ij"}
SUBSCRIPT_SLIPS = {  # sentence -> the subscripts that do it; all of them fit a square layer
    "the sum runs over the current node; it must run over the incoming one, the second letter of "
    "W.": {"forward": "ij,ni->nj"},
    "this goes forward through W; backward the sum runs over the first letter of W, the node the "
    "error comes from.": {"back": "ij,nj->ni"},
    "the result is transposed: exchange the two letters right of the arrow.": {
        "forward": "ij,nj->in",
        "back": "ij,ni->jn",
        "weights": "ni,nj->ji",
    },
    "the letters of A are exchanged: rows are samples, so n comes first.": {"forward": "ij,jn->ni"},
    "the letters of Delta are exchanged: rows are samples, so n comes first.": {
        "back": "ij,in->nj",
        "weights": "in,nj->ij",
    },
    "the operands come as W, Delta: the letters of W stand first.": {"back": "ni,ij->nj"},
    "here samples are columns; in this notebook they are rows, n first.": {
        "forward": "ij,jn->in",
        "back": "ij,in->jn",
        "weights": "in,jn->ij",
    },
    "the nodes are summed and the samples kept; it is the other way round.": {"bias": "ni->n"},
    "nothing is summed: leave the letter of the sample out on the right.": {"bias": "ni->ni"},
    "the samples are still apart: leave their letter out on the right, and they are summed.": {
        "weights": "ni,nj->nij"
    },
}


def _products(subscripts, W, A, Delta):
    """Return what the subscripts make of their operands, job by job."""
    specs = subscripts()
    operands = {"forward": (W, A), "back": (W, Delta), "bias": (Delta,), "weights": (Delta, A)}
    if not isinstance(specs, Mapping) or specs.keys() != operands.keys():
        return specs
    if not all(isinstance(spec, str) for spec in specs.values()):
        raise TypeError("write each subscript as a text such as 'ij,j->i'")
    try:
        return {job: np.einsum(spec := specs[job], *operands[job]) for job in operands}
    except (TypeError, ValueError) as error:
        raise ValueError(f"einsum refuses {spec!r}: {error}") from None


def check_subscripts(subscripts: Callable) -> Verdict:
    """Check the einsum subscripts of a layer, ``subscripts() -> dict`` with the four jobs."""

    @check(slips(lambda slip, *arrays: _products(lambda: RIGHT | slip, *arrays), SUBSCRIPT_SLIPS))
    def cases():
        rng = np.random.default_rng(61)
        for N, n_in, n_out in ((3, 3, 3), (5, 2, 4)):  # the first is square: every slip fits
            W, A, Delta = (rng.normal(size=s) for s in ((n_out, n_in), (N, n_in), (N, n_out)))
            truth = {
                "forward": np.array([[sum(w * a) for w in W] for a in A]),
                "back": np.array([[sum(w * delta) for w in W.T] for delta in Delta]),
                "bias": sum(Delta),
                "weights": sum(np.outer(delta, a) for delta, a in zip(Delta, A, strict=True)),
            }
            yield (W, A, Delta), truth, f"with N = {N} and W {W.shape},"
        yield "Correct: four subscripts agree with sums written out entry by entry."

    return cases(partial(_products, subscripts) if callable(subscripts) else subscripts)


ERROR_SLIPS = slips(lambda slope, W, D, Z: D @ W * slope(Z), SIGMOID_SLIPS) | {
    "W is transposed: it fits here only because this layer is square. Which letters stand side by "
    "side?": lambda W, D, Z: D @ W.T * sigmoid_prime(Z),
    "the slope multiplies before W: first the product with W, then σ'(Z). (* and @ have the same "
    "rank: parentheses.)": lambda W, D, Z: sigmoid_prime(Z) * D @ W,
    "too small by the factor N.": lambda W, D, Z: D @ W * sigmoid_prime(Z) / len(Z),
    "are the paths averaged instead of added?": lambda W, D, Z: D @ W * sigmoid_prime(Z) / len(W),
}


@check(ERROR_SLIPS)
def check_errors_back():
    """Check ``errors_back(W_next, Delta_next, Z) -> Delta``, BP2 for a batch of rows."""
    rng = np.random.default_rng(62)
    for N, here, after in ((4, 3, 3), (6, 4, 2), (1, 2, 5)):
        W, Delta, Z = (rng.normal(size=s) for s in ((after, here), (N, after), (N, here)))
        sums = [[sum(w * delta) for w in W.T] for delta in Delta]
        slopes = np.imag(sigmoid(Z + 1e-20j)) / 1e-20
        yield (W, Delta, Z), sums * slopes, f"with N = {N} and W_next {W.shape},"
    praise = "Correct: three layers agree with sums over paths, sample by sample."
    yield f"{praise} Whether a loop is left, this check cannot see."


_norm = np.linalg.norm
NORM_SLIPS = {
    "these are the squares of the norms; a square root is missing.": (
        lambda D, A: (D**2).sum(axis=1) * (A**2).sum(axis=1)
    ),
    "these are norms of the whole batch; keep one per sample.": lambda D, A: _norm(D) * _norm(A),
    "this is the norm of the sum over the batch.": lambda D, A: _norm(D.T @ A),
    "the two norms are added; multiply.": lambda D, A: _norm(D, axis=1) + _norm(A, axis=1),
    "this adds up entries, signs and all.": lambda D, A: D.sum(axis=1) * A.sum(axis=1),
    "axis 0 is the sample; sum over the nodes, axis 1.": (
        lambda D, A: _norm(D, axis=0) * _norm(A, axis=0)
    ),
}


def _one_by_one(Delta, A) -> np.ndarray:
    return np.array([_norm(np.outer(delta, a)) for delta, a in zip(Delta, A, strict=True)])


@check(NORM_SLIPS)
def check_gradient_norms():
    """Check ``gradient_norms(Delta, A) -> (N,)``, the norm of each sample's outer product."""
    rng = np.random.default_rng(63)
    for N, n_out, n_in in ((3, 3, 3), (5, 4, 2), (1, 1, 6)):
        Delta, A = rng.normal(size=(N, n_out)), rng.normal(size=(N, n_in))
        yield (Delta, A), _one_by_one(Delta, A), f"with Delta {Delta.shape} and A {A.shape},"
    Delta, A = rng.normal(size=(2, 200, 50))  # the stack takes 50 times as much memory as A
    want = _one_by_one(Delta, A)
    with memory_below(25 * A.nbytes, "the norms are right, but you build the stack.") as lean:
        yield (Delta, A), lambda got: difference(got, want, {}) or lean(got), "with 200 samples,"
    yield "Correct: four batches agree with outer products made one by one."
