"""Losses of masks: numbers by hand and by other libraries, void, weights, training, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

import kvision as kv
from kvision.ops.masks import VOID

CLASSES = 4
REGION = ("DiceLoss", "SoftIoULoss")
SEVERAL = ("MaskCrossentropy", "MaskFocalLoss", *REGION)


def example(seed=0, void=0.2, batch=3):
    """Masks with void, probabilities and weights of pixels."""
    random = np.random.default_rng(seed)
    masks = random.integers(0, CLASSES, (batch, 6, 7, 1)).astype("uint8")
    masks[random.random(masks.shape) < void] = VOID
    scores = random.dirichlet(np.ones(CLASSES), masks.shape[:3]).astype("float32")
    return masks, scores, random.uniform(0, 2, masks.shape).astype("float32")


def edge_example(seed=0, batch=3):
    random = np.random.default_rng(seed)
    masks = (random.random((batch, 6, 7, 1)) < 0.2).astype("uint8")
    masks[random.random(masks.shape) < 0.1] = VOID
    return masks, random.uniform(0.05, 0.95, masks.shape).astype("float32")


def make(name, **options):
    return getattr(kv.losses, name)(**options)


def value(loss, *arguments):
    return float(loss(*arguments))


def gradient(loss, masks, scores):
    scores = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        result = loss(masks, scores)
    return float(result), tape.gradient(result, scores).numpy()


def test_crossentropy_is_the_log_loss_of_the_pixels_that_count():
    masks, scores, _ = example()
    counted = masks[..., 0] != VOID
    expected = metrics.log_loss(masks[..., 0][counted], scores[counted], labels=range(CLASSES))
    assert value(kv.losses.MaskCrossentropy(), masks, scores) == pytest.approx(expected, rel=1e-5)
    assert value(kv.losses.MaskCrossentropy(), masks[..., 0], scores) == pytest.approx(expected)


@pytest.mark.parametrize("reduction", ["sum", "mean", "sum_over_batch_size", "none"])
def test_crossentropy_is_keras_own_with_its_ignore_class(reduction):
    masks, scores, weights = example()
    ours = kv.losses.MaskCrossentropy(reduction=reduction)
    theirs = keras.losses.SparseCategoricalCrossentropy(ignore_class=VOID, reduction=reduction)
    for mine, other in ((None, None), (weights, weights[..., 0])):
        np.testing.assert_allclose(
            ours(masks, scores, mine), theirs(masks[..., 0], scores, other), rtol=1e-5, atol=1e-7
        )


def test_mean_with_sample_weight_divides_by_the_weights_that_count():
    masks, scores, weights = example()
    loss = kv.losses.MaskCrossentropy(reduction="mean_with_sample_weight")
    counted = masks[..., 0] != VOID
    expected = metrics.log_loss(
        masks[..., 0][counted], scores[counted], sample_weight=weights[..., 0][counted]
    )
    assert value(loss, masks, scores, weights) == pytest.approx(expected, rel=1e-5)


def test_class_weights_are_weights_of_their_pixels():
    masks, scores, weights = example()
    by_class = [0.5, 2.0, 0.0, 7.0]
    table = np.zeros(256)
    table[:CLASSES] = by_class
    ours = kv.losses.MaskCrossentropy(class_weight=by_class)
    theirs = keras.losses.SparseCategoricalCrossentropy(ignore_class=VOID)
    expected = theirs(masks[..., 0], scores, table[masks[..., 0]] * weights[..., 0])
    assert value(ours, masks, scores, weights) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_by_its_formula(gamma):
    masks, scores, _ = example()
    counted = masks[..., 0] != VOID
    labels = masks[..., 0][counted]
    true = scores[counted][np.arange(len(labels)), labels].astype("float64")
    alpha = np.array([0.25, 1.0, 2.0, 3.0])
    expected = -alpha[labels] * (1 - true) ** gamma * np.log(true)
    loss = kv.losses.MaskFocalLoss(gamma=gamma, alpha=alpha)
    assert value(loss, masks, scores) == pytest.approx(expected.mean(), rel=1e-4)
    plain = -((1 - true) ** gamma) * np.log(true)
    loss = kv.losses.MaskFocalLoss(gamma=gamma, alpha=0.25)
    assert value(loss, masks, scores) == pytest.approx(0.25 * plain.mean(), rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_focal_loss_of_a_sure_pixel_has_a_gradient(gamma):
    # Cross-entropy is exactly 0 there, and powers below 1 have no derivative at 0.
    logits = np.array([[[[1e4, 0.0], [0.0, 1.0]]]], "float32")
    loss = kv.losses.MaskFocalLoss(gamma=gamma, from_logits=True)
    _, slope = gradient(loss, np.zeros((1, 1, 2), int), logits)
    assert np.isfinite(slope).all()
    assert slope[0, 0, 1, 0] < 0


@pytest.mark.parametrize(
    ("name", "score"), [("DiceLoss", metrics.f1_score), ("SoftIoULoss", metrics.jaccard_score)]
)
def test_region_losses_of_hard_predictions_are_scikit_learns_scores(name, score):
    masks, scores, _ = example(void=0.1)
    masks[1][masks[1] == 2] = 0  # this class does not occur there
    guesses = scores.argmax(-1)
    expected = []
    for mask, guess in zip(masks[..., 0], guesses, strict=True):
        counted = mask != VOID
        present = np.unique(mask[counted])
        expected.append(score(mask[counted], guess[counted], labels=present, average="macro"))
    losses = make(name, reduction="none")(masks, np.eye(CLASSES, dtype="float32")[guesses])
    np.testing.assert_allclose(losses, 1 - np.array(expected), rtol=1e-5)
    mean = value(make(name), masks, np.eye(CLASSES, dtype="float32")[guesses])
    assert mean == pytest.approx(1 - np.mean(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "score"), [("DiceLoss", metrics.f1_score), ("SoftIoULoss", metrics.jaccard_score)]
)
def test_region_losses_weigh_pixels_and_images_and_classes(name, score):
    masks, scores, weights = example(batch=2)
    guesses = scores.argmax(-1)
    hard = np.eye(CLASSES, dtype="float32")[guesses]
    by_class = np.array([1.0, 3.0, 0.0, 2.0])
    expected = []
    for mask, guess, weight in zip(masks[..., 0], guesses, weights[..., 0], strict=True):
        counted = mask != VOID
        scored = score(
            mask[counted],
            guess[counted],
            labels=range(CLASSES),
            average=None,
            sample_weight=weight[counted],
        )
        expected.append(1 - np.average(scored, weights=by_class))
    loss = make(name, class_weight=by_class)
    assert value(loss, masks, hard, weights) == pytest.approx(np.mean(expected), rel=1e-5)
    plain = np.asarray(make(name, reduction="none")(masks, hard))
    of_images = value(make(name), masks, hard, np.array([3.0, 0.0]))
    assert of_images == pytest.approx(plain[0] * 3 / 2, rel=1e-5)


def test_weights_of_images_weigh_their_pixels():
    masks, scores, _ = example()
    loss = kv.losses.MaskCrossentropy(reduction="sum")
    single = [value(loss, masks[i : i + 1], scores[i : i + 1]) for i in range(3)]
    for shape in ((3,), (3, 1), (3, 1, 1, 1)):
        weights = np.array([1.0, 0.0, 5.0]).reshape(shape)
        expected = single[0] + 5 * single[2]
        assert value(loss, masks, scores, weights) == pytest.approx(expected, rel=1e-5)


def test_balanced_crossentropy_by_the_papers_formula():
    masks, scores = edge_example()
    losses = 0.0
    for mask, score in zip(masks, scores.astype("float64"), strict=True):
        positive, negative = mask == 1, mask == 0
        beta = negative.sum() / (negative.sum() + positive.sum())
        losses -= beta * np.log(score[positive]).sum()
        losses -= (1 - beta) * np.log(1 - score[negative]).sum()
    summed = kv.losses.BalancedBinaryCrossentropy(reduction="sum")
    assert value(summed, masks, scores) == pytest.approx(losses, rel=1e-5)
    mean = value(kv.losses.BalancedBinaryCrossentropy(), masks, scores)
    assert mean == pytest.approx(losses / np.sum(masks != VOID), rel=1e-5)


def test_balance_gives_edges_and_the_rest_equal_weight_in_each_image():
    masks = np.zeros((2, 10, 10, 1), "uint8")
    masks[0, 0, :5] = masks[1, 0, :1] = 1
    losses = np.asarray(
        kv.losses.BalancedBinaryCrossentropy(reduction="none")(masks, np.full(masks.shape, 0.5))
    )
    for mask, loss in zip(masks[..., 0], losses, strict=True):
        assert loss[mask == 1].sum() == pytest.approx(loss[mask == 0].sum(), rel=1e-5)
    empty = np.zeros((1, 4, 4, 1), "uint8")
    assert value(kv.losses.BalancedBinaryCrossentropy(), empty, np.full(empty.shape, 0.9)) == 0


def test_edges_are_what_most_annotators_drew():
    """More than half make an edge, nobody none; what few drew does not count."""
    shares = np.array([[[0.0, 0.25, 0.5, 0.75, 1.0, 255.0, 0.0, 0.2]]], "float32")
    agreed = np.array([[[0, 255, 255, 1, 1, 255, 0, 255]]])
    scores = np.random.default_rng(0).uniform(0.1, 0.9, (1, 1, 8, 1)).astype("float32")
    for options in ({}, {"reduction": "sum"}, {"from_logits": True}):
        loss = kv.losses.BalancedBinaryCrossentropy(**options)
        assert value(loss, shares, scores) == pytest.approx(value(loss, agreed, scores))
    wrong = shares.copy()
    wrong[0, 0, 0] = 1.5
    assert np.isnan(value(kv.losses.BalancedBinaryCrossentropy(), wrong, scores))


@pytest.mark.parametrize("name", [*SEVERAL, "BalancedBinaryCrossentropy"])
def test_void_adds_exactly_nothing(name):
    masks, scores = edge_example() if name.startswith("Balanced") else example()[:2]
    loss = make(name)
    changed = np.where(masks == VOID, 0.123, scores).astype("float32")
    assert value(loss, masks, scores) == value(loss, masks, changed)
    _, slope = gradient(loss, masks, scores)
    assert not slope[masks[..., 0] == VOID].any()
    assert slope[masks[..., 0] != VOID].any()
    # A wall of void beside the pictures leaves the mean as it is.
    wide = np.pad(masks, ((0, 0), (0, 0), (0, 30), (0, 0)), constant_values=VOID)
    wide_scores = np.pad(scores, ((0, 0), (0, 0), (0, 30), (0, 0)), constant_values=0.5)
    assert value(loss, wide, wide_scores) == pytest.approx(value(loss, masks, scores), rel=1e-6)
    # And so does a picture of nothing else.
    longer = np.concatenate([masks, np.full_like(masks[:1], VOID)])
    longer_scores = np.concatenate([scores, scores[:1]])
    assert value(loss, longer, longer_scores) == pytest.approx(value(loss, masks, scores), rel=1e-6)
    result, slope = gradient(loss, np.full_like(masks, VOID), scores)
    assert result == 0
    assert not slope.any()


@pytest.mark.parametrize("name", SEVERAL)
def test_another_ignored_class_and_none(name):
    masks, scores, _ = example()
    other = np.where(masks == VOID, 3, np.where(masks == 3, VOID, masks))
    inside = np.where(other == VOID, 0, other)
    renamed = np.where(inside == 3, VOID, inside)
    assert value(make(name, ignore_class=3), inside, scores) == pytest.approx(
        value(make(name), renamed, scores)
    )
    full = np.where(masks == VOID, 0, masks)
    assert value(make(name, ignore_class=None), full, scores) == pytest.approx(
        value(make(name), full, scores)
    )
    assert np.isnan(value(make(name, ignore_class=None), masks, scores))


@pytest.mark.parametrize("name", [*SEVERAL, "BalancedBinaryCrossentropy"])
@pytest.mark.parametrize("stranger", [77, -1])
def test_an_unknown_label_is_seen(name, stranger):
    masks, scores = edge_example() if name.startswith("Balanced") else example()[:2]
    masks = masks.astype("int32")
    masks[0, 0, 0] = stranger
    result, slope = gradient(make(name), masks, scores)
    assert np.isnan(result)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", [*SEVERAL, "BalancedBinaryCrossentropy"])
def test_a_perfect_prediction_costs_nothing(name):
    if name.startswith("Balanced"):
        masks, _ = edge_example()
        scores = (masks == 1).astype("float32")
    else:
        masks, _, _ = example()
        scores = np.eye(256, dtype="float32")[masks[..., 0]][..., :CLASSES]
    result, slope = gradient(make(name), masks, scores)
    assert 0 <= result < 1e-6
    assert np.isfinite(slope).all()
    assert value(make(name), masks, np.roll(scores, 1, 1)) > 0.1


@pytest.mark.parametrize("name", [*SEVERAL, "BalancedBinaryCrossentropy"])
def test_logits(name):
    if name.startswith("Balanced"):
        masks, scores = edge_example()
        logits = np.log(scores) - np.log(1 - scores)
    else:
        masks, scores, _ = example()
        logits = np.log(scores) + 3.0
    expected = value(make(name), masks, scores)
    assert value(make(name, from_logits=True), masks, logits) == pytest.approx(expected, rel=1e-4)
    huge = np.where(scores > 0.3, 1e4, -1e4).astype("float32")
    _, slope = gradient(make(name, from_logits=True), masks, huge)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", [*SEVERAL, "BalancedBinaryCrossentropy"])
def test_half_precision_is_computed_in_single(name):
    # In float16 itself, 250,000 pixels overflow any sum.
    masks, scores = edge_example() if name.startswith("Balanced") else example()[:2]
    masks, scores = (np.tile(array, (1, 50, 50, 1)) for array in (masks, scores))
    half = scores.astype("float16")
    result = make(name)(masks, half)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    expected = value(make(name), masks, half.astype("float32"))
    assert float(result) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "MaskCrossentropy", "class_weight": np.arange(4), "ignore_class": 0},
        {"name": "MaskFocalLoss", "gamma": 1.5, "alpha": [1, 2, 3, 4], "from_logits": True},
        {"name": "MaskFocalLoss", "alpha": 0.3, "reduction": "sum"},
        {"name": "DiceLoss", "class_weight": [1, 2, 3, 4], "ignore_class": None},
        {"name": "SoftIoULoss", "from_logits": True, "dtype": "float64"},
        {"name": "BalancedBinaryCrossentropy", "ignore_class": None, "reduction": "sum"},
    ],
)
def test_config_round_trip(options):
    options = dict(options)
    loss = make(options.pop("name"), **options)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()
    for key, given in options.items():
        assert np.array_equal(copy.get_config()[key], given)


@pytest.mark.parametrize("name", [*SEVERAL, "BalancedBinaryCrossentropy"])
def test_training_with_weights_and_files(name, tmp_path):
    masks, scores = edge_example() if name.startswith("Balanced") else example()[:2]
    channels = scores.shape[-1]
    activation = "sigmoid" if channels == 1 else "softmax"
    model = keras.Sequential(
        [keras.Input((None, None, 256)), keras.layers.Conv2D(channels, 1, activation=activation)]
    )
    images = np.eye(256, dtype="float32")[masks[..., 0]]  # the answer, so it can be learned
    model.compile(keras.optimizers.Adam(0.2), make(name))
    data = tf.data.Dataset.from_tensors((images, masks, np.ones(masks.shape, "float32")))
    losses = model.fit(data.repeat(40), steps_per_epoch=10, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(model.loss)
    assert loaded.evaluate(data, verbose=0) == pytest.approx(
        model.evaluate(data, verbose=0), rel=1e-5
    )


def test_a_saturated_wrong_softmax_still_learns():
    # Probabilities of 1e-20 are clipped; Keras finds the logits behind them.
    model = keras.Sequential(
        [
            keras.Input((1, 1, 1)),
            keras.layers.Conv2D(2, 1, bias_initializer=keras.initializers.Constant([40.0, -6.0])),
            keras.layers.Activation("softmax", dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.SGD(1.0), kv.losses.MaskCrossentropy())
    before = model.get_weights()[1]
    model.fit(np.zeros((1, 1, 1, 1)), np.ones((1, 1, 1, 1), "uint8"), verbose=0)
    np.testing.assert_allclose(model.get_weights()[1] - before, [-1, 1], atol=1e-5)


def test_two_replicas_take_the_mean_of_their_means():
    masks, scores, _ = example(batch=4)
    masks[2:, :5] = VOID  # few pixels count in the second half
    with kv.training.strategy(2).scope():
        model = keras.Sequential([keras.Input((6, 7, 4)), keras.layers.Rescaling(1.0)])
        model.compile("sgd", kv.losses.MaskCrossentropy())
    result = model.evaluate(tf.data.Dataset.from_tensors((scores, masks)), verbose=0)
    loss = kv.losses.MaskCrossentropy()
    halves = [value(loss, masks[:2], scores[:2]), value(loss, masks[2:], scores[2:])]
    assert result == pytest.approx(np.mean(halves), rel=1e-5)


@pytest.mark.parametrize("name", SEVERAL)
def test_shapes_that_do_not_fit(name):
    masks, scores, weights = example()
    loss = make(name)
    with pytest.raises(ValueError, match=r"`y_true` must be masks .*Received: \(3, 6, 7, 4\)"):
        loss(scores, scores)
    with pytest.raises(ValueError, match=r"`y_pred` must be of shape .*Received: \(3, 6, 7\)"):
        loss(masks, scores[..., 0])
    with pytest.raises(ValueError, match=r"masks of \(6, 7\), predictions of \(4, 7\)"):
        loss(masks, scores[:, 1:5])
    with pytest.raises(ValueError, match="at least 2. Received: 1"):
        loss(masks, scores[..., :1])
    with pytest.raises(ValueError, match=r"`sample_weight` must be .*Received: \(3, 6\)"):
        loss(masks, scores, weights[:, :, 0, 0])


def test_arguments_out_of_range():
    masks, scores, _ = example()
    with pytest.raises(ValueError, match="one number for each of the 4 classes"):
        kv.losses.MaskCrossentropy(class_weight=[1, 2])(masks, scores)
    with pytest.raises(ValueError, match="one number for each of the 4 classes"):
        kv.losses.DiceLoss(class_weight=[1, 2])(masks, scores)
    with pytest.raises(ValueError, match="`alpha` must have one number for each of the 4"):
        kv.losses.MaskFocalLoss(alpha=[1, 2])(masks, scores)
    for wrong in ([1, -1], [np.inf, 1], []):
        with pytest.raises(ValueError, match="`class_weight` must be finite numbers from 0"):
            kv.losses.SoftIoULoss(class_weight=wrong)
    with pytest.raises(ValueError, match="`gamma` must be a number from 0. Received: -1"):
        kv.losses.MaskFocalLoss(gamma=-1)
    with pytest.raises(ValueError, match="one channel .*Received: 4"):
        kv.losses.BalancedBinaryCrossentropy()(masks, scores)
