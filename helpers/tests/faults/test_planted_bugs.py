"""One line of a notebook's gradient code is changed: the notebook's own checks must notice.

Each bug keeps the shapes, so that only a check can tell it from the right line. The copy with the
bug is executed in a fresh kernel and has to stop at an assertion of its own.
"""
# ruff: noqa: E501

from collections import Counter

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers import runs

pytestmark = pytest.mark.faults

# Notebook | what is wrong | the text of a code cell -> what it becomes
BUGS = """
02 | BP1 without σ′ | (v["a3"] - y) * sigmoid_prime(v["z3"])        # BP1 -> (v["a3"] - y)
02 | BP2 with the weight before | p["w3"] * delta3 * sigmoid -> p["w2"] * delta3 * sigmoid
02 | σ′ of the activation | sigmoid_prime(v["z1"])     # BP2 -> sigmoid_prime(v["a1"])
02 | BP4 one layer too late | "w2": delta2 * v["a1"] -> "w2": delta2 * v["a2"]
02 | BP3 with the wrong sign | "b3": delta3} -> "b3": -delta3}
02 | sum for mean | {name: np.mean(s) for -> {name: np.sum(s) for
02 | uphill | p[name] - rate * gradient[name] -> p[name] + rate * gradient[name]
04 | BP1 without σ′ | delta = (a[-1] - y) * sigmoid_prime(z[-1]) -> delta = (a[-1] - y)
04 | σ′ of the activation | @ delta) * sigmoid_prime(z[-l]) -> @ delta) * sigmoid_prime(a[-l])
04 | BP4 halved | dW[-l] = np.outer(delta, a[-l - 1]) -> dW[-l] = np.outer(delta, a[-l - 1]) / 2
04 | BP3 times the activation | db[-l] = delta  # BP3 -> db[-l] = delta * a[-l]  # BP3
04 | = for += | arriving += W_next[j, k] * delta_next[j] -> arriving = W_next[j, k] * delta_next[j]
04 | BP1 summed over the outputs | delta = (a[-1] - y) * sigmoid_prime(z[-1]) -> delta = (a[-1] - y).sum() * sigmoid_prime(z[-1])
04 | loops: output 0 for every output | delta[j] = (a_out[j] - y[j]) -> delta[j] = (a_out[0] - y[0])
04 | BP4 with the wrong index | = delta[j] * a_before[k] -> = delta[j] * a_before[j % len(a_before)]
05 | σ′ of the activation | (A3 - Y) * sigmoid_prime(Z3)              # BP1 -> (A3 - Y) * sigmoid_prime(A3)  # BP1
05 | BP2 without σ′ | Delta3 @ p["W3"] * sigmoid_prime(Z2)      # BP2 -> Delta3 @ p["W3"]  # BP2
05 | transpose too many | Delta2 @ p["W2"] * sigmoid_prime(Z1)      # BP2 -> Delta2 @ p["W2"].T * sigmoid_prime(Z1)  # BP2
05 | bias summed | A1 / N, Delta2.mean(axis=0)  # BP4 -> A1 / N, Delta2.sum(axis=0)  # BP4
05 | weight summed | Delta1.T @ A0 / N, Delta1.mean -> Delta1.T @ A0, Delta1.mean
06 | stack: BP1 without σ′ | (A[L] - Y[:, :, np.newaxis]) * sigmoid_prime(Z[L]) -> A[L] - Y[:, :, np.newaxis]
06 | stack: σ′ of the activation | (W[l + 1].T @ Delta[l + 1]) * sigmoid_prime(Z[l]) -> (W[l + 1].T @ Delta[l + 1]) * sigmoid_prime(A[l])
06 | einsum: bias summed | np.einsum("ni->i", Delta[l]) / N -> np.einsum("ni->i", Delta[l])
06 | einsum: N − 1 | Delta[l], A[l - 1]) / N -> Delta[l], A[l - 1]) / (N - 1)
06 | 2-D: weight summed | Delta[l].T @ A[l - 1] / N -> Delta[l].T @ A[l - 1]
06 | 2-D: bias summed | [Delta[l].mean(axis=0) for -> [Delta[l].sum(axis=0) for
06 | loops: = for += | db[l][j] += delta[l][j] / len(X) -> db[l][j] = delta[l][j] / len(X)
07 | bias summed | self.db = Delta.mean(axis=0) -> self.db = Delta.sum(axis=0)
07 | weight summed | self.dW = Delta.T @ self.A / len(Delta) -> self.dW = Delta.T @ self.A
07 | only the diagonal of the Jacobian | Delta = softmax(Z) - Y -> Delta = (softmax(Z) - Y) * softmax(Z)
07 | mask forgotten | Delta = arriving * (self.layers[l - 1].Z > 0) -> Delta = arriving
07 | mean taken twice | return Delta @ self.W -> return Delta @ self.W / len(Delta)
07 | loops: mask forgotten | db1_loops[k] = arriving * (z1[k] > 0) -> db1_loops[k] = arriving
08 | BP2 without σ′ | return (Delta2 @ W2) * sigmoid_prime(Z1) -> return Delta2 @ W2
08 | weight summed | return Delta2.T @ A1 / len(A1) -> return Delta2.T @ A1
08 | bias summed | return Delta2.mean(axis=0) -> return Delta2.sum(axis=0)
08 | BP4 halved | return Delta1.T @ X / len(X) -> return Delta1.T @ X / len(X) / 2
08 | fused: half of σ′ | Delta1 = d[:, None] * w * A1 * (1 - A1) -> Delta1 = d[:, None] * w * A1
08 | velocity forgotten | v[name] -= rate * gradients[name] -> v[name] = -rate * gradients[name]
09 | divided by the classes | Delta2 = cache["Y_hat"] - Y -> Delta2 = (cache["Y_hat"] - Y) / n2
09 | weight summed | Delta2.T @ cache["A1"] / N -> Delta2.T @ cache["A1"]
09 | wrong sign | dA1 = Delta2 @ params["W2"] -> dA1 = -Delta2 @ params["W2"]
09 | mask forgotten | Delta1 = dA1 * heaviside(cache["Z1"]) -> Delta1 = dA1
09 | bias summed | cache["X"] / N, Delta1.mean(axis=0) -> cache["X"] / N, Delta1.sum(axis=0)
10 | mean forgotten | (np.exp(log_Yhat) - Y) / len(X) -> np.exp(log_Yhat) - Y
10 | BP2 without σ′ | @ self.params["W2"]) * self.slope(Z1, A1) -> @ self.params["W2"])
10 | mean taken twice | "b1": Delta1.sum(axis=0) -> "b1": Delta1.mean(axis=0)
10 | pre-activation for activation | "W2": Delta2.T @ A1, "b2": Delta2.sum -> "W2": Delta2.T @ Z1, "b2": Delta2.sum
10 | ReLU mask inverted | return Z > 0  # the mask -> return Z < 0  # the mask
10 | σ′ of the wrong argument | return A * (1 - A) -> return Z * (1 - A)
11 | exp: slope forgotten | return Array(value, (u,), (lambda g: g * value,)) -> return Array(value, (u,), (lambda g: g,))
11 | log: the wrong way up | lambda g: g / u.value -> lambda g: g * u.value
11 | power: exponent not lowered | g * k * u.value ** (k - 1) -> g * k * u.value**k
11 | stretch: mean for sum | return g.sum(axis=stretched, keepdims=True) -> return g.mean(axis=stretched, keepdims=True)
11 | pick: overwritten | np.add.at(grad, key, g) -> grad[key] = g
11 | where paths meet: = for + | bars.get(id(parent), 0) + pullback(g) -> pullback(g)
11 | maximum: everybody is sent g | (lambda g: g * holds / -> (lambda g: g + 0 * holds /
12 | one image: half of σ′ | @ delta2) * a1 * (1 - a1) -> @ delta2) * a1
12 | batch: BP2 without σ′ | (Delta2 @ p["W2"]) * A1 * (1 - A1) -> Delta2 @ p["W2"]
12 | mean forgotten | (rate / len(x)) * (np.exp(log_Yhat) - y) -> rate * (np.exp(log_Yhat) - y)
12 | workspace: wrong sign of σ′ | np.subtract(w.A1, w.slope, out=w.slope) -> np.subtract(w.slope, w.A1, out=w.slope)
12 | bias uphill | b1 -= w.ones @ w.Delta1 -> b1 += w.ones @ w.Delta1
12 | weight summed twice | gemm[W.dtype](-1.0, -> gemm[W.dtype](-2.0,
13 | shards weighted alike | weights = np.array(counts) / sum(counts) -> weights = np.ones(len(counts)) / len(counts)
13 | BP2 without σ′ | (Delta2 @ p["W2"]) * A1 * (1 - A1) -> Delta2 @ p["W2"]
13 | mean forgotten | (np.exp(log_Yhat) - y) / len(x) -> np.exp(log_Yhat) - y
13 | bias averaged | "b1": Delta1.sum(axis=0) -> "b1": Delta1.mean(axis=0)
13 | half of σ′ | * A1 * (1 - A1)           # (N, n1) -> * A1  # (N, n1)
14 | fractions exchanged along a row | upper = (1 - u) * ink[at] + u * ink[at + 1] -> upper = u * ink[at] + (1 - u) * ink[at + 1]
14 | rows exchanged | return (1 - v) * upper + v * lower -> return v * upper + (1 - v) * lower
14 | lower right taken from above | u * ink[at + wide + 1] -> u * ink[at + 1]
14 | rim forgotten | np.clip(place + 1 + D, 0, side + 1) -> np.clip(place + D, 0, side + 1)
14 | mask forgotten | (Delta2 @ p["W2"]) * (Z1 > 0) -> Delta2 @ p["W2"]
14 | bias averaged | "b1": Delta1.sum(axis=0) -> "b1": Delta1.mean(axis=0)
""".strip().splitlines()


def planted(number, change):
    """The notebook with the bug in it, on the bundled digits where it reads MNIST by default."""
    nb, (right, wrong) = nbformat.read(runs.notebook_path(number), 4), change.split(" -> ")
    cells = [cell for cell in nb.cells if cell.cell_type == "code" and right in cell.source]
    assert sum(cell.source.count(right) for cell in cells) == 1, f"not one line has {right}"
    cells[0].source = cells[0].source.replace(right, wrong)
    for cell in nb.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace('dataset: str = "mnist"', 'dataset: str = "digits"')
    return nb


def test_every_notebook_that_trains_gets_at_least_five_bugs():
    made = Counter(bug[:2] for bug in BUGS)
    assert set(made) >= {"02", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14"}
    assert min(made.values()) >= 5


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.rpartition(" | ")[0])
def test_the_notebook_notices_the_bug(bug):
    number, _, change = bug.split(" | ")
    resources = {"metadata": {"path": str(runs.NOTEBOOKS)}}
    options = {"timeout": 600, "kernel_name": runs.KERNEL, "resources": resources}
    with pytest.raises(CellExecutionError) as caught:
        NotebookClient(planted(number, change), **options).execute()
    assert caught.value.ename == "AssertionError", "it stopped, but not at a check of its own"
