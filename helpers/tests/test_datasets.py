"""The data sets, every place and form in which MNIST may lie, and every way it can fail to arrive.

The public network is never touched: small stand-ins for MNIST come from servers on 127.0.0.1.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from helpers import datasets
from helpers.datasets import DatasetError

pytestmark = pytest.mark.filterwarnings("error")  # no Python warning with its source line


@pytest.mark.parametrize("n", [2, 3, 155, 1000])  # plain linspace misses 0 by a rounding at 155
def test_step_data_is_labelled_by_sign_and_never_by_zero(n):
    x, y = datasets.step_data(n)
    assert np.allclose(x, -5 + 10 * np.arange(n) / (n - 1))
    assert np.array_equal(y, np.where(x >= 0, 1.0, -1.0))
    assert np.count_nonzero(x == 0) == n % 2


@pytest.mark.parametrize(
    ("name", "lengths", "first_labels"),
    [("digits", {(1437, 64), (360, 64)}, [3, 7]), ("mnist", {(60000, 784), (10000, 784)}, [5, 7])],
)
def test_images_of_digits_are_scaled_and_split_without_overlap(name, lengths, first_labels):
    if name == "mnist" and not datasets.mnist_available():
        pytest.skip("no MNIST here: run `make data` or set MNIST_DIR=")
    data = datasets.load(name)
    assert {data.X_train.shape, data.X_test.shape} == lengths
    assert data.X_train.dtype == (np.float32 if name == "mnist" else np.float64)
    assert (data.X_train.min(), data.X_train.max()) == (0, 1)
    assert [data.y_train[0], data.y_test[0]] == first_labels
    assert data.classes == tuple(range(10))
    shares = [np.bincount(y) / len(y) for y in (data.y_train, data.y_test)]
    assert np.allclose(*shares, atol=0.01)
    assert not {x.tobytes() for x in data.X_train} & {x.tobytes() for x in data.X_test}


# --------------------------------------------------------------------------- stand-ins for MNIST


def idx(array):
    """Return an array of small integers as the bytes of an IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


CONTENT = {
    "train-images-idx3-ubyte": np.arange(6 * 4 * 4).reshape(6, 4, 4) * 255 // 95,
    "train-labels-idx1-ubyte": np.arange(6),
    "t10k-images-idx3-ubyte": np.arange(2 * 4 * 4).reshape(2, 4, 4),
    "t10k-labels-idx1-ubyte": np.arange(2) + 7,
}
NAMES = list(CONTENT)
PLAIN = {name: idx(array) for name, array in CONTENT.items()}
PACKED = {f"{name}.gz": gzip.compress(data, 1, mtime=0) for name, data in PLAIN.items()}
HASHES = {name: hashlib.sha256(data).hexdigest() for name, data in PLAIN.items()}
IMAGES = f"{NAMES[0]}.gz"
NOWHERE = "http://127.0.0.1:9/"


