"""`make run`, `make execute`, `make sweep`, and what a notebook reports."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dask
import nbformat
import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import commands
from helpers import datasets, runs

COMMANDS = Path(commands.__file__)
NAMES = runs.notebook_names()
POSIX = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")

PARAMETERS = """\
units: int = 3  # in the hidden layer
rate: float = 0.5
verbose: bool = False
dataset: str = "moons"
"""
REPORT = (
    "from helpers import runs\n"
    "runs.report(f'{units} units on {dataset}', double=2 * units, rate=rate, third=1 / 3)"
)
BEGIN = "from pathlib import Path\nPath(f'began-{units}').open('a').write('once ')\n"


def write_notebook(folder, name, *sources, parameters=PARAMETERS):
    """Write a notebook with a title, a parameters cell, and one cell for each source."""
    cells = [new_markdown_cell("# Try it"), new_code_cell(parameters)]
    cells[1].metadata["tags"] = ["parameters"]
    cells += [new_code_cell(source) for source in sources]
    for number, cell in enumerate(cells, 1):
        cell["id"] = f"id-{number}"
    path = folder / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Give the folder in which a test has its notebooks."""
    (tmp_path / "some {notebooks}").mkdir()
    return tmp_path / "some {notebooks}"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def command(folder, out):
    """Give the command line behind `make`, for the notebooks of the test."""

    def command(*arguments, program=(COMMANDS,), **environment):
        line = [sys.executable, *program, *arguments, "--folder", folder]
        line += [] if "--output-dir" in arguments else ["--output-dir", out]
        environment = os.environ | environment
        return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=600)

    return command


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# -------------------------------------------------------------------------- names and parameters


@pytest.mark.parametrize("name", ["10_mnist", "10", "notebooks/10_mnist.ipynb", "10_mnist.ipynb"])
def test_a_notebook_is_chosen_by_name_path_or_number(name):
    assert runs.notebook_path(name) == runs.NOTEBOOKS / "10_mnist.ipynb"


@pytest.mark.parametrize("name", ["03", "2", "mnist"])
def test_what_names_no_notebook_or_two_is_answered_with_the_known_ones(folder, name):
    for known in ("01_a", "02_a", "02_b"):
        write_notebook(folder, known)
    with pytest.raises(ValueError, match=rf"no notebook '{name}'; there are: 01_a, 02_a, 02_b"):
        runs.notebook_path(name, folder)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("units", "sixty", "int"),
        ("units", True, "int"),
        ("verbose", "false", "True or False"),
        ("dataset", 8, "str"),
    ],
)
def test_a_value_is_converted_to_the_annotated_type_or_refused(folder, name, value, expected):
    path = write_notebook(folder, "01")
    with pytest.raises(ValueError, match=f"parameter {name} is .*, expected {expected}"):
        runs.check_parameters(path, {name: value})
    given = {"units": np.int64(64), "rate": "2", "verbose": "True", "dataset": "64"}
    checked = runs.check_parameters(path, given)
    assert list(map(repr, checked.values())) == ["64", "2.0", "True", "'64'"]


