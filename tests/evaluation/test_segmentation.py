"""Scores of segmenters equal scikit-learn's, brute force's and those that `fit` logs."""

import itertools
import json

import keras
import numpy as np
import pytest
from sklearn import metrics

import kvision as kv
from kvision.ops.masks import VOID

CLASSES = 4
NAMES = ["sky", "cat", "dog", "tree"]


class Fixed:
    """A segmenter whose answers are its images."""

    def __init__(self, change=lambda images: images):
        self.change = change

    def predict(self, images, batch_size):
        assert batch_size == len(images)
        return self.change(images)


def examples(count=7, seed=0, absent=None):
    random = np.random.default_rng(seed)
    classes = [index for index in range(CLASSES) if index != absent]
    masks = random.choice(classes, (count, 3, 4, 1)).repeat(4, 1).repeat(4, 2).astype("uint8")
    scores = random.random((*masks.shape[:3], CLASSES)) + 0.6 * np.eye(CLASSES)[masks[..., 0]]
    if absent is not None:
        scores[..., absent] = -1
    masks[random.random(masks.shape) < 0.1] = VOID
    return scores.astype("float32"), masks


def in_batches(images, masks, size=3):
    return [(images[i : i + size], masks[i : i + size]) for i in range(0, len(images), size)]


@pytest.mark.parametrize("absent", [None, 2])
def test_agrees_with_scikit_learn(absent):
    scores, masks = examples(absent=absent)
    result = kv.evaluation.evaluate_segmenter(Fixed(), in_batches(scores, masks), NAMES)
    counted = masks[..., 0] != VOID
    truth, guess = masks[..., 0][counted], scores.argmax(-1)[counted]
    present = np.unique(truth)
    assert (result["images"], result["pixels"]) == (7, int(counted.sum()))
    np.testing.assert_array_equal(
        result["confusion"], metrics.confusion_matrix(truth, guess, labels=range(CLASSES))
    )
    assert result["mean_iou"] == pytest.approx(metrics.jaccard_score(truth, guess, average="macro"))
    assert result["pixel_accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    assert result["mean_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, guess))
    weighted = metrics.jaccard_score(truth, guess, average="weighted")
    assert result["frequency_weighted_iou"] == pytest.approx(weighted)
    rows = [row for row in result["per_class"] if row["pixels"]]
    options = {"labels": present, "average": None}
    for key, score in (
        ("iou", metrics.jaccard_score),
        ("accuracy", metrics.recall_score),
        ("precision", metrics.precision_score),
    ):
        assert [row[key] for row in rows] == pytest.approx(list(score(truth, guess, **options)))
    assert [row["pixels"] for row in rows] == np.bincount(truth)[present].tolist()
    if absent is not None:
        row = result["per_class"][absent]
        assert row.pop("name") == "dog"
        assert row.pop("pixels") == 0
        assert set(row.values()) == {None}
    json.dumps(result)


def test_agrees_with_the_metrics_of_fit():
    scores, masks = examples()
    model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Rescaling(2.0)])
    result = kv.evaluation.evaluate_segmenter(model, in_batches(scores, masks))
    assert [row["name"] for row in result["per_class"]] == ["0", "1", "2", "3"]
    for name in (
        "MeanIoU",
        "PixelAccuracy",
        "MeanAccuracy",
        "FrequencyWeightedIoU",
        "BoundaryF1",
    ):
        metric = getattr(kv.metrics, name)(CLASSES)
        metric.update_state(masks, scores)
        assert result[metric.name] == pytest.approx(float(metric.result()), rel=1e-5), name
    for tolerance in (1.5, 0.1):
        metric = kv.metrics.BoundaryF1(CLASSES, tolerance)
        metric.update_state(masks, scores)
        other = kv.evaluation.evaluate_segmenter(
            model, in_batches(scores, masks), boundary_tolerance=tolerance
        )
        assert other["boundary_f1"] == pytest.approx(float(metric.result()), rel=1e-5)
        assert other["boundary_f1"] > result["boundary_f1"]


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_labels_of_a_file_that_ends_in_the_arg_max(dtype):
    scores, masks = examples()
    labels = Fixed(lambda images: images.argmax(-1).astype(dtype)[..., None])
    flat = Fixed(lambda images: [images.argmax(-1)])
    expected = kv.evaluation.evaluate_segmenter(Fixed(), in_batches(scores, masks), NAMES)
    for model in (labels, flat):
        assert kv.evaluation.evaluate_segmenter(model, in_batches(scores, masks), NAMES) == expected
    with pytest.raises(ValueError, match="`class_names` must be given for a model that gives la"):
        kv.evaluation.evaluate_segmenter(labels, in_batches(scores, masks))


