"""Facts of the paper and of the authors' Caffe networks, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights
from receptive import receptive_field
from scipy import ndimage

import kvision as kv

BUILDERS = ("FCN32s", "FCN16s", "FCN8s")
TINY = {"alpha": 1 / 64, "dropout": 0.0}
RAMP_SIDE = 506  # with its border a multiple of 32: no pooling window is incomplete


def shapes_only(name, **kwargs):
    return without_weights(lambda: kv.build_model(name, **kwargs))


@pytest.mark.parametrize(
    ("name", "parameters", "fixed", "enlarged", "offset"),
    [
        ("FCN32s", 136_152_917, 64 * 64 * 21 * 21, 544, 19),
        ("FCN16s", 134_815_994, 32 * 32 * 21 * 21, 560, 27),
        ("FCN8s", 134_489_759, 16 * 16 * 21 * 21, 568, 31),
    ],
)
def test_sizes_offsets_and_counts_at_500(name, parameters, fixed, enlarged, offset):
    model = shapes_only(name, input_shape=(500, 500, 3))
    assert model.count_params() == parameters
    assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == fixed
    sides = {layer.name: layer.output.shape[1] for layer in model.layers}
    assert [sides[f"pool{stage}"] for stage in range(1, 6)] == [349, 175, 88, 44, 22]
    assert sides["fc6"] == sides["fc7"] == sides["score_fr"] == 16
    assert sides["score"] == 500
    crop = model.get_layer("score")
    assert crop.offset == offset
    assert crop.input[0].shape[1:] == (enlarged, enlarged, 21)


def test_crops_of_the_skips():
    model = shapes_only("FCN8s")
    assert model.get_layer("score_pool4c").offset == 5
    assert model.get_layer("score_pool3c").offset == 9
    assert receptive_field(model, "fc6") == 404  # the known 404x404 pixels of FCN's deepest unit


def test_fcn_alexnet():
    wide = 256 * 6 * 6 * 4096 + 4096 * 4096 + 2 * 4096  # fc6 and fc7
    convolutions = kv.model_info("AlexNet").parameters - wide - 1000 * 4097
    alexnet = kv.models.AlexNet(alpha=1 / 64)
    model = kv.models.FCN32s(alexnet, input_shape=(500, 500, 3))
    assert model.get_layer("score").offset == 18
    assert model.get_layer("upscore32").kernel_size == (63, 63)
    assert model.get_layer("fc6").output.shape[1] == 16
    enlarging = int(np.prod(model.get_layer("upscore32").kernel.shape))
    assert convolutions + wide + 21 * 4097 + enlarging == 58_704_590


def ramp_network(name, source):
    """An FCN of which only the scores of `source` count, on a backbone that passes red on."""
    vgg = kv.models.VGG16(include_top=True, alpha=1 / 64, dropout=0.0, include_preprocessing=False)
    model = kv.build_model(name, backbone=vgg, classes=1, classifier_activation=None)
    for layer in model.layers:
        if layer.name.startswith(("conv", "fc", "score_")) and layer.weights:
            kernel = np.zeros(layer.kernel.shape, "float32")
            if layer.name == "fc6":
                kernel[:, :, 0, 0] = 1 / 49
            elif layer.name[:5] != "score" or layer.name == source:
                kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, 0, 0] = 1.0
            layer.set_weights([kernel, np.zeros(layer.bias.shape, "float32")])
    return model


@pytest.mark.parametrize(
    ("name", "source", "stride", "reach"),
    [
        ("FCN32s", "score_fr", 32, 144),
        ("FCN16s", "score_fr", 32, 160),
        ("FCN16s", "score_pool4", 16, 32),
        ("FCN8s", "score_fr", 32, 168),
        ("FCN8s", "score_pool4", 16, 40),
        ("FCN8s", "score_pool3", 8, 16),
    ],
)
def test_the_scores_lie_where_the_picture_is(name, source, stride, reach):
    """A ramp comes out as the same ramp, moved by what its pooling windows take.

    The maximum of a window of `stride` pixels lies (stride - 1) / 2 past its centre, to the right
    on a ramp that rises to the right, to the left on one that rises to the left.
    """
    model = ramp_network(name, source)
    ramp = np.arange(RAMP_SIDE, dtype="float32")
    for axis in (1, 2):
        rising = np.broadcast_to(np.expand_dims(ramp, (0, 3 - axis, 3)), (1, 506, 506, 3)).copy()
        outputs = [np.asarray(model(x))[0, ..., 0] for x in (rising, rising[:, ::-1, ::-1].copy())]
        inside = (slice(reach, -reach), slice(reach, -reach))
        wanted = rising[0, ..., 0]
        for output, shift in ((outputs[0], 0), (outputs[1][::-1, ::-1], 0)):
            error = output - wanted - (stride - 1) / 2
            np.testing.assert_allclose(error[inside] - shift, 0.0, atol=1e-2)


def test_the_paper_form_at_224_sees_what_the_classifier_sees():
    """Where the border lies outside of a window, the scores are the classifier's own."""
    vgg = kv.models.VGG16(alpha=1 / 32, classes=5, classifier_activation=None)
    model = kv.models.FCN32s(vgg, classes=5)
    features = keras.Model(model.input, model.get_layer("fc7").output)
    dense = keras.Model(vgg.input, vgg.get_layer("fc7").output)
    # The window of fc6's position 0 begins 99 pixels before the picture, so its position 10 begins
    # at pixel 221 and sees the picture alone, but for what its padding sees of the neighbourhood.
    inner = np.zeros((1, 640, 640, 3), "float32")
    mean = np.array([123.68, 116.779, 103.939], "float32")
    inner += mean  # zero after the normalisation, as padding is
    window = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    start = -99 + 32 * 10
    inner[:, start : start + 224, start : start + 224] = window
    # Without biases, zeros stay zeros through every layer, as padding would have them.
    for layer in (*vgg.layers, *model.layers):
        if layer.name.startswith("conv"):
            layer.bias.assign(np.zeros(layer.bias.shape))
            kernel = np.asarray(layer.kernel)
            off = np.zeros_like(kernel)
            off[1, 1] = 5 * np.abs(kernel[1, 1])  # looks at one position, so that nothing leaks out
            layer.kernel.assign(off)
    theirs, ours = np.asarray(dense(window))[0], np.asarray(features(inner))[0, 10, 10]
    assert theirs.std() > 1e-3
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_trained_classifier_hands_all_its_weights_over():
    vgg = kv.models.VGG16(alpha=1 / 64, classes=7)
    model = kv.models.FCN8s(vgg, classes=3)
    for layer in vgg.layers:
        if layer.weights and layer.name != "predictions":
            for theirs, ours in zip(
                layer.weights, model.get_layer(layer.name).weights, strict=True
            ):
                flat = np.asarray(ours).reshape(theirs.shape)
                np.testing.assert_array_equal(np.asarray(theirs), flat)
    assert "predictions" in [layer.name for layer in model.layers]


