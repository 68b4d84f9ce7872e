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
        ("filename,width,height,x,y,w,h,class", "0.png,16,12,1,2,4,6,cat"),
        ("h,w,y,x,height,width,class,filename", "6,4,2,1,12,16,cat,0.png"),
        ("image,image_width,image_height,x,y,width,height,class", "0.png,16,12,1,2,4,6,cat"),
        (
            "image,width,height,bbox_x,bbox_y,bbox_width,bbox_height,label",
            "0.png,16,12,1,2,4,6,cat",
        ),
        ("image,left,top,width,height,label", "0.png,1,2,4,6,cat"),
        ("image,xmin,ymin,xmax,ymax,x,y,w,h,label", "0.png,1,2,5,8,9,9,9,9,cat"),
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
    with pytest.raises(ValueError, match="^`image_folder` must be a folder"):
        kv.data.load(path, image_folder=tmp_path / "nowhere")


def write_shares(table, *odd, header="image,xmin,ymin,xmax,ymax,class"):
    """Five boxes of shares, the last of the corners odd; and further rows."""
    rows = [f"{i % 3}.png,0.25,0.5,{0.5 + i / 100},0.75,cat" for i in range(5)]
    return table("\n".join([header, *rows, *odd]))


def test_one_number_above_1_does_not_make_pixels_of_shares(table):
    with pytest.warns(UserWarning, match=r"1 of 6 box\(es\) reach above 1 \(row 7: 1.0008\)"):
        objects, info = served(write_shares(table, "1.png,0.25,0.5,1.0008,0.75,cat"))
    np.testing.assert_allclose(objects[0]["bbox"], [[0.5, 0.25, 0.75, x] for x in (0.5, 0.53)])
    np.testing.assert_allclose(objects[1]["bbox"][-1], [0.5, 0.25, 0.75, 1.0])
    assert info.repaired == info.skipped == ()


def test_rounding_of_shares_needs_no_word(table):
    header = "image,x,y,w,h,class"
    rows = [f"0.png,{x},0,{1 - x:.9f},1.0000001,cat" for x in (0.1, 0.3, 0.7)]
    objects, _ = served(table("\n".join([header, *rows])))
    np.testing.assert_allclose(objects[0]["bbox"][:, 3], 1.0)


def test_the_odd_box_in_pixels_is_named(table):
    with pytest.warns(UserWarning, match=r"1 box\(es\) in .* \(1 of them dropped\)"):
        objects, info = served(write_shares(table, "2.png,1,2,5,8,cat"))
    np.testing.assert_allclose(objects[2]["bbox"], [[0.5, 0.25, 0.75, 0.52]], rtol=1e-6)
    assert [box.name for box in info.repaired] == ["2.png, row 7"]
    assert "no shares of the picture" in info.repaired[0].reason


def test_the_odd_box_in_shares_is_named(table):
    rows = ["0.png,1,2,5,8,cat", "1.png,1,2,5,8,cat", "2.png,0.1,0.1,0.5,0.9,cat"]
    with pytest.warns(UserWarning, match="row 4: dropped: it is smaller than a pixel"):
        objects, info = served(table("\n".join(["image,xmin,ymin,xmax,ymax,class", *rows])))
    np.testing.assert_allclose(objects[1]["bbox"] * SCALE, [BOX], atol=1e-5)
    assert objects[2]["bbox"].shape == (0, 4)


def test_the_unit_is_that_of_all_splits(table):
    """Boxes of -1 or 0, as some write for no object, have no say either."""
    rows = [f"{i}.png,0.25,0.5,0.5,0.75,cat,train" for i in (0, 0, 0)]
    rows += ["1.png,0.25,0.5,1.2,0.75,cat,test"] + ["2.png,-1,-1,-1,-1,cat,val"] * 9
    path = table("\n".join(["image,xmin,ymin,xmax,ymax,class,split", *rows]))
    with pytest.warns(UserWarning, match="reach above 1"):
        objects, _ = served(path, "test")
    np.testing.assert_allclose(objects[1]["bbox"], [[0.5, 0.25, 0.75, 1.0]])


def test_two_names_are_never_made_one_picture(table):
    header = "image,xmin,ymin,xmax,ymax,class"
    rows = ["cam1/1.png,1,2,5,8,a", "cam2/1.png,2,2,4,8,b", r"cam2\1.png,2,2,4,8,b"]
    with pytest.warns(UserWarning, match="row 2, cam1/1.png: .* as well be 'cam2/1.png'"):
        objects, info = served(table("\n".join([header, *rows, "0.png,1,2,5,8,a"])))
    assert set(objects) == {0}
    assert len(info.skipped) == 3
    # One of another machine, however it is written, is the picture; unless the picture is named.
    objects, _ = served(table("\n".join([header, *rows[1:]])))
    assert len(objects[1]["bbox"]) == 2
    with pytest.warns(UserWarning, match="may as well be '1.png', which is named too"):
        objects, _ = served(table("\n".join([header, rows[0], "1.png,2,2,4,8,b"])))
    assert len(objects[1]["bbox"]) == 1


def test_folders_of_another_machine_are_kept_apart(table, tmp_path, save_image):
    for folder, grey in (("cam1", 50), ("cam2", 60)):
        save_image(tmp_path / folder / "1.png", np.full((12, 16, 3), grey, "uint8"))
    rows = [r"C:\data\cam1\1.png,1,2,5,8,a", "/home/me/data/cam2/1.png,1,2,5,8,b"]
    objects, info = served(table("\n".join(["image,xmin,ymin,xmax,ymax,class", *rows])))
    labels = {grey: info.class_names[item["label"][0]] for grey, item in objects.items()}
    assert labels == {50: "a", 60: "b"}


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


def test_two_columns_of_a_name(table):
    path = table("image,width,height,x,y,width,height,class\n0.png,16,12,1,2,4,6,cat\n")
    with pytest.raises(ValueError, match="more than one 'height'"):
        kv.data.load(path)


def test_no_such_file():
    with pytest.raises(FileNotFoundError, match="There is no folder or file"):
        kv.data.load("nowhere.csv")
