"""Check the gradient of a backward pass against one that is measured.

How steep is the cost C in a parameter p? Nudge p a little up, a little down, and see:

    ∂C/∂p ≈ (C(p + h) − C(p − h)) / 2h

That takes two forward passes for each parameter, so nobody trains with it. But it needs nothing
except the cost, and so it shares no mistake with the backward pass that it is compared with.

Parameters and gradients are dicts ``name -> array`` of equal shapes; a scalar network may use plain
floats. The loss is a pure function of such a dict, and each nudge is made in a copy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import norm  # unlike NumPy's it can square 1e-200 and 1e200

Params = dict[str, np.ndarray]
Loss = Callable[[Params], float]

UNIT = float(np.finfo(np.float64).eps)  # u = 2.2e-16, the spacing of float64 at 1
DEFAULT_EPS = {"forward": UNIT ** (1 / 2), "central": UNIT ** (1 / 3), "complex": 1e-20}
SLOPES = {  # f(h) is the cost with one parameter nudged by h
    "forward": lambda f, h: (f(h) - f(0.0)) / h,
    "central": lambda f, h: (f(h) - f(-h)) / (2 * h),
    "complex": lambda f, h: f(1j * h).imag / h,
}


def numerical_gradient(
    loss: Loss, params: Params, *, method: str = "central", eps: float | None = None
) -> Params:
    """Measure the gradient of `loss` at `params`, one entry at a time.

    ===========  ============================  ==============  ================
    method       formula                       error           default eps
    ===========  ============================  ==============  ================
    ``forward``  (C(p + h) − C(p)) / h         O(h) + O(u/h)   u^(1/2) ≈ 1.5e-8
    ``central``  (C(p + h) − C(p − h)) / 2h    O(h²) + O(u/h)  u^(1/3) ≈ 6.1e-6
    ``complex``  Im C(p + ih) / h              O(h²)           1e-20
    ===========  ============================  ==============  ================

    With u = 2.2e-16 the first two defaults balance truncation against rounding. The complex step
    subtracts nothing, so its h may be tiny (Squire & Trapp, SIAM Review 40, 1998), but the loss
    must carry complex numbers through. It uses h = eps; the differences use h = eps·max(1, |p|),
    lest a nudge vanish in a large p.

    Returns a dict with the names, order and shapes of `params`. What would be measured wrongly is
    refused: parameters other than finite float64 arrays, and a loss that is not pure.
    """
    _require_arrays(params, "params", like=params)
    _require_pure(loss, params)
    if method == "complex":
        _require_complex_safe(loss, params)
    gradient = {name: np.zeros(np.shape(value)) for name, value in params.items()}
    for name, slopes in gradient.items():
        h = _steps(params[name], method, eps)
        for index in np.ndindex(slopes.shape):
            slopes[index] = SLOPES[method](_nudging(loss, params, name, index), h[index])
    return gradient


def _nudging(loss: Loss, params: Params, name: str, index: tuple[int, ...]) -> Callable:
    """Return f, where f(h) is the cost with one entry of `params` nudged by h."""
    direction = {key: np.zeros(np.shape(value)) for key, value in params.items()}
    direction[name][index] = 1
    return _along(loss, params, direction)


def _along(loss: Loss, params: Params, direction: Params) -> Callable:
    """Return f, where f(h) is the cost after h steps in a direction; `params` stay as they are."""
    return lambda h: _number(loss({name: params[name] + h * d for name, d in direction.items()}))


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return ‖a − b‖ / (‖a‖ + ‖b‖): 0 for equal arrays, at most 1, and 0 when both are 0."""
    if np.shape(a) != np.shape(b):
        raise ValueError(f"b has shape {np.shape(b)}, expected {np.shape(a)} like a")
    a, b = (np.asarray(value, dtype=np.float64).ravel() for value in (a, b))
    total = norm(a) + norm(b)
    return float(norm(a - b) / total) if total else 0.0


def ravel(params: Params) -> np.ndarray:
    """Lay all parameters end to end in one vector, in the order of the dict, row by row."""
    return np.concatenate([np.ravel(value) for value in params.values()])


def unravel(vector: np.ndarray, like: Params) -> Params:
    """Cut a vector into copies with the names and shapes of `like`; undo `ravel`."""
    ends = np.cumsum([np.size(value) for value in like.values()])
    if np.shape(vector) != (ends[-1],):
        raise ValueError(f"vector has shape {np.shape(vector)}, expected ({ends[-1]},) like `like`")
    parts = zip(like.items(), np.split(vector, ends[:-1]), strict=True)
    return {name: part.reshape(np.shape(value)).copy()[()] for (name, value), part in parts}


