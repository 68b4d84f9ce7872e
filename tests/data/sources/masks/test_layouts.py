"""Every layout that people have is found, matched by name, and what is missing is named."""

import re

import numpy as np
import pytest

import kvision as kv


def stripes(*values):
    return np.array(values, "uint8").repeat(4)[None].repeat(6, axis=0)


MASK = stripes(0, 1, 2)


@pytest.fixture
def write(tmp_path, save_pair):
    """Writes pairs of paths below the folder, and returns it."""

    def save(*pairs, mask=MASK):
        for number, (image, where) in enumerate(pairs):
            save_pair(tmp_path / image, tmp_path / where, mask, number)
        return tmp_path

    return save


def sizes(root, **options):
    datasets, info = kv.data.load(root, with_info=True, **options)
    assert "segmentation_mask" in info.features
    assert {name: len(list(dataset)) for name, dataset in datasets.items()} == {
        name: split.num_examples for name, split in info.splits.items()
    }
    return {name: split.num_examples for name, split in info.splits.items()}


def refused(root, **options):
    with pytest.warns(UserWarning, match="cannot be served"):
        info = kv.data.load(root, with_info=True, **options)[1]
    return {file.name: file.reason for file in info.skipped}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("Image", "Mask"),
        ("imgs", "masks"),
        ("images", "annotations"),
        ("images", "labels"),
        ("img", "gt"),
        ("inputs", "targets"),
        ("x", "y"),
        ("JPEGImages", "masks"),
    ],
)
def test_two_folders(write, images, masks):
    root = write((f"{images}/a.png", f"{masks}/a.png"), (f"{images}/b.png", f"{masks}/b.png"))
    assert sizes(root) == {"train": 2}


def test_splits_around_and_inside(write, tmp_path):
    around = write(
        *[
            (f"{s}/images/{i}.png", f"{s}/masks/{i}.png")
            for s, n in (("Train", 3), ("val", 1), ("test", 2))
            for i in range(n)
        ]
    )
    assert sizes(around) == {"train": 3, "validation": 1, "test": 2}


def test_splits_inside(write):
    """As ADE20K has it."""
    root = write(
        *[
            (f"images/{s}/{i}.png", f"annotations/{s}/{i}.png")
            for s, n in (("training", 3), ("validation", 2))
            for i in range(n)
        ]
    )
    assert sizes(root) == {"train": 3, "validation": 2}


@pytest.mark.parametrize("ending", ["annot", "_labels", "_mask"])
def test_splits_beside(write, ending):
    root = write(
        *[
            (f"{s}/{i}.png", f"{s}{ending}/{i}.png")
            for s, n in (("train", 3), ("val", 2), ("test", 1))
            for i in range(n)
        ]
    )
    assert sizes(root) == {"train": 3, "validation": 2, "test": 1}


@pytest.mark.parametrize("around", [True, False])
def test_a_split_without_masks_is_left_out(write, save_image, around):
    name = "{}/{}/a.png" if around else "{1}/{0}/a.png"
    root = write((name.format("train", "images"), name.format("train", "masks")))
    save_image(root / name.format("test", "images"))
    with pytest.warns(UserWarning, match="test holds no masks and is left out"):
        assert sizes(root) == {"train": 1}


def test_two_folders_of_one_split(write):
    root = write(*[(f"{s}/images/a.png", f"{s}/masks/a.png") for s in ("val", "valid")])
    with pytest.raises(ValueError, match="one folder for each split.*'validation'"):
        kv.data.load(root)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.jpg", "a.png"),
        ("a.b.png", "a.b.tif"),
        ("a.png", "a_mask.png"),
        ("a.png", "a-Label.png"),
        ("a.png", "a_gt.png"),
        ("a.png", "a.mask.png"),
        ("0001TP_1.png", "0001TP_1_L.png"),
        ("a_leftImg8bit.png", "a_gtFine_labelIds.png"),
        ("12_sat.jpg", "12_mask.png"),
        ("image_7.png", "mask_7.png"),
        ("IMG_7.jpg", "label_7.png"),
        ("deep/er/a.png", "deep/er/a_mask.png"),
        ("ü ñ 猫.png", "ü ñ 猫.png"),
    ],
)
def test_matched_by_stem(write, image, mask):
    root = write((f"images/{image}", f"masks/{mask}"), ("images/z.png", "masks/z.png"))
    assert sizes(root) == {"train": 2}


