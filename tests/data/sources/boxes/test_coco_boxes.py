"""COCO instances as boxes, against the numbers in the file and against pycocotools."""

import json

import numpy as np
import pytest

import kvision as kv

SIZE = (12, 16)
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 90, "name": "brush"}]


def square(x0, y0, x1, y1):
    return [x0, y0, x1, y0, x1, y1, x0, y1]


@pytest.fixture
def coco(tmp_path, save_image):
    """Writes a file of annotations (each with `image_id`) beside 12 x 16 images; returns it."""

    def write(annotations, count=1, folder="images", file="instances.json", **changes):
        for number in range(count):
            save_image(tmp_path / folder / f"{number}.png", np.full((*SIZE, 3), number, "uint8"))
        images = [
            {"id": 100 + number, "file_name": f"{number}.png", "height": 12, "width": 16}
            for number in range(count)
        ]
        annotations = [{"id": i, "image_id": 100, **a} for i, a in enumerate(annotations)]
        content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**content, **changes}))
        return path

    return write


def served(path, split="train", **options):
    """The objects by the number that their images show, and the info."""
    dataset, info = kv.data.load(path, split, with_info=True, **options)
    examples = list(dataset.as_numpy_iterator())
    return {int(e["image"][0, 0, 0]): e["objects"] for e in examples}, info


@pytest.mark.parametrize(("no", "yes"), [(0, 1), ("0", "1"), (None, True), (0.0, 1.0)])
def test_boxes_and_flags(coco, no, yes):
    path = coco(
        [
            {"category_id": 90, "bbox": [1, 2, 4, 6], "area": 13.5, "iscrowd": no},
            {"category_id": 18, "bbox": [0, 0, 16, 12], "iscrowd": yes},
            {"category_id": 3, "bbox": [2.5, 1.5, 3, 3], "image_id": 102},
        ],
        3,
    )
    objects, info = served(path)
    scale = [12, 16, 12, 16]
    np.testing.assert_allclose(
        objects[0]["bbox"] * scale, [[2, 1, 8, 5], [0, 0, 12, 16]], atol=1e-5
    )
    np.testing.assert_allclose(objects[2]["bbox"] * scale, [[1.5, 2.5, 4.5, 5.5]], atol=1e-5)
    np.testing.assert_array_equal(objects[0]["label"], [2, 0])
    np.testing.assert_array_equal(objects[2]["label"], [1])
    np.testing.assert_array_equal(objects[0]["is_crowd"], [False, True])
    np.testing.assert_array_equal(objects[0]["is_difficult"], [False, False])
    np.testing.assert_allclose(objects[0]["area"], [13.5, 192], rtol=1e-6)
    assert objects[1]["bbox"].shape == (0, 4)
    assert info.class_names == ["dog", "car", "brush"]
    assert info.splits["train"].class_counts == {"dog": 1, "car": 1, "brush": 1}


def test_what_is_served_by_default(coco):
    shape = {"category_id": 3, "bbox": [0, 0, 2, 2], "segmentation": [square(0, 0, 2, 2)]}
    bare = {"category_id": 3, "bbox": [0, 0, 2, 2]}
    for annotations, wanted, found in (
        ([bare], None, {"image", "objects"}),
        ([shape], None, {"image", "segmentation_mask"}),
        ([], None, {"image", "segmentation_mask"}),
        ([shape], "boxes", {"image", "objects"}),
        ([shape], "instances", {"image", "objects"}),
        ([shape], "masks", {"image", "segmentation_mask"}),
    ):
        dataset = kv.data.load(coco(annotations), "train", annotations=wanted)
        assert set(dataset.element_spec) == found
        masks = wanted == "instances"
        assert ("mask" in dataset.element_spec.get("objects", {})) == masks


