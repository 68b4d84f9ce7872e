"""Textures, shading, shadows and the sensor of the synthetic world."""

import dataclasses

import numpy as np
import pytest

from kvision.data.scenes import Body, Camera, Light, Scene, Sensor, Surface, Texture, render
from kvision.data.scenes.patches import Patch, View, Window
from kvision.data.scenes.textures import KINDS, paint

SIZE = (96, 128)
RED_BLUE = ((0.8, 0.2, 0.1), (0.1, 0.3, 0.9))
WHITE = Texture("plain", ((0.6,) * 3,) * 2)
WALL = Surface((0, 0, 8), (0, 0, -1), (1, 0, 0), WHITE)
HALF_LIGHT = {"ambient": 0.5, "shadow": 1.0}


def places(width=0.01, count=120):
    line = np.arange(count, dtype="float32") * np.float32(width)
    return np.meshgrid(line, line)


@pytest.mark.parametrize("kind", KINDS)
def test_textures_stay_between_their_colours(kind):
    texture = Texture(kind, RED_BLUE, 1.0, 0.3, 0.4, (0.2, 0.7))
    colours = paint(texture, *places(), np.float32(0.01))
    assert colours.shape == (3, 120, 120)
    low, high = np.minimum(*RED_BLUE), np.maximum(*RED_BLUE)
    flat = colours.reshape(3, -1)
    assert np.all(flat >= low[:, None] - 1e-6)
    assert np.all(flat <= high[:, None] + 1e-6)
    if kind != "plain":
        assert flat[0].std() > 0.1
        # All on the line between the two colours: a pattern changes one thing.
        assert abs(np.corrcoef(flat[0], flat[2])[0, 1]) > 0.999
        faint = paint(dataclasses.replace(texture, contrast=0.25), *places(), np.float32(0.01))
        assert faint[0].std() == pytest.approx(flat[0].std() / 4, rel=1e-3)
    else:
        assert np.ptp(flat, axis=1).max() == 0


@pytest.mark.parametrize("kind", ["stripes", "checks", "dots", "noise", "marble"])
def test_too_fine_textures_are_grey(kind):
    """What repeats within two pixels must not alias: it is the mean of its colours."""
    texture = Texture(kind, RED_BLUE, 1.0, 0.3)
    colours = paint(texture, *places(0.15), np.float32(0.15))
    np.testing.assert_allclose(
        colours, np.broadcast_to(np.mean(RED_BLUE, axis=0)[:, None, None], colours.shape), atol=1e-6
    )


@pytest.mark.parametrize("kind", ["stripes", "checks", "dots", "marble", "gradient"])
def test_textures_repeat_and_turn(kind):
    texture = Texture(kind, RED_BLUE, 1.0, 0.3)
    x, y = places()
    period = 1.5 if kind == "gradient" else 0.3
    if kind != "marble":
        again = paint(texture, x + np.float32(period), y, np.float32(0.01))
        np.testing.assert_allclose(paint(texture, x, y, np.float32(0.01)), again, atol=2e-3)
    turned = dataclasses.replace(texture, angle=np.pi / 2)
    np.testing.assert_allclose(
        paint(turned, -y, x, np.float32(0.01)),
        paint(texture, x, y, np.float32(0.01)),
        atol=2e-3,
    )


def test_stripes_have_their_period():
    texture = Texture("stripes", ((0, 0, 0), (1, 1, 1)), 1.0, 0.25)
    line = paint(texture, *places(0.005, 400), np.float32(0.005))[0, 0]
    changes = np.nonzero(np.diff(line > 0.5))[0]
    assert np.all(np.abs(np.diff(changes) - 25) <= 1)


