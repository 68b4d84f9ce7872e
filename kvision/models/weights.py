"""Weights from elsewhere: another model, a file, the official ImageNet files."""

import functools
import itertools
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from kvision.files.keras_files import check_keras_file
from kvision.files.reading import reading
from kvision.layers.state import are_alike, copy_state, has_state, set_weights


def copy_weights(source, target, skip=()):
    """Copies the weights of one model into another of the same architecture.

    Layers are matched by name where the names agree, else by order. In models inside of others a
    name may occur several times: the names of those models then tell which is meant. Where the two
    differ in how they write the same function, it is folded exactly: a convolution's bias before
    batch normalisation goes into its mean, a missing scale is 1, another epsilon goes into the
    variance. What layers make of their weights (an adapted `Normalization`) is made anew. Nothing
    is copied unless everything fits.

    Args:
        source: a built `keras.Model`, e.g. one of keras.applications.
        target: a built `keras.Model`. All of its layers with weights must be found in `source`,
            but for those to skip.
        skip: names of layers of `target` to leave as they are.

    Returns:
        `target`.

    Raises:
        ValueError: where a layer has no counterpart or more than one, the shapes differ, or the
            target has no place for a bias.

    Example:

    >>> import keras, kvision as kv
    >>> theirs = keras.applications.MobileNetV2(weights=None, alpha=0.35)
    >>> ours = kv.models.copy_weights(theirs, kv.models.MobileNetV2(alpha=0.35))
    """
    pairs = [
        pair
        for pair in _pairs(_stateful(source), _stateful(target), skip)
        if pair[1].name not in skip  # those paired by order
    ]
    biases = Biases(pairs)
    pending = [(theirs, ours, _fitted(theirs, ours, biases)) for theirs, ours in pairs]
    for theirs, ours, values in pending:
        if values is None:
            copy_state(theirs, ours)
        else:
            set_weights(ours, values)
    return target


