"""What the callbacks of a run write, say and remember."""

import csv
import sys

import keras
import numpy as np
import pytest
from short_runs import Scripted, Stop, fit, interrupted, make_model, said

import kvision as kv
from kvision.training.best import BestEpoch


def rows_of(run_dir):
    with open(run_dir / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_model_and_history(tmp_path, data):
    assert kv.training.completed_epochs(tmp_path / "run") == 0
    assert not kv.training.is_finished(tmp_path / "run")
    history = fit(make_model(), data, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "history.csv",
        "model.keras",
        "run.json",
    ]
    rows = rows_of(tmp_path / "run")
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == values
    assert kv.training.completed_epochs(tmp_path / "run") == 3
    assert kv.training.is_finished(tmp_path / "run")


def test_model_is_the_best_epoch(tmp_path, data):
    weights = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(watch.model.get_weights())
    )
    script = Scripted(val_loss=[3.0, 1.0, 2.0])
    model = make_model()
    fit(model, data, tmp_path, before=[watch, script])
    best = keras.models.load_model(tmp_path / "model.keras").get_weights()
    for saved, expected in zip(best, weights[1], strict=True):
        np.testing.assert_array_equal(saved, expected)
    for last, expected in zip(model.get_weights(), weights[2], strict=True):
        np.testing.assert_array_equal(last, expected)


def test_early_stopping_restores_the_best_epoch(tmp_path, data):
    script = Scripted(val_accuracy=[0.5, 0.8, 0.7, 0.8, 0.9])
    model = make_model()
    history = fit(
        model, data, tmp_path, epochs=5, before=[script], monitor="val_accuracy", patience=2
    )
    assert len(history["loss"]) == 4
    best = keras.models.load_model(tmp_path / "model.keras").get_weights()
    for mine, saved in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(mine, saved)
    assert kv.training.is_finished(tmp_path)


def test_without_validation_the_loss_is_followed(tmp_path, data, recwarn):
    make_model().fit(*data, callbacks=kv.training.callbacks(tmp_path), epochs=2, verbose=0)
    assert (tmp_path / "model.keras").exists()
    assert not said(recwarn)


def test_validation_every_other_epoch(tmp_path, data, recwarn):
    callbacks = kv.training.callbacks(tmp_path, patience=1)
    model = make_model()
    options = {"epochs": 4, "validation_freq": 2, "verbose": 0, "validation_data": data}
    model.fit(*data, callbacks=callbacks, **options)
    best = callbacks[1]
    assert best.monitor == "val_loss"
    assert best.best_epoch in (1, 3)
    rows = rows_of(tmp_path)
    assert [bool(row["val_loss"]) for row in rows] == [False, True, False, True]
    assert not said(recwarn)


def test_monitor_that_fit_does_not_report(tmp_path, data):
    with pytest.raises(ValueError, match="`monitor` must be a quantity that `fit` reports"):
        fit(make_model(), data, tmp_path, monitor="val_iou")


def test_validation_that_never_came(tmp_path, data):
    callbacks = kv.training.callbacks(tmp_path, monitor="val_accuracy")
    with pytest.warns(UserWarning, match="model.keras was not written, because 'val_accuracy'"):
        make_model().fit(*data, callbacks=callbacks, verbose=0)


def test_resume_goes_on_as_if_nothing_had_happened(tmp_path, data):
    script = Scripted(val_accuracy=[0.2, 0.9, 0.3, 0.4, 0.5])
    start = make_model().get_weights()

    def fit_unshuffled(model, run_dir, stop=None):
        options = {"monitor": "val_accuracy", "patience": 9}
        callbacks = [Stop(stop), script, *kv.training.callbacks(run_dir, **options)]
        options = {"shuffle": False, "batch_size": 4, "epochs": 5, "verbose": 0}
        model.fit(*data, validation_data=data, callbacks=callbacks, **options)
        return callbacks[3]

    undisturbed = make_model()
    undisturbed.set_weights(start)
    fit_unshuffled(undisturbed, tmp_path / "whole")
    first = make_model()
    first.set_weights(start)
    with pytest.raises(KeyboardInterrupt):
        fit_unshuffled(first, tmp_path / "parts", stop=3)
    assert kv.training.completed_epochs(tmp_path / "parts") == 3
    assert not kv.training.is_finished(tmp_path / "parts")
    second = make_model()
    best = fit_unshuffled(second, tmp_path / "parts")
    assert (best.best_epoch, best.wait) == (1, 3)
    for mine, expected in zip(second.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, expected)
    parts, whole = tmp_path / "parts" / "history.csv", tmp_path / "whole" / "history.csv"
    assert parts.read_text() == whole.read_text()
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        "history.csv",
        "model.keras",
        "run.json",
    ]


