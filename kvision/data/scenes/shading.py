"""Light on surfaces and bodies, shadows, and what the sensor of a camera adds."""

import numpy as np

from kvision.data.scenes.shapes import outline

_BRIGHT = 1.45  # the light of a far light that falls straight, so that slanted light is about 1
_EDGE = 0.22  # width of a rounded edge
_HALF = np.float32(0.5)
_PENUMBRA = np.float32(0.12)  # half the width of a shadow's soft edge


def flat_light(light, patch):
    """The light that an even plane gets where nothing is in the way: ambient, and far."""
    far = (1 - light.ambient) * _BRIGHT * max(0.0, float(patch.normal @ patch.view.towards))
    return light.ambient, far


def shadow(body, caster, receiver, depth, frame):
    """How far a body covers the light of pixels of a surface.

    Args:
        body, caster: the `Body` and its `Patch`.
        receiver: the `Patch` of the surface.
        depth: float32 (height, width), the depth of the surface.
        frame: the `Window` of `depth`.

    Returns:
        A `Window` and float32 in 0..1 over it; (None, None) where no shadow falls.
    """
    view = caster.view
    towards = view.towards
    slant = float(caster.normal @ towards)
    if abs(slant) < 0.05:
        return None, None
    window = view.window(receiver.landing(caster.corners(1.1), towards), frame)
    if not window:
        return None, None
    x, y = view.rays(window)
    depth = depth[window.within(frame)]

    def along(axis):
        """The product of an axis with the way from the body's origin to the pixel's point."""
        a, b, c = axis.astype("float32")
        return depth * (x * a + (y * b + c)) - np.float32(axis @ caster.origin)

    # From a pixel's point along the light to the plane of the body: how far, and where on it.
    ahead = along(-caster.normal / slant) > 0
    u, v = (
        along((axis - (axis @ towards) / slant * caster.normal) / caster.scale)
        for axis in (caster.right, caster.down)
    )
    edge, _ = outline(body.shape, u, v, body.proportions)
    return window, np.clip(_HALF - edge / (2 * _PENUMBRA), 0, 1) * ahead


def body_light(light, body, patch, edge, slopes, derivatives):
    """The light on a body with rounded edges, and its shine.

    Args:
        edge: the body's outline function over its pixels.
        slopes: its differences from pixel to pixel: (d/dx, d/dy).
        derivatives: of the place on the body: (du/dx, du/dy, dv/dx, dv/dy).

    Returns:
        Two float32 arrays, or numbers: by what its colour is multiplied, and what is added.
    """
    facing, towards = patch.normal, patch.view.towards
    if body.relief == 0 or light.ambient == 1:
        ambient, far = flat_light(light, patch)
        return np.float32(ambient + far), np.float32(0)
    ux, uy, vx, vy = derivatives
    bend = np.clip(1 + edge * np.float32(1 / _EDGE), 0, 1) * np.float32(body.relief)
    bend /= ux * vy - uy * vx
    tilt_u = (slopes[0] * vy - slopes[1] * vx) * bend
    tilt_v = (slopes[1] * ux - slopes[0] * uy) * bend
    length = np.sqrt(tilt_u * tilt_u + tilt_v * tilt_v + 1)

    def cosine(direction):
        axes = np.stack([patch.right, patch.down, facing]) @ direction
        a, b, c = axes.astype("float32")
        return np.maximum(tilt_u * a + (tilt_v * b + c), 0)

    far = cosine(towards) / length * np.float32((1 - light.ambient) * _BRIGHT)
    shine = np.float32(0)
    if body.gloss > 0:
        half = towards + facing
        sharp = cosine(half / np.linalg.norm(half)) / length
        for _ in range(3):
            sharp = sharp * sharp
        shine = sharp * sharp * np.float32(body.gloss * (1 - light.ambient))
    return far + np.float32(light.ambient), shine


def expose(light, sensor, seed):
    """The picture that a sensor makes of light.

    Args:
        light: float32 (3, height, width); is used up.
        sensor: a `Sensor`.
        seed: numbers from which the noise follows.

    Returns:
        uint8 (height, width, 3).
    """
    if sensor.blur > 0:
        # Neighbours exchange a share of their light; nothing leaves the picture.
        share = np.float32(sensor.blur / 4)
        moved = (light[:, 1:] - light[:, :-1]) * share
        light[:, :-1] += moved
        light[:, 1:] -= moved
        moved = (light[..., 1:] - light[..., :-1]) * share
        light[..., :-1] += moved
        light[..., 1:] -= moved
    light *= np.asarray(sensor.gain, "float32")[:, None, None] * np.float32(255)
    if sensor.noise > 0:
        random = np.random.Generator(np.random.PCG64(seed))
        noise = random.standard_normal(light.shape, "float32")
        noise *= np.float32(255 * sensor.noise)
        light += noise
    np.rint(light, out=light)
    np.clip(light, 0, 255, out=light)
    return np.ascontiguousarray(light.astype("uint8").transpose(1, 2, 0))
