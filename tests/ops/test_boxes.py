"""Boxes against keras-cv, against arithmetic by hand, and where there is nothing to divide by."""

import keras_cv
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.ops import boxes as box_ops

FORMATS = ("yxyx", "xyxy", "xywh", "cyxhw", "cxywh")
SIZE = (40, 80)


def some_boxes(*shape, seed=0):
    corners = np.random.default_rng(seed).uniform(-0.2, 1.2, (*shape, 2, 2))
    return np.concatenate([corners.min(-2), corners.max(-2)], -1).astype("float32")


def disjoint_and_equal():
    boxes = np.array([[0, 0, 0.25, 0.25], [0.5, 0.5, 1, 1], [0, 0, 0.25, 0.25]], "float32")
    return boxes[0], boxes[1], boxes[2]


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_formats_by_hand(source, target):
    """One box in all of them: rows 10 to 30 and columns 20 to 60 of 40 by 80 pixels."""
    same = {
        "yxyx": [10, 20, 30, 60],
        "xyxy": [20, 10, 60, 30],
        "xywh": [20, 10, 40, 20],
        "cyxhw": [20, 40, 20, 40],
        "cxywh": [40, 20, 40, 20],
    }
    sides = {"yxyx": [40, 80, 40, 80], "cyxhw": [40, 80, 40, 80]}
    relative = {key: np.divide(value, sides.get(key, [80, 40] * 2)) for key, value in same.items()}
    convert = kv.ops.boxes.convert
    np.testing.assert_allclose(convert([same[source]], source, target)[0], same[target], atol=1e-5)
    np.testing.assert_allclose(
        convert([relative[source]], f"rel_{source}", target, SIZE)[0], same[target], atol=1e-5
    )
    np.testing.assert_allclose(
        convert([same[source]], source, f"rel_{target}", SIZE)[0], relative[target], atol=1e-6
    )


def test_formats_of_pictures_of_different_sizes():
    boxes = some_boxes(2, 5)
    sizes = np.array([[10, 20], [30, 7]], "int32")
    pixels = np.asarray(box_ops.convert(boxes, "rel_yxyx", "yxyx", size=sizes))
    for picture, size, expected in zip(boxes, sizes, pixels, strict=True):
        np.testing.assert_allclose(picture * np.tile(size, 2), expected, rtol=1e-6)


def test_overlaps_equal_keras_cv():
    boxes, others = some_boxes(2, 7), some_boxes(2, 5, seed=1)
    iou = np.asarray(box_ops.iou(boxes, others))
    theirs = keras_cv.bounding_box.compute_iou(boxes, others, "rel_yxyx")
    np.testing.assert_allclose(iou, np.asarray(theirs), atol=1e-6)
    assert 0.2 < iou.max() < 1
    matched = np.asarray(box_ops.matched_iou(boxes[:, :5], others))
    np.testing.assert_allclose(matched, iou[:, range(5), range(5)], atol=1e-6)


def test_generalised_overlaps_equal_keras_cv():
    boxes, others = some_boxes(6), some_boxes(6, seed=1)
    giou = np.asarray(box_ops.giou(boxes, others))
    loss = keras_cv.losses.GIoULoss("rel_yxyx", axis=-1, reduction="none")
    theirs = [[1 - float(loss(a[None], b[None])) for b in others] for a in boxes]
    np.testing.assert_allclose(giou, theirs, atol=1e-5)
    np.testing.assert_allclose(box_ops.matched_giou(boxes, others), giou.diagonal(), atol=1e-6)


def test_generalised_overlap_of_equal_and_of_disjoint_boxes():
    box, far, equal = disjoint_and_equal()
    assert float(box_ops.matched_giou(box, equal)) == 1
    # The hull is the whole picture, of which 1/16 + 1/4 is covered.
    assert float(box_ops.matched_giou(box, far)) == pytest.approx(-11 / 16)
    farther = far + 1
    assert float(box_ops.matched_giou(box, farther)) < float(box_ops.matched_giou(box, far))
    assert float(box_ops.matched_iou(box, far)) == float(box_ops.matched_iou(box, farther)) == 0


def test_share_is_of_the_first():
    small, large = [[0.0, 0.0, 0.5, 0.5]], [[0.0, 0.25, 1.0, 1.0]]
    assert float(box_ops.share(small, large)[0, 0]) == 0.5
    assert float(box_ops.share(large, small)[0, 0]) == pytest.approx(0.125 / 0.75)


def test_anchors_without_batch_axis_broadcast():
    anchors, boxes = some_boxes(9), some_boxes(3, 4, seed=1)
    for function in (box_ops.iou, box_ops.giou, box_ops.share):
        found = np.asarray(function(anchors, boxes))
        assert found.shape == (3, 9, 4)
        np.testing.assert_allclose(found[1], function(anchors, boxes[1]), atol=1e-6)


