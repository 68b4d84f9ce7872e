"""Where bodies stand and hang, so that the pictures are full and nothing goes through a wall."""

import colorsys
import math

import numpy as np

from kvision.data.scenes.shapes import CLASSES, CLUTTER, outline
from kvision.data.scenes.world import Body

FOCAL = 1.2  # focal length of `Camera.for_size`, in picture heights
_ATTEMPTS = 40
# Thin shapes are drawn larger, so that every class has about as many pixels.
_SIZES = {
    "disc": 0.86,
    "ring": 1.02,
    "square": 1.06,
    "triangle": 1.26,
    "star": 1.16,
    "cross": 1.06,
    "crescent": 1.12,
    "heart": 0.94,
}


class Arrangement:
    """Places bodies one after the other, in the picture first and then in the room.

    Args:
        chance: a `Chance`.
        aspect: width by height of the picture.
        surfaces: the floor and the wall, as `Surface`s.
    """

    def __init__(self, chance, aspect, surfaces):
        self.chance, self.aspect = chance, aspect
        self.floor, self.wall = surfaces
        self.colours = [np.mean(surface.texture.colours, axis=0) for surface in surfaces]
        self.circles = []

    def bodies(self):
        """The bodies, classes in turns so that none is rare."""
        difficulty, random = self.chance.difficulty, self.chance.random
        low, high = 3 + round(2 * difficulty), 5 + round(4 * difficulty)
        shapes = [CLASSES[1 + k] for k in random.permutation(len(CLASSES) - 1)] * 2
        shapes = shapes[: int(random.integers(low, high + 1))]
        most = max(0, round(9 * (difficulty - 0.25)))
        shapes += [self.chance.choice(CLUTTER) for _ in range(int(random.integers(most + 1)))]
        bodies = (self._body(shapes[k]) for k in random.permutation(len(shapes)))
        return tuple(body for body in bodies if body is not None)

    def _body(self, shape):
        circle = self._circle(shape)
        if circle is None:
            return None
        self.circles.append(circle)
        x, y, radius = circle
        chance = self.chance
        proportions = (chance.between(0, 1), chance.between(0, 1))
        yaw, pitch = chance.around(0.9), chance.around(0.35)
        roll = min(1.0, 1.4 * chance.difficulty) * chance.between(-math.pi, math.pi)
        depth = self._depth(x, y, radius, lowest(shape, proportions, roll))
        scale = depth / FOCAL
        colour = self._colour(shape)
        return Body(
            shape,
            position=((x - self.aspect / 2) * scale, (y - 0.5) * scale, depth),
            radius=radius * scale,
            texture=chance.texture(colour, 0.8 * radius * scale),
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            proportions=proportions,
            part_tone=chance.choice((chance.between(0.55, 0.75), chance.between(1.3, 1.6))),
            relief=chance.between(0.5, 1.6),
            gloss=max(0.0, chance.between(-0.4, 0.8)) * chance.difficulty,
        )

    def _circle(self, shape):
        """x, y and radius in picture heights of a place that is free enough, or None."""
        chance, difficulty = self.chance, self.chance.difficulty
        share = 1 - 0.75 * difficulty
        for _ in range(_ATTEMPTS):
            radius = chance.between(0.16 - 0.08 * difficulty, 0.28) * _SIZES.get(shape, 1.0)
            margin = radius * (1 - 1.1 * difficulty)
            x = chance.between(margin, self.aspect - margin)
            y = chance.between(margin, 1 - margin)
            distances = [
                math.hypot(x - other[0], y - other[1]) - share * (radius + other[2])
                for other in self.circles
            ]
            if min(distances, default=1) >= 0:
                return x, y, radius
        return None

    def _depth(self, x, y, radius, low):
        """A depth before the wall, above the floor or, as often as not, standing on it."""
        chance = self.chance
        edge = [(x - radius, y), (x + radius, y), (x, y - radius), (x, y + radius)]
        rays = np.array([((a - self.aspect / 2) / FOCAL, (b - 0.5) / FOCAL, 1) for a, b in edge])
        normal = np.asarray(self.wall.normal)
        behind = float(normal @ self.wall.point) / (rays @ normal).min()
        limit = 0.85 * behind
        fall = y + low * radius - 0.5
        if fall > 0:
            standing = self.floor.point[1] * FOCAL / fall
            if standing < limit:
                if chance.between(0, 1) < 0.6:
                    return standing
                limit = standing
        return chance.between(0.5, 1) * limit

    def _colour(self, shape):
        """The colour of the class at low difficulties, else any that is not just the surfaces'."""
        chance = self.chance
        if shape in CLASSES and chance.between(0, 1) >= 2 * chance.difficulty:
            return np.asarray(class_colour(shape))
        least = 0.42 - 0.3 * chance.difficulty
        for _ in range(_ATTEMPTS):
            colour = np.asarray(chance.colour())
            if min(np.linalg.norm(colour - other) for other in self.colours) >= least:
                break
        return colour


def class_colour(shape):
    """The colour that tells a class at difficulty 0."""
    return colorsys.hsv_to_rgb((CLASSES.index(shape) - 1) / (len(CLASSES) - 1), 0.8, 0.85)


def lowest(shape, proportions, roll):
    """How far a shape reaches down when turned by `roll`, in its radius; hardly ever too little."""
    # A shard may lie above its middle, but not by more than this.
    down, aside = np.linspace(-0.4, 1, 57, dtype="float32"), np.linspace(-1, 1, 65, dtype="float32")
    cosine, sine = np.float32(math.cos(roll)), np.float32(math.sin(roll))
    u, v = cosine * aside + sine * down[:, None], cosine * down[:, None] - sine * aside
    inside = (outline(shape, u, v, proportions)[0] < 0).any(axis=1)
    # What is lowest lies above the first row that has nothing.
    return float(down[inside].max()) + 1 / 40
