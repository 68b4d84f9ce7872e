"""Patterns that lie on surfaces and bodies, smooth where they are finer than a pixel."""

import functools

import numpy as np

KINDS = ("plain", "gradient", "stripes", "checks", "dots", "noise", "marble")

_TABLE = 256
_GRAIN = 40  # cells of the noise table in one period


def paint(texture, x, y, footprint):
    """The colours of a texture.

    Args:
        texture: a `Texture`.
        x, y: float32 (height, width): places on the surface, in metres.
        footprint: the width of a pixel there, in metres: a number, or an array like `x`.

    Returns:
        float32 (3, height, width), in 0..1.

    Raises:
        ValueError: if there is no such kind of texture.
    """
    if texture.kind not in KINDS:
        raise ValueError(f"`kind` of a texture must be one of {KINDS}. Received: {texture.kind!r}")
    first, second = (np.asarray(colour, "float32") for colour in texture.colours)
    middle, half = ((first + second) / 2)[:, None, None], ((second - first) / 2)[:, None, None]
    if texture.kind == "plain" or texture.contrast == 0:
        return np.broadcast_to(middle, (3, *x.shape))
    cosine = np.float32(np.cos(texture.angle) / texture.period)
    sine = np.float32(np.sin(texture.angle) / texture.period)
    along = x * cosine + y * sine + np.float32(texture.offset[0])
    across = y * cosine - x * sine + np.float32(texture.offset[1])
    value = _PATTERNS[texture.kind](along, across, footprint * np.float32(1 / texture.period))
    return value * (half * np.float32(texture.contrast)) + middle


def _wave(t, width):
    """A square wave of period 1 in -1..1, its edges one pixel wide; grey where that is too fine."""
    triangle = np.abs(t - np.floor(t) - np.float32(0.5)) * 4 - 1
    return np.clip(triangle * (np.float32(0.5) / width), -1, 1) * _visible(width)


def _visible(width):
    """1 where a period has four pixels, 0 where it has two."""
    return np.clip(2 - 4 * width, 0, 1)


def _gradient(along, across, width):
    ramp = along * np.float32(0.2)
    return np.abs(ramp - np.floor(ramp) - np.float32(0.5)) * 4 - 1


def _stripes(along, across, width):
    return _wave(along, width)


def _checks(along, across, width):
    return _wave(along, width) * _wave(across, width)


def _dots(along, across, width):
    x = along - np.floor(along) - np.float32(0.5)
    y = across - np.floor(across) - np.float32(0.5)
    distance = np.float32(0.32) - np.hypot(x, y)
    return np.clip(distance * 2 / width, -1, 1) * _visible(width)


def _noise(along, across, width):
    return _cloud(along, across) * _visible(width)


def _marble(along, across, width):
    return _wave(along + np.float32(0.5) * _cloud(along * 0.4, across * 0.4), width)


_PATTERNS = {
    "gradient": _gradient,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "noise": _noise,
    "marble": _marble,
}


@functools.cache
def _noise_table():
    """Noise in -1..1 that is rough at every scale and continues at its edges."""
    random = np.random.Generator(np.random.PCG64(20))
    frequency = np.fft.fftfreq(_TABLE) * _TABLE
    radius = np.hypot(frequency[:, None], frequency[None, : _TABLE // 2 + 1])
    strength = np.where((radius >= 3) & (radius < _TABLE / 4), np.maximum(radius, 1) ** -1.5, 0)
    waves = np.fft.rfft2(random.standard_normal((_TABLE, _TABLE))) * strength
    noise = np.fft.irfft2(waves, (_TABLE, _TABLE))
    return np.clip(noise / (2 * noise.std()), -1, 1).astype("float32").ravel()


def _cloud(along, across):
    """The noise table at places in periods, between its cells by their neighbours."""
    table, mask = _noise_table(), np.int32(_TABLE - 1)
    x, y = along * np.float32(_GRAIN), across * np.float32(_GRAIN)
    left, top = np.floor(x), np.floor(y)
    x -= left
    y -= top
    left, top = left.astype("int32"), top.astype("int32")
    right, bottom = (left + 1) & mask, ((top + 1) & mask) * np.int32(_TABLE)
    left, top = left & mask, (top & mask) * np.int32(_TABLE)
    upper = table[top + left]
    upper += (table[top + right] - upper) * x
    lower = table[bottom + left]
    lower += (table[bottom + right] - lower) * x
    return upper + (lower - upper) * y
