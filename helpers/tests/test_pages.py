"""Slides and site: nothing is lost or fetched, links lead somewhere, solutions stay folded.

What can only be seen in a browser, and the whole series, is tested in browser/test_slides.py.
"""

import hashlib
import html
import os
import re
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

import pages
from helpers import runs

NOTEBOOKS = sorted(runs.NOTEBOOKS.glob("*.ipynb"))
CHOSEN = [path for path in NOTEBOOKS if path.name[:2] in ("01", "06", "08")]
STATIC = pages.CI / "static"
by_name = pytest.mark.parametrize("path", CHOSEN, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def attributes(page, name):
    """Return the values of an attribute of all tags of a page, scripts aside."""
    shown = re.sub(r"(<script\b[^>]*>).*?</script>", r"\1", page, flags=re.S)
    return {html.unescape(value) for value in re.findall(rf'<[^>]*?\s{name}="([^"]*)"', shown)}


def loaded(page):
    """Return the addresses that a page loads by itself."""
    links = re.findall(r'<link\b(?=[^>]*rel="(?:stylesheet|preload|icon)[^>]*)[^>]*>', page)
    return attributes(page, "src") | attributes("".join(links), "href")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site of three notebooks and the guide: its folder, and its pages by their path in it."""
    target = tmp_path_factory.mktemp("build") / "site"
    assert pages.build_site(CHOSEN, target) == target / "index.html"
    found = {
        path: path.read_text("utf-8")
        for path in target.rglob("*.html")
        if "_static" not in path.parts
    }
    return target, {path.relative_to(target).as_posix(): text for path, text in found.items()}


@pytest.fixture(scope="session")
def decks(tmp_path_factory):
    """The decks of the same notebooks by name, and the list of them as "index"."""
    index = pages.build_slides(CHOSEN, tmp_path_factory.mktemp("slides"))
    return {path.stem: path.read_text("utf-8") for path in index.parent.glob("*.html")}


# -------------------------------------------------------------------------------------------- site


def test_every_link_of_the_site_leads_somewhere(site):
    target, texts = site
    ids = {name: attributes(text, "id") for name, text in texts.items()}
    for name, text in texts.items():
        for link in attributes(text, "href") | attributes(text, "src"):
            address, _, anchor = unquote(link).partition("#")
            if re.match(r"[a-z]+:", address):
                continue
            path = os.path.normpath(f"{name}/../{address.partition('?')[0]}") if address else name
            assert (target / path).exists(), (name, link)
            elsewhere = re.match(r"cell-(?!01|06|08)", anchor)  # in a notebook left out here
            if anchor and path in ids and not elsewhere:
                assert anchor in ids[path], (name, link)


def test_the_glossary_leads_to_cells(site):
    source = (runs.NOTEBOOKS / "GLOSSARY.md").read_text("utf-8")
    links = set(re.findall(r"\((01_\w+)\.ipynb#cell-id=(\w+)\)", source))
    found = attributes(site[1]["notebooks/GLOSSARY.html"], "href")
    assert len(links) > 5
    assert {f"{name}.html#cell-01-{identity}" for name, identity in links} <= found


def test_the_front_page_lists_the_chapters_by_number(site):
    front = site[1]["index.html"]
    assert all(html.escape(pages.title(path)) in front for path in CHOSEN)


def test_site_and_slides_load_nothing_from_elsewhere(site, decks):
    for name, text in [*site[1].items(), *decks.items()]:
        outside = [link for link in loaded(text) if re.match(r"(https?:)?//", link)]
        assert not outside, name
    for style in site[0].rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", style.read_text("utf-8"))


@by_name
def test_every_formula_is_handed_to_mathjax(site, decks, path):
    source = "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    source = re.sub(r"`[^`\n]*`", "", source)
    blocks = len(re.findall(r"\$\$.+?\$\$", source, re.S))
    inline = len(re.findall(r"\$[^$]+\$", re.sub(r"\$\$.+?\$\$", "", source, flags=re.S)))
    page = site[1][f"notebooks/{path.stem}.html"]
    assert page.count('<div class="math notranslate') == blocks > 0
    assert page.count('<span class="math notranslate') >= inline > 0  # headings are listed, too
    for text in (page, decks[path.stem]):
        assert any("mathjax/tex-svg-full.js" in link for link in attributes(text, "src"))


@by_name
def test_figures_are_described(site, decks, path):
    outputs = [output for cell in read(path).cells for output in cell.get("outputs", [])]
    described = {
        o.metadata["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})
    }
    assert described <= attributes(site[1][f"notebooks/{path.stem}.html"], "alt")
    slides = attributes(decks[path.stem], "alt")
    assert "" not in slides
    assert len(described & slides) > len(described) / 2  # the others are in cells that are skipped


@by_name
def test_solutions_are_folded_and_the_student_edition_has_none(site, path):
    page = site[1][f"notebooks/{path.stem}.html"]
    folded = re.findall(r'<details class="[^"]*hide[^"]*">.*?</details>', page, re.S)
    assert sum("BEGIN SOLUTION" in part for part in folded) == page.count("BEGIN SOLUTION") > 0
    student = site[0] / "student" / path.name
    assert "BEGIN SOLUTION" not in student.read_text("utf-8")
    assert {f"../student/{path.name}", f"../_sources/notebooks/{path.name}"} <= attributes(
        page, "href"
    )
    assert (site[0] / "_sources" / "notebooks" / path.name).read_bytes() == path.read_bytes()


def test_a_warning_is_an_error_and_spares_the_old_site(tmp_path, monkeypatch, capfd):
    (tmp_path / "README.md").write_text("# Front page\n\n[Nothing](nothing.md)\n", encoding="utf-8")
    target = tmp_path / "build" / "site"
    target.mkdir(parents=True)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="warnings"):
        pages.run_sphinx("html", NOTEBOOKS, target)
    assert "nothing.md" in capfd.readouterr().err
    assert target.exists()


# ------------------------------------------------------------------------------------------ slides


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_is_tagged_for_slides(path):
    cells = read(path).cells
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in cells]
    assert set(kinds) <= {"slide", "subslide", "fragment", "skip", "notes", "-"}
    assert kinds[0] == "slide"
    for cell, kind in zip(cells, kinds, strict=True):
        assert kind == "skip" or "BEGIN SOLUTION" not in cell.source, cell.id


def test_sections_questions_and_exercises_begin_a_slide_within_a_cell_too():
    kind = {"slideshow": {"slide_type": "-"}}
    parts = ["One.", "## 2 · Two", "> **Pause and predict.** Three?", "**Exercise 1.** Four."]
    cell = new_markdown_cell("\n\n".join(parts), metadata=kind)
    found = list(pages.cut(cell))
    assert [part.source.strip() for part in found] == parts
    kinds = [part.metadata.slideshow.slide_type for part in found]
    assert kinds == ["-", "subslide", "subslide", "subslide"]
    whole = [new_code_cell(cell.source), new_markdown_cell(cell.source)]
    whole[1].metadata.slideshow = {"slide_type": "skip"}
    assert [list(pages.cut(each)) for each in whole] == [[each] for each in whole]


@by_name
def test_a_deck_shows_what_its_metadata_says(decks, path):
    deck = decks[path.stem]
    cells = read(path).cells
    starts = sum(cell.metadata.slideshow.slide_type == "slide" for cell in cells)
    assert len(re.findall(r"<section\s*><section", re.sub(r">\s+<", "><", deck))) == starts
    assert "BEGIN SOLUTION" not in re.sub("<[^>]*>", "", deck)
    assert f"<title>{html.escape(pages.title(path), quote=False)} slides</title>" in deck


def test_links_of_a_deck_lead_to_decks_and_to_the_site(decks):
    links = attributes(decks["01_scalar_network"], "href")
    assert {"02_scalar_backprop.html", "../site/notebooks/GLOSSARY.html"} <= links
    assert {f"{path.stem}.html" for path in CHOSEN} <= attributes(decks["index"], "href")


# ----------------------------------------------------------------------------------------- the rest


def test_a_wrong_name_is_answered_with_those_there_are(capsys):
    assert pages.main(["site", "no_such_notebook"]) == 1
    assert re.search("no_such_notebook.*01_scalar_network", capsys.readouterr().err)


def test_included_files_are_those_of_the_list():
    listed = re.findall(r"^([0-9a-f]{64})  (\S+)$", (STATIC / "README.md").read_text("utf-8"), re.M)
    present = {p.relative_to(STATIC).as_posix() for p in STATIC.rglob("*") if p.is_file()}
    assert present == {name for _, name in listed} | {"README.md", "series.css", "slides.js"}
    for digest, name in listed:
        data = (STATIC / name).read_bytes().replace(b"\r\n", b"\n")  # as git on Windows may write
        assert hashlib.sha256(data).hexdigest() == digest, name
