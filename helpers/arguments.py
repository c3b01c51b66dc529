"""Refusals of what a drawing cannot show: early, and naming the argument.

Each function returns the argument in the form that is worked with, or raises a ValueError or a
TypeError that begins with `name` and says what was given and what was expected.
"""

from collections.abc import Callable, Mapping, Set
from numbers import Real
from typing import Any

import numpy as np


def array(
    name: str, value: Any, ndim: int | None = None, *, expected: str | None = None
) -> np.ndarray:
    """Return `value` as a finite, non-empty array of real numbers with `ndim` axes.

    `expected` says in the message what shape it should have.
    """
    try:
        result = np.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} has parts of unequal shapes, expected an array") from None
    if result.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {result.dtype}, expected numbers")
    if (ndim is not None and result.ndim != ndim) or (expected and result.size == 0):
        raise ValueError(f"{name} has shape {result.shape}, expected {expected or f'{ndim} axes'}")
    if result.size == 0:
        raise ValueError(f"{name} is empty, expected at least one value")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} holds values that are not finite")
    return result


def number(name: str, value: Any, *, finite: bool = True) -> float:
    """Return one real number as a float."""
    is_scalar = isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iuf"
    if isinstance(value, bool) or not (is_scalar or isinstance(value, Real)):
        given = repr(value) if isinstance(value, (str, int, complex, type(None))) else None
        raise TypeError(f"{name} is {given or 'a ' + type(value).__name__}, expected a number")
    if finite and not np.isfinite(float(value)):
        raise ValueError(f"{name} is {value}, expected a finite number")
    return float(value)


def count(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """Return an integer between `least` and `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}, expected an integer")
    if value < least or (most is not None and value > most):
        span = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} is {value}, expected {span}")
    return int(value)


def text(name: str, value: Any) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, expected a string")
    return value


def sequence(name: str, value: Any, length: int | None = None, of: str = "entries") -> list:
    """Return the items of a list, tuple or array, but not the letters of a string."""
    try:
        if isinstance(value, (str, bytes, Mapping, Set)):
            raise TypeError
        items = list(value)
    except TypeError:
        raise TypeError(f"{name} is a {type(value).__name__}, expected a list") from None
    if length is not None and len(items) != length:
        raise ValueError(f"{name} has {len(items)} {of}, expected {length}")
    return items


def named(name: str, value: Any, of: str = "value") -> dict[str, Any]:
    """Return a dict, or a table by its columns, whose keys are names."""
    if not callable(getattr(value, "items", None)) or isinstance(value, type):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a dict name -> {of}")
    items = dict(value.items())
    if not items:
        raise ValueError(f"{name} is empty, expected at least one named {of}")
    for key in items:
        if not isinstance(key, (str, Real)):
            raise TypeError(f"{name} has the name {key!r}, expected a string")
    return items


def function(name: str, value: Any) -> Callable:
    """Return a callable."""
    if not callable(value):
        raise TypeError(f"{name} is {value!r}, expected a function")
    return value