def test_each_image_gets_its_own_mask(write, save_pair, served):
    root = write()
    for number in range(12):
        mask = stripes(number % 3, (number + 1) % 3)
        save_pair(
            root / "images" / f"{number}.jpg",
            root / "masks" / f"{number}_mask.png",
            mask,
            number * 10,
        )
    masks, _ = served(root)
    for grey, mask in masks.items():
        number = round(grey / 10)
        np.testing.assert_array_equal(mask, stripes(number % 3, (number + 1) % 3))


def test_an_exact_name_goes_first(write, save_pair, served):
    root = write()
    save_pair(root / "images" / "a_mask.png", root / "masks" / "a_mask.png", stripes(2), 1)
    save_pair(root / "images" / "a.png", root / "masks" / "a.png", stripes(1, 0), 2)
    masks, _ = served(root, class_names=["a", "b", "c"])
    assert masks[1][0, 0] == 2
    assert masks[2][0, 0] == 1


def test_missing_partners_are_named(write, save_image):
    root = write(("images/a.png", "masks/a.png"))
    save_image(root / "images" / "lonely.png")
    save_image(root / "masks" / "orphan.png", MASK)
    (root / "masks" / "notes.txt").write_text("no picture")
    assert refused(root) == {
        "images/lonely.png": "no mask of this name in 'masks'",
        "masks/orphan.png": "no image of this name in 'images'",
    }


def test_two_that_fit_are_named(write, save_image):
    root = write(("images/a.png", "masks/a.png"), ("images/b.jpg", "masks/b_mask.png"))
    save_image(root / "masks" / "b_gt.png", MASK)
    save_image(root / "images" / "a.jpg", shape=(6, 12))
    reasons = refused(root)
    assert "more than one mask fits: 'masks/b_gt.png' and" in reasons["images/b.jpg"]
    assert "its mask 'masks/a.png' is that of 'images/a.jpg'" in reasons["images/a.png"]
    assert len(reasons) == 2


def test_links_that_leave_are_named(write, tmp_path_factory, save_image):
    root = write(("images/a.png", "masks/a.png"), ("images/b.png", "masks/b.png"))
    secret = tmp_path_factory.mktemp("outside") / "secret.png"
    save_image(secret, MASK)
    (root / "masks" / "b.png").unlink()
    (root / "masks" / "b.png").symlink_to(secret)
    reasons = refused(root)
    assert reasons["masks/b.png"] == "a link that leaves the folder"
    assert reasons["images/b.png"] == "no mask of this name in 'masks'"


def test_nothing_fits(write, save_image):
    root = write()
    save_image(root / "images" / "a.png")
    save_image(root / "masks" / "b.png", MASK)
    with pytest.raises(ValueError, match=r"holds no image(.|\n)*images.a.png: no mask"):
        kv.data.load(root)


def test_classes_are_not_taken_for_masks(tmp_path, save_image):
    """Letters may be classes; labels that hold no pictures are no masks."""
    for name in ("w", "x", "y"):
        save_image(tmp_path / "letters" / name / "0.png")
    _, info = kv.data.load(tmp_path / "letters", with_info=True)
    assert info.class_names == ["w", "x", "y"]
    for name in ("images", "labels"):
        (tmp_path / "boxes" / name).mkdir(parents=True)
    save_image(tmp_path / "boxes" / "images" / "0.png")
    (tmp_path / "boxes" / "labels" / "0.txt").write_text("0 0.5 0.5 1 1")
    with pytest.warns(UserWarning, match="gives the classes names"):
        _, info = kv.data.load(tmp_path / "boxes", with_info=True)
    assert info.splits["train"].class_counts == {"class 0": 1}


