"""Every segmenter gives on a phone what it gives here; those meant for phones also in int8."""

import keras
import numpy as np
import pytest

import kvision as kv

NAMES = kv.list_models("segmentation")
# Built of the same blocks as another; or converted below or beside their other tests.
ALIKE = ("CRFRNN", "DeconvNet", "DeepLabV2", "FCN16s", "FCN32s", "SegNetBasic")
ALIKE += ("DeepLabLargeFOV", "DeepLabV3Plus", "SegNet", "UNet")
FLOATS = [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in NAMES]
PHONES = {
    "UNet": {"backbone": "MobileNetV2", "filters": (64, 48, 32, 16, 16)},
    "DeepLabV3Plus": {"backbone": "MobileNetV2", "filters": 32},
}


def pictures(model):
    shape = (4, *(size or 64 for size in model.input_shape[1:]))
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


@pytest.mark.parametrize("name", FLOATS)
def test_float_files_are_equal(name, tmp_path, alive):
    entry = kv.model_info(name)
    shape = [size or 64 for size in entry.tiny["input_shape"]]
    model = alive(entry.builder(**{**entry.tiny, "input_shape": shape}))
    images = pictures(model)
    masks = np.asarray(model(images)).argmax(-1)
    assert len(np.unique(masks)) > 1, "all pixels look alike: the comparison is empty"
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    report = kv.export.verify(model, path, [(images, masks)])
    assert report.passed, report.reasons
    assert report.max_difference < 1e-4
    assert report.metric_model == 1.0


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
