"""The named resolutions of a backbone."""

import keras

from kvision import registry


def levels(model):
    """The stride of each resolution of a backbone and the layer that ends it.

    Args:
        model: a model built by a registered builder, also after saving and loading it.

    Returns:
        `{stride: layer name}`, finest first. Where dilation keeps a stride, its last layer counts.

    Raises:
        ValueError: where the model holds no registered backbone.

    Example:

    >>> import kvision as kv
    >>> kv.models.levels(kv.models.MobileNetV2(input_shape=(64, 64, 3)))[16]
    'block_13_expand_relu'
    """
    entries = registry.entries_of(model)
    if not entries:
        raise ValueError(
            f"`{model.name}` holds no registered backbone, so it has no declared levels. Pass "
            "layer names to `feature_extractor`."
        )
    strides = _strides(model)
    return {strides[name]: name for name in entries[0].levels}


def _strides(model):
    """The product of strides from the input to each layer: `{layer name: stride}`."""
    by_layer, by_tensor = {}, {}
    for layer in model.layers:  # inputs come before what uses them
        own = getattr(layer, "strides", 1)
        stride = own if isinstance(own, int) else own[0]
        if not isinstance(layer, keras.layers.InputLayer):
            stride *= max(by_tensor[id(tensor)] for tensor in keras.tree.flatten(layer.input))
        by_layer[layer.name] = stride
        by_tensor |= {id(tensor): stride for tensor in keras.tree.flatten(layer.output)}
    return by_layer


def feature_extractor(model, levels):
    """A model of the features at some resolutions; it shares its layers with `model`.

    Args:
        model: a backbone.
        levels: a stride (as `kv.models.levels` gives them) or a layer name, or a list of them.

    Returns:
        A `keras.Model` whose outputs are a list in the order of `levels`; of one level, as
        everywhere in Keras, the tensor itself.

    Raises:
        ValueError: where there is no such level.

    Example:

    >>> import kvision as kv
    >>> backbone = kv.models.MobileNetV2(include_top=False, input_shape=(64, 64, 3))
    >>> [f[1:] for f in kv.models.feature_extractor(backbone, [8, 32]).output_shape]
    [(8, 8, 192), (2, 2, 1280)]
    """
    wanted = [levels] if isinstance(levels, (int, str)) else levels
    outputs = [_output(model, level) for level in wanted]
    return keras.Model(model.input, outputs, name=f"{model.name}_features")


def _output(model, level):
    if isinstance(level, int):
        declared = levels(model)
        if level not in declared:
            raise ValueError(
                f"`{model.name}` has features of strides {sorted(declared)}. Received: {level}"
            )
        level = declared[level]
    if level not in {layer.name for layer in model.layers}:
        raise ValueError(
            f"`{model.name}` has no layer named {level!r}. Its declared levels are {levels(model)}."
        )
    return model.get_layer(level).output
