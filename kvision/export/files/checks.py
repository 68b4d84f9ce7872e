"""What must hold of a model that is written to a file."""

import keras

from kvision.export.metadata.contents import is_random
from kvision.export.specs import functional, input_specs, is_image, specs_of, text_of


def check_model(model):
    """Raises `ValueError` unless `model` is a built model of one input, or of a dict of them."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a keras.Model. Received: {model!r}. "
            "Load a file first: kv.export.load_keras(path)."
        )
    given = getattr(functional(model), "input", None) if model.built else None
    if given is None or isinstance(given, (list, tuple)):
        what = text_of(specs_of(given)) if given else "None"
        raise ValueError(
            "`model` must be built and take one batch of images (batch, height, width, channels), "
            "or a dict of inputs: keras.Model({name: keras.Input(...)}, outputs). "
            f"Received: a model with the inputs {what}."
        )


def check_not_random(operations):
    """Raises `ValueError` if any of these operations gives other numbers each time."""
    found = sorted({name for name in operations if is_random(name)})
    if found:
        raise ValueError(
            "A model that leaves the building must give the same output for the same pixels. "
            f"Received: a model with the operations {', '.join(found)} at inference. Make its "
            "random layers do nothing unless `training=True`."
        )


def input_shapes(model, input_shape=None):
    """Returns the shapes of a model's inputs without the batch, as a TFLite file has them.

    Args:
        model: a `keras.Model`.
        input_shape: one in place of the model's own, of several inputs a dict of those that are
            given, for a model whose sizes are open.

    Returns:
        A tuple, or a dict of them for a model of several inputs.

    Raises:
        ValueError: where a size stays open, or is another than the model's.
    """
    specs = input_specs(model)
    if not isinstance(specs, dict):
        return _input_shape(model, specs, input_shape)
    given = dict(input_shape or {})
    if strange := sorted(set(given) - set(specs)):
        raise ValueError(
            f"`input_shape` must have names of the inputs, {sorted(specs)}. Received: {strange}"
        )
    return {key: _input_shape(model, spec, given.get(key)) for key, spec in specs.items()}


def _input_shape(model, spec, input_shape):
    own = spec.shape[1:]
    shape = tuple(input_shape or own)
    if len(shape) != len(own) or not all(isinstance(size, int) and size > 0 for size in shape):
        sizes = "(height, width, channels)" if is_image(spec) else "(...)"
        raise ValueError(
            f"A TFLite file has one input size, and `{model.name}` has {own}. "
            f"Pass `input_shape={sizes}`. Received: input_shape={input_shape}"
        )
    if any(size not in (None, wanted) for size, wanted in zip(own, shape, strict=True)):
        raise ValueError(
            f"`input_shape` must agree with the model's own, {own}. Received: {input_shape}"
        )
    return shape
