"""What the check of the notebooks' outputs adds to nbval.

nbval runs every cell and compares its outputs, text as exact strings and figures not at all. Here

- numbers written with a point or an exponent may differ by a relative 1e-6, integers and all other
  text not at all;
- figures must show the same, pixel by pixel, where both come from one minor version of matplotlib,
  and be equally many in any case; what changed is drawn into ``runs/figure-diffs/``;
- kernels use no network ports, and no start-up files that the user has for other work.

Plain nbval passes, too, where outputs are exactly the same.
"""

import base64
import json
import math
import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import nbval.kernel
import pytest
from matplotlib.testing.compare import compare_images
from matplotlib.testing.exceptions import ImageComparisonFailure
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell

from helpers import datasets, runs

RTOL = 1e-6
# Root mean square of the differences between two figures, in levels of 0 to 255. Another BLAS
# kernel, Python or NumPy leaves it at 0; data changed by a relative 1e-6 make it 0.01. In a figure
# of 6 panels, one curve moved by 0.0004 of its panel makes it 0.4, and one other digit at a tick 1.
RMS = 0.1
ROOT = Path(__file__).resolve().parents[1]
DIFFERENCES = ROOT / "runs" / "figure-diffs"
# A float, imaginary ones (2.5j) too, but no part of a name or a version (x1.5, 1.2.3).
NUMBER = re.compile(
    r"(?<![\w.])((?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)(?!\.?(?!j\b)\w)"
)
nbval.kernel.KernelManager = runs.undisturbed(nbval.kernel.KernelManager)


class TolerantCell(IPyNbCell):
    """A cell whose outputs may differ from the stored ones by what another machine changes.

    What is close enough in a new output is replaced by what is stored; nbval compares the rest.
    """

    def compare_outputs(self, test: list, ref: list, skip_compare: Any = None) -> bool:
        """Whether the outputs in `test` are those in `ref`, as far as one can ask."""
        remarks, kept = [], places(ref)
        for kind, fresh in places(test).items():
            pairs = zip(fresh, kept[kind], strict=False)  # where one is missing, nbval says so
            for number, ((new, key), (stored, _)) in enumerate(pairs, 1):
                if kind != "image/png":
                    new[key] = snap(new[key], stored[key])
                elif remark := self.figure_changed(number, new[key], stored[key]):
                    remarks.append(f"Figure {number} of the cell changed, {remark}")
                else:
                    new[key] = stored[key]
        same = super().compare_outputs(test, ref, {*self.parent.skip_compare} - {"image/png"})
        self.comparison_traceback += remarks
        return same

    def figure_changed(self, number: int, new: str, stored: str) -> str | None:
        """Draw how a figure differs from the stored one and say where; None if it does not."""
        before, after = base64.b64decode(stored), base64.b64decode(new)
        kept, drawn = minor_version(before), minor_version(after)
        versions = f"not compared (drawn by matplotlib {drawn}, stored by {kept})"
        self.user_properties.append(("figure", "compared" if drawn == kept else versions))
        if drawn != kept or before == after:
            return None
        DIFFERENCES.mkdir(parents=True, exist_ok=True)
        name = f"{self.path.stem}-cell{self.cell_num}-figure{number}"
        files = [DIFFERENCES / f"{name}-{side}.png" for side in ("before", "after")]
        for file, picture in zip(files, (before, after), strict=True):
            file.write_bytes(picture)
        try:
            found = compare_images(*files, tol=RMS, in_decorator=True)
        except ImageComparisonFailure as sizes:
            return str(sizes)
        if found:
            return f"RMS {found['rms']:.3g}: {files[0].relative_to(ROOT).as_posix()} …"
        for file in files:
            file.unlink()
        return None


def places(outputs: list[NotebookNode]) -> dict[str, list[tuple[dict, str]]]:
    """Return where the compared values are, as (container, key), in the groups nbval compares."""
    found = defaultdict(list)
    for output in outputs:
        if output.output_type == "stream":
            found[output.name].append((output, "text"))
        elif output.output_type == "error":
            found["evalue"].append((output, "evalue"))
        else:
            for mime in output.data:
                found[mime].append((output.data, mime))
    return found


def snap(new: Any, stored: Any) -> Any:
    """Return `new`, text or JSON, with the numbers of `stored` where they are close to its own."""
    if not isinstance(new, str):
        return json.loads(snap(json.dumps(new), json.dumps(stored)))
    parts, peers = NUMBER.split(new), NUMBER.split(stored)
    if len(parts) == len(peers):  # otherwise nothing can be paired
        for at in range(1, len(parts), 2):
            if math.isclose(float(parts[at]), float(peers[at]), rel_tol=RTOL):
                parts[at] = peers[at]
    return "".join(parts)


def minor_version(png: bytes) -> str | None:
    """Return the minor version of the matplotlib that drew a picture, if it names one."""
    found = re.search(rb"Matplotlib version(\d+\.\d+)", png)
    return found and found[1].decode()


# -------------------------------------------------------------------------------- hooks of pytest


def pytest_sessionstart(session: pytest.Session) -> None:
    """Forget the differences of an earlier check; the workers of pytest-xdist come later."""
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(DIFFERENCES, ignore_errors=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the cells of a notebook be compared as described above."""
    if type(item) is IPyNbCell:
        item.__class__ = TolerantCell


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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count the figures compared, and those not and why."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    cells = [report for report in reports if getattr(report, "when", None) == "call"]
    noted = [note for cell in cells for key, note in cell.user_properties if key == "figure"]
    if noted:
        said = ", ".join(f"{count} {note}" for note, count in sorted(Counter(noted).items()))
        terminalreporter.write_line(f"figures: {said}")
