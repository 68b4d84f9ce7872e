import keras
import numpy as np
import pytest

import kvision as kv


def test_partial_connections_equal_a_masked_dense_convolution():
    table = [(0, 2), (1,), (0, 1, 2)]
    layer = kv.layers.PartiallyConnectedConv2D(table, kernel_size=3)
    maps = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype("float32")
    outputs = np.asarray(layer(maps))
    assert layer.count_params() == 6 * 9 + 3
    assert outputs.shape == layer.compute_output_shape(maps.shape) == (2, 5, 7, 3)
    kernels = iter(np.moveaxis(np.asarray(layer.kernel), -1, 0))
    dense = np.zeros((3, 3, 3, 3), "float32")
    for output, inputs in enumerate(table):
        for index in inputs:
            dense[:, :, index, output] = next(kernels)
    expected = keras.ops.conv(maps, dense, padding="valid")
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_subsampling_is_the_sum_times_coefficient_plus_bias():
    layer = kv.layers.TrainableSubsampling2D(activation=kv.ops.scaled_tanh)
    maps = np.random.default_rng(0).normal(size=(1, 5, 4, 2)).astype("float32")
    layer.build(maps.shape)
    layer.coefficient.assign([0.5, -2.0])
    layer.bias.assign([0.1, 0.3])
    window = maps[:, 2:4, 2:4].sum(axis=(1, 2))
    expected = 1.7159 * np.tanh(2 / 3 * (window * [0.5, -2.0] + [0.1, 0.3]))
    outputs = np.asarray(layer(maps))
    assert outputs.shape == layer.compute_output_shape(maps.shape) == (1, 2, 2, 2)
    np.testing.assert_allclose(outputs[:, 1, 1], expected, rtol=1e-5)


def test_radial_basis_is_minus_the_squared_distance():
    codes = np.random.default_rng(0).choice([-1.0, 1.0], (5, 12))
    layer = kv.layers.RadialBasis(codes)
    points = np.random.default_rng(1).normal(size=(3, 12)).astype("float32")
    expected = -((points[:, None] - codes[None]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(np.asarray(layer(points)), expected, rtol=1e-4)
    assert not layer.trainable_weights
    assert layer.compute_output_shape((None, 12)) == (None, 5)


def test_scaled_tanh_keeps_one_and_minus_one():
    np.testing.assert_allclose(
        kv.ops.scaled_tanh(np.array([-1.0, 0.0, 1.0])), [-1, 0, 1], atol=1e-4
    )


@pytest.mark.parametrize(
    "layer",
    [
        kv.layers.PartiallyConnectedConv2D([(0,), (1, 2)], 3, activation="relu"),
        kv.layers.TrainableSubsampling2D(activation=kv.ops.scaled_tanh),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_survive_their_config(layer):
    maps = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype("float32")
    expected = layer(maps)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(maps), expected)


def test_errors():
    with pytest.raises(ValueError, match="at least one input map"):
        kv.layers.PartiallyConnectedConv2D([(0,), ()], 3)
    with pytest.raises(ValueError, match="may name input maps 0 to 1"):
        kv.layers.PartiallyConnectedConv2D([(0,), (2,)], 3).build((None, 8, 8, 2))
    with pytest.raises(ValueError, match="one value for each of the 3 inputs"):
        kv.layers.RadialBasis([[1.0, -1.0]]).build((None, 3))
