"""Curves, decision regions, heat maps, image grids and confusion matrices.

Every function takes ``ax=None``, draws what it is given and returns the Axes; none calls
``show``. Titles come from the caller: they state the finding.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from helpers import arguments
from helpers.style import (
    CLASS_COLORS,
    CLASS_MARKERS,
    COLORS,
    DIVERGING,
    INK,
    MUTED,
    quantity_color,
    symbol,
)

_LINES = ["-", "--", "-.", ":"]


def _axes(ax: Axes | None, figsize: tuple[float, float] = (8.0, 3.6)) -> Axes:
    return plt.subplots(figsize=figsize)[1] if ax is None else ax


def _same_length(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape != y.shape:
        raise ValueError(f"y has shape {y.shape}, expected {x.shape} like x")


def _class_names(y: np.ndarray, classes: Sequence[str] | None) -> dict[float, str]:
    """Return the name of each label in `y`, at most three."""
    labels = np.unique(y)
    if len(labels) > len(CLASS_COLORS):
        raise ValueError(f"y has {len(labels)} classes, expected at most {len(CLASS_COLORS)}")
    if classes is None:
        return {label: f"class {label:g}" for label in labels}
    names = arguments.sequence("classes", classes)
    for label in labels:
        if label not in range(len(names)):
            raise ValueError(f"y has the label {label:g}, expected 0 to {len(names) - 1}: classes")
    return {label: str(names[int(label)]) for label in labels}


def _class_marks(labels: Iterable[float]) -> list[tuple[str, str]]:
    """Return colour and marker of each label: its own, if it counts from 0, or else its rank's.

    So a class has the same colour where another is missing.
    """
    labels = list(labels)
    counted = all(label in range(len(CLASS_COLORS)) for label in labels)
    places = [int(label) for label in labels] if counted else range(len(labels))
    return [(CLASS_COLORS[place], CLASS_MARKERS[place]) for place in places]


def curves(
    series: Mapping[str, Sequence[float]],
    *,
    x: Sequence[float] | None = None,
    colors: Mapping[str, str] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    log: bool = False,
    legend: bool = True,
    marker: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw named curves over a common abscissa (default 1, 2, …), each with its own line style.

    Parameters
    ----------
    series : dict name -> values ``(n,)``
    x : values ``(n,)``, optional
    colors : dict name -> colour, optional
    log : bool
        Logarithmic ordinate.

    Raises
    ------
    ValueError
        When a series is empty, not finite, or not as long as ``x``.
    """
    series = arguments.named("series", series, of="curve")
    ax = _axes(ax)
    for index, (name, values) in enumerate(series.items()):
        values = arguments.array(f"series[{name!r}]", values, 1)
        at = np.arange(1, len(values) + 1) if x is None else arguments.array("x", x, 1)
        if len(at) != len(values):
            raise ValueError(f"series[{name!r}] has {len(values)} values, expected {len(at)}")
        color = (colors or {}).get(name)
        ax.plot(at, values, _LINES[index % 4], color=color, label=name, marker=marker, ms=4)
    if log:
        ax.set_yscale("log")
    if legend and len(series) > 1:
        ax.legend()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title)
    return ax


