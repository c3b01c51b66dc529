"""No notebook fails because of a time: each finishes by a clock that runs at random pace."""

import pytest

from helpers import datasets, runs

pytestmark = pytest.mark.faults

# Every reading goes on by what has passed, times a random factor from 0.1 to 10.
CLOCK = """
import random, time

def at_random_pace(clock):
    state = {"told": clock(), "read": clock()}

    def read():
        now = clock()
        state["told"] += (now - state["read"]) * 10 ** random.uniform(-1, 1)
        state["read"] = now
        return state["told"]

    return read

time.perf_counter, time.process_time = map(at_random_pace, (time.perf_counter, time.process_time))
"""


@pytest.mark.parametrize("name", runs.notebook_names())
def test_a_notebook_finishes_by_any_clock(tmp_path, monkeypatch, name):
    (tmp_path / "sitecustomize.py").write_text(CLOCK, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    on_digits = runs.reads_mnist(runs.notebook_path(name)) and not datasets.mnist_available()
    parameters = {"dataset": "digits"} if on_digits else {}
    assert runs.run_notebook(name, parameters, tmp_path / "out").status == "ok"
