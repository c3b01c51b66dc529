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

``python .ci/editions.py --check COURSE`` is `make check-submissions`. It compares what came back,
in ``submitted/``, with ``release/`` of an nbgrader course, and names what `nbgrader autograde`
would stop at, skip or mark as wrong: folders, notebooks and cells that were renamed, deleted or
copied. Nothing is changed.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import re
import shutil
import sys
from collections import defaultdict
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


# ------------------------------------------------------------------------------- what comes back


def check_submissions(course: Path) -> int:
    """Say student by student what nbgrader would stumble over; return how many lines that took."""
    released = {
        folder.name: {path.name: nbformat.read(path, 4) for path in folder.glob("*.ipynb")}
        for folder in _visible(course / "release")
    }
    if not released:
        raise ValueError(f"nothing is released in '{course}'; COURSE= is the folder of a course")
    students = _visible(course / "submitted")
    faults = [f"{each.name}: {fault}" for each in students for fault in _faults(each, released)]
    print("\n".join([*faults, f"students: {len(students)}, things to mend: {len(faults)}"]))
    return len(faults)


def _visible(folder: Path) -> list[Path]:
    """Return what a folder holds, if it is there, without the hidden files of systems."""
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def _faults(student: Path, released: dict[str, dict[str, NotebookNode]]) -> Iterator[str]:
    """Yield what is wrong with the folder of a student."""
    for folder in _visible(student):
        if folder.name not in released:
            yield f"{folder.name} will not be graded, only {', '.join(released)}"
            continue
        originals = released[folder.name]
        if lacking := originals.keys() - {path.name for path in folder.iterdir()}:
            yield f"{folder.name} lacks {', '.join(sorted(lacking))}"
        for path in sorted(folder.glob("*.ipynb")):
            for fault in _faults_of_notebook(path, originals):
                yield f"{folder.name}/{path.name} {fault}"


def _faults_of_notebook(path: Path, originals: dict[str, NotebookNode]) -> Iterator[str]:
    """Yield what follows the name of a notebook in a sentence on what is wrong with it."""
    try:
        nb = nbformat.read(path, 4)
        sources = {cell.source for cell in nb.cells}
    except Exception:  # as many kinds as there are files that only bear the name of a notebook
        yield "cannot be read as a notebook"
        return
    if path.name not in originals:
        shared = {name: sum(c.source in sources for c in o.cells) for name, o in originals.items()}
        yield f"will not be graded: rename it to {max(shared, key=shared.get)}, if it is that"
        return
    known = [cell for cell in originals[path.name].cells if "nbgrader" in cell.metadata]
    expected = {cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader for cell in known}
    places = defaultdict(list)
    for number, cell in enumerate(nb.cells, 1):
        if name := cell.metadata.get("nbgrader", {}).get("grade_id"):
            places[name].append(str(number))
    for name in expected.keys() - places.keys():
        remedy = "autograde can put it back" if expected[name].grade else "its check will fail"
        yield f"lacks the cell {name}: {remedy}"
    for name, numbers in places.items():
        if len(numbers) > 1:
            yield f"has {name} more than once, in cells {' and '.join(numbers)}: keep one of them"
        elif name not in expected:
            yield f"has a cell {name}, which is not of this notebook"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the editions and say where they are; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="default: all")
    parser.add_argument("--check", type=Path, metavar="COURSE", help="what came back instead")
    options = parser.parse_args(arguments)
    names = options.names
    try:
        if options.check is not None:
            return min(check_submissions(options.check), 1)
        paths = [notebook_path(name) for name in names or notebook_names()]
        write_editions(paths if names else [*paths, NOTEBOOKS / "GLOSSARY.md"], BUILD)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
