"""Crowds, difficult objects, empty pictures and kinds of errors, as one counts them by hand."""

import json
import warnings

import numpy as np
import pytest
from prepared_detections import NAMES, Fixed, in_batches, world

import kvision as kv

A, B, CORNER = [0, 0, 20, 20], [50, 50, 20, 20], [80, 80, 20, 20]


def one_picture(true, found):
    defaults = {"class": 0, "area": 400.0}
    true = [{**defaults, **o} for o in true]
    found = [{"class": 0, "score": 0.9 - 0.1 * i, **o} for i, o in enumerate(found)]
    model, batches = in_batches([{"size": (100, 100), "true": true, "found": found}])
    return kv.evaluation.evaluate_detector(model, batches, ["cat", "dog"])


def test_crowds_count_neither_way():
    field = {"bbox": [30, 30, 70, 70], "crowd": 1}
    # Two in the crowd come before the one that is right, and do no harm.
    both = [{"bbox": B}, {"bbox": CORNER}, {"bbox": A}]
    result = one_picture([{"bbox": A}, field], both)
    assert result["coco"]["AP"] == pytest.approx(1)
    assert result["voc"] == {"AP_area": 1.0, "AP_11_point": 1.0}
    assert (result["objects"], result["per_class"][0]["precision"]) == (1, 1.0)
    assert result["errors"]["missed"]["count"] == 0
    # Half of it must be on the crowd; and the crowd must be of its class.
    for other in (field | {"bbox": [30, 30, 29, 70]}, field | {"class": 1}):
        worse = one_picture([{"bbox": A}, other], both[:1] + both[2:])
        assert worse["coco"]["AP"] == pytest.approx(0.5)
        assert worse["voc"]["AP_area"] == 0.5
    # An object in the crowd that counts is found, not swallowed.
    inside = one_picture([{"bbox": A}, {"bbox": B}, field], both)
    assert inside["voc"]["AP_area"] == inside["coco"]["AP50"] == pytest.approx(1)


def test_difficult_objects_need_not_be_found():
    hard = {"bbox": B, "difficult": 1}
    result = one_picture([{"bbox": A}, hard], [{"bbox": B}, {"bbox": A}])
    missed = one_picture([{"bbox": A}, hard], [{"bbox": A}])
    for scores in (result, missed):
        assert scores["coco"]["AR100"] == 1
        assert scores["coco"]["AP"] == pytest.approx(1)
        assert scores["voc"]["AP_area"] == 1
        assert scores["objects"] == 1
        assert scores["coco"]["AP_large"] is None
    # Twice the same: VOC ignores both, COCO the first.
    twice = one_picture([{"bbox": A}, hard], [{"bbox": B}, {"bbox": B}, {"bbox": A}])
    assert twice["voc"]["AP_area"] == 1
    assert twice["coco"]["AP"] == pytest.approx(0.5)
    # Not a crowd: what lies in it without being it is wrong.
    part = one_picture([{"bbox": A}, hard], [{"bbox": [52, 52, 5, 5]}, {"bbox": A}])
    assert part["coco"]["AP"] == pytest.approx(0.5)
    assert part["voc"]["AP_area"] == 0.5


def test_pictures_without_detections_count():
    one = {"size": (100, 100), "true": [{"bbox": A, "class": 0, "area": 400.0}], "found": []}
    hit = {**one, "found": [{"bbox": A, "class": 0, "score": 0.9}]}
    none = {**hit, "true": []}
    scores = {}
    for name, pictures in (("missed", [hit, one, one, one]), ("false", [none, hit])):
        scores[name] = kv.evaluation.evaluate_detector(*in_batches(pictures), NAMES)
    assert scores["missed"]["coco"]["AR100"] == pytest.approx(1 / 4)
    assert scores["missed"]["coco"]["AP"] == pytest.approx(26 / 101)  # recalls 0 to .25
    assert scores["missed"]["voc"]["AP_area"] == 1 / 4
    assert scores["false"]["coco"]["AP"] == pytest.approx(1 / 2)
    assert scores["false"]["voc"]["AP_area"] == 1 / 2
    assert scores["false"]["images"] == 2


def test_nothing_found_and_nothing_there():
    one = {"size": (100, 100), "true": [{"bbox": A, "class": 0, "area": 400.0}], "found": []}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        blind = kv.evaluation.evaluate_detector(*in_batches([one]), NAMES)
        empty = kv.evaluation.evaluate_detector(*in_batches([{**one, "true": []}]), NAMES)
        void = kv.evaluation.evaluate_detector(*in_batches([{**one, "true": []}]))
    assert (blind["coco"]["AP"], blind["coco"]["AP_large"]) == (0, None)
    assert blind["voc"] == {"AP_area": 0.0, "AP_11_point": 0.0}
    assert blind["errors"]["missed"] == {"count": 1, "share": 1.0, "gain": 1.0}
    assert set(empty["coco"].values()) | set(empty["voc"].values()) == {None}
    assert (empty["images"], empty["objects"], empty["detections"]) == (1, 0, 0)
    assert (void["per_class"], void["coco"]["AP"]) == ([], None)
    for result in (blind, empty, void):
        json.dumps(result, allow_nan=False)


