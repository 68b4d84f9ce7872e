"""The whole of R-CNN on easy scenes: it finds the objects, and moving boxes helps."""

import numpy as np

import kvision as kv
from kvision.classical.described import overlaps


def padded(truths):
    """Truths of a batch as data sets give them."""
    most = max(len(truth["classes"]) for truth in truths)
    boxes = np.zeros((len(truths), most, 4), "float32")
    classes = np.full((len(truths), most), -1)
    for index, truth in enumerate(truths):
        number = len(truth["classes"])
        boxes[index, :number], classes[index, :number] = truth["boxes"], truth["classes"]
    return {"boxes": boxes, "classes": classes}


class WithProposals:
    """The detector as evaluation takes it, on regions found before."""

    def __init__(self, detector, proposals):
        self.detector, self.proposals = detector, proposals

    def predict(self, images, batch_size=None):
        return self.detector.predict(images, batch_size, self.proposals)


def test_finds_objects_of_scenes_it_has_not_seen(fitted, scenes):
    (images, truths, proposals), names = scenes[1:]
    batches = [(np.stack(images), padded(truths))]
    model = WithProposals(fitted[0], proposals)
    result = kv.evaluation.evaluate_detector(model, batches, names)
    assert result["images"] == len(images)
    assert result["coco"]["AP50"] > 0.9
    # Pictures of noise, where nothing is, come out empty or weak.
    noise = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 3), "uint8")
    weak = fitted[0].predict(noise)["scores"]
    strong = fitted[0].predict(images[:2], proposals=proposals[:2])["scores"]
    assert weak.max() < 0.7 * strong[:, :3].mean()


def test_moving_boxes_brings_them_nearer(fitted, scenes):
    """Mean IoU, with the object they are near, of regions of scenes it has not seen."""
    detector, (images, truths, proposals) = fitted[0], scenes[1]
    before, after = [], []
    for image, truth, boxes in zip(images, truths, proposals, strict=True):
        overlap = overlaps(boxes, truth["boxes"])
        near = overlap.max(axis=1) > 0.6
        kinds = truth["classes"][overlap.argmax(axis=1)]
        _, maps = detector.regions(image, boxes)
        scaled = maps * detector.scales_[1]
        moved = kv.classical.move_boxes(boxes, scaled, detector.box_weights_, detector.box_biases_)
        moved = moved[kinds, np.arange(len(boxes))]
        before.append(overlap.max(axis=1)[near])
        after.append(overlaps(moved, truth["boxes"]).max(axis=1)[near])
    before, after = np.concatenate(before).mean(), np.concatenate(after).mean()
    assert after > before + 0.02


def test_a_detection_is_a_region_as_its_class_moves_it(fitted, scenes):
    detector, (images, _, proposals) = fitted[0], scenes[1]
    found = detector.predict(images[:4], proposals=proposals[:4])
    for index in range(4):
        features, maps = detector.regions(images[index], proposals[index])
        scores = detector.scores(features)
        region, kind = np.unravel_index(scores.argmax(), scores.shape)
        moved = kv.classical.move_boxes(
            proposals[index][[region]],
            maps[[region]] * detector.scales_[1],
            detector.box_weights_[kind],
            detector.box_biases_[kind],
        )
        assert found["classes"][index, 0] == kind
        np.testing.assert_allclose(found["scores"][index, 0], scores.max(), atol=1e-5)
        np.testing.assert_allclose(found["boxes"][index, 0], moved[0], atol=1e-5)
        assert np.abs(moved[0] - proposals[index][region]).max() > 1e-4


def test_detections_are_sorted_padded_and_apart(fitted, scenes):
    images, _, proposals = scenes[1]
    found = fitted[0].predict(images, proposals=proposals)
    assert found["boxes"].dtype == found["scores"].dtype == np.float32
    assert found["classes"].dtype == np.int32
    assert (np.diff(found["scores"], axis=1) <= 0).all()
    empty = found["classes"] == -1
    assert empty.any()
    assert not found["boxes"][empty].any()
    assert not found["scores"][empty].any()
    for boxes, classes in zip(found["boxes"], found["classes"], strict=True):
        for kind in set(classes.tolist()) - {-1}:
            same = boxes[classes == kind]
            assert (np.triu(overlaps(same, same), 1) <= 0.3 + 1e-6).all()


def test_order_of_pictures_and_objects_changes_nothing(fitted, scenes):
    (images, truths, proposals), _, names = scenes
    chosen = [3, 1, 0, 2]
    turned = [{key: values[::-1] for key, values in truths[index].items()} for index in chosen]
    first, second = (
        kv.classical.RCNN(fitted[0].classifier, names, mining_epochs=3).fit(*given, verbose=0)
        for given in (
            (images[:4], truths[:4], proposals[:4]),
            ([images[i] for i in chosen], turned, [proposals[i] for i in chosen]),
        )
    )
    scores = [
        detector.predict(images[:4], proposals=proposals[:4])["scores"][:, :3]
        for detector in (first, second)
    ]
    np.testing.assert_allclose(*scores, atol=0.02)
