"""What `helpers.animate` promises: an honest view, a self-contained player, clear refusals."""

import base64
import io
import json
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from helpers import animate
from helpers.style import CLASS_COLORS, MUTED

FRAMES, ROWS, COLUMNS, SAMPLES = 3, 5, 4, 6
rng = np.random.default_rng(0)
CLASSES = np.array([0, 1, 0, 1, 0, 1])
CAPTIONS = [f"epoch {f}" for f in range(FRAMES)]


def space(d=3, **changes):
    given = {
        "name": f"{d}-D",
        "grid": rng.uniform(size=(FRAMES, ROWS, COLUMNS, d)),
        "samples": rng.uniform(size=(FRAMES, SAMPLES, d)),
        "labels": [f"$a_{i}$" for i in range(d)],
    }
    return animate.Space(**given | changes)


def outputs():
    return rng.uniform(size=(FRAMES, ROWS, COLUMNS))


@pytest.fixture(scope="module")
def player():
    return animate.player([space(2), space(3)], outputs(), CLASSES, CAPTIONS, title="a < b")


def test_a_plane_is_drawn_as_it_is():
    points = rng.normal(size=(7, 2))
    np.testing.assert_array_equal(space(2).project(points)[0], points)


@pytest.mark.parametrize("view", [(0, 0), (25, -60), (60, 218)])
def test_a_view_is_a_rotation(view):
    points = rng.normal(size=(7, 3))
    flat, near = space(view=view).project(points)
    seen = np.column_stack([flat, near])
    np.testing.assert_allclose(
        np.linalg.norm(seen[:, None] - seen, axis=-1),
        np.linalg.norm(points[:, None] - points, axis=-1),
        rtol=1e-12,
    )


