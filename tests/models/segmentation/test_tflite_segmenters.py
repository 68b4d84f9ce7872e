"""Segmenters for phones, trained for a while, keep in int8 what they know."""

import keras
import pytest

import kvision as kv

PHONES = {
    "UNet": {"backbone": "MobileNetV2", "filters": (64, 48, 32, 16, 16)},
    "DeepLabV3Plus": {"backbone": "MobileNetV2", "filters": 32},
}


@pytest.fixture(scope="module", params=PHONES)
def phone(request):
    """A small phone model that learned some easy scenes, with 16 others."""
    keras.utils.set_random_seed(0)
    given = {"size": (64, 64), "difficulty": 0.0, "train": 128, "validation": 16}
    sets = kv.data.load("scenes", ["train", "validation"], **given)
    train, held_out = (kv.data.batches(s, (64, 64, 3), 8, target="segmentation_mask") for s in sets)
    options = {"input_shape": (64, 64, 3), "classes": 9, **PHONES[request.param]}
    model = kv.build_model(request.param, **options)
    model.compile(keras.optimizers.Adam(2e-3), kv.losses.MaskCrossentropy())
    model.fit(train, epochs=10, verbose=0)
    return model, train, held_out


@pytest.mark.slow
def test_phone_models_in_floats_and_in_int8(phone, tmp_path):
    """Equal in floats, and in int8 within a point and a half."""
    model, train, held_out = phone
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    report = kv.export.verify(model, path, held_out)
    assert report.passed, report.reasons
    assert report.max_difference < 1e-4
    path = kv.export.tflite(model, tmp_path / "model.tflite", "int8", calibration=train)
    report = kv.export.verify(model, path, held_out)
    assert report.passed, report.reasons
    assert report.limits == {"metric_drop": 1.5}
    assert report.metric_model > 0.4
    assert not report.flex_operators
    assert path.stat().st_size < 0.4 * 4 * model.count_params()
