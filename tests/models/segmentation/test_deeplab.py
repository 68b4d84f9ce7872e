"""Facts of the DeepLab family, computed another way."""

import keras
import numpy as np
import pytest
from keras import layers
from networks import without_weights

import kvision as kv

LARGE = {"alpha": 0.0625, "input_shape": (33, 49, 3), "classes": 4}
PLUS = {"alpha": 0.35, "input_shape": (64, 96, 3), "classes": 4, "filters": 16, "dropout": 0.0}


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def pictures(shape, number=2):
    return np.random.default_rng(0).uniform(0, 255, (number, *shape)).astype("float32")


def outputs_at(model, *names):
    return keras.Model(model.input, [model.get_layer(name).output for name in names])


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("DeepLabLargeFOV", {}, 20_505_429),
        ("DeepLabV2", {"backbone": "VGG16"}, 37_877_652),
        ("DeepLabV2", {}, 44_048_532),
        # The head of the MobileNetV2 paper: 2.11 M in its Table 7.
        ("DeepLabV3Plus", {"atrous_rates": (), "decoder": False}, 2_113_557),
    ],
)
def test_parameters(name, options, parameters):
    model = without_weights(lambda: kv.build_model(name, **options))
    assert count(model.trainable_weights) == parameters
    if name == "DeepLabV2" and not options:
        frozen = model.get_layer("upscore").weights
        assert count(model.non_trainable_weights) - count(frozen) == 105_344


def test_maps_of_the_paper_at_321():
    model = without_weights(lambda: kv.models.DeepLabLargeFOV())
    sides = [model.get_layer(f"pool{stage}").output.shape[1] for stage in range(1, 6)]
    assert sides == [161, 81, 41, 41, 41]
    assert model.get_layer("fc8").output.shape[1:] == (41, 41, 21)
    assert model.get_layer("fc6").kernel.shape == (3, 3, 512, 1024)


def test_field_of_view_is_that_of_a_dense_layer():
    """Table 2 counts cells of 32 pixels: 7x7 at rate 4, the dense layer's, and 3x3 at 12."""
    fc6 = kv.models.DeepLabLargeFOV(**LARGE).get_layer("fc6")
    fields = [((size - 1) * rate + 4) * 8 for size, rate in ((7, 4), (3, fc6.dilation_rate[0]))]
    assert fc6.kernel_size == (3, 3)
    assert fields == [224, 224]


@pytest.mark.parametrize("shape", [(65, 97, 3), (64, 96, 3)])
def test_atrous_is_strided_then_dense_on_aligned_positions(shape):
    """With its stride back and no dilation, the same weights give every second position."""
    model = kv.models.DeepLabLargeFOV(**{**LARGE, "input_shape": shape})
    dense = outputs_at(model, "pool3", "conv5_3")
    maps, expected = (np.asarray(part) for part in dense(pictures(shape)))
    x = maps
    for index in range(1, 4):
        x = model.get_layer(f"conv4_{index}")(x)
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for index in range(1, 4):
        atrous = model.get_layer(f"conv5_{index}")
        assert atrous.dilation_rate == (2, 2)
        config = {**atrous.get_config(), "dilation_rate": 1}
        strided = layers.Conv2D.from_config(config)
        strided.build(x.shape)
        strided.set_weights(atrous.get_weights())
        x = strided(x)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(np.asarray(x), expected[:, ::2, ::2], rtol=1e-4, atol=1e-5)


def test_residual_backbone_at_8_has_the_values_of_32():
    options = {"alpha": 0.125, "input_shape": (65, 65, 3), "include_top": False}
    dilated = kv.models.ResNet50(**options, output_stride=8)
    strided = kv.models.copy_weights(dilated, kv.models.ResNet50(**options))
    batch = pictures((65, 65, 3))
    fine, coarse = np.asarray(dilated(batch)), np.asarray(strided(batch))
    assert coarse.std() > 1e-3
    np.testing.assert_allclose(fine[:, ::4, ::4], coarse, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(33, 49, 3), (40, 35, 3)])
