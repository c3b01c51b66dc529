"""The script behind `make test-matrix`: what it says passed did pass, in the way it says."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
FACTS = {
    "python": "3.11.0",
    "numpy": "2.4.0",
    "matplotlib": "3.11.0",
    "kernels": "Haswell",
    "threads": "2",
}


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    """The script in an empty project, on a machine where BLAS uses two threads of Haswell's."""
    spec = importlib.util.spec_from_file_location("matrix", ROOT / ".ci" / "matrix.py")
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "matrix", script)  # dataclasses look their module up
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(script, "WORK", tmp_path / "runs" / "matrix")
    script.really_probe = script.probe
    monkeypatch.setattr(script, "probe", lambda python, environ: FACTS)
    script.really_run = script._pytest
    script.fails = set()

    def pretend(python, folder, environ, variant, notebooks):
        return ("failed", "1 failed") if variant.name in script.fails else ("passed", "1 passed")

    monkeypatch.setattr(script, "_pytest", pretend)
    return script


def outcomes(script, *arguments):
    """Run main; return its exit status and {variant: outcome} as in the table it wrote."""
    status = script.main(arguments)
    text = (script.RUNS / "matrix.txt").read_text(encoding="utf-8")
    found = {}
    for line in text.split("\n\n")[0].splitlines()[1:]:
        outcome = next(o for o in ("passed", "failed", "not possible here") if f"  {o}" in line)
        found[line.split()[0]] = outcome
    return status, found, text


# -------------------------------------------------------------------------------------- its verdict


def test_a_failure_is_counted_and_does_not_end_the_run(matrix):
    matrix.fails = {"time-zone"}
    status, found, text = outcomes(matrix, "time-zone", "hash-seed")
    assert status == 1
    assert found == {"time-zone": "failed", "hash-seed": "passed"}
    assert text.endswith("1 passed, 1 failed, 0 not possible here\n")


def test_stop_ends_the_run_at_the_first_failure(matrix):
    matrix.fails = {"time-zone"}
    assert outcomes(matrix, "time-zone", "hash-seed", "--stop")[1] == {"time-zone": "failed"}


def test_another_kernel_than_the_one_asked_for_is_not_possible_here(matrix):
    status, found, text = outcomes(matrix, "SkylakeX-2")
    assert found == {"SkylakeX-2": "not possible here"}
    assert "BLAS uses Haswell all the same" in text
    assert status == 1, "where nothing passed, the exit status must not say that all is well"


def test_another_number_of_threads_is_not_possible_here(matrix):
    status, found, _ = outcomes(matrix, "Haswell-1", "Haswell-2", "Zen-2")
    assert status == 0
    assert found == {"Haswell-1": "not possible here", "Haswell-2": "passed", "Zen-2": "passed"}


def test_a_python_that_is_not_here_is_not_possible_here(matrix, monkeypatch):
    monkeypatch.setattr(matrix, "_candidates", lambda minor: ["no-such-python", sys.executable])
    with pytest.raises(matrix.NotPossible, match=r"no Python 3\.99"):
        matrix.find_python(99)
    assert matrix.find_python(sys.version_info[1]) == sys.executable


def test_packages_that_do_not_install_are_a_failure_with_its_reason(matrix, monkeypatch):
    def conflict(command):
        raise matrix.SetUpFailed("set-up: no such release")

    (matrix.ROOT / "pyproject.toml").write_text(
        "[project]\ndependencies = []\n[project.optional-dependencies]\ndev = []\n"
    )
    monkeypatch.setattr(matrix, "_install", conflict)
    monkeypatch.setattr(matrix, "find_python", lambda minor: sys.executable)
    status, found, text = outcomes(matrix, "python3.12-oldest")
    assert (status, found) == (1, {"python3.12-oldest": "failed"})
    assert "set-up: no such release" in text


