"""Sweep a notebook over a grid of parameters on a Dask cluster; called through `runs.sweep`.

Each run is a Dask task that executes the notebook in a kernel of its own, one at a time in a worker
process. What a run has become is always data, never an exception, so none can take others along.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import logging
import os
import re
import secrets
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from helpers import runs

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client, Future
    from nbformat import NotebookNode

COLUMNS = ("seconds", "status", "error", "output")  # of the table, after parameters and metrics
BLAS_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
FORWARDED = (*BLAS_THREADS, "MNIST_DIR")  # set where the sweep is called, they hold for its runs
ATTEMPTS = 2  # a run whose worker died is begun once more, after all others
CONNECT_SECONDS = 10  # for the scheduler to answer
FIRST_WORKER_SECONDS = 30  # for a worker to be there
NO_WORKER_SECONDS = 60  # for another worker to come when the last one is gone

_one_notebook_at_a_time = threading.Lock()  # in a worker process, however many threads it has


@dataclass(frozen=True)
class _Run:
    """One point of the grid: the notebook, its parameters, and the notebook to be written."""

    path: Path
    values: dict[str, Any]
    output: Path


@dataclass(frozen=True)
class _Outcome:
    """What became of a run.

    ``status`` is "ok", "failed" or "lost" as in the table, or "died" as long as the run may be
    begun again.
    """

    status: str
    error: str = ""
    seconds: float = np.nan
    output: Path | None = None


def sweep(
    name: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    scheduler: str | None,
    workers: int | None,
    output_dir: str | os.PathLike,
    folder: str | os.PathLike,
    progress: bool,
) -> pd.DataFrame:
    """Execute a notebook at every point of `grid`; documented at `runs.sweep`."""
    path = runs.notebook_path(name, folder).resolve()
    target = Path(output_dir).resolve() / path.stem
    planned = [_Run(path, v, target / f"{_label(v)}.ipynb") for v in _points(path, grid)]
    _check_cluster(scheduler, workers)
    code = _code(runs._read(path))
    outcomes = {run.output: _Outcome("ok") for run in planned if _is_finished(run, code)}
    todo = [run for run in planned if run.output not in outcomes]
    try:
        if todo:
            with _client(scheduler, min(workers or cores(), len(todo))) as client:
                target.mkdir(parents=True, exist_ok=True)
                _check_shared(client, path, target)
                _execute(client, todo, outcomes, progress)
    except KeyboardInterrupt:
        if scheduler is None:  # runs that began on workers started elsewhere go on to their end
            for run in todo:
                _discard(_attempts(run))
        raise
    finally:  # what is finished stays, also if the sweep is interrupted
        rows = [_row(run, outcomes[run.output]) for run in planned if run.output in outcomes]
        if rows:
            try:
                _write_table(target / "table.csv", rows, code)
            except OSError as error:  # on Windows, a program that has it open
                warnings.warn(f"{target / 'table.csv'} is not written: {error}", stacklevel=3)
    if progress:
        print(_summary(rows, len(planned) - len(todo), target), file=sys.stderr)
    return _table(rows)


# --------------------------------------------------------------------------------- the points


def _points(path: Path, grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the parameters of each run, the last one varying fastest, with converted values."""
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid is {grid!r}, expected a mapping from parameter to its values")
    if not grid:
        raise ValueError("grid is empty, expected at least one parameter with its values")
    axes = [_axis(path, parameter, values) for parameter, values in grid.items()]
    return [dict(zip(grid, point, strict=True)) for point in itertools.product(*axes)]


def _axis(path: Path, parameter: str, values: Sequence[Any]) -> list[Any]:
    """Return the checked and converted values of one parameter of the grid."""
    if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, np.ndarray)):
        raise TypeError(f"grid[{parameter!r}] is {values!r}, expected a list of values")
    if len(values) == 0:
        raise ValueError(f"grid[{parameter!r}] is empty, expected at least one value")
    if parameter in COLUMNS:
        raise ValueError(f"grid has {parameter!r}, which is the name of a column of the table")
    axis = [runs._checked_parameters(path, {parameter: value})[parameter] for value in values]
    repeated = [value for i, value in enumerate(axis) if value in axis[:i]]
    if repeated:
        raise ValueError(f"grid[{parameter!r}] has {repeated[0]!r} twice, expected distinct values")
    return axis


