"""A task that kvision does not know: two pictures in, an angle out, degrees, lower is better."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import turning
from PIL import Image
from typer.testing import CliRunner

import kvision as kv
from kvision import tasks
from kvision.cli import app
from kvision.runs.tasks import part_of

SHAPE = (16, 16, 1)
FILES = ("model.keras", "saved_model", "model.tflite", "model_int8.tflite")


def dot(degrees):
    """A soft dot on a circle, uint8 (16, 16, 1)."""
    angle = np.deg2rad(degrees)
    row, column = 7.5 - 5 * np.cos(angle), 7.5 - 5 * np.sin(angle)
    rows, columns = np.mgrid[:16, :16]
    spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4)
    return (255 * spot).round().astype("uint8")[..., None]


def pairs(count, seed):
    """Pictures in memory: the dot of the second is turned counter-clockwise by `angle`."""
    random = np.random.default_rng(seed)
    first, angles = random.uniform(-30, 30, (2, count)).astype("float32")
    return tf.data.Dataset.from_tensor_slices(
        {
            "before": np.stack([dot(degrees) for degrees in first]),
            "after": np.stack([dot(degrees) for degrees in first + angles]),
            "angle": angles,
        }
    )


@pytest.fixture(scope="module", autouse=True)
def _task():
    """The task from outside, known for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "_tasks", list(tasks._tasks))
        patch.setattr(tasks, "_homes", list(tasks._homes))
        tasks.add(turning.TASK, "turning")
        yield


@pytest.fixture(scope="module")
def test_batches():
    return kv.data.batches(pairs(64, seed=1), SHAPE, 32)


@pytest.fixture(scope="module")
def run(tmp_path_factory, test_batches):
    """A run as its author leaves it: data, fit, release. Mirrored pairs are other pairs."""
    folder = tmp_path_factory.mktemp("turning") / "run"
    keras.utils.set_random_seed(0)
    mirror = [keras.layers.RandomFlip("horizontal")]
    train = kv.data.batches(pairs(256, seed=0), SHAPE, 32, training=True, augment=mirror)
    inputs = {name: keras.Input(SHAPE, name=name) for name in turning.TASK.inputs}
    seen = [keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(x)) for x in inputs.values()]
    hidden = keras.layers.Dense(32, "relu")(keras.layers.Concatenate()(seen))
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden), name="turner")
    model.compile(keras.optimizers.Adam(1e-2), "mae")
    callbacks = kv.training.callbacks(folder)
    fit = {"epochs": 25, "callbacks": callbacks, "verbose": 0}
    model.fit(train, validation_data=test_batches, **fit)
    calibration = kv.data.batches(pairs(64, seed=2), SHAPE, 32)
    kv.runs.release(model, folder, test_batches, calibration, threads=[1])
    return folder


def test_the_card_tells_how_good_it_is_and_that_every_file_was_proved(run):
    card = json.loads((run / "card.json").read_text())
    assert card["task"] == "turning"
    assert card["passed"], card["files"]
    assert card["metrics"]["mean_error"] < 4, "a guess of none is wrong by 15"
    assert card["classes"] == []
    assert card["architecture"]["input_shape"] == {"before": [16, 16, 1], "after": [16, 16, 1]}
    assert set(card["files"]) == set(FILES[1:])
    for file in card["files"].values():
        check = file["check"]
        assert (check["metric_name"], check["metric_unit"]) == ("mean error", "degrees")
        assert check["metric_model"] == pytest.approx(card["metrics"]["mean_error"], abs=1e-3)
    assert not (run / "labels.txt").exists()
    assert (run / "figures" / "angles.png").is_file()
    text = (run / "README.md").read_text()
    for part in ("before 16x16x1, after 16x16x1 pixels.", "| mean error | degrees lost |"):
        assert part in text
    assert "PASS" in text
    assert "lasses" not in text
    assert re.search(r"`model_int8.tflite` \| [\d.]+ MB \| [\d.]+ degrees \|", text)


@pytest.mark.parametrize("file", FILES)
def test_every_file_says_its_task_and_is_as_good(run, file, test_batches):
    loaded = kv.export.load(run / file)
    assert loaded.task == "turning"
    card = json.loads((run / "card.json").read_text())
    part = part_of(kv.export.task_of(loaded))
    result = part.evaluate(loaded, test_batches, ())
    drop = 1.0 if "int8" in file else 0.01
    assert result["mean_error"] == pytest.approx(card["metrics"]["mean_error"], abs=drop)
    lines, rows, columns = part.lines(result)
    assert lines[0] == "64 pairs"
    assert not rows
    assert not columns


def test_a_file_of_worse_weights_does_not_pass(run, tmp_path, test_batches):
    """An error that rises is worse, by degrees."""
    model = kv.export.load_keras(run)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias + 5])
    path = kv.export.tflite(model, tmp_path / "worse.tflite", "dynamic")
    report = kv.export.verify(run / "model.keras", path, test_batches)
    assert not report.passed
    assert report.metric_drop > 1
    assert re.search(
        r"mean error rises by [\d.]+ degrees; at most 1 is allowed", str(report.reasons)
    )


def test_the_command_looks_at_pairs_of_photos(run, tmp_path):
    for name, degrees in (("a", 0), ("b", 20), ("c", 10), ("d", -10)):
        Image.fromarray(dot(degrees)[..., 0]).resize((64, 64)).save(tmp_path / f"{name}.png")
    photos = [str(tmp_path / f"{name}.png") for name in "abcd"]
    command = ["predict", str(run / "model_int8.tflite")]
    save = ["--save", str(tmp_path / "told.png")]
    result = CliRunner().invoke(app, [*command, *photos, *save])
    assert result.exit_code == 0, result.output
    found = [float(text) for text in re.findall(r"turned by (-?[\d.]+) degrees", result.output)]
    assert found == pytest.approx([20, -20], abs=8)
    assert (tmp_path / "told.png").is_file()
    odd = CliRunner().invoke(app, [*command, *photos[:3]])
    assert isinstance(odd.exception, ValueError)
    assert "takes 2 photos at a time (before, after)" in str(odd.exception)
    tiles = CliRunner().invoke(app, [*command, *photos, "--tiles"])
    assert "--tiles must go with a model for segmentation" in str(tiles.exception)
