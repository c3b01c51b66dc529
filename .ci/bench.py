"""Race the plain NumPy of notebooks 08, 12 and 14 against its peers, and keep the result.

``python .ci/bench.py`` is `make bench`. For one thread, and for a thread on every core, it starts
itself once more with the number of threads as argument, as some libraries read it once only. All
contenders start from the same weights, see the same batches in the same order, in float32, and
reach the same parameters before they race in turns. It prints how many times our time each one
takes, and writes ``runs/bench.json``, which notebook 12 shows. A peer that is not installed is
named as missing.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import warnings
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from types import SimpleNamespace

import numpy as np
import pandas as pd
from dask.system import CPU_COUNT
from scipy import linalg
from threadpoolctl import threadpool_limits

from helpers import datasets
from helpers.runs import RUNS, definitions, run_notebook

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "jax")
PEERS = {"torch": "PyTorch", "jax": "JAX"}
MISSING = [name for module, name in PEERS.items() if find_spec(module) is None]
ROUNDS = 25  # of every race; the ratios are medians over them
RATE, BATCH, BATCHES = 0.64, 64, 60  # learning rate, samples in a batch, batches in a round
EPOCHS = 10  # of the better recipe of notebook 10, within which 98 % have to be reached


# ---------------------------------------------------------------------------------- the contenders
# Training takes the rows of some batches and a rate for each; with it comes a way to read W1, b1,
# W2 and b2.


def made(contenders: dict) -> dict:
    """Return what the makers of the contenders return, where what they need is installed."""
    return {n: make() for n, make in contenders.items() if n.split(",")[0] not in MISSING}


def torch_network(torch, start, bend):
    """Return a network of one hidden layer with these parameters."""
    (n1, n0), n2 = start["W1"].shape, len(start["W2"])
    layers = torch.nn.Linear(n0, n1), getattr(torch.nn, bend)(), torch.nn.Linear(n1, n2)
    net = torch.nn.Sequential(*layers)
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), start.values(), strict=True):
            parameter.copy_(torch.from_numpy(value))
    return net


def torch_training(X, labels, start, bend, momentum=0.0):
    """Return eager training, one call after the other."""
    import torch

    net = torch_network(torch, start, bend)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0, momentum=momentum)
    images, labels = torch.from_numpy(X), torch.from_numpy(labels)

    def train(rows, rates):
        for chosen, rate in zip(torch.from_numpy(rows), rates.tolist(), strict=True):
            optimizer.param_groups[0]["lr"] = rate
            cost = torch.nn.functional.cross_entropy(net(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()

    return train, lambda: [p.detach().numpy() for p in net.parameters()]


def jax_cost(jax, p, x, y, bend="Sigmoid"):
    """Return the mean cross-entropy of a batch."""
    A1 = getattr(jax.nn, bend.lower())(x @ p["W1"].T + p["b1"])
    return -jax.numpy.vdot(y, jax.nn.log_softmax(A1 @ p["W2"].T + p["b2"])) / len(x)


def jax_training(X, Y, start, bend, momentum=0.0, all_of=None):
    """Return training with a compiled step, or with `all_of` (batches, rows) compiled as one."""
    import jax

    images, targets = jax.numpy.asarray(X), jax.numpy.asarray(Y)
    cost_and_gradient = jax.value_and_grad(partial(jax_cost, jax, bend=bend))

    def step(state, batch):
        (p, v), (chosen, rate) = state, batch
        c, grads = cost_and_gradient(p, images[chosen], targets[chosen])
        if not momentum:
            return (jax.tree.map(lambda p, g: p - rate * g, p, grads), v), c
        v = jax.tree.map(lambda v, g: momentum * v - rate * g, v, grads)
        return (jax.tree.map(jax.numpy.add, p, v), v), c

    p = jax.tree.map(jax.numpy.array, start)
    state = (p, jax.tree.map(jax.numpy.zeros_like, p) if momentum else {})
    run = jax.jit(step, donate_argnums=0)
    if all_of:  # compiled before the clock runs
        like_all = np.zeros(all_of, np.int32), np.zeros(all_of[0], np.float32)
        run = jax.jit(lambda *given: jax.lax.scan(step, *given), donate_argnums=0)
        run = run.lower(state, like_all).compile()

    def train(rows, rates):
        nonlocal state
        batches = np.int32(rows), np.float32(rates)
        for given in [batches] if all_of else zip(*batches, strict=True):
            state, cost = run(state, given)
        jax.block_until_ready((state, cost))

    return train, lambda: [np.asarray(state[0][name]) for name in start]


# ------------------------------------------------------------------------------------- the digits


class Digits:
    """One pass over some batches of MNIST, by each contender, from the same start."""

    def __init__(self, data, threads: int):
        rng, n2 = np.random.default_rng(1), len(data.classes)
        self.X, self.labels = data.X_train, data.y_train
        self.Y = np.eye(n2, dtype=np.float32)[self.labels]
        self.sizes = (self.X.shape[1], 256, n2)
        gemm = {np.dtype(np.float32): linalg.get_blas_funcs("gemm", dtype=np.float32)}
        clock = process_time if threads == 1 else perf_counter
        self.ours = definitions(
            "12", "draw", "race", "ratios", "sigmoid", "log_softmax", "notebook_10", "workspace",
            "workspace_for", "gather", "forward_into", "errors_into", "bias_steps",
            "subtract_product", "fused", "columns",
            X=self.X, Y=self.Y, sizes=self.sizes, rate=RATE, np=np, pd=pd, cache=cache, gemm=gemm,
            clock=clock, pairwise=pairwise, SimpleNamespace=SimpleNamespace,
        )  # fmt: skip
        self.start = self.ours.draw(rng)
        self.rows = rng.permutation(len(self.X))[: BATCH * BATCHES].reshape(BATCHES, BATCH)
        self.rates = np.full(BATCHES, RATE, np.float32)

    def numpy(self, step, p):
        """Return training by one of our own steps."""
        return lambda rows, rates: [step(p, chosen) for chosen in rows], lambda: list(p.values())

    def bare_products(self):
        """Return a pass of the five products of every step, and nothing else."""
        _, n1, n2 = self.sizes
        rng = np.random.default_rng(0)
        A1, Delta1, Delta2 = (rng.random((BATCH, n), np.float32) for n in (n1, n1, n2))
        W1, W2 = (np.asfortranarray(self.start[name]) for name in ("W1", "W2"))
        Z1, Z2, G1, G2 = map(np.empty_like, (A1, Delta2, W1, self.start["W2"]))
        gathered = [self.X[chosen] for chosen in self.rows]
        arrays = {"A1": A1, "Delta2": Delta2, "Z1": Z1, "Z2": Z2, "G2": G2, "gathered": gathered}
        products = definitions("12", "bare_products", np=np, **arrays).bare_products
        return partial(products, W1, W2, lambda x: np.matmul(x.T, Delta1, out=G1.T))

    def scikit_learn(self):
        """Overwrite the weights it draws, and let it shuffle from its second pass on."""
        from sklearn.neural_network import MLPClassifier

        net = MLPClassifier(
            (self.sizes[1],), activation="logistic", solver="sgd", alpha=0, momentum=0,
            nesterovs_momentum=False, shuffle=False, batch_size=BATCH, learning_rate_init=RATE,
        )  # fmt: skip
        images, labels = self.X[self.rows.ravel()], self.labels[self.rows.ravel()]
        net.partial_fit(images[:BATCH], labels[:BATCH], classes=range(self.sizes[2]))
        given = [self.start[name] for name in ("W1", "W2", "b1", "b2")]
        for target, value in zip(net.coefs_ + net.intercepts_, given, strict=True):
            target[...] = value.T

        def train(rows, rates):
            net.partial_fit(images, labels)
            net.shuffle = True

        (W1, W2), (b1, b2) = net.coefs_, net.intercepts_
        return train, lambda: [W1.T, b1, W2.T, b2]

    def race(self) -> pd.Series:
        """Return times our time, after a pass from which all have the same parameters."""
        plain = {name: value.copy() for name, value in self.start.items()}
        in_jax = partial(jax_training, self.X, self.Y, self.start, "Sigmoid")
        contenders = made(
            {
                "ours": lambda: self.numpy(self.ours.fused, self.ours.columns(self.start)),
                "notebook 10": lambda: self.numpy(self.ours.notebook_10, plain),
                "scikit-learn": self.scikit_learn,
                "PyTorch, eager": partial(
                    torch_training, self.X, self.labels, self.start, "Sigmoid"
                ),
                "JAX, jitted step": in_jax,
                "JAX, whole pass compiled": partial(in_jax, all_of=self.rows.shape),
            }
        )
        passes = {n: partial(train, self.rows, self.rates) for n, (train, _) in contenders.items()}
        for one_pass in passes.values():
            one_pass()
        for name, (_, read) in contenders.items():
            for value, own in zip(read(), contenders["ours"][1](), strict=True):
                np.testing.assert_allclose(value, own, rtol=1e-2, atol=1e-3, err_msg=name)
        times = self.ours.race(passes | {"bare matrix products": self.bare_products()}, ROUNDS)
        return self.ours.ratios(times, "ours").drop("ours")


# ------------------------------------------------------------------------------------ the circles


class Circles:
    """The gradient of notebook 08's 17 parameters on 50,000 points, by each contender."""

    def __init__(self):
        points, inner = datasets.circles(50_000, factor=0.1, noise=0.1, seed=42)
        self.X, self.inner = points.astype(np.float32), inner
        self.Y = np.eye(2, dtype=np.float32)[inner]
        shapes = {"W1": (3, 2), "b1": (3,), "W2": (2, 3), "b2": (2,)}
        rng = np.random.default_rng(42)
        self.q = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    def textbook(self):
        """Return the gradient as notebook 08 first writes it."""
        theirs = definitions(
            "08", "sigmoid", "softmax", "forward", "sigmoid_prime", "error_output", "error_hidden",
            "gradient_W1", "gradient_b1", "gradient_W2", "gradient_b2", "textbook",
            X=self.X, Y=self.Y, np=np,
        )  # fmt: skip
        return lambda: list(theirs.textbook(self.q).values())

    def fused(self):
        """Return the last rung of notebook 08, in single precision and in four blocks."""

        @cache
        def workspace(n):
            return [np.ones(shape, np.float32) for shape in ((4, n), (3, n), n)]

        names = "joined", "separated", "sigmoid_of_minus", "sums"
        theirs = definitions("08", *names, workspace=workspace, np=np)
        parts = zip(np.split(self.X, 4), np.split(self.inner, 4), strict=True)
        one = np.ones(len(self.X) // 4, np.float32)
        blocks = [(np.vstack([x.T, one]), y.astype(np.float32)) for x, y in parts]

        def gradient():
            W, w = theirs.joined(self.q)
            G, g = map(sum, zip(*(theirs.sums(W, w, *block) for block in blocks), strict=True))
            return list(theirs.separated(G, g, w, len(self.X)).values())

        return gradient

    def pytorch(self):
        """Return an eager gradient."""
        import torch

        net = torch_network(torch, self.q, "Sigmoid")
        x, y = torch.from_numpy(self.X), torch.from_numpy(self.inner)

        def gradient():
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            return [parameter.grad.numpy() for parameter in net.parameters()]

        return gradient

    def jax(self, features_as_rows: bool):
        """Return a compiled gradient; the layout helps every compiler."""
        import jax

        y, log_softmax = jax.numpy.asarray(self.Y), jax.nn.log_softmax
        x = jax.numpy.asarray(self.X.T.copy() if features_as_rows else self.X)

        def features(p):
            A1 = jax.nn.sigmoid(p["W1"] @ x + p["b1"][:, None])  # (3, 50000)
            return -(y.T * log_softmax(p["W2"] @ A1 + p["b2"][:, None], axis=0)).sum() / len(y)

        cost = features if features_as_rows else (lambda p: jax_cost(jax, p, x, y))
        gradient, p = jax.jit(jax.grad(cost)), jax.tree.map(jax.numpy.asarray, self.q)

        def arrays():
            grads = jax.block_until_ready(gradient(p))
            return [np.asarray(grads[name]) for name in self.q]  # JAX sorts the names

        return arrays

    def race(self, ours) -> pd.Series:
        """Return times our time, after all have given the same gradient."""
        gradients = made(
            {
                "ours": self.fused,
                "textbook": self.textbook,
                "PyTorch, eager": self.pytorch,
                "JAX, jitted step": lambda: self.jax(features_as_rows=False),
                "JAX, features as rows": lambda: self.jax(features_as_rows=True),
            }
        )
        for name, gradient in gradients.items():
            for got, want in zip(gradient(), gradients["textbook"](), strict=True):
                assert got.dtype == want.dtype == np.float32, name
                np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5, err_msg=name)
        return ours.ratios(ours.race(gradients, 3 * ROUNDS), "ours").drop("ours")


