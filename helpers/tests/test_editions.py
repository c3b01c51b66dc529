"""The exercises of the notebooks, the student edition made of them, and what nbgrader grades."""

import ast
import copy
import os
import re
import shutil
import sqlite3
import sysconfig

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import datasets, editions, runs

NAMES = runs.notebook_names()
STUB = ["# YOUR CODE HERE", "raise NotImplementedError()"]  # nbgrader's own


def read(path):
    return nbformat.read(path, as_version=4)


def committed(name):
    return read(runs.notebook_path(name))


def graded_cells(nb):
    """Return the cells that nbgrader knows, by their names."""
    known = [cell for cell in nb.cells if "nbgrader" in cell.metadata]
    return {cell.metadata.nbgrader.grade_id: cell for cell in known}


def solve(student, teacher):
    """Return the student's notebook with the teacher's answers in place of the stubs."""
    nb, answers = copy.deepcopy(student), graded_cells(teacher)
    for name, cell in graded_cells(nb).items():
        if cell.metadata.nbgrader.solution:
            cell.source = answers[name].source
    return nb


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Both editions of every notebook."""
    folder = tmp_path_factory.mktemp("build")
    editions.write_editions(output_dir=folder, say=lambda line: None)
    return folder


# ------------------------------------------------------------- the exercises of each notebook


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_graded_exercises_to_program_and_to_reason_about(name):
    exercises = editions.list_exercises(committed(name))
    kinds = [exercise.kind for exercise in exercises]
    assert "code" in kinds
    assert "paper" in kinds
    assert len({exercise.level for exercise in exercises}) > 1


@pytest.mark.parametrize("name", NAMES)
def test_each_exercise_has_level_hint_solution_and_a_way_to_check_it(name):
    for exercise in editions.list_exercises(committed(name)):
        assert exercise.level in editions.POINTS, exercise
        assert exercise.hints == 1, exercise
        if exercise.kind == "code":
            assert exercise.solution, exercise
            assert exercise.check, exercise
        else:
            assert exercise.answer, exercise


@pytest.mark.parametrize("name", NAMES)
def test_solutions_are_folded_and_their_checks_passed(name):
    nb = committed(name)
    cells = {cell.id: cell for cell in nb.cells}
    for exercise in editions.list_exercises(nb):
        if exercise.kind == "code":
            assert cells[exercise.solution].metadata.jupyter.source_hidden
            (output,) = cells[exercise.check].outputs
            assert output.data["text/plain"].startswith("Correct: ")


# -------------------------------------------------------------------- what students are given


def test_nothing_of_a_solution_is_left(build):
    for name in NAMES:
        student, teacher = (read(build / e / f"{name}.ipynb") for e in ("student", "teacher"))
        text = "\n".join(cell.source for cell in student.cells)
        assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)", text)
        answers = graded_cells(teacher)
        for grade_id, cell in graded_cells(student).items():
            source = answers[grade_id].source
            if cell.cell_type == "markdown":
                assert cell.source == "YOUR ANSWER HERE"
                assert source.strip() not in text
            elif cell.metadata.nbgrader.solution:
                before, solution = source.split("### BEGIN SOLUTION")
                after = solution.split("### END SOLUTION")[1]
                lines = (before + after).split("\n")
                assert [line for line in cell.source.split("\n") if line.strip() not in STUB] == [
                    line for line in lines if line.strip() or line == ""
                ]
                assert [line.strip() for line in cell.source.split("\n")][-2:] == STUB


def test_hints_and_the_answers_to_predictions_stay(build):
    for name in NAMES:
        before = "\n".join(cell.source for cell in committed(name).cells)
        after = "\n".join(cell.source for cell in read(build / "student" / f"{name}.ipynb").cells)
        for kept in ("<summary>Hint</summary>", "> <details><summary>Answer</summary>"):
            assert after.count(kept) == before.count(kept) > 0
        assert "\n<details><summary>Answer</summary>" not in after


def test_the_text_between_the_exercises_is_kept_in_order(build):
    for name in NAMES:
        student = read(build / "student" / f"{name}.ipynb")
        rest = [cell.source for cell in student.cells if "nbgrader" not in cell.metadata]
        before = "\n".join(cell.source for cell in committed(name).cells)
        position = 0
        for source in rest:
            position = before.index(source, position) + len(source)


def test_students_get_no_outputs_and_no_folded_cells(build):
    for name in NAMES:
        nb = read(build / "student" / f"{name}.ipynb")
        nbformat.validate(nb)
        for cell in nb.cells:
            if cell.cell_type == "code":
                assert cell.outputs == []
                assert cell.execution_count is None
                assert "jupyter" not in cell.metadata, "a folded cell may hold a solution"


def test_links_between_notebooks_lead_somewhere_in_the_student_edition(build):
    link = re.compile(r"\]\(([^)#:\s]+\.[a-z]+)(?:#cell-id=(\w+))?\)")
    pages = {
        name: "\n".join(c.source for c in read(build / "student" / f"{name}.ipynb").cells)
        for name in NAMES
    }
    ids_before = {f"{name}.ipynb": {c.id for c in committed(name).cells} for name in NAMES}
    ids_after = {
        f"{name}.ipynb": {c.id for c in read(build / "student" / f"{name}.ipynb").cells}
        for name in NAMES
    }
    if (runs.NOTEBOOKS / editions.COMPANION).exists():
        pages["glossary"] = (build / "student" / editions.COMPANION).read_text(encoding="utf-8")
    for text in pages.values():
        targets = [t for t in link.findall(text) if (runs.NOTEBOOKS / t[0]).exists()]
        assert targets
        for target, cell_id in targets:
            assert (build / "student" / target).is_file()
            if cell_id in ids_before.get(target, ()):
                assert cell_id in ids_after[target]


@pytest.mark.faults
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_to_its_end_unsolved_and_passes_every_check_solved(name, build, tmp_path):
    if runs.reads_mnist(runs.notebook_path(name)) and not datasets.mnist_available():
        pytest.skip("no MNIST here: run `make data` or set MNIST_DIR=")
    student, teacher = (read(build / e / f"{name}.ipynb") for e in ("student", "teacher"))
    for word, nb in (("Not solved yet", student), ("Correct: ", solve(student, teacher))):
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
        result = runs.run_notebook(name, folder=tmp_path, output_dir=tmp_path / "runs")
        assert result.headline, "the last cell, which reports, has not run"
        tests = [c for c in read(result.output).cells if "exercises.check_" in c.source]
        assert tests
        for cell in tests:
            assert cell.outputs[0].data["text/plain"].startswith(word)


# ----------------------------------------------------------------------------- with nbgrader


def grades(course, student):
    """Return the automatic scores, by cell, of what a student has handed in; None if by hand."""
    query = """
        select base_cell.name, grade.auto_score from grade
        join base_cell on base_cell.id = grade.cell_id
        join submitted_notebook on submitted_notebook.id = grade.notebook_id
        join submitted_assignment on submitted_assignment.id = submitted_notebook.assignment_id
        where submitted_assignment.student_id = ?
    """
    with sqlite3.connect(course / "gradebook.db") as database:
        return dict(database.execute(query, [student]).fetchall())


@pytest.fixture
def nbgrader(tmp_path, monkeypatch):
    """Return nbgrader for a course in a folder of its own."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    scripts = sysconfig.get_path("scripts")  # nbgrader calls alembic, wherever PATH has it
    monkeypatch.setenv("PATH", os.pathsep.join([scripts, os.environ["PATH"]]))
    return NbGraderAPI(config=Config({"CourseDirectory": {"root": str(tmp_path)}}))


