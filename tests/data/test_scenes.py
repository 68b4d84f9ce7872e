"""What `render` says is true, computed another way."""

import dataclasses
import math

import numpy as np
import pytest

from kvision.data.scenes import (
    CLASSES,
    PARTS,
    Body,
    Camera,
    Scene,
    Surface,
    Texture,
    render,
    sample_scene,
)
from kvision.data.scenes.patches import FAR

SIZE = (96, 128)
WHITE, BLACK = (((1, 1, 1),) * 2, ((0, 0, 0),) * 2)
SEEDS = range(5)


def plain(colours):
    return Texture("plain", colours)


def wall(depth, colours=BLACK):
    return Surface((0, 0, depth), (0, 0, -1), (1, 0, 0), plain(colours))


def body(shape, position, radius, **options):
    return Body(shape, position, radius, options.pop("texture", plain(WHITE)), **options)


def world_points(camera, depth):
    """The world points (height, width, 3) of a depth map, from the matrix of the pose alone."""
    rows, columns = np.indices(depth.shape[:2]) + 0.5
    x = (columns - camera.principal_point[0]) / camera.focal_length
    y = (rows - camera.principal_point[1]) / camera.focal_length
    points = np.stack([x, y, np.ones_like(x), 1 / depth[..., 0]], axis=-1) * depth
    return (points @ camera.world_from_camera.T)[..., :3]


def extremes(mask):
    rows, columns = np.nonzero(mask)
    return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])


def test_depth_is_where_the_ray_meets_the_plane():
    normal = np.array([0.4, -0.5, -0.8]) / np.linalg.norm([0.4, -0.5, -0.8])
    right = np.cross(normal, [0, 1, 0])
    right /= np.linalg.norm(right)
    point = np.array([0.5, 0.2, 6.0])
    surface = Surface(tuple(point), tuple(normal), tuple(right), plain(WHITE))
    camera = Camera(110.0, (60.0, 50.0), (0.3, -0.2, 0.5), yaw=0.2, pitch=-0.1, roll=0.3)
    depth = render(Scene((surface,), ()), camera, SIZE)["depth"]
    rows, columns = np.indices(SIZE) + 0.5
    rays = np.stack([(columns - 60) / 110, (rows - 50) / 110, np.ones(SIZE)], axis=-1)
    rays = rays @ camera.world_from_camera[:3, :3].T
    expected = (normal @ (point - camera.position)) / (rays @ normal)
    expected = np.where((expected > 0) & (expected < FAR), expected, FAR)
    np.testing.assert_allclose(depth[..., 0], expected, rtol=2e-5)


def test_slanted_triangle_is_where_its_corners_are_projected():
    # Proportions 0: the tip at (0, -1), the base at 0.6 with half width 0.6, as in the shape.
    triangle = body(
        "triangle", (0.4, -0.3, 4), 1.2, yaw=0.7, pitch=-0.4, roll=2, proportions=(0, 0)
    )
    camera = Camera.for_size(SIZE).moved(right=0.4, yaw=-0.1)
    truth = render(Scene((wall(9),), (triangle,)), camera, SIZE)
    pose = Camera(1, (0, 0), (0.4, -0.3, 4), 0.7, -0.4, 2).world_from_camera
    corners = 1.2 * np.array([(0, -1, 0), (0.6, 0.6, 0), (-0.6, 0.6, 0)])
    corners = camera.project(corners @ pose[:3, :3].T + pose[:3, 3])
    rows, columns = np.indices(SIZE) + 0.5
    sides = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        sides.append((b[0] - a[0]) * (rows - a[1]) - (b[1] - a[1]) * (columns - a[0]))
    inside = np.all(np.array(sides) > 0, axis=0) | np.all(np.array(sides) < 0, axis=0)
    assert inside.sum() > 300
    np.testing.assert_array_equal(truth["segmentation_mask"][..., 0] == 4, inside)


