"""Metrics of masks equal scikit-learn's and brute force, also where little is to be counted."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

import kvision as kv
from kvision.ops.masks import VOID

CLASSES = 5
COUNTED = ("MeanIoU", "PixelAccuracy", "MeanAccuracy", "FrequencyWeightedIoU")
ALL = (*COUNTED, "PerClassIoU", "BoundaryF1")


def example(seed=0, batch=4, absent=()):
    """Masks with void and scores that are often right; some classes are in neither."""
    random = np.random.default_rng(seed)
    classes = [index for index in range(CLASSES) if index not in absent]
    masks = random.choice(classes, (batch, 9, 11, 1)).astype("uint8")
    scores = random.random((batch, 9, 11, CLASSES))
    scores += 0.5 * np.eye(CLASSES)[masks[..., 0]]
    scores[..., list(absent)] = -1
    masks[random.random(masks.shape) < 0.2] = VOID
    return masks, scores.astype("float32")


def blobs(seed=0, batch=3, size=(24, 31)):
    """Smooth regions, so that boundaries are lines, and a prediction that strays a little."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    masks = np.zeros((batch, *size, 1), "uint8")
    guesses = np.zeros((batch, *size, 1), "int32")
    for mask, guess in zip(masks[..., 0], guesses[..., 0], strict=True):
        for _ in range(5):
            index, radius = random.integers(0, CLASSES - 1), random.uniform(3, 9)
            row, column = random.uniform(0, size[0]), random.uniform(0, size[1])
            mask[np.hypot(y - row, x - column) < radius] = index
            row, column = row + random.normal(0, 1.5), column + random.normal(0, 1.5)
            guess[np.hypot(y - row, x - column) < radius] = index
    masks[random.random(masks.shape) < 0.02] = VOID
    return masks, guesses


def make(metric, **options):
    return getattr(kv.metrics, metric)(CLASSES, **options)


def value(metric, *batch):
    metric.update_state(*batch)
    result = metric.result()
    return list(map(float, result.values())) if isinstance(result, dict) else float(result)


def scikit_learns(masks, scores, weights=None):
    """The same scores by scikit-learn over the classes that occur."""
    counted = masks[..., 0] != VOID
    truth, guess = masks[..., 0][counted], scores.argmax(-1)[counted]
    options = {"sample_weight": None if weights is None else weights[..., 0][counted]}
    either, present = np.union1d(truth, guess), np.unique(truth)
    jaccard = metrics.jaccard_score(truth, guess, labels=either, average=None, **options)
    by_class = np.full(CLASSES, np.nan)
    by_class[either] = jaccard
    recall = metrics.recall_score(truth, guess, labels=present, average="macro", **options)
    return {
        "MeanIoU": jaccard.mean(),
        "PixelAccuracy": metrics.accuracy_score(truth, guess, **options),
        "MeanAccuracy": recall,
        "FrequencyWeightedIoU": metrics.jaccard_score(
            truth, guess, average="weighted", labels=present, **options
        ),
        "PerClassIoU": by_class,
    }


