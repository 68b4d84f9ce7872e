"""A folder is known for what it is, or refused in words that help; classes are no last resort."""

import json

import numpy as np
import pytest

import kvision as kv

XML = (
    "<annotation><size><width>32</width><height>24</height></size><object><name>cell</name>"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>16</xmax><ymax>12</ymax></bndbox></object>"
    "</annotation>"
)
CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,32,24,cell,0,0,16,12\n"
COCO = {
    "images": [{"id": 0, "file_name": "a.jpg", "width": 32, "height": 24}],
    "categories": [{"id": 1, "name": "cell"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [0, 0, 16, 12], "segmentation": []}
    ],
}
YOLO = "0 0.25 0.25 0.5 0.5\n"
EXPORTS = {
    "VOC": ("{}/a.jpg", {"{}/a.xml": XML}),
    "VOC in folders": ("{}/images/a.jpg", {"{}/annotations/a.xml": XML}),
    "COCO": ("{}/a.jpg", {"{}/_annotations.coco.json": json.dumps(COCO)}),
    "CSV": ("{}/a.jpg", {"{}/_annotations.csv": CSV}),
    "YOLO": ("{}/images/a.jpg", {"{}/labels/a.txt": YOLO, "data.yaml": "nc: 1\ntrain: x\n"}),
    "Darknet": ("{}/a.jpg", {"{}/a.txt": YOLO, "{}/_darknet.labels": "cell\n"}),
}


