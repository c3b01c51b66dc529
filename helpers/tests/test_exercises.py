"""The checks accept every right form, name the usual mistakes, and never raise."""

import inspect
import tracemalloc
from functools import partial
from itertools import pairwise
from types import FunctionType

import numpy as np
import pytest
from scipy.special import expit, softmax

from helpers import exercises
from helpers.exercises import Verdict
from helpers.exercises.verdict import check

# ------------------------------------- right answers, as readers write them; slots for wrong parts


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def backprop_1d(x, y, weights, biases, *, slope=sigmoid_prime, output=lambda a, y: a - y):
    a, z = [x], []
    for w, b in zip(weights, biases, strict=True):
        z.append(w * a[-1] + b)
        a.append(sigmoid(z[-1]))
    delta = output(a[-1], y) * slope(z[-1])
    dw, db = [delta * a[-2]], [delta]
    for k in range(len(weights) - 2, -1, -1):
        delta = weights[k + 1] * delta * slope(z[k])
        dw.insert(0, delta * a[k])
        db.insert(0, delta)
    return dw, db


def forward(x, weights, biases):
    if not weights:
        return x
    return sigmoid(weights[-1] * forward(x, weights[:-1], biases[:-1]) + biases[-1])


def collapse(W, b):
    W_star, b_star = W[1], b[1]
    for k in range(2, len(W)):
        W_star, b_star = W[k] @ W_star, W[k] @ b_star + b[k]
    return W_star, b_star


def straight(x, y, W, b, **slots):
    return backprop(x, y, W, b, **{"last": lambda z: z, "slope": lambda z: 1} | slots)


def backprop(
    x, y, W, b, *, last=sigmoid, slope=sigmoid_prime, output=lambda e: e, hidden=sigmoid_prime,
    back=lambda w, d: w.T @ d,
):  # fmt: skip
    z, a = [None], [x]
    for matrix, vector in zip(W[1:], b[1:], strict=True):
        z.append(matrix @ a[-1] + vector)
        a.append(sigmoid(z[-1]))
    delta = [None] * len(W)
    delta[-1] = output(last(z[-1]) - y) * slope(z[-1])
    for k in range(len(W) - 2, 0, -1):
        delta[k] = back(W[k + 1], delta[k + 1]) * hidden(z[k])
    return [None, *(np.outer(d, before) for d, before in zip(delta[1:], a, strict=False))], delta


def as_lists(slopes):
    """Return arrays within lists as lists within lists."""
    return [[None, *(np.array(part).tolist() for part in each[1:])] for each in slopes]


def gradient(p, X, Y, *, slope=lambda H: 1 - H**2, scale=1.0):
    """Differentiate the model of the mystery, y = v·tanh(U x + c), half the mean squared error."""
    H = np.tanh(X @ p["U"].T + p["c"])  # (N, 2)
    residual = (H @ p["v"] - Y) / len(X)
    Delta = residual[:, None] * p["v"] * slope(H)
    return {"U": scale * Delta.T @ X, "c": scale * Delta.sum(axis=0), "v": H.T @ residual}


def same_bug(p, X, Y):
    return gradient(p, X, Y, slope=lambda H: 1 - H)


def mystery(p, X, Y):
    return same_bug(p, X, Y)


mystery.source, mystery.change = "Delta = 1 - H\n", ["1 - H**2", "1 - H"]


def from_text(source, change):
    """Return a gradient of the mystery's very code, with the marks of a planted one."""
    suspected = FunctionType(mystery.__code__, globals())
    suspected.source, suspected.change = source, change
    return lambda: suspected


def check_mystery(suspect) -> Verdict:
    def cost(p, X, Y):
        return 0.5 * np.mean((np.tanh(X @ p["U"].T + p["c"]) @ p["v"] - Y) ** 2)

    rng = np.random.default_rng(2)
    params = {"U": rng.normal(size=(2, 2)), "c": rng.normal(size=2), "v": rng.normal(size=2)}
    X, Y = rng.normal(size=(7, 2)), rng.normal(size=7)
    return exercises.check_mystery_bug(suspect, mystery, cost, params, X, Y)


