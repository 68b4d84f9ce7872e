"""Segmenters on a phone: the same proof for every pixel, and the metadata MediaPipe reads."""

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv

NAMES = ["ground", "bright", "red"]


def blobs(count, seed, size=32):
    """Dark ground, with a bright and a red square; a column of void."""
    random = np.random.default_rng(seed)
    images = random.uniform(0, 60, (count, size, size, 3))
    masks = np.zeros((count, size, size, 1), "uint8")
    for image, mask in zip(images, masks, strict=True):
        for label, colour in ((1, (220, 220, 220)), (2, (220, 40, 40))):
            top, left = random.integers(0, size - 12, 2)
            image[top : top + 12, left : left + 12] = colour
            mask[top : top + 12, left : left + 12] = label
    masks[:, :, -1] = 255
    return images.astype("float32"), masks


def build(activation="softmax"):
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = layers.Conv2D(16, 4, strides=4, activation="relu")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(3, 1, name="scores")(x)
    x = layers.UpSampling2D(4, interpolation="bilinear")(x)
    x = layers.Activation(activation or "linear", name="predictions")(x)
    return keras.Model(image, x, name="blobs")


@pytest.fixture(scope="module")
def segmenter():
    keras.utils.set_random_seed(0)
    model = build()
    images, masks = blobs(64, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(images, masks, epochs=20, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def held_out():
    return blobs(16, seed=1)


def iou(masks, guesses):
    known = masks != 255
    scores = []
    for label in range(3):
        true, guessed = (masks == label) & known, (guesses == label) & known
        scores.append((true & guessed).sum() / (true | guessed).sum())
    return np.mean(scores)


@pytest.mark.parametrize("kind", [None, "float16", "dynamic", "int8"])
def test_files_give_the_models_pixels(kind, segmenter, held_out, tmp_path):
    images, masks = held_out
    path = kv.export.tflite(
        segmenter, tmp_path / "model.tflite", kind, calibration=images, labels=NAMES
    )
    report = kv.export.verify(segmenter, path, [(images, masks)])
    assert report.passed, report.reasons
    assert report.metric_name == "mean IoU"
    wanted = segmenter.predict(images, verbose=0).argmax(-1)[..., None]
    assert report.metric_model == pytest.approx(iou(masks, wanted), abs=1e-9)
    got = kv.export.load(path).predict(images).argmax(-1)[..., None]
    assert report.metric_file == pytest.approx(iou(masks, got), abs=1e-9)
    assert report.metric_model > 0.7
    assert kv.export.describe(path).labels == NAMES
    data = path.read_bytes()
    assert b"SEGMENTER_METADATA" in data
    assert b"V001" in data


def test_a_file_of_another_model_fails(segmenter, held_out, tmp_path):
    other = keras.models.clone_model(segmenter)
    images, masks = held_out
    path = kv.export.tflite(other, tmp_path / "model.tflite", "int8", calibration=images)
    report = kv.export.verify(segmenter, path, [(images, masks)])
    assert not report.passed
    assert "mean IoU drops by" in " ".join(report.reasons)
    assert not path.exists()


@pytest.mark.parametrize("kind", [None, "int8"])
def test_label_maps_are_decided_before_the_up_sampling(kind, segmenter, held_out, tmp_path):
    images, masks = held_out
    path = kv.export.tflite(
        segmenter,
        tmp_path / "labels.tflite",
        kind,
        calibration=images,
        labels=NAMES,
        label_map=True,
    )
    found = kv.export.describe(path)
    assert found.outputs[0]["shape"] == [1, 32, 32, 1]
    assert found.outputs[0]["dtype"] == "uint8"
    assert "RESIZE_BILINEAR" not in found.operators
    assert found.labels == NAMES
    got = kv.export.load(path).predict(images)
    assert got.dtype.kind in "ui"
    scores = keras.Model(segmenter.input, segmenter.get_layer("scores").output)
    coarse = scores.predict(images, verbose=0).argmax(-1)
    wanted = coarse.repeat(4, axis=1).repeat(4, axis=2)[..., None]
    assert (got == wanted).mean() > (0.999 if kind is None else 0.97)
    report = kv.export.verify(segmenter, path, [(images, masks)], max_metric_drop=30)
    assert report.passed, report.reasons
    assert report.max_difference is None
    assert report.metric_file == pytest.approx(iou(masks, got), abs=1e-9)


def test_label_maps_are_for_segmenters_only(tmp_path):
    with pytest.raises(ValueError, match=r"is for segmenters.*with outputs \(None, 10\)"):
        kv.export.tflite(kv.models.LeNet5(), tmp_path / "model.tflite", label_map=True)


def test_verify_wants_masks_of_the_models_classes(segmenter, held_out, tmp_path):
    images, masks = held_out
    path = kv.export.tflite(segmenter, tmp_path / "model.tflite")
    with pytest.raises(ValueError, match="classes 0 to 2, or 255 for void. Received: 7"):
        kv.export.verify(segmenter, path, [(images, np.full_like(masks, 7))])
    with pytest.raises(ValueError, match="at least as large as the model's output"):
        kv.export.verify(segmenter, path, [(images, masks[:, :16])])


@pytest.mark.parametrize("kind", [None, "int8"])
def test_mediapipe_segments_as_we_do(kind, mediapipe, segmenter, held_out, tmp_path):
    images = held_out[0][:6].astype("uint8")
    path = kv.export.tflite(
        segmenter, tmp_path / "model.tflite", kind, calibration=held_out[0], labels=NAMES
    )
    scores = kv.export.load(path).predict(images)
    labels = mediapipe("mediapipe_segmenter.py", path, images, tmp_path / "answers.npz")
    assert labels == NAMES
    with np.load(tmp_path / "answers.npz") as answers:
        confidences = answers["confidences"].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(confidences, scores, atol=1e-5)
        assert set(np.unique(answers["categories"])) == {0, 1, 2}
        assert (answers["categories"] == scores.argmax(-1)).mean() > 0.999


def test_mediapipe_takes_logits_too(mediapipe, segmenter, held_out, tmp_path):
    """Its softmax makes our probabilities of them, as the metadata ask."""
    logits = build(activation=None)
    logits.set_weights(segmenter.get_weights())
    path = kv.export.tflite(logits, tmp_path / "model.tflite", labels=NAMES)
    images = held_out[0][:2].astype("uint8")
    mediapipe("mediapipe_segmenter.py", path, images, tmp_path / "answers.npz")
    with np.load(tmp_path / "answers.npz") as answers:
        confidences = answers["confidences"].transpose(0, 2, 3, 1)
    wanted = segmenter.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(confidences, wanted, atol=1e-5)


def test_networks_that_pass_on_places_are_judged_by_the_share_that_differs(held_out, tmp_path):
    images, masks = held_out
    model = kv.models.SegNetBasic(alpha=0.125, input_shape=(32, 32, 3), classes=3)
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    report = kv.export.verify(model, path, [(images, masks)])
    assert report.passed, report.reasons
    assert report.limits == {"share_different": 0.01, "metric_drop": 0.1}
    other = keras.models.clone_model(model)
    path = kv.export.tflite(other, tmp_path / "model.tflite")
    report = kv.export.verify(model, path, [(images, masks)])
    assert not report.passed
    assert "of the outputs differ by more than 0.0001; at most 1.00% may" in report.reasons[0]
