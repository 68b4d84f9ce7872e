"""Facts of the paper, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights
from receptive import receptive_field

import kvision as kv

LAYERS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "predictions"]


@pytest.fixture(scope="module")
def full_size():
    return without_weights(lambda: kv.models.AlexNet())


def test_weights_and_units_of_each_layer(full_size):
    weights = [int(np.prod(full_size.get_layer(name).kernel.shape)) for name in LAYERS]
    units = [int(np.prod(full_size.get_layer(name).output.shape[1:])) for name in LAYERS]
    assert weights == [34848, 307200, 884736, 663552, 442368, 37748736, 16777216, 4096000]
    assert units == [290400, 186624, 64896, 64896, 43264, 4096, 4096, 1000]


def test_pooling_overlaps_and_sees_195_pixels(full_size):
    pools = [la for la in full_size.layers if isinstance(la, keras.layers.MaxPooling2D)]
    assert [(pool.pool_size, pool.strides) for pool in pools] == [((3, 3), (2, 2))] * 3
    assert receptive_field(full_size, "conv5") == 163
    assert receptive_field(full_size, "pool5") == 195


def test_constants_of_section_3_and_dropout(full_size):
    for name in ("norm1", "norm2"):
        norm = full_size.get_layer(name)
        assert (norm.size, norm.bias, norm.alpha, norm.beta) == (5, 2.0, 1e-4, 0.75)
    drops = [la.rate for la in full_size.layers if isinstance(la, keras.layers.Dropout)]
    assert drops == [0.5, 0.5]


def test_initialisation():
    model = kv.models.AlexNet(alpha=0.25, classes=50)
    for name in LAYERS:
        layer = model.get_layer(name)
        assert np.std(layer.kernel) == pytest.approx(0.01, rel=0.05)
        assert abs(np.mean(layer.kernel)) < 1e-3
        one = name in ("conv2", "conv4", "conv5", "fc6", "fc7")
        np.testing.assert_array_equal(layer.bias, np.full(layer.bias.shape, float(one)))


@pytest.mark.parametrize(
    ("name", "apart"), [("conv2", True), ("conv3", False), ("conv4", True), ("conv5", True)]
)
def test_towers_meet_in_conv3_only(name, apart):
    layer = kv.models.AlexNet(alpha=0.25, include_top=False).get_layer(name)
    channels, half = layer.input.shape[-1], layer.filters // 2
    maps = np.random.default_rng(0).normal(0, 9, (1, 5, 5, channels)).astype("float32")
    other = maps.copy()
    other[..., channels // 2 :] += 1.0
    before, after = np.asarray(layer(maps)), np.asarray(layer(other))
    assert np.abs(after - before)[..., half:].max() > 1e-3
    assert np.array_equal(after[..., :half], before[..., :half]) == apart


def test_least_sizes():
    for stride, least in ((4, 67), (1, 25)):
        options = {"stem_strides": stride, "alpha": 0.125, "include_top": False}
        maps = kv.models.AlexNet(input_shape=(least, least, 3), **options).output_shape
        assert maps[1:3] == (1, 1)
        with pytest.raises(ValueError, match=f"must be at least {least} in `AlexNet`"):
            kv.models.AlexNet(input_shape=(least, least - 1, 3), **options)


def test_wrong_options():
    with pytest.raises(ValueError, match="`groups` must be 1 or 2"):
        kv.models.AlexNet(groups=3)
    with pytest.raises(ValueError, match=r"`stem_strides` must be one of \[4, 1\].*Received: 2"):
        kv.models.AlexNet(stem_strides=2)
    with pytest.raises(ValueError, match="`alpha` must be greater than 0 in `AlexNet`"):
        kv.models.AlexNet(alpha=0)
    with pytest.raises(ValueError, match=r"known height and width.*Received: \(None, 227, 3\)"):
        kv.models.AlexNet(input_shape=(None, 227, 3))
