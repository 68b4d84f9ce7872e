import keras
import numpy as np
from keras import ops

from kvision.layers.augmentation.bending_augmentation import BendingAugmentation

_STEPS = 20


@keras.saving.register_keras_serializable(package="kvision")
class RandomElasticDeformation(BendingAugmentation):
    """Deforms each image as if it were drawn on rubber: U-Net's augmentation.

    Use it for tissue, cells and other soft things, of which there are few annotated images. A
    coarse grid of points over the image is displaced at random, and the displacement of every pixel
    follows by bicubic interpolation. Boxes become the upright boxes around what is visible of them;
    masks move with nearest neighbours.

    Args:
        sigma: standard deviation of the displacements, in pixels. Above about a fifth of the
            distance between two grid points the image folds over itself now and then; for images
            that are smaller than U-Net's (572 pixels), take about 2 % of the side.
        grid: points in each direction, from border to border, 2 or more.
        fill_mode: what lies outside the image: `"constant"`, `"nearest"`, `"reflect"`, `"wrap"`.
        fill_value: the number for `"constant"`.
        interpolation: of images: `"bilinear"` or `"nearest"`.
        seed: whole number, for the same draws in every run.
        bounding_box_format: of the boxes in a dict, such as `"xyxy"`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, or a dict as for Keras's
        augmentation layers.

    Output shape:
        As the input; floating point.

    Raises:
        ValueError: where `sigma` is negative, or `grid` no whole number of 2 or more.

    Differs from the paper: nothing known; where the outer points lie it does not say.

    Reference:
        Ronneberger, Fischer, Brox: U-Net: convolutional networks for biomedical image segmentation,
        2015.

    Example:

    >>> layer = RandomElasticDeformation(2.0, seed=1)
    >>> layer(ops.ones((1, 64, 64, 1))).shape
    TensorShape([1, 64, 64, 1])
    """

    def __init__(
        self,
        sigma=10.0,
        grid=3,
        fill_mode="reflect",
        fill_value=0.0,
        interpolation="bilinear",
        **kwargs,
    ):
        super().__init__(fill_mode, fill_value, interpolation, **kwargs)
        if not sigma >= 0:
            raise ValueError(f"`sigma` must be 0 or more pixels. Received: {sigma}")
        if not isinstance(grid, int) or grid < 2:
            raise ValueError(f"`grid` must be a whole number of 2 or more. Received: {grid}")
        self.sigma = float(sigma)
        self.grid = grid

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        images = data["images"] if isinstance(data, dict) else data
        batch, height, width = ops.shape(images)[:3]
        seed = self.generator if seed is None else seed
        shape = (batch, self.grid, self.grid, 2)
        displacements = keras.random.normal(shape, 0.0, self.sigma, "float32", seed)
        return {"displacements": displacements, "size": (height, width)}

    def source(self, points, transformation):
        """Where the output looks: input points of output points, (batch or 1, n, 2)."""
        height, width = transformation["size"]
        across = self._weights(points[..., 0] / ops.cast(width, "float32"))
        down = self._weights(points[..., 1] / ops.cast(height, "float32"))
        grid = self.grid
        displacements = transformation["displacements"]
        rows = ops.matmul(down, ops.reshape(displacements, (-1, grid, grid * 2)))
        rows = ops.reshape(rows, (ops.shape(rows)[0], -1, grid, 2))
        return points + ops.sum(across[..., None] * rows, axis=2)

    def target(self, points, transformation):
        """Where input points (batch, n, 2) are shown in the output, if nothing folds."""
        moved = points
        for _ in range(_STEPS):
            moved = points - (self.source(moved, transformation) - moved)
        return moved

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma, "grid": self.grid}

    def _weights(self, places):
        """What each grid point counts (batch, n, grid) at places (batch, n) in 0..1."""
        grid = self.grid
        nodes = ops.arange(-1, grid + 1, dtype="float32")
        distance = ops.abs(ops.expand_dims(places * (grid - 1), -1) - nodes)
        near = (1.5 * distance - 2.5) * distance * distance + 1.0
        far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
        kernel = ops.where(distance < 1.0, near, ops.where(distance < 2.0, far, 0.0))
        # The points just outside go on in a straight line.
        inner = np.eye(grid + 2, grid, k=-1, dtype="float32")
        inner[0, :2] = inner[-1, -1:-3:-1] = 2.0, -1.0
        return ops.matmul(kernel, ops.convert_to_tensor(inner))