def fill(folder, files):
    """Write files into a folder, with the folders they need, and return the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def found(folder):
    """Return name and content of every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return an empty stand-in for data/mnist/, with blanks and an accent in its path."""
    folder = tmp_path / "my donnée s" / "data" / "mnist"
    monkeypatch.setattr(datasets, "MNIST_HOME", folder)
    monkeypatch.setattr(datasets, "MNIST_FILES", HASHES)
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", (NOWHERE,))
    monkeypatch.setattr(datasets, "MNIST_TIMEOUT", 1.0)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MNIST_DIR", raising=False)
    return folder


def assert_loaded(data):
    assert np.allclose(data.X_train, CONTENT[NAMES[0]].reshape(6, 16) / 255, rtol=1e-6, atol=0)
    assert (data.X_train.dtype, data.X_test.shape) == (np.float32, (2, 16))
    assert (data.y_train.tolist(), data.y_test.tolist()) == ([0, 1, 2, 3, 4, 5], [7, 8])


def assert_refused(problem, call=datasets.load_mnist, **arguments):
    """Assert that one sentence says what is wrong, and another both ways to mend it."""
    with pytest.raises(DatasetError) as info:
        call(**arguments)
    message = str(info.value)
    assert problem in message
    assert message.count("make data") == message.count("set MNIST_DIR=") == 1
    assert "\n" not in message


# ----------------------------------------------------------------------------- what is on disk

DOTTED = {name.replace("-idx", ".idx"): data for name, data in PLAIN.items()}
LAYOUTS = {
    "packed": PACKED,
    "plain": PLAIN,
    "unpacked by a browser": {f"{name}.gz": data for name, data in PLAIN.items()},
    "unpacked by 7-Zip": DOTTED,
    "with a dot, packed": {f"{name}.gz": gzip.compress(data) for name, data in DOTTED.items()},
    "MNIST/raw": {f"MNIST/raw/{name}": data for name, data in PLAIN.items()},
    "raw": {f"raw/{name}": data for name, data in PACKED.items()},
    "in folders named like the files": {f"{name}/{name}": data for name, data in PLAIN.items()},
    "with a dot, in such folders": {f"{name}/{name}": data for name, data in DOTTED.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_copy_is_read_however_it_was_unpacked_and_from_wherever(
    home, tmp_path, monkeypatch, layout
):
    assert not datasets.mnist_available()
    folder = fill(tmp_path / "given", LAYOUTS[layout])
    assert_loaded(datasets.load_mnist(folder, download=False))
    monkeypatch.setattr(datasets, "REPOSITORY", tmp_path / "project")
    monkeypatch.setenv("MNIST_DIR", "../given")  # from here or, as in notebooks, from the project
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    for place in (tmp_path / "project", tmp_path / "project" / "notebooks"):
        monkeypatch.chdir(place)
        assert datasets.mnist_available()
        assert_loaded(datasets.load("mnist"))
    assert not home.exists()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (None, "given does not exist"),
        ({}, "given lacks train-images-idx3-ubyte (or train-images-idx3-ubyte.gz); it holds noth"),
        ({"a.png": b"", "train.idx": b""}, "it holds a.png, train.idx"),
        ({IMAGES: PACKED[IMAGES]}, "given lacks train-labels-idx1-ubyte"),
        (b"a file", "given is a file, expected a folder"),
    ],
)
def test_a_named_place_without_mnist_is_told_apart_and_left_alone(
    home, tmp_path, monkeypatch, files, problem
):
    given = tmp_path / "given"
    if isinstance(files, bytes):
        given.write_bytes(files)
    elif files is not None:
        given.mkdir()
        fill(given, files)
    assert_refused(problem, directory=given)
    monkeypatch.setenv("MNIST_DIR", str(given))
    assert not datasets.mnist_available()
    assert_refused(problem)
    assert_refused(problem, datasets.fetch_mnist)
    assert files is None or isinstance(files, bytes) or found(given) == files


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGE = {
    "web page": (b"<!DOCTYPE html><html>sign in</html>", "that begin with b'<!DOCTYPE ht'"),
    "truncated gzip": (PACKED[IMAGES][:-12], "cut short or damaged"),
    "damaged gzip": (flipped(PACKED[IMAGES]), "cut short or damaged"),
    "truncated": (PLAIN[NAMES[0]][:-1], "111 bytes that begin"),
    "too long": (PLAIN[NAMES[0]] + b"\0", "113 bytes that begin"),
    "another data set": (flipped(PLAIN[NAMES[0]]), "a sound IDX file of shape (6, 4, 4), but not"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_an_error_even_if_another_copy_is_good(home, tmp_path, damage):
    content, problem = DAMAGE[damage]
    fill(home, PACKED)
    folder = fill(tmp_path / "given", PACKED | {IMAGES: content})
    assert datasets.mnist_available(folder)  # so that the error below is seen
    assert_refused(f"{folder / IMAGES} is", directory=folder)
    assert_refused(problem, directory=folder)


def test_data_of_ones_own_are_read_by_their_folder_whatever_their_size(tmp_path, monkeypatch):
    shapes = [(5, 3, 7), (5,), (4, 3, 7), (4,)]
    own = {n: np.full(shape, 2) for n, shape in zip(NAMES, shapes, strict=True)}
    own[NAMES[3]][2] = 11
    fill(tmp_path / "own", {name: idx(array) for name, array in own.items()})
    monkeypatch.chdir(tmp_path)
    data = datasets.load("own")
    assert np.allclose(data.X_test * 255, np.full((4, 21), 2))
    assert (data.X_train.shape, data.classes) == ((5, 21), tuple(range(12)))
    labels = idx(np.arange(4))
    for wrong in ({NAMES[1]: labels}, dict.fromkeys(NAMES, labels)):  # too few; no images at all
        fill(tmp_path / "own", wrong)
        with pytest.raises(DatasetError, match=r"^dataset is 'own', .* N images and N labels"):
            datasets.load("own")
    with pytest.raises(DatasetError, match=r"^dataset is 'mnits', expected 'mnist', 'digits' or a"):
        datasets.load("mnits")


# ---------------------------------------------------------------------------------------- fetching


class Handler(BaseHTTPRequestHandler):
    """Serve `server.files`; an entry that is a function answers for itself."""

    def do_GET(self):
        self.server.requests.append(self.path)
        answer = self.server.files.get(self.path.lstrip("/"), lambda h: h.send_error(404))
        with suppress(ConnectionError):  # the client may hang up
            answer(self) if callable(answer) else send(self, answer)

    def log_message(self, *args):
        pass


def send(handler, body, length=None):
    """Send `body`, and promise `length` bytes if that is given."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def mirror(files):
    """Run a mirror on this machine; give its URL, with the paths asked for in `.requests`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False  # some answers take their time
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


def stalling(handler):
    send(handler, PACKED[IMAGES][:20], length=len(PACKED[IMAGES]))
    handler.wfile.flush()
    time.sleep(2)


FAULTS = {
    "404": (lambda h: h.send_error(404), "404"),
    "stalls half-way": (stalling, "timed out"),
    "cut half-way": (lambda h: send(h, PACKED[IMAGES][:20], length=99), "IncompleteRead"),
    "not HTTP": (lambda h: h.wfile.write(b"220 ftp ready\r\n"), "220 ftp ready"),
    "web page": DAMAGE["web page"],
    "another data set": DAMAGE["another data set"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_fetched_once_from_the_first_mirror_that_delivers(
    home, monkeypatch, fault
):
    answer, problem = FAULTS[fault]
    assert_refused("mnist does not exist", download=False)
    with mirror(PACKED | {IMAGES: answer}) as bad, mirror(PACKED) as good:
        monkeypatch.setattr(datasets, "MNIST_MIRRORS", (bad.url,))
        assert_refused(problem)
        assert found(home) == {}
        monkeypatch.setattr(datasets, "MNIST_MIRRORS", (bad.url, good.url))
        for _ in range(2):
            assert_loaded(datasets.load_mnist())
    assert found(home) == PACKED
    assert bad.requests == [f"/{IMAGES}", *(f"/{name}" for name in PACKED)]
    assert good.requests == [f"/{IMAGES}"]


def test_a_fetch_replaces_what_is_damaged_and_leaves_good_files_alone(home, monkeypatch):
    labels = f"{NAMES[3]}.gz"
    fill(home, PACKED | {IMAGES: b"damaged", labels: b""})
    (home / labels).rename(home / NAMES[3])  # damaged, and without .gz
    before = (home / f"{NAMES[1]}.gz").stat()
    with mirror({**PACKED}) as server:
        monkeypatch.setattr(datasets, "MNIST_MIRRORS", (server.url,))
        del server.files[labels]
        assert_refused("404", datasets.fetch_mnist)  # what has arrived is kept, the other too
        assert found(home) == {n: PACKED[n] for n in PACKED if n != labels} | {NAMES[3]: b""}
        server.files[labels] = PACKED[labels]
        assert datasets.fetch_mnist() == [NAMES[3]]
    assert (home / f"{NAMES[1]}.gz").stat() == before
    assert_loaded(datasets.load_mnist(download=False))


# ------------------------------------------------------------------------------------- make data

MAKE_DATA = f"""
import sys
from pathlib import Path
from helpers import datasets
datasets.MNIST_FILES, datasets.MNIST_HOME = {HASHES}, Path(sys.argv[1])
datasets.MNIST_MIRRORS = sys.argv[2:]
"""


def start_fetching(home, url, setup=""):
    """Start `make data` for the stand-ins, after the statements in `setup`."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{MAKE_DATA}{setup}\ndatasets.main()", home, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "no_proxy": "*", "MNIST_DIR": ""},
    )


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.splitlines()[-1] if err else ""


