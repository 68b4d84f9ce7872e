import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.layers import LocalResponseNormalization


def activations(shape, scale=3.0):
    return np.random.default_rng(0).normal(0, scale, shape).astype("float32")


def test_sum_form_of_the_paper():
    layer = LocalResponseNormalization(size=5, bias=2.0, alpha=1.0, beta=0.75)
    expected = [0.125, 0.148651, 0.144616, 0.134654, 0.124862, 0.116326, 0.144865, 0.185719]
    ones_to_eight = np.arange(1.0, 9.0, dtype="float32").reshape(1, 1, 1, 8)
    np.testing.assert_allclose(np.asarray(layer(ones_to_eight))[0, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4, 7), (2, 1, 1, 3), (1, 5, 5, 1)])
@pytest.mark.parametrize("size", [1, 3, 5, 9])
@pytest.mark.parametrize("beta", [0.5, 0.6, 0.75])
def test_equals_tensorflow(shape, size, beta):
    x = activations(shape)
    ours = LocalResponseNormalization(size, bias=1.5, alpha=0.3, beta=beta)(x)
    theirs = tf.nn.lrn(x, depth_radius=size // 2, bias=1.5, alpha=0.3, beta=beta)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-6)


def test_gradient_equals_tensorflows():
    x = tf.constant(activations((2, 3, 3, 8)))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = tf.reduce_sum(LocalResponseNormalization(alpha=0.3)(x) ** 3)
        theirs = tf.reduce_sum(tf.nn.lrn(x, 2, 2.0, 0.3, 0.75) ** 3)
    np.testing.assert_allclose(
        tape.gradient(ours, x), tape.gradient(theirs, x), rtol=1e-3, atol=1e-3
    )


def test_any_rank_and_its_own_config():
    layer = LocalResponseNormalization(size=3, bias=1.0, alpha=0.2, beta=0.5)
    again = LocalResponseNormalization.from_config(layer.get_config())
    x = activations((4, 6))
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(layer(x)))
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="`size` must be an odd number from 1. Received: 4"):
        LocalResponseNormalization(size=4)


def test_int8_loses_no_more_than_its_convolution(tmp_path):
    """AlexNet's constants on activations up to about 100: all of it runs in int8."""
    inputs = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    kernel = np.random.default_rng(1).normal(0, 0.08, (3, 3, 3, 16))
    pixels = np.random.default_rng(2).uniform(0, 255, (16, 16, 16, 3)).astype("float32")
    errors = []
    for output in (maps, LocalResponseNormalization()(maps)):
        model = keras.Model(inputs, output)
        model.layers[1].kernel.assign(kernel)
        path = kv.export.tflite(model, tmp_path / "m.tflite", "int8", calibration=pixels)
        expected = np.asarray(model(pixels))
        difference = kv.export.load(path).predict(pixels) - expected
        errors.append(np.sqrt(np.mean(difference**2) / np.mean(expected**2)))
    operators = kv.export.describe(path)["operators"]
    assert (operators["QUANTIZE"], operators["DEQUANTIZE"]) == (1, 1), "a part stayed in float"
    assert errors[1] < 1.5 * errors[0] < 0.03
