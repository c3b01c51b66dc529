"""Points in a cube with a plane through it, and surfaces over the plane."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from mpl_toolkits.mplot3d.art3d import Path3DCollection, Poly3DCollection

from helpers import plots

A = np.random.default_rng(0).random((20, 3))
Y = np.arange(20) % 2


@pytest.fixture
def faces(monkeypatch):
    """Return a function that gives the faces drawn in Axes, one array (M, 3) each.

    matplotlib keeps them where no public name leads, so they are noted on their way in.
    """
    noted = {}
    set_verts = Poly3DCollection.set_verts

    def note(self, verts, closed=True):
        noted[self] = [np.array(corners) for corners in verts]
        set_verts(self, verts, closed)

    monkeypatch.setattr(Poly3DCollection, "set_verts", note)
    return lambda ax: [face for item in ax.collections for face in noted.get(item, [])]


@pytest.mark.parametrize(
    ("w", "b", "corners"),
    [
        ([1, 1, 1], -0.5, 3),  # cuts one corner off
        ([0, 0, 2], -1.0, 4),  # level, half-way up
        ([1, 1, 1], -1.5, 6),  # the hexagon in the middle
    ],
)
def test_the_plane_is_cut_at_the_faces_of_the_cube(faces, w, b, corners):
    (face,) = faces(plots.scatter_3d(A, Y, plane=(w, b)))
    assert face.shape == (corners, 3)
    np.testing.assert_allclose(face @ w + b, 0, atol=1e-12)
    assert face.min() >= 0
    assert face.max() <= 1


def test_the_corners_of_the_plane_go_round_without_crossing(faces):
    (face,) = faces(plots.scatter_3d(A, Y, plane=([1.0, 2.0, -1.5], -0.6)))
    edges = np.roll(face, -1, axis=0) - face
    turns = np.cross(edges, np.roll(edges, -1, axis=0)) @ [1.0, 2.0, -1.5]
    assert (turns > 0).all() or (turns < 0).all()


def test_a_plane_beside_the_cube_is_left_out(faces):
    assert faces(plots.scatter_3d(A, Y, plane=([1, 1, 1], 5.0))) == []


def test_points_keep_their_places_and_classes():
    ax = plots.scatter_3d(A, Y, classes=["ring", "clump"], labels=("a", "b", "c"), title="found")
    drawn = [item for item in ax.collections if type(item) is Path3DCollection]
    assert [item.get_label() for item in drawn] == ["ring", "clump"]
    for label, item in enumerate(drawn):
        np.testing.assert_array_equal(np.column_stack(item._offsets3d), A[label == Y])
    assert (ax.get_xlabel(), ax.get_zlabel(), ax.get_title()) == ("a", "c", "found")


def test_the_surface_has_the_heights_and_the_contour_of_the_function(faces):
    ax = plots.surface(lambda P: P[:, 0] ** 2 + P[:, 1], (-1, 2), level=1.0, resolution=31)
    corners = np.concatenate(faces(ax))
    assert len(corners) >= 30 * 30
    np.testing.assert_allclose(corners[:, 2], corners[:, 0] ** 2 + corners[:, 1], atol=1e-9)
    assert len(ax.collections) == 2
    assert ax.get_xlim() == ax.get_ylim() == (-1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": np.ones((20, 2))}, r"A has shape \(20, 2\)"),
        ({"A": 2 * A}, r"expected \(N, 3\) and values between 0 and 1"),
        ({"y": Y[:5]}, r"y has shape \(5,\), expected \(20,\)"),
        ({"y": np.arange(20)}, "y has 20 classes, expected at most 3"),
        ({"plane": ([0, 0, 0], 1.0)}, "expected three numbers, not all of them zero"),
        ({"plane": ([1, 0], 1.0)}, "expected three numbers"),
        ({"labels": ("a", "b")}, "labels has 2 entries, expected 3"),
    ],
)
def test_scatter_3d_names_what_does_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        plots.scatter_3d(**{"A": A, "y": Y} | change)


def test_surface_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"limits is \(1, 1\), expected"):
        plots.surface(lambda P: P[:, 0], (1, 1))
    with pytest.raises(ValueError, match=r"f returned shape \(3,\)"):
        plots.surface(lambda P: P[:3, 0], (0, 1))
    with pytest.raises(ValueError, match="not finite"):
        plots.surface(lambda P: P[:, 0] + np.inf, (0, 1))


def test_flat_axes_are_refused_and_given_ones_are_used():
    _, flat = plt.subplots()
    with pytest.raises(ValueError, match="ax has projection 'rectilinear', expected '3d'"):
        plots.scatter_3d(A, Y, ax=flat)
    solid = plt.figure().add_subplot(projection="3d")
    assert plots.scatter_3d(A, Y, ax=solid) is solid
    assert plots.surface(lambda P: P[:, 0], (0, 1), ax=solid) is solid
