"""Folders of pictures and drawn edges: layouts, what is served, and what is refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import kvision as kv
from kvision.data.sources.edges import mat_files
from kvision.data.sources.edges.edge_files import check_edges
from kvision.data.sources.edges.mat_files import outlines, read_annotators

SHAPE = (12, 16)


def line(at):
    drawn = np.zeros(SHAPE, "uint8")
    drawn[:, at] = 1
    return drawn


def mat(path, *drawings, **options):
    """A file as Berkeley's: a cell of structs, one for each annotator."""
    cell = np.empty((1, len(drawings)), object)
    for place, drawing in enumerate(drawings):
        cell[0, place] = drawing if isinstance(drawing, dict) else {"Boundaries": drawing}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"groundTruth": cell}, do_compression=True, **options)


@pytest.fixture
def picture(save_image):
    def save(path, grey=0):
        save_image(path, np.full((*SHAPE, 3), grey, "uint8"))

    return save


@pytest.fixture
def berkeley(tmp_path, picture):
    data = tmp_path / "BSR" / "BSDS500" / "data"
    for number, split in enumerate(("train", "val", "test")):
        picture(data / "images" / split / "7.png", number)
        mat(data / "groundTruth" / split / "7.mat", line(3), line(3), line(4 + number))
    (data / "images" / "train" / "Thumbs.db").write_bytes(b"x")
    picture(tmp_path / "BSR" / "bench" / "data" / "images" / "7.png")
    return tmp_path


@pytest.mark.parametrize("place", ["", "BSR", "BSR/BSDS500", "BSR/BSDS500/data"])
def test_berkeley(berkeley, place):
    datasets, info = kv.data.load(berkeley / place, with_info=True)
    assert {key: value.num_examples for key, value in info.splits.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }
    (example,) = datasets["test"].as_numpy_iterator()
    assert (example["image"] == 2).all()
    assert example["edges"].dtype == np.float32
    expected = (2 * line(3) + line(6)) / np.float32(3)
    np.testing.assert_allclose(example["edges"][..., 0], expected)
    drawn = np.stack([line(3), line(3), line(6)], -1)
    np.testing.assert_array_equal(example["edge_annotations"], drawn)
    assert info.skipped == ()
    assert info.class_names is None


