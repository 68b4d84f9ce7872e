"""The named resolutions of a backbone."""

import keras

from kvision import registry

_FITTING = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)  # borders, for what comes next


def levels(model):
    """Returns the stride of each resolution of a backbone and the layer that ends it.

    Backbones of kvision, keras-cv and keras-hub declare them. Of other networks, such as those of
    `keras.applications`, the last layer of each resolution is found: one whose maps are as large as
    the image by a power of two, rounded up.

    Args:
        model: a functional model from an image; of other packages than the three, built for an
            image of known size.

    Returns:
        `{stride: layer name}`, finest first. Where dilation keeps a stride, its last layer counts.

    Raises:
        ValueError: where the model has no such layers.

    Example:

    >>> import kvision as kv
    >>> kv.models.levels(kv.models.MobileNetV2(input_shape=(64, 64, 3)))[16]
    'block_13_expand_relu'
    """
    entries = registry.entries_of(model)
    if entries:
        strides = _strides(model)
        return {strides[name]: name for name in entries[0].levels}
    found = _declared_elsewhere(model) or _found(model)
    if not found:
        raise ValueError(
            "A backbone must declare its levels, or be built for an image of known size and have "
            f"maps that are smaller by powers of two. `{model.name}` takes {model.input_shape}. "
            "Pass layer names to `feature_extractor`."
        )
    return dict(sorted(found.items()))


def _declared_elsewhere(model):
    """The levels as keras-cv names their layers, or keras-hub their tensors: P2 is of stride 4."""
    named = dict(getattr(model, "pyramid_level_inputs", {}))
    tensors = getattr(model, "pyramid_outputs", {})
    for layer in model.layers if tensors else ():
        named |= {level: layer.name for level, tensor in tensors.items() if tensor is layer.output}
    return {2 ** int(level.removeprefix("P")): name for level, name in named.items()}


def _found(model):
    image = model.input_shape if isinstance(model.input_shape, tuple) else ()
    if len(image) != 4 or None in image[1:]:
        return {}
    strides = _strides(model)
    found, convolved = {}, False
    for layer in _operations(model):
        convolved = convolved or bool(getattr(layer, "trainable_weights", ()))
        shape = getattr(layer.output, "shape", ())
        if not convolved or len(shape) != 4 or isinstance(layer, _FITTING):
            continue
        # A squeezed map is of one pixel whatever its stride, which the product of strides tells.
        stride = strides[layer.name]
        if stride & (stride - 1) == 0 and shape[1:3] == tuple(-(-n // stride) for n in image[1:3]):
            found[stride] = layer.name
    return found


def _operations(model):
    """The layers of a model, of a functional one also sums and such, in the order of its graph."""
    return model.layers if isinstance(model, keras.Sequential) else model.operations


def _strides(model):
    """The product of strides from the input to each layer: `{layer name: stride}`."""
    by_layer, by_tensor = {}, {}
    for layer in _operations(model):  # inputs come before what uses them
        if isinstance(layer, keras.Model):
            stride = max(_strides(layer).values())
        else:
            own = getattr(layer, "strides", 1)
            stride = own if isinstance(own, int) else own[0]
        if not isinstance(layer, keras.layers.InputLayer):
            # A sequential model does not list its input.
            given = keras.tree.flatten(layer.input)
            stride *= max(by_tensor.get(id(tensor), 1) for tensor in given)
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
    outputs = [output_of(model, level) for level in wanted]
    return keras.Model(model.input, outputs, name=f"{model.name}_features")


def output_of(model, level):
    """Returns the tensor of a level, a stride or a layer's name."""
    if isinstance(level, int):
        declared = levels(model)
        if level not in declared:
            raise ValueError(
                f"`{model.name}` has features of strides {sorted(declared)}. Received: {level}"
            )
        level = declared[level]
    for layer in _operations(model):
        if layer.name == level:
            return layer.output
    raise ValueError(
        f"`{model.name}` has no layer named {level!r}. Its levels are {levels(model)}."
    )
