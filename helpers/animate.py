"""A player of pictures; the hidden representation through training as its frames, or in print.

`film` plays any drawings, such as the steps of a walk through a network. For the hidden spaces the
notebook runs the network and hands over, for each frame, where a grid over the input plane and the
samples land in every space; these functions only draw. Spaces of three dimensions are seen from one
fixed direction, without perspective, so that what moves is the network.
"""

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from contourpy import contour_generator
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from helpers.style import CLASS_COLORS, CLASS_MARKERS, INK, MUTED

_TINTS = LinearSegmentedColormap.from_list("output", ["#C3CED4", "#FFFFFF", "#F5CBE0"])
_DPI = 100


@dataclass(frozen=True, eq=False)
class Space:
    """One space of the network through F frames: the input plane, or a hidden layer's.

    Attributes
    ----------
    name : str
        Title of the panel.
    grid : array ``(F, R, K, d)``
        Where R by K points of a grid over the input plane lie in this space, d = 2 or 3.
    samples : array ``(F, N, d)``
        Where the samples lie.
    labels : sequence of d strings
        What the axes are called.
    limits : (low, high)
        Range of every axis; (0, 1) holds whatever a sigmoid puts out.
    view : (elevation, azimuth)
        Direction, in degrees, from which three dimensions are seen.
    """

    name: str
    grid: np.ndarray
    samples: np.ndarray
    labels: Sequence[str]
    limits: tuple[float, float] = (0.0, 1.0)
    view: tuple[float, float] = (25.0, -60.0)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the picture ``(…, 2)`` and the nearness ``(…)`` of points ``(…, d)``."""
        if points.shape[-1] == 2:
            return points, np.zeros(points.shape[:-1])
        elevation, azimuth = np.radians(self.view)
        (se, ce), (sa, ca) = (
            (np.sin(t), np.cos(t)) for t in (elevation, azimuth)
        )  # the three rows below are orthonormal: right, up, towards the eye
        camera = np.array([[-sa, ca, 0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]])
        seen = (points - np.mean(self.limits)) @ camera.T
        return seen[..., :2], seen[..., 2]


def _draw_space(
    space: Space, frame: int, outputs: np.ndarray, classes: np.ndarray, *, size: float, ax: Axes
) -> list[Artist]:
    """Draw one frame of one space and return what was drawn: grid, samples, boundary.

    Parameters
    ----------
    outputs : array ``(R, K)``
        The network's output at the grid points; it tints the grid, and where it is 1/2 runs the
        boundary.
    classes : array ``(N,)`` of 0 and 1
    size : float
        Marker size in points.
    """
    corners = space.grid[frame]  # (R, K, d)
    flat, near = space.project(corners)
    quads = np.stack([flat[:-1, :-1], flat[1:, :-1], flat[1:, 1:], flat[:-1, 1:]], axis=2)
    level = (outputs[:-1, :-1] + outputs[1:, :-1] + outputs[1:, 1:] + outputs[:-1, 1:]) / 4
    order = np.argsort((near[:-1, :-1] + near[1:, 1:]).ravel(), kind="stable")  # far cells first
    sheet = PolyCollection(
        quads.reshape(-1, 4, 2)[order], facecolors=_TINTS(level.ravel()[order]), alpha=0.8,
        edgecolors="#9AA5AB", linewidths=0.3, zorder=1,
    )  # fmt: skip
    drawn = [ax.add_collection(sheet, autolim=False)]
    dots = space.project(space.samples[frame])[0]
    for label, color, marker in zip((0, 1), CLASS_COLORS, CLASS_MARKERS, strict=False):
        chosen = dots[classes == label].T
        drawn += ax.plot(*chosen, marker, ms=size, color=color, mew=0, alpha=0.75, zorder=3)
    for line in boundary(corners, outputs):
        drawn += ax.plot(*space.project(line)[0].T, color=INK, lw=1.6, zorder=4)
    return drawn


def boundary(corners: np.ndarray, outputs: np.ndarray) -> list[np.ndarray]:
    """Return the lines ``(M, d)`` on a grid ``(R, K, d)`` along which ``outputs (R, K)`` is 1/2.

    The lines are found on the grid's own indices and carried over by interpolation, hence one
    curve in the input plane and its image in every other space.
    """
    lines = []
    for line in contour_generator(z=outputs).lines(0.5):
        column, row = line.T
        r = np.minimum(row.astype(int), corners.shape[0] - 2)
        k = np.minimum(column.astype(int), corners.shape[1] - 2)
        u, v = (row - r)[:, None], (column - k)[:, None]
        upper = (1 - v) * corners[r, k] + v * corners[r, k + 1]
        lower = (1 - v) * corners[r + 1, k] + v * corners[r + 1, k + 1]
        lines.append((1 - u) * upper + u * lower)
    return lines


def _draw_frame_of_reference(space: Space, ax: Axes, named: bool) -> None:
    """Draw what does not move: the cube around three dimensions, and the names of the axes."""
    low, high = space.limits
    ax.set_axis_off()
    if space.grid.shape[-1] == 3:
        reach = 0.9 * (high - low)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        _draw_cube(space, ax, named)
        return
    reach, middle = 0.6 * (high - low), (high + low) / 2
    ax.set(xlim=(middle - reach, middle + reach), ylim=(middle - reach, middle + reach))
    ax.set_aspect("equal")
    if named:
        ax.text(middle, low, space.labels[0], ha="center", va="top", fontsize=9)
        ax.text(low, middle, space.labels[1] + " ", ha="right", va="center", fontsize=9)


def _draw_cube(space: Space, ax: Axes, named: bool) -> None:
    """Draw the edges of the cube that holds the space; those in front are dotted."""
    low, high = space.limits
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    flat, near = space.project(low + (high - low) * corners)
    edges = [(p, p + step) for step in (4, 2, 1) for p in range(8) if not p & step]
    for p, q in edges:
        front = near.argmax() in (p, q)
        ax.plot(
            *flat[[p, q]].T, color=MUTED, lw=0.7, ls=":" if front else "-",
            zorder=5 if front else 0,
        )  # fmt: skip
    if named:
        for axis, label in enumerate(space.labels):
            _name_axis(axis, label, edges[4 * axis : 4 * axis + 4], flat, near.argmin(), ax)


def _name_axis(axis: int, label: str, edges, flat: np.ndarray, back: int, ax: Axes) -> None:
    """Write a name beside the lowest visible edge along an axis, the third beside the leftmost."""
    middles = [flat[[p, q]].mean(axis=0) for p, q in edges if back not in (p, q)]
    x, y = min(middles, key=lambda m: m[0] if axis == 2 else m[1])
    away = 1 + 0.14 / np.hypot(x, y)
    ax.text(away * x, away * y, label, ha="center", va="center", fontsize=9)


def small_multiples(
    spaces: Sequence[Space],
    outputs: np.ndarray,
    classes: np.ndarray,
    captions: Sequence[str],
    frames: Sequence[int],
    *,
    title: str = "",
) -> np.ndarray:
    """Draw chosen frames side by side, one row per space; return the Axes ``(spaces, frames)``.

    Takes the arguments of `player`, and the numbers of the frames, counted from 0.
    """
    import matplotlib.pyplot as plt

    side = 7.6 / len(frames)
    height = side * len(spaces) + 0.8
    figure, axes = plt.subplots(
        len(spaces), len(frames), figsize=(8.0, height), squeeze=False, layout="none",
        gridspec_kw={"left": 0.05, "right": 1, "bottom": 0, "top": 1 - 0.8 / height,
                     "wspace": 0, "hspace": 0},
    )  # fmt: skip
    for row, space in zip(axes, spaces, strict=True):
        for ax, frame in zip(row, frames, strict=True):
            _draw_frame_of_reference(space, ax, named=ax is row[0])
            _draw_space(space, frame, outputs[frame], classes, size=1.8, ax=ax)
        row[0].text(-0.14, 0.5, space.name, transform=row[0].transAxes, rotation=90, ha="center",
                    va="center", fontweight="bold", fontsize=10)  # fmt: skip
    for ax, frame in zip(axes[0], frames, strict=True):
        ax.set_title(captions[frame], fontsize=9, fontweight="normal", loc="center", pad=2)
    figure.suptitle(title, x=0.01, y=0.995, ha="left", fontsize=11.5, fontweight="bold")
    return axes


def player(
    spaces: Sequence[Space],
    outputs: np.ndarray,
    classes: np.ndarray,
    captions: Sequence[str],
    *,
    title: str,
    milliseconds: int = 160,
) -> "Player":
    """Render every frame, the spaces side by side, and return an animation with its controls.

    Parameters
    ----------
    spaces : list of Space, all with the same F, R, K and N
    outputs : array ``(F, R, K)``
        The network's output at the grid points.
    classes : array ``(N,)`` of 0 and 1
    captions : F strings
        Written above the frame and read out by the slider.
    title : str
        What the animation shows, for those who cannot see it.
    milliseconds : int
        How long one frame stays.
    """
    images = _render(spaces, outputs, classes, captions)
    return Player(tuple(images), tuple(captions), title, milliseconds)


def film(
    drawings: Mapping[str, Callable[..., object]],
    *,
    title: str,
    size: tuple[float, float] = (8.0, 5.0),
    milliseconds: int = 1500,
) -> "Player":
    """Render one frame per caption and return an animation with its controls.

    Parameters
    ----------
    drawings : dict caption -> function
        Each draws on the ``ax`` it is given, as ``functools.partial(diagrams.network, W, b)`` does.
    title : str
        What the animation shows, for those who cannot see it.
    size : (width, height) of a frame in inches
    milliseconds : int
        How long one frame stays.
    """
    images = []
    for caption, draw in drawings.items():
        figure = Figure(figsize=size, dpi=_DPI, layout="none")
        draw(ax=figure.add_axes((0, 0, 1, 1 - 0.4 / size[1])))
        figure.text(0.01, 0.985, caption, fontsize=12, fontweight="bold", va="top")
        images.append(_png(FigureCanvasAgg(figure)))
    return Player(tuple(images), tuple(drawings), title, milliseconds)


def _render(spaces: Sequence[Space], outputs, classes, captions: Sequence[str]) -> list[bytes]:
    """Return one PNG a frame; what does not move is drawn once and stays."""
    share = 1 / len(spaces)
    figure = Figure(figsize=(8.0, 8.0 * share + 0.55), dpi=_DPI, layout="none")
    canvas = FigureCanvasAgg(figure)
    height = 8.0 * share / figure.get_figheight()
    panels = [figure.add_axes((i * share, 0, share, height)) for i in range(len(spaces))]
    for ax, space in zip(panels, spaces, strict=True):
        _draw_frame_of_reference(space, ax, named=True)
        ax.set_title(space.name, loc="center", pad=0)
    headline = figure.text(0.01, 0.985, "", fontsize=11, va="top")
    images = []
    for frame, caption in enumerate(captions):
        headline.set_text(caption)
        drawn = [
            artist
            for space, ax in zip(spaces, panels, strict=True)
            for artist in _draw_space(space, frame, outputs[frame], classes, size=2.6, ax=ax)
        ]
        images.append(_png(canvas))
        for artist in drawn:
            artist.remove()
    return images


def _png(canvas: FigureCanvasAgg) -> bytes:
    """Return the canvas as PNG, with a palette of 64 colours to keep it small."""
    from PIL import Image

    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    file = io.BytesIO()
    # An octree keeps the few pixels of the class colours; a median cut would dull them.
    few = image.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(file, "PNG", optimize=True)
    return file.getvalue()


@dataclass(frozen=True, eq=False)
class Player:
    """An animation that a notebook shows with play, pause and a slider, and nothing from outside.

    The HTML depends on the frames alone: equal frames give equal HTML, character by character.
    """

    images: tuple[bytes, ...]
    captions: tuple[str, ...]
    title: str
    milliseconds: int

    def __repr__(self) -> str:
        """Return the title and the number of frames."""
        return f"{self.title} ({len(self.images)} frames)"

    def _repr_html_(self) -> str:
        pictures = [base64.b64encode(image).decode() for image in self.images]
        key = "player-" + hashlib.sha256("".join(pictures).encode()).hexdigest()[:12]
        texts = {"TITLE": escape(self.title), "LAST": str(len(pictures) - 1), "KEY": key}
        texts |= {"POSTER": pictures[-1], "MILLISECONDS": str(self.milliseconds)}
        # "</" would end the script early.
        texts["CAPTIONS"] = json.dumps(self.captions).replace("</", "<\\/")
        texts["PICTURES"] = json.dumps(pictures)
        page = _PAGE
        for name, text in texts.items():
            page = page.replace(f"%{name}%", text)
        return page


# Without scripts the last frame remains. The attribute on the figure keeps JupyterLab's shortcuts
# away from button and slider; the notebook around it may still stop the slider's own arrow keys,
# hence the handler.
_PAGE = """\
<figure data-player="%KEY%" data-lm-suppress-shortcuts="true" style="margin:0;max-width:800px">
<img alt="%TITLE%" src="data:image/png;base64,%POSTER%"
 style="width:100%;background:white;cursor:pointer">