def assigned_but_not_read(path):
    """Return the names in the parameters cell that papermill misses, as after a second `=`."""
    cells = nbformat.read(path, 4).cells
    (cell,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assigned = [node.target.id for node in ast.parse(cell.source).body]
    return set(assigned) - set(runs.notebook_parameters(path))


# ----------------------------------------------------------------------------------- make run


def test_a_notebook_runs_in_its_folder_in_this_python_and_in_no_other_settings(
    folder, out, tmp_path, monkeypatch
):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("import numpy; numpy.seterr(all='raise')")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a long name" / ("x" * 90)))
    Path(tempfile.tempdir).mkdir(parents=True)
    source = "import os, sys, numpy\nfrom helpers import runs\n"
    source += "runs.report(os.getcwd(), python=sys.prefix, asserts=__debug__, units=units,"
    source += " errors=numpy.geterr()['divide'], threads=os.environ['OMP_NUM_THREADS'])"
    write_notebook(folder, "01", source)
    result = runs.run_notebook("01", {"units": "64"}, out, folder=folder)
    assert os.path.samefile(result.headline, folder)
    told = {"python": sys.prefix, "asserts": True, "units": 64, "errors": "warn", "threads": "1"}
    assert result.metrics == told
    assert runs.read_report(out / "01.ipynb") == (result.headline, told)
    assert (result.status, result.parameters) == ("ok", {"units": 64})
    with pytest.raises(ValueError, match=r"'unit'; it has: units \(int\), rate \(float\), verb"):
        runs.run_notebook("01", {"unit": 64}, out, folder=folder)
    with pytest.raises(ValueError, match=r"would replace .*01\.ipynb itself"):
        runs.run_notebook("01", {}, folder, folder=folder)


MEET = """\
import os, time
from pathlib import Path
from helpers import runs
Path(f"{dataset}.began").touch()
while len(list(Path().glob("*.began"))) < 2: time.sleep(0.02)
runs.report("met", threads=int(os.environ["OMP_NUM_THREADS"]))
"""


def test_what_fails_is_named_leaves_no_result_and_stops_no_other(folder, out, command):
    for name in ("01_met", "02_met"):
        write_notebook(folder, name, MEET, parameters=f"dataset: str = '{name}'")
    write_notebook(folder, "03_raises", "x = 1", "y = 2\nraise KeyError('W1')")
    write_notebook(folder, "04_exits", "import sys; sys.exit()", REPORT)
    write_notebook(folder, "05_dies", "import os; os._exit(1)", REPORT)
    write_notebook(folder, "06_last", REPORT, parameters=f"{PARAMETERS}scheduler: str = ''")
    out.mkdir()
    (out / "03_raises.ipynb").write_text("the result of an earlier run")
    done = command("run", "--jobs", "2", OMP_NUM_THREADS="3")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [f"[{n}/6]" for n in range(1, 7)]
    assert sorted(line.split()[1] for line in lines) == runs.notebook_names(folder)
    assert re.fullmatch(r"\[6/6\] 06_last +\d+\.\d s  3 units on moons", lines[-1])
    assert done.stderr.count("FAILED") == len(done.stderr.splitlines()) == 3
    assert "03_raises, cell 4 of 4 (id id-4, `y = 2`): KeyError: 'W1'; partial" in done.stderr
    assert "04_exits, cell 3 of 4 (id id-3, `import sys; sys.exit()`): SystemExit" in done.stderr
    assert "05_dies, cell 3 of 4 (id id-3, `import os; os._exit(1)`): Kernel died" in done.stderr
    complete = ["01_met.ipynb", "02_met.ipynb", "06_last.ipynb"]
    partial = ["03_raises.failed.ipynb", "04_exits.failed.ipynb", "05_dies.failed.ipynb"]
    assert names_in(out) == sorted(complete + partial)
    assert "KeyError" in (out / partial[0]).read_text()
    assert runs.read_report(out / "01_met.ipynb")[1] == {"threads": 3}  # as told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["03_none"], "there is no notebook '03_none'; there are: 01_good"),
        (["01", "-p", "unit", "3"], "01_good has no parameter 'unit'; it has: units (int), rate"),
        (["01", "n_points=500"], 'a parameter is given as PARAMS="-p n_points 500"'),
        (["-p", "rate", "0.1"], "parameters need a notebook"),
        (["--output-dir", __file__], "OUT=/another/folder is a place for results"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_runs(folder, command, arguments, message):
    write_notebook(folder, "01_good", BEGIN)
    done = command("run", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert names_in(folder) == ["01_good.ipynb"]


def test_another_package_called_helpers_is_named(folder, tmp_path, command):
    write_notebook(folder, "01", REPORT)
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").touch()
    done = command("run", PYTHONPATH=str(tmp_path))
    assert f"'helpers' ({tmp_path / 'helpers'}" in done.stderr
    assert "what is needed are the helpers of this project" in done.stderr
    (folder / "helpers").mkdir()
    assert "some {notebooks}/helpers comes before our helpers: rename it" in command("run").stderr


WITHOUT_MNIST = f"""
import runpy
from helpers import datasets
def fail():
    raise datasets.DatasetError("no network")
datasets.mnist_available, datasets.fetch_mnist = lambda: None, fail
runpy.run_path({str(COMMANDS)!r}, run_name="__main__")
"""


def test_without_mnist_it_says_so_and_runs_on_the_digits(folder, command):
    program = ("-c", WITHOUT_MNIST)
    write_notebook(folder, "01", REPORT, parameters=PARAMETERS.replace("moons", "mnist"))
    done = command("run", program=program)
    assert done.returncode == 0
    assert done.stderr == "no network\n"
    loud, line = done.stdout.splitlines()
    assert loud == "*** NO MNIST: 01 on scikit-learn's 8×8 digits instead. ***"
    assert line.endswith("3 units on digits  (dataset=digits)")
    assert "3 units on mnist" in command("run", "01", "-p", "dataset", "mnist").stdout
    done = command("sweep", "01", "--grid", "units=1", program=program)
    assert (done.returncode, done.stdout) == (2, "")
    assert "add dataset=digits" in done.stderr


@POSIX
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM], ids=lambda kind: kind.name)
def test_an_interruption_leaves_neither_result_nor_kernel(folder, out, kind):
    sleep = "import os, time\nPath('kernel').write_text(str(os.getpid()))\ntime.sleep(600)"
    write_notebook(folder, "01", BEGIN + sleep)
    out.mkdir()
    (out / "01.ipynb").write_text("the result of an earlier run")
    process = subprocess.Popen(
        [sys.executable, COMMANDS, "run", "--folder", folder, "--output-dir", out],
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in its background makes its children ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (kernel := folder / "kernel").exists() or not kernel.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(kind)
    assert "Interrupted" in process.communicate()[1]
    assert process.returncode == 130
    assert names_in(out) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(kernel.read_text()), 0)


# ------------------------------------------------------------------------------- make execute


def test_execution_in_place_replaces_only_by_what_is_complete_and_clean(folder, command):
    draw = "import sys\nimport matplotlib.pyplot as plt\nprint('seen')\n"
    draw += "print('12 it/s', file=sys.stderr)\nplt.plot([1, 2])\nplt.show()"
    path = write_notebook(folder, "01", draw)
    nb = nbformat.read(path, 4)
    nb.cells.append(
        new_markdown_cell("* A\n* list.\n\n*The cost $C$\nof **one** `x`.* And no more.")
    )
    nbformat.write(nb, path)
    bad = write_notebook(folder, "02", "print(1)", "raise ValueError('wrong')").read_bytes()
    write_notebook(folder, "03", "from pathlib import Path\nPath('03.ipynb').write_text('{}')")
    done = command("execute")
    assert done.returncode == 1
    assert "FAILED 02, cell 4 of 4 (id id-4, `raise ValueError('wrong')`): ValueErr" in done.stderr
    assert "FAILED 03: it was saved while it ran" in done.stderr
    assert names_in(folder) == ["01.ipynb", "02.ipynb", "03.ipynb"]
    assert (folder / "02.ipynb").read_bytes() == bad
    assert (folder / "03.ipynb").read_text() == "{}"

    nb = nbformat.read(path, 4)
    assert [cell.id for cell in nb.cells[:3]] == ["id-1", "id-2", "id-3"]
    assert [cell.execution_count for cell in nb.cells[1:3]] == [1, 2]
    assert [cell.metadata for cell in nb.cells] == [{}, {"tags": ["parameters"]}, {}, {}]
    printed, figure = nb.cells[2].outputs
    assert printed.text == "seen\n"
    assert figure.metadata == {"image/png": {"alt": "The cost C of one x."}}
    assert set(nb.metadata) == {"kernelspec", "language_info"}
    assert "version" not in nb.metadata.language_info
    script = [sys.executable, "-m", "nbconvert", "--to", "script", path]
    subprocess.run(script, check=True, capture_output=True)
    assert (folder / "01.py").exists()


# --------------------------------------------------------------------------------- make sweep


def test_a_sweep_gives_one_table_and_repeats_nothing_that_is_finished(folder, out, command):
    trouble = "import os\nif units == 2: raise KeyError('W1')\nif units == 3: os._exit(1)"
    path = write_notebook(folder, "01", BEGIN, trouble, REPORT)
    done = command("sweep", "01", "--grid", "units=1,2,3", "dataset=moons", "--jobs", "2")
    assert done.returncode == 1
    header, *rows = done.stdout.splitlines()
    assert " ".join(header.split()) == "dataset units double metric_rate third seconds status"
    assert [row.split()[-1] for row in rows] == ["ok", "failed", "failed"]
    assert "FAILED 01, cell 4 of 5 (id id-4, `import os`): KeyError: 'W1'; partial" in done.stderr
    assert "`import os`): Kernel died; partial notebook: " in done.stderr
    files = [f"dataset=moons,units={n}" for n in ("1.ipynb", "2.failed.ipynb", "3.failed.ipynb")]
    assert names_in(out / "01") == [*files, "table.csv"]
    first = pd.read_csv(out / "01" / "table.csv", keep_default_na=False)
    assert list(first["status"]) == ["ok", "failed", "failed"]

    def again(units):
        grid = {"units": units, "dataset": ["moons"]}
        return runs.sweep("01", grid, output_dir=out, folder=folder, progress=False)

    table = again(np.array([1]))
    assert table["seconds"][0] == first["seconds"][0]
    assert (folder / "began-1").read_text() == "once "
    path.write_text(path.read_text().replace("2 * units", "5 * units"))
    assert list(again([1])["double"]) == [5]
    assert (folder / "began-1").read_text() == "once once "
    table = runs.sweep("01", {}, output_dir=out, folder=folder, progress=False)  # one point
    assert Path(table["output"][0]).name == "defaults.failed.ipynb"  # of 3 units


@POSIX
def test_on_a_scheduler_a_dying_worker_costs_its_own_row(folder, out):
    kill = "import os, signal, time\n"
    kill += "if units == 2: os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)"
    write_notebook(folder, "01", kill, REPORT)
    local = {"host": "127.0.0.1", "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, threads_per_worker=1, silence_logs=50, **local) as cluster,
    ):
        options = {"scheduler": cluster.scheduler_address, "output_dir": out, "folder": folder}
        table = runs.sweep("01", {"units": [1, 2, 3]}, **options)
    assert list(table["status"]) == ["ok", "lost", "ok"]
    assert "KilledWorker" in table["error"][1]
    assert list(table["double"].dropna()) == [2, 6]
    assert names_in(out / "01") == ["table.csv", "units=1.ipynb", "units=3.ipynb"]


# -------------------------------------------------------------------------------------- report


def test_the_last_report_counts_and_stores_plain_numbers(folder, out):
    source = "import numpy as np\nfrom helpers import runs\nruns.report('first', n=1)\n"
    source += "runs.report('98 %', n=np.int64(3), x=np.float32(0.1), ok=np.bool_(True))"
    assert runs.read_report(write_notebook(folder, "01", source)) == ("", {})
    result = runs.run_notebook("01", {}, out, folder=folder)
    assert (result.headline, result.metrics) == ("98 %", {"n": 3, "x": 0.1, "ok": True})


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.float32("nan")])
def test_a_number_that_is_not_finite_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"metric loss is .*expected a finite number"):
        runs.report("all is well", loss=value)


