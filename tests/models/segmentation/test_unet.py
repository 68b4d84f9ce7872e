"""Facts of the paper, computed another way."""

import warnings

import keras
import numpy as np
import pytest
from networks import without_weights
from receptive import receptive_field

import kvision as kv
from kvision.models.segmentation.upsampling import bilinear, transposed


def shapes_only(*args, **kwargs):
    return without_weights(lambda: kv.models.UNet(*args, **kwargs))


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize(
    ("channels", "classes", "parameters"),
    [(1, 1, 31_030_593), (1, 2, 31_030_658), (3, 1, 31_031_745), (3, 2, 31_031_810)],
)
def test_counts(channels, classes, parameters):
    model = shapes_only(input_shape=(572, 572, channels), classes=classes)
    assert count(model.trainable_weights) == parameters
    assert model.output_shape == (None, 388, 388, classes)


def test_count_with_batch_normalisation_is_that_of_the_usual_port():
    model = shapes_only(input_shape=(64, 64, 3), padding="same", batch_norm=True)
    assert count(model.trainable_weights) == 31_037_698
    assert count(model.non_trainable_weights) == 11_776


def test_crops_of_each_level():
    model = kv.models.UNet(filters=2)
    crops = []
    for level in range(4, 0, -1):
        layer = model.get_layer(f"up{level}_crop")
        crossing, wanted = (tensor.shape[1] for tensor in layer.input)
        crops.append((crossing - wanted) / 2)
        assert layer.offset is None
    assert crops == [4, 16, 40, 88]


def test_receptive_field_and_lost_border():
    # One bottom unit sees 140 pixels; unpadded convolutions lose 92 on each side of the output.
    model = shapes_only(filters=2)
    assert receptive_field(model, "down5_relu2") == 140
    assert (572 - 388) / 2 == 92


def test_what_crosses_over_lies_where_the_output_is():
    """A picture moved by 16 pixels moves the output by 16 pixels, and no more."""
    keras.utils.set_random_seed(1)
    model = kv.models.UNet(filters=2, input_shape=(None, None, 1), classifier_activation=None)
    picture = np.random.default_rng(0).uniform(0, 255, (1, 236, 236, 1)).astype("float32")
    whole = np.asarray(model(picture))
    part = np.asarray(model(picture[:, 16 : 16 + 188, 32 : 32 + 188]))
    assert whole.shape == (1, 52, 52, 2)
    assert part.shape == (1, 4, 4, 2)
    np.testing.assert_allclose(part, whole[:, 16:20, 32:36], atol=1e-4)


