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

_DX, _DY, _RADIUS = 3.0, 1.4, 0.46  # between layers, between nodes, of a node
_UNIT = 8.0 / 11.25  # inches; 2-3-3-1 fills the page
_CELL = 0.7, 0.46  # width and height of an entry below a network
_DASHES = (0, (2.6, 1.3))  # of what is negative


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
    """Return a value with its sign."""
    return ("+" if value > 0 else "") + _number(value)


def _canvas(ax: Axes | None, xlim: tuple, ylim: tuple, unit: float = _UNIT) -> Axes:
    """Return an empty, equal-scaled Axes that shows the given ranges."""
    if ax is None:
        unit = min(unit, 8.0 / (xlim[1] - xlim[0]))
        size = unit * (xlim[1] - xlim[0]), unit * (ylim[1] - ylim[0]) + 0.3  # for a title
        _, ax = plt.subplots(figsize=size)
    ax.set(aspect="equal", xlim=xlim, ylim=ylim)
    ax.set_axis_off()
    return ax


def _tint(color: str, share: float) -> tuple[float, ...]:
    """Return white at share 0, the colour at 1."""
    return tuple(1 + (np.array(to_rgb(color)) - 1) * np.clip(share, 0, 1))


def _readable(fill, color: str) -> str:
    """Return the colour of a text on a fill: white on what is dark."""
    return "white" if np.array(to_rgb(fill)) ** 2.2 @ (0.21, 0.72, 0.07) < 0.2 else color


def _share(values: np.ndarray) -> np.ndarray:
    """Return the sizes of values as parts of the largest one."""
    return np.abs(values) / (np.abs(values).max() or 1.0)


def _say(ax: Axes, x: float, y: float, text: str, *, color=INK, size=11.0, ha="center", **more):
    """Write a text, centred unless told otherwise."""
    more = {"va": "center", "zorder": 4} | more
    return ax.text(x, y, text, color=color, fontsize=size, ha=ha, **more)


def _wire(ax: Axes, tail, head, share, color, *, negative=False, alpha=1.0, arrow=False, gap=None):
    """Draw one wire from rim to rim, ``share`` of the greatest width, if asked with a head."""
    step = np.subtract(head, tail)
    unit = step / np.hypot(*step)
    gap = _RADIUS if gap is None else gap
    start, end = tail + gap * unit, head - gap * unit
    width = 0.9 + 4.6 * share
    look = {"color": color, "alpha": alpha, "lw": width, "zorder": 1 + alpha}
    if arrow:
        half = 0.07 + 0.016 * width
        tip, end = end, end - 2.2 * half * unit
        side = half * np.array([-unit[1], unit[0]])
        head = Polygon([tip, end + side, end - side], fc=color, lw=0, alpha=alpha, zorder=2.5)
        ax.add_patch(head)
    ls = _DASHES if negative else "-"
    # from the head on, so that dashes touch it
    ax.plot(*zip(end, start, strict=True), ls=ls, solid_capstyle="butt", **look)


def _node(ax: Axes, centre, text: str, color: str, fill="white", *, value="", size=14.5, **look):
    """Draw one node with its symbol and, below it, its value."""
    look = {"radius": _RADIUS, "lw": 1.8, "zorder": 3} | look
    size -= 1.5 * bool(value)
    ax.add_patch(Circle(centre, fc=fill, ec=color, **look))
    x, y = centre
    raised = 0.4 * look["radius"] if value else 0
    _say(ax, x, y + raised, text, color=_readable(fill, INK), size=size)
    if value:
        _say(ax, x, y - raised, value, color=_readable(fill, INK), size=0.86 * size)


def _cells(ax: Axes, left, top, matrix, color, *, cell=_CELL, fills=None, bold=None, size=9.8):
    """Draw a matrix as cells below and to the right of a corner; ``bold (R, K)`` marks some."""
    for (i, j), value in np.ndenumerate(matrix):
        x, y = left + cell[0] * j, top - cell[1] * (i + 1)
        fill = "white" if fills is None else tuple(fills[i][j])
        ax.add_patch(Rectangle((x, y), *cell, fc=fill, ec=color, lw=1.1, zorder=2))
        marked = bold is not None and bold[i, j]
        if np.isfinite(value):  # a cell that is not is left blank
            weight = "bold" if marked else None
            _say(ax, x + cell[0] / 2, y + 0.47 * cell[1], _number(value), size=size,
                 color=_readable(fill, INK), fontweight=weight)  # fmt: skip


