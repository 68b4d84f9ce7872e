"""One process of the jobs that test_resume.py and test_multi_worker.py start.

Trains what a JSON job describes (argv 1) and saves losses and weights to its `result`.
"""

import json
import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf

import kvision as kv
from kvision.training.multi_worker import EvenMultiWorkerStrategy


def make_data(first_epoch=0):
    """Batches of 8, 8, 8 and 4 samples an epoch, in an order that depends on the epoch alone."""
    generator = np.random.default_rng(3)
    images = generator.normal(size=(28, 6, 6, 2)).astype("float32")
    labels = generator.integers(0, 3, 28)
    images += labels[:, None, None, None] * 0.5

    def epoch(number):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(28), [1, tf.cast(number, tf.int32)]
        )
        pair = tf.gather(images, order), tf.gather(labels, order)
        return tf.data.Dataset.from_tensor_slices(pair).batch(8)

    training = tf.data.Dataset.range(first_epoch, 1000).flat_map(epoch)
    validation = tf.data.Dataset.from_tensor_slices((images, labels)).take(9).batch(4)
    return training, validation


def make_model(norm=None, dropout=False):
    layers = [keras.Input((6, 6, 2)), keras.layers.Conv2D(4, 3, use_bias=norm is None)]
    if norm == "synchronized":
        layers.append(keras.layers.BatchNormalization(momentum=0.7, synchronized=True))
    if norm == "local":
        layers.append(keras.layers.BatchNormalization(momentum=0.7))
    layers += [keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D()]
    if dropout:
        layers.append(keras.layers.Dropout(0.3))
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class Kill(keras.callbacks.Callback):
    """Ends this process as a power cut would, at a batch of an epoch or before its backup."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.when = epoch, batch
        self.epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.when:
            os.kill(os.getpid(), signal.SIGKILL)


def train(strategy, job, norm=None):
    keras.utils.set_random_seed(5)
    run_dir = job.get("run_dir") and f"{job['run_dir']}-{norm}"
    with strategy.scope():
        model = make_model(norm, job.get("dropout", False))
    callbacks, first_epoch = [], 0
    if run_dir:
        first_epoch = kv.training.completed_epochs(run_dir)
        callbacks = kv.training.callbacks(run_dir)
    if job.get("kill"):
        callbacks.insert(0, Kill(*job["kill"]))
    training, validation = make_data(first_epoch)
    history = model.fit(
        training,
        validation_data=validation,
        epochs=job["epochs"],
        steps_per_epoch=4,
        callbacks=callbacks,
        verbose=0,
    )
    results = {f"weight_{index}": value for index, value in enumerate(model.get_weights())}
    results.update(history.history, first_epoch=first_epoch)
    if job.get("predict"):
        results["predict"] = model.predict(validation, verbose=0)
    return results


def plain_fit_error(strategy):
    """What `fit` raises under the plain MultiWorkerMirroredStrategy, or an empty text."""
    ours = EvenMultiWorkerStrategy.reduce
    del EvenMultiWorkerStrategy.reduce
    try:
        with strategy.scope():
            model = make_model()
        model.fit(make_data()[0], epochs=1, steps_per_epoch=1, verbose=0)
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        return repr(error)
    finally:
        EvenMultiWorkerStrategy.reduce = ours
    return ""


def main(job):
    strategy = kv.training.strategy(job.get("devices"))
    results = {}
    for norm in job.get("norms", [None]):
        for name, value in train(strategy, job, norm).items():
            results[f"{norm}/{name}"] = value
    if job.get("plain"):
        results["plain_fit_error"] = plain_fit_error(strategy)
    np.savez(job["result"], **results)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
