"""What must hold for every registered builder, whatever it is."""

import inspect
import json

import keras
import numpy as np
import pytest
from skeletons import skeletons

import kvision as kv

NAMES = kv.list_models()
DETECTORS = kv.list_models("detection")  # tests/models/test_detection_sweep.py looks at these
# Their tiny members are built of the same blocks as another's of the family.
ALIKE = ("PlainNet18", "PlainNet34", "PlainNetCIFAR", "ResNet34", "ResNet101", "ResNet152")
ALIKE += ("VGG11LRN", "VGG13", "VGG16C", "VGG19")
LONG = ("GoogLeNet", "InceptionV2", "InceptionV3", "InceptionV4", "MobileNet")  # to trace
# Their publications count the last transposed convolution, which is not trained.
WITH_FIXED = ("FCN32s", "FCN16s", "FCN8s", "CRFRNN")


def marked(names, slow):
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in names]


CLASSIFIERS = marked(kv.list_models("classification"), ALIKE)
LEARNERS = marked(kv.list_models("classification"), ALIKE + LONG)
SINGLE = marked([name for name in NAMES if name not in DETECTORS], ALIKE)  # with one output


def tiny(name, **kwargs):
    return kv.build_model(name, **{**kv.model_info(name).tiny, **kwargs})


def pictures(model, count):
    return (
        np.random.default_rng(0).uniform(0, 255, (count, *model.input_shape[1:])).astype("float32")
    )


