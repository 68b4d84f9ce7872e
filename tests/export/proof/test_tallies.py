"""What a proof counts as right: of one score, of logits, of several labels, of masks."""

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.export.proof.class_tally import ClassTally
from kvision.export.proof.mask_tally import MaskTally

TRUTH = np.array([0, 1, 0, 1, 1, 0, 1, 1])
ONE = np.where(TRUTH, 0.9, 0.2).astype("float32")[:, None]
LOGITS = np.log(ONE / (1 - ONE))


def counted(wanted, received, labels, tally=ClassTally):
    tally = tally()
    for rows in (slice(0, 2), slice(2, None)):
        tally.add(wanted[rows], received[rows], np.asarray(labels)[rows])
    return tally


@pytest.mark.parametrize("labels", [TRUTH, TRUTH[:, None], TRUTH.astype("float32")])
@pytest.mark.parametrize("scores", [ONE, LOGITS], ids=["sigmoid", "logits"])
def test_one_score_is_right_or_wrong(scores, labels):
    inverted = 1 - scores if scores is ONE else -scores
    tally = counted(scores, inverted, labels)
    assert tally.metrics() == (1.0, 0.0)
    assert tally.agreement() == 0.0
    assert counted(scores, scores, labels).metrics() == (1.0, 1.0)


def test_every_label_of_several_counts():
    labels = np.stack([TRUTH, 1 - TRUTH, np.ones(8, int)], 1)
    scores = np.where(labels, 0.8, 0.3).astype("float32")
    one_wrong = scores.copy()
    one_wrong[2, 2] = 0.1  # of 24
    tally = counted(scores, one_wrong, labels)
    assert tally.metric == "accuracy of all labels"
    assert tally.metrics() == (1.0, pytest.approx(23 / 24))


def test_one_hot_labels_are_those_of_exclusive_classes():
    scores = np.eye(3, dtype="float32")[[0, 1, 2, 0]]
    one_hot, numbers = np.eye(3)[[0, 1, 2, 1]], np.array([0, 1, 2, 1])
    for labels in (one_hot, numbers, numbers[:, None]):
        tally = counted(scores, scores, labels)
        assert tally.metrics() == (0.75, 0.75)
        assert tally.metric == "top-1 accuracy"


def test_labels_that_do_not_fit_are_refused():
    scores = np.eye(3, dtype="float32")
    with pytest.raises(ValueError, match=r"Received: \(3, 2\)"):
        ClassTally().add(scores, scores, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="Labels must be 0 to 2. Received: 0 to 3"):
        counted(scores, scores, [0, 1, 3]).metrics()
    tally = ClassTally()
    tally.add(scores, scores, np.array([0, 1, 2]))
    tally.add(scores, scores, np.eye(3))
    with pytest.raises(ValueError, match="class numbers in all batches, or rows in all"):
        tally.metrics()
    with pytest.raises(ValueError, match="masks|Masks of 3 images"):
        MaskTally().add(np.zeros((3, 4, 4, 2)), np.zeros((3, 4, 4, 2)), np.zeros((3, 4, 4, 5)))


@pytest.mark.parametrize("scores", [ONE, LOGITS], ids=["sigmoid", "logits"])
def test_one_score_a_pixel(scores):
    maps = scores.reshape(8, 1, 1, 1) * np.ones((1, 2, 2, 1), "float32")
    masks = np.broadcast_to(TRUTH[:, None, None, None], maps.shape)
    inverted = 1 - maps if scores is ONE else -maps
    tally = counted(maps, inverted, masks, MaskTally)
    assert tally.metrics() == (1.0, 0.0)
    assert tally.agreement() == 0.0


def _binary(sign):
    image = keras.Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(1, "sigmoid", name="predictions")(x))
    model.layers[-1].set_weights([np.array([[20.0 * sign]]), np.array([-10.0 * sign])])
    return model


def test_an_inverted_file_fails(tmp_path):
    brightness = np.where(TRUTH, 220, 30)[:, None, None, None]
    images = np.broadcast_to(brightness, (8, 8, 8, 1)).astype("float32")
    path = kv.export.tflite(
        _binary(-1), tmp_path / "a.tflite", "int8", calibration=images, labels=["bright"]
    )
    report = kv.export.verify(_binary(1), path, [(images, TRUTH[:, None])])
    assert (report.passed, report.metric_model, report.metric_file) == (False, 1.0, 0.0)
    assert report.top1_agreement == 0.0
    assert not path.exists()
