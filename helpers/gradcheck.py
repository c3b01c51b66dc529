"""Compare the gradient of a backward pass with one measured by nudging every parameter.

Parameters and gradients are dicts ``name -> array`` of equal shapes; a scalar network may use
plain floats. The loss is a pure function of such a dict. Nothing given is ever modified: every
call of the loss receives fresh copies.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from numpy.exceptions import ComplexWarning

Params = dict[str, np.ndarray]
Loss = Callable[[Params], float]

UNIT = float(np.finfo(np.float64).eps)  # 2.2e-16, the spacing of float64 at 1
DEFAULT_EPS = {"forward": UNIT ** (1 / 2), "central": UNIT ** (1 / 3), "complex": 1e-20}
TRUSTED = 10  # a loss value is trusted to this many units of rounding
SMALL = 0.1  # entries below this part of an array's largest are judged on that scale
SAFE = (
    "the loss must carry complex numbers through (abs, norms, real, conj and casts to float "
    "drop the imaginary part); use method='central' otherwise"
)


def ravel(params: Params) -> np.ndarray:
    """Lay all parameters end to end in one vector, in the order of the dict, row by row."""
    _require_arrays(params, "params")
    return _join(params)


def unravel(vector: np.ndarray, like: Params) -> Params:
    """Cut a vector into copies with the names and shapes of `like`; undo `ravel`.

    Raises ValueError if `vector` is not 1-d or has not as many entries as `like`.
    """
    _require_arrays(like, "like")
    vector, expected = _as_array(vector, "vector"), (_join(like).size,)
    if vector.shape != expected:
        raise ValueError(f"vector has shape {vector.shape}, expected {expected} to fill like")
    return _cut(vector, like)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return ‖a − b‖ / (‖a‖ + ‖b‖): 0 for equal arrays, at most 1, and 0 when both are 0.

    Raises ValueError if the shapes differ or a value is not finite, TypeError if it is not real.
    """
    given = {"a": _as_array(a, "a"), "b": _as_array(b, "b")}
    _require_arrays(given, "", finite=True)
    a, b = (value.astype(np.float64) for value in given.values())
    if a.shape != b.shape:
        raise ValueError(f"b has shape {b.shape}, expected {a.shape} like a")
    largest = max(np.abs(a).max(), np.abs(b).max())
    if largest == 0:
        return 0.0
    a, b = a / largest, b / largest  # squares of 1e-200 or 1e200 would leave float64
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))


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

    With u = 2.2e-16 the first two defaults balance truncation against rounding; the complex step
    subtracts nothing, so its h may be tiny (Squire & Trapp, SIAM Review 40, 1998). The differences
    use h = eps·max(1, |p|), lest a nudge vanish in a large p; the complex step uses h = eps.

    Parameters
    ----------
    loss : callable
        ``loss(params) -> float``, pure. For the complex step it must also carry complex numbers
        through: no ``abs``, norms, ``real``, ``conj`` or casts to float.
    params : dict of str to float64 array or float
    method : {"central", "forward", "complex"}
    eps : float, optional
        Step size, 0 < eps ≤ 1.

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes of `params`; float64.

    Raises
    ------
    TypeError, ValueError
        Parameters that are not a dict of finite float64 arrays; a loss that is not a finite
        scalar, not pure, or not fit for the complex step; an unknown method; eps out of range.
    """
    gradient = _Objective(loss, params, method, eps).gradient()
    return _cut(gradient, {name: np.asarray(value) for name, value in params.items()})


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
    complex step 10·u·|C|. Where this excuses a relative error above `tol`, the note of that array
    says so: its gradient is too small to be judged, not proved right.

    An array that fails is examined for a kink: if the slopes left and right of its worst entry do
    not close up as the step shrinks, and the analytic value lies between, the note gives them.

    Takes the arguments of `numerical_gradient` and raises its errors; besides, `grads` must have
    the names and shapes of `params` and 0 < `tol` < 1 (ValueError).
    """
    if _require_positive(tol, "tol") >= 1:
        raise ValueError(f"tol is {tol!r}, expected 0 < tol < 1: no relative error exceeds 1")
    _require_params(params)
    _require_grads(grads, params)
    objective = _Objective(loss, params, method, eps)
    objective.require_steps_that_move()
    rows = _compare(objective, grads, tol)
    return GradientReport(pd.DataFrame(rows), method, float(tol))


