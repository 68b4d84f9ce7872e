"""What is in a scene, in metres and whoever looks at it: plain descriptions, nothing computed.

Axes: x right, y down, z forward. Angles are radians. Colours are red, green, blue in 0..1. Every
description is frozen and compares by value; `dataclasses.replace` moves, turns or repaints a thing.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Texture:
    """A pattern of two colours that lies on a surface or a body and stays there.

    Attributes:
        kind: one of `kvision.data.scenes.textures.KINDS`.
        colours: the two colours.
        contrast: 0..1; at 0 all is the mean of the two colours.
        period: in metres: the length after which it repeats; of noise, its coarsest grain.
        angle: the direction of the pattern.
        offset: where the pattern begins, in periods.
    """

    kind: str
    colours: tuple
    contrast: float = 1.0
    period: float = 0.5
    angle: float = 0.0
    offset: tuple = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Surface:
    """An endless plane, such as a floor or a wall.

    Attributes:
        point: a point of the plane.
        normal: its direction, towards the room.
        right: a direction in the plane, along which its texture lies.
        texture: its `Texture`.
    """

    point: tuple
    normal: tuple
    right: tuple
    texture: Texture


@dataclasses.dataclass(frozen=True)
class Body:
    """A flat body, like cut from a board with rounded edges, that stands or hangs in the room.

    Attributes:
        shape: a class, one of `CLASSES[1:]`, or clutter, one of `shapes.CLUTTER`.
        position: its middle.
        radius: of the circle that holds it.
        yaw, pitch, roll: how it is turned from facing the camera: about y, then x, then z.
        proportions: two numbers in 0..1 that vary the shape.
        texture: its `Texture`.
        part_tone: how much brighter its second part is than its first.
        relief: how steep its edges are; 0 is flat.
        gloss: how much it shines, 0..1.
    """

    shape: str
    position: tuple
    radius: float
    texture: Texture
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    proportions: tuple = (0.5, 0.5)
    part_tone: float = 0.7
    relief: float = 0.0
    gloss: float = 0.0


@dataclasses.dataclass(frozen=True)
class Light:
    """A far light, and what comes from all around.

    Attributes:
        direction: towards the light.
        ambient: the share of light without direction, 0..1; at 1 there is no shading.
        shadow: how much of the far light a shadow takes away, 0..1.
    """

    direction: tuple = (-0.4, -0.8, -0.45)
    ambient: float = 1.0
    shadow: float = 0.0


@dataclasses.dataclass(frozen=True)
class Sensor:
    """What happens to the light inside a camera.

    Attributes:
        gain: the exposure of red, green and blue.
        blur: the share of the light that goes to neighbouring pixels, 0..1.
        noise: standard deviation of the noise, of a full scale of 1.
    """

    gain: tuple = (1.0, 1.0, 1.0)
    blur: float = 0.0
    noise: float = 0.0


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything that is there. The number of a body in `bodies`, from 1 on, is its instance.

    Attributes:
        surfaces: the `Surface`s around.
        bodies: the `Body`s, in any order.
        light: the `Light`.
        sensor: the `Sensor` of the cameras that look at it.
        seed: from which sensor noise follows.
    """

    surfaces: tuple
    bodies: tuple
    light: Light = Light()
    sensor: Sensor = Sensor()
    seed: int = 0
