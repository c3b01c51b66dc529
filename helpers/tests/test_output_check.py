"""The output check of the notebooks: what fails, what passes, and what it says and leaves.

All cases are cells of one notebook. It is executed with the code of the committed edition and then
checked with the present code, by the conftest.py of the notebooks in a pytest of its own.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

SETUP = """
%matplotlib inline
import base64, io, time, uuid, warnings
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display

x = np.linspace(0, 1, 200)
software = f"Matplotlib version{plt.matplotlib.__version__}, https://matplotlib.org/"

def curve(y):
    plt.plot(x, y)
    plt.ylim(-1, 1)

def png(y, software=software):
    figure, axes = plt.subplots()
    axes.plot(x, y)
    axes.set_ylim(-1, 1)
    file = io.BytesIO()
    figure.savefig(file, metadata={"Software": software})
    plt.close(figure)
    return base64.b64encode(file.getvalue()).decode()

def picture(*arguments):
    display({"image/png": png(*arguments), "text/plain": "a picture"}, raw=True)

def table(*numbers):
    return HTML("<table>" + "".join(f"<td>{n}</td>" for n in numbers) + "</table>")

def metrics(**values):
    display({"application/json": values, "text/plain": "metrics"}, raw=True)

def player(*curves):
    frames = ",".join('"' + png(y, None) + '"' for y in curves)
    display(HTML(f"<div id='player-{uuid.uuid4().hex[:12]}'></div><script>[{frames}]</script>"))
