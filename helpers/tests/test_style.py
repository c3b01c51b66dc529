"""The palette keeps its promises: apart for every eye, readable on white, distinct in grey."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from helpers import style

# Machado, Oliveira and Fernandes (2009), severity 1.0; applied to linear RGB.
SIMULATIONS = {
    "full vision": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear(color):
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x = RGB_TO_XYZ @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", SIMULATIONS)
@pytest.mark.parametrize("colors", [list(style.COLORS.values()), style.CLASS_COLORS])
def test_every_pair_stays_apart_under_simulated_color_vision(vision, colors):
    seen = [lab(np.array(SIMULATIONS[vision]) @ linear(c)) for c in colors]
    distances = [np.linalg.norm(a - b) for a, b in combinations(seen, 2)]
    assert min(distances) >= 10


@pytest.mark.parametrize("colors", [list(style.COLORS.values()), style.CLASS_COLORS])
def test_colors_differ_in_lightness_so_that_a_grey_print_can_be_read(colors):
    lightness = sorted(lab(linear(c))[0] for c in colors)
    assert min(np.diff(lightness)) >= 7


def test_equation_colors_stand_out_from_white_paper():
    for color in style.COLORS.values():
        luminance = RGB_TO_XYZ[1] @ linear(color)
        assert 1.05 / (luminance + 0.05) > 2.5


def test_use_makes_the_defaults_current():
    with mpl.rc_context():
        mpl.rcParams["axes.grid"] = False
        style.use()
        assert mpl.rcParams["axes.grid"] is True


def test_diverging_map_is_white_in_the_middle():
    assert np.allclose(style.DIVERGING(0.5)[:3], 1, atol=0.02)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("w1", "$w^{1}$"), ("C", "$C$"), ("a12", "$a^{12}$"), ("two words", "two words")],
)
def test_symbol_raises_the_layer_number(name, shown):
    assert style.symbol(name) == shown


def test_quantity_color_follows_the_first_letter():
    assert style.quantity_color("w3") == style.COLORS["weights"]
    assert style.quantity_color("C") == style.COLORS["cost"]
    assert style.quantity_color("x") == style.INK
