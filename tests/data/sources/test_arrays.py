"""The digits and `.npz` files."""

import numpy as np
import pytest

import kvision as kv


def test_digits():
    datasets, info = kv.data.load("digits", with_info=True)
    assert {name: len(dataset) for name, dataset in datasets.items()} == {
        "train": 1437,
        "test": 360,
    }
    assert info.class_names == [str(digit) for digit in range(10)]
    assert info.features["label"].num_classes == 10
    assert info.features["image"].shape == (8, 8, 1)
    test = list(datasets["test"].as_numpy_iterator())
    assert test[0]["image"].dtype == np.uint8
    assert test[0]["label"].dtype == np.int64
    counts = np.bincount([example["label"] for example in test])
    assert counts.min() >= 35
    assert counts.max() <= 37
    assert max(example["image"].max() for example in test) == 255


def test_digits_train_and_test_are_all_digits_once():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    datasets = kv.data.load("digits")
    ours = [
        (example["image"].ravel(), example["label"])
        for dataset in datasets.values()
        for example in dataset.as_numpy_iterator()
    ]
    # The test set is fixed: a change of it would make all published accuracies wrong.
    first = [int(example["label"]) for example in datasets["test"].take(10)]
    assert first == [int(e["label"]) for e in kv.data.load("digits", "test", seed=9).take(10)]
    ours = np.array(sorted((*(pixels // 15).tolist(), int(label)) for pixels, label in ours))
    theirs = np.round(images * 255 / 16).astype("uint8") // 15
    theirs = np.array(
        sorted((*row.tolist(), int(y)) for row, y in zip(theirs, labels, strict=True))
    )
    np.testing.assert_array_equal(ours, theirs)


def save(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return tmp_path / "set.npz"


def test_keras_convention(tmp_path):
    x = np.arange(60 * 12, dtype="uint32").reshape(60, 3, 4) % 256
    y = np.arange(60) % 3
    path = save(tmp_path, x_train=x, y_train=y, x_test=x[:6], y_test=y[:6, None])
    datasets, info = kv.data.load(path, with_info=True)
    assert (len(datasets["train"]), len(datasets["test"])) == (60, 6)
    assert info.class_names == ["0", "1", "2"]
    assert info.splits["train"].class_counts == {"0": 20, "1": 20, "2": 20}
    for example in datasets["train"].as_numpy_iterator():
        index = [i for i in range(60) if (x[i] == example["image"][..., 0]).all()]
        assert y[index[0]] == example["label"]
    part, rest = kv.data.load(path, ["train[:80%]", "train[80%:]"])
    assert np.bincount([e["label"] for e in part.as_numpy_iterator()]).tolist() == [16, 16, 16]
    assert len(rest) == 12
    assert len(kv.data.load(path, "train+test")) == 66


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels")])
def test_one_pair_is_train(tmp_path, names):
    images = np.linspace(0, 1, 2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    labels = np.array(["dog", "cat"])
    path = save(tmp_path, **dict(zip(names, (images, labels), strict=True)))
    dataset, info = kv.data.load(path, "train", with_info=True)
    assert info.class_names == ["cat", "dog"]
    found = {int(e["label"]): e["image"] for e in dataset.as_numpy_iterator()}
    np.testing.assert_array_equal(found[1], np.round(images[0] * 255))


def test_validation_class_names_and_booleans(tmp_path):
    masks = np.array([[[True]], [[False]]])
    path = save(
        tmp_path,
        x_train=masks,
        y_train=[0, 1],
        x_valid=masks,
        y_valid=[1, 1],
        class_names=["on", "off", "never"],
    )
    datasets, info = kv.data.load(path, with_info=True)
    assert list(datasets) == ["train", "validation"]
    assert info.class_names == ["on", "off", "never"]
    found = {int(e["label"]): int(e["image"].sum()) for e in datasets["train"].as_numpy_iterator()}
    assert found == {0: 255, 1: 0}


X, Y = np.zeros((3, 4, 4), "uint8"), np.arange(3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "must hold the arrays x_train and y_train"),
        ({"x_train": X}, "must hold the arrays"),
        ({"x": X, "y": Y[:2]}, "same number of examples"),
        ({"x": X[:0], "y": Y[:0]}, "at least one"),
        ({"x": X[0], "y": Y}, "must have the shape"),
        ({"x": np.zeros((3, 4, 4, 2)), "y": Y}, "1 or 3 channels"),
        ({"x": X.astype("U1"), "y": Y}, "must hold numbers"),
        ({"x": X - 1.0, "y": Y}, "pixels in 0..255"),
        ({"x": X + np.nan, "y": Y}, "pixels in 0..255"),
        (
            {"x_train": X, "y_train": Y, "x_val": X, "x_valid": X},
            "each split once.*x_val and x_valid",
        ),
        ({"x": X, "y": Y + 0.5}, "one whole number or string"),
        ({"x": X, "y": np.eye(3)}, "one whole number or string"),
        ({"x": X, "y": Y - 1}, "class indices"),
        ({"x": X, "y": Y, "class_names": "abc"}, r"must be a list of names. Received: shape \(\)"),
        ({"x": X, "y": Y, "class_names": [["a", "b", "c"]]}, "must be a list of names"),
        ({"x": X, "y": Y, "class_names": ["a", "b"]}, "class indices 0..1"),
        ({"x": X, "y": Y, "class_names": ["a", "b", "a"]}, "must all be different. Received: 'a'"),
        ({"x": X, "y": ["a", "b", "c"], "class_names": ["a", "b"]}, r"Received: \['c'\]"),
        ({"x": X, "y": np.array([1, "a", None], object)}, "plain arrays"),
    ],
)
def test_npz_errors(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        kv.data.load(save(tmp_path, **arrays))


def floats(count=20, high=1.0):
    return np.random.default_rng(0).uniform(0, high, (count, 8, 8, 3)).astype("float32")


def in_order(path, split="train"):
    """The pictures by their labels, which are their numbers."""
    examples = kv.data.load(path, split).as_numpy_iterator()
    return [e["image"] for e in sorted(examples, key=lambda e: e["label"])]


def test_one_number_above_1_does_not_make_bytes_of_shares(tmp_path):
    x = floats()
    expected = np.round(x * 255)
    for odd in (1.0000001, 1.4, 200.0):
        x[3, 2, 2, 1], expected[3, 2, 2, 1] = odd, 255
        path = save(tmp_path, x_train=x, y_train=np.arange(20), x_test=x[:6], y_test=np.arange(6))
        with pytest.warns(UserWarning, match=r"1 of 3,840 numbers in `x_train` lie outside 0..1,"):
            np.testing.assert_array_equal(in_order(path), expected)


def test_the_unit_is_that_of_all_splits(tmp_path):
    """A dark split is no split in another unit."""
    x = floats(20, 255)
    path = save(tmp_path, x_train=x, y_train=np.arange(20), x_test=x[:6] / 300, y_test=np.arange(6))
    with pytest.warns(UserWarning, match="`x_test` holds hardly anything above 1"):
        assert np.max(in_order(path, "test")) <= 1
    # Masks of few light pixels, and pictures that are all but black, are what they are.
    sparse = np.zeros((20, 8, 8))
    sparse[:, 0, 0] = 255
    for scale in (1, 1 / 255):
        path = save(tmp_path, x=sparse * scale, y=np.arange(20))
        np.testing.assert_array_equal(in_order(path), sparse[..., None])
    path = save(tmp_path, x_train=x / 255, y_train=np.arange(20), x_test=x[:6], y_test=np.arange(6))
    with pytest.raises(ValueError, match="x_train in 0..1 and x_test in 0..255. Multiply"):
        kv.data.load(path)
    path = save(tmp_path, x_train=x / 255, y_train=np.arange(20), x_test=x[:1], y_test=[0])
    with pytest.raises(ValueError, match="`x_test` in .* and all in one unit"):
        kv.data.load(path)


def test_a_few_numbers_outside_are_cut_off(tmp_path):
    path = save(tmp_path, x=np.array([[[-1, 127, 5, 0]] * 9], "int8"), y=[0])
    with pytest.raises(ValueError, match=r"pixels in 0..255 or 0..1. Received: -1..127"):
        kv.data.load(path)
    for dtype in ("float32", "int16"):
        x = floats(20, 255).astype(dtype)
        x[0, 0, 0], x[1, 0, 0] = -3, 256
        with pytest.warns(
            UserWarning, match=r"6 of 3,840 numbers .* outside 0..255, .*\(-3..256\)"
        ):
            found = in_order(save(tmp_path, x=x, y=np.arange(20)))
        np.testing.assert_array_equal(found, np.round(np.clip(x, 0, 255)))


def test_pictures_with_pixels_that_are_no_numbers_are_left_out(tmp_path):
    x = floats()
    x[3, 2, 2, 1], x[7, 0, 0, 0] = np.nan, np.inf
    path = save(tmp_path, x=x, y=np.arange(20))
    with pytest.warns(UserWarning, match=r"2 file\(s\)(.|\n)*x\[3\]: its pixels are no numbers"):
        dataset, info = kv.data.load(path, "train", with_info=True)
    assert sorted(int(e["label"]) for e in dataset) == [i for i in range(20) if i not in (3, 7)]
    assert [file.name for file in info.skipped] == ["x[3]", "x[7]"]
    with pytest.raises(ValueError, match="Mend or remove"):
        kv.data.load(path, errors="raise")


def test_damaged_npz(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ValueError, match="must be an .npz archive"):
        kv.data.load(tmp_path / "x.npz")
