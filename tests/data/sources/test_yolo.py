"""YOLO's labels as people have them: every arrangement, outlines, and what is wrong with some."""

import os

import numpy as np
import pytest

import kvision as kv
from kvision.data.sources.boxes.yolo_config import find_place, read_config

HEIGHT, WIDTH = 20, 40
BOX = "1 0.5 0.25 0.5 0.5"  # rows 0..10, columns 10..30
TRIANGLE = "0 0 0 1 0 0 1"
NAMES = "names: [cat, dog]\n"


@pytest.fixture
def write(tmp_path, save_image):
    """Writes pictures, and a label file for each that has lines; returns the folder."""

    def save(pictures, yaml=None):
        for number, (name, (label, lines)) in enumerate(pictures.items()):
            save_image(tmp_path / name, np.full((HEIGHT, WIDTH, 3), number, "uint8"))
            if label:
                (tmp_path / label).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / label).write_text(lines)
        if yaml is not None:
            (tmp_path / "data.yaml").write_text(yaml)
        return tmp_path

    return save


def sizes(root, **options):
    datasets, info = kv.data.load(root, with_info=True, **options)
    assert {name: len(list(dataset)) for name, dataset in datasets.items()} == {
        name: split.num_examples for name, split in info.splits.items()
    }
    return {name: split.num_examples for name, split in info.splits.items()}


def only(root, split="train", **options):
    dataset, info = kv.data.load(root, split, with_info=True, **options)
    examples = sorted(dataset.as_numpy_iterator(), key=lambda e: int(e["image"][0, 0, 0]))
    return examples, info


def around(*splits):
    return {f"{s}/images/a.png": (f"{s}/labels/a.txt", BOX) for s in splits}


def inside(*splits):
    return {f"images/{s}/a.png": (f"labels/{s}/a.txt", BOX) for s in splits}


ROBOFLOW = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\n" + NAMES
ULTRALYTICS = "path: ../datasets/pets\ntrain: images/train2017\nval: images/val2017\ntest:\n"


@pytest.mark.parametrize(
    ("pictures", "yaml", "expected"),
    [
        (around("train", "valid", "test"), ROBOFLOW, {"train": 1, "validation": 1, "test": 1}),
        (inside("train2017", "val2017"), ULTRALYTICS + NAMES, {"train": 1, "validation": 1}),
        (
            inside("train", "val"),
            "train: /content/drive/MyDrive/pets/images/train\nval: C:\\pets\\images\\val\n" + NAMES,
            {"train": 1, "validation": 1},
        ),
        (inside("a", "b", "c"), "train: [images/a, ./images/c/]\nval: images/b\n" + NAMES, None),
        (around("train", "dev"), None, {"train": 1, "validation": 1}),
        (inside("train", "val"), None, {"train": 1, "validation": 1}),
        ({"images/a.png": ("labels/a.txt", BOX)}, None, {"train": 1}),
    ],
)
def test_arrangements(write, pictures, yaml, expected):
    root = write(pictures, yaml)
    if yaml is None:
        (root / "classes.txt").write_text("cat\ndog\n")
    assert sizes(root) == (expected or {"train": 2, "validation": 1})
    (example, *_), info = only(root)
    assert info.class_names == ["cat", "dog"]
    assert info.skipped == info.repaired == ()
    np.testing.assert_allclose(example["objects"]["bbox"], [[0, 0.25, 0.5, 0.75]], atol=1e-6)
    assert example["objects"]["label"].tolist() == [1]
    assert example["objects"]["area"].tolist() == [200]


def test_the_file_itself_and_a_folder_around(write, tmp_path):
    root = write(around("train"), "train: train/images\n" + NAMES)
    assert sizes(root / "data.yaml") == {"train": 1}
    assert sizes(tmp_path.parent / tmp_path.name) == {"train": 1}
    wrapped = tmp_path.parent / f"{tmp_path.name}-wrapped"
    (wrapped / "export").mkdir(parents=True)
    tmp_path.rename(wrapped / "export" / "pets")
    assert sizes(wrapped) == {"train": 1}


