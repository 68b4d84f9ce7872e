"""Trainings of a second, scripted and interrupted, for the tests of callbacks."""

import keras
import pytest

import kvision as kv


def make_model(units=4, **compile_options):
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    options = {"optimizer": keras.optimizers.Adam(0.01), "metrics": ["accuracy"]}
    options["run_eagerly"] = True
    options["loss"] = "sparse_categorical_crossentropy"
    model.compile(**{**options, **compile_options})
    return model


def fit(model, data, run_dir, epochs=3, before=(), **options):
    callbacks = [*before, *kv.training.callbacks(run_dir, **options)]
    options = {"validation_data": data, "epochs": epochs, "batch_size": 4, "verbose": 0}
    return model.fit(*data, callbacks=callbacks, **options).history


def said(warnings):
    """The warnings that are meant for the user."""
    return [str(each.message) for each in warnings if each.category is UserWarning]


class Scripted(keras.callbacks.Callback):
    """Reports the losses of a script instead of the true ones."""

    def __init__(self, **script):
        super().__init__()
        self.script = script

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.script.items()})


class Stop(keras.callbacks.Callback):
    """Breaks off a training in an epoch, as an interrupt does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def interrupted(model, data, run_dir, stop, before=(), **options):
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, run_dir, epochs=stop + 1, before=[*before, Stop(stop)], **options)
