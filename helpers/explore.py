"""Sliders that redraw a figure, for notebooks that run in JupyterLab or VS Code.

The figure travels as the value of an image widget, not as an output of the cell. So a cell with
sliders has one output, the same in every run, and where no widget can be shown a line of text.
"""

import io
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import FloatSlider, HBox, Image, IntSlider, Layout, VBox


class Sliders(VBox):
    """Sliders above the figure that they redraw, by name in `knobs`."""

    def __repr__(self) -> str:
        """Return what stands for the sliders where there are none."""
        return f"sliders for {', '.join(self.knobs)}: run this cell in JupyterLab to move them"


def sliders(draw: Callable, **ranges: tuple[float, float, float]) -> Sliders:
    """Return a slider per parameter of `draw`, above the figure of the Axes that it returns.

    A range is (low, high, start); three integers make a slider of integers.
    """
    knobs = {name: _slider(name, *given) for name, given in ranges.items()}
    # In its own size, or scaled down as a whole; a box would stretch it to its own width.
    own_size = Layout(align_self="flex-start", flex="0 0 auto", max_width="100%", height="auto")
    image = Image(format="png", layout=own_size)

    def redraw(_: object = None) -> None:
        figure = np.ravel(draw(**{name: knob.value for name, knob in knobs.items()}))[0].figure
        file = io.BytesIO()
        figure.savefig(file, format="png")  # as large as any other, so that nothing jumps
        plt.close(figure)
        image.value = file.getvalue()

    redraw()
    for knob in knobs.values():
        knob.observe(redraw, names="value")
    box = Sliders([HBox(list(knobs.values()), layout=Layout(flex_flow="row wrap")), image])
    box.knobs = knobs
    return box


def _slider(name: str, low: float, high: float, start: float) -> IntSlider | FloatSlider:
    is_whole = all(isinstance(value, int) for value in (low, high, start))
    return (IntSlider if is_whole else FloatSlider)(
        min=low,
        max=high,
        value=start,
        step=1 if is_whole else (high - low) / 100,
        description=name.replace("_", " "),
        layout=Layout(flex="1 1 240px", max_width="320px"),  # three fit into a notebook's row
    )
