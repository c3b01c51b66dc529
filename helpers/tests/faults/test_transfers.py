"""Every way in which MNIST can fail to arrive, in a process of its own and with files of some size.

=========================  =============================================================
fault                      tested here and, with details, in helpers/tests/test_datasets.py
=========================  =============================================================
404, 500                   `FAULTS`, from both mirrors and from the first only
time-out                   `FAULTS`: silence, and a transfer that stalls half-way
connection cut half-way    `FAULTS`, with and without a declared length
wrong length               `FAULTS`: shorter, longer, and another than declared
wrong content              `FAULTS`: another of the four files, and one bit flipped
HTML instead of data       `FAULTS`, plain and packed
gzip bomb                  `FAULTS`, and `test_a_bomb_takes_no_more_memory_than_the_real_file`
hash mismatch              `FAULTS`: one bit flipped
disk full                  `DISKS`: a small file system, and a limit on the size of files
read-only folder           `DISKS`
two processes at once      `test_processes_that_fetch_at_once_all_succeed`
interrupted and restarted  test_interruptions.py
path with spaces           every folder here has some, and an accent
=========================  =============================================================

Each time: a `DatasetError` that says what is wrong, in one line; no partial file; what was there
before is untouched, to its time of change; and the second mirror serves where the first fails.
"""

import gzip
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from helpers import datasets
from helpers.tests.mirrors import (
    StandIns,
    fill,
    found,
    idx,
    mirror,
    send,
    sending,
    start_fetching,
)

pytestmark = pytest.mark.faults

