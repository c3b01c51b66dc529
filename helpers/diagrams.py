"""Drawings of networks and computational graphs, made from live values with matplotlib alone.

Every function takes ``ax=None``, draws what it is given and returns the Axes; none computes a
gradient. Colours follow ``style.COLORS``; a negative weight is dashed as well.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from helpers.style import COLORS, INK, MUTED, quantity_color, symbol


def _number(value: float) -> str:
    """Return a value in at most six characters or so, with a true minus sign."""
    value = float(value)
    if value == 0:
        return "0"
    if not np.isfinite(value):
        return str(value)
    text = f"{value:#.2g}" if abs(value) < 0.0995 else f"{value:.2f}"
    return text.replace("-", "−")


def _signed(value: float) -> str:
    """Return a value with its sign, as a stub of a wire beside a number looks like a minus."""
    return ("+" if value > 0 else "") + _number(value)


def _canvas(ax: Axes | None, width: float, height: float, inches: float = 8.0) -> Axes:
    """Return an empty, equal-scaled Axes that shows ``width`` by ``height`` units."""
    if ax is None:
        _, ax = plt.subplots(figsize=(inches, inches * height / width))
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def _positions(sizes: Sequence[int], dx: float, dy: float) -> list[np.ndarray]:
    """Return the node centres of each layer, ``(n_l, 2)``, the first node on top."""
    return [
        np.column_stack([np.full(n, layer * dx), dy * ((n - 1) / 2 - np.arange(n))])
        for layer, n in enumerate(sizes)
    ]


def _wires(ax: Axes, matrix: np.ndarray, tails, heads, radius, scale, label, kind="weights"):
    """Draw one layer's wires; labels sit where neighbouring wires are evenly apart."""
    rows, columns = matrix.shape
    along = 1 / (rows + 1) if rows > 1 else 0.5
    for j in range(rows):
        for k in range(columns):
            weight = matrix[j, k]
            step = heads[j] - tails[k]
            unit = step / np.hypot(*step)
            start, end = tails[k] + radius * unit, heads[j] - radius * unit
            ax.plot(
                *zip(start, end, strict=True),
                color=COLORS[kind],
                lw=0.7 + 3.3 * abs(weight) / scale,
                ls="-" if weight >= 0 else (0, (3, 1.5)),
                alpha=0.85,
                zorder=1,
            )
            if label:
                at = tails[k] + along * step
                ax.text(
                    *at,
                    _signed(weight),
                    color=COLORS[kind],
                    fontsize=9,
                    ha="center",
                    va="center",
                    zorder=3,
                    bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"},
                )


