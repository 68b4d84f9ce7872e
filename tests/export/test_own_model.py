"""The reference of a proof is the user's own model, and what leaves the building is that model."""

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.export.label_maps import before_upsampling
from kvision.export.live import computing_in_float32, half_layers


class Doubled(layers.Layer):
    """A layer of the user's, which Keras could not make again by its name."""

    def call(self, x):
        return 2 * x


def _images():
    truth = np.arange(64) % 2
    noise = np.random.default_rng(0).normal(0, 10, (64, 8, 8, 1))
    return np.clip(noise + np.where(truth, 220, 30)[:, None, None, None], 0, 255).round(), truth


def _normalized(images, dtype):
    """A model that is right only with the statistics of its `Normalization`."""
    normalization = layers.Normalization(axis=None, dtype=dtype)
    normalization.adapt(images)
    image = keras.Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D(dtype=dtype)(Doubled(dtype=dtype)(normalization(image)))
    scores = layers.Dense(2, "softmax", dtype="float32", name="predictions")(x)
    model = keras.Model(image, scores)
    model.layers[-1].set_weights([np.array([[-9.0, 9.0]]), np.zeros(2)])
    return model


def test_a_model_of_mixed_precision_is_exported_and_compared_as_it_is(tmp_path):
    images, truth = _images()
    model = _normalized(images, "mixed_float16")
    assert (model.predict(images, verbose=0).argmax(1) == truth).all()
    path = kv.export.tflite(model, tmp_path / "a.tflite")
    report = kv.export.verify(model, path, [(images, truth)])
    assert report.passed
    assert report.metric_model == report.metric_file == 1.0
    assert report.limits["max_difference"] == 0.1  # the model's own rounding
    assert [layer.compute_dtype for layer in half_layers(model)] == ["float16"] * 3  # as before
    other = _normalized(images + 300, "mixed_float16")  # which the file is not
    report = kv.export.verify(other, path, [(images, truth)])
    assert (report.passed, report.metric_model, report.metric_file) == (False, 0.5, 1.0)


def test_the_policies_come_back_whatever_happens():
    model = _normalized(_images()[0], "mixed_float16")
    with pytest.raises(ValueError, match="must be able to compute in float32"):
        _fail_while_computing(model)
    assert len(half_layers(model)) == 3


def _fail_while_computing(model):
    with computing_in_float32(model):
        assert not half_layers(model)
        raise TypeError("float16 and float32 do not go together")


def test_maps_of_labels_are_those_of_the_model():
    images, _ = _images()
    normalization = layers.Normalization(axis=None)
    normalization.adapt(images)
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3, padding="same", name="scores")(normalization(image))
    output = layers.Softmax()(layers.UpSampling2D(2, interpolation="bilinear")(x))
    coarse = before_upsampling(keras.Model(image, output))
    wanted = keras.Model(image, x).predict(images, verbose=0)
    np.testing.assert_allclose(coarse.predict(images, verbose=0), wanted, atol=1e-5)
