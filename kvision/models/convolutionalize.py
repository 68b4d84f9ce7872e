"""Classifiers that slide: dense layers as convolutions, global pooling as pooling of a window."""

import dataclasses

import keras
from keras import layers

from kvision.layers import RadialBasis
from kvision.layers.state import copy_state

# What may stand between flattening and the first dense layer; and what needs whole vectors.
POINTWISE = (
    layers.Activation,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.ReLU,
)
CHANNELWISE = (layers.BatchNormalization, layers.Softmax, RadialBasis)
LINEAR_AT_TEST = (
    layers.BatchNormalization,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
)
POOLINGS = {
    layers.GlobalAveragePooling2D: layers.AveragePooling2D,
    layers.GlobalMaxPooling2D: layers.MaxPooling2D,
}
PROBABILITIES = (
    keras.activations.softmax,
    keras.activations.log_softmax,
    keras.activations.sigmoid,
)
DENSE_OPTIONS = (
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
)


def convolutionalize(model):
    """A classifier that slides over pictures larger than those it was made for.

    Use it for dense evaluation and as the start of a segmentation network. Each position of the
    output is what `model` says of one window of the picture; on the original size there is one
    position, with `model`'s own numbers. Flattening becomes nothing; the dense layer behind it a
    convolution with a kernel of the feature map's size; further dense layers 1x1 convolutions, all
    with the same weights under the same names; global pooling becomes pooling of the window. Where
    convolutions pad, a window sees its neighbourhood in place of `model`'s zeros.

    Args:
        model: a functional or sequential `keras.Model` of one image
            `(height, width, channels)`, its size known. Models inside it are converted too.

    Returns:
        A new `keras.Model` with copies of the weights, from pictures
        `(batch, height, width, channels)` of at least the original size to
        `(batch, rows, columns, classes)`. Several outputs keep their structure; frozen layers stay
        frozen; constraints of dense layers are not taken over.

    Raises:
        ValueError: where the input size is open, or a layer has no form that slides.

    Differs from the paper: nothing known.

    Reference:
        Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, 2015,
        Fig. 2; before them Sermanet et al.: OverFeat, 2014, section 3.5.

    Example:

    >>> import kvision as kv
    >>> sliding = kv.models.convolutionalize(kv.models.LeNet5())
    >>> tuple(sliding(keras.ops.zeros((1, 64, 80, 1))).shape)  # a position every 4 pixels
    (1, 9, 13, 10)
    """
    check_model(model)
    return Replay().copy(model)


def check_model(model, rank=4):
    """Raises where a model is not of the kind that can be replayed, on tensors of this rank."""
    inputs = getattr(model, "inputs", None)
    if not isinstance(model, keras.Model) or not inputs:
        raise ValueError(
            "`model` must be a functional or sequential `keras.Model` that is built; "
            f"`kv.export.load_keras` reads one from a file. Received: {model}"
        )
    if len(inputs) != 1 or len(inputs[0].shape) != rank:
        wanted = "an image (height, width, channels)" if rank == 4 else "a vector"
        raise ValueError(
            f"`{model.name}` must have one input, {wanted}. Received inputs of shapes "
            f"{[tuple(tensor.shape[1:]) for tensor in inputs]}."
        )


def outputs_of(model):
    """The symbolic outputs in their structure; a sequential model's tensor."""
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


@dataclasses.dataclass(frozen=True)
class Place:
    """What a tensor of the sliding model stands for.

    Attributes:
        original: the tensor of the original, for its shape.
        window: of a vector in the original: rows and columns of the map it was flattened from.
        mean: of a vector: whether it is the mean of the sliding model's map over all positions.
    """

    original: keras.KerasTensor
    window: tuple | None = None
    mean: bool = False


