"""Cut a notebook into slides of 1280×720 that hold together and do not overflow.

Each cell is cut into pieces: the blocks of its Markdown, its code, its outputs. Some pieces never
go on a slide (imports, parameters, solutions, the code that only draws a figure). A section begins
a slide; within it `deck` breaks where the fewest slides are needed and what belongs together
stays together. How tall a piece will be is estimated from its text and from the size of its
picture, on the tall side, with the type sizes of ``templates/deck/deck.css``.

Which slide a cell begins is also in its ``slideshow`` metadata, which Jupyter shows and which can
be edited there; `slide_types` proposes it. Cells without it are treated as proposed.
"""

from __future__ import annotations

import base64
import copy
import html
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

# The type area of deck.css, in pixels.
WIDTH, HEIGHT = 1120, 622  # what a slide offers below its running title, with a little to spare
TEXT, TEXT_LINE = 24, 33
CODE, CODE_LINE = 17, 23
PRINTED, PRINTED_LINE = 16.5, 22
LARGER, MONOSPACE = 1.18, 0.605  # short code is set larger; the width of a letter of code
TABLE, TABLE_LINE = 20, 27
GAP = 16  # between two pieces
ENLARGE = 1.35  # how far a figure may grow into free space
PLAYER = 500  # an output with a script: picture and controls of helpers.animate

FORBIDDEN, FORCED = math.inf, -math.inf
_HEADING = re.compile(r"^(#{1,6}) +(.+)$")
_FENCE = re.compile(r"^(```|~~~)")
_PAUSE = "> **Pause and predict"
_UNSHOWN = re.compile(
    r"### BEGIN SOLUTION|^exercises\.check_|^explore\.|^runs\.report\(|\A%matplotlib", re.MULTILINE
)
_PLOTS = re.compile(r"^\s*plt\.show\(\)\s*$", re.MULTILINE)


@dataclass
class Piece:
    """A part of a cell: one block of Markdown, or the input or the outputs of a code cell.

    ``height`` is in pixels; ``penalty`` is the price of a break before the piece, `FORBIDDEN` or
    `FORCED`; ``starts`` is the slide type that the piece begins, or "-".
    """

    cell: NotebookNode
    height: float
    penalty: float = 0.0
    starts: str = "-"
    section: str = ""

    @property
    def text(self) -> str:
        """The Markdown of the piece, or "" for code."""
        return self.cell.source if self.cell.cell_type == "markdown" else ""


# ------------------------------------------------------------------------------ blocks of Markdown


def blocks(source: str) -> list[str]:
    """Return the blocks of a Markdown source: paragraphs, headings, equations, lists, tables.

    They are separated by blank lines; a heading and a displayed equation are blocks of their own.
    Code between fences, an equation and an HTML ``<details>`` are never cut.
    """
    found: list[list[str]] = [[]]
    until = None  # what closes the block we are in
    for line in source.splitlines():
        if until is None:
            if not line.strip():
                found.append([])
                continue
            if _HEADING.match(line) or line.startswith("$$") or _FENCE.match(line):
                found.append([])
            elif line[0].isspace() and not found[-1] and len(found) > 1 and _is_list(found[-2]):
                found.pop()
                found[-1].append("")
        found[-1].append(line)
        until = _still_open(line, until)
        if until is None and (_HEADING.match(line) or line.endswith("$$") or _FENCE.match(line)):
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


def _still_open(line: str, until: str | None) -> str | None:
    """Return what has to come to close the block after `line`, or None."""
    if until is not None:
        return None if until in line else until
    if line.startswith("$$"):
        return None if line.count("$$") > 1 else "$$"
    if match := _FENCE.match(line):
        return match[1]
    return "</details>" if "<details" in line and "</details>" not in line else None


def _is_list(lines: list[str]) -> bool:
    return bool(lines) and bool(re.match(r"([-*+]|\d+\.) ", lines[0]))


# ----------------------------------------------------------------------------------------- heights


def plain(markdown: str) -> str:
    """Return about as many characters as a reader sees of a line of Markdown with formulas."""
    text = re.sub(r"\\color\{[^}]*\}|<[^>]+>|\]\([^)]*\)|\*\*|`", "", markdown)
    text = re.sub(
        r"\\(frac|tfrac|dfrac|text|mathrm|mathbb|mathbf|operatorname|left|right)\b", "", text
    )
    text = re.sub(r"\\[A-Za-z]+ ?", "m", text)
    return re.sub(r"[{}$\\^_\[]", "", text)


