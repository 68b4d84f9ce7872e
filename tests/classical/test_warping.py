"""Warped regions: exactly 16 pixels of context, the mean outside, linear in between."""

import numpy as np
import pytest

from kvision.classical import warp_regions
from kvision.classical.warping import IMAGENET_MEAN


def slow(image, box, size, context, fill):
    """One pixel after the other, from the definition."""
    height, width = image.shape[:2]
    result = np.empty((*size, 3))
    for i, j in np.ndindex(*size):
        # From the result's pixel to 0..1 of the box, whose first pixel is `context`.
        down = (i + 0.5 - context) / (size[0] - 2 * context)
        along = (j + 0.5 - context) / (size[1] - 2 * context)
        y = height * (box[0] + down * (box[2] - box[0]))
        x = width * (box[1] + along * (box[3] - box[1]))
        if not (0 <= y <= height and 0 <= x <= width):
            result[i, j] = fill
            continue
        y, x = np.clip(y - 0.5, 0, height - 1), np.clip(x - 0.5, 0, width - 1)
        top, left = min(int(y), height - 2), min(int(x), width - 2)
        rows, columns = [1 - (y - top), y - top], [1 - (x - left), x - left]
        patch = image[top : top + 2, left : left + 2]
        result[i, j] = np.einsum("a,b,abc", rows, columns, patch)
    return result


def test_a_box_is_surrounded_by_16_pixels_of_context():
    """The box is 195 pixels, so that warping to 227 with 16 on each side changes no size."""
    image = np.random.default_rng(0).integers(0, 256, (400, 500, 3), "uint8")
    top, left = 60, 130
    box = [top / 400, left / 500, (top + 195) / 400, (left + 195) / 500]
    crop = warp_regions(image, [box])[0]
    expected = image[top - 16 : top + 195 + 16, left - 16 : left + 195 + 16]
    np.testing.assert_allclose(crop, expected, atol=0.02)


def test_context_is_of_the_result_whatever_the_box():
    """White boxes on black, of any aspect, all become 195 x 195 pixels of 227."""
    for height, width in [(30, 120), (90, 20), (6, 6)]:
        image = np.zeros((200, 200, 1), "uint8")
        image[50 : 50 + height, 40 : 40 + width] = 255
        box = np.array([50, 40, 50 + height, 40 + width]) / 200
        inside = warp_regions(image, [box])[0, ..., 0] > 127
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        assert (rows[0], rows[-1], columns[0], columns[-1]) == (16, 210, 16, 210)


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.5, 0.9), (0.0, 0.0, 1.0, 1.0), (0.6, 0.5, 1.0, 0.7)])
def test_equals_the_definition_pixel_by_pixel(box):
    image = np.random.default_rng(1).integers(0, 256, (24, 31, 3), "uint8")
    crop = warp_regions(image, [box], size=(33, 28), context=4, fill=(1, 2, 3))[0]
    np.testing.assert_allclose(crop, slow(image, box, (33, 28), 4, (1, 2, 3)), atol=0.02)


def test_what_lies_outside_is_the_mean():
    image = np.full((60, 80, 3), 255, "uint8")
    crop = warp_regions(image, [[0.0, 0.0, 1.0, 1.0]])[0]
    np.testing.assert_allclose(crop[16:-16, 16:-16], 255)
    outside = np.ones((227, 227), bool)
    outside[16:-16, 16:-16] = False
    np.testing.assert_allclose(crop[outside], np.tile(IMAGENET_MEAN, (outside.sum(), 1)), rtol=1e-6)
    grey = warp_regions(image[..., :1], [[0.0, 0.0, 1.0, 1.0]])[0]
    np.testing.assert_allclose(grey[0, 0], [sum(IMAGENET_MEAN) / 3], rtol=1e-6)


def test_no_boxes_give_no_regions():
    assert warp_regions(np.zeros((9, 9, 3)), []).shape == (0, 227, 227, 3)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`context` must be from 0"):
        warp_regions(np.zeros((9, 9, 3)), [[0, 0, 1, 1]], size=(32, 32))
    with pytest.raises(ValueError, match="Boxes of a picture must be"):
        warp_regions(np.zeros((9, 9, 3)), [[0, 0, 1]])
