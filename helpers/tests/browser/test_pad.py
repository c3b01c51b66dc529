"""The drawing pad of notebook 10 in JupyterLab: stored drawings are drawn again, and read."""

import json
import re
from typing import TYPE_CHECKING

import nbformat
import pytest
from test_notebooks import (  # deptry: ignore[DEP001]
    IDLE,
    Opened,
    cells_with,
    choose,
    open_in_lab,
    save_when_run,
)
from windows import Lab, Window

from helpers import datasets, runs

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser

FEW = {"epochs": 1, "better_epochs": 1, "hidden_units": 32}  # a network that is soon trained
DRAWINGS = json.loads((datasets.REPOSITORY / "data" / "drawings.json").read_text())
BROKEN = """\
from helpers import explore

explore.drawing_pad(lambda ink: ([1 / int(not ink.any())], {}), 8)"""


def pad_of(lab: Lab, new_window, nb: nbformat.NotebookNode, name: str) -> tuple[Window, "Locator"]:
    """Run a notebook in JupyterLab and return the window with its pad in view."""
    file, window = lab.folder / f"{name}.ipynb", new_window()
    nbformat.write(nb, file)
    open_in_lab(window, lab, name)
    choose(window, "Edit", "Clear Outputs of All Cells")
    choose(window, "Run", "Run All Cells")
    saved = save_when_run(window, file)
    (number,) = cells_with(saved, "explore.drawing_pad(")
    opened = Opened(name, window, file, saved, saved)
    pad = opened.show(number).locator(".drawing-pad")
    pad.scroll_into_view_if_needed()
    return window, pad


@pytest.fixture(scope="module")
def trained(lab: Lab, new_window) -> tuple[Window, "Locator"]:
    if not datasets.mnist_available():
        pytest.skip("MNIST is not there: `make data` fetches it")
    nb = nbformat.read(runs.notebook_path("10_mnist"), as_version=4)
    for cell in nb.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "".join(f"\n{name} = {value}" for name, value in FEW.items())
    return pad_of(lab, new_window, nb, "pad")


def draw(window: Window, pad: "Locator", strokes: list, finger: bool = False) -> None:
    """Draw with the mouse, or with a finger."""
    box, page = pad.locator("canvas").first.bounding_box(), window.page
    touch = window.context.new_cdp_session(page)
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            at = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            if finger:
                kind = "touchMove" if number else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
                continue
            page.mouse.move(**at)
            if number == 0:
                page.mouse.down()
        if finger:
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        else:
            page.mouse.up()


def answer(window: Window, pad: "Locator") -> list[int]:
    """Return the percentages beside the bars, once they have stayed the same for a second."""
    before, bars = None, pad.locator(".bars")
    while before != (now := bars.inner_text()):
        before = now
        window.page.wait_for_timeout(1000)
        window.page.wait_for_selector(IDLE)
    return [int(share) for share in re.findall(r"(\d+) %", now)]


def test_at_least_nine_of_ten_stored_drawings_are_read_right(trained):
    window, pad = trained
    empty, read = answer(window, pad), {}
    for digit, strokes in DRAWINGS.items():
        draw(window, pad, strokes)
        shares = answer(window, pad)
        assert len(shares) == 10
        read[digit] = shares.index(max(shares))
        window.screenshot(f"pad-{digit}")
        pad.get_by_role("button", name="Clear").click()
        assert answer(window, pad) == empty
    assert sum(int(digit) == answered for digit, answered in read.items()) >= 9, read
    assert window.outside == window.errors == []


def test_a_finger_draws_too_and_does_not_scroll_the_page(trained):
    window, pad = trained
    before = pad.bounding_box()
    draw(window, pad, DRAWINGS["7"], finger=True)
    shares = answer(window, pad)
    assert shares.index(max(shares)) == 7
    assert pad.bounding_box() == before


def test_the_network_reads_the_drawing_scaled_and_its_hidden_layer_shows(trained):
    pictures = trained[1].locator("figure canvas")
    sides = [picture.evaluate("(picture) => picture.width") for picture in pictures.all()]
    assert sides[0] == 28
    assert sides[1] >= 6
    dark = "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.width).data.some(Boolean)"
    assert all(picture.evaluate(dark) for picture in pictures.all())


def test_an_error_of_the_network_stands_beside_the_pad(lab: Lab, new_window):
    nb = nbformat.read(runs.notebook_path("10_mnist"), as_version=4)
    nb.cells = [nb.cells[0], nbformat.v4.new_code_cell(BROKEN)]
    window, pad = pad_of(lab, new_window, nb, "broken")
    draw(window, pad, DRAWINGS["1"])
    pad.locator("output", has_text="ZeroDivisionError").wait_for()