@dataclass(frozen=True, eq=False)
class GradientReport:
    """The verdict of `check_gradients`; true in a condition exactly when it passed.

    The raw numbers stand in `table`: one row per array with ``parameter``, ``shape``,
    ``worst_index`` (the entry that differs most), ``relative_error``, ``analytic`` and
    ``numerical`` value of the worst entry, ``resolution`` of the latter, ``verdict`` ("pass" or
    "fail") and ``note``. The display shows what is the same on every machine: the bound an array
    was held to if it passes, its numbers to a few digits if it fails.
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
        fails = self.table["verdict"] == "fail"
        row = self.table.loc[(self.table["relative_error"] + 2 * fails).idxmax()]
        return row["parameter"], row["worst_index"]

    def __bool__(self) -> bool:
        """Return `passed`, so that ``assert check_gradients(...)`` does what it says."""
        return self.passed

    def __str__(self) -> str:
        """Return the verdict and one line per array, as plain text."""
        return f"{self._headline()}\n{self._shown().to_string(index=False)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{self._headline()}</p>\n{self._shown().to_html(index=False)}"

    def _headline(self) -> str:
        fails = int((self.table["verdict"] == "fail").sum())
        verdict = f"{fails} of {len(self.table)} arrays fail" if fails else "passed"
        return f"Gradient check {verdict} (method {self.method}, tol {self.tol:g})"

    def _shown(self) -> pd.DataFrame:
        rows = [self._shown_row(row) for row in self.table.to_dict("records")]
        return pd.DataFrame(rows).fillna("")

    def _shown_row(self, row: dict) -> dict[str, str]:
        shown = {"parameter": row["parameter"], "shape": str(row["shape"])}
        if row["verdict"] == "fail":
            shown |= {"verdict": "FAIL", "relative error": f"{row['relative_error']:.3g}"}
            shown["worst entry"] = str(row["worst_index"])
            for key in ("analytic", "numerical"):
                shown[key] = _format(row[key], row["resolution"])
        else:
            bound = "unresolved" if row["note"] else f"≤ {self.tol:g}"
            shown |= {"verdict": "pass", "relative error": bound}
        return shown | ({"note": row["note"]} if row["note"] else {})


class _Objective:
    """The loss as a function of one vector, held to its promises at every call."""

    def __init__(self, loss: Loss, params: Params, method: str, eps: float | None) -> None:
        if not isinstance(method, str) or method not in DEFAULT_EPS:
            raise ValueError(f"method is {method!r}, expected one of {list(DEFAULT_EPS)}")
        eps = DEFAULT_EPS[method] if eps is None else _require_positive(eps, "eps")
        if eps > 1:
            raise ValueError(f"eps is {eps!r}, expected 0 < eps ≤ 1")
        if not callable(loss):
            raise TypeError(f"loss is {loss!r}, expected a function of params")
        _require_params(params)
        self.loss, self.params, self.is_complex = loss, params, method == "complex"
        self.slope = {"forward": self._forward, "central": self._central}.get(method, self._complex)
        self.entries = [
            _entry(f"params[{name!r}]", index)
            for name, value in params.items()
            for index in np.ndindex(np.shape(value))
        ]
        self.at = _join(params)
        self.value = self(self.at)
        scale = 1.0 if self.is_complex else np.fmax(1, np.abs(self.at))
        self.steps = np.full(self.at.size, eps) * scale
        divisor = 1.0 if self.is_complex else self.steps  # a complex step amplifies no rounding
        self.resolution = np.full(self.at.size, TRUSTED * UNIT * abs(self.value)) / divisor
        self._require_repeatable()
        if self.is_complex:
            self._require_complex_safe()

    def __call__(self, vector: np.ndarray, at: str = "params") -> float | complex:
        point = _cut(vector, self.params)
        value = (self._run_complex if np.iscomplexobj(vector) else self.loss)(point)
        if point.keys() != self.params.keys():
            raise ValueError(f"loss changed the names in params to {list(point)}: it must be pure")
        for name, given in _cut(vector, self.params).items():
            if not np.array_equal(given, point[name]):
                raise ValueError(f"loss changed params[{name!r}]: it must be pure, work on a copy")
        return _require_scalar(value, np.iscomplexobj(vector), at)

    def _run_complex(self, point: Params) -> complex:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ComplexWarning)  # a cast that drops the derivative
            try:
                return self.loss(point)
            except (TypeError, ComplexWarning) as error:
                raise TypeError(f"complex step: the loss fails, {error}; {SAFE}") from error

    def require_steps_that_move(self) -> None:
        """Refuse steps that rounding swallows: their differences are 0 and excuse any gradient."""
        still = np.flatnonzero(self.at + self.steps == self.at) if not self.is_complex else ()
        if len(still):
            step, entry = self.steps[still[0]], self.entries[still[0]]
            raise ValueError(f"eps gives a step of {step:.2g}, expected one that moves {entry}")

    def gradient(self) -> np.ndarray:
        """Return all slopes, shape (number of entries,)."""
        return np.array([self.slope(i, float(h)) for i, h in enumerate(self.steps)])

    def _nudged(self, i: int, step: float | complex) -> float | complex:
        vector = self.at.astype(type(step))
        vector[i] += step
        return self(vector, f"params with {self.entries[i]} nudged by {step:.2g}")

    def _forward(self, i: int, h: float) -> float:
        return (self._nudged(i, h) - self.value) / h

    def _central(self, i: int, h: float) -> float:
        return (self._nudged(i, h) - self._nudged(i, -h)) / (2 * h)

    def _complex(self, i: int, h: float) -> float:
        return self._nudged(i, 1j * h).imag / h

    def kink_note(self, i: int, analytic: float) -> str:
        """Return the slopes on both sides of entry i if they tell of a kink, else ''.

        Where the loss is smooth the gap between the two slopes shrinks in proportion to the step.
        """
        if self.is_complex:
            return ""
        h, noise = float(self.steps[i]), self.resolution[i]
        left, right = self._forward(i, -h), self._forward(i, h)
        gap = abs(right - left)
        near_gap = abs(self._forward(i, h / 10) - self._forward(i, -h / 10))
        is_smooth = abs(gap - 10 * near_gap) <= 0.2 * max(gap, 10 * near_gap) + 100 * noise
        explains = abs(analytic - (left + right) / 2) <= 0.51 * gap
        if is_smooth or not explains:
            return ""
        left, right = (_format(slope, 1e-4 * gap) for slope in (left, right))
        return f"kink: one-sided slopes differ ({left}, {right})"

    def _require_repeatable(self) -> None:
        again = self(self.at)
        if abs(again - self.value) > 1e-12 * abs(self.value):
            raise ValueError(
                f"loss gave {self.value!r} and then {again!r} for the same params: it must be "
                "pure (does it draw a random batch, use dropout, or keep a state?)"
            )

    def _require_complex_safe(self) -> None:
        """Compare one slope along a random direction with a central difference.

        A loss may stay complex and still lose part of the derivative, as ``abs(w) + v`` does.
        """
        direction = np.random.default_rng(0).uniform(0.5, 1, self.at.size)
        h, tiny = DEFAULT_EPS["central"] * max(1, np.abs(self.at).max()), DEFAULT_EPS["complex"]
        measured = (self(self.at + h * direction) - self(self.at - h * direction)) / (2 * h)
        step = self(self.at + 1j * tiny * direction).imag / tiny
        allowed = 1e-3 * max(abs(measured), abs(step)) + 1e-8 * max(1, abs(self.value))
        if abs(step - measured) > allowed:
            raise ValueError(
                f"complex step: along one direction the slope of the loss is "
                f"{_format(step, allowed)}, but {_format(measured, allowed)} by a central "
                f"difference: it has a kink here, or {SAFE}"
            )


def _compare(objective: _Objective, grads: Params, tol: float) -> list[dict]:
    """Return the rows of the report's table."""
    numerical, rows, start = objective.gradient(), [], 0
    for name, value in objective.params.items():
        part = slice(start, start + np.size(value))
        a = np.ravel(grads[name]).astype(np.float64)
        judgement, k = _judge(a, numerical[part], objective.resolution[part], tol)
        if judgement["verdict"] == "fail":
            judgement["note"] = objective.kink_note(start + k, a[k])
        index = tuple(int(j) for j in np.unravel_index(k, np.shape(value)))
        rows.append({"parameter": name, "shape": np.shape(value), "worst_index": index} | judgement)
        start = part.stop
    return rows


