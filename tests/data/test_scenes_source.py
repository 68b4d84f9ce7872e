"""`scenes` as a source: splits, order, and what an example holds."""

import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.data.scenes import CLASSES, PARTS, render, sample_scene, scenes
from kvision.data.sources.splits import parse_split

SIZE = (24, 32)


def pieces(split, source):
    sizes = {name: value.num_examples for name, value in source.info.splits.items()}
    return parse_split(split, sizes)


def examples(source, split):
    return list(source.dataset(pieces(split, source)).as_numpy_iterator())


def test_an_example_is_what_render_says():
    source = scenes(SIZE, difficulty=0.8, seed=4)
    dataset = source.dataset(pieces("validation[2:4]", source))
    example = list(dataset.as_numpy_iterator())[1]
    truth = render(sample_scene((4 * 3 + 1) * 2**32 + 3, 0.8, 32 / 24), size=SIZE)
    tf.nest.assert_same_structure(example, truth)
    for served, true, spec in zip(
        tf.nest.flatten(example),
        tf.nest.flatten(truth),
        tf.nest.flatten(dataset.element_spec),
        strict=True,
    ):
        np.testing.assert_array_equal(served, true)
        assert served.dtype == true.dtype == spec.dtype.as_numpy_dtype
        assert spec.shape.is_compatible_with(served.shape)
    assert dataset.element_spec["image"].shape == (*SIZE, 3)
    assert dataset.element_spec["objects"]["bbox"].shape.as_list() == [None, 4]


def test_the_first_scenes_stay_whatever_the_size_of_the_split():
    few, many = scenes(SIZE, train=3), scenes(SIZE, train=10**6)
    for one, other in zip(examples(few, "train"), examples(many, "train[:3]"), strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
    again = examples(many, "train[1:3]")
    np.testing.assert_array_equal(again[0]["image"], examples(few, "train")[1]["image"])


def test_splits_and_seeds_share_no_scene():
    sources = [scenes(SIZE, seed=seed) for seed in (0, 1)]
    images = [
        example["image"].tobytes()
        for source in sources
        for example in examples(source, "train[:4]+validation[:4]+test[:4]")
    ]
    assert len(set(images)) == len(images) == 24
    firsts = [s.first_seed(split) for s in sources for split in ("train", "validation", "test")]
    assert np.diff(firsts).min() >= 2**32


def test_info():
    info = scenes((48, 64), train=70, validation=0, test=5).info
    assert dict(info.splits) == {
        "train": kv.data.load("digits", "train", with_info=True)[1].splits["train"].__class__(70),
        "test": type(info.splits["test"])(5),
    }
    assert info.class_names == list(CLASSES)
    assert info.class_names[0] == "background"
    assert info.features["segmentation_mask"].num_classes == 9
    assert info.features["part_mask"].names == list(PARTS)
    assert info.features["objects"]["label"].names == list(CLASSES[1:])
    assert info.features["image"].shape == (48, 64, 3)


def test_load():
    """By name, with its options, as every source."""
    train, info = kv.data.load(
        "scenes", "train[:10]", with_info=True, size=SIZE, difficulty=0.2, train=50
    )
    assert int(train.cardinality()) == 10
    assert info.splits["train"].num_examples == 50
    first = next(train.as_numpy_iterator())
    expected = render(sample_scene(0, 0.2, 32 / 24), size=SIZE)
    np.testing.assert_array_equal(first["image"], expected["image"])


def test_batches_for_each_task():
    dataset = kv.data.load("scenes", "train[:8]", size=SIZE)
    first = next(dataset.as_numpy_iterator())
    images, masks = next(iter(kv.data.batches(dataset, SIZE, 4, target="segmentation_mask")))
    assert images.shape == (4, *SIZE, 3)
    np.testing.assert_array_equal(images[0], first["image"])
    np.testing.assert_array_equal(masks[0], first["segmentation_mask"])
    images, truth = next(iter(kv.data.batches(dataset, SIZE, 4, target="objects", masks=True)))
    count = len(first["objects"]["label"])
    np.testing.assert_allclose(truth["boxes"][0, :count], first["objects"]["bbox"], atol=1e-6)
    np.testing.assert_array_equal(truth["classes"][0, :count], first["objects"]["label"])
    for mask, number in zip(truth["masks"][0].numpy(), first["objects"]["id"], strict=False):
        np.testing.assert_array_equal(mask, first["instance_mask"][..., 0] == number)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 96}, "`size` must be"),
        ({"difficulty": 2}, "`difficulty` must be"),
        ({"seed": -1}, "`seed` must be a whole number"),
        ({"seed": 2**28}, "`seed` must be a whole number"),
        ({"train": -1}, "`train` must be a whole number"),
        ({"validation": 0.5}, "`validation` must be a whole number"),
        ({"train": 0, "validation": 0, "test": 0}, "must hold a scene"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        scenes(**options)
