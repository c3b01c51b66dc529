"""The set-up of `.venv` by `make`, in a copy of the project with a lock of two small packages."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import flit_core
import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTER = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "VENV"}  # of the make that runs the tests

pytestmark = pytest.mark.skipif(
    os.name == "nt" or not shutil.which("make"), reason="needs make, and signals"
)


def wheel(folder, name, version, files, needs=""):
    """Write a package as pip installs it, and return its line of a lock."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        archive.writestr(f"{info}/METADATA", about)
        about = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", about)
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Project:
    """A copy of what sets up the project, whose packages lie in a folder beside it."""

    def __init__(self, folder):
        self.folder, self.packages = folder / "a project", folder / "packages"
        self.lock, self.venv = self.folder / "requirements.txt", self.folder / ".venv"
        shutil.copytree(ROOT / ".ci", self.folder / ".ci")
        shutil.copy(ROOT / "Makefile", self.folder)
        self.packages.mkdir()
        code = Path(flit_core.__file__).parent
        files = {f"flit_core/{p.relative_to(code)}": p.read_bytes() for p in code.rglob("*.py")}
        pins = [wheel(self.packages, "flit_core", version("flit_core"), files)]
        plot = {"matplotlib/__init__.py": "", "matplotlib/pyplot.py": ""}
        pins += [wheel(self.packages, "matplotlib", "1.0", plot, "Requires-Dist: flit_core[x]\n")]
        wheel(self.packages, "matplotlib", "1.1", plot)  # newer than the lock
        wheel(self.packages, "flit_core", "99", {}, "Provides-Extra: x\n")
        self.lock.write_text("".join(pins))
        (self.folder / "helpers").mkdir()
        (self.folder / "helpers" / "__init__.py").write_text('"""Nothing."""\n__version__ = "1"\n')
        shutil.copy(ROOT / "pyproject.toml", self.folder)

    def start(self, *arguments):
        """Start `make` with these arguments, where it finds only the packages of the project."""
        environment = {name: value for name, value in os.environ.items() if name not in OUTER}
        environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.packages)}
        return subprocess.Popen(
            ["make", *(arguments or ["environment", f"PYTHON={sys.executable}"])],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def make(self, *arguments):
        """Return the status of `make` and what it says."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output

    def begins(self, *arguments):
        """Whether `make` begins to set up; if so, it is interrupted at once."""
        process = self.start(*arguments)
        begins = process.stdout.readline().startswith("Setting up .venv")
        if begins:
            while (self.venv / "made-of.txt").exists():
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=300)
        return begins


def python_with(folder, statement):
    """Return an interpreter that has run `statement` before it runs a script."""
    script = f"import sys, runpy; {statement}; runpy.run_path(sys.argv[1], run_name='__main__')"
    path = folder / "another python"
    path.write_text(f'#!/bin/sh\n[ "$1" = -c ] || exec "{sys.executable}" -c "{script}" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def set_up(tmp_path_factory):
    """A project that two calls of make have set up at once; `said` is what each of them said."""
    project = Project(tmp_path_factory.mktemp("set-up"))
    calls = [project.start(), project.start()]
    project.said = [call.communicate(timeout=300)[0] for call in calls]
    assert [call.returncode for call in calls] == [0, 0], project.said
    shutil.copytree(project.venv, project.folder / "kept", symlinks=True)
    return project


@pytest.fixture
def project(set_up):
    """The same for a test that changes it: it is put back afterwards."""
    lock = set_up.lock.read_text()
    yield set_up
    set_up.lock.write_text(lock)
    shutil.rmtree(set_up.venv)
    shutil.copytree(set_up.folder / "kept", set_up.venv, symlinks=True)


def test_a_set_up_installs_the_lock_and_the_project_once(set_up):
    assert sum("Another make has just done it." in said for said in set_up.said) == 1
    freeze = [set_up.venv / "bin" / "python", "-m", "pip", "freeze"]
    installed = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    assert f"flit_core=={version('flit_core')}" in installed
    assert "matplotlib==1.0" in installed  # and no newer release
    assert "backprop" in installed
    assert set_up.make("environment", f"PYTHON={sys.executable}") == (0, "")


def test_a_changed_lock_an_interrupted_set_up_and_another_interpreter_begin_again(
    project, tmp_path
):
    another = python_with(tmp_path, "sys.version = '3.12.0 (another one)'")
    lock = project.lock.read_text()
    project.lock.write_text(lock + "# changed\n")
    assert project.begins()
    project.lock.write_text(lock)
    assert project.begins()  # it has been interrupted
    shutil.rmtree(project.venv)
    shutil.copytree(project.folder / "kept", project.venv, symlinks=True)
    assert not project.begins()
    assert project.begins("environment", f"PYTHON={another}")


def test_a_set_up_whose_interpreter_is_gone_begins_again(project):
    (project.venv / "bin" / "python").unlink()
    assert project.begins()


def test_a_package_that_was_tampered_with_is_not_installed(project):
    project.lock.write_text(re.sub(r"(?<=sha256:)\w{4}", "0000", project.lock.read_text()))
    status, said = project.make()
    assert status != 0
    assert "DO NOT MATCH THE HASHES" in said
    assert "Setting up .venv failed or was interrupted" in said
    assert project.begins()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("sys.version_info = (3, 9, 6)", "Python 3.9.6 is too old: the notebooks need"),
        ("sys.modules['ensurepip'] = None", r"Python [\d.]+ lacks its module ensurepip: install"),
    ],
)
def test_an_unsuitable_python_gets_one_sentence(set_up, tmp_path, statement, sentence):
    status, said = set_up.make("run", f"PYTHON={python_with(tmp_path, statement)}")
    assert status != 0
    assert re.match(sentence, said)
    assert said.count(". ") == 0


def test_make_refuses_an_interpreter_that_is_not_there_and_a_misspelt_variable(set_up):
    status, said = set_up.make("test", "PYTHON=no-such-python")
    assert status != 0
    assert said.startswith("There is no working no-such-python here: install Python 3.11")
    status, said = set_up.make("--dry-run", "run", "NB=10", "PARAM=-p units 3")
    assert status != 0
    assert re.search("there is no variable PARAM; there are: .* PARAMS ", said)


def test_make_alone_lists_its_commands(set_up):
    listed = re.findall(r"^make ([a-z-]+) ", set_up.make("help")[1], flags=re.M)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.M)[1].split()
    assert sorted(listed) == sorted({*phony} - {"environment"})


def test_the_lock_leaves_nothing_out():
    """As pip works nothing out, what a locked package needs must be in the lock itself."""
    command = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
