"""Where in a picture a classifier sees its classes."""

import keras

from kvision.models.convolutionalize import Replay, check_model, outputs_of


def class_activation_maps(model):
    """The evidence for each class at each place of a picture, before the softmax.

    Use it for heat maps. What the evidence is depends on how the classifier ends:

    - in global average pooling and one dense layer: Zhou's class activation maps. The features at
      each position times the classifier's weights, plus its bias. On the original size their mean
      over the positions is the class's score (logit), exactly.
    - in flattened features and dense layers, or in several layers behind the pooling: Long's
      sliding classifier, its scores before the softmax. On the original size there is one position,
      so enlarge the picture.

    Args:
        model: a classifier: a functional or sequential `keras.Model` of one image. Of several
            outputs the one named `"predictions"` is taken.

    Returns:
        A new `keras.Model` with copies of the weights, from pictures
        `(batch, height, width, channels)` of any size (of at least the original one, where the
        classifier slides) to `(batch, rows, columns, classes)`.

    Raises:
        ValueError: where the model is no classifier, its input size is open though its layers need
            it, or a layer has no form that slides.

    Reference:
        Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning deep features for discriminative
        localization, 2016, eq. 2; Long, Shelhamer, Darrell: Fully convolutional networks for
        semantic segmentation, 2015, Fig. 2.

    Example:

    >>> import kvision as kv
    >>> classifier = kv.models.MobileNetV2(alpha=0.35, input_shape=(96, 96, 3), classes=5)
    >>> kv.models.class_activation_maps(classifier).compute_output_shape((1, 96, 160, 3))
    (1, 3, 5, 5)
    """
    check_model(model)
    classifier = keras.Model(model.inputs[0], _predictions(model), name=model.name)
    maps, is_mean = _evidence(classifier, Replay(pooled=False, split=True))
    if not is_mean:
        maps, _ = _evidence(classifier, Replay(split=True))
    return maps


def _predictions(model):
    outputs = outputs_of(model)
    if isinstance(outputs, dict) and "predictions" in outputs:
        outputs = outputs["predictions"]
    tensors = keras.tree.flatten(outputs)
    if len(tensors) != 1 or len(tensors[0].shape) != 2:
        raise ValueError(
            f"`{model.name}` must be a classifier with one output (batch, classes), or one of that "
            f"name, 'predictions'. Received: {keras.tree.map_structure(lambda x: x.shape, outputs)}"
        )
    return tensors[0]


def _evidence(classifier, replay):
    """The model of the scores, and whether their mean is the classifier's where it pools."""
    sliding = replay.copy(classifier)
    scores = replay.scores.get(id(sliding.outputs[0]), sliding.outputs[0])
    maps = keras.Model(sliding.inputs[0], scores, name=f"{classifier.name}_class_activation_maps")
    return maps, replay.places[id(scores)].mean or not replay.left_out
