import errno
import io
import json
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
from kvision.runs import arguments
from kvision.runs.card import model_card
from kvision.zoo import catalogue


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
    text = run("models").stdout
    assert max(map(len, text.splitlines())) <= 100
    rows = {line.split()[0]: line for line in text.splitlines()[2:] if line.strip()}
    assert rows.keys() >= set(kv.list_models())
    facts = ("2018", "3,504,872", "300.8 M", "224x224x3", "28.0", "yes")
    assert set(rows["MobileNetV2"].split()) >= set(" ".join(facts).split())
    assert "24.52" in rows["ResNet34"]
    assert "yes" not in rows["ResNet34"]


def test_models_shows_what_was_measured_and_blanks(monkeypatch):
    check = {"passed": True, "reasons": [], "max_difference": 3e-6, "megabytes": 12.3, "ms": 45.6}
    record = {"cpu_ms": 78.9, "levels": [[2, "conv1"]], "tflite": check, "threads": 2}
    record |= {"date": "2026-01-02", "machine": "an abacus", "versions": {"keras": "9"}}
    monkeypatch.setattr(catalogue, "measurements", lambda: {"AlexNet": record})
    rows = {line.split()[0]: line.split() for line in run("models").stdout.splitlines()[2:25]}
    assert rows["AlexNet"][-3:] == ["78.9", "45.6", "12.3"]
    assert rows["PlainNet18"][-1] == "27.94"
    text = run("models", "AlexNet").stdout
    for part in ("78.9 ms", "45.6 ms, 12.3 MB", "3e-06", "2026-01-02 on an abacus; keras 9"):
        assert part in text
    assert "published" not in text, "it was not checked against the paper"
    assert "abacus" not in run("models", "VGG11").stdout


def test_models_describes_one():
    text = run("models", "VGG16").stdout
    for fact in (
        "138,357,544",
        "15,470,264,320",
        "top-1 error 27.0 %, top-5 error 8.8 % (dense, one scale",
    ):
        assert fact in text
    assert "arxiv.org/abs/1409.1556" in text
    assert "alpha: width multiplier" in text


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


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--save", "noext", "must name a file that ends in .png or .jpg or"),
        ("--save", "out.txt", "must name a file that ends in .png"),
        ("--save", "folder.png", "must name a file"),
        ("--heatmap", "noext", "--heatmap must name a file that ends in .png"),
        ("--heatmap", ".png", "must name a file that ends in .png"),
    ],
)
def test_pictures_of_no_known_format_are_refused_at_once(tmp_path, option, name, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match=message):
        run("predict", "no model, for it is not asked for", tmp_path, option, tmp_path / name)
    with pytest.raises(ValueError, match="--output must name a file that ends in .tflite"):
        run("export", "no model", "no data", "--output", tmp_path / "small.lite")


