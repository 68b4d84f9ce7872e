import keras
import keras_cv
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
    open_size = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)])
    for model in (plain, open_size):
        with pytest.raises(
            ValueError, match="must declare its levels, or be built for an image of"
        ):
            kv.models.levels(model)


IMAGE = (64, 96, 3)


def applications(name, **options):
    build = getattr(keras.applications, name)
    return build(include_top=False, weights=None, input_shape=IMAGE, **options)


def keras_cv_resnet():
    blocks = {"stackwise_filters": [8, 8, 8, 8], "stackwise_blocks": [2] * 4}
    blocks["stackwise_strides"] = [1, 2, 2, 2]
    return keras_cv.models.ResNetV2Backbone(**blocks, include_rescaling=True, input_shape=IMAGE)


class LikeKerasHub(keras.Model):
    """Declares its levels as keras-hub's backbones do."""

    def __init__(self):
        image = keras.Input(IMAGE)
        fine = keras.layers.Conv2D(2, 3, 4, "same", name="fine")(image)
        coarse = keras.layers.Conv2D(2, 3, 2, "same", name="coarse")(fine)
        super().__init__(image, keras.layers.ReLU(name="last")(coarse))
        self.pyramid_outputs = {"P2": fine, "P3": coarse}


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (lambda: applications("ResNet50"), {4: "conv2_block3_out", 32: "conv5_block3_out"}),
        (
            lambda: applications("MobileNetV2", alpha=0.35),
            {8: "block_6_expand_relu", 16: "block_13_expand_relu", 32: "out_relu"},
        ),
        (lambda: applications("VGG16"), {1: "block1_conv2", 16: "block5_conv3"}),
        (keras_cv_resnet, {4: "v2_stack_0_block2_out", 32: "v2_stack_3_block2_out"}),
        (LikeKerasHub, {4: "fine", 8: "coarse"}),
    ],
    ids=["ResNet50", "MobileNetV2", "VGG16", "keras_cv", "keras_hub"],
)
def test_levels_of_other_packages(build, wanted):
    model = build()
    levels = kv.models.levels(model)
    assert wanted.items() <= levels.items()
    features = kv.models.feature_extractor(model, list(levels))
    for stride, feature in zip(levels, features.outputs, strict=True):
        assert feature.shape[1:3] == (64 // stride, 96 // stride)


def test_sums_and_nested_models_have_levels():
    """The ends of ConvNeXt's resolutions are sums, which are no layers."""
    image = keras.Input((32, 32, 3))
    stem = keras.Sequential([keras.layers.Conv2D(4, 4, 4), keras.layers.LayerNormalization()])
    x = stem(image)
    x = x + keras.layers.Conv2D(4, 3, padding="same")(x)
    end = keras.Sequential([keras.layers.Conv2D(4, 2, 2)])(x)
    squeezed = keras.layers.GlobalAveragePooling2D(keepdims=True)(end)
    model = keras.Model(image, end * keras.layers.Conv2D(4, 1)(squeezed))
    assert list(kv.models.levels(model)) == [4, 8]
    fine, coarse = kv.models.feature_extractor(model, [4, 8]).outputs
    assert fine is x
    assert coarse is model.output


def test_networks_of_other_packages_carry_heads():
    for segmenter in (
        kv.models.DeepLabV3Plus(backbone=keras_cv_resnet(), classes=3),
        kv.models.UNet(backbone=applications("MobileNetV2", alpha=0.35), classes=3),
    ):
        assert segmenter.output_shape == (None, 64, 96, 3)
    backbone = keras_cv_resnet()
    detector = kv.models.FasterRCNN(backbone=backbone, classes=2)
    assert detector.get_layer("v2_stack_2_block2_out") is backbone.get_layer(
        "v2_stack_2_block2_out"
    )
    with pytest.raises(ValueError, match="must have features of stride 32"):
        kv.models.FCN32s(backbone=LikeKerasHub())
