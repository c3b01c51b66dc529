"""Write the student edition of the notebooks, for a class with or without nbgrader.

``python -m helpers.editions student`` is `make student`. It writes two folders of notebooks:

``build/student/``
    What students open. Solutions and the answers to paper exercises are gone, outputs are
    cleared, hints stay, and the notebooks run to their last cell before anything is solved. For
    nbgrader this is a released assignment (its ``release/<assignment>/``).
``build/teacher/``
    The same with solutions, answers and hidden tests: nbgrader's ``source/<assignment>/``. From
    it, ``nbgrader generate_assignment`` makes ``build/student/`` cell for cell and fills the
    gradebook that ``nbgrader autograde`` needs. `make clean` leaves both alone.

The committed notebooks hold no nbgrader metadata; these follow from what stands in them. An
exercise begins at ``**Exercise 2 (code, medium).**``. In it,

* a cell with ``### BEGIN SOLUTION`` is an answer, of which nbgrader leaves the stub;
* the cell ``exercises.check_…(…)`` after it is a locked test. Its verdict is only shown, so that
  an unsolved exercise stops no one; a hidden test asserts it when nbgrader grades;
* ``<details><summary>Answer</summary>`` becomes a cell of its own, which students fill in and
  teachers grade by hand. Cells tagged ``solution`` move into it, as the code of the answer.

An exercise is worth one point if easy, two if medium, three if harder.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import runs

if TYPE_CHECKING:
    from nbformat import NotebookNode

BUILD = runs.ROOT / "build"
COMPANION = "GLOSSARY.md"  # goes with the notebooks, and has links into them
POINTS = {"easy": 1, "medium": 2, "harder": 3}
BEGIN_SOLUTION = "### BEGIN SOLUTION"
HIDDEN_TEST = (
    "\n### BEGIN HIDDEN TESTS\nassert (verdict := {call}).passed, verdict\n### END HIDDEN TESTS"
)
_MARKS = re.compile(
    r"^\*\*Exercise (?P<number>\d+) \((?P<kind>\w+)(?:, (?P<level>\w+))?\)"
    r"|^<details><summary>(?P<fold>Answer|Hint)</summary>.*?</details>[ \t]*$"
    r"|^(?P<heading>#{1,6}) ",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Exercise:
    """An exercise: number, kind ("code", "paper", …), level, and where its parts are.

    ``solution``, ``check`` and ``answer`` are the ids of these cells in the teacher's edition, or
    "" where there is none. ``level`` is "" if the exercise names none; it counts as medium then.
    """

    number: int
    kind: str
    level: str = ""
    hints: int = 0
    solution: str = ""
    check: str = ""
    answer: str = ""
    code: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        """What the exercise is worth."""
        return POINTS.get(self.level, POINTS["medium"])

    @property
    def name(self) -> str:
        """The beginning of the names that nbgrader gets for its cells."""
        return f"exercise-{self.number}"


# ------------------------------------------------------------------------------- two editions


def teacher_edition(nb: NotebookNode) -> NotebookNode:
    """Return the notebook as nbgrader expects it in ``source/``: metadata and hidden tests added.

    Raises
    ------
    ValueError : a solution or check that belongs to no exercise, a solution outside a function,
        exercises out of order, code without an answer.
    """
    return _annotate(nb)[0]


def list_exercises(nb: NotebookNode) -> list[Exercise]:
    """Return the exercises of a committed notebook, in order."""
    return _annotate(nb)[1]


def student_edition(teacher: NotebookNode) -> NotebookNode:
    """Return what nbgrader releases from a teacher's edition, made by its own preprocessors."""
    from nbgrader import preprocessors

    nb, resources = copy.deepcopy(teacher), {}
    for name in (
        "LockCells",
        "ClearSolutions",
        "ClearOutput",
        "ClearHiddenTests",
        "ComputeChecksums",
        "CheckCellMetadata",
    ):
        nb, resources = getattr(preprocessors, name)().preprocess(nb, resources)
    return nb


