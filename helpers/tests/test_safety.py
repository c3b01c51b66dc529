"""Nothing here runs what it should not, or reaches beyond this machine where it need not.

No pickles and no evaluated text; no network but for MNIST's download; outputs that need nothing
from elsewhere; JupyterLab for this machine and with a token; installs by hash.
"""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml

from helpers import datasets

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = sorted(
    path
    for folder in ("helpers", "notebooks", ".ci")
    for path in (ROOT / folder).rglob("*.py")
    if "tests" not in path.parts and ".ipynb_checkpoints" not in path.parts
)
TESTS = sorted((ROOT / "helpers" / "tests").rglob("*.py"))


@cache
def cells(path):
    return nbformat.read(path, 4).cells


def code(path):
    """Return the Python of a module or of a notebook's cells, these without their magics."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    sources = [cell.source for cell in cells(path) if cell.cell_type == "code"]
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", "\n".join(sources), flags=re.M)


def name(path):
    return path.relative_to(ROOT).as_posix()


# ----------------------------------------------------------------------- no pickle, no eval

UNSAFE_MODULES = {
    "pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "code",
    "jsonpickle", "runpy", "torch.serialization",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}  # re.compile and model.eval are no such thing
UNSAFE_CALLS = {
    "os.system", "os.popen", "read_pickle", "to_pickle",
    "run_cell", "get_ipython", "yaml.load", "yaml.unsafe_load", "torch.load", "torch.save",
}  # fmt: skip
UNSAFE_OPTIONS = {"allow_pickle", "shell"}
EXCUSED = {
    # The notebook plants bugs in its own functions: it runs its own text, with one line changed.
    ("notebooks/05_gradient_checking.ipynb", "exec"),
    ("helpers/tests/test_datasets.py", "pickle"),  # makes one, to see that it is refused
    (".ci/environment.py", "__import__"),  # of two modules it names, to see if they are there
}


def dotted(node):
    """Return ``a.b.c`` for the expression of that form."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imports(node):
    """Return the modules that a statement imports, with all names that may be modules too."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def is_one_of(full, names):
    """Whether a dotted name is one of `names`, lies in one, or ends in one that has no module."""
    return any(
        full == n or full.startswith(f"{n}.") or ("." not in n and full.endswith(f".{n}"))
        for n in names
    )


def unsafe(source):
    """Return what in a program loads pickles, evaluates text, or starts a shell."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        found |= {
            m for m in imports(node) if any(m == u or m.startswith(f"{u}.") for u in UNSAFE_MODULES)
        }
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        if called in BUILTINS or is_one_of(called, UNSAFE_CALLS):
            found.add(called)
        for option in node.keywords:
            refused = isinstance(option.value, ast.Constant) and not option.value.value
            if option.arg in UNSAFE_OPTIONS and not refused:
                found.add(option.arg)
    return found


@pytest.mark.parametrize("path", [*MODULES, *TESTS, *NOTEBOOKS], ids=name)
def test_no_program_loads_pickles_or_evaluates_text(path):
    excused = {what for where, what in EXCUSED if where == name(path)}
    assert unsafe(code(path)) == excused


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", {"pickle"}),
        ("from joblib import load", {"joblib", "joblib.load"}),
        ("eval('1')", {"eval"}),
        ("exec(text, scope)", {"exec"}),
        ("compile(text, '', 'exec')", {"compile"}),
        ("np.load(path, allow_pickle=True)", {"allow_pickle"}),
        ("np.load(path, allow_pickle=anything)", {"allow_pickle"}),
        ("pd.read_pickle(path)", {"pd.read_pickle"}),
        ("os.system('ls')", {"os.system"}),
        ("subprocess.run('ls', shell=True)", {"shell"}),
        ("np.load(path, allow_pickle=False); re.compile('a'); model.eval()", set()),
        ("ast.literal_eval('1'); frame.eval('a + b')", set()),
    ],
)
def test_an_unsafe_program_is_noticed(source, found):
    assert unsafe(source) == found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebooks_use_no_magic_but_the_one_for_figures(path):
    sources = [cell.source for cell in cells(path) if cell.cell_type == "code"]
    assert re.findall(r"^\s*([%!].*)$", "\n".join(sources), flags=re.M) == ["%matplotlib inline"]


# ----------------------------------------------------------------------------- no network

