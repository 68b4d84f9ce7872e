"""What leaves the building: SavedModel and TFLite files, and the proof that they are right.

Names load on first use. Opening a `.tflite` file imports neither TensorFlow nor Keras.
"""

import importlib

_MODULES = {
    "Report": "proof.report",
    "benchmark": "proof.latency",
    "describe": "metadata.contents",
    "load": "runtime",
    "load_keras": "runtime",
    "saved_model": "files.savedmodel",
    "task_of": "settling",
    "tflite": "files.litert",
    "verify": "proof.parity",
}

__all__ = [
    "Report",
    "benchmark",
    "describe",
    "load",
    "load_keras",
    "saved_model",
    "task_of",
    "tflite",
    "verify",
]


def __getattr__(name):
    if name in _MODULES:
        value = getattr(importlib.import_module(f"kvision.export.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'kvision.export' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
