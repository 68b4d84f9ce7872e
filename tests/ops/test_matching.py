"""Matching and sampling: the rules of the papers, written out as loops."""

import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from kvision.ops.matching import balanced_sample, match, take_matched


def overlaps(anchors=60, truths=7, seed=0, ties=True):
    values = np.random.default_rng(seed).uniform(0, 1, (2, anchors, truths)) ** 3
    return (np.round(values, 2) if ties else values).astype("float32")


def both(*args, **kwargs):
    return [np.asarray(x) for x in match(*args, **kwargs)]


def rpn_rule(iou, positive, negative):
    """Of one picture, as the Faster R-CNN paper says it."""
    state = np.full(len(iou), -1)
    state[iou.max(axis=1) < negative] = 0
    for truth in range(iou.shape[1]):
        best = iou[:, truth].max()
        if best > 0:
            state[iou[:, truth] == best] = 1
    state[iou.max(axis=1) >= positive] = 1
    return iou.argmax(axis=1), state


def ssd_rule(iou, threshold):
    """Of one picture, as SSD's code does it: pairs by falling overlap, then the threshold."""
    index, state = iou.argmax(axis=1), np.where(iou.max(axis=1) >= threshold, 1, 0)
    left = iou.copy()
    while left.max() > 0:
        anchor, truth = np.unravel_index(left.argmax(), left.shape)
        index[anchor], state[anchor] = truth, 1
        left[anchor], left[:, truth] = -1, -1
    return index, state


@pytest.mark.parametrize("seed", range(4))
def test_rule_of_region_proposals(seed):
    iou = overlaps(seed=seed)
    index, state = both(iou, 0.7, 0.3)
    for picture in range(2):
        expected = rpn_rule(iou[picture], 0.7, 0.3)
        np.testing.assert_array_equal(index[picture], expected[0])
        np.testing.assert_array_equal(state[picture], expected[1])
    assert set(state.ravel()) == {-1, 0, 1}


def test_equals_keras_cv():
    iou = overlaps(ties=False)
    for force in (False, True):
        theirs = keras_cv.layers.BoxMatcher([0.3, 0.7], [0, -1, 1], force)
        columns, values = (np.asarray(x) for x in theirs(tf.constant(iou)))
        index, state = both(iou, 0.7, 0.3, force=force)
        # keras-cv always forces the first anchor, by a column of padding of its own.
        np.testing.assert_array_equal(state[:, 1:], values[:, 1:])
        # It gives a forced anchor the truth that forced it; the paper's code does not.
        same = index == columns
        assert same.all() if not force else same[values < 1].all()


def test_all_of_equal_anchors_are_positive():
    iou = np.array([[0.4, 0.0], [0.4, 0.0], [0.1, 0.0]], "float32")
    index, state = both(iou, 0.7, 0.3)
    assert state.tolist() == [1, 1, 0]
    assert both(iou, 0.7, 0.3, force=False)[1].tolist() == [-1, -1, 0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("anchors", "truths"), [(60, 7), (5, 9), (9, 1)])
def test_rule_of_ssd(anchors, truths, seed):
    iou = overlaps(anchors, truths, seed, ties=False)
    index, state = both(iou, 0.5, 0.5, force="bipartite")
    for picture in range(2):
        expected = ssd_rule(iou[picture], 0.5)
        np.testing.assert_array_equal(index[picture], expected[0])
        np.testing.assert_array_equal(state[picture], expected[1])


def test_each_truth_has_an_anchor_of_its_own():
    """Both truths like anchor 0 best, and anchor 1 lies rather on the first."""
    iou = np.array([[0.9, 0.8], [0.7, 0.3], [0.1, 0.1]], "float32")
    index, state = both(iou, 0.5, 0.5, force="bipartite")
    assert index[:2].tolist() == [0, 1]
    assert state.tolist() == [1, 1, 0]
    assert both(iou, 0.5, 0.5)[0][:2].tolist() == [0, 0]


@pytest.mark.parametrize("force", [True, "bipartite", False])
def test_padding_and_touching_nothing(force):
    iou = overlaps(ties=False)
    valid = np.zeros((2, 7), bool)
    valid[0, [1, 4]] = True
    index, state = both(iou, 0.7, 0.3, force=force, valid=valid)
    plain = both(iou[:1, :, [1, 4]], 0.7, 0.3, force=force)
    np.testing.assert_array_equal(index[0], np.array([1, 4])[plain[0][0]])
    np.testing.assert_array_equal(state[0], plain[1][0])
    assert not state[1].any(), "without truths all are negative"
    assert not both(np.zeros((5, 2)), 0.7, 0.3, force=force)[1].any()
    index, state = both(np.zeros((2, 3, 0)), 0.7, 0.3, force=force)
    assert state.shape == (2, 3)
    assert not state.any()
    assert not index.any()


