"""`make bench` races whatever is installed, once all contenders agree."""

import pytest

import bench
from helpers import datasets


@pytest.mark.faults
@pytest.mark.skipif(not datasets.mnist_available(), reason="no MNIST here")
def test_all_that_is_installed_is_raced(monkeypatch):
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "EPOCHS", 1)
    ratios = bench.bench(1)["ratios"]
    for peer in {"PyTorch", "JAX", "scikit-learn", "textbook"} - set(bench.MISSING):
        assert any(ratio for race in ratios.values() for n, ratio in race.items() if peer in n)
