"""Faster R-CNN: counts, anchors, the pyramid, and learning in the ways people train."""

import warnings

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv
from kvision.models.detection.feature_pyramid import feature_pyramid

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (2, 64, 64, 3)).astype("float32")
TRUTH = {
    "boxes": np.array([[[0.1, 0.1, 0.5, 0.5], [0.5, 0.4, 0.9, 0.9]], [[0] * 4] * 2], "float32"),
    "classes": np.array([[0, 3], [-1, -1]], "int32"),
}
IMAGES[0, 6:32, 6:32] = 255, 0, 0
IMAGES[0, 26:58, 32:58] = 0, 0, 255
IMAGES[0] = np.where(np.ptp(IMAGES[0], axis=-1, keepdims=True) == 255, IMAGES[0], 100)
IMAGES[1] = 100
PYRAMID = {
    "backbone": "VGG11",
    "feature_pyramid": True,
    "anchor_sizes": (8, 16, 32, 48, 64),
}


def test_anchors_that_cannot_be_trained_are_named():
    small = {"input_shape": (64, 64, 3), "alpha": 0.0625, "classes": 2, "units": 8}
    with pytest.warns(UserWarning, match="picture of 64x64, and anchors from 88 pixels on"):
        kv.models.FasterRCNN("VGG11", **small)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kv.models.FasterRCNN("VGG11", **small, anchor_sizes=(32, 128))
        kv.models.FasterRCNN("VGG11", **{**small, "input_shape": (None, None, 3)})


def tiny(**options):
    return kv.models.FasterRCNN(**{**kv.model_info("FasterRCNN").tiny, **options})


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def shapes_only(*args, **options):
    return without_weights(lambda: kv.models.FasterRCNN(*args, **options))


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def answer(model, images):
    """What `predict` gives, without tracing a graph for it."""
    return {key: numbers(value) for key, value in model(images).items() if key != "raw"}


def test_counts():
    voc = shapes_only()
    assert count(voc.trainable_weights) == 137_078_239
    proposing = [layer for layer in voc.layers if layer.name.startswith("rpn_")]
    assert count(weight for layer in proposing for weight in layer.weights) == 2_387_510
    coco = shapes_only(classes=80, anchor_sizes=(64, 128, 256, 512))
    assert count(coco.trainable_weights) == 138_316_573


def test_pyramid_counts():
    resnet = shapes_only("ResNet50", classes=90, feature_pyramid=True)
    assert count(resnet.trainable_weights) == 41_808_406
    frozen = shapes_only("ResNet50", classes=90, feature_pyramid=True, frozen_batch_norm=True)
    assert count(frozen.trainable_weights) == 41_755_286
    mobile = shapes_only("MobileNetV2", feature_pyramid=True, filters=64, units=256)
    assert [m.shape[-1] for m in mobile.output["raw"]["features"]] == [64] * 4


