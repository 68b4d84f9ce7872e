"""The outlines of bodies and their parts, as functions of the plane that are negative inside.

`u` is right and `v` down, on a board on which the body fills about the circle of radius 1. Near an
outline the value is about the distance to it, so that edges can be smooth in a picture; inside or
outside is decided exactly, by its sign.
"""

import numpy as np

_HALF = np.float32(0.5)


def _disc(u, v, a, b):
    distance = np.hypot(u, v)
    return distance - np.float32(0.92), distance - np.float32(0.28 + 0.2 * a)


def _ring(u, v, a, b):
    width = np.float32(0.17 + 0.07 * a)
    middle = np.float32(0.97 - 1.5 * width)
    band = np.abs(np.hypot(u, v) - middle) - width
    stud = np.hypot(u, v + middle) - np.float32(1.5) * width
    return np.minimum(band, stud), stud


def _square(u, v, a, b):
    body = np.maximum(np.abs(u) - np.float32(0.7), np.abs(v) - np.float32(0.52 + 0.18 * a))
    return body, -body - np.float32(0.14 + 0.1 * b)


def _triangle(u, v, a, b):
    # From the tip (0, -1) to the base at 0.6, whose half width is 0.6..0.8.
    half = 0.6 + 0.2 * a
    length = np.hypot(1.6, half)
    sides = (np.abs(u) * np.float32(1.6) - (v + 1) * np.float32(half)) / np.float32(length)
    return np.maximum(sides, v - np.float32(0.6)), v + np.float32(0.2 - 0.2 * b)


def _star(u, v, a, b):
    points = 5 if b < 0.5 else 6
    inner = 0.4 + 0.1 * a
    step = 2 * np.pi / points
    turn = np.arctan2(u, -v) * np.float32(1 / step)
    turn = np.abs(turn - np.round(turn)) * np.float32(step)
    distance = np.hypot(u, v)
    # The edge from a tip at (1, 0) to the notch at half a step.
    notch = np.array([inner * np.cos(step / 2), inner * np.sin(step / 2)])
    normal = np.array([notch[1], 1 - notch[0]]) / np.hypot(notch[1], 1 - notch[0])
    x, y = distance * np.cos(turn), distance * np.sin(turn)
    outline = (x - 1) * np.float32(normal[0]) + y * np.float32(normal[1])
    return outline, distance - np.float32(0.95 * inner)


def _cross(u, v, a, b):
    width, length = np.float32(0.2 + 0.1 * a), np.float32(0.95)
    u, v = np.abs(u), np.abs(v)
    bars = np.minimum(np.maximum(u - width, v - length), np.maximum(v - width, u - length))
    return bars, np.maximum(u, v) - width * np.float32(1.1)


def _crescent(u, v, a, b):
    bite = np.hypot(u - np.float32(0.38 + 0.12 * a), v) - np.float32(0.74)
    return np.maximum(np.hypot(u, v) - np.float32(0.97), -bite), np.float32(0.15 + 0.15 * b) - u


def _heart(u, v, a, b):
    # A square on its corner with half a disc on each of the two upper sides.
    u = np.abs(u)
    corner = np.maximum(np.abs(u + v), np.abs(u - v)) * np.float32(0.70710678) - _HALF
    lobe = np.hypot(u - np.float32(0.35355339), v + np.float32(0.35355339)) - _HALF
    return np.minimum(corner, lobe), v - np.float32(0.2 * a)


def _blob(u, v, a, b):
    turn, distance = np.arctan2(u, v), np.hypot(u, v)
    wave = np.float32(0.16) * np.sin(3 * turn + np.float32(6 * a))
    wave += np.float32(0.12) * np.sin((2 if b < 0.5 else 5) * turn + np.float32(12 * b))
    return distance - (np.float32(0.68) + wave), distance + 9


def _bar(u, v, a, b):
    width = np.float32(0.07 + 0.09 * a)
    beyond = np.maximum(np.abs(u) - np.float32(0.97) + width, 0)
    return np.hypot(beyond, v) - width, beyond + 9


def _shard(u, v, a, b):
    disc = np.hypot(u, v) - np.float32(0.95)
    return np.maximum(disc, v * np.float32(0.97) + u * np.float32(0.24 * a) + 0.15), disc + 9


_SHAPES = {
    "disc": (_disc, ("face", "hub")),
    "ring": (_ring, ("band", "stud")),
    "square": (_square, ("panel", "frame")),
    "triangle": (_triangle, ("base", "tip")),
    "star": (_star, ("arms", "core")),
    "cross": (_cross, ("arms", "hub")),
    "crescent": (_crescent, ("back", "horns")),
    "heart": (_heart, ("point", "lobes")),
}
_CLUTTER = {"blob": _blob, "bar": _bar, "shard": _shard}

#: Names of the values of `segmentation_mask`.
CLASSES = ("background", *_SHAPES)
#: Names of the values of `part_mask`. Class k has the parts 2 k - 1 and 2 k.
PARTS = ("none", *(f"{name} {part}" for name, (_, parts) in _SHAPES.items() for part in parts))
#: Bodies that are no class: they belong to the background, and cover what is behind them.
CLUTTER = tuple(_CLUTTER)


def outline(shape, u, v, proportions):
    """Where a body and its second part are.

    Args:
        shape: one of `CLASSES[1:]` or `CLUTTER`.
        u, v: float32 arrays of one shape: places on the board, to the right and down.
        proportions: two numbers in 0..1.

    Returns:
        Two float32 arrays like `u`: negative inside the body, and, within it, negative in its
        second part. Clutter has one part only.

    Raises:
        ValueError: if there is no such shape.
    """
    if shape in _SHAPES:
        return _SHAPES[shape][0](u, v, *proportions)
    if shape in _CLUTTER:
        return _CLUTTER[shape](u, v, *proportions)
    raise ValueError(f"`shape` must be one of {CLASSES[1:] + CLUTTER}. Received: {shape!r}")


def class_of(shape):
    """The class index of a shape: 0, the background, for clutter."""
    return CLASSES.index(shape) if shape in _SHAPES else 0
