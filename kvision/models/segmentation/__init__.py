"""Segmentation networks: a class for every pixel."""

__all__ = []
