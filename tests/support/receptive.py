"""Receptive fields by arithmetic, for facts about networks."""


def receptive_field(model, name):
    """Pixels that one unit of a layer sees, along the longest chain of layers to it."""
    reached = {}
    for layer in model.layers:
        kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or (1,)
        strides = getattr(layer, "strides", 1)
        stride = strides if isinstance(strides, int) else strides[0]
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        size, jump = max((reached.get(id(tensor), (1, 1)) for tensor in inputs), default=(1, 1))
        reached[id(layer.output)] = (size + (kernel[0] - 1) * jump, jump * stride)
        if layer.name == name:
            return reached[id(layer.output)][0]
    raise KeyError(name)