def test_a_folder_that_cannot_be_written_to_is_refused_at_once(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    for option in ("--save", "--heatmap"):
        with pytest.raises(OSError, match=str(tmp_path)):
            run("predict", "no model", tmp_path, option, tmp_path / "out.png")


def test_pictures_are_written_under_the_name_they_are_asked_for(digits_run, photos, tmp_path):
    for name in ("OUT.PNG", "out.svg", "out.tiff", "out.webp"):
        target = tmp_path / "written" / name
        target.parent.mkdir(exist_ok=True)
        result = run("predict", digits_run / "model_int8.tflite", photos, "--save", target)
        assert f"Wrote {target}" in result.stdout
        assert [path.name for path in target.parent.iterdir()] == [name]
        target.unlink()


def test_photos_below_a_hidden_folder_or_beside_this_one(digits_run, photos, tmp_path, monkeypatch):
    """The way to a folder that was named is no business of the rule on hidden files."""
    hidden = tmp_path / ".cache" / "photos"
    hidden.parent.mkdir()
    photos.rename(hidden)
    (hidden / ".thumbnails").mkdir()
    (hidden / ".thumbnails" / "x.png").write_bytes((hidden / "broken.jpg").read_bytes())
    (hidden / "Thumbs.db").write_bytes(b"")
    (tmp_path / ".cache" / "here").mkdir()
    monkeypatch.chdir(tmp_path / ".cache" / "here")
    model = digits_run / "model_int8.tflite"
    for folder in (hidden, "../photos", "../../.cache/photos"):
        result = run("predict", model, folder)
        assert result.stdout.count(".png: ") == 3
        assert "1 of 4 files could not be read" in result.stderr
    monkeypatch.chdir(hidden)
    assert run("predict", model, ".").stdout.count(".png: ") == 3


def test_a_photo_that_is_missing_is_found_out_before_any_is_looked_at(digits_run, photos):
    with pytest.raises(FileNotFoundError, match="no photo or folder 'nowhere'"):
        run("predict", digits_run / "model_int8.tflite", photos, "nowhere")
    assert len(arguments.photos_in([photos])) == 4


def test_names_that_are_no_utf_8_are_printed(digits_run, photos, tmp_path):
    for photo in photos.glob("* is *.png"):
        photo.rename(photos / os.fsdecode(f"é {photo.name}".encode("latin-1")))
    (photos / "broken.jpg").rename(photos / os.fsdecode(b"\xff\xfe\x1b[2J.jpg"))
    folder = tmp_path / os.fsdecode(b"gro\xdf")
    photos.rename(folder)
    save = folder / os.fsdecode(b"caf\xe9.png")
    result = run("predict", digits_run / "model_int8.tflite", folder, "--save", save)
    assert result.stdout.count("groß/é ") == 3
    assert r"groß/ÿþ\x1b[2J.jpg: skipped" in result.stderr
    assert "groß/café.png" in result.stdout
    assert save.is_file()


def test_models_in_folders_that_are_no_utf_8_are_refused_at_once(digits_run, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    (folder / "saved_model").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"")
    (folder / "model.tflite").write_bytes(b"")
    for file in ("model.tflite", "saved_model"):
        with pytest.raises(ValueError, match="must be valid UTF-8"):
            run("predict", folder / file, tmp_path)
    with pytest.raises(ValueError, match="must be valid UTF-8"):
        run("export", "no model", "no data", "--output", folder / "x.tflite")
    model = kv.models.LeNet5(classes=2)
    for write in (kv.export.tflite, kv.export.saved_model):
        with pytest.raises(ValueError, match="must be valid UTF-8"):
            write(model, folder / "new.tflite")
    with pytest.raises(ValueError, match="must be valid UTF-8"):
        kv.training.callbacks(folder)


def test_cards_name_what_is_no_utf_8(digits_run):
    card = json.loads((digits_run / "card.json").read_text())
    card |= {"data": os.fsdecode(b"caf\xe9"), "command": os.fsdecode(b"python 'caf\xe9'")}
    text = model_card(card, digits_run)
    assert "\n\ncafé\n" in text
    assert "`python 'café'`" in text
    text.encode("utf-8")


def test_labels_that_the_terminal_does_not_know_are_escaped(digits_run, photos, monkeypatch):
    """As on Windows, and where output goes to a file."""
    loaded = kv.export.load(digits_run / "model_int8.tflite")
    loaded.labels = [f"猫{number}" for number in range(10)]
    monkeypatch.setattr(kv.export, "load", lambda path: loaded)
    said = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", said)
    monkeypatch.setattr("sys.argv", ["kvision", "predict", "model.tflite", str(photos)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said.seek(0)
    assert said.read().count(r"\u732b") == 9


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


@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_predict_draws_heat_maps(digits_run, photos, tmp_path, resize):
    target = tmp_path / "heat.png"
    result = run("predict", digits_run, photos, "--heatmap", target, "--resize", resize)
    wrote = f"Wrote {target}: evidence at 7x7 positions of each photo"
    assert result.stdout.splitlines()[-1] == wrote
    pixels = np.asarray(Image.open(target).convert("RGB")).astype(int)
    assert pixels.shape[1] > 1500, "three photos, each beside its map"
    assert (np.ptp(pixels, axis=-1) > 60).mean() > 0.02, "digits are grey; the maps have colours"


def test_heat_maps_of_few_positions_say_so(tmp_path, photos):
    model = kv.models.MobileNetV2(alpha=0.35, input_shape=(48, 48, 3), classes=4)
    model.save(tmp_path / "model.keras")
    result = run("predict", tmp_path / "model.keras", photos, "--heatmap", tmp_path / "heat.png")
    assert "evidence at 2x2 positions" in result.stdout
    assert "So few positions say little" in result.stdout


def test_heat_maps_need_the_keras_model(digits_run, photos):
    with pytest.raises(ValueError, match="Pass model.keras, or a run folder"):
        run("predict", digits_run / "model_int8.tflite", photos, "--heatmap", "heat.png")
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere' to write heat.png"):
        run("predict", digits_run, photos, "--heatmap", "nowhere/heat.png")