def check_gradients(
    loss: Loss,
    params: Params,
    grads: Params,
    *,
    method: str = "central",
    eps: float | None = None,
    tol: float = 1e-6,
) -> "GradientReport":
    """Compare `grads` with the numerical gradient, one array at a time.

    With a the analytic and b the numerical gradient, an array passes when

    - ‖a − b‖ ≤ tol·(‖a‖ + ‖b‖), the relative error, and
    - |a_i − b_i| ≤ tol·s_i for every entry, where s_i is |a_i| + |b_i|, but at least a tenth of
      its largest value in the array: one wrong entry cannot hide in the norm of many.

    From each |a_i − b_i| the rounding of the measurement is subtracted first: 10·u·|C|/h, for the
    complex step 10·u·|C|. Where this excuses a relative error above `tol`, a note says that the
    gradient is too small to be judged. Another note tells a kink of the loss from a bug.

    Takes the arguments of `numerical_gradient`; `grads` must have the names and shapes of `params`.
    """
    if not 0 < tol < 1:
        raise ValueError(f"tol is {tol!r}, expected 0 < tol < 1: no relative error exceeds 1")
    _require_arrays(grads, "grads", like=params)
    measured = numerical_gradient(loss, params, method=method, eps=eps)
    cost = _number(loss(unravel(ravel(params), params)))
    rounding, rows = 10 * UNIT * abs(cost), []
    for name, value in params.items():
        h = np.ones(np.shape(value)) if method == "complex" else _steps(value, method, eps)
        row = _judge(np.asarray(grads[name]), measured[name], rounding / h, tol)
        worst = row["worst_index"]
        if row["verdict"] == "fail" and method != "complex":
            f = _nudging(loss, params, name, worst)
            row["note"] = _kink_note(f, h[worst], row["analytic"], row["resolution"])
        rows.append({"parameter": name} | row)
    return GradientReport(pd.DataFrame(rows), method, tol)


def _judge(a: np.ndarray, b: np.ndarray, noise: np.ndarray, tol: float) -> dict:
    """Return what the table says of one array."""
    difference, size = np.abs(a - b), np.abs(a) + np.abs(b)
    excess = np.fmax(difference - noise, 0)
    wrong = excess > tol * np.fmax(size, 0.1 * size.max())
    fails = wrong.any() or norm(excess.ravel()) > tol * (norm(a.ravel()) + norm(b.ravel()))
    worst = np.argmax(np.where(wrong, difference, -1) if wrong.any() else difference)
    index = tuple(int(i) for i in np.unravel_index(worst, a.shape))
    error = relative_error(a, b)
    note = "too small to judge: the difference is within rounding" if error > tol else ""
    if fails:
        note = "" if error > tol else "a single entry is wrong, which the norm of many hides"
    return {
        "shape": a.shape,
        "worst_index": index,
        "relative_error": error,
        "analytic": float(a[index]),
        "numerical": float(b[index]),
        "resolution": float(noise[index]),
        "verdict": "fail" if fails else "pass",
        "note": note,
    }


def _kink_note(f: Callable, h: float, analytic: float, noise: float) -> str:
    """Return the slopes left and right if f has a kink at 0 that explains the failure, else ''.

    Where f is smooth, a step ten times smaller closes the gap between the two to a tenth; and at
    a kink the analytic slope lies between them.
    """
    forward = SLOPES["forward"]
    left, right = forward(f, -h), forward(f, h)
    gap, nearer = abs(right - left), 10 * abs(forward(f, h / 10) - forward(f, -h / 10))
    is_smooth = abs(gap - nearer) <= 0.2 * max(gap, nearer) + 100 * noise
    if is_smooth or abs(analytic - (left + right) / 2) > 0.51 * gap:
        return ""
    slopes = ", ".join(_format(slope, 1e-4 * gap) for slope in (left, right))
    return f"kink: one-sided slopes differ ({slopes})"


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
        """Whether every array passed."""
        return bool((self.table["verdict"] == "pass").all())

    @property
    def max_relative_error(self) -> float:
        """Largest ‖a − b‖ / (‖a‖ + ‖b‖) of all arrays, unrounded."""
        return float(self.table["relative_error"].max())

    @property
    def worst(self) -> tuple[str, tuple[int, ...]]:
        """Array of largest relative error, failed ones first, and index of its worst entry."""
        row = self.table.sort_values(["verdict", "relative_error"], ascending=[True, False]).iloc[0]
        return row["parameter"], row["worst_index"]

    def __bool__(self) -> bool:
        """Return `passed`, so that ``assert check_gradients(...)`` does what it says."""
        return self.passed

    def __repr__(self) -> str:
        """Return the verdict and one line per array."""
        return f"{self._headline()}\n{self._shown().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return f"<p>{self._headline()}</p>\n{self._shown().to_html(index=False)}"

    def _headline(self) -> str:
        fails = int((self.table["verdict"] == "fail").sum())
        verdict = f"{fails} of {len(self.table)} arrays fail" if fails else "passed"
        return f"Gradient check {verdict} (method {self.method}, tol {self.tol:g})"

    def _shown(self) -> pd.DataFrame:
        rows = []
        for row in self.table.itertuples():
            shown = {"parameter": row.parameter, "shape": str(row.shape), "verdict": "pass"}
            if row.verdict == "fail":
                shown |= {"verdict": "FAIL", "relative error": f"{row.relative_error:.3g}"}
                shown["worst entry"] = str(row.worst_index)
                pairs = (
                    [_format(v, row.resolution, n) for v in (row.analytic, row.numerical)]
                    for n in (4, 7, 17)
                )  # as many digits as it takes to tell them apart
                shown["analytic"], shown["numerical"] = next(p for p in pairs if p[0] != p[1])
            else:
                shown["relative error"] = "unresolved" if row.note else f"≤ {self.tol:g}"
            rows.append(shown | ({"note": row.note} if row.note else {}))
        return pd.DataFrame(rows).fillna("")


