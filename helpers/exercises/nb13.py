"""Check of notebook 13: a gradient by pieces."""

import numpy as np

from helpers.exercises.verdict import check, slips


def _pieced(weights, gradient, X, Y, size):
    """Return the sum of the pieces' gradients times ``weights(n, size)``, n their rows."""
    pieces = [(X[i : i + size], Y[i : i + size]) for i in range(0, len(X), size)]
    grads, n = [gradient(*piece) for piece in pieces], np.array([len(x) for x, _ in pieces])
    parts = list(zip(np.broadcast_to(weights(n, size), n.shape), grads, strict=True))
    return {name: sum(w * g[name] for w, g in parts) for name in grads[0]}


PIECE_SLIPS = {  # sentence -> the weights of pieces with n rows each
    "the pieces count alike; each must count by its number of rows.": lambda n, size: 1 / len(n),
    "the means are only added; weight them and divide by N.": lambda n, size: 1,
    "too large by the factor N, the number of rows.": lambda n, size: n,
    "the last, smaller piece is left out.": lambda n, size: (n == size) / max(1, sum(n == size)),
    "the last, smaller piece is left out of the sum, but not of N.": (
        lambda n, size: n * (n == size) / sum(n)
    ),
    "only the last piece is left: add to the sum.": lambda n, size: np.eye(len(n))[-1],
    "the sum has the last piece only.": lambda n, size: n * np.eye(len(n))[-1] / sum(n),
    "the last piece counts as if it were whole.": lambda n, size: size / sum(n),
}


@check(slips(_pieced, PIECE_SLIPS))
def check_accumulated():
    """Check ``accumulated(gradient, X, Y, size)``: the mean gradient over all rows, by pieces."""
    rng = np.random.default_rng(112)
    for N, size in ((10, 4), (12, 3), (5, 8), (7, 1)):
        X, Y, w = rng.normal(size=(N, 3)), rng.normal(size=N), rng.normal(size=3)

        def gradient(x, y, w=w, size=size):
            if len(x) > size:
                raise ValueError(f"a piece has {len(x)} rows, at most {size} are allowed")
            return {"w": (x @ w - y) @ x / len(x), "b": np.mean(x @ w - y)}

        errors = X @ w - Y
        truth = {"w": (errors[:, None] * X).mean(axis=0), "b": errors.mean()}
        yield (gradient, X, Y, size), truth, f"with {N} rows in pieces of {size},"
    yield "Correct: four ways of cutting give the mean over all samples."
