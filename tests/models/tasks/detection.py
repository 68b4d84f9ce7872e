"""Networks of the objects of a picture."""

import keras
import numpy as np
import pytest
from networks import computing_in

from tasks import train

HEAD = ["weights", "input_shape", "classes"]
OPTIONS = {"score_threshold": 0.0}  # whatever it finds
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}


def awaken(model):
    return model  # its outputs vary with the anchors as they are


def inputs(model, count):
    return keras.tree.map_structure(lambda part: part[:count], _examples(model)[0])


def compared(model):
    """What the losses need, without the detections, whose suppression takes long step by step."""
    raw = model.output["raw"]
    # The same for all pictures; chosen by rank.
    kept = {key: value for key, value in raw.items() if key not in ("anchors", "proposals")}
    return keras.tree.flatten(kept)


def learn(model):
    model.compile(keras.optimizers.Adam(2e-3, global_clipnorm=10.0))
    lesson = train(
        model,
        _examples(model),
        most=120,
        is_learned=lambda first, last: last["loss"] < 0.5 * first["loss"],
        in_graph=False,
    )
    assert set(lesson.first) == {"loss", *model.loss_names}
    total = sum(lesson.first[key] for key in model.loss_names)
    assert lesson.first["loss"] == pytest.approx(total, rel=1e-4)
    return lesson


def _examples(model):
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
    return _given(model, images, boxes), truth


def _given(model, images, boxes):
    """The pictures, with regions where the network wants these."""
    if not isinstance(model.input, dict):
        return images
    around = np.clip(boxes + np.array([-0.05, -0.05, 0.05, 0.05], "float32"), 0, 1)
    corners = np.broadcast_to(
        np.array([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 1.0, 1.0]], "float32"), (len(boxes), 2, 4)
    )
    return {"image": images, "proposals": np.concatenate([around, corners], axis=1)}


def _raw(model):
    raw = keras.Model(model.input, model.output["raw"])(_examples(model)[0], training=False)
    return keras.tree.flatten(raw)


def _losses(model, truth=None, **changed):
    """The losses of each picture, without dropout, from the same random numbers."""
    inputs, known = _examples(model)
    if hasattr(model, "chance"):
        model.chance.state.assign(keras.ops.zeros_like(model.chance.state))
    raw = keras.Model(model.input, model.output["raw"])(inputs, training=False)
    found = model.losses_of({**(truth or known), **changed}, {"raw": raw})
    return {key: np.asarray(value) for key, value in found.items()}


def check_outputs_have_one_structure(network):
    model, (inputs, _) = network.model, _examples(network.model)
    assert set(model.output) - {"masks"} == {"boxes", "classes", "scores", "raw"}
    model.jit_compile = False  # which takes longer than to run it once
    found = model.predict(inputs, verbose=0)
    assert set(found) == set(model.output) - {"raw"}
    classes, scores, boxes = (found[key] for key in ("classes", "scores", "boxes"))
    assert classes.dtype == "int32"
    assert classes.shape == scores.shape == boxes.shape[:2]
    assert boxes.shape[2:] == (4,)
    assert (np.diff(scores, axis=1) <= 0).all()
    real = classes >= 0
    assert real.any()
    assert classes.max() < network.entry.tiny["classes"]
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (scores[~real] == 0).all()
    assert (boxes[~real] == 0).all()
    if "masks" in found:
        assert found["masks"].shape == (*classes.shape, *found["masks"].shape[2:])
        assert ((found["masks"] >= 0) & (found["masks"] <= 1)).all()


def check_losses_are_of_pictures_and_finite(network):
    model = network.model
    _, truth = _examples(model)
    found = _losses(model)
    assert tuple(found) == model.loss_names
    for values in found.values():
        assert values.shape == (4,)
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    with_none = _losses(model, {key: value[:, :0] for key, value in truth.items()})
    assert all(np.isfinite(values).all() for values in with_none.values())
    for key, values in with_none.items():
        if "class" not in key:
            np.testing.assert_array_equal(values, 0.0, err_msg=key)


def check_the_order_of_the_objects_changes_nothing(network):
    model = network.model
    _, truth = _examples(model)
    kept = _losses(model)
    changed = _losses(model, {key: value[:, ::-1] for key, value in truth.items()})
    for key in kept:
        # A sample of regions is drawn by place: where it is, only what is not sampled is compared.
        if hasattr(model, "chance") and not key.startswith("rpn"):
            continue
        np.testing.assert_allclose(kept[key], changed[key], rtol=1e-4, atol=1e-5, err_msg=key)


def check_unclear_objects_are_not_learned(network):
    _, truth = _examples(network.model)
    for kind in ("crowd", "difficult"):
        for key, values in _losses(network.model, **{kind: truth["classes"] >= 0}).items():
            if "class" not in key:
                np.testing.assert_array_equal(values, 0.0, err_msg=key)


def check_a_loaded_detector_has_its_losses(network, file):
    loaded = keras.models.load_model(file, safe_mode=True)
    for ours, theirs in zip(_raw(network.model), _raw(loaded), strict=True):
        np.testing.assert_array_equal(np.asarray(theirs), np.asarray(ours))
    assert type(loaded) is type(network.model)
    assert set(loaded.output) == set(network.model.output)
    again = _losses(loaded)
    for key, values in _losses(network.model).items():
        np.testing.assert_allclose(again[key], values, rtol=1e-5, err_msg=key)


def check_must_be_fitted_with_truth(network):
    model = network.build()
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="batches of \\(images, truth\\)"):
        model.train_on_batch(_examples(model)[0], np.zeros(4))


def check_learns_in_mixed_precision(network):
    with computing_in("mixed_bfloat16"):
        model = network.build()
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    model.compile("sgd", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(*_examples(model))).all()
