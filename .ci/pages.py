"""Build slides and hand-outs from the committed notebooks; both open without a network.

``python .ci/pages.py slides`` is `make slides`: a reveal.js deck for each notebook in
``build/slides/``. ``python .ci/pages.py html`` is `make html`: a page to read or print for each
notebook and each page of the guide in ``build/html/``. Both add an index, and both take names of
notebooks to build only these.

Every page is one file. Formulas become MathML when it is built, which all current browsers draw
themselves, with the font that is embedded in the page; a formula that cannot be converted stops
the build. Nothing is executed: pages show the outputs that are stored in the notebooks.
"""

from __future__ import annotations

import argparse
import functools
import html
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paging
from helpers import runs

if TYPE_CHECKING:
    from nbconvert.exporters import HTMLExporter
    from nbformat import NotebookNode

TEMPLATES = Path(__file__).parent / "templates"
BUILD = runs.ROOT / "build"
KINDS = ("slides", "html")
GUIDE = ("TEACHING", "GLOSSARY")  # pages of Markdown that stand next to the notebooks
SERIES = "Backpropagation in notebooks"
KEYS = (
    "In a deck: arrow keys or space to move, Esc for all slides, F for the full screen, and "
    "`?print-pdf` at the end of the address for a version to print."
)
# A prime is drawn raised by the font; as a superscript it would be raised and shrunk twice.
_PRIME = re.compile(r"<msup>((?:<mrow>)?(?:<mspace/>)?<mi>[^<]*</mi>(?:</mrow>)?)<mo>′</mo></msup>")

# Browsers would break a line between a formula and the punctuation around it.
_FORMULA = r"<math>(?:(?!</math>).)*</math>"
_GLUED = re.compile(rf"\(?{_FORMULA}(?:[.,;:?!)’]+|-\w+)|\({_FORMULA}", re.DOTALL)


class PageError(ValueError):
    """Something in a notebook that has no place on a page, with where it is."""


# ------------------------------------------------------------------------------------- mathematics


@functools.cache
def mathml(tex: str, display: bool = False) -> str:
    r"""Return a formula as MathML.

    A displayed formula that is a row of statements with ``\qquad`` between them becomes several,
    which the page can put below each other.

    Raises
    ------
    PageError : if the formula holds a command that is not understood.
    """
    from math_core import LatexError, LatexToMathML

    converter = LatexToMathML(fancy_error=False, allow_unreliable_rendering=True)
    parts = _statements(tex) if display else [tex]
    try:
        converted = [
            converter.convert_with_local_state(_plain_tex(part), displaystyle=display)
            for part in parts
        ]
    except LatexError as error:
        raise PageError(f"the formula {tex.strip()!r} cannot be shown: {error}") from None
    converted = [
        _PRIME.sub(r"<mrow>\1<mo lspace='0' rspace='0'>′</mo></mrow>", part) for part in converted
    ]
    return f'<div class="display">{"".join(converted)}</div>' if display else converted[0]


def _plain_tex(tex: str) -> str:
    """Write colours and row distances as LaTeX does; MathJax is more liberal than the converter."""
    tex = re.sub(r"\\color\{#([0-9A-Fa-f]{6})\}", r"\\color[HTML]{\1}", tex.strip())
    return re.sub(r"\\\\\[[^\]]*\]", r"\\\\", tex)


def _statements(tex: str) -> list[str]:
    r"""Split a formula at each ``\qquad`` that stands outside braces and environments."""
    parts, depth, last = [], 0, 0
    for token in re.finditer(r"\\begin\b|\\end\b|\\left\b|\\right\b|\\qquad\b|(?<!\\)[{}]", tex):
        if token[0] == r"\qquad" and depth == 0:
            parts.append(tex[last : token.start()])
            last = token.end()
        depth += {"{": 1, r"\begin": 1, r"\left": 1, "}": -1, r"\end": -1, r"\right": -1}.get(
            token[0], 0
        )
    return [part for part in [*parts, tex[last:]] if part.strip()]


# ---------------------------------------------------------------------------------------- Markdown


