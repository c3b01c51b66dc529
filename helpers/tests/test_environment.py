"""The environment: what is declared, locked and imported agrees; set-up happens once and safely."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import packages_distributions
from itertools import product
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = (("linux", "posix", "Linux"), ("darwin", "posix", "Darwin"), ("win32", "nt", "Windows"))


def specifiers(lines):
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r.specifier for r in requirements}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = specifiers(PROJECT["dependencies"])
DEV = specifiers(PROJECT["optional-dependencies"]["dev"])
PEERS = specifiers(PROJECT["optional-dependencies"].get("peers", []))
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def locked_packages():
    """One (Requirement, hashes) for each entry of the lock."""
    entries = re.split(r"\n(?=\w)", re.sub(r"^\s*#.*\n", "", LOCK, flags=re.M))
    for entry in entries:
        requirement, *hashes = entry.replace("\\\n", "").split("--hash=")
        yield Requirement(requirement.strip()), [h.strip() for h in hashes]


def locked_for(python, system):
    platform, os_name, platform_system = system
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "os_name": os_name,
        "platform_system": platform_system,
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return [r for r, _ in locked_packages() if not r.marker or r.marker.evaluate(environment)]


# ------------------------------------------------------------------------------ declared and locked


def test_every_direct_dependency_has_a_lower_and_an_upper_bound():
    for name, specifier in {**DIRECT, **DEV, **PEERS}.items():
        operators = {part.operator for part in specifier}
        assert operators == {">=", "<"}, f"{name} {specifier}"


def test_environment_yml_declares_what_pyproject_declares():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    project, *from_pip = pip["pip"]
    assert project == "-e ."
    declared = specifiers([*conda, *from_pip])
    python = declared.pop("python")
    assert declared.pop("pip") == SpecifierSet()
    assert declared == {**DIRECT, **DEV}
    assert environment["channels"] == ["conda-forge"]
    assert all(f"{version}.0" in python for version in PYTHONS)
    assert set(SpecifierSet(PROJECT["requires-python"])) <= set(python)


@pytest.mark.parametrize(("python", "system"), list(product(PYTHONS, SYSTEMS)))
def test_lock_pins_every_direct_dependency_once_within_its_bounds(python, system):
    locked = locked_for(python, system)
    names = [canonicalize_name(r.name) for r in locked]
    assert len(names) == len(set(names)), "a package is pinned twice"
    pins = {canonicalize_name(r.name): str(r.specifier) for r in locked}
    for name, bounds in {**DIRECT, **DEV}.items():
        operator, version = pins[name][:2], pins[name][2:]
        assert operator == "=="
        assert version in bounds, f"{name} {version} is outside {bounds}"


def test_lock_has_a_sha256_for_every_package():
    entries = list(locked_packages())
    assert len(entries) > 100
    for requirement, hashes in entries:
        assert hashes, requirement.name
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", value) for value in hashes)


def test_lock_names_no_place_to_fetch_from():
    assert not re.search(r"://|--(extra-)?index-url|--find-links|^-i\b| @ ", LOCK, flags=re.M)


def test_lock_leaves_out_the_optional_frameworks():
    names = {canonicalize_name(r.name) for r, _ in locked_packages()}
    assert not names & {"torch", "jax", "jaxlib"}


# ---------------------------------------------------------------------------- declared and imported


def imported_modules(source):
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module.split(".")[0])
    return modules - set(sys.stdlib_module_names) - {"helpers"}


def notebook_source(path):
    cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    return re.sub(r"^\s*[%!].*$", "", "\n".join(cells), flags=re.M)  # without magics


def undeclared(modules, declared):
    distributions = packages_distributions()
    return {
        module
        for module in modules
        if not {canonicalize_name(d) for d in distributions.get(module, [module])} & set(declared)
    }


@pytest.mark.parametrize("path", sorted((ROOT / "helpers").glob("*.py")), ids=lambda p: p.name)
def test_helpers_import_only_declared_packages(path):
    assert not undeclared(imported_modules(path.read_text(encoding="utf-8")), DIRECT)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "helpers" / "tests").glob("*.py")), ids=lambda p: p.name
)
def test_tests_import_only_declared_packages(path):
    modules = imported_modules(path.read_text(encoding="utf-8"))
    assert not undeclared(modules, {**DIRECT, **DEV})


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_import_only_declared_packages(path):
    assert not undeclared(imported_modules(notebook_source(path)), {**DIRECT, **PEERS})


def test_an_undeclared_import_is_noticed():
    assert undeclared(imported_modules("import numpy, requests.adapters"), DIRECT) == {"requests"}


# -------------------------------------------------------------------------------- the set-up script


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """The set-up script in an empty project, with commands recorded instead of run."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / ".ci" / "environment.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.commands = []
    script.fails_at = None

    def record(command, check, cwd):
        script.commands.append(command)
        if "venv" in command:
            Path(script.PYTHON).parent.mkdir(parents=True, exist_ok=True)
            Path(script.PYTHON).touch()
        if script.fails_at is not None and script.fails_at in command:
            raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(script, "ROOT", str(tmp_path))
    monkeypatch.setattr(script, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(script, "STAMP", str(tmp_path / ".venv" / "stamp"))
    monkeypatch.setattr(script, "PYTHON", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.setattr(script, "LOCK", str(tmp_path / "requirements.txt"))
    monkeypatch.setattr(script.subprocess, "run", record)
    Path(script.LOCK).write_text("numpy==2.4.0 --hash=sha256:0\n")
    return script


def test_setup_happens_once(setup):
    assert setup.main() == 0
    assert len(setup.commands) == 4
    assert setup.main() == 0
    assert len(setup.commands) == 4


def test_setup_is_repeated_when_the_lock_changes(setup):
    setup.main()
    Path(setup.LOCK).write_text("numpy==2.4.1 --hash=sha256:0\n")
    setup.main()
    assert len(setup.commands) == 8


def test_setup_is_repeated_for_another_interpreter(setup, monkeypatch):
    setup.main()
    monkeypatch.setattr(sys, "version", "3.12.0 (another one)")
    setup.main()
    assert len(setup.commands) == 8


def test_setup_is_repeated_when_the_interpreter_is_gone(setup):
    setup.main()
    os.remove(setup.PYTHON)
    setup.main()
    assert len(setup.commands) == 8


def test_setup_that_failed_is_begun_again(setup):
    setup.main()
    Path(setup.LOCK).write_text("numpy==9 --hash=sha256:0\n")
    setup.fails_at = "--require-hashes"
    assert "failed" in setup.main()
    Path(setup.LOCK).write_text("numpy==2.4.0 --hash=sha256:0\n")  # what was installed at first
    setup.fails_at = None
    before = len(setup.commands)
    assert setup.main() == 0
    assert len(setup.commands) == before + 4


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be locked on Windows")
def test_of_two_setups_at_once_the_second_waits_and_finds_the_work_done(setup, capsys, monkeypatch):
    record, begun, may_go_on = setup.subprocess.run, threading.Event(), threading.Event()

    def slowly(*args, **kwargs):
        begun.set()
        assert may_go_on.wait(30)
        record(*args, **kwargs)

    monkeypatch.setattr(setup.subprocess, "run", slowly)
    shown = ""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(setup.main)
        assert begun.wait(30)
        second = pool.submit(setup.main)
        deadline = time.monotonic() + 30
        while "Waiting for another make" not in shown and time.monotonic() < deadline:
            shown += capsys.readouterr().out
            time.sleep(0.01)
        may_go_on.set()
    assert "Waiting for another make" in shown
    assert (first.result(), second.result()) == (0, 0)
    assert len(setup.commands) == 4


def test_setup_does_without_a_lock_where_there_is_none(setup, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # importing it fails, as on Windows
    assert setup.main() == 0
    assert len(setup.commands) == 4


def test_setup_installs_only_by_hash_or_from_this_folder(setup):
    setup.main()
    installs = [command for command in setup.commands if "install" in command]
    assert len(installs) == 2
    locked, project = installs
    assert {"--require-hashes", "--only-binary", setup.LOCK} <= set(locked)
    assert {"--no-deps", "--no-build-isolation", setup.ROOT} <= set(project)


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 6, 0), (2, 7, 18)])
def test_an_old_python_is_refused_in_one_sentence(setup, version):
    sentence = setup.refusal(version)
    assert sentence.startswith(f"Python {'.'.join(map(str, version))} is too old")
    assert "PYTHON=" in sentence
    assert sentence.count(". ") == 0


