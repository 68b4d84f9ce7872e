import json
import re

import keras
import matplotlib.figure
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
    "run.json",
    "saved_model",
]


@pytest.fixture(scope="module")
def card(digits_run):
    return json.loads((digits_run / "card.json").read_text())


def test_the_folder_is_complete(digits_run):
    assert sorted(path.name for path in digits_run.iterdir()) == FILES
    figures = ["confusion_matrix", "filters", "learning_curves", "predictions"]
    assert sorted(path.stem for path in (digits_run / "figures").iterdir()) == figures
    for name in figures:
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
    pictures = re.findall(r"!\[.+\]\((.+)\)", text)
    assert len(pictures) == len(set(pictures)) == 4
    assert all((digits_run / picture).is_file() for picture in pictures)
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


class Counted:
    """Batches that count how often they are gone through."""

    def __init__(self, batches):
        self.batches, self.passes = batches, 0

    def __iter__(self):
        self.passes += 1
        return iter(self.batches)


def test_a_dense_model_without_phone_files(tmp_path, monkeypatch):
    """Scored in one pass, which also gives the pictures, mistakes first; no filters to draw."""
    images = np.random.default_rng(0).uniform(0, 255, (60, 4, 4, 1)).astype("float32")
    labels = np.arange(60) // 4 % 2
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, activation="softmax"))
    test = Counted([(images[:35], labels[:35]), (images[35:], labels[35:])])
    drawn = []
    monkeypatch.setattr(
        kv.visualize, "predictions", lambda *a: drawn.append(a) or matplotlib.figure.Figure()
    )
    card = kv.runs.release(model, tmp_path, test, [], ["even", "odd"], quantize=(), threads=[1])
    assert test.passes == 2, "once to score the model, once to check the SavedModel"
    assert (tmp_path / "labels.txt").read_text() == "even\nodd\n"
    assert not (tmp_path / "figures" / "filters.png").exists()
    assert "filters.png" not in (tmp_path / "README.md").read_text()

    scores = model.predict(images, verbose=0)
    wrong = np.flatnonzero(scores.argmax(1) != labels)
    right = np.flatnonzero(scores.argmax(1) == labels)
    assert len(wrong) > 12
    assert card["metrics"]["accuracy"] == pytest.approx(len(right) / 60)
    [(shown, shown_scores, names, truth)] = drawn
    expected = [*wrong[:12], *right[:6]]
    np.testing.assert_array_equal(shown, images[expected])
    np.testing.assert_allclose(shown_scores, scores[expected], atol=1e-6)
    np.testing.assert_array_equal(truth, labels[expected])
    assert names == ["even", "odd"]


@pytest.mark.parametrize(
    ("units", "activation", "bias", "answer"),
    [
        (1, "sigmoid", 2.0, "odd True"),
        (1, None, 3.0, "odd True"),
        (1, None, -3.0, "odd False"),
        (3, "sigmoid", 2.0, "['a', 'b', 'c']"),
    ],
)
def test_the_usage_of_the_card_tells_what_the_model_says(
    tmp_path, units, activation, bias, answer, capsys
):
    """One score is that of class 1, and of independent labels there may be several."""
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(units, activation, True, "zeros"))
    model.layers[-1].bias.assign(np.full(units, bias))
    images = np.full((8, 4, 4, 1), 128.0, "float32")
    labels = np.ones((8, units), int) if units > 1 else np.arange(8) % 2
    names = ["a", "b", "c"] if units > 1 else ["even", "odd"]
    kv.runs.release(model, tmp_path, [(images, labels)], [], names, quantize=(), threads=[1])
    snippet = re.search(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.S)[1]
    capsys.readouterr()
    exec(snippet.replace('load("', f'load("{tmp_path}/'), {"images": images[:1]})
    assert capsys.readouterr().out.strip() == answer


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
