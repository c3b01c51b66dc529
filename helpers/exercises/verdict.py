"""How a check comes to its verdict: cases, truths, and mistakes as wrong solutions.

A check is a generator of cases ``(arguments, truth, where)`` that yields its praise last. The truth
does not come from the formula that the exercise asks for: it is measured, or follows from a second
one. An answer that differs is compared with those of wrong solutions, which run on the same
arguments, each under the sentence that names its mistake. A wrong answer never raises.
"""

import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial, wraps
from inspect import signature
from traceback import format_exception_only

import numpy as np


@dataclass(frozen=True)
class Verdict:
    """What a check found, shown as one sentence; `passed` is None while nothing is solved."""

    passed: bool | None
    message: str

    def __repr__(self) -> str:
        """Return the sentence itself, so that a notebook shows it plainly."""
        return self.message


def check(mistakes: Mapping[str, Callable] | None = None, *, returns: str = "") -> Callable:
    """Make a check of the reader's function out of a generator of cases.

    `mistakes` holds sentence -> wrong solution; `returns` names the parts of a pair, "dW, db". A
    truth is a number, an array, a pair, list (an entry per layer) or dict of them, or a function
    of the answer that returns what is wrong with it, or None. The reader's function runs while
    the generator waits at its yield, and so inside a ``with`` around it.
    """

    def decorate(cases: Callable[[], Iterator]) -> Callable[[Callable], Verdict]:
        @wraps(cases, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
        def checked(answer: Callable) -> Verdict:
            if not callable(answer):
                found = f"this is of type {type(answer).__name__}, not a function"
                return Verdict(False, f"Not yet: {found}; run the cell that defines yours again.")
            try:
                for case in cases():
                    if isinstance(case, str):
                        return Verdict(True, case)
                    arguments, truth, where = case
                    if fault := _fault(answer, arguments, truth, checked.mistakes, returns):
                        return Verdict(False, " ".join(filter(None, ("Not yet:", where, fault))))
            except NotImplementedError:
                todo = "replace the line that raises NotImplementedError."
                return Verdict(None, f"Not solved yet: {todo}")

        del checked.__wrapped__  # so that a tooltip shows the signature of the check
        checked.mistakes = mistakes or {}
        return checked

    return decorate


def slips(solution: Callable, rules: Mapping[str, Callable]) -> dict[str, Callable]:
    """Return sentence -> ``solution(rule, …)`` for each wrong rule of a table sentence -> rule."""
    return {sentence: partial(solution, rule) for sentence, rule in rules.items()}


def _fault(answer: Callable, arguments: tuple, truth, mistakes: Mapping, returns: str):
    """Return what is wrong with the answer in one case, or None."""
    given = deepcopy(arguments)
    try:
        got = answer(*given)
    except NotImplementedError:
        raise
    except Exception as error:  # whatever the reader's code raises is an answer, too
        return f"your function raises {format_exception_only(error)[-1].strip()}"
    if not _same(arguments, given):
        was, now = (signature(answer).bind(*each).arguments for each in (arguments, given))
        changed = " and ".join(name for name in was if not _same(was[name], now[name]))
        return f"your function changes {changed}; leave what it is given as it is."
    if got is None:
        return "the function returns nothing; is a return statement missing?"
    with np.errstate(all="ignore"):
        return truth(got) if callable(truth) else _wrong(got, arguments, truth, mistakes, returns)


def _same(before, after) -> bool:
    if isinstance(before, Mapping):
        before, after = list(before.items()), list(after.items())
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_same, before, after))
    return isinstance(before, np.random.Generator) or np.array_equal(before, after)


def _wrong(got, arguments: tuple, truth, mistakes: Mapping, returns: str) -> str | None:
    """Return what is wrong with the first wrong part of an answer, or None."""
    try:
        parts = _parts(returns, got, truth)
    except TypeError as misfit:
        return str(misfit)
    truths, known = _parts(returns, truth, truth), []
    for sentence, wrong_solution in mistakes.items():
        with suppress(IndexError, TypeError, ValueError):  # many do not fit every case
            known.append((sentence, _parts(returns, wrong_solution(*arguments), truth)))
    # A mistake that explains the whole answer is likelier than one that explains a part of it.
    known.sort(key=lambda mistake: -sum(_close(parts[n], mistake[1][n]) for n in truths))
    unit = max(np.abs(value).max() for value in truths.values())
    # From the output on, as errors travel: what is wrong there is wrong everywhere below.
    for name in sorted(truths, key=lambda name: name.partition("[")[2], reverse=True):
        wrong = {sentence: mistaken[name] for sentence, mistaken in known}
        if sentence := difference(parts[name], truths[name], wrong, name, unit):
            return sentence
    return None


