"""The palette and the figure defaults of the series, defined once.

A colour has one meaning everywhere, in equations and in plots:

- blue W and curves of weights; purple b; orange z; green a and nothing else; red the cost, its
  slopes and errors, and hence every arrow of the backward pass;
- the sign of a wire, of a weight in a map or of an entry: the pair SIGNED, petrol below zero and
  copper above; a negative wire is dashed as well;
- classes wear CLASS_COLORS, always with their markers; layers are told apart by LAYER_STYLES,
  not by colour;
- accuracy and times are no quantity of the network: INK, and MUTED for what they are compared
  with. A baseline is MUTED and dashed. Everything but the finding is MUTED.

The five colours stay apart under simulated protanopia, deuteranopia and tritanopia, and their
lightnesses differ, so that a print in grey can still be read. The same holds among the classes, and
for SIGNED among themselves and against the five. A class colour and a quantity, or either and
MUTED, can come closer than that, so they never tell two things apart by themselves: a second
channel (marker, line style or label) accompanies every colour.
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

# Signed quantities: below zero, above zero; in maps with white between them.
SIGNED = ("#0E5A70", "#B07030")  # petrol, copper
DIVERGING = LinearSegmentedColormap.from_list(
    "backprop_diverging", [SIGNED[0], "#FFFFFF", SIGNED[1]]
)

# The line of layer l, counted from 1, is LAYER_STYLES[l - 1] in every figure with a line per layer.
LAYER_STYLES = ["-", "--", ":", "-."]


def use() -> None:
    """Make the figure defaults of the series the current ones, whatever the user's own are."""
    mpl.rcdefaults()
    mpl.rc("figure", figsize=(8.0, 3.6), dpi=96)
    mpl.rc("figure.constrained_layout", use=True)
    mpl.rc("font", size=10.5)
    mpl.rc("axes", titlesize=11.5, titleweight="bold", titlelocation="left")
    mpl.rc("axes", edgecolor=INK, labelcolor=INK, grid=True, axisbelow=True)
    mpl.rc("axes.spines", top=False, right=False)
    mpl.rc("grid", color="#E4E4E4", linewidth=0.8)
    mpl.rc(("text", "xtick", "ytick"), color=INK)
    mpl.rc("lines", linewidth=2.0)
    mpl.rc("legend", frameon=False)


def symbol(name: str) -> str:
    """Return a code name as a symbol: ``w1`` becomes w with the layer 1 raised."""
    return "$" + re.sub(r"(\d+)", r"^{\1}", name) + "$"


def quantity_color(name: str) -> str:
    """Return the colour of a quantity by the first letter of its code name (w, b, z, a, C)."""
    kinds = {"w": "weights", "b": "biases", "z": "z", "a": "a", "C": "cost"}
    return COLORS[kinds[name[0]]] if name[0] in kinds else INK
