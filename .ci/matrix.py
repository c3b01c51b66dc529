"""Run the output check of the notebooks under other BLAS kernels, settings and releases.

``make test-matrix`` calls this. Each variant is one pytest run in a process of its own:

- OpenBLAS made to use the code for each of several processors, with one thread and with two;
- a random hash seed, another time zone, the C locale, a folder with spaces and non-ASCII letters,
  and nbval without our conftest.py;
- every Python from 3.11 to 3.13 found here, with the locked packages and, then with the tests of
  `helpers` too, with the oldest that pyproject.toml declares.

The table of what came out is printed and written to ``runs/matrix.txt``, the output of each run to
``runs/matrix/<variant>.log``. Environments stay in ``runs/matrix`` and are used again. A variant
that this machine cannot run is said to be so, and not counted as passed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs"
WORK = RUNS / "matrix"
# What OpenBLAS may call the code that it uses for a processor. Zen's is Haswell's in most builds.
KERNELS = {
    "Haswell": {"Haswell"},
    "SkylakeX": {"SkylakeX"},
    "Zen": {"Zen", "Haswell"},
    "Nehalem": {"Nehalem"},
}
MINORS = (11, 12, 13)
HEADER = ("variant", "Python", "NumPy", "matplotlib", "BLAS kernel", "threads", "s", "outcome", "")
PROBE = """
import json, platform
import matplotlib, numpy, scipy.linalg, threadpoolctl
square = numpy.full((300, 300), 0.5)
assert (square @ square == 75).all()  # the kernel's own instructions, which may be illegal here
blas = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
print(json.dumps({
    "python": platform.python_version(), "numpy": numpy.__version__,
    "matplotlib": matplotlib.__version__,
    "kernels": sorted({lib.get("architecture", lib["internal_api"]) for lib in blas}),
    "threads": sorted({lib["num_threads"] for lib in blas}),
}))
"""


class NotPossible(Exception):
    """A variant cannot run on this machine; the message says why."""


class SetUpFailed(Exception):
    """A variant lacks packages that could not be installed; the message says why."""


@dataclass(frozen=True)
class Variant:
    """One way to run the check.

    ``kernel`` and ``threads`` are what BLAS has to use, ``minor`` is that of the Python to build an
    environment from (None: the running one), and ``packages`` are the "locked" or the "oldest".
    """

    name: str
    environ: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""
    threads: int = 0
    minor: int | None = None
    packages: str = "locked"
    copied_to: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """What became of a variant; ``outcome`` is "passed", "failed" or "not possible here"."""

    name: str
    outcome: str
    note: str = ""
    seconds: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the table's row, in the order of HEADER."""
        facts = [self.facts.get(key, "–") for key in ("python", "numpy", "matplotlib")]
        facts += [self.facts.get(key, "–") for key in ("kernels", "threads")]
        return (self.name, *facts, f"{self.seconds:.0f}", self.outcome, self.note)


def all_variants() -> list[Variant]:
    """Return every variant, whether this machine can run it or not."""
    variants = [
        Variant(
            f"{kernel}-{threads}",
            {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": str(threads)},
            kernel=kernel,
            threads=threads,
        )
        for kernel in KERNELS
        for threads in (1, 2)
    ]
    variants += [
        Variant("hash-seed", {"PYTHONHASHSEED": str(random.randrange(2**32))}),
        Variant("time-zone", {"TZ": "Pacific/Auckland"}),
        Variant("c-locale", {"LC_ALL": "C"}),
        Variant("path", copied_to="Où sont les œufs – 重み"),
        Variant("plain-nbval", options=("--noconftest",)),
    ]
    return variants + [
        Variant(f"python3.{minor}-{packages}", minor=minor, packages=packages)
        for minor in MINORS
        for packages in ("locked", "oldest")
    ]


# ------------------------------------------------------------------------------------ environments


def find_python(minor: int) -> str:
    """Return an interpreter of Python 3.`minor` that can build environments.

    Looked for are the running one, those on PATH, and those of pyenv.

    Raises
    ------
    NotPossible : there is none.
    """
    test = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, {minor}))"
    for candidate in _candidates(minor):
        try:
            if not subprocess.run([candidate, "-c", test], capture_output=True).returncode:
                return candidate
        except OSError:
            continue
    raise NotPossible(f"no Python 3.{minor} with venv found")


