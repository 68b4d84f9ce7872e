"""The mined machine learns what one trained on everything learns, from far fewer negatives."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from kvision.classical import MinedSVM

LENGTH = 12


def negatives_like(random, pictures, number):
    """Mostly easy: the first half of their features is unlike; of two in a hundred the second."""
    centres = np.zeros((pictures, number, LENGTH))
    hard = random.random((pictures, number)) < 0.02
    centres[~hard, : LENGTH // 2] = -2.0
    centres[hard, : LENGTH // 2] = 1.0
    centres[hard, LENGTH // 2 :] = -0.5
    return (centres + random.normal(0, 1, centres.shape)).astype("float32")


@pytest.fixture(scope="module")
def samples():
    """Positives, and the negatives of 30 pictures."""
    random = np.random.default_rng(0)
    positives = random.normal(1.0, 1.0, (60, LENGTH)).astype("float32")
    return positives, negatives_like(random, 30, 150)


def mined(positives, negatives, epochs=1, **options):
    machine = MinedSVM(positives, **options)
    for _ in range(epochs):
        for picture, features in enumerate(negatives):
            machine.see(features, picture)
    machine.finish()
    return machine


def false_alarms(machine, positives, negatives):
    """Negatives above the score that half of the positives reach."""
    return int((machine.score(negatives) > np.median(machine.score(positives))).sum())


def test_equals_a_machine_that_saw_everything(samples):
    positives, negatives = samples
    every = negatives.reshape(-1, LENGTH)
    machine = mined(positives, negatives, epochs=6, regularization=0.1, patience=20)
    reference = LinearSVC(
        loss="hinge", C=0.1, class_weight={1: 2.0}, intercept_scaling=10.0, max_iter=100_000
    ).fit(np.concatenate([positives, every]), [1] * len(positives) + [0] * len(every))

    def objective(weights, bias):
        """What both minimise, over all negatives."""
        lost = np.maximum(0, 1 - positives @ weights - bias).sum() * 2
        lost += np.maximum(0, 1 + every @ weights + bias).sum()
        return (weights @ weights + (bias / 10) ** 2) / 2 + 0.1 * lost

    best = objective(reference.coef_[0], reference.intercept_[0])
    first = mined(positives, negatives[:1], regularization=0.1)
    assert objective(machine.weights, machine.bias) < 1.01 * best
    assert objective(first.weights, first.bias) > 1.1 * best
    assert machine.trainings > 2


def test_hard_negatives_make_fewer_false_alarms_than_the_same_number_of_any(samples):
    positives, negatives = samples
    random = np.random.default_rng(5)
    unseen = negatives_like(random, 1, 9000)[0]
    hard = mined(positives, negatives, regularization=0.1, patience=50)
    every = negatives.reshape(-1, LENGTH)
    number = 150  # as many as the first picture has, all that mining starts from
    alarms = []
    for _ in range(5):
        some = every[random.choice(len(every), number, replace=False)]
        alarms.append(false_alarms(mined(positives, [some], regularization=0.1), positives, unseen))
    assert false_alarms(hard, positives, unseen) < 0.5 * np.mean(alarms)


def test_positives_count_twice(samples):
    positives, negatives = samples
    options = {"regularization": 0.001}
    light, heavy = (
        mined(positives, negatives, positive_weight=weight, **options) for weight in (1.0, 2.0)
    )
    assert heavy.score(positives).mean() > light.score(positives).mean() + 0.05


def test_none_is_taken_twice(samples):
    positives, negatives = samples
    machine = MinedSVM(positives, regularization=0.1)
    for _ in range(3):
        machine.see(negatives[0], 0)
    machine.finish()
    once = mined(positives, negatives[:1], regularization=0.1)
    np.testing.assert_allclose(machine.weights, once.weights, atol=1e-4)


def test_a_class_without_objects_is_never_found(samples):
    machine = mined(np.zeros((0, LENGTH)), samples[1])
    assert (machine.score(samples[1][0]) == -np.inf).all()


def test_wrong_arguments_are_named(samples):
    with pytest.raises(ValueError, match="was shown none"):
        MinedSVM(samples[0]).finish()
    with pytest.raises(ValueError, match="`positives` must be an array"):
        MinedSVM(np.zeros(4))