NETWORK = {
    "urllib.request", "urllib3", "http", "socket", "ssl", "requests", "httpx", "aiohttp", "ftplib",
    "smtplib", "telnetlib", "websockets", "websocket", "tornado", "paramiko", "pooch", "wget",
    "fsspec", "torch.hub", "torchvision", "tensorflow_datasets", "urlopen", "urlretrieve",
}  # fmt: skip
FETCHERS = {
    "fetch_openml", "fetch_california_housing", "fetch_olivetti_faces", "fetch_20newsgroups",
    "fetch_covtype", "fetch_file", "load_dataset", "load_state_dict_from_url", "urlopen",
    "urlretrieve", "create_connection", "download",
}  # fmt: skip
DOWNLOAD = {"urllib.request", "urllib.request.Request", "urllib.request.urlopen", "urlopen",
            "http.client", "http.client.HTTPException"}  # fmt: skip


def networked(source):
    """Return what in a program could fetch something: modules, functions, and addresses."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        found |= {m for m in imports(node) if is_one_of(m, NETWORK)}
        if isinstance(node, ast.Call) and is_one_of(dotted(node.func), FETCHERS):
            found.add(dotted(node.func))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Not those in prose: an address to fetch from is a string of its own.
            found |= set(re.findall(r"^(?:https?|ftp|s3)://\S+$", node.value))
    return found


@pytest.mark.parametrize("path", [*MODULES, *NOTEBOOKS], ids=name)
def test_nothing_but_the_download_of_mnist_can_reach_the_network(path):
    allowed = {*DOWNLOAD, *datasets.MNIST_MIRRORS} if name(path) == "helpers/datasets.py" else set()
    assert networked(code(path)) == allowed


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import urllib.request", {"urllib.request"}),
        ("from urllib import request", {"urllib.request"}),
        ("import requests as r", {"requests"}),
        ("from http.client import HTTPConnection", {"http.client", "http.client.HTTPConnection"}),
        ("pd.read_csv('https://example.org/a.csv')", {"https://example.org/a.csv"}),
        ("sklearn.datasets.fetch_openml('mnist')", {"sklearn.datasets.fetch_openml"}),
        ("sns.load_dataset('iris')", {"sns.load_dataset"}),
        ("'see https://example.org for more'; import urllib.parse", set()),
    ],
)
def test_a_program_that_fetches_is_noticed(source, found):
    assert networked(source) == found


def test_every_mirror_of_mnist_is_encrypted_and_every_file_has_its_hash():
    assert all(url.startswith("https://") for url in datasets.MNIST_MIRRORS)
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in datasets.MNIST_FILES)


# ----------------------------------------------------------------------- outputs stand alone

ELSEWHERE = r"(?:https?:)?//[^\s\"'<>)]"
LOADED = re.compile(
    rf"""
    <(?:script|img|iframe|embed|source|audio|video|track|input|frame)\b[^>]*\bsrc\s*=\s*["']?\s*{ELSEWHERE}
    | <link\b[^>]*\bhref\s*=\s*["']?\s*{ELSEWHERE}
    | <(?:image|use)\b[^>]*\bhref\s*=\s*["']?\s*{ELSEWHERE}
    | <object\b[^>]*\bdata\s*=\s*["']?\s*{ELSEWHERE}
    | \bsrcset\s*=\s*["']?\s*{ELSEWHERE}
    | \burl\(\s*["']?{ELSEWHERE}
    | @import\s+["']{ELSEWHERE}
    | !\[[^\]]*\]\(\s*<?{ELSEWHERE}
    | \b(?:fetch|import|importScripts|require|open)\s*\(\s*\[?["'`]{ELSEWHERE}
    | \b(?:XMLHttpRequest|WebSocket|EventSource|sendBeacon)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
SCRIPTS = {"application/javascript", "text/javascript"}


def shown(cell):
    """Yield every text that a cell displays, as prose or output."""
    if cell.cell_type != "code":
        yield cell.source
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        for mime, data in output.get("data", {}).items():
            assert mime not in SCRIPTS, "a script outside HTML"
            if not mime.startswith(("image/png", "image/jpeg")):
                yield data if isinstance(data, str) else json.dumps(data)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_prose_and_outputs_load_nothing_from_elsewhere(path):
    loaded = [
        match[0] for cell in cells(path) for text in shown(cell) for match in LOADED.finditer(text)
    ]
    assert not loaded


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        "<script type='module' src = //cdn.example.org/a.js>",
        '<link rel="stylesheet"\nhref="https://example.org/font.css">',
        '<img alt="x" src="http://example.org/x.png">',
        "![a figure](https://example.org/x.png)",
        '<svg><image xlink:href="https://example.org/x.png"/></svg>',
        "<style>a { background: url('https://example.org/x.png') }</style>",
        "<script>fetch('https://example.org/count')</script>",
        "<script>require(['https://example.org/d3.js'])</script>",
    ],
)
def test_what_would_be_loaded_from_elsewhere_is_noticed(text):
    assert LOADED.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "[a paper](https://example.org/paper.pdf)",
        '<a href="https://example.org">a page</a>',
        '<img src="data:image/png;base64,iVBORw0KGgo=">',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#glyph"/></svg>',
        "![a figure](attachment:x.png)",
    ],
)
def test_links_and_pictures_within_are_no_matter(text):
    assert not LOADED.search(text)


# ------------------------------------------------------------------- JupyterLab, for you alone

needs_make = pytest.mark.skipif(
    not shutil.which("make") or os.name == "nt", reason="starts JupyterLab with make and signals"
)


def answer_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def listening(port):
    """Return the local addresses, as Linux writes them, on which `port` is listened to."""
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                addresses.add(address)
    return addresses


@pytest.fixture
def lab(tmp_path):
    """Start `make lab` without a browser and without the settings of whoever runs the tests."""
    places = ("CONFIG", "DATA", "RUNTIME")
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "JUPYTER_TOKEN"}
    environment = {k: v for k, v in os.environ.items() if k not in outer}
    environment |= {f"JUPYTER_{place}_DIR": str(tmp_path / place) for place in places}
    # Root has to allow itself, which takes nothing away from what is tested.
    options = "--no-browser --allow-root --ServerApp.port=0 --LabApp.extension_manager=readonly"
    command = ["make", "lab", "VENV=none", f"PYTHON={sys.executable}", f"ARGS={options}"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while not (found := list((tmp_path / "RUNTIME").glob("jpserver-*.json"))):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        time.sleep(0.2)  # for the file to be written
        yield json.loads(found[0].read_text())
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@needs_make
def test_jupyterlab_listens_on_this_machine_only_and_asks_for_its_token(lab, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert lab["hostname"] == "127.0.0.1"
    assert len(lab["token"]) >= 32
    contents = f"{lab['url']}api/contents"
    assert answer_of(contents) == 403
    assert answer_of(f"{contents}?token=wrong") == 403
    assert answer_of(f"{contents}?token={lab['token']}") == 200
    if sys.platform == "linux":
        assert listening(lab["port"]) == {"0100007F"}  # 127.0.0.1


def test_no_command_takes_the_token_away_or_opens_jupyter_to_others():
    opened = (
        r"--ip[= ]|0\.0\.0\.0|\.ip=(?!127\.0\.0\.1)|\.token|\.password|allow_remote_access=True"
    )
    places = [ROOT / "Makefile", *(ROOT / ".ci").glob("*"), *(ROOT / ".github").rglob("*.yml")]
    for path in [p for p in places if p.is_file()]:
        assert not re.search(opened, path.read_text(encoding="utf-8")), path


# ------------------------------------------------------------------------- installs by hash


def test_nothing_but_the_two_scripts_with_tests_of_their_own_installs_anything():
    """They are .ci/environment.py (see test_environment.py) and .ci/matrix.py (test_matrix.py)."""
    installs = re.compile(r"\b(pip|pip3|conda|npm)\b[^\n]*\binstall\b|\bcurl\b|\bwget\b")
    scripts = {path for path in (ROOT / ".ci").glob("*") if path.is_file()} | {ROOT / "Makefile"}
    found = {path.name for path in scripts if installs.search(path.read_text(encoding="utf-8"))}
    assert found == {"environment.py", "matrix.py"}


def test_continuous_integration_installs_without_hashes_only_where_it_tries_the_newest():
    """That job exists to meet releases nobody has locked yet; it runs weekly, with read access."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job, steps in workflow["jobs"].items():
        text = "\n".join(step.get("run", "") for step in steps["steps"])
        if job != "newest":
            assert "pip install" not in text
            assert "curl" not in text