def test_from_the_front_the_second_axis_runs_right_and_the_third_up():
    flat, near = space(view=(0, 0)).project(np.eye(3))
    origin_flat, origin_near = space(view=(0, 0)).project(np.zeros((1, 3)))
    np.testing.assert_allclose(flat - origin_flat, [[0, 0], [1, 0], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(near - origin_near, [1, 0, 0], atol=1e-12)


def test_the_boundary_runs_where_the_output_is_one_half():
    ticks = np.linspace(-1, 1, 9)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1)  # (9, 9, 2)
    (line,) = animate.boundary(grid, 0.5 + grid[..., 0] - 0.3)
    np.testing.assert_allclose(line[:, 0], 0.3, atol=1e-12)
    assert line[:, 1].min() == -1
    assert line[:, 1].max() == 1


def test_the_boundary_is_carried_into_a_space_by_the_grid():
    ticks = np.linspace(-1, 1, 9)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    lift = np.array([[1.0, 0, 2], [0, 1, -1]])  # (2, 3)
    level = 0.5 + plane[..., 0] - 2 * plane[..., 1]
    (flat,), (lifted,) = animate.boundary(plane, level), animate.boundary(plane @ lift, level)
    np.testing.assert_allclose(lifted, flat @ lift, atol=1e-12)


def test_an_output_that_never_reaches_one_half_has_no_boundary():
    assert animate.boundary(rng.uniform(size=(4, 4, 2)), np.full((4, 4), 0.2)) == []


def test_small_multiples_has_a_row_per_space_and_a_column_per_frame():
    axes = animate.small_multiples([space(2), space(3)], outputs(), CLASSES, CAPTIONS, [0, 2])
    assert axes.shape == (2, 2)
    assert [ax.get_title(loc="center") for ax in axes[0]] == ["epoch 0", "epoch 2"]


def test_small_multiples_draws_every_sample_of_its_frame():
    plane = space(2)
    axes = animate.small_multiples([plane], outputs(), CLASSES, CAPTIONS, [1])
    dots = [line for line in axes[0, 0].lines if line.get_marker() in ("o", "^")]
    for label, line in enumerate(dots):
        np.testing.assert_array_equal(line.get_xydata(), plane.samples[1][label == CLASSES])
    assert len(dots) == 2


def test_a_player_has_one_picture_per_frame_and_they_differ(player):
    assert len(player.images) == len(set(player.images)) == FRAMES
    shapes = {Image.open(io.BytesIO(image)).size for image in player.images}
    assert len(shapes) == 1


def test_the_small_palette_keeps_a_class_colour_of_few_pixels():
    figure = Figure(figsize=(4, 3), dpi=100)
    figure.add_axes((0, 0, 1, 1)).imshow(rng.uniform(size=(60, 80)), cmap="Blues", aspect="auto")
    figure.add_artist(Rectangle((0.1, 0.1), 0.05, 0.05, color=CLASS_COLORS[1], lw=0))
    image = Image.open(io.BytesIO(animate._png(FigureCanvasAgg(figure)))).convert("RGB")
    inside = np.asarray(image)[270 - 8, 40 + 10].astype(float)
    np.testing.assert_allclose(inside, 255 * np.array(to_rgb(CLASS_COLORS[1])), atol=4)


def test_frames_do_not_pile_up():
    still = space(2)
    grid, samples = (np.repeat(a[:1], FRAMES, axis=0) for a in (still.grid, still.samples))
    same = space(2, grid=grid, samples=samples)
    level = np.repeat(outputs()[:1], FRAMES, axis=0)
    images = animate.player([same], level, CLASSES, [""] * FRAMES, title="still").images
    assert len(set(images)) == 1


def test_equal_frames_give_equal_html(player):
    again = animate.Player(player.images, player.captions, player.title, player.milliseconds)
    assert again._repr_html_() == player._repr_html_()


def test_the_html_holds_all_frames_and_asks_for_nothing_from_outside(player):
    html = player._repr_html_()
    pictures = json.loads(re.search(r"const pictures = (\[.*?\]);", html).group(1))
    assert tuple(base64.b64decode(p) for p in pictures) == player.images
    assert json.loads(re.search(r"const captions = (\[.*?\]);", html).group(1)) == CAPTIONS
    html = re.sub(r"[A-Za-z0-9+/=]{60,}", "", html)  # the pictures may spell anything
    assert not re.search(r"https?:|//[a-z]|<link|<script [^>]*src|@import|fetch\(", html)
    assert not re.search(r"%[A-Z]+%", html)


def test_the_html_has_named_controls_and_a_last_frame_without_scripts(player):
    html = player._repr_html_()
    last = base64.b64encode(player.images[-1]).decode()
    assert f'<img alt="a &lt; b" src="data:image/png;base64,{last}"' in html
    assert re.search(r'<button type="button" aria-label="Play"', html)
    assert re.search(
        rf'<input type="range" min="0" max="{FRAMES - 1}"[^>]*aria-label="Frame"', html
    )
    assert "<noscript>" in html
    assert 'data-lm-suppress-shortcuts="true"' in html


def test_a_caption_cannot_end_the_script():
    one = [space(2)]
    hostile = ["</script><b>"] * FRAMES
    html = animate.player(one, outputs(), CLASSES, hostile, title="t")._repr_html_()
    assert html.count("</script>") == 1


def test_the_text_form_is_short(player):
    assert repr(player) == "a < b (3 frames)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": np.zeros((3, 5, 4))}, r"grid has shape \(3, 5, 4\), expected \(F, R, K, d\)"),
        ({"grid": np.zeros((3, 5, 4, 4))}, r"with d = 2 or 3"),
        ({"samples": np.zeros((2, 6, 3))}, r"samples has shape \(2, 6, 3\), expected \(3, 6, 3\)"),
        ({"samples": np.zeros((3, 6, 2))}, r"samples has shape \(3, 6, 2\), expected \(3, 6, 3\)"),
        ({"samples": np.full((3, 6, 3), np.nan)}, "samples holds values that are not finite"),
        ({"labels": ["a", "b"]}, "labels has 2 entries, expected 3"),
        ({"limits": (1, 0)}, r"limits is \(1, 0\)"),
        ({"limits": (0, np.nan)}, "limits is nan, expected a finite number"),
        ({"view": (1, 2, 3)}, "view has 3 entries, expected 2"),
        ({"grid": np.zeros((3, 1, 4, 3))}, "expected R and K of at least 2"),
        ({"grid": [[1], [1, 2]]}, "grid has parts of unequal shapes"),
    ],
)
def test_a_space_refuses_what_does_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        space(**changes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spaces": []}, "spaces is empty"),
        ({"spaces": [space(2), space(3, samples=np.zeros((3, 7, 3)))]},
         r"space '3-D' has a grid \(3, 5, 4, 3\) and samples \(3, 7, 3\)"),
        ({"outputs": np.zeros((3, 4, 5))},
         r"outputs has shape \(3, 4, 5\), expected \(3, 5, 4\) like the grid"),
        ({"outputs": np.full((3, 5, 4), np.inf)}, "outputs holds values that are not finite"),
        ({"classes": np.array([0, 1])}, r"classes has shape \(2,\), expected \(6,\)"),
        ({"classes": np.array([0, 1, 2, 0, 1, 2])}, r"classes holds \[0 1 2\], expected 0 and 1"),
        ({"captions": ["a"]}, "captions has 1 entries, expected 3"),
    ],
)  # fmt: skip
def test_player_and_small_multiples_refuse_what_does_not_fit(arguments, message):
    given = {"spaces": [space(2)], "outputs": outputs(), "classes": CLASSES, "captions": CAPTIONS}
    with pytest.raises(ValueError, match=message):
        animate.player(**given | arguments, title="t")
    with pytest.raises(ValueError, match=message):
        animate.small_multiples(**given | arguments, frames=[0])


