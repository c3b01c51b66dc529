"""Curves, decision regions, heat maps, image grids and points in space.

Every function draws on ``ax``, or on Axes of its own, and returns them; none calls ``show``.
``texts`` are what `Axes.set` takes: ``title``, which states the finding, ``xlabel``, ``ylabel``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from helpers.style import (
    CLASS_COLORS,
    CLASS_MARKERS,
    COLORS,
    DIVERGING,
    INK,
    quantity_color,
    symbol,
)

_HEADLINE = {"x": 0.01, "ha": "left", "fontsize": 11.5, "fontweight": "bold"}  # of a whole figure


def curves(
    series: Mapping[str, Sequence[float]],  # name -> values (n,)
    *,
    x: Sequence[float] | None = None,  # common abscissa (n,); by default 1, 2, …
    colors: Mapping[str, str] | None = None,  # name -> colour
    log: bool = False,  # logarithmic ordinate
    legend: bool = True,  # where there is more than one curve
    marker: str | None = None,
    ax: Axes | None = None,
    **texts: str,
) -> Axes:
    """Draw named curves over a common abscissa, each with its own line style."""
    ax = ax or plt.subplots(figsize=(8.0, 3.6))[1]
    for index, (name, values) in enumerate(series.items()):
        at = np.arange(1, len(values) + 1) if x is None else x
        look = {"ls": ["-", "--", "-.", ":"][index % 4], "color": (colors or {}).get(name)}
        ax.plot(at, values, label=name, marker=marker, ms=4, **look)
    if log:
        ax.set_yscale("log")
    if legend and len(series) > 1:
        ax.legend()
    ax.set(**texts)
    return ax


def tangent(
    x: Sequence[float],  # (n,)
    y: Sequence[float],  # (n,)
    at: float,  # where the curve is touched
    value: float,  # its height there
    slope: float,  # change of y per unit of x there
    *,
    color: str = INK,
    ax: Axes | None = None,
    **texts: str,
) -> Axes:
    """Draw ``y`` against ``x``, mark one point and the line through it with the given slope."""
    ax = ax or plt.subplots(figsize=(4.0, 3.2))[1]
    ax.plot(x, y, color=color)
    margin = 0.08 * (np.ptp(y) or 1.0)  # a flat curve has room, too
    ax.set_ylim(min(*y, value) - margin, max(*y, value) + margin)
    ends = at + 0.3 * np.ptp(x) * np.array([-1, 1])
    ax.plot(ends, value + slope * (ends - at), "--", color=INK, lw=1.4, zorder=3)
    ax.plot([at], [value], "o", color=INK, ms=7, zorder=4)
    ax.set(**texts)
    return ax


def tangent_panels(
    x: np.ndarray,  # values (n,) of the parameter
    curves: Mapping[str, np.ndarray],  # name as in code (z3, a3, C) -> values (n,)
    *,
    at: float,  # current value of the parameter
    values: Mapping[str, float],  # current value of each quantity
    slopes: Mapping[str, float],  # current slope of each quantity
    xlabel: str,  # the parameter's name as in code (w3)
    title: str,
) -> np.ndarray:
    """Draw one `tangent` panel per quantity side by side, and return their Axes."""
    figure, axes = plt.subplots(1, len(curves), figsize=(8, 2.9), squeeze=False)
    for ax, (name, y) in zip(axes.flat, curves.items(), strict=True):
        labels = {"xlabel": symbol(xlabel), "ylabel": symbol(name)}
        tangent(x, y, at, values[name], slopes[name], color=quantity_color(name), ax=ax, **labels)
    figure.suptitle(title, **_HEADLINE)
    return axes[0]


def bars(
    heights: Mapping[str, float],
    *,
    color: str = COLORS["a"],
    fmt: str = ".2f",  # how the values are written
    ax: Axes | None = None,
    **texts: str,
) -> Axes:
    """Draw one bar per name, its value written above it."""
    ax = ax or plt.subplots(figsize=(8.0, 3.0))[1]
    drawn = ax.bar(heights.keys(), heights.values(), color=color, width=0.7)
    ax.bar_label(drawn, [format(v, fmt) for v in heights.values()], padding=2, fontsize=9)
    ax.grid(False, axis="x")
    ax.set(**texts)
    return ax


def _classes(y: np.ndarray) -> Iterator[tuple[float, np.ndarray, dict[str, str]]]:
    """Yield each label of ``y (N,)`` with the mask of its samples, its colour and its marker."""
    for label in np.unique(y):
        # The label is the place in the palette, whichever others are missing; −1 takes that of 0.
        place = max(int(label), 0)
        yield label, y == label, {"color": CLASS_COLORS[place], "marker": CLASS_MARKERS[place]}


def labelled_points(
    x: np.ndarray,  # inputs (N,)
    y: np.ndarray,  # labels (N,): −1 and 1, or 0 and 1
    *,
    letter: str = "y",  # what legend and axis call the label
    ax: Axes | None = None,
) -> Axes:
    """Draw one-dimensional inputs against their labels, a marker and a colour per label."""
    ax = ax or plt.subplots(figsize=(8.0, 2.6))[1]
    for label, chosen, look in _classes(y):
        name = f"${letter}$ = {label:g}".replace("-", "−")
        ax.plot(x[chosen], y[chosen], ms=3, lw=0, label=name, **look)
    ax.set(xlabel="input $x$", ylabel=f"label ${letter}$")
    ax.legend(loc="center right")
    return ax


def scatter_classes(
    X: np.ndarray,  # points (N, 2)
    y: np.ndarray,  # classes (N,), counted from 0, at most three
    *,
    classes: Sequence[str] | None = None,  # their names, for a legend
    ax: Axes | None = None,
) -> Axes:
    """Draw points of the plane, a colour and a marker per class."""
    ax = ax or plt.subplots(figsize=(4.6, 4.2))[1]
    for label, chosen, look in _classes(y):
        name = classes[int(label)] if classes is not None else None
        ax.scatter(*X[chosen].T, s=14, alpha=0.75, linewidths=0, label=name, zorder=2, **look)
    ax.set_aspect("equal")
    return ax


def decision_regions(
    predict: Callable[[np.ndarray], np.ndarray],  # (M, 2) -> classes (M,); NaN stays blank
    X: np.ndarray,  # samples (N, 2)
    y: np.ndarray,  # their classes (N,)
    *,
    classes: Sequence[str] | None = None,
    resolution: int = 200,  # points a side
    ax: Axes | None = None,
    **texts: str,
) -> Axes:
    """Shade the plane by predicted class, the samples on top."""
    ax = scatter_classes(X, y, classes=classes, ax=ax)
    margin = 0.08 * np.ptp(X, axis=0)
    low, high = X.min(axis=0) - margin, X.max(axis=0) + margin
    grid = np.meshgrid(*np.linspace(low, high, resolution).T)
    regions = np.reshape(predict(np.column_stack([g.ravel() for g in grid])), grid[0].shape)
    colors = {"cmap": ListedColormap(CLASS_COLORS), "vmin": -0.5, "vmax": 2.5, "alpha": 0.22}
    ax.pcolormesh(*grid, regions, zorder=0, rasterized=True, **colors)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), **texts)
    ax.grid(False)
    return ax


def heatmap(
    matrix: np.ndarray,  # (R, K)
    *,
    rows: Sequence | int | str = "auto",  # their names, or number every so many of them
    columns: Sequence | int | str = "auto",
    fmt: str | None = ".2f",  # how the values are written into the cells; None: not at all
    center: float | None = None,  # the value that is white, petrol below and copper above
    colorbar: bool = True,
    ax: Axes | None = None,
    **texts: str,
) -> Axes:
    """Draw a matrix as coloured cells; the middle of entry (i, j) is at (j + 0.5, i + 0.5)."""
    ax = ax or plt.subplots(figsize=(6.0, 4.0))[1]
    look = {"cbar": colorbar, "annot": fmt is not None, "fmt": fmt or "", "cmap": "cividis"}
    if center is not None:
        reach = np.abs(matrix - center).max() or 1.0  # a map of zeros is white, too
        look |= {"cmap": DIVERGING, "vmin": center - reach, "vmax": center + reach}
    _cells(matrix, rows, columns, ax, **look)
    ax.set(**texts)
    return ax


def confusion_matrix(
    counts: np.ndarray,  # (C, C), row = true class, column = predicted class
    classes: Sequence,
    *,
    ax: Axes | None = None,
    **texts: str,
) -> Axes:
    """Draw how often each class is predicted for each, the mistakes in red."""
    ax = ax or plt.subplots(figsize=(5.2, 4.6))[1]
    shades = np.sqrt(counts)  # so that a single mistake can be seen beside many
    np.fill_diagonal(shades, -1)  # grey: what is right would outshine the mistakes
    scale = {"vmin": 0, "vmax": 1 + shades.max()}
    cmap = plt.get_cmap("Reds").with_extremes(under="#D9D9D9")
    _cells(shades, classes, classes, ax, annot=counts, fmt="d", cbar=False, cmap=cmap, **scale)
    for text in ax.texts[:: len(classes) + 1]:
        text.set_fontweight("bold")
    ax.set(xlabel="predicted class", ylabel="true class", **texts)
    return ax


def _cells(matrix: np.ndarray, rows, columns, ax: Axes, **kwargs) -> None:
    """Draw coloured cells, and what is written in them readably on their colour."""
    import seaborn as sns  # takes a second, and most notebooks draw no heat map

    sns.heatmap(matrix, yticklabels=rows, xticklabels=columns, ax=ax, **kwargs)
    # seaborn stays with white up to middling colours, on which it is hard to read.
    luminance = ax.collections[-1].get_facecolors() ** 2.2 @ (0.21, 0.72, 0.07, 0)
    for text, light in zip(ax.texts, luminance, strict=False):
        text.set(color=INK if light > 0.21 else "white", text=text.get_text().replace("-", "−"))
    ax.tick_params(length=0, labelrotation=0)
    ax.grid(False)


def image_grid(
    images: np.ndarray,  # (N, H, H), or (N, H²)
    titles: Sequence[str] | None = None,
    *,
    columns: int = 10,
    signed: bool = False,  # two-sided colours around zero, one scale for all, instead of greys
    title: str,
) -> np.ndarray:
    """Draw images in a grid and return the array of Axes ``(R, columns)``."""
    side = round(np.sqrt(images[0].size))
    images = images.reshape(-1, side, side)
    lines = -(-len(images) // columns)
    extra = 0.26 if titles is not None else 0.0
    size = (8.0, lines * (8.0 / columns + extra) + 0.35)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    reach = np.abs(images).max()
    scale = {"cmap": DIVERGING, "vmin": -reach, "vmax": reach} if signed else {"cmap": "gray_r"}
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image in zip(axes.flat, images, strict=False):
        ax.imshow(image, **scale)
    for ax, text in zip(axes.flat, titles or [], strict=False):
        ax.set_title(text, fontsize=9, fontweight="normal", loc="center", pad=3)
    figure.suptitle(title, **_HEADLINE)
    return axes


def scatter_3d(
    A: np.ndarray,  # points (N, 3) of the unit cube, such as activations of a sigmoid
    y: np.ndarray,  # their classes (N,)
    *,
    plane: tuple[np.ndarray, float],  # (w, b): the points with w · a + b = 0
    labels: Sequence[str],  # of the three axes
    view: tuple[float, float],  # elevation and azimuth in degrees
    title: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw points of the unit cube by class, and the plane as far as it cuts the cube."""
    ax = ax or plt.figure(figsize=(5.6, 4.6)).add_subplot(projection="3d")
    ax.computed_zorder = False  # by distance, one class could hide another altogether
    for _, chosen, look in _classes(y):
        ax.scatter(*A[chosen].T, s=12, alpha=0.7, linewidths=0, depthshade=False, **look)
    _draw_plane(ax, *plane)
    ax.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1))
    for axis, label in zip((ax.xaxis, ax.yaxis, ax.zaxis), labels, strict=True):
        axis.set_ticks([0, 0.5, 1], ["0", "½", "1"])
        axis.set_pane_color("white")
        axis.set_rotate_label(False)
        axis.set_label_text(label, rotation=0)
    ax.set_box_aspect(None, zoom=0.86)  # room for the label of the vertical axis
    ax.view_init(*view)
    ax.set_title(title, y=0.98)
    return ax


def _draw_plane(ax: Axes, w: np.ndarray, b: float) -> None:
    """Draw the part of the plane ``w · a + b = 0`` inside the unit cube, if there is any."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    corners = np.array(list(np.ndindex(2, 2, 2)), dtype=float)
    heights = corners @ w + b
    cuts = [
        corners[i] + (corners[j] - corners[i]) * heights[i] / (heights[i] - heights[j])
        for i, j in np.argwhere(np.abs(corners[:, None] - corners).sum(axis=2) == 1)
        if heights[i] < 0 <= heights[j]
    ]
    if not cuts:
        return
    # In order around their centre, seen along the axis the plane faces most.
    flat = np.delete(np.array(cuts) - np.mean(cuts, axis=0), np.abs(w).argmax(), axis=1)
    order = np.argsort(np.arctan2(flat[:, 1], flat[:, 0]))
    face = Poly3DCollection([np.array(cuts)[order]], color=COLORS["weights"], alpha=0.25)
    face.set(edgecolor=COLORS["weights"], zorder=3)
    ax.add_collection3d(face)
