"""The scripts that people run and copy, as they run them."""

import csv
import json
import signal
import time

import numpy as np
import pytest
from app_runs import assert_refused, cells, drawings, photos, run, start
from PIL import Image
from typer.testing import CliRunner

import kvision as kv
from kvision.cli import app


def test_train_classifier_resumes_and_leaves_a_run(tmp_path):
    photos(tmp_path / "photos", ["green", "blue"])
    arguments = ["photos", "--model", "LeNet5", "--option", "variant=modern", "--size", "32"]
    arguments += ["--epochs", "30", "--batch-size", "4", "--run", "run", "--balance"]
    killed = start("train_classifier.py", *arguments, folder=tmp_path)
    deadline = time.monotonic() + 300
    while not (tmp_path / "run" / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL, "the run was over before it could be killed"
    done = len(list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines())))
    assert 0 < done < 30

    code, output = run("train_classifier.py", *arguments, folder=tmp_path)
    assert code == 0, output
    assert f"Epoch {done}/30" not in output, "it began anew"
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == list(range(30))
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["passed"]
    assert card["classes"] == ["blue", "green"]
    assert card["command"].startswith("python ")
    assert {path.name for path in (tmp_path / "run" / "figures").iterdir()} == {
        "confusion_matrix.png",
        "filters.png",
        "learning_curves.png",
        "predictions.png",
    }


@pytest.mark.slow
def test_train_classifier_fine_tunes_other_classes(tmp_path, digits_run):
    photos(tmp_path / "photos", ["black", "red", "sky"])
    arguments = ["photos", "--model", "LeNet5", "--option", "variant=modern", "--size", "32"]
    arguments += ["--channels", "1", "--weights", digits_run, "--epochs", "2", "--head-epochs", "2"]
    code, output = run("train_classifier.py", *arguments, "--run", "run", folder=tmp_path)
    assert (tmp_path / "run" / "card.json").exists(), output
    assert output.count("Epoch 1/2") == 2, "the classifier alone, then everything"
    assert json.loads((tmp_path / "run" / "card.json").read_text())["classes"] == [
        "black",
        "red",
        "sky",
    ]
    # Again: the training is over, so only the export is made anew.
    again, output = run("train_classifier.py", *arguments, "--run", "run", folder=tmp_path)
    assert again == code
    assert "Epoch" not in output
    assert "run is trained: exporting it" in output
    # With other data: the finished run is not touched.
    before = (tmp_path / "run" / "card.json").read_text()
    photos(tmp_path / "others", ["cold", "warm"])
    other = ["others", *arguments[1:], "--run", "run"]
    code, output = run("train_classifier.py", *other, folder=tmp_path)
    assert code != 0
    assert "pass another --run" in output
    assert (tmp_path / "run" / "card.json").read_text() == before
    # With another picture: what was tested on might have been learned from.
    (tmp_path / "photos" / "red" / "0.png").rename(tmp_path / "photos" / "red" / "one.png")
    assert_refused("train_classifier.py", [*arguments, "--run", "run"], "pass another", tmp_path)
    assert (tmp_path / "run" / "card.json").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("AlexNet", 67, ("alpha=0.125", "dropout=0.0")),
        ("VGG11LRN", 32, ("alpha=0.125",)),
        ("GoogLeNet", 32, ("alpha=0.25", "stem_strides=2")),
        ("InceptionV2", 32, ("alpha=0.25", "stem_strides=2")),
        ("InceptionV3", 32, ("alpha=0.125", "stem_strides=2")),
        ("InceptionV4", 32, ("stem_strides=2", "blocks=(1, 1, 1)")),
        ("ResNet18", 32, ("alpha=0.25", "stem_strides=1", "shortcut=A")),
        ("PlainNetCIFAR", 32, ("depth=8",)),
    ],
)
def test_train_classifier_trains_the_zoo(tmp_path, name, size, options):
    photos(tmp_path / "photos", ["red", "green", "blue"])
    arguments = ["photos", "--model", name, "--size", size, "--run", "run", "--augment", "none"]
    arguments += [part for option in options for part in ("--option", option)]
    arguments += ["--devices", 2, "--epochs", 4, "--batch-size", 8]
    code, output = run("train_classifier.py", *arguments, folder=tmp_path)
    assert (tmp_path / "run" / "card.json").exists(), output
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["architecture"]["name"] == name
    for file in ("saved_model", "model.tflite"):
        assert card["files"][file]["check"]["passed"], card["files"][file]["check"]["reasons"]
    assert code == (0 if card["passed"] else 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digits", "--model", "ResNet18", "--size", "16", "--option", "shortcut=Z"], "`shortcut`"),
        (["digits", "--model", "ResNet18", "--size", "16", "--option", "shortcu=A"], "'shortcu'"),
        (["nowhere/"], "nowhere"),
        (["scenes", "--data-option", "train=8"], "scenes cannot be read so: it must have labels"),
        (["digits", "--model", "UNet"], "--model must be one of"),
        (["digits", "--split", "train=foo"], "foo"),
        (["digits", "--devices", "0"], "must be 1 or more"),
    ],
)
def test_train_classifier_explains_itself(arguments, said, tmp_path):
    assert_refused("train_classifier.py", arguments, said, tmp_path)


