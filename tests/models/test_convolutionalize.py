"""A classifier that slides gives on each window what the classifier gives on that crop."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.models.activation_maps import enlargement


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def answer(model, images):
    return keras.tree.map_structure(
        keras.ops.convert_to_numpy, model(np.asarray(images, "float32"), training=False)
    )


def valid_vgg(dtype=None, **options):
    """Convolutions without padding, so that a window's neighbours cannot matter."""
    image = keras.Input((20, 26, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(6, 3, activation="relu", name="conv1_1")(x)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="conv2_1")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="flat_dropout")(x)
    x = layers.Dense(12, name="fc6", dtype=dtype, **options)(x)
    x = layers.Activation("relu", name="fc6_relu")(x)
    x = layers.BatchNormalization(name="fc6_bn")(x)
    x = layers.Dense(10, activation=kv.ops.scaled_tanh, name="fc7")(x)
    outputs = layers.Dense(4, "softmax", dtype="float32", name="predictions")(x)
    return keras.Model(image, outputs, name="valid_vgg")


def two_heads(side=24):
    """As GoogLeNet in training: an auxiliary head that pools, flattens and classifies."""
    image = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="stem")(x)
    y = layers.AveragePooling2D(5, 3, name="loss1_pool")(x)
    y = layers.Conv2D(4, 1, activation="relu", name="loss1_conv")(y)
    y = layers.Dense(8, "relu", name="loss1_fc")(layers.Flatten(name="loss1_flatten")(y))
    y = layers.Dense(3, "softmax", name="loss1_classifier")(y)
    x = layers.Conv2D(7, 3, activation="relu", name="conv2")(x)
    x = layers.Dropout(0.4, name="dropout")(layers.GlobalAveragePooling2D(name="average")(x))
    x = layers.Dense(3, "softmax", name="predictions")(x)
    return keras.Model(image, {"predictions": x, "loss1": y})


def transfer(side=64):
    """A backbone with pooling and a head, both models of their own."""
    backbone = kv.models.MobileNetV2(
        alpha=0.35, include_top=False, pooling="avg", input_shape=(None, None, 3)
    )
    head = keras.Sequential([keras.Input((1280,)), layers.Dense(3), layers.Softmax()], name="head")
    return keras.Sequential([keras.Input((side, side, 3)), backbone, head], name="transfer")