@pytest.mark.filterwarnings("ignore:Object of type <Submitted")  # SQLAlchemy, about nbgrader
@pytest.mark.faults
def test_nbgrader_releases_the_student_edition_and_grades_what_comes_back(
    build, tmp_path, nbgrader
):
    name = "01_scalar_network"
    student, teacher = (read(build / e / f"{name}.ipynb") for e in ("student", "teacher"))
    put(teacher, tmp_path / "source" / "backprop" / f"{name}.ipynb")
    succeed(nbgrader.generate_assignment("backprop"))
    assert read(tmp_path / "release" / "backprop" / f"{name}.ipynb") == student

    nothing, everything = copy.deepcopy(student), solve(student, teacher)
    graded_cells(nothing)["exercise-1-check"].source = "'Correct: of course'"  # 1 is unsolved
    wrong = graded_cells(everything)["exercise-2"].source.replace("(2 * h)", "h")
    graded_cells(nothing)["exercise-2"].source = wrong
    handed_in = {"nothing": nothing, "everything": everything}
    for who, nb in handed_in.items():
        put(nb, tmp_path / "submitted" / who / "backprop" / f"{name}.ipynb")
        succeed(nbgrader.autograde("backprop", who))
        executed = read(tmp_path / "autograded" / who / "backprop" / f"{name}.ipynb")
        assert runs.read_report(executed)[0], "the last cell, which reports, has not run"

    points = {"exercise-1-check": 1, "exercise-2-check": 2}
    by_hand = {"exercise-3-answer": None, "exercise-4-answer": None}
    assert grades(tmp_path, "nothing") == dict.fromkeys([*points, *by_hand], 0)
    assert grades(tmp_path, "everything") == points | by_hand


