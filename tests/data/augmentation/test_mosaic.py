"""Mosaics: what is shown of four pictures, against the pixels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

import kvision as kv

HEIGHT, WIDTH = 64, 80


def paint(count):
    """Pictures of one rectangle each, of a channel and a class of its own."""
    random = np.random.default_rng(3)
    images = np.zeros((count, HEIGHT, WIDTH, 3), "uint8")
    masks, boxes = np.zeros((count, 1, HEIGHT, WIDTH), "uint8"), np.zeros((count, 1, 4))
    for number in range(count):
        tall, wide = random.integers(20, 50), random.integers(20, 60)
        y, x = random.integers(3, HEIGHT - tall - 3), random.integers(3, WIDTH - wide - 3)
        images[number, y : y + tall, x : x + wide, number % 3] = 255
        masks[number, 0, y : y + tall, x : x + wide] = 1
        boxes[number, 0] = y / HEIGHT, x / WIDTH, (y + tall) / HEIGHT, (x + wide) / WIDTH
    objects = {
        "bbox": boxes.astype("float32"),
        "label": np.arange(count)[:, None] % 3,
        "is_crowd": (np.arange(count) % 2 == 0)[:, None],
        "mask": masks,
    }
    return tf.data.Dataset.from_tensor_slices({"image": images, "objects": objects})


def passes(dataset, count, mosaic=1.0, **kwargs):
    kwargs = {"target": "objects", "masks": True, "max_boxes": 6, "cache": True, **kwargs}
    batches = kv.data.batches(dataset, (HEIGHT, WIDTH), 5, True, None, mosaic=mosaic, **kwargs)
    return [list(batches.unbatch().as_numpy_iterator()) for _ in range(count)]


@pytest.mark.parametrize("masks", [True, False])
def test_boxes_and_masks_of_mosaics(masks):
    scale, found, difficult = [HEIGHT, WIDTH, HEIGHT, WIDTH], 0, 0
    results = list(itertools.chain(*passes(paint(12), 3, masks=masks)))
    assert len(results) == 36
    for image, truth in results:
        boxes = truth["boxes"] * scale
        for label in range(3):
            mine = np.flatnonzero(truth["classes"] == label)
            seen = image[..., label] > 127
            if masks:
                together = truth["masks"][mine].any(0) if len(mine) else np.zeros_like(seen)
                assert np.mean(seen != together) < 0.012
            # Every patch of the colour that is not a sliver has its box and vice versa.
            patches, count = ndimage.label(seen)
            extents = [
                [part.start for part in window] + [part.stop for part in window]
                for number, window in enumerate(ndimage.find_objects(patches), start=1)
                if (patches[window] == number).sum() > 20
            ]
            for extent in extents:
                assert np.abs(boxes[mine] - extent).max(-1).min() < 2.0
            found += len(extents)
            difficult += truth["difficult"][mine].sum()
            assert len(mine) >= len(extents)
    assert found > 60
    assert difficult > 0


def test_crowds_stay_crowds():
    """Classes 0 to 2 of even pictures are crowds; a mosaic of four holds two of them."""
    for _, truth in passes(paint(4), 1)[0]:
        assert truth["crowd"].sum() <= 2
        assert truth["crowd"][truth["classes"] < 0].sum() == 0


@pytest.mark.slow
def test_probability():
    originals = {example["image"].tobytes() for example in paint(40).as_numpy_iterator()}
    shares = []
    for mosaic in (0.4, 1.0):
        results = itertools.chain(*passes(paint(40), 4, mosaic, masks=False))
        same = [image.astype("uint8").tobytes() in originals for image, _ in results]
        shares.append(1 - np.mean(same))
    assert shares[0] == pytest.approx(0.4, abs=0.1)
    assert shares[1] > 0.97


def test_pictures_that_are_none_stay_as_they_are():
    originals = {e["image"].tobytes(): e["objects"] for e in paint(12).as_numpy_iterator()}
    plain = 0
    for image, truth in passes(paint(12), 1, 0.5)[0]:
        before = originals.get(image.astype("uint8").tobytes())
        if before is not None:
            plain += 1
            np.testing.assert_allclose(truth["boxes"][:1], before["bbox"], atol=1e-6)
            np.testing.assert_array_equal(truth["masks"][:1], before["mask"])
            assert (truth["classes"][1:] == -1).all()
    assert plain > 2


def test_follows_seed_and_epoch_alone():
    """Also where the number of examples is no multiple of four, and in one endless pass."""
    dataset = paint(10)
    first, second = passes(dataset, 2, 0.7, masks=False)
    resumed = passes(dataset, 1, 0.7, masks=False, first_epoch=1)[0]
    endless = kv.data.batches(
        dataset,
        (HEIGHT, WIDTH),
        5,
        True,
        None,
        mosaic=0.7,
        target="objects",
        max_boxes=6,
        repeat=True,
        cache=True,
    )
    endless = list(endless.unbatch().take(20).as_numpy_iterator())
    assert len(first) == len(second) == 10
    assert any((x != u).any() for (x, _), (u, _) in zip(first, second, strict=True))
    for left, right in ((resumed, second), (endless[:10], first), (endless[10:], second)):
        for (x, y), (u, v) in zip(left, right, strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y["boxes"], v["boxes"])


def test_from_files_and_with_augmentation(shared_data):
    data = kv.data.load(shared_data / "bccd", "test[:10]")
    augment = kv.data.detection_augmentation()
    kwargs = {"target": "objects", "mosaic": 1.0, "cache": False}
    batches = kv.data.batches(data, (48, 64, 3), 4, True, augment, **kwargs)
    sizes = [len(images) for images, _ in batches]
    assert sizes == [4, 4, 2]


def test_pictures_without_objects():
    empty = {
        "image": np.zeros((3, HEIGHT, WIDTH, 3), "uint8"),
        "objects": {"bbox": np.zeros((3, 0, 4), "float32"), "label": np.zeros((3, 0), "int64")},
    }
    results = passes(tf.data.Dataset.from_tensor_slices(empty), 1, masks=False)[0]
    assert len(results) == 3
    assert all((truth["classes"] == -1).all() for _, truth in results)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"mosaic": 2, "target": "objects"}, "must be a probability"),
        ({"mosaic": 0.5, "labelled": True}, "must go with `target='objects'`"),
        ({"mosaic": 0.5, "target": "objects", "endless": True}, "that knows its length"),
    ],
)
def test_errors(kwargs, message):
    dataset = paint(4)
    if kwargs.pop("labelled", False):
        dataset = dataset.map(lambda example: {**example, "label": 1})
    if kwargs.pop("endless", False):
        dataset = dataset.filter(lambda example: True)
    with pytest.raises(ValueError, match=message):
        kv.data.batches(dataset, 32, training=True, **kwargs)