@pytest.mark.parametrize("absent", [(), (2,), (0, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(absent, weighted):
    masks, scores = example(absent=absent)
    weights = np.random.default_rng(1).random(masks.shape) if weighted else None
    for name, expected in scikit_learns(masks, scores, weights).items():
        metric = make(name)
        for part in (slice(0, 3), slice(3, 4)):  # over all pixels, not a mean over batches
            share = None if weights is None else weights[part]
            result = value(metric, masks[part], scores[part], share)
        np.testing.assert_allclose(result, expected, rtol=1e-5, err_msg=name)
        metric.reset_state()
        labels = scores.argmax(-1).astype("int64")
        for guess in (scores - 7.0, labels, labels[..., None].astype("uint8")):
            metric.reset_state()
            np.testing.assert_allclose(value(metric, masks[..., 0], guess, weights), expected, 1e-5)


def test_a_class_only_in_a_prediction_counts_as_zero():
    truth, guess = np.zeros((1, 1, 4), int), np.array([[[0, 0, 0, 3]]])
    assert value(make("MeanIoU"), truth, guess) == pytest.approx((0.75 + 0) / 2)
    assert value(make("MeanAccuracy"), truth, guess) == pytest.approx(0.75)
    by_class = value(make("PerClassIoU"), truth, guess)
    np.testing.assert_allclose(by_class, [0.75, np.nan, np.nan, 0.0, np.nan])


def test_a_predicted_label_that_is_no_class_is_a_mistake():
    truth, guess = np.array([[[0, 0, 1, 1]]]), np.array([[[0, 255, 1, -1]]])
    assert value(make("MeanIoU"), truth, guess) == pytest.approx(0.5)
    assert value(make("PixelAccuracy"), truth, guess) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ALL)
def test_all_void_then_a_reset(name):
    masks, scores = example()
    metric = make(name)
    nothing = value(metric, np.full_like(masks, VOID), scores)
    np.testing.assert_array_equal(nothing, [np.nan] * CLASSES if name == "PerClassIoU" else 0.0)
    first = value(metric, masks, scores)
    assert np.nanmax(first) > 0
    metric.reset_state()
    np.testing.assert_array_equal(value(metric, masks, scores), first)


@pytest.mark.parametrize("name", ALL)
def test_an_unknown_label_is_seen(name):
    masks, scores = example()
    masks[0, 0, 0] = 77
    assert np.isnan(value(make(name), masks, scores)).all()
    assert np.isfinite(np.nanmax(value(make(name, ignore_class=77), np.minimum(masks, 77), scores)))


@pytest.mark.parametrize("name", ALL)
def test_another_ignored_class_and_none(name):
    masks, scores = example()
    full = np.where(masks == VOID, 1, masks)
    renamed = np.where(full == 1, VOID, full)
    np.testing.assert_allclose(
        value(make(name, ignore_class=1), full, scores), value(make(name), renamed, scores)
    )
    np.testing.assert_allclose(
        value(make(name, ignore_class=None), full, scores), value(make(name), full, scores)
    )


def test_counts_stay_exact_beyond_single_precision():
    # In float32 alone, 2 ** 24 + 1 is 2 ** 24: single pixels would be lost.
    metric = kv.metrics.PixelAccuracy(2)
    metric.low.assign([[2.0**20 - 1, 0, 0], [0, 0, 0], [0, 0, 0]])
    metric.high.assign([[64, 0, 0], [0, 0, 0], [0, 0, 0]])
    before = 2**26 + 2**20 - 1
    for _ in range(3):
        metric.update_state(np.array([[[0, 1, 1]]]), np.array([[[0, 0, 0]]]))
    low, high = np.asarray(metric.low, "int64"), np.asarray(metric.high, "int64")
    assert (low + high * 2**20)[:2, :2].tolist() == [[before + 3, 0], [6, 0]]
    assert low.max() < 2**20


def brute_force_boundary_f1(truth, guess, tolerance):
    """Each boundary pixel against each other, image by image, class by class."""

    def boundary(labels, index):
        points = []
        for row, column in np.argwhere(labels == index):
            window = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            if (window != index).any():
                points.append((row, column))
        return np.array(points, float).reshape(-1, 2)

    def near(points, others):
        distances = np.linalg.norm(points[:, None] - others[None], axis=-1)
        return (distances.min(1) <= tolerance).mean() if len(points) and len(others) else 0.0

    scores = {}
    for mask, labels in zip(truth[..., 0].astype(int), guess[..., 0], strict=True):
        labels = np.where(mask == VOID, VOID, labels)
        for index in range(CLASSES):
            true, guessed = boundary(mask, index), boundary(labels, index)
            if len(true) + len(guessed):
                precision, recall = near(guessed, true), near(true, guessed)
                both = precision + recall
                score = 2 * precision * recall / both if both else 0.0
                scores.setdefault(index, []).append(score)
    return np.mean([np.mean(values) for values in scores.values()])


@pytest.mark.parametrize("tolerance", [0.0, 0.03, 1, 2.3])
def test_boundary_f1_is_brute_force(tolerance):
    masks, guesses = blobs()
    pixels = tolerance * np.hypot(24, 31) if tolerance < 1 else tolerance
    expected = brute_force_boundary_f1(masks, guesses, pixels)
    assert 0.05 < expected < 0.98
    metric = make("BoundaryF1", tolerance=tolerance)
    metric.update_state(masks[:2], guesses[:2])
    assert value(metric, masks[2:], guesses[2:]) == pytest.approx(expected, rel=1e-5)


def test_boundary_f1_of_a_shift_and_of_the_picture_edge():
    truth, guess = np.zeros((2, 1, 20, 30), int)
    truth[0, 5:15, 5:15] = 1
    guess[0, 5:15, 8:18] = 1
    near, far = (
        value(kv.metrics.BoundaryF1(2, tolerance=pixels), truth, guess) for pixels in (2, 3)
    )
    assert near < 0.9
    assert far == 1.0
    # A class that fills the picture has no boundary: the edge of the picture is none.
    assert value(kv.metrics.BoundaryF1(2), np.ones((1, 8, 8), int), np.ones((1, 8, 8), int)) == 0


def test_boundary_f1_weighs_images_only():
    masks, guesses = blobs()
    twice = make("BoundaryF1")
    twice.update_state(masks[:1], guesses[:1])
    twice.update_state(masks[:2], guesses[:2])
    weighed = value(make("BoundaryF1"), masks, guesses, np.array([2.0, 1.0, 0.0]))
    assert weighed == pytest.approx(float(twice.result()), rel=1e-5)
    with pytest.raises(ValueError, match="must be of images.*not in `weighted_metrics`"):
        make("BoundaryF1").update_state(masks, guesses, np.ones(masks.shape))


def test_boundary_f1_of_pictures_of_unknown_size():
    metrics_ = [make("BoundaryF1", tolerance=pixels) for pixels in (2, 0.01)]
    masks, guesses = blobs()
    any_size = tf.TensorSpec((None, None, None, 1), tf.int32)
    known, share = (
        tf.function(lambda m, g, metric=metric: metric.update_state(m, g), [any_size, any_size])
        for metric in metrics_
    )
    known(masks.astype("int32"), guesses)
    assert float(metrics_[0].result()) == pytest.approx(
        brute_force_boundary_f1(masks, guesses, 2), rel=1e-5
    )
    with pytest.raises(ValueError, match="must be known .*Give the tolerance in pixels"):
        share(masks.astype("int32"), guesses)


def segmenter(**options):
    model = keras.Sequential([keras.Input((24, 31, CLASSES)), keras.layers.Rescaling(1.0)])
    model.add(keras.layers.Dense(CLASSES, kernel_initializer="identity"))
    model.compile("sgd", kv.losses.MaskCrossentropy(from_logits=True), **options)
    return model


def test_in_fit_with_validation_and_class_names():
    masks, guesses = blobs(batch=4)
    images = np.eye(CLASSES, dtype="float32")[guesses[..., 0]]
    weights = np.random.default_rng(0).random(masks.shape).astype("float32")
    names = ["sky", "cat", "dog", "tree", "car"]
    model = segmenter(
        metrics=[make(name) for name in ALL if name != "PerClassIoU"]
        + [make("PerClassIoU", class_names=names)],
        weighted_metrics=[make("MeanIoU", name="weighted_iou")],
    )
    model.optimizer.learning_rate = 0.0
    batches = tf.data.Dataset.from_tensor_slices((images, masks, weights)).batch(3)
    history = model.fit(batches, validation_data=batches, verbose=0).history
    expected = scikit_learns(masks, images)
    for prefix in ("", "val_"):
        for name in COUNTED:
            [logged] = history[prefix + make(name).name]
            assert logged == pytest.approx(expected[name], rel=1e-5)
        by_class = [history[f"{prefix}iou_{name}"][0] for name in names]
        np.testing.assert_allclose(by_class, expected["PerClassIoU"], rtol=1e-5)
        [logged] = history[f"{prefix}boundary_f1"]
        share = 0.0075 * np.hypot(24, 31)
        assert logged == pytest.approx(brute_force_boundary_f1(masks, guesses, share), rel=1e-5)
        [logged] = history[f"{prefix}weighted_iou"]
        assert logged == pytest.approx(scikit_learns(masks, images, weights)["MeanIoU"], rel=1e-5)


@pytest.mark.parametrize("samples", [4, 5])  # 5 leaves a batch with fewer samples than replicas
def test_two_replicas_count_what_one_device_does(samples):
    masks, guesses = blobs(batch=samples)
    images = np.eye(CLASSES, dtype="float32")[guesses[..., 0]]
    batches = tf.data.Dataset.from_tensor_slices((images, masks)).batch(2)
    with kv.training.strategy(2).scope():
        model = segmenter(metrics=[make(name) for name in ALL])
    single = segmenter(metrics=[make(name) for name in ALL])
    results = [one.evaluate(batches, verbose=0, return_dict=True) for one in (model, single)]
    assert len(results[0]) == len(ALL) + CLASSES
    for name in results[0]:
        if name != "loss":  # of which Keras takes the mean of the replicas' means
            np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "MeanIoU", "ignore_class": 0},
        {"name": "PixelAccuracy", "ignore_class": None},
        {"name": "MeanAccuracy"},
        {"name": "FrequencyWeightedIoU"},
        {"name": "PerClassIoU", "class_names": list("abcde")},
        {"name": "BoundaryF1", "tolerance": 2.5},
    ],
)
def test_config_round_trip(options):
    options = dict(options)
    metric = make(options.pop("name"), **options)
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()
    assert options.items() <= copy.get_config().items()