@pytest.mark.parametrize("force", [True, "bipartite", False])
def test_order_of_truths_changes_nothing(force):
    iou = overlaps(ties=False)
    order = np.random.default_rng(1).permutation(7)
    index, state = both(iou, 0.6, 0.4, force=force)
    other, same = both(iou[..., order], 0.6, 0.4, force=force)
    np.testing.assert_array_equal(order[other], index)
    np.testing.assert_array_equal(same, state)


def test_values_of_the_matched():
    boxes = np.random.default_rng(0).uniform(size=(2, 3, 4)).astype("float32")
    index = np.array([[2, 0], [1, 1]], "int32")
    np.testing.assert_array_equal(take_matched(boxes, index), boxes[[[0], [1]], index])
    classes = np.array([[4, 5, 6], [7, 8, 9]], "int32")
    np.testing.assert_array_equal(take_matched(classes, index), [[6, 4], [8, 8]])
    assert not np.any(take_matched(classes[:, :0], index * 0))


def test_sample_has_exact_numbers():
    state = np.array([[1] * 50 + [0] * 400 + [-1] * 50, [1] * 5 + [0] * 495, [1] * 490 + [0] * 10])
    kept = np.asarray(balanced_sample(state, 64, 0.25, seed=3))
    assert [(row == 1).sum() for row in kept] == [16, 5, 16]
    assert [(row == 0).sum() for row in kept] == [48, 59, 10]
    assert np.all((kept == state) | (kept == -1))
    few = np.asarray(balanced_sample(state[:, :20], 64, 0.5, seed=3))
    assert np.array_equal(few[1], state[1, :20]), "fewer than the number: all are kept"


def test_sample_is_uniform():
    """Each of 30 positives is among the 10 in a third of 900 draws, give or take 4 deviations."""
    state = np.tile([1] * 30 + [0] * 30, (900, 1))
    kept = np.asarray(balanced_sample(state, 20, 0.5, seed=0)) >= 0
    assert np.all(kept.sum(axis=1) == 20)
    deviation = (900 * (1 / 3) * (2 / 3)) ** 0.5
    assert np.abs(kept.sum(axis=0) - 300).max() < 4 * deviation
    assert kept.sum(axis=0).std() > 0.4 * deviation


def test_seeds():
    state = np.array([[1, 0] * 50])
    first, same, other = (
        np.asarray(balanced_sample(state, 10, 0.5, seed=seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    generator = keras.random.SeedGenerator(1)
    first, second = (np.asarray(balanced_sample(state, 10, 0.5, generator)) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("force", [True, "bipartite"])
def test_open_shapes_in_a_graph(force):
    @tf.function(input_signature=[tf.TensorSpec((None, None, None))], autograph=False)
    def traced(iou):
        index, state = match(iou, 0.7, 0.3, force=force)
        return index, state, balanced_sample(state, 8, 0.5, seed=1)

    for truths in (7, 0):
        iou = overlaps(truths=truths)
        index, state, kept = traced(iou)
        np.testing.assert_array_equal(state, both(iou, 0.7, 0.3, force=force)[1])
        np.testing.assert_array_equal(index, both(iou, 0.7, 0.3, force=force)[0])
        wanted = [4, 4] if truths else [0, 0]
        assert np.sum(np.asarray(kept) == 1, axis=1).tolist() == wanted


def test_no_gradient_flows_back():
    iou = tf.Variable(overlaps())
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.cast(match(iou, 0.7, 0.3)[1], "float32"))
    assert tape.gradient(value, iou) is None


def test_errors():
    iou = overlaps()
    with pytest.raises(ValueError, match="`force` must be True, False or 'bipartite'"):
        match(iou, 0.7, 0.3, force="greedy")
    with pytest.raises(ValueError, match="`negative` must be at most `positive`"):
        match(iou, 0.3, 0.7)
    with pytest.raises(ValueError, match=r"must be of shape \(anchors, truths\) or"):
        match(iou[None], 0.7, 0.3)
    with pytest.raises(ValueError, match="`number` must be a whole number from 1. Received: 0"):
        balanced_sample([[1, 0]], 0, 0.5)
    with pytest.raises(ValueError, match=r"`positive_fraction` must be in 0..1. Received: 2"):
        balanced_sample([[1, 0]], 1, 2)
