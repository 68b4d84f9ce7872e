"""What all single-shot detectors hold, and facts of SSD, computed another way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from single_shot import count, levels_of, pictures, shapes_only, sides_of

import kvision as kv
from kvision.models.detection.single_shot import SingleShotDetector

TINY = {
    "SSD300": {"alpha": 0.0625, "input_shape": (96, 96, 3), "classes": 4},
    "SSDLite": {"alpha": 0.35, "input_shape": (64, 96, 3), "classes": 4},
}


@pytest.fixture(scope="module")
def models(alive):
    return {name: alive(kv.build_model(name, **options)) for name, options in TINY.items()}


@pytest.mark.parametrize(
    ("builder", "classes", "parameters"),
    [
        ("SSD300", 20, 26_285_486),
        ("SSD300", 80, 34_305_206),
        ("SSD300", 90, 35_641_826),
        ("SSDLite", 20, 3_355_833),
        ("SSDLite", 80, 4_337_013),
        ("SSDLite", 90, 4_500_543),
    ],
)
def test_counts(builder, classes, parameters):
    model = shapes_only(getattr(kv.models, builder), classes=classes)
    assert count(model) == parameters
    boxes = {"SSD300": 8732, "SSDLite": 2034}[builder]
    assert model.output["raw"]["logits"].shape == (None, boxes, classes + 1)
    assert model.output["raw"]["anchors"].shape == (boxes, 4)


def test_ssd_levels_and_anchors():
    model = kv.models.SSD300(alpha=0.0625)
    sides = (38, 19, 10, 5, 3, 1)
    assert sides_of(levels_of(model)) == [(side, side) for side in sides]
    raw = model(pictures(model, 1))["raw"]
    anchors = 300 * np.asarray(raw["anchors"])
    assert len(anchors) == 8732
    start = 0
    table = (30, 60, 111, 162, 213, 264, 315)
    for level, (side, number) in enumerate(zip(sides, (4, 6, 6, 6, 4, 4), strict=True)):
        step = (8, 16, 32, 64, 100, 300)[level]
        boxes = anchors[start : start + side * side * number].reshape(side, side, number, 4)
        start += side * side * number
        heights, widths = (boxes[..., i + 2] - boxes[..., i] for i in (0, 1))
        size, following = table[level : level + 2]
        areas = (heights * widths)[0, 0]
        expected = [size**2, size * following, *[size**2] * (number - 2)]
        np.testing.assert_allclose(areas, expected, rtol=1e-4)
        ratios = {round(float(r), 3) for r in (widths / heights)[-1, 0]}
        assert ratios == ({1.0, 2.0, 0.5, 3.0, 0.333} if number == 6 else {1.0, 2.0, 0.5})
        centres = (boxes[:, :, 0, :2] + boxes[:, :, 0, 2:]) / 2
        expected = (np.arange(side) + 0.5) * step
        np.testing.assert_allclose(centres[:, 0, 0], expected, atol=1e-2)
        np.testing.assert_allclose(centres[0, :, 1], expected, atol=1e-2)
    assert start == 8732


def smallest_square(model):
    """Height and width of the anchor whose longer side is the shortest, in pixels."""
    anchors = model(pictures(model, 1))["raw"]["anchors"]
    sizes = np.asarray(anchors[:, 2:] - anchors[:, :2]) * model.input_shape[1:3]
    return sizes[np.argmin(sizes.max(-1))]


def test_ssd_sizes():
    small = {"alpha": 0.0625, "input_shape": (96, 96, 3)}
    for sizes, side in (("voc", 30), ("coco", 21), ((15, 60, 111, 162, 213, 264, 315), 15)):
        found = smallest_square(kv.models.SSD300(sizes=sizes, **small))
        np.testing.assert_allclose(found, side * 96 / 300, rtol=1e-4)
    # Squares stay square in wide pictures.
    wide = kv.models.SSD300(alpha=0.0625, input_shape=(96, 160, 3))
    np.testing.assert_allclose(smallest_square(wide), 30 * 96 / 300, rtol=1e-4)


def test_ssd_of_other_sizes_leaves_empty_levels_out():
    for size, sides in (
        (300, (38, 19, 10, 5, 3, 1)),
        (512, (64, 32, 16, 8, 6, 4)),
        (96, (12, 6, 3, 2)),
    ):
        model = shapes_only(kv.models.SSD300, input_shape=(size, size, 3))
        assert sides_of(levels_of(model)) == [(side, side) for side in sides]


def test_reduced_vgg_is_vgg16_up_to_its_dense_layers():
    model = shapes_only(kv.models.SSD300)
    fc6 = model.get_layer("fc6")
    assert (fc6.dilation_rate, fc6.kernel_size, fc6.filters) == ((6, 6), (3, 3), 1024)
    pool5 = model.get_layer("pool5")
    assert (pool5.pool_size, pool5.strides) == ((3, 3), (1, 1))
    norm = model.get_layer("conv4_3_norm")
    assert norm.input is model.get_layer("conv4_3").output
    assert (norm.initial_scale, tuple(norm.scale.shape)) == (20.0, (512,))
    assert levels_of(model)[0] is norm.output
    assert levels_of(model)[1] is model.get_layer("fc7").output


def test_weights_of_vgg16_carry_over():
    vgg = kv.models.VGG16(alpha=0.0625, input_shape=(224, 224, 3), classes=5)
    model = kv.models.SSD300(vgg, alpha=0.0625, input_shape=(96, 96, 3), classes=4)
    small = kv.models.VGG16(alpha=0.0625, input_shape=(96, 96, 3), include_top=False)
    kv.models.copy_weights(vgg, small)
    images = pictures(model)
    theirs, ours = (
        keras.Model(m.input, m.get_layer("conv4_3").output)(images) for m in (small, model)
    )
    assert np.asarray(ours).std() > 0
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-4)
    dense, bias = vgg.get_layer("fc6").get_weights()
    dense = dense.reshape(7, 7, 32, 256)
    kept = np.linspace(0, 255, 64).round().astype(int)
    fc6 = model.get_layer("fc6")
    np.testing.assert_array_equal(fc6.kernel, dense[::3, ::3][..., kept])
    np.testing.assert_array_equal(fc6.bias, bias[kept])
    fc7 = vgg.get_layer("fc7").get_weights()[0][np.ix_(kept, kept)]
    np.testing.assert_array_equal(model.get_layer("fc7").kernel[0, 0], fc7)
    # Without dense layers, fc6 stays as it begins.
    bare = kv.models.SSD300(small, alpha=0.0625, input_shape=(96, 96, 3), classes=4)
    np.testing.assert_array_equal(bare.get_layer("conv5_3").kernel, vgg.get_layer("conv5_3").kernel)
    with pytest.raises(ValueError, match="must be None or a model of `kv.models.VGG16`.*'lenet5'"):
        kv.models.SSD300(kv.models.LeNet5())
    with pytest.raises(ValueError, match="`backbone` of `SSD300` .* Received: 'VGG16'"):
        kv.models.SSD300("VGG16")
    with pytest.raises(ValueError, match="must fit 'conv1_1'"):
        kv.models.SSD300(small, alpha=0.125, input_shape=(96, 96, 3))


@pytest.mark.parametrize("name", TINY)
def test_prior_probability_is_on_the_classification_head(name):
    model = kv.build_model(name, **TINY[name])
    outputs = model(pictures(model, 4), training=True)["raw"]
    probabilities = np.asarray(keras.ops.softmax(outputs["logits"]))
    np.testing.assert_allclose(probabilities[..., 1:].sum(-1).mean(), 0.01, rtol=0.5)
    assert np.abs(np.asarray(outputs["offsets"]).mean()) < 0.1
    heads = [layer for layer in model.layers if "_head" in layer.name and layer.name[-1].isdigit()]
    assert len(heads) == 2 * len(levels_of(model))
    for head in heads:
        bias = np.asarray(head.bias)
        if head.name.startswith("box"):
            assert not bias.any()
            continue
        odds = np.exp(bias.reshape(-1, 5))
        np.testing.assert_allclose(odds[:, 1:].sum(-1) / odds.sum(-1), 0.01, rtol=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_outputs_are_what_raw_says(name, models):
    """Boxes are decoded, scores those of a softmax without its background, the best comes first."""
    model = models[name]
    model.get_layer("detections").score_threshold = 0.0
    images = pictures(model, 3)
    outputs = model(images)
    raw = {key: np.asarray(value) for key, value in outputs["raw"].items()}
    scores = np.asarray(keras.ops.softmax(raw["logits"]))[..., 1:]
    boxes = np.asarray(kv.ops.boxes.clip(kv.ops.boxes.decode(raw["offsets"], raw["anchors"])))
    for picture in range(3):
        anchor, label = np.unravel_index(scores[picture].argmax(), scores[picture].shape)
        assert np.asarray(outputs["classes"])[picture, 0] == label
        np.testing.assert_allclose(outputs["scores"][picture, 0], scores[picture].max(), rtol=1e-5)
        np.testing.assert_allclose(outputs["boxes"][picture, 0], boxes[picture, anchor], atol=1e-5)
    predicted = model.predict(images, verbose=0, batch_size=2)
    assert set(predicted) == {"boxes", "classes", "scores"}
    assert predicted["boxes"].shape == (3, 100, 4)
    assert predicted["classes"].dtype == "int32"
    for key, values in predicted.items():
        np.testing.assert_allclose(values, np.asarray(outputs[key]), atol=1e-4)
    structure = keras.tree.map_structure(lambda x: tuple(x.shape), model(images, training=True))
    assert structure == keras.tree.map_structure(lambda x: tuple(x.shape), outputs)


@pytest.mark.parametrize("name", TINY)
def test_saves_and_loads_with_its_hyperparameters(name, models, tmp_path):
    options = {"variances": [0.2, 0.2, 0.3, 0.3], "matching_iou": 0.4, "negatives": 2.0}
    options |= {"focal_gamma": 1.5, "box_weight": 0.5}
    model = SingleShotDetector(models[name].network, **options)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is SingleShotDetector
    assert {key: loaded.get_config()[key] for key in options} == options
    images = pictures(model)
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)),
        loaded(images),
        model(images),
    )


@pytest.mark.parametrize("name", TINY)
def test_a_file_fits_other_classes_but_for_the_scores(name, models, tmp_path):
    model = models[name]
    model.save(tmp_path / "model.keras")
    again = kv.build_model(name, **TINY[name], weights=tmp_path / "model.keras")
    other = kv.build_model(name, **{**TINY[name], "classes": 7}, weights=tmp_path / "model.keras")
    theirs = {layer.name: layer for layer in model.layers}
    for layer in again.layers:
        for a, b in zip(layer.get_weights(), theirs[layer.name].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    fresh = set()
    for layer in other.layers:
        for a, b in zip(layer.get_weights(), theirs[layer.name].get_weights(), strict=True):
            if a.shape != b.shape or not np.array_equal(a, b):
                fresh.add(layer.name)
    assert fresh == {f"class_head{index + 1}" for index in range(len(levels_of(model)))}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", TINY)
def test_mixed_precision_keeps_boxes_and_scores_in_float32(name, policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = kv.build_model(name, **TINY[name])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    outputs = model(pictures(model))
    for key, values in (*outputs.items(), *outputs["raw"].items()):
        if key not in ("raw", "classes"):
            assert keras.backend.standardize_dtype(values.dtype) == "float32", key
            assert np.isfinite(np.asarray(values)).all()
    assert model.get_layer("class_head1").compute_dtype == policy.removeprefix("mixed_")


@pytest.mark.parametrize(
    ("builder", "options", "message"),
    [
        ("SSD300", {"classes": 0}, "`classes` must be a whole number from 1 in `SSD300`"),
        ("SSDLite", {"classes": True}, "`classes` must be .* Received: True"),
        ("SSD300", {"sizes": "big"}, r"`sizes` must be one of \('voc', 'coco'\) or 7 numbers"),
        ("SSD300", {"sizes": (1, 2, 3)}, r"7 numbers .* Received: \(1, 2, 3\)"),
        ("SSD300", {"sizes": (0, 1, 2, 3, 4, 5, 6)}, "greater than 0"),
        ("SSD300", {"input_shape": (16, 16, 3)}, "at least 32 in `SSD300`"),
        ("SSD300", {"input_shape": (None, None, 3)}, "`SSD300` must be of known height"),
        ("SSDLite", {"input_shape": (None, 64, 3)}, r"`SSDLite` must be .* \(None, 64\)"),
        ("SSDLite", {"alpha": 0}, "`alpha` must be greater than 0 in `SSDLite`"),
        ("SSDLite", {"scales": (0.9, 0.2)}, r"`scales` must be two rising .* \(0.9, 0.2\)"),
        ("SSDLite", {"scales": (0.2,)}, "`scales` must be two rising numbers"),
        ("SSDLite", {"strides": ()}, r"`strides` must .* Received: \(\)"),
        ("SSDLite", {"strides": (7,)}, "must have features of stride 7"),
    ],
)
def test_wrong_options(builder, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(kv.models, builder)(**options)


JAX = """
import json, sys
import jax, keras, numpy as np
import kvision as kv
from kvision.zoo.skeletons import without_weights
assert keras.backend.backend() == "jax"
for name, options in json.loads(sys.argv[2]).items():
    stored = np.load(f"{sys.argv[1]}/{name}.npz")
    model = without_weights(kv.build_model, name, **options)  # initialising takes JAX long
    weights = {id(w): stored[f"weight_{i}"] for i, w in enumerate(model.weights)}
    truth = {"boxes": stored["boxes"][:, :3], "classes": stored["classes"][:, :3]}

    @jax.jit
    def compute(trainable, others, images):
        outputs, _ = model.stateless_call(trainable, others, images)
        return {**outputs, **model.losses_of(truth, outputs)}

    state = (
        [weights.get(id(v), np.zeros(v.shape, v.dtype)) for v in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    outputs = compute(*state, stored["images"])
    for key in ("boxes", "scores", "classes", "class_loss", "box_loss"):
        np.testing.assert_allclose(np.asarray(outputs[key]), stored[key], 1e-3, 1e-3)
print("equal")
"""


@pytest.mark.slow
def test_jax_gives_the_same_detections_and_losses(models, tmp_path):
    for name, model in models.items():
        images = pictures(model)
        outputs = model(images)
        truth = {key: outputs[key][:, :3] for key in ("boxes", "classes")}
        stored = {key: np.asarray(outputs[key]) for key in ("boxes", "scores", "classes")}
        stored |= {f"weight_{i}": array for i, array in enumerate(model.get_weights())}
        stored |= {k: np.asarray(v) for k, v in model.losses_of(truth, outputs).items()}
        np.savez(tmp_path / f"{name}.npz", images=images, **stored)
    result = subprocess.run(
        [sys.executable, "-c", JAX, tmp_path, json.dumps(TINY)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "equal", result.stderr[-3000:]
