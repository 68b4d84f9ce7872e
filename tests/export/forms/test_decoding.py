"""Boxes of raw outputs in NumPy are those of the layers that a detector ends in."""

import keras
import numpy as np
import pytest

from kvision.export.forms.decoding import decode, iou, padded, share, suppress_classes
from kvision.layers import BoxDecoder, Detections
from kvision.ops import boxes as box_ops

OPTIONS = {"iou_threshold": 0.5, "score_threshold": 0.05, "most": 15, "candidates": 60}


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def random_boxes(random, count):
    low = random.uniform(0, 0.7, (count, 2))
    sides = random.uniform(0.05, 0.4, (count, 2))
    return np.concatenate([low, low + sides], -1).astype("float32")


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_decode_is_the_layers(scale):
    random = np.random.default_rng(0)
    anchors = random_boxes(random, 50) * 1.5 - 0.2
    offsets = scale * random.normal(size=(3, 50, 4)).astype("float32")
    variances = (0.1, 0.2, 0.3, 0.4)
    centred = np.concatenate(
        [(anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]], -1
    )
    wanted = numbers(BoxDecoder(variances)([offsets, anchors]))
    assert 0 < (wanted == 0).mean() < 0.9  # some are cut off at the edge
    found = np.clip(decode(offsets, centred, variances), 0, 1)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("step", [None, 0.1])
def test_suppression_is_the_layers(step):
    """With and without equal scores, of which the first comes first."""
    random = np.random.default_rng(1)
    boxes = np.stack([random_boxes(random, 40) for _ in range(4)])
    scores = random.uniform(0, 1, (4, 40, 3)).astype("float32") ** 3
    if step:
        scores = (scores / step).round().astype("float32") * np.float32(step)
    wanted = {key: numbers(value) for key, value in Detections(**OPTIONS)([boxes, scores]).items()}
    assert (wanted["classes"] >= 0).sum() > 40
    for i in range(4):
        found = suppress_classes(boxes[i], scores[i], **OPTIONS)
        for key, values in found.items():
            np.testing.assert_array_equal(values, wanted[key][i])
            assert values.dtype == wanted[key].dtype


def test_nothing_above_the_threshold():
    found = suppress_classes(np.zeros((5, 4), "float32"), np.full((5, 2), 0.05), **OPTIONS)
    assert (found["classes"] == -1).all()
    assert found["boxes"].shape == (15, 4)


def test_across_classes_each_box_has_its_best_and_suppresses_all():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 0.1, 0.1]], "float32")
    scores = np.array([[0.9, 0.8], [0.1, 0.85], [0.2, 0.3]], "float32")
    both = suppress_classes(boxes, scores, **OPTIONS)
    assert both["classes"][:5].tolist() == [0, 1, 1, 0, -1]
    one = suppress_classes(boxes, scores, **OPTIONS, by_class=False)
    assert one["classes"][:3].tolist() == [0, 1, -1]
    assert one["scores"][:2].tolist() == pytest.approx([0.9, 0.3])


def test_overlaps_are_those_of_the_ops():
    random = np.random.default_rng(2)
    first, second = random_boxes(random, 20), random_boxes(random, 30)
    first[0] = 0  # without area
    np.testing.assert_allclose(iou(first, second), numbers(box_ops.iou(first, second)), atol=1e-6)
    np.testing.assert_allclose(
        share(first, second), numbers(box_ops.share(first, second)), atol=1e-6
    )


def test_padding():
    found = padded(np.ones((1, 4)), np.array([2.0]), np.array([0.5]), 3)
    assert found["classes"].tolist() == [2, -1, -1]
    assert found["classes"].dtype == np.int32
    assert found["scores"].tolist() == [0.5, 0, 0]
    assert found["boxes"].sum(-1).tolist() == [4, 0, 0]
