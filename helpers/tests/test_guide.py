"""The guide, the glossary and every link: they point to what exists and say what the notebooks say.

Cells are linked by their id, `notebook.ipynb#cell-id=…`. JupyterLab and the HTML export both know
this form; a link to a heading of a notebook that is not open yet ends at the top in JupyterLab.
"""

import ast
import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", *sorted(FOLDER.glob("*.md"))]
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
GUIDE, GLOSSARY = FOLDER / "TEACHING.md", FOLDER / "GLOSSARY.md"
EXERCISES = ROOT / "helpers" / "exercises.py"
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]*)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^()\s]*)\)|<(?:a|img)\b[^>]*?(?:href|src)=\"([^\"]*)\"")


@dataclass(frozen=True)
class Cell:
    notebook: str
    number: int  # counted from 1
    id: str
    kind: str
    source: str
    output: str  # text of the compared outputs
    sections: tuple[str, ...]  # numbers of the sections it belongs to, "" before the first


@cache
def cells(path: Path) -> tuple[Cell, ...]:
    found, section = [], ""
    for number, raw in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
        source = "".join(raw["source"])
        headings = re.findall(r"^## (\d+) · ", source, re.M) if is_text(raw) else []
        before = [section] if not re.match(r"## \d", source) else []
        section = headings[-1] if headings else section
        found.append(
            Cell(path.name, number, raw["id"], raw["cell_type"], source, compared_text(raw),
                 tuple(before + headings))
        )  # fmt: skip
    return tuple(found)


def is_text(raw: dict) -> bool:
    return raw["cell_type"] == "markdown"


def compared_text(raw: dict) -> str:
    if "nbval-ignore-output" in raw["metadata"].get("tags", []):
        return ""  # differs from run to run: nothing in it can be quoted
    parts = []
    for output in raw.get("outputs", []):
        parts.append(output.get("text", output.get("data", {}).get("text/plain", "")))
    return "\n".join("".join(part) for part in parts)


def title_of(path: Path) -> str:
    return re.match(r"# (.+)", cells(path)[0].source)[1]


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", " ", text, flags=re.S)


# ------------------------------------------------------------------------------------------ links


def documents():
    """Yield (name, folder, text without code) of every page and every text cell."""
    for page in PAGES:
        yield page.relative_to(ROOT).as_posix(), page.parent, page.read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        for cell in cells(path):
            if cell.kind == "markdown":
                yield f"{path.name}, cell {cell.number}", FOLDER, cell.source


def links(text: str):
    text = without_code(text)
    yield from LINK.findall(text)
    yield from (("", picture or tag) for picture, tag in PICTURE.findall(text))


