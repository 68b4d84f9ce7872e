"""Mean field in a fully connected conditional random field over the pixels of a picture.

Krähenbühl and Koltun: Efficient inference in fully connected CRFs with Gaussian edge potentials,
2011. A kernel holds the weights of each pixel's neighbours, itself left out. It is either exact,
`(batch, pixels, pixels)`, or a window, `(batch, height, width, size, size)`.
"""

import numpy as np
from keras import ops

LEAST = 1e-20  # weight of all neighbours together below which a pixel counts as alone


def gaussian_kernels(image, theta_alpha, theta_beta, theta_gamma, window=None, dilation_rate=1):
    """The two kernels of a picture, each pixel's weights made to sum to 1.

    Args:
        image: pixels 0..255, `(batch, height, width, channels)`, in float32.
        theta_alpha: standard deviation of the bilateral kernel in pixels.
        theta_beta: its standard deviation in colour, in grey levels.
        theta_gamma: standard deviation of the spatial kernel in pixels.
        window: `None` for all pixels; an odd number for a window of that size.
        dilation_rate: distance of a window's neighbours in pixels.

    Returns:
        `(bilateral, spatial)`; the batch of `spatial` is 1.
    """
    distances = _exact_distances if window is None else _window_distances
    positions, colours, valid = distances(image, window, dilation_rate)
    near = valid * ops.exp(-positions / (2 * theta_alpha**2))
    bilateral = near * ops.exp(-colours / (2 * theta_beta**2))
    spatial = valid * ops.exp(-positions / (2 * theta_gamma**2))
    axes = -1 if window is None else (-2, -1)

    def normalised(kernel):
        total = ops.sum(kernel, axis=axes, keepdims=True)
        return kernel / ops.maximum(total, LEAST)

    return normalised(bilateral), normalised(spatial)


def filtered(kernel, maps, dilation_rate=1):
    """The weighted mean of each pixel's neighbours.

    Args:
        kernel: as `gaussian_kernels` gives it, or a weighted sum of such.
        maps: `(batch, height, width, channels)`, in float32.
        dilation_rate: that of the window.
    """
    if len(kernel.shape) == 3:
        flat = ops.reshape(maps, (-1, kernel.shape[-1] or ops.shape(kernel)[-1], maps.shape[-1]))
        return ops.reshape(ops.matmul(kernel, flat), ops.shape(maps))
    height = ops.shape(maps)[1]
    neighbours = _rows(maps, kernel.shape[-1], dilation_rate)
    total = 0.0
    for index in range(kernel.shape[-1]):
        first = index * dilation_rate
        row = neighbours[:, first : first + height]
        total = total + ops.matmul(kernel[:, :, :, index : index + 1, :], row)
    return total[:, :, :, 0, :]


def mean_field(scores, message, iterations):
    """Mean-field iterations from the softmax of scores.

    Args:
        scores: unnormalised log-probabilities of each pixel's classes by itself.
        message: a function from the classes' probabilities at all pixels to what a pixel's
            neighbours add to its scores.
        iterations: how many.

    Returns:
        Unnormalised log-probabilities.
    """
    refined = scores
    for _ in range(iterations):
        refined = scores + message(ops.softmax(refined, axis=-1))
    return refined


def check_crf(thetas, iterations, window, dilation_rate):
    """Raises where an option of a fully connected CRF is out of range."""
    if not all(theta > 0 for theta in thetas):
        raise ValueError(
            "`theta_alpha`, `theta_beta` and `theta_gamma` must be greater than 0. Received: "
            f"{', '.join(map(str, thetas))}"
        )
    if not isinstance(iterations, int) or iterations < 1:
        raise ValueError(f"`iterations` must be a whole number from 1. Received: {iterations}")
    if window is not None and (not isinstance(window, int) or window < 3 or window % 2 == 0):
        raise ValueError(f"`window` must be None or an odd number from 3. Received: {window}")
    if not isinstance(dilation_rate, int) or dilation_rate < 1:
        raise ValueError(
            f"`dilation_rate` must be a whole number from 1. Received: {dilation_rate}"
        )


def _exact_distances(image, window, dilation_rate):
    """Squared distances of all pairs of pixels in space and colour; and which pairs count."""
    height, width = ops.shape(image)[1:3]
    pixels = height * width
    places = ops.arange(pixels)
    rows, columns = (ops.cast(part, "float32") for part in (places // width, places % width))
    positions = sum(ops.square(part[:, None] - part) for part in (rows, columns))
    flat = ops.reshape(image, (-1, pixels, image.shape[-1]))
    colours = sum(
        ops.square(flat[:, :, None, c] - flat[:, None, :, c]) for c in range(image.shape[-1])
    )
    others = ops.cast(ops.not_equal(places[:, None], places), "float32")
    return positions[None], colours, others[None]


def _window_distances(image, window, dilation_rate):
    """The same for each pixel and the neighbours of its window; those outside do not count."""
    height = ops.shape(image)[1]
    steps = dilation_rate * (np.arange(window) - window // 2)
    positions = (steps[:, None] ** 2 + steps**2).astype("float32")[None, None, None]
    neighbours = _rows(image, window, dilation_rate)
    inside = _rows(ops.ones_like(image[:1, :, :, :1]), window, dilation_rate)[..., 0]
    colours, valid = [], []
    for index, step in enumerate(steps):
        first = index * dilation_rate
        row = neighbours[:, first : first + height] - image[:, :, :, None, :]
        colours.append(ops.sum(ops.square(row), axis=-1))
        others = (np.abs(steps) + abs(step) > 0).astype("float32")
        valid.append(inside[:, first : first + height] * others)
    return positions, ops.stack(colours, axis=3), ops.stack(valid, axis=3)


def _rows(maps, window, dilation_rate):
    """Each pixel's neighbours along its row, zeros outside: 5 axes, the fourth the neighbours.

    The height is that of the maps and `window // 2 * dilation_rate` more on both sides.
    """
    margin, width = window // 2 * dilation_rate, ops.shape(maps)[2]
    padded = ops.pad(maps, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    firsts = range(0, window * dilation_rate, dilation_rate)
    return ops.stack([padded[:, :, first : first + width] for first in firsts], axis=3)