@pytest.mark.faults
def test_nbgrader_releases_every_notebook_as_in_the_student_edition(build, tmp_path, nbgrader):
    shutil.copytree(build / "teacher", tmp_path / "source" / "backprop")
    succeed(nbgrader.generate_assignment("backprop"))
    released = tmp_path / "release" / "backprop"
    assert {path.name for path in released.iterdir()} == {
        path.name for path in (build / "student").iterdir()
    }
    for name in NAMES:
        assert read(released / f"{name}.ipynb") == read(build / "student" / f"{name}.ipynb")


def put(nb, path):
    path.parent.mkdir(parents=True)
    nbformat.write(nb, path)


def succeed(result):
    assert result["success"], result


# ------------------------------------------------------------------------------- other cases

TEXT = "**Exercise 1 (code, easy).** Add.\n\n<details><summary>Hint</summary>+</details>"
SOLUTION = "def add(a, b):\n    ### BEGIN SOLUTION\n    return a + b\n    ### END SOLUTION"
CHECK = "exercises.check_add(add)"
PAPER = "**Exercise 2 (paper, harder).** Why?\n\n<details><summary>Answer</summary>So.</details>"


def notebook(*cells):
    made = [
        new_markdown_cell(source) if source.startswith(("**", "#", "<")) else new_code_cell(source)
        for source in cells
    ]
    for number, cell in enumerate(made, 1):
        cell.id = f"id-{number}"
    return new_notebook(cells=made)


def test_cells_tagged_solution_move_into_the_answer():
    nb = notebook("**Exercise 1 (measurement, medium).** Measure.", "x = slow()", "check(x)",
                  "<details><summary>Answer</summary>Three.</details>\n\n## Recap")  # fmt: skip
    for cell in nb.cells[1:3]:
        cell.metadata.tags = ["solution"]
    teacher = editions.teacher_edition(nb)
    assert [cell.cell_type for cell in teacher.cells] == ["markdown"] * 3
    assert teacher.cells[1].source == (
        "```python\nx = slow()\n```\n\n```python\ncheck(x)\n```\n\n"
        "<details><summary>Answer</summary>Three.</details>"
    )
    student = editions.student_edition(teacher)
    assert [cell.source for cell in student.cells][1:] == ["YOUR ANSWER HERE", "## Recap"]


def test_the_notebook_given_stays_as_it_is():
    nb = notebook(TEXT, SOLUTION, CHECK, PAPER)
    before = copy.deepcopy(nb)
    teacher = editions.teacher_edition(nb)
    assert nb == before
    before = copy.deepcopy(teacher)
    editions.student_edition(teacher)
    assert teacher == before


def test_an_answer_outside_an_exercise_is_no_exercise():
    nb = notebook(TEXT, SOLUTION, CHECK, "<details><summary>Answer</summary>42</details>")
    assert editions.teacher_edition(nb).cells[3].source == nb.cells[3].source


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([SOLUTION, CHECK], "cell id-1 holds a solution, expected an exercise before it"),
        ([TEXT, "# Other", SOLUTION], "cell id-3 holds a solution, expected an exercise"),
        ([TEXT, SOLUTION], "Exercise 1 has no check after its solution"),
        ([TEXT, SOLUTION, f"{CHECK}\nx = 1"], "expected one call of a check"),
        ([TEXT, SOLUTION, f"print({CHECK})"], "expected one call of a check"),
        (["**Exercise 1 (paper).** Why?"], "Exercise 1 has neither a solution nor an answer"),
        (
            ["**Exercise 1 (paper).** Why?\n\n<details>\n<summary>Answer</summary>So.</details>"],
            "Exercise 1 has neither a solution nor an answer",
        ),
        ([TEXT, SOLUTION.replace("END", "BEGIN"), CHECK], "cell id-2 needs one BEGIN SOLUTION"),
        (
            [TEXT, SOLUTION.replace("    ###", "###"), CHECK],
            "cell id-2: its solution must stand in",
        ),
        ([PAPER], "Exercise 2 stands where Exercise 1 should"),
        ([TEXT, SOLUTION, CHECK, TEXT], "Exercise 1 stands where Exercise 2 should"),
    ],
)
def test_exercises_that_are_not_whole_are_refused(cells, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        editions.teacher_edition(notebook(*cells))


def test_a_remark_behind_a_check_does_not_spoil_the_test_of_it():
    nb = editions.teacher_edition(notebook(TEXT, SOLUTION, f"{CHECK}  # what is wrong?"))
    ast.parse(nb.cells[2].source)
    assert f"assert (verdict := {CHECK}).passed" in nb.cells[2].source


def test_code_without_an_answer_is_refused():
    nb = notebook("**Exercise 1 (measurement).** Measure.", "x = slow()")
    nb.cells[1].metadata.tags = ["solution"]
    with pytest.raises(ValueError, match="Exercise 1 has no answer to put its code into"):
        editions.teacher_edition(nb)


# --------------------------------------------------------------------------- the two folders


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook(TEXT, SOLUTION, CHECK, PAPER), tmp_path / "notebooks" / "01_add.ipynb")
    nbformat.write(notebook("1 + 1"), tmp_path / "notebooks" / "02_one.ipynb")
    return tmp_path