def test_weights_of_a_third_kind_are_left_out_and_tf_data_is_taken():
    import tensorflow as tf

    scores, masks = examples()
    triples = tf.data.Dataset.from_tensor_slices((scores, masks, np.zeros(masks.shape))).batch(3)
    expected = kv.evaluation.evaluate_segmenter(Fixed(), in_batches(scores, masks[..., 0]))
    assert kv.evaluation.evaluate_segmenter(Fixed(), triples) == expected


def test_valid_convolutions_are_scored_on_the_middle_when_asked():
    scores, masks = examples()
    smaller = Fixed(lambda images: images[:, 2:-2, 3:-3])
    with pytest.raises(ValueError, match=r"of \(8, 10\), masks of \(12, 16\).*crop_truth=True"):
        kv.evaluation.evaluate_segmenter(smaller, in_batches(scores, masks))
    result = kv.evaluation.evaluate_segmenter(smaller, in_batches(scores, masks), crop_truth=True)
    middle = in_batches(scores[:, 2:-2, 3:-3], masks[:, 2:-2, 3:-3])
    assert result == kv.evaluation.evaluate_segmenter(Fixed(), middle)
    for odd in (lambda images: images[:, 1:], lambda images: images.repeat(2, 1)):
        with pytest.raises(ValueError, match="by an even number of pixels"):
            kv.evaluation.evaluate_segmenter(Fixed(odd), in_batches(scores, masks), crop_truth=True)


def test_centre_crop():
    masks = np.arange(2 * 6 * 8 * 3).reshape(2, 6, 8, 3)
    np.testing.assert_array_equal(kv.ops.centre_crop(masks, (2, 8)), masks[:, 2:4])
    np.testing.assert_array_equal(kv.ops.centre_crop(masks[0], (6, 4)), masks[0][:, 2:6])
    tensor = kv.ops.centre_crop(keras.ops.convert_to_tensor(masks), (4, 4))
    np.testing.assert_array_equal(tensor, masks[:, 1:5, 2:6])
    for size in ((5, 8), (8, 8)):
        with pytest.raises(ValueError, match=r"Received: size=\(\d, 8\), masks of shape"):
            kv.ops.centre_crop(masks, size)


def test_without_boundaries():
    scores, masks = examples()
    batches = in_batches(scores, masks)
    result = kv.evaluation.evaluate_segmenter(Fixed(), batches, boundary_tolerance=None)
    assert result["boundary_f1"] is None
    assert {row["boundary_f1"] for row in result["per_class"]} == {None}
    with pytest.raises(ValueError, match="`boundary_tolerance` must be .*Received: -1"):
        kv.evaluation.evaluate_segmenter(Fixed(), batches, boundary_tolerance=-1)


def test_what_cannot_be_scored():
    scores, masks = examples()
    batches = in_batches(scores, masks)

    def evaluate(dataset=batches, names=None, change=lambda images: images, **options):
        return kv.evaluation.evaluate_segmenter(Fixed(change), dataset, names, **options)

    for names in (None, NAMES):
        with pytest.raises(ValueError, match="labelled pixels .*Received: an empty data set"):
            evaluate([], names)
    with pytest.raises(ValueError, match="masks of void only"):
        evaluate([(scores, np.full_like(masks, VOID))])
    with pytest.raises(ValueError, match=r"Labels must be 0 to 3 or 255 .*also: \[7\]"):
        evaluate([(scores, np.where(masks == 2, 7, masks))])
    with pytest.raises(ValueError, match=r"Labels must be 0 to 3 .*also: \[255\]"):
        evaluate(ignore_class=None)
    with pytest.raises(ValueError, match="each of the model's 4 classes, background included"):
        evaluate(names=NAMES[1:])
    with pytest.raises(ValueError, match="batches of .images, masks., masks of whole numbers"):
        evaluate([(scores, masks.astype("float32"))])
    with pytest.raises(ValueError, match="batches of .images, masks., masks of whole numbers"):
        evaluate([(scores, np.zeros((7,), int))])
    with pytest.raises(ValueError, match=r"one output. Received: \['fuse', 'side1'\]"):
        evaluate(change=lambda images: {"side1": images, "fuse": images})
    with pytest.raises(ValueError, match=r"`model` must give scores .*Received: \(3, 4\)"):
        evaluate(change=lambda images: images[:, 0, 0])
    with pytest.raises(ValueError, match="each of the model's 2 classes"):  # one score a pixel
        evaluate(names=NAMES, change=lambda images: images[..., :1] / 2)
    with pytest.raises(ValueError, match="Predicted labels must be 0 to 3, .*Received: 9 to 9"):
        evaluate(names=NAMES, change=lambda images: np.full_like(images[..., :1], 9))


