"""Sliders that redraw a figure and a pad to draw on, for notebooks in JupyterLab or VS Code.

What changes travels as the value of a widget, not as an output of the cell. So a cell with a widget
has one output, the same in every run, and where none can be shown a line of text.
"""

import io
from collections.abc import Callable, Sequence

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
    _css = """
.drawing-pad { display: flex; flex-wrap: wrap; gap: 8px 20px; align-items: center; }
.drawing-pad canvas { width: 140px; background: white; image-rendering: pixelated; }
.drawing-pad > canvas { width: 280px; border: 1px solid; image-rendering: auto;
  touch-action: none; cursor: crosshair; }
.drawing-pad .bars div { display: flex; gap: 6px; align-items: center; width: 165px;
  white-space: nowrap; }
.drawing-pad .bars i { background: #14957A; height: 14px; }
.drawing-pad output { display: flex; gap: 16px; }
.drawing-pad figure { margin: 0; text-align: center; }
"""
    _esm = """
function render({ model, el }) {
  const side = model.get("side"), strokes = [], cells = new OffscreenCanvas(side, side);
  el.classList.add("drawing-pad");
  el.innerHTML = `<canvas width="560" height="560" aria-label="Pad to draw on"></canvas>
    <button>Clear</button><div class="bars"></div><output></output>`;
  const [pad, clear, bars, pictures] = el.children;

  function trace(canvas) {  // the same strokes on the pad and, small, on the cells
    const size = canvas.width, pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.clearRect(0, 0, size, size);
    Object.assign(pen, { lineWidth: model.get("pen") * size, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      pen.beginPath();
      for (const [x, y] of [stroke[0], ...stroke]) pen.lineTo(x * size, y * size);
      pen.stroke();
    }
    return pen.getImageData(0, 0, size, size).data;  // red, green, blue, opacity
  }
  let timer;
  function changed() {
    trace(pad);
    timer ??= setTimeout(() => {  // at most ten times a second
      timer = undefined;
      model.set("ink", Array.from(trace(cells)).filter((_, i) => i % 4 == 3));
      model.save_changes();
    }, 100);
  }
  function put(event) {
    strokes.at(-1).push([event.offsetX / pad.clientWidth, event.offsetY / pad.clientHeight]);
    changed();
  }
  pad.onpointerdown = (event) => {
    pad.setPointerCapture(event.pointerId);
    strokes.push([]);
    put(event);
  };
  pad.onpointermove = (event) => pad.hasPointerCapture(event.pointerId) && put(event);
  clear.onclick = () => { strokes.length = 0; changed(); };

  function picture([name, values]) {
    const figure = document.createElement("figure"), k = Math.ceil(Math.sqrt(values.length));
    figure.innerHTML = `<canvas width="${k}" height="${k}"></canvas><br>${name}`;
    const pen = figure.firstChild.getContext("2d"), most = Math.max(...values) || 1;
    values.forEach((value, i) => {
      pen.globalAlpha = value / most;
      pen.fillRect(i % k, Math.floor(i / k), 1, 1);
    });
    return figure;
  }
  function show() {
    const { probabilities, pictures: rows, failure } = model.get("answer");
    if (failure) return pictures.replaceChildren(failure);
    const best = Math.max(...probabilities);
    bars.innerHTML = probabilities.map((p, i) =>
      `<div style="font-weight: ${p == best ? "bold" : "normal"}">${i}
       <i style="width: ${100 * p}px"></i>${Math.round(100 * p)} %</div>`).join("");
    pictures.replaceChildren(...Object.entries(rows).map(picture));
  }
  model.on("change:answer", show);
  show();
}
export default { render };
"""

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
