"""What single-shot detectors are made of: L2 normalisation, decoded boxes, the prior."""

import keras
import numpy as np
import pytest

from kvision.initializers import PriorProbability
from kvision.layers import BoxDecoder, L2Normalization
from kvision.ops import boxes


def test_l2_normalization_gives_every_position_the_same_length():
    x = np.random.default_rng(0).normal(0, 7, (2, 3, 4, 16)).astype("float32")
    layer = L2Normalization(scale=20.0)
    lengths = np.linalg.norm(np.asarray(layer(x)), axis=-1)
    np.testing.assert_allclose(lengths, 20.0, rtol=1e-5)
    layer.scale.assign(np.arange(16.0))
    expected = x / np.linalg.norm(x, axis=-1, keepdims=True) * np.arange(16.0)
    np.testing.assert_allclose(np.asarray(layer(x)), expected, rtol=1e-4, atol=1e-5)
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [(16,)]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_large_features_stay_finite_in_half_precision(policy):
    """512 squares of 300 are 46 million: more than float16 holds."""
    x = np.full((1, 1, 1, 512), 300.0)
    y = L2Normalization(scale=20.0, dtype=policy)(x)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    expected = 20 / np.sqrt(512)
    np.testing.assert_allclose(np.asarray(y, "float32"), expected, rtol=1e-2)


def test_an_empty_position_stays_zero_with_a_finite_gradient():
    import tensorflow as tf

    x, layer = tf.zeros((1, 2, 2, 8)), L2Normalization()
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert np.abs(y).max() == 0
    assert np.isfinite(tape.gradient(y, x)).all()


def test_l2_normalization_has_its_own_config_and_wants_channels():
    layer = L2Normalization(scale=3.0, epsilon=1e-3)
    again = L2Normalization.from_config(layer.get_config())
    x = np.ones((1, 5), "float32")
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(layer(x)))
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="must know the number of channels"):
        L2Normalization()(keras.Input((4, 4, None)))


def test_decoder_inverts_the_code_and_stays_in_the_picture():
    random = np.random.default_rng(1)
    anchors, wanted = (
        np.concatenate([corner, corner + size], axis=-1).astype("float32")
        for corner, size in random.uniform(0.05, 0.45, (2, 2, 50, 2))
    )
    for variances in (boxes.VARIANCES, (1.0, 1.0, 1.0, 1.0)):
        offsets = boxes.encode(wanted, anchors, variances)[None]
        layer = BoxDecoder(variances)
        np.testing.assert_allclose(np.asarray(layer([offsets, anchors]))[0], wanted, atol=1e-5)
        again = BoxDecoder.from_config(layer.get_config())
        np.testing.assert_allclose(np.asarray(again([offsets, anchors]))[0], wanted, atol=1e-5)
    wild = random.normal(0, 30, (3, 50, 4)).astype("float32")
    found = np.asarray(BoxDecoder()([wild, anchors]))
    assert found.shape == (3, 50, 4)
    assert found.min() == 0
    assert found.max() == 1


def test_decoder_is_float32_under_every_policy():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layer = BoxDecoder()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    symbolic = layer([keras.Input((7, 4)), keras.Input(batch_shape=(7, 4))])
    assert (symbolic.shape, symbolic.dtype) == ((None, 7, 4), "float32")
    anchor = np.array([[0.1, 0.2, 0.4001, 0.7003]], "float32")
    np.testing.assert_allclose(np.asarray(layer([np.zeros((1, 1, 4)), anchor]))[0], anchor)


@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_prior_probability_is_that_of_a_softmax(prior):
    start = PriorProbability(21, prior)
    bias = np.asarray(start((3 * 21,)), "float64").reshape(3, 21)
    odds = np.exp(bias)
    probabilities = odds / odds.sum(-1, keepdims=True)
    np.testing.assert_allclose(probabilities[:, 1:].sum(-1), prior, rtol=1e-5)
    np.testing.assert_allclose(probabilities[:, 1:], prior / 20, rtol=1e-5)
    again = PriorProbability.from_config(start.get_config())
    np.testing.assert_array_equal(np.asarray(again((63,))), bias.astype("float32").ravel())
    assert keras.backend.standardize_dtype(start((21,), "float16").dtype) == "float16"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PriorProbability(1), "`columns` must be a whole number from 2"),
        (lambda: PriorProbability(3, prior=1.0), "`prior` between 0 and 1. Received: .*prior=1.0"),
        (lambda: PriorProbability(3)((7,)), r"multiple of 3 numbers. Received: shape \(7,\)"),
        (lambda: BoxDecoder((0.1, 0.1)), r"`variances` must be four numbers.*\(0.1, 0.1\)"),
        (lambda: BoxDecoder((0.1, 0.1, 0.2, 0.0)), "greater than 0"),
    ],
)
def test_wrong_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
