"""kvision: computer vision models for Keras 3, from a folder of photos to a checked phone file.

Usage: `import kvision as kv`. Rooms load on first use, so the import itself costs nothing.
"""

import importlib

__version__ = "0.1.0"

_ROOMS = (
    "classical",
    "data",
    "evaluation",
    "export",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "registry",
    "runs",
    "training",
    "visualize",
)
_REGISTRY = ("build_model", "list_models", "model_info")

__all__ = [*_ROOMS, *_REGISTRY]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"kvision.{name}")
    if name in _REGISTRY:
        return getattr(importlib.import_module("kvision.registry"), name)
    raise AttributeError(f"module 'kvision' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
