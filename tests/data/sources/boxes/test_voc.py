"""VOC's XML files: where boxes lie, what is refused, and the blood cells of real life."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

import kvision as kv

HEIGHT, WIDTH = 24, 32


def thing(name, box, extra=""):
    ymin, xmin, ymax, xmax = box
    return (
        f"<object><name>{name}</name>{extra}<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
    )


@pytest.fixture
def voc(tmp_path, save_image):
    """Writes a picture and its XML file; the pictures are numbered by their grey."""
    root = tmp_path / "VOC"

    def write(stem, *things, size=(HEIGHT, WIDTH), shape=(HEIGHT, WIDTH), head="", **options):
        save_image(root / "JPEGImages" / f"{stem}.png", np.full((*shape, 3), 7, "uint8"), **options)
        size = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
        path = root / "Annotations" / f"{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{head}<annotation>{size}{''.join(things)}</annotation>")
        return root

    return write


def only(root, split="train", **options):
    dataset, info = kv.data.load(root, split, with_info=True, **options)
    return list(dataset.as_numpy_iterator()), info


def test_corners_count_from_one_and_are_part_of_the_box(voc):
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    difficult = "<difficult>1</difficult><truncated>1</truncated>" + part
    root = voc("a", thing("zebra", (1, 1, 24, 16)), thing("ape", (3, 5, 4, 8), difficult))
    (example,), info = only(root)
    objects = example["objects"]
    scale = [HEIGHT, WIDTH, HEIGHT, WIDTH]
    np.testing.assert_allclose(objects["bbox"] * scale, [[0, 0, 24, 16], [2, 4, 4, 8]], atol=1e-5)
    np.testing.assert_array_equal(objects["label"], [1, 0])
    np.testing.assert_array_equal(objects["is_difficult"], [False, True])
    np.testing.assert_array_equal(objects["is_crowd"], [False, False])
    np.testing.assert_allclose(objects["area"], [24 * 16, 8], rtol=1e-5)
    assert info.class_names == info.features["objects"]["label"].names == ["ape", "zebra"]
    assert info.splits["train"].class_counts == {"ape": 1, "zebra": 1}
    assert info.repaired == info.skipped == ()


def test_classes_of_voc_keep_their_order(voc):
    root = voc("a", thing("person", (1, 1, 9, 9)), thing("cat", (1, 1, 9, 9)))
    (example,), info = only(root)
    assert len(info.class_names) == 20
    assert info.class_names[0] == "aeroplane"
    assert [info.class_names[label] for label in example["objects"]["label"]] == ["person", "cat"]


def test_splits(voc):
    for stem in "abcde":
        root = voc(stem, *([] if stem == "a" else [thing("x", (1, 1, 5, 5 + ord(stem) - 97))]))
    assert list(kv.data.load(root)) == ["train"]
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    (lists / "test.txt").write_text("e\nmissing\n../secret\n")
    (lists / "trainval.txt").write_text("a\nb\nc\nd\n")
    with pytest.warns(UserWarning, match="missing: not among the pictures and the XML files"):
        _, info = only(root, "train")
    sizes = {name: split.num_examples for name, split in info.splits.items()}
    assert sizes == {"train": 2, "validation": 1, "test": 1}
    assert {file.name for file in info.skipped} == {"missing", "../secret"}
    (lists / "train.txt").unlink()
    (lists / "val.txt").unlink()
    (lists / "test.txt").unlink()
    assert kv.data.load(root, with_info=True)[1].splits["train"].num_examples == 4


def test_lists_with_endings_and_columns(voc):
    for stem in ("a", "b", "c 1"):
        root = voc(stem, thing("x", (1, 1, 5, 5)))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a.png\nc 1\n")
    (lists / "val.txt").write_text("b  -1\n")
    _, info = only(root)
    assert {name: split.num_examples for name, split in info.splits.items()} == {
        "train": 2,
        "validation": 1,
    }
    assert not info.skipped


def test_wrong_boxes_are_repaired_and_named(voc):
    things = [
        thing("x", (9, 20, 2, 4)),
        thing("x", (-4, 1, 9, 9)),
        thing("x", (5, 5, 5, 5)),
        thing("x", (50, 50, 60, 60)),
        thing("x", ("?", 1, 5, 5)),
        thing("x", (1, 1, 2, 2)),
    ]
    root = voc("a", *things)
    with pytest.warns(
        UserWarning, match=r"5 box\(es\) in .* are wrong \(3 of them dropped\)"
    ) as all_:
        (example,), info = only(root)
    assert len(all_) == 1
    assert os.path.samefile(all_[0].filename, __file__)
    scale = [HEIGHT, WIDTH, HEIGHT, WIDTH]
    expected = [[1, 3, 9, 20], [0, 0, 9, 9], [0, 0, 2, 2]]
    np.testing.assert_allclose(example["objects"]["bbox"] * scale, expected, atol=1e-5)
    names = [box.name for box in info.repaired]
    assert names == [f"a.png, x {number}" for number in range(1, 6)]
    assert "swapped" in info.repaired[0].reason
    assert all("dropped" in box.reason for box in info.repaired[2:])
    with pytest.raises(ValueError, match=r"5 box\(es\)(.|\n)*Mend or remove"):
        kv.data.load(root, errors="raise")


@pytest.mark.parametrize(
    ("size", "box", "served"),
    [((24, 32), (1, 1, 24, 32), True), ((99, 99), (1, 1, 24, 32), True), (None, (1, 1, 9, 9), True)]
    + [((99, 99), (1, 1, 30, 32), False), ((0, 0), (1, 1, 24, 32), True)],
)
def test_sizes_that_contradict_the_picture(voc, size, box, served):
    voc("good", thing("x", (1, 1, 5, 5)))
    root = voc("a", thing("x", box), size=size)
    if served:
        assert len(only(root)[0]) == 2
    else:
        with pytest.warns(UserWarning, match="a.xml: it is for a picture of 99x99 pixels.*32x24"):
            assert len(only(root)[0]) == 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_are_of_the_upright_picture(tmp_path, save_image, suffix, grey, orientation):
    """Whatever its format: the size that the file states tells which one was seen."""
    upright = np.zeros((32, 24) if grey else (32, 24, 3), "uint8")
    upright[:16, :8] = 200
    stored = {
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(upright).transpose(stored)
    (tmp_path / "Annotations").mkdir()
    for stem, size in (("a", (32, 24)), ("b", (24, 32))):
        save_image(tmp_path / "JPEGImages" / f"{stem}.{suffix}", picture, exif=exif)
        stated = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"
        text = f"<annotation>{stated}{thing('x', (1, 1, 16, 8))}</annotation>"
        (tmp_path / "Annotations" / f"{stem}.xml").write_text(text)
    hint = "b.xml: .*of 32x24 pixels, and the picture has 24x32 once turned upright"
    with pytest.warns(UserWarning, match=hint):
        ((example,), _) = only(tmp_path)
    assert example["image"].shape == (32, 24, 3)
    box = example["objects"]["bbox"][0] * [32, 24, 32, 24]
    np.testing.assert_allclose(box, [0, 0, 16, 8], atol=1e-5)
    found = np.argwhere(example["image"][..., 0] > 100)
    assert (found.min(0).tolist(), (found.max(0) + 1).tolist()) == ([0, 0], [16, 8])


BOMB = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    "<annotation><object><name>&c;</name></object></annotation>"
)
SECRET = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotation/>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB.encode(), "it has a DOCTYPE"),
        (BOMB.encode("utf-16"), "it has a DOCTYPE"),
        (SECRET.encode(), "it has a DOCTYPE"),
        (b"<annotation><object>", "no annotation of VOC"),
        (b"", "no annotation of VOC"),
        (b"<html/>", "it holds <html>, not <annotation>"),
    ],
)
def test_damaged_files_are_named(voc, content, reason):
    root = voc("good", thing("x", (1, 1, 5, 5)))
    voc("bad")
    (root / "Annotations" / "bad.xml").write_bytes(content)
    with pytest.warns(UserWarning, match="cannot be served"):
        examples, info = only(root)
    assert len(examples) == 1
    (skipped,) = info.skipped
    assert skipped.name.endswith("bad.xml")
    assert reason in skipped.reason


def test_an_object_without_a_box_or_name_drops_only_itself(voc):
    polygon = "<object><name>x</name><polygon><x1>1</x1><y1>1</y1></polygon></object>"
    root = voc(
        "a", polygon, thing("x", (1, 1, 5, 5)), thing(" ", (1, 1, 5, 5)), thing("x", (3, 3, 3, 3))
    )
    for _ in range(2):  # checked, then remembered
        with pytest.warns(UserWarning, match=r"3 box\(es\) .* \(3 of them dropped\)"):
            (example,), info = only(root)
        assert len(example["objects"]["bbox"]) == 1
        assert {box.name: box.reason for box in info.repaired} == {
            "a.png, x 1": "dropped: it has no bndbox",
            "a.png, object 3": "dropped: it has no name",
            "a.png, x 4": "dropped: it has no area",
        }


def greys_and_classes(root):
    """What the pictures show, and the classes of their objects."""
    examples, info = only(root)
    return {
        int(e["image"][0, 0, 0]): [info.class_names[label] for label in e["objects"]["label"]]
        for e in examples
    }, info


@pytest.fixture
def cameras(tmp_path, save_image):
    """Pictures of equal names in two folders, 10 and 20 grey; and `write` for XML files."""
    root = tmp_path / "VOC"
    for folder, grey in (("c1", 10), ("c2", 20)):
        save_image(
            root / "JPEGImages" / folder / "1.png", np.full((HEIGHT, WIDTH, 3), grey, "uint8")
        )

    def write(*names):
        for name in names:
            path = root / "Annotations" / f"{name}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            box = thing(f"of {name}", (1, 1, 5, 5))
            path.write_text(f"<annotation>{box}</annotation>")
        return root

    return write


def test_equal_names_in_subfolders(cameras):
    found, _ = greys_and_classes(cameras("c1/1", "c2/1"))
    assert found == {10: ["of c1/1"], 20: ["of c2/1"]}


def test_a_picture_of_the_same_name_is_not_that_of_another(cameras):
    """Only one folder is annotated; the annotations of one picture may be either's."""
    assert greys_and_classes(cameras("c1/1"))[0] == {10: ["of c1/1"]}
    root = cameras("good/2")
    (root / "JPEGImages" / "c2" / "1.png").rename(root / "JPEGImages" / "2.png")
    found, _ = greys_and_classes(root)
    assert found == {10: ["of c1/1"], 20: ["of good/2"]}


