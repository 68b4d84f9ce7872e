"""Boxes and masks of several objects after augmentation, against the pixels they were painted with.

Each of three rectangles lights up a channel of its own, so that pixels say where it has gone.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv

L, V = keras.layers, kv.layers
HEIGHT, WIDTH, COUNT = 96, 128, 24
BLACK = {"fill_mode": "constant", "fill_value": 0.0}
FEW = 24  # pixels: less of an object has no definite extent

MOVING = {
    "flip": L.RandomFlip(),
    "rotation": L.RandomRotation(0.1, **BLACK),
    "translation": L.RandomTranslation(0.2, 0.2, **BLACK),
    "zoom": L.RandomZoom((-0.3, 0.3), **BLACK),
    "lens": V.RandomLensDistortion((-0.25, 0.4), **BLACK),
    "elastic": V.RandomElasticDeformation(3.0, **BLACK),
    "zoom_out": V.RandomZoomOut(3.0, 0.8, fill_value=0.0),
    "scale_jitter": V.RandomScaleJitter((0.5, 2.0), fill_value=0.0),
    "box_crop": V.RandomBoxCrop(),
    "ssd": [V.RandomZoomOut(2.0, fill_value=0.0), V.RandomBoxCrop(fill_value=0.0), L.RandomFlip()],
    "crop_then_zoom": [V.RandomBoxCrop(), V.RandomZoomOut(2.0, 1.0, 0.0)],
}


def paint(count=COUNT, size=(HEIGHT, WIDTH)):
    """Examples with three rectangles that do not touch each other or the border."""
    random = np.random.default_rng(0)
    height, width = size
    images = np.zeros((count, height, width, 3), "uint8")
    boxes, masks = np.zeros((count, 3, 4)), np.zeros((count, 3, height, width), "uint8")
    for number in range(count):
        for channel in range(3):
            # Each in a third of the width.
            tall, wide = random.integers(16, height // 2), random.integers(16, width // 3 - 6)
            y = random.integers(2, height - tall - 2)
            x = channel * (width // 3) + random.integers(2, width // 3 - wide - 2)
            images[number, y : y + tall, x : x + wide, channel] = 255
            masks[number, channel, y : y + tall, x : x + wide] = 1
            boxes[number, channel] = y / height, x / width, (y + tall) / height, (x + wide) / width
    objects = {
        "bbox": boxes.astype("float32"),
        "label": np.tile(np.arange(3), (count, 1)),
        "is_crowd": np.tile([False, True, False], (count, 1)),
        "is_difficult": np.tile([False, False, True], (count, 1)),
        "mask": masks,
    }
    return tf.data.Dataset.from_tensor_slices({"image": images, "objects": objects})


@pytest.fixture(scope="module")
def painted():
    return paint()


def truths(dataset, augment, size=(HEIGHT, WIDTH), **kwargs):
    kwargs = {"target": "objects", "masks": True, "max_boxes": 12, **kwargs}
    batches = kv.data.batches(dataset, size, 8, True, augment, **kwargs)
    return list(batches.unbatch().as_numpy_iterator())


def extent(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


SLOW = ("elastic", "lens", "rotation")  # layers that other tests know


@pytest.mark.parametrize(
    ("name", "masks"),
    [
        *(pytest.param(n, True, marks=pytest.mark.slow if n in SLOW else ()) for n in MOVING),
        *((name, False) for name in ("zoom", "ssd", "crop_then_zoom")),
    ],
)
def test_painted_rectangles(painted, name, masks):
    kept = 0
    for image, truth in truths(painted, MOVING[name], masks=masks, seed=1):
        for number, label in enumerate(truth["classes"]):
            if label < 0:
                continue
            seen = image[..., label] > 127
            if masks:
                assert np.mean(seen != (truth["masks"][number] == 1)) < 0.006
            if seen.sum() < FEW:
                continue
            kept += 1
            box = truth["boxes"][number] * [HEIGHT, WIDTH, HEIGHT, WIDTH]
            np.testing.assert_allclose(box, extent(seen), atol=2.0)
            assert truth["crowd"][number] == (label == 1)
            assert truth["difficult"][number] >= (label == 2)
    assert kept > COUNT


@pytest.mark.parametrize("name", ["ssd", "scale_jitter", "translation"])
def test_what_is_left_out_is_out_of_sight(painted, name):
    """Objects without a box are gone, or their centre is."""
    lost = 0
    far = {"translation": L.RandomTranslation(0.5, 0.5, **BLACK)}
    for image, truth in truths(painted, {**MOVING, **far}[name]):
        for label in {0, 1, 2} - set(truth["classes"].tolist()):
            seen = image[..., label] > 127
            lost += 1
            if name != "ssd":
                assert seen.sum() < FEW
            elif seen.any():
                # What is left of it touches the border.
                assert (extent(seen)[:2] == 0).any() | (extent(seen)[2:] == [HEIGHT, WIDTH]).any()
    assert lost > 0


@pytest.mark.parametrize("fill_mode", ["constant", "nearest"])
def test_of_what_little_is_left_is_difficult(painted, fill_mode):
    """A quarter of the box decides it, counted with the areas of the rectangles before."""
    before = {
        (number, label): mask.sum()
        for number, example in enumerate(painted.as_numpy_iterator())
        for label, mask in enumerate(example["objects"]["mask"])
    }
    shift = L.RandomTranslation((0.35, 0.45), (0.2, 0.3), fill_mode=fill_mode)
    seen = {True: 0, False: 0}
    for number, (image, truth) in enumerate(truths(painted, shift, masks=False, shuffle=False)):
        for row, label in enumerate(truth["classes"]):
            share = (image[..., max(label, 0)] > 127).sum() / before.get((number, label), 1)
            if label < 0 or label == 2 or abs(share - 0.25) < 0.06:
                continue
            assert truth["difficult"][row] == (share < 0.25)
            seen[share < 0.25] += 1
    assert min(seen.values()) > 0


def test_a_mirrored_border_is_no_part_of_an_object(painted):
    reflect = L.RandomTranslation(0.3, 0.3)
    for _, truth in truths(painted, reflect):
        for row, label in enumerate(truth["classes"]):
            if label >= 0 and truth["masks"][row].any():
                box = truth["boxes"][row] * [HEIGHT, WIDTH, HEIGHT, WIDTH]
                np.testing.assert_allclose(extent(truth["masks"][row]), box, atol=1.01)


def test_boxes_hug_masks_after_a_turn():
    """The box around a turned disc is no larger than before; around its turned box it would be."""
    y, x = np.mgrid[:64, :64]
    disc = ((y - 31.5) ** 2 + (x - 31.5) ** 2 < 20**2).astype("uint8")
    objects = {"bbox": np.array([[12, 12, 52, 52]], "float32") / 64, "label": [3]}
    objects["mask"] = disc[None]
    image = np.repeat(disc[..., None] * 255, 3, -1)
    data = tf.data.Dataset.from_tensors({"image": image, "objects": objects}).repeat(8)
    turn = L.RandomRotation((0.12, 0.13), **BLACK)
    for masks, side in ((True, 40), (False, 40 * 2**0.5)):
        for _, truth in truths(data, turn, 64, masks=masks):
            box = truth["boxes"][0] * 64
            np.testing.assert_allclose(box[2:] - box[:2], side, atol=2.0)


def test_zoom_out_and_crop_resample_once():
    """Zoomed out fourfold and cropped again, fine stripes are still there."""
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::2] = 255
    objects = {"bbox": np.array([[0, 0, 1, 1]], "float32"), "label": [0]}
    data = tf.data.Dataset.from_tensors({"image": stripes, "objects": objects}).repeat(16)
    # Crops that hold nearly nothing but the object, which is all of the picture.
    layers = [
        V.RandomZoomOut((4, 4), 1.0, 0.0),
        V.RandomBoxCrop((0.8,), (0.2, 0.3), trials=200, fill_value=0.0),
    ]
    contrasts = []
    for image, truth in truths(data, layers, 64, masks=False):
        box = truth["boxes"][0] * 64
        if box[2] - box[0] > 48:
            middle = image[24:40, 24:40, 0]
            contrasts.append(np.abs(np.diff(middle, axis=1)).mean())
    assert len(contrasts) > 3
    assert min(contrasts) > 60


def test_defaults_of_detectors(painted):
    results, again, other = (
        truths(painted, kv.data.detection_augmentation(), masks=False, seed=seed)
        for seed in (0, 0, 5)
    )
    images = np.stack([image for image, _ in results])
    assert images.min() >= -0.5
    assert images.max() <= 255.5
    for (x, y), (u, v) in zip(results, again, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y["boxes"], v["boxes"])
    assert any((x != u).any() for (x, _), (u, _) in zip(results, other, strict=True))
    names = [type(layer).__name__ for layer in kv.data.detection_augmentation(zoom_out=None)]
    assert "RandomBoxCrop" in names
    assert "RandomZoomOut" not in names


def test_saturation_of_ssd():
    """Factors of a half to one and a half, computed with the colours of the standard library."""
    import colorsys

    layer = kv.data.detection_augmentation()[2]
    pixel = (200.0, 120.0, 60.0)
    image = np.tile(np.array(pixel, "float32"), (64, 4, 4, 1))
    moved = np.asarray(layer(image, training=True))[:, 0, 0]
    before = colorsys.rgb_to_hsv(*(value / 255 for value in pixel))
    after = np.array([colorsys.rgb_to_hsv(*(rgb / 255)) for rgb in moved.astype("float64")])
    factors = after[:, 1] / before[1]
    assert 0.49 < factors.min() < 0.65
    assert 1.2 < factors.max() < 1.51
    np.testing.assert_allclose(
        after[:, [0, 2]], np.tile([before[0], before[2]], (64, 1)), atol=2e-3
    )
    red = np.full((32, 2, 2, 3), [255.0, 0.0, 10.0], "float32")
    strong = np.asarray(layer(red, training=True))
    assert strong.min() >= 0.0
