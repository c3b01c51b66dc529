"""Drawings of networks and computational graphs, made from live values with matplotlib alone.

Every function takes ``ax=None``, draws what it is given and returns the Axes; none computes a
gradient. Forward, a node is as green as it is active and a wire as wide as its weight, dashed
below zero. Backward, the wires fade, and red arrows run from right to left.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle

from helpers.style import COLORS, INK, MUTED, SIGNED, quantity_color, symbol

_BLUE, _PURPLE, _GREEN, _RED = (COLORS[kind] for kind in ("weights", "biases", "a", "cost"))
_DX, _DY, _RADIUS = 3.0, 1.4, 0.46  # between layers, between nodes, of a node
_UNIT = 8.0 / 11.25  # inches; 2-3-3-1 fills the page
_CELL = 0.66, 0.46  # width and height of an entry below a network
_DASHES = (0, (2.6, 1.3))  # of what is negative


def _number(value: float) -> str:
    """Return a value in at most six characters or so, with a true minus sign."""
    if value == 0:
        return "0"
    text = f"{value:#.2g}" if abs(value) < 0.0995 else f"{value:.2f}"
    return text.replace("-", "−")


def _canvas(ax: Axes | None, xlim: tuple, ylim: tuple, unit: float = _UNIT) -> Axes:
    """Return an empty, equal-scaled Axes that shows the given ranges."""
    width, height = np.ptp(xlim), np.ptp(ylim)
    unit = min(unit, 8.0 / width)
    ax = ax or plt.subplots(figsize=(unit * width, unit * height + 0.3))[1]  # for a title
    ax.set(aspect="equal", xlim=xlim, ylim=ylim)
    ax.set_axis_off()
    return ax


def _tint(color: str, share: float) -> tuple[float, ...]:
    """Return white at share 0, the colour at 1."""
    return tuple(1 + (np.array(to_rgb(color)) - 1) * np.clip(share, 0, 1))


def _say(ax: Axes, x, y, text, *, color=INK, size=11.0, ha="center", on="white", **more):
    """Write a text, centred unless told otherwise, and in white on what is dark."""
    dark = np.array(to_rgb(on)) ** 2.2 @ (0.21, 0.72, 0.07) < 0.2
    more = {"va": "center", "zorder": 4, "ha": ha, "fontsize": size} | more
    return ax.text(x, y, text, color="white" if dark else color, **more)


def _arrow(ax: Axes, start, end, color: str, lw: float = 1.4, **look) -> None:
    """Draw an arrow between two points."""
    look = {"arrowstyle": "-|>", "mutation_scale": 8 + 2 * lw, "shrinkA": 0, "shrinkB": 0} | look
    ax.add_patch(FancyArrowPatch(start, end, color=color, lw=lw, **{"zorder": 1} | look))


def _rims(tail, head, leave: float, meet: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the way between two circles begins and ends, and its direction."""
    unit = np.subtract(head, tail) / np.hypot(*np.subtract(head, tail))
    return tail + leave * unit, head - meet * unit, unit


def _wire(ax, tail, head, share, color, *, negative=False, alpha=1.0, arrow=False, gap=_RADIUS):
    """Draw one wire from rim to rim, ``share`` of the greatest width, if asked with a head."""
    start, end, unit = _rims(tail, head, gap, gap)
    width = 0.9 + 4.6 * share
    if arrow:
        half = 0.07 + 0.016 * width
        tip, end = end, end - 2.2 * half * unit
        side = half * np.array([-unit[1], unit[0]])
        corners = [tip, end + side, end - side]
        ax.add_patch(Polygon(corners, fc=color, lw=0, alpha=alpha, zorder=2.5))
    look = {"color": color, "alpha": alpha, "lw": width, "ls": _DASHES if negative else "-"}
    # from the head on, so that dashes touch it
    ax.plot(*zip(end, start, strict=True), solid_capstyle="butt", zorder=1 + alpha, **look)


def _wires(ax, places, carried, *, color=None, scale=None, only=True, back=False, **look):
    """Draw the wires between two layers, whose places are given, by what each carries.

    That is an array ``(n_l, n_{l-1})``; widths are parts of its largest entry, or of a scale.
    """
    scale, only = scale or np.abs(carried).max() or 1.0, np.broadcast_to(only, carried.shape)
    for (j, k), value in np.ndenumerate(carried):
        if only[j, k]:
            ends = (places[0][k], places[1][j])[:: -1 if back else 1]
            shade, extra = color or SIGNED[int(value >= 0)], {"arrow": back} | look
            _wire(ax, *ends, abs(value) / scale, shade, negative=value < 0, **extra)


def _node(ax: Axes, centre, text: str, color: str, fill="white", *, value="", size=14.5, **look):
    """Draw one node with its symbol and, below it, its value."""
    look = {"radius": _RADIUS, "lw": 1.8, "zorder": 3} | look
    (x, y), size, raised = centre, size - 1.5 * bool(value), 0.4 * look["radius"] * bool(value)
    ax.add_patch(Circle(centre, fc=fill, ec=color, **look))
    _say(ax, x, y + raised, text, size=size, on=fill)
    _say(ax, x, y - raised, value, size=0.86 * size, on=fill)


