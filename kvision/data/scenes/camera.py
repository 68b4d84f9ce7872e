"""A pinhole camera: x right, y down, z forward; metres outside, pixels inside."""

import dataclasses
import math

import numpy as np


def rotation(yaw, pitch, roll):
    """The matrix that turns about z by `roll`, then about x by `pitch`, then about y by `yaw`.

    Positive yaw turns to the right, positive pitch up, positive roll clockwise.

    Returns:
        float64 (3, 3), `world_from_turned`.
    """
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(a), math.sin(a)) for a in (yaw, pitch, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


@dataclasses.dataclass(frozen=True)
class Camera:
    """Where a camera is and how it sees. The middle of the pixel in row i and column j is at
    (j + 0.5, i + 0.5).

    Attributes:
        focal_length: in pixels.
        principal_point: x and y of the point straight ahead, in pixels.
        position: in the world, in metres.
        yaw, pitch, roll: how it is turned, in radians: to the right, up, clockwise.

    Example:

    >>> left = kv.data.scenes.Camera.for_size((96, 128))
    >>> right = left.moved(right=0.2)
    >>> disparity = left.project([0.0, 0.0, 4.0]) - right.project([0.0, 0.0, 4.0])
    >>> disparity.round(2).tolist(), left.focal_length * 0.2 / 4.0
    ([5.76, 0.0], 5.76)
    """

    focal_length: float
    principal_point: tuple
    position: tuple = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @classmethod
    def for_size(cls, size, field_of_view=None):
        """A camera at the origin that looks forward and fills pictures of a size.

        Args:
            size: (height, width) of the pictures.
            field_of_view: from the upper to the lower edge, in radians; None is 0.79 (45 degrees),
                for which `sample_scene` arranges its scenes.
        """
        height, width = size
        focal_length = 1.2 * height
        if field_of_view is not None:
            focal_length = height / 2 / math.tan(field_of_view / 2)
        return cls(focal_length, (width / 2, height / 2))

    @property
    def world_from_camera(self):
        """The pose as a float64 matrix (4, 4)."""
        pose = np.eye(4)
        pose[:3, :3] = rotation(self.yaw, self.pitch, self.roll)
        pose[:3, 3] = self.position
        return pose

    def moved(self, right=0.0, down=0.0, forward=0.0, yaw=0.0, pitch=0.0, roll=0.0):
        """The same camera elsewhere: moved along its own axes, in metres, then turned by angles."""
        step = rotation(self.yaw, self.pitch, self.roll) @ (right, down, forward)
        return dataclasses.replace(
            self,
            position=tuple((np.asarray(self.position) + step).tolist()),
            yaw=self.yaw + yaw,
            pitch=self.pitch + pitch,
            roll=self.roll + roll,
        )

    def to_camera(self, points):
        """World points (..., 3) in the camera's axes."""
        turned = rotation(self.yaw, self.pitch, self.roll)
        return (np.asarray(points, "float64") - self.position) @ turned

    def project(self, points):
        """The pixels (..., 2), x and y, at which world points (..., 3) before the camera appear."""
        points = self.to_camera(points)
        return self.focal_length * points[..., :2] / points[..., 2:] + self.principal_point
