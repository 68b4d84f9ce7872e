"""`load` finds what is meant, and says what it takes when it does not."""

import numpy as np
import pytest

import kvision as kv


def labels_of(dataset):
    return [int(example["label"]) for example in dataset]


def test_flat_folder(clean_folder):
    datasets, info = kv.data.load(clean_folder, with_info=True)
    assert list(datasets) == ["train"]
    assert info.name == str(clean_folder)
    assert info.class_names == ["cat", "dog"]
    assert info.features["label"].num_classes == 2
    assert info.features["image"].shape == (None, None, 3)
    assert info.splits["train"].num_examples == 20
    assert info.splits["train"].class_counts == {"cat": 10, "dog": 10}
    assert info.num_skipped == 0
    for example in datasets["train"].as_numpy_iterator():
        assert example["image"].shape == (6, 8, 3)
        assert example["image"][0, 0, 0] // 100 == example["label"]


def test_slices_are_fair_and_disjoint(clean_folder):
    parts, info = kv.data.load(clean_folder, ["train[:80%]", "train[80%:]"], with_info=True)
    assert sorted(labels_of(parts[0])) == [0] * 8 + [1] * 8
    assert sorted(labels_of(parts[1])) == [0] * 2 + [1] * 2
    values = [int(example["image"][0, 0, 0]) for part in parts for example in part]
    assert sorted(values) == [*range(10), *range(100, 110)]
    assert info.splits["train[:80%]"].num_examples == 16
    with pytest.raises(KeyError):
        _ = info.splits["absent"]


def test_order_follows_the_seed(clean_folder):
    def values(seed):
        return [int(e["image"][0, 0, 0]) for e in kv.data.load(clean_folder, "train", seed=seed)]

    assert values(0) == values(0)
    assert values(0) != values(1)


def test_folder_with_splits(tmp_path, save_image):
    for split, count in (("Train", 6), ("val", 2), ("testing", 4)):
        for number in range(count):
            save_image(tmp_path / split / f"class {number % 2}" / f"{number}.png")
    save_image(tmp_path / "Train" / "only here" / "x.png")
    with pytest.warns(UserWarning, match="val.only here.*testing.only here"):
        datasets, info = kv.data.load(str(tmp_path), with_info=True)
    assert {name: len(dataset) for name, dataset in datasets.items()} == {
        "train": 7,
        "validation": 2,
        "test": 4,
    }
    assert info.class_names == ["class 0", "class 1", "only here"]
    with pytest.warns(UserWarning, match="only here"):
        assert len(kv.data.load(tmp_path, "valid+test[:50%]")) == 4


def test_a_class_may_be_called_train(tmp_path, save_image):
    for name in ("bus", "train"):
        save_image(tmp_path / name / "x.png")
    assert kv.data.load(tmp_path, with_info=True)[1].class_names == ["bus", "train"]


def test_mixtures_are_refused(tmp_path, save_image):
    save_image(tmp_path / "train" / "a" / "x.png")
    save_image(tmp_path / "extra" / "x.png")
    with pytest.raises(ValueError, match=r"not a mixture.*\['extra', 'train'\].*'extra'"):
        kv.data.load(tmp_path)
    (tmp_path / "extra").rename(tmp_path / "Training")
    save_image(tmp_path / "Training" / "a" / "x.png")
    with pytest.raises(ValueError, match="not a mixture"):
        kv.data.load(tmp_path)


def test_images_outside_class_folders_are_named(clean_folder, save_image):
    save_image(clean_folder / "stray.jpg")
    with pytest.warns(UserWarning, match="stray.jpg: not in a class folder"):
        kv.data.load(clean_folder)


def test_folder_without_class_folders(tmp_path, save_image):
    save_image(tmp_path / "x.png")
    with pytest.raises(ValueError, match="one folder for each class"):
        kv.data.load(tmp_path)


