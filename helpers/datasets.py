"""Every data set of the series, made or loaded.

``step_data``, ``circles``, ``moons`` and ``resistance_isolates`` draw their points; ``load_digits``
reads the digits bundled with scikit-learn; ``load_mnist`` reads MNIST from disk, after a verified
download if need be. ``python -m helpers.datasets`` (``make data``) fetches MNIST ahead of time.
"""

import hashlib
import math
import os
import signal
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers import arguments

REPOSITORY = Path(__file__).resolve().parents[1]

ISOLATE_CLASSES = ("susceptible", "intermediate", "resistant")
ISOLATE_MEANS = np.array(  # (3, 5), one row per class
    [[-1.0, -0.5, 0.3, -0.8, 0.2], [0.5, 0.8, -0.4, 0.3, 0.7], [1.2, -0.3, 1.0, 1.0, -0.5]]
)
ISOLATE_MEANS.setflags(write=False)
ISOLATE_SD = 0.9  # of every feature, in every class


class DatasetError(Exception):
    """A data file is missing, damaged, or could not be fetched or written."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A train/test split; rows are samples.

    ``X_*`` have shape (N, n_0), ``y_*`` hold class indices (N,), and ``classes[k]`` names class k.
    """

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    classes: tuple

    def __repr__(self) -> str:
        """Show shapes, not values."""
        arrays = ("X_train", "y_train", "X_test", "y_test")
        shapes = ", ".join(f"{name} {getattr(self, name).shape}" for name in arrays)
        return f"Dataset({shapes}, {len(self.classes)} classes)"