@pytest.mark.parametrize(("packages", "by_hash"), [("locked", True), ("oldest", False)])
def test_locked_packages_are_installed_by_hash(matrix, monkeypatch, packages, by_hash):
    """The oldest ones are in no lock: that variant alone installs by version."""
    called = []

    def install(command):
        called.append([str(part) for part in command])
        (matrix.WORK / f"python3.99-{packages}").mkdir(exist_ok=True)

    matrix.WORK.mkdir(parents=True)
    (matrix.ROOT / "pyproject.toml").write_text(
        "[project]\ndependencies = []\n[project.optional-dependencies]\ndev = []\n"
    )
    (matrix.ROOT / "requirements.txt").write_text("")
    monkeypatch.setattr(matrix, "_install", install)
    monkeypatch.setattr(matrix, "find_python", lambda minor: sys.executable)
    matrix.environment(99, packages)
    (pip,) = [command for command in called if "-r" in command]
    assert ("--require-hashes" in pip) == ("--no-deps" in pip) == by_hash
    assert pip[pip.index("--only-binary") + 1] == ":all:"


def test_an_unknown_variant_is_refused_with_those_that_exist(matrix, capsys):
    with pytest.raises(SystemExit):
        matrix.main(["Atom-1"])
    said = capsys.readouterr().err
    assert "no variant Atom-1" in said
    assert "Nehalem-2" in said


# ------------------------------------------------------------------------------------ what it runs


def test_probe_reports_what_this_interpreter_uses(matrix):
    found = matrix.really_probe(sys.executable, {**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == version("numpy")
    assert set(found) == set(FACTS)


def test_a_processor_without_the_instructions_is_not_possible_here(matrix, monkeypatch):
    killed = subprocess.CompletedProcess([], -signal.SIGILL, "", "")
    monkeypatch.setattr(matrix.subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(matrix.NotPossible, match="lacks instructions"):
        matrix.really_probe(sys.executable, {})


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("assert os.environ['TZ'] == 'Pacific/Auckland'", "passed"),
        ("assert os.environ['TZ'] == 'Europe/Paris'", "failed"),
        (None, "failed"),  # where there is no test, none has passed
    ],
)
def test_pytest_runs_as_the_variant_wants_and_its_verdict_counts(matrix, test, outcome):
    (matrix.ROOT / "notebooks").mkdir()
    (matrix.ROOT / "pytest.ini").write_text("[pytest]\n")
    late = "import atexit\natexit.register(print, 'a library speaks after the counts')\n"
    (matrix.ROOT / "notebooks" / "conftest.py").write_text(late)
    matrix.WORK.mkdir(parents=True)
    if test:
        code = f"import os\ndef test_it():\n    {test}\n"
        (matrix.ROOT / "notebooks" / "test_it.py").write_text(code)
    variant = {v.name: v for v in matrix.all_variants()}["time-zone"]
    variant = replace(variant, options=("-n", "0"))  # processes for the tests take seconds to start
    environ = {**os.environ, **variant.environ}
    found, note = matrix.really_run(sys.executable, matrix.ROOT, environ, variant, ())
    assert found == outcome
    assert note == (f"1 {outcome}" if test else "no tests ran")
    assert note in (matrix.WORK / "time-zone.log").read_text(encoding="utf-8")


def test_oldest_packages_are_the_lower_bounds_of_all_direct_dependencies(matrix):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    pins = [Requirement(line) for line in matrix.oldest_requirements(project).splitlines()]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for pin, line in zip(pins, declared, strict=True):
        bounds = Requirement(line)
        (specifier,) = pin.specifier
        assert pin.name == bounds.name
        assert specifier.operator == "=="
        assert f">={specifier.version}" in str(bounds.specifier).split(",")


def test_a_dependency_without_a_lower_bound_is_refused(matrix):
    project = {"dependencies": ["numpy <3"], "optional-dependencies": {"dev": []}}
    with pytest.raises(ValueError, match="numpy <3"):
        matrix.oldest_requirements(project)


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_the_copy_holds_tracked_and_new_files_but_no_ignored_ones(matrix):
    subprocess.run(["git", "init", "-q"], cwd=matrix.ROOT, check=True)
    for name in ("notebooks/é 1.txt", "kept.txt", "gone.txt", "runs/x.txt", ".gitignore"):
        (matrix.ROOT / name).parent.mkdir(exist_ok=True)
        (matrix.ROOT / name).write_text("/runs/\n")
    subprocess.run(["git", "add", "gone.txt", "kept.txt"], cwd=matrix.ROOT, check=True)
    (matrix.ROOT / "gone.txt").unlink()
    copy = matrix.copy_checkout(matrix.WORK / "Où – 重み")
    names = {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()}
    assert names == {"notebooks/é 1.txt", "kept.txt", ".gitignore"}
