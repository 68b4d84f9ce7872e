"""What a mask file holds comes out exactly, whatever it was saved as; what cannot is named."""

import re

import numpy as np
import pytest
from PIL import Image

import kvision as kv

RNG = np.random.default_rng(0)


def labels(high, size=(12, 16)):
    """Every label at least once, in no order that a decoder could guess."""
    mask = RNG.integers(0, high, size)
    mask.flat[: min(high, mask.size)] = np.arange(min(high, mask.size))
    return mask.astype("uint8")


def palette(mask):
    """A palette file whose colours would give a converter away: many are the same."""
    image = Image.fromarray(mask, "P")
    image.putpalette([10, 200, 30] * 256)
    return image


def test_index_png(save_folder, served):
    mask = labels(5)
    masks, info = served(save_folder(mask))
    np.testing.assert_array_equal(masks[0], mask)
    assert info.class_names == [f"class {number}" for number in range(5)]
    assert info.features["segmentation_mask"].num_classes == 5
    assert info.features["segmentation_mask"].void == 255
    assert info.num_skipped == 0


@pytest.mark.parametrize("suffix", ["png", "gif", "tif"])
def test_a_palette_gives_its_indices(save_folder, served, suffix):
    mask = labels(7)
    image = palette(mask)
    if suffix == "gif":  # GIF files do not keep a palette of one colour
        image.putpalette(np.arange(768, dtype="uint8")[::-1].tobytes())
    masks, _ = served(save_folder(image, suffix=suffix))
    np.testing.assert_array_equal(masks[0], mask)


