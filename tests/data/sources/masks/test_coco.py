"""COCO's polygons and run lengths become the masks that a person would paint."""

import json
import tracemalloc

import numpy as np
import pytest

import kvision as kv
from kvision.data.sources.masks.regions import decode_runs, fill_polygons


def compress(counts):
    """COCO's string of run lengths, as its C code writes it."""
    text = ""
    for number, count in enumerate(counts):
        left = count - counts[number - 2] if number > 2 else count
        more = True
        while more:
            bits = left & 31
            left >>= 5
            more = left != -1 if bits & 16 else left != 0
            text += chr((bits | 32 if more else bits) + 48)
    return text


def run_lengths(region):
    """Down the columns, beginning with a run outside."""
    counts, current, run = [], False, 0
    for value in region.T.reshape(-1):
        if value != current:
            counts.append(run)
            current, run = value, 0
        run += 1
    return [*counts, run]


def test_runs_go_down_the_columns():
    region = np.array([[0, 0], [1, 1]], bool)
    assert run_lengths(region) == [1, 1, 1, 1]
    found = decode_runs({"size": [2, 2], "counts": [1, 1, 1, 1]})
    np.testing.assert_array_equal(found, region)


# From `encode` of pycocotools 2.0.11: 5 x 7 pixels, rows 1..3 and columns 2..4 filled; none; all.
@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [(";320009", (1, 4), (2, 5)), ("S1", (0, 0), (0, 0)), ("0S1", (0, 5), (0, 7))],
)
def test_compressed_runs_of_pycocotools(text, rows, columns):
    expected = np.zeros((5, 7), bool)
    expected[slice(*rows), slice(*columns)] = True
    assert compress(run_lengths(expected)) == text
    np.testing.assert_array_equal(decode_runs({"size": [5, 7], "counts": text}), expected)


def test_runs_there_and_back():
    random = np.random.default_rng(0)
    for size in ((5, 7), (1, 1), (40, 3), (200, 300)):
        for share in (0.0, 0.02, 0.5, 1.0):
            region = random.random(size) < share
            counts = run_lengths(region)
            for form in (counts, compress(counts), compress(counts).encode()):
                found = decode_runs({"size": list(size), "counts": form})
                np.testing.assert_array_equal(found, region)


@pytest.mark.parametrize(
    "counts",
    [[1, 1], [5, -1], [2**63 - 1, 2**63 - 1, 6], [2.0, 2.0], "", "0", "zzzz", "o" * 30 + "0"],
)
def test_damaged_runs(counts):
    with pytest.raises(ValueError, match="runs of a region must"):
        decode_runs({"size": [2, 2], "counts": counts})


def test_polygons_fill_the_pixels_whose_centres_they_hold():
    """Against a count of crossings for every single pixel centre."""
    random = np.random.default_rng(0)
    for corners in (3, 4, 7, 20):
        points = random.uniform(-5, 30, (corners, 2))
        expected = np.zeros((20, 25), bool)
        for row in range(20):
            for column in range(25):
                x, y = column + 0.5, row + 0.5
                crossings = 0
                for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0), strict=True):
                    if (y0 <= y) != (y1 <= y):
                        crossings += x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x
                expected[row, column] = crossings % 2
        found = fill_polygons([points.reshape(-1).tolist()], 20, 25)
        np.testing.assert_array_equal(found, expected)


