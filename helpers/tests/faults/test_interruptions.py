"""`make run`, `make execute`, `make data` and a sweep, killed at random moments of their work.

Everything happens in a copy of the project with small notebooks and stand-ins for MNIST. Each
command is first left to finish, to learn how long it takes. Then it is killed with each signal at
moments spread over this time, which a fixed seed draws. After each kill no notebook is damaged and
nothing half-done could be taken for a result; and the next undisturbed run completes.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import datasets, runs
from helpers.tests.mirrors import StandIns, found, mirror, send

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals to process groups"),
    pytest.mark.skipif(not shutil.which("make"), reason="make is not installed"),
]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
GENTLE = (signal.SIGINT, signal.SIGTERM)  # these leave time to clean up

# ------------------------------------------------------------------------------ a project to kill

SOURCES = [
    "steps: int = 4  # to sleep",
    "import time\nfrom helpers import runs\nstamp = str(time.time_ns())\nprint(stamp)",
    "for step in range(steps):\n    time.sleep(0.1)",
    "runs.report(f'{steps} steps', stamp=stamp)",
]


def write_notebook(path):
    cells = [new_code_cell(source) for source in SOURCES]
    cells[0].metadata["tags"] = ["parameters"]
    cells.insert(0, new_markdown_cell("# Sleep a little"))
    for number, cell in enumerate(cells):
        cell["id"] = f"id-{number}"
    nbformat.write(new_notebook(cells=cells), path)


def is_complete(path):
    """Whether a notebook is the whole result of one execution."""
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    printed = "".join(o.text for cell in code for o in cell.outputs if o.get("name") == "stdout")
    counted = [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    return counted and runs.read_metrics(nb).get("stamp") == printed.strip()


STAND_INS = StandIns(
    {
        "train-images-idx3-ubyte": np.random.default_rng(0).integers(0, 256, (2000, 28, 28)),
        "train-labels-idx1-ubyte": np.arange(2000) % 10,
        "t10k-images-idx3-ubyte": np.random.default_rng(1).integers(0, 256, (500, 28, 28)),
        "t10k-labels-idx1-ubyte": np.arange(500) % 10,
    }
)


def slow(body):
    """Send in pieces, so that the transfers take a second or two."""

    def answer(handler):
        send(handler, b"", length=len(body))
        for start in range(0, len(body), 1 << 16):
            handler.wfile.write(body[start : start + (1 << 16)])
            time.sleep(0.03)

    return answer


class Project:
    """A copy of the project, and its commands as the Makefile runs them."""

    def __init__(self, root, mirror_url):
        self.root, self.notebooks, self.runs = root, root / "notebooks", root / "runs"
        self.mnist = root / "data" / "mnist"
        ignore = shutil.ignore_patterns("tests", "__pycache__")
        shutil.copytree(runs.ROOT / "helpers", root / "helpers", ignore=ignore)
        shutil.copy(runs.ROOT / "Makefile", root)
        self.notebooks.mkdir()
        for name in ("01_first", "02_second"):
            write_notebook(self.notebooks / f"{name}.ipynb")
        self.use_stand_ins(mirror_url)
        self.temporary = root.parent / "temporary"
        self.temporary.mkdir()

    def use_stand_ins(self, url):
        path = self.root / "helpers" / "datasets.py"
        source = path.read_text(encoding="utf-8")
        assert source.count("\nMNIST_HOME = ") == 1
        source = source.replace(
            "\nMNIST_HOME = ",
            f"\nMNIST_FILES = {STAND_INS.files}\nMNIST_MIRRORS = ({url!r},)\nMNIST_HOME = ",
        )
        path.write_text(source, encoding="utf-8")

    def start(self, action):
        command = ["make", action, "VENV=none", f"PYTHON={sys.executable}"]
        if action == "sweep":
            options = ["--workers", "2", "--output-dir", str(self.runs)]
            command = [sys.executable, "-m", "helpers.runs", "sweep", "01_first", "steps=2,3,4,5"]
            command += options
        outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
        environment = {k: v for k, v in os.environ.items() if k not in outer} | {
            "PYTHONPATH": str(self.root),  # before an installed helpers, in the kernels too
            "TMPDIR": str(self.temporary),
            "JUPYTER_RUNTIME_DIR": str(self.temporary),
            "no_proxy": "*",
        }
        with open(self.root.parent / "log", "wb") as log:
            return subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=log,
                start_new_session=True,
                # A shell that runs the tests in its background has its children ignore SIGINT.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def finish(self, action):
        """Run undisturbed, and return how long it takes."""
        started = time.monotonic()
        status = self.start(action).wait(timeout=300)
        assert status == 0, (self.root.parent / "log").read_text()
        return time.monotonic() - started

    def kill(self, action, kind, after):
        """Kill a command and its children, and return once all it started is gone.

        Return False if it has finished before, as it may on a machine that was busier at first.
        """
        process = self.start(action)
        time.sleep(after)
        if process.poll() is not None:
            return False
        os.killpg(process.pid, kind)
        process.wait(timeout=60)
        deadline = time.monotonic() + 60
        while left := self.processes():
            assert time.monotonic() < deadline, f"still running after {kind.name}: {left}"
            time.sleep(0.05)
        return True

    def processes(self):
        """Return the command lines of all processes at work in the copy, where Linux tells."""
        left = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if Path(os.readlink(process / "cwd")).is_relative_to(self.root):
                    left.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:  # it has ended meanwhile
                continue
        return left

    def files(self, folder):
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    served = {name: slow(body) for name, body in STAND_INS.packed.items()}
    with mirror(served) as server:
        yield Project(tmp_path_factory.mktemp("killed") / "a project", server.url)


# --------------------------------------------------------------------------- what may be left over


def assert_nothing_damaged(project, action, kind, committed):
    """Assert what holds after any kill; return the left-overs in words."""
    notebooks, left = found(project.notebooks), []
    for name, content in notebooks.items():
        if name.endswith(".tmp"):  # hidden, and overwritten by the next execution
            assert kind not in GENTLE
            left.append(name)
        elif action != "execute" or content != committed[name]:
            assert action == "execute" or content == committed[name], f"{name} was changed"
            assert action != "execute" or is_complete(project.notebooks / name)
    assert set(committed) <= set(notebooks)
    for name in project.files(project.runs):
        if name.endswith(".ipynb") and not name.endswith((".partial.ipynb", ".failed.ipynb")):
            assert is_complete(project.runs / name), name
        elif not name.endswith(".csv"):
            left.append(name)
    for name, content in found(project.mnist).items():
        if name.endswith(".tmp"):
            assert kind not in GENTLE
            left.append("a temporary file of MNIST")
        else:
            assert content == STAND_INS.packed[name], f"{name} is damaged"
    return ", ".join(left) or "nothing"


def assert_done(project, action, before):
    """Assert that the undisturbed command did all its work and cleared up after the killed ones."""
    names = ["01_first.ipynb", "02_second.ipynb"]
    if action in ("run", "execute"):
        folder = project.runs if action == "run" else project.notebooks
        assert project.files(folder) == names
        assert all(is_complete(folder / name) for name in names)
        assert all(found(folder)[name] != before.get(name) for name in names)
    elif action == "data":
        kept = {n: c for n, c in found(project.mnist).items() if not n.endswith(".tmp")}
        assert kept == STAND_INS.packed
    else:
        results = list((project.runs / "01_first").glob("*.ipynb"))
        assert len(results) == 4, project.files(project.runs)
        assert all(is_complete(path) for path in results)


KILLS_OF = {"run": 3, "execute": 3, "data": 3, "sweep": 2}  # with each signal
DURATIONS = {}  # seconds that a command takes undisturbed


def prepare(project, action):
    """Remove what finished runs left, where the command would find nothing to do."""
    if action == "data":
        shutil.rmtree(project.mnist, ignore_errors=True)
    if action == "sweep":
        shutil.rmtree(project.runs, ignore_errors=True)


@pytest.mark.parametrize("kind", SIGNALS, ids=lambda s: s.name)
@pytest.mark.parametrize("action", KILLS_OF)
def test_killed_at_any_moment_it_damages_nothing_and_the_next_run_completes(
    project, action, kind, record_property
):
    rng = random.Random(f"{action} {kind.name}")
    if action not in DURATIONS:
        prepare(project, action)
        DURATIONS[action] = project.finish(action)
    prepare(project, action)
    n_kills = KILLS_OF[action]
    for number in range(n_kills):
        committed = found(project.notebooks)
        after = DURATIONS[action] * 0.85 * (number + rng.random()) / n_kills
        while not project.kill(action, kind, after):
            after *= 0.7
            prepare(project, action)
            committed = found(project.notebooks)
        left = assert_nothing_damaged(project, action, kind, committed)
        record_property("kill", f"{action:8} {kind.name:8} {after:5.2f} s  left {left}")
    before = found(project.runs) if action == "run" else found(project.notebooks)
    project.finish(action)
    assert_done(project, action, {k: v for k, v in before.items() if v})


DIE = """
import os, signal, nbformat
from helpers import runs

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def write_half(nb, path):
    with open(path, "w") as file:
        file.write(nbformat.writes(nb)[:200])
    die()
"""
MOMENTS = {  # random kills hardly ever meet these
    "half written": "nbformat.write = write_half",
    "not yet renamed": "os.replace = die",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_a_notebook_is_stored_the_old_one_stays_whole(project, moment):
    before = found(project.notebooks)
    program = f"{DIE}{MOMENTS[moment]}\nruns.execute_in_place('01_first')"
    environment = os.environ | {"PYTHONPATH": str(project.root)}
    done = subprocess.run([sys.executable, "-c", program], cwd=project.root, env=environment)
    assert done.returncode == -signal.SIGKILL
    left = found(project.notebooks)
    assert left.pop(".01_first.ipynb.tmp")
    assert left == before
    project.finish("execute")
    assert_done(project, "execute", before)


def test_temporary_files_of_killed_fetches_go_when_they_are_old(project):
    long_ago = time.time() - 2 * datasets.STALE_AFTER
    project.mnist.mkdir(parents=True, exist_ok=True)
    (project.mnist / ".train-images-idx3-ubyte.1-ab.tmp").write_bytes(b"half")
    for path in project.mnist.glob(".*.tmp"):
        os.utime(path, (long_ago, long_ago))
    project.finish("data")
    assert found(project.mnist) == STAND_INS.packed