def _judge(a: np.ndarray, b: np.ndarray, noise: np.ndarray, tol: float) -> tuple[dict, int]:
    """Return the columns of the table for one raveled array, and the place of its worst entry."""
    difference, size = np.abs(a - b), np.abs(a) + np.abs(b)
    excess = np.fmax(difference - noise, 0)
    wrong = excess > tol * np.fmax(size, SMALL * size.max())
    error, norms = relative_error(a, b), np.linalg.norm(a) + np.linalg.norm(b)
    fails = wrong.any() or np.linalg.norm(excess) > tol * norms
    k = int(np.argmax(np.where(wrong, difference, -1) if wrong.any() else difference))
    unresolved = error > tol and not fails
    return {
        "relative_error": error,
        "analytic": a[k],
        "numerical": b[k],
        "resolution": noise[k],
        "verdict": "fail" if fails else "pass",
        "note": "too small to judge: the difference is within rounding" if unresolved else "",
    }, k


def _join(params: Params) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in params.values()])


def _cut(vector: np.ndarray, like: Params) -> Params:
    params, start = {}, 0
    for name, value in like.items():
        part = vector[start : start + np.size(value)]
        is_array = isinstance(value, np.ndarray)
        params[name] = part.reshape(value.shape).copy() if is_array else part[0]
        start += part.size
    return params


