"""What every segmentation builder checks and ends with."""

from keras import layers

ACTIVATIONS = ("softmax", None)
# Of VGG16, which SegNet and DeconvNet mirror: filters and number of convolutions of each stage.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def check_classes(builder, classes):
    if not isinstance(classes, int) or isinstance(classes, bool) or not 1 <= classes <= 255:
        raise ValueError(
            f"`classes` must be a whole number from 1 to 255 in `{builder}` (255 marks void "
            f"pixels). Received: {classes}"
        )


def probabilities(x, activation):
    """The scores of each pixel as the model gives them: in float32 under every dtype policy.

    Args:
        x: scores `(batch, height, width, classes)`.
        activation: the builder's `classifier_activation`.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`classifier_activation` must be one of {ACTIVATIONS}. Received: {activation!r}"
        )
    return layers.Activation(activation or "linear", dtype="float32", name="predictions")(x)
