"""The data sets, and every way in which MNIST can fail to arrive.

The download is tested against servers on 127.0.0.1 with small stand-ins for the four files;
the public network is never touched.
"""

import errno
import gzip
import math
import os
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import ExitStack
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import datasets
from helpers.datasets import DatasetError
from helpers.tests.mirrors import StandIns, fill, found, idx, mirror, send, start_fetching

# --- generated data


@pytest.mark.parametrize("n", [2, 3, 155, 1000])  # plain linspace misses 0 by a rounding at 155
def test_step_data_is_labelled_by_sign_and_never_by_zero(n):
    x, y = datasets.step_data(n)
    assert x.shape == y.shape == (n,)
    assert x.dtype == y.dtype == np.float64
    assert (x[0], x[-1]) == (-5, 5)
    assert np.allclose(np.diff(x), 10 / (n - 1))
    assert np.array_equal(y[x != 0], np.sign(x[x != 0]))
    assert np.array_equal(y[x == 0], [1.0] * (n % 2))


def draw_circles(n=50, factor=0.3, noise=0.1, seed=0):
    return datasets.circles(n, factor=factor, noise=noise, seed=seed)


def draw_moons(n=50, noise=0.1, seed=0):
    return datasets.moons(n, noise=noise, seed=seed)


@pytest.mark.parametrize("draw", [draw_circles, draw_moons])
def test_point_clouds_have_documented_types_and_repeat_with_their_seed(draw):
    X, y = draw(n=51, seed=3)
    again, _ = draw(n=51, seed=3)
    other, _ = draw(n=51, seed=4)
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((51, 2), np.float64, (51,), np.int64)
    assert sorted(np.bincount(y)) == [25, 26]
    assert np.array_equal(X, again)
    assert not np.array_equal(X, other)


def test_circles_without_noise_have_radii_one_and_factor():
    X, y = draw_circles(factor=0.25, noise=0)
    assert np.allclose(np.hypot(*X.T), np.where(y == 1, 0.25, 1.0))


def test_legacy_generator_continues_after_circles_as_in_the_published_run():
    rng = np.random.RandomState(42)
    X, y = datasets.circles(50_000, factor=0.1, noise=0.1, seed=rng)
    shapes = [(2, 3), (1, 3), (3, 2), (1, 2)]
    for shape in shapes:  # one initialisation is thrown away
        rng.randn(*shape)
    W1, b1, W2, b2 = (rng.randn(*shape) for shape in shapes)
    logits = 1 / (1 + np.exp(-(X @ W1 + b1))) @ W2 + b2  # (N, 2)
    log_likelihood = logits[np.arange(len(y)), y] - np.logaddexp(*logits.T)
    assert -log_likelihood.sum() == pytest.approx(39183.15, abs=0.005)  # curriculum, notebook 08


@pytest.mark.parametrize("draw", [draw_circles, draw_moons])
@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("n", 1, ValueError),
        ("n", 2.0, TypeError),
        ("n", True, TypeError),
        ("n", (10, 20), TypeError),
        ("noise", -0.1, ValueError),
        ("noise", math.nan, ValueError),
        ("noise", "much", TypeError),
        ("seed", -1, ValueError),
        ("seed", 2**32, ValueError),
        ("seed", None, TypeError),
        ("seed", 1.5, TypeError),
        ("seed", np.random.default_rng(0), TypeError),
    ],
)
def test_bad_arguments_of_point_clouds_are_named(draw, argument, value, error):
    with pytest.raises(error, match=rf"\b{argument}\b"):
        draw(**{argument: value})


@pytest.mark.parametrize("factor", [0, 0.0, 1.0, -0.2, 2, math.nan])
def test_bad_factor_is_named(factor):
    with pytest.raises(ValueError, match="factor"):
        draw_circles(factor=factor)


