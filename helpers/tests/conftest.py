"""Draw without a screen, leave no figure open behind a test, and find the scripts of .ci."""

import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).parents[2] / ".ci"))


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")
