"""Any registered network as the encoder of another."""

import keras

from kvision import registry
from kvision.models.features import levels as declared_levels


def backbone_levels(backbone, builder, input_shape=None, wanted=None, **options):
    """The input and the features of a backbone at its resolutions.

    Args:
        backbone: a name that `kv.list_models("classification")` gives, or a `keras.Model` made by
            such a builder. A model is used as it is, weights and all; its classifier is left out.
        builder: name for error messages.
        input_shape: `(height, width, channels)` to build a named backbone for. A model has its own.
        wanted: strides of the levels that are needed; `None` for all.
        **options: of the named backbone, such as `output_stride`.

    Returns:
        `(image, features)`: the input tensor and `{stride: tensor}`, finest first.

    Raises:
        ValueError: where there is no such backbone, or it lacks a level that is wanted.
    """
    if isinstance(backbone, str):
        entry = registry.model_info(backbone)
        if not entry.levels:
            raise ValueError(
                f"`backbone` of `{builder}` must have declared levels, and `{backbone}` has none. "
                "`kv.list_models('classification')` names networks that have."
            )
        model = entry.builder(include_top=False, input_shape=input_shape, **options)
    elif isinstance(backbone, keras.Model):
        model = backbone
    else:
        raise ValueError(
            f"`backbone` of `{builder}` must be the name of a registered network or a "
            f"`keras.Model`. Received: {backbone!r}"
        )
    layers = declared_levels(model)
    missing = sorted(set(wanted or ()) - set(layers))
    if missing:
        raise ValueError(
            f"`backbone` of `{builder}` must have features of stride "
            f"{', '.join(map(str, missing))}. `{model.name}` has those of {sorted(layers)}."
        )
    features = {
        stride: model.get_layer(name).output
        for stride, name in layers.items()
        if wanted is None or stride in wanted
    }
    return model.inputs[0], features
