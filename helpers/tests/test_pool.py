"""Several notebooks at a time: together, in order, alone where they must, and never left behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import pool, runs, sweeps
from helpers.tests.test_runs import REPORT, write_notebook
from helpers.tests.test_sweep import NO_SIGKILL, is_alive, wait_until

# Note kernel and worker, then wait until `count` notebooks have begun.
MEET = """\
import json, os, time
from pathlib import Path
noted = {{"kernel": os.getpid(), "worker": os.getppid(), "threads": os.environ["OMP_NUM_THREADS"]}}
Path("{name}.tmp").write_text(json.dumps(noted))
os.replace("{name}.tmp", "{name}.began")
deadline = time.monotonic() + 60
while len(list(Path().glob("*.began"))) < {count} and time.monotonic() < deadline:
    time.sleep(0.02)
assert len(list(Path().glob("*.began"))) >= {count}, "alone"
"""


def meeting(folder, name, count, *more):
    """Write a notebook that goes on when `count` notebooks have begun."""
    source = MEET.format(name=name, count=count)
    replace_in(write_notebook(folder, name, source, *more), '\\"mnist\\"', '\\"moons\\"')


def replace_in(path, before, after):
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def began(folder):
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.began")}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "notebooks"


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    """Give `make run` on the notebooks of the test, two at a time."""
    for name in sweeps.BLAS_THREADS:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        options = ["--folder", str(folder), "--output-dir", str(tmp_path / "out"), "--jobs", "2"]
        return runs.main(["run", *arguments, *options])

    return run


@NO_SIGKILL
def test_notebooks_run_at_the_same_time_and_go_on_where_one_fails_or_its_worker_dies(
    folder, run, capsys
):
    ended = "from pathlib import Path\nassert Path('../out/04.ipynb').exists()"
    replace_in(write_notebook(folder, "01", ended, REPORT), "verbose", "scheduler")
    meeting(folder, "02", 2, "os.kill(os.getppid(), 9)")
    meeting(folder, "03", 2, "1 / 0")
    meeting(folder, "04", 3, REPORT)
    names = ["01", "02", "03", "04"]
    assert run(*names, "02", "-p", "hidden_units", "5", "-p", "dataset", "digits") == 1
    out, err = capsys.readouterr()
    # The one with workers of its own comes last; the summary is in the order of the notebooks.
    assert out.splitlines()[:4] == ["[1/4] 02", "[2/4] 03", "[3/4] 04", "[4/4] 01"]
    assert [line.split()[0] for line in out.splitlines()[5:]] == names
    assert out.count("5 units  (hidden_units=5, dataset=digits)") == 2
    assert "FAILED 02: its worker process ended with exit code -9" in err
    assert "FAILED 03, cell 4 of 4 (id id-4, `1 / 0`): ZeroDivisionError" in err
    assert err.count("FAILED") == out.count("FAILED") == 2

    notes = began(folder)
    assert {note["threads"] for note in notes.values()} == {str(max(1, sweeps.cores() // 2))}
    assert os.getpid() not in {note["worker"] for note in notes.values()}
    assert notes["02"]["worker"] not in (notes["03"]["worker"], notes["04"]["worker"])
    wait_until(lambda: not is_alive(notes["02"]["kernel"]), seconds=10)


def test_a_worker_that_is_not_needed_is_not_started(folder, run, monkeypatch):
    monkeypatch.setattr(pool, "_Worker", None)
    write_notebook(folder, "01", REPORT)
    assert run("01", "-p", "dataset", "digits") == 0


def test_a_worker_that_dies_before_it_is_asked_loses_its_notebook_only(folder, run, capsys):
    start = pool._Worker.start
    asked = []

    def start_when_dead(worker, call):
        asked.append(call)
        if len(asked) == 1:
            worker.process.kill()
            worker.process.join()
        start(worker, call)

    for name in ("01", "02", "03"):
        write_notebook(folder, name, REPORT)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pool._Worker, "start", start_when_dead)
        assert run("01", "02", "03", "-p", "dataset", "digits") == 1
    out, err = capsys.readouterr()
    assert out.count("3 units") == 2
    assert err.count("FAILED") == 1
    assert "FAILED 01: its worker process ended" in err


def test_what_a_worker_could_not_clear_away_goes_with_an_interruption(folder, tmp_path):
    """On Windows a process that is terminated has no chance to."""
    path = write_notebook(folder, "01", REPORT)
    partial = tmp_path / "out" / "01.partial.ipynb"

    def interrupted(_):
        if partial.exists():
            raise KeyboardInterrupt
        partial.parent.mkdir()
        partial.write_text("half")

    calls = [(path, {"dataset": "digits"}, tmp_path / "out"), (path, {}, tmp_path / "elsewhere")]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pool._Worker, "start", lambda worker, call: setattr(worker, "call", call))
        with pytest.raises(KeyboardInterrupt):
            list(pool.run_notebooks(calls, 2, interrupted))
    assert not partial.exists()


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5", ""])
def test_another_number_of_jobs_is_refused(run, capsys, jobs):
    with pytest.raises(SystemExit):
        run("--jobs", jobs)
    assert f"argument --jobs: {jobs!r}, expected a whole number of at least 1" in (
        capsys.readouterr().err
    )


@pytest.mark.faults
@NO_SIGKILL
@pytest.mark.parametrize(
    ("kind", "to_all"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGKILL, False)],
    ids=["Ctrl-C", "terminated", "killed"],
)
def test_an_interruption_ends_workers_and_kernels_and_leaves_no_result(
    folder, tmp_path, kind, to_all
):
    for name in ("01", "02"):
        meeting(folder, name, 3)
    output = tmp_path / "out"
    options = ["--folder", str(folder), "--output-dir", str(output), "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "helpers.runs", "run", *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
        # A shell that runs the tests in its background makes its children ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    wait_until(lambda: process.poll() is not None or len(began(folder)) == 2)
    (os.killpg if to_all else os.kill)(process.pid, kind)
    _, err = process.communicate(timeout=60)
    ids = [note[who] for note in began(folder).values() for who in ("kernel", "worker")]
    assert len(ids) == 4
    wait_until(lambda: not any(map(is_alive, ids)), seconds=20)
    left = sorted(Path(path).suffixes for path in output.iterdir())
    if kind == signal.SIGKILL:
        assert left == [[".partial", ".ipynb"]] * 2
    else:
        assert process.returncode == 130
        assert err.strip() == "Interrupted: the notebooks at work left nothing behind."
        assert left == []
