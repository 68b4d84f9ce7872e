"""Networks of one answer a pixel."""

import keras
import numpy as np
import pytest
from networks import run
from waking import awaken as awaken_noise

import kvision as kv
from tasks import other_sizes, pictures, train

HEAD = ["weights", "input_shape", "classes", "classifier_activation"]
KEPT = 0.69


def awaken(model):
    return awaken_noise(model)


def inputs(model, count):
    return pictures(model.input_shape[1:], count)


def compared(model):
    return [model.output]


def truth(model, inputs):
    masks = np.asarray(model(inputs)).argmax(-1)
    assert len(np.unique(masks)) > 1, "all pixels look alike: the comparison is empty"
    return masks


def learn(model):
    """Four pictures that are bright where they show class 1: there is something to learn."""
    images = inputs(model, 4)
    size, classes = model(images[:1]).shape[1:3], model.output_shape[-1]
    masks = np.stack([_halves(size, classes), 1 - _halves(size, classes)] * 2)
    masks[masks == 2] = 255  # 1 - 255 in uint8
    top, left = ((images.shape[1 + i] - size[i]) // 2 for i in range(2))
    window = images[:, top : top + size[0], left : left + size[1]]
    window *= np.where(masks == 1, 1.0, 0.2)
    normalised = any(isinstance(x, keras.layers.BatchNormalization) for x in model.layers)
    model.compile(keras.optimizers.Adam(1e-2 if normalised else 1e-3), kv.losses.MaskCrossentropy())
    # Who does not look at the pictures comes to log 2 = 0.69.
    return train(model, (images, masks), most=200, is_learned=lambda _, last: last["loss"] < 0.4)


def _halves(size, classes):
    """Columns of class 0 and of class 1, and a void one."""
    mask = np.zeros((*size, 1), "uint8")
    mask[:, size[1] // 2 :] = min(1, classes - 1)
    mask[:, -1] = 255
    return mask


def check_every_pixel_has_probabilities_or_scores(network):
    probabilities = network.outputs[0]
    assert probabilities.ndim == 4
    assert probabilities.shape[-1] == network.entry.tiny["classes"]
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5)
    (scores,) = run(network.bare(classifier_activation=None), network.weights, network.inputs)
    np.testing.assert_allclose(
        np.asarray(keras.ops.softmax(scores)), probabilities, rtol=1e-4, atol=1e-6
    )


def check_other_sizes_and_channels_work_or_say_why_not(network):
    def is_right(shape, size):
        if network.entry.skip.get("masks_are_as_large_as_the_pictures"):
            return shape[1] < size[0] and shape[2] - shape[1] == size[1] - size[0]
        return shape[1:3] == size

    other_sizes(network, is_right)


def check_masks_are_as_large_as_the_pictures(network):
    shape = network.inputs.shape[1:3]
    assert network.outputs[0].shape[1:3] == shape


def check_options_of_the_scores(network):
    with pytest.raises(ValueError, match="`classifier_activation` must be one of"):
        network.bare(classifier_activation="relu")