def test_anchors_are_the_nine_of_the_paper():
    """The authors' boxes of the first position: x1, y1, x2, y2, counted from 1, both ends in."""
    nine = """-83 -39 100 56 -175 -87 192 104 -359 -183 376 200 -55 -55 72 72 -119 -119 136 136
    -247 -247 264 264 -35 -79 52 96 -79 -167 96 184 -167 -343 184 360"""
    model = tiny(anchor_sizes=None)
    anchors = numbers(model(IMAGES[:1])["raw"]["anchors"])
    assert anchors.shape == (4 * 4 * 9, 4)
    pixels = anchors[:9] * 64
    wanted = np.array(nine.split(), float).reshape(9, 4)
    # Edges between pixels: what begins with pixel 1 begins at 0.
    found = np.stack([pixels[:, 1] + 1, pixels[:, 0] + 1, pixels[:, 3], pixels[:, 2]], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    # The next position is 16 pixels to the right, even where some pixels are left over.
    np.testing.assert_allclose(anchors[9:18] * 64, pixels + [0, 16, 0, 16], atol=1e-4)
    odd = tiny(anchor_sizes=None, input_shape=(64, 77, 3))
    wide = numbers(odd(np.zeros((1, 64, 77, 3)))["raw"]["anchors"])[:18] * [64, 77, 64, 77]
    np.testing.assert_allclose(wide, anchors[:18] * 64, atol=1e-4)


def test_scores_and_offsets_belong_to_their_anchors():
    """A kernel that answers for one shape only shows up at every ninth anchor, in map order."""
    model = tiny()
    shapes = 6
    score, box = model.get_layer("rpn_score"), model.get_layer("rpn_box")
    for layer, columns in ((score, 2), (box, 4)):
        kernel = np.zeros(layer.kernel.shape, "float32")
        bias = np.arange(shapes * columns, dtype="float32")
        kernel[..., 0] = 1.0
        layer.set_weights([kernel, bias])
    outputs = model(IMAGES)
    raw = {key: numbers(outputs["raw"][key]) for key in ("rpn_logits", "rpn_offsets")}
    offsets = raw["rpn_offsets"].reshape(2, 16, shapes, 4)
    wanted = np.broadcast_to(np.arange(4, 24).reshape(5, 4), (2, 16, 5, 4))
    np.testing.assert_allclose(offsets[:, :, 1:], wanted)
    window = keras.Model(model.input, model.get_layer("rpn_conv").output)(IMAGES)
    summed = numbers(window).sum(-1).reshape(2, 16)
    np.testing.assert_allclose(offsets[:, :, 0, 0], summed, rtol=1e-4)
    logits = raw["rpn_logits"].reshape(2, 16, shapes, 2)
    np.testing.assert_allclose(logits[:, :, 0, 0], summed, rtol=1e-4)
    np.testing.assert_allclose(logits[0, 0, 1:].ravel(), np.arange(2, 12))


def test_pyramid_adds_what_the_coarser_level_says():
    features = {4: keras.Input((9, 6, 3)), 8: keras.Input((5, 3, 5))}
    model = keras.Model(list(features.values()), feature_pyramid(features, 2))
    assert [shape[1:] for shape in model.output_shape] == [(9, 6, 2), (5, 3, 2)]
    fine, coarse = RNG.normal(size=(1, 9, 6, 3)), RNG.normal(size=(1, 5, 3, 5))
    for layer in model.layers:  # outputs show their inputs
        if layer.name.startswith("fpn_p"):
            kernel = np.zeros(layer.kernel.shape)
            kernel[1, 1] = np.eye(2)
            layer.set_weights([kernel, np.zeros(2)])
    p2, p3 = (numbers(x)[0] for x in model([fine, coarse]))
    kernels = {name: numbers(model.get_layer(name).kernel)[0, 0] for name in ("fpn_c2", "fpn_c3")}
    np.testing.assert_allclose(p3, coarse[0] @ kernels["fpn_c3"], rtol=1e-4, atol=1e-5)
    rows = np.floor((np.arange(9) + 0.5) * 5 / 9).astype(int)
    above = p3[rows][:, np.arange(6) // 2]  # the nearest
    np.testing.assert_allclose(p2, fine[0] @ kernels["fpn_c2"] + above, rtol=1e-4, atol=1e-5)


def test_levels_of_the_pyramid():
    model = tiny(**PYRAMID)
    raw = model(IMAGES)["raw"]
    assert [tuple(maps.shape[1:3]) for maps in raw["features"]] == [
        (16,) * 2,
        (8,) * 2,
        (4,) * 2,
        (2,) * 2,
    ]
    counts = [side * side * 3 for side in (16, 8, 4, 2, 1)]
    sides = numbers(raw["anchors"])[:, 2:] - numbers(raw["anchors"])[:, :2]
    areas = np.split(sides.prod(-1) * 64**2, np.cumsum(counts))
    assert len(areas.pop()) == 0
    for area, size in zip(areas, PYRAMID["anchor_sizes"], strict=True):
        np.testing.assert_allclose(area, size**2, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, PYRAMID], ids=["single", "pyramid"])
def test_any_size_of_pictures(options):
    model = tiny(**options, input_shape=None)
    fixed = tiny(**options, input_shape=(75, 50, 3))
    fixed.set_weights(model.get_weights())
    images = RNG.uniform(0, 255, (2, 75, 50, 3)).astype("float32")
    found, wanted = answer(model, images), answer(fixed, images)
    for key, value in found.items():
        np.testing.assert_allclose(value, wanted[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [pytest.param({"alpha": 0.25, "units": 64}, marks=pytest.mark.slow), PYRAMID],
    ids=["single", "pyramid"],
)
def test_learns_by_heart_and_shows_its_losses(options):
    model = tiny(**options)
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(IMAGES, TRUTH, epochs=150, batch_size=2, verbose=0).history
    assert set(history) == {"loss", *model.loss_names}
    parts = sum(history[name][-1] for name in model.loss_names)
    assert history["loss"][-1] == pytest.approx(parts, rel=1e-4)
    assert history["loss"][0] > 2.0
    assert history["loss"][-1] < 0.4
    found = answer(model, IMAGES)
    for label, box in zip([0, 3], TRUTH["boxes"][0], strict=True):
        sure = (found["classes"][0] == label) & (found["scores"][0] > 0.3)
        assert numbers(kv.ops.boxes.matched_iou(found["boxes"][0][sure], box)).max() > 0.5
    assert (found["scores"][1] < 0.3).all()


def test_every_weight_moves():
    model = tiny(**PYRAMID)
    before = model.get_weights()
    model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    model.train_on_batch(IMAGES, TRUTH)
    names = [weight.path for weight in model.weights]
    still = [
        name
        for name, old, new in zip(names, before, model.get_weights(), strict=True)
        if np.array_equal(old, new)
    ]
    assert not still


def test_outputs_have_one_structure_training_or_not():
    model = tiny()
    outputs = [model(IMAGES, training=training) for training in (True, False)]
    first, second = (keras.tree.map_structure(lambda x: len(x.shape), o) for o in outputs)
    assert first == second
    assert outputs[0]["raw"]["proposals"].shape[1] == 64
    assert outputs[1]["raw"]["proposals"].shape[1] == 32


def test_no_gradient_flows_through_proposals():
    tf = pytest.importorskip("tensorflow")
    model = tiny()
    with tf.GradientTape() as tape:
        losses = model.losses_of(TRUTH, model(IMAGES, training=True))
        second = tf.reduce_sum(losses["class_loss"] + losses["box_loss"])
    weights = [model.get_layer("rpn_box").kernel, model.get_layer("conv5_3").kernel]
    proposing, features = tape.gradient(second, weights)
    assert proposing is None or not np.abs(proposing).any()
    assert np.abs(features).max() > 0


def test_batch_normalisation_freezes():
    options = {"backbone": "MobileNetV2", "alpha": 0.35, "frozen_batch_norm": True}
    model = tiny(**{**PYRAMID, **options})
    again = model.__class__.from_config(model.get_config())
    for one in (model, again):
        norms = [la for la in one.layers if isinstance(la, keras.layers.BatchNormalization)]
        assert len(norms) > 40
        assert not any(weight.trainable for layer in norms for weight in layer.weights)


def test_saves_and_goes_over_to_other_classes(tmp_path):
    model = tiny(**PYRAMID)
    model.save(tmp_path / "model.keras")
    found = answer(model, IMAGES)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = tiny(**PYRAMID, weights=tmp_path / "model.keras")
    for other in (loaded, again):
        for key, value in answer(other, IMAGES).items():
            np.testing.assert_array_equal(value, found[key])
    assert loaded.get_config().keys() == model.get_config().keys()
    other = tiny(**PYRAMID, classes=7, weights=tmp_path / "model.keras")
    np.testing.assert_array_equal(
        other.get_layer("rpn_box").kernel, model.get_layer("rpn_box").kernel
    )
    assert other.get_layer("box_head").get_layer("box_offsets").units == 32


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny(**PYRAMID)
    finally:
        keras.config.set_dtype_policy(before)
    model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    outputs = model(IMAGES)
    assert {keras.backend.standardize_dtype(outputs[key].dtype) for key in ("boxes", "scores")} == {
        "float32"
    }
    assert keras.backend.standardize_dtype(outputs["raw"]["features"][0].dtype) == policy[6:]
    logs = model.train_on_batch(IMAGES, TRUTH, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())


@pytest.mark.slow
def test_learns_on_two_replicas():
    with kv.training.strategy(["CPU:0", "CPU:1"]).scope():
        model = tiny(**PYRAMID)
        model.compile(keras.optimizers.Adam(3e-3))
    images = np.concatenate([IMAGES[:1]] * 4)
    truth = {key: np.concatenate([value[:1]] * 4) for key, value in TRUTH.items()}
    history = model.fit(images, truth, epochs=40, batch_size=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    assert all(np.isfinite(value).all() for value in history.values())


@pytest.mark.slow
def test_overfits_four_scenes():
    """Boxes lie on the objects of pictures that were learned by heart."""
    examples, info = kv.data.load(
        "scenes", "train", with_info=True, size=(96, 96), difficulty=0.2, train=4
    )
    names = info.features["objects"]["label"].names
    batches = kv.data.batches(examples, (96, 96, 3), 4, target="objects")
    backbone = kv.models.ResNet18(include_top=False, input_shape=(96, 96, 3), alpha=0.25)
    model = kv.models.FasterRCNN(
        backbone,
        classes=len(names),
        feature_pyramid=True,
        filters=32,
        units=64,
        anchor_sizes=(16, 24, 32, 48, 64),
        proposals=(200, 50),
        regions=64,
    )
    model.compile(keras.optimizers.Adam(2e-3, global_clipnorm=10.0))
    model.fit(batches.repeat(150), epochs=1, verbose=0)
    scores = kv.evaluation.evaluate_detector(model, batches, names)["coco"]
    assert scores["AP50"] > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"anchor_sizes": (16, 32), "feature_pyramid": True},
            "`anchor_sizes` must be 5 numbers",
        ),
        ({"alpha": 0}, "`alpha` must be greater than 0"),
        ({"backbone": "ResNetCIFAR"}, "must have features of stride 16"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_truth_that_is_none():
    model = tiny()
    model.compile("adam", run_eagerly=True)
    with pytest.raises(ValueError, match="batches of .images, truth."):
        model.train_on_batch(IMAGES, np.zeros((2, 4)))
