"""Run the notebooks, with papermill into ``runs/`` or in place, and read what they report.

A notebook reports through `report`; `read_report` gets headline and metrics back from the executed
notebook. ``python -m helpers.runs run``, ``… sweep`` and ``… execute`` are the `make` commands of
these names.
"""

from __future__ import annotations

import argparse
import ast
import copy
import itertools
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers import datasets

if TYPE_CHECKING:
    import pandas as pd
    from nbformat import NotebookNode
    from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "runs"
KERNEL = "python3"  # as installed with ipykernel in this environment: the interpreter in use
# A kernel listens at ports that were free a moment before; now and then somebody else was quicker.
KERNEL_STARTS = 3
MOST_JOBS = 4  # notebooks at a time, however many cores there are: each takes up to a gigabyte
METRICS = "application/vnd.backprop.metrics+json"  # MIME type under which metrics are stored
KEPT_METADATA = {"tags", "slideshow", "jupyter", "nbgrader", "editable", "deletable"}


class NotebookError(RuntimeError):
    """A notebook failed; the message names notebook, cell and exception.

    ``output`` is the path of the partial notebook, None where none is kept.
    """

    output: Path | None = None


@dataclass(frozen=True)
class RunResult:
    """What became of one run: ``status`` is "ok" or "failed", and ``error`` says why it failed."""

    name: str
    status: str
    seconds: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headline: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    output: Path | None = None
    error: str = ""


# ------------------------------------------------------------------------ what a notebook reports


@dataclass(frozen=True)
class _Report:
    """Displays as its headline and carries the metrics along."""

    headline: str
    metrics: dict[str, Any]

    def __repr__(self) -> str:
        return self.headline

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": self.headline, METRICS: self.metrics}


def report(headline: str, **metrics: float | int | bool | str) -> None:
    """Show the notebook's headline and store its metrics with it.

    This is the one way in which a notebook passes on numbers: they travel in the output of the cell
    that reports, so they are in the notebook wherever it is executed. `run_notebook` returns them,
    `sweep` gives each a column of its table, `read_report` reads them from the file. Of several
    reports the last one counts.

    Parameters
    ----------
    headline : one line of text, which `make run` repeats in its summary.
    **metrics : finite numbers, truth values or strings. Floats are stored with six significant
        digits, as the later ones depend on the machine.

    Raises
    ------
    TypeError, ValueError : naming the headline or the metric that cannot be stored.
    """
    from IPython.display import display

    if not isinstance(headline, str):
        raise TypeError(f"headline is {headline!r}, expected a string")
    if not headline.strip() or "\n" in headline:
        raise ValueError(f"headline is {headline!r}, expected one line of text")
    display(_Report(headline, {name: _storable(name, value) for name, value in metrics.items()}))


