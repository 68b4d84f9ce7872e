"""Facts of the two papers, computed another way."""

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.models.parts import dilate, round_channels


def test_depth_multiplier_doubles_the_depthwise_outputs():
    model = kv.models.MobileNet(alpha=0.25, depth_multiplier=2, input_shape=(64, 64, 3))
    assert model.get_layer("conv_dw_1").output.shape[-1] == 2 * 8
    theirs = keras.applications.MobileNet(
        weights=None, alpha=0.25, depth_multiplier=2, input_shape=(64, 64, 3)
    )
    assert model.count_params() == theirs.count_params()


@pytest.mark.parametrize("builder", [kv.models.MobileNet, kv.models.MobileNetV2])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_output_stride(builder, output_stride):
    model = builder(
        alpha=0.5, include_top=False, input_shape=(64, 96, 3), output_stride=output_stride
    )
    assert model.output_shape[1:3] == (64 // output_stride, 96 // output_stride)
    assert max(kv.models.levels(model)) == output_stride
    small = builder(
        alpha=0.5,
        include_top=False,
        input_shape=(32, 32, 3),
        output_stride=output_stride,
        stem_strides=1,
    )
    assert small.output_shape[1] == 32 // min(output_stride, 16)


@pytest.mark.parametrize("builder", [kv.models.MobileNet, kv.models.MobileNetV2])
def test_dilated_network_computes_the_strided_one_on_a_finer_grid(builder, alive):
    """With SAME padding a stride of 2 keeps the odd positions, so there both must agree."""
    shape = (256, 256, 3)
    strided = alive(builder(alpha=0.35, include_top=False, input_shape=shape))
    dilated = builder(alpha=0.35, include_top=False, input_shape=shape, output_stride=16)
    dilated.set_weights(strided.get_weights())
    pixels = np.random.default_rng(0).uniform(0, 255, (1, *shape)).astype("float32")
    coarse = np.asarray(strided(pixels))[0]
    fine = np.asarray(dilated(pixels))[0][1::2, 1::2]
    # Away from the border, whose padding differs.
    np.testing.assert_allclose(fine[3:-3, 3:-3], coarse[3:-3, 3:-3], rtol=1e-3, atol=1e-4)
    assert coarse[3:-3, 3:-3].std() > 1e-3


def test_dilation_plan():
    strides = [2, 1, 2, 2, 1, 2, 1, 2, 1]
    assert dilate(strides, 32) == [(s, 1) for s in strides]
    assert dilate(strides, 8)[-4:] == [(1, 1), (1, 2), (1, 2), (1, 4)]


def test_channels_round_to_eight_but_lose_no_tenth():
    assert [round_channels(c) for c in (32 * 0.35, 24 * 0.75, 16 * 0.35, 1280 * 1.4)] == [
        16,
        24,
        8,
        1792,
    ]


def test_first_block_has_no_expansion_and_projections_are_linear():
    model = kv.models.MobileNetV2()
    names = {layer.name for layer in model.layers}
    assert "expanded_conv_expand" not in names
    assert not any("project_relu" in name for name in names)
    adds = [name for name in names if name.endswith("_add")]
    assert len(adds) == 10  # 17 blocks less one for each of the 7 stages


def test_batch_norm_momentum_reaches_every_layer():
    for builder in (kv.models.MobileNet, kv.models.MobileNetV2):
        model = builder(alpha=0.35, input_shape=(32, 32, 3), batch_norm_momentum=0.97)
        norms = [la for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
        assert {norm.momentum for norm in norms} == {0.97}


@pytest.mark.parametrize("builder", [kv.models.MobileNet, kv.models.MobileNetV2])
def test_wrong_options(builder):
    with pytest.raises(ValueError, match="`alpha` must be greater than 0"):
        builder(alpha=0)
    with pytest.raises(ValueError, match="`output_stride` must be 8, 16 or 32"):
        builder(output_stride=4)
    with pytest.raises(ValueError, match="`stem_strides` must be 1 or 2"):
        builder(stem_strides=3)