@pytest.fixture
def voc(write):
    root = write(
        *[(f"JPEGImages/{i}.jpg", f"SegmentationClass/{i}.png") for i in range(4)],
        mask=stripes(0, 15, 255),
    )
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n")
    (lists / "val.txt").write_text("2\n")
    (lists / "test.txt").write_text("8\n9\n")
    return root


def test_voc(voc, served, save_image):
    save_image(voc / "JPEGImages" / "not annotated.jpg")
    assert sizes(voc) == {"train": 2, "validation": 1}
    masks, info = served(voc)
    np.testing.assert_array_equal(masks[0], stripes(0, 15, 255))
    assert info.class_names[15] == "person"
    assert info.features["segmentation_mask"].num_classes == 21
    assert info.splits["train"].class_counts["person"] == 2
    (voc / "ImageSets" / "Segmentation" / "train.txt").unlink()
    (voc / "ImageSets" / "Segmentation" / "val.txt").unlink()
    assert sizes(voc) == {"train": 4}


def test_voc_inside_its_devkit(voc, tmp_path_factory):
    devkit = tmp_path_factory.mktemp("VOCdevkit")
    (devkit / "readme.txt").write_text("about VOC")
    voc.rename(devkit / "VOC2012")
    assert sizes(devkit) == {"train": 2, "validation": 1}


def test_voc_in_colours(write, served):
    colours = np.array([[0, 0, 0], [192, 128, 128], [224, 224, 192]], "uint8")
    mask = colours.repeat(4, axis=0)[None].repeat(6, axis=0)
    root = write(("JPEGImages/0.png", "SegmentationClass/0.png"), mask=mask)
    np.testing.assert_array_equal(served(root)[0][0], stripes(0, 15, 255))


def test_voc_with_other_classes(write, served):
    """labelme and others write that layout too."""
    root = write(("JPEGImages/0.png", "SegmentationClass/0.png"), mask=stripes(0, 30))
    with pytest.warns(UserWarning, match="served as 31 classes"):
        assert len(served(root)[1].class_names) == 31
    root = write(("JPEGImages/0.png", "SegmentationClass/0.png"), mask=stripes(0, 1))
    (root / "class_names.txt").write_text("_background_\nwheel\n")
    assert served(root)[1].class_names == ["_background_", "wheel"]


def test_voc_pictures_of_equal_names_in_subfolders(voc, save_image, served):
    """The mask of one is never that of the other."""
    for folder, grey in (("c1", 60), ("c2", 70)):
        save_image(voc / "JPEGImages" / folder / "5.png", np.full((6, 12, 3), grey, "uint8"))
    save_image(voc / "SegmentationClass" / "c1" / "5.png", stripes(0, 15, 255))
    with (voc / "ImageSets" / "Segmentation" / "train.txt").open("a") as lists:
        lists.write("c1/5\nc2/5\n")
    with pytest.warns(UserWarning, match="c2/5: it may be 'JPEGImages/c1/5.png' or 'JPEGImages/c2"):
        masks, _ = served(voc)
    assert 60 in masks
    assert 70 not in masks


def test_voc_lists_name_nothing_outside(voc, tmp_path_factory, save_image):
    outside = tmp_path_factory.mktemp("outside")
    save_image(outside / "x.jpg")
    save_image(outside / "x.png", MASK)
    lists = voc / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text(f"0\n../../{outside.name}/x\n{outside}/x\nabsent\n")
    reasons = refused(voc)
    assert set(reasons) == {f"../../{outside.name}/x", f"{outside}/x", "absent"}
    assert reasons["absent"] == "listed for train, but not in JPEGImages or SegmentationClass"


def test_one_strange_label_among_voc(voc, save_image):
    save_image(voc / "SegmentationClass" / "1.png", stripes(0, 77, 255))
    assert refused(voc) == {"SegmentationClass/1.png": "unknown label value 77"}


