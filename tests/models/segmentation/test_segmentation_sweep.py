"""What must hold for every registered segmenter, whatever it is."""

import inspect
import json

import keras
import numpy as np
import pytest

import kvision as kv

NAMES = kv.list_models("segmentation")
# Built of the same blocks as another; or, like DeconvNet, long to trace.
ALIKE = ("CRFRNN", "DeconvNet", "DeepLabV2", "FCN16s", "FCN32s")
LEARNERS = [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in NAMES]


def tiny(name, **kwargs):
    return kv.build_model(name, **{**kv.model_info(name).tiny, **kwargs})


def pictures(model, count):
    shape = (count, *(size or 64 for size in model.input_shape[1:]))
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


@pytest.mark.parametrize("name", LEARNERS)
def test_signature_is_that_of_a_segmenter(name):
    parameters = list(inspect.signature(kv.model_info(name).builder).parameters.values())
    names = [parameter.name for parameter in parameters]
    head = ["weights", "input_shape", "classes", "classifier_activation"]
    if names[0] == "backbone":
        names, parameters = names[1:], parameters[1:]
    assert names[:4] == head
    assert names[-1] == "name"
    assert parameters[0].default is None
    assert parameters[3].default == "softmax"
    by_name = {parameter.name: parameter for parameter in parameters}
    assert by_name["include_preprocessing"].default is True


@pytest.mark.parametrize("name", LEARNERS)
def test_every_pixel_has_probabilities_or_scores(name, alive):
    model = alive(tiny(name))
    images = pictures(model, 2)
    probabilities = np.asarray(model(images))
    assert probabilities.ndim == 4
    assert probabilities.shape[-1] == kv.model_info(name).tiny["classes"]
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5)
    scores = tiny(name, classifier_activation=None)
    scores.set_weights(model.get_weights())
    np.testing.assert_allclose(
        np.asarray(keras.ops.softmax(scores(images))), probabilities, rtol=1e-4, atol=1e-6
    )


def halves(size, classes):
    """Columns of class 0 and of class 1, and a void one."""
    mask = np.zeros((*size, 1), "uint8")
    mask[:, size[1] // 2 :] = min(1, classes - 1)
    mask[:, -1] = 255
    return mask


@pytest.mark.parametrize("name", LEARNERS)
def test_learns_one_batch_and_moves_every_weight(name):
    model = tiny(name)
    images = pictures(model, 4)
    size, classes = model(images[:1]).shape[1:3], model.output_shape[-1]
    masks = np.stack([halves(size, classes), 1 - halves(size, classes)] * 2)
    masks[masks == 2] = 255  # 1 - 255 in uint8
    # A picture is bright where it shows class 1: there is something to learn.
    top, left = ((images.shape[1 + i] - size[i]) // 2 for i in range(2))
    window = images[:, top : top + size[0], left : left + size[1]]
    window *= np.where(masks == 1, 1.0, 0.2)
    before = [np.array(weight) for weight in model.trainable_weights]
    normalised = any(isinstance(x, keras.layers.BatchNormalization) for x in model.layers)
    rate = 1e-2 if normalised else 1e-3
    model.compile(keras.optimizers.Adam(rate), kv.losses.MaskCrossentropy())
    for _ in range(200):
        loss = float(model.train_on_batch(images, masks))
        model.reset_metrics()
        assert np.isfinite(loss)
        if loss < 0.4:  # who does not look at the pictures comes to log 2 = 0.69
            break
    else:
        pytest.fail(f"{name} did not learn four pictures: its loss is {loss}")
    still = [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(np.array(weight), old)
    ]
    assert not still, f"training left these weights as they were: {still}"


@pytest.mark.parametrize("name", LEARNERS)
def test_saves_and_loads_in_safe_mode(name, tmp_path, alive):
    model = alive(tiny(name))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    batch = pictures(model, 2)
    np.testing.assert_array_equal(np.asarray(loaded(batch)), np.asarray(model(batch)))
    assert json.loads(loaded.to_json())["config"] == json.loads(model.to_json())["config"]
    again = tiny(name, weights=tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(again(batch)), np.asarray(model(batch)))


@pytest.mark.parametrize("name", LEARNERS)
def test_weights_go_over_to_another_number_of_classes(name, tmp_path, alive):
    model = alive(tiny(name))
    model.save(tmp_path / "model.keras")
    classes = model.output_shape[-1] + 2
    other = tiny(name, classes=classes, weights=tmp_path / "model.keras")
    assert other.output_shape[-1] == classes
    theirs = {weight.path: np.array(weight) for weight in model.weights}
    kept = [
        weight.path
        for weight in other.weights
        if theirs[weight.path].shape == weight.shape
        and np.array_equal(theirs[weight.path], np.array(weight))
    ]
    assert len(kept) > 0.7 * len(other.weights), f"fresh weights: only {kept} went over"


@pytest.mark.parametrize("shape", [(33, 47, 1), (64, 40, 4), (None, None, 3), (7, 7, 3)])
@pytest.mark.parametrize("name", LEARNERS)
def test_other_sizes_and_channels_work_or_say_why_not(name, shape):
    try:
        model = tiny(name, input_shape=shape)
    except ValueError as error:
        message = str(error)
        if "must be" not in message or f"Received: {shape}" not in message:
            pytest.fail(f"an unhelpful message: {message}")
        return
    height, width = shape[0] or 64, shape[1] or 96
    outputs = np.asarray(model(np.zeros((2, height, width, shape[2]), "float32")))
    assert outputs.shape[-1] == model.output_shape[-1]
    if name == "UNet":  # the paper's does not pad
        assert outputs.shape[1] < height
        assert outputs.shape[2] - outputs.shape[1] == width - height
    else:
        assert outputs.shape[1:3] == (height, width)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_wrong_options_say_what_to_do(name):
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        tiny(name, classes=0)
    with pytest.raises(ValueError, match="`classifier_activation` must be one of"):
        tiny(name, classifier_activation="relu")
    with pytest.raises(ValueError, match=r"must be \(height, width, channels\)"):
        tiny(name, input_shape=(64, 64))
    with pytest.raises(FileNotFoundError, match="There is no file 'nowhere.keras'"):
        tiny(name, weights="nowhere.keras")


@pytest.mark.parametrize("name", LEARNERS)
def test_mixed_precision_keeps_scores_in_float32(name):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = tiny(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.output.dtype == "float32"
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    assert np.isfinite(np.asarray(model(pictures(model, 2)))).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_pixels_are_normalised_inside(name, alive):
    """Without the normalisation the same weights give other answers to the same pixels."""
    model = alive(tiny(name))
    bare = tiny(name, include_preprocessing=False)
    bare.set_weights(model.get_weights())
    batch = pictures(model, 2)
    assert np.abs(np.asarray(bare(batch)) - np.asarray(model(batch))).max() > 1e-3
