"""Models of random weights whose outputs vary."""

import keras
import numpy as np

from kvision.zoo.measuring import score_layers


def awaken(model, low=0.0, high=255.0, images=None):
    """Gives a model moving statistics that fit some images at once.

    A model trained on `images` for a few steps then does without training mode what it learned in
    it. A fresh model is given noise, and its outputs then vary; one without normalisation gets
    kernels of He's scale at least, and scores of about 1.
    """
    fresh = images is None
    if fresh:
        shape = (4, *(size or 64 for size in model.input_shape[1:]))
        images = np.random.default_rng(7).uniform(low, high, shape).astype("float32")
    norms = [la for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
    if fresh and not norms:
        _awaken_plain(model, images)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model


def _awaken_plain(model, images):
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    for layer in layers:
        he = (2 / np.prod(layer.kernel.shape[:-1])) ** 0.5
        if not np.any(layer.kernel):  # scores that begin at zero
            layer.kernel.assign(keras.random.normal(layer.kernel.shape, 0.0, he, seed=1))
        elif np.std(layer.kernel) and not isinstance(layer, keras.layers.Conv2DTranspose):
            layer.kernel.assign(layer.kernel * max(1.0, he / np.std(layer.kernel)))
    if len(layers[-1].kernel.shape) == 2:
        features = keras.Model(model.input, layers[-1].input)(images)
        layers[-1].kernel.assign(layers[-1].kernel / np.std(features @ layers[-1].kernel))
    elif model.layers[-1].name == "predictions":
        to_scores = keras.Model(model.input, model.layers[-1].input)
        deviation = np.std(to_scores(images), axis=(0, 1, 2)).mean()
        for layer in score_layers(model):
            layer.kernel.assign(layer.kernel / deviation)
        biased = next(layer for layer in score_layers(model) if layer.use_bias)
        biased.bias.assign(biased.bias - np.mean(to_scores(images), axis=(0, 1, 2)))