def test_edges_hold_the_share_of_the_pixel():
    """The light of a white disc on black sums to its area, far better than its mask does."""
    disc = body("disc", (0.013, -0.021, 4), 0.7, part_tone=1.0)
    truth = render(Scene((wall(8),), (disc,)), size=SIZE)
    radius = 0.92 * 0.7 / 4 * 1.2 * SIZE[0]
    light = truth["image"].mean(axis=-1).sum() / 255
    assert abs(light / (math.pi * radius**2) - 1) < 2e-3
    rows, columns = np.indices(SIZE) + 0.5
    middle = 64 + 0.013 / 4 * 1.2 * 96, 48 - 0.021 / 4 * 1.2 * 96
    expected = np.hypot(columns - middle[0], rows - middle[1]) < radius
    np.testing.assert_array_equal(truth["segmentation_mask"][..., 0] == 1, expected)
    soft = (truth["image"][..., 0] > 0) & (truth["image"][..., 0] < 255)
    assert 0.8 < soft.sum() / (2 * math.pi * radius) < 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("difficulty", [0.5, 1.0])
def test_boxes_are_extremes_of_masks(seed, difficulty):
    scene = sample_scene(seed, difficulty)
    truth = render(scene, size=SIZE)
    objects, instances = truth["objects"], truth["instance_mask"][..., 0]
    assert set(objects["id"]) == set(np.unique(instances)) - {0}
    for row, number in enumerate(objects["id"]):
        mine = instances == number
        np.testing.assert_allclose(
            objects["bbox"][row] * [96, 128, 96, 128], extremes(mine), atol=1e-3
        )
        assert set(truth["segmentation_mask"][mine].ravel()) == {objects["label"][row] + 1}
        assert CLASSES[objects["label"][row] + 1] == scene.bodies[number - 1].shape
        assert np.all(objects["amodal_bbox"][row][:2] <= objects["bbox"][row][:2])
        assert np.all(objects["amodal_bbox"][row][2:] >= objects["bbox"][row][2:])


