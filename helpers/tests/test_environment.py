"""The environment: what is declared, locked and imported agrees; set-up happens once and safely."""

import ast
import re
import sys
import tomllib
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
