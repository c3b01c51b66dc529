"""Race the plain NumPy of notebooks 10, 12 and 14 against its peers, and keep the result.

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


# ------------------------------------------------------------------------------------- the digits


def drawn(sizes, rng, scale=lambda n_in, n_out: (2 / (n_in + n_out)) ** 0.5) -> dict:
    """Return first weights, by Xavier's rule or another, and biases of zero, in float32."""
    p = {}
    for layer, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        weights = rng.standard_normal((n_out, n_in), dtype=np.float32)
        p |= {f"W{layer}": np.float32(scale(n_in, n_out)) * weights}
        p |= {f"b{layer}": np.zeros(n_out, np.float32)}
    return p


class Digits:
    """One pass over some batches of MNIST, by each contender, from the same start."""

    def __init__(self, data, threads: int):
        rng, n2 = np.random.default_rng(1), len(data.classes)
        self.X, self.labels = data.X_train.astype(np.float32, copy=False), data.y_train
        self.Y = np.eye(n2, dtype=np.float32)[self.labels]
        self.sizes = (self.X.shape[1], 256, n2)
        self.start = drawn(self.sizes, rng)
        self.rows = rng.permutation(len(self.X))[: BATCH * BATCHES].reshape(BATCHES, BATCH)
        gemm = {np.dtype(np.float32): linalg.get_blas_funcs("gemm", dtype=np.float32)}
        clock = process_time if threads == 1 else perf_counter
        self.ours = definitions(
            "12", "race", "ratios", "sigmoid", "log_softmax", "notebook_10", "workspace",
            "workspace_for", "gather", "forward_into", "errors_into", "bias_steps",
            "subtract_product", "fused", "columns",
            X=self.X, Y=self.Y, rate=RATE, np=np, pd=pd, cache=cache, gemm=gemm, clock=clock,
            SimpleNamespace=SimpleNamespace,
        )  # fmt: skip

    def numpy(self, step, p):
        """Return a pass of one of our own steps, and how to read its parameters."""
        return lambda: [step(p, chosen) for chosen in self.rows], lambda: list(p.values())

    def bare_products(self):
        """Return a pass of the five products of every step, and nothing else."""
        _, n1, n2 = self.sizes
        rng = np.random.default_rng(0)
        A1, Delta1, Delta2 = (rng.random((BATCH, n), np.float32) for n in (n1, n1, n2))
        W1, W2 = (np.asfortranarray(self.start[name]) for name in ("W1", "W2"))
        Z1, Z2, G1, G2 = np.empty_like(A1), np.empty_like(Delta2), np.empty_like(W1), W2.copy()
        gathered = [self.X[chosen] for chosen in self.rows]

        def one_pass():
            for x in gathered:
                np.matmul(x, W1.T, out=Z1)
                np.matmul(A1, W2.T, out=Z2)
                np.matmul(Delta2, W2, out=Z1)
                np.matmul(A1.T, Delta2, out=G2.T)
                np.matmul(x.T, Delta1, out=G1.T)

        return one_pass

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

        def one_pass():
            net.partial_fit(images, labels)
            net.shuffle = True

        (W1, W2), (b1, b2) = net.coefs_, net.intercepts_
        return one_pass, lambda: [W1.T, b1, W2.T, b2]

    def pytorch(self):
        """Return an eager pass, one call after the other."""
        import torch

        net = torch_network(torch, self.start, torch.nn.Sigmoid())
        optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
        images, labels, rows = map(torch.from_numpy, (self.X, self.labels, self.rows))

        def one_pass():
            for chosen in rows:
                cost = torch.nn.functional.cross_entropy(net(images[chosen]), labels[chosen])
                optimizer.zero_grad()
                cost.backward()
                optimizer.step()
                cost.item()

        return one_pass, lambda: [p.detach().numpy() for p in net.parameters()]

    def jax(self, whole_pass: bool):
        """Return a pass with a compiled step, or one compiled as a whole."""
        import jax

        images, targets = jax.numpy.asarray(self.X), jax.numpy.asarray(self.Y)

        def step(p, chosen):
            c, grads = jax.value_and_grad(partial(jax_cost, jax))(
                p, images[chosen], targets[chosen]
            )
            return jax.tree.map(lambda value, grad: value - RATE * grad, p, grads), c

        compiled = jax.jit(step, donate_argnums=0)
        scan = jax.jit(lambda p, rows: jax.lax.scan(step, p, rows), donate_argnums=0)
        state = {"p": jax.tree.map(jax.numpy.array, self.start)}
        rows = jax.numpy.asarray(self.rows)
        each = [jax.numpy.asarray(chosen) for chosen in self.rows]

        def step_by_step():
            for chosen in each:
                state["p"], c = compiled(state["p"], chosen)
            float(c)

        def in_one_piece():
            state["p"], costs = scan(state["p"], rows)
            float(costs.mean())

        one_pass = in_one_piece if whole_pass else step_by_step
        return one_pass, lambda: [np.asarray(state["p"][name]) for name in self.start]

    def race(self) -> pd.Series:
        """Return times our time, after a pass from which all have the same parameters."""
        fused, plain = self.ours.fused, {k: v.copy() for k, v in self.start.items()}
        contenders = {
            "ours": self.numpy(fused, self.ours.columns(self.start)),
            "notebook 10": self.numpy(self.ours.notebook_10, plain),
            "scikit-learn": self.scikit_learn(),
        }
        if "PyTorch" not in MISSING:
            contenders["PyTorch, eager"] = self.pytorch()
        if "JAX" not in MISSING:
            contenders["JAX, jitted step"] = self.jax(whole_pass=False)
            contenders["JAX, whole pass compiled"] = self.jax(whole_pass=True)
        for one_pass, _ in contenders.values():
            one_pass()
        for name, (_, read) in contenders.items():
            for value, own in zip(read(), contenders["ours"][1](), strict=True):
                np.testing.assert_allclose(value, own, rtol=1e-2, atol=1e-3, err_msg=name)
        passes = {name: one_pass for name, (one_pass, _) in contenders.items()}
        times = self.ours.race(passes | {"bare matrix products": self.bare_products()}, ROUNDS)
        return self.ours.ratios(times, "ours").drop("ours")