def test_files_keep_metrics(tmp_path):
    masks, guesses = blobs()
    images = np.eye(CLASSES, dtype="float32")[guesses[..., 0]]
    model = segmenter(metrics=[make(name) for name in ALL])
    expected = model.evaluate(images, masks, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    result = loaded.evaluate(images, masks, verbose=0, return_dict=True)
    assert list(result) == list(expected)
    np.testing.assert_allclose(list(result.values()), list(expected.values()), rtol=1e-5)


def test_what_does_not_fit():
    masks, scores = example()
    for name in ALL:
        for wrong in (1, 0, 2.5):
            with pytest.raises(ValueError, match="`classes` must be a whole number from 2"):
                getattr(kv.metrics, name)(wrong)
        with pytest.raises(ValueError, match="`y_true` must be masks"):
            make(name).update_state(scores, scores)
        for wrong in (scores[..., :3], scores[..., :1], scores[..., 0]):
            with pytest.raises(ValueError, match="`y_pred` must be scores .*background included"):
                make(name).update_state(masks, wrong)
        with pytest.raises(ValueError, match=r"masks of \(9, 11\), predictions of \(7, 11\)"):
            make(name).update_state(masks, scores[:, 1:8])
    with pytest.raises(ValueError, match=r"`sample_weight` must be .*Received: \(4, 9\)"):
        make("MeanIoU").update_state(masks, scores, np.ones((4, 9)))
    for names in (["a", "b"], ["a", "a", "b", "c", "d"]):
        with pytest.raises(ValueError, match="one name for each of the 5 classes, all different"):
            make("PerClassIoU", class_names=names)
    with pytest.raises(ValueError, match="`tolerance` must be .*Received: -1"):
        make("BoundaryF1", tolerance=-1)


CODE = """
import sys, keras, numpy as np
import kvision as kv
assert keras.backend.backend() == "jax"
data = np.load(sys.argv[1])
masks, scores = data["masks"], data["scores"]
names = ["MeanIoU", "PixelAccuracy", "MeanAccuracy", "FrequencyWeightedIoU", "BoundaryF1"]
metrics = [getattr(kv.metrics, name)(5) for name in names]
model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Rescaling(1.0)])
model.compile("sgd", kv.losses.MaskCrossentropy(), metrics=metrics)  # compiled with jit
print(*model.evaluate(scores, masks, batch_size=4, verbose=0))
for name in ["MaskFocalLoss", "DiceLoss", "SoftIoULoss"]:
    print(float(getattr(kv.losses, name)()(masks, scores)))
print(float(kv.losses.BalancedBinaryCrossentropy()(masks == 1, scores[..., :1])))
"""


def test_losses_and_metrics_on_jax(tmp_path):
    masks, scores = example()
    scores /= scores.sum(-1, keepdims=True)
    np.savez(tmp_path / "data.npz", masks=masks, scores=scores)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "data.npz"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    numbers = [float(number) for number in result.stdout.split()]
    names = ("MaskCrossentropy", "MaskFocalLoss", "DiceLoss", "SoftIoULoss")
    losses = [float(getattr(kv.losses, name)()(masks, scores)) for name in names]
    losses.append(float(kv.losses.BalancedBinaryCrossentropy()(masks == 1, scores[..., :1])))
    scored = [value(make(name), masks, scores) for name in (*COUNTED, "BoundaryF1")]
    np.testing.assert_allclose(numbers, [losses[0], *scored, *losses[1:]], rtol=1e-4)
