"""The whole state of a layer goes along, not its weights alone."""

import keras
import numpy as np
import pytest
from keras import layers

from kvision.layers.state import are_alike, copy_state, has_state, parts_of, set_weights

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 6, 6, 2)).astype("float32")


class Pair(layers.Layer):
    """A layer that holds others, one of them in a list."""

    def __init__(self):
        super().__init__()
        self.normalization = layers.Normalization(axis=None)
        self.convolutions = [layers.Conv2D(3, 1), layers.Conv2D(2, 1)]

    def build(self, shape):
        self.normalization.build(shape)  # not in a graph of the moment

    def call(self, x):
        x = self.normalization(x)
        for convolution in self.convolutions:
            x = convolution(x)
        return x


def _built():
    pair = Pair()
    pair(IMAGES)
    return pair


def test_what_a_layer_makes_of_its_weights_is_copied():
    source, target = _built(), _built()
    source.normalization.adapt(IMAGES)
    wanted = keras.ops.convert_to_numpy(source(IMAGES))
    assert np.abs(target(IMAGES) - wanted).max() > 1
    copy_state(source, target)
    np.testing.assert_allclose(target(IMAGES), wanted, atol=1e-5)
    assert sum(isinstance(part, layers.Conv2D) for part in parts_of(source)) == 2


def test_layers_inside_of_layers_of_keras():
    image = keras.Input((4, 6))
    x = layers.MultiHeadAttention(2, 3)(image, image)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    part = keras.Sequential([keras.Input((4, 6)), layers.Normalization(), layers.Dense(2)])
    model = keras.Model(image, part(x))
    part.layers[0].adapt(np.random.default_rng(0).normal(5, 3, (50, 4, 6)))
    copy = keras.models.clone_model(model)
    copy_state(model, copy)
    values = np.random.default_rng(1).normal(size=(2, 4, 6)).astype("float32")
    np.testing.assert_array_equal(copy(values), model(values))


def test_words_are_copied():
    words = layers.StringLookup()
    words.adapt(["cat", "dog"])
    other = layers.StringLookup()
    copy_state(words, other)
    assert other.get_vocabulary() == words.get_vocabulary()
    assert has_state(words)
    assert not has_state(layers.ReLU())


def test_set_weights_makes_anew_what_follows():
    normalization = layers.Normalization(axis=None)
    normalization.build(IMAGES.shape)
    set_weights(normalization, [np.float32(100), np.float32(25), np.int32(1)])
    np.testing.assert_allclose(normalization(IMAGES), (IMAGES - 100) / 5, rtol=1e-5)


def test_layers_that_are_not_alike():
    one, other = layers.Dense(2), layers.Dense(3)
    one.build((None, 4))
    other.build((None, 4))
    assert not are_alike(one, other)
    with pytest.raises(ValueError, match="must be made of the same layers"):
        copy_state(one, other)