def github_anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)", without_code(text), re.M)
    plain = [re.sub(r"[^\w\- ]", "", LINK.sub(r"\1", heading).lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def fault(target: str, folder: Path, text: str) -> str | None:
    """Return what is wrong with the target of a link, or None."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target, re.I):
        return None if target.startswith("https://") else "is not https"
    name, _, fragment = unquote(target).partition("#")
    path = (folder / name).resolve() if name else None
    if path and not path.exists():
        return "points to nothing"
    if path and ROOT not in (path, *path.parents):
        return "leaves the project"
    if not fragment:
        return None if name else "is empty"
    if path and path.suffix == ".ipynb":
        known = {f"cell-id={cell.id}" for cell in cells(path)}
    else:
        known = github_anchors(path.read_text(encoding="utf-8") if path else text)
    return None if fragment in known else f"has no {fragment}"


def test_every_link_points_to_something_that_exists():
    faults = [
        f"{name}: [{label}]({target}) {wrong}"
        for name, folder, text in documents()
        for label, target in links(text)
        if (wrong := fault(target, folder, text))
    ]
    assert not faults, "\n".join(faults)


def test_no_address_is_written_without_encryption():
    assert [name for name, _, text in documents() if "http://" in text] == []


def test_a_link_that_names_a_notebook_names_the_one_it_opens():
    named = [
        (name, label, target)
        for name, _, text in documents()
        for label, target in links(text)
        if re.match(r"\d\d · ", label)
    ]
    assert named
    for name, label, target in named:
        path = FOLDER / Path(target.partition("#")[0]).name
        expected = f"{path.name[:2]} · {title_of(path)}" if path.exists() else target
        assert label == expected, f"{name}: [{label}]({target})"


def test_the_notebooks_are_a_chain_from_01_to_11():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{n:02d}" for n in range(1, 12)]
    for before, after in pairwise(NOTEBOOKS):
        first, second = cells(before)[0].source, cells(after)[0].source
        assert f"Next: [{after.name[:2]} · {title_of(after)}]({after.name})" in first
        assert f"Previous: [{before.name[:2]} · {title_of(before)}]({before.name})" in second
    assert "Previous:" not in cells(NOTEBOOKS[0])[0].source
    assert "Next:" not in cells(NOTEBOOKS[-1])[0].source


def test_the_link_check_notices_what_is_wrong():
    page = "# A · heading\n\n## Two words\n"
    existing = next(iter(cells(NOTEBOOKS[0])))
    right = ["#two-words", "TEACHING.md", "https://numpy.org", "../README.md", NOTEBOOKS[0].name,
             f"{existing.notebook}#cell-id={existing.id}"]  # fmt: skip
    wrong = ["#three-words", "TEACHING.txt", "http://numpy.org", "../../other", "",
             f"{existing.notebook}#cell-id=0", f"{existing.notebook}#3-·-One-node"]  # fmt: skip
    assert [fault(target, FOLDER, page) for target in right] == [None] * len(right)
    assert all(fault(target, FOLDER, page) for target in wrong)


# --------------------------------------------------------------------------------------- glossary

TOKEN = re.compile(
    r"\\(?:text|textbf|texttt|operatorname|mathrm|begin|end)\{[^{}]*\}|\\[A-Za-z]+|\\.|[^\s{}]"
)


def tex_tokens(tex: str) -> list[str]:
    """Return the tokens of a formula, without colours, spacing and braces."""
    tex = re.sub(r"\\color\{#\w+\}|\[\d+pt\]", "", tex).replace(r"\mathrm{", r"\operatorname{")
    tokens = TOKEN.findall(tex.replace(r"\ast", "*"))  # Markdown would pair up the stars of a line
    return [token for token in tokens if token not in (r"\,", r"\;", r"\!", r"\bigl", r"\bigr")]


@cache
def formulas(cell: Cell) -> list[list[str]]:
    """Return the tokens of each formula of a cell; a single letter in code counts as one."""
    letters = [[letter] for letter in re.findall(r"`([A-Za-z])`", cell.source)]
    found = re.findall(r"\$\$(.+?)\$\$|\$([^$]+?)\$", re.sub(r"`[^`\n]*`", " ", cell.source), re.S)
    return letters + [tex_tokens(block or inline) for block, inline in found]


def contains(formula: list[str], symbol: list[str]) -> bool:
    size = len(symbol)
    return any(formula[at : at + size] == symbol for at in range(len(formula) - size + 1))


def birth(symbol: str) -> Cell | None:
    """Return the first cell of the series with the symbol, announcements in first cells aside."""
    tokens = tex_tokens(symbol)
    for path in NOTEBOOKS:
        for cell in cells(path)[1:]:
            if cell.kind == "markdown" and any(contains(f, tokens) for f in formulas(cell)):
                return cell
    return None


def table_after(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the glossary, its head aside."""
    text = GLOSSARY.read_text(encoding="utf-8")
    part = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[entry.strip() for entry in row.strip("|").split("|")] for row in rows[2:]]


def linked_cells(text: str) -> list[Cell]:
    """Return the cells that a text links to, and see that each link says notebook and section.

    Only the first cell of a notebook has no section.
    """
    found = []
    for label, target in LINK.findall(text):
        name, _, identity = target.partition("#cell-id=")
        cell = next(c for c in cells(FOLDER / name) if c.id == identity)
        number, section = re.fullmatch(r"(\d\d)(?: §(\d+))?", label).groups("")
        assert cell.notebook.startswith(number), text
        assert section in cell.sections, f"{label} stands in section {cell.sections}: {text}"
        found.append(cell)
    return found


NUMBER = re.compile(r"(?<![\w.,^{])-?\d[\d,]*(?:\.\d+)?(?![\w}])")


def figures(text: str) -> set[str]:
    """Return the numbers with three or more digits."""
    text = text.replace("−", "-").replace("_", "")
    numbers = {number.rstrip(",").replace(",", "") for number in NUMBER.findall(text)}
    return {number for number in numbers if len(re.sub(r"\D", "", number).lstrip("0")) >= 3}


@cache
def figures_in(path: Path) -> set[str]:
    shown = figures("\n".join(f"{cell.source}\n{cell.output}" for cell in cells(path)))
    return shown | {number.lstrip("-") for number in shown}


SYMBOLS = table_after("Symbols")
OTHER_MEANINGS = table_after("Letters with a second meaning")
TERMS = table_after("Terms")
MISTAKES = table_after("Mistakes")


@pytest.mark.parametrize("row", SYMBOLS, ids=lambda row: row[0])
def test_a_symbol_is_born_in_the_cell_it_is_linked_to(row):
    (cell,) = linked_cells(row[4])
    symbols = re.findall(r"\$([^$]+)\$", row[0])
    assert symbols
    for symbol in symbols:
        assert birth(symbol) == cell, f"{symbol} is first seen in {birth(symbol)}"


@pytest.mark.parametrize("row", SYMBOLS, ids=lambda row: row[0])
def test_a_code_name_is_used_where_its_symbol_is_born(row):
    (cell,) = linked_cells(row[4])
    text = "\n".join(c.source for c in cells(FOLDER / cell.notebook))
    for name in re.findall(r"`([^`]+)`", row[1]):
        used = re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text)
        assert used, f"{name} is not used in {cell.notebook}"