def test_kinds_of_errors_by_hand():
    true = [{"bbox": A}, {"bbox": B}, {"bbox": CORNER, "class": 1}, {"bbox": [0, 60, 20, 20]}]
    shifted, far = [8, 0, 20, 20], [30, 0, 10, 10]  # IoU of 3/7 with A
    kinds = {
        "correct": {"bbox": B},
        "duplicate": {"bbox": [51, 50, 20, 20]},
        "localisation": {"bbox": shifted},
        "confusion": {"bbox": CORNER},
        "both": {"bbox": [88, 80, 20, 20]},
        "background": {"bbox": far},
    }
    for kind, one in kinds.items():
        found = [{"bbox": B, "score": 0.95}] if kind == "duplicate" else []
        errors = one_picture(true[: 3 if kind == "duplicate" else 2] + [true[2]], [*found, one])[
            "errors"
        ]
        counted = {k: row["count"] for k, row in errors.items() if k != "missed" and row["count"]}
        assert counted == ({"correct": 1, kind: 1} if found else {kind: 1})
    # All at once, five looked at, as there are three cats and ... none of the dog is found.
    everything = one_picture(true, list(kinds.values()))["errors"]
    assert sum(row["count"] for k, row in everything.items() if k != "missed") == 3
    assert everything["correct"] == {"count": 1, "share": 1 / 3, "gain": None}
    assert everything["missed"]["count"] == 1  # the last cat; nobody came near
    assert everything["missed"]["share"] == 1 / 4


def test_gains_of_repairs_by_hand():
    # One class, four cats: found, shifted, shifted, missed; something in the background first.
    cats = [A, B, [0, 60, 20, 20], [60, 0, 20, 20]]
    true = [{"bbox": box} for box in cats]
    found = [
        {"bbox": [30, 30, 10, 10]},
        {"bbox": A},
        {"bbox": [1, 0, 20, 20]},
        {"bbox": [58, 50, 20, 20]},
        {"bbox": [8, 60, 20, 20]},
        {"bbox": [8, 61, 20, 20]},
    ]
    result = one_picture(true, found)
    now = 1 / 4 * 1 / 2
    assert result["voc"]["AP_area"] == now
    gains = {kind: row["gain"] for kind, row in result["errors"].items()}
    # Verdicts by score: F T F(duplicate) then the shifted become T T, the second of one goes away.
    assert gains["localisation"] == pytest.approx((3 / 5 + 3 / 5 + 3 / 5) / 4 - now)
    assert gains["background"] == pytest.approx(1 / 4 - now)
    assert gains["duplicate"] == gains["confusion"] == gains["both"] == 0
    assert gains["missed"] == pytest.approx(1 / 3 * 1 / 2 - now)
    # A confusion repaired counts in the class that it should have been.
    mixed = one_picture([{"bbox": A}, {"bbox": B, "class": 1}], [{"bbox": B}, {"bbox": A}])
    assert mixed["voc"]["AP_area"] == (1 / 2 + 0) / 2
    assert mixed["errors"]["confusion"]["gain"] == pytest.approx(1 - 1 / 4)


def test_without_sizes_flags_and_areas():
    boxes = np.array([[[0.0, 0.0, 0.5, 0.5]]])
    truth = {"boxes": boxes, "classes": np.array([[1]])}
    answer = {"boxes": boxes, "classes": np.array([[1.0]]), "scores": np.array([[0.5]])}
    result = kv.evaluation.evaluate_detector(Fixed([answer]), [(np.zeros((1, 64, 64, 3)), truth)])
    assert result["coco"]["AP"] == result["coco"]["AP_small"] == pytest.approx(1)


def test_what_cannot_be_scored():
    [picture] = world(1, count=1)
    model, [(images, truth)] = in_batches([picture])
    [answer] = model.answers

    def evaluate(answer=answer, truth=truth, names=NAMES):
        return kv.evaluation.evaluate_detector(Fixed([answer]), [(images, truth)], names)

    evaluate()
    with pytest.raises(ValueError, match="must be pictures to evaluate on. Received: an empty"):
        kv.evaluation.evaluate_detector(model, [])
    with pytest.raises(ValueError, match=r"target='objects'\). Received: ndarray"):
        evaluate(truth=np.zeros(3))
    with pytest.raises(ValueError, match=r"target='objects'\). Received: \['boxes'\]"):
        evaluate(truth={"boxes": truth["boxes"]})
    with pytest.raises(ValueError, match="Classes must be 0 to 0, as there are 1 class names"):
        evaluate(names=["cat"])
    with pytest.raises(ValueError, match="a dict with 'boxes', .* Received: ndarray"):
        evaluate(np.zeros(3))
    with pytest.raises(ValueError, match=r"a dict with 'boxes', .* Received: \['scores'\]"):
        evaluate({"scores": answer["scores"]})
    with pytest.raises(ValueError, match="Received boxes of shape .* for 1 images"):
        evaluate({**answer, "boxes": answer["boxes"][..., :3]})
    with pytest.raises(ValueError, match="Received scores of shape .* for 1 images"):
        evaluate({**answer, "scores": np.repeat(answer["scores"], 2, 0)})
    for key in ("boxes", "scores"):
        with pytest.raises(ValueError, match="Detections must be finite"):
            evaluate({**answer, key: answer[key] * np.nan})
