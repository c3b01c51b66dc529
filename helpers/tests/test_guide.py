"""Guide, glossary, README and notebooks: what they link, quote and describe is there.

Cells are linked by their id, `notebook.ipynb#cell-id=…`. JupyterLab and the HTML export both know
this form; a link to a heading of a notebook that is not open yet ends at the top in JupyterLab.
"""

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
README, GUIDE, GLOSSARY = ROOT / "README.md", FOLDER / "TEACHING.md", FOLDER / "GLOSSARY.md"
PAGES = [README, ROOT / "data" / "README.md", GUIDE, GLOSSARY, FOLDER / "REFERENCE.md"]
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]*)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^()\s]*)\)|<(?:a|img)\b[^>]*?(?:href|src)=\"([^\"]*)\"")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def cells(path):
    """Return the cells of a notebook with their path, number, and the sections they belong to."""
    found, section = nbformat.read(path, 4).cells, ""
    for number, cell in enumerate(found, 1):
        is_text = cell.cell_type == "markdown"
        headings = re.findall(r"^## (\d+) · ", cell.source, re.M) if is_text else []
        before = [] if re.match(r"## \d", cell.source) else [section]
        section = [section, *headings][-1]
        cell.update(path=path, number=number, is_text=is_text, sections=[*before, *headings])
    return found


def shown(cell, mime):
    """Yield what the outputs of a cell show as text of this kind, also where it is not compared."""
    for output in cell.get("outputs", []):
        plain = output.get("text", "") if mime == "text/plain" else ""
        yield output.get("data", {}).get(mime, plain)


def content(cell):
    """Return source and output, but not an output that differs from run to run."""
    fixed = "nbval-ignore-output" not in cell.metadata.get("tags", [])
    return "\n".join([cell.source, *(shown(cell, "text/plain") if fixed else [])])


def prose(path):
    """Return the text of a page or of a notebook's text cells, without code."""
    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
    else:
        text = "\n\n".join(cell.source for cell in cells(path) if cell.is_text)
    return re.sub(r"^```.*?^```|`[^`\n]*`", " ", text, flags=re.S | re.M)


def squeezed(text):
    return " ".join(text.split())


def title(path):
    return f"{path.name[:2]} · {re.match('# (.+)', cells(path)[0].source)[1]}"


# ------------------------------------------------------------------------------ links and headings


def links(path):
    text = prose(path)
    yield from LINK.findall(text)
    yield from (("", picture or tag) for picture, tag in PICTURE.findall(text))


