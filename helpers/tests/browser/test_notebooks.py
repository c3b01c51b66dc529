"""Notebooks 01, 06 and 09 in JupyterLab, as a reader sees them: run, looked at and played with.

JupyterLab holds only those cells of a long notebook on the page that are near the visible part. So
what the cells computed is checked in the saved file, and what they look like by scrolling through.
"""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import pytest
from PIL import Image
from windows import SCREENSHOTS, SECONDS, Lab, Window

from helpers import exercises
from helpers.runs import NOTEBOOKS, notebook_names

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

NAMES = ("01_scalar_network", "06_batched_backprop", "09_resistance_classifier")
IDLE = '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-ExecutionIndicator[data-status="idle"]'
PLAYER = "figure[data-player][data-ready]"
LINK = re.compile(r"\[(\d\d · [^\]]+)\]\((\w+\.ipynb)\)")
CODE = re.compile(r"`[^`\n]*`")
EQUATION = re.compile(r"\$\$.+?\$\$|\$[^$]+?\$", re.DOTALL)

# What is on the page now, cell by cell, once all of it is drawn; nothing before that.
LOOK = """() => {
  const panel = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden)");
  const outer = panel.querySelector(".jp-Notebook .jp-WindowedPanel-outer");
  const box = outer.getBoundingClientRect();
  const seen = [];
  for (const cell of outer.querySelectorAll(".jp-Cell[data-windowed-list-index]")) {
    const at = cell.getBoundingClientRect();
    if (at.bottom <= box.top || at.top >= box.bottom) continue;
    const images = [...cell.querySelectorAll(".jp-OutputArea img")];
    const prose = cell.querySelector(":scope .jp-MarkdownOutput");
    if (cell.matches(".jp-MarkdownCell") && !prose) return null;
    if (images.some((image) => !image.complete)) return null;
    const plain = prose ? prose.cloneNode(true) : document.createElement("div");
    plain.querySelectorAll("code, pre, mjx-container").forEach((part) => part.remove());
    seen.push({
      index: Number(cell.dataset.windowedListIndex),
      equations: prose ? prose.querySelectorAll("mjx-container").length : 0,
      // What it cannot read MathJax frames; a command it does not know it writes in red.
      mistakes: cell.querySelectorAll("mjx-merror, mjx-mtext[style*='red']").length,
      dollars: (plain.textContent.match(/\\$/g) || []).length,
      figures: images.map((image) => image.naturalWidth * image.clientWidth),
      errors: cell.querySelectorAll("[data-mime-type='application/vnd.jupyter.error']").length,
    });
  }
  return seen;
}"""


# Go some screens down, or up; tells whether there was anything left.
SCROLL = """(box, screens) => {
  const before = box.scrollTop;
  box.scrollBy(0, screens * box.clientHeight);
  return Math.abs(box.scrollTop - before) > 1;
}"""
SCROLLER = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-WindowedPanel-outer"


@dataclass
class Opened:
    """A notebook after all of its cells have run in JupyterLab and the file has been saved."""

    name: str
    window: Window
    file: Path
    committed: nbformat.NotebookNode
    saved: nbformat.NotebookNode
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def page(self) -> "Page":
        return self.window.page

    def show(self, number: int) -> "Locator":
        """Scroll a cell into view, from where we are, and return it."""
        cell = self.page.locator(f'{SCROLLER} .jp-Cell[data-windowed-list-index="{number}"]')
        scroller = self.page.locator(SCROLLER)
        while number not in (visible := [each["index"] for each in look(self.page)]):
            down = visible and visible[-1] < number  # nothing is in view below the last cell
            moved = scroller.evaluate(SCROLL, 0.8 if down else -0.8)
            assert moved, f"cell {number} of {self.name} is not on the page"
        cell.evaluate("(cell) => cell.scrollIntoView({block: 'center'})")
        look(self.page)
        return cell


@pytest.fixture(scope="session", params=NAMES)
def notebook(request: pytest.FixtureRequest, lab: Lab, new_window) -> Iterator[Opened]:
    """Open a notebook, clear it, run all cells, save it and scroll through it."""
    name, window = request.param, new_window()
    for stale in SCREENSHOTS.glob(f"{name}-*.png"):
        stale.unlink()
    file = lab.folder / f"{name}.ipynb"
    open_in_lab(window, lab, name)
    window.screenshot(f"{name}-opened")
    choose(window, "Edit", "Clear Outputs of All Cells")
    choose(window, "Run", "Run All Cells")
    saved = save_when_run(window, file)
    committed = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    opened = Opened(name, window, file, committed, saved)
    opened.seen = scroll_through(window, name)
    yield opened
    window.context.close()


