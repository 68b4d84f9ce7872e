"""Facts of the paper, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights
from receptive import receptive_field

import kvision as kv

DEPTHS = {"VGG11": 11, "VGG11LRN": 11, "VGG13": 13, "VGG16C": 16, "VGG16": 16, "VGG19": 19}


@pytest.mark.parametrize("name", DEPTHS)
def test_layers_with_weights(name):
    model = without_weights(lambda: kv.build_model(name))
    assert sum(bool(layer.weights) for layer in model.layers) == DEPTHS[name]
    maps = [model.get_layer(f"pool{stage}").output.shape[1:] for stage in range(1, 6)]
    sides, filters = (112, 56, 28, 14, 7), (64, 128, 256, 512, 512)
    assert maps == [(side, side, count) for side, count in zip(sides, filters, strict=True)]


@pytest.mark.parametrize(("name", "pixels"), [("VGG11", 150), ("VGG16", 212), ("VGG16C", 156)])
def test_receptive_fields_of_pool5(name, pixels):
    model = without_weights(lambda: kv.build_model(name, include_top=False))
    assert receptive_field(model, "pool5") == pixels


def test_a_and_a_lrn_differ_by_one_normalisation():
    plain, normalised = (
        {layer.name for layer in builder(alpha=0.125).layers}
        for builder in (kv.models.VGG11, kv.models.VGG11LRN)
    )
    assert normalised - plain == {"norm1"}
    assert not plain - normalised
    norm = kv.models.VGG11LRN(alpha=0.125).get_layer("norm1")
    assert norm.input is not None
    assert (norm.size, norm.bias, norm.alpha, norm.beta) == (5, 2.0, 1e-4, 0.75)


def test_configuration_c_ends_its_late_stages_in_1x1():
    c, d = (kv.build_model(name, alpha=0.125) for name in ("VGG16C", "VGG16"))
    ones = [la.name for la in c.layers if getattr(la, "kernel_size", None) == (1, 1)]
    assert ones == ["conv3_3", "conv4_3", "conv5_3"]
    assert [layer.name for layer in c.layers] == [layer.name for layer in d.layers]


def test_dropout_follows_both_hidden_layers():
    model = kv.models.VGG16(alpha=0.125)
    drops = [la for la in model.layers if isinstance(la, keras.layers.Dropout)]
    assert [(drop.rate, drop.input.shape[-1]) for drop in drops] == [(0.5, 512)] * 2


def test_pixels_become_bgr_less_the_mean():
    model = kv.models.VGG11(alpha=0.125)
    seen = keras.Model(model.input, model.get_layer("conv1_1").input)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    expected = keras.applications.vgg16.preprocess_input(pixels.copy())
    np.testing.assert_allclose(np.asarray(seen(pixels)), expected, atol=1e-4)
    bare = kv.models.VGG11(alpha=0.125, include_preprocessing=False)
    bare.set_weights(model.get_weights())
    np.testing.assert_allclose(
        np.asarray(bare(expected)), np.asarray(model(pixels)), rtol=1e-4, atol=1e-6
    )


def test_wrong_options():
    with pytest.raises(ValueError, match="must be at least 32 in `VGG16`"):
        kv.models.VGG16(input_shape=(31, 64, 3))
    with pytest.raises(ValueError, match="`alpha` must be greater than 0 in `VGG13`"):
        kv.models.VGG13(alpha=-1)
    with pytest.raises(ValueError, match=r"known height and width.*Received: \(64, None, 3\)"):
        kv.models.VGG16(input_shape=(64, None, 3))
