"""What models take and give: the shape and the dtype of a tensor, or of several by name."""

from typing import NamedTuple


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


def specs_of(tensors):
    """Returns the `Spec` of a symbolic tensor, or a dict of them for a dict, however nested."""
    if isinstance(tensors, dict):
        return {key: specs_of(value) for key, value in tensors.items()}
    if isinstance(tensors, (list, tuple)):
        return {str(index): specs_of(value) for index, value in enumerate(tensors)}
    return Spec(tuple(tensors.shape), str(tensors.dtype))


def is_image(spec):
    """Whether a tensor holds images, (batch, height, width, channels)."""
    return isinstance(spec, Spec) and len(spec.shape) == 4


def text_of(specs):
    """Returns specs as a person reads them."""
    if isinstance(specs, dict):
        return ", ".join(f"{key!r} {text_of(spec)}" for key, spec in specs.items())
    return str(specs.shape)
