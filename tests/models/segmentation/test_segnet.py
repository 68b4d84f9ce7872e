"""Facts of SegNet and SegNet-Basic, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

TINY = {"alpha": 0.125, "input_shape": (40, 48, 3), "classes": 4}


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def pictures(model, number=2):
    shape = (number, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


@pytest.mark.parametrize(
    ("classes", "parameters"), [(11, 29_449_355), (12, 29_449_932), (21, 29_455_125)]
)
def test_parameters(classes, parameters):
    model = without_weights(lambda: kv.models.SegNet(classes=classes))
    assert count(model.trainable_weights) == parameters
    assert count(model.non_trainable_weights) == 15_872


def test_basic_parameters():
    model = without_weights(lambda: kv.models.SegNetBasic())
    assert count(model.trainable_weights) == 1_416_587


def test_decoder_mirrors_the_encoder():
    model = without_weights(lambda: kv.models.SegNet(input_shape=(224, 224, 3)))
    vgg = without_weights(lambda: kv.models.VGG16(include_top=False))
    convolutions = [la for la in model.layers if isinstance(la, keras.layers.Conv2D)]
    kernels = [layer.kernel.shape[2:] for layer in convolutions]
    theirs = [la.kernel.shape[2:] for la in vgg.layers if isinstance(la, keras.layers.Conv2D)]
    assert kernels[:13] == theirs
    mirrored = [(outputs, inputs) for inputs, outputs in kernels[:13][::-1]]
    assert kernels[13:-1] == mirrored[:-1]
    assert kernels[-1] == (64, 11)
    names = [layer.name for layer in convolutions]
    assert [f"{name}_D" for name in names[:13]] == names[13:][::-1]


@pytest.mark.parametrize("name", ["SegNet", "SegNetBasic"])
@pytest.mark.parametrize("shape", [(45, 61, 3), (32, 32, 1), (None, None, 3)])
def test_any_size(name, shape):
    model = kv.build_model(name, **{**TINY, "input_shape": shape})
    height, width = shape[0] or 33, shape[1] or 47
    outputs = np.asarray(model(np.zeros((1, height, width, shape[2]), "float32")))
    assert outputs.shape == (1, height, width, 4)
    np.testing.assert_allclose(outputs.sum(axis=-1), 1, rtol=1e-5)


def test_paper_size_goes_through_odd_maps():
    """360 rows are 45 after three poolings, and 23 and 12 after five."""
    model = without_weights(lambda: kv.models.SegNet())
    rows = [model.get_layer(f"pool{stage}").output[0].shape[1] for stage in range(1, 6)]
    assert rows == [180, 90, 45, 23, 12]
    assert model.output_shape == (None, 360, 480, 11)


def test_unpooling_gets_the_switches_of_its_own_stage():
    model = kv.models.SegNet(**TINY)
    for stage in range(1, 6):
        _, switches = model.get_layer(f"upsample{stage}").input
        assert switches is model.get_layer(f"pool{stage}").output[1]
    maps = keras.Model(
        model.input,
        [model.get_layer("upsample1").output, model.get_layer("pool1").output[1]],
    )
    values, switches = maps(pictures(model))
    assert not np.asarray(values)[~np.asarray(switches)].any()


def test_weights_of_vgg16_fit_the_encoder():
    """With normalisation as at the start (mean 0, variance 1) the encoder is VGG16."""
    keras.utils.set_random_seed(1)
    shape = (64, 96, 3)  # a multiple of 32: VGG16 leaves odd rows out
    vgg = kv.models.VGG16(alpha=0.125, input_shape=shape, include_top=False)
    model = kv.models.SegNet(**{**TINY, "input_shape": shape})
    names = {layer.name for layer in vgg.layers if layer.weights}
    assert len(names) == 13
    others = [layer.name for layer in model.layers if layer.name not in names]
    kv.models.copy_weights(vgg, model, skip=others)
    for name in names:
        np.testing.assert_array_equal(
            *(np.asarray(part.get_layer(name).kernel) for part in (vgg, model))
        )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.epsilon = 0.0
    ours = keras.Model(model.input, model.get_layer("pool5").output[0])
    batch = pictures(model)
    np.testing.assert_allclose(
        np.asarray(ours(batch)), np.asarray(vgg(batch)), rtol=1e-3, atol=1e-3
    )


def test_basic_sees_106_pixels_in_its_deepest_map():
    model = kv.models.SegNetBasic(**TINY)
    size, jump = 1, 1
    for layer in model.layers[: [la.name for la in model.layers].index("pool4") + 1]:
        window = getattr(layer, "kernel_size", (getattr(layer, "pool_size", 1),))[0]
        size, jump = size + (window - 1) * jump, jump * getattr(layer, "pool_size", 1)
    assert (size, jump) == (106, 16)


def test_basic_has_no_relu_in_its_decoders():
    model = kv.models.SegNetBasic(**TINY)
    names = [la.name for la in model.layers if isinstance(la, keras.layers.ReLU)]
    assert names == ["relu1", "relu2", "relu3", "relu4"]


def test_basic_normalises_contrast_with_caffes_constants():
    norm = kv.models.SegNetBasic(**TINY).get_layer("norm")
    assert (norm.size, norm.bias, norm.alpha, norm.beta) == (5, 1.0, 1e-4 / 5, 0.75)


@pytest.mark.parametrize("name", ["SegNet", "SegNetBasic"])
def test_weights_from_a_file_of_other_classes(name, tmp_path):
    source = kv.build_model(name, **TINY)
    source.save(tmp_path / "model.keras")
    model = kv.build_model(name, **{**TINY, "classes": 7}, weights=tmp_path / "model.keras")
    first = next(la.name for la in model.layers if isinstance(la, keras.layers.Conv2D))
    np.testing.assert_array_equal(
        *(np.asarray(part.get_layer(first).kernel) for part in (source, model))
    )


@pytest.mark.parametrize("name", ["SegNet", "SegNetBasic"])
def test_wrong_options_say_what_to_do(name):
    with pytest.raises(ValueError, match="`alpha` must be greater than 0"):
        kv.build_model(name, alpha=0)
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        kv.build_model(name, classes=0)
    with pytest.raises(ValueError, match="`classifier_activation` must be one of"):
        kv.build_model(name, **TINY, classifier_activation="sigmoid")


def test_tflite_is_equal(tmp_path, alive):
    model = alive(kv.models.SegNet(**TINY))
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    batch = pictures(model, 1)
    expected = np.asarray(model(batch))
    assert expected.std() > 0.01
    np.testing.assert_allclose(kv.export.load(path).predict(batch), expected, atol=1e-4)
