"""What single-shot detectors learn from, against loops over anchors and objects."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.models.detection.single_shot import SingleShotDetector, single_shot_network
from kvision.ops import boxes as box_ops
from kvision.ops.anchors import ssdlite_shapes

CLASSES = 3
random = np.random.default_rng(0)


@pytest.fixture(scope="module")
def detector():
    """The smallest one: a few convolutions, maps of 8x8, 4x4 and 2x2 positions."""
    image = keras.Input((64, 64, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    maps = []
    for strides in (4, 2, 2, 2):
        x = keras.layers.Conv2D(
            16, 2 * strides - 1, strides, "same", activation="relu", kernel_initializer="he_normal"
        )(x)
        maps.append(x)
    network = single_shot_network(
        image,
        maps[1:],
        ssdlite_shapes(3, (64, 64)),
        CLASSES,
        lambda x, filters, name, bias: keras.layers.Conv2D(
            filters, 1, bias_initializer=bias, name=name
        )(x),
        variances=box_ops.VARIANCES,
        detections={"most": 20},
        name="smallest",
    )
    return SingleShotDetector(network)


def anchors_of(detector):
    return np.asarray(detector(np.zeros((1, 64, 64, 3), "float32"))["raw"]["anchors"])


def truth_of(boxes, classes, **flags):
    """Truths of pictures with different numbers of objects, padded."""
    most = max((len(rows) for rows in boxes), default=0)
    truth = {
        "boxes": np.zeros((len(boxes), most, 4), "float32"),
        "classes": np.full((len(boxes), most), -1, "int32"),
        "crowd": np.zeros((len(boxes), most), bool),
        "difficult": np.zeros((len(boxes), most), bool),
    }
    for picture, rows in enumerate(boxes):
        truth["boxes"][picture, : len(rows)] = np.reshape(rows, (-1, 4))
        truth["classes"][picture, : len(rows)] = classes[picture]
        for key, values in flags.items():
            truth[key][picture, : len(rows)] = values[picture]
    return truth


def some_truth():
    boxes = [
        [[0.1, 0.1, 0.5, 0.4], [0.05, 0.03, 0.95, 0.9], [0.02, 0.7, 0.1, 0.8]],
        [],
        [[0.3, 0.3, 0.7, 0.7]],
    ]
    return truth_of(boxes, [[0, 2, 1], [], [1]])


def outputs_of(anchors, pictures, seed=1):
    random = np.random.default_rng(seed)
    rows = (pictures, len(anchors))
    return {
        "raw": {
            "offsets": random.normal(0, 1, (*rows, 4)).astype("float32"),
            "logits": random.normal(0, 2, (*rows, CLASSES + 1)).astype("float32"),
            "anchors": anchors,
        }
    }


def perfect_outputs(anchors, truth):
    """What a network would say that knows it all, from each anchor's best object."""
    outputs = outputs_of(anchors, len(truth["boxes"]))
    for picture in range(len(truth["boxes"])):
        index, positive, _ = matched(anchors, truth, picture)
        logits = np.full((len(anchors), CLASSES + 1), -100.0, "float32")
        for anchor in range(len(anchors)):
            column = truth["classes"][picture, index[anchor]] + 1 if positive[anchor] else 0
            logits[anchor, column] = 100
            if positive[anchor]:
                code = encoded(truth["boxes"][picture, index[anchor]], anchors[anchor])
                outputs["raw"]["offsets"][picture, anchor] = code
        outputs["raw"]["logits"][picture] = logits
    return outputs


def encoded(box, anchor):
    def centre(box):
        size = box[2:] - box[:2]
        return (box[:2] + box[2:]) / 2, size

    (middle, size), (anchor_middle, anchor_size) = centre(box), centre(anchor)
    move, scale = (middle - anchor_middle) / anchor_size, np.log(size / anchor_size)
    return np.concatenate([move / 0.1, scale / 0.2])