def rectified():
    """What stands between pooling and scores is not linear."""
    image = keras.Input((12, 12, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(4, "softmax")(layers.ReLU()(x)))


@pytest.fixture
def build(alive):
    """Builds one of `CLASSIFIERS` whose answers differ from picture to picture."""

    def build(name):
        model = CLASSIFIERS[name]()
        alive(model.layers[0] if name == "transfer" else model)
        return model

    return build


CLASSIFIERS = {
    "1998": lambda: kv.models.LeNet5(),
    "modern": lambda: kv.models.LeNet5(variant="modern", input_shape=(40, 36, 1), classes=7),
    "mobile": lambda: kv.models.MobileNetV2(alpha=0.35, input_shape=(64, 96, 3), classes=5),
    "valid_vgg": valid_vgg,
    "transfer": transfer,
    "two_heads": two_heads,
    "rectified": rectified,
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_same_numbers_on_the_original_size(name, build):
    model = build(name)
    images = pictures(2, *model.input_shape[1:])
    sliding = kv.models.convolutionalize(model)
    expected, result = answer(model, images), answer(sliding, images)
    assert sliding.input_shape == (None, None, None, model.input_shape[-1])
    if name != "two_heads":
        expected, result = {"": expected}, {"": result}
    assert set(result) == set(expected)
    for output, values in expected.items():
        assert np.ptp(values[0] - values[1]) > 1e-5, "the model says the same of everything"
        assert result[output].shape == (2, 1, 1, values.shape[-1])
        np.testing.assert_allclose(result[output][:, 0, 0], values, rtol=1e-5, atol=1e-6)
    assert sliding.count_params() == model.count_params()


@pytest.mark.parametrize("name", kv.list_models("classification"))
def test_every_registered_classifier_slides(name, alive):
    model = alive(kv.build_model(name, **kv.model_info(name).tiny))
    sliding, images = kv.models.convolutionalize(model), pictures(2, *model.input_shape[1:])
    expected = answer(model, images)
    np.testing.assert_allclose(answer(sliding, images)[:, 0, 0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["1998", "valid_vgg"])
def test_every_position_is_the_classifier_on_that_crop(name):
    """Nets without padding, of stride 4 and 2: other sizes on purpose, rows are not columns."""
    model, stride = CLASSIFIERS[name](), {"1998": 4, "valid_vgg": 2}[name]
    height, width, channels = model.input_shape[1:]
    large = pictures(1, height + 3 * stride + stride - 1, width + 5 * stride, channels)
    result = answer(kv.models.convolutionalize(model), large)
    assert result.shape[1:3] == (4, 6)
    crops = [
        large[0, y * stride : y * stride + height, x * stride : x * stride + width]
        for y in range(4)
        for x in range(6)
    ]
    np.testing.assert_allclose(result[0].reshape(24, -1), answer(model, crops), rtol=1e-4)


def test_global_max_pooling_slides_too():
    image = keras.Input((12, 12, 2))
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(5, 3)(image))
    model = keras.Model(image, layers.Dense(3)(x))
    large = pictures(1, 12, 14, 2)
    result = answer(kv.models.convolutionalize(model), large)
    crops = [large[0, :, x : x + 12] for x in range(3)]
    np.testing.assert_allclose(result[0, 0], answer(model, crops), rtol=1e-4)


def test_layers_keep_names_settings_and_frozenness():
    model = valid_vgg("mixed_float16", kernel_initializer="he_normal", kernel_regularizer="l2")
    model.get_layer("conv1_1").trainable = False
    model.get_layer("fc6").trainable = False
    model.compile("adam", "mse")
    sliding = kv.models.convolutionalize(model)
    fc6 = sliding.get_layer("fc6")
    assert isinstance(fc6, layers.Conv2D)
    assert tuple(fc6.kernel.shape) == (7, 10, 8, 12)
    assert fc6.dtype_policy.name == "mixed_float16"
    assert isinstance(fc6.kernel_initializer, keras.initializers.HeNormal)
    assert isinstance(fc6.kernel_regularizer, keras.regularizers.L2)
    assert sliding.get_layer("fc7").activation is kv.ops.scaled_tanh
    assert sliding.get_layer("predictions").kernel_size == (1, 1)
    frozen = {layer.name for layer in sliding.layers if layer.weights and not layer.trainable}
    assert frozen == {"conv1_1", "fc6"}
    assert not sliding.compiled
    assert not any(isinstance(x, (layers.Flatten, layers.Dense)) for x in sliding.layers)
    model.trainable = False
    assert not kv.models.convolutionalize(model).trainable_weights


def test_weights_are_copies():
    model, images = valid_vgg(), pictures(1, 20, 26, 3)
    sliding = kv.models.convolutionalize(model)
    before = answer(model, images)
    for weight in sliding.trainable_weights:
        weight.assign(weight * 0.0)
    np.testing.assert_array_equal(answer(model, images), before)


def test_features_of_the_sliding_model_can_be_taken():
    sliding = kv.models.convolutionalize(valid_vgg())
    features = kv.models.feature_extractor(sliding, ["pool1", "fc6"])
    assert [f.shape[1:3] for f in answer(features, pictures(1, 30, 40, 3))] == [(14, 19), (6, 8)]


def test_a_layer_used_twice_is_copied_once():
    image, shared = keras.Input((9, 9, 2)), layers.Conv2D(2, 3, padding="same")
    x = layers.Flatten()(shared(shared(image)))
    model = keras.Model(image, layers.Dense(3)(x))
    sliding, images = kv.models.convolutionalize(model), pictures(2, 9, 9, 2)
    assert sliding.count_params() == model.count_params()
    np.testing.assert_allclose(answer(sliding, images)[:, 0, 0], answer(model, images), rtol=1e-4)


def test_a_pooling_layer_that_saw_another_map_first_is_given_the_right_window():
    pool, image = layers.GlobalAveragePooling2D(), keras.Input((16, 16, 2))
    fine = layers.Conv2D(4, 3)(image)
    pool(fine)
    model = keras.Model(image, layers.Dense(3)(pool(layers.Conv2D(4, 3, strides=2)(fine))))
    sliding, images = kv.models.convolutionalize(model), pictures(2, 16, 16, 2)
    np.testing.assert_allclose(answer(sliding, images)[:, 0, 0], answer(model, images), rtol=1e-4)


def test_saved_and_loaded_also_on_jax(tmp_path, build):
    for name in ("1998", "valid_vgg", "transfer"):
        model = build(name)
        images = pictures(2, 72, 68, model.input_shape[-1])
        sliding, folder = kv.models.convolutionalize(model), tmp_path / name
        folder.mkdir()
        sliding.save(folder / "model.keras")
        loaded = keras.models.load_model(folder / "model.keras", safe_mode=True)
        np.testing.assert_array_equal(answer(loaded, images), answer(sliding, images))
        np.savez(folder / "arrays.npz", image=images, output_0=answer(sliding, images))
    shutil.rmtree(tmp_path / "transfer")  # JAX compiles a MobileNet for half a minute
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("jax_forward.py"), tmp_path],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert max(float(line.split()[-1]) for line in result.stdout.splitlines()) < 1e-5


@pytest.mark.parametrize("name", ["mobile", "transfer", "two_heads"])
def test_the_mean_of_the_class_activation_maps_is_the_score_before_the_softmax(name, build):
    """Zhou et al. 2016, eq. 2."""
    model = build(name)
    images = pictures(2, *model.input_shape[1:], seed=3)
    probabilities = answer(model, images)
    if name == "two_heads":
        probabilities = probabilities["predictions"]
    maps = answer(kv.models.class_activation_maps(model), images)
    assert maps.shape[1] * maps.shape[2] > 1
    scores = maps.mean((1, 2))
    relative = np.log(probabilities) - np.log(probabilities[:, :1])
    np.testing.assert_allclose(scores - scores[:, :1], relative, rtol=1e-3, atol=1e-4)


def test_class_activation_maps_of_logits_need_no_input_size():
    model = kv.models.MobileNetV2(
        alpha=0.35, input_shape=(None, None, 3), classes=3, classifier_activation=None
    )
    images = pictures(1, 96, 130, 3)
    maps = answer(kv.models.class_activation_maps(model), images)
    assert maps.shape == (1, 3, 5, 3)
    np.testing.assert_allclose(maps.mean((1, 2)), answer(model, images), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["valid_vgg", "modern", "rectified"])
def test_other_classifiers_slide_up_to_their_scores(name):
    """Several layers behind pooling or flattening: softmax of the map is the sliding classifier."""
    model = CLASSIFIERS[name]()
    large = pictures(1, *(size + 8 for size in model.input_shape[1:3]), model.input_shape[-1])
    scores = answer(kv.models.class_activation_maps(model), large)
    expected = answer(kv.models.convolutionalize(model), large)
    assert scores.shape == expected.shape
    assert np.ptp(scores.sum(-1)) > 1e-3, "these are scores, not probabilities"
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(-1, keepdims=True), expected, rtol=1e-3)