def step_data(n: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return `n` evenly spaced x on [-5, 5] and their labels sign(x), both float64 of shape (n,).

    The labels are -1 or +1, never 0: with an odd `n`, the middle point x = 0 is labelled +1.
    """
    arguments.count("n", n, least=2)
    x = np.linspace(-5.0, 5.0, n)  # (n,)
    if n % 2:
        x[n // 2] = 0.0  # linspace may miss it by a rounding
    return x, np.where(x >= 0, 1.0, -1.0)


def circles(
    n: int, *, factor: float, noise: float, seed: int | np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` shuffled points on two concentric circles (``sklearn.datasets.make_circles``).

    Parameters
    ----------
    n
        Number of points, at least 2.
    factor
        Radius of the inner circle (class 1) over that of the outer one (class 0), in (0, 1).
    noise
        Standard deviation of the Gaussian noise added to each coordinate, at least 0.
    seed
        An integer, or a ``RandomState``: the draws advance it, and more can be drawn from it.

    Returns
    -------
    X, y
        float64 (n, 2) and int64 (n,).

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was given and what was expected.
    """
    arguments.count("n", n, least=2)
    _check_seed(seed)
    if factor == 0:  # every other bad value of factor and noise is scikit-learn's to refuse
        raise ValueError("factor is 0, expected a number between 0 and 1, both excluded")
    from sklearn.datasets import make_circles

    X, y = make_circles(n, factor=factor, noise=noise, random_state=seed)
    return X, y.astype(np.int64)


def moons(
    n: int, *, noise: float, seed: int | np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` shuffled points on two interleaving half circles (``sklearn.datasets.make_moons``).

    Arguments, results and errors are those of `circles`, without `factor`.
    """
    arguments.count("n", n, least=2)
    _check_seed(seed)
    from sklearn.datasets import make_moons

    X, y = make_moons(n, noise=noise, random_state=seed)
    return X, y.astype(np.int64)


def resistance_isolates(seed: int = 42) -> Dataset:
    """Draw 600 synthetic isolates, 200 per class, and split them 480/120 after one shuffle.

    Class k is Gaussian with mean ``ISOLATE_MEANS[k]`` and standard deviation ``ISOLATE_SD`` in each
    of the five standardised features. The legacy generator and the order of the draws (classes
    in turn, then one permutation) are those of the published run, which notebook 09 reproduces.
    """
    _check_seed(seed)
    rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    X = np.vstack([m + ISOLATE_SD * rng.standard_normal((200, 5)) for m in ISOLATE_MEANS])
    y = np.repeat(np.arange(3, dtype=np.int64), 200)
    order = rng.permutation(600)
    X, y = X[order], y[order]  # (600, 5), (600,)
    return Dataset(X[:480], y[:480], X[480:], y[480:], ISOLATE_CLASSES)


def load_digits() -> Dataset:
    """Return scikit-learn's bundled 8×8 handwritten digits, 1437 to train on and 360 to test.

    ``X`` is float64 (N, 64) scaled from 0…16 to [0, 1], ``y`` int64. The split is fixed and keeps
    the share of every digit the same on both sides.
    """
    from sklearn import datasets as bundled
    from sklearn.model_selection import train_test_split

    X, y = bundled.load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y.astype(np.int64), test_size=0.2, stratify=y, random_state=0
    )
    return Dataset(X_train, y_train, X_test, y_test, tuple(range(10)))


def _check_seed(seed: int | np.random.RandomState) -> None:
    if isinstance(seed, np.random.RandomState):
        return
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed is {seed!r}, expected an integer or a numpy.random.RandomState")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, expected 0 to 2**32 - 1")


@dataclass(frozen=True)
class MnistFile:
    """One of MNIST's files: its name, and the hash and array shape of its unpacked content."""

    name: str
    sha256: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the unpacked file: a four-byte magic, a four-byte size per axis, the data."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    @property
    def size_limit(self) -> int:
        """Bytes no honest file exceeds: gzip adds well under 1 % to what it cannot compress."""
        return self.size + self.size // 100 + 1024


MNIST_FILES = (  # in the order of Dataset's fields
    MnistFile(
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        (60000, 28, 28),
    ),
    MnistFile(
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        (60000,),
    ),
    MnistFile(
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        (10000, 28, 28),
    ),
    MnistFile(
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        (10000,),
    ),
)
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_HOME = REPOSITORY / "data" / "mnist"
MNIST_REMEDY = (
    "To mend it, run `make data`, which fetches the files into data/mnist/, "
    "or set MNIST_DIR= to a folder that holds good copies"
)
MNIST_TIMEOUT = 30.0  # seconds without a byte before a mirror is given up
MNIST_DEADLINE = 900.0  # seconds for one file in all
STALE_AFTER = 600.0  # seconds after which a temporary file belongs to nobody


@contextmanager
def _with_remedy():
    """Add to a DatasetError what the reader can do about it."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(f"{error}. {MNIST_REMEDY}.") from None


@_with_remedy()
def load_mnist(directory: str | os.PathLike | None = None, download: bool = True) -> Dataset:
    """Return MNIST: 60000 training and 10000 test images of handwritten digits.

    Read from the first complete copy in `directory`, in ``$MNIST_DIR`` (from the working directory
    or, failing that, from the project folder if it is relative), and in ``data/mnist/``. A file
    counts with or without ``.gz``; if both are there, the ``.gz`` one is read. A place that lacks
    a file is passed over, with a warning if it was named; a damaged file is an error, because
    reading another copy would hide it. With no complete copy, the files are downloaded into
    ``data/mnist/``.

    Returns
    -------
    Dataset
        ``X`` float32 (N, 784) in [0, 1], ``y`` int64 (N,), classes 0…9.

    Raises
    ------
    DatasetError
        Naming the file, what is wrong with it and how to mend it.
    """
    folder = mnist_available(directory)
    if folder is None:
        if not download:
            lacking = [f"{place} lacks {_missing(at)[0]}" for place, at in _places(directory)]
            raise DatasetError(f"MNIST: no complete copy found ({'; '.join(lacking)})")
        folder = MNIST_HOME
        _fetch_missing(folder)
    X_train, y_train, X_test, y_test = (_read(folder, file) for file in MNIST_FILES)
    y_train, y_test = y_train.astype(np.int64), y_test.astype(np.int64)
    return Dataset(_scaled(X_train), y_train, _scaled(X_test), y_test, tuple(range(10)))


@_with_remedy()
def fetch_mnist(directory: str | os.PathLike | None = None) -> list[str]:
    """Download what is missing or damaged in `directory` (default ``data/mnist/``).

    Good files are left alone. Returns the names of the files fetched; raises a DatasetError when
    one can neither be found whole at any mirror nor be written.
    """
    return _fetch_missing(MNIST_HOME if directory is None else _folder(directory))


def mnist_available(directory: str | os.PathLike | None = None) -> Path | None:
    """Return the folder `load_mnist` would read without downloading, or None.

    It looks at names only, so it is quick. A damaged copy counts as available: loading it then
    fails with the reason, which is better than to go on without MNIST and not say why.
    """
    *named, (_, home) = _places(directory)
    for place, folder in named:
        if not (missing := _missing(folder)):
            return folder
        warnings.warn(f"{place} lacks {missing[0]}; looking further for MNIST", stacklevel=2)
    return None if _missing(home) else home


def parse_idx(data: bytes, name: str = "IDX data") -> np.ndarray:
    """Return the uint8 array of 1 to 3 axes stored in `data`, as a read-only view of it.

    The IDX format is a magic number (two zero bytes, the element type, the number of axes), the
    length of each axis as a big-endian uint32, and then the elements, row by row.
    A DatasetError beginning with `name` says what is malformed.
    """
    if len(data) < 4 or data[0] or data[1]:
        raise DatasetError(f"{name}: begins with {bytes(data[:4])!r}, which is no IDX magic number")
    kind, axes = data[2], data[3]
    if kind != 0x08:
        raise DatasetError(f"{name}: has IDX element type 0x{kind:02x}, expected 0x08 (uint8)")
    if not 1 <= axes <= 3:
        raise DatasetError(f"{name}: has {axes} axes, expected 1 to 3")
    start = 4 + 4 * axes
    if len(data) < start:
        raise DatasetError(f"{name}: is cut short in its header, after {len(data)} bytes")
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    if 0 in shape:
        raise DatasetError(f"{name}: declares shape {shape}, which holds nothing")
    if len(data) != start + math.prod(shape):
        raise DatasetError(
            f"{name}: is {len(data)} bytes long, expected {start + math.prod(shape)}"
            f" for its declared shape {shape}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _scaled(images: np.ndarray) -> np.ndarray:
    """Return uint8 images (N, rows, columns) as float32 (N, rows·columns) in [0, 1]."""
    return np.divide(images.reshape(len(images), -1), 255, dtype=np.float32)


def _folder(directory: str | os.PathLike) -> Path:
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(f"directory is {directory!r}, expected a path or None")
    return Path(os.path.expanduser(directory))


def _places(directory: str | os.PathLike | None) -> list[tuple[str, Path]]:
    """Return the folders to look in, in order, each with the words that name it."""
    places = []
    if directory is not None:
        folder = _folder(directory)
        places.append((f"directory {folder}", folder))
    if from_environment := os.environ.get("MNIST_DIR"):
        folder = _folder(from_environment)
        # Notebooks run in notebooks/, while MNIST_DIR is typed next to `make`, one level up.
        folder = folder if os.path.isdir(folder) else REPOSITORY / folder
        places.append((f"MNIST_DIR {folder}", folder))
    return [*places, (f"the default {MNIST_HOME}", MNIST_HOME)]


def _missing(folder: Path) -> list[str]:
    return [file.name for file in MNIST_FILES if _locate(folder, file) is None]


def _locate(folder: Path, file: MnistFile) -> Path | None:
    # .gz first: a fetched file is a .gz, and has to win over a damaged one without.
    candidates = (folder / f"{file.name}.gz", folder / file.name)
    return next((path for path in candidates if os.path.isfile(path)), None)


def _read(folder: Path, file: MnistFile) -> np.ndarray:
    """Return the verified array of `file` in `folder`."""
    path = _locate(folder, file)
    if path is None:
        raise DatasetError(f"{folder / file.name}: is missing")
    try:
        with open(path, "rb") as handle:
            raw = handle.read(file.size_limit + 1)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _decode(raw, file, str(path))


def _decode(raw: bytes, file: MnistFile, source: str) -> np.ndarray:
    """Unpack, parse and verify the bytes of `file`, which came from `source`."""
    if len(raw) > file.size_limit:
        raise DatasetError(f"{source}: is longer than the {file.size_limit} bytes it may have")
    if raw[:64].lstrip().startswith(b"<"):
        raise DatasetError(f"{source}: is a web page, not data")
    # A browser may have unpacked the file and kept its name, so the content decides.
    content = _gunzip(raw, file.size, source) if raw.startswith(b"\x1f\x8b") else raw
    array = parse_idx(content, source)
    if array.shape != file.shape:
        raise DatasetError(f"{source}: holds shape {array.shape}, expected {file.shape}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise DatasetError(f"{source}: unpacked, has SHA-256 {digest}, expected {file.sha256}")
    return array


def _gunzip(raw: bytes, size: int, source: str) -> bytes:
    """Unpack `raw`, stopping one byte after `size`: a gzip bomb never goes off."""
    import gzip
    import io
    import zlib

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as handle:
            content = handle.read(size + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DatasetError(f"{source}: is cut short or damaged ({error})") from error
    if len(content) > size:
        raise DatasetError(f"{source}: unpacks to more than the expected {size} bytes")
    return content


def _fetch_missing(folder: Path) -> list[str]:
    """Fetch what is missing or damaged in `folder`; return the names."""
    fetched = []
    _remove_stale(folder)
    for file in MNIST_FILES:
        if not _is_good(folder, file):
            _store(folder, file, _download(file))
            fetched.append(file.name)
    return fetched


def _is_good(folder: Path, file: MnistFile) -> bool:
    try:
        _read(folder, file)
    except DatasetError:
        return False
    return True


def _download(file: MnistFile) -> bytes:
    """Return the packed, verified bytes of `file` from the first mirror that has them whole."""
    from http.client import HTTPException

    failures = []
    for mirror in MNIST_MIRRORS:
        url = f"{mirror}{file.name}.gz"
        try:
            raw = _get(url, file)
            _decode(raw, file, url)
            return raw
        except DatasetError as error:
            failures.append(str(error))
        except (OSError, HTTPException, ValueError) as error:  # the last of an odd redirect
            failures.append(f"{url}: {str(error) or type(error).__name__}")
    raise DatasetError(f"{file.name}.gz: no mirror delivers it ({'; '.join(failures)})")


def _get(url: str, file: MnistFile) -> bytes:
    """Return the body at `url`, held in memory, with a progress bar."""
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    request = Request(url, headers={"User-Agent": "Mozilla/5.0 (compatible; helpers.datasets)"})
    body = bytearray()
    deadline = time.monotonic() + MNIST_DEADLINE
    with urlopen(request, timeout=MNIST_TIMEOUT) as response:
        length = response.length  # None if the server does not say
        with tqdm(total=length, desc=file.name, unit="B", unit_scale=True) as bar:
            while chunk := response.read1(1 << 16):
                body += chunk
                bar.update(len(chunk))
                if len(body) > file.size_limit:
                    raise DatasetError(f"{url}: sends more than {file.size_limit} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not finished after {MNIST_DEADLINE:g} seconds")
    if length is not None and len(body) < length:
        raise DatasetError(f"{url}: the connection was cut after {len(body)} of {length} bytes")
    return bytes(body)


def _store(folder: Path, file: MnistFile, raw: bytes) -> None:
    """Write verified bytes to a file of their own, then rename it: readers see all or nothing."""
    path = folder / f"{file.name}.gz"
    temporary = folder / f".{file.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as handle:
            handle.write(raw)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # Another process may have been quicker, and on Windows may hold its copy open.
        if not _is_good(folder, file):
            reason = error.strerror or error
            raise DatasetError(f"{path}: cannot be written ({reason})") from error
    finally:
        with suppress(OSError):  # normally it has its new name by now
            temporary.unlink()


def _remove_stale(folder: Path) -> None:
    """Remove what a process killed in the middle of `_store` has left, sparing one at work."""
    for file in MNIST_FILES:
        for path in folder.glob(f".{file.name}.*.tmp"):
            with suppress(OSError):  # its owner may just have renamed it
                if time.time() - path.stat().st_mtime > STALE_AFTER:
                    path.unlink()


def main() -> int:
    """Fetch MNIST into ``data/mnist/`` and say so in one line; return the exit code."""
    try:
        fetched = fetch_mnist()
    except DatasetError as error:
        print(f"MNIST is not complete. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What has arrived whole is kept; `make data` goes on.", file=sys.stderr)
        return 130
    done = f"fetched {', '.join(fetched)}" if fetched else "already there and verified"
    print(f"MNIST in {MNIST_HOME}: {done}.")
    return 0


if __name__ == "__main__":
    # Being terminated is an interruption too: the temporary file goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
