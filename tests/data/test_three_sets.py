"""Data to train, validate and test on."""

import pytest

import kvision as kv


def test_what_is_taken_is_told():
    sets = kv.data.three_sets("digits", "label", {"train": "train[:20]"})
    assert [len(part) for part in sets[:3]] == [20, 144, 360]
    assert sets.splits == {"train": "train[:20]", "validation": "train[90%:]", "test": "test"}
    assert sets.class_names == [str(digit) for digit in range(10)]
    assert sets.info.name in sets.summary
    assert "train on train[:20] (20), validation on train[90%:] (144)" in sets.summary


def test_classes_are_those_of_the_feature():
    given = {"size": (32, 32), "train": 4, "validation": 2, "test": 2}
    masks = kv.data.three_sets("scenes", "segmentation_mask", **given).class_names
    objects = kv.data.three_sets("scenes", "objects", **given).class_names
    assert masks[0] == "background"
    assert masks[1:] == objects


@pytest.mark.parametrize(
    ("source", "splits", "options", "said"),
    [
        ("digits", {}, {}, "it must have masks"),
        ("nowhere/", {}, {}, "nowhere"),
        ("scenes", {"tset": "test"}, {}, "must be of .'train', 'validation', 'test'"),
        ("scenes", {"train": "foo"}, {}, "foo"),
        ("scenes", {}, {"difficulty": 7}, "`difficulty`"),
    ],
)
def test_what_cannot_be_read(source, splits, options, said):
    with pytest.raises(ValueError, match=f"{source} cannot be read so: .*{said}"):
        kv.data.three_sets(source, "segmentation_mask", splits, **options)
