"""MediaPipe Tasks' ObjectDetector opens both kinds of detector files, and finds what we find.

It runs in an environment of its own (`make` builds `.venv-mediapipe`).
"""

import numpy as np
import pytest
from squares import squares

import kvision as kv
from kvision.export.forms.decoding import decode, suppress_classes
from kvision.export.metadata.contents import read_flatbuffer
from kvision.export.metadata.detector import NAME, read_anchors
from kvision.export.metadata.tflite import read_metadata

MOST = 10_000
OVERLAP = 0.3  # from which MediaPipe suppresses; an app cannot choose it


def corners(found, size):
    """Boxes in pixels as MediaPipe gives them: left, top, width, height."""
    left, top, width, height = np.array(found, "float64").T
    return np.stack([top, left, top + height, left + width], -1) / size


def compare(answers, wanted, labels, size=64):
    """Each answer is the one of ours with its class and score, and its box to a pixel."""
    counted = 0
    assert len(answers) == len(wanted)
    for answer, ours in zip(answers, wanted, strict=True):
        kept = ours["classes"] >= 0
        assert len(answer) == kept.sum()
        if not answer:
            continue
        names, _, scores, boxes = zip(*answer, strict=True)  # it gives names or numbers
        np.testing.assert_allclose(scores, ours["scores"][kept], atol=2e-5)
        assert list(names) == [labels[index] for index in ours["classes"][kept]]
        # Of boxes beyond the edge it moves the corner only, not the sides.
        inside = ((ours["boxes"][kept] > 0) & (ours["boxes"][kept] < 1)).all(-1)
        difference = np.abs(corners(boxes, size) - ours["boxes"][kept])[inside]
        assert (difference < 2 / size).all()  # it rounds places and sides
        counted += inside.sum()
    return counted


def across_classes(path, images, threshold):
    """What MediaPipe makes of raw outputs: the best class of each box, and one suppression."""
    model, data = read_flatbuffer(path)
    anchors = read_anchors(read_metadata(model, data)["custom"][NAME])
    raw = kv.export.load(path).predict(images, raw=True)["raw"]
    settings = kv.export.describe(path).settings
    boxes = decode(raw["offsets"], anchors, settings["variances"])
    options = {"score_threshold": threshold, "most": MOST, "candidates": MOST}
    return [
        suppress_classes(*pair, iou_threshold=OVERLAP, by_class=False, **options)
        for pair in zip(boxes, raw["scores"], strict=True)
    ]


@pytest.mark.parametrize("kind", [None, "int8"])
def test_raw_outputs_and_anchors(kind, mediapipe, detector_file):
    images, _ = squares(24, seed=2)
    path = detector_file(kind)
    threshold = 0.3  # below it, boxes beyond the edges of the picture suppress otherwise
    answers = mediapipe("mediapipe_detector.py", path, images, str(threshold))
    wanted = across_classes(path, images, threshold)
    assert compare(answers, wanted, kv.export.load(path).labels) > 20
    # What it finds is among what we find, who suppress less.
    found = kv.export.load(path).predict(images)["scores"]
    for answer, ours in zip(answers, found, strict=True):
        assert all(np.abs(ours - score).min() < 2e-5 for _, _, score, _ in answer)


def test_operator_in_the_file(mediapipe, detector_file):
    images, _ = squares(24, seed=2)
    path = detector_file(None, postprocess=True)
    answers = mediapipe("mediapipe_detector.py", path, images)
    found = kv.export.load(path).predict(images)
    wanted = [{key: found[key][i] for key in found} for i in range(len(images))]
    assert compare(answers, wanted, kv.export.load(path).labels) > 30
