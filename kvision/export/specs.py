"""What models take and give: the shape and the dtype of a tensor, or of several by name."""

from typing import NamedTuple

import numpy as np


class Spec(NamedTuple):
    """A tensor without values.

    Attributes:
        shape: with the batch; `None` where a size is open.
        dtype: such as `"float32"`.
    """

    shape: tuple
    dtype: str = "float32"


def each(function, inputs, *others):
    """Applies a function to the one input of a model, or to each of several by name."""
    if isinstance(inputs, dict):
        return {
            key: function(value, *(other[key] for other in others)) for key, value in inputs.items()
        }
    return function(inputs, *others)


def count_of(arrays):
    """Returns how many examples there are in an array, or in a dict of them."""
    return len(next(iter(arrays.values())) if isinstance(arrays, dict) else arrays)


def rows(arrays, start, stop):
    """Returns some of the examples in an array, or in a dict of them."""
    return each(lambda values: values[start:stop], arrays)


def specs_of(tensors):
    """Returns the `Spec` of a symbolic tensor, or a dict of them for a dict, however nested."""
    if isinstance(tensors, dict):
        return {key: specs_of(value) for key, value in tensors.items()}
    if isinstance(tensors, (list, tuple)):
        return {str(index): specs_of(value) for index, value in enumerate(tensors)}
    return Spec(tuple(tensors.shape), str(tensors.dtype))


def input_specs(model):
    """Returns the `Spec` of what a `keras.Model` takes, or a dict of them."""
    return specs_of(functional(model).input)


def output_specs(model):
    """Returns the `Spec` of what a `keras.Model` gives, or a dict of them."""
    return specs_of(functional(model).output)


def functional(model):
    """Returns a model with `input` and `output`, which a `Sequential` one lacks until a call."""
    import keras

    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0])
    return model


def is_image(spec):
    """Whether a tensor holds images, (batch, height, width, channels)."""
    return isinstance(spec, Spec) and len(spec.shape) == 4


def given_as(spec):
    """Returns the dtype in which an input is given: of floats float32, whatever is computed in."""
    return "float32" if "float" in spec.dtype else spec.dtype


def random_values(spec, count):
    """Returns examples for an input: pixels, numbers from 0 to 1, or zeros for whole numbers.

    Args:
        spec: of the input; images of open sizes get 224 pixels, a multiple of every stride in use.
        count: how many.
    """
    shape = (count, *(size or 224 for size in spec.shape[1:]))
    if is_image(spec):
        return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    if "float" in spec.dtype:
        return np.random.default_rng(0).uniform(0, 1, shape).astype("float32")
    return np.zeros(shape, spec.dtype)


def checked(arrays, specs):
    """Returns what a model is given, as arrays; images as float32.

    Args:
        arrays: an array, or a dict of them by the names of the inputs.
        specs: the inputs of the model, a `Spec` or a dict of them.

    Raises:
        ValueError: where names, shapes or numbers of examples are others, or pixels not 0..255.
    """
    if isinstance(specs, dict) and not isinstance(arrays, dict) and len(specs) == 1:
        arrays = {next(iter(specs)): arrays}
    elif isinstance(arrays, dict) and not isinstance(specs, dict) and len(arrays) == 1:
        (arrays,) = arrays.values()
    if isinstance(specs, dict) != isinstance(arrays, dict) or (
        isinstance(specs, dict) and specs.keys() != arrays.keys()
    ):
        wanted = sorted(specs) if isinstance(specs, dict) else "one array"
        got = sorted(arrays) if isinstance(arrays, dict) else f"a {type(arrays).__name__}"
        raise ValueError(
            "Several inputs must be a dict of arrays by their names, and one input an array. "
            f"Wanted: {wanted}. Received: {got}"
        )
    if not isinstance(specs, dict):
        return _checked(arrays, specs, "images")
    arrays = {key: _checked(arrays[key], spec, key) for key, spec in specs.items()}
    counts = {key: len(values) for key, values in arrays.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"All inputs must be of the same number of examples. Received: {counts}")
    return arrays


def _checked(values, spec, name):
    values, wanted = np.asarray(values), spec.shape[1:]
    fits = values.ndim == len(spec.shape) and all(
        size in (None, got) for size, got in zip(wanted, values.shape[1:], strict=True)
    )
    if not fits or not len(values):
        sizes = ", ".join("any" if size is None else str(size) for size in wanted)
        raise ValueError(
            f"`{name}` must have the shape (n, {sizes}), with at least one image. "
            f"Received: {values.shape}. Resize the images, or add the first axis to a single "
            "one with image[None]."
        )
    if not is_image(spec):
        return values
    if values.dtype.kind not in "uif" or (values.dtype.kind in "ui" and values.max() > 255):
        raise ValueError(
            f"`{name}` must hold pixels 0..255; divide 16-bit pixels by 257. "
            f"Received: {values.dtype} with the largest value {values.max()}"
        )
    return values.astype("float32")


def text_of(specs):
    """Returns specs as a person reads them."""
    if isinstance(specs, dict):
        return ", ".join(f"{key!r} {text_of(spec)}" for key, spec in specs.items())
    return str(specs.shape)
