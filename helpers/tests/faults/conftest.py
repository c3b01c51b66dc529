"""Print, after the faults, what was killed and when."""

import pytest

KILLS = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[KILLS] = []


@pytest.fixture
def kills(request):
    """Return the list of kills: command, signal, seconds after its start, what was left."""
    return request.config.stash[KILLS]


def pytest_terminal_summary(terminalreporter, config):
    if kills := config.stash.get(KILLS, []):
        terminalreporter.section(f"{len(kills)} kills")
        for command, signal, after, left in kills:
            terminalreporter.write_line(f"{command:8} {signal:8} {after:5.2f} s  {left}")
