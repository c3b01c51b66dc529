"""Run notebooks, one or many, and read what they report.

Each step stands on the one before: a notebook passes on its result with `report`, `run_notebook`
executes one with papermill, `run_many` several on Dask, `sweep` one over a grid of parameters.
"""

from __future__ import annotations

import ast
import contextvars
import math
import os
import shutil
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client, Future
    from jupyter_client import KernelManager
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "runs"
KERNEL = "python3"  # as ipykernel installs it: the Python in use
MOST_JOBS = 4  # notebooks at a time, however many cores there are: each takes up to a gigabyte
# Two threads of BLAS wait for each other on a busy machine, for up to twenty times as long as one
# takes for the small products here. What the user has set wins. The second variable is Apple's.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}
METRICS = "application/vnd.backprop.metrics+json"  # MIME type under which metrics are stored
COLUMNS = ["seconds", "status", "error", "output"]  # of a sweep's table, after all others

Call = tuple[Path, dict[str, Any], Path]  # notebook, values of its parameters, place of the result


class NotebookError(RuntimeError):
    """A notebook failed; the message names notebook, cell and exception."""


@dataclass(frozen=True)
class RunResult:
    """What became of one run: ``status`` is "ok", "failed" or "lost", with its worker, say."""

    name: str
    status: str
    seconds: float = math.nan
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headline: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    output: Path | None = None
    error: str = ""


# ------------------------------------------------------------------------ what a notebook reports


def report(headline: str, **metrics: float | int | bool | str) -> None:
    """Show the notebook's headline and store its metrics with it, in the output of this cell.

    `run_notebook` returns them, `sweep` gives each metric a column. Of several reports the last
    one counts. Floats keep six significant digits, as the later ones depend on the machine.
    """
    from IPython.display import display

    for name, value in metrics.items():
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"metric {name} is {value}, expected a finite number")
        metrics[name] = float(f"{value:.6g}") if isinstance(value, float) else value
    display({"text/plain": headline, METRICS: metrics}, raw=True)


def read_report(notebook: str | os.PathLike | NotebookNode) -> tuple[str, dict[str, Any]]:
    """Return headline and metrics of an executed notebook, ``("", {})`` if it reports none."""
    nb = _read(notebook) if isinstance(notebook, (str, os.PathLike)) else notebook
    shown = [output.get("data", {}) for cell in nb.cells for output in cell.get("outputs", [])]
    reports = [(data["text/plain"], dict(data[METRICS])) for data in shown if METRICS in data]
    return reports[-1] if reports else ("", {})


# -------------------------------------------------------------------------- names and parameters


def notebook_names(folder: str | os.PathLike = NOTEBOOKS) -> list[str]:
    """Return the names of the notebooks in `folder`, in order and without ``.ipynb``."""
    return sorted(path.stem for path in Path(folder).glob("*.ipynb"))


def notebook_path(name: str, folder: str | os.PathLike = NOTEBOOKS) -> Path:
    """Return the path of the notebook in `folder` with this name, path or number."""
    names, stem = notebook_names(folder), Path(name).name.removesuffix(".ipynb")
    numbered = [known for known in names if known.startswith(f"{stem:0>2}_")]
    found = [stem] if stem in names else numbered
    elsewhere = len(Path(name).parts) > 1 and Path(name).resolve().parent != Path(folder).resolve()
    if len(found) != 1 or elsewhere:
        raise ValueError(f"there is no notebook {name!r}; there are: {', '.join(names) or 'none'}")
    return Path(folder) / f"{found[0]}.ipynb"


def notebook_parameters(path: str | os.PathLike) -> dict[str, dict[str, str]]:
    """Return what papermill reads from the cell tagged `parameters`, by name.

    Each value is ``{"name", "inferred_type_name", "default", "help"}``, all strings.
    """
    from papermill.translators import PythonTranslator

    tagged = [cell for cell in _read(path).cells if "parameters" in cell.metadata.get("tags", [])]
    return {p.name: p._asdict() for cell in tagged for p in PythonTranslator.inspect(cell)}


def reads_mnist(path: str | os.PathLike) -> bool:
    """Whether the notebook at `path` works on MNIST unless its `dataset` is chosen."""
    return notebook_parameters(path).get("dataset", {}).get("default", "").strip("'\"") == "mnist"


