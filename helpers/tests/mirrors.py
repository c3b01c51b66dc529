"""MNIST in miniature, and servers on 127.0.0.1 that deliver it well or badly."""

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
    """Four arrays in the place of MNIST's: their hashes, and the files a mirror serves."""

    def __init__(self, content):
        plain = {name: idx(array) for name, array in content.items()}
        self.names = list(content)
        self.files = {name: hashlib.sha256(data).hexdigest() for name, data in plain.items()}
        self.packed = {
            f"{name}.gz": gzip.compress(data, 1, mtime=0) for name, data in plain.items()
        }
        self.plain = plain


def fill(folder, files):
    """Write files into a folder, with the folders they need, and return the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def found(folder):
    """Return name and content of every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


class Handler(BaseHTTPRequestHandler):
    """Serve `server.files`; an entry that is a function answers for itself."""

    def do_GET(self):
        self.server.requests.append(self.path)
        answer = self.server.files.get(self.path.lstrip("/"), lambda h: h.send_error(404))
        with suppress(ConnectionError):  # the client may hang up
            answer(self) if callable(answer) else send(self, answer)

    def log_message(self, *args):
        pass


def send(handler, body, *, length=None):
    """Send `body`, and promise `length` bytes if that is given."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


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


PROGRAM = """
import sys
from pathlib import Path
from helpers import datasets
datasets.MNIST_FILES, datasets.MNIST_HOME = {files}, Path(sys.argv[1])
datasets.MNIST_MIRRORS = tuple(sys.argv[2:])
{setup}
datasets.main()
"""


def start_fetching(stand_ins, home, mirror, setup=""):
    """Start `make data` for stand-ins, after the statements in `setup`."""
    environment = {"PYTHONIOENCODING": "utf-8", "no_proxy": "*", "MNIST_DIR": ""}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(files=stand_ins.files, setup=setup), home, mirror],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | environment,
        cwd=datasets.REPOSITORY,
    )