<div style="display:flex;align-items:center;gap:10px;margin-top:4px">
<button type="button" aria-label="Play" style="width:5.5em;padding:4px">▶ Play</button>
<input type="range" min="0" max="%LAST%" value="0" step="1" aria-label="Frame" style="flex:1">
</div>
<noscript>The last frame. The player needs JavaScript.</noscript>
</figure>
<script>
(function () {
  const pictures = %PICTURES%;
  const captions = %CAPTIONS%;
  function attach(root) {
    const image = root.querySelector("img");
    const button = root.querySelector("button");
    const slider = root.querySelector("input");
    let timer = null;
    function show(frame) {
      slider.value = frame;
      slider.setAttribute("aria-valuetext", captions[frame]);
      image.src = "data:image/png;base64," + pictures[frame];
    }
    function pause() {
      clearInterval(timer);
      timer = null;
      button.textContent = "▶ Play";
      button.setAttribute("aria-label", "Play");
    }
    function step() {
      if (!root.isConnected || Number(slider.value) >= pictures.length - 1) return pause();
      show(Number(slider.value) + 1);
    }
    function play() {
      if (Number(slider.value) >= pictures.length - 1) show(0);
      timer = setInterval(step, %MILLISECONDS%);
      button.textContent = "❚❚ Pause";
      button.setAttribute("aria-label", "Pause");
    }
    button.addEventListener("click", () => (timer === null ? play() : pause()));
    slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
    image.addEventListener("click", () => { pause(); step(); });
    slider.addEventListener("keydown", (event) => {
      const last = pictures.length - 1;
      const now = Number(slider.value);
      const frame = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
      if (frame === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      pause();
      show(Math.min(Math.max(frame, 0), last));
    });
    root.dataset.ready = "true";
    show(0);
  }
  // A notebook may run the script before it has put the figure on the page.
  (function wait(tries) {
    const found = document.querySelectorAll('[data-player="%KEY%"]:not([data-ready])');
    found.forEach(attach);
    if (found.length === 0 && tries > 0) setTimeout(() => wait(tries - 1), 50);
  })(100);
})();
</script>
"""