@pytest.mark.parametrize("seed", SEEDS)
def test_amodal_boxes_and_visibility_of_each_body_alone(seed):
    """Each body alone, without a floor to stand on, with one more picture on every side."""
    scene = sample_scene(seed, 1.0)
    objects = render(scene, size=SIZE)["objects"]
    instances = render(scene, size=SIZE)["instance_mask"]
    wide = Camera(1.2 * 96, (1.5 * 128, 1.5 * 96))
    for row, number in enumerate(objects["id"]):
        alone = Scene((), (scene.bodies[number - 1],))
        whole = render(alone, wide, (3 * 96, 3 * 128))["instance_mask"][..., 0] == 1
        box = objects["amodal_bbox"][row] * [96, 128, 96, 128] + [96, 128, 96, 128]
        np.testing.assert_allclose(box, extremes(whole), atol=1e-3)
        share = (instances == number).sum() / whole.sum()
        assert objects["visibility"][row] == pytest.approx(share, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_nearer_body_is_seen(seed):
    scene = sample_scene(seed, 1.0)
    depth = render(scene, size=SIZE)["depth"]
    singles = [
        render(dataclasses.replace(scene, bodies=(one,)), size=SIZE)["depth"]
        for one in scene.bodies
    ]
    np.testing.assert_array_equal(depth, np.min(singles, axis=0))
    backwards = render(dataclasses.replace(scene, bodies=scene.bodies[::-1]), size=SIZE)
    truth = render(scene, size=SIZE)
    for key in ("image", "segmentation_mask", "part_mask", "depth"):
        np.testing.assert_array_equal(truth[key], backwards[key])


def test_boards_that_cross_each_other():
    left = body("square", (0, 0, 4), 1.0, yaw=0.6, proportions=(1, 0))
    right = dataclasses.replace(left, yaw=-0.6)
    truth = render(Scene((wall(9),), (left, right)), size=SIZE)
    instances = truth["instance_mask"][..., 0]
    # Positive yaw turns a board's right side nearer.
    assert set(instances[48, 50:62]) == {2}
    assert set(instances[48, 66:78]) == {1}


def test_second_camera_sees_exact_parallax():
    """Boards parallel to the picture move by focal length x baseline / depth, pixels and all."""
    texture = Texture("checks", ((0.9, 0.2, 0.1), (0.1, 0.3, 0.8)), 1.0, 0.4, 0.3)
    behind = Surface((0, 0, 8), (0, 0, -1), (1, 0, 0), dataclasses.replace(texture, period=1.0))
    heart = body("heart", (-0.2, 0.1, 4), 0.8, texture=texture, relief=1.0)
    scene = Scene((behind,), (heart,))
    camera = Camera(120.0, (64.0, 48.0))
    left = render(scene, camera, SIZE)
    right = render(scene, camera.moved(right=0.2), SIZE)
    near, far = 120 * 0.2 / 4, 120 * 0.2 / 8
    assert (near, far) == (6, 3)
    mask = left["segmentation_mask"][..., 0] > 0
    np.testing.assert_array_equal(
        right["segmentation_mask"][:, :-6], left["segmentation_mask"][:, 6:]
    )
    shifted = np.roll(right["image"], 6, axis=1).astype(int)
    inner = mask & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
    inner &= np.roll(mask, 1, 0) & np.roll(mask, -1, 0)
    assert inner.sum() > 500
    assert np.abs(shifted - left["image"])[inner].max() <= 1
    np.testing.assert_array_equal(left["depth"][mask], np.float32(4))
    background = np.roll(right["image"], 3, axis=1).astype(int)
    open_wall = np.ones(SIZE, bool)
    open_wall[:, :4] = False
    columns = np.nonzero(mask.any(axis=0))[0]
    open_wall[:, columns.min() - 8 : columns.max() + 8] = False
    assert np.abs(background - left["image"])[open_wall].max() <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_reprojection_into_a_turned_camera(seed):
    scene = sample_scene(seed, 0.75)
    first = Camera.for_size(SIZE)
    second = first.moved(right=0.3, down=-0.1, forward=0.4, yaw=-0.06, pitch=0.03, roll=0.1)
    here, there = render(scene, first, SIZE), render(scene, second, SIZE)
    points = world_points(first, here["depth"])
    pixels = np.floor(second.project(points)).astype(int)
    expected = second.to_camera(points)[..., 2]
    inside = np.all((pixels >= 0) & (pixels < [128, 96]), axis=-1)
    columns, rows = pixels[inside].T
    depth = there["depth"][rows, columns, 0]
    visible = np.abs(depth / expected[inside] - 1) < 0.01
    assert visible.mean() > 0.75
    for key in ("instance_mask", "part_mask"):
        same = there[key][rows, columns, 0] == here[key][inside][:, 0]
        assert same[visible].mean() > 0.97


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_belong_to_their_class(seed):
    truth = render(sample_scene(seed, 0.75), size=SIZE)
    classes, parts = truth["segmentation_mask"].astype(int), truth["part_mask"].astype(int)
    np.testing.assert_array_equal((parts + 1) // 2, classes)
    assert len(PARTS) == 2 * len(CLASSES) - 1


@pytest.mark.parametrize("shape", CLASSES[1:])
@pytest.mark.parametrize("proportions", [(0, 0), (1, 1), (0.5, 0.4)])
def test_every_shape_has_two_parts_within_its_circle(shape, proportions):
    one = body(shape, (0, 0, 4), 1.0, proportions=proportions)
    truth = render(Scene((wall(8),), (one,)), size=(128, 128))
    index = CLASSES.index(shape)
    counts = np.bincount(truth["part_mask"].ravel(), minlength=len(PARTS))
    assert counts[2 * index - 1] > 100
    assert counts[2 * index] > 100
    assert counts.sum() == counts[0] + counts[2 * index - 1] + counts[2 * index]
    rows, columns = np.nonzero(truth["segmentation_mask"][..., 0])
    radius = 1.2 * 128 / 4
    farthest = np.hypot(rows + 0.5 - 64, columns + 0.5 - 64).max()
    assert 0.85 * radius < farthest <= 1.001 * radius
    assert all(name.startswith(shape) for name in PARTS[2 * index - 1 : 2 * index + 1])


def test_parts_are_named_rightly():
    """The tip is above, the hub in the middle, the horns to the right, the stud on top."""
    expected = {
        "disc hub": (64, 64),
        "ring stud": (64, 64 - 30),
        "square panel": (64, 64),
        "triangle tip": (64, 64 - 25),
        "star core": (64, 64),
        "cross hub": (64, 64),
        "crescent horns": (64 + 19, 64 - 30),
        "heart point": (64, 64 + 20),
    }
    for name, (column, row) in expected.items():
        one = body(name.split()[0], (0, 0, 4), 1.0)
        truth = render(Scene((wall(8),), (one,)), size=(128, 128))
        assert PARTS[truth["part_mask"][row, column, 0]] == name


def test_a_hidden_body_has_no_box():
    hidden = body("disc", (0, 0, 6), 0.3)
    cover = body("square", (0, 0, 4), 1.0)
    truth = render(Scene((wall(8),), (hidden, cover)), size=SIZE)
    assert truth["objects"]["id"].tolist() == [2]
    assert CLASSES[truth["objects"]["label"][0] + 1] == "square"
    assert truth["objects"]["visibility"].tolist() == [1.0]


def test_clutter_is_background_that_covers():
    disc = body("disc", (0, 0, 6), 0.6)
    clutter = body("blob", (0.2, 0, 4), 0.4)
    alone = render(Scene((wall(8),), (disc,)), size=SIZE)
    truth = render(Scene((wall(8),), (clutter, disc)), size=SIZE)
    assert truth["objects"]["label"].tolist() == [0]
    assert truth["objects"]["id"].tolist() == [2]
    assert set(np.unique(truth["instance_mask"])) == {0, 2}
    assert 0.2 < truth["objects"]["visibility"][0] < 0.9
    covered = (alone["segmentation_mask"] == 1) & (truth["segmentation_mask"] == 0)
    assert covered.any()
    np.testing.assert_array_equal(truth["depth"][covered], np.float32(4))
    assert not truth["part_mask"][covered].any()


def test_nothing_is_seen_behind_the_camera():
    scene = Scene((wall(8),), (body("disc", (0, 0, -4), 1.0),))
    truth = render(scene, size=SIZE)
    assert len(truth["objects"]["label"]) == 0
    assert truth["objects"]["bbox"].shape == (0, 4)
    backwards = render(scene, Camera.for_size(SIZE).moved(yaw=math.pi), SIZE)
    assert backwards["objects"]["label"].tolist() == [0]
    assert set(np.unique(backwards["depth"])) == {np.float32(4), np.float32(FAR)}
    assert render(Scene((), ()), size=SIZE)["depth"].min() == np.float32(FAR)


def test_a_board_through_the_camera_plane():
    """A long board that begins behind the camera: only what is before it is seen."""
    board = body("square", (0.5, 0, 1.0), 3.0, yaw=1.4, proportions=(1, 0))
    truth = render(Scene((wall(8),), (board,)), size=SIZE)
    seen = truth["segmentation_mask"][..., 0] > 0
    assert seen.any()
    assert truth["depth"][seen].min() > 0
    points = world_points(Camera.for_size(SIZE), truth["depth"])[seen]
    axes = Camera(1, (0, 0), yaw=1.4).world_from_camera[:3, :3]
    local = (points - [0.5, 0, 1.0]) @ axes
    assert np.abs(local[:, 2]).max() < 1e-4
    assert np.abs(local[:, :2]).max() < 0.75 * 3


@pytest.mark.parametrize("size", [(8, 8), (37, 53), (200, 60), (512, 512)])
def test_any_size(size):
    scene = sample_scene(3, 0.75, size[1] / size[0])
    truth = render(scene, size=size)
    assert truth["image"].shape == (*size, 3)
    for key in ("segmentation_mask", "instance_mask", "part_mask", "depth"):
        assert truth[key].shape == (*size, 1)
    boxes = truth["objects"]["bbox"]
    assert np.all((boxes >= 0) & (boxes <= 1))
    assert np.all(boxes[:, 2:] > boxes[:, :2])


@pytest.mark.parametrize("size", [96, (96,), (96, 128, 3), (96.0, 128), (7, 96), (True, 96)])
def test_size_that_is_none(size):
    with pytest.raises(ValueError, match=r"`size` must be \(height, width\)"):
        render(Scene((), ()), size=size)


def test_unknown_kinds():
    with pytest.raises(ValueError, match="`shape` must be one of .*Received: 'moon'"):
        render(Scene((), (body("moon", (0, 0, 4), 1),)), size=SIZE)
    painted = dataclasses.replace(wall(8), texture=Texture("tartan", WHITE))
    with pytest.raises(ValueError, match="`kind` of a texture must be one of .*'tartan'"):
        render(Scene((painted,), ()), size=SIZE)


def test_rotations_are_about_y_then_x_then_z():
    """As aeroplanes and scipy count them: each about the axis that the ones before have turned."""
    from scipy.spatial.transform import Rotation

    camera = Camera(100.0, (0, 0), (1.0, 2.0, 3.0), yaw=0.7, pitch=-0.4, roll=2.0)
    expected = Rotation.from_euler("YXZ", [0.7, -0.4, 2.0]).as_matrix()
    np.testing.assert_allclose(camera.world_from_camera[:3, :3], expected, atol=1e-12)
    np.testing.assert_array_equal(camera.world_from_camera[:, 3], [1, 2, 3, 1])
    # Boards turn in the same way: the tip of a triangle is at (0, -1, 0) of its axes.
    board = body("triangle", (0, 0, 5), 1.0, yaw=0.7, pitch=-0.4, roll=2.0)
    eye = Camera.for_size((192, 256))
    truth = render(Scene((wall(9),), (board,)), eye, (192, 256))
    rows, columns = np.nonzero(PARTS.index("triangle tip") == truth["part_mask"][..., 0])
    tip = eye.project(expected @ [0, -1, 0] + [0, 0, 5])
    assert np.hypot(columns + 0.5 - tip[0], rows + 0.5 - tip[1]).min() < 3


def test_camera_turns_as_it_says():
    camera = Camera.for_size(SIZE)
    ahead = [0.0, 0.0, 5.0]
    assert camera.project(ahead).tolist() == [64, 48]
    assert camera.moved(yaw=0.1).project(ahead)[0] < 64  # turned right: it appears to the left
    assert camera.moved(pitch=0.1).project(ahead)[1] > 48  # turned up: it appears lower
    right = camera.moved(roll=0.1).project([1.0, 0.0, 5.0])
    assert right[1] < 48  # turned clockwise: what is at the right appears higher
    turned = camera.moved(yaw=math.pi / 2).moved(forward=2.0)
    np.testing.assert_allclose(turned.position, [2, 0, 0], atol=1e-12)
    view = Camera.for_size(SIZE, field_of_view=math.pi / 2)
    np.testing.assert_allclose(view.project([0.0, 5.0, 5.0]), [64, 96])
    moved = camera.moved(0.3, -0.1, 0.4, -0.06, 0.03, 0.1)
    pose = np.linalg.inv(moved.world_from_camera)
    np.testing.assert_allclose(
        moved.to_camera([1.0, 2, 3]), (pose @ [1.0, 2, 3, 1])[:3], atol=1e-12
    )


def test_edges_are_the_visible_outlines_of_all_bodies():
    """A disc before a larger one of clutter: its circle is an edge, what it covers is none."""
    camera = Camera.for_size(SIZE)
    near, far = body("disc", (0, 0, 2), 0.3), body("blob", (0.2, 0, 4), 0.8)

    def edges(*bodies):
        return render(Scene((wall(6),), bodies), camera, SIZE)["edges"][..., 0]

    both, circle, behind = edges(near, far), edges(near), edges(far)
    assert both.dtype == np.float32
    assert set(np.unique(both)) == {0, 1}
    rows, columns = np.indices(SIZE) + 0.5
    x, y = columns - SIZE[1] / 2, rows - SIZE[0] / 2
    radius = np.hypot(x, y)
    assert np.ptp(radius[circle > 0]) < 2  # a line of a pixel
    directions = np.round(np.degrees(np.arctan2(y, x))[circle > 0] / 15)
    assert len(np.unique(directions)) >= 24  # all round
    away = np.abs(radius - radius[circle > 0].mean()) > 2
    inside, outside = away & (radius < radius[circle > 0].min()), away & (radius > 25)
    assert behind[inside].any()
    assert not both[inside].any()
    assert behind[outside].any()
    np.testing.assert_array_equal(both[outside], behind[outside])
    assert (both[circle > 0] == 1).all()