@pytest.mark.parametrize("ending", ["labelIds", "labelTrainIds"])
def test_cityscapes(write, save_image, served, ending):
    mask = stripes(7, 26, 0) if ending == "labelIds" else stripes(0, 13, 255)
    root = write(
        *[
            (
                f"leftImg8bit/{s}/{c}/{c}_00_leftImg8bit.png",
                f"gtFine/{s}/{c}/{c}_00_gtFine_{ending}.png",
            )
            for s, c in (("train", "aachen"), ("train", "bonn"), ("val", "lindau"))
        ],
        mask=mask,
    )
    for extra in ("color", "instanceIds"):
        save_image(root / "gtFine" / "train" / "bonn" / f"bonn_00_gtFine_{extra}.png", mask)
    assert sizes(root) == {"train": 2, "validation": 1}
    masks, info = served(root)
    np.testing.assert_array_equal(masks[0], stripes(0, 13, 255))
    feature = info.features["segmentation_mask"]
    assert feature.names[13] == "car"
    assert feature.colors[13] == (0, 0, 142)
    assert len(feature.names) == 19
    save_image(root / "leftImg8bit" / "test" / "x" / "x_00_leftImg8bit.png")
    with pytest.warns(UserWarning, match="leftImg8bit.test holds no masks"):
        assert sizes(root) == {"train": 2, "validation": 1}


def test_cityscapes_unknown_ids_and_missing_masks(write, save_image):
    root = write(
        *[
            (
                f"leftImg8bit/train/a/a_{i}_leftImg8bit.png",
                f"gtFine/train/a/a_{i}_gtFine_labelIds.png",
            )
            for i in range(4)
        ],
        mask=stripes(7, 33),
    )
    save_image(root / "gtFine" / "train" / "a" / "a_1_gtFine_labelIds.png", stripes(7, 99))
    (root / "gtFine" / "train" / "a" / "a_2_gtFine_labelIds.png").unlink()
    reasons = refused(root)
    assert reasons["gtFine/train/a/a_1_gtFine_labelIds.png"] == "unknown label value 99"
    assert "no mask of this name" in reasons["leftImg8bit/train/a/a_2_leftImg8bit.png"]
    assert len(reasons) == 2


def test_camvid(write, served):
    root = write(
        ("train/0001TP_006690.png", "trainannot/0001TP_006690.png"),
        ("val/0016E5_07959.png", "valannot/0016E5_07959.png"),
        mask=stripes(0, 8, 11),
    )
    masks, info = served(root)
    np.testing.assert_array_equal(masks[0], stripes(0, 8, 255))
    assert info.class_names[8] == "car"
    assert len(info.class_names) == 11


def test_the_real_thing(served):
    from pathlib import Path

    root = Path(__file__).resolve().parents[5] / "shared" / "data" / "isbi_em"
    if not root.is_dir():
        pytest.skip("needs the ISBI slices in ../shared/data/isbi_em")
    (train, test), info = kv.data.load(root, ["train[:15]", "train[15:]"], with_info=True)
    assert (len(train), len(test)) == (15, 5)
    assert info.class_names == ["background", "foreground"]
    assert not info.skipped
    images, masks = next(kv.data.batches(test, (512, 512, 1), 5).as_numpy_iterator())
    assert images.shape == masks.shape == (5, 512, 512, 1)
    # Membranes are dark and thin.
    assert images[masks == 0].mean() < images[masks == 1].mean() - 30
    assert 0.7 < masks.mean() < 0.85


def test_seed_and_slices(write):
    root = write(*[(f"images/{i}.png", f"masks/{i}.png") for i in range(10)])

    def order(**options):
        return [int(e["image"][0, 0, 0]) for e in kv.data.load(root, "train", **options)]

    assert order() == order()
    assert order() != order(seed=1)
    first, rest = kv.data.load(root, ["train[:70%]", "train[70%:]"])
    numbers = [int(e["image"][0, 0, 0]) for part in (first, rest) for e in part]
    assert sorted(numbers) == list(range(10))
    _, info = kv.data.load(root, with_info=True)
    assert kv.data.three_splits(info)["test"] == "train[90%:]"
    with pytest.raises(ValueError, match=re.escape("kv.data.median_frequency_weights")):
        kv.data.balanced_class_weight(info)