def _annotate(nb: NotebookNode) -> tuple[NotebookNode, list[Exercise]]:
    """Return the teacher's edition of a notebook, and its exercises."""
    teacher, cells, found = copy.deepcopy(nb), [], []
    current: Exercise | None = None  # the exercise that a cell belongs to, None outside
    for cell in teacher.cells:
        if cell.cell_type == "markdown":
            pieces, current = _split(cell, current, found)
            cells += pieces
        elif "solution" in cell.metadata.get("tags", []):
            _expect(current, cell, "is tagged `solution`").code.append(cell.source)
        else:
            if BEGIN_SOLUTION in cell.source:
                _mark_solution(cell, _expect(current, cell, "holds a solution"))
            elif current and current.solution and "exercises.check_" in cell.source:
                _mark_check(cell, current)
                current = None
            cells.append(cell)
    for place, exercise in enumerate(found, 1):
        if exercise.number != place:
            raise ValueError(f"Exercise {exercise.number} stands where Exercise {place} should")
        if exercise.code or bool(exercise.solution) != bool(exercise.check):
            missing = "answer to put its code into" if exercise.code else "check after its solution"
            raise ValueError(f"Exercise {exercise.number} has no {missing}")
        if not (exercise.solution or exercise.answer):  # one that is not seen would stay
            raise ValueError(f"Exercise {exercise.number} has neither a solution nor an answer")
    teacher.cells = cells
    return teacher, found


def _expect(current: Exercise | None, cell: NotebookNode, what: str) -> Exercise:
    if current is None:
        raise ValueError(f"cell {cell.get('id')} {what}, expected an exercise before it")
    return current


def _split(
    cell: NotebookNode, current: Exercise | None, found: list[Exercise]
) -> tuple[list[NotebookNode], Exercise | None]:
    """Cut the answers to exercises out of a text, each into a cell of its own.

    New exercises are added to `found`. Return the cells, and the exercise open at their end.
    """
    pieces, start = [], 0
    ids = chain([cell.id], (f"{cell.id}-{part}" for part in count(2)))  # links lead to the first
    for mark in _MARKS.finditer(cell.source):
        if mark["number"]:
            current = Exercise(int(mark["number"]), mark["kind"], mark["level"] or "")
            found.append(current)
        elif mark["heading"]:
            current = None
        elif mark["fold"] == "Hint" and current:
            current.hints += 1
        elif mark["fold"] == "Answer" and current:
            pieces += _text_cell(cell, cell.source[start : mark.start()], ids)
            pieces.append(_answer_cell(current, mark[0]))
            start, current = mark.end(), None
    return pieces + _text_cell(cell, cell.source[start:], ids), current


def _text_cell(cell: NotebookNode, source: str, ids: Iterator[str]) -> list[NotebookNode]:
    """Return a cell with one part of a text, or nothing if the part is empty."""
    if not source.strip():
        return []
    piece = copy.deepcopy(cell)
    piece.source, piece.id = source.strip("\n"), next(ids)
    return [piece]


def _answer_cell(exercise: Exercise, answer: str) -> NotebookNode:
    """Return the cell of an answer that is graded by hand, with the code that belongs to it."""
    from nbformat.v4 import new_markdown_cell

    blocks = [f"```python\n{source}\n```" for source in exercise.code]
    exercise.code = []
    exercise.answer = f"{exercise.name}-answer"
    cell = new_markdown_cell("\n\n".join([*blocks, answer]), id=exercise.answer)
    _mark(cell, exercise.answer, solution=True, points=exercise.points)
    return cell


def _mark_solution(cell: NotebookNode, exercise: Exercise) -> None:
    """Make a cell with solution markers an answer that nbgrader strips; unfold it."""
    marks = re.findall(r"^([ \t]*)### (BEGIN|END) SOLUTION", cell.source, re.MULTILINE)
    if [word for _, word in marks] != ["BEGIN", "END"]:
        raise ValueError(f"cell {cell.id} needs one BEGIN SOLUTION and one END SOLUTION after it")
    if not marks[0][0]:
        raise ValueError(
            f"cell {cell.id}: its solution must stand in a function, as the stub raises"
        )
    exercise.solution = cell.id
    folds = cell.metadata.pop("jupyter", {})
    folds.pop("source_hidden", None)
    if folds:
        cell.metadata["jupyter"] = folds
    _mark(cell, exercise.name, solution=True)


def _mark_check(cell: NotebookNode, exercise: Exercise) -> None:
    """Make the cell that shows a verdict a test that nbgrader grades by this verdict."""
    shown = cell.source.strip()
    try:
        call = ast.parse(shown, mode="eval").body
    except SyntaxError:
        call = None
    if not (isinstance(call, ast.Call) and ast.unparse(call.func).startswith("exercises.check_")):
        raise ValueError(f"cell {cell.id} is {shown!r}, expected one call of a check")
    exercise.check = cell.id
    cell.source = shown + HIDDEN_TEST.format(call=ast.unparse(call))
    _mark(cell, f"{exercise.name}-check", solution=False, points=exercise.points)