def test_bad_arguments_of_step_data_and_isolates_are_named():
    with pytest.raises(ValueError, match="n is 0"):
        datasets.step_data(0)
    with pytest.raises(TypeError, match=r"n is 10\.0"):
        datasets.step_data(10.0)
    with pytest.raises(TypeError, match="seed is None"):
        datasets.resistance_isolates(None)


def test_isolates_are_split_as_in_the_published_run():
    data = datasets.resistance_isolates()
    assert (data.X_train.shape, data.X_test.shape) == ((480, 5), (120, 5))
    assert np.bincount(data.y_train).tolist() == [163, 163, 154]  # curriculum, notebook 09
    assert np.bincount(np.r_[data.y_train, data.y_test]).tolist() == [200, 200, 200]
    assert data.classes == ("susceptible", "intermediate", "resistant")


def test_isolates_follow_the_documented_draws():
    data = datasets.resistance_isolates(7)
    rng = np.random.RandomState(7)
    noise = [rng.randn(200, 5) for _ in range(3)]
    first = rng.permutation(600)[0]  # sample `first % 200` of class `first // 200`
    expected = datasets.ISOLATE_MEANS[first // 200] + 0.9 * noise[first // 200][first % 200]
    assert data.y_train[0] == first // 200
    assert np.allclose(data.X_train[0], expected)
    with pytest.raises(ValueError, match="read-only"):
        datasets.ISOLATE_MEANS[0] = 0


def test_digits_are_scaled_and_split_without_overlap():
    data, again = datasets.load_digits(), datasets.load_digits()
    assert (data.X_train.shape, data.X_test.shape) == ((1437, 64), (360, 64))
    assert (data.X_train.dtype, data.y_train.dtype) == (np.float64, np.int64)
    assert (data.X_train.min(), data.X_train.max()) == (0, 1)
    assert data.classes == tuple(range(10))
    shares = [np.bincount(y) / len(y) for y in (data.y_train, data.y_test)]
    assert np.allclose(*shares, atol=0.003)
    assert np.array_equal(data.X_test, again.X_test)
    assert not {x.tobytes() for x in data.X_train} & {x.tobytes() for x in data.X_test}


def test_dataset_shows_shapes_and_is_frozen():
    data = datasets.resistance_isolates()
    assert repr(data) == (
        "Dataset(X_train (480, 5), y_train (480,), X_test (120, 5), y_test (120,), 3 classes)"
    )
    with pytest.raises(FrozenInstanceError):
        data.classes = ()


# --- the parser


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (1,)])
def test_parser_reads_back_what_was_written(shape):
    array = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    assert np.array_equal(datasets.parse_idx(idx(array)), array)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no IDX magic"),
        (b"\0\0\x08", "no IDX magic"),
        (b"\x93NUMPY\x01\0", "no IDX magic"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "element type 0x0d"),
        (b"\0\0\x08\0", "0 axes"),
        (b"\0\0\x08\x04" + bytes(20), "4 axes"),
        (b"\0\0\x08\x03\0\0\0\x01\0\0", "cut short in its header, after 10 bytes"),
        (b"\0\0\x08\x01\0\0\0\0", "holds nothing"),
        (b"\0\0\x08\x01\0\0\0\x03ab", "10 bytes long, expected 11"),
        (b"\0\0\x08\x01\0\0\0\x01ab", "10 bytes long, expected 9"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "expected 79228162458924105385300197391"),
    ],
)
def test_parser_says_what_is_malformed(data, problem):
    with pytest.raises(DatasetError, match=f"^some file: .*{problem}"):
        datasets.parse_idx(data, "some file")


