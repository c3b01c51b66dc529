"""Race the plain NumPy of notebook 11 against its peers and keep the result.

``python -m helpers.bench`` is `make bench`. It runs notebook 11 with longer races than by default,
once with one thread and once with a thread on every core, and writes ``runs/bench.json``: the
machine, the versions, and for each run its threads, times and ratios. A peer that is not installed
is named there, and in the table that is printed.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from helpers import runs, sweeps

NOTEBOOK = "11_speed_and_scale"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "jax")
ROUNDS = 25  # of every race


def bench(
    output_dir: str | os.PathLike = runs.RUNS,
    threads: Sequence[int] | None = None,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Run the races with each number of threads, write ``output_dir/bench.json``, return it.

    Parameters
    ----------
    threads : by default one, and one for each core.
    rounds : of each race; the times are medians over them.

    Raises
    ------
    ValueError : a number of threads or rounds below 1.
    NotebookError : the notebook failed; an earlier ``bench.json`` stays as it was.
    """
    threads = list(dict.fromkeys([1, sweeps.cores()] if threads is None else threads))
    for name, value in [("rounds", rounds), *(("threads", count) for count in threads)]:
        if value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1")
    folder = Path(output_dir)
    measured = []
    for count in threads:
        parameters = {"threads": count, "rounds": rounds}
        output = folder / f"bench-{count}-threads"
        done = runs.run_notebook(NOTEBOOK, parameters, output, progress=sys.stderr.isatty())
        measured.append(dict(done.metrics))
    result = {"machine": machine(), "versions": versions(), "runs": measured}
    with runs.whole(folder / "bench.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def machine() -> dict[str, Any]:
    """Return what the times depend on besides the code: processor, cores and system."""
    return {
        "processor": _processor(),
        "cores": sweeps.cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Return the name of the processor; Linux tells it in a file only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the version of each package in the races, "missing" if it is not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def summary(result: Mapping[str, Any]) -> str:
    """Return the result as lines of text, a block for each number of threads."""
    lines = [f"{result['machine']['processor']}, {result['machine']['cores']} cores"]
    lines += [", ".join(f"{name} {number}" for name, number in result["versions"].items())]
    for run in result["runs"]:
        lines += ["", f"threads: {run['threads']}; last rung / products: {run['final_ratio']:.2f}"]
        for name, ratio in run.items():
            if name.endswith("_over_ours"):
                contender = name.removesuffix("_over_ours").replace("_", " ")
                lines.append(f"  {contender:40} {ratio:6.2f} times our time")
        if run.get("missing"):
            lines.append(f"  missing, not installed: {run['missing']}")
    return "\n".join(lines)


def main() -> int:
    """Race and print the table; return the exit status."""
    sys.stdout.reconfigure(errors="replace")
    try:
        result = bench(runs.RUNS)
    except runs.NotebookError as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: an earlier bench.json stays as it was.", file=sys.stderr)
        return 130
    print(summary(result))
    print(f"\nwritten to {os.path.relpath(runs.RUNS / 'bench.json')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