def planted(gradient):
    """Return an answer to the mystery, a function without arguments that returns a gradient."""
    return lambda: gradient


SUBSCRIPTS = {"forward": "ij,nj->ni", "back": "ij,ni->nj", "bias": "ni->i", "weights": "ni,nj->ij"}
OTHER = {"forward": " o i , s i -> s o", "back": "jk,nj->nk", "bias": "ab->b", "weights": "ba,bc"}


def softmax_back(P, V):
    return P * (V - (P * V).sum(axis=1, keepdims=True))


def nesterov(theta, v, gradient, rate, momentum):
    v = momentum * v - rate * gradient(theta + momentum * v)
    return theta + v, v


def posterior(X, means, sd, prior):
    return softmax((X @ means.T - (means**2).sum(axis=1) / 2) / sd**2 + np.log(prior), axis=1)


def calibration(confidence, correct, edges):
    which = np.clip(np.digitize(confidence, edges) - 1, 0, len(edges) - 2)
    return np.abs(np.bincount(which, weights=confidence - correct)).sum() / len(confidence)


def l2(grads, params, strength):
    return {n: g + (strength * params[n] if n.startswith("W") else 0) for n, g in grads.items()}


def dropout(A, keep, rng):
    mask = (rng.random(A.shape) < keep) / keep
    return A * mask, mask


def flops(sizes, N):
    pairs = enumerate(pairwise(sizes), start=1)
    return sum((2 + (layer > 1)) * 2.0 * N * n * m for layer, (n, m) in pairs)


def accumulated(gradient, X, Y, size):
    total = {}
    for i in range(0, len(X), size):
        x, y = X[i : i + size], Y[i : i + size]
        for name, g in gradient(x, y).items():
            total[name] = total.get(name, 0) + len(x) / len(X) * g
    return total


def slopes_of_graph(order, parents, factors):
    bars = {order[-1]: 1.0}
    for name in reversed(order):
        for parent, factor in zip(parents[name], factors[name], strict=True):
            bars[parent] = bars.get(parent, 0.0) + bars[name] * factor
    return bars


def trained(p, X, Y, rate, epochs):
    for _ in range(epochs):
        A1 = sigmoid(X @ p["W1"].T + p["b1"])
        A2 = sigmoid(A1 @ p["W2"].T + p["b2"])
        Delta2 = (A2 - Y) * A2 * (1 - A2) / len(X)
        Delta1 = (Delta2 @ p["W2"]) * A1 * (1 - A1)
        grads = {"W1": Delta1.T @ X, "b1": Delta1.sum(axis=0)}
        grads |= {"W2": Delta2.T @ A1, "b2": Delta2.sum(axis=0)}
        p = {name: p[name] - rate * grads[name] for name in p}
    return p


