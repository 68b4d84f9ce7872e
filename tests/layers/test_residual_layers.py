import keras
import numpy as np
import pytest

from kvision.layers import GroupedConv2D, IdentityShortcut, ReverseChannels


def test_shortcut_keeps_every_second_pixel_and_appends_zeros():
    x = np.random.default_rng(0).normal(size=(2, 5, 8, 3)).astype("float32")
    y = np.asarray(IdentityShortcut(7, strides=2)(x))
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    assert y.shape == (2, 3, 4, 7)
    assert not y[..., 3:].any()


def test_shortcut_of_the_same_shape_changes_nothing():
    x = np.ones((1, 4, 4, 6), "float32")
    np.testing.assert_array_equal(np.asarray(IdentityShortcut(6)(x)), x)


@pytest.mark.parametrize("side", [None, 1, 7, 8])
def test_shortcut_shape(side):
    layer = IdentityShortcut(4, strides=2)
    expected = None if side is None else (side + 1) // 2
    assert layer.compute_output_shape((None, side, 5, 3)) == (None, expected, 3, 4)


def test_shortcut_cannot_drop_channels():
    with pytest.raises(ValueError, match="at least the 6 channels of .* Received: 4"):
        IdentityShortcut(4)(np.ones((1, 4, 4, 6), "float32"))


def test_reverse_channels():
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(np.asarray(ReverseChannels()(x)), x[..., ::-1])


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_convolution_equals_keras(groups):
    options = {"groups": groups, "padding": "same", "strides": 2, "activation": "relu"}
    ours, theirs = GroupedConv2D(8, 3, **options), keras.layers.Conv2D(8, 3, **options)
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 12)).astype("float32")
    theirs(x)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(theirs(x)), rtol=1e-4, atol=1e-5)
    again = GroupedConv2D.from_config(ours.get_config())
    assert again.groups == groups