# ------------------------------------------------------------------------------- seconds to 98 %


class Until98:
    """The better recipe of notebook 10, until 98 % of 10,000 held-out images are read right."""

    size, peak, momentum, hidden = 128, 0.2, 0.9, 512

    def __init__(self, data):
        (self.X, self.X_held), (self.y, self.y_held) = (
            np.split(part, [-10_000]) for part in (data.X_train, data.y_train)
        )
        self.Y = np.eye(10, dtype=np.float32)[self.y]
        self.theirs = definitions(
            "14", "start", "forward", "backward", "step", "answers",
            n0=784, hidden_units=self.hidden, n2=10, momentum=self.momentum,
            pairwise=pairwise, np=np,
        )  # fmt: skip
        self.start = self.theirs.start(np.random.default_rng(1))
        self.n_batches = len(self.X) // self.size
        steps = np.arange(EPOCHS * self.n_batches)
        self.rates = np.float32(self.peak / 2 * (1 + np.cos(np.pi * steps / len(steps))))

    def seconds(self, train_epoch, parameters) -> float:
        """Return the seconds of training until the goal is reached, nan if it is not."""
        spent, rng = 0.0, np.random.default_rng(1)
        for rates in np.split(self.rates, EPOCHS):
            rows = rng.permutation(len(self.X))[: self.n_batches * self.size]
            began = perf_counter()
            train_epoch(rows.reshape(-1, self.size), rates)
            spent += perf_counter() - began
            p = dict(zip(self.start, parameters(), strict=True))
            if (self.theirs.answers(p, self.X_held) == self.y_held).mean() >= 0.98:
                return spent
        return float("nan")

    def ours(self):
        """Return our training, that of notebook 14 without distortions."""
        p = {name: value.copy() for name, value in self.start.items()}
        v = {name: np.zeros_like(value) for name, value in p.items()}

        def train_epoch(rows, rates):
            for chosen, rate in zip(rows, rates, strict=True):
                self.theirs.step(p, v, self.X[chosen], self.Y[chosen], rate)

        return train_epoch, lambda: list(p.values())

    def scikit_learn(self):
        """Return its training by Adam, with the rate it comes with: it has no such schedule."""
        from sklearn.neural_network import MLPClassifier

        net = MLPClassifier((self.hidden,), batch_size=self.size, alpha=0, random_state=1)

        def train_epoch(rows, rates):
            net.partial_fit(self.X, self.y, classes=range(10))

        def parameters():
            return [net.coefs_[0].T, net.intercepts_[0], net.coefs_[1].T, net.intercepts_[1]]

        return train_epoch, parameters

    def race(self) -> pd.Series:
        """Return the seconds of each contender."""
        given = {"start": self.start, "bend": "ReLU", "momentum": self.momentum}
        whole = (self.n_batches, self.size)
        contenders = made(
            {
                "ours": self.ours,
                "scikit-learn": self.scikit_learn,
                "PyTorch, eager": partial(torch_training, self.X, self.y, **given),
                "JAX, whole pass compiled": partial(
                    jax_training, self.X, self.Y, all_of=whole, **given
                ),
            }
        )
        return pd.Series({name: self.seconds(*both) for name, both in contenders.items()})


