"""Suppression equals a plain loop in NumPy, box for box, also among equal scores."""

import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from kvision.ops.suppression import BLOCK, soft_suppress, suppress, suppress_classes


def overlap(box, others):
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    both = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def greedy(boxes, scores, iou_threshold, score_threshold=0.0, most=100, groups=None):
    """Indices that stay, of one picture."""
    groups = np.zeros(len(scores)) if groups is None else groups
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > score_threshold]
    kept = []
    while order and len(kept) < most:
        best, *order = order
        kept.append(best)
        close = overlap(boxes[best], boxes) > iou_threshold
        order = [i for i in order if not (close[i] and groups[i] == groups[best])]
    return kept


def crowd(number, seed=0, ties=False, batch=2):
    """Boxes around a few places, with scores of which some are equal."""
    random = np.random.default_rng(seed)
    centres = random.uniform(0.1, 0.9, (batch, max(number // 12, 1), 2))
    centres = centres[:, random.integers(0, centres.shape[1], number)]
    centres = centres + random.normal(0, 0.01, centres.shape)
    half = random.uniform(0.05, 0.1, (batch, number, 2))
    boxes = np.concatenate([centres - half, centres + half], -1).astype("float32")
    scores = random.uniform(0, 1, (batch, number)).astype("float32")
    return boxes, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("number", "most"), [(1, 3), (40, 100), (300, 20), (BLOCK, 300), (3 * BLOCK + 7, 90)]
)
def test_equals_a_loop(number, most, ties):
    boxes, scores = crowd(number, seed=number, ties=ties)
    indices, valid = (np.asarray(x) for x in suppress(boxes, scores, 0.4, 0.15, most))
    assert indices.dtype == np.int32
    assert valid.shape == indices.shape == (2, most)
    for picture in range(2):
        expected = greedy(boxes[picture], scores[picture], 0.4, 0.15, most)
        assert indices[picture][valid[picture]].tolist() == expected
        assert valid[picture].tolist() == [True] * len(expected) + [False] * (most - len(expected))
        assert not indices[picture][len(expected) :].any()


def test_equals_tensorflow_and_keras_cv():
    boxes, scores = crowd(500, batch=1)
    indices, valid = (np.asarray(x)[0] for x in suppress(boxes, scores, 0.5, 0.2, 60))
    theirs = tf.image.non_max_suppression(boxes[0], scores[0], 60, 0.5, 0.2)
    assert indices[valid].tolist() == np.asarray(theirs).tolist()
    layer = keras_cv.layers.NonMaxSuppression("rel_yxyx", False, 0.5, 0.2, 60)
    theirs = layer(tf.constant(boxes), tf.constant(scores[..., None]))
    number = int(theirs["num_detections"][0])
    assert number == valid.sum()
    np.testing.assert_allclose(theirs["confidence"][0][:number], scores[0][indices[valid]])


def test_a_chain_is_cut_from_its_best_end():
    """Each box overlaps the next by more than a half: every second one stays."""
    top = np.arange(3 * BLOCK, dtype="float32") / 4
    boxes = np.stack([top, 0 * top, top + 1, 0 * top + 1], -1)[None]
    scores = 1 - np.arange(3 * BLOCK, dtype="float32")[None] / 1000
    indices, valid = suppress(boxes, scores, 0.5, most=2 * BLOCK)
    assert np.asarray(valid).sum() == 3 * BLOCK / 2
    expected = np.arange(0, 3 * BLOCK, 2)
    assert np.array_equal(np.asarray(indices)[0, : len(expected)], expected)


def test_thresholds_are_exclusive():
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 0.5, 1], [2, 2, 3, 3]]], "float32")
    scores = np.array([[0.9, 0.8, 0.25]], "float32")
    assert np.asarray(suppress(boxes, scores, 0.5, 0.25, 3)[1]).sum() == 2
    assert np.asarray(suppress(boxes, scores, 0.49, 0.24, 3)[1]).sum() == 2
    assert np.asarray(suppress(boxes, scores, 0.5, 0.24, 3)[1]).sum() == 3


def test_boxes_without_area_stay_as_scores_say():
    boxes = np.zeros((1, 4, 4), "float32")
    indices, valid = suppress(boxes, np.array([[0.1, 0.4, 0.0, 0.3]]), 0.5, most=5)
    assert np.asarray(valid)[0].tolist() == [True] * 3 + [False] * 2
    assert np.asarray(indices)[0, :3].tolist() == [1, 3, 0]


@pytest.mark.parametrize("number", [0, 5])
def test_nothing_to_find(number):
    indices, valid = suppress(np.zeros((2, number, 4)), np.zeros((2, number)), 0.5, most=4)
    assert not np.asarray(valid).any()
    assert indices.shape == (2, 4)
    boxes, classes, scores = suppress_classes(
        np.zeros((2, number, 4)), np.zeros((2, number, 3)), most=4
    )
    assert not np.any(boxes)
    assert not np.any(scores)
    assert np.all(np.asarray(classes) == -1)
    assert not np.asarray(soft_suppress(np.zeros((2, number, 4)), np.zeros((2, number)))[1]).any()