def _storable(name: str, value: Any) -> float | int | bool | str:
    """Return `value` in a form that JSON can hold."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, (bool, int, str)):
        return value
    if not isinstance(value, float):
        kind = type(value).__name__
        raise TypeError(f"metric {name} is a {kind}, expected a number, a truth value or a string")
    if not math.isfinite(value):
        raise ValueError(f"metric {name} is {value}, expected a finite number")
    return float(f"{value:.6g}")


def read_report(notebook: str | os.PathLike | NotebookNode) -> tuple[str, dict[str, Any]]:
    """Return headline and metrics of an executed notebook, given as a path or already read.

    The last report counts; a notebook without one gives ``("", {})``.
    """
    nb = _read(notebook) if isinstance(notebook, (str, os.PathLike)) else notebook
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    for output in reversed(outputs):
        if METRICS in output.get("data", {}):
            return output.data["text/plain"], dict(output.data[METRICS])
    return "", {}


def read_metrics(notebook: str | os.PathLike | NotebookNode) -> dict[str, Any]:
    """Return the metrics of an executed notebook; see `read_report`."""
    return read_report(notebook)[1]


# ------------------------------------------------------------------------- names and parameters


def notebook_names(folder: str | os.PathLike = NOTEBOOKS) -> list[str]:
    """Return the names of the notebooks in `folder`, in order and without ``.ipynb``."""
    return sorted(path.stem for path in Path(folder).glob("*.ipynb"))


def notebook_path(name: str, folder: str | os.PathLike = NOTEBOOKS) -> Path:
    """Return the path of notebook `name`; a ValueError lists the names there are."""
    known = notebook_names(folder)
    if str(name).removesuffix(".ipynb") not in known:
        raise ValueError(f"there is no notebook {name!r}; there are: {', '.join(known) or 'none'}")
    return Path(folder) / f"{str(name).removesuffix('.ipynb')}.ipynb"


def notebook_parameters(path: str | os.PathLike) -> dict[str, dict[str, str]]:
    """Return what papermill reads from the cell tagged `parameters`, by name.

    Each value is ``{"name", "inferred_type_name", "default", "help"}``, all strings.
    """
    from papermill.translators import PythonTranslator

    tagged = [c for c in _read(path).cells if "parameters" in c.metadata.get("tags", [])]
    return {p.name: p._asdict() for p in PythonTranslator.inspect(tagged[0])} if tagged else {}


def reads_mnist(path: str | os.PathLike) -> bool:
    """Whether the notebook at `path` works on MNIST by default, by its `dataset` parameter."""
    parameter = notebook_parameters(path).get("dataset")
    return parameter is not None and parameter["default"].strip("'\"") == "mnist"


def has_workers(path: str | os.PathLike) -> bool:
    """Whether the notebook at `path` has worker processes, by its `scheduler` parameter."""
    return "scheduler" in notebook_parameters(path)


def _checked_parameters(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return `parameters` with values of the annotated types; a ValueError names a wrong one."""
    known = notebook_parameters(path) if parameters else {}
    checked = {}
    for name, value in parameters.items():
        if name not in known:
            names = [f"{p['name']} ({p['inferred_type_name']})" for p in known.values()]
            listed = ", ".join(names) or "none"
            raise ValueError(f"{path.stem} has no parameter {name!r}; it has: {listed}")
        kind = known[name]["inferred_type_name"]
        try:
            checked[name] = _converted(value, kind)
        except ValueError:
            given = f"parameter {name} of {path.stem} is {value!r}"
            raise ValueError(f"{given}, expected {kind}") from None
    return checked