@functools.cache
def _renderer() -> type:
    """Return nbconvert's Markdown renderer, changed to write formulas as MathML."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer

    class Renderer(IPythonRenderer):
        def block_math(self, body: str) -> str:
            return mathml(body, display=True)

        def inline_math(self, body: str) -> str:
            return mathml(body)

        def latex_environment(self, name: str, body: str) -> str:
            return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", display=True)

    return Renderer


def to_html(markdown: str) -> str:
    """Return Markdown with formulas as HTML, tables with marked headers."""
    from nbconvert.filters.markdown_mistune import MarkdownWithMath

    page = MarkdownWithMath(renderer=_renderer()(escape=False)).render(markdown)
    page = re.sub(r'<a class="anchor-link".*?</a>', "", page)  # keep the id of the heading
    page = re.sub(r'<p>(<div class="display">.*?</div>)</p>', r"\1", page, flags=re.S)
    page = _GLUED.sub(r'<span class="glued">\g<0></span>', page)
    wide = r'<div class="table">\g<0></div>'  # scrolls in a narrow window
    return re.sub(r"<table\b.*?</table>", wide, mark_headers(page), flags=re.S)


def to_inline_html(markdown: str) -> str:
    """Return one line of Markdown as HTML without a paragraph around it."""
    return re.sub(r"^<p>(.*)</p>\s*$", r"\1", to_html(markdown), flags=re.S)


def mark_headers(page: str) -> str:
    """Return HTML whose tables say which header goes with which cells.

    The first row heads columns and what is marked as header below it heads its row. Where the
    first row is empty, it is dropped and the first column heads the rows.
    """
    return re.sub(r"<table\b.*?</table>", lambda m: _mark_table(m[0]), page, flags=re.S)


def _mark_table(table: str) -> str:
    head, body = re.match(r"(.*?</thead>)?(.*)", table, re.S).groups(default="")
    if head and not re.sub(r"<[^>]*>|\s", "", head):
        head = re.match(r"<table[^>]*>", head)[0]
        body = re.sub(r"<tr>\s*<td([^>]*)>(.*?)</td>", r"<tr><th\1>\2</th>", body, flags=re.S)
    head = re.sub(r"<th\b(?![^>]*scope=)", '<th scope="col"', head)
    body = re.sub(r"<th\b(?![^>]*scope=)", '<th scope="row"', body)
    head = re.sub(
        r'<th scope="col"([^>]*)>\s*</th>', r"<td\1></td>", head
    )  # a corner heads nothing
    head = re.sub(r' border="1" class="dataframe"', ' class="dataframe"', head)
    cells = [re.sub(r"<[^>]*>", "", c).strip() for c in re.findall(r"<td\b.*?</td>", body, re.S)]
    if 2 * sum(bool(re.fullmatch(r"[-+−]?[\d.,]+(e[-+]?\d+)?%?|nan|", c)) for c in cells) > len(
        cells
    ):
        head = head.replace(' class="dataframe"', ' class="dataframe numbers"')
    return head + body


# ------------------------------------------------------------------------------------------- pages


def _relinked(page: str, kind: str) -> str:
    """Lead links to notebooks and the guide to the pages made of them.

    A deck has no place for each cell, so links to a cell lead to the beginning of its deck.
    """

    def target(match: re.Match) -> str:
        name, suffix, anchor = match[1], match[2], match[3] or ""
        if kind == "html":
            return f'href="{name}.html{anchor}"'
        return f'href="{name}.html"' if suffix == "ipynb" else f'href="../html/{name}.html"'

    return re.sub(r'href="(\w+)\.(ipynb|md)(#[^"]*)?"', target, page)


@functools.cache
def _exporter(kind: str) -> HTMLExporter:
    """Return nbconvert's exporter with our template and filters, for "slides" or "html"."""
    from nbconvert.exporters import HTMLExporter, SlidesExporter

    return (SlidesExporter if kind == "slides" else HTMLExporter)(
        template_name="deck" if kind == "slides" else "handout",
        extra_template_basedirs=[str(TEMPLATES)],
        extra_template_paths=[str(TEMPLATES)],  # what both templates include
        filters={
            "markdown2html": to_html,
            "inline_markdown": to_inline_html,
            "mark_headers": mark_headers,
        },
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )


def render(nb: NotebookNode, kind: str, **resources: Any) -> str:
    """Return a notebook as a deck ("slides") or as a page to read ("html").

    `resources` go to the template: ``title``, and for a page ``links``, ``sections``, ``footer``.

    Raises
    ------
    PageError : a formula that cannot be shown.
    """
    from pygments.formatters import HtmlFormatter

    style = HtmlFormatter(style="vs").get_style_defs(".highlight")  # dark enough to be read
    resources = {"title": SERIES, "highlighting": style, **resources}
    nb = paging.slide_notebook(nb) if kind == "slides" else nb
    page, _ = _exporter(kind).from_notebook_node(nb, resources)
    return _relinked(page, kind)


def title_of(nb: NotebookNode) -> str:
    """Return the text of the first heading, or "" if there is none."""
    match = re.search(r"^# +(.+)$", nb.cells[0].source if nb.cells else "", re.MULTILINE)
    return match[1].strip() if match else ""


def _sections(nb: NotebookNode) -> list[dict[str, str]]:
    """Return id and text of each heading of the second level, as the page will have them."""
    found = []
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            page = to_html(cell.source)
            for anchor, text in re.findall(r'<h2 id="([^"]*)">(.*?)</h2>', page, re.S):
                found.append({"id": html.unescape(anchor), "html": text})
    return found


