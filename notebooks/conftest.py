"""What the check of the notebooks' outputs adds to nbval."""

import pytest

from helpers import datasets, runs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, saying why, the notebooks whose outputs come from MNIST where there is no MNIST.

    Instead, a test in helpers/tests/test_runs.py runs these notebooks on the bundled digits.
    """
    if datasets.mnist_available():
        return
    reason = "no MNIST here: run `make data` or set MNIST_DIR= to compare its outputs"
    notebooks = {item.path for item in items if item.path.suffix == ".ipynb"}
    on_mnist = {path for path in notebooks if runs.reads_mnist(path)}
    for item in items:
        if item.path in on_mnist:
            item.add_marker(pytest.mark.skip(reason=reason))
