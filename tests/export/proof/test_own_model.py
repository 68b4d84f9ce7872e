"""The reference of a proof is the user's own model, and what leaves the building is that model."""

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.export.files.live import computing_in_float32, half_layers, rounds_to
from kvision.export.forms.label_maps import before_upsampling
from kvision.zoo.measuring import score_layers


class Doubled(layers.Layer):
    """A layer of the user's, which Keras could make again neither by its name nor its options."""

    def __init__(self, factors, **options):
        super().__init__(**options)
        self.factors = factors

    def call(self, x):
        return float(self.factors.sum()) * x


def _images():
    truth = np.arange(64) % 2
    noise = np.random.default_rng(0).normal(0, 10, (64, 8, 8, 1))
    return np.clip(noise + np.where(truth, 220, 30)[:, None, None, None], 0, 255).round(), truth


def _normalized(images, dtype):
    """A model that is right only with the statistics of its `Normalization`."""
    normalization = layers.Normalization(axis=None, dtype=dtype)
    normalization.adapt(images)
    image = keras.Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D(dtype=dtype)(
        Doubled(np.ones(2), dtype=dtype)(normalization(image))
    )
    scores = layers.Dense(2, "softmax", dtype="float32", name="predictions")(x)
    model = keras.Model(image, scores)
    model.layers[-1].set_weights([np.array([[-9.0, 9.0]]), np.zeros(2)])
    return model


@pytest.mark.parametrize(
    ("dtype", "limits"),
    [
        ("mixed_float16", {"max_difference": 0.1, "metric_drop": 0.5}),
        ("mixed_bfloat16", {"max_difference": 0.5, "metric_drop": 1.0}),
    ],
)
def test_a_model_of_mixed_precision_is_exported_and_compared_as_it_is(dtype, limits, tmp_path):
    images, truth = _images()
    model = _normalized(images, dtype)
    assert (model.predict(images, verbose=0).argmax(1) == truth).all()
    path = kv.export.tflite(model, tmp_path / "a.tflite")
    report = kv.export.verify(model, path, [(images, truth)])
    assert report.passed
    assert report.metric_model == report.metric_file == 1.0
    assert report.limits == limits  # the model's own rounding
    computes_in = dtype.removeprefix("mixed_")
    assert [layer.compute_dtype for layer in half_layers(model)] == [computes_in] * 3  # as before
    folder = kv.export.saved_model(model, tmp_path / "saved_model")
    assert kv.export.verify(model, folder, [(images, truth)]).max_difference < 1e-3
    other = _normalized(images + 300, dtype)  # which the file is not
    report = kv.export.verify(other, path, [(images, truth)])
    assert (report.passed, report.metric_model, report.metric_file) == (False, 0.5, 1.0)


def test_a_file_without_the_statistics_is_no_file_of_the_model(tmp_path):
    images, truth = _images()
    path = kv.export.tflite(
        _normalized(np.eye(8)[None, ..., None], "float32"), tmp_path / "a.tflite"
    )
    model = _normalized(images, "mixed_float16")
    report = kv.export.verify(model, path, [(images, truth)])
    assert (report.passed, report.metric_model, report.metric_file) == (False, 1.0, 0.5)


@pytest.mark.parametrize(
    ("dtypes", "coarsest"),
    [
        (("float32",), None),
        (("float32", "mixed_float16"), "float16"),
        (("mixed_float16", "mixed_bfloat16"), "bfloat16"),
    ],
)
def test_a_model_rounds_as_the_coarsest_of_its_layers(dtypes, coarsest):
    inside = keras.Sequential([layers.ReLU(dtype=dtype) for dtype in dtypes])
    assert rounds_to(keras.Sequential([keras.Input((2,)), inside])) == coarsest


def test_the_policies_come_back_whatever_happens():
    model = _normalized(_images()[0], "mixed_float16")
    with pytest.raises(ValueError, match="must be able to compute"):
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
    model = keras.Model(image, output)
    coarse = before_upsampling(model)
    assert model.get_layer("scores").output is x  # each layer still called once
    wanted = keras.Model(image, x).predict(images, verbose=0)
    np.testing.assert_allclose(coarse.predict(images, verbose=0), wanted, atol=1e-5)


def test_maps_that_an_operation_makes():
    image = keras.Input((8, 8, 1))
    scores = layers.Conv2D(3, 3, padding="same", name="scores")(image) * 2
    model = keras.Model(image, layers.UpSampling2D(2)(scores))
    images, _ = _images()
    wanted = keras.Model(image, scores).predict(images, verbose=0)
    np.testing.assert_array_equal(before_upsampling(model).predict(images, verbose=0), wanted)
    assert [layer.name for layer in score_layers(model)] == ["scores"]
