"""What the check of the notebooks' outputs adds to nbval.

nbval runs every cell and compares its outputs, text as exact strings and figures not at all. Here

- numbers written with a point or an exponent may differ by a relative 1e-6 (``--nbval-rtol``),
  integers and all other text not at all;
- addresses in memory, generated ids and the names of temporary files are masked;
- figures must show the same, pixel by pixel, where both come from one minor version of matplotlib,
  and be equally many in any case; what changed is drawn into ``runs/figure-diffs/``;
- cells run with history, as in JupyterLab, so ``;`` hides a value and ``_`` holds the last one.

None of this is needed for outputs that are exactly the same: plain nbval passes too.
"""

import base64
import io
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell
from PIL import Image, ImageChops, ImageOps, ImageStat

from helpers import datasets, runs

RTOL = 1e-6
# Root mean square of the differences between two figures, in levels of 0 to 255. Another BLAS
# kernel, Python or NumPy leaves it at 0; data changed by a relative 1e-6 make it 0.01. In a figure
# of 6 panels, one curve moved by 0.0004 of its panel makes it 0.4, and one other digit at a tick 1.
RMS = 0.1
FIGURES = pytest.StashKey[Counter[str]]()  # how many were compared, and how many not and why
MINORS = pytest.StashKey[dict[str, str]]()  # of the matplotlib behind a notebook's latest figures

MASKED = {
    r"\b0x[0-9a-fA-F]{6,16}\b": "<address>",
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "<id>",  # a UUID
    r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])": "<id>",  # the same without hyphens
    r"\bplayer-[0-9a-f]{12}\b": "<id>",  # of helpers.animate
    r"\bT_[0-9a-f]{5}(?=\b|_)": "<id>",  # of a table styled by pandas
    r"(?<!\S)\S*\bipykernel_\d+[/\\]\d+\.py": "<cell>",  # where a warning was raised
}
# A float, imaginary ones (2.5j) too, but no part of a name or a version (x1.5, 1.2.3).
NUMBER = re.compile(
    r"(?<![\w.])((?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)(?!\.?(?!j\b)\w)"
)
PICTURE = re.compile(r"(iVBORw0KGgo(?:[A-Za-z0-9+/=]|\\?\n)+)")  # a PNG written into text
MATPLOTLIB = re.compile(r"Matplotlib version(\d+\.\d+)")
Snap = Callable[[str, str], str]  # of (new, stored): the stored one where they are close enough