def _candidates(minor: int) -> Iterator[str]:
    yield sys.executable
    name = f"python3.{minor}"
    for folder in os.get_exec_path():
        if found := shutil.which(name, path=folder):
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for folder in sorted(pyenv.glob(f"3.{minor}.*"), reverse=True):
        yield str(folder / ("python.exe" if os.name == "nt" else "bin/python"))


def oldest_requirements(project: Mapping) -> str:
    """Return the [project] table's direct dependencies, each pinned to its lower bound.

    Raises
    ------
    ValueError : a dependency has no lower bound.
    """
    lines = []
    for dependency in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        bound = re.fullmatch(r"([\w.-]+)[^>;]*>=\s*([\w.]+)[^;]*(;.*)?", dependency)
        if not bound:
            raise ValueError(f"{dependency!r} has no lower bound '>='")
        lines.append(f"{bound[1]}=={bound[2]}{bound[3] or ''}\n")
    return "".join(lines)


def environment(minor: int, packages: str) -> str:
    """Return the interpreter of an environment with these packages, built if it is not there."""
    running = sys.version_info[:2] == (3, minor)
    if running and packages == "locked":
        return sys.executable
    base = find_python(minor)
    folder = WORK / f"python3.{minor}-{packages}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    requirements, options = ROOT / "requirements.txt", ["--no-deps", "--require-hashes"]
    if packages == "oldest":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        requirements, options = WORK / f"{folder.name}.txt", []
        requirements.write_text(oldest_requirements(project), encoding="utf-8")
    stamp = folder / "made-of.txt"
    wanted = f"{base} {folder} {hashlib.sha256(requirements.read_bytes()).hexdigest()}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python)
    _install([base, "-m", "venv", "--clear", folder])
    pip = [python, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"]
    _install([*pip, "--no-compile", "--only-binary", ":all:", *options, "-r", requirements])
    _install([python, "-c", "import matplotlib.pyplot"])  # writes its font cache
    stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def _install(command: Sequence[str | Path]) -> None:
    """Run one step of a set-up; SetUpFailed gives the conflict or error it names first."""
    done = _captured([str(part) for part in command])
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["no reason given"]
        telling = [line for line in said if line.startswith("ERROR: ")]
        raise SetUpFailed("set-up: " + (telling or said)[0].removeprefix("ERROR: "))


def _captured(command: Sequence[str], environ: Mapping[str, str] | None = None):
    """Run a command and keep what it prints, in whatever encoding it does."""
    return subprocess.run(
        command, env=environ, capture_output=True, encoding="utf-8", errors="replace"
    )


def copy_checkout(folder: Path) -> Path:
    """Copy what git tracks here, and new files it does not ignore, to `folder`; return it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise NotPossible("this folder is no git checkout") from None
    shutil.rmtree(folder, ignore_errors=True)
    for name in os.fsdecode(listed).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


# -------------------------------------------------------------------------------------------- runs


def run(variant: Variant, notebooks: Sequence[str] = ()) -> Row:
    """Run the check on `notebooks`, or on all of them, as `variant` wants it."""
    facts: dict[str, str] = {}
    started = time.perf_counter()
    try:
        python = sys.executable
        if variant.minor:
            python = environment(variant.minor, variant.packages)
        folder = copy_checkout(WORK / variant.copied_to) if variant.copied_to else ROOT
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environ = {**os.environ, **one_thread, "PYTHONPATH": str(folder), **variant.environ}
        if (ROOT / "data" / "mnist").is_dir():
            environ.setdefault("MNIST_DIR", str(ROOT / "data" / "mnist"))
        facts.update(probe(python, environ))
        check_possible(variant, facts)
        started = time.perf_counter()
        outcome, note = _pytest(python, folder, environ, variant, notebooks)
    except (NotPossible, SetUpFailed) as reason:
        outcome = "failed" if isinstance(reason, SetUpFailed) else "not possible here"
        note = str(reason)
    return Row(variant.name, outcome, note, time.perf_counter() - started, facts)


def probe(python: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return which Python, NumPy, matplotlib and BLAS kernels are used, and how many threads.

    Raises
    ------
    NotPossible : the processor has not the instructions of the BLAS kernel asked for.
    SetUpFailed : one of the packages cannot be imported.
    """
    done = _captured([python, "-c", PROBE], environ)
    if done.returncode < 0 or done.returncode == 0xC000001D:  # a signal; the latter on Windows
        raise NotPossible("the processor lacks instructions of this BLAS kernel")
    if done.returncode:
        raise SetUpFailed((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    found = json.loads(done.stdout)
    for key in ("kernels", "threads"):
        found[key] = " ".join(map(str, found[key]))
    return found


def check_possible(variant: Variant, facts: Mapping[str, str]) -> None:
    """Raise NotPossible unless BLAS uses the kernel and the threads that `variant` wants."""
    if variant.kernel and facts["kernels"] not in KERNELS[variant.kernel]:
        raise NotPossible(f"BLAS uses {facts['kernels'] or 'none that can be named'} all the same")
    if variant.threads and facts["threads"] != str(variant.threads):
        raise NotPossible(f"BLAS uses {facts['threads']} threads all the same")


def _pytest(
    python: str,
    folder: Path,
    environ: Mapping[str, str],
    variant: Variant,
    notebooks: Sequence[str],
) -> tuple[str, str]:
    """Run the check in `folder`; return outcome and the counts pytest closes with."""
    paths = [f"notebooks/{Path(name).stem}.ipynb" for name in notebooks] or ["notebooks"]
    if variant.packages == "oldest" and not notebooks:
        paths.insert(0, "helpers")
    command = [python, "-m", "pytest", "-q", "-rs", "--nbval", "--nbval-current-env"]
    if variant.threads < 2:  # several processes with several threads each would be slower than one
        command += ["-n", "logical", "--maxprocesses", "4", "--dist", "loadscope"]
    command += ["--color=no", "-p", "no:cacheprovider", *variant.options, *paths]
    path = WORK / f"{variant.name}.log"
    with path.open("w", encoding="utf-8") as log:
        log.write(f"{dict(variant.environ)} {' '.join(paths)}\n")
        log.flush()
        status = subprocess.run(
            command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT
        ).returncode
    said = path.read_text(encoding="utf-8", errors="replace").splitlines()
    counts = [line for line in said if re.search(r"^=* *(\d+ \w+|no tests ran).* in [\d.]+s", line)]
    note = re.sub(r" in [\d.]+s.*$", "", (counts or said)[-1].strip("= "))
    figures = [line for line in said if line.startswith("figures: ")]
    return ("failed" if status else "passed"), "; ".join([note, *figures])


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text in columns, and below them how many came out how."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    outcomes = [row.outcome for row in rows]
    counts = [f"{outcomes.count(o)} {o}" for o in ("passed", "failed", "not possible here")]
    return "\n".join([*text, "", ", ".join(counts)]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the variants named, or all; return 1 if any failed or none passed."""
    variants = {variant.name: variant for variant in all_variants()}
    parser = argparse.ArgumentParser(description="Run the output check in many ways.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=", ".join(variants))
    parser.add_argument("--notebooks", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.variants) - set(variants):
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(variants)}")
    WORK.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    names = chosen.variants or list(variants)
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name} …", flush=True)
        rows.append(run(variants[name], chosen.notebooks))
        (RUNS / "matrix.txt").write_text(table(rows), encoding="utf-8")
        if chosen.stop and rows[-1].outcome == "failed":
            break
    print("\n" + table(rows), end="")
    outcomes = {row.outcome for row in rows}
    return int("failed" in outcomes or "passed" not in outcomes)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