def _format(value: float, resolution: float, digits: int = 4) -> str:
    return "≈ 0" if abs(value) <= resolution else f"{value:.{digits}g}"


def _steps(value: np.ndarray, method: str, eps: float | None) -> np.ndarray:
    """Return the step h of every entry, which rounding must not swallow: a slope of 0 misleads."""
    if method not in SLOPES:
        raise ValueError(f"method is {method!r}, expected one of {list(SLOPES)}")
    eps = DEFAULT_EPS[method] if eps is None else eps
    h = eps * (np.ones(np.shape(value)) if method == "complex" else np.fmax(1, np.abs(value)))
    if not eps > 0 or (method != "complex" and np.any(value + h == value)):
        raise ValueError(f"eps is {eps!r}, expected a step above 0 that moves every parameter")
    return h


def _number(returned: object) -> float | complex:
    """Return what the loss gave, if it is one finite number with the digits of float64."""
    value = np.asarray(returned)
    fits = value.shape == () and value.dtype in (np.float64, np.complex128)
    if not fits or not np.isfinite(value):
        raise ValueError(f"loss returned {returned!r}, expected one finite float64")
    return value.item()


def _require_arrays(arrays: Params, argument: str, like: Params) -> None:
    """Refuse what would be compared wrongly without a word."""
    if arrays.keys() != like.keys():
        raise ValueError(f"{argument} has the names {list(arrays)}, expected {list(like)}")
    for name, value in arrays.items():
        array, full, shape = np.asarray(value), f"{argument}[{name!r}]", np.shape(like[name])
        if argument == "params" and array.dtype != np.float64:
            digits = "a nudge of 1e-6 needs its digits; convert with np.asarray(..., dtype=float)"
            raise TypeError(f"{full} has dtype {array.dtype}, expected float64: {digits}")
        if array.shape != shape:
            expected = f"{shape} like params[{name!r}]"
            raise ValueError(f"{full} has shape {array.shape}, expected {expected}")
        if not np.isfinite(array).all():
            raise ValueError(f"{full} holds nan or inf, expected finite numbers")


def _require_pure(loss: Loss, params: Params) -> None:
    copies = unravel(ravel(params), params)
    first, again = _number(loss(copies)), _number(loss(copies))
    if abs(again - first) > 1e-12 * abs(first):
        raise ValueError(
            f"loss gave {first!r} and then {again!r} for the same params: it must be pure "
            "(does it change params, draw a random batch, use dropout?)"
        )


def _require_complex_safe(loss: Loss, params: Params) -> None:
    """Compare the complex step with a central difference, along one direction picked at random."""
    theta = ravel(params)
    direction = np.random.default_rng(0).uniform(0.5, 1, theta.size)
    f = _along(loss, params, unravel(direction, params))
    measured = SLOPES["central"](f, DEFAULT_EPS["central"] * max(1, np.abs(theta).max()))
    step = SLOPES["complex"](f, DEFAULT_EPS["complex"])
    allowed = 1e-3 * max(abs(measured), abs(step)) + 1e-8 * max(1, abs(f(0.0)))
    if abs(step - measured) > allowed:
        raise ValueError(
            f"complex step: along one direction the slope of the loss is {_format(step, allowed)}, "
            f"but {_format(measured, allowed)} by a central difference: it has a kink here, or the "
            "loss must carry complex numbers through (abs, norms, real, conj and casts to float "
            "drop the imaginary part); use method='central' otherwise"
        )
