"""`make test-matrix` knows the sessions that README and Makefile promise."""

import re
import subprocess
import sys

from helpers.runs import ROOT

PROCESSORS = ("Haswell", "SkylakeX", "Zen", "Nehalem")


def test_every_kernel_setting_python_and_release_has_its_session():
    nox = [sys.executable, "-m", "nox", "-f", ROOT / ".ci" / "noxfile.py", "--list"]
    listed = subprocess.run(nox, capture_output=True, text=True, encoding="utf-8", check=True)
    assert set(re.findall(r"^\* (\S+)", listed.stdout, re.M)) == {
        *(f"{processor}-{threads}" for processor in PROCESSORS for threads in (1, 2)),
        *("hash-seed", "time-zone", "c-locale", "path", "plain-nbval"),
        *(f"{packages}-3.{minor}" for packages in ("locked", "oldest") for minor in (11, 12, 13)),
    }