def _cells(ax: Axes, left, top, matrix, color, *, cell=_CELL, fills=None, bold=None, size=9.2):
    """Draw a matrix as cells below and to the right of a corner; ``bold (R, K)`` marks some."""
    for (i, j), value in np.ndenumerate(matrix):
        x, y = left + cell[0] * j, top - cell[1] * (i + 1)
        fill = "white" if fills is None else fills[i][j]
        ax.add_patch(Rectangle((x, y), *cell, fc=fill, ec=color, lw=1.1, zorder=2))
        if np.isfinite(value):  # a cell that is not is left blank
            look = {"on": fill, "fontweight": "bold" if bold is not None and bold[i, j] else None}
            _say(ax, x + cell[0] / 2, y + 0.47 * cell[1], _number(value), size=size, **look)


def _table(ax: Axes, middle, top, matrix, name, color, *, edge=None, cell=_CELL, **look):
    """Draw a matrix as cells, centred below its name."""
    left = middle - matrix.shape[1] * cell[0] / 2
    _cells(ax, left, top, matrix, edge or color, cell=cell, **look)
    _say(ax, middle, top + 0.06, f"${name}$", color=color, va="bottom")


def _layers(values: Sequence | None, n: int) -> list[np.ndarray | None]:
    """Return one array per layer 0 … n; what a list lacks at its front is None."""
    values = [None] * (n + 1 - len(values or [])) + list(values or [])
    return [None if v is None else np.atleast_1d(v) for v in values]


def _places(sizes: Sequence[int], dy: float = _DY) -> list[np.ndarray]:
    """Return the node centres of each layer, ``(n_l, 2)``, the first node on top."""
    return [
        np.column_stack([np.full(n, layer * _DX), dy * ((n - 1) / 2 - np.arange(n))])
        for layer, n in enumerate(sizes)
    ]


def _name(letter: str, layer: int, node: int, nodes: int) -> str:
    """Return the symbol of a node, such as a with its layer raised and its number lowered."""
    lowered = f"_{{{node}}}" if nodes > 1 else ""
    return f"$x{lowered}$" if layer == 0 else rf"${letter}^{layer}{lowered}$"


class _Net:
    """The numbers of a network by layer, and how its nodes and wires look in its state."""

    def __init__(self, weights, biases=None, activations=(), deltas=None, updates=None, on=None):
        self.W = [None, *(np.atleast_2d(w) for w in weights if w is not None)]
        self.sizes = [self.W[1].shape[1], *(m.shape[0] for m in self.W[1:])]
        n = self.last = len(self.W) - 1
        self.b, self.delta, self.dW = (_layers(v, n) for v in (biases, deltas, updates))
        self.a = [*map(np.atleast_1d, activations), *[None] * (n + 1 - len(activations))]
        self.back, self.on = deltas is not None, on
        # what stands back, not reached yet or left behind by the errors
        self.faded = [self.back or (on is not None and layer > on) for layer in range(n + 1)]
        self.chain = max(self.sizes) == 1
        self.scale = max(np.abs(m).max() for m in self.W[1:])
        self.at = _places(self.sizes)
        self.lit = [True] * (n + 1)  # by layer, which wires are no mere background
        self.half = _DY * (max(self.sizes) - 1) / 2 + _RADIUS  # of the height of the nodes

    def draw_wires(self, ax: Axes, layer: int) -> None:
        """Draw the wires that lead to a layer, by what they carry in this state."""
        carried, look, lit = self.W[layer], {}, self.lit[layer]
        still, faint = {"scale": self.scale}, {"color": MUTED, "alpha": 0.3}
        if self.dW[layer] is not None:
            carried, look = self.dW[layer], {"color": _BLUE}
        elif self.delta[layer - 1] is not None:
            carried = carried * self.delta[layer][:, None]
            alpha = 1.0 if self.delta[layer - 2] is None else 0.4  # the newest stand out
            look = {"color": _RED, "alpha": alpha, "back": True}
        elif self.on == layer:
            carried, look = carried * self.a[layer - 1], {"color": _GREEN, "arrow": True}
        else:
            look = still | faint if self.faded[layer] else still
        ends = self.at[layer - 1 : layer + 1]
        _wires(ax, ends, self.W[layer], only=np.logical_not(lit), **still, **faint)
        _wires(ax, ends, carried, only=lit, **look)

    def draw_nodes(self, ax: Axes, layer: int, *, small=False, values=False) -> None:
        """Draw the nodes of a layer, named inside, or above where they are small."""
        letter, held, fill = "a", self.a[layer], _GREEN
        color = MUTED if self.faded[layer] else _GREEN if layer else INK
        depth = 0 * self.at[layer][:, 0]
        if held is not None:
            depth = 0.85 * held / max(1, np.abs(held).max())
        if self.delta[layer] is not None:
            letter, held, color, fill = r"\delta", self.delta[layer], _RED, _RED
            depth, values = np.abs(held) / (np.abs(held).max() or 1.0), True
        elif layer == 0:
            fill, depth = color, 0.45 * np.abs(depth)
        elif self.back:
            depth = 0.35 * depth
        dark = self.chain and fill == _RED  # as its rim: no dashes to see
        for node, centre in enumerate(self.at[layer]):
            look = {"size": 13 if dark else 14.5}
            if held is not None and self.chain and values:
                look["value"] = _number(held[node])
            if held is not None and held[node] < 0 and not dark:
                look["ls"] = "--"
            name = "" if small else _name(letter, layer, node, len(self.at[layer]))
            _node(ax, centre, name, color, _tint(fill, depth[node]), **look)
        if small:
            x, y = self.at[layer][0] + (0, _RADIUS + 0.15)
            _say(ax, x, y, _name(letter, layer, 0, 1), color=color, size=12, va="bottom")

    def draw(self, ax: Axes, **look) -> None:
        """Draw wires and nodes and, right of the last layer, the cost that the errors come from."""
        for layer in range(1, self.last + 1):
            self.draw_wires(ax, layer)
        for layer in range(self.last + 1):
            self.draw_nodes(ax, layer, **look)
        for centre in self.at[-1] if self.back else ():
            _wire(ax, np.add(centre, (1.5, 0)), centre, 0.25, _RED, arrow=True)
            _say(ax, *np.add(centre, (1.3, 0)), "$C$", color=_RED, size=14)