def tangent(
    x: Sequence[float],
    y: Sequence[float],
    at: float,
    value: float,
    slope: float,
    *,
    color: str = INK,
    xlabel: str = "",
    ylabel: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw ``y`` against ``x``, mark one point and the line through it with the given slope.

    Parameters
    ----------
    x, y : values ``(n,)``
    at, value : float
        The marked point.
    slope : float
        Predicted change of y per unit of x at the marked point.

    Raises
    ------
    ValueError
        When x and y are empty, not finite or of different length.
    """
    x, y = arguments.array("x", x, 1), arguments.array("y", y, 1)
    _same_length(x, y)
    at, value = arguments.number("at", at), arguments.number("value", value)
    slope = arguments.number("slope", slope)
    ax = _axes(ax, (4.0, 3.2))
    ax.plot(x, y, color=color)
    margin = 0.08 * (np.ptp(y) or 1.0)
    ax.set_ylim(min(y.min(), value) - margin, max(y.max(), value) + margin)
    reach = 0.3 * np.ptp(x)
    ends = np.array([at - reach, at + reach])
    ax.plot(ends, value + slope * (ends - at), "--", color=INK, lw=1.4, zorder=3)
    ax.plot([at], [value], "o", color=INK, ms=7, zorder=4)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def _require_numbers(argument: str, given: Mapping[str, float], names: Mapping) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument} is a {type(given).__name__}, expected a dict name -> number")
    for name in names:
        if name not in given:
            raise ValueError(f"{argument} has no entry {name!r}, expected one per curve")
        arguments.number(f"{argument}[{name!r}]", given[name])


def tangent_panels(
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    at: float,
    values: Mapping[str, float],
    slopes: Mapping[str, float],
    xlabel: str,
    title: str = "",
) -> np.ndarray:
    """Draw one `tangent` panel per quantity side by side, and return their Axes.

    Parameters
    ----------
    x : values ``(n,)`` of the nudged parameter, named ``xlabel`` as in code (``w3``)
    curves : dict name -> values ``(n,)``
        Names as in code (``z3``, ``a3``, ``C``); the first letter gives the colour.
    at : float
        Current value of the parameter.
    values, slopes : dict name -> float
        Current value and slope of each quantity.

    Raises
    ------
    ValueError
        When there is no curve, or a curve has no value or slope.
    """
    x, at = arguments.array("x", x, 1), arguments.number("at", at)
    curves = arguments.named("curves", curves, of="curve")
    for name, y in curves.items():
        if len(arguments.array(f"curves[{name!r}]", y, 1)) != len(x):
            raise ValueError(f"curves[{name!r}] has {len(y)} values, expected {len(x)} like x")
    for argument, given in (("values", values), ("slopes", slopes)):
        _require_numbers(argument, given, curves)
    figure, axes = plt.subplots(1, len(curves), figsize=(8, 2.9), squeeze=False)
    for ax, (name, y) in zip(axes.flat, curves.items(), strict=True):
        labels = {"xlabel": symbol(arguments.text("xlabel", xlabel)), "ylabel": symbol(name)}
        tangent(x, y, at, values[name], slopes[name], color=quantity_color(name), ax=ax, **labels)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return axes[0]


def labelled_points(
    x: Sequence[float], y: Sequence[float], *, letter: str = "y", ax: Axes | None = None
) -> Axes:
    """Draw one-dimensional inputs against their labels, a marker and a colour per label.

    The legend and the vertical axis call the label by its ``letter``. More than three labels are
    refused (ValueError).
    """
    x, y = arguments.array("x", x, 1), arguments.array("y", y, 1)
    _same_length(x, y)
    ax = _axes(ax, (8.0, 2.6))
    labels = list(_class_names(y, None))
    for label, (color, marker) in zip(labels, _class_marks(labels), strict=True):
        chosen, number = y == label, f"{label:g}".replace("-", "−")
        ax.plot(
            x[chosen], y[chosen], marker, ms=3, lw=0, color=color, label=f"${letter}$ = {number}"
        )
    ax.set(xlabel="input $x$", ylabel=f"label ${letter}$")
    ax.legend(loc="center right")
    return ax


def scatter_classes(
    X: np.ndarray, y: np.ndarray, *, classes: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw points ``X (N, 2)`` a colour and a marker per class ``y (N,)``, at most three.

    Raises
    ------
    ValueError
        When X has not two columns, y not one label a row, or there are more than three classes.
    """
    X, y = arguments.array("X", X, 2), arguments.array("y", y, 1)
    if X.shape[1] != 2:
        raise ValueError(f"X has shape {X.shape}, expected (N, 2)")
    if len(y) != len(X):
        raise ValueError(f"y has shape {y.shape}, expected ({len(X)},) like the rows of X")
    names = _class_names(y, classes)
    ax = _axes(ax, (4.6, 4.2))
    for (label, name), (color, marker) in zip(names.items(), _class_marks(names), strict=True):
        ax.scatter(
            *X[y == label].T, s=14, marker=marker, color=color, alpha=0.75, linewidths=0,
            label=name, zorder=2,
        )  # fmt: skip
    ax.set_aspect("equal")
    return ax


def decision_regions(
    predict: Callable[[np.ndarray], np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    *,
    classes: Sequence[str] | None = None,
    title: str = "",
    resolution: int = 200,
    ax: Axes | None = None,
) -> Axes:
    """Shade the plane by predicted class, the samples ``X (N, 2)`` with labels ``y`` on top.

    Parameters
    ----------
    predict : callable ``(M, 2) -> (M,)``
        Returns one class per row, counted from 0; where it is NaN the plane stays blank.

    Raises
    ------
    ValueError
        As `scatter_classes`, or when ``predict`` does not return one value a row.
    """
    from matplotlib.colors import ListedColormap

    arguments.function("predict", predict)
    resolution = arguments.count("resolution", resolution, least=2, most=2000)
    ax = scatter_classes(X, y, classes=classes, ax=ax)
    X = np.asarray(X, dtype=float)
    span = np.ptp(X, axis=0)
    margin = np.where(span > 0, 0.08 * span, 1.0)  # one sample has room around it, too
    low, high = X.min(axis=0) - margin, X.max(axis=0) + margin
    grid = np.meshgrid(*(np.linspace(low[i], high[i], resolution) for i in (0, 1)))
    points = np.column_stack([g.ravel() for g in grid])
    labels = np.asarray(predict(points))
    if labels.dtype.kind not in "biuf":
        raise TypeError(f"predict returned dtype {labels.dtype}, expected numbers")
    if labels.shape != (len(points),):
        raise ValueError(f"predict returned shape {labels.shape}, expected ({len(points)},)")
    ax.pcolormesh(
        *grid, labels.reshape(grid[0].shape), cmap=ListedColormap(CLASS_COLORS), vmin=-0.5,
        vmax=2.5, alpha=0.22, shading="auto", zorder=0, rasterized=True, linewidth=0,
    )  # fmt: skip
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.set_title(title)
    ax.grid(False)
    return ax


def heatmap(
    matrix: np.ndarray,
    *,
    rows: Sequence | None = None,
    columns: Sequence | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    fmt: str | None = ".2f",
    center: float | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a matrix as coloured cells, the values written in (``fmt=None``: not).

    Parameters
    ----------
    matrix : array ``(R, K)``
    rows, columns : labels, optional
    center : float, optional
        Draw with a two-sided colour scale whose white is at this value.

    Raises
    ------
    ValueError
        When the matrix is not a finite two-axis array or the labels do not match it.
    """
    matrix = arguments.array("matrix", matrix, 2)
    for name, labels, size in (("rows", rows, 0), ("columns", columns, 1)):
        if labels is not None:
            arguments.sequence(name, labels, matrix.shape[size], of="labels")
    ax = _axes(ax, (6.0, 4.0))
    scale = {"cmap": "cividis"}
    if center is not None:
        reach = np.abs(matrix - arguments.number("center", center)).max() or 1.0
        scale = {"cmap": DIVERGING, "vmin": center - reach, "vmax": center + reach}
    image = ax.imshow(matrix, aspect="auto", **scale)
    if fmt is not None:
        for (i, j), value in np.ndenumerate(matrix):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.55
            ax.text(
                j, i, format(value, fmt), ha="center", va="center", fontsize=9,
                color="white" if dark else INK,
            )  # fmt: skip
    for axis, labels in ((ax.yaxis, rows), (ax.xaxis, columns)):
        if labels is not None:
            axis.set_ticks(range(len(labels)), [str(label) for label in labels])
    if colorbar:
        ax.figure.colorbar(image, ax=ax)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title)
    ax.grid(False)
    return ax


def confusion_matrix(
    counts: np.ndarray, classes: Sequence, *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw counts ``(C, C)``, row = true class, column = predicted; colour only off the diagonal.

    Raises
    ------
    ValueError
        When counts is not square or does not match the classes.
    """
    counts = arguments.array("counts", counts, 2)
    classes = arguments.sequence("classes", classes)
    if counts.shape != (len(classes), len(classes)):
        expected = (len(classes), len(classes))
        raise ValueError(f"counts has shape {counts.shape}, expected {expected} like classes")
    # The diagonal holds most of the counts and would wash out the mistakes.
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0, counts)
    ax = _axes(ax, (5.2, 4.6))
    ax.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, mistakes.max()) * 1.4)
    for (i, j), count in np.ndenumerate(counts):
        ax.text(
            j, i, f"{count:g}", ha="center", va="center", fontsize=9,
            color=INK if i == j or count else MUTED, fontweight="bold" if i == j else "normal",
        )  # fmt: skip
    ticks = [str(label) for label in classes]
    ax.xaxis.set_ticks(range(len(ticks)), ticks)
    ax.yaxis.set_ticks(range(len(ticks)), ticks)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.set_title(title)
    ax.grid(False)
    return ax


