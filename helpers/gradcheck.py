"""Check the gradient of a backward pass against one that is measured.

How steep is the cost C in a parameter p? Nudge p a little up, a little down, and see:

    ∂C/∂p ≈ (C(p + ε) − C(p − ε)) / 2ε

That takes two forward passes for each parameter, so nobody trains with it. But it needs nothing
except the cost, and so it shares no mistake with the backward pass that it is compared with.

Parameters and gradients are dicts ``name -> array`` of equal shapes; a scalar network may use plain
floats. The loss is a pure function of such a dict, and each nudge is made in a copy.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import norm  # unlike NumPy's it can square 1e-200 and 1e200

Params = dict[str, np.ndarray]
Loss = Callable[[Params], float]

UNIT = float(np.finfo(np.float64).eps)  # u = 2.2e-16, the spacing of float64 at 1
DEFAULT_EPS = {"forward": UNIT ** (1 / 2), "central": UNIT ** (1 / 3), "complex": 1e-20}
SLOPES = {  # f(ε) is the cost with one parameter nudged by ε
    "forward": lambda f, eps: (f(eps) - f(0.0)) / eps,  # error O(ε) + O(u/ε)
    "central": lambda f, eps: (f(eps) - f(-eps)) / (2 * eps),  # error O(ε²) + O(u/ε)
    "complex": lambda f, eps: f(1j * eps).imag / eps,  # error O(ε²)
}


def numerical_gradient(loss: Loss, params: Params, *, method="central", eps=None) -> Params:
    """Measure the gradient of `loss` at `params`, one entry at a time.

    `method` is central, forward or complex. The default ε of a difference balances truncation
    against rounding, u^(1/3) ≈ 6.1e-6 and u^(1/2) ≈ 1.5e-8; it grows with a parameter beyond 1.
    The complex step subtracts nothing, so its ε may be tiny (Squire & Trapp, SIAM Review 40, 1998),
    but the loss must carry complex numbers through.
    """
    _require_arrays(params, "params", like=params)
    _require_loss(loss, params, method)
    gradient = {name: np.zeros(np.shape(value)) for name, value in params.items()}
    for name, slopes in gradient.items():
        steps = _steps(params[name], method, eps)
        for index in np.ndindex(slopes.shape):
            slopes[index] = SLOPES[method](_nudging(loss, params, name, index), steps[index])
    return gradient


def _nudging(loss: Loss, params: Params, name: str, index: tuple[int, ...]) -> Callable:
    """Return f, where f(ε) is the cost with one entry of a copy of `params` nudged by ε."""
    entry = np.zeros(np.shape(params[name]))
    entry[index] = 1
    return lambda eps: _number(loss(deepcopy(params) | {name: params[name] + eps * entry}))


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return ‖a − b‖ / (‖a‖ + ‖b‖): 0 for equal arrays, at most 1, and 0 when both are 0."""
    if np.shape(a) != np.shape(b):
        raise ValueError(f"b has shape {np.shape(b)}, expected {np.shape(a)} like a")
    a, b = (np.asarray(value, dtype=np.float64).ravel() for value in (a, b))
    total = norm(a) + norm(b)
    return float(norm(a - b) / total) if total else 0.0


def check_gradients(
    loss: Loss, params: Params, grads: Params, *, method="central", eps=None, tol=1e-6
) -> "GradientReport":
    """Compare `grads` with the numerical gradient, one array at a time.

    With a the analytic and b the numerical gradient, an array passes when

    - ‖a − b‖ ≤ tol·(‖a‖ + ‖b‖), the relative error, and
    - |a_i − b_i| ≤ tol·s_i for every entry, where s_i is |a_i| + |b_i|, but at least a tenth of
      its largest value in the array: one wrong entry cannot hide in the norm of many.

    From each |a_i − b_i| the rounding of the measurement is subtracted first: 10·u·|C|/ε, for the
    complex step 10·u·|C|. A note says where only this excuses a gradient; if it does so in every
    array, and is larger than the slopes, as in a saturated network, the check has not passed. A
    much smaller ε than the default excuses much more. Another note tells a kink from a bug.
    """
    _require_arrays(grads, "grads", like=params)
    measured, rows = numerical_gradient(loss, params, method=method, eps=eps), []
    rounding = 10 * UNIT * abs(_number(loss(deepcopy(params))))
    for name, value in params.items():
        steps = np.ones(np.shape(value)) if method == "complex" else _steps(value, method, eps)
        row = _judge(np.asarray(grads[name]), measured[name], rounding / steps, tol)
        if row["verdict"] == "fail" and method != "complex":
            worst = row["worst_index"]
            row["note"] = _kink(_nudging(loss, params, name, worst), steps[worst], row)
        rows.append({"parameter": name} | row)
    return GradientReport(pd.DataFrame(rows), method, tol)


