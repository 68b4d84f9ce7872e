"""Files of networks that find edges are proved by the benchmark's F-score."""

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.export.proof.edge_tally import THRESHOLDS


def pictures(count=3, size=32):
    """Bright squares on dark ground, and the pixels of their outlines."""
    random = np.random.default_rng(0)
    images = np.full((count, size, size, 3), 30.0, "float32")
    truth = np.zeros((count, size, size, 1), "uint8")
    for image, mask in zip(images, truth, strict=True):
        top, left = random.integers(4, size - 16, 2)
        mask[top : top + 12, left : left + 12] = 1
        mask[top + 1 : top + 11, left + 1 : left + 11] = 0
        image[top : top + 12, left : left + 12] = 220
    return images, truth


@pytest.fixture(scope="module")
def hed():
    """HED that knows outlines, by Laplace's operator in place of a training."""
    image = keras.Input((32, 32, 3))
    kernel = np.full((3, 3, 3, 1), -1 / 190 / 3, "float32")
    kernel[1, 1] = 8 / 190 / 3
    x = layers.Conv2D(1, 3, padding="same", use_bias=True)(image)
    x = layers.Activation("sigmoid", dtype="float32")(x)
    model = keras.Model(image, x, name="own_edges")
    model.layers[1].set_weights([kernel, np.array([-2.0])])
    return model


@pytest.mark.parametrize("kind", ["saved_model", None, "int8"])
def test_edges_of_model_and_file(kind, hed, tmp_path):
    images, truth = pictures()
    if kind == "saved_model":
        path = kv.export.saved_model(hed, tmp_path / "saved_model", task="edges")
    else:
        path = tmp_path / "model.tflite"
        kv.export.tflite(hed, path, kind, calibration=images, task="edges")
    report = kv.export.verify(hed, path, [(images[:2], truth[:2]), (images[2:], truth[2:])])
    assert report.passed, report.reasons
    assert report.metric_name == "ODS F-score"
    options = {"thresholds": THRESHOLDS}
    for key, model in (("metric_model", hed), ("metric_file", kv.export.load(path))):
        ods = kv.evaluation.evaluate_edges(model, [(images, truth)], **options)["ods"]
        assert report[key] == pytest.approx(ods)
    assert report.metric_model > 0.9
    assert report.top1_agreement > 0.95
    assert report.samples == 3


def test_a_published_network_is_proved(tmp_path):
    images, truth = pictures(2)
    model = kv.models.HED(alpha=0.0625, input_shape=(32, 32, 3), score_initializer="glorot_uniform")
    path = kv.export.tflite(model, tmp_path / "model.tflite", labels=["edge"])
    assert kv.export.load(path).task == "edges"
    report = kv.export.verify(model, path, [(images, truth)])
    assert report.passed, report.reasons
    # Of several maps the fused one counts, and of several annotators each.
    sides = kv.models.HED(
        alpha=0.0625,
        input_shape=(32, 32, 3),
        score_initializer="glorot_uniform",
        side_outputs=True,
    )
    path = kv.export.tflite(sides, tmp_path / "sides.tflite")
    drawn = np.concatenate([truth, np.roll(truth, 1, 1)], -1)
    report = kv.export.verify(sides, path, [(images, drawn)])
    assert report.passed, report.reasons
    assert report.task == "edges"


def test_a_file_that_sees_other_edges_is_rejected(hed, tmp_path):
    images, truth = pictures()
    other = keras.models.clone_model(hed)
    kernel, bias = hed.layers[1].get_weights()
    other.layers[1].set_weights([-kernel, bias])
    path = kv.export.tflite(other, tmp_path / "other.tflite", task="edges")
    report = kv.export.verify(hed, path, [(images, truth)], tolerance=1)
    assert not report.passed
    assert "The ODS F-score drops by" in report.reasons[0]
    assert not path.exists()
    path = kv.export.tflite(hed, path, task="edges")
    images[:, :, :4] = np.nan
    assert "not all finite" in kv.export.verify(hed, path, [(images, truth)]).reasons[0]


def test_masks_of_another_size(hed, tmp_path):
    images, truth = pictures()
    path = kv.export.tflite(hed, tmp_path / "model.tflite", task="edges")
    with pytest.raises(ValueError, match="must be of one size"):
        kv.export.verify(hed, path, [(images, truth[:, :16])])
