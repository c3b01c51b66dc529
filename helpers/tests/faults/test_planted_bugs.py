"""One line of a notebook's gradient code is changed: the notebook's own checks must notice.

Each bug keeps the shapes, so that only a check can tell it from the right line. The copy with the
bug is executed in a fresh kernel and has to stop at an assertion of its own.
"""

from collections import Counter
from dataclasses import dataclass

import nbformat
import pytest

from helpers import runs

pytestmark = pytest.mark.faults


@dataclass(frozen=True)
class Bug:
    """In `notebook`, the text `right` of a code cell becomes `wrong`."""

    notebook: str
    what: str
    right: str
    wrong: str

    def __str__(self):
        return f"{self.notebook[:2]} {self.what}"


def bugs_of(notebook, *changes):
    return [Bug(notebook, *change) for change in changes]


BUGS = [
    *bugs_of(
        "02_scalar_backprop",
        ("BP1 without σ′", '(v["a3"] - y) * sigmoid_prime(v["z3"])        # BP1', '(v["a3"] - y)'),
        ("BP2 with the weight before", 'p["w3"] * delta3 * sigmoid', 'p["w2"] * delta3 * sigmoid'),
        ("σ′ of the activation", 'sigmoid_prime(v["z1"])     # BP2', 'sigmoid_prime(v["a1"])'),
        ("BP4 one layer too late", '"w2": delta2 * v["a1"]', '"w2": delta2 * v["a2"]'),
        ("BP3 with the wrong sign", '"b3": delta3}', '"b3": -delta3}'),
        ("sum for mean", "{name: np.mean(s) for", "{name: np.sum(s) for"),
        ("uphill", "p[name] - rate * gradient[name]", "p[name] + rate * gradient[name]"),
    ),
    *bugs_of(
        "04_vectorized_backprop",
        ("BP1 without σ′", "delta = (a[-1] - y) * sigmoid_prime(z[-1])", "delta = (a[-1] - y)"),
        (
            "σ′ of the activation",
            "@ delta) * sigmoid_prime(z[-l])",
            "@ delta) * sigmoid_prime(a[-l])",
        ),
        (
            "BP4 halved",
            "dW[-l] = np.outer(delta, a[-l - 1])",
            "dW[-l] = np.outer(delta, a[-l - 1]) / 2",
        ),
        ("BP3 times the activation", "db[-l] = delta  # BP3", "db[-l] = delta * a[-l]  # BP3"),
        (
            "= for +=",
            "arriving += W_next[j, k] * delta_next[j]",
            "arriving = W_next[j, k] * delta_next[j]",
        ),
        (
            "BP4 with the wrong index",
            "= delta[j] * a_before[k]",
            "= delta[j] * a_before[j % len(a_before)]",
        ),
    ),
    *bugs_of(
        "05_gradient_checking",
        (
            "σ′ of the activation",
            "(A3 - Y) * sigmoid_prime(Z3)  ",
            "(A3 - Y) * sigmoid_prime(A3)  ",
        ),
        (
            "BP2 without σ′",
            'Delta3 @ p["W3"] * sigmoid_prime(Z2)      # BP2',
            'Delta3 @ p["W3"]  # BP2',
        ),
        (
            "transpose too many",
            'Delta2 @ p["W2"] * sigmoid_prime(Z1)      # BP2',
            'Delta2 @ p["W2"].T * sigmoid_prime(Z1)  # BP2',
        ),
        ("bias summed", "A1 / N, Delta2.mean(axis=0)  # BP4", "A1 / N, Delta2.sum(axis=0)  # BP4"),
        ("weight summed", "Delta1.T @ A0 / N, Delta1.mean", "Delta1.T @ A0, Delta1.mean"),
    ),
    *bugs_of(
        "06_batched_backprop",
        (
            "stack: BP1 without σ′",
            "(A[L] - Y[:, :, np.newaxis]) * sigmoid_prime(Z[L])",
            "A[L] - Y[:, :, np.newaxis]",
        ),
        (
            "stack: σ′ of the activation",
            "(W[l + 1].T @ Delta[l + 1]) * sigmoid_prime(Z[l])",
            "(W[l + 1].T @ Delta[l + 1]) * sigmoid_prime(A[l])",
        ),
        ("einsum: bias summed", 'np.einsum("ni->i", Delta[l]) / N', 'np.einsum("ni->i", Delta[l])'),
        ("einsum: N − 1", "Delta[l], A[l - 1]) / N", "Delta[l], A[l - 1]) / (N - 1)"),
        ("2-D: weight summed", "Delta[l].T @ A[l - 1] / N", "Delta[l].T @ A[l - 1]"),
        ("2-D: bias summed", "[Delta[l].mean(axis=0) for", "[Delta[l].sum(axis=0) for"),
        ("loops: = for +=", "db[l][j] += delta[l][j] / len(X)", "db[l][j] = delta[l][j] / len(X)"),
    ),
    *bugs_of(
        "07_softmax_classifier",
        ("bias summed", "self.db = Delta.mean(axis=0)", "self.db = Delta.sum(axis=0)"),
        ("weight summed", "self.dW = Delta.T @ self.A / len(Delta)", "self.dW = Delta.T @ self.A"),
        (
            "only the diagonal of the Jacobian",
            "Delta = softmax(Z) - Y",
            "Delta = (softmax(Z) - Y) * softmax(Z)",
        ),
        ("mask forgotten", "Delta = arriving * (self.layers[l - 1].Z > 0)", "Delta = arriving"),
        ("mean taken twice", "return Delta @ self.W", "return Delta @ self.W / len(Delta)"),
        (
            "loops: mask forgotten",
            "db1_loops[k] = arriving * (z1[k] > 0)",
            "db1_loops[k] = arriving",
        ),
    ),
    *bugs_of(
        "08_circles_momentum",
        ("BP2 without σ′", "return (Delta2 @ W2) * sigmoid_prime(Z1)", "return Delta2 @ W2"),
        ("weight summed", "return Delta2.T @ A1 / len(A1)", "return Delta2.T @ A1"),
        ("bias summed", "return Delta2.mean(axis=0)", "return Delta2.sum(axis=0)"),
        ("BP4 halved", "return Delta1.T @ X / len(X)", "return Delta1.T @ X / len(X) / 2"),
        (
            "fused: half of σ′",
            "Delta1 = d[:, None] * w * A1 * (1 - A1)",
            "Delta1 = d[:, None] * w * A1",
        ),
        (
            "velocity forgotten",
            "v[name] -= rate * gradients[name]",
            "v[name] = -rate * gradients[name]",
        ),
    ),
    *bugs_of(
        "09_resistance_classifier",
        (
            "divided by the classes",
            'Delta2 = cache["Y_hat"] - Y',
            'Delta2 = (cache["Y_hat"] - Y) / n2',
        ),
        ("weight summed", 'Delta2.T @ cache["A1"] / N', 'Delta2.T @ cache["A1"]'),
        ("wrong sign", 'dA1 = Delta2 @ params["W2"]', 'dA1 = -Delta2 @ params["W2"]'),
        ("mask forgotten", 'Delta1 = dA1 * heaviside(cache["Z1"])', "Delta1 = dA1"),
        (
            "bias summed",
            'cache["X"] / N, Delta1.mean(axis=0)',
            'cache["X"] / N, Delta1.sum(axis=0)',
        ),
    ),
    *bugs_of(
        "10_mnist",
        ("mean forgotten", "(factor / len(X)) * (np.exp", "factor * (np.exp"),
        ("BP2 without σ′", '@ self.params["W2"]) * self.slope(Z1, A1)', '@ self.params["W2"])'),
        ("mean taken twice", '"b1": Delta1.sum(axis=0)', '"b1": Delta1.mean(axis=0)'),
        ("pre-activation for activation", '"W2": Delta2.T @ A1', '"W2": Delta2.T @ Z1'),
        ("ReLU mask inverted", "return Z > 0  # the mask", "return Z < 0  # the mask"),
        ("σ′ of the wrong argument", "return A * (1 - A)", "return Z * (1 - A)"),
    ),
    *bugs_of(
        "11_speed_and_scale",
        ("one image: half of σ′", "@ delta2) * a1 * (1 - a1)", "@ delta2) * a1"),
        ("batch: BP2 without σ′", '(Delta2 @ p["W2"]) * A1 * (1 - A1)', 'Delta2 @ p["W2"]'),
        (
            "mean forgotten",
            "(rate / len(x)) * (np.exp(log_Yhat) - y)",
            "rate * (np.exp(log_Yhat) - y)",
        ),
        (
            "workspace: wrong sign of σ′",
            "np.subtract(w.A1, w.slope, out=w.slope)",
            "np.subtract(w.slope, w.A1, out=w.slope)",
        ),
        ("bias uphill", "b1 -= w.ones @ w.Delta1", "b1 += w.ones @ w.Delta1"),
        ("weight summed twice", "gemm[W.dtype](-1.0,", "gemm[W.dtype](-2.0,"),
        ("circles: half of σ′", "np.subtract(H, D, out=D)", "np.copyto(D, H)"),
        ("circles: bias summed", "Delta1.mean(axis=0), Delta2.T", "Delta1.sum(axis=0), Delta2.T"),
        (
            "shards weighted alike",
            "weights = np.array(counts) / sum(counts)",
            "weights = np.ones(len(counts)) / len(counts)",
        ),
    ),
]