def torch_network(torch, start, bend):
    """Return a network of one hidden layer with these parameters."""
    (n1, n0), n2 = start["W1"].shape, len(start["W2"])
    net = torch.nn.Sequential(torch.nn.Linear(n0, n1), bend, torch.nn.Linear(n1, n2))
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), start.values(), strict=True):
            parameter.copy_(torch.from_numpy(value))
    return net


def jax_cost(jax, p, x, y, hidden="sigmoid"):
    """Return the mean cross-entropy of a batch."""
    A1 = getattr(jax.nn, hidden)(x @ p["W1"].T + p["b1"])
    return -jax.numpy.vdot(y, jax.nn.log_softmax(A1 @ p["W2"].T + p["b2"])) / len(x)


# ------------------------------------------------------------------------------------ the circles


class Circles:
    """The gradient of notebook 08's 17 parameters on 50,000 points, by each contender."""

    def __init__(self):
        points, self.inner = datasets.circles(50_000, factor=0.1, noise=0.1, seed=42)
        self.points = points.astype(np.float32)
        self.one_hot = np.eye(2, dtype=np.float32)[self.inner]
        shapes, rng = (
            {"W1": (3, 2), "b1": (3,), "W2": (2, 3), "b2": (2,)},
            np.random.default_rng(42),
        )
        self.q = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    def textbook(self):
        """Return the gradient as notebook 08 first writes it."""
        W1, b1, W2, b2 = self.q.values()
        A1 = 1 / (1 + np.exp(-(self.points @ W1.T + b1)))  # (50000, 3)
        E = A1 @ W2.T + b2  # (50000, 2)
        E = np.exp(E - E.max(axis=1, keepdims=True))
        Delta2 = (E / E.sum(axis=1, keepdims=True) - self.one_hot) / len(E)  # (50000, 2)
        Delta1 = (Delta2 @ W2) * A1 * (1 - A1)  # (50000, 3)
        return [Delta1.T @ self.points, Delta1.sum(axis=0), Delta2.T @ A1, Delta2.sum(axis=0)]

    def fused(self):
        """Return our fastest form: features as rows, no fresh memory, one sigmoid, four blocks."""
        W1, b1, W2, b2 = self.q.values()
        W, w = np.column_stack([W1, b1]), np.append(W2[1] - W2[0], b2[1] - b2[0])  # (3, 3), (4,)
        parts = [self._block_sums(W, w, *block) for block in self._blocks()]
        G = sum(G for G, _ in parts) * w[:3, None] / len(self.points)
        g = sum(g for _, g in parts) / len(self.points)
        return [G[:, :2], G[:, 2], np.array([-g[:3], g[:3]]), np.array([-g[3], g[3]])]

    @cache  # noqa: B019, one instance lives as long as the process
    def _blocks(self) -> list:
        parts = zip(np.split(self.points, 4), np.split(self.inner, 4), strict=True)
        ones = np.ones((1, 12_500), np.float32)
        return [(np.vstack([x.T, ones]), y.astype(np.float32)) for x, y in parts]

    @cache  # noqa: B019
    def _workspace(self) -> list:
        return [np.ones(shape, np.float32) for shape in ((4, 12_500), (3, 12_500), 12_500)]

    def _block_sums(self, W, w, x, y):
        A, D, d = self._workspace()
        H = A[:3]  # a view: the fourth row of A stays 1
        for weights, entering, out in ((-W, x, H), (-w, A, d)):
            np.matmul(weights, entering, out=out)
            np.exp(out, out=out)
            out += 1
            np.divide(1, out, out=out)  # σ(z) from −z
        np.subtract(d, y, out=d)
        np.multiply(H, H, out=D)
        np.subtract(H, D, out=D)  # σ′ = H − H²
        np.multiply(D, d, out=D)
        return D @ x.T, A @ d  # (3, 3), (4,)

    def pytorch(self):
        """Return an eager gradient."""
        import torch

        net = torch_network(torch, self.q, torch.nn.Sigmoid())
        x, y = torch.from_numpy(self.points), torch.from_numpy(self.inner)

        def gradient():
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            return [parameter.grad.numpy() for parameter in net.parameters()]

        return gradient

    def jax(self, features_as_rows: bool):
        """Return a compiled gradient; the layout helps every compiler."""
        import jax

        y, log_softmax = jax.numpy.asarray(self.one_hot), jax.nn.log_softmax
        x = jax.numpy.asarray(self.points.T.copy() if features_as_rows else self.points)

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
        tasks = {"ours": self.fused, "textbook": self.textbook}
        if "PyTorch" not in MISSING:
            tasks["PyTorch, eager"] = self.pytorch()
        if "JAX" not in MISSING:
            tasks |= {"JAX, jitted step": self.jax(False), "JAX, features as rows": self.jax(True)}
        for name, gradient in tasks.items():
            for got, want in zip(gradient(), self.textbook(), strict=True):
                assert got.dtype == want.dtype == np.float32, name
                np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5, err_msg=name)
        return ours.ratios(ours.race(tasks, 3 * ROUNDS), "ours").drop("ours")


