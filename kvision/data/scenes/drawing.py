"""Puts surfaces and bodies into a frame: light, depth and owner of every pixel."""

import dataclasses

import numpy as np

from kvision.data.scenes.patches import FAR, Patch, Window
from kvision.data.scenes.shading import body_light, flat_light, shadow
from kvision.data.scenes.shapes import class_of, outline
from kvision.data.scenes.textures import paint

_SKY = np.float32(0.7)
_HALF = np.float32(0.5)


class Frame:
    """The pixels of a picture in the making.

    Attributes:
        window: all pixels.
        light: float32 (3, height, width).
        depth: float32 (height, width), z in metres.
        owner: int32 (height, width), the number of the body from 1 on, or 0.
        part: uint8 (height, width), index into `PARTS`.
    """

    def __init__(self, size):
        self.window = Window(0, 0, *size)
        self.light = np.full((3, *size), _SKY)
        self.depth = np.full(size, np.float32(FAR))
        self.owner = np.zeros(size, "int32")
        self.part = np.zeros(size, "uint8")


@dataclasses.dataclass(frozen=True)
class Silhouette:
    """All of a body, whatever covers it: its bounding box and the number of its pixels.

    It counts what lies outside the picture, up to one more picture on every side.
    """

    box: Window
    pixels: int


def draw_surfaces(frame, scene, view, boards):
    """Draws the nearest surface at every pixel, with the shadows of all bodies.

    Args:
        frame, scene, view: the `Frame`, the `Scene` and the `View`.
        boards: the `Patch` of each body.
    """
    patches = [Patch.of_surface(view, surface) for surface in scene.surfaces]
    if not patches:
        return
    x, y = view.rays(frame.window)
    inverse = np.stack([patch.inverse_depth(x, y) for patch in patches])
    nearest = inverse.argmax(axis=0)
    inverse = inverse.max(axis=0)
    seen = inverse > np.float32(1 / FAR)
    np.divide(1, inverse, out=frame.depth, where=seen)
    for number, (surface, patch) in enumerate(zip(scene.surfaces, patches, strict=True)):
        own = seen & (nearest == number)
        window = extent(own, frame.window)
        if not window:
            continue
        inside = window.within(frame.window)
        x, y = view.rays(window)
        depth = frame.depth[inside]
        u, v = patch.places(x, y, depth)
        # A pixel is long where the surface is seen at a slant: the mean of length and width.
        slant = np.sqrt(depth * np.sqrt(x * x + (y * y + 1)) * np.float32(1 / patch.distance))
        footprint = depth * slant * np.float32(1 / view.focal_length)
        light = _lit(scene, boards, patch, depth, window)
        colour = paint(surface.texture, u, v, footprint) * light
        np.copyto(frame.light[:, *inside], colour, where=own[inside])


def _lit(scene, boards, patch, depth, window):
    """The light on a surface, shadows taken off: a number, or (height, width)."""
    ambient, far = flat_light(scene.light, patch)
    if scene.light.shadow == 0 or far == 0:
        return np.float32(ambient + far)
    open_sky = np.ones(window.shape, "float32")
    for body, board in zip(scene.bodies, boards, strict=True):
        place, covered = shadow(body, board, patch, depth, window)
        if place is not None:
            open_sky[place.within(window)] *= 1 - covered * np.float32(scene.light.shadow)
    return open_sky * np.float32(far) + np.float32(ambient)


def draw_body(frame, number, body, patch, light):
    """Draws a body where it is nearer than what is there.

    Args:
        frame: the `Frame`.
        number: its place in the scene, from 1 on.
        body, patch: the `Body` and its `Patch`.
        light: the `Light`.

    Returns:
        Its `Silhouette`, or None if there is not a pixel of it.
    """
    height, width = frame.window.shape
    limit = Window(-height, -width, 2 * height, 2 * width)
    window = patch.view.window(patch.corners(), limit)
    if not window:
        return None
    # One pixel more on every side, for differences between neighbours.
    grown = Window(window.top - 1, window.left - 1, window.bottom + 1, window.right + 1)
    x, y = patch.view.rays(grown)
    inverse = patch.inverse_depth(x, y)
    depth = 1 / np.maximum(inverse, np.float32(1 / FAR))
    u, v = patch.places(x, y, depth)
    edge, second = outline(body.shape, u, v, body.proportions)
    if inverse.min() < 1 / FAR:
        edge = np.where(inverse < np.float32(1 / FAR), np.float32(1), edge)
    whole = edge[1:-1, 1:-1] < 0
    box = extent(whole, window)
    if not box:
        return None
    seen = window.cut(frame.window)
    if seen:
        rows, columns = seen.within(grown)
        around = slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1)
        place = u[rows, columns], v[rows, columns], depth[rows, columns]
        _draw(frame, seen, number, body, patch, light, place, edge[around], second[around])
    return Silhouette(box, int(np.count_nonzero(whole)))


def _draw(frame, window, number, body, patch, light, place, edge, second):
    u, v, depth = place
    slopes = _slopes(edge)
    inside = edge[1:-1, 1:-1]
    target = window.within(frame.window)
    before = depth < frame.depth[target]
    cover = _cover(inside, slopes) * before
    derivatives = patch.derivatives(u, v, depth)
    factor, shine = body_light(light, body, patch, inside, slopes, derivatives)
    tone = _cover(second[1:-1, 1:-1], _slopes(second)) * np.float32(body.part_tone - 1) + 1
    footprint = np.float32(patch.origin[2] / patch.view.focal_length)
    metres = np.float32(body.radius)
    colour = paint(body.texture, u * metres, v * metres, footprint)
    colour = colour * (factor * tone) + shine
    beneath = frame.light[:, *target]
    beneath += (colour - beneath) * cover
    own = before & (inside < 0)
    np.copyto(frame.depth[target], depth, where=own)
    np.copyto(frame.owner[target], np.int32(number), where=own)
    kind = class_of(body.shape)
    parts = (2 * kind - 1 + (second[1:-1, 1:-1] < 0)).astype("uint8") if kind else np.uint8(0)
    np.copyto(frame.part[target], parts, where=own)


def _slopes(values):
    """Differences from pixel to pixel to the right and down, without the outermost pixels."""
    return (
        (values[1:-1, 2:] - values[1:-1, :-2]) * _HALF,
        (values[2:, 1:-1] - values[:-2, 1:-1]) * _HALF,
    )


def _cover(values, slopes):
    """The share of each pixel in which `values` are negative, to first order."""
    steep = np.sqrt(slopes[0] * slopes[0] + slopes[1] * slopes[1]) + np.float32(1e-6)
    return np.clip(_HALF - values / steep, 0, 1)


def extent(mask, window):
    """The smallest window around what is true in a mask over a window."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Window(0, 0, 0, 0)
    return Window(
        window.top + int(rows[0]),
        window.left + int(columns[0]),
        window.top + int(rows[-1]) + 1,
        window.left + int(columns[-1]) + 1,
    )