def test_scores_lie_on_every_eighth_pixel(shape):
    model = kv.models.DeepLabLargeFOV(**{**LARGE, "input_shape": shape}, classifier_activation=None)
    model.get_layer("fc8").bias.assign([1.0, -2.0, 0.5, 3.0])
    maps = outputs_at(model, "fc8", "predictions")(pictures(shape))
    scores, logits = (np.asarray(part) for part in maps)
    np.testing.assert_allclose(logits[:, ::8, ::8], scores, rtol=1e-4, atol=1e-6)
    between = (scores[:, 0, 0] * 5 + scores[:, 0, 1] * 3) / 8
    np.testing.assert_allclose(logits[:, 0, 3], between, rtol=1e-4, atol=1e-6)
    assert logits.shape == (2, *shape[:2], 4)


@pytest.mark.parametrize("backbone", ["VGG16", "ResNet50"])
def test_branches_are_added(backbone):
    shape = (33, 49, 3)
    model = kv.models.DeepLabV2(
        backbone, alpha=0.0625, input_shape=shape, classes=4, dropout=0.0, rates=(1, 2, 3)
    )
    names = [f"fc8_{i}" for i in (1, 2, 3)]
    for i, name in enumerate(names):
        model.get_layer(name).bias.assign(np.arange(4) * 10.0**i)
    *branches, total = (np.asarray(x) for x in outputs_at(model, *names, "fc8")(pictures(shape)))
    np.testing.assert_allclose(sum(branches), total, rtol=1e-4, atol=1e-4)
    rates = [
        model.get_layer(f"fc6_{i}" if backbone == "VGG16" else f"fc8_{i}").dilation_rate[0]
        for i in (1, 2, 3)
    ]
    assert rates == [1, 2, 3]


def test_weights_of_vgg16_fit():
    vgg = kv.models.VGG16(alpha=0.0625, input_shape=(32, 32, 3), include_top=False)
    model = kv.models.DeepLabLargeFOV(**LARGE)
    kv.models.copy_weights(vgg, model, skip=["fc6", "fc7", "fc8", "upscore"])
    for stage, depth in enumerate((2, 2, 3, 3, 3), 1):
        for index in range(1, depth + 1):
            ours, theirs = (part.get_layer(f"conv{stage}_{index}") for part in (model, vgg))
            np.testing.assert_array_equal(np.asarray(ours.kernel), np.asarray(theirs.kernel))


@pytest.mark.parametrize(("stride", "rates"), [(16, (6, 12, 18)), (8, (12, 24, 36))])
def test_pyramid_has_the_same_fields_at_both_output_strides(stride, rates):
    model = kv.models.DeepLabV3Plus(**PLUS, output_stride=stride)
    atrous = [model.get_layer(f"aspp{i}_depthwise") for i in (1, 2, 3)]
    assert tuple(layer.dilation_rate[0] for layer in atrous) == rates
    assert {rate * stride for rate in rates} == {96, 192, 288}
    assert model.get_layer("aspp_concat").output.shape[1:] == (64 // stride, 96 // stride, 80)
    assert model.get_layer("logits").output.shape[1:3] == (16, 24)
    assert model.get_layer("feature_projection0").output.shape[-1] == 3


def test_image_pooling_is_the_mean_of_the_picture():
    model = kv.models.DeepLabV3Plus(**PLUS)
    features, pooled, spread = (
        np.asarray(x)
        for x in outputs_at(
            model, "block_16_project_BN", "image_pooling_mean", "image_pooling_resize"
        )(pictures((64, 96, 3)))
    )
    np.testing.assert_allclose(pooled[:, 0, 0], features.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    assert spread.shape[1:3] == features.shape[1:3]
    np.testing.assert_allclose(spread, np.broadcast_to(spread[:, :1, :1], spread.shape), rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "ResNet18", "alpha": 0.125},
        {"backbone": "MobileNet", "alpha": 0.25},
        {"decoder": False},
        {"atrous_rates": (), "decoder": False},
        {"separable": False},
        {"input_shape": (53, 75, 3)},
        {"input_shape": (64, 64, 1), "output_stride": 8},
    ],
    ids=str,
)
def test_configurations(options):
    model = kv.models.DeepLabV3Plus(**{**PLUS, **options})
    depthwise = {la.name for la in model.layers if la.name.endswith("_depthwise")}
    if options.get("decoder", True):
        is_mobile = options.get("backbone", "Mobile").startswith("Mobile")
        separable = options.get("separable", is_mobile)
        assert ("decoder_conv0_depthwise" in depthwise) == separable
    batch = pictures(model.input_shape[1:])
    probabilities = np.asarray(model(batch))
    assert probabilities.shape == (*batch.shape[:3], 4)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_a_trained_model_as_backbone_keeps_its_weights():
    backbone = kv.models.ResNet18(alpha=0.125, input_shape=(64, 64, 3), output_stride=16)
    model = kv.models.DeepLabV3Plus(backbone, classes=4, filters=8)
    assert model.get_layer("conv1_conv") is backbone.get_layer("conv1_conv")
    assert model.output_shape == (None, 64, 64, 4)
    assert not any(layer.name == "global_average" for layer in model.layers)