def network(
    weights: Sequence,  # arrays (n_l, n_{l-1}), or numbers for one node a layer
    biases: Sequence | None = None,  # arrays (n_l,)
    activations: Sequence = (),  # arrays (n_l,), the input first, as far as known
    *,
    deltas: Sequence | None = None,  # errors (n_l,), None where the walk back has not arrived
    updates: Sequence | None = None,  # arrays (n_l, n_{l-1})
    arriving: int | None = None,  # the layer that is being reached
    highlight: tuple[int, int, int] | None = None,  # a wire: (layer, node, incoming node)
    small: bool = False,  # one of several panels: names above the layers, no numbers
    ax: Axes | None = None,
) -> Axes:
    """Draw a layered network, nodes counted from 0 as in code, in one of four states.

    By itself a wire shows the sign and the size of its weight, a node its activation. ``arriving``
    lights in green what reaches a layer; ``deltas`` in red, from right to left, what the errors
    send back, shades and widths in parts of the largest of the layer; ``updates`` in blue what each
    weight gets. Every list may begin with None for layer 0, as in the notebooks. Numbers stand at
    a chain itself, else in matrices below, and at the one wire that is highlighted.
    """
    net = _Net(weights, biases, activations, deltas, updates, arriving)
    below = 0.1 if small else 0.55 if net.chain else 0.8 + _CELL[1] * max(net.sizes[1:])
    ylim = -net.half - below, net.half + (0.95 if small else 0.5)
    ax = _canvas(ax, (-0.75, _DX * net.last + 1.5), ylim)
    net.draw(ax, small=small, values=True)
    if highlight is not None:
        layer, j, k = highlight
        x, y = 0.3 * net.at[layer - 1][k] + 0.7 * net.at[layer][j]
        look = {"color": INK, "lw": 1, "ms": 5, "markevery": [0], "zorder": 2.5}
        ax.plot([x, x], [y, net.half + 0.08], "o-", **look)
        text = f"$w^{layer}_{{{j}{k}}}$ = {_number(net.W[layer][j, k])}"
        _say(ax, x, net.half + 0.12, text, color=_BLUE, size=12.5, va="bottom")
    if not small:
        (_chain_numbers if net.chain else _tables)(ax, net, highlight)
    return ax


def _chain_numbers(ax: Axes, net: _Net, *_) -> None:
    """Write the weights above the wires of a chain and the biases below its nodes."""
    for layer in range(1, net.last + 1):
        w, b = (f"^{layer}$ = {_number(values[layer].item())}" for values in (net.W, net.b))
        _say(ax, (layer - 0.5) * _DX, 0.18, f"$w{w}", color=_BLUE, va="bottom")
        _say(ax, layer * _DX, -_RADIUS - 0.1, f"$b{b}", color=_PURPLE, va="top")


def _tables(ax: Axes, net: _Net, highlight) -> None:
    """Write W below the wires of each layer, b or δ below its nodes, and what dashes mean."""
    top, what, color = -net.half - 0.65, "w", None
    if net.dW[-1] is not None:
        what, color = "Δw", _BLUE
    elif net.on or net.back:
        what, color = (r"w\,\delta", _RED) if net.back else (r"w\,a", _GREEN)
    for row, (ls, sign) in enumerate([("-", ">"), (_DASHES, "<")]):
        y = top - (row + 0.5) * _CELL[1]
        ax.plot([-0.72, -0.36], [y, y], ls=ls, lw=2.5, color=color or SIGNED[1 - row])
        _say(ax, -0.28, y, f"${what} {sign} 0$", ha="left", size=10)
    for layer in range(1, net.last + 1):
        W, column = net.W[layer], (net.delta if net.back else net.b)[layer]
        fills = [[_tint(SIGNED[int(w >= 0)], 0.75 * abs(w) / net.scale) for w in row] for row in W]
        bold = np.reshape([(layer, *at) == highlight for at in np.ndindex(W.shape)], W.shape)
        look = {"edge": MUTED, "fills": fills, "bold": bold}
        _table(ax, (layer - 0.5) * _DX, top, W, f"W^{layer}", _BLUE, **look)
        if column is not None:
            name, color, wide = (r"\delta", _RED, 0.84) if net.back else ("b", _PURPLE, 0.7)
            look = {"cell": (wide, _CELL[1])}
            _table(ax, layer * _DX, top, column[:, None], f"{name}^{layer}", color, **look)