def _lines(text: str, width: float, size: float, advance: float = 0.5) -> int:
    """Return how many lines `text` fills, in letters `advance`·`size` wide on average."""
    return max(1, math.ceil(len(text) * size * advance / width))


def _equation_height(tex: str) -> float:
    """Return the height of a displayed equation, row by row of its alignment."""
    matrix = max(
        (m.count(r"\\") + 1 for m in re.findall(r"matrix\}(.*?)\\end", tex, re.S)), default=0
    )
    cases = max(
        (m.count(r"\\") + 1 for m in re.findall(r"cases\}(.*?)\\end", tex, re.S)), default=0
    )
    inner = re.sub(r"\\begin\{(\w*matrix|cases)\}.*?\\end\{\1\}", "", tex, flags=re.S)
    rows = re.split(r"\\\\", inner)
    height = 0.5 * (len(rows) - 1)
    for row in rows:
        row_height = 2.6 if re.search(r"\\(d?frac|sum|prod|int)\b", row) else 1.6
        row_height += 1.15 * min(2, row.count(r"\underbrace"))
        parts = re.split(r"\\qquad", row)
        width = len(plain(row)) * 0.55 * TEXT
        height += row_height * min(len(parts), max(1, math.ceil(width / WIDTH)))
    return TEXT * max(height, 1.45 * max(matrix, cases)) + 14


def _table_height(lines: list[str]) -> float:
    """Return the height of a Markdown table."""
    return _rows_height(
        [re.split(r" \| ", plain(x.strip().strip("|"))) for x in lines[:1] + lines[2:]]
    )


def _rows_height(rows: list[list[str]]) -> float:
    """Return the height of a table whose wide columns share what the narrow ones leave."""
    columns = max((len(row) for row in rows), default=0)
    rows = [row + [""] * (columns - len(row)) for row in rows]
    wanted = [max(len(row[c]) for row in rows) * 0.53 * TABLE + 24 for c in range(columns)]
    narrow = sum(w for w in wanted if w < 260)
    wide = sum(w for w in wanted if w >= 260)
    factor = min(1.0, max(0.1, (WIDTH - narrow) / wide)) if wide else 1.0
    widths = [w if w < 260 else w * factor for w in wanted]
    height = 0.0
    for row in rows:
        cells = zip(row, widths, strict=True)
        height += max(_lines(c, w - 23, TABLE, 0.53) for c, w in cells) * TABLE_LINE + 10
    return height


