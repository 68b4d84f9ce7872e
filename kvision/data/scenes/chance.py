"""Random things of one difficulty: colours, textures, surfaces, light."""

import colorsys
import math

import numpy as np

from kvision.data.scenes.camera import rotation
from kvision.data.scenes.textures import KINDS
from kvision.data.scenes.world import Light, Sensor, Surface, Texture

_GREY = (0.55, 0.55, 0.55)


class Chance:
    """Draws one thing after the other.

    Args:
        seed: a whole number, 0 or more.
        difficulty: 0..1.
    """

    def __init__(self, seed, difficulty):
        self.random = np.random.Generator(np.random.PCG64([seed, 1]))
        self.difficulty = difficulty

    def between(self, low, high):
        """A number between two others."""
        return low + (high - low) * float(self.random.random())

    def around(self, spread):
        """Between -spread and spread, narrower at lower difficulties."""
        return self.difficulty * self.between(-spread, spread)

    def choice(self, items):
        """One of a few things."""
        return items[int(self.random.integers(len(items)))]

    def colour(self):
        """Any colour that is neither black nor glaring."""
        hue, saturation = self.between(0, 1), self.between(0.1, 0.85)
        return colorsys.hsv_to_rgb(hue, saturation, self.between(0.3, 0.95))

    def texture(self, colour, period):
        """A texture around a colour."""
        kind = self.choice(KINDS)
        second = np.asarray(self.colour())
        contrast = self.between(0.25, 1.0) * min(1.0, 1.3 * self.difficulty)
        # The wanted colour is the mean of the two, which is what is left at a low contrast.
        room = np.minimum(colour, 1 - np.asarray(colour))
        half = np.clip((second - colour) / 2, -room, room)
        first, second = (colour - half).tolist(), (colour + half).tolist()
        period = period * math.exp(self.between(-0.7, 0.7))
        offset = (self.between(0, 64), self.between(0, 64))
        angle = self.between(0, math.pi)
        return Texture(kind, (tuple(first), tuple(second)), contrast, period, angle, offset)

    def surfaces(self):
        """A floor and a wall that is turned a little."""
        floor_at, wall_at = self.between(1.1, 2.3), self.between(4.5, 9.0)
        colours = [np.asarray(self.colour()) for _ in range(2)]
        share = min(1.0, 3 * self.difficulty)
        colours = [(1 - share) * np.asarray(_GREY) + share * colour for colour in colours]
        axes = rotation(self.around(0.4), self.around(0.1), 0.0)
        wall, right = (-axes[:, 2]).tolist(), axes[:, 0].tolist()
        return (
            Surface((0.0, floor_at, 0.0), (0, -1, 0), (1, 0, 0), self.texture(colours[0], 0.6)),
            Surface((0.0, 0.0, wall_at), tuple(wall), tuple(right), self.texture(colours[1], 0.8)),
        )

    def light(self):
        """A light from above, behind the camera."""
        direction = np.array([self.between(-0.8, 0.8), self.between(-1.2, -0.5), -0.8])
        direction /= np.linalg.norm(direction)
        ambient = 1 - min(1.0, 1.4 * self.difficulty) * self.between(0.45, 0.75)
        shadow = min(1.0, 1.6 * self.difficulty) * self.between(0.5, 0.9)
        return Light(tuple(direction.tolist()), ambient, shadow)

    def sensor(self):
        """A camera that is more or less good."""
        exposure = 1 + self.around(0.25)
        gain = tuple(exposure * (1 + self.around(0.12)) for _ in range(3))
        blur = self.difficulty * self.between(0, 0.9)
        return Sensor(gain, blur, self.difficulty * self.between(0.0, 0.05))
