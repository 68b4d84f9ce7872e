import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import kvision as kv
from kvision import cli


def run(*arguments):
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def photos(tmp_path):
    """Test digits written out as photos, with a broken one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, example in enumerate(kv.data.load("digits", "test[:3]")):
        pixels = np.kron(example["image"].numpy()[..., 0], np.ones((9, 9), "uint8"))
        Image.fromarray(pixels).save(folder / f"{index} is {example['label']}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return folder


def test_help_names_every_command():
    text = run("--help").stdout
    for command in ("models", "evaluate", "predict", "export", "benchmark"):
        assert command in text
        assert "Usage" in run(command, "--help").stdout


def test_models():
    table = run("models").stdout
    assert "MobileNetV2" in table
    assert "3,504,872" in table
    assert "alpha: width multiplier" in run("models", "MobileNetV2").stdout


@pytest.mark.parametrize("file", ["", "model_int8.tflite", "saved_model"])
def test_evaluate(digits_run, file):
    text = run("evaluate", digits_run / file, "digits").stdout
    assert "digits [test]: 360 images" in text
    assert "95 % interval" in text
    accuracy = float(text.split("top-1 accuracy ")[1].split("%")[0])
    assert accuracy > 90


def test_evaluate_maps_classes_by_name(digits_run, tmp_path):
    """A folder sorts its classes otherwise than the model, and holds only some of them."""
    for example in kv.data.load("digits", "test[:60]"):
        if int(example["label"]) in (3, 7):
            folder = tmp_path / str(int(example["label"]))
            folder.mkdir(exist_ok=True)
            pixels = Image.fromarray(example["image"].numpy()[..., 0])
            pixels.save(folder / f"{len(list(folder.iterdir()))}.png")
    result = run("evaluate", digits_run, tmp_path)
    assert "may have been trained on" in result.stderr
    text = result.stdout
    assert float(text.split("top-1 accuracy ")[1].split("%")[0]) > 80


def test_predict_prints_classes_and_saves_a_picture(digits_run, photos, tmp_path):
    result = run(
        "predict", digits_run / "model_int8.tflite", photos, "--save", tmp_path / "out.png"
    )
    lines = result.stdout.splitlines()
    right = sum(line.split(".png: ")[1].startswith(line.split(" is ")[1][0]) for line in lines[:3])
    assert right >= 2
    assert "broken.jpg: skipped" in result.stderr
    assert "1 of 4 files could not be read" in result.stderr
    assert Image.open(tmp_path / "out.png").size[0] > 300


def test_predict_of_nothing_readable_fails(digits_run, photos, tmp_path):
    assert run("predict", digits_run, photos / "broken.jpg").exit_code == 1
    (tmp_path / "empty").mkdir()
    result = run("predict", digits_run, tmp_path / "empty")
    assert result.exit_code == 1
    assert "no photo to look at" in result.stderr
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere'"):
        run("predict", digits_run, photos, "--save", "nowhere/out.png")


def test_export_writes_and_verifies(digits_run, tmp_path):
    target = tmp_path / "small.tflite"
    result = run("export", digits_run, "digits", "--quantize", "dynamic", "--output", target)
    assert result.exit_code == 0
    assert "PASS" in result.stdout
    assert kv.export.load(target).labels == [str(digit) for digit in range(10)]


def test_benchmark(digits_run):
    text = run("benchmark", digits_run / "model.tflite", "--threads", "1", "--runs", "3").stdout
    assert text.count(" ms") == 2
    text = run("benchmark", digits_run, "--threads", "1,2", "--runs", "3").stdout
    assert text.count(" ms") == 2 * (1 + 1 + 2 + 2), "model.keras, saved_model, two .tflite files"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "nowhere", "digits"), "no model at nowhere"),
        (("models", "MobilNet"), "Did you mean 'MobileNet'"),
        (("benchmark", "nowhere", "--threads", "two"), "--threads must be numbers"),
    ],
)
def test_wrong_use_says_what_to_do(arguments, message):
    with pytest.raises((ValueError, OSError), match=message):
        run(*arguments)


def test_wrong_use_shows_no_traceback():
    script = Path(sys.executable).with_name("kvision")
    environment = {key: value for key, value in os.environ.items() if key != "KVISION_DEBUG"}
    result = subprocess.run(
        [script, "evaluate", "nowhere", "digits"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("kvision: There is no model at nowhere")
    assert "Traceback" not in result.stderr


def test_export_from_tflite_is_refused(digits_run):
    with pytest.raises(ValueError, match="can be read from a"):
        run("export", digits_run / "model.tflite", "digits")


def test_data_with_other_classes_is_refused(digits_run, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / name / "1.png")
    with pytest.raises(ValueError, match="Received others: cat, dog"):
        run("evaluate", digits_run, tmp_path)
