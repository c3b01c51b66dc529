"""Slides and hand-outs in Chromium without a network: nothing overflows, formulas are drawn."""

import pytest
from windows import Window

import pages
from helpers import runs

pytestmark = pytest.mark.browser

NAMES = runs.notebook_names()
GUIDE = [name for name in pages.GUIDE if (runs.NOTEBOOKS / f"{name}.md").exists()]
PLAYER = "figure[data-player]"

# For each slide, how far its contents reach, in the 1280 by 720 pixels of the slide, and what it
# cuts off. Answers are closed or open, and all fragments are shown.
MEASURE = """open => {
  document.querySelectorAll("details").forEach(details => { details.open = open; });
  return Reveal.getSlides().map(slide => {
    const {h, v} = Reveal.getIndices(slide);
    Reveal.slide(h, v, 999);
    const frame = slide.getBoundingClientRect();
    const reach = {slide: `${h + 1}.${v + 1}`, bottom: 0, right: 0, cut: []};
    slide.querySelectorAll(".page *").forEach(part => {
      const box = part.getBoundingClientRect();
      if (box.width && box.height) {
        reach.bottom = Math.max(reach.bottom, box.bottom - frame.top);
        reach.right = Math.max(reach.right, box.right - frame.left);
      }
      const hides = getComputedStyle(part).overflowX !== "visible";
      if (hides && part.scrollWidth > part.clientWidth + 1) reach.cut.push(part.className);
    });
    return reach;
  });
}"""

# The smallest type on the slides, in pixels of 1280, apart from formulas and what reveal.js adds.
SMALLEST = """() => {
  const sizes = {text: 99, code: 99};
  Reveal.getSlides().forEach(slide => slide.querySelectorAll(".page *").forEach(part => {
    const written = [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!written || part.closest("math, figure")) return;
    const size = parseFloat(getComputedStyle(part).fontSize) * (part.currentCSSZoom || 1);
    const kind = part.closest("pre, code") ? "code" : "text";
    sizes[kind] = Math.min(sizes[kind], size);
  }));
  return sizes;
}"""

# Formulas that are not drawn, and TeX that is still to be read outside code.
UNDRAWN = r"""() => {
  const found = [];
  document.querySelectorAll("math").forEach(math => {
    if (!math.checkVisibility({contentVisibilityAuto: false})) return;
    const box = math.getBoundingClientRect();
    if (!(box.width && box.height)) found.push("not drawn: " + math.textContent);
  });
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (text.parentElement.closest("code, pre, script, style")) continue;
    if (/\$[^$]*\$|\\[a-zA-Z]{2,}/.test(text.data)) found.push(text.data);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """All decks and pages, built from the notebooks as they are now."""
    target = tmp_path_factory.mktemp("build")
    for kind in pages.KINDS:
        pages.build(kind, output_dir=target / kind)
    return target


@pytest.fixture(scope="module")
def window(new_window):
    """A window of 1280 by 720 that is without a network."""
    window = new_window(1280, 720)
    window.context.set_offline(True)
    window.page.on("console", lambda line: window.errors.append(line.text))
    return window


def show(window: Window, path) -> None:
    """Open a built page; every request but for the page itself is remembered."""
    window.outside.clear()
    window.errors.clear()
    window.page.goto(path.as_uri())
    window.page.evaluate("document.fonts.ready")
    if path.parent.name == "slides" and path.stem != "index":
        window.page.wait_for_function("window.Reveal && Reveal.isReady()")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answers", ["closed", "open"])
def test_no_slide_overflows(built, window, name, answers):
    show(window, built / "slides" / f"{name}.html")
    reaches = window.page.evaluate(MEASURE, answers == "open")
    assert len(reaches) > 10
    too_large = [r for r in reaches if r["bottom"] > 712 or r["right"] > 1208 or r["cut"]]
    assert not too_large, f"{len(too_large)} of {len(reaches)} slides of {name}: {too_large}"


def test_a_slide_that_overflows_is_noticed(built, window):
    show(window, built / "slides" / f"{NAMES[0]}.html")
    window.page.evaluate(
        "document.querySelector('.page').insertAdjacentHTML('beforeend',"
        " '<div style=\"height: 700px; width: 1300px\">tall</div>')"
    )
    first = window.page.evaluate(MEASURE, False)[0]
    assert first["bottom"] > 720
    assert first["right"] > 1280


@pytest.mark.parametrize("name", NAMES)
def test_slides_can_be_read_from_the_last_row(built, window, name):
    show(window, built / "slides" / f"{name}.html")
    sizes = window.page.evaluate(SMALLEST)
    assert sizes["text"] >= 18
    assert sizes["code"] >= 14


@pytest.mark.parametrize("name", ["index", *NAMES])
def test_a_deck_needs_no_network_and_draws_its_formulas(built, window, name):
    show(window, built / "slides" / f"{name}.html")
    assert not window.page.evaluate(UNDRAWN)
    assert not window.outside
    assert not window.errors


@pytest.mark.parametrize("name", ["index", *NAMES, *GUIDE])
def test_a_page_needs_no_network_and_draws_its_formulas(built, window, name):
    show(window, built / "html" / f"{name}.html")
    assert not window.page.evaluate(UNDRAWN)
    blank = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
    assert window.page.evaluate(blank) == 0
    assert not window.outside
    assert not window.errors


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["index", *NAMES, *GUIDE])
def test_a_page_is_not_wider_than_the_window(built, window, name, width):
    window.page.set_viewport_size({"width": width, "height": 720})
    try:
        show(window, built / "html" / f"{name}.html")
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        window.page.set_viewport_size({"width": 1280, "height": 720})


@pytest.mark.parametrize("kind", pages.KINDS)
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
    player = window.page.locator(PLAYER)
    before = player.locator("img").get_attribute("src")
    player.get_by_role("button", name="Play").click()
    window.page.wait_for_function(
        "([player, before]) => document.querySelector(player + ' img').src !== before",
        arg=[PLAYER, before],
    )
    assert not window.errors


def test_keys_move_through_a_deck(built, window):
    show(window, built / "slides" / f"{NAMES[0]}.html")
    window.page.keyboard.press("Space")
    window.page.wait_for_function("Reveal.getSlidePastCount() === 1")
    window.page.wait_for_function("location.hash.startsWith('#/')")


def test_a_page_prints_without_cutting_figures(built, window):
    """In print the controls are gone, and no figure is taller than an A4 sheet between margins."""
    show(window, built / "html" / f"{NAMES[0]}.html")
    window.page.emulate_media(media="print")
    try:
        assert not window.page.locator("header nav").is_visible()
        heights = window.page.evaluate("[...document.images].map(image => image.clientHeight)")
        assert heights
        assert max(heights) < 950
    finally:
        window.page.emulate_media(media="screen")
