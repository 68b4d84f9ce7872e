import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class Anchors(keras.layers.Layer):
    """The boxes that a detector starts from: of some shapes, at each position of its feature maps.

    Shapes of the published detectors are in `kv.ops.anchors`.

    Args:
        shapes: for each feature map a list of (height, width) in pixels of the picture.
        offset: where a position's centre is, in 0..1 of its cell.
        strides: for each feature map the pixels between two centres. By default the picture is
            divided evenly: by height and width of the feature map.
        relative: whether `shapes` are in 0..1 of the picture's height and width.
        clip: whether the anchors end at the edges of the picture.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list `[image, *maps]` of `(batch, height, width, channels)`, in the order of `shapes`.

    Output shape:
        `(anchors, 4)`, `rel_yxyx`: the same for each picture of the batch, float32 under every
        dtype policy. By feature map, row, column, and shape.

    Raises:
        ValueError: where shapes, strides or inputs do not fit each other.

    Example:

    >>> layer = Anchors([[(16, 16), (8, 32)]])
    >>> anchors = layer([ops.zeros((1, 32, 32, 3)), ops.zeros((1, 2, 2, 8))])
    >>> ops.convert_to_numpy(anchors)[:2].tolist()
    [[0.0, 0.0, 0.5, 0.5], [0.125, -0.25, 0.375, 0.75]]
    """

    def __init__(self, shapes, offset=0.5, strides=None, relative=False, clip=False, **kwargs):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        shapes = [[tuple(shape) for shape in level] for level in shapes]
        if not shapes or not all(shapes) or any(len(s) != 2 for level in shapes for s in level):
            raise ValueError(
                "`shapes` must be a list of (height, width) for each feature map. "
                f"Received: {shapes}"
            )
        if strides is not None and len(strides) != len(shapes):
            raise ValueError(
                "`strides` must be one number for each list of `shapes`. "
                f"Received: {len(strides)} strides, {len(shapes)} lists."
            )
        self.shapes = shapes
        self.offset = offset
        self.strides = None if strides is None else list(strides)
        self.relative = relative
        self.clip = clip

    def build(self, input_shape):
        if len(input_shape) != len(self.shapes) + 1:
            raise ValueError(
                f"The input of {self.name} must be a list of the image and {len(self.shapes)} "
                "feature maps, one for each list of `shapes`. "
                f"Received: {len(input_shape)} tensors."
            )

    def call(self, inputs):
        image, *maps = inputs
        size = ops.shape(image)[1:3]
        strides = self.strides or [None] * len(maps)
        anchors = [
            self._level(size, ops.shape(level)[1:3], shapes, stride)
            for level, shapes, stride in zip(maps, self.shapes, strides, strict=True)
        ]
        anchors = ops.concatenate(anchors, axis=0)
        return ops.clip(anchors, 0.0, 1.0) if self.clip else anchors

    def _level(self, size, positions, shapes, stride):
        """`(rows * columns * shapes, 4)`."""
        size = [ops.cast(side, "float32") for side in size]
        centres = []
        for side, number in zip(size, positions, strict=True):
            index = ops.arange(number, dtype="float32") + self.offset
            unit = 1.0 / ops.cast(number, "float32") if stride is None else stride / side
            centres.append(index * unit)
        y, x = centres[0][:, None, None, None], centres[1][None, :, None, None]
        half = ops.convert_to_tensor(shapes, "float32") / 2
        if not self.relative:
            half = half / ops.stack(size)
        height, width = half[:, :1], half[:, 1:]
        # Of y, x and shapes, each lacks the axes of the others.
        zeros = ops.zeros_like(y + x + height)
        boxes = [y - height + zeros, x - width + zeros, y + height + zeros, x + width + zeros]
        return ops.reshape(ops.concatenate(boxes, axis=-1), (-1, 4))

    def compute_output_spec(self, inputs):
        number = 0
        for level, shapes in zip(inputs[1:], self.shapes, strict=True):
            if number is not None:
                known = None not in level.shape[1:3]
                places = level.shape[1] * level.shape[2] * len(shapes) if known else None
                number = number + places if known else None
        return keras.KerasTensor((number, 4), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "shapes": [[list(shape) for shape in level] for level in self.shapes],
            "offset": self.offset,
            "strides": self.strides,
            "relative": self.relative,
            "clip": self.clip,
        }
