"""Our MobileNetV2 under `fit` beside a hand-written one on keras.applications."""

import statistics
import time

import keras
import numpy as np
import pytest

import kvision as kv

pytestmark = pytest.mark.bench

SHAPE, CLASSES, BATCH, STEPS, ROUNDS = (96, 96, 3), 10, 32, 12, 5


def by_hand():
    backbone = keras.applications.MobileNetV2(
        input_shape=SHAPE, include_top=False, pooling="avg", weights=None
    )
    inputs = keras.Input(SHAPE)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = keras.layers.Dropout(0.2)(backbone(x))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(x))


def test_training_step(capsys):
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (BATCH * STEPS, *SHAPE)).astype("float32")
    labels = random.integers(0, CLASSES, BATCH * STEPS)
    models = [kv.models.MobileNetV2(input_shape=SHAPE, classes=CLASSES), by_hand()]
    for model in models:
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(images[: 2 * BATCH], labels[: 2 * BATCH], batch_size=BATCH, verbose=0)
    seconds = ([], [])
    for _ in range(ROUNDS):
        for model, times in zip(models, seconds, strict=True):
            start = time.perf_counter()
            model.fit(images, labels, batch_size=BATCH, verbose=0)
            times.append(time.perf_counter() - start)
    ours, theirs = (statistics.median(times) / STEPS * 1e3 for times in seconds)
    with capsys.disabled():
        print(f"\ntraining step, ours {ours:.0f} ms, keras.applications by hand {theirs:.0f} ms")
        print(f"training speed ours / keras.applications: {theirs / ours:.2f}")
    assert ours > 0
