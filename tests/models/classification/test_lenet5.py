"""Facts of the 1998 paper, computed another way."""

import numpy as np
import pytest

import kvision as kv
from kvision.models.classification import lenet5


def count(model, name):
    return sum(int(np.prod(w.shape)) for w in model.get_layer(name).trainable_weights)


def test_parameters_of_each_layer():
    model = kv.models.LeNet5()
    layers = ["C1", "S2", "C3", "S4", "C5", "F6", "predictions"]
    assert [count(model, name) for name in layers] == [156, 12, 1516, 32, 48120, 10164, 0]
    assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == 840


def test_connections():
    """340,908 in all: what the paper's text adds up to."""
    model = kv.models.LeNet5()
    positions = {
        name: int(np.prod(model.get_layer(name).output.shape[1:3]))
        for name in ("C1", "S2", "C3", "S4")
    }
    c1 = positions["C1"] * 156
    s2 = positions["S2"] * 6 * 5
    c3 = positions["C3"] * 1516
    s4 = positions["S4"] * 16 * 5
    assert (c1, s2, c3, s4) == (122_304, 5_880, 151_600, 2_000)
    assert c1 + s2 + c3 + s4 + 48_120 + 10_164 + 840 == 340_908


def test_table_one():
    table = [set(maps) for maps in lenet5.C3_CONNECTIONS]
    assert [len(maps) for maps in table] == [3] * 6 + [4] * 9 + [6]
    assert len({frozenset(maps) for maps in table}) == 16
    # Each map of S2 is seen by ten maps of C3, as the rows of Table I show.
    assert [sum(m in maps for maps in table) for m in range(6)] == [10] * 6


def test_c3_does_not_see_what_the_table_leaves_out():
    model = kv.models.LeNet5()
    layer = model.get_layer("C3")
    maps = np.random.default_rng(0).normal(size=(1, 14, 14, 6)).astype("float32")
    base = np.asarray(layer(maps))
    for unseen in range(6):
        changed = maps.copy()
        changed[..., unseen] += 1.0
        moved = np.abs(np.asarray(layer(changed)) - base).max(axis=(0, 1, 2)) > 1e-6
        assert moved.tolist() == [unseen in c for c in lenet5.C3_CONNECTIONS]


def test_background_and_ink_are_the_papers():
    layer = kv.models.LeNet5().get_layer("rescaling")
    np.testing.assert_allclose(np.asarray(layer(np.array([0.0, 255.0]))), [-0.1, 1.175], rtol=1e-6)


def test_codes_are_legible_bitmaps_far_apart():
    codes = lenet5.digit_codes()
    assert codes.shape == (10, 84)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    distances = ((codes[:, None] - codes[None]) ** 2).sum(-1) / 4
    assert distances[~np.eye(10, dtype=bool)].min() >= 6  # pixels between the closest two


def test_perfect_f6_gives_the_digit_whose_bitmap_it_is():
    model = kv.models.LeNet5()
    scores = np.asarray(model.get_layer("predictions")(lenet5.digit_codes().astype("float32")))
    np.testing.assert_allclose(np.diag(scores), 0.0, atol=1e-3)
    assert scores.argmax(axis=1).tolist() == list(range(10))


def test_modern_variant():
    model = kv.models.LeNet5(variant="modern")
    assert model.count_params() == 61_706
    assert (count(model, "C3"), count(model, "predictions")) == (2_416, 850)


def test_other_class_counts_have_distinct_codes():
    model = kv.models.LeNet5(classes=26)
    codes = np.asarray(model.get_layer("predictions").centres)
    assert len({tuple(code) for code in codes}) == 26


def test_a_larger_picture_is_slid_over():
    model = kv.models.LeNet5(include_top=False, input_shape=(48, 40, 1))
    assert model.output_shape == (None, 5, 3, 120)


def test_unknown_variant():
    with pytest.raises(ValueError, match="`variant` must be '1998' or 'modern'"):
        kv.models.LeNet5(variant="2024")