def test_statistics_of_the_classifier_are_handed_over_and_used():
    vgg = kv.models.VGG16(alpha=1 / 64, include_preprocessing=False)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    image, normalization = keras.Input((224, 224, 3)), keras.layers.Normalization()
    normalization.adapt(pixels)
    x = normalization(image)
    for layer in vgg.layers[1:]:
        x = layer(x)
    fcn = kv.models.FCN32s(backbone=keras.Model(image, x), classes=2)
    inner = keras.Model(fcn.inputs[0], fcn.get_layer(normalization.name).output)
    np.testing.assert_allclose(inner(pixels), normalization(pixels), atol=1e-5)
    assert abs(np.mean(inner(pixels))) < 1e-3


@pytest.mark.parametrize("name", BUILDERS)
def test_scores_start_at_zero_and_enlargements_as_interpolation(name):
    model = kv.build_model(name, **TINY, classes=4)
    assert not any(
        np.asarray(la.kernel).any()
        for la in model.layers
        if la.name.startswith("score_") and la.weights
    )
    upscores = [layer for layer in model.layers if layer.name.startswith("upscore")]
    assert len(upscores) == BUILDERS.index(name) + 1
    for layer in upscores:
        expected = kv.initializers.BilinearKernel()(layer.kernel.shape)
        np.testing.assert_array_equal(np.asarray(layer.kernel), np.asarray(expected))
    assert [layer.trainable for layer in upscores] == [True] * (len(upscores) - 1) + [False]
    outputs = np.asarray(model(np.zeros((1, 40, 50, 3), "float32")))
    np.testing.assert_allclose(outputs, 1 / 4, atol=1e-6)


def test_at_once_scales_what_joins():
    model = kv.models.FCN8s(**TINY, at_once=True)
    assert model.get_layer("scale_pool4").scale == 0.01
    assert model.get_layer("scale_pool3").scale == 0.0001
    assert model.get_layer("score_pool3").input is model.get_layer("scale_pool3").output
    plain = kv.models.FCN8s(**TINY)
    assert "scale_pool4" not in [layer.name for layer in plain.layers]


def interpolated(maps, factor, shift, size=None):
    """Bilinear interpolation: output pixel p lies at (p + shift) / factor; outside is zero."""
    sides = size or [factor * side + 2 * (0.5 - shift - factor / 2) for side in maps.shape[:2]]
    grid = [(np.arange(int(side)) + shift) / factor for side in sides]
    grid = np.meshgrid(*grid, indexing="ij")
    return np.stack(
        [
            ndimage.map_coordinates(maps[..., c], grid, order=1, mode="grid-constant")
            for c in range(maps.shape[-1])
        ],
        axis=-1,
    )


