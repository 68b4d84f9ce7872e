"""What every classification builder ends with, and its own checks."""

import math

from keras import layers

from kvision.models.parts import check_alpha, check_output_stride

POOLINGS = (None, "avg", "max")


def classifier(x, include_top, pooling, classes, activation, dropout=0.0):
    """Global average pooling, dropout and a dense layer; or the pooling that was asked for.

    Scores are computed in float32 under every dtype policy.
    """
    check_top(include_top, pooling, classes)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="global_average")(x)
        if dropout:
            x = layers.Dropout(dropout, name="dropout")(x)
        return layers.Dense(classes, activation=activation, dtype="float32", name="predictions")(x)
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name="global_average")(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name="global_max")(x)
    return x


def dense_classifier(
    x, include_top, pooling, classes, activation, units, dropout, input_shape, builder, **options
):
    """Flatten and three dense layers, as AlexNet and VGG end; or the pooling that was asked for.

    Args:
        units: of `fc6` and `fc7`.
        dropout: fraction dropped after each of them.
        input_shape: of the model; with the classifier its size must be known.
        builder: name for the error message.
        **options: of the three `Dense` layers; under `hidden` those of `fc6` and `fc7` alone.
    """
    if not include_top:
        return classifier(x, include_top, pooling, classes, activation)
    check_top(include_top, pooling, classes)
    if None in x.shape[1:3]:
        raise ValueError(
            f"`input_shape` of `{builder}` must be of known height and width with "
            f"`include_top=True`, as its dense layers see the whole map. Received: {input_shape}. "
            "Build it with a size; `kv.models.convolutionalize` makes it slide over any other."
        )
    hidden = options.pop("hidden", {})
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = layers.Dense(units, activation="relu", name=name, **options, **hidden)(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return layers.Dense(
        classes, activation=activation, dtype="float32", name="predictions", **options
    )(x)


def check_top(include_top, pooling, classes):
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}. Received: {pooling!r}")
    if include_top and pooling is not None:
        raise ValueError(
            "`pooling` is of use only with `include_top=False`: the classifier pools by itself. "
            f"Received: pooling={pooling!r}, include_top=True"
        )
    if include_top and (not isinstance(classes, int) or classes < 1):
        raise ValueError(f"`classes` must be a whole number from 1. Received: {classes!r}")


def stem_plan(builder, strides, stem_strides):
    """The strides of a stem's layers whose product is wanted: the first ones become 1.

    Args:
        builder: name for the error message.
        strides: the paper's strides, in order.
        stem_strides: their product as wanted; `None` for the paper's.

    Returns:
        A list as long as `strides`.
    """
    plans = [[1] * i + list(strides[i:]) for i in range(len(strides) + 1)]
    products = [math.prod(plan) for plan in plans]
    if stem_strides is None:
        return plans[0]
    if stem_strides not in products:
        raise ValueError(
            f"`stem_strides` must be one of {products} in `{builder}` (the first is the paper's). "
            f"Received: {stem_strides}"
        )
    return plans[products.index(stem_strides)]


def check_options(builder, alpha, output_stride, stem_strides):
    check_alpha(builder, alpha)
    check_output_stride(builder, output_stride)
    if stem_strides not in (1, 2):
        raise ValueError(f"`stem_strides` must be 1 or 2 in `{builder}`. Received: {stem_strides}")


def check_auxiliary(argument, wanted, include_top):
    if wanted and not include_top:
        raise ValueError(
            f"`{argument}=True` must be used with `include_top=True`: the heads are classifiers. "
            "Received: include_top=False"
        )
