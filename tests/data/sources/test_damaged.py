"""The smallest damaged input of each kind: a file that is named, soon and without memory."""

import json
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.data.sources.masks.class_files import read_class_files

PIXELS = np.zeros((30, 40, 3), "uint8")


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS).save(path)


def bomb(path, width, height):
    """A PNG that says it has so many pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize("side", [14_000, 60_000])
def test_pictures_of_too_many_pixels(tmp_path, side):
    bomb(tmp_path / "a" / "large.png", side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="more than 178,956,970 pixels"):
            kv.data.read_image(tmp_path / "a" / "large.png")
    photo(tmp_path / "a" / "good.png")
    with pytest.warns(UserWarning, match=r"large\.png.*more than 178,956,970 pixels"):
        _, info = kv.data.load(tmp_path, with_info=True)
    assert info.splits["train"].num_examples == 1


def outcome(read):
    """What was read, and what was said in warnings and errors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            return read(), " ".join(str(warning.message) for warning in caught)
        except ValueError as error:
            return (), str(error)


def coco(tmp_path, change):
    photo(tmp_path / "images" / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 1, "bbox": [4, 3, 20, 15], "area": 300},
            {"id": 8, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 9], "area": 81},
        ],
    }
    text = change(content)
    file = tmp_path / "a.json"
    file.write_text(text or json.dumps(content))
    return file


def _set(*keys, to):
    def change(content):
        place = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


RUNS = {"size": [100_000, 100_000], "counts": [10**10]}
COCO = {
    "an id that is a list": _set("images", 0, "id", to=[1]),
    "an annotation of a list": _set("annotations", 0, "image_id", to=[1]),
    "a category of a list": _set("annotations", 0, "category_id", to=[1]),
    "a size that is a list": _set("images", 0, "width", to=[40]),
    "a huge size": _set("images", 0, "width", to=10**400),
    "a huge number": _set("annotations", 0, "bbox", to=[10**400, 1, 2, 3]),
    "an infinite number": _set("annotations", 0, "bbox", to=[1e308 * 10, 1, 2, 3]),
    "an area that is no number": _set("annotations", 0, "area", to=float("nan")),
    "an area that is text": _set("annotations", 0, "area", to="large"),
    "runs of another size": _set("annotations", 0, "segmentation", to=RUNS),
    "deep nesting": lambda content: "[" * 100_000,
    "a lone surrogate": _set("categories", 0, "name", to="\ud800"),
    "a file name that is half a letter": _set("images", 0, "file_name", to="\ud800.png"),
    "a terminal escape": _set("categories", 0, "name", to="\x1b[2J"),
    "names of two lines": _set("categories", 0, "name", to="a\nb"),
    "annotations that are no list": _set("annotations", to=7),
    "no object": lambda content: "7",
}


@pytest.mark.parametrize("kind", ["boxes", "instances"])
@pytest.mark.parametrize("damage", COCO)
def test_coco(tmp_path, damage, kind):
    file = coco(tmp_path, COCO[damage])
    examples, said = outcome(lambda: list(kv.data.load(file, "train", annotations=kind)))
    assert examples or "a.json" in said
    said.encode("utf-8")  # it can be printed
    for example in examples:
        for value in example["objects"].values():
            assert np.isfinite(np.asarray(value, "float64")).all()
        assert (example["objects"]["bbox"].numpy() <= 1).all()


POLYGON = [[4, 3, 24, 3, 24, 18]]
ANNOTATION = {
    "a huge number": {"bbox": [10**400, 1, 2, 3]},
    "a huge area": {"area": 10**400},
    "an area too large for 32 bits": {"area": 1e39},
    "runs of an infinite size": {"segmentation": {"size": [1e308 * 10, 40], "counts": [1200]}},
    "a huge point": {"segmentation": [[10**400, *POLYGON[0]]]},
    "a point far away": {"segmentation": [[0, 10, 1e308, 1e308, -1e308, 1e308]]},
    # Their sum is 1200 in 64 bits; numpy writes past the end.
    "runs that overflow": {
        "segmentation": {"size": [30, 40], "counts": [2**63 - 1, 2**63 - 1, 1202]}
    },
}


@pytest.mark.parametrize("kind", ["boxes", "instances", "masks"])
@pytest.mark.parametrize("damage", ANNOTATION)
def test_one_annotation_of_coco(tmp_path, damage, kind):
    """Damage to one annotation, or to one picture, costs no other."""

    def change(content):
        content["images"].append({"id": 2, "file_name": "\ud800.png"})
        for annotation in content["annotations"]:
            annotation["segmentation"] = POLYGON
        content["annotations"][0] |= ANNOTATION[damage]

    file = coco(tmp_path, change)
    with pytest.warns(UserWarning, match=r"\?.png: not in the folder"):
        (example,) = kv.data.load(file, "train", annotations=kind)
    if kind == "masks":
        assert example["segmentation_mask"].numpy().any()
    else:
        assert example["objects"]["area"].numpy()[-1] == 81
        assert np.isfinite(example["objects"]["area"]).all()