def headed(*head, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), layers.Conv2D(4, 3, name="conv"), *head])


def joined():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(image)
    both = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    return keras.Model(image, layers.Dense(2)(layers.Concatenate(name="both")(both)))


def squeezed():
    image = keras.Input((8, 8, 4))
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(image)
    return keras.Model(image, layers.Multiply()([image, gate]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: headed(layers.Reshape((36, 4), name="steps"), layers.LSTM(3)), "'steps'"),
        (lambda: headed(layers.Reshape((12, 12, 1), name="tiles")), "'tiles' .* one size"),
        (lambda: headed(layers.Resizing(7, 7, name="seven")), "'seven' .* one size"),
        (
            lambda: headed(
                layers.Flatten(), layers.BatchNormalization(name="norm"), layers.Dense(2)
            ),
            "'norm' .BatchNormalization.* not flattened",
        ),
        (
            lambda: headed(layers.Flatten(), layers.Activation("softmax", name="shares")),
            "'shares' .* not flattened",
        ),
        (lambda: headed(layers.Flatten(), layers.Rescaling(2.0, name="twice")), "'twice'"),
        (lambda: headed(layers.PReLU(name="slopes")), "'slopes' .PReLU"),
        (squeezed, "'squeeze' .* `keepdims=True`"),
        (joined, "'both' .* several inputs"),
        (lambda: headed(layers.Flatten()), "must not end in flattened features"),
        (
            lambda: kv.models.LeNet5(input_shape=(None, None, 1)),
            "Build the model with an `input_sh",
        ),
        (
            lambda: headed(layers.Flatten("channels_first", name="first"), layers.Dense(2)),
            "'first' .* channels first",
        ),
        (lambda: keras.Sequential([layers.Dense(2)]), "that is built"),
        (lambda: keras.Sequential([keras.Input((5,)), layers.Dense(2)]), r"shapes \[\(5,\)\]"),
        (lambda: "model.keras", "Received: model.keras"),
    ],
)
def test_what_cannot_slide_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        kv.models.convolutionalize(build())


def test_class_activation_maps_need_a_classifier():
    with pytest.raises(ValueError, match="must be a classifier with one output"):
        kv.models.class_activation_maps(headed())
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(image)
    model = keras.Model(image, {"age": layers.Dense(1)(x), "mood": layers.Dense(3)(x)})
    with pytest.raises(ValueError, match="one of that name, 'predictions'.*'mood'"):
        kv.models.class_activation_maps(model)


def test_pictures_are_enlarged_until_a_sliding_classifier_has_seven_positions():
    """Position i sees the crop from i strides on: its centre lies half a window further."""
    model = valid_vgg()
    maps = kv.models.class_activation_maps(model)
    (height, width), (vertical, horizontal) = enlargement(maps, (20, 26))
    assert (height, width) == (20 + 6 * 2, 26 + 6 * 2)
    assert maps.compute_output_shape((1, height, width, 3))[1:3] == (7, 7)
    first, last = 10, 6 * 2 + 10
    assert (vertical * height, (1 - vertical) * height) == pytest.approx((first, last))
    assert horizontal * width == pytest.approx(13)
    assert enlargement(maps, (20, 26), largest=30)[0] == (30, 30)


def test_pictures_whose_map_has_positions_stay_as_they_are():
    maps = kv.models.class_activation_maps(CLASSIFIERS["mobile"]())
    size, margins = enlargement(maps, (64, 96))
    assert size == (64, 96)
    assert margins == pytest.approx((16 / 64, 16 / 96)), "half a position of 32 pixels"