def load_weights(model, weights, official=None, heads=("predictions",)):
    """Fills a freshly built model as its builder's `weights` argument says.

    The layers that depend on the number of classes keep their fresh weights where that differs from
    the file's, or where the file lacks them; everything else must fit.

    Args:
        model: the model to fill.
        weights: `None`; `"imagenet"`; or the path of a `.keras` file, a run folder that holds
            `model.keras`, or a `.weights.h5` file.
        official: a function `(include_top) -> keras.Model` that builds keras.applications' network
            with its ImageNet weights (downloaded to Keras's cache on first use); `None` where
            there is none.
        heads: names of the layers whose weights depend on the number of classes.

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
        source = official(include_top=has_classifier)
        return copy_weights(source, model, _other_heads(source, model, heads))
    path = Path(weights)
    if path.is_dir():
        path = path / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(
            "`weights` must be None, 'imagenet', or the path of a .keras file, a run folder or a "
            f".weights.h5 file. There is no file {str(path)!r}."
        )
    if path.name.endswith(".weights.h5"):
        with reading(path, "The weights", "Give them to the model that they were saved from."):
            model.load_weights(path)
        return model
    if path.suffix != ".keras":
        raise ValueError(f"A weights file ends in .keras or .weights.h5. Received: {str(path)!r}")
    with reading(path, "The weights", "Copy the file again, or train its model again."):
        check_keras_file(path)
        source = keras.models.load_model(path, compile=False, safe_mode=True)
    return copy_weights(source, model, _other_heads(source, model, heads))


def official(name, **options):
    """What `load_weights` takes as `official`: keras.applications' builder, or `None`.

    Args:
        name: of the builder.
        **options: of that builder, besides `include_top` and `weights`.
    """
    builder = getattr(keras.applications, name, None)
    return builder and functools.partial(builder, weights="imagenet", **options)


def _other_heads(source, model, heads):
    """The heads if the numbers of classes differ; else those that only our model has."""
    theirs, ours = ({layer.name: layer for layer in m.layers} for m in (source, model))
    if "predictions" not in ours:  # a detector: heads by themselves, perhaps in a model of it
        theirs, ours = (
            {layer.name: layer for layer in _stateful(m).values()} for m in (source, model)
        )
        return tuple(name for name in heads if _shapes(theirs, name) != _shapes(ours, name))
    classes = theirs["predictions"].output.shape[-1] if "predictions" in theirs else None
    if ours["predictions"].output.shape[-1] == classes:
        return tuple(name for name in heads if name not in theirs)
    return (*heads, *model.output_names) if isinstance(model.output, dict) else heads


def _shapes(layers, name):
    return [tuple(weight.shape) for weight in layers[name].weights] if name in layers else None


def _stateful(model, path=()):
    """`{names of the models it is in and its own: layer}` of those with a state, in order.

    Each name comes with how many layers of it were before. A model with weights of its own, beside
    those of its layers, is one layer.
    """
    inside = {id(weight) for layer in getattr(model, "layers", ()) for weight in layer.weights}
    if not hasattr(model, "layers") or {id(weight) for weight in model.weights} - inside:
        return {path: model} if has_state(model) else {}
    found, names = {}, Counter()
    for layer in model.layers:
        found |= _stateful(layer, (*path, (layer.name, names[layer.name])))
        names[layer.name] += 1
    return found


def _pairs(sources, targets, skip):
    wanted = {path: layer for path, layer in targets.items() if layer.name not in skip}
    if wanted.keys() <= sources.keys():
        return [(sources[path], layer) for path, layer in wanted.items()]
    counts = [Counter(layer.name for layer in la.values()) for la in (sources, wanted)]
    unclear = [name for name in counts[1] if {count[name] for count in counts} != {1}]
    if not unclear:
        by_name = {layer.name: layer for layer in sources.values()}
        return [(by_name[layer.name], layer) for layer in wanted.values()]
    if len(sources) == len(targets):
        return list(zip(sources.values(), targets.values(), strict=True))
    missing = [name for name in unclear if not counts[0][name]]
    what = "no layer" if missing else "more than one layer, or the target has,"
    names = missing or unclear
    raise ValueError(
        f"The two models must have the same layers. The source has {what} named "
        f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''} (it has {len(sources)} "
        f"layers with weights, the target {len(targets)}), so they cannot be matched by name or "
        "by order. Build both with the same options."
    )


def _fitted(theirs, ours, biases):
    """Weights of `theirs` in the shapes of `ours`, or `None` where its whole state fits.

    Only axes of length 1 before the others may come or go: a dense layer is a 1x1 convolution.
    """
    if isinstance(ours, keras.layers.BatchNormalization) and isinstance(theirs, type(ours)):
        values = _normalization(theirs, ours, biases.before(ours))
    elif are_alike(theirs, ours):
        return None
    else:
        values = theirs.get_weights()
        if getattr(theirs, "use_bias", False) and getattr(ours, "use_bias", None) is False:
            biases.carry(ours, values.pop())
    shapes = [tuple(weight.shape) for weight in ours.weights]
    if [_trimmed(value.shape) for value in values] != [_trimmed(shape) for shape in shapes]:
        raise ValueError(
            f"The weights of layer {theirs.name!r} must fit {ours.name!r}. Received shapes "
            f"{[value.shape for value in values]} for {shapes}. Build both models with the same "
            "`alpha`, `classes`, channels and, where dense layers see the whole map, the same "
            f"size; or leave the layer as it is with `skip=[{ours.name!r}]`."
        )
    return [value.reshape(shape) for value, shape in zip(values, shapes, strict=True)]


def _trimmed(shape):
    """A shape from its first axis that is longer than 1."""
    return tuple(itertools.dropwhile(lambda size: size == 1, shape))


def _normalization(theirs, ours, bias):
    """Batch normalisation with the epsilon of `ours`, and its weights unless it lacks one."""
    mean, variance = (np.asarray(w) for w in (theirs.moving_mean, theirs.moving_variance))
    gamma = np.asarray(theirs.gamma) if theirs.scale else np.ones_like(mean)
    beta = np.asarray(theirs.beta) if theirs.center else np.zeros_like(mean)
    variance = variance + (theirs.epsilon - ours.epsilon)
    if (variance < 0).any():  # the difference of the epsilons is more than the variance
        scale = np.sqrt(ours.epsilon / (variance + ours.epsilon))
        gamma, variance = np.where(variance < 0, gamma * scale, gamma), np.maximum(variance, 0.0)
    scale = [gamma] if ours.scale or (gamma != 1).any() else []
    offset = [beta] if ours.center or (beta != 0).any() else []
    return [*scale, *offset, mean - bias, variance]


class Biases:
    """Biases on their way from convolutions that lose them to the normalisation that follows."""

    def __init__(self, pairs):
        self._pairs = pairs
        self._carried = {}

    @functools.cached_property
    def _followers(self):
        return {
            id(layer.input): layer
            for _, layer in self._pairs
            if isinstance(layer, keras.layers.BatchNormalization)
        }

    def carry(self, layer, bias):
        follower = self._followers.get(id(layer.output))
        if follower is None and bias.any():
            raise ValueError(
                f"Layer {layer.name!r} must have a bias or be followed by batch normalisation, as "
                "its source has a bias. Build the target with `use_bias=True`."
            )
        self._carried[id(follower)] = bias

    def before(self, layer):
        return self._carried.get(id(layer), 0.0)
