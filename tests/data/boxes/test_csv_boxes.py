"""CSV files of boxes, in the ways that people write them."""

import numpy as np
import pytest

import kvision as kv

SCALE = [12, 16, 12, 16]


@pytest.fixture
def table(tmp_path, save_image):
    """Writes pictures 0 to 2, whose grey is their number, and a CSV file beside them."""

    def write(text, folder="."):
        for number in range(3):
            save_image(tmp_path / folder / f"{number}.png", np.full((12, 16, 3), number, "uint8"))
        path = tmp_path / "boxes.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def served(path, split="train", **options):
    dataset, info = kv.data.load(path, split, with_info=True, **options)
    examples = list(dataset.as_numpy_iterator())
    return {int(e["image"][0, 0, 0]): e["objects"] for e in examples}, info


BOX = [2, 1, 8, 5]  # ymin, xmin, ymax, xmax


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,xmin,ymin,xmax,ymax,class", "0.png,1,2,5,8,cat"),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "0.png,16,12,cat,1,2,5,8"),
        ("Path;X1;Y1;X2;Y2;Name", "0.png;1;2;5;8;cat"),
        ("file_name\tlabel\tx\ty\twidth\theight", "0.png\tcat\t1\t2\t4\t6"),
        ("img,category,x,y,w,h,notes", '0.png,cat,1,2,4,6,"a, b"'),
        ("label,image,left,top,right,bottom", "cat,/home/me/photos/0.png,1,2,5,8"),
        ("label,image,left,top,right,bottom", r"cat,C:\photos\0.png,1,2,5,8"),
        ("image,xmin,ymin,xmax,ymax,class", "0.png,0.0625,0.16666667,0.3125,0.66666667,cat"),
        ("\ufeffimage,xmin,ymin,xmax,ymax,class", " 0.png , 1 ,2,5, 8 , cat "),
    ],
)
@pytest.mark.parametrize("folder", [".", "images"])
def test_headers(table, header, row, folder):
    objects, info = served(table(f"{header}\n{row}\n\n", folder))
    np.testing.assert_allclose(objects[0]["bbox"] * SCALE, [BOX], atol=1e-5)
    assert info.class_names == ["cat"]
    assert set(objects) == {0}


def test_rows(table):
    text = """image,xmin,ymin,xmax,ymax,class,split
0.png,1,2,5,8,dog,train
0.png,0,0,16,12,cat,train
1.png,,,,,,train
2.png,1,1,2,2,cat,val
"""
    objects, info = served(table(text))
    np.testing.assert_array_equal(objects[0]["label"], [1, 0])
    assert objects[1]["bbox"].shape == (0, 4)
    assert set(objects) == {0, 1}
    assert info.class_names == ["cat", "dog"]
    assert info.splits["validation"].class_counts == {"cat": 1, "dog": 0}
    assert set(served(table(text), "validation")[0]) == {2}


def test_what_cannot_be_served_is_named(table):
    text = """image,xmin,ymin,xmax,ymax,class,split
0.png,1,2,5,8,dog,train
0.png,5,8,1,2,dog,train
0.png,1,2,1,8,dog,train
0.png,1,?,5,8,dog,train
0.png,1,2,5,8,,train
0.png,1,2,5,8,dog,val
,1,2,5,8,dog,train
9.png,1,2,5,8,dog,train
../0.png/..,1,2,5,8,dog,train
1.png,1,2,5,8,dog,some
2.png,1,2,5,8,dog,train
"""
    path = table(text)
    (path.parent / "2.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="cannot be served") as caught:
        objects, info = served(path)
    assert len(caught) == 1
    np.testing.assert_allclose(objects[0]["bbox"] * SCALE, [BOX, BOX], atol=1e-5)
    assert [box.name for box in info.repaired] == ["0.png, row 3", "0.png, row 4", "0.png, row 5"]
    reasons = {file.name: file.reason for file in info.skipped}
    assert reasons["row 6, 0.png"] == "its box has no class"
    assert reasons["row 7, 0.png"] == "its picture is in the split 'train' already"
    assert reasons["row 8, "] == "it names no picture"
    assert reasons["row 9, 9.png"] == "not in the folder of images"
    assert "row 10, ../0.png/.." in reasons
    assert reasons["row 11, 1.png"] == "it is of an unknown split 'some'"
    assert "2.png" in reasons
    with pytest.raises(ValueError, match="Mend or remove"):
        kv.data.load(path, errors="raise")


def test_pictures_elsewhere(table, tmp_path):
    path = table("image,xmin,ymin,xmax,ymax,class\n0.png,1,2,5,8,dog\n", "far")
    with pytest.raises(ValueError, match="holds no image"):
        kv.data.load(path)
    assert set(served(path, image_folder=tmp_path / "far")[0]) == {0}
    with pytest.raises(ValueError, match="`image_folder` must be a folder"):
        kv.data.load(path, image_folder=tmp_path / "nowhere")


def test_links_do_not_leave_the_folder(table, tmp_path, save_image):
    path = table("image,xmin,ymin,xmax,ymax,class\nlink.png,1,2,5,8,x\n0.png,1,2,5,8,x\n")
    save_image(tmp_path.parent / "secret.png")
    (tmp_path / "link.png").symlink_to(tmp_path.parent / "secret.png")
    with pytest.warns(UserWarning, match="row 2, link.png"):
        assert set(served(path)[0]) == {0}


@pytest.mark.parametrize("text", ["", "0.png,1,2,5,8,dog\n", "image,class\n0.png,dog\n"])
def test_no_such_columns(table, text):
    with pytest.raises(ValueError, match="must begin with a header that names the columns"):
        kv.data.load(table(text))


def test_no_such_file():
    with pytest.raises(FileNotFoundError, match="There is no folder or file"):
        kv.data.load("nowhere.csv")