def test_masks_of_objects_equal_those_of_pycocotools(coco):
    """Run lengths exactly; polygons but for their edges, which pycocotools draws wider."""
    tool = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(0)
    region = random.random(SIZE) < 0.4
    packed = tool.encode(np.asfortranarray(region.astype("uint8")))
    packed = {**packed, "counts": packed["counts"].decode()}
    plain = np.diff([0, *(np.flatnonzero(np.diff(region.T.ravel())) + 1), region.size]).tolist()
    plain = {"size": list(SIZE), "counts": plain if not region[0, 0] else [0, *plain]}
    polygon = [square(2, 1, 9, 8), square(10, 9, 14, 12)]
    path = coco(
        [
            {"category_id": 3, "bbox": [0, 0, 16, 12], "segmentation": packed, "iscrowd": 1},
            {"category_id": 3, "bbox": [0, 0, 16, 12], "segmentation": plain},
            {"category_id": 18, "bbox": [2, 1, 12, 11], "segmentation": polygon},
        ],
        2,
    )
    objects, _ = served(path, annotations="instances")
    assert objects[0]["mask"].dtype == np.uint8
    np.testing.assert_array_equal(objects[0]["mask"][0], region)
    np.testing.assert_array_equal(objects[0]["mask"][1], region)
    theirs = tool.decode(tool.merge(tool.frPyObjects(polygon, *SIZE)))
    np.testing.assert_array_equal(objects[0]["mask"][2], theirs)
    assert objects[1]["mask"].shape == (0, *SIZE)
    dataset = kv.data.load(path, "train", annotations="instances")
    batches = kv.data.batches(dataset, SIZE, 2, target="objects", masks=True)
    _, truth = next(iter(batches))
    here = int(np.argmax(truth["classes"].numpy().max(-1)))
    np.testing.assert_array_equal(truth["masks"][here, 0], region)
    np.testing.assert_array_equal(truth["crowd"][here], [1, 0, 0])


def test_boxes_that_are_dropped_take_their_masks_along(coco):
    path = coco(
        [
            {"category_id": 3, "bbox": [3, 3, 0, 4], "segmentation": [square(0, 0, 1, 1)]},
            {"category_id": 18, "bbox": [5, 5, 4, 4], "segmentation": [square(5, 5, 9, 9)]},
            {"category_id": 18, "bbox": [-4, 5, 8, 4], "segmentation": [square(0, 5, 4, 9)]},
        ]
    )
    with pytest.warns(UserWarning, match=r"2 box\(es\)"):
        objects, info = served(path, annotations="instances")
    assert [(box.name, box.reason) for box in info.repaired] == [
        ("0.png, annotation 0", "dropped: it has no area"),
        ("0.png, annotation 2", "it reached 4 pixels over the border"),
    ]
    assert [mask.sum() for mask in objects[0]["mask"]] == [16, 16]
    assert objects[0]["mask"][0, 5:9, 5:9].all()


def test_a_folder_of_splits(coco, tmp_path):
    bare = {"category_id": 3, "bbox": [0, 0, 2, 2]}
    coco([bare], 3, "train2017", "annotations/instances_train2017.json")
    coco([bare, bare], 2, "val2017", "annotations/instances_val2017.json")
    (tmp_path / "annotations" / "captions_val2017.json").write_text("{}")
    splits, info = kv.data.load(tmp_path, with_info=True)
    assert {name: len(split) for name, split in splits.items()} == {"train": 3, "validation": 2}
    assert info.splits["validation"].class_counts["car"] == 2
    shape = {**bare, "segmentation": [square(0, 0, 2, 2)]}
    coco([shape], 2, "val2017", "annotations/instances_val2017.json")
    coco([shape], 3, "train2017", "annotations/instances_train2017.json")
    masks = kv.data.load(tmp_path, "validation")
    assert sum(int(e["segmentation_mask"].max()) == 2 for e in masks.as_numpy_iterator()) == 1
    others = [{"id": 3, "name": "lorry"}]
    coco([shape], 2, "val2017", "annotations/instances_val2017.json", categories=others)
    with pytest.raises(ValueError, match="must have the same categories"):
        kv.data.load(tmp_path)


