"""Every builder that is meant for phones gives there what it gives here."""

import keras
import numpy as np
import pytest

import kvision as kv

MOBILE = [name for name in kv.list_models("classification") if kv.model_info(name).mobile]


@pytest.fixture(scope="module", params=MOBILE)
def learned(request, alive):
    """A tiny member of the family that knows eight pictures by heart."""
    keras.utils.set_random_seed(0)
    entry = kv.model_info(request.param)
    model = entry.builder(**entry.tiny)
    classes = model.output_shape[-1]
    images = np.random.default_rng(0).uniform(0, 255, (8, *model.input_shape[1:])).astype("float32")
    labels = np.arange(8) % classes
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=60, batch_size=8, verbose=0)
    return alive(model, images=images), images, labels


def test_float_file_is_equal(learned, tmp_path):
    model, images, labels = learned
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    report = kv.export.verify(model, path, [(images, labels)])
    assert report.passed, report.reasons
    assert report.metric_model == 1.0


def test_int8_file_keeps_the_classes(learned, tmp_path):
    model, images, labels = learned
    path = kv.export.tflite(model, tmp_path / "model.tflite", "int8", calibration=images)
    report = kv.export.verify(model, path, [(images, labels)])
    assert report.passed, report.reasons
    assert not report.random_operators
