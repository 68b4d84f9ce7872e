"""A run that is killed, whenever it is, and started again ends as one that was left in peace."""

import json

import keras
import matplotlib.figure
import numpy as np
import pytest
from kills import moments_of
from short_runs import Scripted, fit

import kvision as kv
from kvision.export.proof.report import Report
from kvision.files.writing import clear_partial, writing

ABOUT = {"classes": ["zero", "one", "two"]}


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (4, 2, 2, 1)).astype("float32")
    return images, np.arange(4) % 3


def make_model():
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def train(run_dir, data):
    """As a script does it: with callbacks of its own, from one seed, unless it is done."""
    if not kv.training.is_finished(run_dir):
        keras.utils.set_random_seed(3)
        plateau = keras.callbacks.ReduceLROnPlateau("val_loss", patience=1)
        before = [Scripted(val_loss=[1.0, 2.0]), plateau]
        fit(make_model(), data, run_dir, epochs=2, before=before, about=ABOUT)


def left(run_dir):
    """What is left of a training: its files, its history, and the weights of its best epoch."""
    clear_partial(run_dir)  # as the next one here does
    names = sorted(path.name for path in run_dir.iterdir())
    model = keras.models.load_model(run_dir / "model.keras")
    return names, (run_dir / "history.csv").read_text(), model.get_weights()


def assert_alike(mine, expected):
    assert mine[:2] == expected[:2]
    for weight, wanted in zip(mine[2], expected[2], strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_a_training_killed_at_any_moment(tmp_path, data):
    with moments_of(tmp_path / "run", tmp_path / "moments") as moments:
        train(tmp_path / "run", data)
    expected = left(tmp_path / "run")
    assert expected[0] == ["history.csv", "model.keras", "run.json"]
    assert len(moments) > 15, "so much happens to the disk"
    reached = set()
    for moment in moments:
        reached.add(kv.training.completed_epochs(moment))
        trained = kv.training.is_finished(moment)
        train(moment, data)
        assert trained or not list(moment.rglob(".partial-*"))
        assert_alike(left(moment), expected)
    assert reached == {0, 1, 2}


class Exports:
    """Stands for `kv.export` in a release that is about its own files."""

    def __init__(self, monkeypatch):
        for name in ("saved_model", "tflite"):
            monkeypatch.setattr(kv.export, name, self.write)
        monkeypatch.setattr(kv.export, "verify", self.verify)
        monkeypatch.setattr(kv.export, "benchmark", lambda path, threads: {"results": []})

    def write(self, model, path, *arguments, **options):
        self.weights = model.get_weights()
        with writing(path) as partial:
            partial.write_text("exported")
        return path

    def verify(self, model, path, test, samples, task):
        return Report(passed=True, reasons=[], doubts=[])


def test_a_release_killed_at_any_moment(tmp_path, data, monkeypatch):
    exports = Exports(monkeypatch)
    for name in ("predictions", "confusion_matrix", "learning_curves"):
        monkeypatch.setattr(kv.visualize, name, lambda *a, **b: matplotlib.figure.Figure((1, 1)))
    train(tmp_path / "run", data)
    best = (tmp_path / "run" / "model.keras").read_bytes()

    def release(run_dir):
        names = ABOUT["classes"]
        return kv.runs.release(make_model(), run_dir, [data], [], names, command=None, threads=[])

    with moments_of(tmp_path / "run", tmp_path / "moments") as moments:
        release(tmp_path / "run")
    assert len(moments) > 8
    for moment in moments:
        assert kv.training.is_finished(moment)
        assert (moment / "model.keras").read_bytes() == best
        release(moment)
        names = sorted(path.name for path in moment.iterdir())
        assert names == sorted(path.name for path in (tmp_path / "run").iterdir())
        assert not [name for name in names if name.startswith(".")]
        assert json.loads((moment / "card.json").read_text())["classes"] == ABOUT["classes"]
        for mine, wanted in zip(exports.weights, left(moment)[2], strict=True):
            np.testing.assert_array_equal(mine, wanted)


def test_exports_are_there_as_a_whole_or_not_at_all(tmp_path):
    with moments_of(tmp_path / "run", tmp_path / "moments") as moments:
        (tmp_path / "run").mkdir()
        for _ in range(2):
            kv.export.saved_model(make_model(), tmp_path / "run" / "saved_model")
    whole = kv.export.load(tmp_path / "run" / "saved_model").predict(np.zeros((1, 2, 2, 1)))
    found = set()
    for moment in moments:
        clear_partial(moment)
        found.add(len(list(moment.iterdir())))
        if found and (moment / "saved_model").exists():
            again = kv.export.load(moment / "saved_model").predict(np.zeros((1, 2, 2, 1)))
            np.testing.assert_array_equal(again, whole)
    assert found == {0, 1}
