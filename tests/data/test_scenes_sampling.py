"""The worlds that `sample_scene` invents: repeatable, balanced, and not to be solved by colour."""

import functools

import numpy as np
import pytest

from kvision.data.scenes import CLASSES, Camera, render, sample_scene
from kvision.data.scenes.textures import KINDS

SIZE = (96, 128)


@functools.cache
def pictures(difficulty, first, count):
    return [render(sample_scene(first + k, difficulty), size=SIZE) for k in range(count)]


def test_a_seed_is_a_scene():
    scenes = [sample_scene(seed, 0.7) for seed in (5, 6, 5)]
    assert scenes[0] == scenes[2]
    assert scenes[0] != scenes[1]
    first, second = (render(sample_scene(5, 0.7), size=SIZE) for _ in range(2))
    for key in ("image", "segmentation_mask", "depth"):
        assert first[key].tobytes() == second[key].tobytes()
    assert sample_scene(5, 0.6) != scenes[0]
    assert sample_scene(np.int64(5), 0.7) == scenes[0]


def test_seeds_keep_their_scenes():
    """Scores on `scenes` can be compared only as long as this stays."""
    scene = sample_scene(2026)
    shapes = ["shard", "disc", "heart", "shard", "square", "star", "crescent"]
    assert [body.shape for body in scene.bodies] == shapes
    np.testing.assert_allclose(scene.bodies[0].position, [0.527, 0.432, 5.314], atol=1e-3)


def test_difficulty_0_is_flat_colours_on_grey():
    colours = {}
    for seed in range(20):
        scene = sample_scene(seed, 0.0)
        truth = render(scene, size=SIZE)
        assert truth["objects"]["visibility"].min() > 0.99  # a pixel may touch the floor
        assert len(truth["objects"]["label"]) == len(scene.bodies) >= 1
        background = truth["image"][truth["segmentation_mask"][..., 0] == 0]
        assert np.median(background, axis=0).tolist() == [140, 140, 140]
        for body in scene.bodies:
            assert (body.yaw, body.pitch, body.roll) == (0, 0, 0)
            colours.setdefault(body.shape, set()).add(
                tuple(np.round(np.mean(body.texture.colours, axis=0), 3))
            )
    assert len(colours) == len(CLASSES) - 1
    assert all(len(of_class) == 1 for of_class in colours.values())
    assert len(set.union(*colours.values())) == len(colours)


def test_colours_are_colours():
    """In 0..1, though both colours of a texture lie around a wanted one."""
    scenes = [sample_scene(seed, level) for seed in range(40) for level in (0.0, 0.5, 1.0)]
    colours = [thing.texture.colours for s in scenes for thing in (*s.surfaces, *s.bodies)]
    assert np.min(colours) >= 0
    assert np.max(colours) <= 1
    assert np.std(colours) > 0.2


def test_the_knob_turns_everything():
    levels = (0.0, 0.5, 1.0)
    bodies, visibility, roughness, clutter = [], [], [], []
    for level in levels:
        truths = pictures(level, 0, 40)
        scenes = [sample_scene(seed, level) for seed in range(40)]
        bodies.append(np.mean([len(scene.bodies) for scene in scenes]))
        clutter.append(sum(b.shape not in CLASSES for scene in scenes for b in scene.bodies))
        visibility.append(np.mean(np.concatenate([t["objects"]["visibility"] for t in truths])))
        steps = [np.abs(np.diff(t["image"].astype(float), axis=1)).mean() for t in truths]
        roughness.append(np.mean(steps))
    assert bodies == sorted(bodies)
    assert bodies[2] > 1.5 * bodies[0]
    assert visibility[0] > visibility[1] > visibility[2]
    assert roughness[0] < roughness[1] < roughness[2]
    assert clutter[0] == 0 < clutter[1] < clutter[2]


def test_no_class_is_rare():
    counts = np.zeros(len(CLASSES))
    for truth in pictures(0.5, 0, 120):
        counts += np.bincount(truth["segmentation_mask"].ravel(), minlength=len(CLASSES))
    shares = counts / counts.sum()
    assert 0.55 < shares[0] < 0.85
    assert shares[1:].min() > 0.02
    assert shares[1:].max() < 2.2 * shares[1:].min()


