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


def enlargement(maps, size, positions=7, largest=1024):
    """A picture size on which a map has several positions, and where in the picture they are.

    Args:
        maps: a model that `class_activation_maps` gave.
        size: (height, width) that the classifier was made for.
        positions: rows and columns that a map should have, if it has but one at `size`. Where it
            has more it stays as it is, and so explains the classifier's very answer.
        largest: pixels of a side that is not exceeded for that.

    Returns:
        `(height, width), (vertical, horizontal)`: the size, and the distance of the outermost
        positions' centres from the border as a share of it, as `kv.visualize.heatmaps` takes it.
    """
    sides, margins = [], []
    for axis, side in enumerate(size):

        def count(length, axis=axis):
            lengths = [length if axis == other else size[other] for other in (0, 1)]
            return maps.compute_output_shape((1, *lengths, maps.input_shape[-1]))[1 + axis]

        own = count(side)
        second = _shortest(count, side, own + 1)
        stride = _shortest(count, second, own + 2) - second
        more = 0 if own > 1 else max(1, min(positions - 1, (largest - side) // stride))
        sides.append(side + more * stride)
        margins.append((side - (own - 1) * stride) / 2 / sides[-1])
    return tuple(sides), tuple(margins)


def _shortest(count, length, wanted):
    """The least length beyond `length` that has the wanted count of positions."""
    step = 1
    while count(length + step) < wanted:
        step *= 2
    low, high = length + step // 2, length + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if count(middle) >= wanted else (middle, high)
    return high
