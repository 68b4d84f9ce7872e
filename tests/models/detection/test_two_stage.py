"""What detectors of two stages learn from: samples of anchors and regions, and their targets."""

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.models.detection import two_stage

TINY = kv.model_info("FasterRCNN").tiny
OBJECTS = np.array([[0.1, 0.1, 0.5, 0.4], [0.4, 0.5, 0.8, 0.9]], "float32")


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def truth_of(boxes, classes, **more):
    boxes = np.array(boxes, "float32").reshape(1, -1, 4)
    classes = np.array(classes, "int32").reshape(1, -1)
    return {"boxes": boxes, "classes": classes} | {k: np.array([v]) for k, v in more.items()}


@pytest.fixture(scope="module")
def fast():
    return kv.models.FastRCNN(**kv.model_info("FastRCNN").tiny)


@pytest.fixture(scope="module")
def faster():
    return kv.models.FasterRCNN(**TINY)


def sampled(model, proposals, truth):
    proposals = np.array(proposals, "float32").reshape(1, -1, 4)
    sample = model.sample_regions(proposals, two_stage.completed(truth))
    return {key: numbers(value)[0] for key, value in sample.items()}


def near(box, overlap):
    """A box below another that overlaps it by so much."""
    top, left, bottom, right = box
    shift = (bottom - top) * (1 - overlap) / (1 + overlap)
    return [top + shift, left, bottom + shift, right]


def test_regions_are_objects_background_or_neither(fast):
    box = OBJECTS[0]
    proposals = [near(box, 0.55), near(box, 0.45), near(box, 0.12), near(box, 0.05), [0, 0, 0, 0]]
    sample = sampled(fast, proposals, truth_of(box, [2]))
    assert sample["boxes"].shape == (fast.regions, 4)
    chosen = sample["state"] >= 0
    # The object itself is a region too.
    assert sorted(sample["labels"][chosen].tolist()) == [0, 0, 3, 3]
    found = {tuple(row) for row in sample["boxes"][chosen].round(4).tolist()}
    wanted = np.array([*proposals[:3], box], "float32").round(4)
    assert found == {tuple(row) for row in wanted.tolist()}
    assert (sample["labels"][~chosen] == 0).all()


def test_objects_come_first_and_are_a_quarter_at_most(fast):
    many = np.concatenate([[near(OBJECTS[0], 0.9)] * 40, [near(OBJECTS[0], 0.3)] * 100])
    sample = sampled(fast, many, truth_of(OBJECTS[0], [0]))
    assert fast.regions == 64
    assert sample["state"].tolist() == [1] * 16 + [0] * 48


def test_samples_are_drawn_anew(fast):
    boxes = [near(OBJECTS[0], overlap) for overlap in np.linspace(0.11, 0.49, 200)]
    first, second = (sampled(fast, boxes, truth_of(OBJECTS[0], [0])) for _ in range(2))
    assert not np.array_equal(first["boxes"], second["boxes"])


def test_without_objects_any_region_is_background(fast):
    truth = truth_of(np.zeros((0, 4)), [])
    sample = sampled(fast, [[0.1, 0.1, 0.3, 0.3], [0, 0, 0, 0]], truth)
    assert (sample["state"] == 0).sum() == 1
    assert (sample["state"] == 1).sum() == 0
    padded = sampled(fast, [[0.1, 0.1, 0.3, 0.3], [0, 0, 0, 0]], truth_of([[0] * 4], [-1]))
    np.testing.assert_array_equal(padded["state"], sample["state"])


@pytest.mark.parametrize("mark", ["crowd", "difficult"])
def test_what_lies_on_crowds_and_difficult_objects_is_left_out(fast, mark):
    inside = [0.2, 0.15, 0.4, 0.3]
    away = [0.6, 0.1, 0.9, 0.4]
    truth = truth_of(OBJECTS, [0, 1], **{mark: [True, False]})
    sample = sampled(fast, [OBJECTS[0], inside, away, near(OBJECTS[1], 0.3)], truth)
    chosen = sample["boxes"][sample["state"] >= 0].round(4).tolist()
    assert sorted(sample["labels"][sample["state"] >= 0].tolist()) == [0, 2]
    assert np.array(inside, "float32").round(4).tolist() not in chosen
    clear = sampled(fast, [inside], truth_of(OBJECTS[:1], [0]))
    assert (clear["state"] >= 0).sum() == 2  # of a clear object it is background, from IoU 0.1 on