RNG = np.random.default_rng(0)
STAND_INS = StandIns(
    {
        "train-images-idx3-ubyte": RNG.integers(0, 256, (3000, 28, 28)),
        "train-labels-idx1-ubyte": RNG.integers(0, 10, 3000),
        "t10k-images-idx3-ubyte": RNG.integers(0, 256, (500, 28, 28)),
        "t10k-labels-idx1-ubyte": RNG.integers(0, 10, 500),
    }
)
IMAGES, LABELS = STAND_INS.names[:2]
GOOD = STAND_INS.packed[f"{IMAGES}.gz"]
PLAIN = idx(STAND_INS.content[IMAGES])
IMPATIENT = "datasets.MNIST_TIMEOUT = 0.5; datasets.MNIST_DEADLINE = 2.0"


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def stalling(handler):
    sending(GOOD[: len(GOOD) // 2], length=len(GOOD))(handler)
    handler.wfile.flush()
    time.sleep(1.5)


def cut_without_length(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(GOOD[: len(GOOD) // 2])


PAGE = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
FAULTS = {  # name: (answer, part of the message)
    "404": (lambda h: h.send_error(404), "404"),
    "500": (lambda h: h.send_error(500), "500"),
    "silence": (lambda h: time.sleep(1.5), "timed out"),
    "stalls half-way": (stalling, "timed out"),
    "cut half-way": (sending(GOOD[: len(GOOD) // 2], length=len(GOOD)), "the connection was cut"),
    "cut, no length given": (cut_without_length, "cut short or damaged"),
    "shorter than it says": (sending(GOOD[:-100], length=len(GOOD)), "the connection was cut"),
    "shorter": (PLAIN[:-100], "bytes long, expected"),
    "longer": (GOOD + bytes(60_000), "sends more than"),
    "longer than it says": (sending(GOOD, length=len(GOOD) - 100), "cut short or damaged"),
    "another file": (STAND_INS.packed["t10k-images-idx3-ubyte.gz"], "holds shape (500, 28, 28)"),
    "hash mismatch": (flipped(PLAIN), "SHA-256"),
    "hash mismatch, packed": (gzip.compress(flipped(PLAIN), 1), "SHA-256"),
    "damaged gzip": (flipped(GOOD), "cut short or damaged"),
    "HTML": (PAGE, "is a web page"),
    "HTML, packed": (gzip.compress(PAGE), "no IDX magic"),
    "gzip bomb": (gzip.compress(bytes(20_000_000), 1), "unpacks to more than the expected"),
}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "my donnée s" / "data" / "mnist"


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.rsplit("\r", 1)[-1].splitlines()[-1] if err else ""


def state(folder):
    """Return name, content and time of change of every file."""
    times = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} if folder.exists() else {}
    return {name: (content, times[name]) for name, content in found(folder).items()}


def assert_refused(process, problem):
    status, _, line = finish(process)
    assert status == 1, line
    assert line.startswith("MNIST is not complete. ")
    assert problem in line
    assert "make data" in line


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_and_good_copies_stay_untouched(home, fault):
    answer, problem = FAULTS[fault]
    kept = {name: content for name, content in STAND_INS.packed.items() if IMAGES not in name}
    fill(home, kept)
    before = state(home)
    with mirror(STAND_INS.replaced(IMAGES, answer)) as server:
        assert_refused(start_fetching(STAND_INS, home, server.url, setup=IMPATIENT), problem)
    assert state(home) == before


@pytest.mark.parametrize("fault", FAULTS)
def test_where_the_first_mirror_fails_the_second_one_serves(home, fault):
    answer, _ = FAULTS[fault]
    fill(home, {f"{LABELS}.gz": STAND_INS.packed[f"{LABELS}.gz"], f"{IMAGES}.gz": b"damaged"})
    good = state(home)[f"{LABELS}.gz"]
    with mirror(STAND_INS.replaced(IMAGES, answer)) as first, mirror(STAND_INS.packed) as second:
        process = start_fetching(STAND_INS, home, first.url, second.url, setup=IMPATIENT)
        status, out, line = finish(process)
    assert status == 0, line
    assert IMAGES in out
    assert found(home) == STAND_INS.packed
    assert state(home)[f"{LABELS}.gz"] == good
    assert second.requests == [f"/{IMAGES}.gz"]


# ------------------------------------------------------------------------------------- the disk


def mounted(folder, options):
    """Mount a file system in memory, if that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(home):
    """Mount 1 MB where the files go, which the labels fit on and the images do not."""
    home.mkdir(parents=True)
    mounted(home, "size=1m")
    yield home
    subprocess.run(["umount", str(home)], check=True)


def test_a_full_disk_leaves_no_partial_file_and_what_was_there(small_disk):
    label_file = {f"{LABELS}.gz": STAND_INS.packed[f"{LABELS}.gz"]}
    fill(small_disk, label_file)
    before = state(small_disk)
    with mirror(STAND_INS.packed) as server:
        process = start_fetching(STAND_INS, small_disk, server.url)
        assert_refused(process, "cannot be written (No space left on device)")
    assert state(small_disk) == before


@pytest.mark.skipif(os.name == "nt", reason="limits the size of files as POSIX does")
def test_a_write_that_stops_half_way_leaves_no_partial_file(home):
    fill(home, {f"{IMAGES}.gz": b"damaged"})
    before = state(home)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    with mirror(STAND_INS.packed) as server:
        process = start_fetching(STAND_INS, home, server.url, setup=limit)
        assert_refused(process, "cannot be written (File too large)")
    assert state(home) == before


@pytest.fixture
def read_only(home):
    """Make a folder read-only: by its mode, or as a mount where root would ignore that."""
    fill(home, {f"{IMAGES}.gz": b"damaged"})
    if os.geteuid():
        home.chmod(0o500)
        yield home
        home.chmod(0o700)
    else:
        mounted(home, "size=1m")
        fill(home, {f"{IMAGES}.gz": b"damaged"})
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        yield home
        subprocess.run(["umount", str(home)], check=True)


@pytest.mark.skipif(os.name == "nt", reason="folders have no such mode on Windows")
def test_a_read_only_folder_is_reported_and_stays_as_it_is(read_only):
    before = state(read_only)
    with mirror(STAND_INS.packed) as server:
        process = start_fetching(STAND_INS, read_only, server.url)
        assert_refused(process, "cannot be written (")
    assert state(read_only) == before


# ---------------------------------------------------------------------------------- at once


@pytest.mark.parametrize("rounds", range(3))
def test_processes_that_fetch_at_once_all_succeed(home, rounds):
    def slow(body):
        def answer(handler):
            send(handler, b"", length=len(body))
            for start in range(0, len(body), 1 << 18):
                handler.wfile.write(body[start : start + (1 << 18)])
                time.sleep(0.02)

        return answer

    served = {name: slow(body) for name, body in STAND_INS.packed.items()}
    with mirror(served) as server:
        processes = []
        for number in range(3):
            processes.append(start_fetching(STAND_INS, home, server.url))
            time.sleep(0.05 * rounds * number)
        results = [finish(process) for process in processes]
    assert [status for status, _, _ in results] == [0, 0, 0], results
    assert found(home) == STAND_INS.packed


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_killed_while_a_file_is_stored_the_old_one_stays_and_the_next_fetch_completes(home):
    fill(home, {f"{LABELS}.gz": STAND_INS.packed[f"{LABELS}.gz"], f"{IMAGES}.gz": b"damaged"})
    before = state(home)
    die = "import os, signal; os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)"
    with mirror(STAND_INS.packed) as server:
        process = start_fetching(STAND_INS, home, server.url, setup=die)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        left = state(home)
        (temporary,) = left.keys() - before.keys()
        assert temporary.startswith(".")
        assert {name: left[name] for name in before} == before
        assert finish(start_fetching(STAND_INS, home, server.url))[0] == 0
    (home / temporary).unlink()
    assert found(home) == STAND_INS.packed


# ------------------------------------------------------------------------------------ memory

BOMB_SCALE = 400  # members of 100 MB each: 40 GB unpacked
MEMORY = """
import resource, sys
from helpers import datasets
raw = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    datasets._decode(raw, datasets.MNIST_FILES[0], "the bomb")
except datasets.DatasetError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory in Linux's units")
def test_a_bomb_takes_no_more_memory_than_the_real_file(tmp_path):
    bomb = gzip.compress(bytes(100_000_000), 6) * BOMB_SCALE
    size = datasets.MNIST_FILES[0].size
    assert len(bomb) < datasets.MNIST_FILES[0].size_limit  # small enough to be unpacked at all
    (tmp_path / "bomb").write_bytes(bomb)
    program = [sys.executable, "-c", MEMORY, str(tmp_path / "bomb")]
    done = subprocess.run(
        program, cwd=datasets.REPOSITORY, capture_output=True, text=True, timeout=60
    )
    message, taken = done.stdout.splitlines()
    assert message == f"the bomb: unpacks to more than the expected {size} bytes"
    assert int(taken) < 1.1 * size