def open_in_lab(window: Window, lab: Lab, name: str) -> None:
    window.page.goto(lab.url(name))
    window.page.wait_for_selector(IDLE)
    window.page.wait_for_selector(".jp-Notebook .jp-MarkdownCell.jp-mod-rendered h1")
    for button in window.page.get_by_role("button", name="No", exact=True).all():
        button.click()  # JupyterLab asks at the first start whether it may fetch its news


def choose(window: Window, menu: str, entry: str) -> None:
    """Click an entry of JupyterLab's menu."""
    window.page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    label = window.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{re.escape(entry)}$"))
    label.click()


def save_when_run(window: Window, file: Path) -> nbformat.NotebookNode:
    """Save until the file holds all cells' results or an error, and return what it holds.

    The page cannot tell: the marks of cells that wait are on it near its visible part only, and
    the kernel is idle for a moment after every cell.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        before = file.stat().st_mtime_ns
        choose(window, "File", "Save Notebook")
        while file.stat().st_mtime_ns == before and time.monotonic() < deadline:
            window.page.wait_for_timeout(100)
        try:
            saved = nbformat.read(file, as_version=4)
        except nbformat.reader.NotJSONError:  # read while it was being written
            continue
        code = [cell for cell in saved.cells if cell.cell_type == "code"]
        if errors_in(saved) or all(cell.execution_count for cell in code):
            return saved
        if time.monotonic() > deadline:
            window.screenshot(f"{file.stem}-stuck")
            waiting = next(c for c in code if not c.execution_count)
            pytest.fail(
                f"{file.stem} has not run `{waiting.source.splitlines()[0]}` in {SECONDS} s"
            )
        window.page.wait_for_timeout(1000)


def errors_in(nb: nbformat.NotebookNode) -> list[str]:
    """Return the exceptions, and what went to stderr beside the progress bars.

    These stand in cells whose output is not compared.
    """
    found = []
    for cell in nb.cells:
        bars = "nbval-ignore-output" in cell.metadata.get("tags", [])
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"{output.ename}: {output.evalue}")
            elif output.get("name") == "stderr" and not bars:
                found.append(output.text)
    return found


def look(page: "Page") -> list[dict[str, Any]]:
    """Return what LOOK sees of every cell in view, from top to bottom, as soon as it is drawn."""
    return page.wait_for_function(LOOK, polling=100).json_value()


def scroll_through(window: Window, name: str) -> dict[int, dict[str, Any]]:
    """Return what LOOK sees of every cell, by index, and keep a picture of every screen."""
    page, seen, screen = window.page, {}, 0
    scroller = page.locator(SCROLLER)
    scroller.evaluate("(box) => box.scrollTo(0, 0)")
    while True:
        for cell in look(page):
            best = seen.setdefault(cell["index"], cell)
            best |= {key: max(best[key], value) for key, value in cell.items()}
        window.screenshot(f"{name}-{screen:02d}")
        screen += 1
        if not scroller.evaluate(SCROLL, 0.8):
            return seen


def pictures(nb: nbformat.NotebookNode) -> dict[int, list[str]]:
    """Return the PNGs among each cell's outputs, where there are any."""
    found = {}
    for number, cell in enumerate(nb.cells):
        data = [output.get("data", {}) for output in cell.get("outputs", [])]
        if pngs := [bundle["image/png"] for bundle in data if "image/png" in bundle]:
            found[number] = pngs
    return found


def colours(png: str) -> int:
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    return len(picture.getcolors(picture.width * picture.height))


# ------------------------------------------------------------------------------------ what is seen