def write_all(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.filterwarnings("ignore:data.yaml has 'x'")
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", EXPORTS)
def test_exports_of_roboflow(tmp_path, save_image, kind, wrapped):
    picture, files = EXPORTS[kind]
    root = tmp_path / "export" / "cells" if wrapped else tmp_path / "export"
    for split in ("train", "valid", "test"):
        save_image(root / picture.format(split))
        write_all(root, {name.format(split): text for name, text in files.items()})
    write_all(tmp_path / "export", {"README.roboflow.txt": "about it"})
    for options in ({}, {"annotations": "boxes"}):
        datasets, info = kv.data.load(tmp_path / "export", with_info=True, **options)
        assert list(datasets) == ["train", "validation", "test"]
        assert len(info.class_names) == 1
        for dataset in datasets.values():
            (example,) = dataset.as_numpy_iterator()
            np.testing.assert_allclose(example["objects"]["bbox"], [[0, 0, 0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize("kind", ["COCO", "CSV"])
def test_no_folder_of_images(tmp_path, save_image, kind):
    picture, files = EXPORTS[kind]
    save_image(tmp_path / picture.format("train"))
    write_all(tmp_path, {name.format("train"): text for name, text in files.items()})
    for nowhere in (tmp_path / "nowhere", 7):
        with pytest.raises(ValueError, match="^`image_folder` must be a folder"):
            kv.data.load(tmp_path, image_folder=nowhere)


def test_side_by_side_in_one_folder(tmp_path, save_image):
    """As labelImg leaves them."""
    for name in "ab":
        save_image(tmp_path / f"{name}.png")
        write_all(tmp_path, {f"{name}.xml": XML})
    assert len(kv.data.load(tmp_path, "train")) == 2


def test_splits_of_pictures_and_of_xml_files(tmp_path, save_image):
    for split in ("train", "val"):
        save_image(tmp_path / "images" / split / f"{split}.png")
        write_all(tmp_path, {f"annotations/{split}/{split}.xml": XML})
    assert list(kv.data.load(tmp_path)) == ["train", "validation"]


def test_instances_in_no_split(tmp_path, save_image):
    """As CVAT exports them."""
    save_image(tmp_path / "images" / "a.jpg")
    write_all(tmp_path, {"annotations/instances_default.json": json.dumps(COCO)})
    assert list(kv.data.load(tmp_path, annotations="boxes")) == ["train"]


@pytest.mark.parametrize(
    "places",
    [
        ("flowers/{}/0.png",),
        ("flowers/flowers/{}/0.png",),
        ("flowers/{}/0.png", "flowers/LICENSE.txt", "about/terms.txt"),
        ("Images/{}/0.png", "Annotation/{}/0"),
        ("images/train/{}/0.png", "images/val/{}/0.png"),
        ("train/{}/0.png", "valid/{}/0.png", "test/0.png"),
        ("train/{}/images/0.png", "valid/{}/0.png", "test/images/0.png"),
    ],
)
def test_class_folders_further_down(tmp_path, save_image, places):
    """As archives unpack them; pictures for which nothing is told are left out with a word."""
    for name in ("daisy", "rose"):
        for place in places:
            if place.endswith(".png"):
                save_image(tmp_path / place.format(name))
            else:
                write_all(tmp_path, {place.format(name): "text"})
    if any(place.startswith("test/") for place in places):
        with pytest.warns(UserWarning, match="test holds no class folders and is left out"):
            info = kv.data.load(tmp_path, with_info=True)[1]
    else:
        info = kv.data.load(tmp_path, with_info=True)[1]
    assert info.class_names == ["daisy", "rose"]
    assert sum(split.num_examples for split in info.splits.values()) == 2 * sum(
        "{}" in place for place in places if place.endswith(".png")
    )


def test_one_class_is_no_wrapper(tmp_path, save_image):
    save_image(tmp_path / "cat" / "0.png")
    assert kv.data.load(tmp_path, with_info=True)[1].class_names == ["cat"]
    save_image(tmp_path / "cat" / "more" / "1.png")
    assert len(kv.data.load(tmp_path, "train")) == 2


def test_folders_inside_classes_stay_there(tmp_path, save_image):
    for name in ("cat", "dog"):
        for day in ("monday", "tuesday"):
            save_image(tmp_path / name / day / "0.png")
            write_all(tmp_path, {f"{name}/{day}/0.xml": XML})
    info = kv.data.load(tmp_path, with_info=True)[1]
    assert info.splits["train"].class_counts == {"cat": 2, "dog": 2}


UNKNOWN = {
    "splits without classes": (("train/a.jpg", "test/b.jpg"), {"train/labels.json": "{}"}),
    "a split alone": (("train/a.jpg",), {}),
    "labels of another kind": (("images/a.jpg",), {"labels/a.txt": "Car 0.0 0 1.5"}),
    "annotations of another kind": (("images/a.jpg",), {"annotations/a.json": "{}"}),
    "splits of another kind": (
        ("train/images/a.jpg", "val/images/b.jpg"),
        {"train/labels/a.mat": "", "val/labels/a.mat": ""},
    ),
    "images alone": (("images/a.jpg",), {}),
    "no folder": (("a.jpg",), {}),
}


@pytest.mark.parametrize("annotations", [None, "boxes"])
@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_not_known_is_refused(tmp_path, save_image, kind, annotations):
    pictures, files = UNKNOWN[kind]
    for name in pictures:
        save_image(tmp_path / name)
    write_all(tmp_path, files)
    with pytest.raises(ValueError, match=r"layout that is known. Found: .*The layouts are") as told:
        kv.data.load(tmp_path, annotations=annotations)
    assert "1 .jpg" in str(told.value)
    assert "docs/guides/data.md" in str(told.value)


def test_what_was_found_is_told(tmp_path, save_image):
    save_image(tmp_path / "train" / "deep" / "er" / "a.jpg")
    save_image(tmp_path / "test" / "b.png")
    write_all(tmp_path, {"train/._b.jpg": "", "test/README": "", "about.txt": ""})
    (tmp_path / "empty").mkdir()
    from kvision.data.sources.recognising import found

    assert found(tmp_path) == (
        "'empty' (nothing), 'test' (1 .png, 1 without ending), 'train' (1 .jpg), 1 .txt"
    )
    for number in range(30):
        (tmp_path / f"x{number}").mkdir()
    assert found(tmp_path).endswith("and more folders, 1 .txt")
    assert found(tmp_path / "empty") == "nothing"


def test_two_data_sets_in_one_folder(tmp_path, save_image):
    for year in ("VOC2007", "VOC2012"):
        save_image(tmp_path / year / "JPEGImages" / "a.jpg")
        write_all(tmp_path, {f"{year}/Annotations/a.xml": XML})
    with pytest.raises(ValueError, match="'VOC2007' has the layout of VOC: open it by itself"):
        kv.data.load(tmp_path)


def test_boxes_never_end_as_classes(clean_folder):
    with pytest.raises(
        ValueError, match=r"photos is a folder of class folders, and has none of the 'boxes'"
    ):
        kv.data.load(clean_folder, annotations="boxes")


def test_masks_are_no_boxes(tmp_path, save_image):
    save_image(tmp_path / "images" / "a.png")
    save_image(tmp_path / "masks" / "a.png", np.zeros((24, 32), "uint8"))
    with pytest.raises(ValueError, match=r"must be 'masks': .*is a folder of masks.*'boxes'"):
        kv.data.load(tmp_path, annotations="boxes")
