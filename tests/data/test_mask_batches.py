"""Masks in `batches`: what is asked for comes, void stays void, weights move with their pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.layers.augmentation.random_elastic_deformation import RandomElasticDeformation
from kvision.layers.augmentation.random_lens_distortion import RandomLensDistortion

L = keras.layers
SIZE = (64, 80)


def everything(count=4):
    """Examples with all features; the mask holds a void block in a class of its own colour."""
    random = np.random.default_rng(0)
    images = np.zeros((count, *SIZE, 3), "uint8")
    masks = np.zeros((count, *SIZE, 1), "uint8")
    boxes = np.zeros((count, 1, 4), "float32")
    for image, mask, box in zip(images, masks, boxes, strict=True):
        y, x = random.integers(5, 30, 2)
        for value, colour, rows in ((1, 120, slice(y, y + 20)), (255, 240, slice(y + 20, y + 30))):
            mask[rows, x : x + 30] = value
            image[rows, x : x + 30] = colour
        box[0] = y / SIZE[0], x / SIZE[1], (y + 30) / SIZE[0], (x + 30) / SIZE[1]
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": images,
            "label": np.arange(count),
            "objects": {"bbox": boxes, "label": np.ones((count, 1), "int64")},
            "segmentation_mask": masks,
            "pixel_weight": images[..., :1].astype("float32") / 100,
            "depth": np.ones((count, 2, 2), "float32"),
        }
    )


def only(*names):
    return everything().map(lambda example: {name: example[name] for name in names})


@pytest.mark.parametrize("training", [False, True])
def test_what_is_asked_for_comes(training):
    def first(dataset=None, **kwargs):
        dataset = everything() if dataset is None else dataset
        options = {"training": training, "augment": True, **kwargs}
        return next(kv.data.batches(dataset, 32, 4, **options).as_numpy_iterator())

    images, labels = first(target="label")
    assert labels.dtype == np.int64
    assert sorted(labels) == [0, 1, 2, 3]
    images, masks, weights = first(target="segmentation_mask")
    assert images.shape == (4, 32, 32, 3)
    assert masks.shape == weights.shape == (4, 32, 32, 1)
    assert (masks.dtype, weights.dtype) == (np.uint8, np.float32)
    images, truth = first(target="objects")
    assert truth["boxes"].shape == (4, 1, 4)
    whole = first()
    assert set(whole) == {"image", "label", "objects", "segmentation_mask", "pixel_weight"}
    assert len(first(only("image", "segmentation_mask"))) == 2
    assert len(first(only("image", "segmentation_mask", "pixel_weight"))) == 3
    assert set(first(only("image", "segmentation_mask", "label"))) == {
        "image",
        "segmentation_mask",
        "label",
    }
    images, truth = first(only("image", "objects"))
    assert truth["boxes"].shape == (4, 1, 4)
    assert first(only("image", "pixel_weight")).shape == (4, 32, 32, 3)


def test_pairs_with_masks():
    pairs = everything().map(lambda example: (example["image"], example["segmentation_mask"]))
    images, masks = next(kv.data.batches(pairs, SIZE, 4).as_numpy_iterator())
    expected = next(everything().batch(4).as_numpy_iterator())
    np.testing.assert_array_equal(images, expected["image"])
    np.testing.assert_array_equal(masks, expected["segmentation_mask"])


def test_labels_alone_take_any_augmentation():
    """Layers that misplace masks are no trouble where masks are not asked for."""
    augment = [L.RandomElasticTransform(0.5)]
    batches = kv.data.batches(everything(), 32, 4, True, augment, target="label")
    assert len(next(batches.as_numpy_iterator())) == 2
    with pytest.raises(ValueError, match="RandomElasticDeformation of kvision.layers"):
        kv.data.batches(everything(), 32, 4, True, augment, target="segmentation_mask")


@pytest.mark.parametrize(
    ("dataset", "target", "message"),
    [
        (only("image"), "segmentation_mask", r"must have the target.*\['image'\]"),
        (everything(), "depth", "`target` must be None or one of"),
        (
            everything().map(lambda e: {**e, "segmentation_mask": e["segmentation_mask"][..., 0]}),
            None,
            "'segmentation_mask' of an example must be uint8",
        ),
        (
            everything().map(lambda e: {**e, "pixel_weight": tf.cast(e["pixel_weight"], "uint8")}),
            "segmentation_mask",
            "'pixel_weight' of an example must be float32",
        ),
        (
            everything().map(lambda e: (e["image"], e["label"], 1)),
            None,
            "must yield single examples",
        ),
    ],
)
def test_errors(dataset, target, message):
    with pytest.raises(ValueError, match=message):
        kv.data.batches(dataset, 32, target=target)


CONSTANT = {"fill_mode": "constant", "fill_value": 0.0}
MOVING = {
    "shift": L.RandomTranslation((0.2, 0.3), (0.2, 0.3), **CONSTANT),
    "turn": L.RandomRotation((0.1, 0.15), **CONSTANT),
    "far": L.RandomZoom((0.3, 0.5), (0.3, 0.5), fill_mode="constant", fill_value=17.0),
    "perspective": L.RandomPerspective(1.0, 0.8, fill_value=17.0),
    "lens": RandomLensDistortion((0.3, 0.4), **CONSTANT),
    "elastic": RandomElasticDeformation(4.0, **CONSTANT),
}
STAYING = {
    "flip": L.RandomFlip(),
    "crop": L.RandomZoom((-0.3, -0.1), (-0.3, -0.1)),
    "mirror": L.RandomTranslation(0.3, 0.3, fill_mode="reflect"),
    "repeat": L.RandomTranslation(0.3, 0.3, fill_mode="wrap"),
    "mirrored elastic": RandomElasticDeformation(4.0),
}


def white(count=6):
    """All of the picture is class 1, but for a void rectangle that is grey; weights are 2 and 1."""
    images = np.full((count, *SIZE, 3), 255, "uint8")
    images[:, 20:40, 30:60] = 120
    masks = np.where(images[..., :1] == 255, 1, 255).astype("uint8")
    weights = np.where(images[..., :1] == 255, 2.0, 1.0).astype("float32")
    example = {"image": images, "segmentation_mask": masks, "pixel_weight": weights}
    return tf.data.Dataset.from_tensor_slices(example)


@pytest.mark.parametrize("name", MOVING)
def test_what_comes_in_from_outside_is_void(name):
    batches = kv.data.batches(white(), SIZE, 6, True, MOVING[name])
    images, masks, weights = next(batches.as_numpy_iterator())
    outside = images[..., :1] < 60
    assert outside.mean() > 0.005
    assert outside.mean() < 0.9
    inside = images[..., :1] > 250
    grey = np.abs(images[..., :1] - 120) < 1
    # Never a class outside; but for the blurred rim, exactly what was painted.
    assert (masks[outside] == 255).all()
    assert (weights[outside] == 0).all()
    assert (masks[inside] == 1).mean() > 0.995
    assert (weights[inside] == 2).mean() > 0.995
    assert (masks[grey] == 255).mean() > 0.98
    assert (weights[grey] == 1).mean() > 0.98
    assert set(np.unique(masks)) == {1, 255}
    assert set(np.unique(weights)) == {0, 1, 2}


@pytest.mark.parametrize("name", STAYING)
def test_what_is_mirrored_is_mirrored_in_the_mask(name):
    batches = kv.data.batches(white(), SIZE, 6, True, STAYING[name])
    images, masks, weights = next(batches.as_numpy_iterator())
    assert np.mean((images[..., :1] > 187) == (masks == 1)) > 0.99
    np.testing.assert_array_equal(masks == 1, weights == 2)


def test_void_and_weights_do_not_fade():
    """Shrinking takes one pixel, never a mixture of two classes or weights."""
    _, masks, weights = next(kv.data.batches(white(), (23, 31), 6).as_numpy_iterator())
    assert set(np.unique(masks)) == {1, 255}
    np.testing.assert_array_equal(masks == 1, weights == 2)


def test_masks_and_weights_count_as_memory(monkeypatch):
    from kvision.data import pipeline

    seen = []
    monkeypatch.setattr(pipeline, "_fits", lambda count, size: seen.append(size) or False)
    kv.data.batches(everything(), SIZE, target="segmentation_mask")
    kv.data.batches(everything(), SIZE, target="label")
    assert seen == [64 * 80 * (3 + 1 + 4), 64 * 80 * 3]


def test_fit_takes_images_masks_and_weights():
    model = keras.Sequential([keras.Input((32, 32, 3)), L.Rescaling(1 / 255)])
    model.add(L.Conv2D(2, 1, activation="softmax", kernel_initializer="zeros"))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=255))
    batches = kv.data.batches(
        white().map(lambda e: {**e, "pixel_weight": e["pixel_weight"] * 3}), 32, 6
    )
    loss = model.evaluate(batches, verbose=0)
    # Everywhere ln 2: weighted by 6 where it is not void.
    assert loss == pytest.approx(6 * np.log(2), rel=0.3)
    assert len(model.fit(batches, epochs=2, verbose=0).history["loss"]) == 2
