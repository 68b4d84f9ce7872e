"""Metrics inside `fit` that Keras lacks."""