def _links(names: Sequence[str], name: str) -> list[dict[str, str]]:
    """Return where a reader goes from page `name`: to the index, back and on."""
    links = [{"href": "index.html", "text": "All notebooks", "rel": ""}]
    place = list(names).index(name) if name in names else -1
    if place > 0:
        before = names[place - 1]
        links.append({"href": f"{before}.html", "text": f"← {before[:2]}", "rel": "prev"})
    if 0 <= place < len(names) - 1:
        after = names[place + 1]
        links.append({"href": f"{after}.html", "text": f"{after[:2]} →", "rel": "next"})
    return links


# ------------------------------------------------------------------------------------------- index


def _frame_row(nb: NotebookNode, row: str) -> str:
    """Return the Markdown of a row of the table that opens a notebook, as "What you'll do"."""
    match = re.search(rf"^\|\s*\*\*{row}\*\*\s*\|(.*)\|\s*$", nb.cells[0].source, re.MULTILINE)
    return match[1].strip() if match else ""


def index_notebook(notebooks: dict[str, NotebookNode], kind: str, guide: Sequence[str]) -> Any:
    """Return the index of the pages of `kind` as a notebook with one Markdown cell."""
    from nbformat.v4 import new_markdown_cell, new_notebook

    lines = [f"# {SERIES}", "", "| notebook | what you'll do | minutes |", "|---|---|---|"]
    for name, nb in notebooks.items():
        minutes = re.search(r"(\d+) minutes", nb.cells[0].source)
        label = f"{name[:2]} · {title_of(nb) or name}"
        row = [f"[{label}]({name}.ipynb)", _frame_row(nb, "What you'll do"), minutes and minutes[1]]
        lines.append(f"| {' | '.join(cell or '' for cell in row)} |")
    if guide and kind == "html":
        names = " and ".join(f"[{name.title()}]({name}.md)" for name in guide)
        lines += ["", f"For the class and for looking things up: {names}."]
    if kind == "slides":
        lines += ["", KEYS]
    return new_notebook(cells=[new_markdown_cell("\n".join(lines), id="index")])


# ------------------------------------------------------------------------------------------ builds


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")  # so that no page is ever half written
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def build(
    kind: str,
    names: Sequence[str] = (),
    *,
    folder: str | os.PathLike = runs.NOTEBOOKS,
    output_dir: str | os.PathLike | None = None,
) -> list[Path]:
    """Build the pages of `kind`, "slides" or "html", and return their paths, the index first.

    Parameters
    ----------
    names : notebooks to build; all of `folder` if there are none. The index always lists all.
    output_dir : where the pages go; ``build/slides`` or ``build/html`` if not given.

    Raises
    ------
    ValueError : unknown kind or notebook.
    PageError : naming the notebook and what in it cannot be shown. Pages built before it stay.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    chosen = {runs.notebook_path(name, folder).stem for name in names}
    target = Path(output_dir) if output_dir is not None else BUILD / kind
    notebooks = {
        name: _read(Path(folder) / f"{name}.ipynb") for name in runs.notebook_names(folder)
    }
    guide = [name for name in GUIDE if (Path(folder) / f"{name}.md").exists()]
    pages = {"index": index_notebook(notebooks, kind, guide)}
    pages |= {name: nb for name, nb in notebooks.items() if not chosen or name in chosen}
    if kind == "html" and not chosen:
        pages |= {name: _read_markdown(Path(folder) / f"{name}.md") for name in guide}
    return [_build_page(kind, name, nb, list(notebooks), target) for name, nb in pages.items()]


def _build_page(kind: str, name: str, nb: NotebookNode, names: list[str], target: Path) -> Path:
    """Render one page and write it; the index of the decks is a page to read like the others."""
    title = f"{name[:2]} · {title_of(nb)}" if name in names else title_of(nb) or name
    try:
        links = [] if name == "index" else _links(names, name)
        sections = [] if name == "index" else _sections(nb)
        shape = "html" if name == "index" else kind
        page = render(nb, shape, title=title, links=links, sections=sections, footer=SERIES)
    except PageError as error:
        raise PageError(f"{name}: {error}") from None
    path = target / f"{name}.html"
    _write(path, page)
    return path


def _read(path: Path) -> NotebookNode:
    import nbformat

    return nbformat.read(path, as_version=4)


def _read_markdown(path: Path) -> NotebookNode:
    """Return a page of Markdown as a notebook with one cell."""
    from nbformat.v4 import new_markdown_cell, new_notebook

    return new_notebook(cells=[new_markdown_cell(path.read_text(encoding="utf-8"), id="page")])


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python .ci/pages.py", description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="only these, as 10_mnist")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        paths = build(options.kind, options.names)
    except (ValueError, OSError, ImportError) as error:
        print(f"{options.kind}: {error}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - started
    index = os.path.relpath(paths[0])
    print(f"{len(paths)} pages in {seconds:.0f} s; begin with {index}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
