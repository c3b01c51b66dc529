"""Write the notebooks without solutions for a class, and what nbgrader makes them from.

``python .ci/editions.py`` is `make student`. It writes two folders of notebooks:

``build/student/``
    What students open: solutions, answers to paper exercises and outputs are gone, hints stay,
    and the notebooks run to their last cell before anything is solved. For nbgrader this is a
    released assignment (its ``release/<assignment>/``).
``build/teacher/``
    The same with solutions, answers and hidden tests (nbgrader's ``source/<assignment>/``), of
    which ``nbgrader generate_assignment`` makes ``build/student/`` cell for cell.

In the committed notebooks, solutions and checks carry nbgrader's metadata. Two things are added:
behind each check, of which students only see the verdict, a hidden test that asserts it; and for
each folded answer of an exercise a cell that students fill in and teachers grade by hand.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from nbgrader import preprocessors

from helpers.runs import NOTEBOOKS, ROOT, notebook_names, notebook_path

BUILD = ROOT / "build"
POINTS = {"easy": 1, "medium": 2, "harder": 3}
EXERCISE = re.compile(r"^\*\*Exercise (\d+) \(.*?(\w+)\)", re.MULTILINE)  # number and level
ANSWER = re.compile(r"^(<details><summary>Answer</summary>.*?</details>)[ \t]*$", re.M | re.S)
BY_HAND = {"schema_version": 3, "grade": True, "solution": True, "locked": False, "task": False}
HIDDEN_TEST = """{check}
### BEGIN HIDDEN TESTS
assert (verdict := {check}).passed, verdict
### END HIDDEN TESTS"""
RELEASE = (
    preprocessors.LockCells,
    preprocessors.ClearSolutions,
    preprocessors.ClearOutput,
    preprocessors.ClearHiddenTests,
    preprocessors.ComputeChecksums,
    preprocessors.CheckCellMetadata,
)


def teacher_edition(nb: NotebookNode) -> NotebookNode:
    """Return the notebook as nbgrader expects it in ``source/``.

    A ValueError says that an exercise has neither check nor answer: its solution might stay.
    """
    teacher = copy.deepcopy(nb)
    teacher.cells = list(_teacher_cells(teacher.cells))
    exercises = sum(len(EXERCISE.findall(cell.source)) for cell in nb.cells)
    if exercises != len(graded(teacher)):
        raise ValueError(f"{exercises} exercises, but {len(graded(teacher))} checks and answers")
    return teacher


def student_edition(teacher: NotebookNode) -> str:
    """Return what nbgrader releases from a teacher's edition, as the text of a notebook."""
    return NotebookExporter(preprocessors=RELEASE).from_notebook_node(teacher)[0]


def graded(nb: NotebookNode) -> list[NotebookNode]:
    """Return the cells of a notebook that earn points."""
    return [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade")]


def _teacher_cells(cells: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """Yield the cells of the teacher's edition; the given ones are changed."""
    exercise, code = None, []  # number and level of the last exercise; its code outside functions
    for cell in cells:
        if "solution" in cell.metadata.get("tags", []):  # goes into the answer
            code.append(f"```python\n{cell.source}\n```\n\n")
        elif cell.cell_type == "markdown":
            for part in _split(cell):
                if found := EXERCISE.findall(part.source):
                    exercise = found[-1]
                elif exercise and ANSWER.match(part.source):
                    part.source = "".join([*code, part.source])
                    number, level = exercise
                    name = {"grade_id": f"exercise-{number}-answer", "points": POINTS[level]}
                    part.metadata["nbgrader"] = NotebookNode(BY_HAND | name)
                    code.clear()
                yield part
        else:
            if metadata := cell.metadata.get("nbgrader"):
                cell.metadata.pop("jupyter", None)  # a solution is folded no more
                if metadata.grade:
                    cell.source = HIDDEN_TEST.format(check=cell.source)
            yield cell


def _split(cell: NotebookNode) -> Iterator[NotebookNode]:
    """Yield the answers of a text and what is between them; links lead to the first part."""
    parts = filter(str.strip, ANSWER.split(cell.source))
    for number, source in enumerate(parts, 1):
        name = cell.id if number == 1 else f"{cell.id}-{number}"
        metadata = NotebookNode(cell.metadata)
        yield new_markdown_cell(source.strip("\n"), id=name, metadata=metadata)


def write_editions(paths: Sequence[Path], build: Path) -> None:
    """Write both editions of these notebooks into `build`, and other files as they are."""
    editions: dict[str, dict[str, str]] = {"student": {}, "teacher": {}}
    for path in paths:
        is_notebook = path.suffix == ".ipynb"
        texts = _both_editions(path) if is_notebook else [path.read_text(encoding="utf-8")] * 2
        editions["student"][path.name], editions["teacher"][path.name] = texts
    for name, files in editions.items():
        _replace_folder(build / name, files)


def _both_editions(path: Path) -> tuple[str, str]:
    """Return both editions of a notebook as text, the student's first; say what it is worth."""
    try:
        teacher = teacher_edition(nbformat.read(path, as_version=4))
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None
    points = [cell.metadata.nbgrader.points for cell in graded(teacher)]
    print(f"{path.stem}: {len(points)} exercises, {sum(points)} points")
    return student_edition(teacher), nbformat.writes(teacher) + "\n"


def _replace_folder(folder: Path, files: dict[str, str]) -> None:
    """Make `folder` hold exactly these files; keep what somebody changed under another name."""
    record = folder.with_name(f".{folder.name}.json")  # the checksums of what is written here
    if folder.exists() and record.exists() and json.loads(record.read_text()) == _checksums(folder):
        shutil.rmtree(folder)
    elif folder.exists():
        others = (folder.with_name(f"{folder.name}-{number}") for number in count(1))
        kept = folder.rename(next(path for path in others if not path.exists()))
        print(f"{folder} was not as it had been written; it is kept as {kept}")
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    record.write_text(json.dumps(_checksums(folder), indent=1), encoding="utf-8")
    print(f"written: {folder}")


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder; Jupyter's own copies do not count."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the editions and say where they are; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="default: all")
    names = parser.parse_args(arguments).names
    try:
        paths = [notebook_path(name) for name in names or notebook_names()]
        write_editions(paths if names else [*paths, NOTEBOOKS / "GLOSSARY.md"], BUILD)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