def _converted(value: Any, kind: str) -> Any:
    """Return `value` as annotated; text is read as a Python literal unless text is expected."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str) and kind != "str":
        try:
            value = ast.literal_eval(value)
        except (SyntaxError, TypeError):  # the latter where a list is a key
            raise ValueError from None
    if kind == "float" and type(value) is int:
        value = float(value)
    expected = {"int": int, "float": float, "str": str, "bool": bool}.get(kind)
    if expected and type(value) is not expected:  # isinstance would take True for an int
        raise ValueError
    return value


# ------------------------------------------------------------------------------------- into runs/


def run_notebook(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    output_dir: str | os.PathLike = RUNS,
    *,
    folder: str | os.PathLike = NOTEBOOKS,
    progress: bool = False,
) -> RunResult:
    """Execute a notebook of `folder` with papermill, in a fresh kernel that works in `folder`.

    The result appears as ``output_dir/<name>.ipynb`` when it is finished and not before; what a
    failure leaves is called ``<name>.failed.ipynb``. Run a notebook once at a time in `output_dir`.

    `parameters` replace those of the notebook's parameters cell; text is converted to the annotated
    type. `progress` shows papermill's progress bar.

    Raises
    ------
    ValueError : unknown notebook or parameter, a value that is not of the annotated type, or an
        `output_dir` in which the result would replace the notebook itself.
    NotebookError : naming the cell that failed.
    """
    path = notebook_path(name, folder)
    values = _checked_parameters(path, parameters or {})
    output = _output(path, output_dir)
    output.parent.mkdir(parents=True, exist_ok=True)
    return _run(path, values, output, _discard_results(output), progress)


def _output(path: Path, output_dir: str | os.PathLike) -> Path:
    """Return where the result of a notebook goes; a ValueError refuses its own place."""
    output = Path(output_dir) / path.name
    if output.exists() and output.samefile(path):
        given = f"output_dir is {os.fspath(output_dir)!r}"
        raise ValueError(f"{given}, where {path.name} itself is; expected another folder")
    return output


def _run(
    path: Path, values: dict[str, Any], output: Path, partial: Path, progress: bool = False
) -> RunResult:
    """Execute the notebook at `path` by way of `partial`, which is called `output` when it ends."""
    started = time.perf_counter()
    try:
        _execute_with_papermill(path, partial, values, progress)
    except NotebookError as error:
        error.output = output.with_suffix(".failed.ipynb")
        os.replace(partial, error.output)
        raise
    except BaseException:  # an interruption, above all
        partial.unlink(missing_ok=True)
        raise
    os.replace(partial, output)
    headline, metrics = read_report(output)
    seconds = time.perf_counter() - started
    return RunResult(path.stem, "ok", seconds, values, headline, metrics, output)


def _discard_results(output: Path) -> Path:
    """Remove what earlier runs left at `output`, and return the name to write to until finished.

    If this run is stopped, nothing remains that could be taken for its result.
    """
    partial = output.with_suffix(".partial.ipynb")
    for stale in (output, partial, output.with_suffix(".failed.ipynb")):
        stale.unlink(missing_ok=True)
    return partial


def _execute_with_papermill(path: Path, output: Path, values: dict, progress: bool) -> None:
    """Execute the notebook at `path` into `output`; a NotebookError says which cell failed."""
    for attempt in range(1, KERNEL_STARTS + 1):
        current = _CurrentCell()
        try:
            return _execute_once(path, output, values, progress, current)
        except NotebookError:
            raise
        except RuntimeError as error:  # what nbclient raises when no kernel answers
            if current.cell is not None:
                raise
            reason = f"its kernel did not start in {attempt} attempts: {error}"
    raise NotebookError(current.describe_failure(path, reason))


def _execute_once(
    path: Path, output: Path, values: dict, progress: bool, current: _CurrentCell
) -> None:
    """Execute the notebook in one kernel, telling `current` where it is."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    places = [str(place).replace("{", "{{").replace("}", "}}") for place in (path, output)]
    try:
        nb = papermill.execute_notebook(
            *places, values, kernel_name=KERNEL, language="python", cwd=path.parent,
            progress_bar={"desc": path.stem, "leave": False} if progress else False,
            on_cell_execute=current, coalesce_streams=True, config=_kernel_config(),
        )  # fmt: skip
    except DeadKernelError as error:
        raise NotebookError(current.describe_failure(path, str(error))) from None
    except papermill.PapermillExecutionError as error:
        nb = _read(output)
        if nb.metadata.papermill.exception:
            reason = f"{error.ename}: {error.evalue}"
            raise NotebookError(current.describe_failure(path, reason)) from None
        # Only cells tagged raises-exception did, as they should; papermill objects to these too.
        tag = "papermill-error-cell-tag"
        nb.cells = [cell for cell in nb.cells if tag not in cell.metadata.get("tags", [])]
        _write(nb, output)
    else:
        if nb.metadata.papermill.exception:  # SystemExit, for which papermill raises nothing
            raise NotebookError(current.describe_failure(path, "SystemExit"))


def _kernel_config() -> Config:
    """Return how a kernel is started and spoken to."""
    from traitlets.config import Config

    return Config(
        {
            # Other users of the machine could read the messages otherwise.
            "KernelManager": {"transport_encryption": "auto"},
            # A kernel is interrupted before it is shut down, and would report that as an error.
            "NotebookClient": {"extra_arguments": ["--log-level=CRITICAL"]},
        }
    )


class _CurrentCell:
    """Hook for nbclient that remembers the cell executed last."""

    cell: NotebookNode | None = None

    def __call__(self, cell: NotebookNode, cell_index: int) -> None:
        self.cell = cell

    def describe_failure(self, path: Path, reason: str) -> str:
        """Return "notebook, cell: exception"; cells are counted from 1, as in the source."""
        if self.cell is None:
            return f"{path.stem}: {reason}"
        cells = _read(path).cells
        place = [i for i, cell in enumerate(cells, 1) if cell.get("id") == self.cell.get("id")]
        number = f"cell {place[0]} of {len(cells)}" if place else "the injected parameters"
        line = self.cell.source.strip().splitlines()[0]
        first = reason.strip().splitlines()[0] if reason.strip() else "no reason given"
        return f"{path.stem}, {number} (id {self.cell.get('id')}, `{line}`): {first}"