def test_what_an_npz_says_is_not_believed(tmp_path, monkeypatch):
    file = tmp_path / "a.npz"
    images = np.zeros((4, 8, 8, 1), "uint8")

    def refused(message, **arrays):
        np.savez_compressed(file, **arrays)
        with pytest.raises(ValueError, match=message) as error:
            kv.data.load(file)
        assert "a.npz" in str(error.value)

    labels = np.array([0, 1, 2, 10**9])
    refused("4 labels up to 1000000000", x=images, y=labels)
    refused("non-empty line of printable text", x=images, y=np.arange(4), class_names=["", *"abc"])
    for name in ("", "a\nb"):
        names = [name, *"abc"]
        refused("one non-empty line", x=images, y=np.arange(4), class_names=names)
    refused("height|pixels|images", x=np.zeros((4, 0, 8, 1)), y=np.arange(4))
    monkeypatch.setattr("kvision.files.reading.MEMORY", 100_000)
    refused("What is packed in .* must fit into", x=np.zeros((4, 200, 200, 1)), y=np.arange(4))


def test_csv_fields_without_end(tmp_path):
    photo(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text(
        "image,xmin,ymin,xmax,ymax,label\na.png,1,2,3,4," + "x" * 200_000
    )
    with pytest.raises(ValueError, match=r"a\.csv"):
        kv.data.load(tmp_path / "a.csv")


def test_voc_numbers_without_end(tmp_path):
    photo(tmp_path / "JPEGImages" / "a.png")
    file = tmp_path / "Annotations" / "a.xml"
    file.parent.mkdir()
    box = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax>"
    for width in ("999999999999", "1e400", "-1", "9" * 5000):
        size = f"<size><width>{width}</width><height>30</height></size>"
        thing = f"<object><name>cat</name><bndbox>{box}</bndbox></object>"
        file.write_text(f"<annotation>{size}{thing}</annotation>")
        examples, said = outcome(lambda: list(kv.data.load(tmp_path, "train")))
        assert examples or str(tmp_path) in said
        for example in examples:
            assert np.isfinite(example["objects"]["bbox"].numpy()).all()
    for width in ("inf", "nan"):  # says nothing of the picture
        file.write_text(f"<annotation><size><width>{width}</width></size>{thing}</annotation>")
        (example,) = kv.data.load(tmp_path, "train")
        assert len(example["objects"]["label"]) == 1


def test_masks_of_bombs(tmp_path):
    for name in "ab":
        photo(tmp_path / "images" / f"{name}.png")
    Image.fromarray(PIXELS[..., 0]).save(_folder(tmp_path / "masks") / "a.png")
    bomb(tmp_path / "masks" / "b.png", 60_000, 60_000)
    with pytest.warns(UserWarning, match=r"b\.png"):
        _, info = kv.data.load(tmp_path, with_info=True)
    assert info.splits["train"].num_examples == 1


def _folder(path):
    path.mkdir(exist_ok=True)
    return path


def test_lines_without_end_in_a_file_of_colours(tmp_path):
    text = "0 0 0 sky\n128 64 128 road\n" + "a" + " ,x" * 200_000 + " 1\n"  # hours, if searched
    (tmp_path / "colors.txt").write_text(text + text)
    with pytest.raises(
        ValueError, match=r"Every line of colors\.txt must hold a colour and a name"
    ):
        read_class_files(str(tmp_path))


def test_a_label_file_that_unpacks_to_much(tmp_path, digits_run):
    whole = (digits_run / "model_int8.tflite").read_bytes()
    file = tmp_path / "a.tflite"
    with zipfile.ZipFile(digits_run / "model_int8.tflite") as archive:
        (member,) = archive.infolist()
    file.write_bytes(whole[: member.header_offset])
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"a" * (2**24 + 1))
    with pytest.raises(ValueError, match=r"a\.tflite cannot be read: .*not be longer than"):
        kv.export.describe(file)


def test_tflite_files_with_flipped_bits(tmp_path, digits_run):
    whole = (digits_run / "model.tflite").read_bytes()
    random = np.random.default_rng(0)
    file = tmp_path / "a.tflite"
    for _ in range(100):
        damaged = bytearray(whole)
        place = int(
            random.integers(8, 400) if random.random() < 0.5 else random.integers(len(whole))
        )
        damaged[place] ^= 1 << int(random.integers(8))
        file.write_bytes(damaged)
        report, said = outcome(lambda: kv.export.describe(file))
        assert report or "a.tflite" in said
