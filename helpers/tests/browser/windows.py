"""What the tests of this folder hold in their hands: a window of the browser, and a JupyterLab."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.runs import RUNS

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SCREENSHOTS = RUNS / "browser"
SECONDS = 300  # the longest that a test waits for anything; nothing sleeps for a fixed time


@dataclass
class Window:
    """A window of the browser with a profile of its own, what it asked for, and its errors."""

    context: "BrowserContext"
    page: "Page"
    outside: list[str]
    errors: list[str]

    def screenshot(self, name: str) -> Path:
        """Keep what the page shows in ``runs/browser/<name>.png``."""
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@dataclass
class Lab:
    """A running JupyterLab: where it is, the folder it shows, and what it called up outside."""

    address: str
    token: str
    folder: Path
    calls: Path

    def url(self, notebook: str) -> str:
        """Return the address of a notebook in a workspace where nothing else is open."""
        return f"{self.address}/lab/workspaces/{notebook}/tree/{notebook}.ipynb?token={self.token}"

    @property
    def outside(self) -> list[str]:
        """What the server and the kernels wanted from other machines."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []
