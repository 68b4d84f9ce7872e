"""The fully connected CRF: mean field beside plain NumPy, and the briefed acceptance."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.layers import FullyConnectedCRF

ACCEPTANCE = {
    "theta_alpha": 15.0,
    "theta_beta": 20.0,
    "theta_gamma": 3.0,
    "bilateral_weight": 5.0,
    "spatial_weight": 3.0,
    "from_logits": False,
}


def noisy_scene(seed):
    """Three flat regions with noise of 12 grey levels; 35 % of the labels drawn at random."""
    random = np.random.default_rng(seed)
    labels = np.zeros((32, 32), int)
    labels[4:18, 4:18] = 1
    labels[16:30, 16:30] = 2
    colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
    image = (colours[labels] + random.normal(0, 12, (32, 32, 3))).astype("float32")
    noisy = labels.copy()
    replaced = random.random((32, 32)) < 0.35
    noisy[replaced] = random.integers(0, 3, replaced.sum())
    probabilities = np.full((32, 32, 3), 0.25, "float32")
    np.put_along_axis(probabilities, noisy[..., None], 0.5, axis=-1)
    return labels, image, probabilities


def random_case(height=7, width=9, classes=4, batch=2):
    random = np.random.default_rng(3)
    scores = random.normal(0, 1, (batch, height, width, classes)).astype("float32")
    image = random.uniform(0, 60, (batch, height, width, 3)).astype("float32")
    return scores, image


def kernels_by_hand(image, theta_alpha, theta_beta, theta_gamma):
    """Both row-normalised kernels of one picture, pixel pair by pixel pair."""
    height, width, _ = image.shape
    places = np.array([(y, x) for y in range(height) for x in range(width)], float)
    colours = image.reshape(-1, image.shape[-1]).astype(float)
    kernels = np.zeros((2, len(places), len(places)))
    for i in range(len(places)):
        for j in range(len(places)):
            far = ((places[i] - places[j]) ** 2).sum()
            unlike = ((colours[i] - colours[j]) ** 2).sum()
            if i != j:
                exponent = -far / (2 * theta_alpha**2) - unlike / (2 * theta_beta**2)
                kernels[0, i, j] = np.exp(exponent)
                kernels[1, i, j] = np.exp(-far / (2 * theta_gamma**2))
    return kernels / kernels.sum(axis=-1, keepdims=True)


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def mean_field_by_hand(scores, image, thetas, weights, iterations):
    """Potts' model with its compatibility written out."""
    flat = scores.reshape(-1, scores.shape[-1]).astype(float)
    bilateral, spatial = kernels_by_hand(image, *thetas)
    potts = 1 - np.eye(flat.shape[-1])
    refined = flat
    for _ in range(iterations):
        classes = softmax(refined)
        votes = weights[0] * bilateral @ classes + weights[1] * spatial @ classes
        refined = flat - votes @ potts
    return softmax(refined).reshape(scores.shape)


@pytest.mark.parametrize("window", [None, 17])
def test_equals_numpy(window):
    scores, image = random_case()
    layer = FullyConnectedCRF(5.0, 30.0, 2.0, 4.0, 1.5, iterations=3, window=window)
    result = softmax(np.asarray(layer([scores, image])))
    for index in range(2):
        expected = mean_field_by_hand(scores[index], image[index], (5.0, 30.0, 2.0), (4.0, 1.5), 3)
        np.testing.assert_allclose(result[index], expected, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_acceptance(seed):
    labels, image, probabilities = noisy_scene(seed)

    def accuracy(**options):
        layer = FullyConnectedCRF(**{**ACCEPTANCE, **options})
        refined = np.asarray(layer([probabilities[None], image[None]]))[0]
        np.testing.assert_allclose(refined.sum(axis=-1), 1, rtol=1e-5)
        return (refined.argmax(axis=-1) == labels).mean()

    unary = (probabilities.argmax(axis=-1) == labels).mean()
    assert unary == pytest.approx(0.770, abs=0.025)
    assert accuracy() == 1.0
    assert accuracy(bilateral_weight=0.0) == pytest.approx(0.897, abs=0.025)
    assert accuracy(bilateral_weight=0.0, spatial_weight=0.0) == unary


@pytest.mark.parametrize("per_class", [False, True])
def test_window_is_exact_when_it_covers_the_picture(per_class):
    scores, image = random_case()
    options = {"theta_alpha": 5.0, "theta_beta": 30.0, "per_class": per_class}
    exact = FullyConnectedCRF(**options)([scores, image])
    covering = FullyConnectedCRF(**options, window=17)([scores, image])
    smaller = FullyConnectedCRF(**options, window=5)([scores, image])
    np.testing.assert_allclose(np.asarray(covering), np.asarray(exact), atol=1e-5)
    assert np.abs(np.asarray(smaller) - np.asarray(exact)).max() > 1e-3


def test_dilated_window_takes_every_second_neighbour():
    """On a picture of two interleaved chequers it is the exact CRF of each."""
    scores, image = random_case(height=8, width=10)
    options = {"theta_beta": 30.0, "iterations": 4}
    dilated = FullyConnectedCRF(6.0, theta_gamma=2.0, window=9, dilation_rate=2, **options)(
        [scores, image]
    )
    exact = FullyConnectedCRF(3.0, theta_gamma=1.0, **options)
    for top in (0, 1):
        for left in (0, 1):
            part = exact([scores[:, top::2, left::2], image[:, top::2, left::2]])
            np.testing.assert_allclose(
                np.asarray(dilated)[:, top::2, left::2], np.asarray(part), atol=1e-5
            )


def free_energy(classes, scores, kernel):
    """What mean field minimises: expected energy less entropy."""
    classes = np.maximum(classes.reshape(-1, classes.shape[-1]).astype(float), 1e-12)
    unary = -np.log(softmax(scores.reshape(classes.shape).astype(float)))
    agreement = (classes * (kernel @ classes)).sum()
    entropy = -(classes * np.log(classes)).sum()
    return (classes * unary).sum() - agreement / 2 - entropy


def test_energy_decreases():
    _, image, probabilities = noisy_scene(0)
    image, scores = image[8:24, 8:24], np.log(probabilities[8:24, 8:24])
    bilateral, spatial = kernels_by_hand(image, 15.0, 20.0, 3.0)
    kernel = 0.5 * bilateral + 0.3 * spatial
    kernel = (kernel + kernel.T) / 2
    options = {**ACCEPTANCE, "from_logits": True, "bilateral_weight": 0.5, "spatial_weight": 0.3}
    energies = [free_energy(softmax(scores), scores, kernel)]
    for iterations in (1, 2, 4, 8):
        layer = FullyConnectedCRF(**{**options, "iterations": iterations})
        refined = softmax(np.asarray(layer([scores[None], image[None]])))[0]
        energies.append(free_energy(refined, scores, kernel))
    assert all(later < earlier for earlier, later in zip(energies[:3], energies[1:4], strict=True))
    assert energies[-1] <= energies[-2] + 1e-2


def test_lone_pixel_keeps_its_scores():
    """No neighbour is near in colour and none within reach: nothing is divided by nothing."""
    scores = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype("float32")
    image = np.array([[[0], [80]], [[160], [255]]], "float32")[None] * np.ones(3, "float32")
    layer = FullyConnectedCRF(theta_beta=1.0, spatial_weight=0.0)
    np.testing.assert_allclose(np.asarray(layer([scores, image])), scores, atol=1e-6)


def test_matrices_start_as_the_numbers_and_learn():
    scores, image = random_case()
    options = {"theta_beta": 30.0, "iterations": 4}
    plain = np.asarray(FullyConnectedCRF(**options)([scores, image]))
    layer = FullyConnectedCRF(**options, per_class=True)
    learned = np.asarray(layer([scores, image]))
    np.testing.assert_allclose(learned, plain, atol=1e-5)
    assert sum(int(np.prod(w.shape)) for w in layer.trainable_weights) == 3 * 4 * 4
    labels = np.random.default_rng(0).integers(0, 4, (2, 7, 9))
    with tf.GradientTape() as tape:
        logits = layer([tf.constant(scores), image], training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, True))
    for gradient in tape.gradient(loss, layer.trainable_weights):
        assert np.abs(np.asarray(gradient)).max() > 1e-6


