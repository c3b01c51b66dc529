"""The exercises of the notebooks, the student edition made of them, and what nbgrader grades."""

import ast
import copy
import os
import re
import shutil
import sysconfig

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

import editions
from helpers import datasets, exercises, runs

NAMES = runs.notebook_names()
STUB = "# YOUR CODE HERE\n    raise NotImplementedError()"  # nbgrader's own
SOLUTION = "### BEGIN SOLUTION.*### END SOLUTION"
EXERCISE = r"^\*\*Exercise (\d+) \((\w+), (\w+)\)\."


def read(path):
    return nbformat.read(path, as_version=4)


def committed(name):
    return read(runs.notebook_path(name))


def prose(nb):
    return "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def known_cells(nb):
    """Return the cells that nbgrader knows, by their names."""
    known = [cell for cell in nb.cells if "nbgrader" in cell.metadata]
    return {cell.metadata.nbgrader.grade_id: cell for cell in known}


def solve(student, teacher):
    """Return the student's notebook with the teacher's answers in place of the stubs."""
    nb, answers = copy.deepcopy(student), known_cells(teacher)
    for name, cell in known_cells(nb).items():
        if cell.metadata.nbgrader.solution:
            cell.source = answers[name].source
    return nb


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Both editions of every notebook."""
    folder = tmp_path_factory.mktemp("build")
    paths = [runs.notebook_path(name) for name in NAMES]
    editions.write_editions([*paths, runs.NOTEBOOKS / "GLOSSARY.md"], folder)
    return folder


@pytest.fixture
def both(request, build):
    """The student's and the teacher's edition of the notebook `name`."""
    name = request.getfixturevalue("name")
    return [read(build / edition / f"{name}.ipynb") for edition in ("student", "teacher")]


# ------------------------------------------------------------- the exercises of each notebook


@pytest.mark.parametrize("name", NAMES)
def test_each_exercise_has_a_hint_a_level_and_the_points_of_its_level(name, both):
    found = re.findall(EXERCISE, prose(committed(name)), re.M)
    assert [int(number) for number, _, _ in found] == list(range(1, len(found) + 1))
    assert {kind for _, kind, _ in found} >= {"code", "paper"}
    assert prose(both[0]).count("<summary>Hint</summary>") == len(found)
    worth = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points
        for cell in editions.graded(both[1])
    }
    assert worth == {
        f"exercise-{number}-{'check' if kind == 'code' else 'answer'}": editions.POINTS[level]
        for number, kind, level in found
    }


@pytest.mark.parametrize("name", NAMES)
def test_solutions_are_folded_and_their_checks_passed(name):
    for cell in known_cells(committed(name)).values():
        if cell.metadata.nbgrader.solution:
            assert cell.metadata.jupyter.source_hidden
        else:
            assert isinstance(ast.parse(cell.source, mode="eval").body, ast.Call)
            assert cell.outputs[0].data["text/plain"].startswith("Correct: ")


@pytest.mark.parametrize("name", NAMES)
def test_formulas_stand_between_blank_lines(name):
    """Two blocks in a row are not drawn everywhere."""
    block = re.compile(r"(\A|(?<=\n\n))\$\$.*?\$\$(?=\n\n|\Z)", re.DOTALL)
    assert "$$" not in "\n\n".join(
        block.sub("", cell.source) for cell in committed(name).cells if cell.cell_type == "markdown"
    )


def test_the_readme_shows_what_the_check_of_notebook_04_says():
    readme = (runs.ROOT / "README.md").read_text("utf-8")
    wrong, said = re.search("```python\n(.*?)\n```.*?> (Not yet: .*?)\n", readme, re.S).groups()
    names = {"np": np}
    for cell in committed("04_vectorized_backprop").cells:
        if re.match(r"def (sigmoid|sigmoid_prime|forward)\(", cell.source):
            exec(cell.source, names)
    solution = known_cells(committed("04_vectorized_backprop"))["exercise-2"].source
    right = wrong.replace("W[l] @", "W[l].T @")
    assert right in solution
    exec(solution.replace(right, wrong), names)
    assert repr(exercises.check_backprop_linear_output(names["backprop_linear_output"])) == said


# -------------------------------------------------------------------- what students are given


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_solution_is_left(name, both):
    student, teacher = both
    nbformat.validate(student)
    text, answers = "\n".join(cell.source for cell in student.cells), known_cells(teacher)
    assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)", text)
    for grade_id, cell in known_cells(student).items():
        source = answers[grade_id].source
        if cell.cell_type == "markdown":
            assert cell.source == "YOUR ANSWER HERE"
            assert source not in text
        elif cell.metadata.nbgrader.solution:
            assert cell.source == re.sub(SOLUTION, STUB, source, flags=re.DOTALL)
    for cell in committed(name).cells:
        if "solution" in cell.metadata.get("tags", []):
            assert cell.source not in text
    for cell in student.cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
        assert "jupyter" not in cell.metadata, "a folded cell may hold a solution"


@pytest.mark.parametrize("name", NAMES)
def test_hints_predictions_and_the_text_between_stay_in_order(name, both):
    before, after = prose(committed(name)), prose(both[0])
    for kept in ("<summary>Hint</summary>", "> <details><summary>Answer</summary>"):
        assert after.count(kept) == before.count(kept) > 0
    assert "\n<details><summary>Answer</summary>" not in after
    position = 0
    for cell in both[0].cells:
        if cell.cell_type == "markdown" and "nbgrader" not in cell.metadata:
            position = before.index(cell.source, position) + len(cell.source)


def test_links_lead_somewhere_in_the_student_edition(build):
    students = {name: read(build / "student" / f"{name}.ipynb") for name in NAMES}
    ids = {(name, cell.id) for name, nb in students.items() for cell in nb.cells}
    texts = [prose(nb) for nb in students.values()]
    texts.append((build / "student" / "GLOSSARY.md").read_text(encoding="utf-8"))
    links = re.findall(r"\]\((\w+)\.ipynb#cell-id=(\w+)\)", "\n".join(texts))
    assert links
    assert set(links) <= ids


@pytest.mark.faults
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_to_its_end_unsolved_and_passes_every_check_solved(name, both, tmp_path):
    if runs.reads_mnist(runs.notebook_path(name)) and not datasets.mnist_available():
        pytest.skip("no MNIST here: run `make data` or set MNIST_DIR=")
    for word, nb in (("Not solved yet", both[0]), ("Correct: ", solve(*both))):
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
        result = runs.run_notebook(name, folder=tmp_path, output_dir=tmp_path / "runs")
        assert result.headline, "the last cell, which reports, has not run"
        checks = [c for c in read(result.output).cells if "exercises.check_" in c.source]
        assert checks
        assert all(c.outputs[0].data["text/plain"].startswith(word) for c in checks)


# ----------------------------------------------------------------------------- with nbgrader


@pytest.mark.filterwarnings("ignore:Object of type <Submitted")  # SQLAlchemy, about nbgrader
@pytest.mark.faults
def test_nbgrader_releases_the_student_edition_and_grades_what_comes_back(
    build, tmp_path, monkeypatch
):
    def succeed(result):
        assert result["success"], result

    scripts = sysconfig.get_path("scripts")  # nbgrader calls alembic, wherever PATH has it
    monkeypatch.setenv("PATH", os.pathsep.join([scripts, os.environ["PATH"]]))
    flags = {
        "CourseDirectory": {"root": str(tmp_path)},
        "OverwriteCells": {"add_missing_cells": True},
    }
    nbgrader = NbGraderAPI(config=Config(flags))
    shutil.copytree(build / "teacher", tmp_path / "source" / "backprop")
    succeed(nbgrader.generate_assignment("backprop"))
    release = tmp_path / "release" / "backprop"
    assert {p.name for p in release.iterdir()} == {p.name for p in (build / "student").iterdir()}
    for name in NAMES:
        assert read(release / f"{name}.ipynb") == read(build / "student" / f"{name}.ipynb")

    name = "01_scalar_network"
    student, teacher = (read(build / e / f"{name}.ipynb") for e in ("student", "teacher"))
    nothing, everything = copy.deepcopy(student), solve(student, teacher)
    lacking = copy.deepcopy(everything)  # a check that autograde puts back
    lacking.cells.remove(known_cells(lacking)["exercise-2-check"])
    known_cells(nothing)["exercise-1-check"].source = "'Correct: of course'"  # 1 is unsolved
    answer = known_cells(everything)["exercise-2"].source
    function = re.search(r"def (\w+)", answer)[1]
    wrong = f"{answer}\n\nright = {function}\n{function} = lambda *given: 2 * right(*given)"
    known_cells(nothing)["exercise-2"].source = wrong
    scores = {}
    submissions = {"nothing": nothing, "everything": everything, "lacking": lacking}
    for who, nb in submissions.items():
        folder = tmp_path / "submitted" / who / "backprop"
        folder.mkdir(parents=True)
        nbformat.write(nb, folder / f"{name}.ipynb")
        succeed(nbgrader.autograde("backprop", who))
        executed = read(tmp_path / "autograded" / who / "backprop" / f"{name}.ipynb")
        assert runs.read_report(executed)[0], "the last cell, which reports, has not run"
        with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
            grades = book.find_submission_notebook(name, "backprop", who).grades
            scores[who] = {grade.cell.name: grade.auto_score for grade in grades}
    points = {"exercise-1-check": 1, "exercise-2-check": 2}
    by_hand = {"exercise-3-answer": None, "exercise-4-answer": None}
    assert scores["nothing"] == dict.fromkeys([*points, *by_hand], 0)
    assert scores["everything"] == scores["lacking"] == points | by_hand


# ---------------------------------------------------------------- what is said before autograde

FIRST, SECOND = (f"{name}.ipynb" for name in NAMES[:2])


@pytest.fixture
def course(build, tmp_path):
    """A course with one assignment of two notebooks, which is released."""
    folder = tmp_path / "release" / "week 1"
    folder.mkdir(parents=True)
    for name in (FIRST, SECOND):
        shutil.copy(build / "student" / name, folder)
    return tmp_path


def submit(course, who):
    """Hand in what has been released, unchanged; return the folder."""
    return shutil.copytree(course / "release" / "week 1", course / "submitted" / who / "week 1")


def change_cell(change):
    """Return what someone does to a notebook who deletes or copies a cell of exercise 1."""

    def change_notebook(folder):
        nb = read(folder / FIRST)
        change(nb.cells, known_cells(nb))
        nbformat.write(nb, folder / FIRST)

    return change_notebook


ACCIDENTS = {
    "deleted the check": (
        change_cell(lambda cells, known: cells.remove(known["exercise-1-check"])),
        [rf"week 1/{FIRST} lacks the cell exercise-1-check: autograde can put it back"],
    ),
    "deleted the answer": (
        change_cell(lambda cells, known: cells.remove(known["exercise-1"])),
        [rf"week 1/{FIRST} lacks the cell exercise-1: its check will fail"],
    ),
    "copied the answer": (
        change_cell(
            lambda cells, known: cells.insert(1, NotebookNode(known["exercise-1"], id="again"))
        ),
        [rf"week 1/{FIRST} has exercise-1 more than once, in cells 2 and \d+: keep one of them"],
    ),
    "renamed the cell": (
        change_cell(lambda _, known: known["exercise-1"].metadata.nbgrader.update(grade_id="x")),
        [rf"week 1/{FIRST} lacks .*", rf"week 1/{FIRST} has a cell x, which is not .*"],
    ),
    "renamed the notebook": (
        lambda folder: (folder / FIRST).rename(folder / "first.ipynb"),
        [f"week 1 lacks {FIRST}", f"week 1/first.ipynb will not be graded: rename it to {FIRST}.*"],
    ),
    "renamed the folder": (
        lambda folder: folder.rename(folder.with_name("Week 1")),
        ["Week 1 will not be graded, only week 1"],
    ),
    "damaged the notebook": (
        lambda folder: (folder / SECOND).write_text('{"cells": ['),
        [f"week 1/{SECOND} cannot be read as a notebook"],
    ),
    "did nothing": (lambda folder: None, []),
    "solved": (change_cell(lambda _, known: known["exercise-1"].update(source="1")), []),
}


def test_what_nbgrader_would_stumble_over_is_said_student_by_student(course, capsys):
    for who, (change, _) in ACCIDENTS.items():
        change(submit(course, who))
    before = files(course)
    assert editions.main(["--check", str(course)]) == 1
    *said, last = capsys.readouterr().out.splitlines()
    for who, (_, expected) in ACCIDENTS.items():
        about = [line.removeprefix(f"{who}: ") for line in said if line.startswith(f"{who}: ")]
        assert len(about) == len(expected), about
        assert all(map(re.fullmatch, expected, about)), about
    assert last == f"students: {len(ACCIDENTS)}, things to mend: {len(said)}"
    assert files(course) == before


def test_nothing_is_said_of_sound_submissions_nor_of_no_course(course, tmp_path, capsys):
    submit(course, "everything fine")
    assert editions.main(["--check", str(course)]) == 0
    assert capsys.readouterr().out == "students: 1, things to mend: 0\n"
    assert editions.main(["--check", str(tmp_path / "elsewhere")]) == 2
    assert "COURSE=" in capsys.readouterr().err


# --------------------------------------------------------------------------- the two folders

QUESTION = "**Exercise 1 (paper, easy).** Why?"
ANSWER = "<details><summary>Answer</summary>So.</details>"
PAPER = f"{QUESTION}\n\n{ANSWER}"


@pytest.fixture
def make_student(tmp_path, monkeypatch):
    """Return a function that writes a notebook of these texts or codes, and runs the command."""
    path = tmp_path / "01_add.ipynb"
    monkeypatch.setattr(editions, "BUILD", tmp_path / "build")
    monkeypatch.setattr(editions, "notebook_path", lambda name: path)

    def main(*sources):
        cells = [new_markdown_cell(s) if s[0] in "*<" else new_code_cell(s) for s in sources]
        nbformat.write(new_notebook(cells=cells), path)
        return editions.main(["01_add"])

    return main


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "sources",
    [
        ("**Exercise 1 (code, easy).** Add.", "exercises.check_add(add)"),  # no metadata
        (PAPER.replace("<summary>", " <summary>"),),  # a fold we do not know
    ],
)
def test_an_exercise_that_cannot_be_taken_out_is_refused_and_nothing_is_written(
    sources, make_student, tmp_path, capsys
):
    assert make_student(PAPER) == 0
    before = files(tmp_path / "build")
    assert make_student(*sources) == 2
    assert capsys.readouterr().err == "error: 01_add: 1 exercises, but 0 checks and answers\n"
    assert files(tmp_path / "build") == before


def test_a_solution_without_metadata_is_refused(make_student):
    with pytest.raises(RuntimeError, match="Solution region detected in a non-solution cell"):
        make_student("def one():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION")


def test_an_edition_that_nobody_changed_is_replaced(make_student, tmp_path):
    make_student(PAPER)
    copies = tmp_path / "build" / "student" / ".ipynb_checkpoints"
    copies.mkdir()
    (copies / "01_add-checkpoint.ipynb").write_text("{}")  # Jupyter's own
    make_student(PAPER.replace("Why", "How"))
    folders = {path.name for path in (tmp_path / "build").iterdir() if path.is_dir()}
    assert folders == {"student", "teacher"}
    assert b"How?" in (tmp_path / "build" / "student" / "01_add.ipynb").read_bytes()


CHANGES = {
    "edited": lambda folder: (folder / "01_add.ipynb").write_text("mine"),
    "deleted": lambda folder: (folder / "01_add.ipynb").unlink(),
    "added": lambda folder: (folder / "notes.txt").write_text("mine"),
    "record lost": lambda folder: (folder.parent / f".{folder.name}.json").unlink(),
}


@pytest.mark.parametrize("edition", ["student", "teacher"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_changed_is_kept_under_another_name(
    edition, change, make_student, tmp_path, capsys
):
    folder = tmp_path / "build" / edition
    for number in (1, 2):
        make_student(PAPER)
        CHANGES[change](folder)
        before = files(folder)
        make_student(PAPER)
        kept = tmp_path / "build" / f"{edition}-{number}"
        assert f"kept as {kept}" in capsys.readouterr().out
        assert files(kept) == before