def shapes_data(number=16):
    """Pictures of a bright square on a dark ground, and its mask."""
    random = np.random.default_rng(0)
    images = random.uniform(0, 80, (number, 64, 96, 3)).astype("float32")
    masks = np.zeros((number, 64, 96), "int32")
    for image, mask in zip(images, masks, strict=True):
        top, left = random.integers(0, 32), random.integers(0, 64)
        image[top : top + 32, left : left + 32] += 150
        mask[top : top + 32, left : left + 32] = 1
    return images, masks


@pytest.mark.slow
def test_phone_files_say_the_same(tmp_path, alive):
    images, masks = shapes_data()
    model = kv.models.DeepLabV3Plus(**{**PLUS, "classes": 2})
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(images, masks, epochs=15, batch_size=8, verbose=0)
    alive(model, images=images)
    expected = np.asarray(model(images))
    accuracy = (expected.argmax(axis=-1) == masks).mean()
    assert accuracy > 0.95
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    np.testing.assert_allclose(kv.export.load(path).predict(images), expected, atol=1e-4)
    path = kv.export.tflite(model, tmp_path / "int8.tflite", "int8", calibration=images)
    labels = kv.export.load(path).predict(images).argmax(axis=-1)
    assert (labels == masks).mean() > accuracy - 0.01
    operators = kv.export.describe(path)["operators"]
    assert operators["DEQUANTIZE"] <= 1, operators


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"backbone": "VGG16"}])
def test_other_deeplabs_convert(options, tmp_path):
    name = "DeepLabV2" if options else "DeepLabLargeFOV"
    model = kv.build_model(name, **LARGE, **options)
    model.get_layer("fc8_1" if options else "fc8").bias.assign([0.1, 0.2, -0.2, 0.0])
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    batch = pictures((33, 49, 3), 1)
    np.testing.assert_allclose(
        kv.export.load(path).predict(batch), np.asarray(model(batch)), atol=1e-4
    )


def test_wrong_options_say_what_to_do():
    with pytest.raises(ValueError, match="`output_stride` must be 8 or 16 in `DeepLabV3Plus`"):
        kv.models.DeepLabV3Plus(output_stride=32)
    with pytest.raises(ValueError, match="`filters` must be a whole number from 1"):
        kv.models.DeepLabV3Plus(filters=0)
    with pytest.raises(ValueError, match="`atrous_rates` must be whole numbers from 1"):
        kv.models.DeepLabV3Plus(atrous_rates=(0, 6))
    with pytest.raises(ValueError, match="`rates` must be whole numbers from 1"):
        kv.models.DeepLabV2(rates=())
    for name in ("DeepLabV2", "DeepLabV3Plus"):
        with pytest.raises(ValueError, match="must take an `output_stride`.* Received: 'AlexNet'"):
            kv.build_model(name, backbone="AlexNet")
        with pytest.raises(ValueError, match="`backbone` of .* Received: 3"):
            kv.build_model(name, backbone=3)
    for name in ("DeepLabLargeFOV", "DeepLabV2", "DeepLabV3Plus"):
        with pytest.raises(ValueError, match="`classes` must be a whole number"):
            kv.build_model(name, classes=0)
        with pytest.raises(ValueError, match="`alpha` must be greater than 0"):
            kv.build_model(name, alpha=0)
