"""Suppression beside TensorFlow's own, and RoI alignment beside its form of matrix products."""

import statistics
import time

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kvision.layers import RoIAlign
from kvision.ops.suppression import suppress, suppress_classes

pytestmark = pytest.mark.bench

ROUNDS = 5


def milliseconds(function, *inputs):
    function = tf.function(function, autograph=False)
    function(*inputs)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function(*inputs)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def crowd(number, classes=None):
    """Boxes of many sizes around a hundred places, as a network proposes them."""
    random = np.random.default_rng(0)
    centres = random.uniform(0, 1, (100, 2))[random.integers(0, 100, number)]
    centres = centres + random.normal(0, 0.05, (number, 2))
    half = np.exp(random.uniform(-4, -1.5, (number, 2)))
    boxes = np.clip(np.concatenate([centres - half, centres + half], -1), 0, 1)
    scores = random.uniform(0, 1, (number, classes) if classes else number) ** 4
    return tf.constant(boxes[None], "float32"), tf.constant(scores[None], "float32")


def said(capsys, title, times):
    first = next(iter(times.values()))
    with capsys.disabled():
        print(f"\n{title}")
        for name, value in times.items():
            print(f"  {name:24} {value:8.1f} ms   {value / first:5.2f} x")


@pytest.mark.parametrize(("number", "most"), [(12000, 2000), (6000, 300)])
def test_proposals(number, most, capsys):
    boxes, scores = crowd(number)

    def ours(boxes, scores):
        return suppress(boxes, scores, 0.7, most=most)

    def theirs(boxes, scores):
        return tf.image.non_max_suppression(boxes[0], scores[0], most, 0.7)

    indices, valid = ours(boxes, scores)
    np.testing.assert_array_equal(indices[valid], theirs(boxes, scores))
    times = {
        "kvision": milliseconds(ours, boxes, scores),
        "tf.image": milliseconds(theirs, boxes, scores),
        "tf.image, batched": milliseconds(
            lambda b, s: tf.image.non_max_suppression_padded(
                b, s, most, 0.7, pad_to_max_output_size=True
            ),
            boxes,
            scores,
        ),
    }
    said(capsys, f"{number} boxes to {most}", times)


def test_classes(capsys):
    boxes, scores = crowd(8732, 21)

    def ours(boxes, scores):
        return suppress_classes(boxes, scores, 0.45, 0.05, 100)

    def theirs(boxes, scores):
        return tf.image.combined_non_max_suppression(
            boxes[:, :, None], scores, 400, 100, 0.45, 0.05
        )

    np.testing.assert_array_equal(ours(boxes, scores)[2], theirs(boxes, scores)[1])
    times = {
        "kvision": milliseconds(ours, boxes, scores),
        "tf.image, 400 a class": milliseconds(theirs, boxes, scores),
    }
    said(capsys, "8732 boxes of 21 classes to 100", times)


def products(features, boxes, size, samples=2):
    """RoI alignment as two products with matrices of hat functions."""

    def weights(low, high, cells):
        inside = (ops.arange(size * samples, dtype="float32") + 0.5) / (size * samples)
        points = (low[..., None] + (high - low)[..., None] * inside) * cells - 0.5
        points = ops.clip(points, 0, cells - 1)[..., None]
        hats = ops.maximum(0.0, 1 - ops.abs(points - ops.arange(cells, dtype="float32")))
        return ops.mean(ops.reshape(hats, (*boxes.shape[:2], size, samples, cells)), axis=3)

    top, left, bottom, right = ops.unstack(boxes, 4, axis=-1)
    rows = weights(top, bottom, features.shape[1])
    columns = weights(left, right, features.shape[2])
    rows = ops.einsum("brph,bhwc->brpwc", rows, features)
    return ops.einsum("brqw,brpwc->brpqc", columns, rows)


@pytest.mark.parametrize(("size", "cells"), [(7, 64), (14, 64), (7, 200), (14, 16)])
def test_alignment(size, cells, capsys):
    """300 regions of a map of 256 channels."""
    random = np.random.default_rng(0)
    features = tf.constant(random.normal(size=(1, cells, cells, 256)), "float32")
    corners = random.uniform(0, 1, (1, 300, 2, 2))
    boxes = tf.constant(np.concatenate([corners.min(2), corners.max(2)], -1), "float32")
    layer = RoIAlign(size)
    forms = {
        "looked up": lambda f, b: layer([f, b]),
        "products": lambda f, b: products(f, b, size),
    }

    def gradient(form):
        def function(features, boxes):
            with tf.GradientTape() as tape:
                tape.watch(features)
                value = tf.reduce_sum(form(features, boxes) ** 2)
            return tape.gradient(value, features)

        return function

    found = [form(features, boxes) for form in forms.values()]
    np.testing.assert_allclose(*found, atol=1e-3)
    times = {name: milliseconds(form, features, boxes) for name, form in forms.items()}
    for name, form in forms.items():
        times[f"{name}, gradient"] = milliseconds(gradient(form), features, boxes)
    said(capsys, f"{size}x{size} bins of {cells}x{cells} cells", times)
