import keras
import numpy as np
import pytest

import kvision as kv

SMALL = {"alpha": 0.35, "input_shape": (32, 32, 3)}


def pair(name, alpha, shape, **kwargs):
    theirs = getattr(keras.applications, name)(
        weights=None, alpha=alpha, input_shape=shape, **kwargs
    )
    ours = getattr(kv.models, name)(alpha=alpha, input_shape=shape, **kwargs)
    return theirs, ours


def assert_same(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert expected.std() > 1e-4, "all outputs look alike: the comparison is empty"
    assert np.abs(actual - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("shape", [(96, 96, 3), (64, 128, 3)])
@pytest.mark.parametrize(
    ("name", "alpha"), [("MobileNet", 0.25), ("MobileNetV2", 0.35), ("MobileNetV2", 1.4)]
)
def test_same_pixels_give_the_numbers_of_keras_applications(name, alpha, shape, alive):
    theirs, ours = pair(name, alpha, shape, classes=11)
    alive(theirs, -1.0, 1.0)
    assert kv.models.copy_weights(theirs, ours) is ours
    pixels = np.random.default_rng(1).uniform(0, 255, (2, *shape)).astype("float32")
    assert_same(ours(pixels), theirs(pixels / 127.5 - 1))


def test_mobilenet_v2_agrees_at_odd_sizes(alive):
    theirs, ours = pair("MobileNetV2", 0.35, (75, 49, 3), include_top=False)
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


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2"])
def test_imagenet_goes_through_keras_applications(name, monkeypatch, alive):
    """The official builder is asked for ImageNet weights; here it answers with random ones."""
    official, asked = getattr(keras.applications, name), []

    def offline(weights, **kwargs):
        asked.append((weights, kwargs["include_top"], kwargs["alpha"]))
        keras.utils.set_random_seed(3)
        return alive(official(weights=None, **kwargs))

    monkeypatch.setattr(keras.applications, name, offline)
    builder = getattr(kv.models, name)
    whole = builder(weights="imagenet", alpha=0.5, input_shape=(64, 64, 3))
    tuned = builder(weights="imagenet", alpha=0.5, input_shape=(64, 64, 3), classes=3)
    builder(weights="imagenet", alpha=0.5, include_top=False)
    assert asked == [("imagenet", True, 0.5), ("imagenet", True, 0.5), ("imagenet", False, 0.5)]
    last = "Conv_1_bn" if name == "MobileNetV2" else "conv_pw_13_bn"
    variance = np.asarray(whole.get_layer(last).moving_variance)
    assert np.abs(variance - 1.0).min() > 0.01, "the moving statistics are those of a fresh model"
    np.testing.assert_array_equal(np.asarray(tuned.get_layer(last).moving_variance), variance)
