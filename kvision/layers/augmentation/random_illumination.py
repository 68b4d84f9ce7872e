import keras
from keras import ops

from kvision.layers.augmentation.image_augmentation import ImageAugmentation

_CURVES = ("gamma", "log", "exp")
_STRONGEST = 2.0


@keras.saving.register_keras_serializable(package="kvision")
class RandomIllumination(ImageAugmentation):
    """Changes the light of each image by a random gamma, logarithmic or exponential curve.

    Use it where a camera's exposure or the time of day varies more than the training photographs
    do. Black and white stay where they are; what lies between becomes lighter or darker, which
    `keras.layers.RandomBrightness` and `RandomContrast` cannot do without clipping. For a pixel x
    in 0..1 and a random t, with c = 16^|t| - 1:

    - `"gamma"`: x^(2^(-2 t)), lighter for t > 0 and darker for t < 0;
    - `"log"`: log(1 + c x) / log(1 + c), lighter, most in the shadows;
    - `"exp"`: ((1 + c)^x - 1) / c, darker; the inverse of `"log"`.

    Args:
        factor: how strong: t is uniform in -factor..factor, or in the pair given. At most 2.
        curves: the curves to choose from, one of them for each image.
        value_range: the values of black and white.
        seed: whole number, for the same draws in every run.
        **kwargs: of `ImageAugmentation` and `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, or a dict as for Keras's
        augmentation layers.

    Output shape:
        As the input; floating point.

    Raises:
        ValueError: where `factor`, `curves` or `value_range` is none of the above.

    Example:

    >>> layer = RandomIllumination(0.5, curves=("gamma",), seed=1)
    >>> layer(ops.full((1, 32, 32, 3), 128.0)).shape
    TensorShape([1, 32, 32, 3])
    """

    def __init__(self, factor=0.5, curves=_CURVES, value_range=(0, 255), **kwargs):
        super().__init__(**kwargs)
        ends = sorted(factor) if isinstance(factor, (tuple, list)) else (-abs(factor), abs(factor))
        if len(ends) != 2 or max(abs(end) for end in ends) > _STRONGEST:
            raise ValueError(
                f"`factor` must be a number or a pair of numbers in -{_STRONGEST:g}.."
                f"{_STRONGEST:g}. Received: {factor}"
            )
        curves = (curves,) if isinstance(curves, str) else tuple(curves)
        if not curves or not set(curves) <= set(_CURVES):
            raise ValueError(f"`curves` must be some of {_CURVES}. Received: {curves}")
        if len(value_range) != 2 or not value_range[0] < value_range[1]:
            raise ValueError(
                f"`value_range` must be a pair (black, white). Received: {value_range}"
            )
        self.factor = tuple(float(end) for end in ends)
        self.curves = curves
        self.value_range = tuple(value_range)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        images = data["images"] if isinstance(data, dict) else data
        shape = (ops.shape(images)[0], 1, 1, 1)
        seed = self.generator if seed is None else seed
        strength = keras.random.uniform(shape, *self.factor, seed=seed)
        choice = keras.random.uniform(shape, 0.0, float(len(self.curves)), seed=seed)
        return {"strength": strength, "choice": choice}

    def transform_images(self, images, transformation, training=True):
        if not training:
            return images
        black, white = self.value_range
        images = ops.cast(images, self.compute_dtype)
        strength = ops.cast(transformation["strength"], images.dtype)
        choice = transformation["choice"]
        pixels = ops.clip((images - black) / (white - black), 0.0, 1.0)
        result = _curve(self.curves[0], pixels, strength)
        for number, name in enumerate(self.curves[1:], start=1):
            result = ops.where(choice >= number, _curve(name, pixels, strength), result)
        return result * (white - black) + black

    def get_config(self):
        return {
            **super().get_config(),
            "factor": self.factor,
            "curves": self.curves,
            "value_range": self.value_range,
        }


def _curve(name, pixels, strength):
    if name == "gamma":
        return ops.power(pixels, ops.power(2.0, -2.0 * strength))
    # A strength of 0 means a straight line, which is the limit of both curves.
    steepness = ops.maximum(ops.power(16.0, ops.abs(strength)) - 1.0, 1e-3)
    if name == "log":
        return ops.log1p(steepness * pixels) / ops.log1p(steepness)
    return ops.expm1(pixels * ops.log1p(steepness)) / steepness
