import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

SMALL = {"alpha": 0.35, "input_shape": (32, 32, 3)}
# How keras.applications zero-centres the pixels of each.
CENTRING = {
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "ResNet50": "resnet",
    "ResNet101": "resnet",
    "ResNet152": "resnet",
    "InceptionV3": "inception_v3",
}


def centred(name, pixels):
    return getattr(keras.applications, CENTRING[name]).preprocess_input(pixels.copy())


def pair(name, shape, **kwargs):
    """Their network with random weights, biases and statistics, and ours as built."""
    theirs = getattr(keras.applications, name)(weights=None, input_shape=shape, **kwargs)
    random = np.random.default_rng(0)
    for layer in theirs.layers:
        if getattr(layer, "use_bias", False):
            layer.bias.assign(random.normal(0, 0.1, layer.bias.shape))
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(random.normal(0, 0.1, layer.beta.shape))
            if layer.scale:
                layer.gamma.assign(random.uniform(0.5, 1.5, layer.gamma.shape))
    return theirs, getattr(kv.models, name)(input_shape=shape, **kwargs)


def assert_same(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert expected.std() > 1e-4, "all outputs look alike: the comparison is empty"
    assert np.abs(actual - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("MobileNet", (96, 96, 3), {"alpha": 0.25, "classes": 11}),
        ("MobileNet", (64, 128, 3), {"alpha": 0.25, "classes": 11}),
        ("MobileNetV2", (96, 96, 3), {"alpha": 0.35, "classes": 11}),
        ("MobileNetV2", (64, 128, 3), {"alpha": 0.35, "classes": 11}),
        ("MobileNetV2", (96, 96, 3), {"alpha": 1.4, "classes": 11}),
        ("VGG16", (32, 32, 3), {"classes": 11}),
        ("VGG19", (47, 64, 3), {"include_top": False}),
        ("ResNet50", (75, 49, 3), {"classes": 11}),
        pytest.param("ResNet101", (64, 64, 3), {"classes": 11}, marks=pytest.mark.slow),
        pytest.param("ResNet152", (64, 64, 3), {"classes": 11}, marks=pytest.mark.slow),
        ("InceptionV3", (75, 91, 3), {"classes": 11}),
    ],
)
def test_same_pixels_give_the_numbers_of_keras_applications(name, shape, options, alive, request):
    if not name.startswith("VGG"):  # deep normalised networks of random weights magnify rounding
        keras.config.set_floatx("float64")
        request.addfinalizer(lambda: keras.config.set_floatx("float32"))
    theirs, ours = pair(name, shape, **options)
    pixels = np.random.default_rng(1).uniform(0, 255, (4, *shape))
    if name.startswith("VGG"):
        pixels = (pixels / 100).astype("float32")  # else the softmax of random weights saturates
    else:
        alive(theirs, images=centred(name, pixels))
    assert kv.models.copy_weights(theirs, ours) is ours
    pixels, zero_centred = pixels[:2], centred(name, pixels[:2])
    if name == "InceptionV3":  # its 94 layers magnify even the rounding of Rescaling's 1 / 127.5
        bare = kv.models.InceptionV3(input_shape=shape, include_preprocessing=False, **options)
        bare.set_weights(ours.get_weights())
        ours, pixels = bare, zero_centred
    assert_same(ours(pixels), theirs(zero_centred))


def test_mobilenet_v2_agrees_at_odd_sizes(alive):
    theirs, ours = pair("MobileNetV2", (75, 49, 3), alpha=0.35, include_top=False)
    kv.models.copy_weights(alive(theirs, -1.0, 1.0), ours)
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 75, 49, 3)).astype("float32")
    assert_same(ours(pixels), theirs(pixels / 127.5 - 1))


def test_a_source_with_a_classifier_fills_a_target_without():
    theirs = keras.applications.MobileNetV2(weights=None, **SMALL)
    ours = kv.models.copy_weights(theirs, kv.models.MobileNetV2(include_top=False, **SMALL))
    np.testing.assert_array_equal(
        ours.get_layer("Conv_1").kernel, theirs.get_layer("Conv_1").kernel
    )


def test_layers_of_other_names_match_by_order():
    def net(prefix):
        return keras.Sequential(
            [keras.Input((4,))] + [keras.layers.Dense(3, name=f"{prefix}{i}") for i in range(2)]
        )

    source, target = net("a"), net("b")
    kv.models.copy_weights(source, target)
    for theirs, ours in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_nothing_is_copied_unless_everything_fits():
    source = kv.models.MobileNetV2(classes=5, **SMALL)
    target = kv.models.MobileNetV2(classes=6, **SMALL)
    before = target.get_weights()
    with pytest.raises(ValueError, match="'predictions' must fit 'predictions'"):
        kv.models.copy_weights(source, target)
    for old, new in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ValueError, match="no layer named .*expanded_conv_depthwise"):
        kv.models.copy_weights(kv.models.MobileNet(alpha=0.25), target)


