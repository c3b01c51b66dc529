"""`make run`, `make execute` and `make sweep`, killed at random moments of their work.

Everything happens in a copy of the project with small notebooks. Each command is first left to
finish, to learn how long it takes. Then it is killed at moments spread over this time. After each
kill no notebook is damaged and nothing half-done could be taken for a result; and the next
undisturbed run completes.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import runs

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals to process groups"),
    pytest.mark.skipif(not shutil.which("make"), reason="make is not installed"),
]
SOURCES = [
    "steps: int = 4  # to sleep",
    "import time\nfrom helpers import runs\nstamp = str(time.time_ns())\nprint(stamp)",
    "for step in range(steps):\n    time.sleep(0.1)",
    "runs.report(f'{steps} steps', stamp=stamp)",
]
KILLS = 3  # of each command with each signal


class Project:
    """A copy of the project with two notebooks, and its commands."""

    def __init__(self, root):
        self.root, self.notebooks, self.runs = root, root / "notebooks", root / "runs"
        for part in ("helpers", ".ci"):
            ignored = shutil.ignore_patterns("tests", "__pycache__")
            shutil.copytree(runs.ROOT / part, root / part, ignore=ignored)
        shutil.copy(runs.ROOT / "Makefile", root)
        self.notebooks.mkdir()
        cells = [new_code_cell(source) for source in SOURCES]
        cells[0].metadata["tags"] = ["parameters"]
        for name in ("01_first", "02_second"):
            nbformat.write(new_notebook(cells=cells), self.notebooks / f"{name}.ipynb")

    def start(self, action):
        line = ["make", action, "VENV=none", f"PYTHON={sys.executable}"]
        if action == "sweep":
            line += ["NB=1", "GRID=steps=2,3,4,5", "WORKERS=2"]
        return subprocess.Popen(
            line,
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root), "MAKEFLAGS": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # A shell that runs the tests in its background makes its children ignore SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    @cache  # noqa: B019 - there is one project
    def seconds(self, action):
        """Return how long a command takes when nobody disturbs it."""
        started = time.monotonic()
        assert self.start(action).wait() == 0
        return time.monotonic() - started

    def kill(self, action, kind, after):
        """Kill a command, return once all its processes are gone, and whether it was at work."""
        process = self.start(action)
        time.sleep(after)
        at_work = process.poll() is None
        if at_work:
            os.killpg(process.pid, kind)
        process.wait()
        while any(map(self.is_here, Path("/proc").glob("[0-9]*"))):  # on Linux
            time.sleep(0.05)
        return at_work

    def is_here(self, process):
        with suppress(OSError):  # it has ended
            return (process / "cwd").readlink().is_relative_to(self.root)
        return False


def is_complete(path):
    """Whether a notebook is the whole result of one execution."""
    nb = nbformat.read(path, as_version=4)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    printed = "".join(o.text for cell in code for o in cell.outputs if o.output_type == "stream")
    return runs.read_report(nb)[1].get("stamp") == printed.strip() != ""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("killed") / "a project")


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("action", ["run", "execute", "sweep"])
def test_killed_at_any_moment_it_damages_nothing_and_the_next_run_completes(project, action, kind):
    rng, seconds = random.Random(f"{action} {kind}"), project.seconds(action)
    for number in range(KILLS):
        shutil.rmtree(project.runs, ignore_errors=True)
        committed = {path: path.read_bytes() for path in project.notebooks.glob("*.ipynb")}
        after = seconds * 0.85 * (number + rng.random()) / KILLS
        assert project.kill(action, getattr(signal, kind), after) or number > 0, "came too late"
        for path, before in committed.items():
            assert path.read_bytes() == before or (action == "execute" and is_complete(path))
        files = [path for path in project.runs.rglob("*") if path.is_file()]
        results = [path for path in files if path.suffix == ".ipynb"]
        assert all(map(is_complete, results))
        files += project.notebooks.iterdir()
        assert kind == "SIGKILL" or not [path for path in files if path.suffix == ".tmp"]
    assert project.start(action).wait() == 0
    folder = project.notebooks if action == "execute" else project.runs
    done = list(folder.rglob("*.ipynb"))
    assert len(done) == (4 if action == "sweep" else 2)
    assert all(map(is_complete, done))


DIE = """
import os, pathlib, signal, sys
import nbformat
from helpers import runs

def write_half(nb, path):
    path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

nbformat.write = write_half
runs.write_notebook(None, pathlib.Path(sys.argv[1]))
"""


def test_killed_while_a_notebook_is_stored_the_old_one_stays_whole(tmp_path):
    path = tmp_path / "01.ipynb"  # random kills hardly ever meet this moment
    path.write_text("whole")
    assert subprocess.run([sys.executable, "-c", DIE, path]).returncode == -signal.SIGKILL
    assert path.read_text() == "whole"