def image_grid(
    images: np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    columns: int = 10,
    signed: bool = False,
    title: str = "",
) -> np.ndarray:
    """Draw images in a grid and return the array of Axes ``(R, columns)``.

    Parameters
    ----------
    images : array ``(N, H, W)``, or ``(N, P)`` with P a square number
    titles : N strings, optional
    signed : bool
        Two-sided colours around zero, one scale for all (weights), instead of grey levels.

    Raises
    ------
    ValueError
        When the images are not finite, not square when flat, or the titles do not match.
    """
    images = arguments.array("images", images)
    columns = arguments.count("columns", columns, most=100)
    if images.ndim == 2:
        side = round(np.sqrt(images.shape[1]))
        if side * side != images.shape[1]:
            raise ValueError(f"images has {images.shape[1]} pixels a row, expected a square number")
        images = images.reshape(-1, side, side)
    images = arguments.array("images", images, 3)
    if titles is not None:
        titles = arguments.sequence("titles", titles, len(images))
    lines = -(-len(images) // columns)
    extra = 0.26 if titles is not None else 0.0
    size = (8.0, lines * (8.0 / columns + extra) + (0.35 if title else 0))
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    reach = float(np.abs(images.astype(float)).max()) or 1.0  # of bytes, −200 would be 56
    scale = {"cmap": DIVERGING, "vmin": -reach, "vmax": reach} if signed else {"cmap": "gray_r"}
    for index, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if index < len(images):
            ax.imshow(images[index], **scale)
            if titles is not None:
                ax.set_title(titles[index], fontsize=9, fontweight="normal", loc="center", pad=3)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return axes


def bars(
    heights: Mapping[str, float],
    *,
    color: str = COLORS["a"],
    ylabel: str = "",
    title: str = "",
    fmt: str = ".2f",
    ax: Axes | None = None,
) -> Axes:
    """Draw one bar per name, its value written above it.

    Raises
    ------
    ValueError
        When there is no bar or a height is not finite.
    """
    heights = arguments.named("heights", heights, of="bar")
    values = arguments.array("heights", list(heights.values()), 1)
    ax = _axes(ax, (8.0, 3.0))
    drawn = ax.bar([str(name) for name in heights], values, color=color, width=0.7)
    ax.bar_label(drawn, [format(v, fmt) for v in values], padding=2, fontsize=9)
    ax.grid(False, axis="x")
    ax.set(ylabel=ylabel)
    ax.set_title(title)
    return ax


def scatter_3d(
    A: np.ndarray,
    y: np.ndarray,
    *,
    plane: tuple[Sequence[float], float] | None = None,
    classes: Sequence[str] | None = None,
    labels: Sequence[str] = ("", "", ""),
    view: tuple[float, float] = (20.0, -60.0),
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw points ``A (N, 3)`` of the unit cube by class, and a plane that cuts the cube.

    Parameters
    ----------
    A, y : arrays ``(N, 3)`` and ``(N,)``
        At most three classes; the values of A lie between 0 and 1, as those of a sigmoid do.
    plane : (w, b), optional
        Its points satisfy ``w · a + b = 0``. A plane that misses the cube is not drawn.
    view : (elevation, azimuth) in degrees

    Raises
    ------
    ValueError
        When A has not three columns or leaves the cube, y not one label a row, there are more
        than three classes, the plane has no direction, or ``ax`` is not three-dimensional.
    """
    A, y = arguments.array("A", A, 2), arguments.array("y", y, 1)
    if A.shape[1] != 3 or A.min() < 0 or A.max() > 1:
        given = f"shape {A.shape} and values from {A.min():.3g} to {A.max():.3g}"
        raise ValueError(f"A has {given}, expected (N, 3) and values between 0 and 1")
    if len(y) != len(A):
        raise ValueError(f"y has shape {y.shape}, expected ({len(A)},) like the rows of A")
    names = _class_names(y, classes)
    if plane is not None:
        plane = arguments.sequence("plane", plane, 2)
        w, b = arguments.array("plane[0]", plane[0], 1), arguments.number("plane[1]", plane[1])
        if w.shape != (3,) or not w.any():
            raise ValueError(f"plane[0] is {w}, expected three numbers, not all of them zero")
    ax = _axes_3d(ax, labels, view, title)
    ax.computed_zorder = False  # by distance, one class could hide another altogether
    for (label, name), (color, marker) in zip(names.items(), _class_marks(names), strict=True):
        ax.scatter(
            *A[y == label].T, s=12, marker=marker, color=color, alpha=0.7, linewidths=0,
            depthshade=False, label=name,
        )  # fmt: skip
    if plane is not None:
        _draw_plane(ax, w, b)
    ax.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1))
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_ticks([0, 0.5, 1], ["0", "½", "1"])
    return ax


def surface(
    f: Callable[[np.ndarray], np.ndarray],
    limits: tuple[float, float],
    *,
    level: float | None = None,
    labels: Sequence[str] = ("", "", ""),
    view: tuple[float, float] = (28.0, -60.0),
    title: str = "",
    resolution: int = 81,
    ax: Axes | None = None,
) -> Axes:
    """Draw ``f`` as a surface over the square ``limits × limits``, with one contour on it.

    Parameters
    ----------
    f : callable ``(M, 2) -> (M,)``
    limits : (low, high) of both inputs
    level : float, optional
        Height of the contour.

    Raises
    ------
    ValueError
        When limits do not ascend, ``f`` does not return one finite value a row, or ``ax`` is not
        three-dimensional.
    """
    arguments.function("f", f)
    resolution = arguments.count("resolution", resolution, least=2, most=2000)
    limits = [arguments.number("limits", v) for v in arguments.sequence("limits", limits, 2)]
    low, high = limits
    if not low < high:
        raise ValueError(f"limits is ({low:g}, {high:g}), expected (low, high) with low < high")
    if level is not None:
        level = arguments.number("level", level)
    grid = np.meshgrid(*[np.linspace(low, high, resolution)] * 2)
    points = np.column_stack([g.ravel() for g in grid])
    heights = arguments.array("f(points)", f(points), 1)
    if len(heights) != len(points):
        raise ValueError(f"f returned shape {heights.shape}, expected ({len(points)},)")
    heights = heights.reshape(grid[0].shape)
    ax = _axes_3d(ax, labels, view, title)
    ax.plot_surface(
        *grid, heights, cmap="cividis", rcount=resolution, ccount=resolution, lw=0,
        antialiased=False,  # smoothing would leave a pale seam along every facet
    )  # fmt: skip
    if level is not None:
        ax.computed_zorder = False  # the contour stays visible where the surface would hide it
        ax.contour(*grid, heights, levels=[level], colors=[INK], linewidths=2, zorder=5)
    ax.set(xlim=limits, ylim=limits)
    for axis, intervals in ((ax.xaxis, 3), (ax.yaxis, 3), (ax.zaxis, 2)):
        axis.set_major_locator(plt.MaxNLocator(intervals))
    return ax


def _axes_3d(ax: Axes | None, labels: Sequence[str], view: tuple, title: str) -> Axes:
    """Return three-dimensional Axes, labelled, turned and on a white ground."""
    if ax is None:
        ax = plt.figure(figsize=(5.6, 4.6)).add_subplot(projection="3d")
    if ax.name != "3d":
        raise ValueError(f"ax has projection {ax.name!r}, expected '3d'")
    labels = arguments.sequence("labels", labels, 3)
    view = [arguments.number("view", angle) for angle in arguments.sequence("view", view, 2)]
    for axis, label in zip((ax.xaxis, ax.yaxis, ax.zaxis), labels, strict=True):
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
    if len(cuts) < 3:
        return
    # In order around their centre, seen along the axis the plane faces most.
    flat = np.delete(np.array(cuts) - np.mean(cuts, axis=0), np.abs(w).argmax(), axis=1)
    order = np.argsort(np.arctan2(flat[:, 1], flat[:, 0]))
    face = Poly3DCollection([np.array(cuts)[order]], color=COLORS["weights"], alpha=0.25)
    face.set(edgecolor=COLORS["weights"], zorder=3)
    ax.add_collection3d(face)