# -------------------------------------------------------------------------------- hooks of pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nbval")
    group.addoption(
        "--nbval-rtol", type=float, metavar="RTOL",
        help=f"relative tolerance of the numbers in outputs (default {RTOL})",
    )  # fmt: skip


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the cells of a notebook be compared as described above."""
    if type(item) is IPyNbCell:
        item.__class__ = TolerantCell
        item.parent.sanitize_patterns.update(MASKED)
        item.config.stash.setdefault(FIGURES, Counter())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, saying why, the notebooks whose outputs come from MNIST where there is no MNIST.

    Instead, a test in helpers/tests/test_runs.py runs these notebooks on the bundled digits.
    """
    if datasets.mnist_available():
        return
    reason = "no MNIST here: run `make data` or set MNIST_DIR= to compare its outputs"
    notebooks = {item.path for item in items if item.path.suffix == ".ipynb"}
    on_mnist = {path for path in notebooks if runs.reads_mnist(path)}
    for item in items:
        if item.path in on_mnist:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts of a worker of pytest-xdist to the process that writes the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = dict(session.config.stash.get(FIGURES, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    counts = node.config.stash.setdefault(FIGURES, Counter())
    counts.update(getattr(node, "workeroutput", {}).get("figures", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    counts = config.stash.get(FIGURES, None)
    if counts:
        said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        terminalreporter.write_line(f"figures: {said}")


# ------------------------------------------------------------------------------- one notebook cell


class TolerantCell(IPyNbCell):
    """A cell whose outputs may differ from the stored ones by what another machine changes.

    What is close enough in a new output is replaced by what is stored. nbval then compares as
    strictly as ever, and reports what is left.
    """

    def runtest(self) -> None:
        """Run the cell with history."""
        kernel = self.parent.kernel
        execute = partial(kernel.kc.execute, store_history=True, stop_on_error=False)
        kernel.execute_cell_input = execute
        super().runtest()

    def compare_outputs(self, test: Iterable, ref: Iterable, skip_compare: Any = None) -> bool:
        """Whether the outputs in `test` are those in `ref`, as far as one can ask."""
        test, ref = deepcopy(list(test)), deepcopy(list(ref))  # the originals are reported on
        self.figures, self.remarks = 0, []
        stored_places = _places(ref)
        for kind, places in _places(test).items():
            if len(places) == len(stored_places[kind]):  # otherwise nbval says that they are not
                for (new, key), (stored, _) in zip(places, stored_places[kind], strict=True):
                    new[key] = self._snap(new[key], stored[key], picture=kind == "image/png")
        skip = {*(skip_compare or self.parent.skip_compare)} - {"image/png"}
        same = super().compare_outputs(test, ref, skip)
        self.comparison_traceback += self.remarks
        return same

    def format_output_compare(self, key: str, left: Any, right: Any) -> None:
        """Report a difference; letter by letter through encoded pictures it would take minutes."""
        if isinstance(left, str) and isinstance(right, str):
            left, right = (PICTURE.sub(_checksum, text) for text in (left, right))
        super().format_output_compare(key, left, right)

    def _snap(self, new: Any, stored: Any, picture: bool = False) -> Any:
        """Return `new` with all in it that is close enough replaced by its peer in `stored`."""
        if picture:
            return self._snap_figure(new, stored)
        if isinstance(new, str) and isinstance(stored, str):
            new, stored = self.sanitize(new), self.sanitize(stored)
            return _snap_parts(PICTURE, new, stored, self._snap_figure, self._snap_numbers)
        if isinstance(new, dict) and isinstance(stored, dict) and new.keys() == stored.keys():
            return {key: self._snap(new[key], stored[key]) for key in new}
        if isinstance(new, list) and isinstance(stored, list) and len(new) == len(stored):
            return [self._snap(*pair) for pair in zip(new, stored, strict=True)]
        if isinstance(new, float) and isinstance(stored, float):
            return self._snap_number(new, stored)
        return new

    def _snap_numbers(self, new: str, stored: str) -> str:
        return _snap_parts(NUMBER, new, stored, self._snap_number, lambda text, _: text)

    def _snap_number(self, new: Any, stored: Any) -> Any:
        rtol = self.config.getoption("nbval_rtol", None)
        close = math.isclose(float(new), float(stored), rel_tol=RTOL if rtol is None else rtol)
        return stored if close else new

    def _snap_figure(self, new: str, stored: str) -> str:
        """Return `stored` if `new` shows the same, or cannot be compared with it; else `new`."""
        self.figures += 1
        files = self._difference_files()
        for path in files:  # of an earlier check
            path.unlink(missing_ok=True)
        before, after = _read_picture(stored), _read_picture(new)
        counts = self.config.stash[FIGURES]
        drawn, kept = self._minor("drawn", after), self._minor("stored", before)
        if drawn != kept:
            counts[f"not compared (drawn by matplotlib {drawn}, stored by {kept})"] += 1
            return stored
        counts["compared"] += 1
        rms, pictures = _compare_pictures(before, after)
        if rms <= RMS:
            return stored
        files[0].parent.mkdir(parents=True, exist_ok=True)
        for picture, path in zip(pictures, files, strict=True):
            picture.save(path)
        shown = files[0].relative_to(self.config.rootpath).as_posix()
        self.remarks.append(f"Figure {self.figures} of the cell changed, RMS {rms:.3g}: {shown} …")
        return new

    def _difference_files(self) -> list[Path]:
        """Return where a change of the current figure is drawn, as _compare_pictures orders it."""
        folder = self.config.rootpath / "runs" / "figure-diffs"
        name = f"{self.path.stem}-cell{self.cell_num}-figure{self.figures}"
        return [folder / f"{name}-{what}.png" for what in ("before", "after", "difference")]

    def _minor(self, side: str, picture: Image.Image) -> str | None:
        """Return the minor version of the matplotlib behind a picture.

        One that names none, like a frame of an animation, has that of the figure before it.
        """
        minors = self.parent.stash.setdefault(MINORS, {})
        if named := MATPLOTLIB.match(picture.info.get("Software", "")):
            minors[side] = named[1]
        return minors.get(side)


# ---------------------------------------------------------------------------------------- the parts


def _places(outputs: list[NotebookNode]) -> dict[str, list[tuple[dict, str]]]:
    """Return where the compared values are, as (container, key), in the groups nbval compares."""
    places = defaultdict(list)
    for output in outputs:
        if output.output_type == "stream":
            places[output.name].append((output, "text"))
        elif output.output_type == "error":
            places["evalue"].append((output, "evalue"))
        else:
            for mime in output.data:
                places[mime].append((output.data, mime))
    return places


def _snap_parts(pattern: re.Pattern, new: str, stored: str, snap: Snap, snap_between: Snap) -> str:
    """Apply `snap` to the pairs of what `pattern` finds, and `snap_between` to the text between.

    Where it does not find equally many, nothing is paired and `new` returned as it is.
    """
    parts, peers = pattern.split(new), pattern.split(stored)
    if len(parts) != len(peers):
        return new
    parts[1::2] = map(snap, parts[1::2], peers[1::2])
    parts[::2] = map(snap_between, parts[::2], peers[::2])
    return "".join(parts)


def _checksum(picture: re.Match[str]) -> str:
    return f"<PNG, CRC {zlib.crc32(picture[0].encode()):08x}>"


def _read_picture(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def _compare_pictures(before: Image.Image, after: Image.Image) -> tuple[float, list[Image.Image]]:
    """Return the RMS difference of two pictures on white, and both with a picture of where it is.

    There, what is the same is white and what differs most is black. Pictures of different sizes
    differ infinitely.
    """
    size = max(before.width, after.width), max(before.height, after.height)
    on_white = []
    for picture in (before, after):
        canvas = Image.new("RGBA", size, "white")
        canvas.alpha_composite(picture.convert("RGBA"))
        on_white.append(canvas.convert("RGB"))
    difference = ImageChops.difference(*on_white)
    bands = ImageStat.Stat(difference).rms
    rms = math.hypot(*bands) / math.sqrt(len(bands)) if before.size == after.size else math.inf
    shown = ImageOps.invert(ImageOps.autocontrast(difference.convert("L")))
    return rms, [*on_white, shown]