def _parts(name: str, answer, truth) -> dict:
    """Return the parts of an answer under the names its author has for them, such as db[0].

    TypeError says how the form of the answer differs from that of the truth.
    """
    listed = isinstance(answer, (tuple, list)) or np.ndim(answer) > 0
    if isinstance(truth, Mapping):
        if not isinstance(answer, Mapping) or answer.keys() != truth.keys():
            raise TypeError(f"return a dict with the names {', '.join(truth)}.")
        return {key: answer[key] for key in truth}
    if isinstance(truth, tuple):
        if not listed or len(answer) != len(truth):
            raise TypeError(f"return the pair {name}.")
        # Errors stand in the second list of a pair, so it is judged first.
        named = list(zip(name.split(", "), answer, truth, strict=True))[::-1]
    elif isinstance(truth, list):
        if not listed or len(answer) != len(truth):
            front = f", None in front: {name}[1] belongs to layer 1" if truth[0] is None else ""
            raise TypeError(f"{name} must be a list of length {len(truth)}{front}.")
        layers = enumerate(zip(answer, truth, strict=True))
        named = [(f"{name}[{layer}]", *pair) for layer, pair in layers if pair[1] is not None]
    else:
        return {name: answer}
    return {key: part for each in named for key, part in _parts(*each).items()}


def difference(got, want, wrong: Mapping, name: str = "", unit: float = 0) -> str | None:
    """Return how a number or an array differs from the truth in one sentence, None if it does not.

    `wrong` holds sentence -> the answer after that mistake, `name` is what the answer is called,
    and `unit` a size against which only a millionth matters.
    """
    want, numbers, subject = np.asarray(want, dtype=float), as_numbers(got), name or "the answer"
    prefix = f"{name}: " if name else ""
    if numbers is None:
        kind = getattr(got, "dtype", type(got).__name__)  # complex128, say
        return f"{subject} is of type {kind}, expected {_form(want)}."
    if _close(numbers, want, unit):
        return None
    for sentence, mistaken in wrong.items():
        if _close(numbers, mistaken):
            return prefix + sentence
    if numbers.shape != want.shape:
        turned = " It looks transposed." if numbers.T.shape == want.shape else ""
        return f"{subject} is {_form(numbers)}, expected {_form(want)}.{turned}"
    if not np.isfinite(numbers).all():
        return f"{subject} holds values that are not finite."
    if want.ndim == 2 and _close(numbers.T, want, unit):
        return f"{subject} is transposed."
    if _close(numbers, -want, unit):
        return f"{prefix}the sign is wrong, the size is right."
    if want.ndim == 0:
        return f"{subject} is {_told_apart(numbers, want)}."
    scale = (numbers * want).sum() / (want * want).sum()
    # A single entry is a multiple of any other.
    if scale and want.size > 1 and _close(numbers, scale * want, unit):
        return f"{subject} is the right one times {scale:.7g}."
    differing = np.argwhere(_off(numbers, want, unit))
    index = tuple(map(int, differing[0]))
    entry = f"{name or 'entry '}{list(index)} is {_told_apart(numbers[index], want[index])}"
    return f"{entry} (wrong: {len(differing)} of {want.size})."


def _close(numbers, other, unit: float = 0) -> bool:
    numbers, other = as_numbers(numbers), as_numbers(other)
    if numbers is None or other is None or numbers.shape != other.shape:
        return False
    return not _off(numbers, other, unit).any()


def _off(numbers: np.ndarray, other: np.ndarray, unit: float) -> np.ndarray:
    """Return which entries differ by more than a millionth of the largest, or are not numbers."""
    return ~(abs(numbers - other) <= 1e-6 * max(unit, np.abs(other).max(initial=0)))


def _told_apart(number, expected) -> str:
    """Return both with as many digits as it takes to see that they differ."""
    told = ((f"{number:.{n}g}", f"{expected:.{n}g}") for n in (6, 9, 17))
    return ", expected ".join(next((pair for pair in told if pair[0] != pair[1]), ("nan", "nan")))


def _form(numbers: np.ndarray) -> str:
    return f"an array of shape {numbers.shape}" if numbers.ndim else "a plain number"


def as_numbers(got) -> np.ndarray | None:
    """Return an answer as an array of real numbers, None if it is none: text, say, or complex."""
    with suppress(OverflowError, TypeError, ValueError):
        if got is not None and np.asarray(got).dtype.kind in "biufO":
            return np.asarray(got, dtype=float)
    return None


@contextmanager
def memory_below(limit: float, sentence: str) -> Iterator[Callable]:
    """Offer a truth that answers with the sentence if more than `limit` bytes are held at once."""
    tracemalloc.start()
    try:
        yield lambda _: sentence if tracemalloc.get_traced_memory()[1] > limit else None
    finally:
        tracemalloc.stop()