def backward_pass(weights: Sequence, activations: Sequence, deltas: Sequence) -> np.ndarray:
    """Draw the network with its activations, then once for every layer the errors reach.

    Takes the lists of `network`; returns the Axes, two a row, in the order of the walk.
    """
    last = len(activations) - 1
    titles = ["forward: every node keeps what it holds", rf"BP1: the cost gives $\delta^{last}$"]
    titles += [rf"BP2: $W^{{{n}\top}}$ carries it to $\delta^{n - 1}$" for n in range(last, 1, -1)]
    rows = (last + 2) // 2
    _, axes = plt.subplots(rows, 2, figsize=(8, 2.25 * rows), squeeze=False)
    for ax in axes.flat[last + 1 :]:
        ax.set_axis_off()
    for step, (title, ax) in enumerate(zip(titles, axes.flat, strict=False)):
        first = last + 1 - step
        known = [None] * first + _layers(deltas, last)[first:] if step else None
        network(weights, None, activations, deltas=known, small=True, ax=ax)
        ax.set_title(title, fontsize=11)
    return axes.ravel()


_EQUATIONS = (
    r"$\delta^L_j=\dfrac{\partial C}{\partial a^L_j}\;\sigma^{\prime}(z^L_j)$",
    r"$\delta^\ell_k=(\sum_j w^{\ell+1}_{jk}\,\delta^{\ell+1}_j)\;\sigma^{\prime}(z^\ell_k)$",
    r"$\dfrac{\partial C}{\partial b^\ell_j}=\delta^\ell_j$",
    r"$\dfrac{\partial C}{\partial w^\ell_{jk}}=\delta^\ell_j\,a^{\ell-1}_k$",
)
_READINGS = "error at the output", "error one layer back", "slope of a bias", "slope of a weight"


