"""Whatever program wrote a list, a table or annotations: names come out as they were meant."""

import json
import os
import warnings

import numpy as np
import pytest

import kvision as kv

COCO = {
    "images": [{"id": 1, "file_name": "1.png", "height": 6, "width": 8}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}],
    "categories": [{"id": 1, "name": "猫"}],
}
VOC = (
    "<annotation><size><width>8</width><height>6</height></size><object><name>{}</name><bndbox>"
    "<xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></object></annotation>"
)


@pytest.fixture
def root(tmp_path, save_image):
    """A folder with one picture in the places where the readers look for it."""
    for folder in ("images", "JPEGImages"):
        save_image(tmp_path / folder / "1.png", np.zeros((6, 8, 3), "uint8"))
    return tmp_path


def classes(path, **options):
    """The classes of the objects in a source, which is read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset, info = kv.data.load(path, "train", with_info=True, **options)
    names = info.features["objects"]["label"].names
    return [names[label] for e in dataset for label in e["objects"]["label"].numpy()]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_coco_with_a_byte_order_mark(root, encoding):
    text = json.dumps(COCO, ensure_ascii=False)
    (root / "instances.json").write_bytes(text.encode(encoding))
    assert classes(root / "instances.json") == ["猫"]


@pytest.mark.parametrize("encoding", ["gb2312", "gbk", "utf-8-sig"])
def test_voc_in_the_encoding_that_it_declares(root, encoding):
    (root / "Annotations").mkdir()
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>{VOC.format("海豹")}'
    (root / "Annotations" / "1.xml").write_bytes(text.encode(encoding))
    assert classes(root) == ["海豹"]


def test_voc_of_an_unknown_encoding_is_named(root, save_image):
    (root / "Annotations").mkdir()
    save_image(root / "JPEGImages" / "2.png", np.zeros((6, 8, 3), "uint8"))
    (root / "Annotations" / "1.xml").write_text(VOC.format("cat"))
    (root / "Annotations" / "2.xml").write_bytes(VOC.format("Käse").encode("cp1252"))
    with pytest.warns(UserWarning, match=r"2\.xml: .*not encoded as UTF-8.*save it as UTF-8"):
        info = kv.data.load(root, with_info=True)[1]
    assert info.splits["train"].num_examples == 1


def test_lists_with_a_byte_order_mark_keep_their_first_picture(root, save_image):
    (root / "Annotations").mkdir()
    for stem in ("1", "2", "3"):
        save_image(root / "JPEGImages" / f"{stem}.png", np.zeros((6, 8, 3), "uint8"))
        (root / "Annotations" / f"{stem}.xml").write_text(VOC.format("cat"))
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_bytes("1\r\n2\r\n".encode("utf-8-sig"))
    assert classes(root) == ["cat", "cat"]


def test_lists_name_files_whose_names_are_no_utf_8(root):
    (root / "Annotations").mkdir()
    name = os.fsdecode(b"caf\xe9")
    os.rename(root / "JPEGImages" / "1.png", root / "JPEGImages" / f"{name}.png")
    (root / "Annotations" / f"{name}.xml").write_text(VOC.format("cat"))
    assert classes(root) == ["cat"]
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_bytes(b"caf\xe9\n")
    with pytest.warns(UserWarning, match="read as cp1252"):
        dataset = kv.data.load(root, "train")
    assert len(list(dataset)) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_csv(root, encoding):
    text = "image,class,xmin,ymin,xmax,ymax\r\n1.png,Käse,1,1,4,4\r\n"
    (root / "boxes.csv").write_bytes(text.encode(encoding))
    if encoding == "cp1252":
        with pytest.warns(UserWarning, match=r"boxes\.csv is not encoded as UTF-8.*Käse"):
            info = kv.data.load(root / "boxes.csv", with_info=True)[1]
        assert info.features["objects"]["label"].names == ["Käse"]
    else:
        assert classes(root / "boxes.csv") == ["Käse"]


def test_names_of_masks_classes(root, save_image):
    save_image(root / "masks" / "1.png", np.eye(6, 8, dtype="uint8"))
    os.rename(root / "JPEGImages", root / "elsewhere")
    (root / "classes.txt").write_bytes("fond\r\nforêt\r\n".encode("cp1252"))
    with pytest.warns(UserWarning, match=r"classes\.txt is not encoded as UTF-8"):
        info = kv.data.load(root, with_info=True)[1]
    assert info.features["segmentation_mask"].names == ["fond", "forêt"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_npz_with_labels_of_bytes(tmp_path, encoding):
    labels = [text.encode(encoding) for text in ("Käse", "Brot", "Käse")]
    images = np.arange(3, dtype="uint8").repeat(4).reshape(3, 2, 2)
    names = np.array(["Käse".encode(encoding), b"Brot"])
    np.savez(tmp_path / "a.npz", x=images, y=np.array(labels))
    np.savez(tmp_path / "b.npz", x=images, y=np.array(labels), class_names=names)
    for file, expected in (("a.npz", ["Brot", "Käse"]), ("b.npz", ["Käse", "Brot"])):
        dataset, info = kv.data.load(tmp_path / file, "train", with_info=True)
        assert info.class_names == expected
        found = {int(e["image"][0, 0, 0]): expected[e["label"]] for e in dataset}
        assert found == {0: "Käse", 1: "Brot", 2: "Käse"}


def test_class_folders_whose_names_are_no_utf_8(tmp_path, save_image):
    for name in (b"K\xe4se", b"Brot"):
        save_image(tmp_path / os.fsdecode(name) / "1.png")
    dataset, info = kv.data.load(tmp_path, "train", with_info=True)
    assert info.class_names == ["Brot", "Käse"]
    assert info.splits["train"].class_counts == {"Brot": 1, "Käse": 1}
    assert len(list(dataset)) == 2