# ------------------------------------------------------------------------------------ the command


def bench(threads: int) -> dict:
    """Race everything with so many threads; seconds are seconds, all else times our time."""
    threadpool_limits(threads)
    data = datasets.load_mnist()
    if "PyTorch" not in MISSING:
        import torch

        torch.set_num_threads(threads)
    digits = Digits(data, threads)
    columns = {"digits": digits.race(), "circles": Circles().race(digits.ours)}
    columns["seconds to 98 %"] = Until98(data).race()
    table = pd.DataFrame(columns).astype(object)
    return {"threads": threads, "ratios": table.where(table.notna(), None).to_dict()}


def in_its_own_process(threads: int) -> dict:
    """Return what a new process with so many threads finds."""
    # XLA reads NPROC; the trap of two thread pools is explained in notebook 12.
    few = {"NPROC": str(threads), "OPENBLAS_THREAD_TIMEOUT": "16"}
    few |= {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, __file__, str(threads)],
        env=os.environ | few, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def processor() -> str:
    """Return the name of the processor; Linux tells it in a file only."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def version_of(package: str) -> str:
    """Return the version of a package, "missing" if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def main() -> int:
    """Race, print the tables and write them down; return the exit status."""
    distorted = run_notebook("14_how_far", {"epochs": 1}, RUNS / "bench").metrics
    result = {
        "machine": {
            "processor": processor(),
            "cores": CPU_COUNT,
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {package: version_of(package) for package in PACKAGES},
        "runs": [in_its_own_process(threads) for threads in sorted({1, CPU_COUNT})],
        "distorted_over_plain": distorted["distorted_over_plain"],
    }
    print(f"{processor()}, {CPU_COUNT} cores")
    print(", ".join(f"{name} {number}" for name, number in result["versions"].items()))
    print("times our time, more than 1 is slower than ours; seconds are seconds")
    for run in result["runs"]:
        print(f"\nthreads: {run['threads']}")
        print(pd.DataFrame(run["ratios"]).astype(float).round(2).to_string(na_rep=""))
    ratio = result["distorted_over_plain"]
    print(f"\nepoch with distortions, times one without, ours, one thread: {ratio:.2f}")
    if MISSING:
        print(f"\nmissing, not installed: {', '.join(MISSING)}")
    RUNS.mkdir(exist_ok=True)
    path = RUNS / "bench.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        warnings.simplefilter("ignore")
        print(json.dumps(bench(int(sys.argv[1]))))
    else:
        sys.exit(main())
