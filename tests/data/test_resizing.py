"""Resizing: where the pixels, boxes and masks of each mode go."""

import numpy as np
import pytest
import tensorflow as tf

import kvision as kv

# A red square on black, off the centre: rows 10..20, columns 30..40 of 40 x 80 pixels.
BOX = np.array([[10 / 40, 30 / 80, 20 / 40, 40 / 80]], "float32")


def example():
    image = np.zeros((40, 80, 3), "uint8")
    image[10:20, 30:40] = 255
    return {
        "image": image,
        "objects": {"bbox": BOX, "label": np.array([1])},
        "segmentation_mask": (image[..., :1] > 0).astype("uint8"),
    }


def resized(size, mode, source=None, **kwargs):
    dataset = tf.data.Dataset.from_tensors(source or example())
    batch = next(kv.data.batches(dataset, size, 1, resize=mode, **kwargs).as_numpy_iterator())
    return batch["image"][0], batch["objects"]["bbox"][0, 0], batch["segmentation_mask"][0]


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(40, 40), (80, 40), (37, 91), (20, 61), (101, 103)])
def test_boxes_and_masks_follow(mode, size):
    image, box, mask = resized(size, mode)
    white = image[..., 0] > 127
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    seen = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
    np.testing.assert_allclose(box * np.tile(size, 2), seen, atol=1.0)
    assert np.mean(white != (mask[..., 0] == 1)) < 0.01
    assert set(np.unique(mask)) <= {0, 1, 255}
    # Void is what was padded, which is neither class.
    assert (255 in mask) == (mode == "pad" and size[0] * 2 != size[1])


def aspect(image):
    white = image[..., 0] > 127
    return white.any(1).sum() / white.any(0).sum()


def test_crop_and_pad_keep_the_aspect_ratio():
    assert aspect(resized((40, 40), "stretch")[0]) == pytest.approx(2.0)
    assert aspect(resized((40, 40), "crop")[0]) == pytest.approx(1.0)
    assert aspect(resized((40, 40), "pad")[0]) == pytest.approx(1.0)


def test_pad_adds_black_and_void_on_both_sides():
    source = example()
    source["image"] = np.full((40, 80, 3), 200, "uint8")
    source["pixel_weight"] = np.full((40, 80, 1), 3.0, "float32")
    dataset = tf.data.Dataset.from_tensors(source)
    batches = kv.data.batches(dataset, 80, 1, resize="pad", target="segmentation_mask")
    image, mask, weights = (part[0] for part in next(batches.as_numpy_iterator()))
    assert (image[20:60] == 200).all()
    for border in (slice(0, 20), slice(60, 80)):
        assert (image[border] == 0).all()
        assert (mask[border] == 255).all()
        assert (weights[border] == 0).all()
    assert (mask[20:60] != 255).all()
    assert (weights[20:60] == 3).all()


def test_crop_takes_the_middle():
    source = example()
    source["image"] = np.broadcast_to(np.arange(80, dtype="uint8")[None, :, None], (40, 80, 3))
    image, _, _ = resized((40, 40), "crop", source)
    np.testing.assert_array_equal(image[0, :, 0], np.arange(20, 60))


def test_boxes_outside_the_crop_go():
    source = example()
    source["objects"] = {
        "bbox": np.array([[0.1, 0.0, 0.5, 0.1], [0.1, 0.1, 0.5, 0.5]], "float32"),
        "label": np.array([1, 2]),
    }
    dataset = tf.data.Dataset.from_tensors(source)
    batch = next(kv.data.batches(dataset, 40, 1, resize="crop").as_numpy_iterator())
    np.testing.assert_array_equal(batch["objects"]["label"][0], [2])
    np.testing.assert_allclose(batch["objects"]["bbox"][0, 0], [0.1, 0.0, 0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
def test_same_size_changes_nothing(mode):
    image, box, mask = resized((40, 80), mode)
    np.testing.assert_array_equal(image, example()["image"])
    np.testing.assert_array_equal(mask, example()["segmentation_mask"])
    np.testing.assert_allclose(box, BOX[0])


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 3)])
def test_odd_sizes(mode, shape):
    source = {"image": np.full((*shape, 1), 77, "uint8")}
    dataset = tf.data.Dataset.from_tensors(source)
    image = next(kv.data.batches(dataset, (5, 9, 3), 1, resize=mode).as_numpy_iterator())[0]
    assert image.shape == (5, 9, 3)
    assert image.max() == 77


def test_grey_is_luma():
    source = {"image": np.full((4, 4, 3), (255, 0, 0), "uint8")}
    dataset = tf.data.Dataset.from_tensors(source)
    image = next(kv.data.batches(dataset, 4, 1, channels=1).as_numpy_iterator())[0]
    assert image.shape == (4, 4, 1)
    np.testing.assert_allclose(image, 0.299 * 255, atol=1.0)


def test_antialias_averages():
    source = {
        "image": np.tile(np.array([0, 0, 0, 240], "uint8"), 16).reshape(1, 64, 1).repeat(64, 0)
    }
    dataset = tf.data.Dataset.from_tensors(source)
    plain, smooth = (
        next(kv.data.batches(dataset, 16, 1, antialias=value).as_numpy_iterator())[0]
        for value in (False, True)
    )
    assert np.abs(plain[4:-4, 4:-4] - 60).min() > 30
    np.testing.assert_allclose(smooth[4:-4, 4:-4], 60, atol=8)
