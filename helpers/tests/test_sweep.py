"""Sweeps: what is run, repeated, reported and kept, while notebooks, workers, schedulers die."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell

from helpers import datasets, runs, sweeps
from helpers.tests.test_runs import write_notebook

REPORT = (
    "from helpers import runs\n"
    "runs.report(f'{hidden_units} units', double=2 * hidden_units, rate=rate, data=dataset)"
)
# Note the worker, which is the parent of this kernel; then wait for what the test does to it.
BEGIN = """\
import os, time
from pathlib import Path
with open(f'began-{hidden_units}', 'a') as file:
    print(os.getppid(), file=file)
"""
WAIT = """\
deadline = time.monotonic() + 60
while not Path('go').exists():
    assert time.monotonic() < deadline, 'nobody says go'
    time.sleep(0.02)
"""
KILL = "import signal\nif hidden_units == 3: os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"
NO_SIGKILL = pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def begun(folder):
    """Return for each run that began, by hidden_units, the workers it began on."""
    found = {int(path.name.split("-")[1]): path.read_text() for path in folder.glob("began-*")}
    return {n: [int(pid) for pid in text.split()] for n, text in found.items() if "\n" in text}


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Cluster:
    """A scheduler and workers in processes of their own, as started by hand on a command line."""

    def __init__(self, folder, threads):
        self.file = folder / "scheduler.json"
        self.environment = {k: v for k, v in os.environ.items() if k not in sweeps.FORWARDED}
        options = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        self.scheduler = self.start("dask_scheduler", *options)
        self.threads = threads  # of each worker
        self.workers = [self.start_worker(n) for n in threads]
        wait_until(self.is_up)

    def start(self, command, *options):
        command = [sys.executable, "-m", f"distributed.cli.{command}", *options]
        return subprocess.Popen(
            [*command, "--no-dashboard", "--scheduler-file", str(self.file)],
            env=self.environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def start_worker(self, threads):
        return self.start("dask_worker", "--no-nanny", "--nthreads", str(threads))

    def is_up(self):
        from distributed import Client

        if not self.file.exists() or not self.file.read_text().endswith("}"):
            return False
        self.address = json.loads(self.file.read_text())["address"]
        with Client(self.address, set_as_default=False) as client:
            return len(client.nthreads()) == len(self.workers)

    def repair(self):
        """Replace workers that a test has killed."""
        for i, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[i] = self.start_worker(self.threads[i])
        wait_until(self.is_up)

    def stop(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), threads=(2, 1))
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(shared_cluster):
    """Give a scheduler with two workers, one of them for two tasks at a time."""
    shared_cluster.repair()
    return shared_cluster


@pytest.fixture
def address(cluster):
    return cluster.address


@pytest.fixture
def start_cluster(tmp_path):
    """Give what starts a cluster for one test only."""
    clusters = []

    def start(threads):
        clusters.append(Cluster(tmp_path, threads))
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.stop()


@pytest.fixture
def folder(tmp_path):
    """Give a folder with one notebook, which reports and leaves a trace of each execution."""
    write_notebook(tmp_path / "some notebooks", "01_good", BEGIN, REPORT)
    return tmp_path / "some notebooks"


@pytest.fixture
def swept(tmp_path, folder):
    """Give the function `sweep` for the notebooks in `folder`, with results in ``out``."""

    def sweep(name, grid, progress=False, **options):
        return runs.sweep(
            name, grid, folder=folder, output_dir=tmp_path / "out", progress=progress, **options
        )

    return sweep


@pytest.fixture
def no_cluster(monkeypatch):
    """Refuse to start or look for a cluster."""

    def refuse(*_):
        raise AssertionError("a run was to be executed")

    monkeypatch.setattr(sweeps, "_client", refuse)


# ------------------------------------------------------------------------------------- the grid


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({}, ValueError, "grid is empty, expected at least one parameter"),
        ([("rate", [1])], TypeError, r"grid is \[.*expected a mapping"),
        ({"rate": 0.1}, TypeError, r"grid\['rate'\] is 0.1, expected a list"),
        ({"dataset": "digits"}, TypeError, r"grid\['dataset'\] is 'digits', expected a list"),
        ({"rate": []}, ValueError, r"grid\['rate'\] is empty"),
        ({"rate": np.array([])}, ValueError, r"grid\['rate'\] is empty"),
        ({"rate": [1, "1.0"]}, ValueError, r"grid\['rate'\] has 1.0 twice"),
        ({"units": [1]}, ValueError, "01_good has no parameter 'units'; it has: hidden_units"),
        ({"hidden_units": [1, 2.5]}, ValueError, "hidden_units of 01_good is 2.5, expected int"),
        ({"status": ["ok"]}, ValueError, "'status', which is the name of a column"),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_starts(swept, no_cluster, grid, error, message):
    with pytest.raises(error, match=message):
        swept("01_good", grid)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, ValueError, "workers is 0, expected a whole number"),
        ({"workers": 1.5}, ValueError, "workers is 1.5, expected a whole number"),
        ({"workers": 2, "scheduler": "tcp://a:1"}, ValueError, "the workers of tcp://a:1 are"),
        ({"scheduler": 8786}, TypeError, "scheduler is 8786, expected an address"),
    ],
)
def test_a_cluster_that_cannot_be_meant_is_refused(swept, no_cluster, options, error, message):
    with pytest.raises(error, match=message):
        swept("01_good", {"rate": [1]}, **options)


def test_every_combination_is_run_the_last_parameter_varying_fastest(folder):
    grid = {"hidden_units": np.array([2, 1]), "rate": ["1", 0.5], "verbose": (True,)}
    points = sweeps._points(runs.notebook_path("01_good", folder), grid)
    assert [(p["hidden_units"], p["rate"]) for p in points] == [
        (2, 1.0),
        (2, 0.5),
        (1, 1),
        (1, 0.5),
    ]
    assert {(type(p["hidden_units"]), type(p["rate"]), p["verbose"]) for p in points} == {
        (int, float, True)
    }


def test_a_run_is_called_by_its_parameters_whatever_their_order():
    assert sweeps._label({"rate": 1e-05, "epochs": 3}) == "epochs=3,rate=1e-05"
    assert sweeps._label({"epochs": 3, "rate": 1e-05}) == "epochs=3,rate=1e-05"
    assert sweeps._label({"on": True, "dataset": "digits"}) == "dataset=digits,on=true"


def test_names_of_runs_are_distinct_short_and_safe_on_every_file_system():
    texts = [
        "relu",
        "Relu",
        "RELU",
        "re/lu",
        "re:lu",
        "re_lu",
        "..",
        "x.failed",
        "x" * 300,
        "x" * 301,
    ]
    texts += ["", "a,b=c", "ü", 'con"?*<>|', "trailing. "]
    labels = [sweeps._label({"act": text}) for text in texts]
    assert labels[0] == "act=relu"
    assert len({label.lower() for label in labels}) == len(texts)
    assert all(re.fullmatch(r"[A-Za-z0-9_=,+.-]{1,100}", label) for label in labels)
    assert not any(label.endswith((".", ".failed", ".partial")) for label in labels)
    assert sweeps._label({"n": 1}).lower() != sweeps._label({"N": 1}).lower()


# -------------------------------------------------------------------------- on a cluster of its own


@NO_SIGKILL
@pytest.mark.faults
def test_a_local_sweep_reports_runs_that_fail_or_kill_their_worker_and_finishes_the_others(
    folder, swept, tmp_path, monkeypatch
):
    threads = "runs.report('seen', **{name: os.environ[name] for name in " + repr(
        sweeps.BLAS_THREADS) + "})"  # fmt: skip
    fails = "if hidden_units == 2: raise KeyError('W1')"
    write_notebook(folder, "02", BEGIN, fails, KILL, "from helpers import runs\n" + threads)
    for name in sweeps.BLAS_THREADS:
        monkeypatch.delenv(name, raising=False)
    table = swept("02", {"hidden_units": [2, 3, 4]}, workers=2)

    assert list(table.status) == ["failed", "lost", "ok"]
    out = tmp_path / "out" / "02"
    names = ["hidden_units=2.failed.ipynb", "hidden_units=3.failed.ipynb", "hidden_units=4.ipynb"]
    assert sorted(path.name for path in out.iterdir()) == [*names, "table.csv"]
    assert list(table.output) == [str(out.resolve() / name) for name in names]
    assert table.error[0].startswith("02, cell 4 of 6 (id id-4")
    assert table.error[0].endswith("KeyError: 'W1'")
    assert table.error[1] == "02: its worker died, also when repeated"
    assert table.error[2] == ""
    assert {n: len(pids) for n, pids in begun(folder).items()} == {2: 1, 3: 2, 4: 1}
    # Two workers share the cores of this machine.
    assert set(table.loc[2, list(sweeps.BLAS_THREADS)]) == {str(max(1, sweeps.cores() // 2))}


@NO_SIGKILL
@pytest.mark.faults
def test_ctrl_c_keeps_finished_runs_and_leaves_neither_partial_notebooks_nor_processes(tmp_path):
    source = f"{BEGIN}if hidden_units == 2:\n    Path('kernel').write_text(f'{{os.getpid()}}\\n')\n"
    write_notebook(tmp_path / "notebooks", "slow", f"{source}    time.sleep(60)")
    command = [sys.executable, "-m", "helpers.runs", "sweep", "slow", "hidden_units=1,2,3"]
    command += ["dataset=digits", "--workers", "1", "--output-dir", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, "--folder", str(tmp_path / "notebooks")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A shell that runs the tests in its background makes its children ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    kernel = tmp_path / "notebooks" / "kernel"
    wait_until(lambda: process.poll() or (kernel.exists() and kernel.read_text().endswith("\n")))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all processes of the sweep
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted: finished runs are kept" in err
    assert "Traceback" not in err
    wait_until(lambda: not is_alive(int(kernel.read_text())), seconds=10)
    wait_until(
        lambda: not any(is_alive(pid) for pids in begun(kernel.parent).values() for pid in pids)
    )
    done = "dataset=digits,hidden_units=1.ipynb"
    assert sorted(p.name for p in (tmp_path / "out/slow").iterdir()) == [done, "table.csv"]
    assert list(pd.read_csv(tmp_path / "out/slow/table.csv").hidden_units) == [1]


# --------------------------------------------------------------- on workers started separately


def test_the_table_has_parameters_metrics_seconds_and_status_and_is_written(
    swept, address, tmp_path, capsys
):
    grid = {"hidden_units": [2, 1], "dataset": ["digits"]}
    table = swept("01_good", grid, scheduler=address, progress=True)
    assert "01_good: 100%" in (shown := capsys.readouterr().err)
    assert "2/2" in shown
    assert list(table.columns) == [
        "hidden_units", "dataset", "data", "double", "metric_rate", *sweeps.COLUMNS
    ]  # fmt: skip
    assert list(table.hidden_units) == [2, 1]
    assert list(table.double) == [4, 2]
    assert (table.seconds > 0).all()
    assert [runs.read_metrics(output)["double"] for output in table.output] == [4, 2]
    written = pd.read_csv(tmp_path / "out" / "01_good" / "table.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(written, table, check_dtype=False)


def test_finished_runs_are_not_repeated_until_the_code_changes(
    swept, address, folder, tmp_path, monkeypatch
):
    swept("01_good", {"hidden_units": [1]}, scheduler=address)
    first = swept("01_good", {"hidden_units": [1, 2]}, scheduler=address)
    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "_client", None)
        again = swept("01_good", {"hidden_units": ["1", 2]})
        other = swept("01_good", {"hidden_units": [2]})
    pd.testing.assert_frame_equal(again, first)
    assert len(other) == 1
    csv = tmp_path / "out" / "01_good" / "table.csv"
    assert list(pd.read_csv(csv).hidden_units) == [1, 2], "a row of an earlier grid is lost"
    assert {n: len(pids) for n, pids in begun(folder).items()} == {1: 1, 2: 1}

    path = folder / "01_good.ipynb"
    path.write_text(path.read_text().replace("2 * hidden_units", "5 * hidden_units"))
    changed = swept("01_good", {"hidden_units": [2]}, scheduler=address)
    assert list(changed.double) == [10]
    assert {n: len(pids) for n, pids in begun(folder).items()} == {1: 1, 2: 2}
    assert list(pd.read_csv(csv).hidden_units) == [2], "a row stands for code that is gone"


def test_only_code_and_parameters_decide_whether_a_run_is_finished(folder):
    path = runs.notebook_path("01_good", folder)
    run = sweeps._Run(path, {"hidden_units": 1, "rate": 0.1}, folder / "result.ipynb")
    nb = runs._read(path)
    code = sweeps._code(nb)
    assert not sweeps._is_finished(run, code)
    nb.metadata["papermill"] = {"parameters": dict(run.values)}
    nb.cells[0].source = "# Another title"
    injected = new_code_cell("rate = 0.1", metadata={"tags": ["injected-parameters"]})
    nb.cells.insert(2, injected)
    runs._write(nb, run.output)
    assert sweeps._is_finished(run, code)
    assert not sweeps._is_finished(run, [*code, "1"])
    assert not sweeps._is_finished(sweeps._Run(path, {"hidden_units": 1}, run.output), code)
    run.output.write_text("{")
    assert not sweeps._is_finished(run, code)


def test_parameters_are_compared_as_a_notebook_stores_them(folder):
    """A tuple comes back as a list, and nan is not equal to itself."""
    values = {"sizes": (1, 2), "rate": float("nan")}
    run = sweeps._Run(folder / "01_good.ipynb", values, folder / "result.ipynb")
    nb = runs._read(run.path)
    nb.metadata["papermill"] = {"parameters": values}
    runs._write(nb, run.output)
    assert sweeps._is_finished(run, sweeps._code(nb))


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({}, {"3"}),
        ({"OMP_NUM_THREADS": "1"}, {"1"}),
        (dict.fromkeys(sweeps.BLAS_THREADS, "2"), {"2"}),
    ],
)
def test_the_number_of_threads_is_ours_unless_the_environment_says_it(given, counts):
    assert set(sweeps.thread_counts(3, given).values()) == counts
    mixed = sweeps.thread_counts(3, {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"})
    assert mixed["OPENBLAS_NUM_THREADS"] == "2"
    assert mixed["MKL_NUM_THREADS"] == "1"


@pytest.mark.faults
def test_a_local_cluster_leaves_the_number_of_threads_to_us(folder, swept, monkeypatch):
    """Dask would set it to 1, in the process that sweeps and for every run."""
    for name in sweeps.BLAS_THREADS:
        monkeypatch.delenv(name, raising=False)
    seen = "runs.report('seen', threads=int(os.environ['OPENBLAS_NUM_THREADS']))"
    write_notebook(folder, "02", BEGIN, f"from helpers import runs\n{seen}")
    table = swept("02", {"hidden_units": [1]}, workers=1)
    assert list(table.threads) == [sweeps.cores()]
    assert not set(sweeps.BLAS_THREADS) & set(os.environ)


def test_a_table_that_cannot_be_read_or_written_loses_no_result(swept, address, tmp_path):
    table = swept("01_good", {"hidden_units": [1]}, scheduler=address)
    csv = Path(tmp_path / "out" / "01_good" / "table.csv")
    csv.write_bytes(csv.read_bytes().replace(b"mnist", b"Z\xfcrich"))  # as a spreadsheet saves it
    both = swept("01_good", {"hidden_units": [1, 2]}, scheduler=address)
    assert list(both.hidden_units) == [1, 2]
    csv.unlink()
    csv.mkdir()
    with pytest.warns(UserWarning, match=r"table\.csv is not written"):
        again = swept("01_good", {"hidden_units": [1]}, scheduler=address)
    pd.testing.assert_frame_equal(again, table)


def test_a_worker_runs_one_notebook_at_a_time_with_the_variables_of_the_caller(
    swept, address, folder, monkeypatch, tmp_path
):
    source = f"{BEGIN}start = time.time(); time.sleep(0.3)\nfrom helpers import runs\n"
    source += "seen = {name: os.environ[name] for name in ('MNIST_DIR', 'OMP_NUM_THREADS')}\n"
    source += (
        "runs.report('x', start=repr(start), end=repr(time.time()), worker=os.getppid(), **seen)"
    )
    write_notebook(folder, "02", source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DIR", "digits of mine")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    table = swept("02", {"hidden_units": [1, 2, 3]}, scheduler=address)
    assert list(table.status) == ["ok"] * 3
    assert set(table.MNIST_DIR) == {str(tmp_path / "digits of mine")}
    assert set(table.OMP_NUM_THREADS) == {"7"}
    table = table.assign(start=table.start.astype(float), end=table.end.astype(float))
    for _, runs_there in table.sort_values("start").groupby("worker"):
        assert (runs_there.start.iloc[1:].to_numpy() > runs_there.end.iloc[:-1].to_numpy()).all()


@NO_SIGKILL
def test_a_run_whose_worker_is_killed_is_repeated_and_the_others_are_not(
    swept, cluster, folder, tmp_path
):
    write_notebook(folder, "02", BEGIN, WAIT, REPORT)
    killed = []

    def kill_a_worker_when_both_are_at_work():
        wait_until(lambda: len(begun(folder)) == 2)
        killed.append(min(begun(folder)))
        (pid,) = begun(folder)[killed[0]]
        assert pid in [worker.pid for worker in cluster.workers]
        os.kill(pid, signal.SIGKILL)
        (folder / "go").touch()

    thread = threading.Thread(target=kill_a_worker_when_both_are_at_work)
    thread.start()
    table = swept("02", {"hidden_units": [1, 2, 3]}, scheduler=cluster.address)
    thread.join()
    assert list(table.status) == ["ok", "ok", "ok"]
    assert list(table.double) == [2, 4, 6]
    assert {n: len(pids) for n, pids in begun(folder).items()} == {
        n: 2 if n == killed[0] else 1 for n in (1, 2, 3)
    }
    assert not list((tmp_path / "out").rglob("*partial*"))


@NO_SIGKILL
@pytest.mark.faults
def test_runs_for_which_no_worker_is_left_are_reported_with_what_there_is(
    swept, start_cluster, folder, monkeypatch
):
    write_notebook(folder, "02", BEGIN, KILL, REPORT)
    monkeypatch.setattr(sweeps, "NO_WORKER_SECONDS", 0.5)
    cluster = start_cluster(threads=(1,))
    table = swept("02", {"hidden_units": [3, 4]}, scheduler=cluster.address)
    assert "lost" in set(table.status)
    lost = table[table.status == "lost"]
    assert set(lost.error) == {"02: no worker was left to run it"}
    assert table.output[0].endswith("hidden_units=3.failed.ipynb")
    assert "os.kill" in Path(table.output[0]).read_text()


@NO_SIGKILL
@pytest.mark.faults
def test_when_the_scheduler_dies_runs_are_reported_and_finished_ones_kept(
    swept, start_cluster, folder, monkeypatch
):
    write_notebook(folder, "02", BEGIN, "if hidden_units == 2: time.sleep(60)", REPORT)
    monkeypatch.setattr(sweeps, "CONNECT_SECONDS", 3)
    cluster = start_cluster(threads=(1,))

    def kill_the_scheduler():
        wait_until(lambda: 2 in begun(folder))
        cluster.scheduler.kill()

    thread = threading.Thread(target=kill_the_scheduler)
    thread.start()
    table = swept("02", {"hidden_units": [1, 2]}, scheduler=cluster.address)
    thread.join()
    assert list(table.status) == ["ok", "lost"]
    assert table.error[1] == "02: the connection to the scheduler was lost"
    assert table.output[1].endswith("hidden_units=2.failed.ipynb")


def test_a_scheduler_that_does_not_answer_is_named_soon(swept, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "CONNECT_SECONDS", 1)
    with pytest.raises(ConnectionError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        swept("01_good", {"rate": [1]}, scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()


def test_a_scheduler_without_workers_is_named_with_the_remedy(swept, monkeypatch, start_cluster):
    monkeypatch.setattr(sweeps, "FIRST_WORKER_SECONDS", 0.5)
    address = start_cluster(threads=()).address
    with pytest.raises(TimeoutError, match=f"{address} has no worker.*dask worker {address}"):
        swept("01_good", {"rate": [1]}, scheduler=address)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"tcp://a": True, "tcp://b": False}, "worker tcp://b does not see"),
        (ModuleNotFoundError("No module named 'helpers'"), "cannot import.*helpers"),
    ],
)
def test_workers_that_lack_the_helpers_or_the_files_are_refused(answer, message):
    class Client:
        def run(self, function, *arguments):
            if isinstance(answer, Exception):
                raise answer
            return answer

    with pytest.raises(RuntimeError, match=message):
        sweeps._check_shared(Client(), Path("notebook"), Path("target"))


# -------------------------------------------------------------------------------- the command line


def test_the_command_prints_the_table_the_counts_and_the_failures(folder, address, tmp_path, capfd):
    write_notebook(folder, "02", "assert hidden_units < 3, 'too many'", REPORT)
    options = ["--folder", str(folder), "--output-dir", str(tmp_path / "out")]
    command = ["sweep", "02", "hidden_units=2", "dataset=digits"]
    assert runs.main([*command, "--workers", "1", *options]) == 0  # a cluster of its own
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 2
    assert "hidden_units dataset" in out.splitlines()[0]
    assert "1 run: 1 ok; table: " in err
    command[2] = "hidden_units=2,3"
    assert runs.main([*command, "--scheduler", address, *options]) == 1
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 3
    assert "2 runs: 1 failed, 1 kept from before; table: " in err
    told = "FAILED 02, cell 3 of 4.*AssertionError: too many; partial notebook: .*3.failed.ipynb"
    assert re.fullmatch(told, err.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["03_none", "rate=1"], "there is no notebook '03_none'; there are: 01_good"),
        (["01_good", "units=1"], "01_good has no parameter 'units'; it has: hidden_units (int)"),
        (["01_good", "rate"], "'rate' is no part of a grid, expected PARAMETER=VALUE"),
        (["01_good", "rate="], "parameter rate of 01_good is '', expected float"),
        (["01_good", "rate=1", "rate=2"], "the grid has rate twice"),
        (["01_good", "rate=1,1.0"], "grid['rate'] has 1.0 twice"),
        (["01_good", "dataset=digits", "--workers", "0"], "workers is 0"),
    ],
)
def test_the_command_refuses_a_wrong_sweep_before_running_anything(
    folder, tmp_path, capsys, no_cluster, arguments, message
):
    options = ["--folder", str(folder), "--output-dir", str(tmp_path / "out")]
    assert runs.main(["sweep", *arguments, *options]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {message}")
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_the_command_without_mnist_says_what_to_do(folder, capsys, no_cluster, monkeypatch):
    def fail():
        raise datasets.DatasetError("no network")

    monkeypatch.setattr(datasets, "mnist_available", lambda: None)
    monkeypatch.setattr(datasets, "fetch_mnist", fail)
    assert runs.main(["sweep", "01_good", "rate=1", "--folder", str(folder)]) == 2
    remedy = "01_good needs MNIST: `make data` fetches it; or add dataset=digits"
    assert remedy in capsys.readouterr().err
    grid = ["rate=1", "dataset=digits,mnist"]
    assert runs.main(["sweep", "01_good", *grid, "--folder", str(folder)]) == 2
    assert remedy in capsys.readouterr().err