sizes = st.integers(0, 4) | st.integers(0, 2**32 - 1)
nearly_idx = st.builds(
    lambda magic, shape, body: magic + b"".join(n.to_bytes(4, "big") for n in shape) + body,
    st.sampled_from([b"\0\0\x08\x01", b"\0\0\x08\x02", b"\0\0\x08\x03", b"\0\0\x08\xff"]),
    st.lists(sizes, max_size=4),
    st.binary(max_size=70),
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | nearly_idx)
@example(b"\0\0\x08\x03\0\0\0\0" + b"\xff" * 8)  # no elements, yet too many for NumPy
def test_parser_raises_nothing_but_dataset_errors(data):
    try:
        array = datasets.parse_idx(data)
    except DatasetError:
        return
    assert idx(array) == data


# --- stand-ins for MNIST

CONTENT = {
    "train-images-idx3-ubyte": np.arange(6 * 4 * 4).reshape(6, 4, 4) * 255 // 95,
    "train-labels-idx1-ubyte": np.arange(6),
    "t10k-images-idx3-ubyte": np.arange(2 * 4 * 4).reshape(2, 4, 4),
    "t10k-labels-idx1-ubyte": np.arange(2) + 7,
}
STAND_INS = StandIns(CONTENT)
NAMES, FILES, PACKED = STAND_INS.names, STAND_INS.files, STAND_INS.packed
replaced = STAND_INS.replaced


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Make a test that forgot its own mirror fail at once, and keep proxies out of the way."""
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", ("http://127.0.0.1:9/",))
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return an empty stand-in for data/mnist/, with blanks and an accent in its path."""
    folder = tmp_path / "my donnée s" / "data" / "mnist"
    monkeypatch.setattr(datasets, "MNIST_HOME", folder)
    monkeypatch.setattr(datasets, "MNIST_FILES", FILES)
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
    assert data.X_train.shape == (6, 16)
    assert data.X_train.dtype == np.float32
    assert data.y_train.dtype == np.int64
    expected = CONTENT[NAMES[0]].reshape(6, 16) / 255
    assert np.allclose(data.X_train, expected, rtol=1e-6, atol=0)
    assert data.X_test.shape == (2, 16)
    assert data.y_train.tolist() == [0, 1, 2, 3, 4, 5]
    assert data.y_test.tolist() == [7, 8]
    assert data.classes == tuple(range(10))


def assert_refused(problem, name, call=datasets.load_mnist, **arguments):
    """Assert that the error names the file, what is wrong, and both ways to mend it."""
    with pytest.raises(DatasetError) as info:
        call(**arguments)
    message = str(info.value)
    assert problem in message
    assert name in message
    assert message.count("make data") == message.count("MNIST_DIR=") == 1


# --- reading what is on disk


@pytest.mark.parametrize("packed", [True, False])
def test_files_are_read_with_and_without_gz(home, packed):
    plain = {name: idx(array) for name, array in CONTENT.items()}
    fill(home, PACKED if packed else plain)
    assert datasets.mnist_available() == home
    assert_loaded(datasets.load_mnist(download=False))


def test_file_unpacked_by_a_browser_under_its_packed_name_is_read(home):
    fill(home, replaced(NAMES[0], idx(CONTENT[NAMES[0]])))
    assert_loaded(datasets.load_mnist(download=False))


@pytest.mark.filterwarnings("error")  # a place that counts is not warned about
def test_places_are_tried_in_order(home, tmp_path, monkeypatch):
    given, named = fill(tmp_path / "given", PACKED), fill(tmp_path / "named", PACKED)
    fill(home, PACKED)
    monkeypatch.setenv("MNIST_DIR", str(named))
    assert datasets.mnist_available(given) == given
    assert datasets.mnist_available(str(given)) == given
    assert datasets.mnist_available() == named
    (home / f"{NAMES[0]}.gz").write_bytes(b"damaged")  # not read, hence not an error
    assert_loaded(datasets.load_mnist(given, download=False))
    monkeypatch.setenv("MNIST_DIR", "")
    assert datasets.mnist_available() == home