@pytest.mark.parametrize("line", ["{}.png", "{} 1", "{} 1 1 1", "JPEGImages/{}.jpg x/{}.png"])
def test_lists_name_pictures_in_many_ways(voc, line):
    lists = voc / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text("\ufeff" + "".join(line.format(i, i) + "\n" for i in "02"))
    (lists / "val.txt").write_text(line.format(1, 1))
    assert sizes(voc) == {"train": 2, "validation": 1}


def test_lists_beside_two_folders(write):
    root = write(*[(f"images/a {i}.png", f"masks/a {i}.png") for i in range(5)])
    (root / "train.txt").write_text("a 0\na 1.png\n\na 3\nabsent\n")
    (root / "dev.txt").write_text("images/a 2.png\n")
    with pytest.warns(UserWarning, match="1 images with masks are in no list and are left out"):
        assert sizes(root) == {"train": 3, "validation": 1}
    (root / "train.txt").write_text("of something else\n")
    (root / "dev.txt").unlink()
    assert sizes(root) == {"train": 5}


def test_lists_tell_folders_apart(write, save_image):
    pairs = [(f"images/{name}.png", f"masks/{name}.png") for name in ("c1/1", "c2/1", "c2/2")]
    root = write(*pairs)
    (root / "train.txt").write_text("c1/1\nimages/c2/2.png\n")
    (root / "val.txt").write_text("data/images/c2/1.png\n")
    datasets = kv.data.load(root)
    shown = {
        split: sorted(int(e["image"][0, 0, 0]) for e in dataset.as_numpy_iterator())
        for split, dataset in datasets.items()
    }
    assert shown == {"train": [0, 2], "validation": [1]}
    (root / "val.txt").write_text("1\n")
    assert "it may be 'images/c1/1.png' or 'images/c2/1.png'" in refused(root)["1"]
    assert sizes(root) == {"train": 2}


def test_oxford_pets(tmp_path, save_pair, served):
    """As their two archives unpack, with what macOS left in them."""
    names = ("Abyssinian_1", "Abyssinian_2", "beagle_10", "pug_3")
    for number, name in enumerate(names):
        mask = tmp_path / "annotations" / "trimaps" / f"{name}.png"
        save_pair(tmp_path / "images" / f"{name}.jpg", mask, stripes(1, 2, 3), 50 * number)
        mask.with_name(f"._{name}.png").write_bytes(b"of macOS")
    about = tmp_path / "annotations"
    (about / "xmls").mkdir()
    (about / "xmls" / "pug_3.xml").write_text("<annotation></annotation>")
    (about / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\nAbyssinian_1 1 1 1\n")
    (about / "trainval.txt").write_text("Abyssinian_1 1 1 1\nbeagle_10 5 2 4\npug_3 9 2 8\n")
    (about / "test.txt").write_text("Abyssinian_2 1 1 1\n")
    assert sizes(tmp_path) == {"train": 3, "test": 1}
    masks, info = served(tmp_path)
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 2))
    assert info.class_names == ["pet", "background", "border"]
    assert not info.skipped


def test_drive_is_labelled_by_hand(tmp_path, save_pair, save_image, served):
    """The masks of DRIVE are the field of view; its test images come without the vessels."""
    for number in (21, 22, 1):
        top = tmp_path / ("training" if number > 20 else "test")
        word = top.name
        truth = top / "1st_manual" / f"{number:02}_manual1.gif"
        save_pair(top / "images" / f"{number:02}_{word}.tif", truth, stripes(0, 255, 0), number)
        save_image(top / "mask" / f"{number:02}_{word}_mask.gif", stripes(255, 255, 255))
    assert sizes(tmp_path) == {"train": 2, "test": 1}
    for _, mask in served(tmp_path)[0].items():
        np.testing.assert_array_equal(mask, stripes(0, 1, 0))
    for path in (tmp_path / "test" / "1st_manual").iterdir():
        path.unlink()
    with pytest.warns(UserWarning, match="test holds no masks and is left out"):
        assert sizes(tmp_path) == {"train": 2}