def trainable_count(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_complete(name):
    entry = kv.model_info(name)
    assert len(entry.paper) > 15
    assert entry.url.startswith("http")
    assert 1980 < entry.year < 2030
    # A composed network has its backbone's levels.
    assert bool(entry.levels) == (entry.task == "classification")


@pytest.mark.parametrize("name", NAMES)
def test_docstring_is_complete(name):
    builder = kv.model_info(name).builder
    text = inspect.getdoc(builder)
    for heading in (
        "Args:",
        "Returns:",
        "Raises:",
        "Differs from the paper:",
        "Reference:",
        "Example:",
    ):
        assert heading in text, f"{name} lacks {heading}"
    for parameter in inspect.signature(builder).parameters:
        assert f"\n    {parameter}: " in text, f"{name} does not document {parameter}"


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_signature_is_that_of_keras_applications(name):
    parameters = inspect.signature(kv.model_info(name).builder).parameters
    head = ["include_top", "weights", "input_shape", "pooling", "classes", "classifier_activation"]
    assert list(parameters)[: len(head)] == head
    assert list(parameters)[-1] == "name"
    assert parameters["weights"].default is None
    assert parameters["include_preprocessing"].default is True


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_multiply_adds_are_the_published_ones(name):
    entry = kv.model_info(name)
    with skeletons():  # shapes only: nothing is allocated
        model = entry.builder()
    counted = model.count_params() if name in WITH_FIXED else trainable_count(model)
    if entry.parameters is not None:
        assert counted == entry.parameters
    if not isinstance(model.input, dict) and None not in model.input_shape[1:]:
        assert kv.models.multiply_adds(model) == entry.multiply_adds


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_known_by_its_levels_or_its_name(name):
    entry = kv.model_info(name)
    with skeletons():
        models = [entry.builder(), tiny(name)]
        if entry.task == "classification":
            models.append(tiny(name, include_top=False))
    assert {kv.registry.entry_of(model).name for model in models} == {name}


@pytest.mark.parametrize("name", SINGLE)
def test_shapes_and_batch_independence(name, alive):
    model = alive(tiny(name))
    batch = pictures(model, 3)
    outputs = np.asarray(model(batch, training=False))
    assert outputs.shape == (3, *model.output_shape[1:])
    assert np.isfinite(outputs).all()
    assert outputs.std(axis=0).max() > 1e-4, "all pictures look alike: the comparison is empty"
    for index in range(3):
        single = np.asarray(model(batch[index : index + 1], training=False))
        np.testing.assert_allclose(single[0], outputs[index], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_outputs_are_probabilities_or_scores(name, alive):
    model = alive(tiny(name))
    probabilities = np.asarray(model(pictures(model, 2)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    scores = tiny(name, classifier_activation=None)
    scores.set_weights(model.get_weights())
    logits = np.asarray(scores(pictures(model, 2)))
    np.testing.assert_allclose(
        np.asarray(keras.ops.softmax(logits)), probabilities, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", LEARNERS)
def test_learns_one_batch_and_moves_every_weight(name):
    model = tiny(name)
    classes = model.output_shape[-1]
    images = pictures(model, 8)
    labels = np.arange(8) % classes
    before = [np.array(weight) for weight in model.trainable_weights]
    model.compile(
        keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.train_on_batch(images, labels)
    still = [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(np.array(weight), old)
    ]
    assert not still, f"one step left these weights as they were: {still}"
    for _ in range(150):
        logs = model.train_on_batch(images, labels, return_dict=True)
        model.reset_metrics()
        if logs["accuracy"] == 1.0 and logs["loss"] < 0.1:
            return
    pytest.fail(f"{name} did not learn one batch of 8 by heart: {logs}")


@pytest.mark.parametrize("name", LEARNERS)
def test_saves_and_loads_in_safe_mode(name, tmp_path, alive):
    model = alive(tiny(name))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    batch = pictures(model, 2)
    np.testing.assert_array_equal(np.asarray(loaded(batch)), np.asarray(model(batch)))
    assert kv.models.levels(loaded) == kv.models.levels(model)
    assert json.loads(loaded.to_json())["config"] == json.loads(model.to_json())["config"]
    again = tiny(name, weights=tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(again(batch)), np.asarray(model(batch)))


@pytest.mark.parametrize("shape", [(33, 47, 1), (64, 40, 4), (None, None, 3), (7, 7, 3)])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_other_sizes_and_channels_work_or_say_why_not(name, shape):
    try:
        model = tiny(name, input_shape=shape)
    except ValueError as error:
        message = str(error)
        if "must be" not in message or f"Received: {shape}" not in message:
            pytest.fail(f"an unhelpful message: {message}")
        return
    height, width = shape[0] or 50, shape[1] or 34
    outputs = np.asarray(model(np.zeros((2, height, width, shape[2]), "float32")))
    assert outputs.shape == (2, model.output_shape[-1])
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_levels_are_where_they_are_declared(name):
    model = tiny(name, include_top=False, input_shape=(64, 96, 3))
    levels = kv.models.levels(model)
    assert list(levels) == sorted(levels)
    features = kv.models.feature_extractor(model, list(levels))(pictures(model, 1))
    for stride, feature in zip(levels, features, strict=True):
        for side, size in zip((64, 96), feature.shape[1:3], strict=True):
            # Unpadded convolutions eat a few positions at each border.
            assert stride * (size - 1) < side < stride * (size + 11), levels[stride]


@pytest.mark.parametrize("name", LEARNERS)
def test_without_top(name, alive):
    maps = alive(tiny(name, include_top=False))
    average = tiny(name, include_top=False, pooling="avg")
    largest = tiny(name, include_top=False, pooling="max")
    assert len(maps.output_shape) == 4
    average.set_weights(maps.get_weights())
    largest.set_weights(maps.get_weights())
    batch = pictures(maps, 2)
    features = np.asarray(maps(batch))
    np.testing.assert_allclose(
        np.asarray(average(batch)), features.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        np.asarray(largest(batch)), features.max(axis=(1, 2)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_wrong_options_say_what_to_do(name):
    with pytest.raises(ValueError, match="`pooling` must be one of"):
        tiny(name, include_top=False, pooling="mean")
    with pytest.raises(ValueError, match="only with `include_top=False`"):
        tiny(name, pooling="avg")
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        tiny(name, classes=0)
    with pytest.raises(ValueError, match=r"must be \(height, width, channels\)"):
        tiny(name, input_shape=(64, 64))
    with pytest.raises(ValueError, match="Received: 96"):
        tiny(name, input_shape=96)
    with pytest.raises(FileNotFoundError, match="There is no file 'nowhere.keras'"):
        tiny(name, weights="nowhere.keras")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_mixed_precision_keeps_scores_in_float32(name):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = tiny(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.output.dtype == "float32"
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    assert np.isfinite(np.asarray(model(pictures(model, 2)))).all()
