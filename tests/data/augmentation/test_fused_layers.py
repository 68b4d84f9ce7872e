"""The fused warp and tone do what Keras's own layers do in turn, once the draws are pinned."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.data.augmentation.tones import Tone

L = keras.layers
# Ranges of one value: Keras and we draw the same.
PINNED = {
    "rotation": [L.RandomRotation((0.05, 0.05))],
    "zoom": [L.RandomZoom((0.2, 0.2))],
    "zoom_both": [L.RandomZoom((-0.3, -0.3), (0.1, 0.1), fill_mode="nearest")],
    "translation": [L.RandomTranslation((0.1, 0.1), (-0.05, -0.05), fill_mode="wrap")],
    "nearest": [L.RandomRotation((0.1, 0.1), interpolation="nearest", fill_mode="constant")],
    "constant": [L.RandomTranslation((0.1, 0.1), (0.1, 0.1), "constant", fill_value=9.0)],
    "together": [
        L.RandomTranslation((0.02, 0.02), (-0.05, -0.05)),
        L.RandomZoom((-0.3, -0.3), (-0.2, -0.2)),
        L.RandomRotation((-0.04, -0.04)),
    ],
    "window": [
        L.RandomTranslation((0.02, 0.02), (-0.05, -0.05)),
        L.RandomZoom((-0.3, -0.3), (-0.2, -0.2)),
    ],
    "brightness": [L.RandomBrightness((0.1, 0.1))],
}


def smooth(size, count=4):
    y, x = np.mgrid[: size[0], : size[1]].astype("float32")
    images = [
        np.stack(
            [128 + 80 * np.sin((x + k * 9) / 17), 128 + 70 * np.cos(y / (13 + k)), x / 2 + 60], -1
        )
        for k in range(count)
    ]
    return np.round(images).astype("uint8")


def ours(images, layers):
    dataset = tf.data.Dataset.from_tensor_slices({"image": images})
    batches = kv.data.batches(
        dataset, images.shape[1:], len(images), training=True, augment=layers, shuffle=False
    )
    return next(batches.as_numpy_iterator())


def theirs(images, layers):
    result = tf.cast(images, tf.float32)
    for layer in layers:
        result = layer(result, training=True)
    return np.asarray(result)


@pytest.mark.parametrize("size", [(48, 60), (120, 160)])
@pytest.mark.parametrize("name", PINNED)
def test_equals_the_layers_in_turn(name, size):
    images = smooth(size)
    difference = np.abs(ours(images, PINNED[name]) - theirs(images, PINNED[name]))
    # Large windows end at whole pixels, and layers in turn interpolate more than once.
    rounded = name in ("zoom", "zoom_both", "translation", "window") and min(size) >= 64
    limit = 4.0 if rounded else 1.5 if len(PINNED[name]) > 1 else 0.01
    # Away from the border, where layers in turn fill in what a later one moves back.
    margin = min(size) // 4
    inside = difference[:, margin:-margin, margin:-margin]
    assert inside.max() < limit
    assert difference.mean() < limit


def test_contrast_equals_that_of_keras():
    image = smooth((20, 30), 1)
    layer = L.RandomContrast(0.3)
    expected = layer.transform_images(
        tf.cast(image, tf.float32), {"contrast_factor": tf.constant([[[[1.15]]]])}
    )
    tone = Tone([layer, L.RandomBrightness(0.1)])
    result = tone({"image": image[0], "boxes": 1}, tf.constant([1.15, 0.0]))
    np.testing.assert_allclose(result["image"], expected[0], atol=1e-3)
    assert result["boxes"] == 1


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_flips_are_exact_and_half_of_all(mode):
    images = smooth((70, 66), 1).repeat(200, 0)
    axes = {"horizontal": (1,), "vertical": (0,), "horizontal_and_vertical": (0, 1)}[mode]
    mirrored = np.flip(images[0], axes)
    result = ours(images, [L.RandomFlip(mode)])
    same = [(image == images[0]).all() for image in result]
    flipped = [(image == mirrored).all() for image in result]
    assert np.logical_xor(same, flipped).all()
    assert 70 < sum(flipped) < 130


def test_draws_fill_the_range_of_keras():
    grey = np.full((500, 64, 64, 1), 100, "uint8")
    levels = ours(grey, [L.RandomBrightness((-0.2, 0.1))])[:, 0, 0, 0]
    assert -51 <= levels.min() - 100 < -45
    assert 20 < levels.max() - 100 <= 25.6
    steps = np.zeros((500, 4, 4, 1), "uint8") + np.array([[[50], [150], [50], [150]]], "uint8")
    for factor in (0.3, (0.3, 0.3)):
        layer = L.RandomContrast(factor)
        spans = np.ptp(ours(steps, [layer]), axis=(1, 2, 3)) / 100
        expected = np.ptp(
            np.asarray(layer(tf.cast(steps, "float32"), training=True)), axis=(1, 2, 3)
        )
        assert abs(spans.min() - expected.min() / 100) < 0.02
        assert abs(spans.max() - expected.max() / 100) < 0.02


def test_zoom_of_one_factor_keeps_the_aspect_ratio():
    """A square stays square, whatever is drawn."""
    images = np.zeros((100, 80, 80, 1), "uint8")
    images[:, 30:50, 30:50] = 255
    white = ours(images, [L.RandomZoom((-0.5, 0.3))])[..., 0] > 127
    heights, widths = white.any(2).sum(1), white.any(1).sum(1)
    assert np.abs(heights - widths).max() <= 1
    assert heights.max() > 30
    assert heights.min() < 18


def test_layers_that_fill_differently_are_not_fused():
    from kvision.data.augmentation.planning import plan_augmentation
    from kvision.data.features import image

    parts = {"image": image}
    layers = [L.RandomZoom(0.1), L.RandomRotation(0.1), L.RandomFlip(), L.RandomBrightness(0.1)]
    assert len(plan_augmentation(layers, (64, 64, 3), parts)) == 2
    layers[1] = L.RandomRotation(0.1, fill_mode="constant")
    assert len(plan_augmentation(layers, (64, 64, 3), parts)) == 3
    layers[3] = L.RandomBrightness(0.1, value_range=(0, 1))
    assert len(plan_augmentation(layers, (64, 64, 3), parts)) == 3
    assert plan_augmentation(None, (64, 64, 3), parts) == []