@pytest.mark.parametrize("frames", [[], [3], [-1]])
def test_small_multiples_refuses_frames_that_do_not_exist(frames):
    with pytest.raises(ValueError, match=r"frames is .*expected (0 to 2|numbers of frames)"):
        animate.small_multiples([space(2)], outputs(), CLASSES, CAPTIONS, frames)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spaces": space(2)}, "spaces is a Space, expected a list"),
        ({"spaces": ["plane"]}, "spaces holds a str, expected Space"),
        ({"outputs": "high"}, "outputs has dtype"),
        ({"captions": "abc"}, "captions is a str, expected a list"),
        ({"milliseconds": 0.5}, "milliseconds is 0.5, expected an integer"),
    ],
)
def test_player_refuses_other_kinds_of_things(arguments, message):
    given = {"spaces": [space(2)], "outputs": outputs(), "classes": CLASSES, "captions": CAPTIONS}
    with pytest.raises(TypeError, match=message):
        animate.player(**given | arguments, title="t")


def test_a_frame_shows_the_boundary_and_the_cube_and_far_cells_first():
    cube = space(3)
    level = np.tile(np.linspace(0, 1, COLUMNS), (FRAMES, ROWS, 1))
    (ax,) = animate.small_multiples([cube], level, CLASSES, CAPTIONS, [0])[0]
    (line,) = animate.boundary(cube.grid[0], level[0])
    shown = [drawn.get_xydata() for drawn in ax.lines]
    assert any(np.array_equal(cube.project(line)[0], xy) for xy in shown)
    assert sum(len(xy) == 2 and drawn.get_color() == MUTED
               for xy, drawn in zip(shown, ax.lines, strict=True)) == 12  # fmt: skip
    (sheet,) = ax.collections
    corners, near = cube.project(cube.grid[0])
    middles = (near[:-1, :-1] + near[1:, 1:]).ravel()
    first = sheet.get_paths()[0].vertices[0]
    np.testing.assert_array_equal(first, corners[:-1, :-1].reshape(-1, 2)[middles.argmin()])


def test_player_refuses_a_frame_without_duration():
    with pytest.raises(ValueError, match="milliseconds is 0"):
        animate.player([space(2)], outputs(), CLASSES, CAPTIONS, title="t", milliseconds=0)
