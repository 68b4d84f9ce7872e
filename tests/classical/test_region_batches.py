"""Batches of regions to tune a classifier on: what is object, what background, and how many."""

import keras
import numpy as np
import pytest

from kvision.classical import region_batches, warp_regions

WHOLE = [0.0, 0.0, 1.0, 1.0]
BOX = [0.25, 0.25, 0.75, 0.75]
COVERING_HALF = [0.25, 0.25, 0.75, 0.5]  # IoU exactly 0.5 with the box
COVERING_LESS = [0.25, 0.25, 0.75, 0.49]


@pytest.fixture(scope="module")
def pictures():
    """Each picture is of one grey level, so that a region tells where it is from."""
    return [np.full((40, 40, 3), level, "uint8") for level in (50, 100, 150)]


def drawn(dataset, epochs=1):
    batches = []
    for _ in range(epochs):
        batches += [dataset[index] for index in range(len(dataset))]
        dataset.on_epoch_end()
    return [np.concatenate(part) for part in zip(*batches, strict=True)]


def test_a_batch_has_32_objects_and_96_of_background(pictures):
    truths = [{"boxes": [BOX], "classes": [kind]} for kind in (0, 4, 19)]
    dataset = region_batches(pictures, truths, (32, 32, 3), proposals=[[COVERING_LESS]] * 3)
    regions, labels = dataset[0]
    assert regions.shape == (128, 32, 32, 3)
    assert (labels > 0).sum() == 32
    assert (labels == 0).sum() == 96
    assert labels.dtype == np.int32
    # The middle of a region has the grey of its picture, and so tells its class.
    expected = {50: 1, 100: 5, 150: 20}
    levels = regions[:32, 16, 16, 0].round().astype(int).tolist()
    assert labels[:32].tolist() == [expected[level] for level in levels]
    assert set(levels) == set(expected)


def test_half_an_object_is_the_object_and_less_is_background(pictures):
    truth = [{"boxes": [BOX, WHOLE], "classes": [3, 5]}]
    proposals = [[COVERING_HALF, COVERING_LESS, [0.05, 0, 1, 1]]]
    dataset = region_batches(pictures[:1], truth, (32, 32, 3), proposals=proposals)
    counts = np.unique(drawn(dataset, 20)[1], return_counts=True)
    assert dict(zip(*(part.tolist() for part in counts), strict=True)).keys() == {0, 4, 6}
    # Box and its half are 4; whole and nearly whole are 6: each drawn as often.
    by_class = dict(zip(*counts, strict=True))
    assert 0.8 < by_class[4] / by_class[6] < 1.25


def test_difficult_objects_and_crowds_are_neither(pictures):
    truth = {
        "boxes": [BOX, [0, 0, 0.2, 0.2], [0, 0.8, 0.2, 1.0], [0, 0, 0, 0]],
        "classes": [3, 5, 6, -1],
        "difficult": [False, True, False, False],
        "crowd": [False, False, True, False],
    }
    away = [0.8, 0.8, 1.0, 1.0]
    proposals = [[[0, 0, 0.2, 0.2], [0, 0.81, 0.2, 1.0], away]]
    picture = pictures[0].copy()
    picture[32:, 32:] = 200
    dataset = region_batches([picture], [truth], (32, 32, 3), proposals=proposals)
    regions, labels = drawn(dataset, 3)
    assert set(labels.tolist()) == {0, 4}
    assert (regions[labels == 0, 16, 16, 0].round() == 200).all()


def test_draws_are_warped_regions_half_of_them_mirrored():
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), "uint8")
    dataset = region_batches(
        [picture],
        [{"boxes": [BOX], "classes": [0]}],
        (32, 32, 3),
        proposals=[[]],
        negatives=0,
    )
    regions, _ = drawn(dataset, 2)
    crop = warp_regions(picture, [BOX], (32, 32), 16 / 227 * 32)[0]
    mirrored = np.isclose(regions, crop[:, ::-1]).all(axis=(1, 2, 3))
    assert (np.isclose(regions, crop).all(axis=(1, 2, 3)) ^ mirrored).all()
    assert 0.3 < mirrored.mean() < 0.7


def test_epochs_differ_and_seeds_repeat(pictures):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (3, 40, 40, 3), "uint8")
    truths = [{"boxes": [BOX], "classes": [0]}] * 3
    proposals = [random.random((50, 4)) * [0.2, 0.2, 0.1, 0.1] + [0, 0, 0.3, 0.3]] * 3
    first, again, other = (
        region_batches(pictures, truths, (32, 32, 3), proposals=proposals, seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first[0][0], again[0][0])
    assert not np.array_equal(first[0][0], other[0][0])
    before = first[0][0]
    first.on_epoch_end()
    assert not np.array_equal(first[0][0], before)


def test_fit_takes_them_and_batches_of_a_data_set(pictures):
    """Also grey pictures, padded truth, and pictures without objects or proposals."""
    truth = {"boxes": np.zeros((3, 2, 4), "float32"), "classes": np.full((3, 2), -1)}
    truth["boxes"][0, 0], truth["classes"][0, 0] = BOX, 1
    images = np.stack(pictures)[..., :1]
    dataset = region_batches(
        [(images, truth)], size=(16, 16, 1), proposals=lambda image: [COVERING_LESS], context=1
    )
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(dataset, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_what_is_missing_is_named(pictures):
    empty = [{"boxes": [], "classes": []}]
    with pytest.raises(ValueError, match="must have regions of objects"):
        region_batches(pictures[:1], empty, proposals=[[BOX]])
    with pytest.raises(ValueError, match="must have regions of background"):
        region_batches(pictures[:1], [{"boxes": [BOX], "classes": [0]}], proposals=[[BOX]])
    with pytest.raises(ValueError, match="`images` and `truths` must be as many"):
        region_batches(pictures, empty)
    with pytest.raises(ValueError, match="a data set of batches"):
        region_batches(pictures)
    with pytest.raises(ValueError, match="must have 'boxes' and 'classes'"):
        region_batches(pictures[:1], [{"boxes": []}])
    with pytest.raises(ValueError, match="a class for each box"):
        region_batches(pictures[:1], [{"boxes": [BOX], "classes": []}])
    with pytest.raises(ValueError, match="must have 1 channel"):
        region_batches(
            pictures[:1],
            [{"boxes": [BOX], "classes": [0]}],
            (16, 16, 1),
            proposals=[[COVERING_LESS]],
            context=1,
        )[0]
