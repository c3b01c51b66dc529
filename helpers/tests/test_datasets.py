"""The data sets, every place and form in which MNIST may lie, and every way it can fail to arrive.

The public network is never touched: small stand-ins for MNIST come from servers on 127.0.0.1.
"""

import gzip
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest

from helpers import datasets
from helpers.datasets import DatasetError
from helpers.tests.mirrors import StandIns, fill, found, idx, mirror, send, start_fetching

pytestmark = pytest.mark.filterwarnings("error")  # no Python warning with its source line

# ------------------------------------------------------------------------------- generated data


@pytest.mark.parametrize("n", [2, 3, 155, 1000])  # plain linspace misses 0 by a rounding at 155
def test_step_data_is_labelled_by_sign_and_never_by_zero(n):
    x, y = datasets.step_data(n)
    assert x.shape == y.shape == (n,)
    assert (x[0], x[-1]) == (-5, 5)
    assert np.allclose(np.diff(x), 10 / (n - 1))
    assert np.array_equal(y, np.where(x >= 0, 1.0, -1.0))
    assert np.count_nonzero(x == 0) == n % 2


def test_point_clouds_repeat_with_their_seed():
    for draw in (datasets.moons, lambda n, **given: datasets.circles(n, factor=0.3, **given)):
        X, y = draw(51, noise=0.1, seed=3)
        assert (X.shape, X.dtype, y.shape, y.dtype) == ((51, 2), np.float64, (51,), np.int64)
        assert sorted(np.bincount(y)) == [25, 26]
        assert np.array_equal(X, draw(51, noise=0.1, seed=3)[0])
        assert not np.array_equal(X, draw(51, noise=0.1, seed=4)[0])
    X, y = datasets.circles(50, factor=0.25, noise=0, seed=0)
    assert np.allclose(np.hypot(*X.T), np.where(y == 1, 0.25, 1.0))


def test_isolates_are_split_as_in_the_published_run():  # notebooks 08 and 09 have its numbers
    data = datasets.resistance_isolates()
    assert repr(data) == (
        "Dataset(X_train (480, 5), y_train (480,), X_test (120, 5), y_test (120,), 3 classes)"
    )
    assert np.bincount(data.y_train).tolist() == [163, 163, 154]
    assert np.bincount(data.y_test).tolist() == [37, 37, 46]


def test_digits_are_scaled_and_split_without_overlap():
    data, again = datasets.load("digits"), datasets.load_digits()
    assert (data.X_train.shape, data.X_test.shape) == ((1437, 64), (360, 64))
    assert (data.X_train.dtype, data.y_train.dtype) == (np.float64, np.int64)
    assert (data.X_train.min(), data.X_train.max()) == (0, 1)
    shares = [np.bincount(y) / len(y) for y in (data.y_train, data.y_test)]
    assert np.allclose(*shares, atol=0.003)
    assert np.array_equal(data.X_test, again.X_test)
    assert not {x.tobytes() for x in data.X_train} & {x.tobytes() for x in data.X_test}


def test_real_mnist_has_its_known_shape_and_classes():
    if datasets.mnist_available() is None:
        pytest.skip("no MNIST here: run `make data` or set MNIST_DIR=")
    data = datasets.load("mnist")
    assert (data.X_train.shape, data.X_test.shape) == ((60000, 784), (10000, 784))
    assert (data.X_train.dtype, data.y_train.dtype) == (np.float32, np.int64)
    assert (data.X_train.min(), data.X_train.max()) == (0, 1)
    assert np.bincount(data.y_train).min() == 5421
    assert data.y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.classes == tuple(range(10))


# --------------------------------------------------------------------------- stand-ins for MNIST