def make_student(folder, *names):
    options = ["--folder", str(folder / "notebooks"), "--output-dir", str(folder / "build")]
    return editions.main(["student", *names, *options])


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_command_writes_both_editions_and_says_where(folder, capsys):
    before = files(folder)
    assert make_student(folder) == 0
    printed = capsys.readouterr().out
    assert "01_add: 2 exercises, 4 points" in printed
    assert str(folder / "build" / "student") in printed
    new = files(folder).keys() - before.keys()
    assert {path.parts[0] for path in new} == {"build"}
    assert {path.as_posix() for path in new if path.suffix == ".ipynb"} == {
        f"build/{edition}/{name}.ipynb"
        for edition in ("student", "teacher")
        for name in ("01_add", "02_one")
    }
    assert all(files(folder)[path] == content for path, content in before.items())


def test_a_second_call_writes_the_same(folder):
    make_student(folder)
    before = files(folder)
    make_student(folder)
    assert files(folder) == before


def test_named_notebooks_alone_make_the_edition(folder):
    make_student(folder)
    assert make_student(folder, "01_add") == 0
    assert [path.name for path in (folder / "build" / "student").iterdir()] == ["01_add.ipynb"]


def test_the_glossary_goes_with_all_notebooks(folder):
    (folder / "notebooks" / "GLOSSARY.md").write_text("δ: error", encoding="utf-8")
    (folder / "notebooks" / "TEACHING.md").write_text("Let them guess.", encoding="utf-8")
    make_student(folder)
    for edition in ("student", "teacher"):
        names = sorted(path.name for path in (folder / "build" / edition).iterdir())
        assert names == ["01_add.ipynb", "02_one.ipynb", "GLOSSARY.md"]
        text = (folder / "build" / edition / "GLOSSARY.md").read_text(encoding="utf-8")
        assert text == "δ: error"


def test_work_in_an_edition_is_kept_under_another_name(folder, capsys):
    make_student(folder)
    for number in (1, 2):
        mine = folder / "build" / "student" / "01_add.ipynb"
        mine.write_text(mine.read_text().replace("YOUR CODE HERE", f"my work {number}"))
        capsys.readouterr()
        assert make_student(folder) == 0
        kept = folder / "build" / f"student-{number}"
        assert f"kept as {kept}" in capsys.readouterr().out
        assert f"my work {number}" in (kept / "01_add.ipynb").read_text()
        assert "my work" not in mine.read_text()


@pytest.mark.parametrize("lost", ["the record of what was written", "a notebook", "nothing"])
def test_a_folder_that_is_not_as_it_was_written_is_kept(lost, folder):
    make_student(folder)
    student = folder / "build" / "student"
    if lost == "a notebook":
        (student / "02_one.ipynb").unlink()
    elif lost == "nothing":
        (student / "notes.txt").write_text("mine")
    else:
        (folder / "build" / ".student.json").unlink()
    before = files(student)
    make_student(folder)
    assert files(folder / "build" / "student-1") == before


def test_copies_that_jupyter_keeps_are_no_work(folder):
    make_student(folder)
    copies = folder / "build" / "student" / ".ipynb_checkpoints"
    copies.mkdir()
    (copies / "01_add-checkpoint.ipynb").write_text("{}")
    make_student(folder)
    assert not (folder / "build" / "student-1").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [(["03_none"], "there is no notebook '03_none'"), ([], "01_add: Exercise 1 has no check")],
)
def test_a_failure_is_one_line_and_leaves_what_is_there(names, message, folder, capsys):
    make_student(folder)
    nbformat.write(notebook(TEXT, SOLUTION), folder / "notebooks" / "01_add.ipynb")
    before = files(folder / "build")
    assert make_student(folder, *names) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert files(folder / "build") == before


def test_an_empty_folder_is_refused(tmp_path, capsys):
    (tmp_path / "notebooks").mkdir()
    assert make_student(tmp_path) == 2
    assert "there are no notebooks in" in capsys.readouterr().err
    assert not (tmp_path / "build").exists()