def network(
    weights: Sequence,
    biases: Sequence | None = None,
    activations: Sequence | None = None,
    *,
    label_weights: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a layered network, its weights on the wires, nodes counted from 0 as in code.

    Parameters
    ----------
    weights : list of arrays ``(n_l, n_{l-1})``, or of numbers for one node a layer
        Row = current node, column = incoming node. Wire width is proportional to ``|w|``,
        a dashed wire is a negative weight.
    biases : list of arrays ``(n_l,)``, optional
        Written below the nodes.
    activations : list of arrays ``(n_l,)``, optional
        One more than there are weights, the input first; written inside the nodes.
    label_weights : bool, optional
        Write the weights on the wires. Default: when no layer has more than 12 of them.
    """
    matrices = [np.atleast_2d(w) for w in weights]
    sizes = [matrices[0].shape[1], *(m.shape[0] for m in matrices)]
    biases = biases and [np.atleast_1d(b) for b in biases]
    activations = activations and [np.atleast_1d(a) for a in activations]
    if label_weights is None:
        label_weights = max(m.size for m in matrices) <= 12
    dx, dy, radius = 2.9, 1.4, 0.4
    places = _positions(sizes, dx, dy)
    width, height = dx * len(matrices) + 1.4, dy * (max(sizes) - 1) + 2.0
    ax = _canvas(ax, width, height, inches=min(8.0, 1.1 * width))
    scale = max(np.abs(m).max() for m in matrices) or 1.0
    for layer, matrix in enumerate(matrices):
        _wires(ax, matrix, places[layer], places[layer + 1], radius, scale, label_weights)
    for layer, centres in enumerate(places):
        for node, centre in enumerate(centres):
            name = "x" if layer == 0 else f"a^{layer}"
            subscript = f"_{{{node}}}" if sizes[layer] > 1 else ""
            value = None if activations is None else activations[layer][node]
            _node(ax, centre, radius, f"${name}{subscript}$", value, INK if layer == 0 else None)
            if layer and biases is not None:
                text = f"$b$ = {_number(biases[layer - 1][node])}"
                ax.text(
                    centre[0],
                    centre[1] - radius - 0.07,
                    text,
                    color=COLORS["biases"],
                    fontsize=9,
                    ha="center",
                    va="top",
                    zorder=3,
                    bbox={"boxstyle": "round,pad=0.05", "fc": "white", "ec": "none"},
                )
    ax.set_xlim(-0.7, width - 0.7)
    ax.set_ylim(-height / 2, height / 2)
    return ax


def _node(ax: Axes, centre, radius: float, symbol: str, value: float | None, color: str | None):
    """Draw one node: its symbol, and its value below the symbol."""
    color = color or COLORS["a"]
    ax.add_patch(Circle(centre, radius, fc="white", ec=color, lw=1.8, zorder=2))
    x, y = centre
    if value is None:
        ax.text(x, y, symbol, ha="center", va="center", color=color, zorder=3)
        return
    ax.text(x, y + 0.36 * radius, symbol, ha="center", va="center", color=color, zorder=3)
    ax.text(x, y - 0.36 * radius, _number(value), ha="center", va="center", fontsize=9.5, zorder=3)


def outline(sizes: Sequence[int], labels: Sequence[str] | None = None, *, ax: Axes | None = None):
    """Draw a network too large for its nodes: a column per layer, its size written below.

    Parameters
    ----------
    sizes : list of int
        Nodes per layer, the input first. At most seven are drawn, with dots for the rest.
    labels : list of str, optional
        One caption per layer, above its column.
    """
    shown = [min(n, 7) for n in sizes]
    dx, dy, radius = 3.0, 0.52, 0.19
    places = _positions(shown, dx, dy)
    ax = _canvas(ax, dx * (len(sizes) - 1) + 2.4, dy * 6 + 1.9)
    for layer, centres in enumerate(places):
        # The middle node of a shortened layer gives way to dots.
        hidden = shown[layer] // 2 if sizes[layer] > shown[layer] else None
        kept = [c for i, c in enumerate(centres) if i != hidden]
        for centre in kept:
            color = INK if layer == 0 else COLORS["a"]
            ax.add_patch(Circle(centre, radius, fc="white", ec=color, lw=1.5, zorder=2))
        if hidden is not None:
            ax.text(*centres[hidden], "⋮", ha="center", va="center", fontsize=16)
        if layer + 1 < len(places):
            following = places[layer + 1]
            skip = shown[layer + 1] // 2 if sizes[layer + 1] > shown[layer + 1] else None
            ends = [c for i, c in enumerate(following) if i != skip]
            for tail in kept:
                for head in ends:
                    ax.plot(
                        *zip(tail, head, strict=True),
                        color=COLORS["weights"],
                        lw=0.5,
                        alpha=0.45,
                        zorder=1,
                    )
        ax.text(layer * dx, -dy * 3 - 0.55, f"{sizes[layer]:,}", ha="center", va="center")
        if labels is not None:
            ax.text(layer * dx, dy * 3 + 0.6, labels[layer], ha="center", va="center")
    ax.set_xlim(-1.2, dx * (len(sizes) - 1) + 1.2)
    ax.set_ylim(-dy * 3 - 0.9, dy * 3 + 0.95)
    return ax


def _depths(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return each node's column: the first name starts, leaves stand over what they feed."""
    incoming = {name: [s for s, t in edges if t == name] for name in names}
    depth: dict[str, int] = {names[0]: 0}
    pending = [n for n in names if incoming[n]]
    for _ in range(len(pending) + 1):
        for name in pending:
            known = [depth[s] for s in incoming[name] if s in depth]
            inner = [s for s in incoming[name] if incoming[s] or s == names[0]]
            if name not in depth and all(s in depth for s in inner):
                depth[name] = 1 + max(known, default=0)
    return depth


def _graph_layout(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, tuple]:
    """Return ``name -> (x, y, radius)``; parameters hang above the node that takes them in."""
    depth = _depths(names, edges)
    layout = {name: (1.4 * depth[name], 0.0, 0.38) for name in depth}
    for name in names:
        if name in layout:
            continue
        fed = [t for s, t in edges if s == name]
        siblings = [s for s, t in edges if t == fed[0] and s not in depth]
        offset = 0.70 * (siblings.index(name) - (len(siblings) - 1) / 2)
        layout[name] = (layout[fed[0]][0] + offset, 1.2, 0.33)
    return layout


def computational_graph(
    values: Mapping[str, float],
    edges: Sequence[tuple[str, str]],
    *,
    slopes: Mapping[tuple[str, str], float] | None = None,
    gradients: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a chain-like computational graph with the live value of each node.

    Parameters
    ----------
    values : dict name -> float
        The first name starts the chain. Names like ``w1`` become symbols, their first letter
        gives the colour (w, b, z, a, C).
    edges : list of (source, target)
        A node without sources other than the first hangs above the node it feeds.
    slopes : dict (source, target) -> float, optional
        Local derivatives, written as factors along the edges.
    gradients : dict name -> float, optional
        Derivatives of the cost, written in red below (or above) the nodes.
    """
    names = list(values)
    layout = _graph_layout(names, edges)
    right = max(x for x, _, _ in layout.values()) + 0.55
    low, high = -1.0 if gradients else -0.55, 2.05 if gradients else 1.6
    ax = _canvas(ax, right + 0.55, high - low)
    for edge in edges:
        _edge(ax, layout, edge, None if slopes is None else slopes.get(edge))
    for name in names:
        x, y, radius = layout[name]
        ax.add_patch(Circle((x, y), radius, fc="white", ec=quantity_color(name), lw=1.8, zorder=2))
        size = 11 if y == 0 else 9
        ax.text(
            x, y + 0.4 * radius, symbol(name), ha="center", va="center", color=quantity_color(name),
            fontsize=size, zorder=3,
        )  # fmt: skip
        ax.text(
            x, y - 0.38 * radius, _number(values[name]), ha="center", va="center",
            fontsize=size - 2.5, zorder=3,
        )  # fmt: skip
        if gradients and name in gradients:
            above = y > 0
            # Two numbers side by side lean away from each other.
            lean = np.sign(x - layout[next(t for s, t in edges if s == name)][0]) if above else 0
            ax.text(
                x - 0.22 * lean, y + (radius + 0.08 if above else -radius - 0.3),
                _number(gradients[name]), ha={-1: "right", 0: "center", 1: "left"}[lean],
                va="bottom" if above else "top", color=COLORS["cost"], fontsize=9,
                fontweight="bold",
            )  # fmt: skip
    ax.set_xlim(-0.55, right)
    ax.set_ylim(low, high)
    return ax


def _edge(ax: Axes, layout: Mapping, edge: tuple[str, str], slope: float | None) -> None:
    """Draw one arrow between the rims of two nodes, with its local derivative."""
    (x0, y0, r0), (x1, y1, r1) = layout[edge[0]], layout[edge[1]]
    step = np.array([x1 - x0, y1 - y0])
    unit = step / np.hypot(*step)
    start, end = np.array([x0, y0]) + r0 * unit, np.array([x1, y1]) - r1 * unit
    arrow = {"arrowstyle": "-|>", "mutation_scale": 9, "color": MUTED, "lw": 1.3}
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, zorder=1, **arrow))
    if slope is None:
        return
    if y0 == y1:
        middle, ha, va = ((x0 + x1) / 2, -0.36), "center", "top"
    else:
        side = np.sign(x0 - x1) or 1
        middle, ha, va = (start + end) / 2 + [0.06 * side, 0.02], "left", "center"
        ha = "left" if side > 0 else "right"
    ax.text(*middle, f"×{_number(slope)}", color=INK, fontsize=8, ha=ha, va=va, zorder=3)


def number_lines(steps: Sequence[tuple[str, float, float]], *, ax: Axes | None = None) -> Axes:
    """Draw how a nudge travels: one number line per quantity, all to the same scale.

    Parameters
    ----------
    steps : list of (name, before, after)
        In the order in which the nudge passes. Each line is centred on the value before, the
        arrow is the nudge, and between two lines stands the ratio of their nudges.
    """
    deltas = [after - before for _, before, after in steps]
    reach = max(abs(d) for d in deltas)
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 0.62 * len(steps) + 0.5))
    ax.set_axis_off()
    for row, ((name, before, after), delta) in enumerate(zip(steps, deltas, strict=True)):
        y = -float(row)
        color = quantity_color(name)
        ax.plot([-1.1, 1.1], [y, y], color=MUTED, lw=1, zorder=1)
        ax.plot([0], [y], marker="|", ms=11, color=INK, zorder=2)
        # An arrow head on a short nudge would be longer than the nudge itself.
        head = "-|>" if abs(delta) > 0.08 * reach else "-"
        ax.annotate(
            "", (delta / reach, y), (0, y), zorder=3,
            arrowprops={"arrowstyle": head, "color": color, "lw": 4, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        ax.text(-1.18, y, symbol(name), color=color, ha="right", va="center", fontsize=12)
        ax.text(
            1.18, y, f"{_number(before)} → {_number(after)}", ha="left", va="center", fontsize=9.5
        )
        ax.text(1.78, y, f"Δ = {_signed(delta)}", color=color, ha="left", va="center", fontsize=9.5)
        if row:
            _ratio(ax, y + 0.5, delta, deltas[row - 1])
    ax.set_xlim(-1.45, 2.55)
    ax.set_ylim(-len(steps) + 0.5, 0.5)
    return ax


def _ratio(ax: Axes, y: float, delta: float, previous: float) -> None:
    """Write, between two number lines, the factor from one nudge to the next."""
    text = "no change arrives" if previous == 0 else f"×{_number(delta / previous)}"
    ax.text(2.45, y, text, color=INK, ha="right", va="center", fontsize=9)
    ax.plot([2.5, 2.5], [y - 0.3, y + 0.3], color=INK, lw=1)


def draw_paths(
    W: Sequence, *, layer: int, node: int, through: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the paths on which one node reaches the cost, from its layer onward.

    Parameters
    ----------
    W : list of arrays ``(n_l, n_{l-1})``
        ``W[l]`` leads to layer l. ``W[0]`` is None, or left out. Wire width is proportional to
        ``|w|``, a dashed wire is a negative weight; wires on no chosen path are faint.
    layer, node : int
        Where the paths start; both count from 0, and layer 0 is the input.
    through : int, optional
        Follow only the paths through this node of the next layer. Default: all paths.
    """
    matrices = [w for w in W if w is not None]
    sizes = [matrices[0].shape[1], *(m.shape[0] for m in matrices)]
    on_path = [np.arange(n) >= 0 for n in sizes[layer:]]
    on_path[0] = np.arange(sizes[layer]) == node
    if through is not None:
        on_path[1] = np.arange(sizes[layer + 1]) == through
    return _draw_paths(matrices[layer:], on_path, layer, ax)


def _draw_paths(matrices: list, on_path: list[np.ndarray], layer: int, ax: Axes | None) -> Axes:
    """Draw the layers from ``layer`` onward and, behind them, the cost."""
    dx, dy, radius = 2.9, 1.4, 0.4
    places = _positions([len(chosen) for chosen in on_path], dx, dy)
    cost = np.array([dx * (len(places) - 0.3), 0.0])
    width, height = cost[0] + 1.4, dy * (max(map(len, on_path)) - 1) + 1.2
    ax = _canvas(ax, width, height, inches=min(8.0, 0.85 * width))
    scale = max((np.abs(m).max() for m in matrices), default=1.0) or 1.0
    for step, matrix in enumerate(matrices):
        for (j, k), weight in np.ndenumerate(matrix):
            chosen = on_path[step][k] and on_path[step + 1][j]
            # A label sits where the chosen wires are evenly apart: they fan out or they meet.
            along = 0.62 if on_path[step].sum() == 1 else 1 / (len(matrix) + 1)
            ends = places[step][k], places[step + 1][j]
            _path_wire(ax, *ends, radius, weight, scale, along if chosen else None)
    for step, centres in enumerate(places):
        name = f"a^{layer + step}" if layer + step else "x"
        for index, centre in enumerate(centres):
            subscript = f"_{{{index}}}" if len(centres) > 1 else ""
            color = (COLORS["a"] if layer + step else INK) if on_path[step][index] else MUTED
            _node(ax, centre, radius, f"${name}{subscript}$", None, color)
    for centre in places[-1]:
        _arrow(ax, centre, cost, radius)
    _node(ax, cost, radius, "$C$", None, COLORS["cost"])
    ax.set_xlim(-0.7, width - 0.7)
    ax.set_ylim(-height / 2, height / 2)
    return ax


def _path_wire(ax: Axes, tail, head, radius, weight, scale, along: float | None) -> None:
    """Draw one wire, faint and without its number when ``along`` is None."""
    unit = (head - tail) / np.hypot(*(head - tail))
    color, fade = (COLORS["weights"], 1.0) if along is not None else (MUTED, 0.35)
    ax.plot(
        *zip(tail + radius * unit, head - radius * unit, strict=True), color=color, alpha=fade,
        lw=0.7 + 3.3 * abs(weight) / scale, ls="-" if weight >= 0 else (0, (3, 1.5)),
        zorder=1 if along is not None else 0.5,
    )  # fmt: skip
    if along is not None:
        ax.text(
            *(tail + along * (head - tail)), _signed(weight), color=color, fontsize=9,
            ha="center", va="center", zorder=3,
            bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"},
        )  # fmt: skip


def _arrow(ax: Axes, tail, head, radius: float) -> None:
    """Draw the arrow from an output to the cost; it carries no weight."""
    unit = (head - tail) / np.hypot(*(head - tail))
    style = {"arrowstyle": "-|>", "mutation_scale": 10, "color": COLORS["cost"], "lw": 1.3}
    start, end = tail + radius * unit, head - radius * unit
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, zorder=1, **style))


