import keras
import numpy as np
import pytest

import kvision as kv


@pytest.fixture
def backbone(alive):
    return alive(kv.models.MobileNetV2(alpha=0.35, include_top=False, input_shape=(33, 65, 3)))


def test_lists_single_levels_and_names(backbone):
    assert [f[1:3] for f in kv.models.feature_extractor(backbone, [4, 32]).output_shape] == [
        (9, 17),
        (2, 3),
    ]
    assert kv.models.feature_extractor(backbone, 8).output_shape[1:3] == (5, 9)
    assert kv.models.feature_extractor(backbone, "block_2_add").output_shape[1:3] == (9, 17)


def test_weights_are_shared(backbone):
    features = kv.models.feature_extractor(backbone, [32])
    pixels = np.ones((1, 33, 65, 3), "float32")
    before = np.asarray(features(pixels))
    backbone.get_layer("Conv_1").kernel.assign(backbone.get_layer("Conv_1").kernel * 3)
    assert np.abs(np.asarray(features(pixels)) - before).max() > 1e-3
    np.testing.assert_array_equal(np.asarray(features(pixels)), np.asarray(backbone(pixels)))


def test_levels_of_an_extractor_are_those_of_its_backbone(backbone):
    features = kv.models.feature_extractor(backbone, [2, 4, 8, 16, 32])
    assert kv.models.levels(features) == kv.models.levels(backbone)


def test_unknown_levels(backbone):
    with pytest.raises(ValueError, match=r"strides \[2, 4, 8, 16, 32\]. Received: 64"):
        kv.models.feature_extractor(backbone, [64])
    with pytest.raises(ValueError, match="no layer named 'block_99'"):
        kv.models.feature_extractor(backbone, ["block_99"])
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="plain")
    with pytest.raises(ValueError, match="`plain` holds no registered backbone"):
        kv.models.levels(plain)
