"""What the curve of edges says of the scores that it is drawn from."""

import io

import numpy as np
import pytest

import kvision as kv


def test_the_curve_and_its_best_point():
    scores = {
        "ods": 0.72,
        "ods_threshold": 0.4,
        "ods_recall": 0.8,
        "ods_precision": 2 / 3,
        "ois": 0.74,
        "average_precision": 0.7,
        "recall": [0.9, 0.8, 0.3, 0.0],
        "precision": [0.5, 2 / 3, 0.95, 0.0],
    }
    figure = kv.visualize.edge_curve(scores)
    figure.savefig(io.BytesIO())
    (axis,) = figure.axes
    *lines, curve, best = axis.lines
    assert curve.get_xydata().tolist() == [[0.9, 0.5], [0.8, 2 / 3], [0.3, 0.95]]
    assert best.get_xydata().tolist() == [[0.8, 2 / 3]]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("recall", "precision")
    assert axis.get_title() == "ODS 72.0%  OIS 74.0%  AP 70.0%"
    assert axis.get_legend().get_texts()[0].get_text() == "best threshold 0.40: F1 72.0%"
    for line, f1 in zip(lines, np.arange(1, 10) / 10, strict=True):
        recall, precision = line.get_xydata().T
        np.testing.assert_allclose(2 * recall * precision / (recall + precision), f1)
    with pytest.raises(ValueError, match="of which one is right"):
        kv.visualize.edge_curve({**scores, "recall": [0.0], "precision": [0.0]})