def _label(values: Mapping[str, Any]) -> str:
    """Return a file name for a run: its parameters, by name, as in ``epochs=2,rate=0.1``.

    Where these are long or hold signs that not every file system takes or tells apart, what can be
    shown of them is followed by a hash of all.
    """
    exact = _as_json(values)
    texts = {name: value if isinstance(value, str) else json.dumps(value, default=repr)
             for name, value in sorted(values.items())}  # fmt: skip
    # A dot is kept in numbers only: a text that ends in ".failed" would read as our own suffix.
    shown = {name: re.sub(r"[^a-z0-9_+-]" if isinstance(values[name], str) else r"[^a-z0-9_.+-]",
                          "_", text) for name, text in texts.items()}  # fmt: skip
    label = ",".join(f"{name}={text}" for name, text in shown.items())
    if shown == texts and label == label.lower() and len(label) <= 100:
        return label
    return f"{label[:80]}-{hashlib.sha256(exact.encode()).hexdigest()[:10]}"


def _check_cluster(scheduler: str | None, workers: int | None) -> None:
    """Refuse a cluster that cannot be meant."""
    if scheduler is not None and not isinstance(scheduler, str):
        raise TypeError(f"scheduler is {scheduler!r}, expected an address such as tcp://host:8786")
    if workers is not None and scheduler is not None:
        raise ValueError(f"workers is {workers!r}, but the workers of {scheduler} are there")
    if workers is not None and (type(workers) is not int or workers < 1):
        raise ValueError(f"workers is {workers!r}, expected a whole number of at least 1")


# ------------------------------------------------------------------------ what is there already


def _code(nb: NotebookNode) -> list[str]:
    """Return the code of a notebook; an executed one has the same, but for papermill's cell."""
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    return [c.source for c in cells if "injected-parameters" not in c.metadata.get("tags", [])]


def _executed(path: Path) -> NotebookNode | None:
    """Return the notebook at `path`, None if there is none that can be read."""
    try:
        return runs._read(path)
    except (OSError, ValueError):
        return None


def _is_finished(run: _Run, code: list[str]) -> bool:
    """Whether the run's notebook is there, from this very code and these parameters."""
    nb = _executed(run.output)
    if nb is None or _code(nb) != code:
        return False
    stored = nb.metadata.get("papermill", {}).get("parameters")
    return _as_json(stored) == _as_json(run.values)  # where a tuple is a list, and nan is itself


def _as_json(values: Any) -> str:
    return json.dumps(values, sort_keys=True, default=repr)


