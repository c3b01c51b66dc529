"""`make bench` reports whatever could be raced, and names what is missing."""

import json

import pytest

import bench
from helpers import datasets
from helpers.runs import RunResult


def test_what_was_raced_is_printed_and_kept(monkeypatch, capsys, tmp_path):
    def in_its_own_process(threads):
        ratios = {"digits": {"new peer": 1.5, "ours": None}, "seconds to 98 %": {"ours": 12.25}}
        return {"threads": threads, "ratios": ratios}

    def run_notebook(name, parameters, output_dir):
        return RunResult(name, "ok", metrics={"distorted_over_plain": 1.375})

    monkeypatch.setattr(bench, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(bench, "MISSING", ["JAX"])
    monkeypatch.setattr(bench, "in_its_own_process", in_its_own_process)
    monkeypatch.setattr(bench, "run_notebook", run_notebook)
    assert bench.main() == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("new peer", "1.5", "12.25", "1.38", "missing", "JAX"))
    written = json.loads((tmp_path / "runs" / "bench.json").read_text(encoding="utf-8"))
    assert written["machine"]["processor"]
    assert set(written["versions"]) == set(bench.PACKAGES)
    assert written["runs"][0] == in_its_own_process(1)


@pytest.mark.faults
@pytest.mark.skipif(not datasets.mnist_available(), reason="no MNIST here")
def test_all_that_is_installed_is_raced(monkeypatch):
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "EPOCHS", 1)
    ratios = bench.bench(1)["ratios"]
    for peer in {"PyTorch", "JAX"} - set(bench.MISSING):
        assert any(name.startswith(peer) and ratio for name, ratio in ratios["digits"].items())
        assert any(name.startswith(peer) and ratio for name, ratio in ratios["circles"].items())
    assert ratios["digits"]["scikit-learn"] > 0
    assert ratios["circles"]["textbook"] > 0
