"""The checks behind the exercises.

Each check computes the truth independently of the reader's function (a second formula or a
finite difference) and answers with what is wrong: shape, sign, a factor, a transpose, or one of
the mistakes known for that exercise. A check never raises for a wrong answer: it says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Verdict:
    """What a check found; shown as one sentence.

    ``passed`` is None while the exercise is unsolved.
    """

    passed: bool | None
    message: str

    def __repr__(self) -> str:
        """Return the sentence itself, so that a notebook shows it plainly."""
        return self.message


class _Decided(Exception):
    """A check has come to its verdict."""

    def __init__(self, passed: bool | None, message: str):
        super().__init__(message)
        self.verdict = Verdict(passed, message)


def _verdict(check: Callable[..., str]) -> Callable[..., Verdict]:
    """Make a check that stops at the first fault and ends with praise return its verdict."""

    @wraps(check)
    def decided(*args, **kwargs) -> Verdict:
        try:
            return Verdict(True, check(*args, **kwargs))
        except _Decided as end:
            return end.verdict

    decided.__signature__ = signature(check).replace(return_annotation=Verdict)  # for tooltips
    return decided


def _refusal(sentence: str, where: str = "") -> _Decided:
    return _Decided(False, " ".join(filter(None, ("Not yet:", where, sentence))))


def _reject(sentence: str | None, where: str = "") -> None:
    """End the check with the sentence that says what is wrong, if there is one."""
    if sentence:
        raise _refusal(sentence, where)


def _answer(function: Callable, *args, where: str = ""):
    """Return what the reader's function returns; end the check when the call fails."""
    try:
        return function(*args)
    except NotImplementedError:
        message = "Not solved yet: replace the line that raises NotImplementedError."
        raise _Decided(None, message) from None
    except Exception as error:  # whatever the reader's code raises is an answer to report
        fault = f"your function raises {type(error).__name__}: {error}"
        raise _refusal(fault, where) from None


