"""MNIST in miniature, and servers on 127.0.0.1 that deliver it well or badly.

The public network is never touched: the tests put these in the place of the real files and mirrors.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from helpers import datasets


def idx(array):
    """Return an array of small integers as the bytes of an IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


class StandIns:
    """Four arrays in the place of MNIST's: their description, and the files a mirror serves."""

    def __init__(self, content):
        self.content = content
        self.names = list(content)
        self.files = tuple(
            datasets.MnistFile(name, hashlib.sha256(idx(array)).hexdigest(), array.shape)
            for name, array in content.items()
        )
        self.packed = {
            f"{name}.gz": gzip.compress(idx(array), 1, mtime=0) for name, array in content.items()
        }

    def replaced(self, name, answer):
        """Return the served files with one of them replaced."""
        return {**self.packed, f"{name}.gz": answer}


def fill(folder, files):
    """Write files into a folder, which is made if need be, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def found(folder):
    """Return name and content of everything in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


class Handler(BaseHTTPRequestHandler):
    """Serve `server.files`; an entry that is a function answers for itself."""

    def do_GET(self):
        self.server.requests.append(self.path)
        answer = self.server.files.get(self.path.lstrip("/"), lambda h: h.send_error(404))
        if not callable(answer):
            answer = sending(answer)
        with suppress(ConnectionError):  # the client may hang up
            answer(self)

    def log_message(self, *args):
        pass


def send(handler, body, *, length=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def sending(body, *, length=None):
    """Return an answer that sends `body`, and promises `length` bytes if that is given."""
    return lambda handler: send(handler, body, length=length)


@contextmanager
def mirror(files):
    """Run a mirror on this machine; give its URL, with the paths asked for in `.requests`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False  # some answers take their time
    server.files, server.requests = files, []
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# A process of its own, with stand-ins in place. Its arguments are a folder and mirrors.
PROGRAM = """
import sys
from pathlib import Path
from helpers import datasets
from helpers.datasets import MnistFile
datasets.MNIST_FILES = {files}
datasets.MNIST_HOME = Path(sys.argv[1])
datasets.MNIST_MIRRORS = tuple(sys.argv[2:])
{setup}
sys.exit(datasets.main())
"""


def start_fetching(stand_ins, home, *mirrors, setup=""):
    """Start `make data` for stand-ins, after the statements in `setup`."""
    program = PROGRAM.format(files=stand_ins.files, setup=setup)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(home), *mirrors],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "no_proxy": "*"},  # the path is printed
        encoding="utf-8",
        cwd=datasets.REPOSITORY,
    )