@pytest.mark.parametrize("row", OTHER_MEANINGS, ids=lambda row: row[0])
def test_a_letter_with_a_second_meaning_stands_in_both_cells(row):
    both = linked_cells(row[1]) + linked_cells(row[2])
    assert len(both) == 2
    tokens = tex_tokens(row[0].strip("$"))
    for cell in both:
        assert any(contains(formula, tokens) for formula in formulas(cell)), cell


@pytest.mark.parametrize("row", TERMS, ids=lambda row: row[0])
def test_a_term_stands_in_the_cell_it_is_linked_to(row):
    (cell,) = linked_cells(row[2])
    text = " ".join(re.sub(r"[*_]", "", cell.source).split()).casefold()
    assert row[0].partition(" (")[0].casefold() in text, cell.number


@pytest.mark.parametrize("row", MISTAKES, ids=lambda row: row[0])
def test_a_mistake_is_linked_to_where_it_is_treated(row):
    treated = linked_cells(row[2])
    assert treated
    known = set().union(*(figures_in(FOLDER / cell.notebook) for cell in treated))
    assert figures(row[1]) <= known, figures(row[1]) - known


def position(cell: Cell) -> tuple[str, int]:
    return cell.notebook, cell.number


def test_symbols_stand_in_order_of_birth_and_terms_in_that_of_the_alphabet():
    births = [position(linked_cells(row[4])[0]) for row in SYMBOLS]
    assert births == sorted(births)
    treated = [position(linked_cells(row[2])[0]) for row in MISTAKES]
    assert treated == sorted(treated)
    terms = [row[0].casefold() for row in TERMS]
    assert terms == sorted(terms)
    assert len(set(terms)) == len(terms)


def test_all_fourteen_bugs_of_the_gallery_are_in_the_index_of_mistakes():
    gallery = FOLDER / "05_gradient_checking.ipynb"
    source = "\n".join(cell.source for cell in cells(gallery))
    bugs = re.findall(r'^examine\("([^"]+)"', source, re.M)
    bugs.remove("correct")
    assert len(bugs) == 14
    listed = " ".join(row[0] for row in MISTAKES)
    assert [bug for bug in bugs if f"({bug})" not in listed] == []