def test_incomplete_named_folder_is_passed_over_with_a_warning(home, tmp_path):
    fill(home, PACKED)
    fill(tmp_path / "part", {"train-images-idx3-ubyte.gz": b"whatever"})
    with pytest.warns(UserWarning, match=r"directory .*part lacks train-labels-idx1-ubyte"):
        assert_loaded(datasets.load_mnist(tmp_path / "part", download=False))


def test_relative_mnist_dir_is_also_read_from_the_project_folder(home, tmp_path, monkeypatch):
    project = tmp_path / "project"
    fill(tmp_path / "shared", PACKED)
    (project / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(datasets, "REPOSITORY", project)
    monkeypatch.setenv("MNIST_DIR", "../shared")
    for folder in (project, project / "notebooks"):
        monkeypatch.chdir(folder)
        assert_loaded(datasets.load_mnist(download=False))


def test_without_a_copy_and_without_download_the_places_are_listed(home, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", "/no such folder")
    with pytest.warns(UserWarning, match="no such folder lacks"):
        assert_refused(f"the default {home} lacks", NAMES[0], download=False)
    with pytest.warns(UserWarning, match="no such folder lacks"):
        assert datasets.mnist_available() is None
    assert not home.exists()


def test_directory_of_the_wrong_type_is_named():
    with pytest.raises(TypeError, match="directory is 3"):
        datasets.load_mnist(3)


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


IMAGES = idx(CONTENT[NAMES[0]])
BOMB = gzip.compress(bytes(50_000_000))
DAMAGE = {
    "empty": (b"", "no IDX magic"),
    "web page": (b"\n<!DOCTYPE html><html>sign in</html>", "web page"),
    "packed web page": (gzip.compress(b"<html>sign in</html>"), "no IDX magic"),
    "truncated gzip": (PACKED[f"{NAMES[0]}.gz"][:-12], "cut short or damaged"),
    "damaged gzip": (flipped(PACKED[f"{NAMES[0]}.gz"]), "cut short or damaged"),
    "garbled gzip": (b"\x1f\x8b\x08\0" + bytes(range(7, 90)), "cut short or damaged"),
    "truncated": (IMAGES[:-1], "bytes long, expected"),
    "too long": (IMAGES + b"\0", "bytes long, expected"),
    "much too long": (IMAGES + bytes(5000), "is longer than"),
    "packed too long": (gzip.compress(IMAGES + b"\0"), "unpacks to more than"),
    "wrong content": (flipped(IMAGES), "SHA-256"),
    "wrong shape": (idx(CONTENT[NAMES[0]].reshape(6, 2, 8)), "holds shape (6, 2, 8), expected"),
    "another of the four": (PACKED[f"{NAMES[2]}.gz"], "holds shape (2, 4, 4), expected (6, 4, 4)"),
    "a pickle": (pickle.dumps(np.zeros(3)), "no IDX magic"),
    "bomb of many bytes": (BOMB, "is longer than"),
    "bomb of few bytes": (gzip.compress(bytes(500_000)), "unpacks to more than"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file_is_an_error_even_if_another_copy_is_good(home, tmp_path, damage):
    fill(home, PACKED)
    content, problem = DAMAGE[damage]
    folder = fill(tmp_path / "given", replaced(NAMES[0], content))
    assert datasets.mnist_available(folder) == folder  # so that the error below is seen
    assert_refused(problem, str(folder / NAMES[0]), directory=folder)


def test_gzip_bomb_is_not_unpacked_beyond_the_expected_size(monkeypatch):
    taken = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda f, n: taken.append(n) or read(f, n))
    with pytest.raises(DatasetError, match="unpacks to more than the expected 112 bytes"):
        datasets._gunzip(BOMB, FILES[0].size, "bomb")
    assert taken == [113]


def test_huge_file_is_not_read_beyond_the_size_it_may_have(home):
    fill(home, PACKED)
    os.truncate(home / f"{NAMES[0]}.gz", 50_000_000)
    tracemalloc.start()
    try:
        assert_refused("is longer than", NAMES[0], download=False)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # bytes at the peak
    finally:
        tracemalloc.stop()


def test_unreadable_file_is_named(home, monkeypatch):
    fill(home, PACKED)

    def refuse(*args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("builtins.open", refuse)
    assert_refused("cannot be read (Input/output error)", NAMES[0], download=False)


# --- fetching


def test_missing_files_are_downloaded_once_with_a_progress_bar(home, serve, capfd):
    (server,) = serve(PACKED)
    assert_loaded(datasets.load_mnist())
    assert_loaded(datasets.load_mnist())
    assert found(home) == PACKED
    assert server.requests == [f"/{name}.gz" for name in NAMES]
    assert "train-images-idx3-ubyte: 100%" in capfd.readouterr().err


def test_download_goes_home_and_not_into_a_named_folder(home, serve, tmp_path):
    serve(PACKED)
    fill(tmp_path / "part", {"train-images-idx3-ubyte.gz": b"whatever"})
    with pytest.warns(UserWarning, match="looking further"):
        assert_loaded(datasets.load_mnist(tmp_path / "part"))
    assert found(home) == PACKED
    assert found(tmp_path / "part") == {"train-images-idx3-ubyte.gz": b"whatever"}


def cut(handler):
    send(handler, PACKED[f"{NAMES[0]}.gz"][:20], length=len(PACKED[f"{NAMES[0]}.gz"]))


def cut_in_chunks(handler):
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"40\r\n" + PACKED[f"{NAMES[0]}.gz"][:20])
    handler.close_connection = True


def silent(handler):
    time.sleep(0.8)


def stalling(handler):
    cut(handler)
    handler.wfile.flush()
    time.sleep(0.8)


def dripping(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(16):  # a byte at a time, each within the time-out
        handler.wfile.write(b"\0")
        time.sleep(0.05)


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(bytes(1 << 16))


def redirecting(place):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()

    return answer


FAULTS = {
    "404": (lambda h: h.send_error(404), "404"),
    "500": (lambda h: h.send_error(500), "500"),
    "silence": (silent, "timed out"),
    "stalls half-way": (stalling, "timed out"),
    "drips": (dripping, "not finished after"),
    "cut half-way": (cut, "cut after 20 of"),
    "cut in chunks": (cut_in_chunks, "IncompleteRead"),
    "hangs up": (lambda h: h.connection.close(), "127.0.0.1"),
    "not HTTP": (lambda h: h.wfile.write(b"220 ftp ready\r\n"), "220 ftp ready"),
    "wrong length": (lambda h: send(h, IMAGES[:-7]), "bytes long, expected"),
    "endless": (endless, "sends more than"),
    "redirects for ever": (lambda h: redirecting(h.path)(h), "302"),
    "redirects to no host": (redirecting("http://a..b/x"), "127.0.0.1"),
    "redirects to no address": (redirecting("http://[::1/x"), "127.0.0.1"),
    **DAMAGE,
    "bomb of many bytes": (BOMB, "sends more than"),
    "much too long": (IMAGES + bytes(5000), "sends more than"),
}


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(datasets, "MNIST_TIMEOUT", 0.4)
    monkeypatch.setattr(datasets, "MNIST_DEADLINE", 0.5)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("error")
def test_faulty_mirror_is_reported_and_leaves_nothing(home, serve, impatient, fault):
    answer, problem = FAULTS[fault]
    serve(replaced(NAMES[0], answer))
    assert_refused(problem, f"{NAMES[0]}.gz")
    assert found(home) == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_second_mirror_serves_where_the_first_fails(home, serve, impatient, fault):
    answer, _ = FAULTS[fault]
    first, second = serve(replaced(NAMES[0], answer), PACKED)
    assert_loaded(datasets.load_mnist())
    assert found(home) == PACKED
    assert second.requests == [f"/{NAMES[0]}.gz"]
    assert f"/{NAMES[1]}.gz" in first.requests


def test_without_network_each_mirror_is_named_with_its_reason(home, monkeypatch):
    mirrors = ("http://127.0.0.1:9/", "http://127.0.0.1:1/")
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", mirrors)
    assert_refused("no mirror delivers it", f"{NAMES[0]}.gz")
    for url in mirrors:
        assert_refused(f"{url}{NAMES[0]}.gz: ", NAMES[0])
    assert found(home) == {}


def test_fetch_replaces_what_is_damaged_and_leaves_good_files_alone(home, serve):
    (server,) = serve(PACKED)
    damaged = {**replaced(NAMES[0], b"damaged"), NAMES[3]: b"damaged without .gz"}
    del damaged[f"{NAMES[3]}.gz"]
    fill(home, damaged)
    good = home / f"{NAMES[1]}.gz"
    before = good.stat()
    assert datasets.fetch_mnist() == [NAMES[0], NAMES[3]]
    assert good.stat() == before
    assert server.requests == [f"/{NAMES[0]}.gz", f"/{NAMES[3]}.gz"]
    assert_loaded(datasets.load_mnist(download=False))
    assert datasets.fetch_mnist() == []


def test_failed_fetch_keeps_what_was_there(home, serve):
    serve(replaced(NAMES[3], lambda h: h.send_error(404)))
    fill(home, {f"{NAMES[0]}.gz": PACKED[f"{NAMES[0]}.gz"], f"{NAMES[3]}.gz": b"damaged"})
    assert_refused("404", NAMES[3], datasets.fetch_mnist)
    assert found(home) == replaced(NAMES[3], b"damaged")  # the others arrived whole


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("os.fsync", errno.ENOSPC),
        ("os.replace", errno.EACCES),
        ("pathlib.Path.mkdir", errno.EROFS),
    ],
)
def test_disk_that_refuses_is_reported_and_left_clean(home, serve, monkeypatch, where, code):
    serve(PACKED)
    fill(home, {f"{NAMES[0]}.gz": b"damaged"})

    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(where, refuse)
    path = str(home / f"{NAMES[0]}.gz")
    assert_refused(f"cannot be written ({os.strerror(code)})", path, datasets.fetch_mnist)
    assert found(home) == {f"{NAMES[0]}.gz": b"damaged"}


def test_file_where_the_folder_should_be_is_reported(home, serve):
    serve(PACKED)
    home.parent.mkdir(parents=True)
    home.write_text("not a folder")
    assert_refused("cannot be written", NAMES[0])
    assert home.read_text() == "not a folder"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write to read-only folders"
)
def test_read_only_folder_is_reported(home, serve):
    serve(PACKED)
    fill(home, {}).chmod(0o500)
    try:
        assert_refused("cannot be written (Permission denied)", NAMES[0])
    finally:
        home.chmod(0o700)
    assert found(home) == {}


def test_copy_written_meanwhile_by_another_process_is_taken(home, serve, monkeypatch):
    serve(PACKED)

    def beaten(source, target):  # what Windows does when the other one is reading its copy
        Path(target).write_bytes(PACKED[Path(target).name])
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr("os.replace", beaten)
    assert_loaded(datasets.load_mnist())
    assert found(home) == PACKED


@pytest.mark.parametrize("where", ["os.fsync", "os.replace", "helpers.datasets._decode"])
def test_interrupted_fetch_leaves_nothing_and_can_be_restarted(home, serve, monkeypatch, where):
    serve(PACKED)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            datasets.fetch_mnist()
    assert found(home) == {}
    assert datasets.fetch_mnist() == NAMES
    assert found(home) == PACKED


def test_remains_of_a_killed_fetch_are_removed_but_not_those_of_one_at_work(home, serve):
    serve(PACKED)
    old, new = f".{NAMES[0]}.1-aa.tmp", f".{NAMES[0]}.2-bb.tmp"
    fill(home, dict.fromkeys([old, new, ".not-ours.tmp"], b"half"))
    long_ago = time.time() - 2 * datasets.STALE_AFTER
    for name in (old, ".not-ours.tmp"):
        os.utime(home / name, (long_ago, long_ago))
    datasets.fetch_mnist()
    assert found(home) == {**PACKED, new: b"half", ".not-ours.tmp": b"half"}


def test_two_processes_fetching_at_once_both_succeed(home):
    both_here = threading.Barrier(2, timeout=20)

    def together(handler):
        both_here.wait()  # neither gets the first file before both have asked for it
        send(handler, PACKED[f"{NAMES[0]}.gz"])

    with mirror(replaced(NAMES[0], together)) as server:
        processes = [start_fetching(STAND_INS, home, server.url) for _ in range(2)]
        results = [process.communicate(timeout=30) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert found(home) == PACKED


def test_killed_process_leaves_no_damage_and_the_next_one_completes(home):
    reached = threading.Event()
    release = threading.Event()

    def hold(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(PACKED[f"{NAMES[1]}.gz"][:20])
        reached.set()
        release.wait(20)

    with mirror(replaced(NAMES[1], hold)) as server:
        process = start_fetching(STAND_INS, home, server.url)
        assert reached.wait(20)
        process.kill()
        process.communicate(timeout=20)
        release.set()
        assert found(home) == {f"{NAMES[0]}.gz": PACKED[f"{NAMES[0]}.gz"]}
        server.files = PACKED
        process = start_fetching(STAND_INS, home, server.url)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert NAMES[0] not in output
    assert found(home) == PACKED


# --- make data


def test_make_data_says_in_one_line_what_it_did(home, serve, capsys):
    serve(PACKED)
    assert datasets.main() == 0
    assert capsys.readouterr().out == f"MNIST in {home}: fetched {', '.join(NAMES)}.\n"
    assert datasets.main() == 0
    assert capsys.readouterr().out == f"MNIST in {home}: already there and verified.\n"


def test_make_data_fetches_home_even_when_mnist_dir_is_complete(home, serve, tmp_path, monkeypatch):
    serve(PACKED)
    monkeypatch.setenv("MNIST_DIR", str(fill(tmp_path / "elsewhere", PACKED)))
    assert datasets.main() == 0
    assert found(home) == PACKED


def test_make_data_fails_with_one_line(home, serve, capsys):
    serve({})
    assert datasets.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("MNIST is not complete. train-images-idx3-ubyte.gz: no mirror")
    assert printed.err.count("\n") == 1


def test_make_data_can_be_interrupted(home, monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "_download", interrupt)
    assert datasets.main() == 130
    assert "`make data` goes on" in capsys.readouterr().err


def test_import_is_quick_because_it_takes_nothing_heavy_along():
    heavy = ["sklearn", "scipy", "tqdm", "urllib.request", "gzip"]
    program = f"import sys, helpers.datasets; print([m for m in {heavy} if m in sys.modules])"
    run = [sys.executable, "-c", program]
    output = subprocess.run(run, capture_output=True, text=True, cwd=datasets.REPOSITORY).stdout
    assert output == "[]\n"


# --- the real files


def test_real_mnist_has_its_known_shape_and_classes():
    if datasets.mnist_available() is None:
        pytest.skip("no MNIST here: run `make data` or set MNIST_DIR=")
    data = datasets.load_mnist(download=False)
    assert (data.X_train.shape, data.X_test.shape) == ((60000, 784), (10000, 784))
    assert (data.X_train.dtype, data.y_train.dtype) == (np.float32, np.int64)
    assert (data.X_train.min(), data.X_train.max()) == (0, 1)
    assert np.bincount(data.y_train, minlength=10).min() == 5421
    assert data.y_test[:5].tolist() == [7, 2, 1, 0, 4]