def overlap(box, other):
    corner = np.maximum(box[:2], other[:2])
    both = np.prod(np.maximum(np.minimum(box[2:], other[2:]) - corner, 0))
    areas = [np.prod(b[2:] - b[:2]) for b in (box, other)]
    return both, areas, both / (sum(areas) - both)


def matched(anchors, truth, picture, threshold=0.5):
    """SSD's rule: a best anchor for each object, then all that overlap by half."""
    boxes, classes = truth["boxes"][picture], truth["classes"][picture]
    unclear = truth["crowd"][picture] | truth["difficult"][picture]
    known = [i for i in range(len(boxes)) if classes[i] >= 0 and not unclear[i]]
    table = np.array([[overlap(a, boxes[i])[2] for i in known] for a in anchors])
    index, positive = np.zeros(len(anchors), int), np.zeros(len(anchors), bool)
    for anchor in range(len(anchors) if known else 0):
        best = int(table[anchor].argmax())
        index[anchor], positive[anchor] = known[best], table[anchor, best] >= threshold
    rest = table.copy()
    for _ in known:
        anchor, best = np.unravel_index(rest.argmax(), rest.shape)
        index[anchor], positive[anchor] = known[best], True
        rest[anchor], rest[:, best] = -1, -1
    left_out = np.zeros(len(anchors), bool)
    for anchor in range(len(anchors)):
        for i in np.flatnonzero((classes >= 0) & unclear):
            both, areas, _ = overlap(anchors[anchor], boxes[i])
            left_out[anchor] |= both / areas[0] >= 0.5 and not positive[anchor]
    return index, positive, left_out


def expected_losses(truth, outputs, negatives=3, threshold=0.5):
    raw = outputs["raw"]
    class_loss, box_loss, count = [], [], 0
    for picture in range(len(truth["boxes"])):
        index, positive, left_out = matched(raw["anchors"], truth, picture, threshold)
        logits = raw["logits"][picture].astype("float64")
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        count += positive.sum()
        hits = boxes = 0.0
        for anchor in np.flatnonzero(positive):
            hits -= logs[anchor, truth["classes"][picture, index[anchor]] + 1]
            code = encoded(truth["boxes"][picture, index[anchor]], raw["anchors"][anchor])
            d = np.abs(code - raw["offsets"][picture, anchor])
            boxes += np.where(d < 1, d * d / 2, d - 0.5).sum()
        background = np.sort(-logs[~positive & ~left_out, 0])[::-1]
        class_loss.append(hits + background[: max(negatives * positive.sum(), negatives)].sum())
        box_loss.append(boxes)
    scale = len(class_loss) / max(count, 1)
    return np.array(class_loss) * scale, np.array(box_loss) * scale


def losses(detector, truth, outputs):
    found = detector.losses_of(truth, outputs)
    assert list(found) == list(detector.loss_names) == ["class_loss", "box_loss"]
    return [np.asarray(values) for values in found.values()]


def test_losses_are_those_of_the_loops(detector):
    truth, anchors = some_truth(), anchors_of(detector)
    outputs = outputs_of(anchors, 3)
    expected = expected_losses(truth, outputs)
    for found, values in zip(losses(detector, truth, outputs), expected, strict=True):
        assert found.shape == (3,)
        np.testing.assert_allclose(found, values, rtol=1e-4)
    assert expected[0][1] > 0, "the picture without objects must teach something"
    assert expected[1][1] == 0


def test_their_mean_is_the_papers_sum_over_n(detector):
    """Averaged over pictures as Keras does, it is the sum of all losses by all positives."""
    truth, anchors = some_truth(), anchors_of(detector)
    outputs = outputs_of(anchors, 3)
    positives = sum(matched(anchors, truth, picture)[1].sum() for picture in range(3))
    total = 0.0
    for picture in range(3):
        single = {key: values[picture : picture + 1] for key, values in truth.items()}
        raw = {key: values[picture : picture + 1] for key, values in outputs["raw"].items()}
        parts = losses(detector, single, {"raw": {**raw, "anchors": anchors}})
        total += sum(parts) * max(matched(anchors, truth, picture)[1].sum(), 1)
    mean = np.mean(sum(losses(detector, truth, outputs)))
    np.testing.assert_allclose(mean, total[0] / positives, rtol=1e-4)