def test_a_shadow_falls_where_the_light_is_blocked():
    """On a wall behind a board that is parallel to it, the shadow is the board, moved."""
    direction = np.array([-0.5, -0.4, -1.0])
    disc = Body("disc", (-0.3, -0.2, 6.0), 0.5, WHITE)
    light = Light(tuple(direction / np.linalg.norm(direction)), **HALF_LIGHT)
    camera = Camera.for_size(SIZE)
    lit = render(Scene((WALL,), (disc,), dataclasses.replace(light, shadow=0.0)), camera, SIZE)
    dark = render(Scene((WALL,), (disc,), light), camera, SIZE)
    wall = lit["segmentation_mask"][..., 0] == 0
    ratio = dark["image"][..., 0] / lit["image"][..., 0].astype(float)
    shadow = wall & (ratio < 0.8)
    # Two metres along the light: 1.0 to the right and 0.8 down.
    middle = camera.project([-0.3 + 1.0, -0.2 + 0.8, 8.0])
    rows, columns = np.nonzero(shadow)
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], middle, atol=0.6)
    radius = 0.92 * 0.5 / 8 * 1.2 * 96
    assert shadow.sum() == pytest.approx(np.pi * radius**2, rel=0.12)
    # In its middle only the ambient light is left.
    full = 0.6 * 0.5 * 255
    row, column = int(middle[1]), int(middle[0])
    assert dark["image"][row, column, 0] == pytest.approx(full, abs=1.5)
    assert np.all(ratio[wall & ~shadow] > 0.79)
    np.testing.assert_array_equal(dark["depth"], lit["depth"])


def test_what_is_behind_the_wall_casts_no_shadow():
    light = Light((-0.4, -0.4, -0.8), **HALF_LIGHT)
    behind = Body("disc", (0, 0, 9.0), 1.0, WHITE)
    empty = render(Scene((WALL,), (), light), size=SIZE)["image"]
    image = render(Scene((WALL,), (behind,), light), size=SIZE)["image"]
    np.testing.assert_array_equal(image, empty)


def test_shading_follows_the_light():
    disc = Body("disc", (0, 0, 4), 1.0, WHITE, part_tone=1.0, relief=1.5)

    def image(direction, **options):
        light = Light(direction, ambient=0.3)
        one = dataclasses.replace(disc, **options)
        return render(Scene((WALL,), (one,), light), size=SIZE)["image"][..., 0].astype(float)

    left = image((-0.7, 0.0, -0.7))
    assert left[48, 40:46].mean() > left[48, 82:88].mean() + 40
    above = image((0.0, -0.7, -0.7))
    assert above[22:27, 64].mean() > above[69:74, 64].mean() + 40
    flat = image((-0.7, 0.0, -0.7), relief=0.0)
    assert np.ptp(flat[48, 42:86]) == 0
    # A slanted board gets the cosine of its angle with the light: at 0.5 rad, and 0.9 rad less.
    straight = image((0.0, 0.0, -1.0), relief=0.0)[48, 64]
    slanted = image((0.0, 0.0, -1.0), relief=0.0, yaw=0.9)[48, 64]
    ambient = 0.3 * 0.6 * 255
    assert (slanted - ambient) / (straight - ambient) == pytest.approx(np.cos(0.9), abs=0.01)
    assert image((-0.3, -0.3, -0.9), gloss=0.8).max() > image((-0.3, -0.3, -0.9)).max() + 10


def test_shading_of_a_rolled_body_stays_with_the_light():
    """The light comes from above however the board is turned in its plane."""
    disc = Body("disc", (0, 0, 4), 1.0, WHITE, part_tone=1.0, relief=1.5)
    light = Light((0.0, -0.7, -0.7), ambient=0.3)
    upright = render(Scene((WALL,), (disc,), light), size=SIZE)["image"]
    rolled = dataclasses.replace(disc, roll=2.0)
    turned = render(Scene((WALL,), (rolled,), light), size=SIZE)["image"]
    assert np.abs(upright.astype(int) - turned).max() <= 2