def test_names_that_fit_more_than_one_file(cameras):
    root = cameras("1", "c3/2")
    (root / "JPEGImages" / "2.png").write_bytes((root / "JPEGImages/c1/1.png").read_bytes())
    with pytest.warns(UserWarning, match=r"1: it may be 'JPEGImages/c1/1.png' or 'JPEGImages/c2/1"):
        found, _ = greys_and_classes(root)
    assert found == {10: ["of c3/2"]}


def test_lists_name_a_picture_in_two_ways(voc):
    root = voc("c1/1", thing("x", (1, 1, 5, 5)))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("c1/1\n1\n")
    (lists / "val.txt").write_text("1\n")
    assert [len(only(root, split)[0]) for split in ("train", "validation")] == [1, 1]


def test_pictures_without_a_file_are_counted(voc, save_image):
    root = voc("b", thing("x", (1, 1, 5, 5)))
    for name in "acdef":
        save_image(root / "JPEGImages" / f"{name}.png")
    text = r"5 picture\(s\) have no XML file and are left out: 'a', 'c', 'd', \.\.\."
    with pytest.warns(UserWarning, match=text):
        assert len(only(root)[0]) == 1


def test_one_name_with_two_endings(voc, save_image):
    voc("b", thing("x", (1, 1, 5, 5)))
    root = voc("a", thing("x", (1, 1, 5, 5)))
    save_image(root / "JPEGImages" / "a.jpg")
    with pytest.warns(UserWarning, match="a: it may be 'JPEGImages/a.jpg' or 'JPEGImages/a.png'"):
        assert len(only(root)[0]) == 1