RIGHT = {  # check -> answers that are right
    "forward_any_depth": [forward],
    "two_sided_slope": [lambda f, x, eps: (f(x + eps) - f(x - eps)) / (2 * eps)],
    "error_one_layer_back": [lambda w, d, z: np.array(w * d / (2 + 2 * np.cosh(z)))],
    "backprop_1d": [backprop_1d, lambda *chain: np.array(backprop_1d(*chain))],
    "layer": [
        lambda A, W, b: (A.T @ W.T + b).T,
        lambda A, W, b: [[w @ a + c for a in A.T] for w, c in zip(W, b, strict=True)],
    ],
    "collapse": [collapse, lambda W, b: [part.tolist() for part in collapse(W, b)]],
    "backprop_loops": [backprop, lambda *case: as_lists(backprop(*case))],
    "backprop_linear_output": [straight, lambda *case: as_lists(straight(*case))],
    "mystery_bug": [
        planted(same_bug),
        from_text("Delta = 1 - H\n", ("H**2", "H")),
        partial(next, iter([same_bug])),  # can be asked only once
    ],
    "subscripts": [lambda: SUBSCRIPTS, lambda: OTHER],
    "errors_back": [lambda W, D, Z: ((W.T @ D.T).T * sigmoid_prime(Z)).tolist()],
    "gradient_norms": [
        lambda D, A: np.sqrt(np.einsum("ni,ni,nj,nj->n", D, D, A, A)),
        lambda D, A: [np.linalg.norm(np.outer(d, a)) for d, a in zip(D, A, strict=True)],
    ],
    "binary_cross_entropy": [
        lambda z, y: np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))),
        lambda z, y: sum(np.logaddexp(0, (1 - 2 * y) * z)) / len(z),
    ],
    "softmax_back": [
        softmax_back,
        lambda P, V: [p * (v - p @ v) for p, v in zip(P, V, strict=True)],
    ],
    "two_class_probabilities": [
        lambda Z: 0.5 + np.tanh((Z - Z[:, ::-1]) / 2) / 2,
        lambda Z: softmax(Z, axis=1).tolist(),
    ],
    "nesterov_step": [nesterov, lambda *case: np.array(nesterov(*case))],
    "leaky_errors": [
        lambda D, W, Z, alpha: (D @ W) * np.where(Z > 0, 1.0, alpha),
        lambda D, W, Z, alpha: D @ W * (1 - (1 - alpha) * (Z < 0)),
    ],
    "posterior": [posterior],
    "calibration_error": [calibration],
    "l2_gradients": [l2, lambda *case: dict(reversed(l2(*case).items()))],
    "dropout": [dropout, lambda *case: list(dropout(*case))],
    "step_flops": [flops, lambda sizes, N: int(flops(sizes, N))],
    "accumulated": [accumulated],
    "tanh_pullback": [lambda u, g: g / np.cosh(u) ** 2],
    "log_sum_exp_pullback": [lambda Z, g: g * softmax(Z, axis=1)],
    "slopes_of_graph": [slopes_of_graph],
    "trained_on_tape": [trained],
    "interpolate": [lambda ink, x: np.interp(x, np.arange(-1, len(ink) + 1), np.pad(ink, 1))],
}
CHECKS = {name: getattr(exercises, f"check_{name}") for name in RIGHT}
MISTAKES = [
    pytest.param(name, answer, sentence, id=f"{name}: {sentence}")
    for name, checked in CHECKS.items()
    for sentence, answer in getattr(checked, "mistakes", {}).items()
]
CHECKS["mystery_bug"] = check_mystery
each_check = pytest.mark.parametrize("name", RIGHT)


def said(name, answer) -> str:
    settings = np.geterr()
    verdict = CHECKS[name](answer)
    assert np.geterr() == settings, "the check left its mark on the notebook"
    assert not tracemalloc.is_tracing()
    assert verdict.passed is False, verdict
    assert verdict.message.startswith("Not yet: ")
    return verdict.message


# ---------------------------------------------------------------------------- true of every check


@each_check
def test_every_right_form_is_accepted(name):
    for answer in RIGHT[name]:
        verdict = CHECKS[name](answer)
        assert verdict.passed is True, verdict
        assert repr(verdict).startswith("Correct: ")


@each_check
def test_an_unsolved_exercise_is_neither_right_nor_wrong(name):
    def stub(*_):
        raise NotImplementedError

    verdict = CHECKS[name](stub)
    assert verdict.passed is None
    assert "Not solved yet" in verdict.message


@each_check
def test_an_exception_is_reported_with_its_case(name):
    def broken(*_):
        raise IndexError("out of range")

    message = said(name, planted(broken) if name == "mystery_bug" else broken)
    assert message.endswith("your function raises IndexError: out of range")
    assert message.startswith(("Not yet: with ", "Not yet: for ", "Not yet: at "))


@pytest.mark.parametrize(
    ("name", "answer", "changed"),
    [
        ("forward_any_depth", lambda x, weights, biases: weights.pop(0), "weights"),
        ("layer", lambda A, W, b: np.matmul(W, A, out=A), "A"),
        ("collapse", lambda W, b: (W[1].fill(7), b.pop()), "W and b"),
        ("mystery_bug", planted(lambda p, X, Y: p.pop("U")), "p"),
        ("nesterov_step", lambda theta, v, *_: (theta.fill(7), v.fill(7)), "theta and v"),
    ],
)
def test_overwritten_arguments_are_noticed_and_named(name, answer, changed):
    expected = f"your function changes {changed}; leave what it is given as it is."
    assert said(name, answer).endswith(expected)


