"""Layers of keras-cv in the pipeline: painted rectangles say whether boxes and masks follow."""

import keras_cv
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.data.augmentation.keras_cv import COLOURING, MIXING, MOVING

L = keras_cv.layers
HEIGHT, WIDTH, COUNT = 48, 64, 24
RANGE = {"value_range": (0, 255)}
LAYERS = {
    "JitteredResize": lambda: L.JitteredResize((HEIGHT, WIDTH), (0.8, 1.25)),
    "RandomCropAndResize": lambda: L.RandomCropAndResize((HEIGHT, WIDTH), (0.5, 1), (0.9, 1.1)),
    "RandomFlip": lambda: L.RandomFlip("horizontal_and_vertical"),
    "RandomTranslation": lambda: L.RandomTranslation(0.3, 0.3, "constant"),
    "AutoContrast": lambda: L.AutoContrast(**RANGE),
    "ChannelShuffle": lambda: L.ChannelShuffle(),
    "Equalization": lambda: L.Equalization(**RANGE),
    "Grayscale": lambda: L.Grayscale(3),
    "GridMask": lambda: L.GridMask(),
    "Posterization": lambda: L.Posterization(bits=4, **RANGE),
    "RandomBrightness": lambda: L.RandomBrightness(0.2),
    "RandomChannelShift": lambda: L.RandomChannelShift(factor=0.2, **RANGE),
    "RandomColorDegeneration": lambda: L.RandomColorDegeneration(0.5),
    "RandomColorJitter": lambda: L.RandomColorJitter((0, 255), 0.2, 0.2, 0.2, 0.2),
    "RandomContrast": lambda: L.RandomContrast(value_range=(0, 255), factor=0.3),
    "RandomCutout": lambda: L.RandomCutout(0.2, 0.2),
    "RandomGaussianBlur": lambda: L.RandomGaussianBlur(3, 0.5),
    "RandomHue": lambda: L.RandomHue(0.2, **RANGE),
    "RandomJpegQuality": lambda: L.RandomJpegQuality((50, 90)),
    "RandomSaturation": lambda: L.RandomSaturation(0.3),
    "RandomSharpness": lambda: L.RandomSharpness(0.3, **RANGE),
    "Solarization": lambda: L.Solarization(threshold_factor=0.3, **RANGE),
}


def painted():
    """White rectangles, two a picture, on grey, of classes 1 and 0 in masks of class 2."""
    random = np.random.default_rng(0)
    images = np.full((COUNT, HEIGHT, WIDTH, 3), 60, "uint8")
    masks = np.full((COUNT, HEIGHT, WIDTH, 1), 2, "uint8")
    boxes = np.zeros((COUNT, 2, 4), "float32")
    for image, mask, pair in zip(images, masks, boxes, strict=True):
        for row, box in enumerate(pair):
            height, width = random.integers(10, 20, 2)
            y = random.integers(0, HEIGHT - height)
            x = row * WIDTH // 2 + random.integers(0, WIDTH // 2 - width)
            image[y : y + height, x : x + width, row] = 255
            mask[y : y + height, x : x + width] = 1 - row
            box[:] = y / HEIGHT, x / WIDTH, (y + height) / HEIGHT, (x + width) / WIDTH
    objects = {"bbox": boxes, "label": np.tile([7, 5], (COUNT, 1))}
    return {"image": images, "objects": objects, "segmentation_mask": masks}


def augmented(layer, **kwargs):
    dataset = tf.data.Dataset.from_tensor_slices(painted())
    options = {"training": True, "augment": [layer], "shuffle": False, **kwargs}
    return list(
        kv.data.batches(dataset, (HEIGHT, WIDTH), 8, **options).unbatch().as_numpy_iterator()
    )


def test_every_known_layer_is_tried():
    assert set(LAYERS) == {*MOVING, *COLOURING}
    assert all(hasattr(L, name) for name in MIXING)


@pytest.mark.parametrize("name", MOVING)
def test_boxes_and_masks_follow(name):
    originals = painted()
    moved = 0
    for original, result in zip(originals["image"], augmented(LAYERS[name]()), strict=True):
        moved += (result["image"] != original).any()
        mask = result["segmentation_mask"][..., 0]
        assert set(np.unique(mask)) <= {0, 1, 2, 255}
        red, green = (result["image"][..., channel] > 150 for channel in (0, 1))
        for colour, number, label in ((red, 1, 7), (green, 0, 5)):
            assert np.mean(colour != (mask == number)) < 0.02
            if colour.sum() < 40:
                continue
            rows, columns = np.flatnonzero(colour.any(1)), np.flatnonzero(colour.any(0))
            seen = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
            box = result["objects"]["bbox"][result["objects"]["label"] == label]
            assert len(box) == 1
            np.testing.assert_allclose(box[0] * [HEIGHT, WIDTH, HEIGHT, WIDTH], seen, atol=3)
    assert moved > COUNT / 2


def test_what_comes_in_from_outside_has_no_class():
    masks = [x["segmentation_mask"] for x in augmented(LAYERS["RandomTranslation"]())]
    assert np.mean(np.stack(masks) == 255) > 0.05


@pytest.mark.parametrize("name", COLOURING)
def test_colours_change_and_the_rest_stays(name):
    before = painted()
    after = augmented(LAYERS[name]())
    np.testing.assert_array_equal(
        [x["segmentation_mask"] for x in after], before["segmentation_mask"]
    )
    np.testing.assert_allclose(
        [x["objects"]["bbox"] for x in after], before["objects"]["bbox"], atol=1e-6
    )


def test_refusals():
    dataset = tf.data.Dataset.from_tensor_slices(painted())
    with pytest.raises(ValueError, match="`MixUp`: it mixes the labels of different images"):
        kv.data.batches(dataset, (HEIGHT, WIDTH), 8, training=True, augment=[L.MixUp()])
    turn = L.RandomRotation(0.1)
    with pytest.raises(ValueError, match="Received: `RandomRotation`. Known are .* of keras-cv"):
        kv.data.batches(dataset, (HEIGHT, WIDTH), 8, training=True, augment=[turn])
    with pytest.raises(ValueError, match="must keep the image size .*`RandomCropAndResize` of ke"):
        augmented(L.RandomCropAndResize((32, 32), (0.5, 1.0), (0.9, 1.1)))
    # For pictures alone it turns them.
    labels = {"image": painted()["image"], "label": np.arange(COUNT)}
    pictures = tf.data.Dataset.from_tensor_slices(labels)
    batches = kv.data.batches(pictures, (HEIGHT, WIDTH), 8, training=True, augment=[turn])
    assert next(iter(batches))[0].shape == (8, HEIGHT, WIDTH, 3)
