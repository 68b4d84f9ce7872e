"""COCO's AP in NumPy is pycocotools'."""

import contextlib
import io

import numpy as np
import pytest

from kvision.export.proof.average_precision import AveragePrecision

CLASSES = 4


def pictures(seed, count=30):
    """Random truth, and detections near it, doubled, confused, of tied scores, or of nothing."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        objects = random.integers(0, 7)
        low = random.uniform(0, 0.6, (objects, 2))
        boxes = np.concatenate([low, low + random.uniform(0.05, 0.4, (objects, 2))], -1)
        truth = {
            "boxes": boxes,
            "classes": random.integers(-1, CLASSES - 1, objects),  # the last class has no objects
            "crowd": random.random(objects) < 0.15,
            "difficult": random.random(objects) < 0.15,
        }
        sources = random.integers(0, max(objects, 1), 12 if objects else 0)
        found = boxes[sources] + random.normal(0, 0.008, (len(sources), 4))
        classes = np.where(
            random.random(len(sources)) < 0.7,
            truth["classes"][sources],
            random.integers(-1, CLASSES, len(sources)),
        )
        stray = np.sort(random.uniform(0, 1, (3, 2, 2)), axis=1).reshape(3, 4)
        found = np.concatenate([found, stray])
        classes = np.concatenate([classes, random.integers(0, CLASSES, 3)])
        yield found, classes, random.uniform(0, 1, len(found)).round(1), truth


def by_pycocotools(samples):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def sides(boxes):
        return [[x, y, right - x, low - y] for y, x, low, right in (1000 * boxes).tolist()]

    true, found = [], []
    for image, (boxes, classes, scores, truth) in enumerate(samples, 1):
        rows = zip(*truth.values(), sides(truth["boxes"]), strict=True)
        for _, label, crowd, difficult, box in rows:
            if label >= 0:
                # What lies outside the range of areas is ignored, as difficult objects are.
                true.append({"image_id": image, "category_id": int(label), "bbox": box})
                true[-1] |= {"iscrowd": int(crowd), "area": -1 if difficult else box[2] * box[3]}
                true[-1]["id"] = len(true)
        for label, score, box in zip(classes, scores, sides(boxes), strict=True):
            if label >= 0:
                found.append({"image_id": image, "category_id": int(label), "bbox": box})
                found[-1] |= {"score": float(score), "area": box[2] * box[3], "id": len(found)}
    with contextlib.redirect_stdout(io.StringIO()):
        both = []
        for annotations in (true, found):
            side = COCO()
            side.dataset = {
                "images": [{"id": i} for i in range(1, len(samples) + 1)],
                "categories": [{"id": i} for i in range(CLASSES)],
                "annotations": annotations,
            }
            side.createIndex()
            both.append(side)
        evaluation = COCOeval(*both, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


@pytest.mark.parametrize("seed", range(4))
def test_equals_pycocotools(seed):
    samples = list(pictures(seed))
    precision = AveragePrecision()
    for sample in samples:
        precision.add(*sample)
    wanted = by_pycocotools(samples)
    assert 0.1 < wanted < 0.9
    assert precision.result() == pytest.approx(wanted, abs=1e-12)


def test_worked_by_hand():
    # Two objects; the better detection misses, the second hits one at IoU 1: precision is 1/2 up to
    # recall 1/2, which are 51 of the 101 recalls, and 0 beyond.
    truth = {"boxes": np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]), "classes": np.zeros(2, int)}
    boxes = np.array([[0, 0.6, 0.3, 0.9], [0, 0, 0.5, 0.5]])
    precision = AveragePrecision()
    precision.add(boxes, np.zeros(2, int), np.array([0.9, 0.8]), truth)
    assert precision.result() == pytest.approx(51 / 101 / 2)


def test_without_objects_there_is_none():
    precision = AveragePrecision()
    assert precision.result() is None
    empty = {"boxes": np.zeros((0, 4)), "classes": np.zeros(0, int)}
    precision.add(np.ones((1, 4)), np.zeros(1, int), np.ones(1), empty)
    assert precision.result() is None


def test_more_than_a_hundred_detections_of_a_class_do_not_count():
    truth = {"boxes": np.array([[0, 0, 1, 1.0]]), "classes": np.zeros(1, int)}
    stray = np.tile([[0, 0, 0.1, 0.1]], (100, 1))
    for before, wanted in ((99, 0.01), (100, 0.0)):
        precision = AveragePrecision()
        boxes = np.concatenate([stray[:before], truth["boxes"]])
        scores = np.linspace(1, 0.5, len(boxes))
        precision.add(boxes, np.zeros(len(boxes), int), scores, truth)
        assert precision.result() == pytest.approx(wanted)
