"""What the sweep over the registry does with the networks of each task: one module a task.

A module must have

- `HEAD`: the names of a builder's first arguments, behind `backbone`.
- `awaken(model)`: changes weights so that different pictures give different outputs; returns the
  model.
- `inputs(model, count)`: so many examples of what the model takes.
- `compared(model)`: a list of the outputs by which models are compared.
- `learn(model)`: trains a fresh model on a few examples; returns a `Lesson`.

It may have

- functions `check_<what>(network)`: what must hold of networks of this task alone. `network` is a
  `networks.Network`; further arguments are fixtures. Names that end in `_for_phones` are of those
  networks alone whose entry says `mobile`.
- `truth(model, inputs)`: the model's own answers, with which an exported file is proved. Without
  it the sweep makes no files.
- `OPTIONS`: arguments of a builder for all that is not trained.
- `TOLERANCE`: how alike a picture's outputs are alone and among others, for `assert_allclose`.
- `KEPT`: the share of weights, a half by default, that do not depend on the number of classes.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import run


@dataclasses.dataclass
class Lesson:
    """What came of a training.

    Attributes:
        model: the trained model.
        examples: what it learned, such as (images, labels).
        still: paths of the weights that training left as they were.
        learned: whether it learned the examples.
        first: the figures of the first step.
        last: those of the last.
    """

    model: keras.Model
    examples: tuple
    still: list
    learned: bool
    first: dict
    last: dict


def train(model, examples, most, is_learned, moved_after=None, in_graph=True):
    """Trains a compiled model on one batch until it knows it.

    To trace a training takes longer than some steps. Where these are enough, as they are of
    networks with batch normalisation, it runs step by step; that it can be traced is then seen of
    the forward pass.

    Args:
        model: a compiled model.
        examples: what `train_on_batch` takes.
        most: number of steps.
        is_learned: a function of the first and the last figures.
        moved_after: the step after which every weight must have moved; the last by default.
        in_graph: whether a network without batch normalisation is worth a graph.
    """
    in_graph &= not any(isinstance(x, keras.layers.BatchNormalization) for x in model.layers)
    if not in_graph:
        traced = tf.function(lambda inputs: model(inputs, training=True))
        traced.get_concrete_function(keras.tree.map_structure(tf.convert_to_tensor, examples[0]))
    before = [np.array(weight) for weight in model.trainable_weights]
    model.run_eagerly, model.jit_compile = not in_graph, False
    first = still = None
    for step in range(1, most + 1):
        last = model.train_on_batch(*examples, return_dict=True)
        model.reset_metrics()
        first = first or last
        if step == moved_after:
            still = unmoved(model, before)
        if not np.isfinite(last["loss"]) or is_learned(first, last):
            break
    still = unmoved(model, before) if still is None else still
    return Lesson(model, examples, still, is_learned(first, last), first, last)


def unmoved(model, before):
    return [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(np.array(weight), old)
    ]


def other_sizes(network, is_right):
    """Other sizes and channels work or say why not.

    Args:
        network: a `Network`.
        is_right: a function of the shape of an output and the size of the pictures.
    """
    for shape in ((33, 47, 1), (64, 40, 4), (None, None, 3), (7, 7, 3)):
        try:
            model = network.bare(input_shape=shape)
        except ValueError as error:
            message = str(error)
            if "must be" not in message or f"Received: {shape}" not in message:
                pytest.fail(f"an unhelpful message: {message}")
            continue
        size = (shape[0] or 64, shape[1] or 96)
        weights = [np.full(weight.shape, 0.01, "float32") for weight in model.weights]
        (output,) = run(model, weights, np.zeros((2, *size, shape[2]), "float32"))
        assert np.isfinite(output).all(), shape
        assert is_right(output.shape, size), (shape, output.shape)


def pictures(shape, count):
    """Noise of that shape, 64 pixels where a side is open."""
    shape = (count, *(size or 64 for size in shape))
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