# ------------------------------------------------------------------------------- seconds to 98 %


class Until98:
    """The better recipe of notebook 10, until 98 % of 10,000 held-out images are read right."""

    size, peak, momentum, hidden = 128, 0.2, 0.9, 512

    def __init__(self, data):
        X, Y = data.X_train.astype(np.float32, copy=False), np.eye(10, dtype=np.float32)
        (self.X, self.X_held), (self.y, self.y_held) = (
            np.split(part, [-10_000]) for part in (X, data.y_train)
        )
        self.Y = Y[self.y]
        he = lambda n_in, n_out: (2 / n_in) ** 0.5  # noqa: E731
        self.start = drawn((X.shape[1], self.hidden, 10), np.random.default_rng(1), he)
        self.n_batches = len(self.X) // self.size
        steps = np.arange(EPOCHS * self.n_batches)
        self.rates = self.peak / 2 * (1 + np.cos(np.pi * steps / len(steps)))

    def seconds(self, train_epoch, parameters) -> float:
        """Return the seconds of training until the goal is reached, nan if it is not."""
        spent, rng = 0.0, np.random.default_rng(1)
        for epoch in range(EPOCHS):
            rows = rng.permutation(len(self.X))[: self.n_batches * self.size]
            rates = self.rates[epoch * self.n_batches :][: self.n_batches].astype(np.float32)
            began = perf_counter()
            train_epoch(rows.reshape(-1, self.size), rates)
            spent += perf_counter() - began
            W1, b1, W2, b2 = parameters()
            read = (np.maximum(self.X_held @ W1.T + b1, 0) @ W2.T + b2).argmax(axis=1)
            if (read == self.y_held).mean() >= 0.98:
                return spent
        return float("nan")

    def ours(self):
        """Return our training, with the network of notebook 14 and momentum."""
        their = definitions("14", "forward", "backward", np=np)
        p = {name: value.copy() for name, value in self.start.items()}
        v = {name: np.zeros_like(value) for name, value in p.items()}

        def train_epoch(rows, rates):
            for chosen, rate in zip(rows, rates, strict=True):
                x, y = self.X[chosen], self.Y[chosen]
                grads = their.backward(p, x, y, *their.forward(p, x))
                for name in p:
                    v[name] *= np.float32(self.momentum)
                    v[name] -= rate * grads[name]
                    p[name] += v[name]

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

    def pytorch(self):
        """Return its training, eager."""
        import torch

        net = torch_network(torch, self.start, torch.nn.ReLU())
        optimizer = torch.optim.SGD(net.parameters(), lr=self.peak, momentum=self.momentum)
        images, labels = torch.from_numpy(self.X), torch.from_numpy(self.y)

        def train_epoch(rows, rates):
            for chosen, rate in zip(torch.from_numpy(rows), rates, strict=True):
                optimizer.param_groups[0]["lr"] = float(rate)
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(images[chosen]), labels[chosen]).backward()
                optimizer.step()

        return train_epoch, lambda: [p.detach().numpy() for p in net.parameters()]

    def jax(self):
        """Return its training, an epoch compiled as a whole; compiled before the clock runs."""
        import jax

        images, targets = jax.numpy.asarray(self.X), jax.numpy.asarray(self.Y)
        gradient = jax.grad(partial(jax_cost, jax, hidden="relu"))

        def step(state, batch):
            (p, v), (chosen, rate) = state, batch
            grads = gradient(p, images[chosen], targets[chosen])
            v = jax.tree.map(lambda v, g: self.momentum * v - rate * g, v, grads)
            return (jax.tree.map(jax.numpy.add, p, v), v), None

        state = [jax.tree.map(jax.numpy.array, self.start)]
        state = [(state[0], jax.tree.map(jax.numpy.zeros_like, state[0]))]
        rows = jax.numpy.zeros((self.n_batches, self.size), int)
        rates = jax.numpy.zeros(self.n_batches, np.float32)
        epoch = jax.jit(lambda *given: jax.lax.scan(step, *given)[0])
        epoch = epoch.lower(state[0], (rows, rates)).compile()

        def train_epoch(rows, rates):
            given = jax.numpy.asarray(rows, int), jax.numpy.asarray(rates)
            state[0] = jax.block_until_ready(epoch(state[0], given))

        return train_epoch, lambda: [np.asarray(state[0][0][name]) for name in self.start]

    def race(self) -> pd.Series:
        """Return the seconds of each contender."""
        contenders = {"ours": self.ours, "scikit-learn": self.scikit_learn}
        contenders |= {} if "PyTorch" in MISSING else {"PyTorch, eager": self.pytorch}
        contenders |= {} if "JAX" in MISSING else {"JAX, whole pass compiled": self.jax}
        return pd.Series({name: self.seconds(*make()) for name, make in contenders.items()})


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


