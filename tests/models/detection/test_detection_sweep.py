"""What must hold for every registered detector, whatever it is."""

import inspect
import json

import keras
import numpy as np
import pytest

import kvision as kv

NAMES = kv.list_models("detection")
# Built of the same blocks as another.
ALIKE = ("FastRCNN", "SSD300", "SPPNet", "MaskXRCNN")
LONG = (*ALIKE, "MaskRCNN")  # to trace
SWEPT = [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in NAMES]
LEARNERS = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in NAMES]


def tiny(name, **kwargs):
    return kv.build_model(name, **{**kv.model_info(name).tiny, **kwargs})


def classes_of(model):
    return kv.registry.entry_of(model).tiny["classes"]


def pictures_and_truth(model):
    """Four pictures of bright rectangles on dark noise: class 0 is wide, class 1 is not."""
    random = np.random.default_rng(0)
    image = model.input["image"] if isinstance(model.input, dict) else model.input
    height, width, channels = image.shape[1:]
    wide, tall, large = (0.25, 0.5, 0.4, 0.95), (0.3, 0.1, 0.8, 0.35), (0.05, 0.05, 0.95, 0.95)
    small = (0.05, 0.8, 0.16, 0.91)
    drawn = [[], [(wide, 0), (small, 1)], [(tall, 1), ((0.6, 0.5, 0.85, 1.0), 0)], [(large, 1)]]
    images = random.uniform(0, 60, (4, height, width, channels)).astype("float32")
    boxes = np.zeros((4, 3, 4), "float32")
    classes = np.full((4, 3), -1, "int32")
    masks = np.zeros((4, 3, height, width), "uint8")
    for index, objects in enumerate(drawn):
        for number, (box, label) in enumerate(objects):
            boxes[index, number], classes[index, number] = box, label
            y0, x0, y1, x1 = np.round(np.multiply(box, (height, width) * 2)).astype(int)
            images[index, y0:y1, x0:x1] += 150
            masks[index, number, y0:y1, x0:x1] = 1
    none = np.zeros((4, 3), bool)
    truth = {"boxes": boxes, "classes": classes, "crowd": none, "difficult": none, "masks": masks}
    return given(model, images, boxes), truth


def given(model, images, boxes):
    """The pictures, with regions where the network wants these."""
    if not isinstance(model.input, dict):
        return images
    around = np.clip(boxes + np.array([-0.05, -0.05, 0.05, 0.05], "float32"), 0, 1)
    corners = np.broadcast_to(
        np.array([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 1.0, 1.0]], "float32"), (len(boxes), 2, 4)
    )
    return {"image": images, "proposals": np.concatenate([around, corners], axis=1)}


def raw(model, inputs):
    """What the losses need, without the detections, whose suppression takes long step by step."""
    return keras.Model(model.input, model.output["raw"])(inputs, training=False)


def losses(model, inputs, truth):
    """The losses of each picture, without dropout, from the same random numbers."""
    if hasattr(model, "chance"):
        model.chance.state.assign(keras.ops.zeros_like(model.chance.state))
    found = model.losses_of(truth, {"raw": raw(model, inputs)})
    return {key: np.asarray(value) for key, value in found.items()}


@pytest.fixture(scope="module", params=SWEPT)
def built(request):
    """A tiny detector that shows whatever it finds, with pictures and truth; not to be changed."""
    model = tiny(request.param, score_threshold=0.0)
    return model, *pictures_and_truth(model)


def some(inputs, rows):
    return keras.tree.map_structure(lambda part: part[rows], inputs)


@pytest.mark.parametrize("name", SWEPT)
def test_signature_is_that_of_a_detector(name):
    parameters = list(inspect.signature(kv.model_info(name).builder).parameters.values())
    names = [parameter.name for parameter in parameters]
    if names[0] == "backbone":
        names = names[1:]
    assert names[:3] == ["weights", "input_shape", "classes"]
    assert names[-1] == "name"
    by_name = {parameter.name: parameter for parameter in parameters}
    assert by_name["weights"].default is None
    assert by_name["include_preprocessing"].default is True


def test_outputs_have_one_structure(built):
    model, inputs, _ = built
    assert set(model.output) - {"masks"} == {"boxes", "classes", "scores", "raw"}
    found = model.predict(inputs, verbose=0)
    assert set(found) == set(model.output) - {"raw"}
    classes, scores, boxes = (found[key] for key in ("classes", "scores", "boxes"))
    assert classes.dtype == "int32"
    assert classes.shape == scores.shape == boxes.shape[:2]
    assert boxes.shape[2:] == (4,)
    assert (np.diff(scores, axis=1) <= 0).all()
    real = classes >= 0
    assert real.any()
    assert classes.max() < classes_of(model)
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (scores[~real] == 0).all()
    assert (boxes[~real] == 0).all()
    if "masks" in found:
        assert found["masks"].shape == (*classes.shape, *found["masks"].shape[2:])
        assert ((found["masks"] >= 0) & (found["masks"] <= 1)).all()


