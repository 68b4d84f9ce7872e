"""Which class a value or colour is: as asked, as the files say, or as the masks look."""

import numpy as np
import pytest

import kvision as kv
from kvision.data.sources.masks.known_classes import camvid_table, cityscapes_table, voc_table
from kvision.data.sources.masks.label_table import index_table

SKY, ROAD, VOID = (128, 128, 128), (128, 64, 128), (0, 0, 0)


def coloured(*colours):
    """Stripes of colours, 4 pixels each."""
    return np.array(colours, "uint8").repeat(4, axis=0)[None].repeat(6, axis=0)


def stripes(*values):
    return np.array(values, "uint8").repeat(4)[None].repeat(6, axis=0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_colors.txt", "128 128 128\tSky\n128 64 128\t\tRoad\n0 0 0\tVoid\n"),
        ("colors.txt", "# r g b name\n128,128,128,Sky\n128,64,128,Road\n\n0,0,0,unlabelled"),
        ("class_dict.csv", "name,r,g,b\nSky,128,128,128\nRoad,128,64,128\nVoid,0,0,0"),
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nSky:128,128,128::\nRoad:128,64,128::\nignore:0,0,0::",
        ),
    ],
)
def test_files_of_colours(save_folder, served, name, text):
    root = save_folder(coloured(SKY, ROAD, VOID), stripes(1, 0, 255))
    (root / name).write_text(text)
    masks, info = served(root)
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 255))
    np.testing.assert_array_equal(masks[1], stripes(1, 0, 255))
    feature = info.features["segmentation_mask"]
    assert feature.names == info.class_names == ["Sky", "Road"]
    assert feature.colors == [SKY, ROAD]
    assert info.splits["train"].class_counts == {"Sky": 2, "Road": 2}


def test_colours_that_are_called_void(save_folder, served):
    root = save_folder(coloured(SKY, ROAD, VOID))
    masks, info = served(root, colors={"Sky": SKY, "void": VOID, "Road": ROAD})
    assert info.class_names == ["Sky", "Road"]
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 255))


def test_colours_in_one_file_and_names_in_another(save_folder, served):
    root = save_folder(coloured(SKY, ROAD))
    (root / "colors.txt").write_text("128 128 128\n128 64 128\n")
    assert served(root)[1].class_names == ["class 0", "class 1"]
    (root / "classes.txt").write_text("sky\nroad\n")
    masks, info = served(root)
    assert info.class_names == ["sky", "road"]
    np.testing.assert_array_equal(masks[0], stripes(0, 1))
    (root / "classes.txt").write_text("sky\n")
    with pytest.raises(ValueError, match="must have as many lines. Received: 1 names and 2"):
        kv.data.load(root)


def test_a_broken_file_of_colours(save_folder):
    root = save_folder(coloured(SKY))
    (root / "colors.txt").write_text("128 128 128 sky\n12 13 nothing\n")
    with pytest.raises(ValueError, match="Every line of colors.txt must hold a colour.*nothing"):
        kv.data.load(root)


def test_a_file_of_names(save_folder, served):
    root = save_folder(stripes(0, 1, 255))
    (root / "labels.txt").write_text("__ignore__\n_background_\ncat\ndog\n")
    masks, info = served(root)
    assert info.class_names == ["_background_", "cat", "dog"]
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 255))
    assert info.splits["train"].class_counts == {"_background_": 1, "cat": 1, "dog": 0}


@pytest.mark.parametrize(
    "options",
    [
        {"colors": {"sky": SKY, "road": ROAD}},
        {"colors": [SKY, ROAD], "class_names": ["sky", "road"]},
        {"colors": {"sky": list(SKY), "road": list(ROAD)}},
    ],
)
def test_colours_as_asked(save_folder, served, options):
    root = save_folder(coloured(SKY, ROAD, VOID))
    (root / "colors.txt").write_text("1 2 3 what was asked for goes first\n")
    masks, info = served(root, void=[VOID], **options)
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 255))
    assert info.class_names == ["sky", "road"]
    with pytest.raises(ValueError, match=r"unknown colour \(0, 0, 0\)"):
        served(root, **options)


def test_grey_colours(save_folder, served):
    """A table of greys reads grey files, of one channel or three."""
    root = save_folder(stripes(0, 128, 255), coloured((128,) * 3, (0,) * 3))
    colors = {"wall": (0, 0, 0), "cell": (128, 128, 128), "nucleus": (255, 255, 255)}
    masks, _ = served(root, colors=colors)
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 2))
    np.testing.assert_array_equal(masks[1], stripes(1, 0))


