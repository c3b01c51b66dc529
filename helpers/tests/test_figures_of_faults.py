"""What ``make test-faults`` prints at its end, tried with tests that take no time."""

import shutil
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parent / "faults" / "conftest.py"
TESTS = """
import pytest

@pytest.mark.parametrize("notebook", ["02", "02", "04"])
def test_bug(notebook, record_property, request):
    record_property("planted bug", notebook)
    assert request.node.callspec.id not in {missed}

def test_kill(record_property):
    for after in (0.5, 1.5):
        record_property("kill", f"run SIGKILL {{after}} s")

def test_fuzz(record_property):
    record_property("fuzzed", "7 IDX files")
"""


def printed(folder, missed):
    """Return what pytest prints when the bugs with the ids `missed` are not noticed."""
    shutil.copy(CONFTEST, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_them.py").write_text(TESTS.format(missed=missed))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_kills_bugs_and_inputs_are_counted_on_the_terminal(tmp_path):
    shown = printed(tmp_path, [])
    assert "planted bugs: 3 of 3 found" in shown
    assert "kill rate 100.0%; by notebook 02 2/2, 04 1/1" in shown
    assert " 2 kills " in shown
    assert "run SIGKILL 0.5 s\nrun SIGKILL 1.5 s" in shown
    assert "7 IDX files" in shown


def test_a_bug_that_was_missed_lowers_the_rate(tmp_path):
    shown = printed(tmp_path, ["04"])
    assert "planted bugs: 2 of 3 found" in shown
    assert "kill rate 66.7%; by notebook 02 2/2, 04 0/1" in shown