def planted(bug):
    """The notebook with the bug in it, on the bundled digits where it reads MNIST by default."""
    nb = nbformat.read(runs.notebook_path(bug.notebook), as_version=4)
    cells = [cell for cell in nb.cells if cell.cell_type == "code" and bug.right in cell.source]
    assert sum(cell.source.count(bug.right) for cell in cells) == 1, f"not one line has {bug.right}"
    cells[0].source = cells[0].source.replace(bug.right, bug.wrong)
    for cell in nb.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace('dataset: str = "mnist"', 'dataset: str = "digits"')
    return nb


def test_every_notebook_that_trains_gets_at_least_five_bugs():
    trains = {"02", "04", "05", "06", "07", "08", "09", "10", "11"}
    made = Counter(bug.notebook[:2] for bug in BUGS)
    assert set(made) >= trains
    assert min(made.values()) >= 5


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_the_notebook_notices_the_bug(bug, record_property):
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    record_property("planted bug", bug.notebook[:2])
    client = NotebookClient(
        planted(bug), timeout=600, kernel_name=runs.KERNEL,
        resources={"metadata": {"path": str(runs.NOTEBOOKS)}},
    )  # fmt: skip
    with pytest.raises(CellExecutionError) as caught:
        client.execute()
    assert caught.value.ename == "AssertionError", "it stopped, but not at a check of its own"