def test_a_notebook_that_only_reports_loads_nothing_heavy():
    heavy = "{'dask', 'distributed', 'papermill', 'nbformat', 'jupyter_client', 'sklearn'}"
    code = f"import sys; from helpers import runs; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


# ------------------------------------------------------------------- the notebooks of the series


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_notebook_is_clean_reports_and_explains_its_parameters(name):
    path = runs.notebook_path(name)
    nb = nbformat.read(path, 4)
    assert commands.clean_notebook(nb) == nbformat.read(path, 4)
    assert all(runs.read_report(path))  # headline and metrics
    assert not assigned_but_not_read(path)
    for parameter in runs.notebook_parameters(path).values():
        assert parameter["inferred_type_name"] in {"int", "float", "str", "bool"}, parameter
        assert parameter["help"], parameter
    for output in [output for cell in nb.cells for output in cell.get("outputs", [])]:
        shown = [text for mime, text in output.get("data", {}).items() if "image" not in mime]
        shown += [output.get("text", ""), output.get("traceback", "")]
        # No output shows where somebody keeps the project.
        assert not re.search(r"(?<![\w.])/(home|Users|root|tmp|opt)/", json.dumps(shown))


@pytest.mark.skipif(datasets.mnist_available(), reason="MNIST is here: its outputs are compared")
@pytest.mark.parametrize("name", [n for n in NAMES if runs.reads_mnist(runs.notebook_path(n))])
def test_a_notebook_on_mnist_also_runs_on_the_digits(name, tmp_path):
    assert runs.run_notebook(name, {"dataset": "digits"}, tmp_path).headline
