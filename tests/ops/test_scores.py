"""What scores mean is seen from all of them, and labels fit them or are refused."""

import numpy as np
import pytest

from kvision.ops.scores import (
    BINARY,
    EXCLUSIVE,
    INDEPENDENT,
    are_probabilities,
    by_class,
    meaning_of,
    names_by_class,
    probabilities,
    true_classes,
)

LOGITS = np.array([[2.0, -1.0, 0.0], [0.0, 3.0, -2.0]])


def test_meanings():
    softmax, _ = probabilities(LOGITS, EXCLUSIVE)
    assert meaning_of(softmax[:, :1]) == BINARY
    assert meaning_of(softmax) == meaning_of(LOGITS) == EXCLUSIVE
    sigmoids = np.array([[0.9, 0.8, 0.1], [0.1, 0.2, 0.1]])
    assert meaning_of(sigmoids) == INDEPENDENT
    assert meaning_of(sigmoids, np.array([0, 1])) == EXCLUSIVE  # one label each
    assert meaning_of(sigmoids, np.eye(3)[:2]) == INDEPENDENT
    assert meaning_of(softmax, np.eye(3)[:2]) == EXCLUSIVE
    assert meaning_of(LOGITS, np.array([[1, 1, 0], [0, 1, 0]])) == INDEPENDENT


def test_probabilities_in_8_bits_are_exclusive():
    logits = np.random.default_rng(0).normal(0, 2, (50, 200))
    softmax = np.rint(probabilities(logits, EXCLUSIVE)[0] * 256) / 256
    assert meaning_of(softmax) == EXCLUSIVE


def test_logits_become_probabilities():
    softmax, converted = probabilities(LOGITS, EXCLUSIVE)
    powers = np.exp(LOGITS)
    np.testing.assert_allclose(softmax, powers / powers.sum(1, keepdims=True))
    assert converted
    assert probabilities(softmax, EXCLUSIVE)[1] is False
    np.testing.assert_allclose(probabilities([[2.0], [-2.0]], BINARY)[0].sum(), 1)
    assert np.isfinite(probabilities([[900.0], [-900.0]], BINARY)[0]).all()


def test_no_single_score_decides():
    scores = np.full((2000, 1), 0.5)
    scores[7] = 1.01
    assert are_probabilities(scores)
    assert probabilities(scores, BINARY)[0].max() == 1
    scores[:20] = 1.5
    assert not are_probabilities(scores)


def test_labels():
    for labels in ([0, 2], [[0], [2]], [0.0, 2.0]):
        assert true_classes(labels, 2, 3).tolist() == [0, 2]
    assert true_classes([[1, 0], [1, 1]], 2, 2).shape == (2, 2)
    for labels in ([[0, 1], [1, 0]], [0], [[0, 1, 2, 3]], 3):
        with pytest.raises(ValueError, match=r"class numbers of shape \(2,\) or \(2, 1\)"):
            true_classes(labels, 2, 3)
    with pytest.raises(ValueError, match="whole numbers"):
        true_classes([0.5, 1.0], 2, 3)


def test_names_of_one_column():
    assert names_by_class(["cat"], 1) == ["not cat", "cat"]
    assert names_by_class(["dog", "cat"], 1) == ["dog", "cat"]
    assert names_by_class(None, 1) == ["class 0", "class 1"]
    assert names_by_class(None, 3)[2] == "class 2"
    np.testing.assert_allclose(by_class(np.array([[0.25]]), BINARY), [[0.75, 0.25]])
