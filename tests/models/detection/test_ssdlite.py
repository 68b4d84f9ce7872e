"""Facts of SSDLite, computed another way, and that it learns."""

import keras
import numpy as np
import pytest
from single_shot import levels_of, pictures, shapes_only, sides_of

import kvision as kv


@pytest.mark.parametrize(
    ("size", "strides", "sides"),
    [
        (320, (16, 32), (20, 10, 5, 3, 2, 1)),
        (300, (16, 32), (19, 10, 5, 3, 2, 1)),
        (160, (16, 32), (10, 5, 3, 2, 1)),
        (128, (8, 16, 32), (16, 8, 4, 2, 1)),
        (32, (16, 32), (2, 1)),
        (64, (32,), (2, 1)),
    ],
)
def test_levels(size, strides, sides):
    model = shapes_only(kv.models.SSDLite, input_shape=(size, size, 3), strides=strides)
    assert sides_of(levels_of(model)) == [(side, side) for side in sides]
    boxes = [3 if level == 0 else 6 for level in range(len(sides))]
    total = sum(side**2 * number for side, number in zip(sides, boxes, strict=True))
    assert model.output["raw"]["anchors"].shape == (total, 4)


def test_taps_and_extra_levels():
    model = shapes_only(kv.models.SSDLite)
    maps = levels_of(model)
    assert maps[0] is model.get_layer("block_13_expand_relu").output
    assert maps[1] is model.get_layer("out_relu").output
    assert [level.shape[-1] for level in maps] == [576, 1280, 512, 256, 256, 128]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert {la.name for la in convolutions if la.kernel_size != (1, 1)} == {"Conv1"}
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D) and "block" not in layer.name:
            assert layer.kernel_size == (3, 3)


def test_anchors_are_those_of_the_authors_models():
    model = kv.models.SSDLite(alpha=0.35, classes=2)
    anchors = np.asarray(model(pictures(model, 1))["raw"]["anchors"])
    sizes = anchors[:, 2:] - anchors[:, :2]
    np.testing.assert_allclose(sizes[0], 0.1, rtol=1e-5)
    expected = {(0.1, 1.0), (0.2, 2.0), (0.2, 0.5)}
    start = 20 * 20 * 3
    for level, side in enumerate((10, 5, 3, 2, 1), 1):
        scale, following = 0.2 + 0.15 * level, min(0.2 + 0.15 * (level + 1), 1.0)
        rows = sizes[start : start + 6]
        start += side * side * 6
        expected_sides = [scale] * 5 + [(scale * following) ** 0.5]
        found = sorted(np.sqrt(rows.prod(-1)))
        np.testing.assert_allclose(found, expected_sides, rtol=1e-4)
    found = {(round(float(np.sqrt(h * w)), 3), round(float(w / h), 3)) for h, w in sizes[:3]}
    assert found == expected
    assert start == len(anchors)


def test_all_anchors_of_the_finest_level():
    model = kv.models.SSDLite(
        alpha=0.35, input_shape=(64, 64, 3), scales=(0.3, 0.9), reduce_first_level=False
    )
    anchors = np.asarray(model(pictures(model, 1))["raw"]["anchors"])
    sizes = (anchors[:, 2:] - anchors[:, :2])[:6]
    squares = sizes[np.isclose(sizes[:, 0], sizes[:, 1])][:, 0]
    np.testing.assert_allclose(squares, [0.3, np.sqrt(0.3 * 0.6)], rtol=1e-4)
    assert len(anchors) == 6 * (16 + 4 + 1)


def test_on_other_backbones():
    model = kv.models.SSDLite("ResNet18", alpha=0.125, input_shape=(64, 96, 3), classes=3)
    assert sides_of(levels_of(model)) == [(4, 6), (2, 3), (1, 2), (1, 1)]
    backbone = kv.models.MobileNetV2(include_top=False, alpha=0.35, input_shape=(64, 64, 3))
    model = kv.models.SSDLite(backbone, classes=3)
    assert model.input_shape == (None, 64, 64, 3)
    assert model.get_layer("Conv1") is backbone.get_layer("Conv1")
    with pytest.raises(ValueError, match="must have features of stride 16, 32"):
        kv.models.SSDLite("LeNet5", input_shape=(32, 32, 1))


@pytest.mark.slow
def test_it_learns_scenes():
    keras.utils.set_random_seed(0)
    options = {"size": (96, 96), "difficulty": 0.0, "train": 384, "validation": 48}
    splits = kv.data.load("scenes", ["train", "validation"], **options)
    train, held_out = (
        kv.data.batches(
            split, (96, 96, 3), 16, training=split is splits[0], target="objects", seed=0
        )
        for split in splits
    )
    model = kv.models.SSDLite(
        alpha=0.35,
        input_shape=(96, 96, 3),
        classes=8,
        scales=(0.25, 0.95),
        reduce_first_level=False,
    )
    model.compile(keras.optimizers.AdamW(3e-3, weight_decay=5e-4))
    history = model.fit(train, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.4 * history["loss"][0]
    scores = kv.evaluation.evaluate_detector(model, held_out)["coco"]
    assert scores["AP50"] > 0.5
