"""Sphinx turns the series into a site: `python .ci/pages.py site` builds it with these settings.

The sources are the repository itself, and nothing in it is written for Sphinx. What it needs to
know beyond that, `prepare` adds as it reads: a table of contents for the front page, an anchor for
every cell that can be linked, the descriptions of figures, and which cells are folded.
"""

import json
import re
from pathlib import Path

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
CELL = re.compile(r"\((?:notebooks/)?(\d\d)_\w+\.ipynb#cell-id=([\w-]+)\)")  # target of a link

project = html_title = "Backpropagation in notebooks"
author = "The authors of the backpropagation notebooks"
language = "en"
root_doc = "README"
include_patterns = ["README.md", "data/README.md", "notebooks/*.md", "notebooks/*.ipynb"]
extensions = ["myst_nb"]
suppress_warnings = ["mystnb.unknown_mime_type"]  # the metrics of runs.report

nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
nb_ipywidgets_js = {}
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
mathjax_path = "mathjax/tex-svg-full.js"
mathjax3_config = {"tex": {"inlineMath": [["\\(", "\\)"], ["$", "$"]]}}  # $ within answers

highlight_language = "none"  # commands and outputs are not Python

html_theme = "sphinx_book_theme"
html_static_path = ["static"]
html_context = {"default_mode": "auto"}  # dark where the reader has chosen so
html_css_files = ["series.css"]
html_show_search_summary = False  # it would have to fetch, which a page from a file must not
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],
    "show_toc_level": 2,
    "use_fullscreen_button": False,
}


def prepare(app, docname, source):
    """Add what a page of the repository needs to become one of the site."""
    text, name = source[0], docname.rpartition("/")[2]
    if docname == root_doc:
        chapters = {f"notebooks/{path.stem}": f"{title(path)} <notebooks/{path.stem}>"
                    for path in NOTEBOOKS}  # fmt: skip
        others = ("notebooks/TEACHING", "notebooks/GLOSSARY", "notebooks/REFERENCE", "data/README")
        chapters |= {page: page for page in others}
        entries = [entry for page, entry in chapters.items() if page in app.env.found_docs]
        text += "\n".join(["\n```{toctree}", ":hidden:", "", *entries, "```\n"])
    elif name[:2].isdigit():
        notebook = json.loads(text)
        notebook["cells"] = [part for cell in notebook["cells"] for part in cut(cell, name[:2])]
        text = json.dumps(notebook)
    source[0] = CELL.sub(r"(#cell-\1-\2)", text)


def cut(cell, number):
    """Return a cell behind an anchor of its own, folded and described as MyST-NB wants it."""
    anchor = f"(cell-{number}-{cell['id']})=\n"
    if cell["cell_type"] == "markdown":
        source = "".join(cell["source"]).replace("<details>", '<details class="mathjax_process">')
        return [cell | {"source": anchor + source}]
    metadata = cell["metadata"]
    if metadata.get("jupyter", {}).get("source_hidden"):
        metadata.setdefault("tags", []).append("hide-input")
    for output in cell["outputs"]:
        if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
            metadata["mystnb"] = {"image": {"alt": alt}}
    before = {"cell_type": "markdown", "id": f"to-{cell['id']}", "metadata": {}, "source": anchor}
    return [before, cell]


def title(path):
    """Return number and heading of a notebook."""
    heading = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"][0]
    return f"{path.name[:2]} · {heading.removeprefix('# ').strip()}"


def offer_student_edition(app, pagename, templatename, context, doctree):
    """Put the notebook without solutions among the downloads of its page."""
    for group in context.get("header_buttons", []):
        if group["label"] == "download-buttons" and context["sourcename"].endswith(".ipynb"):
            name = Path(context["sourcename"]).name
            group["buttons"].insert(1, {
                "type": "link", "url": f"{context['pathto']('student', 1)}/{name}",
                "text": "without solutions", "tooltip": "Download the student edition",
                "icon": "fas fa-pencil", "label": "download-student-button",
            })  # fmt: skip


def setup(app):
    """Connect the functions above."""
    app.connect("source-read", prepare)
    app.connect("html-page-context", offer_student_edition, priority=502)