def test_lists_of_pictures(write):
    """As Darknet and CVAT have them: pictures beside labels, lists with paths of elsewhere."""
    pictures = {f"obj_train_data/{i}.png": (f"obj_train_data/{i}.txt", BOX) for i in range(3)}
    root = write(pictures)
    (root / "obj.names").write_text("cat\ndog\n")
    (root / "obj.data").write_text(
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    )
    (root / "train.txt").write_text("data/obj_train_data/0.png\ndata/obj_train_data/1.png\n")
    (root / "valid.txt").write_text("/home/me/data/obj_train_data/2.png\n../../secret.png\n")
    with pytest.warns(UserWarning, match=r"\.\./\.\./secret.png: a name that leaves"):
        assert sizes(root) == {"train": 2, "validation": 1}
    for name in ("obj.data", "train.txt", "valid.txt"):
        (root / name).unlink()
    (root / "obj_train_data").rename(root / "train")
    assert sizes(root) == {"train": 3}
    (root / "obj.names").unlink()  # what is left are cats beside their captions
    (root / "train").rename(root / "cats")
    with pytest.raises(ValueError, match="class folders, and has none of the 'boxes'"):
        kv.data.load(root, annotations="boxes")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: ['no', 1]", ["no", "1"]),
        ("names:\n  0: no\n  1: 猫", ["no", "猫"]),
        ("names: {'1': dog}", ["class 0", "dog"]),
        ("names: words.names", ["cat", "dog"]),
        ("nc: 2", ["class 0", "class 1"]),
    ],
)
def test_names(write, names, expected):
    root = write(around("train"), "train: train/images\n" + names)
    (root / "words.names").write_text("cat\ndog\n")
    if "nc" in names:
        with pytest.warns(UserWarning, match="they are numbered"):
            assert only(root)[1].class_names == expected
    else:
        assert only(root)[1].class_names == expected


@pytest.mark.parametrize(
    "names",
    ["[]", "[a, a]", "[[a]]", "{x: a}", "{-1: a}", "{99999999999: a}", "[a, '']", "{[1]: a}"],
)
def test_wrong_names(write, names):
    root = write(around("train"), f"train: train/images\nnames: {names}\n")
    with pytest.raises(ValueError, match=r"data.yaml"):
        kv.data.load(root)


@pytest.mark.parametrize(
    "text",
    [
        "names: [cat\n",
        "train: !!python/object/apply:os.system [ls]\nnames: [",
        "[" * 2000,
        "a: &a [x]\nb: *c\n",
        "names: [a]\n" + "#" * 2**20,
    ],
)
def test_damaged_yaml(write, text):
    root = write(around("train"), text)
    with pytest.raises(ValueError, match=r"YOLO's data set .*data.yaml cannot be read"):
        kv.data.load(root)


def test_no_yaml_of_a_data_set(write):
    root = write(around("train"))
    (root / "environment.yaml").write_text("names: [")
    (root / "settings.yml").write_text("learning_rate: 1")
    (root / "classes.txt").write_text("cat\ndog\n")
    assert only(root)[1].class_names == ["cat", "dog"]
    with pytest.raises(ValueError, match="must be YOLO's description of a data set"):
        kv.data.load(root / "settings.yml")


def test_nothing_outside_is_read(write, tmp_path_factory, save_image):
    outside = tmp_path_factory.mktemp("outside")
    save_image(outside / "images" / "secret.png")
    (outside / "list.txt").write_text("images/secret.png")
    places = f"[{outside}/images, ../{outside.name}/images, {outside}/list.txt, linked]"
    root = write(around("train", "valid"), f"train: train/images\nval: {places}\n" + NAMES)
    (root / "linked").symlink_to(outside / "images")
    (root / "train" / "labels" / "b.txt").symlink_to(outside / "list.txt")
    save_image(root / "train" / "images" / "b.png")
    with pytest.warns(UserWarning, match="a link that leaves the folder") as caught:
        assert sizes(root) == {"train": 1}
    assert str(caught[0].message).count("for validation, which is not in the folder") == 4


