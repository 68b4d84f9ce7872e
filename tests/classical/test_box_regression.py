"""Ridge regression of boxes, against its closed form."""

import numpy as np
import pytest

from kvision.classical import fit_box_regression, move_boxes


def random_boxes(random, number):
    centres, sizes = random.uniform(0.3, 0.7, (number, 2)), random.uniform(0.1, 0.4, (number, 2))
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def code(boxes, targets):
    """t of appendix C, in y, x, height, width."""
    sizes, goals = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    shift = (targets[:, :2] + targets[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2
    return np.concatenate([shift / sizes, np.log(goals / sizes)], axis=1)


def test_equals_the_closed_form():
    random = np.random.default_rng(0)
    features, boxes, targets = random.normal(0, 5, (40, 7)), *(random_boxes(random, 40),) * 2
    targets = targets + random.normal(0, 0.01, targets.shape)
    weights, bias = fit_box_regression(features, boxes, targets, alpha=1000.0)
    wanted = code(boxes, targets)
    centred, mean = features - features.mean(0), wanted.mean(0)
    expected = np.linalg.solve(centred.T @ centred + 1000 * np.eye(7), centred.T @ (wanted - mean))
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(bias, mean - features.mean(0) @ expected, atol=1e-5)


def test_moves_boxes_to_where_features_say():
    """Features that hold the right answer give back the targets."""
    random = np.random.default_rng(1)
    boxes = random_boxes(random, 50)
    targets = boxes + random.uniform(-0.03, 0.03, boxes.shape)
    features = code(boxes, targets)
    model = fit_box_regression(features, boxes, targets, alpha=1e-6)
    np.testing.assert_allclose(move_boxes(boxes, features, *model), targets, atol=1e-4)


def test_classes_move_boxes_at_once():
    random = np.random.default_rng(2)
    boxes, features = random_boxes(random, 5), random.normal(0, 1, (5, 3))
    weights, bias = random.normal(0, 0.1, (4, 3, 4)), random.normal(0, 0.1, (4, 4))
    moved = move_boxes(boxes, features, weights, bias)
    assert moved.shape == (4, 5, 4)
    for index in range(4):
        alone = move_boxes(boxes, features, weights[index], bias[index])
        np.testing.assert_allclose(moved[index], alone, atol=1e-6)


def test_no_examples_leave_boxes_where_they_are():
    nothing = fit_box_regression(np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 4)))
    boxes = np.array([[0.1, 0.2, 0.5, 0.6], [-0.2, 0.0, 0.5, 1.5]])
    moved = move_boxes(boxes, np.ones((2, 3)), *nothing)
    np.testing.assert_allclose(moved, np.clip(boxes, 0, 1), atol=1e-6)


def test_unequal_numbers_are_named():
    with pytest.raises(ValueError, match="must be of one number"):
        fit_box_regression(np.zeros((3, 2)), np.zeros((2, 4)), np.zeros((3, 4)))