def test_train_segmenter_leaves_a_run(tmp_path):
    cells(tmp_path / "cells")
    arguments = [
        "cells",
        "--model",
        "UNet",
        "--backbone",
        "none",
        "--size",
        "32x48",
        "--run",
        "run",
    ]
    for option in ("padding=same", "filters=4", "depth=2", "batch_norm=True"):
        arguments += ["--option", option]
    arguments += ["--channels", "1", "--augment", "elastic", "--border-weights", "--balance"]
    arguments += ["--split", "train=train[:10]", "--split", "test=train[10:]"]
    arguments += ["--epochs", "3", "--batch-size", "4", "--devices", "2"]
    code, output = run("train_segmenter.py", *arguments, folder=tmp_path)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["passed"], output
    assert code == 0
    assert "0.tif: no mask" in output
    assert "Test mean IoU" in output
    assert card["architecture"]["name"] == "UNet"
    assert card["architecture"]["input_shape"] == [32, 48, 1]
    assert card["classes"] == ["background", "foreground"]
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert len(rows) == 3
    assert all(float(row["seconds"]) > 0 for row in rows)

    code, output = run("train_segmenter.py", *arguments, folder=tmp_path)
    assert "run is trained: exporting it" in output
    assert "Epoch" not in output
    deeper = [text.replace("depth=2", "depth=3") for text in arguments]
    code, output = run("train_segmenter.py", *deeper, folder=tmp_path)
    assert code != 0
    assert "pass another --run" in output


def test_train_edges_leaves_a_run(tmp_path):
    drawings(tmp_path / "BSR" / "BSDS500" / "data", {"train": 8, "val": 4, "test": 4})
    arguments = ["BSR", "--size", "32x40", "--option", "alpha=0.0625", "--run", "run"]
    arguments += ["--epochs", "2", "--batch-size", "4"]
    code, output = run("train_edges.py", *arguments, folder=tmp_path)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["passed"], output
    assert code == 0
    assert "Test ODS" in output
    assert (card["task"], card["classes"]) == ("edges", [])
    assert card["architecture"]["name"] == "HED"
    assert card["metrics"]["images"] == 4
    figures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert figures == {
        "filters.png",
        "gallery.png",
        "learning_curves.png",
        "precision_recall.png",
    }
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert len(rows) == 2
    assert {"fuse_loss", "side1_loss", "val_side5_loss"} <= set(rows[0])

    # Its files are those of a network of edges, and of the fusion that was trained.
    loaded = kv.export.load(tmp_path / "run" / "model.tflite")
    assert loaded.task == "edges"
    images = np.stack([x["image"] for x in kv.data.load(tmp_path / "BSR", "test")])
    found = kv.export.load(tmp_path / "run" / "model.keras").predict(images)["fuse"]
    np.testing.assert_allclose(loaded.predict(images), found, atol=1e-4)
    scores = kv.evaluation.evaluate_edges(loaded, kv.data.load(tmp_path / "BSR", "test"))
    assert scores["images"] == 4
    photo = tmp_path / "BSR" / "BSDS500" / "data" / "images" / "test" / "0.png"
    for file in ("model_int8.tflite", "model.keras"):
        shown = tmp_path / f"{file}.png"
        told = CliRunner().invoke(
            app, ["predict", str(tmp_path / "run" / file), str(photo), "--save", str(shown)]
        )
        assert "edges at" in told.output, told.output
        assert "class" not in told.output
        assert shown.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scenes", "--data-option", "train=8", "--size", "33"], "must be multiples of 32"),
        (["digits"], "digits cannot be read so: it must have masks"),
        (["nowhere/"], "nowhere"),
        (["scenes", "--model", "ResNet18"], "--model must be one of"),
        (["scenes", "--data-option", "difficulty=7"], "`difficulty`"),
        (["scenes", "--split", "train=foo"], "foo"),
    ],
)
def test_train_segmenter_explains_itself(arguments, said, tmp_path):
    assert_refused("train_segmenter.py", arguments, said, tmp_path)


@pytest.mark.slow
def test_compare_segmenters(tmp_path):
    code, output = run("compare_segmenters.py", "--smoke", "--run", "run", folder=tmp_path)
    assert code == 0, output
    rows = (tmp_path / "run" / "table.md").read_text().splitlines()
    assert len(rows) == 2 + 5
    assert all(row.count("|") == 10 for row in rows)
    assert (tmp_path / "run" / "gallery.png").is_file()


@pytest.mark.slow
def test_cell_experiment(tmp_path):
    cells(tmp_path / "cells")
    arguments = ["cells", "--smoke", "--slices", "8", "--run", "run"]
    code, output = run("cell_experiment.py", *arguments, folder=tmp_path)
    assert code == 0, output
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["slices"] == 7
    # These slices are made of two grey levels: Otsu finds them.
    assert scores["Otsu"]["pixel_accuracy"] > 0.9
    assert 0 <= scores["U-Net"]["foreground_rand"] <= 1


@pytest.mark.slow
def test_degradation_experiment(tmp_path):
    code, output = run("degradation_experiment.py", "--smoke", "--run", "run", folder=tmp_path)
    assert code == 0, output
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    networks = [(row["network"], row["depth"]) for row in results]
    assert networks == [(name, n) for name in ("PlainNetCIFAR", "ResNetCIFAR") for n in (8, 14)]
    assert results[0]["parameters"] == results[2]["parameters"] < results[1]["parameters"]
    assert all(0 <= row["test_error"] <= 1 for row in results)
    width, height = Image.open(tmp_path / "run" / "degradation.png").size
    assert width > 2 * height * 0.8

    others = ["--depths", "8", "--epochs", "3", "--run", "run"]
    code, output = run("degradation_experiment.py", *others, folder=tmp_path)
    assert code != 0
    assert "to go" not in output
    assert "holds a run of 2 epochs: pass another --run" in output


@pytest.mark.slow
def test_quickstart(tmp_path):
    code, output = run("quickstart.py", folder=tmp_path)
    assert code == 0, output
    card = json.loads((tmp_path / "saved_models" / "quickstart" / "card.json").read_text())
    assert card["metrics"]["accuracy"] >= 0.98
    assert card["files"]["model_int8.tflite"]["check"]["metric_drop"] <= 0.5
