"""`render`: the picture of a scene, and all that is true of it."""

import numpy as np

from kvision.data.scenes.camera import Camera
from kvision.data.scenes.drawing import Frame, draw_body, draw_surfaces, extent
from kvision.data.scenes.patches import Patch, View, Window
from kvision.data.scenes.shading import expose
from kvision.data.scenes.shapes import class_of

_SMALLEST = 8


def check_size(size):
    """(height, width) as whole numbers.

    Raises:
        ValueError: if it is not that.
    """
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    whole = all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) for s in sides)
    if len(sides) != 2 or not whole or min(sides) < _SMALLEST:
        raise ValueError(
            f"`size` must be (height, width), whole numbers of pixels, {_SMALLEST} or more. "
            f"Received: {size!r}"
        )
    return int(sides[0]), int(sides[1])


def render(scene, camera=None, size=(96, 128), exposure=0):
    """Takes a picture of a scene. What is true of a pixel is what is true at its middle.

    Args:
        scene: a `Scene`.
        camera: a `Camera`; None is `Camera.for_size(size)`.
        size: (height, width) of the picture, in pixels.
        exposure: a whole number; pictures that differ in it differ in their sensor noise.

    Returns:
        A dict of NumPy arrays:

        - `image`: uint8 (height, width, 3).
        - `segmentation_mask`: uint8 (height, width, 1), index into `CLASSES`; 0 is background.
        - `instance_mask`: int32 (height, width, 1), place in `scene.bodies` from 1 on, or 0.
        - `part_mask`: uint8 (height, width, 1), index into `PARTS`.
        - `depth`: float32 (height, width, 1), z in metres; `patches.FAR` where there is nothing.
        - `edges`: float32 (height, width, 1), 1 on the outlines of all bodies, clutter too, where
          they are visible: pixels whose neighbour to the right or below is of another body or of
          none; else 0.
        - `objects`: a dict with one row for each body of a class of which a pixel is visible:
          `bbox`: float32 (n, 4), around its visible pixels, relative ymin, xmin, ymax, xmax;
          `amodal_bbox`: the same around all of it, also what is covered or outside the picture (up
          to one more picture on every side), so below 0 and above 1 too;
          `label`: int64 (n,), index into `CLASSES[1:]`; `id`: int32 (n,), as in `instance_mask`;
          `visibility`: float32 (n,), which share of its pixels is visible.

    Raises:
        ValueError: if `size` is none, or a body or texture is of an unknown kind.

    Example:

    >>> scene = kv.data.scenes.sample_scene(seed=7, difficulty=0.5)
    >>> truth = kv.data.scenes.render(scene, size=(96, 128))
    >>> truth["image"].shape, truth["depth"].shape, truth["objects"]["bbox"].shape
    ((96, 128, 3), (96, 128, 1), (4, 4))
    """
    size = check_size(size)
    camera = Camera.for_size(size) if camera is None else camera
    view, frame, silhouettes = View(camera, scene.light), Frame(size), {}
    boards = [Patch.of_body(view, body) for body in scene.bodies]
    draw_surfaces(frame, scene, view, boards)
    # From far to near, so that the soft edges of what is near lie over what is behind.
    order = sorted(range(len(boards)), key=lambda index: -boards[index].origin[2])
    for index in order:
        body, board = scene.bodies[index], boards[index]
        silhouettes[index + 1] = draw_body(frame, index + 1, body, board, scene.light)
    classes = np.array([0, *(class_of(body.shape) for body in scene.bodies)])
    segmentation = classes.astype("uint8")[frame.owner]
    return {
        "image": expose(frame.light, scene.sensor, [scene.seed, exposure]),
        "segmentation_mask": segmentation[..., None],
        "instance_mask": np.where(segmentation > 0, frame.owner, 0)[..., None],
        "part_mask": frame.part[..., None],
        "depth": frame.depth[..., None],
        "edges": _outlines(frame.owner)[..., None],
        "objects": _objects(frame.owner, classes, silhouettes),
    }


def _outlines(owner):
    edges = np.zeros(owner.shape, "float32")
    edges[:, :-1] = owner[:, :-1] != owner[:, 1:]
    edges[:-1][owner[:-1] != owner[1:]] = 1
    return edges


def _objects(owner, classes, silhouettes):
    """The table of all bodies of a class of which something is visible."""
    counts = np.bincount(owner.ravel(), minlength=len(classes))
    numbers = [number for number in range(1, len(classes)) if classes[number] and counts[number]]
    height, width = owner.shape
    picture = Window(0, 0, height, width)
    side = np.array([height, width, height, width], "float64")
    boxes, amodal = np.zeros((len(numbers), 4)), np.zeros((len(numbers), 4))
    visibility = np.zeros(len(numbers))
    for row, number in enumerate(numbers):
        box = silhouettes[number].box
        amodal[row] = box.top, box.left, box.bottom, box.right
        inside = box.cut(picture)
        seen = extent(owner[inside.within(picture)] == number, inside)
        boxes[row] = seen.top, seen.left, seen.bottom, seen.right
        visibility[row] = counts[number] / silhouettes[number].pixels
    return {
        "bbox": (boxes / side).astype("float32"),
        "amodal_bbox": (amodal / side).astype("float32"),
        "label": classes[numbers].astype("int64") - 1 if numbers else np.zeros(0, "int64"),
        "id": np.array(numbers, "int32"),
        "visibility": visibility.astype("float32"),
    }
