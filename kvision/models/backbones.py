"""Any network of images as the encoder of another."""

import keras

from kvision import registry
from kvision.models.features import levels, output_of


def backbone_levels(
    backbone, builder, input_shape=None, wanted=None, default_shape=None, **options
):
    """The input and the features of a backbone at its resolutions.

    Args:
        backbone: a name that `kv.list_models("classification")` gives, or a `keras.Model`: of
            such a builder, of keras-cv, keras-hub or `keras.applications`, or your own (`levels`
            tells what it must be). A model is used as it is, weights and all, without its
            classifier.
        builder: name for error messages.
        input_shape: `(height, width, channels)` to build a named backbone for. A model has its own,
            which must agree.
        wanted: strides of the levels that are needed; `None` for all.
        default_shape: for a named backbone where `input_shape` is `None`.
        **options: of the named backbone, such as `output_stride`.

    Returns:
        `(image, features)`: the input tensor and `{stride: tensor}`, finest first.

    Raises:
        ValueError: where there is no such backbone, its size is another, or it lacks a level.
    """
    if isinstance(backbone, str):
        entry = registry.model_info(backbone)
        if not entry.levels:
            raise ValueError(
                f"`backbone` of `{builder}` must have declared levels, and `{backbone}` has none. "
                "`kv.list_models('classification')` names networks that have."
            )
        shape = input_shape or default_shape
        model = entry.builder(include_top=False, input_shape=shape, **options)
    elif isinstance(backbone, keras.Model):
        model = backbone
        own = tuple(model.input_shape[1:])
        if input_shape is not None and tuple(input_shape) != own:
            raise ValueError(
                f"`input_shape` must be that of the `backbone` in `{builder}`, {own}. Received: "
                f"{input_shape}. Leave it out, or build the backbone for it."
            )
    else:
        raise ValueError(
            f"`backbone` of `{builder}` must be the name of a registered network or a "
            f"`keras.Model`. Received: {backbone!r}"
        )
    known = levels(model)
    missing = sorted(set(wanted or ()) - set(known))
    if missing:
        raise ValueError(
            f"`backbone` of `{builder}` must have features of stride "
            f"{', '.join(map(str, missing))}. `{model.name}` has those of {sorted(known)}."
        )
    features = {
        stride: output_of(model, name)
        for stride, name in known.items()
        if wanted is None or stride in wanted
    }
    return model.inputs[0], features