def sweep(
    name: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    output_dir: str | os.PathLike = RUNS,
    folder: str | os.PathLike = NOTEBOOKS,
    progress: bool = True,
) -> pd.DataFrame:
    """Execute a notebook at every point of a grid of parameters, in parallel on a Dask cluster.

    Each run becomes a notebook ``output_dir/<name>/<parameters>.ipynb``. A run whose notebook is
    there, with the same parameters and the code that `name` has now, is not repeated; what the
    notebook imports or reads may have changed, so delete the results if it has. Sweep a notebook
    once at a time in `output_dir`.

    A run that fails does not lose the others. One whose worker dies is begun once more, after
    them. An interruption keeps what is finished.

    In a script call this below ``if __name__ == "__main__":``, since the local cluster starts
    processes that import the script.

    Parameters
    ----------
    grid : the values of each parameter; every combination is run, the last parameter varying
        fastest. Text is converted to the annotated type.
    scheduler : address of a running Dask scheduler, as ``tcp://host:8786``; by default the sweep
        starts a cluster on this machine, which nobody else can reach over the network, and stops it
        at the end. Workers started elsewhere need `helpers` and the same file system. One of them
        executes one notebook at a time, so start them with ``--nthreads 1``.
    workers : processes of the local cluster, by default one a core. The workers on a machine
        share its cores: that many threads BLAS may use in their kernels, unless OMP_NUM_THREADS,
        OPENBLAS_NUM_THREADS, MKL_NUM_THREADS or VECLIB_MAXIMUM_THREADS is set where this is called.
        These and MNIST_DIR reach workers elsewhere too.
    output_dir, folder : as for `run_notebook`.
    progress : whether to show a progress bar and a summary, on stderr.

    Returns
    -------
    One row a run, in the order of the grid: its parameters, the reported metrics ("metric_" stands
    before a name that the notebook also has as a parameter), and

    - ``seconds``: the time in the kernel, missing for a lost run,
    - ``status``: "ok"; "failed", if the notebook raised an error or its kernel died; or "lost",
      if its worker died, also when repeated, or no worker was left,
    - ``error``: what went wrong, empty if nothing did,
    - ``output``: path of the notebook, of the partial ``….failed.ipynb`` if it went wrong.

    ``output_dir/<name>/table.csv`` has the same rows, after those that earlier grids left there as
    long as their notebooks have the same code.

    Raises
    ------
    TypeError, ValueError : unknown notebook or parameter; values that are not a list, empty,
        repeated or not of the annotated type; before anything is run.
    ConnectionError, TimeoutError : no scheduler at the address, or it has no worker.
    RuntimeError : a worker that cannot import `helpers` or does not see the files.
    """
    from helpers import sweeps

    return sweeps.sweep(
        name, grid, scheduler=scheduler, workers=workers, output_dir=output_dir, folder=folder,
        progress=progress,
    )  # fmt: skip


# -------------------------------------------------------------------------------------- in place


def execute_in_place(
    name: str, *, folder: str | os.PathLike = NOTEBOOKS, progress: bool = False
) -> RunResult:
    """Execute a committed notebook in a fresh kernel, clean it, and put it in its own place.

    It is replaced in one step when all has gone well. Until then, and after a failure or an
    interruption, it stays as it was.

    Raises
    ------
    ValueError : unknown notebook.
    NotebookError : naming the cell that failed, or whose output shows a path of this machine; or
        the notebook was saved while it ran, and what was saved would be lost.
    """
    path = notebook_path(name, folder)
    started, source = time.perf_counter(), path.read_bytes()
    with TemporaryDirectory() as elsewhere:
        executed = Path(elsewhere) / path.name
        _execute_with_papermill(path, executed, {}, progress)
        nb = clean_notebook(_read(executed))
    _refuse_paths(nb, path.stem)
    if path.read_bytes() != source:
        raise NotebookError(f"{path.stem}: it was saved while it ran, and is left as it was saved")
    _write(nb, path)
    headline, metrics = read_report(nb)
    seconds = time.perf_counter() - started
    return RunResult(path.stem, "ok", seconds, {}, headline, metrics, path)