def test_path_with_other_classes_keeps_a_fresh_classifier(tmp_path):
    trained = kv.models.MobileNetV2(classes=5, **SMALL)
    (tmp_path / "run").mkdir()
    trained.save(tmp_path / "run" / "model.keras")
    model = kv.models.MobileNetV2(classes=7, weights=tmp_path / "run", **SMALL)
    assert model.output_shape == (None, 7)
    np.testing.assert_array_equal(
        model.get_layer("Conv_1").kernel, trained.get_layer("Conv_1").kernel
    )
    with pytest.raises(ValueError, match="must fit"):
        kv.models.MobileNetV2(
            classes=5, alpha=0.5, input_shape=(32, 32, 3), weights=tmp_path / "run"
        )


def test_weights_h5_and_unknown_kinds(tmp_path):
    trained = kv.models.MobileNetV2(classes=5, **SMALL)
    trained.save_weights(tmp_path / "m.weights.h5")
    model = kv.models.MobileNetV2(classes=5, weights=tmp_path / "m.weights.h5", **SMALL)
    np.testing.assert_array_equal(model.get_weights()[0], trained.get_weights()[0])
    (tmp_path / "m.ckpt").write_text("")
    with pytest.raises(ValueError, match=r"ends in .keras or .weights.h5"):
        kv.models.MobileNetV2(weights=tmp_path / "m.ckpt")
    with pytest.raises(ValueError, match="no official ImageNet weights for `lenet5`"):
        kv.models.LeNet5(weights="imagenet")


@pytest.mark.parametrize("name", CENTRING)
def test_imagenet_goes_through_keras_applications(name, monkeypatch):
    """The official builder is asked for ImageNet weights; here it answers with random ones."""
    official, asked = getattr(keras.applications, name), []
    options = {"alpha": 0.5} if "Mobile" in name else {}

    def offline(weights, include_top, **kwargs):
        asked.append((weights, include_top, kwargs.get("alpha")))
        small = {} if include_top else {"input_shape": (96, 96, 3)}
        model = official(weights=None, include_top=include_top, **small, **kwargs)
        counted.append(len(model.weights))
        return model

    def copied(source, target, skip=()):
        copies.append((source.output_shape, target.output_shape, tuple(skip)))
        return target

    counted, copies = [], []
    monkeypatch.setattr(keras.applications, name, offline)
    monkeypatch.setattr(kv.models.weights, "copy_weights", copied)
    for changes in ({}, {"classes": 3}, {"include_top": False, "input_shape": (96, 96, 3)}):
        without_weights(getattr(kv.models, name), weights="imagenet", **options, **changes)
    alpha = options.get("alpha")
    tops = (True, True, False)
    assert asked == [("imagenet", top, alpha) for top in tops]
    assert [skip for *_, skip in copies] == [(), ("predictions",), ()]
    assert copies[0][:2] == ((None, 1000), (None, 1000))
    assert copies[1][:2] == ((None, 1000), (None, 3))
    assert counted[0] > counted[2]


def test_imagenet_fills_the_features_and_leaves_new_classes_alone(monkeypatch, alive):
    official = keras.applications.ResNet50

    def offline(weights, **kwargs):
        keras.utils.set_random_seed(3)
        return alive(official(weights=None, **kwargs))

    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    tuned = kv.models.ResNet50(weights="imagenet", input_shape=(64, 64, 3), classes=3)
    variance = np.asarray(tuned.get_layer("conv5_block3_3_bn").moving_variance)
    assert np.abs(variance - 1.0).min() > 0.01, "the moving statistics are those of a fresh model"


def conv_norm_pair(source_options, target_options):
    def net(use_bias, **options):
        layers = [keras.layers.Conv2D(5, 3, use_bias=use_bias)]
        if options.pop("normalized", True):
            layers.append(keras.layers.BatchNormalization(**options))
        return keras.Sequential([keras.Input((8, 8, 3)), *layers])

    return net(**source_options), net(**target_options)


@pytest.mark.parametrize(
    "theirs",
    [
        {"use_bias": True},
        {"use_bias": True, "epsilon": 0.1},
        {"use_bias": False, "scale": False},
        {"use_bias": True, "center": False, "epsilon": 1e-9},
    ],
)
def test_what_differs_before_normalisation_is_folded_exactly(theirs):
    _check_folded(*conv_norm_pair(theirs, {"use_bias": False, "epsilon": 1e-3}))


def test_what_differs_before_normalisation_without_scale_or_offset():
    ours = {"use_bias": False, "scale": False, "epsilon": 1e-9}
    _check_folded(*conv_norm_pair({"use_bias": True, "scale": False, "epsilon": 0.1}, ours))
    ours = {"use_bias": False, "center": False}
    _check_folded(*conv_norm_pair({"use_bias": True, "center": False, "epsilon": 0.1}, ours))


