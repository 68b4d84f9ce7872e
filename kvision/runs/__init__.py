"""A run: the folder that a training leaves, with everything that was proved of it."""

from kvision.runs.releasing import release

__all__ = ["release"]