def _close(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> bool:
    return got.shape == want.shape and np.allclose(got, want, rtol=rtol, atol=atol)


def diagnose(
    got,
    want,
    *,
    mistakes: Mapping[str, np.ndarray] | None = None,
    factors: Mapping[str, float] | None = None,
    rtol: float = 1e-6,
    unit: float = 1.0,
) -> str | None:
    """Return what is wrong with an answer in one sentence, or None when it is right.

    Parameters
    ----------
    got : array-like
        The reader's answer.
    want : array-like
        The truth.
    mistakes : dict sentence -> array, optional
        What the answer would be after each known mistake; tried first.
    factors : dict name -> float, optional
        Named factors worth recognising, such as ``{"N, the number of samples": 8}``.
    rtol : float
        Relative tolerance; times ``unit``, the absolute one.
    unit : float
        Size of the numbers: what is small against it need not be right.
    """
    atol = rtol * unit
    want = np.asarray(want, dtype=float)
    if got is None:
        return "the function returns nothing; is a return statement missing?"
    numbers = _as_numbers(got)
    if numbers is None:
        return f"the answer is a {type(got).__name__}, expected numbers of shape {want.shape}."
    got = numbers
    if _close(got, want, rtol, atol):
        return None
    for sentence, wrong in (mistakes or {}).items():
        if _close(got, np.asarray(wrong, dtype=float), rtol, atol):
            return sentence
    return (
        _misshapen(got, want, rtol, atol)
        or _factor(got, want, factors or {}, rtol, atol)
        or _first_difference(got, want, rtol, atol)
    )


def _as_numbers(got) -> np.ndarray | None:
    """Return an answer as an array of real numbers, None if it is none: text, say, or complex."""
    try:
        if np.asarray(got).dtype.kind in "biufO":
            return np.asarray(got, dtype=float)
    except (TypeError, ValueError):
        pass
    return None


def _misshapen(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> str | None:
    """Return a sentence when the shape is wrong, a value not finite, or the answer transposed."""
    if got.shape != want.shape:
        turned = " It looks transposed." if got.T.shape == want.shape else ""
        return f"the answer has shape {got.shape}, expected {want.shape}.{turned}"
    if not np.isfinite(got).all():
        return "the answer holds values that are not finite."
    if got.ndim == 2 and got.shape == got.T.shape and _close(got.T, want, rtol, atol):
        return "the answer is transposed."
    return None


def _factor(
    got: np.ndarray, want: np.ndarray, factors: Mapping, rtol: float, atol: float
) -> str | None:
    """Return a sentence when the answer is the truth times one number."""
    scale = float((got * want).sum() / (want * want).sum()) if want.any() else 0.0
    if scale == 0 or abs(scale - 1) < 1e-3 or not _close(got, scale * want, rtol, atol):
        return None
    if np.isclose(scale, -1, rtol=rtol):
        return "the sign is wrong, the size is right."
    for name, factor in factors.items():
        if np.isclose(scale, factor, rtol=rtol):
            return f"the answer is too large by the factor {name}."
        if np.isclose(scale, 1 / factor, rtol=rtol):
            return f"the answer is too small by the factor {name}."
    # Any number is some multiple of another: the factor says something only about several.
    return f"the answer is the right one times {scale:.4g}." if want.ndim else None


def _first_difference(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> str:
    if want.ndim == 0:
        return f"the answer is {got:.6g}, expected {want:.6g}."
    wrong = ~np.isclose(got, want, rtol=rtol, atol=atol)
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{wrong.sum()} of {want.size} entries are wrong; "
        f"entry {list(index)} is {got[index]:.6g}, expected {want[index]:.6g}."
    )


@_verdict
def check_forward_any_depth(forward: Callable) -> str:
    """Check ``forward(x, weights, biases) -> a`` for scalar chains of one to five layers."""
    rng = np.random.default_rng(1)
    for depth in (3, 1, 2, 5):
        x = float(rng.normal())
        weights, biases = rng.normal(size=depth).tolist(), rng.normal(size=depth).tolist()
        got = _answer(forward, x, list(weights), list(biases))
        truth = _chain_outputs(x, weights, biases)[-1]
        _reject(
            diagnose(got, truth, mistakes=_forward_mistakes(x, weights, biases)),
            where=f"with {depth} layer(s),",
        )
    return "Correct: one, two, three and five layers agree with a second formula."


def _forward_mistakes(x: float, weights: list, biases: list) -> dict:
    """Return what the end of a chain of sigmoid nodes becomes after each known mistake."""
    affine = x
    for w, b in zip(weights, biases, strict=True):
        affine = w * affine + b
    all_of_them = _chain_outputs(x, weights, biases)
    z = weights[-1] * all_of_them[-2] + biases[-1]

    def end(*chain):
        return _chain_outputs(*chain)[-1]

    return {
        "the sigmoid is missing: the answer is an affine function of x.": affine,
        "the last node has no sigmoid: the answer is z, not a.": z,
        "the input came back unchanged.": x,
        "the biases are missing.": end(x, weights, [0] * len(biases)),
        "the layers are run in reverse order.": end(x, weights[::-1], biases[::-1]),
        "only the first layer is run: does the return stand inside the loop?": end(
            x, weights[:1], biases[:1]
        ),
        "the last layer is not run: does the loop end one too early?": all_of_them[-2],
        "every layer starts from x again; it takes what the layer before gave.": end(
            x, weights[-1:], biases[-1:]
        ),
        "the input has gone through a sigmoid; it enters the first node as it is.": end(
            _sigmoid(x), weights, biases
        ),
        "these are z and a of the last node; return a alone.": [z, _sigmoid(z)],
        "these are the activations of all layers; return the last one.": all_of_them[1:],
        "these are the input and all activations; return the last one.": all_of_them,
    }


@_verdict
def check_two_sided_slope(slope: Callable) -> str:
    """Check ``slope(f, x, h)``, the two-sided difference quotient of f at x."""
    cases = [(np.sin, 0.3, 1e-2), (np.cos, 1.0, 1e-2), (lambda t: t**3, 2.0, 1e-1)]
    for f, x, h in cases:
        got = _answer(slope, f, x, h)
        up, down = f(x + h) - f(x), f(x) - f(x - h)
        sentence = diagnose(
            got,
            (up + down) / (2 * h),
            mistakes={
                "step by h to either side, not by h/2.": (f(x + h / 2) - f(x - h / 2)) / h,
                "this is the one-sided quotient; step to both sides of x.": up / h,
                "this is the one-sided quotient to the left; step to both sides.": down / h,
                "the two points lie 2h apart, and you divide by h.": (up + down) / h,
                "the change of f is right, but it is not divided by 2h.": up + down,
                "/ 2 * h divides by 2 and multiplies by h; write / (2 * h).": (up + down) / 2 * h,
                "only the second value is divided: put the difference in parentheses.": f(x + h)
                - f(x - h) / (2 * h),
                "the two values are added; take their difference.": (f(x + h) + f(x - h)) / (2 * h),
            },
            factors={"2": 2.0},
            rtol=1e-9,
        )
        _reject(sentence)
    return "Correct: three functions agree with their two-sided quotient."


def _sigmoid(z):
    """Return the sigmoid by a second formula, one that complex numbers pass through.

    The notebooks use exp.
    """
    return 0.5 * (1 + np.tanh(z / 2))


def _small_network(sizes: tuple[int, ...], seed: int) -> tuple:
    """Draw ``x, y, W, b`` with ``W[0] = b[0] = None``, so that indices are numbers of layers."""
    rng = np.random.default_rng(seed)
    W = [None, *(rng.normal(size=(n, m)) for m, n in pairwise(sizes))]
    b = [None, *(rng.normal(size=n) for n in sizes[1:])]
    return rng.normal(size=sizes[0]), rng.uniform(size=sizes[-1]), W, b


def _measured_slopes(x, y, W: list, b: list) -> tuple[dict, list, list]:
    """Return the slopes of the half squared error by complex steps, and z and a of each layer."""
    from helpers.gradcheck import numerical_gradient

    def run(params):
        z, a = [None], [x]
        for layer in range(1, len(W)):
            z.append(params[f"W{layer}"] @ a[-1] + params[f"b{layer}"])
            a.append(_sigmoid(z[-1]))
        return z, a

    params = {f"W{n}": w for n, w in enumerate(W) if n} | {f"b{n}": v for n, v in enumerate(b) if n}
    slopes = numerical_gradient(
        lambda p: 0.5 * np.sum((run(p)[1][-1] - y) ** 2), params, method="complex"
    )
    return slopes, *run(params)


def _error_mistakes(layer: int, y, W: list, slopes: dict, z: list, a: list) -> dict:
    """Return what the error of one layer becomes after each usual mistake."""
    bend = a[layer] * (1 - a[layer])
    of_a = _sigmoid(a[layer]) * (1 - _sigmoid(a[layer]))
    mistakes = {}
    if layer == len(W) - 1:
        back = a[layer] - y
    else:
        above, error = W[layer + 1], slopes[f"b{layer + 1}"]  # BP3: the slope of b is the error
        back = above.T @ error
        mistakes["only one path is followed: sum over all nodes of the next layer."] = (
            above[0] * error[0] * bend
        )
        mistakes["only the last path is left: add to the sum, do not overwrite it."] = (
            above[-1] * error[-1] * bend
        )
        if above.shape[0] == above.shape[1]:
            mistakes["a transpose is missing: the weights that leave node k stand in column k."] = (
                above @ error * bend
            )
    return mistakes | {
        "the factor σ′(z) is missing.": back,
        "σ′ is taken at a, not at z; σ′(z) is a(1 − a).": back * of_a,
        "σ′(z) is applied twice.": back * bend**2,
    }


def _layers_of(name: str, got, count: int) -> list:
    """Return one entry per layer, the first for layer 1; reject anything else than a list."""
    if not isinstance(got, (list, tuple)) or len(got) not in (count, count + 1):
        given = f"{len(got)} entries" if isinstance(got, (list, tuple)) else type(got).__name__
        _reject(f"{name} is {given}, expected a list: None, then one array per layer.")
    return list(got)[len(got) - count :]


@_verdict
def check_backprop_loops(backprop: Callable) -> str:
    """Check ``backprop(x, y, W, b) -> (dW, db)`` for sigmoid networks of one to three layers."""
    for sizes in ((2, 3, 3, 2), (1, 4, 2), (3, 1)):
        x, y, W, b = _small_network(sizes, seed=4)
        copies = [None, *map(np.copy, W[1:])], [None, *map(np.copy, b[1:])]
        got = _answer(backprop, x.copy(), y.copy(), *copies)
        if not isinstance(got, (list, tuple)) or len(got) != 2:
            _reject("return the two lists dW, db.")
        dW, db = (_layers_of(*named, len(W) - 1) for named in zip(("dW", "db"), got, strict=True))
        _reject(
            _first_wrong_layer(dW, db, y, W, *_measured_slopes(x, y, W, b)),
            where=f"with sizes {list(sizes)},",
        )
    return "Correct: every slope of three networks agrees with a complex step."


def _first_wrong_layer(dW: list, db: list, y, W: list, slopes: dict, z: list, a: list):
    """Return what is wrong in the first wrong layer on the way back, or None."""
    factors = {"2 (is the half of the cost forgotten?)": 2.0}
    for layer in range(len(W) - 1, 0, -1):
        error = slopes[f"b{layer}"]
        mistakes = {
            f"db[{layer}]": _error_mistakes(layer, y, W, slopes, z, a),
            f"dW[{layer}]": {
                "the activation is that of this layer; take the one coming in, a[l-1].": np.outer(
                    error, a[layer]
                ),
                "the weight is multiplied by z; take the activation coming in, a[l-1].": np.outer(
                    error, a[0] if layer == 1 else z[layer - 1]
                ),
            },
        }
        answers = {f"db[{layer}]": db[layer - 1], f"dW[{layer}]": dW[layer - 1]}
        for (name, got), want in zip(answers.items(), (error, slopes[f"W{layer}"]), strict=True):
            if got is None:
                return f"{name} is None, expected an array of shape {want.shape}."
            sentence = diagnose(got, want, mistakes=mistakes[name], factors=factors)
            if sentence:
                return f"{name}: {sentence}"
    return None


@_verdict
def check_tanh_error(error_before: Callable) -> str:
    """Check ``error_before(W_next, delta_next, z)``, BP2 for a layer of tanh nodes."""
    from helpers.gradcheck import numerical_gradient

    for n_next, n in ((2, 4), (3, 3), (1, 3)):
        rng = np.random.default_rng(10 * n_next + n)
        W, delta, z = rng.normal(size=(n_next, n)), rng.normal(size=n_next), rng.normal(size=n)
        got = _answer(error_before, W.copy(), delta.copy(), z.copy())
        # A cost whose slope against the next pre-activations is delta, whatever they are.
        want = numerical_gradient(
            lambda p, W=W, delta=delta: np.sum(delta * (W @ np.tanh(p["z"]))), {"z": z},
            method="complex",
        )["z"]  # fmt: skip
        bend, back, sigmoid = 1 - np.tanh(z) ** 2, W.T @ delta, _sigmoid(z)
        mistakes = {
            "the factor tanh′(z) is missing.": back,
            "that is the derivative of the sigmoid; these are tanh nodes.": back
            * sigmoid * (1 - sigmoid),
            "the square is missing: tanh′(z) = 1 − tanh(z)².": back * (1 - np.tanh(z)),
            "1 − z² needs the activation: tanh′(z) = 1 − tanh(z)².": back * (1 - z**2),
            "tanh′ is taken at a, not at z.": back * (1 - np.tanh(np.tanh(z)) ** 2),
            "you multiply by tanh(z), not by its derivative.": back * np.tanh(z),
        }  # fmt: skip
        if n_next == n:
            mistakes["a transpose is missing; the layer is square and NumPy is silent."] = (
                W @ delta * bend
            )
        if n_next > 1:
            mistakes |= {
                "only one path is followed: sum over the next layer.": W[0] * delta[0] * bend,
                "only the last path is left: add to the sum.": W[-1] * delta[-1] * bend,
            }
        _reject(
            diagnose(got, want, mistakes=mistakes, factors={"2": 2.0}),
            where=f"with W_next of shape {W.shape},",
        )
    return "Correct: three layers, a square one among them, agree with nudges."


@_verdict
def check_mean_weight_gradient(mean_weight_gradient: Callable) -> str:
    """Check ``mean_weight_gradient(Delta, A)``, BP4 averaged over the rows of a batch."""
    from helpers.gradcheck import numerical_gradient

    for N, n, m in ((5, 3, 3), (4, 1, 3), (1, 2, 3)):
        rng = np.random.default_rng(N)
        Delta, A = rng.normal(size=(N, n)), rng.normal(size=(N, m))
        got = _answer(mean_weight_gradient, Delta.copy(), A.copy())
        # A mean cost that is linear in the pre-activations, so that its errors are Delta.
        want = numerical_gradient(
            lambda p, Delta=Delta, A=A: np.mean(np.sum(Delta * (A @ p["W"].T), axis=1)),
            {"W": np.zeros((n, m))}, method="complex",
        )["W"]  # fmt: skip
        mistakes = {
            "this is the outer product of two means; average the outer products.": np.outer(
                Delta.mean(axis=0), A.mean(axis=0)
            ),
            "this is the first sample only.": np.outer(Delta[0], A[0]),
            "this is the last sample only: does the loop overwrite its sum?": np.outer(
                Delta[-1], A[-1]
            ) / N,
            "these are the gradients of all samples; take their mean.": Delta[:, :, None]
            * A[:, None],
            "divide by N, the number of rows; you divide by the number of nodes.": want * N / n,
        }  # fmt: skip
        if N > 1:
            factors = {"N, the number of samples (a mean, not a sum)": float(N)}
            sentence = diagnose(got, want, mistakes=mistakes, factors=factors)
        else:
            sentence = diagnose(got, want)
        _reject(sentence, where=f"with {N} sample(s), Delta {Delta.shape} and A {A.shape},")
    return "Correct: batches of 5, 4 and 1 samples agree with nudges of W."


def _chain_outputs(x, weights, biases) -> list:
    """Return the activations of a chain of sigmoid nodes, the input first."""
    activations = [x]
    for w, b in zip(weights, biases, strict=True):
        activations.append(_sigmoid(w * activations[-1] + b))
    return activations


@_verdict
def check_error_one_layer_back(error_back: Callable) -> str:
    """Check ``error_back(w_next, delta_next, z) -> delta``, the scalar BP2."""
    rng = np.random.default_rng(2)
    for _ in range(4):
        w, delta, z = (float(v) for v in rng.normal(size=3))
        got = _answer(error_back, w, delta, z)
        a = _sigmoid(z)
        slope, slope_at_a = (1 - np.tanh(u / 2) ** 2 for u in (z, a))  # both times four
        sentence = diagnose(
            got,
            w * delta * slope / 4,
            mistakes={
                "σ'(z) is missing: this is ∂C/∂a, one step short of ∂C/∂z.": w * delta,
                "the weight is missing: δ must cross the wire w_next.": delta * slope / 4,
                "this has σ(z) where σ'(z) belongs.": w * delta * a,
                "σ' was taken at a = σ(z); it belongs at z.": w * delta * slope_at_a / 4,
                "z(1 − z) is not a slope: σ' is a(1 − a) with a = σ(z).": w * delta * z * (1 - z),
                "that is the derivative of tanh; this node has a sigmoid.": w
                * delta
                * (1 - np.tanh(z) ** 2),
                "the error is divided by the slope; it is multiplied by it.": w * delta * 4 / slope,
                "the three factors multiply; none is added.": w * delta + slope / 4,
            },
        )
        _reject(sentence)
    return "Correct: the error agrees with a second formula at four random places."


def _chain_mistakes(truth: np.ndarray, x, weights, biases) -> dict[str, np.ndarray]:
    """Return what `backprop_1d` would answer after each known mistake, all from the truth."""
    a = np.array(_chain_outputs(x, weights, biases))
    w = np.array(weights)
    dw, db = truth
    slope = a[1:] * (1 - a[1:])
    hidden_slopes = np.append(np.cumprod(slope[-2::-1])[::-1], 1.0)
    at_a = 0.25 * (1 - np.tanh(a[1:] / 2) ** 2) / slope
    mistakes = {
        "σ' is missing in BP1: the output error is (a − y)·σ'(z), not a − y.": db / slope[-1],
        "BP2 lacks σ'(z) of the layer it arrives at.": db / hidden_slopes,
        "BP2 multiplies by the weight of its own layer; it is the next layer's.": db * w / w[-1],
        "BP2 takes σ'(z) of the layer the error comes from; it is that of the layer it arrives "
        "at.": db * slope[-1] / slope,
        "σ' was taken at a; it belongs at z.": db * np.cumprod(at_a[::-1])[::-1],
    }
    answers = {text: np.array([delta * a[:-1], delta]) for text, delta in mistakes.items()}
    return answers | {
        "BP4 multiplies by the activation of its own layer; it is the one before.": [
            db * a[1:],
            db,
        ],
        "the weights' slopes lack the activation that comes in (BP4).": [db, db],
        "BP3: the slope of a bias is the error alone, without an activation.": [dw, dw],
        "the lists run from the output to the input; return the first layer first.": truth[:, ::-1],
        "the two lists are swapped: return (dw, db).": truth[::-1],
    }


@_verdict
def check_backprop_1d(backprop: Callable) -> str:
    """Check ``backprop(x, y, weights, biases) -> (dw, db)`` on chains of one to five nodes.

    The cost is half the squared error of one sample; the truth is measured by a complex step.
    """
    rng = np.random.default_rng(3)
    for depth in (3, 1, 2, 5):
        x, y = float(rng.normal(1, 0.3)), float(rng.integers(2))
        weights, biases = (rng.normal(size=depth).tolist() for _ in "wb")
        got = _answer(backprop, x, y, list(weights), list(biases))
        steps = 1e-20j * np.eye(2 * depth)
        nudged = [np.array(weights + biases) + step for step in steps]
        costs = [(_chain_outputs(x, p[:depth], p[depth:])[-1] - y) ** 2 / 2 for p in nudged]
        truth = (np.imag(costs) / 1e-20).reshape(2, depth)
        mistakes = _chain_mistakes(truth, x, weights, biases)
        sentence = diagnose(
            got,
            truth,
            mistakes=mistakes,
            factors={"2; the cost is *half* the squared error": 2.0},
            unit=np.abs(truth).max(),  # an absolute tolerance of its own would excuse small slopes
        )
        _reject(sentence, where=f"with {depth} node(s),")
    return "Correct: chains of one, two, three and five nodes agree with a nudge."


@_verdict
def check_layer(layer: Callable) -> str:
    """Check ``layer(X, W, b) -> Z (N, n_out)``, rows are samples, W is (out, in).

    The square case comes first: there a missing transpose and a bias that runs down the rows
    both have fitting shapes.
    """
    rng = np.random.default_rng(4)
    for samples, n_in, n_out in ((3, 3, 3), (5, 2, 4), (1, 4, 1)):
        X, W, b = (rng.normal(size=s) for s in ((samples, n_in), (n_out, n_in), n_out))
        got = _answer(layer, X.copy(), W.copy(), b.copy())
        nodes = [[sum(w * v for w, v in zip(W[j], x, strict=True)) + b[j] for x in X]
                 for j in range(n_out)]  # fmt: skip
        truth = np.array(nodes).T
        mistakes = {
            "the bias is missing.": truth - b,
            "this is the activation; the exercise asks for the pre-activation.": _sigmoid(truth),
            "the bias is subtracted; it is added.": truth - 2 * b,
        }
        if samples == n_in == n_out:
            mistakes |= {
                "the transpose is missing: X @ W fits here only because W is square.": X @ W + b,
                "the two factors are exchanged: rows are samples, so it is X @ W.T.": W @ X + b,
                "W @ X.T has a column per sample; rows are samples, so it is X @ W.T.": W @ X.T + b,
                "the bias runs down the rows, one per sample.": X @ W.T + b[:, None],
                "the result is transposed: rows must be samples.": truth.T,
                "* multiplies entry by entry; the matrix product is @.": X * W.T + b,
            }
        _reject(diagnose(got, truth, mistakes=mistakes), where=f"with X {X.shape} and W {W.shape},")
    return "Correct: three layers agree with a sum node by node."


@_verdict
def check_collapse(collapse: Callable) -> str:
    """Check ``collapse(W, b) -> (W_star, b_star)`` for identity networks; ``W[0]`` is None."""
    rng = np.random.default_rng(5)
    for sizes in ([2, 2, 2, 2], [1, 3, 2, 1], [4, 2]):
        W = [None, *(rng.normal(size=(n, m)) for m, n in pairwise(sizes))]
        b = [None, *(rng.normal(size=n) for n in sizes[1:])]
        got = _answer(collapse, [None, *map(np.copy, W[1:])], [None, *map(np.copy, b[1:])])
        if not isinstance(got, tuple | list) or len(got) != 2:
            _reject("return the pair W_star, b_star.")
        # Probe the network: 0 gives b*, and each unit vector a column of W* on top of it.
        probes = np.vstack([np.zeros(sizes[0]), np.eye(sizes[0])])
        for matrix, vector in zip(W[1:], b[1:], strict=True):
            probes = np.array([matrix.dot(p) + vector for p in probes])
        W_star, b_star = (probes[1:] - probes[0]).T, probes[0]
        wrong_W, wrong_b = _collapse_mistakes(W, b, W_star, sizes)
        for name, part, truth, mistakes in (
            ("W_star", got[0], W_star, wrong_W),
            ("b_star", got[1], b_star, wrong_b),
        ):
            _reject(diagnose(part, truth, mistakes=mistakes), where=f"with sizes {sizes}, {name}:")
    return "Correct: three networks do what their one affine map does."


def _collapse_mistakes(W: list, b: list, W_star: np.ndarray, sizes: list) -> tuple[dict, dict]:
    """Return the known wrong W* and b*; most have fitting shapes in a square network only."""
    W, b = W[1:], b[1:]
    wrong_b = {"only the last bias is there; the earlier ones arrive too.": b[-1]}
    if len(W) == 1 or len(set(sizes)) > 1:
        return {}, wrong_b
    wrong_W = {
        "the factors stand in the order of the layers; the last layer acts last, so it stands "
        "on the left.": np.linalg.multi_dot(W),
        "the result is transposed.": W_star.T,
        "* multiplies entry by entry; the matrix product is @.": np.prod(W, axis=0),
    }
    return wrong_W, wrong_b | {
        "the biases are added up as they are; each must pass the layers after it.": sum(b),
        "only the first bias is carried through; the later ones are missing.": np.linalg.multi_dot(
            [*W[:0:-1], b[0]]
        ),
        "each bias is also multiplied by its own layer's weights.": _own_layer(W, b),
    }


def _own_layer(W: list, b: list) -> np.ndarray:
    """Return b* with every bias applied before, not after, its layer's weights."""
    total = np.zeros(len(b[0]))
    for matrix, vector in zip(W, b, strict=True):
        total = matrix @ (total + vector)
    return total


@_verdict
def check_mystery_bug(
    suspect: Callable, mystery: Callable, cost: Callable, params: Mapping, X, Y
) -> str:
    """Check that ``suspect()`` returns a gradient with the same bug as ``mystery``.

    Both gradients are functions ``(params, X, Y) -> dict name -> array``; ``cost(params, X, Y)`` is
    what they ought to differentiate, and a measured gradient tells which arrays each of them
    spoils. They are compared at two points, lest they agree by accident.
    """
    from helpers.gradcheck import numerical_gradient

    gradient = _answer(suspect)
    if not callable(gradient):
        _reject(
            f"suspect returns a {type(gradient).__name__}; return a function of (p, X, Y), such "
            "as plant(backward, (old, new))."
        )
    if gradient is mystery:
        _reject("this is the mystery itself; plant the bug that you suspect in the correct one.")
    rng = np.random.default_rng(5)
    moved = {name: value + 0.3 * rng.normal(size=value.shape) for name, value in params.items()}
    for point in (params, moved):
        copies = {name: value.copy() for name, value in point.items()}
        got = _answer(gradient, copies, np.copy(X), np.copy(Y))
        truth = numerical_gradient(lambda p: cost(p, X, Y), dict(point), method="central")
        _reject(_compare_bugs(got, mystery(dict(point), X, Y), truth, len(X)))
    return "Correct: at two points your bug makes the same wrong gradient."


def _compare_bugs(got, want: Mapping, truth: Mapping, count: int) -> str | None:
    """Return how one wrong gradient differs from another, given the right one."""
    from helpers.gradcheck import relative_error

    if not isinstance(got, Mapping) or got.keys() != want.keys():
        return f"your function must return a dict with the names {', '.join(want)}."
    for name, value in want.items():
        numbers = _as_numbers(got[name])
        if numbers is None:
            return f"{name} is a {type(got[name]).__name__}, expected numbers."
        if numbers.shape != value.shape:
            return f"{name} has shape {numbers.shape}, expected {value.shape}."
        if not np.isfinite(numbers).all():
            return f"{name} holds values that are not finite."
    spoils = {
        who: [name for name in truth if relative_error(grads[name], truth[name]) > 1e-5]
        for who, grads in (("yours", got), ("mystery", want))
    }
    if not spoils["yours"]:
        return "your gradient is correct: no bug is planted in it."
    if spoils["yours"] != spoils["mystery"]:
        return (
            f"your bug spoils {', '.join(spoils['yours'])}; "
            f"the mystery spoils {', '.join(spoils['mystery'])}."
        )
    for name in spoils["mystery"]:
        sentence = diagnose(got[name], want[name], factors={"N, the number of samples": count})
        if sentence:
            return f"the right arrays are spoilt, but in another way. In {name}, {sentence}"
    return None


_JOBS = {  # job -> operands, and a subscript for it
    "forward": ("W, A", "ij,nj->ni"),
    "back": ("W, Delta", "ij,ni->nj"),
    "bias": ("Delta", "ni->i"),
    "weights": ("Delta, A", "ni,nj->ij"),
}
_SLIPS = {  # job -> what is wrong -> the subscript that does it; all fit in a square layer
    "forward": {
        "the sum runs over the current node; it must run over the incoming one, the second "
        "letter of W.": "ij,ni->nj",
        "the result is transposed: exchange the two letters right of the arrow.": "ij,nj->in",
        "the letters of A are exchanged: its rows are samples, so n comes first.": "ij,jn->ni",
        "these letters are for samples as columns; here samples are rows.": "ij,jn->in",
    },
    "back": {
        "this goes forward through W; backward the sum runs over the first letter of W, the node "
        "the error comes from.": "ij,nj->ni",
        "the result is transposed: exchange the two letters right of the arrow.": "ij,ni->jn",
        "the letters of Delta are exchanged: its rows are samples, so n comes first.": "ij,in->nj",
        "these letters are for samples as columns; here samples are rows.": "ij,in->jn",
    },
    "bias": {
        "the nodes are summed and the samples kept; it is the other way round.": "ni->n",
        "nothing is summed: leave the letter of the sample out on the right.": "ni->ni",
    },
    "weights": {
        "the samples are still apart: leave their letter out on the right, and they are "
        "summed.": "ni,nj->nij",
        "the result is transposed: exchange the two letters right of the arrow.": "ni,nj->ji",
        "the letters of Delta are exchanged: its rows are samples, so n comes first, and einsum "
        "needs no transpose.": "in,nj->ij",
    },
}


def _slowly(spec: str, operands: list[np.ndarray]) -> np.ndarray:
    """Return what a subscript says, entry by entry, by loops over all its letters."""
    inputs, result = spec.split("->")
    lengths: dict[str, int] = {}
    for letters, operand in zip(inputs.split(","), operands, strict=True):
        lengths |= dict(zip(letters, operand.shape, strict=True))
    total = np.zeros([lengths[letter] for letter in result])
    for index in np.ndindex(*lengths.values()):
        at = dict(zip(lengths, index, strict=True))
        term = 1.0
        for letters, operand in zip(inputs.split(","), operands, strict=True):
            term *= operand[tuple(at[letter] for letter in letters)]
        total[tuple(at[letter] for letter in result)] += term
    return total


def _subscript_verdict(job: str, spec, arrays: dict[str, np.ndarray]) -> str | None:
    """Return what is wrong with one subscript, or None."""
    names, right = _JOBS[job]
    operands = [arrays[name] for name in names.split(", ")]
    if not isinstance(spec, str):
        return f"{spec!r} is no string of letters, such as 'ij,j->i'."
    truth = _slowly(right, operands)
    try:
        got = np.einsum(spec, *operands)
    except ValueError as error:
        count = spec.split("->")[0].count(",") + 1
        if count != len(operands):
            return f"{spec!r} names {count} operands, expected {len(operands)}: {names}."
        return f"einsum refuses {spec!r} for {names}: {error}"
    square = len({*operands[0].shape, *operands[-1].shape}) == 1
    slips = _SLIPS[job] if square else {}
    mistakes = {sentence: _slowly(slip, operands) for sentence, slip in slips.items()}
    return diagnose(got, truth, mistakes=mistakes)


@_verdict
def check_subscripts(subscripts: Callable) -> str:
    """Check the einsum subscripts of a layer, ``subscripts() -> dict`` with the four jobs."""
    rng = np.random.default_rng(61)
    got = _answer(subscripts)
    if not isinstance(got, Mapping) or set(got) != set(_JOBS):
        names = list(got) if isinstance(got, Mapping) else type(got).__name__
        _reject(f"the answer has {names}, expected a dict with {sorted(_JOBS)}.")
    # The square layer lets every slip through that shapes would catch; the others must fit too.
    for samples, n_in, n_out in ((3, 3, 3), (5, 2, 4)):
        arrays = {
            "W": rng.normal(size=(n_out, n_in)),
            "A": rng.normal(size=(samples, n_in)),
            "Delta": rng.normal(size=(samples, n_out)),
        }
        for job in _JOBS:
            _reject(
                _subscript_verdict(job, got[job], arrays),
                where=f"{job}, with N = {samples} and W {arrays['W'].shape}:",
            )
    return "Correct: four subscripts agree with sums written out entry by entry."


@_verdict
def check_errors_back(errors_back: Callable) -> str:
    """Check ``errors_back(W_next, Delta_next, Z) -> Delta``, BP2 for a batch of rows."""
    rng = np.random.default_rng(62)
    for samples, here, after in ((4, 3, 3), (6, 4, 2), (1, 2, 5)):
        W, Delta, Z = (
            rng.normal(size=s) for s in ((after, here), (samples, after), (samples, here))
        )
        got = _answer(errors_back, W.copy(), Delta.copy(), Z.copy())
        sums = np.array([[sum(W[:, k] * d) for k in range(here)] for d in Delta])
        # 1 / (4 cosh²(z/2)): a second formula for the slope of the sigmoid.
        slope = 0.25 / np.cosh(Z / 2) ** 2
        truth = sums * slope
        mistakes = {
            "the slope of the sigmoid is missing.": sums,
            "the slope of the sigmoid is applied twice.": truth * slope,
            "multiply by the slope of the sigmoid, not by the sigmoid.": sums * _sigmoid(Z),
            "the slope is taken at a; it belongs at z.": sums / np.cosh(_sigmoid(Z) / 2) ** 2 / 4,
            "z(1 − z) treats z as if z were the activation; the slope is s(1 − s) with "
            "s = sigmoid(z).": sums * Z * (1 - Z),
            "the result is transposed: rows must be samples.": truth.T,
        }
        if here == after:
            forward = np.array([[sum(W[k] * d) for k in range(here)] for d in Delta])
            mistakes["W is transposed: it fits here only because this layer is square. Which "
                     "letters stand side by side?"] = forward * slope  # fmt: skip
            left_first = [[sum(W[:, k] * d) for k in range(here)] for d in Delta * slope]
            mistakes["* and @ have the same rank and run from left to right: put the matrix "
                     "product in parentheses."] = np.array(left_first)  # fmt: skip
        sentence = diagnose(
            got, truth, mistakes=mistakes, factors={"N, the number of samples": samples}
        )
        _reject(sentence, where=f"with N = {samples} and W_next {W.shape},")
    return "Correct: three layers agree with sums over paths, sample by sample."


@_verdict
def check_gradient_norms(gradient_norms: Callable) -> str:
    """Check ``gradient_norms(Delta, A) -> (N,)``, the norm of each sample's outer product."""
    rng = np.random.default_rng(63)
    for samples, n_out, n_in in ((3, 3, 3), (5, 4, 2), (1, 1, 6)):
        Delta, A = rng.normal(size=(samples, n_out)), rng.normal(size=(samples, n_in))
        got = _answer(gradient_norms, Delta.copy(), A.copy())
        outers = [np.outer(d, a) for d, a in zip(Delta, A, strict=True)]
        truth = np.array([np.linalg.norm(outer) for outer in outers])
        mistakes = {
            "these are the squares of the norms; a square root is missing.": truth**2,
            "this is one norm for the whole batch; keep one a sample.": np.linalg.norm(outers),
            "this is the norm of the sum over the batch; keep one norm a sample.": np.linalg.norm(
                sum(outers)
            ),
            "the two norms are added; they must be multiplied.": np.linalg.norm(Delta, axis=1)
            + np.linalg.norm(A, axis=1),
            "this adds up the entries of each outer product, signs and all.": np.array(
                [outer.sum() for outer in outers]
            ),
            "this adds up sizes; the norm adds up squares and takes a root.": np.array(
                [np.abs(outer).sum() for outer in outers]
            ),
        }
        if samples == n_out == n_in:
            mistakes["axis 0 is the sample; sum over the nodes, axis 1."] = np.linalg.norm(
                Delta, axis=0
            ) * np.linalg.norm(A, axis=0)
        _reject(
            diagnose(got, truth, mistakes=mistakes),
            where=f"with Delta {Delta.shape} and A {A.shape},",
        )
    return "Correct: three batches agree with outer products made one by one."


@_verdict
def check_binary_cross_entropy(cross_entropy: Callable) -> str:
    """Check ``cross_entropy(z, y)``, the mean cost of logits z and labels y (N,), 0 or 1."""
    rng = np.random.default_rng(71)
    z, y = 2 * rng.normal(size=7), np.array([1, 0, 0, 1, 1, 0, 1])
    got = _answer(cross_entropy, z.copy(), y.copy())
    of_one, of_zero = np.log(_sigmoid(z)), np.log(_sigmoid(-z))
    truth = -np.where(y == 1, of_one, of_zero)
    mistakes = {
        "this is one cost per sample; take the mean.": truth,
        "the labels are exchanged: ŷ is the probability of class 1.": -np.where(
            y == 1, of_zero, of_one
        ).mean(),
        "only the samples of class 1 cost anything; where is (1 − y)?": -np.mean(y * of_one),
        "this is the likelihood of the batch, not its cost.": np.exp(-truth.sum()),
        "the log-sum-exp ran over the whole batch; each sample has its own, of 0 and its logit.": (
            np.logaddexp.reduce(np.append(z, 0 * z)) - np.mean(y * z)
        ),
        "y z is subtracted, not added.": np.mean(truth + 2 * y * z),
        "this is the mean squared error of the probabilities; the cost is a logarithm.": np.mean(
            (_sigmoid(z) - y) ** 2
        ),
    }
    factors = {"N, the number of samples": len(z), "1/log 2 (use the natural log)": 1 / np.log(2)}
    _reject(diagnose(got, truth.mean(), mistakes=mistakes, factors=factors))
    for large in ([1000.0, -1000.0], [-1000.0, 1000.0]):
        with np.errstate(all="ignore"):  # the verdict says it in place of NumPy
            got = _answer(cross_entropy, np.array(large), np.array([1, 0]))
        if not np.isfinite(np.asarray(got, dtype=float)).all():
            _reject(f"at logits {large} the answer is {got}; e¹⁰⁰⁰ must never be formed.")
        sentence = diagnose(got, 0.0 if large[0] > 0 else 1000.0)
        if sentence:
            _reject(f"at logits {large} {sentence} Is a probability clipped or rounded?")
    return "Correct: the costs agree, at logits of ±1000 too."


@_verdict
def check_softmax_back(softmax_back: Callable) -> str:
    """Check ``softmax_back(P, V) -> Delta (N, n)``, each row of V times its softmax Jacobian."""
    from helpers.gradcheck import numerical_gradient

    rng = np.random.default_rng(72)
    for samples, n in ((3, 3), (5, 4), (1, 2)):
        Z, V = rng.normal(size=(2, samples, n))
        P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
        got = _answer(softmax_back, P.copy(), V.copy())
        # The slope of a cost that is v · softmax(z), summed over the batch.
        want = numerical_gradient(
            lambda p, V=V: np.sum(V * np.exp(p["Z"]) / np.exp(p["Z"]).sum(axis=1, keepdims=True)),
            {"Z": Z}, method="complex",
        )["Z"]  # fmt: skip
        shares = P * V
        mistakes = {
            "only the diagonal of J is there: the one-path rule.": shares * (1 - P),
            "ŷŷᵀ is missing: J is not diag(ŷ) alone.": shares,
            "diag(ŷ) is missing.": want - shares,
            "the sum lacks ŷ: it runs over ŷⱼvⱼ.": P * (V - V.sum(axis=1, keepdims=True)),
            "the sum must be multiplied by ŷₖ.": shares - shares.sum(axis=1, keepdims=True),
            "take the sum over the classes, not their mean.": P
            * (V - shares.mean(axis=1, keepdims=True)),
            "the sum runs over the samples; it must run over the classes.": P
            * (V - shares.sum(axis=0)),
            "the sum runs over the whole batch; each row has its own.": P * (V - shares.sum()),
        }
        if samples == n:
            mistakes["the sums belong to rows, and they are laid along columns: keepdims=True."] = (
                P * (V - shares.sum(axis=1))
            )
            mistakes["P @ V.T pairs every sample with every other; sum P * V along each row."] = (
                P * (V - np.einsum("nj,mj->nm", P, V))
            )
        factors = {"N, the number of samples": samples}
        _reject(diagnose(got, want, mistakes=mistakes, factors=factors), where=f"with P {P.shape},")
    return "Correct: three batches agree with nudges of the logits."


@_verdict
def check_leaky_errors(leaky_errors: Callable) -> str:
    """Check ``leaky_errors(Delta1, U, Z, alpha) -> Delta2 (N, K)``, an error through leaky ReLU."""
    rng = np.random.default_rng(91)
    for samples, n, hidden in ((4, 3, 5), (3, 3, 3), (1, 2, 4)):
        alpha = 0.2
        Delta1, U, Z = (rng.normal(size=s) for s in ((samples, n), (n, hidden), (samples, hidden)))
        Z[0, 0] = -abs(Z[0, 0])  # at least one node is off
        got = _answer(leaky_errors, Delta1.copy(), U.copy(), Z.copy(), alpha)
        sums = np.array([[sum(d * U[:, k]) for k in range(hidden)] for d in Delta1])
        slopes = ((1 + alpha) + (1 - alpha) * np.sign(Z)) / 2
        want = sums * slopes
        mistakes = {
            "this is the plain ReLU: below zero the slope is alpha, not 0.": sums * (Z > 0),
            "the slopes are exchanged: 1 above zero, alpha below.": sums * (1 + alpha) - want,
            "the slope of the activation is missing.": sums,
            "the mask reads the pre-activation Z, not the error.": sums
            * np.where(sums > 0, 1, alpha),
            "multiply by the slope, not by the activation.": want * Z,
            "below zero the slope is +alpha.": sums * np.where(Z > 0, 1, -alpha),
            "below zero the slope is alpha, not alpha times z.": sums
            * np.where(Z > 0, 1, alpha * Z),
            "the result is transposed: rows must be samples.": want.T,
        }
        if n == hidden:
            forward = np.array([[sum(d * row) for row in U] for d in Delta1])
            mistakes["U is transposed: it fits here only because it is square."] = forward * slopes
        factors = {"N, the number of samples": samples}
        _reject(
            diagnose(got, want, mistakes=mistakes, factors=factors),
            where=f"with U {U.shape} and Z {Z.shape},",
        )
    _reject(_leaky_kink_fault(leaky_errors))
    return "Correct: three layers agree with sums written out node by node."


def _leaky_kink_fault(leaky_errors: Callable) -> str | None:
    """Return what is wrong at z = 0, where every slope between those of the two sides is right."""
    alpha = 0.2
    with np.errstate(all="ignore"):  # 0/0 is reported in words
        got = _answer(leaky_errors, *np.ones((2, 1, 1)), np.zeros((1, 1)), alpha, where="at z = 0")
    try:
        slope = np.asarray(got, dtype=float).item()
    except (TypeError, ValueError):
        return f"at z = 0 the answer is {got!r}, expected a number in an array of shape (1, 1)."
    if alpha <= slope <= 1:
        return None
    return (
        "the leaky ReLU is not differentiable at z = 0; "
        f"any slope from alpha = {alpha} to 1 will do there, yours is {slope:.3g}."
    )


@_verdict
def check_posterior(posterior: Callable) -> str:
    """Check ``posterior(X, means, sd, prior) -> (N, C)``, the probabilities of Gaussian classes."""
    from scipy.stats import norm

    rng = np.random.default_rng(92)
    for samples, n, d, sd in ((6, 3, 5, 0.9), (4, 2, 1, 2.0)):
        X, means = rng.normal(size=(samples, d)), rng.normal(size=(n, d))
        prior = np.arange(1, n + 1) / (n * (n + 1) / 2)
        got = _answer(posterior, X.copy(), means.copy(), sd, prior.copy())
        joint = prior * np.array([norm.pdf(X, m, sd).prod(axis=1) for m in means]).T
        want = joint / joint.sum(axis=1, keepdims=True)
        dots, halves, logs = X @ means.T, (means**2).sum(axis=1) / 2, np.log(prior)
        logits = {
            "the prior is missing: so it is right for equal frequencies.": (dots - halves) / sd**2,
            "add the logarithm of the prior, not the prior.": (dots - halves) / sd**2 + prior,
            "divide by the variance sd², not by sd.": (dots - halves) / sd + logs,
            "the term −‖µ‖²/2 is missing.": dots / sd**2 + logs,
            "the ½ of ‖µ‖² is missing.": (dots - 2 * halves) / sd**2 + logs,
            "the prior must not be divided by sd².": (dots - halves + logs) / sd**2,
            "the ½ of the exponent is missing: it is −‖x − µ‖²/(2 sd²).": (dots - halves)
            / (sd**2 / 2)
            + logs,
        }
        mistakes = {s: np.exp(a) / np.exp(a).sum(axis=1, keepdims=True) for s, a in logits.items()}
        mistakes["the sum runs over the isolates; it must run over the classes."] = (
            joint / joint.sum(axis=0)
        )
        for_equal = mistakes["the prior is missing: so it is right for equal frequencies."]
        mistakes["times the prior, the rows no longer add up to 1: divide by their sums."] = (
            prior * for_equal
        )
        mistakes["these are the logits; a softmax is missing."] = (dots - halves) / sd**2 + logs
        mistakes["the rows do not add up to 1: divide by their sums."] = joint
        mistakes["these are the logarithms of the probabilities."] = np.log(want)
        _reject(
            diagnose(got, want, mistakes=mistakes),
            where=f"with X {X.shape} and means {means.shape},",
        )
    return "Correct: the probabilities agree with Bayes' rule on SciPy's densities."


@_verdict
def check_calibration_error(calibration_error: Callable) -> str:
    """Check ``calibration_error(confidence, correct, edges) -> float``, the ECE."""
    rng = np.random.default_rng(93)
    for top, edges in ((0.95, np.linspace(0, 1, 6)), (1.0, np.array([0.0, 0.3, 0.5, 0.8, 1.0]))):
        confidence = np.append(rng.uniform(0.41, 0.95, size=38), [edges[2], top])  # bin 0 is empty
        correct = rng.uniform(size=40) < 1.3 - confidence  # gaps of either sign
        correct[confidence >= edges[-2]] = True  # the last bin is too modest, its sure answer not
        correct[-1] = False
        got = _answer(calibration_error, confidence.copy(), correct.copy(), edges.copy())
        bins = [
            [i for i, c in enumerate(confidence) if low <= c < high or c == high == edges[-1]]
            for low, high in pairwise(edges)
        ]
        want = sum(abs(sum(confidence[i] - correct[i] for i in members)) for members in bins) / 40
        mistakes = _calibration_mistakes(confidence, correct, edges, [m for m in bins if m])
        _reject(
            diagnose(got, want, mistakes=mistakes, factors={"N": 40}),
            where=f"with {len(edges) - 1} bins,",
        )
    return "Correct: two sets of bins agree, with an empty bin and a sure answer."


def _calibration_mistakes(confidence, correct, edges, filled: list) -> dict[str, float]:
    shares = np.array([len(members) for members in filled]) / len(confidence)
    gaps = np.array([(confidence[members] - correct[members]).mean() for members in filled])
    middles = np.array([edges[edges <= confidence[m].min()][-1] for m in filled])
    middles = (middles + edges[np.searchsorted(edges, middles) + 1 - (middles == edges[-1])]) / 2
    inner = [[i for i in members if confidence[i] < edges[-1]] for members in filled]
    within_edge = sum(abs((confidence - correct)[members].sum()) for members in inner)
    return {
        "the signs cancel: take the absolute value bin by bin.": gaps @ shares,
        "take the absolute value bin by bin, before the sum.": abs(gaps @ shares),
        "weight each bin by its count.": np.abs(gaps).mean(),
        "weight each bin by its count; empty ones have none.": np.abs(gaps).sum()
        / (len(edges) - 1),
        "this is the largest gap, not the mean.": np.abs(gaps).max(),
        "use the mean confidence of a bin, not its middle.": shares
        @ np.abs([mid - correct[m].mean() for mid, m in zip(middles, filled, strict=True)]),
        "the gaps are squared; take their absolute values.": gaps**2 @ shares,
        "compare the means of bins, not single answers.": np.abs(confidence - correct).mean(),
        "a confidence at the upper edge of the last bin is lost.": within_edge / len(confidence),
        "a confidence at the upper edge belongs to the last bin, not to one of its own.": (
            within_edge + (confidence - correct)[confidence == edges[-1]].sum()
        )
        / len(confidence),
    }


@_verdict
def check_two_class_probabilities(probabilities: Callable) -> str:
    """Check ``probabilities(Z) -> (N, 2)``, the softmax of two logits by one sigmoid."""
    rng = np.random.default_rng(81)
    for samples, scale in ((2, 1.0), (5, 3.0), (4, 1000.0)):
        Z = scale * rng.choice([-1.0, 1.0], (samples, 2)) + rng.normal(size=(samples, 2))
        Z[:2] = scale * np.array([[-1, 0.7], [1, -0.7]])  # either sign of the exponent is large
        with np.errstate(over="raise", invalid="raise"):
            got = _answer(probabilities, Z.copy())
        truth = np.exp(Z - np.logaddexp(Z[:, 0], Z[:, 1])[:, None])
        apart, second = _sigmoid(Z), _sigmoid(Z[:, 1])
        mistakes = {
            "this is the column of class 1 alone; return both.": truth[:, 1],
            "the two columns are exchanged: class 1 gains when z₁ − z₀ grows.": truth[:, ::-1],
            "each logit has a sigmoid of its own; only their difference counts.": apart,
            "the logit of class 0 is left out.": np.column_stack([1 - second, second]),
            "the result is transposed: rows must be samples.": truth.T,
            "these are the logarithms of the probabilities.": Z
            - np.logaddexp(Z[:, 0], Z[:, 1])[:, None],
            "these are the differences; a sigmoid is missing.": np.column_stack(
                [Z[:, 0] - Z[:, 1], Z[:, 1] - Z[:, 0]]
            ),
        }
        _reject(diagnose(got, truth, mistakes=mistakes), where=f"with logits of about ±{scale:g},")
    return "Correct: the softmax of two classes, up to logits of ±1000."


@_verdict
def check_nesterov_step(step: Callable) -> str:
    """Check ``step(theta, v, gradient, rate, momentum) -> (theta, v)`` on quadratic costs."""
    rng = np.random.default_rng(82)
    for size, rate, momentum in ((3, 0.1, 0.5), (1, 0.05, 0.9), (4, 0.2, 0.0)):
        matrix, centre, theta, v = (
            rng.normal(size=s) for s in ((size, size), size, size, size)
        )  # fmt: skip
        curvature = matrix @ matrix.T + np.eye(size)
        given = theta.copy(), v.copy()
        got = _answer(step, *given, lambda at, H=curvature, c=centre: H @ (at - c), rate, momentum)
        if isinstance(got, np.ndarray) and got.ndim:
            got = list(got)
        if not isinstance(got, tuple | list) or len(got) != 2:
            _reject("return the pair theta, v.")
        if not (np.array_equal(given[0], theta) and np.array_equal(given[1], v)):
            _reject("your function changes the arrays it was given; return new ones.")
        # For a quadratic cost the slope ahead is the slope here plus curvature times distance.
        here, bend = curvature @ (theta - centre), curvature @ v
        truth = momentum * v - rate * (here + momentum * bend)
        mistakes = _nesterov_mistakes(theta, v, here, bend, truth, rate, momentum)
        _reject(
            diagnose(got, [theta + truth, truth], mistakes=mistakes),
            where=f"with momentum {momentum},",
        )
    return "Correct: three quadratic costs agree with the formula in closed form."


def _nesterov_mistakes(theta, v, here, bend, truth, rate: float, momentum: float) -> dict:
    """Return what a step gives after each known mistake, as [theta, v]."""
    if momentum == 0:  # most slips leave no trace without momentum
        return {}
    velocities = {
        "this is classical momentum: the slope is taken at theta, not ahead of it.": here,
        "the look goes backward: ahead is theta + momentum · v.": here - momentum * bend,
        "the look goes too far: only momentum · v of the velocity will survive.": here + bend,
    }
    results = {text: momentum * v - rate * slope for text, slope in velocities.items()}
    slope = here + momentum * bend
    results |= {
        "the velocity does not decay: multiply it by the momentum.": v - rate * slope,
        "the slope is added; descent subtracts it.": momentum * v + rate * slope,
    }
    pairs = {text: [theta + new, new] for text, new in results.items()}
    return pairs | {
        "the move starts at the point ahead; it starts at theta.": [
            theta + momentum * v + truth,
            truth,
        ],
        "the move uses the old velocity.": [theta + v, truth],
        "the answer is in the order v, theta; return theta first.": [truth, theta + truth],
    }


@_verdict
def check_l2_gradients(l2_gradients: Callable) -> str:
    """Check ``l2_gradients(grads, params, strength)``: penalised weights, untouched biases."""
    from helpers.gradcheck import numerical_gradient

    rng, strength = np.random.default_rng(8), 0.3
    shapes = {"W1": (3, 4), "b1": 3, "W2": (2, 3), "b2": 2}
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    grads = {name: rng.normal(size=p.shape) for name, p in params.items()}
    given = [{name: a.copy() for name, a in arrays.items()} for arrays in (grads, params)]
    got = _answer(l2_gradients, *given, strength)
    if not isinstance(got, dict) or set(got) != set(params):
        found = list(got) if isinstance(got, dict) else type(got).__name__
        _reject(f"the answer has {found}, expected a dict with the names {list(params)}.")
    for argument, before, after in zip(("grads", "params"), (grads, params), given, strict=True):
        kept = before.keys() == after.keys()
        if not kept or any(not np.array_equal(before[name], after[name]) for name in before):
            _reject(f"your function changed the {argument} it was given; return a new dict.")

    def penalised(p):
        # The gradient of sum(g·p) is g: a stand-in for C, whatever C was.
        linear = sum(np.sum(grads[name] * p[name]) for name in p)
        return linear + strength / 2 * sum(np.sum(p[name] ** 2) for name in ("W1", "W2"))

    want = numerical_gradient(penalised, params, method="complex")
    for name in params:
        mistakes = _penalty_mistakes(name, grads[name], params[name], strength)
        _reject(diagnose(got[name], want[name], mistakes=mistakes), where=f"{name}:")
    return "Correct: the four arrays agree with a complex step, biases included."


def _penalty_mistakes(name: str, g: np.ndarray, p: np.ndarray, strength: float) -> dict:
    """Return what the gradient g of a parameter p becomes after each known mistake."""
    if name.startswith("b"):
        return {"biases are not penalised.": g + strength * p}
    return {
        "the penalty is missing.": g,
        "the answer has 2λw; the ½ in front of the penalty cancels the 2.": g + 2 * strength * p,
        "the derivative of ½λw² is λw, without a ½.": g + 0.5 * strength * p,
        "the sign of the penalty is wrong: it adds to the gradient.": g - strength * p,
        "the penalty is there, the gradient of C is not.": strength * p,
        "this is the penalty itself; its derivative is asked for.": g + strength / 2 * p**2,
        "the penalty itself, one number, is added; its derivative is asked for.": g
        + strength / 2 * np.sum(p**2),
        "λ·sign(w) is the derivative of λ|w|; the penalty is a square.": g + strength * np.sign(p),
    }


@_verdict
def check_dropout(dropout: Callable) -> str:
    """Check ``dropout(A, keep, rng) -> (A * mask, mask)`` with masks scaled by 1/keep."""
    A = 1 + np.random.default_rng(2).random((400, 50))  # nowhere zero
    for keep in (0.8, 0.5, 1.0):
        rng, given = np.random.default_rng(3), A.copy()
        got = _answer(dropout, given, keep, rng)
        again = _answer(dropout, given, keep, rng)
        same = _answer(dropout, given, keep, np.random.default_rng(3))
        _reject(_dropout_fault(got, again, same, given, A, keep), where=f"with keep = {keep},")
    return "Correct: kept share, scale and expectation are right for three values."


def _dropout_fault(got, again, same, given: np.ndarray, A: np.ndarray, keep: float) -> str | None:
    """Return what is wrong with one answer of the reader's dropout, or None.

    ``again`` is the next answer from the same rng, ``same`` the first one from a rng like it.
    """
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        return "return the pair: thinned activations and mask."
    if not np.array_equal(given, A):
        return "your function changed A; multiply into a new array."
    try:
        thinned, mask = (np.asarray(part, dtype=float) for part in got)
    except (TypeError, ValueError):
        return "the answer is not a pair of numeric arrays."
    if mask.shape != A.shape:
        return f"the mask has shape {mask.shape}, expected {A.shape}: a draw for each activation."
    if thinned.shape != A.shape:
        return f"the thinned activations have shape {thinned.shape}, expected {A.shape}."
    values, share = np.unique(mask), float(np.mean(mask != 0))
    scales = np.isin(np.round(np.unique(thinned) * keep, 6), (0.0, 1.0)).all()
    if keep < 1 and scales and not np.isin(np.round(values * keep, 6), (0.0, 1.0)).all():
        return "activations and mask are exchanged; the thinned activations come first."
    if 0 < share < 1 and (mask == mask[:1]).all():
        return "every image has the same mask; draw a number for each activation."
    if 0 < share < 1 and (mask == mask[:, :1]).all():
        return "all activations of an image share one draw; draw a number for each of them."
    spread = 5 * np.sqrt(keep * (1 - keep) / A.size) + 1e-12  # five standard deviations
    if abs(share - keep) > spread:
        swapped = abs(share - (1 - keep)) <= spread
        hint = " keep is the probability to stay." if swapped else ""
        return f"a share of {share:.3f} is kept, expected about {keep}.{hint}"
    if not np.isin(np.round(values * keep, 6), (0.0, 1.0)).all():
        shown = ", ".join(f"{v:.4g}" for v in values[:4])
        return f"the mask holds {shown}, expected 0 and 1/keep = {1 / keep:.4g} only."
    if not np.allclose(thinned, A * mask, rtol=1e-6):
        return "the thinned activations are not A times the mask."
    if keep < 1 and np.array_equal(mask, np.asarray(again[1])):
        return "two calls give the same mask; draw from the rng that is passed."
    if not np.array_equal(mask, np.asarray(same[1])):
        return "the same rng gives another mask; draw from the rng that is passed."
    return None


@_verdict
def check_step_flops(step_flops: Callable) -> str:
    """Check ``step_flops(sizes, N)``: operations in the matrix products of one training step."""
    for sizes, samples in (([784, 256, 10], 64), ([3, 5], 7), ([6, 4, 5, 2], 3)):
        got = _answer(step_flops, list(sizes), samples)
        layers = [2 * samples * n * m for n, m in pairwise(sizes)]
        forward, weights, back = sum(layers), sum(layers), sum(layers[1:])
        want = forward + weights + back
        mistakes = {
            "the error of the inputs is not needed: layer 1 sends none back.": want + layers[0],
            "a multiplication and an addition are two operations: the factor 2 is missing.": want
            // 2,
            "this is the way forward alone.": forward,
            "the products that give the weights' gradients are missing.": forward + back,
            "the error goes back through a product, too, in every layer but the first.": 2
            * forward,
            "it is layer 1 that sends no error back, not the last one.": 3 * forward - layers[-1],
            "this is for one sample; a batch has N of them.": want // samples,
        }
        _reject(
            diagnose(got, want, mistakes=mistakes, rtol=1e-12),
            where=f"for sizes {sizes} and N = {samples},",
        )
    return "Correct: three networks agree with a count product by product."


@_verdict
def check_accumulated(accumulated: Callable) -> str:
    """Check ``accumulated(gradient, X, Y, size)``: the mean gradient over all rows, by pieces."""
    rng = np.random.default_rng(112)
    for samples, size in ((10, 4), (12, 3), (5, 8), (7, 1)):
        X, Y, w = rng.normal(size=(samples, 3)), rng.normal(size=samples), rng.normal(size=3)
        pieces: list[int] = []

        def gradient(x, y, w=w, pieces=pieces):
            pieces.append(len(x))
            return (x @ w - y) @ x / len(x)

        got = _answer(accumulated, gradient, X.copy(), Y.copy(), size)
        each = (X @ w - Y)[:, None] * X  # the gradients of the samples, one a row
        sentence = diagnose(
            got,
            each.mean(axis=0),
            mistakes=_accumulation_mistakes(each, size),
            factors={"N, the number of rows": samples},
        )
        if sentence is None and max(pieces) > size:
            sentence = f"a piece has {max(pieces)} rows, at most {size} are allowed."
        _reject(sentence, where=f"with {samples} rows in pieces of {size},")
    return "Correct: four ways of cutting give the mean over all samples."


def _accumulation_mistakes(each: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Return what sums over pieces give after each known mistake, from the samples' gradients."""
    pieces = [each[start : start + size] for start in range(0, len(each), size)]
    means = [piece.mean(axis=0) for piece in pieces]
    full = each[: len(each) // size * size]
    return {
        "the pieces count alike; each must count by its number of rows.": np.mean(means, axis=0),
        "the means of the pieces are only added; weight them and divide by N.": np.sum(
            means, axis=0
        ),
        "the last, smaller piece is left out.": full.sum(axis=0) / max(1, len(full)),
        "the last, smaller piece is left out of the sum, but not of N.": full.sum(axis=0)
        / len(each),
        "only the last piece is left: add to the sum, do not overwrite it.": means[-1],
        "only the last piece is in the sum: add to it, do not overwrite it.": pieces[-1].sum(axis=0)
        / len(each),
        "the last piece has fewer rows than size, but counts as if it had as many.": size
        * np.sum(means, axis=0)
        / len(each),
    }