def test_a_scale_without_a_place_is_an_error():
    source, target = conv_norm_pair({"use_bias": False}, {"use_bias": False, "scale": False})
    kv.models.copy_weights(source, target)  # a scale of ones needs none
    source.layers[-1].gamma.assign(np.full(5, 2.0))
    with pytest.raises(ValueError, match="The weights of layer .* must fit"):
        kv.models.copy_weights(source, target)


def _check_folded(source, target):
    random = np.random.default_rng(0)
    source.set_weights([random.uniform(0.1, 2.0, w.shape) for w in source.get_weights()])
    source.layers[-1].moving_variance.assign([1e-5, 1e-4, 0.01, 1.0, 50.0])
    kv.models.copy_weights(source, target)
    pixels = random.normal(0, 1, (2, 8, 8, 3)).astype("float32")
    expected = np.asarray(source(pixels))
    np.testing.assert_allclose(
        np.asarray(target(pixels)), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


def test_a_bias_without_a_place_is_an_error():
    source, target = conv_norm_pair(
        {"use_bias": True, "normalized": False}, {"use_bias": False, "normalized": False}
    )
    kv.models.copy_weights(source, target)  # a bias of zeros needs none
    source.layers[0].bias.assign(np.ones(5))
    with pytest.raises(ValueError, match="must have a bias or be followed by batch normalisation"):
        kv.models.copy_weights(source, target)


def _with_normalization(adapted=None):
    normalization = keras.layers.Normalization(axis=None)
    if adapted is not None:
        normalization.adapt(adapted)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(3, 3, name="conv")(normalization(image))
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(2, name="dense")(x))


def test_adapted_statistics_are_copied_and_used():
    images = np.random.default_rng(0).uniform(0, 255, (8, 8, 8, 1)).astype("float32")
    source, target = _with_normalization(images), _with_normalization()
    kv.models.copy_weights(source, target)
    wanted = source.predict(images, verbose=0)
    np.testing.assert_allclose(target.predict(images, verbose=0), wanted, atol=1e-4)
    sliding = kv.models.convolutionalize(source)
    found = sliding.predict(images, verbose=0).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def _of_two_models(names=("a", "b")):
    def part(name):
        image = keras.Input((8, 8, 1))
        return keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(image), name=name)

    image = keras.Input((8, 8, 1))
    first, second = (part(name)(image) for name in names)
    return keras.Model(image, keras.layers.Subtract()([first, second]))


def test_layers_of_one_name_in_two_models():
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    source, target = _of_two_models(), _of_two_models()
    kv.models.copy_weights(source, target)
    wanted = source.predict(images, verbose=0)
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(target.predict(images, verbose=0), wanted, atol=1e-3)
    kv.models.copy_weights(source, renamed := _of_two_models(("c", "d")))  # by order
    np.testing.assert_allclose(renamed.predict(images, verbose=0), wanted, atol=1e-3)


class Twice(keras.Model):
    """A model of two layers of one name and a weight of its own."""

    def __init__(self, has_weight=False):
        super().__init__()
        self.first, self.second = (keras.layers.Dense(3, name="dense") for _ in range(2))
        self.factor = self.add_weight(shape=(), initializer="ones") if has_weight else 1.0

    def call(self, x):
        return self.factor * self.second(self.first(x))


@pytest.mark.parametrize("has_weight", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_layers_of_one_name_and_weights_of_a_model_itself(has_weight, inside):
    def build():
        vector, model = keras.Input((3,)), Twice(has_weight)
        whole = keras.Model(vector, model(vector))
        return whole if inside else model

    source, target = build(), build()
    random = np.random.default_rng(0)
    for weight in source.weights:
        weight.assign(random.normal(size=weight.shape))
    kv.models.copy_weights(source, target)
    vectors = random.normal(size=(4, 3)).astype("float32")
    np.testing.assert_array_equal(target(vectors), source(vectors))


def test_a_name_that_may_mean_several_layers():
    image = keras.Input((8, 8, 1))
    alone = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(image))
    with pytest.raises(ValueError, match="more than one layer, .*conv.* cannot be matched by name"):
        kv.models.copy_weights(_of_two_models(), alone)
    with pytest.raises(ValueError, match="more than one layer, or the target has, named conv"):
        kv.models.copy_weights(alone, _of_two_models())


def test_a_kernel_on_its_side_does_not_fit():
    def model(kernel):
        image = keras.Input((8, 8, 1))
        return keras.Model(image, keras.layers.Conv2D(2, kernel, padding="same", name="c")(image))

    with pytest.raises(ValueError, match="The weights of layer 'c' must fit 'c'"):
        kv.models.copy_weights(model((1, 7)), model((7, 1)))
