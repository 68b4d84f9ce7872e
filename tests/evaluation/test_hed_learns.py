"""HED on striped polygons under noise: where gradients see texture, it sees outlines."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw
from scipy import ndimage

import kvision as kv
from kvision.evaluation import edge_scores, evaluate_edges


def world(count, seed, side):
    """Pictures of three polygons, each with stripes of its own, and masks of their outlines."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((side, side))
    images, masks = [], []
    for _ in range(count):
        drawing = Image.new("L", (side, side))
        for label in range(1, 4):
            centre = random.uniform(0.2, 0.8, 2) * side
            angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 7)))
            radii = random.uniform(0.2, 0.45, len(angles)) * side
            corners = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
            ImageDraw.Draw(drawing).polygon([tuple(corner) for corner in corners], fill=label)
        labels = np.asarray(drawing)
        image = np.zeros((side, side, 3))
        for label in range(4):
            turn, period = random.uniform(0, np.pi), random.uniform(4, 12)
            phase = 2 * np.pi / period * (rows * np.sin(turn) + columns * np.cos(turn))
            texture = random.uniform(60, 195, 3)
            texture = texture + random.uniform(30, 60) * np.sin(phase)[..., None]
            image[labels == label] = texture[labels == label]
        images.append(np.clip(image + random.normal(0, 15, image.shape), 0, 255))
        mask = np.zeros((side, side), "uint8")
        mask[:, :-1] |= labels[:, :-1] != labels[:, 1:]
        mask[:-1] |= labels[:-1] != labels[1:]
        masks.append(mask)
    return np.array(images, "float32"), np.array(masks)


def trained(loss, steps):
    images, masks = world(600, 0, 96)
    model = kv.models.HED(alpha=0.25, side_outputs=True, score_initializer="glorot_uniform")
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.Adam(schedule), dict.fromkeys(model.output, loss))
    targets = dict.fromkeys(model.output, masks[..., None])
    batches = tf.data.Dataset.from_tensor_slices((images, targets)).shuffle(600, seed=0)
    model.fit(batches.repeat().batch(8), steps_per_epoch=steps, verbose=0)
    return model


def recall_at_half(scores):
    return scores["recall"][int(np.argmin(np.abs(np.subtract(scores["thresholds"], 0.5))))]


@pytest.mark.slow
def test_acceptance():
    images, masks = world(20, 1, 192)
    pairs = list(zip(images, masks, strict=True))
    gradients = [
        np.sqrt(sum(ndimage.gaussian_gradient_magnitude(x[..., c], 1.0) ** 2 for c in range(3)))
        for x in images
    ]
    largest = max(gradient.max() for gradient in gradients)
    baseline = edge_scores([gradient / largest for gradient in gradients], masks, thresholds=19)
    hed = evaluate_edges(trained(kv.losses.BalancedBinaryCrossentropy(), 480), pairs, thresholds=19)
    unbalanced = evaluate_edges(
        trained(keras.losses.BinaryCrossentropy(), 120), pairs, thresholds=19
    )
    print(
        *(f"{name} {scores['ods']:.3f}" for name, scores in (("HED", hed), ("gradient", baseline)))
    )
    print(f"recall at 0.5: {recall_at_half(hed):.3f}, unbalanced {recall_at_half(unbalanced):.3f}")
    assert hed["ods"] >= 0.85
    assert hed["ods"] >= baseline["ods"] + 0.15
    assert recall_at_half(hed) > 0.8
    assert recall_at_half(unbalanced) < 0.05
