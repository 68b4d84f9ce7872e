"""Layers that work on regions of a picture."""
