"""The committed notebooks can be read with a screen reader: descriptions, headings, tables."""

import re
from itertools import pairwise

import nbformat
import pytest

from helpers import runs

NAMES = runs.notebook_names()


def cells_of(name):
    return nbformat.read(runs.notebook_path(name), as_version=4).cells


def figures_of(cell):
    return [o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]


def without_code(text):
    """Markdown without fenced blocks, in which # and | mean other things."""
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_description_in_the_text_and_in_the_output(name):
    cells = cells_of(name)
    for number, cell in enumerate(cells):
        for figure in figures_of(cell):
            place = f"{name}, cell {number + 1}"
            caption = runs._caption(cells[number + 1 :])
            assert len(caption.split()) >= 5, f"{place} has no caption in italics below its figure"
            assert figure.metadata.get("image/png", {}).get("alt") == caption, place


@pytest.mark.parametrize("name", NAMES)
def test_pictures_in_html_outputs_have_alternative_text(name):
    for number, cell in enumerate(cells_of(name), 1):
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            for image in re.findall(r"<img\b[^>]*>", html):
                assert re.search(r'\balt="[^"]{15,}"', image), f"{name}, cell {number}"


@pytest.mark.parametrize("name", NAMES)
def test_headings_begin_with_one_title_and_do_not_skip_a_level(name):
    text = "\n".join(without_code(c.source) for c in cells_of(name) if c.cell_type == "markdown")
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", NAMES)
def test_tables_have_headers(name):
    """A table in the text heads its columns or, in bold, its rows; one in an output uses <th>."""
    for number, cell in enumerate(cells_of(name), 1):
        place = f"{name}, cell {number}"
        if cell.cell_type == "markdown":
            tables = re.findall(r"(?:^\|.*\n?)+", without_code(cell.source), flags=re.M)
            for header, _, *rows in (table.strip().splitlines() for table in tables):
                heads_columns = re.search(r"[^|\s]", header)
                heads_rows = rows and all(re.match(r"\|\s*\*\*", row) for row in rows)
                assert heads_columns or heads_rows, place
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            for table in re.findall(r"<table.*?</table>", html, flags=re.S):
                assert "<th" in table, place


def test_a_caption_loses_its_markup():
    cells = [
        nbformat.v4.new_code_cell(),
        nbformat.v4.new_markdown_cell("Not this.\n\n*The cost $C$\nof **one** `x`.* And no more."),
    ]
    assert runs._caption(cells) == "The cost C of one x."


def test_a_caption_stands_in_the_next_text_or_nowhere():
    later = [nbformat.v4.new_markdown_cell("**Bold.**"), nbformat.v4.new_markdown_cell("*Late.*")]
    assert runs._caption(later) == ""
    assert runs._caption([]) == ""