def test_bodies_stay_in_the_room():
    """Above the floor, and before the wall, with all of their board."""
    for seed in range(30):
        scene = sample_scene(seed, 1.0)
        floor, wall = scene.surfaces
        for body in scene.bodies:
            axes = Camera(1, (0, 0), (0, 0, 0), body.yaw, body.pitch, body.roll)
            turns = np.linspace(0, 2 * np.pi, 24)
            board = np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=-1) * body.radius
            points = board @ axes.world_from_camera[:3, :3].T + body.position
            assert np.all((points - wall.point) @ np.asarray(wall.normal) > 0)
            assert body.position[1] < floor.point[1]
            assert points[:, 2].min() > 0.3
    standing = [sample_scene(seed, 0.5) for seed in range(30)]
    gaps = [
        (scene.surfaces[0].point[1] - body.position[1]) / body.radius
        for scene in standing
        for body in scene.bodies
    ]
    # Whoever stands does so on its lowest point, which is at most its radius below its middle.
    assert 0.2 < np.mean(np.array(gaps) < 1.01) < 0.7


def features(image):
    """The colour of each pixel, and mean and spread of the 3 x 3 around it."""
    image = image.astype("float32")
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = np.stack([padded[i : i + 96, j : j + 128] for i in range(3) for j in range(3)])
    return np.concatenate([image, around.mean(0), around.std(0)], axis=-1).reshape(-1, 9)


@pytest.mark.parametrize(("difficulty", "low", "high"), [(0.0, 0.9, 1.0), (0.5, 0.0, 0.25)])
def test_colour_alone_solves_only_the_easiest_world(difficulty, low, high):
    """A forest over colour and local statistics: mean IoU at both ends of the knob's lower half."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import jaccard_score

    random = np.random.default_rng(0)
    pixels, labels = [], []
    for truth in pictures(difficulty, 0, 40):
        chosen = random.choice(96 * 128, 1000, replace=False)
        pixels.append(features(truth["image"])[chosen])
        labels.append(truth["segmentation_mask"].ravel()[chosen])
    forest = RandomForestClassifier(15, min_samples_leaf=5, random_state=0)
    forest.fit(np.concatenate(pixels), np.concatenate(labels))
    tests = pictures(difficulty, 5000, 12)
    predicted = forest.predict(np.concatenate([features(truth["image"]) for truth in tests]))
    true = np.concatenate([truth["segmentation_mask"].ravel() for truth in tests])
    score = jaccard_score(true, predicted, average="macro", labels=range(9), zero_division=0)
    assert low <= score <= high


def test_paint_does_not_tell_the_class():
    """All that is known of a body's paint and material, and the class stays a guess (1 in 8)."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    rows, labels = [], []
    for seed in range(500):
        for body in sample_scene(seed, 0.5).bodies:
            if body.shape in CLASSES:
                texture = body.texture
                colours = np.ravel(texture.colours)
                rows.append([*colours, texture.contrast, KINDS.index(texture.kind), body.gloss])
                rows[-1] += [body.relief, body.part_tone, texture.angle]
                labels.append(body.shape)
    scores = cross_val_score(RandomForestClassifier(40, random_state=0), rows, labels, cv=3)
    assert np.mean(scores) < 1 / 8 + 0.04


@pytest.mark.parametrize("difficulty", [-0.1, 1.1, "hard", None, True, float("nan")])
def test_difficulty_out_of_range(difficulty):
    with pytest.raises(ValueError, match="`difficulty` must be a number from 0 .*Received:"):
        sample_scene(0, difficulty)


@pytest.mark.parametrize("seed", [-1, 0.5, "7", True])
def test_seed_that_is_none(seed):
    with pytest.raises(ValueError, match="`seed` must be a whole number, 0 or more"):
        sample_scene(seed)


@pytest.mark.parametrize("aspect", [0.0, 11, -1])
def test_aspect_out_of_range(aspect):
    with pytest.raises(ValueError, match="`aspect` must be width / height"):
        sample_scene(0, aspect=aspect)