def test_derivatives_of_a_slanted_board():
    """They shade its edges; finite differences say the same."""
    camera = Camera(400.0, (64.0, 48.0), (0.2, 0.1, 0.3), 0.1, -0.05, 0.2)
    board = Body("disc", (0.4, -0.2, 4), 1.0, WHITE, yaw=0.8, pitch=-0.5, roll=1.0)
    patch, window = Patch.of_body(View(camera, Light()), board), Window(0, 0, *SIZE)
    x, y = (ray.astype("float64") for ray in patch.view.rays(window))
    depth = 1 / patch.inverse_depth(x, y)
    u, v = patch.places(x, y, depth)
    derivatives = patch.derivatives(u, v, depth)
    for place, right, down in ((u, *derivatives[:2]), (v, *derivatives[2:])):
        np.testing.assert_allclose(right[:, 1:-1], np.gradient(place, axis=1)[:, 1:-1], rtol=2e-3)
        np.testing.assert_allclose(down[1:-1], np.gradient(place, axis=0)[1:-1], rtol=2e-3)


def test_directions_may_have_any_length():
    """And what is not quite in the plane is laid into it."""
    checks = Texture("checks", RED_BLUE, 1.0, 1.0)
    exact = Surface((0, 0, 6), (0.6, 0, -0.8), (0.8, 0, 0.6), checks)
    long = Surface((0, 0, 6), (3, 0, -4), (8 + 3, 0, 6 - 4), checks)
    disc = Body("disc", (0, 0, 4), 0.5, WHITE)
    light = Light((-0.3, -0.4, -0.8), **HALF_LIGHT)
    far_light = Light((-3, -4, -8), **HALF_LIGHT)
    one = render(Scene((exact,), (disc,), light), size=SIZE)
    other = render(Scene((long,), (disc,), far_light), size=SIZE)
    np.testing.assert_allclose(one["depth"], other["depth"], rtol=1e-6)
    assert np.abs(one["image"].astype(int) - other["image"]).max() <= 1
    assert one["image"].std() > 20


def test_part_tone_is_the_ratio_of_the_parts():
    disc = Body("disc", (0, 0, 4), 1.0, WHITE, part_tone=0.5)
    image = render(Scene((WALL,), (disc,)), size=SIZE)["image"]
    assert image[48, 64].tolist() == [76, 76, 76]  # 0.3 * 255 is 76.5, to even
    assert image[48, 64 - 20].tolist() == [153, 153, 153]


def test_sensor():
    def image(exposure=0, seed=1, **options):
        scene = Scene((WALL,), (), sensor=Sensor(**options), seed=seed)
        return render(scene, size=SIZE, exposure=exposure)["image"].astype(float)

    assert np.unique(image()).tolist() == [153]
    np.testing.assert_array_equal(image(gain=(1.0, 0.5, 1.2))[0, 0], [153, 76, 184])
    noisy = image(noise=0.04)
    assert noisy.std() == pytest.approx(0.04 * 255, rel=0.03)
    assert noisy.mean() == pytest.approx(153, abs=0.3)
    np.testing.assert_array_equal(noisy, image(noise=0.04))
    for other in (image(1, noise=0.04), image(seed=2, noise=0.04)):
        assert abs(np.corrcoef(other.ravel(), noisy.ravel())[0, 1]) < 0.02


def test_blur_spreads_the_light_and_keeps_its_sum():
    dot = Body("disc", (0, 0, 4), 0.06, WHITE, part_tone=1.0)
    black = dataclasses.replace(WALL, texture=Texture("plain", ((0.0,) * 3,) * 2))
    sharp = render(Scene((black,), (dot,)), size=SIZE)["image"].astype(float)
    soft = render(Scene((black,), (dot,), sensor=Sensor(blur=1.0)), size=SIZE)["image"]
    # Binomial weights 1/4, 1/2, 1/4, first along one axis, then along the other.
    kernel = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
    expected = sum(
        kernel[i, j] * np.roll(sharp, (i - 1, j - 1), (0, 1)) for i in range(3) for j in range(3)
    )
    assert sharp.max() > 100
    assert np.abs(soft - expected).max() <= 1
