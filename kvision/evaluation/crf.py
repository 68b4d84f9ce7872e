"""A fully connected CRF behind any segmenter."""

import numpy as np

from kvision.ops.mean_field import check_crf, filtered, gaussian_kernels, mean_field

EXACT = 64 * 64  # pixels up to which `window="auto"` connects all of them
WINDOW = 11
LEAST = 1e-7  # probability whose logarithm is still taken


def crf_refine(
    probabilities,
    images,
    *,
    theta_alpha=67.0,
    theta_beta=3.0,
    theta_gamma=1.0,
    bilateral_weight=4.0,
    spatial_weight=3.0,
    iterations=10,
    window="auto",
    dilation_rate=1,
):
    """Sharpens what a segmenter says by a fully connected CRF: labels follow the picture's edges.

    The post-processing of DeepLab. Its constants are for photographs; `theta_beta` above all should
    be about the noise of the pictures. Nothing is trained; `kv.layers.FullyConnectedCRF` is the
    same as a layer.

    Args:
        probabilities: array `(batch, height, width, classes)` as a segmenter predicts it; that of
            one picture without the batch; or a list of such, where sizes differ.
        images: the pictures, pixels 0..255, in the same form.
        theta_alpha: standard deviation in pixels of the kernel that looks at colours.
        theta_beta: its standard deviation in grey levels.
        theta_gamma: standard deviation in pixels of the kernel that only smooths.
        bilateral_weight: of the first kernel.
        spatial_weight: of the second.
        iterations: of mean field.
        window: `None` connects all pixels, with memory for the square of their number; an odd
            number connects each with a window of that size; `"auto"` all up to 64x64 pixels, and
            else a window of 11.
        dilation_rate: distance of a window's neighbours in pixels.

    Returns:
        Refined probabilities, float32, in the form of `probabilities`.

    Raises:
        ValueError: where an option is out of range, or probabilities and images do not fit.

    Reference:
        Krähenbühl, Koltun, 2011; Chen et al.: DeepLab, 2018, section 3.3.

    Example:

    >>> import kvision as kv
    >>> image = np.zeros((24, 32, 3)) + 255 * (np.arange(32) > 15)[:, None]
    >>> scores = 0.5 + 0.4 * np.sign(np.arange(32) - 14.5)[:, None] * [-1, 1] + np.zeros((24, 1, 1))
    >>> scores.argmax(axis=-1)[0].sum(), crf_refine(scores, image).argmax(axis=-1)[0].sum()
    (np.int64(17), np.int64(16))
    """
    thetas = (theta_alpha, theta_beta, theta_gamma)
    check_crf(thetas, iterations, None if window == "auto" else window, dilation_rate)
    options = (thetas, bilateral_weight, spatial_weight, iterations, window, dilation_rate)
    if isinstance(probabilities, (list, tuple)):
        if not isinstance(images, (list, tuple)) or len(probabilities) != len(images):
            raise ValueError(
                f"`images` must be a list of {len(probabilities)}, as `probabilities` is. "
                f"Received: {type(images).__name__} of {len(images)}"
            )
        return [
            _refined(part, image, *options)
            for part, image in zip(probabilities, images, strict=True)
        ]
    scores, images = np.asarray(probabilities, "float32"), np.asarray(images, "float32")
    if scores.ndim == 3:
        return _refined(scores, images, *options)
    if scores.ndim != 4 or images.shape[:1] != scores.shape[:1]:
        raise ValueError(
            "`probabilities` must be (batch, height, width, classes), and `images` as many. "
            f"Received shapes: {scores.shape} and {images.shape}"
        )
    return np.stack([_refined(*pair, *options) for pair in zip(scores, images, strict=True)])


def _refined(scores, image, thetas, bilateral_weight, spatial_weight, iterations, window, rate):
    """Those of one picture."""
    from keras import ops

    scores, image = np.asarray(scores, "float32"), np.asarray(image, "float32")
    if scores.ndim != 3 or image.ndim != 3 or scores.shape[:2] != image.shape[:2]:
        raise ValueError(
            "Probabilities (height, width, classes) and their picture (height, width, channels) "
            f"must have one size. Received shapes: {scores.shape} and {image.shape}. Resize one of "
            "them."
        )
    if scores.min(initial=0.0) < 0 or scores.max(initial=0.0) > 1.001:
        raise ValueError(
            "`probabilities` must lie in 0..1, a softmax over the last axis. Received values from "
            f"{scores.min():.3g} to {scores.max():.3g}. Apply `keras.ops.softmax` to logits; pass "
            "no masks."
        )
    if window == "auto":
        window = None if scores.shape[0] * scores.shape[1] <= EXACT else WINDOW
    bilateral, spatial = gaussian_kernels(image[None], *thetas, window, rate)
    kernel = bilateral_weight * bilateral + spatial_weight * spatial
    logits = np.log(np.maximum(scores, LEAST))[None]
    refined = mean_field(logits, lambda classes: filtered(kernel, classes, rate), iterations)
    return ops.convert_to_numpy(ops.softmax(refined, axis=-1))[0]
