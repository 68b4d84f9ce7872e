"""CropLike, ResizeLike and BilinearKernel."""

import keras
import numpy as np
import pytest
from scipy import ndimage

from kvision.initializers import BilinearKernel
from kvision.layers import CropLike, ResizeLike


def maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize(("offset", "top", "left"), [(None, 1, 2), (0, 0, 0), (3, 3, 3)])
def test_crop(offset, top, left):
    x, wanted = maps(2, 9, 10, 3), maps(2, 6, 6, 1)
    y = np.asarray(CropLike(offset)([x, wanted]))
    np.testing.assert_array_equal(y, x[:, top : top + 6, left : left + 6])


def test_crop_of_open_sizes():
    inputs = keras.Input((None, None, 2)), keras.Input((None, None, 5))
    model = keras.Model(inputs, CropLike()(list(inputs)))
    assert model.output_shape == (None, None, None, 2)
    x = maps(1, 8, 7, 2)
    y = model.predict([x, maps(1, 4, 7, 5)], verbose=0)
    np.testing.assert_array_equal(y, x[:, 2:6])


def test_crop_says_what_it_needs():
    with pytest.raises(ValueError, match="`offset` must be None or a whole number.*Received: -1"):
        CropLike(-1)
    with pytest.raises(
        ValueError, match=r"must be at least \(4, 4\).*offset of 0. Received: \(3, 5"
    ):
        CropLike()([maps(1, 3, 5, 1), maps(1, 4, 4, 1)])
    with pytest.raises(ValueError, match="beyond an offset of 2"):
        CropLike(2)([maps(1, 5, 5, 1), maps(1, 4, 4, 1)])
    with pytest.raises(ValueError, match="must be a list of two batches of maps"):
        CropLike()([maps(1, 3, 5, 1)])


def test_resize_like_is_bilinear_between_pixel_centres():
    x = maps(1, 4, 5, 2)
    y = np.asarray(ResizeLike()([x, maps(1, 8, 10, 1)]))
    rows, columns = (np.clip((np.arange(2 * n) + 0.5) / 2 - 0.5, 0, n - 1) for n in (4, 5))
    grid = np.meshgrid(rows, columns, indexing="ij")
    for channel in range(2):
        expected = ndimage.map_coordinates(x[0, ..., channel], grid, order=1)
        np.testing.assert_allclose(y[0, ..., channel], expected, atol=1e-5)


def test_resize_like_leaves_what_fits():
    x = maps(1, 4, 5, 2)
    np.testing.assert_array_equal(np.asarray(ResizeLike()([x, maps(1, 4, 5, 7)])), x)
    inputs = keras.Input((None, None, 2)), keras.Input((None, None, 5))
    model = keras.Model(inputs, ResizeLike("nearest")(list(inputs)))
    assert model.predict([x, maps(1, 9, 3, 5)], verbose=0).shape == (1, 9, 3, 2)
    with pytest.raises(ValueError, match="`interpolation` must be .* Received: 'cubic'"):
        ResizeLike("cubic")


@pytest.mark.parametrize("layer", [CropLike(2), ResizeLike("nearest")])
def test_configurations_and_half_precision(layer):
    again = type(layer).from_config(layer.get_config())
    x, wanted = maps(1, 8, 9, 2), maps(1, 4, 5, 1)
    np.testing.assert_array_equal(np.asarray(again([x, wanted])), np.asarray(layer([x, wanted])))
    half = type(layer)(dtype="mixed_bfloat16")
    assert half([x, wanted]).dtype == "bfloat16"


def test_bilinear_kernel_values():
    kernel = np.asarray(BilinearKernel()((4, 4, 2, 2)))
    np.testing.assert_allclose(16 * kernel[..., 1, 1], np.outer([1, 3, 3, 1], [1, 3, 3, 1]))
    assert not kernel[..., 0, 1].any()
    odd = np.asarray(BilinearKernel()((3, 3, 1, 1)))[..., 0, 0]
    np.testing.assert_allclose(4 * odd, np.outer([1, 2, 1], [1, 2, 1]))
    with pytest.raises(ValueError, match=r"as many filters as channels.*\(4, 4, 2, 3\)"):
        BilinearKernel()((4, 4, 2, 3))


@pytest.mark.parametrize("stride", [2, 3, 8])
@pytest.mark.parametrize("odd", [False, True])
def test_bilinear_kernel_covers_all_pixels_alike_and_keeps_ramps(stride, odd):
    size = 2 * stride - odd
    layer = keras.layers.Conv2DTranspose(1, size, stride, kernel_initializer=BilinearKernel())
    inside = slice(2 * stride, -2 * stride)
    ones = np.asarray(layer(np.ones((1, 8, 8, 1), "float32")))[0, inside, inside, 0]
    np.testing.assert_allclose(ones, 1.0, atol=1e-6)
    ramp = np.tile(np.arange(8.0)[:, None, None], (1, 1, 8, 1)).astype("float32")
    steps = np.diff(np.asarray(layer(ramp))[0, inside, inside, 0], axis=0)
    np.testing.assert_allclose(steps, 1 / stride, atol=1e-5)
