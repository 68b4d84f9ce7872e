"""The whole state of a layer: what it learned, and what it made of that."""

import tempfile

import keras
import numpy as np


def parts_of(layer):
    """The layers and models that a layer or model is made of, itself first.

    Args:
        layer: a `keras.layers.Layer`, such as a model or one that holds others.

    Returns:
        A list of layers, each once, in the same order for all layers that were made alike.
    """
    found, stack = {}, [layer]
    while stack:
        value = stack.pop()
        if id(value) in found:
            continue
        if isinstance(value, keras.layers.Layer):
            inside = [held for _, held in sorted(vars(value).items())]
        elif isinstance(value, dict):
            inside = list(value.values())
        elif isinstance(value, (list, tuple)):
            inside = list(value)
        else:
            continue
        found[id(value)] = value
        stack += reversed(inside)
    return [value for value in found.values() if isinstance(value, keras.layers.Layer)]


def has_state(layer):
    """Whether a layer keeps anything beyond its options: weights, numbers of its own, files."""
    return any(
        part.weights or _own_variables(part) or hasattr(part, "save_assets")
        for part in parts_of(layer)
    )


def are_alike(one, other):
    """Whether two layers are made of the same layers with weights of the same shapes."""
    return _form(one) == _form(other)


def copy_state(source, target):
    """Gives a layer the state of another that was made alike, as if it were read from its file.

    Weights alone are not all of it: `keras.layers.Normalization` computes with tensors that it
    makes of its weights when it is adapted or read from a file, and other layers keep words.

    Args:
        source: a built `keras.layers.Layer`.
        target: a built layer of the same class and options; its dtype may differ.

    Raises:
        ValueError: where the two are not made of the same layers.
    """
    if not are_alike(source, target):
        raise ValueError(
            f"The layers {source.name!r} and {target.name!r} must be made of the same layers, with "
            f"weights of the same shapes. Received: {_form(source)} for {_form(target)}"
        )
    for one, other in zip(parts_of(source), parts_of(target), strict=True):
        other.load_own_variables(_own_variables(one))
        if hasattr(one, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                one.save_assets(folder)
                other.load_assets(folder)


def set_weights(layer, weights):
    """Gives a layer weights, and lets it make anew what it makes of them.

    Args:
        layer: a built `keras.layers.Layer`.
        weights: a list of arrays, as `layer.get_weights` gives it.
    """
    layer.set_weights(weights)
    copy_state(layer, layer)


def _own_variables(layer):
    store = {}
    layer.save_own_variables(store)
    return {key: np.asarray(value) for key, value in store.items()}


def _form(layer):
    return [
        (type(part), [tuple(weight.shape) for weight in part.weights]) for part in parts_of(layer)
    ]