def test_polygons_with_many_points_take_little_memory():
    """Each edge crosses all rows, and each row all edges."""
    random, rows, points = np.random.default_rng(0), 1000, 4000
    points = np.stack([random.uniform(0, 50, points), np.tile([0, rows], points // 2)], axis=1)
    tracemalloc.start()
    found = fill_polygons([points.reshape(-1).tolist()], rows, 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    at = points + (np.roll(points, -1, axis=0) - points) * abs(points[:, 1:] - 700.5) / rows
    for column in (3, 20, 49):
        assert found[700, column] == (at[:, 0] <= column + 0.5).sum() % 2


def test_polygons_side_by_side_share_no_pixel_and_leave_none():
    left, right = [0, 0, 5.3, 0, 8.1, 9, 0, 9], [5.3, 0, 12, 0, 12, 9, 8.1, 9]
    counts = fill_polygons([left], 9, 12).astype(int) + fill_polygons([right], 9, 12)
    assert (counts == 1).all()


def square(x0, y0, x1, y1):
    return [x0, y0, x1, y0, x1, y1, x0, y1]


CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 90, "name": "brush"}]


@pytest.fixture
def coco(tmp_path, save_image):
    """Writes a file of annotations (each with `image_id`) beside 12 x 16 images; returns it."""

    def write(annotations, count=1, folder="images", file="instances.json"):
        for number in range(count):
            pixels = np.full((12, 16, 3), number, "uint8")
            save_image(tmp_path / folder / f"{number}.png", pixels)
        images = [
            {"id": 100 + number, "file_name": f"{number}.png", "height": 12, "width": 16}
            for number in range(count)
        ]
        annotations = [{"id": i, "image_id": 100, **a} for i, a in enumerate(annotations)]
        content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return write


def test_categories_are_numbered_in_their_order(coco, served):
    path = coco(
        [
            {"category_id": 3, "segmentation": [square(1, 2, 5, 6)]},
            {"category_id": 18, "segmentation": [square(8, 0, 10, 3), square(12, 4, 14, 12)]},
        ]
    )
    masks, info = served(path)
    assert info.class_names == ["background", "dog", "car", "brush"]
    expected = np.zeros((12, 16), "uint8")
    expected[2:6, 1:5] = 2
    expected[0:3, 8:10] = expected[4:12, 12:14] = 1
    np.testing.assert_array_equal(masks[0], expected)
    counts = {"background": 1, "dog": 1, "car": 1, "brush": 0}
    assert info.splits["train"].class_counts == counts


def test_the_smaller_is_in_front_and_crowds_are_void(coco, served):
    crowd = np.zeros((12, 16), bool)
    crowd[:, 6:14] = True
    small = {"category_id": 90, "segmentation": [square(3, 3, 5, 5)]}
    large = {"category_id": 18, "segmentation": [square(2, 2, 8, 8)]}
    runs = {"size": [12, 16], "counts": run_lengths(crowd)}
    crowd = {"category_id": 3, "segmentation": runs, "iscrowd": 1}
    expected = np.zeros((12, 16), "uint8")
    expected[:, 6:14] = 255
    expected[2:8, 2:8] = 1
    expected[3:5, 3:5] = 3
    for order in ([small, large, crowd], [crowd, large, small]):
        np.testing.assert_array_equal(served(coco(order))[0][0], expected)
    runs["counts"] = compress(runs["counts"])
    np.testing.assert_array_equal(served(coco([crowd, small, large]))[0][0], expected)


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("images", "instances.json"),
        (".", "instances.json"),
        ("val2017", "annotations/instances_val2017.json"),
        ("images/val2017", "annotations/instances_val2017.json"),
        ("images", "annotations/all.json"),
    ],
)
def test_images_are_found(coco, served, folder, file):
    path = coco([], 3, folder, file)
    masks, info = served(path)
    assert len(masks) == 3
    assert not masks[0].any()
    assert info.features["segmentation_mask"].void == 255


def test_images_elsewhere(coco, served, tmp_path):
    path = coco([], 2, "far/away")
    with pytest.raises(ValueError, match=r"must lie in a folder 'images'.*Pass `image_folder`"):
        kv.data.load(path)
    assert len(served(path, image_folder=tmp_path / "far" / "away")[0]) == 2
    with pytest.raises(ValueError, match="^`image_folder` must be a folder"):
        kv.data.load(path, image_folder=tmp_path / "nowhere")