def test_a_resumed_run_keeps_a_better_model(tmp_path, data):
    interrupted(make_model(), data, tmp_path, 2, before=[Scripted(val_loss=[1.0, 0.5, 9, 9])])
    before = (tmp_path / "model.keras").read_bytes()
    fit(make_model(), data, tmp_path, epochs=4, before=[Scripted(val_loss=[9, 9, 0.7, 0.6])])
    assert (tmp_path / "model.keras").read_bytes() == before
    assert len(rows_of(tmp_path)) == 4


def test_patience_is_counted_across_a_resume(tmp_path, data):
    script = Scripted(val_loss=[1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    interrupted(make_model(), data, tmp_path, 2, before=[script], patience=3)
    history = fit(make_model(), data, tmp_path, epochs=6, before=[script], patience=3)
    assert len(history["loss"]) == 2
    assert len(rows_of(tmp_path)) == 4


def test_a_finished_run_is_not_trained_again(tmp_path, data):
    fit(make_model(), data, tmp_path, epochs=2)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(ValueError, match="`run_dir` holds a finished run of 2 epochs"):
        kv.training.callbacks(tmp_path)
    fit(make_model(), data, tmp_path, epochs=1, resume=False)
    assert len(rows_of(tmp_path)) == 1
    assert not (tmp_path / "card.json").exists(), "it was of the other run"


def test_a_list_of_callbacks_serves_one_fit(tmp_path, data):
    callbacks = kv.training.callbacks(tmp_path)
    model = make_model()
    model.fit(*data, callbacks=callbacks, verbose=0)
    with pytest.raises(ValueError, match="holds a finished run of 1 epochs"):
        model.fit(*data, callbacks=callbacks, verbose=0)


def test_resume_false_forgets_an_interrupted_run(tmp_path, data):
    interrupted(make_model(), data, tmp_path, 2)
    history = fit(make_model(units=7), data, tmp_path, epochs=1, resume=False)
    assert len(history["loss"]) == 1
    assert len(rows_of(tmp_path)) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda: make_model(units=5),
        lambda: make_model(optimizer="sgd"),
        lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]),
    ],
)
def test_the_run_of_another_model(tmp_path, data, other):
    interrupted(make_model(), data, tmp_path, 1)
    model = other()
    if not model.compiled:
        model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="was made by another model"):
        fit(model, data, tmp_path)


def test_a_frozen_layer_is_another_training(tmp_path, data):
    interrupted(make_model(), data, tmp_path, 1)
    model = make_model()
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="what is trainable"):
        fit(model, data, tmp_path)


def test_a_second_fit_begins_at_its_own_epoch(tmp_path, data):
    """Keras alone would begin it where the first one resumed."""
    interrupted(make_model(), data, tmp_path / "first", 2)
    model = make_model()
    fit(model, data, tmp_path / "first")
    history = fit(model, data, tmp_path / "second", epochs=2)
    assert len(history["loss"]) == 2


def test_a_changed_learning_rate_takes_effect(tmp_path, data):
    interrupted(make_model(), data, tmp_path / "changed", 1)
    model = make_model(optimizer=keras.optimizers.Adam(0.001))
    fit(model, data, tmp_path / "changed")
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    interrupted(make_model(), data, tmp_path / "kept", 2, before=[halve])
    model = make_model()
    fit(model, data, tmp_path / "kept")
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01 / 4)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5)
    fit(make_model(optimizer=keras.optimizers.Adam(schedule)), data, tmp_path / "schedule")


def test_tensorboard(tmp_path, data, monkeypatch):
    pytest.importorskip("tensorboard")
    interrupted(make_model(), data, tmp_path / "run", 1, tensorboard=True)
    fit(make_model(), data, tmp_path / "run", epochs=2, tensorboard=True)
    assert list((tmp_path / "run" / "tensorboard" / "train").glob("events.*"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        kv.training.callbacks(tmp_path / "other", tensorboard=True)


def test_arguments(tmp_path):
    with pytest.raises(ValueError, match="`patience` must be None or an integer >= 1"):
        kv.training.callbacks(tmp_path, patience=0)
    with pytest.raises(ValueError, match="`mode` must be"):
        kv.training.callbacks(tmp_path, mode="highest")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`run_dir` must be a folder"):
        kv.training.callbacks(tmp_path / "file")


def test_another_monitor_starts_a_new_comparison():
    best = BestEpoch("val_accuracy")
    best.restore({"monitor": "val_loss", "best": 0.1, "best_epoch": 3, "wait": 2})
    assert (best.monitor, best.best, best.wait) == ("val_accuracy", None, 0)


def test_under_two_replicas(tmp_path, data):
    def make():
        with kv.training.strategy(2).scope():
            return make_model(run_eagerly=False)

    interrupted(make(), data, tmp_path, 2, patience=5)
    model = make()
    fit(model, data, tmp_path, patience=5)
    assert len(rows_of(tmp_path)) == 3
    best = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        best.evaluate(*data, verbose=0), model.evaluate(*data, verbose=0), rtol=1e-5
    )