def test_a_region_a_tenth_too_low_has_a_target_of_one(fast):
    """The targets' scale: the paper's standard deviations 0.1, 0.1, 0.2, 0.2."""
    region = OBJECTS[0] + np.array([0.04, 0, 0.04, 0], "float32")  # its height is 0.4
    sample = {
        "boxes": region[None, None],
        "state": np.array([[1]]),
        "index": np.array([[0]]),
        "labels": np.array([[2]]),
    }
    logits, offsets = np.zeros((1, 1, 5), "float32"), np.zeros((1, 1, 5, 4), "float32")
    offsets[0, 0, [0, 1, 3, 4]] = 7.0  # those of other classes do not count

    def losses():
        answers = {"logits": logits, "offsets": offsets.reshape(1, 1, 20)}
        truth = two_stage.completed(truth_of(OBJECTS[0], [1]))
        return {k: float(v[0]) for k, v in fast.region_losses(truth, sample, 0, answers, 0).items()}

    assert losses()["class_loss"] == pytest.approx(np.log(5))
    assert losses()["box_loss"] == pytest.approx(0.5, abs=1e-5)
    offsets[0, 0, 2] = [-1.0, 0.0, 0.0, 0.0]
    assert losses()["box_loss"] == pytest.approx(0.0, abs=1e-6)
    offsets[0, 0, 2] = [-1.0, 0.0, np.log(2) / 0.2, 0.0]
    assert losses()["box_loss"] == pytest.approx(np.log(2) / 0.2 - 0.5, abs=1e-5)


ANCHORS = np.array(
    [near(OBJECTS[0], 0.8), near(OBJECTS[0], 0.5), near(OBJECTS[1], 0.4), [0, 0.8, 0.2, 1.0]],
    "float32",
)


def proposing(model, truth, logits=None, offsets=None, anchors=ANCHORS):
    raw = {
        "anchors": anchors,
        "rpn_logits": np.zeros((1, len(anchors), 2), "float32") if logits is None else logits,
        "rpn_offsets": np.zeros((1, len(anchors), 4), "float32") if offsets is None else offsets,
    }
    losses = model.proposal_losses(two_stage.completed(truth), raw)
    return {key: float(value[0]) for key, value in losses.items()}


def test_proposals_lose_nothing_at_the_truth(faster):
    truth = truth_of(OBJECTS, [0, 3])
    offsets = numbers(kv.ops.boxes.encode(OBJECTS[[0, 0, 1, 1]], ANCHORS, (1, 1, 1, 1)))
    offsets[[1, 3]] = 5.0  # neither object nor background, and background
    # The first overlaps by 0.7, the third is the second object's best.
    logits = np.array([[[-50, 50], [50, -50], [-50, 50], [50, -50]]], "float32")
    found = proposing(faster, truth, logits, offsets[None])
    assert found["rpn_class_loss"] == pytest.approx(0.0, abs=1e-6)
    assert found["rpn_box_loss"] == pytest.approx(0.0, abs=1e-6)
    wrong = logits.copy()
    wrong[0, 1] = [-50, 50]
    assert proposing(faster, truth, wrong)["rpn_class_loss"] == pytest.approx(0.0, abs=1e-6)
    for place in (0, 2, 3):
        wrong = logits.copy()
        wrong[0, place] *= -1
        assert proposing(faster, truth, wrong)["rpn_class_loss"] == pytest.approx(100 / 3)


def test_proposals_turn_from_square_to_straight_at_a_ninth(faster):
    offsets = numbers(kv.ops.boxes.encode(OBJECTS[[0, 0, 1, 1]], ANCHORS, (1, 1, 1, 1)))
    offsets[0, 0] += 0.1
    offsets[2, 3] += 0.5
    found = proposing(faster, truth_of(OBJECTS, [0, 3]), offsets=offsets[None])["rpn_box_loss"]
    assert found == pytest.approx((0.5 * 9 * 0.1**2 + 0.5 - 0.5 / 9) / 3, rel=1e-4)


