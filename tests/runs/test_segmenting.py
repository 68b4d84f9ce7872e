"""The run of a segmenter: its card, its figures, and the commands on its files."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import kvision as kv
from kvision.cli import app
from kvision.runs import viewing


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def scenes():
    """Images and masks of the run's test scenes."""
    given = {"size": (32, 40), "difficulty": 0.0, "train": 64, "validation": 8, "test": 16}
    examples = list(kv.data.load("scenes", "test", **given))
    images = np.stack([example["image"] for example in examples])
    return images, np.stack([example["segmentation_mask"] for example in examples])


@pytest.fixture(scope="module")
def mask_folder(scenes, tmp_path_factory):
    """The same as a folder of images beside a folder of index masks."""
    folder = tmp_path_factory.mktemp("masks") / "data"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number, (image, mask) in enumerate(zip(*scenes, strict=True)):
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask[..., 0]).save(folder / "masks" / f"{number}.png")
    names = kv.data.load("scenes", with_info=True)[1].class_names
    (folder / "classes.txt").write_text("\n".join(names))
    return folder


def test_the_card_tells_how_good_it_is(scenes_run, scenes):
    card = json.loads((scenes_run / "card.json").read_text())
    assert card["task"] == "segmentation"
    assert card["passed"]
    images, masks = scenes
    model = kv.export.load(scenes_run)
    right = model.predict(images).argmax(-1) == masks[..., 0]
    assert card["metrics"]["pixel_accuracy"] == pytest.approx(right.mean())
    assert card["metrics"]["mean_iou"] > 0.6
    assert card["files"]["model_int8.tflite"]["check"]["metric_name"] == "mean IoU"
    text = (scenes_run / "README.md").read_text()
    for part in ("mean IoU", "| crescent |", "ImageSegmenter", "figures/gallery.png", "PASS"):
        assert part in text
    assert "top-1" not in text
    assert {path.name for path in (scenes_run / "figures").iterdir()} >= {
        "confusion_matrix.png",
        "gallery.png",
        "learning_curves.png",
        "per_class_iou.png",
    }


@pytest.mark.parametrize(
    "file", ["model.keras", "saved_model", "model.tflite", "model_int8.tflite"]
)
def test_evaluate_scores_every_file_alike(file, scenes_run, mask_folder):
    result = run("evaluate", scenes_run / file, mask_folder, "--split", "train")
    assert result.exit_code == 0, result.output
    card = json.loads((scenes_run / "card.json").read_text())
    said = float(result.output.split("mean iou")[1].split("%")[0])
    drop = 1.5 if "int8" in file else 0.02
    assert said == pytest.approx(100 * card["metrics"]["mean_iou"], abs=drop)
    assert "crescent" in result.output


def test_evaluate_wants_masks(scenes_run, digits_run):
    result = run("evaluate", scenes_run, "digits")
    assert isinstance(result.exception, ValueError)
    assert "digits must have masks" in str(result.exception)
    result = run("evaluate", digits_run, "scenes")
    assert "scenes must have labels" in str(result.exception)


def test_predict_names_shares_and_draws_overlays(scenes_run, mask_folder, tmp_path):
    photo = mask_folder / "images" / "0.png"
    result = run("predict", scenes_run / "model_int8.tflite", photo, "--save", tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    assert "0.png: pixels: background" in result.output
    width, height = Image.open(tmp_path / "a.png").size
    assert min(width, height) > 200
    assert isinstance(
        run("predict", scenes_run, photo, "--heatmap", tmp_path / "b.png").exception, ValueError
    )


def test_tiles_see_a_large_photo_in_its_own_size(scenes_run, scenes):
    """The network looks at single pixels: tiles must say of each what the whole would."""
    images, masks = scenes
    wide = np.concatenate(list(images[:3]), axis=1)[:, :101]
    loaded = kv.export.load(scenes_run)
    view = viewing.viewer(loaded, tiles=True)
    text = view.look(wide)
    truth = np.concatenate(list(masks[:3, ..., 0]), axis=1)[:, :101]
    share = (truth == 0).mean()
    assert text.startswith("pixels: background")
    assert float(text.split("background ")[1].split("%")[0]) == pytest.approx(100 * share, abs=2)
    rows = np.arange(view.masks[0].shape[0]) * 32 // view.masks[0].shape[0]
    columns = np.arange(view.masks[0].shape[1]) * 101 // view.masks[0].shape[1]
    assert (view.masks[0] == truth[rows][:, columns]).mean() > 0.95


def test_masks_of_a_data_set_in_another_order(scenes_run, mask_folder, tmp_path):
    """Names decide, not numbers."""
    names = (mask_folder / "classes.txt").read_text().splitlines()
    other = tmp_path / "data"
    (other / "masks").mkdir(parents=True)
    shutil.copytree(mask_folder / "images", other / "images")
    turned = names[:1] + names[:0:-1]
    table = np.array([turned.index(name) for name in names], "uint8")
    for path in (mask_folder / "masks").iterdir():
        Image.fromarray(table[np.asarray(Image.open(path))]).save(other / "masks" / path.name)
    (other / "classes.txt").write_text("\n".join(turned))
    wanted = run("evaluate", scenes_run, mask_folder, "--split", "train").output
    got = run("evaluate", scenes_run, other, "--split", "train").output
    assert got.splitlines()[1:] == wanted.splitlines()[1:]


def test_tiles_are_for_segmenters(digits_run):
    with pytest.raises(ValueError, match="--tiles must go with a model for segmentation"):
        viewing.viewer(kv.export.load(digits_run), tiles=True)


def test_export_writes_a_file_of_labels(scenes_run, mask_folder, tmp_path):
    target = tmp_path / "labels.tflite"
    options = ["--quantize", "none", "--label-map", "--split", "train", "--output", target]
    result = run("export", scenes_run, mask_folder, *options)
    assert result.exit_code == 0, result.output
    assert kv.export.describe(target).outputs[0]["dtype"] == "uint8"
    scored = run("evaluate", scenes_run / "model.tflite", mask_folder, "--split", "train").output
    labels = run("evaluate", target, mask_folder, "--split", "train").output
    assert labels == scored
    photo = mask_folder / "images" / "0.png"
    assert "pixels: background" in run("predict", target, photo).output