def test_a_transparent_palette_gives_its_indices(save_folder, served):
    mask = labels(4)
    masks, _ = served(save_folder(palette(mask), transparency=0))
    np.testing.assert_array_equal(masks[0], mask)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits(save_folder, served, suffix):
    mask = labels(5).astype("uint16") * 1000
    root = save_folder(mask, suffix=suffix)
    masks, info = served(root, class_names={1000 * i: f"thing {i}" for i in range(5)})
    np.testing.assert_array_equal(masks[0], mask // 1000)
    assert info.class_names[3] == "thing 3"


def test_32_bits(save_folder, served):
    mask = labels(5).astype("int32")
    masks, _ = served(save_folder(mask, suffix="tif"))
    np.testing.assert_array_equal(masks[0], mask)


def test_grey_saved_as_rgb_and_rgba(save_folder, served):
    mask = labels(6)
    rgb = np.stack([mask] * 3, -1)
    opaque = np.concatenate([rgb, np.full((*mask.shape, 1), 255, "uint8")], -1)
    masks, info = served(save_folder(rgb, opaque, Image.fromarray(opaque).convert("LA")))
    for number in range(3):
        np.testing.assert_array_equal(masks[number], mask)
    assert len(info.class_names) == 6


@pytest.mark.parametrize("kind", ["grey", "rgb", "one bit", "jpeg", "palette"])
def test_black_and_white(save_folder, served, kind):
    mask = np.zeros((24, 32), bool)
    mask[4:15, 7:20] = True
    saved = {
        "grey": mask * np.uint8(255),
        "jpeg": mask * np.uint8(255),
        "rgb": np.stack([mask * np.uint8(255)] * 3, -1),
        "one bit": Image.fromarray(mask),
        "palette": palette(mask.astype("uint8")),
    }[kind]
    options = {"suffix": "jpg", "quality": 75} if kind == "jpeg" else {}
    masks, info = served(save_folder(saved, **options))
    assert info.class_names == ["background", "foreground"]
    if kind == "jpeg":
        assert np.mean(masks[0] != mask) < 0.02
        assert set(np.unique(masks[0])) == {0, 1}
    else:
        np.testing.assert_array_equal(masks[0], mask)


def test_black_and_white_is_for_the_whole_folder(save_folder, served):
    """One mask of only 0 and 255 beside others with more is void, not foreground."""
    first, second = labels(3), np.full((12, 16), 255, "uint8")
    second[:6] = 0
    masks, info = served(save_folder(first, second))
    assert info.class_names == ["class 0", "class 1", "class 2"]
    np.testing.assert_array_equal(masks[1], second)


def test_black_and_white_that_is_void(save_folder, served):
    mask = np.full((12, 16), 255, "uint8")
    mask[:6] = 0
    masks, info = served(save_folder(mask), void=255)
    np.testing.assert_array_equal(masks[0], mask)
    assert served(save_folder(mask), class_names=["cell", "wall"])[0][0].max() == 1
    masks, info = served(save_folder(mask), class_names=["a", "b", "c"])
    np.testing.assert_array_equal(masks[0], mask)


def test_0_and_1_and_void(save_folder, served):
    mask = labels(2)
    mask[3, 4] = 255
    masks, info = served(save_folder(mask))
    assert info.class_names == ["background", "foreground"]
    np.testing.assert_array_equal(masks[0], mask)


def refused(root, **options):
    with pytest.warns(UserWarning, match="cannot be served") as caught:
        dataset, info = kv.data.load(root, "train", with_info=True, **options)
    assert len(caught) == 1
    assert len(list(dataset)) == len(dataset) == info.splits["train"].num_examples
    assert all(file.name in str(caught[0].message) for file in info.skipped)
    assert all(file.reason in str(caught[0].message) for file in info.skipped)
    return {file.name: file.reason for file in info.skipped}


def noise(size=(64, 64), channels=()):
    return RNG.integers(0, 256, (*size, *channels), dtype="uint8")


@pytest.mark.parametrize(
    ("name", "mask", "text"),
    [
        ("x.jpg", noise(), "JPEG changes the labels"),
        ("x.jpg", np.full((9, 9, 3), (200, 30, 30), "uint8"), "JPEG changes the labels"),
        ("x.png", noise(channels=(3,)), "different colours: a picture"),
        ("x.tif", np.arange(4096, dtype="uint16").reshape(64, 64), "4,096 different values"),
        ("x.png", noise(channels=(4,)), "must not be transparent"),
        ("x.tif", np.zeros((9, 9), "float32"), "must hold whole numbers or RGB colours"),
        ("x.png", np.full((9, 9), 7, "uint8"), "unknown label value 7"),
        ("x.png", np.full((9, 9, 3), (9, 8, 7), "uint8"), r"unknown colour \(9, 8, 7\); pass"),
    ],
)
def test_what_is_no_mask_is_named(save_folder, save_pair, name, mask, text):
    root = save_folder(labels(3))
    save_pair(root / "images" / "x.png", root / "masks" / name, mask, 9)
    reasons = refused(root, class_names=["a", "b", "c"])
    assert list(reasons) == [f"masks/{name}"]
    assert re.search(text, reasons[f"masks/{name}"])


def test_16_bit_colour_is_named(save_folder, save_image):
    import tensorflow as tf

    root = save_folder(labels(3))
    save_image(root / "images" / "x.png", shape=(9, 9))
    content = tf.io.encode_png(np.full((9, 9, 3), 2, "uint16")).numpy()
    (root / "masks" / "x.png").write_bytes(content)
    assert "a 16-bit PNG must be grey" in refused(root)["masks/x.png"]


def test_damaged_files_are_named(save_folder, save_image):
    root = save_folder(labels(3), labels(3), labels(3), labels(3))
    (root / "masks" / "1.png").write_bytes(b"")
    (root / "masks" / "2.png").write_text("no picture")
    content = (root / "images" / "3.png").read_bytes()
    (root / "images" / "3.png").write_bytes(content[: len(content) // 2])
    reasons = refused(root)
    assert reasons["masks/1.png"] == "the file is empty"
    assert reasons["masks/2.png"] == "not an image"
    assert set(reasons) == {"masks/1.png", "masks/2.png", "images/3.png"}
    with pytest.raises(ValueError, match=r"3 file\(s\)(.|\n)*masks.1.png(.|\n)*Mend or remove"):
        kv.data.load(root, errors="raise")


def test_other_sizes_are_named(save_folder, save_image):
    root = save_folder(labels(3), labels(3))
    save_image(root / "images" / "1.png", shape=(12, 17))
    assert refused(root) == {
        "masks/1.png": "it has 16x12 pixels, and the picture has 17x12 (images/1.png)"
    }


def test_a_turned_photo_needs_an_upright_mask(save_folder, save_image, served):
    """Cameras store photos on their side; labelling programs show them upright."""
    mask = labels(3, (16, 12))
    root = save_folder(mask, labels(3))
    exif = Image.Exif()
    exif[0x0112] = 6
    save_image(root / "images" / "0.png", np.full((12, 16, 3), 0, "uint8"), exif=exif)
    masks, _ = served(root)
    np.testing.assert_array_equal(masks[0], mask)
    Image.fromarray(labels(3, (12, 16))).save(root / "masks" / "0.png")
    assert "16x12 pixels, and the picture has 12x16 once turned" in refused(root)["masks/0.png"]


def test_a_jpeg_among_others_is_named(save_folder, save_pair):
    root = save_folder(labels(4))
    save_pair(root / "images" / "x.png", root / "masks" / "x.jpg", np.full((9, 9), 255, "uint8"))
    assert "black and white JPEG among" in refused(root)["masks/x.jpg"]


def test_checked_once(save_folder, monkeypatch):
    from kvision.data.sources.masks import mask_folder

    root = save_folder(labels(3), labels(3))
    kv.data.load(root)
    checked = []
    check = mask_folder.check_masks

    def spy(paths):
        checked.extend(paths)
        return check(paths)

    monkeypatch.setattr(mask_folder, "check_masks", spy)
    kv.data.load(root)
    assert not checked
    Image.fromarray(labels(3)).save(root / "masks" / "1.png", compress_level=0)
    _, info = kv.data.load(root, with_info=True)
    assert [path.rpartition("/")[2] for path in checked] == ["1.png"]
    assert info.splits["train"].num_examples == 2


def test_what_changes_after_the_check_is_void(save_folder):
    root = save_folder(labels(3))
    dataset = kv.data.load(root, "train")
    Image.fromarray(np.full((12, 16), 77, "uint8")).save(root / "masks" / "0.png")
    assert (next(dataset.as_numpy_iterator())["segmentation_mask"] == 255).all()
