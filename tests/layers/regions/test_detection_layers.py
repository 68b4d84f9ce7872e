"""Proposals and detections beside the same steps in NumPy, under every policy and open sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.layers import Detections, Proposals
from kvision.ops import boxes as box_ops
from kvision.ops.suppression import suppress_classes

SIZE = (64, 96)


def inputs_of(anchors=200, batch=2, seed=0):
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 1, (anchors, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], -1).astype("float32")
    logits = random.normal(0, 3, (batch, anchors)).astype("float32")
    offsets = random.normal(0, 2, (batch, anchors, 4)).astype("float32")
    return [logits, offsets, boxes, np.zeros((batch, *SIZE, 3), "float32")]


def proposed(logits, offsets, anchors, before, after, iou_threshold, minimum):
    """Of one picture and one level."""
    best = np.argsort(-logits, kind="stable")[:before]
    boxes = np.clip(np.asarray(box_ops.decode(offsets[best], anchors[best])), 0, 1)
    logits = logits[best]
    large = np.all((boxes[:, 2:] - boxes[:, :2]) * SIZE >= minimum, axis=1)
    boxes, logits = boxes[large], logits[large]
    kept = tf.image.non_max_suppression(boxes, logits, after, iou_threshold).numpy()
    return boxes[kept], logits[kept]


@pytest.mark.parametrize("training", [True, False])
def test_proposals_step_by_step(training):
    given = inputs_of()
    layer = Proposals(before=(120, 60), after=(40, 12), iou_threshold=0.5, minimum_size=16)
    found = np.asarray(layer(given, training=training))
    before, after = (120, 40) if training else (60, 12)
    assert found.shape == (2, after, 4)
    for picture in range(2):
        expected, _ = proposed(
            given[0][picture], given[1][picture], given[2], before, after, 0.5, 16
        )
        np.testing.assert_allclose(found[picture, : len(expected)], expected, atol=1e-6)
        assert not found[picture, len(expected) :].any()


def test_small_regions_are_left_out():
    given = inputs_of()
    sides = []
    for minimum in (0, 16, 40):
        found = np.asarray(Proposals(after=100, minimum_size=minimum)(given))
        pixels = (found[..., 2:] - found[..., :2]) * SIZE
        sides.append(pixels[found.any(-1)].min())
    assert sides[0] < 16 <= sides[1] < 40 <= sides[2]


def test_levels_of_a_pyramid():
    """Each level has its best anchors, and levels do not suppress each other."""
    logits, offsets, anchors, image = inputs_of()
    cuts = (0, 120, 180, 200)
    parts = [slice(first, last) for first, last in zip(cuts[:-1], cuts[1:], strict=True)]
    layer = Proposals(before=50, after=45, iou_threshold=0.5, minimum_size=8)
    levels = [[values[:, part] for part in parts] for values in (logits, offsets)]
    found = np.asarray(layer([*levels, anchors, image]))
    for picture in range(2):
        expected = [
            proposed(logits[picture, p], offsets[picture, p], anchors[p], 50, 45, 0.5, 8)
            for p in parts
        ]
        boxes, scores = (np.concatenate(x) for x in zip(*expected, strict=True))
        best = boxes[np.argsort(-scores)][:45]
        np.testing.assert_allclose(found[picture, : len(best)], best, atol=1e-6)
    apart = np.asarray(layer([logits, offsets, anchors, image]))
    assert not np.allclose(apart, found)


def test_no_gradient_flows_back():
    logits, offsets, anchors, image = (tf.convert_to_tensor(x) for x in inputs_of())
    with tf.GradientTape() as tape:
        tape.watch([logits, offsets])
        value = tf.reduce_sum(Proposals()([logits, offsets, anchors, image]))
    assert tape.gradient(value, [logits, offsets]) == [None, None]


def network(size=(None, None), **options):
    """A network of proposals with detections of two classes behind."""
    image = keras.Input((*size, 3))
    maps = [keras.layers.AveragePooling2D(n)(image) for n in (8, 16)]
    anchors = kv.layers.Anchors([[(16, 16)], [(32, 24)]])([image, *maps])
    rows = [keras.layers.Reshape((-1, 3))(x) for x in maps]
    logits = [keras.layers.Reshape((-1,))(x[..., :1] * 7) for x in rows]
    offsets = [keras.layers.Concatenate()([x, x[..., :1]]) for x in rows]
    regions = Proposals(after=(40, 20), name="regions")([logits, offsets, anchors, image])
    scores = keras.layers.Dense(2, activation="sigmoid", name="scores")(regions)
    found = Detections(score_threshold=0.1, most=9, name="found", **options)([regions, scores])
    return keras.Model(image, {**found, "regions": regions})


def test_networks_of_open_sizes_and_saving(tmp_path):
    model = network()
    assert model.output["regions"].shape == (None, None, 4), "it depends on training"
    assert model.output["boxes"].shape == (None, 9, 4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name in ("regions", "found"):
        assert again.get_layer(name).get_config() == model.get_layer(name).get_config()
    images = np.random.default_rng(0).normal(size=(3, 64, 96, 3)).astype("float32")
    traced = tf.function(again, input_signature=[tf.TensorSpec((None, None, None, 3))])
    first, one = model(images), traced(images[1:2])
    for key, values in traced(images).items():
        np.testing.assert_allclose(values, first[key], atol=1e-6)
        np.testing.assert_allclose(one[key][0], first[key][1], atol=1e-6)
    assert model(images, training=True)["regions"].shape == (3, 40, 4)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_boxes_stay_float32(policy):
    given = inputs_of()
    boxes, scores = np.tile(given[2], (2, 1, 1)), 1 / (1 + np.exp(-given[0][..., None]))
    for layer, values in ((Proposals, given), (Detections, [boxes, scores])):
        plain, low = layer()(values), layer(dtype=policy)(values)
        keras.tree.map_structure(np.testing.assert_array_equal, plain, low)
    symbols = [keras.Input(x.shape[1:]) for x in (boxes, scores)]
    found = Detections(dtype=policy)(symbols)
    assert {key: value.dtype for key, value in found.items()} == {
        "boxes": "float32",
        "classes": "int32",
        "scores": "float32",
    }


def test_detections_are_those_of_the_function():
    random = np.random.default_rng(0)
    boxes, scores = np.tile(inputs_of()[2], (2, 1, 1)), random.uniform(0, 1, (2, 200, 3))
    options = {"iou_threshold": 0.3, "score_threshold": 0.4, "most": 30, "candidates": 70}
    found = Detections(**options)([boxes, scores])
    for values, expected in zip(found.values(), suppress_classes(boxes, scores, **options)):  # noqa: B905
        np.testing.assert_array_equal(values, expected)
    assert list(found) == ["boxes", "classes", "scores"]


def test_training_does_not_pay_for_detections():
    """In a graph, what no loss needs is not computed: the loops are not even run."""
    model = network((64, 96))

    @tf.function(autograph=False)
    def step(images):
        return model(images, training=True)["boxes"] is not None and tf.constant(0.0)

    graph = step.get_concrete_function(tf.TensorSpec((1, 64, 96, 3)))
    loops = [op for op in graph.graph.get_operations() if "While" in op.type]
    assert loops
    assert all(op.type == "StatelessWhile" for op in loops), "which TensorFlow may leave out"


def test_errors():
    for options, message in (
        ({"before": 0}, "`before` must be a whole number from 1, or two"),
        ({"after": (1, 2, 3)}, "`after` must be a whole number from 1, or two"),
        ({"iou_threshold": -1}, r"`iou_threshold` must be in 0..1"),
        ({"minimum_size": -1}, "`minimum_size` must be a number from 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Proposals(**options)
    logits, offsets, anchors, image = inputs_of()
    with pytest.raises(
        ValueError, match="as many levels of `objectness` as of `offsets`.* 2 and 1"
    ):
        Proposals()([[logits, logits], [offsets], anchors, image])
    for options, message in (
        ({"iou_threshold": 2}, r"`iou_threshold` must be in 0..1"),
        ({"most": 0}, "`most` must be a whole number from 1"),
        ({"candidates": 1.5}, "`candidates` must be a whole number from 1"),
    ):
        with pytest.raises(ValueError, match=message):
            Detections(**options)
