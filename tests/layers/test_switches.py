"""Pooling that hands its switches to unpooling."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.layers import MaxPooling2DWithSwitches, MaxUnpooling2D


def values(shape, kind):
    random = np.random.default_rng(0)
    if kind == "ties":
        return random.integers(-1, 2, shape).astype("float32")
    return random.normal(0, 3, shape).astype("float32")


def unpooled_by_hand(x, size):
    """Keeps the first maximum of each window of a batch of maps, by plain loops."""
    kept = np.zeros_like(x)
    batch, height, width, channels = x.shape
    for n in range(batch):
        for c in range(channels):
            for top in range(0, height, size):
                for left in range(0, width, size):
                    window = x[n, top : top + size, left : left + size, c]
                    row, column = np.unravel_index(window.argmax(), window.shape)
                    kept[n, top + row, left + column, c] = window[row, column]
    return kept


@pytest.mark.parametrize("kind", ["real", "ties"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((2, 6, 8, 3), 2), ((1, 5, 7, 2), 2), ((1, 1, 3, 2), 2), ((2, 6, 9, 2), 3), ((1, 8, 8, 2), 4)],
)
def test_each_maximum_returns_to_its_place(shape, size, kind):
    x = values(shape, kind)
    pooled, switches = MaxPooling2DWithSwitches(size)(x)
    result = np.asarray(MaxUnpooling2D(size)([pooled, switches]))
    np.testing.assert_array_equal(result, unpooled_by_hand(x, size))
    windows = int(np.prod(pooled.shape))
    assert np.count_nonzero(np.asarray(switches)) == windows  # one for each window, also of ties
    assert np.asarray(switches).dtype == bool


@pytest.mark.parametrize("kind", ["real", "ties"])
def test_equals_tensorflows_argmax(kind):
    x = values((2, 6, 8, 3), kind)
    pooled, places = tf.nn.max_pool_with_argmax(x, 2, 2, "SAME", include_batch_in_index=True)
    switches = np.zeros(x.size, bool)
    switches[np.asarray(places).ravel()] = True
    ours = MaxPooling2DWithSwitches()(x)
    np.testing.assert_array_equal(np.asarray(ours[0]), np.asarray(pooled))
    np.testing.assert_array_equal(np.asarray(ours[1]), switches.reshape(x.shape))


def test_other_values_go_where_the_switches_say():
    """As in a decoder, whose values are not the encoder's."""
    x = values((1, 5, 6, 2), "real")
    _, switches = MaxPooling2DWithSwitches()(x)
    others = values((1, 3, 3, 2), "real") + 10
    result = np.asarray(MaxUnpooling2D()([others, switches]))
    assert np.array_equal(result != 0, np.asarray(switches))
    assert sorted(result[result != 0]) == sorted(others.ravel())


@pytest.mark.parametrize("kind", ["real", "ties"])
def test_gradient_is_that_of_the_kept_values(kind):
    x = tf.constant(values((1, 5, 6, 2), kind))
    factors = values((1, 5, 6, 2), "real")
    with tf.GradientTape() as tape:
        tape.watch(x)
        kept = MaxUnpooling2D()(list(MaxPooling2DWithSwitches()(x)))
        loss = tf.reduce_sum(kept * factors)
    switches = np.asarray(MaxPooling2DWithSwitches()(x)[1])
    np.testing.assert_allclose(np.asarray(tape.gradient(loss, x)), np.where(switches, factors, 0))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_bfloat16"])
def test_low_precision(dtype):
    x = values((1, 4, 6, 2), "ties")
    pooled, switches = MaxPooling2DWithSwitches(dtype=dtype)(x)
    result = MaxUnpooling2D(dtype=dtype)([pooled, switches])
    assert keras.backend.standardize_dtype(result.dtype) == dtype.removeprefix("mixed_")
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(keras.ops.cast(result, "float32")), unpooled_by_hand(x, 2)
    )


def there_and_back(shape):
    inputs = keras.Input(shape)
    pooled, switches = MaxPooling2DWithSwitches()(inputs)
    return keras.Model(inputs, MaxUnpooling2D()([pooled, switches]))


def test_open_sizes_and_saving(tmp_path):
    model = there_and_back((None, None, 3))
    assert model.output_shape == (None, None, None, 3)
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    for shape in ((2, 6, 8, 3), (1, 7, 5, 3)):
        x = values(shape, "ties")
        np.testing.assert_array_equal(model.predict(x, verbose=0), unpooled_by_hand(x, 2))


@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_tflite_is_exact(size, tmp_path):
    model = there_and_back((*size, 3))
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    x = values((1, *size, 3), "ties")
    np.testing.assert_array_equal(kv.export.load(path).predict(x), unpooled_by_hand(x, 2))


@pytest.mark.parametrize("factor", [0.001, 1.0, 100.0])
def test_int8_keeps_places_at_every_scale(factor, tmp_path):
    """Pixels are whole numbers, which int8 keeps apart: the places are the same."""
    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3)).astype("float32")
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    inputs = keras.Input((8, 8, 3))
    scaled = keras.layers.Rescaling(factor)(inputs)
    pooled, switches = MaxPooling2DWithSwitches()(scaled)
    model = keras.Model(inputs, MaxUnpooling2D()([pooled, switches]))
    path = kv.export.tflite(model, tmp_path / "model.tflite", "int8", calibration=images)
    result = kv.export.load(path).predict(images[:8]) / factor
    np.testing.assert_allclose(result, unpooled_by_hand(images[:8], 2), atol=1.01)
    operators = kv.export.describe(path)["operators"]
    assert operators["DEQUANTIZE"] == 3, "more than the two tests for zero and the end in float"


def test_wrong_arguments_say_what_to_do():
    with pytest.raises(ValueError, match="`pool_size` must be a whole number from 2. Received: 1"):
        MaxPooling2DWithSwitches(1)
    with pytest.raises(ValueError, match="`pool_size` must be a whole number from 2. Received: 0"):
        MaxUnpooling2D(0)
    with pytest.raises(ValueError, match="must be known multiples of its `pool_size` of 3"):
        MaxPooling2DWithSwitches(3)(np.zeros((1, 6, 8, 1), "float32"))
    with pytest.raises(ValueError, match=r"a list \[values, switches\] of two maps"):
        MaxUnpooling2D()([np.zeros((1, 2, 2, 1), "float32")])
    switches = np.zeros((1, 4, 4, 1), bool)
    with pytest.raises(ValueError, match="must be of the same pooling by 2"):
        MaxUnpooling2D()([np.zeros((1, 2, 3, 1), "float32"), switches])
    with pytest.raises(ValueError, match="as many channels"):
        MaxUnpooling2D()([np.zeros((1, 2, 2, 3), "float32"), switches])
