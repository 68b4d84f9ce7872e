import keras
import numpy as np
from keras import ops

from kvision.layers.augmentation.image_augmentation import ImageAugmentation
from kvision.ops.warp import resample

_BORDER_POINTS = 65


class BendingAugmentation(ImageAugmentation):
    """Base of random image layers that move pixels along curves.

    A subclass draws a transformation, a dict with `size`, the (height, width) of the images, and
    says where the pixels go: `source(points, transformation)` returns where the output looks, and
    `target(points, transformation)` where the input is shown, both for points (batch or 1, n, 2) as
    (x, y) in pixels, with the upper left corner of the image at (0, 0). Boxes become the upright
    boxes around what is visible of them; masks move with nearest neighbours.

    Args:
        fill_mode: what lies outside the image: `"constant"`, `"nearest"`, `"reflect"`, `"wrap"`.
        fill_value: the number for `"constant"`.
        interpolation: of images: `"bilinear"` or `"nearest"`.
        **kwargs: of `ImageAugmentation`.
    """

    def __init__(self, fill_mode="reflect", fill_value=0.0, interpolation="bilinear", **kwargs):
        super().__init__(**kwargs)
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.interpolation = interpolation

    def transform_images(self, images, transformation, training=True):
        if not training:
            return images
        return self._resample(
            ops.cast(images, self.compute_dtype), transformation, self.interpolation
        )

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        if not training:
            return segmentation_masks
        return self._resample(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        if not training:
            return bounding_boxes
        height, width = transformation["size"]
        size = {"height": height, "width": width}
        convert = keras.utils.bounding_boxes.convert_format
        boxes = ops.cast(bounding_boxes["boxes"], "float32")
        boxes = convert(boxes, source=self.bounding_box_format, target="xyxy", **size)
        boxes = self._move_boxes(boxes, transformation)
        boxes = convert(boxes, source="xyxy", target=self.bounding_box_format, **size)
        return {**bounding_boxes, "boxes": boxes}

    def get_config(self):
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "interpolation": self.interpolation,
        }

    def _resample(self, images, transformation, interpolation):
        height, width = transformation["size"]
        x, y = ops.meshgrid(ops.arange(width, dtype="float32"), ops.arange(height, dtype="float32"))
        points = ops.reshape(ops.stack([x, y], axis=-1), (1, -1, 2)) + 0.5
        points = self.source(points, transformation) - 0.5
        points = ops.reshape(points, (-1, height, width, 2))
        return resample(images, points, interpolation, self.fill_mode, self.fill_value)

    def _move_boxes(self, boxes, transformation):
        """Upright boxes around what is visible: their border, and where they reach the frame's."""
        height, width = transformation["size"]
        frame = ops.cast(ops.stack([width, height]), "float32")
        count = ops.shape(boxes)[1]
        border = ops.convert_to_tensor(_border())
        corner, extent = boxes[:, :, None, :2], boxes[:, :, None, 2:] - boxes[:, :, None, :2]
        moved = ops.reshape(corner + border * extent, (ops.shape(boxes)[0], -1, 2))
        moved = self.target(moved, transformation)
        moved = ops.reshape(moved, (-1, count, border.shape[0], 2))
        visible = ops.all((moved >= 0.0) & (moved <= frame), axis=-1)

        edge = ops.expand_dims(border * frame, 0)
        source = self.source(edge, transformation)[:, None]
        covered = (source >= boxes[:, :, None, :2]) & (source <= boxes[:, :, None, 2:])
        covered = ops.all(covered, axis=-1)
        edge = ops.broadcast_to(edge[:, None], ops.shape(source))
        edge = ops.broadcast_to(edge, (*ops.shape(covered), 2))

        points = ops.concatenate([moved, edge], axis=2)
        kept = ops.concatenate([visible, covered], axis=2)[..., None]
        low = ops.min(ops.where(kept, points, 1e6), axis=2)
        high = ops.max(ops.where(kept, points, -1e6), axis=2)
        found = ops.any(kept, axis=2)
        return ops.where(found, ops.concatenate([low, high], axis=-1), 0.0)


def _border():
    """Points along the border of the unit square, as (x, y)."""
    along = np.linspace(0.0, 1.0, _BORDER_POINTS, dtype="float32")
    none, full = np.zeros_like(along), np.ones_like(along)
    sides = [(along, none), (along, full), (none, along), (full, along)]
    return np.concatenate([np.stack(side, axis=-1) for side in sides])