ODD = [None, "x", "3.0", True, 1 + 2j, 1e200, np.nan, object(), len, [], {}, (), {1: 2}, [None]]
ODD += [np.array(None), np.array(["a"]), np.zeros((2, 2, 2)), np.eye(3) + 0j, [[1], [1, 2]]]
ODD += [(None, None), ([], []), ("a", "b"), ([None] * 4, [None] * 4), np.zeros((0, 3))]
ODD += [{"W1": 1, "b1": None, "W2": "x", "b2": []}, {"w": "x", "b": None}, {"U": 1, "c": 2, "v": 3}]
ODD += [{"forward": None, "back": 1, "bias": "", "weights": "->"}]


@pytest.mark.filterwarnings("error")
@each_check
def test_no_answer_makes_a_check_raise(name):
    for odd in ODD:
        said(name, lambda *_, odd=odd: odd)
        said(name, lambda *_, odd=odd: planted(odd))
    assert "your function raises TypeError" in said(name, lambda one_too_many, *, key: 0)
    assert "of type int, not a function" in said(name, 3)  # a loop has taken the name


@pytest.mark.parametrize("name", [name for name in dir(exercises) if name.startswith("check_")])
def test_a_tooltip_shows_what_a_check_takes_and_returns(name):
    check = getattr(exercises, name)
    assert name.removeprefix("check_") in RIGHT, "a check without tests"
    assert "Callable" in str(inspect.signature(check))
    assert inspect.signature(check).return_annotation is Verdict
    assert check.__doc__.startswith("Check ")


# ------------------------------------------------ the sentences, for answers as readers write them

P, Q = np.arange(1.0, 7).reshape(2, 3), np.array([[1.0, 2.0], [3.0, 4.0]])


@check({"these are squares.": lambda: (P**2, Q**2)}, returns="P, Q")
def check_pair():
    """Check a pair of arrays."""
    yield (), (P, Q), "here,"


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (None, "here, the function returns nothing"),
        ([P], "return the pair P, Q."),
        ((P.T, Q), "P is an array of shape (3, 2), expected an array of shape (2, 3). It looks t"),
        ((P, Q.T), "Q is transposed."),
        ((P, 1.0), "Q is a plain number, expected an array of shape (2, 2)."),
        ((P, "Q"), "Q is of type str, expected an array of shape (2, 2)."),
        ((P * np.nan, Q), "P holds values that are not finite."),
        ((-P, Q), "P: the sign is wrong, the size is right."),
        ((P * 3, Q), "P is the right one times 3."),
        ((P**2, Q), "P: these are squares."),
        ((P + np.eye(2, 3, k=2), Q), "P[0, 2] is 4, expected 3 (wrong: 1 of 6)."),
    ],
)
def test_a_part_of_an_answer_is_named_as_its_author_has_it(pair, words):
    verdict = check_pair(lambda: pair)
    assert verdict.passed is False
    assert words in verdict.message


@pytest.mark.parametrize(("name", "answer", "sentence"), MISTAKES)
def test_each_known_mistake_is_told_from_all_others(name, answer, sentence):
    assert said(name, answer).endswith(sentence)


def only_if_deep(x, y, W, b):
    dW, db = backprop(x, y, W, b)
    return dW, [None, db[1] * (3 if len(W) > 4 else 1), *db[2:]]


def exponentials(Z, limit=np.inf):
    E = np.exp(np.clip(Z, -limit, limit))
    return E / E.sum(axis=1, keepdims=True)


def cross_entropy(of_logits, z, y):
    p = of_logits(z)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def masked(draw):
    """Return dropout with another way to draw what stays."""

    def answer(A, keep, rng):
        mask = np.broadcast_to(draw(A, keep, rng) / keep, A.shape)
        return A * mask, mask

    return answer


def spec(**changed):
    return lambda: SUBSCRIPTS | changed


