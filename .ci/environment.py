"""Build ``.venv`` from ``requirements.txt``, unless it already is the environment asked for.

The Makefile calls this with the interpreter to build from. A stamp inside ``.venv`` says what it
was made of. It is removed first and written last, so an interrupted set-up is begun again.

No f-strings or types here: Python 3.5, too, has to read this file, in order to refuse in words.
"""

import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
LOCK = os.path.join(ROOT, "requirements.txt")
STAMP = os.path.join(VENV, "made-of.txt")
PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def refusal():
    """Return in one sentence why this Python cannot be used, or None."""
    name = "Python {}.{}.{}".format(*sys.version_info)
    another = "name another interpreter, as in PYTHON=python3.13 make test."
    if sys.version_info < (3, 11):
        return name + " is too old: the notebooks need Python 3.11 or newer; " + another
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as missing:
        remedy = "install it (on Debian and Ubuntu, the package python3-venv) or "
        return "{} lacks its module {}: {}".format(name, missing.name, remedy + another)
    return None


def wanted():
    """Describe the wanted environment: lock, interpreter, and place, as it cannot be moved."""
    with open(LOCK, "rb") as file:
        lock = hashlib.sha256(file.read()).hexdigest()
    return "\n".join([lock, sys.version, sys.base_prefix, VENV])


def is_current():
    """Whether ``.venv`` is complete and made of what is wanted now."""
    if not os.path.exists(STAMP) or not os.path.exists(PYTHON):  # a dangling link does not exist
        return False
    with open(STAMP, encoding="utf-8") as file:
        return file.read() == wanted()


def wait_for_turn(file):
    """Lock `file` until it is closed, after any other make that does; not on Windows."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
    except (ImportError, OSError):  # some network drives have no such lock either
        pass


def build():
    """Make the environment anew: locked packages by hash, then this project as it stands here."""
    if os.path.exists(STAMP):
        os.remove(STAMP)
    pip = [PYTHON, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    # The lock names every package: left to look further, an old pip stops at a release newer than
    # the lock. To leave compiling to the first imports saves half a minute.
    locked = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile"]
    for step in (
        [sys.executable, "-m", "venv", "--clear", VENV],
        [*pip, *locked, "--requirement", LOCK],
        [*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT],
        # Build matplotlib's font cache now; in a notebook it could write a warning to the output.
        [PYTHON, "-c", "import matplotlib.pyplot"],
    ):
        subprocess.run(step, check=True, cwd=ROOT)
    with open(STAMP, "w", encoding="utf-8") as file:
        file.write(wanted())


def main():
    """Refuse, do nothing, or build; return the exit status, as a sentence where it is not 0."""
    if refusal() or is_current():
        return refusal()
    version = "Python {}.{}.{}".format(*sys.version_info)
    print("Setting up .venv with " + version + ": once, a minute or two.", flush=True)
    try:
        with open(LOCK, "rb") as file:
            wait_for_turn(file)
            if is_current():
                print("Another make has just done it.")
            else:
                build()
    except (subprocess.CalledProcessError, KeyboardInterrupt):
        return "Setting up .venv failed or was interrupted, see above; the next make begins again."
    return 0


if __name__ == "__main__":
    sys.exit(main())
