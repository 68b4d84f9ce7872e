"""Resampling against NumPy, and the lens against closed forms."""

import numpy as np
import pytest
from keras import ops

from kvision.ops.warp import distort_radius, resample, undistort_radius

IMAGE = np.arange(2 * 4 * 5 * 2, dtype="float32").reshape(2, 4, 5, 2)


def at(points, images=IMAGE, **kwargs):
    points = np.broadcast_to(np.asarray(points, "float32"), (len(images), 1, len(points), 2))
    return ops.convert_to_numpy(resample(images, points, **kwargs))[:, 0]


def test_whole_pixels_are_looked_up():
    points = [(x, y) for y in range(4) for x in range(5)]
    for interpolation in ("bilinear", "nearest"):
        np.testing.assert_array_equal(
            at(points, interpolation=interpolation), IMAGE.reshape(2, 20, 2)
        )


def test_between_pixels():
    expected = 0.75 * 0.6 * IMAGE[:, 1, 2] + 0.25 * 0.6 * IMAGE[:, 1, 3]
    expected += 0.75 * 0.4 * IMAGE[:, 2, 2] + 0.25 * 0.4 * IMAGE[:, 2, 3]
    np.testing.assert_allclose(at([(2.25, 1.4)])[:, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(at([(2.25, 1.6)], interpolation="nearest")[:, 0], IMAGE[:, 2, 2])


@pytest.mark.parametrize("column", [-7, -2, -1, 5, 6, 11])
def test_outside(column):
    numpy_modes = {"nearest": "edge", "reflect": "symmetric", "wrap": "wrap"}
    for mode, numpy_mode in numpy_modes.items():
        padded = np.pad(IMAGE, ((0, 0), (8, 8), (8, 8), (0, 0)), numpy_mode)
        for interpolation in ("bilinear", "nearest"):
            found = at([(column, 2)], fill_mode=mode, interpolation=interpolation)[:, 0]
            np.testing.assert_allclose(found, padded[:, 10, column + 8])
    np.testing.assert_array_equal(at([(column, 2)], fill_value=9.0), 9.0)


def test_constant_fades_in_over_one_pixel():
    np.testing.assert_allclose(at([(-0.25, 1)])[:, 0], 0.75 * IMAGE[:, 1, 0])


def test_each_image_has_its_own_points_and_dtype():
    points = np.array([[[[1, 0]]], [[[0, 3]]]], "float32")
    images = IMAGE.astype("uint8")
    found = ops.convert_to_numpy(resample(images, points))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[:, 0, 0], [images[0, 0, 1], images[1, 3, 0]])


def test_errors():
    with pytest.raises(ValueError, match="`interpolation` must be"):
        at([(0, 0)], interpolation="cubic")
    with pytest.raises(ValueError, match="`fill_mode` must be one of"):
        at([(0, 0)], fill_mode="mirror")


@pytest.mark.parametrize(
    ("k1", "k2"), [(0.0, 0.0), (0.5, 0.2), (-0.3, 0.0), (-0.32, 0.05), (0.0, 3.0)]
)
def test_undistort_is_the_inverse(k1, k2):
    radius = np.linspace(0.0, 1.0, 101, dtype="float32")
    distorted = ops.convert_to_numpy(distort_radius(radius, k1, k2))
    np.testing.assert_allclose(distorted, radius + k1 * radius**3 + k2 * radius**5, rtol=1e-5)
    found = ops.convert_to_numpy(undistort_radius(distorted, k1, k2))
    np.testing.assert_allclose(found, radius, atol=2e-3)
    assert float(undistort_radius(np.float32(distorted[-1] + 0.1), k1, k2)) > 1.0
