"""The class of a picture: a whole number."""

import tensorflow as tf

DTYPE = tf.int64
PLURAL = "labels"
IS_CLASS = True


def check(name, spec):
    """Raises a ValueError where it is no tensor."""
    if isinstance(spec, dict):
        raise ValueError(f"The '{name}' of an example must be a whole number. Received: {spec}")


def beside(spec):
    """Whether it is no map, which has a height, a width and a channel."""
    return spec.shape.rank != 3


def class_names(description):
    """The names, or None where the source does not tell."""
    return getattr(description, "names", None)


def relabelled(value, table):
    """The label in other numbers."""
    return tf.gather(tf.constant(table, value.dtype), tf.cast(value, tf.int32))