def test_compatibility_is_applied_as_the_authors_do():
    """Left multiplication: the rows of a matrix are the classes that receive."""
    scores, image = random_case(height=3, width=3, classes=2, batch=1)
    layer = FullyConnectedCRF(
        iterations=1, bilateral_weight=0.0, spatial_weight=1.0, per_class=True
    )
    layer.build([scores.shape, image.shape])
    layer.compatibility.assign([[0.0, -1.0], [0.0, 0.0]])  # votes for class 1 go to class 0
    _, spatial = kernels_by_hand(image[0], 67.0, 3.0, 1.0)
    votes = spatial @ softmax(scores.reshape(9, 2))
    difference = (np.asarray(layer([scores, image])) - scores).reshape(9, 2)
    np.testing.assert_allclose(difference[:, 0], votes[:, 1], atol=1e-5)
    np.testing.assert_allclose(difference[:, 1], 0, atol=1e-6)


def test_fewer_iterations_in_training():
    scores, image = random_case()
    both = FullyConnectedCRF(iterations=6, training_iterations=2)
    two = FullyConnectedCRF(iterations=2)([scores, image])
    six = FullyConnectedCRF(iterations=6)([scores, image])
    np.testing.assert_array_equal(np.asarray(both([scores, image], training=True)), np.asarray(two))
    np.testing.assert_array_equal(np.asarray(both([scores, image])), np.asarray(six))


def crf_model(shape, window, **options):
    scores, image = keras.Input((*shape, 4)), keras.Input((*shape, 3))
    layer = FullyConnectedCRF(5.0, 30.0, window=window, iterations=3, **options)
    return keras.Model([scores, image], layer([scores, image]))


@pytest.mark.parametrize("window", [None, 5])
def test_open_sizes_and_saving(window, tmp_path):
    model = crf_model((None, None), window)
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    case = list(random_case())
    expected = FullyConnectedCRF(5.0, 30.0, window=window, iterations=3)(case)
    np.testing.assert_allclose(
        model.predict(case, verbose=0), np.asarray(expected), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_runs_in_float32_under_mixed_precision(policy):
    case = [keras.ops.convert_to_tensor(part) for part in random_case()]
    expected = np.asarray(FullyConnectedCRF(window=5)(case))
    keras.mixed_precision.set_global_policy(policy)
    try:
        result = FullyConnectedCRF(window=5)(case)
        low = FullyConnectedCRF(window=5, dtype=policy)(case)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(np.asarray(result), expected)
    low = keras.ops.convert_to_numpy(keras.ops.cast(low, "float32"))
    np.testing.assert_allclose(low, expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize(("window", "per_class"), [(None, False), (5, True)])
def test_tflite_is_equal(window, per_class, tmp_path):
    """One input, as on a phone: the scores come from the picture."""
    image = keras.Input((12, 10, 3))
    scores = keras.layers.Conv2D(4, 1)(keras.layers.Rescaling(1 / 50)(image))
    layer = FullyConnectedCRF(5.0, 30.0, window=window, iterations=2, per_class=per_class)
    model = keras.Model(image, layer([scores, image]))
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    pictures = np.random.default_rng(0).uniform(0, 255, (1, 12, 10, 3)).astype("float32")
    np.testing.assert_allclose(
        kv.export.load(path).predict(pictures), np.asarray(model(pictures)), atol=1e-4
    )


def test_wrong_options_say_what_to_do():
    with pytest.raises(ValueError, match="`theta_beta` and `theta_gamma` must be greater than 0"):
        FullyConnectedCRF(theta_beta=0)
    with pytest.raises(ValueError, match="`iterations` must be a whole number from 1. Received: 0"):
        FullyConnectedCRF(iterations=0)
    with pytest.raises(ValueError, match="`iterations` must be a whole number from 1. Received: 0"):
        FullyConnectedCRF(training_iterations=0)
    with pytest.raises(ValueError, match="`window` must be None or an odd number from 3"):
        FullyConnectedCRF(window=4)
    with pytest.raises(ValueError, match="`dilation_rate` must be a whole number from 1"):
        FullyConnectedCRF(dilation_rate=0)
    with pytest.raises(ValueError, match=r"a list \[scores, image\] of two maps"):
        FullyConnectedCRF()([np.zeros((1, 4, 4, 2), "float32")])
    with pytest.raises(ValueError, match="must have one size"):
        FullyConnectedCRF()([np.zeros((1, 4, 4, 2), "float32"), np.zeros((1, 8, 8, 3), "float32")])
