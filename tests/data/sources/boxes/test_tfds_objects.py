"""TFDS's objects, with TFDS's own nonsense data, and with boxes that are known."""

import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.data.sources.boxes.tfds_objects import with_sane_objects


def test_only_boxes_with_an_area_are_left():
    boxes = [
        [0.1, 0.2, 0.3, 0.4],
        [0.3, 0.4, 0.1, 0.2],
        [0.5, 0.5, 0.5, 0.9],
        [-0.2, 0.5, 0.2, 1.4],
        [1.1, 0.5, 1.2, 0.6],
        [np.nan, 0.0, 1.0, 1.0],
        [0.0, 0.0, np.inf, 1.0],
        [0.0, 0.0, 1.0, 1.0],
    ]
    objects = {
        "bbox": tf.constant(boxes, tf.float32),
        "label": tf.range(7, dtype=tf.int64),
        "is_crowd": tf.constant([False, True, False, True, False, False, False]),
    }
    result = with_sane_objects({"image": 1, "objects": objects})["objects"]
    expected = [[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], [0, 0.5, 0.2, 1]]
    np.testing.assert_allclose(result["bbox"], expected)
    np.testing.assert_array_equal(result["label"], [0, 1, 3])
    np.testing.assert_array_equal(result["is_crowd"], [False, True, True])


@pytest.mark.parametrize(
    ("name", "classes", "flag"),
    [("coco/2017", 80, "crowd"), ("voc/2007", 20, "difficult"), ("kitti", 8, None)],
)
def test_batches(name, classes, flag):
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=6, policy=tfds.testing.MockPolicy.USE_CODE):
        dataset, info = kv.data.load(name, "train", with_info=True)
        _, truth = next(iter(kv.data.batches(dataset, 32, 6, target="objects")))
    assert len(info.class_names) == classes
    there = truth["classes"].numpy() >= 0
    boxes = truth["boxes"].numpy()[there]
    assert len(boxes) > 10
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert truth["classes"].numpy().max() < classes
    for key in ("crowd", "difficult"):
        assert truth[key].numpy().any() == (key == flag or (name == "voc/2007" and key == flag))
    if name == "coco/2017":
        # TFDS gives the area in pixels of the picture.
        first = next(iter(dataset))
        pixels = np.prod(first["image"].shape[:2])
        np.testing.assert_allclose(
            truth["area"][0, :3], first["objects"]["area"][:3] / pixels, rtol=1e-4
        )
