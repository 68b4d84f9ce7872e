"""A run: the folder that a training leaves, with everything that was proved of it.

Names load on first use, so that `--help` of a script that reads its arguments costs nothing.
"""

import importlib

_MODULES = {"begin": "beginning", "release": "releasing", "trained_model": "trained"}

__all__ = ["begin", "release", "trained_model"]


def __getattr__(name):
    if name in _MODULES:
        value = getattr(importlib.import_module(f"kvision.runs.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'kvision.runs' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
