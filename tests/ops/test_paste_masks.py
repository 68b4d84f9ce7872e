"""Masks in the frames of their boxes land on the right pixels of the picture."""

import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from kvision.ops.masks import paste_masks

BOXES = np.array(
    [
        [0.1, 0.2, 0.63, 0.9],
        [0.0, 0.0, 1.0, 1.0],
        [-0.3, 0.4, 0.5, 1.4],  # beyond the picture
        [0.5, 0.5, 0.5, 0.8],  # without height
        [0.6, 0.5, 0.4, 0.8],  # upside down
        [1.2, 0.2, 1.4, 0.4],  # outside
        [0.2801, 0.3, 0.2899, 0.31],  # between the centres of pixels
    ]
)
SIZE = (37, 50)


def inside(box, size=SIZE):
    """Which pixels have their centre in the box."""
    rows, columns = ((np.arange(length) + 0.5) / length for length in size)
    top, left, bottom, right = box
    return ((top <= rows) & (rows < bottom))[:, None] & ((left <= columns) & (columns < right))


def test_a_mask_of_ones_covers_exactly_its_box():
    ones = np.ones((len(BOXES), 28, 28))
    pasted = np.asarray(paste_masks(ones, BOXES, SIZE))
    expected = np.stack([inside(box) for box in BOXES])
    assert expected.any((1, 2)).tolist() == [True, True, True, False, False, False, False]
    np.testing.assert_allclose(pasted, expected, atol=1e-6)
    for threshold in (0.5, 0.0, 0.999):
        shape = np.asarray(paste_masks(ones, BOXES, SIZE, threshold=threshold))
        assert shape.dtype == bool
        np.testing.assert_array_equal(shape, expected)
    nothing = np.asarray(paste_masks(0 * ones, BOXES, SIZE, threshold=0.5))
    assert not nothing.any()


@pytest.mark.parametrize("shape", [(28, 28), (7, 14), (1, 3)])
def test_values_are_scipys_at_the_centres_of_pixels(shape):
    masks = np.random.default_rng(0).random((len(BOXES), *shape))
    pasted = np.asarray(paste_masks(masks, BOXES, SIZE))
    for mask, box, mine in zip(masks, BOXES, pasted, strict=True):
        places = []
        for axis in (0, 1):
            low, high = box[axis] * SIZE[axis], box[axis + 2] * SIZE[axis]
            centres = np.arange(SIZE[axis]) + 0.5
            places.append((centres - low) / max(high - low, 1e-6) * shape[axis] - 0.5)
        grid = np.meshgrid(*places, indexing="ij")
        theirs = map_coordinates(mask, grid, order=1, mode="nearest")
        np.testing.assert_allclose(mine, np.where(inside(box), theirs, 0), atol=1e-4)


def test_a_mask_as_large_as_its_box_is_copied():
    mask = (np.random.default_rng(1).random((28, 28)) < 0.5).astype("uint8")
    box = np.array([10, 20, 38, 48]) / (60, 80, 60, 80)
    pasted = np.asarray(paste_masks(mask[None], box[None], (60, 80), threshold=0.5))[0]
    np.testing.assert_array_equal(pasted[10:38, 20:48], mask)
    assert pasted.sum() == mask.sum()


def test_leading_axes_none_and_half_precision():
    masks = np.random.default_rng(2).random((2, 3, 4, 4)).astype("float16")
    boxes = np.tile([0.25, 0.0, 0.75, 0.5], (2, 3, 1))
    pasted = paste_masks(keras.ops.convert_to_tensor(masks), boxes, (8, 8))
    assert (tuple(pasted.shape), keras.backend.standardize_dtype(pasted.dtype)) == (
        (2, 3, 8, 8),
        "float32",
    )
    np.testing.assert_allclose(np.asarray(pasted)[..., 2:6, :4], masks, atol=1e-6)
    assert tuple(paste_masks(masks[0, :0], boxes[0, :0], (8, 9)).shape) == (0, 8, 9)


def test_masks_and_boxes_must_be_as_many():
    with pytest.raises(ValueError, match=r"each box .*masks of shape \(2, 4, 4\), boxes of \(1, 4"):
        paste_masks(np.ones((2, 4, 4)), BOXES[:1], SIZE)
    with pytest.raises(ValueError, match=r"boxes of \(1, 3\)"):
        paste_masks(np.ones((1, 4, 4)), BOXES[:1, :3], SIZE)
