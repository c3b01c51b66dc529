"""Slides and hand-outs: nothing is lost, mangled or fetched, and what belongs together stays so."""

import copy
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import pages
import paging
from helpers import runs

NOTEBOOKS = sorted(runs.NOTEBOOKS.glob("*.ipynb"))
GUIDE = [path for name in pages.GUIDE if (path := runs.NOTEBOOKS / f"{name}.md").exists()]
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def markdown_of(path):
    if path.suffix == ".md":
        return [path.read_text(encoding="utf-8")]
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


class Page(HTMLParser):
    """What a page consists of: text outside code, headings, images, tables, and what it loads."""

    LOADS = {  # noqa: RUF012
        "script": "src",
        "link": "href",
        "img": "src",
        "iframe": "src",
        "source": "src",
    }
    OPAQUE = ("code", "pre", "script", "style")

    def __init__(self, text):
        super().__init__()
        self.words, self.headings, self.images, self.headers = [], [], [], []
        self.loads, self.links, self.ids, self.open = [], [], [], []
        self.feed(text)
        style = re.sub(r"<script\b.*?</script>", "", text, flags=re.S)
        self.loads += re.findall(r"url\(\s*['\"]?([^'\")]{1,40})", style)
        self.loads += re.findall(r"@import\s+['\"]?([^'\";]{1,40})", style)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.open += [tag] if tag in self.OPAQUE else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.images += [attrs] if tag == "img" else []
        self.headers += [attrs] if tag == "th" else []
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" and "href" in attrs else []
        if attrs.get(self.LOADS.get(tag)):
            self.loads.append(attrs[self.LOADS[tag]])

    def handle_endtag(self, tag):
        if tag in self.OPAQUE and tag in self.open:
            self.open.remove(tag)

    def handle_data(self, data):
        if not self.open:
            self.words.append(data)


PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


def figure(source="ax.plot(x)\nplt.show()", **metadata):
    output = new_output("display_data", data={"image/png": PNG, "text/plain": "<Figure>"})
    output.metadata = metadata
    return new_code_cell(source, outputs=[output])


def small_notebook(*cells):
    first = new_markdown_cell("# Try the page\n\nOf three sentences.\n\nNext: [02](02_b.ipynb)")
    return new_notebook(cells=[first, *cells])


@pytest.fixture
def folder(tmp_path):
    """A folder of two notebooks that refer to each other."""
    there = tmp_path / "notebooks"
    there.mkdir()
    linked = new_markdown_cell("See [02, below](02_b.ipynb#cell-id=abc) and [words](GLOSSARY.md).")
    nbformat.write(small_notebook(linked), there / "01_a.ipynb")
    nbformat.write(small_notebook(new_markdown_cell("## 1 · $x_1$\n\n$a_b$")), there / "02_b.ipynb")
    (there / "GLOSSARY.md").write_text(
        "# Words\n\n[02](02_b.ipynb#cell-id=abc)\n", encoding="utf-8"
    )
    return there


# ------------------------------------------------------------------------------------- mathematics


@pytest.mark.parametrize("path", NOTEBOOKS + GUIDE, ids=lambda path: path.stem)
def test_every_formula_becomes_mathml(path):
    source = "\n\n".join(markdown_of(path))
    page = pages.to_html(source)
    text = "".join(Page(page).words)
    assert page.count("<math") >= len(re.findall(r"\$\$.+?\$\$", source, re.S))
    assert "<math" in page or "$" not in source
    assert not re.search(r"\$|\\[a-zA-Z]{2,}", text)


def test_a_colour_in_a_formula_survives():
    assert "color:#D98600" in pages.mathml(r"{\color{#D98600}{z^\ell}} + 1").replace(" ", "")


def test_the_distance_of_rows_does_not_become_text():
    shown = pages.mathml(r"\begin{aligned} a &= b \\[4pt] c &= d \end{aligned}", display=True)
    assert "4" not in shown
    assert shown.count("<mtr>") == 2