class Replay:
    """Copies a model call by call, each layer in its sliding form.

    Args:
        pooled: whether global average pooling becomes pooling of a window, or is left out.
        split: whether to take a dense layer and its softmax or sigmoid apart.

    Attributes:
        places: `{id of a tensor of the copy: its Place}`.
        scores: `{id of a tensor of probabilities: the tensor they are made from}`.
        left_out: whether any pooling was.
    """

    def __init__(self, pooled=True, split=False):
        self.pooled, self.split = pooled, split
        self.places, self.scores, self.left_out = {}, {}, False
        self._copies = {}  # id of a layer and its window: its copy

    def copy(self, model, place=None):
        """The sliding form of a model; of a model inside another, `place` is its input's."""
        plain = keras.Model(model.inputs[0], outputs_of(model), name=model.name)  # not compiled
        source = plain.inputs[0]
        rows, columns = place.window if place and place.window else (1, 1)
        shape = (None, None, source.shape[-1] // (rows * columns))
        name = next(x.name for x in plain.layers if isinstance(x, layers.InputLayer))
        image = keras.Input(shape, dtype=source.dtype, name=name)
        self.places[id(image)] = place or Place(source)
        sliding = keras.models.clone_model(
            plain, image, clone_function=lambda layer: layer, call_function=self._call
        )
        windows = {self.places[id(output)].window for output in sliding.outputs}
        if place is None and not windows <= {None, (1, 1)}:
            raise ValueError(
                f"`{model.name}` must not end in flattened features, which a map cannot hold in "
                "order. Cut it off before its Flatten layer with `kv.models.feature_extractor`."
            )
        if not model.trainable:
            sliding.trainable = False
        return sliding

    def _call(self, layer, *args, **kwargs):
        """Calls the sliding form of `layer` on tensors of the copy and notes what comes out."""
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if id(x) in self.places]
        places = [self.places[id(x)] for x in tensors]
        are_vectors = any(place.window for place in places)
        if len(tensors) > 1 and (are_vectors or isinstance(layer, keras.Model)):
            raise _no_form(layer, "it has several inputs")
        if isinstance(layer, keras.Model):
            return self._model(layer, tensors[0], places[0])
        if are_vectors and isinstance(layer, layers.Dense):
            return self._dense(layer, tensors[0], places[0])
        if are_vectors:
            return self._on_vector(layer, tensors[0], places[0])
        if isinstance(layer, (layers.Flatten, *POOLINGS)):
            return self._end_of_maps(layer, tensors[0], places[0].original)
        return self._on_maps(layer, args, kwargs)

    def _model(self, model, tensor, place):
        key = (id(model), place.original.shape)
        if key not in self._copies:
            check_model(model, rank=2 if place.window else 4)
            self._copies[key] = self.copy(model, place)
        copy = self._copies[key]
        results = copy(tensor)
        for inside, result in zip(copy.outputs, keras.tree.flatten(results), strict=True):
            self.places[id(result)] = self.places[id(inside)]
            if id(inside) in self.scores:
                scores = keras.Model(copy.inputs[0], self.scores[id(inside)], name=copy.name)
                self.scores[id(result)] = scores(tensor)
                self.places[id(self.scores[id(result)])] = self.places[id(self.scores[id(inside)])]
        return results

    def _on_maps(self, layer, args, kwargs):
        """A layer between maps: the same layer, if its output grows with the picture."""
        originals = keras.tree.map_structure(
            lambda x: self.places[id(x)].original if id(x) in self.places else x, (args, kwargs)
        )
        specs = layer.compute_output_spec(*originals[0], **originals[1])
        if any(len(spec.shape) != 4 for spec in keras.tree.flatten(specs)):
            raise _no_form(layer, "its output is no map")
        results = self._called(layer, None, _twin(layer), args, kwargs)
        for spec, result in zip(*map(keras.tree.flatten, (specs, results)), strict=True):
            if len(result.shape) != 4 or None not in result.shape[1:3]:
                raise _no_form(layer, "its output has one size, whatever the picture's")
            self.places[id(result)] = Place(spec)
        return results

    def _end_of_maps(self, layer, tensor, original):
        """Flattening or global pooling: from here on the original has vectors."""
        if layer.data_format != "channels_last" or getattr(layer, "keepdims", False):
            raise _no_form(layer, "it has `keepdims=True` or channels first")
        flat, size = isinstance(layer, layers.Flatten), tuple(original.shape[1:3])
        skipped = isinstance(layer, layers.GlobalAveragePooling2D) and not self.pooled
        if None in size and not skipped:
            raise ValueError(
                f"The input size must be known, as layer {layer.name!r} looks at the whole feature "
                f"map. Received a map of size {size}. Build the model with an `input_shape` of "
                "numbers."
            )
        options = {"name": layer.name, "dtype": layer.dtype_policy.name}
        if flat or skipped:
            form = layers.Identity(**options)
        else:
            pooling = next(form for kind, form in POOLINGS.items() if isinstance(layer, kind))
            form = pooling(size, strides=1, **options)
        result = self._called(layer, size, form, (tensor,))
        spec = layer.compute_output_spec(original)
        self.places[id(result)] = Place(spec, size if flat else (1, 1), skipped)
        self.left_out |= skipped
        return result

    def _on_vector(self, layer, tensor, place):
        """A layer other than a dense one behind flattening or pooling."""
        shares = isinstance(layer, layers.Softmax) or (
            isinstance(layer, layers.Activation) and layer.activation in PROBABILITIES
        )
        if shares or isinstance(layer, CHANNELWISE):
            if place.window != (1, 1) or getattr(layer, "axis", -1) != -1:
                raise _no_form(layer, "it needs the last axis of a vector that is not flattened")
        elif not isinstance(layer, POINTWISE):
            raise _no_form(layer, "it stands behind flattened or pooled features")
        result = self._called(layer, place.window, _twin(layer), (tensor,))
        linear = isinstance(layer, LINEAR_AT_TEST)
        spec = layer.compute_output_spec(place.original)
        self.places[id(result)] = Place(spec, place.window, place.mean and linear)
        if shares:
            self.scores[id(result)] = tensor
        return result

    def _dense(self, layer, tensor, place):
        """A dense layer behind flattening or pooling: a convolution of the window's size."""
        shares = self.split and layer.activation in PROBABILITIES
        form = layers.Conv2D(
            layer.units,
            place.window,
            activation=None if shares else layer.activation,
            name=layer.name,
            dtype=layer.dtype_policy,
            trainable=layer.trainable,
            **{option: getattr(layer, option) for option in DENSE_OPTIONS},
        )
        kernel, *bias = layer.get_weights()
        kernel = kernel.reshape(*place.window, tensor.shape[-1], layer.units)
        result = self._called(layer, place.window, form, (tensor,), weights=[kernel, *bias])
        spec = layer.compute_output_spec(place.original)
        linear = shares or layer.activation is keras.activations.linear
        self.places[id(result)] = Place(spec, (1, 1), place.mean and linear)
        if shares:
            scores, result = result, layers.Activation(layer.activation)(result)
            self.scores[id(result)] = scores
            self.places[id(result)] = Place(spec, (1, 1))
        return result

    def _called(self, layer, window, form, args, kwargs=None, weights=None):
        """What `form`, or an earlier copy of `layer` for the same window, makes of the inputs."""
        is_new = (id(layer), window) not in self._copies
        copy = self._copies.setdefault((id(layer), window), form)
        try:
            results = copy(*args, **(kwargs or {}))
            if is_new and weights:
                copy.set_weights(weights)
            elif is_new and type(copy) is type(layer) and isinstance(layer, layers.Layer):
                copy_state(layer, copy)
        except (ValueError, TypeError) as error:
            raise _no_form(layer, error) from error
        return results


def _twin(layer):
    return layer.__class__.from_config(layer.get_config())


def _no_form(layer, reason):
    return ValueError(
        f"Layer {layer.name!r} ({type(layer).__name__}) has no form that slides over larger "
        f"pictures: {reason}. Build the model without it, or cut it off before it with "
        "`kv.models.feature_extractor`."
    )