def test_area_and_clip():
    boxes = [[-1, 0.5, 0.5, 2], [0.5, 0.5, 0.25, 1]]
    np.testing.assert_allclose(box_ops.area(boxes), [2.25, 0])
    np.testing.assert_allclose(box_ops.area(box_ops.clip(boxes)), [0.25, 0])


def test_code_by_hand():
    """An object of twice the anchor's height, half its width to the right."""
    code = box_ops.encode([[0.25, 0.5, 0.75, 0.9]], [[0.375, 0.3, 0.625, 0.7]])
    np.testing.assert_allclose(code, [[0, 0.5 / 0.1, np.log(2) / 0.2, 0]], atol=1e-5)
    plain = box_ops.encode([[0.25, 0.5, 0.75, 0.9]], [[0.375, 0.3, 0.625, 0.7]], (1, 1, 1, 1))
    np.testing.assert_allclose(plain, [[0, 0.5, np.log(2), 0]], atol=1e-6)


@pytest.mark.parametrize("variances", [box_ops.VARIANCES, (1.0, 2.0, 3.0, 4.0)])
def test_code_there_and_back(variances):
    corners = np.random.default_rng(0).uniform(0.1, 0.4, (2, 50, 4)).astype("float32")
    boxes = np.concatenate([0.5 - corners[..., :2], 0.5 + corners[..., 2:]], -1)
    anchors = boxes[0, ::-1]
    offsets = box_ops.encode(boxes, anchors, variances)
    np.testing.assert_allclose(box_ops.decode(offsets, anchors, variances), boxes, atol=1e-5)


def test_one_box_for_each_class():
    offsets = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype("float32")
    regions = some_boxes(2, 5)
    boxes = np.asarray(box_ops.decode(offsets, regions[:, :, None]))
    np.testing.assert_allclose(boxes[:, :, 1], box_ops.decode(offsets[:, :, 1], regions), atol=1e-6)


def test_wild_predictions_stay_finite():
    boxes = np.asarray(box_ops.decode([[1e4, -1e4, 1e4, 1e4]], [[0.25, 0.25, 0.75, 0.75]]))
    assert np.isfinite(boxes).all()
    assert boxes[0, 2] - boxes[0, 0] == pytest.approx(0.5 * 1000 / 16, rel=1e-3)


def test_nothing_is_divided_by_zero():
    nothing = tf.zeros((2, 4))
    boxes = tf.constant([[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 0.0, 0.0]])
    for function in (
        box_ops.matched_iou,
        box_ops.matched_giou,
        box_ops.iou,
        box_ops.giou,
        box_ops.share,
        box_ops.encode,
        box_ops.decode,
    ):
        for first, second in ((nothing, boxes), (boxes, nothing)):
            with tf.GradientTape() as tape:
                tape.watch([first, second])
                values = function(first, second)
            gradients = tape.gradient(values, [first, second])
            assert np.isfinite(values).all()
            assert all(np.isfinite(each).all() for each in gradients)
    assert not np.any(box_ops.iou(boxes, nothing))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_always_float32(dtype):
    boxes = tf.cast([[0, 0, 1, 1]], dtype)
    for result in (
        box_ops.iou(boxes, boxes),
        box_ops.area(boxes),
        box_ops.clip(boxes),
        box_ops.encode(boxes, boxes),
        box_ops.convert(boxes, "yxyx", "xywh"),
    ):
        assert result.dtype == tf.float32


def test_no_boxes():
    nothing = tf.zeros((2, 0, 4))
    assert box_ops.iou(some_boxes(5), nothing).shape == (2, 5, 0)
    assert box_ops.encode(nothing, nothing).shape == (2, 0, 4)
    assert box_ops.convert(nothing, "rel_yxyx", "xywh", SIZE).shape == (2, 0, 4)


def test_open_shapes_in_a_graph():
    traced = tf.function(
        lambda boxes, others: (box_ops.giou(boxes, others), box_ops.encode(boxes, boxes)),
        input_signature=[tf.TensorSpec((None, None, 4))] * 2,
        autograph=False,
    )
    overlap, code = traced(some_boxes(2, 3), some_boxes(2, 4))
    assert overlap.shape == (2, 3, 4)
    np.testing.assert_allclose(code, np.zeros((2, 3, 4)), atol=1e-5)


def test_errors():
    box = [[0.0, 0.0, 1.0, 1.0]]
    with pytest.raises(ValueError, match="`source` must be one of .* Received: 'coco'"):
        box_ops.convert(box, "coco", "yxyx")
    with pytest.raises(ValueError, match="`target` must be one of .* Received: 'rel_rel_xyxy'"):
        box_ops.convert(box, "yxyx", "rel_rel_xyxy")
    with pytest.raises(ValueError, match="`size` must be the .* from 'rel_yxyx' to 'xywh'"):
        box_ops.convert(box, "rel_yxyx", "xywh")
    with pytest.raises(ValueError, match=r"four numbers along their last axis. .* \(1, 5\)"):
        box_ops.area([[0.0, 0.0, 1.0, 1.0, 0.9]])
