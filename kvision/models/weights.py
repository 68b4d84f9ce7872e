"""Weights from elsewhere: another model, a file, the official ImageNet files."""

from pathlib import Path

import keras


def copy_weights(source, target, skip=()):
    """Copies the weights of one model into another of the same architecture.

    Layers are matched by name where the names agree, else by order. Nothing is copied unless
    everything fits.

    Args:
        source: a built `keras.Model`, e.g. one of keras.applications.
        target: a built `keras.Model`. All of its layers with weights must be found in `source`.
        skip: names of layers of `target` to leave as they are.

    Returns:
        `target`.

    Raises:
        ValueError: where a layer has no counterpart or the shapes differ.

    Example:

    >>> import keras, kvision as kv
    >>> theirs = keras.applications.MobileNetV2(weights=None, alpha=0.35)
    >>> ours = kv.models.copy_weights(theirs, kv.models.MobileNetV2(alpha=0.35))
    """
    pending = []
    for theirs, ours in _pairs(_weighted(source), _weighted(target)):
        if ours.name in skip:
            continue
        pending.append((ours, _fitted(theirs, ours)))
    for layer, values in pending:
        layer.set_weights(values)
    return target


def load_weights(model, weights, official=None):
    """Fills a freshly built model as its builder's `weights` argument says.

    A classifier layer (`predictions`) with another number of classes than the file's keeps its
    fresh weights; everything else must fit.

    Args:
        model: the model to fill.
        weights: `None`; `"imagenet"`; or the path of a `.keras` file, a run folder that holds
            `model.keras`, or a `.weights.h5` file.
        official: a function `(include_top) -> keras.Model` that builds keras.applications' network
            with its ImageNet weights (downloaded to Keras's cache on first use); `None` where
            there is none.

    Returns:
        `model`.

    Raises:
        ValueError: where the weights do not fit or are of an unknown kind.
        FileNotFoundError: where there is no such file.
    """
    if weights is None:
        return model
    if weights == "imagenet":
        if official is None:
            raise ValueError(
                f"There are no official ImageNet weights for `{model.name}`. Pass `weights=None` "
                "or the path of a file."
            )
        has_classifier = any(layer.name == "predictions" for layer in model.layers)
        return copy_weights(
            official(include_top=has_classifier), model, _new_classifier(1000, model)
        )
    path = Path(weights)
    if path.is_dir():
        path = path / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(
            "`weights` must be None, 'imagenet', or the path of a .keras file, a run folder or a "
            f".weights.h5 file. There is no file {str(path)!r}."
        )
    if path.name.endswith(".weights.h5"):
        model.load_weights(path)
        return model
    if path.suffix != ".keras":
        raise ValueError(f"A weights file ends in .keras or .weights.h5. Received: {str(path)!r}")
    source = keras.models.load_model(path, compile=False, safe_mode=True)
    return copy_weights(source, model, _new_classifier(source.output_shape[-1], model))


def _new_classifier(classes, model):
    return () if model.output_shape[-1] == classes else ("predictions",)


def _weighted(model):
    """The layers that hold weights, in order, looking inside nested models."""
    found = []
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found += _weighted(layer)
        elif layer.weights:
            found.append(layer)
    return found


def _pairs(sources, targets):
    by_name = {layer.name: layer for layer in sources}
    missing = [layer.name for layer in targets if layer.name not in by_name]
    if not missing:
        return [(by_name[layer.name], layer) for layer in targets]
    if len(sources) == len(targets):
        return list(zip(sources, targets, strict=True))
    raise ValueError(
        "The two models must have the same layers. The source has no layer named "
        f"{', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''} (it has {len(sources)} "
        f"layers with weights, the target {len(targets)}), so they cannot be matched by name or "
        "by order. Build both with the same options."
    )


def _fitted(theirs, ours):
    """Weights of `theirs` in the shapes of `ours`; only axes of length 1 may come or go."""
    values = theirs.get_weights()
    shapes = [tuple(weight.shape) for weight in ours.weights]

    def squeezed(shape):
        return [size for size in shape if size != 1]

    if [squeezed(value.shape) for value in values] != [squeezed(shape) for shape in shapes]:
        raise ValueError(
            f"The weights of layer {theirs.name!r} must fit {ours.name!r}. Received shapes "
            f"{[value.shape for value in values]} for {shapes}. Build both models with the same "
            "`alpha`, `classes` and channels."
        )
    return [value.reshape(shape) for value, shape in zip(values, shapes, strict=True)]
