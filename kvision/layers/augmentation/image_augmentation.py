import keras
from keras import ops


class ImageAugmentation(keras.layers.Layer):
    """Base of random image layers that speak the protocol of Keras's own.

    A subclass defines `get_random_transformation(data, training, seed)` and
    `transform_images(images, transformation, training)`, and, if it moves pixels,
    `transform_bounding_boxes` and `transform_segmentation_masks` with the same arguments, all for
    batches. Calling the layer takes a batch of images or one image, or a dict with `images` and,
    if wanted, `bounding_boxes` (`boxes` and `labels`), `labels` and `segmentation_masks`. At
    `training=False` everything is returned as it came.

    Args:
        seed: whole number, for the same draws in every run.
        bounding_box_format: of the boxes in a dict, such as `"xyxy"`; see
            `keras.utils.bounding_boxes.convert_format`.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ValueError: where images are not of rank 3 or 4, or boxes come without a format.
    """

    def __init__(self, seed=None, bounding_box_format=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.bounding_box_format = bounding_box_format
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, data, training=True):
        images = data["images"] if isinstance(data, dict) else data
        rank = len(images.shape)
        if rank not in (3, 4):
            raise ValueError(
                f"`{type(self).__name__}` takes images of shape (height, width, channels) or "
                f"(batch, height, width, channels). Received: shape {tuple(images.shape)}"
            )
        if not training:
            return self._cast_images(data)
        if rank == 4:
            return self._transform(data)
        single = keras.tree.map_structure(lambda part: ops.expand_dims(part, 0), data)
        return keras.tree.map_structure(lambda part: ops.squeeze(part, 0), self._transform(single))

    def transform_labels(self, labels, transformation, training=True):
        return labels

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        return bounding_boxes

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        return segmentation_masks

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "seed": self.seed,
            "bounding_box_format": self.bounding_box_format,
        }

    def _transform(self, data):
        data = self._cast_images(data)
        transformation = self.get_random_transformation(data, training=True)
        if not isinstance(data, dict):
            return self.transform_images(data, transformation)
        if "bounding_boxes" in data and self.bounding_box_format is None:
            raise ValueError(
                f"`{type(self).__name__}` must know the format of the boxes. "
                "Pass `bounding_box_format`, for example 'xyxy'."
            )
        transforms = {
            "images": self.transform_images,
            "bounding_boxes": self.transform_bounding_boxes,
            "labels": self.transform_labels,
            "segmentation_masks": self.transform_segmentation_masks,
        }
        return {
            key: transforms[key](value, transformation) if key in transforms else value
            for key, value in data.items()
        }

    def _cast_images(self, data):
        if isinstance(data, dict):
            return {**data, "images": ops.cast(data["images"], self.compute_dtype)}
        return ops.cast(data, self.compute_dtype)
