"""A run: the folder that a training leaves, with everything that was proved of it."""

from kvision.runs.releasing import release
from kvision.runs.trained import trained_model

__all__ = ["release", "trained_model"]
