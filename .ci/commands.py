"""The command line of `make run`, `make execute` and `make sweep`."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import nbformat
from nbformat import NotebookNode

try:
    from helpers import datasets, runs
except ImportError as error:
    sys.exit(
        f"error: {error}; what is needed are the helpers of this project (`pip install -e .`), "
        "and no other package or folder of this name before them"
    )

KEPT_METADATA = {"tags", "slideshow", "jupyter", "nbgrader", "editable", "deletable"}  # of cells
KEPT_LANGUAGE = {"name", "file_extension", "mimetype", "nbconvert_exporter"}  # and no version


def main() -> int:
    """Do what the command line says, print what became of it, and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a headline may have signs the terminal lacks
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C
    logging.disable(logging.ERROR)  # what goes wrong is told below
    options = parse_command_line()
    try:
        check_folders(options)
        return {"run": run, "execute": execute, "sweep": sweep}[options.action](options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted: what is complete is kept, and nothing else.", file=sys.stderr)
        return 130


def parse_command_line() -> argparse.Namespace:
    """Return what `make` has put on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["run", "execute", "sweep"])
    parser.add_argument("names", nargs="*", help="of the notebooks, or paths, or numbers")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--grid", nargs="+", default=[], metavar="NAME=VALUE,VALUE,…")
    parser.add_argument("--jobs", type=int, help="notebooks at a time on this machine")
    parser.add_argument("--scheduler", help="address of a Dask scheduler")
    parser.add_argument("--folder", type=Path, default=runs.NOTEBOOKS, help="of the notebooks")
    parser.add_argument("--output-dir", type=Path, default=runs.RUNS, help="of the results")
    options = parser.parse_args()
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"jobs is {options.jobs}, expected at least 1")
    if options.p and options.action != "run":
        parser.error(f"PARAMS= is for make run; make {options.action} takes none")
    return options


def check_folders(options: argparse.Namespace) -> None:
    """Refuse, before anything runs, a folder that cannot be written or hides our helpers."""
    place = options.folder if options.action == "execute" else options.output_dir
    try:
        if options.action != "execute":
            place.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=place).close()
    except OSError as error:
        raise OSError(f"{error}; OUT=/another/folder is a place for results") from None
    for name in ("helpers", "helpers.py"):
        if (options.folder / name).exists():
            raise ValueError(f"{options.folder / name} comes before our helpers: rename it")


def chosen_paths(options: argparse.Namespace) -> list[Path]:
    """Return the paths of the named notebooks, or of all."""
    for name in options.names:
        if "=" in name:
            raise ValueError(f'a parameter is given as PARAMS="-p {name.replace("=", " ", 1)}"')
    names = options.names or runs.notebook_names(options.folder)
    return list(dict.fromkeys(runs.notebook_path(name, options.folder) for name in names))


def run(options: argparse.Namespace) -> int:
    """Execute notebooks into runs/."""
    paths, given = chosen_paths(options), dict(options.p)
    if given and not options.names:
        raise ValueError("parameters need a notebook, as in make run NB=10_mnist PARAMS=…")
    values = {path: runs.check_parameters(path, given) for path in paths}
    on_mnist = [path for path in paths if "dataset" not in given and runs.reads_mnist(path)]
    if on_mnist and not mnist_is_here():
        names = ", ".join(path.stem for path in on_mnist)
        print(f"*** NO MNIST: {names} on scikit-learn's 8×8 digits instead. ***", flush=True)
        values |= {path: {**values[path], "dataset": "digits"} for path in on_mnist}
    calls = [(path, values[path], options.output_dir / path.name) for path in paths]
    # One that starts workers of its own comes last, and alone.
    alone = [call for call in calls if "scheduler" in runs.notebook_parameters(call[0])]
    together = [call for call in calls if call not in alone]
    for call in calls:  # all before the first: an interruption must leave no earlier result
        runs.discard_results(call)
    results = chain(runs.run_many(together, jobs=options.jobs), runs.run_many(alone, jobs=1))
    return tell(results, len(calls))


def execute(options: argparse.Namespace) -> int:
    """Re-execute notebooks in their own place, one after the other, and clean them."""
    paths = chosen_paths(options)
    return tell(map(execute_in_place, paths), len(paths))


def sweep(options: argparse.Namespace) -> int:
    """Execute a notebook over a grid of parameters, and print the table."""
    paths, axes = chosen_paths(options), [axis.partition("=") for axis in options.grid]
    grid = {name: values.split(",") for name, _, values in axes}
    if len(paths) != 1 or len(grid) < len(axes):
        raise ValueError("expected one notebook, and each parameter of the grid once")
    on_mnist = "mnist" in grid.get("dataset", ["mnist"]) and runs.reads_mnist(paths[0])
    if on_mnist and not mnist_is_here():
        raise ValueError("no MNIST: add dataset=digits for scikit-learn's 8×8 digits")
    places = {"output_dir": options.output_dir, "folder": options.folder}
    workers = {"scheduler": options.scheduler, "workers": options.jobs}
    table = runs.sweep(paths[0].stem, grid, **workers, **places)
    print(table.drop(columns=["error", "output"]).to_string(index=False), flush=True)
    return tell_failures(list(table[table["status"] != "ok"].itertuples()))


def mnist_is_here() -> bool:
    """Whether MNIST is here, if need be after its download."""
    try:
        if not datasets.mnist_available():
            datasets.fetch_mnist()
    except datasets.DatasetError as error:
        print(error, file=sys.stderr)
        return False
    return True


def tell(results: Iterable[runs.RunResult], total: int) -> int:
    """Print a line on each run as it ends, and at last what went wrong; return the exit status."""
    failures = []
    for number, result in enumerate(results, 1):
        told = result.headline if result.status == "ok" else result.status.upper()
        given = ", ".join(f"{name}={value}" for name, value in result.parameters.items())
        told += f"  ({given})" if given else ""
        print(f"[{number}/{total}] {result.name:24} {result.seconds:6.1f} s  {told}", flush=True)
        if result.status != "ok":
            failures.append(result)
    return tell_failures(failures)


def tell_failures(failures: Sequence) -> int:
    """Print what went wrong and the partial notebooks that show it; return the exit status."""
    for failure in failures:
        kept = f"; partial notebook: {os.path.relpath(failure.output)}" if failure.output else ""
        print(f"{failure.status.upper()} {failure.error}{kept}", file=sys.stderr)
    return min(len(failures), 1)


# ---------------------------------------------------------------------------------------- in place


def execute_in_place(path: Path) -> runs.RunResult:
    """Replace a notebook by one that has run to its end, cleaned, and return its result."""
    before = path.read_bytes()
    with TemporaryDirectory() as elsewhere:
        (result,) = runs.run_many([(path, {}, Path(elsewhere) / path.name)])
        if result.status == "ok" and path.read_bytes() != before:
            error = f"{path.stem}: it was saved while it ran, and is left as it was saved"
            result = replace(result, status="failed", error=error)
        elif result.status == "ok":
            runs.write_notebook(clean_notebook(nbformat.read(result.output, 4)), path)
    return replace(result, output=None)


def clean_notebook(nb: NotebookNode) -> NotebookNode:
    """Return `nb` without what changes from run to run, each figure with its caption as alt text.

    Sources, ids, counts and outputs stay, but not what a cell wrote to stderr.
    """
    language = {k: v for k, v in nb.metadata.language_info.items() if k in KEPT_LANGUAGE}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": runs.KERNEL}
    nb.metadata = {"kernelspec": kernel, "language_info": language}
    for number, cell in enumerate(nb.cells):
        kept = {k: v for k, v in cell.metadata.items() if k in KEPT_METADATA}
        cell.metadata = {k: v for k, v in kept.items() if v != []}  # papermill's empty tags
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)  # its state is not stored
            if "image/png" in data:
                output.metadata["image/png"] = {"alt": caption(nb.cells[number + 1 :])}
    return nb


def caption(cells: Sequence[NotebookNode]) -> str:
    """Return the first paragraph in italics of the first text among `cells`, without markup."""
    text = next((cell.source for cell in cells if cell.cell_type == "markdown"), "")
    found = re.search(r"^\*(?![*\s])(.+?)(?<![*\s])\*(?!\*)", text, flags=re.M | re.S)
    return re.sub(r"\s+", " ", re.sub(r"[$`*]", "", found[1])).strip() if found else ""


if __name__ == "__main__":
    sys.exit(main())
