"""What a run says when training goes wrong: NaN, and overfitting."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from short_runs import Scripted, fit, interrupted, make_model, said

import kvision as kv
from kvision.training.multi_worker import checked_batches
from kvision.training.sentences import in_one_sentence


def test_nan_stops_and_saves_nothing(tmp_path, data, capsys):
    images, labels = data
    interrupted(make_model(), data, tmp_path, 2)
    poisoned = images.copy()
    poisoned[5] = np.nan
    model = make_model()
    history = fit(model, (poisoned, labels), tmp_path, epochs=50)
    assert len(history["loss"]) == 1
    text = capsys.readouterr().out
    assert "Training stopped in epoch 3: the loss is nan" in text
    assert "a lower learning rate than 0.01" in text
    assert kv.training.completed_epochs(tmp_path) == 2
    assert not kv.training.is_finished(tmp_path)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3
    best = keras.models.load_model(tmp_path / "model.keras").get_weights()
    for mine, saved in zip(model.get_weights(), best, strict=True):
        assert np.isfinite(mine).all()
        np.testing.assert_array_equal(mine, saved)
    fit(make_model(), data, tmp_path, epochs=3)
    assert kv.training.is_finished(tmp_path)


def test_nan_in_the_first_epoch_leaves_no_run(tmp_path, data):
    images, labels = data
    fit(make_model(), (images * np.nan, labels), tmp_path)
    assert kv.training.completed_epochs(tmp_path) == 0
    assert not (tmp_path / "model.keras").exists()
    fit(make_model(), data, tmp_path, epochs=1)


def test_weights_that_the_last_batch_spoiled(tmp_path, data, capsys):
    """The loss of an epoch is taken before its last update, so it can look healthy."""
    images, labels = data
    model = make_model(optimizer=keras.optimizers.SGD(float("inf")))
    callbacks = kv.training.callbacks(tmp_path)
    model.fit(images, labels, batch_size=12, epochs=3, callbacks=callbacks, verbose=0)
    assert "is no longer finite" in capsys.readouterr().out
    assert kv.training.completed_epochs(tmp_path) == 0


def test_overfitting_is_said_once(tmp_path, data):
    losses = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    script = Scripted(loss=losses, val_loss=[1.0, 0.9, 0.95, 1.0, 1.1, 1.2, 1.3])
    with pytest.warns(UserWarning, match="Overfitting") as warnings:
        fit(make_model(), data, tmp_path, epochs=7, before=[script])
    (text,) = said(warnings)
    assert "from epoch 2 to epoch 5 the training loss fell from 0.9 to 0.6" in text
    assert "while the validation loss rose from 0.9 to 1.1" in text


@pytest.mark.parametrize(
    ("losses", "val_losses"),
    [
        ([1.0, 0.9, 0.8, 0.7, 0.6], [1.0, 0.9, 0.91, 0.92, 0.93]),
        ([1.0, 0.9, 1.0, 1.1, 1.2], [1.0, 0.9, 1.1, 1.2, 1.3]),
        ([1.0, 0.9, 0.8, 0.7, 0.6], [1.0, 0.9, 1.2, 1.2, 0.8]),
    ],
)
def test_no_overfitting(tmp_path, data, recwarn, losses, val_losses):
    script = Scripted(loss=losses, val_loss=val_losses)
    fit(make_model(), data, tmp_path, epochs=5, before=[script])
    assert not said(recwarn)


def test_overfitting_is_not_said_again_after_a_resume(tmp_path, data, recwarn):
    script = Scripted(loss=[1.0, 0.8, 0.7, 0.6, 0.5, 0.4], val_loss=[1.0, 2, 2, 2, 2, 2])
    with pytest.warns(UserWarning, match="Overfitting"):
        interrupted(make_model(), data, tmp_path, 4, before=[script])
    fit(make_model(), data, tmp_path, epochs=6, before=[script])
    assert not said(recwarn)


@pytest.mark.parametrize(("label", "eagerly"), [(3, True), (-1, False)])
def test_a_label_beyond_the_classes_is_named_in_a_sentence(tmp_path, data, label, eagerly):
    images, labels = data
    wrong = labels.copy()
    wrong[5] = label
    said = rf"^Labels must be whole numbers from 0 to 2, .* Received: the label {label}\. [^\n]*$"
    with pytest.raises(ValueError, match=said):
        fit(make_model(run_eagerly=eagerly), (images, wrong), tmp_path)
    model = make_model(run_eagerly=eagerly)
    callbacks = kv.training.callbacks(tmp_path)
    with pytest.raises(ValueError, match=said):
        model.fit(*data, validation_data=(images, wrong), callbacks=callbacks, verbose=0)


def test_other_errors_stay_what_they_are(tmp_path, data):
    def loss(labels, found):
        return tf.gather(found, tf.cast(labels, tf.int32) + 100)

    model = make_model(loss=loss, run_eagerly=False)
    with pytest.raises(tf.errors.InvalidArgumentError):
        fit(model, data, tmp_path)


def test_a_batch_too_small_for_the_hosts_is_a_sentence():
    batches = checked_batches(tf.data.Dataset.range(3).batch(2), 2)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        list(batches)
    sentence = in_one_sentence(str(error.value))
    assert sentence.startswith("A batch must hold at least one sample for each of the 2 replicas.")
    assert sentence.endswith("or drop_remainder=True.")


@pytest.mark.parametrize(("outputs", "said"), [(3, "labels from 0 to 2,"), (None, "less one,")])
def test_advice_names_the_classes_where_they_are_known(tmp_path, data, capsys, outputs, said):
    model = make_model()
    if outputs is None:
        image = keras.Input((5,))
        model = keras.Model(image, {"a": model(image), "b": image})
        model.compile("sgd", {"a": "sparse_categorical_crossentropy"})
    fit(model, (data[0] * np.nan, data[1]), tmp_path)
    assert said in capsys.readouterr().out