def _judge(a: np.ndarray, b: np.ndarray, noise: np.ndarray, tol: float) -> dict:
    """Return what the table says of one array."""
    difference, size = np.abs(a - b), np.abs(a) + np.abs(b)
    excess = np.fmax(difference - noise, 0)
    wrong = excess > tol * np.fmax(size, 0.1 * size.max())
    total = norm(a.ravel()) + norm(b.ravel())
    fails = wrong.any() or norm(excess.ravel()) > tol * total
    worst = np.argmax(np.where(wrong, difference, -1) if wrong.any() else difference)
    index = tuple(int(i) for i in np.unravel_index(worst, a.shape))
    error = relative_error(a, b)
    excused = error > tol and not fails
    return {
        "shape": a.shape,
        "worst_index": index,
        "relative_error": error,
        "analytic": float(a[index]),
        "numerical": float(b[index]),
        "resolution": float(noise[index]),
        "verdict": "fail" if fails else "pass",
        "judged": not (excused and norm(noise.ravel()) > total),
        "note": "too small to judge: the difference is within rounding" if excused else "",
    }


def _kink(f: Callable, eps: float, row: dict) -> str:
    """Return the slopes left and right if f has a kink at 0 that explains the failure, else ''.

    Where f is smooth, a step ten times smaller closes the gap between the two to a tenth; and at
    a kink the analytic slope lies between them.
    """
    steps = (-eps, eps, -eps / 10, eps / 10)
    left, right, left_nearer, right_nearer = (SLOPES["forward"](f, step) for step in steps)
    gap, ten_gaps = abs(right - left), 10 * abs(right_nearer - left_nearer)
    is_smooth = abs(gap - ten_gaps) <= 0.2 * max(gap, ten_gaps) + 100 * row["resolution"]
    if is_smooth or abs(row["analytic"] - (left + right) / 2) > 0.51 * gap:
        return ""
    left, right = (_format(slope, 1e-4 * gap) for slope in (left, right))
    return f"kink: one-sided slopes differ ({left}, {right})"


@dataclass(frozen=True, eq=False)
class GradientReport:
    """The verdict of `check_gradients`; true in a condition exactly when it passed.

    `table` has the raw numbers, one row per array: its relative error, and its worst entry with
    both values. The display shows what is the same on every machine.
    """

    table: pd.DataFrame
    method: str
    tol: float

    @property
    def passed(self) -> bool:
        """Whether every array passed, and one at least could be judged."""
        return bool((self.table["verdict"] == "pass").all() and self.table["judged"].any())

    __bool__ = passed.fget  # so that ``assert check_gradients(...)`` does what it says

    @property
    def max_relative_error(self) -> float:
        """Largest ‖a − b‖ / (‖a‖ + ‖b‖) of all arrays, unrounded."""
        return float(self.table["relative_error"].max())

    @property
    def worst(self) -> tuple[str, tuple[int, ...]]:
        """Array of largest relative error, failed ones first, and index of its worst entry."""
        row = self.table.sort_values(["verdict", "relative_error"], ascending=[True, False]).iloc[0]
        return row["parameter"], row["worst_index"]

    def __repr__(self) -> str:
        """Return the verdict and one line per array."""
        return f"{self._headline()}\n{self._shown().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return f"<p>{self._headline()}</p>\n{self._shown().to_html(index=False)}"

    def _headline(self) -> str:
        fails = int((self.table["verdict"] == "fail").sum())
        verdict = "passed" if self.passed else "undecided, all slopes are within rounding"
        verdict = f"{fails} of {len(self.table)} arrays fail" if fails else verdict
        return f"Gradient check {verdict} (method {self.method}, tol {self.tol:g})"

    def _shown(self) -> pd.DataFrame:
        rows = []
        for row in self.table.itertuples():
            shown = {"parameter": row.parameter, "shape": str(row.shape), "verdict": row.verdict}
            if row.verdict == "pass":
                shown["relative error"] = "unresolved" if row.note else f"≤ {self.tol:g}"
            else:
                shown |= {"verdict": "FAIL", "relative error": f"{row.relative_error:.3g}"}
                shown["worst entry"] = str(row.worst_index)
                shown["analytic"], shown["numerical"] = _told_apart(row)
            rows.append(shown | ({"note": row.note} if row.note else {}))
        return pd.DataFrame(rows).fillna("")


