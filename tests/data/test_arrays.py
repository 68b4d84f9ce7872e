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
        ({"x": X, "y": Y + 0.5}, "one whole number or string"),
        ({"x": X, "y": np.eye(3)}, "one whole number or string"),
        ({"x": X, "y": Y - 1}, "class indices"),
        ({"x": X, "y": Y, "class_names": ["a", "b"]}, "class indices 0..1"),
        ({"x": X, "y": ["a", "b", "c"], "class_names": ["a", "b"]}, r"Received: \['c'\]"),
        ({"x": X, "y": np.array([1, "a", None], object)}, "plain arrays"),
    ],
)
def test_npz_errors(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        kv.data.load(save(tmp_path, **arrays))


def test_damaged_npz(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ValueError, match="must be an .npz archive"):
        kv.data.load(tmp_path / "x.npz")
