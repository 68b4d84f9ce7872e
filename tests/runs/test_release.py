import json

import keras
import numpy as np
import pytest
from PIL import Image

import kvision as kv

FILES = [
    "README.md",
    "card.json",
    "figures",
    "history.csv",
    "labels.txt",
    "model.keras",
    "model.tflite",
    "model_int8.tflite",
    "saved_model",
]


@pytest.fixture(scope="module")
def card(digits_run):
    return json.loads((digits_run / "card.json").read_text())


def test_the_folder_is_complete(digits_run):
    assert sorted(path.name for path in digits_run.iterdir()) == FILES
    for name in ("learning_curves", "confusion_matrix", "predictions"):
        width, height = Image.open(digits_run / "figures" / f"{name}.png").size
        assert min(width, height) > 300


def test_the_card_tells_what_is_true(card, digits_run):
    test = kv.data.batches(kv.data.load("digits", "test"), (32, 32, 1), 64, training=False)
    model = keras.models.load_model(digits_run / "model.keras")
    labels = np.concatenate([truth for _, truth in test])
    accuracy = (model.predict(test, verbose=0).argmax(1) == labels).mean()
    assert card["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert card["metrics"]["accuracy"] > 0.9
    assert card["metrics"]["samples"] == 360
    assert card["architecture"]["name"] == "LeNet5"
    assert card["architecture"]["parameters"] == 61_706
    assert card["classes"] == [str(digit) for digit in range(10)]
    assert card["versions"]["keras"] == keras.__version__


def test_each_file_was_checked_and_timed(card, digits_run):
    assert card["passed"] is True
    assert list(card["files"]) == ["saved_model", "model.tflite", "model_int8.tflite"]
    for name, file in card["files"].items():
        assert file["check"]["passed"]
        assert file["check"]["samples"] == 360
        assert file["latency"][0]["median_ms"] > 0
        if name.endswith(".tflite"):
            assert file["check"]["size_bytes"] == (digits_run / name).stat().st_size
    assert [row["threads"] for row in card["files"]["model_int8.tflite"]["latency"]] == [1, 2]


def test_the_card_can_be_read_by_a_person(card, digits_run):
    text = (digits_run / "README.md").read_text()
    assert "**PASS**" in text
    assert f"{card['metrics']['accuracy']:.2%}" in text
    assert "| `model_int8.tflite` |" in text
    assert 'setModelAssetPath("model_int8.tflite")' in text
    assert "$" not in text
    for line in text.splitlines():
        assert not line.startswith("| |"), line


def test_every_file_of_a_run_is_a_model(digits_run):
    images, _ = next(
        iter(kv.data.batches(kv.data.load("digits", "test"), (32, 32, 1), 16, training=False))
    )
    names = ("model.keras", "saved_model", "model.tflite", "model_int8.tflite", "")
    scores = [kv.export.load(digits_run / name).predict(images) for name in names]
    for other in scores[1:]:
        np.testing.assert_array_equal(other.argmax(1), scores[0].argmax(1))


def test_a_failed_file_fails_the_run(digits_run, tmp_path, monkeypatch):
    """A converter that ruins the weights must not get through."""
    model = keras.models.load_model(digits_run / "model.keras")
    train = kv.data.batches(kv.data.load("digits", "train[:64]"), (32, 32, 1), 64, training=False)
    honest = kv.export.tflite

    def ruined(model, path, *args, **kwargs):
        broken = keras.models.clone_model(model)
        return honest(broken, path, *args, **kwargs)

    monkeypatch.setattr(kv.export, "tflite", ruined)
    names = [str(digit) for digit in range(10)]
    card = kv.runs.release(
        model, tmp_path / "run", train, train, names, quantize=(None,), threads=[1]
    )
    assert card["passed"] is False
    assert card["files"]["saved_model"]["check"]["passed"]
    assert not (tmp_path / "run" / "model.tflite").exists()
    assert (tmp_path / "run" / "model.tflite.rejected").exists()
    text = (tmp_path / "run" / "README.md").read_text()
    assert "**FAIL**" in text
    assert "`model.tflite` failed: " in text
