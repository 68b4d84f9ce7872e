"""Crops and zooms: where the windows lie, and what becomes of boxes and masks outside `tf.data`."""

import keras
import numpy as np
import pytest
from keras import ops

from kvision.layers import RandomBoxCrop, RandomScaleJitter, RandomZoomOut

SIZE = (40, 60)


def drawn(layer, count=400, boxes=None, labels=None):
    """The windows that a layer draws, as NumPy."""
    data = {"images": np.zeros((count, *SIZE, 3), "float32")}
    if boxes is not None:
        boxes = np.tile(np.array(boxes, "float32"), (count, 1, 1))
        labels = np.tile(np.array(labels or [1] * boxes.shape[1]), (count, 1))
        data["bounding_boxes"] = {"boxes": boxes, "labels": labels}
    return ops.convert_to_numpy(layer.get_random_transformation(data)["windows"])


def overlap(windows, box):
    low, high = np.maximum(windows[:, :2], box[:2]), np.minimum(windows[:, 2:], box[2:])
    shared = np.maximum(high - low, 0).prod(-1)
    areas = (windows[:, 2:] - windows[:, :2]).prod(-1) + (box[2] - box[0]) * (box[3] - box[1])
    return shared / (areas - shared)


def is_whole(windows):
    return (windows == [0, 0, 1, 1]).all(-1)


@pytest.mark.parametrize("wanted", [0.1, 0.3, 0.6])
def test_crops_overlap_an_object_as_was_chosen(wanted):
    """One choice in three is any part, one the measure, one the whole image."""
    box = np.array([0.2, 0.1, 0.9, 0.8])
    layer = RandomBoxCrop((wanted,), trials=200, bounding_box_format="rel_yxyx", seed=1)
    windows = drawn(layer, boxes=[box, [0.0, 0.0, 0.0, 0.0]], labels=[1, -1])
    part = windows[~is_whole(windows)]
    assert windows.min() >= 0
    assert windows.max() <= 1 + 1e-6
    extent = part[:, 2:] - part[:, :2]
    scale, ratio = np.sqrt(extent.prod(-1)), extent[:, 1] / extent[:, 0]
    assert 0.3 <= scale.min() < 0.35
    assert ratio.min() * (1 + 1e-5) >= 0.5
    assert 1.8 < ratio.max() <= 2.0 * (1 + 1e-5)
    centre = (box[:2] + box[2:]) / 2
    assert ((part[:, :2] <= centre) & (centre <= part[:, 2:])).all()
    share = np.mean(overlap(part, box) >= wanted)
    assert 0.3 < np.mean(is_whole(windows)) < 0.4
    assert share >= 0.45
    only = RandomBoxCrop((wanted,) * 40, trials=200, bounding_box_format="rel_yxyx", seed=1)
    part = drawn(only, boxes=[box])
    part = part[~is_whole(part)]
    assert np.mean(overlap(part, box) >= wanted) > 0.93


def test_images_without_objects_are_cropped_and_hopeless_ones_left_whole():
    layer = RandomBoxCrop(bounding_box_format="rel_yxyx", seed=1)
    for boxes, labels in (([[0.0] * 4], [-1]), (None, None)):
        assert 0.1 < np.mean(is_whole(drawn(layer, boxes=boxes, labels=labels))) < 0.2
    # No part of 0.3 or more overlaps so small an object by 0.9.
    tiny = RandomBoxCrop((0.9,) * 50, bounding_box_format="rel_yxyx", seed=1)
    assert np.mean(is_whole(drawn(tiny, boxes=[[0.5, 0.5, 0.52, 0.52]]))) > 0.95


def test_objects_stay_if_their_centre_does():
    layer = RandomBoxCrop(bounding_box_format="rel_yxyx")
    boxes = np.array([[[0.0, 0.0, 0.4, 0.8], [0.4, 0.4, 1.0, 1.0], [0.1, 0.1, 0.2, 0.9]]])
    found = layer.transform_bounding_boxes(
        {"boxes": boxes.astype("float32"), "labels": np.array([[4, 5, 6]])},
        {"windows": np.array([[0.0, 0.0, 0.5, 1.0]], "float32"), "size": SIZE},
    )
    np.testing.assert_array_equal(found["labels"], [[4, -1, 6]])
    expected = [[0.0, 0.0, 0.8, 0.8], [0.0] * 4, [0.2, 0.1, 0.4, 0.9]]
    np.testing.assert_allclose(found["boxes"][0], expected, atol=1e-6)


