"""Files of classifiers: scores of whole images."""

from kvision.export.specs import is_image

# Rounding weights to float16 moved scores of trained MobileNets by up to 0.02: of examples on the
# border between two classes. A wrong file moves them by nearly 1. Of models that compute in 16 bits
# it is the model that rounds: "float16" and "bfloat16" are theirs too. In bfloat16 up to 2 % of
# examples, those on a border, changed their class.
LIMITS = {
    None: {"max_difference": 1e-4},
    "float16": {"max_difference": 0.1, "metric_drop": 0.5},
    "bfloat16": {"max_difference": 0.5, "metric_drop": 1.0},
    "dynamic": {"metric_drop": 0.5},
    "int8": {"metric_drop": 0.5},
}


def could_be(inputs, outputs):
    """Whether a model gives scores of an image."""
    return is_image(inputs) and not isinstance(outputs, dict) and len(outputs.shape) == 2


def tally(report):
    """Returns what counts how often model and file are right."""
    from kvision.export.proof.class_tally import ClassTally

    return ClassTally()