WRONG = {
    "forward_any_depth": [
        (lambda x, w, b: [forward(x, w, b)], "shape (1,), expected a plain number"),
        (lambda x, w, b: forward(x, w[:4], b[:4]), "with five layers,"),
        (lambda x, w, b: forward(x, w, b) + 0 * w[1], "with one layer, your function raises Ind"),
    ],
    "backprop_1d": [
        (partial(backprop_1d, slope=lambda z: sigmoid_prime(sigmoid(z))), "db[2]: σ' was taken at"),
        (partial(backprop_1d, output=lambda a, y: (a - y) / 2), "db[2]: half the slope; does a ½"),
        (partial(backprop_1d, output=lambda a, y: a), "db[2]: the label is missing"),
        (partial(backprop_1d, output=lambda a, y: a - y**2), "db[2] is "),
        (lambda x, *c: backprop_1d(abs(x), *c), "with one node, db[0] is"),
        (lambda *c: list(zip(*backprop_1d(*c), strict=True)), "these are pairs, one per layer"),
        (lambda *c: ([9.5, *backprop_1d(*c)[0][1:]], backprop_1d(*c)[1]), "dw[0] is 9.5, expected"),
        (lambda x, y, w, b: (w[1], b[:1]), "with three nodes, db must be a list of length 3."),
        (lambda *c: backprop_1d(*c)[0], "return the pair dw, db."),
    ],
    "layer": [
        (lambda A, W, b: W @ A + b, "b alone runs along the samples; make it a column"),
        (lambda A, W, b: A @ W.T + b, "this is the row form"),
    ],
    "collapse": [
        (lambda W, b: (W[3], b[3]), "b_star: only the last bias is there"),
        (lambda W, b: (collapse(W, b)[0], b[1]), "b_star[0] is "),
        (lambda W, b: (W[1] @ W[0], b[1]), "and W[0] = None, your function raises"),
    ],
    "backprop_loops": [
        (lambda *c: [s[1:] for s in backprop(*c)], "must be a list of length 4, None in front"),
        (lambda *_: ([None] * 4, [None] * 4), "db[3] is of type NoneType, expected an array"),
        (partial(backprop, output=lambda e: e / 2), "db[3]: half the slope; does a ½ remain"),
        (partial(backprop, output=lambda e: -e), "db[3]: the sign is wrong"),
        (partial(backprop, back=lambda W, d: (W.T * d).mean(axis=1)), "averaged instead of added?"),
        (partial(backprop, back=lambda W, d: W @ d), "db[2]: a transpose is missing"),
        (partial(backprop, hidden=lambda z: 1.0), "db[2]: BP2: σ'(z) is missing"),
        (lambda *c: backprop(*c)[::-1], "the two lists are swapped: return (dW, db)."),
        (only_if_deep, "with sizes [2, 3, 2, 3, 2], db[1] is the right one times 3."),
    ],
    "backprop_linear_output": [
        (backprop, "db[3]: this is the network with a sigmoid at the output; here a[L] = z[L]."),
        (partial(straight, slope=sigmoid_prime), "db[3]: BP1: a straight output has the slope 1"),
        (partial(straight, last=sigmoid), "db[3]: the output is bent"),
        (partial(straight, output=lambda e: -e), "db[3]: the sign is wrong"),
        (partial(straight, back=lambda W, d: W @ d), "db[2]: a transpose is missing"),
    ],
    "mystery_bug": [
        (planted(gradient), "no bug is planted"),
        (planted(mystery), "this is the mystery itself"),
        (planted(lambda *c: mystery(*c)), "at the point given, your function runs the mystery"),
        (planted(partial(mystery)), "your function runs the mystery, or a copy of it; plant the"),
        (from_text("Delta = 1 - H\n", ("Delta", "Delta")), "of two different texts; plant"),
        (from_text("Delta = 1 - H\n", mystery.change), "a change is a tuple (old, new)"),
        (from_text("D = 1 - H\n", ("Delta", "D")), "not the correct gradient with one"),
        (planted(("old", "new")), "suspect returns an object of type tuple; return a function of"),
        (planted(lambda *c: same_bug(*c) | {"U": gradient(*c)["U"]}), "your bug spoils c; the mys"),
        (planted(partial(gradient, scale=2)), "spoilt, but in another way. U[0, 0] is "),
        (planted(lambda *c: same_bug(*c) | {"c": [[1.0], [2.0]]}), "c is an array of shape (2, 1)"),
        (planted(lambda *c: list(same_bug(*c))), "must return a dict with the names U, c, v"),
    ],
    "subscripts": [
        (lambda: ["ij,nj->ni"], "return a dict with the names forward, back, bias, weights."),
        (spec(back="ij,nj->ni"), "N = 3 and W (3, 3), back: this goes forward through W"),
        (spec(forward="ij,ni->nj"), "the sum runs over the current node"),
        (spec(bias="ni->n"), "the nodes are summed and the samples kept"),
        (spec(weights="ni,nj->nij"), "the samples are still apart"),
        (spec(weights="in,nj->ij"), "the letters of Delta are exchanged"),
        (spec(forward="ij,nj->in"), "the result is transposed"),
        (spec(bias="ni->"), "bias is a plain number, expected an array of shape (3,)"),
        (spec(bias=0), "write each subscript as a text such as 'ij,j->i'"),
        (spec(weights="ni->i"), "einsum refuses 'ni->i': fewer operands"),
    ],
    "errors_back": [(lambda W, D, Z: W @ D, "N = 4 and W_next (3, 3), your function raises Value")],
    "gradient_norms": [
        (lambda D, A: np.linalg.norm(D[:, :, None] * A[:, None], axis=(1, 2)), "build the stack")
    ],
    "binary_cross_entropy": [
        (
            partial(cross_entropy, sigmoid),
            "[ 1000. -1000.] the answer is nan; form neither e¹⁰⁰⁰ nor",
        ),
        (
            partial(cross_entropy, lambda z: np.clip(expit(z), 1e-15, 1 - 1e-15)),
            "Is a probability clipped or rounded?",
        ),
    ],
    "softmax_back": [
        (
            lambda P, V: [(np.diag(p) - np.outer(p, p)) @ v for p, v in zip(P, V, strict=True)],
            "with 400 classes, the errors are right, but you build a matrix J",
        )
    ],
    "two_class_probabilities": [
        (exponentials, "your function raises FloatingPointError: overflow"),
        (partial(exponentials, limit=500), "with logits up to ±1e+03, entry [0, 0] is 0.5, expe"),
    ],
    "nesterov_step": [(lambda *c: nesterov(*c)[0], "return the pair theta, v.")],
    "posterior": [(lambda *c: posterior(*c).T, "It looks transposed")],
    "l2_gradients": [
        (lambda g, p, s: {"W1": g["W1"]}, "return a dict with the names W1, b1, W2, b2."),
        (lambda *c: l2(*c) | {"W1": l2(*c)["W1"].T}, "W1 is an array of shape (4, 3)"),
    ],
    "dropout": [
        (lambda *c: dropout(*c)[0], "return the pair"),
        (lambda *c: ("A", "mask"), "the mask must be an array of shape (400, 50)"),
        (lambda *c: (dropout(*c)[0][1:], dropout(*c)[1]), "activations must be an array of shape"),
        (lambda *c: dropout(*c)[::-1], "exchanged"),
        (lambda A, keep, rng: (A, dropout(A, keep, rng)[1]), "are not A times the mask"),
        (lambda A, keep, _: dropout(A, keep, np.random.default_rng(1)), "two calls give the same"),
        (lambda A, keep, _: dropout(A, keep, np.random.default_rng()), "the same rng gives anoth"),
        (masked(lambda A, keep, rng: rng.random(50) < keep), "every image has the same mask"),
        (masked(lambda A, keep, rng: rng.random((400, 1)) < keep), "share one draw"),
        (masked(lambda A, keep, rng: rng.random(A.shape) > keep), "keep is the probability to st"),
        (masked(lambda A, keep, rng: keep * (rng.random(A.shape) < keep)), "expected 0 and 1/keep"),
    ],
    "accumulated": [
        (lambda gradient, X, Y, size: gradient(X, Y), "a piece has 10 rows, at most 4 are allowed"),
        (lambda *c: accumulated(*c) | {"w": np.zeros(2)}, "shape (2,), expected"),
    ],
}


@pytest.mark.parametrize(
    ("name", "answer", "words"), [(name, *pair) for name in WRONG for pair in WRONG[name]]
)
def test_a_wrong_answer_is_told_what_is_wrong(name, answer, words):
    assert words in said(name, answer)
