"""The benchmark: what it writes, what it says of missing peers, and what a failure leaves."""

import json
import os
import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from helpers import bench, runs, sweeps

METRICS = {
    "threads": 1,
    "final_ratio": 1.1,
    "missing": "JAX",
    "digits_pytorch_eager_us": 900.0,
    "digits_pytorch_eager_over_ours": 1.5,
}


@pytest.fixture
def called(monkeypatch):
    """Replace the run of the notebook; the calls are collected."""
    calls = []

    def run_notebook(name, parameters, output_dir, progress):
        calls.append((name, parameters))
        metrics = METRICS | {"threads": parameters["threads"]}
        return runs.RunResult(name, "ok", 1.0, parameters, "headline", metrics)

    monkeypatch.setattr(runs, "run_notebook", run_notebook)
    return calls


def test_every_number_of_threads_is_raced_once(called, tmp_path):
    bench.bench(tmp_path, [1, 3, 1], rounds=5)
    assert [parameters["threads"] for _, parameters in called] == [1, 3]
    assert all(parameters["rounds"] == 5 for _, parameters in called)


def test_the_file_names_machine_versions_threads_and_ratios(called, tmp_path):
    result = bench.bench(tmp_path, [1, 2])
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert written == result
    assert written["machine"]["processor"]
    assert written["machine"]["cores"] >= 1
    assert set(written["versions"]) == set(bench.PACKAGES)
    assert [run["threads"] for run in written["runs"]] == [1, 2]
    assert written["runs"][0]["digits_pytorch_eager_over_ours"] == 1.5
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


def test_a_package_that_is_not_installed_is_named_as_missing(monkeypatch):
    def no_jax(name):
        if name == "jax":
            raise PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(bench, "version", no_jax)
    assert bench.versions()["jax"] == "missing"
    assert bench.versions()["numpy"] == "1.2"


def test_the_summary_shows_ratios_and_missing_peers(called, tmp_path):
    text = bench.summary(bench.bench(tmp_path, [1]))
    assert "threads: 1" in text
    assert "digits pytorch eager" in text
    assert "1.50 times our time" in text
    assert "missing, not installed: JAX" in text


def test_a_failure_leaves_the_earlier_result_and_says_where_it_failed(
    monkeypatch, tmp_path, capsys
):
    (tmp_path / "bench.json").write_text("earlier")

    def fail(*_, **__):
        raise runs.NotebookError("cell 3 failed")

    monkeypatch.setattr(runs, "run_notebook", fail)
    with pytest.raises(runs.NotebookError):
        bench.bench(tmp_path, [1])
    assert (tmp_path / "bench.json").read_text() == "earlier"
    assert bench.main() == 1
    assert "FAILED cell 3 failed" in capsys.readouterr().err


def test_the_command_prints_the_table_and_says_where_the_result_is(
    called, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(bench.runs, "RUNS", tmp_path)
    assert bench.main() == 0
    said = capsys.readouterr().out
    assert "digits pytorch eager" in said
    written = Path(re.search("written to (.*)", said)[1])
    assert os.path.samefile(written, tmp_path / "bench.json")
    raced = json.loads(written.read_text(encoding="utf-8"))["runs"]
    assert [run["threads"] for run in raced] == sorted({1, sweeps.cores()})


def test_an_interruption_leaves_the_earlier_result(monkeypatch, tmp_path, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "bench.json").write_text("earlier")
    monkeypatch.setattr(bench.runs, "RUNS", tmp_path)
    monkeypatch.setattr(runs, "run_notebook", interrupt)
    assert bench.main() == 130
    assert "Interrupted" in capsys.readouterr().err
    assert (tmp_path / "bench.json").read_text() == "earlier"


def test_a_system_that_does_not_name_its_processor_in_a_file_still_has_one(monkeypatch):
    def no_such_file(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", no_such_file)
    monkeypatch.setattr(bench.platform, "processor", lambda: "")
    monkeypatch.setattr(bench.platform, "machine", lambda: "riscv64")
    assert bench.machine()["processor"] == "riscv64"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"threads": [0]}, "threads is 0"), ({"threads": [1], "rounds": 0}, "rounds is 0")],
)
def test_counts_below_one_are_refused_before_anything_runs(called, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        bench.bench(tmp_path, **arguments)
    assert not called


def test_the_notebook_of_the_benchmark_has_its_parameters():
    path = runs.notebook_path(bench.NOTEBOOK)
    assert {"threads", "rounds"} <= set(runs.notebook_parameters(path))
