"""A fingerprint tells the same data from changed ones."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from squares import write_squares

import kvision as kv


def of(source, **options):
    return kv.data.fingerprint(kv.data.load(source, with_info=True, **options)[1])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "photos"
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 256, (6, 7, 3)).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def rename(folder):
    (folder / "cat" / "0.png").rename(folder / "cat" / "9.png")


def move(folder):
    (folder / "cat" / "0.png").rename(folder / "dog" / "9.png")


def replace(folder):
    Image.new("RGB", (6, 7)).save(folder / "cat" / "0.png")


def add(folder):
    shutil.copy(folder / "cat" / "0.png", folder / "cat" / "9.png")


@pytest.mark.parametrize("change", [rename, move, replace, add])
def test_changed_photos(photos, tmp_path, change):
    shutil.copytree(photos, tmp_path / "photos")
    change(tmp_path / "photos")
    assert of(tmp_path / "photos") != of(photos)


def test_the_same_photos_elsewhere(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "moved")
    for file in (tmp_path / "moved").rglob("*.png"):
        os.utime(file, (1, 1))
    (tmp_path / "moved" / "notes.txt").write_text("mine")
    assert of(tmp_path / "moved") == of(photos)
    assert of(photos).startswith("train 8 (")
    assert of(photos, seed=1) != of(photos), "the order decides what is tested on"


def test_arrays_boxes_masks_and_scenes(photos, tmp_path):
    x, y = np.zeros((4, 3, 3, 1), "uint8"), np.arange(4) % 2
    for name, first in (("a", 0), ("same", 0), ("b", 1)):
        x[0, 0, 0] = first
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    assert of(tmp_path / "a.npz") == of(tmp_path / "same.npz") != of(tmp_path / "b.npz")
    for name, count in (("few", 3), ("more", 4)):
        write_squares(tmp_path / name, count, seed=0)
    assert of(tmp_path / "few" / "boxes.csv") != of(tmp_path / "more" / "boxes.csv")
    assert of("scenes", train=5) == of("scenes", train=5) != of("scenes", train=5, difficulty=0.1)
    for part in ("images", "masks"):
        (tmp_path / "masks" / part).mkdir(parents=True)
        Image.new("L", (5, 5)).save(tmp_path / "masks" / part / "1.png")
    masks = of(tmp_path / "masks")
    shutil.copy(tmp_path / "masks/images/1.png", tmp_path / "masks/images/2.png")
    shutil.copy(tmp_path / "masks/masks/1.png", tmp_path / "masks/masks/2.png")
    assert of(tmp_path / "masks") != masks
