"""Notebooks executed under a guard that notes and refuses every way out of this machine.

The guard is an audit hook of the Python that runs the kernel: no code in the notebook gets around
it. What is said to be impossible is tried first, to see that the guard stands.
"""

import os
import subprocess
import sys

import pytest

from helpers import runs

pytestmark = pytest.mark.faults

GUARD = """
import os, sys

NOTES = open(os.environ["GUARD_NOTES"], "a", buffering=1, encoding="utf-8")
NOTES.write("guarded\\n")
LOCAL = ("127.0.0.1", "::1", "localhost", "", None)

def guard(event, arguments):
    host = None
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # None: a path on this machine
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        host = arguments[0]
    elif event == "subprocess.Popen" and os.path.basename(str(arguments[0])) in ("curl", "wget"):
        host = str(arguments[0])
    if isinstance(host, bytes):
        host = host.decode()
    if host not in LOCAL and not (event == "socket.bind" and host == "0.0.0.0"):
        NOTES.write(f"refused {event} {host}\\n")
        raise PermissionError(f"no network here: {event} {host}")

sys.addaudithook(guard)
"""


@pytest.fixture
def guarded(tmp_path):
    """Return a function that runs Python under the guard, and gives status and notes."""
    (tmp_path / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "GUARD_NOTES": str(tmp_path / "notes")}

    def run(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=runs.ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        return done, (tmp_path / "notes").read_text(encoding="utf-8").splitlines()

    return run


ATTEMPTS = {
    "a page": "import urllib.request; urllib.request.urlopen('https://192.0.2.1/')",
    "a bare address": "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
    "a name": "import socket; socket.getaddrinfo('example.org', 443)",
    "a datagram": "import socket as s; s.socket(type=s.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))",
    "a table": "import pandas; pandas.read_csv('https://192.0.2.1/a.csv')",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_guard_knows_every_way_out(guarded, attempt):
    done, notes = guarded("-c", ATTEMPTS[attempt])
    assert "no network here" in done.stderr
    assert any(note.startswith("refused") for note in notes)


@pytest.mark.parametrize("name", runs.notebook_names())
def test_a_notebook_of_the_series_never_reaches_out(guarded, tmp_path, name):
    """MNIST's own download is another matter."""
    command = [str(runs.ROOT / ".ci" / "commands.py"), "run", name, "--output-dir", str(tmp_path)]
    on_mnist = runs.reads_mnist(runs.notebook_path(name))
    done, notes = guarded(*command, *(("-p", "dataset", "digits") if on_mnist else ()))
    assert done.returncode == 0, done.stderr
    assert notes.count("guarded") >= 2  # the command and its kernel
    assert set(notes) == {"guarded"}
