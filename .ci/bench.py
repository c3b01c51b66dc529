"""Race the plain NumPy of notebook 11 against its peers, and keep the result.

``python .ci/bench.py`` is `make bench`. It runs notebook 11 with longer races than by default, once
with one thread and once with a thread on every core, prints how many times our time each contender
takes, and writes ``runs/bench.json``: the machine, the versions, and what each run reported. A peer
that is not installed is named as missing; only a notebook that fails is a failure.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
from dask.system import CPU_COUNT

from helpers.runs import RUNS, NotebookError, run_notebook

NOTEBOOK = "11_speed_and_scale"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "jax")
ROUNDS = 25  # of every race; the ratios are medians over them


def bench() -> dict:
    """Return the machine, the versions, and what notebook 11 reports for each number of threads."""
    reports = []
    for threads in sorted({1, CPU_COUNT}):
        parameters = {"threads": threads, "rounds": ROUNDS}
        result = run_notebook(NOTEBOOK, parameters, RUNS / f"bench-{threads}-threads")
        reports.append({"threads": threads, **result.metrics})
    machine = {
        "processor": processor(),
        "cores": CPU_COUNT,
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    return {"machine": machine, "versions": versions(), "runs": reports}


def processor() -> str:
    """Return the name of the processor; Linux tells it in a file only."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the version of each package in the races, "missing" if it is not installed."""
    found = dict.fromkeys(PACKAGES, "missing")
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def summary(result: dict) -> str:
    """Return the result as text, with a column of ratios for each number of threads."""
    reports = pd.DataFrame(result["runs"]).set_index("threads")
    ratios = reports.filter(regex="_over_ours$").T
    ratios.index = ratios.index.str.removesuffix("_over_ours").str.replace("_", " ")
    heading = "times our time (more than 1 is slower than ours), by number of threads:\n"
    lines = [
        f"{result['machine']['processor']}, {result['machine']['cores']} cores",
        ", ".join(f"{name} {number}" for name, number in result["versions"].items()),
        heading + ratios.round(2).to_string() if len(ratios) else "nothing to compare with here",
    ]
    if "final_ratio" in reports:
        lines.append(f"last rung, times its bare products: {reports.final_ratio.to_dict()}")
    if missing := result["runs"][-1].get("missing"):
        lines.append(f"missing, not installed: {missing}")
    return "\n".join(lines)


def main() -> int:
    """Race, print the table and write it down; return the exit status."""
    try:
        result = bench()
    except NotebookError as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    print(summary(result))
    path = RUNS / "bench.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