def four_equations(
    weights: Sequence,
    activations: Sequence,
    deltas: Sequence,
    equations: Sequence[str] = _EQUATIONS,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw BP1 to BP4 on a network of three layers or more, each with an arrow to where it lives.

    Takes the lists of `network`. The equations may be given in another form, in TeX.
    """
    net = _Net(weights, None, activations, deltas)
    back, high = net.last - 1, net.half + 1.35  # BP2 is shown at the layer before the last
    ax = _canvas(ax, (-0.75, _DX * net.last + 1.5), (-high - 0.75, high + 0.75))
    net.lit = [False] * len(net.sizes)
    net.lit[back] = np.arange(net.sizes[back - 1]) == 0  # what arrives at the first node
    net.draw(ax)
    tail, head = net.at[back - 2][-1], net.at[back - 1][-1]
    _wire(ax, tail, head, 0.8, _BLUE, negative=net.W[back - 1][-1, -1] < 0)
    wire = 0.65 * net.at[back - 1][0] + 0.35 * net.at[back][0]
    spots = net.at[-1][0], wire, net.at[back][-1], (tail + head) / 2
    for n, ((x, y), equation) in enumerate(zip(spots, equations, strict=True)):
        if net.chain:  # one node a layer
            equation = re.sub(r"\\sum_j |_j|_k|_\{jk\}", "", equation)
        up, rim, middle = 1 if n < 2 else -1, (_RADIUS, 0.1)[n % 2], x - 0.25 * (n == 0)
        text, look = rf"$\mathbf{{BP{n + 1}}}$   {equation}", {"va": "top", "color": "#666666"}
        _say(ax, middle, up * high + 0.12, text, size=14, va="baseline")
        _say(ax, middle, up * high - 0.33, f"the {_READINGS[n]}", size=10.5, **look)
        _arrow(ax, (x, up * (high - 0.68)), (x, y + up * rim), INK, zorder=5)
    return ax


def draw_paths(
    W: Sequence,  # arrays (n_l, n_{l-1}), W[l] leads to layer l; W[0] is None, or left out
    *,
    layer: int,
    node: int,  # where the paths start; both count from 0, and layer 0 is the input
    through: int | None = None,  # only the paths through this node of the next layer
    last: str = "a",  # what the last layer is called: z where the wires end at logits
    deltas: Sequence | None = None,  # errors (n_l,), as far back as the next layer
    ax: Axes | None = None,
) -> Axes:
    """Draw the paths from one node to the cost, with ``deltas`` in red what comes back on them."""
    net = _Net([w for w in W if w is not None][layer:], deltas=deltas and deltas[layer:])
    chosen = [np.arange(n) >= 0 for n in net.sizes]
    chosen[0] = np.arange(net.sizes[0]) == node
    if through is not None:
        chosen[1] = np.arange(net.sizes[1]) == through
    cost, edge = np.array([_DX * (net.last + 0.6), 0.0]), net.half + 0.19
    ax = _canvas(ax, (-0.75, cost[0] + 0.75), (-edge, edge))
    look = {"color": _RED, "back": True} if net.back else {"scale": net.scale}
    for step in range(1, net.last + 1):
        carried, ends = net.W[step], net.at[step - 1 : step + 1]
        on = chosen[step][:, None] & chosen[step - 1]
        _wires(ax, ends, carried, color=MUTED, scale=net.scale, only=~on, alpha=0.25)
        if net.back:
            carried = carried * net.delta[step][:, None]
        _wires(ax, ends, carried, only=on, **look)
    for step, centres in enumerate(net.at):
        letter = last if step == net.last else "a"
        for index, centre in enumerate(centres):
            on = chosen[step][index]
            color = (COLORS[letter] if layer + step else INK) if on else MUTED
            name = _name(letter, layer + step, index, len(centres))
            _node(ax, centre, name, color, _tint(color, 0.25 * on))
    look = {"color": INK, "arrow": True} | look | {"scale": 1 / 0.15}
    _wires(ax, (net.at[-1], [cost]), np.ones((1, len(net.at[-1]))), **look)
    _node(ax, cost, "$C$", _RED, _tint(_RED, 0.15))
    return ax


def augmented_network(weights: Sequence, biases: Sequence, *, ax: Axes | None = None) -> Axes:
    """Draw a network whose biases are the weights of an extra node per layer that always holds 1.

    Takes the lists of `network`. The purple wires leave the square node; below each layer's wires
    stands its matrix with the bias as last column.
    """
    net = _Net(weights, biases)
    net.scale = max(net.scale, *(np.abs(b).max() for b in net.b[1:]))
    low, (width, height) = -net.half - 0.75, _CELL
    ylim = low - 1.2 - height * max(net.sizes[1:]), net.half + 0.2
    ax = _canvas(ax, (-0.75, _DX * net.last + 0.75), ylim)
    for layer in range(1, net.last + 1):
        one, W, b = np.array([(layer - 1) * _DX, low]), net.W[layer], net.b[layer][:, None]
        _wires(ax, ([one], net.at[layer]), b, color=_PURPLE, scale=net.scale)
        look = {"fc": "white", "ec": _PURPLE, "lw": 1.8, "zorder": 3}
        ax.add_patch(Rectangle(one - 0.36, 0.72, 0.72, **look))
        _say(ax, *one, "1", color=_PURPLE, size=12.5)
        middle = (layer - 0.5) * _DX
        _table(ax, middle - width / 2, low - 1.0, W, f"W^{layer}", _BLUE)
        _table(ax, middle + width * W.shape[1] / 2, low - 1.0, b, f"b^{layer}", _PURPLE)
    net.draw(ax)
    return ax


def outline(
    sizes: Sequence[int],  # nodes per layer, the input first; at most seven are drawn
    labels: Sequence[str],  # one per layer, above its column
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw a network too large for its nodes, with squares as large as its weights are many."""
    places, counts = _places([min(n, 7) for n in sizes], 0.52), [m * n for m, n in pairwise(sizes)]
    ax = _canvas(ax, (-1.3, _DX * len(counts) + 1.5), (-3.9, 2.5))
    for layer, (size, label) in enumerate(zip(sizes, labels, strict=True)):
        x, color = layer * _DX, _GREEN if layer else INK
        if size > 7:  # the middle node gives way to dots
            places[layer] = np.delete(places[layer], 3, axis=0)
            _say(ax, x, 0, "⋮", size=16)
        for centre in places[layer]:
            _node(ax, centre, "", color, _tint(color, 0.25), radius=0.2, lw=1.5)
        _say(ax, x, -2.1, f"{size:,}", size=12.5)
        _say(ax, x, 2.2, label, size=12)
    for layer, count in enumerate(counts):
        ends = places[layer : layer + 2]
        thin = np.zeros((len(ends[1]), len(ends[0])))
        _wires(ax, ends, thin, color=MUTED, alpha=0.3, gap=0.2)
        side, x = 1.1 * np.sqrt(count / max(counts)), (layer + 0.5) * _DX
        ax.add_patch(Rectangle((x - side / 2, -2.0 - side), side, side, fc=_BLUE, ec="none"))
        _say(ax, x, -3.5, f"{count:,} weights", color=_BLUE)
    return ax


def _graph_layout(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, tuple]:
    """Return ``name -> (x, y, radius, lean)``; what nothing leads to hangs above what it feeds."""
    chain = [names[0], *(name for name in names if any(name == target for _, target in edges))]
    layout = {name: (1.4 * column, 0.0, 0.4, 0) for column, name in enumerate(chain)}
    for name in [name for name in names if name not in chain]:
        fed = next(t for s, t in edges if s == name)
        siblings = [s for s, t in edges if t == fed and s not in chain]
        offset = 0.74 * (siblings.index(name) - (len(siblings) - 1) / 2)
        layout[name] = (layout[fed][0] + offset, 1.25, 0.36, np.sign(offset))
    return layout


def computational_graph(
    values: Mapping[str, float],  # in the order of computing; the first name starts the chain
    edges: Sequence[tuple[str, str]],  # (source, target)
    *,
    slopes: Mapping[tuple[str, str], float] | None = None,  # local derivatives, by arrow
    gradients: Mapping[str, float] | None = None,  # of the cost, as far as the walk back has come
    ax: Axes | None = None,
) -> Axes:
    """Draw a chain-like computational graph with the live value in each circle.

    Names like ``w1`` become symbols, their first letter gives the colour (w, b, z, a, C). What
    nothing leads to, other than the first, hangs above what it feeds. Slopes stand as factors at
    the arrows, gradients in red: below the chain, with arrows from right to left, and above the
    parameters.
    """
    layout = _graph_layout(list(values), edges)
    slopes, gradients = slopes or {}, gradients or {}
    xlim = -0.6, max(x for x, *_ in layout.values()) + 0.6
    ax = _canvas(ax, xlim, (-1.75, 2.05) if gradients else (-0.6, 1.7))
    for edge in edges:
        tail, head = (layout[name] for name in edge)
        passed = all(name in gradients for name in edge)
        _graph_arrow(ax, tail, head, slopes.get(edge), _RED if passed else INK)
        if passed and tail[1] == 0:
            _arrow(ax, (head[0] - 0.5, -1.05), (tail[0] + 0.5, -1.05), _RED, lw=2.2)
    for name, (x, y, radius, lean) in layout.items():
        color, size = quantity_color(name), 13.5 if y == 0 else 12
        look = {"value": _number(values[name]), "radius": radius, "size": size}
        _node(ax, (x, y), symbol(name), color, _tint(color, 0.12), **look)
        if name in gradients:
            look = {"color": _RED, "fontweight": "bold"}
            at, look["size"] = (x, -1.05), 10.5
            if y > 0:  # away from its sibling
                at, look["size"] = (x - 0.26 * lean, y + radius + 0.08), 10
                look |= {"va": "bottom", "ha": {-1: "right", 0: "center", 1: "left"}[lean]}
            _say(ax, *at, _number(gradients[name]), **look)
        if name in gradients and name.startswith("z"):
            _say(ax, x, -1.45, symbol(name).replace("z", r"\delta"), size=14, color=_RED)
    if gradients:
        _say(ax, -0.55, -1.05, "slope of $C$", color=_RED, ha="left", size=10.5)
    return ax


def _graph_arrow(ax: Axes, tail, head, slope: float | None, color: str) -> None:
    """Draw one arrow between two rims, and its factor beside it."""
    (x0, y0, r0, lean), (x1, y1, r1, _) = tail, head
    start, end, _ = _rims((x0, y0), (x1, y1), r0, r1)
    _arrow(ax, start, end, INK if y0 == 0 else MUTED)
    if slope is not None:
        at, look = ((x0 + x1) / 2, -0.3), {"va": "top"}
        if y0 > 0:
            at = (start + end) / 2 + (-0.1 if lean < 0 else 0.1, 0)
            look = {"ha": "right" if lean < 0 else "left"}
        _say(ax, *at, f"×{_number(slope)}", color=color, size=9.5, **look)


def number_lines(
    steps: Sequence[tuple[str, float, float]],  # (name, before, after), as the nudge passes
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a nudge travels: one number line per quantity, all to the same scale.

    On each line the arrow is the nudge, from the value before; where a head would be longer than
    the nudge, a bar is left. The shade to the next line shows how much of it arrives, and beside it
    stands the factor between the two. A bar below the lines gives their scale.
    """
    deltas = [after - before for _, before, after in steps]
    reach = max(map(abs, deltas)) or 1.0
    ax = ax or plt.subplots(figsize=(8, 0.68 * len(steps) + 0.6))[1]
    for row, ((name, before, _), delta) in enumerate(zip(steps, deltas, strict=True)):
        y, color, tip = -float(row), quantity_color(name), delta / reach
        ax.plot([-1.15, 1.15], [y, y], color=MUTED, lw=1, zorder=1)
        ax.plot([0, 0], [y - 0.1, y + 0.1], color=INK, lw=1, zorder=2.5)
        _say(ax, 0, y - 0.12, f"{before:.2f}".replace("-", "−"), va="top", size=9.5)
        if abs(tip) > 0.05:
            _arrow(ax, (0, y), (tip, y), color, lw=4, mutation_scale=15)
        else:  # a head would be longer than the nudge itself
            ax.plot([0, tip], [y, y], color=color, lw=7, zorder=3, solid_capstyle="butt")
        _say(ax, -1.25, y, symbol(name), color=color, ha="right", size=13)
        sign = "+" if delta > 0 else ""
        _say(ax, 1.25, y, f"Δ = {sign}{_number(delta)}", color=color, ha="left")
        if row:
            _shade(ax, y, deltas[row - 1] / reach, tip)
    bar = 10 ** np.floor(np.log10(reach))
    bar *= 5 if bar * 5 <= reach else 2 if bar * 2 <= reach else 1
    low = 0.5 - len(steps)
    ax.plot([-1.15, -1.15 + bar / reach], [low, low], "|-", color=INK, lw=1.2, ms=8)
    _say(ax, -1.1 + bar / reach, low, f"{bar:g} on every line", ha="left", size=9.5)
    ax.set(xlim=(-1.45, 1.75), ylim=(low - 0.12, 0.3))
    ax.set_axis_off()
    return ax


def _shade(ax: Axes, y: float, before: float, after: float) -> None:
    """Shade the way from one nudge to the next, and write their factor beside it."""
    corners = [(0, y + 1), (before, y + 1), (after, y), (0, y)]
    ax.add_patch(Polygon(corners, fc="#EBEBEB", lw=0, zorder=0))
    text = "no change arrives" if before == 0 else f"×{_number(after / before)}"
    edge = max(0.0, after + 0.42 * (before - after)) + 0.05
    _say(ax, edge, y + 0.42, text, ha="left", fontweight="bold")


def matrix_equation(
    terms: Sequence,  # strings ("@", "+", "=") and tuples (symbol, array (R, K), rows, columns)
    *,
    highlight: tuple[int, int],  # (row, column) of the last matrix
    ax: Axes | None = None,
) -> Axes:
    """Draw an equation between matrices, every entry a cell, the meaning of each axis written on.

    A symbol is TeX without dollars; rows and columns say what one of them stands for. Marked are an
    entry of the last matrix and what it is made of: a row of the first matrix, a column of a
    factor, one entry of a term after ``"+"`` (of its column, if it has one row).
    """
    matrices = [term[1] for term in terms if not isinstance(term, str)]
    half = 0.31 * max(m.shape[0] for m in matrices)
    x, operator, (row, column) = 0.0, "", highlight
    wide = sum(1.15 * m.shape[1] + 0.4 for m in matrices) + 0.7 * (len(terms) - len(matrices))
    ax = _canvas(ax, (-0.6, wide - 0.25), (-half - 0.7, half + 0.5), unit=0.75)
    for term in terms:
        if isinstance(term, str):
            operator = term
            _say(ax, x, 0, term, size=15)
            x += 0.7
            continue
        name, matrix, *axes = term
        whole = operator == "@" or (operator == "+" and len(matrix) == 1)
        bold = np.zeros(matrix.shape, bool)
        bold[slice(None) if whole else row, column if operator else slice(None)] = True
        _grid(ax, x, name, matrix, axes, bold)
        x += 1.15 * matrix.shape[1] + 0.4
    return ax


def _grid(ax: Axes, x: float, symbol: str, matrix: np.ndarray, axes, bold: np.ndarray) -> None:
    """Draw one matrix as cells, centred on the line, its symbol below and its axes outside."""
    is_slope = symbol.startswith((r"\delta", r"\Delta", r"\partial"))  # they wear the cost's colour
    color = _RED if is_slope else quantity_color(symbol[0].lower())
    top, middle = 0.31 * len(matrix), x + 0.575 * matrix.shape[1]
    fills = [[_tint(color, 0.25 * on) for on in line] for line in bold]
    _cells(ax, x, top, matrix, color, cell=(1.15, 0.62), fills=fills, bold=bold, size=11.5)
    _say(ax, middle, -top - 0.12, f"${symbol}$", color=color, va="top", size=15)
    _say(ax, middle, top + 0.1, axes[1], va="bottom", size=10)
    _say(ax, x - 0.1, 0, axes[0], ha="right", size=10, rotation=90)


_SHEETS, _CUT, _SHIFT = 5, 4, 0.3  # of longer axes no more is drawn; how far a sheet recedes


def stack(
    arrays: Mapping[str, np.ndarray],  # of one to three axes; names may be TeX
    axes: Sequence[str],  # a letter per axis, as in einsum: ["ijk", "kl", "ijl"]
    *,
    operators: Sequence[str] = (),  # between the arrays
    summed: str = "",  # letters that are summed over
    ax: Axes | None = None,
) -> Axes:
    """Draw arrays side by side, each axis with its letter and length.

    Of three axes the first piles up sheets; index 0 is in front and shows its values. Long axes are
    cut short and end in dots; the arrows of summed ones are dashed.
    """
    cubes = [np.asarray(a) for a in arrays.values()]
    cubes = [a.reshape((1,) * (3 - a.ndim) + a.shape) for a in cubes]
    fronts = [cube[:_SHEETS, :_CUT, :_CUT] for cube in cubes]
    widths = [0.35 + 0.2 * max(len(_number(v)) for v in front[0].ravel()) for front in fronts]
    behind = [_SHIFT * (len(front) - 1) for front in fronts]
    x, high = 1.8, max(f.shape[1] + b for f, b in zip(fronts, behind, strict=True)) / 2
    lefts = []
    for cube, front, width, back in zip(cubes, fronts, widths, behind, strict=True):
        lefts.append(x)
        dots = 0.4 if cube.shape[2] > _CUT else 0.0
        x += max(width * front.shape[2] + back + dots, 1.6) + 2.7
    ax = _canvas(ax, (0, x - 1.5), (-high - (2.1 if summed else 1.5), high + 0.8), unit=0.5)
    for (name, array), cube, letters, left, width in zip(
        arrays.items(), cubes, axes, lefts, widths, strict=True
    ):
        _pile(ax, name, np.shape(array), cube, letters, summed, left, width)
    for sign, left in zip(operators, lefts[1:], strict=False):
        _say(ax, left - 1.9, 0, sign, size=16)
    if summed:
        note = f"along ${', '.join(summed)}$, dashed, the products are added up"
        _say(ax, 1.8, -high - 1.75, note, ha="left")
    return ax


def _pile(ax: Axes, name, shape, cube, letters: str, summed: str, left: float, width: float):
    """Draw one array about the line y = 0: its sheets, and around them axes, name and shape."""
    slope = name.lstrip("$\\").startswith(("D", "d", "p"))  # Delta, delta, partial, dC/dW
    color = COLORS["cost"] if slope else quantity_color(name.lstrip("$")[0].lower())
    sheets = cube[:_SHEETS, :_CUT, :_CUT]
    depth, rows, columns = sheets.shape
    behind = _SHIFT * (depth - 1)
    top, right = (rows - behind) / 2, left + width * columns
    bottom = top - rows
    for sheet in reversed(range(depth)):
        values = sheets[sheet] if sheet == 0 else np.full((rows, columns), np.nan)
        _cells(ax, left + _SHIFT * sheet, top + _SHIFT * sheet, values, color, cell=(width, 1),
               size=10)  # fmt: skip
    ends = {  # axis counted from the last: arrow from, arrow to, where its letter stands
        1: ((left, bottom - 0.2), (right, bottom - 0.2), (0, -0.1), "center", "top"),
        2: ((left - 0.2, top), (left - 0.2, bottom), (-0.1, 0), "right", "center"),
        3: ((left - 0.2, top + 0.1), (left - 0.2 + behind, top + 0.1 + behind), (-0.12, 0.1),
            "right", "bottom"),
    }  # fmt: skip
    for k, letter in enumerate(reversed(letters), start=1):
        start, end, offset, ha, va = ends[k]
        _arrow(ax, start, end, INK, ls=(0, (3, 2)) if letter in summed else "-", zorder=4)
        middle = (np.array(start) + np.array(end)) / 2 + offset
        _say(ax, *middle, f"${letter}$: {cube.shape[-k]}", ha=ha, va=va, size=10.5)
    dots = {"⋰": (right + behind, top + behind - 0.2), "⋮": (right, bottom + 0.3), "⋯": (right, 0)}
    for (sign, at), whole, part in zip(dots.items(), cube.shape, sheets.shape, strict=True):
        if whole > part:
            _say(ax, at[0] + 0.06, at[1], sign, ha="left", size=14)
    _say(ax, left + behind, top + behind + 0.15, name, color=color, ha="left", va="bottom", size=13)
    _say(ax, left, bottom - 1.1, f"shape {shape}", ha="left", size=10)


def batch_step(W, b, Z, A, Y, Delta, dW, db, *, ax: Axes | None = None) -> Axes:
    """Draw a batch in rows through one step: a cell per number, forward above and back below.

    Takes the lists of the notebooks, layer 0 in front or None there; the first sample is dark.
    """
    rows, wide, red, green = len(Y), max(map(len, b[1:])), COLORS["cost"], COLORS["a"]
    gap, way, low = wide + 3.6, -wide - 2.7, -rows - 3.3  # to the next Z; arrows; top of errors
    middle, end = low - rows / 2, low - rows - 2.2  # heights of the way back, of the gradients
    length = sum(array.shape[1] for array in A + Z[1:]) + (gap + 2.2) * len(Z[1:])
    ax = _canvas(ax, (-0.8, length + 0.8), (end - wide - 2.6, 1.8))

    def block(x, top, array, name, color, sample=None):
        height, width = np.atleast_2d(array).shape
        late, at, under = name[0] == "d", x + width / 2, top - height - 0.25
        for i, j in np.ndindex(height, width):
            fill = _tint(color, 0.75 if i == sample else 0.4 if late else 0.13)
            ax.add_patch(Rectangle((x + j, top - i - 1), 1, 1, fc=fill, ec=color, lw=0.8))
        shape = f"{array.shape}" if sample is None else f"$(N, {width})$"
        _say(ax, at, under, shape, size=9, va="top")
        _say(ax, at, under - 1.8 if late else top + 0.7, f"${name}$", color=color, size=13)
        return x + width

    x = block(0, 0, A[0], "A^0", green, 0)
    for k in range(1, len(W)):
        (n, m), last, centre, x = W[k].shape, x, x + gap / 2, x + gap
        block(centre - m / 2, -1, W[k], f"W^{k}", COLORS["weights"])
        block(centre - n / 2, way - 1.8, b[k], f"b^{k}", COLORS["biases"])
        block(centre - m / 2, end, dW[k], f"dW^{k}", red)
        block(x, end, db[k], f"db^{k}", red)
        block(x, low, Delta[k], rf"\Delta^{k}", red, 0)
        _arrow(ax, (last + 0.4, way), (x - 0.4, way), INK)
        _arrow(ax, (last - m / 2, -rows - 1.3), (centre - 0.25, end + 0.2), green)
        _arrow(ax, (x - 0.2, low - rows), (centre + 0.25, end + 0.2), red)
        _arrow(ax, (x + n / 2, low - rows - 1.2), (x + n / 2, end + 0.1), red)
        if k > 1:
            _arrow(ax, (x - 0.4, middle), (last - m - 1.8, middle), red, lw=2.2)
            _say(ax, x - 2.6, middle + 0.8, rf"$\Delta^{k}W^{k}\odot\sigma^{{\prime}}$", color=red)
        x = block(x, 0, Z[k], f"Z^{k}", COLORS["z"], 0) + 2.2
        _arrow(ax, (x - 1.9, way), (x - 0.3, way), INK)
        x = block(x, 0, A[k], f"A^{k}", green, 0)
    block(x - n, low, Y, "Y", INK, 0)
    _arrow(ax, (x - n - 0.1, -rows - 1.2), (x - n - 1.9, low - 0.3), green)
    _arrow(ax, (x - n - 0.3, middle), (x - n - 1.9, middle), red, lw=2.2)
    return ax