def test_names_as_asked(save_folder, served):
    root = save_folder(stripes(0, 85, 170, 255), stripes(170, 0))
    masks, info = served(root, class_names={0: "sky", 85: "tree", 170: "sea"})
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 2, 255))
    np.testing.assert_array_equal(masks[1], stripes(2, 0))
    assert info.class_names == ["sky", "tree", "sea"]
    with pytest.warns(UserWarning, match=r"3 values, 0, 85, 170 .* as 171 classes"):
        masks, info = served(root)
    np.testing.assert_array_equal(masks[0], stripes(0, 85, 170, 255))


def test_further_void_values(save_folder, served):
    root = save_folder(stripes(0, 1, 2, 255), coloured((2,) * 3, (1,) * 3))
    masks, info = served(root, void=2)
    np.testing.assert_array_equal(masks[0], stripes(0, 1, 255, 255))
    np.testing.assert_array_equal(masks[1], stripes(255, 1))
    assert info.class_names == ["background", "foreground"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": "cat"}, "`class_names` must be a list"),
        ({"class_names": []}, "`class_names` must be a list"),
        ({"class_names": ["a", "a"]}, "list of different names"),
        ({"class_names": {"a": 1}}, "dict of value to name"),
        ({"class_names": [str(i) for i in range(256)]}, "must have 1 to 255 classes"),
        ({"colors": [(1, 2)]}, "`colors` must be a dict"),
        ({"colors": {"a": (1, 2, 300)}}, "each 0..255"),
        ({"colors": [SKY], "class_names": ["a", "b"]}, "as many class names as colours"),
        ({"colors": [SKY], "class_names": {0: "a"}}, "`class_names` must be a list of names"),
        ({"colors": {"a": SKY, "b": SKY}}, "Every class must have a colour of its own"),
        ({"void": "x"}, "`void` must be a value in the masks"),
        ({"void": [True]}, "`void` must be a value in the masks"),
        ({"classes": 3}, r"not be given the options \['classes'\]. Its options are class_names"),
    ],
)
def test_errors(save_folder, options, message):
    with pytest.raises(ValueError, match=message):
        kv.data.load(save_folder(stripes(0, 1)), **options)


def test_voc_colours_are_those_of_its_palette():
    """VOC's devkit: bit 0, 3, 6 of the index are the highest bits of red, 1, 4, 7 of green, ..."""
    table = voc_table()
    assert len(table.names) == 21
    known = {(128, 0, 0): 1, (0, 128, 0): 2, (128, 128, 0): 3, (0, 0, 128): 4, (64, 0, 0): 8}
    known |= {(192, 128, 128): 15, (0, 64, 128): 20, (224, 224, 192): 255}
    assert known.items() <= table.by_colour.items()
    assert len(table.by_colour) == 22
    assert table.names[15] == "person"


def test_cityscapes_and_camvid():
    table = cityscapes_table()
    assert [table.values[number] for number in (7, 11, 26, 33)] == [0, 2, 13, 18]
    assert sum(index == 255 for index in table.values.values()) == 34 - 19 + 1
    assert table.names[13] == "car"
    assert cityscapes_table(train_ids=True).values[18] == 18
    assert camvid_table().values[11] == 255
    assert len(camvid_table().names) == 11


def test_look_up_equals_a_loop():
    random = np.random.default_rng(1)
    table = index_table(["a", "b", "c"], [300, 7, 65000])
    pixels = random.choice(np.array([300, 7, 65000, 255, 8]), (20, 30))
    expected = [[table.values.get(int(value), 255) for value in row] for row in pixels]
    np.testing.assert_array_equal(table.look_up(pixels, False), expected)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "sky\nroad\nsky\n"),
        ("label_colors.txt", "128 128 128 sky\n128 64 128 road\n0 0 0 sky\n"),
    ],
)
def test_two_classes_of_a_name(save_folder, name, text):
    root = save_folder(stripes(0, 1, 2), stripes(1, 0, 255))
    (root / name).write_text(text)
    with pytest.raises(
        ValueError, match="must all be different. Received: 'sky' at the positions 0 a"
    ):
        kv.data.load(root)