def _told_apart(row: tuple) -> list[str]:
    """Return both slopes of the worst entry, with as many digits as it takes."""
    for digits in (4, 7, 17):
        texts = [_format(slope, row.resolution, digits) for slope in (row.analytic, row.numerical)]
        if texts[0] != texts[1]:
            return texts
    return [str(row.analytic), str(row.numerical)]


def _format(value: float, resolution: float, digits: int = 4) -> str:
    return "≈ 0" if abs(value) <= resolution else f"{value:.{digits}g}"


def ravel(params: Params) -> np.ndarray:
    """Lay all parameters end to end in one vector, in the order of the dict, row by row."""
    return np.concatenate([np.ravel(value) for value in params.values()])


def unravel(vector: np.ndarray, like: Params) -> Params:
    """Cut a vector into copies with the names and shapes of `like`; undo `ravel`."""
    ends = np.cumsum([np.size(value) for value in like.values()])
    parts = zip(like.items(), np.split(vector, ends[:-1]), strict=True)
    return {name: part.reshape(np.shape(value)).copy()[()] for (name, value), part in parts}


# ----------------------------------------------------------------- what would mislead is refused


def _require_arrays(arrays: Params, argument: str, like: Params) -> None:
    if arrays.keys() != like.keys():
        raise ValueError(f"{argument} has the names {list(arrays)}, expected {list(like)}")
    for name, value in arrays.items():
        array, entry, shape = np.asarray(value), f"{argument}[{name!r}]", np.shape(like[name])
        if argument == "params" and array.dtype != np.float64:
            raise TypeError(f"{entry} has dtype {array.dtype}, expected float64")
        if array.shape != shape:
            found = f"{entry} has shape {array.shape}"
            raise ValueError(f"{found}, expected {shape} like params[{name!r}]")
        if not np.isfinite(array).all():
            raise ValueError(f"{entry} holds nan or inf, expected finite numbers")


def _steps(value: np.ndarray, method: str, eps: float | None) -> np.ndarray:
    """Return ε for every entry; for one larger than 1 it grows, or rounding would swallow it."""
    if method not in SLOPES:
        raise ValueError(f"method is {method!r}, expected one of {list(SLOPES)}")
    eps = DEFAULT_EPS[method] if eps is None else eps
    steps = eps * (np.ones(np.shape(value)) if method == "complex" else np.fmax(1, np.abs(value)))
    if not eps > 0 or (method != "complex" and np.any(value + steps == value)):
        raise ValueError(f"eps is {eps!r}, expected a step above 0 that moves every parameter")
    return steps


def _number(returned: object) -> float | complex:
    """Return what the loss gave, if it is one finite number with the digits of float64."""
    value = np.asarray(returned)
    fits = value.shape == () and value.dtype in (np.float64, np.complex128)
    if not fits or not np.isfinite(value):
        raise ValueError(f"loss returned {returned!r}, expected one finite float64")
    return value.item()


def _require_loss(loss: Loss, params: Params, method: str) -> None:
    """Call the loss twice, and compare a complex step with a central difference."""
    copies, theta = deepcopy(params), ravel(params)
    first, again = _number(loss(copies)), _number(loss(copies))
    if abs(again - first) > 1e-12 * abs(first):
        raise ValueError(
            f"loss gave {first!r} and then {again!r} for the same params: it must be pure "
            "(does it change params, draw a random batch, use dropout?)"
        )
    if method != "complex":
        return
    way = np.random.default_rng(0).uniform(0.5, 1, theta.size)
    way = np.fmax(way, 1e-3 * np.abs(theta))  # further in large parameters
    f = lambda eps: _number(loss(unravel(theta + eps * way, params)))  # noqa: E731
    step, measured = (SLOPES[kind](f, DEFAULT_EPS[kind]) for kind in ("complex", "central"))
    allowed = 1e-3 * max(abs(measured), abs(step)) + 1e-8 * max(1, abs(first))
    if abs(step - measured) > allowed:
        step, measured = _format(step, allowed), _format(measured, allowed)
        raise ValueError(
            f"complex step: along one direction the slope of the loss is {step}, "
            f"but {measured} by a central difference: it has a kink here, or the "
            "loss must carry complex numbers through (abs, norms, real, conj and casts to "
            "float drop the imaginary part); use method='central' otherwise"
        )
