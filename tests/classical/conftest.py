"""Scenes with their regions, and a small classifier that learned from them; made once."""

import functools

import keras
import pytest
from keras import layers

import kvision as kv


def _small_classifier(classes=9, side=32):
    """Three convolutions and two dense layers."""
    image = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    for filters in (16, 24, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Flatten()(layers.Activation("linear", name="pool")(x))
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name="small_classifier")


@pytest.fixture(scope="session")
def small_classifier():
    return _small_classifier


@pytest.fixture(scope="session")
def scenes():
    """Easy scenes: (images, truths, proposals) to learn from and to find objects in, and names."""
    search = functools.partial(kv.classical.selective_search, longer_side=None, minimum_size=8)
    parts = []
    for split, number in (("train", 32), ("test", 16)):
        data = kv.data.load("scenes", f"{split}[:{number}]", size=(96, 128), difficulty=0.0)
        elements = list(data.as_numpy_iterator())
        images = [element["image"] for element in elements]
        truths = [
            {"boxes": element["objects"]["bbox"], "classes": element["objects"]["label"]}
            for element in elements
        ]
        parts.append((images, truths, [search(image) for image in images]))
    return (*parts, [f"class_{index}" for index in range(8)])


@pytest.fixture(scope="session")
def fitted(scenes):
    """An R-CNN with a tuned classifier, and the pictures that it learned from, described."""
    (images, truths, proposals), _, names = scenes
    keras.utils.set_random_seed(0)
    network = _small_classifier()
    network.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    regions = kv.classical.region_batches(images, truths, (32, 32, 3), proposals=proposals)
    network.fit(regions, epochs=4, verbose=0)
    detector = kv.classical.RCNN(network, names)
    described = detector.describe(images, truths, proposals, verbose=0)
    return detector.fit_classifiers(described, verbose=0).fit_boxes(described), described
