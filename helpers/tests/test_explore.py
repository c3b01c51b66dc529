"""Sliders redraw their figure, the pad answers, and each output is the same in every run."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ipywidgets import FloatSlider, IntSlider
from sklearn.neighbors import KNeighborsClassifier

from helpers import datasets, explore


def draw(slope, steps):
    ax = plt.subplots(1, 2)[1]
    ax[0].plot(np.arange(steps), slope * np.arange(steps))
    return ax


def test_moving_a_slider_redraws_the_figure_and_leaves_none_open():
    box = explore.sliders(draw, slope=(-5.0, 5.0, 1.0), steps=(2, 9, 3))
    slope, steps = box.knobs.values()
    assert (type(slope), type(steps)) == (FloatSlider, IntSlider)
    image = box.children[1]
    pictures = [image.value]
    for knob, value in ((slope, -4), (steps, 8), (slope, 1), (steps, 3)):
        knob.value = value
        pictures.append(image.value)
    assert pictures[0] == pictures[4]
    assert len(set(pictures)) == 4
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: explore.sliders(draw, slope=(0, 1, 1), steps=(2, 9, 3))._repr_mimebundle_(),
            "sliders for slope, steps: run this cell in JupyterLab to move them",
        ),
        (
            lambda: explore.drawing_pad(where, 8)._repr_mimebundle_()[0],
            "a pad to draw on: run this cell in JupyterLab to use it",
        ),
    ],
)
def test_the_output_is_a_view_and_the_same_text_in_every_run(make, text):
    for bundle in (make(), make()):
        assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]
        assert bundle["text/plain"] == text


# ---------------------------------------------------------------------------------------- the pad


def where(ink):
    """Say whether most of the ink is on the left or on the right, and hand it back."""
    if ink.min() == 1:
        raise RuntimeError("the sheet is full")
    left, right = ink[:, :4].sum(), ink[:, 4:].sum()
    return np.array([left, right]) / max(left + right, 1), {"ink": ink}


def test_the_pad_asks_about_the_empty_sheet_and_whenever_ink_arrives_and_shows_an_error():
    with pytest.raises(ZeroDivisionError):
        explore.drawing_pad(lambda ink: 1 / 0, 8)
    pad = explore.drawing_pad(where, 8)
    assert pad.answer == {"probabilities": [0, 0], "pictures": {"ink": [0] * 64}}
    pad.ink = [255] * 64
    assert pad.answer == {"failure": "RuntimeError: the sheet is full"}
    pad.ink = [*[0] * 63, 255]  # as the browser sends it: the last cell, below on the right
    assert pad.answer == {"probabilities": [0, 1], "pictures": {"ink": [*[0] * 63, 1]}}


def test_ink_is_full_on_a_stroke_and_none_away_from_it():
    ink = explore.ink([[(0.25, 0.5), (0.75, 0.5)], [(0.5, 0.1)]], 20)  # a bar below a dot
    bar = np.zeros((20, 20))
    bar[9:11, 5:15] = 1  # a pen of a tenth is two cells wide
    np.testing.assert_allclose(ink[4:, 5:15], bar[4:, 5:15], atol=1e-12)
    assert ink[9:11, :4].sum() == ink[9:11, 16:].sum() == 0  # its ends are round
    assert ink[:4].sum() == pytest.approx(np.pi, rel=0.1)
    assert not ink[:, [0, -1]].any()


def test_neighbours_among_the_small_digits_read_most_drawings_right():
    """The small digits fill their 8 by 8 cells, so each drawing is stretched to its frame."""
    drawings = json.loads((datasets.REPOSITORY / "data" / "drawings.json").read_text("utf-8"))
    assert list(drawings) == list("0123456789")
    data, images = datasets.load_digits(), []
    for strokes in drawings.values():
        points = np.concatenate(strokes)
        assert 0 <= points.min() <= points.max() <= 1  # within the pad
        middle, reach = (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0).max()
        fitted = [0.5 + (np.array(stroke) - middle) / reach * 0.9 for stroke in strokes]
        images.append(explore.ink(fitted, 8).ravel())
    read = KNeighborsClassifier(5).fit(data.X_train, data.y_train).predict(images)
    assert (read == np.arange(10)).sum() >= 8, read