def _as_array(value: object, argument: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(f"{argument} has parts of unequal shapes, expected an array") from None


def _format(value: float, resolution: float) -> str:
    return "≈ 0" if abs(value) <= resolution else f"{value:.4g}"


def _entry(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _require_arrays(params: Params, argument: str, *, finite: bool = False) -> None:
    """Raise unless `params` is a dict of non-empty arrays of real numbers with names."""
    if not isinstance(params, dict):
        raise TypeError(f"{argument} is a {type(params).__name__}, expected a dict name -> array")
    if not params:
        raise ValueError(f"{argument} is empty, expected at least one array")
    for name, value in params.items():
        if not isinstance(name, str):
            raise TypeError(f"{argument} has the name {name!r}, expected names of type str")
        full, kind = f"{argument}[{name!r}]" if argument else name, type(value).__name__
        if not isinstance(value, np.ndarray | Real):
            raise TypeError(f"{full} is a {kind}, expected a NumPy array or a float")
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"{full} has dtype {array.dtype}, expected real numbers")
        if array.size == 0:
            raise ValueError(f"{full} is empty: it has shape {array.shape}")
        if finite and not np.isfinite(array).all():
            bad = np.unravel_index(np.argmin(np.isfinite(array)), array.shape)
            raise ValueError(f"{_entry(full, bad)} is {array[bad]}, expected finite numbers")


def _require_params(params: Params) -> None:
    _require_arrays(params, "params", finite=True)
    for name, value in params.items():
        dtype = np.asarray(value).dtype
        if dtype != np.float64:
            raise TypeError(
                f"params[{name!r}] has dtype {dtype}, expected float64: a nudge of 1e-6 needs "
                "its digits; convert with np.asarray(..., dtype=np.float64)"
            )


def _require_grads(grads: Params, params: Params) -> None:
    _require_arrays(grads, "grads", finite=True)
    missing, extra = params.keys() - grads.keys(), grads.keys() - params.keys()
    if missing or extra:
        flaws = [f"lacks {name!r}" for name in sorted(missing)]
        flaws += [f"has {name!r}, which is not in params" for name in sorted(extra)]
        raise ValueError(f"grads {', '.join(flaws)}: expected the names {list(params)}")
    for name, value in params.items():
        shape, expected = np.shape(grads[name]), np.shape(value)
        if shape != expected:
            raise ValueError(
                f"grads[{name!r}] has shape {shape}, expected {expected} like params[{name!r}]"
            )


def _require_positive(value: float, argument: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{argument} is {value!r}, expected a number")
    if not 0 < value < np.inf:
        raise ValueError(f"{argument} is {value!r}, expected a finite number above 0")
    return float(value)


def _require_scalar(value: object, is_complex: bool, at: str) -> float | complex:
    """Return the number the loss returned, if it is a finite scalar of the right kind."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiuc":
        raise TypeError(f"loss returned {value!r}, expected a float")
    if array.shape != ():
        raise ValueError(f"loss returned an array of shape {array.shape}, expected a scalar")
    if is_complex and array.dtype.kind != "c":
        raise TypeError(f"complex step: the loss returned a real {array.dtype}; {SAFE}")
    if not is_complex and array.dtype.kind == "c":
        raise TypeError(f"loss returned {value!r} for real params, expected a float")
    if array.dtype in (np.float16, np.float32, np.complex64):
        raise TypeError(f"loss returned {array.dtype}, expected float64: its digits are too few")
    if not np.isfinite(array):
        raise ValueError(f"loss is {value} at {at}, expected a finite number")
    return array.item()
