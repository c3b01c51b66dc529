"""A figure for every position of the sliders, and one output that is the same in every run."""

import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import FloatSlider, IntSlider

from helpers import explore

VIEW = "application/vnd.jupyter.widget-view+json"


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


def test_the_output_is_a_view_and_the_same_text_in_every_run():
    bundles = [
        explore.sliders(draw, slope=(0, 1, 1), steps=(2, 9, 3))._repr_mimebundle_() for _ in "12"
    ]
    assert all("model_id" in bundle[VIEW] for bundle in bundles)
    text = "sliders for slope, steps: run this cell in JupyterLab to move them"
    assert [bundle["text/plain"] for bundle in bundles] == [text] * 2
