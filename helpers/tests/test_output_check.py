"""The output check of the notebooks: what fails, what passes, and what it says and leaves.

All cases are cells of one notebook. It is executed with the code of the committed edition and then
checked with the present code, by the conftest.py of the notebooks in a pytest of its own.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

SETUP = """
%matplotlib inline
import base64, io, time, warnings
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display

x = np.linspace(0, 1, 200)

def curve(y):
    plt.plot(x, y)
    plt.ylim(-1, 1)
    plt.show()

def picture(y, matplotlib=plt.matplotlib.__version__):
    figure, axes = plt.subplots()
    axes.plot(x, y)
    file = io.BytesIO()
    figure.savefig(file, metadata={"Software": f"Matplotlib version{matplotlib}"})
    plt.close(figure)
    encoded = base64.b64encode(file.getvalue()).decode()
    display({"image/png": encoded, "text/plain": "a picture"}, raw=True)

def table(*numbers):
    return HTML("<table>" + "".join(f"<td>{n}</td>" for n in numbers) + "</table>")

def metrics(**values):
    display({"application/json": values, "text/plain": "metrics"}, raw=True)
"""


RAISES = "raises-exception"
IGNORED = "nbval-ignore-output"
PASS = {  # a cell as committed, as it is now, and its tag
    "seventh digit": ("print('cost 0.1234567 of 3')", "print('cost 0.1234568 of 3')"),
    "rounding in an array": ("np.array([0.1, 1e-9])", "np.array([0.1, 1e-9]) * (1 + 1e-15)"),
    "complex, seventh digit": ("1.5 + 0.1234567j", "1.5 + 0.1234568j"),
    "end of a sentence": ("print('It is 0.1234567.')", "print('It is 0.1234568.')"),
    "seventh digit in a table": ("table(0.1234567, 3)", "table(0.1234568, 3)"),
    "rounding in a metric": ("metrics(a=0.3, b=[1, 0.5])", "metrics(a=0.1 + 0.2, b=[1, 0.5])"),
    "time taken": ("print(time.perf_counter())", "print(time.perf_counter())", IGNORED),
    "exception": ("raise OSError('0.1234567')", "raise OSError('0.1234568')", RAISES),
    "figure up to rounding": ("curve(0 * x)", "curve(0 * x + 1e-9)"),
    "another matplotlib": ("picture(x, '3.0.1')", "picture(-x)"),
}
FAIL = {
    "third digit": ("print('cost 0.1234567 of 3')", "print('cost 0.1244567 of 3')"),
    "exponent": ("print('1.234567e-17')", "print('1.234567e-16')"),
    "noise near zero": ("print('1e-17')", "print('2e-17')"),
    "integer, eighth digit": ("print(10000000)", "print(10000001)"),
    "not a number": ("print('loss 0.5')", "print('loss nan')"),
    "number too many": ("print(0.5)", "print(0.5, 0.5)"),
    "version": ("print('1.2.3000000')", "print('1.2.3000001')"),
    "name that ends in a number": ("print('x1.5000000')", "print('x1.5000001')"),
    "word between numbers": ("print('1.5 up 2.5')", "print('1.5 or 2.5')"),
    "third digit of a metric": ("metrics(a=0.3, b=[0.5])", "metrics(a=0.3, b=[0.501])"),
    "new warning": ("pass", "warnings.warn('careful')"),
    "exception gone": ("1 / 0", "pass", RAISES),
    "moved curve": ("curve(0 * x)", "curve(0 * x + 0.02)"),
    "blank figure": ("curve(0 * x)", "plt.figure(); plt.ylim(-1, 1); plt.show()"),
    "removed figure": ("curve(0 * x)", "pass"),
    "added figure": ("picture(x)", "picture(x); picture(x)"),
    "exchanged figures": ("picture(x); picture(0 * x)", "picture(0 * x); picture(x)"),
    "grown figure": ("curve(0 * x)", "plt.figure(figsize=(7, 7)); curve(0 * x)"),
    "removed, another matplotlib": ("picture(x, '3.0.1')", "pass"),
}
NUMBERED = {name: number for number, name in enumerate(PASS | FAIL, 1)}  # 0 is SETUP


class Check(NamedTuple):
    """What a run of the output check said of the cells, in all, and where it worked."""

    failures: dict[int, str]
    output: str
    folder: Path


def executed(cells):
    """Return a notebook of these (code, tag, …) with outputs, as if it had been committed."""
    nb = nbformat.v4.new_notebook()
    for source, *tags in cells:
        nb.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
    return NotebookClient(nb, kernel_name="python3").execute()


def check(folder, nb, *options, **environment):
    """Run the output check on a notebook in `folder`, and return what it says."""
    (folder / "notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder / "notebooks")
    nbformat.write(nb, folder / "notebooks" / "cases.ipynb")
    (folder / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "notebooks"]
    done = subprocess.run(
        [*command, "--junitxml=report.xml", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    failures = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        for failed in (*case.iter("failure"), *case.iter("error")):
            failures[int(case.get("name").removeprefix("Cell "))] = failed.text
    return Check(failures, done.stdout + done.stderr, folder)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    stale = folder / "runs" / "figure-diffs" / "cases-cell99-figure1-before.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    cases = (PASS | FAIL).values()
    nb = executed([(SETUP,), *((committed, *tag) for committed, _, *tag in cases)])
    for cell, (_, now, *_) in zip(nb.cells[1:], cases, strict=True):
        cell.source = now
    return check(folder, nb)


@pytest.mark.parametrize("name", PASS)
def test_passes(name, checked):
    assert NUMBERED[name] not in checked.failures, checked.failures[NUMBERED[name]]


@pytest.mark.parametrize("name", FAIL)
def test_fails(name, checked):
    assert NUMBERED[name] in checked.failures


def test_the_summary_counts_the_figures_compared_and_those_not(checked):
    minor = ".".join(version("matplotlib").split(".")[:2])
    said = re.search(r"^figures: (.*)$", checked.output, flags=re.M)[1]
    # Up to rounding, moved, blank, two exchanged, grown, the first of those added.
    assert said == f"7 compared, 1 not compared (drawn by matplotlib {minor}, stored by 3.0)"


def test_changed_figures_are_drawn_before_after_and_in_difference(checked):
    number = NUMBERED["moved curve"]
    stem = f"cases-cell{number}-figure1"
    remark = rf"Figure 1 of the cell changed, RMS \d.*: runs/figure-diffs/{stem}-before.png …"
    assert re.search(remark, checked.failures[number])
    drawn = sorted((checked.folder / "runs" / "figure-diffs").iterdir())
    pictures = [Image.open(path) for path in drawn if path.name.startswith(stem)]
    assert len(pictures) == 3
    assert len({picture.size for picture in pictures}) == 1
    changed = {re.search(r"cell(\d+)|$", path.name)[1] for path in drawn}
    names = ("moved curve", "blank figure", "exchanged figures", "grown figure")
    assert changed == {str(NUMBERED[name]) for name in names}


# ------------------------------------------------------------------------ whatever is set or runs

TAKEN = """
import socket
from jupyter_client.connect import LocalPortCache

taken = []

def find_taken_port(self, ip):
    taken.append(socket.create_server((ip, 0)))
    return taken[-1].getsockname()[1]

LocalPortCache.find_available_port = find_taken_port
"""


@pytest.mark.parametrize(
    ("options", "failures"),
    [
        (["-pports"], {0, 1, 2} if os.name == "nt" else set()),  # Windows has but ports
        (["-pports", "--noconftest"], {0, 1, 2}),
        (["--noconftest"], {1, 2}),
    ],
)
def test_neither_settings_nor_other_programs_change_outputs(tmp_path, options, failures):
    nb = executed([("import numpy",), ("numpy.array([1 / 3])",), ("assert False", RAISES)])
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("import numpy; numpy.set_printoptions(precision=2)")
    (tmp_path / "ports.py").write_text(TAKEN)
    environment = {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONOPTIMIZE": "1"}
    assert set(check(tmp_path, nb, *options, **environment).failures) == failures