def test_a_prime_keeps_a_fraction_in_two_parts():
    shown = pages.mathml(r"\frac{f'}{g}")
    inside = re.search(r"<mfrac>(.*)</mfrac>", shown)[1]
    assert inside == "<mrow><mi>f</mi><mo lspace='0' rspace='0'>′</mo></mrow><mi>g</mi>"


def test_a_formula_that_is_not_understood_is_named():
    with pytest.raises(pages.PageError, match=r"nonsense"):
        pages.mathml(r"x + \nonsense{y}")


def test_a_line_does_not_break_between_a_formula_and_its_punctuation():
    page = pages.to_html("Is it ($b^1$)? A $z$-axis, and $c$ too.")
    glued = re.findall(r'<span class="glued">(.*?)</span>', page)
    assert [re.sub("<math>.*</math>", "M", part) for part in glued] == ["(M)?", "M-axis"]


def test_statements_are_split_where_a_line_may_break():
    assert pages.mathml(r"a = b, \qquad c = d", display=True).count("<math") == 2
    whole = r"\begin{aligned} a &= b \qquad c \end{aligned} {x \qquad y}"
    assert pages.mathml(whole, display=True).count("<math") == 1


def test_markdown_leaves_formulas_and_code_alone():
    page = pages.to_html("$a_1 * b_2 * c$ and `$PATH_a_b` and *$w^*$*")
    assert page.count("<math") == 2
    assert "<code>$PATH_a_b</code>" in page
    assert page.count("<em>") == 1


# ------------------------------------------------------------------------------------------ tables


def test_headers_say_what_they_head():
    page = pages.to_html("| a | b |\n|---|---|\n| 1 | 2 |")
    assert page.count('<th scope="col">') == 2
    head = "<thead><tr><th></th><th>x</th></tr></thead>"
    body = "<tbody><tr><th>0</th><td>1</td></tr></tbody>"
    marked = pages.mark_headers(f"<table>{head}{body}</table>")
    assert '<td></td><th scope="col">x</th>' in marked
    assert '<th scope="row">0</th>' in marked


def test_a_table_without_column_heads_is_headed_by_its_first_column():
    page = pages.to_html("| | |\n|---|---|\n| **do** | this |\n| **learn** | that |")
    assert "<thead" not in page
    assert page.count('<th scope="row">') == 2
    assert page.count("<td>") == 2


# ---------------------------------------------------------------------------------- blocks, pieces


@by_name
def test_blocks_lose_nothing(path):
    def lines(text):
        return [line for line in text.splitlines() if line.strip()]

    for source in markdown_of(path):
        assert lines("\n\n".join(paging.blocks(source))) == lines(source)


def test_blocks_cut_at_blank_lines_headings_and_equations_only():
    source = "one\ntwo\n## Head\nthree\n$$\na\n\nb\n$$\nfour\n\n- x\n\n  more of x\n- y"
    found = paging.blocks(source)
    assert found[:5] == ["one\ntwo", "## Head", "three", "$$\na\n\nb\n$$", "four"]
    assert found[5].count("x") == 2
    assert len(found) == 6


def test_blocks_do_not_cut_code_or_answers():
    fenced = "```python\na = 1\n\n## no heading\n```"
    folded = "<details><summary>Answer</summary>one\n\ntwo</details>"
    assert paging.blocks(f"{fenced}\n\n{folded}") == [fenced, folded]


def test_solutions_setup_and_checks_stay_off_the_slides():
    hidden = [
        new_code_cell("%matplotlib inline\nimport numpy as np"),
        new_code_cell("epochs: int = 3", metadata={"tags": ["parameters"]}),
        new_code_cell("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"),
        new_code_cell("exercises.check_f(f)"),
        new_code_cell('runs.report("done")'),
        new_code_cell("def turn(w):\n    return w\n\n\nexplore.sliders(turn, w=(0, 1))"),
        new_code_cell("def draw_it(ax):\n    ax.plot([1, 2])"),
    ]
    shown = new_code_cell("y = 2 * x\nprint(y)")
    assert [paging.is_skipped(cell) for cell in [*hidden, shown]] == [True] * 7 + [False]


