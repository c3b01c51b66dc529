"""Slides, site and book in Chromium without a network: all is drawn, found and within reach."""

import pytest
from windows import Window

import pages
from helpers import runs

pytestmark = pytest.mark.browser

NAMES = runs.notebook_names()
GUIDE = ("README", "notebooks/TEACHING", "notebooks/GLOSSARY", "notebooks/REFERENCE")
PLAYER = "figure[data-player]"

# Go to every slide as a reader would, with answers closed; what is higher than the slide scrolls.
SLIDES = """() => Reveal.getSlides().map(slide => {
  const {h, v} = Reveal.getIndices(slide);
  Reveal.slide(h, v);
  const seen = {slide: `${h + 1}.${v + 1}`, wide: [], type: 99};
  seen.beyond = slide.scrollHeight - slide.clientHeight;
  slide.querySelectorAll("*:not(mjx-container *, figure *)").forEach(part => {
    const box = part.getBoundingClientRect();
    if (box.width && box.right > innerWidth) seen.wide.push(part.tagName);
    const written = [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    const size = parseFloat(getComputedStyle(part).fontSize) * part.currentCSSZoom;
    if (written) seen.type = Math.min(seen.type, size);
  });
  return seen;
})"""

# Formulas that are not drawn, and TeX that is still to be read outside code.
UNDRAWN = r"""() => {
  const undrawn = "mjx-merror, mjx-container:not(:has(svg)), .math:not(:has(svg))";
  const found = [...document.querySelectorAll(undrawn)];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (text.parentElement.closest("code, pre, script, style, mjx-container")) continue;
    if (/\$[^$]*\$|\\[a-zA-Z]{2,}/.test(text.data)) found.push(text);
  }
  return found.map(each => each.textContent);
}"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """All decks and the whole site, built from the notebooks as they are now."""
    target = tmp_path_factory.mktemp("build")
    paths = [runs.notebook_path(name) for name in NAMES]
    (target / "slides").mkdir()
    pages.build_slides(paths, target / "slides")
    pages.build_site(paths, target / "site")
    return target


@pytest.fixture(scope="module")
def window(new_window):
    """A window of 1280 by 720 that is without a network."""
    window = new_window(1280, 720)
    window.context.set_offline(True)
    window.page.on("console", lambda line: line.type == "error" and window.errors.append(line.text))
    window.page.on("requestfailed", lambda request: window.errors.append(request.url))
    return window


def show(window: Window, path) -> None:
    """Open a page and wait until its formulas are drawn; requests and errors are remembered."""
    window.outside.clear()
    window.errors.clear()
    window.page.goto(path.as_uri())
    if window.page.evaluate("!!window.require"):
        window.page.wait_for_function("window.Reveal && Reveal.isReady()")
    window.page.evaluate("window.MathJax && MathJax.startup.promise")


def is_whole(window: Window) -> None:
    """See that nothing is missing on the page that is shown."""
    assert not window.page.evaluate(UNDRAWN)
    blank = "[...document.images].filter(image => image.complete && !image.naturalWidth).length"
    assert window.page.evaluate(blank) == 0
    assert not window.outside
    assert not window.errors


# ------------------------------------------------------------------------------------------ slides


@pytest.mark.parametrize("name", NAMES)
def test_a_deck_needs_no_network_and_draws_its_formulas(built, window, name):
    show(window, built / "slides" / f"{name}.html")
    assert window.page.evaluate("document.querySelectorAll('mjx-container').length") > 10
    is_whole(window)


def test_slides_can_be_read_from_the_last_row_and_one_in_ten_may_scroll(built, window):
    total, beyond = 0, []
    for name in NAMES:
        show(window, built / "slides" / f"{name}.html")
        slides = window.page.evaluate(SLIDES)
        total += len(slides)
        beyond += [f"{name[:2]}: {each['slide']}" for each in slides if each["beyond"] > 1]
        assert not [each for each in slides if each["wide"]], name
        assert min(each["type"] for each in slides) > 14, name
        assert not window.errors
    print(f"{len(beyond)} of {total} slides scroll: {', '.join(beyond)}")
    assert len(beyond) <= total / 10, beyond


def test_keys_move_through_a_deck(built, window):
    show(window, built / "slides" / f"{NAMES[0]}.html")
    window.page.keyboard.press("Space")
    window.page.wait_for_function("Reveal.getSlidePastCount() === 1")
    window.page.wait_for_function("location.hash.startsWith('#/')")


# ---------------------------------------------------------------------------------- site and book


@pytest.mark.parametrize("page", [*GUIDE, *(f"notebooks/{name}" for name in NAMES)])
def test_a_page_needs_no_network_and_fits_its_window(built, window, page):
    show(window, built / "site" / f"{page}.html")
    is_whole(window)
    try:
        for width in (390, 1280):
            window.page.set_viewport_size({"width": width, "height": 720})
            assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        window.page.set_viewport_size({"width": 1280, "height": 720})


def test_the_search_finds_momentum(built, window):
    show(window, built / "site" / "search.html")
    window.page.goto((built / "site" / "search.html").as_uri() + "?q=momentum")
    results = window.page.locator("#search-results li a")
    results.first.wait_for()
    assert any("08_" in link.get_attribute("href") for link in results.all())
    is_whole(window)


def test_a_link_of_the_glossary_leads_to_its_cell(built, window):
    show(window, built / "site" / "notebooks" / "GLOSSARY.html")
    window.page.locator("a[href*='#cell-04-']").first.click()
    window.page.wait_for_url("**/04_*.html#cell-04-*")
    assert window.page.evaluate("document.querySelector(location.hash) !== null")


@pytest.mark.parametrize("kind", ["slides", "site/notebooks"])
def test_the_animation_plays(built, window, kind):
    (name,) = [name for name in NAMES if name.startswith("06")]
    show(window, built / kind / f"{name}.html")
    if kind == "slides":
        window.page.evaluate(
            """selector => {
              const {h, v} = Reveal.getIndices(document.querySelector(selector).closest("section"));
              Reveal.slide(h, v);
            }""",
            PLAYER,
        )
    player = window.page.locator(PLAYER).first
    before = player.locator("img").get_attribute("src")
    player.get_by_role("button", name="Play").click()
    window.page.wait_for_function(
        "([player, before]) => document.querySelector(player + ' img').src !== before",
        arg=[PLAYER, before],
    )
    assert not window.errors


def test_the_book_prints(chromium, tmp_path):
    book = pages.build_book([runs.notebook_path("01")], tmp_path, chromium)
    assert book.read_bytes().startswith(b"%PDF")
    assert book.stat().st_size > 100_000