def test_zero_at_the_truth(detector):
    truth, anchors = some_truth(), anchors_of(detector)
    for values in losses(detector, truth, perfect_outputs(anchors, truth)):
        np.testing.assert_allclose(values, 0.0, atol=1e-5)


@pytest.mark.parametrize("objects", [0, 2])
def test_pictures_without_objects_have_finite_losses_and_gradients(detector, objects):
    anchors = anchors_of(detector)
    truth = truth_of([np.zeros((objects, 4))] * 2, [np.full(objects, -1)] * 2)
    assert truth["boxes"].shape == (2, objects, 4)
    offsets, logits = (tf.constant(outputs_of(anchors, 2)["raw"][k]) for k in ("offsets", "logits"))
    with tf.GradientTape() as tape:
        tape.watch([offsets, logits])
        raw = {"offsets": offsets, "logits": logits, "anchors": anchors}
        parts = detector.losses_of(truth, {"raw": raw})
        total = tf.reduce_mean(sum(parts.values()))
    slopes = tape.gradient(total, [offsets, logits], unconnected_gradients="zero")
    assert np.all(np.asarray(parts["class_loss"]) > 0)
    assert np.all(np.asarray(parts["box_loss"]) == 0)
    assert np.isfinite(slopes[0]).all()
    assert np.isfinite(slopes[1]).all()
    # Three negatives a picture learn, and nothing else.
    assert (np.abs(slopes[1]).sum(-1) > 0).sum(-1).tolist() == [3, 3]
    assert not np.any(slopes[0])


