import numpy as np
import pytest
from sklearn import metrics

import kvision as kv


class Fixed:
    """A classifier whose scores are given by the first pixels of the image."""

    def __init__(self, classes):
        self.classes = classes

    def predict(self, images, batch_size):
        return images.reshape(len(images), -1)[:, : self.classes]


def examples(count=200, classes=7, seed=0):
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(classes), count)
    labels = np.where(
        random.random(count) < 0.6, scores.argmax(1), random.integers(0, classes, count)
    )
    images = np.zeros((count, 1, classes, 1), "float32")
    images[:, 0, :, 0] = scores
    return images, labels


def in_batches(images, labels, size=33):
    return [(images[i : i + size], labels[i : i + size]) for i in range(0, len(images), size)]


def test_agrees_with_scikit_learn():
    images, labels = examples()
    result = kv.evaluation.evaluate_classifier(Fixed(7), in_batches(images, labels))
    scores = images[:, 0, :, 0]
    guesses = scores.argmax(1)
    assert result["samples"] == 200
    assert result["accuracy"] == pytest.approx(metrics.accuracy_score(labels, guesses))
    assert result["top_k_accuracy"] == pytest.approx(
        metrics.top_k_accuracy_score(labels, scores, k=5)
    )
    assert result["log_loss"] == pytest.approx(metrics.log_loss(labels, scores), rel=1e-5)
    np.testing.assert_array_equal(result["confusion"], metrics.confusion_matrix(labels, guesses))
    expected = metrics.precision_recall_fscore_support(labels, guesses)
    keys = ("precision", "recall", "f1", "samples")
    for key, values in zip(keys, expected, strict=True):
        assert [row[key] for row in result["per_class"]] == pytest.approx(list(values))


def test_an_absent_class_has_no_recall_rather_than_a_perfect_one():
    images, labels = examples()
    keep = labels != 3
    result = kv.evaluation.evaluate_classifier(Fixed(7), in_batches(images[keep], labels[keep]))
    assert result["per_class"][3]["recall"] is None
    assert result["per_class"][3]["samples"] == 0


def test_wilson_interval():
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    assert kv.evaluation.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert kv.evaluation.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    low, high = kv.evaluation.wilson_interval(360, 360)
    assert high == pytest.approx(1.0)
    assert low < 0.995


def test_errors():
    images, labels = examples()
    with pytest.raises(ValueError, match="empty data set"):
        kv.evaluation.evaluate_classifier(Fixed(7), [])
    with pytest.raises(ValueError, match="Labels must be 0 to 6"):
        kv.evaluation.evaluate_classifier(Fixed(7), in_batches(images, labels + 3))
    with pytest.raises(ValueError, match="one name for each of the model's 7 classes"):
        kv.evaluation.evaluate_classifier(Fixed(7), in_batches(images, labels), ["a", "b"])


class Given:
    """A model that gives what it was made with."""

    def __init__(self, scores):
        self.scores = np.asarray(scores, "float32")

    def predict(self, images, batch_size):
        return self.scores


def _scored(scores, labels, names=None):
    images = np.zeros((len(scores), 2, 2, 1))
    return kv.evaluation.evaluate_classifier(Given(scores), [(images, labels)], names)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [[0], [1], [2], [3]], np.eye(4)])
def test_labels_of_any_form(labels):
    result = _scored(np.eye(4), np.asarray(labels))
    assert result["accuracy"] == 1.0
    assert result["confusion"] == np.eye(4, dtype=int).tolist()


def test_logits_are_seen_and_converted():
    logits, labels = np.array([[2.0, -1, 0], [0, 3, -2], [1, 1, 4]]), np.array([0, 1, 0])
    powers = np.exp(logits)
    true = (powers / powers.sum(1, keepdims=True))[range(3), labels]
    result = _scored(logits, labels)
    assert result["log_loss"] == pytest.approx(-np.log(true).mean(), rel=1e-5)
    assert result["scores"] == "logits"
    assert _scored(powers / powers.sum(1, keepdims=True), labels)["scores"] == "probabilities"


def test_one_score_means_two_classes():
    result = _scored([[0.9], [0.2], [0.6]], np.array([[1], [0], [0]]), ["dog", "cat"])
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["confusion"] == [[1, 1], [0, 1]]
    assert [row["name"] for row in result["per_class"]] == ["dog", "cat"]


def test_several_labels():
    truth = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1]])
    result = _scored([[0.9, 0.8, 0.1], [0.2, 0.1, 0.4], [0.1, 0.3, 0.7]], truth)
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["label_accuracy"] == pytest.approx(8 / 9)
    assert [row["recall"] for row in result["per_class"]] == [1.0, 0.5, 1.0]
    assert result["confusion"] is None


def test_scores_that_cannot_be_judged():
    with pytest.raises(ValueError, match=r"finite scores of shape \(1, classes\).*1 not finite"):
        _scored([[np.nan, 1.0]], np.array([0]))
    with pytest.raises(ValueError, match=r"Received: \(1, 3\)"):
        _scored([[0.0, 1.0]], np.array([[0, 1, 0]]))
