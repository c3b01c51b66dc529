"""Sliders that redraw a figure and a pad to draw on, for notebooks in JupyterLab or VS Code.

What changes travels as the value of a widget, not as an output of the cell. So a cell with a widget
has one output, the same in every run, and where none can be shown a line of text.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from anywidget import AnyWidget
from ipywidgets import FloatSlider, HBox, Image, IntSlider, Layout, VBox
from traitlets import Dict, Float, Int, List


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


def ink(
    strokes: Sequence[Sequence[tuple[float, float]]], side: int, pen: float = 0.1
) -> np.ndarray:
    """Return what the pad makes of strokes, (side, side) numbers from 0, paper, to 1, ink.

    A stroke is a list of points (x, y) between 0 and 1, from the top left corner; the pen is as
    wide as a share `pen` of the pad.
    """
    centre = (np.arange(side) + 0.5) / side
    cells = np.stack(np.meshgrid(centre, centre), axis=-1)[:, :, np.newaxis]  # (side, side, 1, 2)
    nearest = np.full((side, side), np.inf)
    for stroke in strokes:
        start = np.array([stroke[0], *stroke[:-1]], dtype=float)  # (points, 2)
        line = np.array(stroke) - start
        along = ((cells - start) * line).sum(-1) / np.maximum((line**2).sum(-1), 1e-12)
        foot = start + np.clip(along, 0, 1)[..., np.newaxis] * line  # of each cell on each line
        nearest = np.minimum(nearest, np.linalg.norm(cells - foot, axis=-1).min(axis=-1))
    return np.clip((pen / 2 - nearest) * side + 0.5, 0, 1)


class DrawingPad(AnyWidget):
    """Cells to draw on: their ink goes to the kernel, and `answer` comes back."""

    side = Int().tag(sync=True)
    pen = Float(0.1).tag(sync=True)  # width of a line, as a share of the pad
    ink = List().tag(sync=True)  # of each cell, line by line: 0 to 255
    answer = Dict().tag(sync=True)
    _esm = Path(__file__).with_name("pad.js")
    _css = Path(__file__).with_name("pad.css")

    def __init__(self, predict: Callable, side: int) -> None:
        """Ask `predict` about the empty pad; an error then is raised, a later one is shown."""
        super().__init__(side=side, ink=[0] * side**2)
        self.predict = predict
        self._read()
        self.observe(self._read_or_say_why_not, names="ink")

    def _read(self) -> None:
        ink = np.array(self.ink).reshape(self.side, self.side) / 255
        probabilities, pictures = self.predict(ink)
        pictures = {name: np.ravel(values).tolist() for name, values in pictures.items()}
        self.answer = {"probabilities": np.ravel(probabilities).tolist(), "pictures": pictures}

    def _read_or_say_why_not(self, _: object) -> None:
        try:
            self._read()
        except Exception as error:
            self.answer = {"failure": f"{type(error).__name__}: {error}"}

    def __repr__(self) -> str:
        """Return what stands for the pad where there is none."""
        return "a pad to draw on: run this cell in JupyterLab to use it"


def drawing_pad(predict: Callable, side: int) -> DrawingPad:
    """Return a pad of (side, side) cells that asks `predict` about its ink while one draws.

    `predict` takes the ink, numbers from 0 to 1, and returns the probability of each class and a
    dict of rows of numbers, name -> values, to be shown as square pictures.
    """
    return DrawingPad(predict, side)