def augmented_network(weights: Sequence, biases: Sequence, *, ax: Axes | None = None) -> Axes:
    """Draw a network whose biases are the weights of an extra node per layer that always holds 1.

    Parameters
    ----------
    weights : list of arrays ``(n_l, n_{l-1})``
    biases : list of arrays ``(n_l,)``
        Drawn as purple wires that leave the square constant node of the layer before.
    """
    matrices = [np.atleast_2d(w) for w in weights]
    sizes = [matrices[0].shape[1], *(m.shape[0] for m in matrices)]
    dx, dy, radius = 2.9, 1.4, 0.4
    places = _positions(sizes, dx, dy)
    low = -dy * ((max(sizes) - 1) / 2 + 1)
    ax = _canvas(ax, dx * len(matrices) + 1.2, dy * max(sizes) + 1.2)
    scale = max(np.abs(v).max() for v in [*matrices, *biases]) or 1.0
    for layer, (matrix, vector) in enumerate(zip(matrices, biases, strict=True)):
        heads, one = places[layer + 1], np.array([[layer * dx, low]])
        _wires(ax, matrix, places[layer], heads, radius, scale, True)
        _wires(ax, vector[:, None], one, heads, radius, scale, True, kind="biases")
        _square(ax, one[0], 0.34)
    for layer, centres in enumerate(places):
        for node, centre in enumerate(centres):
            name = "x" if layer == 0 else f"a^{layer}"
            subscript = f"_{{{node}}}" if sizes[layer] > 1 else ""
            _node(ax, centre, radius, f"${name}{subscript}$", None, INK if layer == 0 else None)
    ax.set_xlim(-0.6, dx * len(matrices) + 0.6)
    ax.set_ylim(low - 0.6, low + dy * max(sizes) + 0.6)
    return ax