"""


@dataclass(frozen=True)
class Case:
    """A change of a cell, from `committed` to `now`, and whether it passes the check."""

    name: str
    committed: str
    now: str
    passes: bool
    tag: str = ""


def passes(name, committed, now=None, tag=""):
    return Case(name, committed, committed if now is None else now, True, tag)


def fails(name, committed, now, tag=""):
    return Case(name, committed, now, False, tag)


CASES = [
    # numbers
    passes("seventh digit", "print('cost 0.1234567 after 3')", "print('cost 0.1234568 after 3')"),
    fails("third digit", "print('cost 0.1234567 after 3')", "print('cost 0.1244567 after 3')"),
    fails("fifth digit", "print('cost 0.1234567 after 3')", "print('cost 0.1234667 after 3')"),
    passes("seventh digit of a value", "0.1234567", "0.1234568"),
    passes("last bit of an array", "np.array([0.1, 1e-9])", "np.array([0.1, 1e-9]) * (1 + 1e-15)"),
    fails("third digit in an array", "np.array([0.1, 0.25])", "np.array([0.1, 0.251])"),
    passes("exponent, seventh digit", "print('1.234567e-17')", "print('1.234568e-17')"),
    fails("exponent", "print('1.234567e-17')", "print('1.234567e-16')"),
    fails("noise near zero", "print('1e-17')", "print('2e-17')"),
    passes("complex, seventh digit", "1.5 + 0.1234567j", "1.5 + 0.1234568j"),
    passes("end of a sentence", "print('It is 0.1234567.')", "print('It is 0.1234568.')"),
    passes("numbers in brackets", "print('(2.000000,1.5]')", "print('(2.000001,1.5]')"),
    fails("sign", "print('-0.5')", "print('+0.5')"),
    fails("integer, eighth digit", "print(10000000)", "print(10000001)"),
    fails("not a number", "print('loss 0.5')", "print('loss nan')"),
    fails("infinite", "print(np.inf)", "print(np.nan)"),
    fails("number too many", "print(0.5)", "print(0.5, 0.5)"),
    fails("date", "print('on 2026-11-21')", "print('on 2026-11-22')"),
    fails("version", "print('1.2.3000000')", "print('1.2.3000001')"),
    fails("name that ends in a number", "print('x1.5000000')", "print('x1.5000001')"),
    fails("word between numbers", "print('1.5 up 2.5')", "print('1.5 or 2.5')"),
    fails("space between numbers", "print('1.5 2.5')", "print('1.5  2.5')"),
    passes("seventh digit in a table", "table(0.1234567, 3)", "table(0.1234568, 3)"),
    fails("third digit in a table", "table(0.1234567, 3)", "table(0.1244567, 3)"),
    fails("count in a table", "table(0.1234567, 3)", "table(0.1234567, 4)"),
    passes(
        "last bit of a metric", "metrics(a=0.3, b=[1, 0.5])", "metrics(a=0.1 + 0.2, b=[1, 0.5])"
    ),
    fails("third digit of a metric", "metrics(a=0.3, b=[0.5])", "metrics(a=0.3, b=[0.501])"),
    fails("count in a metric", "metrics(a=10000000)", "metrics(a=10000001)"),
    # what differs in every run
    passes("address", "object()"),
    passes("generated ids", "print(uuid.uuid4(), uuid.uuid4().hex)"),
    passes("time taken", "print(time.perf_counter())", tag="nbval-ignore-output"),
    passes("warning", "warnings.warn('careful')"),
    # streams and exceptions
    fails("new warning", "pass", "warnings.warn('careful')"),
    fails("another warning", "warnings.warn('careful')", "warnings.warn('beware')"),
    fails("new error", "1 / 1", "1 / 0"),
    passes("exception", "raise ValueError('0.1234567 of 3')", tag="raises-exception"),
    passes(
        "seventh digit in an exception",
        "raise ValueError('0.1234567 of 3')",
        "raise ValueError('0.1234568 of 3')",
        tag="raises-exception",
    ),
    fails(
        "third digit in an exception",
        "raise ValueError('0.1234567 of 3')",
        "raise ValueError('0.1244567 of 3')",
        tag="raises-exception",
    ),
    fails(
        "class of an exception",
        "raise ValueError('too small')",
        "raise TypeError('too small')",
        tag="raises-exception",
    ),
    fails("exception gone", "1 / 0", "1 / 1;", tag="raises-exception"),
    # figures
    passes("same figure", "curve(0 * x); plt.show()"),
    passes("figure up to rounding", "curve(0 * x); plt.show()", "curve(0 * x + 1e-9); plt.show()"),
    fails("moved curve", "curve(0 * x); plt.show()", "curve(0 * x + 0.02); plt.show()"),
    fails("blank figure", "curve(0 * x); plt.show()", "plt.figure(); plt.ylim(-1, 1); plt.show()"),
    fails("removed figure", "curve(0 * x); plt.show()", "pass"),
    fails("one removed figure", "picture(x); picture(0 * x)", "picture(x)"),
    fails("added figure", "picture(x)", "picture(x); picture(x)"),
    fails("exchanged figures", "picture(x); picture(0 * x)", "picture(0 * x); picture(x)"),
    fails("grown figure", "picture(x)", "plt.rcParams['savefig.dpi'] = 120; picture(x)"),
    passes("restored size", "plt.rcParams['savefig.dpi'] = 'figure'"),
    passes("another matplotlib", "picture(x, 'Matplotlib version3.0.1')", "picture(-x)"),
    fails("removed, another matplotlib", "picture(x, 'Matplotlib version3.0.1')", "pass"),
    fails("moved again", "picture(0 * x)", "picture(0 * x + 0.02)"),
    passes("figure whose output is ignored", "picture(x)", "picture(-x)", "nbval-ignore-output"),
    passes("same frames", "player(x, 0 * x)"),
    fails("moved curve in a frame", "player(x, 0 * x)", "player(x, 0 * x + 0.02)"),
    fails("missing frame", "player(x, 0 * x)", "player(x)"),
    # as in JupyterLab
    passes("semicolon", "6 * 7;"),
    passes("value before the last", "6 * 7"),
    passes("last value", "print(_)"),
]
NUMBERED = {case.name: number for number, case in enumerate(CASES, 1)}  # cell 0 is the set-up


@dataclass(frozen=True)
class Check:
    """What a run of the output check said of the cells, in all, and where it worked."""

    failures: dict[int, str]
    output: str
    folder: Path


def executed_notebook(cells):
    from nbclient import NotebookClient

    nb = nbformat.v4.new_notebook()
    for source, tag in cells:
        cell = nbformat.v4.new_code_cell(source)
        cell.metadata.tags = [tag] if tag else []
        nb.cells.append(cell)
    return NotebookClient(nb, kernel_name="python3").execute()


def check(folder, *options):
    """Run the output check on folder/notebooks; return what it says."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "notebooks"]
    command += [f"--junitxml={report}", "-p", "no:cacheprovider", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    environment["IPYTHONDIR"] = str(folder / "ipython")  # leave the history of the user alone
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    failures = {}
    for case in ElementTree.parse(report).iter("testcase"):
        failed = case.find("failure")
        if failed is not None:
            failures[int(case.get("name").removeprefix("Cell "))] = failed.text
    return Check(failures, done.stdout + done.stderr, folder)


def folder_to_check(folder, nb):
    (folder / "notebooks").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder / "notebooks")
    nbformat.write(nb, folder / "notebooks" / "cases.ipynb")
    return folder


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    committed = [(SETUP, ""), *((case.committed, case.tag) for case in CASES)]
    nb = executed_notebook(committed)
    for cell, case in zip(nb.cells[1:], CASES, strict=True):
        cell.source = case.now
    folder = folder_to_check(tmp_path_factory.mktemp("check"), nb)
    for stale in difference_files(folder, "same figure"):
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.touch()
    return check(folder)


