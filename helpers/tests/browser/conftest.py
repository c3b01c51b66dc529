"""A headless Chromium for all tests of this folder, and a JupyterLab that it opens.

Both are cut off from the network, and what they wanted from it is remembered: requests of a page
by the browser, connections of JupyterLab's server and of the kernels by an audit hook in Python.
"""

import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from windows import SCREENSHOTS, SECONDS, Lab, Window

from helpers.runs import NOTEBOOKS, ROOT
from pages import installed_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LOCAL = {"127.0.0.1", "localhost", "::1"}
# No name is looked up, and of the services that a browser has running beside the page, none is.
ARGUMENTS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--disable-background-networking", "--disable-component-update", "--disable-quic",
    "--disable-gpu", "--no-first-run",
)  # fmt: skip

# Every Python process of JupyterLab imports this at its start, the kernels too.
SITECUSTOMIZE = f"""\
import os, sys

def refuse_strangers(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host and host not in {sorted(LOCAL | {"0.0.0.0", "::"})}:
        with open(os.environ["CALLS_OUTSIDE"], "a") as file:
            file.write(f"{{event}} {{host}}\\n")
        raise ConnectionRefusedError(f"the test keeps {{host}} out of reach")

sys.addaudithook(refuse_strangers)
"""


# ------------------------------------------------------------------------------------ the browser


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """A headless Chromium, or any browser that descends from it."""
    from playwright.sync_api import Error, sync_playwright

    where = installed_browser()
    found = where.get("executable_path")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(args=ARGUMENTS, **where)
        except Error as error:
            reason = f"does not start: {error}" if found else "is not installed"
            pytest.fail(
                f"{found or 'Chromium'} {reason}; install Chromium (on Debian and Ubuntu, "
                "`apt-get install chromium`) or Google Chrome for `make test-browser`.",
                pytrace=False,
            )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def new_window(chromium: "Browser"):
    """Return a function that opens a Window; all of them are closed at the end."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    contexts = []

    def open_window(width: int = 1300, height: int = 950) -> Window:
        context = chromium.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        context.set_default_timeout(1000 * SECONDS)
        outside, errors = [], []

        def remember(request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOCAL:
                outside.append(request.url)

        context.on("request", remember)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.on("page", lambda page: page.on("websocket", remember))
        return Window(context, context.new_page(), outside, errors)

    yield open_window
    for context in contexts:
        context.close()


# ------------------------------------------------------------------------------------- JupyterLab


@pytest.fixture(scope="session")
def offline_environment(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """An environment in which Python calls nobody outside, with the file that lists its attempts.

    Nor does JupyterLab find anybody's settings in it.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "sitecustomize.py").write_text(SITECUSTOMIZE)
    names = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]
    names += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
    folders = {name: str(home / name.lower()) for name in names}
    own = {"PYTHONPATH": str(home), "CALLS_OUTSIDE": str(home / "calls")}
    return environ | folders | own, home / "calls"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, offline_environment) -> Iterator[Lab]:
    """JupyterLab as `make lab` starts it, on a copy of notebooks/ and with nobody's settings."""
    environment, calls = offline_environment
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    lab = Lab(f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16), folder, calls)
    command = [
        sys.executable, "-m", "jupyterlab", *_options_of_make_lab(), "--no-browser",
        f"--ServerApp.root_dir={folder}", f"--ServerApp.port={urlsplit(lab.address).port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={lab.token}",
        "--ServerApp.allow_root=True",  # containers have no other user
    ]  # fmt: skip
    log = SCREENSHOTS / "jupyterlab.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        server = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait_for_server(server, lab, log)
        yield lab
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)  # it stops its kernels first
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _options_of_make_lab() -> list[str]:
    """Return what the Makefile hands to JupyterLab, but for the folder."""
    recipe = re.search(r"-m jupyterlab (.*) \$\(ARGS\)", (ROOT / "Makefile").read_text("utf-8"))
    return [word for word in shlex.split(recipe[1]) if not word.startswith("--ServerApp.root_dir=")]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_for_server(server: subprocess.Popen, lab: Lab, log: Path) -> None:
    """Return when the server answers; fail with the end of its log if it stops or never does."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{lab.address}/api?token={lab.token}", timeout=10):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab does not answer; {log} ends in\n{log.read_text()[-1500:]}", False)