def test_every_cell_runs_without_an_error(notebook: Opened):
    assert errors_in(notebook.saved) == []
    code = [cell for cell in notebook.saved.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert [cell.source for cell in notebook.saved.cells] == [
        cell.source for cell in notebook.committed.cells
    ]


def test_every_cell_comes_into_view_without_an_error(notebook: Opened):
    assert sorted(notebook.seen) == [*range(len(notebook.committed.cells))]
    assert {i: cell["errors"] for i, cell in notebook.seen.items() if cell["errors"]} == {}


def test_every_figure_is_there_and_shows_something(notebook: Opened):
    drawn, committed = pictures(notebook.saved), pictures(notebook.committed)
    assert committed
    assert {i: len(p) for i, p in drawn.items()} == {i: len(p) for i, p in committed.items()}
    blank = [i for i, found in drawn.items() if any(colours(png) < 3 for png in found)]
    assert blank == []
    for number, found in drawn.items():
        sizes = notebook.seen[number]["figures"]
        assert len(sizes) >= len(found), f"cell {number} shows {len(sizes)} of {len(found)} figures"
        assert all(sizes), f"a figure of cell {number} has no size on the page"


def test_every_equation_is_rendered(notebook: Opened):
    total = 0
    for number, cell in enumerate(notebook.committed.cells):
        if cell.cell_type == "markdown":
            expected = len(EQUATION.findall(CODE.sub("", cell.source)))
            shown = notebook.seen[number]
            assert (number, shown["equations"]) == (number, expected)
            assert (number, shown["dollars"], shown["mistakes"]) == (number, 0, 0)
            total += expected
    assert total > 20


# ----------------------------------------------------------------------------------- what is done


def test_every_answer_unfolds(notebook: Opened):
    expected = [cell.source.count("<details>") for cell in notebook.committed.cells]
    assert sum(expected) >= 4
    for number, count in enumerate(expected):
        if count:
            unfold(notebook, number, count)


def unfold(notebook: Opened, number: int, count: int) -> None:
    """Click on every summary of a cell; what it hides must appear, and not before."""
    folded = notebook.show(number).locator("details")
    assert folded.count() == count
    for answer in folded.all():
        before = answer.bounding_box()["height"]
        assert answer.get_attribute("open") is None
        answer.locator("summary").click()
        assert answer.get_attribute("open") is not None
        assert answer.bounding_box()["height"] > before + 10
    if number == next(i for i, c in enumerate(notebook.committed.cells) if "<details>" in c.source):
        notebook.window.screenshot(f"{notebook.name}-answer")


@pytest.mark.parametrize("notebook", ["06_batched_backprop"], indirect=True)
def test_the_animation_plays_pauses_and_can_be_scrubbed(notebook: Opened):
    number, frames = animation(notebook.saved)
    player = notebook.show(number).locator(PLAYER)
    image, button, slider = (player.locator(tag) for tag in ("img", "button", "input"))
    player.scroll_into_view_if_needed()

    def shown() -> int:
        now = int(slider.input_value())
        assert image.get_attribute("src") == f"data:image/png;base64,{frames[now]}"
        return now

    assert len(set(frames)) == len(frames) == int(slider.get_attribute("max")) + 1
    assert shown() == 0
    button.click()
    wait_until(notebook.page, lambda: int(slider.input_value()) >= 3)
    button.click()
    paused = shown()
    assert button.get_attribute("aria-label") == "Play"
    notebook.page.wait_for_timeout(500)  # three frames
    assert shown() == paused
    box = slider.bounding_box()
    slider.click(position={"x": 0.75 * box["width"], "y": box["height"] / 2})
    assert shown() == pytest.approx(0.75 * (len(frames) - 1), abs=2)
    notebook.window.screenshot(f"{notebook.name}-animation")
    for key, frame in {"Home": 0, "ArrowRight": 1, "End": len(frames) - 1}.items():
        slider.press(key)
        assert shown() == frame


@pytest.mark.parametrize("notebook", NAMES[:2], indirect=True)
def test_every_slider_redraws_the_figure_below_it(notebook: Opened):
    (number,) = cells_with(notebook.saved, "explore.sliders(")
    (output,) = notebook.saved.cells[number].outputs
    cell = notebook.show(number)
    image, handles = cell.locator("img.widget-image"), cell.locator(".noUi-handle")
    names = re.match("sliders for ([^:]+):", output.data["text/plain"])[1].split(", ")
    assert handles.count() == len(names) >= 2
    for handle in handles.all():
        before, at = image.screenshot(), handle.get_attribute("aria-valuenow")
        for _ in range(4):
            handle.press("ArrowLeft")
        wait_until(notebook.page, lambda: image.screenshot() != before)  # noqa: B023
        assert float(handle.get_attribute("aria-valuenow")) < float(at)
    own, shown = image.evaluate(
        "(image) => [image.naturalWidth / image.naturalHeight, image.width / image.height]"
    )
    assert shown == pytest.approx(own, rel=0.02)
    notebook.page.wait_for_selector(IDLE)
    notebook.window.screenshot(f"{notebook.name}-sliders")


def cells_with(nb: nbformat.NotebookNode, text: str) -> list[int]:
    return [number for number, cell in enumerate(nb.cells) if text in cell.source]


def animation(nb: nbformat.NotebookNode) -> tuple[int, list[str]]:
    """Return the number of the cell with the player, and the frames that it plays."""
    for number, cell in enumerate(nb.cells):
        for output in cell.get("outputs", []):
            page = output.get("data", {}).get("text/html", "")
            if "data-player" in page:
                return number, json.loads(re.search(r"const pictures = (\[.*\]);", page)[1])
    raise AssertionError("no cell shows the player")


def wait_until(page: "Page", holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited for {seconds} s"
        page.wait_for_timeout(50)


def test_previous_and_next_open_the_notebooks_they_name(notebook: Opened):
    links = sorted(
        {
            (number, target, title)
            for number, cell in enumerate(notebook.committed.cells)
            if cell.cell_type == "markdown"
            for title, target in LINK.findall(cell.source)
        }
    )
    assert {target for number, target, _ in links if number == 0} == neighbours(notebook.name)
    for number, target, title in links:
        cell = notebook.show(number)
        cell.locator(".jp-MarkdownOutput a", has_text=title).first.click()
        tab = notebook.page.locator(".lm-TabBar-tab.jp-mod-current .lm-TabBar-tabLabel")
        tab.filter(has_text=target).wait_for()
        heading = notebook.page.locator(f"{SCROLLER} .jp-MarkdownOutput h1").first
        heading.wait_for()
        assert heading.inner_text().rstrip("¶") == title.partition(" · ")[2]
        notebook.window.screenshot(f"{notebook.name}-to-{Path(target).stem}")
        notebook.page.locator(".lm-TabBar-tabLabel", has_text=f"{notebook.name}.ipynb").click()


def neighbours(name: str) -> set[str]:
    """Return the files before and after a notebook's."""
    names = notebook_names()
    at = names.index(name)
    return {f"{other}.ipynb" for other in names[max(at - 1, 0) : at + 2] if other != name}


FIRST_EXERCISE = """\
def forward_any_depth(x, weights, biases):
    for w, b in zip(weights, biases):
        x = 1 / (1 + np.exp(-(w * x + b)))
{indent}return x
"""


def verdict_on(answer: str) -> str:
    """Return what the check of the first exercise says of an answer."""
    names = {"np": np}
    exec(answer, names)
    return repr(exercises.check_forward_any_depth(names["forward_any_depth"]))


def test_a_newcomer_solves_the_first_exercise(lab: Lab, new_window):
    """As README says: run all cells, unfold the solution, write one's own, read the verdict."""
    window, file = new_window(), lab.folder / "first.ipynb"
    shutil.copyfile(NOTEBOOKS / f"{NAMES[0]}.ipynb", file)
    open_in_lab(window, lab, "first")
    choose(window, "Run", "Run All Cells")
    saved = save_when_run(window, file)
    opened = Opened("first", window, file, saved, saved)
    (number,) = cells_with(saved, "def forward_any_depth")
    opened.show(number).locator(".jp-InputPlaceholder").click()
    for state, indent in (("tried", 8), ("solved", 4)):
        answer = FIRST_EXERCISE.format(indent=" " * indent)
        editor = opened.show(number).locator(".cm-content")
        editor.click()
        editor.press("ControlOrMeta+a")
        window.page.keyboard.insert_text(answer)
        for _ in range(2):  # the function, and the check below it
            window.page.keyboard.press("Shift+Enter")
        said = opened.show(number + 1).locator(".jp-OutputArea-output")
        said.filter(has_text=verdict_on(answer)).wait_for()
        window.screenshot(f"first-exercise-{state}")


def test_no_request_leaves_the_machine(notebook: Opened, lab: Lab):
    assert notebook.window.outside == []
    assert lab.outside == []


def test_a_request_that_wants_to_leave_is_noticed(new_window, lab: Lab):
    window = new_window()
    window.page.goto(lab.address)
    with pytest.raises(Exception, match="Failed to fetch"):
        window.page.evaluate("fetch('https://example.org/news')")
    assert window.outside == ["https://example.org/news"]


def test_a_kernel_that_wants_to_reach_another_machine_is_noticed(offline_environment):
    environment, calls = offline_environment
    code = "import socket; socket.create_connection(('example.org', 443), timeout=5)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert b"keeps example.org out of reach" in done.stderr
    assert calls.read_text() == "socket.getaddrinfo example.org\n"
    calls.unlink()
