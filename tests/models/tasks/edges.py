"""Networks of one probability a pixel, that of an edge."""

import keras
import numpy as np
import pytest
from networks import run
from waking import awaken as awaken_noise

import kvision as kv
from tasks import other_sizes, pictures, train

HEAD = ["weights", "input_shape", "classifier_activation"]


def awaken(model):
    return awaken_noise(model)


def inputs(model, count):
    return pictures(model.input_shape[1:], count)


def compared(model):
    return [model.output]


def learn(model):
    """Pictures of a bright half: their edge is its border."""
    images = 0.2 * inputs(model, 4)
    half = images.shape[2] // 2
    images[:, :, half:] += 150
    edges = np.zeros((*images.shape[:3], 1), "uint8")
    edges[:, :, half - 1 : half + 1] = 1
    model.compile(keras.optimizers.Adam(1e-3), kv.losses.BalancedBinaryCrossentropy())
    return train(
        model,
        (images, edges),
        most=100,
        is_learned=lambda first, last: last["loss"] < 0.5 * first["loss"],
    )


def check_every_pixel_has_a_probability_or_a_score(network):
    probabilities = network.outputs[0]
    assert probabilities.shape == (*network.inputs.shape[:3], 1)
    assert 0 <= probabilities.min() < probabilities.max() <= 1
    (scores,) = run(network.bare(classifier_activation=None), network.weights, network.inputs)
    np.testing.assert_allclose(
        np.asarray(keras.ops.sigmoid(scores)), probabilities, rtol=1e-4, atol=1e-6
    )


def check_other_sizes_and_channels_work_or_say_why_not(network):
    other_sizes(network, lambda shape, size: shape == (2, *size, 1))


def check_options_of_the_scores(network):
    with pytest.raises(ValueError, match="'sigmoid' or None in"):
        network.bare(classifier_activation="softmax")
