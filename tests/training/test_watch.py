"""What a run says when training goes wrong: NaN, and overfitting."""

import keras
import numpy as np
import pytest
from short_runs import Scripted, fit, interrupted, make_model, said

import kvision as kv


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
