"""What `helpers.diagrams.stack` promises: letters, lengths and front values as drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, Rectangle

from helpers import diagrams


def texts(ax):
    return [t.get_text() for t in ax.texts]


def cells(ax):
    return [p for p in ax.patches if isinstance(p, Rectangle)]


def test_each_axis_carries_its_letter_and_length():
    M, v = np.ones((4, 3, 2)), np.ones((2, 1))
    ax = diagrams.stack({"M": M, "v": v, "M @ v": M @ v}, ["ijk", "kl", "ijl"])
    for label in ("$i$ = 4", "$j$ = 3", "$k$ = 2", "$l$ = 1", "(4, 3, 2)", "(2, 1)", "(4, 3, 1)"):
        assert label in texts(ax)
    assert len(cells(ax)) == 4 * 3 * 2 + 2 + 4 * 3


def test_the_front_sheet_shows_the_values_of_index_0():
    M = np.arange(8.0).reshape(2, 2, 2)
    shown = texts(diagrams.stack({"M": M}, ["ijk"]))
    assert all(value in shown for value in ("0", "1.00", "2.00", "3.00"))
    assert not any(value in shown for value in ("4.00", "5.00", "6.00", "7.00"))


def test_a_long_axis_is_cut_short_and_keeps_its_length_in_writing():
    ax = diagrams.stack({"A": np.ones((50, 9, 2))}, ["nij"])
    assert len(cells(ax)) == 5 * 4 * 2
    assert {"$n$ = 50", "$i$ = 9", "⋰", "⋮"} <= set(texts(ax))
    assert "⋯" not in texts(ax)


def test_a_summed_letter_is_dashed_and_carries_a_sigma():
    ax = diagrams.stack({"D": np.ones((3, 2)), "a": np.ones(2)}, ["ij", "j"], summed="j")
    assert texts(ax).count(r"$\Sigma\,j$ = 2") == 2
    styles = [p.get_linestyle() for p in ax.patches if isinstance(p, FancyArrowPatch)]
    assert sum(style in ("-", "solid") for style in styles) == 1
    assert len(styles) == 3


def test_operators_stand_between_the_arrays():
    ax = diagrams.stack({"a": [1.0], "b": [2.0], "c": [3.0]}, ["i", "i", "i"], operators=["+", "="])
    at = {t.get_text(): t.get_position()[0] for t in ax.texts}
    assert at["1.00"] < at["+"] < at["2.00"] < at["="] < at["3.00"]


def test_it_draws_into_a_given_axes():
    _, given = plt.subplots()
    assert diagrams.stack({"a": [1.0]}, ["i"], ax=given) is given


@pytest.mark.parametrize(
    ("arrays", "axes", "options", "message"),
    [
        ({"M": np.ones((2, 3))}, ["ijk"], {},
         r"arrays\['M'\] has shape \(2, 3\), expected 3 axes for 'ijk'"),
        ({"M": np.ones((2, 3)), "v": np.ones(2)}, ["ij", "j"], {},
         r"arrays\['v'\] has shape \(2,\), expected length 3 along 'j' like M"),
        ({"M": np.ones((2, 3))}, ["ij", "j"], {}, r"axes has 2 entries .*, expected 1"),
        ({}, [], {}, "arrays is empty"),
        ({"M": np.ones((1, 1, 1, 1))}, ["ijkl"], {}, "expected one to three axes"),
        ({"M": np.ones((0, 3))}, ["ij"], {}, r"arrays\['M'\] has shape \(0, 3\)"),
        ({"M": [np.nan]}, ["i"], {}, r"arrays\['M'\] holds values that are not finite"),
        ({"M": [1.0]}, ["i"], {"operators": ["="]}, "operators has 1 entries, expected 0"),
        ({"M": [1.0]}, ["i"], {"summed": "k"}, r"summed is 'k', expected letters of"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(arrays, axes, options, message):
    with pytest.raises(ValueError, match=message):
        diagrams.stack(arrays, axes, **options)