def _mark(cell: NotebookNode, name: str, *, solution: bool, points: int | None = None) -> None:
    """Write nbgrader's metadata, of its schema 3; a cell with points is graded."""
    graded = points is not None
    cell.metadata["nbgrader"] = {
        "schema_version": 3, "grade_id": name, "grade": graded, "solution": solution,
        "locked": not solution, "task": False, **({"points": points} if graded else {}),
    }  # fmt: skip


# --------------------------------------------------------------------------------- two folders


def write_editions(
    names: Sequence[str] = (),
    *,
    folder: str | os.PathLike = runs.NOTEBOOKS,
    output_dir: str | os.PathLike = BUILD,
    say: Callable[[str], object] = print,
) -> None:
    """Write both editions of the named notebooks of `folder`, or of all, into `output_dir`.

    The folders ``student`` and ``teacher`` then hold these notebooks, if they are all, with the
    glossary, and nothing else. One that is there already is replaced if it is as it was written;
    if somebody worked in it, it is kept under another name. `say` is told what is done, a line
    at a time.

    Raises
    ------
    ValueError : an unknown notebook, or one whose exercises cannot be told apart.
    """
    paths = [runs.notebook_path(name, folder) for name in names or runs.notebook_names(folder)]
    if not paths:
        raise ValueError(f"there are no notebooks in {folder}")
    editions: dict[str, dict[str, str]] = {"student": {}, "teacher": {}}
    for path in paths:
        editions["student"][path.name], editions["teacher"][path.name], worth = _both(path)
        say(f"{path.stem}: {worth}")
    glossary = Path(folder) / COMPANION
    for edition, files in editions.items():
        if not names and glossary.exists():
            files[COMPANION] = glossary.read_text(encoding="utf-8")
        kept = _replace_folder(Path(output_dir) / edition, files)
        if kept:
            say(f"{kept.parent / edition} was not as it had been written; it is kept as {kept}")
        say(f"written: {Path(output_dir) / edition}")


def _both(path: Path) -> tuple[str, str, str]:
    """Return the student's and the teacher's edition of a notebook as text, and its worth."""
    import nbformat

    try:
        teacher, exercises = _annotate(nbformat.read(path, as_version=4))
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None
    total = sum(exercise.points for exercise in exercises)
    texts = [nbformat.writes(nb) + "\n" for nb in (student_edition(teacher), teacher)]
    return *texts, f"{len(exercises)} exercises, {total} points"


def _replace_folder(folder: Path, files: dict[str, str]) -> Path | None:
    """Make `folder` hold exactly these files; return where its former content is kept, if it is.

    Checksums beside the folder tell later what somebody has changed in it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for name, text in files.items():
        (new / name).write_text(text, encoding="utf-8", newline="\n")
    sums, kept = folder.with_name(f".{folder.name}.json"), None
    if folder.exists() and _untouched(folder, sums):
        shutil.rmtree(folder)
    elif folder.exists():
        taken = {path.name for path in folder.parent.iterdir()}
        number = next(n for n in range(1, len(taken) + 2) if f"{folder.name}-{n}" not in taken)
        kept = folder.rename(folder.with_name(f"{folder.name}-{number}"))
    written = json.dumps(_checksums(new), indent=1)
    new.rename(folder)
    sums.write_text(written, encoding="utf-8")
    return kept


def _untouched(folder: Path, sums: Path) -> bool:
    """Whether a folder holds what was written there, according to the checksums in a file."""
    try:
        return json.loads(sums.read_text(encoding="utf-8")) == _checksums(folder)
    except (OSError, ValueError):
        return False


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder; Jupyter's own copies do not count."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if ".ipynb_checkpoints" not in path.parts
    }


# ---------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the editions and say where they are; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.editions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("edition", choices=["student"], help="the teacher's comes with it")
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="default: all")
    parser.add_argument("--folder", default=runs.NOTEBOOKS, help="of the notebooks")
    parser.add_argument("--output-dir", default=BUILD, help="default: build/")
    options = parser.parse_args(arguments)
    try:
        write_editions(options.names, folder=options.folder, output_dir=options.output_dir)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
