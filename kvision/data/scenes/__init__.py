"""`"scenes"`: a synthetic world that is known exactly, so that every task has true answers.

A `Scene` says what is there, in metres; a `Camera` looks at it; `render` gives the picture and all
that is true of it; `sample_scene` invents scenes, each from one whole number; `scenes` serves them.
"""

from kvision.data.scenes.camera import Camera
from kvision.data.scenes.rendering import render
from kvision.data.scenes.sampling import sample_scene
from kvision.data.scenes.shapes import CLASSES, PARTS
from kvision.data.scenes.source import scenes
from kvision.data.scenes.world import Body, Light, Scene, Sensor, Surface, Texture

__all__ = [
    "Body",
    "CLASSES",
    "Camera",
    "Light",
    "PARTS",
    "Scene",
    "Sensor",
    "Surface",
    "Texture",
    "render",
    "sample_scene",
    "scenes",
]
