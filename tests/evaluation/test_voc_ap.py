"""VOC's average precision equals that of its development kit, written again, and of a hand."""

import numpy as np
import pytest
from prepared_detections import NAMES, in_batches, world

import kvision as kv
from kvision.evaluation.voc_ap import average_precision, best_threshold


def devkit(pictures, index, points):
    """VOCevaldet.m, line by line, with its inclusive whole pixels."""
    truth, positives, found = {}, 0, []
    for number, picture in enumerate(pictures):
        own = [o for o in picture["true"] if o["class"] == index]
        truth[number] = [{**o, "taken": False} for o in own]
        positives += sum(not o["difficult"] for o in own)
        found += [(o["score"], number, o) for o in picture["found"] if o["class"] == index]
    found.sort(key=lambda row: -row[0])
    true_positives, false_positives = [], []
    for _, number, o in found:
        best, match = -np.inf, None
        x, y, width, height = o["bbox"]
        mine = (x + 1, y + 1, x + width, y + height)
        for other in truth[number]:
            x, y, width, height = other["bbox"]
            theirs = (x + 1, y + 1, x + width, y + height)
            both = [min(mine[k + 2], theirs[k + 2]) - max(mine[k], theirs[k]) + 1 for k in (0, 1)]
            if min(both) > 0:
                areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (mine, theirs)]
                overlap = both[0] * both[1] / (sum(areas) - both[0] * both[1])
                if overlap > best:
                    best, match = overlap, other
        hit = false = 0
        if best >= 0.5:
            if not match["difficult"]:
                hit, false = (0, 1) if match["taken"] else (1, 0)
                match["taken"] = True
        else:
            false = 1
        true_positives.append(hit)
        false_positives.append(false)
    right, wrong = np.cumsum(true_positives), np.cumsum(false_positives)
    recall, precision = right / positives, right / np.maximum(right + wrong, 1)
    if points == 11:
        return np.mean(
            [max(precision[recall >= t - 1e-12], default=0) for t in np.linspace(0, 1, 11)]
        )
    recall, precision = np.r_[0, recall, 1], np.r_[0, precision, 0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return np.sum((recall[steps + 1] - recall[steps]) * precision[steps + 1])


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_development_kit_of_voc(seed):
    pictures = world(seed, crowd=0.0, difficult=0.3, decimals=0)
    for picture in pictures:
        for o in picture["found"]:
            o["bbox"] = np.maximum(np.round(o["bbox"]), 1).tolist()
    result = kv.evaluation.evaluate_detector(*in_batches(pictures), NAMES)
    areas = [devkit(pictures, index, None) for index in range(3)]
    eleven = [devkit(pictures, index, 11) for index in range(3)]
    assert [row["voc_AP"] for row in result["per_class"][:3]] == pytest.approx(areas, abs=1e-12)
    assert result["voc"]["AP_area"] == pytest.approx(np.mean(areas), abs=1e-12)
    assert result["voc"]["AP_11_point"] == pytest.approx(np.mean(eleven), abs=1e-12)


def test_average_precision_by_hand():
    # Precision 1, 1/2, 2/3, 1/2, 3/5 at recall 1/4, 1/4, 1/2, 1/2, 3/4; one object is never found.
    scores, hits = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 1]
    assert average_precision(scores, hits, 4) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    # Recalls 0, .1, .2 | .3, .4, .5 | .6, .7 | .8, .9, 1.
    eleven = (3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11
    assert average_precision(scores, hits, 4, points=11) == pytest.approx(eleven)
    assert average_precision(scores[::-1], hits[::-1], 4) == average_precision(scores, hits, 4)
    # Recalls of tenths are reached, whatever floats say: 3 of 10 at precision 1.
    assert average_precision([3, 2, 1], [1, 1, 1], 10, points=11) == pytest.approx(4 / 11)
    assert average_precision([], [], 2) == average_precision([], [], 2, points=11) == 0
    assert average_precision([0.5], [0], 0) is None


def test_best_threshold_by_hand():
    # F1 at the five scores: 2/5, 2/6, 4/7, 4/8, 6/9.
    scores, hits = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 1]
    expected = {"precision": 3 / 5, "recall": 3 / 4, "score": 0.5}
    assert best_threshold(scores, hits, 4) == expected
    assert best_threshold(scores[:4], hits[:4], 4)["score"] == 0.7
    # A threshold cannot tell equal scores apart.
    assert best_threshold([0.7, 0.7, 0.2], [1, 0, 0], 1)["precision"] == 0.5
    nothing = {"precision": None, "recall": 0.0, "score": None}
    assert best_threshold([0.3], [0], 4) == best_threshold([], [], 4) == nothing
    assert set(best_threshold([0.3], [0], 0).values()) == {None}