@by_name
def test_no_slide_gives_away_a_solution_or_an_answer(path):
    slides = paging.deck(read(path))
    for piece in (piece for slide in slides for piece in slide):
        assert "BEGIN SOLUTION" not in piece.cell.source
        if "**Exercise" in piece.text:
            assert "<summary>Answer" not in piece.text


def test_the_answer_of_an_exercise_goes_and_that_of_a_prediction_stays():
    fold = "<details><summary>Answer</summary>Yes.</details>"
    cell = new_markdown_cell(f"> **Pause and predict.** Well?\n> {fold}\n\n## 2 · Exercises\n\n"
                             f"**Exercise 1 (paper, easy).** Why?\n\n{fold}")  # fmt: skip
    text = "\n".join(p.text for p in paging.pieces(small_notebook(cell)))
    assert text.count("Yes.") == 1
    assert "Why?" in text


def test_code_that_answers_a_prediction_is_on_the_next_slide():
    pause = new_markdown_cell("> **Pause and predict.** Which?")
    slides = paging.deck(small_notebook(new_markdown_cell("## 1 · A"), pause, new_code_cell("x")))
    place = {piece.cell.source: n for n, slide in enumerate(slides) for piece in slide}
    assert place["x"] == place["> **Pause and predict.** Which?"] + 1


def test_only_the_figure_of_a_plotting_cell_is_shown():
    slides = paging.deck(small_notebook(figure()))
    (piece,) = [p for slide in slides for p in slide if p.cell.cell_type == "code"]
    assert piece.cell.metadata["transient"]["remove_source"]


def test_every_section_begins_a_slide_even_within_a_cell():
    cell = new_markdown_cell("Before.\n\n## 1 · A\n\nOne.\n\n## 2 · B\n\nTwo.")
    starts = [
        slide[0].text for slide in paging.deck(small_notebook(cell)) if slide[0].starts == "slide"
    ]
    assert starts == ["# Try the page", "## 1 · A", "## 2 · B"]


def test_long_prose_goes_on_over_several_slides():
    prose = "\n\n".join(f"{n}. " + "word " * 80 for n in range(12))
    slides = paging.deck(small_notebook(new_markdown_cell(f"## 1 · Long\n\n{prose}")))
    assert len(slides) > 3
    assert all(sum(p.height for p in slide) <= paging.HEIGHT for slide in slides)
    assert [p.text for slide in slides for p in slide].count("## 1 · Long") == 1
    assert not slides[1][-1].text.startswith("#")


@pytest.mark.parametrize("apart", [True, False], ids=["in cells of their own", "in one cell"])
def test_a_heading_stands_with_what_follows_it_wherever_the_slide_ends(apart):
    last = []
    for lines in range(1, 25):
        before = "\n\n".join(["## 1 · Long", *["one line"] * lines])
        after = ["#### The end", "word " * 200]
        cells = [before, *after] if apart else ["\n\n".join([before, *after])]
        slides = paging.deck(small_notebook(*map(new_markdown_cell, cells)))
        last += [slide[-1].text for slide in slides]
    assert "#### The end" not in last
    assert "word" in " ".join(last)


def test_a_long_table_goes_on_under_its_header():
    rows = "\n".join(f"| {n} | {'word ' * 20} |" for n in range(40))
    slides = paging.deck(
        small_notebook(new_markdown_cell(f"## 1 · T\n\n| n | what |\n|---|---|\n{rows}"))
    )
    tables = [p.text for slide in slides for p in slide if p.text.startswith("|")]
    assert len(tables) > 1
    assert all(table.startswith("| n | what |\n|---|---|\n") for table in tables)
    assert sum(table.count("\n") - 1 for table in tables) == 40


def test_slide_types_in_the_metadata_are_obeyed():
    def tagged(source, kind):
        return new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}})

    cells = [
        tagged("one", "slide"),
        tagged("two", "subslide"),
        tagged("no", "skip"),
        tagged("+", "-"),
    ]
    slides = paging.deck(new_notebook(cells=cells))
    assert [[p.text for p in slide] for slide in slides] == [["one"], ["two", "+"]]