def test_the_order_of_objects_and_padding_change_nothing(detector):
    truth, anchors = some_truth(), anchors_of(detector)
    outputs = outputs_of(anchors, 3)
    order = [2, 0, 1]
    turned = {key: values[:, order] for key, values in truth.items()}
    longer = {
        key: np.concatenate([values, np.zeros_like(values[:, :2])], axis=1)
        for key, values in truth.items()
    }
    longer["classes"][:, 3:] = -1
    for other in (turned, longer):
        for a, b in zip(
            losses(detector, truth, outputs), losses(detector, other, outputs), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_crowds_and_difficult_objects_are_neither_learned_nor_background(detector, flag):
    anchors = anchors_of(detector)
    boxes = [[[0.1, 0.1, 0.5, 0.4], [0.3, 0.2, 1.0, 1.0]], [[0.2, 0.1, 0.9, 0.8]]]
    truth = truth_of(boxes, [[0, 2], [1]], **{flag: [[False, True], [True]]})
    outputs = outputs_of(anchors, 2)
    expected = expected_losses(truth, outputs)
    for found, values in zip(losses(detector, truth, outputs), expected, strict=True):
        np.testing.assert_allclose(found, values, rtol=1e-4)
    # Whatever is said of an anchor on the crowd, it costs nothing.
    _, positive, left_out = matched(anchors, truth, 0)
    assert left_out.sum() > 5
    assert positive.any()
    outputs["raw"]["logits"][0, left_out] = [-50.0, 50.0, 0.0, 0.0]
    again = losses(detector, truth, outputs)
    np.testing.assert_allclose(again[0], expected[0], rtol=1e-4)


def test_truth_may_lack_crowd_and_difficult(detector):
    truth, outputs = some_truth(), outputs_of(anchors_of(detector), 3)
    few = {key: truth[key] for key in ("boxes", "classes")}
    assert np.array_equal(losses(detector, few, outputs), losses(detector, truth, outputs))


def test_options_change_what_is_learned(detector):
    truth, anchors = some_truth(), anchors_of(detector)
    outputs = outputs_of(anchors, 3)
    plain = losses(detector, truth, outputs)
    heavy = losses(SingleShotDetector(detector.network, box_weight=2.5), truth, outputs)
    np.testing.assert_allclose(heavy[1], 2.5 * plain[1], rtol=1e-6)
    np.testing.assert_allclose(heavy[0], plain[0], rtol=1e-6)
    few = losses(SingleShotDetector(detector.network, negatives=1.0), truth, outputs)
    np.testing.assert_allclose(few, expected_losses(truth, outputs, negatives=1), rtol=1e-4)
    easy = losses(SingleShotDetector(detector.network, matching_iou=0.3), truth, outputs)
    np.testing.assert_allclose(easy, expected_losses(truth, outputs, threshold=0.3), rtol=1e-4)
    counts = [matched(anchors, truth, 0, threshold)[1].sum() for threshold in (1.0, 0.5, 0.3)]
    assert counts[0] < counts[1] < counts[2], "the three thresholds say the same: empty"
    coded = SingleShotDetector(detector.network, variances=(1.0, 1.0, 1.0, 1.0))
    assert losses(coded, truth, outputs)[1][0] < plain[1][0]


def test_focal_loss_counts_every_negative(detector):
    truth, anchors = some_truth(), anchors_of(detector)
    outputs = outputs_of(anchors, 3)
    focal = SingleShotDetector(detector.network, focal_gamma=2.0)
    positives, expected = 0, np.zeros(3)
    for picture in range(3):
        index, positive, _ = matched(anchors, truth, picture)
        logits = outputs["raw"]["logits"][picture].astype("float64")
        share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        classes = np.append(truth["classes"][picture], -1)
        labels = np.where(positive, classes[index] + 1, 0)
        p = share[np.arange(len(labels)), labels]
        expected[picture] = np.sum(-np.log(p) * (1 - p) ** 2)
        positives += positive.sum()
    found = losses(focal, truth, outputs)
    np.testing.assert_allclose(found[0], expected * 3 / positives, rtol=1e-4)
    np.testing.assert_allclose(found[1], losses(detector, truth, outputs)[1], rtol=1e-6)


def test_targets_are_about_as_large_as_one(detector):
    """The variances bring the code of boxes that match to a common scale."""
    anchors = anchors_of(detector)
    corners = random.uniform(0, 0.6, (4000, 2))
    sizes = random.uniform(0.15, 0.4, (4000, 2))
    boxes = np.concatenate([corners, corners + sizes], axis=-1).astype("float32")
    iou = np.asarray(box_ops.iou(anchors, boxes))
    pairs = np.argwhere(iou >= 0.5)
    code = np.asarray(box_ops.encode(boxes[pairs[:, 1]], anchors[pairs[:, 0]], detector.variances))
    assert len(pairs) > 300
    assert np.all((code.std(axis=0) > 0.4) & (code.std(axis=0) < 2.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matching_iou": 0.0}, "`matching_iou` must be in 0..1.*matching_iou=0.0"),
        ({"negatives": -1}, "numbers from 0.*negatives=-1"),
        ({"box_weight": -1.0}, "box_weight=-1.0"),
        ({"focal_gamma": -2.0}, "`focal_gamma` must be a number from 0. Received: -2.0"),
    ],
)
def test_wrong_options(detector, options, message):
    with pytest.raises(ValueError, match=message):
        SingleShotDetector(detector.network, **options)


def test_losses_are_seen_one_by_one_in_fit(detector):
    images = random.uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    model = SingleShotDetector.from_config(detector.get_config())
    model.compile(keras.optimizers.Adam(2e-3))
    dataset = tf.data.Dataset.from_tensor_slices((images, some_truth())).batch(3)
    history = model.fit(dataset, epochs=12, verbose=0).history
    assert {"loss", "class_loss", "box_loss"} <= set(history)
    for key in ("loss", "class_loss", "box_loss"):
        assert history[key][-1] < 0.7 * history[key][0], key
    sums = np.add(history["class_loss"], history["box_loss"])
    np.testing.assert_allclose(history["loss"], sums, rtol=1e-4)