@pytest.mark.parametrize("page", [GUIDE, GLOSSARY], ids=lambda page: page.name)
def test_formulas_survive_markdown(page):
    """Markdown eats a backslash before punctuation, splits tables at | and pairs up stars.

    GitHub has refused `operatorname`; `mathrm` is the same to the eye.
    """
    text = without_code(page.read_text(encoding="utf-8"))
    assert text.count("$") % 2 == 0
    for formula in re.findall(r"\$([^$]*)\$", text):
        assert "\n" not in formula, formula
        assert not re.search(r"\\[^A-Za-z]|[|*]|\}_|\\operatorname", formula), formula


# ------------------------------------------------------------------------------------------ guide


def guide_entries() -> dict[str, str]:
    """Return the entry on each notebook, by its file name."""
    text = GUIDE.read_text(encoding="utf-8")
    parts = re.split(r"^## (?=\[\d\d · )|^## ", text, flags=re.M)[1:]
    entries = {}
    for part in parts:
        heading = LINK.match(part)
        if heading:
            entries[heading[2]] = part
    return entries


def minutes_of(path: Path) -> int:
    return int(re.search(r"(\d+) minutes", cells(path)[0].source)[1])


def test_the_guide_has_an_entry_on_every_notebook_with_all_its_parts():
    entries = guide_entries()
    assert list(entries) == [path.name for path in NOTEBOOKS]
    parts = ["Before", "Minutes", "On the board", "Where they get stuck", "Wrong answers to expect",
             "To shorten"]  # fmt: skip
    for name, entry in entries.items():
        assert re.findall(r"^\*\*([^*]+)\.\*\*", entry, re.M) == parts, name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_guide_readme_and_notebook_agree_on_the_minutes(path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if f"](notebooks/{path.name})" in line)
    in_readme = int(row.rstrip("| ").rpartition("|")[2])
    in_guide = int(re.search(r"^\*\*Minutes\.\*\* (\d+)", guide_entries()[path.name], re.M)[1])
    assert in_readme == in_guide == minutes_of(path)


def squeezed(text: str) -> str:
    return " ".join(text.split())


@cache
def quotable() -> str:
    """Return what may be quoted: the notebooks, their outputs and the answers of the checks."""
    tree = ast.parse(EXERCISES.read_text(encoding="utf-8"))
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    answers = [value for value in constants if isinstance(value, str)]
    shown = [f"{cell.source}\n{cell.output}" for path in NOTEBOOKS for cell in cells(path)]
    return "\n".join(squeezed(text) for text in shown + answers)


def test_the_guide_quotes_word_for_word():
    text = without_code(GUIDE.read_text(encoding="utf-8"))
    quotations = re.findall(r'"([^"]+)"', text)
    assert len(quotations) > 30
    for quotation in quotations:
        for piece in squeezed(quotation).split(" … "):
            assert piece in quotable(), quotation


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_figures_in_an_entry_stand_in_its_notebook(path):
    entry = re.sub(r"\]\([^)]*\)", "]", guide_entries()[path.name])
    assert figures(entry) <= figures_in(path), figures(entry) - figures_in(path)


def sections_of(path: Path) -> set[str]:
    return {section for cell in cells(path) for section in cell.sections}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_sections_named_in_the_guide_exist(path):
    entry = guide_entries()[path.name]
    planned = re.findall(rf"\b{path.name[:2]}(?: §[\d–]+,?)+", GUIDE.read_text(encoding="utf-8"))
    named = re.findall(r"§(\d+)(?:–(\d+))?", " ".join([entry, *planned]))
    assert {section for pair in named for section in pair if section} <= sections_of(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_minutes_of_the_sections_add_up(path):
    line = re.search(r"^\*\*Minutes\.\*\* (\d+), of which (.+)", guide_entries()[path.name], re.M)
    parts = re.findall(r"§\d+(?:–\d+)?(?: takes?)? (\d+)", line[2])
    assert sum(map(int, parts)) == int(line[1])


def test_the_minutes_of_each_plan_add_up():
    text = GUIDE.read_text(encoding="utf-8")
    plans = re.findall(r"^\*\*(\d+) minutes\b[^\n]*\n\n((?:\|[^\n]*\n)+)", text, re.M)
    assert len(plans) == 4  # one class, three lectures
    for total, table in plans:
        rows = [row.strip("|").split("|") for row in table.splitlines()[2:]]
        assert sum(int(row[0]) for row in rows) == int(total), table
