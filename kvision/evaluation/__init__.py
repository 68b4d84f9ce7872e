"""Protocols over a model and a data set, both of which come in as arguments."""

from kvision.evaluation.classification import evaluate_classifier, wilson_interval

__all__ = ["evaluate_classifier", "wilson_interval"]