def test_make_data_says_in_one_line_what_it_did(tmp_path):
    with mirror(PACKED) as server:
        for done in (f"fetched {', '.join(NAMES)}", "already there and verified"):
            code, out, _ = finish(start_fetching(tmp_path / "mnist", server.url))
            assert (code, out) == (0, f"MNIST in {tmp_path / 'mnist'}: {done}.\n")
        (tmp_path / "a file").write_text("not a folder")
        problems = {"File exists": ("a file", server.url), "no mirror delivers": ("new", NOWHERE)}
        for problem, (name, url) in problems.items():
            code, out, line = finish(start_fetching(tmp_path / name, url))
            assert (code, out) == (1, "")
            assert line.startswith("MNIST is not complete. ")
            assert problem in line


def test_two_processes_that_fetch_at_once_both_succeed(tmp_path):
    both_here = threading.Barrier(2, timeout=60)

    def together(handler):
        both_here.wait()  # neither gets the first file before both have asked for it
        send(handler, PACKED[IMAGES])

    with mirror(PACKED | {IMAGES: together}) as server:
        processes = [start_fetching(tmp_path, server.url) for _ in range(2)]
        results = [finish(process) for process in processes]
    assert [code for code, *_ in results] == [0, 0], results
    assert found(tmp_path) == PACKED


def test_a_killed_fetch_leaves_no_damage_and_the_next_one_completes(tmp_path):
    die = "Path.replace = lambda *a: __import__('os').kill(__import__('os').getpid(), 9)"
    fill(tmp_path, {IMAGES: b"old"})
    with mirror(PACKED) as server:
        start_fetching(tmp_path, server.url, setup=die).communicate(timeout=60)
        assert found(tmp_path) == {IMAGES: b"old"}
        assert finish(start_fetching(tmp_path, server.url))[0] == 0
    assert found(tmp_path) == PACKED
