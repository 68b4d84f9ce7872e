"""Losses of sampled anchors and regions, and the targets of masks, against NumPy and SciPy."""

import keras
import numpy as np
from scipy.ndimage import map_coordinates

from kvision.losses import regions

RNG = np.random.default_rng(0)
STATE = np.array([[1, 0, 0, -1, 1], [0, -1, 0, 0, -1], [-1, -1, -1, -1, -1]])


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def gradient(loss, values):
    tf = __import__("tensorflow")
    values = tf.convert_to_tensor(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(loss(values))
    return tape.gradient(total, values).numpy()


def test_objectness_is_the_mean_cross_entropy_of_the_sample():
    logits = RNG.normal(0, 2, (3, 5)).astype("float32")
    chance = 1 / (1 + np.exp(-logits))
    losses = -np.where(STATE == 1, np.log(chance), np.log(1 - chance))
    wanted = [losses[0][[0, 1, 2, 4]].mean(), losses[1][[0, 2, 3]].mean(), 0.0]
    found = numbers(regions.objectness_loss(logits, STATE))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_two_columns_are_a_softmax_whose_second_is_the_object():
    logits = RNG.normal(0, 2, (3, 5, 2)).astype("float32")
    losses = keras.losses.sparse_categorical_crossentropy(STATE == 1, logits, from_logits=True)
    wanted = numbers(losses)[0][[0, 1, 2, 4]].mean()
    np.testing.assert_allclose(regions.objectness_loss(logits, STATE)[0], wanted, rtol=1e-5)


def test_scores_of_any_size_give_finite_losses():
    logits = np.array([[1e4, -1e4, 1e4, -1e4, -1e4]], "float32")
    assert np.isfinite(gradient(lambda x: regions.objectness_loss(x, STATE[:1]), logits)).all()
    assert numbers(regions.objectness_loss(logits, STATE[:1]))[0] == 2e4 / 4  # two are wrong


def test_classes_are_a_softmax_averaged_over_the_sample():
    logits = RNG.normal(0, 1, (3, 5, 4)).astype("float32")
    labels = RNG.integers(0, 4, (3, 5))
    chance = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    losses = -np.log(np.take_along_axis(chance, labels[..., None], -1)[..., 0])
    wanted = [losses[0][[0, 1, 2, 4]].mean(), losses[1][[0, 2, 3]].mean(), 0.0]
    found = numbers(regions.region_class_loss(labels, logits, STATE))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_boxes_of_objects_count_over_the_whole_sample():
    targets = np.zeros((3, 5, 4), "float32")
    offsets = np.zeros((3, 5, 4), "float32")
    offsets[0, 0] = [0.5, 0.0, 0.0, 3.0]  # 0.125 + 2.5
    offsets[0, 1] = offsets[0, 3] = offsets[1] = 9.0  # background and not in the sample
    found = numbers(regions.region_box_loss(targets, offsets, STATE))
    np.testing.assert_allclose(found, [2.625 / 4, 0.0, 0.0])


def test_targets_that_mean_nothing_reach_no_gradient():
    targets = np.full((3, 5, 4), np.nan, "float32")
    targets[0, [0, 4]] = 0.25
    offsets = RNG.normal(size=(3, 5, 4)).astype("float32")
    moved = gradient(lambda x: regions.region_box_loss(targets, x, STATE), offsets)
    assert np.isfinite(moved).all()
    assert (np.abs(moved).sum(-1) > 0).tolist() == (STATE == 1).tolist()


def test_masks_are_binary_cross_entropy_of_those_that_count():
    targets = RNG.integers(0, 2, (2, 3, 4, 4)).astype("float32")
    logits = RNG.normal(0, 2, (2, 3, 4, 4)).astype("float32")
    counts = np.array([[True, False, True], [False] * 3])
    wanted = keras.losses.binary_crossentropy(targets[0, [0, 2]], logits[0, [0, 2]], True)
    found = numbers(regions.mask_loss(targets, logits, counts))
    np.testing.assert_allclose(found, [numbers(wanted).mean(), 0.0], rtol=1e-5)
    moved = gradient(lambda x: regions.mask_loss(targets, x, counts), logits)
    assert (np.abs(moved).max((2, 3)) > 0).tolist() == counts.tolist()


def test_mask_targets_are_those_of_scipy():
    masks = (RNG.uniform(size=(2, 3, 20, 30)) < 0.5).astype("uint8")
    low = RNG.uniform(-0.1, 0.6, (2, 6, 2))
    boxes = np.concatenate([low, low + RNG.uniform(0.1, 0.5, (2, 6, 2))], -1).astype("float32")
    index = RNG.integers(0, 3, (2, 6))
    found = numbers(regions.mask_targets(masks, index, boxes, 7))
    assert found.shape == (2, 6, 7, 7)
    unclear = 0
    for picture in range(2):
        for region in range(6):
            top, left, bottom, right = boxes[picture, region].astype("float64")
            middles = (np.arange(7) + 0.5) / 7
            rows = (top + (bottom - top) * middles) * 20 - 0.5
            columns = (left + (right - left) * middles) * 30 - 0.5
            places = np.meshgrid(rows, columns, indexing="ij")
            mask = masks[picture, index[picture, region]].astype("float64")
            values = map_coordinates(mask, places, order=1, mode="nearest")
            sure = np.abs(values - 0.5) > 1e-4
            unclear += (~sure).sum()
            assert (found[picture, region] == (values >= 0.5))[sure].all()
    assert unclear < 50


def test_a_mask_that_fills_its_box_is_one_everywhere():
    masks = np.zeros((1, 2, 32, 32), "uint8")
    masks[0, 1, 4:20, 8:24] = 1
    boxes = np.array([[[4, 8, 20, 24], [4, 0, 20, 16]]], "float32") / 32
    found = numbers(regions.mask_targets(masks, np.array([[1, 1]]), boxes, 28))[0]
    assert (found[0] == 1).all()
    assert (found[1, :, :14] == 0).all()
    assert (found[1, :, 14:] == 1).all()