@by_name
def test_every_cell_is_tagged_for_slides(path):
    cells = read(path).cells
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in cells]
    assert set(kinds) <= {"slide", "subslide", "fragment", "skip", "notes", "-"}
    assert kinds[0] == "slide"
    for cell, kind in zip(cells, kinds, strict=True):
        if cell.cell_type == "code" and (
            "BEGIN SOLUTION" in cell.source or paging.is_skipped(cell)
        ):
            assert kind == "skip", cell.source


@by_name
def test_slides_are_estimated_to_fit(path):
    for slide in paging.deck(read(path)):
        height = sum(p.height + paging.GAP for p in slide) - paging.GAP
        assert height <= paging.HEIGHT, slide[0].text or slide[0].cell.source


@by_name
def test_making_slides_leaves_the_notebook_as_it_is(path):
    nb = read(path)
    before = copy.deepcopy(nb)
    made = paging.slide_notebook(nb)
    assert nb == before
    ids = [cell.id for cell in made.cells]
    assert len(ids) == len(set(ids))


# ------------------------------------------------------------------------------------------- pages


@pytest.fixture(scope="module", params=pages.KINDS)
def built(request, tmp_path_factory):
    """One real notebook, that with the animation, as a deck or a page: (kind, text of the page)."""
    target = tmp_path_factory.mktemp(request.param)
    (name,) = [path.stem for path in NOTEBOOKS if path.stem.startswith("06")]
    index, page = pages.build(request.param, [name], output_dir=target)
    assert index.name == "index.html"
    return request.param, page.read_text(encoding="utf-8")


def test_a_page_loads_nothing(built):
    loads = Page(built[1]).loads
    assert loads
    assert not [address for address in loads if not address.startswith("data:")]


def test_a_page_is_in_english_with_a_title_and_described_images(built):
    page = Page(built[1])
    assert '<html lang="en">' in built[1]
    assert re.search(r"<title>06 · .+</title>", built[1])
    assert page.images
    assert all(image.get("alt", "").strip() for image in page.images)
    assert all(header.get("scope") in ("row", "col") for header in page.headers)


@pytest.mark.parametrize("path", NOTEBOOKS + GUIDE, ids=lambda path: path.stem)
def test_headings_skip_no_level(path):
    levels = Page(pages.to_html("\n\n".join(markdown_of(path)))).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_page_has_the_anchors_that_links_lead_to(built):
    kind, text = built
    if kind == "html":
        page = Page(text)
        inside = [link[1:] for link in page.links if link.startswith("#")]
        assert len(inside) > 10
        assert set(inside) <= set(page.ids)
        assert any(anchor.startswith("cell-id=") for anchor in page.ids)


def test_a_solution_is_folded_on_a_page_to_read(built):
    kind, text = built
    solutions = re.findall(r'<details class="solution">.*?</details>', text, re.S)
    assert bool(solutions) == (kind == "html")
    assert all("BEGIN SOLUTION" in re.sub("<[^>]*>", "", part) for part in solutions)


def test_the_description_of_a_figure_reaches_the_page():
    nb = small_notebook(figure(**{"image/png": {"alt": 'A "small" dot & more'}}))
    for kind in pages.KINDS:
        (image,) = Page(pages.render(nb, kind)).images
        assert image["alt"] == 'A "small" dot & more'


def test_links_between_notebooks_lead_to_their_pages(folder, tmp_path):
    pages.build("html", folder=folder, output_dir=tmp_path / "html")
    first = Page((tmp_path / "html" / "01_a.html").read_text(encoding="utf-8"))
    assert {"02_b.html#cell-id=abc", "GLOSSARY.html", "index.html"} <= set(first.links)
    words = Page((tmp_path / "html" / "GLOSSARY.html").read_text(encoding="utf-8"))
    assert "02_b.html#cell-id=abc" in words.links
    pages.build("slides", folder=folder, output_dir=tmp_path / "slides")
    deck = Page((tmp_path / "slides" / "01_a.html").read_text(encoding="utf-8"))
    assert {"02_b.html", "../html/GLOSSARY.html"} <= set(deck.links)