@pytest.mark.parametrize(
    ("base", "place", "expected"),
    [
        ("", "images/val", "images/val"),
        ("", "val", None),
        ("", "../images/val", "images/val"),
        ("", "../other/val", None),
        ("", "/data/pets/images/val", "images/val"),
        ("", "/data/validation/images", None),
        ("", ".", ""),
        ("pets", "images/val", "images/val"),
        ("/root/pets", "images/val", "images/val"),
        ("images", "val", os.path.join("images", "val")),
        ("", "images\\val", "images/val"),
        ("", "images/../images/val", "images/val"),
        ("", "D:\\x\\images\\val\\", "images/val"),
        ("", "\0", None),
        ("", "root/images/val", os.path.join("images", "val")),
    ],
)
def test_places(tmp_path, base, place, expected):
    tmp_path = tmp_path / "root"
    (tmp_path / "images" / "val").mkdir(parents=True)
    (tmp_path / "data.yaml").write_text(f"val: x\nnc: 1\npath: {base!r}\n")
    config = read_config(str(tmp_path), "data.yaml")
    assert find_place(str(tmp_path), config, "validation", place) == expected


def test_pictures_without_labels(write):
    """YOLO takes a missing file for a picture without objects; here that is said."""
    pictures = {
        "images/a.png": ("labels/a.txt", ""),
        "images/b.png": (None, ""),
        "images/c.png": ("labels/c.txt", BOX + "\n\n"),
    }
    root = write(pictures, "train: images\n" + NAMES)
    with pytest.warns(UserWarning, match=r"1 picture\(s\) of train have no label file.*b.png"):
        examples, _ = only(root)
    assert [len(example["objects"]["label"]) for example in examples] == [0, 0, 1]
    write({"valid/images/d.png": (None, "")}, "train: images\nval: valid/images\n" + NAMES)
    with pytest.warns(UserWarning, match="validation holds no label files and is left out"):
        assert sizes(root) == {"train": 3}
    for name in "ac":
        (root / "labels" / f"{name}.txt").unlink()
    with pytest.raises(ValueError, match="None of its 4 pictures has one"):
        kv.data.load(root)


def test_wrong_objects_are_dropped_and_named(write):
    lines = [
        "2 0.5 0.5 0.2 0.2",
        "0 320 240 100 80",
        "1 0.5 0.5 0 0.2",
        "0 nan 0.5 0.2 0.2",
        "0 0.9 0.5 0.4 0.2",
        "0.0 0.5 0.5 1.00001 1",
    ]
    root = write({"images/a.png": ("labels/a.txt", "\n".join(lines))}, "train: images\n" + NAMES)
    with pytest.warns(UserWarning, match=r"5 box\(es\) in .* are wrong \(4 of them dropped\)"):
        (example,), info = only(root)
    reasons = {box.name: box.reason for box in info.repaired}
    assert "class 2 is none of the 2" in reasons["a.png, line 1"]
    assert "no shares of the picture" in reasons["a.png, line 2"]
    assert "no area" in reasons["a.png, line 3"]
    assert "no shares of the picture" in reasons["a.png, line 4"]
    assert "4 pixels over the border" in reasons["a.png, line 5"]
    expected = [[0.4, 0.7, 0.6, 1], [0, 0, 1, 1]]
    np.testing.assert_allclose(example["objects"]["bbox"], expected, atol=1e-6)
    with pytest.raises(ValueError, match="Mend or remove"):
        kv.data.load(root, errors="raise")


@pytest.mark.parametrize("number", [10**9, "1e300"])
def test_a_class_number_out_of_all_proportion(write, number):
    root = write({"images/a.png": ("labels/a.txt", f"{BOX}\n{number} 0.5 0.5 0.1 0.1")})
    with pytest.warns(UserWarning, match="line 2: dropped: class 10.* is none of the 2 "):
        (example,), info = only(root)
    assert info.class_names == ["class 0", "class 1"]
    assert example["objects"]["label"].tolist() == [1]


def test_labels_of_two_pictures(write):
    pictures = {f"images/{name}": ("labels/a.txt", BOX) for name in ("a.png", "a.bmp")}
    pictures |= {"images/b.png": ("labels/b.txt", BOX)}
    root = write(pictures, "train: images\nval: images\n" + NAMES)
    with pytest.warns(UserWarning, match="a.png: its labels: they may be those of .*a.bmp"):
        assert sizes(root) == {"train": 1, "validation": 1}


@pytest.mark.parametrize(
    "line",
    ["0 0.5 0.5 0.2", "cat 0.5 0.5 0.1 0.1", "0 1 2 3 4 5", "1.5 0 0 1 1", "-1 0 0 1 1", "x"],
)
def test_files_that_are_no_labels(write, line):
    pictures = {"images/a.png": ("labels/a.txt", BOX), "images/b.png": ("labels/b.txt", line)}
    root = write(pictures, "train: images\n" + NAMES)
    with pytest.warns(UserWarning, match="b.png: its labels: no labels of YOLO: line 1 must hold"):
        assert sizes(root) == {"train": 1}


