"""COCO's numbers equal pycocotools run by hand on files, and keras-cv's."""

import json

import numpy as np
import pytest
from prepared_detections import NAMES, Fixed, in_batches, padded, world

import kvision as kv
from kvision.evaluation.coco_ap import COCO_NUMBERS
from kvision.evaluation.detection_pictures import enlarged_codes


def by_hand(pictures, tmp_path, kind="bbox"):
    """pycocotools as its own demo runs it, on files, with ids of its own."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ids = [3, 7, 8, 90]
    annotations, results = [], []
    for number, picture in enumerate(pictures):
        for o in picture["true"]:
            annotations.append(
                {
                    "id": 1000 + len(annotations),
                    "image_id": 17 * number,
                    "category_id": ids[o["class"]],
                    "iscrowd": o.get("crowd", 0),
                    **{key: o[key] for key in ("bbox", "area", "segmentation") if key in o},
                }
            )
        for o in picture["found"]:
            shape = {"bbox": o["bbox"]} if kind == "bbox" else {"segmentation": o["segmentation"]}
            results.append(
                {
                    "image_id": 17 * number,
                    "category_id": ids[o["class"]],
                    "score": o["score"],
                    **shape,
                }
            )
    truth = {
        "images": [
            {"id": 17 * number, "height": p["size"][0], "width": p["size"][1]}
            for number, p in enumerate(pictures)
        ],
        "categories": [{"id": i, "name": n} for i, n in zip(ids, NAMES, strict=True)],
        "annotations": annotations,
    }
    for name, content in (("truth", truth), ("results", results)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    coco = COCO(str(tmp_path / "truth.json"))
    evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / "results.json")), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", range(3))
def test_equals_pycocotools_run_by_hand(seed, tmp_path, capsys):
    pictures = world(seed)
    evaluation = by_hand(pictures, tmp_path)
    capsys.readouterr()
    result = kv.evaluation.evaluate_detector(*in_batches(pictures), NAMES)
    assert capsys.readouterr().out == ""
    assert list(result["coco"]) == list(COCO_NUMBERS)
    np.testing.assert_allclose(list(result["coco"].values()), evaluation.stats, atol=1e-9)
    assert all(0 < value < 1 for value in result["coco"].values())
    assert result["images"] == len(pictures)
    precision = evaluation.eval["precision"]
    for index, row in enumerate(result["per_class"][:3]):
        assert row["AP"] == pytest.approx(precision[:, :, index, 0, 2].mean(), abs=1e-9)
        assert row["AP50"] == pytest.approx(precision[0, :, index, 0, 2].mean(), abs=1e-9)
        for name, step in (("precision_50", 0), ("precision_75", 5)):
            curve = result["curves"][name][index]
            np.testing.assert_allclose(curve, precision[step, :, index, 0, 2], atol=1e-4)
        true = [o for p in pictures for o in p["true"] if o["class"] == index]
        assert row["objects"] == len(true) - sum(o["crowd"] for o in true) > 0
    cow = result["per_class"][3]
    assert (cow.pop("name"), cow.pop("objects"), set(cow.values())) == ("cow", 0, {None})
    assert result["curves"]["precision_50"][3] is None
    assert len(result["curves"]["recall"]) == 101
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_batches_names_and_padding_change_nothing():
    pictures = world(4, count=9)
    expected = kv.evaluation.evaluate_detector(*in_batches(pictures), NAMES)
    other = kv.evaluation.evaluate_detector(*in_batches(pictures, batch_size=1), NAMES)
    assert other == expected
    unnamed = kv.evaluation.evaluate_detector(*in_batches(pictures))
    assert [row["name"] for row in unnamed["per_class"]] == ["0", "1", "2", "3"]
    assert unnamed["coco"] == expected["coco"]
    for picture in pictures:  # the order of objects and detections is of no account
        picture["true"].reverse()
    assert kv.evaluation.evaluate_detector(*in_batches(pictures), NAMES) == expected


def test_objects_of_exactly_32_by_32_pixels_are_small_and_medium():
    true = [{"bbox": [17.0, 33.0, 32.0, 32.0], "class": 0, "area": 1024.0}]
    found = [{"bbox": [17.0, 33.0, 32.0, 32.0], "class": 0, "score": 0.5}]
    for size in ((333, 501), (4001, 6007), (67, 71)):
        model, batches = in_batches([{"size": size, "true": true, "found": found}])
        numbers = kv.evaluation.evaluate_detector(model, batches)["coco"]
        assert numbers["AP_small"] == numbers["AP_medium"] == pytest.approx(1)
        assert numbers["AP_large"] is None


def test_equals_keras_cv(tmp_path):
    keras_cv = pytest.importorskip("keras_cv")
    pictures = world(5, count=8, crowd=0.0)
    for picture in pictures:
        picture["found"] = picture["found"] or [{"bbox": [1, 1, 2, 2], "class": 3, "score": 0.01}]
        for o in picture["true"]:
            o["area"] = o["bbox"][2] * o["bbox"][3]
    metric = keras_cv.metrics.BoxCOCOMetrics("xywh", evaluate_freq=1)
    most = max(max(len(p["true"]), len(p["found"])) for p in pictures)

    def stacked(side, key):
        rows = [[o[key] for o in p[side]] for p in pictures]
        empty = (np.zeros((0, 4)), np.zeros(0))[key != "bbox"]
        return padded([np.array(row or empty, "float32") for row in rows], most, -1)

    truth = {"boxes": stacked("true", "bbox"), "classes": stacked("true", "class")}
    found = {"boxes": stacked("found", "bbox"), "classes": stacked("found", "class")}
    metric.update_state(truth, {**found, "confidence": stacked("found", "score")})
    theirs = [float(value) for value in metric.result(force=True).values()]
    ours = kv.evaluation.evaluate_detector(*in_batches(pictures))["coco"]
    np.testing.assert_allclose(list(ours.values()), theirs, atol=1e-6)


def halves(random, count, size):
    """Objects of 28x28 pixels with a random mask of 28x28, at random whole places."""
    objects = []
    for _ in range(count):
        y, x = (int(random.integers(0, length - 28)) for length in size)
        mask = np.zeros((28, 28), "uint8")
        mask[: random.integers(8, 28), random.integers(0, 12) :] = 1
        objects.append({"bbox": [x, y, 28, 28], "class": int(random.integers(0, 2)), "mask": mask})
    return objects


def test_overlaps_of_whole_pixels_are_exact():
    # The IoU is 0.5, whatever the size of the picture makes of the boxes in float32.
    true = [{"bbox": [17.0, 33.0, 13.0, 29.0], "class": 0, "area": 377.0}]
    found = [{"bbox": [17.0, 33.0, 26.0, 29.0], "class": 0, "score": 0.5}]
    for length in range(80, 120):
        model, batches = in_batches([{"size": (length, length), "true": true, "found": found}])
        result = kv.evaluation.evaluate_detector(model, batches)
        assert result["coco"]["AP50"] == pytest.approx(1)
        assert result["voc"]["AP_area"] == 1


def test_true_masks_are_enlarged_about_the_middle_of_pixels():
    from pycocotools import mask as coding

    small = np.array([[[1, 0], [0, 1]]])
    code = enlarged_codes(small, (3, 5))[0]
    assert coding.decode(code).tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]]
    wide = np.arange(12).reshape(1, 2, 6) % 2
    assert coding.decode(enlarged_codes(wide, (2, 2))[0]).tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("enlarged", [1, 2])
def test_masks_equal_pycocotools_run_by_hand(enlarged, tmp_path):
    from pycocotools import mask as coding

    random = np.random.default_rng(0)
    pictures, batches, answers = [], [], []
    for _ in range(6):
        size = (60 * enlarged, 80 * enlarged)
        true = halves(random, 3, (60, 80))
        found = [
            {**o, "mask": np.roll(o["mask"], random.integers(0, 4, 2), (0, 1))} for o in true
        ] + halves(random, 2, (60, 80))
        masks = {}
        for name, objects in (("true", true), ("found", found)):
            masks[name] = np.zeros((len(objects), 60, 80), "uint8")
            for whole, o in zip(masks[name], objects, strict=True):
                x, y, *_ = o["bbox"]
                whole[y : y + 28, x : x + 28] = o["mask"]
                frame = np.asfortranarray(whole.repeat(enlarged, 0).repeat(enlarged, 1))
                code = coding.encode(frame)
                o.update(segmentation={**code, "counts": code["counts"].decode()})
                o.update(area=float(frame.sum()), score=float(random.integers(3, 9) / 9))
        for o in found[3:]:
            o.update(score=o["score"] / 2)
        found.sort(key=lambda o: -o["score"])
        pictures.append({"size": size, "true": true, "found": found})
        model, [(images, truth)] = in_batches(
            [{**pictures[-1], **{k: scaled(pictures[-1][k], enlarged) for k in ("true", "found")}}]
        )
        truth["masks"] = np.concatenate([masks["true"], np.ones((1, 60, 80), "uint8")])[None]
        batches.append((images, truth))
        # 56x56 cells of an enlarged one would be exact; 28x28 are so at their own size only.
        small = np.stack([o["mask"].repeat(enlarged, 0).repeat(enlarged, 1) for o in found])
        pad = np.ones((2, *small.shape[1:]))
        answers.append({**model.answers[0], "masks": np.concatenate([small, pad])[None]})
    result = kv.evaluation.evaluate_detector(Fixed(answers), batches, NAMES)
    expected = by_hand(pictures, tmp_path, "segm")
    numbers = [-1 if value is None else value for value in result["coco_masks"].values()]
    np.testing.assert_allclose(numbers, expected.stats, atol=1e-9)
    assert 0.2 < result["coco_masks"]["AP"] < 0.95
    assert result["coco_masks"]["AP"] < result["coco"]["AP"]
    for index in (0, 1):
        precision = expected.eval["precision"][:, :, index, 0, 2]
        row = result["per_class"][index]
        assert row["mask_AP"] == pytest.approx(precision.mean(), abs=1e-9)
        assert row["mask_AP50"] == pytest.approx(precision[0].mean(), abs=1e-9)
    json.dumps(result, allow_nan=False)


def scaled(objects, factor):
    return [{**o, "bbox": [factor * value for value in o["bbox"]]} for o in objects]
