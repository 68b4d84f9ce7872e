"""`"scenes"` as a source of `kv.data.load`: every number a scene, without end, without files."""

import dataclasses
import threading

import numpy as np
import tensorflow as tf

from kvision.data.info import (
    DatasetInfo,
    ImageFeature,
    LabelFeature,
    MaskFeature,
    SplitDict,
    SplitInfo,
)
from kvision.data.scenes.rendering import check_size, render
from kvision.data.scenes.sampling import check_difficulty, sample_scene
from kvision.data.scenes.shapes import CLASSES, PARTS
from kvision.data.sources.readable import readable_dataset

# One picture at a time: threads that take the interpreter from each other at every step of NumPy
# are slower together than one of them.
_DRAWING = threading.Lock()

_SPLITS = ("train", "validation", "test")
_MOST = 2**32  # scenes in a split
_SEEDS = 2**28
# What is served of an example: dtype and shape of what `render` gives.
_SPEC = {
    "image": ("uint8", 3),
    "segmentation_mask": ("uint8", 1),
    "instance_mask": ("int32", 1),
    "part_mask": ("uint8", 1),
    "depth": ("float32", 1),
    "edges": ("float32", 1),
}
_OBJECTS = {
    "bbox": ("float32", (4,)),
    "amodal_bbox": ("float32", (4,)),
    "label": ("int64", ()),
    "id": ("int32", ()),
    "visibility": ("float32", ()),
}


@dataclasses.dataclass(frozen=True)
class SceneSource:
    """Scenes as a source: what is known of them, and datasets of pieces of their splits."""

    info: DatasetInfo
    size: tuple
    difficulty: float
    seed: int

    def dataset(self, pieces):
        """A `tf.data.Dataset` of what `render` gives, for a list of `SplitPiece`."""
        rows = [
            np.arange(piece.start, piece.stop, dtype="int64") + self.first_seed(piece.name)
            for piece in pieces
        ]
        return readable_dataset(np.concatenate(rows), self._read)

    def first_seed(self, split):
        """The seed of the first scene in a split; the others follow."""
        return (self.seed * len(_SPLITS) + _SPLITS.index(split)) * _MOST

    def _read(self, seed):
        kinds = [dtype for dtype, _ in (*_SPEC.values(), *_OBJECTS.values())]
        values = tf.numpy_function(self._render, [seed], kinds, stateful=False)
        example = {}
        for (key, (_, channels)), value in zip(_SPEC.items(), values, strict=False):
            example[key] = tf.ensure_shape(value, (*self.size, channels))
        example["objects"] = {
            key: tf.ensure_shape(value, (None, *shape))
            for (key, (_, shape)), value in zip(_OBJECTS.items(), values[len(_SPEC) :], strict=True)
        }
        return example

    def _render(self, seed):
        with _DRAWING:
            scene = sample_scene(int(seed), self.difficulty, self.size[1] / self.size[0])
            truth = render(scene, size=self.size)
        return [*(truth[key] for key in _SPEC), *(truth["objects"][key] for key in _OBJECTS)]


def scenes(size=(96, 128), difficulty=0.5, *, train=10_000, validation=1_000, test=1_000, seed=0):
    """Pictures of the synthetic world with all that is true of them, drawn when they are read.

    Every example is a scene of its own; no two splits share one, and the first hundred are the same
    however many there are.

    Args:
        size: (height, width) of the pictures, in pixels.
        difficulty: 0..1, see `sample_scene`.
        train, validation, test: how many scenes the splits hold; 0 for none.
        seed: a whole number; another one is another world with other scenes.

    Returns:
        A source with `info` and `dataset(pieces)`, as `kv.data.load` takes it. An example is the
        dict that `render` returns.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    >>> source = kv.data.scenes.scenes(size=(48, 64), train=100)
    >>> source.info.class_names[:3], source.info.splits["train"].num_examples
    (['background', 'disc', 'ring'], 100)
    """
    size = check_size(size)
    check_difficulty(difficulty)
    if not isinstance(seed, int) or not 0 <= seed < _SEEDS:
        raise ValueError(f"`seed` must be a whole number, 0 to {_SEEDS - 1}. Received: {seed!r}")
    counts = dict(zip(_SPLITS, (train, validation, test), strict=True))
    for name, count in counts.items():
        if not isinstance(count, int) or not 0 <= count <= _MOST:
            raise ValueError(f"`{name}` must be a whole number, 0 to {_MOST}. Received: {count!r}")
    if not any(counts.values()):
        raise ValueError(f"One of {_SPLITS} must hold a scene. Received: {counts}")
    mask, part = MaskFeature(list(CLASSES)), MaskFeature(list(PARTS))
    features = {
        "image": ImageFeature((*size, 3)),
        "segmentation_mask": mask,
        "instance_mask": ImageFeature((*size, 1), "int32"),
        "part_mask": part,
        "depth": ImageFeature((*size, 1), "float32"),
        "edges": ImageFeature((*size, 1), "float32"),
        "objects": {"label": LabelFeature(list(CLASSES[1:]))},
    }
    splits = {name: SplitInfo(count) for name, count in counts.items() if count}
    info = DatasetInfo("scenes", SplitDict(splits), features)
    return SceneSource(info, size, float(difficulty), seed)
