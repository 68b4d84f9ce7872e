"""apps/train_detector.py, as people run it."""

import csv
import json
import math
import re

import pytest
from app_runs import assert_refused, run, start, two_hosts
from squares import SHAPES, write_squares

ARGUMENTS = ["squares/boxes.csv", "--run", "run", "--size", "64", "--backbone", "ResNet18"]
ARGUMENTS += ["--backbone-option", "alpha=0.25", "--epochs", "2", "--batch-size", "4"]
ARGUMENTS += ["--score-every", "2"]


def test_train_detector_leaves_a_run(tmp_path):
    write_squares(tmp_path / "squares", 24, seed=0)
    code, output = run("train_detector.py", *ARGUMENTS, folder=tmp_path)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["passed"], output
    assert code == 0
    assert "class_loss" in output
    assert "Test AP" in output
    assert card["architecture"]["name"] == "SSDLite"
    assert card["architecture"]["input_shape"] == [64, 64, 3]
    assert card["classes"] == SHAPES
    assert set(card["files"]) == {"saved_model", "model.tflite", "model_int8.tflite"}
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [math.isnan(float(row["val_AP50"])) for row in rows] == [True, False]
    assert all(float(row["seconds"]) > 0 for row in rows)
    wider = [text.replace("alpha=0.25", "alpha=0.5") for text in ARGUMENTS]
    code, output = run("train_detector.py", *wider, folder=tmp_path)
    assert code != 0
    assert "pass another --run" in output


@pytest.mark.slow
def test_train_detector_on_two_devices_and_again(tmp_path):
    write_squares(tmp_path / "squares", 24, seed=0)
    code, output = run("train_detector.py", *ARGUMENTS, "--devices", "2", folder=tmp_path)
    assert code == 0, output
    longer = ["9" if text == "2" else text for text in ARGUMENTS]
    code, output = run("train_detector.py", *longer, folder=tmp_path)
    assert code == 0, output
    assert "run is trained: exporting it" in output
    assert "Epoch" not in output
    assert "--epochs 2" in (tmp_path / "run" / "README.md").read_text()


@pytest.mark.slow
def test_train_detector_on_two_hosts(tmp_path):
    write_squares(tmp_path / "squares", 24, seed=0)
    hosts = [
        start("train_detector.py", *ARGUMENTS, folder=tmp_path, TF_CONFIG=config)
        for config in two_hosts()
    ]
    outputs = [host.communicate(timeout=600)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], outputs
    figures = [re.findall(r"(\w*loss|val_AP\w*): ([\d.e-]+)", output) for output in outputs]
    last = [dict(found) for found in figures]
    assert {"class_loss", "box_loss", "val_class_loss", "val_AP50"} <= set(last[0])
    assert last[0] == last[1]
    run_dir = tmp_path / "run"
    assert {path.name for path in run_dir.iterdir()} >= {"history.csv", "model.keras", "run.json"}
    rows = list(csv.DictReader((run_dir / "history.csv").read_text().splitlines()))
    assert float(rows[-1]["class_loss"]) == pytest.approx(float(last[0]["class_loss"]), abs=1e-3)
    assert len(rows) == 2
    code, output = run("train_detector.py", *ARGUMENTS, folder=tmp_path)
    assert code == 0, output
    assert "run is trained: exporting it" in output
    assert json.loads((run_dir / "card.json").read_text())["passed"]


@pytest.mark.slow
def test_train_detector_on_masks(tmp_path):
    arguments = ["scenes", "--model", "MaskRCNN", "--backbone", "ResNet18", "--size", "64"]
    for option in ("feature_pyramid=True", "filters=16", "units=16", "regions=8"):
        arguments += ["--option", option]
    arguments += ["--option", "proposals=(20,10)", "--option", "anchor_sizes=(16,24,32,48,64)"]
    for count in ("train=8", "validation=4", "test=4"):
        arguments += ["--data-option", count]
    arguments += ["--backbone-option", "alpha=0.25", "--epochs", "1", "--batch-size", "4"]
    code, output = run("train_detector.py", *arguments, "--run", "run", folder=tmp_path)
    assert code == 0, output
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert "coco_masks" in card["metrics"]
    assert set(card["files"]) == {"saved_model"}
    assert "mask_loss" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digits"], "digits cannot be read so: it must have boxes"),
        (["nowhere/"], "nowhere"),
        (["scenes", "--model", "ResNet18"], "--model must be one of"),
        (["scenes", "--epochs", "0"], "--epochs must be at least 1"),
        (["scenes", "--data-option", "difficulty=7"], "`difficulty`"),
        (["scenes", "--option", "scales=(0.9,0.1)"], "SSDLite cannot be built so: `scales`"),
        (["scenes", "--option", "filters=3"], "SSDLite cannot be built so"),
        (["scenes", "--split", "train=foo"], "foo"),
    ],
)
def test_train_detector_explains_itself(arguments, said, tmp_path):
    assert_refused("train_detector.py", arguments, said, tmp_path)
