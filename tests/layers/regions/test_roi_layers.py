"""RoI pooling and its kin: worked numbers, loops in NumPy, ramps, and the level rule."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kvision.layers import RoIAlign, RoIPool, SpatialPyramidPooling
from kvision.layers.regions.roi_align import level_index

WHOLE = np.array([[[0.0, 0.0, 1.0, 1.0]]], "float32")


def random_boxes(batch, regions, seed=0):
    corners = np.random.default_rng(seed).uniform(-0.05, 1.05, (batch, regions, 2, 2))
    return np.concatenate([corners.min(2), corners.max(2)], -1).astype("float32")


def random_maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32") - 3


def cells(low, high, number):
    """First cell and number of cells."""
    low, high = (int(math.floor(np.float32(edge) * number + 0.5)) for edge in (low, high))
    low = min(low, number - 1)
    return low, max(high - low, 1)


def pooled_by_loop(features, boxes, size):
    """Maxima of bins from floor(j w / size) to ceil((j + 1) w / size)."""
    batch, height, width, channels = features.shape
    result = np.zeros((*boxes.shape[:2], size, size, channels), "float32")
    for b, r, i, j in np.ndindex(*boxes.shape[:2], size, size):
        top, left, bottom, right = np.clip(boxes[b, r], 0, 1)
        if bottom <= top or right <= left:
            continue
        (y, h), (x, w) = cells(top, bottom, height), cells(left, right, width)
        rows = slice(y + i * h // size, y + -(-(i + 1) * h // size))
        columns = slice(x + j * w // size, x + -(-(j + 1) * w // size))
        result[b, r, i, j] = features[b, rows, columns].max(axis=(0, 1))
    return result


def aligned_by_loop(features, boxes, size, samples):
    batch, height, width, channels = features.shape
    result = np.zeros((*boxes.shape[:2], size, size, channels))
    for b, r, i, j, p, q in np.ndindex(*boxes.shape[:2], size, size, samples, samples):
        top, left, bottom, right = boxes[b, r].astype("float64")
        y = (top + (bottom - top) * (i + (p + 0.5) / samples) / size) * height - 0.5
        x = (left + (right - left) * (j + (q + 0.5) / samples) / size) * width - 0.5
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = features[b, top, left] * (1 - x + left) + features[b, top, right] * (x - left)
        lower = features[b, bottom, left] * (1 - x + left) + features[b, bottom, right] * (x - left)
        result[b, r, i, j] += (upper * (1 - y + top) + lower * (y - top)) / samples**2
    return result


def test_the_worked_numbers():
    features = np.arange(64, dtype="float32").reshape(1, 8, 8, 1)
    four = np.asarray(RoIPool(4)([features, WHOLE]))[0, 0, ..., 0]
    assert four[0].tolist() == [9, 11, 13, 15]
    assert four[3].tolist() == [57, 59, 61, 63]
    three = np.asarray(RoIPool(3)([features, WHOLE]))[0, 0, ..., 0]
    assert three[0].tolist() == [18, 21, 23]


@pytest.mark.parametrize(
    ("size", "maps"), [(7, (12, 17)), (7, (5, 4)), (3, (31, 9)), (1, (9, 16)), (2, (1, 1))]
)
def test_pooling_equals_a_loop(size, maps):
    features, boxes = random_maps(2, *maps, 3), random_boxes(2, 40)
    boxes[0, 0] = 0
    boxes[1, 3] = (0.99, 0.5, 1.0, 0.5001)  # within a cell
    boxes[1, 4] = (1.5, 0, 2, 1)  # beside the picture
    found = np.asarray(RoIPool(size)([features, boxes]))
    np.testing.assert_array_equal(found, pooled_by_loop(features, boxes, size))
    assert not found[0, 0].any()
    assert not found[1, 4].any()
    assert np.all(found[1, 3] < 0)


def test_gradient_goes_to_the_maximum():
    features, boxes = tf.constant(random_maps(2, 9, 11, 3)), random_boxes(2, 15)
    factors = random_maps(2, 15, 4, 4, 3, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(features)
        value = tf.reduce_sum(RoIPool(4)([features, boxes]) * factors)
    expected = np.zeros(features.shape)
    pooled = pooled_by_loop(features.numpy(), boxes, 4)
    for b, r, i, j, c in np.ndindex(pooled.shape):
        place = features.numpy()[b, ..., c] == pooled[b, r, i, j, c]
        expected[b, ..., c] += place * factors[b, r, i, j, c]
    np.testing.assert_allclose(tape.gradient(value, features), expected, atol=1e-4)


def test_tied_maxima_share_no_gradient():
    features = tf.ones((1, 8, 8, 1))
    with tf.GradientTape() as tape:
        tape.watch(features)
        value = tf.reduce_sum(RoIPool(2)([features, WHOLE]))
    gradient = np.asarray(tape.gradient(value, features))
    assert gradient.sum() == 4
    assert set(gradient.ravel()) == {0, 1}


@pytest.mark.parametrize("maps", [(13, 13), (10, 7), (3, 20)])
def test_pyramid_equals_loops(maps):
    features, boxes = random_maps(2, *maps, 3), random_boxes(2, 5)
    whole = np.asarray(SpatialPyramidPooling()(features))
    assert whole.shape == (2, 150)
    everything = np.tile(WHOLE, (2, 1, 1))
    for given, found in ((everything, whole[:, None]), (boxes, None)):
        if found is None:
            found = np.asarray(SpatialPyramidPooling()([features, boxes]))
        parts = [pooled_by_loop(features, given, level) for level in (6, 3, 2, 1)]
        parts = [part.reshape(2, -1, part.shape[2] ** 2 * 3) for part in parts]
        np.testing.assert_array_equal(found, np.concatenate(parts, -1))
    np.testing.assert_array_equal(whole[:, -3:], features.max(axis=(1, 2)))


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_aligning_equals_a_loop(samples):
    features, boxes = random_maps(2, 6, 9, 3), random_boxes(2, 12)
    boxes[0, 0] = 0
    found = RoIAlign(5, samples)([features, boxes])
    np.testing.assert_allclose(found, aligned_by_loop(features, boxes, 5, samples), atol=1e-4)


@pytest.mark.parametrize("samples", [1, 2])
def test_a_linear_ramp_is_exact(samples):
    """The mean of a bin's samples is the ramp at its centre."""
    height, width = 12, 20
    rows, columns = np.mgrid[:height, :width] + 0.5
    ramp = np.stack([rows, columns, 3 * rows - 2 * columns + 1], -1)[None].astype("float32")
    corners = np.random.default_rng(0).uniform(0.1, 0.9, (1, 30, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], -1).astype("float32")
    found = np.asarray(RoIAlign(7, samples)([ramp, boxes]))
    inside = (np.arange(7) + 0.5) / 7
    y = (boxes[..., :1] + (boxes[..., 2:3] - boxes[..., :1]) * inside)[..., :, None] * height
    x = (boxes[..., 1:2] + (boxes[..., 3:] - boxes[..., 1:2]) * inside)[..., None, :] * width
    y, x = np.broadcast_arrays(y, x)
    np.testing.assert_allclose(found, np.stack([y, x, 3 * y - 2 * x + 1], -1), atol=2e-5)


