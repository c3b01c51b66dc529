"""What `helpers.explore` promises: a figure for every position, one stable output, refusals."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ipywidgets import FloatSlider, Image, IntSlider
from PIL import Image as Picture

from helpers import explore

VIEW = "application/vnd.jupyter.widget-view+json"


def draw(slope, steps=3):
    _, ax = plt.subplots()
    ax.plot(np.arange(steps), slope * np.arange(steps))
    return ax


def image(explorer):
    (widget,) = [child for child in explorer.box.children if isinstance(child, Image)]
    return widget


def test_moving_a_slider_redraws_the_figure():
    explorer = explore.sliders(draw, slope=(-5, 5.0, 1), steps=(2, 9, 3))
    before = image(explorer).value
    assert Picture.open(io.BytesIO(before)).getextrema() != ((255, 255),) * 4
    explorer.knobs["slope"].value = -4
    moved = image(explorer).value
    assert moved != before
    explorer.knobs["steps"].value = 8
    assert image(explorer).value not in (before, moved)
    explorer.knobs["slope"].value, explorer.knobs["steps"].value = 1, 3
    assert image(explorer).value == before


def test_the_callback_gets_the_values_of_all_sliders():
    got = []
    explorer = explore.sliders(
        lambda **values: got.append(values) or draw(1), first=(0, 4, 2), second=(0.0, 1.0, 0.5)
    )
    explorer.knobs["first"].value = 3
    assert got == [{"first": 2, "second": 0.5}, {"first": 3, "second": 0.5}]


def test_integers_make_a_slider_of_integers():
    knobs = explore.sliders(draw, slope=(-5, 5, 1.0), steps=(2, 9, 3)).knobs
    assert isinstance(knobs["slope"], FloatSlider)
    assert isinstance(knobs["steps"], IntSlider)
    assert (knobs["steps"].min, knobs["steps"].max, knobs["steps"].value) == (2, 9, 3)


def test_the_output_is_a_view_and_the_same_text_in_every_run():
    bundles = [explore.sliders(draw, slope=(0, 1, 1))._repr_mimebundle_() for _ in range(2)]
    assert all("model_id" in bundle[VIEW] for bundle in bundles)
    assert bundles[0]["text/plain"] == bundles[1]["text/plain"]
    assert set(bundles[0]) == {VIEW, "text/plain"}
    assert "slope" in bundles[0]["text/plain"]


def test_no_figure_stays_open():
    explorer = explore.sliders(draw, slope=(0, 1, 1))
    explorer.knobs["slope"].value = 0
    assert plt.get_fignums() == []


def test_an_array_of_axes_is_the_figure_they_are_on():
    explorer = explore.sliders(lambda n: plt.subplots(1, n, squeeze=False)[1][0], n=(1, 3, 1))
    before = image(explorer).value
    explorer.knobs["n"].value = 3
    assert image(explorer).value != before


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((0, 1), ValueError, "slope has 2 numbers, expected 3"),
        ("abc", TypeError, "slope is a str, expected a list"),
        ((0, 1, "a"), TypeError, "slope is 'a', expected a number"),
        ((0, 1, np.nan), ValueError, "slope is nan, expected a finite number"),
        ((0, 1, 2), ValueError, r"slope is \(0, 1, 2\), expected \(low, high, start\)"),
        ((1, 1, 1), ValueError, r"slope is \(1, 1, 1\), expected"),
    ],
)
def test_a_range_that_is_none_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        explore.sliders(draw, slope=given)


def test_sliders_without_a_parameter_or_a_function_are_refused():
    with pytest.raises(ValueError, match="ranges is empty"):
        explore.sliders(draw)
    with pytest.raises(TypeError, match="draw is None, expected a function"):
        explore.sliders(None, slope=(0, 1, 0))


def test_a_callback_that_draws_nothing_is_refused():
    with pytest.raises(TypeError, match="draw returned a NoneType, expected Axes"):
        explore.sliders(lambda slope: None, slope=(0, 1, 0))


def test_no_figure_stays_open_where_drawing_fails():
    def fails(slope):
        plt.subplots()
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        explore.sliders(fails, slope=(0, 1, 1))
    assert plt.get_fignums() == []


def test_what_the_callback_raises_arrives():
    def fail(slope):
        raise ArithmeticError("no such slope")

    with pytest.raises(ArithmeticError, match="no such slope"):
        explore.sliders(fail, slope=(0, 1, 0))
