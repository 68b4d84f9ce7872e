"""The run of a detector: its card, its figures, and the commands on its files."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from squares import SHAPES, squares, write_squares
from typer.testing import CliRunner

import kvision as kv
from kvision.cli import app
from kvision.runs import viewing
from kvision.runs.card import model_card
from kvision.runs.tasks import detection as detecting


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def held_out():
    """The run's test pictures."""
    return squares(64, seed=3)


@pytest.fixture(scope="module")
def boxes_file(tmp_path_factory):
    """The same as a CSV file."""
    return write_squares(tmp_path_factory.mktemp("squares") / "data", 64, seed=3)


def test_the_card_tells_how_good_it_is(detector_run, held_out):
    card = json.loads((detector_run / "card.json").read_text())
    assert card["task"] == "detection"
    assert card["passed"]
    images, truth = held_out
    found = kv.evaluation.evaluate_detector(kv.export.load(detector_run), [held_out], SHAPES)
    assert card["metrics"]["coco"] == pytest.approx(found["coco"])
    assert card["metrics"]["coco"]["AP50"] > 0.7
    assert card["metrics"]["objects"] == (truth["classes"] >= 0).sum()
    assert card["files"]["model_int8.tflite"]["check"]["metric_name"] == "COCO AP"
    text = (detector_run / "README.md").read_text()
    for part in ("| AP50 |", "| bright |", "ObjectDetector", "figures/gallery.png", "PASS"):
        assert part in text
    assert "top-1" not in text
    assert {path.name for path in (detector_run / "figures").iterdir()} >= {
        "detection_errors.png",
        "gallery.png",
        "learning_curves.png",
        "per_class_ap.png",
        "precision_recall.png",
    }


