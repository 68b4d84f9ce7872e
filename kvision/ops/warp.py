"""Looking pixels up elsewhere: resampling, and the radial distortion of lenses."""

from keras import ops

_FILL_MODES = ("constant", "nearest", "reflect", "wrap")
_NEWTON_STEPS = 8


def resample(images, points, interpolation="bilinear", fill_mode="constant", fill_value=0.0):
    """The pixels of images at given points.

    Args:
        images: tensor of shape `(batch, height, width, channels)`.
        points: tensor of shape `(batch, rows, columns, 2)`: where to look, as (x, y) in pixels,
            with the centre of the first pixel at (0, 0).
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: what lies outside: `"constant"` is `fill_value`, `"nearest"` repeats the border,
            `"reflect"` mirrors the image at its edge, `"wrap"` repeats it.
        fill_value: a number.

    Returns:
        Tensor of shape `(batch, rows, columns, channels)` and the dtype of `images`.

    Raises:
        ValueError: where a mode is none of the above.

    Example:

    >>> image = ops.reshape(ops.arange(6, dtype="float32"), (1, 2, 3, 1))
    >>> float(resample(image, ops.array([[[[0.5, 1.0]]]]))[0, 0, 0, 0])
    3.5
    """
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(
            f"`interpolation` must be 'bilinear' or 'nearest'. Received: {interpolation!r}"
        )
    if fill_mode not in _FILL_MODES:
        raise ValueError(f"`fill_mode` must be one of {_FILL_MODES}. Received: {fill_mode!r}")
    points = ops.cast(points, "float32")
    if interpolation == "nearest":
        column, row = _split(ops.cast(ops.floor(points + 0.5), "int32"))
        return _pick(images, row, column, fill_mode, fill_value)
    corner = ops.floor(points)
    column, row = _split(ops.cast(corner, "int32"))
    right, down = _split(points - corner)
    right, down = right[..., None], down[..., None]
    pixels = ops.cast(images, "float32")
    top = _pick(pixels, row, column, fill_mode, fill_value) * (1.0 - right)
    top += _pick(pixels, row, column + 1, fill_mode, fill_value) * right
    bottom = _pick(pixels, row + 1, column, fill_mode, fill_value) * (1.0 - right)
    bottom += _pick(pixels, row + 1, column + 1, fill_mode, fill_value) * right
    return ops.cast(top * (1.0 - down) + bottom * down, images.dtype)


def distort_radius(radius, k1, k2=0.0):
    """Brown's radial distortion r (1 + k1 r^2 + k2 r^4).

    Args:
        radius: tensor of distances from the centre, in any unit in which `k1` and `k2` are given.
        k1: first coefficient, a number or a tensor that broadcasts with `radius`.
        k2: second coefficient, likewise.

    Returns:
        Tensor of the distorted distances.

    Reference:
        Brown, Decentering distortion of lenses, 1966.

    Example:

    >>> round(float(distort_radius(ops.array(0.5), 0.4)), 3)
    0.55
    """
    square = ops.square(radius)
    return radius * (1.0 + square * (k1 + k2 * square))


def undistort_radius(distorted, k1, k2=0.0):
    """The radius in 0..1 that `distort_radius` takes to `distorted`.

    Args:
        distorted: tensor of distances.
        k1: first coefficient; the distortion must grow with the radius all the way from 0 to 1.
        k2: second coefficient.

    Returns:
        Tensor of radii; slightly above 1 where `distorted` lies beyond what 1 is taken to.

    Example:

    >>> round(float(undistort_radius(ops.array(0.55), 0.4)), 3)
    0.5
    """
    # Only "beyond 1" matters there, and Newton's steps could run away.
    edge = distort_radius(ops.ones_like(distorted), k1, k2)
    target = ops.minimum(distorted, edge)
    radius = ops.minimum(target, 1.0)
    for _ in range(_NEWTON_STEPS):
        square = ops.square(radius)
        slope = 1.0 + square * (3.0 * k1 + 5.0 * k2 * square)
        radius = radius - (distort_radius(radius, k1, k2) - target) / slope
        radius = ops.clip(radius, 0.0, 1.0)
    return ops.where(distorted > edge, 1.01, radius)


def _split(points):
    return points[..., 0], points[..., 1]


def _pick(images, row, column, fill_mode, fill_value):
    """`images[b, row, column]` with what lies outside filled in."""
    batch, height, width = ops.shape(images)[:3]
    inside = None
    if fill_mode == "constant":
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = _fold(row, height, fill_mode), _fold(column, width, fill_mode)
    # One gather of whole pixels from all images laid end to end.
    first = ops.reshape(ops.arange(batch, dtype="int32") * height, (-1, 1, 1))
    pixels = ops.reshape(images, (-1, ops.shape(images)[-1]))
    found = ops.take(pixels, (first + row) * width + column, axis=0)
    if inside is None:
        return found
    return ops.where(inside[..., None], found, ops.cast(fill_value, found.dtype))


def _fold(index, size, fill_mode):
    if fill_mode == "reflect":
        index = ops.mod(index, 2 * size)
        index = ops.minimum(index, 2 * size - 1 - index)
    elif fill_mode == "wrap":
        index = ops.mod(index, size)
    return ops.clip(index, 0, size - 1)