CONTENT = {
    "train-images-idx3-ubyte": np.arange(6 * 4 * 4).reshape(6, 4, 4) * 255 // 95,
    "train-labels-idx1-ubyte": np.arange(6),
    "t10k-images-idx3-ubyte": np.arange(2 * 4 * 4).reshape(2, 4, 4),
    "t10k-labels-idx1-ubyte": np.arange(2) + 7,
}
STAND_INS = StandIns(CONTENT)
NAMES, PLAIN, PACKED = STAND_INS.names, STAND_INS.plain, STAND_INS.packed
IMAGES = f"{NAMES[0]}.gz"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return an empty stand-in for data/mnist/, with blanks and an accent in its path."""
    folder = tmp_path / "my donnée s" / "data" / "mnist"
    monkeypatch.setattr(datasets, "MNIST_HOME", folder)
    monkeypatch.setattr(datasets, "MNIST_FILES", STAND_INS.files)
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", ("http://127.0.0.1:9/",))
    monkeypatch.setattr(datasets, "MNIST_TIMEOUT", 2.0)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MNIST_DIR", raising=False)
    return folder


@pytest.fixture
def serve(monkeypatch):
    """Return a function that makes mirrors of the given files and makes them the only ones."""
    with ExitStack() as stack:

        def start(*mirrors):
            servers = [stack.enter_context(mirror(files)) for files in mirrors]
            monkeypatch.setattr(datasets, "MNIST_MIRRORS", tuple(s.url for s in servers))
            return servers

        yield start


def assert_loaded(data):
    expected = CONTENT[NAMES[0]].reshape(6, 16) / 255
    assert data.X_train.dtype == np.float32
    assert np.allclose(data.X_train, expected, rtol=1e-6, atol=0)
    assert data.X_test.shape == (2, 16)
    assert data.y_train.tolist() == [0, 1, 2, 3, 4, 5]
    assert data.y_test.tolist() == [7, 8]


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
def test_a_copy_is_read_however_it_was_unpacked(home, tmp_path, monkeypatch, layout):
    folder = fill(tmp_path / "given", LAYOUTS[layout])
    assert datasets.mnist_available() is None
    assert_loaded(datasets.load_mnist(folder, download=False))
    monkeypatch.setenv("MNIST_DIR", str(folder))
    assert datasets.mnist_available() == folder
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
    home, serve, tmp_path, monkeypatch, files, problem
):
    (server,) = serve(PACKED)
    given = tmp_path / "given"
    if isinstance(files, bytes):
        given.write_bytes(files)
    elif files is not None:
        given.mkdir()
        fill(given, files)
    assert_refused(problem, directory=given)
    monkeypatch.setenv("MNIST_DIR", str(given))
    assert datasets.mnist_available() is None
    assert_refused(problem)
    assert_refused(problem, datasets.fetch_mnist)
    assert server.requests == []
    assert files is None or isinstance(files, bytes) or found(given) == files


def test_a_relative_mnist_dir_is_also_read_from_the_project_folder(home, tmp_path, monkeypatch):
    project = tmp_path / "project"
    fill(tmp_path / "shared", PACKED)
    (project / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(datasets, "REPOSITORY", project)
    monkeypatch.setenv("MNIST_DIR", "../shared")
    for folder in (project, project / "notebooks"):
        monkeypatch.chdir(folder)
        assert_loaded(datasets.load_mnist(download=False))


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGE = {
    "web page": (b"<!DOCTYPE html><html>sign in</html>", "that begin with b'<!DOCTYPE ht'"),
    "truncated gzip": (PACKED[IMAGES][:-12], "cut short or damaged"),
    "damaged gzip": (flipped(PACKED[IMAGES]), "cut short or damaged"),
    "truncated": (PLAIN[NAMES[0]][:-1], "111 bytes that begin"),
    "too long": (PLAIN[NAMES[0]] + b"\0", "113 bytes that begin"),
    "wrong content": (flipped(PLAIN[NAMES[0]]), "a sound IDX file of shape (6, 4, 4), but not"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_an_error_even_if_another_copy_is_good(home, tmp_path, damage):
    content, problem = DAMAGE[damage]
    fill(home, PACKED)
    folder = fill(tmp_path / "given", PACKED | {IMAGES: content})
    assert datasets.mnist_available(folder) == folder  # so that the error below is seen
    assert_refused(f"{folder / IMAGES} is", directory=folder)
    assert_refused(problem, directory=folder)


# ------------------------------------------------------------------------------- data of one's own


def test_other_data_in_mnists_format_is_told_from_mnist_and_read_by_its_folder(home, tmp_path):
    rng = np.random.default_rng(0)
    fashion = {name: rng.integers(0, 9, array.shape) for name, array in CONTENT.items()}
    folder = fill(tmp_path / "FashionMNIST", StandIns(fashion).packed)
    assert_refused("is a sound IDX file of shape (6, 4, 4), but not MNIST", directory=folder)
    data = datasets.load(str(folder))
    assert np.allclose(data.X_test * 255, fashion[NAMES[2]].reshape(2, 16))
    assert data.y_train.tolist() == fashion[NAMES[1]].tolist()


def test_own_data_may_have_any_size(tmp_path, monkeypatch):
    shapes = [(5, 3, 7), (5,), (4, 3, 7), (4,)]
    own = {n: np.ones(shape) for n, shape in zip(NAMES, shapes, strict=True)}
    own[NAMES[3]][2] = 11
    fill(tmp_path / "own", StandIns(own).plain)
    monkeypatch.chdir(tmp_path)
    data = datasets.load("own")
    assert (data.X_train.shape, data.X_test.shape) == ((5, 21), (4, 21))
    assert data.classes == tuple(range(12))
    labels = idx(np.arange(4))
    for wrong in ({NAMES[1]: labels}, dict.fromkeys(NAMES, labels)):  # too few; no images at all
        fill(tmp_path / "own", wrong)
        with pytest.raises(DatasetError, match=r"^dataset is 'own', .* N images and N labels"):
            datasets.load("own")


def test_a_misspelt_dataset_is_refused_with_what_may_stand_there():
    with pytest.raises(DatasetError, match=r"^dataset is 'mnits', expected 'mnist', 'digits' or a"):
        datasets.load("mnits")


# ---------------------------------------------------------------------------------------- fetching


def test_missing_files_are_downloaded_once(home, serve):
    (server,) = serve(PACKED)
    assert_refused("mnist does not exist", download=False)
    for _ in range(2):
        assert_loaded(datasets.load_mnist())
    assert found(home) == PACKED
    assert server.requests == [f"/{name}" for name in PACKED]


def stalling(handler):
    send(handler, PACKED[IMAGES][:20], length=len(PACKED[IMAGES]))
    handler.wfile.flush()
    time.sleep(4)


FAULTS = {
    "404": (lambda h: h.send_error(404), "404"),
    "stalls half-way": (stalling, "timed out"),
    "cut half-way": (lambda h: send(h, PACKED[IMAGES][:20], length=99), "IncompleteRead"),
    "not HTTP": (lambda h: h.wfile.write(b"220 ftp ready\r\n"), "220 ftp ready"),
    "web page": DAMAGE["web page"],
    "wrong content": DAMAGE["wrong content"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_mirror_is_reported_and_the_next_one_serves(home, serve, fault):
    answer, problem = FAULTS[fault]
    serve(PACKED | {IMAGES: answer})
    assert_refused(problem)
    assert found(home) == {}
    _, second = serve(PACKED | {IMAGES: answer}, PACKED)
    assert_loaded(datasets.load_mnist())
    assert found(home) == PACKED
    assert second.requests == [f"/{IMAGES}"]


def test_a_fetch_replaces_what_is_damaged_and_leaves_good_files_alone(home, serve):
    (server,) = serve(PACKED)
    labels = f"{NAMES[3]}.gz"
    fill(home, PACKED | {IMAGES: b"damaged", labels: b""})
    (home / labels).rename(home / NAMES[3])  # damaged, and without .gz
    before = (home / f"{NAMES[1]}.gz").stat()
    assert datasets.fetch_mnist() == [NAMES[0], NAMES[3]]
    assert (home / f"{NAMES[1]}.gz").stat() == before
    assert server.requests == [f"/{IMAGES}", f"/{labels}"]
    assert_loaded(datasets.load_mnist(download=False))
    assert datasets.fetch_mnist() == []


def test_a_failed_fetch_keeps_what_was_there(home, serve):
    serve(PACKED | {f"{NAMES[3]}.gz": lambda h: h.send_error(404)})
    fill(home, {IMAGES: PACKED[IMAGES], f"{NAMES[3]}.gz": b"damaged"})
    assert_refused("404", datasets.fetch_mnist)
    assert found(home) == PACKED | {f"{NAMES[3]}.gz": b"damaged"}  # the others arrived whole


def test_a_file_where_the_folder_should_be_is_reported(home, serve):
    serve(PACKED)
    home.parent.mkdir(parents=True)
    home.write_text("not a folder")
    assert_refused("File exists")
    assert home.read_text() == "not a folder"


# ------------------------------------------------------------------------------------- make data


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.splitlines()[-1] if err else ""


def test_make_data_says_in_one_line_what_it_did(home, tmp_path):
    with mirror(PACKED) as server:
        for done in (f"fetched {', '.join(NAMES)}", "already there and verified"):
            code, out, _ = finish(start_fetching(STAND_INS, home, server.url))
            assert (code, out) == (0, f"MNIST in {home}: {done}.\n")
    code, out, line = finish(start_fetching(STAND_INS, tmp_path / "new", "http://127.0.0.1:9/"))
    assert (code, out) == (1, "")
    assert line.startswith("MNIST is not complete. no mirror delivers train-images-idx3-ubyte.gz")


def test_two_processes_that_fetch_at_once_both_succeed(home):
    both_here = threading.Barrier(2, timeout=60)

    def together(handler):
        both_here.wait()  # neither gets the first file before both have asked for it
        send(handler, PACKED[IMAGES])

    with mirror(PACKED | {IMAGES: together}) as server:
        processes = [start_fetching(STAND_INS, home, server.url) for _ in range(2)]
        results = [finish(process) for process in processes]
    assert [code for code, *_ in results] == [0, 0], results
    assert found(home) == PACKED


def test_a_killed_fetch_leaves_no_damage_and_the_next_one_completes(home):
    die = "Path.replace = lambda *a: __import__('os').kill(__import__('os').getpid(), 9)"
    fill(home, {IMAGES: b"old"})
    with mirror(PACKED) as server:
        start_fetching(STAND_INS, home, server.url, setup=die).communicate(timeout=60)
        assert found(home) == {IMAGES: b"old"}
        assert finish(start_fetching(STAND_INS, home, server.url))[0] == 0
    assert found(home) == PACKED
