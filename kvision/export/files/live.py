"""The user's own layers on their way out: as they are, never copies of them."""

import contextlib

import keras

from kvision.layers.state import parts_of

# How far an output may be off as a model computes in 16 bits, coarsest first. Scores of trained
# MobileNets moved by up to 0.26 in bfloat16 and 0.05 in float16, of examples on the border between
# two classes.
ROUNDING = {"bfloat16": 0.5, "float16": 0.1}


def half_layers(model):
    """The layers of a model, inside of others too, that compute in 16 bits."""
    return [layer for layer in parts_of(model) if layer.compute_dtype in ROUNDING]


def rounds_to(model):
    """`"bfloat16"` or `"float16"`, the coarsest that a model computes in; `None` in float32."""
    found = {layer.compute_dtype for layer in half_layers(model)}
    return next((dtype for dtype in ROUNDING if dtype in found), None)


@contextlib.contextmanager
def computing_in_float32(model):
    """Lets a model of mixed precision compute in float32 until the block ends.

    No layer is copied: a copy needs a class that is registered and a complete `get_config`, and
    has only what those know of.

    Args:
        model: a built `keras.Model`.

    Raises:
        ValueError: where a layer has made itself tensors of 16 bits that do not go with others.
    """
    layers = half_layers(model)
    policies = [_policy_of(layer) for layer in layers]
    try:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = _in_float32(policy)
        yield
    except (TypeError, ValueError) as error:
        if not layers:
            raise
        raise ValueError(
            f"`{model.name}` computes in {policies[0].compute_dtype} and must be able to compute "
            f"in float32, as phones do. Received: {error}. Let the layers cast what they keep to "
            "`self.compute_dtype` in `call`, or build the model in float32 and give it the weights "
            "with `kv.models.copy_weights`."
        ) from error
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def _policy_of(layer):
    policy = layer.dtype_policy
    is_map = isinstance(policy, keras.dtype_policies.DTypePolicyMap)
    return policy[layer.path] if is_map and layer.path else policy


def _in_float32(policy):
    """The policy, but for what it computes in: the variables stay what they are."""
    kind = type(policy)
    return type(kind.__name__, (kind,), {"compute_dtype": "float32"})(**policy.get_config())


class Borrowed(keras.layers.Layer):
    """A layer of another model, called in a graph of our own without a trace in the other's.

    Args:
        layer: the layer.
    """

    def __init__(self, layer):
        super().__init__(name=layer.name, autocast=False)
        self.layer = layer
        self.built = True

    def call(self, *args, **kwargs):
        return self.layer(*args, **kwargs)

    def compute_output_spec(self, *args, **kwargs):
        return self.layer.compute_output_spec(*args, **kwargs)


def retraced(model):
    """A model's graph once more, of the same layers, with what made each tensor.

    Args:
        model: a functional or sequential `keras.Model`.

    Returns:
        A pair: a `keras.Model` that does the same with the same layers, and
        `{id of a tensor of it: (the layer or operation that makes it, of which tensors)}`.
    """
    makers = {}

    def call(operation, *args, **kwargs):
        results = operation(*args, **kwargs)
        sources = [
            x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)
        ]
        for result in keras.tree.flatten(results):
            makers[id(result)] = (getattr(operation, "layer", operation), sources)
        return results

    def borrowed(operation):
        if isinstance(operation, keras.layers.Layer):
            return Borrowed(operation)
        return type(operation).from_config(operation.get_config())

    plain = keras.Model(model.inputs, model.outputs, name=model.name)
    graph = keras.models.clone_model(plain, clone_function=borrowed, call_function=call)
    return graph, makers