def test_gradient_of_aligning():
    features, boxes = tf.constant(random_maps(1, 5, 6, 2)), tf.constant(random_boxes(1, 4))
    factors = random_maps(1, 4, 3, 3, 2, seed=1)
    with tf.GradientTape() as tape:
        tape.watch([features, boxes])
        value = tf.reduce_sum(RoIAlign(3)([features, boxes]) * factors)
    gradient, none = tape.gradient(value, [features, boxes])
    assert none is None
    # It is linear in the map: the derivative is what each cell alone gives.
    for place in [(0, 0, 0), (2, 3, 1), (4, 5, 0)]:
        one = np.zeros((1, 5, 6, 2), "float32")
        one[0][place] = 1
        alone = np.sum(np.asarray(RoIAlign(3)([one, boxes])) * factors)
        np.testing.assert_allclose(gradient[0][place], alone, atol=1e-4)


def pyramid(size, strides):
    """Maps that hold the number of their level everywhere."""
    return [
        np.full((1, size[0] // s, size[1] // s, 1), index, "float32")
        for index, s in enumerate(strides)
    ]


@pytest.mark.parametrize("strides", [(4, 8, 16, 32), (8, 16, 32), (16, 32, 64)])
def test_level_rule(strides):
    """k = floor(4 + log2(sqrt(w h) / 224)), among the levels there are."""
    size = (1024, 1536)
    sides = [(h, w) for h in (20, 56, 111, 112, 224, 448, 900) for w in (28, 112, 223, 224, 896)]
    boxes = np.array([[0, 0, h / size[0], w / size[1]] for h, w in sides], "float32")
    lowest = int(math.log2(strides[0]))
    levels = [math.floor(4 + math.log2(math.sqrt(h * w) / 224)) - lowest for h, w in sides]
    expected = np.clip(levels, 0, len(strides) - 1).tolist()
    image = np.zeros((1, *size, 3), "float32")
    maps = pyramid(size, strides)
    assert np.asarray(level_index(boxes, maps, image)).tolist() == expected
    assert len(set(expected)) == len(strides)
    found = np.asarray(RoIAlign(2)([maps, boxes[None], image]))
    np.testing.assert_allclose(found[0, :, 0, 0, 0], expected, atol=1e-6)
    half = np.asarray(level_index(boxes / 2, maps, image, canonical_size=112))
    assert half.tolist() == expected


def test_pyramids_equal_their_maps():
    """Each region is aligned as by its own map alone."""
    image = np.zeros((2, 128, 192, 3), "float32")
    maps = [random_maps(2, 128 // s, 192 // s, 3, seed=s) for s in (4, 8, 16)]
    boxes = random_boxes(2, 30)
    layer = RoIAlign(3, canonical_size=60)
    index = np.asarray(level_index(boxes, maps, image, 60))
    assert len(np.unique(index)) == 3
    alone = np.stack([np.asarray(layer([level, boxes])) for level in maps])
    expected = np.take_along_axis(alone, index[None, ..., None, None, None], 0)[0]
    np.testing.assert_allclose(layer([maps, boxes, image]), expected, atol=1e-5)


def open_network():
    image, boxes = keras.Input((None, None, 3)), keras.Input((None, 4))
    maps = [keras.layers.AveragePooling2D(n)(image) for n in (4, 8)]
    outputs = [
        RoIAlign(2, name="levels")([maps, boxes, image]),
        RoIAlign(2, 3, name="align")([maps[0], boxes]),
        RoIPool(2, name="pool")([maps[0], boxes]),
        SpatialPyramidPooling((2, 1), name="pyramid")([maps[0], boxes]),
        SpatialPyramidPooling((2, 1), name="whole")(maps[0]),
    ]
    return keras.Model([image, boxes], outputs)


def test_open_sizes_and_saving(tmp_path):
    model = open_network()
    shapes = [(None, None, 2, 2, 3)] * 3 + [(None, None, 15), (None, 15)]
    assert [tuple(shape) for shape in model.output_shape] == shapes
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name in ("levels", "align", "pool", "pyramid", "whole"):
        assert again.get_layer(name).get_config() == model.get_layer(name).get_config()
    signature = [tf.TensorSpec(x.shape) for x in model.inputs]
    traced = tf.function(again, input_signature=[signature], autograph=False)
    for size in ((32, 48), (64, 24), (8, 8)):
        given = [random_maps(2, *size, 3), random_boxes(2, 6)]
        for open_size, known in zip(traced(given), model(given), strict=True):
            np.testing.assert_allclose(open_size, known, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_low_precision(policy):
    """Features are rounded, boxes are not: 1000 cells are more than bfloat16 can count."""
    features = np.zeros((1, 1000, 1, 1), "float32")
    features[0, 701:703] = 8
    boxes = np.array([[[0.701, 0, 0.703, 1]]], "float32")
    low = keras.dtype_policies.get(policy).compute_dtype
    for layer in (RoIPool(1, dtype=policy), RoIAlign(1, dtype=policy)):
        found = layer([keras.ops.cast(features, low), boxes])
        assert keras.backend.standardize_dtype(found.dtype) == low
        assert float(found[0, 0, 0, 0, 0]) == 8
        assert layer([keras.Input((1000, 1, 1)), keras.Input((3, 4))]).dtype == low
    assert SpatialPyramidPooling(dtype=policy)(features).dtype == low


def test_errors():
    for layer in (RoIPool, RoIAlign):
        with pytest.raises(ValueError, match="`size` must be a whole number from 1. Received: 0"):
            layer(0)
    with pytest.raises(ValueError, match=r"`samples` must be a whole number from 1. Received: 1.5"):
        RoIAlign(7, 1.5)
    with pytest.raises(ValueError, match="`canonical_size` must be greater than 0. Received: 0"):
        RoIAlign(canonical_size=0)
    with pytest.raises(ValueError, match=r"must be called with \[maps, boxes, image\]"):
        RoIAlign()([[np.zeros((1, 4, 4, 1))], WHOLE])
    with pytest.raises(ValueError, match="`levels` must be whole numbers from 1. Received: "):
        SpatialPyramidPooling(())


def test_tflite_is_exact(tmp_path):
    """In builtins only, with the level rule."""
    image, boxes = keras.Input((32, 48, 3)), keras.Input((6, 4))
    maps = [keras.layers.AveragePooling2D(n)(image) for n in (4, 8)]
    aligned = RoIAlign(3, canonical_size=40)([maps, boxes, image])
    model = keras.Model([image, boxes], [aligned, RoIPool(2)([maps[0], boxes])])
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        lambda image, boxes: dict(zip(("aligned", "pooled"), model([image, boxes]), strict=True)),
        [tf.TensorSpec((1, *x.shape[1:]), tf.float32) for x in model.inputs],
    )
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"), ["serve"])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    runner = Interpreter(model_content=converter.convert()).get_signature_runner()
    given = [random_maps(1, 32, 48, 3), random_boxes(1, 6)]
    assert len(np.unique(level_index(given[1], maps, given[0], 40))) == 2
    found = runner(image=given[0], boxes=given[1])
    for key, expected in zip(("aligned", "pooled"), model(given), strict=True):
        np.testing.assert_allclose(found[key], expected, atol=1e-5)
