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
from pathlib import Path

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
    """One space of the network through F frames: the input plane, or a hidden layer's."""

    name: str  # title of the panel
    grid: np.ndarray  # (F, R, K, d): where a grid over the input plane lies here, d = 2 or 3
    samples: np.ndarray  # (F, N, d): where the samples lie
    labels: Sequence[str]  # of the d axes
    limits: tuple[float, float] = (0.0, 1.0)  # of every axis; these hold all that a sigmoid gives
    view: tuple[float, float] = (25.0, -60.0)  # elevation and azimuth of the eye, in degrees

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the picture ``(…, 2)`` and the nearness ``(…)`` of points ``(…, d)``."""
        if points.shape[-1] == 2:
            return points, np.zeros(points.shape[:-1])
        (se, sa), (ce, ca) = np.sin(np.radians(self.view)), np.cos(np.radians(self.view))
        # Orthonormal rows: right, up, towards the eye.
        camera = np.array([[-sa, ca, 0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]])
        seen = (points - np.mean(self.limits)) @ camera.T
        return seen[..., :2], seen[..., 2]


def _draw_space(
    space: Space,
    frame: int,
    outputs: np.ndarray,  # (R, K), of the network: they tint the grid, the boundary is where 1/2 is
    classes: np.ndarray,  # (N,) of 0 and 1
    *,
    size: float,  # of a marker, in points
    ax: Axes,
) -> list[Artist]:
    """Draw one frame of one space and return what was drawn: grid, samples, boundary."""
    corners = space.grid[frame]  # (R, K, d)
    flat, near = space.project(corners)
    quads = np.stack([flat[:-1, :-1], flat[1:, :-1], flat[1:, 1:], flat[:-1, 1:]], axis=2)
    level = (outputs[:-1, :-1] + outputs[1:, :-1] + outputs[1:, 1:] + outputs[:-1, 1:]) / 4
    order = np.argsort((near[:-1, :-1] + near[1:, 1:]).ravel(), kind="stable")  # far cells first
    tints = {"facecolors": _TINTS(level.ravel()[order]), "edgecolors": "#9AA5AB", "alpha": 0.8}
    sheet = PolyCollection(quads.reshape(-1, 4, 2)[order], linewidths=0.3, zorder=1, **tints)
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
    ends = (middle - reach, middle + reach)
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    if named:
        ax.text(middle, low, space.labels[0], ha="center", va="top", fontsize=9)
        ax.text(low, middle, space.labels[1] + " ", ha="right", va="center", fontsize=9)


def _draw_cube(space: Space, ax: Axes, named: bool) -> None:
    """Draw the edges of the cube that holds the space; those in front are dotted."""
    low, high = space.limits
    flat, near = space.project(low + (high - low) * np.array(list(np.ndindex(2, 2, 2))))
    edges = [(p, p + step) for step in (4, 2, 1) for p in range(8) if not p & step]
    for p, q in edges:
        look = {"ls": ":", "zorder": 5} if near.argmax() in (p, q) else {"ls": "-", "zorder": 0}
        ax.plot(*flat[[p, q]].T, color=MUTED, lw=0.7, **look)
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
    outputs: np.ndarray,  # as for `player`
    classes: np.ndarray,
    captions: Sequence[str],
    frames: Sequence[int],  # those to draw, counted from 0
    *,
    title: str,
) -> np.ndarray:
    """Draw chosen frames side by side, one row per space; return the Axes ``(spaces, frames)``."""
    import matplotlib.pyplot as plt

    height = 7.6 / len(frames) * len(spaces) + 0.8
    edges = {"left": 0.05, "right": 1, "bottom": 0, "top": 1 - 0.8 / height}
    figure, axes = plt.subplots(
        len(spaces),
        len(frames),
        figsize=(8.0, height),
        squeeze=False,
        layout="none",
        gridspec_kw={"wspace": 0, "hspace": 0, **edges},
    )
    centre = {"ha": "center", "va": "center"}
    for row, space in zip(axes, spaces, strict=True):
        for ax, frame in zip(row, frames, strict=True):
            _draw_frame_of_reference(space, ax, named=ax is row[0])
            _draw_space(space, frame, outputs[frame], classes, size=1.8, ax=ax)
        beside = {"transform": row[0].transAxes, "rotation": 90, "fontweight": "bold"}
        row[0].text(-0.14, 0.5, space.name, fontsize=10, **centre, **beside)
    for ax, frame in zip(axes[0], frames, strict=True):
        ax.set_title(captions[frame], fontsize=9, fontweight="normal", loc="center", pad=2)
    figure.suptitle(title, x=0.01, y=0.995, ha="left", fontsize=11.5, fontweight="bold")
    return axes


def player(
    spaces: Sequence[Space],  # all with the same F, R, K and N
    outputs: np.ndarray,  # (F, R, K), of the network at the points of the grid
    classes: np.ndarray,  # (N,) of 0 and 1
    captions: Sequence[str],  # F, written above the frame and read out by the slider
    *,
    title: str,  # what the animation shows, for those who cannot see it
) -> "Player":
    """Render every frame, the spaces side by side, and return an animation with its controls."""
    share = 1 / len(spaces)
    height = 8.0 * share + 0.55  # inches
    figure = Figure(figsize=(8.0, height), dpi=_DPI, layout="none")
    headline = figure.text(0.01, 0.985, "", fontsize=11, va="top")
    panels = []
    for i, space in enumerate(spaces):  # what does not move is drawn once and stays
        panels.append(figure.add_axes((i * share, 0, share, 8.0 * share / height)))
        _draw_frame_of_reference(space, panels[i], named=True)
        panels[i].set_title(space.name, loc="center", pad=0)
    images = []
    for frame, caption in enumerate(captions):
        headline.set_text(caption)
        drawn = []
        for space, ax in zip(spaces, panels, strict=True):
            drawn += _draw_space(space, frame, outputs[frame], classes, size=2.6, ax=ax)
        images.append(_png(FigureCanvasAgg(figure)))
        for artist in drawn:
            artist.remove()
    return Player(tuple(images), tuple(captions), title, milliseconds=160)


def film(
    drawings: Mapping[str, Callable[..., object]],  # caption -> what draws the frame on an `ax`
    *,
    title: str,  # what the animation shows, for those who cannot see it
    size: tuple[float, float] = (8.0, 5.0),  # of a frame, in inches
) -> "Player":
    """Render one frame per caption and return an animation with its controls."""
    images = []
    for caption, draw in drawings.items():
        figure = Figure(figsize=size, dpi=_DPI, layout="none")
        draw(ax=figure.add_axes((0, 0, 1, 1 - 0.4 / size[1])))
        figure.text(0.01, 0.985, caption, fontsize=12, fontweight="bold", va="top")
        images.append(_png(FigureCanvasAgg(figure)))
    return Player(tuple(images), tuple(drawings), title, milliseconds=1500)


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
    milliseconds: int  # that a frame stays

    def __repr__(self) -> str:
        """Return the title and the number of frames."""
        return f"{self.title} ({len(self.images)} frames)"

    def _repr_html_(self) -> str:
        pictures = [base64.b64encode(image).decode() for image in self.images]
        texts = {
            "TITLE": escape(self.title),
            "LAST": str(len(pictures) - 1),
            "KEY": "player-" + hashlib.sha256("".join(pictures).encode()).hexdigest()[:12],
            "POSTER": pictures[-1],  # remains where there are no scripts
            "MILLISECONDS": str(self.milliseconds),
            "CAPTIONS": json.dumps(self.captions).replace("</", "<\\/"),  # or the script would end
            "PICTURES": json.dumps(pictures),
        }
        # It asks JupyterLab to keep its shortcuts away; arrow keys need a handler all the same.
        page = Path(__file__).with_name("player.html").read_text(encoding="utf-8")
        for name, text in texts.items():
            page = page.replace(f"%{name}%", text)
        return page