def test_output_is_centred():
    """Symmetrical weights and a symmetrical picture give a symmetrical answer."""
    model = kv.models.UNet(filters=4, depth=2, input_shape=(60, 60, 1), dropout=0.0)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = np.asarray(layer.kernel)
            layer.kernel.assign(kernel + kernel[::-1] + kernel[:, ::-1] + kernel[::-1, ::-1])
    picture = np.random.default_rng(0).uniform(0, 255, (1, 60, 60, 1)).astype("float32")
    answer, mirrored = (np.asarray(model(x)) for x in (picture, picture[:, ::-1, ::-1]))
    assert answer.std() > 1e-3
    np.testing.assert_allclose(mirrored, answer[:, ::-1, ::-1], atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_wrong_sizes_name_those_that_fit(padding):
    fitting = {"valid": r"\(236, 236, 1\) or \(252, 252, 1\)", "same": r"\(240, 240, 1\) or \(256"}
    with pytest.raises(ValueError, match=rf"Received: \(250, 250, 1\).*{fitting[padding]}"):
        kv.models.UNet(input_shape=(250, 250, 1), filters=2, padding=padding)
    with pytest.raises(ValueError, match=r"pad the pictures to \(188, 188, 1\)\.$"):
        kv.models.UNet(input_shape=(9, 9, 1), filters=2, padding="valid")


def test_the_sizes_that_messages_name_do_fit():
    for size in (188, 236, 252):
        output = kv.models.UNet(input_shape=(size, size, 1), filters=2).output_shape
        assert output == (None, size - 184, size - 184, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "full"}, "`padding` must be one of .* Received: 'full'"),
        ({"backbone": "LeNet5", "padding": "valid"}, "'same' with a `backbone`"),
        ({"backbone": "LeNet5", "input_shape": (32, 32, 1)}, "must pad.*'LeNet5'"),
        ({"depth": 0}, "`depth` and `filters` must be whole numbers .* depth=0"),
        ({"filters": (4, 8)}, r"`depth` and `filters` must be .* filters=\(4, 8\)"),
        ({"backbone": "MobileNetV2", "filters": (4, 8)}, r"must be 5 numbers .* \(4, 8\)"),
        ({"upsampling": "nearest"}, "`upsampling` must be one of .* Received: 'nearest'"),
        ({"classes": 0}, "`classes` must be a whole number"),
        ({"kernel_size": 1, "filters": 2}, "at least its stride of 2 in `UNet`.*Use 4"),
        ({"classifier_activation": "relu", "filters": 2}, "`classifier_activation` must be"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        kv.models.UNet(**options)


def test_checkerboards():
    """The warning comes exactly where pixels are covered unevenly."""
    for kernel_size in range(2, 7):
        x = keras.Input((8, 8, 1))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            y = transposed(
                x, 1, kernel_size, 2, "up", "UNet", kernel_initializer="ones", use_bias=False
            )
        covered = np.asarray(keras.Model(x, y)(np.ones((1, 8, 8, 1), "float32")))[0, 8, 6:-6, 0]
        warned = [str(each.message) for each in caught if "checkerboards" in str(each.message)]
        assert bool(warned) == (np.ptp(covered) > 0), kernel_size
    with pytest.warns(UserWarning, match="`UNet` enlarges by 2 with a kernel of 3.*of 2 or 4"):
        kv.models.UNet(filters=2, input_shape=(188, 188, 1), kernel_size=3)


def test_bilinear_kernels_are_let_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bilinear(keras.Input((4, 4, 3)), 2, "up", "UNet", odd=True).shape[1] == 9


def test_backbones_give_all_their_levels():
    model = kv.models.UNet("VGG16", input_shape=(64, 96, 3), classes=3)
    crossing = [model.get_layer(f"up{level}_concatenate").input[0] for level in range(1, 6)]
    names = [f"conv{stage}_{2 if stage < 3 else 3}" for stage in range(1, 6)]
    outputs = [model.get_layer(name).output for name in names]
    assert all(theirs is ours for theirs, ours in zip(crossing, outputs, strict=True))
    assert model.output_shape == (None, 64, 96, 3)


def test_a_trained_backbone_keeps_its_weights():
    backbone = kv.models.MobileNetV2(alpha=0.35, input_shape=(64, 64, 3), classes=7)
    model = kv.models.UNet(backbone, classes=3, filters=(8, 8, 8, 8, 8))
    assert model.get_layer("block_13_expand") is backbone.get_layer("block_13_expand")
    assert model.output_shape == (None, 64, 64, 3)
    assert "up1_concatenate" not in [layer.name for layer in model.layers]  # no level of stride 1


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("backbone", [None, "MobileNetV2"])
def test_open_sizes(backbone, upsampling):
    options = {"filters": 4} if backbone is None else {"filters": (4, 4, 4, 4, 4)}
    model = kv.models.UNet(
        backbone, input_shape=(None, None, 3), padding="same", upsampling=upsampling, **options
    )
    for size in ((64, 64), (77, 50)):
        assert model(np.zeros((1, *size, 3), "float32")).shape == (1, *size, 2)


def test_open_and_known_sizes_agree():
    options = {"padding": "same", "filters": 4, "depth": 2}
    fixed = kv.models.UNet(input_shape=(32, 48, 3), **options)
    free = kv.models.UNet(input_shape=(None, None, 3), **options)
    free.set_weights(fixed.get_weights())
    picture = np.random.default_rng(0).uniform(0, 255, (2, 32, 48, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(free(picture)), np.asarray(fixed(picture)), atol=1e-5)


def test_the_phone_network_is_light():
    model = kv.models.UNet("MobileNetV2", input_shape=(128, 128, 3))
    assert kv.models.multiply_adds(model) < 0.65e9
    assert not any(isinstance(layer, keras.layers.ZeroPadding2D) for layer in model.layers)


def test_other_class_counts_keep_the_rest(tmp_path):
    options = {"filters": 2, "depth": 2, "input_shape": (60, 60, 1)}
    before = kv.models.UNet(classes=2, **options)
    before.save(tmp_path / "model.keras")
    after = kv.models.UNet(classes=5, weights=tmp_path / "model.keras", **options)
    for layer in after.layers:
        for old, new in zip(before.get_layer(layer.name).weights, layer.weights, strict=True):
            if layer.name != "score":
                np.testing.assert_array_equal(np.asarray(old), np.asarray(new))
