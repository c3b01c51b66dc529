"""Build ``.venv`` from ``requirements.txt``, unless it is already the environment asked for.

The Makefile calls this with the interpreter to build from. A stamp inside ``.venv`` records what
it was made of. It is removed first and written last, so an interrupted set-up is begun again.

No annotations or f-strings here: an unsuitable, old Python must be able to read this file in order
to refuse in words.
"""

import contextlib
import hashlib
import os
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)  # the lock is tested from OLDEST to NEWEST
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
LOCK = os.path.join(ROOT, "requirements.txt")
STAMP = os.path.join(VENV, "made-of.txt")
# The lock names every package, so pip has nothing to work out. Left to do so, an old pip stops at a
# release newer than the lock. Not to compile saves half a minute: first imports do that.
AS_LOCKED = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile"]
PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def refusal(version, missing=()):
    """Return why this Python cannot be used, in one sentence, or None when it can.

    Parameters
    ----------
    version : tuple of int
        Version of the interpreter, like ``sys.version_info``.
    missing : sequence of str
        Standard modules the environment needs that this Python lacks.
    """
    name = "Python " + ".".join(str(part) for part in version[:3])
    if tuple(version[:2]) < OLDEST:
        return (
            "{} is too old: the notebooks need Python {}.{} or newer; name another interpreter, "
            "as in PYTHON=python{}.{} make test."
        ).format(name, *(OLDEST + NEWEST))
    if missing:
        return (
            "{} lacks its module {}: install it (on Debian and Ubuntu, the package "
            "python{}.{}-venv) or name another interpreter, as in PYTHON=python{}.{} make test."
        ).format(name, " and ".join(missing), *(tuple(version[:2]) + NEWEST))
    return None


def missing_modules():
    """Return which of the modules behind ``python -m venv`` cannot be imported."""
    missing = []
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            missing.append(module)
    return missing


def wanted_stamp():
    """Describe the wanted environment: lock, interpreter, and place, as it cannot be moved."""
    with open(LOCK, "rb") as file:
        lock = hashlib.sha256(file.read()).hexdigest()
    return "\n".join([lock, sys.version, sys.base_prefix, VENV])


def is_current():
    """Whether ``.venv`` is complete and made of what is wanted now."""
    if not os.path.exists(STAMP) or not os.path.exists(PYTHON):  # a dangling link does not exist
        return False
    with open(STAMP, encoding="utf-8") as file:
        return file.read() == wanted_stamp()


@contextlib.contextmanager
def only_one():
    """Let no other set-up of this folder begin meanwhile; wait for one that is at work.

    Windows and some network drives have no such lock on a folder: nobody waits there.
    """
    folder = None
    try:
        import fcntl

        folder = os.open(ROOT, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another make, which is setting up .venv.")
            sys.stdout.flush()
            fcntl.flock(folder, fcntl.LOCK_EX)
    except (ImportError, OSError):
        pass
    try:
        yield
    finally:
        if folder is not None:
            os.close(folder)


def build():
    """Make the environment anew: locked packages by hash, then this project as it stands here."""
    if os.path.exists(STAMP):
        os.remove(STAMP)
    pip = [PYTHON, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    steps = [
        [sys.executable, "-m", "venv", "--clear", VENV],
        pip + AS_LOCKED + ["--requirement", LOCK],
        pip + ["--no-deps", "--no-build-isolation", "--editable", ROOT],
        # Build matplotlib's font cache now; in a notebook it could write a warning to the output.
        [PYTHON, "-c", "import matplotlib.pyplot"],
    ]
    for step in steps:
        subprocess.run(step, check=True, cwd=ROOT)
    with open(STAMP, "w", encoding="utf-8") as file:
        file.write(wanted_stamp())


def main():
    """Refuse, do nothing, or build; return the exit status, as a sentence where it is not 0."""
    reason = refusal(sys.version_info, missing_modules())
    if reason:
        return reason
    if is_current():
        return 0
    try:
        with only_one():
            return 0 if is_current() else set_up()  # another make may just have made it
    except KeyboardInterrupt:
        return "Setting up .venv was interrupted; the next make begins again."


def set_up():
    """Build, and say so before; return the exit status, as a sentence where it is not 0."""
    version = "{}.{}.{}".format(*sys.version_info[:3])
    print("Setting up .venv with Python " + version + ": once, a minute or two.")
    if tuple(sys.version_info[:2]) > NEWEST:
        print("Python {} is newer than the locked versions were tried with.".format(version))
    sys.stdout.flush()
    try:
        build()
    except subprocess.CalledProcessError:
        return "Setting up .venv failed, for the reason above; the next make begins again."
    return 0


if __name__ == "__main__":
    sys.exit(main())
