"""Sliders that redraw a figure, for notebooks that run in JupyterLab or VS Code.

The figure travels as the value of an image widget, and not as an output of the cell. So a cell
with sliders has one output, the same in every run, and where nothing can show widgets it is a line
of text. The notebook draws the figure that stands for them there.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from helpers import arguments


def sliders(
    draw: Callable[..., Axes | np.ndarray], **ranges: tuple[float, float, float]
) -> "Explorer":
    """Return a slider per parameter of `draw`, above the figure that it draws from their values.

    Parameters
    ----------
    draw : callable with the names in `ranges` as keywords
        Returns the Axes it has drawn on, or an array of them. It may use pyplot: the figure is
        closed afterwards.
    **ranges : (low, high, start) each, with low <= start <= high and low < high
        Three integers make a slider of integers; others move in a hundred steps.

    Raises
    ------
    TypeError, ValueError
        Naming the range that is none, or what `draw` returned instead of Axes; whatever `draw`
        raises for the values at the start.
    """
    from ipywidgets import HBox, Image, Layout, VBox

    arguments.function("draw", draw)
    knobs = {
        name: _slider(name, given) for name, given in arguments.named("ranges", ranges).items()
    }
    # In its own size, or scaled down as a whole; a box would stretch it to its own width.
    own_size = Layout(align_self="flex-start", flex="0 0 auto", max_width="100%", height="auto")
    image = Image(format="png", layout=own_size)

    def redraw(_: Any = None) -> None:
        image.value = _drawn(draw, {name: knob.value for name, knob in knobs.items()})

    redraw()
    for knob in knobs.values():
        knob.observe(redraw, names="value")
    row = HBox(list(knobs.values()), layout=Layout(flex_flow="row wrap"))
    return Explorer(VBox([row, image]), knobs)


class Explorer:
    """Sliders and figure as a notebook shows them, with a line of text for where it cannot.

    Attributes
    ----------
    box : ipywidgets.VBox
    knobs : dict name -> ipywidgets.FloatSlider or IntSlider
    """

    def __init__(self, box: Any, knobs: Mapping[str, Any]):
        self.box, self.knobs = box, dict(knobs)

    def __repr__(self) -> str:
        """Return what stands for the sliders where there are none."""
        return f"sliders for {', '.join(self.knobs)}: run this cell in JupyterLab to move them"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = self.box._repr_mimebundle_(include=include, exclude=exclude)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return dict(data) | {"text/plain": repr(self)}


def _slider(name: str, given: Any) -> Any:
    """Return the slider for a range (low, high, start)."""
    from ipywidgets import FloatSlider, IntSlider, Layout

    values = arguments.sequence(name, given, 3, "numbers")
    low, high, start = (arguments.number(name, value) for value in values)
    if not low <= start <= high or low == high:
        raise ValueError(f"{name} is {given}, expected (low, high, start) with start between")
    shape = Layout(flex="1 1 240px", max_width="320px")  # three of them fit into a notebook's row
    options = {"description": name.replace("_", " "), "layout": shape}
    if all(isinstance(value, (int, np.integer)) for value in values):
        return IntSlider(min=int(low), max=int(high), value=int(start), **options)
    return FloatSlider(min=low, max=high, value=start, step=(high - low) / 100, **options)


def _drawn(draw: Callable[..., Any], values: Mapping[str, Any]) -> bytes:
    """Return the figure that `draw` makes as PNG, and leave no figure open that it has opened."""
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    try:
        return _png(draw(**values))
    finally:
        for number in set(plt.get_fignums()) - set(before):
            plt.close(number)


def _png(axes: Any) -> bytes:
    """Return the figure of `axes` as PNG."""
    first = axes.flat[0] if isinstance(axes, np.ndarray) and axes.size else axes
    if not isinstance(first, Axes):
        raise TypeError(f"draw returned a {type(axes).__name__}, expected Axes")
    file = io.BytesIO()
    first.figure.savefig(file, format="png")  # as large as any other, so that nothing jumps
    return file.getvalue()