def test_lists_name_pictures_in_subfolders(cameras):
    root = cameras("c1/1", "c2/1")
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("c1/1\nc1/1.png\n")
    (lists / "val.txt").write_text("1\n")
    with pytest.warns(UserWarning, match="1: it may be"):
        found, info = greys_and_classes(root)
    assert found == {10: ["of c1/1"]}
    assert list(info.splits) == ["train"]


def test_names_in_files_are_not_followed(voc, tmp_path, save_image):
    """The picture is that of the file's own name; links that leave the folder are refused."""
    save_image(tmp_path / "secret.png", np.full((HEIGHT, WIDTH, 3), 200, "uint8"))
    root = voc("a", "<filename>../../secret.png</filename><path>/secret</path>")
    (example,), _ = only(root)
    assert example["image"].max() == 7
    voc("b", thing("x", (1, 1, 5, 5)))
    (root / "JPEGImages" / "b.png").unlink()
    (root / "JPEGImages" / "b.png").symlink_to(tmp_path / "secret.png")
    with pytest.warns(UserWarning, match="a link that leaves the folder"):
        assert len(only(root)[0]) == 1


def test_damaged_pictures_are_named(voc):
    voc("good", thing("x", (1, 1, 5, 5)))
    root = voc("bad", thing("y", (1, 1, 5, 5)))
    (root / "JPEGImages" / "bad.png").write_bytes(b"\x89PNG no more")
    with pytest.warns(UserWarning, match=r"bad.png"):
        examples, info = only(root)
    assert len(examples) == 1
    assert info.class_names == ["x"]