def test_outlines(write):
    """A triangle gives its box, the masks of objects, and class masks."""
    root = write({"images/a.png": ("labels/a.txt", TRIANGLE)}, "train: images\n" + NAMES)
    (example,), info = only(root)  # nothing but outlines: masks
    mask = example["segmentation_mask"][..., 0]
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    # Centres on the edge itself belong to one side or the other.
    clear = np.abs(x / WIDTH + y / HEIGHT - 1) > 1e-6
    below = x / WIDTH + y / HEIGHT < 1
    np.testing.assert_array_equal(mask[clear], below[clear])
    assert info.class_names == ["background", "cat", "dog"]
    assert info.splits["train"].class_counts == {"background": 1, "cat": 1, "dog": 0}
    (example,), _ = only(root, annotations="instances")
    np.testing.assert_array_equal(example["objects"]["mask"][0], mask)
    np.testing.assert_allclose(example["objects"]["bbox"], [[0, 0, 1, 1]])
    assert example["objects"]["area"].tolist() == [HEIGHT * WIDTH / 2]
    assert "mask" not in only(root, annotations="boxes")[0][0]["objects"]


def test_wrong_outlines_are_dropped_and_named(write):
    lines = f"{TRIANGLE}\n0 nan nan 0.1 0.1 0.5 0.5\n7 0 0 0 1 0 1\n"
    root = write({"images/a.png": ("labels/a.txt", lines)}, "train: images\n" + NAMES)
    for kind in ("masks", "instances"):
        with pytest.warns(UserWarning, match=r"2 box\(es\) .* \(2 of them dropped\)"):
            (example,), info = only(root, annotations=kind)
        assert [box.name for box in info.repaired] == ["a.png, line 2", "a.png, line 3"]


def test_a_class_called_background_is_the_background(write):
    lines = f"0 0 0 0 1 1 1\n1 {TRIANGLE[2:]}"
    yaml = "train: images\nnames: [background, dog]\n"
    (example,), info = only(write({"images/a.png": ("labels/a.txt", lines)}, yaml))
    assert info.class_names == ["background", "dog"]
    assert set(np.unique(example["segmentation_mask"])) == {0, 1}


def test_boxes_among_outlines(write):
    root = write(
        {"images/a.png": ("labels/a.txt", f"{TRIANGLE}\n{BOX}")}, "train: images\n" + NAMES
    )
    assert only(root)[0][0]["objects"]["label"].tolist() == [0, 1]
    for kind in ("masks", "instances"):
        with pytest.warns(UserWarning, match="line 2: dropped: it is a box without an outline"):
            (example,), _ = only(root, annotations=kind)
    assert example["objects"]["label"].tolist() == [0]
    (root / "labels" / "a.txt").write_text(BOX)
    with pytest.raises(ValueError, match="must be 'boxes': no object has an outline.*'masks'"):
        kv.data.load(root, annotations="masks")


def test_too_many_classes_for_masks(write):
    names = f"names: {[f'c{i}' for i in range(300)]}"
    root = write({"images/a.png": ("labels/a.txt", TRIANGLE)}, f"train: images\n{names}")
    with pytest.raises(ValueError, match="at most 254 classes"):
        kv.data.load(root, annotations="masks")


def test_keypoints_follow_the_box(write):
    line = BOX + " 0.1 0.2 2 0.3 0.4 0"
    yaml = "train: images\nkpt_shape: [2, 3]\n" + NAMES
    (example,), _ = only(write({"images/a.png": ("labels/a.txt", line)}, yaml))
    np.testing.assert_allclose(example["objects"]["bbox"], [[0, 0.25, 0.5, 0.75]], atol=1e-6)


def test_into_batches(write):
    root = write(around("train", "valid"), ROBOFLOW.replace("test:", "# test:"))
    dataset = kv.data.load(root, "train")
    images, truth = next(iter(kv.data.batches(dataset, 32, 1, target="objects")))
    assert images.shape == (1, 32, 32, 3)
    np.testing.assert_array_equal(truth["size"], [[HEIGHT, WIDTH]])