def test_anchors_across_the_edge_are_left_out_or_not(faster):
    across = ANCHORS.copy()
    across[0, 0] = -0.1
    logits = np.zeros((1, 4, 2), "float32")
    logits[0, 0] = [9.0, 0.0]
    truth = truth_of(OBJECTS, [0, 3])
    assert faster.inside
    assert proposing(faster, truth, logits, anchors=across)["rpn_class_loss"] == pytest.approx(
        np.log(2), rel=1e-5
    )
    pyramid = two_stage.TwoStageDetector(faster.network, inside=False)
    assert proposing(pyramid, truth, logits, anchors=across)["rpn_class_loss"] > 1.0


def test_pictures_without_objects_are_all_background(faster):
    empty = truth_of(np.zeros((0, 4)), [])
    assert proposing(faster, empty) == {
        "rpn_class_loss": pytest.approx(np.log(2), rel=1e-5),
        "rpn_box_loss": 0.0,
    }


def test_anchors_on_crowds_are_left_out(faster):
    truth = truth_of(OBJECTS, [0, 3], crowd=[True, False])
    logits = np.zeros((1, 4, 2), "float32")
    logits[0, :2] = 77.0, 0.0
    assert proposing(faster, truth, logits)["rpn_class_loss"] == pytest.approx(np.log(2), rel=1e-5)


def test_order_of_objects_changes_nothing(faster):
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    boxes = [*OBJECTS, [0.1, 0.6, 0.4, 0.9]]
    # All anchors and regions count: nothing is left to chance.
    model = two_stage.TwoStageDetector(faster.network, anchors=10**4, regions=200)
    outputs = model(images)
    first = model.losses_of(truth_of(boxes, [0, 3, 1]), outputs)
    second = model.losses_of(truth_of(boxes[::-1], [1, 3, 0]), outputs)
    padded = model.losses_of(truth_of([*boxes, [0] * 4], [0, 3, 1, -1]), outputs)
    assert float(first["box_loss"][0]) > 0
    for key, value in first.items():
        np.testing.assert_allclose(value, second[key], rtol=1e-5)
        np.testing.assert_allclose(value, padded[key], rtol=1e-5)


def test_gradients_are_finite_without_objects(faster):
    tf = pytest.importorskip("tensorflow")
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    truth = {"boxes": np.zeros((2, 0, 4), "float32"), "classes": np.zeros((2, 0), "int32")}
    with tf.GradientTape() as tape:
        losses = faster.losses_of(truth, faster(images, training=True))
        total = sum(tf.reduce_mean(loss) for loss in losses.values())
    assert float(losses["box_loss"][0]) == 0.0
    gradients = tape.gradient(total, faster.trainable_weights)
    assert all(np.isfinite(numbers(g)).all() for g in gradients if g is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": 0}, "`regions` must be"),
        ({"foreground": 0}, "`foreground` a share"),
        ({"region_iou": (0.3, 0.5)}, "`region_iou` must be two overlaps"),
        ({"anchors": 0}, "`anchors` must be"),
        ({"anchor_iou": (0.7,)}, "`anchor_iou` must be two overlaps"),
    ],
)
def test_options_that_cannot_be(faster, options, message):
    with pytest.raises(ValueError, match=message):
        two_stage.TwoStageDetector(faster.network, **options)


def test_hyperparameters_are_saved(faster, tmp_path):
    options = {
        "anchors": 99,
        "anchor_iou": [0.6, 0.2],
        "inside": True,
        "regions": 50,
        "foreground": 0.5,
        "region_iou": [0.6, 0.1],
    }
    model = two_stage.TwoStageDetector(faster.network, **options)
    model.save(tmp_path / "model.keras")
    config = keras.models.load_model(tmp_path / "model.keras").get_config()
    assert options.items() <= config.items()
