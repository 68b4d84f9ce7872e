"""Every builder gives on a phone what it gives here; those meant for phones also in int8."""

import keras
import numpy as np
import pytest

import kvision as kv

NAMES = kv.list_models("classification")
MOBILE = [name for name in NAMES if kv.model_info(name).mobile]
# Built of the same blocks as another of the family; or, like the two Inceptions, long to convert.
SLOW = ("PlainNet34", "ResNet101", "ResNet152", "VGG13", "VGG16C", "VGG19")
SLOW += ("InceptionV2", "InceptionV3", "InceptionV4", "PlainNet18", "PlainNetCIFAR", "ResNet18")
SLOW += ("ResNet34", "ResNetCIFAR", "VGG11", "VGG11LRN")
OTHERS = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in NAMES
    if name not in MOBILE
]


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


@pytest.mark.parametrize("name", OTHERS)
def test_networks_for_the_desk_convert_too(name, tmp_path, alive):
    entry = kv.model_info(name)
    model = alive(entry.builder(**entry.tiny))
    shape = (8, *model.input_shape[1:])
    images = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    labels = np.asarray(model(images)).argmax(axis=1)
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    report = kv.export.verify(model, path, [(images, labels)])
    assert report.passed, report.reasons
    assert report.max_difference < 1e-4