@pytest.mark.parametrize("backbone", [None, "MobileNetV2"])
def test_stages_start_where_the_one_before_ended(backbone, tmp_path, alive):
    """At its start a stage gives the scores of the one before, interpolated once more."""
    options = {"classes": 3, "input_shape": (160, 192, 3), "classifier_activation": None}
    options |= {"alpha": 1 / 16, "dropout": 0.0} if backbone is None else {"backbone": backbone}
    first = kv.models.FCN32s(**options, score_initializer="glorot_uniform")
    first = alive(first) if backbone else first
    picture = np.random.default_rng(0).uniform(0, 255, (1, 160, 192, 3)).astype("float32")
    scores = np.asarray(keras.Model(first.input, first.get_layer("score_fr").output)(picture))[0]
    border = backbone is None
    twice = (scores, 2, -1.5) if border else (scores, 2, -0.5)
    half = interpolated(*twice)
    quarter = interpolated(half, *twice[1:])
    expected = {
        "FCN32s": interpolated(scores, 32, 19 - 31.5 if border else -15.5, (160, 192)),
        "FCN16s": interpolated(half, 16, 27 - 15.5 if border else -7.5, (160, 192)),
        "FCN8s": interpolated(quarter, 8, 31 - 7.5 if border else -3.5, (160, 192)),
    }
    model = first
    for earlier, name in zip((None, *BUILDERS), BUILDERS, strict=False):
        if earlier:
            model.save(tmp_path / f"{earlier}.keras")
            model = kv.build_model(name, **options, weights=tmp_path / f"{earlier}.keras")
        outputs = np.asarray(model(picture))[0]
        assert outputs.std() > 1e-3
        np.testing.assert_allclose(outputs, expected[name], atol=1e-4 * np.ptp(outputs))


def test_copying_weights_from_the_stage_before():
    first = kv.models.FCN32s(**TINY, score_initializer="glorot_uniform")
    second = kv.models.FCN16s(**TINY)
    kv.models.copy_weights(first, second, skip=("upscore2", "upscore16", "score_pool4"))
    kernels = [np.asarray(model.get_layer("score_fr").kernel) for model in (first, second)]
    np.testing.assert_array_equal(*kernels)
    with pytest.raises(ValueError, match="has no layer named score_pool4, upscore16"):
        kv.models.copy_weights(first, second, skip=("upscore2",))


def test_other_class_counts_keep_the_backbone(tmp_path):
    before = kv.models.FCN16s(**TINY, classes=3, score_initializer="ones")
    before.save(tmp_path / "model.keras")
    after = kv.models.FCN16s(**TINY, classes=4, weights=tmp_path / "model.keras")
    for name in ("conv1_1", "conv5_3", "fc7"):
        kernels = [np.asarray(model.get_layer(name).kernel) for model in (before, after)]
        np.testing.assert_array_equal(*kernels)
    assert not np.asarray(after.get_layer("score_fr").kernel).any()


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("backbone", [None, "VGG16", "MobileNetV2"])
def test_pictures_of_any_size(name, backbone):
    options = TINY if backbone is None else {"backbone": backbone, "alpha": 0.1}
    model = kv.build_model(name, **options, classes=2)
    for size in ((64, 96), (33, 77)):
        assert model(np.zeros((1, *size, 3), "float32")).shape == (1, *size, 2)


def test_a_model_without_dense_layers_gives_its_levels():
    backbone = kv.models.MobileNetV2(alpha=0.35, include_top=False, input_shape=(64, 64, 3))
    model = kv.models.FCN8s(backbone, classes=2)
    assert model.get_layer("score_pool3").input is backbone.get_layer("block_6_expand_relu").output
    assert model.get_layer("score_pool4").input is backbone.get_layer("block_13_expand_relu").output
    assert model.output_shape == (None, 64, 64, 2)


def test_wrong_options():
    with pytest.raises(ValueError, match="must have the 3 channels of its backbone"):
        kv.models.FCN32s(kv.models.VGG16(alpha=1 / 64), input_shape=(64, 64, 1))
    small = kv.models.AlexNet(alpha=1 / 64, input_shape=(32, 32, 3), stem_strides=1)
    with pytest.raises(ValueError, match="must end at a stride of 32.*`alexnet`, of stride 8"):
        kv.models.FCN32s(small)
    large = kv.models.VGG16(alpha=1 / 64, input_shape=(448, 448, 3))
    with pytest.raises(ValueError, match="inside of `FCN32s`'s border of 100.*off by -93"):
        kv.models.FCN32s(large)
    with pytest.raises(ValueError, match="`backbone` of `FCN8s` must"):
        kv.models.FCN8s("LeNet5", input_shape=(32, 32, 1))
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        kv.models.FCN8s(classes=0)
