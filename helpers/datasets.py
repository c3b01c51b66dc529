"""Every data set of the series, made or loaded.

``step_data``, ``circles``, ``moons`` and ``resistance_isolates`` draw their points; ``load_digits``
reads the digits that come with scikit-learn, ``load_mnist`` MNIST, which it downloads if need be;
``load`` takes what a notebook's parameter `dataset` says. ``python -m helpers.datasets`` (``make
data``) fetches MNIST ahead of time.
"""

import gzip
import hashlib
import math
import os
import sys
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]

ISOLATE_CLASSES = ("susceptible", "intermediate", "resistant")
ISOLATE_MEANS = np.array(  # (3, 5), one row per class
    [[-1.0, -0.5, 0.3, -0.8, 0.2], [0.5, 0.8, -0.4, 0.3, 0.7], [1.2, -0.3, 1.0, 1.0, -0.5]]
)
ISOLATE_SD = 0.9  # of every feature, in every class


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A train/test split: inputs ``X_*`` (N, n_0), class indices ``y_*`` (N,), class names."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    classes: tuple

    def __repr__(self) -> str:
        """Show shapes, not values."""
        arrays = list(vars(self).items())[:-1]
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays)
        return f"Dataset({shapes}, {len(self.classes)} classes)"


def step_data(n: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return `n` evenly spaced x on [-5, 5] and their labels sign(x), both float64 of shape (n,).

    The labels are -1 or +1, never 0: with an odd `n`, the middle point x = 0 is labelled +1.
    """
    x = np.linspace(-5.0, 5.0, n)  # (n,)
    if n % 2:
        x[n // 2] = 0.0  # linspace may miss it by a rounding
    return x, np.where(x >= 0, 1.0, -1.0)


def circles(
    n: int,
    *,
    factor: float,  # the radius of class 1; that of class 0 is 1
    noise: float,  # standard deviation of what is added to each coordinate
    seed: int | np.random.RandomState,  # a RandomState is advanced, and more can be drawn from it
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` shuffled points X (n, 2) on two circles around 0, with classes y (n,)."""
    from sklearn.datasets import make_circles

    return make_circles(n, factor=factor, noise=noise, random_state=seed)


def moons(
    n: int, *, noise: float, seed: int | np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` shuffled points X (n, 2) on two interleaving half circles, with classes y (n,)."""
    from sklearn.datasets import make_moons

    return make_moons(n, noise=noise, random_state=seed)


def resistance_isolates(seed: int = 42) -> Dataset:
    """Draw 600 synthetic isolates, 200 per class, and split them 480/120 after one shuffle.

    Class k is Gaussian with mean ``ISOLATE_MEANS[k]`` and standard deviation ``ISOLATE_SD`` in each
    of the five standardised features. The legacy generator and the order of the draws (classes
    in turn, then one permutation) are those of the published run, which notebook 09 reproduces.
    """
    rng = np.random.RandomState(seed)
    X = np.vstack([m + ISOLATE_SD * rng.standard_normal((200, 5)) for m in ISOLATE_MEANS])
    order = rng.permutation(600)
    X, y = X[order], np.repeat(np.arange(3), 200)[order]  # (600, 5), (600,)
    return Dataset(X[:480], y[:480], X[480:], y[480:], ISOLATE_CLASSES)


def load_digits() -> Dataset:
    """Return 1797 handwritten digits of 8×8 pixels in [0, 1], always split 1437/360."""
    from sklearn import datasets as bundled
    from sklearn.model_selection import train_test_split

    X, y = bundled.load_digits(return_X_y=True)
    parts = train_test_split(X / 16, y, test_size=0.2, stratify=y, random_state=0)
    X_train, X_test, y_train, y_test = parts
    return Dataset(X_train, y_train, X_test, y_test, tuple(range(10)))


MNIST_FILES = {  # SHA-256 of the unpacked content, for gzip wrappers differ between mirrors
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_HOME = REPOSITORY / "data" / "mnist"
MNIST_TIMEOUT = 30.0  # seconds without a byte before a mirror is given up


class DatasetError(Exception):
    """A data file is missing, damaged, or could not be fetched or written."""


def load(dataset: str) -> Dataset:
    """Return "mnist", "digits", or data of your own from a folder.

    The folder has four files with MNIST's names and format, but images of any number and size.
    """
    named = {"mnist": load_mnist, "digits": load_digits}
    if dataset in named:
        return named[dataset]()
    try:
        return _split([_read(path) for path in _paths(_folder(dataset)).values()])
    except DatasetError as error:
        expected = "expected 'mnist', 'digits' or a folder with data of your own"
        raise DatasetError(f"dataset is {dataset!r}, {expected}: {error}") from None


@contextmanager
def _with_remedy():
    """Add to what is wrong with a file what the reader can do about it."""
    try:
        yield
    except (DatasetError, OSError) as error:
        raise DatasetError(
            f"{error}. To mend it, run `make data` without MNIST_DIR=, which fetches the files "
            "into data/mnist/, or set MNIST_DIR= to a folder that holds good copies."
        ) from error


def load_mnist(directory: str | os.PathLike | None = None, download: bool = True) -> Dataset:
    """Return MNIST, 60000 training and 10000 test images of handwritten digits.

    It is read from `directory`, from ``$MNIST_DIR`` or, if neither is given, from ``data/mnist/``,
    into which it is downloaded if need be. The images are float32 (N, 784) in [0, 1]. A
    DatasetError says which file is missing or damaged, and what to do about it.
    """
    folder = _mnist_folder(directory)
    if download and folder == MNIST_HOME and not mnist_available(folder):
        fetch_mnist()
    with _with_remedy():
        return _split([_read(path, MNIST_FILES[name]) for name, path in _paths(folder).items()])


def mnist_available(directory: str | os.PathLike | None = None) -> bool:
    """Whether `load_mnist` would find its files here; a damaged one counts, and loading says so."""
    with suppress(DatasetError, OSError):
        return bool(_paths(_mnist_folder(directory)))
    return False


@_with_remedy()
def fetch_mnist() -> list[str]:
    """Download what is missing or damaged in ``data/mnist/``; return the names of these files."""
    from tqdm import tqdm

    if (named := _mnist_folder()) != MNIST_HOME:
        _paths(named)  # which says what is wrong with a folder that nothing is fetched into
    fetched = []
    for name, sha256 in tqdm(MNIST_FILES.items(), desc="MNIST", unit="file"):
        try:
            _read(_locate(MNIST_HOME, name), sha256)
        except (DatasetError, OSError):
            _store(name, _download(name, sha256))
            fetched.append(name)
    return fetched


def _folder(path: str | os.PathLike) -> Path:
    """Return a folder as seen from here or, as notebooks run elsewhere, from the project."""
    folder = Path(path).expanduser()
    return (folder if folder.exists() else REPOSITORY / folder).resolve()


def _mnist_folder(directory: str | os.PathLike | None = None) -> Path:
    named = directory or os.environ.get("MNIST_DIR")
    return _folder(named) if named else MNIST_HOME


def _paths(folder: Path) -> dict[str, Path]:
    return {name: _locate(folder, name) for name in MNIST_FILES}


def _locate(folder: Path, name: str) -> Path:
    """Find a file, also with a dot in its name, in MNIST/raw, or in a folder of its own name."""
    names = (name, name.replace("-idx", ".idx"))
    for place in (folder, folder / "raw", folder / "MNIST" / "raw", *(folder / n for n in names)):
        # .gz first: a fetched file is a .gz, and has to win over a damaged one without.
        for path in (place / f"{n}{suffix}" for n in names for suffix in (".gz", "")):
            if path.is_file():
                return path
    if not folder.is_dir():
        wrong = "is a file, expected a folder" if folder.exists() else "does not exist"
        raise DatasetError(f"{folder} {wrong}")
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    raise DatasetError(f"{folder} lacks {name} (or {name}.gz); it holds {found}")


def _read(path: Path, sha256: str | None = None) -> np.ndarray:
    try:
        return _decode(path.read_bytes(), sha256)
    except DatasetError as error:
        raise DatasetError(f"{path} {error}") from None


def _decode(raw: bytes, sha256: str | None = None) -> np.ndarray:
    """Return the uint8 array in an IDX file, packed or not, verified if a hash is given.

    IDX is two zero bytes, the type (8: bytes), the number of axes, the length of each axis as a
    big-endian uint32, and the entries, row by row.
    """
    is_packed = raw.startswith(b"\x1f\x8b")  # browsers unpack and keep the name with .gz
    try:
        content = gzip.decompress(raw) if is_packed else raw
    except (EOFError, OSError, zlib.error) as error:
        raise DatasetError(f"is cut short or damaged ({error})") from error
    axes = content[3] if content.startswith(b"\0\0\x08") and len(content) > 3 else 0
    start = 4 + 4 * axes
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if not 1 <= axes <= 3 or 0 in shape or len(content) != start + math.prod(shape):
        begin = f"{len(content)} bytes that begin with {content[:12]!r}"
        raise DatasetError(f"is no IDX file, or not a whole one: {begin}")
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        other = f"is a sound IDX file of shape {shape}, but not MNIST: its SHA-256 is another"
        raise DatasetError(f"{other}; data of your own are read by dataset = their folder")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _split(arrays: list[np.ndarray]) -> Dataset:
    """Return the four arrays as a data set, images scaled from 0…255 to [0, 1]."""
    shapes, (X_train, y_train, X_test, y_test) = [array.shape for array in arrays], arrays
    (n, *size), (m, *_) = X_train.shape, X_test.shape
    if shapes != [(n, *size), (n,), (m, *size), (m,)] or len(size) != 2:
        raise DatasetError(f"arrays have shapes {shapes}, expected N images and N labels, twice")
    X_train, X_test = (X.reshape(len(X), -1) / np.float32(255) for X in (X_train, X_test))
    y_train, y_test = y_train.astype(np.int64), y_test.astype(np.int64)
    classes = range(max(y_train.max(), y_test.max()) + 1)
    return Dataset(X_train, y_train, X_test, y_test, tuple(classes))


def _download(name: str, sha256: str) -> bytes:
    """Return the packed, verified bytes of a file from the first mirror that has them whole."""
    failures = []
    for mirror in MNIST_MIRRORS:
        try:
            with urlopen(f"{mirror}{name}.gz", timeout=MNIST_TIMEOUT) as response:
                raw = response.read()
            _decode(raw, sha256)
            return raw
        except (DatasetError, OSError, HTTPException) as error:
            failures.append(f"{mirror}{name}.gz {error}".strip())
    raise DatasetError(f"no mirror delivers {name}.gz: {'; '.join(failures)}")


def _store(name: str, raw: bytes) -> None:
    """Write elsewhere, then move: readers see all or nothing."""
    MNIST_HOME.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=MNIST_HOME) as place:
        Path(place, name).write_bytes(raw)
        Path(place, name).replace(MNIST_HOME / f"{name}.gz")


def main() -> None:
    """Fetch MNIST into ``data/mnist/`` and say in one line what was done, or why it was not."""
    try:
        fetched = fetch_mnist()
    except DatasetError as error:
        sys.exit(f"MNIST is not complete. {error}")
    except KeyboardInterrupt:
        sys.exit("Stopped. What has arrived whole is kept; `make data` goes on.")
    done = f"fetched {', '.join(fetched)}" if fetched else "already there and verified"
    print(f"MNIST in {MNIST_HOME}: {done}.")


if __name__ == "__main__":
    main()
