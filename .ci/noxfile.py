"""Compare the committed outputs under other BLAS kernels, settings, Pythons and releases.

`make test-matrix` runs these sessions; ``VARIANTS="Zen-1 path"`` chooses some of those that
``nox -f .ci/noxfile.py --list`` prints, ``NB=01_scalar_network`` a notebook. What this machine
cannot run is skipped, with the reason. Environments stay in ``runs/matrix`` and are used again.
"""

import random
import shutil
import signal
import sys
from pathlib import Path

import nox

from helpers.runs import ROOT, notebook_path

PYTHONS = ("3.11", "3.12", "3.13")
SETTINGS = {
    f"{kernel}-{threads}": {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": threads}
    for kernel in ("Haswell", "SkylakeX", "Zen", "Nehalem")
    for threads in ("1", "2")
} | {
    "hash-seed": {"PYTHONHASHSEED": str(random.randrange(2**32))},
    "time-zone": {"TZ": "Pacific/Auckland"},
    "c-locale": {"LC_ALL": "C"},
}
PROBE = """
import numpy, scipy.linalg, threadpoolctl
square = numpy.full((300, 300), 0.5)
assert (square @ square == 75).all()  # with instructions that this processor may lack
for library in threadpoolctl.threadpool_info():
    if library["user_api"] == "blas":
        print(library.get("architecture"), library["num_threads"], sep="-")
"""

nox.options.envdir = ROOT / "runs" / "matrix"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"
locally = {"venv_backend": "none"}  # in the environment that runs nox


def compare(session, *options, folder=ROOT, tests=(), **environ):
    """Run the output check of `folder` on the notebooks that the command names, or on all."""
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environ = {"PYTHONPATH": str(folder), **one_thread, **environ}
    if environ["OPENBLAS_NUM_THREADS"] == "1":  # with more, one process keeps the cores busy
        options += ("-n", "logical", "--maxprocesses", "4", "--dist", "loadscope")
    python = "python" if session.python else sys.executable
    check = [python, "-m", "pytest", "-q", "-rs", "--nbval", "--nbval-current-env", *options]
    named = [notebook_path(name).relative_to(ROOT) for name in session.posargs]
    session.chdir(folder)
    session.run(*check, "-p", "no:cacheprovider", *(named or [*tests, "notebooks"]), env=environ)


def require_kernel(session, name, environ):
    """Skip the session unless BLAS does use the code and the number of threads it is told to."""
    illegal = (-signal.SIGILL, 0xC000001D)  # an instruction; the latter is the status on Windows
    probe = [sys.executable, "-c", PROBE]
    used = session.run(*probe, env=environ, silent=True, success_codes=(0, *illegal))
    # Most builds of OpenBLAS use the code for Haswell on Zen, too.
    if set(used.replace("Zen", "Haswell").split()) != {name.replace("Zen", "Haswell")}:
        session.skip(f"BLAS uses {used.split() or 'instructions that the processor lacks'}")


def add_session(name, environ):
    """Add the session of this name, which checks with these environment variables."""

    @nox.session(name=name, **locally)
    def session(session):
        if "OPENBLAS_CORETYPE" in environ:
            require_kernel(session, name, environ)
        compare(session, **environ)


for name, environ in SETTINGS.items():
    add_session(name, environ)


@nox.session(**locally)
def path(session):
    """Check a copy in a folder with spaces and letters beyond ASCII."""
    folder = ROOT / "runs" / "matrix" / "Où sont les œufs – 重み"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".?*", "build", "runs"))
    compare(session, folder=folder)


@nox.session(name="plain-nbval", **locally)
def plain_nbval(session):
    """Check with nbval alone, without our conftest.py."""
    compare(session, "--noconftest")


@nox.session(python=PYTHONS, venv_backend="venv")
def locked(session):
    """Check with the packages of the lock."""
    lock = ROOT / "requirements.txt"
    session.install("--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", lock)
    compare(session)


@nox.session(python=PYTHONS, venv_backend="venv")
def oldest(session):
    """Check, and run the tests of helpers, with the oldest packages that pyproject.toml allows."""
    pins = Path(session.create_tmp()) / "requirements.txt"
    uv = [sys.executable, "-m", "uv", "pip", "compile", ROOT / "pyproject.toml", "--extra", "dev"]
    versions = ["--resolution", "lowest-direct", "--python-version", session.python]
    session.run(*uv, *versions, "--only-binary", ":all:", "-o", pins, silent=True, external=True)
    session.install("--no-deps", "--only-binary", ":all:", "-r", pins)
    compare(session, tests=["helpers"])