@pytest.mark.parametrize("box", [None, [], [1, 2, 3], "1234", [1, 2, 3, "4"]])
def test_annotations_without_a_box_are_named(coco, box):
    bare = {"category_id": 3, "bbox": [0, 0, 2, 2]}
    path = coco([bare, {"category_id": 3, "bbox": box, "image_id": 101}], 2)
    with pytest.warns(UserWarning, match="annotation 1: dropped: it has no bbox of x, y, width"):
        objects, info = served(path, annotations="boxes")
    assert [len(objects[number]["label"]) for number in (0, 1)] == [1, 0]
    assert info.skipped == ()


def test_objects_that_cannot_be_painted_are_named(coco):
    bare = {"category_id": 3, "bbox": [0, 0, 2, 2]}
    shape = {**bare, "segmentation": [square(0, 0, 2, 2)]}
    path = coco([shape, {**bare, "image_id": 101}], 2)
    assert set(served(path, annotations="boxes")[0]) == {0, 1}
    with pytest.warns(UserWarning, match="1.png, annotation 1: dropped: it cannot be painted"):
        objects, _ = served(path, annotations="instances")
    assert [len(objects[number]["label"]) for number in (0, 1)] == [1, 0]


BARE = {"category_id": 3, "bbox": [4, 3, 8, 6]}


def images(*names, **changes):
    return [{"id": 100 + i, "file_name": name, **changes} for i, name in enumerate(names)]


@pytest.mark.parametrize(
    "size",
    [
        {},
        {"width": "16", "height": "12"},
        {"width": 0, "height": 0},
        {"width": 16.0, "height": None},
    ],
)
@pytest.mark.parametrize("annotations", ["boxes", "masks"])
def test_sizes_are_measured(coco, size, annotations):
    shape = {**BARE, "segmentation": [square(4, 3, 12, 9)]}
    path = coco([shape], images=images("0.png", **size))
    (example,) = kv.data.load(path, "train", annotations=annotations).as_numpy_iterator()
    if annotations == "masks":
        assert (example["segmentation_mask"][3:9, 4:12] == 2).all()
    else:
        np.testing.assert_allclose(example["objects"]["bbox"], [[0.25, 0.25, 0.75, 0.75]])
    path = coco([shape], images=images("0.png", width="17"))
    with pytest.raises(ValueError, match=r"it has 17x12 pixels, and the picture has 16x12"):
        kv.data.load(path, annotations=annotations)


@pytest.mark.parametrize("ids", [("x1", "x1"), ("7", 7), (7, "7"), (7.0, 7)])
def test_ids_may_be_text(coco, ids):
    image, annotation = ids
    path = coco(
        [{**BARE, "image_id": annotation, "category_id": annotation}],
        images=[{"id": image, "file_name": "0.png"}],
        categories=[{"id": image, "name": "dog"}],
    )
    objects, _ = served(path)
    np.testing.assert_array_equal(objects[0]["label"], [0])


def test_boxes_in_shares_are_refused(coco):
    """COCO's are in pixels; all would be smaller than one."""
    shares = [{"category_id": 3, "bbox": [0.1, 0.2, 0.3, 0.8]}] * 3
    with pytest.raises(
        ValueError, match="instances.json .*must be in pixels. Received: most of them"
    ):
        kv.data.load(coco(shares))
    dot = {"category_id": 3, "bbox": [0, 0, 1, 1]}
    assert len(served(coco([BARE, BARE, dot]))[0][0]["label"]) == 3