def test_the_snippet_of_the_card_runs(detector_run, held_out, tmp_path, monkeypatch):
    text = (detector_run / "README.md").read_text()
    snippet = text.split("```python\n")[1].split("```")[0]
    for file in ("model_int8.tflite", "labels.txt"):
        shutil.copy(detector_run / file, tmp_path)
    Image.fromarray(held_out[0][0]).resize((200, 150)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
    assert Image.open("found.png").size == (200, 150)


def test_the_card_says_which_check_says_nothing(detector_run):
    card = json.loads((detector_run / "card.json").read_text())
    assert card["files"]["model_int8.tflite"]["check"]["doubts"] == []
    card["files"]["model_int8.tflite"]["check"]["doubts"] = ["There was nothing."]
    text = model_card(card, detector_run)
    assert "**PASS, with doubts**" in text
    assert "- `model_int8.tflite` passed, but: There was nothing." in text
    assert "`model.tflite` passed, but" not in text


@pytest.mark.parametrize(
    "file", ["model.keras", "saved_model", "model.tflite", "model_int8.tflite"]
)
def test_evaluate_scores_every_file_alike(file, detector_run, boxes_file):
    result = run("evaluate", detector_run / file, boxes_file)
    assert result.exit_code == 0, result.output
    card = json.loads((detector_run / "card.json").read_text())
    for key in ("AP", "AP50"):
        said = float(re.search(rf"^{key} +([\d.]+)%", result.output, re.M)[1])
        drop = 2 if "int8" in file else 0.06
        assert said == pytest.approx(100 * card["metrics"]["coco"][key], abs=drop)
    assert "64 images" in result.output
    assert "bright" in result.output


def test_evaluate_wants_boxes(detector_run):
    result = run("evaluate", detector_run, "digits")
    assert isinstance(result.exception, ValueError)
    assert "digits must have boxes" in str(result.exception)


def test_evaluate_goes_by_names(detector_run, boxes_file, tmp_path):
    """Without the first class, the data numbers the others from 0."""
    rows = boxes_file.read_text().splitlines()
    blue = {row.split(",")[0] for row in rows if row.endswith("blue")}
    file = tmp_path / "boxes.csv"
    file.write_text("\n".join(row for row in rows if row.split(",")[0] not in blue))
    option = f"image_folder={boxes_file.parent}"
    result = run("evaluate", detector_run, file, "--data-option", option)
    assert result.exit_code == 0, result.output
    assert float(re.search(r"^AP50 +([\d.]+)%", result.output, re.M)[1]) > 70


def test_predict_names_and_draws_objects(detector_run, boxes_file, held_out, tmp_path):
    images, truth = held_out
    sides = truth["boxes"][..., 2] - truth["boxes"][..., 0]
    alone = ((truth["classes"] >= 0).sum(1) == 1) & (sides.max(1) * 64 > 20)
    one = int(np.flatnonzero(alone)[0])
    large = images[one].repeat(4, axis=0).repeat(4, axis=1)
    photo, target = tmp_path / "photo.png", tmp_path / "found.png"
    Image.fromarray(large).save(photo)
    result = run("predict", detector_run / "model_int8.tflite", photo, "--save", target)
    assert result.exit_code == 0, result.output
    label = SHAPES[truth["classes"][one].max()]
    assert re.search(rf"photo.png: 1 object: {label} \d+\.\d%\n", result.output)
    drawn = np.asarray(Image.open(target)).astype(int)
    assert drawn.shape == (256, 256, 3)
    number = truth["classes"][one].argmax()
    top, left, bottom, right = (truth["boxes"][one][number] * 256).round().astype(int)
    changed = np.abs(drawn - large).max(-1) > 20
    edges = np.zeros_like(changed)
    edges[max(top - 8, 0) : bottom + 8, max(left - 8, 0) : right + 8] = True
    edges[top + 8 : bottom - 8, left + 8 : right - 8] = False
    assert changed[edges].mean() > 5 * changed[~edges].mean()

    several = run("predict", detector_run / "model.tflite", boxes_file.parent, "--save", target)
    assert "boxes.csv: skipped" in several.output
    assert min(Image.open(target).size) > 200
    nothing = run("predict", detector_run / "model.tflite", photo, "--score", "1")
    assert f"{photo.name}: 0 objects\n" in nothing.output


def test_a_viewer_names_the_surest(detector_run, held_out):
    images, truth = held_out
    full = next(i for i, row in enumerate(truth["classes"]) if (row >= 0).all())
    loaded = kv.export.load(detector_run)
    found = loaded.predict(images[full][None])
    sure = int((found["scores"][0] >= 0.5).sum())
    assert sure > 1
    view = viewing.viewer(loaded, top=1)
    first = SHAPES[found["classes"][0, 0]]
    assert re.fullmatch(
        rf"{sure} objects: {first} \d+\.\d% and {sure - 1} more", view.look(images[full])
    )
    # The shorter side is kept: what is seen of a wide photo is its middle.
    wide = np.concatenate([images[full]] * 3, axis=1)
    cropped = viewing.viewer(loaded, "crop", top=1)
    assert cropped.look(wide) == view.look(images[full])
    assert cropped.pictures[0].shape == (64, 64, 3)


def test_export_proves_the_file(detector_run, boxes_file, tmp_path):
    target = tmp_path / "small.tflite"
    options = ["--quantize", "dynamic", "--postprocess", "--split", "train", "--output", target]
    result = run("export", detector_run, boxes_file, *options)
    assert result.exit_code == 0, result.output
    assert kv.export.describe(target).custom_operators == ["TFLite_Detection_PostProcess"]
    assert kv.export.describe(target).labels == SHAPES
    assert "COCO AP" in result.output


def objects(boxes, classes, scores=None):
    found = {"boxes": np.array(boxes, "float32").reshape(-1, 4), "classes": np.array(classes)}
    return found if scores is None else {**found, "scores": np.array(scores, "float32")}


LEFT, RIGHT = (0.1, 0.1, 0.9, 0.4), (0.1, 0.6, 0.9, 0.9)


@pytest.mark.parametrize(
    ("prediction", "share"),
    [
        (objects([LEFT, RIGHT], [0, 1], [0.9, 0.8]), 1),
        (objects([LEFT], [0], [0.9]), 2 / 3),
        (objects([LEFT, LEFT], [0, 0], [0.9, 0.8]), 2 / 4),  # found twice is wrong once
        (objects([LEFT, RIGHT], [1, 0], [0.9, 0.8]), 0),  # each has the other's class
        (objects([LEFT, RIGHT], [0, 1], [0.9, 0.4]), 2 / 3),  # too unsure to count
        (objects([], [], []), 0),
    ],
)
def test_share_of_right_objects(prediction, share):
    truth = objects([LEFT, RIGHT, (0, 0, 0, 0)], [0, 1, -1])
    assert detecting.share_right(truth, prediction) == pytest.approx(share)


def test_nothing_found_where_nothing_is():
    assert detecting.share_right(objects([], []), objects([LEFT], [0], [0.4])) == 1.0


def test_the_gallery_has_the_worst(held_out):
    """Every picture's first object is found, and nothing else."""
    images, truth = held_out

    class First:
        def predict(self, images, batch_size=None, verbose=0):
            rows = [np.flatnonzero((images[i] == held_out[0]).all((1, 2, 3)))[0] for i in range(8)]
            taken = {key: truth[key][rows, :1] for key in ("boxes", "classes")}
            return {**taken, "scores": np.where(taken["classes"] < 0, 0, 0.9)}

    batches = [
        (images[i : i + 8], {key: value[i : i + 8] for key, value in truth.items()})
        for i in range(0, 64, 8)
    ]
    sample = detecting.Pictures(most=5)
    detecting.evaluate(First(), batches, SHAPES, each=sample)
    assert sample.seen == 64
    count = (truth["classes"] >= 0).sum(1)
    shares = np.sort(np.where(count > 0, 2 / (count + 1), 1.0))
    assert [row[0] for row in sample.kept] == pytest.approx(shares[:5])
    for share, number, picture, *_ in sample.kept:
        assert share == pytest.approx(2 / (count[number] + 1))
        np.testing.assert_array_equal(picture, images[number])