def _square(ax: Axes, centre, half: float) -> None:
    """Draw the node that always holds 1: a square, as nothing leads into it."""
    corner = (centre[0] - half, centre[1] - half)
    color = COLORS["biases"]
    ax.add_patch(Rectangle(corner, 2 * half, 2 * half, fc="white", ec=color, lw=1.8, zorder=2))
    ax.text(*centre, "1", ha="center", va="center", color=color, zorder=3)


def matrix_equation(
    terms: Sequence, *, highlight: tuple[int, int] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw an equation between matrices, every entry a cell, the meaning of each axis written on.

    Parameters
    ----------
    terms : list
        Strings are drawn as they are (``"@"``, ``"+"``, ``"="``); a matrix is a tuple
        ``(symbol, array (R, K), rows, columns)`` with the symbol in TeX without dollars and what a
        row and a column stand for.
    highlight : (row, column), optional
        Fill this entry of the last matrix and what it is made of: a row of the first matrix, a
        column of a factor, one entry of a term after ``"+"`` (of its column, if it has one row).
    """
    matrices = [term[1] for term in terms if not isinstance(term, str)]
    tallest = max(m.shape[0] for m in matrices)
    wide = 1.15 * sum(m.shape[1] for m in matrices) + 0.55 * len(terms) + 0.3
    ax = _canvas(ax, wide, 0.62 * tallest + 1.4)
    x, seen, operator = 0.0, 0, ""
    for term in terms:
        if isinstance(term, str):
            operator = term
            ax.text(x, 0, term, ha="center", va="center", fontsize=13)
            x += 0.7
            continue
        row, column = highlight or (None, None)
        whole = seen < len(matrices) - 1 and (operator == "@" or len(matrices[seen]) == 1)
        marked = (None if whole and seen else row, column if seen else None)
        _grid(ax, x, term[0], matrices[seen], term[2:], marked)
        x += 1.15 * matrices[seen].shape[1] + 0.4
        seen += 1
    ax.set_xlim(-0.55, x - 0.3)
    ax.set_ylim(-0.31 * tallest - 0.85, 0.31 * tallest + 0.55)
    return ax


def _grid(ax: Axes, x: float, symbol: str, matrix: np.ndarray, axes: tuple, marked: tuple) -> None:
    """Draw one matrix as cells, centred on the line, its symbol below and its axes outside."""
    rows, columns = matrix.shape
    is_slope = symbol.startswith((r"\delta", r"\partial"))  # slopes of the cost wear its colour
    color = COLORS["cost"] if is_slope else quantity_color(symbol[0].lower())
    for (i, j), value in np.ndenumerate(matrix):
        chosen = marked != (None, None) and marked[0] in (i, None) and marked[1] in (j, None)
        corner = (x + 1.15 * j, 0.31 * rows - 0.62 * (i + 1))
        ax.add_patch(
            Rectangle(corner, 1.15, 0.62, fc=color if chosen else "white", ec=color, lw=1.2)
        )
        ax.text(
            corner[0] + 0.575, corner[1] + 0.3, _number(value), ha="center", va="center",
            fontsize=9, color="white" if chosen else INK, fontweight="bold" if chosen else None,
        )  # fmt: skip
    middle = x + 0.575 * columns
    ax.text(middle, -0.31 * rows - 0.12, f"${symbol}$", color=color, ha="center", va="top", size=13)
    ax.text(middle, 0.31 * rows + 0.1, axes[1], color=MUTED, ha="center", va="bottom", fontsize=8)
    ax.text(x - 0.08, 0, axes[0], color=MUTED, ha="right", va="center", fontsize=8, rotation=90)


_SHEETS, _CELLS = 5, 4  # of a longer axis no more is drawn
_WIDTH, _SHIFT = 1.3, 0.3  # width of a cell, and how far the next sheet recedes, in cell heights


def stack(
    arrays: Mapping[str, np.ndarray],
    axes: Sequence[str],
    *,
    operators: Sequence[str] = (),
    summed: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw arrays of one to three axes side by side, each axis with its letter and length.

    Parameters
    ----------
    arrays : dict name -> array
        Of three axes the first piles up sheets; index 0 is in front and shows its values. Long
        axes are cut short and end in dots.
    axes : list of str
        One letter per axis, as in the subscripts of einsum: ``["ijk", "kl", "ijl"]``.
    operators : list of str, optional
        Written between the arrays.
    summed : str
        Letters that are summed over; their arrows are dashed and carry a sigma.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    widths, heights = zip(*map(_extent, arrays.values()), strict=True)
    ends = np.cumsum(np.array(widths) + (3.4 if operators else 2.4))
    places, x = [1.7, *(ends[:-1] + 1.7)], ends[-1]
    ax = _canvas(ax, x, max(heights) + 2.2, inches=min(8.0, 0.5 * x))
    for (name, array), letters, left in zip(arrays.items(), axes, places, strict=True):
        _pile(ax, name, array, letters, summed, left)
    for sign, left in zip(operators, places[1:], strict=False):
        ax.text(left - 2.5, 0, sign, ha="center", va="center", fontsize=15)
    ax.set(xlim=(0, x), ylim=(-max(heights) / 2 - 1.0, max(heights) / 2 + 1.2))
    return ax


def _extent(array: np.ndarray) -> tuple[float, float]:
    """Return width and height of the drawing of one array, in cells."""
    depth, rows, columns = (1,) * (3 - array.ndim) + array.shape
    behind = _SHIFT * (min(depth, _SHEETS) - 1)
    dots = 0.4 if columns > _CELLS else 0.0
    return _WIDTH * min(columns, _CELLS) + behind + dots, min(rows, _CELLS) + behind


def _pile(ax: Axes, name: str, array: np.ndarray, letters: str, summed: str, left: float) -> None:
    """Draw one array about the line y = 0: its sheets, and around them axes, name and shape."""
    color = COLORS["cost"] if name.startswith(("D", "d")) else quantity_color(name[0].lower())
    cube = array.reshape((1,) * (3 - array.ndim) + array.shape)
    sheets = cube[:_SHEETS, :_CELLS, :_CELLS]
    depth, rows, columns = sheets.shape
    behind = _SHIFT * (depth - 1)
    top = (rows - behind) / 2
    right, bottom = left + _WIDTH * columns, top - rows
    for sheet in reversed(range(depth)):
        corner = (left + _SHIFT * sheet, top + _SHIFT * sheet)
        _sheet(ax, sheets[sheet], corner, color, values=sheet == 0)
    ends = {  # axis counted from the last: arrow from, arrow to, where its letter stands
        1: ((left, bottom - 0.22), (right, bottom - 0.22), (0, -0.12), "center", "top"),
        2: ((left - 0.22, top), (left - 0.22, bottom), (-0.1, 0), "right", "center"),
        3: ((left - 0.2, top + 0.12), (left - 0.2 + behind, top + 0.12 + behind), (-0.12, 0.1),
            "right", "bottom"),
    }  # fmt: skip
    for k, letter in enumerate(reversed(letters), start=1):
        _letter_axis(ax, *ends[k], letter, cube.shape[-k], letter in summed)
    dots = {"⋰": (right + behind, top + behind - 0.2), "⋮": (right, bottom + 0.3), "⋯": (right, 0)}
    for (sign, (x, y)), whole, part in zip(dots.items(), cube.shape, sheets.shape, strict=True):
        if whole > part:
            ax.text(x + 0.06, y, sign, ha="left", va="center", fontsize=13)
    ax.text(left + behind, top + behind + 0.25, name, color=color, ha="left", fontsize=12)
    middle = (left + right + behind) / 2
    ax.text(middle, bottom - 1.05, str(array.shape), ha="center", va="center", fontsize=9,
            color=MUTED)  # fmt: skip


def _sheet(ax: Axes, matrix: np.ndarray, corner: tuple, color: str, *, values: bool) -> None:
    """Draw a matrix as cells below and to the right of a corner."""
    for (r, c), value in np.ndenumerate(matrix):
        x, y = corner[0] + _WIDTH * c, corner[1] - r - 1
        ax.add_patch(Rectangle((x, y), _WIDTH, 1, fc="white", ec=color, lw=1.1, zorder=2))
        if values:
            ax.text(x + _WIDTH / 2, y + 0.5, _number(value), ha="center", va="center",
                    fontsize=8.5, zorder=3)  # fmt: skip


def _letter_axis(ax: Axes, start, end, offset, ha, va, letter, length: int, summed: bool) -> None:
    """Draw one axis as an arrow with its letter and length."""
    arrow = {"arrowstyle": "-|>", "mutation_scale": 8, "color": INK, "lw": 1.1}
    style = (0, (3, 2)) if summed else "-"
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, ls=style, zorder=4, **arrow))
    middle = (np.array(start) + np.array(end)) / 2 + offset
    sigma = r"\Sigma\," if summed else ""
    ax.text(*middle, f"${sigma}{letter}$ = {length}", ha=ha, va=va, fontsize=9)