def versions() -> dict[str, str]:
    """Return the version of each package in the races, "missing" if it is not installed."""
    found = dict.fromkeys(PACKAGES, "missing")
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> int:
    """Race, print the tables and write them down; return the exit status."""
    distorted = run_notebook("14_how_far", {"epochs": 1}, RUNS / "bench").metrics
    ratio = distorted["distorted_over_plain"]
    reports = [in_its_own_process(threads) for threads in sorted({1, CPU_COUNT})]
    machine = {"processor": processor(), "cores": CPU_COUNT, "system": platform.platform(),
               "python": platform.python_version()}  # fmt: skip
    print(f"{machine['processor']}, {CPU_COUNT} cores")
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print("times our time, more than 1 is slower than ours; seconds are seconds")
    for report in reports:
        print(f"\nthreads: {report['threads']}")
        print(pd.DataFrame(report["ratios"]).astype(float).round(2).to_string(na_rep=""))
    print(f"\nepoch with distortions, times one without, ours, one thread: {ratio:.2f}")
    if MISSING:
        print(f"\nmissing, not installed: {', '.join(MISSING)}")
    result = {"machine": machine, "versions": versions(), "runs": reports}
    result["distorted_over_plain"] = ratio
    path = RUNS / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        warnings.simplefilter("ignore")
        print(json.dumps(bench(int(sys.argv[1]))))
    else:
        sys.exit(main())
