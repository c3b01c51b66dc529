"""The project holds together: what it needs, who imports whom, what it loads, who can reach it."""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from graphlib import TopologicalSorter
from itertools import product
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HELPERS = sorted(p for p in (ROOT / "helpers").rglob("*.py") if "tests" not in p.parts)
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = ("linux", "darwin", "win32")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


# ------------------------------------------------------------------------------ declared and locked


def bounds(lines):
    return {r.name.replace("_", "-").lower(): r.specifier for r in map(Requirement, lines)}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = bounds(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
LOCKED = [entry.split("\\\n    --hash=") for entry in re.findall(r"^\w(?:.*\\\n)*.*", LOCK, re.M)]


def test_every_declared_package_has_a_lower_and_an_upper_bound():
    for name, specifier in (DECLARED | bounds(PROJECT["optional-dependencies"]["peers"])).items():
        assert {part.operator for part in specifier} == {">=", "<"}, name


def test_environment_yml_declares_what_pyproject_declares():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert pip["pip"][0] == "-e ."
    declared = bounds([*conda, *pip["pip"][1:]])
    python = declared.pop("python")
    assert declared.pop("pip") == SpecifierSet()
    assert declared == DECLARED
    assert all(f"{version}.0" in python for version in PYTHONS)


@pytest.mark.parametrize(("python", "system"), list(product(PYTHONS, SYSTEMS)))
def test_the_lock_pins_every_declared_package_once_within_its_bounds(python, system):
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "os_name": "nt" if system == "win32" else "posix",
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "platform_machine": "x86_64",
    }
    entries = [Requirement(entry[0]) for entry in LOCKED]
    here = [r for r in entries if not r.marker or r.marker.evaluate(environment)]
    pins = bounds(map(str, here))
    assert len(pins) == len(here), "a package is pinned twice"
    for name, allowed in DECLARED.items():
        assert str(pins[name]).removeprefix("==") in allowed, f"{name} {pins[name]}"


def test_the_lock_has_a_hash_for_every_package_and_no_address():
    assert len(LOCKED) > 100
    for name, *hashes in LOCKED:
        assert hashes, name
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", value.strip()) for value in hashes), name
    assert not re.search(r"://|--(extra-)?index-url|--find-links|^-i\b| @ ", LOCK, re.M)


def test_the_citation_says_what_pyproject_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["authors"] == PROJECT["authors"]
    assert [citation["version"], citation["license"]] == [PROJECT["version"], PROJECT["license"]]


# ---------------------------------------------------------------------------------- who uses whom


def room(path):
    """Return the room of a module: its name, or that of its package within helpers."""
    return path.relative_to(ROOT / "helpers").parts[0].removesuffix(".py")


def imported(path):
    """Return the words of all imports of a module, wherever they stand in it."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    imports = [ast.unparse(n) for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom))]
    return set(re.findall(r"\w+", " ".join(imports)))


def test_helpers_import_each_other_in_one_direction_and_nothing_from_ci():
    graph = {room(path): set() for path in HELPERS}
    for path in HELPERS:
        graph[room(path)] |= imported(path) & graph.keys() - {room(path)}
        assert not imported(path) & {script.stem for script in (ROOT / ".ci").glob("*.py")}
    list(TopologicalSorter(graph).static_order())  # a CycleError names the circle


@pytest.mark.parametrize("path", HELPERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_public_function_of_helpers_is_used_outside_its_module(path):
    users = [
        *NOTEBOOKS,
        *(ROOT / "notebooks").glob("*.md"),
        ROOT / "Makefile",
        ROOT / "notebooks" / "conftest.py",
    ]
    users += (ROOT / ".ci").rglob("*.py")
    users += [other for other in HELPERS if other != path and other.name != "__init__.py"]
    used = set(re.findall(r"\w+", "\n".join(user.read_text(encoding="utf-8") for user in users)))
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert {name for name in names - used if not name.startswith("_")} == set()


# --------------------------------------------------------------------------- nothing from elsewhere

ELSEWHERE = r"""["'`]?\s*<?(?:https?:)?//"""
LOADED = re.compile(
    rf"""
    <(?!a\b)[^>]*\b(?:src|srcset|href|data)\s*=\s*{ELSEWHERE}
    | \burl\(\s*{ELSEWHERE} | @import\s+{ELSEWHERE} | !\[[^\]]*\]\(\s*{ELSEWHERE}
    | \b(?:fetch|import|importScripts|require|open)\s*\(\s*\[?{ELSEWHERE}
    | \b(?:XMLHttpRequest|WebSocket|EventSource|sendBeacon)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


@each_notebook
def test_prose_and_outputs_load_nothing_from_elsewhere(path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "markdown":
            shown = [cell.source]
        else:
            shown = re.findall("^ *[!%].*", cell.source, re.M)
            assert set(shown) <= {"%matplotlib inline"}
        for data in [output.get("data", {}) for output in cell.get("outputs", [])]:
            assert "application/javascript" not in data
            shown += [str(value) for mime, value in data.items() if "image/" not in mime]
        assert not (found := LOADED.search("\n".join(shown))), found


def test_what_would_be_loaded_from_elsewhere_is_told_from_a_link():
    assert LOADED.search("<script type='module' src = //cdn.example.org/a.js>")
    assert LOADED.search("![a figure](https://example.org/x.png)")
    assert LOADED.search("<style>a { background: url('https://example.org/x.png') }</style>")
    assert LOADED.search("<script>require(['https://example.org/d3.js'])</script>")
    assert not LOADED.search("[paper](https://example.org) <a href='https://example.org'>page</a>")
    assert not LOADED.search("<svg xmlns='http://www.w3.org/2000/svg'><use href='#glyph'/></svg>")


# -------------------------------------------------------------------- JupyterLab, for you alone


def answer(url):
    """Return the status of a page."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def lab(tmp_path):
    """Start `make lab` without a browser or settings of one's own; yield its port and token."""
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "JUPYTER_TOKEN"}
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    for place in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{place}_DIR"] = str(tmp_path / place)
    # Root has to allow itself, which takes nothing away from what is tested.
    options = "--no-browser --allow-root --ServerApp.port=0 --LabApp.extension_manager=readonly"
    command = ["make", "lab", "VENV=none", f"PYTHON={sys.executable}", f"ARGS={options}"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        address = r"http://127\.0\.0\.1:(\d+)/lab\?token=(\w{32,})"
        while not (found := re.search(address, said := (tmp_path / "log").read_text())):
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        yield int(found[1]), found[2]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make, and signals")
def test_jupyterlab_listens_on_this_machine_only_and_asks_for_its_token(lab, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    port, token = lab
    contents = f"http://127.0.0.1:{port}/api/contents"
    answers = [answer(contents + query) for query in ("", "?token=wrong", f"?token={token}")]
    assert answers == [403, 403, 200]
    with pytest.raises(OSError, match=r"refused|timed out|unreachable|assign"):
        socket.create_connection(("127.0.0.2", port), timeout=5)  # another address of this machine