def test_all_annotators_are_judged_by(berkeley):
    """The model finds what one of three drew: right, but a third of what is to be found."""

    class Draws:
        input_shape = (*SHAPE, 3)

        def predict(self, images, batch_size):
            return line(4)[None, ..., None] * 0.9

    scores = kv.evaluation.evaluate_edges(Draws(), kv.data.load(berkeley, "train"), tolerance=0.001)
    assert scores["ods_precision"] == 1.0
    assert scores["ods_recall"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("split", ["", "train"])
def test_pictures_of_lines(tmp_path, picture, save_image, split):
    """Bits, 0 and 1, and grey: all are shares of annotators."""
    drawings = [line(2).astype(bool), line(3), 255 * line(4), np.full(SHAPE, 0, "uint8")]
    drawings[3][:, :2] = 51, 204
    for number, drawing in enumerate(drawings):
        picture(tmp_path / "images" / split / f"{number}.png", number)
        save_image(tmp_path / "edges" / split / f"{number}.png", drawing)
    dataset = kv.data.load(tmp_path, "train")
    found = {int(x["image"][0, 0, 0]): x for x in dataset.as_numpy_iterator()}
    for number, expected in enumerate([line(2), line(3), line(4), drawings[3] / 255]):
        np.testing.assert_allclose(found[number]["edges"][..., 0], expected, rtol=1e-6)
    assert "edge_annotations" not in found[0]


def test_lists_of_pairs(tmp_path, picture, save_image):
    """The list of HED's authors; one written on another machine; what does not fit is named."""
    for name in ("1", "2"):
        picture(tmp_path / "aug_data" / f"{name}.png")
        save_image(tmp_path / "aug_gt" / f"{name}.png", 255 * line(3))
    lines = ["aug_data/1.png aug_gt/1.png", "D:\\hed\\aug_data\\2.png D:\\hed\\aug_gt\\2.png"]
    lines += ["aug_data/1.png", "aug_data/1.png aug_gt/9.png", "../1.png aug_gt/1.png", ""]
    (tmp_path / "train_pair.lst").write_text("\n".join(lines))
    (tmp_path / "val_pair.lst").write_text(lines[0])
    (tmp_path / "test.lst").write_text("aug_data/2.png")
    with pytest.warns(UserWarning, match=r"3 file\(s\)"):
        _, info = kv.data.load(tmp_path, with_info=True)
    assert {key: value.num_examples for key, value in info.splits.items()} == {
        "train": 2,
        "validation": 1,
    }
    reasons = {file.name: file.reason for file in info.skipped}
    assert "line 3 must name a picture and its edges" in reasons["train_pair.lst"]
    assert "not in the folder" in reasons["aug_gt/9.png"]


def refusal(root, name):
    """Why a file is not served beside one that is."""
    with pytest.warns(UserWarning, match="cannot be served"):
        dataset, info = kv.data.load(root, "train", with_info=True)
    assert len(list(dataset)) == 1
    reasons = {file.name: file.reason for file in info.skipped}
    assert list(reasons) == [name]
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        kv.data.load(root, errors="raise")
    return reasons[name]


def test_damaged_pictures_of_lines(tmp_path, picture, save_image):
    for number in range(2):
        picture(tmp_path / "images" / f"{number}.png")
        save_image(tmp_path / "edges" / f"{number}.png", line(3))
    bad = tmp_path / "edges" / "1.png"

    def said(pixels):
        save_image(bad, pixels)
        return refusal(tmp_path, "edges/1.png")

    assert "invert it" in said(1 - line(3))
    assert "17x12 pixels, and the picture has 16x12" in said(np.zeros((12, 17), "uint8"))
    assert "has colours" in said(np.stack([line(3) * 255, line(4), line(5)], -1))
    bad.write_bytes(b"")
    assert refusal(tmp_path, "edges/1.png") == "the file is empty"
    bad.write_bytes(b"abc")
    assert refusal(tmp_path, "edges/1.png") == "not an image"
    bad.unlink()
    assert "no drawing of edges of this name" in refusal(tmp_path, "images/1.png")


def nested(levels):
    """A MATLAB file of a cell in a cell in a cell ..."""
    body = b""
    for _ in range(levels):
        flags = struct.pack("<IIII", 6, 8, 1, 0)
        sizes = struct.pack("<IIii", 5, 8, 1, 1)
        body = flags + sizes + struct.pack("<II", 1, 0) + body
        body = struct.pack("<II", 14, len(body)) + body
    return b"MATLAB 5.0".ljust(124) + struct.pack("<H", 0x0100) + b"IM" + body


def test_damaged_matlab_files(tmp_path, picture, monkeypatch):
    for number in range(2):
        picture(tmp_path / "images" / "train" / f"{number}.png")
        mat(tmp_path / "groundTruth" / "train" / f"{number}.mat", line(3))
    bad = tmp_path / "groundTruth" / "train" / "1.mat"
    whole = bad.read_bytes()

    def said(content):
        bad.write_bytes(content)
        return refusal(tmp_path, "groundTruth/train/1.mat")

    def told(drawings):
        mat(bad, *drawings)
        return refusal(tmp_path, "groundTruth/train/1.mat")

    assert said(b"") == "the file is empty"
    assert "no MATLAB file of version 5 to 7.2" in said(b"abc")
    assert "no MATLAB file of version 5 to 7.2" in said(b"MATLAB 7.3".ljust(126) + b"IM")
    assert said(whole[:-40])
    assert "more than 8 levels deep" in said(nested(9))
    with monkeypatch.context() as patch:
        patch.setattr(mat_files, "MEMORY", 10**6)
        bomb = zlib.compress(bytes(600_000), 9)
        packed = (struct.pack("<II", 15, len(bomb)) + bomb) * 2
        assert "unpacks to more than 0.00 GB" in said(whole[:128] + packed)
    assert "different sizes: 15x12 and 16x12" in told([line(3), line(3)[:, 1:]])
    assert "15x12 pixels, and the picture has 16x12" in told([line(3)[:, 1:]])
    assert "neither 'Boundaries' nor a 'Segmentation'" in told([{"Other": line(3)}])
    assert "1 to 64 people's drawings" in told([line(3)] * 65)
    savemat(bad, {"other": line(3)})
    assert "no cell 'groundTruth'" in refusal(tmp_path, "groundTruth/train/1.mat")


def test_a_damaged_byte_never_ends_the_process(tmp_path):
    mat(tmp_path / "1.mat", line(3), line(5))
    content = (tmp_path / "1.mat").read_bytes()
    random = np.random.default_rng(0)
    places = []
    for number in range(150):
        changed = bytearray(content)
        changed[random.integers(128, len(content))] = random.integers(256)
        places.append(tmp_path / f"{number}.mat")
        places[-1].write_bytes(changed)
    found = check_edges(places)
    assert all(file.reason or file.annotators for file in found)
    assert any(file.reason for file in found)


def test_regions_without_boundaries(tmp_path):
    regions = np.zeros(SHAPE, "uint16")
    regions[4:, 6:] = 3
    mat(tmp_path / "1.mat", {"Segmentation": regions})
    drawn = read_annotators(tmp_path / "1.mat")[..., 0]
    np.testing.assert_array_equal(drawn, outlines(regions))
    expected = np.zeros(SHAPE)
    expected[3, 6:] = expected[4:, 5] = 1
    np.testing.assert_array_equal(drawn, expected)


def test_nothing_to_serve(tmp_path, picture):
    picture(tmp_path / "images" / "1.png")
    (tmp_path / "edges").mkdir()
    (tmp_path / "edges" / "1.png").write_bytes(b"abc")
    with pytest.raises(ValueError, match="no image that can be decoded"):
        kv.data.load(tmp_path)
    (tmp_path / "train_pair.lst").write_text("a.png b.png\n")
    with pytest.raises(ValueError, match="no image that can be decoded"):
        kv.data.load(tmp_path)


def test_edges_are_no_masks(berkeley):
    with pytest.raises(ValueError, match="folder of edges, and has none of the 'masks'"):
        kv.data.load(berkeley, annotations="masks")


def test_rows_are_shuffled_before_they_are_read(berkeley):
    from kvision.data.sources.readable import rows_and_reader

    dataset = kv.data.load(berkeley, "train")
    rows, read = rows_and_reader(dataset)
    assert rows.map(read).element_spec == dataset.element_spec


def test_a_sideways_photo(tmp_path):
    """Edges are of the upright picture."""
    (tmp_path / "images").mkdir()
    (tmp_path / "edges").mkdir()
    image = Image.new("RGB", SHAPE)  # stored 12 wide and 16 high
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "images" / "1.jpg", exif=exif)
    Image.fromarray(line(3) * 255).save(tmp_path / "edges" / "1.png")
    (example,) = kv.data.load(tmp_path, "train")
    assert example["image"].shape == (*SHAPE, 3)
    assert example["edges"].shape == (*SHAPE, 1)