def test_a_python_without_venv_is_refused_with_the_package_to_install(setup):
    assert "python3.12-venv" in setup.refusal((3, 12, 1), missing=["ensurepip"])


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 5), (3, 14, 0)])
def test_a_suitable_python_is_accepted(setup, version):
    assert setup.refusal(version) is None


# ----------------------------------------------------------------------------------- the Makefile

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def make(*arguments, cwd=ROOT):
    outer = {
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "PYTHON",
        "VENV",
    }  # of the make that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8")


@needs_make
def test_make_lists_its_commands():
    listed = re.findall(r"^make ([a-z-]+) ", make().stdout, flags=re.M)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.M)[1].split()
    assert sorted(listed) == sorted(set(phony) - {"environment"})


@needs_make
def test_make_hands_notebook_grid_scheduler_and_workers_to_the_sweep():
    grid = "hidden_units=32,128 rate=0.1"
    asked = ["NB=10_mnist", f"GRID={grid}", "SCHEDULER=tcp://here:8786", "WORKERS=3"]
    told = make("-n", "sweep", "VENV=none", "PYTHON=python", *asked).stdout.splitlines()[-1].split()
    assert told[1:] == [
        "-m", "helpers.runs", "sweep", "10_mnist", *grid.split(),
        "--scheduler", "tcp://here:8786", "--workers", "3",
    ]  # fmt: skip


@needs_make
def test_make_says_when_there_is_no_such_interpreter():
    result = make("test", "PYTHON=no-such-python")
    assert result.returncode != 0
    assert result.stderr.startswith("There is no working no-such-python here")


@needs_make
@pytest.mark.skipif(os.name == "nt", reason="the stand-in interpreter is a shell script")
def test_make_refuses_an_interpreter_that_is_too_old(tmp_path):
    pretend = (
        "import sys, runpy; sys.version_info = (3, 9, 6);"
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    old = tmp_path / "old python"
    old.write_text(f'#!/bin/sh\n[ "$1" = -c ] || exec "{sys.executable}" -c "{pretend}" "$@"\n')
    old.chmod(0o755)
    result = make("run", f"PYTHON={old}")
    assert result.returncode != 0
    assert result.stderr.startswith("Python 3.9.6 is too old")