def test_unknown_sources_name_what_is_close(clean_folder):
    with pytest.raises(ValueError, match=r"Did you mean 'cifar10' .*'digits', a folder"):
        kv.data.load("cifar1")
    with pytest.raises(ValueError, match="Did you mean 'digits'"):
        kv.data.load("digit")
    with pytest.raises(ValueError, match="Unknown source 'tfds:zzz'"):
        kv.data.load("tfds:zzz")
    with pytest.raises(FileNotFoundError, match="Did you mean '.*photos'"):
        kv.data.load(clean_folder.parent / "photo")
    with pytest.raises(FileNotFoundError, match="'nowhere/at.all'"):
        kv.data.load("nowhere/at.all")
    with pytest.raises(FileNotFoundError):
        kv.data.load("x.npz")


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((3,), {}, "must be a name or a path"),
        (("digits",), {"errors": "ignore"}, "`errors` must be 'skip' or 'raise'"),
        (
            ("digits",),
            {"data_dir": "x"},
            r"the options \['data_dir'\]. It has no options",
        ),
        (("digits", "valid"), {}, "There is no split"),
        (("digits", 5), {}, "must be a string"),
    ],
)
def test_errors(args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        kv.data.load(*args, **kwargs)


def test_a_single_image_is_no_source(tmp_path, save_image):
    save_image(tmp_path / "x.png")
    with pytest.raises(ValueError, match="must be an .npz archive"):
        kv.data.load(tmp_path / "x.png")


def test_a_folder_goes_before_a_tfds_name(clean_folder, monkeypatch):
    (clean_folder).rename(clean_folder.parent / "mnist")
    monkeypatch.chdir(clean_folder.parent)
    assert kv.data.load("mnist", with_info=True)[1].class_names == ["cat", "dog"]


@pytest.mark.parametrize(("name", "shape"), [("mnist", (28, 28, 1)), ("tfds:cifar10", (32, 32, 3))])
def test_tfds(name, shape):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=12, policy=tfds.testing.MockPolicy.USE_CODE):
        datasets, info = kv.data.load(name, ["train[:80%]", "test"], with_info=True)
        assert len(kv.data.load(name, "train")) == 12
    example = next(datasets[0].as_numpy_iterator())
    assert example["image"].shape == info.features["image"].shape == shape
    assert info.class_names == [str(number) for number in range(10)]
    batch, labels = next(iter(kv.data.batches(datasets[1], (16, 16, 1), 5)))
    assert batch.shape == (5, 16, 16, 1)
    assert np.issubdtype(labels.dtype.as_numpy_dtype, np.int64)


@pytest.mark.parametrize(
    ("name", "names"),
    [("oxford_iiit_pet", ["pet", "background", "border"]), ("cityscapes", ["road", "sidewalk"])],
)
def test_tfds_masks(name, names):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=2, policy=tfds.testing.MockPolicy.USE_CODE):
        before = tfds.load(name, split="train")
        dataset, info = kv.data.load(name, "train", with_info=True)
        pair = kv.data.load(name, ["train", "train"])
        as_it_is = kv.data.load(name, "train", as_supervised=True) if "pet" in name else None
    feature = info.features["segmentation_mask"]
    assert feature.names[: len(names)] == names
    key = "segmentation_mask" if "pet" in name else "segmentation_label"
    # The mock's masks hold noise; what the numbers mean is known.
    if "pet" in name:
        table = np.full(256, 255)
        table[1:4] = 0, 1, 2
        assert isinstance(next(iter(as_it_is)), tuple)
        assert info.class_names[0] == "Abyssinian"
    else:
        table = np.full(256, 255)
        table[[7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]] = np.arange(19)
        assert info.class_names == feature.names
    examples = zip(before.as_numpy_iterator(), dataset.as_numpy_iterator(), strict=True)
    for raw, example in examples:
        assert example["segmentation_mask"].dtype == np.uint8
        np.testing.assert_array_equal(example["segmentation_mask"], table[raw[key]])
    assert pair[1].element_spec == dataset.element_spec
    assert isinstance(dataset, tf.data.Dataset)
    images, masks = next(
        kv.data.batches(dataset, 16, 2, target="segmentation_mask").as_numpy_iterator()
    )
    assert images.shape[:3] == masks.shape[:3] == (2, 16, 16)
    assert info.features["image"].shape[-1] == 3