def _html_rows(page: str) -> list[list[str]]:
    """Return the text of the cells of an HTML table, row by row."""
    rows = re.findall(r"<tr\b.*?</tr>", page, re.S)
    cells = [re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
    return [[html.unescape(re.sub(r"<[^>]+>", "", c)).strip() for c in row] for row in cells]


def _markdown_height(block: str) -> float:
    """Return the height of one block of Markdown, with its folded answers open."""
    lines = block.splitlines()
    if match := _HEADING.match(lines[0]):
        return {1: 64, 2: 54}.get(len(match[1]), 44)
    if lines[0].startswith("$$"):
        return _equation_height(block)
    if lines[0].startswith("|"):
        return _table_height(lines)
    if _FENCE.match(lines[0]):
        return (len(lines) - 2) * CODE_LINE + 20
    if lines[0].startswith(">"):
        inner = re.sub(r"^> ?", "", block, flags=re.M)
        return 28 + sum(_markdown_height(b) for b in blocks(inner))
    if _is_list(lines):
        items = re.split(r"^(?:[-*+]|\d+\.) +", block, flags=re.M)[1:]
        return sum(_lines(plain(item), WIDTH - 40, TEXT) * TEXT_LINE + 6 for item in items)
    folded = re.findall(r"<details>(.*?)</details>", block, re.S)
    text = re.sub(r"<details>.*?</details>", "", block, flags=re.S)
    height = _lines(plain(text), WIDTH, TEXT) * TEXT_LINE if text.strip() else 0
    return height + sum(40 + _lines(plain(f), WIDTH - 60, TEXT - 2) * TEXT_LINE for f in folded)


def is_short(text: str, size: float, lines: int = 16) -> bool:
    """Whether code or printed text is short and narrow enough for the larger type."""
    rows = text.rstrip("\n").splitlines() or [""]
    longest = max(len(row) for row in rows)
    return len(rows) <= lines and longest * MONOSPACE * size * LARGER <= WIDTH - 34


def _monospaced_height(text: str, size: float, line: float) -> float:
    """Return the height of code or printed text, with its padding."""
    factor = LARGER if is_short(text, size) else 1.0
    rows = text.rstrip("\n").splitlines() or [""]
    count = sum(_lines(row, WIDTH - 34, size * factor, MONOSPACE) for row in rows)
    return count * math.ceil(line * factor) + 18


def png_size(data: str) -> tuple[int, int]:
    """Return width and height in pixels of a PNG encoded in base64."""
    return struct.unpack(">II", base64.b64decode(data[:64])[16:24])


def _output_height(output: NotebookNode) -> float:
    """Return the height of one output in the form that HTML shows."""
    if "text" in output:
        return _monospaced_height(output.text, PRINTED, PRINTED_LINE)
    data = output.get("data", {})
    if "text/html" in data:
        if "<script" in data["text/html"]:
            return PLAYER
        paragraphs = len(re.findall(r"<p\b", data["text/html"]))
        return _rows_height(_html_rows(data["text/html"])) + paragraphs * TEXT_LINE + 10
    if "image/png" in data:
        width, height = png_size(data["image/png"])
        return min(height * min(1, WIDTH / width), HEIGHT)
    return _monospaced_height(data.get("text/plain", ""), PRINTED, PRINTED_LINE)


# ------------------------------------------------------------------------------------------ pieces


def is_skipped(cell: NotebookNode) -> bool:
    """Whether a code cell never goes on a slide: set-up, solutions, checks, sliders, reports.

    Nor does one that only defines how to draw; the figures that come of it do.
    """
    if cell.cell_type != "code":
        return False
    source = cell.source.strip()
    tags = cell.metadata.get("tags", [])
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    if not source or hidden or {"parameters", "solution"} & set(tags):
        return True
    if _UNSHOWN.search(source):
        return True
    lines = [x for x in source.splitlines() if x.strip()]
    if all(re.match(r"(import|from) ", line) for line in lines):
        return True
    functions = re.findall(r"^def (\w+)", source, re.MULTILINE)
    return bool(functions) and all(name.startswith("draw_") for name in functions)


def _part(cell: NotebookNode, **changes) -> NotebookNode:
    """Return a copy of a cell with other contents, and without the metadata of the whole."""
    part = copy.copy(cell)
    part.metadata = copy.deepcopy(cell.metadata)
    part.metadata.pop("slideshow", None)
    part.update(changes)
    return part


def _code_pieces(cell: NotebookNode) -> Iterator[Piece]:
    """Yield the input of a code cell and each of its outputs."""
    scripted = any("<script" in o.get("data", {}).get("text/html", "") for o in cell.outputs)
    figure = any("image/png" in o.get("data", {}) for o in cell.outputs) and _PLOTS.search(
        cell.source
    )
    shows_source = not (figure or scripted)
    if shows_source:
        part = _part(cell, outputs=[])
        part.metadata["larger"] = is_short(cell.source, CODE)
        yield Piece(part, _monospaced_height(cell.source, CODE, CODE_LINE))
    outputs = [part for output in cell.outputs for part in _cut_output(output)]
    for number, output in enumerate(outputs):
        part = _part(cell, outputs=[output])
        part.metadata["transient"] = {"remove_source": True}
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        part.metadata["larger"] = is_short(text, PRINTED)
        yield Piece(part, _output_height(output), penalty=60 if shows_source or number else 0)


def _markdown_pieces(cell: NotebookNode, in_exercise: bool) -> Iterator[Piece]:
    """Yield the blocks of a Markdown cell that go on slides."""
    previous = ""
    for block in blocks(cell.source):
        if in_exercise or block.startswith("**Exercise"):
            in_exercise = not _HEADING.match(block)
            answer = r"<details>\s*<summary>Answer</summary>.*?</details>\s*"
            block = re.sub(answer, "", block, flags=re.S).strip() if in_exercise else block
        if not block or re.match(r"(Previous|Next): \[", block):
            continue
        for part in _cut_table(block):
            piece = Piece(_part(cell, source=part), _markdown_height(part))
            piece.penalty = _penalty(part, previous)
            yield piece
            previous = part


def _cut_table(block: str) -> list[str]:
    """Cut a table that is taller than a slide into several, each with the header."""
    lines = block.splitlines()
    if not block.startswith("|") or _markdown_height(block) <= HEIGHT - 60:
        return [block]
    header, rows = lines[:2], lines[2:]
    parts = math.ceil(_markdown_height(block) / (HEIGHT - 120))
    size = math.ceil(len(rows) / parts)
    return ["\n".join(header + rows[i : i + size]) for i in range(0, len(rows), size)]


def _cut_output(output: NotebookNode) -> list[NotebookNode]:
    """Cut an HTML table that is taller than a slide into several, each with the header."""
    page = output.get("data", {}).get("text/html", "")
    match = re.fullmatch(r"(.*<tbody>)(.*)(</tbody>.*)", page, re.S)
    height = _output_height(output)
    if not match or height <= HEIGHT or "rowspan" in page:
        return [output]
    rows = re.findall(r"<tr\b.*?</tr>", match[2], re.S)
    parts = math.ceil(height / (HEIGHT - 80))
    size = math.ceil(len(rows) / parts)
    cut = []
    for i in range(0, len(rows), size):
        part = copy.deepcopy(output)
        part.data["text/html"] = match[1] + "".join(rows[i : i + size]) + match[3]
        cut.append(part)
    return cut


def _penalty(block: str, previous: str) -> float:
    """Return the price of a break between two blocks of the same cell."""
    if previous.startswith(_PAUSE) or block.startswith(("## ", "### ")):
        return FORCED
    if block.startswith("$$") and previous:
        return 400
    if previous.startswith(("$$", "|")):
        return 25 if not block[:1].islower() else 70
    return 8 if previous else 0


def _penalty_between(before: Piece, after: Piece) -> float:
    """Return the price of a break between pieces of two cells."""
    text = before.text
    if text.startswith(_PAUSE):
        return FORCED
    if _HEADING.match(text) and "\n" not in text:
        return FORBIDDEN
    caption = after.text.startswith("*") and not after.text.startswith("**")
    if caption and not text:
        return 900
    if text.rstrip().endswith(":"):
        return 250
    if after.cell.cell_type == "code":
        run_in = bool(re.match(r"\*\*[^*]+[.:]\*\*", text))  # a heading in bold, with its sentence
        return max(after.penalty, 200 if run_in else 70 if text else 5)
    return 0


def pieces(nb: NotebookNode, tagged: bool = True) -> list[Piece]:
    """Return the pieces of a notebook that go on slides, with penalties and heights.

    With `tagged` false, the ``slideshow`` metadata is not read.
    """
    found: list[Piece] = []
    section, dropping, in_exercise = "", False, False
    for cell in nb.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type") if tagged else None
        if kind == "skip" or (kind is None and is_skipped(cell)) or cell.cell_type == "raw":
            continue
        code = cell.cell_type == "code"
        first = True
        for piece in _code_pieces(cell) if code else _markdown_pieces(cell, in_exercise):
            if match := re.match(r"##? +(.*)", piece.text):
                section = match[1]
                dropping = "Further reading" in section
                piece.starts = "slide"
            if dropping:
                continue
            if found and first:
                piece.penalty = _penalty_between(found[-1], piece)
            elif found and _HEADING.match(found[-1].text):
                piece.penalty = FORBIDDEN
            if first and kind in ("slide", "subslide", "fragment", "notes"):
                piece.starts = kind if piece.starts == "-" else piece.starts
            piece.section = section
            found.append(piece)
            first = False
        in_exercise = not code and "**Exercise" in cell.source
    return found


# ------------------------------------------------------------------------------------------ slides


def deck(nb: NotebookNode, tagged: bool = True) -> list[list[Piece]]:
    """Return the slides of a notebook, each a list of pieces; the first says what it ``starts``."""
    runs: list[list[Piece]] = []
    for piece in pieces(nb, tagged):
        breaks = piece.starts in ("slide", "subslide") or piece.penalty == FORCED
        if not runs or breaks:
            runs.append([])
        runs[-1].append(piece)
    slides = [slide for run in runs for slide in _fill(run)]
    for slide in slides:
        if slide[0].starts != "slide":
            slide[0].starts = "subslide"
    if slides:
        slides[0][0].starts = "slide"
    return slides


def _fill(run: list[Piece]) -> list[list[Piece]]:
    """Break a run of pieces into slides at the least total cost, by dynamic programming."""
    best = [0.0] + [math.inf] * len(run)
    start = [0] * (len(run) + 1)
    for end in range(1, len(run) + 1):
        height = -GAP
        for begin in range(end - 1, -1, -1):
            height += run[begin].height + GAP
            if height > HEIGHT and end - begin > 1:
                break
            price = best[begin] + _cost(height) + (run[begin].penalty if begin else 0)
            if price < best[end]:
                best[end], start[end] = price, begin
    if math.isinf(best[-1]):  # what must not be parted does not fit together
        for piece in run:
            piece.penalty = min(piece.penalty, 900)
        return _fill(run)
    slides, end = [], len(run)
    while end:
        slides.append(run[start[end] : end])
        end = start[end]
    return slides[::-1]


def _cost(height: float) -> float:
    """Return the price of a slide: one for itself, and one for what it leaves empty."""
    return 100 + 60 * max(0.0, 1 - height / HEIGHT) ** 2


def slide_types(nb: NotebookNode) -> list[str]:
    """Return for each cell the slide type that follows from its contents.

    "slide" begins a section, "subslide" another slide in it, "-" continues the slide, and "skip"
    is for what is left out. Within long cells `deck` breaks as well.
    """
    first = {}
    shown = set()
    for slide in deck(nb, tagged=False):
        for number, piece in enumerate(slide):
            shown.add(piece.cell.id)
            first.setdefault(piece.cell.id, piece.starts if number == 0 else "-")
    return [first.get(cell.id, "skip") if cell.id in shown else "skip" for cell in nb.cells]


def slide_notebook(nb: NotebookNode) -> NotebookNode:
    """Return a notebook with one cell for each piece, tagged for nbconvert's slides."""
    made = copy.copy(nb)
    made.cells = []
    title = ""
    for slide in deck(nb):
        _scale(slide)
        slide[0].cell.metadata["first_slide"] = not made.cells
        title = title or slide[0].section
        for number, piece in enumerate(slide):
            kind = piece.starts if number == 0 or piece.starts in ("fragment", "notes") else "-"
            piece.cell.metadata["slideshow"] = {"slide_type": kind}
            if number == 0:
                begins = piece.text.startswith(("# ", "## "))
                piece.cell.metadata["running_title"] = title if begins else piece.section
            piece.cell.id = f"{piece.cell.id}-{len(made.cells)}"  # each id once
            made.cells.append(piece.cell)
    return made


def _scale(slide: list[Piece]) -> None:
    """Let figures grow into the free space of their slide, and shrink what is too tall for it."""
    total = sum(piece.height + GAP for piece in slide) - GAP
    figures = [p for p in slide if _picture(p)]
    if figures:
        share = 1 + (HEIGHT - total) / sum(p.height for p in figures)
        for piece in figures:
            _set_size(piece, min(ENLARGE, share))
    elif total > HEIGHT:
        slide[0].cell.metadata["zoom"] = round(HEIGHT / total, 3)


def _picture(piece: Piece) -> str | None:
    """Return the PNG of a piece that is a figure."""
    outputs = piece.cell.get("outputs", [])
    data = outputs[0].get("data", {}) if outputs else {}
    return data.get("image/png") if "text/html" not in data else None


def _set_size(piece: Piece, factor: float) -> None:
    """Store the size in which the figure is shown, in the metadata that nbconvert reads."""
    width, height = png_size(_picture(piece))
    scale = min(piece.height / height * factor, WIDTH / width)
    output = copy.deepcopy(piece.cell.outputs[0])
    output.metadata.setdefault("image/png", {}).update(
        width=round(width * scale), height=round(height * scale)
    )
    piece.cell.outputs = [output]
