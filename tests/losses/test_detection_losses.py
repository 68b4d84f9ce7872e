"""Losses of boxes against sums written out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.losses import hard_negatives, smooth_l1, softmax_focal


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_smooth_l1_is_the_formula(sigma):
    difference = np.linspace(-3, 3, 124).reshape(31, 4).astype("float32")
    true = np.random.default_rng(0).normal(size=(31, 4)).astype("float32")
    expected = np.zeros(31)
    for row in range(31):
        for d in difference[row]:
            small = abs(d) < 1 / sigma**2
            expected[row] += 0.5 * (sigma * d) ** 2 if small else abs(d) - 0.5 / sigma**2
    found = np.asarray(smooth_l1(true, true + difference, sigma))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_smooth_l1_of_sigma_1_is_keras_huber():
    true, predicted = np.random.default_rng(1).normal(0, 2, (2, 50, 4)).astype("float32")
    expected = 4 * np.asarray(keras.losses.huber(true, predicted))  # theirs is the mean
    np.testing.assert_allclose(np.asarray(smooth_l1(true, predicted)), expected, rtol=1e-5)


def test_gradient_of_smooth_l1_is_the_error_up_to_one():
    predicted = tf.constant([[0.0, 0.25, -0.5, 40.0]])
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        loss = smooth_l1(tf.zeros((1, 4)), predicted)
    np.testing.assert_allclose(tape.gradient(loss, predicted), [[0.0, 0.25, -0.5, 1.0]], atol=1e-6)


@pytest.mark.parametrize(("ratio", "minimum"), [(3.0, 3), (1.0, 0), (0.0, 0), (2.5, 5)])
def test_hard_negatives_are_the_largest(ratio, minimum):
    random = np.random.default_rng(2)
    losses = random.permutation(6 * 40).reshape(6, 40).astype("float32")  # all differ
    state = random.choice([-1, 0, 1], (6, 40), p=[0.2, 0.7, 0.1])
    state[4] = np.minimum(state[4], 0)  # no objects
    state[5] = 1  # no background
    chosen = np.asarray(hard_negatives(losses, state, ratio, minimum))
    for picture in range(6):
        negatives = np.flatnonzero(state[picture] == 0)
        count = int(np.ceil(max(ratio * (state[picture] == 1).sum(), minimum)))
        worst = negatives[np.argsort(-losses[picture][negatives])[:count]]
        assert set(np.flatnonzero(chosen[picture])) == set(worst)


def test_equal_losses_give_no_more_negatives():
    state = np.array([[1, 0, 0, 0, 0, 0, 0]])
    chosen = np.asarray(hard_negatives(np.ones((1, 7), "float32"), state, 3, 0))
    assert chosen.tolist() == [[False, True, True, True, False, False, False]]


def test_focal_loss_is_cross_entropy_that_forgets_what_is_easy():
    logits = np.random.default_rng(3).normal(0, 3, (20, 5)).astype("float32")
    labels = np.random.default_rng(4).integers(0, 5, 20)
    odds = np.exp(logits.astype("float64"))
    truth = (odds / odds.sum(-1, keepdims=True))[np.arange(20), labels]
    for gamma in (0.0, 0.5, 2.0):
        expected = -np.log(truth) * (1 - truth) ** gamma
        found = np.asarray(softmax_focal(labels, logits, gamma))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_certainty_is_zero_and_its_gradient_finite(gamma):
    logits = tf.constant([[200.0, 0.0], [0.0, 200.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = softmax_focal(np.array([0, 0]), logits, gamma)
    assert loss[0] == 0.0
    assert loss[1] == 200.0
    assert np.isfinite(tape.gradient(loss, logits)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smooth_l1(0.0, 0.0, sigma=0), "`sigma` must be greater than 0. Received: 0"),
        (lambda: hard_negatives([[0.0]], [[0]], -1), "`ratio` and .* Received: ratio=-1"),
        (lambda: hard_negatives([[0.0]], [[0]], 1, -2), "must be numbers from 0.*minimum=-2"),
        (lambda: softmax_focal([0], [[0.0]], -1), "`gamma` must be a number from 0. Received: -1"),
    ],
)
def test_wrong_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