def clean_notebook(nb: NotebookNode) -> NotebookNode:
    """Return a copy without what changes from run to run or machine to machine.

    Sources, ids, outputs and execution counts stay. Timing, papermill's entries, widget state, the
    version of Python, and everything a cell wrote to stderr go. A figure gets its caption, the
    first paragraph in italics below it, as alternative text.
    """
    from nbformat import NotebookNode

    nb = copy.deepcopy(nb)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": KERNEL}
    nb.metadata.clear()
    nb.metadata.update(kernelspec=kernel, language_info={"name": "python"})
    for cell in nb.cells:
        kept = {k: v for k, v in cell.metadata.items() if k in KEPT_METADATA}
        if not kept.get("tags"):
            kept.pop("tags", None)  # papermill gives every cell a list
        cell.metadata = NotebookNode(kept)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                # A view refers to widget state; its text/plain stays.
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    _describe_figures(nb)
    return nb


def _describe_figures(nb: NotebookNode) -> None:
    """Store each figure's caption where nbconvert and screen readers look for it."""
    for number, cell in enumerate(nb.cells):
        figures = [o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        caption = _caption(nb.cells[number + 1 :]) if figures else ""
        for output in figures:
            output.metadata.pop("image/png", None)
            if caption:
                output.metadata["image/png"] = {"alt": caption}


def _caption(cells: Sequence[NotebookNode]) -> str:
    """Return the first paragraph in italics of the first text among `cells`, without markup."""
    text = next((cell.source for cell in cells if cell.cell_type == "markdown"), "")
    found = re.search(r"^\*(?!\*)(.+?)(?<!\*)\*(?!\*)", text, flags=re.M | re.S)
    return re.sub(r"\s+", " ", re.sub(r"[$`*]", "", found[1])).strip() if found else ""


def _refuse_paths(nb: NotebookNode, name: str) -> None:
    """Raise a NotebookError if an output shows where this machine keeps the project or Python."""
    private = {str(ROOT), sys.prefix, sys.base_prefix, str(Path.home())} - {"/", "/usr"}
    pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, private))})(?![\w-])")
    for number, cell in enumerate(nb.cells, 1):
        if found := pattern.search("\n".join(_texts(cell))):
            where = f"{name}, cell {number} of {len(nb.cells)} (id {cell.get('id')})"
            raise NotebookError(f"{where}: its output shows the path {found[0]}")


def _texts(cell: NotebookNode) -> list[str]:
    """Return the texts among a cell's outputs; pictures are not text."""
    texts = []
    for output in cell.get("outputs", []):
        texts += [output.get("text", ""), *output.get("traceback", [])]
        texts += [str(v) for mime, v in output.get("data", {}).items() if mime.startswith("text/")]
    return texts


def _read(path: str | os.PathLike) -> NotebookNode:
    import nbformat

    return nbformat.read(os.fspath(path), as_version=4)


