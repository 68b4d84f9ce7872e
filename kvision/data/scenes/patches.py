"""Planes as a camera sees them: from a pixel to the depth and the place on the plane, exactly.

Over the pixels of a plane the inverse of the depth is a linear function of the pixel. What a patch
holds is in the camera's axes.
"""

import dataclasses
import math

import numpy as np

from kvision.data.scenes.camera import rotation

NEAR = 0.05  # metres; nothing is seen that is nearer
FAR = 100.0  # metres; the depth where a ray meets nothing

_CORNERS = np.array([(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)])


@dataclasses.dataclass(frozen=True)
class Window:
    """A rectangle of pixels, its bottom row and right column not included."""

    top: int
    left: int
    bottom: int
    right: int

    def __bool__(self):
        return self.bottom > self.top and self.right > self.left

    @property
    def shape(self):
        return self.bottom - self.top, self.right - self.left

    def cut(self, other):
        """What of this lies in another window."""
        return Window(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def within(self, other):
        """Slices that find this window in an array over another one."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )


class View:
    """A camera and a light, ready for drawing.

    Attributes:
        focal_length, principal_point, position: as in `Camera`.
        axes: float64 (3, 3), `world_from_camera` without the position.
        towards: float64 (3,), direction to the light in the camera's axes.
    """

    def __init__(self, camera, light):
        self.focal_length, self.principal_point = camera.focal_length, camera.principal_point
        self.position = np.asarray(camera.position, "float64")
        self.axes = rotation(camera.yaw, camera.pitch, camera.roll)
        towards = np.asarray(light.direction, "float64")
        self.towards = towards / np.linalg.norm(towards) @ self.axes

    def rays(self, window):
        """The rays (x, y, 1) through the middles of a window's pixels: a float32 row and column."""
        x = np.arange(window.left, window.right) + (0.5 - self.principal_point[0])
        y = np.arange(window.top, window.bottom) + (0.5 - self.principal_point[1])
        x, y = x / self.focal_length, y / self.focal_length
        return x.astype("float32")[None, :], y.astype("float32")[:, None]

    def window(self, points, limit):
        """The pixels around points (n, 3) in the camera's axes; all of `limit` if one is behind."""
        if not len(points) or points[:, 2].max() < NEAR:
            return Window(0, 0, 0, 0)
        if points[:, 2].min() < NEAR:
            return limit
        pixels = self.focal_length * points[:, :2] / points[:, 2:] + self.principal_point
        (left, top), (right, bottom) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
        top, left = max(top, limit.top), max(left, limit.left)
        bottom, right = min(bottom, limit.bottom), min(right, limit.right)
        if top >= bottom or left >= right:
            return Window(0, 0, 0, 0)
        return Window(*(math.floor(v) for v in (top, left)), math.ceil(bottom), math.ceil(right))


class Patch:
    """A plane with axes and a unit of length, in the axes of a camera.

    Args:
        view: the `View`.
        point: a point of the plane in the world.
        axes: (3, 3), whose columns are its right, its down and its normal in the world.
        scale: metres in a unit.

    Attributes:
        origin, right, down, normal: float64 (3,). The normal points to the camera's side.
        distance: of the plane from the camera, in metres, at least a little more than 0.
    """

    def __init__(self, view, point, axes, scale=1.0):
        self.view, self.scale = view, scale
        self.origin = (np.asarray(point, "float64") - view.position) @ view.axes
        self.right, self.down, normal = np.asarray(axes).T @ view.axes
        distance = float(normal @ self.origin)
        self.normal = -normal if distance > 0 else normal
        self.distance = max(abs(distance), 1e-6)

    @classmethod
    def of_body(cls, view, body):
        """The board of a body; its unit is the body's radius."""
        return cls(view, body.position, rotation(body.yaw, body.pitch, body.roll), body.radius)

    @classmethod
    def of_surface(cls, view, surface):
        """The plane of a surface; its unit is a metre."""
        normal = np.asarray(surface.normal, "float64") / np.linalg.norm(surface.normal)
        right = surface.right - (normal @ surface.right) * normal
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(right, normal), normal], axis=1)
        return cls(view, surface.point, axes)

    def corners(self, reach=1.0):
        """The corners of the square of `reach` units around the origin: float64 (4, 3)."""
        return self.origin + self.scale * reach * (_CORNERS @ np.stack([self.right, self.down]))

    def inverse_depth(self, x, y):
        """1 / z over rays; not positive where the plane is behind the camera."""
        a, b, c = (-self.normal / self.distance).astype("float32")
        return x * a + (y * b + c)

    def places(self, x, y, depth):
        """Where rays (x, y, 1) that end at a depth on the plane meet it: `u, v` in units."""
        u = depth * _along(self.right / self.scale, x, y)
        v = depth * _along(self.down / self.scale, x, y)
        u -= np.float32(self.right @ self.origin / self.scale)
        v -= np.float32(self.down @ self.origin / self.scale)
        return u, v

    def landing(self, points, direction):
        """Where points (n, 3) land on the plane when they move against a direction.

        Returns:
            float64 (n, 3), empty if they never land.
        """
        fall = float(self.normal @ direction)
        if fall < 1e-3:
            return np.zeros((0, 3))
        return points - ((points - self.origin) @ self.normal)[:, None] / fall * direction

    def derivatives(self, u, v, depth):
        """How much `u` and `v` change from one pixel to the next: (du/dx, du/dy, dv/dx, dv/dy)."""
        step = depth * np.float32(1 / (self.view.focal_length * self.scale))
        tilt_x, tilt_y = (self.normal[:2] / self.distance * self.scale).astype("float32")
        result = []
        for place, axis in ((u, self.right), (v, self.down)):
            place = place + np.float32(axis @ self.origin / self.scale)
            result.append(step * (np.float32(axis[0]) + place * tilt_x))
            result.append(step * (np.float32(axis[1]) + place * tilt_y))
        return result


def _along(axis, x, y):
    a, b, c = axis.astype("float32")
    return x * a + (y * b + c)