def brute_force_rand(truth, predicted):
    """Arganda-Carreras's V over pairs of true foreground pixels, drawn with replacement."""

    def cells(mask):
        """Flood fill, so that nothing is shared with the implementation."""
        labels, count = np.zeros(mask.shape, int), 0
        for start in map(tuple, np.argwhere(mask)):
            stack, count = ([start], count + 1) if not labels[start] else ([], count)
            while stack:
                row, column = stack.pop()
                inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
                if inside and mask[row, column] and not labels[row, column]:
                    labels[row, column] = count
                    stack += [(row + 1, column), (row - 1, column)]
                    stack += [(row, column + 1), (row, column - 1)]
        return labels

    true_cells, found = cells(truth == 1), cells(predicted == 1)
    found = np.where(found, found, 1000 + np.arange(found.size).reshape(found.shape))
    points = np.argwhere(truth == 1)
    both = in_truth = in_prediction = 0
    for one, other in itertools.product(map(tuple, points), repeat=2):
        same, together = true_cells[one] == true_cells[other], found[one] == found[other]
        both, in_truth, in_prediction = (
            both + (same and together),
            in_truth + same,
            in_prediction + together,
        )
    return both / (0.5 * in_truth + 0.5 * in_prediction)


@pytest.mark.parametrize("seed", range(5))
def test_rand_score_counts_pairs(seed):
    random = np.random.default_rng(seed)
    truth = (random.random((8, 9)) < 0.7).astype(int)
    predicted = np.where(random.random(truth.shape) < 0.15, 1 - truth, truth)
    score = kv.evaluation.foreground_rand_score(truth, predicted[..., None], thin=False)
    assert score == pytest.approx(brute_force_rand(truth, predicted))
    assert 0 < score < 1


def cell_pictures():
    """Two cells of 10x9 pixels with a membrane of one pixel between them."""
    truth = np.ones((10, 19), int)
    truth[:, 9] = 0
    return truth, truth.copy(), truth.copy()


def test_rand_score_of_a_gap_and_of_a_thick_membrane():
    truth, gap, thick = cell_pictures()
    gap[5, 9] = 1  # one wrong pixel of 190 merges two equal cells
    thick[:, 7:12] = 0  # 40 wrong pixels, and both cells are there
    rand = kv.evaluation.foreground_rand_score
    assert rand(truth, truth) == 1
    assert rand(truth, gap) == pytest.approx(2 * 0.5 / (0.5 + 1))
    assert rand(truth, thick) == 1
    assert rand(truth, thick, thin=False) < 0.9
    # Membranes themselves do not count, whatever is predicted there.
    assert rand(255 * truth, 255 * thick, foreground=255) == 1
    assert rand(truth > 0, thick > 0) == 1
    # Nothing found: each pixel alone.
    assert rand(truth, np.zeros_like(truth)) == pytest.approx(2 * 180 / (2 * 90**2 + 180))


def test_rand_score_needs_masks_that_fit():
    truth, *_ = cell_pictures()
    with pytest.raises(ValueError, match=r"the same size. Received: \(10, 19\) and \(9, 19\)"):
        kv.evaluation.foreground_rand_score(truth, truth[1:])
    with pytest.raises(ValueError, match="Received none of 7"):
        kv.evaluation.foreground_rand_score(truth, truth, foreground=7)
    with pytest.raises(ValueError, match=r"`predicted_mask` must be of shape .*\(10, 19, 2\)"):
        kv.evaluation.foreground_rand_score(truth, np.stack([truth, truth], -1))