def difference_files(folder, name, figure=1):
    stem = f"cases-cell{NUMBERED[name]}-figure{figure}"
    parts = ("before", "after", "difference")
    return [folder / "runs" / "figure-diffs" / f"{stem}-{part}.png" for part in parts]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_check_of(case, checked):
    failure = checked.failures.get(NUMBERED[case.name])
    assert (failure is None) == case.passes, failure


# ------------------------------------------------------------------------- what it says and leaves


def figures_of(code):
    frames = 2 * code.count("player(x, ")
    return code.count("plt.show()") + code.count("picture(") + frames


def test_summary_counts_the_figures_compared_and_those_not(checked):
    compared = re.search(r"^figures: (\d+) compared, (.*)$", checked.output, flags=re.M)
    minor = ".".join(version("matplotlib").split(".")[:2])
    assert compared[2] == f"1 not compared (drawn by matplotlib {minor}, stored by 3.0)"
    pairs = [
        figures_of(case.now)
        for case in CASES
        if case.tag != "nbval-ignore-output" and figures_of(case.committed) == figures_of(case.now)
    ]
    assert int(compared[1]) == sum(pairs) - 1


def test_a_changed_figure_is_drawn_before_after_and_in_difference(checked):
    before, after, difference = map(Image.open, difference_files(checked.folder, "moved curve"))
    assert before.size == after.size == difference.size
    levels = difference.convert("L").histogram()
    assert levels[0] > 0, "nothing is drawn as what differs most"
    assert 0 < sum(levels[:255]) < 0.05 * sum(levels), "more than the curve is drawn"


def test_the_report_of_a_changed_figure_says_by_how_much_and_where_to_look(checked):
    failure = checked.failures[NUMBERED["moved curve"]]
    name = difference_files(checked.folder, "moved curve")[0].name
    assert re.search(rf"Figure 1 of the cell changed, RMS \d.*: runs/figure-diffs/{name}", failure)


def test_a_figure_of_another_size_is_drawn_on_the_larger_canvas(checked):
    pictures = [Image.open(path) for path in difference_files(checked.folder, "grown figure")]
    assert len({picture.size for picture in pictures}) == 1
    assert "RMS inf" in checked.failures[NUMBERED["grown figure"]]


def test_only_the_frame_that_changed_is_drawn(checked):
    for figure, changed in ((1, False), (2, True)):
        for path in difference_files(checked.folder, "moved curve in a frame", figure):
            assert path.exists() == changed


def test_encoded_pictures_are_kept_out_of_the_report(checked):
    assert "iVBORw0KGgo" not in checked.output


def test_differences_of_an_earlier_check_are_removed(checked):
    assert not any(path.exists() for path in difference_files(checked.folder, "same figure"))


def test_tolerance_can_be_chosen(tmp_path):
    cells = []
    for changed in ("0.1244567", "0.1254567"):  # by 0.8 % and by 1.6 %
        cells.append(nbformat.v4.new_code_cell(f"print('cost {changed}')", execution_count=1))
        stored = nbformat.v4.new_output("stream", name="stdout", text="cost 0.1234567\n")
        cells[-1].outputs = [stored]
    nb = nbformat.v4.new_notebook(cells=cells)
    assert set(check(folder_to_check(tmp_path, nb), "--nbval-rtol=0.01").failures) == {1}