def _attempts(run: _Run) -> list[Path]:
    """Return what is left of attempts at a run that have not come to their end, oldest first."""
    pattern = re.compile(rf"{re.escape(run.output.stem)}\.[0-9a-f]{{8}}-\d+\.partial\.ipynb")
    candidates = run.output.parent.glob("*.partial.ipynb")  # none where there is no folder yet
    found = [path for path in candidates if pattern.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _discard(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


# --------------------------------------------------------------------------------- the cluster


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[Client]:
    """Give a client of the scheduler at an address, or of a cluster that lives as long as it."""
    from distributed import Client

    cluster = _local_cluster(workers) if scheduler is None else nullcontext(scheduler)
    with cluster as address:
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = f"no Dask scheduler answers at {scheduler!r} in {CONNECT_SECONDS} s"
            raise ConnectionError(f"{reason}: {error}") from None
        with client:
            try:
                client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
            except TimeoutError:
                remedy = f"start one with `dask worker {scheduler} --nthreads 1`"
                reason = f"the scheduler {scheduler} has no worker"
                raise TimeoutError(f"{reason} after {FIRST_WORKER_SECONDS} s; {remedy}") from None
            yield client


def _local_cluster(workers: int) -> Any:
    """Return a cluster of worker processes that listens to this machine only."""
    import dask
    from distributed import LocalCluster

    # Dask would set numbers of threads here, in our own process, to give them to its workers.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": {}}):
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
            # Notebooks use memory in their kernels: what their workers use says nothing.
            memory_limit=None,
            # Without dashboard some pages remain; on a free port they do not complain of others.
            dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,  # a dead worker is reported by us, in its row
        )  # fmt: skip


def _check_shared(client: Client, path: Path, target: Path) -> None:
    """Refuse workers that cannot import the helpers or do not see our files."""
    try:
        seen = client.run(_sees, path, target)
    except ImportError as error:
        raise RuntimeError(f"a worker cannot import what it needs: {error}") from None
    blind = [address for address, sees in seen.items() if not sees]
    if blind:
        raise RuntimeError(f"the worker {blind[0]} does not see {path} and {target}")


def _sees(path: Path, target: Path) -> bool:
    """Whether this machine has the notebook and the folder for results."""
    return path.is_file() and target.is_dir()


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_counts(threads: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return how many threads BLAS may use, by variable: `threads`, unless `environment` says it.

    OMP_NUM_THREADS counts for all of them, as it does for BLAS itself.
    """
    for_all = environment.get("OMP_NUM_THREADS", str(threads))
    return {name: environment.get(name, for_all) for name in BLAS_THREADS}


# ------------------------------------------------------------------------------------- the runs


def _execute(
    client: Client, todo: Sequence[_Run], outcomes: dict[Path, _Outcome], progress: bool
) -> None:
    """Execute the runs and enter what becomes of each into `outcomes`, by its output."""
    from tqdm import tqdm

    for run in todo:
        runs._discard_results(run.output)
        _discard(_attempts(run))
    total, name = len(outcomes) + len(todo), todo[0].path.stem
    bar = tqdm(total=total, initial=len(outcomes), desc=name, unit="run", disable=not progress)
    with bar:
        for run, outcome in _outcomes(client, todo):
            outcomes[run.output] = _settled(run, outcome)
            bar.update()
            troubled = sum(o.status != "ok" for o in outcomes.values())
            bar.set_postfix({"not ok": troubled} if troubled else {})


def _outcomes(client: Client, todo: Sequence[_Run]) -> Iterator[tuple[_Run, _Outcome]]:
    """Yield each run with its outcome, as they come.

    A run whose worker died is begun again when all others have ended: if it is itself what kills
    workers, it has the fewest others to harm.
    """
    sweep_id = secrets.token_hex(4)
    for attempt in range(1, ATTEMPTS + 1):
        died = []
        for run, outcome in _round(client, todo, f"{sweep_id}-{attempt}"):
            if outcome.status != "died":
                yield run, outcome
            elif attempt < ATTEMPTS:
                died.append(run)
            else:
                yield run, replace(outcome, status="lost")
        if not died:
            return
        todo = died


def _round(client: Client, todo: Sequence[_Run], attempt: str) -> Iterator[tuple[_Run, _Outcome]]:
    """Begin each run once and yield it with its outcome."""
    hosts = Counter(map(_host, _workers(client)))
    environment = {name: os.environ[name] for name in FORWARDED if name in os.environ}
    if "MNIST_DIR" in environment:
        environment["MNIST_DIR"] = os.path.abspath(environment["MNIST_DIR"])
    pending = {
        client.submit(_run_once, run, attempt, dict(hosts), environment, pure=False): run
        for run in todo
    }
    waiting_since = time.monotonic()
    try:
        while pending:
            for future in [future for future in pending if future.done()]:
                run = pending.pop(future)
                yield run, _outcome(future, run)
            if _workers(client):
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > NO_WORKER_SECONDS:
                break
            time.sleep(0.1)
        for run in pending.values():
            yield run, _Outcome("lost", f"{run.path.stem}: no worker was left to run it")
    finally:
        if client.status == "running":
            client.cancel(list(pending))


def _workers(client: Client) -> list[str]:
    """Return the addresses of the workers that are there."""
    with suppress(OSError, RuntimeError):  # which are raised while the scheduler goes away
        if client.status == "running":
            return list(client.nthreads())
    return []


def _outcome(future: Future, run: _Run) -> _Outcome:
    """Return what the task gave back, or what Dask says has become of it."""
    name = run.path.stem
    try:
        return future.result(timeout=NO_WORKER_SECONDS)
    except CancelledError:  # which the sweep did not ask for: it has lost the scheduler
        return _Outcome("lost", f"{name}: the connection to the scheduler was lost")
    except Exception as error:  # KilledWorker, above all; the task itself raises nothing
        return _Outcome("died", f"{name}: {type(error).__name__}: {error}")


def _settled(run: _Run, outcome: _Outcome) -> _Outcome:
    """Clear away attempts that did not end, save the last one of a lost run."""
    attempts = _attempts(run)
    if outcome.status == "lost" and attempts and attempts[-1].stat().st_size:
        kept = run.output.with_suffix(".failed.ipynb")
        os.replace(attempts.pop(), kept)
        outcome = replace(outcome, output=kept)
    _discard(attempts)
    return outcome


# ------------------------------------------------------------------------------- in the worker


def _host(address: str) -> str:
    return urlsplit(address).hostname or address


def _run_once(
    run: _Run, attempt: str, hosts: Mapping[str, int], environment: Mapping[str, str]
) -> _Outcome:
    """Execute a run on the worker this is called on, and return what became of it.

    `hosts` tells how many workers each machine has: they share its cores. On a machine that joined
    later a notebook gets one. `environment` comes from the caller and has the last word.
    """
    from distributed import get_worker

    workers = hosts.get(_host(get_worker().address), cores())
    threads = thread_counts(max(1, cores() // workers), environment)
    with _one_notebook_at_a_time, _environment({**environment, **threads}):
        if run.output.exists():  # finished, then its worker died before we knew
            return _Outcome("ok")
        # Each attempt writes to a name of its own, whatever may remain of an earlier one.
        partial = run.output.with_suffix(f".{attempt}.partial.ipynb")
        try:
            partial.open("x").close()
        except FileExistsError:  # Dask repeats the task: the worker that had it is gone
            return _Outcome("died", f"{run.path.stem}: its worker died, also when repeated")
        return _execute_run(run, partial)


def _execute_run(run: _Run, partial: Path) -> _Outcome:
    """Execute a run by way of `partial`; whatever goes wrong goes into the outcome."""
    started = time.perf_counter()
    try:
        runs._run(run.path, run.values, run.output, partial)
    except Exception as error:
        told = isinstance(error, runs.NotebookError)
        reason = str(error) if told else f"{run.path.stem}: {type(error).__name__}: {error}"
        output = error.output if told else None
        return _Outcome("failed", reason, time.perf_counter() - started, output)
    return _Outcome("ok")


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Let kernels started meanwhile have these variables; the worker's own BLAS is loaded."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# ------------------------------------------------------------------------------------ the table


def _row(run: _Run, outcome: _Outcome) -> dict[str, Any]:
    """Return the row of a run, a finished one's as its notebook tells it."""
    row = {**run.values}
    if outcome.status == "ok":
        nb = runs._read(run.output)
        row |= _metric_columns(nb, runs.notebook_parameters(run.path))
        outcome = replace(outcome, seconds=nb.metadata.papermill.duration, output=run.output)
    told = (outcome.seconds, outcome.status, outcome.error, str(outcome.output or ""))
    return {**row, **dict(zip(COLUMNS, told, strict=True))}


def _metric_columns(nb: NotebookNode, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook's metrics, "metric_" before the name of one that would be ambiguous."""
    taken = {*parameters, *COLUMNS}
    metrics = runs.read_metrics(nb)
    return {f"metric_{name}" if name in taken else name: v for name, v in metrics.items()}


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns of all rows in the order they come up, and `COLUMNS` after them."""
    names = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    return [*names, *COLUMNS]


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=_columns(rows))


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]], code: list[str]) -> None:
    """Write the rows, after those of earlier grids whose notebooks are there and of this code."""
    new = {_key(row["output"]) for row in rows}
    old = [row for row in _stored_rows(path) if _key(row["output"]) not in new]
    old = [row for row in old if (nb := _executed(Path(row["output"]))) and _code(nb) == code]
    rows = [*old, *rows]
    with runs.whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _columns(rows), restval="")
        writer.writeheader()
        writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in rows)  # NaN


def _stored_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that have a notebook, each value as text; none without table.

    A spreadsheet may have saved it with other letters, which are replaced.
    """
    with (
        suppress(FileNotFoundError),
        path.open(newline="", encoding="utf-8", errors="replace") as file,
    ):
        rows = [row for row in csv.DictReader(file) if row.get("output")]
        for row in rows:  # the folder may have been moved since
            row["output"] = str(path.parent / Path(row["output"]).name)
        return rows
    return []


def _key(output: str) -> str:
    """Return what the names of a run's notebook have in common, finished or not."""
    return output.removesuffix(".ipynb").removesuffix(".failed")


def _summary(rows: Sequence[Mapping[str, Any]], kept: int, target: Path) -> str:
    """Return one line that counts the runs by what became of them."""
    counts = Counter(row["status"] for row in rows)
    counts["ok"] -= kept
    told = [f"{counts[status]} {status}" for status in ("ok", "failed", "lost") if counts[status]]
    told += [f"{kept} kept from before"] if kept else []
    number = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
    return f"{number}: {', '.join(told)}; table: {os.path.relpath(target / 'table.csv')}"