def test_zoom_out_surrounds_with_the_colour():
    image = np.full((64, 40, 60, 3), 200.0, "float32")
    layer = RandomZoomOut((2, 2), 1.0, fill_value=(10, 20, 30), seed=1)
    shown = ops.convert_to_numpy(layer(image, training=True))
    inside = (np.abs(shown - 200) < 1).all(-1)
    around = (np.abs(shown - [10, 20, 30]) < 1).all(-1)
    # A quarter of the canvas is the image, but for its edges.
    np.testing.assert_allclose(inside.mean((1, 2)), 0.25, atol=0.03)
    np.testing.assert_allclose(around.mean((1, 2)), 0.75, atol=0.06)
    places = {(int(i.any(1).argmax()), int(i.any(0).argmax())) for i in inside}
    assert len(places) > 30
    now_and_then = drawn(RandomZoomOut((1, 4), 0.5, seed=1))
    assert 0.4 < np.mean(is_whole(now_and_then)) < 0.6
    extent = now_and_then[~is_whole(now_and_then)]
    extent = extent[:, 2:] - extent[:, :2]
    np.testing.assert_allclose(extent[:, 0], extent[:, 1], rtol=1e-5)
    assert 1 <= extent.min() < 1.1
    assert 3.9 < extent.max() <= 4


@pytest.mark.parametrize(("scale", "low", "high"), [(2.0, 0.0, 1.0), (0.5, -1.0, 2.0)])
def test_scale_jitter_cuts_or_pads(scale, low, high):
    windows = drawn(RandomScaleJitter((scale, scale), seed=1))
    np.testing.assert_allclose(windows[:, 2:] - windows[:, :2], 1 / scale, rtol=1e-5)
    assert windows[:, :2].min() == pytest.approx(low, abs=0.03)
    assert windows[:, 2:].max() == pytest.approx(high, abs=0.03)


def test_pixels_land_where_the_window_says():
    """An image that holds its own coordinates tells where each pixel came from."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype("float32")
    image = np.stack([y, x], -1)[None]
    layer = RandomZoomOut(fill_value=-1.0)
    window = np.array([[0.25, -0.5, 0.75, 0.5]], "float32")
    drawn_ = {"windows": window, "size": SIZE}
    shown = ops.convert_to_numpy(layer.transform_images(image, drawn_))[0]
    rows = (0.25 + (np.arange(40) + 0.5) / 40 * 0.5) * 40 - 0.5
    columns = (-0.5 + (np.arange(60) + 0.5) / 60) * 60 - 0.5
    np.testing.assert_allclose(shown[:, 30:, 0], np.tile(rows[:, None], (1, 30)), atol=1e-3)
    np.testing.assert_allclose(shown[:, 30:, 1], np.tile(columns[30:], (40, 1)), atol=1e-3)
    assert (shown[:, :29] == -1).all()
    masks = np.ones((1, *SIZE, 1), "uint8")
    for fill, outside in ((0.0, 0), ((1, 2, 3), 255), (9, 9)):
        found = RandomZoomOut(fill_value=fill).transform_segmentation_masks(masks, drawn_)
        found = ops.convert_to_numpy(found)
        assert found.dtype == np.uint8
        assert (found[:, :, 30:] == 1).all()
        assert (found[:, :, :30] == outside).all()


LAYERS = [RandomBoxCrop, RandomScaleJitter, RandomZoomOut]


@pytest.mark.parametrize("kind", LAYERS)
def test_dicts_configs_and_evaluation(kind):
    data = {
        "images": np.random.default_rng(0).uniform(0, 255, (4, 32, 48, 3)).astype("float32"),
        "bounding_boxes": {
            "boxes": np.tile(np.array([[[4.0, 5.0, 30.0, 25.0]]], "float32"), (4, 1, 1)),
            "labels": np.ones((4, 1), "int32"),
        },
        "segmentation_masks": np.ones((4, 32, 48, 1), "uint8"),
    }
    layer = kind(bounding_box_format="xyxy", seed=3)
    first = layer(data, training=True)
    again = kind.from_config(layer.get_config())(data, training=True)
    np.testing.assert_array_equal(first["images"], again["images"])
    np.testing.assert_array_equal(
        first["bounding_boxes"]["boxes"], again["bounding_boxes"]["boxes"]
    )
    assert set(first) == set(data)
    untouched = layer(data, training=False)
    np.testing.assert_array_equal(untouched["images"], data["images"])
    assert layer(data["images"][0], training=True).shape == (32, 48, 3)
    policy = kind(dtype="mixed_bfloat16")
    assert (
        keras.backend.standardize_dtype(policy(data["images"], training=True).dtype) == "bfloat16"
    )
    grey = layer(data["images"][..., :1], training=True)
    assert grey.shape == (4, 32, 48, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomZoomOut(0.5), "at least 1"),
        (lambda: RandomZoomOut((3, 2)), "rising pair"),
        (lambda: RandomZoomOut(probability=2), "must lie in 0..1"),
        (lambda: RandomScaleJitter((0, 1)), "rising pair of positive"),
        (lambda: RandomScaleJitter(2.0), "rising pair of positive"),
        (lambda: RandomBoxCrop((0.5, 1.5)), "`overlaps`"),
        (lambda: RandomBoxCrop(scale=(0.5, 2)), "`scale`"),
        (lambda: RandomBoxCrop(aspect_ratio=(2, 3)), "`aspect_ratio`"),
        (lambda: RandomBoxCrop(trials=0), "`trials`"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
