"""Networks of one answer a picture."""

import keras
import numpy as np
import pytest
from networks import run
from waking import awaken as awaken_noise

import kvision as kv
from tasks import other_sizes, pictures, train

HEAD = ["include_top", "weights", "input_shape", "pooling", "classes", "classifier_activation"]


def awaken(model):
    return awaken_noise(model)


def inputs(model, count):
    return pictures(model.input_shape[1:], count)


def compared(model):
    return [model.output]


def truth(model, inputs):
    return np.asarray(model(inputs)).argmax(axis=1)


def learn(model):
    """Eight pictures by heart, each of its own class; every weight moves in the first step."""
    model.compile(
        keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    examples = inputs(model, 8), np.arange(8) % model.output_shape[-1]
    return train(
        model,
        examples,
        most=150,
        is_learned=lambda first, last: last["accuracy"] == 1.0 and last["loss"] < 0.1,
        moved_after=1,
    )


def check_outputs_are_probabilities_or_scores(network):
    probabilities = network.outputs[0]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    scores = network.bare(classifier_activation=None)
    (logits,) = run(scores, network.weights, network.inputs)
    np.testing.assert_allclose(
        np.asarray(keras.ops.softmax(logits)), probabilities, rtol=1e-4, atol=1e-6
    )


def check_other_sizes_and_channels_work_or_say_why_not(network):
    classes = network.model.output_shape[-1]
    other_sizes(network, lambda shape, size: shape == (2, classes))


def check_levels_are_where_they_are_declared(network):
    model = network.bare(include_top=False, input_shape=(64, 96, 3))
    levels = kv.models.levels(model)
    assert list(levels) == sorted(levels)
    extractor = kv.models.feature_extractor(model, list(levels))
    weights = [np.zeros(weight.shape, "float32") for weight in extractor.weights]
    features = run(extractor, weights, pictures((64, 96, 3), 1))
    for stride, feature in zip(levels, features, strict=True):
        for side, size in zip((64, 96), feature.shape[1:3], strict=True):
            # Unpadded convolutions eat a few positions at each border.
            assert stride * (size - 1) < side < stride * (size + 11), levels[stride]


def check_without_top(network):
    maps = network.bare(include_top=False)
    assert len(maps.output_shape) == 4
    weights = network.weights[: len(maps.weights)]
    (features,) = run(maps, weights, network.inputs)
    for pooling in ("avg", "max"):
        (pooled,) = run(network.bare(include_top=False, pooling=pooling), weights, network.inputs)
        expected = {"avg": features.mean, "max": features.max}[pooling](axis=(1, 2))
        np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-5)


def check_options_of_the_top(network):
    with pytest.raises(ValueError, match="`pooling` must be one of"):
        network.bare(include_top=False, pooling="mean")
    with pytest.raises(ValueError, match="only with `include_top=False`"):
        network.bare(pooling="avg")
    with pytest.raises(ValueError, match="Received: 96"):
        network.bare(input_shape=96)


def check_files_know_it_for_phones(network, tmp_path):
    """Of a network that knows eight pictures by heart, the files know them too."""
    images, labels = network.lesson.examples
    model = awaken_noise(network.lesson.model, images=images)
    for quantize in (None, "int8"):
        path = kv.export.tflite(model, tmp_path / "model.tflite", quantize, calibration=images)
        report = kv.export.verify(model, path, [(images, labels)])
        assert report.passed, (quantize, report.reasons)
        assert report.metric_model == 1.0
        assert not report.random_operators
        assert quantize or report.max_difference < 1e-4
