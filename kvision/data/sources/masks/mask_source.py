"""Images with masks as a source, wherever the masks come from."""

import dataclasses

import numpy as np
import tensorflow as tf

from kvision.data.info import DatasetInfo
from kvision.data.sources.image_files import decode
from kvision.data.sources.readable import readable_dataset


@dataclasses.dataclass(frozen=True)
class MaskSource:
    """Images and their masks: what is known of them, and datasets of pieces of their splits.

    Attributes:
        info: `DatasetInfo`.
        splits: dict of split name to rows of (image path as bytes, decoder, orientation, number).
        read: function of such a number that returns the mask, uint8 (height, width, 1).
    """

    info: DatasetInfo
    splits: dict
    read: object

    def dataset(self, pieces):
        """A `tf.data.Dataset` of {"image", "segmentation_mask"} for a list of `SplitPiece`."""
        chosen = [self.splits[piece.name][piece.start : piece.stop] for piece in pieces]
        rows = [row for part in chosen for row in part]
        paths, decoders, orientations, numbers = zip(*rows, strict=True)
        used, rotated = frozenset(decoders), max(orientations) > 1
        with tf.device("CPU:0"):
            paths = tf.constant(list(paths))
            facts = tf.constant([decoders, orientations, numbers], tf.int64)

        def read(row):
            decoder, orientation, number = tf.unstack(facts[:, row])
            image = decode(paths[row], tf.cast(decoder, tf.int32), orientation, used, rotated)
            mask = tf.numpy_function(self.read, [number], tf.uint8, stateful=False)
            return {"image": image, "segmentation_mask": tf.ensure_shape(mask, (None, None, 1))}

        return readable_dataset(np.arange(len(rows)), read)
