"""The runs with other parameters that README and the teacher's guide propose come to their end."""

import re

import pytest

from helpers import datasets, runs

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not datasets.mnist_available(), reason="no MNIST here"),
]
README = (runs.ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (runs.NOTEBOOKS / "TEACHING.md").read_text(encoding="utf-8")
SHORT = {"epochs": 2, "better_epochs": 2}  # of training; what a notebook may claim then is the same


def proposed_run():
    name, parameters = re.search(r'^make run NB=(\S+) PARAMS="(.*)"$', README, re.M).groups()
    return name, dict(re.findall(r"-p (\S+) (\S+)", parameters))


def proposed_grid():
    name, grid = re.search(r'^make sweep NB=(\S+) GRID="(.*)"$', README, re.M).groups()
    return name, runs._parsed_grid(grid.split())


def test_the_run_of_the_readme_succeeds(tmp_path):
    name, parameters = proposed_run()
    assert parameters
    assert runs.run_notebook(name, parameters, tmp_path).status == "ok"


@pytest.mark.parametrize("corner", [0, -1])
def test_the_corners_of_the_grid_of_the_readme_succeed(tmp_path, corner):
    name, grid = proposed_grid()
    point = {parameter: values[corner] for parameter, values in grid.items()}
    assert runs.run_notebook(name, point | SHORT, tmp_path).status == "ok"


def test_the_shortened_plateau_of_the_guide_still_has_the_cliff(tmp_path):
    (iterations,) = re.findall(r"Set `iterations` to (\d+) before class", GUIDE)
    result = runs.run_notebook("08_circles_momentum", {"iterations": iterations}, tmp_path)
    assert result.metrics["final_loss"] < 100