def check_parameters(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return `parameters` in the types their notebook annotates; a ValueError names a wrong one."""
    known = {name: p["inferred_type_name"] for name, p in notebook_parameters(path).items()}
    if unknown := [name for name in parameters if name not in known]:
        listed = ", ".join(f"{name} ({kind})" for name, kind in known.items()) or "none"
        raise ValueError(f"{path.stem} has no parameter {unknown[0]!r}; it has: {listed}")
    return {name: _typed(name, value, known[name]) for name, value in parameters.items()}


def _typed(name: str, given: Any, kind: str) -> Any:
    """Return a value as annotated; text is read as Python unless text is expected."""
    value = given.item() if isinstance(given, np.generic) else given
    if isinstance(value, str) and kind != "str":
        with suppress(ValueError, SyntaxError):
            value = ast.literal_eval(value)
    if kind == "float" and type(value) is int:
        value = float(value)
    # Not isinstance, for which True is an int.
    if kind in ("int", "float", "bool", "str") and type(value).__name__ != kind:
        expected = "True or False" if kind == "bool" else kind
        raise ValueError(f"parameter {name} is {given!r}, expected {expected}")
    return value


# ----------------------------------------------------------------------------------- one notebook


def run_notebook(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    output_dir: str | os.PathLike = RUNS,
    *,
    folder: str | os.PathLike = NOTEBOOKS,
) -> RunResult:
    """Execute a notebook of `folder` with papermill, in a fresh kernel that works in `folder`.

    The result appears as ``output_dir/<name>.ipynb`` when it is complete, and not before. A failure
    leaves ``<name>.failed.ipynb`` and raises a `NotebookError`.
    """
    path = notebook_path(name, folder)
    call = (path, check_parameters(path, parameters or {}), Path(output_dir) / path.name)
    discard_results(call)
    result = _keep(call, *_execute(path, call[1]))
    if result.error:
        raise NotebookError(f"{result.error}; partial notebook: {result.output}")
    return result


def _execute(path: Path, values: dict) -> tuple[NotebookNode, str]:
    """Return the notebook as far as a kernel of its own has executed it, and why not further."""
    import papermill
    from jupyter_client import AsyncKernelManager
    from papermill.engines import papermill_engines

    nb = papermill.execute_notebook(
        _read(path), None, values, prepare_only=True, kernel_name=KERNEL, language="python"
    )
    reason = ""
    try:
        _refuse_when_interrupted()
        contextvars.Context().run(  # or threads would share one event loop
            papermill_engines.execute_notebook_with_engine,
            None,
            nb,
            kernel_name=KERNEL,
            kernel_manager_class=undisturbed(AsyncKernelManager),
            # where it works; papermill's own `cwd` would move all threads of this process
            resources={"metadata": {"path": str(path.parent)}},
            extra_arguments=["--log-level=CRITICAL"],  # it calls its own shutdown an error
            on_cell_execute=_refuse_when_interrupted,
            coalesce_streams=True,
            progress_bar=False,
        )
    except RuntimeError as error:  # the kernel died, or did not start
        reason = str(error) or type(error).__name__
    failed = reason or nb.metadata.papermill.exception
    return nb, _describe_failure(nb, path.stem, reason) if failed else ""


def _describe_failure(nb: NotebookNode, name: str, reason: str) -> str:
    """Return "notebook, cell: reason"; cells count from 1."""
    cells = _own_cells(nb)
    begun = [cell for cell in cells if cell.metadata.papermill.start_time]
    if not begun:
        return f"{name}: {reason}"
    cell = begun[-1]
    raised = [f"{o.ename}: {o.evalue}" for o in cell.outputs if o.output_type == "error"]
    told = "".join(raised or [reason]).splitlines()[0]
    line = cell.source.strip().splitlines()[0]
    return f"{name}, cell {len(begun)} of {len(cells)} (id {cell.get('id')}, `{line}`): {told}"


def _own_cells(nb: NotebookNode) -> list[NotebookNode]:
    """Return the cells without the one that papermill adds."""
    return [c for c in nb.cells if "injected-parameters" not in c.metadata.get("tags", [])]


_kernels: weakref.WeakSet[KernelManager] = weakref.WeakSet()  # those an interruption has to end
_interrupted = threading.Event()


def _refuse_when_interrupted(cell: Any = None, cell_index: int = 0) -> None:
    if _interrupted.is_set():
        raise RuntimeError("interrupted")


def undisturbed(manager: type[KernelManager]) -> type[KernelManager]:
    """Return such a manager, whose kernels no other program and no setting of a user disturbs.

    They use no ports, read no start-up files, keep assertions, and compute with one thread unless
    the user has set another number.
    """

    class Undisturbed(manager):
        def start_kernel(self, **options: Any) -> Any:
            # The path of a socket has at most about 100 bytes, fewer than some TMPDIR.
            folder = mkdtemp(prefix="kernel-", dir=None if os.name == "nt" else "/tmp")  # noqa: S108
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            if os.name != "nt":
                self.transport, self.ip = "ipc", f"{folder}/kernel"
            settings = {"IPYTHONDIR": folder, "PYTHONOPTIMIZE": ""}
            _kernels.add(self)
            return super().start_kernel(env={**ONE_THREAD, **os.environ, **settings}, **options)

    return Undisturbed


def discard_results(call: Call) -> None:
    """Remove what earlier runs left: a run that is stopped has no result at all."""
    path, _, output = call
    if output.exists() and output.samefile(path):
        raise ValueError(f"the result would replace {path} itself; expected another folder for it")
    output.parent.mkdir(parents=True, exist_ok=True)
    for stale in (output, output.with_suffix(".failed.ipynb")):
        stale.unlink(missing_ok=True)


def _keep(call: Call, nb: NotebookNode, error: str) -> RunResult:
    """Store an executed notebook, under another name if it failed, and return the result."""
    result = _result(call, nb, error)
    write_notebook(nb, result.output)
    return result


def _result(call: Call, nb: NotebookNode, error: str = "") -> RunResult:
    path, values, output = call
    seconds = nb.metadata.papermill.duration
    if error:
        partial = output.with_suffix(".failed.ipynb")
        return RunResult(path.stem, "failed", seconds, values, output=partial, error=error)
    return RunResult(path.stem, "ok", seconds, values, *read_report(nb), output)


def _read(path: str | os.PathLike) -> NotebookNode:
    import nbformat

    return nbformat.read(os.fspath(path), as_version=4)


def write_notebook(nb: NotebookNode, path: Path) -> None:
    """Write a notebook, all of it or none."""
    import nbformat

    temporary = path.with_name(f".{path.name}.tmp")
    try:
        nbformat.write(nb, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# --------------------------------------------------------------------------------- many notebooks


def run_many(
    calls: Sequence[Call], *, jobs: int | None = None, scheduler: str | None = None
) -> Iterator[RunResult]:
    """Execute notebooks on Dask, and yield what becomes of each as it ends.

    `jobs` at a time on this machine, by default one a core but no more than four, or by the workers
    of a `scheduler`. What goes wrong costs its own result only; an interruption keeps the complete.
    """
    from dask.system import CPU_COUNT
    from distributed import as_completed

    for call in calls:
        discard_results(call)
    if not calls:
        return
    jobs = min(jobs or min(CPU_COUNT, MOST_JOBS), len(calls))
    with _client(scheduler, jobs) as client:
        running = {client.submit(_execute, *call[:2], pure=False): call for call in calls}
        for future in as_completed(running, loop=client.loop):
            yield _settle(future, running[future])
            future.release()  # or Dask repeats it when the worker that holds it dies


@contextmanager
def _client(scheduler: str | None, jobs: int) -> Iterator[Client]:
    """Give a client of a scheduler, or of threads here; an interruption ends their kernels."""
    from distributed import Client
    from distributed.comm.inproc import global_manager

    global_manager._ip = "127.0.0.1"  # or it looks for a route to the internet
    here = dict.fromkeys(["dashboard_address", "worker_dashboard_address"], "127.0.0.1:0")
    here |= {"processes": False, "n_workers": 1, "threads_per_worker": jobs}
    there = {"address": scheduler, "timeout": 10}
    try:
        with Client(**(there if scheduler else here), set_as_default=False) as client:
            client.wait_for_workers(1, timeout=30)
            try:
                yield client
            except BaseException:
                _interrupted.set()
                for kernel in list(_kernels):
                    with suppress(AttributeError):  # it has ended, or never began
                        kernel.provisioner.process.kill()
                raise
    finally:
        _interrupted.clear()


def _settle(future: Future, call: Call) -> RunResult:
    """Keep what a task returns, or say why it does not."""
    path, values, _ = call
    try:
        return _keep(call, *future.result())
    except Exception as error:  # its worker died, the scheduler is gone, the disk is full
        reason = f"{path.stem}: {type(error).__name__}: {error}"
        return RunResult(path.stem, "lost", parameters=values, error=reason)


# ------------------------------------------------------------------------------------------ a grid


def sweep(
    name: str,
    grid: Mapping[str, Sequence[Any]],  # a list of values for each parameter
    *,
    scheduler: str | None = None,  # its address, as tcp://host:8786; a worker runs one at a time
    workers: int | None = None,  # runs at a time on this machine, by default one a core
    output_dir: str | os.PathLike = RUNS,
    folder: str | os.PathLike = NOTEBOOKS,
    progress: bool = True,  # show a bar
) -> pd.DataFrame:
    """Execute a notebook at every point of a grid of parameters, several at a time on Dask.

    Each run becomes a notebook ``output_dir/<name>/<parameters>.ipynb``. One that is there, with
    these parameters and the code that `name` has now, is not repeated; delete it if what the code
    imports or reads has changed. Returns one row a run, also in ``output_dir/<name>/table.csv``:
    parameters, metrics ("metric_" before a name that is taken) and the `COLUMNS`.
    """
    import pandas as pd
    from dask.system import CPU_COUNT
    from sklearn.model_selection import ParameterGrid
    from tqdm import tqdm

    path = notebook_path(name, folder).resolve()
    target = Path(output_dir).resolve() / path.stem
    points = [check_parameters(path, point) for point in ParameterGrid(dict(grid))]
    calls = {_label(point): (path, point, target / f"{_label(point)}.ipynb") for point in points}
    results = {label: _finished(call) for label, call in calls.items()}
    todo = [call for label, call in calls.items() if not results[label]]
    new = run_many(todo, jobs=workers or CPU_COUNT, scheduler=scheduler)
    for result in tqdm(new, path.stem, len(todo), unit="run", disable=not progress):
        results[_label(result.parameters)] = result
    taken = {*notebook_parameters(path), *COLUMNS}
    table = pd.DataFrame([_row(result, taken) for result in results.values()])
    table = table[[column for column in table if column not in COLUMNS] + COLUMNS]
    table.to_csv(target / "table.csv", index=False)
    return table


def _label(parameters: Mapping[str, Any]) -> str:
    """Return a name for the file of a run: its parameters, as in ``epochs=2,rate=0.1``."""
    named = ",".join(f"{name}={value}" for name, value in parameters.items())
    return quote(named or "defaults", safe=",=+")


def _finished(call: Call) -> RunResult | None:
    """Return the result that is there already, from the same code and parameters, or None."""
    path, values, output = call
    try:
        nb = _read(output)
    except Exception:  # there is none, or it is damaged in one of many ways
        return None
    given = nb.metadata.get("papermill", {}).get("parameters")
    return _result(call, nb) if given == values and _code(nb) == _code(_read(path)) else None


def _code(nb: NotebookNode) -> list[str]:
    return [cell.source for cell in _own_cells(nb) if cell.cell_type == "code"]


def _row(result: RunResult, taken: set[str]) -> dict[str, Any]:
    """Return the row of a run; a metric gives way to what has its name already."""
    metrics = {f"metric_{k}" if k in taken else k: v for k, v in result.metrics.items()}
    told = [result.seconds, result.status, result.error, str(result.output or "")]
    return {**result.parameters, **metrics, **dict(zip(COLUMNS, told, strict=True))}


def definitions(notebook: str, *names: str, **scope: Any) -> SimpleNamespace:
    """Return functions and classes of a notebook, run from its cells without the rest of it.

    `scope` holds what they use besides: modules, arrays, parameters.
    """
    for source in _code(_read(notebook_path(notebook))):
        python = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
        for part in ast.parse(python).body:
            if getattr(part, "name", None) in names:
                exec(ast.unparse(part), scope)  # noqa: S102, our own notebooks
    return SimpleNamespace(**{name: scope[name] for name in names})
