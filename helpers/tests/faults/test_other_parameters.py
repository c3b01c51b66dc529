"""Runs with other parameters come to their end: those a text proposes, and all of them changed."""

import re
from itertools import chain

import nbformat
import pytest

from helpers import datasets, runs

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not datasets.mnist_available(), reason="no MNIST here"),
]
OTHER = {
    "01_scalar_network": {"n_points": 300, "sample": 0.7, "nudge": 0.2},
    "02_scalar_backprop": {"n_points": 300, "sample": -1.5, "learning_rate": 1.0, "steps": 200},
    "03_vectorized_network": {"n_points": 200, "seed": 8},
    "04_vectorized_backprop": {
        "batch_size": 20, "learning_rate": 0.03, "epochs": 3, "larger_rate": 2.0,
        "more_epochs": 20,
    },
    "05_gradient_checking": {
        "learning_rate": 2.0, "checked_epochs": 1, "epochs": 20, "batch_size": 100,
    },
    "06_batched_backprop": {
        "batch_size": 100, "learning_rate": 2.0, "epochs": 40, "slow_epochs": 3, "slow_rate": 0.02,
    },
    "07_softmax_classifier": {
        "hidden_units": 6, "learning_rate": 0.3, "epochs": 100, "seed": 2, "n_seeds": 4,
        "digit_rate": 0.1, "digit_batch": 64, "digit_epochs": 10,
    },
    "08_circles_momentum": {"iterations": 2000, "n_points": 4000, "seed": 3},
    "09_resistance_classifier": {
        "seed": 7, "hidden_units": 16, "learning_rate": 0.05, "batch_size": 32, "epochs": 50,
        "n_seeds": 4, "n_fresh": 20_000,
    },
    "10_mnist": {
        "dataset": "digits", "hidden_units": 64, "learning_rate": 0.005, "batch_size": 32,
        "epochs": 3, "seed": 2, "better_epochs": 2, "better_hidden_units": 128,
        "better_batch_size": 64, "peak_rate": 0.1, "momentum": 0.8,
    },
    "11_autograd": {"seed": 4},
    "12_speed": {
        "dataset": "digits", "hidden_units": 64, "batch_size": 32, "rate": 0.3, "threads": 2,
        "rounds": 2, "accuracy_epochs": 2, "seed": 2,
    },
    "13_scale": {
        "dataset": "digits", "hidden_units": 64, "batch_size": 32, "workers": 1, "seed": 2,
    },
    "14_how_far": {
        "dataset": "digits", "distortion": "affine", "epochs": 3, "seed": 2, "hidden_units": 64,
        "batch_size": 32, "peak_rate": 0.05, "momentum": 0.8, "turn": 5.0, "stretch": 0.1,
        "slant": 0.1, "shift": 0.5, "bend": 0.5, "smooth": 5.0, "held_out": True,
    },
}  # fmt: skip
BY_A_CLUSTER = {"scheduler"}  # its tests are in test_runs.py


def texts():
    """Return README, guide, glossary and the prose of all notebooks."""
    pages = [runs.ROOT / "README.md", *runs.NOTEBOOKS.glob("*.md")]
    cells = [nbformat.read(path, 4).cells for path in sorted(runs.NOTEBOOKS.glob("*.ipynb"))]
    prose = [cell.source for cell in chain(*cells) if cell.cell_type == "markdown"]
    return "\n".join([*(page.read_text(encoding="utf-8") for page in pages), *prose])


def proposals():
    """Return the runs that a text proposes as (notebook, parameters); of a grid both corners."""
    text = texts()
    found = []
    for name, parameters in re.findall(r'make run NB=(\w+) PARAMS="([^"]+)"', text):
        found.append((name, dict(re.findall(r"-p (\S+) (\S+)", parameters))))
    for name, grid in re.findall(r'make sweep NB=(\w+) GRID="([^"]+)"', text):
        axes = {axis: values.split(",") for axis, values in re.findall(r"(\S+)=(\S+)", grid)}
        found += [(name, {axis: values[end] for axis, values in axes.items()}) for end in (0, -1)]
    (iterations,) = re.findall(r"Set `iterations` to (\d+) before class", text)
    return [*found, ("08_circles_momentum", {"iterations": iterations})]


def shown(name, parameters):
    return f"{name[:2]}-" + "-".join(f"{key}={value}" for key, value in parameters.items())


@pytest.mark.parametrize(
    ("name", "parameters"), [pytest.param(*p, id=shown(*p)) for p in proposals()]
)
def test_what_a_text_proposes_comes_to_its_end(tmp_path, name, parameters):
    assert runs.run_notebook(name, parameters, tmp_path).status == "ok"


@pytest.mark.parametrize("name", runs.notebook_names())
def test_all_parameters_together_may_be_changed(tmp_path, name):
    assert (
        set(OTHER[name]) == set(runs.notebook_parameters(runs.notebook_path(name))) - BY_A_CLUSTER
    )
    assert runs.run_notebook(name, OTHER[name], tmp_path).status == "ok"
