import keras
from keras import ops

from kvision.ops.mean_field import check_crf, filtered, gaussian_kernels, mean_field


@keras.saving.register_keras_serializable(package="kvision")
class FullyConnectedCRF(keras.layers.Layer):
    """Refines the scores of pixels by those of similar pixels, near and far.

    Use it behind a segmentation network, whose outlines then follow those of the picture: as it is,
    or trained with the network (`per_class=True`, CRF-RNN). Neighbours vote with
    `bilateral_weight * exp(-|p|^2 / 2 theta_alpha^2 - |I|^2 / 2 theta_beta^2)` and
    `spatial_weight * exp(-|p|^2 / 2 theta_gamma^2)`, where `p` is their distance and `I` their
    difference in colour; each of the two is divided by its sum over all neighbours. The mean-field
    iterations run in float32 under every dtype policy.

    Args:
        theta_alpha: standard deviation in pixels of the kernel that looks at colours.
        theta_beta: its standard deviation in grey levels, 0..255.
        theta_gamma: standard deviation in pixels of the kernel that only smooths.
        bilateral_weight: of the first kernel.
        spatial_weight: of the second.
        iterations: of mean field.
        training_iterations: the same in training; `None` for as many.
        window: `None` connects all pixels, exactly, with memory for the square of their number: for
            maps up to about 64x64. An odd number connects each with a window of that size, at a
            cost that grows with the number of pixels.
        dilation_rate: distance of a window's neighbours in pixels, which widens it for free.
        from_logits: whether scores are logits, and so is the result; else both are probabilities.
        per_class: whether the weights of the kernels and the compatibility of classes are
            matrices, class x class, which start as the numbers above and are learned.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of scores `(batch, height, width, classes)` and of the picture they are for, pixels
        0..255 `(batch, height, width, channels)`.

    Output shape:
        That of the scores.

    Raises:
        ValueError: where an option is out of range, or scores and picture differ in size.

    Differs from the paper: all kernels end at the window, if there is one. Each pixel is left out
    of its own neighbours, as in the model's energy; the authors' filters count it. The exact form
    filters by a matrix product instead of the permutohedral lattice.

    Reference:
        Krähenbühl, Koltun: Efficient inference in fully connected CRFs with Gaussian edge
        potentials, 2011; Zheng et al.: Conditional random fields as recurrent neural networks,
        2015. The default constants are those of DeepLab v2 with ResNet-101.

    Example:

    >>> crf = FullyConnectedCRF(window=5)
    >>> tuple(crf([ops.zeros((1, 32, 48, 21)), ops.zeros((1, 32, 48, 3))]).shape)
    (1, 32, 48, 21)
    """

    def __init__(
        self,
        theta_alpha=67.0,
        theta_beta=3.0,
        theta_gamma=1.0,
        bilateral_weight=4.0,
        spatial_weight=3.0,
        iterations=10,
        training_iterations=None,
        window=None,
        dilation_rate=1,
        from_logits=True,
        per_class=False,
        **kwargs,
    ):
        # Scores and pixels in 16 bits would already have lost what the colours differ by.
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        thetas = (theta_alpha, theta_beta, theta_gamma)
        check_crf(thetas, iterations, window, dilation_rate)
        if training_iterations is not None:
            check_crf(thetas, training_iterations, window, dilation_rate)
        self.theta_alpha = theta_alpha
        self.theta_beta = theta_beta
        self.theta_gamma = theta_gamma
        self.bilateral_weight = bilateral_weight
        self.spatial_weight = spatial_weight
        self.iterations = iterations
        self.training_iterations = training_iterations
        self.window = window
        self.dilation_rate = dilation_rate
        self.from_logits = from_logits
        self.per_class = per_class

    def build(self, input_shape):
        if len(input_shape) != 2 or any(len(shape) != 4 for shape in input_shape):
            raise ValueError(
                f"{self.name} must be called with a list [scores, image] of two maps. Received "
                f"shapes: {input_shape}"
            )
        scores, image = (tuple(shape) for shape in input_shape)
        if any(a != b for a, b in zip(scores[1:3], image[1:3], strict=True) if a and b):
            raise ValueError(
                f"The scores and the picture of {self.name} must have one size. Received shapes: "
                f"{scores} and {image}. Resize one of them."
            )
        if not self.per_class:
            return
        # Minus the identity differs from Potts' model, one less the identity, by a number that is
        # the same for all classes of a pixel: it changes no probability.
        starts = {
            "bilateral_weights": self.bilateral_weight,
            "spatial_weights": self.spatial_weight,
            "compatibility": -1.0,
        }
        for name, start in starts.items():
            weight = self.add_weight(
                name=name,
                shape=(scores[-1], scores[-1]),
                initializer=keras.initializers.Identity(start),
            )
            setattr(self, name, weight)

    def call(self, inputs, training=False):
        scores, image = (ops.cast(part, "float32") for part in inputs)
        if not self.from_logits:
            scores = ops.log(ops.maximum(scores, keras.config.epsilon()))
        thetas = (self.theta_alpha, self.theta_beta, self.theta_gamma)
        kernels = gaussian_kernels(image, *thetas, self.window, self.dilation_rate)
        message = self._learned(*kernels) if self.per_class else self._plain(*kernels)
        fewer = training and self.training_iterations is not None
        iterations = self.training_iterations if fewer else self.iterations
        refined = mean_field(scores, message, iterations)
        if not self.from_logits:
            refined = ops.softmax(refined, axis=-1)
        return ops.cast(refined, self.compute_dtype)

    def _plain(self, bilateral, spatial):
        """Potts' model with a number for each kernel: both are one kernel."""
        kernel = self.bilateral_weight * bilateral + self.spatial_weight * spatial
        return lambda classes: filtered(kernel, classes, self.dilation_rate)

    def _learned(self, bilateral, spatial):
        names = ("bilateral_weights", "spatial_weights", "compatibility")
        first, second, compatibility = (
            ops.transpose(ops.cast(getattr(self, name), "float32")) for name in names
        )

        def message(classes):
            votes = ops.matmul(filtered(bilateral, classes, self.dilation_rate), first)
            votes += ops.matmul(filtered(spatial, classes, self.dilation_rate), second)
            return -ops.matmul(votes, compatibility)

        return message

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        names = (
            "theta_alpha",
            "theta_beta",
            "theta_gamma",
            "bilateral_weight",
            "spatial_weight",
            "iterations",
            "training_iterations",
            "window",
            "dilation_rate",
            "from_logits",
            "per_class",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
