"""Running notebooks: what is executed, what is kept, what is reported, what is refused."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import datasets, runs

PARAMETERS = """\
hidden_units: int = 3  # in the hidden layer
rate: float = 0.5
verbose: bool = False
dataset: str = "mnist"  # or "digits"
"""


def write_notebook(folder, name, *sources, tags=()):
    """Write a notebook with a title, the parameters above, and one cell for each source."""
    cells = [new_markdown_cell("# Try it")]
    cells.append(new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}))
    cells += [new_code_cell(source, metadata={"tags": list(tags)}) for source in sources]
    for number, cell in enumerate(cells, 1):
        cell["id"] = f"id-{number}"
    path = Path(folder) / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


REPORT = (
    "from helpers import runs\n"
    "runs.report(f'{hidden_units} units', units=hidden_units, data=dataset, third=1 / 3)"
)


@pytest.fixture
def notebooks(tmp_path):
    folder = tmp_path / "some notebooks"
    write_notebook(folder, "01_good", REPORT)
    return folder


@pytest.fixture
def no_mnist(monkeypatch):
    def fail():
        raise datasets.DatasetError("no network")

    monkeypatch.setattr(datasets, "mnist_available", lambda: None)
    monkeypatch.setattr(datasets, "fetch_mnist", fail)


# ----------------------------------------------------------------------------- names and parameters


def test_an_unknown_notebook_is_refused_with_the_known_ones(notebooks):
    write_notebook(notebooks, "02_other")
    with pytest.raises(ValueError, match=r"'03_none'; there are: 01_good, 02_other"):
        runs.run_notebook("03_none", folder=notebooks)


def test_an_unknown_parameter_is_refused_with_the_known_ones(notebooks, tmp_path):
    known = r"hidden_units \(int\), rate \(float\), verbose \(bool\), dataset \(str\)"
    with pytest.raises(ValueError, match=rf"01_good has no parameter 'units'; it has: {known}"):
        runs.run_notebook("01_good", {"units": 3}, tmp_path, folder=notebooks)
    assert not (tmp_path / "01_good.ipynb").exists()


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("hidden_units", "sixty", "int"),
        ("hidden_units", "64.0", "int"),
        ("hidden_units", 64.5, "int"),
        ("hidden_units", True, "int"),
        ("hidden_units", "", "int"),
        ("hidden_units", "{[]: 1}", "int"),
        ("rate", "fast", "float"),
        ("rate", "0.1 +", "float"),
        ("verbose", 1, "bool"),
        ("dataset", 8, "str"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(notebooks, name, value, kind):
    with pytest.raises(ValueError, match=f"parameter {name} of 01_good is .*expected {kind}"):
        runs.run_notebook("01_good", {name: value}, folder=notebooks)


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        ("64", "int", 64),
        (np.int64(64), "int", 64),
        ("1e-3", "float", 0.001),
        (2, "float", 2.0),
        ("True", "bool", True),
        ("64", "str", "64"),
        ("[1, 2]", "list", [1, 2]),
    ],
)
def test_a_value_is_converted_to_the_annotated_type(value, kind, converted):
    result = runs._converted(value, kind)
    assert result == converted
    assert type(result) is type(converted)


def test_a_notebook_that_reads_mnist_is_known_by_its_default(tmp_path):
    assert runs.reads_mnist(write_notebook(tmp_path, "a"))
    other = write_notebook(tmp_path, "b")
    other.write_text(other.read_text().replace('\\"mnist\\"', '\\"digits\\"'))
    assert not runs.reads_mnist(other)
    nbformat.write(new_notebook(cells=[new_code_cell("dataset = 'mnist'")]), tmp_path / "c.ipynb")
    assert not runs.reads_mnist(tmp_path / "c.ipynb")


# ------------------------------------------------------------------------------------ run_notebook


def test_a_run_gives_the_reported_headline_and_metrics(notebooks, tmp_path):
    result = runs.run_notebook("01_good", {"hidden_units": "64"}, tmp_path, folder=notebooks)
    assert (result.name, result.status, result.error) == ("01_good", "ok", "")
    assert result.headline == "64 units"
    assert result.metrics == {"units": 64, "data": "mnist", "third": 0.333333}
    assert result.output == tmp_path / "01_good.ipynb"
    assert runs.read_metrics(result.output) == result.metrics
    assert result.seconds > 0


def test_a_run_takes_place_in_the_folder_of_the_notebooks_and_in_this_python(tmp_path):
    source = "import os, sys\nfrom helpers import runs\nruns.report(os.getcwd(), python=sys.prefix)"
    write_notebook(tmp_path, "where", source)
    result = runs.run_notebook("where", output_dir=tmp_path / "out", folder=tmp_path)
    assert os.path.samefile(result.headline, tmp_path)
    assert result.metrics["python"] == sys.prefix


def test_a_failure_names_the_cell_and_leaves_no_result(notebooks, tmp_path):
    write_notebook(notebooks, "02_bad", "x = 1", "y = 2\nraise KeyError('W1')")
    (tmp_path / "02_bad.ipynb").write_text("the result of an earlier run")
    expected = r"02_bad, cell 4 of 4 \(id id-4, `y = 2`\): KeyError: 'W1'"
    with pytest.raises(runs.NotebookError, match=expected) as caught:
        runs.run_notebook("02_bad", {"rate": 0.1}, tmp_path, folder=notebooks)
    assert caught.value.output == tmp_path / "02_bad.failed.ipynb"
    assert [path.name for path in tmp_path.glob("*.ipynb")] == ["02_bad.failed.ipynb"]
    assert "KeyError" in caught.value.output.read_text()


def test_a_notebook_that_ends_before_its_last_cell_is_a_failure(notebooks, tmp_path):
    write_notebook(notebooks, "02", "import sys\nsys.exit()", REPORT)
    with pytest.raises(runs.NotebookError, match=r"02, cell 3 of 4 .*: SystemExit"):
        runs.run_notebook("02", {}, tmp_path, folder=notebooks)
    assert [path.name for path in tmp_path.glob("*.ipynb")] == ["02.failed.ipynb"]


def test_a_folder_may_have_braces_in_its_name(tmp_path):
    write_notebook(tmp_path / "{mine}", "01", REPORT)
    out = tmp_path / "out {0}"
    result = runs.run_notebook("01", {"hidden_units": 5}, out, folder=tmp_path / "{mine}")
    assert result.output == out / "01.ipynb"
    assert result.headline == "5 units"


def test_a_result_never_replaces_the_notebook_itself(notebooks, capsys, monkeypatch):
    before = {path: path.read_bytes() for path in notebooks.iterdir()}
    monkeypatch.chdir(notebooks)
    with pytest.raises(ValueError, match=r"output_dir is '\.', where 01_good.ipynb itself is"):
        runs.run_notebook("01_good", output_dir=".", folder=notebooks)
    options = ["-p", "dataset", "digits", "--folder", str(notebooks)]
    assert runs.main(["run", "01_good", *options, "--output-dir", str(notebooks)]) == 2
    assert "where 01_good.ipynb itself is" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in notebooks.iterdir()} == before


def test_a_kernel_that_dies_names_the_cell(notebooks, tmp_path):
    write_notebook(notebooks, "02_dead", "import os; os._exit(1)")
    with pytest.raises(runs.NotebookError, match=r"02_dead, cell 3 of 3 .*Kernel died"):
        runs.run_notebook("02_dead", {}, tmp_path, folder=notebooks)


def stillborn_kernels(folder, monkeypatch, count):
    """Let the next `count` kernels exit before they answer; return the file that counts down."""
    folder.mkdir()
    left = folder / "left"
    left.write_text(str(count))
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"left = {str(left)!r}\n"
        "if 'ipykernel_launcher' in sys.orig_argv and (count := int(open(left).read())):\n"
        "    open(left, 'w').write(str(count - 1))\n"
        "    os._exit(1)\n"
    )
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    return left


def test_a_kernel_that_does_not_start_gets_another_chance(notebooks, tmp_path, monkeypatch, capfd):
    left = stillborn_kernels(tmp_path / "site", monkeypatch, runs.KERNEL_STARTS - 1)
    assert runs.run_notebook("01_good", {}, tmp_path, folder=notebooks).headline == "3 units"
    assert left.read_text() == "0"
    assert "KeyboardInterrupt" not in capfd.readouterr().err  # what stops a kernel is no error


def test_a_kernel_that_never_starts_is_a_failure_of_the_notebook(notebooks, tmp_path, monkeypatch):
    stillborn_kernels(tmp_path / "site", monkeypatch, 1000)
    with pytest.raises(runs.NotebookError, match=r"^01_good: its kernel did not start in 3 attem"):
        runs.run_notebook("01_good", {}, tmp_path, folder=notebooks)


def test_an_exception_that_is_meant_to_be_seen_is_no_failure(notebooks, tmp_path):
    write_notebook(notebooks, "02_meant", "1 / 0", tags=["raises-exception"])
    result = runs.run_notebook("02_meant", {}, tmp_path, folder=notebooks)
    assert "papermill-error" not in result.output.read_text()
    assert "ZeroDivisionError" in result.output.read_text()


# ------------------------------------------------------------------------------------- report


def test_report_stores_numpy_scalars_as_plain_values(capsys):
    assert runs._storable("n", np.int64(3)) == 3
    assert type(runs._storable("n", np.int64(3))) is int
    assert runs._storable("x", np.float32(0.1)) == 0.1  # rounded to six significant digits
    assert runs._storable("ok", np.bool_(True)) is True
    runs.report("all is well", n=np.int64(3))
    assert capsys.readouterr().out == "all is well\n"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32("nan")])
def test_report_refuses_numbers_that_are_not_finite(value):
    with pytest.raises(ValueError, match=r"metric loss is .*expected a finite number"):
        runs.report("all is well", loss=value)


@pytest.mark.parametrize("value", [None, [1, 2], np.ones(2), 1j])
def test_report_refuses_what_is_no_single_value(value):
    with pytest.raises(TypeError, match=r"metric loss is a .*expected a number"):
        runs.report("all is well", loss=value)


@pytest.mark.parametrize("headline", ["", "  ", "two\nlines"])
def test_report_refuses_a_headline_that_is_not_one_line(headline):
    with pytest.raises(ValueError, match=r"headline is .*expected one line"):
        runs.report(headline)


def test_report_refuses_a_headline_that_is_no_text():
    with pytest.raises(TypeError, match=r"headline is 98\.0, expected a string"):
        runs.report(98.0)


def test_of_several_reports_the_last_counts():
    def reported(headline, **metrics):
        data = {"text/plain": headline, runs.METRICS: metrics}
        return new_output("display_data", data=data)

    outputs = [reported("first", n=1), reported("second", n=2)]
    nb = new_notebook(cells=[new_code_cell(outputs=outputs), new_markdown_cell("the end")])
    assert runs.read_report(nb) == ("second", {"n": 2})


def test_a_notebook_without_report_has_no_headline_and_no_metrics():
    assert runs.read_report(new_notebook(cells=[new_code_cell("1")])) == ("", {})


# ------------------------------------------------------------------------------------- in place


def test_cleaning_keeps_outputs_counts_ids_and_tags_and_nothing_that_varies():
    out = new_output("stream", name="stdout", text="98 %")
    err = new_output("stream", name="stderr", text="12 it/s")
    view = {"text/plain": "IntSlider(value=1)", "application/vnd.jupyter.widget-view+json": {}}
    shown = new_output("display_data", data=view)
    cell = new_code_cell("train()", execution_count=7, outputs=[err, out, shown])
    cell.metadata.update(
        tags=["nbval-ignore-output"], execution={"iopub": "now"}, papermill={"duration": 1}
    )
    nb = new_notebook(cells=[cell])
    nb.metadata.update(
        widgets={}, papermill={}, language_info={"name": "python", "version": "3.11.7"}
    )
    cleaned = runs.clean_notebook(nb)
    assert cleaned.cells[0].id == cell.id
    assert cleaned.cells[0].execution_count == 7
    assert cleaned.cells[0].metadata == {"tags": ["nbval-ignore-output"]}
    assert [o.get("text") for o in cleaned.cells[0].outputs] == ["98 %", None]
    assert cleaned.cells[0].outputs[1].data == {"text/plain": "IntSlider(value=1)"}
    assert set(cleaned.metadata) == {"kernelspec", "language_info"}
    assert cleaned.metadata.language_info == {"name": "python"}
    assert len(nb.cells[0].outputs) == 3, "the argument was changed"


def test_execution_in_place_stores_clean_outputs(notebooks):
    path = write_notebook(notebooks, "02", "import sys\nprint('seen'); print(1, file=sys.stderr)")
    result = runs.execute_in_place("02", folder=notebooks)
    nb = nbformat.read(path, 4)
    assert result.status == "ok"
    assert [cell.id for cell in nb.cells] == ["id-1", "id-2", "id-3"]
    assert [cell.execution_count for cell in nb.cells[1:]] == [1, 2]
    assert [(o.name, o.text) for o in nb.cells[2].outputs] == [("stdout", "seen\n")]
    assert nb == runs.clean_notebook(nb)
    assert "tags" not in nb.cells[2].metadata
    assert sorted(p.name for p in notebooks.iterdir()) == ["01_good.ipynb", "02.ipynb"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ValueError('wrong')", "02, cell 3 of 3 .*ValueError: wrong"),
        ("from helpers import runs\nprint(runs.__file__)", "02, cell 3 of 3 .*shows the path"),
    ],
)
def test_failing_execution_in_place_leaves_the_notebook_as_it_was(notebooks, source, reason):
    path = write_notebook(notebooks, "02", source)
    before = path.read_bytes()
    with pytest.raises(runs.NotebookError, match=reason):
        runs.execute_in_place("02", folder=notebooks)
    assert path.read_bytes() == before
    assert sorted(p.name for p in notebooks.iterdir()) == ["01_good.ipynb", "02.ipynb"]


def test_what_is_saved_while_a_notebook_is_executed_in_place_is_not_lost(notebooks):
    saving = "from pathlib import Path\nPath('02.ipynb').write_text('{}')"
    path = write_notebook(notebooks, "02", saving)
    with pytest.raises(runs.NotebookError, match="02: it was saved while it ran"):
        runs.execute_in_place("02", folder=notebooks)
    assert path.read_text() == "{}"


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize(
    ("action", "kind"),
    [("run", signal.SIGINT), ("execute", signal.SIGTERM)],
    ids=["run", "execute"],
)
def test_an_interruption_leaves_neither_result_nor_damage(tmp_path, action, kind):
    source = "from pathlib import Path\nPath('started').touch()\nimport time; time.sleep(60)"
    path = write_notebook(tmp_path / "notebooks", "slow", source)
    before = path.read_bytes()
    output = tmp_path / "out"
    output.mkdir()
    (output / "slow.ipynb").write_text("the result of an earlier run")
    command = [sys.executable, "-m", "helpers.runs", action, "slow", "--folder", str(path.parent)]
    if action == "run":
        command += ["-p", "dataset", "digits", "--output-dir", str(output)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A shell that runs the tests in its background makes its children ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while process.poll() is None and not (path.parent / "started").exists():
        time.sleep(0.05)
    process.send_signal(kind)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in err
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["slow.ipynb", "started"]
    assert len(list(output.iterdir())) == (0 if action == "run" else 1)


# ------------------------------------------------------------------------------- the command line


def test_the_command_runs_all_reports_each_and_names_what_failed(tmp_path, capsys):
    write_notebook(tmp_path, "01_bad", "raise RuntimeError('stop')")
    write_notebook(tmp_path, "02_good", REPORT)
    for path in tmp_path.glob("*.ipynb"):
        path.write_text(path.read_text().replace('\\"mnist\\"', '\\"moons\\"'))
    options = ["--folder", str(tmp_path), "--output-dir", str(tmp_path / "out"), "--jobs", "1"]
    assert runs.main(["run", *options]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == ["[1/2] 01_bad", "[2/2] 02_good"]
    assert "02_good" in out.splitlines()[-1]
    assert out.splitlines()[-1].endswith("s  3 units")
    assert "FAILED 01_bad, cell 3 of 3 (id id-3, `raise RuntimeError('stop')`)" in err
    assert "01_bad.failed.ipynb" in err


def test_the_command_without_mnist_says_so_and_runs_on_the_digits(
    notebooks, tmp_path, capsys, no_mnist
):
    options = ["--folder", str(notebooks), "--output-dir", str(tmp_path)]
    assert runs.main(["run", *options]) == 0
    out, err = capsys.readouterr()
    loud, *_, last = out.splitlines()
    assert loud.startswith("*** NO MNIST: 01_good on scikit-learn's 8×8 digits instead. ***")
    assert err == "MNIST cannot be fetched: no network\n"
    assert last.endswith("(dataset=digits)")
    assert runs.read_metrics(tmp_path / "01_good.ipynb")["data"] == "digits"


def test_the_command_fetches_mnist_where_it_is_missing(notebooks, tmp_path, capsys, monkeypatch):
    fetched = []
    monkeypatch.setattr(datasets, "mnist_available", lambda: None)
    monkeypatch.setattr(datasets, "fetch_mnist", lambda: fetched.append("all four"))
    assert runs.main(["run", "--folder", str(notebooks), "--output-dir", str(tmp_path)]) == 0
    assert fetched == ["all four"]
    assert "NO MNIST" not in capsys.readouterr().out
    assert runs.read_metrics(tmp_path / "01_good.ipynb")["data"] == "mnist"


def test_the_command_leaves_a_chosen_dataset_alone(notebooks, tmp_path, capsys, no_mnist):
    options = ["--folder", str(notebooks), "--output-dir", str(tmp_path)]
    assert runs.main(["run", "01_good", "-p", "dataset", "mnist", *options]) == 0
    assert "NO MNIST" not in capsys.readouterr().out
    assert runs.read_metrics(tmp_path / "01_good.ipynb")["data"] == "mnist"


def test_whatever_goes_wrong_with_one_notebook_the_others_run(
    notebooks, tmp_path, capsys, monkeypatch
):
    write_notebook(notebooks, "02", REPORT)
    run_notebook = runs.run_notebook

    def on_a_full_disk(name, *given, **options):
        if name == "01_good":
            raise OSError(28, "No space left on device")
        return run_notebook(name, *given, **options)

    monkeypatch.setattr(runs, "run_notebook", on_a_full_disk)
    options = ["-p", "dataset", "digits", "--folder", str(notebooks), "--jobs", "1"]
    names = ["01_good", "02"]
    assert runs.main(["run", *names, *options, "--output-dir", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "3 units" in out
    assert "FAILED 01_good: OSError: [Errno 28] No space left on device" in err


@pytest.mark.parametrize("action", ["run", "execute"])
def test_a_damaged_notebook_is_named_before_anything_runs(notebooks, capsys, action):
    (notebooks / "02.ipynb").write_text('{"cells": [')
    assert runs.main([action, "--folder", str(notebooks)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.match(r"error: .*02\.ipynb is no notebook: ", err)


def test_a_file_in_the_place_of_the_output_folder_is_named(notebooks, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    options = ["-p", "dataset", "digits", "--folder", str(notebooks)]
    assert runs.main(["run", "01_good", *options, "--output-dir", str(tmp_path / "out")]) == 2
    assert str(tmp_path / "out") in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_the_command_refuses_a_folder_without_notebooks(tmp_path, capsys):
    assert runs.main(["execute", "--folder", str(tmp_path)]) == 2
    assert "there are no notebooks in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["03_none"], "error: there is no notebook '03_none'; there are: 01_good"),
        (["01_good", "-p", "units", "3"], "error: 01_good has no parameter 'units'; it has: hid"),
        (["-p", "rate", "0.1"], "error: parameters need a notebook"),
    ],
)
def test_the_command_refuses_a_wrong_call_before_running_anything(
    notebooks, tmp_path, capsys, arguments, message
):
    options = ["--folder", str(notebooks), "--output-dir", str(tmp_path / "out")]
    assert runs.main(["run", *arguments, *options]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(message)
    assert out == ""
    assert not (tmp_path / "out").exists()


# --------------------------------------------------------------------------------------- importing


def test_importing_a_module_of_helpers_does_not_load_heavy_packages():
    """They take up to seconds, and are imported where they are used."""
    heavy = {"dask", "distributed", "papermill", "nbclient", "nbformat", "jupyter_client"}
    heavy |= {"IPython", "sklearn", "scipy", "seaborn", "torch", "jax"}
    stems = sorted(path.stem for path in (runs.ROOT / "helpers").glob("*.py"))
    modules = ["helpers" if stem == "__init__" else f"helpers.{stem}" for stem in stems]
    # One after the other in one interpreter: the first line that is not empty names the culprit.
    code = (
        f"import importlib, sys\nfor name in {modules}:\n    importlib.import_module(name)\n"
        f"    print(name, *{heavy} & {{n.split('.')[0] for n in sys.modules}})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.splitlines() == modules


# ---------------------------------------------------------------------- the notebooks of the series


@pytest.mark.parametrize("name", runs.notebook_names())
def test_committed_notebook_is_clean(name):
    nb = nbformat.read(runs.notebook_path(name), 4)
    assert nb == runs.clean_notebook(nb)


@pytest.mark.parametrize("name", runs.notebook_names())
def test_committed_notebook_explains_its_parameters_and_reports(name):
    parameters = runs.notebook_parameters(runs.notebook_path(name))
    assert parameters
    for parameter in parameters.values():
        assert parameter["inferred_type_name"] in {"int", "float", "str", "bool"}, parameter
        assert parameter["help"], parameter
    headline, metrics = runs.read_report(runs.notebook_path(name))
    assert headline
    assert metrics


@pytest.mark.skipif(datasets.mnist_available(), reason="MNIST is here: its outputs are compared")
@pytest.mark.parametrize(
    "name", [n for n in runs.notebook_names() if runs.reads_mnist(runs.notebook_path(n))]
)
def test_notebook_on_mnist_also_runs_on_the_digits(name, tmp_path):
    """Its own assertions hold there; where MNIST is missing this stands for its output check."""
    result = runs.run_notebook(name, {"dataset": "digits"}, tmp_path)
    assert result.status == "ok"
    assert result.headline


def test_output_check_skips_mnist_without_running_it_where_it_is_missing(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from helpers import datasets\ndatasets.mnist_available = lambda: None\n"
    )
    folder = tmp_path / "notebooks"
    write_notebook(folder, "10", "from pathlib import Path\nPath('was_run').touch()")
    (folder / "conftest.py").write_bytes((runs.NOTEBOOKS / "conftest.py").read_bytes())
    command = [sys.executable, "-m", "pytest", "--nbval", "-rs", "-p", "no:cacheprovider"]
    process = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)], capture_output=True, text=True
    )
    assert "2 skipped" in process.stdout.splitlines()[-1]
    assert "no MNIST here: run `make data`" in process.stdout
    assert not (folder / "was_run").exists()


def test_the_readme_links_every_notebook_there_is():
    readme = (runs.ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\(notebooks/(\w+)\.ipynb\)", readme) == runs.notebook_names()