def test_verdicts_are_remembered(voc, monkeypatch):
    from kvision.data.sources.boxes import voc as source

    root = voc("a", thing("x", (1, 1, 5, 5)), thing("x", (2, 2, 2, 2)))
    with pytest.warns(UserWarning, match="no area"):
        first = only(root)
    calls = []
    check = source.check_voc_files
    monkeypatch.setattr(
        source, "check_voc_files", lambda paths: calls.extend(paths) or check(paths)
    )
    with pytest.warns(UserWarning, match="no area"):
        second = only(root)
    assert not calls
    np.testing.assert_array_equal(first[0][0]["objects"]["bbox"], second[0][0]["objects"]["bbox"])
    voc("a", thing("x", (1, 1, 9, 9)), thing("x", (1, 1, 3, 3)))
    assert len(only(root)[0][0]["objects"]["label"]) == 2
    assert len(calls) == 1


def test_boxes_or_masks(voc, save_image):
    root = voc("a", thing("cat", (1, 1, 9, 9)))
    save_image(root / "SegmentationClass" / "a.png", np.zeros((HEIGHT, WIDTH), "uint8"))
    assert "segmentation_mask" in kv.data.load(root, "train").element_spec
    assert "segmentation_mask" in kv.data.load(root, "train", annotations="masks").element_spec
    assert "objects" in kv.data.load(root, "train", annotations="boxes").element_spec
    with pytest.raises(ValueError, match="must be 'masks' or 'boxes'.*Received: 'instances'"):
        kv.data.load(root, annotations="instances")
    shutil.rmtree(root / "SegmentationClass")
    with pytest.raises(ValueError, match="must be 'boxes'.*Received: 'masks'"):
        kv.data.load(root, annotations="masks")
    assert "objects" in kv.data.load(root.parent, "train").element_spec  # VOCdevkit/VOC
    with pytest.raises(ValueError, match="`annotations` must be one of"):
        kv.data.load(root, annotations="dots")


@pytest.mark.filterwarnings("ignore:2 box")
def test_blood_cells(shared_data):
    splits, info = kv.data.load(shared_data / "bccd", with_info=True)
    assert info.class_names == ["Platelets", "RBC", "WBC"]
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 205,
        "validation": 87,
        "test": 72,
    }
    counts = [split.class_counts for split in info.splits.values()]
    total = {name: sum(count[name] for count in counts) for name in info.class_names}
    assert total == {"Platelets": 361, "RBC": 4155 - 2, "WBC": 372}
    assert sorted(box.name for box in info.repaired) == [
        "BloodImage_00338.jpg, RBC 13",
        "BloodImage_00343.jpg, RBC 4",
    ]
    assert info.skipped == ()
    _, truth = next(iter(kv.data.batches(splits["train"], 96, 205, target="objects")))
    assert (truth["classes"].numpy() >= 0).sum() == sum(counts[0].values())
    np.testing.assert_array_equal(np.unique(truth["size"], axis=0), [[480, 640]])
