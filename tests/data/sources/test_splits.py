"""The split grammar means what TFDS's means, and fair prefixes stay fair."""

import numpy as np
import pytest

from kvision.data.sources.order import stratified_order
from kvision.data.sources.splits import canonical_split, parse_split

SIZES = {"train": 800, "validation": 101, "test": 10}


def bounds(split):
    return [(piece.name, piece.start, piece.stop) for piece in parse_split(split, SIZES)]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", [("train", 0, 800)]),
        ("train[:80%]", [("train", 0, 640)]),
        ("train[80%:]", [("train", 640, 800)]),
        ("train[10%:20%]", [("train", 80, 160)]),
        ("train[-100:]", [("train", 700, 800)]),
        ("train[:-25%]", [("train", 0, 600)]),
        ("train[100:1_50]", [("train", 100, 150)]),
        ("train[10%:100]", [("train", 80, 100)]),
        ("train[:12.5%]", [("train", 0, 100)]),
        ("validation[:50%]", [("validation", 0, 50)]),
        ("val", [("validation", 0, 101)]),
        ("valid[:1]", [("validation", 0, 1)]),
        (" train + test[5:] ", [("train", 0, 800), ("test", 5, 10)]),
        ("all", [("train", 0, 800), ("validation", 0, 101), ("test", 0, 10)]),
    ],
)
def test_pieces(split, expected):
    assert bounds(split) == expected


@pytest.mark.parametrize("percent", range(0, 101, 7))
def test_the_two_sides_of_a_cut_are_all(percent):
    if 0 < percent < 100:
        (_, _, left), (_, right, _) = (
            bounds(f"validation[:{percent}%]")[0],
            bounds(f"validation[{percent}%:]")[0],
        )
        assert left == right


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (3, "must be a string"),
        ("train[", "must look like"),
        ("", "must look like"),
        ("trian", "Did you mean 'train'"),
        ("val2", "There is no split 'val2'; the splits are 'train' \\(800"),
        ("train[5]", "start:stop"),
        ("train[a:b]", "whole numbers"),
        ("train[:1.5]", "whole numbers"),
        ("train[:120%]", "-100..100"),
        ("train[:801]", "does not lie inside the 800 examples"),
        ("train[20%:10%]", "does not lie inside"),
        ("train[:0]", "holds no examples"),
    ],
)
def test_errors(split, message):
    with pytest.raises(ValueError, match=message):
        parse_split(split, SIZES)


def test_aliases_of_tfds_splits():
    assert canonical_split("val[:20%]+train[5:]", {"train", "validation"}) == (
        "validation[:20%]+train[5:]"
    )
    assert canonical_split("valid", {"train"}) == "valid"
    assert canonical_split("val", {"val", "validation"}) == "val"


def test_every_prefix_is_fair():
    labels = np.repeat([0, 1, 2, 3], [1000, 100, 10, 2])
    labels = np.random.default_rng(5).permutation(labels)
    order = stratified_order(labels, seed=3)
    assert sorted(order.tolist()) == list(range(len(labels)))
    for length in (100, 400, 889, 1000):
        counts = np.bincount(labels[order[:length]], minlength=4)
        expected = np.bincount(labels) * length / len(labels)
        assert np.abs(counts - expected).max() <= 2


def test_order_follows_its_seed():
    labels = np.arange(99) % 3
    np.testing.assert_array_equal(stratified_order(labels, 1), stratified_order(labels, 1))
    assert (stratified_order(labels, 1) != stratified_order(labels, 2)).any()
    # Every class once in each round, but not in the same sequence.
    rounds = labels[stratified_order(labels, 1)].reshape(-1, 3)
    assert len({tuple(each) for each in rounds.tolist()}) > 3
