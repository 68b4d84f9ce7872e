"""Layers that vary training examples."""