@pytest.mark.parametrize("path", NOTEBOOKS + GUIDE, ids=lambda path: path.stem)
def test_links_of_the_series_have_a_target(path):
    for link in re.findall(r"\]\((\w+\.(?:ipynb|md))(#[^)]*)?\)", "\n".join(markdown_of(path))):
        target = runs.NOTEBOOKS / link[0]
        if not target.exists():
            pytest.skip(f"{link[0]} is not here yet")
        if link[1].startswith("#cell-id="):
            assert link[1][9:] in [cell.id for cell in read(target).cells]


def test_the_index_lists_every_notebook(folder, tmp_path):
    index, *_ = pages.build("html", folder=folder, output_dir=tmp_path)
    assert {"01_a.html", "02_b.html", "GLOSSARY.html"} <= set(Page(index.read_text("utf-8")).links)


def test_one_notebook_can_be_built_alone(folder, tmp_path):
    paths = pages.build("slides", ["02_b"], folder=folder, output_dir=tmp_path / "out")
    assert [path.name for path in paths] == ["index.html", "02_b.html"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["02_b.html", "index.html"]


def test_a_formula_that_fails_names_its_notebook_and_spares_the_page(folder, tmp_path):
    pages.build("html", folder=folder, output_dir=tmp_path / "out")
    before = (tmp_path / "out" / "02_b.html").read_bytes()
    nbformat.write(small_notebook(new_markdown_cell(r"$\nonsense$")), folder / "02_b.ipynb")
    with pytest.raises(pages.PageError, match=r"^02_b: .*nonsense"):
        pages.build("html", folder=folder, output_dir=tmp_path / "out")
    assert (tmp_path / "out" / "02_b.html").read_bytes() == before
    assert not list((tmp_path / "out").glob("*.tmp"))
    assert not list((tmp_path / "out").glob(".*"))


def test_pages_are_the_same_when_built_again(folder, tmp_path):
    for kind in pages.KINDS:
        paths = pages.build(kind, folder=folder, output_dir=tmp_path)
        first = [path.read_bytes() for path in paths]
        pages.build(kind, folder=folder, output_dir=tmp_path)
        assert first == [path.read_bytes() for path in paths]


def test_a_wrong_name_or_kind_is_answered_with_those_there_are(folder, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"03_c.*01_a, 02_b"):
        pages.build("html", ["03_c"], folder=folder, output_dir=tmp_path)
    with pytest.raises(ValueError, match=r"'pdf'.*slides, html"):
        pages.build("pdf", folder=folder, output_dir=tmp_path)
    assert pages.main(["html", "no_such_notebook"]) == 1
    assert "no_such_notebook" in capsys.readouterr().err


# -------------------------------------------------------------------------------- what is included


def test_included_files_are_those_of_the_list():
    vendor = pages.TEMPLATES / "vendor"
    listed = re.findall(r"^([0-9a-f]{64})  (\S+)$", (vendor / "README.md").read_text("utf-8"), re.M)
    present = {p.relative_to(vendor).as_posix() for p in vendor.rglob("*") if p.is_file()}
    assert present == {name for _, name in listed} | {"README.md"}
    for digest, name in listed:
        data = (vendor / name).read_bytes()
        if not name.endswith(".woff2"):
            data = data.replace(b"\r\n", b"\n")  # as git on Windows may have written them
        assert hashlib.sha256(data).hexdigest() == digest, name


def test_importing_pages_imports_nothing_heavy():
    code = "import sys; sys.path.insert(0, '.ci'); import pages; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=runs.ROOT, check=True
    )
    loaded = set(run.stdout.split())
    assert "paging" in loaded
    assert not {"nbconvert", "nbformat", "math_core", "pygments", "bs4"} & loaded