def test_what_cannot_be_served_is_named(coco, served, tmp_path, save_image):
    annotations = [
        {"image_id": 101, "category_id": 7, "segmentation": [square(0, 0, 3, 3)]},
        {"image_id": 102, "category_id": 3, "segmentation": [[1, 2, 3]]},
        {"image_id": 103, "category_id": 3, "segmentation": {"size": [2, 2], "counts": [4]}},
        {"image_id": 104, "category_id": 3},
        {"image_id": 105, "category_id": 3, "segmentation": []},
        {"image_id": 106, "category_id": 3, "segmentation": {"size": [12, 16], "counts": "zz"}},
    ]
    path = coco(annotations, 9)
    save_image(tmp_path / "images" / "7.png", shape=(16, 12))
    (tmp_path / "images" / "8.png").unlink()
    with pytest.warns(UserWarning, match=r"6 annotation\(s\) .* \(6 of them dropped\)") as caught:
        masks, info = served(path)
    assert len(caught) == 1
    assert set(masks) == {0, 1, 2, 3, 4, 5, 6}
    dropped = {thing.name: thing.reason.removeprefix("dropped: ") for thing in info.repaired}
    assert dropped["1.png, annotation 0"] == "it is of an unknown category: 7"
    assert "it cannot be painted: a polygon must be" in dropped["2.png, annotation 1"]
    assert "its runs have the size (2, 2), not (12, 16)" in dropped["3.png, annotation 2"]
    assert "it cannot be painted" in dropped["4.png, annotation 3"]
    assert "it has neither polygons nor runs" in dropped["5.png, annotation 4"]
    assert "compressed runs" in dropped["6.png, annotation 5"]
    reasons = {file.name: file.reason for file in info.skipped}
    assert reasons == {
        "7.png": "the file says that it has 16x12 pixels, and the picture has 12x16",
        "8.png": "not in the folder of images",
    }
    with pytest.raises(ValueError, match=r"2 file\(s\)(.|\n)*6 annotation(.|\n)*Mend or remove"):
        kv.data.load(path, errors="raise")


def test_a_category_called_background_is_the_background(coco, served):
    path = coco(
        [
            {"category_id": 18, "segmentation": [square(0, 0, 16, 12)]},
            {"category_id": 3, "segmentation": [square(1, 2, 5, 6)]},
        ]
    )
    path.write_text(path.read_text().replace('"dog"', '"background"'))
    masks, info = served(path)
    assert info.class_names == ["background", "car", "brush"]
    assert masks[0].sum() == 16
    assert info.splits["train"].class_counts == {"background": 1, "car": 1, "brush": 0}


def test_one_bad_annotation_leaves_the_others(coco, served):
    good = {"category_id": 3, "segmentation": [square(1, 2, 5, 6)]}
    for bad in ({"segmentation": []}, {"category_id": 7}, {"segmentation": [[1, 2]]}):
        with pytest.warns(
            UserWarning, match=r"1 annotation\(s\).*\n  0.png, annotation 1: dropped"
        ):
            masks, _ = served(coco([good, {**good, **bad}]))
        assert (masks[0] == 2).sum() == 16


def test_names_do_not_leave_the_folder(coco, tmp_path, save_image):
    path = coco([], 2)
    content = json.loads(path.read_text())
    save_image(tmp_path / "secret.png", shape=(12, 16))
    (tmp_path / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    names = ("../secret.png", str(tmp_path / "secret.png"), "link.png", "x/../../secret.png")
    for number, name in enumerate(names):
        image = {"id": number, "file_name": name, "height": 12, "width": 16}
        content["images"].append(image)
    path.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="cannot be served"):
        dataset, info = kv.data.load(path, "train", with_info=True)
    assert {file.name for file in info.skipped} == set(names)
    assert all("leaves the folder" in file.reason for file in info.skipped)
    assert len(dataset) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": None}, "must be a COCO instances file"),
        ({"images": [{"id": 1}]}, "must be a COCO instances file"),
        ({"annotations": [{"id": 1}]}, "must be a COCO instances file"),
        ({"images": []}, "Received: 0 images"),
        ({"images": [{"file_name": "x"}]}, "must hold images with a file_name and an id"),
        ({"categories": []}, "and 0 categories"),
        (
            {"categories": [{"id": i, "name": str(i)} for i in range(300)]},
            "at most 254 classes .*Received: 300",
        ),
    ],
)
def test_no_coco_file(coco, changes, message):
    path = coco([])
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message):
        kv.data.load(path)


def test_no_json(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match="must be a COCO instances file"):
        kv.data.load(tmp_path / "x.json")
    with pytest.raises(FileNotFoundError, match="There is no folder or file"):
        kv.data.load(str(tmp_path / "y.json"))
