"""What tests of single-shot detectors look at."""

import numpy as np
from networks import without_weights


def shapes_only(builder, **options):
    return without_weights(lambda: builder(**options))


def count(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def pictures(model, number=2):
    shape = (number, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def sides_of(maps):
    return [tuple(level.shape[1:3]) for level in maps]


def levels_of(model):
    return model.get_layer("anchors").input[1:]
