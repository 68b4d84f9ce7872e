"""Which epoch is exported, and of which run."""

import json

import keras
import numpy as np
import pytest
from short_runs import Scripted, Stop, fit

import kvision as kv


@pytest.fixture(scope="module")
def data():
    images = np.random.default_rng(0).uniform(0, 255, (6, 2, 2, 1)).astype("float32")
    return images, np.arange(6) % 2


def make_model(units=2, side=2):
    model = keras.Sequential([keras.Input((side, side, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(units, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def release(model, run_dir, data, command=None):
    names = ["even", "odd"]
    return kv.runs.release(
        model, run_dir, [data], [], names, quantize=(), threads=[1], command=command
    )


@pytest.mark.parametrize(("patience", "resumed"), [(None, False), (2, True)])
def test_the_best_epoch_is_exported(tmp_path, data, patience, resumed):
    weights = {}
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.update({epoch: watch.model.get_weights()})
    )
    given = {"before": [watch, Scripted(val_loss=[3.0, 1.0, 2.0])], "patience": patience}
    model = make_model()
    if resumed:
        with pytest.raises(KeyboardInterrupt):
            fit(make_model(), data, tmp_path, **{**given, "before": [*given["before"], Stop(2)]})
    fit(model, data, tmp_path, **given, command="python train.py --fast")
    before = (tmp_path / "model.keras").read_bytes()
    card = release(model, tmp_path, data)
    assert card["command"] == "python train.py --fast"
    assert (tmp_path / "model.keras").read_bytes() == before
    served = kv.export.load(tmp_path / "saved_model").predict(data[0])
    best = make_model()
    best.set_weights(weights[1])
    np.testing.assert_allclose(served, best.predict(data[0], verbose=0), atol=1e-6)
    assert not np.allclose(weights[1][0], weights[2][0])
    for mine, wanted in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(mine, wanted)

    # Once more, with the model of the folder: the command that trained stays.
    again = kv.runs.trained_model(tmp_path, make_model())
    assert release(again, tmp_path, data)["command"] == "python train.py --fast"
    assert release(again, tmp_path, data, command="other")["command"] == "other"


def test_only_the_trained_model_is_released(tmp_path, data):
    given = {"before": [Scripted(val_loss=[3.0, 1.0, 2.0])], "about": {"classes": ["a", "b"]}}
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), data, tmp_path, **{**given, "before": [*given["before"], Stop(2)]})
    with pytest.raises(ValueError, match="must have ended before its model is released"):
        release(make_model(), tmp_path, data)
    fit(make_model(), data, tmp_path, **given)
    with pytest.raises(ValueError, match="`model` must be the one that was trained in"):
        release(make_model(units=3), tmp_path, data)
    assert kv.runs.trained_model(tmp_path, make_model(), given["about"]).output_shape == (None, 2)
    for other in (make_model(units=3), make_model(side=3)):
        with pytest.raises(ValueError, match="must be one of the model that is asked for"):
            kv.runs.trained_model(tmp_path, other, given["about"])
    with pytest.raises(ValueError, match="was begun with the classes"):
        kv.runs.trained_model(tmp_path, make_model(), {"classes": ["b", "a"]})
    (tmp_path / "model.keras").unlink()
    for call in (
        lambda: kv.runs.trained_model(tmp_path, make_model()),
        lambda: release(make_model(), tmp_path, data),
    ):
        with pytest.raises(FileNotFoundError, match=r"its model\.keras is gone"):
            call()


def test_a_model_without_a_training_is_saved(tmp_path, data):
    for _ in range(2):
        model = make_model()
        card = release(model, tmp_path, data)
        saved = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(saved.get_weights()[0], model.get_weights()[0])
    assert card["command"] == json.loads((tmp_path / "card.json").read_text())["command"] == ""


def test_a_history_that_others_wrote_is_no_training_of_ours(tmp_path, data):
    model = make_model()
    model.fit(*data, verbose=0, callbacks=[keras.callbacks.CSVLogger(tmp_path / "history.csv")])
    release(model, tmp_path, data)
    saved = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(saved.get_weights()[0], model.get_weights()[0])