def anchors(path):
    """Return the fragments by which one can link into a page or a notebook."""
    if path.suffix == ".ipynb":
        return {f"cell-id={cell.id}" for cell in cells(path)}
    headings = re.findall(r"^#+ (.+)", prose(path), re.M)
    plain = [re.sub(r"[^\w\- ]", "", LINK.sub(r"\1", heading).lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def fault(target, page):
    """Return what is wrong with the target of a link on `page`, or None."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target, re.I):
        return None if target.startswith("https://") else "is not https"
    name, _, fragment = unquote(target).partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists() or ROOT not in path.parents:
        return "points to nothing"
    return f"has no {fragment}" if fragment and fragment not in anchors(path) else None


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda path: path.name)
def test_every_link_points_to_what_it_names(page):
    for label, target in links(page):
        assert not (wrong := fault(target, page)), f"[{label}]({target}) {wrong}"
        if re.match(r"\d\d · ", label):
            assert label == title(FOLDER / Path(target.partition("#")[0]).name)
    assert "http://" not in prose(page)


def test_a_broken_link_is_noticed():
    for target in (
        "#three-words",
        "TEACHING.txt",
        "http://numpy.org",
        "../x",
        "01_scalar_network.ipynb#3",
    ):
        assert fault(target, GUIDE)


def test_each_notebook_leads_to_the_one_before_and_the_one_after():
    names = [None, *(path.name for path in NOTEBOOKS), None]
    for before, path, after in zip(names, NOTEBOOKS, names[2:], strict=False):
        found = re.findall(r"(Previous|Next): \[[^\]]*\]\(([^)]*)\)", cells(path)[0].source)
        around = {"Previous": before, "Next": after}
        assert dict(found) == {name: to for name, to in around.items() if to}, path.name


@each_notebook
def test_headings_begin_with_one_title_and_skip_no_level(path):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose(path), re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@each_notebook
def test_figures_are_described_and_tables_have_headers(path):
    for cell in cells(path):
        place = f"cell {cell.number}"
        below = next((after for after in cells(path)[cell.number :] if after.is_text), cell)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output["metadata"].get("image/png", {}).get("alt", "")
                assert len(alt.split()) >= 5, place
                assert alt in squeezed(re.sub(r"[$`*]", "", below.source)), place
        html = " ".join(shown(cell, "text/html"))
        for image in re.findall(r"<img\b[^>]*>", html):
            assert re.search(r'\balt="[^"]{15,}"', image), place
        assert len(re.findall(r"<table.*?<th", html, re.S)) == html.count("<table"), place
    for table in re.findall(r"(?:^\|.*\n?)+", prose(path), re.M):
        header, _, *rows = table.strip().splitlines()
        heads_rows = all(re.match(r"\|\s*\*\*", row) for row in rows)
        assert re.search(r"[^|\s]", header) or heads_rows, table


# ---------------------------------------------------------------------------------------- glossary

TOKEN = re.compile(
    r"\\(?:text|textbf|texttt|operatorname|mathrm|begin|end)\{[^{}]*\}|\\[A-Za-z]+|\\.|[^\s{}]"
)
SPACES = {r"\,", r"\;", r"\!", r"\bigl", r"\bigr"}


def tokens(tex):
    """Return a formula as tokens between spaces, without colours, spacing and braces."""
    tex = re.sub(r"\\color\{#\w+\}|\[\d+pt\]", "", tex).replace(r"\mathrm{", r"\operatorname{")
    found = TOKEN.findall(tex.replace(r"\ast", "*"))  # Markdown would pair up the stars of a line
    return f" {' '.join(token for token in found if token not in SPACES)} "


@cache
def formulas(source):
    """Return the tokens of all formulas of a text; a single letter in code counts as one."""
    letters = re.findall(r"`([A-Za-z])`", source)
    found = re.findall(r"\$\$(.+?)\$\$|\$([^$]+?)\$", re.sub(r"`[^`\n]*`", " ", source), re.S)
    return "\n".join(map(tokens, [*letters, *(block or inline for block, inline in found)]))


def birth(symbol):
    """Return the first cell of the series with the symbol, announcements in first cells aside."""
    texts = (cell for path in NOTEBOOKS for cell in cells(path)[1:] if cell.is_text)
    return next((cell for cell in texts if tokens(symbol) in formulas(cell.source)), None)


def table(heading):
    """Return the rows of the table below a heading of the glossary, its head aside."""
    part = GLOSSARY.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    rows = re.findall(r"^\|.*", part.partition("\n## ")[0], re.M)
    return [[entry.strip() for entry in row.strip("|").split("|")] for row in rows[2:]]


def each_row(heading):
    return pytest.mark.parametrize("row", table(heading), ids=lambda row: row[0])


def linked_cells(text):
    """Return the cells that a text links to, and see that each link says notebook and section."""
    found = []
    for label, target in LINK.findall(text):
        name, _, identity = target.partition("#cell-id=")
        cell = next(cell for cell in cells(FOLDER / name) if cell.id == identity)
        number, section = re.fullmatch(r"(\d\d)(?: §(\d+))?", label).groups("")
        assert name.startswith(number), text
        assert section in cell.sections, f"{label} stands in section {cell.sections}: {text}"
        found.append(cell)
    return found


def numbers(text):
    """Return the numbers with three or more digits."""
    text = text.replace("−", "-").replace("_", "")
    found = re.findall(r"(?<![\w.,^{])-?\d[\d,]*(?:\.\d+)?(?![\w}])", text)
    plain = {number.rstrip(",").replace(",", "") for number in found}
    return {number for number in plain if len(re.sub(r"\D", "", number).lstrip("0")) >= 3}


@cache
def numbers_in(path):
    found = numbers("\n".join(map(content, cells(path))))
    return found | {number.lstrip("-") for number in found}


@each_row("Symbols")
def test_a_symbol_is_born_in_the_cell_it_is_linked_to_and_coded_as_it_says(row):
    (cell,) = linked_cells(row[4])
    for symbol in re.findall(r"\$([^$]+)\$", row[0]):
        assert birth(symbol) == cell, f"{symbol} is first seen in {birth(symbol)}"
    text = "\n".join(other.source for other in cells(cell.path))
    for name in re.findall(r"`([^`]+)`", row[1]):
        assert re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text), name


@each_row("Letters with a second meaning")
def test_a_letter_with_a_second_meaning_stands_in_both_cells(row):
    both = linked_cells(row[1]) + linked_cells(row[2])
    assert [tokens(row[0].strip("$")) in formulas(cell.source) for cell in both] == [True, True]


@each_row("Terms")
def test_a_term_stands_in_the_cell_it_is_linked_to(row):
    (cell,) = linked_cells(row[2])
    text = " ".join(re.sub(r"[*_]", "", cell.source).split()).casefold()
    assert row[0].partition(" (")[0].casefold() in text


@each_row("Mistakes")
def test_a_mistake_is_treated_in_the_cells_it_is_linked_to_with_its_numbers(row):
    treated = linked_cells(row[2])
    assert treated
    assert numbers(row[1]) <= set().union(*(numbers_in(cell.path) for cell in treated))


def test_the_tables_of_the_glossary_are_in_order():
    for heading, link in (("Symbols", 4), ("Mistakes", 2)):
        first = [linked_cells(row[link])[0] for row in table(heading)]
        assert first == sorted(first, key=lambda cell: (cell.path, cell.number)), heading
    terms = [row[0].casefold() for row in table("Terms")]
    assert terms == sorted(set(terms))


def test_every_bug_of_the_gallery_is_in_the_index_of_mistakes():
    source = "\n".join(cell.source for cell in cells(FOLDER / "05_gradient_checking.ipynb"))
    bugs = set(re.findall(r'^examine\("([^"]+)"', source, re.M)) - {"correct"}
    assert len(bugs) == 14
    listed = " ".join(row[0] for row in table("Mistakes"))
    assert {bug for bug in bugs if f"({bug})" not in listed} == set()


@pytest.mark.parametrize("page", [GUIDE, GLOSSARY], ids=lambda page: page.name)
def test_formulas_survive_markdown(page):
    """It eats a backslash before punctuation, splits tables at | and pairs up stars.

    GitHub has refused `operatorname`; `mathrm` is the same to the eye.
    """
    text = prose(page)
    assert text.count("$") % 2 == 0
    for formula in re.findall(r"\$([^$]*)\$", text):
        assert not re.search(r"\n|\\[^A-Za-z]|[|*]|\}_|\\operatorname", formula), formula


# ------------------------------------------------------------------------------------------- guide


@cache
def entry(path):
    """Return what the guide says about a notebook."""
    parts = re.split(r"^## ", GUIDE.read_text(encoding="utf-8"), flags=re.M)
    return next(part for part in parts if part.startswith("[") and f"]({path.name})\n" in part)


@each_notebook
def test_an_entry_of_the_guide_has_all_its_parts(path):
    assert re.findall(r"^\*\*([^*]+)\.\*\*", entry(path), re.M) == [
        "Before",
        "Minutes",
        "On the board",
        "Where they get stuck",
        "Wrong answers to expect",
        "To shorten",
    ]


def minutes(path):
    """Return the minutes of a notebook as the guide gives them: of all, and of parts of it."""
    total, parts = re.search(r"^\*\*Minutes\.\*\* (\d+), of which (.+)", entry(path), re.M).groups()
    found = re.findall(r"§(\d+)(?:–(\d+))?(?: takes?)? (\d+)", parts)
    return int(total), {(int(a), int(b or a)): int(part) for a, b, part in found}


def minutes_with_exercises(path):
    text = cells(path)[0].source
    return int(re.search(r"minutes to read, (\d+) with the exercises", text)[1])


@each_notebook
def test_guide_readme_and_notebook_agree_on_the_minutes(path):
    row = re.search(rf"\]\(notebooks/{path.name}\).*\| (\d+) \| (\d+) \|$", prose(README), re.M)
    total, parts = minutes(path)
    assert sum(parts.values()) == total == int(row[1])
    assert f"{total} minutes to read" in cells(path)[0].source
    assert minutes_with_exercises(path) == int(row[2])


def plans():
    """Return the plans of the guide by their minutes, each a list of (minutes, sections) a row."""
    found = re.findall(r"^\*\*(\d+) minutes\b[^\n]*\n\n((?:\|[^\n]*\n)+)", prose(GUIDE), re.M)
    rows = [
        (int(total), re.findall(r"^\| (\d+) \| ([^|]+) \|", plan, re.M)) for total, plan in found
    ]
    assert len(rows) == 6  # two paths, one class, three lectures
    return rows


def test_the_minutes_of_each_plan_add_up():
    for total, rows in plans():
        assert sum(int(part) for part, _ in rows) == total, rows


def test_the_paths_of_a_reader_take_the_minutes_of_their_sections():
    (hour, short), (weekend, long), *_ = plans()
    for said, where in short + long:
        number, first, last = re.fullmatch(r"(\d\d)(?: §(\d+)(?:–(\d+))?)?", where).groups()
        (path,) = (path for path in NOTEBOOKS if path.name.startswith(number))
        total, parts = minutes(path)
        if first:
            inside = range(int(first), int(last or first) + 1)
            total = sum(part for (a, b), part in parts.items() if a in inside and b in inside)
        assert total == int(said), where
    everything = sum(minutes(path)[0] for path in NOTEBOOKS)
    exercises = sum(map(minutes_with_exercises, NOTEBOOKS))
    assert f"| all | | {everything} | {exercises} |" in prose(README)
    for page in (README, GUIDE):
        text = squeezed(prose(page))
        assert all(f"{total} minutes" in text for total in (hour, weekend, everything))
        assert str(exercises) in text
    assert all(where in squeezed(prose(README)) for _, where in short)


@cache
def quotable():
    """Return what may be quoted: the notebooks, their outputs and the answers of the checks."""
    helpers = [path for path in (ROOT / "helpers").rglob("*.py") if "tests" not in path.parts]
    nodes = [node for path in helpers for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    answers = [node.value for node in nodes if isinstance(node, ast.Constant)]
    shown = [content(cell) for path in NOTEBOOKS for cell in cells(path)]
    return squeezed("\n".join([*shown, *(text for text in answers if isinstance(text, str))]))


def test_the_guide_quotes_word_for_word():
    quotations = re.findall(r'"([^"]+)"', prose(GUIDE))
    assert len(quotations) > 30
    for quotation in quotations:
        for piece in squeezed(quotation).split(" … "):
            assert piece in quotable(), quotation


@each_notebook
def test_numbers_and_sections_of_an_entry_stand_in_its_notebook(path):
    said = re.sub(r"\]\([^)]*\)", "]", entry(path))
    assert numbers(said) <= numbers_in(path), numbers(said) - numbers_in(path)
    planned = re.findall(rf"\b{path.name[:2]}(?: §[\d–]+,?)+", GUIDE.read_text(encoding="utf-8"))
    named = re.findall(r"§(\d+)(?:–(\d+))?", " ".join([said, *planned]))
    sections = {section for cell in cells(path) for section in cell.sections}
    assert {section for pair in named for section in pair if section} <= sections
