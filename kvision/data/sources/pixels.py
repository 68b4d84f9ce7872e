"""Arrays of pictures as pixels in 0..255, whatever unit they came in."""

import numpy as np

from kvision.data.sources.units import are_shares

_STRAYS = 0.1  # how many numbers, as a share, may lie outside of what their unit allows


def as_pixels(arrays, path):
    """Pictures of all splits in one unit: what most numbers are in, 0..255 or, if floats, 0..1.

    A few numbers outside are cut off; a picture with a number that is none is left out.

    Args:
        arrays: dict of key to array.
        path: the file, to be named in errors.

    Returns:
        The triple of a dict of key to uint8 array (n, height, width, channels), a dict of key to a
        bool array that says which pictures those are, and lines that the user should read.

    Raises:
        ValueError: if an array has another shape or holds no pixels.
    """
    arrays = {key: _shaped(array, key, path) for key, array in arrays.items()}
    floats = {key: array for key, array in arrays.items() if array.dtype.kind == "f"}
    relative = are_shares(list(floats.values()), _STRAYS)
    notes = [] if relative else _dark(floats, path)
    good = {key: np.ones(len(array), bool) for key, array in arrays.items()}
    for key, array in floats.items():
        good[key] = np.isfinite(array).all(axis=(1, 2, 3))
    pixels = {}
    for key, array in arrays.items():
        kept = array if good[key].all() else array[good[key]]
        scale = 255 if relative and key in floats else 1
        pixels[key], cut = _scaled(kept, scale)
        if cut > _STRAYS * array.size or array.size and not kept.size:
            others = ", and all in one unit" if len(arrays) > 1 else ""
            raise ValueError(
                f"`{key}` in {path} must hold pixels in 0..255 or 0..1{others}. "
                f"Received: {array.min()}..{array.max()}"
            )
        if cut:
            notes.append(
                f"{cut:,} of {array.size:,} numbers in `{key}` lie outside 0..{255 // scale}, for "
                f"which most are taken, and are cut off ({kept.min():.9g}..{kept.max():.9g})"
            )
    return pixels, good, notes


def _shaped(array, key, path):
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape[1:]:
        raise ValueError(
            f"`{key}` in {path} must have the shape (n, height, width) or (n, height, width, "
            f"channels) with 1 or 3 channels. Received: {array.shape}"
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"`{key}` in {path} must hold numbers. Received: dtype {array.dtype}")
    return array


def _dark(floats, path):
    """Lines about arrays that look like shares where most numbers are not.

    They may be dark; more than half of all numbers are hardly.
    """
    dark = [key for key, array in floats.items() if are_shares([array], _STRAYS)]
    if sum(floats[key].size for key in dark) > sum(array.size for array in floats.values()) / 2:
        rest = [key for key in floats if key not in dark]
        raise ValueError(
            f"All arrays in {path} must be in one unit. Received: {', '.join(dark)} in 0..1 and "
            f"{', '.join(rest)} in 0..255. Multiply the former by 255."
        )
    return [
        f"`{key}` holds hardly anything above 1 and is taken for pixels in 0..255, as most numbers "
        "are: for black. If it is in 0..1, multiply it by 255"
        for key in dark
    ]


def _scaled(array, scale):
    """An array times `scale`, as uint8, and how many numbers were outside of 0..255 and cut off."""
    if array.dtype == np.uint8 or not array.size:
        return array.astype("uint8"), 0
    if array.dtype == bool:
        return array.astype("uint8") * np.uint8(255), 0
    top = 255 // scale
    below, above = np.count_nonzero(array < 0), np.count_nonzero(array > top)
    array = np.maximum(array, 0) if below else array
    array = np.minimum(array, top) if above else array
    return np.round(array * np.asarray(scale, array.dtype)).astype("uint8"), below + above
