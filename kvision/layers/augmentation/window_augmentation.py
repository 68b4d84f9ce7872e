import keras
from keras import ops

from kvision.layers.augmentation.image_augmentation import ImageAugmentation
from kvision.ops.masks import VOID


class WindowAugmentation(ImageAugmentation):
    """Base of random image layers that show an upright part of each image, or more than it.

    A subclass draws a transformation, a dict with `windows` (batch, 4): what of the input becomes
    the output, as relative ymin, xmin, ymax, xmax, which reach below 0 and above 1 where the input
    is to be surrounded. Boxes are cut at the border of the output; those that are gone get label
    -1. Masks move with nearest neighbours.

    Args:
        fill_value: what surrounds the input: a number, or one for each channel. Around masks lies
            this number, or void (255) where it is a colour.
        interpolation: of images: `"bilinear"` or `"nearest"`.
        **kwargs: of `ImageAugmentation`.
    """

    # Whether the windows always hold the whole input.
    only_enlarges = False

    def __init__(self, fill_value=0.0, interpolation="bilinear", **kwargs):
        super().__init__(**kwargs)
        several = isinstance(fill_value, (tuple, list))
        self.fill_value = tuple(float(v) for v in fill_value) if several else float(fill_value)
        self.interpolation = interpolation

    def transform_images(self, images, transformation, training=True):
        if not training:
            return images
        images = ops.cast(images, "float32")
        fill = self.fill_value
        if isinstance(fill, tuple) and len(fill) != images.shape[-1]:
            fill = sum(fill) / len(fill)
        fill = ops.convert_to_tensor(fill, "float32")
        shown = self._show(images - fill, transformation["windows"], self.interpolation) + fill
        return ops.cast(shown, self.compute_dtype)

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        if not training:
            return segmentation_masks
        dtype = keras.backend.standardize_dtype(segmentation_masks.dtype)
        outside = float(VOID) if isinstance(self.fill_value, tuple) else self.fill_value
        masks = ops.cast(segmentation_masks, "float32") - outside
        masks = self._show(masks, transformation["windows"], "nearest") + outside
        return ops.cast(masks, dtype)

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        if not training:
            return bounding_boxes
        boxes = self._relative(bounding_boxes["boxes"], transformation)
        boxes = ops.clip(self.move_boxes(boxes, transformation), 0.0, 1.0)
        there = ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        boxes = ops.where(there[..., None], boxes, 0.0)
        labels = bounding_boxes["labels"]
        labels = ops.where(there, labels, ops.cast(-1, labels.dtype))
        size = transformation["size"]
        boxes = keras.utils.bounding_boxes.convert_format(
            boxes, "rel_yxyx", self.bounding_box_format, height=size[0], width=size[1]
        )
        return {**bounding_boxes, "boxes": boxes, "labels": labels}

    def move_boxes(self, boxes, transformation):
        """Boxes (batch, n, 4), relative ymin, xmin, ymax, xmax, in the output.

        They may reach over its border; those that are to go are empty.
        """
        windows = transformation["windows"][:, None]
        start, extent = windows[..., :2], windows[..., 2:] - windows[..., :2]
        start, extent = ops.tile(start, (1, 1, 2)), ops.tile(extent, (1, 1, 2))
        return (boxes - start) / extent

    def get_config(self):
        return {
            **super().get_config(),
            "fill_value": self.fill_value,
            "interpolation": self.interpolation,
        }

    def _relative(self, boxes, transformation):
        height, width = transformation["size"]
        return keras.utils.bounding_boxes.convert_format(
            ops.cast(boxes, "float32"),
            self.bounding_box_format,
            "rel_yxyx",
            height=height,
            width=width,
        )

    def _show(self, images, windows, interpolation):
        height, width = (ops.cast(side, "float32") for side in ops.shape(images)[1:3])
        top, left, bottom, right = (windows[:, i] for i in range(4))
        # The first pixel covers 0..1, so that its centre, of index 0, lies at 1/2.
        down, across = bottom - top, right - left
        y, x = top * height + 0.5 * down - 0.5, left * width + 0.5 * across - 0.5
        none = ops.zeros_like(y)
        matrix = ops.stack([across, none, x, none, down, y, none, none], axis=-1)
        return ops.image.affine_transform(
            images, matrix, interpolation=interpolation, fill_mode="constant", fill_value=0.0
        )


def size_of(data):
    """(batch, height, width) of the images in what an augmentation layer was given."""
    images = data["images"] if isinstance(data, dict) else data
    return ops.shape(images)[:3]


def placed_windows(extent, place):
    """Windows of a given extent somewhere inside the input, or somewhere around it.

    Args:
        extent: (batch, 2): their height and width, relative to the input.
        place: (batch, 2) in 0..1: where they lie between the two ends.

    Returns:
        Tensor (batch, 4).
    """
    start = place * (1.0 - extent)
    return ops.concatenate([start, start + extent], axis=-1)
