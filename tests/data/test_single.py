"""Labels and masks in the order of a model's classes."""

import numpy as np
import pytest
import tensorflow as tf

import kvision as kv


def test_masks_are_renumbered_and_void_stays():
    mask = np.array([[[0], [1], [2], [255]]], "uint8")
    example = {"image": np.zeros((1, 4, 3), "uint8"), "segmentation_mask": mask}
    dataset = tf.data.Dataset.from_tensors(example)
    names, wanted = ["sky", "cat", "dog"], ["cow", "dog", "sky", "cat"]
    changed = kv.data.relabel(dataset, names, wanted, "segmentation_mask")
    found = next(changed.as_numpy_iterator())["segmentation_mask"]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [[[2], [3], [1], [255]]])
    with pytest.raises(ValueError, match="Received others: cat"):
        kv.data.relabel(dataset, names, ["sky", "dog"], "segmentation_mask")


def test_labels_are_renumbered():
    digits = kv.data.load("digits", "test[:20]")
    names = [str(digit) for digit in range(10)]
    turned = kv.data.relabel(digits, names, names[::-1])
    pairs = zip(digits.as_numpy_iterator(), turned.as_numpy_iterator(), strict=True)
    assert all(one["label"] + other["label"] == 9 for one, other in pairs)