def test_annotations_of_unknown_pictures_are_named(coco):
    path = coco(
        [BARE, {**BARE, "image_id": 7}, {**BARE, "image_id": 7}, {**BARE, "image_id": None}]
    )
    with pytest.warns(UserWarning, match="image 7: 2 annotation.*\n.*image None: 1 annotation"):
        objects, _ = served(path)
    assert len(objects[0]["label"]) == 1
    with pytest.raises(ValueError, match="Mend or remove"):
        kv.data.load(path, errors="raise")


def test_an_id_of_two_pictures(coco):
    entries = [{"id": 1, "file_name": name} for name in ("0.png", "1.png")]
    path = coco([{**BARE, "image_id": 1}, BARE], 3, images=[*entries, *images("2.png")])
    with pytest.warns(UserWarning, match="0.png: its id 1 is that of '1.png' too"):
        objects, info = served(path)
    assert set(objects) == {2}
    assert len(objects[2]["label"]) == 1
    assert len(info.skipped) == 2
    # The same entry twice says nothing else.
    assert set(served(coco([BARE], images=[*images("0.png"), *images("0.png")]))[0]) == {0}


def test_two_ids_of_a_picture(coco):
    path = coco([BARE, {**BARE, "image_id": 101}], images=images("0.png", "./0.png"))
    with pytest.warns(
        UserWarning, match="0.png is there 2 times, with the ids 100 and 101: it is one"
    ):
        objects, info = served(path)
    assert info.splits["train"].num_examples == 1
    assert len(objects[0]["label"]) == 2


def test_an_id_of_two_categories(coco):
    path = coco([BARE], categories=[{"id": 3, "name": "cat"}, {"id": "3", "name": "dog"}])
    with pytest.raises(
        ValueError, match="ids of their own. Received: the id 3 for 'cat' and for 'dog'"
    ):
        kv.data.load(path)


def test_categories_of_one_name_are_one_class(coco):
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "cat"}]
    path = coco([BARE, {**BARE, "category_id": 1}], categories=categories)
    with pytest.warns(UserWarning, match="categories 1 and 3 .* are all called 'cat'"):
        objects, info = served(path)
    assert info.splits["train"].class_counts == {"cat": 2, "dog": 0}
    np.testing.assert_array_equal(objects[0]["label"], [0, 0])


def test_two_files_of_a_split(coco, tmp_path):
    for year in ("2014", "2017"):
        coco([BARE], 1, "train", f"annotations/instances_train{year}.json")
    with pytest.raises(ValueError, match="must hold one instances file for each split"):
        kv.data.load(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        r"C:\data\images\0.png",
        "/home/me/images/0.png",
        r"images\0.png",
        "../photos/0.png",
        "./0.png",
    ],
)
def test_names_of_another_machine(coco, name):
    assert set(served(coco([BARE], images=images(name)))[0]) == {0}


def test_names_of_another_machine_are_never_made_one_picture(coco):
    path = coco([BARE], 2, images=images("cam1/0.png", "cam2/0.png", "1.png"))
    with pytest.warns(UserWarning, match="cam1/0.png: .* may as well be 'cam2/0.png'"):
        assert set(served(path)[0]) == {1}


def test_the_folder_with_most_pictures_is_theirs(coco, tmp_path, save_image):
    """A part of COCO lacks the first pictures, and another folder may hold one of the same name."""
    path = coco([BARE], 4, ".", images=images(*(f"{i}.png" for i in range(-30, 4))))
    save_image(tmp_path / "images" / "0.png")
    with pytest.warns(UserWarning, match=r"30 file\(s\)"):
        assert set(served(path)[0]) == {0, 1, 2, 3}


def test_more_categories_than_masks_can_hold(coco):
    many = [{"id": i, "name": str(i)} for i in range(300)]
    path = coco([{"category_id": 299, "bbox": [0, 0, 2, 2]}], categories=many)
    objects, info = served(path)
    assert objects[0]["label"] == 299
    assert len(info.class_names) == 300
    with pytest.raises(ValueError, match="Received: 300. Pass annotations='boxes'"):
        kv.data.load(path, annotations="masks")