def test_a_picture_alone_gives_the_same(built):
    model, inputs, _ = built
    together = raw(model, inputs)
    for index in (0, 3):
        alone = raw(model, some(inputs, slice(index, index + 1)))
        for key, value in alone.items():
            if key in ("anchors", "proposals"):  # the same for all; chosen by rank
                continue
            for one, many in zip(*map(keras.tree.flatten, (value, together[key])), strict=True):
                np.testing.assert_allclose(
                    np.asarray(one)[0], np.asarray(many)[index], rtol=1e-3, atol=1e-4
                )


def test_losses_are_of_pictures_and_finite(built):
    model, inputs, truth = built
    found = losses(model, inputs, truth)
    assert tuple(found) == model.loss_names
    for values in found.values():
        assert values.shape == (4,)
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    without = {key: value[:, :0] for key, value in truth.items()}
    with_none = losses(model, inputs, without)
    assert all(np.isfinite(values).all() for values in with_none.values())
    for key, values in with_none.items():
        if "class" not in key:
            np.testing.assert_array_equal(values, 0.0, err_msg=key)


def test_the_order_of_the_objects_changes_nothing(built):
    model, inputs, truth = built
    turned = {key: value[:, ::-1] for key, value in truth.items()}
    kept, changed = losses(model, inputs, truth), losses(model, inputs, turned)
    for key in kept:
        # A sample of regions is drawn by place: where it is, only what is not sampled is compared.
        if hasattr(model, "chance") and not key.startswith("rpn"):
            continue
        np.testing.assert_allclose(kept[key], changed[key], rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("kind", ["crowd", "difficult"])
def test_unclear_objects_are_not_learned(built, kind):
    model, inputs, truth = built
    unclear = {**truth, kind: truth["classes"] >= 0}
    for key, values in losses(model, inputs, unclear).items():
        if "class" not in key:
            np.testing.assert_array_equal(values, 0.0, err_msg=key)


@pytest.mark.parametrize("name", LEARNERS)
def test_learns_and_moves_every_weight(name):
    model = tiny(name)
    inputs, truth = pictures_and_truth(model)
    before = [np.array(weight) for weight in model.trainable_weights]
    model.compile(keras.optimizers.Adam(2e-3, global_clipnorm=10.0))
    first = model.train_on_batch(inputs, truth, return_dict=True)
    assert set(first) == {"loss", *model.loss_names}
    assert first["loss"] == pytest.approx(sum(first[key] for key in model.loss_names), rel=1e-4)
    for _ in range(120):
        last = model.train_on_batch(inputs, truth, return_dict=True)
        model.reset_metrics()
    assert last["loss"] < 0.5 * first["loss"], (first, last)
    still = [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(np.array(weight), old)
    ]
    assert not still, f"training left these weights as they were: {still}"


def test_saves_and_loads_in_safe_mode(built, tmp_path):
    model, inputs, truth = built
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is type(model)
    for a, b in zip(*(keras.tree.flatten(raw(m, inputs)) for m in (loaded, model)), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert set(loaded.output) == set(model.output)
    assert json.loads(loaded.to_json())["config"] == json.loads(model.to_json())["config"]
    kept, again = losses(model, inputs, truth), losses(loaded, inputs, truth)
    for key, values in kept.items():
        np.testing.assert_allclose(again[key], values, rtol=1e-5, err_msg=key)


def test_weights_go_over_to_another_number_of_classes(built, tmp_path):
    model = built[0]
    model.save(tmp_path / "model.keras")
    name = kv.registry.entry_of(model).name
    other = tiny(name, classes=classes_of(model) + 2, weights=tmp_path / "model.keras")
    theirs = {weight.path: np.array(weight) for weight in model.weights}
    kept = [
        weight.path
        for weight in other.weights
        if theirs[weight.path].shape == weight.shape
        and np.array_equal(theirs[weight.path], np.array(weight))
    ]
    fresh = {weight.path for weight in other.weights} - set(kept)
    assert 0 < len(fresh) < len(kept), fresh


@pytest.mark.parametrize("name", SWEPT)
def test_wrong_options_say_what_to_do(name):
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        tiny(name, classes=0)
    with pytest.raises(ValueError, match=r"must be|Received"):
        tiny(name, input_shape=(64, 64))
    with pytest.raises(FileNotFoundError, match="There is no file 'nowhere.keras'"):
        tiny(name, weights="nowhere.keras")


@pytest.mark.parametrize("name", SWEPT)
def test_must_be_fitted_with_truth(name):
    model = tiny(name)
    inputs, _ = pictures_and_truth(model)
    model.compile("sgd")
    with pytest.raises(ValueError, match="batches of \\(images, truth\\)"):
        model.train_on_batch(inputs, np.zeros(4))


@pytest.mark.parametrize("name", LEARNERS)
def test_mixed_precision_keeps_boxes_and_scores_in_float32(name):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = tiny(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.output["boxes"].dtype == model.output["scores"].dtype == "float32"
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    inputs, truth = pictures_and_truth(model)
    model.compile("sgd")
    assert np.isfinite(model.train_on_batch(inputs, truth)).all()