def _write(nb: NotebookNode, path: Path) -> None:
    import nbformat

    with whole(path) as temporary:
        nbformat.write(nb, temporary)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`, which takes its name when all has gone well.

    So a reader finds what was there before or all that is new, and never a part.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# ---------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, sweep or execute notebooks and print what became of them; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a headline may have signs the terminal lacks
    options = _parser().parse_args(arguments)
    if options.action == "sweep":
        return _sweep(options)
    parameters = dict(options.parameters)
    try:
        paths = _chosen_paths(options.names, Path(options.folder), parameters)
        if options.action == "run":
            results = _run_all(paths, parameters, Path(options.output_dir), options.jobs)
        else:
            results = _execute_all(paths)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted: the notebooks at work left nothing behind.", file=sys.stderr)
        return 130
    return _summarise(results)


def _chosen_paths(names: Sequence[str], folder: Path, parameters: Mapping[str, Any]) -> list[Path]:
    """Return the paths of the named notebooks, or of all, if `parameters` suit them."""
    if parameters and not names:
        raise ValueError("parameters need a notebook, as in make run NB=10_mnist PARAMS=…")
    wanted = [notebook_path(name, folder) for name in names or notebook_names(folder)]
    paths = list(dict.fromkeys(wanted))
    if not paths:
        raise ValueError(f"there are no notebooks in {folder}")
    for path in paths:
        try:
            _read(path)
        except ValueError as error:
            raise ValueError(f"{path} is no notebook: {error}") from None
        _checked_parameters(path, parameters)
    return paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.runs", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="execute notebooks into runs/")
    run.add_argument(
        "-p", nargs=2, action="append", default=[], dest="parameters", metavar=("NAME", "VALUE")
    )
    run.add_argument(
        "--jobs", type=_jobs, help="notebooks at a time (default: one a core, up to 4)"
    )
    execute = actions.add_parser("execute", help="re-execute notebooks in place and clean them")
    execute.set_defaults(parameters=[])
    for action in (run, execute):
        action.add_argument("names", nargs="*", metavar="NOTEBOOK")
    sweep = actions.add_parser("sweep", help="execute a notebook over a grid of parameters")
    sweep.add_argument("name", metavar="NOTEBOOK")
    sweep.add_argument("grid", nargs="+", metavar="PARAMETER=VALUE,VALUE,…")
    sweep.add_argument("--scheduler", help="address of a Dask scheduler (default: a local cluster)")
    sweep.add_argument("--workers", type=int, help="of the local cluster (default: one a core)")
    for action in (run, sweep):
        action.add_argument("--output-dir", default=RUNS, help="of the results (default: runs/)")
    for action in (run, sweep, execute):
        action.add_argument("--folder", default=NOTEBOOKS, help="of the notebooks")
    return parser


def _jobs(text: str) -> int:
    jobs = int(text) if text.isdecimal() else 0
    if jobs < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of at least 1")
    return jobs


def _sweep(options: argparse.Namespace) -> int:
    """Sweep a notebook, print the table and the errors; return 1 if a run did not succeed."""
    from helpers import sweeps

    try:
        path, grid = notebook_path(options.name, options.folder), _parsed_grid(options.grid)
        sweeps._points(path, grid)  # before MNIST is fetched for nothing
        _require_mnist(path, grid)
        table = sweep(
            options.name, grid, scheduler=options.scheduler, workers=options.workers,
            output_dir=options.output_dir, folder=options.folder,
        )  # fmt: skip
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted: finished runs are kept, the next sweep goes on.", file=sys.stderr)
        return 130
    print(table.drop(columns=["error", "output"]).to_string(index=False), flush=True)
    troubled = table[table.status != "ok"]
    for row in troubled.itertuples():
        _print_failure(row.status, row.error, row.output)
    return 1 if len(troubled) else 0


def _parsed_grid(axes: Sequence[str]) -> dict[str, list[str]]:
    """Return a grid written as ``hidden_units=32,128 learning_rate=0.003``, its values as text."""
    grid = {}
    for axis in axes:
        name, given, values = axis.partition("=")
        if not name or not given:
            raise ValueError(f"{axis!r} is no part of a grid, expected PARAMETER=VALUE,VALUE,…")
        if name in grid:
            raise ValueError(f"the grid has {name} twice, expected all its values in one place")
        grid[name] = values.split(",")
    return grid


def _require_mnist(path: Path, grid: Mapping[str, Any]) -> None:
    """Have MNIST here before several runs at once look for it; a ValueError says it is not."""
    if "mnist" in grid.get("dataset", ["mnist"]) and reads_mnist(path) and not _obtain_mnist():
        instead = "add dataset=digits for scikit-learn's 8×8 digits"
        raise ValueError(f"{path.stem} needs MNIST: `make data` fetches it; or {instead}")


def _run_all(
    paths: Sequence[Path], parameters: Mapping[str, Any], output_dir: Path, jobs: int | None
) -> list[RunResult]:
    """Run the notebooks, `jobs` at a time, on the digits those that read MNIST if there is none."""
    from helpers import pool, sweeps

    on_mnist = [p for p in paths if "dataset" not in parameters and reads_mnist(p)]
    values = {path: dict(parameters) for path in paths}
    if on_mnist and not _obtain_mnist():
        names = ", ".join(path.stem for path in on_mnist)
        instead = f"*** NO MNIST: {names} on scikit-learn's 8×8 digits instead. ***"
        print(f"{instead} `make data` fetches MNIST, MNIST_DIR= names a copy.", flush=True)
        values |= {path: {**parameters, "dataset": "digits"} for path in on_mnist}
    for output in [_output(path, output_dir) for path in paths]:
        _discard_results(output)  # not one by one: an interruption must leave no earlier result
    jobs = jobs or min(sweeps.cores(), MOST_JOBS)
    together = [path for path in paths if jobs > 1 and not has_workers(path)]
    together = together if len(together) > 1 else []
    begin = _announcer(len(paths))
    calls = [(path, values[path], output_dir) for path in together]
    results = {result.name: result for result in pool.run_notebooks(calls, jobs, begin)}
    for path in paths:
        if path not in together:
            begin(path)
            results[path.stem] = outcome(path, values[path], output_dir, sys.stderr.isatty())
    return [results[path.stem] for path in paths]


def outcome(
    path: Path, values: Mapping[str, Any], output_dir: Path, progress: bool = False
) -> RunResult:
    """Run the notebook at `path`, and return what becomes of it also where it fails."""
    return _outcome(run_notebook, path, values, output_dir, progress=progress)


def _execute_all(paths: Sequence[Path]) -> list[RunResult]:
    begin, results = _announcer(len(paths)), []
    for path in paths:
        begin(path)
        results.append(_outcome(execute_in_place, path, progress=sys.stderr.isatty()))
    return results


def _outcome(
    action: Callable[..., RunResult], path: Path, *given: Any, **options: Any
) -> RunResult:
    """Return the result of `action`, or that it failed, which keeps no others from running."""
    started = time.perf_counter()
    try:
        return action(path.stem, *given, folder=path.parent, **options)
    except NotebookError as error:
        reason, output = str(error), error.output
    except Exception as error:  # a full disk, say
        reason, output = f"{path.stem}: {type(error).__name__}: {error}", None
    seconds = time.perf_counter() - started
    return RunResult(path.stem, "failed", seconds, output=output, error=reason)


def _announcer(total: int) -> Callable[[Path], None]:
    """Return what prints which notebook begins now, and how many there are."""
    numbers = itertools.count(1)
    return lambda path: print(f"[{next(numbers)}/{total}] {path.stem}", flush=True)


def _obtain_mnist() -> bool:
    """Whether MNIST is here, if need be after an attempt to download it."""
    if datasets.mnist_available():
        return True
    try:
        datasets.fetch_mnist()
    except datasets.DatasetError as error:
        print(f"MNIST cannot be fetched: {error}", file=sys.stderr)
        return False
    return True


def _summarise(results: Sequence[RunResult]) -> int:
    """Print one line a notebook, then the failures; return 1 if there are any."""
    width = max((len(result.name) for result in results), default=0)
    print()
    for result in results:
        given = ", ".join(f"{name}={value}" for name, value in result.parameters.items())
        outcome = result.headline if result.status == "ok" else "FAILED"
        note = f"  ({given})" if given else ""
        print(f"{result.name:{width}}  {result.seconds:6.1f} s  {outcome}{note}", flush=True)
    failures = [result for result in results if result.status == "failed"]
    for result in failures:
        _print_failure(result.status, result.error, result.output)
    return 1 if failures else 0


def _print_failure(status: str, error: str, output: str | os.PathLike | None) -> None:
    kept = f"; partial notebook: {os.path.relpath(output)}" if output else ""
    print(f"{status.upper()} {error}{kept}", file=sys.stderr)


if __name__ == "__main__":
    # Being terminated is an interruption too: kernel and temporary files go.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
