"""Facts of DeconvNet, computed another way."""

import numpy as np
import pytest
from networks import without_weights

import kvision as kv

TINY = {"alpha": 0.03125, "input_shape": (64, 64, 3), "classes": 4, "window": 2}


def test_maps_are_those_of_table_2():
    model = without_weights(lambda: kv.models.DeconvNet())
    table = {
        "conv1_2": (224, 64),
        "conv2_2": (112, 128),
        "conv3_3": (56, 256),
        "conv4_3": (28, 512),
        "conv5_3": (14, 512),
        "fc6": (1, 4096),
        "fc7": (1, 4096),
        "fc6-deconv": (7, 512),
        "unpool5": (14, 512),
        "deconv5_1": (14, 512),
        "deconv5_3": (14, 512),
        "deconv4_2": (28, 512),
        "deconv4_3": (28, 256),
        "deconv3_2": (56, 256),
        "deconv3_3": (56, 128),
        "deconv2_1": (112, 128),
        "deconv2_2": (112, 64),
        "unpool1": (224, 64),
        "deconv1_1": (224, 64),
        "deconv1_2": (224, 64),
        "seg-score": (224, 21),
    }
    for name, (side, filters) in table.items():
        assert model.get_layer(name).output.shape[1:] == (side, side, filters), name
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 251_805_653


def test_a_stage_unpools_with_its_own_switches():
    model = kv.models.DeconvNet(**TINY)
    for stage in range(1, 6):
        _, switches = model.get_layer(f"unpool{stage}").input
        assert switches is model.get_layer(f"pool{stage}").output[1]


@pytest.mark.parametrize("shape", [(96, 64, 3), (75, 83, 1), (None, None, 3)])
def test_larger_pictures(shape):
    model = kv.models.DeconvNet(**{**TINY, "input_shape": shape})
    height, width = shape[0] or 70, shape[1] or 64
    outputs = model(np.zeros((1, height, width, shape[2]), "float32"))
    assert tuple(outputs.shape) == (1, height, width, 4)


def test_wrong_options_say_what_to_do():
    with pytest.raises(ValueError, match="at least 224 in `DeconvNet`. Received"):
        kv.models.DeconvNet(input_shape=(200, 224, 3))
    with pytest.raises(ValueError, match="`window` must be a whole number from 1. Received: 0"):
        kv.models.DeconvNet(window=0)
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        kv.models.DeconvNet(classes=-1)
    with pytest.raises(ValueError, match="`alpha` must be greater than 0"):
        kv.models.DeconvNet(alpha=-1)
