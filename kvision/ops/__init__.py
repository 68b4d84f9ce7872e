"""Pure functions of tensors, on any Keras backend."""

from kvision.ops.activations import scaled_tanh

__all__ = ["scaled_tanh"]
