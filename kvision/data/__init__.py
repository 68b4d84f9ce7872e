"""Data in: sources by name or path, and the batches that `fit` takes."""

from kvision.data.augmentation import default_augmentation
from kvision.data.loading import load
from kvision.data.pipeline import batches

__all__ = ["batches", "default_augmentation", "load"]