def _layers(values: Sequence | None, n: int) -> list[np.ndarray | None]:
    """Return one array per layer 0 … n, None where nothing is given; lists may begin at 1."""
    values = list(values or [])
    if len(values) == n:
        values.insert(0, None)
    values += [None] * (n + 1 - len(values))
    return [None if v is None else np.atleast_1d(np.asarray(v, dtype=float)) for v in values]


def _places(sizes: Sequence[int], dy: float = _DY) -> list[np.ndarray]:
    """Return the node centres of each layer, ``(n_l, 2)``, the first node on top."""
    return [
        np.column_stack([np.full(n, layer * _DX), dy * ((n - 1) / 2 - np.arange(n))])
        for layer, n in enumerate(sizes)
    ]


def _name(letter: str, layer: int, node: int | None = None) -> str:
    """Return the symbol of a node, such as a with its layer raised and its number lowered."""
    lowered = "" if node is None else f"_{{{node}}}"
    return f"$x{lowered}$" if layer == 0 else rf"${letter}^{layer}{lowered}$"


class _Net:
    """The numbers of a network by layer, and how its nodes and wires look in its state."""

    def __init__(self, weights, biases=None, activations=None, deltas=None, updates=None, on=None):
        matrices = [np.atleast_2d(w) for w in weights if w is not None]
        self.sizes = [matrices[0].shape[1], *(m.shape[0] for m in matrices)]
        self.W, self.b = [None, *matrices], _layers(biases, len(matrices))
        known = [np.atleast_1d(a) for a in activations or []]
        self.a = known + [None] * (len(self.sizes) - len(known))
        self.delta, self.back = _layers(deltas, len(matrices)), deltas is not None
        self.dW = _layers(updates, len(matrices)) if updates is not None else None
        self.on = on
        self.chain = max(self.sizes) == 1
        self.scale = max(np.abs(m).max() for m in matrices) or 1.0
        self.at = _places(self.sizes)

    def wires(self, layer: int) -> tuple[np.ndarray, np.ndarray, str | None, float, int]:
        """Return what the wires to a layer carry, their widths, colour, opacity and direction."""
        W = self.W[layer]
        if self.dW:
            step = np.atleast_2d(self.dW[layer])
            return step, _share(step), COLORS["weights"], 1.0, 0
        if layer > 1 and self.delta[layer - 1] is not None:
            flow = W * self.delta[layer][:, None]
            newest = layer == 2 or self.delta[layer - 2] is None
            return flow, _share(flow), COLORS["cost"], 1.0 if newest else 0.4, -1
        if self.on == layer:
            flow = W * self.a[layer - 1]
            return flow, _share(flow), COLORS["a"], 1.0, 1
        faded = self.back or (self.on is not None and layer > self.on)
        return W, np.abs(W) / self.scale, MUTED if faded else None, 0.3 if faded else 1.0, 0

    def node(self, layer: int) -> tuple[str, np.ndarray | None, str, np.ndarray]:
        """Return letter, values, colour and depth of colour of a layer's nodes."""
        a, delta = self.a[layer], self.delta[layer]
        if layer and delta is not None:
            return r"\delta", delta, COLORS["cost"], _share(delta)
        shares = np.zeros(self.sizes[layer]) if a is None else 0.85 * a / max(1, np.abs(a).max())
        if layer == 0:
            return "x", a, MUTED if self.back else INK, 0.45 * np.abs(shares)
        faded = self.back or (self.on is not None and layer > self.on)
        return "a", a, MUTED if faded else COLORS["a"], shares * (0.35 if self.back else 1)