def test_logits_of_any_sign():
    boxes, scores = crowd(50, batch=1)
    logits = scores * 20 - 30
    logits[0, 7] = -np.inf
    indices, valid = suppress(boxes, logits, 0.5, float("-inf"), 50)
    expected = greedy(boxes[0], logits[0], 0.5, -np.inf, 50)
    assert np.asarray(indices)[np.asarray(valid)].tolist() == expected


@pytest.mark.parametrize("per_class", [False, True])
def test_each_class_by_itself(per_class):
    """The classes' own lists, merged by score."""
    random = np.random.default_rng(3)
    boxes = crowd(60)[0]
    scores = random.uniform(0, 1, (2, 60, 3)).astype("float32")
    own = boxes[:, :, None] + random.normal(0, 0.02, (2, 60, 3, 4)).astype("float32")
    given = own if per_class else boxes
    found = [np.asarray(x) for x in suppress_classes(given, scores, 0.4, 0.3, 50, 180)]
    for picture in range(2):
        expected = []
        for label in range(3):
            mine = own[picture, :, label] if per_class else boxes[picture]
            kept = greedy(mine, scores[picture, :, label], 0.4, 0.3)
            expected += [(scores[picture, i, label], label, mine[i]) for i in kept]
        expected = sorted(expected, key=lambda each: -each[0])[:50]
        number = len(expected)
        np.testing.assert_array_equal(found[2][picture][:number], [e[0] for e in expected])
        np.testing.assert_array_equal(found[1][picture][:number], [e[1] for e in expected])
        np.testing.assert_array_equal(found[0][picture][:number], [e[2] for e in expected])
        assert np.all(found[1][picture][number:] == -1)
        assert not found[0][picture][number:].any()
        assert not found[2][picture][number:].any()


def test_only_candidates_are_looked_at():
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]], "float32")
    scores = np.array([[[0.9], [0.8], [0.7], [0.6]]], "float32")
    assert np.asarray(suppress_classes(boxes, scores, candidates=3)[2])[0, :2].tolist() == [
        pytest.approx(0.9),
        0,
    ]
    assert np.asarray(suppress_classes(boxes, scores, candidates=4)[2])[0, 1] == np.float32(0.6)


def soft(boxes, scores, method, iou_threshold, sigma, score_threshold, most):
    scores, kept, left = scores.copy(), [], []
    while len(kept) < most and scores.max() > score_threshold:
        best = int(scores.argmax())
        kept.append(best)
        left.append(scores[best])
        iou = overlap(boxes[best], boxes)
        linear = np.where(iou > iou_threshold, 1 - iou, 1)
        scores = scores * (np.exp(-(iou**2) / sigma) if method == "gaussian" else linear)
        scores[best] = -np.inf
    return kept, left


@pytest.mark.parametrize("method", ["gaussian", "linear"])
def test_soft_equals_a_loop(method):
    boxes, scores = crowd(80)
    indices, valid, left = (
        np.asarray(x) for x in soft_suppress(boxes, scores, method, 0.3, 0.4, 0.05, 70)
    )
    for picture in range(2):
        expected, scale = soft(boxes[picture], scores[picture], method, 0.3, 0.4, 0.05, 70)
        assert 10 < len(expected) < 80
        assert indices[picture][valid[picture]].tolist() == expected
        np.testing.assert_allclose(left[picture][valid[picture]], scale, rtol=1e-5)


def test_open_shapes_and_xla():
    boxes, scores = crowd(400)
    given = np.stack([scores, scores[:, ::-1]], -1)
    expected = [np.asarray(x) for x in suppress_classes(boxes, given, most=30)]
    signature = [tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, None, 2))]

    def find(boxes, scores):
        return suppress_classes(boxes, scores, most=30)

    traced = tf.function(find, input_signature=signature, autograph=False)
    compiled = tf.function(find, jit_compile=True, autograph=False)
    for function in (traced, compiled):
        for ours, wanted in zip(function(boxes, given), expected, strict=True):
            np.testing.assert_allclose(np.asarray(ours), wanted, atol=1e-6)


def test_errors():
    boxes, scores = np.zeros((1, 2, 4)), np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"`iou_threshold` must be in 0..1. Received: 1.5"):
        suppress(boxes, scores, 1.5)
    with pytest.raises(ValueError, match="`most` must be a whole number from 1. Received: 0"):
        suppress(boxes, scores, 0.5, most=0)
    with pytest.raises(ValueError, match="`candidates` must be a whole number from 1"):
        suppress_classes(boxes, scores[..., None], candidates=0)
    with pytest.raises(ValueError, match="`method` must be 'gaussian' or 'linear'"):
        soft_suppress(boxes, scores, "cubic")
    with pytest.raises(ValueError, match="`sigma` must be greater than 0. Received: 0"):
        soft_suppress(boxes, scores, sigma=0)
