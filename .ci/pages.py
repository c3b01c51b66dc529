"""Build slides, the site and the book from the committed notebooks; all open without a network.

``python .ci/pages.py slides`` is `make slides`: a deck for each notebook in ``build/slides/``, by
nbconvert. ``site`` is `make site`: all notebooks and the guide in ``build/site/``, by Sphinx with
the settings of `conf.py`. ``book`` is `make book`: the same as one PDF, printed by Chromium. Names
of notebooks build these only. Nothing is executed: pages show the outputs that are stored.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import nbformat
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

import editions
from helpers.runs import ROOT, notebook_names, notebook_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CI = Path(__file__).parent
BUILD = ROOT / "build"
KEYS = "Arrow keys or space to move, Esc for all slides, F for the full screen, S for the notes"


# ------------------------------------------------------------------------------------------ slides


def build_slides(paths: Sequence[Path], target: Path) -> Path:
    """Write a deck for each of these notebooks and a list of all decks; return the list's path."""
    shutil.copytree(CI / "static", target / "static", dirs_exist_ok=True)
    exporter = SlidesExporter(
        reveal_url_prefix="static/reveal.js",
        reveal_theme="../../../series",
        reveal_transition="none",
        reveal_number="c/t",
        reveal_width="1280",
        reveal_height="720",
        mathjax_url="static/mathjax/tex-svg-full.js",
        require_js_url="static/slides.js",
        jquery_url="data:,",  # neither is used by our decks
        mermaid_js_url="data:text/javascript,export default {initialize() {}}",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    for path in paths:
        nb = nbformat.read(path, as_version=4)
        show_figures(nb)
        nb.cells = [part for cell in nb.cells for part in cut(cell)]
        page, _ = exporter.from_notebook_node(nb, {"metadata": {"name": title(path)}})
        (target / f"{path.stem}.html").write_text(relinked(page), encoding="utf-8")
    return write_list(target)


def show_figures(nb: NotebookNode) -> None:
    """Give figures their description, which nbconvert leaves out, and hide the code that draws."""
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
                address = "data:image/png;base64," + png.replace("\n", "")
                output.data = {"text/html": f'<img src="{address}" alt="{alt}">'}
                cell.metadata["transient"] = {"remove_source": True}


def cut(cell: NotebookNode) -> Iterator[NotebookNode]:
    """Yield the parts of a cell: a heading, a question and an exercise within it begin a slide."""
    if cell.cell_type != "markdown" or cell.metadata.slideshow.slide_type in ("skip", "notes"):
        yield cell
        return
    first, *others = re.split(r"\n(?=#{2,3} |\*\*Exercise |> \*\*Pause)", cell.source)
    yield NotebookNode(cell, source=first)
    for source in others:
        yield new_markdown_cell(source, metadata={"slideshow": {"slide_type": "subslide"}})


def relinked(page: str) -> str:
    """Lead links to notebooks to their decks, and those to the guide to the site beside them."""
    page = re.sub(r'href="(\w+)\.ipynb(#[^"]*)?"', r'href="\1.html"', page)
    return re.sub(r'href="(\w+)\.md(#[^"]*)?"', r'href="../site/notebooks/\1.html\2"', page)


def title(path: Path) -> str:
    """Return number and heading of a notebook."""
    first = nbformat.read(path, as_version=4).cells[0].source
    return f"{path.name[:2]} · {first.partition(chr(10))[0].removeprefix('# ')}"


def write_list(target: Path) -> Path:
    """Write a page that leads to every deck in a folder."""
    decks = [path for name in notebook_names() if (path := target / f"{name}.html").exists()]
    lines = [
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Slides</title>',
        "<h1>Backpropagation in notebooks: slides</h1><ul>",
        *(f'<li><a href="{path.name}">{html.escape(title(notebook_path(path.stem)))}</a></li>'
          for path in decks),
        f"</ul><p>{KEYS}; <code>?print-pdf</code> at the end of an address is a version to print.",
    ]  # fmt: skip
    index = target / "index.html"
    index.write_text("\n".join(lines), encoding="utf-8")
    return index


# ------------------------------------------------------------------------------- the site, the book


def run_sphinx(builder: str, paths: Sequence[Path], target: Path) -> None:
    """Run Sphinx on all that the site shows, or on the guide and these notebooks only.

    Raises
    ------
    ValueError : Sphinx has warned of something. Alone, notebooks may link to those left out.
    """
    options = ["-b", builder, "-c", CI, "-W", "--keep-going", "-q"]
    if len(paths) < len(notebook_names()):
        guide = ["README.md", "data/README.md", "notebooks/*.md"]
        chosen = [*guide, *(f"notebooks/{path.name}" for path in paths)]
        options += ["-D", f"include_patterns={','.join(chosen)}"]
        options += ["-D", "suppress_warnings=mystnb.unknown_mime_type,myst.xref_missing"]
    with TemporaryDirectory() as folder:  # nothing is remembered, or a warning would come only once
        command = [sys.executable, "-m", "sphinx", *options, "-d", f"{folder}/state", ROOT]
        if subprocess.run([*command, f"{folder}/pages"]).returncode:
            raise ValueError("the warnings above must not stay")
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(f"{folder}/pages", target)


def build_site(paths: Sequence[Path], target: Path) -> Path:
    """Write the site, with the student edition of each notebook; return its front page."""
    run_sphinx("html", paths, target)
    (target / "student").mkdir()
    for path in paths:
        teacher = editions.teacher_edition(nbformat.read(path, as_version=4))
        student = target / "student" / path.name
        student.write_text(editions.student_edition(teacher), encoding="utf-8")
    return Path(shutil.copy(target / "README.html", target / "index.html"))


def build_book(paths: Sequence[Path], target: Path, browser: Browser | None = None) -> Path:
    """Print all chapters as one PDF, with every answer unfolded; return its path.

    `browser` is one of playwright's; if there is none, a Chromium or Chrome is started.
    """
    if browser is None:
        from playwright.sync_api import Error, sync_playwright

        try:
            with sync_playwright() as playwright:
                return build_book(paths, target, playwright.chromium.launch(**installed_browser()))
        except Error as error:
            raise OSError(str(error)) from error
    run_sphinx("singlehtml", paths, target / "html")
    page, book = browser.new_page(), target / "backpropagation.pdf"
    page.goto((target / "html" / "README.html").as_uri())
    page.evaluate("MathJax.startup.promise")
    page.evaluate("document.querySelectorAll('details').forEach(answer => answer.open = true)")
    number = '<p class="pageNumber" style="font-size: 8px; margin: auto"></p>'
    page.pdf(
        path=book, format="A4", outline=True, tagged=True, display_header_footer=True,
        header_template="<p></p>", footer_template=number,
        margin=dict.fromkeys(("top", "bottom", "left", "right"), "18mm"),
    )  # fmt: skip
    page.close()
    return book


def installed_browser() -> dict[str, str]:
    """Return how playwright finds the browser of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    return {"executable_path": found} if found else {"channel": "chrome"}


# --------------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python .ci/pages.py", description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=["slides", "site", "book"])
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="only these, as 10_mnist")
    options = parser.parse_args(arguments)
    started, target = time.perf_counter(), BUILD / options.kind
    build = {"slides": build_slides, "site": build_site, "book": build_book}[options.kind]
    try:
        paths = [notebook_path(name) for name in options.names or notebook_names()]
        target.mkdir(parents=True, exist_ok=True)
        page = build(paths, target)
    except (ValueError, OSError) as error:
        print(f"{options.kind}: {error}", file=sys.stderr)
        return 1
    print(f"{time.perf_counter() - started:.0f} s; begin with {os.path.relpath(page)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