def network(
    weights: Sequence,  # arrays (n_l, n_{l-1}), or numbers for one node a layer
    biases: Sequence | None = None,  # arrays (n_l,)
    activations: Sequence | None = None,  # arrays (n_l,), the input first, as far as known
    *,
    deltas: Sequence | None = None,  # errors (n_l,), None where the walk back has not arrived
    updates: Sequence | None = None,  # arrays (n_l, n_{l-1})
    arriving: int | None = None,  # the layer that is being reached
    highlight: tuple[int, int, int] | None = None,  # a wire: (layer, node, incoming node)
    numbers: bool | None = None,  # by default where they fit, on a drawing of its own
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
    if numbers is None:
        numbers = ax is None and max(net.sizes[:-1]) <= 3
    half, right = _DY * (max(net.sizes) - 1) / 2 + _RADIUS, _DX * (len(net.sizes) - 1)
    tables = 0.8 + _CELL[1] * max(net.sizes[1:]) if numbers and not net.chain else 0.0
    below = tables or (0.55 if numbers else 0.1)
    ax = _canvas(ax, (-0.75, right + 1.5), (-half - below, half + 0.5))
    named = _inches(ax) > 0.5
    ax.set_ylim(top=half + (0.5 if named else 0.95))
    for layer in range(1, len(net.sizes)):
        _bundle(ax, net, layer)
    for layer, centres in enumerate(net.at):
        _layer(ax, net, layer, centres, named, numbers)
    if net.back:
        _cost(ax, net)
    if highlight is not None:
        _point_at_wire(ax, net, *highlight, half)
    if numbers:
        (_chain_numbers if net.chain else _tables)(ax, net, -half - 0.65, highlight)
    return ax


def _inches(ax: Axes) -> float:
    """Return about how many inches a unit of a drawing will have."""
    width, height = ax.figure.get_size_inches()
    spec = ax.get_subplotspec()
    rows, columns = spec.get_gridspec().get_geometry() if spec else (1, 1)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    return min(width / columns / (right - left), height / rows / (high - low))


def _bundle(ax: Axes, net: _Net, layer: int, only=None) -> None:
    """Draw the wires that lead to a layer, or only some of them ``(n_l, n_{l-1})``."""
    carried, shares, color, alpha, direction = net.wires(layer)
    for (j, k), value in np.ndenumerate(carried):
        if only is not None and not only[j, k]:
            continue
        ends = net.at[layer - 1][k], net.at[layer][j]
        _wire(
            ax, *ends[:: -1 if direction < 0 else 1], shares[j, k],
            color or SIGNED[int(value >= 0)], negative=value < 0, alpha=alpha, arrow=direction != 0,
        )  # fmt: skip


def _layer(ax: Axes, net: _Net, layer, centres, named, numbers) -> None:
    """Draw the nodes of a layer, named inside where there is room, else above."""
    letter, values, color, shares = net.node(layer)
    shade = COLORS["a"] if layer and letter == "a" else color
    for node, centre in enumerate(centres):
        text = _name(letter, layer, node if len(centres) > 1 else None)
        error_of_chain = net.chain and letter == r"\delta"  # as dark as its rim: no dashes to see
        here = (numbers and net.chain) or error_of_chain
        value = _number(values[node]) if values is not None and here else ""
        negative = values is not None and values[node] < 0 and not error_of_chain
        _node(
            ax, centre, text if named else "", color, _tint(shade, shares[node]),
            value=value, ls="--" if negative else "-", size=13 if error_of_chain else 14.5,
        )  # fmt: skip
    if not named:
        head = centres[0] + (0, _RADIUS + 0.15)
        _say(ax, *head, _name(letter, layer), color=color, size=12, va="bottom")


def _cost(ax: Axes, net: _Net) -> None:
    """Draw where the errors come from: the cost, right of the last layer."""
    for centre in net.at[-1]:
        source = np.add(centre, (1.3, 0))
        _wire(ax, np.add(source, (0.2, 0)), centre, 0.25, COLORS["cost"], arrow=True)
        _say(ax, *source, "$C$", color=COLORS["cost"], size=14)


def _point_at_wire(ax: Axes, net: _Net, layer: int, j: int, k: int, half: float) -> None:
    """Write a wire's symbol and number above the network, with a line down to it."""
    tail, head = net.at[layer - 1][k], net.at[layer][j]
    x, y = tail + 0.42 * (head - tail)
    ax.plot([x, x], [y, half + 0.08], color=INK, lw=1, zorder=2.5)
    ax.plot([x], [y], "o", color=INK, ms=5, zorder=2.6)
    text = rf"$w^{{{layer}}}_{{{j}{k}}}$ = {_number(net.W[layer][j, k])}"
    _say(ax, x, half + 0.12, text, color=COLORS["weights"], size=12.5, va="bottom")


def _chain_numbers(ax: Axes, net: _Net, *_) -> None:
    """Write the weights above the wires of a chain and the biases below its nodes."""
    for layer in range(1, len(net.sizes)):
        x = (layer - 0.5) * _DX
        text = rf"$w^{{{layer}}}$ = {_number(net.W[layer][0, 0])}"
        _say(ax, x, 0.18, text, color=COLORS["weights"], va="bottom")
        if net.b[layer] is not None:
            text = rf"$b^{{{layer}}}$ = {_number(net.b[layer][0])}"
            _say(ax, layer * _DX, -_RADIUS - 0.1, text, color=COLORS["biases"], va="top")


def _tables(ax: Axes, net: _Net, top: float, highlight) -> None:
    """Write W below the wires of each layer, b or δ below its nodes, and what dashes mean."""
    width = _CELL[0]
    color = COLORS["weights"] if net.dW else COLORS["cost"] if net.back else None
    color, what = COLORS["a"] if net.on else color, "w"
    if net.on or net.back:
        what = r"w\,\delta" if net.back else r"w\,a"
    for row, (ls, sign) in enumerate([("-", ">"), (_DASHES, "<")]):
        y = top - (row + 0.5) * _CELL[1]
        ax.plot([-0.72, -0.36], [y, y], ls=ls, lw=2.5, color=color or SIGNED[1 - row])
        _say(ax, -0.28, y, f"${'Δ' * bool(net.dW)}{what} {sign} 0$", ha="left", size=10)
    for layer in range(1, len(net.sizes)):
        matrix, middle = net.W[layer], (layer - 0.5) * _DX
        depth = 0.75 * matrix / net.scale
        fills = [[_tint(SIGNED[int(v >= 0)], abs(v)) for v in row] for row in depth]
        bold = np.zeros(matrix.shape, bool)
        if highlight is not None and highlight[0] == layer:
            bold[highlight[1:]] = True
        left = middle - matrix.shape[1] * width / 2
        _cells(ax, left, top, matrix, MUTED, fills=fills, bold=bold)
        _say(ax, middle, top + 0.06, f"$W^{{{layer}}}$", color=COLORS["weights"], va="bottom")
        column, kind, letter = net.b[layer], "biases", "b"
        if net.back:
            column, kind, letter = net.delta[layer], "cost", r"\delta"
        if column is not None:
            cell = (0.88, _CELL[1])  # room for a small number
            _cells(ax, layer * _DX - 0.44, top, column[:, None], COLORS[kind], cell=cell)
            name = f"${letter}^{{{layer}}}$"
            _say(ax, layer * _DX, top + 0.06, name, color=COLORS[kind], va="bottom")


def backward_pass(weights: Sequence, activations: Sequence, deltas: Sequence) -> np.ndarray:
    """Draw the network with its activations, then once for every layer the errors reach.

    Takes the lists of `network`; returns the Axes, two a row, in the order of the walk.
    """
    last = len(activations) - 1
    deltas = _layers(deltas, last)
    rows = (last + 2) // 2
    _, axes = plt.subplots(rows, 2, figsize=(8, 2.25 * rows), squeeze=False)
    network(weights, None, activations, ax=axes[0, 0])
    titles = ["forward: every node keeps what it holds", rf"BP1: the cost gives $\delta^{last}$"]
    titles += [rf"BP2: $W^{{{n}\top}}$ carries it to $\delta^{n - 1}$" for n in range(last, 1, -1)]
    for step, ax in enumerate(axes.flat):
        if step > last:
            ax.set_axis_off()
            continue
        if step:
            first = last + 1 - step
            known = [None] * first + deltas[first:]
            network(weights, None, activations, deltas=known, ax=ax)
        ax.set_title(titles[step], fontsize=11)
    return axes.ravel()


_EQUATIONS = (
    r"$\delta^L_j=\dfrac{\partial C}{\partial a^L_j}\;\sigma^{\prime}(z^L_j)$",
    r"$\delta^\ell_k=(\sum_j w^{\ell+1}_{jk}\,\delta^{\ell+1}_j)\;\sigma^{\prime}(z^\ell_k)$",
    r"$\dfrac{\partial C}{\partial b^\ell_j}=\delta^\ell_j$",
    r"$\dfrac{\partial C}{\partial w^\ell_{jk}}=\delta^\ell_j\,a^{\ell-1}_k$",
)
_READINGS = ("the error at the output", "the error one layer back", "the slope of a bias",
             "the slope of a weight")  # fmt: skip


def four_equations(
    weights: Sequence,
    activations: Sequence,
    deltas: Sequence,
    equations: Sequence[str] = _EQUATIONS,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw BP1 to BP4 on a network of two layers or more, each with an arrow to where it lives.

    Takes the lists of `network`. The equations may be given in another form, in TeX.
    """
    net = _Net(weights, None, activations, deltas)
    faint = _Net(weights, None, activations, [None] * (len(net.sizes) - 1))
    last, high = len(net.sizes) - 1, _DY * (max(net.sizes) - 1) / 2 + _RADIUS + 1.35
    back = max(2, last - 1)  # BP2 is shown at this layer
    ax = _canvas(ax, (-0.75, _DX * last + 1.5), (-high - 0.75, high + 0.75))
    shown = np.arange(net.sizes[back - 1]) == np.zeros((net.sizes[back], 1))
    tail, head = net.at[back - 2][-1], net.at[back - 1][-1]
    for layer in range(1, last + 1):
        _bundle(ax, faint, layer, only=~shown if layer == back else None)
    for layer, centres in enumerate(net.at):
        _layer(ax, net, layer, centres, True, False)
    _bundle(ax, net, back, only=shown)
    _wire(ax, tail, head, 0.8, COLORS["weights"], negative=net.W[back - 1][-1, -1] < 0)
    _cost(ax, net)
    wire = 0.65 * net.at[back - 1][0] + 0.35 * net.at[back][0]
    near = last == 2  # then the texts move apart
    spots = [(net.at[-1][0], 0.4 * near - 0.25, _RADIUS), (wire, -2.6 * near, 0.1),
             (net.at[last - 1][-1], 1.2 * near, _RADIUS),
             ((tail + head) / 2, -0.5 * near, 0.1)]  # fmt: skip
    extra = r"\\sum_j |_j|_k|_\{jk\}" if net.chain else "$^"  # a chain has one node a layer
    equations = [re.sub(extra, "", equation) for equation in equations]
    for n, ((spot, shift, rim), equation) in enumerate(zip(spots, equations, strict=True)):
        x, up = spot[0] + shift, 1 if n < 2 else -1
        y = up * high
        _say(ax, x, y + 0.12, rf"$\mathbf{{BP{n + 1}}}$   {equation}", size=14, va="baseline")
        _say(ax, x, y - 0.33, _READINGS[n], va="top", size=10.5, color="#666666")
        start = np.clip(spot[0], x - 1.2, x + 1.2), y - 0.68 * up
        _arrow(ax, start, (spot[0], spot[1] + up * rim), INK, zorder=5)
    return ax


def draw_paths(
    W: Sequence,  # arrays (n_l, n_{l-1}), W[l] leads to layer l; W[0] is None, or left out
    *,
    layer: int,
    node: int,  # where the paths start; both count from 0, and layer 0 is the input
    through: int | None = None,  # only the paths through this node of the next layer
    last: str = "a",  # what the last layer is called: z where the wires end at logits
    back: bool = False,  # in red and from right to left, as the slope of the cost takes them
    ax: Axes | None = None,
) -> Axes:
    """Draw the paths on which one node reaches the cost, from its layer onward."""
    matrices = [w for w in W if w is not None][layer:]
    chosen = [np.arange(m.shape[1]) >= 0 for m in matrices] + [np.ones(len(matrices[-1]), bool)]
    chosen[0] = np.arange(matrices[0].shape[1]) == node
    if through is not None:
        chosen[1] = np.arange(len(matrices[0])) == through
    net = _Net(matrices)
    cost, half = np.array([_DX * (len(matrices) + 0.6), 0.0]), _DY * (max(net.sizes) - 1) / 2
    ax = _canvas(ax, (-0.75, cost[0] + 0.75), (-half - 0.65, half + 0.65))
    for step, matrix in enumerate(matrices):
        for (j, k), weight in np.ndenumerate(matrix):
            on = chosen[step][k] and chosen[step + 1][j]
            ends = (net.at[step][k], net.at[step + 1][j])[:: -1 if on and back else 1]
            color = (COLORS["cost"] if back else SIGNED[int(weight >= 0)]) if on else MUTED
            _wire(ax, *ends, abs(weight) / net.scale, color, negative=weight < 0,
                  alpha=1.0 if on else 0.25, arrow=on and back)  # fmt: skip
    for step, centres in enumerate(net.at):
        for index, centre in enumerate(centres):
            letter = last if step == len(matrices) else "a"
            color = COLORS[letter] if layer + step else INK
            color = color if chosen[step][index] else MUTED
            name = _name(letter, layer + step, index if len(centres) > 1 else None)
            _node(ax, centre, name, color, _tint(color, 0.25 * chosen[step][index]))
    for centre in net.at[-1]:
        ends = (centre, cost)[:: -1 if back else 1]
        _wire(ax, *ends, 0.15, COLORS["cost"] if back else INK, arrow=True)
    _node(ax, cost, "$C$", COLORS["cost"], _tint(COLORS["cost"], 0.15))
    return ax


def augmented_network(weights: Sequence, biases: Sequence, *, ax: Axes | None = None) -> Axes:
    """Draw a network whose biases are the weights of an extra node per layer that always holds 1.

    Takes the lists of `network`. The purple wires leave the square node; below each layer's wires
    stands its matrix with the bias as last column.
    """
    net = _Net(weights, biases)
    half, width = _DY * (max(net.sizes) - 1) / 2 + _RADIUS, _CELL[0]
    low, rows = -half - 0.75, max(net.sizes[1:])
    ax = _canvas(ax, (-0.75, _DX * len(net.at) - _DX + 0.75),
                 (low - 1.2 - _CELL[1] * rows, half + 0.2))  # fmt: skip
    net.scale = max(net.scale, *(np.abs(b).max() for b in net.b[1:]))
    for layer in range(1, len(net.sizes)):
        one, matrix, bias = np.array([(layer - 1) * _DX, low]), net.W[layer], net.b[layer]
        for head, value in zip(net.at[layer], bias, strict=True):
            _wire(ax, one, head, abs(value) / net.scale, COLORS["biases"], negative=value < 0)
        _bundle(ax, net, layer)
        ax.add_patch(Rectangle(one - 0.36, 0.72, 0.72, fc="white", ec=COLORS["biases"], lw=1.8,
                               zorder=3))  # fmt: skip
        _say(ax, *one, "1", color=COLORS["biases"], size=12.5)
        left, top = (layer - 0.5) * _DX - (matrix.shape[1] + 1) * width / 2, low - 1.0
        _cells(ax, left, top, matrix, COLORS["weights"])
        right = left + matrix.shape[1] * width
        _cells(ax, right, top, bias[:, None], COLORS["biases"])
        _say(ax, (left + right) / 2, top + 0.06, f"$W^{{{layer}}}$", color=COLORS["weights"],
             va="bottom")  # fmt: skip
        _say(ax, right + width / 2, top + 0.06, f"$b^{{{layer}}}$", color=COLORS["biases"],
             va="bottom")  # fmt: skip
    for layer, centres in enumerate(net.at):
        _layer(ax, net, layer, centres, True, False)
    return ax


def outline(
    sizes: Sequence[int],  # nodes per layer, the input first; at most seven are drawn
    labels: Sequence[str] | None = None,  # one per layer, above its column
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw a network too large for its nodes, with squares as large as its weights are many."""
    places = _places([min(n, 7) for n in sizes], dy=0.52)
    right, counts = _DX * (len(sizes) - 1), [m * n for m, n in pairwise(sizes)]
    ax = _canvas(ax, (-1.3, right + 1.5), (-3.9, 2.5))
    drawn = [
        [c for i, c in enumerate(centres) if len(centres) == n or i != len(centres) // 2]
        for centres, n in zip(places, sizes, strict=True)
    ]  # the middle node of a shortened layer gives way to dots
    for layer, (centres, size) in enumerate(zip(drawn, sizes, strict=True)):
        color = COLORS["a"] if layer else INK
        for centre in centres:
            _node(ax, centre, "", color, _tint(color, 0.25), radius=0.2, lw=1.5)
        if len(centres) < size:
            _say(ax, layer * _DX, 0, "⋮", size=16)
        _say(ax, layer * _DX, -2.1, f"{size:,}", size=12.5)
        if labels is not None:
            _say(ax, layer * _DX, 2.2, labels[layer], size=12)
    for layer, count in enumerate(counts):
        for tail in drawn[layer]:
            for head in drawn[layer + 1]:
                _wire(ax, tail, head, 0, MUTED, alpha=0.3, gap=0.2)
        side, x = 1.1 * np.sqrt(count / max(counts)), (layer + 0.5) * _DX
        corner = x - side / 2, -2.0 - side
        ax.add_patch(Rectangle(corner, side, side, fc=COLORS["weights"], ec="none"))
        _say(ax, x, -3.5, f"{count:,} weights", color=COLORS["weights"])
    return ax


def _graph_layout(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, tuple]:
    """Return ``name -> (x, y, radius)``; what nothing leads to hangs above what it feeds."""
    depth = {names[0]: 0}
    for name in names:
        if before := [depth[s] for s, t in edges if t == name and s in depth]:
            depth[name] = 1 + max(before)
    layout = {name: (1.4 * column, 0.0, 0.4) for name, column in depth.items()}
    for name in names:
        if name in layout:
            continue
        fed = next(t for s, t in edges if s == name)
        siblings = [s for s, t in edges if t == fed and s not in depth]
        offset = 0.74 * (siblings.index(name) - (len(siblings) - 1) / 2)
        layout[name] = (layout[fed][0] + offset, 1.25, 0.36)
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
    layout, gradients = _graph_layout(list(values), edges), gradients or {}
    low, high = (-1.75, 2.05) if gradients else (-0.6, 1.7)
    ax = _canvas(ax, (-0.6, max(x for x, _, _ in layout.values()) + 0.6), (low, high))
    for source, target in edges:
        slope = None if slopes is None else slopes.get((source, target))
        passed = source in gradients and target in gradients
        _graph_arrow(ax, layout[source], layout[target], slope, passed)
    for name, (x, y, radius) in layout.items():
        color, main = quantity_color(name), y == 0
        fill = _tint(color, 0.12)
        _node(ax, (x, y), symbol(name), color, fill, value=_number(values[name]), radius=radius,
              size=13.5 if main else 12)  # fmt: skip
        if name in gradients:
            lean = 0 if main else np.sign(x - next(layout[t][0] for s, t in edges if s == name))
            _slope_of_cost(ax, name, gradients[name], layout[name], lean)
    for source, target in edges:
        if source in gradients and layout[source][1] == 0 and target in gradients:
            start, end = layout[target][0] - 0.5, layout[source][0] + 0.5
            _arrow(ax, (start, -1.05), (end, -1.05), COLORS["cost"], lw=2.2)
    if gradients:
        _say(ax, -0.55, -1.05, "slope of $C$", color=COLORS["cost"], ha="left", size=10.5)
    return ax


def _slope_of_cost(ax: Axes, name: str, value: float, place: tuple, lean: float) -> None:
    """Write a slope of the cost: below the chain, or above a parameter, away from its sibling."""
    (x, y, radius), red = place, COLORS["cost"]
    bold = {"color": red, "fontweight": "bold"}
    if y > 0:
        ha = {-1: "right", 0: "center", 1: "left"}[lean]
        _say(ax, x - 0.26 * lean, y + radius + 0.08, _number(value), va="bottom", ha=ha, size=10,
             **bold)  # fmt: skip
        return
    _say(ax, x, -1.05, _number(value), size=10.5, **bold)
    if name.startswith("z"):
        _say(ax, x, -1.45, symbol(name).replace("z", r"\delta"), size=14, color=red)


def _arrow(ax: Axes, start, end, color: str, lw: float = 1.4, **look) -> None:
    """Draw an arrow between two points."""
    look = {"arrowstyle": "-|>", "mutation_scale": 8 + 2 * lw, "color": color, "lw": lw} | look
    look = {"shrinkA": 0, "shrinkB": 0, "zorder": 1} | look
    ax.add_patch(FancyArrowPatch(start, end, **look))


def _graph_arrow(ax: Axes, source, target, slope: float | None, passed: bool) -> None:
    """Draw one arrow between two rims with its factor, red where the walk back has passed."""
    (x0, y0, r0), (x1, y1, r1) = source, target
    step = np.array([x1 - x0, y1 - y0])
    unit = step / np.hypot(*step)
    start, end = (x0, y0) + r0 * unit, (x1, y1) - r1 * unit
    _arrow(ax, start, end, INK if y0 == y1 else MUTED)
    if slope is None:
        return
    color = COLORS["cost"] if passed else INK
    if y0 == y1:
        _say(ax, (x0 + x1) / 2, -0.3, f"×{_number(slope)}", color=color, size=9.5, va="top")
        return
    side = np.sign(x0 - x1) or 1
    x, y = (start + end) / 2 + (0.1 * side, 0.0)
    _say(ax, x, y, f"×{_number(slope)}", color=color, size=9.5, ha="left" if side > 0 else "right")


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
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 0.68 * len(steps) + 0.6))
    ax.set_axis_off()
    bar = 10 ** np.floor(np.log10(reach))
    bar *= 5 if bar * 5 <= reach else 2 if bar * 2 <= reach else 1
    for row, ((name, before, _), delta) in enumerate(zip(steps, deltas, strict=True)):
        y, color = -float(row), quantity_color(name)
        ax.plot([-1.15, 1.15], [y, y], color=MUTED, lw=1, zorder=1)
        ax.plot([0, 0], [y - 0.1, y + 0.1], color=INK, lw=1, zorder=2.5)
        _say(ax, 0, y - 0.12, f"{before:.2f}".replace("-", "−"), va="top", size=9.5)
        tip = delta / reach
        if abs(tip) > 0.05:
            _arrow(ax, (0, y), (tip, y), color, lw=4, mutation_scale=15)
        else:  # a head would be longer than the nudge itself
            ax.plot([0, tip], [y, y], color=color, lw=7, zorder=3, solid_capstyle="butt")
        _say(ax, -1.25, y, symbol(name), color=color, ha="right", size=13)
        _say(ax, 1.25, y, f"Δ = {_signed(delta)}", color=color, ha="left")
        if row:
            _shade(ax, y, deltas[row - 1] / reach, tip)
    low = 0.5 - len(steps)
    ax.plot([-1.15, -1.15 + bar / reach], [low, low], "|-", color=INK, lw=1.2, ms=8)
    _say(ax, -1.1 + bar / reach, low, f"{bar:g} on every line", ha="left", size=9.5)
    ax.set(xlim=(-1.45, 1.75), ylim=(low - 0.12, 0.3))
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
    highlight: tuple[int, int] | None = None,  # (row, column) of the last matrix
    ax: Axes | None = None,
) -> Axes:
    """Draw an equation between matrices, every entry a cell, the meaning of each axis written on.

    A symbol is TeX without dollars; rows and columns say what one of them stands for. Marked are an
    entry of the last matrix and what it is made of: a row of the first matrix, a column of a
    factor, one entry of a term after ``"+"`` (of its column, if it has one row).
    """
    matrices = [term[1] for term in terms if not isinstance(term, str)]
    half = 0.31 * max(m.shape[0] for m in matrices)
    wide = sum(1.15 * m.shape[1] for m in matrices) + 0.4 * len(terms) + 0.9
    ax = _canvas(ax, (-0.6, wide - 0.6), (-half - 0.7, half + 0.5), unit=0.75)
    x, seen, operator = 0.0, 0, ""
    for term in terms:
        if isinstance(term, str):
            operator = term
            _say(ax, x, 0, term, size=15)
            x += 0.7
            continue
        row, column = highlight or (None, None)
        whole = seen < len(matrices) - 1 and (operator == "@" or len(matrices[seen]) == 1)
        marked = (None if whole and seen else row, column if seen else None)
        _grid(ax, x, term[0], matrices[seen], term[2:], marked)
        x += 1.15 * matrices[seen].shape[1] + 0.4
        seen += 1
    ax.set_xlim(-0.6, x - 0.25)
    return ax


def _grid(ax: Axes, x: float, symbol: str, matrix: np.ndarray, axes: tuple, marked: tuple) -> None:
    """Draw one matrix as cells, centred on the line, its symbol below and its axes outside."""
    rows, columns = matrix.shape
    is_slope = symbol.startswith((r"\delta", r"\Delta", r"\partial"))  # they wear the cost's colour
    color = COLORS["cost"] if is_slope else quantity_color(symbol[0].lower())
    bold = np.zeros(matrix.shape, bool)
    if marked != (None, None):
        bold[tuple(slice(None) if m is None else m for m in marked)] = True
    fills = [[_tint(color, 0.25 * on) for on in line] for line in bold]
    top = 0.31 * rows
    _cells(ax, x, top, matrix, color, cell=(1.15, 0.62), fills=fills, bold=bold, size=11.5)
    middle = x + 0.575 * columns
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
