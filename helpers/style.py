"""The palette and the figure defaults of the series, defined once.

A colour has one meaning everywhere, in equations and in plots. The five colours stay at least
15 CIELAB units apart under simulated protanopia, deuteranopia and tritanopia, and their
lightnesses differ, so that a print in grey can still be read. The same holds among the classes.
A class colour and a quantity, or either and MUTED, can come closer than that, so they never tell
two things apart by themselves: a second channel (marker, line style or label) accompanies every
colour.
"""

import re

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap

COLORS = {
    "weights": "#2A6FC0",  # blue: W
    "biases": "#5E1681",  # purple: b
    "z": "#D98600",  # orange: pre-activations
    "a": "#14957A",  # green: activations
    "cost": "#B3102B",  # red: C and every slope of it
}
INK = "#222222"  # text, axes and neutral outlines
MUTED = "#8A8A8A"  # reference lines and what stays in the background

# Classes are no quantity of the network, so they wear none of its colours; always with a marker.
CLASS_COLORS = ["#37474F", "#D6579B", "#A8A416"]  # slate, pink, olive
CLASS_MARKERS = ["o", "^", "s"]

# Signed quantities: blue below zero, white at zero, red above.
DIVERGING = LinearSegmentedColormap.from_list(
    "backprop_diverging", [COLORS["weights"], "#FFFFFF", COLORS["cost"]]
)

_DEFAULTS = {
    "figure.figsize": (8.0, 3.6),
    "figure.dpi": 96,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 96,
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2.0,
    "legend.frameon": False,
}


def use() -> None:
    """Make the figure defaults of the series the current ones."""
    mpl.rcParams.update(_DEFAULTS)


_KIND_BY_LETTER = {"w": "weights", "b": "biases", "z": "z", "a": "a", "C": "cost"}
_GREEK = {"sigma": r"\sigma", "delta": r"\delta", "yhat": r"\hat y"}


def symbol(name: str) -> str:
    """Return a code name as a symbol: ``w1`` becomes w with the layer 1 raised."""
    match = re.fullmatch(r"([A-Za-z]+)(\d*)", name)
    if not match:
        return name
    letters, layer = match.groups()
    letters = _GREEK.get(letters, letters)
    return f"${letters}^{{{layer}}}$" if layer else f"${letters}$"


def quantity_color(name: str) -> str:
    """Return the colour of a quantity by the first letter of its code name (w, b, z, a, C)."""
    return COLORS[_KIND_BY_LETTER[name[0]]] if name[:1] in _KIND_BY_LETTER else INK
