"""`make bench` always reports: what it raced, what is missing, and what failed."""

import json

import pytest

import bench
from helpers.runs import NotebookError, RunResult


@pytest.fixture
def race(monkeypatch, tmp_path):
    """Return a function that runs the command as if notebook 11 reported these metrics."""
    monkeypatch.setattr(bench, "RUNS", tmp_path)

    def main(metrics):
        def run_notebook(name, parameters, output_dir):
            if metrics is None:
                raise NotebookError("cell 3 failed")
            return RunResult(name, "ok", 1.0, parameters, "headline", metrics)

        monkeypatch.setattr(bench, "run_notebook", run_notebook)
        return bench.main()

    return main


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"digits_new_peer_over_ours": 1.5, "final_ratio": 1.1}, ["digits new peer", "1.5", "1.1"]),
        ({"digits_new_peer_over_ours": 1.5, "missing": "JAX"}, ["missing, not installed: JAX"]),
        ({"missing": "PyTorch, JAX"}, ["nothing to compare with", "PyTorch, JAX"]),
    ],
)
def test_whatever_could_be_raced_is_reported(metrics, said, race, capsys, tmp_path):
    assert race(metrics) == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in said)
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert written["machine"]["processor"]
    assert set(written["versions"]) == set(bench.PACKAGES)
    assert all(run.items() >= metrics.items() for run in written["runs"])
    assert written["runs"][0]["threads"] == 1


def test_a_notebook_that_fails_leaves_the_earlier_result(race, capsys, tmp_path):
    race({"circles_new_peer_over_ours": 2.0})
    before = (tmp_path / "bench.json").read_bytes()
    assert race(None) == 1
    assert "FAILED cell 3 failed" in capsys.readouterr().err
    assert (tmp_path / "bench.json").read_bytes() == before


@pytest.mark.faults
def test_notebook_11_is_raced(monkeypatch, tmp_path):
    for name, value in {"RUNS": tmp_path, "ROUNDS": 1, "CPU_COUNT": 1}.items():
        monkeypatch.setattr(bench, name, value)
    assert bench.main() == 0
    (run,) = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["runs"]
    assert any(metric.endswith("_over_ours") for metric in run)
