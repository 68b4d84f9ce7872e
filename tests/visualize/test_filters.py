"""What is drawn is read back from the picture, weight by weight."""

import io

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv


def model_of(kernel, *before, layer=None):
    """A model on pictures of 16x16 whose convolution, named "edges", has this kernel."""
    layer = layer or layers.Conv2D(kernel.shape[-1], kernel.shape[:2], name="edges")
    channels = kernel.shape[3] if isinstance(layer, layers.Conv2DTranspose) else kernel.shape[2]
    model = keras.Sequential([keras.Input((16, 16, channels)), *before, layer])
    layer.set_weights([kernel, *layer.get_weights()[1:]])
    return model


def picture(figure):
    figure.savefig(io.BytesIO(), format="png")
    return np.asarray(figure.axes[0].get_images()[0].get_array())


def tile(shown, row, column, size, factor, step):
    """The weights of one tile as they are shown: one value from the middle of each."""
    top, left = row * step[0] + 1, column * step[1] + 1
    part = shown[top : top + size * factor, left : left + size * factor]
    assert (part == part[::factor, ::factor].repeat(factor, 0).repeat(factor, 1)).all()
    return part[factor // 2 :: factor, factor // 2 :: factor]


def test_colours_are_weights_around_grey_each_on_its_own_scale():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4))
    kernel[..., 1] *= 0.01
    kernel[..., 2] = 0.0
    figure = kv.visualize.filters(model_of(kernel), columns=2)
    assert figure.axes[0].get_title() == "edges: 4 filters of 3x3x3"
    shown = picture(figure)
    assert shown.shape == (2 * 50 + 4, 2 * 50 + 4, 3)
    for index in (0, 1, 3):
        expected = 0.5 + kernel[..., index] / (2 * np.abs(kernel[..., index]).max())
        found = tile(shown, *divmod(index, 2), 3, 16, (54, 54))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (tile(shown, 1, 0, 3, 16, (54, 54)) == 0.5).all(), "no weights are grey"

    shown = picture(kv.visualize.filters(model_of(kernel), columns=2, common_scale=True))
    expected = 0.5 + kernel[..., 1] / (2 * np.abs(kernel).max())
    np.testing.assert_allclose(tile(shown, 0, 1, 3, 16, (54, 54)), expected, atol=1e-6)


@pytest.mark.parametrize("nested", [False, True])
def test_red_is_red_where_the_model_turns_the_channels_round(nested):
    kernel = np.zeros((3, 3, 3, 1), "float32")
    kernel[:, :, 2] = 1.0  # what comes third after the turn is red
    model = model_of(kernel, kv.layers.ReverseChannels())
    if nested:
        model = keras.Sequential([keras.Input((16, 16, 3)), model, layers.Flatten()])
    red = np.zeros((1, 16, 16, 3), "float32")
    red[..., 0] = 1.0
    assert float(np.max(model.predict(red, verbose=0))) == pytest.approx(9.0)
    figure = kv.visualize.filters(model)
    assert figure.axes[0].get_title() == "edges: 1 filter of 3x3x3"
    assert (tile(picture(figure), 0, 0, 3, 16, (54, 54)) == [1.0, 0.5, 0.5]).all()


def test_one_channel_is_grey_and_two_are_below_one_another():
    kernel = np.random.default_rng(1).uniform(-1, 1, (4, 4, 1, 3))
    shown = picture(kv.visualize.filters(model_of(kernel), columns=3))
    expected = 0.5 + kernel[..., 2] / (2 * np.abs(kernel[..., 2]).max())
    assert (shown[..., 0] == shown[..., 1]).all()
    np.testing.assert_allclose(tile(shown, 0, 2, 4, 12, (54, 54))[..., :1], expected, atol=1e-6)

    kernel = np.random.default_rng(1).uniform(-1, 1, (4, 4, 2, 3))
    shown = picture(kv.visualize.filters(model_of(kernel), columns=3))
    assert shown.shape == (2 * 50 + 2, 3 * 50 + 2 * 4, 3)
    expected = 0.5 + kernel[:, :, 1, 2] / (2 * np.abs(kernel[..., 2]).max())
    np.testing.assert_allclose(tile(shown, 1, 2, 4, 12, (52, 54))[..., 0], expected, atol=1e-6)


def test_many_channels_are_their_mean():
    kernel = np.random.default_rng(2).normal(size=(3, 3, 20, 2))
    figure = kv.visualize.filters(model_of(kernel))
    title = figure.axes[0].get_title()
    assert title == "edges: 2 filters of 3x3x20, the mean of their channels"
    mean = kernel.mean(axis=2)[..., 1]
    found = tile(picture(figure), 0, 1, 3, 16, (54, 54))[..., 0]
    np.testing.assert_allclose(found, 0.5 + mean / (2 * np.abs(mean).max()), atol=1e-6)


def test_depthwise_and_transposed_kernels_have_their_axes_elsewhere():
    kernel = np.random.default_rng(3).normal(size=(3, 3, 3, 2)).astype("float32")
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, name="edges")
    figure = kv.visualize.filters(model_of(kernel, layer=depthwise), columns=6)
    assert figure.axes[0].get_title() == "edges: 6 filters of 3x3"
    expected = 0.5 + kernel[:, :, 2, 1] / (2 * np.abs(kernel[:, :, 2, 1]).max())
    found = tile(picture(figure), 0, 5, 3, 16, (54, 54))[..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)

    transposed = layers.Conv2DTranspose(3, 3, name="edges")
    kernel = np.random.default_rng(3).normal(size=(3, 3, 3, 1)).astype("float32")
    figure = kv.visualize.filters(model_of(kernel, layer=transposed))
    assert figure.axes[0].get_title() == "edges: 3 filters of 3x3"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("LeNet5", "C1: 6 filters of 5x5"),
        ("AlexNet", "conv1: 96 filters of 11x11x3"),
        ("MobileNet", "conv1: 32 filters of 3x3x3"),
        ("VGG16", "conv1_1: 64 filters of 3x3x3"),
    ],
)
def test_networks_of_the_registry(name, title):
    model = kv.build_model(name, **({} if name == "LeNet5" else {"include_top": False}))
    figure = kv.visualize.filters(model)
    assert figure.axes[0].get_title() == title
    picture(figure)
    width, height = figure.get_size_inches()
    assert 1.5 < height <= width < 10


def test_another_layer_and_errors():
    model = kv.models.VGG11(include_top=False, input_shape=(32, 32, 3))
    title = kv.visualize.filters(model, layer="conv2_1").axes[0].get_title()
    assert title.startswith("conv2_1: 128 filters of 3x3x64")
    with pytest.raises(ValueError, match=r"must be one of \['conv1_1', .*Received: 'conv9'"):
        kv.visualize.filters(model, layer="conv9")
    with pytest.raises(ValueError, match="`columns` must be at least 1. Received: 0"):
        kv.visualize.filters(model, columns=0)
    dense = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="dense_only")
    with pytest.raises(ValueError, match="Received: 'dense_only', which has none"):
        kv.visualize.filters(dense)
    with pytest.raises(ValueError, match="must be a built Keras model"):
        kv.visualize.filters("conv1")
